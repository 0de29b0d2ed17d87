//! How a database is reached, who answers there, and what its refusals mean.
//!
//! Not here: the bytes of a connection (`wire`), and what is asked on it.

pub mod access;
pub mod ends;
pub mod errors;
pub mod heard;
pub mod keeper;
pub mod login;
pub mod speaker;
