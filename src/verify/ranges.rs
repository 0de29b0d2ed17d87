//! Ranges of a large object, each a subtree of the standard BLAKE3 tree, so that they can be read in any order and by many runs and
//! still give `b3sum`'s digest (`blake3::hazmat`; BLAKE3 specification, section 2.1).

use std::ops::Range;

use blake3::hazmat::{ChainingValue, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root};

use crate::model::digest::Digest32;

/// The smallest range: what one request is for.
pub const SMALLEST: u64 = 8 << 20;

/// No object is cut into more ranges than so many; larger ones have larger ranges.
const MOST: u64 = 1 << 14;

/// How an object of one size is cut into ranges of equal length, the last one shorter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cut {
    size: u64,
    length: u64,
}

impl Cut {
    /// Ranges of an object of `size` bytes; nothing where it is one range.
    pub fn of(size: u64) -> Option<Self> {
        let mut length = SMALLEST;
        while size.div_ceil(length) > MOST {
            length *= 2;
        }
        Self::with_length(size, length)
    }

    /// Ranges of `length` bytes, a power of two of at least 1 KiB; nothing where `size` is no more than one.
    fn with_length(size: u64, length: u64) -> Option<Self> {
        (size > length).then_some(Self { size, length })
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.size.div_ceil(self.length)
    }

    /// The bytes of range `index`.
    pub fn range(&self, index: u64) -> Range<u64> {
        let from = index * self.length;
        from..(from + self.length).min(self.size)
    }

    /// The standard digest, from the chaining values of all ranges in order.
    pub fn root(&self, values: &[ChainingValue]) -> Digest32 {
        debug_assert_eq!(values.len() as u64, self.count());
        let (left, right) = self.halves(0..self.size);
        let root = merge_subtrees_root(&self.value(left, values), &self.value(right, values), Mode::Hash);
        Digest32(*root.as_bytes())
    }

    fn halves(&self, bytes: Range<u64>) -> (Range<u64>, Range<u64>) {
        let middle = bytes.start + left_subtree_len(bytes.end - bytes.start);
        (bytes.start..middle, middle..bytes.end)
    }

    fn value(&self, bytes: Range<u64>, values: &[ChainingValue]) -> ChainingValue {
        if bytes.end - bytes.start <= self.length {
            return values[(bytes.start / self.length) as usize];
        }
        let (left, right) = self.halves(bytes);
        merge_subtrees_non_root(&self.value(left, values), &self.value(right, values), Mode::Hash)
    }
}

#[cfg(test)]
mod tests {
    use blake3::hazmat::HasherExt;

    use super::*;

    #[test]
    fn ranges_of_any_size_give_the_standard_digest() {
        const LENGTH: u64 = 1024;
        for size in [1025, 2048, 2049, 3 * 1024, 4 * 1024 + 1, 7 * 1024 - 5, 8 * 1024, 31 * 1024 + 9] {
            let content: Vec<u8> = (0..size).map(|n| (n * 7 + n / 251) as u8).collect();
            let cut = Cut::with_length(size, LENGTH).unwrap();
            let values: Vec<ChainingValue> = (0..cut.count())
                .map(|index| {
                    let range = cut.range(index);
                    let bytes = &content[range.start as usize..range.end as usize];
                    blake3::Hasher::new().set_input_offset(range.start).update(bytes).finalize_non_root()
                })
                .collect();
            assert_eq!(cut.root(&values), Digest32::blake3(&content), "{size} bytes");
        }
        assert_eq!(Cut::of(SMALLEST), None);
    }

    #[test]
    fn ranges_cover_the_largest_objects_without_gaps() {
        for size in [SMALLEST + 1, 1 << 34, (5 << 40) + 3, 50 << 40] {
            let cut = Cut::of(size).unwrap();
            assert!(cut.count() <= MOST && cut.length.is_power_of_two());
            assert_eq!(cut.range(0).start, 0);
            assert_eq!(cut.range(cut.count() - 1).end, size);
            assert!((1..cut.count().min(100)).all(|n| cut.range(n).start == cut.range(n - 1).end));
        }
    }
}
