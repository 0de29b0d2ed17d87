//! Contents: small ones inside the database, large ones as files named by their BLAKE3, each stored once.
//!
//! Not here: which versions name which contents.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use rusqlite::{Connection, OptionalExtension};

use crate::sandbox::s3::digests::{Digested, Digests};
use crate::sandbox::s3::segment::{Segment, path_of};
use crate::sandbox::s3::store::S3Store;

/// Contents up to this size live in the database: a file each would cost more than the bytes.
const INLINE_LIMIT: usize = 32 << 10;
/// Bytes read from a file at a time.
const CHUNK: u64 = 256 << 10;

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

/// Reads `segments` through a digest of `algorithm`, on a thread that may block.
pub async fn digest(store: &S3Store, segments: Vec<Segment>, algorithm: &str) -> std::io::Result<Digested> {
    let mut digests = Digests::new(algorithm);
    let store = store.clone();
    let digesting = tokio::task::spawn_blocking(move || {
        let read = Outgoing::open(&store, &segments)?.for_each(|bytes| {
            digests.update(bytes);
            Ok(())
        });
        read.map(|()| digests.finish())
    });
    digesting.await.map_err(std::io::Error::other)?
}
