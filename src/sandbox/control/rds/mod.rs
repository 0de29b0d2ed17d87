//! RDS: instances that are real database servers, and snapshots that are copies of their data directories.
//!
//! Covers the operations that a restore drill and its estate need, by the published model of 2014-10-31.

pub mod form;
pub mod gate;
pub mod groups;
pub mod instances;
pub mod lifecycle;
pub mod render;
pub mod service;
pub mod snapshots;
pub mod state;
pub mod tls;
pub mod token;
