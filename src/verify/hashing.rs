//! Digesting bytes: the one file where asynchronous tasks meet threads that compute or block.
//!
//! Streams are digested as they arrive, on the task that receives them: the bytes are still in the processor's cache, and many streams
//! use many processors. Local files are read with positional reads and digested as subtrees of the *standard* BLAKE3 tree in parallel
//! (`blake3::hazmat`), so the result equals `b3sum`'s. Files are not mapped: one that shrinks while it is read would end the process
//! with SIGBUS instead of being called unreadable.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use blake3::hazmat::{ChainingValue, HasherExt, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tokio::sync::{mpsc, oneshot};

use crate::model::digest::Digest32;
use crate::model::failure::{Failure, FailureKind};
use crate::verify::checksum::{Algorithm, Crc, Running};
use crate::verify::manifest::request::DigestSet;
use crate::verify::sha256::{Midstate, Sha256};

/// Pieces of a stream are put together to multiples of so many bytes: BLAKE3 is fast on whole, aligned subtrees only.
const ALIGNED_BYTES: usize = 64 << 10;

/// Bytes of a file that one thread reads and digests at a time; half of a second-level cache, so that they are still in it.
const LEAF_BYTES: u64 = 512 << 10;

/// Blocks of a file whose digests must be computed in order.
const ORDERED_BYTES: usize = 4 << 20;

/// Files up to this size are read whole.
const SMALL_BYTES: u64 = 1 << 20;

/// What a stream may hold in memory: what the connection has read ahead, and what is not yet digested.
pub const STREAM_SHARE_BYTES: u64 = 1 << 20;

/// The digests of some content, and its length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Digests {
    /// BLAKE3, where it was asked for.
    pub blake3: Option<Digest32>,
    /// SHA-256, where it was asked for.
    pub sha256: Option<Digest32>,
    /// Bytes that were digested.
    pub bytes: u64,
}

/// Asked to stop: shared by whoever wants the work and the threads that do it.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks the work to end.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// True once it was asked to end.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Cancels when it is dropped: threads do not outlive the future that waited for them by more than a block.
#[derive(Debug)]
pub struct CancelOnDrop(pub Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// The state of digests over bytes in order; survives a body that breaks.
#[derive(Clone, Debug)]
pub struct Hasher {
    /// Boxed: two kilobytes in each future that a hasher passes through would be copied more often than the bytes.
    blake3: Option<Box<blake3::Hasher>>,
    sha256: Option<Sha256>,
    checksum: Option<Running>,
    bytes: u64,
    /// Fewer than [`ALIGNED_BYTES`] that BLAKE3 has not seen yet.
    held: Vec<u8>,
}

impl Hasher {
    /// Nothing digested yet.
    pub fn new(wanted: DigestSet) -> Self {
        Self {
            blake3: wanted.blake3.then(Box::default),
            sha256: wanted.sha256.then(Sha256::default),
            checksum: None,
            bytes: 0,
            held: Vec::new(),
        }
    }

    /// For the range of an object that begins at `offset` and is a subtree of its BLAKE3 tree.
    pub fn of_range(offset: u64, blake3: bool) -> Self {
        let subtree = || {
            let mut blake3 = Box::<blake3::Hasher>::default();
            blake3.set_input_offset(offset);
            blake3
        };
        Self { blake3: blake3.then(subtree), sha256: None, checksum: None, bytes: 0, held: Vec::new() }
    }

    /// The same with a CRC in the same pass.
    #[must_use]
    pub fn with_checksum(mut self, algorithm: Option<Algorithm>) -> Self {
        self.checksum = algorithm.map(Running::new);
        self
    }

    /// Digests `bytes` after everything before.
    pub fn update(&mut self, bytes: &[u8]) {
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(bytes);
        }
        if let Some(checksum) = &mut self.checksum {
            checksum.update(bytes);
        }
        if let Some(blake3) = &mut self.blake3 {
            let mut rest = bytes;
            if !self.held.is_empty() {
                let (fits, after) = rest.split_at(rest.len().min(ALIGNED_BYTES - self.held.len()));
                self.held.extend_from_slice(fits);
                rest = after;
                if self.held.len() == ALIGNED_BYTES {
                    blake3.update(&self.held);
                    self.held.clear();
                }
            }
            let (whole, after) = rest.split_at(rest.len() - rest.len() % ALIGNED_BYTES);
            blake3.update(whole);
            self.held.extend_from_slice(after);
        }
        self.bytes += bytes.len() as u64;
    }

    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn flush(&mut self) {
        if let Some(blake3) = &mut self.blake3 {
            blake3.update(&self.held);
            self.held.clear();
        }
    }

    /// The digests.
    pub fn finish(self) -> Digests {
        self.finish_with_checksum().0
    }

    /// The digests, and the CRC where one was computed.
    pub fn finish_with_checksum(mut self) -> (Digests, Option<Crc>) {
        self.flush();
        let digests = Digests {
            blake3: self.blake3.map(|hasher| Digest32(*hasher.finalize().as_bytes())),
            sha256: self.sha256.map(Sha256::finish),
            bytes: self.bytes,
        };
        (digests, self.checksum.map(Running::finish))
    }

    /// Of a hasher made by [`Hasher::of_range`]: what the range adds to the whole.
    pub fn finish_range(mut self) -> RangeDigest {
        self.flush();
        let value = self.blake3.map(|hasher| hasher.finalize_non_root()).unwrap_or_default();
        RangeDigest { value, crc: self.checksum.map(Running::finish) }
    }
}

/// What a range adds to the digests of the whole object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RangeDigest {
    /// The chaining value of its BLAKE3 subtree.
    pub value: ChainingValue,
    /// Its CRC, where one was computed.
    pub crc: Option<Crc>,
}

/// Digests a range that lies in memory: SHA-256 after `sha256` on this or another thread, BLAKE3 and a CRC beside. Gives the bytes back.
pub async fn digest_range(
    bytes: Vec<u8>,
    offset: u64,
    blake3: bool,
    sha256: Midstate,
    checksum: Option<Algorithm>,
) -> (Vec<u8>, Sha256, RangeDigest) {
    let (done, waiting) = oneshot::channel();
    if !blake3 && checksum.is_none() {
        // One chain and nothing beside it: rayon's threads would only wake each other.
        tokio::task::spawn_blocking(move || {
            let mut hasher = Sha256::resume(sha256);
            hasher.update(&bytes);
            let _ = done.send((bytes, hasher, RangeDigest { value: ChainingValue::default(), crc: None }));
        });
        return waiting.await.expect("digesting does not panic");
    }
    rayon::spawn(move || {
        let (sha256, range) = rayon::join(
            || {
                let mut hasher = Sha256::resume(sha256);
                hasher.update(&bytes);
                hasher
            },
            || {
                let mut hasher = Hasher::of_range(offset, blake3).with_checksum(checksum);
                hasher.update(&bytes);
                hasher.finish_range()
            },
        );
        // Nobody waits any more when the reading was given up.
        let _ = done.send((bytes, sha256, range));
    });
    waiting.await.expect("digesting does not panic")
}

/// Digests of bytes that are at hand.
pub fn digest_bytes(bytes: &[u8], wanted: DigestSet) -> Digests {
    let mut hasher = Hasher::new(wanted);
    hasher.update(bytes);
    hasher.finish()
}

/// What digesting a file of `length` bytes may hold in memory.
pub fn file_share_bytes(length: u64, wanted: DigestSet) -> u64 {
    let most = if wanted.sha256 { 2 * ORDERED_BYTES as u64 } else { LEAF_BYTES * rayon::current_num_threads() as u64 };
    length.min(most.max(SMALL_BYTES))
}

/// Digests the first `length` bytes of `file`, blocking. Fewer bytes are `UnexpectedEof`; cancelled is `Interrupted`.
pub fn digest_file(file: &File, length: u64, wanted: DigestSet, cancel: &Cancel) -> io::Result<Digests> {
    if length <= SMALL_BYTES {
        let mut bytes = vec![0; length as usize];
        file.read_exact_at(&mut bytes, 0)?;
        return Ok(digest_bytes(&bytes, wanted));
    }
    if wanted.sha256 {
        return digest_in_order(file, length, wanted, cancel);
    }
    let half = left_subtree_len(length);
    let (left, right) = rayon::join(|| subtree(file, 0, half, cancel), || subtree(file, half, length - half, cancel));
    let root = merge_subtrees_root(&left?, &right?, Mode::Hash);
    Ok(Digests { blake3: Some(Digest32(*root.as_bytes())), sha256: None, bytes: length })
}

thread_local! {
    /// One leaf's bytes; only rayon's threads, as many as there are processors, ever fill it.
    static LEAF: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The chaining value of `length` bytes from `offset`, which is where the BLAKE3 tree has a subtree of that length.
fn subtree(file: &File, offset: u64, length: u64, cancel: &Cancel) -> io::Result<[u8; 32]> {
    if length > LEAF_BYTES {
        let half = left_subtree_len(length);
        let (left, right) = rayon::join(|| subtree(file, offset, half, cancel), || subtree(file, offset + half, length - half, cancel));
        return Ok(merge_subtrees_non_root(&left?, &right?, Mode::Hash));
    }
    if cancel.is_cancelled() {
        return Err(io::ErrorKind::Interrupted.into());
    }
    LEAF.with_borrow_mut(|buffer| {
        buffer.resize(LEAF_BYTES as usize, 0);
        let bytes = &mut buffer[..length as usize];
        file.read_exact_at(bytes, offset)?;
        Ok(blake3::Hasher::new().set_input_offset(offset).update(bytes).finalize_non_root())
    })
}

/// SHA-256 has no tree: blocks in order, while the next one is read and BLAKE3 goes beside.
fn digest_in_order(file: &File, length: u64, wanted: DigestSet, cancel: &Cancel) -> io::Result<Digests> {
    let mut hasher = Hasher::new(wanted);
    let (mut now, mut next) = (Vec::new(), Vec::new());
    let read = |into: &mut Vec<u8>, offset: u64| -> io::Result<()> {
        if cancel.is_cancelled() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        into.resize((length - offset).min(ORDERED_BYTES as u64) as usize, 0);
        file.read_exact_at(into, offset)
    };
    let mut offset = 0;
    read(&mut now, 0)?;
    while !now.is_empty() {
        offset += now.len() as u64;
        let (digested, loaded) = rayon::join(
            || {
                let Hasher { blake3, sha256, .. } = &mut hasher;
                rayon::join(
                    || sha256.as_mut().map(|sha256| sha256.update(&now)),
                    || blake3.as_mut().map(|blake3| blake3.update(&now).count()),
                )
            },
            || read(&mut next, offset),
        );
        let _ = digested;
        loaded?;
        std::mem::swap(&mut now, &mut next);
    }
    hasher.bytes = length;
    Ok(hasher.finish())
}

/// Runs `work` on a thread that may block.
pub async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Failure::new(FailureKind::Interrupted, format!("work on another thread ended abnormally: {error}"))),
    }
}

/// Items that a blocking producer hands over one by one; it is told `false` once nobody listens. At most `batches` of 256 are on
/// their way. A producer that panics gives an error, never a shorter sequence.
pub fn blocking_stream<T: Send + 'static>(
    batches: usize,
    produce: impl FnOnce(&mut dyn FnMut(Result<T, Failure>) -> bool) + Send + 'static,
) -> BoxStream<'static, Result<T, Failure>> {
    const BATCH: usize = 256;
    let (send, receive) = mpsc::channel::<Option<Vec<Result<T, Failure>>>>(batches.max(1));
    tokio::task::spawn_blocking(move || {
        let mut batch = Vec::with_capacity(BATCH);
        produce(&mut |item| {
            batch.push(item);
            batch.len() < BATCH || send.blocking_send(Some(std::mem::replace(&mut batch, Vec::with_capacity(BATCH)))).is_ok()
        });
        let _ = send.blocking_send(Some(batch)).and_then(|()| send.blocking_send(None));
    });
    let stream = futures_util::stream::unfold(Some(receive), |receive| async move {
        let mut receive = receive?;
        match receive.recv().await {
            Some(Some(batch)) => Some((batch, Some(receive))),
            Some(None) => None,
            None => Some((vec![Err(Failure::new(FailureKind::Interrupted, "reading on another thread ended abnormally"))], None)),
        }
    });
    stream.flat_map(futures_util::stream::iter).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(length: usize) -> Vec<u8> {
        (0..length).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
    }

    #[test]
    fn files_of_any_length_have_the_standard_digests() {
        let leaf = LEAF_BYTES as usize;
        let lengths = [0, 1, 1024, 1025, SMALL_BYTES as usize, SMALL_BYTES as usize + 1, 3 * leaf + 7, 5 << 20, (9 << 20) + 12_345];
        for length in lengths {
            let content = bytes(length);
            let mut file = tempfile::tempfile().unwrap();
            io::Write::write_all(&mut file, &content).unwrap();
            for wanted in [DigestSet::BLAKE3, DigestSet::SHA256, DigestSet::BOTH] {
                let found = digest_file(&file, length as u64, wanted, &Cancel::default()).unwrap();
                assert_eq!(found, digest_bytes(&content, wanted), "{length} bytes, {wanted}");
                assert_eq!(found.bytes, length as u64);
            }
            if length > 0 {
                assert!(digest_file(&file, length as u64 + 1, DigestSet::BOTH, &Cancel::default()).is_err(), "a file that shrank");
            }
        }
        assert_eq!(digest_bytes(b"abc", DigestSet::BOTH).blake3, Some(Digest32::blake3(b"abc")));
        assert_eq!(digest_bytes(b"abc", DigestSet::BOTH).sha256, Some(Digest32::sha256(b"abc")));
    }

    #[test]
    fn pieces_of_any_size_have_the_digest_of_the_whole() {
        let content = bytes(3 * ALIGNED_BYTES + 4321);
        for piece in [1, 999, ALIGNED_BYTES - 1, ALIGNED_BYTES, ALIGNED_BYTES + 1, content.len()] {
            let mut hasher = Hasher::new(DigestSet::BOTH);
            content.chunks(piece).for_each(|piece| hasher.update(piece));
            assert_eq!(hasher.finish(), digest_bytes(&content, DigestSet::BOTH), "pieces of {piece}");
        }
        assert_eq!(digest_bytes(&content, DigestSet::BLAKE3).blake3, Some(Digest32::blake3(&content)));
    }

    #[tokio::test]
    async fn a_producer_that_panics_is_an_error_and_not_an_end() {
        let good = blocking_stream(1, |put| {
            for n in 0..1000 {
                assert!(put(Ok(n)));
            }
        });
        assert_eq!(good.filter_map(|item| async { item.ok() }).count().await, 1000);
        let bad = blocking_stream(1, |put| {
            put(Ok(1));
            std::panic::resume_unwind(Box::new("producer"));
        });
        assert!(bad.collect::<Vec<_>>().await.last().unwrap().is_err());
    }
}
