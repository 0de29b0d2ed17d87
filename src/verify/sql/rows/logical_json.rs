//! JSON by meaning: members sorted by the bytes of their names, the last of equal names kept, numbers exact, no space.
//!
//! A number is `[-]DIGITS[eEXPONENT]`, digits without leading or trailing zeros, zero `0`: 1.50 and 15e-1 are `15e-1`. RFC 8785 is not
//! it: that form rounds numbers to doubles. What is no JSON, is nested too deeply, or names half a surrogate pair, has no such form.

use std::collections::BTreeMap;

use crate::verify::sql::rows::fields::{parts_of_decimal, sized, whole};
use crate::verify::sql::rows::logical_text::number;
use crate::verify::sql::rows::tag;

/// Deepest nesting that is followed.
const DEPTH: u32 = 128;

/// The canonical text of a JSON text.
pub fn canonical(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?;
    let mut reader = Reader { text, at: 0 };
    let mut out = Vec::with_capacity(text.len());
    reader.value(&mut out, 0)?;
    reader.space();
    (reader.at == text.len()).then_some(out)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, wanted: u8) -> Option<()> {
        self.space();
        (self.peek()? == wanted).then(|| self.at += 1)
    }

    fn value(&mut self, out: &mut Vec<u8>, depth: u32) -> Option<()> {
        self.space();
        if depth > DEPTH {
            return None;
        }
        match self.peek()? {
            b'{' => self.object(out, depth),
            b'[' => self.array(out, depth),
            b'"' => {
                let string = self.string()?;
                put_string(&string, out);
                Some(())
            }
            b'-' | b'0'..=b'9' => {
                let rest = &self.text[self.at..];
                let end = rest.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')).unwrap_or(rest.len());
                self.at += end;
                put_number(&rest[..end], out)
            }
            _ => {
                let word = ["true", "false", "null"].into_iter().find(|word| self.text[self.at..].starts_with(word))?;
                self.at += word.len();
                out.extend_from_slice(word.as_bytes());
                Some(())
            }
        }
    }

    fn object(&mut self, out: &mut Vec<u8>, depth: u32) -> Option<()> {
        self.take(b'{')?;
        let mut members: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        self.space();
        if self.peek()? != b'}' {
            loop {
                self.space();
                let name = self.string()?;
                self.take(b':')?;
                let mut value = Vec::new();
                self.value(&mut value, depth + 1)?;
                members.insert(name, value);
                if self.take(b',').is_none() {
                    break;
                }
            }
        }
        self.take(b'}')?;
        out.push(b'{');
        for (at, (name, value)) in members.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            put_string(name, out);
            out.push(b':');
            out.extend_from_slice(value);
        }
        out.push(b'}');
        Some(())
    }

    fn array(&mut self, out: &mut Vec<u8>, depth: u32) -> Option<()> {
        self.take(b'[')?;
        out.push(b'[');
        self.space();
        if self.peek()? != b']' {
            loop {
                self.value(out, depth + 1)?;
                if self.take(b',').is_none() {
                    break;
                }
                out.push(b',');
            }
        }
        self.take(b']')?;
        out.push(b']');
        Some(())
    }

    /// The string at the cursor; the cursor goes behind it. Unescaping is serde_json's.
    fn string(&mut self) -> Option<String> {
        let rest = &self.text[self.at..];
        if !rest.starts_with('"') {
            return None;
        }
        let mut escaped = false;
        let end = rest.bytes().skip(1).position(|byte| {
            let closes = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            closes
        })?;
        let whole = &rest[..end + 2];
        self.at += whole.len();
        serde_json::from_str(whole).ok()
    }
}

fn put_string(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("a string is written into memory");
}

/// JSON's own grammar is narrower than `number`'s: no plus sign in front, no bare point, no leading zeros.
fn put_number(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let mantissa = unsigned.split(['e', 'E']).next()?;
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let leading = before.len() > 1 && before.starts_with('0');
    if before.is_empty() || after.is_empty() || leading || !before.bytes().chain(after.bytes()).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (negative, exponent, digits) = number(text)?;
    put_decimal(negative, exponent, &digits, out)
}

fn put_decimal(negative: bool, exponent: i64, digits: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let zeros = digits.iter().rev().take_while(|digit| **digit == b'0').count();
    let kept = &digits[..digits.len() - zeros];
    if kept.is_empty() {
        out.push(b'0');
        return Some(());
    }
    if negative {
        out.push(b'-');
    }
    out.extend_from_slice(kept);
    let exponent = exponent.checked_add(i64::try_from(zeros).ok()?)?;
    if exponent != 0 {
        out.extend_from_slice(format!("e{exponent}").as_bytes());
    }
    Some(())
}

/// The JSON array of an exact array field whose elements have a form in JSON: numbers, text, booleans, NULL. Lower bounds are not
/// part of it.
pub fn of_array(exact: &[u8]) -> Option<Vec<u8>> {
    let (kind, payload) = exact.split_first()?;
    if *kind != tag::ARRAY {
        return None;
    }
    let (count, mut rest) = payload.split_first_chunk::<4>()?;
    let mut lengths = Vec::new();
    for _ in 0..u32::from_be_bytes(*count) {
        let (length, after) = rest.split_first_chunk::<4>()?;
        lengths.push(u32::from_be_bytes(*length));
        rest = after.get(4..)?;
    }
    let mut out = Vec::new();
    if lengths.is_empty() {
        out.extend_from_slice(b"[]");
    } else {
        dimension(&lengths, &mut rest, &mut out)?;
    }
    rest.is_empty().then_some(out)
}

fn dimension(lengths: &[u32], rest: &mut &[u8], out: &mut Vec<u8>) -> Option<()> {
    let Some((length, inner)) = lengths.split_first() else { return element(rest, out) };
    out.push(b'[');
    for at in 0..*length {
        if at > 0 {
            out.push(b',');
        }
        dimension(inner, rest, out)?;
    }
    out.push(b']');
    Some(())
}

fn element(rest: &mut &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (kind, payload) = rest.split_first()?;
    let length = |from: usize| -> Option<usize> {
        let bytes: [u8; 8] = payload.get(from..from + 8)?.try_into().ok()?;
        usize::try_from(u64::from_be_bytes(bytes)).ok()?.checked_add(from + 8)
    };
    let size = match *kind {
        tag::NULL => 0,
        tag::BOOLEAN => 1,
        tag::INTEGER => 9,
        tag::F32 => 4,
        tag::F64 => 8,
        tag::DECIMAL => length(5)?,
        tag::TEXT | tag::ENUM => length(0)?,
        _ => return None,
    };
    let own = payload.get(..size)?;
    *rest = &payload[size..];
    match *kind {
        tag::NULL => out.extend_from_slice(b"null"),
        tag::BOOLEAN => out.extend_from_slice(if own == [1] { b"true" } else { b"false" }),
        tag::INTEGER => {
            let (negative, magnitude) = whole(own)?;
            put_decimal(negative, 0, magnitude.to_string().trim_start_matches('0').as_bytes(), out)?;
        }
        tag::F32 => put_number(&finite(f32::from_be_bytes(own.try_into().ok()?).into())?, out)?,
        tag::F64 => put_number(&finite(f64::from_be_bytes(own.try_into().ok()?))?, out)?,
        tag::DECIMAL => {
            let (negative, scale, digits) = parts_of_decimal(own)?;
            put_decimal(negative, -i64::from(scale), digits, out)?;
        }
        _ => put_string(std::str::from_utf8(sized(own)?).ok()?, out),
    }
    Some(())
}

fn finite(value: f64) -> Option<String> {
    value.is_finite().then(|| format!("{value:e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> Option<String> {
        canonical(json.as_bytes()).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn equal_meanings_have_one_text() {
        assert_eq!(text(r#" {"b" : 1.50, "a":[true,null,"\u00e9\n"], "a": 1E2} "#).as_deref(), Some(r#"{"a":1e2,"b":15e-1}"#));
        for (one, other) in [
            ("100", "1e2"),
            ("-0.0", "0"),
            ("0.10", "1e-1"),
            (r#""\u0041""#, r#""A""#),
            ("12345678901234567890.10", "123456789012345678901e-1"),
        ] {
            assert_eq!(text(one), text(other), "{one}");
        }
        assert_ne!(text("9007199254740993"), text("9007199254740992"), "not by way of doubles");
        for bad in ["", "{", "[1,]", "01", ".5", "+1", "1.", "tru", r#"{"a"}"#, r#""\ud800""#, "1 2", &"[".repeat(200)] {
            assert_eq!(text(bad), None, "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_brought_to_a_form_or_refused_and_the_form_is_its_own(bytes in proptest::collection::vec(proptest::sample::select(b"{}[]\",:0123e.-\\u \xff".to_vec()), 0..40)) {
            of_array(&bytes);
            if let Some(form) = canonical(&bytes) {
                proptest::prop_assert_eq!(canonical(&form), Some(form.clone()));
            }
        }
    }
}
