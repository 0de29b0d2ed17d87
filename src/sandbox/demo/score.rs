//! What was planted against what a drill found: every planted fault found, nothing else accused.

use serde::{Deserialize, Serialize};

use crate::model::finding::{Class, Finding, Kind};
use crate::model::ids::PointId;
use crate::model::outcome::Outcome;

/// One fault that was planted, and the trace that a drill has to leave of it. Written to `planted.json`, which the drill never reads.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Planted {
    /// The recovery point that it was planted in.
    pub point: PointId,
    /// In words.
    pub what: String,
    /// What the drill has to say.
    pub expect: Expectation,
}

/// The trace of a planted fault.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expectation {
    /// Exactly one finding of this class and kind whose place is this, or starts with it where `prefix` is set
    /// (a lost row is known by its keyed hash alone).
    Finding {
        /// The class.
        class: Class,
        /// The kind.
        kind: Kind,
        /// The key, row or item.
        place: String,
        /// Whether `place` is only the beginning.
        prefix: bool,
    },
    /// The case ends with this outcome and no finding at all, and a reason or an error that contains these words.
    Outcome {
        /// The outcome.
        outcome: Outcome,
        /// Part of a reason.
        words: String,
    },
    /// This SQL check fails.
    Check {
        /// Its id.
        id: String,
    },
}

/// What a drill said of one recovery point.
#[derive(Clone, PartialEq, Debug)]
pub struct Observed {
    /// The recovery point.
    pub point: PointId,
    /// The case's outcome.
    pub outcome: Outcome,
    /// Its reasons and errors, in words.
    pub reasons: Vec<String>,
    /// Its findings in clear.
    pub findings: Vec<Finding>,
    /// Ids of the SQL checks that did not pass.
    pub failed_checks: Vec<String>,
}

/// The score of a drill.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Score {
    /// Planted faults whose trace was found.
    pub found: Vec<String>,
    /// Planted faults that left no trace, and why not.
    pub missed: Vec<String>,
    /// What was accused though nothing was planted there.
    pub unexpected: Vec<String>,
}

impl Score {
    /// True when found equals planted and nothing else was accused.
    pub fn is_perfect(&self) -> bool {
        self.missed.is_empty() && self.unexpected.is_empty()
    }
}

/// Holds each planted fault against what was observed; whatever is left over was accused wrongly. A point in `untested` may be untested.
pub fn score(planted: &[Planted], observed: &[Observed], may_be_untested: &dyn Fn(&PointId) -> bool) -> Score {
    let mut score = Score::default();
    let mut rest: Vec<Observed> = observed.to_vec();
    for fault in planted {
        let name = format!("{}: {}", fault.point, fault.what);
        let Some(case) = rest.iter_mut().find(|case| case.point == fault.point) else {
            score.missed.push(format!("{name} (the point was not drilled)"));
            continue;
        };
        if take(case, &fault.expect) {
            score.found.push(name);
        } else {
            score.missed.push(format!("{name} (the case ended as {})", case.outcome));
        }
    }
    let explained = |case: &Observed| planted.iter().any(|fault| fault.point == case.point);
    for case in &rest {
        for finding in &case.findings {
            score.unexpected.push(format!("{}: {} {}", case.point, finding.class, finding.place.parts().1));
        }
        for check in &case.failed_checks {
            score.unexpected.push(format!("{}: check {check}", case.point));
        }
        let excused = explained(case) || (case.outcome == Outcome::Untested && may_be_untested(&case.point));
        if !case.outcome.is_pass() && !excused {
            score.unexpected.push(format!("{}: {} ({})", case.point, case.outcome, case.reasons.join("; ")));
        }
        if case.outcome.is_pass() && explained(case) {
            score.unexpected.push(format!("{}: {} although a fault was planted there", case.point, case.outcome));
        }
    }
    score
}

/// Takes the trace that `expect` describes out of `case`; false where there is none.
fn take(case: &mut Observed, expect: &Expectation) -> bool {
    match expect {
        Expectation::Finding { class, kind, place, prefix } => {
            let fits = |finding: &Finding| {
                let (_, whole) = finding.place.parts();
                // An item is named within the restored table, whose name nobody could know beforehand.
                let found = if *kind == Kind::Item { whole.split_once(' ').map_or(whole, |(_, item)| item) } else { whole };
                finding.class == *class && finding.kind == *kind && if *prefix { found.starts_with(place.as_str()) } else { found == place }
            };
            let Some(index) = case.findings.iter().position(fits) else { return false };
            case.findings.remove(index);
            case.outcome == Outcome::Fail
        }
        Expectation::Outcome { outcome, words } => {
            case.outcome == *outcome && case.reasons.iter().any(|reason| reason.contains(words.as_str()))
        }
        Expectation::Check { id } => {
            let Some(index) = case.failed_checks.iter().position(|check| check == id) else { return false };
            case.failed_checks.remove(index);
            case.outcome == Outcome::Fail
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::Place;

    fn planted() -> Vec<Planted> {
        let finding = |class, place: &str, prefix| Expectation::Finding { class, kind: Kind::Row, place: place.into(), prefix };
        let fault = |point: &str, what: &str, expect| Planted { point: point.into(), what: what.into(), expect };
        vec![
            fault("p1", "a changed row", finding(Class::Mismatch, "customers id=7", false)),
            fault("p1", "a lost row", finding(Class::Missing, "transactions #", true)),
            fault("p2", "a job that fails", Expectation::Outcome { outcome: Outcome::Error, words: "FAILED".into() }),
        ]
    }

    fn row(class: Class, place: &str) -> Finding {
        Finding::new(class, Kind::Row, Place::Row(place.into()))
    }

    fn observed() -> Vec<Observed> {
        let case = |point: &str, outcome, findings, reasons: &[&str]| Observed {
            point: point.into(),
            outcome,
            reasons: reasons.iter().map(|&text| text.to_owned()).collect(),
            findings,
            failed_checks: Vec::new(),
        };
        vec![
            case("p1", Outcome::Fail, vec![row(Class::Missing, "transactions #1f"), row(Class::Mismatch, "customers id=7")], &[]),
            case("p2", Outcome::Error, Vec::new(), &["the restore job FAILED"]),
            case("p3", Outcome::Pass, Vec::new(), &[]),
        ]
    }

    fn judge(observed: &[Observed]) -> Score {
        score(&planted(), observed, &|_| false)
    }

    #[test]
    fn found_equals_planted() {
        let score = judge(&observed());
        assert!(score.is_perfect() && score.found.len() == 3, "{score:?}");
    }

    #[test]
    fn a_fault_that_leaves_no_trace_is_missed() {
        let mut cases = observed();
        cases[0].findings.pop();
        assert_eq!(judge(&cases).missed.len(), 1);
        cases.remove(1);
        assert_eq!(judge(&cases).missed.len(), 2);
    }

    #[test]
    fn every_other_accusation_is_unexpected() {
        let mut cases = observed();
        cases[0].findings.push(row(Class::Extra, "customers id=9"));
        cases[2].outcome = Outcome::Inconclusive;
        assert_eq!(judge(&cases).unexpected.len(), 2);
        cases[2].outcome = Outcome::Untested;
        assert_eq!(judge(&cases).unexpected.len(), 2);
        assert_eq!(score(&planted(), &cases, &|point| point.0 == "p3").unexpected.len(), 1);
    }

    #[test]
    fn a_pass_where_a_fault_lies_is_never_perfect() {
        let mut cases = observed();
        cases[1].outcome = Outcome::Pass;
        assert!(!judge(&cases).is_perfect());
    }
}
