//! DynamoDB items: canonical encoding, fingerprints, segmented scan, exports, capture and comparison.

pub mod answer;
pub mod canonical;
pub mod capture;
pub mod changes;
pub mod compare;
pub mod digest;
pub mod expiry;
pub mod export;
pub mod export_files;
pub mod gunzip;
pub mod ion;
pub mod item;
pub mod json;
pub mod pace;
pub mod page;
pub mod reader;
pub mod scan;
pub mod scan_state;
pub mod segments;
pub mod source;
