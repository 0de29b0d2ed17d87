//! What a PostgreSQL database defines, from its catalogues (PostgreSQL documentation, "System Catalogs"), which are open to every reader.
//!
//! What an extension has brought is the extension's. Rights of an object's owner are left out: it can always grant them to itself.
//!
//! Not here: the questions (`postgres_kinds`).

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row as _};

use crate::verify::sql::definitions::folded::folded;
use crate::verify::sql::definitions::kinds::{Definitions, POSITION, SETTING};
use crate::verify::sql::definitions::postgres_kinds::{KINDS, OURS};

/// Sequences whose position counts, and whether this reader may see it. A sequence that gives numbers in a circle may be anywhere.
const SEQUENCES: &str = "SELECT c.name, c.oid::regclass::text, s.seqincrement, has_sequence_privilege(c.oid, 'SELECT') \
     FROM (SELECT * FROM ours WHERE relkind = 'S' AND relpersistence = 'p') c JOIN pg_sequence s ON s.seqrelid = c.oid WHERE NOT s.seqcycle";

/// Sequences that are asked at once.
const AT_ONCE: usize = 200;

/// What the server sets for sessions of this database, or of a role in it; the reader's own is left out.
const SETTINGS: &str = "SELECT CASE s.setrole WHEN 0 THEN 'of the database' ELSE 'of ' || s.setrole::regrole END, ARRAY(SELECT one FROM unnest(s.setconfig) one ORDER BY one COLLATE \"C\")::text \
     FROM pg_db_role_setting s WHERE s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()) \
     AND s.setrole <> (SELECT oid FROM pg_roles WHERE rolname = current_user)";

/// Reads them, one question for each kind.
pub async fn definitions(connection: &mut PgConnection) -> Result<Definitions, sqlx::Error> {
    let question = "SELECT oid::regrole::text, current_setting('server_version_num')::int4 FROM pg_roles WHERE rolname = current_user";
    let row = sqlx::query(question).fetch_one(&mut *connection).await?;
    let (reader, version): (String, i32) = (row.try_get(0)?, row.try_get(1)?);
    let mut found = Definitions::of_kinds(KINDS.iter().map(|(kind, ..)| *kind).chain([POSITION]), Some(reader));
    for (kind, _, question) in KINDS.iter().filter(|(_, from, _)| u32::try_from(version).is_ok_and(|version| version >= *from)) {
        for row in sqlx::query(AssertSqlSafe(format!("{OURS}{question}"))).fetch_all(&mut *connection).await? {
            let (name, definition): (Option<String>, Option<String>) = (row.try_get(0)?, row.try_get(1)?);
            let Some(name) = name else { return Err(gone()) };
            found.add(kind, name, &folded(definition.as_deref().unwrap_or_default()));
        }
    }
    for row in sqlx::query(SETTINGS).fetch_all(&mut *connection).await? {
        found.add(SETTING, row.try_get(0)?, row.try_get(1)?);
    }
    positions(connection, &mut found).await?;
    Ok(found)
}

/// What the server prints of an object is what it is now, or nothing where it is gone, whatever the snapshot shows.
fn gone() -> sqlx::Error {
    sqlx::Error::Protocol(GONE.to_owned())
}

const GONE: &str = "an object was dropped while definitions were read";

/// Whether an error may be that of an object which is made or dropped by somebody else while it is looked at: the catalogue knows it, and the
/// server does not find it. A catalogue that is damaged says the same, again and again.
pub fn is_of_change(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Protocol(said) => said == GONE,
        sqlx::Error::ColumnDecode { source, .. } => source.is::<sqlx::error::UnexpectedNullError>(),
        // internal_error, undefined_table, undefined_object, undefined_function, invalid_schema_name.
        sqlx::Error::Database(error) => matches!(error.code().as_deref(), Some("XX000" | "42P01" | "42704" | "42883" | "3F000")),
        _ => false,
    }
}

/// The number that each sequence gives next, counted in its own direction. The catalogue tells the last one that was drawn, and nothing of a
/// position that was set and not yet drawn from: the sequences themselves are asked.
async fn positions(connection: &mut PgConnection, found: &mut Definitions) -> Result<(), sqlx::Error> {
    let mut asked: Vec<(String, String)> = Vec::new();
    for row in sqlx::query(AssertSqlSafe(format!("{OURS}{SEQUENCES}"))).fetch_all(&mut *connection).await? {
        let (name, sequence, step, is_shown): (String, String, i64, bool) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        if !is_shown {
            found.hide(POSITION, "SELECT on the sequence");
            continue;
        }
        let sign = step.signum();
        let question = format!("({sign} * (last_value::numeric + CASE WHEN is_called THEN {step} ELSE 0 END))::text FROM {sequence}");
        asked.push((name, question));
    }
    for some in asked.chunks(AT_ONCE) {
        let each: Vec<String> = some.iter().enumerate().map(|(at, (_, question))| format!("SELECT {at}, {question}")).collect();
        for row in sqlx::query(AssertSqlSafe(each.join(" UNION ALL "))).fetch_all(&mut *connection).await? {
            let (at, position): (i32, &str) = (row.try_get(0)?, row.try_get(1)?);
            let name = usize::try_from(at).ok().and_then(|at| some.get(at)).map(|(name, _)| name.clone());
            found.add(POSITION, name.unwrap_or_default(), position);
        }
    }
    Ok(())
}
