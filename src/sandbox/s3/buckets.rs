//! Buckets: names, versioning, Object Lock and the small configurations, each kept as JSON under its name.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension};
use s3s::{S3Error, S3ErrorCode, S3Result};
use serde_json::Value;

use crate::sandbox::s3::errors::{internal, no_such_bucket};
use crate::sandbox::s3::record;

/// A bucket.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// Row.
    pub id: i64,
    /// Name.
    pub name: String,
    /// Seconds since the epoch.
    pub created: i64,
    /// `Enabled`, `Suspended`, or nothing where it never was.
    pub versioning: Option<String>,
    /// Whether Object Lock was enabled.
    pub object_lock: bool,
    /// Configurations by name, such as `tagging`.
    pub config: BTreeMap<String, Value>,
}

impl Bucket {
    /// True where new versions get ids of their own.
    pub fn versions_are_kept(&self) -> bool {
        self.versioning.as_deref() == Some("Enabled")
    }

    /// A version id as answers tell it: not at all in a bucket that never had versioning.
    pub fn told_version(&self, version_id: &str) -> Option<String> {
        self.versioning.as_ref().map(|_| version_id.to_owned())
    }

    fn from_row(row: &rusqlite::Row) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            name: row.get(1)?,
            created: row.get(2)?,
            versioning: row.get(3)?,
            object_lock: row.get(4)?,
            config: record::json(row, 5)?,
        })
    }
}

const COLUMNS: &str = "id, name, created, versioning, object_lock, config";

/// The bucket of that name, or `NoSuchBucket`.
pub fn find(connection: &Connection, name: &str) -> S3Result<Bucket> {
    let sql = format!("SELECT {COLUMNS} FROM bucket WHERE name = ?1");
    let mut statement = connection.prepare_cached(&sql).map_err(internal)?;
    statement.query_row([name], Bucket::from_row).optional().map_err(internal)?.ok_or_else(no_such_bucket)
}

/// All buckets by name.
pub fn all(connection: &Connection) -> S3Result<Vec<Bucket>> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM bucket ORDER BY name")).map_err(internal)?;
    let rows = statement.query_map([], Bucket::from_row).map_err(internal)?;
    rows.collect::<Result<_, _>>().map_err(internal)
}

/// Makes a bucket. Object Lock switches versioning on for good, as in S3.
pub fn create(connection: &Connection, name: &str, now: i64, object_lock: bool) -> S3Result<()> {
    let versioning = object_lock.then_some("Enabled");
    let sql = "INSERT OR IGNORE INTO bucket (name, created, versioning, object_lock) VALUES (?1, ?2, ?3, ?4)";
    if connection.execute(sql, (name, now, versioning, object_lock)).map_err(internal)? == 0 {
        let message = "Your previous request to create the named bucket succeeded and you already own it.";
        return Err(S3Error::with_message(S3ErrorCode::BucketAlreadyOwnedByYou, message));
    }
    Ok(())
}

/// Deletes an empty bucket; uploads that were never completed do not keep it.
pub fn delete(connection: &Connection, name: &str) -> S3Result<()> {
    let bucket = find(connection, name)?;
    let used = connection.query_row("SELECT 1 FROM version WHERE bucket = ?1 LIMIT 1", [bucket.id], |_| Ok(()));
    if used.optional().map_err(internal)?.is_some() {
        let message = if bucket.versioning.is_some() {
            "The bucket you tried to delete is not empty. You must delete all versions in the bucket."
        } else {
            "The bucket you tried to delete is not empty"
        };
        return Err(S3Error::with_message(S3ErrorCode::BucketNotEmpty, message));
    }
    let transaction = connection.unchecked_transaction().map_err(internal)?;
    transaction.execute("DELETE FROM part WHERE upload IN (SELECT id FROM upload WHERE bucket = ?1)", [bucket.id]).map_err(internal)?;
    transaction.execute("DELETE FROM upload WHERE bucket = ?1", [bucket.id]).map_err(internal)?;
    transaction.execute("DELETE FROM bucket WHERE id = ?1", [bucket.id]).map_err(internal)?;
    transaction.commit().map_err(internal)
}

/// Sets versioning to `Enabled` or `Suspended`.
pub fn set_versioning(connection: &Connection, bucket: &Bucket, status: &str) -> S3Result<()> {
    if bucket.object_lock && status != "Enabled" {
        let message = "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.";
        return Err(S3Error::with_message(S3ErrorCode::InvalidBucketState, message));
    }
    connection.execute("UPDATE bucket SET versioning = ?1 WHERE id = ?2", (status, bucket.id)).map_err(internal)?;
    Ok(())
}

/// Switches Object Lock on, which cannot be switched off.
pub fn enable_object_lock(connection: &Connection, bucket: &Bucket) -> S3Result<()> {
    connection.execute("UPDATE bucket SET object_lock = 1 WHERE id = ?1", [bucket.id]).map_err(internal)?;
    Ok(())
}

/// Sets a configuration, or removes it.
pub fn set_config(connection: &Connection, bucket: &Bucket, name: &str, value: Option<Value>) -> S3Result<()> {
    let mut config = bucket.config.clone();
    match value {
        Some(value) => config.insert(name.to_owned(), value),
        None => config.remove(name),
    };
    connection.execute("UPDATE bucket SET config = ?1 WHERE id = ?2", (record::to_json(&config), bucket.id)).map_err(internal)?;
    Ok(())
}
