//! `attestore plan`

use std::sync::Arc;

use clap::Args;

use crate::cli::console::Console;
use crate::model::exit::ExitCode;

/// Arguments of `plan`.
#[derive(Args, Debug)]
pub struct PlanArgs {}

/// Runs the command.
pub async fn run(_args: PlanArgs, _console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    Err(crate::model::failure::Failure::invalid("`plan` is being built").into())
}
