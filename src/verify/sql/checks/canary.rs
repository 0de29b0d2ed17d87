//! Canaries: values planted in the source before a backup, known afterwards by their keyed digest alone.
//!
//! The value itself is never recorded: whoever reads a manifest or a log must not be able to plant it again.

use crate::model::check::CheckOutcome;
use crate::signing::hash_key::HashKey;
use crate::verify::sql::checks::answer::{Class, Exact};

/// The purpose that the hash key is derived for.
const CONTEXT: &str = "attestore canary v2";
/// The same of versions that digested what a value is shown as.
const EARLIER: &str = "attestore canary v1";
/// How a baseline begins that tells what a value is.
const OF_TODAY: &str = "blake3-keyed-v2:";

/// The baseline that stands for a planted value: of what it is, a zero byte, and all of it.
///
/// # Errors
/// Where the server does not show all of it.
pub fn digest(key: &HashKey, value: &Exact) -> Result<String, String> {
    if value.class == Class::Rounded {
        return Err("the server shows six digits of a FLOAT: select it as a double, `column + 0e0`".to_owned());
    }
    let told = [value.class.name().as_bytes(), &[0], &value.bytes].concat();
    Ok(format!("{OF_TODAY}{}", blake3::keyed_hash(&key.derive(CONTEXT), &told).to_hex()))
}

/// As earlier versions had it, of the value's text.
pub fn earlier(key: &HashKey, text: &str) -> String {
    format!("blake3-keyed:{}", blake3::keyed_hash(&key.derive(EARLIER), text.as_bytes()).to_hex())
}

/// What became of a planted value, beside its baseline: the digest of what was found, and the verdict.
///
/// # Errors
/// As [`digest`].
pub fn judge(key: &HashKey, expected: &str, (text, value): (&str, &Exact)) -> Result<(String, CheckOutcome, Option<&'static str>), String> {
    let is_of_today = expected.starts_with(OF_TODAY) || !expected.starts_with("blake3-keyed:");
    if is_of_today {
        let found = digest(key, value)?;
        let is_same = found == expected;
        let (outcome, why) = if is_same { (CheckOutcome::Pass, None) } else { (CheckOutcome::Fail, Some("not what was planted")) };
        return Ok((found, outcome, why));
    }
    let found = earlier(key, text);
    let outcome = match shown_earlier(text, value) {
        _ if found == expected => CheckOutcome::Pass,
        Shown::AsAnyOf(texts) if texts.iter().any(|text| earlier(key, text) == expected) => CheckOutcome::Pass,
        Shown::InPart(text) if earlier(key, &text) == expected => CheckOutcome::Untested,
        Shown::AsAnyOf(_) | Shown::InPart(_) => CheckOutcome::Fail,
        Shown::SomeHow => CheckOutcome::Untested,
    };
    let why = match outcome {
        CheckOutcome::Pass => None,
        CheckOutcome::Untested => Some("an earlier version recorded what was planted by how it was shown then: capture the manifest again"),
        _ => Some("not what was planted"),
    };
    Ok((found, outcome, why))
}

/// How earlier versions had a value as text.
enum Shown {
    /// As one of these and nothing else.
    AsAnyOf(Vec<String>),
    /// As what is left where bytes are no text: others have the same.
    InPart(String),
    /// As settings of the database had it, or with fewer digits than it has.
    SomeHow,
}

fn shown_earlier(text: &str, value: &Exact) -> Shown {
    match value.class {
        Class::Number | Class::Written => Shown::AsAnyOf(vec![text.to_owned()]),
        Class::Text | Class::Bytes => match std::str::from_utf8(&value.bytes) {
            // PostgreSQL had two ways to write bytes, the others took them for text.
            Ok(text) => Shown::AsAnyOf(vec![text.to_owned(), in_hex(&value.bytes), escaped(&value.bytes)]),
            Err(_) if text.starts_with("\\x") => Shown::AsAnyOf(vec![in_hex(&value.bytes), escaped(&value.bytes)]),
            Err(_) => Shown::InPart(String::from_utf8_lossy(&value.bytes).into_owned()),
        },
        Class::Float if value.bytes.len() == size_of::<f64>() => Shown::AsAnyOf(vec![text.to_owned()]),
        Class::Float | Class::Styled | Class::Rounded => Shown::SomeHow,
    }
}

fn in_hex(bytes: &[u8]) -> String {
    format!("\\x{}", hex::encode(bytes))
}

/// `bytea_output = escape` (PostgreSQL 15, section 8.4.2).
fn escaped(bytes: &[u8]) -> String {
    let byte = |byte: &u8| match byte {
        b'\\' => "\\\\".to_owned(),
        0x20..=0x7e => char::from(*byte).to_string(),
        _ => format!("\\{byte:03o}"),
    };
    bytes.iter().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(class: Class, bytes: &[u8]) -> Exact {
        Exact { class, bytes: bytes.to_owned() }
    }

    #[test]
    fn the_digest_is_keyed_and_hides_the_value() {
        let (one, other) = (HashKey::from_bytes([1; 32]), HashKey::from_bytes([2; 32]));
        let of = |key, text: &str| digest(key, &value(Class::Text, text.as_bytes())).unwrap();
        assert_eq!(of(&one, "nightingale"), of(&one, "nightingale"));
        assert_ne!(of(&one, "nightingale"), of(&other, "nightingale"));
        assert_ne!(of(&one, "nightingale"), of(&one, "nightingale "));
        assert!(!of(&one, "nightingale").contains("nightingale"));
        assert!(digest(&one, &value(Class::Rounded, b"0.1")).is_err());
    }

    #[test]
    fn what_shows_the_same_text_is_not_the_same() {
        let key = HashKey::from_bytes([1; 32]);
        let (text, number) = (value(Class::Text, b"1"), value(Class::Number, b"1"));
        let (planted, as_earlier) = (digest(&key, &text).unwrap(), earlier(&key, "1"));
        let verdict = |expected: &str, text: &str, value: &Exact| judge(&key, expected, (text, value)).unwrap().1;
        assert_eq!([verdict(&planted, "1", &text), verdict(&planted, "1", &number)], [CheckOutcome::Pass, CheckOutcome::Fail]);
        // Earlier versions could not tell.
        assert_eq!([verdict(&as_earlier, "1", &number), verdict(&as_earlier, "2", &number)], [CheckOutcome::Pass, CheckOutcome::Fail]);
        // Bytes that are no text left as much of themselves as others; PostgreSQL wrote all of them, in one of two ways.
        let of_bytes = |shown: &str, found: &[u8], text: &str| verdict(&earlier(&key, shown), text, &value(Class::Bytes, found));
        assert_eq!(of_bytes("\u{fffd}", &[0xff], "0xff"), CheckOutcome::Untested);
        assert_eq!(of_bytes("a\u{fffd}", &[0xff], "0xff"), CheckOutcome::Fail);
        assert_eq!([of_bytes("ab", b"ab", "ab"), of_bytes("ab", b"ac", "ac")], [CheckOutcome::Pass, CheckOutcome::Fail]);
        for shown in ["\\xff5c61", "\\377\\\\a"] {
            assert_eq!(of_bytes(shown, &[0xff, b'\\', b'a'], "\\xff5c61"), CheckOutcome::Pass, "{shown}");
            assert_eq!(of_bytes(shown, &[0xfe, b'\\', b'a'], "\\xfe5c61"), CheckOutcome::Fail, "{shown}");
        }
        assert_eq!(verdict(&as_earlier, "2026-01-01", &value(Class::Written, b"2026-01-01")), CheckOutcome::Fail);
        assert_eq!(verdict(&as_earlier, "1 day", &value(Class::Styled, b"1 day")), CheckOutcome::Untested);
        // The six digits of a FLOAT were `1.23457`.
        let of_float = earlier(&key, "1.23457");
        assert_eq!(verdict(&of_float, "1.2345679", &value(Class::Float, &1.234_567_9_f32.to_bits().to_be_bytes())), CheckOutcome::Untested);
    }
}
