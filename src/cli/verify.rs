//! `attestore verify`

use std::sync::Arc;

use clap::Args;

use crate::cli::console::Console;
use crate::model::exit::ExitCode;

/// Arguments of `verify`.
#[derive(Args, Debug)]
pub struct VerifyArgs {}

/// Runs the command.
pub async fn run(_args: VerifyArgs, _console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    Err(crate::model::failure::Failure::invalid("`verify` is being built").into())
}
