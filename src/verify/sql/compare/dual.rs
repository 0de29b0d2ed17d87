//! Two databases against each other: two restores of one point, a restore and a copy, or two engines by logical types.
//!
//! Both sides are at hand, so that every differing row is named and the columns that differ are too. Faults that both sides share stay
//! unseen: that is what mode `dual-path` says.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::model::capture::CaptureMode;
use crate::model::counts::Counts;
use crate::model::failure::{Failure, FailureKind};
use crate::model::finding::{Class, Kind, Place};
use crate::model::not_compared;
use crate::model::source_url::SourceUrl;
use crate::model::verification::Verification;
use crate::monitor::{Event, Monitor};
use crate::signing::hash_key::HashKey;
use crate::verify::allowance::Allowance;
use crate::verify::differences::Difference;
use crate::verify::fingerprint;
use crate::verify::leaf::{Form, Leaf};
use crate::verify::manifest::request::Sidecar;
use crate::verify::sql::compare::baseline::other_version;
use crate::verify::sql::compare::beside;
use crate::verify::sql::compare::columns::{Common, is_renamed, not_as_a_whole};
use crate::verify::sql::connect::access::Access;
use crate::verify::sql::connect::errors::GIVE_RIGHTS;
use crate::verify::sql::database::Database;
use crate::verify::sql::declared;
use crate::verify::sql::definitions::differences::{self, Told};
use crate::verify::sql::definitions::kinds::in_one_line;
use crate::verify::sql::definitions::not_carried;
use crate::verify::sql::naming::{NAMED_ROWS, SeenRows, find, find_changed, tell};
use crate::verify::sql::not_read::NotRead;
use crate::verify::sql::position;
use crate::verify::sql::reading::{Cause, ReadError};
use crate::verify::sql::rows::digester::Meaning;
use crate::verify::sql::rows::logical::LogicalType;
use crate::verify::sql::rows::row_keys::RowKeys;
use crate::verify::sql::rows::table::{Table, lone_columns};
use crate::verify::sql::scan::{self, Look, Scan, Wanted, Way};

/// Logical types that the operator declares, by `TABLE.COLUMN`.
pub type Declared = BTreeMap<String, LogicalType>;

/// One side.
pub struct Side<'a> {
    /// Where it is.
    pub url: &'a SourceUrl,
    /// How it is reached.
    pub access: &'a Access,
}

/// Compares the rows of `checked` with those of `baseline`; with `declared` by logical types, else exactly. Findings go to the monitor.
pub async fn against(
    checked: Side<'_>,
    baseline: Side<'_>,
    hash_key: &HashKey,
    declared: Option<&Declared>,
    monitor: &dyn Monitor,
) -> Result<Verification, Failure> {
    let started = Instant::now();
    let mut now = Database::open(checked.url, checked.access).await?;
    let mut before = Database::open(baseline.url, baseline.access).await?;
    let (one, other) = (now.identity().await, before.identity().await);
    if one.is_some() && one == other {
        return Err(Failure::invalid(format!(
            "{} and {} are the same database: that it is equal to itself proves nothing",
            checked.url, baseline.url
        ))
        .hint("name two restores, or a restore and a copy"));
    }
    for db in [&mut now, &mut before] {
        if let Some(failure) = db.partial_sight().await? {
            return Err(failure);
        }
    }
    let (now_tables, before_tables) = (now.tables().await?, before.tables().await?);
    if let Some(declared) = declared {
        declared::types(declared, before_tables.iter().chain(&now_tables))?;
    }
    let positions = (now.position().await, before.position().await);
    if declared.is_none() && now.engine().name != before.engine().name {
        let message = format!(
            "{} is {}, {} is {}: exact rows of two engines are never equal",
            checked.url,
            now.engine().name,
            baseline.url,
            before.engine().name
        );
        return Err(Failure::invalid(message).hint("compare them by logical types: --logical"));
    }
    let of_baseline = (before.engine().name, before.engine().version.as_str());
    if let Some(said) = other_version(&checked.url.to_string(), now.engine(), of_baseline) {
        monitor.event(Event::Note(&said));
    }
    let mut run = Run {
        keys: RowKeys::new(hash_key),
        monitor,
        declared,
        result: Verification::empty(CaptureMode::DualPath),
        tables: Counts::default(),
        rows: Counts::default(),
        told: Told::default(),
        doubts: Vec::new(),
    };
    run.result.first_read_after = Some(started.elapsed());
    let mut left: BTreeMap<Vec<u8>, Table> = now_tables.into_iter().map(|table| (table.name.clone().into_bytes(), table)).collect();
    for table in before_tables {
        if run.result.cut_short.is_some() {
            run.not_reached();
            continue;
        }
        match left.remove(table.name.as_bytes()) {
            Some(other) => run.table(&mut before, table, &mut now, other).await?,
            None => run.only_there(&mut before, &table, Class::Missing).await,
        }
    }
    for table in left.into_values() {
        if run.result.cut_short.is_none() {
            run.only_there(&mut now, &table, Class::Extra).await;
        }
    }
    if declared.is_none() && run.result.cut_short.is_none() {
        run.definitions(&mut before, &mut now).await;
    }
    if declared.is_some() {
        run.result.left_out.push(not_compared::BY_MEANING.to_owned());
        run.result.not_compared.insert(not_compared::DEFINITIONS, not_compared::BY_MEANING);
    }
    for (side, db) in [("checked", &mut now), ("baseline", &mut before)] {
        let content = if run.result.cut_short.is_none() { NotRead::of(db).await?.content() } else { None };
        run.result.left_out.extend(content.map(|content| format!("{side}: what is not read: {content}")));
    }
    for (side, first, db) in [(&checked, &positions.0, &mut now), (&baseline, &positions.1, &mut before)] {
        if let Some(last) = db.moved_since(first).await {
            monitor.event(Event::Note(&position::moved(&side.url.to_string(), first, &last)));
        }
    }
    run.doubts.extend([now.two_states(), before.two_states()].into_iter().flatten());
    now.close().await;
    before.close().await;
    ["tables", "rows"].into_iter().for_each(|kind| run.result.was_read(kind, 0));
    run.result.tables = Some(run.tables);
    run.result.rows = Some(run.rows);
    run.result.duration = started.elapsed();
    run.doubts.into_iter().for_each(|failure| run.result.doubt(failure));
    Ok(run.result)
}

struct Run<'a> {
    keys: RowKeys,
    monitor: &'a dyn Monitor,
    declared: Option<&'a Declared>,
    result: Verification,
    tables: Counts,
    rows: Counts,
    /// Tables and columns that only one side has.
    told: Told,
    /// Why nothing that is equal may pass.
    doubts: Vec<Failure>,
}

impl Run<'_> {
    /// Counts a table of the baseline that the reading did not come to; how many rows it has is not known.
    fn not_reached(&mut self) {
        self.tables.add(Class::Unreadable);
        if let Some(failure) = &self.result.cut_short {
            *self.result.unread.entry(failure.kind).or_default() += 1;
        }
    }

    async fn only_there(&mut self, db: &mut Database, table: &Table, class: Class) {
        self.tables.add(class);
        self.told.tables.insert(table.name.clone());
        let (rows, whole) = scan::count(db, table, &self.keys).await;
        self.rows.add_many(class, rows);
        let found = if whole { format!("{rows} rows") } else { format!("at least {rows} rows") };
        let (expected, actual) = if class == Class::Missing { (Some(found), None) } else { (None, Some(found)) };
        find(self.monitor, class, Kind::Table, Place::Key(table.name.clone()), expected, actual);
    }

    /// What is defined beside tables, as far as both sides show it.
    async fn definitions(&mut self, before: &mut Database, now: &mut Database) {
        let both = match before.definitions().await {
            Ok(before) => now.definitions().await.map(|now| (before, now)),
            Err(failure) => Err(failure),
        };
        match both {
            Ok((before, now)) => {
                for (side, shown) in [("checked", &now), ("baseline", &before)] {
                    let said = |hidden| format!("{side}: not shown to the reader in full: {hidden}");
                    self.result.left_out.extend(shown.hidden().map(said));
                    // Few are shown the rights of others; all else is what a restore may have lost.
                    let rest = in_one_line(shown.not_shown().filter(|(kind, _)| !not_compared::RARELY_SHOWN.contains(kind)));
                    let denied = rest.map(|rest| Failure::new(FailureKind::Denied, said(rest)).hint(GIVE_RIGHTS));
                    self.doubts.extend(denied);
                    if shown.not_shown().any(|(kind, _)| not_compared::RARELY_SHOWN.contains(&kind)) {
                        self.result.not_compared.insert(not_compared::GRANTS, not_compared::NOT_SHOWN_TO_ONE);
                    }
                }
                let before = before.to_value();
                self.result.left_out.extend(not_carried::said(&before, &now));
                let counts = beside::tell(self.monitor, (&before, &now), &self.told, |class| class);
                self.result.unread_definitions = counts.unreadable;
                self.result.was_read("definitions", differences::shown(&before, &now));
                self.result.definitions = Some(counts);
            }
            Err(failure) => beside::not_read(self.monitor, None, failure, &mut self.result),
        }
    }

    async fn table(&mut self, before: &mut Database, expected: Table, now: &mut Database, actual: Table) -> Result<(), Failure> {
        let name = expected.name.clone();
        let common = Common::of_tables(&expected, &actual, self.declared.is_none());
        let same_schema = match self.declared {
            Some(_) => common.lost.is_empty() && common.columns.len() == actual.columns.len(),
            None => is_renamed(&expected.describe(), &actual.describe()),
        };
        if !same_schema {
            let (before, now) = (expected.describe(), actual.describe());
            find_changed(self.monitor, &name, Some(&before), &now);
            self.told.columns.extend(lone_columns(&name, &before, &now));
        }
        let (mut expected, mut actual) = (common.part_of(&expected), common.part_of(&actual));
        if self.declared.is_some() {
            [&mut expected, &mut actual].into_iter().for_each(Table::read_in_utf8);
        }
        let meaning = self.meaning(&expected, &actual);
        let Some(old) = self.scan(before, &expected, &meaning, None).await else { return Ok(()) };
        let Some(new) = self.scan(now, &actual, &meaning, Some(old.fingerprint.rows())).await else { return Ok(()) };
        self.result.bytes_checked += old.bytes + new.bytes;
        self.result.was_read("tables", 1);
        self.result.was_read("rows", new.fingerprint.rows());
        let leaves: Vec<Leaf> = old.fingerprint.leaves().collect::<Result<_, _>>()?;
        let mut differences = Vec::new();
        let counts = fingerprint::compare(&leaves, old.fingerprint.sidecar(), &new.fingerprint, &mut |difference| {
            if differences.len() < NAMED_ROWS {
                differences.push(difference);
            }
        })?;
        self.tables.add(match (same_schema, differences.is_empty()) {
            (true, true) => Class::Match,
            (false, _) => Class::SchemaChanged,
            (true, false) => Class::Mismatch,
        });
        let seen_before = self.look(before, &expected, &meaning, &differences, true).await;
        let seen_now = self.look(now, &actual, &meaning, &differences, false).await;
        let columns: Vec<&str> = expected.columns.iter().map(|column| column.name.as_str()).collect();
        let mut counts = tell(self.monitor, (&name, &columns), &differences, (&seen_before, &seen_now), None, &counts);
        if !common.lost.is_empty() {
            let (equal, lost) = (counts.matched, common.lost.join(", "));
            counts = not_as_a_whole(&counts);
            let said = format!(
                "table {name}: {equal} rows are equal but for {lost}, which both sides do not have alike: they count as mismatches"
            );
            self.monitor.event(Event::Note(&said));
        }
        self.rows.merge(&counts);
        Ok(())
    }

    /// What the columns mean, which have the same names on both sides.
    fn meaning(&self, expected: &Table, actual: &Table) -> Meaning {
        let Some(declared) = self.declared else { return Meaning::Exact };
        let mut kinds = Vec::new();
        for (before, now) in expected.columns.iter().zip(&actual.columns) {
            let own = declared.get(&format!("{}.{}", expected.name, before.name)).copied();
            let (one, other) = (LogicalType::of(before), LogicalType::of(now));
            let kind = own.or_else(|| one.join(other)).unwrap_or_else(|| {
                let said = format!(
                    "table {}: column {} is {one} on one side and {other} on the other: compared as stored",
                    expected.name, before.name
                );
                self.monitor.event(Event::Note(&said));
                LogicalType::AsStored
            });
            kinds.push(kind);
        }
        Meaning::Logical(kinds)
    }

    /// The fingerprint of one side; nothing where the table cannot be read, which has been told. `expected` is the number of rows of
    /// the baseline, where this is the other side.
    async fn scan(&mut self, db: &mut Database, table: &Table, meaning: &Meaning, expected: Option<u64>) -> Option<Scan> {
        let way = Way {
            keys: &self.keys,
            form: Form::Sorted,
            order: None,
            budget: Allowance::new(scan::BUDGET / 2),
            notes: (Sidecar::Hashes, 0),
        };
        match Box::pin(scan::scan(db, (table, meaning), way, None, self.monitor)).await {
            Ok(read) => Some(read),
            Err(ReadError { cause: Cause::Stopped(failure), .. }) => {
                self.result.cut_short = Some(failure);
                self.not_reached();
                self.rows.add_many(Class::Unreadable, expected.unwrap_or(0));
                None
            }
            Err(ReadError { rows, cause: Cause::Unreadable(failure) }) => {
                self.tables.add(Class::Unreadable);
                self.told.tables.insert(table.name.clone());
                self.told.unread.insert(table.name.clone());
                self.rows.add_many(Class::Unreadable, expected.unwrap_or(rows).max(1));
                if failure.kind.is_outside_the_data() {
                    *self.result.unread.entry(failure.kind).or_default() += 1;
                }
                let told = format!("{rows} rows, then: {failure}");
                let (there, here) = match expected {
                    None => (Some(told), None),
                    Some(expected) => (Some(format!("{expected} rows")), Some(told)),
                };
                find(self.monitor, Class::Unreadable, Kind::Table, Place::Key(table.name.clone()), there, here);
                None
            }
        }
    }

    /// The differing rows of one side once more, whole.
    async fn look(&self, db: &mut Database, table: &Table, meaning: &Meaning, differences: &[Difference], baseline: bool) -> SeenRows {
        let wanted: Wanted = differences
            .iter()
            .filter_map(|difference| match difference {
                Difference::Row { key_hash, expected, actual, .. } => {
                    (if baseline { *expected } else { *actual }).map(|row| (*key_hash, row))
                }
                Difference::Bucket { .. } => None,
            })
            .collect();
        match scan::look_up(db, table, &self.keys, meaning, &Look { order: None, stamp: None, fields: true }, wanted, self.monitor).await {
            Ok(seen) => seen,
            Err(_) => {
                let said = format!("table {}: rows are named by their hashes, they could not be read again", table.name);
                self.monitor.event(Event::Note(&said));
                SeenRows::new()
            }
        }
    }
}
