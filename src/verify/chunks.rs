//! Records of fixed size in chunks: what was put down is never copied to make room for more, so that memory is touched once. A page that
//! is touched for the first time costs a processor more than sorting what lies on it, which is why full chunks lie on large ones.
//!
//! Not here: the order of the parts and what is beyond the budget (`sorter`), sorting itself (`records`), large pages (`slab`).

use std::sync::Mutex;

use bytes::BytesMut;

use crate::verify::records::{sort, sorted_into};
use crate::verify::slab::slab;

/// Records in the first chunk of a part; each further one has twice as many, up to [`MOST`].
const FIRST: usize = 16;
/// Records in a full chunk: some 20 KiB of digests.
const MOST: usize = 512;
/// Fewer records are sorted by one thread: to start another would take longer.
const FEW: usize = 4096;

/// Bytes of memory that full chunks are cut from, as many as the kernel is always asked for and given back (mallopt(3), M_MMAP_THRESHOLD: up
/// to 32 MiB may be kept). What is not touched of them is not taken.
const SLAB: usize = 34 << 20;

/// Records in the order in which they came, until they are sorted.
pub struct Chunks<const N: usize> {
    /// Each with whole records, of which it never has more than it was made for.
    chunks: Vec<BytesMut>,
}

/// Room for chunks.
#[derive(Default)]
pub struct Pool<const N: usize> {
    /// Full chunks that are free again after a spill.
    free: Vec<BytesMut>,
    /// What further ones are cut from.
    slab: BytesMut,
}

impl<const N: usize> Pool<N> {
    /// Empty.
    pub fn new() -> Self {
        Self::default()
    }

    /// Room for so many records; for a full chunk where they are as many.
    fn take(&mut self, records: usize) -> BytesMut {
        if let Some(chunk) = self.free.pop() {
            return chunk;
        }
        if records < MOST {
            return BytesMut::with_capacity(records * N);
        }
        if self.slab.capacity() < MOST * N {
            self.slab = slab(SLAB);
        }
        let rest = self.slab.split_off(MOST * N);
        std::mem::replace(&mut self.slab, rest)
    }
}

impl<const N: usize> Chunks<N> {
    /// None.
    pub const EMPTY: Self = Self { chunks: Vec::new() };

    /// Adds a record; room comes from `pool` where there is some.
    #[inline]
    pub fn push(&mut self, record: [u8; N], pool: &mut Pool<N>) {
        match self.chunks.last_mut() {
            Some(chunk) if chunk.len() + N <= chunk.capacity() => chunk.extend_from_slice(&record),
            _ => self.push_further(record, pool),
        }
    }

    #[cold]
    fn push_further(&mut self, record: [u8; N], pool: &mut Pool<N>) {
        let records = FIRST.checked_shl(self.chunks.len() as u32).map_or(MOST, |records| records.clamp(FIRST, MOST));
        let mut chunk = pool.take(records);
        chunk.extend_from_slice(&record);
        self.chunks.push(chunk);
    }

    /// How many there are.
    pub fn records(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.len() / N).sum()
    }

    /// The records, chunk by chunk, none of them empty.
    pub fn slices(&self) -> impl Iterator<Item = &[[u8; N]]> + Clone {
        self.chunks.iter().map(|chunk| chunk.as_chunks().0)
    }

    /// Chunk number `at`; none after the last.
    pub fn slice(&self, at: usize) -> Option<&[[u8; N]]> {
        self.chunks.get(at).map(|chunk| chunk.as_chunks().0)
    }

    /// Forgets the records; full chunks go to `pool`.
    pub fn clear(&mut self, pool: &mut Pool<N>) {
        pool.free.extend(self.chunks.drain(..).filter(|chunk| chunk.capacity() >= MOST * N).map(|mut chunk| {
            chunk.clear();
            chunk
        }));
    }

    /// Sorts the records, which share their first byte, by way of `room`.
    fn sort(&mut self, room: &mut Vec<[u8; N]>) {
        if let [only] = &mut self.chunks[..] {
            return sort::<N>(only.as_chunks_mut().0, 1);
        }
        sorted_into(self.slices(), 1, room);
        let mut rest = room.as_slice();
        for chunk in &mut self.chunks {
            let (some, further) = rest.split_at(chunk.len() / N);
            chunk.copy_from_slice(some.as_flattened());
            rest = further;
        }
    }
}

/// Sorts each of `parts`, whose records share their first byte: as many at once as there are processors.
pub fn sort_each<const N: usize>(parts: &mut [Chunks<N>]) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let records: usize = parts.iter().map(Chunks::records).sum();
    if threads == 1 || records < FEW * threads {
        let mut room = Vec::new();
        return parts.iter_mut().for_each(|part| part.sort(&mut room));
    }
    let parts = Mutex::new(parts.iter_mut());
    // The lock is given back before the part is sorted.
    let next = || parts.lock().expect("no panic while held").next();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut room = Vec::new();
                while let Some(part) = next() {
                    part.sort(&mut room);
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

    #[test]
    fn room_is_used_again_whichever_part_wants_it() {
        let (mut pool, mut one, mut other) = (Pool::new(), Chunks::EMPTY, Chunks::EMPTY);
        (0..10_000).for_each(|n| one.push(record(n), &mut pool));
        one.clear(&mut pool);
        let room = pool.free.len();
        assert!(one.records() == 0 && room > 10 && pool.free.iter().all(|chunk| chunk.is_empty() && chunk.capacity() >= MOST * 9));
        (0..5_000).for_each(|n| other.push(record(n), &mut pool));
        assert_eq!((other.records(), pool.free.len()), (5_000, room - 5_000_usize.div_ceil(MOST)));
    }

    #[test]
    fn more_than_a_slab_holds_is_held_whole() {
        let (mut pool, mut chunks) = (Pool::new(), Chunks::<40>::EMPTY);
        let count = 2 * SLAB / 40 + 1_000;
        let record = |n: usize| {
            let mut record = [7; 40];
            record[32..].copy_from_slice(&n.to_be_bytes());
            record
        };
        (0..count).for_each(|n| chunks.push(record(n), &mut pool));
        assert_eq!(chunks.records(), count);
        assert!(chunks.slices().flatten().copied().eq((0..count).map(record)));
    }
}
