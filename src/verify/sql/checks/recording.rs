//! What a capture keeps for checks: numbers to compare with later, and keyed digests of planted values.

use std::collections::BTreeMap;

use crate::model::check::CheckOutcome;
use crate::model::failure::Failure;
use crate::model::source_url::SourceUrl;
use crate::monitor::Monitor;
use crate::signing::hash_key::HashKey;
use crate::verify::sql::access::Access;
use crate::verify::sql::checks::demands::CheckDemands;
use crate::verify::sql::checks::kind::CheckKind;
use crate::verify::sql::checks::pack::Pack;
use crate::verify::sql::checks::runner;

/// The baselines that the `baseline-scalar` and `canary` checks of `packs` will ask for, taken of a source while it is known to be good.
/// Numbers of rows (`rows.TABLE`) are not among them: a capture counts those itself.
///
/// # Errors
/// Where one of the checks cannot be run: a manifest without its baseline would leave it untested for ever.
pub async fn baselines(
    url: &SourceUrl,
    access: &Access,
    packs: &[Pack],
    names: &BTreeMap<String, String>,
    hash_key: &HashKey,
    monitor: &dyn Monitor,
) -> Result<BTreeMap<String, String>, Failure> {
    let mut wanted = packs.to_vec();
    for pack in &mut wanted {
        let asks = |kind: CheckKind| matches!(kind, CheckKind::BaselineScalar | CheckKind::Canary);
        pack.checks.retain(|check| asks(check.kind) && !check.baseline.starts_with("rows."));
    }
    let by_id: BTreeMap<&str, &str> =
        wanted.iter().flat_map(|pack| &pack.checks).map(|check| (check.id.as_str(), check.baseline.as_str())).collect();
    // Whatever they are compared with: what they find is what is wanted.
    let demands = CheckDemands {
        baselines: by_id.values().map(|baseline| ((*baseline).to_owned(), "0".to_owned())).collect(),
        names: names.clone(),
        hash_key: Some(hash_key.clone()),
        ..CheckDemands::default()
    };
    let mut found = BTreeMap::new();
    for result in runner::run_with(url, access, &wanted, &demands, monitor).await? {
        match (result.actual, result.result, by_id.get(result.id.as_str())) {
            (Some(actual), CheckOutcome::Pass | CheckOutcome::Fail | CheckOutcome::Warn, Some(baseline)) => {
                found.insert((*baseline).to_owned(), actual);
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
