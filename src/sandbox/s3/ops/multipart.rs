//! Multipart uploads.

use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result};

use crate::sandbox::s3::blobs;
use crate::sandbox::s3::buckets;
use crate::sandbox::s3::digests::{self, DEFAULT_ALGORITHM};
use crate::sandbox::s3::errors::{internal, invalid_argument, no_such_upload};
use crate::sandbox::s3::ops::convert::{self, given_checksums, set_checksums};
use crate::sandbox::s3::ops::receive::{Claims, receive};
use crate::sandbox::s3::ops::write::{self, meta_of};
use crate::sandbox::s3::ops::{replication, retention};
use crate::sandbox::s3::record::{self, Content, PartMeta};
use crate::sandbox::s3::segment::Segment;
use crate::sandbox::s3::store::S3Store;
use crate::sandbox::s3::uploads::{self, Part as StoredPart, Upload};
use crate::sandbox::s3::versions::{self, Conditions};

/// The smallest part but the last.
const SMALLEST_PART: u64 = 5 << 20;

/// CreateMultipartUpload.
pub fn create(store: &S3Store, input: CreateMultipartUploadInput) -> S3Result<CreateMultipartUploadOutput> {
    let connection = store.connection();
    let bucket = buckets::find(&connection, &input.bucket)?;
    let algorithm = input.checksum_algorithm.as_ref().map(|algorithm| algorithm.as_str().to_owned());
    let asked_kind = input.checksum_type.as_ref().map(ChecksumType::as_str);
    let kind = match (algorithm.as_deref(), asked_kind) {
        (None, None) => None,
        (None, Some(_)) => {
            return Err(invalid_argument("The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."));
        }
        (Some("CRC64NVME"), Some("COMPOSITE")) | (Some("SHA1" | "SHA256"), Some("FULL_OBJECT")) => {
            let message = "The requested checksum type is not supported with the requested checksum algorithm.";
            return Err(S3Error::with_message(S3ErrorCode::InvalidRequest, message));
        }
        (Some(_), Some(kind)) => Some(kind.to_owned()),
        (Some("CRC64NVME"), None) => Some("FULL_OBJECT".to_owned()),
        (Some(_), None) => Some("COMPOSITE".to_owned()),
    };
    let meta = meta_of!(input);
    retention::may_lock(&bucket, &meta)?;
    let upload = Upload {
        id: crate::sandbox::wire::request_id().replace('-', ""),
        key: input.key.clone(),
        started: convert::now(),
        algorithm,
        kind,
        meta,
    };
    uploads::create(&connection, &bucket, &upload)?;
    Ok(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(upload.id),
        checksum_algorithm: upload.algorithm.map(ChecksumAlgorithm::from),
        checksum_type: upload.kind.map(ChecksumType::from),
        ..Default::default()
    })
}

/// UploadPart.
pub async fn upload_part(store: &S3Store, request: S3Request<UploadPartInput>) -> S3Result<UploadPartOutput> {
    let mut input = request.input;
    uploads::check_part_number(input.part_number)?;
    let upload = {
        let connection = store.connection();
        let bucket = buckets::find(&connection, &input.bucket)?;
        uploads::find(&connection, &bucket, &input.key, &input.upload_id)?
    };
    let claims = Claims {
        headers: &request.headers,
        trailers: request.trailing_headers.clone(),
        md5: input.content_md5.as_deref(),
        checksums: given_checksums!(input),
        algorithm: input.checksum_algorithm.as_ref().map(ChecksumAlgorithm::as_str),
        length: input.content_length,
    };
    let received = receive(store, input.body.take(), claims, upload.algorithm.as_deref()).await?;
    let part = StoredPart {
        number: input.part_number,
        modified: convert::now(),
        size: received.digested.size,
        etag: hex::encode(received.digested.md5),
        checksum: received.digested.checksum.clone(),
        segments: received.segments,
    };
    uploads::put_part(&store.connection(), &upload.id, &part)?;
    let mut output = UploadPartOutput { e_tag: convert::etag(&part.etag), ..Default::default() };
    let checksum = record::Checksum { algorithm: received.algorithm, kind: String::new(), value: part.checksum };
    set_checksums!(output, Some(&checksum));
    Ok(output)
}

/// CompleteMultipartUpload.
pub async fn complete(store: &S3Store, request: S3Request<CompleteMultipartUploadInput>) -> S3Result<CompleteMultipartUploadOutput> {
    let input = request.input;
    let conditions = Conditions { if_match: input.if_match.clone(), if_none_match: input.if_none_match.clone() };
    let (upload, stored) = {
        let connection = store.connection();
        let bucket = buckets::find(&connection, &input.bucket)?;
        let upload = uploads::find(&connection, &bucket, &input.key, &input.upload_id)?;
        conditions.check(versions::latest(&connection, &bucket, &input.key)?.as_ref())?;
        let parts = uploads::parts(&connection, &upload.id)?;
        (upload, parts)
    };
    let chosen = chosen_parts(input.multipart_upload.as_ref(), &stored, &upload)?;
    let segments: Vec<Segment> = chosen.iter().flat_map(|part| part.segments.iter().cloned()).collect();
    let size: u64 = chosen.iter().map(|part| part.size).sum();
    if input.mpu_object_size.is_some_and(|told| u64::try_from(told).ok() != Some(size)) {
        let message = "The provided 'x-amz-mp-object-size' header does not match what was computed.";
        return Err(S3Error::with_message(S3ErrorCode::InvalidRequest, message));
    }
    let checksum = whole_checksum(store, &upload, &chosen, segments.clone()).await?;
    for (algorithm, claimed) in given_checksums!(input) {
        let Some(claimed) = claimed.filter(|_| algorithm == checksum.algorithm) else { continue };
        // Clients may leave the count of a composite checksum out.
        if claimed != checksum.value && Some(claimed.as_str()) != checksum.value.split('-').next() {
            let message = format!("The {algorithm} you specified did not match the calculated checksum.");
            return Err(S3Error::with_message(S3ErrorCode::BadDigest, message));
        }
    }
    let mut meta = upload.meta.clone();
    meta.checksum = Some(checksum.clone());
    meta.parts = chosen.iter().map(|part| part_meta(part)).collect();
    let etag = digests::multipart_etag(chosen.iter().map(|part| part.etag.as_str())).ok_or_else(|| internal("a part's ETag is not hex"))?;
    let content = Content { size, etag, segments, meta };
    let (told_version, content) = finish(store, &input, &upload, content, &conditions)?;
    let mut output = CompleteMultipartUploadOutput {
        bucket: Some(input.bucket.clone()),
        key: Some(input.key.clone()),
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        e_tag: convert::etag(&content.etag),
        version_id: told_version,
        checksum_type: Some(checksum.kind.clone().into()),
        ..Default::default()
    };
    set_checksums!(output, Some(&checksum));
    Ok(output)
}

fn part_meta(part: &StoredPart) -> PartMeta {
    PartMeta { number: part.number, size: part.size, checksum: Some(part.checksum.clone()) }
}

/// Writes the object and forgets the upload, in one transaction: a second completion finds no upload.
fn finish(
    store: &S3Store,
    input: &CompleteMultipartUploadInput,
    upload: &Upload,
    mut content: Content,
    conditions: &Conditions,
) -> S3Result<(Option<String>, Content)> {
    let connection = store.connection();
    let bucket = buckets::find(&connection, &input.bucket)?;
    let now = convert::now();
    retention::apply_default(&bucket, &mut content.meta, now);
    write::settle(&bucket, &mut content);
    let transaction = connection.unchecked_transaction().map_err(internal)?;
    conditions.check(versions::latest(&transaction, &bucket, &input.key)?.as_ref())?;
    if !uploads::remove(&transaction, &upload.id)? {
        return Err(no_such_upload());
    }
    let replica = replication::prepare(&transaction, &bucket, &input.key, Some(&mut content));
    let version_id = versions::add(&transaction, &bucket, &input.key, Some(&content), now)?;
    if let Some(replica) = replica {
        replica.write(&transaction, &input.key, &version_id, Some(&content), now)?;
    }
    transaction.commit().map_err(internal)?;
    Ok((bucket.told_version(&version_id), content))
}

/// The parts that the client lists, in its order, which must be ascending.
fn chosen_parts<'a>(listed: Option<&CompletedMultipartUpload>, stored: &'a [StoredPart], upload: &Upload) -> S3Result<Vec<&'a StoredPart>> {
    let listed = listed.and_then(|upload| upload.parts.as_deref()).unwrap_or_default();
    if listed.is_empty() {
        return Err(S3Error::with_message(S3ErrorCode::MalformedXML, "You must specify at least one part"));
    }
    let invalid = || {
        let message = "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.";
        S3Error::with_message(S3ErrorCode::InvalidPart, message)
    };
    let mut chosen: Vec<&StoredPart> = Vec::with_capacity(listed.len());
    for asked in listed {
        let number = asked.part_number.unwrap_or(0);
        if chosen.last().is_some_and(|last| number <= last.number) {
            let message = "The list of parts was not in ascending order. Parts must be ordered by part number.";
            return Err(S3Error::with_message(S3ErrorCode::InvalidPartOrder, message));
        }
        let part = stored.iter().find(|part| part.number == number).ok_or_else(invalid)?;
        if asked.e_tag.as_ref().is_none_or(|etag| etag.value() != part.etag) {
            return Err(invalid());
        }
        let claimed = given_checksums!(asked).into_iter().find(|(algorithm, _)| *algorithm == upload.part_algorithm());
        if claimed.and_then(|(_, value)| value).is_some_and(|value| value != part.checksum) {
            return Err(invalid());
        }
        chosen.push(part);
    }
    let all_but_last = &chosen[..chosen.len() - 1];
    if all_but_last.iter().any(|part| part.size < SMALLEST_PART) {
        let message = "Your proposed upload is smaller than the minimum allowed size";
        return Err(S3Error::with_message(S3ErrorCode::EntityTooSmall, message));
    }
    Ok(chosen)
}

async fn whole_checksum(store: &S3Store, upload: &Upload, parts: &[&StoredPart], segments: Vec<Segment>) -> S3Result<record::Checksum> {
    let algorithm = upload.part_algorithm().to_owned();
    if upload.kind.as_deref() == Some("COMPOSITE") {
        let value = digests::composite(&algorithm, parts.iter().map(|part| part.checksum.as_str()));
        let value = value.ok_or_else(|| internal("a part's checksum is not base64"))?;
        return Ok(record::Checksum { algorithm, kind: "COMPOSITE".into(), value });
    }
    let algorithm = if upload.algorithm.is_none() { DEFAULT_ALGORITHM.to_owned() } else { algorithm };
    let digested = blobs::digest(store, segments, &algorithm).await.map_err(internal)?;
    Ok(record::Checksum { algorithm, kind: "FULL_OBJECT".into(), value: digested.checksum })
}

/// AbortMultipartUpload.
pub fn abort(store: &S3Store, input: AbortMultipartUploadInput) -> S3Result<AbortMultipartUploadOutput> {
    let connection = store.connection();
    let bucket = buckets::find(&connection, &input.bucket)?;
    let upload = uploads::find(&connection, &bucket, &input.key, &input.upload_id)?;
    uploads::remove(&connection, &upload.id)?;
    Ok(AbortMultipartUploadOutput::default())
}

/// ListParts.
pub fn list_parts(store: &S3Store, input: ListPartsInput) -> S3Result<ListPartsOutput> {
    let connection = store.connection();
    let bucket = buckets::find(&connection, &input.bucket)?;
    let upload = uploads::find(&connection, &bucket, &input.key, &input.upload_id)?;
    let marker = input.part_number_marker.unwrap_or(0);
    let most = convert::page_size(input.max_parts)?;
    let mut parts = uploads::parts(&connection, &upload.id)?;
    parts.retain(|part| part.number > marker);
    let more = parts.len() > most;
    parts.truncate(most);
    let told: Vec<Part> = parts
        .iter()
        .map(|part| {
            let mut told = Part {
                part_number: Some(part.number),
                size: Some(convert::length(part.size)),
                e_tag: convert::etag(&part.etag),
                last_modified: Some(convert::timestamp(part.modified)),
                ..Default::default()
            };
            let checksum = upload.algorithm.clone();
            let checksum = checksum.map(|algorithm| record::Checksum { algorithm, kind: String::new(), value: part.checksum.clone() });
            set_checksums!(told, checksum.as_ref());
            told
        })
        .collect();
    Ok(ListPartsOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(upload.id),
        part_number_marker: Some(marker),
        next_part_number_marker: Some(parts.last().map_or(0, |part| part.number)),
        max_parts: i32::try_from(most).ok(),
        is_truncated: Some(more),
        parts: Some(told),
        owner: Some(convert::owner()),
        storage_class: Some(upload.meta.storage_class.unwrap_or_else(|| "STANDARD".into()).into()),
        checksum_algorithm: upload.algorithm.map(ChecksumAlgorithm::from),
        checksum_type: upload.kind.map(ChecksumType::from),
        ..Default::default()
    })
}

/// ListMultipartUploads: by key, then by time; prefixes are rolled up at the delimiter.
pub fn list_uploads(store: &S3Store, input: ListMultipartUploadsInput) -> S3Result<ListMultipartUploadsOutput> {
    let connection = store.connection();
    let bucket = buckets::find(&connection, &input.bucket)?;
    let encode = convert::wants_encoding(input.encoding_type.as_ref());
    let most = convert::page_size(input.max_uploads)?;
    let page = uploads_page(uploads::all(&connection, &bucket)?, &input, most);
    let prefixes = page.prefixes.iter().map(|text| CommonPrefix { prefix: Some(convert::encoded(text, encode)) });
    Ok(ListMultipartUploadsOutput {
        common_prefixes: Some(prefixes.collect()),
        uploads: Some(page.uploads.into_iter().map(|upload| told_upload(upload, encode)).collect()),
        is_truncated: Some(page.next.is_some()),
        next_key_marker: page.next.as_ref().map(|(key, _)| convert::encoded(key, encode)),
        next_upload_id_marker: page.next.map(|(_, id)| id),
        bucket: Some(input.bucket),
        prefix: Some(convert::encoded(&input.prefix.unwrap_or_default(), encode)),
        delimiter: input.delimiter.map(|delimiter| convert::encoded(&delimiter, encode)),
        key_marker: Some(convert::encoded(&input.key_marker.unwrap_or_default(), encode)),
        upload_id_marker: Some(input.upload_id_marker.unwrap_or_default()),
        max_uploads: i32::try_from(most).ok(),
        encoding_type: input.encoding_type,
        ..Default::default()
    })
}

#[derive(Default)]
struct UploadsPage {
    uploads: Vec<Upload>,
    prefixes: Vec<String>,
    /// Key (or prefix) and upload id of the last entry, where more follow.
    next: Option<(String, String)>,
}

fn uploads_page(mut all: Vec<Upload>, input: &ListMultipartUploadsInput, most: usize) -> UploadsPage {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (prefix, delimiter) = (text(&input.prefix), text(&input.delimiter));
    let (key_marker, id_marker) = (text(&input.key_marker), text(&input.upload_id_marker));
    all.retain(|upload| upload.key.starts_with(&prefix));
    // Behind the marker: a greater key, or the same key behind the upload that the last page ended with.
    let same_key_from = all.iter().position(|upload| upload.key == key_marker && upload.id == id_marker);
    let behind = all.into_iter().enumerate().filter(|(at, upload)| {
        key_marker.is_empty() || upload.key > key_marker || (upload.key == key_marker && same_key_from.is_some_and(|from| *at > from))
    });
    let mut page = UploadsPage::default();
    let mut last = None;
    for (_, upload) in behind {
        let rolled_up = (!delimiter.is_empty()).then(|| upload.key[prefix.len()..].find(&delimiter)).flatten();
        let rolled_up = rolled_up.map(|at| upload.key[..prefix.len() + at + delimiter.len()].to_owned());
        if rolled_up.as_ref().is_some_and(|rolled_up| page.prefixes.last() == Some(rolled_up) || *rolled_up == key_marker) {
            continue;
        }
        if page.uploads.len() + page.prefixes.len() == most {
            page.next = last;
            break;
        }
        last = Some((rolled_up.clone().unwrap_or_else(|| upload.key.clone()), upload.id.clone()));
        match rolled_up {
            Some(rolled_up) => page.prefixes.push(rolled_up),
            None => page.uploads.push(upload),
        }
    }
    page
}

fn told_upload(upload: Upload, encode: bool) -> MultipartUpload {
    MultipartUpload {
        key: Some(convert::encoded(&upload.key, encode)),
        upload_id: Some(upload.id),
        initiated: Some(convert::timestamp(upload.started)),
        initiator: Some(Initiator { display_name: convert::owner().display_name, id: convert::owner().id }),
        owner: Some(convert::owner()),
        storage_class: Some(upload.meta.storage_class.unwrap_or_else(|| "STANDARD".into()).into()),
        checksum_algorithm: upload.algorithm.map(ChecksumAlgorithm::from),
        checksum_type: upload.kind.map(ChecksumType::from),
    }
}
