//! What a server says of a statement that it could not finish, without the values of the data that it quotes: those belong neither on a
//! terminal nor into a log. What the statement itself spells may be said again.
//!
//! Not here: which errors are verdicts (`session`).

use std::collections::BTreeSet;

use sqlx::Error;

/// What stands in place of a value.
pub const REDACTED: &str = "(redacted)";

/// MySQL cuts its messages at 512 bytes, and then maybe the closing quote of a value.
const CUT: usize = 500;
/// Quotes of the languages that servers speak.
const QUOTES: &[char] = &['\'', '"', '`', '´', '«', '»', '‹', '›', '“', '”', '„', '‟', '‘', '’', '‚', '「', '」'];

/// `error` of a statement, in one line with its code.
pub fn message(error: &Error, statement: &str) -> String {
    let Error::Database(database) = error else { return crate::verify::sql::connect::errors::message(error) };
    let code = database.code().unwrap_or_default().into_owned();
    let postgres = database.try_downcast_ref::<sqlx::postgres::PgDatabaseError>();
    let mysql = database.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>();
    // What a function of the database raises is written by whoever wrote the function: none of it is the server's own text.
    let raised = code == "P0001"
        || mysql.is_some_and(|error| error.number() == 1644)
        || postgres.is_some_and(|error| {
            let foreign = |file: &str| ["plpy_", "plperl", "pltcl"].iter().any(|language| file.starts_with(language));
            error.routine() == Some("exec_stmt_raise") || error.file().is_some_and(foreign)
        });
    let said = if raised {
        format!("raised by a function of the database: {REDACTED}")
    } else {
        without_values(database.message(), &code, statement)
    };
    if code.is_empty() { said } else { format!("{said} ({code})") }
}

/// `message` of the class `code` (SQLSTATE, or SQLite's result code) without what could be a value.
pub fn without_values(message: &str, code: &str, statement: &str) -> String {
    let message = message.replace(['\n', '\r'], " ");
    // Damage is told with the names of relations and the numbers of blocks, and with nothing that lies in them.
    if matches!(code, "XX001" | "XX002") {
        return message.trim().to_owned();
    }
    let words = words(statement);
    // What cannot be resolved or parsed has its name from the statement (syntax and access: class 42; SQLite: 1).
    let names = code.starts_with("42") || code == "1";
    let quoted = if names && all_quoted_known(&message, &words) { message } else { without_quoted(&message) };
    let plain: Vec<&str> = quoted.split(' ').map(|word| if is_number(word, &words) { REDACTED } else { word }).collect();
    plain.join(" ").trim().to_owned()
}

/// The words of a statement: names, literals, numbers.
fn words(statement: &str) -> BTreeSet<&str> {
    statement.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).filter(|word| !word.is_empty()).collect()
}

/// Whether a message quotes one thing, and that in words of the statement. With more quotes than two, a value may have some in it, and what
/// lies between them is no longer known.
fn all_quoted_known(message: &str, words: &BTreeSet<&str>) -> bool {
    // MySQL ends by naming the clause.
    const CLAUSES: &[&str] =
        &["'field list'", "'where clause'", "'on clause'", "'group statement'", "'order clause'", "'SELECT'", "'WHERE'", "'ON'"];
    let message = CLAUSES.iter().find_map(|clause| message.strip_suffix(clause)).unwrap_or(message);
    let quotes: Vec<(usize, &str)> = message.match_indices(QUOTES).filter(|(at, _)| !is_apostrophe(message, *at)).collect();
    let [(from, opening), (to, _)] = quotes[..] else { return quotes.is_empty() };
    let quoted = &message[from + opening.len()..to];
    let mut parts = quoted.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).filter(|word| !word.is_empty()).peekable();
    message.len() < CUT && parts.peek().is_some() && parts.all(|word| words.contains(word))
}

/// Everything from the first quote to the last, because a value may have quotes in it that nothing escapes.
fn without_quoted(message: &str) -> String {
    let quotes: Vec<usize> = message.match_indices(QUOTES).map(|(at, _)| at).filter(|at| !is_apostrophe(message, *at)).collect();
    let Some(first) = quotes.first() else { return message.to_owned() };
    let end = match quotes.last() {
        Some(last) if quotes.len() > 1 && message.len() < CUT => last + message[*last..].chars().next().map_or(1, char::len_utf8),
        _ => message.len(),
    };
    format!("{}{REDACTED}{}", &message[..*first], &message[end..])
}

/// `doesn't` and `can't` have no quote in them.
fn is_apostrophe(message: &str, at: usize) -> bool {
    let Some(after) = message[at..].strip_prefix("'t") else { return false };
    let negated = ["doesn", "Can", "can", "isn", "don", "couldn", "wasn"].iter().any(|word| message[..at].ends_with(word));
    negated && !after.starts_with(char::is_alphanumeric)
}

/// Numbers, and bytes such as `0xff`, that the statement does not spell.
fn is_number(word: &str, words: &BTreeSet<&str>) -> bool {
    let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
    bare.starts_with(|c: char| c.is_ascii_digit()) && !words.contains(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_left_out_and_the_rest_stays() {
        let cases = [
            ("invalid input syntax for type integer: \"dsekret\"", "22P02", "invalid input syntax for type integer: (redacted)"),
            ("ungültige Eingabesyntax für Typ integer: »dsekret«", "22P02", "ungültige Eingabesyntax für Typ integer: (redacted)"),
            ("invalid input syntax for type integer: \"a\"b sekret\nc\"", "22P02", "invalid input syntax for type integer: (redacted)"),
            (
                "invalid byte sequence for encoding \"UTF8\": 0xff 0x41",
                "22021",
                "invalid byte sequence for encoding (redacted): (redacted) (redacted)",
            ),
            ("requested character too large for encoding: 1114112", "54000", "requested character too large for encoding: (redacted)"),
            ("division by zero", "22012", "division by zero"),
            ("canceling statement due to statement timeout", "57014", "canceling statement due to statement timeout"),
            ("XPATH syntax error: '\\sekret'", "HY000", "XPATH syntax error: (redacted)"),
            ("Table 'bank.other' doesn't exist", "42S02", "Table (redacted) doesn't exist"),
            ("Incorrect value: 'he doesn't pay' for column", "HY000", "Incorrect value: (redacted) for column"),
            ("relation \"sekret\" does not exist", "42P01", "relation (redacted) does not exist"),
            ("relation \"nopk\" does not exist", "42P01", "relation \"nopk\" does not exist"),
            ("Unknown column 'nopk' in 'field list'", "42S22", "Unknown column 'nopk' in 'field list'"),
            ("Unknown column 'sekret' in 'field list'", "42S22", "Unknown column (redacted)"),
            ("no such column: x", "1", "no such column: x"),
            ("item order invariant violated for index \"t_7\"", "XX002", "item order invariant violated for index \"t_7\""),
            ("open: 'sekret", "22000", "open: (redacted)"),
        ];
        for (message, code, expected) in cases {
            assert_eq!(without_values(message, code, "SELECT b::regclass FROM nopk"), expected);
        }
        let long = format!("Incorrect value: 'sekret' {} doesn't", "sekret ".repeat(90));
        assert_eq!(without_values(&long, "HY000", ""), "Incorrect value: (redacted)");
    }

    proptest::proptest! {
        #[test]
        fn no_quoted_value_is_ever_left(value in "[a-z'\"`» \n]{0,20}QZX[a-z'\"`« \n]{0,20}", code in "(22P02|42P01|HY000|1|42000)") {
            for quote in ['"', '\''] {
                let said = without_values(&format!("wrong value: {quote}{value}{quote} for t"), &code, "SELECT a, t FROM b");
                proptest::prop_assert!(!said.contains("QZX"), "{said}");
            }
        }

        #[test]
        fn any_message_is_told(message in ".{0,80}", code in "[0-9A-Z]{0,5}", statement in ".{0,40}") {
            let _ = without_values(&message, &code, &statement);
        }
    }
}
