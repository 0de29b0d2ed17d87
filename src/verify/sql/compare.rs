//! A database against a manifest: tables by name, rows by bucket and sidecar, findings to the monitor.
//!
//! A table whose stream breaks is `unreadable`, with the rows that had been read; the others are compared all the same. Where the reason
//! lies outside the data, it is counted by that reason, and is no verdict on the table.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::iter::Peekable;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::model::capture::CaptureMode;
use crate::model::clock::Timestamp;
use crate::model::counts::Counts;
use crate::model::failure::{Failure, FailureKind};
use crate::model::finding::{Class, Kind, Place};
use crate::model::source_url::SourceUrl;
use crate::model::verification::Verification;
use crate::monitor::{Event, Monitor};
use crate::signing::hash_key::HashKey;
use crate::verify::differences::Difference;
use crate::verify::fingerprint;
use crate::verify::key_ranges::{self, Range, Told};
use crate::verify::leaf::Form;
use crate::verify::manifest::reader::{Manifest, Rows};
use crate::verify::manifest::row::{LeafKind, SidecarRow};
use crate::verify::sql::access::{Access, database_name};
use crate::verify::sql::canon::RowKeys;
use crate::verify::sql::database::Database;
use crate::verify::sql::definitions::kinds::{self, Change};
use crate::verify::sql::digester::Meaning;
use crate::verify::sql::errors::GIVE_RIGHTS;
use crate::verify::sql::expected::{Expected, check_engine, check_header, expected_tables};
use crate::verify::sql::kept::{self, Kept};
use crate::verify::sql::key_order::KeyOrder;
use crate::verify::sql::naming::{self, Bounds, NAMED_ROWS, Seen, SeenRows};
use crate::verify::sql::not_read;
use crate::verify::sql::of_table::OfTable;
use crate::verify::sql::reading::{Cause, ReadError};
use crate::verify::sql::scan::{self, Look, Scan, Way};
use crate::verify::sql::scope::{Scope, TableRanges};
use crate::verify::sql::table::{Table, schema_difference};
use crate::verify::sql::touched::{self, Reading, Touched, Window};

/// What is known of a restore.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Restored {
    /// The position in time that it was restored to; absent: now.
    pub at: Option<Timestamp>,
    /// Whether it holds nothing younger than `at`, as a restore to a second does. A snapshot may be a little younger than its time.
    pub to_the_second: bool,
    /// The mode that the comparison counts in; absent: the manifest's. Change stamps are consulted only in a bounded one.
    pub mode: Option<CaptureMode>,
    /// Whether the manifest is of another moment: what no change stamp shows to be older than both may have changed in between. The
    /// prefix of an append-only table may not.
    pub of_another_moment: bool,
}

/// Reads every table of `url` and compares it with the manifest; findings go to the monitor. Another hash key is
/// [`FailureKind::Invalid`], never a mismatch.
pub async fn compare(
    url: &SourceUrl,
    access: &Access,
    manifest: &Manifest,
    hash_key: &HashKey,
    monitor: &dyn Monitor,
) -> Result<Verification, Failure> {
    compare_restored(url, access, manifest, hash_key, Restored::default(), monitor).await
}

/// [`compare`] with what is known of the restore.
pub async fn compare_restored(
    url: &SourceUrl,
    access: &Access,
    manifest: &Manifest,
    hash_key: &HashKey,
    restored: Restored,
    monitor: &dyn Monitor,
) -> Result<Verification, Failure> {
    compare_beside(url, access, manifest, hash_key, (restored, None), monitor).await
}

/// The same beside a log of changes, in mode `position-bounded`: rows that it names as written in between are no damage.
pub async fn compare_beside(
    url: &SourceUrl,
    access: &Access,
    manifest: &Manifest,
    hash_key: &HashKey,
    (restored, changes): (Restored, Option<&Path>),
    monitor: &dyn Monitor,
) -> Result<Verification, Failure> {
    let started = Instant::now();
    check_header(manifest, hash_key)?;
    manifest.check_parts()?;
    let expected = expected_tables(manifest)?;
    let header = manifest.header();
    let scope = Scope::of(header.position.as_ref());
    let mode = restored.mode.unwrap_or(header.mode);
    let may_have_changed = restored.of_another_moment && header.mode != CaptureMode::AppendPrefix;
    let bounds = (mode.is_bounded() && (scope.stamp.is_some() || may_have_changed)).then(|| {
        let (at, now) = (restored.at.unwrap_or_else(Timestamp::now), Timestamp::now());
        let bounds = Bounds::new(header.captured_start.0, at.0, scope.longest_transaction);
        let youngest = if restored.at.is_some() && restored.to_the_second { at } else { now.max(at) };
        Bounds { restored: youngest.0, may_have_changed, ..bounds }
    });
    let mut run = Run {
        scope,
        bounds,
        keys: RowKeys::new(hash_key),
        monitor,
        described: header.position.as_ref().and_then(|position| position.get("tables")).cloned().unwrap_or_default(),
        sidecar: manifest.sidecar().peekable(),
        result: Verification::empty(mode),
        tables: Counts::default(),
        rows: Counts::default(),
        kept: None,
        partial_sight: None,
        lone: BTreeSet::new(),
        touched: (None, named(bounds)),
    };
    let opened = match Database::open(url, access).await {
        Ok(mut db) => match db.tables().await {
            Ok(tables) => Ok((db, tables)),
            Err(failure) => Err(failure),
        },
        Err(failure) => Err(failure),
    };
    match opened {
        Ok((mut db, tables)) => {
            run.result.first_read_after = Some(started.elapsed());
            check_engine(manifest, db.engine().name)?;
            if let Some(dir) = &access.state {
                let of = json!({"manifest": manifest.digest()});
                let purpose = kept::purpose(&url.to_string(), &header.encoding, hash_key, of);
                run.kept = Kept::open(dir, purpose, db.standing().await, hash_key, monitor)?;
            }
            run.result.left_out.extend(not_read::beyond(&run.scope, &tables, header.position.as_ref()));
            let tables = run.scope.apply(db.engine().name, tables);
            if let Some(log) = changes {
                run.load(log, (manifest, restored), &tables)?;
            }
            run.partial_sight = db.partial_sight().await?;
            run.all(&mut db, expected, tables).await?;
            run.definitions(&mut db, header.position.as_ref()).await;
            db.close().await;
        }
        // A file that is no database is a verdict on the restored file, not an error of ours.
        Err(failure) if failure.kind == FailureKind::Remote && matches!(url, SourceUrl::Sqlite { .. }) => {
            for (name, table) in &expected {
                run.unreadable(name, table.rows(), 0, &failure);
            }
        }
        Err(failure) => return Err(failure),
    }
    if let Some(kept) = run.kept.take().filter(|_| run.result.cut_short.is_none()) {
        kept.finish()?;
    }
    Ok(run.finish(started.elapsed()))
}

/// What rows are judged by that a log names: of their stamps only that they are not younger than the restore.
fn named(bounds: Option<Bounds>) -> Bounds {
    Bounds { named: true, ..bounds.unwrap_or(Bounds::new(0, i64::MAX, 0)) }
}

/// The comparison with a backup that did not come back at all: every table that the manifest knows is unreadable, for this reason.
pub fn unreadable(manifest: &Manifest, hash_key: &HashKey, why: &str, monitor: &dyn Monitor) -> Result<Verification, Failure> {
    let started = Instant::now();
    check_header(manifest, hash_key)?;
    manifest.check_parts()?;
    let expected = expected_tables(manifest)?;
    let mut run = Run {
        scope: Scope::of(manifest.header().position.as_ref()),
        bounds: None,
        keys: RowKeys::new(hash_key),
        monitor,
        described: Value::Null,
        sidecar: manifest.sidecar().peekable(),
        result: Verification::empty(manifest.header().mode),
        tables: Counts::default(),
        rows: Counts::default(),
        kept: None,
        partial_sight: None,
        lone: BTreeSet::new(),
        touched: (None, named(None)),
    };
    let failure = Failure::new(FailureKind::Remote, why);
    for (name, table) in &expected {
        run.unreadable(name, table.rows(), 0, &failure);
    }
    Ok(run.finish(started.elapsed()))
}

/// Counts and differences of a table's rows.
type OfRows = (Counts, Vec<Difference>, Vec<Range>, (Counts, Vec<Difference>));

struct Run<'a> {
    scope: Scope,
    bounds: Option<Bounds>,
    keys: RowKeys,
    monitor: &'a dyn Monitor,
    described: Value,
    sidecar: Peekable<Rows<SidecarRow>>,
    result: Verification,
    tables: Counts,
    rows: Counts,
    kept: Option<Kept>,
    /// Why the reader is not shown every table.
    partial_sight: Option<Failure>,
    /// Tables that only one side has, or that could not be read: what belongs to them has been said with them.
    lone: BTreeSet<String>,
    /// Rows that a log names as written in between, and the bounds that they are judged by.
    touched: (Option<Touched>, Bounds),
}

impl Run<'_> {
    /// Reads a log of changes.
    fn load(&mut self, log: &Path, (manifest, restored): (&Manifest, Restored), tables: &[Table]) -> Result<(), Failure> {
        let header = manifest.header();
        let mut known = tables.to_vec();
        let meanings: Vec<Meaning> =
            known.iter_mut().map(|table| self.scope.meaning(table, self.described.get(&table.name).cloned().as_ref())).collect();
        let order = |table: &Table| self.scope.ranges.get(&table.name).map(|ranges| &ranges.order);
        let source: Option<SourceUrl> = header.source.parse().ok();
        let database = source.filter(|url| matches!(url, SourceUrl::Mysql { .. })).and_then(|url| database_name(&url).ok());
        let reading = Reading {
            tables: known.iter().zip(meanings).map(|(table, meaning)| (table, meaning, order(table))).collect(),
            keys: &self.keys,
            window: Window::new(header, &self.scope, restored.at, restored.to_the_second),
            database,
        };
        self.touched.0 = Some(touched::load(log, reading, self.monitor)?);
        Ok(())
    }

    /// A merge of two name-sorted lists; `Err` only for evidence that does not hold.
    async fn all(&mut self, db: &mut Database, expected: BTreeMap<String, Expected>, actual: Vec<Table>) -> Result<(), Failure> {
        let mut actual = actual.into_iter().peekable();
        let mut expected = expected.into_iter().peekable();
        loop {
            if self.result.cut_short.is_some() {
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
                (Some((name, before)), Some(table)) => self.table(db, &name, &before, &table).await?,
                (Some((name, before)), None) => self.missing(&name, before.rows()),
                (None, Some(table)) => self.extra(db, &table).await,
                (None, None) => return Ok(()),
            }
        }
    }

    fn missing(&mut self, name: &str, rows: u64) {
        // Who is not shown every table cannot tell one that is gone from one that is withheld.
        if let Some(failure) = self.partial_sight.as_ref().map(|failure| Failure::new(failure.kind, failure.message.clone())) {
            return self.unreadable(name, rows, 0, &failure);
        }
        let class = self.class(Class::Missing);
        self.lone.insert(name.to_owned());
        self.tables.add(class);
        self.rows.add_many(class, rows);
        self.find(class, Kind::Table, Place::Key(name.to_owned()), Some(format!("{rows} rows")), None);
    }

    async fn extra(&mut self, db: &mut Database, table: &Table) {
        let class = self.class(Class::Extra);
        self.lone.insert(table.name.clone());
        self.tables.add(class);
        let (rows, whole) = scan::count(db, table, &self.keys).await;
        let found = if whole { format!("{rows} rows") } else { format!("at least {rows} rows") };
        self.rows.add_many(class, rows);
        self.find(class, Kind::Table, Place::Key(table.name.clone()), None, Some(found));
    }

    /// What a table counts as that only one side has, or that is defined otherwise: it has no stamp.
    fn class(&self, class: Class) -> Class {
        self.bounds.map_or(class, |bounds| bounds.class(class, None))
    }

    async fn table(&mut self, db: &mut Database, name: &str, before: &Expected, table: &Table) -> Result<(), Failure> {
        if let Some(failure) = if self.partial_sight.is_some() { db.withheld(table).await } else { None } {
            self.unreadable(name, before.rows(), 0, &failure);
            return Ok(());
        }
        let mut table = table.clone();
        let described = self.described.get(name).cloned();
        let meaning = self.scope.meaning(&mut table, described.as_ref());
        let ranges = (before.kind == LeafKind::Range).then(|| self.scope.ranges.get(name).cloned()).flatten();
        let order = ranges.as_ref().map(|ranges| &ranges.order);
        let form = if before.kind == LeafKind::Sum { Form::Sums } else { Form::Sorted };
        let way = Way { keys: &self.keys, form, order, budget: scan::BUDGET };
        let read = match scan::scan(db, (&table, &meaning), way, self.kept.as_mut(), self.monitor).await {
            Ok(read) => read,
            Err(ReadError { cause: Cause::Stopped(failure), .. }) => {
                self.result.cut_short = Some(failure);
                return Ok(());
            }
            Err(ReadError { rows, cause: Cause::Unreadable(failure) }) => {
                self.unreadable(name, before.rows(), rows, &failure);
                return Ok(());
            }
        };
        self.result.bytes_checked += read.bytes;
        let same_schema = match meaning {
            Meaning::Exact => before.schema == Some(table.schema_digest()?),
            // Across engines only the columns are the same; their own types and constraints are each engine's affair.
            Meaning::Logical(_) => described.as_ref().is_some_and(|before| names_of(before) == names_of(&table.describe())),
        };
        let (counts, differences, unnamed, between) = self.rows_of(name, before, ranges.as_ref(), &read)?;
        if !same_schema {
            let (expected, actual) = schema_difference(described.as_ref(), &table.describe());
            self.find(Class::SchemaChanged, Kind::Table, Place::Key(name.to_owned()), Some(expected), Some(actual));
        }
        // Of a table whose rows a log can name, nothing may have changed that it does not name.
        let is_told = self.touched.0.is_some() && !table.key.is_empty();
        let bounds = self.bounds.map(|bounds| Bounds { may_have_changed: bounds.may_have_changed && !is_told, ..bounds });
        let clean = differences.is_empty() && unnamed.is_empty() && between.1.is_empty();
        // Other columns make every row another one: the table has been named, and a million rows would add nothing.
        let counts = if same_schema || counts.matched > 0 {
            unnamed.iter().for_each(|range| self.find_range(name, ranges.as_ref(), range));
            let mut told = self.tell(db, (&table, &meaning, order), (&differences, bounds), &counts).await;
            if !between.1.is_empty() {
                told.merge(&self.tell(db, (&table, &meaning, order), (&between.1, Some(self.touched.1)), &between.0).await);
            }
            told
        } else {
            naming::settled(&counts, &Counts::default(), &[], bounds)
        };
        self.rows.merge(&counts);
        let excused = same_schema && !clean && counts.mismatch + counts.missing + counts.extra + counts.future == 0;
        self.tables.add(match (same_schema, clean) {
            (true, true) => Class::Match,
            (false, _) => self.class(Class::SchemaChanged),
            (true, false) if excused && counts.indeterminate == 0 => Class::ChangedBetween,
            (true, false) if excused => Class::Indeterminate,
            (true, false) => Class::Mismatch,
        });
        Ok(())
    }

    /// The counts, the differences (at most [`NAMED_ROWS`]), the ranges whose rows could not be told apart, and apart from these what a log
    /// names as written in between.
    fn rows_of(&mut self, name: &str, before: &Expected, ranges: Option<&TableRanges>, read: &Scan) -> Result<OfRows, Failure> {
        let (mut differences, mut unnamed) = (Vec::new(), Vec::new());
        let (mut between, mut written) = (Counts::default(), Vec::new());
        let touched = self.touched.0.as_ref().and_then(|touched| touched.of(name));
        let sidecar = OfTable { rows: &mut self.sidecar, table: name };
        let mut push = |difference| {
            let of = match &difference {
                Difference::Row { key_hash, class, .. } if touched.is_some_and(|touched| touched.holds(key_hash)) => {
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
                Told::Row(difference) => push(difference),
                Told::Range(range) => unnamed.push(range),
            })
        } else {
            fingerprint::compare(&before.leaves, sidecar, &read.fingerprint, &mut push)
        };
        let counts = counts.map_err(|failure| failure.context(format!("table {name}")))?;
        let mut others = Counts::default();
        for ((class, n), (_, between)) in counts.by_class().into_iter().zip(between.by_class()) {
            others.add_many(class, n.saturating_sub(between));
        }
        Ok((others, differences, unnamed, (between, written)))
    }

    fn find_range(&self, table: &str, ranges: Option<&TableRanges>, range: &Range) {
        let named = ranges.map_or_else(|| format!("range {}", range.index), |ranges| ranges.name(range.index));
        let (expected, actual) = (Some(format!("{} rows", range.expected)), Some(format!("{} rows", range.actual)));
        self.find(self.class(Class::Mismatch), Kind::Bucket, Place::Bucket(format!("{table} {named}")), expected, actual);
    }

    /// Names the rows that are there with a second pass over their keys, the others by their keyed hash; gives the final counts.
    async fn tell(
        &mut self,
        db: &mut Database,
        (table, meaning, order): (&Table, &Meaning, Option<&KeyOrder>),
        (differences, bounds): (&[Difference], Option<Bounds>),
        counts: &Counts,
    ) -> Counts {
        let there = |difference: &Difference| match difference {
            Difference::Row { key_hash, actual: Some(_), .. } => Some(*key_hash),
            _ => None,
        };
        let wanted: HashSet<[u8; 8]> = differences.iter().filter_map(there).collect();
        // A key's place in its order is the key: nothing has to be looked up, of rows that are gone either.
        let by_place = |difference: &Difference| match (difference, order) {
            (Difference::Row { key_hash, .. }, Some(order)) => Some((*key_hash, Seen { name: order.name(*key_hash), ..Seen::default() })),
            _ => None,
        };
        let before: SeenRows = differences.iter().filter_map(by_place).collect();
        let wanted = if order.is_some() && bounds.is_none() { HashSet::new() } else { wanted };
        let look = Look { order, stamp: bounds.and_then(|_| self.scope.stamp_of(table)), fields: false };
        let seen = match scan::look_up(db, table, &self.keys, meaning, &look, wanted, self.monitor).await {
            Ok(seen) => seen,
            Err(_) => {
                let said = format!("table {}: rows are named by their hashes, their keys could not be read again", table.name);
                self.monitor.event(Event::Note(&said));
                SeenRows::new()
            }
        };
        naming::tell(self.monitor, (&table.name, &[]), differences, (&before, &seen), bounds, counts)
    }

    /// What is defined beside tables, as far as both sides show it; within one engine only.
    async fn definitions(&mut self, db: &mut Database, position: Option<&Value>) {
        let before = position.map(|position| &position["definitions"]).filter(|before| before.is_object());
        let (Some(before), None) = (before, &self.scope.logical) else { return };
        if self.result.cut_short.is_some() {
            return;
        }
        let (engine, own) = (position.and_then(|position| position["engine"].as_str()).unwrap_or_default(), db.engine().name);
        if engine != own {
            let said =
                format!("the manifest is of {engine} and this is {own}: each words definitions in its own way, they are not compared");
            self.monitor.event(Event::Note(&said));
            return;
        }
        match db.definitions().await {
            Ok(now) => {
                let hidden =
                    kinds::hidden_before(before).map(|hidden| format!("not in the manifest, whose reader was not shown it: {hidden}"));
                self.result.left_out.extend(hidden);
                if let Some(unseen) = kinds::unseen(before, &now).filter(|_| self.partial_sight.is_none()) {
                    let said = format!("in the manifest, and not shown to this reader in full: {unseen}");
                    self.result.cut_short = Some(Failure::new(FailureKind::Denied, said).hint(GIVE_RIGHTS));
                }
                let mut counts = kinds::equal(before, &now);
                for Change { what, before: expected, now: actual } in kinds::changes(before, &now, &self.lone) {
                    let is_extra = expected == kinds::ABSENT;
                    counts.add(self.class(if is_extra { Class::Extra } else { Class::SchemaChanged }));
                    self.find(Class::SchemaChanged, Kind::Table, Place::Key(what), Some(expected), Some(actual));
                }
                self.result.definitions = Some(counts);
            }
            // A right, a lock or a connection: what was compared stands, and the rest was not looked at.
            Err(failure) if failure.kind.is_outside_the_data() => {
                self.result.cut_short = Some(failure.context("what is defined beside tables"));
            }
            Err(failure) => {
                let mut counts = Counts::default();
                counts.add(Class::Unreadable);
                self.result.definitions = Some(counts);
                let found = Some(failure.message);
                self.find(Class::Unreadable, Kind::Table, Place::Key("definitions".into()), None, found);
            }
        }
    }

    fn unreadable(&mut self, name: &str, expected: u64, rows: u64, failure: &Failure) {
        self.tables.add(Class::Unreadable);
        self.lone.insert(name.to_owned());
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

    fn finish(mut self, duration: Duration) -> Verification {
        // All that it is shown may be equal, and there may be more.
        self.result.cut_short = self.result.cut_short.or(self.partial_sight);
        self.result.tables = Some(self.tables);
        self.result.rows = Some(self.rows);
        self.result.duration = duration;
        self.result
    }
}

fn names_of(described: &Value) -> Vec<&str> {
    described["columns"].as_array().into_iter().flatten().filter_map(|column| column["name"].as_str()).collect()
}
