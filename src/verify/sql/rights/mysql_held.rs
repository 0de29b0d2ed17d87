//! What a reader of MySQL or MariaDB may see. `information_schema` shows what one has rights on and is silent about the rest: a reader of
//! one table sees a database of one table. What may be seen is therefore asked before anything is concluded from what is.
//!
//! Not here: the rights that a reader should have (`grants`).

use std::collections::BTreeSet;

use crate::verify::sql::connect::errors::Broken;
use crate::verify::sql::rows::table::backticked;
use crate::verify::sql::wire::mysql::error::WireError;
use crate::verify::sql::wire::mysql::session::WireSession;

/// The right to see the bodies of routines. Servers grant it under several names: MariaDB from 11.3 on under this one, MySQL from 8.0.20 on
/// as `SHOW_ROUTINE`, others to readers of `mysql.proc`.
pub const ROUTINES: &str = "SHOW CREATE ROUTINE";

/// A name that no table has: who may read the whole database is told that there is none, everybody else that access is denied.
pub const NO_TABLE: &str = "attestore asks whether it may read this database";

/// What the reader holds on one database, in all the ways in which it can be granted: globally, by a pattern of names, through roles.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rights {
    held: BTreeSet<String>,
}

impl Rights {
    /// Asks for them.
    ///
    /// # Errors
    /// Where the session breaks; a question that is denied is an answer.
    pub async fn of(session: &mut WireSession, database: &str, mariadb: bool) -> Result<Self, WireError> {
        let mut lines = Vec::new();
        let mut questions = vec!["SHOW GRANTS".to_owned()];
        if mariadb {
            // The grants of an active role come with those of its user; what everybody has does not.
            questions.push("SHOW GRANTS FOR PUBLIC".to_owned());
        }
        for question in questions {
            lines.extend(answers(session, &question).await?.unwrap_or_default());
        }
        let known: Vec<String> = answers(session, "SHOW PRIVILEGES").await?.unwrap_or_default();
        let probe = format!("SELECT 1 FROM {}.{} LIMIT 0", backticked(database), backticked(NO_TABLE));
        let reads = may(session, &probe).await?;
        let bodies = answers(session, "SELECT 1 FROM mysql.proc LIMIT 0").await?.is_some();
        Ok(Self::from_answers(&lines, &known, database, (reads, bodies)))
    }

    /// From the lines of `SHOW GRANTS`, the rights that the server knows, and whether a table of the database and one of the routines' bodies
    /// could be read: what the server does is more than what it prints, of rights that were taken away in part, or come on ways not known here.
    pub fn from_answers(lines: &[String], known: &[String], database: &str, (reads, bodies): (bool, bool)) -> Self {
        let mut held = held(lines, database, known);
        held.remove("SELECT");
        if reads {
            held.insert("SELECT".to_owned());
        }
        if bodies || held.contains("SHOW_ROUTINE") {
            held.insert(ROUTINES.to_owned());
        }
        Self { held }
    }

    /// Whether a right is held on the whole database.
    pub fn holds(&self, right: &str) -> bool {
        self.held.contains(right)
    }
}

/// Whether a question is denied; any other refusal is one of somebody who may ask.
async fn may(session: &mut WireSession, question: &str) -> Result<bool, WireError> {
    match session.ask(question, &[]).await {
        Ok(_) => Ok(true),
        Err(error) if Broken::of_wire(&error).lost => Err(error),
        Err(WireError::Server { number, .. }) => Ok(number == NO_SUCH_TABLE),
        Err(_) => Ok(false),
    }
}

const NO_SUCH_TABLE: u16 = 1146;

/// The first column of an answer; nothing where the server refuses.
async fn answers(session: &mut WireSession, question: &str) -> Result<Option<Vec<String>>, WireError> {
    match session.ask(question, &[]).await {
        Ok(rows) => Ok(Some(rows.iter().filter_map(|row| row.text(0)).collect())),
        Err(error) if Broken::of_wire(&error).lost => Err(error),
        Err(_) => Ok(None),
    }
}

/// What the lines of `SHOW GRANTS` grant on all of `database`; `known` are the rights that the server knows, as `SHOW PRIVILEGES` names them.
fn held(lines: &[String], database: &str, known: &[String]) -> BTreeSet<String> {
    let knows = |right: &str| known.iter().any(|name| name.eq_ignore_ascii_case(right));
    let mut held = BTreeSet::new();
    for line in lines {
        let (granted, line) = match (line.strip_prefix("GRANT "), line.strip_prefix("REVOKE ")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => continue,
        };
        let Some((rights, target)) = parts(line) else { continue };
        let everywhere = target.starts_with("*.*");
        let here = || schema_of(target).is_some_and(|pattern| pattern == database || is_like(&pattern, database));
        if !everywhere && !here() {
            continue;
        }
        for right in rights {
            let all = ["SHOW VIEW", "TRIGGER", "EVENT"].into_iter().map(str::to_owned);
            let more = knows(ROUTINES).then(|| ROUTINES.to_owned());
            let global = (everywhere && knows("SHOW_ROUTINE")).then(|| "SHOW_ROUTINE".to_owned());
            match (right.as_str(), granted) {
                ("ALL" | "ALL PRIVILEGES", true) => held.extend(all.chain(more).chain(global)),
                // MySQL shows routines in full to whom may read everything.
                ("SELECT", true) if everywhere => held.extend(global),
                (_, true) => drop(held.insert(right)),
                (_, false) => drop(held.remove(&right)),
            }
        }
    }
    held
}

/// The rights of a line, without those on single columns, and what they are on.
fn parts(line: &str) -> Option<(Vec<String>, &str)> {
    let (mut rights, mut right, mut depth, mut quoted, mut columns) = (Vec::new(), String::new(), 0u32, false, false);
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            b'`' => quoted = !quoted,
            _ if quoted => {}
            b'(' => (depth, columns) = (depth + 1, true),
            b')' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            b',' | b' ' if byte == b',' || line[at..].starts_with(" ON ") => {
                let name = std::mem::take(&mut right);
                if !std::mem::take(&mut columns) {
                    rights.push(name.trim().to_ascii_uppercase());
                }
                if byte == b' ' {
                    return Some((rights, &line[at + 4..]));
                }
            }
            _ => right.push(char::from(byte)),
        }
    }
    // A role, which is on nothing.
    None
}

/// `db` of "`db`.* TO …".
fn schema_of(target: &str) -> Option<String> {
    let rest = target.strip_prefix('`')?;
    let mut name = String::new();
    let mut chars = rest.char_indices().peekable();
    while let Some((at, char)) = chars.next() {
        match char {
            '`' if chars.peek().is_some_and(|(_, next)| *next == '`') => {
                chars.next();
                name.push('`');
            }
            '`' => return rest[at + 1..].starts_with(".*").then_some(name),
            char => name.push(char),
        }
    }
    None
}

/// SQL's LIKE, with `\` before what means itself.
fn is_like(pattern: &str, text: &str) -> bool {
    let mut chars = pattern.chars();
    match chars.next() {
        None => text.is_empty(),
        Some('%') => {
            let rest = chars.as_str();
            std::iter::once(text.len()).chain(text.char_indices().map(|(at, _)| at)).any(|at| is_like(rest, &text[at..]))
        }
        Some('_') => {
            let mut of_text = text.chars();
            of_text.next().is_some() && is_like(chars.as_str(), of_text.as_str())
        }
        Some(char) => {
            let char = if char == '\\' { chars.next().unwrap_or('\\') } else { char };
            text.strip_prefix(char).is_some_and(|rest| is_like(chars.as_str(), rest))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn on(database: &str, lines: &[&str]) -> Vec<String> {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        held(&lines, database, &["Show Create Routine".to_owned()]).into_iter().collect()
    }

    #[test]
    fn grants_are_read_as_servers_print_them() {
        let usage = "GRANT USAGE ON *.* TO `u`@`%` IDENTIFIED BY PASSWORD '*7B9E'";
        assert_eq!(
            on("t_1", &[usage, "GRANT SELECT, SHOW VIEW, EVENT, TRIGGER ON `t\\_1`.* TO `u`@`%`"]),
            ["EVENT", "SELECT", "SHOW VIEW", "TRIGGER", "USAGE"]
        );
        assert_eq!(on("tx1", &["GRANT TRIGGER ON `t\\_1`.* TO `u`@`%`"]), Vec::<String>::new());
        assert_eq!(on("tx1", &["GRANT TRIGGER ON `t_1`.* TO `u`@`%`"]), ["TRIGGER"]);
        assert_eq!(on("shop", &["GRANT `r` TO `u`@`%`", "GRANT EVENT ON `s%`.* TO `r`", "SET DEFAULT ROLE `r` FOR `u`@`%`"]), ["EVENT"]);
        assert_eq!(on("t", &["GRANT SELECT (`a ON b`, `c`), TRIGGER ON `t`.`nopk` TO `u`@`%`"]), Vec::<String>::new());
        assert_eq!(
            on("t", &["GRANT EXECUTE ON PROCEDURE `t`.`p` TO `u`@`%`", "GRANT PROXY ON ''@'' TO 'root'@'localhost'"]),
            Vec::<String>::new()
        );
        assert_eq!(on("t", &["GRANT ALL PRIVILEGES ON *.* TO `u`@`%` WITH GRANT OPTION"]), ["EVENT", ROUTINES, "SHOW VIEW", "TRIGGER"]);
        assert_eq!(on("t", &["GRANT SELECT, TRIGGER ON *.* TO `u`@`%`", "REVOKE TRIGGER ON `t`.* FROM `u`@`%`"]), Vec::<String>::new());
        assert_eq!(on("o`neil", &["GRANT EVENT ON `o``neil`.* TO `u`@`%`"]), ["EVENT"]);
    }

    proptest! {
        #[test]
        fn any_line_is_read_without_a_panic(line in ".*", database in ".*") {
            held(&[format!("GRANT {line}"), format!("REVOKE {line}"), line], &database, &[]);
        }

        #[test]
        fn a_name_that_is_escaped_is_like_itself_only(name in "[a-c_%\\\\]{0,6}", other in "[a-c_%\\\\]{0,6}") {
            let escaped: String = name.chars().flat_map(|char| ['\\', char]).collect();
            prop_assert_eq!(is_like(&escaped, &other), name == other);
            let (pattern, longer) = (format!("{escaped}%"), format!("{name}{other}"));
            prop_assert!(is_like("%", &other) && is_like(&pattern, &longer));
        }
    }
}
