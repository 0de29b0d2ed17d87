//! Killed after records of the journal, resumed: the same results, and nothing left behind, database servers included. The stand-in dies
//! with the process and comes back over its persisted state.

use std::path::{Path, PathBuf};

use attestore::engines::installed::EngineKind;
use attestore::engines::process::servers_under;
use attestore::restore::journal::Journal;
use futures_util::future::join_all;

use crate::aws::estate::{Laying, leftovers};
use crate::drill_estate::Estate;

fn essence(estate: &Estate) -> Vec<String> {
    let of = |result: attestore::testing_log::point_result::PointResult| {
        let facts = result.verify.unwrap();
        format!("{} {} {:?} {:?} {:?}", result.rp.id, result.outcome, facts.objects, facts.items, facts.rows)
    };
    estate.results().into_iter().map(of).collect()
}

/// Where the stand-in of an estate keeps its data directories.
fn engines(estate: &Estate) -> Option<PathBuf> {
    std::fs::read_to_string(estate.path("sandbox/control/engines.path")).ok().map(PathBuf::from)
}

/// The data directories of restored instances: each is gone with its instance.
fn homes(engines: &Path) -> Vec<String> {
    let names = std::fs::read_dir(engines).into_iter().flatten().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("i-")).collect()
}

/// Nothing is left: no bucket, table, instance, directory, server, data directory; no step and no drill open; the log verifies.
pub async fn nothing_is_left(estate: &Estate, what: &str) {
    if let Some(engines) = engines(estate) {
        assert_eq!(servers_under(&engines), vec![], "{what}: a database server still runs");
        assert_eq!(homes(&engines), Vec::<String>::new(), "{what}");
    }
    let journal = Journal::open(&estate.path("attestore.journal")).unwrap().state();
    assert!(journal.unfinished().is_empty(), "{what}");
    let standing =
        journal.drills.values().flat_map(|drill| drill.cases.values()).filter(|case| !case.standing().is_empty() || !case.closed);
    assert_eq!(standing.count(), 0, "{what}: a step stands open");
    let verdict = estate.verdict();
    assert!(verdict.holds(), "{what}: {:?}", verdict.faults);
    assert_eq!(estate.leftovers(), Vec::<String>::new(), "{what}");
    assert_eq!(leftovers(estate).await, Vec::<String>::new(), "{what}");
}

/// Kills a drill of one laid estate after every record from `first` on, in steps of `step`; where a database server must have outlived one of
/// these and none did, at the records in between until one does.
async fn kill(laid: &Estate, folder: &Path, first: u64, step: usize) {
    let whole = laid.copy_to(&folder.join("whole"));
    let output = whole.run(&["drill"], None);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let expected = &essence(&whole);
    let has_databases = expected.iter().any(|line| line.contains(":snapshot:"));
    // A drill waits for its services most of the time: several are held beside each other, but for database servers, which all copies of an
    // estate keep in one place.
    let at_once = if has_databases { 1 } else { 3 };
    let (mut outlived, mut end, mut is_over) = (0, first, false);
    while !is_over {
        let records = (end..).step_by(step).take(at_once);
        let killed = join_all(records.map(|n| kill_after(laid, folder, n, expected))).await;
        is_over = killed.contains(&None);
        outlived += killed.iter().filter(|server| **server == Some(true)).count();
        end += (killed.iter().flatten().count() * step) as u64;
    }
    assert!(end > 20, "a drill writes more than {end} records");
    for n in (first..end).filter(|n| !(n - first).is_multiple_of(step as u64)) {
        if outlived > 0 || !has_databases {
            break;
        }
        outlived += usize::from(kill_after(laid, folder, n, expected).await.is_some_and(|server| server));
    }
    assert_eq!(outlived > 0, has_databases, "a killed drill leaves its database server for the next one to find");
}

/// [`Estate::run`] beside others.
async fn run(estate: &Estate, args: &'static [&'static str], kill_after: Option<u64>) -> std::process::Output {
    let estate = Estate { folder: estate.folder.clone() };
    tokio::task::spawn_blocking(move || estate.run(args, kill_after)).await.unwrap()
}

/// Kills a drill after record `n` and resumes it; says whether a database server outlived the kill, or nothing where the drill came to its end.
async fn kill_after(laid: &Estate, folder: &Path, n: u64, expected: &[String]) -> Option<bool> {
    let estate = laid.copy_to(&folder.join(format!("k{n}")));
    if run(&estate, &["drill", "--at-once", "1"], Some(n)).await.status.code().is_some() {
        return None;
    }
    let outlived = engines(&estate).is_some_and(|engines| !servers_under(&engines).is_empty());
    let resumed = run(&estate, &["drill", "--resume"], None).await;
    assert_eq!(resumed.status.code(), Some(0), "{n}: {}", String::from_utf8_lossy(&resumed.stderr));
    assert_eq!(essence(&estate), expected, "killed after record {n}");
    nothing_is_left(&estate, &format!("killed after record {n}")).await;
    std::fs::remove_dir_all(&estate.folder).unwrap();
    Some(outlived)
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

/// One point of each kind: a versioned bucket, a table, a database server, a SQLite file; every fifth record of one, every fifth of the other.
#[tokio::test(flavor = "multi_thread")]
async fn one_point_of_each_kind_survives_kills_and_no_server_outlives_the_resumed_drill() {
    let engines = [EngineKind::MariaDb, EngineKind::Postgres].into_iter().filter(|kind| crate::engines::engine(*kind));
    let each = engines.enumerate().map(|(at, kind)| async move {
        let folder = tempfile::tempdir().unwrap();
        let mut laying = Laying::begin(&folder.path().join("laid")).await;
        if at == 0 {
            laying.bucket(1).await;
            laying.table().await;
            laying.file().await;
        }
        laying.database(kind).await;
        let laid = laying.end().await;
        // One point of a resource is enough: AWS Backup's, which goes the longer way.
        let text = std::fs::read_to_string(laid.path("attestore.toml")).unwrap();
        let text = text.replace("from = \"rds-snapshot\"\n[[resource.points]]\n", "");
        std::fs::write(laid.path("attestore.toml"), text.replace("from = \"dynamodb-backup\"\n[[resource.points]]\n", "")).unwrap();
        kill(&laid, folder.path(), 2 + at as u64, 5).await;
    });
    join_all(each).await;
}
