//! Two words of one definition that mean the same, or nothing worse: numbers that went on, columns in their order, character sets by another name.
//!
//! Not here: definitions that are kept as digests, which are equal or not (`differences`).

use crate::verify::sql::definitions::kinds::{AUTO_INCREMENT, CHARACTER_SETS, COLUMN_ORDER, is_number};
use crate::verify::sql::definitions::not_carried;

/// Whether `now` is what `before` was, for a kind whose words are kept as they are.
pub fn is_alike(kind: &str, before: &str, now: &str) -> bool {
    is_number(kind) && !is_behind(kind, before, now)
        || kind == COLUMN_ORDER && !is_reordered(before, now)
        || CHARACTER_SETS.contains(&kind) && is_read_alike(before, now)
}

/// A character set or a collation by its name of today: `utf8` has become `utf8mb3` (release notes of MySQL 8.0.30 and MariaDB 10.6).
pub fn of_today(name: &str) -> String {
    match name.strip_prefix("utf8") {
        Some(rest) if rest.is_empty() || rest.starts_with(['_', '*']) => format!("utf8mb3{rest}"),
        _ => name.to_owned(),
    }
}

/// Whether a text is read in the same character sets. What follows its database's collation follows the one of a database that a dump is
/// loaded into.
fn is_read_alike(before: &str, now: &str) -> bool {
    let words = |text: &str| -> Vec<String> { text.split(' ').map(of_today).collect() };
    let (before, now) = (words(before), words(now));
    let own = |word: &str| word.trim_end_matches('*').to_owned();
    let same =
        |(at, (one, other)): (usize, (&String, &String))| own(one) == own(other) || at == 2 && one.ends_with('*') && other.ends_with('*');
    before.len() == now.len() && before.iter().zip(&now).enumerate().all(same)
}

/// Whether the columns that both have follow one another in another order; what only one has is told with its table.
fn is_reordered(before: &str, now: &str) -> bool {
    let columns = |text: &str| serde_json::from_str::<Vec<String>>(text);
    let (Ok(before), Ok(now)) = (columns(before), columns(now)) else { return before != now };
    let of_both = |one: &[String], other: &[String]| one.iter().filter(|name| other.contains(name)).cloned().collect::<Vec<_>>();
    of_both(&before, &now) != of_both(&now, &before)
}

/// Whether numbers were given that may be given again. Those that cannot be read are not known to be in order.
fn is_behind(kind: &str, before: &str, now: &str) -> bool {
    match (before.parse::<i128>(), now.parse::<i128>()) {
        (Ok(before), Ok(now)) if kind == AUTO_INCREMENT => before.saturating_sub(now) > not_carried::reserved(now),
        (Ok(before), Ok(now)) => now < before,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_auto_increment_may_lose_what_was_reserved_and_no_more() {
        for (before, now) in [("6", "6"), ("6", "60"), ("8", "6"), ("1", "1")] {
            assert!(is_alike(AUTO_INCREMENT, before, now), "{before} {now}");
        }
        for (before, now) in [("5001", "301"), ("5", "1"), ("8", "4"), ("10000000", "9000000"), ("9", "many")] {
            assert!(!is_alike(AUTO_INCREMENT, before, now), "{before} {now}");
        }
    }

    #[test]
    fn columns_in_another_order_are_told_and_not_that_there_are_more() {
        let before = r#"["id","a","b"]"#;
        for now in [r#"["id", "a", "b"]"#, r#"["x","id","a","y","b"]"#, r#"["id","b"]"#] {
            assert!(is_alike(COLUMN_ORDER, before, now), "{now}");
        }
        for now in [r#"["id","b","a"]"#, r#"["b","x","id"]"#, "no list"] {
            assert!(!is_alike(COLUMN_ORDER, before, now), "{now}");
        }
    }

    #[test]
    fn a_text_is_read_in_the_character_sets_that_it_was_written_in() {
        let is_same = |now: &str| CHARACTER_SETS.iter().all(|kind| is_alike(kind, "utf8 utf8_general_ci utf8mb4_general_ci*", now));
        for now in [
            "utf8 utf8_general_ci utf8mb4_general_ci*",
            "utf8mb3 utf8mb3_general_ci utf8mb4_general_ci",
            "utf8mb3 utf8_general_ci latin1_swedish_ci*",
        ] {
            assert!(is_same(now), "{now}");
        }
        for now in [
            "utf8mb4 utf8_general_ci utf8mb4_general_ci*",
            "utf8 utf8_bin utf8mb4_general_ci*",
            "utf8 utf8_general_ci latin1_swedish_ci",
            "utf8 utf8_general_ci",
            "",
        ] {
            assert!(!is_same(now), "{now}");
        }
        assert!(!is_alike("view", "utf8 utf8_bin", "utf8mb3 utf8mb3_bin"), "of other kinds only digests are known");
    }
}
