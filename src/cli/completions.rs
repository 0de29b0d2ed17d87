//! `attestore completions`: a completion script for a shell.

use clap::Args;
use serde_json::{Map, json};

use crate::cli::console::Console;
use crate::model::exit::ExitCode;

/// Arguments of `completions`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  attestore completions bash > ~/.local/share/bash-completion/completions/attestore\n  \
    attestore completions zsh > ~/.zfunc/_attestore\n  attestore completions fish > ~/.config/fish/completions/attestore.fish")]
pub struct CompletionsArgs {
    /// bash, zsh, fish, elvish or powershell
    pub shell: clap_complete::Shell,
}

/// Prints the script of the whole `command` on stdout; with `--json`, as the member `script` of an object.
pub fn run(args: &CompletionsArgs, mut command: clap::Command, console: &Console) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "attestore", &mut script);
    let script = String::from_utf8(script)?;
    console.answer(script.trim_end());
    console.object(&json!({"event": "completions", "shell": args.shell.to_string(), "script": script}));
    console.summary("completions", "pass", ExitCode::Proven, Map::new());
    Ok(ExitCode::Proven)
}
