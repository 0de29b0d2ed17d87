//! Ctrl-C and SIGTERM: once ends at a safe place, twice ends at once; journal and log stay whole, and the drill goes on later.

use std::process::{Command, Output, Stdio};

use attestore::restore::journal::Journal;
use attestore::restore::records::{Phase, Step};
use attestore::restore::steps::{CaseFacts, StepState};
use attestore::sandbox::control::faults::RestoreFault;
use rustix::process::{Pid, Signal, kill_process};

use crate::aws::estate::{Laying, leftovers};
use crate::aws::kills::nothing_is_left;
use crate::clients::{start, until};
use crate::drill_estate::Estate;

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stderr[..], &output.stdout[..]].concat()).into_owned()
}

/// Once one case is taken down and the restore of another was accepted, by a copy of the journal of a drill that runs.
fn half_way(estate: &Estate) -> Option<()> {
    let copy = tempfile::tempdir().unwrap();
    for name in ["attestore.journal", "attestore.journal-wal"] {
        std::fs::copy(estate.path(name), copy.path().join(name)).ok()?;
    }
    // Copied while it was written to, it may not open: the next copy will.
    let state = Journal::open(&copy.path().join("attestore.journal")).ok()?.state();
    let cases: Vec<&CaseFacts> = state.unfinished().first()?.cases.values().collect();
    let over = |case: &&&CaseFacts| case.phases.contains_key(&Phase::TornDown);
    let waits = |case: &&&CaseFacts| !over(case) && case.steps.get(&Step::Restore).is_some_and(|restore| restore.state == StepState::Done);
    (cases.iter().filter(over).count() == 1 && cases.iter().filter(waits).count() == 1).then_some(())
}

/// Sends `signals` to a drill that waits for a job; it ends with `code`, and a resumed one passes.
async fn stopped(signals: &[Signal], code: i32) {
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    let points = laying.bucket(2).await;
    laying.running.control().faults().on_restore(&points[0], RestoreFault::Hangs).unwrap();
    let estate = laying.end().await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_attestore"));
    command.args(["drill", "--json"]).current_dir(&estate.folder).stdout(Stdio::piped()).stderr(Stdio::piped());
    let drill = command.spawn().unwrap();
    until("one case is over, and the other one waits for its job", async || half_way(&estate)).await;
    let pid = Pid::from_raw(i32::try_from(drill.id()).unwrap()).unwrap();
    for signal in signals {
        kill_process(pid, *signal).unwrap();
    }
    let output = drill.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{signals:?}: {}", said(&output));
    let last = String::from_utf8_lossy(&output.stdout).lines().last().map(str::to_owned).unwrap_or_default();
    let last: serde_json::Value = serde_json::from_str(&last).unwrap();
    assert_eq!((&last["event"], &last["exit_code"], &last["command"]), (&"summary".into(), &code.into(), &"drill".into()), "{last}");
    if code == 3 {
        assert!(said(&output).contains("--resume d"), "{}", said(&output));
    }
    assert!(Journal::open(&estate.path("attestore.journal")).unwrap().state().unfinished().len() == 1);
    assert!(estate.verdict().holds(), "{:?}", estate.verdict().faults);
    assert_eq!(leftovers(&estate).await.len(), 1, "what was restored stands until the drill goes on");

    let (running, _) = start(&estate.path("sandbox")).await;
    running.control().faults().clear().unwrap();
    running.stop().await.unwrap();
    // The same job is followed to its end; nothing is asked for again.
    let resumed = estate.run(&["drill", "--resume"], None);
    assert_eq!(resumed.status.code(), Some(0), "{}", said(&resumed));
    assert!(estate.results().iter().all(|result| result.restore.as_ref().is_some_and(|restore| restore.attempts == 1)));
    nothing_is_left(&estate, "resumed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_at_a_safe_place_and_the_drill_goes_on_later() {
    stopped(&[Signal::INT], 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_at_a_safe_place_too() {
    stopped(&[Signal::TERM], 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_at_once_and_the_drill_goes_on_later() {
    // Two of the same kind could reach the process as one.
    stopped(&[Signal::INT, Signal::TERM], 130).await;
}

/// A job that never ends will make what nobody looks for any more: a sweep names it, and one that waits for it says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_names_the_job_that_has_not_ended() {
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    let points = laying.table().await;
    laying.running.control().faults().on_restore(&points[0], RestoreFault::Hangs).unwrap();
    let estate = laying.end().await;
    let drilled = estate.run(&["drill", "--case-deadline", "3s", "--teardown-deadline", "2s"], None);
    assert_eq!(drilled.status.code(), Some(6), "{}", said(&drilled));
    let looked = estate.run(&["sweep"], None);
    let told = String::from_utf8_lossy(&looked.stdout).into_owned();
    assert_eq!(looked.status.code(), Some(6), "{told}");
    assert!(told.contains("restore job") && told.contains("is RUNNING"), "{told}");
    let waited = estate.run(&["sweep", "--apply", "--teardown-deadline", "2s"], None);
    assert_eq!(waited.status.code(), Some(6), "{}", said(&waited));
    assert!(said(&waited).contains("it is waited for, at most 2 s"), "{}", said(&waited));
    let (running, _) = start(&estate.path("sandbox")).await;
    running.control().faults().clear().unwrap();
    running.stop().await.unwrap();
    let swept = estate.run(&["sweep", "--apply"], None);
    assert_eq!(swept.status.code(), Some(0), "{} {}", String::from_utf8_lossy(&swept.stdout), said(&swept));
    nothing_is_left(&estate, "swept").await;
}
