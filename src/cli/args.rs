//! What a person may type: commands and their global options. Each command's own arguments live in its file.

use clap::{Parser, Subcommand};

/// attestore: restore verification with a signed testing log
#[derive(Parser, Debug)]
#[command(name = "attestore", version, propagate_version = true, max_term_width = 110)]
#[command(
    after_help = "Exit codes: 0 proven, 1 findings or bad evidence, 2 usage, 3 incomplete, 4 denied or absent, 5 network, throttling or disk, 6 left behind, 130 killed"
)]
pub struct Args {
    /// Print one JSON object a line on stdout; the last is the summary
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Write a commented attestore.toml, create the keys and the testing log
    Init(super::init::InitArgs),
    /// Run a whole drill against a stand-in AWS on this machine, with planted damage
    #[cfg(feature = "sandbox")]
    Demo(super::demo::DemoArgs),
    /// The stand-in AWS
    #[cfg(feature = "sandbox")]
    Sandbox(super::sandbox::SandboxArgs),
    /// Print what a drill would restore, from which population, at what cost; changes nothing
    Plan(super::plan::PlanArgs),
    /// Sample, restore, verify, take down, record
    Drill(super::drill::DrillArgs),
    /// Capture, show, compare, import, export and prove manifests
    Manifest(super::manifest::ManifestArgs),
    /// Compare a source with a manifest
    Verify(super::verify::VerifyArgs),
    /// Run SQL checks against a database
    Check(super::check::CheckArgs),
    /// Verify and show the testing log
    Log(super::log::LogArgs),
    /// Render the report from a verified log
    Report(super::report::ReportArgs),
    /// Look for what drills left behind, and remove it with --apply
    Sweep(super::sweep::SweepArgs),
    /// Explain every mistake in attestore.toml
    Config(super::config::ConfigArgs),
    /// Print shell completions
    Completions(super::completions::CompletionsArgs),
}
