//! `attestore log verify`

use std::sync::Arc;

use clap::Args;

use crate::cli::console::Console;
use crate::model::exit::ExitCode;

/// Arguments of `log`.
#[derive(Args, Debug)]
pub struct LogArgs {}

impl LogArgs {
    /// The command as typed.
    pub fn name(&self) -> &'static str {
        "log"
    }
}

/// Runs the command.
pub async fn run(_args: LogArgs, _console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    Err(crate::model::failure::Failure::invalid("`log` is being built").into())
}
