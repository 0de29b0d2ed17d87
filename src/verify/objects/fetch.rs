//! Reading one entry to its end: within the byte budget, resumed where a body breaks, held to its declared length.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::model::failure::{Failure, FailureKind};
use crate::verify::budget::Budget;
use crate::verify::hashing::{self, Cancel, Digests, Hasher};
use crate::verify::manifest::request::DigestSet;
use crate::verify::objects::evidence::Evidence;
use crate::verify::objects::local;
use crate::verify::objects::source::{Body, Entry, EntryKind, ObjectSource, S3Checksum};

/// How often a body is asked for, the first time included.
const ATTEMPTS: u32 = 5;

/// The pause before the second attempt; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// What is shared by all reads of one run.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Which digests are computed.
    pub wanted: DigestSet,
    /// The byte budget.
    pub budget: Budget,
    /// Ends the reads of local files.
    pub cancel: Cancel,
    started: Instant,
    first_read: Arc<OnceLock<Duration>>,
}

impl Reading {
    /// Nothing read yet; time runs from now.
    pub fn new(wanted: DigestSet, budget_bytes: u64) -> Self {
        let budget = Budget::new(budget_bytes);
        Self { wanted, budget, cancel: Cancel::default(), started: Instant::now(), first_read: Arc::default() }
    }

    /// Since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// From the beginning to the first answer with content.
    pub fn first_read_after(&self) -> Option<Duration> {
        self.first_read.get().copied()
    }

    fn note_first_read(&self) {
        self.first_read.get_or_init(|| self.started.elapsed());
    }
}

/// What was read of one entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Content {
    /// The digests and the length.
    pub digests: Digests,
    /// The checksum that the source keeps.
    pub checksum: Option<S3Checksum>,
    /// What the source says beside the bytes.
    pub evidence: Option<Box<Evidence>>,
}

/// Why an entry was not read.
#[derive(Debug)]
pub enum Unread {
    /// Something about this entry: it is `unreadable`.
    Entry(Failure),
    /// The source did not answer, or denied the request, which alone says nothing of the entry.
    Source(Failure),
}

/// Reads `entry` and digests it. A delete marker has no content, a link's content is its target.
pub async fn fetch(source: &dyn ObjectSource, entry: &Entry, reading: &Reading) -> Result<Content, Unread> {
    if let Some(problem) = &entry.problem {
        return Err(Unread::Entry(Failure::new(FailureKind::Remote, problem.clone())));
    }
    let bare = |digests| Ok(Content { digests, checksum: None, evidence: None });
    match entry.kind {
        EntryKind::DeleteMarker => return bare(Digests { blake3: None, sha256: None, bytes: 0 }),
        EntryKind::Symlink => {
            return bare(hashing::digest_bytes(entry.link_target.as_deref().unwrap_or_default(), reading.wanted));
        }
        EntryKind::Object => {}
    }
    if entry.path.is_some() {
        let _share = reading.budget.acquire(hashing::file_share_bytes(entry.size, reading.wanted)).await;
        let (entry, wanted, cancel) = (entry.clone(), reading.wanted, reading.cancel.clone());
        let digests = hashing::run_blocking(move || local::digest(&entry, wanted, &cancel)).await.map_err(Unread::Entry)?;
        reading.note_first_read();
        return bare(digests);
    }
    let _share = reading.budget.acquire(entry.size.min(hashing::STREAM_SHARE_BYTES)).await;
    stream(source, entry, reading).await
}

/// Reads a body, and goes on from where it broke with the digests' state kept.
async fn stream(source: &dyn ObjectSource, entry: &Entry, reading: &Reading) -> Result<Content, Unread> {
    let mut hasher = Hasher::new(reading.wanted);
    let mut checksum = None;
    let mut evidence = None;
    let mut answered = false;
    let mut attempt = 1;
    loop {
        let failure = match source.read(entry, hasher.bytes()).await {
            Ok(mut body) => {
                answered = true;
                reading.note_first_read();
                checksum = checksum.or_else(|| body.checksum.take());
                evidence = evidence.or_else(|| body.evidence.take());
                let (after, ended) = read_body(entry, hasher, body).await;
                hasher = after;
                match ended {
                    Ok(()) => return Ok(Content { digests: hasher.finish(), checksum, evidence }),
                    Err(failure) => failure,
                }
            }
            // The edge has repeated the request before it gave up; repeating that again would take minutes and change nothing.
            Err(failure) if answered => return Err(Unread::Entry(failure)),
            // Permissions and networks fail for many objects alike: the caller sees whether others are read.
            Err(failure) if failure.kind.is_retryable() || failure.kind == FailureKind::Denied => return Err(Unread::Source(failure)),
            Err(failure) => return Err(Unread::Entry(failure)),
        };
        if !failure.kind.is_retryable() {
            return Err(Unread::Entry(failure));
        }
        if attempt == ATTEMPTS {
            let failure = failure.context(format!("gave up after {ATTEMPTS} attempts, {} of {} bytes read", hasher.bytes(), entry.size));
            return Err(Unread::Entry(failure));
        }
        tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(attempt - 1)).await;
        attempt += 1;
    }
}

/// Digests one body; an early end without an error is an error.
async fn read_body(entry: &Entry, hasher: Hasher, body: Body) -> (Hasher, Result<(), Failure>) {
    let expected = entry.size.saturating_sub(hasher.bytes());
    if body.declared_length != expected {
        let said = format!("expected a body of {expected} bytes, the source declares {}", body.declared_length);
        return (hasher, Err(Failure::new(FailureKind::Remote, said)));
    }
    let fed = hashing::feed(hasher, body.stream, expected).await;
    let short = fed.hasher.bytes() < entry.size;
    let ended = match fed.failure {
        Some(failure) => Err(failure),
        None if short => {
            Err(Failure::new(FailureKind::Network, format!("the body ended after {} of {} bytes", fed.hasher.bytes(), entry.size)))
        }
        None => Ok(()),
    };
    (fed.hasher, ended)
}
