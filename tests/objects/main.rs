//! Objects of a folder or of S3: captured, compared, gone on with.
//!
//! | Module | What it holds |
//! |---|---|
//! | `dir` | folders: capture, comparison, faults, against a naive model |
//! | `cli` | `manifest` and `verify` of objects on the command line |
//! | `s3` | S3 over the wire: listings, hostile keys, versions, faults in bodies, moments of the past |
//! | `evidence` | what S3 says of its objects beside their bytes: checksums, ETags, locks, replicas, lists of keys |
//! | `faults` | S3 that throttles, cuts, lies, and changes meanwhile |
//! | `resume` | runs that are interrupted or bounded and go on where they were |
//! | `stand_ins` | one suite against two stand-ins of S3 |

mod cli;
mod dir;
#[cfg(feature = "sandbox")]
mod evidence;
#[cfg(feature = "sandbox")]
mod faults;
#[cfg(feature = "sandbox")]
mod resume;
#[cfg(feature = "sandbox")]
mod s3;
#[cfg(feature = "sandbox")]
mod stand_ins;
