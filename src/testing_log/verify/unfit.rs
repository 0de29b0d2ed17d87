//! Why what a listing has belongs into no population: by the state that it is listed in, or because it is of something else.
//!
//! Not here: whether it is in the population (`stated_of_points`), or left out for that reason (`excluded`).

use serde_json::Value;

use crate::model::exclusion;
use crate::model::recovery_point::{UNDATED, eligibility_of};
use crate::testing_log::verify::listing::{BACKUPS, Listing, SNAPSHOTS, VAULT, VERSIONING};

/// All of the reasons of what a service lists one by one.
pub fn reasons(listing: &Listing<'_>, item: &Value) -> Vec<String> {
    let text = |name: &str| item[name].as_str().unwrap_or_default();
    let is_undated = listing.call == VAULT && item.get("created_at").is_some_and(Value::is_null);
    let undated = is_undated.then_some(UNDATED);
    let of_another = match listing.call.as_str() {
        SNAPSHOTS if !text("instance").eq_ignore_ascii_case(&listing.of) => {
            Some(exclusion::of_another("RDS", "instance", text("instance"), &listing.of))
        }
        BACKUPS => {
            let table = text("table_arn").rsplit_once("table/").map_or("", |(_, name)| name);
            (table != listing.of).then(|| exclusion::of_another("DynamoDB", "table", table, &listing.of))
        }
        _ => None,
    };
    let states = undated.into_iter().chain([text("status")]);
    states.filter_map(|state| eligibility_of(state).err()).chain(of_another).collect()
}

/// The first of them; nothing of what is listed without a state, or of which any second of a window is a point.
pub fn why(listing: &Listing<'_>, item: &Value) -> Option<String> {
    match listing.call.as_str() {
        VERSIONING => {
            let answer = item.as_str().unwrap_or_default();
            if answer == "Enabled" { None } else { eligibility_of(&format!("versioning {answer}")).err() }
        }
        VAULT | SNAPSHOTS | BACKUPS if item["status"].is_string() => reasons(listing, item).into_iter().next(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_state_that_cannot_be_restored_is_told_in_the_words_of_an_exclusion() {
        let why = |call: &str, of: &str, item: Value| {
            why(&Listing { label: "l", call: call.to_owned(), of: of.to_owned(), answer: Value::Null }, &item)
        };
        let snapshot = |status: &str, instance: &str| why(SNAPSHOTS, "crm", json!({"status": status, "instance": instance}));
        assert_eq!(snapshot("available", "CRM"), None);
        assert_eq!(snapshot("creating", "crm").as_deref(), Some("creating: not complete yet"));
        assert!(snapshot("available", "hr").is_some_and(|why| why.contains("is of the instance `hr`")));
        let vaulted = |status: &str, at: Value| why(VAULT, "v", json!({"status": status, "created_at": at}));
        assert_eq!(vaulted("PARTIAL", json!("2026-01-01T00:00:00.000Z")), None);
        assert!(vaulted("EXPIRED", json!("2026-01-01T00:00:00.000Z")).is_some() && vaulted("COMPLETED", Value::Null).is_some());
        assert!(why(BACKUPS, "t", json!({"status": "DELETED", "table_arn": "arn:aws:dynamodb:e:1:table/t"})).is_some());
        assert_eq!(why(SNAPSHOTS, "crm", json!({"instance": "crm"})), None, "its state was not kept");
        assert_eq!((why(VERSIONING, "b", json!("Enabled")), why(VERSIONING, "b", json!("Suspended")).is_some()), (None, true));
        assert!(why(VERSIONING, "b", Value::Null).is_some());
    }
}
