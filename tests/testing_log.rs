//! A log of a whole drill verifies.

mod testing_log_support;

use attestore::model::outcome::Outcome;
use attestore::testing_log::verify::verdict::{Anchor, DrillEnd, VerifyOptions};
use testing_log_support::{Story, build};

#[test]
fn an_honest_drill_is_self_consistent() {
    let world = build(Story::default());
    let verdict = world.verdict(&VerifyOptions::default());
    assert_eq!(verdict.faults, []);
    assert_eq!((verdict.word().as_str(), verdict.anchor), ("self-consistent", Anchor::SelfConsistent));
    assert_eq!((verdict.drills.len(), verdict.drills[0].end), (1, DrillEnd::Closed(Outcome::Fail)));
    assert_eq!((verdict.size, verdict.sealed), (verdict.entries.len() as u64, verdict.size));
    assert!(verdict.withheld.is_empty() && verdict.evidence > 3);
}
