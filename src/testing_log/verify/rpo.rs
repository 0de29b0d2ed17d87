//! The achieved RPO of a drill: the age of a resource's newest recovery point that the same drill has not shown to be unusable.
//!
//! One pure function of what the log says, so that a drill records and `log verify` recomputes the same figure. A point that was tried
//! and did not pass never counts, whatever the listing says of it; one that was not tried counts, and the words say so.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::check::{CheckOutcome, Severity};
use crate::model::clock::Timestamp;
use crate::model::failure::FailureKind;
use crate::model::ids::{PointId, ResourceId};
use crate::model::outcome::Outcome;
use crate::testing_log::body::{ClassPolicy, PolicySet, PopulationItem};
use crate::testing_log::point_result::{CaseError, Objective, PointResult};
use crate::testing_log::verify::drills::Drill;
use crate::testing_log::verify::fault::{Faults, Rule};
use crate::testing_log::verify::{corroborated, pass, point};

/// What a drill has shown of one point, its time objectives aside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It was restored and passed.
    Passed,
    /// It was listed and not tried.
    Untried,
    /// It was tried, and what was seen says nothing for or against it: the environment failed, or nothing was compared.
    InDoubt,
    /// It was tried, and its data or its restore failed.
    Unusable,
}

/// One recovery point of a resource.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Point {
    /// Which one.
    pub id: PointId,
    /// When its data is consistent.
    pub at: Timestamp,
    /// What the drill has shown of it.
    pub standing: Standing,
}

/// The points of one resource in the order of `population`, with what `results` show of them.
pub fn points<'a>(
    population: impl IntoIterator<Item = &'a PopulationItem>,
    results: &BTreeMap<&PointId, (&PointResult, Option<&ClassPolicy>)>,
) -> Vec<Point> {
    let one = |item: &PopulationItem| Point {
        id: item.id.clone(),
        at: item.created_at,
        standing: results.get(&item.id).map_or(Standing::Untried, |(result, policy)| standing(result, *policy)),
    };
    population.into_iter().map(one).collect()
}

/// What a result shows of its point. The outcome itself is not asked, because it rests on the RPO too; only `untested` is no trial.
pub fn standing(result: &PointResult, policy: Option<&ClassPolicy>) -> Standing {
    if result.outcome == Outcome::Untested {
        return Standing::Untried;
    }
    let budget = policy.map_or(0, |policy| policy.indeterminate_budget);
    let is_critical_failure =
        |check: &crate::model::check::CheckResult| check.severity == Severity::Critical && check.result == CheckOutcome::Fail;
    if !pass::data_failures(result, budget).is_empty()
        || result.sql_checks.iter().any(is_critical_failure)
        || result.errors.iter().any(speaks_against_the_point)
    {
        return Standing::Unusable;
    }
    let grave = pass::objections(result, policy, Outcome::PassWithException);
    let undecided = grave.iter().any(|(rule, _)| *rule != Rule::PassObjectiveNotMet);
    // What is left behind afterwards is a verdict of its own.
    if undecided || result.errors.iter().any(|error| error.phase != "teardown") { Standing::InDoubt } else { Standing::Passed }
}

/// Whether an error is one of the point or of its restore, and not one of the environment, the guard or the manifest.
fn speaks_against_the_point(error: &CaseError) -> bool {
    let kind: Option<FailureKind> = serde_json::from_value(serde_json::Value::String(error.code.clone())).ok();
    let of_the_environment = kind.is_some_and(|kind| {
        kind.is_outside_the_data() || matches!(kind, FailureKind::Refused | FailureKind::Interrupted | FailureKind::Invalid)
    });
    matches!(error.phase.as_str(), "restore" | "wait" | "verify" | "checks") && !of_the_environment
}

/// So much may a point be dated after the drill's beginning, by clocks that differ as clocks do, in ms. Beyond it no age is measured.
pub const AHEAD_MS: i64 = 300_000;
/// A service's `Date` is cut to whole seconds: its clock is ahead by up to so much more than was measured.
const CUT_MS: i64 = 1000;
/// An answer may be so long on its way that a clock seems to be behind by as much.
const ON_ITS_WAY_MS: i64 = 5000;

/// The instant that ages are counted from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reference {
    /// The drill's beginning, by the clock of the machine that drills.
    pub at: Timestamp,
    /// How far AWS's clock was ahead of that one's, in milliseconds, where it is known.
    pub service_ahead_ms: Option<i64>,
}

impl Reference {
    /// The age of a point in milliseconds, negative where it lies after the beginning, with what is to be said of the clocks.
    ///
    /// What a service dates is counted by that service's clock, and never as younger than it is. Where that clock has it well after the
    /// beginning, the one that told the time is not the one that dates points, and this machine's is left.
    fn age_ms(self, point: &Point) -> (i64, String) {
        let ours = self.at.millis_since(point.at);
        let differs = |ahead_ms: &i64| *ahead_ms >= CUT_MS || *ahead_ms < -ON_ITS_WAY_MS;
        let Some(ahead_ms) = self.service_ahead_ms.filter(differs).filter(|_| !point::is_local(&point.id)) else {
            return (ours, String::new());
        };
        let (apart, word) = (ahead_ms.unsigned_abs() / 1000, if ahead_ms < 0 { "behind" } else { "ahead of" });
        let theirs = ours.saturating_add(ahead_ms).saturating_add(CUT_MS);
        if theirs < -AHEAD_MS && ours >= -AHEAD_MS {
            (ours, format!("; AWS's clock, {apart} s {word} this machine's, has the point after that: counted by this machine's"))
        } else {
            (theirs, format!("; by AWS's clock, which was {apart} s {word} this machine's"))
        }
    }
}

/// The achieved RPO at `reference`.
///
/// Where the newest point that counts is older than the target allows, and a newer one is in doubt, nothing was measured: the
/// environment's failure is neither a loss of data nor a point that is proved.
pub fn achieved(target_s: Option<u64>, reference: Reference, points: &[Point]) -> Objective {
    let mut newest_first: Vec<&Point> = points.iter().collect();
    newest_first.sort_by(|a, b| reference.age_ms(a).0.cmp(&reference.age_ms(b).0).then_with(|| a.id.cmp(&b.id)));
    let counts = |point: &&&Point| matches!(point.standing, Standing::Passed | Standing::Untried);
    let age_ms = |point: &Point| u64::try_from(reference.age_ms(point).0).unwrap_or(0);
    let is_met = |age_ms: u64| target_s.is_none_or(|target| u128::from(age_ms) <= u128::from(target) * 1000);
    let best = newest_first.iter().find(counts).map(|point| (*point, age_ms(point)));
    let skipped: Vec<&&Point> = newest_first.iter().take_while(|point| !counts(point)).collect();
    let doubtful = skipped.iter().find(|point| point.standing == Standing::InDoubt);
    let passed_over = match skipped.len() {
        0 => String::new(),
        1 => "; a newer one was tried and did not pass".to_owned(),
        n => format!("; {n} newer ones were tried and did not pass"),
    };
    let (counted, basis) = match best {
        None if points.is_empty() => (None, "no recovery point is listed".to_owned()),
        None => (None, format!("no recovery point counts: {} tried, and none passed", points.len())),
        Some((point, _)) if reference.age_ms(point).0 < -AHEAD_MS => {
            let ahead = reference.age_ms(point).0.unsigned_abs() / 1000;
            (
                None,
                format!(
                    "the newest recovery point is dated {ahead} s after the drill's beginning: the clock of this machine or of the service is wrong"
                ),
            )
        }
        Some((_, age)) if !is_met(age) && doubtful.is_some_and(|point| is_met(age_ms(point))) => (
            None,
            "a newer point was tried and could not be decided, and the newest that counts is older than the target allows".to_owned(),
        ),
        Some((point, age)) => {
            let shown = match point.standing {
                Standing::Passed => "that this drill restored and found as expected",
                _ => "that is listed; it was not tried in this drill",
            };
            let clocks = reference.age_ms(point).1;
            (Some((point, age)), format!("age at the drill's beginning of the newest recovery point {shown}{passed_over}{clocks}"))
        }
    };
    let mut objective = Objective::judged(target_s, counted.map(|(_, age)| age), Some(reference.at), &basis);
    objective.point = counted.map(|(point, _)| point.id.clone());
    objective
}

/// Recomputes the achieved RPO of every result whose resource has all its results.
pub fn check(drill: &Drill<'_>, policy: Option<&PolicySet>, faults: &mut Faults) {
    let (Some(plan), Some(population)) = (drill.plans.first(), drill.populations.first()) else { return };
    let results: BTreeMap<&PointId, (&PointResult, Option<&ClassPolicy>)> = drill
        .results
        .iter()
        .map(|placed| (&placed.body.rp.id, (placed.body, policy.and_then(|policy| policy.classes.get(&placed.body.class)))))
        .collect();
    // A drill that was stopped has not said everything about such a resource yet.
    let cases = &plan.body.cases;
    let unfinished: BTreeSet<&ResourceId> =
        cases.iter().filter(|case| !results.contains_key(&case.point)).map(|case| &case.resource).collect();
    let mut items: BTreeMap<&ResourceId, Vec<&PopulationItem>> = BTreeMap::new();
    for item in &population.body.population {
        items.entry(&item.resource).or_default().push(item);
    }
    let mut known: BTreeMap<&ResourceId, Vec<Point>> = BTreeMap::new();
    let promises_all = plan.body.promises_all();
    let service_ahead_ms = population.body.service_ahead_ms;
    for placed in &drill.results {
        let (resource, said) = (&placed.body.resource, &placed.body.rpo);
        if promises_all {
            let is_whole = said.reference_at.is_some() && said.point.is_some() == said.achieved_ms.is_some();
            faults.demand(is_whole, Rule::FactMissing, placed.leaf, || {
                format!("RPO of {resource}: the instant that it is counted from, and the point whose age it is, are not stated")
            });
        }
        let is_told = !promises_all || corroborated::fits(&said.basis, placed.body);
        faults.demand(is_told, Rule::FactDiffers, placed.leaf, || {
            let expected = corroborated::words(placed.body);
            format!("RPO of {resource}: its basis is to end with what the data says, `{expected}`, found `{}`", said.basis)
        });
        let Some(achieved_ms) = said.achieved_ms else {
            let reference_at = said.reference_at.filter(|_| promises_all && !unfinished.contains(resource));
            let listed = items.get(resource).map(Vec::as_slice).unwrap_or_default();
            let expected = reference_at
                .map(|at| achieved(said.target_s, Reference { at, service_ahead_ms }, &points(listed.iter().copied(), &results)));
            faults.demand(expected.as_ref().is_none_or(|expected| expected.achieved_ms.is_none()), Rule::RpoDiffers, placed.leaf, || {
                format!("RPO of {resource}: expected {:?} ms, and none is stated", expected.and_then(|expected| expected.achieved_ms))
            });
            continue;
        };
        let Some(reference_at) = said.reference_at else {
            let why = || format!("RPO of {resource}: {achieved_ms} ms of a point, and no instant that it is counted from");
            faults.demand(said.point.is_none(), Rule::RpoDiffers, placed.leaf, why);
            continue;
        };
        let listed = items.get(resource).map(Vec::as_slice).unwrap_or_default();
        let reference = Reference { at: reference_at, service_ahead_ms };
        let expected = if said.point.is_some() {
            if unfinished.contains(resource) {
                continue;
            }
            let points = known.entry(resource).or_insert_with(|| points(listed.iter().copied(), &results));
            achieved(said.target_s, reference, points)
        } else {
            // Before results named the point, every listed one counted.
            Objective { point: None, ..achieved(said.target_s, reference, &points(listed.iter().copied(), &BTreeMap::new())) }
        };
        let same = expected.achieved_ms == Some(achieved_ms) && expected.point == said.point;
        faults.demand(same, Rule::RpoDiffers, placed.leaf, || {
            let spelled = |objective: &Objective| {
                let of = objective.point.as_ref().map_or_else(String::new, |point| format!(" of `{point}`"));
                objective.achieved_ms.map_or_else(|| "nothing measured".to_owned(), |ms| format!("{ms} ms{of}"))
            };
            format!("RPO of {resource} at {reference_at}: expected {} ({}), found {}", spelled(&expected), expected.basis, spelled(said))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours_before: i64, standing: Standing) -> Point {
        Point { id: format!("p{hours_before}").as_str().into(), at: Timestamp::from_secs(1_000_000 - hours_before * 3600), standing }
    }

    fn hours(target: Option<u64>, points: &[Point]) -> (Option<u64>, Option<bool>, String) {
        let reference = Reference { at: Timestamp::from_secs(1_000_000), service_ahead_ms: None };
        let objective = achieved(target.map(|hours| hours * 3600), reference, points);
        assert_eq!(objective.point.is_some(), objective.achieved_ms.is_some());
        (objective.achieved_ms.map(|ms| ms / 3_600_000), objective.met, objective.basis)
    }

    #[test]
    fn a_point_that_did_not_pass_never_counts() {
        use Standing::{InDoubt, Passed, Untried, Unusable};
        let (age, met, basis) = hours(Some(24), &[at(2, Untried), at(30, Passed)]);
        assert_eq!((age, met), (Some(2), Some(true)));
        assert!(basis.contains("listed; it was not tried"), "{basis}");
        let (age, met, basis) = hours(Some(24), &[at(30, Passed), at(2, Unusable), at(3, Unusable)]);
        assert_eq!((age, met), (Some(30), Some(false)));
        assert!(basis.contains("restored and found as expected") && basis.contains("2 newer ones"), "{basis}");
        assert_eq!(hours(Some(24), &[at(2, Unusable)]).0, None);
        assert_eq!(hours(Some(24), &[at(2, Unusable), at(6, Untried)]).0, Some(6));
        // In doubt: met without it, or nothing measured.
        assert_eq!(hours(Some(24), &[at(2, InDoubt), at(6, Passed)]).1, Some(true));
        let (age, met, basis) = hours(Some(24), &[at(2, InDoubt), at(30, Passed)]);
        assert_eq!((age, met), (None, None));
        assert!(basis.contains("could not be decided"), "{basis}");
        assert_eq!(hours(Some(24), &[at(26, InDoubt), at(30, Passed)]).1, Some(false), "missed either way");
        assert_eq!(hours(None, &[at(2, InDoubt), at(30, Passed)]), (Some(30), None, hours(None, &[at(2, InDoubt), at(30, Passed)]).2));
        assert_eq!(hours(Some(24), &[]).0, None);
        assert_eq!(hours(Some(1), &[at(-5, Passed)]).0, None, "a clock hours ahead of ours measures nothing");
    }

    #[test]
    fn an_age_is_counted_by_the_clock_that_dated_the_point() {
        let begun = 1_000_000;
        let of = |id: &str, at_s: i64| Point { id: id.into(), at: Timestamp::from_secs(at_s), standing: Standing::Passed };
        let age = |ahead_ms: Option<i64>, points: &[Point]| {
            let objective = achieved(Some(600), Reference { at: Timestamp::from_secs(begun), service_ahead_ms: ahead_ms }, points);
            (objective.achieved_ms.map(|ms| ms / 1000), objective.met, objective.basis)
        };
        // Half an hour old, by a service that is an hour ahead: to this machine it lies in the future.
        let half_an_hour = [of("arn:a", begun + 3600 - 1800)];
        let (achieved_s, met, basis) = age(Some(3_599_400), &half_an_hour);
        assert!(achieved_s.unwrap() >= 1800 && met == Some(false), "{achieved_s:?}");
        assert!(basis.contains("by AWS's clock, which was 3599 s ahead of this machine's"), "{basis}");
        assert_eq!(age(None, &half_an_hour).0, None, "who does not know the clocks measures nothing");
        // A machine that is ahead takes nothing for older than it is.
        assert_eq!(age(Some(-3_600_500), &[of("arn:a", begun - 3600 - 300)]).0, Some(300));
        // What an answer's way and a cut second make of clocks that agree changes nothing.
        for ahead_ms in [-4000, -1, 0, 999] {
            assert_eq!(age(Some(ahead_ms), &[of("arn:a", begun - 300)]), age(None, &[of("arn:a", begun - 300)]));
        }
        assert_eq!(age(Some(3_600_000), &[of("file:r/a", begun - 300)]).0, Some(300), "beside AWS its clock is nobody's");
        // The newest by its own clock, and not by its date.
        let mixed = [of("arn:a", begun - 100), of("file:r/b", begun - 300)];
        assert_eq!(age(Some(3_600_000), &mixed).0, Some(300));
        // Another clock than the one that dates: this machine's is left.
        let (achieved_s, _, basis) = age(Some(-1_200_000), &[of("arn:a", begun - 30)]);
        assert!(achieved_s == Some(30) && basis.contains("counted by this machine's"), "{basis}");
        assert_eq!(age(Some(-1_200_000), &[of("arn:a", begun + 1800)]).0, None);
    }
}
