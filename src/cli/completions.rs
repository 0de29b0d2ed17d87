//! `attestore completions`: a completion script for a shell.

use clap::Args;

use crate::model::exit::ExitCode;

/// Arguments of `completions`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  attestore completions bash > /etc/bash_completion.d/attestore")]
pub struct CompletionsArgs {
    /// bash, zsh, fish, elvish or powershell
    pub shell: clap_complete::Shell,
}

/// Prints the script of the whole `command` on stdout.
pub fn run(args: &CompletionsArgs, mut command: clap::Command) -> anyhow::Result<ExitCode> {
    clap_complete::generate(args.shell, &mut command, "attestore", &mut std::io::stdout());
    Ok(ExitCode::Proven)
}
