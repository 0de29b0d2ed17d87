//! What can go wrong on the wire.
//!
//! Not here: what kind of failure that is (`errors`).

use std::io;

/// Why a session could not be opened, or an answer not be had.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The connection could not be made, or broke.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    /// The server refused, with its own number.
    #[error("{message} ({})", if state.is_empty() { number.to_string() } else { state.clone() })]
    Server {
        /// The server's error number.
        number: u16,
        /// SQLSTATE; empty where the server sent none.
        state: String,
        /// What it said.
        message: String,
    },
    /// Bytes that the protocol does not allow.
    #[error("not as the protocol has it: {0}")]
    Protocol(String),
    /// No TLS, or not with whom it should be.
    #[error("TLS: {0}")]
    Tls(String),
    /// The server asks for a login that cannot be given.
    #[error("{0}")]
    Login(String),
    /// The server greets in a way of before what is spoken here.
    #[error("too old a protocol: version `{}`, {lacks}", version.escape_default())]
    TooOld {
        /// The version as the server states it.
        version: String,
        /// What is missing.
        lacks: String,
    },
}

impl WireError {
    /// Bytes that the protocol does not allow.
    pub fn protocol(said: impl Into<String>) -> Self {
        Self::Protocol(said.into())
    }

    /// The server ended the connection.
    pub fn ended() -> Self {
        Self::Io(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed it"))
    }
}
