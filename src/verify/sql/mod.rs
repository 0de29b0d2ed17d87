//! SQL databases: canonical rows, table fingerprints, capture and comparison, and SQL checks. The only room that talks to user databases.
//!
//! Not here: restoring a database (`restore`), what a drill concludes, and where findings go.

pub mod capture;
pub mod changes;
pub mod checks;
pub mod compare;
pub mod connect;
pub mod database;
pub mod declared;
pub mod definitions;
pub mod grants;
pub mod items;
pub mod kept;
pub mod lanes;
pub mod last_value;
pub mod mysql;
pub mod naming;
pub mod not_read;
pub mod position;
pub mod postgres;
pub mod reading;
pub mod rights;
pub mod rows;
pub mod scan;
pub mod scope;
pub mod sqlite;
pub mod stopping;
pub mod watermark;
pub mod wire;
pub mod writing;
