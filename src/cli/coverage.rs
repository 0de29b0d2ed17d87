//! `attestore verify --coverage`: what the runs with one state directory have read, and when. It says nothing of what was found.

use std::path::Path;

use serde_json::{Map, json};

use crate::cli::console::Console;
use crate::cli::source::shown;
use crate::cli::words::bytes_text;
use crate::model::exit::ExitCode;
use crate::model::outcome::Outcome;
use crate::model::verification::Progress;
use crate::verify::manifest::reader::Manifest;
use crate::verify::objects::ledger::coverage::{Coverage, coverage};
use crate::verify::objects::ledger::state::{Run, State};

/// Runs that are shown to people.
const RUNS_SHOWN: usize = 10;

/// Shows the coverage of `manifest` that the state in `dir` has.
pub fn show(dir: &Path, manifest: &Manifest, console: &Console) -> anyhow::Result<ExitCode> {
    let (state, coverage) = coverage(dir, manifest)?;
    let all = coverage.objects_expected > 0 && coverage.objects_covered == coverage.objects_expected;
    let (outcome, exit) = if all { (Outcome::Pass, ExitCode::Proven) } else { (Outcome::Inconclusive, ExitCode::Incomplete) };
    console.answer(board(dir, &state, &coverage));
    let mut more = Map::new();
    more.insert("source".into(), json!(state.purpose.source));
    more.insert("manifest".into(), json!(manifest.digest()));
    more.insert("pass".into(), json!(state.pass));
    more.insert("pass_started".into(), json!(state.pass_started));
    more.insert("complete".into(), json!(state.complete));
    more.insert(
        "coverage".into(),
        json!({
            "objects_expected": coverage.objects_expected,
            "objects_covered": coverage.objects_covered,
            "objects_read_in_earlier_passes": coverage.objects_earlier,
            "objects_never_read": coverage.objects_never,
            "bytes_expected": coverage.bytes_expected,
            "bytes_covered": coverage.bytes_covered,
            "oldest_reading": coverage.oldest,
            "newest_reading": coverage.newest,
        }),
    );
    more.insert("runs".into(), json!(state.runs));
    console.summary("verify --coverage", outcome.as_str(), exit, more);
    Ok(exit)
}

fn board(dir: &Path, state: &State, coverage: &Coverage) -> String {
    let percent = 100.0 * coverage.objects_covered as f64 / coverage.objects_expected.max(1) as f64;
    let ended = if state.complete { "complete" } else { "not complete" };
    let mut lines = vec![
        format!("state      {}", shown(dir)),
        format!("source     {}", state.purpose.source),
        format!("pass       {}, begun {}, {ended}", state.pass, state.pass_started),
        format!(
            "covered    {} of {} objects ({percent:.1} %), {} of {}",
            coverage.objects_covered,
            coverage.objects_expected,
            bytes_text(coverage.bytes_covered),
            bytes_text(coverage.bytes_expected)
        ),
        format!("earlier    {} read in an earlier pass only, {} never read", coverage.objects_earlier, coverage.objects_never),
    ];
    if let (Some(oldest), Some(newest)) = (coverage.oldest, coverage.newest) {
        lines.push(format!("read       from {oldest} to {newest}"));
    }
    let hidden = state.runs.len().saturating_sub(RUNS_SHOWN);
    if hidden > 0 {
        lines.push(format!("           {hidden} older runs"));
    }
    lines.extend(state.runs.iter().skip(hidden).map(run_line));
    lines.join("\n")
}

fn run_line(run: &Run) -> String {
    let ended = match run.ended {
        None => "was killed, or is still at work".to_owned(),
        Some(ended) if run.complete => format!("ended {ended} with everything read"),
        Some(ended) => format!("ended {ended}"),
    };
    format!("run        pass {}, {} to: {ended}; {} objects, {}", run.pass, run.started, run.objects_read, bytes_text(run.bytes_read))
}

/// One line on the pass that a run belongs to.
pub fn pass_text(progress: &Progress) -> String {
    let recalled = match progress.objects_recalled {
        0 => String::new(),
        n => format!("; {n} objects ({}) were read by earlier runs", bytes_text(progress.bytes_recalled)),
    };
    let ended = if progress.complete { "complete" } else { "not complete: run the same command again" };
    format!("{} begun {}, run {}, {ended}{recalled}", progress.pass, progress.pass_started, progress.runs)
}
