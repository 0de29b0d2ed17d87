//! `attestore plan`

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::{Map, json};

use crate::cli::console::Console;
use crate::cli::{scorecard, session, words};
use crate::drill::context::Setup;
use crate::drill::effort::Effort;
use crate::drill::plan::{Basis, Plan};
use crate::estate::load;
use crate::model::exit::ExitCode;
use crate::monitor::Monitor;

/// Arguments of `plan`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  attestore plan --config attestore.toml\n\nLists and counts; commits nothing and never draws: a draw that can be \
                        repeated is a draw that can be chosen."
)]
pub struct PlanArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "attestore.toml", env = "ATTESTORE_CONFIG")]
    pub config: PathBuf,
}

/// Runs the command.
pub async fn run(args: PlanArgs, console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    let loaded = load::load(&args.config)?;
    let reach = session::open(&loaded).await?;
    let monitor: Arc<dyn Monitor> = console.clone();
    let setup = Setup { loaded, clouds: reach.clouds.clone(), monitor, actor: "attestore plan".to_owned() };
    let plan = crate::drill::plan::plan(&setup).await;
    reach.close().await;
    let plan = plan?;
    tell(&plan, console);
    objects(&plan, console);
    let failed = plan.failures.iter().map(|(_, failure)| scorecard::of_kind(failure.kind)).fold(ExitCode::Proven, ExitCode::and);
    let code = if plan.candidates.is_empty() { failed.and(ExitCode::Incomplete) } else { failed };
    let mut more = Map::new();
    more.insert("population".into(), json!(plan.candidates.len()));
    more.insert("excluded".into(), json!(plan.excluded.len()));
    more.insert("cases_at_least".into(), json!(plan.cases.0));
    more.insert("cases_at_most".into(), json!(plan.cases.1));
    more.insert("bytes_at_most".into(), json!(plan.effort.restored_bytes));
    more.insert("effort_at_most".into(), json!(plan.effort));
    console.summary("plan", if code == ExitCode::Proven { "pass" } else { "inconclusive" }, code, more);
    Ok(code)
}

fn basis(basis: Basis) -> &'static str {
    match basis {
        Basis::Named => "its own manifest",
        Basis::Bounded => "a manifest of another moment, bounded",
        Basis::FirstRestore => "none: first restore",
        Basis::Invariants => "none: SQL checks alone",
        Basis::Untested => "none: would stay untested",
    }
}

fn tell(plan: &Plan, console: &Console) {
    console.answer(format!("population: {} recovery points", plan.candidates.len()));
    for one in &plan.candidates {
        let size = one.point.size_bytes.map_or_else(|| "size unknown".to_owned(), scorecard::bytes);
        console.answer(format!(
            "  {}  {}  {}  {size}  by {}  against {}",
            one.point.id,
            one.point.resource,
            one.point.created_at,
            one.mechanism,
            basis(one.basis)
        ));
    }
    for one in &plan.excluded {
        console.answer(format!("left out: {}: {}", words::said(&one.id), words::said(&one.reason)));
    }
    for (resource, failure) in &plan.failures {
        console.answer(format!("not listed: {resource}: {}", words::said(&failure.to_string())));
    }
    for stratum in &plan.strata {
        console.answer(format!("class {}: {} of {} would be drawn", stratum.name, stratum.sample, stratum.size));
    }
    for targeted in &plan.targeted {
        console.answer(format!("by rule: {}: {}", targeted.id, targeted.reason));
    }
    let cases = if plan.cases.0 == plan.cases.1 { plan.cases.0.to_string() } else { format!("{} to {}", plan.cases.0, plan.cases.1) };
    console.answer(format!("cases: {cases}; at most {} restored", scorecard::bytes(plan.effort.restored_bytes)));
    console.answer(takes(&plan.effort));
    let in_aws = plan.candidates.iter().any(|one| one.point.from != crate::model::resource::PointSource::Local);
    console.answer(if in_aws {
        "cost: that, at your prices: AWS charges restores by the GB, restored instances by the hour, requests by the thousand; prices are not included"
    } else {
        "cost: none beside this machine's disk and time"
    });
    if !plan.permissions.is_empty() {
        let list: Vec<&str> = plan.permissions.iter().copied().collect();
        console.answer(format!("permissions: {}", list.join(" ")));
    }
}

/// What the drill would take, without prices; what is not known is said to be unknown.
fn takes(effort: &Effort) -> String {
    let mut parts = vec![format!("{} read back", scorecard::bytes(effort.read_bytes))];
    let mut add = |n: u64, words: &str| {
        if n > 0 {
            parts.push(format!("{n} {words}"));
        }
    };
    add(effort.s3_requests, "requests to S3 or more");
    add(effort.read_capacity_units, "read capacity units of table scans");
    add(effort.instances, "database instances, each for the time of its case");
    add(effort.unknown_sizes, "points of unknown size");
    add(effort.unknown_objects, "points in S3 with an unknown number of objects");
    format!("takes at most: {}", parts.join(", "))
}

fn objects(plan: &Plan, console: &Console) {
    for one in &plan.candidates {
        console.object(&json!({"event": "point", "id": one.point.id, "resource": one.point.resource, "created_at": one.point.created_at,
            "size_bytes": one.point.size_bytes, "mechanism": one.mechanism, "against": basis(one.basis)}));
    }
    for one in &plan.excluded {
        console.object(&json!({"event": "excluded", "id": one.id, "reason": one.reason}));
    }
    for one in &plan.strata {
        console.object(&json!({"event": "stratum", "name": one.name, "size": one.size, "sample": one.sample}));
    }
    for one in &plan.targeted {
        console.object(&json!({"event": "targeted", "id": one.id, "reason": one.reason}));
    }
}
