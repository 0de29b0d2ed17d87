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
/// Places at most that records are put into, as a power of two: their counts fit a processor's cache.
const MOST_BITS: u32 = 14;

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

/// Puts records that share their first `common` bytes into `room`, sorted: each is moved once, to about where it belongs. For hashes that is
/// twice as fast as [`sort`].
pub fn sorted_into<'a, const N: usize>(slices: impl Iterator<Item = &'a [[u8; N]]> + Clone, common: usize, room: &mut Vec<[u8; N]>) {
    let count = slices.clone().map(<[_]>::len).sum::<usize>();
    let bits = count.max(1).ilog2().min(MOST_BITS);
    if bits == 0 || common + 8 > N {
        room.clear();
        slices.for_each(|some| room.extend_from_slice(some));
        return sort(room, common);
    }
    room.resize(count, [0; N]);
    let head = |record: &[u8; N]| record[common..].first_chunk::<8>().map_or(0, |head| u64::from_be_bytes(*head));
    let place_of = |record: &[u8; N]| (head(record) >> (64 - bits)) as usize;
    // Where each place begins, and once all records are in theirs, where it ends.
    let mut next = vec![0; (1 << bits) + 1];
    slices.clone().flatten().for_each(|record| next[place_of(record) + 1] += 1);
    for place in 0..1 << bits {
        next[place + 1] += next[place];
    }
    for record in slices.flatten() {
        let next = &mut next[place_of(record)];
        room[*next] = *record;
        *next += 1;
    }
    let mut start = 0;
    for end in &next[..1 << bits] {
        match end - start {
            0 | 1 => {}
            2 if room[start] <= room[start + 1] => {}
            2 => room.swap(start, start + 1),
            _ => sort_few(&mut room[start..*end]),
        }
        start = *end;
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
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn records_of_any_kind_are_sorted_wherever_they_come_from(
            seeds in prop::collection::vec(any::<u32>(), 0..3_000), kinds in 1u32..=u32::MAX, each in 1usize..900, common in 0usize..4
        ) {
            let record = |seed: &u32| {
                let mut record = [3; 12];
                record[common..common + 4].copy_from_slice(&(seed % kinds).wrapping_mul(0x9e37_79b9).to_be_bytes());
                record[11] = *seed as u8;
                record
            };
            let mut records: Vec<[u8; 12]> = seeds.iter().map(record).collect();
            let mut room = vec![[9; 12]; 50];
            for common in 0..=common {
                sorted_into(records.chunks(each), common, &mut room);
                let mut expected = records.clone();
                expected.sort_unstable();
                prop_assert_eq!(&room, &expected);
            }
            // Bytes that are too few to be placed by.
            records.iter_mut().for_each(|record| record[..5].fill(3));
            sorted_into(records.chunks(each), 5, &mut room);
            records.sort_unstable();
            prop_assert_eq!(&room, &records);
        }
    }

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
