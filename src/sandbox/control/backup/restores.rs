//! Restore jobs: PENDING, RUNNING, then COMPLETED with a real resource, or FAILED with a reason.
//!
//! Metadata keys are those of the AWS Backup developer guide: S3 (`DestinationBucketName`, `NewBucket`, `RestoreLatestVersionsUpTo`, …),
//! DynamoDB (`targetTableName`, `encryptionType`, `kmsMasterKeyArn`), RDS (`DBInstanceIdentifier`, `DBSubnetGroupName`, …).

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::model::failure::{Failure, FailureKind};
use crate::sandbox::control::answer::{Refused, now};
use crate::sandbox::control::backup::jobs::{Backup, STEP, blocking};
use crate::sandbox::control::backup::refusals::{absent, invalid, needed};
use crate::sandbox::control::backup::state::{Held, RestoreJob};
use crate::sandbox::control::dynamodb::state::table_arn;
use crate::sandbox::control::faults::RestoreFault;
use crate::sandbox::control::rds::state::{Instance, Settings, instance_arn};
use crate::sandbox::identity::{ACCOUNT_ID, REGION};
use crate::sandbox::s3::buckets;
use crate::sandbox::s3::snapshot::{SnapshotId, Versions};
use crate::sandbox::wire;

impl Backup {
    pub(super) fn start_restore(&self, input: &Value) -> Result<Value, Refused> {
        let arn = needed(input, "RecoveryPointArn")?;
        let role = needed(input, "IamRoleArn")?.to_owned();
        let token = input["IdempotencyToken"].as_str().map(str::to_owned);
        let before = token.as_ref().and_then(|token| {
            self.state.read(|state| {
                state.restore_jobs.values().find(|job| job.token.as_ref() == Some(token)).map(|job| (job.id.clone(), job.point.arn == arn))
            })
        });
        match before {
            Some((id, true)) => return Ok(json!({"RestoreJobId": id})),
            Some(_) => return Err(invalid("The idempotency token was used for another recovery point.")),
            None => {}
        }
        let point = self.point(arn).ok_or_else(|| absent(format!("Recovery point {arn} does not exist.")))?;
        if !matches!(point.status.as_str(), "COMPLETED" | "AVAILABLE" | "PARTIAL") {
            return Err(Refused::new(
                "InvalidRequestException",
                format!("Recovery point {arn} is {} and cannot be restored.", point.status),
            ));
        }
        if let Some(kind) = input["ResourceType"].as_str().filter(|kind| *kind != point.resource_type) {
            return Err(invalid(format!("ResourceType {kind} is not that of the recovery point, {}.", point.resource_type)));
        }
        let metadata = serde_json::from_value(input["Metadata"].clone()).map_err(|_| invalid("Metadata must be a map of strings."))?;
        let job = RestoreJob {
            id: wire::request_id().to_ascii_uppercase(),
            point,
            metadata,
            role,
            token,
            copy_tags: input["CopySourceTagsToRestoredResource"] == true,
            created: now(),
            completed: None,
            status: "PENDING".into(),
            told: String::new(),
            message: None,
            made: None,
            begun: false,
            validation: None,
        };
        check(&job)?;
        let id = job.id.clone();
        self.state.change(|state| state.restore_jobs.insert(id.clone(), job))?;
        let started = id.clone();
        self.spawn(|backup| async move { backup.run_restore(&started).await });
        Ok(json!({"RestoreJobId": id}))
    }

    pub(super) async fn run_restore(&self, id: &str) -> Result<(), Failure> {
        tokio::time::sleep(STEP).await;
        let Some(job) = self.change_restore(id, |job| job.status = "RUNNING".into())? else { return Ok(()) };
        tokio::time::sleep(STEP).await;
        let fault = self.faults.of_restore(&job.point.arn);
        let ended = match fault {
            // Goes on being RUNNING, after a restart too.
            Some(RestoreFault::Hangs) => return Ok(()),
            Some(RestoreFault::Fails { message }) => Err(Failure::new(FailureKind::Remote, message)),
            Some(RestoreFault::CompletesWithoutResource) => Ok(None),
            Some(RestoreFault::WrongType) => Ok(Some(format!("arn:aws:ec2:{REGION}:{ACCOUNT_ID}:volume/vol-0123456789abcdef0"))),
            Some(RestoreFault::CompletesEmpty) => self.make(&job, true).await.map(Some),
            Some(RestoreFault::IgnoresTime | RestoreFault::StopsEarly { .. } | RestoreFault::AnotherTable { .. }) | None => {
                self.make(&job, false).await.map(Some)
            }
        };
        let done = now();
        self.change_restore(id, |job| {
            job.completed = Some(done);
            match ended {
                Ok(made) => {
                    job.status = "COMPLETED".into();
                    job.made = made;
                }
                Err(failure) => {
                    job.status = "FAILED".into();
                    job.message = Some(failure.message);
                }
            }
        })?;
        self.adjust(&job.point.arn, |point| point.restored = Some(done))
    }

    fn change_restore(&self, id: &str, change: impl FnOnce(&mut RestoreJob)) -> Result<Option<RestoreJob>, Failure> {
        self.state.change(|state| {
            let job = state.restore_jobs.get_mut(id)?;
            change(job);
            Some(job.clone())
        })
    }

    /// Makes the resource and waits until it can be used; its ARN. Can be called again for a job that was cut short.
    async fn make(&self, job: &RestoreJob, hollow: bool) -> Result<String, Failure> {
        match &job.point.held {
            Held::Bucket { snapshot, .. } => self.make_bucket(job, snapshot, i64::MAX, hollow).await,
            Held::ContinuousBucket { bucket } => {
                let at = restore_time(job).map_err(|refused| Failure::invalid(refused.message))?;
                let at = at.filter(|_| self.faults.of_restore(&job.point.arn) != Some(RestoreFault::IgnoresTime));
                let (store, source) = (self.buckets.clone(), bucket.clone());
                let snapshot = blocking(move || store.snapshot(&source)).await?;
                let made = self.make_bucket(job, &snapshot, at.map_or(i64::MAX, |at| at.timestamp()), hollow).await;
                self.buckets.delete_snapshot(&snapshot)?;
                made
            }
            Held::Table { .. } => self.make_table(job).await,
            Held::Instance { snapshot } => {
                let id = value(job, "DBInstanceIdentifier").unwrap_or_default().to_ascii_lowercase();
                self.make_instance(job, &id, async || self.databases.restore(snapshot, &id, instance_settings(job))).await
            }
            Held::Continuous { instance } => {
                let id = value(job, "DBInstanceIdentifier").unwrap_or_default().to_ascii_lowercase();
                let at = restore_time(job).map_err(|refused| Failure::invalid(refused.message))?;
                let at = at.filter(|_| self.faults.of_restore(&job.point.arn) != Some(RestoreFault::IgnoresTime));
                self.make_instance(job, &id, async || self.databases.restore_to(instance, &id, at, instance_settings(job)).await).await
            }
        }
    }

    async fn make_bucket(&self, job: &RestoreJob, snapshot: &SnapshotId, until: i64, hollow: bool) -> Result<String, Failure> {
        let bucket = value(job, "DestinationBucketName").unwrap_or_default().to_owned();
        let new = value(job, "NewBucket") == Some("true");
        let versions = versions(job).map_err(|refused| Failure::invalid(refused.message))?;
        self.change_restore(&job.id, |job| job.begun = true)?;
        let (store, snapshot, begun, name) = (self.buckets.clone(), snapshot.clone(), job.begun, bucket.clone());
        blocking(move || {
            if new && !store.has_bucket(&name)? {
                let connection = store.connection();
                let said = |error: s3s::S3Error| Failure::new(FailureKind::Remote, format!("cannot create bucket {name}: {error}"));
                buckets::create(&connection, &name, now().timestamp(), false).map_err(said)?;
                let made = buckets::find(&connection, &name).map_err(said)?;
                buckets::set_versioning(&connection, &made, "Enabled").map_err(said)?;
            }
            // The store writes a restore in one transaction: after a job that was cut short there is all of it or nothing.
            let written = begun && holds_something(&store, &name)?;
            if !hollow && !written {
                store.restore_until(&snapshot, &name, versions, until)?;
            }
            Ok(())
        })
        .await?;
        Ok(format!("arn:aws:s3:::{bucket}"))
    }

    async fn make_table(&self, job: &RestoreJob) -> Result<String, Failure> {
        let table = value(job, "targetTableName").unwrap_or_default();
        let sse = value(job, "kmsMasterKeyArn").map(|key| json!({"Enabled": true, "SSEType": "KMS", "KMSMasterKeyId": key}));
        let overrides: Vec<_> = sse.iter().map(|sse| ("SSESpecification", sse)).collect();
        let first = !job.begun;
        self.change_restore(&job.id, |job| job.begun = true)?;
        match self.tables.restore(&job.point.arn, table, &overrides) {
            Ok(_) => {}
            // This very job had begun it before it was cut short.
            Err(refused) if refused.code == "TableAlreadyExistsException" && !first => {}
            Err(refused) => return Err(Failure::new(FailureKind::Remote, refused.message)),
        }
        loop {
            match self.tables.is_active(table)? {
                Some(true) => return Ok(table_arn(table)),
                Some(false) => tokio::time::sleep(Duration::from_millis(20)).await,
                None => return Err(Failure::new(FailureKind::Remote, format!("table {table} was deleted while it was restored"))),
            }
        }
    }

    async fn make_instance(
        &self,
        job: &RestoreJob,
        id: &str,
        restore: impl AsyncFnOnce() -> Result<Instance, Refused>,
    ) -> Result<String, Failure> {
        let first = !job.begun;
        self.change_restore(&job.id, |job| job.begun = true)?;
        match restore().await {
            Ok(_) => {}
            Err(refused) if refused.code == "DBInstanceAlreadyExists" && !first => {}
            Err(refused) => return Err(Failure::new(FailureKind::Remote, refused.message)),
        }
        loop {
            let Some(instance) = self.databases.instance(id) else {
                return Err(Failure::new(FailureKind::Remote, format!("DB instance {id} was deleted while it was restored")));
            };
            match instance.status.as_str() {
                "creating" => tokio::time::sleep(Duration::from_millis(20)).await,
                "failed" => {
                    return Err(Failure::new(FailureKind::Remote, instance.trouble.unwrap_or_else(|| format!("DB instance {id} failed"))));
                }
                _ => return Ok(instance_arn(id)),
            }
        }
    }
}

fn value<'a>(job: &'a RestoreJob, name: &str) -> Option<&'a str> {
    job.metadata.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

/// What AWS Backup refuses at once.
fn check(job: &RestoreJob) -> Result<(), Refused> {
    let name = match &job.point.held {
        Held::Bucket { .. } => {
            versions(job)?;
            if value(job, "RestoreTime").is_some() {
                return Err(invalid("RestoreTime is only valid for continuous recovery points."));
            }
            "DestinationBucketName"
        }
        Held::ContinuousBucket { .. } => {
            versions(job)?;
            match restore_time(job)? {
                Some(at) if (job.point.created..=job.created).contains(&at) => "DestinationBucketName",
                _ => return Err(invalid("RestoreTime must lie within the retention of the continuous recovery point.")),
            }
        }
        Held::Table { .. } => "targetTableName",
        Held::Instance { .. } => "DBInstanceIdentifier",
        Held::Continuous { .. } => {
            restore_time(job)?;
            "DBInstanceIdentifier"
        }
    };
    if value(job, name).is_none() {
        return Err(invalid(format!("The restore metadata must contain {name}.")));
    }
    if value(job, "EncryptionType") == Some("SSE-KMS") && value(job, "KMSKey").is_none() {
        return Err(invalid("EncryptionType SSE-KMS needs KMSKey."));
    }
    Ok(())
}

/// `RestoreTime` as ISO 8601, or `UseLatestRestorableTime`: exactly one of them.
fn restore_time(job: &RestoreJob) -> Result<Option<DateTime<Utc>>, Refused> {
    let latest = value(job, "UseLatestRestorableTime").is_some_and(|flag| flag.eq_ignore_ascii_case("true"));
    match (value(job, "RestoreTime"), latest) {
        (None, true) => Ok(None),
        (Some(text), false) => match DateTime::parse_from_rfc3339(text) {
            Ok(time) => Ok(Some(time.to_utc())),
            Err(_) => Err(invalid(format!("RestoreTime must be a time such as 2026-01-31T02:00:00Z, not {text}."))),
        },
        _ => Err(invalid("A continuous recovery point is restored with either RestoreTime or UseLatestRestorableTime.")),
    }
}

/// `RestoreLatestVersionsUpTo`: a number or `all`; without it the latest version alone.
fn versions(job: &RestoreJob) -> Result<Versions, Refused> {
    match value(job, "RestoreLatestVersionsUpTo") {
        None => Ok(Versions::Latest),
        Some(all) if all.eq_ignore_ascii_case("all") => Ok(Versions::All),
        Some(number) => match number.parse() {
            Ok(1) => Ok(Versions::Latest),
            Ok(count) if count > 1 => Ok(Versions::UpTo(count)),
            _ => Err(invalid(format!("RestoreLatestVersionsUpTo must be a number or all, not {number}."))),
        },
    }
}

fn holds_something(store: &crate::sandbox::s3::store::S3Store, bucket: &str) -> Result<bool, Failure> {
    let sql = "SELECT EXISTS (SELECT 1 FROM version JOIN bucket ON bucket.id = version.bucket WHERE bucket.name = ?1)";
    store.connection().query_row(sql, [bucket], |row| row.get(0)).map_err(crate::sandbox::s3::store::broken)
}

fn instance_settings(job: &RestoreJob) -> Settings {
    let flag = |name: &str| value(job, name).map(|text| text.eq_ignore_ascii_case("true"));
    let text = |name: &str| value(job, name).map(str::to_owned);
    Settings {
        class: text("DBInstanceClass"),
        public: flag("PubliclyAccessible"),
        subnet_group: text("DBSubnetGroupName"),
        security_groups: value(job, "VpcSecurityGroupIds").and_then(|list| serde_json::from_str(list).ok()),
        parameter_group: text("DBParameterGroupName"),
        multi_az: flag("MultiAZ"),
        deletion_protection: flag("DeletionProtection"),
        copy_tags_to_snapshot: flag("CopyTagsToSnapshot"),
        storage: value(job, "AllocatedStorage").and_then(|number| number.parse().ok()),
        // AWS Backup gives the restored instance the point's tags only when asked to.
        tags: Some(if job.copy_tags { job.point.tags.clone() } else { std::collections::BTreeMap::new() }),
        ..Settings::default()
    }
}
