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
use crate::verify::sql::naming;
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
    /// As `COLUMN` or `COLUMN=VALUE` asks for it; what its user should know is `said`.
    pub async fn declare(db: &mut Database, wanted: &str, tables: &[Table], said: &mut Vec<String>) -> Result<Self, Failure> {
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
            if last.as_ref().is_some_and(|last| last.form == Some(Form::Text)) && !declared::orders_utf8(db).await? {
                let said = format!("--watermark {name}: table {} holds texts in UTF-16, which are not ordered as in UTF-8", table.name);
                return Err(Failure::invalid(said).hint("a watermark is a column that only grows: a number, a time"));
            }
            declared::has_end(table, column, last.as_ref().map(|last| last.text.as_str()))?;
            if let Some(last) = last.as_ref().filter(|_| value.is_none()) {
                reads_back(db, table, column, last).await?;
            }
            if let Some(value) = value
                && let Some(last) = &last
            {
                let upto = any(table, column, up_to(db.engine().name, column, Some(last)));
                if db.ask(&upto).await?.is_empty() && !db.ask(&any(table, column, "1 = 1".into())).await?.is_empty() {
                    said.push(format!(
                        "no row of table {} is up to {name} = {}: the prefix has none of it",
                        table.name,
                        value.escape_default()
                    ));
                }
            }
            watermark.values.insert(table.name.clone(), last);
            if column.nullable && !db.ask(&any(table, column, format!("{} IS NULL", quoted(db.engine().name, name)))).await?.is_empty() {
                let table = &table.name;
                said.push(format!(
                    "table {table} has rows without a {name}: they are part of the prefix, and one that comes later is extra"
                ));
            }
        }
        let is_text = |last: &Option<Last>| last.as_ref().is_some_and(|last| matches!(last.form, Some(Form::Text | Form::TextIn(_))));
        let of_texts: Vec<&str> = watermark.values.iter().filter(|(_, last)| is_text(last)).map(|(table, _)| table.as_str()).collect();
        if !of_texts.is_empty() {
            said.push(format!(
                "the prefix of {} ends at a text, and texts go by their bytes (`Z` before `a`, `10` before `9`), whatever their collation: a later {name} \
                 that is less is taken for a row of the prefix",
                of_texts.join(", ")
            ));
        }
        if watermark.values.is_empty() {
            return Err(Failure::invalid(format!("no table has a column `{name}`")).hint("--watermark names a column that only grows"));
        }
        Ok(watermark)
    }

    /// What restricts `table` to its rows up to the last value; nothing where the manifest knows nothing of the table.
    pub fn filter(&self, engine: &str, table: &Table) -> Option<String> {
        let last = self.values.get(&table.name)?;
        let column = table.columns.iter().find(|column| column.name == self.column)?;
        Some(up_to(engine, column, last.as_ref()))
    }

    /// Completes what an earlier version kept of a prefix that ends at a text, beside another engine than `captured`: PostgreSQL was asked by its
    /// bytes, SQLite orders texts so, and so this database is to be asked.
    pub async fn complete(&mut self, captured: &str, db: &mut Database, tables: &[Table]) -> Result<(), Failure> {
        if !matches!(captured, "postgres" | "sqlite") || captured == db.engine().name {
            return Ok(());
        }
        for table in tables {
            let Some(Some(last)) = self.values.get_mut(&table.name) else { continue };
            let Some(column) = table.columns.iter().find(|column| column.name == self.column) else { continue };
            // A time is written in other words there.
            if last.form.is_some() || naming::stamp_in(&last.text).is_some() {
                continue;
            }
            let is_text = match db.form_of(column) {
                Some(here) => here.goes_by(Form::Text),
                None => declared::form_in_sqlite(db, table, column).await? == Some(Form::Text),
            };
            last.form = is_text.then_some(Form::Text);
        }
        Ok(())
    }

    /// Refuses a database that orders the column otherwise, be it of another engine or with another type that means the same to the comparison:
    /// rows of the prefix would be missing there, or later ones extra.
    ///
    /// # Errors
    /// [`FailureKind::Invalid`](crate::model::failure::FailureKind::Invalid) with the first table of which that is so.
    pub async fn fits(&self, captured: &str, is_logical: bool, db: &mut Database, tables: &[Table]) -> Result<(), Failure> {
        let engine = db.engine().name;
        let has_texts = self.values.values().flatten().any(|last| last.form == Some(Form::Text));
        if has_texts && !declared::orders_utf8(db).await? {
            let said =
                format!("the manifest's rows end at a text of {}, and this database orders texts by their bytes in UTF-16", self.column);
            return Err(Failure::invalid(said).hint("compare the two databases with --against"));
        }
        let family = |engine: &str| if engine == "mariadb" { "mysql" } else { engine }.to_owned();
        let is_of_family = family(captured) == family(engine);
        for table in tables {
            let Some(Some(last)) = self.values.get(&table.name) else { continue };
            let Some(column) = table.columns.iter().find(|column| column.name == self.column) else { continue };
            let here = db.form_of(column);
            if let (Some(Form::Text | Form::TextIn(_)), Some(form @ Form::TextIn(_))) = (here, last.form)
                && here != last.form
            {
                if declared::converts(db, form).await? {
                    continue;
                }
                let (table, column) = (&table.name, &self.column);
                let said = format!("the manifest's rows of {table} end at a {column} by the order of {}", form.to_text());
                return Err(Failure::invalid(format!("{said}, and this database has another encoding"))
                    .hint("compare the two databases with --against, or restore into a database of that encoding"));
            }
            // Another type is a difference there, and told as one.
            if is_of_family && !is_logical {
                continue;
            }
            let is_alike = match (here, last.form) {
                (Some(here), Some(form)) => here.goes_by(form) && (form != Form::Own || is_of_family),
                // An earlier version did not say how it compares: what has one order everywhere.
                (Some(here), None) => is_of_family || matches!(here, Form::Number | Form::Time),
                // Values of any class: one that is of another is damaged or a later one, and whole columns are what holds times as texts.
                (None, form) => {
                    let classes = declared::classes_in_sqlite(db, table, column).await?;
                    let ordered = form.unwrap_or(Form::Number).classes();
                    is_of_family || classes.is_empty() || classes.iter().any(|class| ordered.contains(&class.as_str()))
                }
            };
            if !is_alike {
                let said = format!(
                    "the manifest's rows of {} end at {} = {} by the order of {captured}, and the column, {} here, is ordered otherwise",
                    table.name,
                    self.column,
                    last.text.escape_default(),
                    column.type_text
                );
                return Err(Failure::invalid(said).hint("compare the two databases with --against, or in the engine of the capture"));
            }
        }
        Ok(())
    }

    /// As a manifest states it.
    pub fn to_value(&self) -> Value {
        let texts: BTreeMap<&String, Option<&str>> =
            self.values.iter().map(|(table, last)| (table, last.as_ref().map(|last| last.text.as_str()))).collect();
        let form = |last: &Option<Last>| Some(last.as_ref()?.form?.to_text());
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
    let (operand, literal) = (last.operand(engine, column), last.literal(engine, column));
    let is_there = !db.ask(&any(table, column, format!("{operand} = {literal}"))).await?.is_empty();
    if is_there && db.ask(&any(table, column, format!("{operand} > {literal}"))).await?.is_empty() {
        return Ok(());
    }
    let said = format!("--watermark {}: column {} of table {} is {}", column.name, column.name, table.name, column.type_text);
    let greatest = last.text.escape_default();
    Err(Failure::invalid(format!("{said}, and its greatest value, `{greatest}`, does not mean the same when it is asked for again"))
        .hint("name the last value that counts, `--watermark COLUMN=VALUE`, or a column that only grows: a number, a time"))
}

/// A statement that gives a row where `table` has one of this condition.
fn any(table: &Table, column: &Column, condition: String) -> String {
    let of = if matches!(column.wire, Wire::Postgres(_)) { "ONLY " } else { "" };
    format!("SELECT 1 FROM {of}{}{} LIMIT 1", table.sql_name, table.conditions(&[condition]))
}

fn quoted(engine: &str, column: &str) -> String {
    if matches!(engine, "mysql" | "mariadb") { backticked(column) } else { double_quoted(column) }
}

/// Rows without a value are within the prefix: they cannot be told to be later.
fn up_to(engine: &str, column: &Column, last: Option<&Last>) -> String {
    let name = quoted(engine, &column.name);
    match last {
        Some(last) => {
            let end = format!("{} <= {}", last.operand(engine, column), last.literal(engine, column));
            // Values of another class are before or after all of these, and none of the prefix.
            match last.form.filter(|_| column.wire == Wire::Sqlite).map(Form::classes) {
                Some(classes) if !classes.is_empty() => {
                    format!("{name} IS NULL OR typeof({name}) IN ('{}') AND {end}", classes.join("', '"))
                }
                _ => format!("{name} IS NULL OR {end}"),
            }
        }
        None => format!("{name} IS NULL"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::sql::rows::mysql_decode::MysqlType;
    use crate::verify::sql::rows::postgres_decode::PgType;

    fn last(text: &str, form: Option<Form>) -> Last {
        Last { text: text.into(), form }
    }

    #[test]
    fn a_watermark_is_stated_and_read_back() {
        let forms = [
            None,
            Some(Form::Number),
            Some(Form::Time),
            Some(Form::Text),
            Some(Form::Bytes),
            Some(Form::Own),
            Some(Form::of_texts_in("EUC_JP")),
        ];
        let values = forms.iter().enumerate().map(|(at, form)| (format!("t{at}"), Some(last("9", *form)))).chain([("e".to_owned(), None)]);
        let watermark = Watermark { column: "id".into(), values: values.collect(), left_out: vec!["x".into()] };
        assert_eq!(Watermark::of(&watermark.to_value()), watermark);
        let earlier = Watermark { values: [("t".to_owned(), Some(last("9", None)))].into(), ..watermark };
        assert_eq!(earlier.to_value(), json!({"column": "id", "values": {"t": "9"}, "left_out": ["x"]}));
    }

    #[test]
    fn rows_without_a_value_are_within_the_prefix() {
        let of = |name: &str, wire| Column { name: name.into(), type_text: String::new(), nullable: true, generated: false, wire };
        let (text, number) = (of("i\"d", Wire::Postgres(PgType::Text)), of("id", Wire::Mysql(MysqlType::Text)));
        assert_eq!(
            up_to("postgres", &text, Some(&last("ä", Some(Form::Text)))),
            "\"i\"\"d\" IS NULL OR convert_to(\"i\"\"d\"::text, CASE getdatabaseencoding() WHEN 'SQL_ASCII' THEN 'SQL_ASCII' ELSE 'UTF8' END) \
             <= convert_to('ä', CASE getdatabaseencoding() WHEN 'SQL_ASCII' THEN 'SQL_ASCII' ELSE 'UTF8' END)"
        );
        let in_all = "\"i\"\"d\" IS NULL OR \"i\"\"d\"::text COLLATE \"C\" <= '9'";
        assert_eq!(up_to("postgres", &text, Some(&last("9", Some(Form::Text)))), in_all);
        let stored = "\"i\"\"d\" IS NULL OR convert_to(\"i\"\"d\"::text, 'WIN1252') <= convert_to('ä', 'WIN1252')";
        assert_eq!(up_to("postgres", &text, Some(&last("ä", Some(Form::of_texts_in("WIN1252"))))), stored);
        assert_eq!(up_to("mariadb", &number, Some(&last("9", None))), "`id` IS NULL OR `id` <= 9");
        let bytes = "`id` IS NULL OR CAST(CONVERT(`id` USING utf8mb4) AS BINARY) <= '9'";
        assert_eq!(up_to("mysql", &number, Some(&last("9", Some(Form::Text)))), bytes);
        assert_eq!(up_to("mysql", &number, None), "`id` IS NULL");
        let any = of("id", Wire::Sqlite);
        let classed = "\"id\" IS NULL OR typeof(\"id\") IN ('integer', 'real') AND \"id\" COLLATE BINARY <= 9";
        assert_eq!(up_to("sqlite", &any, Some(&last("9", Some(Form::Number)))), classed);
        assert_eq!(up_to("sqlite", &any, Some(&last("9", None))), "\"id\" IS NULL OR \"id\" <= 9");
    }
}
