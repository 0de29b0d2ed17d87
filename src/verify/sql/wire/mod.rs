//! What is said on a connection to a database server, message by message, and what carries it.
//!
//! Not here: what is asked of a server, and what its rows mean.

pub mod mysql;
pub mod postgres;
pub mod steady_tcp;
pub mod tls;
pub mod transport;
