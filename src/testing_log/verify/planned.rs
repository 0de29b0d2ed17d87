//! What a population commits a drill to, held to what it had to: of each class as many points are drawn as the configuration in the evidence
//! demands, and what is due by its class's period is drilled by rule. A sample of one that passes says nothing of what was left out.
//!
//! What is due follows from the policy, the population and the results before it. Not here: which points belong into the population (`listed`), and
//! whether what was drawn is what chance gave (`draw`).

use std::collections::BTreeMap;

use crate::model::ids::ResourceId;
use crate::testing_log::body::{DrillPlanned, PopulationCommitted};
use crate::testing_log::due;
use crate::testing_log::verify::demands::Demands;
use crate::testing_log::verify::draw::policy_of;
use crate::testing_log::verify::drills::{Drill, Placed};
use crate::testing_log::verify::fault::{Faults, Rule};
use crate::testing_log::verify::reading::Reading;
use crate::testing_log::verify::reference::DEADLINE_S;

/// Checks the population of a drill whose plan promises that what it writes states all; `demands` are those of its configuration, where the
/// evidence still has it.
pub fn check(reading: &Reading, drill: &Drill<'_>, demands: Option<&Demands>, faults: &mut Faults) {
    let (Some(population), Some(plan)) = (drill.populations.first(), drill.plans.first()) else { return };
    if !plan.body.promises_all() {
        return;
    }
    check_due(reading, population, plan.body, faults);
    check_classes(population, demands, faults);
    let Some(demands) = demands else {
        faults.unheld(population.leaf, "the configuration is withheld: how many points had to be drawn could not be held to it");
        return;
    };
    check_samples(population, demands, faults);
    check_confidences(drill, demands, faults);
}

/// What the rule of the drill targets is targeted, for the rule's reason.
fn check_due(reading: &Reading, population: &Placed<'_, PopulationCommitted>, plan: &DrillPlanned, faults: &mut Faults) {
    let Some(policy) = policy_of(reading, plan) else { return };
    let body = population.body;
    let period_s = |class: &str| policy.classes.get(class).and_then(|class| class.test_period_s);
    let before = reading.entries.iter().take_while(|(leaf, _)| *leaf < population.leaf).map(|(_, entry)| entry);
    // A drill begins before it commits: what a deadline says beyond that is not its beginning.
    let began = body.deadline_at.plus_secs(-DEADLINE_S).min(population.entry.at);
    for wanted in due::targeted(&body.population, &period_s, &due::history(before), began) {
        faults.demand(body.targeted.contains(&wanted), Rule::DueNotTargeted, population.leaf, || {
            let found = body.targeted.iter().find(|targeted| targeted.id == wanted.id);
            let found = found.map_or_else(|| "it is not".to_owned(), |found| format!("found {}", found.reason));
            format!("`{}` is to be drilled by rule ({}); {found}", wanted.id, wanted.reason)
        });
    }
}

/// The points of a resource are in one stratum, that of its class: another class has other demands.
fn check_classes(population: &Placed<'_, PopulationCommitted>, demands: Option<&Demands>, faults: &mut Faults) {
    // A configuration without classes or resources is none that a drill was held under.
    let demands = demands.filter(|demands| !demands.classes.is_empty() && !demands.resources.is_empty());
    let mut class_of: BTreeMap<&ResourceId, &str> = BTreeMap::new();
    for item in &population.body.population {
        let first = *class_of.entry(&item.resource).or_insert(&item.stratum);
        let expected = match demands {
            Some(demands) => demands.resources.get(&item.resource.0).map(|resource| resource.class.as_str()),
            None => Some(first),
        };
        faults.demand(expected == Some(item.stratum.as_str()), Rule::StrataDiffer, population.leaf, || {
            let expected = expected.map_or_else(|| "is not in the configuration".to_owned(), |class| format!("has the class `{class}`"));
            format!("`{}` is in the stratum `{}`; its resource {} {expected}", item.id, item.stratum, item.resource)
        });
    }
}

fn check_samples(population: &Placed<'_, PopulationCommitted>, demands: &Demands, faults: &mut Faults) {
    let mut sizes: BTreeMap<&str, u64> = BTreeMap::new();
    for item in &population.body.population {
        *sizes.entry(&item.stratum).or_default() += 1;
    }
    for stratum in &population.body.strata {
        let Some(wanted) = demands.samples.get(&stratum.name) else { continue };
        let size = sizes.get(stratum.name.as_str()).copied().unwrap_or(0);
        let least = due::sample_of(*wanted, size);
        faults.demand(stratum.sample >= least, Rule::SampleTooSmall, population.leaf, || {
            format!("stratum `{}`: its configuration demands that {least} of {size} are drawn, found {}", stratum.name, stratum.sample)
        });
    }
}

/// The bounds of a drill are told with the confidence of their classes.
fn check_confidences(drill: &Drill<'_>, demands: &Demands, faults: &mut Faults) {
    let Some(closed) = drill.closes.first() else { return };
    for inference in &closed.body.inference {
        let Some(wanted) = demands.samples.get(&inference.stratum) else { continue };
        let (expected, found) = (due::confidence_of(*wanted), inference.confidence_ppm);
        faults.demand(expected == found, Rule::InferenceDiffers, closed.leaf, || {
            format!("stratum `{}`: its confidence is {expected} millionths, found {found}", inference.stratum)
        });
    }
}
