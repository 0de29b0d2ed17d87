//! MySQL and MariaDB: one consistent snapshot in one session, and prepared statements whose rows stream in the binary protocol.

use futures_util::{FutureExt, StreamExt};
use serde_json::{Map, Value, json};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row as _};

use crate::model::failure::{Failure, FailureKind};
use crate::verify::sql::errors;
use crate::verify::sql::mysql_catalog;
use crate::verify::sql::mysql_decode;
use crate::verify::sql::mysql_row::{raw, text};
use crate::verify::sql::objects::{self, Objects};
use crate::verify::sql::reading::{Cause, Delivery, Engine, Limits, ReadError};
use crate::verify::sql::table::{Table, Wire, backticked};

/// Raw bytes in the character set that they are stored in, no limits but our own; a snapshot at repeatable read.
const PIN: &[&str] = &[
    "SET SESSION sql_mode = ''",
    "SET SESSION time_zone = '+00:00'",
    "SET SESSION net_write_timeout = 600",
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
    limits: Limits,
    connection: Option<MySqlConnection>,
    engine: Engine,
}

impl MysqlSession {
    /// Opens the session; `shown` is the URL without secrets.
    pub async fn open(shown: &str, options: MySqlConnectOptions, limits: Limits) -> Result<Self, Failure> {
        let failed = |error| errors::failure(shown, error);
        let mut connection = connect(shown, &options, &limits).await?;
        let ask = async { sqlx::query("SELECT version()").fetch_one(&mut connection).await.map_err(failed) };
        let version = text(&limits.asking(shown, ask).await?, 0).map_err(failed)?.unwrap_or_default();
        check_version(shown, &version)?;
        let name = if version.contains("MariaDB") { "mariadb" } else { "mysql" };
        let database = options.get_database().unwrap_or_default().to_owned();
        limits.asking(shown, async { pin(&mut connection, name, &limits).await.map_err(failed) }).await?;
        let engine = Engine { name, version };
        Ok(Self { shown: shown.to_owned(), database, options, limits, connection: Some(connection), engine })
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Its tables.
    pub async fn tables(&mut self) -> Result<Vec<Table>, Failure> {
        let (shown, database, limits) = (self.shown.clone(), self.database.clone(), self.limits);
        let connection = self.session().await?;
        let tables = async { mysql_catalog::tables(connection, &database).await.map_err(|error| errors::failure(&shown, error)) };
        limits.asking(&shown, tables).await
    }

    /// What it defines beside tables.
    pub async fn objects(&mut self) -> Result<Objects, Failure> {
        let (shown, database, limits) = (self.shown.clone(), self.database.clone(), self.limits);
        let connection = self.session().await?;
        let asked = async { objects::mysql(connection, &database).await.map_err(|error| errors::failure(&shown, error)) };
        limits.asking(&shown, asked).await
    }

    /// The greatest value of a column.
    pub async fn greatest(&mut self, table: &Table, column: &str) -> Result<Option<String>, Failure> {
        let (shown, limits) = (self.shown.clone(), self.limits);
        let question = format!("SELECT CAST(MAX({}) AS CHAR) FROM {}", backticked(column), table.sql_name);
        let connection = self.session().await?;
        let asked = async {
            let row = sqlx::query(AssertSqlSafe(question)).fetch_one(connection).await;
            row.and_then(|row| text(&row, 0)).map_err(|error| errors::failure(&shown, error))
        };
        limits.asking(&shown, asked).await
    }

    /// GTID sets and binary log position, as far as the reader may see them.
    pub async fn position(&mut self) -> Value {
        let (mariadb, silence) = (self.engine.name == "mariadb", self.limits.silence);
        let Ok(connection) = self.session().await else { return json!({}) };
        tokio::time::timeout(silence, position(connection, mariadb)).await.unwrap_or_else(|_| json!({}))
    }

    /// Streams a table.
    pub async fn read(&mut self, table: &Table, columns: &[usize], mut delivery: Delivery<'_>) -> Result<u64, ReadError> {
        let limits = self.limits;
        let outcome = match self.session().await {
            Ok(connection) => select(connection, table, columns, &limits, &mut delivery).await,
            // A server that is full says nothing of the table.
            Err(failure) if failure.kind == FailureKind::Throttled => {
                return Err(ReadError { rows: 0, cause: Cause::Stopped(failure) });
            }
            Err(failure) => Err((failure.message, true)),
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
    async fn session(&mut self) -> Result<&mut MySqlConnection, Failure> {
        if self.connection.is_none() {
            let mut connection = connect(&self.shown, &self.options, &self.limits).await?;
            let pinned =
                async { pin(&mut connection, self.engine.name, &self.limits).await.map_err(|error| errors::failure(&self.shown, error)) };
            self.limits.asking(&self.shown, pinned).await?;
            self.connection = Some(connection);
        }
        self.connection.as_mut().ok_or_else(|| Failure::new(FailureKind::Network, format!("{}: no session", self.shown)))
    }

    /// Ends the session.
    pub async fn close(self) {
        if let Some(connection) = self.connection {
            let _ = tokio::time::timeout(self.limits.connect, connection.close()).await;
        }
    }
}

/// True when every row was read, false when the receiver had enough; an error says whether the session is lost.
async fn select(
    connection: &mut MySqlConnection,
    table: &Table,
    columns: &[usize],
    limits: &Limits,
    delivery: &mut Delivery<'_>,
) -> Result<bool, (String, bool)> {
    let names = table.select_list(columns, backticked);
    let names = if names.is_empty() { "1".to_owned() } else { names };
    let statement = format!("SELECT {names} FROM {}{}", table.sql_name, table.conditions(&[]));
    // `query` is a prepared statement even without parameters: the text protocol rounds floats.
    let mut rows = sqlx::query(AssertSqlSafe(statement)).persistent(false).fetch(connection);
    loop {
        // A timer for each row would cost more than the row: one is set only where nothing has arrived yet.
        let next = match rows.next().now_or_never() {
            Some(next) => next,
            None => match tokio::time::timeout(limits.silence, rows.next()).await {
                Err(_) => return Err((format!("no data for {} seconds", limits.silence.as_secs()), true)),
                Ok(next) => next,
            },
        };
        let Some(next) = next else { return Ok(true) };
        let next = next.map_err(|error| (errors::message(&error), errors::lost_connection(&error)))?;
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
pub async fn connect(shown: &str, options: &MySqlConnectOptions, limits: &Limits) -> Result<MySqlConnection, Failure> {
    limits.connecting(shown, async { options.connect().await.map_err(|error| errors::failure(shown, error)) }).await
}

async fn pin(connection: &mut MySqlConnection, engine: &str, limits: &Limits) -> Result<(), sqlx::Error> {
    let unlimited = if engine == "mariadb" { "SET SESSION max_statement_time = 0" } else { "SET SESSION max_execution_time = 0" };
    let seconds = limits.lock.as_secs().max(1);
    let waits = [format!("SET SESSION innodb_lock_wait_timeout = {seconds}"), format!("SET SESSION lock_wait_timeout = {seconds}")];
    for statement in waits.iter().map(String::as_str).chain([unlimited]).chain(PIN.iter().copied()) {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn position(connection: &mut MySqlConnection, mariadb: bool) -> Value {
    let mut position = Map::new();
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

/// MySQL 5.7 and MariaDB 10.3 are the oldest that are read; `8.0.36`, `5.5.5-10.11.6-MariaDB`.
fn check_version(shown: &str, version: &str) -> Result<(), Failure> {
    let (name, number, oldest) = match version.find("MariaDB") {
        Some(_) => ("MariaDB", version.strip_prefix("5.5.5-").unwrap_or(version), (10, 3)),
        None => ("MySQL", version, (5, 7)),
    };
    let mut parts = number.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    match (parts.next(), parts.next()) {
        (Some(major), Some(minor)) if (major, minor) >= oldest => Ok(()),
        _ => Err(Failure::new(
            FailureKind::Remote,
            format!("{shown}: expected {name} {}.{} or later, found `{}`", oldest.0, oldest.1, version.escape_default()),
        )
        .hint("restore it into a newer server and read it there")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_versions_are_refused_by_name() {
        for good in ["8.0.36", "5.7.44-log", "10.11.6-MariaDB-0+deb12u1", "5.5.5-10.4.2-MariaDB", "11.4.1-MariaDB"] {
            assert!(check_version("mysql://h/d", good).is_ok(), "{good}");
        }
        for bad in ["5.6.51", "5.5.5-10.1.48-MariaDB", "10.2.44-MariaDB", "", "new"] {
            let error = check_version("mysql://h/d", bad).unwrap_err();
            assert!(error.kind == FailureKind::Remote && error.message.contains("or later"), "{bad}");
        }
    }
}
