//! `attestore report`: one HTML file from a log that verified.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::{Map, json};

use crate::cli::console::Console;
use crate::cli::log::fault_json;
use crate::model::clock::Timestamp;
use crate::model::exit::ExitCode;
use crate::model::failure::Failure;
use crate::model::ids::DrillId;
use crate::report::publish::{Published, Report, Request, publish};
use crate::testing_log::verify::fault::Fault;

/// Arguments of `report`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  attestore report --log demo/log --key demo/log.pub.pem --out report.html\n\n\
    Exit codes: 0 the log verified and the report was written, whatever it says; 1 the log does not verify and nothing was written; 2 usage")]
pub struct ReportArgs {
    /// The log's directory
    #[arg(long, value_name = "DIR")]
    pub log: PathBuf,
    /// Your own copy of the log's public key (SPKI PEM), not the one beside the log
    #[arg(long, value_name = "PEM")]
    pub key: PathBuf,
    /// The HTML file to write; replaced only by a whole one
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// The last checkpoint of this log that you have seen: what lies before it is then proved not to have been rewritten
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,
    /// What counts as now, such as 2026-01-31T00:00:00Z: with it the same log gives the same bytes
    #[arg(long, value_name = "TIME")]
    pub as_of: Option<Timestamp>,
    /// The drill to show; the newest one without it
    #[arg(long, value_name = "ID")]
    pub drill: Option<String>,
}

/// Runs the command.
pub async fn run(args: ReportArgs, console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    let out = args.out.clone();
    let request = Request {
        log: args.log,
        key: args.key,
        out: args.out,
        checkpoint: args.checkpoint,
        as_of: args.as_of,
        drill: args.drill.as_deref().map(DrillId::from),
    };
    let published = tokio::task::spawn_blocking(move || publish(&request))
        .await
        .map_err(|_| Failure::invalid("rendering the report ended early"))??;
    Ok(match published {
        Published::Written(report) => written(&report, &out, console),
        Published::Refused(faults) => refused(&faults, console),
    })
}

fn written(report: &Report, out: &std::path::Path, console: &Console) -> ExitCode {
    let (model, standing) = (&report.model, &report.model.standing);
    console.say(format!("log        {} entries, {}", standing.size, standing.verdict));
    console.say(format!("verdict    {}", model.verdict.headline));
    console.say(format!("report     {}  {}", out.display(), report.digest));
    let mut more = Map::new();
    more.insert("out".into(), json!(out.display().to_string()));
    more.insert("digest".into(), json!(report.digest));
    more.insert("size_bytes".into(), json!(report.size_bytes));
    more.insert(
        "log".into(),
        json!({"origin": standing.origin, "size": standing.size, "root": standing.root, "verdict": standing.verdict}),
    );
    more.insert("drill".into(), json!(model.drill.as_ref().map(|drill| &drill.id)));
    more.insert("drill_outcome".into(), json!(model.verdict.outcome));
    console.summary("report", "pass", ExitCode::Proven, more);
    ExitCode::Proven
}

fn refused(faults: &[Fault], console: &Console) -> ExitCode {
    for fault in faults {
        console.say(format!("fault: {fault}"));
        console.object(&fault_json(fault));
    }
    console.say("error: the log does not verify, so no report was written\n\nhint: `attestore log verify` explains each fault by its name");
    let mut more = Map::new();
    more.insert("faults".into(), json!(faults.len()));
    console.summary("report", "fail", ExitCode::Findings, more);
    ExitCode::Findings
}
