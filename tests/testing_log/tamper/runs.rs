//! What an operator can do to the order and the totals of a run.

use attestore::model::clock::Timestamp;
use attestore::model::outcome::Outcome;
use attestore::testing_log::body::*;
use attestore::testing_log::entry::Body;
use attestore::testing_log::point_result::*;
use attestore::testing_log::verify::fault::Rule;

use crate::support::DRILL;
use crate::tamper::How::{BigLie, Lie, Story as Told};
use crate::tamper::{Tamper, after, all_end_in_their_fault, append, closed_body, find, result};

pub fn runs() -> Vec<Tamper> {
    vec![
        (
            "start without the plan",
            Rule::StartDiffers,
            Lie(|body, _| {
                if let Body::DrillStarted(started) = body {
                    started.planned_leaf = 2;
                }
            }),
        ),
        ("request before the plan is sealed", Rule::PlanNotSealed, Told(|story| story.seal = |kind| kind != "drill.planned")),
        (
            "backdate a restore",
            Rule::RequestedTooEarly,
            BigLie(|body, _| {
                result(|r| {
                    r.restore.as_mut().unwrap().requested_at =
                        Timestamp::from_secs(1_700_000_000).max("2026-01-02T00:00:00Z".parse().unwrap());
                })(body, 0)
            }),
        ),
        (
            "record a result before the start",
            Rule::ResultBeforeStart,
            Told(|story| {
                after(story, "drill.planned", |writer| {
                    let Body::DrillPlanned(plan) = find(writer, "drill.planned").body else { unreachable!() };
                    let aborted = PointResult { case: plan.cases[0].case.clone(), ..untested(&plan) };
                    append(writer, Body::PointResult(Box::new(aborted)));
                })
            }),
        ),
        (
            "record what was not planned",
            Rule::ResultNotPlanned,
            BigLie(|body, nth| {
                if let (Body::PointResult(result), 1) = (body, nth) {
                    result.case = "d20260131-020000-7f3a-c99".into();
                }
            }),
        ),
        (
            "record another point",
            Rule::ResultDiffersFromPlan,
            BigLie(|body, nth| {
                if let (Body::PointResult(result), 1) = (body, nth) {
                    result.rp.id = "file:better".into();
                }
            }),
        ),
        (
            "record a case twice",
            Rule::ResultRepeated,
            Told(|story| {
                after(story, "rp.result", |writer| {
                    let again = find(writer, "rp.result").body;
                    append(writer, again);
                })
            }),
        ),
        (
            "leave a result out",
            Rule::ResultMissing,
            BigLie(|body, nth| {
                if let (Body::PointResult(result), 1) = (body, nth) {
                    result.case = "d20260131-020000-7f3a-c01".into();
                }
            }),
        ),
        (
            "add a result after the end",
            Rule::EntryAfterEnd,
            Told(|story| {
                after(story, "drill.closed", |writer| {
                    let again = find(writer, "rp.result").body;
                    append(writer, again);
                })
            }),
        ),
        (
            "close and abort",
            Rule::EntryAfterEnd,
            Told(|story| {
                after(story, "drill.closed", |writer| {
                    append(writer, Body::DrillAborted(DrillAborted { drill_id: DRILL.into(), drill_seq: 1, reason: "no".into() }));
                })
            }),
        ),
        (
            "edit the totals",
            Rule::TotalsDiffer,
            Lie(|body, _| {
                closed_body(body, |c| {
                    *c.outcomes.get_mut("pass").unwrap() += 1;
                    c.outcomes.remove("fail");
                })
            }),
        ),
        (
            "forget what was left behind",
            Rule::TotalsDiffer,
            Lie(|body, nth| match body {
                Body::PointResult(result) if nth == 0 => {
                    result.teardown.resources[0].state = Presence::Present;
                    result.teardown.leftover_count = 1;
                }
                Body::DrillClosed(closed) => closed.leftover_count = 0,
                _ => {}
            }),
        ),
        ("call the drill a pass", Rule::OutcomeDiffers, Lie(|body, _| closed_body(body, |c| c.outcome = Outcome::Pass))),
        ("say 100 % passed", Rule::InferenceDiffers, Lie(|body, _| closed_body(body, |c| c.inference[1].upper_bound = 0))),
        ("never close", Rule::DrillOverdue, Told(|story| story.close = false)),
    ]
}

/// A result of the plan's second case that was never tried.
fn untested(plan: &DrillPlanned) -> PointResult {
    let case = &plan.cases[1];
    let objective =
        |target_s| Objective { target_s, achieved_ms: None, reference_at: None, point: None, basis: "not tried".into(), met: None };
    let bank = case.class == "bank";
    PointResult {
        drill_id: DRILL.into(),
        case: case.case.clone(),
        resource: case.resource.clone(),
        application: "a".into(),
        class: case.class.clone(),
        rp: RpFacts {
            id: case.point.clone(),
            kind: "s3".into(),
            from: "aws-backup".into(),
            source_resource_arn: None,
            vault: None,
            created_at: Timestamp::from_secs(0),
            size_bytes: None,
            encrypted: None,
            kms_key_arn: None,
            vault_locked: None,
            retain_until: None,
        },
        isolation: None,
        restore: None,
        rto: objective(Some(if bank { 3600 } else { 14_400 })),
        rpo: objective(if bank { None } else { Some(86_400) }),
        verify: None,
        sql_checks: vec![],
        teardown: Teardown { resources: vec![], leftover_count: 0 },
        errors: vec![],
        outcome: Outcome::Untested,
        outcome_reasons: vec!["driver_absent".into()],
    }
}

#[test]
fn manipulated_runs_end_in_their_named_fault() {
    all_end_in_their_fault(runs());
}
