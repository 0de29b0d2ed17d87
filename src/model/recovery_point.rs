//! A recovery point: what a backup service says it can restore.

use serde::{Deserialize, Serialize};

use crate::model::clock::Timestamp;
use crate::model::ids::{PointId, ResourceId};
use crate::model::resource::{PointSource, ResourceKind};

/// One recovery point as listed, with what the service states about it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RecoveryPoint {
    /// Its identity in populations and in the log.
    pub id: PointId,
    /// The resource of the estate that it belongs to.
    pub resource: ResourceId,
    /// The resource's kind.
    pub kind: ResourceKind,
    /// Where it was found.
    pub from: PointSource,
    /// The service's own name for it: recovery point ARN, snapshot identifier, backup ARN, or the local path.
    pub handle: String,
    /// The ARN of the resource that it was taken from, where there is one.
    pub source_arn: Option<String>,
    /// The vault that it lies in: its name, or the local directory.
    pub vault: Option<String>,
    /// When its data is consistent: for a snapshot its creation, as the service states it.
    pub created_at: Timestamp,
    /// As the service states it.
    pub size_bytes: Option<u64>,
    /// The state in the service's own words (`COMPLETED`, `AVAILABLE`, `PARTIAL`, `EXPIRED`, …).
    pub state: String,
    /// Encrypted at rest, as the service states it.
    pub encrypted: Option<bool>,
    /// The key that it is encrypted with.
    pub kms_key_arn: Option<String>,
    /// Whether its vault is locked.
    pub vault_locked: Option<bool>,
    /// When its lifecycle deletes it.
    pub retain_until: Option<Timestamp>,
}

impl RecoveryPoint {
    /// Whether it is one second of a continuous backup: its data is then that of `created_at`, exactly.
    pub fn is_in_time(&self) -> bool {
        self.from != PointSource::Local && self.id.0.contains('@')
    }
}

/// The state of a point of a vault that has no date.
pub const UNDATED: &str = "UNDATED";

/// The state of a second that cannot be restored to.
pub fn outside(earliest: Timestamp, latest: Timestamp) -> String {
    format!("outside the window from {earliest} to {latest}")
}

/// Whether a point belongs into the population, by its state.
pub fn eligibility(point: &RecoveryPoint) -> Result<(), String> {
    eligibility_of(&point.state)
}

/// The same of a state: every one has an answer, and every exclusion a reason.
pub fn eligibility_of(state: &str) -> Result<(), String> {
    match state.to_ascii_uppercase().as_str() {
        "COMPLETED" | "AVAILABLE" => Ok(()),
        // A PARTIAL point is what its owner would have to live with: it is tested like any other.
        "PARTIAL" => Ok(()),
        "EXPIRED" => Err("EXPIRED: past its retention, deletion pending".into()),
        "STOPPED" => Err("STOPPED: the backup was stopped before it was complete".into()),
        "CREATING" | "PENDING" | "BACKING-UP" => Err(format!("{state}: not complete yet")),
        "DELETING" | "DELETED" => Err(format!("{state}: being deleted")),
        _ => Err(format!("{state}: not a state that can be restored")),
    }
}
