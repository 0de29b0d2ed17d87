//! Listings that do not end, that bring what was not asked for, and that are stopped.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use attestore::engines::installed::EngineKind;
use attestore::model::outcome::Outcome;
use attestore::testing_log::body::DrillClosed;
use attestore::testing_log::entry::Body;
use rustix::process::{Pid, Signal, kill_process};

use crate::aws::between::{Between, Then, refused_by_rds};
use crate::aws::estate::{Laying, VAULT};
use crate::clients::until;
use crate::drill_estate::Estate;
use crate::engines::engine;

/// A resource whose snapshots are listed, and need not exist: no server is needed.
async fn snapshots(folder: &std::path::Path) -> Estate {
    let mut laying = Laying::begin(folder).await;
    laying.resource("pg", "rds-postgres", "pg", "database = \"crm\"\n", "from = \"rds-snapshot\"");
    laying.end().await
}

/// A page of snapshots of `instance`, from the number `from` on, with a marker where `marker` is given.
fn page(instance: &str, from: u64, count: u64, marker: Option<u64>) -> Then {
    let one = |n: u64| {
        format!(
            "<DBSnapshot><DBSnapshotIdentifier>s{n}</DBSnapshotIdentifier>\
             <DBSnapshotArn>arn:aws:rds:eu-west-2:111122223333:snapshot:s{n}</DBSnapshotArn>\
             <DBInstanceIdentifier>{instance}</DBInstanceIdentifier><Engine>postgres</Engine><Status>available</Status>\
             <SnapshotType>manual</SnapshotType><SnapshotCreateTime>2026-01-31T02:00:00.000Z</SnapshotCreateTime></DBSnapshot>"
        )
    };
    let all: String = (from..from + count).map(one).collect();
    let marker = marker.map_or_else(String::new, |marker| format!("<Marker>m{marker}</Marker>"));
    let body = format!(
        "<DescribeDBSnapshotsResponse xmlns=\"http://rds.amazonaws.com/doc/2014-10-31/\"><DescribeDBSnapshotsResult><DBSnapshots>{all}\
         </DBSnapshots>{marker}</DescribeDBSnapshotsResult></DescribeDBSnapshotsResponse>"
    );
    Then::Instead(http::Response::new(body.into()))
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_without_end_are_an_error_that_names_the_call() {
    let folder = tempfile::tempdir().unwrap();
    let estate = snapshots(folder.path()).await;
    let pages = |what: &'static str| {
        let asked = AtomicU64::new(0);
        move |call: &crate::aws::between::Call| {
            if call.action != "DescribeDBSnapshots" {
                return Then::Passes;
            }
            let n = asked.fetch_add(1, Ordering::SeqCst);
            match what {
                "the same page" => page("pg", 0, 2, Some(n)),
                "tokens in a circle" => page("pg", n * 2, 2, Some(n % 3)),
                "empty pages" => page("pg", 0, 0, Some(n)),
                "three pages" => page("pg", n * 2, if n == 1 { 0 } else { 2 }, (n < 2).then_some(n)),
                other => panic!("{other}"),
            }
        }
    };
    for what in ["the same page", "tokens in a circle", "empty pages"] {
        let between = Between::start(&estate, pages(what)).await;
        let output = between.run(&estate, &["plan"]).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(3), "{what}: {said}");
        assert!(said.contains("not listed: pg: rds:DescribeDBSnapshots pg: its pages do not end"), "{what}: {said}");
        between.stop().await;
    }
    // A page may be empty and not the last.
    let between = Between::start(&estate, pages("three pages")).await;
    let output = between.run(&estate, &["plan"]).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.code() == Some(0) && said.contains("population: 4 recovery points"), "{said}");
    between.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_of_a_vault_without_end_is_an_error_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    laying.bucket(1).await;
    let estate = laying.end().await;
    let (asked, first) = (AtomicU64::new(0), Arc::new(Mutex::new(String::new())));
    let between = Between::start(&estate, move |call| {
        if !call.action.starts_with(&format!("GET /backup-vaults/{VAULT}/recovery-points")) {
            return Then::Passes;
        }
        let n = asked.fetch_add(1, Ordering::SeqCst);
        // The page again and again, each time with a token that was not there before.
        let with_token = move |page: &str| {
            let mut page: serde_json::Value = serde_json::from_str(page).unwrap();
            page["NextToken"] = format!("t{n}").into();
            page.to_string()
        };
        if n > 0 {
            return Then::Instead(http::Response::new(with_token(&first.lock().unwrap()).into()));
        }
        let first = first.clone();
        Then::Says(Box::new(move |answer| {
            first.lock().unwrap().clone_from(&answer);
            with_token(&answer)
        }))
    })
    .await;
    let output = between.run(&estate, &["plan"]).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("backup:ListRecoveryPointsByBackupVault vault: its pages do not end"), "{said}");
    between.stop().await;
}

/// The first signal ends a listing, whose pages bring something new for a long time.
#[tokio::test(flavor = "multi_thread")]
async fn a_listing_is_a_safe_place_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let estate = snapshots(folder.path()).await;
    let asked = Arc::new(AtomicU64::new(0));
    let counted = asked.clone();
    let between = Between::start(&estate, move |call| {
        if call.action != "DescribeDBSnapshots" {
            return Then::Passes;
        }
        let n = counted.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(std::time::Duration::from_millis(20));
        page("pg", n, 1, Some(n))
    })
    .await;
    for command in ["plan", "drill"] {
        let before = asked.load(Ordering::SeqCst);
        let running = between.command(&estate, &[command]).spawn().unwrap();
        until("it lists", async || (asked.load(Ordering::SeqCst) > before + 3).then_some(())).await;
        kill_process(Pid::from_raw(i32::try_from(running.id()).unwrap()).unwrap(), Signal::TERM).unwrap();
        let output = tokio::task::spawn_blocking(move || running.wait_with_output().unwrap()).await.unwrap();
        let said = String::from_utf8_lossy(&[&output.stderr[..], &output.stdout[..]].concat()).into_owned();
        assert_eq!(output.status.code(), Some(3), "{command}: {said}");
        assert!(said.contains("stopped while it was listed what there is"), "{command}: {said}");
    }
    between.stop().await;
    assert!(estate.verdict().entries.iter().all(|entry| !matches!(entry.body, Body::PopulationCommitted(_))), "half a listing is none");
}

/// A service that ignores for which instance it was asked.
#[tokio::test(flavor = "multi_thread")]
async fn snapshots_of_another_instance_are_left_out_with_their_reason() {
    let folder = tempfile::tempdir().unwrap();
    let estate = snapshots(folder.path()).await;
    for (instance, reason) in
        [("staging", "RDS says that it is of the instance `staging`, and not of `pg`"), ("", "RDS does not say of which instance it is")]
    {
        let between = Between::start(&estate, move |call| match call.action.as_str() {
            "DescribeDBSnapshots" => page(instance, 0, 2, None),
            _ => Then::Passes,
        })
        .await;
        let output = between.run(&estate, &["plan"]).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.code() == Some(3) && said.contains("population: 0 recovery points"), "{said}");
        assert_eq!(said.matches(reason).count(), 2, "{said}");
        between.stop().await;
    }
    // Upper and lower case are one name to RDS.
    let between = Between::start(&estate, |call| match call.action.as_str() {
        "DescribeDBSnapshots" => page("PG", 0, 1, None),
        _ => Then::Passes,
    })
    .await;
    let output = between.run(&estate, &["plan"]).await;
    assert!(String::from_utf8_lossy(&output.stdout).contains("population: 1 recovery points"));
    between.stop().await;
}

/// How the last drill of a log closed; the log has to hold.
fn closed(estate: &Estate) -> DrillClosed {
    let verdict = estate.verdict();
    assert!(verdict.holds(), "{:?}", verdict.faults);
    let last = verdict.entries.into_iter().rev().find_map(|entry| match entry.body {
        Body::DrillClosed(closed) => Some(closed),
        _ => None,
    });
    last.unwrap()
}

/// Beside a point that is well: the window of a continuous backup is denied, or is none; and its vault's lock, which takes nothing away.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_service_does_not_say_of_a_backup_is_no_pass() {
    if !engine(EngineKind::Postgres) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    laying.bucket(1).await;
    laying.continuous(EngineKind::Postgres).await;
    let estate = laying.end().await;
    let window = "DescribeDBInstanceAutomatedBackups";
    let nothing = format!(
        "<{window}Response xmlns=\"http://rds.amazonaws.com/doc/2014-10-31/\"><{window}Result><DBInstanceAutomatedBackups/></{window}Result></{window}Response>"
    );
    for (asked, code, outcome, says) in [
        (window, 4, Outcome::Inconclusive, "continuous, and its window could not be listed: denied"),
        ("none", 3, Outcome::Inconclusive, "continuous, and its service states no window of times for it"),
        ("lock", 0, Outcome::Pass, "whether the vault vault is locked is not known"),
    ] {
        let nothing = nothing.clone();
        let between = Between::start(&estate, move |call| match call.action.as_str() {
            action if action == window && asked == window => refused_by_rds("AccessDenied", "not for this identity"),
            action if action == window && asked == "none" => Then::Instead(http::Response::new(nothing.clone().into())),
            action if action == format!("GET /backup-vaults/{VAULT}") && asked == "lock" => {
                let denied = http::Response::builder().status(403).header("x-amzn-errortype", "AccessDeniedException");
                Then::Instead(denied.body("{\"message\":\"not for this identity\"}".into()).unwrap())
            }
            _ => Then::Passes,
        })
        .await;
        let output = between.run(&estate, &["drill"]).await;
        let said = String::from_utf8_lossy(&[&output.stderr[..], &output.stdout[..]].concat()).into_owned();
        between.stop().await;
        let closed = closed(&estate);
        assert_eq!((output.status.code(), closed.outcome), (Some(code), outcome), "{asked}: {said}");
        assert!(said.contains(says), "{asked}: {said}");
        let drilled = if asked == "lock" { 2 } else { 1 };
        assert_eq!((closed.planned, closed.outcomes["pass"]), (drilled, drilled), "{asked}: {said}");
        assert!(!said.contains("no recovery point in aws-backup"), "{asked}: {said}");
    }
}

/// A point is drilled once, as one of the resource that the configuration names first: what else is claimed of it was tried by nobody.
#[tokio::test(flavor = "multi_thread")]
async fn a_resource_whose_points_are_drilled_as_those_of_another_is_untested() {
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    laying.bucket(1).await;
    laying.resource("again", "s3", "s3://file-vault", "", &format!("from = \"aws-backup\"\nvault = \"{VAULT}\""));
    let estate = laying.end().await;
    let between = Between::start(&estate, |_| Then::Passes).await;
    let output = between.run(&estate, &["drill"]).await;
    between.stop().await;
    let said = String::from_utf8_lossy(&[&output.stderr[..], &output.stdout[..]].concat()).into_owned();
    let closed = closed(&estate);
    assert_eq!((output.status.code(), closed.outcome, closed.outcomes["pass"]), (Some(3), Outcome::Untested, 1), "{said}");
    assert!(said.contains("not drilled: resource:again: its recovery points are drilled as those of another resource"), "{said}");
}
