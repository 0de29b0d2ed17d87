//! Whether a restored database stands where its manifest was captured: only then does a comparison prove `snapshot-exact`.
//!
//! A manifest of that mode states the position of its snapshot: the visible transactions of PostgreSQL (not the LSN, which a restart moves),
//! the GTID set of MySQL and MariaDB. A restore that shows the same holds exactly those rows; of any other, and of one that shows nothing,
//! the claim is the weaker `position-bounded`.

use serde_json::Value;

use crate::model::capture::CaptureMode;
use crate::model::failure::Failure;
use crate::model::source_url::SourceUrl;
use crate::monitor::{Event, Monitor};
use crate::verify::manifest::reader::Manifest;
use crate::verify::sql::connect::access::Access;
use crate::verify::sql::connect::errors;
use crate::verify::sql::database::Database;

/// The claims of a position that identify what is committed, by engine.
const EXACT: [&str; 2] = ["snapshot", "gtid"];

/// The mode in which `url` is compared with a manifest that is meant to count as `mode`: no claim is made greater.
///
/// # Errors
/// Where the database cannot be reached, as the comparison would say it.
pub async fn earned(
    url: &SourceUrl,
    access: &Access,
    manifest: &Manifest,
    mode: CaptureMode,
    monitor: &dyn Monitor,
) -> Result<CaptureMode, Failure> {
    if mode != CaptureMode::SnapshotExact {
        return Ok(mode);
    }
    let captured = manifest.header().position.as_ref().unwrap_or(&Value::Null);
    let mut db = match Database::open(url, access).await {
        Ok(db) => db,
        // A copy that a server of our own cannot open shows no position: the comparison says what it is.
        Err(failure) if access.keeper.is_some() && errors::is_of_damage(&failure) => return Ok(CaptureMode::PositionBounded),
        Err(failure) => return Err(failure),
    };
    let shown = db.position().await;
    db.close().await;
    if is_same(&captured["before"], &captured["after"]) && is_same(&captured["after"], &shown) {
        return Ok(mode);
    }
    monitor.event(Event::Note(&format!(
        "{url} does not show the position that the manifest was captured at ({} against {}): compared as {}, not as {mode}",
        told(&shown),
        told(&captured["after"]),
        CaptureMode::PositionBounded
    )));
    Ok(CaptureMode::PositionBounded)
}

/// Whether two positions are shown to be the same: at least one exact claim, and none that differs.
fn is_same(one: &Value, other: &Value) -> bool {
    let claims = |name: &&str| (one[name].as_str().filter(|text| !text.is_empty()), other[name].as_str().filter(|text| !text.is_empty()));
    let pairs: Vec<_> = EXACT.iter().map(claims).collect();
    pairs.iter().any(|(one, other)| one.is_some() && one == other) && pairs.iter().all(|(one, other)| one == other)
}

fn told(position: &Value) -> String {
    let claim = EXACT.iter().find_map(|name| Some(format!("{name} {}", position[name].as_str().filter(|text| !text.is_empty())?)));
    claim.unwrap_or_else(|| "none".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_shown_to_be_the_same_is_the_same() {
        let postgres = json!({"snapshot": "742:742:", "lsn": "0/1A2B"});
        assert!(is_same(&postgres, &json!({"snapshot": "742:742:", "lsn": "0/FFFF"})), "a restart moves the LSN");
        assert!(!is_same(&postgres, &json!({"snapshot": "743:743:", "lsn": "0/1A2B"})));
        let mysql = json!({"gtid": "0-1-17", "binlog": "bin.000001:4"});
        assert!(is_same(&mysql, &json!({"gtid": "0-1-17", "binlog": "bin.000007:4"})));
        assert!(!is_same(&mysql, &json!({"gtid": "0-1-18", "binlog": "bin.000001:4"})));
        // Coordinates of two servers' logs may be alike by chance, and nothing is equal to nothing.
        for unsaid in [json!({"binlog": "bin.000001:4"}), json!({"gtid": ""}), json!({}), Value::Null] {
            assert!(!is_same(&unsaid, &unsaid), "{unsaid}");
        }
        assert_eq!([told(&mysql), told(&Value::Null)], ["gtid 0-1-17", "none"]);
    }
}
