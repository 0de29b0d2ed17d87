//! What a database defines beside the rows of its tables: what is asked of each engine's catalogue, and how two answers compare.
//!
//! Not here: the columns and keys of tables, which decide how rows are read (`table` and the catalogues).

pub mod folded;
pub mod kinds;
pub mod mysql;
pub mod postgres;
pub mod postgres_kinds;
pub mod sqlite;
