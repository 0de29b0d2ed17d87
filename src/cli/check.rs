//! `attestore check SOURCE`: SQL checks against a database, outside of any drill.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::{Map, Value, json};

use crate::cli::console::Console;
use crate::cli::scan_args::ScanArgs;
use crate::cli::source::{Means, items_of};
use crate::model::check::{CheckOutcome, CheckResult, Severity};
use crate::model::exit::ExitCode;
use crate::model::failure::{Failure, FailureKind};
use crate::model::outcome::Outcome;
use crate::model::source_url::SourceUrl;
use crate::signing::hash_key::HashKey;
use crate::verify::items::scan::scan;
use crate::verify::manifest::reader::Manifest;
use crate::verify::sql::checks::demands::CheckDemands;
use crate::verify::sql::checks::header::{Check, nearest};
use crate::verify::sql::checks::names::known;
use crate::verify::sql::checks::pack::{Pack, names};
use crate::verify::sql::checks::runner;
use crate::verify::sql::connect::access::not_sql;
use crate::verify::sql::connect::errors::GIVE_RIGHTS;
use crate::verify::sql::items::{ENGINE, ItemsTable, MOST_BYTES};

/// Arguments of `check`.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  PGPASSWORD=… attestore check postgres://reader@db.example/crm --pack structure-postgres --pack bank --manifest manifests/crm\n\nOnly `pass` passes: 0 all passed (or one that is not critical warned), 1 a check failed, 3 one could not be run, had nothing to look at, or is critical and warned, as in a drill."
)]
pub struct CheckArgs {
    /// postgres://…, mysql://…, sqlite:PATH or dynamodb:TABLE; passwords come from PGPASSWORD or MYSQL_PWD
    #[arg(required_unless_present_any = ["list", "explain"])]
    source: Option<String>,
    /// A shipped pack by name, a .sql file, or a directory of them; the engine's structural pack where none is given
    #[arg(long = "pack", value_name = "NAME|PATH")]
    packs: Vec<String>,
    /// A manifest of the same database: its baselines are what `baseline-scalar` checks compare with
    #[arg(long, value_name = "DIR")]
    manifest: Option<PathBuf>,
    /// A CA bundle (PEM) that the server's certificate must lead to
    #[arg(long, value_name = "PEM")]
    tls_ca: Option<PathBuf>,
    /// The key that canaries in the manifest were digested with
    #[arg(long, value_name = "FILE")]
    hash_key: Option<PathBuf>,
    /// What a table or column of the packs is called here, such as accounts=acct or accounts.id=acct_no
    #[arg(long = "name", value_name = "NAME=OTHER", value_parser = name)]
    names: Vec<(String, String)>,
    /// How a DynamoDB table is scanned
    #[command(flatten)]
    scan: ScanArgs,
    /// List the checks of the packs (of all shipped ones, where none is given) and run nothing
    #[arg(long)]
    list: bool,
    /// Print one check, its contract and its statement, and run nothing
    #[arg(long, value_name = "ID")]
    explain: Option<String>,
}

/// Runs the command.
pub async fn run(args: CheckArgs, console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    if args.list || args.explain.is_some() {
        return Ok(tell(&args, console)?);
    }
    let source: SourceUrl = args.source.as_deref().unwrap_or_default().parse()?;
    let engine = match &source {
        SourceUrl::Postgres { .. } => "postgres",
        SourceUrl::Mysql { .. } => "mysql",
        SourceUrl::Sqlite { .. } => "sqlite",
        SourceUrl::Dynamodb { .. } | SourceUrl::DynamodbExport { .. } => return check_items(&source, args, console).await,
        other => return Err(not_sql(other).into()),
    };
    let packs = match &args.packs[..] {
        [] => vec![Pack::structure(engine)?],
        given => Pack::load_all(given.iter().map(String::as_str))?,
    };
    let demands = demands(&args, &packs)?;
    let access = Means { tls_ca: args.tls_ca.clone(), ..Means::default() }.access();
    args.scan.refuse(&source)?;
    let results = runner::run_with(&source, &access, &packs, &demands, console.as_ref()).await?;
    conclude(&source, engine, &results, console)
}

/// Checks over the items of a table or of an export: one scan lays them in SQLite.
async fn check_items(source: &SourceUrl, args: CheckArgs, console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    if args.packs.is_empty() {
        let failure = Failure::invalid(format!("{source}: a table of items has no structural pack"));
        return Err(failure.hint("name a pack of checks over items with --pack, such as audit-log-items").into());
    }
    let packs = Pack::load_all(args.packs.iter().map(String::as_str))?;
    let demands = demands(&args, &packs)?;
    let means = Means { scan: args.scan.clone(), ..Means::default() };
    let items = items_of(source, None, &means).await?;
    let Some((items, _)) = items else { return Err(not_sql(source).into()) };
    let mut table = ItemsTable::create(items.key_schema().await?, &packs, &demands.names, MOST_BYTES).await?;
    // Nothing is compared: the digests that a scan makes besides are made with no secret.
    let key = demands.hash_key.clone().unwrap_or_else(|| HashKey::from_bytes([0; 32]));
    let scanned = scan(&items, &args.scan.options()?, &key, Some(&mut table), console.as_ref()).await?;
    if let Some(failure) = scanned.cut_short.or_else(|| scanned.unreadable.into_iter().next().map(|one| one.failure)) {
        return Err(failure.context(format!("{source}: not every item was read, so nothing is said of it")).into());
    }
    let results = table.check(&packs, &demands, console.as_ref()).await?;
    conclude(source, ENGINE, &results, console)
}

fn conclude(source: &SourceUrl, engine: &str, results: &[CheckResult], console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    for result in results {
        console.object(&line(result)?);
        console.answer(runner::line(result));
        for row in &result.rows {
            let cells: Vec<String> = row.iter().map(|(name, value)| format!("{name}={}", value.escape_debug())).collect();
            console.answer(format!("              {}", cells.join(" ")));
        }
    }
    let outcome = outcome(results);
    let mut code = ExitCode::of_outcome(outcome);
    let denied: Vec<&str> = results.iter().filter(|result| result.denied).map(|result| result.id.as_str()).collect();
    if !denied.is_empty() {
        let said = format!("{source}: the reader may not see what these checks look at: {}", denied.join(", "));
        let failure = Failure::new(FailureKind::Denied, said).hint(GIVE_RIGHTS);
        code = code.and(failure.kind.exit_code());
        console.failure(&failure);
    }
    if results.is_empty() {
        console.say(format!("no check of the packs is for {engine}: nothing was proved"));
    }
    console.summary("check", outcome.as_str(), code, totals(results));
    let run = results.iter().filter(|result| result.counts()).count();
    let apart = match results.len() - run {
        0 => String::new(),
        n => format!(", {n} more do not apply"),
    };
    console.say(format!("{source}: {outcome}, {run} checks{apart}"));
    Ok(code)
}

/// Baselines, names and the key of canaries; another key than the manifest's would find a mismatch in every canary.
fn demands(args: &CheckArgs, packs: &[Pack]) -> Result<CheckDemands, Failure> {
    let names = args.names.iter().cloned().collect();
    known(&names, packs)?;
    let hash_key = args.hash_key.as_deref().map(HashKey::load).transpose()?;
    let mut demands = CheckDemands::default();
    if let Some(dir) = &args.manifest {
        let manifest = Manifest::open(dir)?;
        let header = manifest.header();
        if let (Some(key), Some(expected)) = (&hash_key, &header.hash_key_id)
            && key.id() != *expected
        {
            return Err(Failure::invalid(format!("the manifest was digested with hash key {expected}, found {}", key.id()))
                .hint("name the hash key that it was captured with"));
        }
        demands = CheckDemands::of_manifest(header);
    }
    Ok(CheckDemands { names, hash_key, ..demands })
}

fn name(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, other)) if !name.is_empty() && !other.is_empty() => Ok((name.to_owned(), other.to_owned())),
        _ => Err("expected NAME=OTHER, such as accounts=acct or accounts.id=acct_no".into()),
    }
}

/// `fail` wins over what could not be run; a minor or major failure is a failure all the same: this command has no policy to tolerate it. A
/// critical check that warned has not passed, and nothing else does of a critical one (`contracts.md`): a drill calls that inconclusive.
fn outcome(results: &[CheckResult]) -> Outcome {
    Outcome::of_all(results.iter().filter(|result| result.counts()).map(|result| match result.result {
        CheckOutcome::Pass => Outcome::Pass,
        CheckOutcome::Warn if result.severity == Severity::Critical => Outcome::Inconclusive,
        CheckOutcome::Warn => Outcome::PassWithException,
        CheckOutcome::Fail => Outcome::Fail,
        CheckOutcome::Error => Outcome::Error,
        CheckOutcome::Vacuous => Outcome::Inconclusive,
        CheckOutcome::Untested => Outcome::Untested,
    }))
}

fn line(result: &CheckResult) -> Result<Value, Failure> {
    let mut value = serde_json::to_value(result).map_err(|error| Failure::invalid(format!("check {}: {error}", result.id)))?;
    if let Value::Object(members) = &mut value {
        members.insert("event".into(), json!("check"));
        let rows: Vec<Map<String, Value>> =
            result.rows.iter().map(|row| row.iter().map(|(name, cell)| (name.clone(), json!(cell))).collect()).collect();
        members.insert("rows".into(), json!(rows));
    }
    Ok(value)
}

fn totals(results: &[CheckResult]) -> Map<String, Value> {
    let count = |wanted: CheckOutcome| results.iter().filter(|result| result.counts() && result.result == wanted).count();
    let checks = json!({
        "pass": count(CheckOutcome::Pass), "warn": count(CheckOutcome::Warn), "fail": count(CheckOutcome::Fail),
        "error": count(CheckOutcome::Error), "vacuous": count(CheckOutcome::Vacuous), "untested": count(CheckOutcome::Untested),
        "not_applicable": results.iter().filter(|result| !result.counts()).count(),
    });
    Map::from_iter([("checks".to_owned(), checks)])
}

fn tell(args: &CheckArgs, console: &Console) -> Result<ExitCode, Failure> {
    let wanted: Vec<String> = if args.packs.is_empty() { names().into_iter().map(str::to_owned).collect() } else { args.packs.clone() };
    let packs = Pack::load_all(wanted.iter().map(String::as_str))?;
    let all: Vec<&Check> = packs.iter().flat_map(|pack| &pack.checks).collect();
    if let Some(id) = &args.explain {
        let ids: Vec<&str> = all.iter().map(|check| check.id.as_str()).collect();
        let check = all.iter().find(|check| check.id == *id).ok_or_else(|| {
            Failure::invalid(format!("no check `{}`{}", id.escape_debug(), nearest(id, &ids))).hint("`attestore check --list` lists them")
        })?;
        console.answer(explained(check));
        console.object(&described(check));
    } else {
        for pack in &packs {
            console.answer(format!("{}  {}", pack.name, pack.about));
            for check in &pack.checks {
                console.answer(format!("  {:<38} {:<9} {}", check.id, severity(check.severity), check.title));
                console.object(&described(check));
            }
        }
    }
    console.summary("check", "pass", ExitCode::Proven, Map::new());
    Ok(ExitCode::Proven)
}

fn described(check: &Check) -> Value {
    json!({
        "event": "check-description", "id": check.id, "title": check.title, "engines": check.engines, "requires": check.requires,
        "kind": check.kind.as_str(), "severity": check.severity, "error_if": check.error_if.text(), "sql_digest": check.digest,
        "controls": check.controls,
    })
}

fn explained(check: &Check) -> String {
    let mut lines = vec![
        format!("{}: {}", check.id, check.title),
        format!("  engines    {}", check.engines.join(", ")),
        format!("  kind       {}, fails if {}", check.kind.as_str(), check.error_if.text()),
        format!("  severity   {}", severity(check.severity)),
        format!("  timeout    {} s", check.timeout.as_secs()),
        format!("  digest     {}", check.digest),
    ];
    let mut list = |name: &str, values: &[String]| {
        if !values.is_empty() {
            lines.push(format!("  {name:<10} {}", values.join(", ")));
        }
    };
    list("requires", &check.requires);
    let columns: Vec<String> = check.columns.iter().map(|(table, column)| format!("{table}.{column}")).collect();
    list("columns", &columns);
    list("functions", &check.requires_functions);
    list("shows", &check.show);
    list("controls", &check.controls);
    lines.push(String::new());
    lines.push(check.sql.trim().to_owned());
    lines.join("\n")
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::Major => "major",
        Severity::Minor => "minor",
    }
}
