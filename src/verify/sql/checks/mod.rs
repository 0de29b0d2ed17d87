//! SQL checks: one SELECT that returns the offending rows, or one value; read from `checks/` or from a path, and run read-only.

pub mod header;
pub mod pack;
pub mod runner;
pub mod statement;
pub mod threshold;
