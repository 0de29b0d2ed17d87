//! The part of the report model that tells of one recovery point.

use serde::Serialize;

use crate::model::check::{CheckOutcome, Severity};
use crate::model::clock::Timestamp;
use crate::model::digest::Sha256Digest;
use crate::model::ids::{CaseId, PointId, ResourceId};
use crate::model::outcome::Outcome;
use crate::testing_log::point_result;

/// One recovery point of the plan.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Case {
    /// The case.
    pub case: CaseId,
    /// Its last part, such as `c03`, for tables.
    pub short: String,
    /// Its recovery point.
    pub point: PointId,
    /// Its resource.
    pub resource: ResourceId,
    /// Its application; empty without a result.
    pub application: String,
    /// Its data class.
    pub class: String,
    /// `drawn`, or the rule by which it was chosen.
    pub chosen: String,
    /// The verdict; absent when the plan's case has no result.
    pub outcome: Option<Outcome>,
    /// Why it is not a pass.
    pub reasons: Vec<String>,
    /// The leaf of its result.
    pub leaf: Option<u64>,
    /// Phases of the restore that were reached, in order.
    pub phases: Vec<Phase>,
    /// What the data shows of the second that was asked for; absent where the point is no second, or nothing was restored.
    pub second: Option<SecondReport>,
    /// Differences.
    pub findings: Option<FindingsReport>,
    /// Totals of what was read, a line for each kind.
    pub totals: Vec<Total>,
    /// What a match proves in the mode that was used.
    pub proves: Option<&'static str>,
    /// The tier of evidence: `content` where every byte was read; absent where nothing was compared.
    pub tier: Option<String>,
    /// What even a full match at that tier does not prove.
    pub does_not_prove: Vec<&'static str>,
    /// The verdict on protection, apart from the content; absent where none was compared.
    pub protection: Option<Protection>,
    /// The entry's own words.
    pub result: Option<point_result::PointResult>,
}

/// One phase of a restore.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Phase {
    /// `accept`, `restore`, `connect`, `read`, `verify`.
    pub name: &'static str,
    /// What it spans, such as `requested → accepted`.
    pub spans: &'static str,
    /// Its length; a clock that went back gives 0.
    pub ms: u64,
}

/// A restore to a second.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct SecondReport {
    /// The second that was asked for.
    pub asked_at: Timestamp,
    /// The newest stamp in the data; absent where nothing in it has one.
    pub newest_stamp: Option<Timestamp>,
    /// How many seconds that is before the second; absent where it is not.
    pub before_s: Option<u64>,
    /// Whether the data shows that the second was honoured; absent where its kind has no stamps that could.
    pub shown: Option<bool>,
    /// By what, or what is missing.
    pub how: String,
}

/// Counts of one kind of thing.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Total {
    /// `objects`, `tables`, `rows`, `items`
    pub name: &'static str,
    /// The counts.
    pub counts: crate::model::counts::Counts,
}

/// What became of retention, legal holds, encryption and replication.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Protection {
    /// `pass`, `fail`, `inconclusive` or `untested`.
    pub outcome: Outcome,
    /// The counts.
    pub counts: crate::model::counts::Counts,
}

/// Differences of one case.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct FindingsReport {
    /// How many there are.
    pub total: u64,
    /// The first of them.
    pub shown: Vec<FindingRow>,
    /// Where clear names stand, or that they are withheld.
    pub evidence: EvidenceState,
    /// The evidence's digest.
    pub digest: Option<Sha256Digest>,
}

/// Whether the clear list of differences could be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceState {
    /// Read, and its digest holds.
    Present,
    /// Erased or kept elsewhere: names are withheld.
    Withheld,
    /// Something is there that does not have the digest which the log states.
    Altered,
    /// The entry names no evidence.
    None,
}

/// One difference.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct FindingRow {
    /// The keyed id of its place, as the entry has it.
    pub id: Option<String>,
    /// Its class.
    pub class: String,
    /// Its kind.
    pub kind: String,
    /// The clear name, where the evidence is present.
    pub place: Option<String>,
    /// The S3 version, where the evidence is present.
    pub version_id: Option<String>,
    /// What the manifest says.
    pub expected: Option<String>,
    /// What was read.
    pub actual: Option<String>,
}

/// One SQL check over all cases.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct CheckRow {
    /// Such as `bank.ledger-balances`.
    pub id: String,
    /// What a failure means.
    pub severity: Severity,
    /// The threshold in words.
    pub fails_when: String,
    /// Engines with their versions, as the servers state them.
    pub engines: Vec<String>,
    /// Short names of the cases where it passed.
    pub passed: Vec<String>,
    /// Short names of the cases that it does not apply to.
    pub not_applicable: Vec<String>,
    /// Every other answer.
    pub others: Vec<CheckAnswer>,
}

/// A check's answer that is not a pass.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct CheckAnswer {
    /// The case's short name.
    pub case: String,
    /// Its resource.
    pub resource: ResourceId,
    /// How it ended.
    pub result: CheckOutcome,
    /// The value demanded, where the check has one.
    pub expected: Option<String>,
    /// What was found.
    pub actual: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// One isolation probe over all cases.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ProbeRow {
    /// As the entries name it.
    pub name: String,
    /// Short names of the cases where it held every time.
    pub held: Vec<String>,
    /// Where it did not.
    pub not_held: Vec<ProbeAnswer>,
}

/// A probe that did not hold.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ProbeAnswer {
    /// The case's short name.
    pub case: String,
    /// What was demanded.
    pub expected: String,
    /// What was found.
    pub found: String,
}
