//! attestore restores sampled recovery points into an isolated environment, reads everything back, compares it with manifests
//! captured when the data was known good, runs SQL checks, takes everything down again, and writes a signed testing log.
//!
//! The rooms, from the ground floor up; a room imports only from floors below it or beside it, and never in a circle
//! (`tests/tidy.rs` holds them to that):
//!
//! | Floor | Room | What lives there |
//! |---|---|---|
//! | 0 | [`model`] | nouns without I/O: ids, digests, outcomes, findings, recovery points |
//! | 1 | [`signing`] | keys, signed notes, Merkle trees, checkpoints, SSHSIG: pure formats |
//! | 1 | [`engines`] | database servers over throw-away data directories, started on loopback |
//! | 1 | [`monitor`] | events upward: progress, findings, failures that do not end the run |
//! | 2 | [`testing_log`] | entries, the store, append, `log verify`, verifiable sampling |
//! | 2 | [`verify`] | manifests, objects, tables, items, SQL checks: reading and comparing |
//! | 2 | [`aws`] | the only edge to AWS: session, error classes, one file a service |
//! | 3 | [`estate`] | configuration, catalogue of recovery points, sampling policy |
//! | 3 | [`sandbox`] | the stand-in AWS on loopback, planted faults, the demo estate |
//! | 4 | [`restore`] | isolation guard, journal, drivers, teardown, sweep |
//! | 4 | [`report`] | one report model from a verified log; HTML |
//! | 5 | [`drill`] | plan, one case, the whole run |
//! | 6 | [`cli`] | one file a command; the only place that prints |

pub mod aws;
pub mod cli;
pub mod drill;
pub mod engines;
pub mod estate;
pub mod model;
pub mod monitor;
pub mod report;
pub mod restore;
#[cfg(feature = "sandbox")]
pub mod sandbox;
pub mod signing;
pub mod testing_log;
pub mod verify;
