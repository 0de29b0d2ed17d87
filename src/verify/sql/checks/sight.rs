//! Whether the reader is shown all that a check looks at. `information_schema` shows what one has rights on and is silent about the rest: a
//! check that goes through every table or every routine would pass over those, and call what it saw the whole.
//!
//! Not here: tables that a check names itself (`session`), and what reading a database takes (`grants`).

use crate::model::failure::FailureKind;
use crate::verify::sql::checks::header::{Check, Each};
use crate::verify::sql::checks::session::{GRACE, Session, Trouble};
use crate::verify::sql::rights::mysql_held::{NO_TABLE, ROUTINES, Rights};
use crate::verify::sql::rows::table::backticked;

/// What has been found out of a reader's rights, asked once a run.
#[derive(Default)]
pub struct Sight {
    rights: Option<Rights>,
}

impl Sight {
    /// Refuses a check that goes through a catalogue of which this reader is shown a part.
    ///
    /// # Errors
    /// Denied, with what is lacking.
    pub async fn of(&mut self, session: &mut Session, check: &Check) -> Result<(), Trouble> {
        match session.engine().name {
            "mysql" | "mariadb" => {}
            "postgres" if asks(check, "information_schema") => return whole_postgres(session).await,
            _ => return Ok(()),
        }
        let mut lacking = Vec::new();
        for right in needed(check) {
            if self.rights.is_none() {
                self.rights = Some(rights(session).await?);
            }
            if !self.rights.as_ref().is_some_and(|rights| rights.holds(right)) {
                lacking.push(right);
            }
        }
        if lacking.is_empty() {
            return Ok(());
        }
        let said = "the reader is shown a part of what it looks at: it has no";
        Err(Trouble::denied(format!("{said} {} on the whole database", lacking.join(", no "))))
    }
}

/// The rights that show all of what a check goes through.
fn needed(check: &Check) -> Vec<&'static str> {
    let mut rights = Vec::new();
    if check.each.is_some() || asks(check, "information_schema") {
        rights.push("SELECT");
    }
    let bodies = check.each == Some(Each::RoutineReference);
    for (right, catalogue) in [(ROUTINES, "routines"), ("TRIGGER", "triggers"), ("EVENT", "events")] {
        if bodies || asks(check, &format!("information_schema.{catalogue}")) {
            rights.push(right);
        }
    }
    rights
}

fn asks(check: &Check, catalogue: &str) -> bool {
    let plain = |sql: &str| sql.to_ascii_lowercase().replace(['`', '"', ' '], "");
    std::iter::once(&check.sql).chain(&check.looks_at).any(|sql| plain(sql).contains(catalogue))
}

async fn rights(session: &mut Session) -> Result<Rights, Trouble> {
    let database = texts(session, "SELECT DATABASE()").await?.unwrap_or_default().into_iter().next().unwrap_or_default();
    let mut lines = texts(session, "SHOW GRANTS").await?.unwrap_or_default();
    if session.engine().name == "mariadb" {
        lines.extend(texts(session, "SHOW GRANTS FOR PUBLIC").await?.unwrap_or_default());
    }
    let known = texts(session, "SHOW PRIVILEGES").await?.unwrap_or_default();
    let probe = format!("SELECT 1 FROM {}.{} LIMIT 0", backticked(&database), backticked(NO_TABLE));
    let reads = match session.run(&probe, GRACE, 1, true).await {
        Ok(_) => true,
        Err(trouble) => trouble.kind == FailureKind::Absent,
    };
    let bodies = texts(session, "SELECT 1 FROM mysql.proc LIMIT 0").await?.is_some();
    Ok(Rights::from_answers(&lines, &known, &database, (reads, bodies)))
}

/// The first column of an answer; nothing where the server refuses.
async fn texts(session: &mut Session, question: &str) -> Result<Option<Vec<String>>, Trouble> {
    match session.run(question, GRACE, usize::MAX, true).await {
        Ok(answer) => Ok(Some(answer.rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())),
        Err(trouble) if trouble.kind.is_retryable() => Err(trouble),
        Err(_) => Ok(None),
    }
}

/// The information schema of PostgreSQL shows tables on which one has some right.
async fn whole_postgres(session: &mut Session) -> Result<(), Trouble> {
    let question = "SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%' \
         AND NOT pg_catalog.has_table_privilege(c.oid, 'SELECT') ORDER BY 1";
    let answer = session.run(question, GRACE, 1, false).await?;
    match answer.rows.first().and_then(|row| row.first()) {
        Some(Some(table)) => Err(Trouble::denied(format!(
            "the reader is shown a part of what it looks at: it may not read {table}, and {} in all",
            answer.total
        ))),
        _ => Ok(()),
    }
}
