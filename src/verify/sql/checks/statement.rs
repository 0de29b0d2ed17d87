//! What a check's SQL may be: exactly one statement, and one that reads.
//!
//! This is the first of four fences, and the weakest: the statement is also prepared (which servers refuse for two statements), run in a
//! read-only transaction, and with reading rights only where that can be had. It reads the lexical rules of the three engines at once, and where they
//! differ it sees more statements rather than fewer.

/// Words that a check may begin with.
const READING: &[&str] = &["SELECT", "WITH", "VALUES", "TABLE", "CHECK"];
/// Words that write, lock, or leave the database, wherever they stand outside of quotes.
const WRITING: &[&str] = &[
    "INSERT", "UPDATE", "DELETE", "MERGE", "DROP", "ALTER", "TRUNCATE", "GRANT", "REVOKE", "CALL", "EXECUTE", "COPY", "OUTFILE",
    "DUMPFILE", "ATTACH", "DETACH", "VACUUM", "PRAGMA", "COMMIT", "ROLLBACK", "LOCK", "INTO",
];

/// Says what is wrong with `sql`, if anything.
pub fn check(sql: &str) -> Result<(), String> {
    // What is a quote for one engine alone is words for the others: each reading has to hold.
    for reading in [Reading::Postgres, Reading::Mysql, Reading::Sqlite] {
        reads(&significant(sql, reading)?)?;
    }
    Ok(())
}

/// True for `CHECK TABLE` with names in backticks and nothing else but words.
pub fn is_check_of_a_table(sql: &str) -> bool {
    let parts: Vec<&str> = sql.trim().split('`').collect();
    let words: String = parts.iter().step_by(2).copied().collect();
    parts.len() % 2 == 1
        && words.to_ascii_uppercase().starts_with("CHECK TABLE ")
        && words.chars().all(|c| c.is_ascii_alphabetic() || matches!(c, ' ' | '.'))
}

/// Whose quotes count, beside those that all of them know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// `$tag$ … $tag$` is a string.
    Postgres,
    /// Neither is a quote.
    Mysql,
    /// `[ … ]` is a name.
    Sqlite,
}

fn reads(words: &[String]) -> Result<(), String> {
    let Some(first) = words.first() else { return Err("there is no statement after the header".into()) };
    if !READING.contains(&first.as_str()) {
        return Err(format!("begins with {}, expected a statement that reads", shown(first)));
    }
    if first == "CHECK" && words.get(1).map(String::as_str) != Some("TABLE") {
        return Err("CHECK must be followed by TABLE".into());
    }
    if let Some(word) = words.iter().find(|word| WRITING.contains(&word.as_str())) {
        return Err(format!("has {} in it; a check only reads (a column of that name is written in quotes)", shown(word)));
    }
    Ok(())
}

fn shown(word: &str) -> String {
    word.chars().take(40).flat_map(char::escape_default).collect()
}

/// The statement's bare words in upper case; an error where there is more than one statement or a quote is left open.
fn significant(sql: &str, reading: Reading) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut ended = false;
    let mut rest = sql;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = comment(rest)? {
            rest = after;
            continue;
        }
        if c.is_whitespace() {
            rest = &rest[c.len_utf8()..];
            continue;
        }
        if c == ';' {
            ended = !words.is_empty() || ended;
            rest = &rest[1..];
            continue;
        }
        if ended {
            return Err("more than one statement; exactly one statement is expected".into());
        }
        if matches!(c, '\'' | '"' | '`') {
            rest = quoted(rest, c)?;
            words.push("''".into());
        } else if let Some(after) = if reading == Reading::Postgres { dollar_quoted(rest)? } else { None } {
            rest = after;
            words.push("''".into());
        } else if let Some(after) = rest.strip_prefix('[').filter(|_| reading == Reading::Sqlite) {
            let end = after.find(']').ok_or("a quote [ is left open")?;
            rest = &after[end + 1..];
            words.push("''".into());
        } else if c.is_alphanumeric() || c == '_' {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(rest.len());
            words.push(rest[..end].to_ascii_uppercase());
            rest = &rest[end..];
        } else {
            // An operator: it counts as part of the statement, so that `; )` is seen.
            words.push(c.to_string());
            rest = &rest[c.len_utf8()..];
        }
    }
    // Operators were kept only to see a second statement.
    words.retain(|word| word.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '\''));
    Ok(words)
}

/// What follows a comment at the start of `text`. MySQL's executable comments are statements in disguise and refused.
pub(super) fn comment(text: &str) -> Result<Option<&str>, String> {
    if let Some(after) = text.strip_prefix("--") {
        // MySQL wants a space after it, and reads two minus signs otherwise.
        if !after.is_empty() && !after.starts_with(char::is_whitespace) {
            return Err("`--` without a space after it is no comment in MySQL".into());
        }
        return Ok(Some(text.find('\n').map_or("", |at| &text[at + 1..])));
    }
    if text.starts_with("/*!") || text.starts_with("/*M!") {
        return Err("an executable comment (`/*!`) is not read as a comment by MySQL; write it out".into());
    }
    if let Some(inside) = text.strip_prefix("/*") {
        let end = inside.find("*/").ok_or("a comment is left open")?;
        // PostgreSQL nests comments, the others do not: what they would disagree on is refused.
        if inside[..end].contains("/*") {
            return Err("a comment within a comment: engines disagree on where it ends".into());
        }
        return Ok(Some(&inside[end + 2..]));
    }
    if text.starts_with('#') {
        return Err("`#` begins a comment in MySQL and an operator in PostgreSQL; use `--`".into());
    }
    Ok(None)
}

/// What follows a quoted string or name; a doubled quote stays inside. A backslash before a quote means different things to the three engines.
fn quoted(text: &str, quote: char) -> Result<&str, String> {
    let mut rest = &text[1..];
    loop {
        let at = rest.find(quote).ok_or_else(|| format!("a quote {quote} is left open"))?;
        if rest[..at].ends_with('\\') {
            return Err(format!("a backslash before a quote {quote}: engines disagree on what it means; double the quote"));
        }
        rest = &rest[at + 1..];
        match rest.strip_prefix(quote) {
            Some(after) => rest = after,
            None => return Ok(rest),
        }
    }
}

/// What follows `$tag$ … $tag$` (PostgreSQL); the other engines would read it as words, so it is looked for first.
fn dollar_quoted(text: &str) -> Result<Option<&str>, String> {
    let Some(inside) = text.strip_prefix('$') else { return Ok(None) };
    let Some(at) = inside.find('$') else { return Ok(None) };
    let tag = &inside[..at];
    if tag.starts_with(|c: char| c.is_ascii_digit()) || !tag.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return Ok(None);
    }
    let delimiter = format!("${tag}$");
    let body = &inside[at + 1..];
    let end = body.find(&delimiter).ok_or("a dollar quote is left open")?;
    Ok(Some(&body[end + delimiter.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_of_a_table_is_told_from_what_only_looks_so() {
        for is in ["CHECK TABLE `t` EXTENDED", "check table `a`.`x;y``z` extended\n"] {
            assert!(is_check_of_a_table(is), "{is}");
        }
        for is_not in
            ["CHECK TABLE t; DROP TABLE t", "CHECK TABLE `t`; DROP TABLE `t`", "CHECK TABLE `t", "SELECT 1", "CHECK TABLE `t` /* */"]
        {
            assert!(!is_check_of_a_table(is_not), "{is_not}");
        }
    }

    #[test]
    fn one_reading_statement_passes_whatever_its_quotes_hold() {
        for sql in [
            "SELECT 1",
            "-- first; second\nselect 'a;b', \"drop;\", `delete`, 'it''s' from t;\n-- end;",
            "WITH x AS (SELECT $$a b$$ AS y) SELECT * FROM x;;",
            "SELECT a[1], ARRAY[[1, 2], [3, 4]], '[', '{a,b}'::text[] FROM t",
            "/* ; */ VALUES (1)",
            "CHECK TABLE {table} EXTENDED",
        ] {
            assert_eq!(check(sql), Ok(()), "{sql}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for (sql, said) in [
            ("", "no statement"),
            (" ; ; -- nothing", "no statement"),
            ("SELECT 1; SELECT 2", "one statement"),
            ("SELECT 1; )", "one statement"),
            ("DELETE FROM t", "DELETE"),
            ("WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d", "DELETE"),
            ("SELECT * INTO x FROM t", "INTO"),
            ("SELECT 1 INTO/**/OUTFILE '/x'", "INTO"),
            ("SELECT * FROM t FOR UPDATE", "UPDATE"),
            ("SELECT 1 /*! INTO OUTFILE '/x' */", "executable"),
            ("SELECT 1 /*M! ; */", "executable"),
            ("SELECT '\\'; DROP TABLE t; --'", "backslash"),
            ("SELECT 'open", "left open"),
            ("SELECT 1 /* /* */ ; DROP TABLE t */", "within a comment"),
            ("SELECT 1 # x", "#"),
            ("SELECT 5--1; DROP TABLE t", "no comment"),
            ("PRAGMA writable_schema = 1", "PRAGMA"),
            ("CHECK x", "CHECK"),
            // Strings in one engine, and statements in another.
            ("SELECT id $$ INTO OUTFILE \"/x\" FROM t AS $$", "INTO"),
            ("SELECT $$;DROP$$", "one statement"),
            ("SELECT 1 AS [x']; PRAGMA query_only=off; SELECT 1 AS [y']", "one statement"),
        ] {
            let found = check(sql).unwrap_err();
            assert!(found.contains(said), "{sql}: {found}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_ends(sql in ".{0,200}") {
            let _ = check(&sql);
        }

        #[test]
        fn a_second_statement_is_always_seen(before in "[a-z' $;\"`/*-]{0,30}", after in "[a-z]{1,9}") {
            // Whatever precedes: if the text as a whole passes, nothing after the last `;` outside of quotes is left.
            let sql = format!("SELECT 1 {before}; DROP {after}");
            proptest::prop_assert!(check(&sql).is_err() || before.contains(['\'', '"', '`', '$', '-', '*']));
        }
    }
}
