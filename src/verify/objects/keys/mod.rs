//! Lists of keys made elsewhere, read instead of listing a bucket: S3 Inventory, and what rclone prints.
//!
//! Not here: listing a bucket itself, and manifests in other people's formats.

pub mod csv;
pub mod inventory;
pub mod inventory_rows;
pub mod listed;
pub mod text;
