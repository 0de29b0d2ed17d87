//! Lanes: several sessions over one snapshot read one table, each a range of blocks at a time.
//!
//! A range is handed on only when it was read to its end, so that a lane that loses its session reads the range again and nothing is
//! counted twice. The last range has no upper end: the table may have grown since it was measured.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::postgres::PgConnection;
use tokio::sync::mpsc;

use crate::model::failure::{Failure, FailureKind};
use crate::verify::sql::canon::Row;
use crate::verify::sql::digester::Digester;
use crate::verify::sql::postgres_session::{Broken, CopyStream, Flow, Opener, hold};
use crate::verify::sql::reading::{Cause, Harvest, HarvestSink, ReadError, Record};
use crate::verify::sql::table::Table;

/// Blocks of one range: 32 MiB of table.
const RANGE_BLOCKS: u64 = 4_096;
/// Records that one range holds back at most: 16 MiB; beyond it they are handed on and the range can no longer be read again.
const HELD_BACK: usize = 1 << 18;
/// Rows between two messages about progress.
const BREATH: usize = 4_096;

/// The conditions on `ctid` that cut a table of `blocks` blocks into ranges; one range where the server would read the whole table
/// for each (before PostgreSQL 14).
pub fn ranges(blocks: u64, server: u32) -> Vec<Vec<String>> {
    let count = if server < 140_000 { 1 } else { (blocks / RANGE_BLOCKS).max(1) };
    let from = |range: u64| format!("ctid >= '({},0)'", range * RANGE_BLOCKS);
    let below = |range: u64| format!("ctid < '({},0)'", (range + 1) * RANGE_BLOCKS);
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

enum Message {
    Read { rows: u64, bytes: u64 },
    Records(Vec<Record>),
}

struct Plan {
    opener: Opener,
    table: Table,
    digester: Digester,
    ranges: Vec<Vec<String>>,
    next: AtomicUsize,
}

/// Reads all of `table` with at most `opener.limits.lanes` sessions, those of `workers` first; healthy ones are put back. Gives the
/// number of rows.
pub async fn digest(
    opener: &Opener,
    server: u32,
    workers: &mut Vec<PgConnection>,
    table: &Table,
    digester: &Digester,
    sink: HarvestSink<'_>,
) -> Result<u64, ReadError> {
    let unreadable = |said: String| ReadError { rows: 0, cause: Cause::Unreadable(said) };
    let mut first = match workers.pop() {
        Some(worker) => worker,
        None => opener.open().await.map_err(not_opened)?,
    };
    let blocks = match tokio::time::timeout(opener.limits.silence, hold(&mut first, table)).await {
        Ok(Ok(blocks)) => blocks,
        Ok(Err(broken)) => return Err(unreadable(broken.said)),
        Err(_) => return Err(unreadable(format!("no answer for {} seconds", opener.limits.silence.as_secs()))),
    };
    let ranges = ranges(blocks, server);
    let wanted = opener.limits.lanes.clamp(1, ranges.len());
    let mut sessions = vec![first];
    while sessions.len() < wanted {
        match workers.pop() {
            Some(worker) => sessions.push(worker),
            None => match opener.open().await {
                Ok(worker) => sessions.push(worker),
                // A server that gives no more sessions is read with those that there are.
                Err(_) => break,
            },
        }
    }
    let plan =
        Arc::new(Plan { opener: opener.clone(), table: table.clone(), digester: digester.clone(), ranges, next: AtomicUsize::new(0) });
    let (sender, receiver) = mpsc::channel(8);
    let lanes: Vec<_> = sessions.into_iter().map(|session| tokio::spawn(lane(plan.clone(), session, sender.clone()))).collect();
    drop(sender);
    let (rows, certain, mut stopped) = gather(receiver, sink).await;
    let mut broken = None;
    for lane in lanes {
        match lane.await {
            Ok((session, None)) => workers.extend(session),
            Ok((_, Some(said))) => broken = broken.or(Some(said)),
            Err(error) => broken = broken.or(Some(format!("a lane ended: {error}"))),
        }
    }
    match (stopped.take(), broken) {
        (Some(failure), _) => Err(ReadError { rows, cause: Cause::Stopped(failure) }),
        (None, Some(said)) => Err(ReadError { rows, cause: Cause::Unreadable(said) }),
        (None, None) => Ok(certain),
    }
}

/// What a session that did not open means: a server that is full says nothing of the table.
pub fn not_opened(failure: Failure) -> ReadError {
    let cause = if failure.kind == FailureKind::Throttled { Cause::Stopped(failure) } else { Cause::Unreadable(failure.message) };
    ReadError { rows: 0, cause }
}

/// Rows that were read, rows that are certain, and what stopped the receiver. A range that is read again is read twice and counts once.
async fn gather(mut receiver: mpsc::Receiver<Message>, sink: HarvestSink<'_>) -> (u64, u64, Option<Failure>) {
    let (mut read, mut certain) = (0, 0);
    while let Some(message) = receiver.recv().await {
        let taken = match message {
            Message::Read { rows, bytes } => {
                read += rows;
                sink(Harvest::Read { rows, bytes })
            }
            Message::Records(records) => {
                certain += records.len() as u64;
                sink(Harvest::Records(&records))
            }
        };
        match taken {
            Ok(true) => {}
            Ok(false) => return (read, certain, None),
            Err(failure) => return (read, certain, Some(failure)),
        }
    }
    (read, certain, None)
}

/// Takes range after range; gives its session back where it is still good, and what broke it.
async fn lane(plan: Arc<Plan>, session: PgConnection, sender: mpsc::Sender<Message>) -> (Option<PgConnection>, Option<String>) {
    let mut session = Some(session);
    let mut again = None;
    loop {
        let at = match again.take() {
            Some(at) => at,
            None => plan.next.fetch_add(1, Ordering::Relaxed),
        };
        let Some(range) = plan.ranges.get(at) else { return (session, None) };
        let (mut open, is_new) = match session.take() {
            Some(open) => (open, false),
            None => match plan.opener.open().await {
                Ok(open) => (open, true),
                Err(failure) => return (None, Some(failure.message)),
            },
        };
        match one_range(&plan, &mut open, range, &sender).await {
            Ok(true) => session = Some(open),
            Ok(false) => {
                tokio::spawn(async move { close_hard(open).await });
                return (None, None);
            }
            Err((broken, handed_on)) => {
                tokio::spawn(async move { close_hard(open).await });
                if !broken.lost || handed_on || is_new {
                    // The others need not begin what cannot be concluded.
                    plan.next.store(plan.ranges.len(), Ordering::Relaxed);
                    return (None, Some(broken.said));
                }
                again = Some(at);
            }
        }
    }
}

async fn close_hard(session: PgConnection) {
    use sqlx::Connection;
    let _ = session.close_hard().await;
}

/// One range to its end; false where nobody receives any more; an error says whether records of it have been handed on already.
async fn one_range(
    plan: &Plan,
    session: &mut PgConnection,
    range: &[String],
    sender: &mpsc::Sender<Message>,
) -> Result<bool, (Broken, bool)> {
    let columns: Vec<usize> = (0..plan.table.columns.len()).collect();
    let (mut records, mut handed_on) = (Vec::new(), false);
    let mut digester = plan.digester.clone();
    let mut row = digester.row();
    let opened = CopyStream::open(session, &plan.table, &columns, range, plan.opener.limits).await;
    let mut stream = opened.map_err(|broken| (broken, false))?;
    loop {
        let (mut rows, mut bytes) = (0, 0);
        let mut each = |row: &Row| {
            records.push(digester.record(row));
            rows += 1;
            bytes += row.bytes().len() as u64;
            true
        };
        let flow = stream.some(BREATH, &mut row, &mut each).await;
        if sender.send(Message::Read { rows, bytes }).await.is_err() {
            return Ok(false);
        }
        match flow {
            Ok(Flow::On) if records.len() < HELD_BACK => {}
            Ok(Flow::On) => {
                handed_on = true;
                if sender.send(Message::Records(std::mem::take(&mut records))).await.is_err() {
                    return Ok(false);
                }
            }
            Ok(Flow::Ended | Flow::Enough) => return Ok(sender.send(Message::Records(records)).await.is_ok()),
            Err(broken) => return Err((broken, handed_on)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_every_block_once_and_the_last_has_no_end() {
        assert_eq!(ranges(0, 150_000), [Vec::<String>::new()]);
        assert_eq!(ranges(1 << 30, 130_000).len(), 1, "before version 14 a range would be a scan of the whole table");
        let three = ranges(3 * RANGE_BLOCKS + 7, 150_000);
        assert_eq!(
            three,
            [
                vec!["ctid < '(4096,0)'".to_owned()],
                vec!["ctid >= '(4096,0)'".to_owned(), "ctid < '(8192,0)'".to_owned()],
                vec!["ctid >= '(8192,0)'".to_owned()],
            ]
        );
    }
}
