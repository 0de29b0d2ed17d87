//! What does not deserve to be called a pass.

use attestore::model::check::{CheckOutcome, Severity};
use attestore::model::counts::Counts;
use attestore::model::finding::Class;
use attestore::model::outcome::Outcome;
use attestore::testing_log::entry::Body;
use attestore::testing_log::verify::fault::Rule;

use crate::tamper::How::{BigLie, Lie};
use crate::tamper::{Tamper, all_end_in_their_fault, counts, facts, passing, run};

pub fn passes() -> Vec<Tamper> {
    vec![
        (
            "change the outcome to pass",
            Rule::PassWithDifferences,
            Lie(|body, nth| {
                if let (Body::PointResult(result), 0) = (body, nth) {
                    result.outcome = Outcome::Pass;
                    result.outcome_reasons.clear();
                }
            }),
        ),
        (
            "pass with exception what failed",
            Rule::PassWithDifferences,
            Lie(|body, nth| {
                if let (Body::PointResult(result), 0) = (body, nth) {
                    result.outcome = Outcome::PassWithException;
                }
            }),
        ),
        ("pass what was empty", Rule::PassNothingExpected, Lie(|body, _| passing(body, |r| *counts(r) = Default::default()))),
        ("pass what was not compared", Rule::PassNothingExpected, Lie(|body, _| passing(body, |r| r.verify = None))),
        ("pass what was half read", Rule::PassNotCovered, Lie(|body, _| passing(body, |r| facts(r).coverage_ppm = 999_999))),
        (
            "pass what is undecided",
            Rule::PassOverBudget,
            Lie(|body, _| {
                passing(body, |r| {
                    counts(r).add_many(attestore::model::finding::Class::Indeterminate, 3);
                })
            }),
        ),
        (
            "pass a failed check",
            Rule::PassCriticalCheck,
            Lie(|body, _| {
                passing(body, |r| {
                    r.sql_checks.iter_mut().filter(|c| c.severity == Severity::Critical).for_each(|c| c.result = CheckOutcome::Fail);
                })
            }),
        ),
        (
            "pass a check that was not run",
            Rule::PassCriticalCheck,
            Lie(|body, _| {
                passing(body, |r| {
                    r.sql_checks.iter_mut().filter(|c| c.severity == Severity::Critical).for_each(|c| c.result = CheckOutcome::Untested);
                })
            }),
        ),
        (
            "pass a check of nothing",
            Rule::PassVacuousCheck,
            Lie(|body, _| {
                passing(body, |r| {
                    r.sql_checks.iter_mut().for_each(|c| c.result = CheckOutcome::Vacuous);
                })
            }),
        ),
        (
            "pass an objective that was missed",
            Rule::PassObjectiveNotMet,
            BigLie(|body, _| {
                passing(body, |r| {
                    (r.rto.achieved_ms, r.rto.met) = (Some(1 << 40), Some(false));
                })
            }),
        ),
        ("pass without isolation", Rule::PassNotIsolated, Lie(|body, _| passing(body, |r| r.isolation = None))),
        (
            "pass as if every byte had been read",
            Rule::PassWithReasons,
            Lie(|body, _| passing(body, |r| r.verify.iter_mut().for_each(|facts| facts.tier = Some("inventory".into())))),
        ),
        (
            "pass with protection lost",
            Rule::PassWithDifferences,
            Lie(|body, _| {
                passing(body, |r| {
                    let mut lost = Counts::default();
                    lost.add(Class::Mismatch);
                    r.verify.iter_mut().for_each(|facts| (facts.protection, facts.findings.total) = (Some(lost), 1));
                })
            }),
        ),
        ("pass with reasons against it", Rule::PassWithReasons, Lie(|body, _| passing(body, |r| r.outcome_reasons.push("hm".into())))),
    ]
}

#[test]
fn undeserved_passes_end_in_their_named_fault() {
    all_end_in_their_fault(passes());
}

#[test]
fn a_check_that_does_not_apply_stands_against_no_pass_and_excuses_no_failure() {
    let (found, _) = run(Lie(|body, _| {
        passing(body, |r| {
            r.sql_checks.iter_mut().for_each(|c| (c.result, c.not_applicable, c.actual) = (CheckOutcome::Untested, true, None));
        })
    }));
    assert_eq!(found, [] as [&str; 0]);
    let (found, _) = run(Lie(|body, _| {
        passing(body, |r| r.sql_checks.iter_mut().for_each(|c| (c.result, c.not_applicable) = (CheckOutcome::Fail, true)))
    }));
    assert!(found.contains(&Rule::PassCriticalCheck.as_str()), "{found:?}");
}
