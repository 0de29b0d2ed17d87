//! A database against a manifest, or against another database.
//!
//! Not here: reading either of them, and what findings mean for a verdict.

pub mod baseline;
pub mod beside;
pub mod columns;
pub mod database;
pub mod defined;
pub mod dual;
pub mod later;
pub mod manifests;
pub mod named;
pub mod newest;
pub mod of_table;
pub mod still_there;
pub mod tables;
