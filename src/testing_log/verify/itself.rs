//! What a result's own entry lets re-derive: the time of its point, its recovery time, and its second.
//!
//! Not here: what only other entries tell (`results`), what is said of isolation (`isolation`), and what a pass needs (`pass`).

use crate::model::clock::Timestamp;
use crate::testing_log::body::ClassPolicy;
use crate::testing_log::point_result::PointResult;
use crate::testing_log::verify::drills::Placed;
use crate::testing_log::verify::fault::{Faults, Rule};
use crate::testing_log::verify::second;

/// Checks that a result does not contradict itself.
pub fn check(result: &Placed<'_, PointResult>, policy: Option<&ClassPolicy>, faults: &mut Faults) {
    check_time(result, faults);
    check_recovery_time(result, faults);
    check_second(result, policy, faults);
}

/// A point in time has its second in its identity.
fn check_time(result: &Placed<'_, PointResult>, faults: &mut Faults) {
    let point = &result.body.rp;
    let second: Option<Timestamp> = point.id.0.rsplit_once('@').and_then(|(_, at)| at.parse().ok());
    let Some(second) = second.filter(|_| point.from != "local") else { return };
    faults.demand(second == point.created_at, Rule::PointTimeDiffers, result.leaf, || {
        format!("`{}` is said to be of {}", point.id, point.created_at)
    });
}

/// From the request to the end of verification; nothing where either is not stated.
fn check_recovery_time(result: &Placed<'_, PointResult>, faults: &mut Faults) {
    let body = result.body;
    let Some(achieved_ms) = body.rto.achieved_ms else { return };
    let verified = body.restore.as_ref().and_then(|restore| Some(restore.verified_at?.millis_since(restore.requested_at)));
    let expected = verified.map(|ms| u64::try_from(ms).unwrap_or(0));
    faults.demand(expected == Some(achieved_ms), Rule::RtoDiffers, result.leaf, || {
        let spelled = expected.map_or_else(|| "nothing measured".to_owned(), |ms| format!("{ms} ms"));
        format!("RTO: requested to verified is {spelled}, found {achieved_ms} ms")
    });
}

/// What is said of the second follows from what was seen of it.
fn check_second(result: &Placed<'_, PointResult>, policy: Option<&ClassPolicy>, faults: &mut Faults) {
    let Some(second) = second::shown(result.body, policy) else { return };
    let said = result.body.restore.as_ref().and_then(|restore| restore.second_shown);
    faults.demand(said == Some(second.is_shown()), Rule::SecondDiffers, result.leaf, || {
        format!("second_shown: expected {}, found {said:?}: {}", second.is_shown(), second.words())
    });
}
