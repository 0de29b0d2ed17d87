//! Sessions of MySQL and MariaDB, each with a snapshot of its own, and what proves that two of them show the same rows.
//!
//! Not here: what is read in which order (`snapshot`, `key_ranges`), rows as they stream (`rows`), the protocol (`wire::mysql`).

use serde_json::{Value, json};

use crate::model::failure::{Failure, FailureKind};
use crate::verify::sql::connect::errors;
use crate::verify::sql::connect::heard::Heard;
use crate::verify::sql::connect::login::Door;
use crate::verify::sql::connect::speaker::{Entrance, Speaker};
use crate::verify::sql::mysql::version::too_old;
use crate::verify::sql::position::INNODB_LSN;
use crate::verify::sql::reading::Limits;
use crate::verify::sql::wire::mysql::answers::Answer;
use crate::verify::sql::wire::mysql::error::WireError;
use crate::verify::sql::wire::mysql::options::MysqlOptions;
use crate::verify::sql::wire::mysql::session::WireSession;

/// Raw bytes in the character set that they are stored in, no limits but our own; a snapshot at repeatable read.
const PIN: &[&str] = &[
    "SET SESSION sql_mode = ''",
    "SET SESSION time_zone = '+00:00'",
    "SET SESSION net_write_timeout = 600",
    "SET SESSION sql_quote_show_create = 1",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "SET SESSION TRANSACTION READ ONLY",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    "SET SESSION character_set_results = NULL",
];

/// What MySQL alone is told: from 8.0.30 on a server may keep the primary keys that it made itself to itself.
const OF_MYSQL: &str = "SET SESSION max_execution_time = 0 /*!80030 , SESSION show_gipk_in_create_table_and_information_schema = ON */";

/// A server may end every answer after so many rows, and refuse questions that it takes for large.
pub const UNLIMITED: &str = "SET SESSION sql_select_limit = 18446744073709551615, SESSION sql_big_selects = 1";

/// What is valid at the end of time is what is valid now: a row that was replaced or deleted ended in the past.
pub const NOW: &str = "SET SESSION system_versioning_asof = '2038-01-19 03:14:07.999998'";

/// Whether a server of MariaDB shows tables as they were. Its own word for that, `DEFAULT` said once more, is not taken back.
pub const IS_AS_OF: &str =
    "SELECT 1 FROM information_schema.SYSTEM_VARIABLES WHERE VARIABLE_NAME = 'SYSTEM_VERSIONING_ASOF' AND SESSION_VALUE <> 'DEFAULT'";

/// Bytes that a server is to send at a time: for each piece it calls its kernel, and a reader wakes.
const WIDE: usize = 256 << 10;

/// Opens sessions.
#[derive(Clone)]
pub struct Opener {
    /// The URL without secrets.
    pub shown: String,
    /// How the server is reached.
    pub door: Door<MysqlOptions>,
    /// How long is waited for what.
    pub limits: Limits,
    /// What was heard of the server.
    pub heard: Heard,
    /// Whether it is MariaDB.
    pub mariadb: bool,
}

impl Opener {
    /// A session without a snapshot.
    pub async fn connect(&self) -> Result<WireSession, Failure> {
        let connect = async {
            let options = self.door.now().await?;
            let failed = |error| errors::wire_failure(&self.shown, error);
            let mut session = match WireSession::connect(&options).await {
                Ok(session) => session,
                // It has said who it is: nobody has to be asked who answers there.
                Err(WireError::TooOld { version, lacks }) => return Ok(Err(too_old(&self.shown, &version, &lacks))),
                Err(error) => return Err(self.door.refused(failed(error))),
            };
            session.run(UNLIMITED).await.map_err(failed)?;
            Ok(Ok(session))
        };
        let entrance = Entrance { shown: &self.shown, at: self.door.options().at(), wanted: Speaker::Mysql };
        match self.limits.connecting(&self.shown, entrance.open(connect)).await {
            Ok(Ok(session)) => {
                self.heard.answered();
                Ok(session)
            }
            Ok(Err(failure)) => Err(failure),
            Err(failure) => Err(self.explain(failure).await),
        }
    }

    /// The same failure with what has become of the server, where it is gone.
    pub async fn explain(&self, failure: Failure) -> Failure {
        self.heard.explain(failure, self.door.options().at()).await
    }

    /// A session with a snapshot of now.
    pub async fn open(&self) -> Result<WireSession, Failure> {
        let mut session = self.connect().await?;
        self.pin(&mut session).await?;
        Ok(session)
    }

    /// A session that shows what `standing` stands for, or an error where the source has moved since.
    pub async fn open_at(&self, standing: &Mark) -> Result<WireSession, Failure> {
        let mut session = self.open().await?;
        let now = self.mark(&mut session).await;
        if now.is_same(standing) {
            return Ok(session);
        }
        Err(Failure::new(FailureKind::Busy, format!("{}: the source has moved since its snapshot was taken", self.shown)))
    }

    /// Pins a session and begins its snapshot.
    pub async fn pin(&self, session: &mut WireSession) -> Result<(), Failure> {
        let unlimited = if self.mariadb { "SET SESSION max_statement_time = 0" } else { OF_MYSQL };
        let seconds = self.limits.lock.as_secs().max(1);
        let waits = [format!("SET SESSION innodb_lock_wait_timeout = {seconds}"), format!("SET SESSION lock_wait_timeout = {seconds}")];
        // As of the end of time tables are as they are.
        let pinned = async {
            let as_of = self.mariadb && first(session, IS_AS_OF).await.is_some();
            for statement in waits.iter().map(String::as_str).chain([unlimited]).chain(PIN.iter().copied()) {
                session.run(statement).await.map_err(|error| errors::wire_failure(&self.shown, error))?;
            }
            if as_of {
                session.run(NOW).await.map_err(|error| errors::wire_failure(&self.shown, error))?;
            }
            widen(session).await.map_err(|error| errors::wire_failure(&self.shown, error))
        };
        self.limits.asking(&self.shown, pinned).await
    }

    /// Where the source stands.
    pub async fn mark(&self, session: &mut WireSession) -> Mark {
        tokio::time::timeout(self.limits.silence, mark(session, self.mariadb)).await.unwrap_or_default()
    }
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

    /// GTID set and binary log, as a manifest states the position; InnoDB's log, which goes on by itself too, where there is neither.
    pub fn position(&self) -> Value {
        let mut position = serde_json::Map::new();
        for (name, value) in [("gtid", &self.gtid), ("binlog", &self.binlog)] {
            position.extend(value.as_ref().map(|value| (name.to_owned(), json!(value))));
        }
        if position.is_empty() {
            position.extend(self.lsn.as_ref().map(|lsn| (INNODB_LSN.to_owned(), json!(lsn))));
        }
        position.into()
    }

    /// All of it.
    pub fn standing(&self) -> Value {
        json!({"lsn": self.lsn, "gtid": self.gtid, "binlog": self.binlog, "server": self.server})
    }
}

async fn mark(session: &mut WireSession, mariadb: bool) -> Mark {
    let mut mark = Mark::default();
    let gtid = if mariadb { "SELECT @@GLOBAL.gtid_current_pos" } else { "SELECT @@GLOBAL.gtid_executed" };
    mark.gtid = first(session, gtid).await.and_then(|row| row.text(0)).filter(|answer| !answer.is_empty());
    // MySQL has the second name from 8.2 on, and no longer the first from 8.4 on.
    let master = first(session, "SHOW MASTER STATUS").await;
    let shown = if master.is_none() && !mariadb { first(session, "SHOW BINARY LOG STATUS").await } else { master };
    if let Some(row) = shown {
        mark.binlog = Some(format!("{}:{}", row.text(0).unwrap_or_default(), row.unsigned(1).unwrap_or(0)));
    }
    // MariaDB, and MySQL from 8.0.30 on.
    let lsn = "SHOW GLOBAL STATUS WHERE Variable_name IN ('Innodb_lsn_current', 'Innodb_redo_log_current_lsn')";
    mark.lsn = first(session, lsn).await.and_then(|row| row.text(1)).filter(|answer| !answer.is_empty() && answer != "0");
    let server = "SELECT CONCAT_WS(' ', @@hostname, @@port, @@server_id, @@datadir)";
    mark.server = first(session, server).await.and_then(|row| row.text(0));
    mark
}

/// Widens a session where the server takes packets of that length. One that will not is read as it is.
async fn widen(session: &mut WireSession) -> Result<(), WireError> {
    let most = first(session, "SELECT CAST(@@max_allowed_packet AS CHAR)").await.and_then(|row| row.text(0)?.parse::<usize>().ok());
    if most.is_none_or(|most| most < 2 * WIDE) || session.is_busy() {
        return Ok(());
    }
    match session.widen(WIDE).await {
        Ok(()) | Err(WireError::Server { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The first row of an answer; nothing where the server has none, or does not show it to this reader.
async fn first(session: &mut WireSession, question: &str) -> Option<Answer> {
    session.ask(question, &[]).await.ok()?.into_iter().next()
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
