//! DynamoDB items: canonical form, scans, exports, captures and comparisons, SQL over items, the wire.

mod canonical;
mod direct;
mod exports;
mod json;
mod scans;
mod sql;
mod table;
mod wire;
