//! The ledger of one run over its directory.
//!
//! - `read.log`: what earlier runs have read, sorted by key.
//! - `run.log`: what this one has read and recalled, in the order of the listing; merged into `read.log` by the next run.
//! - `early.log`: ranges of large objects, and objects that were read before their turn came.
//! - `state.json`: what it is for, passes and runs. `lock`: one run at a time.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;

use crate::model::clock::Timestamp;
use crate::model::failure::{Failure, FailureKind};
use crate::verify::objects::content::Content;
use crate::verify::objects::ledger::known::Walk;
use crate::verify::objects::ledger::lines::{Appender, Keys, Lines, merge};
use crate::verify::objects::ledger::record::{Identity, KnownRange, RangeRead, Reading, Record};
use crate::verify::objects::ledger::state::{Purpose, Run, State};
use crate::verify::objects::source::{Entry, EntryKind};
use crate::verify::ranges::Cut;

/// The sorted readings of `dir`, and those of a run that are not merged yet.
pub fn sorted_files(dir: &Path) -> [PathBuf; 2] {
    [dir.join("read.log"), dir.join("run.log")]
}

/// One run's ledger.
pub struct Ledger {
    dir: PathBuf,
    since: Timestamp,
    inner: Mutex<Inner>,
    // Held until the end; the operating system frees it however the process ends.
    _lock: File,
}

struct Inner {
    state: State,
    run: Appender,
    early: Appender,
    /// What was read early and has not had its turn.
    known_early: HashMap<Identity, Early>,
    /// Of entries that were listed and whose turn has not come.
    recalled: HashMap<Identity, Reading>,
}

#[derive(Default)]
struct Early {
    reading: Option<Reading>,
    ranges: BTreeMap<u64, (Timestamp, KnownRange)>,
}

impl Early {
    fn range_bytes(&self, size: u64) -> u64 {
        let Some(cut) = Cut::of(size) else { return 0 };
        self.ranges.keys().filter(|index| **index < cut.count()).map(|index| cut.range(*index)).map(|range| range.end - range.start).sum()
    }
}

impl Ledger {
    /// Opens the ledger in `dir`, created when it is absent, and begins a run. Readings count that were made since the pass began, or
    /// within `max_age` where that is given.
    pub fn open(dir: &Path, purpose: Purpose, max_age: Option<Duration>) -> Result<Self, Failure> {
        std::fs::create_dir_all(dir).map_err(|error| Failure::io(format!("cannot create the state directory {}", dir.display()), error))?;
        let lock = lock(dir)?;
        let state = State::begin(State::load(dir)?, purpose, dir)?;
        let since = match max_age {
            Some(age) => Timestamp(Timestamp::now().0.saturating_sub(i64::try_from(age.as_micros()).unwrap_or(i64::MAX))),
            None => state.pass_started,
        };
        let [read, run] = sorted_files(dir);
        let early = dir.join("early.log");
        let known_early = load_early(&early, &run, since)?;
        merge(&read, &[read.clone(), run.clone()])?;
        rewrite_early(&early, &known_early)?;
        state.save(dir)?;
        let inner = Inner { state, run: Appender::open(run)?, early: Appender::open(early)?, known_early, recalled: HashMap::new() };
        Ok(Self { dir: dir.to_owned(), since, inner: Mutex::new(inner), _lock: lock })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// When the pass began: nothing that counts was read before, unless an age was given.
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// `listing` as it is, with what earlier runs have read of each entry at hand once it has passed.
    pub fn beside(self: &Arc<Self>, listing: BoxStream<'static, Result<Entry, Failure>>) -> BoxStream<'static, Result<Entry, Failure>> {
        let [read, _] = sorted_files(&self.dir);
        let walk = Keys::open(&[read]).map(|keys| Walk::new(keys, self.since));
        let mut walk = match walk {
            Ok(walk) => walk,
            Err(failure) => return futures_util::stream::iter([Err(failure)]).boxed(),
        };
        let ledger = self.clone();
        let listing = listing.map(move |entry| {
            let entry = entry?;
            if let Some(wanted) = Identity::of(&entry).filter(|_| entry.kind == EntryKind::Object)
                && let Some(reading) = walk.find(&wanted)?
            {
                ledger.lock().recalled.insert(wanted, reading);
            }
            Ok(entry)
        });
        listing.boxed()
    }

    /// What an earlier run has read of `entry`.
    pub fn recall(&self, entry: &Entry) -> Option<Content> {
        let of = Identity::of(entry)?;
        let inner = self.lock();
        let reading = inner.recalled.get(&of).or_else(|| inner.known_early.get(&of)?.reading.as_ref());
        reading.map(Reading::content)
    }

    /// The ranges of `entry` that earlier runs have read.
    pub fn ranges(&self, entry: &Entry) -> BTreeMap<u64, KnownRange> {
        let Some(of) = Identity::of(entry) else { return BTreeMap::new() };
        let inner = self.lock();
        let ranges = inner.known_early.get(&of).map(|early| &early.ranges);
        ranges.into_iter().flatten().map(|(index, (_, range))| (*index, *range)).collect()
    }

    /// Writes down that a range of `entry` was read.
    pub fn note_range(&self, entry: &Entry, index: u64, range: KnownRange) -> Result<(), Failure> {
        let Some(of) = Identity::of(entry) else { return Ok(()) };
        let mut inner = self.lock();
        inner.early.push(&Record::Range(Box::new(RangeRead::new(of, index, range, Timestamp::now()))))
    }

    /// Writes down that `entry` was read, before its turn.
    pub fn note_read(&self, entry: &Entry, content: &Content) -> Result<(), Failure> {
        let Some(of) = Identity::of(entry).filter(|_| content.recalled.is_none()) else { return Ok(()) };
        self.lock().early.push(&Record::Read(Box::new(Reading::new(of, content, Timestamp::now()))))
    }

    /// Writes down what came of `entry` now that its turn has come; nothing where it was not read. In the order of the listing.
    pub fn commit(&self, entry: &Entry, content: Option<&Content>) -> Result<(), Failure> {
        let Some(of) = Identity::of(entry).filter(|_| entry.kind == EntryKind::Object) else { return Ok(()) };
        let mut inner = self.lock();
        let merged = inner.recalled.remove(&of).is_some();
        let Some(content) = content else { return Ok(()) };
        let early = inner.known_early.remove(&of);
        let run = inner.state.run();
        if content.recalled.is_some() {
            run.objects_recalled += 1;
            run.bytes_recalled += content.digests.bytes;
        } else {
            let ranges = early.map_or(0, |early| early.range_bytes(entry.size)).min(content.digests.bytes);
            run.objects_read += 1;
            run.bytes_read += content.digests.bytes - ranges;
            run.bytes_recalled += ranges;
        }
        if merged && content.recalled.is_some() {
            return Ok(());
        }
        let at = content.recalled.unwrap_or_else(Timestamp::now);
        inner.run.push(&Record::Read(Box::new(Reading::new(of, content, at))))
    }

    /// Hands what was written down to the operating system; called every now and then, so that a run that is killed loses little.
    pub fn flush(&self) -> Result<(), Failure> {
        let mut inner = self.lock();
        inner.run.flush()?;
        inner.early.flush()
    }

    /// Ends the run; `complete` where it reached the end with everything read.
    pub fn finish(&self, complete: bool) -> Result<(State, Run), Failure> {
        let mut inner = self.lock();
        inner.run.sync()?;
        inner.early.sync()?;
        inner.state.complete = complete;
        let run = inner.state.run();
        run.ended = Some(Timestamp::now());
        run.complete = complete;
        let run = run.clone();
        inner.state.save(&self.dir)?;
        Ok((inner.state.clone(), run))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no panic while held")
    }
}

fn lock(dir: &Path) -> Result<File, Failure> {
    let path = dir.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| Failure::io(format!("cannot open {}", path.display()), error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(Failure::new(FailureKind::Refused, format!("another run works with the state directory {}", dir.display()))
                .hint("wait until it has ended, or name another directory with --state"))
        }
        Err(std::fs::TryLockError::Error(error)) => Err(Failure::io(format!("cannot lock {}", path.display()), error)),
    }
}

/// What was read early and counts, without what had its turn already: the last line of the run's own file tells how far turns came.
fn load_early(early: &Path, run: &Path, since: Timestamp) -> Result<HashMap<Identity, Early>, Failure> {
    let mut last: Option<(String, bool)> = None;
    let mut lines = Lines::open(run)?;
    while let Some(reading) = lines.next_reading()? {
        last = Some((reading.of.key, reading.of.escaped));
    }
    let had_its_turn = |of: &Identity| last.as_ref().is_some_and(|(key, escaped)| of.name() <= (key.as_str(), *escaped));
    let mut known: HashMap<Identity, Early> = HashMap::new();
    let mut lines = Lines::open(early)?;
    while let Some(record) = lines.next_record()? {
        match record {
            Record::Read(reading) if reading.at < since || had_its_turn(&reading.of) => {
                known.remove(&reading.of);
            }
            Record::Read(reading) => {
                known.insert(reading.of.clone(), Early { reading: Some(*reading), ranges: BTreeMap::new() });
            }
            Record::Range(range) if range.at >= since => {
                let known = known.entry(range.of.clone()).or_default();
                known.ranges.insert(range.index, (range.at, range.range()));
            }
            Record::Range(_) => {}
        }
    }
    Ok(known)
}

/// Leaves in `early.log` only what still counts.
fn rewrite_early(path: &Path, known: &HashMap<Identity, Early>) -> Result<(), Failure> {
    let new = path.with_extension("new");
    let _ = std::fs::remove_file(&new);
    let mut out = Appender::open(new.clone())?;
    for (of, early) in known {
        if let Some(reading) = &early.reading {
            out.push(&Record::Read(Box::new(reading.clone())))?;
        }
        for (index, (at, range)) in &early.ranges {
            out.push(&Record::Range(Box::new(RangeRead::new(of.clone(), *index, *range, *at))))?;
        }
    }
    out.sync()?;
    std::fs::rename(&new, path).map_err(|error| Failure::io(format!("cannot write {}", path.display()), error))
}
