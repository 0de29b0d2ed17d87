//! A service whose `Date` is ahead of, or behind, the clock that dates what is created: nothing is left behind for it, and what is not ours
//! stands; and a machine whose own clock is wrong, which makes no recovery point younger.

use attestore::model::outcome::Outcome;
use attestore::report::publish::model_of;
use attestore::signing::keys::SigningKey;
use attestore::testing_log::body::PopulationCommitted;
use attestore::testing_log::entry::Body;
use attestore::testing_log::store::LogDir;

use crate::aws::estate::{Laying, leftovers};
use crate::clients::start;

#[tokio::test(flavor = "multi_thread")]
async fn a_date_that_is_wrong_by_minutes_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(&folder.path().join("laid")).await;
    laying.bucket(1).await;
    laying.table().await;
    let laid = laying.end().await;
    for ahead_s in [600, -600] {
        let estate = laid.copy_to(&folder.path().join(format!("ahead{ahead_s}")));
        let (running, clients) = start(&estate.path("sandbox")).await;
        running.control().faults().date_ahead(ahead_s).unwrap();
        // Of this name somebody else has a bucket: with the drills' prefix, and of before.
        clients.bucket("attestore-drill-of-somebody").await;
        running.stop().await.unwrap();
        let output = estate.run(&["drill"], None);
        let said = String::from_utf8_lossy(&[&output.stderr[..], &output.stdout[..]].concat()).into_owned();
        assert_eq!(output.status.code(), Some(0), "{ahead_s} s ahead: {said}");
        assert!(said.contains("the clock of this machine is"), "{said}");
        assert!(estate.results().iter().all(|result| result.outcome == Outcome::Pass && result.teardown.leftover_count == 0), "{said}");
        assert!(estate.verdict().holds(), "{:?}", estate.verdict().faults);
        assert_eq!(leftovers(&estate).await, ["attestore-drill-of-somebody"], "{ahead_s} s ahead");

        // Killed while its targets stand, and gone on with by a machine whose service is as wrong: they are still its own.
        let killed = laid.copy_to(&folder.path().join(format!("killed{ahead_s}")));
        let (running, _) = start(&killed.path("sandbox")).await;
        running.control().faults().date_ahead(ahead_s).unwrap();
        running.stop().await.unwrap();
        assert_eq!(killed.run(&["drill", "--at-once", "1"], Some(18)).status.code(), None);
        let resumed = killed.run(&["drill", "--resume"], None);
        assert_eq!(resumed.status.code(), Some(0), "{ahead_s} s ahead: {}", String::from_utf8_lossy(&resumed.stderr));
        assert_eq!(leftovers(&killed).await, Vec::<String>::new(), "{ahead_s} s ahead");
    }
}

/// The age of a point is counted by the clock that dated it: a machine that is twenty minutes slow would take it for as much younger.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_behind_makes_no_point_younger() {
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(&folder.path().join("laid")).await;
    laying.table().await;
    laying.file().await;
    let laid = laying.end().await;
    let text = std::fs::read_to_string(laid.path("attestore.toml")).unwrap();
    std::fs::write(laid.path("attestore.toml"), text.replace("rpo = \"1d\"", "rpo = \"10m\"")).unwrap();
    for (ahead_s, outcome) in [(1200, Outcome::Fail), (0, Outcome::Pass), (-1200, Outcome::Pass)] {
        let estate = laid.copy_to(&folder.path().join(format!("ahead{ahead_s}")));
        let (running, _) = start(&estate.path("sandbox")).await;
        running.control().faults().date_ahead(ahead_s).unwrap();
        running.stop().await.unwrap();
        let output = estate.run(&["drill"], None);
        let said = String::from_utf8_lossy(&[&output.stderr[..], &output.stdout[..]].concat()).into_owned();
        for result in estate.results() {
            let is_local = result.rp.from == "local";
            let expected = if is_local { Outcome::Pass } else { outcome };
            assert_eq!(result.outcome, expected, "{ahead_s} s ahead: {:?}: {said}", result.outcome_reasons);
            let achieved_ms = result.rpo.achieved_ms.unwrap();
            // Points of a minute or so ago, and what the clocks differ by.
            let least = if ahead_s > 0 && !is_local { 1_190_000 } else { 0 };
            assert!((least..least + 600_000).contains(&achieved_ms), "{ahead_s} s ahead: {achieved_ms} ms of {}", result.rp.id);
            let is_told = result.rpo.basis.contains("AWS's clock");
            assert_eq!(is_told, ahead_s != 0 && !is_local, "{ahead_s} s ahead: {}", result.rpo.basis);
        }
        let verdict = estate.verdict();
        assert!(verdict.holds(), "{:?}", verdict.faults);
        let stated = verdict.entries.iter().find_map(|entry| match &entry.body {
            Body::PopulationCommitted(PopulationCommitted { service_ahead_ms, .. }) => Some(service_ahead_ms.unwrap()),
            _ => None,
        });
        let key = SigningKey::load(&estate.path("attestore.key")).unwrap().verifying_key();
        let report = model_of(&verdict, &LogDir::open(&estate.path("log")).unwrap(), &key, None).unwrap();
        let is_told = report.verdict.sentences.iter().any(|sentence| sentence.starts_with("AWS's clock was "));
        assert_eq!(is_told, stated.unwrap().abs() > 5_000, "{ahead_s} s ahead: {:?}", report.verdict.sentences);
        let off_ms = stated.unwrap() - ahead_s * 1000;
        assert!((-60_000..=0).contains(&off_ms), "{ahead_s} s ahead: {stated:?} ms are stated");
    }
}
