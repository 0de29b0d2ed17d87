//! One row into the record that a fingerprint is made of: the hash of its key and its own digest, over exact or logical fields; and, where a
//! manifest is to name rows, into a note.
//!
//! Not here: how rows are read, and what fingerprints do with records.

use crate::verify::buckets::{self, Record};
use crate::verify::key_ranges::Code;
use crate::verify::manifest::request::Sidecar;
use crate::verify::sql::rows::canon::Row;
use crate::verify::sql::rows::key_order::{Coder, KeyOrder};
use crate::verify::sql::rows::logical::{self, LogicalType};
use crate::verify::sql::rows::notes::{ColumnHash, ColumnHasher, Noter};
use crate::verify::sql::rows::row_keys::RowKeys;
use crate::verify::sql::rows::table::Table;

/// What is digested of each column.
#[derive(Clone, PartialEq, Debug)]
pub enum Meaning {
    /// Its exact field.
    Exact,
    /// Its logical form; one for each of the table's columns.
    Logical(Vec<LogicalType>),
}

/// Rows that are digested together at most.
const TOGETHER: usize = 512;
/// Bytes of rows that are held back at most before they are digested.
const TOGETHER_BYTES: usize = 256 << 10;

/// Digests rows of one table that hold some of its columns.
#[derive(Clone)]
pub struct Digester {
    keys: RowKeys,
    key: Vec<usize>,
    logical: Option<Vec<LogicalType>>,
    /// Where rows stand by their keys and not by the hashes of these.
    coder: Option<Coder>,
    table: String,
    columns: Vec<String>,
    noter: Option<Noter>,
    brought: Row,
    scratch: Vec<u8>,
    waiting: Waiting,
}

/// Rows that wait to be digested, one after another, and where each ends; the same of their keys.
#[derive(Clone, Default)]
struct Waiting {
    rows: Vec<u8>,
    row_ends: Vec<usize>,
    keys: Vec<u8>,
    key_ends: Vec<usize>,
    codes: Vec<Code>,
    row_digests: Vec<[u8; 32]>,
    key_hashes: Vec<[u8; 32]>,
}

impl Digester {
    /// For rows that hold the columns at `columns` (ascending indexes), the key's among them.
    pub fn new(keys: &RowKeys, table: &Table, columns: &[usize], meaning: &Meaning) -> Self {
        let key = table.key.iter().filter_map(|index| columns.iter().position(|column| column == index)).collect();
        let logical = match meaning {
            Meaning::Exact => None,
            Meaning::Logical(all) => Some(columns.iter().filter_map(|index| all.get(*index).copied()).collect()),
        };
        let columns = columns.iter().map(|index| table.columns[*index].name.clone()).collect();
        let (brought, scratch, waiting) = (Row::new(keys), Vec::new(), Waiting::default());
        let table = table.name.clone();
        Self { keys: keys.clone(), key, logical, coder: None, table, columns, noter: None, brought, scratch, waiting }
    }

    /// The same with a note of each row that is gathered, for rows that hold all columns of `table`.
    #[must_use]
    pub fn noting(mut self, table: &Table, sidecar: Sidecar) -> Self {
        let columns: Vec<usize> = (0..table.columns.len()).collect();
        self.noter = Noter::new(&self.keys, table, &columns, sidecar);
        self
    }

    /// The same with the keys themselves, in this order, in the place of their hashes.
    #[must_use]
    pub fn in_order(mut self, order: Option<&KeyOrder>) -> Self {
        let columns: Vec<&str> = self.columns.iter().map(String::as_str).collect();
        self.coder = order.map(|order| order.coder(&columns));
        self
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
        let digest = self.keys.row_digest(row.bytes());
        if let Some(coder) = &self.coder {
            return buckets::record_at(&coder.code(row), &digest);
        }
        let key = if self.key.is_empty() { digest } else { self.keys.key_hash(row.key_in(&self.key, &mut self.scratch)) };
        buckets::record(&key, &digest)
    }

    /// Takes a row in; its record is appended to `records` with those of others, some time or when [`Digester::flush`] is called.
    pub fn gather(&mut self, row: &Row, records: &mut Vec<Record>) {
        self.meant(row);
        let row = if self.logical.is_some() { &self.brought } else { row };
        if let Some(noter) = &mut self.noter {
            noter.take_in(row, &self.keys.key_hash(row.key_in(&self.key, &mut self.scratch)));
        }
        let waiting = &mut self.waiting;
        waiting.rows.extend_from_slice(row.bytes());
        waiting.row_ends.push(waiting.rows.len());
        if let Some(coder) = &self.coder {
            waiting.codes.push(coder.code(row));
        } else if !self.key.is_empty() {
            row.put_key(&self.key, &mut waiting.keys);
            waiting.key_ends.push(waiting.keys.len());
        }
        if waiting.row_ends.len() >= TOGETHER || waiting.rows.len() >= TOGETHER_BYTES {
            self.flush(records);
        }
    }

    /// Appends the records of all rows that were gathered, in their order.
    pub fn flush(&mut self, records: &mut Vec<Record>) {
        let waiting = &mut self.waiting;
        let from = records.len();
        self.keys.digest_rows(&waiting.rows, &waiting.row_ends, &mut waiting.row_digests);
        if self.coder.is_some() {
            records.extend(waiting.codes.iter().zip(&waiting.row_digests).map(|(code, digest)| buckets::record_at(code, digest)));
        } else {
            self.keys.hash_keys(&waiting.keys, &waiting.key_ends, &mut waiting.key_hashes);
            let keys = if self.key.is_empty() { &waiting.row_digests } else { &waiting.key_hashes };
            records.extend(keys.iter().zip(&waiting.row_digests).map(|(key, digest)| buckets::record(key, digest)));
        }
        if let Some(noter) = &mut self.noter {
            noter.place(&records[from..]);
        }
        waiting.codes.clear();
        waiting.rows.clear();
        waiting.row_ends.clear();
        waiting.keys.clear();
        waiting.key_ends.clear();
        waiting.row_digests.clear();
        waiting.key_hashes.clear();
    }

    /// The first bytes of the row's key hash, or its key's place in the order.
    pub fn key_head(&mut self, row: &Row) -> [u8; 8] {
        self.record(row)[..8].try_into().expect("a record has 40 bytes")
    }

    /// Whether rows are noted.
    pub fn is_noting(&self) -> bool {
        self.noter.is_some()
    }

    /// How many pieces of notes there are to be taken.
    pub fn noted(&self) -> usize {
        self.noter.as_ref().map_or(0, Noter::count)
    }

    /// Takes the pieces of the notes of all rows whose records were given.
    pub fn take_notes(&mut self) -> Vec<Record> {
        self.noter.as_mut().map(Noter::take).unwrap_or_default()
    }

    /// A hash of each column, for telling which differ.
    pub fn fields(&mut self, row: &Row) -> Vec<ColumnHash> {
        self.meant(row);
        let row = if self.logical.is_some() { &self.brought } else { row };
        let key_hash = self.keys.key_hash(row.key_in(&self.key, &mut self.scratch));
        let hasher = ColumnHasher::new(&self.keys, &self.table, self.columns.iter().map(String::as_str));
        hasher.hashes(row, &key_hash).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::hash_key::HashKey;
    use crate::verify::sql::rows::table::{Column, Wire};

    fn table(key: &[String]) -> Table {
        let column = |name: &str| Column { name: name.into(), type_text: "t".into(), nullable: true, generated: false, wire: Wire::Sqlite };
        Table::new("t".into(), "t".into(), vec![column("a"), column("b")], key)
    }

    #[test]
    fn rows_that_are_gathered_have_the_records_that_they_have_alone() {
        let keys = RowKeys::new(&HashKey::from_bytes([7; 32]));
        for key in [vec![], vec!["b".to_owned()], vec!["a".to_owned(), "b".to_owned()]] {
            let mut digester = Digester::new(&keys, &table(&key), &[0, 1], &Meaning::Exact);
            let (mut row, mut gathered, mut alone) = (digester.row(), Vec::new(), Vec::new());
            for n in 0..3 * TOGETHER as u64 + 5 {
                row.begin(2);
                row.unsigned(n);
                // Some are longer than what is digested side by side, and one than what is held back.
                row.blob(&vec![n as u8; if n == 700 { TOGETHER_BYTES } else { n as usize % 1_300 }]);
                digester.gather(&row, &mut gathered);
                alone.push(digester.record(&row));
            }
            assert!(gathered.len() < alone.len());
            digester.flush(&mut gathered);
            assert_eq!(gathered, alone);
            digester.flush(&mut gathered);
            assert_eq!(gathered.len(), alone.len());
        }
    }
}
