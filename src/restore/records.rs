//! The records of the journal: what a drill writes down before and after everything that it does outside of itself.
//!
//! Not here: what they add up to, and which may follow which (`steps`).

use serde::{Deserialize, Serialize};

use crate::model::clock::Timestamp;
use crate::model::digest::{Digest32, Sha256Digest};
use crate::model::ids::{CaseId, DrillId};
use crate::model::recovery_point::RecoveryPoint;
use crate::testing_log::body::Trigger;
use crate::testing_log::point_result::Isolation;
use crate::testing_log::probes::Made;

/// What kind of thing a target is; each kind is described and deleted in its own way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetKind {
    /// An S3 bucket of our own.
    Bucket,
    /// A DynamoDB table.
    Table,
    /// An RDS database instance.
    DbInstance,
    /// A backup access point on an S3 recovery point of AWS Backup.
    AccessPoint,
    /// A directory below the drill's working directory.
    Path,
}

impl From<TargetKind> for Made {
    fn from(kind: TargetKind) -> Self {
        match kind {
            TargetKind::Bucket => Self::Bucket,
            TargetKind::Table => Self::Table,
            TargetKind::DbInstance => Self::Instance,
            TargetKind::AccessPoint => Self::AccessPoint,
            TargetKind::Path => Self::Path,
        }
    }
}

/// The exact name of something that a drill creates, written down before the call.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Target {
    /// What it is.
    pub kind: TargetKind,
    /// Its exact name: prefix, case, and a random suffix that is fixed when the drill opens.
    pub name: String,
    /// Its Region; absent beside AWS.
    pub region: Option<String>,
}

/// One step of a case that changes something outside of us.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Our own bucket is made, into which an S3 restore goes.
    CreateBucket,
    /// The restore is requested.
    Restore,
    /// A password of the drill's own is set on a restored instance.
    SetPassword,
}

/// The phases of a restore, timed apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The restore was asked for.
    Requested,
    /// The service accepted it.
    Accepted,
    /// The service says that it is complete, and the resource was described.
    Available,
    /// The first byte was read.
    FirstRead,
    /// The last byte was read.
    FullyRead,
    /// Compared and checked.
    Verified,
    /// Everything created is gone.
    TornDown,
}

/// A drill as it opens.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DrillOpened {
    /// The drill.
    pub drill: DrillId,
    /// Its number in the log.
    pub seq: u64,
    /// When it began, by this machine's clock: the reference time of the RPO.
    pub began_at: Timestamp,
    /// How far AWS's clock was ahead of this machine's when it began, in milliseconds; absent beside AWS and in older journals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_ahead_ms: Option<i64>,
    /// After this it counts as failed.
    pub deadline_at: Timestamp,
    /// For people.
    pub title: String,
    /// Why it is held.
    pub trigger: Trigger,
    /// The configuration that it runs under; a resume under another one is refused.
    pub config: Sha256Digest,
    /// 16 random hex digits that go into the names of targets.
    pub nonce: String,
}

/// How far apart the clocks of two services may be: the beginning is told by STS, the creation of a target by the service that made it.
pub const SERVICES_APART_S: i64 = 2;

impl DrillOpened {
    /// The beginning as the service that creates targets of `kind` would date it: nothing created before this is ever deleted.
    ///
    /// A service dates by its own clock. Held against this machine's, a target of the drill would look older than the drill where this
    /// machine is ahead (and be left standing), and something older would look younger where it is behind.
    pub fn began_for(&self, kind: TargetKind) -> Timestamp {
        match (kind, self.service_ahead_ms) {
            (TargetKind::Path, _) | (_, None) => self.began_at,
            (_, Some(_)) => self.as_service(self.began_at).plus_secs(-SERVICES_APART_S),
        }
    }

    /// An instant of this machine's clock as AWS's clock had it, as far as that is known.
    pub fn as_service(&self, at: Timestamp) -> Timestamp {
        Timestamp(at.0.saturating_add(self.service_ahead_ms.unwrap_or(0).saturating_mul(1000)))
    }
}

/// One record of the journal.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
pub enum Record {
    /// A drill opens.
    DrillOpened {
        /// Its facts.
        drill: DrillOpened,
    },
    /// The eligible recovery points as they were listed.
    Catalogued {
        /// Every eligible point.
        points: Vec<RecoveryPoint>,
    },
    /// A leaf is about to be written to the testing log.
    LeafIntended {
        /// Its index.
        index: u64,
        /// Its RFC 6962 leaf hash.
        hash: Digest32,
    },
    /// A case begins.
    CaseOpened {
        /// The case.
        case: CaseId,
    },
    /// A step is about to be taken.
    Intended {
        /// The case.
        case: CaseId,
        /// The step.
        step: Step,
        /// What it creates, where it creates something.
        target: Option<Target>,
        /// The idempotency token that goes with the call, where it takes one.
        token: String,
    },
    /// A step was taken.
    Done {
        /// The case.
        case: CaseId,
        /// The step.
        step: Step,
        /// The service's id of the job.
        job_id: Option<String>,
        /// The ARN that the service names as created.
        created_arn: Option<String>,
    },
    /// A step was refused: nothing came of it.
    Failed {
        /// The case.
        case: CaseId,
        /// The step.
        step: Step,
        /// In the service's words.
        message: String,
    },
    /// A phase was reached.
    Phase {
        /// The case.
        case: CaseId,
        /// The phase.
        phase: Phase,
        /// When.
        at: Timestamp,
    },
    /// What the isolation guard saw.
    Isolation {
        /// The case.
        case: CaseId,
        /// Its probes.
        isolation: Isolation,
    },
    /// The case has its verdict: it is neither restored nor read again.
    Concluded {
        /// The case.
        case: CaseId,
        /// The result, as the drill room serializes it.
        result: serde_json::Value,
    },
    /// What a step created is about to be deleted.
    UndoIntended {
        /// The case.
        case: CaseId,
        /// The step that created it.
        step: Step,
        /// What was found under its name, and when that was created.
        found: Option<(String, Timestamp)>,
    },
    /// It is gone, as a description confirmed; or it never came to be.
    UndoDone {
        /// The case.
        case: CaseId,
        /// The step that created it.
        step: Step,
        /// The call that says so.
        confirmed_by: String,
    },
    /// It is not known to be gone.
    UndoFailed {
        /// The case.
        case: CaseId,
        /// The step that created it.
        step: Step,
        /// Why.
        message: String,
    },
    /// The case's result is in the testing log.
    CaseClosed {
        /// The case.
        case: CaseId,
    },
    /// The drill is closed (or aborted) in the testing log.
    DrillClosed {},
}

impl Record {
    /// The record's name, as it is stored.
    pub fn name(&self) -> &'static str {
        match self {
            Self::DrillOpened { .. } => "drill-opened",
            Self::Catalogued { .. } => "catalogued",
            Self::LeafIntended { .. } => "leaf-intended",
            Self::CaseOpened { .. } => "case-opened",
            Self::Intended { .. } => "intended",
            Self::Done { .. } => "done",
            Self::Failed { .. } => "failed",
            Self::Phase { .. } => "phase",
            Self::Isolation { .. } => "isolation",
            Self::Concluded { .. } => "concluded",
            Self::UndoIntended { .. } => "undo-intended",
            Self::UndoDone { .. } => "undo-done",
            Self::UndoFailed { .. } => "undo-failed",
            Self::CaseClosed { .. } => "case-closed",
            Self::DrillClosed {} => "drill-closed",
        }
    }

    /// The case that it belongs to.
    pub fn case(&self) -> Option<&CaseId> {
        match self {
            Self::CaseOpened { case }
            | Self::Intended { case, .. }
            | Self::Done { case, .. }
            | Self::Failed { case, .. }
            | Self::Phase { case, .. }
            | Self::Isolation { case, .. }
            | Self::Concluded { case, .. }
            | Self::UndoIntended { case, .. }
            | Self::UndoDone { case, .. }
            | Self::UndoFailed { case, .. }
            | Self::CaseClosed { case } => Some(case),
            Self::DrillOpened { .. } | Self::Catalogued { .. } | Self::LeafIntended { .. } | Self::DrillClosed {} => None,
        }
    }
}
