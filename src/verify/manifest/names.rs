//! The names of rows: what a manifest that was captured with `--sidecar keys` or `columns` holds of each row of a table beside its sidecar.
//!
//! `names-NNNNN.parquet`, sorted by `(key, key_hash, row_hash)`:
//!
//! | Column | Type | What |
//! |---|---|---|
//! | `key` | UTF-8 | the table's name |
//! | `key_hash`, `row_hash` | 8 bytes each | those of the row in the sidecar |
//! | `name` | UTF-8 | the primary key in the clear, `COLUMN=VALUE …`, as findings spell it |
//! | `columns` | UTF-8 or null | 8 hex digits for each column that is read, in ascending order of the columns' names (`ROWS.md`) |
//!
//! Like the sidecar it is an index and never the verdict. A table without a primary key has none; of rows that are equal there is one.

use std::cmp::Ordering;

use crate::verify::manifest::columns::{Cell, Cells, ColumnKind, ColumnSpec};
use crate::verify::manifest::leaf_json::Members;
use crate::verify::manifest::row::Row;

/// The name of one row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NameRow {
    /// The table's name.
    pub key: String,
    /// The first 8 bytes of the keyed hash of the primary key, or its code, as the sidecar has it.
    pub key_hash: [u8; 8],
    /// The first 8 bytes of the keyed row digest.
    pub row_hash: [u8; 8],
    /// The primary key: `COLUMN=VALUE …`.
    pub name: String,
    /// The first 4 bytes of the keyed hash of each column, in hex.
    pub columns: Option<String>,
}

impl NameRow {
    /// The hashes of its columns; nothing where there are none, or where they are no hashes.
    pub fn column_hashes(&self) -> Vec<[u8; 4]> {
        let bytes = self.columns.as_ref().and_then(|columns| hex::decode(columns).ok()).unwrap_or_default();
        let (hashes, rest) = bytes.as_chunks::<4>();
        if rest.is_empty() { hashes.to_vec() } else { Vec::new() }
    }
}

impl Row for NameRow {
    const PREFIX: &'static str = "names";
    const DUPLICATES: bool = false;
    const KEYS_REPEAT: bool = true;
    const COLUMNS: &'static [ColumnSpec] = &[
        ColumnSpec { name: "key", kind: ColumnKind::Key, optional: false },
        ColumnSpec { name: "key_hash", kind: ColumnKind::Fixed(8), optional: false },
        ColumnSpec { name: "row_hash", kind: ColumnKind::Fixed(8), optional: false },
        ColumnSpec { name: "name", kind: ColumnKind::Text, optional: false },
        ColumnSpec { name: "columns", kind: ColumnKind::Text, optional: true },
    ];

    fn key(&self) -> &str {
        &self.key
    }

    fn order(&self, other: &Self) -> Ordering {
        let hashes = |row: &Self| (row.key_hash, row.row_hash);
        self.key.as_bytes().cmp(other.key.as_bytes()).then_with(|| hashes(self).cmp(&hashes(other)))
    }

    fn write(&self, put: &mut dyn FnMut(Cell<'_>)) {
        put(Cell::Text(&self.key));
        put(Cell::Fixed(&self.key_hash));
        put(Cell::Fixed(&self.row_hash));
        put(Cell::Text(&self.name));
        put(Cell::text(self.columns.as_deref()));
    }

    fn read(cells: &mut Cells<'_>) -> Result<Self, String> {
        let key = cells.text()?.ok_or("no key")?;
        let key_hash = cells.fixed::<8>()?.ok_or("no key_hash")?;
        let row_hash = cells.fixed::<8>()?.ok_or("no row_hash")?;
        let name = cells.text()?.ok_or("no name")?;
        Ok(Self { key, key_hash, row_hash, name, columns: cells.text()? })
    }

    fn leaf(&self, out: &mut Vec<u8>) {
        let mut json = Members::open(out);
        json.text("columns", self.columns.as_deref());
        json.text("key", Some(&self.key));
        json.hex("key_hash", Some(&self.key_hash));
        json.text("name", Some(&self.name));
        json.hex("row_hash", Some(&self.row_hash));
        json.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_columns_are_read_back_and_anything_else_is_none() {
        let row = |columns: Option<&str>| NameRow {
            key: "t".into(),
            key_hash: [1; 8],
            row_hash: [2; 8],
            name: "id=1".into(),
            columns: columns.map(str::to_owned),
        };
        assert_eq!(row(Some("0102030405060708")).column_hashes(), [[1, 2, 3, 4], [5, 6, 7, 8]]);
        for bad in [None, Some(""), Some("010203"), Some("zz")] {
            assert!(row(bad).column_hashes().is_empty(), "{bad:?}");
        }
        let mut leaf = Vec::new();
        row(None).leaf(&mut leaf);
        assert!(crate::model::canonical_json::is_canonical(&leaf), "{}", String::from_utf8_lossy(&leaf));
    }
}
