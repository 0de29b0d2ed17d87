//! Backup access points: CREATING, then AVAILABLE with an alias that the S3 store answers to, or FAILED; DELETING, then gone.
//!
//! After the developer guide, "Access points": only of S3 points that are AVAILABLE, STOPPED or COMPLETED, at most five a point; a continuous point
//! needs `AccessPointInTime`, another must not have it; while one exists the point is not deleted.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use crate::model::failure::Failure;
use crate::sandbox::control::answer::{Refused, epoch, now, random_hex};
use crate::sandbox::control::backup::jobs::{Backup, STEP, blocking};
use crate::sandbox::control::backup::refusals::{absent, invalid, needed};
use crate::sandbox::control::backup::state::{AccessPoint, Held, vault_arn};
use crate::sandbox::control::faults::AccessPointFault;
use crate::sandbox::identity::{ACCOUNT_ID, REGION};
use crate::sandbox::s3::access_points::SUFFIX;

/// How many one recovery point may have.
const MOST: usize = 5;

impl Backup {
    pub(super) fn create_access_point(&self, input: &Value) -> Result<Value, Refused> {
        let name = needed(input, "Name")?.to_owned();
        let arn = needed(input, "RecoveryPointArn")?;
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let inner = name.bytes().all(|byte| plain(byte) || byte == b'-');
        let ends = name.bytes().next().is_some_and(plain) && name.bytes().last().is_some_and(plain);
        if !inner || !ends || !(3..=50).contains(&name.len()) || name.ends_with("-s3alias") {
            return Err(invalid(format!("Invalid access point name {name}: 3 to 50 lower-case letters, digits and hyphens.")));
        }
        let point = self.point(arn).ok_or_else(|| absent(format!("Recovery point {arn} does not exist.")))?;
        if point.resource_type != "S3" || !matches!(point.status.as_str(), "AVAILABLE" | "STOPPED" | "COMPLETED") {
            let said = format!("Recovery point {arn} is of {} and {}: it can have no access point.", point.resource_type, point.status);
            return Err(Refused::new("InvalidRequestException", said));
        }
        let in_time = in_time(input, &point.held, point.created)?;
        let tags: BTreeMap<String, String> = serde_json::from_value(input["Tags"].clone()).unwrap_or_default();
        let alias = format!("{}-{}{SUFFIX}", name.chars().take(20).collect::<String>().trim_end_matches('-'), random_hex(8));
        let arn = arn.to_owned();
        let made =
            AccessPoint { name: name.clone(), point, created: now(), status: "CREATING".into(), message: None, alias, in_time, tags };
        self.state.change(|state| {
            if state.access_points.contains_key(&name) {
                return Err(Refused::new("AlreadyExistsException", format!("An access point with the name {name} exists already.")));
            }
            if state.access_points.values().filter(|one| one.point.arn == arn).count() >= MOST {
                return Err(Refused::new("LimitExceededException", format!("Recovery point {arn} has {MOST} access points already.")));
            }
            state.access_points.insert(name.clone(), made);
            Ok(())
        })??;
        let named = name.clone();
        self.spawn(|backup| async move { backup.run_access_point(&named).await });
        Ok(json!({"AccessPointArn": AccessPoint::arn_of(&name), "Status": "CREATING"}))
    }

    /// Goes on with those that were on their way when the sandbox ended.
    pub(super) fn resume_access_points(&self) {
        let all: Vec<(String, String)> =
            self.state.read(|state| state.access_points.values().map(|one| (one.name.clone(), one.status.clone())).collect());
        for (name, status) in all {
            match status.as_str() {
                "CREATING" => self.spawn(|backup| async move { backup.run_access_point(&name).await }),
                "DELETING" => self.spawn(|backup| async move { backup.run_deletion(&name).await }),
                _ => {}
            }
        }
    }

    async fn run_access_point(&self, name: &str) -> Result<(), Failure> {
        tokio::time::sleep(STEP).await;
        let Some(made) = self.state.read(|state| state.access_points.get(name).cloned()) else { return Ok(()) };
        let shown = match self.faults.of_access_point(&made.point.arn) {
            Some(AccessPointFault::Hangs) => return Ok(()),
            Some(AccessPointFault::Fails { message }) => Err(message),
            _ => self.show(&made).await.map_err(|failure| failure.message),
        };
        self.state.change(|state| {
            let Some(made) = state.access_points.get_mut(name) else { return };
            match shown {
                Ok(()) => made.status = "AVAILABLE".into(),
                Err(message) => {
                    made.status = "FAILED".into();
                    made.message = Some(message);
                }
            }
        })
    }

    async fn show(&self, made: &AccessPoint) -> Result<(), Failure> {
        let ignores = self.faults.of_access_point(&made.point.arn) == Some(AccessPointFault::IgnoresTime);
        let until = made.in_time.filter(|_| !ignores).map_or(i64::MAX, |at| at.timestamp());
        let (store, alias, held) = (self.buckets.clone(), made.alias.clone(), made.point.held.clone());
        blocking(move || match held {
            Held::Bucket { snapshot, .. } => store.show(&snapshot, &alias, until),
            Held::ContinuousBucket { bucket } => {
                let snapshot = store.snapshot(&bucket)?;
                let shown = store.show(&snapshot, &alias, until);
                store.delete_snapshot(&snapshot)?;
                shown
            }
            _ => Err(Failure::invalid("no recovery point of S3")),
        })
        .await
    }

    pub(super) fn delete_access_point(&self, arn: &str) -> Result<(), Refused> {
        let name = self.access_point_named(arn)?.name;
        self.state.change(|state| match state.access_points.get_mut(&name) {
            Some(found) if found.status == "CREATING" => {
                Err(Refused::new("InvalidRequestException", format!("Access point {name} is CREATING and cannot be deleted yet.")))
            }
            Some(found) => {
                found.status = "DELETING".into();
                Ok(())
            }
            None => Ok(()),
        })??;
        self.spawn(|backup| async move { backup.run_deletion(&name).await });
        Ok(())
    }

    async fn run_deletion(&self, name: &str) -> Result<(), Failure> {
        let Some(doomed) = self.state.read(|state| state.access_points.get(name).cloned()) else { return Ok(()) };
        if self.faults.of_access_point(&doomed.point.arn) == Some(AccessPointFault::Stays) {
            return Ok(());
        }
        tokio::time::sleep(STEP).await;
        self.buckets.hide(&doomed.alias)?;
        self.state.change(|state| state.access_points.remove(name)).map(drop)
    }

    pub(super) fn has_access_points(&self, point: &str) -> bool {
        self.state.read(|state| state.access_points.values().any(|one| one.point.arn == point))
    }

    /// As the API shows it.
    pub(super) fn describe_access_point(&self, arn: &str) -> Result<Value, Refused> {
        Ok(self.shown(&self.access_point_named(arn)?))
    }

    /// Those that fit, by name.
    pub(super) fn access_points(&self, fits: impl Fn(&AccessPoint) -> bool) -> Vec<(String, Value)> {
        let found: Vec<AccessPoint> = self.state.read(|state| state.access_points.values().filter(|one| fits(one)).cloned().collect());
        found.iter().map(|one| (one.name.clone(), self.shown(one))).collect()
    }

    fn access_point_named(&self, arn: &str) -> Result<AccessPoint, Refused> {
        let found = self.state.read(|state| state.access_points.values().find(|one| AccessPoint::arn_of(&one.name) == arn).cloned());
        found.ok_or_else(|| absent(format!("Access point {arn} does not exist.")))
    }

    fn shown(&self, one: &AccessPoint) -> Value {
        let fault = self.faults.of_access_point(&one.point.arn);
        let mut metadata = json!({});
        if one.status == "AVAILABLE" {
            metadata["S3AccessPointArn"] = format!("arn:aws:s3:{REGION}:{ACCOUNT_ID}:accesspoint/{}", one.name).into();
            if fault != Some(AccessPointFault::WithoutAlias) {
                metadata["S3AccessPointAlias"] = one.alias.clone().into();
            }
        }
        if let Some(at) = one.in_time {
            metadata["AccessPointInTime"] = at.to_rfc3339_opts(SecondsFormat::Secs, true).into();
        }
        let of = match fault {
            Some(AccessPointFault::NamesAnother { arn }) => arn,
            _ => one.point.arn.clone(),
        };
        let mut shown = json!({
            "AccessPointArn": AccessPoint::arn_of(&one.name),
            "AccessPointMetadata": metadata,
            "BackupVaultArn": vault_arn(&one.point.vault),
            "BackupVaultName": one.point.vault,
            "CreationTime": epoch(one.created),
            "Name": one.name,
            "RecoveryPointArn": of,
            "ResourceArn": one.point.resource,
            "ResourceType": one.point.resource_type,
            "Status": one.status,
        });
        if let Some(message) = &one.message {
            shown["StatusMessage"] = message.clone().into();
        }
        shown
    }
}

/// The second that is asked for.
fn in_time(input: &Value, held: &Held, since: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, Refused> {
    let asked = input["AccessPointMetadata"]["AccessPointInTime"].as_str();
    match (held, asked) {
        (Held::ContinuousBucket { .. }, Some(text)) => {
            let at = DateTime::parse_from_rfc3339(text).map_err(|_| invalid(format!("AccessPointInTime is no time: {text}.")))?.to_utc();
            if !(since..=now()).contains(&at) {
                return Err(invalid(format!("AccessPointInTime {text} lies outside the retention of the recovery point.")));
            }
            Ok(Some(at))
        }
        (Held::ContinuousBucket { .. }, None) => Err(invalid("A continuous recovery point needs AccessPointInTime.")),
        (_, Some(_)) => Err(invalid("AccessPointInTime is only valid for continuous recovery points.")),
        (_, None) => Ok(None),
    }
}
