//! `attestore demo`: a whole drill on this machine, on real data, with planted damage that it has to find.
//!
//! The estate is the sandbox's; the drill is the one of `attestore drill`, over the configuration that the demo writes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::cli::console::Console;
use crate::cli::{demo_prepare, demo_score, drill};
use crate::model::exit::ExitCode;
use crate::model::failure::Failure;
use crate::sandbox::demo::estate::Laid;

/// Arguments of `demo`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  attestore demo --dir demo\n  attestore log verify demo/log --key demo/log.pub.pem\n\n\
    Exit codes: 0 every planted fault was found and nothing else was accused; 1 otherwise; 3 interrupted, and the same command goes on")]
pub struct DemoArgs {
    /// Where everything is kept; an unfinished folder is gone on with, a finished one is shown again
    #[arg(long, value_name = "DIR", default_value = "attestore-demo")]
    pub dir: PathBuf,
}

/// How far a demo is; `demo.json` in its folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Progress {
    /// The estate, once it is laid, its manifests are captured and its damage is planted.
    pub laid: Option<Laid>,
    /// Whether the drill is over.
    pub drilled: bool,
}

/// The file of [`Progress`].
const PROGRESS: &str = "demo.json";
/// The configuration.
pub const CONFIG: &str = "attestore.toml";

impl Progress {
    fn read(dir: &Path) -> Result<Option<Self>, Failure> {
        let path = dir.join(PROGRESS);
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
                Failure::invalid(format!("{} is not a demo's progress: {error}", path.display())).hint("choose another folder with --dir")
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::io(format!("cannot read {}", path.display()), error)),
        }
    }

    /// Written beside its place and renamed: a kill leaves the old or the new one.
    pub fn write(&self, dir: &Path) -> Result<(), Failure> {
        let (path, part) = (dir.join(PROGRESS), dir.join("demo.json.part"));
        let failed = |error| Failure::io(format!("cannot write {}", path.display()), error);
        std::fs::write(&part, serde_json::to_vec_pretty(self).unwrap_or_default()).map_err(failed)?;
        std::fs::rename(&part, &path).map_err(failed)
    }
}

/// Runs the command.
pub async fn run(args: DemoArgs, console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    let dir = std::path::absolute(&args.dir)?;
    let found = Progress::read(&dir)?;
    let mut progress = match found {
        Some(progress) if progress.laid.is_some() => progress,
        unfinished => demo_prepare::prepare(&dir, unfinished.is_some(), console).await?,
    };
    if !progress.drilled {
        console.say("\ndrilling");
        let code = drill::hold(&dir.join(CONFIG), drill::Resume::IfUnfinished, "attestore demo", console).await?;
        if code == ExitCode::Incomplete && demo_score::is_unfinished(&dir)? {
            console.say(format!("\nhint: `attestore demo --dir {}` goes on", args.dir.display()));
            return Ok(code);
        }
        progress.drilled = true;
        progress.write(&dir)?;
    }
    demo_score::tell(&dir, &args.dir, &progress, console).await
}
