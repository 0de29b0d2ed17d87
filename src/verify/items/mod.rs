//! DynamoDB items: canonical encoding, fingerprints, segmented scan, capture and comparison.

pub mod canonical;
pub mod digest;
pub mod source;
