//! `rp.result`: what an entry says of one recovery point, in parts: the point, its isolation, its restore, its objectives, the comparison, the
//! teardown and what went wrong.
//!
//! Times, digests, figures and what is absent are as in [`crate::testing_log::body`]. Not here: the facts of a restore (`restore_facts`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::capture::CaptureMode;
use crate::model::check::CheckResult;
use crate::model::clock::Timestamp;
use crate::model::counts::Counts;
use crate::model::digest::Sha256Digest;
use crate::model::ids::{CaseId, DrillId, PointId, ResourceId};
use crate::model::outcome::Outcome;
use crate::testing_log::restore_facts::{RestoreFacts, SourceStamps};

/// The mechanism of a recovery point that was read where it lies, without a restore.
pub const ACCESS_POINT_MECHANISM: &str = "aws-backup:CreateBackupAccessPoint";

/// One recovery point, tested or not.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PointResult {
    /// The drill.
    pub drill_id: DrillId,
    /// The case.
    pub case: CaseId,
    /// The resource.
    pub resource: ResourceId,
    /// Its application.
    pub application: String,
    /// Its data class.
    pub class: String,
    /// The recovery point.
    pub rp: RpFacts,
    /// What the guard saw before any data was read; absent when it never came to that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
    /// The restore; absent when none was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore: Option<RestoreFacts>,
    /// The recovery time objective.
    pub rto: Objective,
    /// The recovery point objective.
    pub rpo: Objective,
    /// The comparison; absent when nothing was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify: Option<VerifyFacts>,
    /// SQL checks; empty when none apply.
    pub sql_checks: Vec<CheckResult>,
    /// What was created and what became of it.
    pub teardown: Teardown,
    /// What went wrong, in order.
    pub errors: Vec<CaseError>,
    /// The verdict.
    pub outcome: Outcome,
    /// Why it is not a pass; empty for a pass.
    pub outcome_reasons: Vec<String>,
}

/// A recovery point as the service states it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RpFacts {
    /// Its identity.
    pub id: PointId,
    /// `s3`, `rds-mysql`, …
    pub kind: String,
    /// `aws-backup`, `rds-snapshot`, …
    pub from: String,
    /// The ARN of the resource that it was taken from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_resource_arn: Option<String>,
    /// Its vault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vault: Option<String>,
    /// When its data is consistent.
    pub created_at: Timestamp,
    /// Its size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// Encrypted at rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<bool>,
    /// Its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_key_arn: Option<String>,
    /// Whether its vault is locked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vault_locked: Option<bool>,
    /// When its lifecycle deletes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retain_until: Option<Timestamp>,
}

/// What the isolation guard looked at, before any data was read.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Isolation {
    /// The account in which the target was created; `local` beside AWS.
    pub account_id: String,
    /// Each probe with what was demanded and what was found.
    pub probes: Vec<Probe>,
    /// True only when every probe held.
    pub proved: bool,
    /// What nobody demanded, so that no probe looked at it: a pass without it is one with an exception.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undemanded: Vec<String>,
}

/// One look of the isolation guard.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Probe {
    /// Such as `account`, `target-absent`, `not-public`.
    pub name: String,
    /// What was demanded.
    pub expected: String,
    /// What was found.
    pub found: String,
    /// Whether it held.
    pub held: bool,
}

/// One time objective.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Objective {
    /// The target; absent means declared `not_required`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_s: Option<u64>,
    /// What was achieved; absent when it was not measured, and then `met` is null.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub achieved_ms: Option<u64>,
    /// For RPO, the instant that the age is measured from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference_at: Option<Timestamp>,
    /// For RPO, the recovery point whose age it is; absent in entries of versions that took the newest listed one whatever became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub point: Option<PointId>,
    /// What was measured, such as `requested to verified`, or `not_required`.
    pub basis: String,
    /// Null when not measured or not required.
    pub met: Option<bool>,
}

impl Objective {
    /// What was achieved against the target: nothing measured is neither met nor missed.
    pub fn judged(target_s: Option<u64>, achieved_ms: Option<u64>, reference_at: Option<Timestamp>, basis: &str) -> Self {
        let met = target_s.zip(achieved_ms).map(|(target, achieved)| u128::from(achieved) <= u128::from(target) * 1000);
        let basis = if target_s.is_some() { basis.to_owned() } else { format!("not_required; {basis}") };
        Self { target_s, achieved_ms, reference_at, point: None, basis, met }
    }
}

/// The comparison with the manifest.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct VerifyFacts {
    /// The leaf at which the manifest was registered.
    pub manifest_leaf: u64,
    /// SHA-256 of `manifest.json`.
    pub manifest: Sha256Digest,
    /// When its capture ended.
    pub manifest_captured_end: Timestamp,
    /// How it was captured.
    pub capture_mode: CaptureMode,
    /// The mode in which it was compared (a manifest that does not name the point is downgraded).
    pub mode: CaptureMode,
    /// Why it counts as less than it was captured as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lesser_claim: Option<String>,
    /// The newest change stamp of what was restored, where the manifest names their column and cannot see rows beyond its watermark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_stamp: Option<Timestamp>,
    /// Of a database restored to a second: tables in which a row of after that second could have gone unseen, having neither a change stamp nor
    /// every row compared and equal. Absent in entries of versions that took any stamp for a witness.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unstamped_tables: Option<u64>,
    /// Of a database restored to a second: what its running source said of its own change stamps, where the configuration names it to be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_stamps: Option<SourceStamps>,
    /// Share of the declared scope that was read and decided ([`crate::model::coverage`]).
    pub coverage_ppm: u64,
    /// Kinds of things that were not compared at all, though the manifest has them, and why, without names: the share does not speak of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub not_compared: BTreeMap<String, String>,
    /// Objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objects: Option<Counts>,
    /// Tables.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tables: Option<Counts>,
    /// Rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<Counts>,
    /// What a database defines beside the rows of its tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definitions: Option<Counts>,
    /// Items.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<Counts>,
    /// Of the unreadable objects or tables, those that were not read for a reason outside the data, by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unread: BTreeMap<String, u64>,
    /// Of a database's unreadable definitions, those that were not reached or not shown. Absent where an earlier version did not expect them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread_definitions: Option<u64>,
    /// How many of each kind were really read, whatever they turned out to be. Absent in entries of versions that did not tell.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub read: BTreeMap<String, u64>,
    /// Of the items deleted in between, those that were gone after the end of their own time to live, as the manifest states it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired: Option<u64>,
    /// What protects objects (retention, legal hold, encryption, replication): a verdict apart from the content, where any was compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protection: Option<Counts>,
    /// The tier of evidence where it is less than every byte read: `inventory` or `attributes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// Content read and hashed.
    pub bytes_checked: u64,
    /// Wall time.
    pub duration_ms: u64,
    /// The differences.
    pub findings: FindingSet,
}

/// Differences, counted and partly inline; all of them in clear in the evidence.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct FindingSet {
    /// How many.
    pub total: u64,
    /// At most 20. `id` is keyed (BLAKE3 under the hash key of the finding's place), so that nothing personal is written for ever.
    pub inline: Vec<InlineFinding>,
    /// Digest of the JSON lines of all findings, in the evidence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full: Option<Sha256Digest>,
}

/// One difference without clear names.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct InlineFinding {
    /// First 16 hex digits of the keyed hash of its place.
    pub id: String,
    /// Its class.
    pub class: crate::model::finding::Class,
    /// Its kind.
    pub kind: crate::model::finding::Kind,
    /// What was expected, where that is a digest, a size or a count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What was found, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual: Option<String>,
}

/// Teardown: a verdict of its own.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Teardown {
    /// What was created for the case.
    pub resources: Vec<CreatedResource>,
    /// How many are not known to be gone.
    pub leftover_count: u64,
}

/// One created resource.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct CreatedResource {
    /// Its ARN, or its local path below the drill's working directory.
    pub arn: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its deletion was confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    /// What is known of it now.
    pub state: Presence,
    /// The call that says so.
    pub confirmed_by: String,
}

/// Whether a created resource is still there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// Described until it was gone.
    Gone,
    /// Still there.
    Present,
    /// Could not be looked at.
    Unknown,
}

/// One thing that went wrong.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct CaseError {
    /// When.
    pub at: Timestamp,
    /// `guard`, `restore`, `wait`, `verify`, `checks`, `teardown`.
    pub phase: String,
    /// The failure's kind, or the service's code.
    pub code: String,
    /// What was expected, what was found.
    pub message: String,
    /// Whether the same call may succeed later.
    pub retryable: bool,
}
