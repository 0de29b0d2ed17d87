//! Reading a large object in ranges: several at a time, put together to the standard digests.
//!
//! BLAKE3 is a tree: ranges are digested as they arrive, in whatever order. Not here: SHA-256, which is a chain (`chain`).

use std::ops::Range;
use std::sync::Mutex;

use futures_util::{Stream, StreamExt};

use crate::model::failure::Failure;
use crate::verify::budget::Share;
use crate::verify::checksum::{Algorithm, Crc};
use crate::verify::hashing::{Digests, Hasher, RangeDigest, STREAM_SHARE_BYTES};
use crate::verify::objects::chain;
use crate::verify::objects::content::{Content, stated};
use crate::verify::objects::ledger::record::KnownRange;
use crate::verify::objects::ranges_known::{known_ranges, note};
use crate::verify::objects::reading::Reading;
use crate::verify::objects::source::{Entry, ObjectSource, S3Checksum, Told};
use crate::verify::objects::stretch::{self, Unread};
use crate::verify::ranges::Cut;
use crate::verify::sha256::Sha256;

/// Ranges of one object that are read at a time.
const AT_A_TIME: usize = 8;

/// Reads all ranges of `entry`.
pub async fn fetch(source: &dyn ObjectSource, entry: &Entry, cut: Cut, reading: &Reading) -> Result<Content, Unread> {
    // Answers to ranges do not carry it.
    let told = if reading.hold_to_checksum || source.has_evidence() {
        source.told(entry).await.map_err(stretch::of_request)?
    } else {
        Told::default()
    };
    let checksum = told.checksum.as_ref().filter(|_| reading.hold_to_checksum);
    let algorithm = checksum.and_then(|checksum| Algorithm::of(stated(checksum)));
    let (ranges, sha256) = if reading.wanted.sha256 {
        chain::read(source, entry, cut, algorithm, reading).await?
    } else {
        (in_any_order(source, entry, cut, algorithm, reading).await?, None)
    };
    Ok(put_together(cut, entry, &ranges, sha256, told, reading))
}

/// Lets ranges through one after the other, so that the first in line is always the first to go on, until the run's bounds are met.
/// What was let through is read to its end.
struct Admitted<'a> {
    reading: &'a Reading,
    stopped: Mutex<Option<Failure>>,
}

impl<'a> Admitted<'a> {
    fn new(reading: &'a Reading) -> Self {
        Self { reading, stopped: Mutex::default() }
    }

    fn ranges(&self, ranges: impl Iterator<Item = (u64, Range<u64>)> + Send) -> impl Stream<Item = (u64, Range<u64>, Share)> + Send {
        futures_util::stream::iter(ranges)
            .then(move |(index, range)| async move {
                let length = range.end - range.start;
                let share = self.reading.budget.acquire(length.min(STREAM_SHARE_BYTES)).await;
                match self.reading.quota.begin(length) {
                    Ok(()) => Some((index, range, share)),
                    Err(failure) => {
                        *self.stopped.lock().expect("no panic while held") = Some(failure);
                        None
                    }
                }
            })
            .take_while(|admitted| std::future::ready(admitted.is_some()))
            .filter_map(std::future::ready)
    }

    /// Whether all were let through.
    fn all(&self) -> Result<(), Unread> {
        let stopped = self.stopped.lock().expect("no panic while held").take();
        stopped.map_or(Ok(()), |failure| Err(Unread::Stopped(failure)))
    }
}

async fn in_any_order(
    source: &dyn ObjectSource,
    entry: &Entry,
    cut: Cut,
    algorithm: Option<Algorithm>,
    reading: &Reading,
) -> Result<Vec<RangeDigest>, Unread> {
    let mut ranges: Vec<Option<RangeDigest>> = vec![None; cut.count() as usize];
    for (index, known) in known_ranges(entry, algorithm, reading) {
        if let Some(range) = ranges.get_mut(index as usize) {
            *range = Some(known.digest);
        }
    }
    let unread: Vec<u64> = (0..cut.count()).filter(|index| ranges[*index as usize].is_none()).collect();
    let admitted = Admitted::new(reading);
    let reads = admitted.ranges(unread.into_iter().map(|index| (index, cut.range(index))));
    let reads = reads.map(|(index, range, share)| async move {
        let from = range.start;
        let make = |_: Option<&S3Checksum>| Hasher::of_range(from, true).with_checksum(algorithm);
        let (hasher, _) = stretch::read(source, entry, range, &reading.requests, make).await?;
        drop(share);
        Ok((index, hasher.finish_range()))
    });
    let mut reads = std::pin::pin!(reads.buffer_unordered(AT_A_TIME));
    while let Some(read) = reads.next().await {
        let (index, range) = read?;
        note(entry, index, KnownRange { digest: range, sha256: None }, reading)?;
        ranges[index as usize] = Some(range);
    }
    admitted.all()?;
    Ok(ranges.into_iter().flatten().collect())
}

fn put_together(cut: Cut, entry: &Entry, ranges: &[RangeDigest], sha256: Option<Sha256>, told: Told, reading: &Reading) -> Content {
    let values: Vec<_> = ranges.iter().map(|range| range.value).collect();
    let mut crc: Option<Crc> = None;
    for (index, range) in ranges.iter().enumerate() {
        let bytes = cut.range(index as u64);
        crc = match (crc, range.crc) {
            (Some(before), Some(next)) => Some(before.then(next, bytes.end - bytes.start)),
            (None, next) if index == 0 => next,
            _ => None,
        };
    }
    let digests =
        Digests { blake3: reading.wanted.blake3.then(|| cut.root(&values)), sha256: sha256.map(Sha256::finish), bytes: entry.size };
    Content::new(digests, told, crc)
}
