//! DynamoDB: the engine `dynoxide` with a Region, an account and backups, point-in-time recovery and exports that really restore.

pub mod backups;
pub mod engine;
pub mod exports;
pub mod history;
pub mod regions;
pub mod service;
pub mod state;
