//! From parsed arguments to an exit code: dispatch, Ctrl-C, and how a failure is told.

use std::sync::Arc;

use clap::CommandFactory;
use serde_json::{Map, json};

use crate::cli::args::{Args, Command};
use crate::cli::console::Console;
use crate::model::exit::ExitCode;
use crate::model::failure::{Failure, FailureKind};

/// Runs one command to its end.
pub async fn run(args: Args) -> ExitCode {
    let console = Arc::new(Console::new(args.json));
    watch_for_ctrl_c(console.clone());
    let name = args.command.name();
    match dispatch(args.command, &console).await {
        Ok(code) => code,
        Err(error) => tell(name, &error, &console),
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
        Command::Manifest(args) => super::manifest::run(args, console).await,
        Command::Verify(args) => super::verify::run(args, console).await,
        Command::Check(args) => super::check::run(args, console).await,
        Command::Log(args) => super::log::run(args, console).await,
        Command::Report(args) => super::report::run(args, console).await,
        Command::Sweep(args) => super::sweep::run(args, console).await,
        Command::Config(args) => super::config::run(args, console).await,
        Command::Completions(args) => super::completions::run(&args, Args::command()),
    }
}

/// The failure for people, and a summary for machines, so that a script never waits for a last line that does not come.
fn tell(command: &str, error: &anyhow::Error, console: &Console) -> ExitCode {
    let (code, kind) = match error.downcast_ref::<Failure>() {
        Some(failure) => {
            console.failure(failure);
            (failure.kind.exit_code(), failure.kind)
        }
        None => {
            console.say(format!("error: {error:#}"));
            (ExitCode::Incomplete, FailureKind::Remote)
        }
    };
    let mut more = Map::new();
    more.insert("error".into(), json!({"kind": kind.as_str(), "message": format!("{error:#}")}));
    console.summary(command, "error", code, more);
    code
}

/// The first Ctrl-C asks for a safe end (exit 3, resumable); the second ends the process at once.
fn watch_for_ctrl_c(console: Arc<Console>) {
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_err() {
            return;
        }
        console.request_stop();
        console.say("stopping at the next safe place; press Ctrl-C again to end at once");
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(i32::from(ExitCode::Killed.code()));
        }
    });
}
