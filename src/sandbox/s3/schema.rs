//! The tables of the S3 store (SQLite).
//!
//! Keys are stored as BLOBs, so that they sort and are sought by their UTF-8 bytes, as S3 lists them. The order of a key's versions is the
//! order of `id`; `latest` marks the newest, so that a plain listing needs no grouping.

use rusqlite::Connection;

/// Creates what is not there yet.
pub fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(SCHEMA)
}

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS bucket (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    created INTEGER NOT NULL,
    versioning TEXT,
    object_lock INTEGER NOT NULL DEFAULT 0,
    config TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE TABLE IF NOT EXISTS blob (
    hash BLOB PRIMARY KEY,
    inline BLOB
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS version (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    bucket INTEGER NOT NULL REFERENCES bucket (id),
    key BLOB NOT NULL,
    version_id TEXT NOT NULL,
    latest INTEGER NOT NULL,
    delete_marker INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    size INTEGER NOT NULL,
    etag TEXT NOT NULL,
    segments TEXT NOT NULL,
    meta TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS version_by_id ON version (bucket, key, version_id);
CREATE INDEX IF NOT EXISTS version_by_age ON version (bucket, key, id DESC);
CREATE INDEX IF NOT EXISTS version_latest ON version (bucket, key) WHERE latest = 1;
CREATE TABLE IF NOT EXISTS upload (
    id TEXT PRIMARY KEY,
    bucket INTEGER NOT NULL REFERENCES bucket (id),
    key BLOB NOT NULL,
    started INTEGER NOT NULL,
    checksum_algorithm TEXT,
    checksum_type TEXT,
    meta TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS part (
    upload TEXT NOT NULL REFERENCES upload (id),
    number INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    size INTEGER NOT NULL,
    etag TEXT NOT NULL,
    checksum TEXT,
    segments TEXT NOT NULL,
    PRIMARY KEY (upload, number)
) STRICT;
CREATE TABLE IF NOT EXISTS snapshot (
    id TEXT PRIMARY KEY,
    bucket TEXT NOT NULL,
    created INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS snapshot_version (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    snapshot TEXT NOT NULL REFERENCES snapshot (id),
    key BLOB NOT NULL,
    delete_marker INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    size INTEGER NOT NULL,
    etag TEXT NOT NULL,
    segments TEXT NOT NULL,
    meta TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS snapshot_by_key ON snapshot_version (snapshot, key, id);
";
