//! S3 of the sandbox: a versioned store on disk behind S3's wire protocol, snapshots of it for AWS Backup, and faults.
//!
//! Not here: the HTTP listener, and anything a client does.

pub mod access_points;
pub mod api;
pub mod blobs;
pub mod buckets;
pub mod digests;
pub mod errors;
pub mod faults;
pub mod garbage;
pub mod interleave;
pub mod listing;
pub mod ops;
pub mod record;
pub mod schema;
pub mod segment;
pub mod snapshot;
pub mod store;
pub mod uploads;
pub mod versions;
