//! What a session's bytes go through: TCP, a Unix socket, either in TLS.
//!
//! Not here: TLS itself (`tls`), and what is said (`mysql`, `postgres`).

use std::io;
use std::path::Path;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::verify::sql::wire::steady_tcp::SteadyTcp;

/// Bytes in both directions.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Transport for S {}

/// Connects to a Unix socket where there is one, else to a host.
pub async fn connect(host: &str, port: u16, socket: Option<&Path>) -> io::Result<Box<dyn Transport>> {
    match socket {
        Some(path) => Ok(Box::new(UnixStream::connect(path).await?)),
        None => {
            let stream = TcpStream::connect((host.trim_start_matches('[').trim_end_matches(']'), port)).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(SteadyTcp::new(stream)))
        }
    }
}
