//! The testing log as a drill writes it: every leaf is in the journal before it is in the log.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::model::digest::Sha256Digest;
use crate::model::failure::Failure;
use crate::model::ids::{CaseId, DrillId};
use crate::restore::journal::Journal;
use crate::restore::records::Record;
use crate::signing::checkpoint::Checkpoint;
use crate::testing_log::entry::{Actor, Body, Entry};
use crate::testing_log::point_result::PointResult;
use crate::testing_log::writer::{Leaf, LogWriter};

/// The log of one drill's process.
pub struct Ledger {
    writer: Mutex<LogWriter>,
    journal: Arc<Journal>,
    actor: Actor,
}

impl Ledger {
    /// Writes with `writer`, as `principal`.
    pub fn new(writer: LogWriter, journal: Arc<Journal>, principal: impl Into<String>) -> Self {
        Self { writer: Mutex::new(writer), journal, actor: Actor::tool(principal) }
    }

    /// Appends an entry of `drill`; its index and hash are journalled before it is written.
    pub fn append(&self, drill: &DrillId, body: Body) -> Result<Leaf, Failure> {
        let journal = &self.journal;
        let mut intend = |index, hash| journal.record(drill, Record::LeafIntended { index, hash });
        self.lock().append(body, self.actor.clone(), &mut intend)
    }

    /// Seals everything so far.
    pub fn checkpoint(&self) -> Result<Checkpoint, Failure> {
        self.lock().checkpoint()
    }

    /// The last checkpoint.
    pub fn last_checkpoint(&self) -> Checkpoint {
        self.lock().last_checkpoint().clone()
    }

    /// Whether there are entries after the last checkpoint.
    pub fn has_tail(&self) -> bool {
        !self.lock().tail().is_empty()
    }

    /// Keeps bytes as evidence.
    pub fn evidence(&self, bytes: &[u8]) -> Result<Sha256Digest, Failure> {
        self.lock().evidence(bytes)
    }

    /// Keeps a file as evidence, in flat memory.
    pub fn evidence_file(&self, file: File) -> Result<Sha256Digest, Failure> {
        self.lock().dir().put_evidence(file)
    }

    /// The log's origin.
    pub fn origin(&self) -> String {
        self.lock().dir().origin().to_owned()
    }

    /// Every entry, in order.
    pub fn entries(&self) -> Result<Vec<Entry>, Failure> {
        let writer = self.lock();
        writer.dir().entries()?.collect()
    }

    /// The results of a drill that are in the log already.
    pub fn results_of(&self, drill: &DrillId) -> Result<BTreeMap<CaseId, PointResult>, Failure> {
        let results = self.entries()?.into_iter().filter_map(|entry| match entry.body {
            Body::PointResult(result) if result.drill_id == *drill => Some((result.case.clone(), *result)),
            _ => None,
        });
        Ok(results.collect())
    }

    fn lock(&self) -> MutexGuard<'_, LogWriter> {
        self.writer.lock().expect("no panic while held")
    }
}
