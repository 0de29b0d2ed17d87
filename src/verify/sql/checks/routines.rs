//! Which tables and procedures the body of a routine, trigger or event of MySQL or MariaDB names, as far as words tell: the server itself
//! resolves a body only when it runs.
//!
//! Where words do not tell (a name with its schema, dynamic SQL, a function's table), nothing is named: better a lost name than a false one.

use std::collections::BTreeSet;

/// What a body names.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Names {
    /// Tables that it reads or writes, procedures that it calls.
    pub used: BTreeSet<String>,
    /// What it makes itself: temporary tables, common table expressions, cursors.
    pub made: BTreeSet<String>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Token {
    /// A bare word, which may be a keyword.
    Word(String),
    /// A name in backticks.
    Name(String),
    Sign(char),
}

/// Functions whose arguments have a FROM between them.
const FROM_INSIDE: &[&str] = &["EXTRACT", "TRIM", "SUBSTRING", "SUBSTR", "MID", "POSITION", "OVERLAY"];
/// Words that may stand between a statement's verb and its table.
const MODIFIERS: &[&str] = &["LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED", "IGNORE", "QUICK", "INTO", "TABLE", "IF", "NOT", "EXISTS"];
/// Words that stand where a table would and are none.
const NO_TABLES: &[&str] = &["DUAL", "LATERAL", "SELECT", "VALUES", "SET", "ONLY", "JSON_TABLE", "WITH"];

/// The names in `body`.
pub fn names(body: &str) -> Names {
    let tokens = tokens(body);
    let word = |at: usize| match tokens.get(at) {
        Some(Token::Word(word)) => word.to_ascii_uppercase(),
        _ => String::new(),
    };
    let before = |at: usize, back: usize| at.checked_sub(back).map(word).unwrap_or_default();
    let (mut names, mut within) = (Names::default(), Vec::new());
    for at in 0..tokens.len() {
        if tokens[at] == Token::Sign('(') {
            within.push(FROM_INSIDE.contains(&before(at, 1).as_str()));
        } else if tokens[at] == Token::Sign(')') {
            within.pop();
        }
        let is_show = (1..=4).any(|back| before(at, back) == "SHOW");
        let used = match word(at).as_str() {
            "FROM" => within.last() != Some(&true) && !is_show && !matches!(before(at, 1).as_str(), "NEXT" | "FETCH"),
            "JOIN" | "CALL" => true,
            "INSERT" | "REPLACE" => tokens.get(at + 1) != Some(&Token::Sign('(')),
            "UPDATE" => !matches!(before(at, 1).as_str(), "FOR" | "KEY" | "ON"),
            _ => false,
        };
        let made = match word(at).as_str() {
            "TEMPORARY" | "RECURSIVE" => true,
            "WITH" => word(at + 1) != "RECURSIVE",
            "TABLE" => before(at, 1) == "CREATE",
            "DECLARE" => word(at + 2) == "CURSOR",
            "AS" => {
                if tokens.get(at + 1) == Some(&Token::Sign('('))
                    && let Some(name) = at.checked_sub(1).and_then(|before| name_of(&tokens[before]))
                {
                    names.made.insert(name.to_owned());
                }
                false
            }
            _ => false,
        };
        if !used && !made {
            continue;
        }
        let mut next = at + 1;
        while MODIFIERS.contains(&word(next).as_str()) {
            next += 1;
        }
        let Some(name) = tokens.get(next).and_then(name_of) else { continue };
        if made {
            names.made.insert(name.to_owned());
        } else if !is_followed(&tokens, next, word(at) == "CALL" || matches!(word(at).as_str(), "INSERT" | "REPLACE"))
            && !(matches!(&tokens[next], Token::Word(word) if NO_TABLES.contains(&word.to_ascii_uppercase().as_str())))
            && !is_numbers(name)
        {
            names.used.insert(name.to_owned());
        }
    }
    names
}

/// Whether a name goes on: with its schema before it, or as a function's.
fn is_followed(tokens: &[Token], at: usize, may_have_list: bool) -> bool {
    match tokens.get(at + 1) {
        Some(Token::Sign('.')) => true,
        Some(Token::Sign('(')) => !may_have_list,
        _ => false,
    }
}

/// `seq_1_to_10_step_2`: tables that MariaDB's engine of sequences makes up.
fn is_numbers(name: &str) -> bool {
    name.to_ascii_lowercase()
        .strip_prefix("seq_")
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()) && rest.contains("_to_"))
}

fn name_of(token: &Token) -> Option<&str> {
    match token {
        Token::Word(name) if name.starts_with(|c: char| c.is_ascii_digit()) => None,
        Token::Word(name) | Token::Name(name) => Some(name),
        Token::Sign(_) => None,
    }
}

fn tokens(body: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = body;
    while let Some(c) = rest.chars().next() {
        if c == '#' || rest.starts_with("-- ") || rest.starts_with("--\n") || rest.starts_with("--\t") {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
        } else if rest.starts_with("/*") {
            rest = rest.find("*/").map_or("", |end| &rest[end + 2..]);
        } else if matches!(c, '\'' | '"' | '`') {
            let (inside, end) = quoted(rest, c);
            tokens.push(if c == '`' { Token::Name(rest[1..inside].replace("``", "`")) } else { Token::Sign(c) });
            rest = &rest[end..];
        } else if c.is_alphanumeric() || matches!(c, '_' | '$') {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '$'))).unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        } else {
            if !c.is_whitespace() {
                tokens.push(Token::Sign(c));
            }
            rest = &rest[c.len_utf8()..];
        }
    }
    tokens
}

/// Where the text within the quotes that `text` begins with is over, and where the quotes are; a backslash stands for itself between backticks.
fn quoted(text: &str, quote: char) -> (usize, usize) {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == '\\' && quote != '`' {
            chars.next();
        } else if c == quote {
            match chars.peek() {
                Some((_, next)) if *next == quote => drop(chars.next()),
                _ => return (at, at + 1),
            }
        }
    }
    (text.len(), text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(body: &str) -> Vec<String> {
        let names = names(body);
        names.used.difference(&names.made).cloned().collect()
    }

    #[test]
    fn tables_and_procedures_are_named() {
        assert_eq!(used("BEGIN SELECT n INTO v FROM accounts a JOIN `two words` ON 1; CALL p(1); END"), ["accounts", "p", "two words"]);
        assert_eq!(
            used("INSERT IGNORE INTO log (a) VALUES (1); UPDATE low SET a = 1; DELETE FROM gone; REPLACE INTO r VALUES (1)"),
            ["gone", "log", "low", "r"]
        );
    }

    #[test]
    fn what_is_no_table_of_the_database_is_not() {
        for body in [
            "SELECT EXTRACT(YEAR FROM d), TRIM(BOTH 'x' FROM s), SUBSTRING(s FROM 2) FROM DUAL",
            "SELECT REPLACE(a, 'b', 'c'), INSERT(a, 1, 2, 'x')",
            "SELECT 1 FROM other.t JOIN mysql.user",
            "CREATE TEMPORARY TABLE IF NOT EXISTS tmp (a INT); INSERT INTO tmp VALUES (1); SELECT * FROM tmp",
            "WITH RECURSIVE x AS (SELECT 1), y AS (SELECT 2) SELECT * FROM x JOIN y",
            "DECLARE c CURSOR FOR SELECT 1; FETCH NEXT FROM c INTO v; FETCH FROM c INTO v",
            "SELECT * FROM (SELECT 1) AS d; SELECT a FROM JSON_TABLE(x, '$') j",
            "SELECT seq FROM seq_1_to_10; SHOW TABLES FROM db",
            "-- FROM a\n# FROM b\n/* FROM c */ SELECT 'FROM d', \"it''s FROM e\", 'x\\' FROM f'",
            "SELECT 1 FOR UPDATE; INSERT INTO x.t VALUES (1) ON DUPLICATE KEY UPDATE a = 1",
        ] {
            assert_eq!(used(body), Vec::<String>::new(), "{body}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_body_ends(body in ".{0,200}", words in "(FROM|JOIN|CALL|`|'|\\(|\\)|AS|WITH| |x){0,40}") {
            let _ = names(&body);
            let _ = names(&words);
        }
    }
}
