//! What rows, keys of rows and columns are digested with, all derived from one hash key.
//!
//! Not here: what is digested (`canon`, ROWS.md), and how many rows are at once (`wide_blake3`).

use crate::signing::hash_key::HashKey;
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

    /// The digest of a whole row, of which these are the bytes.
    pub fn row_digest(&self, row: &[u8]) -> [u8; 32] {
        *blake3::keyed_hash(&self.row, row).as_bytes()
    }

    /// The hash of a row's key, of which these are the bytes.
    pub fn key_hash(&self, key: &[u8]) -> [u8; 32] {
        *blake3::keyed_hash(&self.key, key).as_bytes()
    }

    /// The digests of whole rows that stand one after another in `rows`, each ending where `ends` says.
    pub fn digest_rows(&self, rows: &[u8], ends: &[usize], digests: &mut Vec<[u8; 32]>) {
        digests::keyed(&self.row, rows, ends, digests);
    }

    /// The same of keys.
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
