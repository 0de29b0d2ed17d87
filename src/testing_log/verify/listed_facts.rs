//! What a listing says of a point beside its time, its engine and its state, and what a result says of it: whether it is encrypted, with which key,
//! until when it is kept, how large it is, where it lies and what it is of.
//!
//! Held where both state it. Not here: which listing has a point (`stated_of_points`), and whether its vault is locked.

use serde_json::Value;

use crate::testing_log::point_result::RpFacts;

/// Members of results, by those of listings.
const MEMBERS: [(&str, &str); 7] = [
    ("encrypted", "encrypted"),
    ("kms_key_arn", "kms_key_arn"),
    ("retain_until", "retain_until"),
    ("size_bytes", "size_bytes"),
    ("resource_arn", "source_resource_arn"),
    ("table_arn", "source_resource_arn"),
    ("source_arn", "source_resource_arn"),
];

/// What of `point` is otherwise in `item` of a listing, which is that of `vault` where it is one of a vault.
pub fn difference(item: &Value, vault: Option<&str>, point: &RpFacts) -> Option<String> {
    let said = serde_json::to_value(point).ok()?;
    let differs = |listed: &Value, name: &str| {
        let is_stated = !listed.is_null() && !said[name].is_null();
        (is_stated && *listed != said[name]).then(|| format!("`{name}` is listed as {listed}, found {}", said[name]))
    };
    let vault = vault.map_or(Value::Null, Value::from);
    MEMBERS.iter().find_map(|(listed, name)| differs(&item[*listed], name)).or_else(|| differs(&vault, "vault"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_both_state_is_the_same() {
        let point = json!({
            "id": "a", "kind": "s3", "from": "aws-backup", "vault": "nightly", "created_at": "2026-01-31T02:00:00.000Z", "encrypted": true,
            "retain_until": "2027-01-31T02:00:00.000Z", "source_resource_arn": "arn:aws:s3:::photos", "size_bytes": 7,
        });
        let point: RpFacts = serde_json::from_value(point).unwrap();
        let differs =
            |item: Value, vault: Option<&str>| difference(&item, vault, &point).map(|said| said.split('`').nth(1).unwrap().to_owned());
        let same = json!({"encrypted": true, "kms_key_arn": "k", "retain_until": "2027-01-31T02:00:00.000Z", "resource_arn": "arn:aws:s3:::photos"});
        assert_eq!(differs(same, Some("nightly")), None);
        assert_eq!(differs(json!({}), None), None);
        assert_eq!(differs(json!({"encrypted": null}), Some("weekly")).as_deref(), Some("vault"));
        for (name, value, said) in [
            ("encrypted", json!(false), "encrypted"),
            ("retain_until", json!("2026-02-01T02:00:00.000Z"), "retain_until"),
            ("resource_arn", json!("arn:aws:s3:::others"), "source_resource_arn"),
            ("table_arn", json!("arn:aws:dynamodb:e:1:table/t"), "source_resource_arn"),
            ("size_bytes", json!(8), "size_bytes"),
        ] {
            assert_eq!(differs(json!({name: value}), Some("nightly")).as_deref(), Some(said));
        }
    }
}
