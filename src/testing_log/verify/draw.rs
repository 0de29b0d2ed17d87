//! Populations, plans and draws: the sample re-derives from what was committed before it.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::ids::PointId;
use crate::testing_log::body::{DrillPlanned, PolicySet, PopulationCommitted, Strength};
use crate::testing_log::entry::Body;
use crate::testing_log::sample;
use crate::testing_log::verify::drills::{Drill, Placed};
use crate::testing_log::verify::fault::{Faults, Rule};
use crate::testing_log::verify::reading::Reading;
use crate::testing_log::verify::seals::Sealing;

/// Checks one drill's population and its plan.
pub fn check(origin: &str, reading: &Reading, sealing: &Sealing, drill: &Drill<'_>, faults: &mut Faults) {
    let Some(population) = drill.populations.first() else { return };
    check_population(population, faults);
    let Some(plan) = drill.plans.first() else { return };
    check_plan(population, plan, sealing, faults);
    check_policy(reading, plan, faults);
    check_draw(origin, population, plan, faults);
    check_cases(population.body, plan, faults);
}

fn check_population(population: &Placed<'_, PopulationCommitted>, faults: &mut Faults) {
    let (leaf, body) = (population.leaf, population.body);
    for pair in body.population.windows(2) {
        faults.demand(pair[0].id.0.as_bytes() < pair[1].id.0.as_bytes(), Rule::PopulationInconsistent, leaf, || {
            format!("`{}` does not come before `{}` in byte order", pair[0].id, pair[1].id)
        });
    }
    let ids: BTreeSet<&str> = body.population.iter().map(|item| item.id.0.as_str()).collect();
    for excluded in &body.excluded {
        faults.demand(!ids.contains(excluded.id.as_str()), Rule::PopulationInconsistent, leaf, || {
            format!("`{}` is in the population and excluded", excluded.id)
        });
    }
    let mut sizes: BTreeMap<&str, u64> = BTreeMap::new();
    for item in &body.population {
        *sizes.entry(&item.stratum).or_default() += 1;
    }
    let mut seen = BTreeSet::new();
    for stratum in &body.strata {
        let size = sizes.get(stratum.name.as_str()).copied().unwrap_or(0);
        let right = seen.insert(stratum.name.as_str()) && stratum.size == size && stratum.sample <= size;
        faults.demand(right, Rule::StrataDiffer, leaf, || {
            format!("stratum `{}` says {} of {}; the population has {size}", stratum.name, stratum.sample, stratum.size)
        });
    }
    for name in sizes.keys().filter(|name| !seen.contains(*name)) {
        faults.at(Rule::StrataDiffer, leaf, format!("stratum `{name}` has points and is not listed"));
    }
    for targeted in &body.targeted {
        faults.demand(ids.contains(targeted.id.0.as_str()), Rule::TargetedNotInPopulation, leaf, || {
            format!("`{}` is drilled by rule and not in the population", targeted.id)
        });
    }
    let expected = population.entry.prev_checkpoint.map(|head| format!("checkpoint:{}:{}", head.size, head.root));
    faults.demand(expected.as_deref() == Some(body.beacon.as_str()), Rule::BeaconDiffers, leaf, || {
        format!("expected the checkpoint before the population ({}), found {}", expected.unwrap_or_default(), body.beacon)
    });
}

fn check_plan(population: &Placed<'_, PopulationCommitted>, plan: &Placed<'_, DrillPlanned>, sealing: &Sealing, faults: &mut Faults) {
    let (committed, body, sample) = (population.body, plan.body, &plan.body.sample);
    let same = body.drill_seq == committed.drill_seq
        && body.deadline_at == committed.deadline_at
        && sample.beacon == committed.beacon
        && sample.population_leaf == population.leaf
        && sample.population_leaf_hash == population.entry.hash;
    faults.demand(same, Rule::PlanDiffers, plan.leaf, || {
        format!("number, deadline, beacon or population are not those of entry {}", population.leaf)
    });
    faults.demand(sealing.between(population.leaf, plan.leaf), Rule::PopulationNotSealed, plan.leaf, || {
        format!("no checkpoint that holds lies between the population (entry {}) and its plan", population.leaf)
    });
    faults.demand(sample.strength == Strength::Weaker, Rule::StrengthUnproved, plan.leaf, || {
        "the draw is called strong, and nothing from outside dates its commitment".into()
    });
}

fn check_policy(reading: &Reading, plan: &Placed<'_, DrillPlanned>, faults: &mut Faults) {
    let in_force = reading.entries.iter().rev().find_map(|(leaf, entry)| match &entry.body {
        Body::PolicySet(policy) if *leaf < plan.leaf => Some((*leaf, policy)),
        _ => None,
    });
    let named = plan.body.policy_leaf;
    match in_force {
        Some((leaf, policy)) if leaf == named && policy.config == plan.body.config => {}
        Some((leaf, _)) => {
            faults.at(
                Rule::PolicyNotInForce,
                plan.leaf,
                format!("it names entry {named}; the policy in force is entry {leaf} with its digest"),
            );
        }
        None => faults.at(Rule::PolicyNotInForce, plan.leaf, format!("it names entry {named}; no policy was set before it")),
    }
}

/// The policy that a plan names, where it is one.
pub fn policy_of<'a>(reading: &'a Reading, plan: &DrillPlanned) -> Option<&'a PolicySet> {
    match reading.entry(plan.policy_leaf).map(|entry| &entry.body) {
        Some(Body::PolicySet(policy)) => Some(policy),
        _ => None,
    }
}

fn check_draw(origin: &str, population: &Placed<'_, PopulationCommitted>, plan: &Placed<'_, DrillPlanned>, faults: &mut Faults) {
    let (committed, drawn) = (population.body, &plan.body.sample);
    let seed = sample::seed(origin, &population.entry.hash, &committed.beacon);
    faults.demand(drawn.seed == seed, Rule::SeedDiffers, plan.leaf, || format!("expected seed {seed}, found {}", drawn.seed));
    let expected = sample::select(&seed, &committed.population, &committed.strata);
    let same = drawn.method == sample::METHOD && drawn.selected == expected;
    faults.demand(same, Rule::SelectionDiffers, plan.leaf, || {
        let missing = expected.iter().find(|selected| !drawn.selected.contains(selected));
        let first = missing.map_or_else(String::new, |selected| format!("; `{}` should have been drawn", selected.id));
        format!("population and seed give another sample by {}{first}", sample::METHOD)
    });
}

fn check_cases(committed: &PopulationCommitted, plan: &Placed<'_, DrillPlanned>, faults: &mut Faults) {
    let body = plan.body;
    let wanted: BTreeSet<&PointId> =
        body.sample.selected.iter().map(|selected| &selected.id).chain(committed.targeted.iter().map(|targeted| &targeted.id)).collect();
    let points: BTreeSet<&PointId> = body.cases.iter().map(|case| &case.point).collect();
    let names: BTreeSet<_> = body.cases.iter().map(|case| &case.case).collect();
    let each_once = points.len() == body.cases.len() && names.len() == body.cases.len();
    faults.demand(wanted == points && each_once, Rule::CasesDiffer, plan.leaf, || {
        format!("expected one case for each of {} drawn and targeted points, found {} cases", wanted.len(), body.cases.len())
    });
    for case in &body.cases {
        let item = committed.population.iter().find(|item| item.id == case.point);
        let same = item.is_some_and(|item| item.resource == case.resource && item.stratum == case.class);
        faults.demand(same, Rule::CasesDiffer, plan.leaf, || {
            format!("case {} does not have the resource and class of `{}` in the population", case.case, case.point)
        });
    }
}
