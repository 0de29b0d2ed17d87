//! SQL checks: one SELECT each that returns the offending rows (or one value), with its contract in `--!` lines of TOML, so that the
//! file stays valid SQL.
//!
//! Not here: comparing rows with a manifest, and what a failed check means for a drill.

pub mod header;
pub mod kind;
pub mod pack;
pub mod runner;
pub mod session;
pub mod statement;
pub mod threshold;
