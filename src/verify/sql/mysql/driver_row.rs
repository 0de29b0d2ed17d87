//! Raw access to the driver's rows of MySQL and MariaDB: the bytes as they came, before anything interprets them.
//!
//! Not here: rows of tables and of the catalogue, which the driver does not read (`wire::mysql`).

use sqlx::mysql::MySqlRow;
use sqlx::{Decode, MySql, Row as _};

/// The bytes of a value. The driver calls zero dates NULL, so NULL is what has no bytes, not what it says.
fn raw(row: &MySqlRow, index: usize) -> Result<Option<&[u8]>, sqlx::Error> {
    Ok(<&[u8] as Decode<MySql>>::decode(row.try_get_raw(index)?).ok())
}

/// A text of the catalogue, whichever character set the metadata claims.
pub fn text(row: &MySqlRow, index: usize) -> Result<Option<String>, sqlx::Error> {
    Ok(raw(row, index)?.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
}
