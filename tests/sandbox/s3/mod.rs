//! The sandbox's S3 against AWS's own Rust SDK, over the wire, and its store against a naive model.
//!
//! | File | What it holds |
//! |---|---|
//! | `objects` | one object: put, get, ranges, conditions, checksums, odd keys, errors |
//! | `versions` | versioning, delete markers, listings in pages, Object Lock |
//! | `multipart` | uploads in parts, their ETags and checksums |
//! | `snapshots` | snapshots, restores, planted damage |
//! | `serving` | signatures, planted faults, state across restarts, the lock on the folder |
//! | `model` | random histories against a store that is a list in memory |

mod help;
mod model;
mod multipart;
mod objects;
mod serving;
mod snapshots;
mod versions;
