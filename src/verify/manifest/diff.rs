//! Comparing two manifests by their rows, in constant memory: a merge of two sorted sequences.
//!
//! Not here: reading any source. Neither manifest is "the truth": the first is called expected, the second actual.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::model::counts::Counts;
use crate::model::digest::Digest32;
use crate::model::failure::Failure;
use crate::model::finding::{Class, Finding, Kind, Place};
use crate::monitor::{Event, Monitor};
use crate::verify::manifest::cursor::{ObjectCursor, ObjectLines};
use crate::verify::manifest::header::{Header, ManifestKind};
use crate::verify::manifest::object_batch::ObjectLine;
use crate::verify::manifest::reader::Manifest;
use crate::verify::manifest::row::{LeafKind, LeafRow, Row};
use crate::verify::objects::source::EntryKind;

/// Compares `expected` with `actual`; each difference goes to `monitor`. Manifests of different kinds, or made with different hash
/// keys or encodings, cannot be compared; nor can leaves of two kinds of a table that may be equal.
pub fn diff(expected: &Manifest, actual: &Manifest, monitor: &dyn Monitor) -> Result<Differences, Failure> {
    let (left, right) = (expected.header(), actual.header());
    for (what, a, b) in [
        ("kind", Some(left.kind.as_str()), Some(right.kind.as_str())),
        ("encoding", Some(left.encoding.as_str()), Some(right.encoding.as_str())),
        ("hash key", left.hash_key_id.as_deref(), right.hash_key_id.as_deref()),
    ] {
        if a != b {
            let spell = |value: Option<&str>| value.unwrap_or("none").to_owned();
            return Err(Failure::invalid(format!("the manifests differ in {what}: {} and {}", spell(a), spell(b)))
                .hint("only manifests of one kind, encoding and hash key can be compared"));
        }
    }
    let (mut counts, mut tables) = (Counts::default(), Tables::default());
    if left.kind == ManifestKind::Objects {
        if !left.digests.iter().any(|digest| right.digests.contains(digest)) {
            let carried = |header: &Header| match (&header.digests[..], &header.tier) {
                ([], Some(tier)) => format!("none (tier {tier})"),
                ([], None) => "none".to_owned(),
                (digests, _) => digests.join(","),
            };
            let said = format!("the manifests have no digest in common: {} and {}", carried(left), carried(right));
            return Err(Failure::invalid(said)
                .hint("capture both with the same --digest; one of a lesser tier is held against its source with `attestore verify`"));
        }
        std::thread::scope(|scope| {
            // Every digest of every part before the first verdict; the two manifests side by side, as they are read afterwards.
            let left = scope.spawn(|| ObjectCursor::open(expected));
            let right = ObjectCursor::open(actual);
            let left = left.join().map_err(|_| Failure::invalid("reading a manifest ended abnormally"))??;
            merge_objects(left.ahead(scope), right?.ahead(scope), &mut counts, monitor)
        })?;
    } else {
        let apart = of_two_kinds(expected, actual)?;
        for (table, (before, now)) in &apart {
            let class = if before == now { Class::Match } else { Class::Mismatch };
            counts.add(class);
            tables.add(class, table);
            if before != now {
                let finding = Finding::new(class, Kind::Table, Place::Key(table.clone()));
                let (expected, actual) = (Some(format!("{before} rows")), Some(format!("{now} rows")));
                monitor.event(Event::Finding(&Finding { expected, actual, ..finding }));
            }
        }
        let compared = |row: &Result<LeafRow, Failure>| !row.as_ref().is_ok_and(|row| is_of_rows(row) && apart.contains_key(&row.key));
        let (left, right) = (expected.leaves().filter(compared), actual.leaves().filter(compared));
        merge(left, right, (&mut counts, &mut tables), monitor)?;
    }
    Ok(Differences { tables: (left.kind != ManifestKind::Objects).then(|| tables.counts()), counts })
}

/// Whether a leaf is one of rows, and not a table's definition.
fn is_of_rows(row: &LeafRow) -> bool {
    row.kind != LeafKind::Schema
}

/// The tables that have leaves of one kind in the one and of another in the other, which say nothing of one another, with their numbers of
/// rows: as soon as these differ, the tables do.
///
/// # Errors
/// Where there are as many rows: whether they are the same cannot be told.
fn of_two_kinds(expected: &Manifest, actual: &Manifest) -> Result<BTreeMap<String, (u64, u64)>, Failure> {
    let kinds = |manifest: &Manifest| -> Result<BTreeMap<String, (LeafKind, u64)>, Failure> {
        let mut kinds = BTreeMap::new();
        for row in manifest.leaves() {
            let row = row?;
            if is_of_rows(&row) {
                let (_, rows) = kinds.entry(row.key).or_insert((row.kind, 0));
                *rows = row.rows.saturating_add(*rows);
            }
        }
        Ok(kinds)
    };
    let (before, mut now) = (kinds(expected)?, kinds(actual)?);
    let mut apart = BTreeMap::new();
    for (table, (kind, rows)) in before {
        let Some((other, there)) = now.remove(&table).filter(|(other, _)| *other != kind) else { continue };
        if rows == there && rows > 0 {
            let (kind, other) = (kind.as_str(), other.as_str());
            let said = format!("the manifests have leaves of two kinds of the {rows} rows of {table}: {kind} and {other}");
            return Err(Failure::invalid(said).hint(
                "such leaves cannot be compared: capture both with the same --leaves and --sidecar-rows, or hold a manifest against its \
                 source with `attestore verify`",
            ));
        }
        apart.insert(table, (rows, there));
    }
    Ok(apart)
}

/// What two manifests differ in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Differences {
    /// Objects; of databases and tables, the leaves of their fingerprints.
    pub counts: Counts,
    /// Tables, where the manifests have some: one is equal when every leaf of it is.
    pub tables: Option<Counts>,
}

/// The leaves of each table by class, as they come.
#[derive(Default)]
struct Tables(BTreeMap<String, Counts>);

impl Tables {
    fn add(&mut self, class: Class, table: &str) {
        match self.0.get_mut(table) {
            Some(counts) => counts.add(class),
            None => self.0.entry(table.to_owned()).or_default().add(class),
        }
    }

    fn counts(&self) -> Counts {
        let mut tables = Counts::default();
        for leaves in self.0.values() {
            let is_alone = |n: u64| n > 0 && leaves.matched + leaves.mismatch == 0 && n == leaves.missing + leaves.extra;
            tables.add(match leaves {
                Counts { mismatch: 0, missing: 0, extra: 0, .. } => Class::Match,
                _ if is_alone(leaves.missing) => Class::Missing,
                _ if is_alone(leaves.extra) => Class::Extra,
                _ => Class::Mismatch,
            });
        }
        tables
    }
}

fn merge(
    mut left: impl Iterator<Item = Result<LeafRow, Failure>>,
    mut right: impl Iterator<Item = Result<LeafRow, Failure>>,
    (counts, tables): (&mut Counts, &mut Tables),
    monitor: &dyn Monitor,
) -> Result<(), Failure> {
    let mut tell = |class: Class, row: &LeafRow, values: Option<(String, String)>| {
        counts.add(class);
        tables.add(class, &row.key);
        if class != Class::Match {
            let (expected, actual) = values.unzip();
            monitor.event(Event::Finding(&Finding { expected, actual, ..leaf_place(class, row) }));
        }
    };
    let (mut a, mut b) = (left.next().transpose()?, right.next().transpose()?);
    loop {
        let order = match (&a, &b) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => a.order(b),
        };
        match (&a, &b) {
            (Some(a), Some(b)) if order == Ordering::Equal => match same_leaf(a, b) {
                Ok(()) => tell(Class::Match, a, None),
                Err(values) => tell(Class::Mismatch, a, Some(values)),
            },
            (Some(a), _) if order == Ordering::Less => tell(Class::Missing, a, None),
            (_, Some(b)) => tell(Class::Extra, b, None),
            _ => {}
        }
        if order != Ordering::Greater {
            a = left.next().transpose()?;
        }
        if order != Ordering::Less {
            b = right.next().transpose()?;
        }
    }
}

fn leaf_place(class: Class, row: &LeafRow) -> Finding {
    match row.kind {
        LeafKind::Bucket | LeafKind::Sum => {
            Finding::new(class, Kind::Bucket, Place::Bucket(format!("{} {}/{}", row.key, row.seq, 1u64 << row.bits.min(63))))
        }
        LeafKind::Range => Finding::new(class, Kind::Bucket, Place::Bucket(format!("{} range {}", row.key, row.seq))),
        LeafKind::Schema => {
            Finding::new(if class == Class::Mismatch { Class::SchemaChanged } else { class }, Kind::Table, Place::Key(row.key.clone()))
        }
    }
}

/// The merge of objects, line by line, without a row of either.
fn merge_objects(mut left: ObjectLines, mut right: ObjectLines, counts: &mut Counts, monitor: &dyn Monitor) -> Result<(), Failure> {
    let tell = |counts: &mut Counts, class: Class, line: &ObjectLine<'_>, values: Option<(String, String)>| {
        counts.add(class);
        let (expected, actual) = values.unzip();
        let finding = Finding::new(class, Kind::Object, Place::Key(line.key.to_owned()));
        let version_id = line.version_id.map(str::to_owned);
        monitor.event(Event::Finding(&Finding { version_id, expected, actual, ..finding }));
    };
    let (mut a, mut b) = (left.next_line()?, right.next_line()?);
    loop {
        let order = match (&a, &b) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => a.order(b),
        };
        match (&a, &b) {
            (Some(a), Some(b)) if order == Ordering::Equal => match same_object(a, b) {
                Ok(()) => counts.add(Class::Match),
                Err(values) => tell(counts, Class::Mismatch, a, Some(values)),
            },
            (Some(a), _) if order == Ordering::Less => tell(counts, Class::Missing, a, None),
            (_, Some(b)) => tell(counts, Class::Extra, b, None),
            _ => {}
        }
        if order != Ordering::Greater {
            a = left.next_line()?;
        }
        if order != Ordering::Less {
            b = right.next_line()?;
        }
    }
}

fn same_object(a: &ObjectLine<'_>, b: &ObjectLine<'_>) -> Result<(), (String, String)> {
    if a.kind != b.kind {
        return Err((a.kind.as_str().into(), b.kind.as_str().into()));
    }
    let mut decided = a.kind == EntryKind::DeleteMarker;
    for (name, a, b) in [("blake3", a.blake3, b.blake3), ("sha256", a.sha256, b.sha256)] {
        if let (Some(a), Some(b)) = (a, b) {
            decided = true;
            if a != b {
                return Err((format!("{name}:{}", Digest32(*a)), format!("{name}:{}", Digest32(*b))));
            }
        }
    }
    // A list without sizes says nothing of them; its digests have decided.
    if let (Some(a), Some(b)) = (a.known_size(), b.known_size())
        && a != b
    {
        return Err((format!("{a} bytes"), format!("{b} bytes")));
    }
    // Rows without a digest in common are not equal until someone has shown it.
    if decided { Ok(()) } else { Err(("no digest in common".into(), "no digest in common".into())) }
}

fn same_leaf(a: &LeafRow, b: &LeafRow) -> Result<(), (String, String)> {
    if (a.digest, a.rows, a.bits) == (b.digest, b.rows, b.bits) {
        return Ok(());
    }
    Err((format!("{} rows, {}", a.rows, hex::encode(a.digest)), format!("{} rows, {}", b.rows, hex::encode(b.digest))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_what_its_leaves_are() {
        let mut tables = Tables::default();
        for (table, classes) in [
            ("same", &[Class::Match, Class::Match][..]),
            ("gone", &[Class::Missing, Class::Missing]),
            ("new", &[Class::Extra]),
            ("changed", &[Class::Match, Class::Mismatch]),
            ("grown", &[Class::Match, Class::Extra]),
            ("folded", &[Class::Missing, Class::Extra]),
        ] {
            classes.iter().for_each(|class| tables.add(*class, table));
        }
        let counts = tables.counts();
        assert_eq!((counts.matched, counts.missing, counts.extra, counts.mismatch), (1, 1, 1, 3));
    }
}
