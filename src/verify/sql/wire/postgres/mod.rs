//! A session of PostgreSQL as it is on the wire (protocol 3.0): logging in, statements, and rows of `COPY` taken where they lie in the
//! read buffer, those that are larger piece by piece.
//!
//! Not here: what is asked (`session`, `block_ranges`), what rows mean (`copy`, `rows::postgres_decode`), and the catalogue,
//! the session that holds the snapshot, and SQL checks, which are the driver's.

pub mod channel;
pub mod end_point;
pub mod error;
pub mod login;
pub mod messages;
pub mod options;
pub mod password_file;
pub mod scram;
pub mod session;
