//! Primary keys in eight bytes that sort as the keys do, for leaves that are ranges of keys: whole numbers, days, instants, and several of
//! them where they fit together. Nothing but the values decides, not an engine's collation, and the key can be read back from its code.
//!
//! Keys of text or bytes, and keys that need more than eight bytes, have no such order: their tables have buckets.

use serde_json::{Value, json};

use crate::verify::key_ranges::Code;
use crate::verify::sql::rows::canon::Row;
use crate::verify::sql::rows::display;
use crate::verify::sql::rows::logical::LogicalType;
use crate::verify::sql::rows::mysql_decode::MysqlType;
use crate::verify::sql::rows::postgres_decode::PgType;
use crate::verify::sql::rows::table::{Column, Table, Wire};
use crate::verify::sql::rows::tag;

/// What a part's values are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Integer,
    Boolean,
    Date,
    Datetime,
    Instant,
}

const KINDS: &[(Kind, &str, u8)] = &[
    (Kind::Integer, "integer", tag::INTEGER),
    (Kind::Boolean, "boolean", tag::BOOLEAN),
    (Kind::Date, "date", tag::DATE),
    (Kind::Datetime, "datetime", tag::DATETIME),
    (Kind::Instant, "instant", tag::INSTANT),
];

/// One column of the key.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Part {
    column: String,
    kind: Kind,
    bits: u32,
    signed: bool,
}

impl Part {
    fn of(column: &Column) -> Option<Self> {
        let (kind, bits, signed) = match &column.wire {
            Wire::Postgres(kind) => match kind {
                PgType::Bool => (Kind::Boolean, 1, false),
                PgType::Int2 => (Kind::Integer, 16, true),
                PgType::Int4 => (Kind::Integer, 32, true),
                PgType::Int8 => (Kind::Integer, 64, true),
                PgType::Oid => (Kind::Integer, 32, false),
                PgType::Date => (Kind::Date, 32, true),
                PgType::Timestamp => (Kind::Datetime, 64, true),
                PgType::TimestampTz => (Kind::Instant, 64, true),
                _ => return None,
            },
            Wire::Mysql(kind) => match kind {
                MysqlType::Signed => (Kind::Integer, mysql_bits(&column.type_text), true),
                MysqlType::Unsigned => (Kind::Integer, mysql_bits(&column.type_text), false),
                MysqlType::Date => (Kind::Date, 32, true),
                MysqlType::Datetime => (Kind::Datetime, 64, true),
                MysqlType::Timestamp | MysqlType::RowEnd => (Kind::Instant, 64, true),
                _ => return None,
            },
            // The rules of affinity: `INT` in the declared type makes whole numbers.
            Wire::Sqlite if column.type_text.to_ascii_uppercase().contains("INT") => (Kind::Integer, 64, true),
            Wire::Sqlite => return None,
        };
        Some(Self { column: column.name.clone(), kind, bits, signed })
    }

    /// The smallest value that has a place.
    fn least(&self) -> i128 {
        if self.signed { -(1 << (self.bits - 1)) } else { 0 }
    }

    /// The place of a field among `bits` bits. What has none, such as NULL in a key of SQLite, stands before everything else.
    fn place(&self, field: &[u8]) -> u64 {
        let most = (1i128 << self.bits) - 1;
        let place = value(field).map_or(0, |value| value.saturating_sub(self.least()).clamp(0, most));
        place as u64
    }

    /// The value at a place, for people. The ends of what days and instants have are infinite.
    fn show(&self, place: u64) -> String {
        if matches!(self.kind, Kind::Date | Kind::Datetime | Kind::Instant) && self.signed && (place == 0 || place == mask(self.bits)) {
            return format!("{}={}", self.column, if place == 0 { "-infinity" } else { "infinity" });
        }
        let value = i128::from(place) + self.least();
        let tag = KINDS.iter().find(|(kind, _, _)| *kind == self.kind).map_or(tag::NULL, |(_, _, tag)| *tag);
        let field = match self.kind {
            Kind::Integer => [&[tag, u8::from(value < 0)][..], &(value.unsigned_abs() as u64).to_be_bytes()].concat(),
            Kind::Boolean => vec![tag, value as u8],
            _ => [&[tag][..], &(value as i64).to_be_bytes()].concat(),
        };
        format!("{}={}", self.column, display::field(&field))
    }
}

fn mysql_bits(type_text: &str) -> u32 {
    let text = type_text.to_ascii_lowercase();
    match text.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default() {
        "tinyint" => 8,
        "smallint" => 16,
        "mediumint" => 24,
        "int" | "integer" => 32,
        _ => 64,
    }
}

/// The number that a canonical field is.
fn value(field: &[u8]) -> Option<i128> {
    let (kind, payload) = field.split_first()?;
    match *kind {
        tag::INTEGER => {
            let (sign, magnitude) = payload.split_first()?;
            let magnitude = i128::from(u64::from_be_bytes(magnitude.try_into().ok()?));
            Some(if *sign == 1 { -magnitude } else { magnitude })
        }
        tag::BOOLEAN => payload.first().map(|one| i128::from(*one)),
        tag::DATE | tag::DATETIME | tag::INSTANT => Some(i128::from(i64::from_be_bytes(payload.try_into().ok()?))),
        tag::PLUS_INFINITY => Some(i128::MAX),
        tag::MINUS_INFINITY => Some(i128::MIN),
        _ => None,
    }
}

/// The order of a table's keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyOrder {
    parts: Vec<Part>,
}

impl KeyOrder {
    /// Of `table`; nothing where its key does not fit. The column that the key begins with comes first.
    pub fn of(table: &Table) -> Option<Self> {
        let first = table.leading.filter(|leading| table.key.contains(leading));
        let others = table.key.iter().copied().filter(|index| Some(*index) != first);
        let parts: Vec<Part> = first.into_iter().chain(others).map(|index| Part::of(&table.columns[index])).collect::<Option<_>>()?;
        let bits: u32 = parts.iter().map(|part| part.bits).sum();
        (!parts.is_empty() && bits <= 64).then_some(Self { parts })
    }

    /// Whether logical fields of these types are what its codes are made of.
    pub fn is_kept_by(&self, kind_of: impl Fn(&str) -> Option<LogicalType>) -> bool {
        self.parts.iter().all(|part| {
            let wanted = match part.kind {
                Kind::Integer => LogicalType::Integer,
                Kind::Boolean => LogicalType::Boolean,
                Kind::Date => LogicalType::Date,
                Kind::Datetime => LogicalType::Datetime,
                Kind::Instant => LogicalType::Instant,
            };
            kind_of(&part.column) == Some(wanted)
        })
    }

    /// As a manifest states it.
    pub fn state(&self) -> Value {
        let one = |part: &Part| {
            let kind = KINDS.iter().find(|(kind, _, _)| *kind == part.kind).map_or("", |(_, name, _)| *name);
            json!({"column": part.column, "type": kind, "bits": part.bits, "signed": part.signed})
        };
        self.parts.iter().map(one).collect()
    }

    /// As a manifest stated it.
    pub fn stated(value: &Value) -> Option<Self> {
        let one = |value: &Value| {
            let kind = KINDS.iter().find(|(_, name, _)| Some(*name) == value["type"].as_str())?.0;
            let bits = value["bits"].as_u64().and_then(|bits| u32::try_from(bits).ok()).filter(|bits| (1..=64).contains(bits))?;
            Some(Part { column: value["column"].as_str()?.to_owned(), kind, bits, signed: value["signed"].as_bool()? })
        };
        let parts: Vec<Part> = value.as_array()?.iter().map(one).collect::<Option<_>>()?;
        let fits = !parts.is_empty() && parts.iter().map(|part| part.bits).sum::<u32>() <= 64;
        fits.then_some(Self { parts })
    }

    /// For rows that hold these columns; a column that is not among them has no value.
    pub fn coder(&self, columns: &[&str]) -> Coder {
        let place = |part: &Part| columns.iter().position(|column| *column == part.column);
        Coder { parts: self.parts.iter().map(|part| (place(part), part.clone())).collect() }
    }

    /// The key that a code is of: `COLUMN=VALUE …`.
    pub fn name(&self, code: Code) -> String {
        let mut shift = 0;
        let mut names: Vec<String> = Vec::new();
        let code = u64::from_be_bytes(code);
        for part in self.parts.iter().rev() {
            names.push(part.show(code >> shift & mask(part.bits)));
            shift += part.bits;
        }
        names.reverse();
        names.join(" ")
    }
}

fn mask(bits: u32) -> u64 {
    if bits >= 64 { u64::MAX } else { (1 << bits) - 1 }
}

/// Makes codes of rows.
#[derive(Clone, Debug)]
pub struct Coder {
    /// Where each part is in a row.
    parts: Vec<(Option<usize>, Part)>,
}

impl Coder {
    /// The code of a row's key.
    pub fn code(&self, row: &Row) -> Code {
        let mut code = 0u64;
        for (at, part) in &self.parts {
            let place = at.map_or(0, |at| part.place(row.field(at)));
            code = code.checked_shl(part.bits).unwrap_or(0) | place;
        }
        code.to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::signing::hash_key::HashKey;
    use crate::verify::sql::rows::row_keys::RowKeys;

    fn table(columns: &[(&str, &str, Wire)], key: &[&str]) -> Table {
        let column = |(name, kind, wire): &(&str, &str, Wire)| Column {
            name: (*name).into(),
            type_text: (*kind).into(),
            nullable: false,
            generated: false,
            wire: wire.clone(),
        };
        let key: Vec<String> = key.iter().map(|name| (*name).to_owned()).collect();
        Table::new("t".into(), "t".into(), columns.iter().map(column).collect(), &key)
    }

    fn row() -> Row {
        Row::new(&RowKeys::new(&HashKey::from_bytes([1; 32])))
    }

    #[test]
    fn keys_that_fit_have_an_order_and_others_have_none() {
        let int4 = || Wire::Postgres(PgType::Int4);
        let two = table(&[("day", "date", Wire::Postgres(PgType::Date)), ("account", "integer", int4())], &["day", "account"]);
        let order = KeyOrder::of(&two).unwrap();
        let mut row = row();
        row.begin(2);
        row.signed(7);
        row.micros(tag::DATE, 20_000);
        let code = order.coder(&["account", "day"]).code(&row);
        assert_eq!(order.name(code), "day=2024-10-04 account=7", "the column that the key begins with comes first");
        assert_eq!(KeyOrder::stated(&order.state()), Some(order));
        let uuid = table(&[("id", "uuid", Wire::Postgres(PgType::Uuid))], &["id"]);
        let wide = table(&[("a", "bigint", Wire::Postgres(PgType::Int8)), ("b", "boolean", Wire::Postgres(PgType::Bool))], &["a", "b"]);
        let text = table(&[("id", "TEXT", Wire::Sqlite)], &["id"]);
        let none = table(&[("id", "INTEGER", Wire::Sqlite)], &[]);
        for table in [uuid, wide, text, none] {
            assert_eq!(KeyOrder::of(&table), None, "{table:?}");
        }
        for damaged in [json!([]), json!(null), json!([{"column": "a", "type": "integer", "bits": 65, "signed": true}]), json!([1])] {
            assert_eq!(KeyOrder::stated(&damaged), None);
        }
    }

    #[test]
    fn what_has_no_place_stands_first_and_infinities_at_their_ends() {
        let sqlite = KeyOrder::of(&table(&[("id", "INT", Wire::Sqlite)], &["id"])).unwrap().coder(&["id"]);
        let instant = KeyOrder::of(&table(&[("at", "timestamptz", Wire::Postgres(PgType::TimestampTz))], &["at"])).unwrap().coder(&["at"]);
        let code = |coder: &Coder, put: &dyn Fn(&mut Row)| {
            let mut row = row();
            row.begin(1);
            put(&mut row);
            u64::from_be_bytes(coder.code(&row))
        };
        assert_eq!((code(&sqlite, &|row| row.null()), code(&sqlite, &|row| row.text(b"x"))), (0, 0));
        assert_eq!(code(&sqlite, &|row| row.signed(i64::MIN)), 0);
        assert_eq!(code(&sqlite, &|row| row.signed(i64::MAX)), u64::MAX);
        assert_eq!(code(&instant, &|row| row.as_is(&[tag::PLUS_INFINITY, tag::INSTANT])), u64::MAX);
        assert_eq!(code(&instant, &|row| row.as_is(&[tag::MINUS_INFINITY, tag::INSTANT])), 0);
    }

    proptest! {
        #[test]
        fn codes_sort_as_keys_do_and_tell_them(a in any::<(i32, i32)>(), b in any::<(i32, i32)>(), x in any::<u64>(), y in any::<u64>()) {
            let int4 = || Wire::Postgres(PgType::Int4);
            let order = KeyOrder::of(&table(&[("p", "integer", int4()), ("q", "integer", int4())], &["p", "q"])).unwrap();
            let coder = order.coder(&["p", "q"]);
            let mut row = row();
            let mut code = |(p, q): (i32, i32)| {
                row.begin(2);
                row.signed(p.into());
                row.signed(q.into());
                coder.code(&row)
            };
            prop_assert_eq!(code(a).cmp(&code(b)), a.cmp(&b));
            prop_assert_eq!(order.name(code(a)), format!("p={} q={}", a.0, a.1));
            let wide = KeyOrder::of(&table(&[("id", "bigint(20) unsigned", Wire::Mysql(MysqlType::Unsigned))], &["id"])).unwrap();
            let mut code = |value: u64| {
                row.begin(1);
                row.unsigned(value);
                wide.coder(&["id"]).code(&row)
            };
            prop_assert_eq!(code(x).cmp(&code(y)), x.cmp(&y));
            prop_assert_eq!(wide.name(code(x)), format!("id={x}"));
        }
    }
}
