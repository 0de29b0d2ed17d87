//! `attestore report`

use std::sync::Arc;

use clap::Args;

use crate::cli::console::Console;
use crate::model::exit::ExitCode;

/// Arguments of `report`.
#[derive(Args, Debug)]
pub struct ReportArgs {}

/// Runs the command.
pub async fn run(_args: ReportArgs, _console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    Err(crate::model::failure::Failure::invalid("`report` is being built").into())
}
