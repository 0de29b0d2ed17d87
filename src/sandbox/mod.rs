//! The stand-in AWS on loopback: real wire protocols over real data, faults that can be planted, and the demo estate.
//!
//! Not here: anything that the client side needs. Only the command line and tests name this room.

pub mod control;
pub mod demo;
pub mod identity;
pub mod listener;
pub mod s3;
pub mod server;
pub mod wire;
