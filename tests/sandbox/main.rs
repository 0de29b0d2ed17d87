//! The stand-in AWS, spoken to by AWS’s own SDK for Rust and by boto3.
//!
//! | Module | What it holds |
//! |---|---|
//! | `control` | AWS Backup, RDS, DynamoDB, STS: what a drill does, what lies to it, what a kill leaves |
//! | `s3` | S3, and its store against a naive model |
//! | `templates`, `again` | empty databases that are made once and copied; servers that are started again where they were |
//! | `foreign` | boto3, operation by operation; its scripts lie in `tests/foreign` |
//!
//! Database servers are booted from fresh data directories; where none is installed, the tests that need one say so and are skipped, unless
//! `ATTESTORE_REQUIRE` names `postgres` or `mariadb`.

#[cfg(feature = "sandbox")]
mod again;
#[cfg(feature = "sandbox")]
#[path = "../common/clients.rs"]
mod clients;
#[cfg(feature = "sandbox")]
mod control;
#[cfg(feature = "sandbox")]
#[path = "../common/engines.rs"]
mod engines;
#[cfg(feature = "sandbox")]
mod foreign;
#[cfg(feature = "sandbox")]
mod s3;
#[cfg(feature = "sandbox")]
mod templates;
