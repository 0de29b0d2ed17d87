//! SQL databases: canonical rows, table fingerprints, capture and comparison, and SQL checks. The only room that talks to user databases.
//!
//! Not here: restoring a database (`restore`), what a drill concludes, and where findings go.

pub mod access;
pub mod canon;
pub mod capture;
pub mod checks;
pub mod compare;
pub mod database;
pub mod digester;
pub mod display;
pub mod dual;
pub mod errors;
pub mod fields;
pub mod grants;
pub mod items;
pub mod kept;
pub mod key_order;
pub mod lanes;
pub mod large_value;
pub mod logical;
pub mod logical_json;
pub mod logical_text;
pub mod login;
pub mod mysql;
pub mod mysql_catalog;
pub mod mysql_decode;
pub mod mysql_lanes;
pub mod mysql_row;
pub mod mysql_rows;
pub mod mysql_session;
pub mod mysql_wire;
pub mod naming;
pub mod objects;
pub mod postgres;
pub mod postgres_catalog;
pub mod postgres_copy;
pub mod postgres_decode;
pub mod postgres_lanes;
pub mod postgres_session;
pub mod reading;
pub mod scan;
pub mod scope;
pub mod sqlite;
pub mod sqlite_decode;
pub mod table;
pub mod tag;
