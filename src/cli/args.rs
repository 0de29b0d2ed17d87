//! What a person may type: commands and their global options. Each command's own arguments live in its file.

use clap::{Parser, Subcommand};

/// Restores recovery points, compares every byte with signed manifests, takes down, and records it in a signed testing log
#[derive(Parser, Debug)]
#[command(name = "attestore", version, propagate_version = true, max_term_width = 110)]
#[command(after_help = "Examples:\n  attestore demo --dir demo\n  \
    attestore manifest create dir:/srv/vault --out vault.manifest\n  \
    attestore verify dir:/mnt/restored --manifest vault.manifest\n  \
    attestore drill --config attestore.toml\n\n\
    Exit codes:\n  0    proven\n  1    findings, or a bad signature, part digest or log\n  2    usage, configuration, source URL, key, unreadable manifest\n  \
    3    incomplete, inconclusive or untested; safe to resume\n  4    denied or absent; a refusal of the isolation guard\n  \
    5    network, throttling, full disk\n  6    something was left behind\n  130  ended by a second Ctrl-C")]
pub struct Args {
    /// Print one JSON object a line on stdout; the last is the summary
    #[arg(long, global = true, display_order = 900)]
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
    /// Serve a stand-in AWS on this machine
    #[cfg(feature = "sandbox")]
    Sandbox(super::sandbox::SandboxArgs),
    /// Print what a drill would restore, from which population, at what cost; changes nothing
    Plan(super::plan::PlanArgs),
    /// Draw recovery points, restore, verify, take down, record
    Drill(super::drill::DrillArgs),
    /// Capture, show, compare, import, export and prove manifests: what data must look like when it comes back
    Manifest(super::manifest::ManifestArgs),
    /// Compare a source with a manifest
    Verify(Box<super::verify::VerifyArgs>),
    /// Run SQL checks on a database, read-only
    Check(super::check::CheckArgs),
    /// Verify and show the testing log
    Log(super::log::LogArgs),
    /// Render the report from a verified log
    Report(super::report::ReportArgs),
    /// Look for what drills left behind, and remove it with --apply
    Sweep(super::sweep::SweepArgs),
    /// Check attestore.toml and explain every mistake
    Config(super::config::ConfigArgs),
    /// Print shell completions
    Completions(super::completions::CompletionsArgs),
}
