//! What a report says: one serialisable model that every renderer reads. Values are raw (milliseconds, instants, counts); renderers put
//! them into words.
//!
//! Not here: how it is derived from entries (`build`), and how it looks (`html`, `charts`).

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::clock::Timestamp;
use crate::model::digest::{Digest32, Sha256Digest};
use crate::model::ids::{DrillId, ResourceId};
use crate::model::outcome::Outcome;
use crate::report::model_case::{Case, CheckRow, ProbeRow};
use crate::testing_log::body;

/// The whole report.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ReportModel {
    /// `attestore/report/v1`
    pub schema: &'static str,
    /// What the log is, and what verifying it gave.
    pub standing: Standing,
    /// "Now" for everything that may be overdue.
    pub as_of: Timestamp,
    /// The verdict on the drill that is shown.
    pub verdict: Verdict,
    /// The drill that is shown; absent when the log has none.
    pub drill: Option<DrillReport>,
    /// Each resource that the log ever named, with its last pass against its test period.
    pub coverage: Vec<CoverageRow>,
    /// Every drill of the log, and the gaps between them.
    pub completeness: Completeness,
    /// Reviews, remedies and corrections.
    pub follow_up: FollowUp,
    /// Controls that this log supports, with what supports them.
    pub controls: Vec<Framework>,
    /// How to verify the log without this tool.
    pub commands: Vec<CommandBlock>,
    /// What nobody should read out of this report.
    pub limits: Vec<String>,
}

/// The log as it was verified.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Standing {
    /// The log's origin, which is its signer's name.
    pub origin: String,
    /// Entries under the checkpoint.
    pub size: u64,
    /// The checkpoint's root.
    pub root: Digest32,
    /// The root as the checkpoint spells it.
    pub root_base64: String,
    /// The verifier's key id: 8 hex digits.
    pub key_id: String,
    /// `self-consistent`, or `anchored-to TIME`.
    pub verdict: String,
    /// True when something from outside holds the log fast.
    pub anchored: bool,
    /// Entries after the checkpoint, which no signature covers yet; they are left out of this report.
    pub unsigned_tail: u64,
}

/// The verdict in words.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Verdict {
    /// The gravest outcome; absent when there is no drill or it is still running.
    pub outcome: Option<Outcome>,
    /// One short sentence.
    pub headline: String,
    /// What else must be known at once.
    pub sentences: Vec<String>,
}

/// How a drill stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DrillState {
    /// Closed within its deadline.
    Closed,
    /// Closed, but after its deadline: counts as failed.
    ClosedLate,
    /// Given up: counts as failed.
    Aborted,
    /// Not closed, and its deadline is over: counts as failed.
    Overdue,
    /// Not closed, and its deadline is still to come.
    Open,
}

impl DrillState {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Closed => "closed within its deadline",
            Self::ClosedLate => "closed after its deadline: counts as failed",
            Self::Aborted => "aborted: counts as failed",
            Self::Overdue => "not closed by its deadline: counts as failed",
            Self::Open => "still open, its deadline is to come",
        }
    }

    /// True where the state alone makes the drill a failure.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::ClosedLate | Self::Aborted | Self::Overdue)
    }
}

/// One drill in full.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct DrillReport {
    /// The drill.
    pub id: DrillId,
    /// Its number in the log's gapless sequence.
    pub seq: u64,
    /// Its title, or its id where no plan was written.
    pub title: String,
    /// Why it was held.
    pub trigger: Option<body::Trigger>,
    /// How it stands.
    pub state: DrillState,
    /// The reason of an abort.
    pub abort_reason: Option<String>,
    /// After this time an unclosed drill counts as failed.
    pub deadline_at: Option<Timestamp>,
    /// Leaf indexes and times of its own entries, in order: `population.committed`, `drill.planned`, …
    pub trail: Vec<TrailStep>,
    /// The build that ran it.
    pub tool: Option<body::Tool>,
    /// Who ran it.
    pub runner: Option<body::Runner>,
    /// How far AWS's clock was ahead of that of the machine that ran it, as the population states it.
    pub service_ahead_ms: Option<i64>,
    /// Digest of the configuration that it ran by, and the leaf of the policy.
    pub policy: Option<PolicyReport>,
    /// What was and what was not tested.
    pub scope: Scope,
    /// Cases that are not a plain pass, gravest first.
    pub exceptions: Vec<Case>,
    /// Plain passes, in the plan's order.
    pub passes: Vec<Case>,
    /// SQL checks over all cases.
    pub checks: Vec<CheckRow>,
    /// Isolation probes over all cases.
    pub probes: Vec<ProbeRow>,
    /// The draw; absent when none was planned.
    pub sample: Option<SampleReport>,
    /// Differences over all cases, by kind of thing and class.
    pub differences: Vec<Difference>,
    /// Resources that are not known to be gone.
    pub leftover_count: u64,
}

/// How many things of one kind differ in one way.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Difference {
    /// `objects`, `tables`, `rows`, `items`
    pub name: &'static str,
    /// How they differ.
    pub class: crate::model::finding::Class,
    /// How many.
    pub count: u64,
}

/// One entry of a drill.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct TrailStep {
    /// The entry's kind.
    pub kind: &'static str,
    /// Its leaf index, which is its file's number.
    pub leaf: u64,
    /// When it was written.
    pub at: Timestamp,
}

/// The policy in force.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct PolicyReport {
    /// Where it was set.
    pub leaf: u64,
    /// Digest of the configuration.
    pub config: Sha256Digest,
    /// Digest over the checks in force.
    pub check_set: Sha256Digest,
    /// The demands on each class.
    pub classes: BTreeMap<String, body::ClassPolicy>,
}

/// The denominator and what became of it.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Scope {
    /// Eligible recovery points.
    pub population: u64,
    /// Cases of the plan.
    pub planned: u64,
    /// Of these, drawn by chance.
    pub drawn: u64,
    /// Of these, chosen by rule.
    pub targeted: u64,
    /// Restored, read and judged: pass, pass with exception, or fail.
    pub tested: u64,
    /// Outcomes in order of gravity; planned cases without a result under `no_result`.
    pub outcomes: Vec<Tally>,
    /// Per stratum.
    pub strata: Vec<StratumRow>,
    /// Resources, or places of theirs, of which no recovery point could be chosen.
    pub without_points: Vec<body::Excluded>,
    /// Of these, and of what was left out, how much nobody could look at: what is there is not known.
    pub unseen: u64,
    /// Resources that have no point in the population, for another reason.
    pub empty: u64,
    /// Recovery points that were left out.
    pub excluded: Vec<body::Excluded>,
    /// Digests of the raw listings that the population was made from.
    pub listings: BTreeMap<String, Sha256Digest>,
}

/// How many cases ended in one way.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Tally {
    /// An [`Outcome`]'s spelling, or `no_result`.
    pub outcome: String,
    /// How many.
    pub count: u64,
}

/// One stratum: its size, its draw and what the draw says.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct StratumRow {
    /// The data class.
    pub name: String,
    /// N
    pub size: u64,
    /// n
    pub drawn: u64,
    /// Cases of this class, drawn or chosen by rule, that were tested.
    pub tested: u64,
    /// Of these, passes of both kinds.
    pub passed: u64,
    /// What the draw says; absent until the drill is closed.
    pub inference: Option<body::Inference>,
    /// The same in words.
    pub bound: String,
}

/// The draw, so that anyone can repeat it.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct SampleReport {
    /// The plan's words.
    pub sample: body::Sample,
    /// What the strength means.
    pub strength: &'static str,
    /// The shell line that computes the seed.
    pub seed_command: String,
    /// The shell line that repeats the first drawn point's rank; absent when nothing was drawn.
    pub rank_command: Option<String>,
    /// Chosen by rule.
    pub targeted: Vec<body::Targeted>,
}

/// One resource in the coverage ledger.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct CoverageRow {
    /// The resource.
    pub resource: ResourceId,
    /// Its data class, where the log names it.
    pub class: Option<String>,
    /// The demand; absent when the class has none.
    pub period_s: Option<u64>,
    /// Its last result of any kind.
    pub last_result: Option<LastResult>,
    /// When it last passed.
    pub last_pass_at: Option<Timestamp>,
    /// How long ago that was.
    pub age_ms: Option<u64>,
    /// How it stands.
    pub state: CoverageState,
}

/// The last thing that is known of a resource.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct LastResult {
    /// When it was written.
    pub at: Timestamp,
    /// What it said.
    pub outcome: Outcome,
    /// Where it stands.
    pub leaf: u64,
}

/// A resource against its test period.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CoverageState {
    /// No pass in this log.
    Never,
    /// The last pass is older than the period.
    Overdue,
    /// Passed within the period, or without one; and the last drill that tried it says otherwise.
    NotPassedLast,
    /// Passed, and no period is demanded.
    NoPeriod,
    /// Passed within the period.
    Current,
}

impl CoverageState {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Never => "never passed",
            Self::Overdue => "overdue",
            Self::NotPassedLast => "did not pass the last time",
            Self::NoPeriod => "passed, no period set",
            Self::Current => "within period",
        }
    }
}

/// Whether the log's drills are all there.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Completeness {
    /// Every drill, by its number.
    pub drills: Vec<DrillLine>,
    /// Numbers that no drill has.
    pub gaps: Vec<u64>,
    /// Drills that count as failed for their state alone.
    pub missed: u64,
}

/// One drill in the list of all.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct DrillLine {
    /// Its number.
    pub seq: u64,
    /// The drill.
    pub id: DrillId,
    /// When its population was committed.
    pub committed_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How it stands.
    pub state: DrillState,
    /// The same in words.
    pub words: &'static str,
    /// Its outcome: `fail` for a drill that counts as failed, absent while it is open.
    pub outcome: Option<Outcome>,
    /// True for the drill that this report shows.
    pub shown: bool,
}

/// What people did with the results.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct FollowUp {
    /// Reviews of the drill that is shown.
    pub sign_offs: Vec<SignOffRow>,
    /// Remedies of the whole log, open ones first.
    pub remediations: Vec<RemediationRow>,
    /// Corrections of earlier entries.
    pub corrections: Vec<CorrectionRow>,
}

/// One review.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct SignOffRow {
    /// Where it stands.
    pub leaf: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub reviewer: String,
    /// What they state.
    pub statement: String,
}

/// One remedy.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct RemediationRow {
    /// Its id.
    pub id: String,
    /// The result that it answers to.
    pub about_leaf: u64,
    /// Who sees to it.
    pub owner: String,
    /// What is or was done.
    pub text: String,
    /// When it was opened.
    pub opened_at: Option<Timestamp>,
    /// When it is due.
    pub due_at: Option<Timestamp>,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
    /// `open`, `overdue`, `closed`
    pub state: &'static str,
}

/// One correction.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct CorrectionRow {
    /// Where it stands.
    pub at_leaf: u64,
    /// What it corrects.
    pub leaf: u64,
    /// When.
    pub at: Timestamp,
    /// What was wrong and what is right.
    pub text: String,
}

/// Controls of one framework that this log supports.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Framework {
    /// Such as `SOC 2`.
    pub name: String,
    /// The edition that the texts were taken from.
    pub edition: String,
    /// Its controls.
    pub controls: Vec<Control>,
}

/// One control.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Control {
    /// As the framework numbers it.
    pub id: String,
    /// What it asks for, in our words.
    pub asks: String,
    /// What must be said beside it.
    pub note: Option<String>,
    /// What in this log supports it.
    pub support: Vec<String>,
}

/// Commands of public tools that verify one thing.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct CommandBlock {
    /// What they verify.
    pub title: String,
    /// The commands.
    pub text: String,
}
