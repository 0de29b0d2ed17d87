//! `attestore check SOURCE`

use std::sync::Arc;

use clap::Args;

use crate::cli::console::Console;
use crate::model::exit::ExitCode;

/// Arguments of `check`.
#[derive(Args, Debug)]
pub struct CheckArgs {}

/// Runs the command.
pub async fn run(_args: CheckArgs, _console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    Err(crate::model::failure::Failure::invalid("`check` is being built").into())
}
