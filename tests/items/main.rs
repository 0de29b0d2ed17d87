//! DynamoDB items: canonical form, scans, exports, captures and comparisons, SQL over items, the wire.
//!
//! | Module | What it holds |
//! |---|---|
//! | `canonical` | the canonical form against a naive model, golden vectors, and a second implementation in Python |
//! | `json` | the three JSON shapes of an item |
//! | `scans` | scans of a table, their throttling and their faults |
//! | `exports` | exports to S3: their manifests, what is missing in them, what is wrong with them |
//! | `direct` | a table against a table |
//! | `sql` | SQL checks over items |
//! | `wire` | requests, answers and retries |
//! | `moto` | an export that others wrote |
//! | `table` | a table in memory, captured and compared |

mod canonical;
mod direct;
mod exports;
mod json;
mod moto;
mod scans;
mod sql;
mod table;
mod wire;
