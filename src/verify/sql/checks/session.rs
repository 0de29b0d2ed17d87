//! A session that checks run in: read-only transactions, server-side time limits, answers as text.
//!
//! Not here: which checks run and what their answers mean (`runner`).

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use sqlx::mysql::MySqlConnection;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Column as _, ConnectOptions, Connection, Error, Executor, Row as _, SqlSafeStr};

use crate::model::failure::{Failure, FailureKind};
use crate::model::source_url::SourceUrl;
use crate::verify::sql::checks::answer::{self, Answer};
use crate::verify::sql::checks::redact;
use crate::verify::sql::checks::search_path;
use crate::verify::sql::checks::statement::is_check_of_a_table;
use crate::verify::sql::connect::access::{Access, not_sql};
use crate::verify::sql::connect::errors;
use crate::verify::sql::connect::heard::{Heard, with_patience};
use crate::verify::sql::connect::speaker::{Entrance, Speaker};
use crate::verify::sql::mysql::driver_row;
use crate::verify::sql::mysql::session::{IS_AS_OF, NOW, UNLIMITED};
use crate::verify::sql::mysql::version::check_version;
use crate::verify::sql::postgres::session as postgres;
use crate::verify::sql::reading::Engine;
use crate::verify::sql::rows::table::{backticked, double_quoted};
use crate::verify::sql::sqlite::file;

/// How much longer than the server's limit this side waits: a server that does not hold its limit must not hold us.
pub const GRACE: Duration = Duration::from_secs(30);

/// How long a statement waits for a lock that somebody holds, in seconds; and once one was waited for in vain.
const LOCK_WAIT_S: u64 = 60;
const LOCK_WAIT_AGAIN_S: u64 = 3;

/// Why a statement gave no answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trouble {
    /// In one line.
    pub said: String,
    /// True where the engine itself calls its data corrupt: that is a verdict, not an accident.
    pub corrupt: bool,
    /// Its class: [`FailureKind::Denied`] where a right is missing, [`FailureKind::Absent`] where a table is.
    pub kind: FailureKind,
}

impl Trouble {
    /// What `error` of `statement` means; nothing of a value is told.
    pub fn of(error: &Error, statement: &str) -> Self {
        let code = code_of(error);
        // PostgreSQL: data_corrupted, index_corrupted. SQLite: CORRUPT and NOTADB, with their extended codes.
        let corrupt =
            matches!(code.as_str(), "XX001" | "XX002") || (is_sqlite(error) && matches!(code.parse::<u32>().unwrap_or(0) & 0xff, 11 | 26));
        Self { said: redact::message(error, statement), corrupt, kind: errors::kind(error) }
    }

    /// A right is missing, in these words.
    pub fn denied(said: impl Into<String>) -> Self {
        Self { kind: FailureKind::Denied, ..Self::said(said) }
    }

    /// An accident, in these words.
    pub fn said(said: impl Into<String>) -> Self {
        Self { said: said.into(), corrupt: false, kind: FailureKind::Remote }
    }
}

fn code_of(error: &Error) -> String {
    error.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned()
}

fn is_sqlite(error: &Error) -> bool {
    error.as_database_error().is_some_and(|error| error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some())
}

enum Connected {
    Postgres(PgConnection),
    Mysql(MySqlConnection),
    /// With the copy that a hot journal asked for, which lives as long as the session.
    Sqlite(SqliteConnection, #[allow(dead_code, reason = "held for its Drop")] Option<tempfile::TempDir>),
}

/// An open session.
pub struct Session {
    connected: Connected,
    engine: Engine,
    /// Whether reading rights alone would show less than the session's own: it sees past row-level security, and that right is no role's to
    /// give. A superuser's are given up all the same.
    keeps_role: bool,
    /// How much longer than a statement's own limit it is waited for.
    grace: Duration,
    /// How long a statement waits for a lock, in seconds.
    lock_wait_s: u64,
    /// A statement gave no answer and may still run: nothing else can be asked.
    given_up: bool,
}

/// How a value is shown is no affair of the database's settings, which a copy of it may not have.
const POSTGRES_PINS: [&str; 6] = [
    "SET TimeZone = 'UTC'",
    "SET bytea_output = 'hex'",
    "SET IntervalStyle = 'postgres'",
    "SET lc_monetary = 'C'",
    "SET row_security = off",
    "SET default_transaction_read_only = on",
];

/// What a statement means is no affair of the server's settings: texts may stand in double quotes, and `||` is OR, as both products have it
/// where nobody sets anything. MySQL then asks that what is shown of a group is the same for all of it; MariaDB does not, and its own rule for
/// that knows no keys.
const MYSQL_MODE: &str = "SET SESSION sql_mode = 'ONLY_FULL_GROUP_BY'";
const MARIADB_MODE: &str = "SET SESSION sql_mode = ''";

/// Pins a session of MySQL or MariaDB.
async fn pin_mysql(connection: &mut MySqlConnection, mariadb: bool) -> Result<(), Error> {
    sqlx::raw_sql(if mariadb { MARIADB_MODE } else { MYSQL_MODE }).execute(&mut *connection).await?;
    if mariadb && sqlx::raw_sql(IS_AS_OF).fetch_optional(&mut *connection).await?.is_some() {
        sqlx::raw_sql(NOW).execute(&mut *connection).await?;
    }
    // MariaDB ends a recursion after so many steps without a word; its check has a time limit. Who does not know the setting has no recursion.
    let recursion = if mariadb { "max_recursive_iterations" } else { "cte_max_recursion_depth" };
    let _ = sqlx::raw_sql(AssertSqlSafe(format!("SET SESSION {recursion} = 4294967295"))).execute(&mut *connection).await;
    // Who does not get all of a group finds nothing wrong with the rest.
    sqlx::raw_sql("SET SESSION group_concat_max_len = 4294967295").execute(&mut *connection).await?;
    // Its words are read where it says why a table could not be looked at.
    let _ = sqlx::raw_sql("SET SESSION lc_messages = 'en_US'").execute(&mut *connection).await;
    // MySQL 8 remembers for a day what its catalog told of a table; who does not know the setting remembers nothing.
    let _ = sqlx::raw_sql("SET SESSION information_schema_stats_expiry = 0").execute(connection).await;
    Ok(())
}

/// A session, or why there is none: where nothing listens there, that.
async fn or_gone<T>(opened: Result<T, Failure>, at: Option<(String, u16)>) -> Result<T, Failure> {
    match opened {
        Ok(opened) => Ok(opened),
        Err(failure) => Err(Heard::default().explain(failure, at).await),
    }
}

impl Session {
    /// Connects; nothing is run yet.
    pub async fn open(url: &SourceUrl, access: &Access) -> Result<Self, Failure> {
        let shown = url.to_string();
        let failed = |error| errors::failure(&shown, error);
        let mut connected = match url {
            SourceUrl::Postgres { url } => {
                let options = access.postgres(url)?.now().await?;
                let entrance = Entrance { shown: &shown, at: options.at(), wanted: Speaker::Postgres };
                let connect = || async { options.driver().connect().await.map_err(failed) };
                let opened = with_patience(|| access.limits.connecting(&shown, entrance.open(connect()))).await;
                Connected::Postgres(or_gone(opened, options.at()).await?)
            }
            SourceUrl::Mysql { url } => {
                let options = access.mysql(url)?.now().await?;
                let entrance = Entrance { shown: &shown, at: options.at(), wanted: Speaker::Mysql };
                let driver = options.driver();
                let connect = || async { driver.connect().await.map_err(failed) };
                let opened = with_patience(|| access.limits.connecting(&shown, entrance.open(connect()))).await;
                Connected::Mysql(or_gone(opened, options.at()).await?)
            }
            SourceUrl::Sqlite { path } => {
                let (options, copy) = file::options(path)?;
                let connect = async { options.connect().await.map_err(failed) };
                Connected::Sqlite(access.limits.connecting(&shown, connect).await?, copy)
            }
            other => return Err(not_sql(other)),
        };
        let mut keeps_role = false;
        let engine = match &mut connected {
            Connected::Postgres(connection) => {
                let row = sqlx::raw_sql("SHOW server_version_num").fetch_one(&mut *connection).await.map_err(failed)?;
                postgres::check_version(&shown, &row.try_get_unchecked::<String, _>(0).map_err(failed)?)?;
                for pin in POSTGRES_PINS {
                    sqlx::raw_sql(pin).execute(&mut *connection).await.map_err(failed)?;
                }
                let question = "SELECT pg_catalog.current_setting('search_path'), current_user::pg_catalog.text";
                let row = sqlx::query(question).fetch_one(&mut *connection).await.map_err(failed)?;
                let path = search_path::pinned(row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
                let pin = sqlx::query("SELECT pg_catalog.set_config('search_path', $1, false)").bind(path);
                pin.execute(&mut *connection).await.map_err(failed)?;
                let question = "SELECT current_setting('server_version'), (SELECT rolbypassrls AND NOT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)";
                let row = sqlx::query(question).fetch_one(connection).await.map_err(failed)?;
                keeps_role = row.try_get::<Option<bool>, _>(1).map_err(failed)?.unwrap_or(false);
                Engine { name: "postgres", version: row.try_get(0).map_err(failed)? }
            }
            Connected::Mysql(connection) => {
                let row = sqlx::query("SELECT version()").fetch_one(&mut *connection).await.map_err(failed)?;
                let version = driver_row::text(&row, 0).map_err(failed)?.unwrap_or_default();
                check_version(&shown, &version)?;
                let mariadb = version.contains("MariaDB");
                pin_mysql(connection, mariadb).await.map_err(failed)?;
                Engine { name: if mariadb { "mariadb" } else { "mysql" }, version }
            }
            Connected::Sqlite(connection, _) => {
                sqlx::raw_sql("PRAGMA query_only = on; PRAGMA trusted_schema = off").execute(&mut *connection).await.map_err(failed)?;
                let row = sqlx::query("SELECT sqlite_version()").fetch_one(connection).await.map_err(failed)?;
                Engine { name: "sqlite", version: row.try_get(0).map_err(failed)? }
            }
        };
        Ok(Self { connected, engine, keeps_role, grace: GRACE, lock_wait_s: LOCK_WAIT_S, given_up: false })
    }

    /// The same session for checks of another engine: items of a table laid in SQLite.
    #[must_use]
    pub fn as_engine(mut self, name: &'static str) -> Self {
        self.engine.name = name;
        self
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Runs one statement in a read-only transaction that is rolled back. `privileged` keeps the session's own rights; otherwise they are
    /// given up where the server has a role that only reads.
    pub async fn run(&mut self, sql: &str, timeout: Duration, keep: usize, privileged: bool) -> Result<Answer, Trouble> {
        if self.given_up {
            return Err(Trouble::said("an earlier statement of this session gave no answer, and nothing else can be asked of it"));
        }
        let mariadb = self.engine.name == "mariadb";
        let privileged = privileged || self.keeps_role;
        let (waits, is_of_mysql) = (Waits { timeout, lock_s: self.lock_wait_s }, matches!(self.connected, Connected::Mysql(_)));
        let work = async {
            match &mut self.connected {
                Connected::Postgres(connection) => run_postgres(connection, sql, waits, keep, privileged).await,
                Connected::Mysql(connection) => run_mysql(connection, sql, waits, keep, mariadb).await,
                Connected::Sqlite(connection, _) => run_sqlite(connection, sql, timeout, keep).await,
            }
        };
        let begun = Instant::now();
        let patience = timeout + self.grace;
        match tokio::time::timeout(patience, work).await {
            // MariaDB answers that a table is well where its check came to its limit.
            Ok(Ok(_)) if is_of_mysql && is_check_of_a_table(sql) && begun.elapsed() >= timeout => Err(Trouble::said(format!(
                "stopped at its timeout of {} s: what was looked at till then is no proof",
                timeout.as_secs_f64()
            ))),
            Ok(Ok(answer)) => Ok(answer),
            // SQLITE_INTERRUPT: nobody else interrupts it.
            Ok(Err(error)) if is_sqlite(&error) && code_of(&error) == "9" && begun.elapsed() >= timeout => {
                Err(Trouble::said(format!("stopped at its timeout of {} s", timeout.as_secs())))
            }
            Ok(Err(error)) => Err(self.noted(Trouble::of(&error, sql))),
            Err(_) => {
                self.given_up = true;
                Err(Trouble::said(format!("no answer within {} seconds", patience.as_secs())))
            }
        }
    }

    /// Once a lock was waited for in vain, whoever holds it is not waited for as long again: many statements may want it.
    pub fn noted(&mut self, trouble: Trouble) -> Trouble {
        if trouble.kind == FailureKind::Busy {
            self.lock_wait_s = LOCK_WAIT_AGAIN_S;
        }
        trouble
    }

    /// A name, maybe with its schema, quoted for this engine; none for a name that no check may use.
    pub fn quoted(&self, name: &str) -> Option<String> {
        let parts: Vec<&str> = name.split('.').collect();
        let legal = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | '-'));
        if parts.len() > 2 || !parts.iter().all(legal) {
            return None;
        }
        let quote = if matches!(self.connected, Connected::Mysql(_)) { backticked } else { double_quoted };
        Some(parts.into_iter().map(quote).collect::<Vec<_>>().join("."))
    }

    /// A table or view with the schema that it lies in, quoted: such a name is never that of a table expression. None where the name has its
    /// schema already, or no such table is seen.
    pub async fn qualified(&mut self, name: &str) -> Result<Option<String>, Trouble> {
        let Some(quoted) = self.quoted(name).filter(|_| !name.contains('.')) else { return Ok(None) };
        let (question, quote): (String, fn(&str) -> String) = match &self.connected {
            Connected::Sqlite(..) => return Ok(Some(format!("main.{quoted}"))),
            Connected::Mysql(_) => ("SELECT DATABASE()".to_owned(), backticked),
            Connected::Postgres(_) => {
                let of = "SELECT n.nspname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace";
                (format!("{of} WHERE c.oid = pg_catalog.to_regclass('{}')", quoted.replace('\'', "''")), double_quoted)
            }
        };
        let schema = self.run(&question, GRACE, 1, true).await?.rows.into_iter().flatten().flatten().next();
        Ok(schema.map(|schema| format!("{}.{quoted}", quote(&schema))))
    }

    /// Whether a table or view can be read: none where it is absent, else whether it has a row. A view may look for one as long as its check
    /// may, `timeout`.
    ///
    /// # Errors
    /// Denied where it may be there and this reader is not shown it: catalogues are silent about what one has no right on.
    pub async fn has_rows(&mut self, name: &str, timeout: Duration) -> Result<Option<bool>, Trouble> {
        let Some(quoted) = self.quoted(name) else {
            return Err(Trouble::said(format!("`{}` is not a table's name", name.escape_default())));
        };
        let literal = quoted.replace('\'', "''");
        let bare = name.rsplit('.').next().unwrap_or(name);
        let there = match &self.connected {
            Connected::Postgres(_) => Some(format!("SELECT 1 WHERE to_regclass('{literal}') IS NOT NULL")),
            // Who may not see it is told that it is denied, everybody else that there is none.
            Connected::Mysql(_) => None,
            Connected::Sqlite(..) => {
                Some(format!("SELECT 1 FROM sqlite_schema WHERE type IN ('table', 'view') AND name = '{bare}' COLLATE NOCASE"))
            }
        };
        if let Some(there) = there
            && self.run(&there, GRACE, 1, true).await?.total == 0
        {
            return match self.hidden_schema(name).await? {
                Some(schema) => Err(Trouble::denied(format!("table {name} is in schema {schema}, and the reader has no USAGE on it"))),
                None => Ok(None),
            };
        }
        match self.run(&format!("SELECT 1 FROM {quoted} LIMIT 1"), timeout, 1, true).await {
            Ok(answer) => Ok(Some(answer.total > 0)),
            Err(trouble) if trouble.kind == FailureKind::Absent => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    /// The schema of PostgreSQL's search path in which a table of that name lies, and which is passed over since the reader may not use it.
    async fn hidden_schema(&mut self, name: &str) -> Result<Option<String>, Trouble> {
        if !matches!(self.connected, Connected::Postgres(_)) || name.contains('.') {
            return Ok(None);
        }
        let question = format!(
            "SELECT n.nspname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relname = '{}' AND NOT pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND n.nspname = ANY ( \
               SELECT btrim(s, ' \"') FROM unnest(string_to_array(current_setting('search_path'), ',')) s)",
            name.replace('\'', "''")
        );
        let answer = self.run(&question, GRACE, 1, true).await?;
        Ok(answer.rows.into_iter().next().and_then(|row| row.into_iter().next()).flatten())
    }

    /// A function with its schema, in quotes, where it is there (PostgreSQL; the others have no extensions that checks rely on). With
    /// `of_extension` only one that an extension has brought: anybody may have made another of that name.
    pub async fn function(&mut self, name: &str, of_extension: bool) -> Result<Option<String>, Trouble> {
        if !matches!(self.connected, Connected::Postgres(_)) {
            return Ok(None);
        }
        let brought =
            "JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e'";
        let sql = format!(
            "SELECT pg_catalog.format('%I.%I', n.nspname, p.proname) FROM pg_catalog.pg_proc p \
             JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace {} WHERE p.proname = '{}'",
            if of_extension { brought } else { "" },
            name.replace('\'', "''")
        );
        let answer = self.run(&sql, GRACE, 1, true).await?;
        Ok(answer.rows.into_iter().next().and_then(|row| row.into_iter().next()).flatten())
    }

    /// Ends the session.
    pub async fn close(self) {
        // Whoever waits for its last answer waits for ever: SQLite looks for an interruption between instructions only.
        if self.given_up {
            std::mem::forget(self.connected);
            return;
        }
        let _ = match self.connected {
            Connected::Postgres(connection) => connection.close().await,
            Connected::Mysql(connection) => connection.close().await,
            Connected::Sqlite(connection, _) => connection.close().await,
        };
    }
}

/// How long one statement is waited for.
#[derive(Clone, Copy)]
struct Waits {
    timeout: Duration,
    lock_s: u64,
}

async fn run_postgres(connection: &mut PgConnection, sql: &str, waits: Waits, keep: usize, privileged: bool) -> Result<Answer, Error> {
    let limit = format!("SET LOCAL statement_timeout = {}", waits.timeout.as_millis());
    let lock = format!("SET LOCAL lock_timeout = '{}s'", waits.lock_s);
    for statement in ["BEGIN READ ONLY", &limit, &lock] {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *connection).await?;
    }
    if !privileged {
        // PostgreSQL 14 has a role that reads and does nothing else; who may not take it keeps its own rights, and the transaction still only reads.
        sqlx::raw_sql("SAVEPOINT role").execute(&mut *connection).await?;
        if sqlx::raw_sql("SET LOCAL ROLE pg_read_all_data").execute(&mut *connection).await.is_err() {
            sqlx::raw_sql("ROLLBACK TO SAVEPOINT role").execute(&mut *connection).await?;
        }
    }
    let answer = async {
        // A prepared statement is one statement: the server's own word for it.
        connection.prepare(AssertSqlSafe(sql).into_sql_str()).await?;
        let mut rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch(&mut *connection);
        let mut answer = Answer::default();
        while let Some(row) = rows.next().await {
            let row = row?;
            answer.add(keep, |answer| {
                answer.columns = row.columns().iter().map(|column| column.name().to_owned()).collect();
                answer.first(|| (0..row.len()).map(|index| answer::postgres_exact(&row, index)).collect());
                (0..row.len()).map(|index| answer::postgres_text(&row, index)).collect()
            });
        }
        Ok(answer)
    }
    .await;
    let ended = sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await;
    answer.and_then(|answer| ended.map(|_| answer))
}

async fn run_mysql(connection: &mut MySqlConnection, sql: &str, waits: Waits, keep: usize, mariadb: bool) -> Result<Answer, Error> {
    let limit = if mariadb {
        format!("SET SESSION max_statement_time = {}", waits.timeout.as_secs_f64())
    } else {
        format!("SET SESSION max_execution_time = {}", waits.timeout.as_millis())
    };
    let lock = format!("SET SESSION lock_wait_timeout = {}", waits.lock_s);
    // DDL ends a transaction before it runs: it is the session that must be read only, not the transaction alone.
    // The server's own limits on answers are no part of what is checked.
    for statement in [limit.as_str(), UNLIMITED, &lock, "SET SESSION TRANSACTION READ ONLY", "START TRANSACTION READ ONLY"] {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *connection).await?;
    }
    let answer = async {
        // What is prepared is one statement. MySQL prepares no `CHECK TABLE`.
        if mariadb || !is_check_of_a_table(sql) {
            connection.prepare(AssertSqlSafe(sql).into_sql_str()).await?;
        }
        let mut rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch(&mut *connection);
        let mut answer = Answer::default();
        while let Some(row) = rows.next().await {
            let row = row?;
            answer.add(keep, |answer| {
                answer.columns = row.columns().iter().map(|column| column.name().to_owned()).collect();
                answer.first(|| (0..row.len()).map(|index| answer::mysql_exact(&row, index)).collect());
                (0..row.len()).map(|index| answer::mysql_text(&row, index)).collect()
            });
        }
        drop(rows);
        // Text has six digits of a FLOAT, and what a prepared statement sends has all.
        if answer.rows.len() == 1 && answer.is_rounded() {
            let whole = sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch_one(connection as &mut MySqlConnection).await?;
            answer.complete(&whole);
        }
        Ok(answer)
    }
    .await;
    let ended = sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await;
    answer.and_then(|answer| ended.map(|_| answer))
}

async fn run_sqlite(connection: &mut SqliteConnection, sql: &str, timeout: Duration, keep: usize) -> Result<Answer, Error> {
    let deadline = Instant::now() + timeout;
    // SQLite has no server to keep time: its virtual machine asks every so many instructions.
    connection.lock_handle().await?.set_progress_handler(10_000, move || Instant::now() < deadline);
    let mut rows = sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch(connection);
    let mut answer = Answer::default();
    while let Some(row) = rows.next().await {
        let row = row?;
        answer.add(keep, |answer| {
            answer.columns = row.columns().iter().map(|column| column.name().to_owned()).collect();
            answer.first(|| (0..row.len()).map(|index| answer::sqlite_exact(&row, index)).collect());
            (0..row.len()).map(|index| answer::sqlite_text(&row, index)).collect()
        });
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_statement_that_nothing_interrupts_is_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("some.db");
        rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
        let mut session = Session::open(&SourceUrl::Sqlite { path }, &Access::default()).await.unwrap();
        session.grace = Duration::from_secs(1);
        // One instruction of many seconds.
        let long = "SELECT instr(zeroblob(1000000), CAST(zeroblob(500000) || x'01' AS BLOB))";
        let trouble = session.run(long, Duration::from_secs(1), 1, false).await.unwrap_err();
        assert_eq!(trouble.said, "no answer within 2 seconds");
        let next = session.run("SELECT 1", Duration::from_secs(1), 1, false).await.unwrap_err();
        assert!(next.said.contains("nothing else can be asked"), "{next:?}");
        session.close().await;
    }
}
