//! The canonical encoding of DynamoDB items, version 1 (specified in `ITEMS-V1.md` beside this file): equal items have equal bytes, whichever way they were written or read.
//!
//! | Value | Bytes |
//! |---|---|
//! | NULL | `01` |
//! | BOOL | `02` false, `03` true |
//! | N | `10`, number |
//! | S, B | `11`, `12`; u64 length; bytes |
//! | SS, NS, BS | `20`, `21`, `22`; u64 count; the elements as S, N, B, sorted by their bytes |
//! | L | `30`; u64 count; the elements in order |
//! | M | `31`; as an item |
//! | item | u64 count; for each attribute by its name's UTF-8 bytes: u64 length, name, value |
//!
//! A number is `00` for zero; else `01` (positive) or `02` (negative), the exponent of its first digit as i32, the count of its
//! digits as u8, and the digits in ASCII without leading or trailing zeros. It is parsed from the string and never through a float.
//! All integers are big-endian. Absent, NULL, the empty string and the empty list differ.
//!
//! Not here: hashing (`digest`), and where items come from.

use crate::model::failure::{Failure, FailureKind};
use crate::verify::items::item::{Attribute, Item, KeySchema};

/// The name of this encoding in a manifest's `encoding`.
pub const ENCODING: &str = "attestore/item/v1";

/// Significant digits of a DynamoDB number (DynamoDB Developer Guide, "Naming rules and data types").
pub const MOST_DIGITS: usize = 38;

/// DynamoDB nests at most 32 levels deep ("Service, account, and table quotas"); the double is refused here.
pub const DEEPEST: usize = 64;

/// A value that no DynamoDB table holds.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadItem {
    /// Not a decimal number.
    #[error("`{0}` is not a decimal number")]
    NotANumber(String),
    /// More digits than DynamoDB keeps: to cut them would make different numbers equal.
    #[error("number with {0} significant digits, and DynamoDB has at most {MOST_DIGITS}")]
    TooManyDigits(usize),
    /// An exponent outside any that DynamoDB has.
    #[error("number with the exponent {0}, and DynamoDB's are within -130 and 125")]
    Exponent(i64),
    /// Nested too deep.
    #[error("nested deeper than {DEEPEST} levels")]
    TooDeep,
    /// An item without one of its primary key's attributes.
    #[error("the item has no attribute `{0}`, which is part of the primary key")]
    NoKey(String),
}

impl BadItem {
    /// As a failure of reading `what`.
    pub fn failure(self, what: &str) -> Failure {
        Failure::new(FailureKind::Remote, format!("{what}: {self}")).caused_by(self)
    }
}

/// Appends the canonical form of `item`.
pub fn encode_item(item: &Item, out: &mut Vec<u8>) -> Result<(), BadItem> {
    encode_map(item, 0, out)
}

/// Appends the canonical form of the primary key of `item`: its attributes in the schema's order, each name and value.
pub fn encode_key(item: &Item, schema: &KeySchema, out: &mut Vec<u8>) -> Result<(), BadItem> {
    put_u64(schema.0.len(), out);
    for name in &schema.0 {
        let value = item.get(name).ok_or_else(|| BadItem::NoKey(name.clone()))?;
        put_bytes(name.as_bytes(), out);
        encode(value, 0, out)?;
    }
    Ok(())
}

fn encode_map(map: &Item, depth: usize, out: &mut Vec<u8>) -> Result<(), BadItem> {
    put_u64(map.len(), out);
    // A BTreeMap of Strings iterates in the order of their UTF-8 bytes.
    for (name, value) in map {
        put_bytes(name.as_bytes(), out);
        encode(value, depth, out)?;
    }
    Ok(())
}

fn encode(value: &Attribute, depth: usize, out: &mut Vec<u8>) -> Result<(), BadItem> {
    if depth > DEEPEST {
        return Err(BadItem::TooDeep);
    }
    match value {
        Attribute::Null => out.push(0x01),
        Attribute::Bool(value) => out.push(if *value { 0x03 } else { 0x02 }),
        Attribute::Number(text) => {
            out.push(0x10);
            encode_number(text, out)?;
        }
        Attribute::String(text) => {
            out.push(0x11);
            put_bytes(text.as_bytes(), out);
        }
        Attribute::Binary(bytes) => {
            out.push(0x12);
            put_bytes(bytes, out);
        }
        Attribute::StringSet(set) => encode_set(0x20, set.iter(), |text, out| put_tagged(0x11, text.as_bytes(), out), out)?,
        Attribute::NumberSet(set) => encode_set(
            0x21,
            set.iter(),
            |text, out| {
                out.push(0x10);
                encode_number(text, out)
            },
            out,
        )?,
        Attribute::BinarySet(set) => encode_set(0x22, set.iter(), |bytes, out| put_tagged(0x12, bytes, out), out)?,
        Attribute::List(list) => {
            out.push(0x30);
            put_u64(list.len(), out);
            for value in list {
                encode(value, depth + 1, out)?;
            }
        }
        Attribute::Map(map) => {
            out.push(0x31);
            encode_map(map, depth + 1, out)?;
        }
    }
    Ok(())
}

/// Appends a set: its elements as `each` encodes them, sorted by their bytes.
fn encode_set<T>(
    tag: u8,
    elements: impl ExactSizeIterator<Item = T>,
    each: impl Fn(T, &mut Vec<u8>) -> Result<(), BadItem>,
    out: &mut Vec<u8>,
) -> Result<(), BadItem> {
    out.push(tag);
    put_u64(elements.len(), out);
    let mut encoded = Vec::with_capacity(elements.len());
    for element in elements {
        let mut bytes = Vec::new();
        each(element, &mut bytes)?;
        encoded.push(bytes);
    }
    encoded.sort_unstable();
    for bytes in encoded {
        out.extend_from_slice(&bytes);
    }
    Ok(())
}

/// Appends a tag, a length and bytes.
#[inline]
pub fn put_tagged(tag: u8, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), BadItem> {
    out.push(tag);
    put_bytes(bytes, out);
    Ok(())
}

/// Appends a count or a length.
#[inline]
pub fn put_u64(n: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&(n as u64).to_be_bytes());
}

/// Appends a length and bytes.
#[inline]
pub fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_u64(bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// Appends the number in `text`: `[+-]digits[.digits][(e|E)[+-]digits]`, without its tag.
pub fn encode_number(text: &str, out: &mut Vec<u8>) -> Result<(), BadItem> {
    let wrong = || BadItem::NotANumber(text.chars().take(60).collect());
    let bytes = text.as_bytes();
    let mut at = usize::from(matches!(bytes.first(), Some(b'-' | b'+')));
    let negative = bytes.first() == Some(&b'-');
    // Sign, exponent, count, digits: put together before they are appended.
    let mut form = [0u8; 6 + MOST_DIGITS];
    let (head, digits) = form.split_at_mut(6);
    // Significant digits so far; zeros whose worth is not known yet; zeros before the first digit that counts; digits before the point.
    let (mut count, mut zeros, mut leading, mut whole) = (0usize, 0usize, 0i64, 0i64);
    let (mut any, mut point) = (false, false);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'0'..=b'9' => {
                any = true;
                whole += i64::from(!point);
                if byte != b'0' {
                    digits[count.min(MOST_DIGITS)..(count + zeros).min(MOST_DIGITS)].fill(b'0');
                    count += zeros;
                    zeros = 0;
                    if count < MOST_DIGITS {
                        digits[count] = byte;
                    }
                    count += 1;
                } else if count > 0 {
                    zeros += 1;
                } else {
                    leading += 1;
                }
            }
            b'.' if !point => point = true,
            _ => break,
        }
        at += 1;
    }
    if !any {
        return Err(wrong());
    }
    let power = match bytes.get(at) {
        None => 0,
        Some(b'e' | b'E') => power(&bytes[at + 1..]).ok_or_else(wrong)?,
        Some(_) => return Err(wrong()),
    };
    if count == 0 {
        out.push(0x00);
        return Ok(());
    }
    if count > MOST_DIGITS {
        return Err(BadItem::TooManyDigits(count));
    }
    let exponent = power.saturating_add(whole - 1 - leading);
    if !(-130..=125).contains(&exponent) {
        return Err(BadItem::Exponent(exponent));
    }
    head[0] = if negative { 0x02 } else { 0x01 };
    head[1..5].copy_from_slice(&(exponent as i32).to_be_bytes());
    head[5] = count as u8;
    out.extend_from_slice(&form[..6 + count]);
    Ok(())
}

/// The exponent after `e`: beyond any that DynamoDB has it is a decimal number still, and no number of DynamoDB's unless it is a zero.
fn power(text: &[u8]) -> Option<i64> {
    let (sign, digits) = match text.first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        _ => (1, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0i64, |value, digit| (value * 10 + i64::from(digit - b'0')).min(1 << 40));
    Some(sign * value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn bytes(value: Attribute) -> Vec<u8> {
        let mut out = Vec::new();
        encode_item(&BTreeMap::from([("a".to_owned(), value)]), &mut out).unwrap();
        out
    }

    fn number(text: &str) -> Vec<u8> {
        bytes(Attribute::Number(text.into()))
    }

    fn parse(text: &str) -> Result<(), BadItem> {
        encode_number(text, &mut Vec::new())
    }

    #[test]
    fn numbers_have_one_form() {
        for (one, other) in [
            ("1.50", "1.5"),
            ("-0", "0"),
            ("0.00", "0E+20"),
            ("1E+2", "100"),
            ("1e2", "100.000"),
            ("0.001", "1E-3"),
            ("+7", "7"),
            (".5", "0.5"),
            ("-1.20E1", "-12"),
            ("0e999999999999999999999", "0"),
            ("1.", "1"),
            ("100200", "1.002e5"),
            ("00100.500", "100.5"),
            ("0.00100500", "1.005E-3"),
        ] {
            assert_eq!(number(one), number(other), "{one} {other}");
        }
        let apart =
            ["0", "1", "-1", "10", "0.1", "1.5", "15", "9007199254740993", "9007199254740992", "0.1000000000000000055511151231257827"];
        for (i, one) in apart.iter().enumerate() {
            for other in &apart[i + 1..] {
                assert_ne!(number(one), number(other), "{one} {other}");
            }
        }
    }

    #[test]
    fn numbers_that_are_none_are_refused() {
        for text in ["", "-", "1e", "e1", ".", "1.2.3", "0x10", "NaN", "Infinity", "1 ", "１", "1e+-2"] {
            assert_eq!(parse(text), Err(BadItem::NotANumber(text.into())), "{text}");
        }
        assert_eq!(parse(&"1".repeat(39)), Err(BadItem::TooManyDigits(39)));
        assert!(parse(&format!("{}00000", "1".repeat(38))).is_ok());
        assert_eq!(parse("1E+126"), Err(BadItem::Exponent(126)));
        assert!(matches!(parse("1E-99999999999999999999"), Err(BadItem::Exponent(_))));
    }

    #[test]
    fn what_looks_alike_differs() {
        let values = [
            Attribute::Null,
            Attribute::Bool(false),
            Attribute::Bool(true),
            Attribute::String(String::new()),
            Attribute::String("NULL".into()),
            Attribute::String("1".into()),
            Attribute::Number("1".into()),
            Attribute::Binary(vec![]),
            Attribute::Binary(b"1".to_vec()),
            Attribute::List(vec![]),
            Attribute::List(vec![Attribute::Null]),
            Attribute::Map(BTreeMap::new()),
            Attribute::StringSet(vec!["a".into()]),
            Attribute::List(vec![Attribute::String("a".into())]),
            Attribute::BinarySet(vec![b"a".to_vec()]),
            Attribute::NumberSet(vec!["1".into()]),
        ];
        for (i, one) in values.iter().enumerate() {
            for other in &values[i + 1..] {
                assert_ne!(bytes(one.clone()), bytes(other.clone()), "{one:?} {other:?}");
            }
        }
        let (mut empty, mut absent) = (Vec::new(), bytes(Attribute::Null));
        encode_item(&BTreeMap::new(), &mut empty).unwrap();
        assert_ne!(empty, absent);
        absent.clear();
        // A shift between a name and its value.
        let one: Item = BTreeMap::from([("ab".into(), Attribute::String("c".into()))]);
        let other: Item = BTreeMap::from([("a".into(), Attribute::String("bc".into()))]);
        let (mut left, mut right) = (Vec::new(), Vec::new());
        encode_item(&one, &mut left).unwrap();
        encode_item(&other, &mut right).unwrap();
        assert_ne!(left, right);
    }

    #[test]
    fn sets_have_no_order_and_lists_have() {
        let set = |texts: &[&str]| bytes(Attribute::NumberSet(texts.iter().map(|text| (*text).into()).collect()));
        assert_eq!(set(&["3", "1.0", "2"]), set(&["1", "2.00", "3"]));
        let list = |texts: &[&str]| bytes(Attribute::List(texts.iter().map(|text| Attribute::Number((*text).into())).collect()));
        assert_ne!(list(&["1", "2"]), list(&["2", "1"]));
    }

    #[test]
    fn depth_is_limited_and_a_key_must_be_there() {
        let mut deep = Attribute::Null;
        for _ in 0..DEEPEST + 2 {
            deep = Attribute::List(vec![deep]);
        }
        assert_eq!(encode_item(&BTreeMap::from([("a".into(), deep)]), &mut Vec::new()), Err(BadItem::TooDeep));
        let schema = KeySchema(vec!["pk".into()]);
        assert_eq!(encode_key(&BTreeMap::new(), &schema, &mut Vec::new()), Err(BadItem::NoKey("pk".into())));
    }
}
