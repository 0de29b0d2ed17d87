//! One driver a way of bringing recovery points back, and which one fits a point.

pub mod asked_again;
pub mod backup_access_point;
pub mod backup_dynamodb;
pub mod backup_jobs;
pub mod backup_rds;
pub mod backup_s3;
pub mod choose;
pub mod dynamodb_backup;
pub mod dynamodb_pitr;
pub mod instances;
pub mod local;
pub mod local_database;
pub mod own_bucket;
pub mod rds_pitr;
pub mod rds_snapshot;
pub mod s3_versions;
