//! The instant that the age of recovery points is counted from: the drill's beginning, one for all its results.
//!
//! A population commits to it before anything is drawn: its deadline lies [`DEADLINE_S`] after the beginning.

use crate::model::clock::Timestamp;
use crate::model::ids::DrillId;
use crate::testing_log::body::PopulationCommitted;
use crate::testing_log::point_result::PointResult;
use crate::testing_log::verify::drills::{Drill, Placed};
use crate::testing_log::verify::fault::{Faults, Rule};
use crate::testing_log::verify::rpo::AHEAD_MS;

/// A drill counts as failed when it is not closed within two days. Logs are verified by it: another figure needs another `RESULT_VERSION`.
pub const DEADLINE_S: i64 = 2 * 86_400;

/// Checks the instants of one drill's results.
pub fn check(drill: &Drill<'_>, faults: &mut Faults) {
    let Some(population) = drill.populations.first() else { return };
    let began = population.body.deadline_at.plus_secs(-DEADLINE_S);
    // A deadline that lies further off was not set by a drill, and does not tell its beginning.
    let is_told = began <= population.entry.at;
    let promises_all = drill.plans.first().is_some_and(|plan| plan.body.promises_all());
    let mut first: Option<Timestamp> = None;
    for result in &drill.results {
        let Some(at) = result.body.rpo.reference_at else { continue };
        let shared = *first.get_or_insert(at);
        let wrong = if at != shared {
            Some(format!("its drill's other results count from {shared}"))
        } else if is_told && at != began {
            Some(format!("the drill began at {began}, by its deadline"))
        } else if at > population.entry.at {
            Some(format!("the population was committed at {}", population.entry.at))
        } else if promises_all && is_told && !fits_id(&population.body.drill_id, at) {
            Some(format!("the drill's id says that it began at another second: {}", population.body.drill_id))
        } else if !is_told || promises_all {
            younger(result, population.body, at)
        } else {
            None
        };
        faults.demand(wrong.is_none(), Rule::RpoDiffers, result.leaf, || {
            format!("RPO of {}: its age is counted from {at}; {}", result.body.resource, wrong.unwrap_or_default())
        });
    }
}

/// Whether a drill that began at `at` has this id: the second stands in it (`d20260131-020000-7f3a`), and the id in tags and names that the
/// evidence holds.
fn fits_id(id: &DrillId, at: Timestamp) -> bool {
    let second = at.to_chrono().format("d%Y%m%d-%H%M%S-").to_string();
    id.0.starts_with(&second)
}

/// An age from before the point that it is of is none, but for as much as clocks differ.
fn younger(result: &Placed<'_, PointResult>, population: &PopulationCommitted, at: Timestamp) -> Option<String> {
    let named = result.body.rpo.point.as_ref()?;
    // AWS dates by its own clock.
    let ahead_ms = population.service_ahead_ms.unwrap_or(0).max(0).saturating_add(AHEAD_MS);
    let latest = Timestamp(at.0.saturating_add(ahead_ms.saturating_mul(1000)));
    let item = population.population.iter().find(|item| item.id == *named && item.created_at > latest)?;
    Some(format!("`{}` is of {}, after that", item.id, item.created_at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drill_began_in_the_second_of_its_id() {
        let at: Timestamp = "2026-01-31T02:00:00.9Z".parse().unwrap();
        assert!(fits_id(&"d20260131-020000-7f3a".into(), at));
        for (id, at) in [("d20260131-020000-7f3a", at.plus_secs(-40)), ("d20260131-020001-7f3a", at), ("quarterly", at)] {
            assert!(!fits_id(&id.into(), at), "{id} {at}");
        }
    }
}
