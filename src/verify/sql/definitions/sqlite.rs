//! What a SQLite file defines: its schema's own text, the numbers that applications keep in its header, and how far AUTOINCREMENT has come.

use rusqlite::Connection;

use crate::verify::sql::definitions::kinds::{Definitions, POSITION};

/// Kinds of `sqlite_schema`; a table is the text of its CREATE statement, which holds defaults, checks, collations and expressions.
const KINDS: [&str; 6] = ["table", "view", "trigger", "index", "pragma", POSITION];

const SCHEMA: &str = "SELECT type, name, sql FROM sqlite_schema WHERE type IN ('table', 'view', 'trigger', 'index') AND sql IS NOT NULL \
                      AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";

/// Which application's file it is and of which version its schema is ("Database File Format", 1.3).
const PRAGMAS: &str = "SELECT 'application_id', application_id FROM pragma_application_id UNION ALL SELECT 'user_version', user_version FROM pragma_user_version";

/// Reads them; the file is open to every reader of it.
pub fn definitions(connection: &Connection) -> Result<Definitions, rusqlite::Error> {
    let mut found = Definitions::of_kinds(KINDS, None);
    let mut statement = connection.prepare(SCHEMA)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (kind, name, definition): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if kind == "table" && definition.to_ascii_uppercase().contains("AUTOINCREMENT") {
            // Until its first row, and where its row is lost: numbers begin after the greatest that is there.
            found.add(POSITION, name.clone(), "0");
        }
        found.add(&kind, name, &definition);
    }
    let mut statement = connection.prepare(PRAGMAS)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (name, value): (String, i64) = (row.get(0)?, row.get(1)?);
        found.add("pragma", name, &value.to_string());
    }
    // The table is there once a table with AUTOINCREMENT has been made, whatever texts say.
    let counts = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence')";
    if connection.query_row(counts, [], |row| row.get(0))? {
        let mut statement = connection.prepare("SELECT name, CAST(seq AS TEXT) FROM sqlite_sequence")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (name, position): (Option<String>, Option<String>) = (row.get(0)?, row.get(1)?);
            found.add(POSITION, name.unwrap_or_default(), &position.unwrap_or_default());
        }
    }
    Ok(found)
}
