//! Reading one entry: within the byte budget and the run's bounds, in one request or in ranges.

use crate::model::failure::{Failure, FailureKind};
use crate::verify::checksum::Algorithm;
use crate::verify::hashing::{self, Digests, Hasher};
use crate::verify::objects::content::{Content, stated};
use crate::verify::objects::reading::Reading;
use crate::verify::objects::source::{Entry, EntryKind, ObjectSource, S3Checksum, Told};
use crate::verify::objects::stretch::{self, Unread};
use crate::verify::objects::{local, split};
use crate::verify::ranges::Cut;

/// Reads `entry` and digests it. A delete marker has no content, a link's content is its target.
pub async fn fetch(source: &dyn ObjectSource, entry: &Entry, reading: &Reading) -> Result<Content, Unread> {
    if let Some(problem) = &entry.problem {
        let kind = if entry.is_closed_directory() { FailureKind::Denied } else { FailureKind::Remote };
        return Err(Unread::Entry(Failure::new(kind, problem.clone())));
    }
    let bare = |digests| Ok(Content::new(digests, Told::default(), None));
    match entry.kind {
        EntryKind::DeleteMarker => return bare(Digests { blake3: None, sha256: None, bytes: 0 }),
        EntryKind::Symlink => {
            return bare(hashing::digest_bytes(entry.link_target.as_deref().unwrap_or_default(), reading.wanted));
        }
        EntryKind::Object => {}
    }
    if let Some(ledger) = &reading.ledger
        && let Some(content) = ledger.recall(entry)
    {
        return Ok(content);
    }
    let content = read(source, entry, reading).await?;
    reading.note_first_read();
    if let Some(ledger) = &reading.ledger {
        ledger.note_read(entry, &content).map_err(Unread::Source)?;
    }
    Ok(content)
}

async fn read(source: &dyn ObjectSource, entry: &Entry, reading: &Reading) -> Result<Content, Unread> {
    if entry.path.is_some() {
        let _share = reading.budget.acquire(hashing::file_share_bytes(entry.size, reading.wanted)).await;
        reading.quota.begin(entry.size).map_err(Unread::Stopped)?;
        let (entry, wanted, cancel) = (entry.clone(), reading.wanted, reading.cancel.clone());
        let digests = hashing::run_blocking(move || local::digest(&entry, wanted, &cancel)).await.map_err(Unread::Entry)?;
        return Ok(Content::new(digests, Told::default(), None));
    }
    match Cut::of(entry.size).filter(|_| source.has_ranges()) {
        Some(cut) => split::fetch(source, entry, cut, reading).await,
        None => whole(source, entry, reading).await,
    }
}

/// Reads an object by one request, and by more where its body breaks.
async fn whole(source: &dyn ObjectSource, entry: &Entry, reading: &Reading) -> Result<Content, Unread> {
    let _share = reading.budget.acquire(entry.size.min(hashing::STREAM_SHARE_BYTES)).await;
    reading.quota.begin(entry.size).map_err(Unread::Stopped)?;
    let make = |checksum: Option<&S3Checksum>| {
        let algorithm = checksum.filter(|_| reading.hold_to_checksum).and_then(|checksum| Algorithm::of(stated(checksum)));
        Hasher::new(reading.wanted).with_checksum(algorithm)
    };
    let (hasher, told) = stretch::read(source, entry, 0..entry.size, &reading.requests, make).await?;
    let (digests, crc) = hasher.finish_with_checksum();
    Ok(Content::new(digests, told, crc))
}
