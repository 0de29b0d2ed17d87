//! What a pass needs, in one place: `log verify` holds results to it, and a drill can ask the same question before it records one.

use crate::model::check::{CheckOutcome, CheckResult, Severity};
use crate::model::counts::Counts;
use crate::model::coverage::{Unread, WHOLE_PPM, is_anything_decided};
use crate::model::not_compared;
use crate::model::outcome::Outcome;
use crate::testing_log::body::{ACCESS_POINT_ALLOWED, ClassPolicy};
use crate::testing_log::point_result::{ACCESS_POINT_MECHANISM, Objective, PointResult, VerifyFacts};
use crate::testing_log::restore_facts::EngineVersions;
use crate::testing_log::verify::fault::Rule;
use crate::testing_log::verify::second;

/// The phase of errors that stand beside the verdict: what is left behind afterwards is one of its own.
pub const TEARDOWN: &str = "teardown";

/// The counts of a comparison that are there, with their names.
pub fn counts(facts: &VerifyFacts) -> impl Iterator<Item = (&'static str, &Counts)> {
    let (tables, rows, definitions) = (("tables", &facts.tables), ("rows", &facts.rows), ("definitions", &facts.definitions));
    [("objects", &facts.objects), tables, rows, definitions, ("items", &facts.items)]
        .into_iter()
        .filter_map(|(name, counts)| counts.as_ref().map(|counts| (name, counts)))
}

/// The same, and those of protection: a verdict apart from the content, but no less of one.
pub fn counts_and_protection(facts: &VerifyFacts) -> impl Iterator<Item = (&'static str, &Counts)> {
    counts(facts).chain(facts.protection.as_ref().map(|counts| ("protection", counts)))
}

/// What was not read for a reason outside the data. These are foreign numbers.
pub fn not_read(facts: &VerifyFacts) -> Unread {
    let things = facts.unread.values().fold(0u64, |sum, n| sum.saturating_add(*n));
    Unread { things, definitions: facts.unread_definitions.unwrap_or(0) }
}

/// Of `counts` of the kind `name`, the unreadable ones that the data is to blame for.
pub fn damaged(facts: &VerifyFacts, name: &str, counts: &Counts) -> u64 {
    not_read(facts).damaged(name, counts.unreadable, facts.tables.map(|tables| tables.unreadable))
}

/// Every reason why `result` cannot be the kind of pass that `as_if` names, with the rule that it would break; empty when it can be.
/// `policy` is that of its class; without one nothing undecided is tolerated.
///
/// Both kinds of pass need everything that is expected to be compared and equal, the critical checks, the objectives and isolation. A
/// plain pass also has every byte read, no vacuous check of any severity, and no reasons against it.
pub fn objections(result: &PointResult, policy: Option<&ClassPolicy>, as_if: Outcome) -> Vec<(Rule, String)> {
    let mut found = Vec::new();
    match &result.verify {
        Some(facts) => compared(facts, policy.map_or(0, |policy| policy.indeterminate_budget), &mut found),
        None => found.push((Rule::PassNothingExpected, "nothing was compared with a manifest".to_owned())),
    }
    if let Some(tier) = result.verify.as_ref().and_then(|facts| facts.tier.as_ref()).filter(|_| as_if == Outcome::Pass) {
        found.push((Rule::PassWithReasons, format!("compared at the tier {tier}: less than every byte was read")));
    }
    let apart = result.verify.iter().flat_map(|facts| &facts.not_compared).filter(|_| as_if == Outcome::Pass);
    found.extend(apart.map(|(kind, why)| (Rule::PassWithReasons, not_compared::said(kind, why))));
    let lacking = policy.and_then(|policy| without_checks(result, policy)).filter(|_| as_if == Outcome::Pass);
    found.extend(lacking.map(|why| (Rule::PassWithReasons, why)));
    if result.restore.as_ref().is_some_and(|restore| restore.mechanism == ACCESS_POINT_MECHANISM) {
        if policy.and_then(|policy| policy.access.as_deref()) != Some(ACCESS_POINT_ALLOWED) {
            found.push((
                Rule::PassWithReasons,
                "read through a backup access point, which the policy of its class does not allow".to_owned(),
            ));
        } else if as_if == Outcome::Pass {
            let why = "read where it lies, through a backup access point: not a restore, and no recovery time was measured";
            found.push((Rule::PassWithReasons, why.to_owned()));
        }
    }
    if as_if == Outcome::Pass {
        let undemanded = result.isolation.iter().flat_map(|isolation| &isolation.undemanded);
        found.extend(undemanded.map(|what| (Rule::PassWithReasons, format!("isolation: nothing was demanded of {what}"))));
        let shown = second::shown(result, policy).filter(|second| !second.is_shown());
        if let Some(second) = &shown {
            found.push((Rule::PassWithReasons, second.words()));
        } else if result.restore.as_ref().is_some_and(|restore| restore.second_shown == Some(false)) {
            let why = "nothing in the data shows that the second was honoured: no change stamp, and no manifest of that second";
            found.push((Rule::PassWithReasons, why.to_owned()));
        }
    }
    let versions = result.restore.as_ref().and_then(|restore| restore.engine_versions.as_ref());
    if let Some(why) = versions.and_then(EngineVersions::exception).filter(|_| as_if == Outcome::Pass) {
        found.push((Rule::PassWithReasons, why));
    }
    for check in result.sql_checks.iter().filter(|check| check.counts()) {
        if check.result == CheckOutcome::Vacuous && (check.severity == Severity::Critical || as_if == Outcome::Pass) {
            found.push((Rule::PassVacuousCheck, format!("check {} was vacuous", check.id)));
        } else if check.severity == Severity::Critical && check.result != CheckOutcome::Pass {
            found.push((Rule::PassCriticalCheck, format!("critical check {} ended as {}", check.id, check.result.as_str())));
        } else if check.result != CheckOutcome::Pass && as_if == Outcome::Pass {
            found.push((
                Rule::PassWithReasons,
                format!("check {} ended as {}: an exception{}", check.id, check.result.as_str(), said(check)),
            ));
        }
    }
    for (name, objective) in [("RTO", &result.rto), ("RPO", &result.rpo)] {
        if !met_or_not_required(objective) {
            let target = objective.target_s.unwrap_or_default();
            let achieved = objective.achieved_ms.map_or_else(|| "not measured".to_owned(), |ms| format!("{ms} ms"));
            found.push((Rule::PassObjectiveNotMet, format!("{name} of {target} s: {achieved}")));
        }
    }
    if !result.isolation.as_ref().is_some_and(|isolation| isolation.proved) {
        found.push((Rule::PassNotIsolated, "isolation is not proved".to_owned()));
    }
    for error in result.errors.iter().filter(|error| error.phase != TEARDOWN) {
        found.push((Rule::PassWithErrors, format!("{}: {}", error.phase, error.message)));
    }
    if as_if == Outcome::Pass && !result.outcome_reasons.is_empty() {
        found.push((Rule::PassWithReasons, format!("reasons against it: {}", result.outcome_reasons.join("; "))));
    }
    found
}

/// What is said of a database to which checks that its class names do not apply: none of them, or those that are for the other of MySQL and
/// MariaDB alone, which one kind of instance may be.
fn without_checks(result: &PointResult, policy: &ClassPolicy) -> Option<String> {
    result.verify.as_ref()?.tables?;
    let count = |engine: &str| policy.checks.get(engine).map_or(0, |list| list.count);
    let named: Vec<&str> = policy.checks.keys().map(String::as_str).filter(|engine| count(engine) > 0).collect();
    let Some(first) = result.sql_checks.first() else {
        let said = format!("no check of class `{}` is for what was restored: they are for {}", result.class, named.join(", "));
        return (!named.is_empty()).then_some(said);
    };
    let other = match first.engine.as_str() {
        "mariadb" => "mysql",
        "mysql" => "mariadb",
        _ => return None,
    };
    let lacking = count(other).checked_sub(count(&first.engine)).filter(|lacking| *lacking > 0)?;
    Some(format!("{lacking} more checks of class `{}` are for {other} than for {}, which was restored", result.class, first.engine))
}

/// Why a result is a failure: the data, a critical check, or an objective of what was tried; empty where it is none.
pub fn failures(result: &PointResult, budget: u64) -> Vec<String> {
    let mut failed = data_failures(result, budget);
    let is_failure = |check: &&CheckResult| check.counts() && check.severity == Severity::Critical && check.result == CheckOutcome::Fail;
    for check in result.sql_checks.iter().filter(is_failure) {
        failed.push(format!("critical check {} failed: {}", check.id, why_of(check)));
    }
    if result.verify.is_some() || !result.sql_checks.is_empty() {
        for (name, objective) in [("RTO", &result.rto), ("RPO", &result.rpo)] {
            if objective.met == Some(false) {
                let (target, achieved) = (objective.target_s.unwrap_or(0), objective.achieved_ms.unwrap_or(0));
                failed.push(format!("{name} missed: {achieved} ms against {target} s"));
            }
        }
    }
    failed
}

/// Why a check ended as it did, in its own words or by its value.
pub fn why_of(check: &CheckResult) -> String {
    check.reason.clone().unwrap_or_else(|| format!("{} {}", check.actual.as_deref().unwrap_or("?"), check.op))
}

/// Differences in the data, as a policy that tolerates `budget` undecided ones weighs them; empty where none speaks against it.
pub fn data_failures(result: &PointResult, budget: u64) -> Vec<String> {
    let Some(facts) = &result.verify else { return Vec::new() };
    let mut failed = Vec::new();
    for (name, counts) in counts_and_protection(facts) {
        // What was not read for a reason outside the data says nothing against it: that is no failure, and never a pass either.
        let unreadable = damaged(facts, name, counts);
        let bad = [
            ("mismatch", counts.mismatch),
            ("missing", counts.missing),
            ("extra", counts.extra),
            ("unreadable", unreadable),
            ("future", counts.future),
        ];
        failed.extend(bad.into_iter().filter(|(_, n)| *n > 0).map(|(class, n)| format!("{name}: {n} {class}")));
    }
    let undecided = undecided(facts);
    if undecided > budget {
        failed.push(format!("{undecided} indeterminate, {budget} allowed"));
    }
    failed
}

/// How many differences are undecided: the budget is for one recovery point, not for one kind of thing in it. A table is undecided for its
/// rows, and is not counted beside them.
fn undecided(facts: &VerifyFacts) -> u64 {
    undecided_of(counts_and_protection(facts), facts.rows.map_or(0, |rows| rows.indeterminate))
}

fn undecided_of<'a>(counts: impl Iterator<Item = (&'static str, &'a Counts)>, rows: u64) -> u64 {
    let of =
        |(name, counts): (&str, &Counts)| if name == "tables" { counts.indeterminate.saturating_sub(rows) } else { counts.indeterminate };
    counts.map(of).fold(0, u64::saturating_add)
}

/// What a check says of itself: why, or what it found.
fn said(check: &CheckResult) -> String {
    let found = check.actual.as_ref().map(|actual| format!("{} ({actual} found)", check.op));
    check.reason.clone().or(found).map_or_else(String::new, |why| format!(", {why}"))
}

/// An objective counts as reached when it was met, or when its policy does not demand it.
fn met_or_not_required(objective: &Objective) -> bool {
    match objective.target_s {
        None => true,
        Some(_) => objective.met == Some(true),
    }
}

fn compared(facts: &VerifyFacts, budget: u64, found: &mut Vec<(Rule, String)>) {
    // Tables without a single row are structure, not data, and so is what is defined beside them.
    let is_data = |name: &str| !matches!(name, "tables" | "definitions") || facts.rows.is_none();
    if !counts(facts).any(|(name, counts)| is_data(name) && counts.expected > 0) {
        found.push((Rule::PassNothingExpected, "nothing was expected, so nothing is proved".to_owned()));
    } else if !is_anything_decided(counts(facts).filter(|(name, _)| is_data(name)).map(|(_, counts)| counts)) {
        found.push((Rule::PassNothingExpected, "all of it may have changed in between, so nothing is proved".to_owned()));
    }
    if facts.coverage_ppm != WHOLE_PPM {
        found.push((Rule::PassNotCovered, format!("{} of {WHOLE_PPM} millionths of the scope were covered", facts.coverage_ppm)));
    }
    for (name, counts) in counts_and_protection(facts) {
        let bad = [
            ("mismatch", counts.mismatch),
            ("missing", counts.missing),
            ("extra", counts.extra),
            ("unreadable", counts.unreadable),
            ("future", counts.future),
        ];
        for (class, n) in bad.into_iter().filter(|(_, n)| *n > 0) {
            found.push((Rule::PassWithDifferences, format!("{name}: {n} {class}")));
        }
    }
    let undecided = undecided(facts);
    if undecided > budget {
        found.push((Rule::PassOverBudget, format!("{undecided} indeterminate, {budget} allowed")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_not_undecided_beside_its_rows() {
        for (tables, rows, undecided_ones) in [(1, 5, 5), (2, 0, 2), (0, 0, 0), (3, 1, 3)] {
            let counts = |n| Counts { indeterminate: n, ..Counts::default() };
            assert_eq!(undecided_of([("tables", &counts(tables)), ("rows", &counts(rows))].into_iter(), rows), undecided_ones);
        }
    }
}
