//! S3 of the sandbox: a versioned store on disk behind S3's wire protocol, snapshots of it for AWS Backup, and faults.
//!
//! Not here: the HTTP listener, and anything a client does.

pub mod api;
pub mod faults;
pub mod schema;
pub mod snapshot;
pub mod store;
