//! `attestore demo`: a whole drill on this machine, on real data, with planted damage that it has to find.
//!
//! The estate is the sandbox's; the drill is the one of `attestore drill`, over the configuration that the demo writes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use crate::cli::console::Console;
use crate::cli::demo_progress::{CONFIG, Progress};
use crate::cli::{demo_prepare, demo_score, drill};
use crate::model::exit::ExitCode;
use crate::model::failure::{Failure, FailureKind};

/// Arguments of `demo`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  attestore demo --dir demo\n  attestore log verify demo/log --key demo/log.pub.pem\n\n\
    Exit codes: 0 every planted fault was found and nothing else was accused; 1 otherwise; 3 interrupted, and the same command goes on")]
pub struct DemoArgs {
    /// Where everything is kept; an unfinished folder is gone on with, a finished one is shown again
    #[arg(long, value_name = "DIR", default_value = "attestore-demo")]
    pub dir: PathBuf,
}

/// Runs the command.
pub async fn run(args: DemoArgs, console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    let dir = std::path::absolute(&args.dir)?;
    if dir.is_file() {
        return Err(Failure::invalid(format!("{} is a file", dir.display()))
            .hint("name a folder that is empty or not there with --dir")
            .into());
    }
    let found = Progress::read(&dir)?;
    let mut progress = match found {
        Some(progress) if progress.laid.is_some() => progress,
        unfinished => demo_prepare::prepare(&dir, unfinished.is_some(), console).await?,
    };
    if !progress.drilled && demo_score::own_drill(&dir)?.is_some_and(|own| own.is_closed) {
        // Killed between the end of the drill and the note of it, or gone on with by `drill --resume`.
        progress.drilled = true;
        progress.write(&dir)?;
    }
    if !progress.drilled {
        console.say("\ndrilling");
        let held = drill::hold(&dir.join(CONFIG), drill::Resume::IfUnfinished, "attestore demo", console).await;
        let code = held.map_err(|error| how_to_go_on(error, &args.dir))?;
        if code == ExitCode::Incomplete && demo_score::own_drill(&dir)?.is_some_and(|own| !own.is_closed) {
            console.say(format!("\nhint: `attestore demo --dir {}` goes on", args.dir.display()));
            return Ok(code);
        }
        progress.drilled = true;
        progress.write(&dir)?;
    }
    demo_score::tell(&dir, &args.dir, &progress, console).await
}

/// A demo that was stopped goes on with its own command, not with that of a drill.
fn how_to_go_on(error: anyhow::Error, dir: &Path) -> anyhow::Error {
    match error.downcast::<Failure>() {
        Ok(failure) if failure.kind == FailureKind::Interrupted => failure
            .hint(format!("nothing is lost: `attestore demo --dir {}` goes on, and what was restored stands until then", dir.display()))
            .into(),
        Ok(failure) => failure.into(),
        Err(error) => error,
    }
}
