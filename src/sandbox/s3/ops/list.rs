//! ListObjects, ListObjectsV2 and ListObjectVersions.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use s3s::dto::*;
use s3s::{S3Response, S3Result};

use crate::sandbox::s3::buckets;
use crate::sandbox::s3::errors::invalid_argument;
use crate::sandbox::s3::interleave;
use crate::sandbox::s3::listing::{self, Page, Query, Start};
use crate::sandbox::s3::ops::convert::{self, encoded};
use crate::sandbox::s3::record::Version;
use crate::sandbox::s3::store::S3Store;

/// ListObjectsV2. The continuation token is the first key of the next page.
pub fn objects_v2(store: &S3Store, input: ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
    let encode = convert::wants_encoding(input.encoding_type.as_ref());
    let query = query(input.prefix.as_ref(), input.delimiter.as_ref(), input.max_keys)?;
    let start = match (&input.continuation_token, &input.start_after) {
        (Some(token), _) => {
            let key = URL_SAFE_NO_PAD.decode(token).map_err(|_| invalid_argument("The continuation token provided is incorrect"))?;
            Start { key, below: None }
        }
        (None, Some(key)) if !key.is_empty() => Start::after(key, &query),
        _ => Start::first(),
    };
    let connection = store.connection();
    let bucket = buckets::find(&connection, &input.bucket)?;
    let page = listing::page(&connection, &bucket, &query, start, false)?;
    let with_owner = input.fetch_owner.unwrap_or(false);
    Ok(ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(encoded(&query.prefix, encode)),
        delimiter: input.delimiter.map(|delimiter| encoded(&delimiter, encode)),
        max_keys: i32::try_from(query.max).ok(),
        key_count: i32::try_from(page.versions.len() + page.prefixes.len()).ok(),
        is_truncated: Some(page.next.is_some()),
        next_continuation_token: page.next.as_ref().map(|start| URL_SAFE_NO_PAD.encode(&start.key)),
        continuation_token: input.continuation_token,
        start_after: input.start_after.map(|key| encoded(&key, encode)),
        encoding_type: input.encoding_type,
        common_prefixes: prefixes(&page, encode),
        contents: Some(page.versions.iter().map(|version| object(version, encode, with_owner)).collect()),
        ..Default::default()
    })
}

/// ListObjects, the first version of the call.
pub fn objects_v1(store: &S3Store, input: ListObjectsInput) -> S3Result<ListObjectsOutput> {
    let encode = convert::wants_encoding(input.encoding_type.as_ref());
    let query = query(input.prefix.as_ref(), input.delimiter.as_ref(), input.max_keys)?;
    let start = input.marker.as_deref().filter(|marker| !marker.is_empty()).map_or_else(Start::first, |key| Start::after(key, &query));
    let connection = store.connection();
    let bucket = buckets::find(&connection, &input.bucket)?;
    let page = listing::page(&connection, &bucket, &query, start, false)?;
    // Without a delimiter S3 leaves NextMarker out: the last key serves.
    let tells_next = page.next.is_some() && input.delimiter.is_some();
    Ok(ListObjectsOutput {
        name: Some(input.bucket),
        prefix: Some(encoded(&query.prefix, encode)),
        delimiter: input.delimiter.map(|delimiter| encoded(&delimiter, encode)),
        marker: Some(encoded(&input.marker.unwrap_or_default(), encode)),
        max_keys: i32::try_from(query.max).ok(),
        is_truncated: Some(page.next.is_some()),
        next_marker: page.last.as_ref().filter(|_| tells_next).map(|last| encoded(last, encode)),
        encoding_type: input.encoding_type,
        common_prefixes: prefixes(&page, encode),
        contents: Some(page.versions.iter().map(|version| object(version, encode, true)).collect()),
        ..Default::default()
    })
}

/// ListObjectVersions: newest first within a key; versions and delete markers in one order, which `interleave` puts on the wire.
pub fn versions(store: &S3Store, input: ListObjectVersionsInput) -> S3Result<S3Response<ListObjectVersionsOutput>> {
    let encode = convert::wants_encoding(input.encoding_type.as_ref());
    let query = query(input.prefix.as_ref(), input.delimiter.as_ref(), input.max_keys)?;
    let connection = store.connection();
    let bucket = buckets::find(&connection, &input.bucket)?;
    let key_marker = input.key_marker.as_deref().filter(|marker| !marker.is_empty());
    let version_marker = input.version_id_marker.as_deref().filter(|marker| !marker.is_empty());
    let start = match (key_marker, version_marker) {
        (None, None) => Start::first(),
        (Some(key), None) => Start::after(key, &query),
        (Some(key), Some(version)) => Start::after_version(&connection, &bucket, key, version)?,
        (None, Some(_)) => return Err(invalid_argument("A version-id marker cannot be specified without a key marker.")),
    };
    let page = listing::page(&connection, &bucket, &query, start, true)?;
    let truncated = page.next.is_some();
    let (markers, versions): (Vec<&Version>, Vec<&Version>) = page.versions.iter().partition(|version| version.delete_marker);
    let output = ListObjectVersionsOutput {
        name: Some(input.bucket),
        prefix: Some(encoded(&query.prefix, encode)),
        delimiter: input.delimiter.map(|delimiter| encoded(&delimiter, encode)),
        key_marker: Some(encoded(&input.key_marker.unwrap_or_default(), encode)),
        version_id_marker: Some(input.version_id_marker.unwrap_or_default()),
        max_keys: i32::try_from(query.max).ok(),
        is_truncated: Some(truncated),
        next_key_marker: page.last.as_ref().filter(|_| truncated).map(|last| encoded(last, encode)),
        next_version_id_marker: page.last_version.clone().filter(|_| truncated),
        encoding_type: input.encoding_type,
        common_prefixes: prefixes(&page, encode),
        delete_markers: Some(markers.into_iter().map(|marker| marker_entry(marker, encode)).collect()),
        versions: Some(versions.into_iter().map(|version| version_entry(version, encode)).collect()),
        ..Default::default()
    };
    let mut response = S3Response::new(output);
    response.headers.extend([interleave::order(&page.versions)]);
    Ok(response)
}

fn query(prefix: Option<&String>, delimiter: Option<&String>, max_keys: Option<i32>) -> S3Result<Query> {
    Ok(Query { prefix: prefix.cloned().unwrap_or_default(), delimiter: delimiter.cloned(), max: convert::page_size(max_keys)? })
}

fn prefixes(page: &Page, encode: bool) -> Option<Vec<CommonPrefix>> {
    let told = page.prefixes.iter().map(|prefix| CommonPrefix { prefix: Some(encoded(prefix, encode)) });
    Some(told.collect())
}

fn storage_class(version: &Version) -> String {
    version.content.meta.storage_class.clone().unwrap_or_else(|| "STANDARD".to_owned())
}

fn object(version: &Version, encode: bool, with_owner: bool) -> Object {
    let checksum = version.content.meta.checksum.as_ref();
    Object {
        key: Some(encoded(&version.key, encode)),
        size: Some(convert::length(version.content.size)),
        e_tag: convert::etag(&version.content.etag),
        last_modified: Some(convert::timestamp(version.modified)),
        storage_class: Some(storage_class(version).into()),
        owner: with_owner.then(convert::owner),
        checksum_algorithm: checksum.map(|checksum| vec![checksum.algorithm.clone().into()]),
        checksum_type: checksum.map(|checksum| checksum.kind.clone().into()),
        ..Default::default()
    }
}

fn version_entry(version: &Version, encode: bool) -> ObjectVersion {
    let checksum = version.content.meta.checksum.as_ref();
    ObjectVersion {
        key: Some(encoded(&version.key, encode)),
        version_id: Some(version.version_id.clone()),
        is_latest: Some(version.latest),
        size: Some(convert::length(version.content.size)),
        e_tag: convert::etag(&version.content.etag),
        last_modified: Some(convert::timestamp(version.modified)),
        storage_class: Some(storage_class(version).into()),
        owner: Some(convert::owner()),
        checksum_algorithm: checksum.map(|checksum| vec![checksum.algorithm.clone().into()]),
        checksum_type: checksum.map(|checksum| checksum.kind.clone().into()),
        ..Default::default()
    }
}

fn marker_entry(version: &Version, encode: bool) -> DeleteMarkerEntry {
    DeleteMarkerEntry {
        key: Some(encoded(&version.key, encode)),
        version_id: Some(version.version_id.clone()),
        is_latest: Some(version.latest),
        last_modified: Some(convert::timestamp(version.modified)),
        owner: Some(convert::owner()),
    }
}
