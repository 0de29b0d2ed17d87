//! What stands in braces in a check's statement, filled in for an engine: the table or reference that the statement is repeated for, and
//! `{exact:COLUMN}`, a column's text byte for byte, whatever its collation takes for equal.

use crate::verify::sql::checks::subjects::{Column, Counter, ForeignKey};

/// `sql` with every `{exact:COLUMN}` written for `engine`; `COLUMN` may have its table's name before it.
pub fn exact(sql: &str, engine: &str) -> Result<String, String> {
    const OPENING: &str = "{exact:";
    let (mut out, mut rest) = (String::new(), sql);
    while let Some(at) = rest.find(OPENING) {
        out.push_str(&rest[..at]);
        let inside = &rest[at + OPENING.len()..];
        let end = inside.find('}').ok_or("`{exact:` without its `}`")?;
        let column = &inside[..end];
        let legal = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_');
        if column.split('.').count() > 2 || !column.split('.').all(legal) {
            return Err(format!("`{{exact:{}}}`: expected the name of a column", column.escape_default()));
        }
        out.push_str(&match engine {
            "postgres" => format!("(({column})::text COLLATE \"C\")"),
            // Literals are UTF-8, and so is what they are compared with; bytes that are no text stay what they are.
            "mysql" | "mariadb" => {
                format!("CAST(IF(CHARSET({column}) = 'binary', {column}, CONVERT({column} USING utf8mb4)) AS BINARY)")
            }
            _ => format!("(({column}) COLLATE BINARY)"),
        });
        rest = &inside[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// `sql` with every `{NAME}` of `values` filled in, in one pass: what is put in comes out of the database, and is not looked into again.
pub fn filled(sql: &str, values: &[(&str, &str)]) -> String {
    let (mut out, mut rest) = (String::with_capacity(sql.len()), sql);
    while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let inside = |name: &str| rest[1..].strip_prefix(name).and_then(|rest| rest.strip_prefix('}'));
        let known = values.iter().find_map(|(name, value)| Some((*value, inside(name)?)));
        let (value, after) = known.unwrap_or(("{", &rest[1..]));
        out.push_str(value);
        rest = after;
    }
    out.push_str(rest);
    out
}

/// For a reference: `{child}`, `{parent}`, `{on}`, `{child_not_null}` (that the row refers to one), `{parent_null}`, `{name}`.
pub fn for_key(sql: &str, key: &ForeignKey) -> String {
    let each = |part: &dyn Fn(&(String, String)) -> String, between: &str| key.columns.iter().map(part).collect::<Vec<_>>().join(between);
    let not_null = |(child, _): &(String, String)| format!("c.{child} IS NOT NULL");
    // `MATCH FULL`: all of the columns are NULL, or none is.
    let refers = if key.is_full { format!("({})", each(&not_null, " OR ")) } else { each(&not_null, " AND ") };
    let values = [
        ("child", &*key.child),
        ("parent", &key.parent),
        ("on", &each(&|(child, parent)| format!("c.{child} = p.{parent}"), " AND ")),
        ("child_not_null", &refers),
        ("parent_null", &each(&|(_, parent)| format!("p.{parent} IS NULL"), " AND ")),
        ("name", &literal(&key.name)),
    ];
    filled(sql, &values)
}

/// For a sequence: `{counter}`, `{name}`.
pub fn for_sequence(sql: &str, name: &str, counter: &str) -> String {
    filled(sql, &[("counter", counter), ("name", &literal(name))])
}

/// For a counter: `{counter}`, `{table}`, `{column}`, `{name}`.
pub fn for_counter(sql: &str, counter: &Counter) -> String {
    let (of, name) = (&counter.column, literal(&counter.name));
    filled(sql, &[("table", &of.table), ("column", &of.column), ("counter", &counter.counter), ("name", &name)])
}

/// For a table: `{table}`, and `{only}` before it where a table's name stands for those that inherit from it too.
pub fn for_table(sql: &str, table: &str, engine: &str) -> String {
    filled(sql, &[("only", only(engine)), ("table", table)])
}

/// For a column of numbers: `{sum}`, exact, 0 where there is nothing to add up; the rest as for a table and for a column. SQLite may keep anything
/// in a column: what is no whole number there is passed over.
pub fn for_sum(sql: &str, column: &Column, engine: &str) -> String {
    let name = &column.column;
    let sum = if engine == "sqlite" {
        decimal_sum(&format!("CASE typeof({name}) WHEN 'integer' THEN {name} END"))
    } else {
        format!("COALESCE(SUM({name}), 0)")
    };
    filled(sql, &[("sum", &sum), ("only", only(engine)), ("table", &column.table), ("column", name), ("name", &literal(&column.name))])
}

fn only(engine: &str) -> &'static str {
    if engine == "postgres" { "ONLY " } else { "" }
}

/// The sum of whole numbers as digits. SQLite adds up in 64 bits and ends with an error beyond them: billions and the rest are added apart,
/// and put together.
fn decimal_sum(numbers: &str) -> String {
    let part = |operator: &str| format!("COALESCE(SUM(({numbers}) {operator} 1000000000), 0)");
    let (billions, rest) = (part("/"), part("%"));
    let (high, low) = (format!("({billions} + {rest} / 1000000000)"), format!("({rest} % 1000000000)"));
    // Of one sign.
    let carried = format!("(({high} > 0) * ({low} < 0) - ({high} < 0) * ({low} > 0))");
    let (high, low) = (format!("({high} - {carried})"), format!("({low} + 1000000000 * {carried})"));
    format!("CASE WHEN {high} = 0 THEN CAST({low} AS TEXT) ELSE {high} || printf('%09d', abs({low})) END")
}

/// For a column: `{table}`, `{column}`, `{name}`.
pub fn for_column(sql: &str, column: &Column) -> String {
    filled(sql, &[("table", &column.table), ("column", &column.column), ("name", &literal(&column.name))])
}

/// For what a routine's body names: `{name}`, `{reference}`.
pub fn for_reference(sql: &str, routine: &str, reference: &str) -> String {
    filled(sql, &[("name", &literal(routine)), ("reference", &literal(reference))])
}

fn literal(text: &str) -> String {
    // MySQL takes a backslash for more than itself; no name that a check is repeated for needs one.
    format!("'{}'", text.replace('\\', "").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_is_written_for_each_engine() {
        let sql = "SELECT 1 FROM t WHERE {exact:t.kind} <> 'a' OR {exact:n} = ''";
        assert_eq!(
            exact(sql, "postgres").unwrap(),
            "SELECT 1 FROM t WHERE ((t.kind)::text COLLATE \"C\") <> 'a' OR ((n)::text COLLATE \"C\") = ''"
        );
        assert!(exact(sql, "sqlite").unwrap().contains("((t.kind) COLLATE BINARY) <> 'a'"));
        assert!(exact(sql, "mariadb").unwrap().contains("AS BINARY) <> 'a'"));
        assert_eq!(exact("SELECT 1", "mysql").unwrap(), "SELECT 1");
        for wrong in ["{exact:}", "{exact:a.b.c}", "{exact:a b}", "{exact:a", "{exact:a)--}"] {
            assert!(exact(wrong, "sqlite").unwrap_err().contains("exact"), "{wrong}");
        }
    }

    #[test]
    fn names_of_the_database_are_not_filled_in_once_more() {
        let key = ForeignKey {
            name: "\" c, evil()--'".into(),
            child: "\"t{name}\"".into(),
            parent: "\"{child}\"".into(),
            columns: vec![("\"a{on}\"".into(), "\"b\"".into()), ("\"c\"".into(), "\"d\"".into())],
            is_full: false,
        };
        let sql = "SELECT {name} FROM {child} c, {parent} p WHERE {child_not_null} AND {unknown} {";
        let expected = "SELECT '\" c, evil()--''' FROM \"t{name}\" c, \"{child}\" p \
                        WHERE c.\"a{on}\" IS NOT NULL AND c.\"c\" IS NOT NULL AND {unknown} {";
        assert_eq!(for_key(sql, &key), expected);
        let full = ForeignKey { is_full: true, ..key };
        assert_eq!(for_key("{child_not_null}", &full), "(c.\"a{on}\" IS NOT NULL OR c.\"c\" IS NOT NULL)");
        let column = Column { name: "t.{table}".into(), table: "\"{column}\"".into(), column: "\"{sum}\"".into() };
        assert_eq!(for_sum("{only}{table}.{column} {name}", &column, "postgres"), "ONLY \"{column}\".\"{sum}\" 't.{table}'");
    }

    /// As SQLite adds up.
    fn added_up(numbers: &[i64]) -> String {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (n)").unwrap();
        for number in numbers {
            connection.execute("INSERT INTO t VALUES (?1)", [number]).unwrap();
        }
        connection.query_row(&format!("SELECT {} FROM t", decimal_sum("n")), [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn sums_beyond_64_bits_are_exact() {
        assert_eq!(added_up(&[]), "0");
        assert_eq!(added_up(&[i64::MAX, i64::MAX]), "18446744073709551614");
        assert_eq!(added_up(&[i64::MIN, i64::MIN, 1]), "-18446744073709551615");
        assert_eq!(added_up(&[1_000_000_000, -1]), "999999999");
        assert_eq!(added_up(&[-2_000_000_000, 1]), "-1999999999");
    }

    proptest::proptest! {
        #[test]
        fn sums_are_those_of_wider_numbers(numbers in proptest::collection::vec(proptest::prelude::any::<i64>(), 0..12), small in -3i64..3) {
            let numbers: Vec<i64> = numbers.into_iter().chain([small, small * 1_000_000_000]).collect();
            let sum: i128 = numbers.iter().map(|number| i128::from(*number)).sum();
            proptest::prop_assert_eq!(added_up(&numbers), sum.to_string());
        }

        #[test]
        fn any_text_is_filled_or_refused(sql in ".{0,60}(\\{exact:[a-z.}]{0,5})?.{0,20}") {
            let _ = exact(&sql, "mysql");
        }
    }
}
