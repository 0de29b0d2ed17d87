//! SQLite files as a source.
//!
//! Not here: what values mean (`rows::sqlite_decode`).

pub mod file;
pub mod rows;
