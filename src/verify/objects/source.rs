//! What an object source can do: list in order, and read an object as a stream.

use std::ops::Range;
use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::model::clock::Timestamp;
use crate::model::failure::Failure;
use crate::model::source_url::View;
use crate::verify::objects::evidence::Evidence;

/// What an entry of a listing is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum EntryKind {
    /// An object, an object version, or a file.
    Object,
    /// An S3 delete marker.
    DeleteMarker,
    /// A symbolic link: recorded, not followed.
    Symlink,
}

impl EntryKind {
    /// The spelling in manifests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::DeleteMarker => "delete-marker",
            Self::Symlink => "symlink",
        }
    }

    /// The kind that `text` spells in manifests.
    pub fn of_text(text: &str) -> Option<Self> {
        [Self::Object, Self::DeleteMarker, Self::Symlink].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// One entry of a listing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The key, or the path below the root with `/` between its parts; `%XX` where `key_escaped`.
    pub key: String,
    /// True for a path that is not UTF-8 and is spelled with `%XX`.
    pub key_escaped: bool,
    /// 0 is the oldest version of its key.
    pub seq: u32,
    /// The version id, in a bucket that has versions.
    pub version_id: Option<String>,
    /// What it is.
    pub kind: EntryKind,
    /// In bytes; of a link, the length of its target; of a delete marker 0.
    pub size: u64,
    /// When it was last changed, as the source states it.
    pub modified: Option<Timestamp>,
    /// The target of a link.
    pub link_target: Option<Vec<u8>>,
    /// The entity tag, for `If-Match` when a body is resumed.
    pub etag: Option<String>,
    /// Why the entry cannot be read at all. With a key that ends in `/`: a directory that may not be listed, below which nothing
    /// is known.
    pub problem: Option<String>,
    /// Where a local file is; its key alone does not tell once it is escaped.
    pub path: Option<PathBuf>,
    /// The storage class, where the listing states it.
    pub storage_class: Option<String>,
    /// Why it cannot be told whether this version belongs to the state that is listed; then it is neither right nor wrong.
    pub undecided: Option<String>,
}

impl Entry {
    /// An object without version, date or tag.
    pub fn object(key: impl Into<String>, size: u64) -> Self {
        Self {
            key: key.into(),
            key_escaped: false,
            seq: 0,
            version_id: None,
            kind: EntryKind::Object,
            size,
            modified: None,
            link_target: None,
            etag: None,
            problem: None,
            path: None,
            storage_class: None,
            undecided: None,
        }
    }

    /// True for a directory that may not be listed.
    pub fn is_closed_directory(&self) -> bool {
        self.problem.is_some() && self.key.ends_with('/')
    }
}

/// The checksum that S3 keeps of an object itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct S3Checksum {
    /// `CRC64NVME`, `SHA256`, …
    pub algorithm: String,
    /// `FULL_OBJECT` or `COMPOSITE`.
    pub kind: String,
    /// As S3 spells it (base64; composite ones end with `-PARTS`).
    pub value: String,
}

/// What the source says of an object itself.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Told {
    /// The checksum that it keeps.
    pub checksum: Option<S3Checksum>,
    /// What it says beside the bytes.
    pub evidence: Option<Box<Evidence>>,
}

/// An object's content, as it arrives.
pub struct Body {
    /// The bytes in order; an error ends the stream and means that the rest could not be read.
    pub stream: BoxStream<'static, Result<Bytes, Failure>>,
    /// The length that the source declares for the whole stream, which the reader must hold it to.
    pub declared_length: u64,
    /// What the answer says of the object, where it says anything; of a later piece of an object nothing.
    pub told: Told,
}

/// A place that holds objects.
#[async_trait]
pub trait ObjectSource: Send + Sync {
    /// The source URL without secrets.
    fn url(&self) -> String;

    /// The view that is listed, where the source has versions at all.
    fn view(&self) -> Option<View> {
        None
    }

    /// Whether entries carry version ids that the manifest's can be matched with by identity.
    fn has_versions(&self) -> bool;

    /// Whether it is one object that was named by itself: what it is called there says nothing of what it is.
    fn is_single(&self) -> bool {
        false
    }

    /// Whether the source states anything of its objects beside their bytes ([`Evidence`]).
    fn has_evidence(&self) -> bool {
        false
    }

    /// Every entry in ascending `(key bytes, seq)` order. An error ends the listing: what follows is unknown.
    fn list(&self) -> BoxStream<'static, Result<Entry, Failure>>;

    /// The latest version of one key, looked for without a listing; nothing where there is none.
    async fn find(&self, key: &str) -> Result<Option<Entry>, Failure> {
        Err(Failure::invalid(format!("{}: single keys cannot be looked for, such as {}", self.url(), key.escape_debug())))
    }

    /// The content of `entry` from byte `offset` on; the same version that was listed, or an error.
    async fn read(&self, entry: &Entry, offset: u64) -> Result<Body, Failure>;

    /// Whether [`ObjectSource::read_range`] can be asked.
    fn has_ranges(&self) -> bool {
        false
    }

    /// The bytes `range` of `entry`; otherwise as [`ObjectSource::read`].
    async fn read_range(&self, entry: &Entry, range: Range<u64>) -> Result<Body, Failure> {
        Err(Failure::invalid(format!("{} cannot be read in ranges ({range:?} of {} was asked for)", self.url(), entry.key.escape_debug())))
    }

    /// What the source says of `entry` itself, asked for apart from the content.
    async fn told(&self, _entry: &Entry) -> Result<Told, Failure> {
        Ok(Told::default())
    }

    /// How often a request is made before it has failed; 1 for a source that repeats requests itself.
    fn request_attempts(&self) -> u32 {
        1
    }
}
