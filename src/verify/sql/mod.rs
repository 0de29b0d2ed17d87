//! SQL databases: canonical rows, table fingerprints, capture and comparison, and SQL checks. The only room that talks to user databases.
//!
//! Not here: restoring a database (`restore`), what a drill concludes, and where findings go.

pub mod access;
pub mod canon;
pub mod capture;
pub mod checks;
pub mod compare;
pub mod errors;
pub mod mysql_decode;
pub mod postgres_decode;
pub mod sqlite_decode;
pub mod table;
