//! One statement, and one that reads: what a check's file must hold. Splits at semicolons outside quotes and comments, by each engine's rules.
//!
//! Not a SQL parser: what keeps a check from writing is the read-only transaction that it runs in. This catches mistakes before a restore is paid for.

use crate::verify::sql::checks::header::Engine;

/// What a check's first word may be.
const READS: &[&str] = &["SELECT", "WITH", "VALUES", "TABLE", "SHOW", "PRAGMA", "CHECK", "EXPLAIN"];

/// Checks that `sql` is exactly one statement that reads, in the dialect of `engine`; tells what is wrong otherwise.
pub fn must_be_one_read(sql: &str, engine: Engine) -> Result<(), String> {
    let statements = split(sql, engine)?;
    match statements.as_slice() {
        [] => Err("no statement found after the header".into()),
        [one] => {
            let word: String = one.chars().take_while(char::is_ascii_alphabetic).collect::<String>().to_ascii_uppercase();
            if READS.contains(&word.as_str()) || one.starts_with('(') {
                Ok(())
            } else {
                Err(format!("the statement starts with `{word}`; expected one that reads: {}", READS.join(", ")))
            }
        }
        several => Err(format!("{} statements found, expected exactly one", several.len())),
    }
}

/// The statements without the comments before them; empty ones are left out. An open quote or comment is an error.
fn split(sql: &str, engine: Engine) -> Result<Vec<String>, String> {
    let bytes = sql.as_bytes();
    let mut statements = Vec::new();
    let mut current = String::new();
    let mut at = 0;
    while at < bytes.len() {
        if let Some(end) = skip_comment(bytes, at, engine)? {
            current.push(' ');
            at = end;
        } else if let Some(end) = skip_quoted(bytes, at, engine)? {
            current.push_str(&sql[at..end]);
            at = end;
        } else if bytes[at] == b';' {
            statements.push(std::mem::take(&mut current));
            at += 1;
        } else {
            let step = sql[at..].chars().next().map_or(1, char::len_utf8);
            current.push_str(&sql[at..at + step]);
            at += step;
        }
    }
    statements.push(current);
    Ok(statements.iter().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).collect())
}

/// The end of the comment that starts at `at`, if one does.
fn skip_comment(bytes: &[u8], at: usize, engine: Engine) -> Result<Option<usize>, String> {
    let rest = &bytes[at..];
    let mysql = matches!(engine, Engine::Mysql | Engine::Mariadb);
    // MySQL takes `--` as a comment only before white space; elsewhere it is minus minus.
    let dashes = rest.starts_with(b"--") && (!mysql || rest.get(2).is_none_or(u8::is_ascii_whitespace) || rest[2] == b'!');
    if dashes || (mysql && rest[0] == b'#') {
        let end = rest.iter().position(|&b| b == b'\n').map_or(bytes.len(), |length| at + length);
        return Ok(Some(end));
    }
    if !rest.starts_with(b"/*") {
        return Ok(None);
    }
    if mysql && (rest.starts_with(b"/*!") || rest.starts_with(b"/*M!")) {
        return Err("an executable comment (`/*! … */`) hides SQL from every other engine".into());
    }
    let (mut depth, mut index) = (0usize, at);
    while index < bytes.len() {
        if bytes[index..].starts_with(b"/*") && (depth == 0 || engine == Engine::Postgres) {
            depth += 1;
            index += 2;
        } else if bytes[index..].starts_with(b"*/") {
            depth -= 1;
            index += 2;
            if depth == 0 {
                return Ok(Some(index));
            }
        } else {
            index += 1;
        }
    }
    Err("a comment `/*` is not closed".into())
}

/// The end of the string or quoted name that starts at `at`, if one does.
fn skip_quoted(bytes: &[u8], at: usize, engine: Engine) -> Result<Option<usize>, String> {
    let open = bytes[at];
    if open == b'$' && engine == Engine::Postgres {
        return dollar_quoted(bytes, at);
    }
    let close = match open {
        b'\'' | b'"' => open,
        b'`' if engine != Engine::Postgres => b'`',
        b'[' if engine == Engine::Sqlite => b']',
        _ => return Ok(None),
    };
    let backslash = match engine {
        Engine::Mysql | Engine::Mariadb => open != b'`',
        // `E'…'` is the one PostgreSQL string with backslash escapes.
        Engine::Postgres => open == b'\'' && at > 0 && matches!(bytes[at - 1], b'e' | b'E'),
        Engine::Sqlite => false,
    };
    let mut index = at + 1;
    while index < bytes.len() {
        if backslash && bytes[index] == b'\\' {
            index += 2;
        } else if bytes[index] == close {
            if bytes.get(index + 1) == Some(&close) && close != b']' {
                index += 2;
            } else {
                return Ok(Some(index + 1));
            }
        } else {
            index += 1;
        }
    }
    Err(format!("a quote `{}` is not closed", char::from(open)))
}

fn dollar_quoted(bytes: &[u8], at: usize) -> Result<Option<usize>, String> {
    let word = bytes[at + 1..].iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
    let tag_end = at + 1 + word;
    let inside_name = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    if bytes.get(tag_end) != Some(&b'$') || inside_name || bytes[at + 1].is_ascii_digit() {
        return Ok(None);
    }
    let tag = &bytes[at..=tag_end];
    let body = &bytes[tag_end + 1..];
    match body.windows(tag.len()).position(|window| window == tag) {
        Some(length) => Ok(Some(tag_end + 1 + length + tag.len())),
        None => Err(format!("a quote `{}` is not closed", String::from_utf8_lossy(tag))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Engine; 4] = [Engine::Postgres, Engine::Mysql, Engine::Mariadb, Engine::Sqlite];

    #[test]
    fn semicolons_inside_quotes_and_comments_do_not_split() {
        for engine in ALL {
            for sql in
                ["SELECT ';'", "SELECT 1 -- ; x\n", "SELECT 1; ", "/* ; */ SELECT 'it''s;'", "WITH a AS (SELECT 1) SELECT \";\" FROM a;"]
            {
                assert_eq!(must_be_one_read(sql, engine), Ok(()), "{engine:?} {sql}");
            }
        }
        assert_eq!(must_be_one_read("SELECT $x$ ; $y$ ; $x$", Engine::Postgres), Ok(()));
        assert_eq!(must_be_one_read(r"SELECT 'a\';b'", Engine::Mysql), Ok(()));
        assert_eq!(must_be_one_read(r"SELECT E'a\';b'", Engine::Postgres), Ok(()));
        assert_eq!(must_be_one_read("SELECT /* /* ; */ ; */ 1", Engine::Postgres), Ok(()));
    }

    #[test]
    fn two_statements_are_two_whatever_hides_them() {
        for engine in ALL {
            assert!(must_be_one_read("SELECT 1; DELETE FROM t", engine).is_err());
            assert!(must_be_one_read("", engine).is_err());
            assert!(must_be_one_read("-- nothing\n;;", engine).is_err());
            assert!(must_be_one_read("DELETE FROM t", engine).is_err());
            assert!(must_be_one_read("SELECT 'open", engine).is_err());
        }
        // The same text is one statement for one engine and two for another.
        assert!(must_be_one_read(r"SELECT 'a\'; DROP TABLE t; -- '", Engine::Postgres).is_err());
        assert!(must_be_one_read("SELECT /*! 1; DROP TABLE t */ 1", Engine::Mysql).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_judged_without_a_panic(sql in "[-/*'\"`$a;\\[\\]\\\\\n #!é]{0,40}") {
            for engine in ALL {
                let _ = must_be_one_read(&sql, engine);
            }
        }
    }
}
