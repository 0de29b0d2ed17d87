//! What a manifest's row sidecar has of one table, out of the sidecar of all of them in order.

use std::iter::Peekable;

use crate::model::failure::Failure;
use crate::verify::differences::SidecarPair;
use crate::verify::manifest::reader::Rows;
use crate::verify::manifest::row::SidecarRow;

/// The sidecar's pairs of one table; what precedes it belongs to tables that needed none.
pub struct OfTable<'a> {
    /// The sidecar, at a table that comes before this one or at this one.
    pub rows: &'a mut Peekable<Rows<SidecarRow>>,
    /// The table's name.
    pub table: &'a str,
}

impl Iterator for OfTable<'_> {
    type Item = Result<SidecarPair, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        let table = self.table.as_bytes();
        loop {
            let next = self.rows.next_if(|row| row.as_ref().map_or(true, |row| row.key.as_bytes() <= table))?;
            match next {
                Err(failure) => return Some(Err(failure)),
                Ok(row) if row.key.as_bytes() == table => return Some(Ok((row.key_hash, row.row_hash))),
                Ok(_) => {}
            }
        }
    }
}
