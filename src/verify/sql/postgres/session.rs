//! Sessions of PostgreSQL that all read one exported snapshot: the driver's, which holds it and reads the catalogue, and those of our own
//! wire, which read tables.
//!
//! Not here: what is read in which order (`snapshot`, `block_ranges`), rows as they stream (`rows`).

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, ConnectOptions, Row as _};

use crate::model::failure::{Failure, FailureKind};
use crate::verify::sql::connect::errors::{self, Broken};
use crate::verify::sql::connect::heard::Heard;
use crate::verify::sql::connect::login::Door;
use crate::verify::sql::connect::speaker::{Entrance, Speaker};
use crate::verify::sql::reading::Limits;
use crate::verify::sql::rows::table::Table;
use crate::verify::sql::wire::postgres::error::PgWireError;
use crate::verify::sql::wire::postgres::messages::literal;
use crate::verify::sql::wire::postgres::options::PgOptions;
use crate::verify::sql::wire::postgres::session::PgWireSession;

/// The oldest version that is read.
const OLDEST: u32 = 120_000;

/// What every session sets: nothing hidden by row-level security (an error instead), UTC, no time limits but our own, names qualified, no
/// compiling of questions that are each asked once; and one way to print what has no binary form.
const PIN: &str = "SET row_security = off; SET TimeZone = 'UTC'; SET statement_timeout = 0; \
                   SET idle_in_transaction_session_timeout = 0; SET search_path = pg_catalog; \
                   SET default_transaction_read_only = on; SET synchronize_seqscans = off; SET jit = off; \
                   SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres'; SET extra_float_digits = 1; SET bytea_output = 'hex'; \
                   SET xmloption = 'content'; SET quote_all_identifiers = off; SET lc_monetary = 'C'; \
                   SET standard_conforming_strings = on";

/// What sessions set that read tables: an index may be damaged, and must neither hide rows nor lend its copies of them.
pub const WITHOUT_INDEXES: &str = "SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off";

/// Opens sessions.
#[derive(Clone)]
pub struct Opener {
    /// The URL without secrets.
    pub shown: String,
    /// How the server is reached.
    pub door: Door<PgOptions>,
    /// How long is waited for what.
    pub limits: Limits,
    /// What was heard of the server.
    pub heard: Heard,
    /// The exported snapshot, once there is one.
    pub snapshot: Option<String>,
    /// True where the database declares no encoding: then bytes must not be checked on their way.
    pub without_encoding: bool,
}

impl Opener {
    /// The driver's session in a read-only transaction: what exports the snapshot and is asked for the catalogue.
    pub async fn open(&self) -> Result<PgConnection, Failure> {
        let failed = |error| errors::failure(&self.shown, error);
        let connect = async { self.door.now().await?.driver().connect().await.map_err(|error| self.door.refused(failed(error))) };
        let entrance = Entrance { shown: &self.shown, at: self.door.options().at(), wanted: Speaker::Postgres };
        let mut session = match self.limits.connecting(&self.shown, entrance.open(connect)).await {
            Ok(session) => session,
            Err(failure) => return Err(self.explain(failure).await),
        };
        let pin = async {
            let row = sqlx::raw_sql("SHOW server_version_num").fetch_one(&mut session).await.map_err(failed)?;
            let number: String = row.try_get_unchecked(0).map_err(failed)?;
            check_version(&self.shown, &number)?;
            for statement in self.pins() {
                execute(&mut session, &statement).await.map_err(failed)?;
            }
            Ok(())
        };
        self.limits.asking(&self.shown, pin).await?;
        self.heard.answered();
        Ok(session)
    }

    /// The same failure with what has become of the server, where it is gone.
    pub async fn explain(&self, failure: Failure) -> Failure {
        self.heard.explain(failure, self.door.options().at()).await
    }

    /// A session that reads tables, in a read-only transaction over the snapshot.
    pub async fn reader(&self) -> Result<PgWireSession, Failure> {
        let failed = |error| errors::pg_wire_failure(&self.shown, error);
        let connect = async { PgWireSession::connect(&self.door.now().await?).await.map_err(|error| self.door.refused(failed(error))) };
        let mut session = match self.limits.connecting(&self.shown, connect).await {
            Ok(session) => session,
            Err(failure) => return Err(self.explain(failure).await),
        };
        let pin = async {
            for statement in self.pins() {
                session.run(&statement).await.map_err(failed)?;
            }
            Ok(())
        };
        self.limits.asking(&self.shown, pin).await?;
        self.heard.answered();
        Ok(session)
    }

    /// What a session begins with.
    fn pins(&self) -> Vec<String> {
        // SQL_ASCII is no encoding: the server would refuse to send what is not UTF-8, and we want to see it.
        let encoding = if self.without_encoding { "SET client_encoding = 'SQL_ASCII'" } else { "SET client_encoding = 'UTF8'" };
        let mut pins = vec![PIN.to_owned(), format!("SET lock_timeout = {}", self.limits.lock.as_millis()), encoding.to_owned()];
        pins.extend(self.snapshot.is_some().then(|| WITHOUT_INDEXES.to_owned()));
        pins.push("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY".to_owned());
        pins.extend(self.snapshot.as_ref().map(|name| format!("SET TRANSACTION SNAPSHOT {}", literal(name))));
        pins
    }
}

/// PostgreSQL 12 is the oldest that is read; `server_version_num`.
pub fn check_version(shown: &str, number: &str) -> Result<(), Failure> {
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
pub async fn hold(session: &mut PgWireSession, table: &Table) -> Result<u64, Broken> {
    let broken = |error: PgWireError| Broken::of_pg_wire(&error);
    // The catalogue is asked by its index: there may be thousands of tables, and each would be looked for among all of them.
    let asked = format!(
        "LOCK TABLE ONLY {} IN ACCESS SHARE MODE; SET enable_indexscan = on; {}; SET enable_indexscan = off",
        table.sql_name,
        where_it_is(table)
    );
    let answers = session.ask(&asked).await.map_err(broken)?;
    let number = |at: usize| answers.first()?.get(at)?.as_ref()?.parse::<i64>().ok();
    is_moved([number(0), number(1), number(3)])?;
    Ok(number(2).and_then(|blocks| u64::try_from(blocks).ok()).unwrap_or(0))
}

/// The file of a table as the snapshot has it and as it is now, its size in blocks, and whether its name is still its own: somebody may have put
/// another in its place. The name is looked up once, and not for each row of the catalogue.
pub fn where_it_is(table: &Table) -> String {
    let named = format!("(SELECT {}::text::regclass)", literal(&table.sql_name));
    let it = table.identity.as_ref().unwrap_or(&named);
    format!(
        "SELECT relfilenode::int8, coalesce(pg_relation_filenode(oid)::int8, 0), \
         pg_relation_size(oid) / current_setting('block_size')::int8, (oid = {named})::int4 FROM pg_class WHERE oid = {it}"
    )
}

/// Fails where a table is in another file by now than in the snapshot, or another has its name: `[then, now, is_it]`, nothing where the catalogue
/// does not know it.
pub fn is_moved(found: [Option<i64>; 3]) -> Result<(), Broken> {
    match found {
        [Some(then), Some(now), Some(1)] if then == now => Ok(()),
        [Some(_), Some(_), Some(1)] => Err(Broken::moved("the table was rewritten or truncated after the snapshot was taken")),
        _ => Err(Broken::moved("another table was put in its place after the snapshot was taken")),
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
