//! Sessions of PostgreSQL that all read one exported snapshot, and one `COPY … (FORMAT binary)` in one of them.
//!
//! Not here: what is read in which order (`postgres`, `postgres_lanes`).

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Row as _};

use crate::model::failure::{Failure, FailureKind};
use crate::verify::sql::canon::Row;
use crate::verify::sql::errors::{self, Broken};
use crate::verify::sql::login::Door;
use crate::verify::sql::postgres_copy::CopyDecoder;
use crate::verify::sql::postgres_decode::{self, PgType};
use crate::verify::sql::reading::{Flow, Limits};
use crate::verify::sql::table::{Column, Table, Wire, double_quoted};

/// The oldest version that is read.
const OLDEST: u32 = 120_000;

/// What every session sets: nothing hidden by row-level security (an error instead), UTC, no time limits but our own, names qualified.
const PIN: &str = "SET row_security = off; SET TimeZone = 'UTC'; SET statement_timeout = 0; \
                   SET idle_in_transaction_session_timeout = 0; SET search_path = pg_catalog; \
                   SET default_transaction_read_only = on; SET synchronize_seqscans = off";

/// What sessions set that read tables: an index may be damaged, and must neither hide rows nor lend its copies of them.
const WITHOUT_INDEXES: &str = "SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off";

/// Opens sessions.
#[derive(Clone)]
pub struct Opener {
    /// The URL without secrets.
    pub shown: String,
    /// How the server is reached.
    pub door: Door<PgConnectOptions>,
    /// How long is waited for what.
    pub limits: Limits,
    /// The exported snapshot, once there is one.
    pub snapshot: Option<String>,
    /// True where the database declares no encoding: then bytes must not be checked on their way.
    pub without_encoding: bool,
}

impl Opener {
    /// A session in a read-only transaction, over the snapshot where there is one.
    pub async fn open(&self) -> Result<PgConnection, Failure> {
        let failed = |error| errors::failure(&self.shown, error);
        let connect = async { self.door.now().await?.connect().await.map_err(failed) };
        let mut session = self.limits.connecting(&self.shown, connect).await?;
        self.limits.asking(&self.shown, self.pin(&mut session)).await?;
        Ok(session)
    }

    async fn pin(&self, session: &mut PgConnection) -> Result<(), Failure> {
        let failed = |error| errors::failure(&self.shown, error);
        let row = sqlx::raw_sql("SHOW server_version_num").fetch_one(&mut *session).await.map_err(failed)?;
        let number: String = row.try_get_unchecked(0).map_err(failed)?;
        check_version(&self.shown, &number)?;
        let lock = format!("SET lock_timeout = {}", self.limits.lock.as_millis());
        // SQL_ASCII is no encoding: the server would refuse to send what is not UTF-8, and we want to see it.
        let encoding = if self.without_encoding { "SET client_encoding = 'SQL_ASCII'" } else { "SET client_encoding = 'UTF8'" };
        let snapshot = self.snapshot.as_ref().map(|name| format!("SET TRANSACTION SNAPSHOT '{}'", name.replace('\'', "''")));
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let reads_tables = self.snapshot.is_some().then_some(WITHOUT_INDEXES);
        for statement in [PIN, &lock, encoding].into_iter().chain(reads_tables).chain([begin]).chain(snapshot.as_deref()) {
            execute(session, statement).await.map_err(failed)?;
        }
        Ok(())
    }
}

fn check_version(shown: &str, number: &str) -> Result<(), Failure> {
    match number.trim().parse::<u32>() {
        Ok(found) if found >= OLDEST => Ok(()),
        Ok(found) => Err(Failure::new(FailureKind::Remote, format!("{shown}: expected PostgreSQL 12 or later, found version {found}"))
            .hint("restore it into a newer server and read it there")),
        Err(_) => Err(Failure::new(FailureKind::Remote, format!("{shown}: expected a version, found `{}`", number.escape_default()))),
    }
}

/// Runs one statement.
pub async fn execute(session: &mut PgConnection, statement: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(session).await.map(|_| ())
}

/// Holds the table as it was in the snapshot and gives its size in blocks. A table that was rewritten or emptied after the snapshot
/// was taken would read as empty (PostgreSQL documentation, "Caveats" of MVCC): that is told apart here.
pub async fn hold(session: &mut PgConnection, table: &Table) -> Result<u64, Broken> {
    let broken = |error: sqlx::Error| Broken::of(&error);
    execute(session, &format!("LOCK TABLE ONLY {} IN ACCESS SHARE MODE", table.sql_name)).await.map_err(broken)?;
    let question = "SELECT relfilenode::int8, coalesce(pg_relation_filenode(oid)::int8, 0), \
                    pg_relation_size(oid) / current_setting('block_size')::int8 FROM pg_class WHERE oid = $1::text::regclass";
    let row = sqlx::query(question).bind(&table.sql_name).fetch_one(&mut *session).await.map_err(broken)?;
    let (then, now, blocks): (i64, i64, i64) =
        (row.try_get(0).map_err(broken)?, row.try_get(1).map_err(broken)?, row.try_get(2).map_err(broken)?);
    if then != now {
        return Err(Broken::moved("the table was rewritten or truncated after the snapshot was taken"));
    }
    Ok(u64::try_from(blocks).unwrap_or(0))
}

/// The rows of a table as they stream.
pub struct CopyStream<'a> {
    stream: BoxStream<'a, Result<Bytes, sqlx::Error>>,
    decoder: CopyDecoder,
    kinds: Vec<(&'a PgType, &'a str)>,
    limits: Limits,
}

impl<'a> CopyStream<'a> {
    /// Begins to stream the columns at `columns` of the rows for which `more` holds.
    pub async fn open(
        session: &'a mut PgConnection,
        table: &'a Table,
        columns: &[usize],
        more: &[String],
        limits: Limits,
    ) -> Result<Self, Broken> {
        let list = table.select_list(columns, double_quoted);
        let statement = format!("COPY (SELECT {list} FROM ONLY {}{}) TO STDOUT (FORMAT binary)", table.sql_name, table.conditions(more));
        let kind = |index: &usize| match &table.columns[*index] {
            Column { wire: Wire::Postgres(kind), name, .. } => Ok((kind, name.as_str())),
            Column { name, .. } => Err(Broken::data(format!("column {name} is of another engine"))),
        };
        let kinds = columns.iter().map(kind).collect::<Result<_, _>>()?;
        let started =
            tokio::time::timeout(limits.silence, session.copy_out_raw(&statement)).await.map_err(|_| Broken::silent(limits.silence))?;
        Ok(Self { stream: started.map_err(|error| Broken::of(&error))?, decoder: CopyDecoder::default(), kinds, limits })
    }

    /// Reads until a receiver of rows says false, some `rows` rows have been read, or the stream ends.
    pub async fn some(&mut self, rows: usize, row: &mut Row, each: &mut (dyn FnMut(&Row) -> bool + Send)) -> Result<Flow, Broken> {
        let mut left = rows;
        while left > 0 {
            // A timer for each row would cost more than the row: one is set only where nothing has arrived yet.
            let next = match self.stream.next().now_or_never() {
                Some(next) => next,
                None => {
                    tokio::time::timeout(self.limits.silence, self.stream.next()).await.map_err(|_| Broken::silent(self.limits.silence))?
                }
            };
            let Some(chunk) = next else {
                return std::mem::take(&mut self.decoder).finish().map(|()| Flow::Ended).map_err(Broken::data);
            };
            let chunk = chunk.map_err(|error| Broken::of(&error))?;
            let kinds = &self.kinds;
            let fed = self.decoder.feed(&chunk, &mut |tuple| {
                if tuple.len() != kinds.len() {
                    return Err(format!("row of {} columns, expected {}", tuple.len(), kinds.len()));
                }
                row.begin(kinds.len());
                for ((kind, name), value) in kinds.iter().zip(tuple.fields()) {
                    postgres_decode::field(kind, value, row).map_err(|said| format!("column {name}: {said}"))?;
                }
                left = left.saturating_sub(1);
                Ok(each(row))
            });
            if !fed.map_err(Broken::data)? {
                return Ok(Flow::Enough);
            }
        }
        Ok(Flow::On)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_versions_are_refused_by_name() {
        assert!(check_version("postgres://h/d", "120000").is_ok() && check_version("postgres://h/d", "180001").is_ok());
        let error = check_version("postgres://h/d", "90624").unwrap_err();
        assert!(error.message.contains("90624") && error.kind == FailureKind::Remote && error.hint.is_some());
        assert!(check_version("postgres://h/d", "twelve").is_err());
    }
}
