//! A database against a manifest: what is known of the two before the first row is read, and what there is to say where none can be.
//!
//! Not here: how tables are compared (`tables`), and two databases at hand (`dual`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use crate::model::capture::CaptureMode;
use crate::model::clock::Timestamp;
use crate::model::counts::Counts;
use crate::model::failure::{Failure, FailureKind};
use crate::model::not_compared;
use crate::model::source_url::SourceUrl;
use crate::model::verification::Verification;
use crate::monitor::{Event, Monitor};
use crate::signing::hash_key::HashKey;
use crate::verify::manifest::reader::Manifest;
use crate::verify::sql::changes::touched::{self, Reading, Touched, Window};
use crate::verify::sql::compare::baseline::{Expected, check_engine, check_header, expected_tables, other_version};
use crate::verify::sql::compare::columns::Common;
use crate::verify::sql::compare::tables::Run;
use crate::verify::sql::connect::access::{Access, database_name};
use crate::verify::sql::connect::errors;
use crate::verify::sql::database::Database;
use crate::verify::sql::definitions::differences::{Told, has_hidden_before};
use crate::verify::sql::definitions::kinds::COLUMN_ORDER;
use crate::verify::sql::kept::{self, Kept};
use crate::verify::sql::naming::Bounds;
use crate::verify::sql::not_read::{self, NotRead};
use crate::verify::sql::position;
use crate::verify::sql::postgres::large_objects;
use crate::verify::sql::rows::row_keys::RowKeys;
use crate::verify::sql::rows::table::Table;
use crate::verify::sql::scope::Scope;

/// What is known of a restore.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Restored {
    /// The position in time that it was restored to; absent: now.
    pub at: Option<Timestamp>,
    /// Whether that is no more than its manifest's word, and it may be older.
    pub is_undated: bool,
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
    let mut expected = expected_tables(manifest)?;
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
    let second = restored.at.filter(|_| restored.to_the_second);
    let mut run = Run {
        scope,
        bounds,
        second,
        captured_end: header.captured_end,
        keys: RowKeys::new(hash_key),
        monitor,
        described: header.position.as_ref().and_then(|position| position.get("tables")).cloned().unwrap_or_default(),
        sidecar: manifest.sidecar().peekable(),
        names: manifest.names().peekable(),
        result: Verification { unstamped: second.map(|_| 0), ..Verification::empty(mode) },
        tables: Counts::default(),
        rows: Counts::default(),
        kept: None,
        partial_sight: None,
        elsewhere: Vec::new(),
        later: BTreeSet::new(),
        said: Told::default(),
        is_earlier: restored.is_undated || restored.at.is_some_and(|at| at < header.captured_end),
        is_of_earlier_version: is_of_earlier_version(header.position.as_ref()),
        touched: (None, named(bounds)),
    };
    let opened = match Database::open(url, access).await {
        Ok(mut db) => match db.tables().await {
            Ok(tables) => Ok((db, tables)),
            Err(failure) => Err(failure),
        },
        Err(failure) => Err(failure),
    };
    let mut two_states = None;
    match opened {
        Ok((mut db, tables)) => {
            run.result.first_read_after = Some(started.elapsed());
            check_engine(manifest, db.engine().name)?;
            let position = db.position().await;
            let captured = |name: &str| header.position.as_ref().and_then(|position| position[name].as_str()).unwrap_or_default();
            if let Some(said) = other_version(&url.to_string(), db.engine(), (captured("engine"), captured("version"))) {
                monitor.event(Event::Note(&said));
            }
            if let Some(dir) = &access.state {
                let of = json!({"manifest": manifest.digest()});
                let purpose = kept::purpose(&url.to_string(), &header.encoding, hash_key, of);
                run.kept = Kept::open(dir, purpose, db.standing().await, hash_key, monitor)?;
            }
            if not_read::has_other_tables(&run.scope, &tables) {
                run.result.not_compared.insert(not_compared::OTHER_TABLES, not_compared::NOT_SPOKEN_OF);
            }
            run.result.left_out.extend(not_read::beyond(&run.scope, &tables, header.position.as_ref()));
            let tables = if run.is_of_earlier_version { large_objects::as_earlier(tables) } else { tables };
            if let Some(watermark) = &mut run.scope.watermark {
                watermark.complete(captured("engine"), &mut db, &tables).await?;
                watermark.fits(captured("engine"), run.scope.logical.is_some(), &mut db, &tables).await?;
            }
            let tables = run.without_later_partitions(&mut db, &expected, tables).await?;
            let tables = run.scope.apply(db.engine().name, tables);
            if let Some(log) = changes {
                run.touched.0 = Some(written_between(log, (manifest, restored), &run, &tables)?);
            }
            let tables = run.without_elsewhere(&mut db, (&mut expected, header.position.as_ref()), tables).await?;
            if tables.is_empty() && !expected.is_empty() {
                monitor.event(Event::Note(&holds_nothing(url, expected.len())));
            }
            run.partial_sight = db.partial_sight().await?;
            if run.will_compare_definitions(header.position.as_ref(), db.engine().name) {
                db.expect_definitions();
            }
            run.all(&mut db, expected, tables).await?;
            run.definitions(&mut db, header.position.as_ref()).await;
            two_states = db.two_states();
            // Nobody else writes to a server of the drill's own.
            if let Some(last) = db.moved_since(&position).await.filter(|last| access.keeper.is_none() || position::is_proof(last)) {
                monitor.event(Event::Note(&position::moved(&url.to_string(), &position, &last)));
            }
            db.close().await;
        }
        // A file that is no database is a verdict on the restored file, not an error of ours; so is a copy that a server of our own cannot open.
        Err(failure) if is_damaged(url, access, &failure) => {
            for (name, table) in &expected {
                run.unreadable(name, table.rows(), 0, &failure);
            }
            run.no_definitions(header.position.as_ref());
        }
        Err(failure) => return Err(failure),
    }
    if let Some(kept) = run.kept.take().filter(|_| run.result.cut_short.is_none()) {
        kept.finish()?;
    }
    let mut result = run.finish(started.elapsed());
    not_spoken_of(header.position.as_ref(), &mut result);
    two_states.into_iter().for_each(|failure| result.doubt(failure));
    Ok(result)
}

impl Run<'_> {
    /// The tables but for those whose rows another server keeps, on either side: a dump has only their definition, and the server that it goes
    /// into is not connected to others. What a manifest of an earlier version expects of such is not read.
    async fn without_elsewhere(
        &mut self,
        db: &mut Database,
        (expected, position): (&mut BTreeMap<String, Expected>, Option<&Value>),
        tables: Vec<Table>,
    ) -> Result<Vec<Table>, Failure> {
        let stated = NotRead::stated(position);
        let may_have = !matches!(db.engine().name, "postgres" | "sqlite");
        let here = if may_have { NotRead::of(db).await? } else { NotRead::default() };
        self.elsewhere = stated.elsewhere().iter().chain(here.elsewhere()).cloned().collect();
        let withheld = Failure::new(FailureKind::Denied, "its rows are kept by another server (FEDERATED), which no drill connects to");
        for name in &self.elsewhere.clone() {
            if let Some(before) = expected.remove(name) {
                self.unreadable(name, before.rows(), 0, &withheld);
            }
        }
        Ok(tables.into_iter().filter(|table| !self.elsewhere.contains(&table.name)).collect())
    }
}

/// Whether what did not open is the damage of a file, or of a copy in a server of our own.
fn is_damaged(url: &SourceUrl, access: &Access, failure: &Failure) -> bool {
    match url {
        SourceUrl::Sqlite { .. } => failure.kind == FailureKind::Remote,
        _ => access.keeper.is_some() && errors::is_of_damage(failure),
    }
}

/// What is said where not one table is there. A file without a byte is a SQLite database to SQLite.
fn holds_nothing(url: &SourceUrl, expected: usize) -> String {
    let is_bare = matches!(url, SourceUrl::Sqlite { path } if std::fs::metadata(path).is_ok_and(|meta| meta.len() == 0));
    let what =
        if is_bare { "the file is empty (0 bytes)" } else { "there is not one of the tables in it that the manifest names, nor another" };
    format!("{url}: {what}: of the {expected} tables that are expected none was read")
}

/// Whether the manifest is one of PostgreSQL from before definitions had an order of columns.
fn is_of_earlier_version(position: Option<&Value>) -> bool {
    position.is_some_and(|position| position["engine"] == "postgres" && position["definitions"][COLUMN_ORDER].is_null())
}

/// What rows are judged by that a log names: of their stamps only that they are not younger than the restore.
fn named(bounds: Option<Bounds>) -> Bounds {
    Bounds { named: true, ..bounds.unwrap_or(Bounds::new(0, i64::MAX, 0)) }
}

/// Reads a log of changes: which rows of `tables` it names.
fn written_between(log: &Path, (manifest, restored): (&Manifest, Restored), run: &Run<'_>, tables: &[Table]) -> Result<Touched, Failure> {
    let header = manifest.header();
    let mut known = Vec::new();
    for table in tables {
        let described = run.described.get(&table.name);
        let common = described.map(|before| Common::of_manifest(before, table)).unwrap_or_default();
        let mut part = if described.is_some() { common.part_of(table) } else { table.clone() };
        let meaning = run.scope.meaning(&mut part, described);
        known.push((part, meaning, run.scope.ranges.get(&table.name).map(|ranges| &ranges.order)));
    }
    let source: Option<SourceUrl> = header.source.parse().ok();
    let has_schemas = matches!(source, Some(SourceUrl::Postgres { .. }));
    let database = source.filter(|url| !matches!(url, SourceUrl::Sqlite { .. })).and_then(|url| database_name(&url).ok());
    let reading = Reading {
        tables: known.iter().map(|(table, meaning, order)| (table, meaning.clone(), *order)).collect(),
        keys: &run.keys,
        window: Window::new(header, &run.scope, restored.at, restored.to_the_second),
        database,
        has_schemas,
    };
    touched::load(log, reading, run.monitor)
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
        second: None,
        captured_end: manifest.header().captured_end,
        keys: RowKeys::new(hash_key),
        monitor,
        described: Value::Null,
        sidecar: manifest.sidecar().peekable(),
        names: manifest.names().peekable(),
        result: Verification::empty(manifest.header().mode),
        tables: Counts::default(),
        rows: Counts::default(),
        kept: None,
        partial_sight: None,
        elsewhere: Vec::new(),
        later: BTreeSet::new(),
        said: Told::default(),
        is_earlier: false,
        is_of_earlier_version: false,
        touched: (None, named(None)),
    };
    let failure = Failure::new(FailureKind::Remote, why);
    for (name, table) in &expected {
        run.unreadable(name, table.rows(), 0, &failure);
    }
    let position = manifest.header().position.as_ref();
    run.no_definitions(position);
    let mut result = run.finish(started.elapsed());
    not_spoken_of(position, &mut result);
    Ok(result)
}

/// What the manifest itself says nothing of is not compared, however far the reading came.
fn not_spoken_of(position: Option<&Value>, result: &mut Verification) {
    let hides = position.is_some_and(|position| has_hidden_before(&position["definitions"]));
    if hides && result.definitions.is_some() {
        result.not_compared.insert(not_compared::HIDDEN_DEFINITIONS, not_compared::NOT_SHOWN_THEN);
    }
    if Scope::of(position).watermark.is_some_and(|watermark| !watermark.left_out.is_empty()) {
        result.not_compared.insert(not_compared::OTHER_TABLES, not_compared::NOT_SPOKEN_OF);
    }
}
