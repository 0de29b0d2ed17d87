//! DynamoDB through AWS Backup, to a table of a new name.

use async_trait::async_trait;

use crate::model::failure::Failure;
use crate::restore::driver::{Accepted, Driver, Opened, Progress};
use crate::restore::drivers::backup_jobs::{self, Looked};
use crate::restore::drivers::dynamodb_backup;
use crate::restore::order::{Clouds, Order};
use crate::restore::permit::Permit;
use crate::restore::records::TargetKind;

/// The driver.
pub struct BackupDynamodb;

#[async_trait]
impl Driver for BackupDynamodb {
    fn mechanism(&self) -> &'static str {
        "aws-backup:StartRestoreJob"
    }

    fn target_kind(&self) -> TargetKind {
        TargetKind::Table
    }

    async fn request(&self, order: &Order, clouds: &Clouds, permit: Permit) -> Result<Accepted, Failure> {
        let target = permit.target();
        let mut metadata = backup_jobs::metadata(order, clouds, target.region.as_deref()).await?;
        // The backed-up table's own name and encryption come with the metadata: neither is wanted.
        metadata.retain(|key, _| !matches!(key.to_ascii_lowercase().as_str(), "targettablename" | "encryptiontype" | "kmsmasterkeyarn"));
        metadata.insert("targetTableName".into(), target.name.clone());
        match order.isolation.as_ref().and_then(|demands| demands.kms_key_arn.clone()) {
            Some(key) => {
                metadata.insert("encryptionType".into(), "KMS".into());
                metadata.insert("kmsMasterKeyArn".into(), key);
            }
            None => {
                metadata.insert("encryptionType".into(), "Default".into());
            }
        }
        backup_jobs::start(order, clouds, &permit, "DynamoDB", metadata).await
    }

    async fn poll(&self, order: &Order, clouds: &Clouds, accepted: &Accepted) -> Result<Progress, Failure> {
        match backup_jobs::look(order, clouds, accepted, TargetKind::Table).await? {
            Looked::Not(progress) => Ok(progress),
            Looked::Created { status, created_arn, found, raw } => {
                dynamodb_backup::ready(order, clouds, &found, status, created_arn, raw).await
            }
        }
    }

    async fn open(&self, order: &Order, _clouds: &Clouds) -> Result<Option<Opened>, Failure> {
        Ok(Some(dynamodb_backup::opened(order)))
    }
}
