//! The verdict on one point. Never pass by default: a pass is what `log verify` itself would accept as one.

use crate::model::check::{CheckOutcome, Severity};
use crate::model::outcome::Outcome;
use crate::testing_log::body::ClassPolicy;
use crate::testing_log::point_result::PointResult;
use crate::testing_log::verify::fault::Rule;
use crate::testing_log::verify::pass::{failures, objections, why_of};

/// Sets outcome and reasons from everything else that the result says; what was not tried stays untested, for the reason that it has.
pub fn decide(result: &mut PointResult, policy: &ClassPolicy) {
    if result.outcome == Outcome::Untested {
        return;
    }
    let mut failed = failures(result, policy.indeterminate_budget);
    let critical = result.sql_checks.iter().filter(|check| check.counts() && check.severity == Severity::Critical);
    let undecided = critical.filter(|check| !matches!(check.result, CheckOutcome::Pass | CheckOutcome::Fail));
    let mut in_doubt: Vec<String> =
        undecided.map(|check| format!("critical check {} ended as {}: {}", check.id, check.result.as_str(), why_of(check))).collect();
    let errors: Vec<String> = result.errors.iter().map(|error| format!("{}: {}", error.phase, error.message)).collect();
    if !failed.is_empty() {
        failed.extend(in_doubt);
        failed.extend(errors);
        (result.outcome, result.outcome_reasons) = (Outcome::Fail, failed);
    } else if !errors.is_empty() {
        (result.outcome, result.outcome_reasons) = (Outcome::Error, errors);
    } else if !in_doubt.is_empty() {
        result.outcome_reasons.clear();
        // What else stands in the way of a pass; the checks have been told.
        let others = objections(result, Some(policy), Outcome::PassWithException).into_iter();
        let others = others.filter(|(rule, _)| !matches!(rule, Rule::PassCriticalCheck | Rule::PassVacuousCheck)).map(|(_, why)| why);
        in_doubt.extend(others.chain(unread(result)));
        (result.outcome, result.outcome_reasons) = (Outcome::Inconclusive, in_doubt);
    } else {
        passed_or_not(result, policy);
    }
}

fn passed_or_not(result: &mut PointResult, policy: &ClassPolicy) {
    result.outcome_reasons.clear();
    let words = |found: Vec<(Rule, String)>| found.into_iter().map(|(_, why)| why).collect::<Vec<_>>();
    let against = words(objections(result, Some(policy), Outcome::Pass));
    if against.is_empty() {
        result.outcome = Outcome::Pass;
        return;
    }
    let grave = words(objections(result, Some(policy), Outcome::PassWithException));
    (result.outcome, result.outcome_reasons) =
        if grave.is_empty() { (Outcome::PassWithException, against) } else { (Outcome::Inconclusive, grave) };
    let unread = unread(result);
    result.outcome_reasons.extend(unread);
}

/// What was not read for a reason outside of the data, in words.
fn unread(result: &PointResult) -> Vec<String> {
    let Some(facts) = &result.verify else { return Vec::new() };
    let of = if facts.objects.is_some() { "objects" } else { "tables" };
    let definitions = facts.unread_definitions.filter(|n| *n > 0).map(|n| format!("definitions: {n} not read"));
    facts.unread.iter().map(|(why, n)| format!("{of}: {n} not read: {why}")).chain(definitions).collect()
}
