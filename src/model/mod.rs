//! The nouns of a restore drill, without I/O: what every other room means by an outcome, a finding, a digest, a recovery point.
//!
//! Not here: anything that reads a file, a clock other than the system's, or a network.

pub mod arn;
pub mod canonical_json;
pub mod capture;
pub mod check;
pub mod check_kind;
pub mod clock;
pub mod counts;
pub mod coverage;
pub mod database_default;
pub mod digest;
pub mod exclusion;
pub mod exit;
pub mod failure;
pub mod finding;
pub mod ids;
pub mod not_compared;
pub mod outcome;
pub mod recovery_point;
pub mod resource;
pub mod source_url;
pub mod threshold;
pub mod verification;
