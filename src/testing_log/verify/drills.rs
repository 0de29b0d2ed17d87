//! The entries of each drill, gathered; their sequence over the log; and how each drill stands.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::clock::Timestamp;
use crate::model::ids::DrillId;
use crate::testing_log::body::{DrillAborted, DrillClosed, DrillPlanned, DrillStarted, PopulationCommitted};
use crate::testing_log::entry::{Body, Entry};
use crate::testing_log::point_result::PointResult;
use crate::testing_log::verify::fault::{Faults, Rule};
use crate::testing_log::verify::reading::Reading;
use crate::testing_log::verify::verdict::{DrillEnd, DrillState};

/// A body with its place and its date.
#[derive(Debug)]
pub struct Placed<'a, T> {
    /// The leaf.
    pub leaf: u64,
    /// Its envelope.
    pub entry: &'a Entry,
    /// What it says.
    pub body: &'a T,
}

impl<T> Clone for Placed<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Placed<'_, T> {}

/// The entries of one drill, each kind in the order of the log.
#[derive(Debug, Default)]
pub struct Drill<'a> {
    /// Exactly one, unless a fault says otherwise.
    pub populations: Vec<Placed<'a, PopulationCommitted>>,
    /// At most one.
    pub plans: Vec<Placed<'a, DrillPlanned>>,
    /// At most one; a run that went on after a crash does not start again.
    pub starts: Vec<Placed<'a, DrillStarted>>,
    /// One a case.
    pub results: Vec<Placed<'a, PointResult>>,
    /// At most one, and then no abort.
    pub closes: Vec<Placed<'a, DrillClosed>>,
    /// At most one, and then no close.
    pub aborts: Vec<Placed<'a, DrillAborted>>,
}

impl<'a> Drill<'a> {
    /// The first end: leaf, date.
    pub fn end(&self) -> Option<(u64, Timestamp)> {
        let closes = self.closes.iter().map(|placed| (placed.leaf, placed.entry.at));
        let aborts = self.aborts.iter().map(|placed| (placed.leaf, placed.entry.at));
        closes.chain(aborts).min()
    }

    /// The leaves of all its entries but populations.
    fn leaves(&self) -> BTreeSet<u64> {
        let mut leaves = BTreeSet::new();
        leaves.extend(self.plans.iter().map(|placed| placed.leaf));
        leaves.extend(self.starts.iter().map(|placed| placed.leaf));
        leaves.extend(self.results.iter().map(|placed| placed.leaf));
        leaves.extend(self.closes.iter().map(|placed| placed.leaf));
        leaves.extend(self.aborts.iter().map(|placed| placed.leaf));
        leaves
    }
}

/// Gathers the entries of each drill.
pub fn gather(reading: &Reading) -> BTreeMap<&DrillId, Drill<'_>> {
    let mut drills: BTreeMap<&DrillId, Drill<'_>> = BTreeMap::new();
    for (leaf, entry) in &reading.entries {
        let leaf = *leaf;
        match &entry.body {
            Body::PopulationCommitted(body) => drills.entry(&body.drill_id).or_default().populations.push(Placed { leaf, entry, body }),
            Body::DrillPlanned(body) => drills.entry(&body.drill_id).or_default().plans.push(Placed { leaf, entry, body }),
            Body::DrillStarted(body) => drills.entry(&body.drill_id).or_default().starts.push(Placed { leaf, entry, body }),
            Body::PointResult(body) => drills.entry(&body.drill_id).or_default().results.push(Placed { leaf, entry, body }),
            Body::DrillClosed(body) => drills.entry(&body.drill_id).or_default().closes.push(Placed { leaf, entry, body }),
            Body::DrillAborted(body) => drills.entry(&body.drill_id).or_default().aborts.push(Placed { leaf, entry, body }),
            _ => {}
        }
    }
    drills
}

/// `drill_seq` counts from 1 without a gap, drills have identities and beacons of their own, and nothing of a drill lies before its
/// population or after its end.
pub fn check_sequence(drills: &BTreeMap<&DrillId, Drill<'_>>, faults: &mut Faults) {
    let mut populations: Vec<Placed<'_, PopulationCommitted>> = drills.values().flat_map(|drill| drill.populations.clone()).collect();
    populations.sort_by_key(|placed| placed.leaf);
    let (mut ids, mut beacons) = (BTreeSet::new(), BTreeSet::new());
    for (expected, population) in (1u64..).zip(&populations) {
        let found = population.body.drill_seq;
        faults.demand(found == expected, Rule::DrillSeqGap, population.leaf, || {
            format!("expected drill {expected} of the log, found number {found}: a drill is missing or was put in")
        });
        faults.demand(ids.insert(&population.body.drill_id), Rule::DrillIdRepeated, population.leaf, || {
            format!("a second population for drill {}", population.body.drill_id)
        });
        faults.demand(beacons.insert(&population.body.beacon), Rule::BeaconReused, population.leaf, || {
            format!("the beacon {} has served an earlier draw", population.body.beacon)
        });
    }
    for (id, drill) in drills {
        check_order(id, drill, faults);
    }
    check_promises(drills, faults);
}

/// What plans promise of their results does not become less in the course of a log: whoever wrote the later ones knew the earlier promise.
fn check_promises(drills: &BTreeMap<&DrillId, Drill<'_>>, faults: &mut Faults) {
    let mut plans: Vec<&Placed<'_, DrillPlanned>> = drills.values().flat_map(|drill| &drill.plans).collect();
    plans.sort_by_key(|placed| placed.leaf);
    for (leaf, promised, earlier) in less_than_before(plans.iter().map(|placed| (placed.leaf, placed.body.result_version))) {
        let said = |version: Option<u32>| version.map_or_else(|| "nothing".to_owned(), |version| format!("results of version {version}"));
        let what = format!("its plan promises {}, and an earlier one of this log {}", said(promised), said(earlier));
        faults.at(Rule::FactMissing, leaf, what);
    }
}

/// Which of these promises, in the order of the log, are less than one before them, and than which.
fn less_than_before(plans: impl Iterator<Item = (u64, Option<u32>)>) -> Vec<(u64, Option<u32>, Option<u32>)> {
    let mut most = None;
    let mut less = Vec::new();
    for (leaf, promised) in plans {
        if promised < most {
            less.push((leaf, promised, most));
        }
        most = most.max(promised);
    }
    less
}

fn check_order(id: &DrillId, drill: &Drill<'_>, faults: &mut Faults) {
    let population = drill.populations.first().map(|placed| placed.leaf);
    for placed in &drill.plans {
        faults.demand(population.is_some_and(|leaf| leaf < placed.leaf), Rule::PlanWithoutPopulation, placed.leaf, || {
            format!("a plan of drill {id} without a population before it")
        });
    }
    for placed in drill.plans.iter().skip(1) {
        faults.at(Rule::PlanRepeated, placed.leaf, format!("a second plan of drill {id}: a draw that can be repeated can be chosen"));
    }
    let plan = drill.plans.first();
    for placed in &drill.starts {
        let named = plan.is_some_and(|plan| plan.leaf < placed.leaf && placed.body.planned_leaf == plan.leaf);
        faults.demand(named, Rule::StartDiffers, placed.leaf, || {
            format!("it names entry {} as its plan, which is not the plan of drill {id} before it", placed.body.planned_leaf)
        });
    }
    let start = drill.starts.first().map(|placed| placed.leaf);
    for placed in &drill.results {
        faults.demand(start.is_some_and(|leaf| leaf < placed.leaf), Rule::ResultBeforeStart, placed.leaf, || {
            format!("a result of drill {id} without a start before it")
        });
    }
    if let Some((end, _)) = drill.end() {
        for leaf in drill.leaves().into_iter().filter(|leaf| *leaf > end) {
            faults.at(Rule::EntryAfterEnd, leaf, format!("drill {id} ended at entry {end}"));
        }
    }
}

/// How each drill stands as of `now`, in the order of their populations; overdue ones are faults. `looking_back` means that `now` was
/// given, and that what was written after it is not known yet; a clock that is merely a little slow must not hide an end.
pub fn states(drills: &BTreeMap<&DrillId, Drill<'_>>, now: Timestamp, looking_back: bool, faults: &mut Faults) -> Vec<DrillState> {
    let mut states = Vec::new();
    for drill in drills.values() {
        let Some(population) = drill.populations.first() else { continue };
        let (body, deadline) = (population.body, population.body.deadline_at);
        let ended = drill.end().filter(|(_, at)| !looking_back || *at <= now);
        let end = match ended {
            Some((leaf, _)) => match drill.closes.iter().find(|placed| placed.leaf == leaf) {
                Some(closed) => DrillEnd::Closed(closed.body.outcome),
                None => DrillEnd::Aborted,
            },
            None if deadline < now => DrillEnd::Overdue,
            None => DrillEnd::Open,
        };
        if end == DrillEnd::Overdue {
            let what =
                if drill.plans.is_empty() { "a population was committed and never planned" } else { "it was planned and not closed" };
            let message = format!("drill {} had to be closed by {deadline}, and as of {now} {what}: that counts as failed", body.drill_id);
            faults.at(Rule::DrillOverdue, population.leaf, message);
        }
        states.push(DrillState {
            drill_id: body.drill_id.clone(),
            drill_seq: body.drill_seq,
            population_leaf: population.leaf,
            planned_leaf: drill.plans.first().map(|placed| placed.leaf),
            end_leaf: ended.map(|(leaf, _)| leaf),
            deadline_at: deadline,
            end,
            late: ended.is_some_and(|(_, at)| at > deadline),
        });
    }
    states.sort_by_key(|state| state.population_leaf);
    states
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_grow_and_do_not_fall() {
        let less = |versions: &[Option<u32>]| less_than_before((0..).zip(versions.iter().copied()));
        assert_eq!(less(&[None, None, Some(2), Some(2), Some(3)]), [], "a log that older versions began");
        assert_eq!(less(&[Some(2), None, Some(2), Some(1)]), [(1, None, Some(2)), (3, Some(1), Some(2))]);
    }
}
