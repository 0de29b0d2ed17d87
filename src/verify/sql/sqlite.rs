//! SQLite files: read only, nothing written beside them, and a copy with a hot journal or WAL still opens.
//!
//! | Beside the file | How it is opened |
//! |---|---|
//! | nothing, rollback mode | `mode=ro`: takes shared locks as any reader does, writes nothing |
//! | nothing, WAL mode | `immutable=1`: a reader would have to create the shared-memory file |
//! | WAL and shared memory | `mode=ro`: someone has it open |
//! | WAL without shared memory, or a rollback journal | a temporary copy, recovered there (sqlite.org/wal.html, /lockingv3.html) |

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use futures_util::StreamExt;
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row as _};

use crate::model::failure::{Failure, FailureKind};
use crate::verify::sql::definitions::kinds::Definitions;
use crate::verify::sql::definitions::sqlite as definitions;
use crate::verify::sql::errors::{self, Broken};
use crate::verify::sql::reading::{Delivery, Engine, ReadError};
use crate::verify::sql::sqlite_decode::{self, TextEncoding};
use crate::verify::sql::table::{Column, Table, Wire, double_quoted};

/// An open file.
pub struct SqliteSession {
    shown: String,
    path: PathBuf,
    connection: SqliteConnection,
    encoding: TextEncoding,
    engine: Engine,
    /// Where the recovered copy lives; removed with the session.
    _copy: Option<tempfile::TempDir>,
}

impl SqliteSession {
    /// Opens the file; `shown` is its URL.
    pub async fn open(shown: &str, path: &Path) -> Result<Self, Failure> {
        let (options, copy) = options(path)?;
        let failed = |error| errors::failure(shown, error);
        let mut connection = options.connect().await.map_err(failed)?;
        for statement in ["PRAGMA query_only = on", "PRAGMA trusted_schema = off", "PRAGMA cell_size_check = on", "BEGIN"] {
            sqlx::raw_sql(statement).execute(&mut connection).await.map_err(failed)?;
        }
        let row = sqlx::query("SELECT sqlite_version()").fetch_one(&mut connection).await.map_err(failed)?;
        let version = row.try_get(0).map_err(failed)?;
        // The first look into the file: a file that is no database says so here.
        let encoding: String =
            sqlx::query("PRAGMA encoding").fetch_one(&mut connection).await.and_then(|row| row.try_get(0)).map_err(failed)?;
        let encoding = match encoding.as_str() {
            "UTF-16le" => TextEncoding::Utf16Le,
            "UTF-16be" => TextEncoding::Utf16Be,
            _ => TextEncoding::Utf8,
        };
        let engine = Engine { name: "sqlite", version };
        Ok(Self { shown: shown.to_owned(), path: path.to_owned(), connection, encoding, engine, _copy: copy })
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Its tables, shadow tables of virtual ones included (there the content is), virtual tables and views not.
    pub async fn tables(&mut self) -> Result<Vec<Table>, Failure> {
        let shown = self.shown.clone();
        self.catalogue().await.map_err(|error| errors::failure(&shown, error))
    }

    async fn catalogue(&mut self) -> Result<Vec<Table>, sqlx::Error> {
        const TABLES: &str = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'shadow') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
        let mut tables = Vec::new();
        for row in sqlx::query(TABLES).fetch_all(&mut self.connection).await? {
            tables.push(self.table(row.try_get(0)?).await?);
        }
        Ok(tables)
    }

    async fn table(&mut self, name: String) -> Result<Table, sqlx::Error> {
        let (mut columns, mut left_out, mut key) = (Vec::new(), Vec::new(), Vec::new());
        let rows = sqlx::query("SELECT name, type, \"notnull\", pk, hidden FROM pragma_table_xinfo(?)")
            .bind(&name)
            .fetch_all(&mut self.connection)
            .await?;
        for row in rows {
            let (column, declared): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            let (not_null, place, hidden): (i64, i64, i64) = (row.try_get(2)?, row.try_get(3)?, row.try_get(4)?);
            // 2: virtual generated; 3: stored generated; 1: hidden column of a virtual table.
            if hidden == 2 {
                left_out.push(format!("{column}: virtual generated column"));
                continue;
            }
            if place > 0 {
                key.push((place, column.clone()));
            }
            columns.push(Column { name: column, type_text: declared, nullable: not_null == 0, generated: hidden == 3, wire: Wire::Sqlite });
        }
        key.sort();
        let key: Vec<String> = key.into_iter().map(|(_, name)| name).collect();
        let mut table = Table::new(name.clone(), double_quoted(&name), columns, &key);
        table.left_out = left_out;
        table.constraints = self.constraints(&name).await?;
        Ok(table)
    }

    async fn constraints(&mut self, table: &str) -> Result<Vec<String>, sqlx::Error> {
        const UNIQUE: &str = "SELECT l.name, group_concat(i.name, ', ') FROM pragma_index_list(?) l, pragma_index_info(l.name) i WHERE l.\"unique\" = 1 GROUP BY l.name";
        const REFERENCES: &str = "SELECT \"table\", group_concat(\"from\", ', '), group_concat(coalesce(\"to\", ''), ', ') FROM pragma_foreign_key_list(?) GROUP BY id, \"table\"";
        let mut lines = Vec::new();
        for row in sqlx::query(UNIQUE).bind(table).fetch_all(&mut self.connection).await? {
            let columns: Option<String> = row.try_get(1)?;
            lines.push(format!("UNIQUE ({})", columns.unwrap_or_default()));
        }
        for row in sqlx::query(REFERENCES).bind(table).fetch_all(&mut self.connection).await? {
            let (to, from, at): (String, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            lines.push(format!("FOREIGN KEY ({from}) REFERENCES {to} ({at})"));
        }
        Ok(lines)
    }

    /// What it defines beside tables.
    pub async fn definitions(&mut self) -> Result<Definitions, Failure> {
        definitions::definitions(&mut self.connection).await.map_err(|error| errors::failure(&self.shown, error))
    }

    /// What it takes to read it.
    pub fn grants(&self) -> Vec<String> {
        vec![format!("-- read permission on {} and its -wal file; nothing is written", self.path.display().to_string().escape_debug())]
    }

    /// The greatest value of a column.
    pub async fn greatest(&mut self, table: &Table, column: &str) -> Result<Option<String>, Failure> {
        let question = format!("SELECT CAST(max({}) AS TEXT) FROM {}", double_quoted(column), table.sql_name);
        let asked = sqlx::query_scalar(AssertSqlSafe(question)).fetch_one(&mut self.connection).await;
        asked.map_err(|error| errors::failure(&self.shown, error))
    }

    /// The file's change counter (bytes 24 to 27 of its header), its length and the WAL's.
    pub async fn position(&mut self) -> Value {
        let mut counter = [0; 4];
        let read = std::fs::File::open(&self.path).and_then(|file| std::os::unix::fs::FileExt::read_exact_at(&file, &mut counter, 24));
        let length = |path: &Path| std::fs::metadata(path).map_or(0, |meta| meta.len());
        let wal = length(&beside(&self.path, "-wal"));
        json!({"change_counter": read.map_or(0, |()| u32::from_be_bytes(counter)), "bytes": length(&self.path), "wal_bytes": wal})
    }

    /// Which file it is and when it, and what lies beside it, was last written.
    pub fn standing(&self) -> Option<Value> {
        let of = |path: &Path| {
            let meta = std::fs::metadata(path).ok()?;
            Some(json!([meta.dev(), meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec()]))
        };
        let beside: Vec<Option<Value>> = ["-wal", "-journal"].into_iter().map(|suffix| of(&beside(&self.path, suffix))).collect();
        Some(json!({"file": of(&self.path)?, "beside": beside}))
    }

    /// Streams a table.
    pub async fn read(&mut self, table: &Table, columns: &[usize], mut delivery: Delivery<'_>) -> Result<u64, ReadError> {
        let outcome = self.select(table, columns, &mut delivery).await;
        delivery.end(outcome)
    }

    async fn select(&mut self, table: &Table, columns: &[usize], delivery: &mut Delivery<'_>) -> Result<(), Broken> {
        let names = table.select_list(columns, double_quoted);
        let names = if names.is_empty() { "1".to_owned() } else { names };
        // Without an index: a damaged index must neither hide rows nor lend its copies of them.
        let statement = format!("SELECT {names} FROM {} NOT INDEXED{}", table.sql_name, table.conditions(&[]));
        let mut rows = sqlx::query(AssertSqlSafe(statement)).persistent(false).fetch(&mut self.connection);
        while let Some(row) = rows.next().await {
            let row = row.map_err(|error| Broken::of(&error))?;
            delivery.row.begin(columns.len());
            for (at, index) in columns.iter().enumerate() {
                let value = row.try_get_raw(at).map_err(|error| Broken::of(&error))?;
                sqlite_decode::field(self.encoding, value, &mut delivery.row)
                    .map_err(|said| Broken::data(format!("column {}: {said}", table.columns[*index].name)))?;
            }
            if !delivery.deliver() {
                break;
            }
        }
        Ok(())
    }

    /// Closes the file.
    pub async fn close(self) {
        let _ = self.connection.close().await;
    }
}

/// How `path` is opened without writing beside it, and the copy where one was needed.
pub fn options(path: &Path) -> Result<(SqliteConnectOptions, Option<tempfile::TempDir>), Failure> {
    let what = || format!("sqlite:{}", path.display());
    let meta = std::fs::metadata(path).map_err(|error| Failure::io(what(), error).hint("check the path of the database file"))?;
    if !meta.is_file() {
        return Err(Failure::invalid(format!("{}: expected a database file, found a directory", what())));
    }
    let mut head = [0; 20];
    let file = std::fs::File::open(path).map_err(|error| Failure::io(what(), error))?;
    let read = std::os::unix::fs::FileExt::read_exact_at(&file, &mut head, 0);
    if meta.len() > 0 && (read.is_err() || !head.starts_with(b"SQLite format 3\0")) {
        return Err(Failure::new(FailureKind::Remote, format!("{}: the file is not a SQLite database", what()))
            .hint("expected a file that begins with `SQLite format 3`"));
    }
    let holds = |suffix: &str| std::fs::metadata(beside(path, suffix)).is_ok_and(|meta| meta.len() > 0);
    let plain = |path: &Path| SqliteConnectOptions::new().filename(path).create_if_missing(false);
    let (wal, shared, journal) = (holds("-wal"), holds("-shm"), holds("-journal"));
    if (wal && !shared) || journal {
        let copy = copy_with(path, &["-wal", "-journal"]).map_err(|error| Failure::io(format!("{}: cannot copy it", what()), error))?;
        return Ok((plain(&copy.path().join("database")), Some(copy)));
    }
    let wal_mode = head[18] == 2;
    Ok((plain(path).read_only(true).immutable(wal_mode && !wal), None))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn copy_with(path: &Path, suffixes: &[&str]) -> std::io::Result<tempfile::TempDir> {
    let dir = tempfile::tempdir()?;
    std::fs::copy(path, dir.path().join("database"))?;
    for suffix in suffixes {
        let from = beside(path, suffix);
        if from.exists() {
            std::fs::copy(from, dir.path().join(format!("database{suffix}")))?;
        }
    }
    Ok(dir)
}
