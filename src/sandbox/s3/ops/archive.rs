//! Archived storage classes: not readable before RestoreObject has brought a copy back, and that takes its time.
//!
//! Expedited restores are ready at once, Standard ones after [`STANDARD_S`] and Bulk ones after an hour: short enough for tests, long
//! enough to meet one that is under way (S3 user guide, "Restoring an archived object").

use http::StatusCode;
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Result};

use crate::sandbox::s3::errors::custom;
use crate::sandbox::s3::ops::convert;
use crate::sandbox::s3::ops::find::find;
use crate::sandbox::s3::record::{Restoring, Version};
use crate::sandbox::s3::store::S3Store;
use crate::sandbox::s3::versions;

const ARCHIVED: [&str; 2] = ["GLACIER", "DEEP_ARCHIVE"];

/// Seconds that a Standard restore takes.
pub const STANDARD_S: i64 = 2;
const BULK_S: i64 = 3600;

fn is_archived(version: &Version) -> bool {
    version.content.meta.storage_class.as_deref().is_some_and(|class| ARCHIVED.contains(&class))
}

/// Objects in an archive can be read only while a restored copy is there.
pub fn may_read(version: &Version) -> S3Result<()> {
    let now = convert::now();
    let restored = version.content.meta.restoring.as_ref().is_some_and(|restoring| restoring.ready <= now && now < restoring.until);
    if is_archived(version) && !restored {
        let message = "The operation is not valid for the object's storage class";
        return Err(S3Error::with_message(S3ErrorCode::InvalidObjectState, message));
    }
    Ok(())
}

/// `x-amz-restore`.
pub fn header(version: &Version) -> Option<String> {
    let restoring = version.content.meta.restoring.as_ref()?;
    let now = convert::now();
    if now < restoring.ready {
        return Some("ongoing-request=\"true\"".into());
    }
    let until = chrono::DateTime::from_timestamp(restoring.until, 0)?;
    (now < restoring.until).then(|| format!("ongoing-request=\"false\", expiry-date=\"{}\"", until.format("%a, %d %b %Y %H:%M:%S GMT")))
}

/// RestoreObject.
pub fn restore(store: &S3Store, input: RestoreObjectInput) -> S3Result<RestoreObjectOutput> {
    let (_, mut version) = find(store, &input.bucket, &input.key, input.version_id.as_deref())?;
    if !is_archived(&version) {
        let message = "Restore is not allowed for the object's current storage class";
        return Err(S3Error::with_message(S3ErrorCode::InvalidObjectState, message));
    }
    let asked = input.restore_request.unwrap_or_default();
    let days = asked.days.filter(|days| *days > 0);
    let days = days.ok_or_else(|| custom("MalformedXML", StatusCode::BAD_REQUEST, "The request names no days"))?;
    let now = convert::now();
    let known = version.content.meta.restoring.as_ref().filter(|restoring| now < restoring.until);
    if known.is_some_and(|restoring| now < restoring.ready) {
        return Err(custom("RestoreAlreadyInProgress", StatusCode::CONFLICT, "Object restore is already in progress"));
    }
    let tier = asked.tier.or_else(|| asked.glacier_job_parameters.map(|parameters| parameters.tier));
    let takes = match (known, tier.as_ref().map(Tier::as_str)) {
        (Some(_), _) | (None, Some("Expedited")) => 0,
        (None, Some("Bulk")) => BULK_S,
        (None, _) => STANDARD_S,
    };
    let ready = now + takes;
    version.content.meta.restoring = Some(Restoring { ready, until: ready + i64::from(days) * 86_400 });
    versions::set_meta(&store.connection(), &version)?;
    Ok(RestoreObjectOutput::default())
}
