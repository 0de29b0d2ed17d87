//! What AWS Backup remembers: vaults, recovery points, backup jobs, restore jobs.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use crate::sandbox::control::answer::epoch;
use crate::sandbox::identity::{ACCOUNT_ID, REGION};
use crate::sandbox::s3::snapshot::SnapshotId;

/// Everything.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct State {
    /// By name.
    pub vaults: BTreeMap<String, Vault>,
    /// By ARN.
    pub points: BTreeMap<String, Point>,
    /// By id.
    pub backup_jobs: BTreeMap<String, BackupJob>,
    /// By id.
    pub restore_jobs: BTreeMap<String, RestoreJob>,
    /// By name.
    #[serde(default)]
    pub access_points: BTreeMap<String, AccessPoint>,
}

/// A vault's lock.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Lock {
    /// Least retention in days.
    pub min_days: Option<i64>,
    /// Greatest retention in days.
    pub max_days: Option<i64>,
    /// When the lock can no longer be taken away; `None` is governance mode.
    pub final_at: Option<DateTime<Utc>>,
}

/// A vault.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Vault {
    /// Name.
    pub name: String,
    /// KMS key.
    pub key: String,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// Its lock.
    pub lock: Option<Lock>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

/// The ARN of a vault.
pub fn vault_arn(name: &str) -> String {
    format!("arn:aws:backup:{REGION}:{ACCOUNT_ID}:backup-vault:{name}")
}

/// What holds the data of a recovery point.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// A snapshot of a bucket.
    Bucket {
        /// The snapshot.
        snapshot: SnapshotId,
        /// The bucket it was taken of.
        bucket: String,
    },
    /// A DynamoDB backup, whose ARN is that of the point.
    Table {
        /// The table it was taken of.
        table: String,
    },
    /// The automated backups of the DB instance with this identifier: any second of their window.
    Continuous {
        /// Its identifier.
        instance: String,
    },
    /// The versions of the bucket with this name: any second since the point was laid.
    ContinuousBucket {
        /// Its name.
        bucket: String,
    },
    /// A DB snapshot with this identifier.
    Instance {
        /// Its identifier.
        snapshot: String,
    },
}

/// A recovery point.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Point {
    /// ARN.
    pub arn: String,
    /// Its vault.
    pub vault: String,
    /// What it was taken of.
    pub resource: String,
    /// `S3`, `DynamoDB`, `RDS`.
    pub resource_type: String,
    /// Name of the resource.
    pub resource_name: String,
    /// When the job was created, which stands for the instant of the data.
    pub created: DateTime<Utc>,
    /// When the job was done.
    pub completed: DateTime<Utc>,
    /// Bytes.
    pub size: u64,
    /// `COMPLETED`, `PARTIAL`, `EXPIRED`, …
    pub status: String,
    /// As given to StartBackupJob.
    pub lifecycle: Value,
    /// Role of the job.
    pub role: String,
    /// Where its data is.
    pub held: Held,
    /// What GetRecoveryPointRestoreMetadata tells.
    pub metadata: BTreeMap<String, String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// The end of its newest restore.
    pub restored: Option<DateTime<Utc>>,
}

impl Point {
    /// When the lifecycle deletes it.
    pub fn delete_at(&self) -> Option<DateTime<Utc>> {
        Some(self.created + TimeDelta::days(self.lifecycle["DeleteAfterDays"].as_i64()?))
    }

    /// As the API shows it in lists; descriptions have a little more.
    pub fn shown(&self, vault: &Vault) -> Value {
        let mut shown = json!({
            "RecoveryPointArn": self.arn,
            "BackupVaultName": self.vault,
            "BackupVaultArn": vault_arn(&self.vault),
            "ResourceArn": self.resource,
            "ResourceType": self.resource_type,
            "ResourceName": self.resource_name,
            "IamRoleArn": self.role,
            "Status": self.status,
            "CreationDate": epoch(self.created),
            "InitiationDate": epoch(self.created),
            "CompletionDate": epoch(self.completed),
            "BackupSizeInBytes": self.size,
            "EncryptionKeyArn": vault.key,
            "IsEncrypted": true,
            "IsParent": false,
            "VaultType": "BACKUP_VAULT",
            "EncryptionKeyType": "AWS_OWNED_KMS_KEY",
            "StorageClass": "WARM",
        });
        put_lifecycle(&mut shown, "Lifecycle", &self.lifecycle);
        let mut calculated = Map::new();
        for (name, days) in [("MoveToColdStorageAt", "MoveToColdStorageAfterDays"), ("DeleteAt", "DeleteAfterDays")] {
            if let Some(days) = self.lifecycle[days].as_i64() {
                calculated.insert(name.into(), epoch(self.created + TimeDelta::days(days)));
            }
        }
        if !calculated.is_empty() {
            shown["CalculatedLifecycle"] = calculated.into();
        }
        if let Some(restored) = self.restored {
            shown["LastRestoreTime"] = epoch(restored);
        }
        shown
    }
}

fn put_lifecycle(shown: &mut Value, name: &str, lifecycle: &Value) {
    if lifecycle.is_object() {
        shown[name] = lifecycle.clone();
    }
}

/// A backup job.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct BackupJob {
    /// Id.
    pub id: String,
    /// The request.
    pub request: Value,
    /// The point it makes.
    pub point: String,
    /// `S3`, `DynamoDB`, `RDS`.
    pub resource_type: String,
    /// When it was created.
    pub created: DateTime<Utc>,
    /// When it ended.
    pub completed: Option<DateTime<Utc>>,
    /// `CREATED`, `RUNNING`, `COMPLETED`, `FAILED`.
    pub state: String,
    /// Why it failed.
    pub message: Option<String>,
    /// Bytes.
    pub size: u64,
}

impl BackupJob {
    /// As the API shows it.
    pub fn shown(&self, key: &str) -> Value {
        let vault = self.request["BackupVaultName"].as_str().unwrap_or_default();
        let mut shown = json!({
            "AccountId": ACCOUNT_ID,
            "BackupJobId": self.id,
            "BackupVaultName": vault,
            "BackupVaultArn": vault_arn(vault),
            "RecoveryPointArn": self.point,
            "ResourceArn": self.request["ResourceArn"],
            "ResourceType": self.resource_type,
            "IamRoleArn": self.request["IamRoleArn"],
            "CreationDate": epoch(self.created),
            "State": self.state,
            "PercentDone": if self.state == "COMPLETED" { "100.0" } else { "0.0" },
            "BackupSizeInBytes": self.size,
            "BytesTransferred": self.size,
            "EncryptionKeyArn": key,
            "IsEncrypted": true,
            "IsParent": false,
        });
        put_lifecycle(&mut shown, "RecoveryPointLifecycle", &self.request["Lifecycle"]);
        if let Some(message) = &self.message {
            shown["StatusMessage"] = message.clone().into();
        }
        if let Some(completed) = self.completed {
            shown["CompletionDate"] = epoch(completed);
        }
        shown
    }
}

/// A backup access point.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct AccessPoint {
    /// Name.
    pub name: String,
    /// The recovery point.
    pub point: Point,
    /// When it was created.
    pub created: DateTime<Utc>,
    /// `CREATING`, `AVAILABLE`, `DELETING`, `FAILED`.
    pub status: String,
    /// Why it failed.
    pub message: Option<String>,
    /// What stands for the bucket.
    pub alias: String,
    /// The second that is shown, of a continuous recovery point.
    pub in_time: Option<DateTime<Utc>>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

impl AccessPoint {
    /// The ARN of one with this name.
    pub fn arn_of(name: &str) -> String {
        format!("arn:aws:backup:{REGION}:{ACCOUNT_ID}:accesspoint/{name}")
    }
}

/// A restore job.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct RestoreJob {
    /// Id.
    pub id: String,
    /// The point.
    pub point: Point,
    /// The request's metadata.
    pub metadata: BTreeMap<String, String>,
    /// The role of the request.
    pub role: String,
    /// The request's token.
    pub token: Option<String>,
    /// Whether the point's tags go to what is made.
    pub copy_tags: bool,
    /// When it was created.
    pub created: DateTime<Utc>,
    /// When it ended.
    pub completed: Option<DateTime<Utc>>,
    /// How far it is: `PENDING`, `RUNNING`, `COMPLETED`, `FAILED`.
    pub status: String,
    /// What callers were told last: one step a call, so that each state is seen.
    pub told: String,
    /// Why it failed.
    pub message: Option<String>,
    /// The ARN of what it made.
    pub made: Option<String>,
    /// Written before the first byte of a restore into a bucket.
    pub begun: bool,
    /// PutRestoreValidationResult's status and message.
    pub validation: Option<(String, Option<String>)>,
}

impl RestoreJob {
    /// The next state that a caller is told: never more than one step at a time.
    pub fn tell(&mut self) {
        let next = match (self.told.as_str(), self.status.as_str()) {
            ("", _) => "PENDING",
            ("PENDING", status) if status != "PENDING" => "RUNNING",
            ("RUNNING", status) => status,
            (told, _) => told,
        };
        self.told = next.to_owned();
    }

    /// As the API shows it, in the state that was told.
    pub fn shown(&self) -> Value {
        let done = !matches!(self.told.as_str(), "" | "PENDING" | "RUNNING");
        let mut shown = json!({
            "AccountId": ACCOUNT_ID,
            "RestoreJobId": self.id,
            "RecoveryPointArn": self.point.arn,
            "SourceResourceArn": self.point.resource,
            "BackupVaultArn": vault_arn(&self.point.vault),
            "CreationDate": epoch(self.created),
            "Status": self.told,
            "PercentDone": if self.told == "COMPLETED" { "100.00%" } else { "0.00%" },
            "BackupSizeInBytes": self.point.size,
            "IamRoleArn": self.role,
            "ResourceType": self.point.resource_type,
            "RecoveryPointCreationDate": epoch(self.point.created),
            "IsParent": false,
        });
        if !done {
            return shown;
        }
        if let Some(completed) = self.completed {
            shown["CompletionDate"] = epoch(completed);
        }
        if let Some(message) = &self.message {
            shown["StatusMessage"] = message.clone().into();
        }
        if let Some(made) = &self.made {
            shown["CreatedResourceArn"] = made.clone().into();
        }
        if let Some((status, message)) = &self.validation {
            shown["ValidationStatus"] = status.clone().into();
            if let Some(message) = message {
                shown["ValidationStatusMessage"] = message.clone().into();
            }
        }
        shown
    }
}
