//! MySQL and MariaDB as a source: snapshot, catalogue, sessions, lanes, rows.
//!
//! Not here: the protocol (`wire::mysql`), and what values mean (`rows::mysql_decode`).

pub mod catalog;
pub mod driver_row;
pub mod key_ranges;
pub mod long_row;
pub mod restart;
pub mod rows;
pub mod select;
pub mod session;
pub mod snapshot;
pub mod version;
