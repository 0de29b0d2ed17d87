//! The demo on a machine without any database server, stopped while it prepares, killed while it drills, and gone on with: it says what stays
//! untested, everything else is drilled, every planted fault is found, nothing is left.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use attestore::model::outcome::Outcome;
use attestore::signing::keys::VerifyingKey;
use attestore::testing_log::entry::Body;
use attestore::testing_log::verify::run::verify;
use attestore::testing_log::verify::verdict::VerifyOptions;
use serde_json::Value;

/// The demo in `folder`, on a machine where no database server is found.
fn demo(folder: &Path, kill_after: Option<u64>) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attestore"));
    command.args(["demo", "--dir", "demo", "--json"]).current_dir(folder).env("ATTESTORE_TEST_ENGINES", "");
    if let Some(n) = kill_after {
        command.env("ATTESTORE_TEST_KILL_AFTER", n.to_string());
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn summary(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(text.lines().last().unwrap_or_else(|| panic!("{}", said(output)))).unwrap()
}

#[test]
fn without_a_database_server_the_demo_says_so_and_drills_the_rest_through_a_stop_and_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("demo");
    let preparing = demo(folder.path(), None);
    while !dir.join("sandbox").exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let pid = rustix::process::Pid::from_raw(i32::try_from(preparing.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let stopped = preparing.wait_with_output().unwrap();
    assert_eq!(stopped.status.code(), Some(3), "{}", said(&stopped));
    assert_eq!((&summary(&stopped)["exit_code"], said(&stopped).contains("hint: ")), (&3.into(), true), "{}", said(&stopped));

    let killed = demo(folder.path(), Some(60)).wait_with_output().unwrap();
    assert_eq!(killed.status.code(), None, "{}", said(&killed));
    assert!(said(&killed).contains("preparing it anew"), "{}", said(&killed));

    let output = demo(folder.path(), None).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(!said(&output).contains("preparing"), "the estate was ready: {}", said(&output));
    let told = "neither PostgreSQL nor MariaDB is installed here";
    assert!(said(&output).contains(told), "{}", said(&output));
    let last = summary(&output);
    assert_eq!((&last["command"], &last["outcome"]), (&"demo".into(), &"pass".into()));
    assert_eq!((&last["found"], &last["unexpected"], &last["left_behind"]), (&last["planted"], &0.into(), &0.into()));
    assert!(last["planted"].as_u64().unwrap() >= 8, "{last}");

    let key = VerifyingKey::load_pem(&dir.join("log.pub.pem")).unwrap();
    let verdict = verify(&dir.join("log"), &key, &VerifyOptions::default()).unwrap();
    assert!(verdict.holds(), "{:?}", verdict.faults);
    let excluded: Vec<_> = verdict
        .entries
        .iter()
        .filter_map(|entry| match &entry.body {
            Body::PopulationCommitted(population) => Some(population.excluded.clone()),
            _ => None,
        })
        .flatten()
        .collect();
    let database = excluded.iter().find(|one| one.id.to_string().contains("crm-transactions"));
    assert!(database.is_some_and(|one| one.reason.contains("untested") && one.reason.contains("no database server")), "{excluded:?}");
    let sqlite = verdict.entries.iter().filter_map(|entry| match &entry.body {
        Body::PointResult(result) if result.resource.0 == "artist-directory" => Some(result.outcome),
        _ => None,
    });
    let sqlite: Vec<Outcome> = sqlite.collect();
    assert!(!sqlite.is_empty() && sqlite.iter().all(|outcome| *outcome == Outcome::Pass), "{sqlite:?}");
    let report = std::fs::read_to_string(dir.join("report.html")).unwrap();
    assert!(report.contains("crm-transactions") && report.contains("no database server"));

    // Whoever holds another drill in its folder finds the same again, and does not change what the demo found.
    let mut other = Command::new(env!("CARGO_BIN_EXE_attestore"));
    let other = other.args(["drill", "--config", "demo/attestore.toml", "--title", "Another"]).current_dir(folder.path());
    let other = other.env("ATTESTORE_TEST_ENGINES", "").output().unwrap();
    assert_eq!(other.status.code(), Some(1), "{}", said(&other));
    let verdict = verify(&dir.join("log"), &key, &VerifyOptions::default()).unwrap();
    assert!(verdict.holds() && verdict.drills.len() == 2, "{:?}", verdict.faults);

    // A finished demo is shown again.
    let again = demo(folder.path(), None).wait_with_output().unwrap();
    let score = |summary: &Value| ["planted", "found", "unexpected", "cases"].map(|name| summary[name].clone());
    assert_eq!((again.status.code(), score(&summary(&again))), (Some(0), score(&last)), "{}", said(&again));
}
