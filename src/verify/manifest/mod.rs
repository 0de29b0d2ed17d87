//! Manifests: a signed header and sorted Parquet parts; written once, merged in constant memory.
//!
//! Not here: what is captured (objects, tables, items have their rooms) and what a difference means.

pub mod chunks;
pub mod columns;
pub mod cursor;
pub mod decoders;
pub mod diff;
pub mod exchange;
pub mod hashing_file;
pub mod header;
pub mod leaf_json;
pub mod names;
pub mod object_batch;
pub mod page;
pub mod pages;
pub mod part_file;
pub mod parts;
pub mod proof;
pub mod reader;
pub mod request;
pub mod row;
pub mod workplace;
pub mod writer;
