//! `AddHash` leaves: for each bucket the sum modulo 2^256 of its rows' keyed digests, and their number.
//!
//! MSet-Add-Hash of Clarke, Devadas, van Dijk, Gassend and Suh ("Incremental Multiset Hash Functions and Their Application to Memory
//! Integrity Checking", 2003): sound for multisets because the digests are keyed. Nothing is sorted and nothing spills, so that memory is
//! the same for any number of rows; in exchange a difference names its bucket only. An exclusive or in place of the sum would cancel
//! pairs of equal rows.

use crate::verify::buckets::Record;
use crate::verify::leaf::{Leaf, MAX_BITS, bucket_of};

/// A digest as a number, least significant word first.
type Number = [u64; 4];

/// The sums of all buckets at the finest division; coarser ones are sums of these.
pub struct Sums {
    buckets: Vec<(Number, u64)>,
    rows: u64,
}

impl Default for Sums {
    fn default() -> Self {
        Self { buckets: vec![([0; 4], 0); 1 << MAX_BITS], rows: 0 }
    }
}

impl Sums {
    /// Adds a row.
    pub fn push(&mut self, record: &Record) {
        let (sum, rows) = &mut self.buckets[bucket_of(record, MAX_BITS) as usize];
        add(sum, &number(&record[8..]));
        *rows += 1;
        self.rows += 1;
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The leaf of one bucket of a division by `bits` bits; the digest is the sum, big-endian.
    pub fn leaf(&self, index: u32, bits: u8) -> Leaf {
        let bits = bits.min(MAX_BITS);
        let width = 1usize << (MAX_BITS - bits);
        let (mut sum, mut rows) = ([0; 4], 0);
        for (part, count) in self.buckets.iter().skip(index as usize * width).take(width) {
            add(&mut sum, part);
            rows += count;
        }
        let mut digest = [0; 32];
        for (bytes, word) in digest.chunks_exact_mut(8).zip(sum.iter().rev()) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        Leaf { index, bits, rows, digest }
    }
}

fn number(digest: &[u8]) -> Number {
    let mut number = [0; 4];
    for (word, bytes) in number.iter_mut().rev().zip(digest.chunks_exact(8)) {
        *word = u64::from_be_bytes(bytes.try_into().expect("8 bytes"));
    }
    number
}

fn add(sum: &mut Number, other: &Number) {
    let mut carry = false;
    for (word, other) in sum.iter_mut().zip(other) {
        let (first, over) = word.overflowing_add(*other);
        let (second, over_again) = first.overflowing_add(u64::from(carry));
        (*word, carry) = (second, over || over_again);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(key: u16, digest: [u8; 32]) -> Record {
        let mut record = [0; 40];
        record[..2].copy_from_slice(&key.to_be_bytes());
        record[8..].copy_from_slice(&digest);
        record
    }

    fn of(rows: &[(u16, [u8; 32])]) -> Sums {
        let mut sums = Sums::default();
        rows.iter().for_each(|(key, digest)| sums.push(&record(*key, *digest)));
        sums
    }

    #[test]
    fn carries_go_through_and_the_last_is_dropped() {
        let mut one = [0; 32];
        one[31] = 1;
        assert_eq!(of(&[(0, [0xff; 32]), (0, one)]).leaf(0, 16).digest, [0; 32]);
        let mut half = [0xff; 32];
        half[..16].fill(0);
        let mut expected = [0; 32];
        expected[15] = 1;
        assert_eq!(of(&[(0, half), (0, one)]).leaf(0, 16).digest, expected);
        assert_eq!(of(&[(0xff00, one)]).leaf(0, 0).digest, one);
        assert_eq!((of(&[(0xff00, one)]).leaf(255, 8).rows, of(&[(0xff00, one)]).leaf(254, 8).rows), (1, 0));
    }

    #[test]
    fn pairs_do_not_cancel() {
        let (a, b, c) = ([7; 32], [9; 32], [8; 32]);
        assert_ne!(of(&[(1, a), (1, a)]).leaf(0, 0), of(&[(1, b), (1, b)]).leaf(0, 0));
        assert_ne!(of(&[(1, a), (1, a), (1, b)]).leaf(0, 0), of(&[(1, b), (1, c), (1, c)]).leaf(0, 0));
        assert_ne!(of(&[]).leaf(0, 0), of(&[(1, [0; 32])]).leaf(0, 0), "the number of rows counts");
    }

    proptest! {
        #[test]
        fn order_does_not_show_and_divisions_add_up(
            mut rows in prop::collection::vec((any::<u16>(), prop::array::uniform32(any::<u8>())), 0..40), bits in 0u8..=16
        ) {
            let straight = of(&rows);
            rows.reverse();
            let turned = of(&rows);
            let leaves: Vec<Leaf> = (0..1u32 << bits).map(|index| straight.leaf(index, bits)).collect();
            prop_assert_eq!(leaves.iter().map(|leaf| leaf.rows).sum::<u64>(), rows.len() as u64);
            for (index, leaf) in leaves.iter().enumerate() {
                prop_assert_eq!(*leaf, turned.leaf(index as u32, bits));
            }
            let mut whole = [0; 4];
            leaves.iter().for_each(|leaf| add(&mut whole, &number(&leaf.digest)));
            prop_assert_eq!(whole, number(&straight.leaf(0, 0).digest));
        }
    }
}
