//! PostgreSQL as a source: snapshot, catalogue, sessions, lanes, rows.
//!
//! Not here: the protocol (`wire::postgres`), and what values mean (`rows::postgres_decode`).

pub mod alone;
pub mod block_ranges;
pub mod catalog;
pub mod copy;
pub mod copy_format;
pub mod field_order;
pub mod large_objects;
pub mod position;
pub mod restart;
pub mod rows;
pub mod session;
pub mod snapshot;
