//! Sorts the records of a file that are more than the budget by merging runs: what a sorter does where dividing does not help, as with
//! equal records. The runs are in an unnamed temporary file of their own.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::Write;

use crate::model::failure::Failure;
use crate::verify::records::{read, sort};

/// Bytes that the windows of all runs hold together.
const WINDOWS_BYTES: usize = 8 << 20;
/// Records that are given at a time.
const BLOCK: usize = 4096;

/// Sorted runs while they are merged.
pub struct Merge<const N: usize> {
    file: File,
    runs: Vec<Run<N>>,
    /// The next record of each run that has one.
    heap: BinaryHeap<Reverse<([u8; N], usize)>>,
    window: u64,
}

struct Run<const N: usize> {
    next: u64,
    end: u64,
    window: Vec<[u8; N]>,
    at: usize,
}

impl<const N: usize> Run<N> {
    fn next(&mut self, file: &File, window: u64) -> Result<Option<[u8; N]>, Failure> {
        if self.at == self.window.len() {
            self.window.clear();
            self.at = 0;
            let records = (self.end - self.next).min(window);
            read(file, self.next, records, &mut self.window)?;
            self.next += records;
        }
        let record = self.window.get(self.at).copied();
        self.at += usize::from(record.is_some());
        Ok(record)
    }
}

impl<const N: usize> Merge<N> {
    /// Of the records of `file` in `pieces` (the first one and how many, counted in records), at most `limit` of them at a time.
    pub fn of(file: &File, pieces: impl Iterator<Item = (u64, u64)>, limit: usize) -> Result<Self, Failure> {
        let failed = |error| Failure::io("cannot write row digests into a temporary file", error);
        let mut own = tempfile::tempfile().map_err(failed)?;
        let mut runs: Vec<Run<N>> = Vec::new();
        let mut room: Vec<[u8; N]> = Vec::new();
        let mut write = |room: &mut Vec<[u8; N]>| {
            sort(room, 0);
            own.write_all(room.as_flattened()).map_err(failed)?;
            let start = runs.last().map_or(0, |run| run.end);
            runs.push(Run { next: start, end: start + room.len() as u64, window: Vec::new(), at: 0 });
            room.clear();
            Ok(())
        };
        for (mut start, mut records) in pieces {
            while records > 0 {
                let some = records.min((limit - room.len()) as u64);
                read(file, start, some, &mut room)?;
                (start, records) = (start + some, records - some);
                if room.len() == limit {
                    write(&mut room)?;
                }
            }
        }
        write(&mut room)?;
        let window = (WINDOWS_BYTES / N / runs.len().max(1)).clamp(64, 4096) as u64;
        let mut merge = Self { file: own, runs, heap: BinaryHeap::new(), window };
        for run in 0..merge.runs.len() {
            merge.refill(run)?;
        }
        Ok(merge)
    }

    fn refill(&mut self, run: usize) -> Result<(), Failure> {
        let record = self.runs[run].next(&self.file, self.window)?;
        self.heap.extend(record.map(|record| Reverse((record, run))));
        Ok(())
    }

    /// Appends the next records to `block`; none at the end.
    pub fn next(&mut self, block: &mut Vec<[u8; N]>) -> Result<(), Failure> {
        while block.len() < BLOCK {
            let Some(Reverse((record, run))) = self.heap.pop() else { break };
            block.push(record);
            self.refill(run)?;
        }
        Ok(())
    }
}
