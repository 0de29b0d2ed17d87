//! What an operator can do to a population, a plan and its draw.

use attestore::model::digest::{Digest32, Sha256Digest};
use attestore::testing_log::body::*;
use attestore::testing_log::entry::Body;
use attestore::testing_log::verify::fault::Rule;

use crate::support;
use crate::tamper::How::{BigLie, Lie, Story as Told};
use crate::tamper::{Tamper, after, all_end_in_their_fault, append, find, plan, population};

pub fn draws() -> Vec<Tamper> {
    vec![
        (
            "leave a drill out",
            Rule::DrillSeqGap,
            Lie(|body, _| match body {
                Body::PopulationCommitted(population) => population.drill_seq = 2,
                Body::DrillPlanned(plan) => plan.drill_seq = 2,
                Body::DrillClosed(closed) => closed.drill_seq = 2,
                _ => {}
            }),
        ),
        (
            "commit two populations for a drill",
            Rule::DrillIdRepeated,
            Told(|story| {
                after(story, "population.committed", |writer| {
                    let Body::PopulationCommitted(mut again) = find(writer, "population.committed").body else { unreachable!() };
                    again.drill_seq = 2;
                    append(writer, Body::PopulationCommitted(again));
                    writer.checkpoint().unwrap();
                })
            }),
        ),
        (
            "use a beacon twice",
            Rule::BeaconReused,
            Told(|story| {
                after(story, "drill.closed", |writer| {
                    let Body::PopulationCommitted(mut again) = find(writer, "population.committed").body else { unreachable!() };
                    again.drill_seq = 2;
                    again.drill_id = "d20260201-020000-0000".into();
                    append(writer, Body::PopulationCommitted(again));
                    writer.checkpoint().unwrap();
                })
            }),
        ),
        ("choose a beacon", Rule::BeaconDiffers, Lie(|body, _| population(body, |p| p.beacon = "auditor:00".into()))),
        ("shuffle the population", Rule::PopulationInconsistent, Lie(|body, _| population(body, |p| p.population.swap(0, 1)))),
        (
            "exclude a point that is in",
            Rule::PopulationInconsistent,
            Lie(|body, _| {
                population(body, |p| {
                    p.excluded[0].id = p.population[3].id.0.clone();
                })
            }),
        ),
        ("understate a stratum", Rule::StrataDiffer, BigLie(|body, _| population(body, |p| p.strata[1].size = 4))),
        ("forget a stratum", Rule::StrataDiffer, BigLie(|body, _| population(body, |p| drop(p.strata.remove(0))))),
        (
            "target what is not there",
            Rule::TargetedNotInPopulation,
            BigLie(|body, _| {
                population(body, |p| {
                    p.targeted[0].id = "file:other".into();
                })
            }),
        ),
        (
            "plan without a population",
            Rule::PlanWithoutPopulation,
            Told(|story| {
                after(story, "population.committed", |writer| {
                    let Body::PopulationCommitted(population) = find(writer, "population.committed").body else { unreachable!() };
                    let leaf = attestore::testing_log::writer::Leaf { index: 0, hash: Digest32([0; 32]) };
                    let Body::PolicySet(policy) = find(writer, "policy.set").body else { unreachable!() };
                    let mut plan = support::plan(&population, leaf, 1, &policy);
                    plan.drill_id = "d20260201-020000-0000".into();
                    append(writer, Body::DrillPlanned(plan));
                })
            }),
        ),
        (
            "draw again",
            Rule::PlanRepeated,
            Told(|story| {
                after(story, "drill.planned", |writer| {
                    let again = find(writer, "drill.planned").body;
                    append(writer, again);
                    writer.checkpoint().unwrap();
                })
            }),
        ),
        ("move the deadline", Rule::PlanDiffers, Lie(|body, _| plan(body, |p| p.deadline_at = p.deadline_at.plus_secs(1)))),
        (
            "plan before the population is sealed",
            Rule::PopulationNotSealed,
            Told(|story| story.seal = |kind| kind != "population.committed"),
        ),
        ("choose a seed", Rule::SeedDiffers, Lie(|body, _| plan(body, |p| p.sample.seed = Digest32([1; 32])))),
        (
            "re-draw",
            Rule::SelectionDiffers,
            BigLie(|body, _| {
                plan(body, |p| {
                    let drawn: Vec<_> = p.sample.selected.iter().map(|s| s.id.clone()).collect();
                    p.sample.selected[0].id = drawn[1].clone();
                })
            }),
        ),
        ("rank by another method", Rule::SelectionDiffers, Lie(|body, _| plan(body, |p| p.sample.method = "coin/v1".into()))),
        ("call a weak draw strong", Rule::StrengthUnproved, Lie(|body, _| plan(body, |p| p.sample.strength = Strength::Strong))),
        ("leave a drawn point out", Rule::CasesDiffer, BigLie(|body, _| plan(body, |p| drop(p.cases.remove(0))))),
        ("try a point twice", Rule::CasesDiffer, BigLie(|body, _| plan(body, |p| p.cases[0].point = p.cases[1].point.clone()))),
        ("name another policy", Rule::PolicyNotInForce, BigLie(|body, _| plan(body, |p| p.policy_leaf = 0))),
        ("change the configuration", Rule::PolicyNotInForce, Lie(|body, _| plan(body, |p| p.config = Sha256Digest::of(b"other")))),
    ]
}

#[test]
fn manipulated_draws_end_in_their_named_fault() {
    all_end_in_their_fault(draws());
}
