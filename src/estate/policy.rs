//! The policy as pure functions: strata and their sample sizes, what is drilled by rule, and the demands as they are logged.
//!
//! Not here: the draw itself (`testing_log::sample`, because auditors repeat it).

use std::collections::BTreeMap;

use crate::estate::config::{Access, Class, Config, Span};
use crate::model::clock::Timestamp;
use crate::model::failure::Failure;
use crate::model::ids::{PointId, ResourceId};
use crate::model::outcome::Outcome;
use crate::model::recovery_point::RecoveryPoint;
use crate::testing_log::body::{ClassPolicy, PopulationItem, Stratum, Targeted};
use crate::testing_log::entry::{Body, Entry};
use crate::testing_log::sample;

/// The population: one item a point, in the order of the points (byte-sorted by id), its stratum the resource's class.
pub fn population(config: &Config, points: &[RecoveryPoint]) -> Result<Vec<PopulationItem>, Failure> {
    let class_of: BTreeMap<&ResourceId, &str> = config.resource.iter().map(|one| (&one.id, one.class.as_str())).collect();
    points
        .iter()
        .map(|point| {
            let stratum = class_of
                .get(&point.resource)
                .ok_or_else(|| Failure::invalid(format!("resource `{}` is not in the configuration", point.resource)))?;
            Ok(PopulationItem {
                id: point.id.clone(),
                resource: point.resource.clone(),
                stratum: (*stratum).to_owned(),
                created_at: point.created_at,
            })
        })
        .collect()
}

/// Each class of the population with its size N and the number n to be drawn.
pub fn strata(population: &[PopulationItem], classes: &BTreeMap<String, Class>) -> Vec<Stratum> {
    let mut sizes: BTreeMap<&str, u64> = BTreeMap::new();
    for item in population {
        *sizes.entry(item.stratum.as_str()).or_default() += 1;
    }
    sizes.into_iter().map(|(name, size)| Stratum { name: name.to_owned(), size, sample: sample_of(classes.get(name), size) }).collect()
}

/// n of N by the class's `sample`: a count, a confidence with a tolerable share, or every one.
fn sample_of(class: Option<&Class>, size: u64) -> u64 {
    let Some(wanted) = class.and_then(|class| class.sample) else { return size };
    match (wanted.count, wanted.confidence_ppm, wanted.tolerable_ppm) {
        (Some(count), _, _) => count.min(size),
        (None, Some(confidence), Some(tolerable)) => sample::sample_size(size, confidence, tolerable).min(size),
        // A half-said demand is never read as the smaller one.
        _ => size,
    }
}

/// The confidence of each class's bound.
pub fn confidences(classes: &BTreeMap<String, Class>) -> BTreeMap<String, u64> {
    let of = |class: &Class| class.sample.and_then(|sample| sample.confidence_ppm).unwrap_or(sample::DEFAULT_CONFIDENCE_PPM);
    classes.iter().map(|(name, class)| (name.clone(), of(class))).collect()
}

/// When each resource was last tested, whatever came of it: from the results in a verified log.
pub fn history(entries: &[Entry]) -> BTreeMap<ResourceId, Timestamp> {
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

/// When the data of a point is consistent, where a registered manifest names the point.
pub fn named_points(entries: &[Entry]) -> BTreeMap<PointId, Timestamp> {
    let mut named = BTreeMap::new();
    for entry in entries {
        if let Body::ManifestRegistered(body) = &entry.body
            && let Some(point) = &body.recovery_point_id
            && body.mode != crate::model::capture::CaptureMode::FirstRestore
        {
            named.insert(point.clone(), body.captured_end);
        }
    }
    named
}

/// "Oldest untested first": the newest point of each resource that was not tested within its class's period, never-tested ones first.
pub fn targeted(
    config: &Config,
    population: &[PopulationItem],
    history: &BTreeMap<ResourceId, Timestamp>,
    now: Timestamp,
) -> Vec<Targeted> {
    let mut due = Vec::new();
    for resource in &config.resource {
        let period = config.class.get(&resource.class).and_then(|class| class.test_period).and_then(Span::seconds);
        let Some(period) = period.and_then(|period| i64::try_from(period).ok()) else { continue };
        let last = history.get(&resource.id).copied();
        if last.is_some_and(|last| last.plus_secs(period) > now) {
            continue;
        }
        let newest = population.iter().filter(|item| item.resource == resource.id).max_by_key(|item| (item.created_at, &item.id));
        let Some(newest) = newest else { continue };
        let reason = match last {
            None => "never tested".to_owned(),
            Some(last) => format!("last tested {last}, to be tested every {} days", period / 86_400),
        };
        due.push((last, resource.id.clone(), Targeted { id: newest.id.clone(), reason }));
    }
    due.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
    due.into_iter().map(|(_, _, targeted)| targeted).collect()
}

/// The demands of every class, as `policy.set` records them; without the SQL checks, whose packs are not the estate's to read.
pub fn class_policies(config: &Config) -> BTreeMap<String, ClassPolicy> {
    let of = |class: &Class| ClassPolicy {
        rto_s: class.rto.and_then(Span::seconds),
        rpo_s: class.rpo.and_then(Span::seconds),
        test_period_s: class.test_period.and_then(Span::seconds),
        indeterminate_budget: class.indeterminate_budget,
        second_within_s: class.second_within.and_then(Span::seconds),
        access: (class.access != Access::Restore).then(|| class.access.as_str().to_owned()),
        checks: BTreeMap::new(),
    };
    config.class.iter().map(|(name, class)| (name.clone(), of(class))).collect()
}

/// Every resource's class must be there before anything is restored.
pub fn check_classes(config: &Config) -> Result<(), Failure> {
    match config.resource.iter().find(|resource| !config.class.contains_key(&resource.class)) {
        None => Ok(()),
        Some(resource) => Err(Failure::invalid(format!("resource `{}`: there is no [class.{}]", resource.id, resource.class))
            .hint("`attestore config check` explains every mistake in the file")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estate::config::SampleSize;
    use proptest::prelude::*;

    fn item(id: &str, resource: &str, stratum: &str, at: i64) -> PopulationItem {
        PopulationItem { id: PointId(id.into()), resource: resource.into(), stratum: stratum.into(), created_at: Timestamp::from_secs(at) }
    }

    fn class(sample: SampleSize) -> Class {
        Class { sample: Some(sample), ..Class::default() }
    }

    fn config(periods: &[(&str, &str)]) -> Config {
        let mut text = "version = 1\n[log]\npath = \"l\"\norigin = \"o\"\n[keys]\nsigning = \"a\"\nhash = \"b\"\n".to_owned();
        for (name, period) in periods {
            text += &format!("[class.{name}]\ntest_period = \"{period}\"\n");
        }
        for (name, _) in periods {
            text += &format!(
                "[[resource]]\nid = \"r-{name}\"\napplication = \"a\"\nkind = \"files\"\nclass = \"{name}\"\nsource = \"dir:x\"\n"
            );
        }
        toml::from_str(&text).unwrap()
    }

    proptest! {
        #[test]
        fn a_sample_never_exceeds_its_stratum_and_grows_with_confidence(size in 0u64..400, low in 1u64..999_999, more in 0u64..999_999, share in 1u64..999_999) {
            let high = (low + more).min(999_999);
            let of = |confidence| sample_of(Some(&class(SampleSize { count: None, confidence_ppm: Some(confidence), tolerable_ppm: Some(share) })), size);
            prop_assert!(of(low) <= of(high) && of(high) <= size);
            prop_assert!(size == 0 || of(high) > 0);
            let counted = sample_of(Some(&class(SampleSize { count: Some(low), confidence_ppm: None, tolerable_ppm: None })), size);
            prop_assert_eq!(counted, low.min(size));
            prop_assert_eq!(sample_of(None, size), size);
        }

        #[test]
        fn strata_add_up_to_the_population(classes in proptest::collection::vec(0usize..4, 0..60)) {
            let population: Vec<_> = classes.iter().enumerate().map(|(i, c)| item(&format!("{i:03}"), "r", &format!("c{c}"), 0)).collect();
            let strata = strata(&population, &BTreeMap::new());
            prop_assert_eq!(strata.iter().map(|s| s.size).sum::<u64>(), population.len() as u64);
            prop_assert!(strata.iter().all(|s| s.sample == s.size && s.size > 0));
        }
    }

    #[test]
    fn a_half_said_sample_draws_everything() {
        let half = SampleSize { count: None, confidence_ppm: Some(950_000), tolerable_ppm: None };
        assert_eq!(sample_of(Some(&class(half)), 9), 9);
    }

    #[test]
    fn the_oldest_untested_comes_first_with_its_newest_point() {
        let config = config(&[("a", "90d"), ("b", "90d"), ("c", "90d"), ("d", "not_required")]);
        let day = |n: i64| Timestamp::from_secs(n * 86_400);
        let population = [
            item("a1", "r-a", "a", 1),
            item("a2", "r-a", "a", 2),
            item("b1", "r-b", "b", 1),
            item("c1", "r-c", "c", 1),
            item("d1", "r-d", "d", 1),
        ];
        let history = BTreeMap::from([("r-a".into(), day(5)), ("r-b".into(), day(150))]);
        let targeted = targeted(&config, &population, &history, day(200));
        let ids: Vec<&str> = targeted.iter().map(|one| one.id.0.as_str()).collect();
        assert_eq!(ids, ["c1", "a2"], "never tested first, then the oldest; within the period or without one not at all");
    }
}
