//! Rows of a list in the order of manifests, in flat memory: runs are sorted in memory and kept as parts in a temporary directory.

use std::cmp::Ordering;
use std::path::Path;

use crate::model::failure::Failure;
use crate::verify::manifest::header::Part;
use crate::verify::manifest::parts::{PartReader, PartWriter};
use crate::verify::manifest::row::{ObjectRow, Row};

/// Bytes of rows that are sorted in memory, as [`weight`] counts them.
pub const RUN_BYTES: usize = 48 << 20;

/// So many runs are merged into one, so that the number of open parts stays bounded.
const MOST_RUNS: usize = 24;

/// The order in which rows are given back.
pub type Order = fn(&ObjectRow, &ObjectRow) -> Ordering;

/// Takes rows in any order.
pub struct RowSorter {
    rows: Vec<ObjectRow>,
    bytes: usize,
    budget: usize,
    order: Order,
    work: Option<tempfile::TempDir>,
    runs: Vec<Part>,
    made: usize,
}

impl RowSorter {
    /// Sorts by `order` with at most `budget` bytes of rows in memory.
    pub fn new(order: Order, budget: usize) -> Self {
        Self { rows: Vec::new(), bytes: 0, budget, order, work: None, runs: Vec::new(), made: 0 }
    }

    /// Adds a row.
    pub fn push(&mut self, row: ObjectRow) -> Result<(), Failure> {
        row.check()?;
        self.bytes += weight(&row);
        self.rows.push(row);
        if self.bytes >= self.budget { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> Result<(), Failure> {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        let run = self.write(rows, |rows, order, put| {
            let mut rows = rows;
            rows.sort_by(order);
            rows.into_iter().try_for_each(put)
        })?;
        self.runs.push(run);
        if self.runs.len() < MOST_RUNS {
            return Ok(());
        }
        let runs = std::mem::take(&mut self.runs);
        let merged = self.merged(&runs)?;
        let run = self.write(merged, |merged, _, put| {
            let mut merged = merged;
            merged.try_for_each(|row| put(row?))
        })?;
        self.runs.push(run);
        let dir = self.dir()?.to_owned();
        for old in runs {
            std::fs::remove_file(dir.join(&old.name)).map_err(|error| Failure::io("cannot remove a temporary run", error))?;
        }
        Ok(())
    }

    fn write<T>(
        &mut self,
        rows: T,
        each: impl FnOnce(T, Order, &mut dyn FnMut(ObjectRow) -> Result<(), Failure>) -> Result<(), Failure>,
    ) -> Result<Part, Failure> {
        let order = self.order;
        self.made += 1;
        let index = self.made;
        let mut part = PartWriter::create(self.dir()?, index)?;
        let mut last = String::new();
        each(rows, order, &mut |row| {
            part.push(&row)?;
            last = row.key;
            Ok(())
        })?;
        part.finish(&last)
    }

    fn dir(&mut self) -> Result<&Path, Failure> {
        let work = match self.work.take() {
            Some(work) => work,
            None => tempfile::tempdir().map_err(|error| Failure::io("cannot create a temporary directory", error))?,
        };
        Ok(self.work.insert(work).path())
    }

    fn merged(&mut self, runs: &[Part]) -> Result<Merged, Failure> {
        let dir = self.dir()?.to_owned();
        let mut open = Vec::with_capacity(runs.len());
        for run in runs {
            let mut reader = PartReader::open(&dir, run)?;
            let head = reader.next().transpose()?;
            open.push((head, reader));
        }
        Ok(Merged { open, order: self.order })
    }

    /// Ends the input; rows come back in order, equal ones beside each other.
    pub fn finish(mut self) -> Result<SortedRows, Failure> {
        if self.runs.is_empty() {
            let mut rows = std::mem::take(&mut self.rows);
            rows.sort_by(self.order);
            return Ok(SortedRows { memory: rows.into_iter(), merged: None, _work: None });
        }
        if !self.rows.is_empty() {
            self.spill()?;
        }
        let runs = std::mem::take(&mut self.runs);
        let merged = self.merged(&runs)?;
        Ok(SortedRows { memory: Vec::new().into_iter(), merged: Some(merged), _work: self.work })
    }
}

/// What a row takes in memory, roughly: the struct, its texts, and what the allocator adds.
fn weight(row: &ObjectRow) -> usize {
    size_of::<ObjectRow>() + row.key.len() + row.version_id.as_ref().map_or(0, |id| id.len() + 16) + 16
}

struct Merged {
    open: Vec<(Option<ObjectRow>, PartReader<ObjectRow>)>,
    order: Order,
}

impl Iterator for Merged {
    type Item = Result<ObjectRow, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        let order = self.order;
        let heads = self.open.iter().enumerate().filter_map(|(index, (head, _))| head.as_ref().map(|head| (index, head)));
        let (least, _) = heads.min_by(|(_, a), (_, b)| order(a, b))?;
        let (head, reader) = &mut self.open[least];
        match reader.next().transpose() {
            Ok(next) => std::mem::replace(head, next).map(Ok),
            Err(failure) => {
                self.open.clear();
                Some(Err(failure))
            }
        }
    }
}

/// Rows in order.
pub struct SortedRows {
    memory: std::vec::IntoIter<ObjectRow>,
    merged: Option<Merged>,
    /// Holds the runs for as long as they are read.
    _work: Option<tempfile::TempDir>,
}

impl Iterator for SortedRows {
    type Item = Result<ObjectRow, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.merged {
            Some(merged) => merged.next(),
            None => self.memory.next().map(Ok),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn runs_and_memory_give_the_same_rows(keys in prop::collection::vec("[a-c/]{0,4}", 0..300), budget in prop::sample::select(&[1usize, 2000, 1 << 20][..])) {
            let mut sorter = RowSorter::new(ObjectRow::order, budget);
            let mut expected: Vec<ObjectRow> = Vec::new();
            for (n, key) in keys.iter().take(if budget == 1 { 60 } else { 300 }).enumerate() {
                let row = ObjectRow { seq: n as u32, ..ObjectRow::object(key.clone(), n as u64) };
                expected.push(row.clone());
                sorter.push(row).unwrap();
            }
            expected.sort_by(ObjectRow::order);
            let found: Result<Vec<ObjectRow>, Failure> = sorter.finish().unwrap().collect();
            prop_assert_eq!(found.unwrap(), expected);
        }
    }
}
