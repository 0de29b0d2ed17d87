//! RFC 8785 (JSON Canonicalization Scheme): the one spelling that is hashed and signed.
//!
//! Only integers below 2^53 are accepted: a float has more than one history and the testing log has none to tell.

use serde::Serialize;
use serde_json::Value;

/// A value that has no canonical form here.
#[derive(Debug, thiserror::Error)]
pub enum NotCanonical {
    /// A number with a fraction, an exponent, or a magnitude of 2^53 and more.
    #[error("number {0} at {1}: only integers below 2^53 have a place in canonical JSON here")]
    Number(String, String),
    /// The value could not be turned into JSON at all.
    #[error("not representable as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// RFC 8785 bytes of `value`, no final newline; members sorted by UTF-16 code units.
pub fn to_bytes<T: Serialize>(value: &T) -> Result<Vec<u8>, NotCanonical> {
    let value = serde_json::to_value(value)?;
    let mut out = Vec::with_capacity(256);
    write(&value, "$", &mut out)?;
    Ok(out)
}

/// True when `bytes` are exactly the canonical form of the value that they spell.
pub fn is_canonical(bytes: &[u8]) -> bool {
    serde_json::from_slice::<Value>(bytes).ok().and_then(|value| to_bytes(&value).ok()).is_some_and(|form| form == bytes)
}

fn write(value: &Value, path: &str, out: &mut Vec<u8>) -> Result<(), NotCanonical> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => {
            let small = |n: i128| n.unsigned_abs() < (1 << 53);
            let integer = number.as_i64().map(i128::from).or(number.as_u64().map(i128::from));
            match integer {
                Some(n) if small(n) => out.extend_from_slice(n.to_string().as_bytes()),
                _ => return Err(NotCanonical::Number(number.to_string(), path.to_owned())),
            }
        }
        // serde_json escapes exactly what RFC 8785 §3.2.2.2 asks for: the two-character forms, \u00xx in lower case, nothing else.
        Value::String(text) => out.extend_from_slice(serde_json::to_string(text)?.as_bytes()),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, &format!("{path}[{index}]"), out)?;
            }
            out.push(b']');
        }
        Value::Object(members) => {
            let mut names: Vec<&String> = members.keys().collect();
            names.sort_by(|a, b| a.encode_utf16().cmp(b.encode_utf16()));
            out.push(b'{');
            for (index, name) in names.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(serde_json::to_string(name)?.as_bytes());
                out.push(b':');
                write(&members[*name], &format!("{path}.{name}"), out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn members_sort_by_utf16_and_controls_escape_as_rfc_8785_shows() {
        // The property order of RFC 8785 §3.2.3's own example.
        let value = json!({"\u{20ac}": "Euro Sign", "\r": "Carriage Return", "\u{fb33}": "Hebrew Letter Dalet With Dagesh", "1": "One",
            "\u{1f600}": "Emoji: Grinning Face", "\u{80}": "Control", "\u{f6}": "Latin Small Letter O With Diaeresis"});
        let text = String::from_utf8(to_bytes(&value).unwrap()).unwrap();
        let order: Vec<usize> =
            ["Carriage", "One", "Control", "Latin", "Euro", "Emoji", "Hebrew"].iter().map(|w| text.find(w).unwrap()).collect();
        assert!(order.is_sorted(), "{text}");
        assert_eq!(to_bytes(&json!("\u{0f}\n\"\\/")).unwrap(), br#""\u000f\n\"\\/""#);
    }

    #[test]
    fn floats_and_large_integers_are_refused_by_path() {
        let error = to_bytes(&json!({"a": [1, 1.5]})).unwrap_err().to_string();
        assert!(error.contains("$.a[1]"), "{error}");
        assert!(to_bytes(&json!(1u64 << 53)).is_err());
        assert!(to_bytes(&json!((1u64 << 53) - 1)).is_ok());
    }

    #[test]
    fn only_the_canonical_spelling_is_canonical() {
        assert!(is_canonical(br#"{"a":1,"b":2}"#));
        assert!(!is_canonical(br#"{"b":2,"a":1}"#));
        assert!(!is_canonical(br#"{"a": 1}"#));
        assert!(!is_canonical(br#"{"a":1,"a":1}"#));
    }
}
