//! What a database holds that a check's statement is repeated for, read from the engine's catalog: tables, references, counters, columns;
//! and whether there is anything in it at all.
//!
//! Not here: what the statements are (`placeholders`), and what their answers mean (`runner`).

use std::collections::BTreeSet;

use crate::verify::sql::checks::routines;
use crate::verify::sql::checks::session::{GRACE, Session, Trouble};
use crate::verify::sql::mysql::catalog::FEDERATED;
use crate::verify::sql::mysql::catalog::{HISTORY, with_history};
use crate::verify::sql::postgres::catalog::shown_name;
use crate::verify::sql::rows::table::{backticked, double_quoted};

/// A reference from one table to another, ready for statements that name the child `c` and the parent `p`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ForeignKey {
    /// The constraint's name.
    pub name: String,
    /// The quoted child table.
    pub child: String,
    /// The quoted parent table.
    pub parent: String,
    /// Quoted columns: the child's, the parent's.
    pub columns: Vec<(String, String)>,
    /// `MATCH FULL`: a row of which only some columns are NULL refers to nothing that could be there.
    pub is_full: bool,
}

/// A column of a table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Column {
    /// As people name it: `table.column`.
    pub name: String,
    /// The quoted table.
    pub table: String,
    /// The quoted column.
    pub column: String,
}

/// A sequence that a column of numbers takes its next one from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counter {
    /// The sequence's name.
    pub name: String,
    /// The quoted sequence.
    pub counter: String,
    /// The column.
    pub column: Column,
}

/// How an engine quotes one name.
fn quoting(session: &Session) -> fn(&str) -> String {
    if matches!(session.engine().name, "mysql" | "mariadb") { backticked } else { double_quoted }
}

async fn rows(session: &mut Session, sql: &str) -> Result<Vec<Vec<String>>, Trouble> {
    let answer = session.run(sql, GRACE, usize::MAX, true).await?;
    Ok(answer.rows.into_iter().map(|row| row.into_iter().map(Option::unwrap_or_default).collect()).collect())
}

/// The quoted names of all base tables.
pub async fn tables(session: &mut Session) -> Result<Vec<String>, Trouble> {
    Ok(named_tables(session).await?.into_iter().map(|(_, quoted)| quoted).collect())
}

/// All base tables: their names as manifests have them, and their quoted names.
pub async fn named_tables(session: &mut Session) -> Result<Vec<(String, String)>, Trouble> {
    let quote = quoting(session);
    let of_postgres = session.engine().name == "postgres";
    let sql = match session.engine().name {
        "postgres" => {
            "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%' ORDER BY 1, 2"
        }
        "mysql" | "mariadb" => &format!(
            "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES \
             WHERE TABLE_SCHEMA = database() AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') AND NOT {FEDERATED} ORDER BY 2"
        ),
        _ => "SELECT 'main', name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY 2",
    };
    let found = rows(session, sql).await?;
    let named = |row: &Vec<String>| match &row[..] {
        [schema, name] => {
            let shown = if of_postgres { shown_name(schema, name) } else { name.clone() };
            Some((shown, format!("{}.{}", quote(schema), quote(name))))
        }
        _ => None,
    };
    Ok(found.iter().filter_map(named).collect())
}

/// What `table`, of that name, is counted by where the manifest counts all the rows that it has had.
pub fn history((name, table): &(String, String), engine: &str) -> Option<(String, String)> {
    (engine == "mariadb").then(|| (format!("{name}{HISTORY}"), with_history(table)))
}

/// The columns of base tables whose values add up exactly: whole numbers and decimals. Of SQLite those that are declared as whole numbers.
pub async fn number_columns(session: &mut Session) -> Result<Vec<Column>, Trouble> {
    let quote = quoting(session);
    let engine = session.engine().name;
    let sql = match engine {
        "postgres" => {
            "SELECT n.nspname, c.relname, a.attname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
             JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
             WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%' \
               AND CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END IN ('int2'::pg_catalog.regtype, 'int4'::pg_catalog.regtype, \
                 'int8'::pg_catalog.regtype, 'numeric'::pg_catalog.regtype) ORDER BY 1, 2, a.attnum"
        }
        "mysql" | "mariadb" => &format!(
            "SELECT c.TABLE_SCHEMA, c.TABLE_NAME, c.COLUMN_NAME FROM information_schema.COLUMNS c \
             JOIN information_schema.TABLES t ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME \
             WHERE c.TABLE_SCHEMA = database() AND t.TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') AND NOT {FEDERATED} \
               AND c.DATA_TYPE IN ('tinyint', 'smallint', 'mediumint', 'int', 'bigint', 'decimal') ORDER BY 2, c.ORDINAL_POSITION"
        ),
        _ => {
            "SELECT 'main', s.name, c.name FROM sqlite_schema s JOIN pragma_table_info(s.name) c \
             WHERE s.type = 'table' AND s.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND upper(c.type) LIKE '%INT%' ORDER BY 2, c.cid"
        }
    };
    let found = rows(session, sql).await?;
    let column = |row: &Vec<String>| match &row[..] {
        [schema, table, column] => {
            let shown = if engine == "postgres" { shown_name(schema, table) } else { table.clone() };
            Some(Column { name: format!("{shown}.{column}"), table: format!("{}.{}", quote(schema), quote(table)), column: quote(column) })
        }
        _ => None,
    };
    Ok(found.iter().filter_map(column).collect())
}

/// Every reference between tables. SQLite answers this itself: `pragma_foreign_key_check`.
pub async fn foreign_keys(session: &mut Session) -> Result<Vec<ForeignKey>, Trouble> {
    let quote = quoting(session);
    let sql = match session.engine().name {
        // A reference binds the rows of the table itself and not those of tables that inherit from it; a partitioned one has only such.
        "postgres" => {
            "SELECT o.conname, cn.nspname, c.relname, pn.nspname, p.relname, ca.attname, pa.attname, \
                    CASE c.relkind WHEN 'r' THEN 'ONLY ' ELSE '' END, CASE p.relkind WHEN 'r' THEN 'ONLY ' ELSE '' END, \
                    o.confmatchtype::text \
             FROM pg_catalog.pg_constraint o \
             JOIN pg_catalog.pg_class c ON c.oid = o.conrelid JOIN pg_catalog.pg_namespace cn ON cn.oid = c.relnamespace \
             JOIN pg_catalog.pg_class p ON p.oid = o.confrelid JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace \
             CROSS JOIN LATERAL unnest(o.conkey, o.confkey) WITH ORDINALITY k(child, parent, at) \
             JOIN pg_catalog.pg_attribute ca ON ca.attrelid = o.conrelid AND ca.attnum = k.child \
             JOIN pg_catalog.pg_attribute pa ON pa.attrelid = o.confrelid AND pa.attnum = k.parent \
             WHERE o.contype = 'f' AND o.conparentid = 0 ORDER BY o.oid, k.at"
        }
        "mysql" | "mariadb" => {
            "SELECT CONSTRAINT_NAME, TABLE_SCHEMA, TABLE_NAME, REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME, COLUMN_NAME, REFERENCED_COLUMN_NAME, '', '', '' \
             FROM information_schema.KEY_COLUMN_USAGE WHERE TABLE_SCHEMA = database() AND REFERENCED_TABLE_NAME IS NOT NULL \
             ORDER BY TABLE_NAME, CONSTRAINT_NAME, ORDINAL_POSITION"
        }
        _ => return Ok(Vec::new()),
    };
    let mut keys: Vec<ForeignKey> = Vec::new();
    for row in rows(session, sql).await? {
        let [name, child_schema, child, parent_schema, parent, from, to, only_child, only_parent, matching] = &row[..] else { continue };
        let child = format!("{only_child}{}.{}", quote(child_schema), quote(child));
        let parent = format!("{only_parent}{}.{}", quote(parent_schema), quote(parent));
        let pair = (quote(from), quote(to));
        match keys.last_mut().filter(|key| key.name == *name && key.child == child) {
            Some(key) => key.columns.push(pair),
            None => keys.push(ForeignKey { name: name.clone(), child, parent, columns: vec![pair], is_full: matching == "f" }),
        }
    }
    Ok(keys)
}

/// The sequences of PostgreSQL: their names, and their quoted names.
pub async fn sequences(session: &mut Session) -> Result<Vec<(String, String)>, Trouble> {
    if session.engine().name != "postgres" {
        return Ok(Vec::new());
    }
    let sql = "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind = 'S' AND c.relpersistence <> 't' ORDER BY 1, 2";
    let found = rows(session, sql).await?;
    let named = |row: &Vec<String>| match &row[..] {
        [schema, name] => Some((format!("{schema}.{name}"), format!("{}.{}", double_quoted(schema), double_quoted(name)))),
        _ => None,
    };
    Ok(found.iter().filter_map(named).collect())
}

/// The sequences of PostgreSQL that columns of numbers take their next one from: identities, and defaults that are `nextval` and nothing else.
pub async fn counters(session: &mut Session) -> Result<Vec<Counter>, Trouble> {
    if session.engine().name != "postgres" {
        return Ok(Vec::new());
    }
    let sql = "SELECT sn.nspname, s.relname, tn.nspname, t.relname, a.attname \
         FROM (SELECT d.objid AS sequence, d.refobjid AS relation, d.refobjsubid AS number FROM pg_catalog.pg_depend d \
               WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass \
                 AND d.deptype = 'i' AND d.refobjsubid > 0 \
               UNION SELECT d.refobjid, f.adrelid, f.adnum FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_attrdef f ON f.oid = d.objid \
               WHERE d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass \
                 AND pg_catalog.pg_get_expr(f.adbin, f.adrelid) ~ '^\\(*nextval\\(''[^()]*''::regclass\\)\\)*(::[a-z ]+)?$') u \
         JOIN pg_catalog.pg_class s ON s.oid = u.sequence AND s.relkind = 'S' JOIN pg_catalog.pg_namespace sn ON sn.oid = s.relnamespace \
         JOIN pg_catalog.pg_class t ON t.oid = u.relation AND t.relkind IN ('r', 'p') JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = u.relation AND a.attnum = u.number \
           AND a.atttypid IN ('int2'::pg_catalog.regtype, 'int4'::pg_catalog.regtype, 'int8'::pg_catalog.regtype, 'numeric'::pg_catalog.regtype) \
         JOIN pg_catalog.pg_sequence q ON q.seqrelid = s.oid AND NOT q.seqcycle ORDER BY 1, 2, 3, 4, 5";
    let mut counters = Vec::new();
    for row in rows(session, sql).await? {
        let [sequence_schema, sequence, schema, table, column] = &row[..] else { continue };
        counters.push(Counter {
            name: format!("{sequence_schema}.{sequence}"),
            counter: format!("{}.{}", double_quoted(sequence_schema), double_quoted(sequence)),
            column: Column {
                name: format!("{schema}.{table}.{column}"),
                table: format!("{}.{}", double_quoted(schema), double_quoted(table)),
                column: double_quoted(column),
            },
        });
    }
    Ok(counters)
}

/// The columns of MySQL and MariaDB that hold dates.
pub async fn date_columns(session: &mut Session) -> Result<Vec<Column>, Trouble> {
    if !matches!(session.engine().name, "mysql" | "mariadb") {
        return Ok(Vec::new());
    }
    let sql = "SELECT c.TABLE_SCHEMA, c.TABLE_NAME, c.COLUMN_NAME FROM information_schema.COLUMNS c \
         JOIN information_schema.TABLES t ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME \
         WHERE c.TABLE_SCHEMA = database() AND t.TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') AND c.DATA_TYPE IN ('date', 'datetime', 'timestamp') \
         ORDER BY c.TABLE_NAME, c.ORDINAL_POSITION";
    let found = rows(session, sql).await?;
    let column = |row: &Vec<String>| match &row[..] {
        [schema, table, column] => Some(Column {
            name: format!("{table}.{column}"),
            table: format!("{}.{}", backticked(schema), backticked(table)),
            column: backticked(column),
        }),
        _ => None,
    };
    Ok(found.iter().filter_map(column).collect())
}

/// What the bodies of routines, triggers and events of MySQL and MariaDB name: the routine, and a table or procedure of this database.
///
/// # Errors
/// Where a body is not shown to this user: nothing can be said of it.
pub async fn references(session: &mut Session) -> Result<Vec<(String, String)>, Trouble> {
    if !matches!(session.engine().name, "mysql" | "mariadb") {
        return Ok(Vec::new());
    }
    let sql = "SELECT CONCAT(LOWER(ROUTINE_TYPE), ' ', ROUTINE_NAME), ROUTINE_DEFINITION FROM information_schema.ROUTINES \
               WHERE ROUTINE_SCHEMA = database() AND ROUTINE_BODY = 'SQL' \
         UNION ALL SELECT CONCAT('trigger ', TRIGGER_NAME), ACTION_STATEMENT FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = database() \
         UNION ALL SELECT CONCAT('event ', EVENT_NAME), EVENT_DEFINITION FROM information_schema.EVENTS WHERE EVENT_SCHEMA = database() ORDER BY 1";
    let bodies = session.run(sql, GRACE, usize::MAX, true).await?.rows;
    let mut named = Vec::new();
    for row in &bodies {
        let [Some(name), body] = &row[..] else { continue };
        let body = body.as_deref().ok_or_else(|| Trouble::denied(format!("the body of {name} is not shown to this user")))?;
        named.push((name.clone(), routines::names(body)));
    }
    // What one of them makes another one may use.
    let made: BTreeSet<String> = named.iter().flat_map(|(_, names)| &names.made).map(|name| name.to_lowercase()).collect();
    let mut references = Vec::new();
    for (name, names) in named {
        let used = names.used.into_iter().filter(|used| !made.contains(&used.to_lowercase()));
        references.extend(used.map(|used| (name.clone(), used)));
    }
    Ok(references)
}

/// Why there is nothing to look at in the database: it has no table, or no table has a row; none where there is something, or where that
/// cannot be told.
pub async fn emptiness(session: &mut Session) -> Result<Option<String>, Trouble> {
    let tables = tables(session).await?;
    if !all_empty(session, &tables).await {
        return Ok(None);
    }
    // Foreign tables and materialized views hold something too, and an inquiry into each is not worth it.
    let others = "SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('m', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'";
    if session.engine().name == "postgres" && !rows(session, others).await?.is_empty() {
        return Ok(None);
    }
    Ok(Some(if tables.is_empty() { "there is no table in it" } else { "every table is empty" }.into()))
}

/// Whether none of the quoted `tables` has a row; of one that cannot be read that is not known.
pub async fn all_empty(session: &mut Session, tables: &[String]) -> bool {
    for table in tables {
        match session.run(&format!("SELECT 1 FROM {table} LIMIT 1"), GRACE, 1, true).await {
            Ok(answer) if answer.total == 0 => {}
            _ => return false,
        }
    }
    true
}
