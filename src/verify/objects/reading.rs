//! What the reads of one run share: what is wanted, how much at a time, for how long, and what earlier runs have read.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::verify::budget::Budget;
use crate::verify::hashing::Cancel;
use crate::verify::manifest::request::{DigestSet, Effort};
use crate::verify::objects::flow::Flow;
use crate::verify::objects::ledger::store::Ledger;
use crate::verify::objects::quota::Quota;
use crate::verify::objects::stretch::Requests;

/// What is shared by all reads of one run.
#[derive(Clone)]
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
    /// What earlier runs have read, and where this one writes down what it reads.
    pub ledger: Option<Arc<Ledger>>,
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
            ledger: None,
            started: Instant::now(),
            first_read: Arc::default(),
        }
    }

    /// The same run for reading something once more: held to the checksum that S3 states, whatever was read before. What was begun is
    /// finished, so no bound applies.
    #[must_use]
    pub fn again(&self) -> Self {
        Self { hold_to_checksum: true, ledger: None, quota: Quota::new(None, None), ..self.clone() }
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
