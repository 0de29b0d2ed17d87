//! What a reader may see of a database, and the statements that give it what it needs.
//!
//! Not here: asking a database for them (`grants`).

pub mod mysql;
pub mod mysql_held;
pub mod postgres;
pub mod spelling;
