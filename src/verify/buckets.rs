//! The records of rows, and a bucket of them, in order, as its `SortedDigests` leaf.
//!
//! Not here: how records are gathered and sorted (`fingerprint`, `sorter`).

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::model::failure::Failure;
use crate::verify::leaf::{Leaf, bucket_of};
use crate::verify::records::{self, PARTS, sorted_into};
use crate::verify::sorter::{Blocks, Sorted, Sorter};

/// What is kept of a row: the first 8 bytes of its key hash, which place it, and its digest.
pub type Record = [u8; 40];

/// Rows of a bucket that is not larger than it is meant to be, and by chance: 4 MiB of digests.
const USUAL: usize = 1 << 17;

/// Room for the row digests of one bucket after the other.
#[derive(Default)]
pub struct Room {
    /// As they came.
    digests: Vec<[u8; 32]>,
    /// In order.
    sorted: Vec<[u8; 32]>,
}

/// The record of a row.
#[inline]
pub fn record(key_hash: &[u8; 32], row_digest: &[u8; 32]) -> Record {
    record_at(key_hash.first_chunk().expect("a hash has 32 bytes"), row_digest)
}

/// The record of a row that stands at `head` in the order.
#[inline]
pub fn record_at(head: &[u8; 8], row_digest: &[u8; 32]) -> Record {
    let mut record = [0; 40];
    record[..8].copy_from_slice(head);
    record[8..].copy_from_slice(row_digest);
    record
}

/// Goes past the records of bucket `index` of those with `bits` bits, the first that is ahead in `blocks`: `each` gets them in order, some at
/// a time.
pub fn pass(
    blocks: &mut Blocks<'_, 40>,
    (bits, index): (u8, u32),
    each: &mut dyn FnMut(&[Record]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    loop {
        let ahead = blocks.ahead()?;
        let records = &ahead[..ahead.partition_point(|record| bucket_of(record, bits) <= index)];
        if records.is_empty() {
            return Ok(());
        }
        each(records)?;
        let (passed, ends_here) = (records.len(), records.len() < ahead.len());
        blocks.pass(passed);
        if ends_here {
            return Ok(());
        }
    }
}

/// The leaf of bucket `index` of those with `bits` bits, the first that is ahead in `blocks`; `each` gets its records in order, some at a
/// time. `room` is for the bucket's row digests, of which `budget` bytes stay in memory.
pub fn leaf(
    blocks: &mut Blocks<'_, 40>,
    (bits, index): (u8, u32),
    (room, budget): (&mut Room, usize),
    each: &mut dyn FnMut(&[Record]) -> Result<(), Failure>,
) -> Result<Leaf, Failure> {
    // A bucket may be far larger than it is meant to be: a table without a key may hold one row a hundred million times.
    let mut more = None;
    let Room { digests, sorted } = room;
    digests.clear();
    pass(blocks, (bits, index), &mut |records| {
        each(records)?;
        if digests.len() * 32 > budget {
            more.get_or_insert_with(|| Sorter::<32>::new(budget)).push_all(digests)?;
            digests.clear();
        }
        digests.extend(records.iter().map(|record| *record.last_chunk::<32>().expect("a record ends with a digest")));
        Ok(())
    })?;
    let Some(mut sorter) = more else {
        // A bucket of the usual size is sorted into room beside it; there is none for one that fills the budget.
        let sorted = if digests.len() <= USUAL {
            sorted_into(std::iter::once(&digests[..]), 0, sorted);
            sorted
        } else {
            records::sort(digests, 0);
            digests
        };
        let rows = sorted.len() as u64;
        let mut hasher = LeafHasher::new(bits, index, rows);
        hasher.update(sorted);
        return Ok(Leaf { index, bits, rows, digest: hasher.finish() });
    };
    sorter.push_all(digests)?;
    let sorted = sorter.finish()?;
    let mut hasher = LeafHasher::new(bits, index, sorted.count());
    let mut blocks = sorted.blocks();
    loop {
        let passed = blocks.ahead()?.len();
        if passed == 0 {
            break;
        }
        hasher.update(blocks.ahead()?);
        blocks.pass(passed);
    }
    Ok(Leaf { index, bits, rows: sorted.count(), digest: hasher.finish() })
}

/// The leaves of all buckets with `bits` bits of records that are in memory, by as many threads as there are processors.
pub fn leaves(sorted: &Sorted<40>, bits: u8, budget: usize) -> Result<Vec<Leaf>, Failure> {
    // A bucket has some parts, or a part has some buckets: what a thread takes at a time is the larger of the two.
    let shared = bits.min(PARTS.ilog2() as u8);
    let (parts, buckets) = (PARTS >> shared, 1_u32 << (bits - shared));
    let of_group = |room: &mut Room, group: u32| {
        let first = group as usize * parts;
        let mut blocks = sorted.blocks_of(first..first + parts);
        let indexes = group * buckets..(group + 1) * buckets;
        indexes.map(|index| leaf(&mut blocks, (bits, index), (&mut *room, budget), &mut |_| Ok(()))).collect()
    };
    let groups: Result<Vec<Vec<Leaf>>, Failure> = (0..1_u32 << shared).into_par_iter().map_init(Room::default, of_group).collect();
    groups.map(|groups| groups.concat())
}

/// The digest of a leaf while the bucket's row digests come, in order: BLAKE3 in key derivation mode over (bits, index, rows, sorted row
/// digests).
struct LeafHasher(blake3::Hasher);

impl LeafHasher {
    /// For bucket `index` of those with `bits` bits, which has `rows` rows.
    fn new(bits: u8, index: u32, rows: u64) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("attestore leaf v1");
        hasher.update(&[bits]);
        hasher.update(&index.to_be_bytes());
        hasher.update(&rows.to_be_bytes());
        Self(hasher)
    }

    /// The next row digests.
    fn update(&mut self, digests: &[[u8; 32]]) {
        self.0.update(digests.as_flattened());
    }

    /// The digest.
    fn finish(self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_make_the_leaves_that_one_makes() {
        let hash = |n: u32, seed: u8| *blake3::hash(&[&n.to_be_bytes()[..], &[seed]].concat()).as_bytes();
        // One bucket is larger than the budget, and some are empty.
        let same = std::iter::repeat_n(record(&hash(1, 0), &hash(1, 1)), 5_000);
        let mut sorter = Sorter::<40>::new(64 << 20);
        sorter.push_all(&(0..3_000).map(|n| record(&hash(n, 0), &hash(n, 1))).chain(same).collect::<Vec<_>>()).unwrap();
        let sorted = sorter.finish().unwrap();
        for bits in [0, 1, 7, 8, 9, 13, 16] {
            let (mut blocks, mut room) = (sorted.blocks(), Room::default());
            let one_by_one: Vec<Leaf> =
                (0..1 << bits).map(|index| leaf(&mut blocks, (bits, index), (&mut room, 4_096), &mut |_| Ok(())).unwrap()).collect();
            assert_eq!(leaves(&sorted, bits, 4_096).unwrap(), one_by_one, "{bits} bits");
            assert_eq!(one_by_one.iter().map(|leaf| leaf.rows).sum::<u64>(), sorted.count());
        }
    }
}
