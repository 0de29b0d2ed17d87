//! The whole verification: reads the log once and applies every rule; a broken one never hides the next.

use std::path::Path;

use crate::model::clock::Timestamp;
use crate::model::failure::Failure;
use crate::signing::keys::VerifyingKey;
use crate::testing_log::store::LogDir;
use crate::testing_log::verify::fault::Faults;
use crate::testing_log::verify::verdict::{Verdict, VerifyOptions};
use crate::testing_log::verify::{
    check_packs, closing, draw, drills, evidence, listed, planned, reading, results, seals, stated, taken_down,
};

/// Verifies the log at `path` with the auditor's own copy of its key. Broken rules are in the verdict; a failure means that there was
/// nothing to verify, or that it could not be read.
pub fn verify(path: &Path, key: &VerifyingKey, options: &VerifyOptions) -> Result<Verdict, Failure> {
    let dir = LogDir::open(path)?;
    let now = Timestamp::now();
    let as_of = options.as_of.unwrap_or(now);
    let mut faults = Faults::default();
    // With another "now" the log may well go on beyond it: that is looking back, not a clock that is wrong.
    let reading = reading::read(&dir, key, options.as_of.is_none().then_some(now), &mut faults)?;
    let sealing = seals::check(&dir, key, &reading, options.checkpoint.as_deref(), &mut faults)?;
    let gathered = drills::gather(&reading);
    drills::check_sequence(&gathered, &mut faults);
    let mut configurations = stated::Configurations::new();
    let baselines = stated::check(&dir, &reading, &mut configurations, &mut faults);
    for drill in gathered.values() {
        draw::check(dir.origin(), &reading, &sealing, drill, &mut faults);
        let policy = drill.plans.first().and_then(|plan| draw::policy_of(&reading, plan.body));
        let demands = policy.and_then(|policy| stated::demanded(&dir, &mut configurations, &policy.config));
        listed::check(&dir, &reading, drill, demands, &mut faults);
        planned::check(&reading, drill, demands, &mut faults);
        check_packs::check(&dir, drill, policy, (demands, &baselines), &mut faults);
        results::check(&reading, drill, (demands, &baselines), &mut faults);
        taken_down::check(drill, &mut faults);
        closing::check(&sealing, drill, &mut faults);
    }
    let states = drills::states(&gathered, as_of, options.as_of.is_some(), &mut faults);
    let kept = evidence::check(&dir, &reading, &mut faults)?;
    drop(gathered);
    // In the order of the log, the log as a whole first: the first fault is usually the cause of those after it.
    faults.0.sort_by_key(|fault| fault.leaf);
    faults.1.sort_by_key(|unheld| unheld.leaf);
    Ok(Verdict {
        origin: dir.origin().to_owned(),
        size: reading.size(),
        sealed: sealing.sealed(),
        root: sealing.root,
        checkpoint: sealing.good.last_key_value().map(|(_, checkpoint)| checkpoint.clone()),
        checkpoints: sealing.good.keys().copied().collect(),
        anchor: sealing.anchor,
        as_of,
        faults: faults.0,
        entries: reading.entries.into_iter().map(|(_, entry)| entry).collect(),
        drills: states,
        withheld: kept.withheld,
        unheld: faults.1,
        evidence: kept.present,
    })
}
