//! One open database, whichever engine: its tables, its position, and rows as they stream.
//!
//! Not here: the engines themselves (`postgres`, `mysql`, `sqlite`), and what rows are compared with.

use std::time::Duration;

use serde_json::Value;

use crate::model::failure::Failure;
use crate::model::source_url::SourceUrl;
use crate::verify::sql::access::{Access, not_sql};
use crate::verify::sql::canon::Row;
use crate::verify::sql::mysql::MysqlSession;
use crate::verify::sql::postgres::PostgresSession;
use crate::verify::sql::sqlite::SqliteSession;
use crate::verify::sql::table::Table;

/// Longest wait for a session to open.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest silence of a server while rows stream: beyond it the table is unreadable. Nothing hangs for ever.
pub const SILENCE_LIMIT: Duration = Duration::from_secs(600);

/// The engine, as it states itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Engine {
    /// `postgres`, `mysql`, `mariadb` or `sqlite`.
    pub name: &'static str,
    /// The version as the server states it.
    pub version: String,
}

/// Why a table was not read to its end.
#[derive(Debug)]
pub enum Cause {
    /// The stream or the decoding failed: a verdict on the table.
    Unreadable(String),
    /// Something on this side cannot go on: a full disk, a request to stop.
    Stopped(Failure),
}

/// A table that was not read to its end.
#[derive(Debug)]
pub struct ReadError {
    /// Rows that had been read.
    pub rows: u64,
    /// Why.
    pub cause: Cause,
}

/// Gets each row; false ends the reading early.
pub type Sink<'a> = &'a mut (dyn FnMut(&Row) -> Result<bool, Failure> + Send);

/// Counts rows on their way to the sink and classes what goes wrong.
pub struct Delivery<'a> {
    /// The row under construction.
    pub row: Row,
    sink: Sink<'a>,
    rows: u64,
    stopped: Option<Failure>,
}

impl<'a> Delivery<'a> {
    /// Nothing delivered yet.
    pub fn new(row: Row, sink: Sink<'a>) -> Self {
        Self { row, sink, rows: 0, stopped: None }
    }

    /// Hands the row over; false where reading should end.
    pub fn deliver(&mut self) -> bool {
        self.rows += 1;
        match (self.sink)(&self.row) {
            Ok(go_on) => go_on,
            Err(failure) => {
                self.stopped = Some(failure);
                false
            }
        }
    }

    /// Rows delivered.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The end of a reading: `outcome` is an error of the stream or of the decoding.
    pub fn end(self, outcome: Result<(), String>) -> Result<u64, ReadError> {
        match (self.stopped, outcome) {
            (Some(failure), _) => Err(ReadError { rows: self.rows, cause: Cause::Stopped(failure) }),
            (None, Err(said)) => Err(ReadError { rows: self.rows, cause: Cause::Unreadable(said) }),
            (None, Ok(())) => Ok(self.rows),
        }
    }
}

/// An open database.
pub enum Database {
    /// PostgreSQL
    Postgres(Box<PostgresSession>),
    /// MySQL or MariaDB
    Mysql(Box<MysqlSession>),
    /// A SQLite file
    Sqlite(Box<SqliteSession>),
}

impl Database {
    /// Opens a session that reads one consistent snapshot and can write nothing.
    pub async fn open(url: &SourceUrl, access: &Access) -> Result<Self, Failure> {
        let shown = url.to_string();
        Ok(match url {
            SourceUrl::Postgres { url } => Self::Postgres(Box::new(PostgresSession::open(&shown, access.postgres(url)?).await?)),
            SourceUrl::Mysql { url } => Self::Mysql(Box::new(MysqlSession::open(&shown, access.mysql(url)?).await?)),
            SourceUrl::Sqlite { path } => Self::Sqlite(Box::new(SqliteSession::open(&shown, path).await?)),
            other => return Err(not_sql(other)),
        })
    }

    /// The engine and its version.
    pub fn engine(&self) -> &Engine {
        match self {
            Self::Postgres(session) => session.engine(),
            Self::Mysql(session) => session.engine(),
            Self::Sqlite(session) => session.engine(),
        }
    }

    /// Base tables in ascending order of their names' bytes. Views, foreign tables and partitioned parents are not among them.
    pub async fn tables(&mut self) -> Result<Vec<Table>, Failure> {
        let mut tables = match self {
            Self::Postgres(session) => session.tables().await?,
            Self::Mysql(session) => session.tables().await?,
            Self::Sqlite(session) => session.tables().await?,
        };
        for table in &mut tables {
            table.constraints.sort();
            table.left_out.sort();
        }
        tables.sort_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
        Ok(tables)
    }

    /// Where the source stands now, in its own terms; what the reader may not see is left out.
    pub async fn position(&mut self) -> Value {
        match self {
            Self::Postgres(session) => session.position().await,
            Self::Mysql(session) => session.position().await,
            Self::Sqlite(session) => session.position().await,
        }
    }

    /// Streams the columns of `table` at `columns` (ascending indexes) into `row` and from there into `sink`. Gives the number of rows.
    pub async fn read(&mut self, table: &Table, columns: &[usize], row: Row, sink: Sink<'_>) -> Result<u64, ReadError> {
        let delivery = Delivery::new(row, sink);
        match self {
            Self::Postgres(session) => session.read(table, columns, delivery).await,
            Self::Mysql(session) => session.read(table, columns, delivery).await,
            Self::Sqlite(session) => session.read(table, columns, delivery).await,
        }
    }

    /// Ends the session politely.
    pub async fn close(self) {
        match self {
            Self::Postgres(session) => session.close().await,
            Self::Mysql(session) => session.close().await,
            Self::Sqlite(session) => session.close().await,
        }
    }
}
