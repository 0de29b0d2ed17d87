//! S3's operations, from s3s's inputs to its outputs, over the rules of the store.

pub mod archive;
pub mod bucket_config;
pub mod buckets;
pub mod convert;
pub mod copy;
pub mod delete;
pub mod encryption;
pub mod find;
pub mod list;
pub mod locks;
pub mod multipart;
pub mod read;
pub mod receive;
pub mod replication;
pub mod retention;
pub mod tags;
pub mod write;
