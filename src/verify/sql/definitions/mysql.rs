//! What a MySQL or MariaDB database defines, from `information_schema`, as far as the reader's rights show it in full.
//!
//! Names of the database itself are left out of the definitions: a restored database may be called otherwise. Grants are shown to readers
//! of the database `mysql` only, and where somebody else than the reader was granted something: a dump of one database holds none.

use std::collections::BTreeMap;

use serde_json::json;

use crate::verify::sql::definitions::belonging::{GRANT, GRANT_ON, TABLE};
use crate::verify::sql::definitions::kinds::{
    AUTO_INCREMENT, CHARACTER_SETS, COLUMN_ORDER, DEFAULT, Definitions, POSITION, REFERENCE_SYSTEM,
};
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
    (
        "index",
        "SELECT",
        "SELECT CONCAT(TABLE_NAME, '.', INDEX_NAME), CONCAT_WS(' ', NON_UNIQUE, INDEX_TYPE, COLUMN_NAME, SUB_PART, COLLATION) \
         FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ? AND (NON_UNIQUE = 1 OR SUB_PART IS NOT NULL) \
         ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX",
    ),
    (
        "foreign key",
        "SELECT",
        "SELECT CONCAT(TABLE_NAME, '.', CONSTRAINT_NAME), CONCAT_WS(' ', MATCH_OPTION, UPDATE_RULE, DELETE_RULE) \
         FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = ?",
    ),
    // The table's own constraints name the other table alone: a database that was restored may be called otherwise, and refers to itself.
    (
        "reference to another database",
        "SELECT",
        "SELECT DISTINCT CONCAT(TABLE_NAME, '.', CONSTRAINT_NAME), REFERENCED_TABLE_SCHEMA FROM information_schema.KEY_COLUMN_USAGE \
         WHERE TABLE_SCHEMA = ? AND REFERENCED_TABLE_SCHEMA <> TABLE_SCHEMA",
    ),
    (
        "descending key",
        "SELECT",
        "SELECT CONCAT(TABLE_NAME, '.', INDEX_NAME), COLUMN_NAME FROM information_schema.STATISTICS \
         WHERE TABLE_SCHEMA = ? AND NON_UNIQUE = 0 AND SUB_PART IS NULL AND COLLATION = 'D' ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX",
    ),
    (DEFAULT, "SELECT", "SELECT 'collation', DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?"),
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
        "SELECT EVENT_NAME, CONCAT_WS(' ', EVENT_TYPE, EXECUTE_AT, INTERVAL_VALUE, INTERVAL_FIELD, STARTS, ENDS, STATUS, ON_COMPLETION, \
         EVENT_DEFINITION, SQL_MODE, DEFINER) FROM information_schema.EVENTS WHERE EVENT_SCHEMA = ?",
    ),
    ("event time zone", "EVENT", "SELECT EVENT_NAME, TIME_ZONE FROM information_schema.EVENTS WHERE EVENT_SCHEMA = ?"),
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
    // What literals and variables without a character set of their own are in; a star where that is the database's of today.
    (
        CHARACTER_SETS[0],
        "SHOW VIEW",
        "SELECT TABLE_NAME, CONCAT_WS(' ', CHARACTER_SET_CLIENT, COLLATION_CONNECTION) FROM information_schema.VIEWS WHERE TABLE_SCHEMA = ?",
    ),
    (
        CHARACTER_SETS[1],
        "TRIGGER",
        "SELECT TRIGGER_NAME, CONCAT_WS(' ', CHARACTER_SET_CLIENT, COLLATION_CONNECTION, \
         CONCAT(DATABASE_COLLATION, IF(DATABASE_COLLATION = DEFAULT_COLLATION_NAME, '*', ''))) \
         FROM information_schema.TRIGGERS JOIN information_schema.SCHEMATA ON SCHEMA_NAME = TRIGGER_SCHEMA WHERE TRIGGER_SCHEMA = ?",
    ),
    (
        CHARACTER_SETS[2],
        "EVENT",
        "SELECT EVENT_NAME, CONCAT_WS(' ', CHARACTER_SET_CLIENT, COLLATION_CONNECTION, \
         CONCAT(DATABASE_COLLATION, IF(DATABASE_COLLATION = DEFAULT_COLLATION_NAME, '*', ''))) \
         FROM information_schema.EVENTS JOIN information_schema.SCHEMATA ON SCHEMA_NAME = EVENT_SCHEMA WHERE EVENT_SCHEMA = ?",
    ),
    (
        CHARACTER_SETS[3],
        ROUTINES,
        "SELECT CONCAT(ROUTINE_TYPE, ' ', ROUTINE_NAME), CONCAT_WS(' ', CHARACTER_SET_CLIENT, COLLATION_CONNECTION, \
         CONCAT(DATABASE_COLLATION, IF(DATABASE_COLLATION = DEFAULT_COLLATION_NAME, '*', ''))) \
         FROM information_schema.ROUTINES JOIN information_schema.SCHEMATA ON SCHEMA_NAME = ROUTINE_SCHEMA WHERE ROUTINE_SCHEMA = ?",
    ),
];

/// What some versions have only: kind, privilege, the view and its column that have to be there, and the question.
const OF_SOME: &[(&str, &str, [&str; 2], &str)] = &[
    (
        "view algorithm",
        "SHOW VIEW",
        ["VIEWS", "ALGORITHM"],
        "SELECT TABLE_NAME, ALGORITHM FROM information_schema.VIEWS WHERE TABLE_SCHEMA = ?",
    ),
    (
        "ignored index",
        "SELECT",
        ["STATISTICS", "IGNORED"],
        "SELECT DISTINCT CONCAT(TABLE_NAME, '.', INDEX_NAME), 'ignored' FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ? AND IGNORED = 'YES'",
    ),
    (
        "ignored index",
        "SELECT",
        ["STATISTICS", "IS_VISIBLE"],
        "SELECT DISTINCT CONCAT(TABLE_NAME, '.', INDEX_NAME), 'ignored' FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ? AND IS_VISIBLE = 'NO'",
    ),
    (
        "index expression",
        "SELECT",
        ["STATISTICS", "EXPRESSION"],
        "SELECT CONCAT(TABLE_NAME, '.', INDEX_NAME), CONCAT_WS(' ', SEQ_IN_INDEX, EXPRESSION) FROM information_schema.STATISTICS \
         WHERE TABLE_SCHEMA = ? AND EXPRESSION IS NOT NULL ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX",
    ),
    // Code in JavaScript that routines share, from MySQL 9.2 on.
    (
        "library",
        ROUTINES,
        ["LIBRARIES", "LIBRARY_DEFINITION"],
        "SELECT LIBRARY_NAME, CONCAT_WS(' ', LANGUAGE, LIBRARY_DEFINITION, SQL_MODE) FROM information_schema.LIBRARIES WHERE LIBRARY_SCHEMA = ?",
    ),
    (
        "library of",
        ROUTINES,
        ["ROUTINE_LIBRARIES", "LIBRARY_NAME"],
        "SELECT CONCAT(ROUTINE_TYPE, ' ', ROUTINE_NAME), CONCAT_WS(' ', IF(LIBRARY_SCHEMA = ROUTINE_SCHEMA, NULL, LIBRARY_SCHEMA), LIBRARY_NAME, LIBRARY_VERSION) \
         FROM information_schema.ROUTINE_LIBRARIES WHERE ROUTINE_SCHEMA = ? ORDER BY ROUTINE_TYPE, ROUTINE_NAME, LIBRARY_NAME",
    ),
    // MariaDB prints it in no statement that a dump consists of; MySQL does.
    (
        REFERENCE_SYSTEM,
        "SELECT",
        ["GEOMETRY_COLUMNS", "SRID"],
        "SELECT CONCAT(G_TABLE_NAME, '.', G_GEOMETRY_COLUMN), CAST(SRID AS CHAR) FROM information_schema.GEOMETRY_COLUMNS \
         WHERE G_TABLE_SCHEMA = ? AND SRID <> 0",
    ),
    (
        "column of a reference system",
        "SELECT",
        ["COLUMNS", "SRS_ID"],
        "SELECT CONCAT(TABLE_NAME, '.', COLUMN_NAME), CAST(SRS_ID AS CHAR) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND SRS_ID IS NOT NULL",
    ),
];

const COLUMNS: &str = "SELECT c.TABLE_NAME, c.COLUMN_NAME FROM information_schema.COLUMNS c \
     JOIN information_schema.TABLES t ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME \
     WHERE c.TABLE_SCHEMA = ? AND t.TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY c.TABLE_NAME, c.ORDINAL_POSITION";

const FULL_TEXT: &str = "SELECT DISTINCT TABLE_NAME FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ? AND INDEX_TYPE = 'FULLTEXT'";

const NEXT_NUMBERS: &str = "SELECT TABLE_NAME, CAST(AUTO_INCREMENT AS CHAR) FROM information_schema.TABLES \
     WHERE TABLE_SCHEMA = ? AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') AND AUTO_INCREMENT IS NOT NULL";

/// MySQL shows what it knew a day ago, unless it is told otherwise; other servers know nothing of it.
const FRESH: &str = "SET SESSION information_schema_stats_expiry = 0";

/// Not those that the server gives by itself to whoever makes a routine, which no dump holds.
const ROUTINE_GRANTS: &str = r"SELECT CONCAT(Routine_type, ' ', Routine_name, ' to ', QUOTE(User), '@', QUOTE(Host)), CAST(Proc_priv AS CHAR)
     FROM mysql.procs_priv WHERE Db = ? AND CAST(Proc_priv AS CHAR) <> 'Execute,Alter Routine'";

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

/// Reads them.
pub async fn definitions(session: &mut WireSession, database: &str, mariadb: bool) -> Result<Definitions, WireError> {
    let reader = session.ask("SELECT CURRENT_USER()", &[]).await?.first().and_then(|row| row.text(0));
    let rights = Rights::of(session, database, mariadb).await?;
    let reader = reader.and_then(|name| name.rsplit_once('@').map(|(user, host)| format!("'{user}'@'{host}'")));
    let mut found = Definitions::of_kinds([], reader.clone());
    let checks = ("check", "SELECT", if mariadb { MARIADB_CHECKS } else { MYSQL_CHECKS });
    let has_checks = session.ask("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_NAME = ?", &["CHECK_CONSTRAINTS"]).await?;
    let mut questions: Vec<(&str, &str, &str)> = KINDS.iter().copied().chain((!has_checks.is_empty()).then_some(checks)).collect();
    for (kind, right, there, question) in OF_SOME {
        let has = "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'information_schema' AND TABLE_NAME = ? AND COLUMN_NAME = ?";
        questions.extend((!session.ask(has, there).await?.is_empty()).then_some((*kind, *right, *question)));
    }
    for (kind, right, question) in questions {
        if !rights.holds(right) {
            found.hide(kind, right);
            continue;
        }
        found.show(kind);
        for row in session.ask(question, &[database]).await? {
            let definition = row.text(1).unwrap_or_default().replace(&format!("{}.", backticked(database)), "");
            // Tables that earlier servers printed with the name that their collation had then.
            let formerly = if kind == TABLE { definition.replace(" utf8mb3_", " utf8_") } else { definition.clone() };
            found.add_reworded(kind, row.text(0).unwrap_or_default(), &definition, &formerly);
        }
    }
    if rights.holds("SELECT") {
        full_text_parsers(session, database, &mut found).await?;
        column_order(session, database, &mut found).await?;
        next_numbers(session, database, &mut found).await?;
    }
    if mariadb && rights.holds("SELECT") {
        sequences(session, database, &mut found).await?;
    }
    grants(session, database, reader.as_deref(), &mut found).await?;
    Ok(found)
}

/// Which parser cuts a text into the words of its index: no catalogue says it.
async fn full_text_parsers(session: &mut WireSession, database: &str, found: &mut Definitions) -> Result<(), WireError> {
    const KIND: &str = "full-text parser";
    found.show(KIND);
    for row in session.ask(FULL_TEXT, &[database]).await? {
        let table = row.text(0).unwrap_or_default();
        let question = format!("SHOW CREATE TABLE {}.{}", backticked(database), backticked(&table));
        let printed = session.ask(&question, &[]).await?.first().and_then(|row| row.text(1)).unwrap_or_default();
        for (index, parser) in parsers(&printed) {
            found.add(KIND, format!("{table}.{index}"), parser);
        }
    }
    Ok(())
}

/// Indexes with the parsers that a `CREATE TABLE` as the server prints it names, an index a line.
fn parsers(printed: &str) -> impl Iterator<Item = (String, &str)> {
    printed.lines().filter_map(|line| {
        let (index, rest) = line.trim_start().strip_prefix("FULLTEXT KEY `")?.split_once("` (")?;
        let parser = rest.rsplit_once("WITH PARSER `")?.1.split('`').next()?;
        Some((index.replace("``", "`"), parser))
    })
}

async fn column_order(session: &mut WireSession, database: &str, found: &mut Definitions) -> Result<(), WireError> {
    found.show(COLUMN_ORDER);
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in session.ask(COLUMNS, &[database]).await? {
        tables.entry(row.text(0).unwrap_or_default()).or_default().push(row.text(1).unwrap_or_default());
    }
    for (table, columns) in tables {
        found.add(COLUMN_ORDER, table, &json!(columns).to_string());
    }
    Ok(())
}

/// Of servers that keep the next number of a table over a restart: MariaDB from 10.2.4 on, MySQL from 8.0 on.
async fn next_numbers(session: &mut WireSession, database: &str, found: &mut Definitions) -> Result<(), WireError> {
    let version = session.ask("SELECT VERSION()", &[]).await?.first().and_then(|row| row.text(0)).unwrap_or_default();
    let numbers: Vec<u32> = version.split(['.', '-']).map_while(|part| part.parse().ok()).collect();
    let (is_mariadb, since) = if version.contains("MariaDB") { (true, [10, 2, 4]) } else { (false, [8, 0, 0]) };
    if numbers.as_slice() < since.as_slice() {
        return Ok(());
    }
    if !is_mariadb {
        session.run(FRESH).await?;
    }
    found.show(AUTO_INCREMENT);
    for row in session.ask(NEXT_NUMBERS, &[database]).await? {
        found.add(AUTO_INCREMENT, row.text(0).unwrap_or_default(), &row.text(1).unwrap_or_default());
    }
    Ok(())
}

/// Sequences of MariaDB are tables of one row.
async fn sequences(session: &mut WireSession, database: &str, found: &mut Definitions) -> Result<(), WireError> {
    for kind in ["sequence", "sequence cache", POSITION] {
        found.show(kind);
    }
    for row in session.ask(SEQUENCES, &[database]).await? {
        let name = row.text(0).unwrap_or_default();
        let question = format!(
            "SELECT CONCAT_WS(' ', start_value, increment, minimum_value, maximum_value, cycle_option), \
             CAST(IF(cycle_option, NULL, SIGN(increment) * next_not_cached_value) AS CHAR), CAST(cache_size AS CHAR) FROM {}.{}",
            backticked(database),
            backticked(&name)
        );
        for row in session.ask(&question, &[]).await? {
            found.add("sequence", name.clone(), &row.text(0).unwrap_or_default());
            found.add("sequence cache", name.clone(), &row.text(2).unwrap_or_default());
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
    let of_routines = match session.ask(ROUTINE_GRANTS, &[database]).await {
        Ok(rows) => rows,
        Err(WireError::Server { .. }) => {
            found.hide(GRANT_ON, "SELECT on mysql.procs_priv");
            Vec::new()
        }
        Err(error) => return Err(error),
    };
    let of_others = |row: &&Answer| row.text(0).is_some_and(|name| !reader.is_some_and(|reader| name.ends_with(&format!(" to {reader}"))));
    // A dump of one database holds no grants: where there are none of either sort, nothing is said of them.
    if rows.iter().chain(&of_routines).any(|row| of_others(&row)) {
        found.show(GRANT);
        if !found.not_shown().any(|(kind, _)| kind == GRANT_ON) {
            found.show(GRANT_ON);
        }
    }
    for (kind, rows) in [(GRANT, &rows), (GRANT_ON, &of_routines)] {
        for row in rows.iter().filter(of_others) {
            found.add(kind, row.text(0).unwrap_or_default(), &row.text(1).unwrap_or_default());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parsers_are_those_that_the_server_prints() {
        let printed = "CREATE TABLE `t` (\n  `a` text COMMENT 'FULLTEXT KEY `no` (`a`) WITH PARSER `no`',\n  FULLTEXT KEY `f` (`a`),\n\
                       \x20 FULLTEXT KEY `g``h` (`a`) /*!50100 WITH PARSER `ngram` */ ,\n  FULLTEXT KEY `m` (`a`) WITH PARSER `mecab`\n) ENGINE=InnoDB";
        let found: Vec<(String, &str)> = parsers(printed).collect();
        assert_eq!(found, [("g`h".to_owned(), "ngram"), ("m".to_owned(), "mecab")]);
    }
}
