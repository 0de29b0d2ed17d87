//! Capturing a source into a manifest: listed in order, read concurrently within the byte budget, written in order.

use std::collections::BTreeMap;

use futures_util::{FutureExt, StreamExt};

use crate::model::clock::Timestamp;
use crate::model::failure::{Failure, FailureKind};
use crate::model::finding::{Class, Finding, Kind, Place};
use crate::model::source_url::View;
use crate::monitor::{Event, Monitor};
use crate::signing::keys::SigningKey;
use crate::verify::checksum::Said;
use crate::verify::hashing::CancelOnDrop;
use crate::verify::manifest::header::{Header, ManifestKind};
use crate::verify::manifest::request::CaptureRequest;
use crate::verify::manifest::row::ObjectRow;
use crate::verify::manifest::writer::{Draft, Finish, ManifestWriter, refuse_existing};
use crate::verify::objects::compare::STOP_POLL;
use crate::verify::objects::fetch::fetch;
use crate::verify::objects::reading::{Content, Reading};
use crate::verify::objects::source::{Entry, EntryKind, ObjectSource};
use crate::verify::objects::stretch::Unread;

/// The encoding of object rows: the digests are the standard ones, so only the row's own JSON can ever change.
pub const ENCODING: &str = "attestore/objects/v1-draft";

/// Captures `source` as `request` says. An object that cannot be read is a finding and a row without digests (`unreadable` in the
/// header's counts tells how many); anything that leaves the listing in doubt is a failure, and nothing is written.
pub async fn capture(
    source: &dyn ObjectSource,
    request: &CaptureRequest,
    signer: Option<(&str, &SigningKey)>,
    monitor: &dyn Monitor,
) -> Result<Header, Failure> {
    if request.digests.is_empty() {
        return Err(Failure::invalid("no digest was asked for").hint("use `--digest blake3` or `--digest blake3,sha256`"));
    }
    // Before hours of reading, not after.
    refuse_existing(&request.out)?;
    let draft = Draft {
        kind: ManifestKind::Objects,
        source: source.url(),
        captured_start: Timestamp::now(),
        mode: request.mode,
        recovery_point_id: request.recovery_point_id.clone(),
        encoding: ENCODING.to_owned(),
        hash_key_id: None,
        digests: request.digests.names(),
        view: source.view().map(|view| if view == View::Latest { "latest" } else { "versions" }.to_owned()),
    };
    let mut writer = ManifestWriter::create(&request.out, draft)?;
    let task = format!("capturing {}", source.url());
    monitor.event(Event::Started { task: &task, unit: "objects", total: None });
    let captured = write_rows(source, request, &mut writer, &task, monitor).await;
    monitor.event(Event::Finished { task: &task });
    writer.finish(Finish { counts: captured?, ..Finish::default() }, signer)
}

async fn write_rows(
    source: &dyn ObjectSource,
    request: &CaptureRequest,
    writer: &mut ManifestWriter,
    task: &str,
    monitor: &dyn Monitor,
) -> Result<BTreeMap<String, u64>, Failure> {
    // What is captured is believed for years: bytes that S3's own checksum contradicts are not.
    let reading = Reading::new(request.digests, &request.effort).holding_to_checksum();
    let reading = &reading;
    let _cancel = CancelOnDrop(reading.cancel.clone());
    let reads = source.list().map(|entry| {
        async move {
            let entry = entry?;
            let read = read_believably(source, &entry, reading).await;
            Ok::<_, Failure>((entry, read))
        }
        .boxed()
    });
    let mut reads = reads.buffered(reading.ahead());
    let mut poll = tokio::time::interval(STOP_POLL);
    let mut counts: BTreeMap<String, u64> = ["objects", "bytes"].into_iter().map(|name| (name.to_owned(), 0)).collect();
    loop {
        let next = tokio::select! {
            next = reads.next() => next,
            _ = poll.tick() => {
                if monitor.stop_requested() {
                    return Err(Failure::new(FailureKind::Interrupted, format!("capturing {} was stopped; nothing was written", source.url())));
                }
                continue;
            }
        };
        let Some(next) = next else { return Ok(counts) };
        let (entry, read) = next?;
        let content = match read {
            Ok(content) => Some(content),
            Err(Unread::Entry(failure)) => {
                tell_unreadable(&entry, &failure, monitor);
                None
            }
            // A source that does not answer says nothing of this object, and a manifest must not either.
            Err(Unread::Source(failure)) => return Err(failure.context(format!("capturing {}", source.url()))),
            Err(Unread::Stopped(failure)) => {
                return Err(failure.context(format!("capturing {} was stopped; nothing was written", source.url())));
            }
        };
        let bytes = content.as_ref().map_or(0, |content| content.digests.bytes);
        count(&mut counts, &entry, content.is_some(), bytes);
        writer.push_object(&row(entry, content))?;
        monitor.event(Event::Advanced { task, by: 1, bytes });
    }
}

/// Reads `entry`, and once more where S3's own checksum says that other bytes arrived than it keeps.
async fn read_believably(source: &dyn ObjectSource, entry: &Entry, reading: &Reading) -> Result<Content, Unread> {
    let content = fetch(source, entry, reading).await?;
    if !matches!(content.said, Said::Disagrees { .. }) {
        return Ok(content);
    }
    let again = fetch(source, entry, reading).await?;
    match (&again.said, &again.checksum) {
        (Said::Disagrees { read }, Some(stated)) => {
            let said = format!("S3 states the {} {}, and the bytes that it sent have {read}, twice", stated.algorithm, stated.value);
            Err(Unread::Entry(Failure::new(FailureKind::Remote, said)))
        }
        _ => Ok(again),
    }
}

fn count(counts: &mut BTreeMap<String, u64>, entry: &Entry, read: bool, bytes: u64) {
    let name = match entry.kind {
        _ if !read => "unreadable",
        EntryKind::Object => "objects",
        EntryKind::DeleteMarker => "delete_markers",
        EntryKind::Symlink => "symlinks",
    };
    *counts.entry(name.to_owned()).or_default() += 1;
    if entry.kind == EntryKind::Object {
        *counts.entry("bytes".to_owned()).or_default() += bytes;
    }
}

fn tell_unreadable(entry: &Entry, failure: &Failure, monitor: &dyn Monitor) {
    let finding = Finding::new(Class::Unreadable, Kind::Object, Place::Key(entry.key.clone()));
    let actual = Some(failure.message.chars().take(200).collect());
    monitor.event(Event::Finding(&Finding { version_id: entry.version_id.clone(), actual, ..finding }));
}

fn row(entry: Entry, content: Option<Content>) -> ObjectRow {
    let digests = content.as_ref().map(|content| content.digests);
    ObjectRow {
        key: entry.key,
        key_escaped: entry.key_escaped,
        seq: entry.seq,
        version_id: entry.version_id,
        kind: entry.kind,
        size: entry.size,
        modified: entry.modified,
        blake3: digests.and_then(|digests| digests.blake3),
        sha256: digests.and_then(|digests| digests.sha256),
        s3_checksum: content.and_then(|content| content.checksum),
    }
}
