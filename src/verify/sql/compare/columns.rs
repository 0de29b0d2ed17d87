//! Two definitions of one table: which columns both have, and what of its rows can be compared over them.
//!
//! Rows of tables that are defined otherwise are compared over the baseline's columns, where all of them are still there: a column that was
//! added changes no row that was. Where one is gone, no row can be equal, and rows are matched by their keys alone.
//!
//! Not here: how a definition is told (`table`), and how rows are compared (`tables`, `dual`).

use std::collections::BTreeSet;

use serde_json::Value;

use crate::model::counts::Counts;
use crate::model::finding::Class;
use crate::verify::sql::definitions::alike::of_today;
use crate::verify::sql::definitions::folded::folded;
use crate::verify::sql::rows::digester::Meaning;
use crate::verify::sql::rows::logical::LogicalType;
use crate::verify::sql::rows::mysql_decode::MysqlType;
use crate::verify::sql::rows::postgres_decode::PgType;
use crate::verify::sql::rows::table::{Column, Table, Wire};

/// The columns of `table` whose own type has nothing in common with what the manifest takes them for, or is the more particular of the two, each
/// with both: values that mean the same may differ there.
pub fn unlike_in_meaning(table: &Table, meaning: &Meaning) -> Vec<String> {
    let Meaning::Logical(kinds) = meaning else { return Vec::new() };
    let unlike = |(column, kind): (&Column, &LogicalType)| {
        let own = LogicalType::of(column);
        (kind.join(own) != Some(*kind)).then(|| format!("{} ({kind} there, {own} here)", column.name))
    };
    table.columns.iter().zip(kinds).filter_map(unlike).collect()
}

/// What of a table's rows can be compared with those of a baseline.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Common {
    /// The columns that both have, in the order of their names.
    pub columns: Vec<String>,
    /// Columns of the baseline without which no row is equal: gone, or of a type no value of which equals one of the baseline's.
    pub lost: Vec<String>,
    /// Columns of both whose types differ, and whose values may be equal all the same.
    pub retyped: Vec<String>,
    /// The baseline's key, where both have all of it; empty where rows name themselves.
    pub key: Vec<String>,
}

impl Common {
    /// Of `table` and of what a manifest's header says of the baseline.
    pub fn of_manifest(before: &Value, table: &Table) -> Self {
        let text = |column: &Value, name: &str| column[name].as_str().unwrap_or_default().to_owned();
        let columns = before["columns"].as_array().into_iter().flatten();
        let columns: Vec<(String, String)> = columns.map(|column| (text(column, "name"), text(column, "type"))).collect();
        let names = before["key"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let find = |name: &str| table.columns.iter().find(|column| column.name == name);
        let pairs = columns.iter().map(|(name, kind)| (name.as_str(), find(name).map(|now| (now.type_text == *kind, true))));
        Self::new(pairs, names)
    }

    /// Of two tables at hand; `exact` where rows are compared as they are stored, and not by what they mean.
    pub fn of_tables(before: &Table, now: &Table, exact: bool) -> Self {
        let names = before.key.iter().map(|at| before.columns[*at].name.as_str());
        let find = |name: &str| now.columns.iter().find(|column| column.name == name);
        let alike = |one: &Column, other: &Column| (one.type_text == other.type_text, !exact || may_be_equal(&one.wire, &other.wire));
        let pairs = before.columns.iter().map(|column| (column.name.as_str(), find(&column.name).map(|now| alike(column, now))));
        Self::new(pairs, names)
    }

    /// Of the baseline's columns, each with whether the other's has the same type, and whether their values may be equal.
    fn new<'a>(baseline: impl Iterator<Item = (&'a str, Option<(bool, bool)>)>, key: impl Iterator<Item = &'a str>) -> Self {
        let (mut columns, mut lost, mut retyped) = (Vec::new(), Vec::new(), Vec::new());
        for (name, alike) in baseline {
            let to = if matches!(alike, Some((_, true))) { &mut columns } else { &mut lost };
            to.push(name.to_owned());
            retyped.extend(matches!(alike, Some((false, true))).then(|| name.to_owned()));
        }
        columns.sort();
        let key: Vec<String> = key.map(str::to_owned).collect();
        let key = if key.iter().all(|name| columns.contains(name)) { key } else { Vec::new() };
        Self { columns, lost, retyped, key }
    }

    /// `table` with these columns alone, its rows named by this key. What the engine has it in order by stays as it is.
    pub fn part_of(&self, table: &Table) -> Table {
        let leading = table.leading.map(|at| table.columns[at].name.clone());
        let place = |columns: &[Column], name: &str| columns.iter().position(|column| column.name == name);
        let mut part = table.clone();
        part.columns.retain(|column| self.columns.contains(&column.name));
        part.key = self.key.iter().filter_map(|name| place(&part.columns, name)).collect();
        part.key.sort_unstable();
        part.leading = leading.and_then(|name| place(&part.columns, &name));
        part
    }
}

/// Whether a manifest of an earlier version describes `table`: constraints as the server printed them, and a reference to a partitioned
/// table once more for each of its partitions.
pub fn is_as_earlier(before: &Value, table: &Table) -> bool {
    let now = table.describe();
    if ["columns", "key", "left_out"].iter().any(|part| before[part] != now[part]) {
        return false;
    }
    let old: BTreeSet<String> = before["constraints"].as_array().into_iter().flatten().filter_map(Value::as_str).map(folded).collect();
    let is_known = |line: &String| table.constraints.contains(line);
    let is_of_server = |line: &&String| {
        let Some((name, rest)) = line.split_once(": FOREIGN KEY ") else { return false };
        let columns = rest.split_once(" REFERENCES ").map(|(columns, _)| columns);
        table.constraints.iter().any(|kept| {
            let Some((own, own_rest)) = kept.split_once(": FOREIGN KEY ") else { return false };
            let number = name.strip_prefix(own).is_some_and(|more| !more.is_empty() && more.bytes().all(|byte| byte.is_ascii_digit()));
            number && own_rest.split_once(" REFERENCES ").map(|(columns, _)| columns) == columns
        })
    };
    table.constraints.iter().all(|line| old.contains(line)) && old.iter().all(|line| is_known(line) || is_of_server(&line))
}

/// Whether two descriptions of a table of MySQL or MariaDB differ in nothing but what collations were called once.
pub fn is_renamed(before: &Value, now: &Value) -> bool {
    const COLLATION: &str = " COLLATE ";
    let with_names_of_today = |described: &Value| {
        let mut described = described.clone();
        for column in described.get_mut("columns").and_then(Value::as_array_mut).into_iter().flatten() {
            // No label of an enum stands behind it.
            let split = column["type"].as_str().and_then(|text| text.rsplit_once(COLLATION));
            let renamed = split.map(|(kind, collation)| format!("{kind}{COLLATION}{}", of_today(collation)));
            if let Some(renamed) = renamed {
                column["type"] = Value::String(renamed);
            }
        }
        described
    };
    with_names_of_today(before) == with_names_of_today(now)
}

/// The counts where no row is equal and nothing says which row was which: each of as many is another.
pub fn none_equal(expected: u64, read: u64) -> Counts {
    let (both, more) = (expected.min(read), expected.max(read) - expected.min(read));
    let mut counts = Counts::default();
    counts.add_many(Class::Mismatch, both);
    counts.add_many(if expected > read { Class::Missing } else { Class::Extra }, more);
    counts
}

/// `counts` of rows that were compared over some of their columns, where none of them can be equal as a whole.
pub fn not_as_a_whole(counts: &Counts) -> Counts {
    let mut whole = Counts { matched: 0, ..*counts };
    whole.add_many(Class::Mismatch, counts.matched);
    whole
}

/// Whether a value of the one type can have the canonical field of one of the other.
fn may_be_equal(one: &Wire, other: &Wire) -> bool {
    match (one, other) {
        (Wire::Postgres(one), Wire::Postgres(other)) => one == other || (is_whole(one) && is_whole(other)),
        (Wire::Mysql(one), Wire::Mysql(other)) => one == other || mysql_form(one) == mysql_form(other),
        (Wire::Sqlite, Wire::Sqlite) => true,
        _ => false,
    }
}

fn is_whole(kind: &PgType) -> bool {
    matches!(kind, PgType::Int2 | PgType::Int4 | PgType::Int8 | PgType::Oid)
}

/// Types with one form of field are of one name here.
fn mysql_form(kind: &MysqlType) -> MysqlType {
    match kind {
        MysqlType::Unsigned | MysqlType::Year | MysqlType::SetNumber => MysqlType::Signed,
        MysqlType::EnumMarked => MysqlType::Enum,
        MysqlType::RowEnd => MysqlType::Timestamp,
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn table(columns: &[(&str, PgType)], key: &[&str]) -> Table {
        let column = |(name, kind): &(&str, PgType)| Column {
            name: (*name).into(),
            type_text: format!("{kind:?}"),
            nullable: false,
            generated: false,
            wire: Wire::Postgres(kind.clone()),
        };
        let key: Vec<String> = key.iter().map(|name| (*name).to_owned()).collect();
        Table::new("t".into(), "t".into(), columns.iter().map(column).collect(), &key)
    }

    #[test]
    fn what_was_added_is_left_aside_and_what_is_gone_is_named() {
        let before = table(&[("a", PgType::Int4), ("b", PgType::Text), ("k", PgType::Int4)], &["k"]);
        let more = table(&[("a", PgType::Int8), ("aa", PgType::Text), ("b", PgType::Text), ("k", PgType::Int4)], &["aa"]);
        for common in [Common::of_tables(&before, &more, true), Common::of_manifest(&before.describe(), &more)] {
            assert_eq!((common.columns.join(""), common.lost.len(), common.retyped.join("")), ("abk".into(), 0, "a".into()));
            let part = common.part_of(&more);
            assert_eq!((part.key, part.leading, part.columns.len()), (vec![2], None, 3), "the baseline's key");
        }
        let fewer = table(&[("b", PgType::Bytes), ("k", PgType::Int4)], &["k"]);
        let common = Common::of_tables(&before, &fewer, true);
        assert_eq!((common.columns.join(""), common.lost.join(""), common.key.join("")), ("k".into(), "ab".into(), "k".into()));
        assert_eq!((common.part_of(&fewer).key, common.part_of(&fewer).leading), (vec![0], Some(0)));
        assert_eq!(Common::of_tables(&before, &fewer, false).lost, ["a"], "by what they mean, types are one");
        assert_eq!(Common::of_tables(&before, &table(&[("a", PgType::Int4)], &[]), true).key, Vec::<String>::new());
        let described = json!({"columns": [{"name": "k", "type": "Int4"}], "key": ["k"], "constraints": []});
        assert_eq!(Common::of_manifest(&described, &fewer).part_of(&fewer).columns.len(), 1);
    }

    #[test]
    fn constraints_in_earlier_words_are_the_same() {
        let mut now = table(&[("a", PgType::Int4)], &["a"]);
        now.constraints = vec!["c: CHECK ((a = ANY (ARRAY[(1)::t])))".into(), "t_fk: FOREIGN KEY (a) REFERENCES p(a)".into()];
        let mut before = now.describe();
        assert!(is_as_earlier(&before, &now));
        let lines =
            ["c: CHECK ((a = ANY ((ARRAY[1])::t[])))", "t_fk: FOREIGN KEY (a) REFERENCES p(a)", "t_fk1: FOREIGN KEY (a) REFERENCES p_a(a)"];
        before["constraints"] = json!(lines);
        assert!(is_as_earlier(&before, &now));
        before["constraints"] = json!(lines[..2]);
        assert!(is_as_earlier(&before, &now));
        for other in [&lines[1..], &lines[..1], &[lines[0], lines[1], "t_other: FOREIGN KEY (a) REFERENCES q(a)"]] {
            before["constraints"] = json!(other);
            assert!(!is_as_earlier(&before, &now), "{other:?}");
        }
        before = now.describe();
        before["key"] = json!([]);
        assert!(!is_as_earlier(&before, &now));
    }

    #[test]
    fn a_collation_by_another_name_is_the_same() {
        let of = |kind: &str| json!({"columns": [{"name": "a", "type": kind}], "key": []});
        let is = |before: &str, now: &str| is_renamed(&of(before), &of(now));
        assert!(is("varchar(9) COLLATE utf8_bin", "varchar(9) COLLATE utf8mb3_bin"));
        assert!(is("enum('x COLLATE utf8_bin') COLLATE utf8_bin", "enum('x COLLATE utf8_bin') COLLATE utf8mb3_bin"));
        for (before, now) in [
            ("varchar(9) COLLATE utf8_bin", "varchar(9) COLLATE utf8mb4_bin"),
            ("varchar(9) COLLATE utf8_bin", "varchar(8) COLLATE utf8mb3_bin"),
            ("varchar(9) COLLATE utf8_bin", "varchar(9)"),
            ("enum('x COLLATE utf8_bin') COLLATE utf8_bin", "enum('x COLLATE utf8mb3_bin') COLLATE utf8_bin"),
        ] {
            assert!(!is(before, now), "{before} {now}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_called_equal_and_the_counts_add_up(expected in 0u64..50, read in 0u64..50, matched in 0u64..20) {
            let counts = none_equal(expected, read);
            prop_assert!(counts.adds_up() && counts.matched == 0 && counts.expected == expected);
            prop_assert_eq!(counts.mismatch + counts.extra, read);
            let mut some = none_equal(expected, read);
            some.add_many(Class::Match, matched);
            let whole = not_as_a_whole(&some);
            prop_assert!(whole.adds_up() && whole.matched == 0 && whole.expected == some.expected && whole.checked == some.checked);
        }
    }
}
