//! Logical fields: what a value means, whichever engine stores it, so that one table may be compared across engines.
//!
//! A logical row has the form of a canonical row (`canon`), its fields brought to one form by the column's declared logical type
//! (`ROWS.md` has the matrix). What cannot be brought there keeps its exact field, which then equals no other engine's: a value that an
//! engine has changed (SQLite's −0.0, NaN and 38-digit decimals) is a mismatch, never hidden. Total: any bytes give a field.

use std::fmt;
use std::str::FromStr;

use crate::verify::sql::rows::canon::Row;
use crate::verify::sql::rows::fields::{parts_of_decimal, sized, whole};
use crate::verify::sql::rows::logical_json;
use crate::verify::sql::rows::logical_text;
use crate::verify::sql::rows::mysql_decode::MysqlType;
use crate::verify::sql::rows::postgres_decode::PgType;
use crate::verify::sql::rows::table::{Column, Wire};
use crate::verify::sql::rows::tag;

macro_rules! types {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)+) => {
        /// What the values of a column are, whichever engine holds them.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum LogicalType { $($(#[$doc])* $name,)+ }

        impl LogicalType {
            /// Every type, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The spelling in manifests and on the command line.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

types! {
    /// True or false.
    Boolean = "boolean";
    /// A whole number of at most 64 bits.
    Integer = "integer";
    /// A decimal without its trailing zeros.
    Decimal = "decimal";
    /// IEEE 754, 32 bits.
    Real = "real";
    /// IEEE 754, 64 bits.
    Double = "double";
    /// Text as stored; labels are text.
    Text = "text";
    /// Text of fixed length, without its padding.
    Char = "char";
    /// Bytes.
    Bytes = "bytes";
    /// A day.
    Date = "date";
    /// A time of day, or a span of hours.
    Time = "time";
    /// Wall clock.
    Datetime = "datetime";
    /// An instant in UTC.
    Instant = "instant";
    /// JSON by meaning: keys sorted, numbers exact.
    Json = "json";
    /// A list: an array, or a JSON array.
    Array = "array";
    /// 128 bits.
    Uuid = "uuid";
    /// A network address with its prefix.
    Inet = "inet";
    /// A bit string.
    Bits = "bits";
    /// SRID and WKB.
    Geometry = "geometry";
    /// The exact field: comparable within one engine only.
    AsStored = "as-stored";
}

impl fmt::Display for LogicalType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for LogicalType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == text).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|kind| kind.as_str()).collect();
            format!("unknown logical type `{text}`; expected one of {}", known.join(", "))
        })
    }
}

impl LogicalType {
    /// What a column holds as its own engine declares it.
    pub fn of(column: &Column) -> Self {
        match &column.wire {
            Wire::Postgres(kind) => of_postgres(kind, &column.type_text),
            Wire::Mysql(kind) => of_mysql(kind, &column.type_text),
            Wire::Sqlite => of_sqlite(&column.type_text),
        }
    }

    /// What both sides can mean: the more particular of the two; nothing where they have nothing in common.
    pub fn join(self, other: Self) -> Option<Self> {
        use LogicalType::*;
        let particular = |general: Self, particular: Self| match (general, particular) {
            (AsStored, any) => Some(any),
            (Text, Char) => Some(Char),
            (Text | Char, Date | Time | Datetime | Instant | Json | Array | Uuid | Inet | Decimal | Bits) => Some(particular),
            (Integer | Bits, Boolean) => Some(Boolean),
            (Integer, Decimal | Double | Real | Bits) => Some(particular),
            (Double, Real | Decimal) => Some(particular),
            (Bytes, Uuid | Geometry) | (Datetime, Instant) | (Json, Array) | (Decimal, Boolean) => Some(particular),
            _ => None,
        };
        if self == other { Some(self) } else { particular(self, other).or_else(|| particular(other, self)) }
    }
}

fn of_postgres(kind: &PgType, type_text: &str) -> LogicalType {
    match kind {
        PgType::Bool => LogicalType::Boolean,
        PgType::Int2 | PgType::Int4 | PgType::Int8 | PgType::Oid => LogicalType::Integer,
        PgType::Float4 => LogicalType::Real,
        PgType::Float8 => LogicalType::Double,
        PgType::Numeric => LogicalType::Decimal,
        PgType::Text if type_text.starts_with("character(") => LogicalType::Char,
        PgType::Text | PgType::Enum => LogicalType::Text,
        PgType::Bytes => LogicalType::Bytes,
        PgType::Date => LogicalType::Date,
        PgType::Time => LogicalType::Time,
        PgType::Timestamp => LogicalType::Datetime,
        PgType::TimestampTz => LogicalType::Instant,
        PgType::Json | PgType::Jsonb => LogicalType::Json,
        PgType::Array(_) => LogicalType::Array,
        PgType::Uuid => LogicalType::Uuid,
        PgType::Network => LogicalType::Inet,
        PgType::Bit => LogicalType::Bits,
        PgType::Geometry => LogicalType::Geometry,
        _ => LogicalType::AsStored,
    }
}

fn of_mysql(kind: &MysqlType, type_text: &str) -> LogicalType {
    match kind {
        MysqlType::Signed | MysqlType::Unsigned | MysqlType::Year | MysqlType::SetNumber => LogicalType::Integer,
        MysqlType::Float => LogicalType::Real,
        MysqlType::Double => LogicalType::Double,
        MysqlType::Decimal => LogicalType::Decimal,
        MysqlType::Date => LogicalType::Date,
        MysqlType::Datetime => LogicalType::Datetime,
        MysqlType::Timestamp | MysqlType::RowEnd => LogicalType::Instant,
        MysqlType::Time => LogicalType::Time,
        MysqlType::Bit(_) => LogicalType::Bits,
        MysqlType::Text if type_text.starts_with("char(") => LogicalType::Char,
        MysqlType::Uuid => LogicalType::Uuid,
        MysqlType::Address => LogicalType::Inet,
        MysqlType::Vector => LogicalType::Array,
        MysqlType::Text | MysqlType::Enum | MysqlType::EnumMarked | MysqlType::Set => LogicalType::Text,
        MysqlType::Bytes => LogicalType::Bytes,
        MysqlType::Json => LogicalType::Json,
        MysqlType::Geometry => LogicalType::Geometry,
        MysqlType::Opaque(_) => LogicalType::AsStored,
    }
}

/// SQLite lets a declared type be any words; the first of these that is in them decides.
fn of_sqlite(declared: &str) -> LogicalType {
    const WORDS: &[(&str, LogicalType)] = &[
        ("BOOL", LogicalType::Boolean),
        ("POINT", LogicalType::AsStored),
        ("INTERVAL", LogicalType::AsStored),
        ("INT", LogicalType::Integer),
        ("TIMESTAMPTZ", LogicalType::Instant),
        ("DATETIME", LogicalType::Datetime),
        ("TIMESTAMP", LogicalType::Datetime),
        ("DATE", LogicalType::Date),
        ("TIME", LogicalType::Time),
        ("JSON", LogicalType::Json),
        ("UUID", LogicalType::Uuid),
        ("INET", LogicalType::Inet),
        ("CHAR", LogicalType::Text),
        ("CLOB", LogicalType::Text),
        ("TEXT", LogicalType::Text),
        ("BLOB", LogicalType::Bytes),
        ("BINARY", LogicalType::Bytes),
        ("BIT", LogicalType::Bits),
        ("REAL", LogicalType::Double),
        ("FLOA", LogicalType::Double),
        ("DOUB", LogicalType::Double),
        ("DEC", LogicalType::Decimal),
        ("NUMERIC", LogicalType::Decimal),
        ("GEOMETRY", LogicalType::Geometry),
    ];
    let declared = declared.to_ascii_uppercase();
    WORDS.iter().find(|(word, _)| declared.contains(word)).map_or(LogicalType::AsStored, |(_, kind)| *kind)
}

/// Writes the logical form of one exact field (`Row::field`).
pub fn field(of: LogicalType, exact: &[u8], row: &mut Row) {
    if brought(of, exact, row).is_none() {
        row.as_is(exact);
    }
}

/// Nothing written where there is no logical form.
fn brought(of: LogicalType, exact: &[u8], row: &mut Row) -> Option<()> {
    let (&kind, payload) = exact.split_first()?;
    let text = (kind == tag::TEXT).then(|| sized(payload)).flatten().and_then(|bytes| std::str::from_utf8(bytes).ok());
    match of {
        LogicalType::Boolean => row.boolean(boolean(kind, payload)?),
        LogicalType::Integer => integer(kind, payload, row)?,
        LogicalType::Decimal => decimal(kind, payload, text, row)?,
        LogicalType::Real => real(kind, payload, row)?,
        LogicalType::Double => double(kind, payload, row)?,
        LogicalType::Text | LogicalType::Char => words(kind, payload, of == LogicalType::Char, row)?,
        LogicalType::Date => logical_text::date(text?, row)?,
        LogicalType::Time => row.micros(tag::TIME, logical_text::time(text?)?),
        LogicalType::Datetime => logical_text::datetime(text?, tag::DATETIME, row)?,
        LogicalType::Instant if kind == tag::DATETIME => row.micros(tag::INSTANT, i64::from_be_bytes(payload.try_into().ok()?)),
        LogicalType::Instant => logical_text::datetime(text?, tag::INSTANT, row)?,
        LogicalType::Json | LogicalType::Array if matches!(kind, tag::JSON | tag::JSONB | tag::TEXT) => {
            row.bytes_as(tag::JSON, &logical_json::canonical(sized(payload)?)?);
        }
        LogicalType::Json | LogicalType::Array => row.bytes_as(tag::JSON, &logical_json::of_array(exact)?),
        LogicalType::Uuid => uuid(kind, payload, text, row)?,
        LogicalType::Inet if kind == tag::NETWORK => {
            let bytes = sized(payload)?;
            let address = bytes.get(4..)?;
            row.labelled(tag::NETWORK, &[&[*bytes.first()?, *bytes.get(1)?, 0, address.len() as u8], address].concat());
        }
        LogicalType::Inet => row.labelled(tag::NETWORK, &logical_text::inet(text?)?),
        LogicalType::Bits => bits(text?, row)?,
        LogicalType::Geometry if matches!(kind, tag::GEOMETRY | tag::BYTES) => row.geometry(sized(payload)?),
        LogicalType::Geometry | LogicalType::Bytes | LogicalType::AsStored => return None,
    }
    Some(())
}

/// The number that floats and integers are, where a double holds it exactly.
fn number(kind: u8, payload: &[u8]) -> Option<f64> {
    match kind {
        tag::F64 => Some(f64::from_be_bytes(payload.try_into().ok()?)),
        tag::F32 => Some(f32::from_be_bytes(payload.try_into().ok()?).into()),
        tag::INTEGER => {
            let (negative, magnitude) = whole(payload)?;
            let value = (magnitude <= 1 << 53).then_some(magnitude as f64)?;
            Some(if negative { -value } else { value })
        }
        _ => None,
    }
}

fn boolean(kind: u8, payload: &[u8]) -> Option<bool> {
    match (kind, payload) {
        (tag::BOOLEAN, [value]) => Some(*value == 1),
        (tag::INTEGER, _) => {
            whole(payload).filter(|(negative, magnitude)| !negative && *magnitude < 2).map(|(_, magnitude)| magnitude == 1)
        }
        (tag::BITS, _) => match payload.split_first_chunk::<8>()? {
            (count, rest) if *count == 1u64.to_be_bytes() => Some(*sized(rest)?.first()? != 0),
            _ => None,
        },
        _ => None,
    }
}

fn integer(kind: u8, payload: &[u8], row: &mut Row) -> Option<()> {
    if kind == tag::BOOLEAN {
        row.unsigned((*payload.first()?).into());
        return Some(());
    }
    let (negative, scale, digits) = (kind == tag::DECIMAL).then(|| parts_of_decimal(payload)).flatten()?;
    let (scale, digits) = logical_text::stripped(scale, digits);
    let magnitude: u64 = if digits.is_empty() { 0 } else { std::str::from_utf8(digits).ok()?.parse().ok()? };
    if scale != 0 {
        return None;
    }
    row.integer(negative, magnitude);
    Some(())
}

fn decimal(kind: u8, payload: &[u8], text: Option<&str>, row: &mut Row) -> Option<()> {
    match kind {
        tag::DECIMAL => {
            let (negative, scale, digits) = parts_of_decimal(payload)?;
            let (scale, digits) = logical_text::stripped(scale, digits);
            row.decimal(negative, scale, digits);
        }
        tag::INTEGER => {
            let (negative, magnitude) = whole(payload)?;
            row.decimal(negative, 0, magnitude.to_string().as_bytes());
        }
        // 15 significant digits survive a double; what shows more may have been anything.
        tag::F64 => {
            let value = f64::from_be_bytes(payload.try_into().ok()?);
            let shown = value.is_finite().then(|| format!("{value:e}"))?;
            let significant = shown.split('e').next()?.bytes().filter(u8::is_ascii_digit).count();
            let negative_zero = value == 0.0 && value.is_sign_negative();
            (significant <= 15 && !negative_zero).then(|| logical_text::decimal(&shown, row)).flatten()?;
        }
        _ => logical_text::decimal(text?, row)?,
    }
    Some(())
}

fn real(kind: u8, payload: &[u8], row: &mut Row) -> Option<()> {
    let value = number(kind, payload)?;
    let narrow = value as f32;
    if f64::from(narrow) != value && !value.is_nan() {
        return None;
    }
    row.f32(narrow);
    Some(())
}

fn double(kind: u8, payload: &[u8], row: &mut Row) -> Option<()> {
    row.f64(number(kind, payload)?);
    Some(())
}

/// Text, labels and large texts; padding goes where the column is of fixed length.
fn words(kind: u8, payload: &[u8], padded: bool, row: &mut Row) -> Option<()> {
    match kind {
        tag::TEXT | tag::ENUM | tag::SET => {
            let bytes = sized(payload)?;
            let kept = if padded { bytes.trim_ascii_end_spaces() } else { bytes };
            row.text(kept);
        }
        tag::BOOLEAN => row.text(if payload == [1] { b"true" } else { b"false" }),
        tag::UUID => row.text(crate::verify::sql::rows::display::uuid(payload).as_bytes()),
        _ => return None,
    }
    Some(())
}

trait Padding {
    fn trim_ascii_end_spaces(&self) -> &[u8];
}

impl Padding for [u8] {
    fn trim_ascii_end_spaces(&self) -> &[u8] {
        let end = self.iter().rposition(|byte| *byte != b' ').map_or(0, |at| at + 1);
        &self[..end]
    }
}

fn uuid(kind: u8, payload: &[u8], text: Option<&str>, row: &mut Row) -> Option<()> {
    if kind == tag::BYTES {
        row.uuid(sized(payload)?.try_into().ok()?);
        return Some(());
    }
    let text = text?;
    let digits: String = text.trim_start_matches('{').trim_end_matches('}').chars().filter(|c| *c != '-').collect();
    let mut bytes = [0; 16];
    hex::decode_to_slice(&digits, &mut bytes).ok()?;
    row.uuid(&bytes);
    Some(())
}

/// Bits that are written as text, from the first to the last.
fn bits(text: &str, row: &mut Row) -> Option<()> {
    let list: Vec<bool> = text.bytes().map(|byte| matches!(byte, b'0' | b'1').then_some(byte == b'1')).collect::<Option<_>>()?;
    let mut bytes = vec![0u8; list.len().div_ceil(8)];
    list.iter().enumerate().filter(|(_, bit)| **bit).for_each(|(at, _)| bytes[at / 8] |= 0x80 >> (at % 8));
    row.bits(list.len() as u64, &bytes);
    Some(())
}
