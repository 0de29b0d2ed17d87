//! Tables on their way into a manifest: while the rows of one are read, those of the one before are sorted, digested and written.
//!
//! Not here: how rows are gathered (`scan`), and files (`manifest::writer`).

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

use futures_util::future::{Either, select};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinHandle};

use crate::model::failure::{Failure, FailureKind};
use crate::monitor::Monitor;
use crate::verify::allowance::Allowance;
use crate::verify::buckets::Record;
use crate::verify::fingerprint::{self, Fingerprint};
use crate::verify::key_ranges::{self, Code};
use crate::verify::leaf::{Form, Leaf};
use crate::verify::manifest::names::NameRow;
use crate::verify::manifest::row::{LeafKind, LeafRow, SidecarRun};
use crate::verify::manifest::writer::ManifestWriter;
use crate::verify::sorter::Sorted;
use crate::verify::sql::rows::key_order::KeyOrder;
use crate::verify::sql::rows::notes::Notes;
use crate::verify::sql::scan::{BUDGET, Gathered};
use crate::verify::sql::scope::TableRanges;
use crate::verify::sql::stopping::unless_stopped;

/// Bytes of records that a table may hold at least: where those before it leave less, it is not read before they are written.
const LEAST: usize = BUDGET / 8;
/// Tables that wait to be written at most.
const WAITING: usize = 64;
/// Pieces of a fingerprint that wait to be written at most.
const PIECES_AHEAD: usize = 8;
/// Rows of a piece: threads that wake each other for fewer do little else.
const PAIRS: usize = 16_384;

/// What is written of a table beside its rows' digests.
pub struct TableParts {
    /// Its name.
    pub table: String,
    /// The digest of its schema leaf.
    pub schema: [u8; 32],
    /// The order of its keys, of leaves that are ranges.
    pub order: Option<KeyOrder>,
    /// A sidecar is written of so many rows at most.
    pub sidecar_max_rows: u64,
}

/// Writes tables one after the other, on a thread of its own.
pub struct TableWriter {
    /// Absent while the thread has it, and where it has failed.
    writer: Option<ManifestWriter>,
    /// The ranges of the tables that are written, of leaves that are ranges.
    ranges: BTreeMap<String, TableRanges>,
    /// What the thread is sent; absent before the first table, and after the last.
    tables: Option<mpsc::Sender<(Gathered, TableParts)>>,
    thread: Option<JoinHandle<Result<Written, Failure>>>,
    held: Held,
    /// Set where nobody wants what is written any more.
    is_abandoned: Arc<AtomicBool>,
}

/// What the thread gives in the end: the manifest, and the ranges of tables.
type Written = (ManifestWriter, BTreeMap<String, TableRanges>);

impl TableWriter {
    /// Into a manifest.
    pub fn new(writer: ManifestWriter) -> Self {
        let is_abandoned = Arc::new(AtomicBool::new(false));
        Self { writer: Some(writer), ranges: BTreeMap::new(), tables: None, thread: None, held: Held::default(), is_abandoned }
    }

    /// Bytes of records that the next table may hold: more, as those before are written.
    pub fn allowance(&self) -> Allowance {
        self.held.allowance.clone()
    }

    /// Lets a table be written after those before it, and waits until there is room for another to be read, or a stop is asked for.
    pub async fn write(&mut self, gathered: Gathered, parts: TableParts, monitor: &dyn Monitor) -> Result<(), Failure> {
        if let Some(writer) = self.writer.take() {
            let (tables, waiting) = mpsc::channel(WAITING);
            let (held, is_abandoned) = (self.held.clone(), self.is_abandoned.clone());
            self.tables = Some(tables);
            self.thread = Some(tokio::task::spawn_blocking(move || write_tables(waiting, writer, &held, &is_abandoned)));
        }
        self.held.take(gathered.held());
        let Some(tables) = &self.tables else { return Err(stopped()) };
        if unless_stopped(tables.send((gathered, parts)), monitor, stopped).await?.is_err() {
            // The thread has ended, which it does only with an error.
            return Err(self.ended().await.err().unwrap_or_else(stopped));
        }
        let held = self.held.clone();
        match unless_stopped(select(pin!(self.failed()), pin!(held.until_there_is_room())), monitor, stopped).await? {
            Either::Left((failure, _)) => Err(failure),
            Either::Right(_) => Ok(()),
        }
    }

    /// Why a table cannot be written; comes to an end only where one cannot.
    pub async fn failed(&mut self) -> Failure {
        match self.ended().await {
            Err(failure) => failure,
            Ok(()) => std::future::pending().await,
        }
    }

    /// Waits until all tables are written, or a stop is asked for. Gives their ranges, of leaves that are ranges.
    pub async fn all(&mut self, monitor: &dyn Monitor) -> Result<BTreeMap<String, TableRanges>, Failure> {
        self.tables = None;
        unless_stopped(self.ended(), monitor, stopped).await??;
        Ok(std::mem::take(&mut self.ranges))
    }

    /// The manifest, once all tables are written.
    pub async fn finish(mut self) -> Result<ManifestWriter, Failure> {
        self.tables = None;
        self.ended().await?;
        self.writer.ok_or_else(stopped)
    }

    /// Gives up what is written, and waits until nothing of it is left.
    pub async fn abandon(mut self) {
        self.is_abandoned.store(true, Ordering::Relaxed);
        self.tables = None;
        // What could not be written is not wanted either.
        let _ = self.ended().await;
    }

    /// Waits for the thread.
    async fn ended(&mut self) -> Result<(), Failure> {
        let Some(thread) = &mut self.thread else { return Ok(()) };
        let ended = thread.await;
        self.thread = None;
        let (writer, ranges) = match ended.map_err(JoinError::try_into_panic) {
            Ok(written) => written?,
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            Err(Err(_)) => return Err(stopped()),
        };
        self.writer = Some(writer);
        self.ranges.extend(ranges);
        Ok(())
    }
}

/// Writes what comes until no more does.
fn write_tables(
    mut waiting: mpsc::Receiver<(Gathered, TableParts)>,
    mut writer: ManifestWriter,
    held: &Held,
    is_abandoned: &AtomicBool,
) -> Result<Written, Failure> {
    let mut ranges = BTreeMap::new();
    while let Some((gathered, parts)) = waiting.blocking_recv() {
        let bytes = gathered.held();
        ranges.extend(write_table(gathered, &parts, &mut writer, is_abandoned)?.map(|ranges| (parts.table, ranges)));
        held.give_back(bytes);
    }
    Ok((writer, ranges))
}

/// Bytes of tables that wait or are being written, and what they leave to the one that is read.
#[derive(Clone)]
struct Held {
    bytes: watch::Sender<usize>,
    allowance: Allowance,
}

impl Default for Held {
    fn default() -> Self {
        Self { bytes: watch::Sender::new(0), allowance: Allowance::new(BUDGET) }
    }
}

impl Held {
    fn take(&self, bytes: usize) {
        self.change(|held| held + bytes);
    }

    fn give_back(&self, bytes: usize) {
        self.change(|held| held.saturating_sub(bytes));
    }

    fn change(&self, by: impl FnOnce(usize) -> usize) {
        self.bytes.send_modify(|held| {
            *held = by(*held);
            self.allowance.set(BUDGET.saturating_sub(*held));
        });
    }

    /// Waits until a table may hold [`LEAST`].
    async fn until_there_is_room(&self) {
        // Its sender is at hand: it does not end.
        let _ = self.bytes.subscribe().wait_for(|held| *held <= BUDGET - LEAST).await;
    }
}

fn stopped() -> Failure {
    Failure::new(FailureKind::Interrupted, "writing the manifest was stopped").hint("run it again")
}

/// Sorts, digests and writes a table; gives its ranges, where its leaves are ranges.
fn write_table(
    gathered: Gathered,
    parts: &TableParts,
    writer: &mut ManifestWriter,
    is_abandoned: &AtomicBool,
) -> Result<Option<TableRanges>, Failure> {
    let go_on = || if is_abandoned.load(Ordering::Relaxed) { Err(stopped()) } else { Ok(()) };
    go_on()?;
    let scan = gathered.sorted()?;
    let begins = write_leaves(&scan.fingerprint, parts, writer, &go_on)?;
    if let Some(notes) = &scan.notes {
        write_names(notes, &parts.table, writer, &go_on)?;
    }
    let key = parts.table.clone();
    writer.push_leaf(&LeafRow { key, kind: LeafKind::Schema, seq: 0, rows: 0, digest: parts.schema, bits: 0 })?;
    Ok(parts.order.clone().zip(begins).map(|(order, begins)| TableRanges { order, begins }))
}

/// Leaves and sidecar; gives what the ranges but the first begin with, where the leaves are ranges.
fn write_leaves(
    fingerprint: &Fingerprint,
    parts: &TableParts,
    writer: &mut ManifestWriter,
    go_on: &dyn Fn() -> Result<(), Failure>,
) -> Result<Option<Vec<Code>>, Failure> {
    let is_sorted = fingerprint.form() == Form::Sorted;
    let (table, order) = (parts.table.as_str(), parts.order.as_ref());
    let kind = match (is_sorted, order) {
        (false, _) => LeafKind::Sum,
        (true, Some(_)) => LeafKind::Range,
        (true, None) => LeafKind::Bucket,
    };
    let has_sidecar = is_sorted && fingerprint.rows() <= parts.sidecar_max_rows;
    // One thread digests leaves while this one writes them.
    let (sender, receiver) = sync_channel(PIECES_AHEAD);
    std::thread::scope(|scope| {
        let digesting = scope.spawn(move || match kind {
            LeafKind::Range => digest_ranges(fingerprint, has_sidecar, &sender).map(Some),
            _ => digest_leaves(fingerprint, has_sidecar, &sender).map(|()| None),
        });
        let written = receiver.into_iter().try_for_each(|piece| match go_on().map(|()| piece)? {
            Piece::Pairs { key_hashes, row_hashes } => {
                writer.push_sidecar_run(SidecarRun { key: table, key_hashes: &key_hashes, row_hashes: &row_hashes })
            }
            Piece::Leaf(leaf) => {
                let key = table.to_owned();
                writer.push_leaf(&LeafRow { key, kind, seq: leaf.index, rows: leaf.rows, digest: leaf.digest, bits: leaf.bits })
            }
        });
        let digested = digesting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        written.and(digested)
    })
}

/// The names of a table's rows, out of the pieces of their notes.
fn write_names(
    notes: &Sorted<40>,
    table: &str,
    writer: &mut ManifestWriter,
    go_on: &dyn Fn() -> Result<(), Failure>,
) -> Result<(), Failure> {
    for note in Notes::new(notes.walk()) {
        go_on()?;
        let note = note.map_err(|failure| failure.context(format!("table {table}")))?;
        let columns = (!note.columns.is_empty()).then(|| hex::encode(&note.columns));
        let (key_hash, row_hash) = (note.key_hash, note.row_hash);
        writer.push_name(&NameRow { key: table.to_owned(), key_hash, row_hash, name: note.name, columns })?;
    }
    Ok(())
}

/// What a table's fingerprint has: leaves in their order, and pairs in theirs.
enum Piece {
    /// The next rows.
    Pairs { key_hashes: Vec<[u8; 8]>, row_hashes: Vec<[u8; 8]> },
    /// The leaf.
    Leaf(Leaf),
}

/// Sends leaves, and with a sidecar the pairs of their rows, until there are no more or nobody receives them.
fn digest_leaves(fingerprint: &Fingerprint, with_sidecar: bool, pieces: &SyncSender<Piece>) -> Result<(), Failure> {
    let mut leaves = fingerprint.leaves();
    let mut pairs = Pairs::new(with_sidecar, pieces);
    while let Some(leaf) = leaves.next_with(&mut |records| {
        pairs.push(records);
        Ok(())
    })? {
        if pieces.send(Piece::Leaf(leaf)).is_err() {
            break;
        }
    }
    Ok(())
}

/// The same of leaves that are ranges; gives what all but the first begin with.
fn digest_ranges(fingerprint: &Fingerprint, with_sidecar: bool, pieces: &SyncSender<Piece>) -> Result<Vec<Code>, Failure> {
    let mut pairs = Pairs::new(with_sidecar, pieces);
    let mut each = |records: &[Record]| {
        pairs.push(records);
        Ok(())
    };
    // Where nobody receives any more, what stopped the receiver is told by it.
    key_ranges::cut(fingerprint, &mut each, &mut |leaf| pieces.send(Piece::Leaf(leaf)).map_err(|_| stopped()))
}

/// Pairs on their way, a piece of them at a time; the last go when it is dropped. Where nobody receives any more, what stopped the receiver
/// is told by it.
struct Pairs<'a> {
    is_wanted: bool,
    key_hashes: Vec<[u8; 8]>,
    row_hashes: Vec<[u8; 8]>,
    pieces: &'a SyncSender<Piece>,
}

impl<'a> Pairs<'a> {
    fn new(is_wanted: bool, pieces: &'a SyncSender<Piece>) -> Self {
        Self { is_wanted, key_hashes: Vec::new(), row_hashes: Vec::new(), pieces }
    }

    fn push(&mut self, records: &[Record]) {
        // A block may hold all rows: their keys begin with the same byte.
        for some in records.chunks(PAIRS) {
            if !self.is_wanted {
                return;
            }
            if self.key_hashes.len() + some.len() > PAIRS {
                self.send();
            }
            let pairs = some.iter().map(fingerprint::pair);
            pairs.for_each(|(key_hash, row_hash)| {
                self.key_hashes.push(key_hash);
                self.row_hashes.push(row_hash);
            });
        }
    }

    fn send(&mut self) {
        let room = || Vec::with_capacity(PAIRS);
        let (key_hashes, row_hashes) = (std::mem::replace(&mut self.key_hashes, room()), std::mem::replace(&mut self.row_hashes, room()));
        self.is_wanted = self.pieces.send(Piece::Pairs { key_hashes, row_hashes }).is_ok();
    }
}

impl Drop for Pairs<'_> {
    fn drop(&mut self) {
        if self.is_wanted && !self.key_hashes.is_empty() {
            self.send();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::capture::CaptureMode;
    use crate::model::clock::Timestamp;
    use crate::monitor::{Event, Silent};
    use crate::verify::buckets::record;
    use crate::verify::manifest::header::ManifestKind;
    use crate::verify::manifest::writer::{Draft, Finish};
    use futures_util::FutureExt as _;
    use proptest::prelude::*;

    fn record_of(n: u64) -> Record {
        let hash = |seed: u8| *blake3::hash(&[&n.to_be_bytes()[..], &[seed]].concat()).as_bytes();
        record(&hash(0), &hash(1))
    }

    fn writer(dir: &std::path::Path, kind: ManifestKind) -> TableWriter {
        let draft = Draft {
            kind,
            source: "sqlite:a.db".to_owned(),
            captured_start: Timestamp::now(),
            mode: CaptureMode::Sealed,
            recovery_point_id: None,
            encoding: "attestore/rows/v1".to_owned(),
            hash_key_id: None,
            digests: vec!["blake3-keyed".to_owned()],
            view: None,
            choices: Default::default(),
        };
        TableWriter::new(ManifestWriter::create(&dir.join("m"), draft).unwrap())
    }

    fn parts(table: &str) -> TableParts {
        TableParts { table: table.to_owned(), schema: [7; 32], order: None, sidecar_max_rows: u64::MAX }
    }

    #[tokio::test]
    async fn tables_are_written_in_their_order_and_room_is_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut tables = writer(dir.path(), ManifestKind::TableSet);
        assert_eq!(tables.allowance().bytes(), BUDGET);
        for (table, rows) in [("a", 40_000), ("b", 0), ("c", 3)] {
            tables.write(Gathered::of((0..rows).map(record_of)), parts(table), &Silent).await.unwrap();
        }
        let allowance = tables.allowance();
        let writer = tables.finish().await.unwrap();
        assert_eq!(allowance.bytes(), BUDGET, "all of it, now that nothing is written");
        let header = writer.finish(Finish::default(), None).unwrap();
        // Four buckets and the schema of one table, one and one of each of the others.
        assert_eq!(header.parts.iter().map(|part| part.rows).sum::<u64>(), 40_003 + 4 + 1 + 2 * 2);
    }

    #[tokio::test]
    async fn a_table_that_cannot_be_written_is_told_as_soon_as_that_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let mut tables = writer(dir.path(), ManifestKind::Objects);
        tables.write(Gathered::of((0..3).map(record_of)), parts("a"), &Silent).await.unwrap();
        let failure = tables.failed().await;
        assert!(failure.message.contains("no place for"), "{failure}");
        assert!(tables.write(Gathered::of([]), parts("b"), &Silent).await.is_err());
        assert_eq!(tables.finish().await.err().map(|failure| failure.kind), Some(FailureKind::Interrupted));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing half-written is left");
    }

    #[tokio::test]
    async fn what_nobody_wants_any_more_is_not_left() {
        let dir = tempfile::tempdir().unwrap();
        let mut tables = writer(dir.path(), ManifestKind::TableSet);
        tables.write(Gathered::of((0..40_000).map(record_of)), parts("a"), &Silent).await.unwrap();
        tables.abandon().await;
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    struct Stopping;

    impl Monitor for Stopping {
        fn event(&self, _: Event<'_>) {}

        fn stop_requested(&self) -> bool {
            true
        }
    }

    #[tokio::test]
    async fn a_wait_for_room_or_for_the_last_table_ends_where_a_stop_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let mut tables = writer(dir.path(), ManifestKind::TableSet);
        tables.held.take(BUDGET);
        let began = std::time::Instant::now();
        let ended = tables.write(Gathered::of((0..3).map(record_of)), parts("a"), &Stopping).await;
        assert_eq!(ended.unwrap_err().kind, FailureKind::Interrupted);
        tables.thread = Some(tokio::spawn(std::future::pending()));
        assert_eq!(tables.all(&Stopping).await.unwrap_err().kind, FailureKind::Interrupted);
        assert!(began.elapsed() < std::time::Duration::from_secs(2), "{:?}", began.elapsed());
    }

    #[test]
    fn what_waits_and_what_is_read_hold_no_more_than_the_budget() {
        let held = Held::default();
        let mut waiting = 0;
        for bytes in [1, LEAST, BUDGET / 2, BUDGET / 2, BUDGET] {
            // No more than it is allowed is read of the next.
            let bytes = bytes.min(held.allowance.bytes());
            held.take(bytes);
            waiting += bytes;
            assert!(waiting + held.allowance.bytes() <= BUDGET);
        }
        assert!(held.until_there_is_room().now_or_never().is_none());
        held.give_back(waiting - (BUDGET - LEAST));
        assert!(held.until_there_is_room().now_or_never().is_some() && held.allowance.bytes() == LEAST);
    }

    proptest! {
        #[test]
        fn pairs_arrive_in_their_order_whatever_the_blocks(blocks in prop::collection::vec(0usize..40_000, 0..6), is_wanted: bool) {
            let (sender, receiver) = sync_channel(100);
            let records: Vec<Record> = (0..blocks.iter().sum::<usize>() as u64).map(|n| {
                let mut record = [0; 40];
                record[..8].copy_from_slice(&n.to_be_bytes());
                record[8..16].copy_from_slice(&(!n).to_be_bytes());
                record
            }).collect();
            let mut rest = &records[..];
            let mut pairs = Pairs::new(is_wanted, &sender);
            for block in blocks {
                let (some, later) = rest.split_at(block);
                pairs.push(some);
                rest = later;
            }
            drop(pairs);
            drop(sender);
            let mut arrived = Vec::new();
            for piece in receiver {
                let Piece::Pairs { key_hashes, row_hashes } = piece else { panic!("no leaf was sent") };
                prop_assert!((1..=PAIRS).contains(&key_hashes.len()) && key_hashes.len() == row_hashes.len());
                arrived.extend(key_hashes.into_iter().zip(row_hashes));
            }
            let expected: Vec<_> = records.iter().filter(|_| is_wanted).map(fingerprint::pair).collect();
            prop_assert_eq!(arrived, expected);
        }
    }
}
