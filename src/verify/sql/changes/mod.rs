//! Logs of changes: the rows that were written between a capture and a restore.
//!
//! Not here: what differs (`compare`).

pub mod events;
pub mod fate;
pub mod keys;
pub mod touched;
