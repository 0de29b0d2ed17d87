//! A service whose `Date` is ahead of, or behind, the clock that dates what is created: nothing is left behind for it, and what is not ours
//! stands.

use attestore::model::outcome::Outcome;

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
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
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
