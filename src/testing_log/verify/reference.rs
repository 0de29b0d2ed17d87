//! The instant that the age of recovery points is counted from: the drill's beginning, one for all its results.
//!
//! A population commits to it before anything is drawn: its deadline lies [`DEADLINE_S`] after the beginning.

use crate::model::clock::Timestamp;
use crate::testing_log::body::{PointResult, PopulationCommitted};
use crate::testing_log::verify::drills::{Drill, Placed};
use crate::testing_log::verify::fault::{Faults, Rule};

/// A drill counts as failed when it is not closed within two days. Logs are verified by it: another figure needs another `RESULT_VERSION`.
pub const DEADLINE_S: i64 = 2 * 86_400;

/// Checks the instants of one drill's results.
pub fn check(drill: &Drill<'_>, faults: &mut Faults) {
    let Some(population) = drill.populations.first() else { return };
    let began = population.body.deadline_at.plus_secs(-DEADLINE_S);
    // A deadline that lies further off was not set by a drill, and does not tell its beginning.
    let is_told = began <= population.entry.at;
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
        } else if !is_told {
            younger(result, population.body, at)
        } else {
            None
        };
        faults.demand(wrong.is_none(), Rule::RpoDiffers, result.leaf, || {
            format!("RPO of {}: its age is counted from {at}; {}", result.body.resource, wrong.unwrap_or_default())
        });
    }
}

/// An age from before the point that it is of is none.
fn younger(result: &Placed<'_, PointResult>, population: &PopulationCommitted, at: Timestamp) -> Option<String> {
    let named = result.body.rpo.point.as_ref()?;
    // AWS dates by its own clock.
    let at_its_clock = Timestamp(at.0.saturating_add(population.service_ahead_ms.unwrap_or(0).max(0).saturating_mul(1000)));
    let item = population.population.iter().find(|item| item.id == *named && item.created_at > at_its_clock)?;
    Some(format!("`{}` is of {}, after that", item.id, item.created_at))
}
