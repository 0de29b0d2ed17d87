//! What a drill could not look at, what is not there, and checks that are for something else keep it from being a plain pass, whatever it found
//! elsewhere.

use attestore::model::outcome::Outcome;
use attestore::signing::keys::SigningKey;
use attestore::testing_log::body::DrillClosed;
use attestore::testing_log::entry::Body;

use crate::drill_estate::Estate;

/// An estate whose points are all well.
async fn healthy(folder: &std::path::Path) -> Estate {
    let estate = Estate::lay(folder).await;
    std::fs::remove_file(estate.path("vault/app/bad.db")).unwrap();
    std::fs::remove_dir_all(estate.path("vault/files/bad")).unwrap();
    estate
}

/// Runs a drill, holds its log to the rules, and gives the exit code, how the drill closed, and what its report says.
fn drilled(estate: &Estate) -> (Option<i32>, DrillClosed, String) {
    let output = estate.run(&["drill"], None);
    let verdict = estate.verdict();
    assert!(verdict.holds(), "{:?}", verdict.faults);
    let closed = verdict.entries.into_iter().rev().find_map(|entry| match entry.body {
        Body::DrillClosed(closed) => Some(closed),
        _ => None,
    });
    let key = SigningKey::load(&estate.path("attestore.key")).unwrap().verifying_key();
    std::fs::write(estate.path("log.pem"), key.to_pem()).unwrap();
    let report = estate.run(&["report", "--log", "log", "--key", "log.pem", "--out", "report.html"], None);
    let said = || format!("{}{}", String::from_utf8_lossy(&report.stdout), String::from_utf8_lossy(&report.stderr));
    let page = std::fs::read_to_string(estate.path("report.html")).unwrap_or_else(|_| panic!("{}", said()));
    let drill = || String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), closed.unwrap_or_else(|| panic!("{}", drill())), page)
}

#[tokio::test]
async fn a_place_that_could_not_be_listed_is_no_pass() {
    let folder = tempfile::tempdir().unwrap();
    let estate = healthy(&folder.path().join("a")).await;
    let (code, closed, page) = drilled(&estate);
    assert_eq!((code, closed.outcome), (Some(0), Outcome::Pass));
    assert!(page.contains("nothing is left to infer there"), "{page}");

    let gone = healthy(&folder.path().join("b")).await;
    std::fs::remove_dir_all(gone.path("vault/files")).unwrap();
    let (code, closed, page) = drilled(&gone);
    assert_eq!((code, closed.outcome, closed.outcomes["pass"]), (Some(4), Outcome::Inconclusive, 1));
    for said in
        ["1 recovery point tested and equal to what was expected; others could not be looked at", "1 place of recovery points could not"]
    {
        assert!(page.contains(said), "{said}: {page}");
    }
    assert!(!page.contains("left to infer"), "{page}");

    // One directory of two: the evidence has what the other one holds.
    let half = healthy(&folder.path().join("c")).await;
    half.configure("[[resource.points]]\nfrom = \"local\"\npath = \"vault/more\"\n");
    let (code, closed, _) = drilled(&half);
    assert_eq!((code, closed.outcome, closed.outcomes["pass"]), (Some(4), Outcome::Inconclusive, 2));
    std::fs::create_dir(half.path("vault/more")).unwrap();
    std::fs::write(half.path("vault/more/late"), "x").unwrap();
    std::fs::write(half.path("vault/more/.hidden"), "x").unwrap();
    let (_, closed, _) = drilled(&half);
    assert_eq!((closed.planned, closed.outcomes.get("pass")), (3, Some(&2)), "both directories were listed: {closed:?}");

    // Copies have the names of what they are copies of: which of two a manifest names nobody knows.
    let twice = healthy(&folder.path().join("d")).await;
    twice.configure("[[resource.points]]\nfrom = \"local\"\npath = \"vault/more\"\n");
    std::fs::create_dir_all(twice.path("vault/more/good")).unwrap();
    std::fs::write(twice.path("vault/more/good/a.txt"), "garbage").unwrap();
    let (code, closed, page) = drilled(&twice);
    assert_eq!((code, closed.outcome, closed.planned, closed.outcomes["pass"]), (Some(3), Outcome::Inconclusive, 1, 1), "{closed:?}");
    assert!(page.contains("give each directory a resource of its own") && !page.contains("left to infer"), "{page}");
}

#[tokio::test]
async fn a_resource_without_a_point_is_no_pass() {
    let folder = tempfile::tempdir().unwrap();
    let empty = healthy(&folder.path().join("a")).await;
    std::fs::remove_dir_all(empty.path("vault/files/good")).unwrap();
    let (code, closed, page) = drilled(&empty);
    assert_eq!((code, closed.outcome, closed.outcomes["pass"]), (Some(3), Outcome::Inconclusive, 1));
    assert!(page.contains("1 recovery point tested and equal to what was expected; 1 resource has none"), "{page}");

    // All that is there leads nowhere.
    let linked = healthy(&folder.path().join("b")).await;
    std::fs::remove_dir_all(linked.path("vault/files/good")).unwrap();
    std::os::unix::fs::symlink("absent", linked.path("vault/files/good")).unwrap();
    let (code, closed, _) = drilled(&linked);
    assert_eq!((code, closed.outcome), (Some(3), Outcome::Inconclusive));
}

/// Resources of several engines in one class, which names the checks of one of them.
#[tokio::test]
async fn checks_for_another_engine_are_an_exception_and_the_log_holds() {
    let folder = tempfile::tempdir().unwrap();
    let estate = healthy(&folder.path().join("a")).await;
    let text = std::fs::read_to_string(estate.path("attestore.toml")).unwrap();
    std::fs::write(estate.path("attestore.toml"), text.replace("test_period", "checks = [\"structure-postgres\"]\ntest_period")).unwrap();
    let (code, closed, page) = drilled(&estate);
    assert_eq!((code, closed.outcome), (Some(0), Outcome::PassWithException));
    assert!(page.contains("is for what was restored: they are for postgres"), "{page}");

    // Without a manifest nothing at all was looked at.
    let bare = healthy(&folder.path().join("b")).await;
    let text = std::fs::read_to_string(bare.path("attestore.toml")).unwrap();
    let text = text.replace("test_period", "checks = [\"structure-postgres\"]\nwhen_no_manifest = \"invariants\"\ntest_period");
    let text = text.replace("manifests = \"manifests/app\"", "manifests = \"manifests/bare\"").replace("id = \"app\"", "id = \"bare\"");
    std::fs::create_dir_all(bare.path("manifests/bare")).unwrap();
    std::fs::write(bare.path("attestore.toml"), text).unwrap();
    let (code, closed, page) = drilled(&bare);
    assert_eq!((code, closed.outcome), (Some(3), Outcome::Inconclusive), "{closed:?}");
    assert!(page.contains("nothing was examined: there is no manifest"), "{page}");
}

/// A copy of a database beside its notes: its manifest is one of files, and no check of its class looks into it.
#[tokio::test]
async fn a_database_that_was_compared_as_files_is_no_plain_pass_of_its_checks() {
    let folder = tempfile::tempdir().unwrap();
    let estate = healthy(&folder.path().join("a")).await;
    estate.configure(
        "[class.d]\nrto = \"1h\"\nrpo = \"7d\"\nchecks = [\"structure-sqlite\"]\nwhen_no_manifest = \"first-restore\"\n\
         [[resource]]\nid = \"daily\"\napplication = \"a\"\nkind = \"files\"\nclass = \"d\"\nsource = \"sqlite:app.db\"\n\
         manifests = \"manifests/daily\"\n[[resource.points]]\nfrom = \"local\"\npath = \"vault/daily\"\n",
    );
    std::fs::create_dir_all(estate.path("manifests/daily")).unwrap();
    std::fs::create_dir_all(estate.path("vault/daily/day1")).unwrap();
    std::fs::copy(estate.path("vault/app/good.db"), estate.path("vault/daily/day1/app.db")).unwrap();
    std::fs::write(estate.path("vault/daily/day1/notes.txt"), "whole").unwrap();
    let (code, closed, _) = drilled(&estate);
    assert_eq!((code, closed.outcome), (Some(3), Outcome::Inconclusive), "the first restore: {closed:?}");
    let (code, closed, page) = drilled(&estate);
    assert_eq!((code, closed.outcome, closed.outcomes["pass_with_exception"]), (Some(0), Outcome::PassWithException, 1), "{closed:?}");
    assert!(page.contains("SQL checks: not run: it is a database, and was compared as files"), "{page}");
}
