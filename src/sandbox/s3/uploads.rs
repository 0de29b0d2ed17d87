//! Multipart uploads: rows of uploads and parts until they are completed or aborted.

use rusqlite::{Connection, OptionalExtension, params};
use s3s::S3Result;

use crate::sandbox::s3::buckets::Bucket;
use crate::sandbox::s3::errors::{internal, invalid_argument, no_such_upload};
use crate::sandbox::s3::record::{self, Meta};
use crate::sandbox::s3::segment::Segment;

/// An upload under way.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Its id.
    pub id: String,
    /// The key to be.
    pub key: String,
    /// Seconds since the epoch.
    pub started: i64,
    /// The checksum algorithm that was asked for.
    pub algorithm: Option<String>,
    /// `FULL_OBJECT` or `COMPOSITE`.
    pub kind: Option<String>,
    /// Metadata of the object to be.
    pub meta: Meta,
}

/// A part that has arrived.
#[derive(Clone, Debug)]
pub struct Part {
    /// From 1 to 10,000.
    pub number: i32,
    /// Seconds since the epoch.
    pub modified: i64,
    /// Bytes.
    pub size: u64,
    /// ETag without its quotes.
    pub etag: String,
    /// Checksum in base64, of the upload's algorithm.
    pub checksum: String,
    /// Where the bytes are.
    pub segments: Vec<Segment>,
}

const UPLOAD_COLUMNS: &str = "id, key, started, checksum_algorithm, checksum_type, meta";

impl Upload {
    /// The algorithm of its parts' checksums.
    pub fn part_algorithm(&self) -> &str {
        self.algorithm.as_deref().unwrap_or(crate::sandbox::s3::digests::DEFAULT_ALGORITHM)
    }

    fn from_row(row: &rusqlite::Row) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            key: record::key_of(row, 1)?,
            started: row.get(2)?,
            algorithm: row.get(3)?,
            kind: row.get(4)?,
            meta: record::json(row, 5)?,
        })
    }
}

/// Begins an upload.
pub fn create(connection: &Connection, bucket: &Bucket, upload: &Upload) -> S3Result<()> {
    let sql = "INSERT INTO upload (id, bucket, key, started, checksum_algorithm, checksum_type, meta) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let row =
        params![upload.id, bucket.id, upload.key.as_bytes(), upload.started, upload.algorithm, upload.kind, record::to_json(&upload.meta)];
    connection.execute(sql, row).map_err(internal)?;
    Ok(())
}

/// The upload of that id for that key, or `NoSuchUpload`.
pub fn find(connection: &Connection, bucket: &Bucket, key: &str, id: &str) -> S3Result<Upload> {
    let sql = format!("SELECT {UPLOAD_COLUMNS} FROM upload WHERE id = ?1 AND bucket = ?2 AND key = ?3");
    let mut statement = connection.prepare_cached(&sql).map_err(internal)?;
    let found = statement.query_row((id, bucket.id, key.as_bytes()), Upload::from_row).optional().map_err(internal)?;
    found.ok_or_else(no_such_upload)
}

/// The uploads of a bucket by key, then by time.
pub fn all(connection: &Connection, bucket: &Bucket) -> S3Result<Vec<Upload>> {
    let sql = format!("SELECT {UPLOAD_COLUMNS} FROM upload WHERE bucket = ?1 ORDER BY key, started, id");
    let mut statement = connection.prepare_cached(&sql).map_err(internal)?;
    let rows = statement.query_map([bucket.id], Upload::from_row).map_err(internal)?;
    rows.collect::<Result<_, _>>().map_err(internal)
}

/// Stores a part; one of the same number is replaced.
pub fn put_part(connection: &Connection, upload: &str, part: &Part) -> S3Result<()> {
    let sql = "INSERT OR REPLACE INTO part (upload, number, modified, size, etag, checksum, segments) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let row = params![upload, part.number, part.modified, part.size as i64, part.etag, part.checksum, record::to_json(&part.segments)];
    // The upload may have been aborted while the part came in.
    let known = connection.query_row("SELECT 1 FROM upload WHERE id = ?1", [upload], |_| Ok(())).optional().map_err(internal)?;
    known.ok_or_else(no_such_upload)?;
    connection.execute(sql, row).map_err(internal)?;
    Ok(())
}

/// The parts of an upload by number.
pub fn parts(connection: &Connection, upload: &str) -> S3Result<Vec<Part>> {
    let sql = "SELECT number, modified, size, etag, checksum, segments FROM part WHERE upload = ?1 ORDER BY number";
    let mut statement = connection.prepare_cached(sql).map_err(internal)?;
    let rows = statement.query_map([upload], |row| {
        Ok(Part {
            number: row.get(0)?,
            modified: row.get(1)?,
            size: row.get::<_, i64>(2)? as u64,
            etag: row.get(3)?,
            checksum: row.get(4)?,
            segments: record::json(row, 5)?,
        })
    });
    rows.map_err(internal)?.collect::<Result<_, _>>().map_err(internal)
}

/// Removes an upload and its parts; true when it was there.
pub fn remove(connection: &Connection, upload: &str) -> S3Result<bool> {
    connection.execute("DELETE FROM part WHERE upload = ?1", [upload]).map_err(internal)?;
    Ok(connection.execute("DELETE FROM upload WHERE id = ?1", [upload]).map_err(internal)? > 0)
}

/// Part numbers run from 1 to 10,000.
pub fn check_part_number(number: i32) -> S3Result<()> {
    if (1..=10_000).contains(&number) {
        return Ok(());
    }
    Err(invalid_argument("Part number must be an integer between 1 and 10000, inclusive"))
}
