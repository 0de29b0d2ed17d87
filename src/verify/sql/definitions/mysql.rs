//! What a MySQL or MariaDB database defines, from `information_schema`, as far as the reader's rights show it in full.
//!
//! Names of the database itself are left out of the definitions: a restored database may be called otherwise. Grants are shown to readers
//! of the database `mysql` only, and where somebody else than the reader was granted something: a dump of one database holds none.

use crate::verify::sql::definitions::kinds::{COLUMN_ORDER, Definitions, GRANT, POSITION};
use crate::verify::sql::rights::mysql_held::{ROUTINES, Rights};
use crate::verify::sql::rows::table::backticked;
use crate::verify::sql::wire::mysql::answers::Answer;
use crate::verify::sql::wire::mysql::error::WireError;
use crate::verify::sql::wire::mysql::session::WireSession;

/// Kind, the privilege without which it is not seen in full, and the question, whose only value is the database's name. Rows of one name
/// that come one after another are one definition.
const KINDS: &[(&str, &str, &str)] = &[
    (
        "table",
        "SELECT",
        "SELECT TABLE_NAME, CONCAT_WS(' ', ENGINE, TABLE_TYPE, TABLE_COLLATION, IF(CREATE_OPTIONS LIKE '%partitioned%', 'partitioned', NULL)) \
         FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_TYPE NOT IN ('VIEW', 'SYSTEM VIEW', 'SEQUENCE')",
    ),
    (
        "partition",
        "SELECT",
        "SELECT CONCAT_WS('.', TABLE_NAME, PARTITION_NAME, SUBPARTITION_NAME), CONCAT_WS(' ', PARTITION_METHOD, SUBPARTITION_METHOD, \
         PARTITION_EXPRESSION, SUBPARTITION_EXPRESSION, PARTITION_DESCRIPTION) \
         FROM information_schema.PARTITIONS WHERE TABLE_SCHEMA = ? AND PARTITION_NAME IS NOT NULL",
    ),
    (
        "column",
        "SELECT",
        "SELECT CONCAT(c.TABLE_NAME, '.', c.COLUMN_NAME), CONCAT_WS(' ', 'default', c.COLUMN_DEFAULT, c.EXTRA, c.GENERATION_EXPRESSION, \
         IF(c.EXTRA LIKE '%GENERATED%', c.COLUMN_TYPE, NULL)) FROM information_schema.COLUMNS c \
         JOIN information_schema.TABLES t ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME \
         WHERE c.TABLE_SCHEMA = ? AND t.TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') \
         AND (c.COLUMN_DEFAULT IS NOT NULL OR c.EXTRA <> '' OR c.GENERATION_EXPRESSION <> '')",
    ),
    // What `INSERT INTO … VALUES` and `SELECT *` go by.
    (
        COLUMN_ORDER,
        "SELECT",
        "SELECT c.TABLE_NAME, c.COLUMN_NAME FROM information_schema.COLUMNS c \
         JOIN information_schema.TABLES t ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME \
         WHERE c.TABLE_SCHEMA = ? AND t.TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY c.TABLE_NAME, c.ORDINAL_POSITION",
    ),
    (
        "index",
        "SELECT",
        "SELECT CONCAT(TABLE_NAME, '.', INDEX_NAME), CONCAT_WS(' ', NON_UNIQUE, INDEX_TYPE, COLUMN_NAME, SUB_PART, COLLATION) \
         FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ? AND (NON_UNIQUE = 1 OR SUB_PART IS NOT NULL OR COLLATION = 'D') \
         ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX",
    ),
    (
        "foreign key",
        "SELECT",
        "SELECT CONCAT(TABLE_NAME, '.', CONSTRAINT_NAME), CONCAT_WS(' ', MATCH_OPTION, UPDATE_RULE, DELETE_RULE) \
         FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = ?",
    ),
    (
        "view",
        "SHOW VIEW",
        "SELECT TABLE_NAME, CONCAT_WS(' ', VIEW_DEFINITION, CHECK_OPTION, SECURITY_TYPE, DEFINER) \
         FROM information_schema.VIEWS WHERE TABLE_SCHEMA = ?",
    ),
    (
        "trigger",
        "TRIGGER",
        "SELECT TRIGGER_NAME, CONCAT_WS(' ', ACTION_TIMING, EVENT_MANIPULATION, EVENT_OBJECT_TABLE, ACTION_ORDER, ACTION_STATEMENT, SQL_MODE, DEFINER) \
         FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ?",
    ),
    (
        "event",
        "EVENT",
        "SELECT EVENT_NAME, CONCAT_WS(' ', EVENT_TYPE, EXECUTE_AT, INTERVAL_VALUE, INTERVAL_FIELD, STARTS, ENDS, TIME_ZONE, STATUS, ON_COMPLETION, \
         EVENT_DEFINITION, SQL_MODE, DEFINER) FROM information_schema.EVENTS WHERE EVENT_SCHEMA = ?",
    ),
    (
        "routine",
        ROUTINES,
        "SELECT CONCAT(ROUTINE_TYPE, ' ', ROUTINE_NAME), CONCAT_WS(' ', DTD_IDENTIFIER, IS_DETERMINISTIC, SQL_DATA_ACCESS, SECURITY_TYPE, \
         ROUTINE_DEFINITION, SQL_MODE, DEFINER) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = ?",
    ),
    (
        "routine",
        ROUTINES,
        "SELECT CONCAT(ROUTINE_TYPE, ' ', SPECIFIC_NAME), CONCAT_WS(' ', ORDINAL_POSITION, PARAMETER_MODE, PARAMETER_NAME, DTD_IDENTIFIER) \
         FROM information_schema.PARAMETERS WHERE SPECIFIC_SCHEMA = ? AND ORDINAL_POSITION > 0 ORDER BY ROUTINE_TYPE, SPECIFIC_NAME, ORDINAL_POSITION",
    ),
];

/// What not every version has: the table and the column of `information_schema` that show it, and the kind, right and question.
const SINCE: &[(&str, &str, &str, &str, &str)] = &[
    ("VIEWS", "ALGORITHM", "view", "SHOW VIEW", "SELECT TABLE_NAME, ALGORITHM FROM information_schema.VIEWS WHERE TABLE_SCHEMA = ?"),
    (
        "STATISTICS",
        "IGNORED",
        "index out of use",
        "SELECT",
        "SELECT DISTINCT CONCAT(TABLE_NAME, '.', INDEX_NAME), '' FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ? AND IGNORED = 'YES'",
    ),
    (
        "STATISTICS",
        "IS_VISIBLE",
        "index out of use",
        "SELECT",
        "SELECT DISTINCT CONCAT(TABLE_NAME, '.', INDEX_NAME), '' FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ? AND IS_VISIBLE = 'NO'",
    ),
];

const HAS_COLUMN: &str =
    "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'information_schema' AND TABLE_NAME = ? AND COLUMN_NAME = ?";

/// From MariaDB 10.2.22 and MySQL 8.0.16 on; MariaDB's names are their table's only.
const MARIADB_CHECKS: &str =
    "SELECT CONCAT(TABLE_NAME, '.', CONSTRAINT_NAME), CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = ?";
const MYSQL_CHECKS: &str = "SELECT CONCAT(t.TABLE_NAME, '.', c.CONSTRAINT_NAME), CONCAT_WS(' ', c.CHECK_CLAUSE, t.ENFORCED) \
     FROM information_schema.CHECK_CONSTRAINTS c JOIN information_schema.TABLE_CONSTRAINTS t \
     ON t.CONSTRAINT_SCHEMA = c.CONSTRAINT_SCHEMA AND t.CONSTRAINT_NAME = c.CONSTRAINT_NAME WHERE c.CONSTRAINT_SCHEMA = ?";

const SEQUENCES: &str = "SELECT TABLE_NAME, '' FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_TYPE = 'SEQUENCE'";

const GRANTS: [&str; 3] = [
    "SELECT CONCAT('* to ', GRANTEE), CONCAT_WS(' ', PRIVILEGE_TYPE, IS_GRANTABLE) FROM information_schema.SCHEMA_PRIVILEGES \
     WHERE REPLACE(TABLE_SCHEMA, '\\\\', '') = ? ORDER BY GRANTEE, PRIVILEGE_TYPE",
    "SELECT CONCAT(TABLE_NAME, ' to ', GRANTEE), CONCAT_WS(' ', PRIVILEGE_TYPE, IS_GRANTABLE) FROM information_schema.TABLE_PRIVILEGES \
     WHERE TABLE_SCHEMA = ? ORDER BY TABLE_NAME, GRANTEE, PRIVILEGE_TYPE",
    "SELECT CONCAT(TABLE_NAME, '.', COLUMN_NAME, ' to ', GRANTEE), CONCAT_WS(' ', PRIVILEGE_TYPE, IS_GRANTABLE) FROM information_schema.COLUMN_PRIVILEGES \
     WHERE TABLE_SCHEMA = ? ORDER BY TABLE_NAME, COLUMN_NAME, GRANTEE, PRIVILEGE_TYPE",
];

/// Rights on routines; not those that the server gives by itself to whoever makes one, which a dump does not hold.
const ROUTINE_GRANTS: &str = "SELECT CONCAT(Routine_type, ' ', Routine_name, ' to ''', User, '''@''', Host, ''''), CAST(Proc_priv AS CHAR) FROM mysql.procs_priv \
     WHERE Db = ? AND CAST(Proc_priv AS CHAR) <> 'Execute,Alter Routine' ORDER BY 1";

/// Reads them.
pub async fn definitions(session: &mut WireSession, database: &str, mariadb: bool) -> Result<Definitions, WireError> {
    let reader = session.ask("SELECT CURRENT_USER()", &[]).await?.first().and_then(|row| row.text(0));
    let rights = Rights::of(session, database, mariadb).await?;
    let reader = reader.and_then(|name| name.rsplit_once('@').map(|(user, host)| format!("'{user}'@'{host}'")));
    let mut found = Definitions::of_kinds([], reader.clone());
    let checks = ("check", "SELECT", if mariadb { MARIADB_CHECKS } else { MYSQL_CHECKS });
    let has_checks = session.ask("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_NAME = ?", &["CHECK_CONSTRAINTS"]).await?;
    let mut since = Vec::new();
    for (table, column, kind, right, question) in SINCE {
        if !session.ask(HAS_COLUMN, &[table, column]).await?.is_empty() {
            since.push((*kind, *right, *question));
        }
    }
    let questions = KINDS.iter().copied().chain((!has_checks.is_empty()).then_some(checks)).chain(since);
    for (kind, right, question) in questions {
        if !rights.holds(right) {
            found.hide(kind, right);
            continue;
        }
        found.show(kind);
        for row in session.ask(question, &[database]).await? {
            let definition = row.text(1).unwrap_or_default().replace(&format!("{}.", backticked(database)), "");
            found.add(kind, row.text(0).unwrap_or_default(), &definition);
        }
    }
    if mariadb && rights.holds("SELECT") {
        sequences(session, database, &mut found).await?;
    }
    grants(session, database, reader.as_deref(), &mut found).await?;
    Ok(found)
}

/// Sequences of MariaDB are tables of one row.
async fn sequences(session: &mut WireSession, database: &str, found: &mut Definitions) -> Result<(), WireError> {
    found.show("sequence");
    found.show(POSITION);
    for row in session.ask(SEQUENCES, &[database]).await? {
        let name = row.text(0).unwrap_or_default();
        let question = format!(
            "SELECT CONCAT_WS(' ', start_value, increment, minimum_value, maximum_value, cycle_option), \
             CAST(IF(cycle_option, NULL, SIGN(increment) * next_not_cached_value) AS CHAR) FROM {}.{}",
            backticked(database),
            backticked(&name)
        );
        for row in session.ask(&question, &[]).await? {
            found.add("sequence", name.clone(), &row.text(0).unwrap_or_default());
            if let Some(position) = row.text(1) {
                found.add(POSITION, name.clone(), &position);
            }
        }
    }
    Ok(())
}

async fn grants(session: &mut WireSession, database: &str, reader: Option<&str>, found: &mut Definitions) -> Result<(), WireError> {
    // Without this right each of the three shows the reader's own only.
    if session.ask("SELECT Db FROM mysql.db LIMIT 1", &[]).await.is_err() {
        found.hide(GRANT, "SELECT on the database mysql");
        return Ok(());
    }
    let mut rows: Vec<Answer> = Vec::new();
    for question in GRANTS {
        rows.extend(session.ask(question, &[database]).await?);
    }
    match session.ask(ROUTINE_GRANTS, &[database]).await {
        Ok(more) => rows.extend(more),
        Err(WireError::Server { .. }) => found.hide(GRANT, "SELECT on mysql.procs_priv"),
        Err(error) => return Err(error),
    }
    let of_others = |row: &Answer| row.text(0).is_some_and(|name| !reader.is_some_and(|reader| name.ends_with(&format!(" to {reader}"))));
    for row in rows.iter().filter(|row| of_others(row)) {
        found.add(GRANT, row.text(0).unwrap_or_default(), &row.text(1).unwrap_or_default());
    }
    Ok(())
}
