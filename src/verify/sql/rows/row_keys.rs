//! What rows, keys of rows and columns are digested with, all derived from one hash key.
//!
//! Not here: what is digested (`canon`, ROWS.md), and how many rows are at once (`wide_blake3`).

use crate::signing::hash_key::HashKey;
use crate::verify::sql::rows::canon::Row;
use crate::verify::wide_blake3::digests;

/// The keys that rows are digested with.
#[derive(Clone)]
pub struct RowKeys {
    row: [u8; 32],
    key: [u8; 32],
    column: [u8; 32],
}

impl RowKeys {
    /// Derived from the hash key.
    pub fn new(hash_key: &HashKey) -> Self {
        let of = |context| hash_key.derive(context);
        Self { row: of("attestore row v1"), key: of("attestore key v1"), column: of("attestore column v1") }
    }

    /// The digest of the whole row.
    pub fn row_digest(&self, row: &Row) -> [u8; 32] {
        *blake3::keyed_hash(&self.row, row.bytes()).as_bytes()
    }

    /// The hash of the fields at `key` (indexes into the row, ascending), as a row of their own, which is built in `scratch`.
    pub fn key_hash_in(&self, row: &Row, key: &[usize], scratch: &mut Vec<u8>) -> [u8; 32] {
        scratch.clear();
        row.put_key(key, scratch);
        *blake3::keyed_hash(&self.key, scratch).as_bytes()
    }

    /// The digests of whole rows that stand one after another in `rows`, each ending where `ends` says.
    pub fn digest_rows(&self, rows: &[u8], ends: &[usize], digests: &mut Vec<[u8; 32]>) {
        digests::keyed(&self.row, rows, ends, digests);
    }

    /// The same of keys, each as [`Row::put_key`] writes it.
    pub fn hash_keys(&self, keys: &[u8], ends: &[usize], hashes: &mut Vec<[u8; 32]>) {
        digests::keyed(&self.key, keys, ends, hashes);
    }

    /// What large values have their nested digest by.
    pub fn of_large_values(&self) -> [u8; 32] {
        self.row
    }

    /// Hashes a column's field, with the key for these (`notes`).
    pub fn column_hasher(&self) -> blake3::Hasher {
        blake3::Hasher::new_keyed(&self.column)
    }
}
