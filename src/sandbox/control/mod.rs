//! The control planes of the stand-in AWS: STS, DynamoDB with its backups, AWS Backup, RDS.
//!
//! Answers follow the published service models; restores create real tables, buckets and database servers.

pub mod answer;
pub mod backup;
pub mod dynamodb;
pub mod faults;
pub mod kept;
pub mod plane;
pub mod rds;
pub mod sts;
