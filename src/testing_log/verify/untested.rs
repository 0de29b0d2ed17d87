//! What was not tried for want of a manifest had none, and its class wants none restored without: a point that nobody tried hides whatever a
//! restore of it would have shown.

use crate::model::capture::CaptureMode;
use crate::model::outcome::Outcome;
use crate::testing_log::body::{DrillPlanned, ManifestRegistered};
use crate::testing_log::entry::Body;
use crate::testing_log::point_result::PointResult;
use crate::testing_log::verify::demands::Demands;
use crate::testing_log::verify::drills::{Drill, Placed};
use crate::testing_log::verify::fault::{Faults, Rule};
use crate::testing_log::verify::point;
use crate::testing_log::verify::reading::Reading;

/// Checks a result that is called untested, of a drill whose plan promises that its results state all. What its class wants restored without a
/// manifest is restored, and ends as what came of that.
pub fn check((reading, demands): (&Reading, Option<&Demands>), drill: &Drill<'_>, result: &Placed<'_, PointResult>, faults: &mut Faults) {
    let promises_all = drill.plans.first().map(|plan| plan.body).is_some_and(DrillPlanned::promises_all);
    if result.body.outcome != Outcome::Untested || !promises_all {
        return;
    }
    // What was registered later was made when the draw was known.
    let committed = drill.populations.first().map_or(result.leaf, |population| population.leaf);
    let fits = |body: &Body| matches!(body, Body::ManifestRegistered(registered) if is_of(registered, result.body));
    if let Some((leaf, _)) = reading.entries.iter().find(|(leaf, entry)| *leaf < committed && fits(&entry.body)) {
        let message =
            format!("case {} is recorded as untested, and entry {leaf} registers a manifest that fits its point", result.body.case);
        faults.at(Rule::ResultOutcomeDiffers, result.leaf, message);
    } else if let Some(wanted) = demands.and_then(|demands| demands.without_manifest.get(&result.body.class)) {
        let (case, class) = (&result.body.case, &result.body.class);
        let message = format!("case {case} is recorded as untested, and class `{class}` has `when_no_manifest = \"{wanted}\"`");
        faults.at(Rule::ResultOutcomeDiffers, result.leaf, message);
    }
}

/// Whether a drill compares the point with that manifest: one that names it, or one of before it that is no baseline of another's restore.
fn is_of(registered: &ManifestRegistered, result: &PointResult) -> bool {
    let (point, is_earlier) = (&result.rp, registered.captured_end <= result.rp.created_at);
    let is_baseline = registered.mode == CaptureMode::FirstRestore;
    // A baseline of before the point is of another that bore its name.
    let is_anothers = is_baseline && registered.captured_end < point.created_at && !point::is_local(&point.id);
    let names_it = registered.recovery_point_id.as_ref() == Some(&point.id) && !is_anothers;
    registered.resource == result.resource && (names_it || is_earlier && !is_baseline)
}
