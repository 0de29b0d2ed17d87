//! The rules of Object Lock that reads and writes need: what a write may ask for, and the bucket's default.

use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Result};

use crate::sandbox::s3::buckets::Bucket;
use crate::sandbox::s3::errors::invalid_argument;
use crate::sandbox::s3::ops::convert;
use crate::sandbox::s3::record::{Meta, Retention};

/// The name of the bucket's Object Lock configuration.
pub const CONFIG: &str = "object_lock";

/// Retention that a write asks for: mode and date come together.
pub fn asked(mode: Option<&str>, until: Option<&Timestamp>) -> S3Result<Option<Retention>> {
    match (mode, until) {
        (None, None) => Ok(None),
        (Some(mode @ ("GOVERNANCE" | "COMPLIANCE")), Some(until)) => {
            let until = convert::seconds(until);
            if until <= convert::now() {
                return Err(invalid_argument("The retain until date must be in the future!"));
            }
            Ok(Some(Retention { mode: mode.to_owned(), until }))
        }
        (Some(_), Some(_)) => Err(invalid_argument("Unknown wormMode directive.")),
        _ => Err(invalid_argument("x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied")),
    }
}

/// Locks need a bucket with Object Lock.
pub fn may_lock(bucket: &Bucket, meta: &Meta) -> S3Result<()> {
    if (meta.retention.is_some() || meta.legal_hold.is_some()) && !bucket.object_lock {
        return Err(S3Error::with_message(S3ErrorCode::InvalidRequest, "Bucket is missing Object Lock Configuration"));
    }
    Ok(())
}

/// The bucket's default retention for what is written without one of its own.
pub fn apply_default(bucket: &Bucket, meta: &mut Meta, now: i64) {
    let stored = bucket.config.get(CONFIG).cloned();
    let configuration: Option<ObjectLockConfiguration> = stored.and_then(|value| serde_json::from_value(value).ok());
    let default = configuration.and_then(|configuration| configuration.rule?.default_retention);
    let Some(default) = default.filter(|_| meta.retention.is_none()) else { return };
    let days = default.days.unwrap_or(0) + 365 * default.years.unwrap_or(0);
    if let Some(mode) = default.mode.filter(|_| days > 0) {
        meta.retention = Some(Retention { mode: mode.as_str().to_owned(), until: now + i64::from(days) * 86_400 });
    }
}

/// `ON` or `OFF`.
pub fn hold_status(on: bool) -> ObjectLockLegalHoldStatus {
    ObjectLockLegalHoldStatus::from_static(if on { ObjectLockLegalHoldStatus::ON } else { ObjectLockLegalHoldStatus::OFF })
}
