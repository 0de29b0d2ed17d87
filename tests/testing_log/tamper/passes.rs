//! What does not deserve to be called a pass.

use attestore::model::check::{CheckOutcome, Severity};
use attestore::model::counts::Counts;
use attestore::model::finding::Class;
use attestore::model::outcome::Outcome;
use attestore::testing_log::entry::Body;
use attestore::testing_log::verify::fault::Rule;

use crate::promised::{INSTANCE, promised};
use crate::support::*;
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

/// Checks of a class that are none for what was restored keep it from being a plain pass, and no more.
#[test]
fn checks_that_do_not_apply_are_an_exception() {
    use attestore::testing_log::body::ClassPolicy;
    use attestore::testing_log::check_list::CheckList;
    use attestore::testing_log::verify::pass::objections;
    let world = build(Story { edit: promised(), ..Story::default() });
    let log = world.log();
    let bodies: Vec<Body> = log.entries().unwrap().map(|entry| entry.unwrap().body).collect();
    let of = |body: &Body| if let Body::PointResult(result) = body { Some((**result).clone()) } else { None };
    let mut result = bodies.iter().filter_map(of).find(|result| result.rp.id.0 == INSTANCE).unwrap();
    let policies = bodies.iter().find_map(|body| if let Body::PolicySet(set) = body { Some(set.classes.clone()) } else { None });
    let policy = policies.unwrap().remove("bank").unwrap();
    let words = |result: &_, policy: &ClassPolicy, as_if| -> String {
        objections(result, Some(policy), as_if).into_iter().map(|(_, why)| why).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(words(&result, &policy, Outcome::Pass), "");
    // Of the two that one kind of instance may be, the other has more.
    let lists =
        |all: &[(&str, &[&str])]| all.iter().map(|(engine, ids)| ((*engine).to_owned(), CheckList::of(ids.iter().copied()))).collect();
    let of_the_other = ClassPolicy { checks: lists(&[("mysql", &["a", "b"]), ("mariadb", &["a"])]), ..policy.clone() };
    result.sql_checks.iter_mut().for_each(|check| check.engine = "mariadb".into());
    assert!(
        words(&result, &of_the_other, Outcome::Pass).contains("1 more checks of class"),
        "{}",
        words(&result, &of_the_other, Outcome::Pass)
    );
    result.sql_checks.clear();
    assert!(words(&result, &policy, Outcome::Pass).contains("is for what was restored: they are for postgres"));
    assert_eq!(words(&result, &policy, Outcome::PassWithException), "");
    let none = ClassPolicy { checks: Default::default(), ..policy };
    assert_eq!(words(&result, &none, Outcome::Pass), "");
}
