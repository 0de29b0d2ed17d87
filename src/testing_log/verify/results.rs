//! Results of recovery points: each agrees with itself, with its plan, with its manifest and with the policy.

use std::collections::BTreeSet;

use crate::model::capture::CaptureMode;
use crate::model::clock::Timestamp;
use crate::model::coverage::{WHOLE_PPM, coverage_ppm};
use crate::model::finding::Class;
use crate::testing_log::body::{ClassPolicy, DrillPlanned, ManifestRegistered};
use crate::testing_log::entry::{Body, Entry};
use crate::testing_log::point_result::{Objective, PointResult, Presence, VerifyFacts};
use crate::testing_log::restore_facts::RestoreFacts;
use crate::testing_log::verify::demands::Demands;
use crate::testing_log::verify::draw::policy_of;
use crate::testing_log::verify::drills::{Drill, Placed};
use crate::testing_log::verify::fault::{Faults, Rule};
use crate::testing_log::verify::owed::{self, Known};
use crate::testing_log::verify::reading::Reading;
use crate::testing_log::verify::stated::Baselines;
use crate::testing_log::verify::{
    apart, checks, isolation, itself, manifest_counts, outcome, pass, point, reference, restored, rpo, unchecked, untested,
};

/// An entry shows at most so many findings.
const INLINE_FINDINGS: usize = 20;
/// Instants of one restore come from clocks of several services.
const CLOCK_STEP_MS: i64 = 1000;

/// Checks every result of one drill; `demands` are those of its plan's configuration, where the evidence still has it, and
/// `baselines` what manifests say of themselves.
pub fn check(reading: &Reading, drill: &Drill<'_>, (demands, baselines): (Option<&Demands>, &Baselines), faults: &mut Faults) {
    let plan = drill.plans.first();
    let mut seen = BTreeSet::new();
    for result in &drill.results {
        faults.demand(seen.insert(&result.body.case), Rule::ResultRepeated, result.leaf, || {
            format!("a second result of case {}", result.body.case)
        });
        let policy = plan.and_then(|plan| policy_of(reading, plan.body)).and_then(|policy| policy.classes.get(&result.body.class));
        if let Some(plan) = plan {
            check_planned(plan.body, result, faults);
        }
        check_objectives(result, policy, faults);
        check_restore(result, drill.starts.first().map(|start| start.entry.at), faults);
        check_isolation_and_teardown(result, faults);
        if let Some(facts) = &result.body.verify {
            check_counts(result.leaf, facts, faults);
            check_unread(result.leaf, facts, faults);
            check_coverage(result.leaf, facts, faults);
            check_manifest(reading, drill, result, facts, faults);
        }
        itself::check(result, policy, faults);
        let item = drill.populations.first().and_then(|of| of.body.population.iter().find(|item| item.id == result.body.rp.id));
        point::check(result, item, demands, faults);
        isolation::check(result, plan.map(|plan| plan.body), demands, faults);
        restored::check(result, faults);
        untested::check((reading, demands), drill, result, faults);
        let known = Known {
            plan: plan.map(|plan| plan.body),
            registered: result.body.verify.as_ref().and_then(|facts| registration(reading, facts)).map(|(_, registered)| registered),
            policy,
        };
        owed::check(result, &known, faults);
        let baseline = result.body.verify.as_ref().and_then(|facts| baselines.get(&facts.manifest));
        apart::check(result, known.plan, baseline, faults);
        if let Some(baseline) = baseline.filter(|_| plan.is_some_and(|plan| plan.body.expects_all())) {
            manifest_counts::check(result, baseline, faults);
        }
        unchecked::check(result, known.plan, (demands, policy), faults);
        outcome::check(result, policy, plan.is_some_and(|plan| plan.body.promises_all()), faults);
        check_outcome(result, policy, plan.is_some_and(|plan| plan.body.knows_exceptions()), faults);
    }
    checks::check(drill, faults);
    reference::check(drill, faults);
    rpo::check(drill, plan.and_then(|plan| policy_of(reading, plan.body)), faults);
}

fn check_planned(plan: &DrillPlanned, result: &Placed<'_, PointResult>, faults: &mut Faults) {
    let body = result.body;
    let Some(case) = plan.cases.iter().find(|case| case.case == body.case) else {
        faults.at(Rule::ResultNotPlanned, result.leaf, format!("case {} is not in the plan", body.case));
        return;
    };
    let same = case.point == body.rp.id && case.resource == body.resource && case.class == body.class;
    faults.demand(same, Rule::ResultDiffersFromPlan, result.leaf, || {
        format!(
            "case {} was planned for `{}` of {} ({}), found `{}` of {} ({})",
            case.case, case.point, case.resource, case.class, body.rp.id, body.resource, body.class
        )
    });
}

fn check_objectives(result: &Placed<'_, PointResult>, policy: Option<&ClassPolicy>, faults: &mut Faults) {
    let body = result.body;
    let targets = policy.map(|policy| [policy.rto_s, policy.rpo_s]);
    for (at, (name, objective)) in [("RTO", &body.rto), ("RPO", &body.rpo)].into_iter().enumerate() {
        check_objective(name, objective, result.leaf, faults);
        match targets {
            Some(targets) => faults.demand(objective.target_s == targets[at], Rule::TargetDiffers, result.leaf, || {
                format!("{name}: the policy of class `{}` demands {:?} s, found {:?} s", body.class, targets[at], objective.target_s)
            }),
            None if at == 0 => {
                faults.at(Rule::TargetDiffers, result.leaf, format!("the plan's policy has no class `{}`", body.class));
            }
            None => {}
        }
    }
}

fn check_objective(name: &str, objective: &Objective, leaf: u64, faults: &mut Faults) {
    let expected = match (objective.target_s, objective.achieved_ms) {
        (_, None) => {
            faults.demand(objective.met.is_none(), Rule::MetWithoutAchieved, leaf, || {
                format!("{name}: nothing was measured, and it is said to be {}", if objective.met == Some(true) { "met" } else { "missed" })
            });
            return;
        }
        (None, Some(_)) => None,
        (Some(target_s), Some(achieved_ms)) => Some(u128::from(achieved_ms) <= u128::from(target_s) * 1000),
    };
    faults.demand(objective.met == expected, Rule::MetDiffers, leaf, || {
        format!(
            "{name}: {:?} ms against {:?} s means met = {expected:?}, found {:?}",
            objective.achieved_ms, objective.target_s, objective.met
        )
    });
}

fn check_restore(result: &Placed<'_, PointResult>, started: Option<Timestamp>, faults: &mut Faults) {
    let Some(restore) = &result.body.restore else { return };
    if let Some(started) = started {
        faults.demand(restore.requested_at >= started, Rule::RequestedTooEarly, result.leaf, || {
            format!("requested at {}, before the drill's start at {started}", restore.requested_at)
        });
    }
    let mut last = ("requested", restore.requested_at);
    for (name, instant) in phases(restore).into_iter().chain([("recorded", Some(result.entry.at))]) {
        let Some(instant) = instant else { continue };
        faults.demand(instant.millis_since(last.1) >= -CLOCK_STEP_MS, Rule::PhasesOutOfOrder, result.leaf, || {
            format!("{name} at {instant}, before {} at {}", last.0, last.1)
        });
        last = (name, instant.max(last.1));
    }
}

fn phases(restore: &RestoreFacts) -> [(&'static str, Option<Timestamp>); 5] {
    [
        ("accepted", restore.accepted_at),
        ("available", restore.available_at),
        ("first read", restore.first_read_at),
        ("fully read", restore.fully_read_at),
        ("verified", restore.verified_at),
    ]
}

fn check_isolation_and_teardown(result: &Placed<'_, PointResult>, faults: &mut Faults) {
    if let Some(isolation) = &result.body.isolation {
        let proved = !isolation.probes.is_empty() && isolation.probes.iter().all(|probe| probe.held);
        faults.demand(isolation.proved == proved, Rule::IsolationDiffers, result.leaf, || {
            format!("the probes say proved = {proved}, found {}", isolation.proved)
        });
    }
    let teardown = &result.body.teardown;
    let left = teardown.resources.iter().filter(|resource| resource.state != Presence::Gone).count() as u64;
    faults.demand(teardown.leftover_count == left, Rule::LeftoversDiffer, result.leaf, || {
        format!("{left} resources are not known to be gone, found leftover_count {}", teardown.leftover_count)
    });
}

fn check_counts(leaf: u64, facts: &VerifyFacts, faults: &mut Faults) {
    let (mut differing, mut noted, mut unreadable) = (0u64, 0u64, 0u64);
    for (name, counts) in pass::counts_and_protection(facts) {
        // Foreign numbers: their sums must not overflow into agreement.
        let classes = counts.by_class();
        let bounded = classes.iter().all(|(_, n)| *n < 1 << 53) && counts.expected < 1 << 53 && counts.checked < 1 << 53;
        faults.demand(bounded && counts.adds_up(), Rule::CountsDoNotAddUp, leaf, || {
            format!("{name}: expected {} or checked {} is not the sum of its classes", counts.expected, counts.checked)
        });
        if bounded {
            // What was not reached is no difference: it is counted, and is not told one by one.
            differing += counts.mismatch + counts.missing + counts.extra + pass::damaged(facts, name, counts) + counts.future;
            unreadable += counts.unreadable;
            noted += counts.changed_between + counts.added_between + counts.deleted_between + counts.indeterminate;
        }
    }
    let (total, inline) = (facts.findings.total, facts.findings.inline.len());
    // What is named as a difference is counted as one.
    let names_a_difference = facts.findings.inline.iter().any(|one| matches!(one.class, Class::Mismatch | Class::Missing | Class::Extra));
    let agree = inline <= INLINE_FINDINGS
        && inline as u64 <= total
        && (differing == 0 || total > 0)
        && (differing > 0 || !names_a_difference)
        && (total == 0 || differing + noted + unreadable > 0);
    faults.demand(agree, Rule::FindingsDiffer, leaf, || {
        format!("{total} findings, {inline} of them inline, and counts with {differing} differences and {noted} excused ones")
    });
}

fn check_unread(leaf: u64, facts: &VerifyFacts, faults: &mut Faults) {
    let unread = pass::not_read(facts);
    let (of, counts) = if facts.objects.is_some() { ("objects", facts.objects) } else { ("tables", facts.tables) };
    for (of, unread, counts) in [(of, unread.things, counts), ("definitions", unread.definitions, facts.definitions)] {
        let unreadable = counts.map_or(0, |counts| counts.unreadable);
        faults.demand(unread <= unreadable, Rule::CountsDoNotAddUp, leaf, || {
            format!("{of}: {unread} are said to be unread, of {unreadable} unreadable ones")
        });
    }
}

/// No more may be said to be covered than the counts show; less may be: they do not tell where a reading was cut short. What is said not to have
/// been compared has no counts.
fn check_coverage(leaf: u64, facts: &VerifyFacts, faults: &mut Faults) {
    let both: Vec<&str> = pass::counts(facts).map(|(name, _)| name).filter(|name| facts.not_compared.contains_key(*name)).collect();
    faults.demand(both.is_empty(), Rule::CoverageDiffers, leaf, || format!("{} are said not to be compared, and counted", both.join(", ")));
    // Where nothing was expected, there is nothing to cover.
    if pass::counts(facts).all(|(_, counts)| counts.expected == 0) {
        return;
    }
    let shown = coverage_ppm(pass::counts(facts), pass::not_read(facts), false);
    // Of databases, earlier versions stated the share of rows alone.
    let is_earlier = facts.tables.is_some() && facts.unread_definitions.is_none();
    let most = if is_earlier && shown > 0 && shown < WHOLE_PPM { WHOLE_PPM - 1 } else { shown };
    faults.demand(facts.coverage_ppm <= most, Rule::CoverageDiffers, leaf, || {
        format!("{} millionths are said to be covered, and the counts show {shown}", facts.coverage_ppm)
    });
}

/// The entry that registers the manifest of a comparison.
fn registration<'a>(reading: &'a Reading, facts: &VerifyFacts) -> Option<(&'a Entry, &'a ManifestRegistered)> {
    let entry = reading.entry(facts.manifest_leaf)?;
    match &entry.body {
        Body::ManifestRegistered(registered) => Some((entry, registered)),
        _ => None,
    }
}

fn check_manifest(reading: &Reading, drill: &Drill<'_>, result: &Placed<'_, PointResult>, facts: &VerifyFacts, faults: &mut Faults) {
    let leaf = result.leaf;
    let Some((entry, registered)) = registration(reading, facts) else {
        faults.at(Rule::ManifestNotRegistered, leaf, format!("entry {} does not register a manifest", facts.manifest_leaf));
        return;
    };
    // Before the population, not only before the restore: a manifest made when the draw was known could be made to fit it, and the baseline of a
    // first restore equals that restore.
    let committed = drill.populations.first().map_or(leaf, |population| population.leaf);
    let in_time = facts.manifest_leaf < committed && result.body.restore.as_ref().is_none_or(|restore| entry.at <= restore.requested_at);
    faults.demand(in_time, Rule::ManifestRegisteredLate, leaf, || {
        format!("the manifest was registered at entry {} on {}, not before the population of its drill", facts.manifest_leaf, entry.at)
    });
    let same = registered.manifest == facts.manifest
        && registered.resource == result.body.resource
        && registered.captured_end == facts.manifest_captured_end
        && registered.mode == facts.capture_mode;
    faults.demand(same, Rule::ManifestDiffers, leaf, || {
        format!(
            "entry {} registers {} of {} ({}, {}), found {} ({}, {})",
            facts.manifest_leaf,
            registered.manifest,
            registered.resource,
            registered.mode,
            registered.captured_end,
            facts.manifest,
            facts.capture_mode,
            facts.manifest_captured_end
        )
    });
    check_mode(result, facts, registered, faults);
}

/// A manifest that does not name the point was captured at another moment: it may only be compared in a mode that allows for that.
fn check_mode(result: &Placed<'_, PointResult>, facts: &VerifyFacts, registered: &ManifestRegistered, faults: &mut Faults) {
    let point = &result.body.rp;
    let names_it = registered.recovery_point_id.as_ref() == Some(&point.id);
    let exact = [CaptureMode::VersionExact, CaptureMode::ExportExact, CaptureMode::SnapshotExact, CaptureMode::Sealed];
    let right = if names_it {
        facts.mode == registered.mode || !exact.contains(&facts.mode)
    } else {
        !exact.contains(&facts.mode) && registered.captured_end <= point.created_at
    };
    faults.demand(right, Rule::ModeNotDowngraded, result.leaf, || {
        let named = registered.recovery_point_id.as_ref().map_or_else(|| "no point".to_owned(), |id| format!("`{id}`"));
        format!(
            "the manifest names {named} and was captured until {} as {}; `{}` of {} was compared as {}",
            registered.captured_end, registered.mode, point.id, point.created_at, facts.mode
        )
    });
}

fn check_outcome(result: &Placed<'_, PointResult>, policy: Option<&ClassPolicy>, knows_exceptions: bool, faults: &mut Faults) {
    let body = result.body;
    // What earlier versions made of checks that do not apply was a plain pass.
    let earlier = policy.filter(|_| !knows_exceptions).map(|policy| ClassPolicy { checks: Default::default(), ..policy.clone() });
    let policy = earlier.as_ref().or(policy);
    if body.outcome.is_pass() {
        for (rule, why) in pass::objections(body, policy, body.outcome) {
            faults.at(rule, result.leaf, format!("case {} is recorded as {}: {why}", body.case, body.outcome));
        }
    }
    let needs_reason = body.outcome != crate::model::outcome::Outcome::Pass;
    faults.demand(!needs_reason || !body.outcome_reasons.is_empty(), Rule::OutcomeWithoutReason, result.leaf, || {
        format!("case {} is recorded as {} without a reason", body.case, body.outcome)
    });
}
