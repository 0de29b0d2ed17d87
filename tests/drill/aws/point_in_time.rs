//! Drills of a database to a chosen second: the rows of that second and no other, the newest one as witness of the RPO, and a service
//! that ignores the time.

use attestore::engines::installed::EngineKind;
use attestore::model::check::CheckOutcome;
use attestore::model::outcome::Outcome;
use attestore::sandbox::control::faults::{AccessPointFault, RestoreFault};
use attestore::testing_log::point_result::PointResult;

use crate::aws::drills::mysql_or_mariadb;
use crate::aws::estate::{Laying, leftovers};
use crate::clients::start;
use crate::engines::engine;

async fn to_a_second(kind: EngineKind) {
    if !engine(kind) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    let point = laying.database_in_time(kind).await;
    let estate = laying.end().await;
    let said = |output: &std::process::Output| String::from_utf8_lossy(&[&output.stderr[..], &output.stdout[..]].concat()).into_owned();
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

/// The prefix of a table that only grows is equal whenever it was restored to: the stamps of what is beyond it show the second, and where there
/// are none, nothing does.
async fn a_prefix_to_a_second(kind: EngineKind, stamped: bool) {
    if !engine(kind) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    let point = laying.grown_in_time(kind, stamped).await;
    if !stamped {
        // A check of freshness that sets no bound says nothing of the second, be it passed by what was written after it.
        let check = "--! id = \"event.fresh\"\n--! title = \"Events are fresh\"\n--! engines = [\"postgres\", \"mysql\", \"mariadb\"]\n\
                     --! requires = [\"event\"]\n--! kind = \"freshness\"\n--! severity = \"critical\"\n--! error_if = \"> 30d\"\n\
                     SELECT MAX(written_at) FROM event\n";
        std::fs::write(laying.estate.path("fresh.sql"), check).unwrap();
        laying.checks = "checks = [\"./fresh.sql\"]\n".into();
    }
    let estate = laying.end().await;
    let output = estate.run(&["drill"], None);
    let good: PointResult = estate.results().remove(0);
    let rows = good.verify.as_ref().unwrap().rows.unwrap();
    assert_eq!((output.status.code(), rows.matched, rows.future), (Some(0), 20, 0), "{:?}", good.outcome_reasons);
    assert_eq!(good.outcome, if stamped { Outcome::Pass } else { Outcome::PassWithException }, "{:?}", good.outcome_reasons);
    assert_eq!(good.restore.as_ref().unwrap().second_shown, Some(stamped));
    assert!(good.rpo.basis.contains("newest stamp"), "{}", good.rpo.basis);

    let (running, _) = start(&estate.path("sandbox")).await;
    running.control().faults().on_restore(point.rsplit_once('@').unwrap().0, RestoreFault::IgnoresTime).unwrap();
    running.stop().await.unwrap();
    let output = estate.run(&["drill"], None);
    let bad = estate.results().into_iter().find(|result| result.drill_id != good.drill_id).unwrap();
    match stamped {
        true => {
            assert_eq!((output.status.code(), bad.outcome), (Some(1), Outcome::Fail), "{:?}", bad.outcome_reasons);
            assert_eq!(bad.verify.as_ref().unwrap().rows.unwrap().future, 1);
            assert_eq!(bad.restore.as_ref().unwrap().second_shown, Some(false), "the data shows that it was not honoured");
        }
        false => {
            assert_eq!(bad.outcome, Outcome::PassWithException, "{:?}", bad.outcome_reasons);
            assert!(bad.sql_checks[0].result == CheckOutcome::Pass && bad.rpo.basis.contains("after the point"), "{}", bad.rpo.basis);
            assert_eq!(bad.restore.as_ref().unwrap().second_shown, Some(false));
            assert!(bad.outcome_reasons.iter().any(|why| why.contains("the second was honoured")), "{:?}", bad.outcome_reasons);
        }
    }
    assert!(estate.verdict().holds(), "{:?}", estate.verdict().faults);
    let (running, _) = start(&estate.path("sandbox")).await;
    running.control().purge().await.unwrap();
    running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stamped_prefix_of_postgres_to_a_second() {
    a_prefix_to_a_second(EngineKind::Postgres, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_of_mariadb_to_a_second() {
    a_prefix_to_a_second(EngineKind::MariaDb, true).await;
    a_prefix_to_a_second(EngineKind::MariaDb, false).await;
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
async fn mysql_to_a_second() {
    to_a_second(mysql_or_mariadb()).await;
}

/// A bucket to a second: every version that there was, and nothing later; a service that ignores the time is found out; and the same through an
/// access point, without a restore.
#[tokio::test(flavor = "multi_thread")]
async fn a_continuous_backup_of_a_bucket_to_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    let point = laying.continuous_bucket(false).await;
    let estate = laying.end().await;
    let output = estate.run(&["drill"], None);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let good = estate.results().remove(0);
    assert_eq!((good.rp.id.0.as_str(), good.outcome), (point.as_str(), Outcome::Pass), "{:?}", good.outcome_reasons);
    assert_eq!(good.rp.created_at, point.rsplit_once('@').unwrap().1.parse().unwrap());
    let objects = good.verify.unwrap().objects.unwrap();
    assert_eq!((objects.expected, objects.matched, objects.extra), (5, 5, 0), "all versions until the second, and none of after it");

    let arn = point.rsplit_once('@').unwrap().0;
    let (running, _) = start(&estate.path("sandbox")).await;
    running.control().faults().on_restore(arn, RestoreFault::IgnoresTime).unwrap();
    running.control().faults().on_access_point(arn, AccessPointFault::IgnoresTime).unwrap();
    running.stop().await.unwrap();
    let output = estate.run(&["drill"], None);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let bad = estate.results().into_iter().find(|result| result.drill_id != good.drill_id).unwrap();
    assert_eq!((bad.outcome, bad.verify.unwrap().objects.unwrap().extra), (Outcome::Fail, 2), "{:?}", bad.outcome_reasons);

    let text = std::fs::read_to_string(estate.path("attestore.toml")).unwrap();
    let access = text.replace("rto = \"1h\"", "rto = \"not_required\"\naccess = \"backup-access-point\"");
    std::fs::write(estate.path("attestore.toml"), access).unwrap();
    let before = estate.results().len();
    let output = estate.run(&["drill"], None);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let bad = estate.results().remove(before);
    assert_eq!((bad.outcome, bad.verify.unwrap().objects.unwrap().extra), (Outcome::Fail, 2), "{:?}", bad.outcome_reasons);
    let (running, _) = start(&estate.path("sandbox")).await;
    running.control().faults().clear().unwrap();
    running.stop().await.unwrap();
    let output = estate.run(&["drill"], None);
    let good = estate.results().remove(before + 1);
    assert_eq!(good.outcome, Outcome::PassWithException, "{:?} {}", good.outcome_reasons, String::from_utf8_lossy(&output.stderr));
    assert_eq!(good.verify.unwrap().objects.unwrap().matched, 5);
    assert!(estate.verdict().holds(), "{:?}", estate.verdict().faults);
    assert_eq!(leftovers(&estate).await, Vec::<String>::new());
}

/// A manifest that was captured later knows of later versions: the state of the second is compared, and those of before it are not held against it.
#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_of_after_the_second_is_held_to_the_second() {
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    let point = laying.continuous_bucket(true).await;
    let estate = laying.end().await;
    let output = estate.run(&["drill"], None);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let good = estate.results().remove(0);
    assert_eq!((good.rp.id.0.as_str(), good.outcome), (point.as_str(), Outcome::Pass), "{:?}", good.outcome_reasons);
    let objects = good.verify.unwrap().objects.unwrap();
    assert_eq!((objects.expected, objects.matched, objects.extra), (2, 2, 0));

    // Without a second that anybody names, it is left out with its reason and nothing is restored.
    let text = std::fs::read_to_string(estate.path("attestore.toml")).unwrap();
    let bare = text.replace("vault = \"vault\"", "vault = \"vault\"\nat = [\"latest\", \"2020-01-01T00:00:00Z\"]");
    std::fs::write(estate.path("attestore.toml"), bare).unwrap();
    let plan = estate.run(&["plan"], None);
    let told = String::from_utf8_lossy(&plan.stdout).into_owned();
    assert!(told.contains("no latest restorable time for S3") && told.contains("outside the window"), "{told}");
}
