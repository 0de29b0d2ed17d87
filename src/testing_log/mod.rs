//! The signed testing log: one immutable file an entry, a Merkle tree over them, signed checkpoints; and the rules that `log verify` enforces.
//!
//! A signed log proves what was said and when, not that it was true. Not here: how a drill comes to its results, and how people are
//! told. Nothing in this room knows AWS.

pub mod body;
pub mod check_list;
pub mod drill_outcome;
pub mod due;
pub mod entry;
pub mod evidence;
pub mod exact;
pub mod intents;
pub mod packs;
pub mod pages;
pub mod point_result;
pub mod probes;
pub mod public_tools;
pub mod restore_facts;
pub mod result_version;
pub mod sample;
pub mod store;
pub mod verify;
pub mod writer;
