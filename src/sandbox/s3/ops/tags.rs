//! The tags of objects.

use std::collections::BTreeMap;

use s3s::S3Result;
use s3s::dto::*;

use crate::sandbox::s3::ops::convert;
use crate::sandbox::s3::ops::find::find;
use crate::sandbox::s3::store::S3Store;
use crate::sandbox::s3::versions;

/// GetObjectTagging.
pub fn get(store: &S3Store, input: GetObjectTaggingInput) -> S3Result<GetObjectTaggingOutput> {
    let (bucket, version) = find(store, &input.bucket, &input.key, input.version_id.as_deref())?;
    let tag_set = convert::tag_set(&version.content.meta.tags);
    Ok(GetObjectTaggingOutput { tag_set, version_id: bucket.told_version(&version.version_id) })
}

/// PutObjectTagging.
pub fn put(store: &S3Store, input: PutObjectTaggingInput) -> S3Result<PutObjectTaggingOutput> {
    let tags = convert::tags(&input.tagging.tag_set)?;
    let version_id = set(store, &input.bucket, &input.key, input.version_id.as_deref(), tags)?;
    Ok(PutObjectTaggingOutput { version_id })
}

/// DeleteObjectTagging.
pub fn delete(store: &S3Store, input: DeleteObjectTaggingInput) -> S3Result<DeleteObjectTaggingOutput> {
    let version_id = set(store, &input.bucket, &input.key, input.version_id.as_deref(), BTreeMap::new())?;
    Ok(DeleteObjectTaggingOutput { version_id })
}

fn set(store: &S3Store, bucket: &str, key: &str, version_id: Option<&str>, tags: BTreeMap<String, String>) -> S3Result<Option<String>> {
    let (bucket, mut version) = find(store, bucket, key, version_id)?;
    version.content.meta.tags = tags;
    versions::set_meta(&store.connection(), &version)?;
    Ok(bucket.told_version(&version.version_id))
}
