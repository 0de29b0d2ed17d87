//! `attestore demo`

use std::sync::Arc;

use clap::Args;

use crate::cli::console::Console;
use crate::model::exit::ExitCode;

/// Arguments of `demo`.
#[derive(Args, Debug)]
pub struct DemoArgs {}

/// Runs the command.
pub async fn run(_args: DemoArgs, _console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    Err(crate::model::failure::Failure::invalid("`demo` is being built").into())
}
