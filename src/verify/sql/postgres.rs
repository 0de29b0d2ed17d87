//! PostgreSQL: one exported snapshot, and `COPY … (FORMAT binary)` streams that all read it.
//!
//! The session that holds the snapshot reads nothing large; each table is read by a worker session that takes the snapshot over. A
//! table that breaks costs its worker only: the others are still read at the same instant.

use futures_util::StreamExt;
use serde_json::{Map, Value, json};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row as _};

use crate::model::failure::{Failure, FailureKind};
use crate::verify::sql::errors;
use crate::verify::sql::postgres_catalog;
use crate::verify::sql::postgres_copy::CopyDecoder;
use crate::verify::sql::postgres_decode;
use crate::verify::sql::reading::{CONNECT_TIMEOUT, Delivery, Engine, ReadError, SILENCE_LIMIT};
use crate::verify::sql::table::{Table, Wire, double_quoted};

/// What every session sets: nothing hidden by row-level security (an error instead), UTC, no time limits but our own, names qualified.
const PIN: &str = "SET row_security = off; SET TimeZone = 'UTC'; SET statement_timeout = 0; SET lock_timeout = '60s'; \
                   SET idle_in_transaction_session_timeout = 0; SET search_path = pg_catalog; \
                   SET default_transaction_read_only = on; SET synchronize_seqscans = off";

/// A database and its snapshot.
pub struct PostgresSession {
    shown: String,
    options: PgConnectOptions,
    control: PgConnection,
    worker: Option<PgConnection>,
    snapshot: String,
    engine: Engine,
}

impl PostgresSession {
    /// Opens the session that holds the snapshot; `shown` is the URL without secrets.
    pub async fn open(shown: &str, options: PgConnectOptions) -> Result<Self, Failure> {
        let failed = |error| errors::failure(shown, error);
        let mut control = connect(shown, &options).await?;
        execute(&mut control, PIN).await.map_err(failed)?;
        execute(&mut control, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.map_err(failed)?;
        let row = sqlx::query(
            "SELECT pg_catalog.pg_export_snapshot(), current_setting('server_version'), current_setting('server_version_num')::int4",
        )
        .fetch_one(&mut control)
        .await
        .map_err(failed)?;
        let (snapshot, version, number): (String, String, i32) =
            (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?, row.try_get(2).map_err(failed)?);
        if number < 120_000 {
            return Err(Failure::new(FailureKind::Remote, format!("{shown}: PostgreSQL {version}; expected 12 or later")));
        }
        let engine = Engine { name: "postgres", version };
        Ok(Self { shown: shown.to_owned(), options, control, worker: None, snapshot, engine })
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Its tables.
    pub async fn tables(&mut self) -> Result<Vec<Table>, Failure> {
        postgres_catalog::tables(&mut self.control).await.map_err(|error| errors::failure(&self.shown, error))
    }

    /// The log position, and the transaction snapshot (xmin, xmax, in progress), which is what makes two readings comparable.
    pub async fn position(&mut self) -> Value {
        let mut position = Map::new();
        let questions = [
            ("snapshot", "SELECT pg_catalog.pg_current_snapshot()::text"),
            (
                "lsn",
                "SELECT (CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() \
                 ELSE pg_catalog.pg_current_wal_lsn() END)::text",
            ),
        ];
        for (name, question) in questions {
            // A question that the reader may not ask would spoil the transaction that holds the snapshot: a savepoint catches it.
            let _ = execute(&mut self.control, "SAVEPOINT position").await;
            match sqlx::query(question).fetch_one(&mut self.control).await.and_then(|row| row.try_get::<Option<String>, _>(0)) {
                Ok(answer) => position.extend(answer.map(|answer| (name.to_owned(), json!(answer)))),
                Err(_) => drop(execute(&mut self.control, "ROLLBACK TO SAVEPOINT position").await),
            }
            let _ = execute(&mut self.control, "RELEASE SAVEPOINT position").await;
        }
        Value::Object(position)
    }

    /// Streams a table.
    pub async fn read(&mut self, table: &Table, columns: &[usize], mut delivery: Delivery<'_>) -> Result<u64, ReadError> {
        let mut worker = match self.worker.take() {
            Some(worker) => worker,
            None => match self.open_worker().await {
                Ok(worker) => worker,
                Err(said) => return delivery.end(Err(said)),
            },
        };
        let outcome = copy(&mut worker, table, columns, &mut delivery).await;
        if matches!(outcome, Ok(true)) {
            self.worker = Some(worker);
        } else {
            // In the middle of a stream, or in a failed transaction: this session is of no more use.
            tokio::spawn(async move { worker.close_hard().await });
        }
        delivery.end(outcome.map(|_| ()))
    }

    async fn open_worker(&self) -> Result<PgConnection, String> {
        let mut worker = connect(&self.shown, &self.options).await.map_err(|failure| failure.message)?;
        let snapshot = format!("SET TRANSACTION SNAPSHOT '{}'", self.snapshot.replace('\'', "''"));
        for statement in [PIN, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", &snapshot] {
            execute(&mut worker, statement).await.map_err(|error| errors::message(&error))?;
        }
        Ok(worker)
    }

    /// Ends the sessions.
    pub async fn close(self) {
        let _ = self.control.close().await;
        if let Some(worker) = self.worker {
            let _ = worker.close().await;
        }
    }
}

/// True when the stream was read to its end, false when the receiver had enough.
async fn copy(worker: &mut PgConnection, table: &Table, columns: &[usize], delivery: &mut Delivery<'_>) -> Result<bool, String> {
    let names: Vec<String> = columns.iter().map(|index| double_quoted(&table.columns[*index].name)).collect();
    let statement = format!("COPY (SELECT {} FROM ONLY {}) TO STDOUT (FORMAT binary)", names.join(", "), table.sql_name);
    let mut stream = worker.copy_out_raw(&statement).await.map_err(|error| errors::message(&error))?;
    let mut decoder = CopyDecoder::default();
    loop {
        let chunk = match tokio::time::timeout(SILENCE_LIMIT, stream.next()).await {
            Err(_) => return Err(format!("no data for {} seconds", SILENCE_LIMIT.as_secs())),
            Ok(None) => break,
            Ok(Some(chunk)) => chunk.map_err(|error| errors::message(&error))?,
        };
        let go_on = decoder.feed(&chunk, &mut |fields| {
            if fields.len() != columns.len() {
                return Err(format!("row of {} columns, expected {}", fields.len(), columns.len()));
            }
            delivery.row.begin(columns.len());
            for (index, value) in columns.iter().zip(fields) {
                let column = &table.columns[*index];
                let Wire::Postgres(kind) = &column.wire else { return Err(format!("column {} is of another engine", column.name)) };
                postgres_decode::field(kind, *value, &mut delivery.row).map_err(|said| format!("column {}: {said}", column.name))?;
            }
            Ok(delivery.deliver())
        })?;
        if !go_on {
            return Ok(false);
        }
    }
    decoder.finish().map(|()| true)
}

async fn connect(shown: &str, options: &PgConnectOptions) -> Result<PgConnection, Failure> {
    match tokio::time::timeout(CONNECT_TIMEOUT, options.connect()).await {
        Ok(connection) => connection.map_err(|error| errors::failure(shown, error)),
        Err(_) => Err(Failure::new(FailureKind::Network, format!("{shown}: no answer within {} seconds", CONNECT_TIMEOUT.as_secs()))),
    }
}

async fn execute(connection: &mut PgConnection, statement: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await.map(|_| ())
}
