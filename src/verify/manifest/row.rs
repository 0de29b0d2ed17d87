//! The rows of manifests: their order, their columns, and the canonical JSON that the root is made of.

use std::cmp::Ordering;

use crate::model::clock::Timestamp;
use crate::model::digest::Digest32;
use crate::model::failure::Failure;
use crate::verify::manifest::columns::{Cell, Cells, ColumnKind, ColumnSpec};
use crate::verify::manifest::leaf_json::Members;
use crate::verify::objects::evidence::Evidence;
use crate::verify::objects::source::{EntryKind, S3Checksum};

/// A kind of row that parts hold.
pub trait Row: Sized + Send + 'static {
    /// What the names of its parts start with: `part`, `sidecar` or `names`.
    const PREFIX: &'static str;
    /// True where two rows may be equal in the order.
    const DUPLICATES: bool;
    /// True where many rows in a row have the same key.
    const KEYS_REPEAT: bool = false;
    /// Its columns, in file order; the first is the key.
    const COLUMNS: &'static [ColumnSpec];

    /// The key, whose bytes come first in the order.
    fn key(&self) -> &str;
    /// The order of parts.
    fn order(&self, other: &Self) -> Ordering;
    /// The cells in the order of `COLUMNS`.
    fn write(&self, put: &mut dyn FnMut(Cell<'_>));
    /// A row from the cells of one line; says what is wrong with it otherwise.
    fn read(cells: &mut Cells<'_>) -> Result<Self, String>;
    /// RFC 8785 JSON of the row without nulls, digests in hex: the leaf of the root.
    fn leaf(&self, out: &mut Vec<u8>);
    /// Refuses values that the format has no place for.
    fn check(&self) -> Result<(), Failure> {
        Ok(())
    }
}

/// The largest integer that canonical JSON holds (RFC 8785, IEEE 754 doubles).
const MAX_INTEGER: u64 = (1 << 53) - 1;

/// One object, object version, delete marker, file or symbolic link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ObjectRow {
    /// The key or path.
    pub key: String,
    /// True where `key` spells a path that is not UTF-8 with `%XX`.
    pub key_escaped: bool,
    /// 0 is the oldest version.
    pub seq: u32,
    /// The version id, in a bucket that has versions.
    pub version_id: Option<String>,
    /// What it is.
    pub kind: EntryKind,
    /// In bytes; [`UNKNOWN_SIZE`] where an imported list does not say (a null in parts, no member in leaves).
    pub size: u64,
    /// When it was last changed, as the source states it.
    pub modified: Option<Timestamp>,
    /// BLAKE3 of the content (of a link: of its target).
    pub blake3: Option<Digest32>,
    /// SHA-256 of the content (of a link: of its target).
    pub sha256: Option<Digest32>,
    /// The checksum that S3 keeps.
    pub s3_checksum: Option<S3Checksum>,
    /// What the source says beside the bytes; nothing, where it says nothing at all.
    pub evidence: Option<Box<Evidence>>,
    /// When the content was last read, where it was not read for this manifest but carried over from an earlier one.
    pub last_read: Option<Timestamp>,
}

/// The size of a row whose size nobody stated: larger than any that a manifest has room for, so it equals no real one.
pub const UNKNOWN_SIZE: u64 = u64::MAX;

impl ObjectRow {
    /// An object of `size` bytes of which nothing else is known.
    pub fn object(key: impl Into<String>, size: u64) -> Self {
        Self {
            key: key.into(),
            key_escaped: false,
            seq: 0,
            version_id: None,
            kind: EntryKind::Object,
            size,
            modified: None,
            blake3: None,
            sha256: None,
            s3_checksum: None,
            evidence: None,
            last_read: None,
        }
    }

    /// The size, where it was stated.
    pub fn known_size(&self) -> Option<u64> {
        (self.size != UNKNOWN_SIZE).then_some(self.size)
    }

    /// True where the row says nothing of the content: it could not be read at capture.
    pub fn is_undigested(&self) -> bool {
        self.kind != EntryKind::DeleteMarker && self.blake3.is_none() && self.sha256.is_none()
    }
}

const fn column(name: &'static str, kind: ColumnKind, optional: bool) -> ColumnSpec {
    ColumnSpec { name, kind, optional }
}

impl Row for ObjectRow {
    const PREFIX: &'static str = "part";
    const DUPLICATES: bool = false;
    const COLUMNS: &'static [ColumnSpec] = &[
        column("key", ColumnKind::Key, false),
        column("key_escaped", ColumnKind::Bool, true),
        column("seq", ColumnKind::Int, false),
        column("version_id", ColumnKind::Text, true),
        column("kind", ColumnKind::Text, false),
        column("size", ColumnKind::Int, true),
        column("modified_micros", ColumnKind::Int, true),
        column("blake3", ColumnKind::Fixed(32), true),
        column("sha256", ColumnKind::Fixed(32), true),
        column("s3_checksum_algorithm", ColumnKind::Text, true),
        column("s3_checksum_type", ColumnKind::Text, true),
        column("s3_checksum_value", ColumnKind::Text, true),
        column("etag", ColumnKind::Text, true),
        column("storage_class", ColumnKind::Text, true),
        column("metadata_sha256", ColumnKind::Fixed(32), true),
        column("tags_sha256", ColumnKind::Fixed(32), true),
        column("lock_mode", ColumnKind::Text, true),
        column("lock_until_micros", ColumnKind::Int, true),
        column("legal_hold", ColumnKind::Bool, true),
        column("encryption", ColumnKind::Text, true),
        column("encryption_key", ColumnKind::Text, true),
        column("replication_status", ColumnKind::Text, true),
        column("last_read_micros", ColumnKind::Int, true),
    ];

    fn key(&self) -> &str {
        &self.key
    }

    fn order(&self, other: &Self) -> Ordering {
        // A path that is not UTF-8 may spell like one that is: the flag tells them apart.
        self.key.as_bytes().cmp(other.key.as_bytes()).then(self.key_escaped.cmp(&other.key_escaped)).then(self.seq.cmp(&other.seq))
    }

    fn write(&self, put: &mut dyn FnMut(Cell<'_>)) {
        let checksum = self.s3_checksum.as_ref();
        put(Cell::Text(&self.key));
        put(if self.key_escaped { Cell::Bool(true) } else { Cell::Null });
        put(Cell::Int(i64::from(self.seq)));
        put(Cell::text(self.version_id.as_deref()));
        put(Cell::Text(self.kind.as_str()));
        put(self.known_size().map_or(Cell::Null, |size| Cell::Int(size as i64)));
        put(self.modified.map_or(Cell::Null, |time| Cell::Int(time.0)));
        put(Cell::fixed(self.blake3.as_ref().map(|digest| digest.0.as_slice())));
        put(Cell::fixed(self.sha256.as_ref().map(|digest| digest.0.as_slice())));
        put(Cell::text(checksum.map(|checksum| checksum.algorithm.as_str())));
        put(Cell::text(checksum.map(|checksum| checksum.kind.as_str())));
        put(Cell::text(checksum.map(|checksum| checksum.value.as_str())));
        let evidence = self.evidence.as_deref();
        put(Cell::text(evidence.and_then(|evidence| evidence.etag.as_deref())));
        put(Cell::text(evidence.and_then(|evidence| evidence.storage_class.as_deref())));
        put(Cell::fixed(evidence.and_then(|evidence| evidence.metadata.as_ref()).map(|digest| digest.0.as_slice())));
        put(Cell::fixed(evidence.and_then(|evidence| evidence.tags.as_ref()).map(|digest| digest.0.as_slice())));
        put(Cell::text(evidence.and_then(|evidence| evidence.lock_mode.as_deref())));
        put(evidence.and_then(|evidence| evidence.lock_until).map_or(Cell::Null, |time| Cell::Int(time.0)));
        put(evidence.and_then(|evidence| evidence.legal_hold).map_or(Cell::Null, Cell::Bool));
        put(Cell::text(evidence.and_then(|evidence| evidence.encryption.as_deref())));
        put(Cell::text(evidence.and_then(|evidence| evidence.encryption_key.as_deref())));
        put(Cell::text(evidence.and_then(|evidence| evidence.replication.as_deref())));
        put(self.last_read.map_or(Cell::Null, |time| Cell::Int(time.0)));
    }

    fn read(cells: &mut Cells<'_>) -> Result<Self, String> {
        let key = cells.text()?.ok_or("no key")?;
        let key_escaped = cells.bool()?.unwrap_or(false);
        let seq = cells.int()?.and_then(|n| u32::try_from(n).ok()).ok_or("seq is not a version's number")?;
        let version_id = cells.text()?;
        let kind = cells.text_ref()?.unwrap_or_default();
        let kind = EntryKind::of_text(kind).ok_or_else(|| format!("unknown kind `{}`", kind.escape_default()))?;
        let size = match cells.int()? {
            Some(size) => u64::try_from(size).map_err(|_| "size is not a size")?,
            None => UNKNOWN_SIZE,
        };
        let modified = cells.int()?.map(Timestamp);
        let blake3 = cells.fixed::<32>()?.map(Digest32);
        let sha256 = cells.fixed::<32>()?.map(Digest32);
        let s3_checksum = match (cells.text()?, cells.text()?, cells.text()?) {
            (Some(algorithm), Some(kind), Some(value)) => Some(S3Checksum { algorithm, kind, value }),
            (None, None, None) => None,
            _ => return Err("a checksum without its algorithm, type or value".into()),
        };
        let evidence = Evidence {
            etag: cells.text()?,
            storage_class: cells.text()?,
            metadata: cells.fixed::<32>()?.map(Digest32),
            tags: cells.fixed::<32>()?.map(Digest32),
            lock_mode: cells.text()?,
            lock_until: cells.int()?.map(Timestamp),
            legal_hold: cells.bool()?,
            encryption: cells.text()?,
            encryption_key: cells.text()?,
            replication: cells.text()?,
        };
        let last_read = cells.int()?.map(Timestamp);
        let evidence = (evidence != Evidence::default()).then(|| Box::new(evidence));
        Ok(Self { key, key_escaped, seq, version_id, kind, size, modified, blake3, sha256, s3_checksum, evidence, last_read })
    }

    fn leaf(&self, out: &mut Vec<u8>) {
        // The members in the order of RFC 8785 §3.2.3, which for these names is that of their bytes.
        let mut json = Members::open(out);
        let evidence = self.evidence.as_deref();
        json.hex("blake3", self.blake3.as_ref().map(|digest| digest.0.as_slice()));
        json.text("encryption", evidence.and_then(|evidence| evidence.encryption.as_deref()));
        json.text("encryption_key", evidence.and_then(|evidence| evidence.encryption_key.as_deref()));
        json.text("etag", evidence.and_then(|evidence| evidence.etag.as_deref()));
        json.text("key", Some(&self.key));
        if self.key_escaped {
            json.raw("key_escaped", "true");
        }
        json.text("kind", Some(self.kind.as_str()));
        json.int("last_read_micros", self.last_read.map(|time| time.0));
        if let Some(on) = evidence.and_then(|evidence| evidence.legal_hold) {
            json.raw("legal_hold", if on { "true" } else { "false" });
        }
        json.text("lock_mode", evidence.and_then(|evidence| evidence.lock_mode.as_deref()));
        json.int("lock_until_micros", evidence.and_then(|evidence| evidence.lock_until).map(|time| time.0));
        json.hex("metadata_sha256", evidence.and_then(|evidence| evidence.metadata.as_ref()).map(|digest| digest.0.as_slice()));
        json.int("modified_micros", self.modified.map(|time| time.0));
        json.text("replication_status", evidence.and_then(|evidence| evidence.replication.as_deref()));
        json.text("s3_checksum_algorithm", self.s3_checksum.as_ref().map(|checksum| checksum.algorithm.as_str()));
        json.text("s3_checksum_type", self.s3_checksum.as_ref().map(|checksum| checksum.kind.as_str()));
        json.text("s3_checksum_value", self.s3_checksum.as_ref().map(|checksum| checksum.value.as_str()));
        json.int("seq", Some(i64::from(self.seq)));
        json.hex("sha256", self.sha256.as_ref().map(|digest| digest.0.as_slice()));
        json.int("size", self.known_size().map(|size| size as i64));
        json.text("storage_class", evidence.and_then(|evidence| evidence.storage_class.as_deref()));
        json.hex("tags_sha256", evidence.and_then(|evidence| evidence.tags.as_ref()).map(|digest| digest.0.as_slice()));
        json.text("version_id", self.version_id.as_deref());
        json.close();
    }

    fn check(&self) -> Result<(), Failure> {
        let until = self.evidence.as_ref().and_then(|evidence| evidence.lock_until);
        let micros = [self.modified, self.last_read, until].into_iter().flatten().map(|time| time.0.unsigned_abs()).max().unwrap_or(0);
        if self.known_size().is_some_and(|size| size > MAX_INTEGER) || micros > MAX_INTEGER {
            return Err(Failure::invalid(format!("{}: size {} or time {micros} µs is beyond 2^53", self.key.escape_default(), self.size)));
        }
        Ok(())
    }
}

/// What a leaf of a table's fingerprint is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum LeafKind {
    /// A bucket of row digests.
    Bucket,
    /// A bucket as the sum of its row digests.
    Sum,
    /// A range of keys.
    Range,
    /// The table's definition.
    Schema,
}

impl LeafKind {
    /// The spelling in parts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bucket => "bucket",
            Self::Sum => "sum",
            Self::Range => "range",
            Self::Schema => "schema",
        }
    }
}

/// One leaf of a fingerprint, of `table-set` and `items` manifests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeafRow {
    /// The table's name.
    pub key: String,
    /// A bucket or a range of rows, or the definition.
    pub kind: LeafKind,
    /// The bucket's index: the top `bits` bits of its rows' key hashes; or that of the range.
    pub seq: u32,
    /// Rows in it.
    pub rows: u64,
    /// The leaf's digest.
    pub digest: [u8; 32],
    /// How many bits the index has.
    pub bits: u8,
}

impl Row for LeafRow {
    const PREFIX: &'static str = "part";
    const DUPLICATES: bool = false;
    const KEYS_REPEAT: bool = true;
    const COLUMNS: &'static [ColumnSpec] = &[
        column("key", ColumnKind::Key, false),
        column("kind", ColumnKind::Text, false),
        column("seq", ColumnKind::Int, false),
        column("rows", ColumnKind::Int, false),
        column("digest", ColumnKind::Fixed(32), false),
        column("bits", ColumnKind::Int, false),
    ];

    fn key(&self) -> &str {
        &self.key
    }

    fn order(&self, other: &Self) -> Ordering {
        self.key.as_bytes().cmp(other.key.as_bytes()).then(self.kind.cmp(&other.kind)).then(self.seq.cmp(&other.seq))
    }

    fn write(&self, put: &mut dyn FnMut(Cell<'_>)) {
        put(Cell::Text(&self.key));
        put(Cell::Text(self.kind.as_str()));
        put(Cell::Int(i64::from(self.seq)));
        put(Cell::Int(self.rows as i64));
        put(Cell::Fixed(&self.digest));
        put(Cell::Int(i64::from(self.bits)));
    }

    fn read(cells: &mut Cells<'_>) -> Result<Self, String> {
        let key = cells.text()?.ok_or("no key")?;
        let kind = match cells.text_ref()? {
            Some("bucket") => LeafKind::Bucket,
            Some("sum") => LeafKind::Sum,
            Some("range") => LeafKind::Range,
            Some("schema") => LeafKind::Schema,
            other => return Err(format!("unknown kind `{}`", other.unwrap_or_default().escape_default())),
        };
        let seq = cells.int()?.and_then(|n| u32::try_from(n).ok()).ok_or("seq is not a bucket's index")?;
        let rows = cells.int()?.and_then(|n| u64::try_from(n).ok()).ok_or("rows is not a count")?;
        let digest = cells.fixed::<32>()?.ok_or("no digest")?;
        let bits = cells.int()?.and_then(|n| u8::try_from(n).ok()).ok_or("bits is not a number of bits")?;
        Ok(Self { key, kind, seq, rows, digest, bits })
    }

    fn leaf(&self, out: &mut Vec<u8>) {
        let mut json = Members::open(out);
        json.int("bits", Some(i64::from(self.bits)));
        json.hex("digest", Some(&self.digest));
        json.text("key", Some(&self.key));
        json.text("kind", Some(self.kind.as_str()));
        json.int("rows", Some(self.rows as i64));
        json.int("seq", Some(i64::from(self.seq)));
        json.close();
    }

    fn check(&self) -> Result<(), Failure> {
        if self.rows > MAX_INTEGER {
            return Err(Failure::invalid(format!("{}: {} rows are beyond 2^53", self.key.escape_default(), self.rows)));
        }
        Ok(())
    }
}

/// One row of a sidecar: an index into the buckets, never the verdict.
#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SidecarRow {
    /// The table's name.
    pub key: String,
    /// The first 8 bytes of the keyed hash of the primary key.
    pub key_hash: [u8; 8],
    /// The first 8 bytes of the keyed row digest.
    pub row_hash: [u8; 8],
    /// When the item's time to live ends, in seconds since 1970, where it has one.
    pub expires_s: Option<i64>,
}

/// By hand for `clone_from`: millions of rows of one table keep one copy of its name.
impl Clone for SidecarRow {
    fn clone(&self) -> Self {
        Self { key: self.key.clone(), key_hash: self.key_hash, row_hash: self.row_hash, expires_s: self.expires_s }
    }

    fn clone_from(&mut self, source: &Self) {
        self.key.clone_from(&source.key);
        (self.key_hash, self.row_hash, self.expires_s) = (source.key_hash, source.row_hash, source.expires_s);
    }
}

/// Rows of a sidecar in their order: of one table, without a time to live.
#[derive(Clone, Copy, Debug)]
pub struct SidecarRun<'a> {
    /// The table's name.
    pub key: &'a str,
    /// For each row the first 8 bytes of the keyed hash of the primary key.
    pub key_hashes: &'a [[u8; 8]],
    /// For each row the first 8 bytes of the keyed row digest.
    pub row_hashes: &'a [[u8; 8]],
}

impl SidecarRun<'_> {
    /// The first `rows` rows, and the others.
    pub fn split_at(self, rows: usize) -> (Self, Self) {
        let ((key_hashes, more_keys), (row_hashes, more_rows)) = (self.key_hashes.split_at(rows), self.row_hashes.split_at(rows));
        (Self { key_hashes, row_hashes, ..self }, Self { key_hashes: more_keys, row_hashes: more_rows, ..self })
    }

    /// The last row.
    pub fn last(self) -> Option<SidecarRow> {
        let (key_hash, row_hash) = self.key_hashes.last().zip(self.row_hashes.last())?;
        Some(SidecarRow { key: self.key.to_owned(), key_hash: *key_hash, row_hash: *row_hash, expires_s: None })
    }
}

impl Row for SidecarRow {
    const PREFIX: &'static str = "sidecar";
    const DUPLICATES: bool = true;
    const KEYS_REPEAT: bool = true;
    const COLUMNS: &'static [ColumnSpec] = &[
        column("key", ColumnKind::Key, false),
        column("key_hash", ColumnKind::Fixed(8), false),
        column("row_hash", ColumnKind::Fixed(8), false),
        column("expires_s", ColumnKind::Int, true),
    ];

    fn key(&self) -> &str {
        &self.key
    }

    fn order(&self, other: &Self) -> Ordering {
        self.key.as_bytes().cmp(other.key.as_bytes()).then(self.key_hash.cmp(&other.key_hash))
    }

    fn write(&self, put: &mut dyn FnMut(Cell<'_>)) {
        put(Cell::Text(&self.key));
        put(Cell::Fixed(&self.key_hash));
        put(Cell::Fixed(&self.row_hash));
        put(self.expires_s.map_or(Cell::Null, Cell::Int));
    }

    fn read(cells: &mut Cells<'_>) -> Result<Self, String> {
        let key = cells.text()?.ok_or("no key")?;
        let key_hash = cells.fixed::<8>()?.ok_or("no key_hash")?;
        let row_hash = cells.fixed::<8>()?.ok_or("no row_hash")?;
        Ok(Self { key, key_hash, row_hash, expires_s: cells.int()? })
    }

    fn leaf(&self, out: &mut Vec<u8>) {
        let mut json = Members::open(out);
        json.int("expires_s", self.expires_s);
        json.text("key", Some(&self.key));
        json.hex("key_hash", Some(&self.key_hash));
        json.hex("row_hash", Some(&self.row_hash));
        json.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::canonical_json;

    #[test]
    fn leaves_are_canonical_json_without_nulls() {
        let row = ObjectRow {
            key: "a\n\"\u{1f600}\u{7f}/..".into(),
            key_escaped: true,
            seq: 3,
            version_id: Some("v\\1".into()),
            kind: EntryKind::Object,
            size: 9,
            modified: Some(Timestamp(-1)),
            blake3: Some(Digest32([0xab; 32])),
            sha256: Some(Digest32([1; 32])),
            s3_checksum: Some(S3Checksum { algorithm: "SHA256".into(), kind: "FULL_OBJECT".into(), value: "x==".into() }),
            last_read: Some(Timestamp(7)),
            evidence: Some(Box::new(Evidence {
                etag: Some("\"e\"".into()),
                storage_class: Some("GLACIER".into()),
                metadata: Some(Digest32([2; 32])),
                tags: Some(Digest32([3; 32])),
                lock_mode: Some("COMPLIANCE".into()),
                lock_until: Some(Timestamp(5)),
                legal_hold: Some(false),
                encryption: Some("aws:kms".into()),
                encryption_key: Some("arn".into()),
                replication: Some("PENDING".into()),
            })),
        };
        let mut leaf = Vec::new();
        row.leaf(&mut leaf);
        assert!(canonical_json::is_canonical(&leaf), "{}", String::from_utf8_lossy(&leaf));
        let bare = ObjectRow { version_id: None, modified: None, blake3: None, sha256: None, s3_checksum: None, key_escaped: false, ..row };
        let bare = ObjectRow { evidence: None, ..bare };
        bare.leaf(&mut leaf);
        assert!(canonical_json::is_canonical(&leaf));
        assert!(!String::from_utf8(leaf.clone()).unwrap().contains("null"));
        LeafRow { key: "t\t".into(), kind: LeafKind::Schema, seq: 1, rows: 2, digest: [7; 32], bits: 4 }.leaf(&mut leaf);
        assert!(canonical_json::is_canonical(&leaf));
        SidecarRow { key: "t".into(), key_hash: [0xf0; 8], row_hash: [9; 8], expires_s: Some(7) }.leaf(&mut leaf);
        assert!(canonical_json::is_canonical(&leaf));
    }
}
