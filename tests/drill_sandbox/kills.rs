//! Killed after records of the journal, resumed: the same results, and nothing left behind. The stand-in dies with the process and comes
//! back over its persisted state.

use crate::drill_estate::Estate;
use crate::estate::{Laying, leftovers};

fn essence(estate: &Estate) -> Vec<String> {
    let of = |result: attestore::testing_log::body::PointResult| {
        let facts = result.verify.unwrap();
        format!("{} {} {:?} {:?} {:?}", result.rp.id, result.outcome, facts.objects, facts.items, facts.rows)
    };
    estate.results().into_iter().map(of).collect()
}

/// Kills a drill of one laid estate after every record from `first` on, in steps of `step`.
async fn kill(laid: &Estate, folder: &std::path::Path, first: u64, step: usize) {
    let whole = laid.copy_to(&folder.join("whole"));
    let output = whole.run(&["drill"], None);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let expected = essence(&whole);
    for n in (first..).step_by(step) {
        let estate = laid.copy_to(&folder.join(format!("k{n}")));
        if estate.run(&["drill", "--at-once", "1"], Some(n)).status.code().is_some() {
            assert!(n > 20, "a drill writes more than {n} records");
            return;
        }
        let resumed = estate.run(&["drill", "--resume"], None);
        assert_eq!(resumed.status.code(), Some(0), "{n}: {}", String::from_utf8_lossy(&resumed.stderr));
        assert_eq!(essence(&estate), expected, "killed after record {n}");
        let verdict = estate.verdict();
        assert!(verdict.holds(), "{n}: {:?}", verdict.faults);
        assert_eq!(leftovers(&estate).await, Vec::<String>::new(), "{n}");
        std::fs::remove_dir_all(&estate.folder).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_and_a_table_survive_a_kill_after_any_record() {
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(&folder.path().join("laid")).await;
    laying.bucket(1).await;
    laying.table().await;
    let laid = laying.end().await;
    kill(&laid, folder.path(), 1, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_server_survives_a_kill_and_is_gone_in_the_end() {
    use attestore::engines::installed::EngineKind;
    let kind = if crate::support::engine(EngineKind::MariaDb) { EngineKind::MariaDb } else { EngineKind::Postgres };
    if !crate::support::engine(kind) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(&folder.path().join("laid")).await;
    laying.database(kind).await;
    let laid = laying.end().await;
    kill(&laid, folder.path(), 9, 4).await;
}
