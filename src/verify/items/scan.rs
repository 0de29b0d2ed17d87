//! The segmented scan of a table into a fingerprint: parallel, bounded, and independent of segments and of their order.
//!
//! Not here: what the fingerprint is compared with (`compare`), or where it is written (`capture`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::model::failure::{Failure, FailureKind};
use crate::monitor::{Event, Monitor};
use crate::signing::hash_key::HashKey;
use crate::verify::fingerprint::{Accumulator, DEFAULT_BUDGET, Fingerprint};
use crate::verify::items::digest::{ITEM_CONTEXT, ItemHasher, KEY_CONTEXT, name};
use crate::verify::items::source::{Item, ItemSource, KeySchema};

/// How a table is scanned. None of it shows in the result.
#[derive(Clone, Copy, Debug)]
pub struct ScanOptions {
    /// Segments read at the same time, 1 to 1,000,000 (DynamoDB API Reference, Scan, TotalSegments).
    pub segments: u32,
    /// Bytes of digests kept in memory before they spill to disk.
    pub memory_bytes: usize,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self { segments: 4, memory_bytes: DEFAULT_BUDGET }
    }
}

/// What a scan gave.
pub struct Scanned {
    /// The table's primary key.
    pub schema: KeySchema,
    /// The items that were read.
    pub fingerprint: Fingerprint,
    /// Items that have no canonical form: key hash where the key has one, and name.
    pub unreadable: Vec<(Option<[u8; 32]>, String, Failure)>,
    /// Bytes of canonical encodings.
    pub bytes: u64,
    /// From the start to the first page.
    pub first_read_after: Option<Duration>,
    /// Why it stopped before its end: something was not read.
    pub cut_short: Option<Failure>,
}

/// The table's name within `dynamodb:TABLE`: the key of its leaves in a manifest.
pub fn table_of(url: &str) -> &str {
    url.strip_prefix("dynamodb:").unwrap_or(url)
}

fn hasher(hash_key: &HashKey, schema: &KeySchema) -> ItemHasher {
    ItemHasher::new(hash_key.derive(ITEM_CONTEXT), hash_key.derive(KEY_CONTEXT), schema.clone())
}

/// Reads every segment. A segment that fails is told to the monitor and ends; the others go on.
///
/// # Errors
/// Where the table cannot be opened at all, the local disk fails, or a key comes twice. A failed page is no error: see `cut_short`.
pub async fn scan(
    source: &Arc<dyn ItemSource>,
    options: &ScanOptions,
    hash_key: &HashKey,
    monitor: &dyn Monitor,
) -> Result<Scanned, Failure> {
    let url = source.url();
    let task = format!("reading {url}");
    let started = Instant::now();
    let schema = source.key_schema().await?;
    let mut hasher = hasher(hash_key, &schema);
    let mut accumulator = Accumulator::new(options.memory_bytes);
    let (mut unreadable, mut bytes, mut first_read_after, mut cut_short) = (Vec::new(), 0, None, None);
    monitor.event(Event::Started { task: &task, unit: "items", total: None });
    let mut pages = Pages::start(source, options.segments);
    while let Some(page) = pages.next().await {
        if monitor.stop_requested() {
            cut_short = Some(Failure::new(FailureKind::Interrupted, format!("{url}: stopped before every item was read")));
            break;
        }
        let items = match page {
            Ok(items) => items,
            Err(failure) => {
                monitor.event(Event::Problem(&failure));
                cut_short.get_or_insert(failure);
                continue;
            }
        };
        first_read_after.get_or_insert_with(|| started.elapsed());
        let before = bytes;
        for item in &items {
            match hasher.digest(item, &url) {
                Ok((digest, length)) => {
                    accumulator.push(digest.key_hash, digest.row_digest)?;
                    bytes += length;
                }
                Err(failure) => unreadable.push((hasher.key_hash(item), name(item, &schema), failure)),
            }
        }
        monitor.event(Event::Advanced { task: &task, by: items.len() as u64, bytes: bytes - before });
    }
    monitor.event(Event::Finished { task: &task });
    let fingerprint = accumulator.finish()?;
    refuse_duplicates(&fingerprint, &url)?;
    Ok(Scanned { schema, fingerprint, unreadable, bytes, first_read_after, cut_short })
}

/// A primary key is unique: one that comes twice means that the scan overlapped itself, and nothing it says can be relied on.
/// Keys are compared by 64 bits of their keyed hash, which agree by chance once in 10¹⁹ pairs.
fn refuse_duplicates(fingerprint: &Fingerprint, url: &str) -> Result<(), Failure> {
    let mut before = None;
    let mut twice = 0u64;
    for pair in fingerprint.sidecar() {
        let (key_hash, _) = pair?;
        twice += u64::from(before == Some(key_hash));
        before = Some(key_hash);
    }
    if twice == 0 {
        return Ok(());
    }
    let message = format!("{url}: expected each primary key once, and the scan gave {twice} of them again");
    Err(Failure::new(FailureKind::Remote, message).hint("repeat it; if it happens again, the service's Scan overlaps its segments"))
}

/// Names of the items with these key hashes (their first 8 bytes), by a further scan that ends when all are found. What cannot be
/// found or read keeps its hash: naming never fails.
pub async fn names(
    source: &Arc<dyn ItemSource>,
    options: &ScanOptions,
    hash_key: &HashKey,
    schema: &KeySchema,
    wanted: impl IntoIterator<Item = [u8; 8]>,
    monitor: &dyn Monitor,
) -> HashMap<[u8; 8], String> {
    let mut missing: std::collections::HashSet<[u8; 8]> = wanted.into_iter().collect();
    let mut found = HashMap::new();
    if missing.is_empty() {
        return found;
    }
    let mut hasher = hasher(hash_key, schema);
    let mut pages = Pages::start(source, options.segments);
    while let Some(page) = pages.next().await {
        if missing.is_empty() || monitor.stop_requested() {
            break;
        }
        for item in page.unwrap_or_default() {
            let Some(hash) = hasher.key_hash(&item).map(|hash| short(&hash)) else { continue };
            if missing.remove(&hash) {
                found.insert(hash, name(&item, schema));
            }
        }
    }
    found
}

/// The first 8 bytes, as the sidecar has them.
pub fn short(hash: &[u8; 32]) -> [u8; 8] {
    hash[..8].try_into().expect("a hash has 32 bytes")
}

/// Pages of all segments as they come; dropping it stops the reading.
struct Pages {
    pages: mpsc::Receiver<Result<Vec<Item>, Failure>>,
    /// Aborted when dropped.
    readers: JoinSet<()>,
}

impl Pages {
    fn start(source: &Arc<dyn ItemSource>, segments: u32) -> Self {
        let segments = segments.max(1);
        // One page a segment may wait while others are being digested: memory is bounded by 2 MiB a segment.
        let (sender, pages) = mpsc::channel(segments.min(64) as usize);
        let mut readers = JoinSet::new();
        for segment in 0..segments {
            let mut stream = source.scan(segment, segments);
            let sender = sender.clone();
            readers.spawn(async move {
                while let Some(page) = stream.next().await {
                    if sender.send(page).await.is_err() {
                        return;
                    }
                }
            });
        }
        Self { pages, readers }
    }

    /// The next page; a reader that died without a word is a failure, not the end of its segment.
    async fn next(&mut self) -> Option<Result<Vec<Item>, Failure>> {
        if let Some(page) = self.pages.recv().await {
            return Some(page);
        }
        while let Some(ended) = self.readers.join_next().await {
            if let Err(error) = ended {
                return Some(Err(Failure::new(FailureKind::Remote, format!("a segment's reader ended by itself: {error}"))));
            }
        }
        None
    }
}
