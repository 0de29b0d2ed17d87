//! Starts and closes: the plan is sealed before anything is requested, and the totals add up to plan and results.

use std::collections::BTreeMap;

use crate::model::ids::PointId;
use crate::model::outcome::Outcome;
use crate::testing_log::body::{DrillClosed, DrillPlanned, PopulationCommitted};
use crate::testing_log::verify::drills::{Drill, Placed};
use crate::testing_log::verify::fault::{Faults, Rule};
use crate::testing_log::verify::seals::Sealing;
use crate::testing_log::{drill_outcome, sample};

/// Checks one drill's start and its end.
pub fn check(sealing: &Sealing, drill: &Drill<'_>, faults: &mut Faults) {
    let Some(plan) = drill.plans.first() else { return };
    let first = drill.starts.iter().map(|placed| placed.leaf).chain(drill.results.iter().map(|placed| placed.leaf)).min();
    if let Some(first) = first {
        faults.demand(sealing.between(plan.leaf, first), Rule::PlanNotSealed, first, || {
            format!("no checkpoint that holds lies between the plan (entry {}) and this: it could have been written afterwards", plan.leaf)
        });
    }
    // Two ends contradict each other even when they agree.
    let mut ends: Vec<u64> = drill.closes.iter().map(|placed| placed.leaf).chain(drill.aborts.iter().map(|placed| placed.leaf)).collect();
    ends.sort_unstable();
    for leaf in ends.into_iter().skip(1) {
        faults.at(Rule::EntryAfterEnd, leaf, format!("drill {} has ended already", plan.body.drill_id));
    }
    for aborted in &drill.aborts {
        faults.demand(aborted.body.drill_seq == plan.body.drill_seq, Rule::TotalsDiffer, aborted.leaf, || {
            format!("drill {} of the log is called number {}", plan.body.drill_seq, aborted.body.drill_seq)
        });
    }
    let Some(closed) = drill.closes.first() else { return };
    check_totals(plan, closed, drill, faults);
    if let Some(population) = drill.populations.first() {
        check_inference(population.body, plan.body, closed, drill, faults);
    }
}

fn check_totals(plan: &Placed<'_, DrillPlanned>, closed: &Placed<'_, DrillClosed>, drill: &Drill<'_>, faults: &mut Faults) {
    let body = closed.body;
    for case in &plan.body.cases {
        let there = drill.results.iter().any(|result| result.body.case == case.case && result.leaf < closed.leaf);
        faults.demand(there, Rule::ResultMissing, closed.leaf, || format!("case {} was planned and has no result", case.case));
    }
    let mut outcomes: BTreeMap<&str, u64> = BTreeMap::new();
    for result in &drill.results {
        *outcomes.entry(result.body.outcome.as_str()).or_default() += 1;
    }
    let stated: BTreeMap<&str, u64> = body.outcomes.iter().filter(|(_, n)| **n > 0).map(|(name, n)| (name.as_str(), *n)).collect();
    let left: u64 = drill.results.iter().map(|result| result.body.teardown.leftover_count).sum();
    let planned = plan.body.cases.len() as u64;
    let add_up = body.planned == planned
        && body.drill_seq == plan.body.drill_seq
        && stated == outcomes
        && body.leftover_count == left
        && stated.values().sum::<u64>() == planned;
    faults.demand(add_up, Rule::TotalsDiffer, closed.leaf, || {
        format!(
            "expected {planned} cases with {outcomes:?} and {left} left behind, found {} with {stated:?} and {}",
            body.planned, body.leftover_count
        )
    });
    let cases = || drill.results.iter().map(|result| result.body.outcome);
    let outcome = match drill.populations.first() {
        Some(population) => drill_outcome::of(plan.body, population.body, cases()),
        None => Outcome::of_all(cases()),
    };
    faults.demand(body.outcome == outcome, Rule::OutcomeDiffers, closed.leaf, || {
        format!("the gravest outcome of its cases, and of what was left out, is {outcome}, found {}", body.outcome)
    });
}

fn check_inference(
    population: &PopulationCommitted,
    plan: &DrillPlanned,
    closed: &Placed<'_, DrillClosed>,
    drill: &Drill<'_>,
    faults: &mut Faults,
) {
    let confidences = closed.body.inference.iter().map(|inference| (inference.stratum.clone(), inference.confidence_ppm)).collect();
    let outcome = |point: &PointId| drill.results.iter().find(|result| result.body.rp.id == *point).map(|result| result.body.outcome);
    let mut expected = sample::inference(&population.population, &population.strata, &plan.sample.selected, &confidences, &outcome);
    let mut found = closed.body.inference.clone();
    expected.sort_by(|a, b| a.stratum.cmp(&b.stratum));
    found.sort_by(|a, b| a.stratum.cmp(&b.stratum));
    faults.demand(expected == found, Rule::InferenceDiffers, closed.leaf, || {
        let first = expected.iter().find(|inference| !found.contains(inference));
        let wanted = first.map_or_else(
            || "nothing more than its strata".to_owned(),
            |i| {
                format!(
                    "stratum `{}`: {} drawn of {}, {} deviations, at most {} bad",
                    i.stratum, i.drawn, i.population, i.deviations, i.upper_bound
                )
            },
        );
        format!("the sample says {wanted}; found something else")
    });
}
