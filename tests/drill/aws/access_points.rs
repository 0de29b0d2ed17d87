//! Recovery points read where they lie, through backup access points: opted into by the class, never a plain pass, taken down until gone.

use attestore::model::outcome::Outcome;
use attestore::sandbox::control::backup::points::PointDamage;
use attestore::sandbox::control::faults::{AccessPointFault, RestoreFault};
use attestore::sandbox::s3::snapshot::Damage;
use attestore::testing_log::point_result::{ACCESS_POINT_MECHANISM, PointResult};

use crate::aws::estate::{Laying, access_points, leftovers};
use crate::clients::start;
use crate::drill_estate::Estate;

fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&[&output.stderr[..], &output.stdout[..]].concat()).into_owned()
}

fn of(estate: &Estate, point: &str) -> PointResult {
    estate.results().into_iter().find(|result| result.rp.id.0 == point).unwrap_or_else(|| panic!("no result of {point}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_point_is_read_where_it_lies_without_a_restore_and_says_what_that_does_not_prove() {
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    let points = laying.bucket(2).await;
    let backup = laying.running.control().backup();
    backup.damage(&points[1], &PointDamage::Object(Damage::FlipByte { key: "b/c d+.txt".into(), seq: 0, offset: 7 })).await.unwrap();
    // A restore job of it would fail: none is asked for.
    let fault = RestoreFault::Fails { message: "a restore was asked for".into() };
    points.iter().for_each(|point| laying.running.control().faults().on_restore(point, fault.clone()).unwrap());
    laying.access_points = true;
    let estate = laying.end().await;
    let plan = estate.run(&["plan"], None);
    let planned = String::from_utf8_lossy(&plan.stdout).into_owned();
    assert!(planned.contains("backup:CreateBackupAccessPoint") && !planned.contains("backup:StartRestoreJob"), "{planned}");
    let output = estate.run(&["drill"], None);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let good = of(&estate, &points[0]);
    assert_eq!(good.outcome, Outcome::PassWithException, "{:?} {:?}", good.outcome_reasons, good.errors);
    assert!(good.outcome_reasons.iter().any(|reason| reason.contains("not a restore")), "{:?}", good.outcome_reasons);
    let objects = good.verify.unwrap().objects.unwrap();
    assert_eq!((objects.expected, objects.matched, objects.extra), (5, 5, 0), "all versions and the delete marker");
    let restore = good.restore.unwrap();
    assert_eq!((restore.mechanism.as_str(), restore.job_id, restore.status.as_str()), (ACCESS_POINT_MECHANISM, None, "AVAILABLE"));
    assert_eq!((good.rto.achieved_ms, good.rto.met), (None, None));
    assert!(good.rto.basis.contains("nothing was restored"), "{}", good.rto.basis);
    let gone = &good.teardown.resources[0];
    assert!(gone.arn.contains(":accesspoint/attestore-drill-") && gone.confirmed_by == "backup:DescribeBackupAccessPoint", "{gone:?}");
    let probes: Vec<String> = good.isolation.unwrap().probes.into_iter().map(|probe| probe.name).collect();
    assert!(["access-point-account", "access-point-of"].iter().all(|name| probes.iter().any(|probe| probe == name)), "{probes:?}");
    let bad = of(&estate, &points[1]);
    let objects = bad.verify.unwrap().objects.unwrap();
    assert_eq!((bad.outcome, objects.mismatch + objects.unreadable, objects.matched), (Outcome::Fail, 1, 4));
    assert!(estate.verdict().holds(), "{:?}", estate.verdict().faults);
    assert_eq!(leftovers(&estate).await, Vec::<String>::new());
}

/// A pass in a log whose policy allows no access points is a fault of that log.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_class_opting_in_everything_is_restored() {
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    let points = laying.bucket(1).await;
    laying.running.control().faults().on_access_point(&points[0], AccessPointFault::Fails { message: "asked for".into() }).unwrap();
    let estate = laying.end().await;
    let output = estate.run(&["drill"], None);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let mut result = of(&estate, &points[0]);
    assert_eq!(result.restore.as_ref().unwrap().mechanism, "aws-backup:StartRestoreJob");
    result.restore.as_mut().unwrap().mechanism = ACCESS_POINT_MECHANISM.into();
    for as_if in [Outcome::Pass, Outcome::PassWithException] {
        let objections = attestore::testing_log::verify::pass::objections(&result, None, as_if);
        assert!(objections.iter().any(|(_, why)| why.contains("does not allow")), "{objections:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_point_that_lies_fails_or_hangs_is_an_error_and_is_taken_down() {
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    let points = laying.bucket(5).await;
    let faults = [
        AccessPointFault::Fails { message: "planted".into() },
        AccessPointFault::WithoutAlias,
        AccessPointFault::NamesAnother { arn: points[4].clone() },
        AccessPointFault::Stays,
    ];
    for (point, fault) in points.iter().zip(&faults) {
        laying.running.control().faults().on_access_point(point, fault.clone()).unwrap();
    }
    laying.running.control().faults().throttle("backup", 3).unwrap();
    laying.access_points = true;
    let estate = laying.end().await;
    let output = estate.run(&["drill", "--case-deadline", "20s", "--teardown-deadline", "3s", "--at-once", "3"], None);
    let outcomes: Vec<Outcome> = points.iter().map(|point| of(&estate, point).outcome).collect();
    use Outcome::{Error, PassWithException};
    assert_eq!(outcomes, [Error, Error, Error, PassWithException, PassWithException], "{}", said(&output));
    assert_eq!(output.status.code(), Some(6), "{}", said(&output));
    let why = |at: usize| of(&estate, &points[at]).outcome_reasons.join("; ");
    assert!(why(0).contains("planted") && why(1).contains("no alias") && why(2).contains("reads"), "{} {} {}", why(0), why(1), why(2));
    // DELETING for ever: it is told as left behind, and found by a sweep, which takes it down once that goes.
    let stays = of(&estate, &points[3]).teardown;
    assert_eq!(stays.leftover_count, 1, "{stays:?}");
    let left = leftovers(&estate).await;
    assert_eq!(left.len(), 1, "{left:?}");
    let sweep = estate.run(&["sweep"], None);
    assert!(sweep.status.code() == Some(6) && String::from_utf8_lossy(&sweep.stdout).contains(&left[0]), "{sweep:?}");
    let (running, _) = start(&estate.path("sandbox")).await;
    running.control().faults().clear().unwrap();
    running.stop().await.unwrap();
    let sweep = estate.run(&["sweep", "--apply"], None);
    assert_eq!(sweep.status.code(), Some(0), "{sweep:?}");
    assert_eq!(leftovers(&estate).await, Vec::<String>::new());
    assert!(estate.verdict().holds(), "{:?}", estate.verdict().faults);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_never_ready_is_left_after_its_deadline_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    let points = laying.bucket(1).await;
    laying.running.control().faults().on_access_point(&points[0], AccessPointFault::Hangs).unwrap();
    laying.access_points = true;
    let estate = laying.end().await;
    let output = estate.run(&["drill", "--case-deadline", "2s", "--teardown-deadline", "2s"], None);
    assert_eq!(output.status.code(), Some(6), "{}", said(&output));
    let result = of(&estate, &points[0]);
    assert_eq!(result.outcome, Outcome::Error);
    assert!(
        result.outcome_reasons[0].contains("deadline") && result.outcome_reasons[0].contains("CREATING"),
        "{:?}",
        result.outcome_reasons
    );
    // What is still being made cannot be deleted: it stands, and is told.
    assert_eq!(result.teardown.leftover_count, 1, "{:?}", result.teardown);
    let (running, clients) = start(&estate.path("sandbox")).await;
    assert_eq!(access_points(&clients).await.len(), 1);
    running.stop().await.unwrap();
}
