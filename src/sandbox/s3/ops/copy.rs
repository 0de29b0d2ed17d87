//! CopyObject and UploadPartCopy: no bytes move, contents are shared; digests are taken anew where S3 does.

use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result};

use crate::sandbox::s3::blobs;
use crate::sandbox::s3::buckets;
use crate::sandbox::s3::digests::DEFAULT_ALGORITHM;
use crate::sandbox::s3::errors::{internal, invalid_argument, precondition_failed};
use crate::sandbox::s3::ops::convert::{self, set_checksums};
use crate::sandbox::s3::ops::find::find;
use crate::sandbox::s3::ops::write::meta_of;
use crate::sandbox::s3::ops::{retention, write};
use crate::sandbox::s3::record::{self, Content, Version};
use crate::sandbox::s3::segment::slice;
use crate::sandbox::s3::store::S3Store;
use crate::sandbox::s3::uploads::{self, Part};
use crate::sandbox::s3::versions::{Conditions, matches};

/// The source of a copy.
struct From {
    bucket: String,
    key: String,
    version_id: Option<String>,
    /// The source bucket's way to tell the version.
    told_version: Option<String>,
    version: Version,
}

/// The conditions on a source.
struct SourceConditions<'a> {
    if_match: Option<&'a ETagCondition>,
    if_none_match: Option<&'a ETagCondition>,
    if_modified_since: Option<&'a Timestamp>,
    if_unmodified_since: Option<&'a Timestamp>,
}

fn source(store: &S3Store, from: &CopySource, conditions: &SourceConditions) -> S3Result<From> {
    let CopySource::Bucket { bucket, key, version_id } = from else {
        return Err(S3Error::with_message(S3ErrorCode::NotImplemented, "copies from access points are not in the sandbox"));
    };
    let (source_bucket, version) = find(store, bucket, key, version_id.as_deref())?;
    let etag = &version.content.etag;
    let fits = conditions.if_match.is_none_or(|condition| matches(condition, etag))
        && conditions.if_none_match.is_none_or(|condition| !matches(condition, etag))
        && conditions.if_modified_since.is_none_or(|since| version.modified > convert::seconds(since))
        // An ETag that matches outweighs the date beside it.
        && (conditions.if_match.is_some() || conditions.if_unmodified_since.is_none_or(|since| version.modified <= convert::seconds(since)));
    if !fits {
        return Err(precondition_failed());
    }
    Ok(From {
        bucket: bucket.to_string(),
        key: key.to_string(),
        version_id: version_id.as_deref().map(str::to_owned),
        told_version: source_bucket.told_version(&version.version_id),
        version,
    })
}

/// CopyObject.
pub async fn copy_object(store: &S3Store, request: S3Request<CopyObjectInput>) -> S3Result<CopyObjectOutput> {
    let input = request.input;
    let conditions = SourceConditions {
        if_match: input.copy_source_if_match.as_ref(),
        if_none_match: input.copy_source_if_none_match.as_ref(),
        if_modified_since: input.copy_source_if_modified_since.as_ref(),
        if_unmodified_since: input.copy_source_if_unmodified_since.as_ref(),
    };
    let from = source(store, &input.copy_source, &conditions)?;
    let old = &from.version.content;
    let replaces = input.metadata_directive.as_ref().is_some_and(|directive| directive.as_str() == MetadataDirective::REPLACE);
    let onto_itself = from.bucket == input.bucket && from.key == input.key && from.version_id.is_none();
    let class_changes = write::storage_class(input.storage_class.as_ref())? != old.meta.storage_class && input.storage_class.is_some();
    if onto_itself && !replaces && !class_changes && input.website_redirect_location.is_none() {
        let message = "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.";
        return Err(S3Error::with_message(S3ErrorCode::InvalidRequest, message));
    }
    let given = meta_of!(input);
    let mut meta = if replaces { given.clone() } else { write::copied(&old.meta) };
    let replaces_tags = input.tagging_directive.as_ref().is_some_and(|directive| directive.as_str() == TaggingDirective::REPLACE);
    meta.tags = if replaces_tags { given.tags.clone() } else { old.meta.tags.clone() };
    // The storage class is not copied: without one the copy is STANDARD.
    meta.storage_class = given.storage_class.clone();
    meta.retention = given.retention.clone();
    meta.encryption = given.encryption.clone();
    meta.restoring = None;
    meta.replication = None;
    meta.legal_hold = given.legal_hold;
    retention::may_lock(&buckets::find(&store.connection(), &input.bucket)?, &meta)?;
    let (etag, checksum) = copied_digests(store, old, input.checksum_algorithm.as_ref().map(ChecksumAlgorithm::as_str)).await?;
    meta.checksum = Some(checksum.clone());
    let mut content = Content { size: old.size, etag, segments: old.segments.clone(), meta };
    write::settle(&buckets::find(&store.connection(), &input.bucket)?, &mut content);
    let (bucket, version_id) = write::commit(store, &input.bucket, &input.key, content.clone(), &Conditions::default())?;
    let mut result = CopyObjectResult {
        e_tag: convert::etag(&content.etag),
        last_modified: Some(convert::timestamp(convert::now())),
        checksum_type: Some(checksum.kind.clone().into()),
        ..Default::default()
    };
    set_checksums!(result, Some(&checksum));
    Ok(CopyObjectOutput {
        copy_object_result: Some(result),
        copy_source_version_id: from.told_version,
        version_id: bucket.told_version(&version_id),
        ..Default::default()
    })
}

/// ETag and checksum of a copy: those of one whole body, whatever parts the source was made of.
async fn copied_digests(store: &S3Store, old: &Content, asked: Option<&str>) -> S3Result<(String, record::Checksum)> {
    let kept = old.meta.checksum.as_ref().filter(|checksum| checksum.kind == "FULL_OBJECT");
    let kept = kept.filter(|checksum| asked.is_none_or(|asked| asked == checksum.algorithm));
    if let Some(checksum) = kept.filter(|_| !old.etag.contains('-')) {
        return Ok((old.etag.clone(), checksum.clone()));
    }
    let own = old.meta.checksum.as_ref().map(|checksum| checksum.algorithm.as_str());
    let algorithm = asked.or(own).unwrap_or(DEFAULT_ALGORITHM);
    let digested = blobs::digest(store, old.segments.clone(), algorithm).await.map_err(internal)?;
    let checksum = record::Checksum { algorithm: algorithm.to_owned(), kind: "FULL_OBJECT".into(), value: digested.checksum };
    Ok((hex::encode(digested.md5), checksum))
}

/// UploadPartCopy.
pub async fn upload_part_copy(store: &S3Store, request: S3Request<UploadPartCopyInput>) -> S3Result<UploadPartCopyOutput> {
    let input = request.input;
    let upload = {
        let connection = store.connection();
        let bucket = buckets::find(&connection, &input.bucket)?;
        uploads::find(&connection, &bucket, &input.key, &input.upload_id)?
    };
    uploads::check_part_number(input.part_number)?;
    let conditions = SourceConditions {
        if_match: input.copy_source_if_match.as_ref(),
        if_none_match: input.copy_source_if_none_match.as_ref(),
        if_modified_since: input.copy_source_if_modified_since.as_ref(),
        if_unmodified_since: input.copy_source_if_unmodified_since.as_ref(),
    };
    let from = source(store, &input.copy_source, &conditions)?;
    let (start, end) = range(input.copy_source_range.as_deref(), from.version.content.size)?;
    let segments = slice(&from.version.content.segments, start, end);
    let digested = blobs::digest(store, segments.clone(), upload.part_algorithm()).await.map_err(internal)?;
    let part = Part {
        number: input.part_number,
        modified: convert::now(),
        size: digested.size,
        etag: hex::encode(digested.md5),
        checksum: digested.checksum.clone(),
        segments,
    };
    uploads::put_part(&store.connection(), &upload.id, &part)?;
    let mut result =
        CopyPartResult { e_tag: convert::etag(&part.etag), last_modified: Some(convert::timestamp(part.modified)), ..Default::default() };
    let checksum = upload.algorithm.map(|algorithm| record::Checksum { algorithm, kind: String::new(), value: digested.checksum });
    set_checksums!(result, checksum.as_ref());
    Ok(UploadPartCopyOutput { copy_part_result: Some(result), copy_source_version_id: from.told_version, ..Default::default() })
}

/// `bytes=FIRST-LAST`, both within the source.
fn range(text: Option<&str>, size: u64) -> S3Result<(u64, u64)> {
    let Some(text) = text else { return Ok((0, size)) };
    let invalid = || {
        invalid_argument(
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy",
        )
    };
    let (first, last) = text.strip_prefix("bytes=").and_then(|text| text.split_once('-')).ok_or_else(invalid)?;
    let (first, last): (u64, u64) = (first.parse().map_err(|_| invalid())?, last.parse().map_err(|_| invalid())?);
    if first > last || last >= size {
        return Err(invalid_argument(format!("Range specified is not valid for source object of size: {size}")));
    }
    Ok((first, last + 1))
}
