//! What a database defines beside its rows, one change at a time: each is found and named, and the same database again shows none.

pub mod mysql_family;
pub mod postgres;
mod sqlite;
mod support;
