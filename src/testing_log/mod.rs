//! The signed testing log: one immutable file an entry, a Merkle tree over them, signed checkpoints; and the rules that `log verify` enforces.
//!
//! Not here: how a drill comes to its results, and how people are told. Nothing in this room knows AWS.

pub mod body;
