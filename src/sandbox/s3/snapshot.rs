//! Snapshots of a bucket, for the stand-in AWS Backup: every version and delete marker with its metadata and tags, kept until deleted.
//!
//! A restore writes them into another bucket as new versions, oldest first: new version ids, LastModified of the restore, as AWS Backup
//! does (AWS Backup developer guide, "Restoring Amazon S3 data"). Damage can be planted in a snapshot; ETag and checksums stay as they
//! were, so that the server lies the way a damaged copy does.

use crate::model::failure::Failure;
use crate::sandbox::s3::store::S3Store;

/// Names a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct SnapshotId(pub String);

/// How many versions of each key a restore brings back (`RestoreLatestVersionsUpTo`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versions {
    /// The newest only; a key whose newest is a delete marker is left out.
    Latest,
    /// At most this many of the newest, delete markers counted.
    UpTo(u32),
    /// All of them.
    All,
}

/// What a restore wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RestoreStats {
    /// Object versions.
    pub versions: u64,
    /// Delete markers.
    pub delete_markers: u64,
    /// Bytes of the object versions.
    pub bytes: u64,
}

/// How much a snapshot holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotSize {
    /// Object versions, without delete markers.
    pub versions: u64,
    /// Bytes of all object versions.
    pub bytes: u64,
}

/// One planted damage; `seq` counts the versions of a key from 0, the oldest, delete markers included.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "damage", rename_all = "snake_case", deny_unknown_fields)]
pub enum Damage {
    /// One bit of the byte at `offset` is flipped.
    FlipByte { key: String, seq: u32, offset: u64 },
    /// Every version of the key is gone.
    RemoveKey { key: String },
    /// One version is gone.
    RemoveVersion { key: String, seq: u32 },
    /// A key that was never there.
    AddObject { key: String, bytes: Vec<u8> },
    /// The content ends after `length` bytes; the ETag stays that of the whole.
    Truncate { key: String, seq: u32, length: u64 },
}

impl S3Store {
    /// Takes a snapshot of `bucket`: contents are shared, so it costs a row a version. Blocks for a few milliseconds a thousand versions.
    pub fn snapshot(&self, bucket: &str) -> Result<SnapshotId, Failure> {
        let _ = bucket;
        Err(Failure::invalid("snapshots are not there yet"))
    }

    /// What a snapshot holds.
    pub fn snapshot_size(&self, snapshot: &SnapshotId) -> Result<SnapshotSize, Failure> {
        let _ = snapshot;
        Err(Failure::invalid("snapshots are not there yet"))
    }

    /// Writes a snapshot into `target`, an existing bucket, as new versions. Blocks for a few milliseconds a thousand versions.
    pub fn restore(&self, snapshot: &SnapshotId, target: &str, versions: Versions) -> Result<RestoreStats, Failure> {
        let _ = (snapshot, target, versions);
        Err(Failure::invalid("snapshots are not there yet"))
    }

    /// Forgets a snapshot; one that is not there is no error.
    pub fn delete_snapshot(&self, snapshot: &SnapshotId) -> Result<(), Failure> {
        let _ = snapshot;
        Err(Failure::invalid("snapshots are not there yet"))
    }

    /// Damages a snapshot; the bucket it was taken of stays whole.
    pub fn plant(&self, snapshot: &SnapshotId, damage: &Damage) -> Result<(), Failure> {
        let _ = (snapshot, damage);
        Err(Failure::invalid("snapshots are not there yet"))
    }
}
