//! Databases that can be restored to any second of a window: the seconds that are drilled, each of them a recovery point.

use std::collections::BTreeSet;

use crate::aws::backup::VaultPoint;
use crate::aws::rds::Instance;
use crate::estate::config::{LATEST, Points, Resource};
use crate::model::clock::Timestamp;
use crate::model::failure::Failure;
use crate::model::ids::PointId;
use crate::model::recovery_point::RecoveryPoint;

/// The earliest and the latest restorable time.
pub type Window = (Timestamp, Timestamp);

/// The configured seconds of an instance with automated backups, restored by RDS itself.
pub fn of_instance(resource: &Resource, points: &Points, instance: &Instance, window: Window) -> Result<Vec<RecoveryPoint>, Failure> {
    let one = |at| RecoveryPoint {
        id: PointId::at(&instance.arn, at),
        resource: resource.id.clone(),
        kind: resource.kind,
        from: points.from,
        handle: instance.arn.clone(),
        source_arn: Some(instance.arn.clone()),
        vault: None,
        created_at: at,
        size_bytes: None,
        state: state(at, window, "AVAILABLE"),
        encrypted: None,
        kms_key_arn: instance.kms_key_arn.clone(),
        vault_locked: None,
        retain_until: None,
    };
    Ok(times(resource, points, window.1)?.into_iter().map(one).collect())
}

/// The configured seconds of a continuous recovery point of AWS Backup.
pub fn of_continuous(
    resource: &Resource,
    points: &Points,
    point: &VaultPoint,
    vault_locked: Option<bool>,
    window: Window,
) -> Result<Vec<RecoveryPoint>, Failure> {
    let one = |at| RecoveryPoint {
        id: PointId::at(&point.arn, at),
        resource: resource.id.clone(),
        kind: resource.kind,
        from: points.from,
        handle: point.arn.clone(),
        source_arn: Some(point.resource_arn.clone()),
        vault: points.vault.clone(),
        created_at: at,
        size_bytes: point.size_bytes,
        state: state(at, window, &point.status),
        encrypted: Some(point.encrypted),
        kms_key_arn: point.kms_key_arn.clone(),
        vault_locked,
        retain_until: point.retain_until,
    };
    Ok(times(resource, points, window.1)?.into_iter().map(one).collect())
}

/// The configured seconds, each once; the latest one where none is named.
fn times(resource: &Resource, points: &Points, latest: Timestamp) -> Result<BTreeSet<Timestamp>, Failure> {
    if points.at.is_empty() {
        return Ok(BTreeSet::from([latest]));
    }
    let time = |text: &String| match text.as_str() {
        LATEST => Ok(latest),
        text => text.parse().map_err(|error| Failure::invalid(format!("{}: {error}", resource.id))),
    };
    let whole = |at: Timestamp| Timestamp::from_secs(at.as_secs());
    points.at.iter().map(|text| time(text).map(whole)).collect()
}

fn state(at: Timestamp, (earliest, latest): Window, status: &str) -> String {
    if (earliest..=latest).contains(&at) { status.to_owned() } else { format!("outside the window from {earliest} to {latest}") }
}
