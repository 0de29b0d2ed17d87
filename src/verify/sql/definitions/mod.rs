//! What a database defines beside the rows of its tables: what is asked of each engine's catalogue, and how two answers compare.
//!
//! Not here: the columns and keys of tables, which decide how rows are read (`table` and the catalogues).

pub mod alike;
pub mod behind;
pub mod belonging;
pub mod differences;
pub mod folded;
pub mod kinds;
pub mod mysql;
pub mod not_carried;
pub mod postgres;
pub mod postgres_objects;
pub mod postgres_own;
pub mod postgres_positions;
pub mod postgres_rights;
pub mod sqlite;
