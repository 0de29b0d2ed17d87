//! What a catalogue says of a table, in one shape for the three engines, and the digest of it.
//!
//! Not here: how the catalogues are asked (`postgres::snapshot`, `mysql::snapshot`, `sqlite::file`).

use serde_json::{Value, json};

use crate::model::canonical_json;
use crate::model::failure::Failure;
use crate::verify::sql::rows::mysql_charset;
use crate::verify::sql::rows::mysql_decode::MysqlType;
use crate::verify::sql::rows::postgres_decode::PgType;

/// How a column's values arrive.
#[derive(Clone, PartialEq, Debug)]
pub enum Wire {
    /// PostgreSQL's binary format of this type.
    Postgres(PgType),
    /// The binary protocol of MySQL and MariaDB.
    Mysql(MysqlType),
    /// SQLite: each value brings its storage class.
    Sqlite,
}

impl Wire {
    /// What is asked for, so that a value arrives in this way; `name` is the column's, quoted.
    fn asked(&self, name: &str) -> String {
        match self {
            // The empty text is that of an empty label and that of no label: a byte before it tells which.
            Self::Mysql(MysqlType::EnumMarked) => format!("CONCAT(IF({name} + 0 = 0, x'30', x'31'), CAST({name} AS BINARY))"),
            Self::Mysql(MysqlType::SetNumber) => format!("CAST({name} AS UNSIGNED)"),
            Self::Postgres(PgType::Printed(printed)) => format!("{name}{}::text", printed.casts),
            _ => name.to_owned(),
        }
    }
}

/// A column that is read.
#[derive(Clone, PartialEq, Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type as the engine spells it, collation included where it decides equality.
    pub type_text: String,
    /// Whether NULL is allowed.
    pub nullable: bool,
    /// True for a stored generated column.
    pub generated: bool,
    /// How its values arrive.
    pub wire: Wire,
}

/// A base table.
#[derive(Clone, PartialEq, Debug)]
pub struct Table {
    /// Its name in manifests and findings.
    pub name: String,
    /// Its qualified and quoted name for statements.
    pub sql_name: String,
    /// What its rows are read from where that is not the table as it is stored; `ctid` is among its columns.
    pub source: Option<&'static str>,
    /// Its columns in ascending order of their names' bytes: the order of canonical rows.
    pub columns: Vec<Column>,
    /// The same in the order in which the engine stores them: indexes into `columns`. Asked for so, a server need not rearrange its rows.
    pub stored: Vec<usize>,
    /// The primary key: indexes into `columns`, ascending; empty where there is none.
    pub key: Vec<usize>,
    /// The column that the primary key begins with, by which the engine has its rows in order; absent where there is no key.
    pub leading: Option<usize>,
    /// Keys, unique indexes, references and checks, one line each, sorted.
    pub constraints: Vec<String>,
    /// Columns that are not read, with the reason: virtual generated ones.
    pub left_out: Vec<String>,
    /// Only rows for which this condition holds are read; absent: all.
    pub filter: Option<String>,
    /// The storage engine, where it gives no snapshot.
    pub unprotected: Option<String>,
    /// What tells it from a table that is put in its place under the same name, in the engine's own terms; absent: nothing does.
    pub identity: Option<String>,
    /// The partitioned tables of which it is a partition, by the names of findings.
    pub part_of: Vec<String>,
    /// Whether its texts are asked for in UTF-8, whatever the character set that they are stored in.
    pub in_utf8: bool,
}

impl Table {
    /// Of columns in the order in which they are stored: sorts them, and finds the key's by name.
    pub fn new(name: String, sql_name: String, mut columns: Vec<Column>, key: &[String]) -> Self {
        let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        columns.sort_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
        let stored = names.iter().filter_map(|name| columns.iter().position(|column| column.name == *name)).collect();
        let mut indexes: Vec<usize> = key.iter().filter_map(|name| columns.iter().position(|column| column.name == *name)).collect();
        indexes.sort_unstable();
        // A key on a column that is not read cannot name rows: then the row names itself.
        if indexes.len() != key.len() {
            indexes.clear();
        }
        let leading = key.first().filter(|_| !indexes.is_empty());
        let leading = leading.and_then(|name| columns.iter().position(|column| column.name == *name));
        Self {
            name,
            sql_name,
            source: None,
            columns,
            stored,
            key: indexes,
            leading,
            constraints: Vec::new(),
            left_out: Vec::new(),
            filter: None,
            unprotected: None,
            identity: None,
            part_of: Vec::new(),
            in_utf8: false,
        }
    }

    /// From now on its texts are those that logical rows have.
    pub fn read_in_utf8(&mut self) {
        self.in_utf8 = true;
        for Column { wire, type_text, .. } in &mut self.columns {
            if let Wire::Mysql(kind) = wire
                && let Some(arriving) = mysql_charset::arriving(type_text, kind)
            {
                *kind = arriving;
            }
        }
    }

    /// The select list of the columns at `columns`; a table without columns has rows all the same.
    pub fn select_list(&self, columns: &[usize], quote: fn(&str) -> String) -> String {
        let asked = |index: &usize| {
            let Column { name, wire, type_text, .. } = &self.columns[*index];
            let name = quote(name);
            let converted = match wire {
                Wire::Mysql(kind) if self.in_utf8 => mysql_charset::asked(type_text, kind, &name),
                _ => None,
            };
            converted.unwrap_or_else(|| wire.asked(&name))
        };
        columns.iter().map(asked).collect::<Vec<String>>().join(", ")
    }

    /// The conditions of a statement that reads it, with `more` beside its own filter.
    pub fn conditions(&self, more: &[String]) -> String {
        let all: Vec<&str> = self.filter.as_deref().into_iter().chain(more.iter().map(String::as_str)).collect();
        if all.is_empty() { String::new() } else { format!(" WHERE ({})", all.join(") AND (")) }
    }

    /// What the schema leaf is a digest of, and what the manifest's header says of the table.
    pub fn describe(&self) -> Value {
        let columns: Vec<Value> = self
            .columns
            .iter()
            .map(
                |column| json!({"name": column.name, "type": column.type_text, "nullable": column.nullable, "generated": column.generated}),
            )
            .collect();
        let key: Vec<&str> = self.key.iter().map(|index| self.columns[*index].name.as_str()).collect();
        json!({"columns": columns, "key": key, "constraints": self.constraints, "left_out": self.left_out})
    }

    /// The digest of the schema leaf: BLAKE3 in key derivation mode over the RFC 8785 form of [`Table::describe`].
    pub fn schema_digest(&self) -> Result<[u8; 32], Failure> {
        schema_digest(&self.describe()).map_err(|error| Failure::invalid(format!("table {}: {error}", self.name)))
    }

    /// Names of types that are encoded as `opaque`.
    pub fn opaque_types(&self) -> Vec<String> {
        let mut names = Vec::new();
        for column in &self.columns {
            match &column.wire {
                Wire::Postgres(kind) => kind.opaque_names(&mut names),
                Wire::Mysql(MysqlType::Opaque(name)) => names.push(name.clone()),
                _ => {}
            }
        }
        names.sort();
        names.dedup();
        names
    }
}

/// The digest of the schema leaf of what is described so.
pub fn schema_digest(described: &Value) -> Result<[u8; 32], Failure> {
    let form = canonical_json::to_bytes(described).map_err(|error| Failure::invalid(error.to_string()))?;
    Ok(blake3::derive_key("attestore schema v1", &form))
}

/// The columns of a description by name, each with its type as findings tell it.
fn columns_of(side: &Value) -> Vec<(String, String)> {
    let of = |column: &Value| {
        let text = |name: &str| column[name].as_str().unwrap_or_default().to_owned();
        let null = if column["nullable"] == json!(true) { "" } else { " NOT NULL" };
        (text("name"), format!("{}{null}", text("type")))
    };
    side["columns"].as_array().map(|columns| columns.iter().map(of).collect()).unwrap_or_default()
}

/// The names of the columns that only one of two descriptions has, or that they have otherwise, in their order.
pub fn changed_columns(before: &Value, now: &Value) -> Vec<String> {
    let (old, new) = (columns_of(before), columns_of(now));
    let only = |one: &[(String, String)], other: &[(String, String)]| -> Vec<String> {
        one.iter().filter(|column| !other.contains(column)).map(|(name, _)| name.clone()).collect()
    };
    let mut names = [only(&old, &new), only(&new, &old)].concat();
    names.sort();
    names.dedup();
    names
}

/// The columns of `table` that only one of two descriptions has, each as `TABLE.COLUMN`.
pub fn lone_columns(table: &str, before: &Value, now: &Value) -> Vec<String> {
    let (old, new) = (columns_of(before), columns_of(now));
    let beyond = |one: &[(String, String)], other: &[(String, String)]| -> Vec<String> {
        let lone = one.iter().filter(|(name, _)| !other.iter().any(|(other, _)| other == name));
        lone.map(|(name, _)| format!("{table}.{name}")).collect()
    };
    [beyond(&old, &new), beyond(&new, &old)].concat()
}

/// What differs between two descriptions, in few words; `before` is from a manifest's header.
pub fn schema_difference(before: Option<&Value>, now: &Value) -> (String, String) {
    let Some(before) = before else { return ("another definition".into(), "this definition".into()) };
    let (old, new) = (columns_of(before), columns_of(now));
    let (mut expected, mut actual) = (Vec::new(), Vec::new());
    for (name, kind) in &old {
        match new.iter().find(|(other, _)| other == name) {
            Some((_, other)) if other == kind => {}
            Some((_, other)) => {
                expected.push(format!("{name} {kind}"));
                actual.push(format!("{name} {other}"));
            }
            None => {
                expected.push(format!("{name} {kind}"));
                actual.push(format!("no {name}"));
            }
        }
    }
    for (name, kind) in new.iter().filter(|(name, _)| !old.iter().any(|(other, _)| other == name)) {
        expected.push(format!("no {name}"));
        actual.push(format!("{name} {kind}"));
    }
    for part in ["key", "constraints", "left_out"] {
        let list = |side: &Value| -> Vec<String> {
            side[part].as_array().map(|all| all.iter().filter_map(|line| line.as_str().map(str::to_owned)).collect()).unwrap_or_default()
        };
        let (old, new) = (list(before), list(now));
        if part == "key" && old != new {
            expected.push(format!("key ({})", old.join(", ")));
            actual.push(format!("key ({})", new.join(", ")));
        } else {
            expected.extend(old.iter().filter(|line| !new.contains(line)).cloned());
            actual.extend(new.iter().filter(|line| !old.contains(line)).cloned());
        }
    }
    let told = |lines: Vec<String>| if lines.is_empty() { "nothing more".to_owned() } else { lines.join("; ") };
    (told(expected), told(actual))
}

/// A name in double quotes, for PostgreSQL and SQLite.
pub fn double_quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A name in backticks, for MySQL and MariaDB.
pub fn backticked(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, type_text: &str) -> Column {
        Column { name: name.into(), type_text: type_text.into(), nullable: false, generated: false, wire: Wire::Sqlite }
    }

    #[test]
    fn the_physical_order_of_columns_does_not_show_and_a_type_does() {
        let make = |columns: Vec<Column>| Table::new("t".into(), "\"t\"".into(), columns, &["b".into()]);
        let one = make(vec![column("b", "TEXT"), column("a", "INT")]);
        let other = make(vec![column("a", "INT"), column("b", "TEXT")]);
        assert_eq!(one.schema_digest().unwrap(), other.schema_digest().unwrap());
        assert_eq!(one.key, [1]);
        let changed = make(vec![column("a", "BIGINT"), column("b", "TEXT")]);
        assert_ne!(one.schema_digest().unwrap(), changed.schema_digest().unwrap());
        let (before, now) = schema_difference(Some(&one.describe()), &changed.describe());
        assert_eq!((before.as_str(), now.as_str()), ("a INT NOT NULL", "a BIGINT NOT NULL"));
        assert_eq!(changed_columns(&one.describe(), &changed.describe()), ["a"]);
        let fewer = make(vec![column("b", "TEXT"), column("c", "TEXT")]);
        assert_eq!(changed_columns(&one.describe(), &fewer.describe()), ["a", "c"]);
        assert_eq!(lone_columns("t", &one.describe(), &fewer.describe()), ["t.a", "t.c"]);
        assert!(lone_columns("t", &one.describe(), &changed.describe()).is_empty());
        assert!(changed_columns(&one.describe(), &other.describe()).is_empty());
    }

    #[test]
    fn quotes_cannot_be_left() {
        assert_eq!(double_quoted("a\"b"), "\"a\"\"b\"");
        assert_eq!(backticked("a`b"), "`a``b`");
    }
}
