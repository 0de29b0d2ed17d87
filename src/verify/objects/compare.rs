//! Comparing a source with a manifest: a streaming merge, bodies read concurrently within the byte budget, results in order.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};

use crate::model::failure::{Failure, FailureKind};
use crate::model::source_url::View;
use crate::model::verification::{LesserTier, Progress, Verification};
use crate::monitor::{Event, Monitor};
use crate::verify::hashing::{self, CancelOnDrop};
use crate::verify::manifest::header::ManifestKind;
use crate::verify::manifest::reader::Manifest;
use crate::verify::manifest::request::{DigestSet, ReadOptions};
use crate::verify::manifest::row::ObjectRow;
use crate::verify::objects::fields::{Field, FieldSet};
use crate::verify::objects::filter::Filter;
use crate::verify::objects::groups::{Broken, groups};
use crate::verify::objects::judge::{Judged, Rules, Versions, judge};
use crate::verify::objects::ledger::state::{Purpose, Run, State as LedgerState};
use crate::verify::objects::ledger::store::Ledger;
use crate::verify::objects::reading::Reading;
use crate::verify::objects::source::{Entry, EntryKind, ObjectSource};
use crate::verify::objects::tier::Tier;

/// So many objects in a row that the source does not answer for at all, and none that it does, and reading stops.
pub const UNANSWERED_LIMIT: usize = 8;

/// How often a long read looks whether it should stop.
pub const STOP_POLL: Duration = Duration::from_millis(100);

/// Reads `source` and compares it with `manifest`. Differences go to `monitor`; a failure means that the manifest does not hold or
/// that the source could not be listed at all. What ends the reading later is told in `cut_short`.
///
/// Versions are matched by their ids where source and manifest name the same bucket, and by alignment of each key's content
/// otherwise (a restore gives new ids).
pub async fn compare(
    source: &dyn ObjectSource,
    manifest: &Manifest,
    options: &ReadOptions,
    monitor: &dyn Monitor,
) -> Result<Verification, Failure> {
    let header = manifest.header();
    if header.kind != ManifestKind::Objects {
        let what = format!("manifest {} is of kind {}", manifest.dir().display(), header.kind.as_str());
        return Err(Failure::invalid(format!("{what}, and {} holds objects", source.url())).hint("name the manifest of this source"));
    }
    let tier = usable_tier(manifest, options.tier)?;
    let wanted = if tier == Tier::Content { usable_digests(manifest, options.digests)? } else { DigestSet::NONE };
    let same_bucket = source.has_versions() && source.url() == header.source;
    let fields = match options.compare.map_or_else(|| FieldSet::of_header(&header.compare), |set| Ok(Some(set)))? {
        Some(fields) => fields,
        None if tier == Tier::Inventory => {
            if same_bucket {
                [Field::Etag].into_iter().collect()
            } else {
                FieldSet::NONE
            }
        }
        None => FieldSet::usual(same_bucket),
    };
    // A directory has no tags: nothing is asked of it, and `fields` in the result stays empty.
    let fields = if source.has_evidence() { fields } else { FieldSet::NONE };
    let filter = Filter::new(&header.include, &header.exclude)?;
    let mut reading = Reading::new(wanted, &options.effort);
    reading.ledger = open_ledger(source, manifest, wanted, tier, options)?;
    let _cancel = CancelOnDrop(reading.cancel.clone());
    let rules = Rules { by_id: same_bucket, versions: versions(header.view.as_deref(), options.view), tier, fields };
    let task = format!("verifying {}", source.url());
    let total = header.parts.iter().map(|part| part.rows).sum();
    monitor.event(Event::Started { task: &task, unit: "objects", total: Some(total) });
    if tier == Tier::Content && options.filter.is_empty() {
        monitor.event(Event::Expects { task: &task, bytes: header.counts.get("bytes").copied().unwrap_or(0) });
    }
    let mut result = Verification::empty(header.mode);
    let ledger = reading.ledger.as_deref();
    let mut state = State { total: Judged::default(), unanswered: Vec::new(), seen: false, task: &task, monitor, ledger };
    let scope = [filter, options.filter.clone()];
    let ended = run(source, manifest, scope, rules, &reading, &mut state).await;
    monitor.event(Event::Finished { task: &task });
    result.cut_short = ended?;
    if let (None, Some(first)) = (&result.cut_short, state.unanswered.first_mut()) {
        // Nothing was read after these: whether they or the source are at fault is not known.
        result.cut_short = first.source_failure.take();
    }
    if let Some(ledger) = &reading.ledger {
        let complete = result.cut_short.is_none() && state.total.counts.unreadable == 0;
        result.progress = Some(progress(ledger.finish(complete)?));
    }
    result.objects = Some(state.total.counts);
    result.protection = fields.fields().any(Field::is_protection).then_some(state.total.protection);
    result.fields = std::mem::take(&mut state.total.fields);
    result.unread = std::mem::take(&mut state.total.unread);
    result.lesser_tier = (tier != Tier::Content).then(|| LesserTier { name: tier.as_str(), does_not_prove: tier.does_not_prove() });
    result.bytes_checked = state.total.bytes;
    result.duration = reading.elapsed();
    result.first_read_after = reading.first_read_after();
    Ok(result)
}

/// The tier that is asked for, or the manifest's own; never a deeper one than the manifest's, which would have nothing to compare with.
fn usable_tier(manifest: &Manifest, asked: Option<Tier>) -> Result<Tier, Failure> {
    let has = Tier::of_header(manifest.header().tier.as_deref())?;
    let tier = asked.unwrap_or(has);
    if tier > has {
        let what = format!("manifest {} was captured at the tier {has}", manifest.dir().display());
        return Err(
            Failure::invalid(format!("{what}, and says nothing for the tier {tier}")).hint(format!("capture it again with --tier {tier}"))
        );
    }
    Ok(tier)
}

/// Which versions are compared: as asked, else as the manifest was captured.
fn versions(captured: Option<&str>, asked: Option<View>) -> Versions {
    let captured = captured.and_then(|view| view.parse().ok());
    match (captured, asked) {
        (None | Some(View::Versions), Some(View::At(time))) => Versions::At(time),
        (Some(View::Latest | View::At(_)), _) | (_, Some(View::Latest)) => Versions::Newest,
        _ => Versions::All,
    }
}

/// The ledger of what runs have read, where one is kept.
fn open_ledger(
    source: &dyn ObjectSource,
    manifest: &Manifest,
    wanted: DigestSet,
    tier: Tier,
    options: &ReadOptions,
) -> Result<Option<Arc<Ledger>>, Failure> {
    let Some(state) = &options.effort.state else { return Ok(None) };
    tier.check_keeps_state()?;
    let purpose = Purpose {
        task: "verify".into(),
        source: source.url(),
        view: source.view().map(|view| view.to_string()),
        manifest: Some(manifest.digest().to_string()),
        digests: wanted.names(),
        scope: Purpose::scope_of(&options.filter),
    };
    Ledger::open(&state.path, purpose, state.max_age).map(|ledger| Some(Arc::new(ledger)))
}

fn progress((state, run): (LedgerState, Run)) -> Progress {
    Progress {
        pass: state.pass,
        pass_started: state.pass_started,
        runs: state.runs.iter().filter(|run| run.pass == state.pass).count() as u64,
        objects_read: run.objects_read,
        bytes_read: run.bytes_read,
        objects_recalled: run.objects_recalled,
        bytes_recalled: run.bytes_recalled,
        complete: run.complete,
    }
}

/// The digests that the manifest has and that are wanted.
fn usable_digests(manifest: &Manifest, only: Option<DigestSet>) -> Result<DigestSet, Failure> {
    let has = DigestSet::among(&manifest.header().digests);
    let only = only.unwrap_or(DigestSet::BOTH);
    let wanted = DigestSet { blake3: has.blake3 && only.blake3, sha256: has.sha256 && only.sha256 };
    if wanted.is_empty() {
        let what = format!("manifest {} carries the digests {:?}", manifest.dir().display(), manifest.header().digests.join(","));
        return Err(Failure::invalid(format!("{what}: expected at least one of {only}"))
            .hint("capture it again with `--digest blake3` or `--digest blake3,sha256`"));
    }
    Ok(wanted)
}

/// The running totals.
struct State<'a> {
    total: Judged,
    /// Keys in a row that the source did not answer for.
    unanswered: Vec<Judged>,
    /// Something was listed.
    seen: bool,
    task: &'a str,
    monitor: &'a dyn Monitor,
    ledger: Option<&'a Ledger>,
}

impl State<'_> {
    /// Adds what came of one key; gives the failure that ends the reading.
    fn take(&mut self, mut judged: Judged) -> Option<Failure> {
        self.seen = true;
        if let Some(failure) = self.commit(&judged) {
            return Some(failure);
        }
        if judged.stopped.is_some() {
            return judged.stopped;
        }
        if judged.source_failure.is_some() {
            self.unanswered.push(judged);
            let limit = self.unanswered.len() >= UNANSWERED_LIMIT;
            return limit.then(|| self.unanswered.drain(..).next_back().and_then(|last| last.source_failure)).flatten();
        }
        if judged.answered {
            // The source does answer, so those before were at fault themselves.
            for earlier in std::mem::take(&mut self.unanswered) {
                self.add(earlier);
            }
        }
        judged.source_failure = None;
        self.add(judged);
        None
    }

    /// Writes down what was read; gives the failure to do so.
    fn commit(&self, judged: &Judged) -> Option<Failure> {
        let ledger = self.ledger?;
        judged.read.iter().find_map(|(entry, content)| ledger.commit(entry, content.as_ref()).err())
    }

    fn add(&mut self, judged: Judged) {
        for finding in &judged.findings {
            self.monitor.event(Event::Finding(finding));
        }
        for note in &judged.notes {
            self.monitor.event(Event::Problem(note));
        }
        self.total.merge(&judged);
        let by = judged.counts.expected;
        self.monitor.event(Event::Advanced { task: self.task, by, bytes: judged.bytes });
    }
}

/// Runs the merge to its end, or to the failure that cut it short.
async fn run(
    source: &dyn ObjectSource,
    manifest: &Manifest,
    scope: [Filter; 2],
    rules: Rules,
    reading: &Reading,
    state: &mut State<'_>,
) -> Result<Option<Failure>, Failure> {
    let covers = move |key: &str| scope.iter().all(|filter| filter.covers(key));
    let listed = called_as_in_manifest(source, manifest);
    let listed = match &reading.ledger {
        Some(ledger) => ledger.beside(listed),
        None => listed,
    };
    let listed = covered(listed, covers.clone());
    let expected = rows(manifest).filter(move |row| std::future::ready(row.as_ref().map_or(true, |row| covers(&row.key)))).boxed();
    let judgements = groups(expected, listed).map(|group| {
        async move {
            match group {
                Ok(group) => Ok(judge(source, group, rules, reading).await),
                Err(broken) => Err(broken),
            }
        }
        .boxed()
    });
    let mut judgements = judgements.buffered(reading.ahead());
    let mut poll = tokio::time::interval(STOP_POLL);
    loop {
        let next = tokio::select! {
            next = judgements.next() => next,
            _ = poll.tick() => {
                if let Some(failure) = state.ledger.and_then(|ledger| ledger.flush().err()) {
                    return Ok(Some(failure));
                }
                if state.monitor.stop_requested() {
                    return Ok(Some(Failure::new(FailureKind::Interrupted, format!("reading {} was stopped", source.url()))));
                }
                continue;
            }
        };
        match next {
            None => return Ok(None),
            Some(Ok(judged)) => {
                if let Some(failure) = state.take(judged) {
                    return Ok(Some(failure));
                }
            }
            Some(Err(Broken::Manifest(failure))) => return Err(failure),
            Some(Err(Broken::Listing(failure))) => {
                let hopeless = matches!(failure.kind, FailureKind::Absent | FailureKind::Denied | FailureKind::Invalid);
                return if hopeless && !state.seen { Err(failure) } else { Ok(Some(failure)) };
            }
        }
    }
}

/// What is listed. A dated copy of one file has another name than the file: where the manifest holds one object too, it is that one.
fn called_as_in_manifest(source: &dyn ObjectSource, manifest: &Manifest) -> BoxStream<'static, Result<Entry, Failure>> {
    let rows: u64 = manifest.header().parts.iter().map(|part| part.rows).sum();
    let only = (source.is_single() && rows == 1).then(|| manifest.objects().next().and_then(Result::ok)).flatten();
    match only.filter(|row| row.kind == EntryKind::Object) {
        None => source.list(),
        Some(ObjectRow { key, key_escaped, .. }) => {
            source.list().map(move |entry| entry.map(|entry| Entry { key: key.clone(), key_escaped, ..entry })).boxed()
        }
    }
}

/// What is listed and covered. What lies below a directory that may not be listed is not known, so no pattern leaves it out.
fn covered(
    listed: BoxStream<'static, Result<Entry, Failure>>,
    covers: impl Fn(&str) -> bool + Send + 'static,
) -> BoxStream<'static, Result<Entry, Failure>> {
    let kept = move |entry: &Result<Entry, Failure>| entry.as_ref().map_or(true, |entry| entry.is_closed_directory() || covers(&entry.key));
    listed.filter(move |entry| std::future::ready(kept(entry))).boxed()
}

/// The manifest's rows, decoded on a thread of their own.
fn rows(manifest: &Manifest) -> BoxStream<'static, Result<ObjectRow, Failure>> {
    let rows = manifest.objects();
    hashing::blocking_stream(4, move |put| {
        for row in rows {
            if !put(row) {
                return;
            }
        }
    })
}
