//! SQL checks: one SELECT each that returns the offending rows, with its contract in `--!` lines.

pub mod pack;
pub mod runner;
