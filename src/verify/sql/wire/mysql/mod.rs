//! A session of MySQL or MariaDB as it is on the wire: logging in, statements, and rows of the binary protocol decoded where they lie in
//! the read buffer.
//!
//! Not here: what is asked (`session`, `catalog`, `key_ranges`), what values mean (`rows::mysql_decode`), and SQL checks, whose
//! sessions are the driver's (`checks`).

pub mod answers;
pub mod channel;
pub mod cursor;
pub mod error;
pub mod login;
pub mod options;
pub mod packets;
pub mod pieces;
pub mod scramble;
pub mod session;
pub mod values;
