//! Capturing a source into a manifest: listed in order, read concurrently within the byte budget, written in order.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{FutureExt, StreamExt};

use crate::model::clock::Timestamp;
use crate::model::failure::{Failure, FailureKind};
use crate::model::finding::{Class, Finding, Kind, Place};
use crate::monitor::{Event, Monitor};
use crate::signing::keys::SigningKey;
use crate::verify::checksum::Said;
use crate::verify::hashing::CancelOnDrop;
use crate::verify::manifest::header::{Header, ManifestKind};
use crate::verify::manifest::reader::Manifest;
use crate::verify::manifest::request::{CaptureRequest, DigestSet};
use crate::verify::manifest::row::ObjectRow;
use crate::verify::manifest::writer::{Choices, Draft, Finish, ManifestWriter, refuse_existing};
use crate::verify::objects::compare::{STOP_POLL, UNANSWERED_LIMIT};
use crate::verify::objects::content::Content;
use crate::verify::objects::fields::FieldSet;
use crate::verify::objects::gather::{gather, listed};
use crate::verify::objects::incremental::{self, Planned, Since};
use crate::verify::objects::ledger::state::Purpose;
use crate::verify::objects::ledger::store::Ledger;
use crate::verify::objects::reading::Reading;
use crate::verify::objects::source::{Entry, EntryKind, ObjectSource};
use crate::verify::objects::stretch::Unread;
use crate::verify::objects::tier::Tier;

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
    if request.digests.is_empty() && request.tier == Tier::Content {
        return Err(Failure::invalid("no digest was asked for").hint("use `--digest blake3` or `--digest blake3,sha256`"));
    }
    // Before hours of reading, not after.
    refuse_existing(&request.out)?;
    let ledger = open_ledger(source, request)?;
    let since = since(source, request, signer)?;
    let draft = Draft {
        kind: ManifestKind::Objects,
        source: source.url(),
        // What earlier runs have read is part of this capture.
        captured_start: ledger.as_ref().map_or_else(Timestamp::now, |ledger| ledger.since().min(Timestamp::now())),
        mode: request.mode,
        recovery_point_id: request.recovery_point_id.clone(),
        encoding: ENCODING.to_owned(),
        hash_key_id: None,
        digests: wanted(request).names(),
        choices: Choices {
            compare: request.compare.map(FieldSet::names).unwrap_or_default(),
            tier: (request.tier != Tier::Content).then(|| request.tier.to_string()),
            include: request.filter.include.iter().map(|pattern| pattern.as_str().to_owned()).collect(),
            exclude: request.filter.exclude.iter().map(|pattern| pattern.as_str().to_owned()).collect(),
        },
        view: source.view().map(|view| view.to_string()),
    };
    let mut writer = ManifestWriter::create(&request.out, draft)?;
    if let Some(since) = &since {
        writer.set_since(since.rotation().clone());
    }
    let task = format!("capturing {}", source.url());
    monitor.event(Event::Started { task: &task, unit: "objects", total: None });
    // What is captured is believed for years: bytes that S3's own checksum contradicts are not.
    let mut reading = Reading::new(wanted(request), &request.effort);
    (reading.hold_to_checksum, reading.ledger) = (true, ledger);
    let captured = write_rows(source, request, since.as_ref(), &reading, &mut writer, &task, monitor).await;
    monitor.event(Event::Finished { task: &task });
    let Some(ledger) = &reading.ledger else {
        return writer.finish(Finish { counts: captured?, ..Finish::default() }, signer);
    };
    let counts = match captured {
        Ok(counts) => counts,
        Err(failure) => {
            ledger.finish(false)?;
            let kept = ledger.dir().display();
            return Err(failure.hint(format!("what was read is kept in {kept}: run the same command again, and it goes on from there")));
        }
    };
    let header = writer.finish(Finish { counts, ..Finish::default() }, signer)?;
    ledger.finish(header.counts.get("unreadable").copied().unwrap_or(0) == 0)?;
    Ok(header)
}

/// The ledger of what runs have read, where one is kept.
fn open_ledger(source: &dyn ObjectSource, request: &CaptureRequest) -> Result<Option<Arc<Ledger>>, Failure> {
    let Some(state) = &request.effort.state else { return Ok(None) };
    request.tier.check_keeps_state()?;
    let purpose = Purpose {
        task: "capture".into(),
        source: source.url(),
        view: source.view().map(|view| view.to_string()),
        manifest: None,
        digests: request.digests.names(),
        scope: Purpose::scope_of(&request.filter),
    };
    Ledger::open(&state.path, purpose, state.max_age).map(|ledger| Some(Arc::new(ledger)))
}

/// What the capture goes on from, held to the signature and to the source.
fn since(source: &dyn ObjectSource, request: &CaptureRequest, signer: Option<(&str, &SigningKey)>) -> Result<Option<Since>, Failure> {
    let Some((path, reread_ppm)) = &request.since else { return Ok(None) };
    if request.tier != Tier::Content {
        return Err(
            Failure::invalid(format!("the tier {} reads no content that could be carried over", request.tier)).hint("leave --since out")
        );
    }
    let since = Since::prepare(Manifest::open(path)?, *reread_ppm, signer.map(|(_, key)| key))?;
    since.check_source(source)?;
    Ok(Some(since))
}

/// The digests that the tier can have.
fn wanted(request: &CaptureRequest) -> DigestSet {
    if request.tier == Tier::Content { request.digests } else { DigestSet::NONE }
}

async fn write_rows(
    source: &dyn ObjectSource,
    request: &CaptureRequest,
    since: Option<&Since>,
    reading: &Reading,
    writer: &mut ManifestWriter,
    task: &str,
    monitor: &dyn Monitor,
) -> Result<BTreeMap<String, u64>, Failure> {
    let _cancel = CancelOnDrop(reading.cancel.clone());
    let filter = request.filter.clone();
    let covered =
        move |entry: &Result<Entry, Failure>| entry.as_ref().map_or(true, |entry| entry.is_closed_directory() || filter.covers(&entry.key));
    let listed = match &reading.ledger {
        Some(ledger) => ledger.beside(source.list()),
        None => source.list(),
    };
    let listed = listed.filter(move |entry| std::future::ready(covered(entry)));
    let tier = request.tier;
    let planned = incremental::plan(listed.boxed(), since, reading.wanted);
    let reads = planned.map(|planned| {
        async move {
            let planned = planned?;
            let read = if planned.is_carried { None } else { Some(read_believably(source, &planned.entry, reading, tier).await) };
            Ok::<_, Failure>((planned, read))
        }
        .boxed()
    });
    let mut reads = reads.buffered(reading.ahead());
    let mut poll = tokio::time::interval(STOP_POLL);
    let mut rows = Rows { writer, task, monitor, tier, counts: BTreeMap::new(), unanswered: Vec::new(), answered: false };
    rows.counts.extend(["objects", "bytes"].map(|name| (name.to_owned(), 0)));
    loop {
        let next = tokio::select! {
            next = reads.next() => next,
            _ = poll.tick() => {
                reading.ledger.as_ref().map_or(Ok(()), |ledger| ledger.flush())?;
                if monitor.stop_requested() {
                    return Err(Failure::new(FailureKind::Interrupted, format!("capturing {} was stopped; nothing was written", source.url())));
                }
                continue;
            }
        };
        let Some(next) = next else { return rows.end() };
        let (Planned { entry, before, .. }, read) = next?;
        if let Some(ledger) = &reading.ledger {
            ledger.commit(&entry, read.as_ref().and_then(|read| read.as_ref().ok()))?;
        }
        let Some(read) = read else {
            rows.carried(entry, before)?;
            continue;
        };
        match read {
            Ok(content) => {
                rows.compare(before.as_ref(), &content);
                rows.read(entry, content)?;
            }
            Err(Unread::Entry(failure)) => rows.unread(entry, &failure)?,
            Err(Unread::Source(failure)) => rows.unanswered(entry, failure)?,
            Err(Unread::Stopped(failure)) => return Err(failure.context(format!("{task} was stopped, and nothing was written"))),
        }
    }
}

/// The rows on their way into the manifest, in the order of the listing.
struct Rows<'a> {
    writer: &'a mut ManifestWriter,
    task: &'a str,
    monitor: &'a dyn Monitor,
    tier: Tier,
    counts: BTreeMap<String, u64>,
    /// What the source said of the last entries in a row that it refused or did not answer for.
    unanswered: Vec<Failure>,
    /// It has given the content of something.
    answered: bool,
}

impl Rows<'_> {
    fn read(&mut self, entry: Entry, content: Content) -> Result<(), Failure> {
        if entry.kind == EntryKind::Object {
            // The source does answer, so those before were at fault themselves.
            self.answered = true;
            self.unanswered.clear();
        }
        self.push(entry, Some(content))
    }

    /// A version that an earlier manifest has: it is in this one, and was not read for it.
    fn carried(&mut self, entry: Entry, before: Option<ObjectRow>) -> Result<(), Failure> {
        let Some(before) = before else { return Ok(()) };
        for (name, by) in [("objects", 1), ("bytes", before.size), ("carried_over", 1)] {
            *self.counts.entry(name.to_owned()).or_default() += by;
        }
        self.writer.push_object(&incremental::carried(entry, before))?;
        self.monitor.event(Event::Advanced { task: self.task, by: 1, bytes: 0 });
        Ok(())
    }

    /// Holds a version that was read again to what it was.
    fn compare(&mut self, before: Option<&ObjectRow>, content: &Content) {
        let Some(before) = before else { return };
        *self.counts.entry("read_again".to_owned()).or_default() += 1;
        if let Some(finding) = incremental::changed(before, &content.digests) {
            *self.counts.entry("changed_version".to_owned()).or_default() += 1;
            self.monitor.event(Event::Finding(&finding));
        }
    }

    fn unread(&mut self, entry: Entry, failure: &Failure) -> Result<(), Failure> {
        tell_unreadable(&entry, failure, self.monitor);
        self.push(entry, None)
    }

    /// Permissions and networks fail for many objects alike: one says nothing of the source, many in a row say nothing of the objects.
    fn unanswered(&mut self, entry: Entry, failure: Failure) -> Result<(), Failure> {
        self.unread(entry, &failure)?;
        self.unanswered.push(failure);
        if self.unanswered.len() < UNANSWERED_LIMIT {
            return Ok(());
        }
        Err(self.given_up())
    }

    /// After the last entry a refusal is the objects' own, where others were read; silence is nobody's.
    fn end(mut self) -> Result<BTreeMap<String, u64>, Failure> {
        let settled = self.answered && self.unanswered.iter().all(|failure| failure.kind == FailureKind::Denied);
        if self.unanswered.is_empty() || settled { Ok(self.counts) } else { Err(self.given_up()) }
    }

    fn given_up(&mut self) -> Failure {
        let failure = self.unanswered.swap_remove(0);
        failure.context(format!("{} was given up, and nothing was written", self.task))
    }

    fn push(&mut self, entry: Entry, content: Option<Content>) -> Result<(), Failure> {
        let bytes = content.as_ref().map_or(0, |content| content.digests.bytes);
        count(&mut self.counts, &entry, content.is_some(), bytes);
        let bytes = if self.tier == Tier::Content { bytes } else { 0 };
        self.writer.push_object(&row(entry, content))?;
        self.monitor.event(Event::Advanced { task: self.task, by: 1, bytes });
        Ok(())
    }
}

/// Reads `entry`, and once more where S3's own checksum says that other bytes arrived than it keeps.
async fn read_believably(source: &dyn ObjectSource, entry: &Entry, reading: &Reading, tier: Tier) -> Result<Content, Unread> {
    let content = gather(source, entry, reading, tier).await?;
    if tier != Tier::Content || !matches!(content.said, Said::Disagrees { .. }) {
        return Ok(content);
    }
    let again = gather(source, entry, &reading.again(), tier).await?;
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
        _ if !read && entry.undecided.is_some() => "indeterminate",
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
    let class = if entry.undecided.is_some() { Class::Indeterminate } else { Class::Unreadable };
    let finding = Finding::new(class, Kind::Object, Place::Key(entry.key.clone()));
    let actual = Some(failure.message.chars().take(200).collect());
    monitor.event(Event::Finding(&Finding { version_id: entry.version_id.clone(), actual, ..finding }));
    if class == Class::Unreadable {
        monitor.event(Event::Unread(failure));
    }
}

fn row(entry: Entry, content: Option<Content>) -> ObjectRow {
    let digests = content.as_ref().map(|content| content.digests);
    let (checksum, evidence) = match content {
        Some(content) => (content.checksum, content.evidence),
        None => (None, listed(&entry)),
    };
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
        s3_checksum: checksum,
        evidence,
        last_read: None,
    }
}
