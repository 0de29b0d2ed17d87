//! Finding out about one entry what its tier asks for: a listing has said it, the source is asked, or the bytes are read.

use crate::model::failure::{Failure, FailureKind};
use crate::verify::hashing::Digests;
use crate::verify::objects::content::Content;
use crate::verify::objects::evidence::Evidence;
use crate::verify::objects::fetch::fetch;
use crate::verify::objects::reading::Reading;
use crate::verify::objects::source::{Entry, EntryKind, ObjectSource, Told};
use crate::verify::objects::stretch::{self, Unread};
use crate::verify::objects::tier::Tier;

/// What a tier finds out about one entry.
pub async fn gather(source: &dyn ObjectSource, entry: &Entry, reading: &Reading, tier: Tier) -> Result<Content, Unread> {
    if let Some(reason) = &entry.undecided {
        return Err(Unread::Entry(Failure::new(FailureKind::Remote, reason.clone())));
    }
    if tier == Tier::Content || entry.kind != EntryKind::Object || entry.problem.is_some() {
        return fetch(source, entry, reading).await;
    }
    let digests = Digests { blake3: None, sha256: None, bytes: entry.size };
    if tier == Tier::Inventory {
        return Ok(Content::new(digests, Told { checksum: None, evidence: listed(entry) }, None));
    }
    reading.quota.begin(0).map_err(Unread::Stopped)?;
    let pass = reading.requests.flow.enter(&entry.key).await;
    let told = source.told(entry).await.map_err(stretch::of_request)?;
    pass.answered();
    Ok(Content::new(digests, told, None))
}

/// What the listing has said of an entry, for which nothing else was asked or could be had.
pub fn listed(entry: &Entry) -> Option<Box<Evidence>> {
    let told = Evidence { etag: entry.etag.clone(), storage_class: entry.storage_class.clone(), ..Evidence::default() };
    (told != Evidence::default()).then(|| Box::new(told))
}
