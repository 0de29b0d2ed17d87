//! DynamoDB items: canonical form, scans, exports, captures and comparisons, the wire.

mod canonical;
mod exports;
mod json;
mod scans;
mod table;
mod wire;
