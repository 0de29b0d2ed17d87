//! What a statement answered: its rows as text, for people and for numbers, and values exactly, for what has to come back as it was.
//!
//! Two values may show the same text: bytes and their digits, a number and its text, a FLOAT and its neighbour.

use sqlx::mysql::MySqlRow;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Column as _, Decode, MySql, Row as _, Sqlite, Type, TypeInfo as _, ValueRef as _};

use crate::model::threshold::Decimal;

/// What a statement returned.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Answer {
    /// The columns' names.
    pub columns: Vec<String>,
    /// The first rows as text.
    pub rows: Vec<Vec<Option<String>>>,
    /// The first row as it is.
    pub exact: Vec<Option<Exact>>,
    /// All rows.
    pub total: u64,
}

impl Answer {
    /// Sets the first row.
    pub fn first(&mut self, row: impl FnOnce() -> Vec<Option<Exact>>) {
        if self.total == 1 {
            self.exact = row();
        }
    }

    /// Whether the first row has a number of which not all digits are shown.
    pub fn is_rounded(&self) -> bool {
        self.exact.iter().flatten().any(|value| value.class == Class::Rounded)
    }

    /// Takes such numbers from `whole`, the same row as a prepared statement sends it.
    pub fn complete(&mut self, whole: &MySqlRow) {
        let Some(first) = self.rows.first_mut() else { return };
        for (index, (exact, text)) in self.exact.iter_mut().zip(first).enumerate() {
            let is_rounded = exact.as_ref().is_some_and(|value| value.class == Class::Rounded);
            if let Some(single) = whole.try_get::<f32, _>(index).ok().filter(|_| is_rounded) {
                let all = single.to_string();
                *exact = Some(Exact::single(all.as_bytes()));
                // A small one has more digits than are compared as a number, and six of them say as much.
                if Decimal::parse(&all).is_some() {
                    *text = Some(all);
                }
            }
        }
    }

    /// Counts a row, and adds it where fewer than `keep` are held.
    pub fn add(&mut self, keep: usize, row: impl FnOnce(&mut Self) -> Vec<Option<String>>) {
        self.total += 1;
        if self.rows.len() < keep {
            let row = row(self);
            self.rows.push(row);
        }
    }
}

/// What a value is, whatever it is shown as. The names are part of what is digested, and of no engine's own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// In UTF-8, be it of no characters.
    Text,
    /// As they are.
    Bytes,
    /// Whole or decimal, in digits.
    Number,
    /// Binary, of 4 or 8 bytes: its bits.
    Float,
    /// As the server writes it, whatever is set: dates, addresses, documents.
    Written,
    /// As the server writes it where nothing is set: intervals, money, what holds such.
    Styled,
    /// A number of which text shows fewer digits than it has.
    Rounded,
}

impl Class {
    /// As it is digested.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Bytes => "bytes",
            Self::Number => "number",
            Self::Float => "float",
            Self::Written | Self::Styled | Self::Rounded => "written",
        }
    }
}

/// A value that is not NULL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exact {
    /// What it is.
    pub class: Class,
    /// All of it.
    pub bytes: Vec<u8>,
}

impl Exact {
    fn of(class: Class, bytes: &[u8]) -> Self {
        Self { class, bytes: bytes.to_owned() }
    }

    /// Of the text of a binary number, which tells it from its neighbours; zero has a sign, and what is no number has none.
    fn double(text: &[u8]) -> Self {
        match std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok()) {
            Some(number) if number.is_nan() => Self::of(Class::Float, b"nan"),
            Some(number) => Self::of(Class::Float, &number.to_bits().to_be_bytes()),
            None => Self::of(Class::Written, text),
        }
    }

    fn single(text: &[u8]) -> Self {
        match std::str::from_utf8(text).ok().and_then(|text| text.parse::<f32>().ok()) {
            Some(number) if number.is_nan() => Self::of(Class::Float, b"nan"),
            Some(number) => Self::of(Class::Float, &number.to_bits().to_be_bytes()),
            None => Self::of(Class::Written, text),
        }
    }
}

/// Text as it is, and what is none by its digits: two values that differ are never one.
fn text_of(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| digits_of(bytes), str::to_owned)
}

fn digits_of(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

/// As PostgreSQL writes it.
pub fn postgres_text(row: &PgRow, index: usize) -> Option<String> {
    row.try_get_raw(index).ok()?.as_bytes().ok().map(text_of)
}

/// What has one way to be written: bool, json, xml, jsonb, uuid, inet, cidr, macaddr, macaddr8, bit, varbit, date, time, timestamp, timestamptz, timetz;
/// arrays of bool, int2, int4, int8, text, bpchar, varchar, date, timestamp, timestamptz, numeric, uuid, jsonb.
const PLAIN: [u32; 29] = [
    16, 114, 142, 3802, 2950, 869, 650, 829, 774, 1560, 1562, 1082, 1083, 1114, 1184, 1266, 1000, 1005, 1007, 1016, 1009, 1014, 1015, 1182,
    1115, 1185, 1231, 2951, 3807,
];

/// By the numbers of `pg_type.dat`, which no version has changed.
pub fn postgres_exact(row: &PgRow, index: usize) -> Option<Exact> {
    let text = row.try_get_raw(index).ok()?.as_bytes().ok()?;
    Some(match row.column(index).type_info().oid().map_or(0, |oid| oid.0) {
        // char, name, text, bpchar, varchar
        18 | 19 | 25 | 1042 | 1043 => Exact::of(Class::Text, text),
        17 => Exact::of(Class::Bytes, &text.strip_prefix(b"\\x").and_then(|digits| hex::decode(digits).ok())?),
        // int8, int2, int4, oid, numeric
        20 | 21 | 23 | 26 | 1700 => Exact::of(Class::Number, text),
        700 => Exact::single(text),
        701 => Exact::double(text),
        oid if PLAIN.contains(&oid) => Exact::of(Class::Written, text),
        _ => Exact::of(Class::Styled, text),
    })
}

fn mysql_bytes(row: &MySqlRow, index: usize) -> Option<&[u8]> {
    <&[u8] as Decode<MySql>>::decode(row.try_get_raw(index).ok()?).ok()
}

/// As MySQL and MariaDB write it.
pub fn mysql_text(row: &MySqlRow, index: usize) -> Option<String> {
    mysql_bytes(row, index).map(text_of)
}

/// By the type of the column, and by its character set where that makes texts of bytes.
pub fn mysql_exact(row: &MySqlRow, index: usize) -> Option<Exact> {
    let bytes = mysql_bytes(row, index)?;
    let kind = row.column(index).type_info();
    Some(match kind.name() {
        "FLOAT" => Exact::of(Class::Rounded, bytes),
        "DOUBLE" => Exact::double(bytes),
        "DECIMAL" | "YEAR" | "BOOLEAN" => Exact::of(Class::Number, bytes),
        name if name.contains("INT") => Exact::of(Class::Number, bytes),
        // MariaDB's is a text.
        "JSON" => Exact::of(Class::Text, bytes),
        "BIT" | "GEOMETRY" => Exact::of(Class::Bytes, bytes),
        _ if <str as Type<MySql>>::compatible(kind) => Exact::of(Class::Text, bytes),
        _ if <[u8] as Type<MySql>>::compatible(kind) => Exact::of(Class::Bytes, bytes),
        _ => Exact::of(Class::Written, bytes),
    })
}

/// By the storage class of the value, whatever its column declares.
pub fn sqlite_text(row: &SqliteRow, index: usize) -> Option<String> {
    let (class, bytes) = sqlite_value(row, index)?;
    Some(if class == "BLOB" { digits_of(&bytes) } else { text_of(&bytes) })
}

/// By the storage class too.
pub fn sqlite_exact(row: &SqliteRow, index: usize) -> Option<Exact> {
    let (class, bytes) = sqlite_value(row, index)?;
    Some(match class.as_str() {
        "INTEGER" | "INT8" => Exact::of(Class::Number, &bytes),
        "REAL" => Exact::double(&bytes),
        "BLOB" => Exact::of(Class::Bytes, &bytes),
        _ => Exact::of(Class::Text, &bytes),
    })
}

fn sqlite_value(row: &SqliteRow, index: usize) -> Option<(String, Vec<u8>)> {
    let value = row.try_get_raw(index).ok().filter(|value| !value.is_null())?;
    let class = value.type_info().name().to_owned();
    let bytes = match class.as_str() {
        "INTEGER" | "INT8" => <i64 as Decode<Sqlite>>::decode(value).ok()?.to_string().into_bytes(),
        "REAL" => <f64 as Decode<Sqlite>>::decode(value).ok()?.to_string().into_bytes(),
        _ => <&[u8] as Decode<Sqlite>>::decode(value).ok()?.to_owned(),
    };
    Some((class, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_float_is_its_bits_however_it_is_written() {
        assert_eq!(Exact::double(b"1e+20"), Exact::double(b"100000000000000000000"));
        assert_ne!(Exact::double(b"0"), Exact::double(b"-0"));
        assert_ne!(Exact::double(b"0.1"), Exact::double(b"0.10000000000000002"));
        assert_ne!(Exact::single(b"0.1"), Exact::double(b"0.1"));
        assert_eq!(Exact::double(b"NaN"), Exact::double(b"nan"));
        assert_eq!(Exact::double(b"many").class, Class::Written);
    }
}
