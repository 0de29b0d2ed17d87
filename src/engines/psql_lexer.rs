//! What `psql` takes its input for, line by line: literals, quoted names, comments, data of `COPY`, and the statements between them
//! (PostgreSQL's `psqlscan.l`; its documentation, "Lexical Structure").
//!
//! Not here: what becomes of a statement (`script`).

use crate::engines::psql_statement::{Statement, TOKEN, Token};

/// Why a line is not the input that it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stray {
    /// A command of the client, by its name.
    Command(String),
    /// A zero byte, which no text of PostgreSQL has.
    Zero,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Plain,
    Standard,
    Escaped,
    /// After an escaped string, which the same quote after a line break goes on with; true behind that break.
    AfterEscaped(bool),
    Name,
    Dollar(Vec<u8>),
    Comment(u32),
}

/// Follows the input.
#[derive(Clone, Debug, Default)]
pub struct Lexer {
    state: State,
    /// How many `COPY` wait for their data.
    data: usize,
    parentheses: u32,
    /// `BEGIN` and `CASE` without their `END` in the body of a routine.
    begun: u32,
    /// The first words of the statement, by their first letters, as far as they make `CREATE [OR REPLACE] FUNCTION | PROCEDURE`.
    opening: Vec<u8>,
    statement: Statement,
    /// Of the literal that is under way.
    content: Vec<u8>,
    copies: bool,
    from: bool,
    /// Its texts are in LATIN1; else those that are no UTF-8 are not read.
    latin1: bool,
    /// Other settings or versions of the client would have read something else.
    ambiguous: bool,
}

impl Lexer {
    /// True before the first token of a statement.
    pub fn is_between(&self) -> bool {
        self.data == 0 && self.is_plain() && self.statement.first.is_empty()
    }

    /// True outside of literals, comments and data.
    pub fn is_plain(&self) -> bool {
        self.data == 0 && matches!(self.state, State::Plain | State::AfterEscaped(_))
    }

    /// True inside of data of `COPY`.
    pub fn is_data(&self) -> bool {
        self.data > 0
    }

    /// True once something was met that a client of another version, or without standard strings, would have read in another way.
    pub fn is_ambiguous(&self) -> bool {
        self.ambiguous
    }

    /// From now on its texts are in this encoding, as the client calls it.
    pub fn speaks(&mut self, encoding: &str) {
        self.latin1 = encoding.eq_ignore_ascii_case("LATIN1");
    }

    /// A text as the input would have it.
    pub fn bytes_of(&self, text: &str) -> Vec<u8> {
        match self.latin1 {
            // The first 256 characters of Unicode are those of LATIN1.
            true => text.chars().map(|letter| u8::try_from(letter).unwrap_or(b'?')).collect(),
            false => text.as_bytes().to_vec(),
        }
    }

    /// The statement that is under way.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// Takes a line in, without its end. Statements that end in it go to `ended`.
    ///
    /// # Errors
    /// The first thing in it that is not SQL; the line is then not taken in to its end.
    pub fn line(&mut self, line: &[u8], ended: &mut Vec<Statement>) -> Result<(), Stray> {
        // The client reads lines as C strings: what follows a zero byte would be read in another state.
        if line.contains(&0) {
            return Err(Stray::Zero);
        }
        if self.data > 0 {
            if line == b"\\." || line == b"\\.\r" {
                self.data -= 1;
            }
            return Ok(());
        }
        let mut at = 0;
        while at < line.len() {
            at = match &self.state {
                State::Plain | State::AfterEscaped(_) => self.plain(line, at, ended)?,
                State::Standard | State::Escaped | State::Name => self.quoted(line, at),
                State::Dollar(_) => self.dollar(line, at),
                State::Comment(_) => self.comment(line, at),
            };
        }
        match &mut self.state {
            State::AfterEscaped(broken) => *broken = true,
            State::Standard | State::Escaped | State::Name => self.keep(b"\n"),
            _ => {}
        }
        Ok(())
    }

    fn plain(&mut self, line: &[u8], at: usize, ended: &mut Vec<Statement>) -> Result<usize, Stray> {
        let (byte, next) = (line[at], line.get(at + 1).copied());
        if matches!(byte, b' ' | b'\t' | b'\r' | 0x0b | 0x0c) {
            return Ok(at + 1);
        }
        if (byte, next) == (b'-', Some(b'-')) {
            // A carriage return ends it as well.
            return Ok(line[at..].iter().position(|byte| *byte == b'\r').map_or(line.len(), |length| at + length));
        }
        let goes_on = self.state == State::AfterEscaped(true) && byte == b'\'';
        if (byte, next) == (b'/', Some(b'*')) {
            self.state = State::Comment(1);
            return Ok(at + 2);
        }
        self.state = State::Plain;
        match byte {
            b'\\' => {
                let word: Vec<u8> = line[at + 1..].iter().copied().take_while(|byte| !byte.is_ascii_whitespace()).take(60).collect();
                Err(Stray::Command(String::from_utf8_lossy(&word).into_owned()))
            }
            b'\'' => {
                // Older clients take it for a string of its own.
                self.ambiguous |= goes_on;
                self.state = if goes_on { State::Escaped } else { State::Standard };
                Ok(at + 1)
            }
            b'"' => {
                self.state = State::Name;
                Ok(at + 1)
            }
            b'$' if dollar_tag(&line[at..]).is_some() => {
                let tag = dollar_tag(&line[at..]).unwrap_or_default();
                self.state = State::Dollar(tag.to_vec());
                Ok(at + tag.len())
            }
            b';' if self.parentheses == 0 && self.begun == 0 => {
                self.end(ended);
                Ok(at + 1)
            }
            b'0'..=b'9' => Ok(self.number(line, at)),
            _ if is_first(byte) => Ok(self.word(line, at)),
            _ => {
                match byte {
                    b'(' => self.parentheses = self.parentheses.saturating_add(1),
                    b')' => self.parentheses = self.parentheses.saturating_sub(1),
                    _ => {}
                }
                self.push(Token::Sign(char::from(byte)));
                Ok(at + 1)
            }
        }
    }

    fn end(&mut self, ended: &mut Vec<Statement>) {
        let mut statement = std::mem::take(&mut self.statement);
        statement.takes_data = std::mem::take(&mut self.copies);
        self.data += usize::from(statement.takes_data);
        self.opening.clear();
        self.from = false;
        ended.push(statement);
    }

    fn push(&mut self, token: Token) {
        if self.parentheses == 0 {
            self.copies |= self.from && token.is("stdin") && self.statement.begins("COPY");
            self.from = token.is("from");
        }
        self.statement.push(token);
    }

    fn word(&mut self, line: &[u8], at: usize) -> usize {
        let length = line[at..].iter().position(|byte| !is_further(*byte)).unwrap_or(line.len() - at);
        let word = &line[at..at + length];
        let next = at + length;
        if word.eq_ignore_ascii_case(b"e") && line.get(next) == Some(&b'\'') {
            self.state = State::Escaped;
            return next + 1;
        }
        self.routine(word);
        let token = self.text_of(word);
        self.push(Token::Word(token));
        next
    }

    /// The body of a routine in SQL holds semicolons that end no statement (`psqlscan.l`, "begin_depth").
    fn routine(&mut self, word: &[u8]) {
        let is = |keyword: &str| word.eq_ignore_ascii_case(keyword.as_bytes());
        if self.opening.len() < 4 {
            let known = ["create", "function", "procedure", "or", "replace"].iter().any(|keyword| is(keyword));
            self.opening.push(if known { word[0].to_ascii_lowercase() } else { b'-' });
        }
        let opens = matches!(self.opening.as_slice(), [b'c', b'f' | b'p', ..] | [b'c', b'o', b'r', b'f' | b'p', ..]);
        if opens && self.parentheses == 0 {
            match () {
                () if is("begin") => self.begun = self.begun.saturating_add(1),
                () if is("case") && self.begun > 0 => self.begun = self.begun.saturating_add(1),
                () if is("end") => self.begun = self.begun.saturating_sub(1),
                () => {}
            }
        }
    }

    fn number(&mut self, line: &[u8], at: usize) -> usize {
        let digits = |from: usize| line[from..].iter().position(|byte| !byte.is_ascii_digit()).map_or(line.len(), |length| from + length);
        let mut to = digits(at);
        if line.get(to) == Some(&b'.') {
            to = digits(to + 1);
        }
        if matches!(line.get(to), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(line.get(to + 1), Some(b'+' | b'-')));
            if line.get(to + 1 + sign).is_some_and(u8::is_ascii_digit) {
                to = digits(to + 1 + sign);
            }
        }
        // Versions differ in where such a word begins.
        self.ambiguous |= line.get(to).is_some_and(|byte| is_further(*byte));
        let token = self.text_of(&line[at..to]);
        self.push(Token::Word(token));
        to
    }

    fn quoted(&mut self, line: &[u8], at: usize) -> usize {
        let quote = if self.state == State::Name { b'"' } else { b'\'' };
        let escaped = self.state == State::Escaped;
        let rest = &line[at..];
        let Some(length) = rest.iter().position(|byte| *byte == quote || (escaped && *byte == b'\\')) else {
            self.keep(rest);
            return line.len();
        };
        self.keep(&rest[..length]);
        let found = at + length;
        if rest[length] == b'\\' {
            self.keep(&line[found..line.len().min(found + 2)]);
            return found + 2;
        }
        if line.get(found + 1) == Some(&quote) {
            self.keep(&[quote]);
            return found + 2;
        }
        // Where strings are not standard, an odd number of backslashes takes the quote along.
        let backslashes = line[..found].iter().rev().take_while(|byte| **byte == b'\\').count();
        self.ambiguous |= self.state == State::Standard && backslashes % 2 == 1;
        let content = std::mem::take(&mut self.content);
        let content = self.text_of(&content);
        let token = if self.state == State::Name { Token::Name(content) } else { Token::Text(content) };
        self.push(token);
        self.state = if escaped { State::AfterEscaped(false) } else { State::Plain };
        found + 1
    }

    fn dollar(&mut self, line: &[u8], at: usize) -> usize {
        let State::Dollar(tag) = &self.state else { return line.len() };
        let Some(found) = line[at..].windows(tag.len()).position(|window| window == tag) else { return line.len() };
        let next = at + found + tag.len();
        self.state = State::Plain;
        self.push(Token::Body);
        next
    }

    fn comment(&mut self, line: &[u8], at: usize) -> usize {
        let State::Comment(depth) = &mut self.state else { return line.len() };
        let mut at = at;
        while let Some(pair) = line.get(at..at + 2) {
            match pair {
                b"/*" => {
                    *depth = depth.saturating_add(1);
                    at += 2;
                }
                b"*/" => {
                    *depth -= 1;
                    at += 2;
                    if *depth == 0 {
                        self.state = State::Plain;
                        return at;
                    }
                }
                _ => at += 1,
            }
        }
        line.len()
    }

    fn keep(&mut self, bytes: &[u8]) {
        // One byte more than is kept shows that there was more.
        let room = (TOKEN + 1).saturating_sub(self.content.len());
        self.content.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn text_of(&mut self, bytes: &[u8]) -> String {
        let text = match self.latin1 {
            true => Some(bytes.iter().copied().map(char::from).collect()),
            false => std::str::from_utf8(bytes).ok().map(str::to_owned),
        };
        let text = text.filter(|_| bytes.len() <= TOKEN);
        self.statement.shortened |= text.is_none();
        text.unwrap_or_default()
    }
}

fn is_first(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_further(byte: u8) -> bool {
    is_first(byte) || byte.is_ascii_digit() || byte == b'$'
}

/// `$tag$` at the beginning, with both signs.
fn dollar_tag(bytes: &[u8]) -> Option<&[u8]> {
    let length = bytes.iter().skip(1).position(|byte| *byte == b'$' || !is_further(*byte))? + 1;
    let tag = &bytes[1..length];
    (bytes[length] == b'$' && tag.first().is_none_or(|first| is_first(*first))).then_some(&bytes[..=length])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engines::psql_statement::{FIRST, LAST};
    use proptest::prelude::*;

    fn read(text: &str) -> (Lexer, Vec<Statement>, Option<Stray>) {
        let (mut lexer, mut ended) = (Lexer::default(), Vec::new());
        let stray = text.lines().find_map(|line| lexer.line(line.as_bytes(), &mut ended).err());
        (lexer, ended, stray)
    }

    fn command(text: &str) -> Option<String> {
        match read(text).2 {
            Some(Stray::Command(word)) => Some(word),
            _ => None,
        }
    }

    #[test]
    fn backslashes_in_literals_names_comments_and_data_are_no_commands() {
        for text in [
            "INSERT INTO t VALUES ('x\n\\server\\share\n');\nSELECT 1;",
            "INSERT INTO t VALUES (E'it''s \\' so\n\\! id\n');",
            "INSERT INTO t VALUES ('C:\\dir\\');\nSELECT 'x';",
            "COMMENT ON TABLE t IS 'a\n\\! id';",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $_$\n\\! $1 $$ $_\n$_$;",
            "CREATE TABLE \"ta;ble -- x\n\\! id\" (\"a\"\"\n\\q\" int);",
            "/* a /* b */\n\\! id */ SELECT 1; -- \\! id",
            "SELECT U&'\\0041', U&\"\\0041\", B'01', N'\\';",
            "SELECT a$$b, $1, '$$';",
            "COPY public.\"ta;ble\n x\" (a, \"from stdin\") FROM stdin;\n\\! id\n'\n\\.\nSELECT 1;",
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC\n SELECT CASE WHEN true THEN 1 END;\n SELECT 2;\nEND;\nSELECT '\n\\! id';",
        ] {
            let (lexer, ended, stray) = read(text);
            assert_eq!(stray, None, "{text}");
            assert!(lexer.is_between() && !ended.is_empty(), "{text}: {lexer:?}");
        }
    }

    #[test]
    fn commands_anywhere_outside_of_them_are_seen() {
        for (text, word) in [
            ("\\! id", "!"),
            ("SELECT 1; \\! id", "!"),
            ("SELECT 1\n  \\g |id", "g"),
            ("SELECT '\\'; \\! id", "!"),
            ("SELECT E'\\\\'; \\! id", "!"),
            ("SELECT E'\\''; \\! id", "!"),
            ("SELECT E'a'\n'b\\'' \\! id", "!"),
            ("SELECT a$$ \\! id", "!"),
            ("SELECT $1$ \\! id", "!"),
            ("SELECT $$ $a$ $$ \\! id $$", "!"),
            ("SELECT \"a\"\"b\" \\! id", "!"),
            ("/* /* */ */ \\! id", "!"),
            ("-- x\r\\! id", "!"),
            ("COPY t FROM stdin;\n\\.\r\n\\! id", "!"),
            ("COPY (SELECT 1 FROM stdin) TO stdout;\n\\! id", "!"),
            ("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC;\nCOPY t FROM stdin;\n\\! id", "!"),
            ("SELECT 1\\;", ";"),
        ] {
            assert_eq!(command(text).as_deref(), Some(word), "{text}");
        }
        assert_eq!(read("SELECT '\0\n").2, Some(Stray::Zero));
        for text in ["SELECT 'a\\';", "SELECT E'a'\n'b';", "SELECT 1a$$;"] {
            assert!(read(text).0.is_ambiguous(), "{text}");
        }
        assert!(!read("SELECT 'a\\\\', 1.5e-3, 1e5, E'\\'';").0.is_ambiguous());
    }

    #[test]
    fn statements_come_with_their_tokens() {
        let (_, ended, _) =
            read("ALTER TABLE \"a\n;b\".t OWNER TO \"Keeper One\"; COPY t FROM stdin WITH (FORMAT csv);\nx\n\\.\nselect 'it''s' ;");
        assert_eq!(ended.len(), 3);
        assert!(ended[0].begins("ALTER TABLE") && !ended[0].begins("ALTER TABLE x"));
        assert_eq!(ended[0].tokens().nth(2), Some(&Token::Name("a\n;b".into())));
        assert_eq!(ended[0].tokens().next_back().and_then(Token::name).as_deref(), Some("Keeper One"));
        assert!(ended[1].takes_data && !ended[0].takes_data);
        assert_eq!(ended[2].first, [Token::Word("select".into()), Token::Text("it's".into())]);
        let long = format!("INSERT INTO t VALUES ('{}'{});", "x".repeat(5000), ", 1".repeat(100));
        let (_, ended, _) = read(&long);
        assert!(ended[0].shortened && ended[0].first.len() == FIRST && ended[0].last.len() == LAST);
    }

    /// What a part of the input is, and whether a command right after it is one.
    fn parts() -> impl Strategy<Value = String> {
        let inside = "[ab;$\\\\/*\\-\n ]{0,8}";
        prop_oneof![
            inside.prop_map(|text| format!(" '{text}' ")),
            inside.prop_map(|text| format!(" \"{text}\" ")),
            "[ab;$/*\\-\n ]{0,8}".prop_map(|text| format!(" E'{}\\'\\\\' ", text)),
            "[ab;'\"\\\\/*\\-\n ]{0,8}".prop_map(|text| format!(" $q${text}$q$ ")),
            "[ab;'\"\\\\$\n ]{0,8}".prop_map(|text| format!(" /*{text}/*{text}*/{text}*/ ")),
            "[ab;'\"\\\\$/* ]{0,8}".prop_map(|text| format!(" --{text}\n,")),
            "[ab;'\"$/* ]{0,8}(\n[ab;'\"$/* ]{0,8}){0,2}".prop_map(|text| format!(";COPY t (a) FROM stdin;\n{text}\n\\x\n\\.\n")),
            Just(" word 12 + (a) ;\n".to_owned()),
        ]
    }

    proptest! {
        /// The parts are known by how they were made: nothing in them is a command, and the first one after them is.
        #[test]
        fn parts_are_read_as_they_were_made(parts in proptest::collection::vec(parts(), 0..12)) {
            let text = parts.concat();
            let (lexer, _, stray) = read(&text);
            prop_assert_eq!(stray, None, "{}", text);
            prop_assert!(lexer.is_plain(), "{}", text);
            prop_assert_eq!(command(&format!("{text} \\! id")), Some("!".to_owned()), "{}", text);
        }

        #[test]
        fn any_lines_are_taken(lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..20)) {
            let (mut lexer, mut ended) = (Lexer::default(), Vec::new());
            for line in &lines {
                let _ = lexer.line(line, &mut ended);
            }
        }

        #[test]
        fn any_signs_are_taken(text in "[eE'\"$a1/*\\-\\\\;() \n\r]{0,60}") {
            let _ = read(&text);
        }
    }
}
