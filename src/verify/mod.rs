//! Reading sources back and comparing them with manifests: objects, tables, items, SQL checks.
//!
//! Not here: AWS (the edge implements the source traits of this room), what a drill concludes, and who is told.

pub mod allowance;
pub mod buckets;
pub mod budget;
pub mod checksum;
pub mod chunks;
pub mod differences;
pub mod fingerprint;
pub mod give_back;
pub mod hashing;
pub mod items;
pub mod key_ranges;
pub mod leaf;
pub mod manifest;
pub mod merge;
pub mod objects;
pub mod ranges;
pub mod records;
pub mod sha256;
pub mod sorter;
pub mod sql;
pub mod sums;
pub mod wide_blake3;
