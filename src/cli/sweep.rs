//! `attestore sweep`

use std::sync::Arc;

use clap::Args;

use crate::cli::console::Console;
use crate::model::exit::ExitCode;

/// Arguments of `sweep`.
#[derive(Args, Debug)]
pub struct SweepArgs {}

/// Runs the command.
pub async fn run(_args: SweepArgs, _console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    Err(crate::model::failure::Failure::invalid("`sweep` is being built").into())
}
