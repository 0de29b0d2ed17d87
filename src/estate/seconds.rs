//! What can be restored to any second of a window: the seconds that are drilled, each of them a recovery point.

use std::collections::{BTreeMap, BTreeSet};

use crate::aws::backup::VaultPoint;
use crate::aws::rds::Instance;
use crate::estate::config::{LATEST, Points, Resource};
use crate::model::clock::Timestamp;
use crate::model::exclusion;
use crate::model::failure::Failure;
use crate::model::ids::PointId;
use crate::model::recovery_point::{RecoveryPoint, outside};
use crate::testing_log::body::Excluded;

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

/// The seconds of a continuous recovery point of a bucket: those that are configured and those that registered manifests name. AWS states no latest
/// restorable time for S3, so that none is taken by itself; what lies before the point's creation or after now is no second of it.
pub fn of_bucket_point(
    resource: &Resource,
    points: &Points,
    (point, vault_locked): (&VaultPoint, Option<bool>),
    named: &BTreeMap<PointId, Timestamp>,
    excluded: &mut Vec<Excluded>,
) -> Result<Vec<RecoveryPoint>, Failure> {
    let mut at: Vec<String> = named.keys().filter_map(|id| id.second_of(&point.arn)).map(|at| at.to_string()).collect();
    at.extend(points.at.iter().filter(|at| *at != LATEST).cloned());
    let mut without = |id: String, reason: &str| excluded.push(Excluded { id, reason: reason.to_owned() });
    if points.at.iter().any(|at| at == LATEST) {
        without(format!("{}@{LATEST}", point.arn), exclusion::NO_LATEST_OF_S3);
    }
    if at.is_empty() {
        without(point.arn.clone(), exclusion::NO_SECOND);
        return Ok(Vec::new());
    }
    let window = (point.created_at.unwrap_or(Timestamp(0)), Timestamp::now());
    let points = Points { at, ..points.clone() };
    of_continuous(resource, &points, point, vault_locked, window)
}

/// The configured seconds of a bucket that keeps versions. The latest is two seconds ago: S3 states dates in whole seconds, and of one that is
/// not over yet nobody can tell what was written before it.
pub fn of_bucket(resource: &Resource, points: &Points, bucket: &str, versioning: &str) -> Result<Vec<RecoveryPoint>, Failure> {
    let arn = format!("arn:aws:s3:::{bucket}");
    let latest = Timestamp::from_secs(Timestamp::now().as_secs() - 2);
    let one = |at| RecoveryPoint {
        id: PointId::at(&arn, at),
        resource: resource.id.clone(),
        kind: resource.kind,
        from: points.from,
        handle: arn.clone(),
        source_arn: Some(arn.clone()),
        vault: None,
        created_at: at,
        size_bytes: None,
        state: match versioning {
            _ if at > latest => "in the future".into(),
            "Enabled" => "AVAILABLE".into(),
            other => format!("versioning {other}"),
        },
        encrypted: None,
        kms_key_arn: None,
        vault_locked: None,
        retain_until: None,
    };
    Ok(times(resource, points, latest)?.into_iter().map(one).collect())
}

/// The configured seconds, each once; the latest one where none is named.
fn times(resource: &Resource, points: &Points, latest: Timestamp) -> Result<BTreeSet<Timestamp>, Failure> {
    let whole = |at: Timestamp| Timestamp::from_secs(at.as_secs());
    if points.at.is_empty() {
        return Ok(BTreeSet::from([whole(latest)]));
    }
    let time = |text: &String| match text.as_str() {
        LATEST => Ok(latest),
        text => text.parse().map_err(|error| Failure::invalid(format!("{}: {error}", resource.id))),
    };
    points.at.iter().map(|text| time(text).map(whole)).collect()
}

fn state(at: Timestamp, (earliest, latest): Window, status: &str) -> String {
    if (earliest..=latest).contains(&at) { status.to_owned() } else { outside(earliest, latest) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_whole_however_the_service_states_its_last() {
        let resource = |at: &str| {
            let text = format!(
                "id = \"crm\"\napplication = \"a\"\nkind = \"rds-postgres\"\nclass = \"c\"\nsource = \"crm\"\n\
                 [[points]]\nfrom = \"rds-pitr\"\nat = [{at}]\n"
            );
            toml::from_str::<Resource>(&text).unwrap()
        };
        let latest: Timestamp = "2026-01-31T02:00:00.700Z".parse().unwrap();
        let whole = |at: &str| BTreeSet::from([at.parse::<Timestamp>().unwrap()]);
        for (at, expected) in
            [("", "2026-01-31T02:00:00Z"), ("\"latest\"", "2026-01-31T02:00:00Z"), ("\"2026-01-31T01:00:00.500Z\"", "2026-01-31T01:00:00Z")]
        {
            let resource = resource(at);
            assert_eq!(times(&resource, &resource.points[0], latest).unwrap(), whole(expected), "{at}");
        }
    }
}
