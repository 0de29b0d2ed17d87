//! What a capture keeps for checks: numbers to compare with later, and keyed digests of planted values.

use std::collections::BTreeMap;

use crate::model::capture::CaptureMode;
use crate::model::check::{CheckOutcome, CheckResult};
use crate::model::check_kind::CheckKind;
use crate::model::failure::{Failure, FailureKind};
use crate::model::source_url::SourceUrl;
use crate::monitor::Monitor;
use crate::signing::hash_key::HashKey;
use crate::verify::sql::checks::demands::CheckDemands;
use crate::verify::sql::checks::pack::Pack;
use crate::verify::sql::checks::runner;
use crate::verify::sql::connect::access::Access;
use crate::verify::sql::connect::errors::GIVE_RIGHTS;

/// What is to be recorded: the `baseline-scalar` and `canary` checks of packs; of a restored copy no canaries, since nobody knows what was planted
/// in its source. Numbers of rows (`rows.TABLE`) are not among them: a capture counts
/// those itself.
pub struct Recording {
    /// The packs with those checks alone.
    pub packs: Vec<Pack>,
    /// What they are run with: whatever they are compared with, what they find is what is wanted.
    pub demands: CheckDemands,
    /// The baseline of each check.
    by_id: BTreeMap<String, String>,
}

impl Recording {
    /// Of `packs`, whose tables and columns are called by `names`, for a manifest of this mode.
    pub fn of(packs: &[Pack], names: &BTreeMap<String, String>, hash_key: &HashKey, mode: CaptureMode) -> Self {
        let mut packs = packs.to_vec();
        for pack in &mut packs {
            let asks = |kind| kind == CheckKind::BaselineScalar || kind == CheckKind::Canary && mode != CaptureMode::FirstRestore;
            pack.checks.retain(|check| asks(check.kind) && !check.baseline.starts_with("rows.") && check.baseline != "rows");
        }
        let by_id: BTreeMap<String, String> =
            packs.iter().flat_map(|pack| &pack.checks).map(|check| (check.id.clone(), check.baseline.clone())).collect();
        let demands = CheckDemands {
            baselines: by_id.values().map(|baseline| (baseline.clone(), "0".to_owned())).collect(),
            names: names.clone(),
            hash_key: Some(hash_key.clone()),
            recording: true,
            ..CheckDemands::default()
        };
        Self { packs, demands, by_id }
    }

    /// The baselines that the checks have found.
    ///
    /// # Errors
    /// Where one of them could not be run: a manifest without its baseline would leave it untested for ever.
    pub fn gather(&self, results: Vec<CheckResult>) -> Result<BTreeMap<String, String>, Failure> {
        let mut found = BTreeMap::new();
        for result in results {
            if result.denied {
                let said = format!("check {} has no baseline to record: {}", result.id, result.reason.unwrap_or_default());
                return Err(Failure::new(FailureKind::Denied, said).hint(GIVE_RIGHTS));
            }
            // What is measured of each table or column there is; in a database without any, that is nothing. What broke off holds a part.
            if result.not_applicable || result.result == CheckOutcome::Pass && !result.measured.is_empty() {
                found.extend(result.measured);
                continue;
            }
            match (result.actual, result.result, self.by_id.get(&result.id)) {
                (Some(actual), CheckOutcome::Pass | CheckOutcome::Fail | CheckOutcome::Warn, Some(baseline)) => {
                    found.insert(baseline.clone(), actual);
                }
                (_, _, _) => {
                    let why = result.reason.unwrap_or_else(|| "it gave no value".into());
                    return Err(Failure::invalid(format!("check {} has no baseline to record: {why}", result.id))
                        .hint("mend the check or the source, or capture without its pack"));
                }
            }
        }
        Ok(found)
    }
}

/// The baselines that the checks of `packs` will ask for, taken of a database for a manifest of this mode while it is known to be good.
///
/// # Errors
/// As [`Recording::gather`].
pub async fn baselines(
    url: &SourceUrl,
    access: &Access,
    packs: &[Pack],
    names: &BTreeMap<String, String>,
    (hash_key, mode): (&HashKey, CaptureMode),
    monitor: &dyn Monitor,
) -> Result<BTreeMap<String, String>, Failure> {
    let recording = Recording::of(packs, names, hash_key, mode);
    let results = runner::run_with(url, access, &recording.packs, &recording.demands, monitor).await?;
    recording.gather(results)
}
