//! `attestore drill`

use std::sync::Arc;

use clap::Args;

use crate::cli::console::Console;
use crate::model::exit::ExitCode;

/// Arguments of `drill`.
#[derive(Args, Debug)]
pub struct DrillArgs {}

/// Runs the command.
pub async fn run(_args: DrillArgs, _console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    Err(crate::model::failure::Failure::invalid("`drill` is being built").into())
}

/// Whether an unfinished drill is gone on with.
pub enum Resume {
    /// If there is one.
    IfUnfinished,
}
/// Holds a drill.
pub async fn hold(_config: &std::path::Path, _resume: Resume, _actor: &str, _console: &Arc<Console>) -> anyhow::Result<ExitCode> {
    Err(crate::model::failure::Failure::invalid("drill is being built").into())
}
