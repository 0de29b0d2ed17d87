//! Sorts fixed-size records in flat memory, divided by their first byte: for digests a part is a 256th of all. What is beyond the budget
//! goes into one unnamed temporary file, part by part and not sorted yet; such a part is sorted when a walk comes to it.
//!
//! Not here: what the records mean; parts that are themselves beyond the budget (`merge`).

use std::fs::File;
use std::io::Write;
use std::ops::Range;

use crate::model::failure::Failure;
use crate::verify::allowance::Allowance;
use crate::verify::chunks::{Chunks, Pool, sort_each};
use crate::verify::give_back::{WORTH_IT, give_back};
use crate::verify::merge::Merge;
use crate::verify::records::{PARTS, read, sort};

/// Bytes of a part that are read back at once at most: what held the records before is not always with the system again by then. A part is that large
/// where there are a hundred million digests, or keys that share their first byte.
const READ_BACK: usize = 32 << 20;

/// Sorts fixed-size records; beyond the budget they go into one unnamed temporary file.
pub struct Sorter<const N: usize> {
    /// What is in memory, by the records' first byte.
    parts: Parts<N>,
    pool: Pool<N>,
    held: usize,
    /// Records that may be held, as far as is known.
    limit: usize,
    allowance: Allowance,
    file: Option<File>,
    runs: Vec<Run>,
    count: u64,
}

type Parts<const N: usize> = Box<[Chunks<N>; PARTS]>;

/// Where each part of what was written at once begins in the file, in records, and where the last one ends.
type Run = Box<[u64; PARTS + 1]>;

impl<const N: usize> Sorter<N> {
    /// `budget` in bytes; at least 64 records stay in memory.
    pub fn new(budget: usize) -> Self {
        Self::within(Allowance::new(budget))
    }

    /// The same with a budget that may grow.
    pub fn within(allowance: Allowance) -> Self {
        let parts = Box::new([Chunks::EMPTY; PARTS]);
        let mut sorter = Self { parts, pool: Pool::new(), held: 0, limit: 0, allowance, file: None, runs: Vec::new(), count: 0 };
        sorter.limit = sorter.allowed();
        sorter
    }

    fn allowed(&self) -> usize {
        (self.allowance.bytes() / N).max(64)
    }

    /// Bytes of records in memory, and of the room that was made for them.
    pub fn bytes(&self) -> usize {
        N * if self.file.is_some() { self.limit } else { self.held }
    }

    /// Records so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Adds a record.
    pub fn push(&mut self, record: [u8; N]) -> Result<(), Failure> {
        self.push_all(&[record])
    }

    /// Adds records.
    pub fn push_all(&mut self, mut records: &[[u8; N]]) -> Result<(), Failure> {
        self.count += records.len() as u64;
        while !records.is_empty() {
            if self.held >= self.limit {
                self.limit = self.allowed();
            }
            if self.held >= self.limit {
                self.spill()?;
            }
            let (some, rest) = records.split_at((self.limit - self.held).min(records.len()));
            some.iter().for_each(|record| self.parts[usize::from(record[0])].push(*record, &mut self.pool));
            self.held += some.len();
            records = rest;
        }
        Ok(())
    }

    fn spill(&mut self) -> Result<(), Failure> {
        let failed = |error| Failure::io("cannot write row digests into a temporary file", error);
        let mut file = match self.file.take() {
            Some(file) => file,
            None => tempfile::tempfile().map_err(failed)?,
        };
        let mut at = self.runs.last().map_or(0, |run| run[PARTS]);
        let mut run = Box::new([at; PARTS + 1]);
        for (part, records) in self.parts.iter_mut().enumerate() {
            records.slices().try_for_each(|slice| file.write_all(slice.as_flattened())).map_err(failed)?;
            at += records.records() as u64;
            run[part + 1] = at;
            records.clear(&mut self.pool);
        }
        self.file = Some(file);
        self.runs.push(run);
        self.held = 0;
        Ok(())
    }

    /// Ends the input.
    pub fn finish(mut self) -> Result<Sorted<N>, Failure> {
        if self.file.is_none() {
            sort_each(self.parts.as_mut_slice());
        } else {
            // A walk holds one part: the records in memory become the last run, and their room is given back.
            self.spill()?;
            self.parts = Box::new([Chunks::EMPTY; PARTS]);
            self.pool = Pool::new();
            give_back_after(self.limit * N);
        }
        let spilled = self.file.map(|file| (file, self.runs));
        let limit = if spilled.is_some() { self.limit.min(READ_BACK / N) } else { self.limit };
        Ok(Sorted { parts: self.parts, spilled, limit, count: self.count })
    }
}

/// Sorted records; can be walked any number of times.
pub struct Sorted<const N: usize> {
    /// Each of them sorted; empty where there was more than the budget.
    parts: Parts<N>,
    spilled: Option<(File, Vec<Run>)>,
    limit: usize,
    count: u64,
}

impl<const N: usize> Drop for Sorted<N> {
    fn drop(&mut self) {
        let held = if self.spilled.is_some() { 0 } else { self.count as usize * N };
        *self.parts = [Chunks::EMPTY; PARTS];
        give_back_after(held);
    }
}

fn give_back_after(freed: usize) {
    if freed >= WORTH_IT {
        give_back();
    }
}

impl<const N: usize> Sorted<N> {
    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// True when there was more than the budget.
    pub fn has_spilled(&self) -> bool {
        self.spilled.is_some()
    }

    /// The records in ascending order, duplicates kept, block by block.
    pub fn blocks(&self) -> Blocks<'_, N> {
        self.blocks_of(0..PARTS)
    }

    /// The same of the records whose first byte is in `parts`.
    pub fn blocks_of(&self, parts: Range<usize>) -> Blocks<'_, N> {
        Blocks { sorted: self, part: parts.start, end: parts.end.min(PARTS), chunk: 0, room: Vec::new(), at: 0, merge: None }
    }

    /// The same one by one.
    pub fn walk(&self) -> Walk<'_, N> {
        Walk { blocks: self.blocks(), failed: false }
    }
}

/// Records in ascending order: [`Blocks::ahead`] shows the next ones, [`Blocks::pass`] goes on.
pub struct Blocks<'a, const N: usize> {
    sorted: &'a Sorted<N>,
    /// The next part, and where parts end.
    part: usize,
    end: usize,
    /// The chunk at hand of a part in memory.
    chunk: usize,
    /// What was read from the file.
    room: Vec<[u8; N]>,
    /// How far we are in the block at hand.
    at: usize,
    merge: Option<Merge<N>>,
}

impl<const N: usize> Blocks<'_, N> {
    /// Some of the records that come next, at least one; none at the end. After a failure there is nothing more to be had.
    pub fn ahead(&mut self) -> Result<&[[u8; N]], Failure> {
        let Some((file, runs)) = &self.sorted.spilled else {
            while let Some(part) = self.sorted.parts[..self.end].get(self.part) {
                match part.slice(self.chunk) {
                    Some(slice) if self.at < slice.len() => return Ok(&slice[self.at..]),
                    Some(_) => (self.chunk, self.at) = (self.chunk + 1, 0),
                    None => (self.part, self.chunk, self.at) = (self.part + 1, 0, 0),
                }
            }
            return Ok(&[]);
        };
        if self.at == self.room.len() {
            self.room.clear();
            self.at = 0;
            if let Err(failure) = self.load(file, runs) {
                self.room.clear();
                (self.part, self.merge) = (self.end, None);
                return Err(failure);
            }
        }
        Ok(&self.room[self.at..])
    }

    /// Goes past `records` of those that are ahead.
    pub fn pass(&mut self, records: usize) {
        self.at += records;
    }

    fn load(&mut self, file: &File, runs: &[Run]) -> Result<(), Failure> {
        while self.room.is_empty() {
            if let Some(merge) = &mut self.merge {
                merge.next(&mut self.room)?;
                if !self.room.is_empty() {
                    return Ok(());
                }
                self.merge = None;
            }
            let part = self.part;
            if part >= self.end {
                return Ok(());
            }
            self.part += 1;
            let pieces = runs.iter().map(|run| (run[part], run[part + 1] - run[part])).filter(|(_, records)| *records > 0);
            if pieces.clone().map(|(_, records)| records).sum::<u64>() > self.sorted.limit as u64 {
                // One row may be there a hundred million times.
                self.merge = Some(Merge::of(file, pieces, self.sorted.limit)?);
                continue;
            }
            for (start, records) in pieces {
                read(file, start, records, &mut self.room)?;
            }
            sort(&mut self.room, 1);
        }
        Ok(())
    }
}

/// Records in ascending order.
pub struct Walk<'a, const N: usize> {
    blocks: Blocks<'a, N>,
    failed: bool,
}

impl<const N: usize> Iterator for Walk<'_, N> {
    type Item = Result<[u8; N], Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let record = self.blocks.ahead().map(|records| records.first().copied());
        self.blocks.pass(1);
        self.failed = !matches!(record, Ok(Some(_)));
        record.transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn more_is_held_once_there_is_more_room() {
        let allowance = Allowance::new(100 * 9);
        let mut sorter = Sorter::<9>::within(allowance.clone());
        (0..100).for_each(|_| sorter.push([1; 9]).unwrap());
        allowance.set(300 * 9);
        (0..200).for_each(|_| sorter.push([2; 9]).unwrap());
        assert!(sorter.file.is_none() && sorter.bytes() == 300 * 9);
        allowance.set(0);
        sorter.push([3; 9]).unwrap();
        assert!(sorter.file.is_some() && sorter.finish().unwrap().count() == 301);
    }

    fn sorted(records: &[[u8; 9]], budget: usize) -> Sorted<9> {
        let mut sorter = Sorter::new(budget);
        for some in records.chunks(37) {
            sorter.push_all(some).unwrap();
        }
        sorter.finish().unwrap()
    }

    proptest! {
        /// Few values of the first byte make parts that are beyond the budget, equal records among them.
        #[test]
        fn records_come_sorted_wherever_they_were(
            seeds in prop::collection::vec(any::<u16>(), 0..2_000), firsts in 1u8..=255, others in 1u16..=u16::MAX, budget in 0usize..20_000
        ) {
            let record = |seed: &u16| {
                let mut record = [0; 9];
                record[0] = (seed % u16::from(firsts)) as u8;
                record[1..3].copy_from_slice(&(seed % others).to_be_bytes());
                record[8] = *seed as u8;
                record
            };
            let mut records: Vec<[u8; 9]> = seeds.iter().map(record).collect();
            let sorted = sorted(&records, budget);
            records.sort_unstable();
            prop_assert_eq!(sorted.count(), records.len() as u64);
            prop_assert_eq!(sorted.has_spilled(), records.len() > (budget / 9).max(64));
            for _ in 0..2 {
                let walked: Vec<[u8; 9]> = sorted.walk().map(Result::unwrap).collect();
                prop_assert_eq!(&walked, &records);
            }
        }
    }
}
