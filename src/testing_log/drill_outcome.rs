//! What a drill as a whole comes to: no better than the gravest of its cases, and no pass where something of its configuration was not looked
//! at, or was not there.
//!
//! Not here: what a single case comes to. Drills write it and auditors derive it again.

use std::collections::BTreeSet;

use crate::model::exclusion;
use crate::model::outcome::Outcome;
use crate::testing_log::body::{DrillPlanned, Excluded, PopulationCommitted};

/// The outcome of a drill with this plan and population, whose cases have these.
pub fn of(plan: &DrillPlanned, population: &PopulationCommitted, cases: impl IntoIterator<Item = Outcome>) -> Outcome {
    // Drills of earlier versions said of it in words alone.
    let beside = population.excluded.iter().filter(|_| plan.answers_for_unlisted());
    let drilled: BTreeSet<&str> = population.population.iter().map(|item| item.resource.0.as_str()).collect();
    let beside = beside.filter(|one| plan.answers_for_shared() || one.reason != exclusion::DRILLED_ELSEWHERE);
    Outcome::of_all(cases.into_iter().chain(beside.filter_map(|one| of_excluded(one, &drilled))))
}

/// What leaving something out makes of the whole; nothing where its listing states why it is left out. `drilled` are the resources that have a
/// point.
fn of_excluded(one: &Excluded, drilled: &BTreeSet<&str>) -> Option<Outcome> {
    let is_bare = || one.id.strip_prefix("resource:").is_some_and(|id| !drilled.contains(id));
    match &one.reason {
        reason if exclusion::is_unseen(reason) => Some(Outcome::Inconclusive),
        _ if !is_bare() => None,
        reason if exclusion::is_without_points(reason) => Some(Outcome::Inconclusive),
        _ => Some(Outcome::Untested),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_looked_is_not_that_nothing_is_there() {
        let drilled = BTreeSet::from(["crm"]);
        for (id, reason, expected) in [
            ("resource:crm", "could not be listed in rds-pitr: throttled", Some(Outcome::Inconclusive)),
            ("resource:hr", "could not be listed in rds-pitr: throttled", Some(Outcome::Inconclusive)),
            ("resource:crm", "no recovery point in rds-pitr", None),
            ("resource:hr", "no recovery point in rds-pitr", Some(Outcome::Inconclusive)),
            ("resource:hr", exclusion::NO_SOURCE, Some(Outcome::Inconclusive)),
            ("resource:hr", exclusion::NONE_LEFT, Some(Outcome::Inconclusive)),
            ("resource:hr", exclusion::DRILLED_ELSEWHERE, Some(Outcome::Untested)),
            ("resource:crm", "untested: driver_absent: no driver restores ebs from aws-backup", None),
            ("resource:disk", "untested: driver_absent: no driver restores ebs from aws-backup", Some(Outcome::Untested)),
            ("arn:aws:rds:snapshot:1", "EXPIRED: past its retention, deletion pending", None),
            (
                "arn:aws:backup:recovery-point:continuous:1",
                "continuous, and its window could not be listed: denied",
                Some(Outcome::Inconclusive),
            ),
            ("file:crm/a.db", "it cannot be looked at: denied", Some(Outcome::Inconclusive)),
            ("file:crm/a.db", exclusion::LEADS_NOWHERE, None),
        ] {
            assert_eq!(of_excluded(&Excluded { id: id.into(), reason: reason.into() }, &drilled), expected, "{id}: {reason}");
        }
    }
}
