//! Differing rows for people: named by their keys, with the columns that differ where what is at hand tells them, and classed by their
//! change stamps where the mode says so.
//!
//! Not here: which rows differ (`fingerprint`), and how rows are looked up (`scan`).

use std::collections::HashMap;

use serde_json::Value;

use crate::model::counts::Counts;
use crate::model::finding::{Class, Finding, Kind, Place};
use crate::monitor::{Event, Monitor};
use crate::verify::differences::Difference;
use crate::verify::sql::rows::display::{CUT, WRAPPED_BELOW};
use crate::verify::sql::rows::fields::sized;
use crate::verify::sql::rows::notes::ColumnHash;
use crate::verify::sql::rows::table::{changed_columns, schema_difference};
use crate::verify::sql::rows::tag;

/// Rows of one table that are named one by one; the counts say how many there are beyond.
pub const NAMED_ROWS: usize = 10_000;

/// What a second look says of a row.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    /// `COLUMN=VALUE …` of its key.
    pub name: String,
    /// Its change stamp: microseconds since 1970-01-01.
    pub stamp: Option<i64>,
    /// A hash of each column, where they were asked for, or the manifest has them.
    pub fields: Vec<ColumnHash>,
}

/// Rows by the first bytes of their key hash.
pub type SeenRows = HashMap<[u8; 8], Seen>;

/// What change stamps may excuse (`contracts.md` of the design, outcomes and classes); microseconds since 1970-01-01.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// The earlier of the capture's and the restore's position, less the longest transaction.
    pub settled: i64,
    /// The youngest that the restore can hold.
    pub restored: i64,
    /// Whether what has no stamp may have changed between the capture and the restore.
    pub may_have_changed: bool,
    /// Whether a log names the rows as changed in between.
    pub named: bool,
}

impl Bounds {
    /// From the positions of the capture and of the restore and the longest transaction.
    pub fn new(captured: i64, restored: i64, longest_transaction: i64) -> Self {
        Self { settled: captured.min(restored).saturating_sub(longest_transaction), restored, may_have_changed: false, named: false }
    }

    /// The class of what differs. A row that is absent has no stamp, and stays missing unless it may have been deleted in between; a
    /// stamp beyond the restore is no excuse for a row that had to be equal.
    pub fn class(&self, class: Class, stamp: Option<i64>) -> Class {
        match (class, stamp) {
            (Class::Extra, Some(stamp)) if self.named && stamp > self.restored => Class::Future,
            (Class::Mismatch, _) if self.named => Class::ChangedBetween,
            (Class::Missing, _) if self.named => Class::DeletedBetween,
            (Class::Extra, _) if self.named => Class::AddedBetween,
            (Class::Mismatch | Class::Missing | Class::Extra | Class::SchemaChanged, None) if self.may_have_changed => Class::Indeterminate,
            (Class::Extra, Some(stamp)) if stamp > self.restored => Class::Future,
            (Class::Mismatch | Class::Extra, Some(stamp)) if stamp > self.settled && stamp <= self.restored => Class::Indeterminate,
            _ => class,
        }
    }
}

/// The stamp that an exact field holds: a datetime (taken as UTC), an instant, a date, or a text of one of them.
pub fn stamp_of(field: &[u8]) -> Option<i64> {
    let (kind, payload) = field.split_first()?;
    match *kind {
        tag::DATETIME | tag::INSTANT => {
            let micros = i64::from_be_bytes(payload.try_into().ok()?);
            Some(if micros < WRAPPED_BELOW { i64::MAX } else { micros })
        }
        tag::DATE => i64::from_be_bytes(payload.try_into().ok()?).checked_mul(86_400_000_000),
        tag::TEXT => stamp_in(std::str::from_utf8(sized(payload)?).ok()?),
        _ => None,
    }
}

/// The same of a value as an engine prints it.
pub fn stamp_in(text: &str) -> Option<i64> {
    let mut row = crate::verify::sql::rows::canon::Row::empty();
    row.begin(1);
    crate::verify::sql::rows::logical_text::datetime(text, tag::INSTANT, &mut row)?;
    stamp_of(row.field(0)).filter(|_| row.field(0).first() == Some(&tag::INSTANT))
}

/// Tells one finding.
pub fn find(monitor: &dyn Monitor, class: Class, kind: Kind, place: Place, expected: Option<String>, actual: Option<String>) {
    monitor.event(Event::Finding(&Finding { expected, actual, ..Finding::new(class, kind, place) }));
}

/// Tells that a table is defined otherwise: how, and which of its columns. `before` is the baseline's description, where there is one.
pub fn find_changed(monitor: &dyn Monitor, table: &str, before: Option<&Value>, now: &Value) {
    let (expected, actual) = schema_difference(before, now);
    let columns = before.map(|before| changed_columns(before, now)).unwrap_or_default();
    let finding = Finding::new(Class::SchemaChanged, Kind::Table, Place::Key(table.to_owned()));
    monitor.event(Event::Finding(&Finding { expected: Some(expected), actual: Some(actual), columns, ..finding }));
}

/// Tells the differences of one table and gives the counts by their final classes. `before` knows rows of the baseline where it is
/// at hand, `now` those that are there.
pub fn tell(
    monitor: &dyn Monitor,
    (table, columns): (&str, &[&str]),
    differences: &[Difference],
    (before, now): (&SeenRows, &SeenRows),
    bounds: Option<Bounds>,
    counts: &Counts,
) -> Counts {
    let mut moved = Vec::new();
    let mut named = Counts::default();
    for difference in differences {
        match *difference {
            Difference::Row { class: first, key_hash, expected, actual } => {
                let seen = now.get(&key_hash).filter(|_| actual.is_some());
                let class = bounds.map_or(first, |bounds| bounds.class(first, seen.and_then(|seen| seen.stamp)));
                named.add(first);
                if class != first {
                    moved.push((first, class));
                }
                let known = seen.or_else(|| before.get(&key_hash));
                let place = match known {
                    // Of keys that begin alike, what is shown may be the same.
                    Some(known) if known.name.contains(CUT) => format!("{table} {} #{}", known.name, hex::encode(key_hash)),
                    Some(known) => format!("{table} {}", known.name),
                    None => format!("{table} #{}", hex::encode(key_hash)),
                };
                let (columns, more) = match (before.get(&key_hash).filter(|_| expected.is_some()), seen) {
                    (Some(before), Some(now)) => told_apart(columns, before, now),
                    _ => Default::default(),
                };
                let (expected, actual) = (expected.map(hex::encode), actual.map(|row| format!("{}{more}", hex::encode(row))));
                monitor.event(Event::Finding(&Finding { expected, actual, columns, ..Finding::new(class, Kind::Row, Place::Row(place)) }));
            }
            Difference::Bucket { index, bits, expected, actual } => {
                let place = Place::Bucket(format!("{table} {index}/{}", 1u32 << bits));
                let class = bounds.map_or(Class::Mismatch, |bounds| bounds.class(Class::Mismatch, None));
                find(monitor, class, Kind::Bucket, place, Some(format!("{expected} rows")), Some(format!("{actual} rows")));
            }
        }
    }
    let total = counts.mismatch + counts.missing + counts.extra;
    if differences.len() == NAMED_ROWS && total > NAMED_ROWS as u64 {
        monitor.event(Event::Note(&format!("table {table}: {total} rows differ, the first {NAMED_ROWS} are named")));
    }
    settled(counts, &named, &moved, bounds)
}

/// The counts by their final classes, where `named` were looked at one by one and `moved` of them changed their class. The others have
/// no stamp.
pub fn settled(counts: &Counts, named: &Counts, moved: &[(Class, Class)], bounds: Option<Bounds>) -> Counts {
    let mut settled = Counts::default();
    for ((class, n), (_, named)) in counts.by_class().into_iter().zip(named.by_class()) {
        let named = named.min(n);
        let gone = moved.iter().filter(|(first, _)| *first == class).count() as u64;
        let come = moved.iter().filter(|(_, last)| *last == class).count() as u64;
        settled.add_many(bounds.map_or(class, |bounds| bounds.class(class, None)), n - named);
        settled.add_many(class, named - gone.min(named) + come);
    }
    settled
}

/// The columns that differ in a row that is there on both sides, and how that is said; neither where a side's columns are not known.
fn told_apart(columns: &[&str], before: &Seen, now: &Seen) -> (Vec<String>, String) {
    if columns.is_empty() || [&before.fields, &now.fields].iter().any(|fields| fields.len() != columns.len()) {
        return Default::default();
    }
    let fields = columns.iter().zip(before.fields.iter().zip(&now.fields));
    let differing: Vec<String> = fields.filter(|(_, (before, now))| before != now).map(|(name, _)| (*name).to_owned()).collect();
    let more = match &differing[..] {
        // The digests of the whole row have decided; of a column, a manifest has a few bytes only.
        [] => " differs in columns that their short hashes do not tell apart".to_owned(),
        names => format!(" differs in {}", names.join(", ")),
    };
    (differing, more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_excuse_what_the_contract_says_and_no_more() {
        let bounds = Bounds::new(100, 200, 10);
        assert_eq!(bounds, Bounds { settled: 90, restored: 200, may_have_changed: false, named: false });
        for (class, stamp, expected) in [
            (Class::Mismatch, Some(90), Class::Mismatch),
            (Class::Mismatch, Some(91), Class::Indeterminate),
            (Class::Mismatch, Some(200), Class::Indeterminate),
            (Class::Mismatch, Some(201), Class::Mismatch),
            (Class::Mismatch, None, Class::Mismatch),
            (Class::Missing, Some(95), Class::Missing),
            (Class::Extra, Some(90), Class::Extra),
            (Class::Extra, Some(150), Class::Indeterminate),
            (Class::Extra, Some(201), Class::Future),
        ] {
            assert_eq!(bounds.class(class, stamp), expected, "{class} {stamp:?}");
        }
        // Of another moment: what no stamp shows to be older may have changed; what one does has not.
        let moved = Bounds { may_have_changed: true, ..bounds };
        for (class, stamp, expected) in [
            (Class::Mismatch, None, Class::Indeterminate),
            (Class::Missing, None, Class::Indeterminate),
            (Class::Extra, None, Class::Indeterminate),
            (Class::Mismatch, Some(90), Class::Mismatch),
            (Class::Extra, Some(90), Class::Extra),
            (Class::Extra, Some(201), Class::Future),
            (Class::Unreadable, None, Class::Unreadable),
        ] {
            assert_eq!(moved.class(class, stamp), expected, "{class} {stamp:?}");
        }
        // Named by a log: changed in between, however old its stamp; but what is younger than the restore is none of its rows.
        let named = Bounds { named: true, ..moved };
        for (class, stamp, expected) in [
            (Class::Mismatch, None, Class::ChangedBetween),
            (Class::Mismatch, Some(5), Class::ChangedBetween),
            (Class::Missing, None, Class::DeletedBetween),
            (Class::Extra, Some(90), Class::AddedBetween),
            (Class::Extra, Some(201), Class::Future),
            (Class::Unreadable, None, Class::Unreadable),
            (Class::Match, None, Class::Match),
        ] {
            assert_eq!(named.class(class, stamp), expected, "{class} {stamp:?}");
        }
        // A restore to before the capture settles earlier.
        assert_eq!(Bounds::new(200, 100, 10).settled, 90);
    }

    #[test]
    fn columns_that_short_hashes_do_not_tell_apart_are_said_to_be_so() {
        let seen = |fields: &[u8]| Seen { fields: fields.iter().map(|n| [*n; 4]).collect(), ..Seen::default() };
        let (columns, said) = told_apart(&["a", "b"], &seen(&[1, 2]), &seen(&[1, 3]));
        assert_eq!((columns, said.as_str()), (vec!["b".to_owned()], " differs in b"));
        let (columns, said) = told_apart(&["a", "b"], &seen(&[1, 2]), &seen(&[1, 2]));
        assert!(columns.is_empty() && said.contains("do not tell apart"), "{said}");
        for (before, now) in [(seen(&[]), seen(&[1, 2])), (seen(&[1, 2]), seen(&[])), (seen(&[1]), seen(&[2]))] {
            assert_eq!(told_apart(&["a", "b"], &before, &now), Default::default(), "not known");
        }
    }

    #[test]
    fn stamps_are_read_from_every_form() {
        let text = |text: &str| [&[tag::TEXT][..], &(text.len() as u64).to_be_bytes(), text.as_bytes()].concat();
        assert_eq!(stamp_of(&[&[tag::INSTANT][..], &5i64.to_be_bytes()].concat()), Some(5));
        assert_eq!(stamp_of(&[&[tag::DATE][..], &1i64.to_be_bytes()].concat()), Some(86_400_000_000));
        assert_eq!(stamp_of(&text("1970-01-01 00:00:01.5")), Some(1_500_000));
        assert_eq!((stamp_of(&text("soon")), stamp_of(&text("0000-00-00 00:00:00")), stamp_of(&[tag::NULL])), (None, None, None));
    }
}
