//! What the reads of one run share, and what a read gives: digests, and what S3's own checksum says of the bytes that arrived.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::verify::budget::Budget;
use crate::verify::checksum::{self, Crc, Said, Stated};
use crate::verify::hashing::{Cancel, Digests};
use crate::verify::manifest::request::{DigestSet, Effort};
use crate::verify::objects::evidence::Evidence;
use crate::verify::objects::flow::Flow;
use crate::verify::objects::quota::Quota;
use crate::verify::objects::source::{S3Checksum, Told};
use crate::verify::objects::stretch::Requests;

/// What is shared by all reads of one run.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Which digests are computed.
    pub wanted: DigestSet,
    /// The byte budget.
    pub budget: Budget,
    /// How requests go.
    pub requests: Requests,
    /// The run's bounds.
    pub quota: Quota,
    /// Ends the reads of local files.
    pub cancel: Cancel,
    /// Bytes are held to the checksum that S3 states, at the cost of one CRC.
    pub hold_to_checksum: bool,
    started: Instant,
    first_read: Arc<OnceLock<Duration>>,
}

impl Reading {
    /// Nothing read yet; time runs from now.
    pub fn new(wanted: DigestSet, effort: &Effort) -> Self {
        Self {
            wanted,
            budget: Budget::new(effort.budget_bytes),
            requests: Requests { flow: Flow::new(effort.concurrency, effort.budget_bytes), stall: effort.stall },
            quota: Quota::new(effort.time_limit, effort.max_bytes),
            cancel: Cancel::default(),
            hold_to_checksum: false,
            started: Instant::now(),
            first_read: Arc::default(),
        }
    }

    /// The same run, with bytes held to the checksum that S3 states.
    #[must_use]
    pub fn holding_to_checksum(&self) -> Self {
        Self { hold_to_checksum: true, ..self.clone() }
    }

    /// Entries that are looked at ahead of the one whose turn it is: a large object must not hold up the small ones behind it.
    pub fn ahead(&self) -> usize {
        (4 * self.requests.flow.most()).clamp(64, 1024)
    }

    /// Since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// From the beginning to the first answer with content.
    pub fn first_read_after(&self) -> Option<Duration> {
        self.first_read.get().copied()
    }

    /// Content was read.
    pub fn note_first_read(&self) {
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
    /// What that checksum says of the bytes.
    pub said: Said,
    /// What the source says beside the bytes.
    pub evidence: Option<Box<Evidence>>,
}

impl Content {
    /// Holds the checksum that the source told against the bytes' own.
    pub fn new(digests: Digests, Told { checksum, evidence }: Told, crc: Option<Crc>) -> Self {
        let said = checksum.as_ref().map_or(Said::Nothing, |checksum| checksum::hold(stated(checksum), crc, digests.sha256));
        Self { digests, checksum, said, evidence }
    }
}

/// The checksum for the room that computes them.
pub fn stated(checksum: &S3Checksum) -> Stated<'_> {
    Stated { algorithm: &checksum.algorithm, kind: &checksum.kind, value: &checksum.value }
}
