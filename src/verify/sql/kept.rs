//! What a run has read of a database, kept in a directory: a run that was cut short goes on by range, without reading again what was
//! read to its end.
//!
//! That holds only where the source still shows the same rows, which its standing says (the database's own term for where it is); else,
//! and where it states none, everything is read again, and the run says so. The file is a row of frames, each with a keyed digest:
//! what a crash has cut off, and what anybody else has written, does not count.
//!
//! | Frame | Payload |
//! |---|---|
//! | 1 a run begins | JSON: purpose and standing |
//! | 2 a table is cut into ranges | JSON: its name, a digest of what is read of it, the ranges |
//! | 3 records of a range | u32 table, u32 range, u32 run, u32 attempt, 1 for the last ones of the range, records of 40 bytes |
//! | 4 notes of a range | the same with pieces of notes, which are as long; never the last ones |
//!
//! Frame: kind (u8), length of the payload (u32), payload, keyed BLAKE3 over all of these; integers big-endian.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::model::failure::{Failure, FailureKind};
use crate::monitor::{Event, Monitor};
use crate::signing::hash_key::HashKey;
use crate::verify::buckets::Record;
use crate::verify::sql::reading::{HELD_BACK, Harvest, HarvestSink, Ranges};
use crate::verify::sql::rows::digester::Meaning;
use crate::verify::sql::rows::table::Table;

/// The file in the directory.
const FILE: &str = "rows.state";
const BEGIN: u8 = 1;
const TABLE: u8 = 2;
const RECORDS: u8 = 3;
const NOTES: u8 = 4;
/// Kind and length before a payload, the digest after it.
const HEAD: usize = 5;
const TAIL: usize = 32;
/// Before the records of a frame.
const PLACE: usize = 17;
/// The longest payload that is believed: records that a range holds back and hands on, and room for a table of many ranges.
const LONGEST: usize = HELD_BACK * size_of::<Record>() + (64 << 20);

/// What a run was for and where its source stood.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Begin {
    purpose: Value,
    standing: Value,
}

/// How a table was cut.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Cut {
    table: String,
    about: String,
    ranges: Ranges,
}

/// An attempt at a range: table, range, run, attempt.
type Attempt = (u32, u32, u32, u32);
/// Where records are in the file, or notes: offset, length in bytes, kind of frame.
type Piece = (u64, usize, u8);

/// Of one table.
#[derive(Default)]
struct Known {
    id: u32,
    about: String,
    ranges: Ranges,
    /// The records of each range that was read to its end.
    done: BTreeMap<u32, Vec<Piece>>,
}

/// The readings of runs for one purpose.
pub struct Kept {
    file: File,
    path: PathBuf,
    key: [u8; 32],
    end: u64,
    run: u32,
    tables: BTreeMap<String, Known>,
    /// Pieces of ranges whose last piece has not come yet.
    open: BTreeMap<Attempt, Vec<Piece>>,
}

impl Kept {
    /// Opens the readings in `dir`, which is made where it is absent. `purpose` says of what and for what; a directory that is for
    /// another source is refused, another purpose or standing begins anew. Nothing is kept of a source that states no standing.
    pub fn open(
        dir: &Path,
        purpose: Value,
        standing: Option<Value>,
        hash_key: &HashKey,
        monitor: &dyn Monitor,
    ) -> Result<Option<Self>, Failure> {
        let path = dir.join(FILE);
        let about = |error| Failure::io(format!("reading state {}", path.display()), error);
        std::fs::create_dir_all(dir).map_err(about)?;
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(about)?;
        rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            Failure::new(FailureKind::Refused, format!("reading state {}: another run is using it", path.display()))
                .hint("wait until it has ended, or name another directory with --state")
        })?;
        let key = hash_key.derive("attestore reading state v2");
        let mut kept = Self { file, path, key, end: 0, run: 0, tables: BTreeMap::new(), open: BTreeMap::new() };
        let mut before = None;
        kept.load(&mut |begin| before = Some(begin))?;
        let source = |purpose: &Value| purpose["source"].clone();
        if let Some(other) = before.as_ref().map(|begin| source(&begin.purpose)).filter(|other| *other != source(&purpose)) {
            let message = format!("reading state {} is of {other}, not of {}", kept.path.display(), source(&purpose));
            return Err(Failure::invalid(message).hint("name another directory with --state"));
        }
        let Some(standing) = standing else {
            let said = format!(
                "{}: nothing that it shows proves that it stands still: read from the beginning, and nothing is kept",
                source(&purpose)
            );
            monitor.event(Event::Note(&said));
            return Ok(None);
        };
        let begin = Begin { purpose, standing };
        if before.as_ref().is_some_and(|before| *before != begin) {
            let why = match before {
                Some(before) if before.purpose == begin.purpose => {
                    format!("it stood at {} when an earlier run read it, and stands at {} now", before.standing, begin.standing)
                }
                _ => "an earlier run read it for another purpose".to_owned(),
            };
            monitor.event(Event::Note(&format!("{}: {why}: it is read from the beginning", source(&begin.purpose))));
            kept.forget()?;
        }
        kept.file.set_len(kept.end).map_err(|error| kept.failed(error))?;
        kept.run += 1;
        kept.write(BEGIN, &[&json_bytes(&begin)?])?;
        Ok(Some(kept))
    }

    /// What is kept of `table`, of which the rows mean `meaning`. What was kept of it as it was defined otherwise is forgotten.
    pub fn table(&mut self, table: &Table, meaning: &Meaning) -> KeptTable<'_> {
        let text = format!("{} {:?} {:?} {meaning:?}", table.describe(), table.key, table.filter);
        let about = hex::encode(blake3::keyed_hash(&self.key, text.as_bytes()).as_bytes());
        KeptTable { name: table.name.clone(), about, id: 0, kept: self }
    }

    /// The reading has come to its end: the next run begins anew.
    pub fn finish(self) -> Result<(), Failure> {
        std::fs::remove_file(&self.path).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: std::io::Error) -> Failure {
        Failure::io(format!("reading state {}", self.path.display()), error)
    }

    fn forget(&mut self) -> Result<(), Failure> {
        self.tables.clear();
        self.open.clear();
        (self.end, self.run) = (0, 0);
        self.file.set_len(0).map_err(|error| self.failed(error))
    }

    /// Walks the frames up to the first that does not hold.
    fn load(&mut self, begin: &mut dyn FnMut(Begin)) -> Result<(), Failure> {
        let length = self.file.metadata().map_err(|error| self.failed(error))?.len();
        let file = self.file.try_clone().map_err(|error| self.failed(error))?;
        let mut input = BufReader::with_capacity(1 << 20, file);
        let (mut head, mut tail, mut payload) = ([0; HEAD], [0; TAIL], Vec::new());
        loop {
            let left = length.saturating_sub(self.end);
            if left < (HEAD + TAIL) as u64 {
                return Ok(());
            }
            input.read_exact(&mut head).map_err(|error| self.failed(error))?;
            let size = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
            if size > LONGEST || left < (HEAD + size + TAIL) as u64 {
                return Ok(());
            }
            payload.resize(size, 0);
            input.read_exact(&mut payload).map_err(|error| self.failed(error))?;
            input.read_exact(&mut tail).map_err(|error| self.failed(error))?;
            if self.tag(&head, &[&payload]) != tail || !self.take(head[0], &payload, begin) {
                return Ok(());
            }
            self.end += (HEAD + size + TAIL) as u64;
        }
    }

    /// Takes a frame in; false where it says nothing that can be.
    fn take(&mut self, kind: u8, payload: &[u8], begin: &mut dyn FnMut(Begin)) -> bool {
        match kind {
            BEGIN => serde_json::from_slice(payload).is_ok_and(|read| {
                self.run += 1;
                begin(read);
                true
            }),
            TABLE => serde_json::from_slice(payload).is_ok_and(|cut: Cut| {
                self.cut(cut);
                true
            }),
            RECORDS | NOTES => self.place(kind, payload),
            _ => false,
        }
    }

    fn cut(&mut self, cut: Cut) -> u32 {
        let id = u32::try_from(self.tables.len()).unwrap_or(u32::MAX);
        let id = self.tables.get(&cut.table).map_or(id, |known| known.id);
        self.tables.insert(cut.table, Known { id, about: cut.about, ranges: cut.ranges, done: BTreeMap::new() });
        id
    }

    fn place(&mut self, kind: u8, payload: &[u8]) -> bool {
        let Some((place, records)) = payload.split_at_checked(PLACE) else { return false };
        let number = |at: usize| u32::from_be_bytes([place[at], place[at + 1], place[at + 2], place[at + 3]]);
        if !records.len().is_multiple_of(size_of::<Record>()) {
            return false;
        }
        let of = (number(0), number(4), number(8), number(12));
        self.piece(of, (self.end + (HEAD + PLACE) as u64, records.len(), kind), place[16] == 1)
    }

    /// A piece of a range; with the last one the range is done.
    fn piece(&mut self, of: Attempt, piece: Piece, last: bool) -> bool {
        self.open.entry(of).or_default().push(piece);
        if last {
            let pieces = self.open.remove(&of).unwrap_or_default();
            let Some(known) = self.tables.values_mut().find(|known| known.id == of.0) else { return false };
            known.done.insert(of.1, pieces);
        }
        true
    }

    fn tag(&self, head: &[u8], parts: &[&[u8]]) -> [u8; TAIL] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(head);
        for part in parts {
            hasher.update(part);
        }
        *hasher.finalize().as_bytes()
    }

    fn write(&mut self, kind: u8, parts: &[&[u8]]) -> Result<(), Failure> {
        let size: usize = parts.iter().map(|part| part.len()).sum();
        let size = u32::try_from(size).map_err(|_| Failure::invalid(format!("reading state: a frame of {size} bytes")))?;
        let mut head = [kind, 0, 0, 0, 0];
        head[1..].copy_from_slice(&size.to_be_bytes());
        let tag = self.tag(&head, parts);
        let mut at = self.end;
        for part in [&head[..]].into_iter().chain(parts.iter().copied()).chain([&tag[..]]) {
            self.file.write_all_at(part, at).map_err(|error| self.failed(error))?;
            at += part.len() as u64;
        }
        self.end = at;
        Ok(())
    }
}

/// What is kept of one table.
pub struct KeptTable<'a> {
    kept: &'a mut Kept,
    name: String,
    about: String,
    id: u32,
}

impl KeptTable<'_> {
    /// The ranges that the table is read in: those of an earlier run where there are any, else `fresh`.
    pub fn plan(&mut self, fresh: Ranges) -> Result<Ranges, Failure> {
        if let Some(known) = self.kept.tables.get(&self.name).filter(|known| known.about == self.about) {
            self.id = known.id;
            return Ok(known.ranges.clone());
        }
        let cut = Cut { table: self.name.clone(), about: self.about.clone(), ranges: fresh.clone() };
        self.kept.write(TABLE, &[&json_bytes(&cut)?])?;
        self.id = self.kept.cut(cut);
        Ok(fresh)
    }

    /// Whether an earlier run has read this range to its end.
    pub fn is_done(&self, range: usize) -> bool {
        self.pieces(range).is_some()
    }

    /// How many ranges an earlier run has read to their end, and how many there are; nothing where there is none.
    pub fn done(&self) -> Option<(usize, usize)> {
        self.known().map(|known| (known.done.len(), known.ranges.len())).filter(|(done, _)| *done > 0)
    }

    fn known(&self) -> Option<&Known> {
        self.kept.tables.get(&self.name).filter(|known| known.about == self.about)
    }

    fn pieces(&self, range: usize) -> Option<&Vec<Piece>> {
        self.known()?.done.get(&u32::try_from(range).ok()?)
    }

    /// Hands the records of a range that is done to `sink` and gives their number. No bytes are counted: none were read.
    pub fn replay(&self, range: usize, sink: HarvestSink<'_>) -> Result<u64, Failure> {
        let pieces = self.pieces(range);
        let mut rows = 0;
        let mut room: Vec<Record> = vec![[0; size_of::<Record>()]; 4_096];
        for (offset, length, kind) in pieces.into_iter().flatten() {
            let mut at = 0;
            while at < *length {
                let some = (length - at).min(size_of_val(&room[..]));
                let records = &mut room[..some / size_of::<Record>()];
                self.kept.file.read_exact_at(records.as_flattened_mut(), offset + at as u64).map_err(|error| self.kept.failed(error))?;
                at += some;
                if *kind == NOTES {
                    sink(Harvest::Notes(records))?;
                    continue;
                }
                sink(Harvest::Read { rows: records.len() as u64, bytes: 0 })?;
                sink(Harvest::Records(records))?;
                rows += records.len() as u64;
            }
        }
        Ok(rows)
    }

    /// Keeps records of a range, and notes, in its nth attempt of this run; with the `last` ones the range is done.
    pub fn append(&mut self, (range, attempt): (usize, u32), (records, notes): (&[Record], &[Record]), last: bool) -> Result<(), Failure> {
        let range = u32::try_from(range).map_err(|_| Failure::invalid(format!("table {}: range {range}", self.name)))?;
        let of = (self.id, range, self.kept.run, attempt);
        let mut place = [0; PLACE];
        for (at, number) in [of.0, of.1, of.2, of.3].into_iter().enumerate() {
            place[at * 4..at * 4 + 4].copy_from_slice(&number.to_be_bytes());
        }
        let notes = notes.chunks(HELD_BACK).map(|some| (NOTES, some, false));
        for (kind, some, last) in notes.chain([(RECORDS, records, last)]) {
            place[16] = u8::from(last);
            let piece = (self.kept.end + (HEAD + PLACE) as u64, some.as_flattened().len(), kind);
            self.kept.write(kind, &[&place, some.as_flattened()])?;
            self.kept.piece(of, piece, last);
        }
        Ok(())
    }
}

fn json_bytes(value: &impl Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(value).map_err(|error| Failure::invalid(format!("reading state: {error}")))
}

/// The purpose of a run over `source`: what is digested with which key, and for what.
pub fn purpose(source: &str, encoding: &str, hash_key: &HashKey, of: Value) -> Value {
    json!({"source": source, "encoding": encoding, "hash_key_id": hash_key.id(), "for": of})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::Silent;

    fn key() -> HashKey {
        HashKey::from_bytes([3; 32])
    }

    fn open(dir: &Path, standing: u64) -> Kept {
        let purpose = purpose("sqlite:x", "rows", &key(), json!("test"));
        Kept::open(dir, purpose, Some(json!(standing)), &key(), &Silent).unwrap().unwrap()
    }

    fn table() -> Table {
        Table::new("t".into(), "t".into(), Vec::new(), &[])
    }

    fn ranges() -> Ranges {
        vec![vec!["a".into()], vec!["b".into(), "c".into()]]
    }

    fn record(n: u8) -> Record {
        [n; 40]
    }

    fn replayed(kept: &mut Kept) -> Vec<u8> {
        let table = kept.table(&table(), &Meaning::Exact);
        let (mut seen, mut noted) = (Vec::new(), 0);
        for range in (0..2).filter(|range| table.is_done(*range)) {
            let mut sink = |harvest: Harvest<'_>| {
                match harvest {
                    Harvest::Records(records) => seen.extend(records.iter().map(|record| record[0])),
                    Harvest::Notes(notes) => noted += notes.len(),
                    Harvest::Read { .. } | Harvest::Again(_) => {}
                }
                Ok(true)
            };
            table.replay(range, &mut sink).unwrap();
        }
        assert_eq!(noted, usize::from(seen.contains(&2)), "notes come with the range that they are of");
        seen
    }

    /// Range 0 done in two pieces after an attempt that broke off, range 1 begun.
    fn write(dir: &Path) {
        let mut kept = open(dir, 1);
        let mut table = kept.table(&table(), &Meaning::Exact);
        assert_eq!(table.plan(ranges()).unwrap(), ranges());
        table.append((0, 1), (&[record(9)], &[]), false).unwrap();
        table.append((0, 2), (&[record(1), record(2)], &[record(7)]), false).unwrap();
        table.append((1, 1), (&[record(8)], &[]), false).unwrap();
        table.append((0, 2), (&[record(3)], &[]), true).unwrap();
    }

    #[test]
    fn only_ranges_that_were_read_to_their_end_count() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path());
        let mut kept = open(dir.path(), 1);
        assert_eq!(replayed(&mut kept), [1, 2, 3]);
        let mut again = kept.table(&table(), &Meaning::Exact);
        assert_eq!(again.plan(vec![vec!["other".into()]]).unwrap(), ranges(), "the ranges of the earlier run");
        // The attempt of the killed run is not added to.
        again.append((1, 1), (&[record(4)], &[]), true).unwrap();
        drop(kept);
        let mut kept = open(dir.path(), 1);
        assert_eq!(replayed(&mut kept), [1, 2, 3, 4]);
        kept.finish().unwrap();
        assert_eq!(replayed(&mut open(dir.path(), 1)), [0u8; 0]);
    }

    #[test]
    fn another_standing_begins_anew_and_another_source_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path());
        assert_eq!(replayed(&mut open(dir.path(), 2)), [0u8; 0], "the source has moved");
        assert_eq!(replayed(&mut open(dir.path(), 1)), [0u8; 0], "and what was kept before is gone");
        let other = purpose("sqlite:y", "rows", &key(), json!("test"));
        let error = Kept::open(dir.path(), other, Some(json!(1)), &key(), &Silent).err().unwrap();
        assert!(error.kind == FailureKind::Invalid && error.message.contains("sqlite:x"), "{error}");
        let held = open(dir.path(), 1);
        let twice = Kept::open(dir.path(), purpose("sqlite:x", "rows", &key(), json!("test")), Some(json!(1)), &key(), &Silent);
        assert_eq!(twice.err().unwrap().kind, FailureKind::Refused);
        drop(held);
        let unproved = Kept::open(dir.path(), purpose("sqlite:x", "rows", &key(), json!("test")), None, &key(), &Silent).unwrap();
        assert!(unproved.is_none());
    }

    #[test]
    fn a_file_cut_or_changed_anywhere_gives_no_record_that_was_not_written() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path());
        let path = dir.path().join(FILE);
        let whole = std::fs::read(&path).unwrap();
        for at in (0..whole.len()).step_by(7) {
            std::fs::write(&path, &whole[..at]).unwrap();
            assert_eq!(replayed(&mut open(dir.path(), 1)), [0u8; 0], "cut at {at}");
            let mut changed = whole.clone();
            changed[at] ^= 1;
            std::fs::write(&path, &changed).unwrap();
            let mut kept = Kept::open(dir.path(), purpose("sqlite:x", "rows", &key(), json!("test")), Some(json!(1)), &key(), &Silent);
            if let Ok(Some(kept)) = &mut kept {
                assert!(replayed(kept).is_empty(), "changed at {at}");
            }
        }
        let foreign = HashKey::from_bytes([4; 32]);
        std::fs::write(&path, &whole).unwrap();
        let mut other = Kept::open(dir.path(), purpose("sqlite:x", "rows", &foreign, json!("test")), Some(json!(1)), &foreign, &Silent);
        assert_eq!(replayed(other.as_mut().unwrap().as_mut().unwrap()), [0u8; 0], "another key's frames are not believed");
    }
}
