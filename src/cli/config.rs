//! `attestore config check`

use std::sync::Arc;

use clap::Args;

use crate::cli::console::Console;
use crate::model::exit::ExitCode;

/// Arguments of `config`.
#[derive(Args, Debug)]
pub struct ConfigArgs {}

/// Runs the command.
pub async fn run(_args: ConfigArgs, _console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    Err(crate::model::failure::Failure::invalid("`config` is being built").into())
}
