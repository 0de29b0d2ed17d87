//! What a row is, whichever engine holds it: tables and their columns, each engine's values decoded, canonical and logical fields, and digests.
//!
//! ROWS.md is the specification. Not here: how rows are asked for, and what is compared.

pub mod calendar;
pub mod canon;
pub mod digester;
pub mod display;
pub mod fields;
pub mod key_order;
pub mod large_value;
pub mod logical;
pub mod logical_json;
pub mod logical_text;
pub mod mysql_charset;
pub mod mysql_decode;
pub mod notes;
pub mod postgres_decode;
pub mod row_keys;
pub mod sqlite_decode;
pub mod table;
pub mod tag;
