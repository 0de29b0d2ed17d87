//! How many points of a class are drawn, and which points are drilled by rule: pure functions of a policy, a population and the log before it.
//! The drill commits to what they say, and `verify` derives it again.
//!
//! Not here: the draw itself (`sample`), and which points belong into a population.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::clock::Timestamp;
use crate::model::ids::ResourceId;
use crate::model::outcome::Outcome;
use crate::testing_log::body::{PopulationItem, Targeted};
use crate::testing_log::entry::{Body, Entry};
use crate::testing_log::sample;

/// `sample` of a class: either `count`, or `confidence_ppm` and `tolerable_ppm`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampleSize {
    /// So many points.
    pub count: Option<u64>,
    /// Confidence of the bound, in millionths.
    pub confidence_ppm: Option<u64>,
    /// The share of bad points that must be found with that confidence, in millionths.
    pub tolerable_ppm: Option<u64>,
}

/// n of N by the class's `sample`: a count, a confidence with a tolerable share, or every one.
pub fn sample_of(wanted: Option<SampleSize>, size: u64) -> u64 {
    let Some(wanted) = wanted else { return size };
    match (wanted.count, wanted.confidence_ppm, wanted.tolerable_ppm) {
        (Some(count), _, _) => count.min(size),
        (None, Some(confidence), Some(tolerable)) => sample::sample_size(size, confidence, tolerable).min(size),
        // A half-said demand is never read as the smaller one.
        _ => size,
    }
}

/// The confidence of the bound that a class's draw is told with, in millionths.
pub fn confidence_of(wanted: Option<SampleSize>) -> u64 {
    wanted.and_then(|wanted| wanted.confidence_ppm).unwrap_or(sample::DEFAULT_CONFIDENCE_PPM)
}

/// When each resource was last tested, whatever came of it: from the results among these entries.
pub fn history<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> BTreeMap<ResourceId, Timestamp> {
    let mut last = BTreeMap::new();
    for entry in entries {
        let Body::PointResult(result) = &entry.body else { continue };
        if matches!(result.outcome, Outcome::Pass | Outcome::PassWithException | Outcome::Fail) {
            let at = last.entry(result.resource.clone()).or_insert(entry.at);
            *at = entry.at.max(*at);
        }
    }
    last
}

/// "Oldest untested first": the newest point of each resource that was not tested within its class's period, never-tested ones first.
/// `period_s` gives the period of a class, where it has one; `now` is the drill's beginning.
pub fn targeted(
    population: &[PopulationItem],
    period_s: &dyn Fn(&str) -> Option<u64>,
    history: &BTreeMap<ResourceId, Timestamp>,
    now: Timestamp,
) -> Vec<Targeted> {
    let mut newest: BTreeMap<&ResourceId, &PopulationItem> = BTreeMap::new();
    for item in population {
        let one = newest.entry(&item.resource).or_insert(item);
        if (item.created_at, &item.id) > (one.created_at, &one.id) {
            *one = item;
        }
    }
    let mut due = Vec::new();
    for (resource, newest) in newest {
        let Some(period) = period_s(&newest.stratum).and_then(|period| i64::try_from(period).ok()) else { continue };
        let last = history.get(resource).copied();
        // Foreign numbers: what no clock reaches is not due.
        if last.is_some_and(|last| last.0.saturating_add(period.saturating_mul(1_000_000)) > now.0) {
            continue;
        }
        let reason = match last {
            None => "never tested".to_owned(),
            Some(last) => format!("last tested {last}, to be tested every {} days", period / 86_400),
        };
        due.push((last, resource, Targeted { id: newest.id.clone(), reason }));
    }
    due.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.cmp(b.1)));
    due.into_iter().map(|(_, _, targeted)| targeted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::PointId;
    use proptest::prelude::*;

    fn item(id: &str, resource: &str, stratum: &str, at: i64) -> PopulationItem {
        PopulationItem { id: PointId(id.into()), resource: resource.into(), stratum: stratum.into(), created_at: Timestamp::from_secs(at) }
    }

    proptest! {
        #[test]
        fn a_sample_never_exceeds_its_stratum_and_grows_with_confidence(size in 0u64..400, low in 1u64..999_999, more in 0u64..999_999, share in 1u64..999_999) {
            let high = (low + more).min(999_999);
            let of = |confidence| sample_of(Some(SampleSize { count: None, confidence_ppm: Some(confidence), tolerable_ppm: Some(share) }), size);
            prop_assert!(of(low) <= of(high) && of(high) <= size);
            prop_assert!(size == 0 || of(high) > 0);
            let counted = sample_of(Some(SampleSize { count: Some(low), confidence_ppm: None, tolerable_ppm: None }), size);
            prop_assert_eq!(counted, low.min(size));
            prop_assert_eq!(sample_of(None, size), size);
        }
    }

    #[test]
    fn a_half_said_sample_draws_everything() {
        let half = SampleSize { count: None, confidence_ppm: Some(950_000), tolerable_ppm: None };
        assert_eq!(sample_of(Some(half), 9), 9);
    }

    #[test]
    fn the_oldest_untested_comes_first_with_its_newest_point() {
        let day = |n: i64| Timestamp::from_secs(n * 86_400);
        let population = [
            item("a1", "r-a", "a", 1),
            item("a2", "r-a", "a", 2),
            item("b1", "r-b", "b", 1),
            item("c1", "r-c", "c", 1),
            item("d1", "r-d", "d", 1),
            item("e1", "r-e", "e", 1),
        ];
        let tested = ["r-a", "r-b", "r-e"].into_iter().zip([5, 150, 5]).map(|(id, at)| (id.into(), day(at)));
        let period_s = |class: &str| match class {
            "d" => None,
            // Longer than a clock can tell.
            "e" => Some(i64::MAX as u64),
            _ => Some(90 * 86_400),
        };
        let targeted = targeted(&population, &period_s, &tested.collect(), day(200));
        let ids: Vec<&str> = targeted.iter().map(|one| one.id.0.as_str()).collect();
        assert_eq!(ids, ["c1", "a2"], "never tested first, then the oldest; within the period or without one not at all");
    }
}
