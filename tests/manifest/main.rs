//! Manifests: what they hold, what is refused, how they are exchanged and proven.
//!
//! | Module | What it holds |
//! |---|---|
//! | `whole` | written, signed, read back, compared; `manifest` on the command line |
//! | `exchange` | other tools’ lists: checksum files, BagIt, S3 inventories, MHL |
//! | `faults` | damaged inventories |
//! | `incremental` | a capture that goes on from an earlier one |
//! | `observe` | manifests of what stands, and what they do not prove |
//! | `prove` | proofs that one entry is in a manifest |

mod exchange;
mod faults;
mod incremental;
mod observe;
mod prove;
mod whole;
