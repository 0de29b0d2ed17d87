//! The tables of a database against those of a manifest: by name, rows by leaves and sidecar, findings to the monitor.
//!
//! A table whose stream breaks is `unreadable`, with the rows that had been read; the others are compared all the same. Where the reason
//! lies outside the data, it is counted by that reason, and is no verdict on the table.
//!
//! Not here: what is compared with what (`database`), what the manifest says (`baseline`), and how rows are named (`naming`).

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;
use std::time::Duration;

use serde_json::Value;

use crate::model::clock::Timestamp;
use crate::model::counts::Counts;
use crate::model::failure::{Failure, FailureKind};
use crate::model::finding::{Class, Kind, Place};
use crate::model::verification::Verification;
use crate::monitor::{Event, Monitor};
use crate::verify::allowance::Allowance;
use crate::verify::differences::Difference;
use crate::verify::fingerprint;
use crate::verify::key_ranges::{self, Range};
use crate::verify::leaf::Form;
use crate::verify::manifest::names::NameRow;
use crate::verify::manifest::reader::Rows;
use crate::verify::manifest::request::Sidecar;
use crate::verify::manifest::row::{LeafKind, SidecarRow};
use crate::verify::sql::changes::touched::Touched;
use crate::verify::sql::compare::baseline::Expected;
use crate::verify::sql::compare::columns::{self, Common};
use crate::verify::sql::compare::named;
use crate::verify::sql::compare::of_table::OfTable;
use crate::verify::sql::compare::still_there::StillThere;
use crate::verify::sql::database::Database;
use crate::verify::sql::definitions::differences;
use crate::verify::sql::kept::Kept;
use crate::verify::sql::naming::{self, Bounds, NAMED_ROWS, SeenRows};
use crate::verify::sql::reading::{Cause, ReadError};
use crate::verify::sql::rows::digester::Meaning;
use crate::verify::sql::rows::row_keys::RowKeys;
use crate::verify::sql::rows::table::{Table, lone_columns, schema_digest};
use crate::verify::sql::scan::{self, Look, Scan, Way};
use crate::verify::sql::scope::{Scope, TableRanges};

/// A comparison under way.
pub struct Run<'a> {
    /// What the manifest speaks of.
    pub scope: Scope,
    /// What change stamps may excuse; nothing where they excuse nothing.
    pub bounds: Option<Bounds>,
    /// Of a restore to a second: that second.
    pub second: Option<Timestamp>,
    /// When the manifest's capture ended.
    pub captured_end: Timestamp,
    /// What digests are keyed with.
    pub keys: RowKeys,
    /// Gets the findings.
    pub monitor: &'a dyn Monitor,
    /// The tables' definitions as the manifest's header says them, by name.
    pub described: Value,
    /// The manifest's row sidecar, at a table that is still to come.
    pub sidecar: Peekable<Rows<SidecarRow>>,
    /// The names of its rows, likewise, where it has them.
    pub names: Peekable<Rows<NameRow>>,
    /// What is known so far.
    pub result: Verification,
    /// Of tables.
    pub tables: Counts,
    /// Of rows.
    pub rows: Counts,
    /// What is kept for a run that goes on.
    pub kept: Option<Kept>,
    /// Why the reader is not shown every table.
    pub partial_sight: Option<Failure>,
    /// Tables of either side whose rows another server keeps: nothing is said of them.
    pub elsewhere: Vec<String>,
    /// Partitions that came after the capture of a prefix: nothing is said of them either.
    pub later: BTreeSet<String>,
    /// Tables that only one side has, or that could not be read, and columns of one side: what belongs to them has been said with them.
    pub said: differences::Told,
    /// Whether the restore is of a moment before the capture's end: then sequences had not come as far.
    pub is_earlier: bool,
    /// Whether an earlier version of ours made the manifest of PostgreSQL, which put constraints into the server's own words.
    pub is_of_earlier_version: bool,
    /// Rows that a log names as written in between, where there is one, and the bounds that they are judged by.
    pub touched: (Option<Touched>, Bounds),
}

/// What is known of a table's rows.
#[derive(Default)]
struct Told {
    counts: Counts,
    /// At most [`NAMED_ROWS`].
    differences: Vec<Difference>,
    /// Ranges whose rows could not be told apart.
    unnamed: Vec<Range>,
    /// Apart from all these, what a log names as written in between.
    between: Counts,
    /// The same, at most [`NAMED_ROWS`].
    written: Vec<Difference>,
}

impl Told {
    /// Where no row can be equal: those that are there under their keys count, and are not told one by one; those that are gone or surplus
    /// by their keys are. Where keys say nothing, the numbers of rows do.
    fn as_one(&mut self, expected: u64, read: u64) {
        self.counts.merge(&std::mem::take(&mut self.between));
        self.differences.append(&mut self.written);
        let is_row = |difference: &Difference| matches!(difference, Difference::Row { .. });
        let explained = self.counts.indeterminate == 0 && self.unnamed.is_empty() && self.differences.iter().all(is_row);
        if explained && self.counts.mismatch > 0 {
            self.differences.retain(|difference| !matches!(difference, Difference::Row { class: Class::Mismatch, .. }));
        } else {
            *self = Self { counts: columns::none_equal(expected, read), ..Self::default() };
        }
    }
}

impl Run<'_> {
    /// A merge of two name-sorted lists; `Err` only for evidence that does not hold.
    pub async fn all(&mut self, db: &mut Database, expected: BTreeMap<String, Expected>, actual: Vec<Table>) -> Result<(), Failure> {
        let mut actual = actual.into_iter().peekable();
        let mut expected = expected.into_iter().peekable();
        loop {
            if self.result.cut_short.is_some() {
                expected.for_each(|(_, before)| self.not_reached(before.rows()));
                return Ok(());
            }
            let order = match (expected.peek(), actual.peek()) {
                (None, None) => return Ok(()),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some((name, _)), Some(table)) => name.as_bytes().cmp(table.name.as_bytes()),
            };
            let before = if order.is_le() { expected.next() } else { None };
            let table = if order.is_ge() { actual.next() } else { None };
            match (before, table) {
                (Some((name, before)), Some(table)) => Box::pin(self.table(db, &name, &before, &table)).await?,
                (Some((name, before)), None) => self.missing(&name, before.rows()),
                (None, Some(table)) => self.extra(db, &table).await,
                (None, None) => return Ok(()),
            }
        }
    }

    /// Counts a table of the manifest that the reading did not come to: what is expected does not shrink to what was reached.
    fn not_reached(&mut self, rows: u64) {
        self.tables.add(Class::Unreadable);
        self.rows.add_many(Class::Unreadable, rows);
        if let Some(failure) = &self.result.cut_short {
            *self.result.unread.entry(failure.kind).or_default() += 1;
        }
    }

    fn missing(&mut self, name: &str, rows: u64) {
        // Who is not shown every table cannot tell one that is gone from one that is withheld.
        if let Some(failure) = self.partial_sight.as_ref().map(|failure| Failure::new(failure.kind, failure.message.clone())) {
            return self.unreadable(name, rows, 0, &failure);
        }
        let class = self.class(Class::Missing);
        self.said.tables.insert(name.to_owned());
        self.tables.add(class);
        self.rows.add_many(class, rows);
        self.find(class, Kind::Table, Place::Key(name.to_owned()), Some(format!("{rows} rows")), None);
    }

    async fn extra(&mut self, db: &mut Database, table: &Table) {
        let class = self.class(Class::Extra);
        self.unseen();
        self.said.tables.insert(table.name.clone());
        self.tables.add(class);
        let (rows, whole) = scan::count(db, table, &self.keys).await;
        let found = if whole { format!("{rows} rows") } else { format!("at least {rows} rows") };
        self.rows.add_many(class, rows);
        self.find(class, Kind::Table, Place::Key(table.name.clone()), None, Some(found));
    }

    /// What a table counts as that only one side has, or that is defined otherwise: it has no stamp.
    pub fn class(&self, class: Class) -> Class {
        self.bounds.map_or(class, |bounds| bounds.class(class, None))
    }

    async fn table(&mut self, db: &mut Database, name: &str, before: &Expected, table: &Table) -> Result<(), Failure> {
        if let Some(failure) = if self.partial_sight.is_some() { db.withheld(table).await } else { None } {
            self.unreadable(name, before.rows(), 0, &failure);
            return Ok(());
        }
        if let Some(column) = self.scope.watermark_lost(table) {
            let said = format!("the column {column}, up to which the manifest speaks of it, is not there");
            self.unreadable(name, before.rows(), 0, &Failure::new(FailureKind::Remote, said));
            return Ok(());
        }
        let described = self.described.get(name).cloned();
        let common = described.as_ref().map(|before| Common::of_manifest(before, table)).unwrap_or_default();
        let mut part = if described.is_some() { common.part_of(table) } else { table.clone() };
        let meaning = self.scope.meaning(&mut part, described.as_ref());
        let keyed = common.lost.is_empty() || !common.key.is_empty();
        let ranges = (before.kind == LeafKind::Range && keyed).then(|| self.scope.ranges.get(name).cloned()).flatten();
        let order = ranges.as_ref().map(|ranges| &ranges.order);
        let form = if before.kind == LeafKind::Sum { Form::Sums } else { Form::Sorted };
        let way = Way { keys: &self.keys, form, order, budget: Allowance::new(scan::BUDGET), notes: (Sidecar::Hashes, 0) };
        let read = match Box::pin(scan::scan(db, (&part, &meaning), way, self.kept.as_mut(), self.monitor)).await {
            Ok(read) => read,
            Err(ReadError { rows, cause: Cause::Stopped(failure) }) => {
                self.result.was_read("rows", rows);
                self.result.cut_short = Some(failure);
                self.not_reached(before.rows());
                return Ok(());
            }
            Err(ReadError { rows, cause: Cause::Unreadable(failure) }) => {
                self.result.was_read("rows", rows);
                self.unreadable(name, before.rows(), rows, &failure);
                return Ok(());
            }
        };
        self.result.bytes_checked += read.bytes;
        self.result.was_read("tables", 1);
        self.result.was_read("rows", read.fingerprint.rows());
        let same_schema = match meaning {
            Meaning::Exact => {
                let in_earlier_words = described.as_ref().filter(|_| self.is_of_earlier_version);
                before.schema == Some(table.schema_digest()?)
                    || in_earlier_words.is_some_and(|before| columns::is_as_earlier(before, table))
                    || described.as_ref().is_some_and(|described| {
                        before.schema == schema_digest(described).ok() && columns::is_renamed(described, &table.describe())
                    })
            }
            // Across engines only the columns are the same; their own types and constraints are each engine's affair.
            Meaning::Logical(_) => described.as_ref().is_some_and(|before| names_of(before) == names_of(&table.describe())),
        };
        if !same_schema {
            let now = table.describe();
            naming::find_changed(self.monitor, name, described.as_ref(), &now);
            self.said.columns.extend(described.iter().flat_map(|before| lone_columns(name, before, &now)));
        }
        let mut rows = if keyed { self.rows_of(name, before, ranges.as_ref(), &read)? } else { Told::default() };
        if !common.lost.is_empty() || !same_schema && !common.retyped.is_empty() && rows.counts.matched == 0 {
            rows.as_one(before.rows(), read.fingerprint.rows());
            self.say_as_one(name, &common, rows.counts.mismatch);
        }
        let touched = self.touched.0.as_ref().and_then(|touched| touched.of(name)).filter(|_| rows.counts.matched > 0);
        let still = StillThere::among(&read.fingerprint, touched, &rows.differences)?;
        let clean = rows.differences.is_empty() && rows.unnamed.is_empty() && rows.written.is_empty() && still.count == 0;
        let unlike = columns::unlike_in_meaning(&part, &meaning);
        if !clean && !unlike.is_empty() {
            let said = format!(
                "table {name}: types that the manifest takes for others: {}; capture with --type to compare these",
                unlike.join(", ")
            );
            self.monitor.event(Event::Note(&said));
        }
        rows.unnamed.iter().for_each(|range| self.find_range(name, ranges.as_ref(), range));
        // Of a table whose rows a log can name, nothing may have changed that it does not name.
        let is_told = self.touched.0.is_some() && !part.key.is_empty();
        let bounds = self.bounds.map(|bounds| Bounds { may_have_changed: bounds.may_have_changed && !is_told, ..bounds });
        let of = named::Of { table: &part, described: described.as_ref(), order };
        let known = of.known(&mut self.names, rows.differences.iter().chain(&rows.written).chain(&still.rows))?;
        let mut counts = self.tell(db, (&of, &meaning, &known), (&rows.differences, bounds), &rows.counts).await;
        if !rows.written.is_empty() {
            let bounds = Some(self.touched.1);
            counts.merge(&self.tell(db, (&of, &meaning, &known), (&rows.written, bounds), &rows.between).await);
        }
        // Equal to what was captured, and deleted since: no stamp excuses it.
        counts = still.settle(&counts);
        self.tell(db, (&of, &meaning, &known), (&still.rows, None), &still.counts()).await;
        self.rows.merge(&counts);
        let excused = same_schema && !clean && counts.mismatch + counts.missing + counts.extra + counts.future == 0;
        self.tables.add(match (same_schema, clean) {
            (true, true) => Class::Match,
            (false, _) => self.class(Class::SchemaChanged),
            (true, false) if excused && counts.indeterminate == 0 => Class::ChangedBetween,
            (true, false) if excused => Class::Indeterminate,
            (true, false) => Class::Mismatch,
        });
        self.newest(db, &part, same_schema && clean).await;
        Ok(())
    }

    /// Says why rows are counted and not named.
    fn say_as_one(&self, name: &str, common: &Common, rows: u64) {
        let why = match &common.lost[..] {
            [] => format!("the type of {} is another one", common.retyped.join(", ")),
            lost => format!("{} of the manifest is not there", lost.join(", ")),
        };
        if rows > 0 {
            self.monitor.event(Event::Note(&format!("table {name}: {rows} rows count as mismatches and are not named one by one: {why}")));
        }
    }

    /// What the leaves and the sidecar say of the rows that were read.
    fn rows_of(&mut self, name: &str, before: &Expected, ranges: Option<&TableRanges>, read: &Scan) -> Result<Told, Failure> {
        let (mut differences, mut unnamed) = (Vec::new(), Vec::new());
        let (mut between, mut written) = (Counts::default(), Vec::new());
        let touched = self.touched.0.as_ref().and_then(|touched| touched.of(name));
        let sidecar = OfTable { rows: &mut self.sidecar, table: name };
        let mut push = |difference| {
            let of = match &difference {
                Difference::Row { key_hash, class, .. } if touched.is_some_and(|touched| touched.explains(key_hash, *class)) => {
                    between.add(*class);
                    &mut written
                }
                _ => &mut differences,
            };
            if of.len() < NAMED_ROWS {
                of.push(difference);
            }
        };
        let counts = if before.kind == LeafKind::Range {
            let begins = ranges.map_or(&[][..], |ranges| &ranges.begins);
            key_ranges::compare((&before.leaves, begins), sidecar, &read.fingerprint, &mut |told| match told {
                key_ranges::Told::Row(difference) => push(difference),
                key_ranges::Told::Range(range) => unnamed.push(range),
            })
        } else {
            fingerprint::compare(&before.leaves, sidecar, &read.fingerprint, &mut push)
        };
        let counts = counts.map_err(|failure| failure.context(format!("table {name}")))?;
        let mut others = Counts::default();
        for ((class, n), (_, between)) in counts.by_class().into_iter().zip(between.by_class()) {
            others.add_many(class, n.saturating_sub(between));
        }
        Ok(Told { counts: others, differences, unnamed, between, written })
    }

    fn find_range(&self, table: &str, ranges: Option<&TableRanges>, range: &Range) {
        let named = ranges.map_or_else(|| format!("range {}", range.index), |ranges| ranges.name(range.index));
        let (expected, actual) = (Some(format!("{} rows", range.expected)), Some(format!("{} rows", range.actual)));
        self.find(self.class(Class::Mismatch), Kind::Bucket, Place::Bucket(format!("{table} {named}")), expected, actual);
    }

    /// Names rows by what the manifest has of them, those that are there with a second pass over their keys where it has nothing, and others
    /// by their keyed hash; gives the final counts.
    async fn tell(
        &mut self,
        db: &mut Database,
        (of, meaning, known): (&named::Of<'_>, &Meaning, &SeenRows),
        (differences, bounds): (&[Difference], Option<Bounds>),
        counts: &Counts,
    ) -> Counts {
        let table = of.table;
        let (wanted, fields) = named::to_look_up(differences, known, bounds.is_some());
        let look = Look { order: of.order, stamp: bounds.and_then(|_| self.scope.stamp_of(table)), fields };
        let seen = match scan::look_up(db, table, &self.keys, meaning, &look, wanted, self.monitor).await {
            Ok(seen) => seen,
            Err(_) => {
                let said = format!("table {}: rows are named by what the manifest has of them, they could not be read again", table.name);
                self.monitor.event(Event::Note(&said));
                SeenRows::new()
            }
        };
        let columns: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        naming::tell(self.monitor, (&table.name, &columns), differences, (known, &seen), bounds, counts)
    }

    /// Counts a table that was not read to its end, and says after how many rows and why.
    pub fn unreadable(&mut self, name: &str, expected: u64, rows: u64, failure: &Failure) {
        self.tables.add(Class::Unreadable);
        self.said.tables.insert(name.to_owned());
        self.said.unread.insert(name.to_owned());
        self.rows.add_many(Class::Unreadable, expected);
        if failure.kind.is_outside_the_data() {
            *self.result.unread.entry(failure.kind).or_default() += 1;
        }
        let found = format!("{rows} rows, then: {failure}");
        self.find(Class::Unreadable, Kind::Table, Place::Key(name.to_owned()), Some(format!("{expected} rows")), Some(found));
    }

    fn find(&self, class: Class, kind: Kind, place: Place, expected: Option<String>, actual: Option<String>) {
        naming::find(self.monitor, class, kind, place, expected, actual);
    }

    /// The result, after `duration`.
    pub fn finish(mut self, duration: Duration) -> Verification {
        // All that it is shown may be equal, and there may be more.
        self.result.cut_short = self.result.cut_short.or(self.partial_sight);
        self.result.tables = Some(self.tables);
        self.result.rows = Some(self.rows);
        // Of a database that holds nothing any more, nothing was read, whatever what is gone counts as.
        ["tables", "rows"].into_iter().for_each(|kind| self.result.was_read(kind, 0));
        self.result.duration = duration;
        self.result
    }
}

fn names_of(described: &Value) -> Vec<&str> {
    described["columns"].as_array().into_iter().flatten().filter_map(|column| column["name"].as_str()).collect()
}
