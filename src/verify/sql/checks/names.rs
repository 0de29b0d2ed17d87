//! Other names: a configuration says what the tables and columns of a check are called in its database, and the statement is given
//! common table expressions under the names that it knows. The check's own text, and so its digest, stay what they are.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::failure::Failure;
use crate::verify::sql::checks::header::{Check, nearest};
use crate::verify::sql::checks::pack::Pack;
use crate::verify::sql::checks::statement;

/// What the database calls a table of the check.
pub fn table<'n>(names: &'n BTreeMap<String, String>, table: &'n str) -> &'n str {
    names.get(table).map_or(table, String::as_str)
}

/// The tables and columns that the checks of `packs` know, as a configuration names them: `TABLE` and `TABLE.COLUMN`.
pub fn of_packs(packs: &[Pack]) -> BTreeSet<String> {
    let columns = packs.iter().flat_map(|pack| &pack.checks).flat_map(|check| &check.columns);
    columns.flat_map(|(table, column)| [table.clone(), format!("{table}.{column}")]).collect()
}

/// Refuses a name that no check of `packs` has: it would change nothing, and nobody would know.
pub fn known(names: &BTreeMap<String, String>, packs: &[Pack]) -> Result<(), Failure> {
    let known = of_packs(packs);
    let Some(unknown) = names.keys().find(|name| !known.contains(*name)) else { return Ok(()) };
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    if known.is_empty() {
        return Err(Failure::invalid(format!("`{}`: the checks of the packs name no table", unknown.escape_default()))
            .hint("a name is one of the tables and columns of a pack: name the pack (`--pack`, or `checks` of the resource's class)"));
    }
    let near = Some(nearest(unknown, &known)).filter(|said| said.contains("did you mean")).unwrap_or_default();
    Err(Failure::invalid(format!("no check of the packs names `{}`{near}", unknown.escape_default()))
        .hint(format!("what may have another name: {}", known.join(", "))))
}

/// The tables that stand under another name in this check, or with another column, by the names that the check has for them.
fn renamed<'c>(check: &'c Check, names: &BTreeMap<String, String>) -> BTreeSet<&'c str> {
    let is_named = |(table, column): &&(String, String)| names.contains_key(table) || names.contains_key(&format!("{table}.{column}"));
    check.columns.iter().filter(is_named).map(|(table, _)| table.as_str()).collect()
}

/// What the database calls those tables.
pub fn called(check: &Check, names: &BTreeMap<String, String>) -> BTreeSet<String> {
    renamed(check, names).into_iter().map(|logical| table(names, logical).to_owned()).collect()
}

/// A statement of `check`, with every table of its columns that has another name, or a column of one, standing under its own.
///
/// `quoted` quotes a name, maybe with its schema, for the engine; `whole` has the tables of the database with their schemas, quoted: a name
/// without one may be that of another table's expression, or of its own.
pub fn mapped(
    (check, sql): (&Check, &str),
    names: &BTreeMap<String, String>,
    whole: &BTreeMap<String, String>,
    quoted: &dyn Fn(&str) -> Option<String>,
) -> Result<String, String> {
    let mut expressions = Vec::new();
    let quote = |name: &str| quoted(name).ok_or_else(|| format!("`{}` is no name of a table or a column", name.escape_default()));
    for logical in renamed(check, names) {
        let columns = check.columns.iter().filter(|(table, _)| table == logical).map(|(_, column)| column.as_str());
        let other = |column: &str| names.get(&format!("{logical}.{column}"));
        let physical = table(names, logical);
        let from = whole.get(physical).cloned().map_or_else(|| quote(physical), Ok)?;
        let list = columns.map(|column| Ok(format!("{} AS {}", quote(other(column).map_or(column, String::as_str))?, quote(column)?)));
        let list = list.collect::<Result<Vec<_>, String>>()?.join(", ");
        expressions.push(format!("{} AS (SELECT {list} FROM {from})", quote(logical)?));
    }
    if expressions.is_empty() {
        return Ok(sql.to_owned());
    }
    let (statement, expressions) = (without_comments(sql), expressions.join(", "));
    let own = after("WITH", statement);
    Ok(match own.map(|own| (own, after("RECURSIVE", own))) {
        Some((_, Some(rest))) => format!("WITH RECURSIVE {expressions}, {rest}"),
        Some((rest, None)) => format!("WITH {expressions}, {rest}"),
        None => format!("WITH {expressions}\n{statement}"),
    })
}

/// The statement from its first word on.
fn without_comments(sql: &str) -> &str {
    let mut rest = sql.trim_start();
    while let Ok(Some(after)) = statement::comment(rest) {
        rest = after.trim_start();
    }
    rest
}

/// What follows a word at the beginning, from its own first word on.
fn after<'s>(word: &str, sql: &'s str) -> Option<&'s str> {
    let (begins, rest) = sql.split_at_checked(word.len())?;
    let goes_on = rest.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$');
    (begins.eq_ignore_ascii_case(word) && !goes_on).then(|| without_comments(rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::sql::checks::header;

    fn check(sql: &str) -> Check {
        let text = format!(
            "--! id = \"x\"\n--! engines = [\"sqlite\"]\n--! kind = \"violations\"\n--! severity = \"minor\"\n--! columns = [\"a.id\", \"a.n\", \"b.id\"]\n{sql}"
        );
        header::parse("x.sql", &text).unwrap()
    }

    fn quoted(name: &str) -> Option<String> {
        (!name.contains('!')).then(|| name.split('.').map(|part| format!("\"{part}\"")).collect::<Vec<_>>().join("."))
    }

    fn map(sql: &str, names: &[(&str, &str)], schema: Option<&str>) -> Result<String, String> {
        let names = names.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
        let qualified = |name: String| Some((quoted(&format!("{}.{name}", schema?))?, name));
        let whole = called(&check(sql), &names).into_iter().filter_map(|name| qualified(name).map(|(whole, name)| (name, whole))).collect();
        mapped((&check(sql), sql), &names, &whole, &quoted).map(|sql| sql.trim_end().to_owned())
    }

    #[test]
    fn a_name_of_no_check_is_refused_with_those_that_are_known() {
        let packs = [Pack { name: "own".into(), about: String::new(), checks: vec![check("SELECT 1")] }];
        let asked = |name: &str| known(&BTreeMap::from([(name.to_owned(), "x".to_owned())]), &packs);
        assert!(asked("a").is_ok() && asked("b.id").is_ok() && known(&BTreeMap::new(), &[]).is_ok());
        let error = asked("nonsense").unwrap_err();
        assert!(error.message.contains("`nonsense`") && error.hint.as_ref().unwrap().contains("a, a.id, a.n, b, b.id"), "{error}");
        assert!(asked("a.m").unwrap_err().message.contains("did you mean `a.n`"));
        assert!(known(&BTreeMap::from([("a".to_owned(), "x".to_owned())]), &[]).unwrap_err().message.contains("no table"));
    }

    #[test]
    fn tables_and_columns_stand_under_the_names_that_the_check_knows() {
        let sql = "-- why\nSELECT a.id FROM a JOIN b ON b.id = a.n";
        assert_eq!(map(sql, &[("c", "d")], None).unwrap().trim(), sql);
        let plain = &sql[7..];
        assert_eq!(
            map(sql, &[("a", "s.acct"), ("a.n", "bal")], None).unwrap(),
            format!("WITH \"a\" AS (SELECT \"id\" AS \"id\", \"bal\" AS \"n\" FROM \"s\".\"acct\")\n{plain}")
        );
        let main = map(sql, &[("b.id", "no")], Some("main")).unwrap();
        assert_eq!(main, format!("WITH \"b\" AS (SELECT \"no\" AS \"id\" FROM \"main\".\"b\")\n{plain}"));
        let swapped = map(sql, &[("a", "b"), ("b", "a")], Some("s")).unwrap();
        assert!(swapped.contains("FROM \"s\".\"b\"), \"b\" AS (SELECT \"id\" AS \"id\" FROM \"s\".\"a\")"), "{swapped}");
        let with = map("WITH x AS (SELECT 1) SELECT * FROM x", &[("b", "c")], None).unwrap();
        assert_eq!(with, "WITH \"b\" AS (SELECT \"id\" AS \"id\" FROM \"c\"), x AS (SELECT 1) SELECT * FROM x");
        for (own, begins) in [
            ("/* c */ WITH x AS", "WITH \"b\" AS (SELECT \"id\" AS \"id\" FROM \"c\"), x AS"),
            ("with/* c */recursive -- d\nx AS", "WITH RECURSIVE \"b\" AS (SELECT \"id\" AS \"id\" FROM \"c\"), x AS"),
            ("WITH recursive_x AS", "WITH \"b\" AS (SELECT \"id\" AS \"id\" FROM \"c\"), recursive_x AS"),
            ("WITH\"x\" AS", "WITH \"b\" AS (SELECT \"id\" AS \"id\" FROM \"c\"), \"x\" AS"),
        ] {
            let mapped = map(&format!("{own} (SELECT 1) SELECT 1"), &[("b", "c")], None).unwrap();
            assert!(mapped.starts_with(begins), "{own}: {mapped}");
        }
        assert!(map("WITH RECURSIVE x AS (SELECT 1) SELECT * FROM x", &[("b", "c")], None).unwrap().starts_with("WITH RECURSIVE \"b\" AS"));
        assert!(map(sql, &[("a", "x!; DROP TABLE y")], None).unwrap_err().contains("no name"));
    }
}
