//! One pass over one table: rows become digests, digests a fingerprint; and the second, narrow pass that names rows by their keys.

use std::collections::HashMap;

use crate::model::failure::{Failure, FailureKind};
use crate::monitor::{Event, Monitor};
use crate::verify::fingerprint::{Accumulator, DEFAULT_BUDGET, Fingerprint};
use crate::verify::sql::canon::{Row, RowKeys};
use crate::verify::sql::database::Database;
use crate::verify::sql::digester::Digester;
use crate::verify::sql::display;
use crate::verify::sql::reading::{Cause, Harvest, ReadError};
use crate::verify::sql::table::Table;

/// Rows between two looks at the monitor.
const BREATH: u64 = 4_096;

/// What one pass gave.
pub struct Scan {
    /// The fingerprint.
    pub fingerprint: Fingerprint,
    /// Canonical bytes that were hashed.
    pub bytes: u64,
}

/// Reads all of `table`.
pub async fn scan(db: &mut Database, table: &Table, keys: &RowKeys, monitor: &dyn Monitor) -> Result<Scan, ReadError> {
    let task = format!("reading {}", table.name);
    let mut progress = Progress::start(&task, monitor);
    let mut accumulator = Accumulator::new(DEFAULT_BUDGET);
    let digester = Digester::new(keys, table);
    let read = db
        .digest(table, &digester, &mut |harvest| match harvest {
            Harvest::Read { rows, bytes } => progress.read(rows, bytes),
            Harvest::Records(records) => accumulator.push_all(records).map(|()| true),
        })
        .await;
    let bytes = progress.finish();
    let rows = read?;
    let fingerprint = accumulator.finish().map_err(|failure| ReadError { rows, cause: Cause::Stopped(failure) })?;
    Ok(Scan { fingerprint, bytes })
}

/// Finds the clear keys of rows whose key hash begins with one of `wanted`: reads the key's columns only, until all are found. The
/// map holds `COLUMN=VALUE …`, in the key's column order by name.
pub async fn name_rows(
    db: &mut Database,
    table: &Table,
    keys: &RowKeys,
    mut wanted: HashMap<[u8; 8], Option<String>>,
    monitor: &dyn Monitor,
) -> Result<HashMap<[u8; 8], Option<String>>, ReadError> {
    if table.key.is_empty() || wanted.is_empty() {
        return Ok(wanted);
    }
    let all: Vec<usize> = (0..table.key.len()).collect();
    let mut open = wanted.len();
    db.read(table, &table.key, Row::new(keys), &mut |row| {
        let hash: [u8; 8] = keys.key_hash(row, &all)[..8].try_into().expect("a hash has 32 bytes");
        if let Some(name @ None) = wanted.get_mut(&hash) {
            *name = Some(key_text(table, row));
            open -= 1;
        }
        Ok(open > 0 && !monitor.stop_requested())
    })
    .await?;
    Ok(wanted)
}

fn key_text(table: &Table, row: &Row) -> String {
    let parts = table.key.iter().enumerate().map(|(at, index)| format!("{}={}", table.columns[*index].name, display::field(row.field(at))));
    parts.collect::<Vec<_>>().join(" ")
}

/// Tells the monitor how far a table is, and stops when it asks to.
struct Progress<'a> {
    task: &'a str,
    monitor: &'a dyn Monitor,
    rows: u64,
    bytes: u64,
    told: (u64, u64),
}

impl<'a> Progress<'a> {
    fn start(task: &'a str, monitor: &'a dyn Monitor) -> Self {
        monitor.event(Event::Started { task, unit: "rows", total: None });
        Self { task, monitor, rows: 0, bytes: 0, told: (0, 0) }
    }

    fn read(&mut self, rows: u64, bytes: u64) -> Result<bool, Failure> {
        self.rows += rows;
        self.bytes += bytes;
        if self.rows - self.told.0 >= BREATH {
            self.tell();
            if self.monitor.stop_requested() {
                let message = format!("{}: stopped after {} rows, as asked", self.task, self.rows);
                return Err(Failure::new(FailureKind::Interrupted, message).hint("run it again: a table is read from its beginning"));
            }
        }
        Ok(true)
    }

    fn tell(&mut self) {
        let (rows, bytes) = std::mem::replace(&mut self.told, (self.rows, self.bytes));
        self.monitor.event(Event::Advanced { task: self.task, by: self.rows - rows, bytes: self.bytes - bytes });
    }

    fn finish(mut self) -> u64 {
        self.tell();
        self.monitor.event(Event::Finished { task: self.task });
        self.bytes
    }
}
