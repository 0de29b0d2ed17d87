//! PostgreSQL in lanes: sessions over one exported snapshot, and ranges of blocks. The last range has no upper end: the table may have
//! grown since it was measured.
//!
//! One lane of which nothing is kept sweeps the whole table: that is a tenth less work for the server, which then reads it by way of a few
//! buffers and leaves in its cache what was there (PostgreSQL, `src/backend/storage/buffer/README`, "Buffer Ring Replacement Strategy").

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::model::failure::Failure;
use crate::verify::sql::connect::ends::LastRow;
use crate::verify::sql::connect::errors::Broken;
use crate::verify::sql::connect::heard::with_patience;
use crate::verify::sql::kept::KeptTable;
use crate::verify::sql::lanes::{self, Outlet, Ranged};
use crate::verify::sql::postgres::rows::RowStream;
use crate::verify::sql::postgres::session::{Opener, hold};
use crate::verify::sql::reading::{BREATH, Cause, Flow, Harvest, HarvestSink, Ranges, ReadError};
use crate::verify::sql::rows::digester::Digester;
use crate::verify::sql::rows::table::Table;
use crate::verify::sql::wire::postgres::session::PgWireSession;
use async_trait::async_trait;

/// Blocks of one range of a large table: 32 MiB.
const MOST_BLOCKS: u64 = 4_096;
/// Blocks of one range of a small one: 4 MiB.
const LEAST_BLOCKS: u64 = 512;
/// Ranges that a table of a size between is cut into: no lane has to wait long for the last one.
const RANGES: u64 = 64;

/// The conditions on `ctid` that cut a table of `blocks` blocks into ranges; one range where the server would read the whole table
/// for each (before PostgreSQL 14).
pub fn ranges(blocks: u64, server: u32) -> Ranges {
    let each = (blocks / RANGES).clamp(LEAST_BLOCKS, MOST_BLOCKS);
    let count = if server < 140_000 { 1 } else { (blocks / each).max(1) };
    let from = |range: u64| format!("ctid >= '({},0)'", range * each);
    let below = |range: u64| format!("ctid < '({},0)'", (range + 1) * each);
    (0..count)
        .map(|range| {
            let mut conditions = Vec::new();
            if range > 0 {
                conditions.push(from(range));
            }
            if range + 1 < count {
                conditions.push(below(range));
            }
            conditions
        })
        .collect()
}

struct Blocks {
    opener: Opener,
    table: Table,
    /// Whether a session was lost on the way.
    lost: Arc<AtomicBool>,
    last_row: LastRow,
}

#[async_trait]
impl Ranged for Blocks {
    type Session = PgWireSession;

    async fn open(&self) -> Result<PgWireSession, Failure> {
        self.opener.reader().await
    }

    fn fewer(&self, had: usize, wanted: usize, why: &Failure) {
        self.opener.heard.fewer(had, wanted, why);
    }

    async fn read(&self, session: &mut PgWireSession, range: &[String], outlet: &mut Outlet) -> Result<bool, Broken> {
        let columns: Vec<usize> = (0..self.table.columns.len()).collect();
        let mut row = outlet.blank();
        let mut stream = RowStream::open(session, &self.table, &columns, range, self.opener.limits).await?;
        let mut rows = 0;
        loop {
            let mut each = |row: &_| {
                outlet.row(row);
                rows += 1;
                true
            };
            let read = stream.some(BREATH, &mut row, &mut each).await;
            if matches!(&read, Err(broken) if broken.lost) {
                self.lost.store(true, Ordering::Relaxed);
                if rows > 0 {
                    self.last_row.note(&row, &self.table, rows);
                }
            }
            let flow = read?;
            self.opener.heard.answered();
            if flow != Flow::On || !outlet.breathe().await {
                return Ok(flow != Flow::On);
            }
        }
    }

    /// Its transaction is over with the first error.
    fn is_good(_: &Self::Session) -> bool {
        false
    }

    async fn discard(session: PgWireSession) {
        drop(session);
    }
}

/// How a table is read.
pub struct How {
    /// The server's version as a number.
    pub server: u32,
    /// Whether it is swept in one session, and that is all: the last row before the server ended is the same each time then.
    pub once: bool,
    /// The last row that arrived before a session was lost.
    pub last_row: LastRow,
}

/// Reads all of `table` with at most `opener.limits.lanes` sessions, those of `workers` first; healthy ones are put back. Gives the
/// number of rows.
pub async fn digest(
    opener: &Opener,
    How { server, once, last_row }: How,
    workers: &mut Vec<PgWireSession>,
    table: &Table,
    (digester, kept): (&Digester, Option<&mut KeptTable<'_>>),
    sink: HarvestSink<'_>,
) -> Result<u64, ReadError> {
    let unreadable = |broken: Broken| ReadError { rows: 0, cause: Cause::Unreadable(broken.failure()) };
    let mut first = match workers.pop() {
        Some(worker) => worker,
        None => opener.reader().await.map_err(lanes::not_opened)?,
    };
    let held = tokio::time::timeout(opener.limits.silence, hold(&mut first, table)).await;
    let blocks = held.unwrap_or_else(|_| Err(Broken::silent(opener.limits.silence))).map_err(unreadable)?;
    let lost = Arc::new(AtomicBool::new(false));
    let source = || Blocks { opener: opener.clone(), table: table.clone(), lost: lost.clone(), last_row: last_row.clone() };
    if !once && (opener.limits.lanes > 1 || kept.is_some()) {
        return lanes::digest(source(), (first, workers), (ranges(blocks, server), opener.limits.lanes), digester, kept, sink).await;
    }
    let swept = lanes::digest(source(), (first, workers), (vec![Vec::new()], 1), digester, None, sink).await;
    if once || !lost.load(Ordering::Relaxed) || !matches!(swept, Err(ReadError { cause: Cause::Unreadable(_), .. })) {
        return swept;
    }
    // What was swept cannot be gone on with, and of ranges no more than one is lost.
    let Ok(mut other) = with_patience(|| opener.reader()).await else { return swept };
    let held = tokio::time::timeout(opener.limits.silence, hold(&mut other, table)).await;
    held.unwrap_or_else(|_| Err(Broken::silent(opener.limits.silence))).map_err(unreadable)?;
    let stopped = |failure| ReadError { rows: 0, cause: Cause::Stopped(failure) };
    sink(Harvest::Again("the session that read it was lost")).map_err(stopped)?;
    lanes::digest(source(), (other, workers), (ranges(blocks, server), 1), digester, None, sink).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_every_block_once_and_the_last_has_no_end() {
        assert_eq!(ranges(0, 150_000), [Vec::<String>::new()]);
        assert_eq!(ranges(1 << 30, 130_000).len(), 1, "before version 14 a range would be a scan of the whole table");
        let three = ranges(3 * LEAST_BLOCKS + 7, 150_000);
        assert_eq!(
            three,
            [
                vec!["ctid < '(512,0)'".to_owned()],
                vec!["ctid >= '(512,0)'".to_owned(), "ctid < '(1024,0)'".to_owned()],
                vec!["ctid >= '(1024,0)'".to_owned()],
            ]
        );
        assert_eq!((ranges(64 * 1_000 + 63, 150_000).len(), ranges(100 * MOST_BLOCKS, 150_000).len()), (64, 100));
    }
}
