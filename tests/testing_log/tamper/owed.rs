//! What is left out of a result, or stated otherwise, that its writer always states: every member of an entry, one after the other.

use attestore::model::not_compared::{BY_MEANING, OF_ANOTHER_ENGINE};
use attestore::model::outcome::Outcome;
use attestore::testing_log::entry::Body;
use attestore::testing_log::point_result::*;
use attestore::testing_log::result_version::RESULT_VERSION;
use attestore::testing_log::verify::claim::OTHER_POSITION;
use attestore::testing_log::verify::fault::Rule;
use attestore::testing_log::verify::undemanded::CERTIFICATE;
use serde_json::Value;

use crate::promised::{INSTANCE, SECOND, TABLE, promised};
use crate::support::*;
use crate::tamper::How::Owed;
use crate::tamper::{Tamper, all_end_in_their_fault, facts};

/// A bucket's point that passes, whichever was drawn.
pub const VAULT: &str = "vault";

/// Whether `result` is the passing one that is meant by a point, or by `VAULT`.
pub fn is_meant(result: &PointResult, which: &str) -> bool {
    result.outcome == Outcome::Pass && (result.rp.id.0 == which || (which == VAULT && result.resource.0 == VAULT))
}

/// What is not compared, or not checked, is never a plain pass.
pub fn as_exception(result: &mut PointResult) {
    (result.outcome, result.outcome_reasons) = (Outcome::PassWithException, vec!["not all of it".into()]);
}

fn restore(result: &mut PointResult) -> &mut attestore::testing_log::restore_facts::RestoreFacts {
    result.restore.as_mut().unwrap()
}

fn isolation(result: &mut PointResult) -> &mut Isolation {
    result.isolation.as_mut().unwrap()
}

fn leave_definitions_out(facts: &mut VerifyFacts) {
    facts.definitions = None;
    facts.read.remove("definitions");
}

pub fn owed() -> Vec<Tamper> {
    use Rule::{FactDiffers, FactMissing, PassWithErrors, ResultOutcomeDiffers};
    vec![
        ("say nothing of a manifest of another moment", FactMissing, Owed(VAULT, |r| facts(r).lesser_claim = None)),
        ("say nothing of another position", FactMissing, Owed(SECOND, |r| facts(r).lesser_claim = None)),
        ("give another reason", FactDiffers, Owed(VAULT, |r| facts(r).lesser_claim = Some(OTHER_POSITION.into()))),
        ("leave the engines out", FactMissing, Owed(SECOND, |r| restore(r).engine_versions = None)),
        (
            "leave the restored engine out",
            FactMissing,
            Owed(INSTANCE, |r| {
                restore(r).engine_versions.as_mut().unwrap().restored_engine = None;
            }),
        ),
        (
            "state other versions than the service did",
            FactDiffers,
            Owed(INSTANCE, |r| {
                let versions = restore(r).engine_versions.as_mut().unwrap();
                (versions.source, versions.restored) = (Some("15.5".into()), Some("15.5".into()));
            }),
        ),
        (
            "bind a version to nothing",
            FactDiffers,
            Owed(INSTANCE, |r| {
                restore(r).engine_versions.as_mut().unwrap().wrote_the_data = false;
            }),
        ),
        ("leave out what the running source said", FactMissing, Owed(SECOND, |r| facts(r).source_stamps = None)),
        (
            "say nothing of tables without stamps",
            FactMissing,
            Owed(SECOND, |r| {
                facts(r).unstamped_tables = None;
                restore(r).second_shown = None;
            }),
        ),
        (
            "take the looks away that answer demands",
            FactDiffers,
            Owed(INSTANCE, |r| {
                isolation(r).probes.retain(|probe| probe.name != CERTIFICATE);
            }),
        ),
        (
            "demand what was demanded",
            FactDiffers,
            Owed(INSTANCE, |r| {
                isolation(r).undemanded.push("its network".into());
                (r.outcome, r.outcome_reasons) =
                    (Outcome::PassWithException, vec!["isolation: nothing was demanded of its network".into()]);
            }),
        ),
        (
            "date a point otherwise than it was committed",
            FactDiffers,
            Owed(INSTANCE, |r| {
                r.rp.created_at = r.rp.created_at.plus_secs(60);
            }),
        ),
        ("call a point local", FactDiffers, Owed(VAULT, |r| r.rp.from = "local".into())),
        ("restore by another service", FactDiffers, Owed(TABLE, |r| restore(r).mechanism = "s3:CopyObject".into())),
        (
            "restore a second from a snapshot",
            FactDiffers,
            Owed(SECOND, |r| restore(r).mechanism = "rds:RestoreDBInstanceFromDBSnapshot".into()),
        ),
        ("restore a backup to a second", FactDiffers, Owed(TABLE, |r| restore(r).mechanism = "dynamodb:RestoreTableToPointInTime".into())),
        ("call a second a snapshot", FactDiffers, Owed(SECOND, |r| r.rp.from = "rds-snapshot".into())),
        (
            "call a second a snapshot, and restore it so",
            FactDiffers,
            Owed(SECOND, |r| {
                r.rp.from = "rds-snapshot".into();
                restore(r).mechanism = "rds:RestoreDBInstanceFromDBSnapshot".into();
            }),
        ),
        (
            "call a backup a second, and restore it so",
            FactDiffers,
            Owed(TABLE, |r| {
                r.rp.from = "dynamodb-pitr".into();
                restore(r).mechanism = "dynamodb:RestoreTableToPointInTime".into();
            }),
        ),
        (
            "come back as something else",
            FactDiffers,
            Owed(VAULT, |r| {
                restore(r).target = Some("arn:aws:dynamodb:eu-west-2:111122223333:table/t".into());
            }),
        ),
        ("leave a check out", FactMissing, Owed(SECOND, |r| drop(r.sql_checks.remove(0)))),
        (
            "leave all checks out",
            FactMissing,
            Owed(INSTANCE, |r| {
                r.sql_checks.clear();
                as_exception(r);
            }),
        ),
        ("leave the definitions out", FactMissing, Owed(INSTANCE, |r| leave_definitions_out(facts(r)))),
        (
            "leave the definitions out for a reason of one's own",
            FactDiffers,
            Owed(INSTANCE, |r| {
                leave_definitions_out(facts(r));
                facts(r).not_compared.insert("definitions".into(), "anything".into());
                as_exception(r);
            }),
        ),
        (
            "leave the definitions out as those of another engine",
            FactDiffers,
            Owed(VAULT, |r| {
                facts(r).not_compared.insert("definitions".into(), OF_ANOTHER_ENGINE.into());
                as_exception(r);
            }),
        ),
        (
            "leave out what there never was",
            FactDiffers,
            Owed(INSTANCE, |r| {
                facts(r).not_compared.insert("the moon".into(), BY_MEANING.into());
                as_exception(r);
            }),
        ),
        ("say nothing of what was read", FactMissing, Owed(VAULT, |r| facts(r).read.clear())),
        ("read no byte of what is equal", FactDiffers, Owed(TABLE, |r| facts(r).bytes_checked = 0)),
        ("read less than is equal", FactDiffers, Owed(TABLE, |r| facts(r).read.extend([("items".into(), 99)]))),
        ("read what nobody counts", FactDiffers, Owed(VAULT, |r| facts(r).read.extend([("rows".into(), 1)]))),
        ("leave what was created out", FactMissing, Owed(VAULT, |r| r.teardown.resources.clear())),
        (
            "leave the recovery time out",
            FactMissing,
            Owed(SECOND, |r| {
                // Nothing is said to be met, and the class of the table demands nothing else.
                (r.rto.achieved_ms, r.rto.met) = (None, None);
                (r.outcome, r.outcome_reasons) = (Outcome::Inconclusive, vec!["RTO of 3600 s: not measured".into()]);
            }),
        ),
        ("leave the age and its point out", Rule::RpoDiffers, Owed(TABLE, |r| (r.rpo.achieved_ms, r.rpo.point) = (None, None))),
        ("leave out what the data says of an age", FactDiffers, Owed(SECOND, |r| r.rpo.basis = "age".into())),
        (
            "let a canary come back that nobody planted",
            FactDiffers,
            Owed(INSTANCE, |r| r.rpo.basis += "; came back as planted: own.canary"),
        ),
        ("name no point of an age", FactMissing, Owed(TABLE, |r| r.rpo.point = None)),
        ("let more expire than was deleted", FactDiffers, Owed(TABLE, |r| facts(r).expired = Some(1))),
        (
            "pass with an error",
            PassWithErrors,
            Owed(INSTANCE, |r| {
                r.errors.push(CaseError {
                    at: captured_end(),
                    phase: "guard".into(),
                    code: "refused".into(),
                    message: "it cannot look".into(),
                    retryable: false,
                });
            }),
        ),
        (
            "call what passed a failure",
            ResultOutcomeDiffers,
            Owed(VAULT, |r| {
                (r.outcome, r.outcome_reasons) = (Outcome::Fail, vec!["it is said".into()]);
            }),
        ),
        (
            "call what was tried untested",
            ResultOutcomeDiffers,
            Owed(VAULT, |r| {
                (r.outcome, r.outcome_reasons) = (Outcome::Untested, vec!["driver_absent".into()]);
            }),
        ),
    ]
}

/// Members that say what nothing else in the log tells, and why each may be silent: nothing of the verdict rests on it.
const TOLD_BY_NOTHING_ELSE: &[(&str, &str)] = &[
    ("/rp/size_bytes", "the listing's"),
    ("/rp/encrypted", "the listing's"),
    ("/rp/vault_locked", "the listing's"),
    ("/restore/accepted_at", "a kill may come between the service's answer and its record"),
    ("/restore/first_read_at", "a phase that nothing is judged by; a comparison that reads nothing has none"),
    ("/verify/source_stamps/newest", "in how many tables the restore is behind says what it comes to"),
    ("/verify/findings/inline/0/expected", "kept only where it is impersonal"),
    ("/verify/findings/inline/0/actual", "kept only where it is impersonal"),
];

/// The JSON pointers of all members of `value`, lists by their elements.
fn members(value: &Value, at: &str, found: &mut Vec<String>) {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(object) => object.iter().map(|(name, value)| (format!("{at}/{name}"), value)).collect(),
        Value::Array(list) => list.iter().enumerate().map(|(n, value)| (format!("{at}/{n}"), value)).collect(),
        _ => return,
    };
    for (pointer, value) in inner {
        if value_is_member(&pointer) {
            found.push(pointer.clone());
        }
        members(value, &pointer, found);
    }
}

/// An element of a list is not a member; whether it may be taken out is a matter of its own.
fn value_is_member(pointer: &str) -> bool {
    pointer.rsplit('/').next().is_some_and(|name| name.parse::<u64>().is_err())
}

/// `result` without the member; nothing where it has to be there for the entry to be readable at all.
fn without(result: &PointResult, pointer: &str) -> Option<PointResult> {
    let mut value = serde_json::to_value(result).unwrap();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    value.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
    serde_json::from_value(value).ok().filter(|changed| changed != result)
}

/// The results of a drill that promises all, as they are in its log.
fn honest() -> Vec<PointResult> {
    let world = build(Story { edit: promised(), ..Story::default() });
    assert_eq!(world.verdict(&Default::default()).faults, [], "every result states what it owes");
    let log = world.log();
    let bodies = log.entries().unwrap().map(|entry| entry.unwrap().body);
    bodies.filter_map(|body| if let Body::PointResult(result) = body { Some(*result) } else { None }).collect()
}

/// The faults of the same drill whose result of the point, or of a bucket, goes without a member.
fn names_without(like: &PointResult, pointer: &str) -> Vec<&'static str> {
    let mut honest = promised();
    let (wanted, pointer) = (like.clone(), pointer.to_owned());
    let mut done = false;
    let edit = move |body: &mut Body, nth: usize| {
        honest(body, nth);
        let Body::PointResult(result) = body else { return };
        // Which points of the bucket are drawn is left to chance.
        let is_wanted = result.outcome == wanted.outcome
            && (result.rp.id == wanted.rp.id || (result.resource == wanted.resource && wanted.resource.0 == VAULT));
        if is_wanted && !done {
            done = true;
            **result = without(result, &pointer).unwrap();
        }
    };
    build(Story { edit: Box::new(edit), ..Story::default() }).names()
}

#[test]
fn no_member_of_a_result_can_be_left_out_unseen() {
    let results = honest();
    let tried = |wanted: &dyn Fn(&PointResult) -> bool| results.iter().find(|result| wanted(result)).unwrap();
    let kinds = [
        tried(&|result| result.outcome == Outcome::Fail),
        tried(&|result| is_meant(result, VAULT)),
        tried(&|result| is_meant(result, SECOND)),
        tried(&|result| is_meant(result, INSTANCE)),
        tried(&|result| is_meant(result, TABLE)),
    ];
    let (mut unseen, mut optional) = (Vec::new(), std::collections::BTreeSet::new());
    for result in kinds {
        let mut pointers = Vec::new();
        members(&serde_json::to_value(result).unwrap(), "", &mut pointers);
        for pointer in pointers.into_iter().filter(|pointer| without(result, pointer).is_some()) {
            optional.insert(pointer.clone());
            let is_free = TOLD_BY_NOTHING_ELSE.iter().any(|(free, _)| *free == pointer);
            if !is_free && names_without(result, &pointer).is_empty() {
                unseen.push(format!("{} {}: {pointer}", result.rp.id, result.outcome));
            }
        }
    }
    assert!(unseen.is_empty(), "left out unseen:\n{}", unseen.join("\n"));
    for due in ["/verify/lesser_claim", "/restore/engine_versions", "/isolation", "/verify", "/rpo/point", "/verify/unstamped_tables"] {
        assert!(optional.contains(due), "{due} was not tried: {optional:?}");
    }
    let stale: Vec<_> = TOLD_BY_NOTHING_ELSE.iter().filter(|(pointer, _)| !optional.contains(*pointer)).collect();
    assert!(stale.is_empty(), "no such member: {stale:?}");
}

/// Whatever the evidence says, where it is withheld too.
#[test]
fn no_service_restores_into_another_engine() {
    let mut honest = promised();
    let edit = Box::new(move |body: &mut Body, nth| {
        honest(body, nth);
        if let Body::PointResult(result) = body
            && result.rp.id.0 == INSTANCE
        {
            restore(result).engine_versions.as_mut().unwrap().restored_engine = Some("mysql".into());
        }
    });
    let world = build(Story { edit, ..Story::default() });
    let told = |world: &World, said: &str| world.verdict(&Default::default()).faults.iter().any(|fault| fault.message.contains(said));
    let (raw, service) = ("its engines are not those of the raw description", "written by postgres, restored by its service as mysql");
    assert!(told(&world, raw) && told(&world, service));
    std::fs::remove_dir_all(world.path.join("evidence")).unwrap();
    assert!(!told(&world, raw) && told(&world, service));
}

/// A plan of an earlier version is held to less, and that is said.
#[test]
fn a_plan_of_an_earlier_version_is_told() {
    for version in [RESULT_VERSION - 1, RESULT_VERSION] {
        let mut honest = promised();
        let edit = Box::new(move |body: &mut Body, nth| {
            honest(body, nth);
            if let Body::DrillPlanned(plan) = body {
                plan.result_version = Some(version);
            }
        });
        let verdict = build(Story { edit, ..Story::default() }).verdict(&Default::default());
        let said = verdict.unheld.iter().any(|unheld| unheld.message.contains("it is held to no more than that"));
        assert_eq!((verdict.faults.len(), said), (0, version < RESULT_VERSION));
    }
}

#[test]
fn a_plan_that_promises_nothing_is_held_to_nothing_more() {
    let mut honest = promised();
    let edit = move |body: &mut Body, nth: usize| {
        honest(body, nth);
        match body {
            Body::DrillPlanned(plan) => plan.result_version = None,
            Body::PointResult(result) => result.verify.as_mut().unwrap().lesser_claim = None,
            _ => {}
        }
    };
    assert_eq!(build(Story { edit: Box::new(edit), ..Story::default() }).names(), [] as [&str; 0]);
}

#[test]
fn what_is_owed_and_left_out_ends_in_its_named_fault() {
    all_end_in_their_fault(owed());
}

/// The edit of a drill that promises all, with one of its results changed.
pub fn with(which: &'static str, change: fn(&mut PointResult)) -> Edit {
    let mut honest = promised();
    let mut done = false;
    Box::new(move |body, nth| {
        honest(body, nth);
        if let Body::PointResult(result) = body
            && is_meant(result, which)
            && !done
        {
            done = true;
            change(result);
        }
    })
}
