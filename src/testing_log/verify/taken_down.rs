//! When what was created for a case was made and deleted, as its teardown tells: after the restore was asked for, and not deleted before it was
//! made, nor, of what passes, before its last byte was read.
//!
//! Services date what they make by their own clock, of which the population tells how far it was ahead; a deletion is dated by the drill's. Due
//! where the plan dates what is taken down. Not here: the dates in a raw description (`made`), and whether all of it is gone (`results`).

use crate::model::clock::Timestamp;
use crate::testing_log::point_result::{CreatedResource, PointResult, Presence};
use crate::testing_log::verify::drills::{Drill, Placed};
use crate::testing_log::verify::fault::{Faults, Rule};
use crate::testing_log::verify::made::APART_MS;
use crate::testing_log::verify::point;

/// Checks the teardown of every result of one drill.
pub fn check(drill: &Drill<'_>, faults: &mut Faults) {
    let (Some(plan), Some(started)) = (drill.plans.first(), drill.starts.first()) else { return };
    if !plan.body.dates_teardown() {
        return;
    }
    let told = drill.populations.first().and_then(|population| population.body.service_ahead_ms);
    for result in &drill.results {
        let ahead_ms = if point::is_local(&result.body.rp.id) { Some(0) } else { told };
        // Where nobody knows a service's clock, what it dates is held to nothing: `made` says so.
        let Some(ahead_ms) = ahead_ms else { continue };
        let from = asked_for(result.body, started.entry.at);
        // What stands may be another's, and older: that is why it was not deleted.
        for resource in result.body.teardown.resources.iter().filter(|resource| resource.state == Presence::Gone) {
            if let Some(why) = contradiction(resource, from, ahead_ms).or_else(|| gone_too_soon(result, resource)) {
                faults.at(Rule::FactDiffers, result.leaf, format!("teardown: {}: {why}", resource.arn));
            }
        }
    }
}

/// Since when there can be something that was created for the case. A bucket is made before its restore is asked for.
fn asked_for(body: &PointResult, started: Timestamp) -> Timestamp {
    body.restore.as_ref().filter(|_| body.rp.kind != "s3").map_or(started, |restore| restore.requested_at)
}

/// How the dates of `resource` cannot be, by either clock: what a service does not date, the drill does.
fn contradiction(resource: &CreatedResource, from: Timestamp, ahead_ms: i64) -> Option<String> {
    let CreatedResource { created_at, deleted_at, .. } = resource;
    if created_at.millis_since(from) < ahead_ms.min(0).saturating_sub(APART_MS) {
        return Some(format!("it is said to be created at {created_at}, and nothing was asked for before {from}"));
    }
    let deleted_at = deleted_at.filter(|deleted| created_at.millis_since(*deleted) > ahead_ms.max(0).saturating_add(APART_MS))?;
    Some(format!("it is said to be deleted at {deleted_at}, and created at {created_at}"))
}

/// What was read to its end was there until then.
fn gone_too_soon(result: &Placed<'_, PointResult>, resource: &CreatedResource) -> Option<String> {
    let read = result.body.restore.as_ref().filter(|_| result.body.outcome.is_pass())?.fully_read_at?;
    let deleted_at = resource.deleted_at.filter(|deleted| read.millis_since(*deleted) > APART_MS)?;
    Some(format!("it is said to be deleted at {deleted_at}, and was read until {read}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_created_lies_between_the_request_and_its_deletion_by_one_of_two_clocks() {
        let at = |s: i64| Timestamp::from_secs(1_000_000 + s);
        let fits = |ahead_s: i64, created_s: i64, deleted_s: i64| {
            let (created_at, deleted_at) = (at(created_s), Some(at(deleted_s)));
            let (state, confirmed_by) = (Presence::Gone, String::new());
            let resource = CreatedResource { arn: "a".into(), created_at, deleted_at, state, confirmed_by };
            contradiction(&resource, at(100), ahead_s * 1000).is_none()
        };
        assert!(fits(0, 100, 200) && fits(0, 40, 200) && fits(0, 260, 200));
        assert!(!fits(0, 39, 200) && !fits(0, 261, 200));
        // By the service's clock, or by the drill's where the service says nothing.
        assert!(fits(3600, 3860, 200) && !fits(3600, 3861, 200) && fits(3600, 150, 200) && !fits(3600, 39, 200));
        assert!(fits(-3600, -3560, 200) && !fits(-3600, -3561, 200) && fits(-3600, 150, 200) && !fits(-3600, 261, 200));
    }
}
