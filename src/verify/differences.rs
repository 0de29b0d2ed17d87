//! What differs between a baseline and what was read, row by row: the pairs of two sidecars beside each other, a stretch of their order at a
//! time. The leaves say that something differs; the sidecars, which are an index and never the verdict, say which rows.
//!
//! Not here: what leaves are made of (`fingerprint`, `key_ranges`), and what a difference is called in JSON.

use std::collections::BTreeMap;
use std::iter::Peekable;

use crate::model::counts::Counts;
use crate::model::failure::Failure;
use crate::model::finding::Class;

/// The first 8 bytes of the key hash and of the row digest.
pub type SidecarPair = ([u8; 8], [u8; 8]);

/// A difference between a baseline and what was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Difference {
    /// A row: `Mismatch` (same key, other content), `Missing` or `Extra`.
    Row {
        /// Which of the three.
        class: Class,
        /// The first 8 bytes of the key hash.
        key_hash: [u8; 8],
        /// The first 8 bytes of the baseline's row digest.
        expected: Option<[u8; 8]>,
        /// The first 8 bytes of the row digest that was read.
        actual: Option<[u8; 8]>,
    },
    /// A bucket whose rows could not be told apart: no sidecar, or one that does not explain the leaf.
    Bucket {
        /// Its index.
        index: u32,
        /// The bits of the index.
        bits: u8,
        /// Rows in the baseline.
        expected: u64,
        /// Rows that were read.
        actual: u64,
    },
}

/// Differences that are told of one bucket; the counts go on.
pub const MOST_NAMED: usize = 65_536;

type Rows = BTreeMap<[u8; 8], u64>;

/// A part of the order of key hashes.
pub struct Stretch<'a> {
    /// Whether a key hash comes before it.
    pub is_before: &'a dyn Fn(&[u8; 8]) -> bool,
    /// Whether one is in it.
    pub is_inside: &'a dyn Fn(&[u8; 8]) -> bool,
}

/// The pairs of a baseline and those that were read, both in their order.
pub struct Pairs<A: Iterator, B: Iterator> {
    theirs: Peekable<A>,
    ours: Peekable<B>,
}

impl<A, B> Pairs<A, B>
where
    A: Iterator<Item = Result<SidecarPair, Failure>>,
    B: Iterator<Item = Result<SidecarPair, Failure>>,
{
    /// Nothing looked at yet.
    pub fn new(theirs: impl IntoIterator<Item = A::Item, IntoIter = A>, ours: B) -> Self {
        Self { theirs: theirs.into_iter().peekable(), ours: ours.peekable() }
    }

    /// The rows of `stretch`, of which the baseline's leaves hold `expected`: their counts, and at most [`MOST_NAMED`] that differ; nothing
    /// where the pairs do not say what differs. Stretches are asked for in their order.
    pub fn explain(&mut self, stretch: &Stretch<'_>, expected: u64) -> Result<Option<(Counts, Vec<Difference>)>, Failure> {
        skip(&mut self.theirs, stretch)?;
        skip(&mut self.ours, stretch)?;
        let mut rows = Counts::default();
        let mut indexed = 0;
        let mut named = Vec::new();
        while let Some(key) = self.next_key(stretch)? {
            let (before, now) = (take_key(&mut self.theirs, key)?, take_key(&mut self.ours, key)?);
            indexed += before.values().sum::<u64>();
            differences(key, before, now, &mut rows, &mut |difference| {
                if named.len() < MOST_NAMED {
                    named.push(difference);
                }
            });
        }
        Ok((indexed == expected && !named.is_empty()).then_some((rows, named)))
    }

    /// The smaller of the two next keys, while they are in the stretch.
    fn next_key(&mut self, stretch: &Stretch<'_>) -> Result<Option<[u8; 8]>, Failure> {
        let (a, b) = (peek(&mut self.theirs)?, peek(&mut self.ours)?);
        let (a, b) = (a.filter(|key| (stretch.is_inside)(key)), b.filter(|key| (stretch.is_inside)(key)));
        Ok(match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        })
    }
}

/// Where a leaf differs and nothing says which of its rows do: as few as must be are called different, and none of the others is known to be
/// equal. So many rows fewer are missing, so many more are surplus; of as many, one at least is another.
pub fn unexplained(expected: u64, read: u64, counts: &mut Counts) {
    let (both, more) = (expected.min(read), expected.max(read) - expected.min(read));
    counts.add_many(if expected > read { Class::Missing } else { Class::Extra }, more);
    let changed = u64::from(more == 0).min(both);
    counts.add_many(Class::Mismatch, changed);
    counts.add_many(Class::Indeterminate, both - changed);
}

fn skip<I: Iterator<Item = Result<SidecarPair, Failure>>>(pairs: &mut Peekable<I>, to: &Stretch<'_>) -> Result<(), Failure> {
    while let Some(pair) = pairs.next_if(|pair| pair.as_ref().map_or(true, |(key, _)| (to.is_before)(key))) {
        pair?;
    }
    Ok(())
}

fn peek<I: Iterator<Item = Result<SidecarPair, Failure>>>(pairs: &mut Peekable<I>) -> Result<Option<[u8; 8]>, Failure> {
    if let Some(Err(failure)) = pairs.next_if(Result::is_err) {
        return Err(failure);
    }
    Ok(pairs.peek().and_then(|pair| pair.as_ref().ok()).map(|(key, _)| *key))
}

fn take_key<I: Iterator<Item = Result<SidecarPair, Failure>>>(pairs: &mut Peekable<I>, key: [u8; 8]) -> Result<Rows, Failure> {
    let mut rows = Rows::new();
    while let Some(pair) = pairs.next_if(|pair| pair.as_ref().map_or(true, |(k, _)| *k == key)) {
        *rows.entry(pair?.1).or_default() += 1;
    }
    Ok(rows)
}

/// Of the rows of one key: what both sides have matches, leftovers pair up as mismatches, the rest is missing or extra.
fn differences(key_hash: [u8; 8], before: Rows, mut now: Rows, counts: &mut Counts, found: &mut dyn FnMut(Difference)) {
    let mut gone = Vec::new();
    for (row, n) in before {
        let there = now.get_mut(&row);
        let both = there.as_ref().map_or(0, |there| (**there).min(n));
        if let Some(there) = there {
            *there -= both;
        }
        counts.add_many(Class::Match, both);
        gone.push((row, n - both));
    }
    // Never spelled out in memory: one row may be missing a hundred million times.
    let each = |(row, n): ([u8; 8], u64)| std::iter::repeat_n(row, usize::try_from(n).unwrap_or(usize::MAX));
    let mut new = now.into_iter().flat_map(each);
    let mut tell = |class, expected, actual| {
        counts.add(class);
        found(Difference::Row { class, key_hash, expected, actual });
    };
    for row in gone.into_iter().flat_map(each) {
        match new.next() {
            Some(actual) => tell(Class::Mismatch, Some(row), Some(actual)),
            None => tell(Class::Missing, Some(row), None),
        }
    }
    for row in new {
        tell(Class::Extra, None, Some(row));
    }
}
