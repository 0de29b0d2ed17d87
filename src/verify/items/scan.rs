//! The segmented scan of a table into a fingerprint: parallel, paced, bounded, independent of segments and of their order, and able to go on
//! where an earlier one broke off.
//!
//! Not here: what the fingerprint is compared with (`compare`), or where it is written (`capture`).

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use crate::model::failure::{Failure, FailureKind};
use crate::monitor::{Event, Monitor};
use crate::signing::hash_key::HashKey;
use crate::verify::differences::SidecarPair;
use crate::verify::fingerprint::{Accumulator, DEFAULT_BUDGET, Fingerprint};
use crate::verify::items::canonical::ENCODING;
use crate::verify::items::digest::{ITEM_CONTEXT, ItemDigest, ItemHasher, KEY_CONTEXT, Unreadable};
use crate::verify::items::item::{Item, KeySchema};
use crate::verify::items::pace::Pacer;
use crate::verify::items::page::Page;
use crate::verify::items::scan_state::{Kept, ScanState, Subject};
use crate::verify::items::segments::{From, Pages};
use crate::verify::items::source::ItemSource;

/// How long a segment may be throttled or cut off before it is given up.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// How a table is scanned. Only the projection shows in the result.
#[derive(Clone, Debug)]
pub struct ScanOptions {
    /// Segments read at the same time, 1 to 1,000,000 (DynamoDB API Reference, Scan, TotalSegments).
    pub segments: u32,
    /// Bytes of digests kept in memory before they spill to disk.
    pub memory_bytes: usize,
    /// Read capacity units a second, over all segments; none is without limit.
    pub max_rcu: Option<f64>,
    /// How long a segment that is throttled or cut off goes on trying.
    pub patience: Duration,
    /// A directory of one's own in which the scan's state is kept, and gone on with.
    pub state: Option<PathBuf>,
    /// Only these top-level attributes, beside the primary key.
    pub projection: Option<Vec<String>>,
    /// The URL of an incremental export over the capture's window, for the manifest: comparisons find it there.
    pub changes: Option<String>,
    /// The attribute that says when an item ends: the ends are recorded beside the fingerprint.
    pub time_to_live: Option<String>,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self {
            segments: 4,
            memory_bytes: DEFAULT_BUDGET,
            max_rcu: None,
            patience: PATIENCE,
            state: None,
            projection: None,
            changes: None,
            time_to_live: None,
        }
    }
}

/// Sees every item that a scan reads, in no order.
#[async_trait]
pub trait ItemTap: Send {
    /// Takes a page of them.
    async fn take(&mut self, items: &[Item]) -> Result<(), Failure>;
}

/// What a scan gave.
pub struct Scanned {
    /// The table's primary key.
    pub schema: KeySchema,
    /// The attributes that were read, where not all.
    pub projection: Option<Vec<String>>,
    /// The items that were read.
    pub fingerprint: Fingerprint,
    /// The ends of those that have one, in place of their digests (see [`end_in`]); nothing where none were looked for.
    pub ends: Option<Fingerprint>,
    /// Items that have no canonical form.
    pub unreadable: Vec<Unreadable>,
    /// Bytes of canonical encodings.
    pub bytes: u64,
    /// Read capacity units, as the service charged them.
    pub consumed_rcu: f64,
    /// From the start to the first page.
    pub first_read_after: Option<Duration>,
    /// When it began: of a scan that was gone on with, the first time.
    pub began_at: Option<crate::model::clock::Timestamp>,
    /// Why it stopped before its end: something was not read.
    pub cut_short: Option<Failure>,
}

/// The hasher of a table's items.
pub fn hasher(hash_key: &HashKey, schema: &KeySchema) -> ItemHasher {
    ItemHasher::new(hash_key.derive(ITEM_CONTEXT), hash_key.derive(KEY_CONTEXT), schema.clone())
}

/// Reads every segment. A segment that fails is told to the monitor and ends; the others go on. With a tap, a state is not used: the items of an earlier scan are gone.
///
/// # Errors
/// Where the table cannot be opened at all, the local disk fails, or a key comes twice. A failed page is no error: see `cut_short`.
pub async fn scan(
    source: &Arc<dyn ItemSource>,
    options: &ScanOptions,
    hash_key: &HashKey,
    mut tap: Option<&mut dyn ItemTap>,
    monitor: &dyn Monitor,
) -> Result<Scanned, Failure> {
    let url = source.url();
    let task = format!("reading {url}");
    let started = Instant::now();
    let schema = source.key_schema().await?;
    let projection = whole_projection(options.projection.as_deref(), &schema);
    let hasher = hasher(hash_key, &schema).projecting(projection.clone()).expiring(options.time_to_live.clone());
    let mut gathered = Gathered::new(hasher, options, url.clone());
    let (mut state, from) = match options.state.as_deref().filter(|_| tap.is_none()) {
        Some(dir) => {
            let subject = Subject {
                url: url.clone(),
                identity: source.identity(),
                key: schema.0.clone(),
                encoding: ENCODING.to_owned(),
                hash_key_id: hash_key.id(),
                projection: projection.clone(),
                time_to_live: options.time_to_live.clone(),
            };
            let (state, from) = ScanState::open(dir, &subject, options.segments, &mut |kept| gathered.again(kept))?;
            (Some(state), from)
        }
        None => (None, vec![From::Start; options.segments.max(1) as usize]),
    };
    if gathered.sums.accumulator.rows() > 0 {
        monitor.event(Event::Note(&format!("{url}: going on after {} items that were read before", gathered.sums.accumulator.rows())));
    }
    let (mut first_read_after, mut cut_short) = (None, None);
    monitor.event(Event::Started { task: &task, unit: "items", total: None });
    let pacer = Arc::new(Pacer::new(options.max_rcu, u32::try_from(from.len()).unwrap_or(u32::MAX)));
    let mut pages = Pages::start(source, from, projection.as_deref(), &pacer, options.patience);
    while let Some((segment, page)) = pages.next().await {
        if monitor.stop_requested() {
            cut_short = Some(Failure::new(FailureKind::Interrupted, format!("{url}: stopped before every item was read")));
            break;
        }
        let mut page = match page {
            Ok(page) => page,
            Err(failure) => {
                monitor.event(Event::Problem(&failure));
                cut_short.get_or_insert(failure);
                continue;
            }
        };
        first_read_after.get_or_insert_with(|| started.elapsed());
        if let Some(names) = &projection {
            page.records.cut(names);
        }
        let bytes = gathered.page(segment, &page, state.as_mut())?;
        if let Some(tap) = tap.as_deref_mut() {
            tap.take(&page.records.items()).await?;
        }
        monitor.event(Event::Advanced { task: &task, by: page.records.count() as u64, bytes });
    }
    monitor.event(Event::Finished { task: &task });
    drop(pages);
    if !source.is_free() {
        monitor.event(Event::Note(&format!("{url}: {:.1} read capacity units consumed", pacer.total())));
    }
    let began_at = state.as_ref().map(|state| state.began_at);
    if let Some(state) = state.filter(|_| cut_short.is_none()) {
        state.remove()?;
    }
    let fingerprint = gathered.sums.accumulator.finish()?;
    refuse_duplicates(&fingerprint, &url)?;
    let ends = gathered.sums.ends.map(Accumulator::finish).transpose()?;
    let (unreadable, bytes, consumed_rcu) = (gathered.unreadable, gathered.bytes, pacer.total());
    Ok(Scanned { schema, projection, fingerprint, ends, unreadable, bytes, consumed_rcu, first_read_after, began_at, cut_short })
}

/// The end that a pair of [`Scanned::ends`] states.
pub fn end_in((_, end): SidecarPair) -> i64 {
    i64::from_be_bytes(end)
}

/// The named attributes and the primary key's, each once, sorted: one projection has one form.
pub fn whole_projection(named: Option<&[String]>, schema: &KeySchema) -> Option<Vec<String>> {
    let mut names: Vec<String> = named?.iter().chain(&schema.0).cloned().collect();
    names.sort_unstable();
    names.dedup();
    Some(names)
}

/// The items that were read, and their ends where those are looked for.
struct Sums {
    accumulator: Accumulator,
    ends: Option<Accumulator>,
}

impl Sums {
    fn push(&mut self, digest: &ItemDigest) -> Result<(), Failure> {
        if let (Some(ends), Some(end)) = (&mut self.ends, digest.expires_s) {
            let mut record = [0; 32];
            record[..8].copy_from_slice(&end.to_be_bytes());
            ends.push(digest.key_hash, record)?;
        }
        self.accumulator.push(digest.key_hash, digest.row_digest)
    }
}

/// What the pages add up to.
struct Gathered {
    hasher: ItemHasher,
    sums: Sums,
    unreadable: Vec<Unreadable>,
    bytes: u64,
    url: String,
    digests: Vec<ItemDigest>,
}

impl Gathered {
    fn new(hasher: ItemHasher, options: &ScanOptions, url: String) -> Self {
        // Both lists within the one budget.
        let share = if options.time_to_live.is_some() { options.memory_bytes / 2 } else { options.memory_bytes };
        let ends = options.time_to_live.as_ref().map(|_| Accumulator::new(share));
        let sums = Sums { accumulator: Accumulator::new(share), ends };
        Self { hasher, sums, unreadable: Vec::new(), bytes: 0, url, digests: Vec::new() }
    }

    /// A page of an earlier scan.
    fn again(&mut self, kept: Kept) -> Result<(), Failure> {
        for digest in kept.digests {
            self.sums.push(&digest)?;
        }
        self.unreadable.extend(kept.unreadable);
        self.bytes += kept.bytes;
        Ok(())
    }

    /// Digests a page and keeps that; gives the bytes of its encodings.
    fn page(&mut self, segment: u32, page: &Page, state: Option<&mut ScanState>) -> Result<u64, Failure> {
        self.digests.clear();
        let known = self.unreadable.len();
        let keep = state.is_some();
        let Self { hasher, sums, unreadable, digests, url, .. } = self;
        let bytes = hasher.page(&page.records, url, unreadable, &mut |digest| {
            if keep {
                digests.push(digest);
            }
            sums.push(&digest)
        })?;
        if let Some(state) = state {
            state.keep(segment, &self.digests, bytes, &self.unreadable[known..], &page.next)?;
        }
        self.bytes += bytes;
        Ok(bytes)
    }
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
    let message = format!("{url}: expected each primary key once, and reading it gave {twice} of them again");
    Err(Failure::new(FailureKind::Remote, message)
        .hint("repeat it; if it happens again, the service's Scan overlaps its segments, or the export holds an item twice"))
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
    let mut missing: HashSet<[u8; 8]> = wanted.into_iter().collect();
    let mut found = HashMap::new();
    if missing.is_empty() {
        return found;
    }
    let hasher = hasher(hash_key, schema);
    let keys = whole_projection(Some(&[]), schema);
    let pacer = Arc::new(Pacer::new(options.max_rcu, options.segments));
    let from = vec![From::Start; options.segments.max(1) as usize];
    let mut pages = Pages::start(source, from, keys.as_deref(), &pacer, options.patience);
    while let Some((_, page)) = pages.next().await {
        if missing.is_empty() || monitor.stop_requested() {
            break;
        }
        let Ok(page) = page else { continue };
        for record in page.records.iter() {
            let Some((hash, name)) = hasher.named(&record) else { continue };
            let hash = short(&hash);
            if missing.remove(&hash) {
                found.insert(hash, name);
            }
        }
    }
    found
}

/// The first 8 bytes, as the sidecar has them.
pub fn short(hash: &[u8; 32]) -> [u8; 8] {
    hash[..8].try_into().expect("a hash has 32 bytes")
}
