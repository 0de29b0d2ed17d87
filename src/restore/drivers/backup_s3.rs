//! S3 through AWS Backup, into a bucket of our own: tagged, versioned, closed and empty before the job starts.
//!
//! `RestoreLatestVersionsUpTo = all` asks for every version: without it the service restores the latest one only
//! (AWS Backup Developer Guide, "Restore S3 data").

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::model::failure::{Failure, FailureKind};
use crate::model::source_url::SourceUrl;
use crate::restore::driver::{Accepted, Driver, Opened, Progress};
use crate::restore::drivers::backup_jobs::{self, Looked};
use crate::restore::guard;
use crate::restore::order::{Clouds, Order};
use crate::restore::permit::Permit;
use crate::restore::records::TargetKind;
use crate::restore::targets;

/// The driver.
pub struct BackupS3;

#[async_trait]
impl Driver for BackupS3 {
    fn mechanism(&self) -> &'static str {
        "aws-backup:StartRestoreJob"
    }

    fn target_kind(&self) -> TargetKind {
        TargetKind::Bucket
    }

    fn makes_container(&self) -> bool {
        true
    }

    async fn make_container(&self, order: &Order, clouds: &Clouds, permit: Permit) -> Result<(), Failure> {
        let target = permit.target();
        let buckets = clouds.buckets(target.region.as_deref())?;
        buckets.create(&target.name).await?;
        buckets.furnish(&target.name, &order.tags()).await
    }

    async fn request(&self, order: &Order, clouds: &Clouds, permit: Permit) -> Result<Accepted, Failure> {
        let target = permit.target();
        let Some(found) = targets::find(clouds, &order.work, target).await? else {
            return Err(Failure::new(FailureKind::Refused, format!("bucket {} is not there to be restored into", target.name)));
        };
        // After a crash the job may be under way already, and the bucket then not empty: the token makes the second call harmless.
        if let Some(probe) = guard::bucket_ready(order, &found, false).into_iter().find(|probe| !probe.held) {
            let message = format!("bucket {}: {}: expected {}, found {}", target.name, probe.name, probe.expected, probe.found);
            return Err(Failure::new(FailureKind::Refused, message));
        }
        let mut metadata = BTreeMap::from(
            [
                ("DestinationBucketName", target.name.as_str()),
                ("NewBucket", "false"),
                ("RestoreLatestVersionsUpTo", "all"),
                ("CreationToken", permit.token()),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned())),
        );
        if let Some(key) = order.isolation.as_ref().and_then(|demands| demands.kms_key_arn.clone()) {
            metadata.insert("Encrypted".into(), "true".into());
            metadata.insert("EncryptionType".into(), "SSE-KMS".into());
            metadata.insert("KMSKey".into(), key);
        }
        backup_jobs::start(order, clouds, &permit, "S3", metadata).await
    }

    async fn poll(&self, order: &Order, clouds: &Clouds, accepted: &Accepted) -> Result<Progress, Failure> {
        Ok(match backup_jobs::look(order, clouds, accepted, TargetKind::Bucket).await? {
            Looked::Not(progress) => progress,
            Looked::Created { status, created_arn, raw, .. } => Progress::Ready { status, created_arn, raw },
        })
    }

    async fn open(&self, order: &Order, _clouds: &Clouds) -> Result<Option<Opened>, Failure> {
        let target = order.target(TargetKind::Bucket);
        let url = SourceUrl::S3 { bucket: target.name, prefix: String::new() };
        Ok(Some(Opened { url, region: target.region, login: None, unreadable: None }))
    }
}
