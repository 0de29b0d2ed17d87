//! The lines of an export in Amazon Ion, as DynamoDB writes them, into DynamoDB JSON: from there on both formats are read alike.
//!
//! What is read is the part of Ion text that items need (Ion specification, "Text encoding"; developer guide, "DynamoDB table export output format"):
//! structs, lists, strings, booleans, nulls, decimals and integers, blobs, and the annotations `$dynamodb_SS`, `_NS`, `_BS` of sets. Everything else
//! is refused and never guessed: symbol ids and tables, floats, timestamps, long strings, clobs, comments, other annotations.
//!
//! Why not the crate `ion-rs`: it is well kept, and brings nine more crates and a reader that recurses as deep as foreign bytes nest.

use crate::verify::items::canonical::{BadItem, DEEPEST};
use crate::verify::items::reader::BadLine;

/// The members of a record that hold attributes.
const ATTRIBUTES: [&str; 5] = ["Item", "Keys", "NewImage", "OldImage", "Metadata"];

/// A line in DynamoDB JSON.
///
/// # Errors
/// Where it has anything that no item has, with its place.
pub fn to_json(line: &str) -> Result<String, BadLine> {
    let mut reader = Ion { text: line, at: 0, out: String::with_capacity(line.len() * 3 / 2) };
    if reader.eat_word("$ion_1_0") && !reader.text[reader.at..].starts_with(|c: char| c.is_ascii_whitespace() || c == '{') {
        return Err(reader.wrong("the end of the version marker"));
    }
    reader.members(&mut |name, reader| {
        if ATTRIBUTES.contains(&name) { reader.map(0) } else { Err(reader.wrong("Item, Keys, NewImage, OldImage or Metadata before here")) }
    })?;
    if reader.peek().is_some() {
        return Err(reader.wrong("the end of the line"));
    }
    Ok(reader.out)
}

/// What is done with a member of a struct.
type Member<'m, 'a> = &'m mut dyn FnMut(&str, &mut Ion<'a>) -> Result<(), BadLine>;

struct Ion<'a> {
    text: &'a str,
    at: usize,
    out: String,
}

impl<'a> Ion<'a> {
    fn wrong(&self, expected: &'static str) -> BadLine {
        BadLine::Syntax { at: self.at, expected }
    }

    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), BadLine> {
        if self.eat(byte) { Ok(()) } else { Err(self.wrong(expected)) }
    }

    fn eat_word(&mut self, word: &str) -> bool {
        self.peek();
        let there = self.text[self.at..].starts_with(word);
        self.at += if there { word.len() } else { 0 };
        there
    }

    /// A struct, written as an object.
    fn members(&mut self, member: Member<'_, 'a>) -> Result<(), BadLine> {
        self.expect(b'{', "a struct")?;
        self.out.push('{');
        let mut first = true;
        while !self.eat(b'}') {
            if !first {
                self.expect(b',', "`,` or `}`")?;
                if self.eat(b'}') {
                    break;
                }
                self.out.push(',');
            }
            first = false;
            let name = self.name()?;
            self.expect(b':', "`:`")?;
            self.out += &serde_json::Value::from(name.as_str()).to_string();
            self.out.push(':');
            member(&name, self)?;
        }
        self.out.push('}');
        Ok(())
    }

    /// The name of a field: an identifier, or a quoted symbol or string.
    fn name(&mut self) -> Result<String, BadLine> {
        match self.peek() {
            Some(quote @ (b'\'' | b'"')) if !self.text[self.at..].starts_with("'''") => self.quoted(quote),
            Some(b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'$') => {
                let name = self.identifier();
                // `$7` stands for an entry of a symbol table that nobody has; the keywords are no names.
                let is_id = name.strip_prefix('$').is_some_and(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()));
                if is_id || matches!(name, "null" | "true" | "false" | "nan") {
                    return Err(self.wrong("the name of a field before here"));
                }
                Ok(name.to_owned())
            }
            _ => Err(self.wrong("the name of a field")),
        }
    }

    fn identifier(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let end = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$')).count();
        self.at += end;
        &rest[..end]
    }

    fn map(&mut self, depth: usize) -> Result<(), BadLine> {
        self.members(&mut |_, reader| reader.value(depth))
    }

    /// A value with its type.
    fn value(&mut self, depth: usize) -> Result<(), BadLine> {
        if depth > DEEPEST {
            return Err(BadItem::TooDeep.into());
        }
        match self.peek() {
            Some(b'"') => self.typed("S", |reader| reader.string()),
            Some(b'{') if self.text[self.at..].starts_with("{{") => self.typed("B", |reader| reader.blob()),
            Some(b'{') => self.typed("M", |reader| reader.map(depth + 1)),
            Some(b'[') => self.typed("L", |reader| reader.list(&mut |reader| reader.value(depth + 1))),
            Some(b'-' | b'0'..=b'9') => self.typed("N", |reader| reader.number()),
            Some(b'$') => self.set(),
            Some(b'a'..=b'z') => {
                let (kind, said) = match self.identifier() {
                    "true" => ("BOOL", "true"),
                    "false" => ("BOOL", "false"),
                    // A typed null (`null.string`) is none of DynamoDB's: what follows it is then no separator.
                    "null" => ("NULL", "true"),
                    _ => return Err(self.wrong("a value of DynamoDB's before here")),
                };
                self.typed(kind, |reader| {
                    reader.out += said;
                    Ok(())
                })
            }
            _ => Err(self.wrong("a value of DynamoDB's")),
        }
    }

    fn typed(&mut self, kind: &str, value: impl FnOnce(&mut Self) -> Result<(), BadLine>) -> Result<(), BadLine> {
        self.out += "{\"";
        self.out += kind;
        self.out += "\":";
        value(self)?;
        self.out.push('}');
        Ok(())
    }

    fn list(&mut self, element: &mut dyn FnMut(&mut Self) -> Result<(), BadLine>) -> Result<(), BadLine> {
        self.expect(b'[', "a list")?;
        self.out.push('[');
        let mut first = true;
        while !self.eat(b']') {
            if !first {
                self.expect(b',', "`,` or `]`")?;
                if self.eat(b']') {
                    break;
                }
                self.out.push(',');
            }
            first = false;
            element(self)?;
        }
        self.out.push(']');
        Ok(())
    }

    fn set(&mut self) -> Result<(), BadLine> {
        let kind = match self.identifier() {
            "$dynamodb_SS" => "SS",
            "$dynamodb_NS" => "NS",
            "$dynamodb_BS" => "BS",
            _ => return Err(self.wrong("$dynamodb_SS, $dynamodb_NS or $dynamodb_BS before here")),
        };
        if !self.eat_word("::") {
            return Err(self.wrong("`::`"));
        }
        self.typed(kind, |reader| {
            reader.list(&mut |reader| match (kind, reader.peek()) {
                ("SS", Some(b'"')) => reader.string(),
                ("NS", Some(b'-' | b'0'..=b'9')) => reader.number(),
                ("BS", Some(b'{')) => reader.blob(),
                _ => Err(reader.wrong("an element of the set's type")),
            })
        })
    }

    fn string(&mut self) -> Result<(), BadLine> {
        let text = self.quoted(b'"')?;
        self.out += &serde_json::Value::from(text).to_string();
        Ok(())
    }

    /// A decimal or an integer, as a decimal number with an `E`: `6d2`, `103.`, `-1.5d-3`, `7`. One with an `e` would be a float.
    fn number(&mut self) -> Result<(), BadLine> {
        let rest = &self.text[self.at..];
        let end = rest.bytes().take_while(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'd' | b'D')).count();
        let ends = rest[end..].starts_with(|c: char| c.is_ascii_whitespace() || matches!(c, ',' | ']' | '}'));
        let digits = rest[..end].trim_start_matches('-');
        let leading = digits.starts_with('0') && digits[1..].starts_with(|c: char| c.is_ascii_digit());
        if !ends || leading {
            return Err(self.wrong("a decimal or an integer"));
        }
        self.out.push('"');
        self.out.extend(rest[..end].chars().map(|c| if matches!(c, 'd' | 'D') { 'E' } else { c }));
        self.out.push('"');
        self.at += end;
        Ok(())
    }

    /// `{{ BASE64 }}`
    fn blob(&mut self) -> Result<(), BadLine> {
        let rest = &self.text[self.at..];
        let inner = rest.strip_prefix("{{").and_then(|rest| rest.split_once("}}"));
        let Some((inner, _)) = inner else { return Err(self.wrong("a blob")) };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=') || byte.is_ascii_whitespace();
        if !inner.bytes().all(plain) {
            return Err(self.wrong("base64 in a blob"));
        }
        self.out.push('"');
        self.out.extend(inner.chars().filter(|c| !c.is_ascii_whitespace()));
        self.out.push('"');
        self.at += inner.len() + 4;
        Ok(())
    }

    /// A text between two `quote`s.
    fn quoted(&mut self, quote: u8) -> Result<String, BadLine> {
        self.expect(quote, "a quoted text")?;
        let mut text = String::new();
        loop {
            let Some(c) = self.text[self.at..].chars().next() else { return Err(self.wrong("the end of a quoted text")) };
            self.at += c.len_utf8();
            match c {
                c if c == char::from(quote) => return Ok(text),
                '\\' => text.push(self.escape()?),
                c if c < ' ' && c != '\t' => return Err(self.wrong("no control character in a quoted text")),
                c => text.push(c),
            }
        }
    }

    fn escape(&mut self) -> Result<char, BadLine> {
        let byte = self.text.as_bytes().get(self.at).copied().filter(u8::is_ascii);
        self.at += usize::from(byte.is_some());
        Ok(match byte {
            Some(b'0') => '\0',
            Some(b'a') => '\u{7}',
            Some(b'b') => '\u{8}',
            Some(b't') => '\t',
            Some(b'n') => '\n',
            Some(b'f') => '\u{c}',
            Some(b'r') => '\r',
            Some(b'v') => '\u{b}',
            Some(byte @ (b'"' | b'\'' | b'?' | b'\\' | b'/')) => char::from(byte),
            Some(b'x') => self.code(2)?,
            Some(b'u') => self.code(4)?,
            Some(b'U') => self.code(8)?,
            _ => return Err(self.wrong("an escape of Ion's")),
        })
    }

    /// A character by so many hexadecimal digits; halves of surrogate pairs make one.
    fn code(&mut self, digits: usize) -> Result<char, BadLine> {
        let mut code = self.hex(digits)?;
        if digits == 4 && (0xd800..0xdc00).contains(&code) {
            if !self.text[self.at..].starts_with("\\u") {
                return Err(self.wrong("the second half of a surrogate pair"));
            }
            self.at += 2;
            let low = self.hex(4)?;
            if !(0xdc00..0xe000).contains(&low) {
                return Err(self.wrong("the second half of a surrogate pair"));
            }
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        }
        char::from_u32(code).ok_or_else(|| self.wrong("a character of Unicode's before here"))
    }

    fn hex(&mut self, digits: usize) -> Result<u32, BadLine> {
        let text = self.text.as_bytes().get(self.at..self.at + digits).filter(|text| text.iter().all(u8::is_ascii_hexdigit));
        let text = text.ok_or_else(|| self.wrong("hexadecimal digits"))?;
        let code = text.iter().fold(0u32, |code, digit| (code << 4) | (*digit as char).to_digit(16).unwrap_or(0));
        self.at += digits;
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the developer guide, on one line, with a blob and the other types of sets.
    #[test]
    fn what_dynamodb_writes_becomes_dynamodb_json() {
        let line = "$ion_1_0 {Item:{Authors:$dynamodb_SS::[\"Author1\",\"Author2\"],Dimensions:\"8.5 x 11.0 x 1.5\",ISBN:\"333-3333333333\",Id:103.,\
                    InPublication:false,PageCount:6d2,Price:2d3,nothing:null,'a b':{{AAE=}},ns:$dynamodb_NS::[1.50,-2d-3],bs:$dynamodb_BS::[{{ AQ== }}],\
                    deep:{l:[\"x\\n\\u00e9\\U0001f600\",[],{}]}}}";
        let expected = r#"{"Item":{"Authors":{"SS":["Author1","Author2"]},"Dimensions":{"S":"8.5 x 11.0 x 1.5"},"ISBN":{"S":"333-3333333333"},"Id":{"N":"103."},"InPublication":{"BOOL":false},"PageCount":{"N":"6E2"},"Price":{"N":"2E3"},"nothing":{"NULL":true},"a b":{"B":"AAE="},"ns":{"NS":["1.50","-2E-3"]},"bs":{"BS":["AQ=="]},"deep":{"M":{"l":{"L":[{"S":"x\né😀"},{"L":[]},{"M":{}}]}}}}}"#;
        assert_eq!(to_json(line).unwrap(), expected);
        let change = "{Metadata:{WriteTimestampMicros:1680109764000000.},Keys:{pk:\"a\"}}";
        assert_eq!(to_json(change).unwrap(), r#"{"Metadata":{"WriteTimestampMicros":{"N":"1680109764000000."}},"Keys":{"pk":{"S":"a"}}}"#);
    }

    #[test]
    fn what_no_item_has_is_refused() {
        for value in [
            "1.5e3",
            "2026-01-31T02:00:00Z",
            "symbol",
            "'symbol'",
            "'''long'''",
            "{{\"clob\"}}",
            "null.string",
            "$7",
            "other::1",
            "$dynamodb_SS::[1]",
            "$dynamodb_NS::[\"1\"]",
            "(s x)",
            "0x1f",
            "1_000",
            "007",
            "nan",
            "\"\\q\"",
            "\"\\ud800\"",
            "1 // comment",
            "[1 2]",
            "",
        ] {
            assert!(to_json(&format!("$ion_1_0 {{Item:{{a:{value}}}}}")).is_err(), "{value}");
        }
        for line in ["", "$ion_1_1 {}", "{Item:{$7:1}}", "{Other:{}}", "{Item:{a:1}} {}", "{Item:{a:1}", "[]"] {
            assert!(to_json(line).is_err(), "{line}");
        }
        let deep = format!("{{Item:{{a:{}{}}}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(to_json(&deep).unwrap_err().to_string().contains("nested"));
    }
}
