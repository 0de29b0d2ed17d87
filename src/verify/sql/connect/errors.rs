//! What sqlx and the wires of MySQL and PostgreSQL answer, classed: denied, absent, network, unreadable data, or the server's own refusal.
//!
//! Not here: what a caller makes of it. An error while rows stream makes a table `unreadable`, and its kind says whether the data is to
//! blame; the same error while connecting ends the run.

use std::time::Duration;

use sqlx::Error;

use crate::model::failure::{Failure, FailureKind};
use crate::verify::sql::wire::mysql::error::WireError;
use crate::verify::sql::wire::postgres::error::PgWireError;

/// What to do where a reader lacks a right.
pub const GIVE_RIGHTS: &str =
    "give the reader the rights that `attestore manifest create SOURCE --show-grants USER` prints; nothing is wrong with the data";

/// An error while connecting to or asking `what` (a source URL without secrets).
pub fn failure(what: &str, error: Error) -> Failure {
    let said = hinted(kind_of(&error), format!("{what}: {}", message(&error)), is_tls(&error));
    let said = match &error {
        Error::Database(database) => said_of_damage(said, database.code().and_then(|code| code.parse().ok()).unwrap_or(0)),
        _ => said,
    };
    said.caused_by(error)
}

/// The same of a SQLite file that is read without the driver.
pub fn sqlite_failure(what: &str, error: rusqlite::Error) -> Failure {
    let code = error.sqlite_error().map_or(0, |error| error.extended_code);
    let said = hinted(sqlite_error_kind(&error), format!("{what}: {}", sqlite_message(&error)), false);
    said_of_damage(said, code & 0xff).caused_by(error)
}

/// The error in one line, with its code.
pub fn sqlite_message(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(code, Some(said)) => one_line(&format!("{} ({})", one_line(said), code.extended_code)),
        other => one_line(&other.to_string()),
    }
}

/// SQLITE_CORRUPT and SQLITE_NOTADB.
fn said_of_damage(said: Failure, code: i32) -> Failure {
    if !matches!(code, 11 | 26) {
        return said;
    }
    said.hint("the file is damaged, or was copied while it was being written to: take another copy")
}

/// The same of a session of MySQL or MariaDB.
pub fn wire_failure(what: &str, error: WireError) -> Failure {
    let tls = matches!(error, WireError::Tls(_));
    hinted(wire_kind(&error), format!("{what}: {}", one_line(&error.to_string())), tls).caused_by(error)
}

/// The same of a session of PostgreSQL that is read without the driver.
pub fn pg_wire_failure(what: &str, error: PgWireError) -> Failure {
    let tls = matches!(error, PgWireError::Tls(_));
    hinted(pg_wire_kind(&error), format!("{what}: {}", one_line(&error.to_string())), tls).caused_by(error)
}

/// Whether a server of PostgreSQL says that files of what it was to open are damaged or not there: its classes XX and 58 (documentation, "PostgreSQL
/// Error Codes"), and the word for a database without its version.
pub fn is_of_damage(failure: &Failure) -> bool {
    let source = std::error::Error::source(failure);
    let code = match (source.and_then(|source| source.downcast_ref()), source.and_then(|source| source.downcast_ref())) {
        (Some(PgWireError::Server { code, .. }), _) => code.clone(),
        (_, Some(Error::Database(database))) => database.code().unwrap_or_default().into_owned(),
        _ => return false,
    };
    let is_lacking = code == "22023" && failure.message.contains("is not a valid data directory");
    is_lacking || code.starts_with("XX") || code.starts_with("58")
}

fn hinted(kind: FailureKind, message: String, tls: bool) -> Failure {
    let said = Failure::new(kind, message);
    match kind {
        FailureKind::Denied => {
            said.hint("check the user, and that the password is in the environment or the file that the configuration names")
        }
        FailureKind::Absent => said.hint("check the name of the database and that the restore holds it"),
        FailureKind::Network if tls => {
            said.hint("check that the server speaks TLS, that `tls_ca` is the bundle that its certificate leads to, and its host name")
        }
        FailureKind::Network => said.hint("check the host, the port and that the server is up and lets this machine in"),
        FailureKind::Invalid => said.hint("check the TLS options and the CA bundle"),
        _ => said,
    }
}

/// Whether a connection failed over TLS: refused by the server, or a certificate that does not lead to the CA bundle.
fn is_tls(error: &Error) -> bool {
    let text = error.to_string();
    // A server that ended in mid-session says no good-bye of TLS either.
    matches!(error, Error::Tls(_)) || text.contains("certificate") || (text.contains("TLS") && !text.contains("close_notify"))
}

/// The class of an error of the driver's, while a statement of the caller's own runs.
pub fn kind(error: &Error) -> FailureKind {
    kind_of(error)
}

/// The error in one line, without the driver's own preface.
pub fn message(error: &Error) -> String {
    let text = match error {
        Error::Database(database) => match database.code() {
            Some(code) => format!("{} ({code})", database.message()),
            None => database.message().to_owned(),
        },
        other => other.to_string(),
    };
    one_line(&text)
}

fn one_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    // rustls ends some of its errors with the address of its manual.
    line.split(": https://docs.rs/").next().unwrap_or_default().trim().to_owned()
}

/// True where the session is gone: nothing more can be asked of it.
pub fn lost_connection(error: &Error) -> bool {
    match error {
        Error::Io(_) | Error::Protocol(_) | Error::Tls(_) | Error::WorkerCrashed | Error::PoolClosed => true,
        Error::Database(database) => database.code().is_some_and(|code| ends_the_session(&code)),
        _ => false,
    }
}

/// Whether somebody asked for the session's end, or the server's: 57P01 admin shutdown, 57P05 and 25P03 sessions that waited too long.
pub fn was_asked_to_end(error: &Error) -> bool {
    matches!(error, Error::Database(database) if matches!(database.code().as_deref(), Some("57P01" | "57P05" | "25P03" | "25P04")))
}

/// 57P01 admin shutdown, 57P02 crash shutdown, 57P03 cannot connect now; class 08 connection exceptions.
fn ends_the_session(code: &str) -> bool {
    matches!(code, "57P01" | "57P02" | "57P03") || code.starts_with("08")
}

/// A transaction that was rolled back, its snapshot with it (`ER_LOCK_DEADLOCK`).
const DEADLOCK: u16 = 1213;

/// Why a stream of rows broke.
#[derive(Debug)]
pub struct Broken {
    /// In one line.
    pub said: String,
    /// True where the session is gone and another one may do better.
    pub lost: bool,
    /// Whether the data is to blame ([`FailureKind::Remote`]) or something outside it.
    pub kind: FailureKind,
}

impl Broken {
    /// What `error` says.
    pub fn of(error: &Error) -> Self {
        let kind = match error {
            Error::Database(database) if database.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some() => {
                postgres_reading_kind(&database.code().unwrap_or_default())
            }
            other => kind_of(other),
        };
        Self { said: message(error), lost: lost_connection(error), kind }
    }

    /// What `error` of a session of MySQL or MariaDB says. Where the server ends the session it may say so first.
    pub fn of_wire(error: &WireError) -> Self {
        let refused =
            matches!(error, WireError::Server { number, .. } if mysql_kind(*number) != FailureKind::Network && *number != DEADLOCK);
        let kind = match error {
            WireError::Server { number, .. } => mysql_reading_kind(*number),
            other => wire_kind(other),
        };
        Self { said: one_line(&error.to_string()), lost: !refused, kind }
    }

    /// What `error` of a session of PostgreSQL says that is read without the driver.
    pub fn of_pg_wire(error: &PgWireError) -> Self {
        let refused = matches!(error, PgWireError::Server { code, .. } if !ends_the_session(code));
        let kind = match error {
            PgWireError::Server { code, .. } => postgres_reading_kind(code),
            other => pg_wire_kind(other),
        };
        Self { said: one_line(&error.to_string()), lost: !refused, kind }
    }

    /// What `error` of a SQLite file says.
    pub fn of_sqlite(error: &rusqlite::Error) -> Self {
        Self { said: sqlite_message(error), lost: false, kind: sqlite_error_kind(error) }
    }

    /// What arrived is at fault: another session would bring the same.
    pub fn data(said: impl Into<String>) -> Self {
        Self { said: said.into(), lost: false, kind: FailureKind::Remote }
    }

    /// Somebody has dropped, emptied or rewritten what was to be read.
    pub fn moved(said: impl Into<String>) -> Self {
        Self { said: said.into(), lost: false, kind: FailureKind::Busy }
    }

    /// A value that is longer than what is held at once.
    pub fn too_large(said: impl Into<String>) -> Self {
        Self { said: said.into(), lost: false, kind: FailureKind::TooLarge }
    }

    /// Nothing arrived for so long.
    pub fn silent(silence: Duration) -> Self {
        Self { said: format!("no data for {} seconds", silence.as_secs()), lost: true, kind: FailureKind::Network }
    }

    /// As the reason why a table was not read.
    pub fn failure(self) -> Failure {
        Failure::new(self.kind, self.said)
    }
}

fn kind_of(error: &Error) -> FailureKind {
    match error {
        Error::Configuration(_) | Error::InvalidArgument(_) => FailureKind::Invalid,
        Error::Tls(_) => FailureKind::Network,
        Error::Io(_) | Error::PoolTimedOut => FailureKind::Network,
        Error::Database(database) => {
            if let Some(mysql) = database.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
                return mysql_kind(mysql.number());
            }
            if database.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some() {
                return postgres_kind(&database.code().unwrap_or_default());
            }
            sqlite_kind(&database.code().unwrap_or_default())
        }
        _ => FailureKind::Remote,
    }
}

fn pg_wire_kind(error: &PgWireError) -> FailureKind {
    match error {
        PgWireError::Io(_) | PgWireError::Tls(_) => FailureKind::Network,
        PgWireError::Server { code, .. } => postgres_kind(code),
        PgWireError::Login(_) => FailureKind::Invalid,
        PgWireError::Protocol(_) => FailureKind::Remote,
    }
}

fn sqlite_error_kind(error: &rusqlite::Error) -> FailureKind {
    sqlite_kind(&error.sqlite_error().map_or(0, |error| error.extended_code).to_string())
}

fn wire_kind(error: &WireError) -> FailureKind {
    match error {
        WireError::Io(_) | WireError::Tls(_) => FailureKind::Network,
        WireError::Server { number, .. } => mysql_kind(*number),
        WireError::Login(_) => FailureKind::Invalid,
        WireError::Protocol(_) | WireError::TooOld { .. } => FailureKind::Remote,
    }
}

/// SQLSTATE (PostgreSQL documentation, appendix A).
fn postgres_kind(code: &str) -> FailureKind {
    match code {
        "28000" | "28P01" | "42501" => FailureKind::Denied,
        "3D000" | "42P01" | "3F000" => FailureKind::Absent,
        "53000" | "53200" | "53300" | "53400" => FailureKind::Throttled,
        // Shut down, starting up, or a session that was idle for too long.
        "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "25P04" => FailureKind::Network,
        // A lock's or a statement's time limit, a cancelled statement, a standby's conflict with what it replays, a deadlock, a snapshot
        // that has grown too old.
        "55P03" | "57014" | "40001" | "40P01" | "72000" => FailureKind::Busy,
        "53100" => FailureKind::Disk,
        _ if code.starts_with("08") => FailureKind::Network,
        _ => FailureKind::Remote,
    }
}

/// The same of a table that the catalogue has just named: where it or a column of it is not there, somebody has dropped it since.
fn postgres_reading_kind(code: &str) -> FailureKind {
    match code {
        "42703" | "57P04" => FailureKind::Busy,
        code => gone_is_busy(postgres_kind(code)),
    }
}

/// Server error numbers (MySQL and MariaDB error references).
fn mysql_kind(number: u16) -> FailureKind {
    match number {
        1044 | 1045 | 1130 | 1142 | 1143 | 1227 | 1370 | 1698 => FailureKind::Denied,
        // A password that expired; an account that is locked (MySQL, MariaDB), or for a while; a session without TLS.
        1820 | 1862 | 3118 | 3159 | 3955 | 4151 => FailureKind::Denied,
        1049 | 1146 => FailureKind::Absent,
        // Too many sessions, or no memory or thread for one more.
        1037 | 1038 | 1040 | 1041 | 1135 | 1203 | 1226 => FailureKind::Throttled,
        1053 | 1152 | 1158..=1161 | 1184 | 1927 | 2006 | 2013 | 4031 => FailureKind::Network,
        // A lock's time limit, a deadlock, a cancelled statement, a definition that has changed, a statement's time limit (MariaDB, MySQL).
        1205 | 1213 | 1317 | 1412 | 1969 | 3024 => FailureKind::Busy,
        1021 => FailureKind::Disk,
        _ => FailureKind::Remote,
    }
}

/// The same of a table that the catalogue has just named.
fn mysql_reading_kind(number: u16) -> FailureKind {
    match number {
        // Unknown column, unknown table.
        1051 | 1054 => FailureKind::Busy,
        // A storage engine that is withheld or not installed where it is read.
        1286 => FailureKind::Denied,
        number => gone_is_busy(mysql_kind(number)),
    }
}

fn gone_is_busy(kind: FailureKind) -> FailureKind {
    if kind == FailureKind::Absent { FailureKind::Busy } else { kind }
}

/// Extended result codes (sqlite.org/rescode.html); the primary code is the low byte.
fn sqlite_kind(code: &str) -> FailureKind {
    let code = code.parse::<u32>().unwrap_or(0);
    match code & 0xff {
        // A file that ends where a page should be is damaged, not the disk.
        _ if code == 522 => FailureKind::Remote,
        3 | 23 => FailureKind::Denied,
        5 | 6 | 9 => FailureKind::Busy,
        14 => FailureKind::Absent,
        10 | 13 => FailureKind::Disk,
        _ => FailureKind::Remote,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_ended_is_told_without_a_manual() {
        let said =
            "peer closed connection without sending TLS close_notify: https://docs.rs/rustls/latest/rustls/manual/_03_howto/index.html";
        let error = || Error::Io(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, said));
        assert!(!is_tls(&error()));
        let told = failure("postgres://h/d", error());
        assert!(!told.message.contains("docs.rs") && told.message.ends_with("close_notify"), "{told}");
        assert!(!told.hint.unwrap_or_default().contains("speaks TLS"));
    }

    #[test]
    fn codes_are_classed() {
        assert_eq!(postgres_kind("28P01"), FailureKind::Denied);
        assert_eq!(postgres_kind("3D000"), FailureKind::Absent);
        assert_eq!(postgres_kind("08006"), FailureKind::Network);
        assert!([1045, 1820, 3118, 3159].iter().all(|number| mysql_kind(*number) == FailureKind::Denied));
        assert_eq!(mysql_kind(1049), FailureKind::Absent);
        assert_eq!(sqlite_kind("14"), FailureKind::Absent);
        assert_eq!(sqlite_kind("267"), FailureKind::Remote);
        let server = |number, message: &str| WireError::Server { number, state: "70100".into(), message: message.into() };
        let failure = wire_failure("mysql://h/d", server(1040, "Too many\nconnections"));
        assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::Throttled, "mysql://h/d: Too many"));
        assert!(Broken::of_wire(&server(1927, "Connection was killed")).lost, "another session may do better");
        assert!(Broken::of_wire(&WireError::ended()).lost && !Broken::of_wire(&server(1317, "interrupted")).lost);
        assert_eq!(wire_failure("x", WireError::Tls("no".into())).kind, FailureKind::Network);
        // While rows stream: who is to blame.
        for (number, kind) in [
            (1142, FailureKind::Denied),
            (1286, FailureKind::Denied),
            (1205, FailureKind::Busy),
            (1412, FailureKind::Busy),
            (1146, FailureKind::Busy),
            (1054, FailureKind::Busy),
            (1927, FailureKind::Network),
            (1040, FailureKind::Throttled),
            // A crashed table, a page that cannot be read, a tablespace that is missing.
            (1194, FailureKind::Remote),
            (1030, FailureKind::Remote),
            (1812, FailureKind::Remote),
        ] {
            assert_eq!(Broken::of_wire(&server(number, "said")).kind, kind, "{number}");
        }
        for (code, kind) in [
            ("42501", FailureKind::Denied),
            ("55P03", FailureKind::Busy),
            ("57014", FailureKind::Busy),
            ("42P01", FailureKind::Busy),
            ("57P01", FailureKind::Network),
            ("53300", FailureKind::Throttled),
            ("XX001", FailureKind::Remote),
            ("XX002", FailureKind::Remote),
            ("22021", FailureKind::Remote),
            ("58P01", FailureKind::Remote),
        ] {
            assert_eq!(postgres_reading_kind(code), kind, "{code}");
        }
        assert_eq!([sqlite_kind("522"), sqlite_kind("266"), sqlite_kind("5")], [FailureKind::Remote, FailureKind::Disk, FailureKind::Busy]);
        assert_eq!(wire_failure("x", WireError::Login("no".into())).kind, FailureKind::Invalid);
        let server = |code: &str| PgWireError::Server { code: code.into(), message: "said\nand more".into() };
        let failure = pg_wire_failure("postgres://h/d", server("53300"));
        assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::Throttled, "postgres://h/d: said"));
        assert!(Broken::of_pg_wire(&server("57P01")).lost && Broken::of_pg_wire(&PgWireError::ended()).lost);
        assert!(!Broken::of_pg_wire(&server("57014")).lost && !Broken::of_pg_wire(&server("XX001")).lost);
        assert_eq!(pg_wire_failure("x", PgWireError::Tls("no".into())).kind, FailureKind::Network);
    }

    #[test]
    fn a_server_that_says_no_calls_nothing_damaged() {
        let said = |code: &str, message: &str| {
            is_of_damage(&pg_wire_failure("x", PgWireError::Server { code: code.into(), message: message.into() }))
        };
        assert!(
            said("XX001", "invalid page") && said("58P01", "could not open file") && said("22023", "\"b\" is not a valid data directory")
        );
        for (code, message) in
            [("55000", "database \"x\" is not currently accepting connections"), ("22023", "invalid value"), ("3D000", "absent")]
        {
            assert!(!said(code, message), "{code}");
        }
        assert!(!is_of_damage(&Failure::invalid("x")));
    }
}
