//! Positions of a source in words.
//!
//! Not here: how an engine is asked for its position (`postgres::snapshot`, `mysql::snapshot`), and what a drill makes of it.

use serde_json::Value;

/// What MySQL and MariaDB show that keep no binary log: how far InnoDB's own has come, which grows by the server's own doings too.
pub const INNODB_LSN: &str = "innodb_lsn";

/// Whether a position can prove that its source stood still, whatever it holds.
pub fn is_proof(position: &Value) -> bool {
    position.as_object().is_some_and(|claims| claims.keys().any(|name| name != INNODB_LSN))
}

/// That `source` moved from one position to another; or that it may have, where nothing shows who moved it.
pub fn moved(source: &str, from: &Value, to: &Value) -> String {
    let shown = told_apart(from, to);
    if is_proof(from) || is_proof(to) {
        return format!("{source} moved while it was read: from {} to {}", shown.0, shown.1);
    }
    format!(
        "{source} may have moved while it was read: from {} to {}; that is the log of InnoDB, which goes on by itself too, and no binary log \
         is kept, or shown, that would tell",
        shown.0, shown.1
    )
}

/// A position in words: each claim and its value.
pub fn told(position: &Value) -> String {
    let claims = position.as_object().into_iter().flatten();
    let words: Vec<String> = claims.filter_map(|(name, value)| Some(format!("{name} {}", value.as_str()?))).collect();
    if words.is_empty() { "a position that is not shown".to_owned() } else { words.join(", ") }
}

/// Two positions in words: the claims in which they differ.
fn told_apart(from: &Value, to: &Value) -> (String, String) {
    let differing = |one: &Value, other: &Value| {
        let claims = one.as_object().into_iter().flatten().filter(|(name, value)| other[name.as_str()] != **value);
        told(&claims.map(|(name, value)| (name.clone(), value.clone())).collect())
    };
    (differing(from, to), differing(to, from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_claim_is_told() {
        assert_eq!(told(&json!({"lsn": "0/1", "snapshot": "738:738:"})), "lsn 0/1, snapshot 738:738:");
        assert_eq!(told(&json!({})), "a position that is not shown");
    }

    #[test]
    fn who_moved_a_log_is_told_where_it_is_known() {
        let at = |name: &str, to: &str| json!({name: to});
        assert_eq!(moved("x", &at("gtid", "1"), &at("gtid", "2")), "x moved while it was read: from gtid 1 to gtid 2");
        let doubtful = moved("x", &at(INNODB_LSN, "1"), &at(INNODB_LSN, "2"));
        assert!(doubtful.starts_with("x may have moved while it was read: from innodb_lsn 1 to innodb_lsn 2"), "{doubtful}");
        assert!(is_proof(&at("binlog", "b:1")) && !is_proof(&at(INNODB_LSN, "1")) && !is_proof(&json!({})));
    }

    #[test]
    fn of_two_positions_what_differs_is_told() {
        let (before, after) = (json!({"lsn": "0/1", "snapshot": "902:902:"}), json!({"lsn": "0/7", "snapshot": "902:902:"}));
        assert_eq!(told_apart(&before, &after), ("lsn 0/1".to_owned(), "lsn 0/7".to_owned()));
        assert_eq!(told_apart(&before, &json!({"snapshot": "902:902:"})).1, "a position that is not shown");
    }
}
