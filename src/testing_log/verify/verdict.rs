//! What `log verify` can say of a log.

use std::fmt;

use crate::model::clock::Timestamp;
use crate::model::digest::{Digest32, Sha256Digest};
use crate::model::ids::DrillId;
use crate::model::outcome::Outcome;
use crate::signing::checkpoint::Checkpoint;
use crate::testing_log::entry::Entry;
use crate::testing_log::verify::fault::{Fault, Unheld};

/// What to verify a log against.
#[derive(Clone, Debug, Default)]
pub struct VerifyOptions {
    /// The text of the last checkpoint that the auditor saw (a signed note).
    pub checkpoint: Option<String>,
    /// "Now" for overdue rules; the system's clock where absent.
    pub as_of: Option<Timestamp>,
}

/// How far back the log is tied to something outside of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Anchor {
    /// Nothing from outside: whoever holds the key could have cut it at an old checkpoint and grown it again.
    SelfConsistent,
    /// It continues what the auditor saw.
    AnchoredTo {
        /// The size of the auditor's checkpoint.
        size: u64,
        /// The date of the last entry that it covers.
        at: Timestamp,
    },
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SelfConsistent => f.write_str("self-consistent"),
            Self::AnchoredTo { at, .. } => write!(f, "anchored-to {at}"),
        }
    }
}

/// How one drill stands as of the verdict's time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DrillEnd {
    /// Not ended, and its deadline has not passed.
    Open,
    /// Not ended, and its deadline has passed: failed.
    Overdue,
    /// Given up: failed.
    Aborted,
    /// Closed with this outcome.
    Closed(Outcome),
}

/// One drill of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DrillState {
    /// Its identity.
    pub drill_id: DrillId,
    /// Its number in the log.
    pub drill_seq: u64,
    /// The leaf of its population.
    pub population_leaf: u64,
    /// The leaf of its plan.
    pub planned_leaf: Option<u64>,
    /// The leaf at which it was closed or aborted.
    pub end_leaf: Option<u64>,
    /// When it had to be closed.
    pub deadline_at: Timestamp,
    /// How it stands.
    pub end: DrillEnd,
    /// Closed or aborted after its deadline: failed, whatever its cases say.
    pub late: bool,
}

impl DrillState {
    /// What the drill counts as; nothing while it is open and in time.
    pub fn counts_as(&self) -> Option<Outcome> {
        match self.end {
            DrillEnd::Open => None,
            DrillEnd::Overdue | DrillEnd::Aborted => Some(Outcome::Fail),
            DrillEnd::Closed(_) if self.late => Some(Outcome::Fail),
            DrillEnd::Closed(outcome) => Some(outcome),
        }
    }
}

/// The result of verifying a log.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The log's name.
    pub origin: String,
    /// How many entries there are.
    pub size: u64,
    /// How many of them the last good checkpoint covers.
    pub sealed: u64,
    /// The root over all entries.
    pub root: Digest32,
    /// The last checkpoint that holds.
    pub checkpoint: Option<Checkpoint>,
    /// Sizes of the checkpoints that hold.
    pub checkpoints: Vec<u64>,
    /// What it is tied to; worth something only without faults.
    pub anchor: Anchor,
    /// The time that overdue rules were applied for.
    pub as_of: Timestamp,
    /// Every broken rule; empty for a log that verifies.
    pub faults: Vec<Fault>,
    /// The entries that could be read, in order; those from `sealed` on are not under a checkpoint yet.
    pub entries: Vec<Entry>,
    /// The drills, in the order of their populations.
    pub drills: Vec<DrillState>,
    /// Evidence that entries name and that is not there.
    pub withheld: Vec<Sha256Digest>,
    /// What entries could not be held to for want of evidence.
    pub unheld: Vec<Unheld>,
    /// Evidence that entries name and that is there, as named.
    pub evidence: u64,
}

impl Verdict {
    /// True when no rule is broken.
    pub fn holds(&self) -> bool {
        self.faults.is_empty()
    }

    /// `self-consistent`, `anchored-to TIME`, or `broken`.
    pub fn word(&self) -> String {
        if self.holds() { self.anchor.to_string() } else { "broken".to_owned() }
    }
}
