//! `attestore log verify` and `attestore log show`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::cli::console::Console;
use crate::cli::words::plain;
use crate::model::clock::Timestamp;
use crate::model::exit::ExitCode;
use crate::model::failure::Failure;
use crate::model::outcome::Outcome;
use crate::signing::keys::VerifyingKey;
use crate::testing_log::entry::{Body, Entry};
use crate::testing_log::store::LogDir;
use crate::testing_log::verify::fault::Fault;
use crate::testing_log::verify::run::verify;
use crate::testing_log::verify::verdict::{Anchor, DrillEnd, DrillState, Verdict, VerifyOptions};

/// Arguments of `log`.
#[derive(Args, Debug)]
pub struct LogArgs {
    /// What to do with the log
    #[command(subcommand)]
    command: LogCommand,
}

#[derive(Subcommand, Debug)]
enum LogCommand {
    /// Verify every entry, checkpoint, signature, draw, count and outcome of a testing log
    Verify(VerifyLogArgs),
    /// Print the entries of a testing log
    Show(ShowArgs),
}

/// Arguments of `log verify`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  attestore log verify ./log --key log.pub.pem\n  attestore log verify ./log --key log.pub.pem --checkpoint last-audit/00000041 --as-of 2026-03-31T00:00:00Z\n\nWithout --checkpoint the best verdict is `self-consistent`: whoever holds the key could have cut the log at an old checkpoint and grown it again. With the last checkpoint that you saw yourself it is `anchored-to TIME`."
)]
struct VerifyLogArgs {
    /// The log's directory
    log: PathBuf,
    /// Your own copy of the log's public key (SPKI PEM); not the one beside the log
    #[arg(long, value_name = "PEM")]
    key: PathBuf,
    /// The last checkpoint of this log that you saw: a file of its checkpoints/ as you kept it
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// What "now" is for overdue drills, such as 2026-03-31T00:00:00Z; default: the clock
    #[arg(long, value_name = "TIME")]
    as_of: Option<Timestamp>,
}

/// Arguments of `log show`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  attestore log show ./log --key log.pub.pem\n  attestore log show ./log --kind rp.result\n  attestore log show ./log --leaf 7\n\nWithout --key nothing is verified: the outcome is `untested` and the exit code 3, whatever was printed."
)]
struct ShowArgs {
    /// The log's directory
    log: PathBuf,
    /// Verify the log first, with your own copy of its public key (SPKI PEM)
    #[arg(long, value_name = "PEM")]
    key: Option<PathBuf>,
    /// Only this entry, whole
    #[arg(long, value_name = "N")]
    leaf: Option<u64>,
    /// Only entries of this kind, such as rp.result
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
}

impl LogArgs {
    /// The command as typed.
    pub fn name(&self) -> &'static str {
        match self.command {
            LogCommand::Verify(_) => "log verify",
            LogCommand::Show(_) => "log show",
        }
    }
}

/// Runs the command.
pub async fn run(args: LogArgs, console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    match args.command {
        LogCommand::Verify(args) => run_verify(&args, console),
        LogCommand::Show(args) => run_show(&args, console),
    }
}

fn run_verify(args: &VerifyLogArgs, console: &Console) -> anyhow::Result<ExitCode> {
    let key = VerifyingKey::load_pem(&args.key)?;
    let checkpoint = args.checkpoint.as_deref().map(read_checkpoint).transpose()?;
    let verdict = verify(&args.log, &key, &VerifyOptions { checkpoint, as_of: args.as_of })?;
    for fault in &verdict.faults {
        console.object(&fault_json(fault));
        console.answer(plain(&format!("FAULT {fault}")));
    }
    for drill in &verdict.drills {
        console.object(&drill_json(drill));
        console.answer(drill_line(drill));
    }
    for digest in &verdict.withheld {
        console.object(&json!({"event": "withheld", "evidence": digest}));
        console.answer(format!("withheld {digest}"));
    }
    for unheld in &verdict.unheld {
        console.object(&json!({"event": "unheld", "leaf": unheld.leaf, "message": unheld.message}));
        console.answer(plain(&format!("not held {unheld}")));
    }
    console.answer(verdict_text(&verdict));
    let exit = if verdict.holds() { ExitCode::Proven } else { ExitCode::Findings };
    console.summary("log verify", if verdict.holds() { "pass" } else { "fail" }, exit, summary_of(&verdict));
    Ok(exit)
}

/// A fault as one object, the same for every command that names faults.
pub fn fault_json(fault: &Fault) -> Value {
    json!({"event": "fault", "name": fault.rule.as_str(), "leaf": fault.leaf, "message": fault.message})
}

fn run_show(args: &ShowArgs, console: &Console) -> anyhow::Result<ExitCode> {
    if let Some(kind) = &args.kind
        && !Body::KINDS.contains(&kind.as_str())
    {
        let message = format!("--kind {kind}: expected one of {}", Body::KINDS.join(", "));
        return Err(Failure::invalid(message).into());
    }
    let verdict = match &args.key {
        Some(path) => Some(verify(&args.log, &VerifyingKey::load_pem(path)?, &VerifyOptions::default())?),
        None => None,
    };
    let dir = LogDir::open(&args.log)?;
    let mut shown = 0u64;
    for entry in dir.entries()? {
        let entry = entry?;
        let wanted = args.leaf.is_none_or(|leaf| leaf == entry.seq) && args.kind.as_deref().is_none_or(|kind| kind == entry.body.kind());
        if wanted {
            shown += 1;
            show(&entry, args.leaf.is_some(), console)?;
        }
    }
    if shown == 0
        && let Some(leaf) = args.leaf
    {
        return Err(Failure::invalid(format!("the log {} has no entry {leaf} of the kind asked for", args.log.display())).into());
    }
    let (word, outcome, exit) = match &verdict {
        Some(verdict) if verdict.holds() => (verdict.word(), Outcome::Pass, ExitCode::Proven),
        Some(verdict) => (verdict.word(), Outcome::Fail, ExitCode::Findings),
        // Entries that nobody has held to a signature prove nothing, however well they read.
        None => ("unverified".to_owned(), Outcome::Untested, ExitCode::Incomplete),
    };
    match &verdict {
        Some(verdict) if !verdict.holds() => {
            console.say(format!("this log does not verify: {} faults; `attestore log verify` names them", verdict.faults.len()));
        }
        Some(_) => console.say(format!("{shown} entries; the log is {word}")),
        None => console.say(format!(
            "{shown} entries; NOT VERIFIED, anybody may have written them: give --key with your own copy of the log's public key"
        )),
    }
    let more = Map::from_iter([("entries".to_owned(), json!(shown)), ("log".to_owned(), json!(word))]);
    console.summary("log show", outcome.as_str(), exit, more);
    Ok(exit)
}

fn show(entry: &Entry, whole: bool, console: &Console) -> anyhow::Result<()> {
    console.object(&json!({"event": "entry", "leaf": entry.seq, "leaf_hash": entry.hash, "entry": entry.value()}));
    if whole {
        console.answer(serde_json::to_string_pretty(&entry.value())?);
        console.answer(format!("leaf hash {}", entry.hash));
    } else {
        console.answer(format!("{:>6}  {}  {:<22} {}", entry.seq, entry.at, entry.body.kind(), plain(&gist(&entry.body))));
    }
    Ok(())
}

/// What an entry says, in a few words.
fn gist(body: &Body) -> String {
    match body {
        Body::Genesis(genesis) => genesis.verifier_key.clone(),
        Body::PolicySet(policy) => format!("{} classes, configuration {}", policy.classes.len(), policy.config),
        Body::ManifestRegistered(manifest) => format!("{} ({}, until {})", manifest.resource, manifest.mode, manifest.captured_end),
        Body::ListPage(page) => format!("{} rows of {} for {}", page.rows.len(), page.list, page.kind),
        Body::PopulationCommitted(population) => format!(
            "{}: {} points, {} left out, {} strata",
            population.drill_id,
            population.population.len(),
            population.excluded.len(),
            population.strata.len()
        ),
        Body::DrillPlanned(plan) => format!("{}: {} cases, {}", plan.drill_id, plan.cases.len(), plan.title),
        Body::DrillStarted(started) => started.drill_id.to_string(),
        Body::PointResult(result) => {
            let reasons =
                if result.outcome_reasons.is_empty() { String::new() } else { format!(": {}", result.outcome_reasons.join("; ")) };
            format!("{} {} {}{reasons}", result.case, result.resource, result.outcome)
        }
        Body::DrillClosed(closed) => format!("{}: {}, {} cases", closed.drill_id, closed.outcome, closed.planned),
        Body::DrillAborted(aborted) => format!("{}: {}", aborted.drill_id, aborted.reason),
        Body::SignOff(signoff) => format!("{} by {}", signoff.drill_id, signoff.reviewer),
        Body::RemediationOpened(r) | Body::RemediationUpdated(r) | Body::RemediationClosed(r) => {
            format!("{} ({}): {}", r.id, r.owner, r.text)
        }
        Body::Correction(correction) => format!("of entry {}: {}", correction.leaf, correction.text),
        Body::KeyRotated(rotated) => rotated.reason.clone(),
        Body::Heartbeat(beat) => beat.note.clone().unwrap_or_default(),
        Body::Unknown { .. } => "a kind that this version does not know".to_owned(),
    }
}

fn read_checkpoint(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        Failure::invalid(format!("checkpoint {}: expected a signed note, found that it cannot be read: {error}", path.display()))
            .hint("give a file of the log's checkpoints/ directory as it was kept at the last audit")
    })
}

fn verdict_text(verdict: &Verdict) -> String {
    let mut text =
        format!("{} has {} entries and {} checkpoints, root {}\n", verdict.origin, verdict.size, verdict.checkpoints.len(), verdict.root);
    if verdict.sealed < verdict.size {
        text += &format!(
            "entries from {} on are not under a checkpoint yet; the log's key vouches for each or a fault says so\n",
            verdict.sealed
        );
    }
    if !verdict.holds() {
        return text + &format!("the log does not verify: {} faults, as of {}", verdict.faults.len(), verdict.as_of);
    }
    text += &format!("the log is {} as of {}", verdict.anchor, verdict.as_of);
    if verdict.anchor == Anchor::SelfConsistent {
        text += "\nkeep its last checkpoint; given with --checkpoint the next time, it proves that nothing before it was changed or cut";
    }
    text
}

fn summary_of(verdict: &Verdict) -> Map<String, Value> {
    let mut more = Map::new();
    more.insert("log".into(), json!(verdict.word()));
    more.insert("origin".into(), json!(verdict.origin));
    more.insert("entries".into(), json!(verdict.size));
    more.insert("sealed".into(), json!(verdict.sealed));
    more.insert("checkpoints".into(), json!(verdict.checkpoints.len()));
    more.insert("root".into(), json!(verdict.root));
    more.insert("as_of".into(), json!(verdict.as_of));
    more.insert("faults".into(), json!(verdict.faults.len()));
    more.insert("drills".into(), json!(verdict.drills.len()));
    more.insert(
        "evidence".into(),
        json!({"present": verdict.evidence, "withheld": verdict.withheld.len(), "unheld": verdict.unheld.len()}),
    );
    more
}

fn drill_json(drill: &DrillState) -> Value {
    json!({"event": "drill", "drill_id": drill.drill_id, "drill_seq": drill.drill_seq, "state": state_word(drill), "late": drill.late,
        "counts_as": drill.counts_as(), "deadline_at": drill.deadline_at})
}

fn drill_line(drill: &DrillState) -> String {
    let late = if drill.late { ", after its deadline: counts as failed" } else { "" };
    plain(&format!("drill {} {}: {}{late}", drill.drill_seq, drill.drill_id, state_word(drill)))
}

fn state_word(drill: &DrillState) -> String {
    match drill.end {
        DrillEnd::Open => "open".to_owned(),
        DrillEnd::Overdue => "overdue".to_owned(),
        DrillEnd::Aborted => "aborted".to_owned(),
        DrillEnd::Closed(outcome) => format!("closed, {outcome}"),
    }
}
