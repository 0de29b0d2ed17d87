//! One version of an object as the store keeps it: a row with its metadata as JSON.

use std::collections::BTreeMap;

use rusqlite::Row;
use serde::{Deserialize, Serialize};

use crate::sandbox::s3::segment::Segment;

/// A version or a delete marker.
#[derive(Clone, Debug)]
pub struct Version {
    /// Orders the versions of a key: larger is newer.
    pub id: i64,
    /// The key.
    pub key: String,
    /// S3's version id; `null` for one written while versioning was off or suspended.
    pub version_id: String,
    /// True for the newest of its key.
    pub latest: bool,
    /// True for a delete marker, which has no content.
    pub delete_marker: bool,
    /// Seconds since the epoch: S3 tells LastModified to the second.
    pub modified: i64,
    /// What is written with the content.
    pub content: Content,
}

/// What a write puts under a key.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// Bytes.
    pub size: u64,
    /// ETag without its quotes.
    pub etag: String,
    /// Where the bytes are.
    pub segments: Vec<Segment>,
    /// Everything else.
    pub meta: Meta,
}

/// Metadata, tags, checksums and locks of a version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Meta {
    /// Content-Type.
    pub content_type: Option<String>,
    /// Content-Encoding.
    pub content_encoding: Option<String>,
    /// Content-Language.
    pub content_language: Option<String>,
    /// Content-Disposition.
    pub content_disposition: Option<String>,
    /// Cache-Control.
    pub cache_control: Option<String>,
    /// Expires, in seconds since the epoch.
    pub expires: Option<i64>,
    /// x-amz-website-redirect-location.
    pub website_redirect: Option<String>,
    /// x-amz-meta-*.
    pub user: BTreeMap<String, String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Storage class; `STANDARD` when absent.
    pub storage_class: Option<String>,
    /// The one checksum that S3 keeps.
    pub checksum: Option<Checksum>,
    /// The parts of a multipart upload.
    pub parts: Vec<PartMeta>,
    /// Object Lock retention.
    pub retention: Option<Retention>,
    /// Object Lock legal hold; absent when it was never set.
    pub legal_hold: Option<bool>,
    /// Server-side encryption; SSE-S3 when absent.
    pub encryption: Option<Encryption>,
    /// A copy out of an archived storage class.
    pub restoring: Option<Restoring>,
    /// x-amz-replication-status.
    pub replication: Option<String>,
}

/// Server-side encryption of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encryption {
    /// `AES256`, `aws:kms`, `aws:kms:dsse` or `SSE-C`.
    pub mode: String,
    /// The KMS key's ARN; of SSE-C the MD5 of the key in base64.
    pub key: Option<String>,
}

impl Default for Encryption {
    fn default() -> Self {
        Self { mode: "AES256".into(), key: None }
    }
}

/// A readable copy of an archived version, there or on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restoring {
    /// From when it can be read; seconds since the epoch.
    pub ready: i64,
    /// Until when it is kept; seconds since the epoch.
    pub until: i64,
}

/// A checksum in S3's terms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checksum {
    /// `CRC32`, `CRC32C`, `CRC64NVME`, `SHA1` or `SHA256`.
    pub algorithm: String,
    /// `FULL_OBJECT` or `COMPOSITE`.
    pub kind: String,
    /// Base64, with `-N` after it where it is composite.
    pub value: String,
}

/// One part of a completed multipart upload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartMeta {
    /// Its number, from 1.
    pub number: i32,
    /// Bytes.
    pub size: u64,
    /// Its checksum in base64, of the object's algorithm.
    pub checksum: Option<String>,
}

/// Object Lock retention of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// `GOVERNANCE` or `COMPLIANCE`.
    pub mode: String,
    /// Seconds since the epoch.
    pub until: i64,
}

/// The columns that [`Version::from_row`] reads, in its order.
pub const COLUMNS: &str = "id, key, version_id, latest, delete_marker, modified, size, etag, segments, meta";

impl Version {
    /// From a row of [`COLUMNS`].
    pub fn from_row(row: &Row) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            key: key_of(row, 1)?,
            version_id: row.get(2)?,
            latest: row.get(3)?,
            delete_marker: row.get(4)?,
            modified: row.get(5)?,
            content: Content { size: row.get::<_, i64>(6)? as u64, etag: row.get(7)?, segments: json(row, 8)?, meta: json(row, 9)? },
        })
    }
}

/// A key out of its BLOB column.
pub fn key_of(row: &Row, column: usize) -> rusqlite::Result<String> {
    String::from_utf8(row.get(column)?).map_err(|error| unreadable(column, error))
}

/// A JSON column.
pub fn json<T: serde::de::DeserializeOwned>(row: &Row, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(column)?.as_str()?).map_err(|error| unreadable(column, error))
}

/// JSON for a column; these types always have one.
pub fn to_json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("plain data serialises")
}

fn unreadable(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
}
