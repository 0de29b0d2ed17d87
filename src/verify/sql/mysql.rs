//! MySQL and MariaDB: one consistent snapshot in one session, and prepared statements whose rows stream in the binary protocol.

use futures_util::StreamExt;
use serde_json::{Map, Value, json};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row as _};

use crate::model::failure::{Failure, FailureKind};
use crate::verify::sql::errors;
use crate::verify::sql::mysql_catalog;
use crate::verify::sql::mysql_decode;
use crate::verify::sql::mysql_row::{raw, text};
use crate::verify::sql::reading::{CONNECT_TIMEOUT, Delivery, Engine, ReadError, SILENCE_LIMIT};
use crate::verify::sql::table::{Table, Wire, backticked};

/// Raw bytes in the character set that they are stored in, no limits but our own; a snapshot at repeatable read.
const PIN: &[&str] = &[
    "SET SESSION sql_mode = ''",
    "SET SESSION time_zone = '+00:00'",
    "SET SESSION net_write_timeout = 600",
    "SET SESSION innodb_lock_wait_timeout = 60",
    "SET SESSION lock_wait_timeout = 60",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "SET SESSION TRANSACTION READ ONLY",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    "SET SESSION character_set_results = NULL",
];

/// A database and the session that holds its snapshot.
pub struct MysqlSession {
    shown: String,
    database: String,
    options: MySqlConnectOptions,
    connection: Option<MySqlConnection>,
    engine: Engine,
}

impl MysqlSession {
    /// Opens the session; `shown` is the URL without secrets.
    pub async fn open(shown: &str, options: MySqlConnectOptions) -> Result<Self, Failure> {
        let mut connection = connect(shown, &options).await?;
        let row = sqlx::query("SELECT version()").fetch_one(&mut connection).await.map_err(|error| errors::failure(shown, error))?;
        let version = text(&row, 0).map_err(|error| errors::failure(shown, error))?.unwrap_or_default();
        let name = if version.contains("MariaDB") { "mariadb" } else { "mysql" };
        let database = options.get_database().unwrap_or_default().to_owned();
        pin(&mut connection, name).await.map_err(|error| errors::failure(shown, error))?;
        Ok(Self { shown: shown.to_owned(), database, options, connection: Some(connection), engine: Engine { name, version } })
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Its tables.
    pub async fn tables(&mut self) -> Result<Vec<Table>, Failure> {
        let (shown, database) = (self.shown.clone(), self.database.clone());
        let connection = self.session().await.map_err(|said| Failure::new(FailureKind::Network, format!("{shown}: {said}")))?;
        mysql_catalog::tables(connection, &database).await.map_err(|error| errors::failure(&shown, error))
    }

    /// GTID sets and binary log position, as far as the reader may see them.
    pub async fn position(&mut self) -> Value {
        let mut position = Map::new();
        let mariadb = self.engine.name == "mariadb";
        let Ok(connection) = self.session().await else { return Value::Object(position) };
        let gtid = if mariadb { "SELECT @@GLOBAL.gtid_current_pos" } else { "SELECT @@GLOBAL.gtid_executed" };
        if let Ok(row) = sqlx::query(gtid).fetch_one(&mut *connection).await {
            let answer = text(&row, 0).ok().flatten().filter(|answer| !answer.is_empty());
            position.extend(answer.map(|answer| ("gtid".to_owned(), json!(answer))));
        }
        if let Ok(Some(row)) = sqlx::query("SHOW MASTER STATUS").fetch_optional(&mut *connection).await {
            let file = text(&row, 0).ok().flatten().unwrap_or_default();
            let at = row.try_get_unchecked::<u64, _>(1).unwrap_or(0);
            position.insert("binlog".into(), json!(format!("{file}:{at}")));
        }
        Value::Object(position)
    }

    /// Streams a table.
    pub async fn read(&mut self, table: &Table, columns: &[usize], mut delivery: Delivery<'_>) -> Result<u64, ReadError> {
        let outcome = match self.session().await {
            Ok(connection) => select(connection, table, columns, &mut delivery).await,
            Err(said) => Err((said, true)),
        };
        match outcome {
            Ok(true) => delivery.end(Ok(())),
            // Rows are still on their way: the session cannot be asked anything else.
            Ok(false) => {
                self.connection = None;
                delivery.end(Ok(()))
            }
            Err((said, lost)) => {
                if lost {
                    self.connection = None;
                }
                delivery.end(Err(said))
            }
        }
    }

    /// The session, opened again where it was lost. A new session has a snapshot of its own: on a source that stands still, as a
    /// restored one does, it shows the same rows; the position after the reading tells where it did not stand still.
    async fn session(&mut self) -> Result<&mut MySqlConnection, String> {
        if self.connection.is_none() {
            let mut connection = connect(&self.shown, &self.options).await.map_err(|failure| failure.message)?;
            pin(&mut connection, self.engine.name).await.map_err(|error| errors::message(&error))?;
            self.connection = Some(connection);
        }
        self.connection.as_mut().ok_or_else(|| "no session".to_owned())
    }

    /// Ends the session.
    pub async fn close(self) {
        if let Some(connection) = self.connection {
            let _ = connection.close().await;
        }
    }
}

/// True when every row was read, false when the receiver had enough; an error says whether the session is lost.
async fn select(
    connection: &mut MySqlConnection,
    table: &Table,
    columns: &[usize],
    delivery: &mut Delivery<'_>,
) -> Result<bool, (String, bool)> {
    let names: Vec<String> = columns.iter().map(|index| backticked(&table.columns[*index].name)).collect();
    let names = if names.is_empty() { "1".to_owned() } else { names.join(", ") };
    let statement = format!("SELECT {names} FROM {}", table.sql_name);
    // `query` is a prepared statement even without parameters: the text protocol rounds floats.
    let mut rows = sqlx::query(AssertSqlSafe(statement)).persistent(false).fetch(connection);
    loop {
        let next = match tokio::time::timeout(SILENCE_LIMIT, rows.next()).await {
            Err(_) => return Err((format!("no data for {} seconds", SILENCE_LIMIT.as_secs()), true)),
            Ok(None) => return Ok(true),
            Ok(Some(next)) => next.map_err(|error| (errors::message(&error), errors::lost_connection(&error)))?,
        };
        delivery.row.begin(columns.len());
        for (at, index) in columns.iter().enumerate() {
            let column = &table.columns[*index];
            let said = |said: String| (format!("column {}: {said}", column.name), true);
            let Wire::Mysql(kind) = &column.wire else { return Err(said("is of another engine".into())) };
            let bytes = raw(&next, at).map_err(|error| said(errors::message(&error)))?;
            mysql_decode::field(kind, bytes, &mut delivery.row).map_err(said)?;
        }
        if !delivery.deliver() {
            return Ok(false);
        }
    }
}

/// Opens a session without pinning it.
pub async fn connect(shown: &str, options: &MySqlConnectOptions) -> Result<MySqlConnection, Failure> {
    match tokio::time::timeout(CONNECT_TIMEOUT, options.connect()).await {
        Ok(connection) => connection.map_err(|error| errors::failure(shown, error)),
        Err(_) => Err(Failure::new(FailureKind::Network, format!("{shown}: no answer within {} seconds", CONNECT_TIMEOUT.as_secs()))),
    }
}

async fn pin(connection: &mut MySqlConnection, engine: &str) -> Result<(), sqlx::Error> {
    let unlimited = if engine == "mariadb" { "SET SESSION max_statement_time = 0" } else { "SET SESSION max_execution_time = 0" };
    for statement in std::iter::once(unlimited).chain(PIN.iter().copied()) {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *connection).await?;
    }
    Ok(())
}
