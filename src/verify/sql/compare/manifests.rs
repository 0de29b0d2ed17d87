//! The rows in which two manifests of databases differ, by the names that they have of them.
//!
//! Not here: whether the manifests differ, which their leaves decide (`manifest::diff`).

use serde_json::Value;

use crate::model::counts::Counts;
use crate::model::failure::Failure;
use crate::model::finding::Class;
use crate::monitor::{Event, Monitor};
use crate::verify::differences::{Difference, Pairs, Stretch};
use crate::verify::manifest::header::ManifestKind;
use crate::verify::manifest::reader::Manifest;
use crate::verify::manifest::row::LeafKind;
use crate::verify::sql::compare::baseline::{Expected, expected_tables};
use crate::verify::sql::compare::named;
use crate::verify::sql::compare::of_table::OfTable;
use crate::verify::sql::naming::{self, NAMED_ROWS, Seen, SeenRows};
use crate::verify::sql::scope::Scope;

/// Tells the rows that differ in tables that both have, where one of the two manifests names rows. Nothing is counted: the leaves have said
/// what differs. Tables whose sidecars do not say the same rows as their leaves, or place them otherwise, have no rows told.
pub fn name_rows(expected: &Manifest, actual: &Manifest, monitor: &dyn Monitor) -> Result<(), Failure> {
    let is_of_tables = expected.header().kind == ManifestKind::TableSet;
    if !is_of_tables || !(expected.has_names() || actual.has_names()) {
        return Ok(());
    }
    let (before, mut now) = (expected_tables(expected)?, expected_tables(actual)?);
    let position = |manifest: &Manifest| manifest.header().position.clone().unwrap_or_default();
    let (there, here) = (position(expected), position(actual));
    let (scopes, described) = ((Scope::of(Some(&there)), Scope::of(Some(&here))), (&there["tables"], &here["tables"]));
    let mut sidecars = (expected.sidecar().peekable(), actual.sidecar().peekable());
    let mut names = (expected.names().peekable(), actual.names().peekable());
    for (table, before) in before {
        let Some(now) = now.remove(&table).filter(|now| now.leaves != before.leaves) else { continue };
        let orders = (scopes.0.ranges.get(&table), scopes.1.ranges.get(&table));
        let (one, other) = (orders.0.map(|ranges| &ranges.order), orders.1.map(|ranges| &ranges.order));
        if before.kind != now.kind || before.kind == LeafKind::Sum || one != other {
            continue;
        }
        let pairs = (OfTable { rows: &mut sidecars.0, table: &table }, OfTable { rows: &mut sidecars.1, table: &table });
        let Some((counts, mut differences)) = differing(pairs, &before, &now)? else { continue };
        differences.truncate(NAMED_ROWS);
        let columns = both(&described.0[&table], &described.1[&table]);
        let places = |described: &Value| named::places(&columns, Some(described));
        let mut known = named::of_table(&mut names.0, &table, differences.iter(), true, &places(&described.0[&table]))?;
        let seen = named::of_table(&mut names.1, &table, differences.iter(), false, &places(&described.1[&table]))?;
        for difference in &differences {
            let (Difference::Row { key_hash, .. }, Some(order)) = (difference, one) else { continue };
            known.entry(*key_hash).or_insert_with(|| Seen { name: order.name(*key_hash), ..Seen::default() });
        }
        if !(have_all(&columns, &described.0[&table]) && have_all(&columns, &described.1[&table])) {
            // Each row's digest is another one for the columns that only one of the two has.
            differences.retain(|difference| !matches!(difference, Difference::Row { key_hash, class: Class::Mismatch, .. } if !is_changed(&known, &seen, key_hash)));
            let said = format!("table {table}: columns were added or are gone: rows are named that differ in a column that both have");
            monitor.event(Event::Note(&said));
        }
        naming::tell(monitor, (&table, &columns), &differences, (&known, &seen), None, &counts);
    }
    Ok(())
}

/// The rows that the sidecars say differ, where these hold as many rows as the leaves.
fn differing(
    (theirs, ours): (OfTable<'_>, OfTable<'_>),
    before: &Expected,
    now: &Expected,
) -> Result<Option<(Counts, Vec<Difference>)>, Failure> {
    let whole_table = Stretch { is_before: &|_| false, is_inside: &|_| true };
    let told = Pairs::new(theirs, ours).explain(&whole_table, before.rows())?;
    Ok(told.filter(|(counts, _)| counts.matched + counts.mismatch + counts.extra == now.rows()))
}

/// Whether the hashes of a row's columns, which both manifests have to hold, say that one differs.
fn is_changed(known: &SeenRows, seen: &SeenRows, key_hash: &[u8; 8]) -> bool {
    let fields = |rows: &SeenRows| rows.get(key_hash).map(|row| row.fields.clone()).filter(|fields| !fields.is_empty());
    fields(known).zip(fields(seen)).is_some_and(|(before, now)| before != now)
}

/// Whether these are all the columns of a description.
fn have_all(columns: &[&str], described: &Value) -> bool {
    described["columns"].as_array().is_some_and(|all| all.len() == columns.len())
}

/// The columns that both describe, in the order of the first.
fn both<'a>(one: &'a Value, other: &Value) -> Vec<&'a str> {
    let names = |described: &'a Value| described["columns"].as_array().into_iter().flatten().filter_map(|column| column["name"].as_str());
    let has = |name: &str| other["columns"].as_array().is_some_and(|all| all.iter().any(|column| column["name"].as_str() == Some(name)));
    names(one).filter(|name| has(name)).collect()
}
