//! DynamoDB: the engine `dynoxide` with a Region, an account and on-demand backups that really restore.

pub mod backups;
pub mod engine;
pub mod service;
pub mod state;
