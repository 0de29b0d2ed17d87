//! What each kind of entry says: the record schema of the testing log, version 1.
//!
//! Times are RFC 3339 UTC with milliseconds; digests `sha256:HEX`; the last word of a figure is its unit. Absent differs from null and
//! from 0: optional members are left out when they are not known. No floats.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::capture::CaptureMode;
use crate::model::check::CheckResult;
use crate::model::clock::Timestamp;
use crate::model::counts::Counts;
use crate::model::digest::{Digest32, Sha256Digest};
use crate::model::ids::{CaseId, DrillId, PointId, ResourceId};
use crate::model::outcome::Outcome;
use crate::testing_log::check_list::CheckList;
use crate::testing_log::restore_facts::{RestoreFacts, SourceStamps};

/// `log.genesis`: the first entry of every log.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Genesis {
    /// Verifier key of the note format: `NAME+KEYID+BASE64`.
    pub verifier_key: String,
    /// The tool that made the log.
    pub tool: Tool,
}

/// Which build wrote an entry.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Tool {
    /// `attestore`
    pub name: String,
    /// The crate's version.
    pub version: String,
    /// The commit that it was built from, where the build knew it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git_commit: Option<String>,
    /// SHA-256 of the running executable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binary_sha256: Option<Sha256Digest>,
}

/// `policy.set`: the configuration that the following drills are judged by.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PolicySet {
    /// Digest of the configuration file's bytes; the file itself is evidence under that digest.
    pub config: Sha256Digest,
    /// Each class with its demands.
    pub classes: BTreeMap<String, ClassPolicy>,
    /// Digest over the check files that are in force, by RFC 8785 of `{id: digest}`.
    pub check_set: Sha256Digest,
    /// Digest of the check files themselves, pack by pack (`packs::Packs`), which are evidence; absent in entries of versions that did not keep
    /// them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packs: Option<Sha256Digest>,
}

/// The demands on one data class.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ClassPolicy {
    /// Recovery time objective; absent means declared `not_required`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rto_s: Option<u64>,
    /// Recovery point objective; absent means declared `not_required`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpo_s: Option<u64>,
    /// Every resource is to be drilled within this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_period_s: Option<u64>,
    /// How many undecided rows, objects or items one recovery point may have.
    pub indeterminate_budget: u64,
    /// A restore to a second counts as having come to it where something in the data is at most so much older; absent means
    /// [`SECOND_WITHIN_S`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_within_s: Option<u64>,
    /// `backup-access-point` where the class allows S3 recovery points to be read where they lie instead of restored; absent means restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<String>,
    /// The SQL checks that each database of the class is held to, by engine; absent in entries of versions that did not state them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub checks: BTreeMap<String, CheckList>,
}

/// What [`ClassPolicy::second_within_s`] is where it is not stated.
pub const SECOND_WITHIN_S: u64 = 5;
/// The mechanism of a recovery point that was read where it lies, without a restore.
pub const ACCESS_POINT_MECHANISM: &str = "aws-backup:CreateBackupAccessPoint";
/// The word of [`ClassPolicy::access`] that allows it.
pub const ACCESS_POINT_ALLOWED: &str = "backup-access-point";

/// `manifest.registered`: must come before the manifest's use.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ManifestRegistered {
    /// SHA-256 of `manifest.json`.
    pub manifest: Sha256Digest,
    /// The resource that it describes.
    pub resource: ResourceId,
    /// The recovery point that it was captured for, where it names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery_point_id: Option<PointId>,
    /// How it was captured.
    pub mode: CaptureMode,
    /// When its capture ended.
    pub captured_end: Timestamp,
    /// The manifest's Merkle root.
    pub root: Digest32,
}

/// `list.page`: rows of a list that does not fit the entry which names this page by its leaf hash. By itself it says nothing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ListPage {
    /// The kind of the entry that names it.
    pub kind: String,
    /// The list, as a JSON pointer (RFC 6901) into that entry's body.
    pub list: String,
    /// Its rows, in order.
    pub rows: Vec<serde_json::Value>,
}

/// `population.committed`: what may be drawn, before anything is drawn.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PopulationCommitted {
    /// The drill that this population is for; exactly one plan follows it.
    pub drill_id: DrillId,
    /// Gapless over the log, counted from 1.
    pub drill_seq: u64,
    /// After this time a drill that is not closed counts as failed.
    pub deadline_at: Timestamp,
    /// By how many milliseconds AWS's clock was ahead of the drill's, or less by up to a second and an answer's way; absent where not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_ahead_ms: Option<i64>,
    /// Eligible recovery points, byte-sorted and unique.
    pub population: Vec<PopulationItem>,
    /// What was seen and left out, with the reason.
    pub excluded: Vec<Excluded>,
    /// Each stratum (data class) with its size N and the number n to be drawn.
    pub strata: Vec<Stratum>,
    /// Drawn by rule and not by chance ("oldest untested first"), reported apart, outside inference.
    pub targeted: Vec<Targeted>,
    /// The beacon that the seed will use: `checkpoint:SIZE:ROOTHEX`, `drand:CHAIN:ROUND:HEX` or `auditor:HEX`.
    pub beacon: String,
    /// Digests of the raw listings, by service call; the listings themselves are evidence.
    pub listings: BTreeMap<String, Sha256Digest>,
}

/// One eligible recovery point.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PopulationItem {
    /// Its identity.
    pub id: PointId,
    /// The resource that it belongs to.
    pub resource: ResourceId,
    /// Its stratum: the resource's data class.
    pub stratum: String,
    /// When its data is consistent.
    pub created_at: Timestamp,
}

/// One recovery point, or one resource, that is left out.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Excluded {
    /// The point's identity, or `resource:ID` where a resource has no point at all.
    pub id: String,
    /// Why.
    pub reason: String,
}

/// One stratum of the population.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Stratum {
    /// The data class.
    pub name: String,
    /// How many eligible points it has (N).
    pub size: u64,
    /// How many are drawn (n).
    pub sample: u64,
}

/// One recovery point that is drilled by rule.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Targeted {
    /// The point.
    pub id: PointId,
    /// The rule, in words.
    pub reason: String,
}

/// `drill.planned`: the sample, re-derivable by anyone from the population and the seed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DrillPlanned {
    /// The drill.
    pub drill_id: DrillId,
    /// As in its population.
    pub drill_seq: u64,
    /// For people.
    pub title: String,
    /// Why it is held.
    pub trigger: Trigger,
    /// As in its population.
    pub deadline_at: Timestamp,
    /// The build that runs it.
    pub tool: Tool,
    /// The version of what each result of the drill states (`result_version`); absent in plans of versions that promised nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_version: Option<u32>,
    /// Who runs it, as AWS states it; absent for a drill of local points only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runner: Option<Runner>,
    /// Digest of the configuration, as in `policy.set`.
    pub config: Sha256Digest,
    /// Where the policy is in force.
    pub policy_leaf: u64,
    /// The draw.
    pub sample: Sample,
    /// The cases in the order in which they run: drawn ones and targeted ones, each point once.
    pub cases: Vec<PlannedCase>,
}

/// Why a drill is held.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// By the calendar.
    Scheduled,
    /// By hand.
    Manual,
    /// After an incident.
    Incident,
    /// After a finding was mended.
    Retest,
}

/// Who runs a drill.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Runner {
    /// The account that the calls are made in.
    pub account_id: String,
    /// The Region.
    pub region: String,
    /// The caller's ARN (STS GetCallerIdentity).
    pub arn: String,
}

/// How the sample was drawn.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// The leaf index of the population.
    pub population_leaf: u64,
    /// The leaf hash of the population: 64 hex digits.
    pub population_leaf_hash: Digest32,
    /// `hmac-rank/v1`
    pub method: String,
    /// `SHA256("attestore/sample/v1|" + origin + "|" + population leaf hash + "|" + beacon)`
    pub seed: Digest32,
    /// As named in the population.
    pub beacon: String,
    /// Whether the commitment is dated from outside before the beacon.
    pub strength: Strength,
    /// The drawn points with their ranks, best first within each stratum.
    pub selected: Vec<Selected>,
}

/// How well the draw is protected from its own operator.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// The commitment is dated from outside before the beacon existed.
    Strong,
    /// The operator could have tried several populations or times.
    Weaker,
}

/// One drawn point.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Selected {
    /// The point.
    pub id: PointId,
    /// HMAC-SHA256(seed, id).
    pub rank: Digest32,
}

/// One case of the plan.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PlannedCase {
    /// The case.
    pub case: CaseId,
    /// Its recovery point.
    pub point: PointId,
    /// Its resource.
    pub resource: ResourceId,
    /// Its data class.
    pub class: String,
    /// Whether the running source is to be asked for its own newest change stamps.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asks_source: bool,
}

/// `drill.started`: nothing was requested from any service before this entry.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DrillStarted {
    /// The drill.
    pub drill_id: DrillId,
    /// The leaf of its plan.
    pub planned_leaf: u64,
}

/// `rp.result`: one recovery point, tested or not.
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

/// `drill.closed`: the totals, which must add up to the plan.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DrillClosed {
    /// The drill.
    pub drill_id: DrillId,
    /// As in its population.
    pub drill_seq: u64,
    /// Cases of the plan.
    pub planned: u64,
    /// Results by outcome, in the spelling of [`Outcome`]; the sum is `planned`.
    pub outcomes: BTreeMap<String, u64>,
    /// Resources that are not known to be gone.
    pub leftover_count: u64,
    /// What the sample says of the population: per stratum.
    pub inference: Vec<Inference>,
    /// The gravest outcome.
    pub outcome: Outcome,
}

/// What the drawn points of one stratum say of all its points.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Inference {
    /// The stratum.
    pub stratum: String,
    /// N
    pub population: u64,
    /// n: drawn by chance.
    pub drawn: u64,
    /// Drawn points that are not a pass (an item that cannot be restored is a deviation).
    pub deviations: u64,
    /// The confidence of the bound.
    pub confidence_ppm: u64,
    /// At that confidence no more than so many of the population are bad (hypergeometric).
    pub upper_bound: u64,
}

/// `drill.aborted`: counts as failed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DrillAborted {
    /// The drill.
    pub drill_id: DrillId,
    /// As in its population.
    pub drill_seq: u64,
    /// Why.
    pub reason: String,
}

/// `signoff`: a second person has reviewed a drill.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SignOff {
    /// The drill.
    pub drill_id: DrillId,
    /// The leaf that was reviewed: its `drill.closed`.
    pub closed_leaf: u64,
    /// The reviewer, in their organisation's own name for them.
    pub reviewer: String,
    /// The reviewer's key as an `ssh-ed25519 BASE64` line; neither the operator's nor the tool's.
    pub reviewer_key: String,
    /// What they state.
    pub statement: String,
    /// SSHSIG over the statement, namespace `attestore-signoff`.
    pub sshsig: String,
}

/// `remediation.opened`, `remediation.updated`, `remediation.closed`: what is done about a finding.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Remediation {
    /// Unique over the log; the same in all three kinds.
    pub id: String,
    /// The leaf that it answers to: an `rp.result` or a `drill.closed`.
    pub about_leaf: u64,
    /// Who sees to it.
    pub owner: String,
    /// When it is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// What is to be done, or was done.
    pub text: String,
}

/// `correction`: something earlier was recorded wrongly. The earlier entry stays.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Correction {
    /// The leaf that is corrected.
    pub leaf: u64,
    /// What was wrong and what is right.
    pub text: String,
}

/// `key.rotated`: from the next checkpoint on another key signs; that one checkpoint carries both signatures.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct KeyRotated {
    /// The new verifier key of the note format.
    pub verifier_key: String,
    /// Why.
    pub reason: String,
}

/// `heartbeat`: nothing happened, and somebody was there to say so.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Heartbeat {
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}
