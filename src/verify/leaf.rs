//! Leaves of fingerprints: how rows are divided into buckets, and what a leaf of each form is.
//!
//! Not here: how rows are gathered and compared (`fingerprint`), and sums (`sums`).

use crate::model::failure::{Failure, FailureKind};

/// Rows that a bucket is meant to hold.
pub const BUCKET_ROWS: u64 = 16_384;
/// The most bits that a bucket's index may have: 65,536 buckets.
pub const MAX_BITS: u8 = 16;

/// The number of bits of a bucket's index for exactly `rows` rows.
pub fn bits_for(rows: u64) -> u8 {
    let buckets = rows.div_ceil(BUCKET_ROWS).max(1).next_power_of_two();
    u8::try_from(buckets.trailing_zeros()).unwrap_or(MAX_BITS).min(MAX_BITS)
}

/// The bucket of a key hash: its top `bits` bits.
pub fn bucket_of(key_hash: &[u8], bits: u8) -> u32 {
    debug_assert!(bits <= MAX_BITS && key_hash.len() >= 2);
    let top = u16::from_be_bytes([key_hash[0], key_hash[1]]);
    if bits == 0 { 0 } else { u32::from(top >> (16 - bits.min(MAX_BITS))) }
}

/// One bucket's leaf.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leaf {
    /// The bucket's index, from 0 to 2^bits − 1.
    pub index: u32,
    /// The bits of the index.
    pub bits: u8,
    /// Rows in the bucket.
    pub rows: u64,
    /// BLAKE3 in key derivation mode over (bits, index, rows, sorted row digests).
    pub digest: [u8; 32],
}

/// What a leaf is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// `SortedDigests`
    Sorted,
    /// `SortedDigests` up to so many rows, `AddHash` beyond.
    SortedUpTo(u64),
    /// `AddHash`
    Sums,
}

/// The bits that all leaves of a manifest's table have; an error where they are not whole.
pub fn baseline_bits(baseline: &[Leaf]) -> Result<u8, Failure> {
    let bits = baseline.first().map_or(0, |leaf| leaf.bits);
    let whole = bits <= MAX_BITS
        && baseline.len() == 1 << bits
        && baseline.iter().enumerate().all(|(at, leaf)| leaf.bits == bits && leaf.index as usize == at);
    if whole {
        return Ok(bits);
    }
    Err(Failure::new(
        FailureKind::BadEvidence,
        format!("the manifest's leaves of a table are not whole: {} leaves with {bits} bits each", baseline.len()),
    )
    .hint("the manifest was damaged or written by another version; capture it again"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_follow_the_exact_count() {
        for (rows, bits) in [(0, 0), (1, 0), (16_384, 0), (16_385, 1), (32_769, 2), (1 << 30, 16), (u64::MAX, 16)] {
            assert_eq!(bits_for(rows), bits, "{rows}");
        }
        assert_eq!(bucket_of(&[0x80, 0], 1), 1);
        assert_eq!(bucket_of(&[0xff, 0xff], 16), 65_535);
        assert_eq!(bucket_of(&[0xff, 0xff], 0), 0);
    }
}
