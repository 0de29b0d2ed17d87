//! What can go wrong on the wire.
//!
//! Not here: what kind of failure that is (`errors`).

use std::io;

/// Why a session could not be opened, or an answer not be had.
#[derive(Debug, thiserror::Error)]
pub enum PgWireError {
    /// The connection could not be made, or broke.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    /// The server refused.
    #[error("{message} ({code})")]
    Server {
        /// SQLSTATE.
        code: String,
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
}

impl PgWireError {
    /// Bytes that the protocol does not allow.
    pub fn protocol(said: impl Into<String>) -> Self {
        Self::Protocol(said.into())
    }

    /// The server ended the connection.
    pub fn ended() -> Self {
        Self::Io(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed it"))
    }
}
