//! GetObject, HeadObject and GetObjectAttributes.

use http::{HeaderMap, HeaderValue, header};
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result};

use crate::sandbox::s3::blobs::Outgoing;
use crate::sandbox::s3::errors::{internal, precondition_failed};
use crate::sandbox::s3::ops::convert::{self, set_checksums};
use crate::sandbox::s3::ops::encryption::{self, customer_key, tell_encryption};
use crate::sandbox::s3::ops::find::find;
use crate::sandbox::s3::ops::{archive, retention};
use crate::sandbox::s3::record::{Checksum, Content, Version};
use crate::sandbox::s3::segment::slice;
use crate::sandbox::s3::store::S3Store;
use crate::sandbox::s3::versions::matches;

/// The conditions of a read.
struct ReadConditions<'a> {
    if_match: Option<&'a ETagCondition>,
    if_none_match: Option<&'a ETagCondition>,
    if_modified_since: Option<&'a Timestamp>,
    if_unmodified_since: Option<&'a Timestamp>,
}

impl ReadConditions<'_> {
    /// RFC 9110, section 13.2.2: an ETag condition outweighs the date beside it.
    fn check(&self, version: &Version) -> S3Result<()> {
        let etag = &version.content.etag;
        match (self.if_match, self.if_unmodified_since) {
            (Some(condition), _) if !matches(condition, etag) => return Err(precondition_failed()),
            (None, Some(since)) if version.modified > convert::seconds(since) => return Err(precondition_failed()),
            _ => {}
        }
        let unchanged = match (self.if_none_match, self.if_modified_since) {
            (Some(condition), _) => matches(condition, etag),
            (None, Some(since)) => version.modified <= convert::seconds(since),
            (None, None) => false,
        };
        if !unchanged {
            return Ok(());
        }
        let mut error = S3Error::with_message(S3ErrorCode::NotModified, "Not Modified");
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_str(&format!("\"{etag}\"")) {
            headers.insert(header::ETAG, value);
        }
        error.set_headers(headers);
        Err(error)
    }
}

/// What of a content is asked for.
struct Stretch {
    from: u64,
    to: u64,
    /// `Content-Range`, where it is not the whole.
    content_range: Option<String>,
    /// The checksum that belongs to the stretch.
    checksum: Option<Checksum>,
    /// Parts of the object, told where one was asked for.
    parts_count: Option<i32>,
}

fn stretch(content: &Content, range: Option<&Range>, part: Option<i32>) -> S3Result<Stretch> {
    let size = content.size;
    let checksum = content.meta.checksum.clone();
    let whole = Stretch { from: 0, to: size, content_range: None, checksum, parts_count: None };
    match (range, part) {
        (Some(_), Some(_)) => {
            Err(S3Error::with_message(S3ErrorCode::InvalidRequest, "Cannot specify both Range header and partNumber query parameter"))
        }
        (None, None) => Ok(whole),
        (Some(range), None) => {
            let unsatisfiable = |_| {
                let mut error = S3Error::with_message(S3ErrorCode::InvalidRange, "The requested range is not satisfiable");
                let mut headers = HeaderMap::new();
                if let Ok(value) = HeaderValue::from_str(&format!("bytes */{size}")) {
                    headers.insert(header::CONTENT_RANGE, value);
                }
                error.set_headers(headers);
                error
            };
            let range = range.check(size).map_err(unsatisfiable)?;
            if range.is_empty() {
                return Err(S3Error::with_message(S3ErrorCode::InvalidRange, "The requested range is not satisfiable"));
            }
            let content_range = Some(format!("bytes {}-{}/{size}", range.start, range.end - 1));
            let checksum = if range == (0..size) { whole.checksum } else { None };
            Ok(Stretch { from: range.start, to: range.end, content_range, checksum, parts_count: None })
        }
        (None, Some(number)) => part_stretch(content, number, whole),
    }
}

fn part_stretch(content: &Content, number: i32, whole: Stretch) -> S3Result<Stretch> {
    let size = content.size;
    let parts = &content.meta.parts;
    if parts.is_empty() && number == 1 {
        let content_range = (size > 0).then(|| format!("bytes 0-{}/{size}", size - 1));
        return Ok(Stretch { content_range, ..whole });
    }
    let mut from = 0;
    for part in parts {
        if part.number == number {
            let checksum =
                content.meta.checksum.as_ref().zip(part.checksum.clone()).map(|(whole, value)| Checksum { value, ..whole.clone() });
            let to = from + part.size;
            let content_range = (part.size > 0).then(|| format!("bytes {from}-{}/{size}", to - 1));
            return Ok(Stretch { from, to, content_range, checksum, parts_count: i32::try_from(parts.len()).ok() });
        }
        from += part.size;
    }
    let message = "The requested partnumber is not satisfiable";
    Err(crate::sandbox::s3::errors::custom("InvalidPartNumber", http::StatusCode::RANGE_NOT_SATISFIABLE, message))
}

/// The fields that GetObject and HeadObject answer alike.
macro_rules! answer {
    ($output:ident, $bucket:expr, $version:expr, $stretch:expr, $input:expr) => {{
        let meta = &$version.content.meta;
        let input = &$input;
        $output {
            accept_ranges: Some("bytes".into()),
            content_length: Some(convert::length($stretch.to - $stretch.from)),
            content_range: $stretch.content_range.clone(),
            content_type: input.response_content_type.clone().or_else(|| meta.content_type.clone()),
            content_encoding: input.response_content_encoding.clone().or_else(|| meta.content_encoding.clone()),
            content_language: input.response_content_language.clone().or_else(|| meta.content_language.clone()),
            content_disposition: input.response_content_disposition.clone().or_else(|| meta.content_disposition.clone()),
            cache_control: input.response_cache_control.clone().or_else(|| meta.cache_control.clone()),
            expires: input.response_expires.clone().or_else(|| meta.expires.map(convert::timestamp)),
            website_redirect_location: meta.website_redirect.clone(),
            metadata: (!meta.user.is_empty()).then(|| meta.user.clone().into_iter().collect()),
            e_tag: convert::etag(&$version.content.etag),
            last_modified: Some(convert::timestamp($version.modified)),
            version_id: $bucket.told_version(&$version.version_id),
            storage_class: meta.storage_class.clone().map(StorageClass::from),
            parts_count: $stretch.parts_count,
            object_lock_mode: meta.retention.as_ref().map(|retention| ObjectLockMode::from(retention.mode.clone())),
            object_lock_retain_until_date: meta.retention.as_ref().map(|retention| convert::timestamp(retention.until)),
            object_lock_legal_hold_status: meta.legal_hold.map(retention::hold_status),
            replication_status: meta.replication.clone().map(ReplicationStatus::from),
            restore: archive::header(&$version),
            ..Default::default()
        }
    }};
}

/// Puts the stretch's checksum into an answer, where the client asked for it.
macro_rules! answer_checksums {
    ($output:expr, $stretch:expr, $mode:expr) => {
        if $mode.as_ref().is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED) {
            set_checksums!($output, $stretch.checksum.as_ref());
            $output.checksum_type = $stretch.checksum.as_ref().map(|checksum| ChecksumType::from(checksum.kind.clone()));
        }
    };
}

/// GetObject.
pub async fn get_object(store: &S3Store, request: S3Request<GetObjectInput>) -> S3Result<GetObjectOutput> {
    let input = request.input;
    let (bucket, version) = find(store, &input.bucket, &input.key, input.version_id.as_deref())?;
    let conditions = ReadConditions {
        if_match: input.if_match.as_ref(),
        if_none_match: input.if_none_match.as_ref(),
        if_modified_since: input.if_modified_since.as_ref(),
        if_unmodified_since: input.if_unmodified_since.as_ref(),
    };
    conditions.check(&version)?;
    encryption::may_read(&version, customer_key!(input))?;
    archive::may_read(&version)?;
    let stretch = stretch(&version.content, input.range.as_ref(), input.part_number)?;
    let segments = slice(&version.content.segments, stretch.from, stretch.to);
    let body = Outgoing::open(store, &segments).map_err(internal)?;
    let mut output = answer!(GetObjectOutput, bucket, version, stretch, input);
    tell_encryption!(output, version.content.meta);
    let tags = version.content.meta.tags.len();
    output.tag_count = i32::try_from(tags).ok().filter(|count| *count > 0);
    output.body = Some(StreamingBlob::wrap(body.stream()));
    answer_checksums!(output, stretch, input.checksum_mode);
    Ok(output)
}

/// HeadObject.
pub fn head_object(store: &S3Store, input: HeadObjectInput) -> S3Result<HeadObjectOutput> {
    let (bucket, version) = find(store, &input.bucket, &input.key, input.version_id.as_deref())?;
    let conditions = ReadConditions {
        if_match: input.if_match.as_ref(),
        if_none_match: input.if_none_match.as_ref(),
        if_modified_since: input.if_modified_since.as_ref(),
        if_unmodified_since: input.if_unmodified_since.as_ref(),
    };
    conditions.check(&version)?;
    encryption::may_read(&version, customer_key!(input))?;
    let stretch = stretch(&version.content, input.range.as_ref(), input.part_number)?;
    let mut output = answer!(HeadObjectOutput, bucket, version, stretch, input);
    tell_encryption!(output, version.content.meta);
    answer_checksums!(output, stretch, input.checksum_mode);
    Ok(output)
}

/// GetObjectAttributes.
pub fn attributes(store: &S3Store, input: GetObjectAttributesInput) -> S3Result<GetObjectAttributesOutput> {
    let (bucket, version) = find(store, &input.bucket, &input.key, input.version_id.as_deref())?;
    // The list may come as one header with commas.
    let names: Vec<&str> = input.object_attributes.iter().flat_map(|name| name.as_str().split(',')).map(str::trim).collect();
    let wants = |name: &str| names.contains(&name);
    let content = &version.content;
    let mut output = GetObjectAttributesOutput {
        last_modified: Some(convert::timestamp(version.modified)),
        version_id: bucket.told_version(&version.version_id),
        ..Default::default()
    };
    if wants("ETag") {
        output.e_tag = convert::etag(&content.etag);
    }
    if wants("ObjectSize") {
        output.object_size = Some(convert::length(content.size));
    }
    if wants("StorageClass") {
        let class = content.meta.storage_class.clone().unwrap_or_else(|| StorageClass::STANDARD.into());
        output.storage_class = Some(class.into());
    }
    if let Some(checksum) = content.meta.checksum.as_ref().filter(|_| wants("Checksum")) {
        let mut told = s3s::dto::Checksum { checksum_type: Some(checksum.kind.clone().into()), ..Default::default() };
        set_checksums!(told, Some(checksum));
        output.checksum = Some(told);
    }
    if wants("ObjectParts") && !content.meta.parts.is_empty() {
        output.object_parts = Some(parts(content, input.part_number_marker.unwrap_or(0), input.max_parts.unwrap_or(1000)));
    }
    Ok(output)
}

fn parts(content: &Content, marker: i32, most: i32) -> GetObjectAttributesParts {
    let behind: Vec<_> = content.meta.parts.iter().filter(|part| part.number > marker).collect();
    let count = behind.len().min(usize::try_from(most).unwrap_or(0).min(1000));
    let told: Vec<ObjectPart> = behind[..count]
        .iter()
        .map(|part| {
            let mut told = ObjectPart { part_number: Some(part.number), size: Some(convert::length(part.size)), ..Default::default() };
            let whole = content.meta.checksum.as_ref();
            let own = whole.zip(part.checksum.clone()).map(|(whole, value)| Checksum { value, ..whole.clone() });
            set_checksums!(told, own.as_ref());
            told
        })
        .collect();
    // S3 lists the parts themselves only where each has a checksum of its own, that is, where the object's is composite.
    let listed = content.meta.checksum.as_ref().is_some_and(|checksum| checksum.kind == "COMPOSITE");
    GetObjectAttributesParts {
        is_truncated: Some(count < behind.len()),
        max_parts: Some(most),
        part_number_marker: Some(marker),
        next_part_number_marker: Some(told.last().and_then(|part| part.part_number).unwrap_or(0)),
        total_parts_count: i32::try_from(content.meta.parts.len()).ok(),
        parts: listed.then_some(told),
    }
}
