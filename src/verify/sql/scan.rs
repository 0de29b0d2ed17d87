//! One pass over one table: rows become digests, digests a fingerprint; and the second, narrow pass that names rows by their keys.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::model::failure::{Failure, FailureKind};
use crate::monitor::{Event, Monitor};
use crate::verify::allowance::Allowance;
use crate::verify::fingerprint::{Accumulator, Fingerprint};
use crate::verify::leaf::Form;
use crate::verify::manifest::request::Sidecar;
use crate::verify::sorter::{Sorted, Sorter};
use crate::verify::sql::database::Database;
use crate::verify::sql::kept::Kept;
use crate::verify::sql::naming::{self, Seen, SeenRows};
use crate::verify::sql::reading::{Cause, Harvest, ReadError};
use crate::verify::sql::rows::canon::Row;
use crate::verify::sql::rows::digester::{Digester, Meaning};
use crate::verify::sql::rows::display;
use crate::verify::sql::rows::key_order::KeyOrder;
use crate::verify::sql::rows::row_keys::RowKeys;
use crate::verify::sql::rows::table::Table;

/// Bytes of records that stay in memory, three million rows; beyond it they go into a temporary file.
pub const BUDGET: usize = 120 << 20;

/// Seconds of silence between two words about it.
const QUIET_SECONDS: u64 = 5;

/// Rows between two looks at the monitor.
const BREATH: u64 = 4_096;

/// What one pass gave, before it is sorted.
pub struct Gathered {
    accumulator: Accumulator,
    notes: Option<Sorter<40>>,
    /// Canonical bytes that were hashed.
    pub bytes: u64,
}

impl Gathered {
    /// Rows that were read.
    pub fn rows(&self) -> u64 {
        self.accumulator.rows()
    }

    /// Whether rows were noted.
    pub fn is_noted(&self) -> bool {
        self.notes.is_some()
    }

    /// These records.
    #[cfg(test)]
    pub fn of(records: impl IntoIterator<Item = crate::verify::buckets::Record>) -> Self {
        let mut accumulator = Accumulator::new(BUDGET);
        records.into_iter().for_each(|record| accumulator.push_all(&[record]).expect("it is within the budget"));
        Self { accumulator, notes: None, bytes: 0 }
    }

    /// Bytes of records in memory.
    pub fn held(&self) -> usize {
        self.accumulator.bytes() + self.notes.as_ref().map_or(0, Sorter::bytes)
    }

    /// Sorts it.
    pub fn sorted(self) -> Result<Scan, Failure> {
        let notes = self.notes.map(Sorter::finish).transpose()?;
        Ok(Scan { fingerprint: self.accumulator.finish()?, bytes: self.bytes, notes })
    }
}

/// The same, sorted.
pub struct Scan {
    /// The fingerprint.
    pub fingerprint: Fingerprint,
    /// Canonical bytes that were hashed.
    pub bytes: u64,
    /// Pieces of the notes of all rows (`rows::notes`), where rows were noted and there are no more of them than that is done for.
    pub notes: Option<Sorted<40>>,
}

/// What is made of the rows.
#[derive(Clone)]
pub struct Way<'a> {
    /// What digests are keyed with.
    pub keys: &'a RowKeys,
    /// What the leaves are made of.
    pub form: Form,
    /// For leaves that are ranges of keys: their order.
    pub order: Option<&'a KeyOrder>,
    /// Bytes of records that stay in memory, notes included.
    pub budget: Allowance,
    /// What is noted of each row, and of how many rows at most.
    pub notes: (Sidecar, u64),
}

/// Reads all of `table`; what `kept` has of it is not read again.
pub async fn scan(
    db: &mut Database,
    of: (&Table, &Meaning),
    way: Way<'_>,
    kept: Option<&mut Kept>,
    monitor: &dyn Monitor,
) -> Result<Scan, ReadError> {
    let gathered = gather(db, of, way, kept, monitor).await?;
    let rows = gathered.rows();
    gathered.sorted().map_err(|failure| ReadError { rows, cause: Cause::Stopped(failure) })
}

/// The same without sorting it yet.
pub async fn gather(
    db: &mut Database,
    (table, meaning): (&Table, &Meaning),
    way: Way<'_>,
    kept: Option<&mut Kept>,
    monitor: &dyn Monitor,
) -> Result<Gathered, ReadError> {
    let task = format!("reading {}", table.name);
    let mut progress = Progress::start(&task, monitor);
    let columns: Vec<usize> = (0..table.columns.len()).collect();
    let (sidecar, most) = way.notes;
    let mut digester = Digester::new(way.keys, table, &columns, meaning).in_order(way.order).noting(table, sidecar);
    let is_noting = digester.is_noting();
    let budget = if is_noting { way.budget.halved() } else { way.budget };
    let mut accumulator = Accumulator::within(way.form, &budget);
    let mut notes = is_noting.then(|| Sorter::within(budget.clone()));
    let mut kept = kept.map(|kept| kept.table(table, meaning));
    if let Some((done, ranges)) = kept.as_ref().and_then(|kept| kept.done()) {
        monitor.event(Event::Note(&format!("table {}: {done} of {ranges} ranges were read by an earlier run", table.name)));
    }
    let arrived = AtomicU64::new(0);
    let sink = &mut |harvest: Harvest<'_>| {
        arrived.fetch_add(1, Ordering::Relaxed);
        match harvest {
            Harvest::Read { rows, bytes } => progress.read(rows, bytes),
            Harvest::Records(records) => {
                accumulator.push_all(records)?;
                // Nobody is going to be told of them: their room is given back.
                notes = notes.take().filter(|_| accumulator.rows() <= most);
                Ok(true)
            }
            Harvest::Notes(pieces) => notes.as_mut().map_or(Ok(()), |notes| notes.push_all(pieces)).map(|()| true),
            Harvest::Again(why) => {
                monitor.event(Event::Note(&format!("table {}: {why}: it is read again from its beginning", table.name)));
                accumulator = Accumulator::within(way.form, &budget);
                notes = is_noting.then(|| Sorter::within(budget.clone()));
                Ok(true)
            }
        }
    };
    let reading = db.digest(table, &mut digester, kept.as_mut(), sink);
    let read = watched(reading, (&table.name, &arrived), QUIET_SECONDS, monitor).await;
    let bytes = progress.finish();
    if let Some(said) = db.take_note() {
        monitor.event(Event::Note(&said));
    }
    read?;
    Ok(Gathered { accumulator, notes, bytes })
}

/// Waits for `reading`, and says so where nothing `arrived` for a while: a server does not tell that it waits for somebody's lock. A
/// request to stop ends the wait.
async fn watched(
    reading: impl Future<Output = Result<u64, ReadError>>,
    (table, arrived): (&str, &AtomicU64),
    quiet: u64,
    monitor: &dyn Monitor,
) -> Result<u64, ReadError> {
    let mut reading = pin!(reading);
    let (mut known, mut silent) = (0, 0);
    loop {
        if let Ok(read) = tokio::time::timeout(Duration::from_secs(1), &mut reading).await {
            return read;
        }
        let now = arrived.load(Ordering::Relaxed);
        silent = if now == known { silent + 1 } else { 0 };
        known = now;
        if silent > 0 && silent % quiet == 0 {
            let said = format!(
                "table {table}: no row has arrived for {silent} s; a large value, a lock that somebody holds on it, or the server itself, is waited for"
            );
            monitor.event(Event::Note(&said));
        }
        if silent > 0 && monitor.stop_requested() {
            let failure =
                Failure::new(FailureKind::Interrupted, format!("reading {table}: stopped while waiting for the server, as asked"));
            return Err(ReadError { rows: 0, cause: Cause::Stopped(failure.hint("run it again")) });
        }
    }
}

/// Counts the rows of a table that there is nothing to compare with; false where it could not be read to its end.
pub async fn count(db: &mut Database, table: &Table, keys: &RowKeys) -> (u64, bool) {
    let mut rows = 0;
    let counted = db
        .read(table, &table.key, Row::new(keys), &mut |_| {
            rows += 1;
            Ok(true)
        })
        .await;
    (rows, counted.is_ok())
}

/// What is looked up of a row beside its key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Look<'a> {
    /// Where the manifest's leaves are ranges of keys: their order, which stands in the place of key hashes.
    pub order: Option<&'a KeyOrder>,
    /// The column with its change stamp.
    pub stamp: Option<usize>,
    /// A hash of each column.
    pub fields: bool,
}

/// Rows that are looked up: by the first bytes of their key hash, or their place, the first bytes of their digest.
pub type Wanted = HashMap<[u8; 8], [u8; 8]>;

/// Looks rows up whose key hash begins with one of `wanted`: reads no more columns than it must, until all are found. Where it reads them all,
/// a row of another digest, as keys that may be NULL have several, gives its key and nothing of its columns.
pub async fn look_up(
    db: &mut Database,
    table: &Table,
    keys: &RowKeys,
    meaning: &Meaning,
    look: &Look<'_>,
    mut wanted: Wanted,
    monitor: &dyn Monitor,
) -> Result<SeenRows, ReadError> {
    let mut seen = SeenRows::new();
    if table.key.is_empty() || wanted.is_empty() {
        return Ok(seen);
    }
    let needed = |index: &usize| look.fields || table.key.contains(index) || look.stamp == Some(*index);
    let columns: Vec<usize> = (0..table.columns.len()).filter(needed).collect();
    let place = |index: usize| columns.iter().position(|column| *column == index);
    let stamp = look.stamp.and_then(place);
    let key: Vec<(&str, usize)> =
        table.key.iter().filter_map(|index| Some((table.columns[*index].name.as_str(), place(*index)?))).collect();
    let mut digester = Digester::new(keys, table, &columns, meaning).in_order(look.order);
    db.read(table, &columns, Row::new(keys), &mut |row| {
        let record = digester.record(row);
        let hash: [u8; 8] = *record.first_chunk().expect("a record has 40 bytes");
        if let Some(digest) = wanted.get(&hash) {
            let is_it = !look.fields || record[8..16] == digest[..];
            let stamp = stamp.and_then(|at| naming::stamp_of(row.field(at)));
            let fields = if look.fields && is_it { digester.fields(row) } else { Vec::new() };
            if is_it || !seen.contains_key(&hash) {
                seen.insert(hash, Seen { name: display::name(row, key.iter().copied()), stamp, fields });
            }
            if is_it {
                wanted.remove(&hash);
            }
        }
        Ok(!wanted.is_empty() && !monitor.stop_requested())
    })
    .await?;
    Ok(seen)
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
                return Err(Failure::new(FailureKind::Interrupted, message)
                    .hint("run it again: with --state DIR, and a drill with --resume, it goes on where it stopped"));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps what is told, and asks to stop as soon as something was.
    #[derive(Default)]
    struct Told(std::sync::Mutex<Vec<String>>);

    impl Told {
        fn notes(&self) -> Vec<String> {
            self.0.lock().unwrap().clone()
        }
    }

    impl Monitor for Told {
        fn event(&self, event: Event<'_>) {
            if let Event::Note(text) = event {
                self.0.lock().unwrap().push(text.to_owned());
            }
        }

        fn stop_requested(&self) -> bool {
            !self.notes().is_empty()
        }
    }

    #[tokio::test]
    async fn a_silent_wait_is_told_and_a_request_to_stop_ends_it() {
        let (monitor, arrived) = (Told::default(), AtomicU64::new(0));
        let read = watched(std::future::pending(), ("t", &arrived), 1, &monitor).await;
        assert!(monitor.notes()[0].contains("table t: no row has arrived"), "{:?}", monitor.notes());
        let Err(ReadError { cause: Cause::Stopped(failure), .. }) = read else { panic!("stopped") };
        assert_eq!(failure.kind, FailureKind::Interrupted);
        assert_eq!(watched(std::future::ready(Ok(7)), ("t", &arrived), 1, &monitor).await.ok(), Some(7));
    }
}
