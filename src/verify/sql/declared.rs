//! What an operator declares at capture (the end of a prefix, closed partitions, change stamps, logical types) held against the database:
//! what it does not have or cannot mean is a mistake of usage, found before anything is read.
//!
//! Not here: what is kept of it in a manifest (`scope`).

use std::collections::{BTreeMap, BTreeSet};

use crate::model::failure::{Failure, FailureKind};
use crate::verify::sql::database::Database;
use crate::verify::sql::last_value::{Form, Last, as_text};
use crate::verify::sql::naming::stamp_of;
use crate::verify::sql::rows::logical::LogicalType;
use crate::verify::sql::rows::logical_text;
use crate::verify::sql::rows::mysql_decode::MysqlType;
use crate::verify::sql::rows::postgres_decode::PgType;
use crate::verify::sql::rows::table::{Column, Table, Wire, backticked, double_quoted};
use crate::verify::sql::rows::tag;

const GROWS: &str = "a watermark is a column that only grows: a number, a time";
/// Names that a message lists at most.
const LISTED: usize = 20;
/// Values of a text column that are looked at for whether they are times.
const LOOKED_AT: usize = 100;

/// The last value that counts as it was written. One that the column cannot hold is refused: servers compare it in ways of their own, as 0 or as
/// more than every number.
pub async fn watermark_value(db: &mut Database, table: &Table, column: &Column, value: &str) -> Result<Last, Failure> {
    let last = |text: &str, form| Last { text: text.to_owned(), form };
    let refused = |why: String| {
        let shown = value.escape_default();
        let said = format!("--watermark {}={shown}: column {} of table {} is {}", column.name, column.name, table.name, column.type_text);
        Failure::invalid(format!("{said}{why}")).hint("name the last value that counts as the column has it, or only the column")
    };
    match &column.wire {
        Wire::Postgres(_) => {
            let bytes = value.strip_prefix("0x").filter(|_| Form::of(column) == Some(Form::Bytes));
            let literal = bytes.map_or_else(|| value.replace('\'', "''"), |digits| format!("\\x{}", digits.replace('\'', "''")));
            let question = format!("SELECT 1 FROM ONLY {} WHERE {} <= '{literal}' LIMIT 0", table.sql_name, double_quoted(&column.name));
            match db.ask(&question).await {
                // Nothing was read: it is the wording that the server refuses.
                Err(failure) if failure.kind == FailureKind::Remote => Err(refused(format!(": {}", failure.message))),
                Err(failure) => Err(failure),
                // As the column has it, so that a word such as `now` is what it is today.
                Ok(_) => {
                    let as_it_is = as_text(column, &format!("COALESCE(t.{}, '{literal}')", double_quoted(&column.name)));
                    let rows =
                        db.ask(&format!("SELECT {as_it_is} FROM (SELECT 1) one LEFT JOIN ONLY {} t ON false", table.sql_name)).await?;
                    let text = rows.into_iter().flatten().next().unwrap_or_else(|| value.to_owned());
                    Ok(Last::new(text, db.form_of(column)))
                }
            }
        }
        Wire::Mysql(MysqlType::Bytes) => {
            let digits = value.strip_prefix("0x").filter(|digits| hex::decode(digits).is_ok_and(|bytes| !bytes.is_empty()));
            Ok(digits.map_or_else(|| last(value, Some(Form::Own)), |digits| last(digits, Some(Form::Bytes))))
        }
        Wire::Mysql(kind) => match expected_by(kind, value) {
            Some(expected) => Err(refused(format!(", expected {expected}"))),
            None => Ok(last(value, Form::of(column))),
        },
        Wire::Sqlite => {
            let classes = classes_in_sqlite(db, table, column).await?;
            let holds: BTreeSet<&str> = classes.iter().map(String::as_str).collect();
            let is_number = logical_text::number(value).is_some();
            if let Some(digits) = value.strip_prefix("0x").filter(|digits| hex::decode(digits).is_ok_and(|bytes| !bytes.is_empty()))
                && holds.iter().eq(["blob"].iter())
            {
                return Ok(last(digits, Some(Form::Bytes)));
            }
            let by_text = column.type_text.to_ascii_uppercase();
            // Such a column turns a number into text before it compares.
            let as_text = ["CHAR", "CLOB", "TEXT"].iter().any(|part| by_text.contains(part)) && !by_text.contains("INT");
            let form = if is_number && !as_text { Form::Number } else { Form::Text };
            // Values of another class are all before or all after these: of a prefix, nobody could say which of them are.
            if holds.iter().all(|class| form.classes().contains(class)) {
                return Ok(last(value, Some(form)));
            }
            let holds: Vec<&str> = holds.into_iter().collect();
            let as_bytes = if holds == ["blob"] { ", whose last one is written as 0x and its digits" } else { "" };
            Err(refused(format!(", and holds values of class {}{as_bytes}", holds.join(", "))))
        }
    }
}

/// Whether texts are ordered by their bytes in UTF-8: a file of SQLite may hold them in UTF-16.
pub async fn orders_utf8(db: &mut Database) -> Result<bool, Failure> {
    if db.engine().name != "sqlite" {
        return Ok(true);
    }
    Ok(db.ask("PRAGMA encoding").await?.first().and_then(|row| row.first()).is_some_and(|encoding| encoding == "UTF-8"))
}

/// Whether a database of PostgreSQL in another encoding has its texts' bytes in that of `form`: one in UTF-8, from which all encodings but the
/// internal one of Emacs can be made.
pub async fn converts(db: &mut Database, form: Form) -> Result<bool, Failure> {
    if db.engine().name != "postgres" || form == Form::of_texts_in("MULE_INTERNAL") {
        return Ok(false);
    }
    Ok(db
        .ask("SELECT pg_catalog.getdatabaseencoding()::text")
        .await?
        .first()
        .and_then(|row| row.first())
        .is_some_and(|name| name == "UTF8"))
}

/// By what the values of a column of SQLite are ordered, where all are of one class.
pub async fn form_in_sqlite(db: &mut Database, table: &Table, column: &Column) -> Result<Option<Form>, Failure> {
    let classes = classes_in_sqlite(db, table, column).await?;
    let is_all = |of: &[&str]| classes.iter().all(|class| of.contains(&class.as_str()));
    let forms = [(Form::Number, &["integer", "real"][..]), (Form::Text, &["text"]), (Form::Bytes, &["blob"])];
    Ok(forms.into_iter().find(|(_, of)| is_all(of)).map(|(form, _)| form))
}

/// The storage classes of a column's values.
pub async fn classes_in_sqlite(db: &mut Database, table: &Table, column: &Column) -> Result<BTreeSet<String>, Failure> {
    let name = double_quoted(&column.name);
    let classes = db.ask(&format!("SELECT DISTINCT typeof({name}) FROM {} WHERE {name} IS NOT NULL", table.sql_name)).await?;
    Ok(classes.into_iter().filter_map(|row| row.into_iter().next()).collect())
}

/// Refuses a column of which there is no greatest value.
pub async fn has_order(db: &mut Database, table: &Table, column: &Column) -> Result<(), Failure> {
    if let Wire::Mysql(MysqlType::Json | MysqlType::Geometry | MysqlType::Vector) = column.wire {
        let said = format!("--watermark {}: column {} of table {} is {}", column.name, column.name, table.name, column.type_text);
        return Err(Failure::invalid(format!("{said}, of which there is no greatest value")).hint(GROWS));
    }
    if column.wire == Wire::Sqlite {
        let said = format!("--watermark {}: column {} of table {}", column.name, column.name, table.name);
        let form = form_in_sqlite(db, table, column).await?;
        if form.is_none() {
            return Err(
                Failure::invalid(format!("{said} holds values of several classes, which SQLite orders one after the other")).hint(GROWS)
            );
        }
    }
    if !matches!(column.wire, Wire::Postgres(_)) {
        return Ok(());
    }
    let question = format!("SELECT max({})::text FROM ONLY {} WHERE false", double_quoted(&column.name), table.sql_name);
    match db.ask(&question).await {
        Err(failure) if failure.kind == FailureKind::Remote => {
            let said = format!("--watermark {}: column {} of table {} is {}", column.name, column.name, table.name, column.type_text);
            Err(Failure::invalid(format!("{said}, of which there is no greatest value: {}", failure.message)).hint(GROWS))
        }
        answered => answered.map(drop),
    }
}

/// Refuses a last value that everything is before: rows that come later would be part of the prefix.
pub fn has_end(table: &Table, column: &Column, last: Option<&str>) -> Result<(), Failure> {
    let is_text = matches!(column.wire, Wire::Postgres(PgType::Text)) || matches!(column.wire, Wire::Mysql(_));
    let endless = |last: &&str| ["infinity", "inf", "nan"].contains(&last.trim_start_matches(['-', '+']).to_ascii_lowercase().as_str());
    let Some(last) = last.filter(|last| !is_text && endless(last)) else { return Ok(()) };
    let said = format!("--watermark {}: the greatest value in table {} is {last}, and everything is before that", column.name, table.name);
    Err(Failure::invalid(said)
        .hint("name the last value that counts, `--watermark COLUMN=VALUE`, or a column that only grows: a number, a time"))
}

/// What a column of MySQL or MariaDB wants, where `value` is not that.
fn expected_by(kind: &MysqlType, value: &str) -> Option<&'static str> {
    let is_time = |of| logical_text::datetime(value, of, &mut crate::verify::sql::rows::canon::Row::empty()).is_some();
    let digits = value.strip_prefix('-').unwrap_or(value);
    let whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    match kind {
        MysqlType::Signed | MysqlType::Unsigned | MysqlType::Year | MysqlType::Bit(_) => (!whole).then_some("a whole number"),
        MysqlType::Decimal | MysqlType::Float | MysqlType::Double => logical_text::number(value).is_none().then_some("a number"),
        MysqlType::Date | MysqlType::Datetime | MysqlType::Timestamp | MysqlType::RowEnd => {
            (!is_time(tag::DATETIME)).then_some("a time such as 2026-01-31 or 2026-01-31 12:30:00")
        }
        MysqlType::Time => logical_text::time(value).is_none().then_some("a time of day such as 12:30:00"),
        MysqlType::Json | MysqlType::Geometry | MysqlType::Vector => Some("a column that only grows: a number, a time"),
        _ => None,
    }
}

/// The tables and partitions that are declared closed: whole tables, which PostgreSQL's partitions are, by their names; partitions of MySQL
/// and MariaDB by that of their table and their own. A partition of PostgreSQL may be named with the table that it belongs to.
pub async fn closed(db: &mut Database, wanted: &[String], tables: &[Table]) -> Result<BTreeMap<String, Vec<String>>, Failure> {
    let engine = db.engine().name;
    let known = |name: &str| tables.iter().any(|table| table.name == name);
    let with_parent = if engine == "postgres" { db.partitions(None).await? } else { Vec::new() };
    let mut closed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut whole: BTreeSet<String> = BTreeSet::new();
    for name in wanted {
        let spelled = |at: &&(String, String)| format!("{}.{}", at.0, at.1) == *name || (at.0.as_str(), last(&at.1)) == split(name);
        if known(name) {
            whole.insert(name.clone());
            closed.entry(name.clone()).or_default();
        } else if let Some((_, partition)) = with_parent.iter().find(spelled) {
            whole.insert(partition.clone());
            closed.entry(partition.clone()).or_default();
        } else if let (table, partition) = split(name)
            && matches!(engine, "mysql" | "mariadb")
            && known(table)
        {
            let there: Vec<String> = db.partitions(Some(table)).await?.into_iter().map(|(_, partition)| partition).collect();
            if !there.iter().any(|known| known.to_lowercase() == partition.to_lowercase()) {
                let hint = if there.is_empty() { "it has no partitions".to_owned() } else { format!("it has {}", listed(&there)) };
                let said = format!("--closed {}: table {table} has no partition `{}`", name.escape_debug(), partition.escape_debug());
                return Err(Failure::invalid(said).hint(hint));
            }
            closed.entry(table.to_owned()).or_default().push(partition.to_owned());
        } else {
            let names: Vec<String> = tables.iter().map(|table| table.name.clone()).collect();
            let more = match engine {
                "sqlite" => "",
                "postgres" => "; a partition by its own name or as TABLE.PARTITION",
                _ => "; a partition as TABLE.PARTITION",
            };
            return Err(Failure::invalid(format!("--closed {}: there is no such table or partition", name.escape_debug()))
                .hint(format!("expected one of {}{more}", listed(&names))));
        }
    }
    // A table that is named whole is closed whole, whatever else is said of it.
    for name in whole {
        closed.insert(name, Vec::new());
    }
    Ok(closed)
}

/// `TABLE` and `PARTITION` of the two with a dot between them; a name without one is no table's partition.
fn split(name: &str) -> (&str, &str) {
    name.rsplit_once('.').unwrap_or(("", name))
}

/// A partition's own name, without its schema.
fn last(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(_, own)| own)
}

/// The tables whose column of that name is no change stamp, each with the reason.
///
/// # Errors
/// Where no table has a column of that name that could be one.
pub async fn stamps(db: &mut Database, tables: &[Table], stamp: &str) -> Result<Vec<String>, Failure> {
    let (mut usable, mut unusable) = (0, Vec::new());
    for table in tables {
        let Some(column) = table.columns.iter().find(|column| column.name == stamp) else { continue };
        let why = match &column.wire {
            Wire::Postgres(PgType::Date | PgType::Timestamp | PgType::TimestampTz) => None,
            Wire::Mysql(MysqlType::Date | MysqlType::Datetime | MysqlType::Timestamp | MysqlType::RowEnd) => None,
            Wire::Postgres(PgType::Text) | Wire::Mysql(MysqlType::Text) | Wire::Sqlite if holds_times(db, table, column).await? => None,
            _ if column.type_text.is_empty() => Some("which holds no times".to_owned()),
            _ => Some(format!("which is {} and holds no times", column.type_text)),
        };
        match why {
            None => usable += 1,
            Some(why) => unusable.push(format!("column {stamp} of table {}, {why}", table.name)),
        }
    }
    let hint = "--stamp names the column with the time of a row's last change: a date, a timestamp, or text such as 2026-01-31 12:30:00";
    match (usable, unusable.first()) {
        (0, None) => Err(Failure::invalid(format!("--stamp {stamp}: no table has such a column")).hint(hint)),
        (0, Some(first)) => Err(Failure::invalid(format!("--stamp {stamp}: {first}")).hint(hint)),
        _ => Ok(unusable),
    }
}

/// Whether the first values of a column without a type of its own for times are times; a column without values may be given some.
async fn holds_times(db: &mut Database, table: &Table, column: &Column) -> Result<bool, Failure> {
    let (name, only, text) = match &column.wire {
        Wire::Mysql(_) => (backticked(&column.name), "", "CHAR"),
        Wire::Postgres(_) => (double_quoted(&column.name), "ONLY ", "TEXT"),
        Wire::Sqlite => (double_quoted(&column.name), "", "TEXT"),
    };
    let class = if column.wire == Wire::Sqlite { format!("typeof({name})") } else { "'text'".to_owned() };
    let question =
        format!("SELECT CAST({name} AS {text}), {class} FROM {only}{} WHERE {name} IS NOT NULL LIMIT {LOOKED_AT}", table.sql_name);
    let is_time = |row: &Vec<String>| {
        let [text, class] = &row[..] else { return false };
        let field = [&[tag::TEXT][..], &(text.len() as u64).to_be_bytes(), text.as_bytes()].concat();
        class == "text" && stamp_of(&field).is_some()
    };
    Ok(db.ask(&question).await?.iter().all(is_time))
}

/// Refuses logical types that are declared for columns that no table has.
pub fn types<'a>(declared: &BTreeMap<String, LogicalType>, tables: impl Iterator<Item = &'a Table> + Clone) -> Result<(), Failure> {
    let names = |table: &'a Table| table.columns.iter().map(move |column| format!("{}.{}", table.name, column.name));
    let known: BTreeSet<String> = tables.clone().flat_map(names).collect();
    let Some(unknown) = declared.keys().find(|name| !known.contains(*name)) else { return Ok(()) };
    let own = tables.clone().find(|table| unknown.strip_prefix(table.name.as_str()).is_some_and(|rest| rest.starts_with('.')));
    let hint = match own {
        Some(table) => {
            let own: Vec<String> = table.columns.iter().map(|column| column.name.clone()).collect();
            format!("table {} has the columns {}", table.name.escape_debug(), listed(&own))
        }
        None => format!("expected TABLE.COLUMN of one of {}", listed(&tables.map(|table| table.name.clone()).collect::<Vec<_>>())),
    };
    Err(Failure::invalid(format!("--type {}: there is no such column", unknown.escape_debug())).hint(hint))
}

/// Names in one line.
fn listed(names: &[String]) -> String {
    let mut shown: Vec<String> = names.iter().take(LISTED).map(|name| name.escape_debug().to_string()).collect();
    if names.is_empty() {
        return "nothing: the database has no tables".to_owned();
    }
    if names.len() > LISTED {
        shown.push(format!("{} more", names.len() - LISTED));
    }
    shown.join(", ")
}

/// Parses `TABLE.COLUMN=TYPE`.
pub fn declaration(text: &str) -> Result<(String, LogicalType), Failure> {
    let wrong = |said: String| Failure::new(FailureKind::Invalid, format!("logical type `{text}`: {said}"));
    let (column, kind) = text.rsplit_once('=').ok_or_else(|| wrong("expected TABLE.COLUMN=TYPE".into()))?;
    if !column.contains('.') {
        return Err(wrong("expected TABLE.COLUMN before the `=`".into()));
    }
    Ok((column.to_owned(), kind.parse().map_err(wrong)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_a_column_of_mysql_cannot_hold_are_named() {
        for (kind, good, bad) in [
            (MysqlType::Signed, "-12", "abc"),
            (MysqlType::Unsigned, "0", "1.5"),
            (MysqlType::Year, "2026", ""),
            (MysqlType::Decimal, "-1.50", "1,5"),
            (MysqlType::Datetime, "2026-01-31 12:30:00", "soon"),
            (MysqlType::Date, "2026-01-31", "31.1.2026"),
            (MysqlType::Time, "12:30:00", "noon"),
        ] {
            assert_eq!(expected_by(&kind, good), None, "{kind:?}");
            assert!(expected_by(&kind, bad).is_some(), "{kind:?}");
        }
        assert_eq!((expected_by(&MysqlType::Text, "any"), expected_by(&MysqlType::Json, "1").is_some()), (None, true));
    }

    #[test]
    fn names_fit_one_line() {
        assert_eq!(listed(&["a\nb".into(), "c".into()]), "a\\nb, c");
        let many: Vec<String> = (0..25).map(|n| n.to_string()).collect();
        assert!(listed(&many).ends_with("19, 5 more"));
    }
}
