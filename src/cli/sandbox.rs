//! `attestore sandbox serve`

use std::sync::Arc;

use clap::Args;

use crate::cli::console::Console;
use crate::model::exit::ExitCode;

/// Arguments of `sandbox`.
#[derive(Args, Debug)]
pub struct SandboxArgs {}

/// Runs the command.
pub async fn run(_args: SandboxArgs, _console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    Err(crate::model::failure::Failure::invalid("`sandbox` is being built").into())
}
