//! The only edge to AWS: session, error classes, one file a service. Nothing else in the crate names an SDK crate
//! (the sandbox may name the wire types that it must).

pub mod dynamodb;
pub mod errors;
pub mod session;
