//! One row into the record that a fingerprint is made of: the hash of its key and its own digest.
//!
//! Not here: how rows are read, and what fingerprints do with records.

use crate::verify::sql::canon::{Row, RowKeys};
use crate::verify::sql::reading::Record;
use crate::verify::sql::table::Table;

/// Digests the rows of one table.
#[derive(Clone)]
pub struct Digester {
    keys: RowKeys,
    key: Vec<usize>,
}

impl Digester {
    /// For rows that hold all of `table`'s columns.
    pub fn new(keys: &RowKeys, table: &Table) -> Self {
        Self { keys: keys.clone(), key: table.key.clone() }
    }

    /// An empty row to fill.
    pub fn row(&self) -> Row {
        Row::new(&self.keys)
    }

    /// The record of a row; without a key the row names itself.
    pub fn record(&self, row: &Row) -> Record {
        let digest = self.keys.row_digest(row);
        let key = if self.key.is_empty() { digest } else { self.keys.key_hash(row, &self.key) };
        let mut record = [0; 64];
        record[..32].copy_from_slice(&key);
        record[32..].copy_from_slice(&digest);
        record
    }
}
