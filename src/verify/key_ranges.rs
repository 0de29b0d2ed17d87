//! `KeyRange` leaves: rows in the order of their keys, up to 65,536 of them to a leaf, so that a difference names a range of keys.
//!
//! The records are those of buckets with another head: the key itself, brought into eight bytes that sort as it does (its code), in the
//! place of the key's hash. A range ends where the code changes; where it ended at capture the manifest says, so that rows that are gone or
//! new change their own range and no other. A leaf is BLAKE3 in key derivation mode over the index of its range, the range's records in
//! their order, and their number. Rows of equal codes stand in the order of their digests.
//!
//! Not here: how a key becomes a code (`sql::key_order`), and where the ends of ranges are kept (`sql::scope`).

use crate::model::counts::Counts;
use crate::model::failure::{Failure, FailureKind};
use crate::model::finding::Class;
use crate::verify::buckets::Record;
use crate::verify::differences::{self, Difference, Pairs, SidecarPair, Stretch};
use crate::verify::fingerprint::Fingerprint;
use crate::verify::leaf::Leaf;

/// Rows of a range, where their keys differ.
pub const RANGE_ROWS: u64 = 65_536;

/// A key in eight bytes that sort as it does.
pub type Code = [u8; 8];

/// A range whose rows could not be told apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// Its index.
    pub index: u32,
    /// Rows in the baseline.
    pub expected: u64,
    /// Rows that were read.
    pub actual: u64,
}

/// What a comparison tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told {
    /// A row.
    Row(Difference),
    /// A range of them.
    Range(Range),
}

/// Where a range ends.
enum End<'a> {
    /// After so many rows, where the code changes: at capture.
    After(u64),
    /// Before these codes.
    At(&'a [Code]),
}

/// The ranges of `rows` at capture: each leaf, and the codes that all but the first begin with. `each` gets the records in their order.
pub fn cut(
    rows: &Fingerprint,
    each: &mut dyn FnMut(&[Record]) -> Result<(), Failure>,
    leaf: &mut dyn FnMut(Leaf) -> Result<(), Failure>,
) -> Result<Vec<Code>, Failure> {
    walk(rows, End::After(RANGE_ROWS), each, leaf)
}

/// The same in ranges of at most `most` rows.
fn walk(
    rows: &Fingerprint,
    end: End<'_>,
    each: &mut dyn FnMut(&[Record]) -> Result<(), Failure>,
    leaf: &mut dyn FnMut(Leaf) -> Result<(), Failure>,
) -> Result<Vec<Code>, Failure> {
    let mut begins = Vec::new();
    let mut open = Open::new(0);
    if let Some(mut blocks) = rows.blocks() {
        loop {
            let ahead = blocks.ahead()?;
            if ahead.is_empty() {
                break;
            }
            each(ahead)?;
            let mut from = 0;
            for (at, record) in ahead.iter().enumerate() {
                let code = code_of(record);
                while open.is_over(&end, code, (at - from) as u64) {
                    open.take(&ahead[from..at]);
                    from = at;
                    begins.push(code);
                    leaf(open.close())?;
                }
                open.last = Some(code);
            }
            open.take(&ahead[from..]);
            let passed = ahead.len();
            blocks.pass(passed);
        }
    }
    if let End::At(codes) = end {
        while (open.index as usize) < codes.len() {
            leaf(open.close())?;
        }
    }
    leaf(open.close())?;
    Ok(begins)
}

/// The range at hand.
struct Open {
    index: u32,
    rows: u64,
    last: Option<Code>,
    hasher: blake3::Hasher,
}

impl Open {
    fn new(index: u32) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("attestore range v1");
        hasher.update(&index.to_be_bytes());
        Self { index, rows: 0, last: None, hasher }
    }

    /// Whether a row with this code belongs to a later range; `waiting` rows are in this one that were not taken yet.
    fn is_over(&self, end: &End<'_>, code: Code, waiting: u64) -> bool {
        match end {
            End::After(most) => self.rows + waiting >= *most && self.last.is_some_and(|last| last != code),
            End::At(codes) => codes.get(self.index as usize).is_some_and(|next| code >= *next),
        }
    }

    fn take(&mut self, records: &[Record]) {
        self.hasher.update(records.as_flattened());
        self.rows += records.len() as u64;
    }

    /// Its leaf; the next range is at hand then.
    fn close(&mut self) -> Leaf {
        let Self { index, rows, mut hasher, .. } = std::mem::replace(self, Self::new(self.index + 1));
        hasher.update(&rows.to_be_bytes());
        Leaf { index, bits: 0, rows, digest: *hasher.finalize().as_bytes() }
    }
}

fn code_of(record: &Record) -> Code {
    *record.first_chunk().expect("a record has 40 bytes")
}

/// Compares a baseline, whose ranges but the first begin with `begins`, with what was read. The leaves decide; the sidecar names rows.
pub fn compare(
    (baseline, begins): (&[Leaf], &[Code]),
    sidecar: impl IntoIterator<Item = Result<SidecarPair, Failure>>,
    actual: &Fingerprint,
    tell: &mut dyn FnMut(Told),
) -> Result<Counts, Failure> {
    let whole = baseline.len() == begins.len() + 1
        && begins.is_sorted_by(|a, b| a < b)
        && baseline.iter().enumerate().all(|(at, leaf)| leaf.bits == 0 && leaf.index as usize == at);
    if !whole {
        let said = format!("the manifest's ranges of a table are not whole: {} leaves, {} ends", baseline.len(), begins.len());
        return Err(
            Failure::new(FailureKind::BadEvidence, said).hint("the manifest was damaged or written by another version; capture it again")
        );
    }
    let mut counts = Counts::default();
    let mut differing = Vec::new();
    let mut expected = baseline.iter();
    walk(actual, End::At(begins), &mut |_| Ok(()), &mut |leaf| {
        match expected.next() {
            Some(expected) if *expected == leaf => counts.add_many(Class::Match, leaf.rows),
            Some(expected) => differing.push(Range { index: leaf.index, expected: expected.rows, actual: leaf.rows }),
            None => {}
        }
        Ok(())
    })?;
    let mut pairs = Pairs::new(sidecar, actual.sidecar());
    for range in differing {
        let (from, to) = bounds(begins, range.index);
        let stretch = Stretch {
            is_before: &|code| from.is_some_and(|from| *code < from),
            is_inside: &|code| from.is_none_or(|from| *code >= from) && to.is_none_or(|to| *code < to),
        };
        match pairs.explain(&stretch, range.expected)? {
            Some((rows, named)) => {
                counts.merge(&rows);
                named.into_iter().for_each(|row| tell(Told::Row(row)));
            }
            None => {
                differences::unexplained(range.expected, range.actual, &mut counts);
                tell(Told::Range(range));
            }
        }
    }
    Ok(counts)
}

/// The code that range `index` begins with, and the first one after it; the first range and the last are open.
pub fn bounds(begins: &[Code], index: u32) -> (Option<Code>, Option<Code>) {
    let at = index as usize;
    (at.checked_sub(1).and_then(|before| begins.get(before)).copied(), begins.get(at).copied())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::verify::fingerprint::Accumulator;

    type Row = (u64, u8);

    fn record((key, content): Row) -> Record {
        let mut record = [content; 40];
        record[..8].copy_from_slice(&key.to_be_bytes());
        record
    }

    fn of(rows: &[Row], budget: usize) -> Fingerprint {
        let mut accumulator = Accumulator::new(budget);
        rows.iter().for_each(|row| accumulator.push_all(&[record(*row)]).unwrap());
        accumulator.finish().unwrap()
    }

    fn ranges(rows: &Fingerprint, most: u64) -> (Vec<Leaf>, Vec<Code>) {
        let mut leaves = Vec::new();
        let begins = walk(rows, End::After(most), &mut |_| Ok(()), &mut |leaf| {
            leaves.push(leaf);
            Ok(())
        });
        (leaves, begins.unwrap())
    }

    fn compared(before: &Fingerprint, (leaves, begins): (&[Leaf], &[Code]), named: bool, now: &Fingerprint) -> (Counts, Vec<Told>) {
        let mut told = Vec::new();
        let sidecar: Vec<_> = if named { before.sidecar().collect() } else { Vec::new() };
        let counts = compare((leaves, begins), sidecar, now, &mut |one| told.push(one)).unwrap();
        assert!(counts.adds_up());
        (counts, told)
    }

    #[test]
    fn a_change_is_in_its_range_and_moves_no_other() {
        let rows: Vec<Row> = (0..100).map(|key| (key * 10, 1)).collect();
        let before = of(&rows, 1 << 20);
        let (leaves, begins) = ranges(&before, 16);
        assert_eq!((leaves.len(), begins[0]), (7, 160u64.to_be_bytes()));
        assert_eq!(leaves.iter().map(|leaf| leaf.rows).collect::<Vec<_>>(), [16, 16, 16, 16, 16, 16, 4]);
        // One changed, one gone, one new between two others, one beyond the end.
        let mut now = rows.clone();
        now[20].1 = 2;
        now.remove(40);
        now.extend([(335, 1), (5_000, 1)]);
        let (counts, told) = compared(&before, (&leaves, &begins), false, &of(&now, 1 << 20));
        let touched: Vec<u32> = told.iter().map(|one| if let Told::Range(range) = one { range.index } else { panic!("{one:?}") }).collect();
        assert_eq!(touched, [1, 2, 6], "{told:?}");
        assert_eq!((counts.matched, counts.expected), (16 * 4, 100));
        let (counts, told) = compared(&before, (&leaves, &begins), true, &of(&now, 1 << 20));
        assert_eq!((counts.matched, counts.mismatch, counts.missing, counts.extra), (98, 1, 1, 2));
        let keys: Vec<u64> = told
            .iter()
            .map(
                |one| if let Told::Row(Difference::Row { key_hash, .. }) = one { u64::from_be_bytes(*key_hash) } else { panic!("{one:?}") },
            )
            .collect();
        assert_eq!(keys, [200, 335, 400, 5_000]);
    }

    #[test]
    fn nothing_and_everything_gone() {
        let nothing = of(&[], 0);
        let (leaves, begins) = ranges(&nothing, 4);
        assert_eq!((leaves.len(), leaves[0].rows, begins.len()), (1, 0, 0));
        assert_eq!(compared(&nothing, (&leaves, &begins), true, &nothing).1, []);
        let some = of(&(0..9).map(|key| (key, 0)).collect::<Vec<_>>(), 0);
        assert_eq!(compared(&nothing, (&leaves, &begins), true, &some).0.extra, 9);
        let (leaves, begins) = ranges(&some, 4);
        assert_eq!((leaves.len(), compared(&some, (&leaves, &begins), true, &nothing).0.missing), (3, 9));
        let error = compare((&leaves, &begins[1..]), Vec::new(), &some, &mut |_| {}).unwrap_err();
        assert_eq!(error.kind, FailureKind::BadEvidence);
    }

    #[test]
    fn a_sidecar_that_says_equal_does_not_overrule_the_leaf() {
        let before = of(&[(1, 1), (2, 2)], 0);
        let (leaves, begins) = ranges(&before, 4);
        let mut records = [record((1, 1)), record((2, 2))];
        records[1][39] ^= 1;
        let mut now = Accumulator::new(0);
        now.push_all(&records).unwrap();
        let told = compared(&before, (&leaves, &begins), true, &now.finish().unwrap()).1;
        assert_eq!(told, [Told::Range(Range { index: 0, expected: 2, actual: 2 })]);
    }

    proptest! {
        /// Against a naive model: a table as a map from key to contents, ranges by counting, differences by looking each key up.
        #[test]
        fn ranges_tell_what_a_map_tells(
            before in prop::collection::btree_map(0u64..300, 0u8..3, 0..120), changes in prop::collection::vec((0u64..300, 0u8..4), 0..12),
            most in 1u64..20, budget in 0usize..6_000,
        ) {
            let mut now: BTreeMap<u64, u8> = before.clone();
            for (key, content) in changes {
                if content == 3 { now.remove(&key); } else { now.insert(key, content); }
            }
            let rows = |map: &BTreeMap<u64, u8>| map.iter().map(|(key, content)| (*key, *content)).collect::<Vec<_>>();
            let (one, other) = (of(&rows(&before), budget), of(&rows(&now), budget));
            let (leaves, begins) = ranges(&one, most);
            let keys: Vec<u64> = before.keys().copied().collect();
            let naive: Vec<Code> = keys.chunks(most as usize).skip(1).map(|some| some[0].to_be_bytes()).collect();
            prop_assert_eq!(&begins, &naive);
            let (counts, told) = compared(&one, (&leaves, &begins), true, &other);
            let differing: Vec<u64> =
                (0..300).filter(|key| before.get(key) != now.get(key)).collect();
            let named: Vec<u64> = told.iter().map(|one| match one {
                Told::Row(Difference::Row { key_hash, .. }) => u64::from_be_bytes(*key_hash),
                other => panic!("{other:?}"),
            }).collect();
            prop_assert_eq!(named, differing.clone());
            prop_assert_eq!(counts.matched, before.iter().filter(|(key, content)| now.get(key) == Some(content)).count() as u64);
            // Without names: exactly the ranges that hold a differing key.
            let range_of = |key: &u64| naive.iter().filter(|begin| key.to_be_bytes() >= **begin).count() as u32;
            let mut expected: Vec<u32> = differing.iter().map(range_of).collect();
            expected.dedup();
            let (_, told) = compared(&one, (&leaves, &begins), false, &other);
            // Of a range that had no rows every row is surplus, and no sidecar is needed to say so.
            let mut found: Vec<u32> = told.iter().map(|one| match one {
                Told::Range(range) => range.index,
                Told::Row(Difference::Row { key_hash, .. }) if before.is_empty() => range_of(&u64::from_be_bytes(*key_hash)),
                other => panic!("{other:?}"),
            }).collect();
            found.dedup();
            prop_assert_eq!(found, expected);
        }
    }
}
