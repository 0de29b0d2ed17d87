//! Reading a large object in order, for SHA-256: the range whose turn it is goes into the digests as it arrives.
//!
//! Where the network is slower than the digests, the ranges behind it are read ahead into memory, as many as the byte budget has room
//! for; where the digests are slower, that would only copy bytes, and it is not done.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};

use crate::verify::budget::Share;
use crate::verify::checksum::Algorithm;
use crate::verify::hashing::{self, Hasher, RangeDigest, STREAM_SHARE_BYTES};
use crate::verify::objects::ledger::record::KnownRange;
use crate::verify::objects::ranges_known::{known_ranges, note};
use crate::verify::objects::reading::Reading;
use crate::verify::objects::source::{Entry, ObjectSource, S3Checksum};
use crate::verify::objects::stretch::{self, Sink, Unread};
use crate::verify::ranges::Cut;
use crate::verify::sha256::Sha256;

/// Ranges of one object that are read ahead at most.
const AHEAD: u64 = 4;

/// So many times as long as the digests take, and reading ahead pays.
const SLOWER: u32 = 3;

/// Digests of the range whose turn it is, and how long they took.
struct Turn {
    sha256: Sha256,
    range: Hasher,
    busy: Duration,
}

impl Sink for Turn {
    fn take(&mut self, bytes: &[u8]) {
        let started = Instant::now();
        self.sha256.update(bytes);
        self.range.update(bytes);
        self.busy += started.elapsed();
    }

    fn bytes(&self) -> u64 {
        self.range.bytes()
    }
}

/// Memory for one range that is read ahead, with its share of the budget. It is filled again and again: fresh memory costs a page fault
/// every 4 KiB, which together is as much as receiving the bytes.
struct Room {
    bytes: Vec<u8>,
    share: Share,
}

/// A range that was read before its turn.
struct Early {
    index: u64,
    room: Room,
}

/// Reads the ranges of `entry` that no earlier run has read, in order.
pub async fn read(
    source: &dyn ObjectSource,
    entry: &Entry,
    cut: Cut,
    algorithm: Option<Algorithm>,
    reading: &Reading,
) -> Result<(Vec<RangeDigest>, Option<Sha256>), Unread> {
    let mut ranges = Vec::with_capacity(cut.count() as usize);
    let mut sha256 = Sha256::default();
    // As far as the chain goes without a gap.
    let known = known_ranges(entry, algorithm, reading);
    while let Some((range, state)) = known.get(&(ranges.len() as u64)).and_then(|known| Some((known.digest, known.sha256?))) {
        // The last range may end within a block, and then there is no state after it.
        if state.bytes != cut.range(ranges.len() as u64).end {
            break;
        }
        ranges.push(range);
        sha256 = Sha256::resume(state);
    }
    let mut running = FuturesUnordered::new();
    let mut early: BTreeMap<u64, Early> = BTreeMap::new();
    let mut spare: Vec<Room> = Vec::new();
    let mut begun = ranges.len() as u64;
    let (mut depth, mut stopped) = (0, None);
    let first = begun;
    for index in first..cut.count() {
        let is_early = index < begun;
        let mut own_share = None;
        if !is_early {
            let wanted = length(&cut.range(index)).min(STREAM_SHARE_BYTES);
            own_share = reading.budget.try_acquire(wanted);
            if own_share.is_none() {
                // Nothing is read ahead at this place: what waits for room must hold none, or two objects could wait for each other.
                spare.clear();
                own_share = Some(reading.budget.acquire(wanted).await);
            }
            let allowed = stopped.take().map_or_else(|| reading.quota.begin(length(&cut.range(index))), Err);
            if let Err(failure) = allowed {
                return Err(Unread::Stopped(failure));
            }
            begun = index + 1;
        }
        while stopped.is_none() && begun < cut.count() && begun <= index + depth {
            let range = cut.range(begun);
            let room = spare.pop().or_else(|| {
                let share = reading.budget.try_acquire(length(&range))?;
                Some(Room { bytes: Vec::with_capacity(length(&range) as usize), share })
            });
            let Some(room) = room else { break };
            if let Err(failure) = reading.quota.begin(length(&range)) {
                stopped = Some(failure);
                break;
            }
            running.push(read_early(source, entry, begun, range, room, reading).boxed());
            begun += 1;
        }
        let (after, range) = if is_early {
            let waits = !early.contains_key(&index);
            while !early.contains_key(&index) {
                let read = running.next().await.expect("a range that was begun is read or running")?;
                early.insert(read.index, read);
            }
            depth = if waits { AHEAD.min(depth + 1) } else { depth.saturating_sub(1) };
            let read = early.remove(&index).expect("waited for");
            let state = sha256.midstate().expect("every range but the last is whole blocks");
            let from = cut.range(index).start;
            let Room { bytes, share } = read.room;
            let (bytes, after, range) = hashing::digest_range(bytes, from, reading.wanted.blake3, state, algorithm).await;
            spare.push(Room { bytes, share });
            spare.truncate(depth as usize);
            (after, range)
        } else {
            let turn = direct(source, entry, cut.range(index), sha256, algorithm, reading);
            let mut turn = std::pin::pin!(turn);
            let (turn, elapsed) = loop {
                tokio::select! {
                    turn = &mut turn => break turn?,
                    Some(read) = running.next(), if !running.is_empty() => {
                        let read: Early = read?;
                        early.insert(read.index, read);
                    }
                }
            };
            // Much longer than the digests alone would have taken: the network is what is waited for.
            depth = if elapsed > SLOWER * turn.busy { AHEAD.min(depth + 2) } else { depth.saturating_sub(1) };
            spare.truncate(depth as usize);
            drop(own_share);
            (turn.sha256, turn.range.finish_range())
        };
        sha256 = after;
        note(entry, index, KnownRange { digest: range, sha256: sha256.midstate() }, reading)?;
        ranges.push(range);
    }
    Ok((ranges, Some(sha256)))
}

fn length(range: &Range<u64>) -> u64 {
    range.end - range.start
}

/// Reads a range into the digests.
async fn direct(
    source: &dyn ObjectSource,
    entry: &Entry,
    range: Range<u64>,
    sha256: Sha256,
    algorithm: Option<Algorithm>,
    reading: &Reading,
) -> Result<(Turn, Duration), Unread> {
    let (from, blake3) = (range.start, reading.wanted.blake3);
    let make = |_: Option<&S3Checksum>| {
        let range = Hasher::of_range(from, blake3).with_checksum(algorithm);
        Turn { sha256, range, busy: Duration::ZERO }
    };
    let started = Instant::now();
    let (turn, _) = stretch::read(source, entry, range, &reading.requests, make).await?;
    Ok((turn, started.elapsed()))
}

/// Reads a range into memory.
async fn read_early(
    source: &dyn ObjectSource,
    entry: &Entry,
    index: u64,
    range: Range<u64>,
    Room { mut bytes, share }: Room,
    reading: &Reading,
) -> Result<Early, Unread> {
    bytes.clear();
    let (bytes, _) = stretch::read(source, entry, range, &reading.requests, |_| bytes).await?;
    Ok(Early { index, room: Room { bytes, share } })
}
