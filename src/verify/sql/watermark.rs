//! Where a prefix ends: a column that only grows, with the last value of it that counts in each table.
//!
//! A value is kept as text and compared by the server, so that the text has to mean the value itself: what is not shown to read back as the
//! greatest value is refused at capture.
//!
//! Not here: what a column can hold (`declared`), and closed partitions (`scope`).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::model::failure::Failure;
use crate::verify::sql::database::Database;
use crate::verify::sql::declared;
use crate::verify::sql::last_value::{Form, Last};
use crate::verify::sql::rows::table::{Column, Table, Wire, backticked, double_quoted};

/// Rows up to a value of a column.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Watermark {
    /// The column.
    pub column: String,
    /// The last value of each table that has the column; nothing where the table was empty.
    pub values: BTreeMap<String, Option<Last>>,
    /// Tables without the column: the manifest does not speak of them.
    pub left_out: Vec<String>,
}

impl Watermark {
    /// As `COLUMN` or `COLUMN=VALUE` asks for it.
    pub async fn declare(db: &mut Database, wanted: &str, tables: &[Table]) -> Result<Self, Failure> {
        let (name, value) = match wanted.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (wanted, None),
        };
        let mut watermark = Self { column: name.to_owned(), values: BTreeMap::new(), left_out: Vec::new() };
        for table in tables {
            let Some(column) = table.columns.iter().find(|known| known.name == name) else {
                watermark.left_out.push(table.name.clone());
                continue;
            };
            let last = if let Some(value) = value {
                Some(declared::watermark_value(db, table, column, value).await?)
            } else {
                declared::has_order(db, table, column).await?;
                db.greatest(table, name).await?
            };
            declared::has_end(table, column, last.as_ref().map(|last| last.text.as_str()))?;
            if let Some(last) = last.as_ref().filter(|_| value.is_none()) {
                reads_back(db, table, column, last).await?;
            }
            watermark.values.insert(table.name.clone(), last);
        }
        if watermark.values.is_empty() {
            return Err(Failure::invalid(format!("no table has a column `{name}`")).hint("--watermark names a column that only grows"));
        }
        Ok(watermark)
    }

    /// What restricts `table` to its rows up to the last value; nothing where the manifest knows nothing of the table.
    pub fn filter(&self, engine: &str, table: &Table) -> Option<String> {
        let last = self.values.get(&table.name)?;
        Some(up_to(engine, &self.column, last.as_ref(), table.order_of(&self.column)))
    }

    /// As a manifest states it.
    pub fn to_value(&self) -> Value {
        let texts: BTreeMap<&String, Option<&str>> =
            self.values.iter().map(|(table, last)| (table, last.as_ref().map(|last| last.text.as_str()))).collect();
        let form = |last: &Option<Last>| Some(last.as_ref()?.form?.as_str());
        let forms: Map<String, Value> = self.values.iter().filter_map(|(table, last)| Some((table.clone(), form(last)?.into()))).collect();
        let mut stated = json!({"column": self.column, "values": texts, "left_out": self.left_out});
        if !forms.is_empty() {
            stated["forms"] = forms.into();
        }
        stated
    }

    /// As a manifest states it.
    pub fn of(stated: &Value) -> Self {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let last = |table: &str, value: &Value| {
            let form = stated["forms"][table].as_str().and_then(Form::stated);
            text(value).map(|text| Last { text, form })
        };
        Self {
            column: text(&stated["column"]).unwrap_or_default(),
            values: stated["values"].as_object().into_iter().flatten().map(|(table, value)| (table.clone(), last(table, value))).collect(),
            left_out: stated["left_out"].as_array().into_iter().flatten().filter_map(text).collect(),
        }
    }
}

/// Refuses a greatest value whose text is not the value: rows of the prefix would be left out, or later ones be part of it.
async fn reads_back(db: &mut Database, table: &Table, column: &Column, last: &Last) -> Result<(), Failure> {
    let engine = db.engine().name;
    let (name, order, literal) = (quoted(engine, &column.name), table.order_of(&column.name), last.literal(engine));
    let of = if matches!(column.wire, Wire::Postgres(_)) { "ONLY " } else { "" };
    let any = |condition: String| format!("SELECT 1 FROM {of}{}{} LIMIT 1", table.sql_name, table.conditions(&[condition]));
    let is_there = !db.ask(&any(format!("{name}{order} = {literal}"))).await?.is_empty();
    if is_there && db.ask(&any(format!("{name}{order} > {literal}"))).await?.is_empty() {
        return Ok(());
    }
    let said = format!("--watermark {}: column {} of table {} is {}", column.name, column.name, table.name, column.type_text);
    Err(Failure::invalid(format!(
        "{said}, and its greatest value, `{}`, does not mean the same when it is asked for again",
        last.text.escape_default()
    ))
    .hint("name the last value that counts, `--watermark COLUMN=VALUE`, or a column that only grows: a number, a time"))
}

fn quoted(engine: &str, column: &str) -> String {
    if matches!(engine, "mysql" | "mariadb") { backticked(column) } else { double_quoted(column) }
}

/// Rows without a value are within the prefix: they cannot be told to be later.
fn up_to(engine: &str, column: &str, last: Option<&Last>, order: &str) -> String {
    let column = quoted(engine, column);
    match last {
        Some(last) => format!("{column} IS NULL OR {column}{order} <= {}", last.literal(engine)),
        None => format!("{column} IS NULL"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(text: &str, form: Option<Form>) -> Last {
        Last { text: text.into(), form }
    }

    #[test]
    fn a_watermark_is_stated_and_read_back() {
        let forms = [None, Some(Form::Number), Some(Form::Text), Some(Form::Bytes)];
        let values = forms.iter().enumerate().map(|(at, form)| (format!("t{at}"), Some(last("9", *form)))).chain([("e".to_owned(), None)]);
        let watermark = Watermark { column: "id".into(), values: values.collect(), left_out: vec!["x".into()] };
        assert_eq!(Watermark::of(&watermark.to_value()), watermark);
        let earlier = Watermark { values: [("t".to_owned(), Some(last("9", None)))].into(), ..watermark };
        assert_eq!(earlier.to_value(), json!({"column": "id", "values": {"t": "9"}, "left_out": ["x"]}));
    }

    #[test]
    fn rows_without_a_value_are_within_the_prefix() {
        assert_eq!(up_to("postgres", "i\"d", Some(&last("9", None)), ""), "\"i\"\"d\" IS NULL OR \"i\"\"d\" <= '9'");
        assert_eq!(up_to("mariadb", "id", Some(&last("9", None)), ""), "`id` IS NULL OR `id` <= 9");
        assert_eq!(up_to("mysql", "id", None, ""), "`id` IS NULL");
    }
}
