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
    let found = if is_of_today { digest(key, value)? } else { earlier(key, text) };
    let is_shown_alike = match value.class {
        Class::Text => std::str::from_utf8(&value.bytes).is_ok(),
        // Of a FLOAT, six digits were shown.
        Class::Float => value.bytes.len() == size_of::<f64>(),
        Class::Number => true,
        Class::Bytes | Class::Written | Class::Rounded => false,
    };
    let (outcome, why) = if found == expected {
        (CheckOutcome::Pass, None)
    } else if is_of_today || is_shown_alike {
        (CheckOutcome::Fail, Some("not what was planted"))
    } else {
        // How bytes, times and some numbers are shown hung on settings of the database, and on the version.
        (CheckOutcome::Untested, Some("an earlier version recorded what was planted by how it was shown then: capture the manifest again"))
    };
    Ok((found, outcome, why))
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
        assert_eq!(verdict(&as_earlier, "0xff", &value(Class::Bytes, &[0xff])), CheckOutcome::Untested);
        // The six digits of a FLOAT were `1.23457`.
        let of_float = earlier(&key, "1.23457");
        assert_eq!(verdict(&of_float, "1.2345679", &value(Class::Float, &1.234_567_9_f32.to_bits().to_be_bytes())), CheckOutcome::Untested);
    }
}
