//! One row into the record that a fingerprint is made of: the hash of its key and its own digest, over exact or logical fields.
//!
//! Not here: how rows are read, and what fingerprints do with records.

use crate::verify::sql::canon::{Row, RowKeys};
use crate::verify::sql::logical::{self, LogicalColumn};
use crate::verify::sql::reading::Record;
use crate::verify::sql::table::Table;

/// What is digested of each column.
#[derive(Clone, PartialEq, Debug)]
pub enum Meaning {
    /// Its exact field.
    Exact,
    /// Its logical form; one for each of the table's columns.
    Logical(Vec<LogicalColumn>),
}

/// Digests rows of one table that hold some of its columns.
#[derive(Clone)]
pub struct Digester {
    keys: RowKeys,
    key: Vec<usize>,
    logical: Option<Vec<LogicalColumn>>,
    brought: Row,
    scratch: Vec<u8>,
}

impl Digester {
    /// For rows that hold the columns at `columns` (ascending indexes), the key's among them.
    pub fn new(keys: &RowKeys, table: &Table, columns: &[usize], meaning: &Meaning) -> Self {
        let key = table.key.iter().filter_map(|index| columns.iter().position(|column| column == index)).collect();
        let logical = match meaning {
            Meaning::Exact => None,
            Meaning::Logical(all) => Some(columns.iter().filter_map(|index| all.get(*index).copied()).collect()),
        };
        Self { keys: keys.clone(), key, logical, brought: Row::new(keys), scratch: Vec::new() }
    }

    /// An empty row to fill.
    pub fn row(&self) -> Row {
        Row::new(&self.keys)
    }

    /// The row that is digested in place of an exact one.
    pub fn meant<'a>(&'a mut self, row: &'a Row) -> &'a Row {
        let Some(logical) = &self.logical else { return row };
        self.brought.begin(row.len());
        for (at, column) in logical.iter().enumerate() {
            logical::field(*column, row.field(at), &mut self.brought);
        }
        &self.brought
    }

    /// The record of a row; without a key the row names itself.
    pub fn record(&mut self, row: &Row) -> Record {
        self.meant(row);
        let row = if self.logical.is_some() { &self.brought } else { row };
        let digest = self.keys.row_digest(row);
        let key = if self.key.is_empty() { digest } else { self.keys.key_hash_in(row, &self.key, &mut self.scratch) };
        let mut record = [0; 64];
        record[..32].copy_from_slice(&key);
        record[32..].copy_from_slice(&digest);
        record
    }

    /// The first bytes of the row's key hash.
    pub fn key_head(&mut self, row: &Row) -> [u8; 8] {
        self.record(row)[..8].try_into().expect("a record has 64 bytes")
    }

    /// A digest of each field, for telling columns apart.
    pub fn fields(&mut self, row: &Row) -> Vec<[u8; 8]> {
        let meant = self.meant(row);
        let digest = |at| blake3::hash(meant.field(at)).as_bytes()[..8].try_into().expect("a hash has 32 bytes");
        (0..meant.len()).map(digest).collect()
    }
}
