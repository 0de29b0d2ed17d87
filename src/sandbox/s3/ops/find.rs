//! The version that a request names, for every operation on what is there already.

use s3s::S3Result;

use crate::sandbox::s3::buckets::{self, Bucket};
use crate::sandbox::s3::errors::invalid_argument;
use crate::sandbox::s3::record::Version;
use crate::sandbox::s3::store::S3Store;
use crate::sandbox::s3::versions;

/// The version that a read asks for, and its bucket.
pub fn find(store: &S3Store, bucket: &str, key: &str, version_id: Option<&str>) -> S3Result<(Bucket, Version)> {
    if version_id.is_some_and(|id| !versions::is_version_id(id)) {
        return Err(invalid_argument("Invalid version id specified"));
    }
    let connection = store.connection();
    let bucket = buckets::find(&connection, bucket)?;
    let version = versions::read(&connection, &bucket, key, version_id)?;
    Ok((bucket, version))
}
