//! `attestore drill`

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde_json::{Map, json};

use crate::cli::console::Console;
use crate::cli::{scorecard, session, words};
use crate::drill::abandon;
use crate::drill::context::Setup;
use crate::drill::run::{AT_ONCE, Begin, Report, Request};
use crate::estate::config::Span;
use crate::estate::load::{self, Loaded};
use crate::model::exit::ExitCode;
use crate::model::failure::Failure;
use crate::model::ids::DrillId;
use crate::monitor::Monitor;
use crate::testing_log::body::Trigger;

/// Characters of a title.
const LONGEST_TITLE: usize = 200;

/// Arguments of `drill`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  attestore drill --config attestore.toml --trigger scheduled --title \"Q3 restore test\"\n  \
                        attestore drill --resume\n\nA drill that was stopped or killed goes on with --resume: nothing is restored or read twice.")]
pub struct DrillArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "attestore.toml", env = "ATTESTORE_CONFIG")]
    pub config: PathBuf,
    /// Go on with the unfinished drill, or with the one of this id
    #[arg(long, value_name = "ID", num_args = 0..=1, default_missing_value = "")]
    pub resume: Option<String>,
    /// Give up the unfinished drill, or the one of this id: it is taken down, and counts as failed
    #[arg(long, value_name = "ID", num_args = 0..=1, default_missing_value = "", conflicts_with = "resume")]
    pub abandon: Option<String>,
    /// Why the drill is held
    #[arg(long, value_enum, default_value = "manual")]
    pub trigger: TriggerArg,
    /// A title for the log and the report
    #[arg(long, value_name = "TEXT", value_parser = title)]
    pub title: Option<String>,
    /// How many cases run at once
    #[arg(long, value_name = "N", default_value_t = AT_ONCE, value_parser = at_once)]
    pub at_once: usize,
    /// How long one restore may take, such as 90s, 30m, 12h
    #[arg(long, value_name = "TIME", default_value = "12h", value_parser = span)]
    pub case_deadline: u64,
    /// How long one deletion may take, such as 5m, 1h
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = span)]
    pub teardown_deadline: u64,
}

/// `--trigger`
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum TriggerArg {
    /// By the calendar
    Scheduled,
    /// By hand
    Manual,
    /// After an incident
    Incident,
    /// After a finding was mended
    Retest,
}

fn at_once(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 1..=32) => Ok(n),
        _ => Err("expected a number from 1 to 32".to_owned()),
    }
}

pub fn span(text: &str) -> Result<u64, String> {
    Span::try_from(text.to_owned())?.seconds().ok_or_else(|| "a drill without a deadline would never end".to_owned())
}

/// Runs the command.
pub async fn run(args: DrillArgs, console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    let loaded = load::load(&args.config)?;
    if let Some(id) = args.abandon {
        return give_up(&loaded, (!id.is_empty()).then_some(DrillId(id)), console).await;
    }
    let request = Request {
        begin: match args.resume {
            None => Begin::New,
            Some(id) if id.is_empty() => Begin::Resume(None),
            Some(id) => Begin::Resume(Some(DrillId(id))),
        },
        trigger: match args.trigger {
            TriggerArg::Scheduled => Trigger::Scheduled,
            TriggerArg::Manual => Trigger::Manual,
            TriggerArg::Incident => Trigger::Incident,
            TriggerArg::Retest => Trigger::Retest,
        },
        title: args.title,
        at_once: args.at_once,
        case_patience_s: args.case_deadline,
        teardown_patience_s: args.teardown_deadline,
    };
    let report = drill(&loaded, &request, "attestore drill", console).await?;
    let code = exit_code(&report);
    tell(&report, &loaded, console);
    console.summary("drill", report.closed.outcome.as_str(), code, summary(&report));
    Ok(code)
}

/// An entry of the log has a limit, and a title is read by people.
fn title(text: &str) -> Result<String, String> {
    let length = text.chars().count();
    if length <= LONGEST_TITLE { Ok(text.to_owned()) } else { Err(format!("at most {LONGEST_TITLE} characters, found {length}")) }
}

/// Whether another command's drill goes on with an unfinished one.
#[derive(Clone, Copy, Debug)]
pub enum Resume {
    /// If there is one; else a new one begins.
    IfUnfinished,
}

/// Holds a drill for another command, as `actor`: scorecard and case objects, no summary of its own.
pub async fn hold(config: &Path, resume: Resume, actor: &str, console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    let loaded = load::load(config)?;
    let begin = match resume {
        Resume::IfUnfinished => Begin::Either,
    };
    let report = drill(&loaded, &Request { begin, ..Request::default() }, actor, console).await?;
    tell(&report, &loaded, console);
    Ok(exit_code(&report))
}

/// Holds a drill over the AWS, or the stand-in, that the configuration names.
pub async fn drill(loaded: &Loaded, request: &Request, actor: &str, console: &Arc<Console>) -> Result<Report, Failure> {
    let reach = session::open(loaded).await?;
    let monitor: Arc<dyn Monitor> = console.clone();
    let setup = Setup { loaded: loaded.clone(), clouds: reach.clouds.clone(), monitor, actor: actor.to_owned() };
    let report = crate::drill::run::run(setup, request).await;
    // The stand-in ends in order whatever came of the drill: its servers must not outlive it.
    reach.close().await;
    report
}

async fn give_up(loaded: &Loaded, wanted: Option<DrillId>, console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    let reach = session::open(loaded).await?;
    let monitor: Arc<dyn Monitor> = console.clone();
    let setup = Setup { loaded: loaded.clone(), clouds: reach.clouds.clone(), monitor, actor: "attestore drill".to_owned() };
    let abandoned = abandon::abandon(setup, wanted.as_ref(), "given up by its operator").await;
    reach.close().await;
    let abandoned = abandoned?;
    for resource in &abandoned.standing {
        console.say(format!("left behind: {}: {}", resource.arn, resource.confirmed_by));
    }
    if !abandoned.was_known {
        console
            .say("its journal is lost: look for what it created by the name prefix and the tag `attestore:drill` in the isolated account");
    }
    console.say(format!("drill {} is given up: the log says so, and it counts as failed", abandoned.drill));
    let code = if abandoned.standing.is_empty() { ExitCode::Incomplete } else { ExitCode::LeftBehind };
    let mut more = Map::new();
    more.insert("drill".into(), json!(abandoned.drill));
    more.insert("left_behind".into(), json!(abandoned.standing.len()));
    console.summary("drill", "fail", code, more);
    Ok(code)
}

/// What a closed drill means for scripts.
pub fn exit_code(report: &Report) -> ExitCode {
    let listed = report.failures.iter().map(|(_, failure)| scorecard::of_kind(failure.kind));
    let whole = scorecard::exit_code(&report.results).and(ExitCode::of_outcome(report.closed.outcome));
    listed.fold(whole, ExitCode::and)
}

/// The scorecard for people, an object a case for machines.
pub fn tell(report: &Report, loaded: &Loaded, console: &Console) {
    console.say("");
    for line in scorecard::lines(&report.results, words::width()) {
        console.tell(line);
    }
    for excluded in &report.excluded {
        console.tell(format!("not drilled: {}: {}", excluded.id, excluded.reason));
    }
    for inference in &report.closed.inference {
        let (most, of, percent) = (inference.upper_bound, inference.population, inference.confidence_ppm / 10_000);
        let (drawn, deviations) = (inference.drawn, inference.deviations);
        console.tell(format!(
            "class {}: {deviations} of {drawn} drawn did not pass; at {percent} % confidence at most {most} of {of} are bad",
            inference.stratum
        ));
    }
    let log = loaded.config.log.path.display();
    console.tell(format!(
        "\ndrill {}: {}; log {log}: {} entries, root {}",
        report.drill, report.closed.outcome, report.log_size, report.log_root
    ));
    for result in &report.results {
        console.object(&scorecard::object(result));
    }
}

/// Members of the summary line.
pub fn summary(report: &Report) -> Map<String, serde_json::Value> {
    let mut more = Map::new();
    let mut put = |name: &str, value| more.insert(name.to_owned(), value);
    put("drill", json!(report.drill));
    put("planned", json!(report.closed.planned));
    put("outcomes", json!(report.closed.outcomes));
    put("left_behind", json!(report.closed.leftover_count));
    put("excluded", json!(report.excluded.len()));
    put("log_size", json!(report.log_size));
    put("log_root", json!(report.log_root));
    let mut totals: std::collections::BTreeMap<&str, crate::model::counts::Counts> = std::collections::BTreeMap::new();
    for facts in report.results.iter().filter_map(|result| result.verify.as_ref()) {
        for (name, counts) in crate::testing_log::verify::pass::counts(facts) {
            totals.entry(name).or_default().merge(counts);
        }
    }
    for (name, counts) in totals {
        put(name, json!(counts));
    }
    more
}
