//! How much was expected of a point that passed is how much its manifest has, where the evidence has that. A comparison with a part of it proves
//! a part.
//!
//! Due where the plan promises it. Not here: whether counts add up (`results`), and what a pass tolerates of them (`pass`).

use crate::model::counts::Counts;
use crate::testing_log::point_result::{ACCESS_POINT_MECHANISM, PointResult};
use crate::testing_log::verify::drills::Placed;
use crate::testing_log::verify::fault::{Faults, Rule};
use crate::testing_log::verify::stated::Baseline;
use crate::testing_log::verify::{pass, point};

/// Checks the counts of a result that is called a pass.
pub fn check(result: &Placed<'_, PointResult>, baseline: &Baseline, faults: &mut Faults) {
    let Some(facts) = result.body.verify.as_ref().filter(|_| result.body.outcome.is_pass()) else { return };
    let held = baseline.things.iter().filter(|(kind, _)| **kind != "objects" || is_of_all_versions(result.body));
    for (kind, has) in held {
        let found = pass::counts(facts).find(|(name, _)| name == kind).map(|(_, counts)| counts);
        faults.demand(found.is_some_and(|counts| fits(counts, *has)), Rule::ManifestDiffers, result.leaf, || {
            let spelled = found.map_or_else(|| "none".to_owned(), |counts| counts.expected.to_string());
            format!("the manifest {} has {has} {kind}, and {spelled} were expected of `{}`", facts.manifest, result.body.rp.id)
        });
    }
}

/// Each thing of the manifest is expected. What is surplus may stand among what is undecided, and so among what is expected.
fn fits(counts: &Counts, has: u64) -> bool {
    (has..=has.saturating_add(counts.indeterminate)).contains(&counts.expected)
}

/// Of a bucket as it was at a second, and of one that is read where it lies, not every version of a manifest is expected.
fn is_of_all_versions(body: &PointResult) -> bool {
    let is_second = body.rp.from == "s3-versions" || body.rp.id.0.contains('@');
    let is_read_there = body.restore.as_ref().is_none_or(|restore| restore.mechanism == ACCESS_POINT_MECHANISM);
    point::is_local(&body.rp.id) || !is_second && !is_read_there
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::Class;

    #[test]
    fn no_less_is_expected_than_there_is_and_no_more_than_is_undecided() {
        let counts = |matched: u64, indeterminate: u64| {
            let mut counts = Counts::default();
            counts.add_many(Class::Match, matched);
            counts.add_many(Class::Indeterminate, indeterminate);
            counts
        };
        assert!(fits(&counts(10, 0), 10) && fits(&counts(10, 2), 10) && fits(&counts(8, 2), 10));
        assert!(!fits(&counts(9, 0), 10) && !fits(&counts(11, 0), 10) && !fits(&counts(7, 2), 10));
    }
}
