//! When a service made what was restored, as its raw description in the evidence states it: after the restore was asked for, and before it was
//! complete, by that service's clock. Who moves the phases of a restore to look quicker leaves that date behind.
//!
//! The population tells how far AWS's clock was ahead of the drill's. What AWS dates shows whether that is so; where it shows that the two
//! agreed instead, no recovery point is younger than by the drill's own clock.
//!
//! Due where the plan answers for what could not be listed. Not here: whether the phases follow each other (`results`), and how an age is counted
//! (`rpo`).

use serde_json::Value;

use crate::model::clock::Timestamp;
use crate::testing_log::body::PopulationCommitted;
use crate::testing_log::point_result::PointResult;
use crate::testing_log::restore_facts::RestoreFacts;
use crate::testing_log::store::LogDir;
use crate::testing_log::verify::drills::{Drill, Placed};
use crate::testing_log::verify::fault::{Faults, Rule};
use crate::testing_log::verify::listing::{AUTOMATED, BACKUPS, CONTINUOUS, Listing, SNAPSHOTS, VAULT};
use crate::testing_log::verify::{point, reference, rpo};

/// What the clocks of honest machines and services may be apart by beside what was told of them: dates are whole seconds, answers take their
/// way, and a log goes on after a clock was set back by no more.
pub const APART_MS: i64 = 60_000;
/// A clock that is being set right goes too fast or too slow by up to one part in so many.
const SLEWED_BY: i64 = 10;

/// What a drill knows of AWS's clock.
#[derive(Clone, Copy, Debug)]
struct Told {
    /// How far it was ahead of the drill's when the drill began, in milliseconds.
    ahead_ms: i64,
    /// When that was, at the earliest.
    began: Timestamp,
}

impl Told {
    fn of(population: &Placed<'_, PopulationCommitted>) -> Option<Self> {
        let began = population.body.deadline_at.plus_secs(-reference::DEADLINE_S).min(population.entry.at);
        Some(Self { ahead_ms: population.body.service_ahead_ms?, began })
    }

    /// How far ahead it may have been at `at`: as told, or less where the drill's clock was set right meanwhile.
    fn by(self, at: Timestamp) -> [i64; 2] {
        let mended = (at.millis_since(self.began).max(0) / SLEWED_BY).min(self.ahead_ms.saturating_abs());
        let other = self.ahead_ms - self.ahead_ms.signum() * mended;
        [self.ahead_ms.min(other), self.ahead_ms.max(other)]
    }

    fn allows(self, made: &Made) -> bool {
        let after = made.at.millis_since(made.from).saturating_add(APART_MS) >= self.by(made.from)[0];
        after && made.at.millis_since(made.to).saturating_sub(APART_MS) <= self.by(made.to)[1]
    }
}

/// A date that a service has given, and what it lies between by the drill's clock.
struct Made {
    what: &'static str,
    at: Timestamp,
    from: Timestamp,
    to: Timestamp,
}

impl Made {
    /// Whether it lies between them where both clocks agree.
    fn is_by_one_clock(&self) -> bool {
        Told { ahead_ms: 0, began: self.from }.allows(self)
    }
}

/// Checks the dates of what a drill restored, and the ages that are counted by a clock that they show to be none of theirs.
pub fn check(dir: &LogDir, drill: &Drill<'_>, listings: &[Listing<'_>], faults: &mut Faults) {
    let (Some(population), Some(started)) = (drill.populations.first(), drill.starts.first()) else { return };
    let Some(told) = Told::of(population) else {
        if drill.results.iter().any(|result| !dates(dir, result, started.entry.at).is_empty()) {
            let what = "it does not say what AWS's clock was: when services made what was restored could not be held to it";
            faults.unheld(population.leaf, what);
        }
        return;
    };
    let mut against = newest_listed(listings)
        .filter(|newest| newest.millis_since(population.entry.at).saturating_sub(APART_MS) > told.by(population.entry.at)[1])
        .map(|newest| format!("something is listed as of {newest}, and the population was committed at {}", population.entry.at));
    for result in &drill.results {
        for made in dates(dir, result, started.entry.at) {
            if told.allows(&made) {
                continue;
            }
            let Made { what, at, from, to } = &made;
            let said = format!("`{}`: {what} is of {at}, as its service says, and its restore went from {from} to {to}", result.body.rp.id);
            if made.is_by_one_clock() {
                against = against.or(Some(said));
            } else {
                let clocks = format!("; AWS's clock was {} ms ahead, as the population tells", told.ahead_ms);
                faults.at(Rule::MadeOutsideRestore, result.leaf, said + &clocks);
            }
        }
    }
    if let Some(against) = against {
        drill.results.iter().for_each(|result| younger(result, population.body, told, &against, faults));
    }
}

/// No point is younger than by the drill's clock, nor dated after the instant that ages are counted from, where AWS's is shown to agree with it.
fn younger(result: &Placed<'_, PointResult>, population: &PopulationCommitted, told: Told, against: &str, faults: &mut Faults) {
    let said = &result.body.rpo;
    let (Some(achieved_ms), Some(at), Some(id)) = (said.achieved_ms, said.reference_at, &said.point) else { return };
    let Some(item) = population.population.iter().find(|item| item.id == *id && !point::is_local(id)) else { return };
    let ours = at.millis_since(item.created_at);
    let is_so = i64::try_from(achieved_ms).unwrap_or(i64::MAX) >= ours && ours >= -rpo::AHEAD_MS;
    faults.demand(is_so, Rule::RpoDiffers, result.leaf, || {
        format!(
            "RPO of {}: {achieved_ms} ms by AWS's clock, said to have been {} ms ahead, and {ours} ms by the drill's; but {against}",
            result.body.resource, told.ahead_ms
        )
    });
}

/// What is dated in the raw description of a restore that came to its end.
fn dates(dir: &LogDir, result: &Placed<'_, PointResult>, started: Timestamp) -> Vec<Made> {
    let Some(restore) = result.body.restore.as_ref().filter(|_| !point::is_local(&result.body.rp.id)) else { return Vec::new() };
    let Some((available, raw)) = restore.available_at.zip(raw(dir, restore)) else { return Vec::new() };
    let time = |value: &Value| value.as_str().and_then(|at| at.parse::<Timestamp>().ok());
    // Of a job its own description is beside that of what it made.
    let created = |kind: &str| [&raw[kind]["created_at"], &raw["created"][kind]["created_at"]].into_iter().find_map(time);
    let accepted = restore.accepted_at.unwrap_or(available);
    // A bucket is made before its restore is asked for, and its date changes when its settings do.
    let all = [
        ("the job", time(&raw["restore_job"]["created_at"]), restore.requested_at, accepted),
        ("the end of the job", time(&raw["restore_job"]["completed_at"]), restore.requested_at, available),
        ("the instance", created("db_instance"), restore.requested_at, available),
        ("the table", created("table"), restore.requested_at, available),
        ("the access point", created("backup_access_point"), restore.requested_at, available),
        ("the bucket", created("bucket"), started, result.entry.at),
    ];
    all.into_iter().filter_map(|(what, at, from, to)| Some(Made { what, at: at?, from, to })).collect()
}

fn raw(dir: &LogDir, restore: &RestoreFacts) -> Option<Value> {
    let bytes = dir.evidence(restore.raw_describe.as_ref()?).ok().flatten()?;
    serde_json::from_slice(&bytes).ok()
}

/// The newest date that a service gives anything: it was over when it was listed.
fn newest_listed(listings: &[Listing<'_>]) -> Option<Timestamp> {
    let time = |value: &Value| value.as_str().and_then(|at| at.parse::<Timestamp>().ok());
    let newest = |listing: &Listing<'_>| match listing.call.as_str() {
        SNAPSHOTS | BACKUPS | VAULT => listing.items().filter_map(|item| time(&item["created_at"])).max(),
        AUTOMATED => time(&listing.answer[1]),
        CONTINUOUS => time(&listing.answer["latest"]),
        _ => None,
    };
    listings.iter().filter_map(newest).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_lies_between_the_phases_by_the_clock_that_was_told() {
        let at = |s: i64| Timestamp::from_secs(1_000_000 + s);
        let allows = |ahead_s: i64, made_s: i64| {
            let made = Made { what: "the table", at: at(made_s), from: at(100), to: at(200) };
            Told { ahead_ms: ahead_s * 1000, began: at(90) }.allows(&made)
        };
        assert!(allows(0, 100) && allows(0, 200) && allows(0, 41) && allows(0, 259));
        assert!(!allows(0, 39) && !allows(0, 261));
        assert!(allows(3600, 3750) && !allows(3600, 150) && allows(-3600, -3450) && !allows(-3600, 150));
        // Set right by a tenth of the time that went by: ten seconds of it.
        assert!(allows(-3600, 200 - 3600 + 60 + 11) && !allows(-3600, 200 - 3600 + 60 + 12));
        assert!(allows(3600, 100 + 3600 - 60 - 1) && !allows(3600, 100 + 3600 - 60 - 2));
        assert_eq!(Told { ahead_ms: 500, began: at(0) }.by(at(1000)), [0, 500], "never beyond being right");
    }
}
