//! The tables of a MySQL or MariaDB database, from `information_schema`. What a system-versioned table has been is a table of its own here.

use std::collections::BTreeMap;

use crate::verify::sql::connect::errors::Broken;
use crate::verify::sql::rows::mysql_decode::MysqlType;
use crate::verify::sql::rows::table::{Column, Table, Wire, backticked};
use crate::verify::sql::wire::mysql::answers::Answer;
use crate::verify::sql::wire::mysql::error::WireError;
use crate::verify::sql::wire::mysql::session::WireSession;

const TABLES: &str = "SELECT TABLE_NAME, ENGINE, TABLE_TYPE, CAST(CREATE_TIME AS CHAR) FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')";

/// When a table was made: one that is put in its place was made at another time. Of MariaDB, when its file got its name.
const MADE: &str = "SELECT CAST(CREATE_TIME AS CHAR) FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?";

/// True of tables in `information_schema.TABLES` whose rows another server keeps: no backup of this one has them. Where the engine is not
/// there to open them, only their comment says whose they are.
pub const FEDERATED: &str =
    "(COALESCE(ENGINE, '') = 'FEDERATED' OR ENGINE IS NULL AND COALESCE(TABLE_COMMENT, '') LIKE '%torage engine %FEDERATED%')";

const COLUMNS: &str = "SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE, EXTRA, COLLATION_NAME, GENERATION_EXPRESSION \
     FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? ORDER BY TABLE_NAME, ORDINAL_POSITION";

const INDEXES: &str = "SELECT TABLE_NAME, INDEX_NAME, COLUMN_NAME FROM information_schema.STATISTICS \
     WHERE TABLE_SCHEMA = ? AND NON_UNIQUE = 0 ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX";

const REFERENCES: &str = "SELECT k.TABLE_NAME, k.CONSTRAINT_NAME, k.COLUMN_NAME, k.REFERENCED_TABLE_NAME, k.REFERENCED_COLUMN_NAME \
     FROM information_schema.KEY_COLUMN_USAGE k WHERE k.TABLE_SCHEMA = ? AND k.REFERENCED_TABLE_NAME IS NOT NULL \
     ORDER BY k.TABLE_NAME, k.CONSTRAINT_NAME, k.ORDINAL_POSITION";

/// How the type of the column ends that says until when a row was valid.
const ROW_END: &str = " AS ROW END";

/// Columns, the table that they refer to, and its columns.
type Reference = (Vec<String>, String, Vec<String>);

/// Reads the catalogue, four questions whatever the number of tables.
pub async fn tables(session: &mut WireSession, database: &str) -> Result<Vec<Table>, WireError> {
    let mut columns: BTreeMap<String, (Vec<Column>, Vec<String>)> = BTreeMap::new();
    for row in session.ask(COLUMNS, &[database]).await? {
        let (read, left_out) = columns.entry(get(&row, 0)).or_default();
        let extra = get(&row, 5).to_ascii_uppercase();
        let name = get(&row, 1);
        if extra.contains("VIRTUAL GENERATED") {
            left_out.push(format!("{name}: virtual generated column"));
            continue;
        }
        let mut type_text = without_display_width(&get(&row, 3));
        if let Some(collation) = row.text(6) {
            type_text = format!("{type_text} COLLATE {collation}");
        }
        let mut kind = MysqlType::of(&get(&row, 2), &get(&row, 3));
        if let Some(bound) = row.text(7).filter(|said| matches!(said.as_str(), "ROW START" | "ROW END")) {
            type_text = format!("{type_text} AS {bound}");
            // Where versions go by transactions, it is a number.
            kind = if bound == "ROW END" && kind == MysqlType::Timestamp { MysqlType::RowEnd } else { kind };
        }
        read.push(Column {
            wire: Wire::Mysql(kind),
            nullable: get(&row, 4) == "YES",
            generated: extra.contains("STORED GENERATED") || extra.contains("PERSISTENT"),
            name,
            type_text,
        });
    }
    let mut indexes: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for row in session.ask(INDEXES, &[database]).await? {
        indexes.entry((get(&row, 0), get(&row, 1))).or_default().push(row.text(2).unwrap_or_else(|| "an expression".into()));
    }
    let mut references: BTreeMap<(String, String), Reference> = BTreeMap::new();
    for row in session.ask(REFERENCES, &[database]).await? {
        let entry = references.entry((get(&row, 0), get(&row, 1))).or_default();
        entry.0.push(get(&row, 2));
        entry.1 = get(&row, 3);
        entry.2.push(get(&row, 4));
    }
    let (mut tables, mut histories) = (Vec::new(), Vec::new());
    for row in session.ask(&format!("{TABLES} AND NOT {FEDERATED}"), &[database]).await? {
        let name = get(&row, 0);
        let sql_name = format!("{}.{}", backticked(database), backticked(&name));
        let (read, left_out) = columns.remove(&name).unwrap_or_default();
        let key = indexes.get(&(name.clone(), "PRIMARY".to_owned())).cloned().unwrap_or_default();
        let mut table = Table::new(name.clone(), sql_name, read, &key);
        table.left_out = left_out;
        table.unprotected = row.text(1).filter(|engine| !matches!(engine.as_str(), "InnoDB" | "ROCKSDB"));
        table.identity = row.text(3);
        let of_table = |owner: &str| owner == name;
        table.constraints = indexes
            .iter()
            .filter(|((owner, _), _)| of_table(owner))
            .map(|((_, index), columns)| format!("{index}: UNIQUE ({})", columns.join(", ")))
            .chain(references.iter().filter(|((owner, _), _)| of_table(owner)).map(|((_, constraint), (from, to, at))| {
                format!("{constraint}: FOREIGN KEY ({}) REFERENCES {to} ({})", from.join(", "), at.join(", "))
            }))
            .collect();
        histories.extend((row.text(2).as_deref() == Some("SYSTEM VERSIONED")).then(|| history(&table, &key)));
        tables.push(table);
    }
    for mut history in histories {
        while tables.iter().any(|table| table.name == history.name) {
            history.name.push_str(HISTORY);
        }
        tables.push(history);
    }
    Ok(tables)
}

/// Fails where another table has its name by now. A table that has been read keeps its name as long as the session's transaction lasts.
pub async fn is_still(session: &mut WireSession, database: &str, table: &Table) -> Result<(), Broken> {
    let Some(identity) = &table.identity else { return Ok(()) };
    let answers = session.ask(MADE, &[database, &table.name]).await.map_err(|error| Broken::of_wire(&error))?;
    if answers.first().and_then(|row| row.text(0)).as_ref() == Some(identity) {
        return Ok(());
    }
    Err(Broken::moved("another table was put in its place after the snapshot was taken"))
}

/// What a system-versioned table's history is called beside it.
pub const HISTORY: &str = " (history)";

/// What all rows are read from that such a table has had.
pub fn with_history(sql_name: &str) -> String {
    format!("{sql_name} FOR SYSTEM_TIME ALL")
}

/// All rows that a system-versioned table has had, each with the time from which and until which it was valid. A dump without its history
/// restores the rows of today, all of them valid from the time of the restore on (mariadb.com/kb/en/system-versioned-tables).
fn history(table: &Table, key: &[String]) -> Table {
    let mut columns = table.columns.clone();
    let mut key = key.to_vec();
    // Columns of this kind that the definition names are read as any other; those that it does not name are shown where they are named.
    if !columns.iter().any(|column| column.type_text.ends_with(ROW_END)) {
        for (name, kind) in [("row_start", MysqlType::Timestamp), ("row_end", MysqlType::RowEnd)] {
            let (name, type_text, wire) = (name.to_owned(), "timestamp(6)".to_owned(), Wire::Mysql(kind));
            columns.push(Column { name, type_text, nullable: false, generated: true, wire });
        }
        // One key has many rows, which follow one another.
        key.extend((!key.is_empty()).then(|| "row_end".to_owned()));
    }
    let mut history = Table::new(format!("{}{HISTORY}", table.name), with_history(&table.sql_name), columns, &key);
    (history.left_out, history.unprotected) = (table.left_out.clone(), table.unprotected.clone());
    history
}

fn get(row: &Answer, index: usize) -> String {
    row.text(index).unwrap_or_default()
}

/// `int(11)` and `int` are one type: MySQL 8.0.19 and later no longer print the width, MariaDB does.
fn without_display_width(column_type: &str) -> String {
    let integer = ["tinyint(", "smallint(", "mediumint(", "int(", "bigint("].iter().any(|start| column_type.starts_with(start));
    match (integer, column_type.find('('), column_type.find(')')) {
        (true, Some(open), Some(close)) if open < close => format!("{}{}", &column_type[..open], &column_type[close + 1..]),
        _ => column_type.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_widths_are_no_part_of_a_type() {
        assert_eq!(without_display_width("bigint(20) unsigned"), "bigint unsigned");
        assert_eq!(without_display_width("decimal(10,2)"), "decimal(10,2)");
        assert_eq!(without_display_width("varchar(20)"), "varchar(20)");
    }
}
