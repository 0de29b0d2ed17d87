//! One recovery point of the plan: its phases, totals and differences, from the result that the log holds.

use serde_json::Value;

use crate::model::clock::Timestamp;
use crate::model::counts::Counts;
use crate::model::digest::Sha256Digest;
use crate::model::outcome::Outcome;
use crate::report::gather::{DrillStory, Said};
use crate::report::model_case::{Case, EvidenceState, FindingRow, FindingsReport, Phase, Protection, SecondReport, Total};
use crate::testing_log::body::{ClassPolicy, PlannedCase, PolicySet};
use crate::testing_log::point_result::{FindingSet, PointResult};
use crate::testing_log::restore_facts::RestoreFacts;
use crate::testing_log::verify::second;
use crate::verify::objects::tier::Tier;

/// Looks evidence up by its digest; nothing where it was erased or is kept elsewhere.
pub type EvidenceOf<'a> = &'a dyn Fn(&Sha256Digest) -> Option<Vec<u8>>;

/// At most so many differences of one case are shown; all of them are in the evidence.
const SHOWN: usize = 20;

/// The plan's cases in its order, then results that no plan names.
pub fn cases(drill: &DrillStory<'_>, policy: Option<&PolicySet>, evidence: EvidenceOf<'_>) -> Vec<Case> {
    let planned: &[PlannedCase] = drill.planned.map_or(&[], |said| &said.body.cases);
    let mut cases: Vec<Case> = planned
        .iter()
        .map(|plan| {
            let result = drill.results.iter().rev().find(|said| said.body.case == plan.case);
            case(plan, chosen(drill, plan), result.copied(), (policy, evidence))
        })
        .collect();
    for said in &drill.results {
        if !planned.iter().any(|plan| plan.case == said.body.case) {
            let result = said.body;
            let plan = PlannedCase {
                case: result.case.clone(),
                point: result.rp.id.clone(),
                resource: result.resource.clone(),
                class: result.class.clone(),
                asks_source: false,
            };
            cases.push(case(&plan, "not in the plan".into(), Some(*said), (policy, evidence)));
        }
    }
    cases
}

/// Gravest first: what failed, what is not known, what was not tried, what the policy tolerates, what passed.
pub fn gravity(outcome: Option<Outcome>) -> u8 {
    match outcome {
        Some(Outcome::Fail) => 0,
        None => 1,
        Some(Outcome::Error) => 2,
        Some(Outcome::Inconclusive) => 3,
        Some(Outcome::Untested) => 4,
        Some(Outcome::PassWithException) => 5,
        Some(Outcome::Pass) => 6,
    }
}

fn chosen(drill: &DrillStory<'_>, plan: &PlannedCase) -> String {
    let drawn = drill.planned.is_some_and(|said| said.body.sample.selected.iter().any(|selected| selected.id == plan.point));
    let rule = drill.population.and_then(|said| said.body.targeted.iter().find(|targeted| targeted.id == plan.point));
    match (drawn, rule) {
        (true, None) => "drawn by chance".into(),
        (true, Some(rule)) => format!("drawn by chance, and by rule: {}", rule.reason),
        (false, Some(rule)) => format!("by rule: {}", rule.reason),
        (false, None) => "not stated".into(),
    }
}

fn case(
    plan: &PlannedCase,
    chosen: String,
    said: Option<Said<'_, PointResult>>,
    (policy, evidence): (Option<&PolicySet>, EvidenceOf<'_>),
) -> Case {
    let result = said.map(|said| said.body);
    let verify = result.and_then(|result| result.verify.as_ref());
    let totals = verify.map_or_else(Vec::new, |verify| {
        [
            ("objects", verify.objects),
            ("tables", verify.tables),
            ("rows", verify.rows),
            ("definitions", verify.definitions),
            ("items", verify.items),
        ]
        .into_iter()
        .filter_map(|(name, counts)| counts.map(|counts| Total { name, counts }))
        .collect()
    });
    Case {
        case: plan.case.clone(),
        short: plan.case.0.rsplit('-').next().unwrap_or_default().to_owned(),
        point: plan.point.clone(),
        resource: plan.resource.clone(),
        application: result.map(|result| result.application.clone()).unwrap_or_default(),
        class: plan.class.clone(),
        chosen,
        outcome: result.map(|result| result.outcome),
        reasons: result
            .map_or_else(|| vec!["the plan names this recovery point and no result was recorded".into()], |r| r.outcome_reasons.clone()),
        leaf: said.map(|said| said.leaf),
        phases: result.and_then(|result| result.restore.as_ref()).map_or_else(Vec::new, phases),
        second: result.and_then(|result| second_of(result, policy.and_then(|policy| policy.classes.get(&plan.class)))),
        findings: verify.filter(|verify| verify.findings.total > 0).map(|verify| findings(&verify.findings, evidence)),
        totals,
        proves: verify.map(|verify| verify.mode.proves()),
        tier: verify.map(|verify| verify.tier.clone().unwrap_or_else(|| Tier::Content.to_string())),
        // A tier of a later version of this program: nothing is known of what it leaves open, and the entry's reasons stand anyway.
        does_not_prove: verify
            .and_then(|verify| verify.tier.as_deref()?.parse::<Tier>().ok())
            .map_or_else(Vec::new, |tier| tier.does_not_prove().to_vec()),
        protection: verify.and_then(|verify| verify.protection).map(protection),
        result: result.cloned(),
    }
}

/// What is known of the second that a restore was asked for.
fn second_of(result: &PointResult, policy: Option<&ClassPolicy>) -> Option<SecondReport> {
    let restore = result.restore.as_ref().filter(|_| second::is_in_time(&result.rp))?;
    let asked_at = result.rp.created_at;
    let Some(seen) = second::shown(result, policy) else {
        let how = match (&result.verify, restore.second_shown) {
            (None, _) => "nothing was read",
            (Some(_), None) => "data of this kind has no change stamps: what shows it is the comparison alone",
            (Some(_), Some(_)) => "as the entry says: its version states no stamps",
        };
        return Some(SecondReport { asked_at, newest_stamp: None, before_s: None, shown: restore.second_shown, how: how.to_owned() });
    };
    Some(SecondReport { asked_at, newest_stamp: seen.newest(), before_s: seen.before(), shown: Some(seen.is_shown()), how: seen.how() })
}

/// The verdict on protection alone.
fn protection(counts: Counts) -> Protection {
    let outcome = match counts {
        Counts { expected: 0, .. } => Outcome::Untested,
        Counts { mismatch: 1.., .. } => Outcome::Fail,
        Counts { indeterminate: 1.., .. } => Outcome::Inconclusive,
        _ => Outcome::Pass,
    };
    Protection { outcome, counts }
}

/// The phases between the instants that were reached; a phase ends at the next instant that is known.
fn phases(restore: &RestoreFacts) -> Vec<Phase> {
    let instants: [(Option<Timestamp>, &'static str, &'static str); 5] = [
        (restore.accepted_at, "accept", "requested → accepted"),
        (restore.available_at, "restore", "accepted → available"),
        (restore.first_read_at, "connect", "available → first read"),
        (restore.fully_read_at, "read", "first read → fully read"),
        (restore.verified_at, "verify", "fully read → verified"),
    ];
    let mut from = restore.requested_at;
    let mut phases = Vec::new();
    for (at, name, spans) in instants {
        if let Some(at) = at {
            phases.push(Phase { name, spans, ms: u64::try_from(at.millis_since(from)).unwrap_or(0) });
            from = at.max(from);
        }
    }
    phases
}

fn findings(set: &FindingSet, evidence: EvidenceOf<'_>) -> FindingsReport {
    let (state, clear) = match &set.full {
        None => (EvidenceState::None, None),
        Some(digest) => match evidence(digest) {
            None => (EvidenceState::Withheld, None),
            Some(bytes) if Sha256Digest::of(&bytes) != *digest => (EvidenceState::Altered, None),
            Some(bytes) => (EvidenceState::Present, Some(clear_rows(&bytes))),
        },
    };
    let inline = set.inline.iter().take(SHOWN).map(|finding| FindingRow {
        id: Some(finding.id.clone()),
        class: finding.class.to_string(),
        kind: spelled(&finding.kind),
        place: None,
        version_id: None,
        expected: finding.expected.clone(),
        actual: finding.actual.clone(),
    });
    let inline: Vec<FindingRow> = inline.collect();
    let shown = match clear {
        None => inline,
        Some(mut rows) => {
            // The keyed id stands beside the clear name only where the two lists agree on what the difference is.
            for (row, keyed) in rows.iter_mut().zip(&inline) {
                if (&row.class, &row.kind, &row.expected, &row.actual) == (&keyed.class, &keyed.kind, &keyed.expected, &keyed.actual) {
                    row.id.clone_from(&keyed.id);
                }
            }
            rows
        }
    };
    FindingsReport { total: set.total, shown, evidence: state, digest: set.full }
}

/// The first lines of the evidence: one JSON object a line, as `--json` prints findings.
fn clear_rows(bytes: &[u8]) -> Vec<FindingRow> {
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).take(SHOWN);
    lines
        .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
        .map(|line| {
            let text = |name: &str| line.get(name).and_then(Value::as_str).map(str::to_owned);
            FindingRow {
                id: None,
                class: text("class").unwrap_or_default(),
                kind: text("kind").unwrap_or_default(),
                place: text("key").or_else(|| text("row")).or_else(|| text("item")).or_else(|| text("bucket")),
                version_id: text("version_id"),
                expected: text("expected"),
                actual: text("actual"),
            }
        })
        .collect()
}

fn spelled<T: serde::Serialize>(unit: &T) -> String {
    serde_json::to_value(unit).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
