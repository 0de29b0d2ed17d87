//! The engines of a restore: those that its raw description in the evidence states; and what a service restored and was compared runs the
//! engine that wrote the data, since no service changes it.
//!
//! Due where the plan answers for what could not be listed. Not here: what a comparison leaves out between engines (`apart`), and what a listing
//! states of a point's engine (`stated_of_points`).

use serde_json::Value;

use crate::testing_log::point_result::PointResult;
use crate::testing_log::restore_facts::{EngineVersions, Engines};
use crate::testing_log::store::LogDir;
use crate::testing_log::verify::drills::Placed;
use crate::testing_log::verify::fault::{Faults, Rule};
use crate::testing_log::verify::point;

/// Checks the engines of a result.
pub fn check(dir: &LogDir, result: &Placed<'_, PointResult>, faults: &mut Faults) {
    let Some(restore) = &result.body.restore else { return };
    let raw = restore.raw_describe.as_ref().and_then(|digest| dir.evidence(digest).ok().flatten());
    if let Some(raw) = raw.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok()) {
        let versions: Option<EngineVersions> = serde_json::from_value(raw["engine_versions"].clone()).ok();
        let engines: Option<Engines> = serde_json::from_value(raw["engines"].clone()).ok();
        // What is left out is owed elsewhere.
        let is_stated = restore.engine_versions.as_ref().is_some_and(|said| said.restored_engine.is_some());
        let same = (!is_stated || versions == restore.engine_versions) && (restore.engines.is_none() || engines == restore.engines);
        faults.demand(same, Rule::FactDiffers, result.leaf, || {
            format!("`{}`: its engines are not those of the raw description in the evidence", result.body.rp.id)
        });
    }
    let versions = restore.engine_versions.as_ref().filter(|_| result.body.verify.is_some() && !point::is_local(&result.body.rp.id));
    let pair = versions.and_then(|versions| versions.source_engine.as_ref().zip(versions.restored_engine.as_ref()));
    faults.demand(pair.is_none_or(|(wrote, runs)| wrote == runs), Rule::FactDiffers, result.leaf, || {
        let (wrote, runs) = pair.map_or(("", ""), |(wrote, runs)| (wrote, runs));
        format!("`{}` is said to have been written by {wrote}, restored by its service as {runs}, and compared", result.body.rp.id)
    });
}
