//! The only edge to AWS: session, error classes, one file a service. Nothing else in the crate names an SDK crate
//! (the sandbox may name the wire types that it must).

pub mod backup;
pub mod backup_access;
pub mod buckets;
pub mod connections;
pub mod dynamodb;
pub mod dynamodb_backup;
pub mod dynamodb_direct;
pub mod dynamodb_export;
pub mod dynamodb_settings;
pub mod errors;
pub mod pages;
pub mod rds;
pub mod rds_token;
pub mod restoring;
pub mod s3;
pub mod s3_answer;
pub mod s3_archive;
pub mod s3_copies;
pub mod s3_customer_keys;
pub mod s3_direct;
pub mod s3_evidence;
pub mod s3_listing;
pub mod s3_views;
pub mod seen;
pub mod session;
pub mod signature;
pub mod sts;
pub mod times;
