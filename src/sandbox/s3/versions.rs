//! The rules of versioning: what a write, a delete and a read do to the versions of a key.
//!
//! After the S3 user guide, "How S3 Versioning works": with versioning enabled every write adds a version and a plain delete adds a marker;
//! suspended or never enabled, a write replaces the version `null`.

use rusqlite::{Connection, OptionalExtension, params};
use s3s::dto::ETagCondition;
use s3s::{S3Error, S3ErrorCode, S3Result};

use crate::sandbox::s3::buckets::Bucket;
use crate::sandbox::s3::errors::{internal, locked, no_such_key, no_such_version, precondition_failed};
use crate::sandbox::s3::record::{self, Content, Version};

/// The version id of what was written without versioning.
pub const NULL: &str = "null";

/// What a write or a delete asks of the present state.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    /// The current ETag must be this; `*` is any.
    pub if_match: Option<ETagCondition>,
    /// Nothing may be there (`*`), or nothing with this ETag.
    pub if_none_match: Option<ETagCondition>,
}

impl Conditions {
    /// Checks them against the newest version of a key.
    pub fn check(&self, latest: Option<&Version>) -> S3Result<()> {
        let current = latest.filter(|version| !version.delete_marker);
        if let Some(condition) = &self.if_match {
            let current = current.ok_or_else(no_such_key)?;
            if !matches(condition, &current.content.etag) {
                return Err(precondition_failed());
            }
        }
        if let (Some(condition), Some(current)) = (&self.if_none_match, current)
            && matches(condition, &current.content.etag)
        {
            return Err(precondition_failed());
        }
        Ok(())
    }
}

/// Whether an ETag meets a condition.
pub fn matches(condition: &ETagCondition, etag: &str) -> bool {
    condition.as_etag().is_none_or(|wanted| wanted.value() == etag)
}

/// The newest version of a key, which may be a delete marker.
pub fn latest(connection: &Connection, bucket: &Bucket, key: &str) -> S3Result<Option<Version>> {
    let sql = format!("SELECT {} FROM version WHERE bucket = ?1 AND key = ?2 AND latest = 1", record::COLUMNS);
    let mut statement = connection.prepare_cached(&sql).map_err(internal)?;
    statement.query_row((bucket.id, key.as_bytes()), Version::from_row).optional().map_err(internal)
}

/// One version by its id.
pub fn by_id(connection: &Connection, bucket: &Bucket, key: &str, version_id: &str) -> S3Result<Option<Version>> {
    let sql = format!("SELECT {} FROM version WHERE bucket = ?1 AND key = ?2 AND version_id = ?3", record::COLUMNS);
    let mut statement = connection.prepare_cached(&sql).map_err(internal)?;
    statement.query_row((bucket.id, key.as_bytes(), version_id), Version::from_row).optional().map_err(internal)
}

/// What a read of `key` (of its newest version when no id is given) finds; delete markers give S3's errors.
pub fn read(connection: &Connection, bucket: &Bucket, key: &str, version_id: Option<&str>) -> S3Result<Version> {
    let found = match version_id {
        Some(id) => by_id(connection, bucket, key, id)?.ok_or_else(no_such_version)?,
        None => latest(connection, bucket, key)?.ok_or_else(no_such_key)?,
    };
    if !found.delete_marker {
        return Ok(found);
    }
    let mut error = if version_id.is_some() {
        S3Error::with_message(S3ErrorCode::MethodNotAllowed, "The specified method is not allowed against this resource.")
    } else {
        no_such_key()
    };
    let mut headers = http::HeaderMap::new();
    headers.insert("x-amz-delete-marker", http::HeaderValue::from_static("true"));
    if let Ok(value) = http::HeaderValue::from_str(&found.version_id) {
        headers.insert("x-amz-version-id", value);
    }
    error.set_headers(headers);
    Err(error)
}

/// A new version id. It carries its row, so that a listing can go on behind a version that was deleted meanwhile.
fn new_version_id(id: i64) -> String {
    use base64::Engine;
    let mut bytes = [0u8; 24];
    getrandom::fill(&mut bytes[..16]).expect("the system's random source answers");
    bytes[16..].copy_from_slice(&id.to_be_bytes());
    for index in 16..24 {
        bytes[index] ^= bytes[index - 16];
    }
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// The row that a version id was made for, whether it still exists or not.
pub fn row_of_version_id(version_id: &str) -> Option<i64> {
    use base64::Engine;
    let mut bytes: [u8; 24] = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(version_id).ok()?.try_into().ok()?;
    for index in 16..24 {
        bytes[index] ^= bytes[index - 16];
    }
    Some(i64::from_be_bytes(bytes[16..].try_into().ok()?))
}

/// Whether a text can be a version id at all.
pub fn is_version_id(text: &str) -> bool {
    text == NULL || row_of_version_id(text).is_some()
}

/// Adds a version (`content`) or a delete marker (none) as the newest of `key`, by the bucket's versioning. Tells its version id.
pub fn add(connection: &Connection, bucket: &Bucket, key: &str, content: Option<&Content>, modified: i64) -> S3Result<String> {
    add_row(connection, bucket, key, content, modified).map_err(internal)
}

/// [`add`], for callers with errors of their own.
pub fn add_row(connection: &Connection, bucket: &Bucket, key: &str, content: Option<&Content>, modified: i64) -> rusqlite::Result<String> {
    let sequence = "SELECT COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'version'), 0) + 1";
    let id: i64 = connection.prepare_cached(sequence)?.query_row([], |row| row.get(0))?;
    let version_id = if bucket.versions_are_kept() {
        new_version_id(id)
    } else {
        let replaced = "DELETE FROM version WHERE bucket = ?1 AND key = ?2 AND version_id = ?3";
        connection.prepare_cached(replaced)?.execute((bucket.id, key.as_bytes(), NULL))?;
        NULL.to_owned()
    };
    let older = "UPDATE version SET latest = 0 WHERE bucket = ?1 AND key = ?2 AND latest = 1";
    connection.prepare_cached(older)?.execute((bucket.id, key.as_bytes()))?;
    let nothing = Content::default();
    let written = content.unwrap_or(&nothing);
    let insert = "INSERT INTO version (id, bucket, key, version_id, latest, delete_marker, modified, size, etag, segments, meta)
                  VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6, ?7, ?8, ?9, ?10)";
    connection.prepare_cached(insert)?.execute(params![
        id,
        bucket.id,
        key.as_bytes(),
        version_id,
        content.is_none(),
        modified,
        written.size as i64,
        written.etag,
        record::to_json(&written.segments),
        record::to_json(&written.meta)
    ])?;
    Ok(version_id)
}

/// What a delete did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// The version that was removed, or the marker that was added.
    pub version_id: Option<String>,
    /// Whether that is a delete marker.
    pub delete_marker: bool,
}

/// Deletes a key (adds a marker, or removes `null`) or one version for good. What is not there is no error, as in S3.
pub fn delete(
    connection: &Connection,
    bucket: &Bucket,
    key: &str,
    version_id: Option<&str>,
    bypass_governance: bool,
    now: i64,
) -> S3Result<Deleted> {
    if let Some(version_id) = version_id {
        return delete_version(connection, bucket, key, version_id, bypass_governance, now);
    }
    if bucket.versioning.is_none() {
        let sql = "DELETE FROM version WHERE bucket = ?1 AND key = ?2";
        connection.prepare_cached(sql).and_then(|mut delete| delete.execute((bucket.id, key.as_bytes()))).map_err(internal)?;
        return Ok(Deleted::default());
    }
    let marker = add(connection, bucket, key, None, now)?;
    Ok(Deleted { version_id: Some(marker), delete_marker: true })
}

fn delete_version(
    connection: &Connection,
    bucket: &Bucket,
    key: &str,
    version_id: &str,
    bypass_governance: bool,
    now: i64,
) -> S3Result<Deleted> {
    if !is_version_id(version_id) {
        return Err(crate::sandbox::s3::errors::invalid_argument("Invalid version id specified"));
    }
    let deleted = |delete_marker| Deleted { version_id: bucket.told_version(version_id), delete_marker };
    let Some(found) = by_id(connection, bucket, key, version_id)? else { return Ok(deleted(false)) };
    let meta = &found.content.meta;
    let retained = meta.retention.as_ref().is_some_and(|retention| {
        let may_pass = bypass_governance && retention.mode == "GOVERNANCE";
        retention.until > now && !may_pass
    });
    if retained || meta.legal_hold == Some(true) {
        return Err(locked());
    }
    let remove = || -> rusqlite::Result<()> {
        connection.prepare_cached("DELETE FROM version WHERE id = ?1")?.execute([found.id])?;
        if found.latest {
            let promote = "UPDATE version SET latest = 1 WHERE id = (SELECT MAX(id) FROM version WHERE bucket = ?1 AND key = ?2)";
            connection.prepare_cached(promote)?.execute((bucket.id, key.as_bytes()))?;
        }
        Ok(())
    };
    remove().map_err(internal)?;
    Ok(deleted(found.delete_marker))
}

/// Writes changed metadata (tags, retention, legal hold) of a version back.
pub fn set_meta(connection: &Connection, version: &Version) -> S3Result<()> {
    let mut statement = connection.prepare_cached("UPDATE version SET meta = ?1 WHERE id = ?2").map_err(internal)?;
    statement.execute((record::to_json(&version.content.meta), version.id)).map_err(internal)?;
    Ok(())
}
