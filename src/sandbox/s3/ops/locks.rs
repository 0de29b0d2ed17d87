//! Object Lock's operations: the bucket's configuration, retention and legal hold of versions.
//!
//! After the S3 user guide, "Locking objects with Object Lock": nobody shortens a COMPLIANCE retention; GOVERNANCE yields to those who
//! bypass it.

use http::StatusCode;
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Result};

use crate::sandbox::s3::buckets;
use crate::sandbox::s3::errors::{custom, internal, locked};
use crate::sandbox::s3::ops::convert;
use crate::sandbox::s3::ops::find::find;
use crate::sandbox::s3::ops::retention::{CONFIG, asked, hold_status, may_lock};
use crate::sandbox::s3::store::S3Store;
use crate::sandbox::s3::versions;

/// GetObjectLockConfiguration.
pub fn configuration(store: &S3Store, input: GetObjectLockConfigurationInput) -> S3Result<GetObjectLockConfigurationOutput> {
    let bucket = buckets::find(&store.connection(), &input.bucket)?;
    if !bucket.object_lock {
        let message = "Object Lock configuration does not exist for this bucket";
        return Err(custom("ObjectLockConfigurationNotFoundError", StatusCode::NOT_FOUND, message));
    }
    let stored = bucket.config.get(CONFIG).cloned().map(serde_json::from_value).transpose().map_err(internal)?;
    let mut configuration: ObjectLockConfiguration = stored.unwrap_or_default();
    configuration.object_lock_enabled = Some(ObjectLockEnabled::from_static(ObjectLockEnabled::ENABLED));
    Ok(GetObjectLockConfigurationOutput { object_lock_configuration: Some(configuration) })
}

/// PutObjectLockConfiguration: possible on a versioned bucket, also later.
pub fn set_configuration(store: &S3Store, input: PutObjectLockConfigurationInput) -> S3Result<PutObjectLockConfigurationOutput> {
    let connection = store.connection();
    let bucket = buckets::find(&connection, &input.bucket)?;
    if !bucket.versions_are_kept() {
        let message = "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration";
        return Err(S3Error::with_message(S3ErrorCode::InvalidBucketState, message));
    }
    let configuration = input.object_lock_configuration.unwrap_or_default();
    let value = serde_json::to_value(&configuration).map_err(internal)?;
    buckets::enable_object_lock(&connection, &bucket)?;
    buckets::set_config(&connection, &bucket, CONFIG, Some(value))?;
    Ok(PutObjectLockConfigurationOutput::default())
}

fn no_lock() -> S3Error {
    let message = "The specified object does not have a ObjectLock configuration";
    custom("NoSuchObjectLockConfiguration", StatusCode::NOT_FOUND, message)
}

/// GetObjectRetention.
pub fn retention(store: &S3Store, input: GetObjectRetentionInput) -> S3Result<GetObjectRetentionOutput> {
    let (_, version) = find(store, &input.bucket, &input.key, input.version_id.as_deref())?;
    let retention = version.content.meta.retention.ok_or_else(no_lock)?;
    let told = ObjectLockRetention { mode: Some(retention.mode.into()), retain_until_date: Some(convert::timestamp(retention.until)) };
    Ok(GetObjectRetentionOutput { retention: Some(told) })
}

/// PutObjectRetention.
pub fn set_retention(store: &S3Store, input: PutObjectRetentionInput) -> S3Result<PutObjectRetentionOutput> {
    let (bucket, mut version) = find(store, &input.bucket, &input.key, input.version_id.as_deref())?;
    let given = input.retention.unwrap_or_default();
    let new = asked(given.mode.as_ref().map(ObjectLockRetentionMode::as_str), given.retain_until_date.as_ref())?;
    if !bucket.object_lock {
        return Err(S3Error::with_message(S3ErrorCode::InvalidRequest, "Bucket is missing Object Lock Configuration"));
    }
    let now = convert::now();
    let bypass = input.bypass_governance_retention.unwrap_or(false);
    if let Some(old) = version.content.meta.retention.as_ref().filter(|old| old.until > now) {
        let longer = new.as_ref().is_some_and(|new| new.until >= old.until && (new.mode == old.mode || new.mode == "COMPLIANCE"));
        let may_weaken = old.mode == "GOVERNANCE" && bypass;
        if !longer && !may_weaken {
            return Err(locked());
        }
    }
    version.content.meta.retention = new;
    versions::set_meta(&store.connection(), &version)?;
    Ok(PutObjectRetentionOutput::default())
}

/// GetObjectLegalHold.
pub fn legal_hold(store: &S3Store, input: GetObjectLegalHoldInput) -> S3Result<GetObjectLegalHoldOutput> {
    let (_, version) = find(store, &input.bucket, &input.key, input.version_id.as_deref())?;
    let on = version.content.meta.legal_hold.ok_or_else(no_lock)?;
    Ok(GetObjectLegalHoldOutput { legal_hold: Some(ObjectLockLegalHold { status: Some(hold_status(on)) }) })
}

/// PutObjectLegalHold.
pub fn set_legal_hold(store: &S3Store, input: PutObjectLegalHoldInput) -> S3Result<PutObjectLegalHoldOutput> {
    let (bucket, mut version) = find(store, &input.bucket, &input.key, input.version_id.as_deref())?;
    let status = input.legal_hold.and_then(|hold| hold.status);
    version.content.meta.legal_hold = Some(status.is_some_and(|status| status.as_str() == ObjectLockLegalHoldStatus::ON));
    may_lock(&bucket, &version.content.meta)?;
    versions::set_meta(&store.connection(), &version)?;
    Ok(PutObjectLegalHoldOutput::default())
}
