//! What a result owes: the facts that its writer always states for such a case, each derived from others of the entry, of its plan, its
//! population, its manifest and its policy. Leaving one out shows, and so does stating another.
//!
//! Due where the plan promises it ([`DrillPlanned::promises_all`]): the plan is sealed before the first result is known, and logs of
//! versions that stated less still verify. What nothing else tells, such as counts, stamps, sizes and a service's own words, is worth what
//! the key that signs it is worth.

use crate::testing_log::body::{ClassPolicy, DrillPlanned, ManifestRegistered};
use crate::testing_log::check_list::CheckList;
use crate::testing_log::point_result::{ACCESS_POINT_MECHANISM, FindingSet, PointResult, Presence, RpFacts, VerifyFacts};
use crate::testing_log::restore_facts::{EngineVersions, Engines, RestoreFacts};
use crate::testing_log::verify::drills::Placed;
use crate::testing_log::verify::fault::{Faults, Rule};
use crate::testing_log::verify::{claim, pass, second, undemanded};

/// The mechanism and the status of a backup for which a server was made.
const LOADED: (&str, &str) = ("local:load", "loaded");
/// An entry shows at most so many findings.
const INLINE_FINDINGS: u64 = 20;

/// What the log says of a case beside its result.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// The drill's plan.
    pub plan: Option<&'a DrillPlanned>,
    /// The manifest that it says it was compared with.
    pub registered: Option<&'a ManifestRegistered>,
    /// The demands of its class.
    pub policy: Option<&'a ClassPolicy>,
}

/// What kind of thing comes back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Family {
    Objects,
    Database,
    Items,
    /// A file, a tree or a dump beside AWS: its manifest says which.
    Local,
    Other,
}

/// Checks what a result owes.
pub fn check(result: &Placed<'_, PointResult>, known: &Known<'_>, faults: &mut Faults) {
    if !known.plan.is_some_and(DrillPlanned::promises_all) {
        return;
    }
    let owing = &mut Owing { faults, leaf: result.leaf };
    let body = result.body;
    point(body, owing);
    match &body.restore {
        Some(restore) => restored(body, restore, owing),
        None => owing.same(body.verify.is_none() && body.sql_checks.is_empty(), || {
            "something was compared or checked, and no restore is stated".to_owned()
        }),
    }
    for resource in &body.teardown.resources {
        owing.due((resource.state == Presence::Gone) == resource.deleted_at.is_some(), || {
            format!("teardown: {} is {:?}, and `deleted_at` does not fit that", resource.arn, resource.state)
        });
    }
    if let (Some(facts), Some(restore)) = (&body.verify, &body.restore) {
        brought_back(body, restore, owing);
        compared(body, facts, known, owing);
        to_its_end(body, facts, restore, known, owing);
    }
}

struct Owing<'f> {
    faults: &'f mut Faults,
    leaf: u64,
}

impl Owing<'_> {
    /// A fact that has to be there.
    fn due(&mut self, is_there: bool, what: impl FnOnce() -> String) {
        self.faults.demand(is_there, Rule::FactMissing, self.leaf, what);
    }

    /// Facts that have to agree.
    fn same(&mut self, agree: bool, what: impl FnOnce() -> String) {
        self.faults.demand(agree, Rule::FactDiffers, self.leaf, what);
    }
}

fn family(point: &RpFacts) -> Family {
    match point.kind.as_str() {
        _ if point.from == "local" => Family::Local,
        "s3" => Family::Objects,
        "dynamodb" => Family::Items,
        kind if kind.starts_with("rds-") => Family::Database,
        _ => Family::Other,
    }
}

/// The point is of a kind that comes from there.
fn point(body: &PointResult, owing: &mut Owing<'_>) {
    let point = &body.rp;
    owing.due(point.from != "aws-backup" || point.vault.is_some(), || {
        format!("`{}` comes from AWS Backup, and no vault is stated", point.id)
    });
    let family = family(point);
    let fits = match point.from.as_str() {
        "rds-snapshot" | "rds-pitr" => family == Family::Database,
        "dynamodb-backup" | "dynamodb-pitr" => family == Family::Items,
        "s3-versions" => family == Family::Objects,
        _ => true,
    };
    owing.same(fits, || format!("`{}` from `{}` is said to be of the kind {}", point.id, point.from, point.kind));
    let of_a_second = match point.from.as_str() {
        "rds-snapshot" | "dynamodb-backup" => Some(false),
        "rds-pitr" | "dynamodb-pitr" | "s3-versions" => Some(true),
        _ => None,
    };
    owing.same(of_a_second.is_none_or(|of_a_second| of_a_second == second::is_in_time(point)), || {
        let said = if second::is_in_time(point) { "a second of a window" } else { "no second of a window" };
        format!("`{}` is {said}, and is said to come from `{}`", point.id, point.from)
    });
}

/// A restore that was asked for.
fn restored(body: &PointResult, restore: &RestoreFacts, owing: &mut Owing<'_>) {
    // Those that end in a colon have more than one call.
    let by = match body.rp.from.as_str() {
        "local" => "local:",
        "aws-backup" => "aws-backup:",
        "rds-snapshot" => "rds:RestoreDBInstanceFromDBSnapshot",
        "rds-pitr" => "rds:RestoreDBInstanceToPointInTime",
        "dynamodb-backup" => "dynamodb:RestoreTableFromBackup",
        "dynamodb-pitr" => "dynamodb:RestoreTableToPointInTime",
        "s3-versions" => "s3:CopyObject",
        _ => "",
    };
    let is_any = by.is_empty() || by.ends_with(':');
    owing.same(if is_any { restore.mechanism.starts_with(by) } else { restore.mechanism == by }, || {
        format!("a point from `{}` is brought back by `{by}`, found `{}`", body.rp.from, restore.mechanism)
    });
    owing.due(restore.target.is_some(), || "a restore was asked for, and its target is not stated".to_owned());
    // What came up is gone, or left behind, and is told either way.
    owing.due(restore.available_at.is_none() || !body.teardown.resources.is_empty(), || {
        "the restore was complete, and nothing that it created is in the teardown".to_owned()
    });
}

/// A restore of which something was read.
fn brought_back(body: &PointResult, restore: &RestoreFacts, owing: &mut Owing<'_>) {
    owing.due(body.isolation.is_some(), || "what was restored was read, and no look of the isolation guard is stated".to_owned());
    for (name, is_there) in [("available_at", restore.available_at.is_some()), ("raw_describe", restore.raw_describe.is_some())] {
        owing.due(is_there, || format!("what was restored was read, and `{name}` of its restore is not stated"));
    }
    let family = family(&body.rp);
    if restore.mechanism.starts_with("aws-backup:") && restore.mechanism != ACCESS_POINT_MECHANISM {
        owing.due(restore.job_id.is_some(), || "AWS Backup restored it, and no job is stated".to_owned());
        let service = restore.target.as_deref().and_then(|arn| arn.strip_prefix("arn:")?.split(':').nth(1));
        let expected = match family {
            Family::Objects => "s3",
            Family::Database => "rds",
            Family::Items => "dynamodb",
            Family::Local | Family::Other => return,
        };
        owing.same(service.is_none_or(|service| service == expected), || {
            format!("a point of the kind {} came back as {}", body.rp.kind, restore.target.as_deref().unwrap_or_default())
        });
    }
    match family {
        Family::Database => instance(body, restore.engine_versions.as_ref(), owing),
        Family::Items => owing.due(!restore.recovery_checklist.is_empty(), || {
            "a table was restored, and no checklist of the settings that a restore leaves behind is stated".to_owned()
        }),
        Family::Local if (restore.mechanism.as_str(), restore.status.as_str()) == LOADED => loaded(restore, owing),
        Family::Objects | Family::Local | Family::Other => {}
    }
}

/// A dump or a copy that a server was made for. In another engine than its own it is no more than plausible, and that has its own fact.
fn loaded(restore: &RestoreFacts, owing: &mut Owing<'_>) {
    let Some(Engines { wrote, restored }) = &restore.engines else {
        return owing
            .due(false, || "a backup of a database was loaded, and which engine wrote it and which one read it is not stated".to_owned());
    };
    match &restore.engine_versions {
        Some(versions) => {
            let same = versions.source_engine.as_ref() == Some(wrote) && versions.restored_engine.as_ref() == Some(restored);
            owing.same(same, || format!("a backup of {wrote} was loaded into {restored}, and the engine versions are those of others"));
        }
        None => owing.due(wrote == restored, || {
            format!("a backup of {wrote} was loaded into {restored}, and the engine versions of both sides are not stated")
        }),
    }
}

/// A database instance of RDS that was read.
fn instance(body: &PointResult, versions: Option<&EngineVersions>, owing: &mut Owing<'_>) {
    owing.due(versions.is_some_and(|versions| versions.restored_engine.is_some()), || {
        "a database instance was restored, and its engine and version beside those of its source are not stated".to_owned()
    });
    if let Some(versions) = versions {
        owing.due(versions.source.is_none() || versions.source_engine.is_some(), || {
            "the source's engine version is stated, and not its engine".to_owned()
        });
        let is_of_the_data = body.rp.id.0.contains(":snapshot:");
        owing.same(versions.wrote_the_data == is_of_the_data, || {
            format!(
                "of `{}` the source's version is that of the very data: expected {is_of_the_data}, found {}",
                body.rp.id, versions.wrote_the_data
            )
        });
    }
    let facts = body.verify.as_ref();
    owing.due(!second::is_in_time(&body.rp) || facts.is_some_and(|facts| facts.unstamped_tables.is_some()), || {
        "a database restored to a second was compared, and in how many tables a later row could go unseen is not stated".to_owned()
    });
    let Some(isolation) = &body.isolation else { return };
    let (mut found, mut expected) = (isolation.undemanded.clone(), undemanded::of_instance(&isolation.probes, true));
    found.sort();
    expected.sort();
    owing.same(found == expected, || {
        format!("isolation: by the looks that were taken nobody demanded {}; stated is {}", spelled(&expected), spelled(&found))
    });
}

/// The running source was asked, where the plan says that it is to be.
fn asked(body: &PointResult, facts: &VerifyFacts, known: &Known<'_>, owing: &mut Owing<'_>) {
    let planned = known.plan.and_then(|plan| plan.cases.iter().find(|case| case.case == body.case));
    let is_due = planned.is_some_and(|case| case.asks_source) && family(&body.rp) == Family::Database && second::is_in_time(&body.rp);
    owing.due(!is_due || facts.source_stamps.is_some(), || {
        "the plan has the running source asked for its newest stamps, and its answer is not stated".to_owned()
    });
}

fn spelled(list: &[String]) -> String {
    if list.is_empty() { "nothing".to_owned() } else { list.join(", ") }
}

/// What a comparison states by its kind, and what its manifest makes of it.
fn compared(body: &PointResult, facts: &VerifyFacts, known: &Known<'_>, owing: &mut Owing<'_>) {
    let (objects, rows, items) = (facts.objects.is_some(), facts.rows.is_some(), facts.items.is_some());
    let fits = match family(&body.rp) {
        Family::Objects => objects && !rows && !items,
        Family::Database => rows && !objects && !items,
        Family::Items => items && !objects && !rows,
        Family::Local | Family::Other => u8::from(objects) + u8::from(rows) + u8::from(items) == 1,
    };
    owing.due(fits && facts.tables.is_some() == rows, || {
        format!("a comparison of the kind {} counts either objects, or items, or tables and their rows", body.rp.kind)
    });
    if let Some(registered) = known.registered {
        let names = registered.recovery_point_id.as_ref() == Some(&body.rp.id);
        let (expected, found) = (claim::lesser(names, registered.mode, facts.mode), facts.lesser_claim.as_deref());
        let said = |claim: Option<&str>| claim.map_or_else(|| "nothing".to_owned(), |why| format!("`{why}`"));
        let what = || format!("why less is proved: expected {}, found {}", said(expected), said(found));
        if found.is_some() { owing.same(expected == found, what) } else { owing.due(expected.is_none(), what) }
    }
    let FindingSet { total, inline, full } = &facts.findings;
    owing.due((*total > 0) == full.is_some() && inline.len() as u64 == (*total).min(INLINE_FINDINGS), || {
        format!("{total} findings, {} of them inline (expected up to {INLINE_FINDINGS}), evidence: {}", inline.len(), full.is_some())
    });
    let deleted = facts.items.map_or(0, |items| items.deleted_between);
    owing.same(facts.expired.is_none_or(|expired| expired <= deleted), || {
        format!("{:?} items are said to have expired, of {deleted} that were deleted in between", facts.expired)
    });
    // An object may be empty, and of rows that an earlier run has read a later one counts no bytes; an item always has those of its key.
    let equal = facts.items.map_or(0, |items| items.matched);
    owing.same(equal == 0 || facts.bytes_checked > 0, || {
        format!("{equal} items are said to be equal, and no byte of any to have been read")
    });
}

/// What is there where nothing went wrong on the way.
fn to_its_end(body: &PointResult, facts: &VerifyFacts, restore: &RestoreFacts, known: &Known<'_>, owing: &mut Owing<'_>) {
    if body.errors.iter().any(|error| error.phase != pass::TEARDOWN) {
        return;
    }
    asked(body, facts, known, owing);
    owing.due(restore.fully_read_at.is_some(), || "nothing went wrong, and when the last byte was read is not stated".to_owned());
    if facts.unread.is_empty() {
        owing.due(restore.verified_at.is_some(), || "nothing went wrong, and when it was verified is not stated".to_owned());
        let is_timed = restore.mechanism != ACCESS_POINT_MECHANISM;
        owing.due(!is_timed || body.rto.achieved_ms.is_some(), || "it was verified, and no recovery time is stated".to_owned());
    }
    if let Some(policy) = known.policy {
        checks(body, facts, policy, owing);
    }
}

/// Every SQL check of the class was run on what has rows.
fn checks(body: &PointResult, facts: &VerifyFacts, policy: &ClassPolicy, owing: &mut Owing<'_>) {
    let is_readable = facts.tables.is_some_and(|tables| tables.expected == 0 || tables.unreadable < tables.expected);
    let restored = body.restore.as_ref().and_then(|restore| restore.engine_versions.as_ref()?.restored_engine.as_deref());
    let stated = body.sql_checks.first().map(|check| check.engine.as_str());
    let engines: Vec<&str> = match (family(&body.rp), restored.or(stated)) {
        (Family::Items, _) => vec!["dynamodb"],
        _ if !is_readable => return,
        (_, Some(engine)) => vec![engine],
        (_, None) => match body.rp.kind.as_str() {
            "rds-postgres" => vec!["postgres"],
            "rds-mysql" => vec!["mysql", "mariadb"],
            _ => vec!["sqlite", "postgres", "mysql", "mariadb"],
        },
    };
    let found = CheckList::of(body.sql_checks.iter().map(|check| check.id.as_str()));
    let due = |engine: &&str| policy.checks.get(*engine).copied().unwrap_or_else(|| CheckList::of([]));
    owing.due(engines.iter().any(|engine| due(engine) == found), || {
        let expected = engines.first().map_or(0, |engine| due(engine).count);
        format!(
            "the policy of class `{}` has {expected} SQL checks for {}, found {} or others",
            body.class,
            engines.join(" or "),
            found.count
        )
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_that_was_loaded_states_both_engines_and_another_one_its_versions() {
        let versions = |wrote: &str, restored: &str| {
            let versions = serde_json::json!({"wrote_the_data": true, "source_engine": wrote, "restored_engine": restored});
            serde_json::from_value::<EngineVersions>(versions).unwrap()
        };
        let engines = |wrote: &str, restored: &str| Engines { wrote: wrote.into(), restored: restored.into() };
        let facts = |engines: Option<Engines>, engine_versions: Option<EngineVersions>| {
            let blank =
                serde_json::json!({"mechanism": LOADED.0, "status": LOADED.1, "requested_at": "2026-01-31T02:00:00.000Z", "attempts": 1});
            let mut restore: RestoreFacts = serde_json::from_value(blank).unwrap();
            (restore.engines, restore.engine_versions) = (engines, engine_versions);
            let mut faults = Faults::default();
            loaded(&restore, &mut Owing { faults: &mut faults, leaf: 7 });
            faults.0.into_iter().map(|fault| fault.rule).collect::<Vec<_>>()
        };
        assert_eq!(facts(Some(engines("mysql", "mysql")), None), []);
        assert_eq!(facts(Some(engines("mysql", "mariadb")), Some(versions("mysql", "mariadb"))), []);
        assert_eq!(facts(None, None), [Rule::FactMissing], "neither engine");
        assert_eq!(facts(Some(engines("mysql", "mariadb")), None), [Rule::FactMissing], "what makes it an exception");
        assert_eq!(facts(Some(engines("mysql", "mysql")), Some(versions("mysql", "mariadb"))), [Rule::FactDiffers], "others");
    }
}
