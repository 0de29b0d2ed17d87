//! Services that are late or lose an answer, and services that speak of something else than they were asked for: nothing is left behind for it
//! and nothing is hidden, no point is accused, and nobody else's instance is touched.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use attestore::engines::installed::EngineKind;
use attestore::model::outcome::Outcome;
use attestore::testing_log::point_result::{PointResult, Presence};
use bytes::Bytes;
use http::Response;

use crate::aws::between::{Between, Call, Then, refused_by_dynamodb, refused_by_rds};
use crate::aws::estate::{Laying, leftovers};
use crate::drill_estate::Estate;
use crate::engines::engine;

fn not_found() -> Then {
    refused_by_rds("DBInstanceNotFound", "DBInstance not found.")
}

/// The table that a call of DynamoDB names, where it is a drill's.
fn table_of(call: &Call) -> Option<String> {
    let asked: serde_json::Value = serde_json::from_str(&call.body).ok()?;
    let name = asked["TableName"].as_str().or(asked["TargetTableName"].as_str())?;
    name.starts_with("attestore-drill-").then(|| name.to_owned())
}

/// An estate with one database in PostgreSQL and its two points; none where no server is installed.
async fn database(folder: &std::path::Path) -> Option<Estate> {
    if !engine(EngineKind::Postgres) {
        return None;
    }
    let mut laying = Laying::begin(folder).await;
    laying.database(EngineKind::Postgres).await;
    Some(laying.end().await)
}

fn all_pass(results: &[PointResult], said: &str) {
    assert_eq!(results.len(), 2, "{said}");
    for result in results {
        assert_eq!((result.outcome, result.teardown.leftover_count), (Outcome::Pass, 0), "{:?}: {said}", result.outcome_reasons);
    }
}

/// The result of the point that RDS itself restores.
fn own(results: Vec<PointResult>) -> PointResult {
    results.into_iter().find(|result| result.rp.from == "rds-snapshot").unwrap()
}

/// Deleted, says the service, and gone: a moment later all of it stands again. The journal's word is not the last one.
#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_looks_for_what_the_journal_took_for_gone() {
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    laying.table().await;
    // With the drills' prefix and of nobody's journal: listed, and never touched.
    laying.clients.bucket("attestore-drill-of-somebody").await;
    let estate = laying.end().await;
    let hidden: Mutex<BTreeSet<String>> = Mutex::default();
    let lying = Between::start(&estate, move |call| {
        let Some(table) = table_of(call) else { return Then::Passes };
        let mut hidden = hidden.lock().unwrap();
        match call.action.as_str() {
            "DeleteTable" => {
                hidden.insert(table);
                Then::Instead(Response::new(Bytes::from_static(b"{\"TableDescription\":{}}")))
            }
            "DescribeTable" if hidden.contains(&table) => refused_by_dynamodb("ResourceNotFoundException", "Table not found"),
            _ => Then::Passes,
        }
    })
    .await;
    let (code, results, said) = lying.drill(&estate, "2m").await;
    assert_eq!(code, Some(0), "{said}");
    all_pass(&results, &said);
    lying.stop().await;
    let mut stand = leftovers(&estate).await;
    stand.retain(|name| name != "attestore-drill-of-somebody");
    assert_eq!(stand.len(), 2, "{stand:?}");

    let honest = Between::start(&estate, |_| Then::Passes).await;
    let looked = honest.run(&estate, &["sweep"]).await;
    let seen = String::from_utf8_lossy(&looked.stdout).into_owned();
    assert_eq!(looked.status.code(), Some(6), "{seen}");
    for name in &stand {
        assert!(seen.contains(&format!("the journal took {name} for gone, and it is there; may be deleted")), "{seen}");
    }
    assert!(seen.contains("attestore-drill-of-somebody") && seen.contains("not ours to delete"), "{seen}");
    assert_eq!(honest.clients.dynamodb.list_tables().send().await.unwrap().table_names.unwrap().len(), 3, "only looked");
    let swept = honest.run(&estate, &["sweep", "--apply"]).await;
    let seen = String::from_utf8_lossy(&swept.stdout).into_owned();
    assert_eq!(swept.status.code(), Some(6), "the other one stands: {seen}");
    assert!(stand.iter().all(|name| seen.contains(&format!("table/{name}"))) && seen.matches("removed: ").count() == 2, "{seen}");
    honest.stop().await;
    assert_eq!(leftovers(&estate).await, ["attestore-drill-of-somebody"]);
}

/// The instances in an answer of DescribeDBInstances.
fn first_record(answer: &str) -> Option<&str> {
    let (from, to) = (answer.find("<DBInstance>")?, answer.find("</DBInstance>")? + "</DBInstance>".len());
    Some(&answer[from..to])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_description_of_another_instance_is_not_taken_for_the_targets() {
    let folder = tempfile::tempdir().unwrap();
    let Some(estate) = database(folder.path()).await else { return };
    let tagged = std::sync::Arc::new(Mutex::new(Vec::new()));
    // The live source comes first, as from a service that ignores the identifier.
    let seen = tagged.clone();
    let unfiltered = Between::start(&estate, move |call| {
        if let (Some(arn), "AddTagsToResource") = (call.parameter("ResourceName"), call.action.as_str()) {
            seen.lock().unwrap().push(arn);
        }
        let Some(name) = call.describes() else { return Then::Passes };
        Then::Says(Box::new(move |answer| {
            let Some(own) = first_record(&answer) else { return answer };
            answer.replacen("<DBInstance>", &format!("{}<DBInstance>", own.replace(&name, "pg")), 1)
        }))
    })
    .await;
    let (code, results, said) = unfiltered.drill(&estate, "2m").await;
    assert_eq!(code, Some(0), "{said}");
    all_pass(&results, &said);
    for result in &results {
        let target = result.restore.as_ref().unwrap().target.clone().unwrap();
        let named = |arn: &str| arn.rsplit(':').next().unwrap().starts_with("attestore-drill-");
        assert!(named(&target) && result.teardown.resources.iter().all(|resource| named(&resource.arn)), "{:?}", result.teardown);
    }
    let tagged = std::mem::take(&mut *tagged.lock().unwrap());
    assert!(!tagged.is_empty() && tagged.iter().all(|arn| arn.contains(":db:attestore-drill-")), "{tagged:?}");
    unfiltered.stop().await;

    // And where only another one is described, nothing is known of ours.
    let another = Between::start(&estate, |call| match call.describes() {
        Some(name) => Then::Says(Box::new(move |answer| answer.replace(&name, "pg"))),
        None => Then::Passes,
    })
    .await;
    let (code, results, said) = another.drill(&estate, "2m").await;
    assert_eq!(code, Some(6), "{said}");
    for result in results {
        let why = result.outcome_reasons.join("; ");
        assert!(why.contains("expected attestore-drill-") && why.contains("the answer describes pg"), "{why}");
        assert_eq!((result.outcome, result.verify.is_none(), result.teardown.leftover_count), (Outcome::Error, true, 1));
        assert_eq!(result.teardown.resources[0].state, Presence::Unknown);
    }
    another.stop().await;
    let honest = Between::start(&estate, |_| Then::Passes).await;
    assert_eq!(honest.run(&estate, &["sweep", "--apply"]).await.status.code(), Some(0));
    honest.stop().await;
    assert_eq!(leftovers(&estate).await, Vec::<String>::new());
    assert!(estate.verdict().holds(), "{:?}", estate.verdict().faults);
}

/// "Eventual consistency": what was accepted is not described yet.
#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_instance_that_is_seen_late_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let Some(estate) = database(folder.path()).await else { return };
    let late: Arc<Mutex<BTreeMap<String, u32>>> = Arc::default();
    let seen = late.clone();
    let between = Between::start(&estate, move |call| {
        // AWS Backup tells that its job is over before RDS tells of the instance.
        if call.service == "backup" && call.action.starts_with("GET /restore-jobs/") {
            let late = late.clone();
            return Then::Says(Box::new(move |answer| {
                if let Some((_, name)) = answer.split_once(":db:").filter(|_| answer.contains("COMPLETED")) {
                    late.lock().unwrap().entry(name.split('"').next().unwrap().to_owned()).or_insert(3);
                }
                answer
            }));
        }
        let mut late = late.lock().unwrap();
        if call.action == "RestoreDBInstanceFromDBSnapshot" {
            late.insert(call.parameter("DBInstanceIdentifier").unwrap(), 3);
        }
        match call.describes().and_then(|name| late.get_mut(&name)).filter(|times| **times > 0) {
            Some(times) => {
                *times -= 1;
                not_found()
            }
            None => Then::Passes,
        }
    })
    .await;
    let (code, results, said) = between.drill(&estate, "2m").await;
    assert_eq!(code, Some(0), "{said}");
    all_pass(&results, &said);
    assert!(
        seen.lock().unwrap().len() == 2 && seen.lock().unwrap().values().all(|times| *times == 0),
        "both were looked for until they were seen"
    );
    between.stop().await;
    assert_eq!(leftovers(&estate).await, Vec::<String>::new());
}

/// The restore was begun, and the answer to the call is lost: the client asks again, and is told that the name is taken.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_of_a_restore_says_nothing_against_the_point() {
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    laying.table().await;
    let with_database = engine(EngineKind::Postgres);
    if with_database {
        laying.database(EngineKind::Postgres).await;
    }
    let estate = laying.end().await;
    let lost: Mutex<BTreeSet<String>> = Mutex::default();
    let between = Between::start(&estate, move |call| {
        let is_restore = ["RestoreDBInstanceFromDBSnapshot", "RestoreTableFromBackup"].contains(&call.action.as_str());
        if is_restore && lost.lock().unwrap().insert(call.action.clone()) { Then::Lost } else { Then::Passes }
    })
    .await;
    let (code, results, said) = between.drill(&estate, "2m").await;
    assert_eq!((code, results.len()), (Some(0), if with_database { 4 } else { 2 }), "{said}");
    for result in &results {
        assert_eq!((result.outcome, result.teardown.leftover_count), (Outcome::Pass, 0), "{:?}", result.outcome_reasons);
        assert_eq!(result.restore.as_ref().unwrap().attempts, 1);
    }
    between.stop().await;
    assert!(estate.verdict().holds(), "{:?}", estate.verdict().faults);
    assert_eq!(leftovers(&estate).await, Vec::<String>::new());
}

/// A name that somebody else took between the guard's look and the call is theirs.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_somebody_else_took_is_not_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let Some(estate) = database(folder.path()).await else { return };
    let taken: Mutex<BTreeSet<String>> = Mutex::default();
    let between = Between::start(&estate, move |call| {
        let mut taken = taken.lock().unwrap();
        let asked = call.parameter("DBInstanceIdentifier").filter(|_| call.action == "RestoreDBInstanceFromDBSnapshot");
        let is_first = asked.is_some_and(|name| taken.insert(name));
        match call.describes() {
            // It carries another's tag.
            Some(name) if taken.contains(&name) => Then::Says(Box::new(|answer| answer.replace("<Value>d2", "<Value>another-d2"))),
            _ if is_first => Then::Lost,
            _ => Then::Passes,
        }
    })
    .await;
    let (code, results, said) = between.drill(&estate, "2m").await;
    assert_eq!(code, Some(6), "{said}");
    let result = own(results);
    let why = result.outcome_reasons.join("; ");
    assert!(why.contains("is there, and is not this drill's"), "{why}");
    assert_eq!((result.outcome, result.verify.is_none(), result.teardown.resources[0].state), (Outcome::Error, true, Presence::Present));
    between.stop().await;
    let left = leftovers(&estate).await;
    assert_eq!(left.len(), 1, "somebody else's is not deleted: {left:?}");
    assert!(estate.verdict().holds(), "{:?}", estate.verdict().faults);
}

/// One "not found" says little of what stood a moment ago: nothing is gone that nobody deleted.
#[tokio::test(flavor = "multi_thread")]
async fn what_stood_is_gone_when_it_was_deleted_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let Some(estate) = database(folder.path()).await else { return };
    // Three times for a while, and for ever.
    for times in [3, u64::MAX] {
        let unseen: Mutex<BTreeMap<String, u64>> = Mutex::default();
        let deleted = std::sync::Arc::new(AtomicU64::new(0));
        let counted = deleted.clone();
        let between = Between::start(&estate, move |call| {
            let mut unseen = unseen.lock().unwrap();
            match call.action.as_str() {
                "ModifyDBInstance" => drop(unseen.insert(call.parameter("DBInstanceIdentifier").unwrap(), times)),
                "DeleteDBInstance" => drop(counted.fetch_add(1, Ordering::SeqCst)),
                _ => {}
            }
            match call.describes().and_then(|name| unseen.get_mut(&name)).filter(|times| **times > 0) {
                Some(times) => {
                    *times -= 1;
                    not_found()
                }
                None => Then::Passes,
            }
        })
        .await;
        let (code, results, said) = between.drill(&estate, "2m").await;
        assert_eq!((code, results.len()), (Some(4), 2), "{said}");
        for result in results {
            assert_eq!((result.outcome, result.verify.is_none(), result.teardown.leftover_count), (Outcome::Error, true, 0), "{said}");
            let resource = &result.teardown.resources[0];
            assert_eq!(resource.state, Presence::Gone, "{resource:?}");
            assert_eq!(resource.confirmed_by.contains("rds:DeleteDBInstance"), times == u64::MAX, "{resource:?}");
        }
        assert!(deleted.load(Ordering::SeqCst) >= 2, "each of them was deleted");
        // A deletion that was answered is under way.
        crate::clients::until("they are gone", async || {
            let found = between.clients.rds.describe_db_instances().send().await.unwrap().db_instances.unwrap_or_default();
            found.is_empty().then_some(())
        })
        .await;
        between.stop().await;
        assert_eq!(leftovers(&estate).await, Vec::<String>::new(), "{times}");
    }
    assert!(estate.verdict().holds(), "{:?}", estate.verdict().faults);
}

/// A job that names a resource of another account or Region has not restored ours.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_names_another_account_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    laying.table().await;
    let estate = laying.end().await;
    let foreign = "arn:aws:dynamodb:us-east-1:999999999999:table/";
    let between = Between::start(&estate, move |call| {
        let is_job = call.service == "backup" && call.action.starts_with("GET /restore-jobs/");
        if !is_job {
            return Then::Passes;
        }
        Then::Says(Box::new(move |answer| {
            answer.replace("arn:aws:dynamodb:eu-west-2:111122223333:table/attestore", &format!("{foreign}attestore"))
        }))
    })
    .await;
    let (code, results, said) = between.drill(&estate, "2m").await;
    assert_eq!(code, Some(6), "{said}");
    let (through, own): (Vec<_>, Vec<_>) = results.into_iter().partition(|result| result.rp.from == "aws-backup");
    assert_eq!(own[0].outcome, Outcome::Pass, "{:?}", own[0].outcome_reasons);
    let why = through[0].outcome_reasons.join("; ");
    assert!(through[0].outcome == Outcome::Error && why.contains(foreign) && why.contains("expected"), "{why}");
    // What it names is told, since somebody has to look at it; ours is gone.
    let states: Vec<(bool, Presence)> =
        through[0].teardown.resources.iter().map(|resource| (resource.arn.starts_with(foreign), resource.state)).collect();
    assert!(states.contains(&(true, Presence::Unknown)) && states.contains(&(false, Presence::Gone)), "{:?}", through[0].teardown);
    between.stop().await;
    assert_eq!(leftovers(&estate).await, Vec::<String>::new());
    assert!(estate.verdict().holds(), "{:?}", estate.verdict().faults);
}
