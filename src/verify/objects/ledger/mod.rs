//! What runs have read, kept in a directory, so that a run that was interrupted or bounded goes on where it was: which object, read
//! when, with which digests; of a large one, which ranges.
//!
//! Not here: evidence. The directory is work in progress of its owner on one machine, unsigned; manifests and the testing log prove.

pub mod coverage;
pub mod known;
pub mod lines;
pub mod record;
pub mod state;
pub mod store;
