//! Contents: small ones inside the database, large ones as files named by their BLAKE3, each stored once.
//!
//! A version's bytes are a list of segments of such contents, so that copies, snapshots, restores and multipart uploads move no bytes.
//! Contents that nothing names any more are removed when the store is opened, when no request can be on its way.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};

use crate::sandbox::s3::digests::{Digested, Digests};
use crate::sandbox::s3::store::S3Store;

/// Contents up to this size live in the database: a file each would cost more than the bytes.
const INLINE_LIMIT: usize = 32 << 10;
/// Bytes read from a file at a time.
const CHUNK: u64 = 256 << 10;

/// A stretch of one stored content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// BLAKE3 of the whole content, in hex.
    pub blob: String,
    /// Where the stretch begins in it.
    pub offset: u64,
    /// Its length.
    pub length: u64,
}

/// A content on its way in.
pub struct Incoming {
    store: S3Store,
    digests: Digests,
    held: BytesMut,
    file: Option<tempfile::NamedTempFile>,
}

impl Incoming {
    /// Begins; the additional checksum is `algorithm`.
    pub fn new(store: &S3Store, algorithm: &str) -> Self {
        Self { store: store.clone(), digests: Digests::new(algorithm), held: BytesMut::new(), file: None }
    }

    /// Takes the next bytes in.
    pub fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.digests.update(bytes);
        if self.file.is_none() && self.held.len() + bytes.len() <= INLINE_LIMIT {
            self.held.extend_from_slice(bytes);
            return Ok(());
        }
        if self.file.is_none() {
            let mut file = tempfile::NamedTempFile::new_in(self.store.dir().join("incoming"))?;
            file.write_all(&self.held)?;
            self.held = BytesMut::new();
            self.file = Some(file);
        }
        self.file.as_mut().expect("made above").write_all(bytes)
    }

    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.digests.size()
    }

    /// Stores the content and tells its digests and its one segment (none when it is empty).
    pub fn finish(self) -> std::io::Result<(Digested, Vec<Segment>)> {
        let digested = self.digests.finish();
        if digested.size == 0 {
            return Ok((digested, Vec::new()));
        }
        if let Some(file) = self.file {
            let path = path_of(self.store.dir(), &hex::encode(digested.address));
            if !path.exists() {
                std::fs::create_dir_all(path.parent().expect("a blob has a folder"))?;
                file.persist(&path)?;
            }
        }
        let inline: Option<&[u8]> = (!self.held.is_empty()).then_some(&self.held[..]);
        let connection = self.store.connection();
        let insert = "INSERT OR IGNORE INTO blob (hash, inline) VALUES (?1, ?2)";
        let mut statement = connection.prepare_cached(insert).map_err(std::io::Error::other)?;
        statement.execute((&digested.address[..], inline)).map_err(std::io::Error::other)?;
        let segments = vec![Segment { blob: hex::encode(digested.address), offset: 0, length: digested.size }];
        Ok((digested, segments))
    }
}

fn path_of(dir: &Path, blob: &str) -> PathBuf {
    // Two levels keep folders small: one of 256 entries, each with its share.
    dir.join("blobs").join(blob.get(..2).unwrap_or("xx")).join(blob)
}

/// The segments of the bytes `from..to` of a content made of `segments`.
pub fn slice(segments: &[Segment], from: u64, to: u64) -> Vec<Segment> {
    let mut at = 0;
    let mut out = Vec::new();
    for segment in segments {
        let (start, end) = (from.max(at), to.min(at + segment.length));
        if start < end {
            out.push(Segment { blob: segment.blob.clone(), offset: segment.offset + (start - at), length: end - start });
        }
        at += segment.length;
    }
    out
}

/// A content opened for reading.
#[derive(Clone)]
enum Source {
    Inline(Bytes),
    File(Arc<File>),
}

fn open(dir: &Path, connection: &Connection, blob: &str) -> std::io::Result<Source> {
    let hash = hex::decode(blob).map_err(std::io::Error::other)?;
    let mut statement = connection.prepare_cached("SELECT inline FROM blob WHERE hash = ?1").map_err(std::io::Error::other)?;
    let inline: Option<Option<Vec<u8>>> = statement.query_row([hash], |row| row.get(0)).optional().map_err(std::io::Error::other)?;
    match inline {
        Some(Some(bytes)) => Ok(Source::Inline(bytes.into())),
        Some(None) => Ok(Source::File(Arc::new(File::open(path_of(dir, blob))?))),
        None => Err(std::io::Error::new(std::io::ErrorKind::NotFound, format!("content {blob} is not in the store"))),
    }
}

/// The bytes of `segments` to come: everything opened, nothing read but what is inline.
pub struct Outgoing {
    parts: std::vec::IntoIter<(Source, u64, u64)>,
    current: Option<(Source, u64, u64)>,
}

impl Outgoing {
    /// Opens the contents that `segments` name.
    pub fn open(store: &S3Store, segments: &[Segment]) -> std::io::Result<Self> {
        let connection = store.connection();
        let mut parts = Vec::with_capacity(segments.len());
        for segment in segments {
            parts.push((open(store.dir(), &connection, &segment.blob)?, segment.offset, segment.offset + segment.length));
        }
        Ok(Self { parts: parts.into_iter(), current: None })
    }

    /// The next stretch to read: at most [`CHUNK`] bytes.
    fn next_stretch(&mut self) -> Option<(Source, u64, u64)> {
        loop {
            if let Some((source, from, to)) = &mut self.current
                && *from < *to
            {
                let start = *from;
                *from = (start + CHUNK).min(*to);
                return Some((source.clone(), start, *from));
            }
            self.current = Some(self.parts.next()?);
        }
    }

    /// The bytes as a stream; files are read on threads that may block.
    pub fn stream(self) -> impl Stream<Item = std::io::Result<Bytes>> + Send + Sync + 'static {
        futures_util::stream::try_unfold(self, |mut outgoing| async move {
            let Some((source, from, to)) = outgoing.next_stretch() else { return Ok(None) };
            let bytes = match source {
                Source::Inline(_) => read(&source, from, to)?,
                Source::File(_) => tokio::task::spawn_blocking(move || read(&source, from, to)).await.map_err(std::io::Error::other)??,
            };
            Ok(Some((bytes, outgoing)))
        })
    }

    /// Reads everything, blocking, stretch by stretch.
    pub fn for_each(mut self, mut take: impl FnMut(&[u8]) -> std::io::Result<()>) -> std::io::Result<()> {
        while let Some((source, from, to)) = self.next_stretch() {
            take(&read(&source, from, to)?)?;
        }
        Ok(())
    }
}

fn read(source: &Source, from: u64, to: u64) -> std::io::Result<Bytes> {
    match source {
        Source::Inline(bytes) => {
            let range = usize::try_from(from).unwrap_or(usize::MAX)..usize::try_from(to).unwrap_or(usize::MAX);
            if range.end > bytes.len() {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            Ok(bytes.slice(range))
        }
        Source::File(file) => {
            let mut buffer = vec![0; usize::try_from(to - from).map_err(std::io::Error::other)?];
            file.read_exact_at(&mut buffer, from)?;
            Ok(buffer.into())
        }
    }
}

/// Reads `segments` through a digest of `algorithm`. Blocks.
pub fn digest(store: &S3Store, segments: &[Segment], algorithm: &str) -> std::io::Result<Digested> {
    let mut digests = Digests::new(algorithm);
    Outgoing::open(store, segments)?.for_each(|bytes| {
        digests.update(bytes);
        Ok(())
    })?;
    Ok(digests.finish())
}

/// Stores what `reader` gives as a new content. Blocks.
pub fn store_reader(store: &S3Store, mut reader: impl Read) -> std::io::Result<(Digested, Vec<Segment>)> {
    let mut incoming = Incoming::new(store, crate::sandbox::s3::digests::DEFAULT_ALGORITHM);
    let mut buffer = vec![0; CHUNK as usize];
    loop {
        match reader.read(&mut buffer)? {
            0 => return incoming.finish(),
            count => incoming.write(&buffer[..count])?,
        }
    }
}

/// Removes the contents that nothing names. Only while no request is on its way: what is being written is not named yet.
pub fn collect_garbage(dir: &Path, connection: &Connection) -> rusqlite::Result<()> {
    let mut named = std::collections::HashSet::new();
    for table in ["version", "part", "snapshot_version"] {
        let mut statement = connection.prepare(&format!("SELECT segments FROM {table}"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let segments: Vec<Segment> = crate::sandbox::s3::record::json(row, 0)?;
            named.extend(segments.into_iter().map(|segment| segment.blob));
        }
    }
    let mut statement = connection.prepare("SELECT hash FROM blob")?;
    let hashes: Vec<Vec<u8>> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut delete = connection.prepare("DELETE FROM blob WHERE hash = ?1")?;
    for hash in hashes {
        let blob = hex::encode(&hash);
        if !named.contains(&blob) {
            delete.execute([hash])?;
            // A content that lives in the database has no file; a file that stays behind costs room and nothing else.
            let _ = std::fs::remove_file(path_of(dir, &blob));
        }
    }
    Ok(())
}
