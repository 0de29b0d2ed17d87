//! What a DynamoDB restore leaves behind: the settings of a table that no restoring call brings back, as its source has them.
//!
//! By the developer guide ("Point-in-time recovery: restoring a table", "Restoring a DynamoDB table from a backup") these have to be set again by
//! hand: auto scaling, IAM policies, CloudWatch alarms, tags, streams, TTL, deletion protection, point-in-time recovery. That is documented behaviour, not
//! corruption: it is listed for whoever recovers, beside the verdict on the data.

use aws_sdk_dynamodb::Client;
use serde::Serialize;
use serde_json::{Value, json};

use crate::aws::dynamodb_backup::Tables;
use crate::aws::errors::classify;
use crate::aws::session::Session;
use crate::model::failure::Failure;

/// One setting, on both sides.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Line {
    /// Such as `time to live`.
    pub setting: &'static str,
    /// As the source has it; nothing where it was not looked at.
    pub source: Option<Value>,
    /// As the restored table has it.
    pub restored: Option<Value>,
    /// `same`, `lost`, `different`, or `not looked at`.
    pub state: &'static str,
}

/// What this program does not look at, since other services hold it.
const ELSEWHERE: &[&str] = &["auto scaling policies", "CloudWatch alarms", "resource and IAM policies"];

/// The settings of a table by their names.
async fn settings(session: &Session, table: &str) -> Result<Vec<(&'static str, Value)>, Failure> {
    let client = Client::new(session.config());
    let what = |call: &str| format!("dynamodb:{call} {table}");
    let live =
        client.describe_time_to_live().table_name(table).send().await.map_err(|error| classify(&what("DescribeTimeToLive"), error))?;
    let live = live.time_to_live_description.and_then(|live| live.attribute_name);
    let tables = Tables::new(session);
    let recovery = tables.recovery_window(table).await?.status == "ENABLED";
    let found = client.describe_table().table_name(table).send().await.map_err(|error| classify(&what("DescribeTable"), error))?;
    let found = found.table.ok_or_else(|| Failure::new(crate::model::failure::FailureKind::Remote, what("DescribeTable")))?;
    let stream = found.stream_specification().filter(|stream| stream.stream_enabled()).and_then(|stream| stream.stream_view_type());
    let mut tags = tables.table(table).await?.map(|table| table.tags).unwrap_or_default();
    tags.retain(|name, _| !name.starts_with("attestore:"));
    let mut indexes: Vec<&str> = found.global_secondary_indexes().iter().filter_map(|index| index.index_name()).collect();
    indexes.extend(found.local_secondary_indexes().iter().filter_map(|index| index.index_name()));
    indexes.sort_unstable();
    let billing = found.billing_mode_summary().and_then(|billing| billing.billing_mode()).map_or("PROVISIONED", |mode| mode.as_str());
    Ok(vec![
        ("time to live", json!(live)),
        ("stream", json!(stream.map(|view| view.as_str()))),
        ("tags", json!(tags)),
        ("point-in-time recovery", json!(recovery)),
        ("deletion protection", json!(found.deletion_protection_enabled().unwrap_or(false))),
        ("indexes", json!(indexes)),
        ("billing mode", json!(billing)),
    ])
}

/// The checklist: every setting of both tables. Where the source cannot be looked at (it is gone, or in another account), its side is empty.
pub async fn checklist(source: (&Session, &str), restored: (&Session, &str)) -> Result<Vec<Line>, Failure> {
    let before = settings(source.0, source.1).await.ok();
    let after = settings(restored.0, restored.1).await?;
    let mut lines: Vec<Line> = after
        .into_iter()
        .map(|(setting, now)| {
            let was = before.as_ref().and_then(|all| all.iter().find(|(name, _)| *name == setting)).map(|(_, value)| value.clone());
            Line { setting, state: state(was.as_ref(), &now), source: was, restored: Some(now) }
        })
        .collect();
    lines.extend(ELSEWHERE.iter().map(|setting| Line { setting, source: None, restored: None, state: "not looked at" }));
    Ok(lines)
}

fn state(was: Option<&Value>, now: &Value) -> &'static str {
    let empty = |value: &Value| value.is_null() || *value == json!(false) || *value == json!({}) || *value == json!([]);
    match was {
        None => "not looked at",
        Some(was) if was == now => "same",
        Some(was) if !empty(was) && empty(now) => "lost",
        Some(_) => "different",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_lost_where_the_source_has_it_and_the_restore_has_not() {
        assert_eq!(state(Some(&json!("expires")), &json!(null)), "lost");
        assert_eq!(state(Some(&json!({"team": "a"})), &json!({})), "lost");
        assert_eq!(state(Some(&json!(false)), &json!(false)), "same");
        assert_eq!(state(Some(&json!("PROVISIONED")), &json!("PAY_PER_REQUEST")), "different");
        assert_eq!(state(None, &json!(true)), "not looked at");
    }
}
