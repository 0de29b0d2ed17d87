//! The verdict is as bad as what it rests on, and each one that is no pass has its own ground in the entry.
//!
//! Not here: what a pass needs (`pass`), which is asked where a result is called one.

use crate::model::outcome::Outcome;
use crate::testing_log::body::ClassPolicy;
use crate::testing_log::point_result::PointResult;
use crate::testing_log::verify::drills::Placed;
use crate::testing_log::verify::fault::{Faults, Rule};
use crate::testing_log::verify::pass;

/// Checks that what is no pass is called what it is. `promises_all` is what its plan says of itself: what earlier versions judged more
/// strictly than this one stays as it was judged.
pub fn check(result: &Placed<'_, PointResult>, policy: Option<&ClassPolicy>, promises_all: bool, faults: &mut Faults) {
    let body = result.body;
    if let Some(why) = contradiction(body, policy, promises_all) {
        let message = format!("case {} is recorded as {}: {why}", body.case, body.outcome);
        faults.at(Rule::ResultOutcomeDiffers, result.leaf, message);
    }
}

fn contradiction(body: &PointResult, policy: Option<&ClassPolicy>, promises_all: bool) -> Option<String> {
    if body.outcome.is_pass() {
        return None;
    }
    if body.outcome == Outcome::Untested {
        let is_untried = body.restore.is_none() && body.verify.is_none() && body.sql_checks.is_empty() && body.isolation.is_none();
        return (!is_untried).then(|| "it was tried".to_owned());
    }
    let failures = pass::failures(body, policy.map_or(0, |policy| policy.indeterminate_budget));
    if !failures.is_empty() {
        return (body.outcome != Outcome::Fail).then(|| format!("it failed: {}", failures.join("; ")));
    }
    let went_wrong = body.errors.iter().any(|error| error.phase != pass::TEARDOWN);
    match body.outcome {
        Outcome::Error if !went_wrong => Some("nothing is stated that went wrong".to_owned()),
        Outcome::Fail if promises_all => Some("nothing that it states failed".to_owned()),
        Outcome::Inconclusive if promises_all && went_wrong => Some("something went wrong, which is an error".to_owned()),
        Outcome::Inconclusive if promises_all && pass::objections(body, policy, Outcome::PassWithException).is_empty() => {
            Some("nothing that it states stands against a pass".to_owned())
        }
        _ => None,
    }
}
