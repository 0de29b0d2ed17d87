//! The command line: one file a command, and the only place that prints. Data goes to stdout, words for people to stderr.

pub mod args;
pub mod check;
pub mod completions;
pub mod config;
pub mod console;
#[cfg(feature = "sandbox")]
pub mod demo;
#[cfg(feature = "sandbox")]
pub mod demo_prepare;
#[cfg(feature = "sandbox")]
pub mod demo_score;
pub mod drill;
pub mod init;
pub mod log;
pub mod manifest;
pub mod manifest_show;
pub mod plan;
pub mod report;
pub mod run;
#[cfg(feature = "sandbox")]
pub mod sandbox;
pub mod scorecard;
pub mod session;
pub mod source;
pub mod sweep;
pub mod verify;
