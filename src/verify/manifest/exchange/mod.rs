//! Manifests in other people's formats: checksum lists and bags come in, and go out, without a source being read on the way in.
//!
//! Not here: what a manifest is, and reading sources. An imported manifest says that it is one.

pub mod bag_files;
pub mod bag_read;
pub mod bag_write;
pub mod batch;
pub mod export;
pub mod import;
pub mod inventory_import;
pub mod lines;
pub mod paths;
pub mod sorted;
