//! PutObject.

use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::*;
use s3s::{S3Request, S3Result};

use crate::sandbox::s3::buckets::{self, Bucket};
use crate::sandbox::s3::errors::internal;
use crate::sandbox::s3::ops::convert::{self, given_checksums, set_checksums};

use crate::sandbox::s3::ops::encryption::{self, tell_encryption};
use crate::sandbox::s3::ops::receive::{Claims, receive};
use crate::sandbox::s3::ops::{replication, retention};
use crate::sandbox::s3::record::{self, Content, Meta};
use crate::sandbox::s3::store::S3Store;
use crate::sandbox::s3::versions::{self, Conditions};

/// Metadata that PutObject, CreateMultipartUpload and CopyObject (replacing) take alike.
macro_rules! meta_of {
    ($input:expr) => {
        crate::sandbox::s3::record::Meta {
            content_type: Some($input.content_type.clone().unwrap_or_else(|| "binary/octet-stream".into())),
            content_encoding: $input.content_encoding.as_deref().and_then(crate::sandbox::s3::ops::write::without_aws_chunked),
            content_language: $input.content_language.clone(),
            content_disposition: $input.content_disposition.clone(),
            cache_control: $input.cache_control.clone(),
            expires: $input.expires.as_ref().map(crate::sandbox::s3::ops::convert::seconds),
            website_redirect: $input.website_redirect_location.clone(),
            user: $input.metadata.clone().unwrap_or_default().into_iter().collect(),
            tags: crate::sandbox::s3::ops::convert::tags_of_header($input.tagging.as_deref())?,
            storage_class: crate::sandbox::s3::ops::write::storage_class($input.storage_class.as_ref())?,
            legal_hold: $input.object_lock_legal_hold_status.as_ref().map(|status| status.as_str() == "ON"),
            retention: crate::sandbox::s3::ops::retention::asked(
                $input.object_lock_mode.as_ref().map(|mode| mode.as_str()),
                $input.object_lock_retain_until_date.as_ref(),
            )?,
            encryption: crate::sandbox::s3::ops::encryption::asked(
                $input.server_side_encryption.as_ref().map(|mode| mode.as_str()),
                $input.ssekms_key_id.as_deref(),
                crate::sandbox::s3::ops::encryption::customer_key!($input),
            )?,
            ..Default::default()
        }
    };
}
pub(super) use meta_of;

/// Storage classes of S3 objects.
const STORAGE_CLASSES: [&str; 9] = [
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER",
    "DEEP_ARCHIVE",
    "GLACIER_IR",
    "EXPRESS_ONEZONE",
];

/// The storage class to keep: none for `STANDARD`.
pub fn storage_class(asked: Option<&StorageClass>) -> S3Result<Option<String>> {
    let Some(class) = asked.map(StorageClass::as_str) else { return Ok(None) };
    if !STORAGE_CLASSES.contains(&class) {
        return Err(s3s::s3_error!(InvalidStorageClass, "The storage class you specified is not valid"));
    }
    Ok((class != "STANDARD").then(|| class.to_owned()))
}

/// `aws-chunked` tells how the body travelled, not what it is.
pub fn without_aws_chunked(encoding: &str) -> Option<String> {
    let kept: Vec<&str> = encoding.split(',').map(str::trim).filter(|part| !part.is_empty() && *part != "aws-chunked").collect();
    (!kept.is_empty()).then(|| kept.join(","))
}

/// PutObject.
pub async fn put_object(store: &S3Store, request: S3Request<PutObjectInput>) -> S3Result<PutObjectOutput> {
    let mut input = request.input;
    let conditions = Conditions { if_match: input.if_match.clone(), if_none_match: input.if_none_match.clone() };
    let mut meta = meta_of!(input);
    {
        // Refused before the body is read; the conditions are checked again when it is in.
        let connection = store.connection();
        let bucket = buckets::find(&connection, &input.bucket)?;
        retention::may_lock(&bucket, &meta)?;
        conditions.check(versions::latest(&connection, &bucket, &input.key)?.as_ref())?;
    }
    let claims = Claims {
        headers: &request.headers,
        trailers: request.trailing_headers.clone(),
        md5: input.content_md5.as_deref(),
        checksums: given_checksums!(input),
        algorithm: input.checksum_algorithm.as_ref().map(ChecksumAlgorithm::as_str),
        length: input.content_length,
    };
    let received = receive(store, input.body.take(), claims, None).await?;
    let checksum =
        record::Checksum { algorithm: received.algorithm, kind: "FULL_OBJECT".into(), value: received.digested.checksum.clone() };
    meta.checksum = Some(checksum.clone());
    let mut content = Content { size: received.digested.size, etag: hex::encode(received.digested.md5), segments: received.segments, meta };
    settle(&buckets::find(&store.connection(), &input.bucket)?, &mut content);
    let (bucket, version_id) = commit(store, &input.bucket, &input.key, content.clone(), &conditions)?;
    let mut output = PutObjectOutput {
        e_tag: convert::etag(&content.etag),
        version_id: bucket.told_version(&version_id),
        checksum_type: Some(ChecksumType::from_static(ChecksumType::FULL_OBJECT)),
        ..Default::default()
    };
    set_checksums!(output, Some(&checksum));
    tell_encryption!(output, content.meta);
    Ok(output)
}

/// What the bucket adds to a write: its encryption. Of what is encrypted with a key of one's own or of KMS the ETag is not the MD5.
pub fn settle(bucket: &Bucket, content: &mut Content) {
    encryption::apply_default(bucket, &mut content.meta.encryption);
    if let Some(mode) = content.meta.encryption.as_ref().map(|encryption| encryption.mode.as_str()).filter(|mode| *mode != "AES256") {
        let mut md5 = Md5::new();
        md5.update(content.etag.as_bytes());
        md5.update(mode.as_bytes());
        content.etag = hex::encode(md5.finalize());
    }
}

/// Writes a content under a key if the conditions still hold, with the bucket's default retention.
pub fn commit(store: &S3Store, bucket: &str, key: &str, mut content: Content, conditions: &Conditions) -> S3Result<(Bucket, String)> {
    let connection = store.connection();
    let bucket = buckets::find(&connection, bucket)?;
    let now = convert::now();
    retention::apply_default(&bucket, &mut content.meta, now);
    let transaction = connection.unchecked_transaction().map_err(internal)?;
    conditions.check(versions::latest(&transaction, &bucket, key)?.as_ref())?;
    let replica = replication::prepare(&transaction, &bucket, key, Some(&mut content));
    let version_id = versions::add(&transaction, &bucket, key, Some(&content), now)?;
    if let Some(replica) = replica {
        replica.write(&transaction, key, &version_id, Some(&content), now)?;
    }
    transaction.commit().map_err(internal)?;
    Ok((bucket, version_id))
}

/// Metadata that a copy takes over: everything but tags and locks.
pub fn copied(meta: &Meta) -> Meta {
    Meta {
        tags: Default::default(),
        encryption: None,
        restoring: None,
        replication: None,
        retention: None,
        legal_hold: None,
        checksum: None,
        parts: Vec::new(),
        ..meta.clone()
    }
}
