//! Values of the MySQL and MariaDB binary protocol into canonical fields.
//!
//! Formats: "Binary Protocol Value" of the MySQL client/server protocol documentation. Zero and partial dates arrive here as the bytes
//! that they are; a driver that decodes them calls them NULL. Pure: bytes in, fields out.

use crate::verify::sql::rows::canon::Row;
use crate::verify::sql::rows::tag;

/// A column's type as far as its values go.
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs)]
pub enum MysqlType {
    Signed,
    Unsigned,
    Float,
    Double,
    Decimal,
    Date,
    Datetime,
    Timestamp,
    Time,
    Year,
    Bit(u64),
    Text,
    Bytes,
    Json,
    Enum,
    /// An enum that may have an empty label: `1` and the label, or `0` where there is none.
    EnumMarked,
    Set,
    /// A set that may have an empty label, whose text does not tell its labels: the number that is stored.
    SetNumber,
    Geometry,
    Opaque(String),
}

impl MysqlType {
    /// From `DATA_TYPE` and `COLUMN_TYPE` of `information_schema.COLUMNS`.
    pub fn of(data_type: &str, column_type: &str) -> Self {
        match data_type.to_ascii_lowercase().as_str() {
            "tinyint" | "smallint" | "mediumint" | "int" | "integer" | "bigint" if column_type.contains("unsigned") => Self::Unsigned,
            "tinyint" | "smallint" | "mediumint" | "int" | "integer" | "bigint" => Self::Signed,
            "float" => Self::Float,
            "double" => Self::Double,
            "decimal" | "numeric" => Self::Decimal,
            "date" => Self::Date,
            "datetime" => Self::Datetime,
            "timestamp" => Self::Timestamp,
            "time" => Self::Time,
            "year" => Self::Year,
            "bit" => {
                let digits: String = column_type.chars().filter(char::is_ascii_digit).collect();
                Self::Bit(digits.parse().unwrap_or(1))
            }
            "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "uuid" | "inet6" | "inet4" => Self::Text,
            "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => Self::Bytes,
            "json" => Self::Json,
            // Doubled quotes are an empty label, or a quote in a label; to take the second for the first changes no value.
            "enum" if column_type.contains("''") => Self::EnumMarked,
            "set" if column_type.contains("''") => Self::SetNumber,
            "enum" => Self::Enum,
            "set" => Self::Set,
            "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon" | "geometrycollection"
            | "geomcollection" => Self::Geometry,
            other => Self::Opaque(other.to_owned()),
        }
    }
}

/// Writes one value.
#[inline]
pub fn field(kind: &MysqlType, value: Option<&[u8]>, row: &mut Row) -> Result<(), String> {
    let Some(bytes) = value else {
        row.null();
        return Ok(());
    };
    match kind {
        MysqlType::Signed => row.signed(signed(bytes)?),
        MysqlType::Unsigned | MysqlType::Year | MysqlType::SetNumber => row.unsigned(unsigned(bytes)?),
        MysqlType::Float => row.f32(f32::from_le_bytes(fixed(bytes, "float")?)),
        MysqlType::Double => row.f64(f64::from_le_bytes(fixed(bytes, "double")?)),
        MysqlType::Decimal => decimal(bytes, row)?,
        MysqlType::Date => date(tag::DATE, bytes, row)?,
        MysqlType::Datetime => date(tag::DATETIME, bytes, row)?,
        MysqlType::Timestamp => date(tag::INSTANT, bytes, row)?,
        MysqlType::Time => time(bytes, row)?,
        MysqlType::Bit(bits) => row.bits(*bits, bytes),
        MysqlType::Text => row.text(bytes),
        MysqlType::Bytes => row.blob(bytes),
        MysqlType::Json => row.json(tag::JSON, bytes),
        MysqlType::Enum => label(bytes, row),
        MysqlType::EnumMarked => match bytes.split_first() {
            Some((b'0', [])) => label(&[], row),
            Some((b'1', text)) => row.labelled(tag::ENUM, text),
            _ => return Err("enum without its mark".into()),
        },
        MysqlType::Set => row.labelled(tag::SET, bytes),
        MysqlType::Geometry => row.geometry(bytes),
        MysqlType::Opaque(name) => row.opaque(name, bytes),
    }
    Ok(())
}

/// The text of an enum none of whose labels is empty: the empty text is its error value, which is stored as 0 and is no label.
fn label(text: &[u8], row: &mut Row) {
    if text.is_empty() { row.unsigned(0) } else { row.labelled(tag::ENUM, text) }
}

#[inline]
fn fixed<const N: usize>(bytes: &[u8], name: &str) -> Result<[u8; N], String> {
    bytes.try_into().map_err(|_| format!("{name}: expected {N} bytes, found {}", bytes.len()))
}

#[inline]
fn signed(bytes: &[u8]) -> Result<i64, String> {
    Ok(match *bytes {
        [a] => i64::from(a as i8),
        [a, b] => i16::from_le_bytes([a, b]).into(),
        [a, b, c, d] => i32::from_le_bytes([a, b, c, d]).into(),
        _ => i64::from_le_bytes(fixed(bytes, "integer")?),
    })
}

#[inline]
fn unsigned(bytes: &[u8]) -> Result<u64, String> {
    Ok(match *bytes {
        [a] => a.into(),
        [a, b] => u16::from_le_bytes([a, b]).into(),
        [a, b, c, d] => u32::from_le_bytes([a, b, c, d]).into(),
        _ => u64::from_le_bytes(fixed(bytes, "integer")?),
    })
}

/// `DECIMAL` travels as text with all its digits.
#[inline]
pub fn decimal(text: &[u8], row: &mut Row) -> Result<(), String> {
    let (negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let point = unsigned.iter().position(|byte| *byte == b'.').unwrap_or(unsigned.len());
    let (whole, fraction) = (&unsigned[..point], unsigned.get(point + 1..).unwrap_or_default());
    // No column has more than 65 digits.
    let (mut small, mut large) = ([0; 72], Vec::new());
    let digits = match small.get_mut(..whole.len() + fraction.len()) {
        Some(digits) => digits,
        None => {
            large.resize(whole.len() + fraction.len(), 0);
            &mut large[..]
        }
    };
    digits[..whole.len()].copy_from_slice(whole);
    digits[whole.len()..].copy_from_slice(fraction);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(format!("`{}` is not a decimal", String::from_utf8_lossy(&text[..text.len().min(40)]).escape_default()));
    }
    let scale = i32::try_from(fraction.len()).map_err(|_| "decimal with too many digits")?;
    row.decimal(negative, scale, digits);
    Ok(())
}

/// A length byte (0, 4, 7 or 11), then year, month, day, hour, minute, second, microseconds as far as the length goes.
#[inline]
fn date(of: u8, bytes: &[u8], row: &mut Row) -> Result<(), String> {
    let (length, parts) = bytes.split_first().ok_or("date without its length")?;
    if usize::from(*length) != parts.len() || !matches!(length, 0 | 4 | 7 | 11) {
        return Err(format!("date of {} bytes", parts.len()));
    }
    let at = |index: usize| parts.get(index).copied().unwrap_or(0);
    let (year, month, day) = (u16::from_le_bytes([at(0), at(1)]), at(2), at(3));
    let micros = micros_of([at(4), at(5), at(6)], [at(7), at(8), at(9), at(10)])?;
    if at(4) > 23 {
        return Err(format!("hour {} in a date", at(4)));
    }
    match days_from_civil(year, month, day) {
        Some(days) if of == tag::DATE && micros == 0 => row.date(days),
        Some(days) if of != tag::DATE => row.micros(of, days * 86_400_000_000 + micros),
        _ => row.partial_date(of, year, month, day, micros),
    }
    Ok(())
}

/// A length byte (0, 8 or 12), then sign, days, hour, minute, second, microseconds.
fn time(bytes: &[u8], row: &mut Row) -> Result<(), String> {
    let (length, parts) = bytes.split_first().ok_or("time without its length")?;
    if usize::from(*length) != parts.len() || !matches!(length, 0 | 8 | 12) {
        return Err(format!("time of {} bytes", parts.len()));
    }
    let at = |index: usize| parts.get(index).copied().unwrap_or(0);
    let days = i64::from(u32::from_le_bytes([at(1), at(2), at(3), at(4)]));
    let micros = days * 86_400_000_000 + micros_of([at(5), at(6), at(7)], [at(8), at(9), at(10), at(11)])?;
    row.micros(tag::TIME, if at(0) == 0 { micros } else { -micros });
    Ok(())
}

#[inline]
fn micros_of([hour, minute, second]: [u8; 3], micros: [u8; 4]) -> Result<i64, String> {
    let micros = u32::from_le_bytes(micros);
    if minute > 59 || second > 59 || micros > 999_999 {
        return Err(format!("time with minute {minute}, second {second}, microsecond {micros}"));
    }
    Ok(((i64::from(hour) * 60 + i64::from(minute)) * 60 + i64::from(second)) * 1_000_000 + i64::from(micros))
}

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar; none for one that no calendar has. Year 0 is MySQL's zero date.
#[inline]
pub fn days_from_civil(year: u16, month: u8, day: u8) -> Option<i64> {
    // Days of the year before each month of a common year, and of the year after the last.
    const BEFORE: [u16; 13] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];
    // Days before 1970 of which the first is that of 0001-01-01.
    const TO_1970: i64 = 719_162;
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let (before, after) = (*BEFORE.get(usize::from(month).checked_sub(1)?)?, *BEFORE.get(usize::from(month))?);
    if year == 0 || day == 0 || u16::from(day) > after - before + u16::from(leap && month == 2) {
        return None;
    }
    let past = i64::from(year) - 1;
    let whole_years = past * 365 + past / 4 - past / 100 + past / 400;
    Some(whole_years + i64::from(before) + i64::from(leap && month > 2) + i64::from(day) - 1 - TO_1970)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::hash_key::HashKey;
    use crate::verify::sql::rows::canon::RowKeys;
    use crate::verify::sql::rows::display;
    use proptest::prelude::*;

    fn encoded(kind: &MysqlType, bytes: Option<&[u8]>) -> Result<Vec<u8>, String> {
        let mut row = Row::new(&RowKeys::new(&HashKey::from_bytes([1; 32])));
        row.begin(1);
        field(kind, bytes, &mut row)?;
        assert_eq!(row.len(), 1, "one value is one field");
        Ok(row.field(0).to_vec())
    }

    #[test]
    fn zero_and_partial_dates_are_neither_null_nor_each_other() {
        let zero = encoded(&MysqlType::Date, Some(&[0])).unwrap();
        let partial = encoded(&MysqlType::Date, Some(&[4, 0xea, 7, 2, 0])).unwrap();
        let null = encoded(&MysqlType::Date, None).unwrap();
        assert!(zero != partial && zero != null && partial != null);
        assert_eq!((display::field(&zero), display::field(&partial)), ("0000-00-00".into(), "2026-02-00".into()));
        assert_eq!(display::field(&encoded(&MysqlType::Date, Some(&[4, 0xea, 7, 2, 1])).unwrap()), "2026-02-01");
        // A zero datetime is not midnight of a zero date.
        assert_ne!(encoded(&MysqlType::Datetime, Some(&[0])), encoded(&MysqlType::Date, Some(&[0])));
        assert_ne!(encoded(&MysqlType::Datetime, Some(&[4, 0xea, 7, 2, 1])), encoded(&MysqlType::Timestamp, Some(&[4, 0xea, 7, 2, 1])));
    }

    #[test]
    fn integers_and_decimals() {
        let text = |kind, bytes: &[u8]| encoded(&kind, Some(bytes)).map(|field| display::field(&field));
        assert_eq!(text(MysqlType::Unsigned, &[0xff; 8]).as_deref(), Ok("18446744073709551615"));
        assert_eq!(text(MysqlType::Signed, &[0xff]).as_deref(), Ok("-1"));
        assert_eq!(text(MysqlType::Decimal, b"-0012.3400").as_deref(), Ok("-12.3400"));
        assert_eq!(encoded(&MysqlType::Decimal, Some(b"-0.00")), encoded(&MysqlType::Decimal, Some(b"0.00")));
        assert_ne!(encoded(&MysqlType::Decimal, Some(b"1.0")), encoded(&MysqlType::Decimal, Some(b"1.00")));
        assert!(text(MysqlType::Decimal, b"1e5").is_err() && text(MysqlType::Signed, &[1, 2, 3]).is_err());
    }

    proptest! {
        #[test]
        fn days_are_those_of_the_calendar(year in 0u16..12_000, month in 0u8..15, day in 0u8..35) {
            let date = chrono::NaiveDate::from_ymd_opt(year.into(), month.into(), day.into()).filter(|_| year > 0);
            let expected = date.map(|date| date.signed_duration_since(chrono::NaiveDate::default()).num_days());
            prop_assert_eq!(days_from_civil(year, month, day), expected);
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(which in 0usize..10, bytes in prop::collection::vec(any::<u8>(), 0..20)) {
            use MysqlType::*;
            let kind = [Signed, Unsigned, Float, Double, Decimal, Date, Datetime, Timestamp, Time, Bit(9)][which].clone();
            let _ = encoded(&kind, Some(&bytes));
        }
    }
}
