//! SQL checks: one SELECT each that returns the offending rows (or one value), with its contract in `--!` lines of TOML, so that the
//! file stays valid SQL.
//!
//! Not here: comparing rows with a manifest, and what a failed check means for a drill.

pub mod answer;
pub mod canary;
pub mod demands;
pub mod examine;
pub mod header;
pub mod measured;
pub mod names;
pub mod pack;
pub mod placeholders;
pub mod recording;
pub mod redact;
pub mod routines;
pub mod runner;
pub mod search_path;
pub mod session;
pub mod sight;
pub mod statement;
pub mod subjects;
