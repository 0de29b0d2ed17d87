//! JSON read token by token (RFC 8259 within what DynamoDB writes): nothing allocated but what has to be unescaped.
//!
//! Not here: what the tokens mean (`json`).

use std::borrow::Cow;

use crate::verify::items::canonical::{BadItem, DEEPEST};

/// A line that is no item of DynamoDB's.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadLine {
    /// Not the JSON that it had to be.
    #[error("at byte {at}: expected {expected}")]
    Syntax {
        /// Where.
        at: usize,
        /// What was expected there.
        expected: &'static str,
    },
    /// A name that comes twice in one object.
    #[error("the name `{0}` comes twice in one object")]
    Twice(String),
    /// A value that DynamoDB does not hold.
    #[error(transparent)]
    Item(#[from] BadItem),
}

/// The bytes before the first `"`, `\` or control character: eight at a time, by the arithmetic that finds a zero byte in a word (what lies
/// above the lowest byte that was found may be found by a borrow alone, so only the lowest counts).
#[inline]
fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let (words, rest) = bytes.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let quote = zero(word ^ (ONES * u64::from(b'"')));
        let backslash = zero(word ^ (ONES * u64::from(b'\\')));
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let found = (quote | backslash | control) & HIGH;
        if found != 0 {
            return at * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    bytes.len() - rest.len() + rest.iter().position(ends).unwrap_or(rest.len())
}

/// DynamoDB's types of values (DynamoDB API Reference, AttributeValue).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Kind {
    /// String
    #[default]
    S,
    /// Number
    N,
    /// Binary
    B,
    /// Boolean
    Bool,
    /// Null
    Null,
    /// String set
    Ss,
    /// Number set
    Ns,
    /// Binary set
    Bs,
    /// List
    L,
    /// Map
    M,
}

/// Reads JSON from a text, token by token.
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    /// Before the first token of `text`.
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// An error at the place that has been reached.
    pub fn wrong(&self, expected: &'static str) -> BadLine {
        BadLine::Syntax { at: self.at, expected }
    }

    #[inline]
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    /// Takes `byte` where it is the next token.
    #[inline]
    pub fn eat(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    /// Takes these bytes where they follow, which end where a token does; nothing is never taken.
    #[inline]
    pub fn eat_all(&mut self, bytes: &[u8]) -> bool {
        let there = !bytes.is_empty() && self.rest().starts_with(bytes);
        self.at += if there { bytes.len() } else { 0 };
        there
    }

    /// What has not been read.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.at..]
    }

    /// Takes `byte`, or says what was expected.
    #[inline]
    pub fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), BadLine> {
        if self.eat(byte) { Ok(()) } else { Err(self.wrong(expected)) }
    }

    /// Nothing but white space may follow.
    pub fn end(&mut self) -> Result<(), BadLine> {
        if self.peek().is_none() { Ok(()) } else { Err(self.wrong("the end of the line")) }
    }

    /// The beginning of a typed value up to what it holds: `{"S":`.
    #[inline]
    pub fn kind(&mut self) -> Result<Kind, BadLine> {
        // As services write the commonest, without white space; whatever it is otherwise is read token by token.
        if let Some([b'{', b'"', letter, b'"', b':']) = self.text.as_bytes()[self.at..].first_chunk::<5>() {
            let kind = match letter {
                b'S' => Some(Kind::S),
                b'N' => Some(Kind::N),
                b'B' => Some(Kind::B),
                b'L' => Some(Kind::L),
                b'M' => Some(Kind::M),
                _ => None,
            };
            if let Some(kind) = kind {
                self.at += 5;
                return Ok(kind);
            }
        }
        self.spelled_kind()
    }

    fn spelled_kind(&mut self) -> Result<Kind, BadLine> {
        self.expect(b'{', "a typed value")?;
        let kind = self.string()?;
        self.expect(b':', "`:`")?;
        Ok(match kind.as_ref() {
            "S" => Kind::S,
            "N" => Kind::N,
            "B" => Kind::B,
            "BOOL" => Kind::Bool,
            "NULL" => Kind::Null,
            "SS" => Kind::Ss,
            "NS" => Kind::Ns,
            "BS" => Kind::Bs,
            "L" => Kind::L,
            "M" => Kind::M,
            _ => return Err(self.wrong("a type of DynamoDB's: S, N, B, BOOL, NULL, SS, NS, BS, L or M")),
        })
    }

    /// A string; borrowed unless it has escapes.
    #[inline(always)]
    pub fn string(&mut self) -> Result<Cow<'a, str>, BadLine> {
        self.expect(b'"', "a string")?;
        let start = self.at;
        self.at += plain(&self.text.as_bytes()[start..]);
        if self.text.as_bytes().get(self.at) == Some(&b'"') {
            let text = &self.text[start..self.at];
            self.at += 1;
            return Ok(Cow::Borrowed(text));
        }
        self.long_string(start)
    }

    /// The string from `start` on, of which something stands next that is not plain.
    #[cold]
    fn long_string(&mut self, start: usize) -> Result<Cow<'a, str>, BadLine> {
        match self.text.as_bytes().get(self.at) {
            Some(b'\\') => self.unescape(start).map(Cow::Owned),
            Some(_) => Err(self.wrong("no control character in a string")),
            None => Err(self.wrong("the end of a string")),
        }
    }

    fn unescape(&mut self, start: usize) -> Result<String, BadLine> {
        let mut text = self.text[start..self.at].to_owned();
        loop {
            let rest = &self.text[self.at..];
            let Some(c) = rest.chars().next() else { return Err(self.wrong("the end of a string")) };
            self.at += c.len_utf8();
            match c {
                '"' => return Ok(text),
                '\\' => text.push(self.escape()?),
                c if c < ' ' => return Err(self.wrong("no control character in a string")),
                c => text.push(c),
            }
        }
    }

    fn escape(&mut self) -> Result<char, BadLine> {
        let byte = self.text.as_bytes().get(self.at).copied();
        self.at += usize::from(byte.is_some_and(|byte| byte.is_ascii()));
        Ok(match byte {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let high = self.hex4()?;
                let code = match high {
                    0xd800..0xdc00 => {
                        if !self.text[self.at..].starts_with("\\u") {
                            return Err(self.wrong("the second half of a surrogate pair"));
                        }
                        self.at += 2;
                        let low = self.hex4()?;
                        if !(0xdc00..0xe000).contains(&low) {
                            return Err(self.wrong("the second half of a surrogate pair"));
                        }
                        0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)
                    }
                    other => other,
                };
                char::from_u32(code).ok_or_else(|| self.wrong("no half of a surrogate pair alone"))?
            }
            _ => return Err(self.wrong("an escape of JSON's")),
        })
    }

    fn hex4(&mut self) -> Result<u32, BadLine> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.ok_or_else(|| self.wrong("four hexadecimal digits"))?;
        let code = digits.iter().fold(0, |code, digit| code * 16 + (*digit as char).to_digit(16).unwrap_or(0));
        self.at += 4;
        Ok(code)
    }

    /// `true` or `false`.
    pub fn boolean(&mut self) -> Result<bool, BadLine> {
        self.peek();
        for (word, value) in [("true", true), ("false", false)] {
            if self.text[self.at..].starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.wrong("`true` or `false`"))
    }

    /// An array of strings.
    pub fn strings(&mut self) -> Result<Vec<Cow<'a, str>>, BadLine> {
        let mut all = Vec::new();
        self.each(|reader| {
            all.push(reader.string()?);
            Ok(())
        })?;
        Ok(all)
    }

    /// Every element of an array.
    pub fn each(&mut self, mut element: impl FnMut(&mut Self) -> Result<(), BadLine>) -> Result<(), BadLine> {
        self.expect(b'[', "an array")?;
        if self.eat(b']') {
            return Ok(());
        }
        loop {
            element(self)?;
            if !self.eat(b',') {
                return self.expect(b']', "`,` or `]`");
            }
        }
    }

    /// Every member of an object.
    pub fn members(&mut self, mut member: impl FnMut(&str, &mut Self) -> Result<(), BadLine>) -> Result<(), BadLine> {
        self.expect(b'{', "an object")?;
        if self.eat(b'}') {
            return Ok(());
        }
        loop {
            let name = self.string()?;
            self.expect(b':', "`:`")?;
            member(&name, self)?;
            if !self.eat(b',') {
                return self.expect(b'}', "`,` or `}`");
            }
        }
    }

    /// Passes over any value; gives its text.
    pub fn skip(&mut self) -> Result<&'a str, BadLine> {
        self.peek();
        let start = self.at;
        self.skip_value(0)?;
        Ok(&self.text[start..self.at])
    }

    /// Takes `null` where it is the next token.
    pub fn null(&mut self) -> bool {
        self.peek();
        let there = self.text[self.at..].starts_with("null");
        self.at += if there { 4 } else { 0 };
        there
    }

    /// Passes over an object by its brackets and strings alone, and gives where it lies: what is in it is read by whoever takes it apart.
    pub fn skip_object(&mut self) -> Result<(usize, usize), BadLine> {
        if self.peek() != Some(b'{') {
            return Err(self.wrong("an object"));
        }
        let (start, bytes) = (self.at, self.text.as_bytes());
        let mut open = 0u64;
        while let Some(byte) = bytes.get(self.at) {
            self.at += 1;
            match byte {
                b'"' => self.skip_string()?,
                b'{' | b'[' => open += 1,
                b'}' | b']' => {
                    open -= 1;
                    if open == 0 {
                        return Ok((start, self.at));
                    }
                }
                _ => {}
            }
        }
        Err(self.wrong("the end of an object"))
    }

    /// Passes over the rest of a string.
    #[inline]
    fn skip_string(&mut self) -> Result<(), BadLine> {
        let bytes = self.text.as_bytes();
        loop {
            self.at += plain(&bytes[self.at..]);
            match bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                // What is escaped is read later; here only that it does not end the string. Halves of a character are never cut: its bytes end nothing.
                Some(b'\\') if self.at + 2 <= bytes.len() => self.at += 2,
                Some(b'\\') | None => return Err(self.wrong("the end of a string")),
                Some(_) => return Err(self.wrong("no control character in a string")),
            }
        }
    }

    fn skip_value(&mut self, depth: usize) -> Result<(), BadLine> {
        if depth > 4 * DEEPEST {
            return Err(BadItem::TooDeep.into());
        }
        match self.peek() {
            Some(b'{') => self.members(|_, reader| reader.skip_value(depth + 1)),
            Some(b'[') => self.each(|reader| reader.skip_value(depth + 1)),
            Some(b'"') => self.string().map(drop),
            Some(b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
                let rest = &self.text.as_bytes()[self.at..];
                self.at += rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.')).count();
                Ok(())
            }
            _ => Err(self.wrong("a value")),
        }
    }
}
