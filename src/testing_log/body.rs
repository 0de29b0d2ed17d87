//! What each kind of entry says: the record schema of the testing log, version 1.
//!
//! Times are RFC 3339 UTC with milliseconds; digests `sha256:HEX`; the last word of a figure is its unit. Absent differs from null and
//! from 0: optional members are left out when they are not known. No floats.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::capture::CaptureMode;
use crate::model::clock::Timestamp;
use crate::model::digest::{Digest32, Sha256Digest};
use crate::model::ids::{CaseId, DrillId, PointId, ResourceId};
use crate::model::outcome::Outcome;
use crate::testing_log::check_list::CheckList;

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
