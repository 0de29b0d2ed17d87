//! DynamoDB items: canonical encoding, fingerprints, segmented scan, capture and comparison.

pub mod canonical;
pub mod capture;
pub mod compare;
pub mod digest;
pub mod scan;
pub mod source;
