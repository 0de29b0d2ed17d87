//! S3 through AWS Backup, into a bucket of our own: tagged, versioned, closed and empty before the job starts.
//!
//! The metadata keys are those of the AWS Backup Developer Guide, "Restore S3 data using AWS Backup", section "Restore Amazon S3 recovery
//! points through AWS CLI" (docs.aws.amazon.com/aws-backup/latest/devguide/restoring-s3.html): `DestinationBucketName` is mandatory;
//! `RestoreLatestVersionsUpTo` is `1`, a number or `all`, and without it only the latest version is restored; `RestoreACLs` is false where
//! the backup holds none, and where it is true the job fails on a bucket whose ACLs are disabled, as ours are; `EncryptionType` is
//! `original` (the default), `SSE-S3` or `SSE-KMS`, the last with `KMSKey`; `RestoreTime` is "only valid for continuous recovery points where it
//! is required, in format 2021-11-27T03:30:27Z". The same page: the destination must be versioned; objects
//! with public ACLs are left out where public access is blocked; a job can be COMPLETED although objects failed to be restored.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::aws::backup_access::second;
use crate::model::clock::Timestamp;
use crate::model::failure::Failure;
use crate::restore::driver::{Accepted, Driver, Opened, Progress};
use crate::restore::drivers::backup_jobs::{self, Looked};
use crate::restore::drivers::own_bucket;
use crate::restore::order::{Clouds, Order};
use crate::restore::permit::Permit;
use crate::restore::records::TargetKind;

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
        own_bucket::make(order, clouds, &permit).await
    }

    async fn request(&self, order: &Order, clouds: &Clouds, permit: Permit) -> Result<Accepted, Failure> {
        let target = permit.target();
        // A second call after a crash is made harmless by the token.
        own_bucket::ready(order, clouds, target).await?;
        let key = order.isolation.as_ref().and_then(|demands| demands.kms_key_arn.as_deref());
        let metadata = restore_metadata(&target.name, key, order.point.is_in_time().then_some(order.point.created_at));
        backup_jobs::start(order, clouds, &permit, "S3", metadata).await
    }

    async fn poll(&self, order: &Order, clouds: &Clouds, accepted: &Accepted) -> Result<Progress, Failure> {
        Ok(match backup_jobs::look(order, clouds, accepted, TargetKind::Bucket).await? {
            Looked::Not(progress) => progress,
            Looked::Created { status, created_arn, raw, .. } => Progress::Ready { status, created_arn, raw },
        })
    }

    async fn open(&self, order: &Order, _clouds: &Clouds) -> Result<Option<Opened>, Failure> {
        Ok(Some(own_bucket::opened(order)))
    }
}

/// What the job is asked with: every version, no ACLs, encrypted with the key that isolation demands; of a continuous point the second.
fn restore_metadata(bucket: &str, kms_key_arn: Option<&str>, at: Option<Timestamp>) -> BTreeMap<String, String> {
    let at = at.map(second);
    let mut metadata = vec![("DestinationBucketName", bucket), ("RestoreLatestVersionsUpTo", "all"), ("RestoreACLs", "false")];
    if let Some(key) = kms_key_arn {
        metadata.extend([("EncryptionType", "SSE-KMS"), ("KMSKey", key)]);
    }
    metadata.extend(at.as_deref().map(|at| ("RestoreTime", at)));
    metadata.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metadata_has_the_documented_keys_and_no_others() {
        let plain = restore_metadata("ours", None, None);
        assert_eq!(
            plain.keys().map(String::as_str).collect::<Vec<_>>(),
            ["DestinationBucketName", "RestoreACLs", "RestoreLatestVersionsUpTo"]
        );
        assert_eq!((plain["RestoreLatestVersionsUpTo"].as_str(), plain["RestoreACLs"].as_str()), ("all", "false"));
        let keyed = restore_metadata("ours", Some("arn:aws:kms:eu-west-2:1:key/k"), Some("2021-11-27T03:30:27.999Z".parse().unwrap()));
        assert_eq!(keyed["RestoreTime"], "2021-11-27T03:30:27Z");
        assert_eq!((keyed["EncryptionType"].as_str(), keyed["KMSKey"].as_str()), ("SSE-KMS", "arn:aws:kms:eu-west-2:1:key/k"));
    }
}
