//! SQL over DynamoDB items: a scan fills a SQLite file, and check packs of the engine `dynamodb` run on it.
//!
//! One table, `items`: `pk` and `sk` (the primary key), `json` (the whole item in DynamoDB JSON), and a column for each attribute that the checks
//! declare (`columns = ["items.NAME"]`). S and N are TEXT, so that no number passes through a float: `CAST` where arithmetic is wanted.
//! B is a BLOB, BOOL 0 or 1; an attribute that is absent or of another type is NULL.
//!
//! The file is temporary, on disk, and bounded; SQLite's cache is the only memory.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Sqlite};

use crate::model::capture::CaptureMode;
use crate::model::check::CheckResult;
use crate::model::failure::{Failure, FailureKind};
use crate::model::source_url::SourceUrl;
use crate::monitor::Monitor;
use crate::signing::hash_key::HashKey;
use crate::verify::items::capture::Witness;
use crate::verify::items::item::{Attribute, Item, KeySchema, to_json};
use crate::verify::items::scan::ItemTap;
use crate::verify::sql::checks::demands::CheckDemands;
use crate::verify::sql::checks::pack::Pack;
use crate::verify::sql::checks::recording::Recording;
use crate::verify::sql::checks::runner;
use crate::verify::sql::checks::session::Session;
use crate::verify::sql::connect::access::Access;
use crate::verify::sql::rows::table::double_quoted;

/// The engine that checks over items name.
pub const ENGINE: &str = "dynamodb";
/// The table that they read.
pub const TABLE: &str = "items";
/// The file grows to no more than this.
pub const MOST_BYTES: u64 = 64 << 30;
/// SQLite's cache, in KiB.
const CACHE_KIB: u32 = 16 * 1024;
const PAGE_BYTES: u64 = 4096;
/// Rows of one INSERT.
const BATCH: usize = 100;

/// True where a pack has a check over items.
pub fn wants_items(packs: &[Pack]) -> bool {
    packs.iter().flat_map(|pack| &pack.checks).any(|check| check.engines.iter().any(|engine| engine == ENGINE))
}

/// Items in SQLite.
pub struct ItemsTable {
    dir: tempfile::TempDir,
    connection: SqliteConnection,
    schema: KeySchema,
    columns: Vec<String>,
    rows: u64,
}

impl ItemsTable {
    /// An empty table for items of the key `schema`, with the columns that `packs` declare under the names that `demands` gives them.
    pub async fn create(schema: KeySchema, packs: &[Pack], names: &BTreeMap<String, String>, most_bytes: u64) -> Result<Self, Failure> {
        let own = |column: &String| ["pk", "sk", "json"].contains(&column.to_ascii_lowercase().as_str());
        let checks = packs.iter().flat_map(|pack| &pack.checks).filter(|check| check.engines.iter().any(|engine| engine == ENGINE));
        let declared = checks.flat_map(|check| &check.columns).filter(|(table, _)| table == TABLE);
        let columns: BTreeSet<String> = declared
            .map(|(table, column)| names.get(&format!("{table}.{column}")).unwrap_or(column).clone())
            .filter(|column| !own(column))
            .collect();
        let columns: Vec<String> = columns.into_iter().collect();
        let dir = tempfile::tempdir().map_err(|error| Failure::io("create a directory for items", error))?;
        let options = SqliteConnectOptions::new().filename(dir.path().join("items.sqlite")).create_if_missing(true);
        let mut connection = options.connect().await.map_err(failed)?;
        let pages = most_bytes / PAGE_BYTES;
        // Nothing is lost with it but the time of a scan: no journal, no fsync.
        let settings = format!(
            "PRAGMA page_size = {PAGE_BYTES}; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -{CACHE_KIB}; PRAGMA max_page_count = {pages}"
        );
        let more: String = columns.iter().map(|column| format!(", {}", double_quoted(column))).collect();
        let create = format!("CREATE TABLE {TABLE} (pk, sk, json TEXT NOT NULL{more})");
        for statement in [settings, create, "BEGIN".to_owned()] {
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.map_err(failed)?;
        }
        Ok(Self { dir, connection, schema, columns, rows: 0 })
    }

    /// Runs the checks over items of `packs`.
    pub async fn check(mut self, packs: &[Pack], demands: &CheckDemands, monitor: &dyn Monitor) -> Result<Vec<CheckResult>, Failure> {
        sqlx::raw_sql("COMMIT").execute(&mut self.connection).await.map_err(failed)?;
        self.connection.close().await.map_err(failed)?;
        let url = SourceUrl::Sqlite { path: self.dir.path().join("items.sqlite") };
        let session = Session::open(&url, &Access::default()).await?.as_engine(ENGINE);
        runner::run_in(session, ENGINE, packs, demands, monitor).await
    }

    /// Items so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    async fn insert(&mut self, items: &[Item]) -> Result<(), Failure> {
        let width = 3 + self.columns.len();
        let row = format!("({})", vec!["?"; width].join(","));
        let statement = format!("INSERT INTO {TABLE} VALUES {}", vec![row; items.len()].join(","));
        let mut query = sqlx::query(AssertSqlSafe(statement)).persistent(items.len() == BATCH);
        for item in items {
            for at in 0..2 {
                query = bind(query, self.schema.0.get(at).and_then(|name| item.get(name)));
            }
            query = query.bind(to_json(item).to_string());
            for column in &self.columns {
                query = bind(query, item.get(column));
            }
        }
        query.execute(&mut self.connection).await.map_err(failed)?;
        self.rows += items.len() as u64;
        Ok(())
    }
}

#[async_trait]
impl ItemTap for ItemsTable {
    async fn take(&mut self, items: &[Item]) -> Result<(), Failure> {
        for batch in items.chunks(BATCH) {
            self.insert(batch).await?;
        }
        Ok(())
    }
}

/// What the checks of packs will be compared with, taken from the items of a capture while they are read.
pub struct ItemBaselines {
    /// Taken when its checks are run.
    table: Option<ItemsTable>,
    recording: Recording,
}

impl ItemBaselines {
    /// For a manifest of this mode of a table of the key `schema`; nothing where no check over items asks for a baseline.
    pub async fn create(
        schema: KeySchema,
        packs: &[Pack],
        names: &BTreeMap<String, String>,
        (hash_key, mode): (&HashKey, CaptureMode),
    ) -> Result<Option<Self>, Failure> {
        let recording = Recording::of(packs, names, hash_key, mode);
        if !wants_items(&recording.packs) {
            return Ok(None);
        }
        let table = ItemsTable::create(schema, &recording.packs, names, MOST_BYTES).await?;
        Ok(Some(Self { table: Some(table), recording }))
    }
}

#[async_trait]
impl ItemTap for ItemBaselines {
    async fn take(&mut self, items: &[Item]) -> Result<(), Failure> {
        match &mut self.table {
            Some(table) => table.take(items).await,
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Witness for ItemBaselines {
    async fn baselines(&mut self, monitor: &dyn Monitor) -> Result<BTreeMap<String, String>, Failure> {
        let Some(table) = self.table.take() else { return Ok(BTreeMap::new()) };
        let results = table.check(&self.recording.packs, &self.recording.demands, monitor).await?;
        self.recording.gather(results)
    }
}

type Query<'q> = sqlx::query::Query<'q, Sqlite, sqlx::sqlite::SqliteArguments>;

fn bind<'q>(query: Query<'q>, value: Option<&Attribute>) -> Query<'q> {
    match value {
        Some(Attribute::String(text) | Attribute::Number(text)) => query.bind(text.clone()),
        Some(Attribute::Binary(bytes)) => query.bind(bytes.clone()),
        Some(Attribute::Bool(value)) => query.bind(*value),
        _ => query.bind(None::<String>),
    }
}

fn failed(error: sqlx::Error) -> Failure {
    Failure::new(FailureKind::Disk, format!("items for SQL checks: {error}"))
        .hint("the items of a table are laid beside the system's temporary files while checks run: is there room (TMPDIR)?")
        .caused_by(error)
}
