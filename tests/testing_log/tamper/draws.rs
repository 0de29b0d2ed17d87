//! What an operator can do to a population, a plan and its draw.

use attestore::model::digest::{Digest32, Sha256Digest};
use attestore::testing_log::body::*;
use attestore::testing_log::entry::Body;
use attestore::testing_log::verify::fault::Rule;

use crate::promised::{SECOND, TABLE, VAULT_NEWEST, promised};
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
            "draw fewer than the class demands",
            Rule::SampleTooSmall,
            Told(|story| (story.edit, story.config) = (committing(|p| p.strata[0].sample = 4), config("", ""))),
        ),
        ("target nothing of what is due", Rule::DueNotTargeted, Told(|story| story.edit = committing(|p| p.targeted.clear()))),
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

/// A drill that promises all, whose population is changed by `change`.
fn committing(change: impl Fn(&mut PopulationCommitted) + 'static) -> support::Edit {
    let mut honest = promised();
    Box::new(move |body, nth| {
        honest(body, nth);
        if let Body::PopulationCommitted(population) = body {
            change(population);
        }
    })
}

/// The configuration that the drill is held under, with more in the class of the bucket, and in that of the databases.
fn config(files: &str, bank: &str) -> Vec<u8> {
    let class = |name: &str, rto: &str, rpo: &str, more: &str| {
        format!("[class.{name}]\nrto = \"{rto}\"\nrpo = \"{rpo}\"\ntest_period = \"90d\"\nindeterminate_budget = 2\n{more}\n")
    };
    format!(
        "version = 1\n{}{}",
        class("files", "4h", "24h", files),
        class("bank", "1h", "not_required", &format!("checks = [\"bank\"]\n{bank}"))
    )
    .into_bytes()
}

/// The faults of a drill under this configuration that draws so many of the bucket's five points, and of the databases' three.
fn drawing(files: u64, bank: u64, config: Vec<u8>) -> Vec<&'static str> {
    let edit = committing(move |p| (p.strata[0].sample, p.strata[1].sample) = (files, bank));
    support::build(support::Story { edit, config, ..Default::default() }).names()
}

#[test]
fn a_draw_is_as_large_as_its_configuration_demands() {
    let (two, half) = ("sample = { count = 2 }", "sample = { confidence_ppm = 950000 }");
    // Of five points with two bad ones, two that are good show it with 70 % confidence, and one with 40 %.
    let bounded = "sample = { confidence_ppm = 500000, tolerable_ppm = 400000 }";
    let (small, confident) = (Rule::SampleTooSmall.as_str(), Rule::InferenceDiffers.as_str());
    for (files, bank, config, expected) in [
        (5, 3, config("", ""), vec![]),
        (4, 3, config("", ""), vec![small]),
        (5, 0, config("", ""), vec![small]),
        (2, 0, b"version = 1\n".to_vec(), vec![]),
        (2, 3, config(two, two), vec![]),
        (2, 1, config(two, two), vec![small]),
        (4, 3, config(half, ""), vec![small]),
        // The bound of the story is told with the confidence of a class that names none.
        (2, 3, config(bounded, ""), vec![confident]),
        (1, 3, config(bounded, ""), vec![confident, small]),
        // A form that is not known yet.
        (1, 3, config("sample = \"by the moon\"", ""), vec![]),
    ] {
        assert_eq!(drawing(files, bank, config.clone()), expected, "{files} {bank} {}", String::from_utf8(config).unwrap());
    }
}

#[test]
fn a_resource_has_the_stratum_of_its_class() {
    let resource = |id: &str, kind: &str, from: &str, class: &str| {
        format!("[[resource]]\nid = \"{id}\"\nkind = \"{kind}\"\nclass = \"{class}\"\npoints = [{{ from = \"{from}\" }}]\n")
    };
    let told = |resources: &[String]| {
        let config = [config("", ""), resources.concat().into_bytes()].concat();
        let world = support::build(support::Story { edit: promised(), config, ..Default::default() });
        world.names().contains(&Rule::StrataDiffer.as_str())
    };
    let vault = |class: &str| resource("vault", "s3", "aws-backup", class);
    let crm = resource("crm", "rds-postgres", "rds-pitr", "bank");
    assert!(!told(&[vault("files"), crm.clone()]));
    assert!(told(&[vault("bank"), crm.clone()]));
    assert!(told(&[crm]), "of no resource that is configured");
    let split = committing(|p| {
        p.population.iter_mut().find(|item| item.id.0 == VAULT_NEWEST).unwrap().stratum = "bank".into();
        (p.strata[0].size, p.strata[0].sample, p.strata[1].size, p.strata[1].sample) = (4, 4, 4, 4);
    });
    let world = support::build(support::Story { edit: split, ..Default::default() });
    assert!(world.names().contains(&Rule::StrataDiffer.as_str()), "in two strata");
}

/// What the drill has to target, where an earlier result of the databases' is in the log.
#[test]
fn what_is_due_by_the_log_before_is_drilled_by_rule() {
    use attestore::model::outcome::Outcome::{Fail, Inconclusive, Pass};
    let honest = support::build(support::Story { edit: promised(), ..Default::default() });
    let entries = honest.verdict(&Default::default()).entries;
    let mut results =
        entries.iter().filter_map(|entry| if let Body::PointResult(result) = &entry.body { Some(result.clone()) } else { None });
    let of_crm = results.rfind(|result| result.resource.0 == "crm").unwrap();
    let (both, vault, crm) = ([TABLE, VAULT_NEWEST].as_slice(), [VAULT_NEWEST].as_slice(), [TABLE].as_slice());
    for (earlier, period_s, targeted, is_told) in [
        (None, Some(7_776_000), both, false),
        (None, Some(7_776_000), vault, true),
        (None, Some(7_776_000), crm, true),
        (None, Some(7_776_000), &[SECOND, VAULT_NEWEST], true),
        (None, None, &[], false),
        (Some(Pass), Some(7_776_000), vault, false),
        (Some(Fail), Some(7_776_000), vault, false),
        (Some(Pass), Some(7_776_000), both, false),
        (Some(Pass), Some(7_776_000), crm, true),
        (Some(Inconclusive), Some(7_776_000), vault, true),
        (Some(Pass), Some(1), vault, true),
    ] {
        let mut honest = promised();
        let edit = move |body: &mut Body, nth: usize| {
            honest(body, nth);
            match body {
                Body::PolicySet(policy) => policy.classes.values_mut().for_each(|class| class.test_period_s = period_s),
                Body::PopulationCommitted(population) => {
                    let one = |id: &&str| Targeted { id: (*id).into(), reason: "never tested".into() };
                    population.targeted = targeted.iter().map(one).collect();
                }
                _ => {}
            }
        };
        let mut story = support::Story { edit: Box::new(edit), ..Default::default() };
        if let Some(outcome) = earlier {
            let mut result = of_crm.clone();
            (result.drill_id, result.outcome) = ("d20260101-020000-0000".into(), outcome);
            after(&mut story, "manifest.registered", move |writer| append(writer, Body::PointResult(result.clone())));
        }
        let found = support::build(story).names().contains(&Rule::DueNotTargeted.as_str());
        assert_eq!(found, is_told, "{earlier:?} {period_s:?} {targeted:?}");
    }
    let reasoned = committing(|p| p.targeted[0].reason = "last tested yesterday".into());
    let world = support::build(support::Story { edit: reasoned, ..Default::default() });
    assert_eq!(world.names(), [Rule::DueNotTargeted.as_str()], "for another reason");
}

#[test]
fn manipulated_draws_end_in_their_named_fault() {
    all_end_in_their_fault(draws());
}
