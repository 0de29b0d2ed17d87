//! AWS Backup: vaults, recovery points of buckets, tables and database instances, and restore jobs that make real resources.

pub mod access_points;
pub mod jobs;
pub mod points;
pub mod refusals;
pub mod restores;
pub mod service;
pub mod state;
pub mod vaults;
