//! What passes was restored, by what is said of its restore: it came to its end, it is what the guard cleared, and that was taken down.

use crate::testing_log::point_result::{ACCESS_POINT_MECHANISM, PointResult};
use crate::testing_log::probes::NAME_PREFIX;
use crate::testing_log::restore_facts::RestoreFacts;
use crate::testing_log::verify::drills::Placed;
use crate::testing_log::verify::fault::{Faults, Rule};

/// The words of restores that are complete, by how their mechanisms begin: the services' own, and those of what is kept beside AWS.
const COMPLETE: [(&str, &str); 7] = [
    (ACCESS_POINT_MECHANISM, "AVAILABLE"),
    ("aws-backup:", "COMPLETED"),
    ("rds:", "available"),
    ("dynamodb:", "ACTIVE"),
    ("s3:", "COPIED"),
    ("local:copy", "copied"),
    ("local:load", "loaded"),
];

/// Checks the restore of what is called a pass.
pub fn check(result: &Placed<'_, PointResult>, faults: &mut Faults) {
    let body = result.body;
    if !body.outcome.is_pass() {
        return;
    }
    let Some(restore) = &body.restore else {
        let message = format!("case {} is recorded as {}, and no restore of it is stated", body.case, body.outcome);
        faults.at(Rule::PassNotRestored, result.leaf, message);
        return;
    };
    faults.demand(restore.attempts > 0, Rule::PassNotRestored, result.leaf, || {
        format!("case {} is recorded as {}, and its restore was never asked for", body.case, body.outcome)
    });
    let complete = COMPLETE.iter().find(|(mechanism, _)| restore.mechanism.starts_with(mechanism)).map(|(_, word)| *word);
    faults.demand(complete.is_none_or(|word| word == restore.status), Rule::FactDiffers, result.leaf, || {
        format!("a restore by {} ends as `{}`, found `{}`", restore.mechanism, complete.unwrap_or_default(), restore.status)
    });
    for (name, at) in
        [("available_at", restore.available_at), ("fully_read_at", restore.fully_read_at), ("verified_at", restore.verified_at)]
    {
        faults.demand(at.is_some(), Rule::FactMissing, result.leaf, || {
            format!("case {} is recorded as {}, and `{name}` of its restore is not stated", body.case, body.outcome)
        });
    }
    check_target(result, restore, faults);
}

/// What the guard cleared by name is what was restored, and all that was taken down.
fn check_target(result: &Placed<'_, PointResult>, restore: &RestoreFacts, faults: &mut Faults) {
    let probes = result.body.isolation.iter().flat_map(|isolation| &isolation.probes);
    let Some(cleared) = probes.into_iter().find(|probe| probe.name == NAME_PREFIX).map(|probe| probe.found.as_str()) else { return };
    let is_cleared = |place: &str| place.strip_suffix(cleared).is_some_and(|before| before.is_empty() || before.ends_with([':', '/']));
    if let Some(target) = restore.target.as_deref().filter(|target| !is_cleared(target)) {
        let message = format!("the guard cleared `{cleared}`, and what was restored is {target}");
        faults.at(Rule::FactDiffers, result.leaf, message);
    }
    let resources = &result.body.teardown.resources;
    for resource in resources.iter().filter(|resource| !is_cleared(&resource.arn)) {
        let message = format!("the guard cleared `{cleared}`, and what was taken down is {}", resource.arn);
        faults.at(Rule::FactDiffers, result.leaf, message);
    }
    faults.demand(!resources.is_empty(), Rule::FactMissing, result.leaf, || {
        format!("`{cleared}` was restored, and nothing that was created is in the teardown")
    });
}
