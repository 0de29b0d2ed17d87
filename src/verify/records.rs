//! Fixed-size records in memory and in files: sorting, dividing, reading back.
//!
//! Not here: what is sorted that memory does not hold (`sorter`, `merge`), and what the records mean.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::model::failure::Failure;

/// Parts that records are divided into, by one byte.
pub const PARTS: usize = 256;
/// Fewer records are sorted at once: dividing them would cost more than it saves.
const FEW: usize = 4096;

/// Sorts records that share their first `common` bytes: by the next byte into parts that fit a processor's cache, then each of these.
pub fn sort<const N: usize>(records: &mut [[u8; N]], common: usize) {
    if records.len() < FEW || common >= N {
        return sort_few(records);
    }
    let bounds = divide(records, common);
    for bound in bounds.windows(2) {
        sort_few(&mut records[bound[0]..bound[1]]);
    }
}

/// By the first eight bytes as one number where they decide, which for hashes they do: several times fewer steps than byte by byte.
fn sort_few<const N: usize>(records: &mut [[u8; N]]) {
    let head = |record: &[u8; N]| record.first_chunk::<8>().map_or(0, |head| u64::from_be_bytes(*head));
    records.sort_unstable_by(|a, b| head(a).cmp(&head(b)).then_with(|| a.cmp(b)));
}

/// Brings records into the order of their byte number `at`, in place, and says where each of the 256 parts begins and the last ends.
pub fn divide<const N: usize>(records: &mut [[u8; N]], at: usize) -> [usize; PARTS + 1] {
    let part_of = |record: &[u8; N]| usize::from(record[at]);
    let mut bounds = [0; PARTS + 1];
    records.iter().for_each(|record| bounds[part_of(record) + 1] += 1);
    for part in 0..PARTS {
        bounds[part + 1] += bounds[part];
    }
    let mut next = bounds;
    for part in 0..PARTS {
        while next[part] < bounds[part + 1] {
            let home = part_of(&records[next[part]]);
            if home != part {
                records.swap(next[part], next[home]);
            }
            next[home] += 1;
        }
    }
    bounds
}

/// Appends `records` records of `file` from record `start` on to `room`.
pub fn read<const N: usize>(file: &File, start: u64, records: u64, room: &mut Vec<[u8; N]>) -> Result<(), Failure> {
    let before = room.len();
    room.resize(before + usize::try_from(records).unwrap_or(usize::MAX), [0; N]);
    file.read_exact_at(room[before..].as_flattened_mut(), start * N as u64)
        .map_err(|error| Failure::io("cannot read row digests back from a temporary file", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_records_are_divided_by_their_bytes() {
        let record = |n: u64| {
            let mut record = [7; 9];
            record[1..].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
            record
        };
        let mut records: Vec<[u8; 9]> = (0..3 * FEW as u64).map(record).collect();
        let mut expected = records.clone();
        expected.sort_unstable();
        let mut again = records.clone();
        sort(&mut records, 1);
        assert_eq!(records, expected);
        // All in one part.
        sort(&mut again, 0);
        assert_eq!(again, expected);
        let bounds = divide(&mut again, 1);
        assert!((0..PARTS).all(|part| again[bounds[part]..bounds[part + 1]].iter().all(|record| usize::from(record[1]) == part)));
    }
}
