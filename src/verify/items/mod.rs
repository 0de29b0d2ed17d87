//! DynamoDB items: canonical encoding, fingerprints, segmented scan, capture and comparison.

pub mod source;
