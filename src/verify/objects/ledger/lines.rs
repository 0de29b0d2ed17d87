//! The files of a ledger: lines appended, lines read; and sorted files put together into one.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::model::failure::Failure;
use crate::verify::objects::ledger::record::{Identity, Reading, Record};

/// Bytes that are held back before they are written.
const HELD_BYTES: usize = 64 << 10;

/// The longest that a line is held back, and the longest that a written one is not forced to disk.
const HELD_FOR: Duration = Duration::from_millis(250);
const SYNC_EVERY: Duration = Duration::from_secs(5);

/// A line longer than this is damage: keys have at most 1,024 bytes, paths 4,096.
const LONGEST_LINE: usize = 64 << 10;

/// Appends lines.
#[derive(Debug)]
pub struct Appender {
    path: PathBuf,
    file: File,
    held: Vec<u8>,
    flushed: Instant,
    synced: Instant,
}

impl Appender {
    /// Opens `path`, created when it is absent.
    pub fn open(path: PathBuf) -> Result<Self, Failure> {
        let file = File::options().create(true).append(true).open(&path);
        let mut file = file.map_err(|error| Failure::io(format!("cannot open {}", path.display()), error))?;
        // After a torn line the next one begins on a line of its own.
        file.write_all(b"\n").map_err(|error| Failure::io(format!("cannot write {}", path.display()), error))?;
        let now = Instant::now();
        Ok(Self { path, file, held: Vec::new(), flushed: now, synced: now })
    }

    /// Appends `record`; within a quarter of a second it is out of this process.
    pub fn push(&mut self, record: &Record) -> Result<(), Failure> {
        self.held.extend_from_slice(record.to_line().as_bytes());
        if self.held.len() >= HELD_BYTES || self.flushed.elapsed() >= HELD_FOR {
            self.flush()?;
        }
        if self.synced.elapsed() >= SYNC_EVERY {
            self.sync()?;
        }
        Ok(())
    }

    /// Hands what is held back to the operating system.
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.flushed = Instant::now();
        if self.held.is_empty() {
            return Ok(());
        }
        self.file.write_all(&self.held).map_err(|error| Failure::io(format!("cannot write {}", self.path.display()), error))?;
        self.held.clear();
        Ok(())
    }

    /// Forces everything to disk.
    pub fn sync(&mut self) -> Result<(), Failure> {
        self.flush()?;
        self.synced = Instant::now();
        self.file.sync_data().map_err(|error| Failure::io(format!("cannot write {}", self.path.display()), error))
    }
}

/// Reads the records of a file; lines that are torn or damaged are left out: what they told is read again.
pub struct Lines {
    path: PathBuf,
    reader: Option<BufReader<File>>,
    line: Vec<u8>,
}

impl Lines {
    /// Opens `path`; an absent file has no lines.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let reader = match File::open(path) {
            Ok(file) => Some(BufReader::with_capacity(1 << 18, file)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(Failure::io(format!("cannot open {}", path.display()), error)),
        };
        Ok(Self { path: path.to_owned(), reader, line: Vec::new() })
    }

    /// The next record.
    pub fn next_record(&mut self) -> Result<Option<Record>, Failure> {
        loop {
            let Some(reader) = &mut self.reader else { return Ok(None) };
            self.line.clear();
            let mut limited = std::io::Read::take(&mut *reader, LONGEST_LINE as u64);
            let read = limited.read_until(b'\n', &mut self.line);
            if read.map_err(|error| Failure::io(format!("cannot read {}", self.path.display()), error))? == 0 {
                return Ok(None);
            }
            if let Some(record) = self.line.strip_suffix(b"\n").and_then(Record::of_line) {
                return Ok(Some(record));
            }
        }
    }

    /// The next object that was read.
    pub fn next_reading(&mut self) -> Result<Option<Reading>, Failure> {
        loop {
            match self.next_record()? {
                Some(Record::Read(reading)) => return Ok(Some(*reading)),
                Some(Record::Range(_)) => {}
                None => return Ok(None),
            }
        }
    }
}

/// Walks sorted files key by key, all readings of a key together.
pub struct Keys {
    files: Vec<(Lines, Option<Reading>)>,
}

impl Keys {
    /// Over the files at `paths`, each sorted by key; what is out of order in one is left out.
    pub fn open(paths: &[PathBuf]) -> Result<Self, Failure> {
        let mut files = Vec::new();
        for path in paths {
            let mut lines = Lines::open(path)?;
            let first = lines.next_reading()?;
            files.push((lines, first));
        }
        Ok(Self { files })
    }

    /// The readings of the next key: of each entry the newest, in no order.
    pub fn next_key(&mut self) -> Result<Option<Vec<Reading>>, Failure> {
        let least = self.files.iter().filter_map(|(_, reading)| reading.as_ref()).min_by(|a, b| a.of.name().cmp(&b.of.name()));
        let Some(least) = least else { return Ok(None) };
        let (key, escaped) = (least.of.key.clone(), least.of.escaped);
        let name = (key.as_str(), escaped);
        let mut newest: HashMap<Identity, Reading> = HashMap::new();
        for (lines, ahead) in &mut self.files {
            while let Some(reading) = ahead.take_if(|reading| reading.of.name() <= name) {
                *ahead = lines.next_reading()?;
                let kept = newest.get(&reading.of).is_some_and(|kept| kept.at > reading.at);
                if reading.of.name() == name && !kept {
                    newest.insert(reading.of.clone(), reading);
                }
            }
        }
        Ok(Some(newest.into_values().collect()))
    }
}

/// Puts the sorted files at `paths` together into `target`, which may be one of them, and removes the others. A crash at any step
/// leaves files that say the same together.
pub fn merge(target: &Path, paths: &[PathBuf]) -> Result<(), Failure> {
    let failed = |error| Failure::io(format!("cannot write {}", target.display()), error);
    let new = target.with_extension("new");
    let mut out = std::io::BufWriter::with_capacity(1 << 18, File::create(&new).map_err(failed)?);
    let mut keys = Keys::open(paths)?;
    while let Some(mut readings) = keys.next_key()? {
        readings.sort_by_key(|reading| reading.at);
        for reading in readings {
            out.write_all(Record::Read(Box::new(reading)).to_line().as_bytes()).map_err(failed)?;
        }
    }
    let file = out.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    std::fs::rename(&new, target).map_err(failed)?;
    for path in paths.iter().filter(|path| path.as_path() != target) {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Failure::io(format!("cannot remove {}", path.display()), error));
            }
            _ => {}
        }
    }
    Ok(())
}
