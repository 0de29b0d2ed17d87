//! The coverage ledger and the completeness of the drill sequence: what the whole log says, whichever drill is shown.

use std::collections::BTreeMap;

use crate::model::clock::Timestamp;
use crate::model::ids::{DrillId, ResourceId};
use crate::model::outcome::Outcome;
use crate::report::gather::{DrillStory, Story};
use crate::report::model::{Completeness, CoverageRow, CoverageState, DrillLine, DrillState, LastResult};

/// At most so many missing numbers are listed one by one; a log with more has a graver problem than its list.
const LISTED_GAPS: usize = 100;

/// How a drill stands at `as_of`.
pub fn state(drill: &DrillStory<'_>, as_of: Timestamp) -> DrillState {
    let deadline = deadline(drill);
    if drill.aborted.is_some() {
        return DrillState::Aborted;
    }
    match (drill.closed, deadline) {
        (Some(closed), Some(deadline)) if closed.at > deadline => DrillState::ClosedLate,
        (Some(_), _) => DrillState::Closed,
        (None, Some(deadline)) if as_of <= deadline => DrillState::Open,
        // Without a deadline nothing promises that it will ever close.
        (None, _) => DrillState::Overdue,
    }
}

/// The drill's deadline, as its population or else its plan states it.
pub fn deadline(drill: &DrillStory<'_>) -> Option<Timestamp> {
    drill.population.map(|said| said.body.deadline_at).or(drill.planned.map(|said| said.body.deadline_at))
}

/// A drill's outcome: its close's, `fail` where its state alone makes it one, nothing while it is open.
pub fn outcome(drill: &DrillStory<'_>, as_of: Timestamp) -> Option<Outcome> {
    let state = state(drill, as_of);
    if state.is_failure() {
        return Some(Outcome::Fail);
    }
    let closed = drill.closed?;
    let parts = drill.results.iter().map(|said| said.body.outcome).chain([closed.body.outcome]);
    Some(Outcome::of_all(parts))
}

/// Every drill, the gaps between their numbers, and how many were missed.
pub fn completeness(story: &Story<'_>, as_of: Timestamp, shown: Option<&DrillId>) -> Completeness {
    let drills: Vec<DrillLine> = story
        .drills
        .iter()
        .map(|drill| {
            let state = state(drill, as_of);
            DrillLine {
                seq: drill.seq,
                id: drill.id.clone(),
                committed_at: drill.population.map(|said| said.at),
                ended_at: drill.closed.map(|said| said.at).or(drill.aborted.map(|said| said.at)),
                state,
                words: state.words(),
                outcome: outcome(drill, as_of),
                shown: shown == Some(drill.id),
            }
        })
        .collect();
    let mut gaps = Vec::new();
    let mut expected = 1;
    for drill in &drills {
        gaps.extend((expected..drill.seq).take(LISTED_GAPS - gaps.len().min(LISTED_GAPS)));
        expected = drill.seq.saturating_add(1).max(expected);
    }
    let missed = drills.iter().filter(|drill| drill.state.is_failure()).count() as u64;
    Completeness { drills, gaps, missed }
}

/// Each resource that any entry names, those that need attention first.
pub fn ledger(story: &Story<'_>, as_of: Timestamp) -> Vec<CoverageRow> {
    let mut classes: BTreeMap<&ResourceId, Option<&str>> = BTreeMap::new();
    let mut bare: Vec<ResourceId> = Vec::new();
    let mut last: BTreeMap<&ResourceId, LastResult> = BTreeMap::new();
    let mut passed: BTreeMap<&ResourceId, Timestamp> = BTreeMap::new();
    for drill in &story.drills {
        if let Some(population) = drill.population {
            for item in &population.body.population {
                classes.insert(&item.resource, Some(&item.stratum));
            }
            let named = population.body.excluded.iter().filter_map(|excluded| excluded.id.strip_prefix("resource:"));
            bare.extend(named.map(ResourceId::from));
        }
        for case in drill.planned.iter().flat_map(|planned| &planned.body.cases) {
            classes.insert(&case.resource, Some(&case.class));
        }
        let mut worst: BTreeMap<&ResourceId, LastResult> = BTreeMap::new();
        for said in &drill.results {
            let result = said.body;
            classes.insert(&result.resource, Some(&result.class));
            let one = LastResult { at: said.at, outcome: result.outcome, leaf: said.leaf };
            if worst.get(&result.resource).is_none_or(|known| badness(known.outcome) <= badness(one.outcome)) {
                worst.insert(&result.resource, one);
            }
            if result.outcome.is_pass() {
                passed.insert(&result.resource, said.at);
            }
        }
        // Of several points of one drill the worst is shown: the order in which they ended says nothing.
        last.append(&mut worst);
    }
    for manifest in &story.manifests {
        classes.entry(&manifest.body.resource).or_default();
    }
    for resource in &bare {
        classes.entry(resource).or_default();
    }
    let policy = story.policies.last();
    let mut rows: Vec<CoverageRow> = classes
        .iter()
        .map(|(resource, class)| {
            let demands = policy.and_then(|policy| class.and_then(|class| policy.body.classes.get(class)));
            let period_s = demands.and_then(|demands| demands.test_period_s);
            let last_pass_at = passed.get(*resource).copied();
            let age_ms = last_pass_at.map(|at| u64::try_from(as_of.millis_since(at)).unwrap_or(0));
            CoverageRow {
                resource: (*resource).clone(),
                class: class.map(str::to_owned),
                period_s,
                last_result: last.get(*resource).cloned(),
                last_pass_at,
                age_ms,
                state: coverage_state(age_ms, period_s, last.get(*resource).map(|last| last.outcome)),
            }
        })
        .collect();
    rows.sort_by(|a, b| (a.state, &a.resource).cmp(&(b.state, &b.resource)));
    rows
}

fn badness(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Pass => 0,
        Outcome::PassWithException => 1,
        Outcome::Untested => 2,
        Outcome::Inconclusive => 3,
        Outcome::Error => 4,
        Outcome::Fail => 5,
    }
}

/// A pass of earlier, or of another point of the same drill, does not outweigh what was found last.
fn coverage_state(age_ms: Option<u64>, period_s: Option<u64>, last: Option<Outcome>) -> CoverageState {
    let was_bad = last.is_some_and(|last| !last.is_pass() && last != Outcome::Untested);
    match (age_ms, period_s) {
        (None, _) => CoverageState::Never,
        (Some(age), Some(period)) if age > period.saturating_mul(1000) => CoverageState::Overdue,
        _ if was_bad => CoverageState::NotPassedLast,
        (Some(_), None) => CoverageState::NoPeriod,
        _ => CoverageState::Current,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_within_the_period_does_not_hide_a_failure_after_it() {
        let state = |last| coverage_state(Some(1000), Some(10), Some(last));
        assert_eq!([Outcome::Pass, Outcome::PassWithException, Outcome::Untested].map(state), [CoverageState::Current; 3]);
        assert_eq!([Outcome::Fail, Outcome::Error, Outcome::Inconclusive].map(state), [CoverageState::NotPassedLast; 3]);
        assert_eq!(coverage_state(Some(1000), None, Some(Outcome::Fail)), CoverageState::NotPassedLast);
        assert_eq!(coverage_state(Some(11_000), Some(10), Some(Outcome::Fail)), CoverageState::Overdue);
        assert_eq!(coverage_state(None, Some(10), Some(Outcome::Fail)), CoverageState::Never);
    }
}
