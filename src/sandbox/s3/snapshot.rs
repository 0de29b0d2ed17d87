//! Snapshots of a bucket, for the stand-in AWS Backup: every version and delete marker with its metadata and tags, kept until deleted.
//!
//! A restore writes them into another bucket as new versions, oldest first: new version ids, LastModified of the restore, as AWS Backup
//! does (AWS Backup developer guide, "Restoring Amazon S3 data"). Damage can be planted in a snapshot; ETag and checksums stay as they
//! were, so that the server lies the way a damaged copy does.

use rusqlite::{Connection, OptionalExtension};

use crate::model::clock::Timestamp;
use crate::model::failure::{Failure, FailureKind};
use crate::sandbox::s3::blobs::{Incoming, Outgoing};
use crate::sandbox::s3::buckets::{self, Bucket};
use crate::sandbox::s3::record::{self, Content};
use crate::sandbox::s3::segment::{Segment, slice};
use crate::sandbox::s3::store::{S3Store, broken};
use crate::sandbox::s3::{digests, versions};

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

/// A version of a snapshot: its row and what it holds.
struct Kept {
    row: i64,
    key: String,
    delete_marker: bool,
    content: Content,
}

impl S3Store {
    /// Takes a snapshot of `bucket`: contents are shared, so it costs a row a version. Blocks for a few milliseconds a thousand versions.
    pub fn snapshot(&self, bucket: &str) -> Result<SnapshotId, Failure> {
        let connection = self.connection();
        let source = bucket_of(&connection, bucket)?;
        let id = SnapshotId(crate::sandbox::wire::request_id());
        let take = || -> rusqlite::Result<()> {
            let transaction = connection.unchecked_transaction()?;
            let now = Timestamp::now().as_secs();
            transaction.execute("INSERT INTO snapshot (id, bucket, created) VALUES (?1, ?2, ?3)", (&id.0, bucket, now))?;
            let copy = "INSERT INTO snapshot_version (snapshot, key, delete_marker, modified, size, etag, segments, meta)
                        SELECT ?1, key, delete_marker, modified, size, etag, segments, meta FROM version WHERE bucket = ?2 ORDER BY id";
            transaction.execute(copy, (&id.0, source.id))?;
            transaction.commit()
        };
        take().map_err(broken)?;
        Ok(id)
    }

    /// What a snapshot holds.
    pub fn snapshot_size(&self, snapshot: &SnapshotId) -> Result<SnapshotSize, Failure> {
        let connection = self.connection();
        must_exist(&connection, snapshot)?;
        let sql = "SELECT COUNT(*), COALESCE(SUM(size), 0) FROM snapshot_version WHERE snapshot = ?1 AND delete_marker = 0";
        let size = connection.query_row(sql, [&snapshot.0], |row| {
            Ok(SnapshotSize { versions: row.get::<_, i64>(0)? as u64, bytes: row.get::<_, i64>(1)? as u64 })
        });
        size.map_err(broken)
    }

    /// Writes a snapshot into `target`, an existing bucket, as new versions. Blocks for a few milliseconds a thousand versions.
    ///
    /// Object Lock retention and legal holds stay behind: a restored copy must be removable.
    pub fn restore(&self, snapshot: &SnapshotId, target: &str, versions: Versions) -> Result<RestoreStats, Failure> {
        self.restore_until(snapshot, target, versions, i64::MAX)
    }

    /// [`S3Store::restore`] of what had been written when the second `until` (of 1970) was over.
    pub fn restore_until(&self, snapshot: &SnapshotId, target: &str, versions: Versions, until: i64) -> Result<RestoreStats, Failure> {
        let connection = self.connection();
        must_exist(&connection, snapshot)?;
        let bucket = bucket_of(&connection, target)?;
        let mut stats = RestoreStats::default();
        let mut write = || -> rusqlite::Result<()> {
            let transaction = connection.unchecked_transaction()?;
            let now = Timestamp::now().as_secs();
            let sql = "SELECT id, key, delete_marker, size, etag, segments, meta FROM snapshot_version
                       WHERE snapshot = ?1 AND modified <= ?2 ORDER BY key, id";
            let mut statement = transaction.prepare(sql)?;
            let mut rows = statement.query((&snapshot.0, until))?;
            let mut of_key: Vec<Kept> = Vec::new();
            loop {
                let next = rows.next()?.map(Kept::from_row).transpose()?;
                if next.as_ref().is_none_or(|next| of_key.first().is_some_and(|first| first.key != next.key)) {
                    for kept in chosen(&of_key, versions) {
                        stats.count(kept);
                        let content = restored(kept);
                        versions::add_row(&transaction, &bucket, &kept.key, content.as_ref(), now)?;
                    }
                    of_key.clear();
                }
                let Some(next) = next else { break };
                of_key.push(next);
            }
            drop(rows);
            drop(statement);
            transaction.commit()
        };
        write().map_err(broken)?;
        Ok(stats)
    }

    /// Forgets a snapshot; one that is not there is no error.
    pub fn delete_snapshot(&self, snapshot: &SnapshotId) -> Result<(), Failure> {
        let connection = self.connection();
        let delete = || -> rusqlite::Result<()> {
            let transaction = connection.unchecked_transaction()?;
            transaction.execute("DELETE FROM snapshot_version WHERE snapshot = ?1", [&snapshot.0])?;
            transaction.execute("DELETE FROM snapshot WHERE id = ?1", [&snapshot.0])?;
            transaction.commit()
        };
        delete().map_err(broken)
    }

    /// Damages a snapshot; the bucket it was taken of stays whole. Reads the damaged content whole, and blocks for as long.
    pub fn plant(&self, snapshot: &SnapshotId, damage: &Damage) -> Result<(), Failure> {
        must_exist(&self.connection(), snapshot)?;
        match damage {
            Damage::FlipByte { key, seq, offset } => {
                let mut kept = self.kept(snapshot, key, *seq)?;
                if *offset >= kept.content.size {
                    let size = kept.content.size;
                    return Err(Failure::invalid(format!("cannot flip byte {offset} of `{key}` version {seq}: it has {size} bytes")));
                }
                kept.content.segments = self.with_flipped_byte(&kept.content.segments, *offset)?;
                self.rewrite(&kept)
            }
            Damage::Truncate { key, seq, length } => {
                let mut kept = self.kept(snapshot, key, *seq)?;
                kept.content.segments = slice(&kept.content.segments, 0, *length);
                kept.content.size = kept.content.segments.iter().map(|segment| segment.length).sum();
                self.rewrite(&kept)
            }
            Damage::RemoveVersion { key, seq } => {
                let kept = self.kept(snapshot, key, *seq)?;
                self.connection().execute("DELETE FROM snapshot_version WHERE id = ?1", [kept.row]).map_err(broken)?;
                Ok(())
            }
            Damage::RemoveKey { key } => {
                let sql = "DELETE FROM snapshot_version WHERE snapshot = ?1 AND key = ?2";
                match self.connection().execute(sql, (&snapshot.0, key.as_bytes())).map_err(broken)? {
                    0 => Err(Failure::new(FailureKind::Absent, format!("the snapshot has no key `{key}` to remove"))),
                    _ => Ok(()),
                }
            }
            Damage::AddObject { key, bytes } => self.add_to_snapshot(snapshot, key, bytes),
        }
    }

    fn with_flipped_byte(&self, segments: &[Segment], offset: u64) -> Result<Vec<Segment>, Failure> {
        let failed = |error| Failure::io("cannot write a damaged content", error);
        let size = segments.iter().map(|segment| segment.length).sum();
        let mut incoming = Incoming::new(self, digests::DEFAULT_ALGORITHM);
        let mut at = 0;
        // Only the segment that the byte lies in is written anew.
        let (start, end) = segment_around(segments, offset);
        let outgoing = Outgoing::open(self, &slice(segments, start, end)).map_err(failed)?;
        let written = outgoing.for_each(|bytes| {
            let mut bytes = bytes.to_vec();
            if let Some(byte) = usize::try_from(offset - start).ok().and_then(|index| bytes.get_mut(index.wrapping_sub(at))) {
                *byte ^= 1;
            }
            at += bytes.len();
            incoming.write(&bytes)
        });
        written.map_err(failed)?;
        let (_, middle) = incoming.finish().map_err(failed)?;
        Ok([slice(segments, 0, start), middle, slice(segments, end, size)].concat())
    }

    fn kept(&self, snapshot: &SnapshotId, key: &str, seq: u32) -> Result<Kept, Failure> {
        let connection = self.connection();
        let sql = "SELECT id, key, delete_marker, size, etag, segments, meta FROM snapshot_version
                   WHERE snapshot = ?1 AND key = ?2 ORDER BY id LIMIT 1 OFFSET ?3";
        let found = connection.query_row(sql, (&snapshot.0, key.as_bytes(), seq), Kept::from_row).optional().map_err(broken)?;
        found.ok_or_else(|| Failure::new(FailureKind::Absent, format!("the snapshot has no version {seq} of `{key}`")))
    }

    fn rewrite(&self, kept: &Kept) -> Result<(), Failure> {
        let sql = "UPDATE snapshot_version SET segments = ?1, size = ?2 WHERE id = ?3";
        let changed = (record::to_json(&kept.content.segments), kept.content.size as i64, kept.row);
        self.connection().execute(sql, changed).map_err(broken)?;
        Ok(())
    }

    fn add_to_snapshot(&self, snapshot: &SnapshotId, key: &str, bytes: &[u8]) -> Result<(), Failure> {
        let failed = |error| Failure::io("cannot write a planted object", error);
        let mut incoming = Incoming::new(self, digests::DEFAULT_ALGORITHM);
        incoming.write(bytes).map_err(failed)?;
        let (digested, segments) = incoming.finish().map_err(failed)?;
        let checksum =
            record::Checksum { algorithm: digests::DEFAULT_ALGORITHM.into(), kind: "FULL_OBJECT".into(), value: digested.checksum };
        let meta = record::Meta { content_type: Some("binary/octet-stream".into()), checksum: Some(checksum), ..Default::default() };
        let sql = "INSERT INTO snapshot_version (snapshot, key, delete_marker, modified, size, etag, segments, meta)
                   VALUES (?1, ?2, 0, ?3, ?4, ?5, ?6, ?7)";
        let row = rusqlite::params![
            snapshot.0,
            key.as_bytes(),
            Timestamp::now().as_secs(),
            digested.size as i64,
            hex::encode(digested.md5),
            record::to_json(&segments),
            record::to_json(&meta)
        ];
        self.connection().execute(sql, row).map_err(broken)?;
        Ok(())
    }
}

impl Kept {
    fn from_row(row: &rusqlite::Row) -> rusqlite::Result<Self> {
        Ok(Self {
            row: row.get(0)?,
            key: record::key_of(row, 1)?,
            delete_marker: row.get(2)?,
            content: Content {
                size: row.get::<_, i64>(3)? as u64,
                etag: row.get(4)?,
                segments: record::json(row, 5)?,
                meta: record::json(row, 6)?,
            },
        })
    }
}

impl RestoreStats {
    fn count(&mut self, kept: &Kept) {
        if kept.delete_marker {
            self.delete_markers += 1;
        } else {
            self.versions += 1;
            self.bytes += kept.content.size;
        }
    }
}

/// What is restored of one key's versions (oldest first), oldest first.
fn chosen(of_key: &[Kept], versions: Versions) -> &[Kept] {
    match versions {
        Versions::All => of_key,
        Versions::UpTo(count) => &of_key[of_key.len().saturating_sub(count as usize)..],
        Versions::Latest if of_key.last().is_some_and(|newest| newest.delete_marker) => &[],
        Versions::Latest => &of_key[of_key.len().saturating_sub(1)..],
    }
}

/// The content as it is restored; a delete marker has none.
fn restored(kept: &Kept) -> Option<Content> {
    let mut content = (!kept.delete_marker).then(|| kept.content.clone())?;
    content.meta.retention = None;
    content.meta.legal_hold = None;
    Some(content)
}

/// Start and end of the segment that the byte at `offset` lies in.
fn segment_around(segments: &[Segment], offset: u64) -> (u64, u64) {
    let mut start = 0;
    for segment in segments {
        if offset < start + segment.length {
            return (start, start + segment.length);
        }
        start += segment.length;
    }
    (start, start)
}

fn bucket_of(connection: &Connection, name: &str) -> Result<Bucket, Failure> {
    buckets::find(connection, name).map_err(|error| {
        let said = error.message().unwrap_or("no message").to_owned();
        let kind = if *error.code() == s3s::S3ErrorCode::NoSuchBucket { FailureKind::Absent } else { FailureKind::Disk };
        Failure::new(kind, format!("bucket `{name}` of the sandbox: {said}"))
    })
}

fn must_exist(connection: &Connection, snapshot: &SnapshotId) -> Result<(), Failure> {
    let found = connection.query_row("SELECT 1 FROM snapshot WHERE id = ?1", [&snapshot.0], |_| Ok(())).optional().map_err(broken)?;
    found.ok_or_else(|| Failure::new(FailureKind::Absent, format!("the sandbox has no S3 snapshot {}", snapshot.0)))
}
