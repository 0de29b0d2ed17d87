//! Sorts fixed-size records in flat memory: sorted runs in one unnamed temporary file, merged while they are walked.
//!
//! Not here: what the records mean.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;

use crate::model::failure::Failure;

/// Sorts fixed-size records; beyond the budget, sorted runs go into one unnamed temporary file.
pub struct Sorter<const N: usize> {
    memory: Vec<[u8; N]>,
    limit: usize,
    file: Option<File>,
    /// (offset in records, records) of each run.
    runs: Vec<(u64, u64)>,
    count: u64,
}

impl<const N: usize> Sorter<N> {
    /// `budget` in bytes; at least 64 records stay in memory.
    pub fn new(budget: usize) -> Self {
        Self { memory: Vec::new(), limit: (budget / N).max(64), file: None, runs: Vec::new(), count: 0 }
    }

    /// Records so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Adds a record.
    pub fn push(&mut self, record: [u8; N]) -> Result<(), Failure> {
        if self.memory.len() >= self.limit {
            self.spill()?;
        }
        self.memory.push(record);
        self.count += 1;
        Ok(())
    }

    fn spill(&mut self) -> Result<(), Failure> {
        let failed = |error| Failure::io("cannot write row digests into a temporary file", error);
        sort(&mut self.memory);
        let mut file = match self.file.take() {
            Some(file) => file,
            None => tempfile::tempfile().map_err(failed)?,
        };
        file.write_all(self.memory.as_flattened()).map_err(failed)?;
        self.file = Some(file);
        let start = self.runs.last().map_or(0, |(start, records)| start + records);
        self.runs.push((start, self.memory.len() as u64));
        self.memory.clear();
        Ok(())
    }

    /// Ends the input.
    pub fn finish(mut self) -> Result<Sorted<N>, Failure> {
        sort(&mut self.memory);
        if self.file.is_some() {
            // A walk holds a window of every run: the records in memory become the last run, and their room is given back.
            self.spill()?;
            self.memory = Vec::new();
        }
        Ok(Sorted { memory: self.memory, file: self.file, runs: self.runs, count: self.count })
    }
}

/// By the first eight bytes as one number where they decide, which for hashes they do: several times fewer steps than byte by byte.
fn sort<const N: usize>(records: &mut [[u8; N]]) {
    let head = |record: &[u8; N]| record.first_chunk::<8>().map_or(0, |head| u64::from_be_bytes(*head));
    records.sort_unstable_by(|a, b| head(a).cmp(&head(b)).then_with(|| a.cmp(b)));
}

/// Sorted records; can be walked any number of times.
pub struct Sorted<const N: usize> {
    memory: Vec<[u8; N]>,
    file: Option<File>,
    runs: Vec<(u64, u64)>,
    count: u64,
}

impl<const N: usize> Sorted<N> {
    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// True when there was more than the budget.
    pub fn has_spilled(&self) -> bool {
        self.file.is_some()
    }

    /// The records in ascending order, duplicates kept.
    pub fn walk(&self) -> Walk<'_, N> {
        let window = (WALK_BYTES / N / self.runs.len().max(1)).clamp(64, 4096);
        let mut walk = Walk { sorted: self, at: 0, runs: Vec::new(), heap: BinaryHeap::new(), window, failed: None };
        if let Some(file) = &self.file {
            for (start, records) in &self.runs {
                walk.runs.push(Run { file, next: *start, end: start + records, window: Vec::new(), at: 0 });
            }
            for run in 0..walk.runs.len() {
                walk.refill(run);
            }
        }
        walk
    }
}

/// Bytes that the windows of all runs hold together.
const WALK_BYTES: usize = 8 << 20;

struct Run<'a, const N: usize> {
    file: &'a File,
    next: u64,
    end: u64,
    window: Vec<[u8; N]>,
    at: usize,
}

impl<const N: usize> Run<'_, N> {
    fn next(&mut self, window: usize) -> Result<Option<[u8; N]>, Failure> {
        if self.at == self.window.len() {
            let records = usize::try_from(self.end - self.next).unwrap_or(usize::MAX).min(window);
            self.window.resize(records, [0; N]);
            self.at = 0;
            self.file
                .read_exact_at(self.window.as_flattened_mut(), self.next * N as u64)
                .map_err(|error| Failure::io("cannot read row digests back from a temporary file", error))?;
            self.next += records as u64;
        }
        let record = self.window.get(self.at).copied();
        self.at += 1;
        if record.is_none() {
            self.at = self.window.len();
        }
        Ok(record)
    }
}

/// Records in ascending order.
pub struct Walk<'a, const N: usize> {
    sorted: &'a Sorted<N>,
    at: usize,
    runs: Vec<Run<'a, N>>,
    heap: BinaryHeap<Reverse<([u8; N], usize)>>,
    window: usize,
    failed: Option<Failure>,
}

impl<const N: usize> Walk<'_, N> {
    fn refill(&mut self, run: usize) {
        match self.runs[run].next(self.window) {
            Ok(Some(record)) => self.heap.push(Reverse((record, run))),
            Ok(None) => {}
            Err(failure) => self.failed = Some(failure),
        }
    }
}

impl<const N: usize> Iterator for Walk<'_, N> {
    type Item = Result<[u8; N], Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.runs.is_empty() {
            let record = self.sorted.memory.get(self.at).copied();
            self.at += 1;
            return record.map(Ok);
        }
        if let Some(failure) = self.failed.take() {
            self.heap.clear();
            self.runs.iter_mut().for_each(|run| (run.next, run.at) = (run.end, run.window.len()));
            return Some(Err(failure));
        }
        let Reverse((record, run)) = self.heap.pop()?;
        self.refill(run);
        Some(Ok(record))
    }
}
