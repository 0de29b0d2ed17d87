//! `attestore config check`

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::{Map, json};

use crate::cli::console::Console;
use crate::estate::explain::{Surroundings, explain};
use crate::estate::load;
use crate::estate::mistake::Weight;
use crate::model::exit::ExitCode;
use crate::model::resource::{PointSource, ResourceKind};
use crate::restore::drivers::choose::driver_for;
use crate::verify::sql::checks::pack;

/// Arguments of `config`.
#[derive(Args, Debug)]
pub struct ConfigArgs {
    /// What to do
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// `attestore config …`
#[derive(Subcommand, Debug)]
pub enum ConfigCommand {
    /// Explain every mistake in the configuration, with file, line, what is allowed and the nearest known name
    #[command(
        after_help = "Example: attestore config check --config /etc/attestore/attestore.toml\n\nExit codes: 0 no mistakes, 2 mistakes"
    )]
    Check {
        /// The configuration file
        #[arg(long, value_name = "FILE", default_value = "attestore.toml", env = "ATTESTORE_CONFIG")]
        config: PathBuf,
    },
}

/// Runs the command.
pub async fn run(args: ConfigArgs, console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    let ConfigCommand::Check { config } = args.command;
    let path = std::path::absolute(&config)?;
    let bytes = load::read(&path)?;
    let text = load::text_of(&path, &bytes)?;
    let base = path.parent().unwrap_or(Path::new("/"));
    let packs: Vec<&str> = pack::names();
    let around = Surroundings { base: Some(base), packs: Some(&packs), has_driver: &has_driver };
    let remarks = explain(text, &around);
    let file = config.display().to_string();
    for remark in &remarks {
        console.object(&remark.to_json(&file));
        console.say(format!("{}\n", remark.render(&file, text)));
    }
    let mistakes = remarks.iter().filter(|remark| remark.weight == Weight::Mistake).count();
    let notes = remarks.len() - mistakes;
    let (exit, outcome) = if mistakes == 0 { (ExitCode::Proven, "pass") } else { (ExitCode::Usage, "fail") };
    console.say(match (mistakes, notes) {
        (0, 0) => format!("{file}: no mistakes"),
        (0, notes) => format!("{file}: no mistakes, {notes} note(s)"),
        (mistakes, notes) => format!("{file}: {mistakes} mistake(s), {notes} note(s)"),
    });
    let mut more = Map::new();
    more.insert("file".into(), json!(file));
    more.insert("mistakes".into(), json!(mistakes));
    more.insert("notes".into(), json!(notes));
    console.summary("config check", outcome, exit, more);
    Ok(exit)
}

/// What this build can restore; everything else is recorded as `untested: driver_absent`.
fn has_driver(kind: &str, from: &str) -> bool {
    let kind = ResourceKind::ALL.iter().find(|known| known.as_str() == kind);
    let from = PointSource::ALL.iter().find(|known| known.as_str() == from);
    kind.zip(from).is_some_and(|(kind, from)| driver_for(*kind, *from).is_some())
}
