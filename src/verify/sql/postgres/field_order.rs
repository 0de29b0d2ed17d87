//! The order of a row's fields where they arrive in another one: the order in which they are stored.
//!
//! Not here: which order that is (`rows`, `catalog`), and how fields arrive (`copy`).

use crate::verify::sql::postgres::copy_format::first_value;
use crate::verify::sql::rows::canon::Row;
use crate::verify::sql::rows::postgres_decode::{self, PgType};

/// Room for values that is kept for the next ones.
pub const KEPT: usize = 1 << 20;

/// A column that is copied: its type, and its name for errors.
pub type ArrivingColumn<'a> = (&'a PgType, &'a str);

/// Gets each row; false when it has had enough.
pub type RowSink<'a> = &'a mut (dyn FnMut(&Row) -> bool + Send);

/// Appends a value to its row.
#[inline]
pub fn decoded((kind, name): &ArrivingColumn<'_>, value: Option<&[u8]>, row: &mut Row) -> Result<(), String> {
    postgres_decode::field(kind, value, row).map_err(|said| format!("column {name}: {said}"))
}

/// Brings fields into the order that they have in a row.
pub struct FieldOrder {
    /// Where each field of a row arrives.
    places: Vec<usize>,
    /// Room for where the values of a row begin, and how long they are.
    values: Vec<(usize, Option<usize>)>,
    /// Room for a row that arrived in pieces.
    turned: Row,
}

impl FieldOrder {
    /// Of rows whose first field arrives at the first of these places, and so on; nothing where they arrive in order.
    pub fn of(places: Vec<usize>) -> Option<Self> {
        (!places.is_sorted()).then(|| Self { places, values: Vec::new(), turned: Row::empty() })
    }

    /// Decodes a row whose fields begin here and gives what follows it; nothing where it is not whole.
    #[inline]
    pub fn in_place<'b>(&mut self, columns: &[ArrivingColumn<'_>], bytes: &'b [u8], row: &mut Row) -> Result<Option<&'b [u8]>, String> {
        let mut left = bytes;
        self.values.clear();
        for _ in columns {
            let Some((value, rest)) = first_value(left)? else { return Ok(None) };
            let length = value.map(<[u8]>::len);
            self.values.push((bytes.len() - rest.len() - length.unwrap_or(0), length));
            left = rest;
        }
        for place in &self.places {
            let (start, length) = self.values[*place];
            decoded(&columns[*place], length.map(|length| &bytes[start..start + length]), row)?;
        }
        Ok(Some(left))
    }

    /// Hands over a row that was decoded as it arrived.
    pub fn with(&mut self, row: &Row, each: RowSink<'_>) -> bool {
        self.turned.rearranged(row, &self.places);
        let go_on = each(&self.turned);
        if self.turned.bytes().len() > KEPT {
            self.turned = Row::empty();
        }
        go_on
    }
}
