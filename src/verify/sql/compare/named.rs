//! What a manifest has of the rows that differ: their keys by its names or by their place in the order of keys, and hashes of their columns.
//!
//! Not here: which rows differ (`fingerprint`, `key_ranges`), and how they are told (`naming`).

use std::collections::HashSet;
use std::iter::Peekable;

use serde_json::Value;

use crate::model::failure::Failure;
use crate::model::finding::Class;
use crate::verify::differences::Difference;
use crate::verify::manifest::names::NameRow;
use crate::verify::manifest::reader::Rows;
use crate::verify::sql::naming::{Seen, SeenRows};
use crate::verify::sql::rows::key_order::KeyOrder;
use crate::verify::sql::rows::table::Table;
use crate::verify::sql::scan::Wanted;

/// A table whose rows are named.
pub struct Of<'a> {
    /// The columns that are compared.
    pub table: &'a Table,
    /// As the manifest describes it.
    pub described: Option<&'a Value>,
    /// Where the manifest's leaves are ranges of keys: their order.
    pub order: Option<&'a KeyOrder>,
}

impl Of<'_> {
    /// What `names`, at a table that comes before this one or at this one, has of the baseline's rows of `differences`.
    pub fn known<'d>(
        &self,
        names: &mut Peekable<Rows<NameRow>>,
        differences: impl Iterator<Item = &'d Difference> + Clone,
    ) -> Result<SeenRows, Failure> {
        let columns: Vec<&str> = self.table.columns.iter().map(|column| column.name.as_str()).collect();
        let mut known = of_table(names, &self.table.name, differences.clone(), true, &places(&columns, self.described))?;
        if let Some(order) = self.order {
            for difference in differences {
                let Difference::Row { key_hash, .. } = difference else { continue };
                known.entry(*key_hash).or_insert_with(|| Seen { name: order.name(*key_hash), ..Seen::default() });
            }
        }
        Ok(known)
    }
}

/// Where each of `columns` is among those that the manifest describes; nothing where it does not describe one of them.
pub fn places(columns: &[&str], described: Option<&Value>) -> Vec<usize> {
    let described = described.and_then(|described| described["columns"].as_array());
    let place = |name: &&str| described.and_then(|all| all.iter().position(|column| column["name"].as_str() == Some(name)));
    columns.iter().map(place).collect::<Option<_>>().unwrap_or_default()
}

/// What `names` has of the rows of one table that differ, those of the baseline or the others, with the hashes of the columns at `places`.
/// Where two of them have one key, as keys that may be NULL do, nothing is said of their columns.
pub fn of_table<'d>(
    names: &mut Peekable<Rows<NameRow>>,
    table: &str,
    differences: impl Iterator<Item = &'d Difference>,
    is_baseline: bool,
    places: &[usize],
) -> Result<SeenRows, Failure> {
    let (mut wanted, mut known, mut twice) = (Wanted::new(), SeenRows::new(), HashSet::new());
    for difference in differences {
        let Difference::Row { key_hash, expected, actual, .. } = difference else { continue };
        if let Some(row) = if is_baseline { expected } else { actual }
            && wanted.insert(*key_hash, *row).is_some()
        {
            twice.insert(*key_hash);
        }
    }
    if wanted.is_empty() {
        return Ok(known);
    }
    while let Some(row) = names.next_if(|row| row.as_ref().map_or(true, |row| row.key.as_bytes() <= table.as_bytes())) {
        let row = row?;
        if row.key == table && wanted.get(&row.key_hash) == Some(&row.row_hash) {
            let hashes = row.column_hashes();
            let fields = places.iter().map(|at| hashes.get(*at).copied()).collect::<Option<_>>();
            let fields = fields.filter(|_| !twice.contains(&row.key_hash)).unwrap_or_default();
            known.insert(row.key_hash, Seen { name: row.name, stamp: None, fields });
        }
    }
    Ok(known)
}

/// The rows that have to be read again, and whether with all of their columns: those that nothing names, and, where the manifest has hashes
/// of columns, those that are there on both sides. `stamped` asks for all that are there, whose change stamps decide.
pub fn to_look_up(differences: &[Difference], known: &SeenRows, stamped: bool) -> (Wanted, bool) {
    let mut all_columns = false;
    let mut wanted = Wanted::new();
    for difference in differences {
        let Difference::Row { class, key_hash, actual: Some(actual), .. } = difference else { continue };
        let has_columns = *class == Class::Mismatch && known.get(key_hash).is_some_and(|row| !row.fields.is_empty());
        all_columns |= has_columns;
        if stamped || has_columns || !known.contains_key(key_hash) {
            wanted.insert(*key_hash, *actual);
        }
    }
    (wanted, all_columns)
}
