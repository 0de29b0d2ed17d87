//! SQL checks as results state them: how each ended follows from its number and its threshold, by the arithmetic that their runner has;
//! and the databases of one resource are held to the same ones in every case of a drill.
//!
//! Not here: which checks the policy's list names (`owed`), and which of them a pass needs (`pass`).

use std::collections::{BTreeMap, BTreeSet};

use crate::model::capture::CaptureMode;
use crate::model::check::{CheckOutcome, CheckResult};
use crate::model::check_kind::CheckKind;
use crate::model::clock::Timestamp;
use crate::model::digest::Sha256Digest;
use crate::model::ids::ResourceId;
use crate::model::threshold::{Decimal, Threshold, stamp};
use crate::testing_log::point_result::PointResult;
use crate::testing_log::verify::drills::{Drill, Placed};
use crate::testing_log::verify::fault::{Faults, Rule};
use crate::testing_log::verify::pass;

/// Checks the SQL checks of one drill's results.
pub fn check(drill: &Drill<'_>, faults: &mut Faults) {
    for result in &drill.results {
        // When a check ran lies between these: its restore was asked for before, and it is recorded after.
        let from = result.body.restore.as_ref().map_or(result.entry.at, |restore| restore.requested_at);
        let knows_plants = drill.plans.first().is_some_and(|plan| plan.body.knows_plants());
        let captured = result.body.verify.as_ref().filter(|_| knows_plants).map(|facts| facts.capture_mode);
        for check in &result.body.sql_checks {
            if let Some(why) = contradiction(check, [from, result.entry.at]).or_else(|| never_planted(check, captured?)) {
                let message = format!("check {} is recorded as {}: {why}", check.id, check.result.as_str());
                faults.at(Rule::CheckDiffers, result.leaf, message);
            }
        }
    }
    check_same(drill, faults);
    check_alike(drill, faults);
}

/// What the file of a check says of it is the same in every result of the drill.
fn check_same(drill: &Drill<'_>, faults: &mut Faults) {
    let mut first: BTreeMap<(&str, Sha256Digest), &CheckResult> = BTreeMap::new();
    for (result, check) in drill.results.iter().flat_map(|result| result.body.sql_checks.iter().map(move |check| (result, check))) {
        let other = *first.entry((&check.id, check.sql_digest)).or_insert(check);
        let (expected, found) = ((other.severity, &other.kind, &other.op), (check.severity, &check.kind, &check.op));
        faults.demand(expected == found, Rule::CheckDiffers, result.leaf, || {
            format!("check {} is {expected:?} in another of the drill's cases, and {found:?} in this one", check.id)
        });
    }
}

/// A canary that came back, or did not, beside a manifest of a restored copy: nobody knows what was planted in the source of that.
fn never_planted(check: &CheckResult, captured: CaptureMode) -> Option<String> {
    let is_judged = check.kind == CheckKind::Canary.as_str() && matches!(check.result, CheckOutcome::Pass | CheckOutcome::Fail);
    (is_judged && captured == CaptureMode::FirstRestore)
        .then(|| "its manifest is of a first restore, which says of no value that it was planted".into())
}

fn contradiction(check: &CheckResult, between: [Timestamp; 2]) -> Option<String> {
    let kind = CheckKind::of(&check.kind)?;
    // Offending rows are counted, and so are tables and columns that are beyond their own baselines.
    let counts = kind == CheckKind::Violations || (kind == CheckKind::BaselineScalar && check.expected.is_none());
    if let Some(actual) = check.actual.as_deref().filter(|actual| counts && actual.parse::<u64>().is_err()) {
        return Some(format!("it counts what it found, and {actual} is no count"));
    }
    match (check.result, is_beyond(check, kind, between)) {
        // What the engine calls corrupt fails whatever was counted, and so does what a newer stamp than its restore's shows.
        (CheckOutcome::Fail, _) => None,
        (_, Some(true)) => {
            Some(format!("{} found, {} expected, fails at {}", words(check.actual.as_deref()), words(check.expected.as_deref()), check.op))
        }
        (CheckOutcome::Pass, None) => {
            Some(format!("what it found is {}, which {} cannot be held against", words(check.actual.as_deref()), check.op))
        }
        _ => None,
    }
}

fn words(value: Option<&str>) -> &str {
    value.unwrap_or("nothing")
}

/// Whether what was found is beyond the threshold; nothing where that does not follow from what is stated.
fn is_beyond(check: &CheckResult, kind: CheckKind, between: [Timestamp; 2]) -> Option<bool> {
    let actual = check.actual.as_deref()?;
    let number = || Decimal::parse(actual);
    match (kind, &check.expected) {
        (CheckKind::Canary, expected) => Some(expected.as_deref() != Some(actual)),
        // Of each table or column: how many are beyond their own baselines.
        (CheckKind::BaselineScalar, None) => Some(number()? > Decimal::whole(0)),
        (CheckKind::Freshness, _) => {
            let (newest, threshold) = (stamp(actual)?, Threshold::parse(&check.op, kind).ok()?);
            let age = |at: Timestamp| Decimal::whole(u64::try_from(at.as_secs() - newest).unwrap_or(0));
            let beyond: Result<Vec<bool>, String> = between.iter().map(|at| threshold.is_met(age(*at), None)).collect();
            // An age grows: what was too old, or too young, at both ends was so in between.
            beyond.ok().map(|beyond| beyond.iter().all(|is| *is))
        }
        (_, expected) => {
            let baseline = expected.as_deref().and_then(Decimal::parse);
            Threshold::parse(&check.op, kind).ok()?.is_met(number()?, baseline).ok()
        }
    }
}

/// Whether the checks of a result ran to their end on tables that could be read.
fn ran(body: &PointResult) -> bool {
    let Some(facts) = &body.verify else { return false };
    let is_readable = facts.tables.is_none_or(|tables| tables.unreadable < tables.expected);
    facts.rows.is_some() && is_readable && body.errors.iter().all(|error| error.phase == pass::TEARDOWN)
}

fn engine(body: &PointResult) -> Option<&str> {
    body.sql_checks.first().map(|check| check.engine.as_str())
}

fn check_alike(drill: &Drill<'_>, faults: &mut Faults) {
    let mut by_resource: BTreeMap<&ResourceId, Vec<&Placed<'_, PointResult>>> = BTreeMap::new();
    for result in drill.results.iter().filter(|result| ran(result.body)) {
        by_resource.entry(&result.body.resource).or_default().push(result);
    }
    for results in by_resource.values() {
        for result in results {
            let own = engine(result.body);
            let alike = results.iter().filter(|other| own.is_none() || engine(other.body) == own);
            let due: BTreeSet<&str> = alike.flat_map(|other| &other.body.sql_checks).map(|check| check.id.as_str()).collect();
            let stated: BTreeSet<&str> = result.body.sql_checks.iter().map(|check| check.id.as_str()).collect();
            faults.demand(due == stated, Rule::FactMissing, result.leaf, || {
                let lacking: Vec<&str> = due.difference(&stated).copied().take(3).collect();
                format!(
                    "{} has {} SQL checks in the drill's other cases, found {}: {} is not stated",
                    result.body.resource,
                    due.len(),
                    stated.len(),
                    lacking.join(", ")
                )
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_canary_is_judged_beside_a_manifest_of_its_source_alone() {
        let check = |kind: &str, result: &str| -> CheckResult {
            let digest = Sha256Digest::of(b"SELECT 1");
            let stated = json!({
                "id": "u.canary", "sql_digest": digest, "engine": "sqlite", "engine_version": "3", "severity": "critical", "kind": kind,
                "op": "!= baseline", "expected": "a", "actual": "a", "duration_ms": 1, "result": result,
            });
            serde_json::from_value(stated).unwrap()
        };
        let is_told = |kind, result, mode| never_planted(&check(kind, result), mode).is_some();
        assert!(is_told("canary", "pass", CaptureMode::FirstRestore) && is_told("canary", "fail", CaptureMode::FirstRestore));
        assert!(!is_told("canary", "untested", CaptureMode::FirstRestore) && !is_told("canary", "pass", CaptureMode::SnapshotExact));
        assert!(!is_told("baseline-scalar", "pass", CaptureMode::FirstRestore));
    }
}
