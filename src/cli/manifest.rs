//! `attestore manifest create`

use std::sync::Arc;

use clap::Args;

use crate::cli::console::Console;
use crate::model::exit::ExitCode;

/// Arguments of `manifest`.
#[derive(Args, Debug)]
pub struct ManifestArgs {}

impl ManifestArgs {
    /// The command as typed.
    pub fn name(&self) -> &'static str {
        "manifest"
    }
}

/// Runs the command.
pub async fn run(_args: ManifestArgs, _console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    Err(crate::model::failure::Failure::invalid("`manifest` is being built").into())
}
