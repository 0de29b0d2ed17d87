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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_claim_is_told() {
        assert_eq!(told(&json!({"lsn": "0/1", "snapshot": "738:738:"})), "lsn 0/1, snapshot 738:738:");
        assert_eq!(told(&json!({})), "a position that is not shown");
    }
}
