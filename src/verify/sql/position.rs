//! Positions of a source in words.
//!
//! Not here: how an engine is asked for its position (`postgres::snapshot`, `mysql::snapshot`), and what a drill makes of it.

use serde_json::Value;

/// A position in words: each claim and its value.
pub fn told(position: &Value) -> String {
    let claims = position.as_object().into_iter().flatten();
    let words: Vec<String> = claims.filter_map(|(name, value)| Some(format!("{name} {}", value.as_str()?))).collect();
    if words.is_empty() { "a position that is not shown".to_owned() } else { words.join(", ") }
}

/// Two positions in words: the claims in which they differ.
pub fn told_apart(from: &Value, to: &Value) -> (String, String) {
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
    fn of_two_positions_what_differs_is_told() {
        let (before, after) = (json!({"lsn": "0/1", "snapshot": "902:902:"}), json!({"lsn": "0/7", "snapshot": "902:902:"}));
        assert_eq!(told_apart(&before, &after), ("lsn 0/1".to_owned(), "lsn 0/7".to_owned()));
        assert_eq!(told_apart(&before, &json!({"snapshot": "902:902:"})).1, "a position that is not shown");
    }
}
