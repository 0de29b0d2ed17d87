//! `attestore init`

use std::sync::Arc;

use clap::Args;

use crate::cli::console::Console;
use crate::model::exit::ExitCode;

/// Arguments of `init`.
#[derive(Args, Debug)]
pub struct InitArgs {}

/// Runs the command.
pub async fn run(_args: InitArgs, _console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    Err(crate::model::failure::Failure::invalid("`init` is being built").into())
}
