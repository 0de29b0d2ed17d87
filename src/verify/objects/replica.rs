//! A replica held against its source, version by version: bytes, evidence, and how far the replica lags behind.
//!
//! Versions are matched by their ids, which replication keeps. What the source has and the replica has not is missing, or within the
//! time that replication is given, not decided yet; what only the replica has was deleted at the source, which replication never
//! repeats. Both buckets live on while they are listed: a difference younger than the run is looked at by its date.

use std::collections::{BTreeMap, HashMap};

use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};

use crate::model::capture::CaptureMode;
use crate::model::clock::Timestamp;
use crate::model::failure::{Failure, FailureKind};
use crate::model::finding::Class;
use crate::model::verification::{LesserTier, Verification};
use crate::monitor::{Event, Monitor};
use crate::verify::hashing::CancelOnDrop;
use crate::verify::manifest::request::{DigestSet, Effort};
use crate::verify::manifest::row::ObjectRow;
use crate::verify::objects::compare::STOP_POLL;
use crate::verify::objects::content::Content;
use crate::verify::objects::evidence::Evidence;
use crate::verify::objects::fields::{Field, FieldSet};
use crate::verify::objects::filter::Filter;
use crate::verify::objects::gather::gather;
use crate::verify::objects::groups::{Broken, Group, groups};
use crate::verify::objects::judge::Judged;
use crate::verify::objects::reading::Reading;
use crate::verify::objects::source::{Entry, EntryKind, ObjectSource};
use crate::verify::objects::stretch::Unread;
use crate::verify::objects::tier::Tier;

/// How a replica is compared.
#[derive(Clone, Debug)]
pub struct ReplicaOptions {
    /// How deep evidence goes.
    pub tier: Tier,
    /// What is compared beside the bytes; absent: metadata, tags, retention and hold.
    pub fields: Option<FieldSet>,
    /// Which keys are compared.
    pub filter: Filter,
    /// Delete markers are not replicated by this rule, and not compared.
    pub without_markers: bool,
    /// How long replication may take, in seconds: what is younger is not decided yet.
    pub tolerance_s: i64,
    /// How much is read at a time.
    pub effort: Effort,
}

/// How far a replica lags behind.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Lag {
    /// Versions that the replica has.
    pub replicated: u64,
    /// The newest of them.
    pub newest_replicated: Option<Timestamp>,
    /// Versions that it has not.
    pub not_replicated: u64,
    /// The oldest of those: replication lags since then.
    pub oldest_not_replicated: Option<Timestamp>,
    /// The newest of those.
    pub newest_not_replicated: Option<Timestamp>,
    /// `x-amz-replication-status` of those, where it was asked for (not at the tier `inventory`).
    pub statuses: BTreeMap<String, u64>,
}

impl Lag {
    fn replicated(&mut self, modified: Option<Timestamp>) {
        self.replicated += 1;
        self.newest_replicated = self.newest_replicated.max(modified);
    }

    fn not_replicated(&mut self, modified: Option<Timestamp>, status: Option<String>) {
        self.not_replicated += 1;
        self.newest_not_replicated = self.newest_not_replicated.max(modified);
        self.oldest_not_replicated = [self.oldest_not_replicated, modified].into_iter().flatten().min();
        if let Some(status) = status {
            *self.statuses.entry(status).or_default() += 1;
        }
    }

    fn merge(&mut self, other: Self) {
        self.replicated += other.replicated;
        self.newest_replicated = self.newest_replicated.max(other.newest_replicated);
        self.not_replicated += other.not_replicated;
        self.newest_not_replicated = self.newest_not_replicated.max(other.newest_not_replicated);
        self.oldest_not_replicated = [self.oldest_not_replicated, other.oldest_not_replicated].into_iter().flatten().min();
        for (status, n) in other.statuses {
            *self.statuses.entry(status).or_default() += n;
        }
    }
}

/// Compares `replica` with `source`; differences go to `monitor`. What ends the reading early is told in `cut_short`.
pub async fn compare(
    source: &dyn ObjectSource,
    replica: &dyn ObjectSource,
    options: &ReplicaOptions,
    monitor: &dyn Monitor,
) -> Result<(Verification, Lag), Failure> {
    for side in [source, replica] {
        if !side.has_versions() {
            return Err(Failure::invalid(format!("{}: a replica is compared version by version, and this lists none", side.url()))
                .hint("both buckets need versioning, and the view `versions`"));
        }
    }
    let wanted = if options.tier == Tier::Content { DigestSet::BLAKE3 } else { DigestSet::NONE };
    let reading = Reading::new(wanted, &options.effort);
    let _cancel = CancelOnDrop(reading.cancel.clone());
    let usual = || [Field::Metadata, Field::Tags, Field::Lock, Field::Hold].into_iter().collect();
    let fields = options.fields.unwrap_or_else(usual);
    let fields = if options.tier == Tier::Inventory { fields.fields().filter(|field| *field == Field::Etag).collect() } else { fields };
    let pair = Pair { source, replica, options, fields, reading: &reading, since: Timestamp::now() };
    let task = format!("comparing {} with {}", replica.url(), source.url());
    monitor.event(Event::Started { task: &task, unit: "objects", total: None });
    let (mut total, mut lag) = (Judged::default(), Lag::default());
    let ended = pair.run(&task, &mut total, &mut lag, monitor).await;
    monitor.event(Event::Finished { task: &task });
    let mut result = Verification::empty(CaptureMode::VersionExact);
    result.cut_short = ended?;
    result.objects = Some(total.counts);
    result.protection = fields.fields().any(Field::is_protection).then_some(total.protection);
    result.fields = total.fields;
    result.unread = total.unread;
    let tier = options.tier;
    result.lesser_tier = (tier != Tier::Content).then(|| LesserTier { name: tier.as_str(), does_not_prove: tier.does_not_prove() });
    result.bytes_checked = total.bytes;
    result.duration = reading.elapsed();
    result.first_read_after = reading.first_read_after();
    Ok((result, lag))
}

/// Both sides, and how they are compared.
struct Pair<'a> {
    source: &'a dyn ObjectSource,
    replica: &'a dyn ObjectSource,
    options: &'a ReplicaOptions,
    fields: FieldSet,
    reading: &'a Reading,
    since: Timestamp,
}

/// What came of one key.
type OfKey = Result<(Judged, Lag), Failure>;

impl Pair<'_> {
    async fn run(&self, task: &str, total: &mut Judged, lag: &mut Lag, monitor: &dyn Monitor) -> Result<Option<Failure>, Failure> {
        let expected = self.listed(self.source).map(|entry| entry.map(row_of)).boxed();
        let judgements = groups(expected, self.listed(self.replica)).map(|group| {
            async move {
                match group {
                    Ok(group) => self.judge(group).await,
                    Err(Broken::Manifest(failure) | Broken::Listing(failure)) => Err(failure),
                }
            }
            .boxed()
        });
        let mut judgements = judgements.buffered(self.reading.ahead());
        let mut poll = tokio::time::interval(STOP_POLL);
        let mut seen = false;
        loop {
            let next = tokio::select! {
                next = judgements.next() => next,
                _ = poll.tick() => {
                    if monitor.stop_requested() {
                        return Ok(Some(Failure::new(FailureKind::Interrupted, format!("{task} was stopped"))));
                    }
                    continue;
                }
            };
            match next {
                None => return Ok(None),
                Some(Ok((judged, of_key))) => {
                    seen = true;
                    judged.findings.iter().for_each(|finding| monitor.event(Event::Finding(finding)));
                    monitor.event(Event::Advanced { task, by: judged.counts.expected, bytes: judged.bytes });
                    total.merge(&judged);
                    lag.merge(of_key);
                }
                Some(Err(failure)) => {
                    let hopeless = matches!(failure.kind, FailureKind::Absent | FailureKind::Denied | FailureKind::Invalid);
                    return if hopeless && !seen { Err(failure) } else { Ok(Some(failure)) };
                }
            }
        }
    }

    fn listed(&self, side: &dyn ObjectSource) -> BoxStream<'static, Result<Entry, Failure>> {
        let (filter, without_markers) = (self.options.filter.clone(), self.options.without_markers);
        let covered = move |entry: &Entry| filter.covers(&entry.key) && !(without_markers && entry.kind == EntryKind::DeleteMarker);
        side.list().filter(move |entry| std::future::ready(entry.as_ref().map_or(true, &covered))).boxed()
    }

    async fn judge(&self, group: Group) -> OfKey {
        let (mut judged, mut lag) = (Judged::default(), Lag::default());
        let mut found: HashMap<Option<&str>, &Entry> = group.entries.iter().map(|entry| (entry.version_id.as_deref(), entry)).collect();
        for row in &group.rows {
            match found.remove(&row.version_id.as_deref()) {
                Some(entry) => {
                    lag.replicated(row.modified);
                    self.pair(row, entry, &mut judged).await?;
                }
                None => self.missing(row, &mut judged, &mut lag).await,
            }
        }
        for entry in &group.entries {
            if found.contains_key(&entry.version_id.as_deref()) {
                let what = if entry.kind == EntryKind::Object { format!("{} bytes", entry.size) } else { entry.kind.as_str().to_owned() };
                judged.add(Class::Extra, entry.key.clone(), entry.version_id.clone(), None, Some(what));
            }
        }
        Ok((judged, lag))
    }

    async fn missing(&self, row: &ObjectRow, judged: &mut Judged, lag: &mut Lag) {
        let mut status = None;
        if self.options.tier != Tier::Inventory && row.kind == EntryKind::Object {
            let told = self.source.told(&entry_of(row)).await.ok().and_then(|told| told.evidence);
            status = told.map(|evidence| evidence.replication.unwrap_or_else(|| "none".into()));
        }
        let said = status.as_ref().map_or_else(|| "not replicated".to_owned(), |status| format!("not replicated, status {status}"));
        lag.not_replicated(row.modified, status);
        let young = row.modified.is_some_and(|modified| modified.plus_secs(self.options.tolerance_s) > self.since);
        let class = if young { Class::Indeterminate } else { Class::Missing };
        judged.add(class, row.key.clone(), row.version_id.clone(), Some(describe(row, None)), Some(said));
    }

    async fn pair(&self, row: &ObjectRow, entry: &Entry, judged: &mut Judged) -> Result<(), Failure> {
        let own = entry_of(row);
        let (left, right) = tokio::join!(
            gather(self.source, &own, self.reading, self.options.tier),
            gather(self.replica, entry, self.reading, self.options.tier)
        );
        let (left, right) = match (left, right) {
            (Ok(left), Ok(right)) => (left, right),
            (Err(unread), _) | (_, Err(unread)) => {
                let failure = match unread {
                    Unread::Entry(failure) => failure,
                    Unread::Source(failure) if failure.kind == FailureKind::Denied => failure,
                    Unread::Source(failure) | Unread::Stopped(failure) => return Err(failure),
                };
                judged.count_unread(failure.kind);
                let said = failure.message.chars().take(200).collect();
                judged.add(Class::Unreadable, row.key.clone(), row.version_id.clone(), Some(describe(row, None)), Some(said));
                return Ok(());
            }
        };
        judged.bytes += if self.options.tier == Tier::Content { left.digests.bytes + right.digests.bytes } else { 0 };
        let same = row.kind == entry.kind && row.size == entry.size && left.digests.blake3 == right.digests.blake3;
        let mut class = if same { Class::Match } else { Class::Mismatch };
        let mut values = (describe(row, Some(&left)), describe(&row_of(entry.clone()), Some(&right)));
        if same && row.kind == EntryKind::Object {
            let expected = ObjectRow { s3_checksum: left.checksum.clone(), evidence: left.evidence.clone(), ..row.clone() };
            if let Some((worse, told)) = judged.take_fields(&expected, &right, self.fields) {
                (class, values) = (worse, told);
            }
        }
        judged.add(class, row.key.clone(), row.version_id.clone(), Some(values.0), Some(values.1));
        Ok(())
    }
}

/// A listed version as the merge has rows; what is listed of it is kept beside it.
fn row_of(entry: Entry) -> ObjectRow {
    let evidence = Evidence { etag: entry.etag, storage_class: entry.storage_class, ..Evidence::default() };
    ObjectRow {
        key: entry.key,
        key_escaped: entry.key_escaped,
        seq: entry.seq,
        version_id: entry.version_id,
        kind: entry.kind,
        size: entry.size,
        modified: entry.modified,
        blake3: None,
        sha256: None,
        s3_checksum: None,
        evidence: Some(Box::new(evidence)),
        last_read: None,
    }
}

/// And back.
fn entry_of(row: &ObjectRow) -> Entry {
    let listed = row.evidence.as_deref();
    Entry {
        seq: row.seq,
        version_id: row.version_id.clone(),
        kind: row.kind,
        modified: row.modified,
        etag: listed.and_then(|listed| listed.etag.clone()),
        storage_class: listed.and_then(|listed| listed.storage_class.clone()),
        ..Entry::object(row.key.clone(), row.size)
    }
}

fn describe(row: &ObjectRow, content: Option<&Content>) -> String {
    if row.kind != EntryKind::Object {
        return row.kind.as_str().to_owned();
    }
    match content.and_then(|content| content.digests.blake3) {
        Some(digest) => format!("blake3:{digest}, {} bytes", row.size),
        None => format!("{} bytes", row.size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_is_since_the_oldest_version_that_is_lacking() {
        let at = |seconds| Some(Timestamp::from_secs(seconds));
        let mut lag = Lag::default();
        lag.replicated(at(50));
        lag.not_replicated(at(70), Some("PENDING".into()));
        let mut other = Lag::default();
        other.not_replicated(at(60), Some("FAILED".into()));
        other.replicated(at(90));
        lag.merge(other);
        assert_eq!((lag.replicated, lag.not_replicated, lag.newest_replicated), (2, 2, at(90)));
        assert_eq!((lag.oldest_not_replicated, lag.newest_not_replicated), (at(60), at(70)));
        assert_eq!(lag.statuses, BTreeMap::from([("FAILED".to_owned(), 1), ("PENDING".to_owned(), 1)]));
    }

    #[test]
    fn a_listed_version_survives_the_merge() {
        let entry = Entry {
            version_id: Some("v".into()),
            etag: Some("e".into()),
            storage_class: Some("GLACIER".into()),
            modified: Some(Timestamp(5)),
            seq: 2,
            ..Entry::object("k", 7)
        };
        assert_eq!(entry_of(&row_of(entry.clone())), entry);
    }
}
