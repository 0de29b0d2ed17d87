//! Sessions of MySQL and MariaDB, each with a snapshot of its own; what proves that two of them show the same rows; and one statement
//! whose rows stream in the binary protocol.
//!
//! Not here: what is read in which order (`mysql`, `mysql_lanes`).

use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use serde_json::{Value, json};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlQueryResult, MySqlRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Either, Executor as _, Row as _};

use crate::model::failure::{Failure, FailureKind};
use crate::verify::sql::canon::Row;
use crate::verify::sql::errors::{self, Broken};
use crate::verify::sql::login::Door;
use crate::verify::sql::mysql_decode::{self, MysqlType};
use crate::verify::sql::mysql_row::{raw, text};
use crate::verify::sql::reading::{Flow, Limits};
use crate::verify::sql::table::{Column, Table, Wire, backticked};

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

/// Opens sessions.
#[derive(Clone)]
pub struct Opener {
    /// The URL without secrets.
    pub shown: String,
    /// How the server is reached.
    pub door: Door<MySqlConnectOptions>,
    /// How long is waited for what.
    pub limits: Limits,
    /// Whether it is MariaDB.
    pub mariadb: bool,
}

impl Opener {
    /// A session without a snapshot.
    pub async fn connect(&self) -> Result<MySqlConnection, Failure> {
        connect(&self.shown, &self.door, &self.limits).await
    }

    /// A session with a snapshot of now.
    pub async fn open(&self) -> Result<MySqlConnection, Failure> {
        let mut session = self.connect().await?;
        self.pin(&mut session).await?;
        Ok(session)
    }

    /// A session that shows what `standing` stands for, or an error where the source has moved since.
    pub async fn open_at(&self, standing: &Mark) -> Result<MySqlConnection, Failure> {
        let mut session = self.open().await?;
        let now = self.mark(&mut session).await;
        if now.is_same(standing) {
            return Ok(session);
        }
        Err(Failure::new(FailureKind::Remote, format!("{}: the source has moved since its snapshot was taken", self.shown)))
    }

    /// Pins a session and begins its snapshot.
    pub async fn pin(&self, session: &mut MySqlConnection) -> Result<(), Failure> {
        let unlimited = if self.mariadb { "SET SESSION max_statement_time = 0" } else { "SET SESSION max_execution_time = 0" };
        let seconds = self.limits.lock.as_secs().max(1);
        let waits = [format!("SET SESSION innodb_lock_wait_timeout = {seconds}"), format!("SET SESSION lock_wait_timeout = {seconds}")];
        let pinned = async {
            for statement in waits.iter().map(String::as_str).chain([unlimited]).chain(PIN.iter().copied()) {
                let ran = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *session).await;
                ran.map_err(|error| errors::failure(&self.shown, error))?;
            }
            Ok(())
        };
        self.limits.asking(&self.shown, pinned).await
    }

    /// Where the source stands.
    pub async fn mark(&self, session: &mut MySqlConnection) -> Mark {
        tokio::time::timeout(self.limits.silence, mark(session, self.mariadb)).await.unwrap_or_default()
    }
}

/// Opens a session without pinning it.
pub async fn connect(shown: &str, door: &Door<MySqlConnectOptions>, limits: &Limits) -> Result<MySqlConnection, Failure> {
    limits.connecting(shown, async { door.now().await?.connect().await.map_err(|error| errors::failure(shown, error)) }).await
}

/// Where a source stands: what moves with every change. The log sequence number of InnoDB needs no privilege and moves with whatever is
/// written; the binary log, where it is on, with whatever is committed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Mark {
    /// Log sequence number of InnoDB.
    pub lsn: Option<String>,
    /// GTID set.
    pub gtid: Option<String>,
    /// File and offset of the binary log.
    pub binlog: Option<String>,
    /// The server, as it names itself.
    pub server: Option<String>,
}

impl Mark {
    /// Whether nothing was committed in between.
    pub fn is_same(&self, other: &Self) -> bool {
        let both = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
        self.server == other.server && (both(&self.lsn, &other.lsn) || (both(&self.binlog, &other.binlog) && self.gtid == other.gtid))
    }

    /// GTID set and binary log, as a manifest states the position.
    pub fn position(&self) -> Value {
        let mut position = serde_json::Map::new();
        for (name, value) in [("gtid", &self.gtid), ("binlog", &self.binlog)] {
            position.extend(value.as_ref().map(|value| (name.to_owned(), json!(value))));
        }
        position.into()
    }

    /// All of it.
    pub fn standing(&self) -> Value {
        json!({"lsn": self.lsn, "gtid": self.gtid, "binlog": self.binlog, "server": self.server})
    }
}

async fn mark(session: &mut MySqlConnection, mariadb: bool) -> Mark {
    let mut mark = Mark::default();
    let gtid = if mariadb { "SELECT @@GLOBAL.gtid_current_pos" } else { "SELECT @@GLOBAL.gtid_executed" };
    if let Ok(row) = sqlx::query(gtid).fetch_one(&mut *session).await {
        mark.gtid = text(&row, 0).ok().flatten().filter(|answer| !answer.is_empty());
    }
    if let Ok(Some(row)) = sqlx::query("SHOW MASTER STATUS").fetch_optional(&mut *session).await {
        let file = text(&row, 0).ok().flatten().unwrap_or_default();
        let at = row.try_get_unchecked::<u64, _>(1).unwrap_or(0);
        mark.binlog = Some(format!("{file}:{at}"));
    }
    // MariaDB, and MySQL from 8.0.30 on.
    let lsn = "SHOW GLOBAL STATUS WHERE Variable_name IN ('Innodb_lsn_current', 'Innodb_redo_log_current_lsn')";
    if let Ok(Some(row)) = sqlx::query(lsn).fetch_optional(&mut *session).await {
        mark.lsn = text(&row, 1).ok().flatten().filter(|answer| !answer.is_empty() && answer != "0");
    }
    if let Ok(row) = sqlx::query("SELECT CONCAT_WS(' ', @@hostname, @@port, @@server_id, @@datadir)").fetch_one(&mut *session).await {
        mark.server = text(&row, 0).ok().flatten();
    }
    mark
}

/// The rows of a table as they stream.
pub struct RowStream<'a> {
    stream: BoxStream<'a, Result<Either<MySqlQueryResult, MySqlRow>, sqlx::Error>>,
    kinds: Vec<(&'a MysqlType, &'a str)>,
    limits: Limits,
}

impl<'a> RowStream<'a> {
    /// Begins to stream the columns at `columns` of the rows for which `more` holds: from the clustered index, which is the table. Another
    /// index may be damaged, and must neither hide rows nor lend its copies of them.
    pub fn open(
        session: &'a mut MySqlConnection,
        table: &'a Table,
        columns: &[usize],
        more: &[String],
        limits: Limits,
    ) -> Result<Self, Broken> {
        let names = table.select_list(columns, backticked);
        let names = if names.is_empty() { "1".to_owned() } else { names };
        let index = if more.is_empty() { "USE INDEX ()" } else { "FORCE INDEX (PRIMARY)" };
        let statement = format!("SELECT {names} FROM {} {index}{}", table.sql_name, table.conditions(more));
        let kind = |index: &usize| match &table.columns[*index] {
            Column { wire: Wire::Mysql(kind), name, .. } => Ok((kind, name.as_str())),
            Column { name, .. } => Err(Broken::data(format!("column {name} is of another engine"))),
        };
        let kinds = columns.iter().map(kind).collect::<Result<_, _>>()?;
        // `query` is a prepared statement even without parameters: the text protocol rounds floats.
        let stream = session.fetch_many(sqlx::query(AssertSqlSafe(statement)).persistent(false));
        Ok(Self { stream, kinds, limits })
    }

    /// Reads until a receiver of rows says false, `rows` rows have been read, or the stream ends.
    pub async fn some(&mut self, rows: usize, row: &mut Row, each: &mut (dyn FnMut(&Row) -> bool + Send)) -> Result<Flow, Broken> {
        for _ in 0..rows {
            // A timer for each row would cost more than the row: one is set only where nothing has arrived yet.
            let next = match self.stream.next().now_or_never() {
                Some(next) => next,
                None => {
                    let waited = tokio::time::timeout(self.limits.silence, self.stream.next()).await;
                    waited.map_err(|_| Broken::silent(self.limits.silence))?
                }
            };
            let Some(next) = next else { return Ok(Flow::Ended) };
            let Either::Right(next) = next.map_err(|error| Broken::of(&error))? else { continue };
            row.begin(self.kinds.len());
            for (at, (kind, name)) in self.kinds.iter().enumerate() {
                let said = |said: String| Broken::data(format!("column {name}: {said}"));
                let bytes = raw(&next, at).map_err(|error| said(errors::message(&error)))?;
                mysql_decode::field(kind, bytes, row).map_err(said)?;
            }
            if !each(row) {
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
    fn only_what_is_stated_proves_that_a_source_stood_still() {
        let mark = |lsn: Option<&str>, gtid: Option<&str>, binlog: Option<&str>| Mark {
            lsn: lsn.map(str::to_owned),
            gtid: gtid.map(str::to_owned),
            binlog: binlog.map(str::to_owned),
            server: Some("s".into()),
        };
        let still = mark(Some("7"), Some("0-1-2"), Some("b:3"));
        assert!(still.is_same(&still));
        assert!(still.is_same(&mark(Some("8"), Some("0-1-2"), Some("b:3"))), "what is written and not committed");
        assert!(still.is_same(&mark(Some("7"), None, None)), "a reader that may not see the binary log");
        assert!(!still.is_same(&mark(Some("8"), Some("0-1-3"), Some("b:4"))));
        assert!(!mark(None, None, None).is_same(&mark(None, None, None)), "nothing stated, nothing proved");
        assert!(!still.is_same(&Mark { server: Some("other".into()), ..still.clone() }));
        assert_eq!(mark(Some("7"), None, Some("b:3")).position(), json!({"binlog": "b:3"}));
    }
}
