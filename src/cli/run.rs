//! From parsed arguments to an exit code: dispatch, signals, and how a failure is told.

use std::sync::Arc;
use std::time::Duration;

use clap::CommandFactory;
use rustix::process::Signal;
use serde_json::{Map, json};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::args::{Args, Command};
use crate::cli::console::Console;
use crate::model::exit::ExitCode;
use crate::model::failure::{Failure, FailureKind};

/// Runs one command to its end.
pub async fn run(args: Args) -> ExitCode {
    let console = Arc::new(Console::new(args.json));
    let name = args.command.name();
    if let Err(failure) = watch_for_signals(name, console.clone()) {
        return tell(name, &failure.into(), &console);
    }
    // So that it listens before a command begins that computes on this thread and lets nothing else run on it.
    tokio::task::yield_now().await;
    let code = match dispatch(args.command, &console).await {
        Ok(code) => code,
        Err(error) => tell(name, &error, &console),
    };
    match console.stdout_failure() {
        None => code,
        Some(failure) => {
            console.failure(&failure);
            code.and(failure.kind.exit_code())
        }
    }
}

impl Command {
    /// The command as typed, for the summary.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Init(_) => "init",
            #[cfg(feature = "sandbox")]
            Self::Demo(_) => "demo",
            #[cfg(feature = "sandbox")]
            Self::Sandbox(_) => "sandbox serve",
            Self::Plan(_) => "plan",
            Self::Drill(_) => "drill",
            Self::Manifest(args) => args.name(),
            Self::Verify(_) => "verify",
            Self::Check(_) => "check",
            Self::Log(args) => args.name(),
            Self::Report(_) => "report",
            Self::Sweep(_) => "sweep",
            Self::Config(_) => "config check",
            Self::Completions(_) => "completions",
        }
    }
}

async fn dispatch(command: Command, console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    match command {
        Command::Init(args) => super::init::run(args, console).await,
        #[cfg(feature = "sandbox")]
        Command::Demo(args) => super::demo::run(args, console).await,
        #[cfg(feature = "sandbox")]
        Command::Sandbox(args) => super::sandbox::run(args, console).await,
        Command::Plan(args) => super::plan::run(args, console).await,
        Command::Drill(args) => super::drill::run(args, console).await,
        Command::Manifest(args) => {
            let console = console.clone();
            on_a_worker(async move { super::manifest::run(args, &console).await }).await
        }
        Command::Verify(args) => {
            let console = console.clone();
            on_a_worker(async move { super::verify::run(*args, &console).await }).await
        }
        Command::Check(args) => super::check::run(*args, console).await,
        Command::Log(args) => super::log::run(args, console).await,
        Command::Report(args) => super::report::run(args, console).await,
        Command::Sweep(args) => super::sweep::run(args, console).await,
        Command::Config(args) => super::config::run(args, console).await,
        Command::Completions(args) => super::completions::run(&args, Args::command(), console),
    }
}

/// Runs a command that reads many small things from the network: on a worker of the runtime they are received where they are waited for,
/// without another thread being woken for each.
async fn on_a_worker(command: impl Future<Output = anyhow::Result<ExitCode>> + Send + 'static) -> anyhow::Result<ExitCode> {
    match tokio::spawn(command).await {
        Ok(ended) => ended,
        Err(ended) => std::panic::resume_unwind(ended.into_panic()),
    }
}

/// What cannot be parsed, told by the parser; with `--json` a summary says so on stdout. Help and version are no mistake.
pub fn misused(error: &clap::Error) -> ExitCode {
    // Where neither stream can be written to, nobody is there to be told.
    let _ = error.print();
    if !error.use_stderr() {
        return ExitCode::Proven;
    }
    let words: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let is_json = words.iter().take_while(|word| *word != "--").any(|word| word == "--json");
    let command = Args::command();
    let said = error.render().to_string();
    // The first paragraph: what is missing is named on lines of its own.
    let told: Vec<&str> = said.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    let message = told.join(" ").trim_start_matches("error: ").to_owned();
    let mut more = Map::new();
    more.insert("error".into(), json!({"kind": FailureKind::Invalid.as_str(), "message": message}));
    Console::new(is_json).summary(&named(&command, &words), "error", ExitCode::Usage, more);
    ExitCode::Usage
}

/// The command that the words name, such as `manifest create`.
fn named(command: &clap::Command, words: &[String]) -> String {
    let (mut here, mut names) = (command, Vec::new());
    for word in words {
        if let Some(found) = here.find_subcommand(word) {
            names.push(found.get_name());
            here = found;
        }
    }
    names.join(" ")
}

/// The failure for people, and a summary for machines, so that a script never waits for a last line that does not come.
fn tell(command: &str, error: &anyhow::Error, console: &Console) -> ExitCode {
    let other;
    let failure = match error.downcast_ref::<Failure>() {
        Some(failure) => failure,
        None => {
            other = Failure::new(FailureKind::Remote, format!("{error:#}"));
            &other
        }
    };
    console.failure(failure);
    let code = failure.kind.exit_code();
    let mut told = json!({"kind": failure.kind.as_str(), "message": failure.message});
    if let Some(hint) = &failure.hint {
        told["hint"] = json!(hint);
    }
    console.summary(command, "error", code, Map::from_iter([("error".to_owned(), told)]));
    code
}

/// The first Ctrl-C or SIGTERM asks for a safe end (exit 3, resumable); the second ends the process at once (130).
///
/// # Errors
/// Where the system does not let signals be heard.
fn watch_for_signals(command: &'static str, console: Arc<Console>) -> Result<(), Failure> {
    let heard = |kind| signal(kind).map_err(|error| Failure::io("cannot listen for signals", error));
    // Both are heard from before the first step, so that no signal ends a command halfway through one.
    let (mut interrupts, mut terminations) = (heard(SignalKind::interrupt())?, heard(SignalKind::terminate())?);
    // Unheard, the signal of a file that reaches its limit ends the process without a word; heard, the write fails, and that is told.
    let _ = heard(SignalKind::from_raw(Signal::XFSZ.as_raw()))?;
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = interrupts.recv() => {}
                _ = terminations.recv() => {}
            }
        };
        next().await;
        console.request_stop();
        console.say("stopping at the next safe place; press Ctrl-C again to end at once");
        next().await;
        end_at_once(command, console);
    });
    Ok(())
}

/// Ends the process; nothing is tidied up, and everything that was fsynced stands. Whoever reads stdout is told, if they read.
fn end_at_once(command: &'static str, console: Arc<Console>) -> ! {
    let (told, waiting) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        console.say("ended at once; the same command goes on, and `attestore sweep` shows what stands");
        let error = json!({"kind": FailureKind::Interrupted.as_str(), "message": "ended at once by a second signal"});
        console.summary(command, "error", ExitCode::Killed, Map::from_iter([("error".to_owned(), error)]));
        // Nobody may wait any more.
        let _ = told.send(());
    });
    // Nobody would end them: a client goes on with what it was told until its server has answered.
    crate::engines::client::end_all();
    // Half a manifest is none.
    crate::verify::manifest::workplace::remove_own();
    // A pipe that nobody reads must not hold the end up.
    let _ = waiting.recv_timeout(Duration::from_millis(500));
    std::process::exit(i32::from(ExitCode::Killed.code()));
}
