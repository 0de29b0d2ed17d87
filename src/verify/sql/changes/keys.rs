//! The key of a row as a log of changes has it, in JSON, into the canonical fields that a reading of the row gives: so that a log and a database
//! name one row by one hash.
//!
//! A value that could be meant in two ways is refused, with what would have made it plain: a key that is guessed names another row.
//!
//! Not here: the log's lines (`events`), and what hashes are compared with (`touched`).

use serde_json::{Map, Value};

use crate::verify::sql::rows::canon::Row;
use crate::verify::sql::rows::digester::Digester;
use crate::verify::sql::rows::logical_text;
use crate::verify::sql::rows::mysql_decode::{self, MysqlType};
use crate::verify::sql::rows::postgres_decode::PgType;
use crate::verify::sql::rows::table::{Column, Table, Wire};
use crate::verify::sql::rows::tag;

/// What a key's value is, whichever engine.
enum Form<'a> {
    Whole {
        unsigned: bool,
    },
    Decimal,
    Text,
    Label(u8),
    Uuid,
    Bool,
    Date,
    Time(u8),
    /// Until when a row was valid.
    RowEnd,
    /// An address without a prefix.
    Address,
    /// As its JSON says.
    Class,
    /// No form in JSON that is one and the same everywhere.
    Other(&'a str),
}

/// The first bytes of the key hash (or place) of the row of `image`; `digester` digests rows of `table`'s key alone.
///
/// # Errors
/// The column, what was expected, and no value.
pub fn key_head(table: &Table, digester: &mut Digester, image: &Map<String, Value>) -> Result<[u8; 8], String> {
    let mut row = digester.row();
    row.begin(table.key.len());
    for index in &table.key {
        let column = &table.columns[*index];
        let value = image.get(&column.name).filter(|value| !value.is_null());
        let value = value.ok_or_else(|| format!("no value of the key's column `{}`", column.name.escape_default()))?;
        put(column, value, &mut row).map_err(|said| format!("column `{}` ({}): {said}", column.name.escape_default(), column.type_text))?;
    }
    Ok(digester.key_head(&row))
}

fn form(column: &Column) -> Form<'_> {
    match &column.wire {
        Wire::Postgres(kind) => match kind {
            PgType::Int2 | PgType::Int4 | PgType::Int8 => Form::Whole { unsigned: false },
            PgType::Oid => Form::Whole { unsigned: true },
            PgType::Numeric => Form::Decimal,
            PgType::Text => Form::Text,
            PgType::Enum => Form::Label(tag::ENUM),
            PgType::Uuid => Form::Uuid,
            PgType::Bool => Form::Bool,
            PgType::Date => Form::Date,
            PgType::Timestamp => Form::Time(tag::DATETIME),
            PgType::TimestampTz => Form::Time(tag::INSTANT),
            _ => Form::Other("a type whose values have no one form in JSON"),
        },
        Wire::Mysql(kind) => match kind {
            MysqlType::Signed => Form::Whole { unsigned: false },
            MysqlType::Unsigned | MysqlType::Year => Form::Whole { unsigned: true },
            MysqlType::Decimal => Form::Decimal,
            MysqlType::Text => Form::Text,
            MysqlType::Enum => Form::Label(tag::ENUM),
            MysqlType::Set => Form::Label(tag::SET),
            MysqlType::Date => Form::Date,
            MysqlType::Datetime => Form::Time(tag::DATETIME),
            MysqlType::Timestamp => Form::Time(tag::INSTANT),
            MysqlType::RowEnd => Form::RowEnd,
            MysqlType::Uuid => Form::Uuid,
            MysqlType::Address => Form::Address,
            _ => Form::Other("a type whose values have no one form in JSON"),
        },
        Wire::Sqlite => Form::Class,
    }
}

fn put(column: &Column, value: &Value, row: &mut Row) -> Result<(), String> {
    let wrong = |expected: &str| Err(format!("expected {expected}"));
    match (form(column), value) {
        (Form::Whole { unsigned }, value) => {
            // A BIGINT that JSON could round is written as a text.
            let text = value.as_str().map(str::to_owned).unwrap_or_else(|| value.to_string());
            match (text.parse::<i64>(), text.parse::<u64>()) {
                (Ok(number), _) if !unsigned => row.signed(number),
                (_, Ok(number)) if unsigned => row.unsigned(number),
                _ => return wrong("a whole number"),
            }
        }
        (Form::Decimal, value) => return decimal(column, value, row),
        (Form::Text, Value::String(text)) => row.text(text.as_bytes()),
        (Form::Label(tag), Value::String(text)) => row.labelled(tag, text.as_bytes()),
        (Form::Uuid, Value::String(text)) => {
            let digits: String = text.chars().filter(|char| *char != '-').collect();
            let bytes = hex::decode(digits).ok().and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
            row.uuid(&bytes.ok_or("expected a UUID")?);
        }
        (Form::Bool, Value::Bool(value)) => row.boolean(*value),
        (Form::Date, Value::String(text)) => logical_text::date(text, row).ok_or("expected a date such as 2026-01-31")?,
        // Connect's and Debezium's dates: days since 1970-01-01.
        (Form::Date, Value::Number(days)) => row.date(days.as_i64().ok_or("expected days since 1970-01-01")?),
        (Form::Time(of), Value::String(text)) => {
            let text = if of == tag::DATETIME { text.trim_end_matches('Z') } else { text };
            logical_text::datetime(text, of, row).ok_or("expected a time such as 2026-01-31T12:30:00.5")?;
        }
        (Form::RowEnd, Value::String(text)) => {
            let mut at = Row::empty();
            at.begin(1);
            logical_text::datetime(text, tag::INSTANT, &mut at).ok_or("expected a time such as 2026-01-31T12:30:00.5")?;
            match at.field(0) {
                [tag::INSTANT, micros @ ..] if micros.len() == 8 => {
                    mysql_decode::valid_until(i64::from_be_bytes(micros.try_into().expect("8 bytes")), row);
                }
                other => row.as_is(other),
            }
        }
        (Form::Address, Value::String(text)) => {
            let address = Some(text).filter(|text| !text.contains('/')).and_then(|text| logical_text::inet(text));
            row.labelled(tag::NETWORK, &address.ok_or("expected an address such as 10.0.0.1 or ::1")?);
        }
        (Form::Time(_) | Form::RowEnd, _) => return wrong("a time as text: a number may count milli-, micro- or nanoseconds"),
        (Form::Class, Value::String(text)) => row.text(text.as_bytes()),
        (Form::Class, Value::Number(number)) => match number.as_i64() {
            Some(number) => row.signed(number),
            None => return wrong("a whole number or a text"),
        },
        (Form::Other(why), _) => return Err(why.to_owned()),
        (Form::Text | Form::Label(_) | Form::Uuid | Form::Address, _) => return wrong("a text"),
        (Form::Bool, _) => return wrong("true or false"),
        (Form::Date, _) => return wrong("a date"),
        (Form::Class, _) => return wrong("a whole number or a text"),
    }
    Ok(())
}

/// With the column's scale, which a number of JSON may have lost.
fn decimal(column: &Column, value: &Value, row: &mut Row) -> Result<(), String> {
    const EXPECTED: &str = "expected a decimal as text (Debezium: decimal.handling.mode=string)";
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if declared_scale(&column.type_text).is_some() => number.to_string(),
        _ => return Err(EXPECTED.into()),
    };
    let (negative, exponent, mut digits) = logical_text::number(&text).ok_or(EXPECTED)?;
    let own = -exponent;
    let scale = declared_scale(&column.type_text).map_or(own.max(0), i64::from);
    match scale - own {
        // No column has more digits than this behind its point.
        missing @ 0..=16_383 => digits.extend(std::iter::repeat_n(b'0', missing as usize)),
        surplus @ -16_383..0 if digits.iter().rev().take(surplus.unsigned_abs() as usize).all(|digit| *digit == b'0') => {
            digits.truncate(digits.len().saturating_sub(surplus.unsigned_abs() as usize));
        }
        _ => return Err("expected no more digits behind the point than the column has".into()),
    }
    row.decimal(negative, i32::try_from(scale).map_err(|_| EXPECTED)?, &digits);
    Ok(())
}

/// 2 of `numeric(10,2)`; 0 of `numeric(10)`; nothing of `numeric`, whose values have each their own.
fn declared_scale(type_text: &str) -> Option<u16> {
    let (_, rest) = type_text.split_once('(')?;
    let (inside, _) = rest.split_once(')')?;
    match inside.split_once(',') {
        Some((_, scale)) => scale.trim().parse().ok(),
        None => Some(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::hash_key::HashKey;
    use crate::verify::sql::rows::digester::Meaning;
    use crate::verify::sql::rows::row_keys::RowKeys;
    use proptest::prelude::*;
    use serde_json::json;

    fn column(wire: Wire, type_text: &str) -> Column {
        Column { name: "k".into(), type_text: type_text.into(), nullable: false, generated: false, wire }
    }

    /// The field of a value, as a log has it.
    fn field(wire: Wire, type_text: &str, value: &Value) -> Result<Vec<u8>, String> {
        let mut row = Row::empty();
        row.begin(1);
        put(&column(wire, type_text), value, &mut row)?;
        assert_eq!(row.len(), 1);
        Ok(row.field(0).to_vec())
    }

    /// The field of a value, as a server sends it.
    fn read(kind: &PgType, bytes: &[u8]) -> Vec<u8> {
        let mut row = Row::empty();
        row.begin(1);
        crate::verify::sql::rows::postgres_decode::field(kind, Some(bytes), &mut row).unwrap();
        row.field(0).to_vec()
    }

    #[test]
    fn a_log_and_a_server_give_one_field() {
        let pg = |kind: PgType, text: &str, value: Value| field(Wire::Postgres(kind), text, &value).unwrap();
        assert_eq!(pg(PgType::Int8, "bigint", json!(-5)), read(&PgType::Int8, &(-5i64).to_be_bytes()));
        assert_eq!(pg(PgType::Int8, "bigint", json!("9223372036854775807")), read(&PgType::Int8, &i64::MAX.to_be_bytes()));
        assert_eq!(pg(PgType::Text, "text", json!("é ")), read(&PgType::Text, "é ".as_bytes()));
        assert_eq!(pg(PgType::Bool, "boolean", json!(true)), read(&PgType::Bool, &[1]));
        assert_eq!(pg(PgType::Uuid, "uuid", json!("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")).len(), 17);
        assert_eq!(pg(PgType::Date, "date", json!(1)), pg(PgType::Date, "date", json!("1970-01-02")));
        assert_eq!(pg(PgType::Date, "date", json!(10_957)), read(&PgType::Date, &0i32.to_be_bytes()));
        let time = pg(PgType::TimestampTz, "timestamp with time zone", json!("2000-01-01T01:00:00+01:00"));
        assert_eq!(time, read(&PgType::TimestampTz, &0i64.to_be_bytes()));
        // 12.50 of numeric(10,2), whether or not JSON kept its zero.
        let of_server = read(&PgType::Numeric, &[0, 2, 0, 0, 0, 0, 0, 2, 0, 12, 0x13, 0x88]);
        for value in [json!("12.50"), json!("12.5"), json!(12.5), json!("12.500")] {
            assert_eq!(pg(PgType::Numeric, "numeric(10,2)", value), of_server);
        }
        assert_eq!(pg(PgType::Numeric, "numeric", json!("12.50")), of_server);
        let mariadb = |kind: MysqlType, text: &str, value: Value| field(Wire::Mysql(kind), text, &value).unwrap();
        let uuid = json!("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
        assert_eq!(mariadb(MysqlType::Uuid, "uuid", uuid.clone()), pg(PgType::Uuid, "uuid", uuid));
        assert_eq!(mariadb(MysqlType::Address, "inet4", json!("10.0.0.1"))[9..], [2, 32, 0, 4, 10, 0, 0, 1]);
        let end = |at: &str| mariadb(MysqlType::RowEnd, "timestamp(6)", json!(at));
        assert_eq!(end("2038-01-19T03:14:07.999999Z"), [tag::PLUS_INFINITY, tag::INSTANT]);
        assert_eq!(end("2038-01-19T03:14:07.999998Z")[0], tag::INSTANT);
        assert_eq!(field(Wire::Sqlite, "", &json!(5)).unwrap(), pg(PgType::Int4, "integer", json!(5)));
    }

    #[test]
    fn what_could_be_meant_in_two_ways_is_refused() {
        for (kind, text, value) in [
            (PgType::Int4, "integer", json!(1.5)),
            (PgType::Int4, "integer", json!("x")),
            (PgType::Numeric, "numeric", json!(12.5)),
            (PgType::Numeric, "numeric(10,2)", json!("CJM=")),
            (PgType::Numeric, "numeric(10,2)", json!("1.005")),
            (PgType::Timestamp, "timestamp", json!(1_700_000_000_000_i64)),
            (PgType::Bytes, "bytea", json!("AAE=")),
            (PgType::Text, "text", json!(5)),
            (PgType::Uuid, "uuid", json!("a0ee")),
        ] {
            assert!(field(Wire::Postgres(kind.clone()), text, &value).is_err(), "{kind:?} {value}");
        }
        assert!(field(Wire::Mysql(MysqlType::Unsigned), "int unsigned", &json!(-1)).is_err());
        assert!(field(Wire::Mysql(MysqlType::Address), "inet6", &json!("::1/64")).is_err());
        assert!(field(Wire::Sqlite, "", &json!(1.5)).is_err());
    }

    proptest! {
        #[test]
        fn any_value_is_taken_or_refused(text in ".{0,40}", number in any::<f64>(), kind in 0usize..10) {
            let kinds = [PgType::Int8, PgType::Numeric, PgType::Text, PgType::Uuid, PgType::Bool, PgType::Date, PgType::Timestamp, PgType::TimestampTz, PgType::Enum, PgType::Oid];
            for value in [json!(text), json!(number), json!(null), json!([text])] {
                for declared in ["numeric(10,2)", "numeric", "x("] {
                    let _ = field(Wire::Postgres(kinds[kind].clone()), declared, &value);
                }
            }
        }

        #[test]
        fn two_rows_have_one_hash_only_if_they_have_one_key(a in any::<(i32, String)>(), b in any::<(i32, String)>()) {
            let columns = vec![
                Column { name: "n".into(), ..column(Wire::Postgres(PgType::Int4), "integer") },
                Column { name: "t".into(), ..column(Wire::Postgres(PgType::Text), "text") },
                Column { name: "v".into(), ..column(Wire::Postgres(PgType::Text), "text") },
            ];
            let table = Table::new("t".into(), "t".into(), columns, &["n".into(), "t".into()]);
            let mut digester = Digester::new(&RowKeys::new(&HashKey::from_bytes([7; 32])), &table, &table.key, &Meaning::Exact);
            let mut head = |key: &(i32, String), rest: &str| {
                let image = json!({"n": key.0, "t": key.1, "v": rest});
                key_head(&table, &mut digester, image.as_object().unwrap()).unwrap()
            };
            prop_assert_eq!(head(&a, "x") == head(&b, "y"), a == b);
        }
    }
}
