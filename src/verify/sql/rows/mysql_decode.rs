//! Values of the MySQL and MariaDB binary protocol into canonical fields.
//!
//! Formats: "Binary Protocol Value" of the MySQL client/server protocol documentation. Zero and partial dates arrive here as the bytes
//! that they are; a driver that decodes them calls them NULL. Pure: bytes in, fields out.

use crate::verify::sql::rows::calendar::days_from_civil;
use crate::verify::sql::rows::canon::Row;
use crate::verify::sql::rows::logical_text;
use crate::verify::sql::rows::tag;

const DAY_MICROS: i64 = 86_400_000_000;

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
    /// Until when a row of a system-versioned table was valid.
    RowEnd,
    Time,
    Year,
    Bit(u64),
    Text,
    Bytes,
    Json,
    /// MariaDB's, which it prints.
    Uuid,
    /// MariaDB's `inet4` and `inet6`, which it prints.
    Address,
    Vector,
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
            "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => Self::Text,
            "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => Self::Bytes,
            "json" => Self::Json,
            "uuid" => Self::Uuid,
            "inet4" | "inet6" => Self::Address,
            "vector" => Self::Vector,
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
        MysqlType::RowEnd => row_end(bytes, row)?,
        MysqlType::Time => time(bytes, row)?,
        MysqlType::Bit(bits) => bit(*bits, bytes, row)?,
        MysqlType::Text => row.text(bytes),
        MysqlType::Bytes => row.blob(bytes),
        MysqlType::Json => row.bytes_as(tag::JSONB, bytes),
        MysqlType::Uuid => row.uuid(&uuid(bytes).ok_or_else(|| unlike("a UUID such as 00000000-0000-0000-0000-000000000000", bytes))?),
        MysqlType::Address => {
            let address = std::str::from_utf8(bytes).ok().filter(|text| !text.contains('/')).and_then(logical_text::inet);
            row.labelled(tag::NETWORK, &address.ok_or_else(|| unlike("an address", bytes))?);
        }
        MysqlType::Vector => vector(bytes, row)?,
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

fn unlike(expected: &str, found: &[u8]) -> String {
    format!("expected {expected}, found `{}`", String::from_utf8_lossy(&found[..found.len().min(60)]).escape_default())
}

/// The 16 bytes of a UUID in the one form that is printed of it.
fn uuid(text: &[u8]) -> Option<[u8; 16]> {
    let text: &[u8; 36] = text.try_into().ok()?;
    let is_printed = [8, 13, 18, 23].into_iter().all(|at| text[at] == b'-');
    let digits = is_printed.then(|| [&text[..8], &text[9..13], &text[14..18], &text[19..23], &text[24..]].concat())?;
    let mut bytes = [0; 16];
    hex::decode_to_slice(digits, &mut bytes).ok().map(|()| bytes)
}

/// The bits from the first to the last, padded at the end; they arrive padded at the beginning.
fn bit(bits: u64, bytes: &[u8], row: &mut Row) -> Result<(), String> {
    let unused = bits.wrapping_neg() % 8;
    let number = bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    if !(1..=64).contains(&bits) || bytes.len() as u64 != bits.div_ceil(8) || (bits < 64 && number >> bits != 0) {
        return Err(format!("bit string of {bits} bits in {} bytes", bytes.len()));
    }
    row.bits(bits, &(number << unused).to_be_bytes()[8 - bytes.len()..]);
    Ok(())
}

/// 32-bit floats, as an array of them.
fn vector(bytes: &[u8], row: &mut Row) -> Result<(), String> {
    let (floats, surplus) = bytes.as_chunks::<4>();
    let length =
        i32::try_from(floats.len()).ok().filter(|_| surplus.is_empty()).ok_or_else(|| format!("vector of {} bytes", bytes.len()))?;
    row.enter();
    if floats.is_empty() {
        row.nested(tag::ARRAY, &0u32.to_be_bytes());
    } else {
        row.nested(tag::ARRAY, &[1u32.to_be_bytes(), length.to_be_bytes(), 1i32.to_be_bytes()].concat());
    }
    floats.iter().for_each(|float| row.f32(f32::from_le_bytes(*float)));
    row.leave();
    Ok(())
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

/// The greatest TIMESTAMP that MariaDB has: until 11.4, and from 11.5 on.
const ENDS_OF_TIME: [i64; 2] = [2_147_483_647_999_999, 4_294_967_295_999_999];

/// A row that is still valid ends at the end of the server's time, which another version has elsewhere: here it does not end.
pub fn valid_until(micros: i64, row: &mut Row) {
    if ENDS_OF_TIME.contains(&micros) { row.infinity(tag::INSTANT, true) } else { row.micros(tag::INSTANT, micros) }
}

/// A length byte (0, 4, 7 or 11), then year, month, day, hour, minute, second, microseconds as far as the length goes: year, month, day
/// and microseconds of the day.
#[inline]
fn moment(bytes: &[u8]) -> Result<(u16, u8, u8, i64), String> {
    let (length, parts) = bytes.split_first().ok_or("date without its length")?;
    if usize::from(*length) != parts.len() || !matches!(length, 0 | 4 | 7 | 11) {
        return Err(format!("date of {} bytes", parts.len()));
    }
    let at = |index: usize| parts.get(index).copied().unwrap_or(0);
    let micros = micros_of([at(4), at(5), at(6)], [at(7), at(8), at(9), at(10)])?;
    if at(4) > 23 {
        return Err(format!("hour {} in a date", at(4)));
    }
    Ok((u16::from_le_bytes([at(0), at(1)]), at(2), at(3), micros))
}

#[inline]
fn date(of: u8, bytes: &[u8], row: &mut Row) -> Result<(), String> {
    let (year, month, day, micros) = moment(bytes)?;
    match days_from_civil(year, month, day) {
        Some(days) if of == tag::DATE && micros == 0 => row.date(days),
        Some(days) if of != tag::DATE => row.micros(of, days * DAY_MICROS + micros),
        _ => row.partial_date(of, year, month, day, micros),
    }
    Ok(())
}

fn row_end(bytes: &[u8], row: &mut Row) -> Result<(), String> {
    let (year, month, day, micros) = moment(bytes)?;
    match days_from_civil(year, month, day) {
        Some(days) => valid_until(days * DAY_MICROS + micros, row),
        None => row.partial_date(tag::INSTANT, year, month, day, micros),
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
    let micros = days * DAY_MICROS + micros_of([at(5), at(6), at(7)], [at(8), at(9), at(10), at(11)])?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::hash_key::HashKey;
    use crate::verify::sql::rows::display;
    use crate::verify::sql::rows::row_keys::RowKeys;
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

    #[test]
    fn printed_identifiers_and_addresses_are_their_bytes_or_refused() {
        let read = |kind: &MysqlType, text: &str| encoded(kind, Some(text.as_bytes())).map(|field| display::field(&field));
        let uuid = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
        assert_eq!(read(&MysqlType::Uuid, uuid).as_deref(), Ok(uuid));
        assert_eq!(read(&MysqlType::Uuid, &uuid.to_uppercase()), read(&MysqlType::Uuid, uuid));
        for text in [
            "",
            "a0eebc999c0b4ef8bb6d6bb9bd380a11",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1",
            "a0eebc99-9c0b4-ef8-bb6d-6bb9bd380a11",
            "g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        ] {
            assert!(read(&MysqlType::Uuid, text).unwrap_err().contains("expected a UUID"), "{text}");
        }
        assert_eq!(encoded(&MysqlType::Address, Some(b"10.0.0.1")).unwrap()[9..], [2, 32, 0, 4, 10, 0, 0, 1]);
        assert_eq!(encoded(&MysqlType::Address, Some(b"::1")).unwrap()[9..13], [3, 128, 0, 16]);
        assert_eq!(read(&MysqlType::Address, "::ffff:1.2.3.4"), read(&MysqlType::Address, "::ffff:102:304"));
        for text in ["", "10.0.0", "010.0.0.1", "10.0.0.1/8", "::1::"] {
            assert!(read(&MysqlType::Address, text).unwrap_err().contains("expected an address"), "{text}");
        }
    }

    #[test]
    fn bits_and_vectors_are_of_their_length_or_refused() {
        let bits = |bits, bytes: &[u8]| encoded(&MysqlType::Bit(bits), Some(bytes)).map(|field| field[17..].to_vec());
        assert_eq!(bits(5, &[0b1_0101]), Ok(vec![0b1010_1000]));
        assert_eq!(bits(12, &[0b1000, 1]), Ok(vec![0b1000_0000, 0b1_0000]));
        assert_eq!((bits(8, &[7]), bits(64, &[0xff; 8])), (Ok(vec![7]), Ok(vec![0xff; 8])));
        for (count, bytes) in [(5, &[0x20][..]), (5, &[0, 1]), (12, &[1]), (0, &[]), (65, &[0; 9])] {
            assert!(bits(count, bytes).is_err(), "{count} {bytes:?}");
        }
        let two = encoded(&MysqlType::Vector, Some(&[0, 0, 0x80, 0x3f, 0, 0, 0, 0x80])).unwrap();
        assert_eq!(hex::encode(two), "1d000000010000000200000001063f8000000680000000");
        assert_eq!(encoded(&MysqlType::Vector, Some(&[])).unwrap(), [tag::ARRAY, 0, 0, 0, 0]);
        assert!(encoded(&MysqlType::Vector, Some(&[0; 7])).is_err());
    }

    #[test]
    fn what_is_still_valid_has_no_end_whatever_the_version() {
        let until = |bytes: &[u8]| encoded(&MysqlType::RowEnd, Some(bytes)).unwrap();
        let before = until(&[11, 0xf6, 7, 1, 19, 3, 14, 7, 0x3f, 0x42, 0x0f, 0]);
        assert_eq!(
            (before.as_slice(), before.clone()),
            (&[tag::PLUS_INFINITY, tag::INSTANT][..], until(&[11, 0x3a, 8, 2, 7, 6, 28, 15, 0x3f, 0x42, 0x0f, 0]))
        );
        let other = [11, 0xf6, 7, 1, 19, 3, 14, 7, 0x3e, 0x42, 0x0f, 0];
        assert_eq!(until(&other), encoded(&MysqlType::Timestamp, Some(&other)).unwrap());
        assert_eq!(until(&[0]), encoded(&MysqlType::Timestamp, Some(&[0])).unwrap());
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_or_refused(which in 0usize..14, bytes in prop::collection::vec(any::<u8>(), 0..20)) {
            use MysqlType::*;
            let kind = [Signed, Unsigned, Float, Double, Decimal, Date, Datetime, Timestamp, Time, Bit(9), RowEnd, Uuid, Address, Vector][which].clone();
            let _ = encoded(&kind, Some(&bytes));
        }
    }
}
