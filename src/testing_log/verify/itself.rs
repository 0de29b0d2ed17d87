//! What a result's own entry lets re-derive: its recovery time, its second, and whose look its isolation is.
//!
//! Not here: what only other entries tell (`results`), and what a pass needs (`pass`).

use crate::model::clock::Timestamp;
use crate::testing_log::body::{ClassPolicy, PointResult};
use crate::testing_log::verify::drills::Placed;
use crate::testing_log::verify::fault::{Faults, Rule};
use crate::testing_log::verify::second;

/// Looks that every guard takes before anything is created.
const ALWAYS: &[&str] = &["account", "name-prefix", "target-absent"];

/// Checks that a result does not contradict itself.
pub fn check(result: &Placed<'_, PointResult>, policy: Option<&ClassPolicy>, faults: &mut Faults) {
    check_time(result, faults);
    check_recovery_time(result, faults);
    check_second(result, policy, faults);
    check_isolation(result, faults);
    let body = result.body;
    faults.demand(!body.outcome.is_pass() || body.restore.is_some(), Rule::PassNotRestored, result.leaf, || {
        format!("case {} is recorded as {}, and no restore of it is stated", body.case, body.outcome)
    });
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

fn check_isolation(result: &Placed<'_, PointResult>, faults: &mut Faults) {
    let Some(isolation) = result.body.isolation.as_ref().filter(|isolation| isolation.proved && !isolation.probes.is_empty()) else {
        return;
    };
    for name in ALWAYS {
        faults.demand(isolation.probes.iter().any(|probe| probe.name == *name), Rule::IsolationDiffers, result.leaf, || {
            format!("isolation is said to be proved, and nothing looked at `{name}`")
        });
    }
    let of_another = isolation.probes.iter().find(|probe| probe.name == "account" && probe.found != isolation.account_id);
    faults.demand(of_another.is_none(), Rule::IsolationDiffers, result.leaf, || {
        let found = of_another.map_or("", |probe| probe.found.as_str());
        format!("isolation in account {}, and the account that was looked at is {found}", isolation.account_id)
    });
    // An instance that nobody looked at after it came up may be in everybody's reach.
    let is_instance = result.body.restore.as_ref().is_some_and(|restore| restore.mechanism.starts_with("rds:"));
    let is_looked_at = isolation.probes.iter().any(|probe| probe.name == "not-public");
    faults.demand(!is_instance || result.body.verify.is_none() || is_looked_at, Rule::IsolationDiffers, result.leaf, || {
        "isolation is said to be proved, and nothing looked at `not-public`".to_owned()
    });
}
