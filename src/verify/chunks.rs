//! Records of fixed size in chunks: what was put down is never copied to make room for more, so that memory is touched once. A page that
//! is touched for the first time costs a processor more than sorting what lies on it.
//!
//! Not here: the order of the parts and what is beyond the budget (`sorter`), sorting itself (`records`).

use std::sync::Mutex;

use crate::verify::records::{PARTS, sort, sorted_into};

/// Records in the first chunk of a part; each further one has twice as many, up to [`MOST`].
const FIRST: usize = 16;
/// Records in a full chunk: some 20 KiB of digests.
const MOST: usize = 512;
/// Records that are sorted by way of as much room beside them: 5 MiB of digests.
const MOST_ROOM: usize = 1 << 17;
/// Fewer records are sorted by one thread: to start another would take longer.
const FEW: usize = 4096;

/// Records in the order in which they came, until they are sorted.
pub struct Chunks<const N: usize> {
    chunks: Vec<Vec<[u8; N]>>,
}

/// Chunks that are free again after a spill.
pub type Pool<const N: usize> = Vec<Vec<[u8; N]>>;

impl<const N: usize> Chunks<N> {
    /// None.
    pub const EMPTY: Self = Self { chunks: Vec::new() };

    /// Adds a record; room comes from `pool` where there is some.
    #[inline]
    pub fn push(&mut self, record: [u8; N], pool: &mut Pool<N>) {
        match self.chunks.last_mut() {
            Some(chunk) if chunk.len() < chunk.capacity() => chunk.push(record),
            _ => self.push_further(record, pool),
        }
    }

    #[cold]
    fn push_further(&mut self, record: [u8; N], pool: &mut Pool<N>) {
        let fresh = || Vec::with_capacity(FIRST.checked_shl(self.chunks.len() as u32).map_or(MOST, |records| records.clamp(FIRST, MOST)));
        let mut chunk = pool.pop().unwrap_or_else(fresh);
        chunk.push(record);
        self.chunks.push(chunk);
    }

    /// How many there are.
    pub fn records(&self) -> usize {
        self.chunks.iter().map(Vec::len).sum()
    }

    /// The records, chunk by chunk, none of them empty.
    pub fn slices(&self) -> impl Iterator<Item = &[[u8; N]]> + Clone {
        self.chunks.iter().map(Vec::as_slice)
    }

    /// Chunk number `at`; none after the last.
    pub fn slice(&self, at: usize) -> Option<&[[u8; N]]> {
        self.chunks.get(at).map(Vec::as_slice)
    }

    /// Forgets the records; full chunks go to `pool`.
    pub fn clear(&mut self, pool: &mut Pool<N>) {
        pool.extend(self.chunks.drain(..).filter(|chunk| chunk.capacity() >= MOST).map(|mut chunk| {
            chunk.clear();
            chunk
        }));
    }

    /// Sorts the records, whose first `common` bytes are alike, by way of `room`; chunks that are free meanwhile are in `pool`.
    fn sort(&mut self, common: usize, room: &mut Vec<[u8; N]>, pool: &mut Pool<N>) {
        if let [only] = &mut self.chunks[..] {
            return sort(only, common);
        }
        if self.records() > MOST_ROOM {
            return self.divide(common, room, pool);
        }
        sorted_into(self.slices(), common, room);
        let mut rest = room.as_slice();
        for chunk in &mut self.chunks {
            let (some, further) = rest.split_at(chunk.len());
            chunk.copy_from_slice(some);
            rest = further;
        }
    }

    /// Sorts more records than there is to be room for beside: they move into parts by the first byte that is not alike, chunk by chunk, each of
    /// which is then sorted. Keys that are numbers share most of their bytes.
    fn divide(&mut self, common: usize, room: &mut Vec<[u8; N]>, pool: &mut Pool<N>) {
        let at = self.alike(common);
        if at == N {
            return;
        }
        let mut parts: Vec<Self> = (0..PARTS).map(|_| Self::EMPTY).collect();
        for mut chunk in std::mem::take(&mut self.chunks) {
            chunk.iter().for_each(|record| parts[usize::from(record[at])].push(*record, pool));
            chunk.clear();
            pool.extend((chunk.capacity() >= MOST).then_some(chunk));
        }
        for mut part in parts {
            part.sort(at + 1, room, pool);
            self.chunks.append(&mut part.chunks);
        }
    }

    /// How many bytes at the beginning all records share; `common` at least.
    fn alike(&self, common: usize) -> usize {
        let Some(first) = self.chunks.first().and_then(|chunk| chunk.first()) else { return N };
        let mut alike = N;
        for record in self.slices().flatten() {
            if record[common..alike] != first[common..alike] {
                alike = (common..alike).find(|at| record[*at] != first[*at]).unwrap_or(alike);
            }
        }
        alike
    }
}

/// Sorts each of `parts`, whose records share their first byte: as many at once as there are processors.
pub fn sort_each<const N: usize>(parts: &mut [Chunks<N>]) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let records: usize = parts.iter().map(Chunks::records).sum();
    if threads == 1 || records < FEW * threads {
        let (mut room, mut pool) = (Vec::new(), Pool::new());
        return parts.iter_mut().for_each(|part| part.sort(1, &mut room, &mut pool));
    }
    let parts = Mutex::new(parts.iter_mut());
    // The lock is given back before the part is sorted.
    let next = || parts.lock().expect("no panic while held").next();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let (mut room, mut pool) = (Vec::new(), Pool::new());
                while let Some(part) = next() {
                    part.sort(1, &mut room, &mut pool);
                }
            });
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(n: u64) -> [u8; 9] {
        let mut record = [7; 9];
        record[1..].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        record
    }

    #[test]
    fn each_part_is_sorted_in_its_chunks() {
        for each in [0, 1, 15, 16, 17, 600, FEW as u64] {
            let mut parts: Vec<Chunks<9>> = (0..5).map(|_| Chunks::EMPTY).collect();
            let mut expected = vec![Vec::new(); 5];
            for n in 0..each * 5 {
                let part = (n % 5) as usize;
                parts[part].push(record(n), &mut Pool::new());
                expected[part].push(record(n));
            }
            expected.iter_mut().for_each(|part| part.sort_unstable());
            sort_each(&mut parts);
            let walked: Vec<Vec<[u8; 9]>> = parts.iter().map(|part| part.slices().flatten().copied().collect()).collect();
            assert_eq!(walked, expected);
            assert!(parts.iter().all(|part| part.records() as u64 == each && part.slices().all(|slice| !slice.is_empty())));
        }
    }

    /// As those of numbers that follow one another: what tells them apart is in their last bytes.
    #[test]
    fn more_records_than_there_is_room_for_are_sorted_within_little() {
        let of = |n: u64| {
            let mut record = [7; 9];
            record[1..].copy_from_slice(&n.to_be_bytes());
            record
        };
        let count = 2 * MOST_ROOM as u64 + 77;
        let (mut part, mut room, mut pool) = ([Chunks::<9>::EMPTY], Vec::new(), Pool::new());
        (0..count).for_each(|n| part[0].push(of(n * 7_919 % count), &mut pool));
        (0..1_000).for_each(|_| part[0].push(of(5), &mut pool));
        part[0].sort(1, &mut room, &mut pool);
        let found: Vec<[u8; 9]> = part[0].slices().flatten().copied().collect();
        let mut expected: Vec<[u8; 9]> = (0..count).map(of).chain(std::iter::repeat_n(of(5), 1_000)).collect();
        expected.sort_unstable();
        assert!(found == expected && room.len() <= MOST_ROOM && part[0].slices().all(|slice| !slice.is_empty()));
        let mut same = Chunks::<9>::EMPTY;
        (0..count).for_each(|_| same.push(of(3), &mut pool));
        same.sort(1, &mut room, &mut pool);
        assert_eq!((same.records() as u64, same.alike(1)), (count, 9));
    }

    #[test]
    fn room_is_used_again_whichever_part_wants_it() {
        let (mut pool, mut one, mut other) = (Pool::new(), Chunks::EMPTY, Chunks::EMPTY);
        (0..10_000).for_each(|n| one.push(record(n), &mut pool));
        one.clear(&mut pool);
        let room = pool.len();
        assert!(one.records() == 0 && room > 10 && pool.iter().all(|chunk| chunk.is_empty() && chunk.capacity() >= MOST));
        (0..5_000).for_each(|n| other.push(record(n), &mut pool));
        assert_eq!((other.records(), pool.len()), (5_000, room - 5_000_usize.div_ceil(pool[0].capacity())));
    }
}
