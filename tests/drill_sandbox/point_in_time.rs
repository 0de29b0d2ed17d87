//! Drills of a database to a chosen second: the rows of that second and no other, the newest one as witness of the RPO, and a service
//! that ignores the time.

use attestore::engines::installed::EngineKind;
use attestore::model::check::CheckOutcome;
use attestore::model::outcome::Outcome;
use attestore::sandbox::control::faults::RestoreFault;
use attestore::testing_log::body::PointResult;

use crate::estate::{Laying, leftovers};
use crate::support::{engine, start};

async fn to_a_second(kind: EngineKind) {
    if !engine(kind) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    let point = laying.database_in_time(kind).await;
    let estate = laying.end().await;
    let said = |output: &std::process::Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let output = estate.run(&["drill"], None);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let good: PointResult = estate.results().remove(0);
    assert_eq!((good.rp.id.0.as_str(), good.rp.from.as_str(), good.outcome), (point.as_str(), "rds-pitr", Outcome::Pass));
    let at = point.rsplit_once('@').unwrap().1;
    assert_eq!(good.rp.created_at, at.parse().unwrap());
    let rows = good.verify.as_ref().unwrap().rows.unwrap();
    assert_eq!((rows.matched, rows.extra), (30, 0));
    // The row written last before the second bears witness of what was lost: less than the time between the two.
    let newest: attestore::model::clock::Timestamp = good.sql_checks[0].actual.as_deref().unwrap().parse().unwrap();
    assert!((0..60).contains(&(good.rp.created_at.as_secs() - newest.as_secs())), "{newest}");
    assert!(good.rpo.basis.contains("newest stamp") && good.rpo.basis.contains("before the point"), "{}", good.rpo.basis);
    assert_eq!(good.rpo.met, Some(true));
    assert_eq!(good.restore.as_ref().unwrap().mechanism, "rds:RestoreDBInstanceToPointInTime");

    let (running, _) = start(&estate.path("sandbox")).await;
    running.control().faults().on_restore(point.rsplit_once('@').unwrap().0, RestoreFault::IgnoresTime).unwrap();
    running.stop().await.unwrap();
    let output = estate.run(&["drill"], None);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let bad = estate.results().into_iter().find(|result| result.drill_id != good.drill_id).unwrap();
    assert_eq!((bad.outcome, bad.verify.as_ref().unwrap().rows.unwrap().extra), (Outcome::Fail, 5), "{:?}", bad.outcome_reasons);
    assert_eq!(bad.sql_checks[0].result, CheckOutcome::Fail);
    assert!(bad.sql_checks[0].reason.as_deref().unwrap().contains("the time that was restored to"));
    assert!(estate.verdict().holds(), "{:?}", estate.verdict().faults);
    assert_eq!(leftovers(&estate).await, Vec::<String>::new());
    let (running, _) = start(&estate.path("sandbox")).await;
    running.control().purge().await.unwrap();
    running.stop().await.unwrap();
}

/// The same second through AWS Backup: a continuous recovery point and a restore job with a time.
#[tokio::test(flavor = "multi_thread")]
async fn a_continuous_backup_to_a_second_through_aws_backup() {
    let kind = if engine(EngineKind::Postgres) { EngineKind::Postgres } else { EngineKind::MariaDb };
    if !engine(kind) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    let point = laying.continuous(kind).await;
    let estate = laying.end().await;
    let output = estate.run(&["drill"], None);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let good = estate.results().remove(0);
    assert_eq!((good.rp.id.0.as_str(), good.outcome), (point.as_str(), Outcome::Pass), "{:?}", good.outcome_reasons);
    assert_eq!(good.verify.unwrap().rows.unwrap().matched, 30);
    let restore = good.restore.unwrap();
    assert!(restore.mechanism == "aws-backup:StartRestoreJob" && restore.job_id.is_some());

    let (running, _) = start(&estate.path("sandbox")).await;
    running.control().faults().on_restore(point.rsplit_once('@').unwrap().0, RestoreFault::IgnoresTime).unwrap();
    running.stop().await.unwrap();
    let output = estate.run(&["drill"], None);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let bad = estate.results().into_iter().find(|result| result.drill_id != good.drill_id).unwrap();
    assert_eq!((bad.outcome, bad.verify.unwrap().rows.unwrap().extra), (Outcome::Fail, 5), "{:?}", bad.outcome_reasons);
    assert_eq!(leftovers(&estate).await, Vec::<String>::new());
    let (running, _) = start(&estate.path("sandbox")).await;
    running.control().purge().await.unwrap();
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_to_a_second() {
    to_a_second(EngineKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_to_a_second() {
    to_a_second(EngineKind::MariaDb).await;
}
