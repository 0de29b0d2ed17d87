//! Recovery points and protected resources: listing, describing, damaging, deleting.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::model::failure::{Failure, FailureKind};
use crate::sandbox::control::answer::{Refused, epoch, now, random_hex};
use crate::sandbox::control::backup::jobs::Backup;
use crate::sandbox::control::backup::refusals::{absent, invalid};
use crate::sandbox::control::backup::state::{Held, Point, State, vault_arn};
use crate::sandbox::control::dynamodb::backups::ItemDamage;
use crate::sandbox::identity::{ACCOUNT_ID, REGION};
use crate::sandbox::s3::snapshot::Damage;

/// Damage inside a recovery point; what it was taken of stays whole.
#[derive(Clone, Debug)]
pub enum PointDamage {
    /// In the snapshot of a bucket.
    Object(Damage),
    /// In the backup of a table.
    Item(ItemDamage),
    /// In the snapshot of an instance: SQL run over its data, in this database or the instance's first.
    Sql {
        /// Database.
        database: Option<String>,
        /// Statements.
        text: String,
    },
}

impl Backup {
    /// A recovery point.
    pub fn point(&self, arn: &str) -> Option<Point> {
        self.state.read(|state| state.points.get(arn).cloned())
    }

    /// Damages a recovery point.
    pub async fn damage(&self, arn: &str, damage: &PointDamage) -> Result<(), Failure> {
        let point = self.point(arn).ok_or_else(|| Failure::new(FailureKind::Absent, format!("there is no recovery point {arn}")))?;
        match (&point.held, damage) {
            (Held::Bucket { snapshot, .. }, PointDamage::Object(damage)) => self.buckets.plant(snapshot, damage),
            (Held::Table { .. }, PointDamage::Item(damage)) => self.tables.damage_backup(arn, damage),
            (Held::Instance { snapshot }, PointDamage::Sql { database, text }) => {
                self.databases.damage_snapshot(snapshot, database.as_deref(), text).await.map(drop)
            }
            _ => Err(Failure::invalid(format!("a recovery point of {} cannot be damaged in this way", point.resource_type))),
        }
    }

    /// Lays a continuous recovery point of a DB instance with automated backups in a vault, as a plan that asks for one does; its ARN.
    pub fn lay_continuous(&self, vault: &str, instance: &str) -> Result<String, Failure> {
        let absent = |what: &str| Failure::new(FailureKind::Absent, format!("there is no {what}"));
        let source = self.databases.instance(instance).ok_or_else(|| absent(instance))?;
        let (earliest, _) = source.window(now()).ok_or_else(|| absent("automated backup"))?;
        let id = source.resource_id.to_ascii_lowercase();
        let arn = format!("arn:aws:backup:{REGION}:{ACCOUNT_ID}:recovery-point:continuous:{id}-{}", random_hex(4));
        let point = Point {
            arn: arn.clone(),
            vault: vault.into(),
            resource: source.arn(),
            resource_type: "RDS".into(),
            resource_name: instance.into(),
            created: earliest,
            completed: now(),
            size: 0,
            status: "AVAILABLE".into(),
            lifecycle: Value::Null,
            role: String::new(),
            held: Held::Continuous { instance: instance.into() },
            metadata: BTreeMap::from([("DBInstanceIdentifier".to_owned(), instance.to_owned()), ("Engine".to_owned(), source.engine)]),
            tags: BTreeMap::new(),
            restored: None,
        };
        self.state.change(|state| state.points.insert(arn.clone(), point))?;
        Ok(arn)
    }

    /// Lays a continuous recovery point of a bucket with versions in a vault, as a plan that asks for one does; its ARN.
    pub fn lay_continuous_bucket(&self, vault: &str, bucket: &str) -> Result<String, Failure> {
        if !self.buckets.has_bucket(bucket)? {
            return Err(Failure::new(FailureKind::Absent, format!("there is no bucket {bucket}")));
        }
        let arn = format!("arn:aws:backup:{REGION}:{ACCOUNT_ID}:recovery-point:continuous:{bucket}-{}", random_hex(4));
        let point = Point {
            arn: arn.clone(),
            vault: vault.into(),
            resource: format!("arn:aws:s3:::{bucket}"),
            resource_type: "S3".into(),
            resource_name: bucket.into(),
            created: now(),
            completed: now(),
            size: 0,
            status: "AVAILABLE".into(),
            lifecycle: Value::Null,
            role: String::new(),
            held: Held::ContinuousBucket { bucket: bucket.into() },
            metadata: BTreeMap::from([("BucketName".to_owned(), bucket.to_owned())]),
            tags: BTreeMap::new(),
            restored: None,
        };
        self.state.change(|state| state.points.insert(arn.clone(), point))?;
        Ok(arn)
    }

    /// Gives a recovery point another state, creation time or size, as its vault would show it.
    pub fn adjust(&self, arn: &str, change: impl FnOnce(&mut Point)) -> Result<(), Failure> {
        self.state.change(|state| state.points.get_mut(arn).map(change)).map(drop)
    }

    pub(super) fn point_in(&self, vault: &str, arn: &str) -> Result<Point, Refused> {
        self.vault(vault)?;
        self.point(arn)
            .filter(|point| point.vault == vault)
            .ok_or_else(|| absent(format!("Recovery point {arn} does not exist in vault {vault}.")))
    }

    pub(super) fn describe_point(&self, vault: &str, arn: &str) -> Result<Value, Refused> {
        Ok(self.point_in(vault, arn)?.shown(&self.vault(vault)?))
    }

    pub(super) fn restore_metadata(&self, vault: &str, arn: &str) -> Result<Value, Refused> {
        let point = self.point_in(vault, arn)?;
        Ok(json!({
            "BackupVaultArn": vault_arn(vault),
            "RecoveryPointArn": arn,
            "RestoreMetadata": point.metadata,
            "ResourceType": point.resource_type,
        }))
    }

    /// The points of a vault, newest first, by the filters of ListRecoveryPointsByBackupVault.
    pub(super) fn points_of_vault(&self, vault: &str, query: &BTreeMap<String, String>) -> Result<Vec<(String, Value)>, Refused> {
        let vault = self.vault(vault)?;
        let (before, after) = (time(query, "createdBefore")?, time(query, "createdAfter")?);
        let fits = |point: &Point| {
            point.vault == vault.name
                && query.get("resourceArn").is_none_or(|arn| *arn == point.resource)
                && query.get("resourceType").is_none_or(|kind| *kind == point.resource_type)
                && before.is_none_or(|before| point.created < before)
                && after.is_none_or(|after| point.created > after)
        };
        let found = self.state.read(|state| newest_first(state, fits));
        Ok(found.iter().map(|point| (point.arn.clone(), point.shown(&vault))).collect())
    }

    /// The points of a resource, newest first.
    pub(super) fn points_of_resource(&self, resource: &str) -> Vec<(String, Value)> {
        let found = self.state.read(|state| newest_first(state, |point| point.resource == resource));
        let shown = |point: &Point| {
            let key = self.vault(&point.vault).map(|vault| vault.key).unwrap_or_default();
            json!({
                "RecoveryPointArn": point.arn,
                "CreationDate": epoch(point.created),
                "Status": point.status,
                "EncryptionKeyArn": key,
                "BackupSizeBytes": point.size,
                "BackupVaultName": point.vault,
                "IsParent": false,
                "ResourceName": point.resource_name,
                "VaultType": "BACKUP_VAULT",
            })
        };
        found.iter().map(|point| (point.arn.clone(), shown(point))).collect()
    }

    pub(super) async fn delete_point(&self, vault: &str, arn: &str) -> Result<(), Refused> {
        let point = self.point_in(vault, arn)?;
        if self.vault(vault)?.lock.is_some() && point.delete_at().is_none_or(|at| at > now()) {
            return Err(Refused::new(
                "InvalidRequestException",
                format!("Recovery point {arn} cannot be deleted: its backup vault is locked."),
            ));
        }
        if self.has_access_points(arn) {
            let said = format!("Recovery point {arn} cannot be deleted: backup access points are associated with it.");
            return Err(Refused::new("InvalidRequestException", said));
        }
        self.state.change(|state| state.points.remove(arn))?;
        match &point.held {
            Held::Bucket { snapshot, .. } => self.buckets.delete_snapshot(snapshot)?,
            Held::Table { .. } => drop(self.tables.remove_backup(arn)?),
            Held::Instance { snapshot } => drop(self.databases.remove_snapshot(snapshot).await?),
            // The automated backups stay with RDS, the versions with the bucket.
            Held::Continuous { .. } | Held::ContinuousBucket { .. } => {}
        }
        Ok(())
    }

    /// The resources that have points, each with its newest.
    pub(super) fn protected(&self) -> Vec<(String, Value)> {
        let points = self.state.read(|state| newest_first(state, |_| true));
        let mut found: BTreeMap<String, Value> = BTreeMap::new();
        for point in points {
            found.entry(point.resource.clone()).or_insert_with(|| {
                json!({
                    "ResourceArn": point.resource,
                    "ResourceType": point.resource_type,
                    "ResourceName": point.resource_name,
                    "LastBackupTime": epoch(point.created),
                    "LastBackupVaultArn": vault_arn(&point.vault),
                    "LastRecoveryPointArn": point.arn,
                })
            });
        }
        found.into_iter().collect()
    }

    pub(super) fn describe_protected(&self, resource: &str) -> Result<Value, Refused> {
        let found = self.protected().into_iter().find(|(arn, _)| arn == resource);
        found.map(|(_, shown)| shown).ok_or_else(|| absent(format!("Resource {resource} is not protected.")))
    }
}

fn newest_first(state: &State, fits: impl Fn(&Point) -> bool) -> Vec<Point> {
    let mut found: Vec<Point> = state.points.values().filter(|point| fits(point)).cloned().collect();
    found.sort_by(|a, b| (b.created, &b.arn).cmp(&(a.created, &a.arn)));
    found
}

/// A time of the query string: ISO 8601, or seconds since 1970.
pub fn time(query: &BTreeMap<String, String>, name: &str) -> Result<Option<DateTime<Utc>>, Refused> {
    let Some(text) = query.get(name) else { return Ok(None) };
    let parsed = DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc());
    let parsed = parsed.or_else(|| DateTime::from_timestamp(text.parse().ok()?, 0));
    let refused = || invalid(format!("{name} is no time: {text}"));
    parsed.map(Some).ok_or_else(refused)
}
