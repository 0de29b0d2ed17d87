//! The policy as pure functions: strata and their sample sizes, what is drilled by rule, and the demands as they are logged.
//!
//! Not here: the sizes and what is due (`testing_log::due`), and the draw itself (`testing_log::sample`), because auditors repeat them.

use std::collections::BTreeMap;

use crate::estate::config::{Access, Class, Config, Span};
use crate::model::clock::Timestamp;
use crate::model::failure::Failure;
use crate::model::ids::{PointId, ResourceId};
use crate::model::recovery_point::RecoveryPoint;
use crate::testing_log::body::{ClassPolicy, PopulationItem, Stratum, Targeted};
use crate::testing_log::due;
use crate::testing_log::entry::{Body, Entry};

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
    sizes
        .into_iter()
        .map(|(name, size)| Stratum {
            name: name.to_owned(),
            size,
            sample: due::sample_of(classes.get(name).and_then(|class| class.sample), size),
        })
        .collect()
}

/// The confidence of each class's bound.
pub fn confidences(classes: &BTreeMap<String, Class>) -> BTreeMap<String, u64> {
    classes.iter().map(|(name, class)| (name.clone(), due::confidence_of(class.sample))).collect()
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

/// What is due by the periods of the classes (`due::targeted`), after the results in a verified log.
pub fn targeted(config: &Config, population: &[PopulationItem], entries: &[Entry], now: Timestamp) -> Vec<Targeted> {
    let period_s = |class: &str| config.class.get(class).and_then(|class| class.test_period).and_then(Span::seconds);
    due::targeted(population, &period_s, &due::history(entries), now)
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
    use proptest::prelude::*;

    fn item(id: &str, resource: &str, stratum: &str, at: i64) -> PopulationItem {
        PopulationItem { id: PointId(id.into()), resource: resource.into(), stratum: stratum.into(), created_at: Timestamp::from_secs(at) }
    }

    proptest! {
        #[test]
        fn strata_add_up_to_the_population(classes in proptest::collection::vec(0usize..4, 0..60)) {
            let population: Vec<_> = classes.iter().enumerate().map(|(i, c)| item(&format!("{i:03}"), "r", &format!("c{c}"), 0)).collect();
            let strata = strata(&population, &BTreeMap::new());
            prop_assert_eq!(strata.iter().map(|s| s.size).sum::<u64>(), population.len() as u64);
            prop_assert!(strata.iter().all(|s| s.sample == s.size && s.size > 0));
        }
    }
}
