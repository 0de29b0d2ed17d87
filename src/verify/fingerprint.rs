//! The fingerprint of one table or one set of items: `SortedDigests` leaves and the sidecar, in flat memory; or `AddHash` leaves (`sums`).
//!
//! A row is a pair (key hash, row digest). Its bucket is the top `bits` bits of the key hash, so that neither order nor lanes nor
//! collations matter; `bits` is a function of the exact number of rows. A leaf is a digest over the bucket's sorted full row digests,
//! duplicates kept, so that nothing can cancel. The sidecar is an index into the leaves, never the verdict.
//!
//! Not here: how a row becomes a digest (`sql`, `items`), where leaves are kept (`manifest`), and what a difference is called in JSON.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use crate::model::counts::Counts;
use crate::model::failure::Failure;
use crate::model::finding::Class;
use crate::verify::allowance::Allowance;
use crate::verify::buckets::{self, Record, record};
use crate::verify::differences::{self, Difference, Pairs, SidecarPair, Stretch};
use crate::verify::leaf::{Form, Leaf, MAX_BITS, baseline_bits, bits_for, bucket_of};
use crate::verify::sorter::{Blocks, Sorted, Sorter};
use crate::verify::sums::Sums;

/// Records kept in memory by default before they spill: 32 MiB.
pub const DEFAULT_BUDGET: usize = 32 << 20;

/// Fewer rows are digested by one thread: several would cost more than they save.
const FEW: u64 = 1 << 17;

/// Accumulates the records of one table.
pub struct Accumulator {
    held: Held<Sorter<40>>,
    sorted_up_to: u64,
    budget: usize,
}

enum Held<S, A = Sums> {
    Sorted(S),
    Sums(A),
}

impl Accumulator {
    /// Sorted digests. `budget` bytes of pairs stay in memory (at least one page); the rest goes into an unnamed temporary file.
    pub fn new(budget: usize) -> Self {
        Self::of(Form::Sorted, budget)
    }

    /// The same for leaves of any form.
    pub fn of(form: Form, budget: usize) -> Self {
        Self::within(form, &Allowance::new(budget))
    }

    /// The same with a budget that may grow.
    pub fn within(form: Form, allowance: &Allowance) -> Self {
        let sorter = || Held::Sorted(Sorter::within(allowance.clone()));
        let (held, sorted_up_to) = match form {
            Form::Sorted => (sorter(), u64::MAX),
            Form::SortedUpTo(rows) => (sorter(), rows),
            Form::Sums => (Held::Sums(Sums::default()), 0),
        };
        Self { held, sorted_up_to, budget: allowance.bytes() }
    }

    /// Adds a row. The order of calls does not matter.
    pub fn push(&mut self, key_hash: [u8; 32], row_digest: [u8; 32]) -> Result<(), Failure> {
        self.push_all(&[record(&key_hash, &row_digest)])
    }

    /// Adds rows.
    pub fn push_all(&mut self, records: &[Record]) -> Result<(), Failure> {
        match &mut self.held {
            Held::Sorted(sorter) => sorter.push_all(records)?,
            Held::Sums(sums) => records.iter().for_each(|record| sums.push(record)),
        }
        if matches!(&self.held, Held::Sorted(sorter) if sorter.count() > self.sorted_up_to)
            && let Held::Sorted(sorter) = std::mem::replace(&mut self.held, Held::Sums(Sums::default()))
        {
            // More than is sorted: what there is goes into the sums, and its room is given back.
            let (sorted, mut sums) = (sorter.finish()?, Sums::default());
            sorted.walk().try_for_each(|record| record.map(|record| sums.push(&record)))?;
            self.held = Held::Sums(sums);
        }
        Ok(())
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        match &self.held {
            Held::Sorted(sorter) => sorter.count(),
            Held::Sums(sums) => sums.rows(),
        }
    }

    /// Bytes of records in memory.
    pub fn bytes(&self) -> usize {
        match &self.held {
            Held::Sorted(sorter) => sorter.bytes(),
            Held::Sums(_) => 0,
        }
    }

    /// Sorts what was pushed.
    pub fn finish(self) -> Result<Fingerprint, Failure> {
        let bits = bits_for(self.rows());
        let held = match self.held {
            Held::Sorted(sorter) => Held::Sorted(sorter.finish()?),
            Held::Sums(sums) => Held::Sums(sums),
        };
        Ok(Fingerprint { bits, held, budget: self.budget, digested: OnceLock::new() })
    }
}

/// The sorted pairs of one table, which can be walked any number of times; or the sums of its buckets.
pub struct Fingerprint {
    held: Held<Sorted<40>>,
    bits: u8,
    budget: usize,
    /// The leaves, where threads share the work and all went well.
    digested: OnceLock<Option<Vec<Leaf>>>,
}

impl Fingerprint {
    /// The exact number of rows.
    pub fn rows(&self) -> u64 {
        match &self.held {
            Held::Sorted(sorted) => sorted.count(),
            Held::Sums(sums) => sums.rows(),
        }
    }

    /// What its leaves are made of: [`Form::Sorted`] or [`Form::Sums`].
    pub fn form(&self) -> Form {
        if self.sorted().is_some() { Form::Sorted } else { Form::Sums }
    }

    fn sorted(&self) -> Option<&Sorted<40>> {
        match &self.held {
            Held::Sorted(sorted) => Some(sorted),
            Held::Sums(_) => None,
        }
    }

    /// [`bits_for`] the number of rows.
    pub fn bits(&self) -> u8 {
        self.bits
    }

    /// All 2^bits leaves in order of their index, empty buckets too.
    pub fn leaves(&self) -> Leaves<'_> {
        self.leaves_at(self.bits)
    }

    /// The leaves that a manifest with `bits` bits has: what folds one side onto the other where the numbers of rows differ.
    pub fn leaves_at(&self, bits: u8) -> Leaves<'_> {
        let bits = bits.min(MAX_BITS);
        let held = match &self.held {
            Held::Sorted(sorted) => Held::Sorted(sorted.blocks()),
            Held::Sums(sums) => Held::Sums(sums),
        };
        let known = if bits == self.bits { self.digested() } else { None };
        Leaves { held, known, next: 0, bits, budget: self.budget, room: buckets::Room::default() }
    }

    /// Its own leaves, once they are wanted: digested by threads where there are many rows in memory. Elsewhere, and where that fails, they
    /// are digested one after the other.
    fn digested(&self) -> Option<&[Leaf]> {
        let sorted = self.sorted().filter(|sorted| !sorted.has_spilled() && sorted.count() >= FEW)?;
        self.digested.get_or_init(|| buckets::leaves(sorted, self.bits, self.budget).ok()).as_deref()
    }

    /// The records in their order, block by block. Sums have none.
    pub fn blocks(&self) -> Option<Blocks<'_, 40>> {
        self.sorted().map(Sorted::blocks)
    }

    /// The sidecar: sorted by key hash, one pair a row, duplicates kept. Sums have none.
    pub fn sidecar(&self) -> impl Iterator<Item = Result<SidecarPair, Failure>> + '_ {
        self.sorted().map(Sorted::walk).into_iter().flatten().map(|record| record.map(|record| pair(&record)))
    }
}

/// Iterator of [`Fingerprint::leaves`].
pub struct Leaves<'a> {
    held: Held<Blocks<'a, 40>, &'a Sums>,
    /// All of them, where they are known already.
    known: Option<&'a [Leaf]>,
    next: u32,
    bits: u8,
    budget: usize,
    /// For the row digests of the bucket at hand.
    room: buckets::Room,
}

impl Leaves<'_> {
    /// The next leaf; before it is given, `each` gets the bucket's records in the order of the sidecar, some at a time. Sums have none.
    pub fn next_with(&mut self, each: &mut dyn FnMut(&[Record]) -> Result<(), Failure>) -> Result<Option<Leaf>, Failure> {
        if self.next >= 1 << self.bits {
            return Ok(None);
        }
        let of = (self.bits, self.next);
        let leaf = match (&mut self.held, self.known.and_then(|known| known.get(self.next as usize))) {
            (Held::Sorted(blocks), Some(leaf)) => buckets::pass(blocks, of, each).map(|()| *leaf),
            (Held::Sorted(blocks), None) => buckets::leaf(blocks, of, (&mut self.room, self.budget), each),
            (Held::Sums(sums), _) => Ok(sums.leaf(self.next, self.bits)),
        };
        self.next = if leaf.is_ok() { self.next + 1 } else { 1 << self.bits };
        leaf.map(Some)
    }
}

impl Iterator for Leaves<'_> {
    type Item = Result<Leaf, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_with(&mut |_| Ok(())).transpose()
    }
}

/// What the sidecar has of a record.
#[inline]
pub fn pair(record: &Record) -> SidecarPair {
    (head(record), head(&record[8..]))
}

#[inline]
fn head(hash: &[u8]) -> [u8; 8] {
    hash[..8].try_into().expect("a hash has 32 bytes")
}

/// Compares a baseline with what was read, and tells differences to `found`, at most [`MOST_NAMED`] a bucket. The leaves decide; the sidecar,
/// which is read only where a leaf differs, names the rows. In a bucket without names as few rows count as different as must be, and no other
/// as equal ([`differences::unexplained`]).
pub fn compare(
    baseline: &[Leaf],
    sidecar: impl IntoIterator<Item = Result<SidecarPair, Failure>>,
    actual: &Fingerprint,
    found: &mut dyn FnMut(Difference),
) -> Result<Counts, Failure> {
    let bits = baseline_bits(baseline)?;
    let mut counts = Counts::default();
    let mut differing: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    for (expected, leaf) in baseline.iter().zip(actual.leaves_at(bits)) {
        let leaf = leaf?;
        if *expected == leaf {
            counts.add_many(Class::Match, leaf.rows);
        } else {
            differing.insert(leaf.index, (expected.rows, leaf.rows));
        }
    }
    if differing.is_empty() {
        return Ok(counts);
    }
    let mut pairs = Pairs::new(sidecar, actual.sidecar());
    for (index, (expected, read)) in differing {
        let bucket = Stretch { is_before: &|key| bucket_of(key, bits) < index, is_inside: &|key| bucket_of(key, bits) == index };
        match pairs.explain(&bucket, expected)? {
            Some((rows, named)) => {
                counts.merge(&rows);
                named.into_iter().for_each(&mut *found);
            }
            None => {
                differences::unexplained(expected, read, &mut counts);
                found(Difference::Bucket { index, bits, expected, actual: read });
            }
        }
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::failure::FailureKind;

    fn row(n: u32) -> ([u8; 32], [u8; 32]) {
        (*blake3::hash(&n.to_be_bytes()).as_bytes(), *blake3::hash(&(n ^ 0x5555).to_le_bytes()).as_bytes())
    }

    fn of(pairs: impl IntoIterator<Item = ([u8; 32], [u8; 32])>, budget: usize) -> Fingerprint {
        let mut accumulator = Accumulator::new(budget);
        for (key, row) in pairs {
            accumulator.push(key, row).unwrap();
        }
        accumulator.finish().unwrap()
    }

    fn leaves(fingerprint: &Fingerprint) -> Vec<Leaf> {
        fingerprint.leaves().map(Result::unwrap).collect()
    }

    #[test]
    fn neither_order_nor_spilling_shows() {
        let n = 40_000;
        let straight = of((0..n).map(row), DEFAULT_BUDGET);
        let spilled = of((0..n).rev().map(row), 1 << 18);
        assert!(spilled.sorted().is_some_and(Sorted::has_spilled));
        assert_eq!(straight.bits(), 2);
        assert_eq!(leaves(&straight), leaves(&spilled));
        assert_eq!(leaves(&straight).iter().map(|leaf| leaf.rows).sum::<u64>(), u64::from(n));
        let side = |f: &Fingerprint| f.sidecar().map(Result::unwrap).collect::<Vec<_>>();
        assert_eq!(side(&straight), side(&spilled));
        assert!(side(&straight).is_sorted());
    }

    #[test]
    fn duplicates_do_not_cancel() {
        let [a, b, c] = [row(1), row(2), row(3)];
        assert_ne!(leaves(&of([a, a, b], 4096)), leaves(&of([b, c, c], 4096)));
        assert_ne!(leaves(&of([a, a], 4096)), leaves(&of([b, b], 4096)));
        assert_ne!(leaves(&of([], 4096)), leaves(&of([a, a], 4096)));
    }

    #[test]
    fn one_row_many_times_stays_in_its_budget_and_is_counted() {
        let fingerprint = of(std::iter::repeat_n(row(7), 20_000), 1 << 16);
        let all = leaves(&fingerprint);
        assert_eq!(all.len(), 2);
        assert_eq!(all.iter().map(|leaf| leaf.rows).max(), Some(20_000));
    }

    #[test]
    fn an_empty_table_has_one_empty_leaf() {
        let all = leaves(&of([], 4096));
        assert_eq!((all.len(), all[0].rows, all[0].bits), (1, 0, 0));
    }

    fn compared(baseline: &Fingerprint, actual: &Fingerprint, with_sidecar: bool) -> (Counts, Vec<Difference>) {
        let mut found = Vec::new();
        let side: Vec<_> = if with_sidecar { baseline.sidecar().collect() } else { Vec::new() };
        let counts = compare(&leaves(baseline), side, actual, &mut |d| found.push(d)).unwrap();
        (counts, found)
    }

    #[test]
    fn changed_lost_and_surplus_rows_are_told_apart() {
        let n = 20_000u32;
        let baseline = of((0..n).map(row), DEFAULT_BUDGET);
        let (counts, found) = compared(&baseline, &of((0..n).map(row), 1 << 16), true);
        assert_eq!((counts.matched, found.len()), (u64::from(n), 0));
        // 5 changed, 6 lost, 30,000 more: the number of bits differs on the two sides.
        let changed = (row(5).0, row(6).1);
        let actual = of((0..n).filter(|i| *i != 5 && *i != 6).map(row).chain([changed]).chain((50_000..80_000).map(row)), DEFAULT_BUDGET);
        assert_ne!(actual.bits(), baseline.bits());
        let (counts, found) = compared(&baseline, &actual, true);
        assert_eq!((counts.matched, counts.mismatch, counts.missing, counts.extra), (u64::from(n) - 2, 1, 1, 30_000));
        assert!(counts.adds_up());
        let mismatch = Difference::Row {
            class: Class::Mismatch,
            key_hash: head(&row(5).0),
            expected: Some(head(&row(5).1)),
            actual: Some(head(&row(6).1)),
        };
        assert!(found.contains(&mismatch));
    }

    #[test]
    fn without_a_sidecar_the_bucket_is_named_and_nothing_in_it_is_called_equal() {
        let baseline = of((0..100).map(row), DEFAULT_BUDGET);
        let actual = of((1..100).map(row), DEFAULT_BUDGET);
        let (counts, found) = compared(&baseline, &actual, false);
        assert_eq!((counts.matched, counts.mismatch, counts.missing, counts.indeterminate), (0, 0, 1, 99));
        assert_eq!(found, [Difference::Bucket { index: 0, bits: 0, expected: 100, actual: 99 }]);
    }

    #[test]
    fn a_sidecar_that_says_equal_does_not_overrule_the_leaf() {
        let baseline = of((0..3).map(row), DEFAULT_BUDGET);
        let mut other = row(2).1;
        other[31] ^= 1;
        let actual = of([row(0), row(1), (row(2).0, other)], DEFAULT_BUDGET);
        assert!(matches!(compared(&baseline, &actual, true).1[..], [Difference::Bucket { .. }]));
    }

    #[test]
    fn beyond_the_limit_leaves_are_sums_and_name_their_bucket() {
        let all = |form: Form, rows: std::ops::Range<u32>| {
            let mut accumulator = Accumulator::of(form, 1 << 16);
            rows.map(row).for_each(|(key, row)| accumulator.push(key, row).unwrap());
            accumulator.finish().unwrap()
        };
        let within = all(Form::SortedUpTo(40_000), 0..40_000);
        assert_eq!((within.form(), leaves(&within)), (Form::Sorted, leaves(&all(Form::Sorted, 0..40_000))));
        let beyond = all(Form::SortedUpTo(39_999), 0..40_000);
        assert_eq!((beyond.form(), beyond.sidecar().count()), (Form::Sums, 0));
        assert_eq!(leaves(&beyond), leaves(&all(Form::Sums, 0..40_000)), "wherever it went over to sums");
        let (counts, found) = compared(&beyond, &all(Form::Sums, 0..40_000), true);
        assert_eq!((counts.matched, found.len()), (40_000, 0));
        // One row fewer, and another number of bits on one side.
        let (counts, found) = compared(&beyond, &all(Form::Sums, 1..40_000), true);
        assert!(matches!(found[..], [Difference::Bucket { .. }]) && counts.missing == 1, "{found:?}");
        let (counts, found) = compared(&beyond, &all(Form::Sums, 0..70_000), true);
        assert_eq!((found.len(), counts.extra, counts.expected), (4, 30_000, 40_000));
    }

    #[test]
    fn leaves_that_are_not_whole_are_bad_evidence() {
        let actual = of([row(1)], DEFAULT_BUDGET);
        let error = compare(&[], Vec::new(), &actual, &mut |_| {}).unwrap_err();
        assert_eq!(error.kind, FailureKind::BadEvidence);
    }
}
