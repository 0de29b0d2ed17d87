//! One number of each table or column, beside the manifest's: `rows.TABLE`, `sums.TABLE.COLUMN`.
//!
//! Not here: what the numbers come to (`examine`), and how they get into a manifest (`recording`).

use std::collections::BTreeMap;

use crate::model::check::CheckResult;
use crate::model::threshold::Decimal;
use crate::verify::sql::checks::demands::CheckDemands;
use crate::verify::sql::checks::header::{Check, Each};
use crate::verify::sql::checks::session::{Session, Trouble};
use crate::verify::sql::checks::subjects::Column;
use crate::verify::sql::checks::{placeholders, subjects};
use crate::verify::sql::mysql::catalog::HISTORY;

/// What a check of each table or column has found.
#[derive(Debug, Default)]
pub struct Measured {
    /// How many were compared.
    pub compared: u64,
    /// Those beyond their baseline, or gone: name, expected, found.
    pub beyond: Vec<[String; 3]>,
    /// Those of which the manifest has a part only.
    pub in_part: Vec<String>,
}

/// Runs `check` for each of its subjects that the manifest has a number of; while numbers are recorded, for all of them. What was measured goes
/// into `result`.
///
/// # Errors
/// Where one of them cannot be measured, or its number cannot be compared.
pub async fn measure(session: &mut Session, demands: &CheckDemands, check: &Check, result: &mut CheckResult) -> Result<Measured, Trouble> {
    let engine = session.engine().name;
    let prefix = format!("{}.", check.baseline);
    let of_this = |(name, value): (&String, &String)| Some((name.strip_prefix(&prefix)?.to_owned(), value.clone()));
    let mut left: BTreeMap<String, String> = demands.baselines.iter().filter_map(of_this).collect();
    // The pages of large objects are no table of the database's own.
    left.retain(|name, _| !name.starts_with("pg_catalog."));
    let mut tables = subjects::named_tables(session).await?;
    let (mut columns, mut owners) = (Vec::new(), BTreeMap::new());
    if check.each == Some(Each::NumberColumn) {
        columns = subjects::number_columns(session).await?;
        let names: BTreeMap<&str, &str> = tables.iter().map(|(name, quoted)| (quoted.as_str(), name.as_str())).collect();
        let owner = |column: &Column| Some((column.name.clone(), (*names.get(column.table.as_str())?).to_owned()));
        owners = columns.iter().filter_map(owner).collect();
    }
    let is_in_part = |name: &String| match (check.each, owners.get(name)) {
        (Some(Each::NumberColumn), Some(table)) => demands.has_part_of(table),
        // One that is gone may be of any table that its name begins with.
        (Some(Each::NumberColumn), None) => name.match_indices('.').all(|(dot, _)| demands.has_part_of(&name[..dot])),
        // A part has no more rows than the whole.
        _ => !check.error_if.text().starts_with('<') && demands.has_part_of(name.strip_suffix(HISTORY).unwrap_or(name)),
    };
    let in_part = left.keys().filter(|name| is_in_part(name)).cloned().collect();
    let mut measured = Measured { in_part, ..Measured::default() };
    left.retain(|name, _| !measured.in_part.contains(name));
    let statements: Vec<(String, String)> = match check.each {
        Some(Each::NumberColumn) => {
            columns.iter().map(|column| (column.name.clone(), placeholders::for_sum(&check.sql, column, engine))).collect()
        }
        _ => {
            let histories = tables.iter().filter_map(|table| subjects::history(table, engine));
            let counted: Vec<(String, String)> = histories.filter(|(name, _)| left.contains_key(name)).collect();
            tables.extend(counted);
            tables.iter().map(|(name, table)| (name.clone(), placeholders::for_table(&check.sql, table, engine))).collect()
        }
    };
    for (name, statement) in statements {
        let expected = left.remove(&name);
        if expected.is_none() && !demands.recording {
            continue;
        }
        let answer = session.run(&statement, check.timeout, 1, check.privileged).await?;
        let found = match &answer.rows[..] {
            [row] if row.len() == 1 && answer.total == 1 => row[0].clone().unwrap_or_else(|| "NULL".to_owned()),
            _ => return Err(Trouble::said(format!("{name}: expected one row with one value, found {} rows", answer.total))),
        };
        if let Some(expected) = expected {
            measured.compared += 1;
            if is_beyond(check, &found, &expected).map_err(|said| Trouble::said(format!("{name}: {said}")))? {
                measured.beyond.push([name.clone(), expected, found.clone()]);
            }
        }
        result.measured.insert(format!("{prefix}{name}"), found);
    }
    for (name, expected) in left {
        measured.compared += 1;
        measured.beyond.push([name, expected, "absent".to_owned()]);
    }
    Ok(measured)
}

/// Large sums are compared as they are, since no factor is in the way; one with more places than a decimal here has, digit by digit.
fn is_beyond(check: &Check, found: &str, expected: &str) -> Result<bool, String> {
    let is_difference = check.error_if.text() == "!= baseline";
    match (Decimal::parse(found), Decimal::parse(expected)) {
        (Some(value), Some(baseline)) if is_difference => Ok(value != baseline),
        (Some(value), Some(baseline)) => check.error_if.is_met(value, Some(baseline)),
        _ if is_difference => Ok(found != expected),
        _ => Err("a number of more than 9 decimals is compared with `!= baseline` only".to_owned()),
    }
}
