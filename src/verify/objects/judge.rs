//! The verdict on one key: what was expected, what was found, what was read.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures_util::StreamExt;

use crate::model::clock::Timestamp;
use crate::model::counts::Counts;
use crate::model::failure::{Failure, FailureKind};
use crate::model::finding::{Class, Finding, Kind, Place};
use crate::model::verification::FieldCounts;
use crate::verify::checksum::Said;
use crate::verify::manifest::request::DigestSet;
use crate::verify::manifest::row::{ObjectRow, UNKNOWN_SIZE};
use crate::verify::objects::align::{Relation, Step, align};
use crate::verify::objects::content::Content;
use crate::verify::objects::evidence::Evidence;
use crate::verify::objects::fetch::fetch;
use crate::verify::objects::fields::{self, Compared, FieldSet};
use crate::verify::objects::gather::gather;
use crate::verify::objects::groups::Group;
use crate::verify::objects::moment::{Stamp, State, state_at};
use crate::verify::objects::reading::Reading;
use crate::verify::objects::source::{Entry, EntryKind, ObjectSource};
use crate::verify::objects::stretch::Unread;
use crate::verify::objects::tier::Tier;

/// Versions of one key that are read at a time.
const READS_OF_ONE_KEY: usize = 8;

/// Reasons are cut to so many characters in a finding.
const REASON_CHARS: usize = 200;

/// How versions are matched.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// By version id: the bucket is the one that was captured.
    pub by_id: bool,
    /// Which of a key's versions are compared.
    pub versions: Versions,
    /// How deep evidence goes.
    pub tier: Tier,
    /// What is compared beside the bytes.
    pub fields: FieldSet,
}

/// Which of a key's versions are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Versions {
    /// All of them.
    All,
    /// The newest.
    Newest,
    /// Of the manifest's the one that was the newest at this instant; of the source's the newest of what it lists.
    At(Timestamp),
}

/// What came of one key.
#[derive(Debug, Default)]
pub struct Judged {
    /// The differences, oldest version first.
    pub findings: Vec<Finding>,
    /// All classes, matches too.
    pub counts: Counts,
    /// The same of what protects the objects.
    pub protection: Counts,
    /// How each field of evidence compared.
    pub fields: BTreeMap<&'static str, FieldCounts>,
    /// Of the unreadable ones, those that were not read for a reason outside the data, by reason.
    pub unread: BTreeMap<FailureKind, u64>,
    /// Bytes that were read and digested.
    pub bytes: u64,
    /// The source did not answer: the key would be `unreadable` if others can be read.
    pub source_failure: Option<Failure>,
    /// At least one object was read.
    pub answered: bool,
    /// The run's bounds were met before this key was read: nothing is said of it.
    pub stopped: Option<Failure>,
    /// What does not change a verdict and should be known.
    pub notes: Vec<Failure>,
    /// Every entry of the key with what was read of it, where that is written down.
    pub read: Vec<(Entry, Option<Content>)>,
}

type Read = Result<Content, Failure>;

/// Compares one key.
pub async fn judge(source: &dyn ObjectSource, mut group: Group, rules: Rules, reading: &Reading) -> Judged {
    let mut judged = Judged::default();
    let keeps = reading.ledger.is_some();
    if keeps && rules.versions != Versions::All {
        let older = group.entries.len().saturating_sub(1);
        judged.read.extend(group.entries[..older].iter().map(|entry| (entry.clone(), None)));
    }
    match rules.versions {
        Versions::All => {}
        Versions::Newest => keep_newest(&mut group),
        Versions::At(at) => keep_then(&mut group, at),
    }
    let by_id = rules.by_id && rules.versions == Versions::All && group.rows.iter().all(|row| row.version_id.is_some());
    let steps = if by_id { match_ids(&group) } else { Vec::new() };
    let wanted: Vec<usize> = match (group.rows.is_empty(), by_id) {
        (true, _) => Vec::new(),
        (false, true) => steps.iter().filter_map(|step| if let Step::Pair(_, found) = step { Some(*found) } else { None }).collect(),
        (false, false) => (0..group.entries.len()).collect(),
    };
    let mut contents: HashMap<usize, Read> = HashMap::with_capacity(wanted.len());
    // Futures are made eagerly: a closure over borrowed entries would not be general enough for the stream.
    let mut reads = Vec::with_capacity(wanted.len());
    for index in wanted {
        let entry = &group.entries[index];
        reads.push(async move { (index, gather(source, entry, reading, rules.tier).await) });
    }
    let mut reads = futures_util::stream::iter(reads).buffer_unordered(READS_OF_ONE_KEY);
    while let Some((index, read)) = reads.next().await {
        let read = match read {
            Ok(content) => {
                // What a listing says is no answer for an object.
                let asked = rules.tier != Tier::Inventory;
                judged.answered |= asked && group.entries[index].kind == EntryKind::Object;
                judged.bytes += if rules.tier == Tier::Content { content.bytes_read() } else { 0 };
                Ok(content)
            }
            Err(Unread::Entry(failure)) => Err(failure),
            Err(Unread::Source(failure)) => {
                judged.source_failure = Some(Failure { hint: failure.hint.clone(), ..Failure::new(failure.kind, failure.message.clone()) });
                Err(failure)
            }
            Err(Unread::Stopped(failure)) => {
                judged.stopped = Some(failure);
                continue;
            }
        };
        contents.insert(index, read);
    }
    drop(reads);
    if judged.stopped.is_some() {
        judged.keep(keeps, &group, &contents, &HashSet::new());
        return judged;
    }
    let steps = if by_id {
        steps
    } else {
        align(group.rows.len(), group.entries.len(), |row, entry| {
            relate(&group.rows[row], &group.entries[entry], contents.get(&entry), rules.tier)
        })
    };
    let mut unconfirmed = HashSet::new();
    for step in &steps {
        unconfirmed.extend(judged.look_again(source, &group, *step, &mut contents, reading, rules.tier).await);
    }
    judged.keep(keeps, &group, &contents, &unconfirmed);
    for step in steps {
        judged.take(&group, step, &contents, by_id, reading.wanted, rules);
    }
    judged
}

/// Leaves the newest version on both sides; a key whose newest version is a delete marker does not exist.
fn keep_newest(group: &mut Group) {
    group.rows = group.rows.pop().into_iter().filter(|row| row.kind != EntryKind::DeleteMarker).collect();
    group.entries = group.entries.pop().into_iter().filter(|entry| entry.kind != EntryKind::DeleteMarker).collect();
}

/// The same, where the manifest knows all versions and one of them was the newest at the instant.
fn keep_then(group: &mut Group, at: Timestamp) {
    let stamps: Vec<Stamp<'_>> =
        group.rows.iter().map(|row| Stamp { modified: row.modified, version_id: row.version_id.as_deref(), kind: row.kind }).collect();
    let kept = match state_at(&stamps, at) {
        _ if stamps.is_empty() => None,
        State::Absent => None,
        State::Was(index) => Some(index),
        State::Undecided(index, reason) => {
            group.undecided = Some(reason);
            Some(index)
        }
    };
    group.rows = kept.map(|index| group.rows.swap_remove(index)).into_iter().collect();
    group.entries = group.entries.pop().into_iter().filter(|entry| entry.kind != EntryKind::DeleteMarker).collect();
}

/// Pairs what has the same version id; ids are unique within a key.
fn match_ids(group: &Group) -> Vec<Step> {
    let mut found: HashMap<&str, usize> =
        group.entries.iter().enumerate().filter_map(|(index, entry)| Some((entry.version_id.as_deref()?, index))).collect();
    let mut steps: Vec<Step> = Vec::with_capacity(group.rows.len());
    for (index, row) in group.rows.iter().enumerate() {
        let pair = row.version_id.as_deref().and_then(|id| found.remove(id));
        steps.push(pair.map_or(Step::Missing(index), |entry| Step::Pair(index, entry)));
    }
    let paired: HashSet<usize> =
        steps.iter().filter_map(|step| if let Step::Pair(_, entry) = step { Some(*entry) } else { None }).collect();
    steps.extend((0..group.entries.len()).filter(|index| !paired.contains(index)).map(Step::Extra));
    steps
}

/// How an expected version and a found one relate; a digest present in both decides.
fn relate(row: &ObjectRow, entry: &Entry, read: Option<&Read>, tier: Tier) -> Relation {
    if row.kind != entry.kind && entry.problem.is_none() {
        return Relation::OtherKind;
    }
    if row.kind == EntryKind::DeleteMarker && entry.problem.is_none() {
        return Relation::Same;
    }
    let Some(Ok(content)) = read else { return Relation::Unknown(row.size == entry.size) };
    if tier != Tier::Content {
        return match row.known_size() {
            Some(size) if size == content.digests.bytes => Relation::Same,
            Some(_) => Relation::Different(false),
            None => Relation::Unknown(true),
        };
    }
    let pairs = [(row.blake3, content.digests.blake3), (row.sha256, content.digests.sha256)];
    let mut decided = false;
    for (expected, found) in pairs.into_iter().filter_map(|(expected, found)| expected.zip(found)) {
        if expected != found {
            return Relation::Different(row.size == content.digests.bytes);
        }
        decided = true;
    }
    if decided { Relation::Same } else { Relation::Unknown(row.size == content.digests.bytes) }
}

impl Judged {
    fn keep(&mut self, keeps: bool, group: &Group, contents: &HashMap<usize, Read>, unconfirmed: &HashSet<usize>) {
        if keeps {
            let read = |index| contents.get(&index).filter(|_| !unconfirmed.contains(&index));
            let content = |index| read(index).and_then(|read| read.as_ref().ok()).cloned();
            self.read.extend(group.entries.iter().enumerate().map(|(index, entry)| (entry.clone(), content(index))));
        }
    }

    /// Adds the numbers of another key; its findings were told already.
    pub fn merge(&mut self, other: &Self) {
        self.counts.merge(&other.counts);
        self.protection.merge(&other.protection);
        for (name, more) in &other.fields {
            let counts = self.fields.entry(name).or_default();
            counts.equal += more.equal;
            counts.different += more.different;
            counts.unseen += more.unseen;
            counts.not_in_manifest += more.not_in_manifest;
        }
        other.unread.iter().for_each(|(kind, n)| *self.unread.entry(*kind).or_default() += n);
        self.bytes += other.bytes;
    }

    /// Content that differs where its size does not is read once more before it accuses anyone: a byte may flip on its way too. The
    /// second reading is held to the checksum that S3 keeps, so that the finding tells what S3 itself thinks. Gives the entry whose
    /// second reading failed: it differs in this run, and a later one reads it again.
    async fn look_again(
        &mut self,
        source: &dyn ObjectSource,
        group: &Group,
        step: Step,
        contents: &mut HashMap<usize, Read>,
        reading: &Reading,
        tier: Tier,
    ) -> Option<usize> {
        let Step::Pair(row, index) = step else { return None };
        let (row, entry) = (&group.rows[row], &group.entries[index]);
        let read = contents.get(&index);
        if tier != Tier::Content
            || relate(row, entry, read, tier) != Relation::Different(true)
            || entry.kind != EntryKind::Object
            || entry.path.is_some()
        {
            return None;
        }
        let first = read.and_then(|read| read.as_ref().ok());
        if first.is_some_and(|first| first.recalled.is_some()) {
            // The run that read it has looked twice.
            return None;
        }
        let first = first.map(|content| content.digests);
        let Ok(again) = fetch(source, entry, &reading.again()).await else {
            return Some(index);
        };
        self.bytes += again.digests.bytes;
        if first != Some(again.digests) {
            let said = format!("{}: read twice, and different bytes arrived each time", entry.key.escape_debug());
            self.notes.push(Failure::new(FailureKind::Remote, said).hint("the network, a proxy or the store damages what it carries"));
        }
        contents.insert(index, Ok(again));
        None
    }

    fn take(&mut self, group: &Group, step: Step, contents: &HashMap<usize, Read>, by_id: bool, wanted: DigestSet, rules: Rules) {
        match step {
            Step::Pair(row, entry) => {
                let (row, entry, read) = (&group.rows[row], &group.entries[entry], contents.get(&entry));
                let undecided = group.undecided.as_deref().or(entry.undecided.as_deref());
                let class = match (relate(row, entry, read, rules.tier), read) {
                    _ if undecided.is_some() => Class::Indeterminate,
                    (Relation::Same, _) => Class::Match,
                    (Relation::Different(_) | Relation::OtherKind, _) => Class::Mismatch,
                    (Relation::Unknown(_), Some(Ok(_))) => Class::Indeterminate,
                    (Relation::Unknown(_), _) => Class::Unreadable,
                };
                if let Some(Err(failure)) = read
                    && class == Class::Unreadable
                {
                    self.count_unread(failure.kind);
                }
                let mut values = (expected_text(row, wanted), undecided.map_or_else(|| read_text(entry, read, wanted), cut));
                let class = match (class, read) {
                    (Class::Match, Some(Ok(content))) if row.kind == EntryKind::Object => {
                        self.take_fields(row, content, rules.fields).map_or(class, |(class, told)| {
                            values = told;
                            class
                        })
                    }
                    _ => class,
                };
                self.add(class, row.key.clone(), row.version_id.clone(), Some(values.0), Some(values.1));
            }
            Step::Missing(row) => {
                let row = &group.rows[row];
                let (class, actual) = if group.below_closed {
                    self.count_unread(FailureKind::Denied);
                    (Class::Unreadable, Some("in a directory that cannot be listed".to_owned()))
                } else if let Some(reason) = &group.undecided {
                    (Class::Indeterminate, Some(cut(reason)))
                } else if row.kind == EntryKind::DeleteMarker && !by_id {
                    // Whether restores bring delete markers back is not documented: budgeted by policy, never silently fine.
                    (Class::Indeterminate, Some("no delete marker".to_owned()))
                } else {
                    (Class::Missing, None)
                };
                self.add(class, row.key.clone(), row.version_id.clone(), Some(expected_text(row, wanted)), actual);
            }
            Step::Extra(entry) => {
                let entry = &group.entries[entry];
                if group.closes_rows && entry.is_closed_directory() {
                    // What the manifest has below it is counted; the directory itself was never expected.
                    let actual = entry.problem.as_deref().map(cut);
                    let finding = Finding::new(Class::Unreadable, Kind::Object, Place::Key(entry.key.clone()));
                    return self.findings.push(Finding { actual, ..finding });
                }
                let (class, actual) = match &entry.problem {
                    Some(problem) if entry.is_closed_directory() => {
                        self.count_unread(FailureKind::Denied);
                        (Class::Unreadable, cut(problem))
                    }
                    Some(problem) => (Class::Extra, cut(problem)),
                    None if entry.undecided.is_some() => (Class::Indeterminate, cut(entry.undecided.as_deref().unwrap_or_default())),
                    None if entry.kind == EntryKind::Object => (Class::Extra, format!("{} bytes", entry.size)),
                    None => (Class::Extra, entry.kind.as_str().to_owned()),
                };
                self.add(class, entry.key.clone(), entry.version_id.clone(), None, Some(actual));
            }
        }
    }

    /// Counts an unreadable one, where it is not the data that is to blame.
    pub fn count_unread(&mut self, kind: FailureKind) {
        if kind.is_outside_the_data() {
            *self.unread.entry(kind).or_default() += 1;
        }
    }

    /// Compares the fields of an object whose bytes are right. Gives the object's class where one of its own fields is not equal, and
    /// what was expected and found; what protects it is counted apart.
    pub fn take_fields(&mut self, row: &ObjectRow, content: &Content, fields: FieldSet) -> Option<(Class, (String, String))> {
        let nothing = Evidence::default();
        let found = content.evidence.as_deref().unwrap_or(&nothing);
        let (mut own, mut protection) = (Vec::new(), Vec::new());
        let mut expects_protection = false;
        for field in fields.fields() {
            let compared = fields::compare(field, row, found, content.checksum.as_ref());
            let counts = self.fields.entry(field.as_str()).or_default();
            let (class, values) = match compared {
                Compared::Unexpected => {
                    counts.not_in_manifest += 1;
                    continue;
                }
                Compared::Equal => {
                    counts.equal += 1;
                    (Class::Match, None)
                }
                Compared::Different(expected, found) => {
                    counts.different += 1;
                    (Class::Mismatch, Some((format!("{} {expected}", field.as_str()), format!("{} {found}", field.as_str()))))
                }
                Compared::Unseen => {
                    counts.unseen += 1;
                    (Class::Indeterminate, Some((field.as_str().to_owned(), format!("{} could not be seen", field.as_str()))))
                }
            };
            expects_protection |= field.is_protection();
            if let Some(values) = values {
                if field.is_protection() { &mut protection } else { &mut own }.push((class, values));
            }
        }
        if expects_protection {
            let worst = worst_of(protection);
            self.protection.add(worst.as_ref().map_or(Class::Match, |(class, _)| *class));
            if let Some((class, (expected, actual))) = worst {
                let finding = Finding::new(class, Kind::Protection, Place::Key(row.key.clone()));
                let (expected, actual) = (Some(expected), Some(actual));
                self.findings.push(Finding { version_id: row.version_id.clone(), expected, actual, ..finding });
            }
        }
        worst_of(own)
    }

    /// Counts one thing, and tells it unless it is a match.
    pub fn add(&mut self, class: Class, key: String, version_id: Option<String>, expected: Option<String>, actual: Option<String>) {
        self.counts.add(class);
        if class != Class::Match {
            let finding = Finding::new(class, Kind::Object, Place::Key(key));
            self.findings.push(Finding { version_id, expected, actual, ..finding });
        }
    }
}

/// Several differences of one object as one: a mismatch outweighs what could not be seen.
fn worst_of(differences: Vec<(Class, (String, String))>) -> Option<(Class, (String, String))> {
    let class = if differences.iter().any(|(class, _)| *class == Class::Mismatch) { Class::Mismatch } else { Class::Indeterminate };
    let told: Vec<(String, String)> = differences.into_iter().filter(|(one, _)| *one == class).map(|(_, values)| values).collect();
    let (expected, actual): (Vec<String>, Vec<String>) = told.into_iter().unzip();
    (!expected.is_empty()).then(|| (class, (expected.join("; "), actual.join("; "))))
}

fn expected_text(row: &ObjectRow, wanted: DigestSet) -> String {
    describe(row.kind, row.size, row.blake3.filter(|_| wanted.blake3), row.sha256.filter(|_| wanted.sha256))
}

fn read_text(entry: &Entry, read: Option<&Read>, wanted: DigestSet) -> String {
    match read {
        Some(Ok(content)) => {
            let digests = &content.digests;
            let (blake3, sha256) = (digests.blake3.filter(|_| wanted.blake3), digests.sha256.filter(|_| wanted.sha256));
            let described = describe(entry.kind, digests.bytes, blake3, sha256);
            match (&content.said, &content.checksum) {
                (Said::Agrees, Some(checksum)) => format!("{described}; S3's own {} agrees with these bytes", checksum.algorithm),
                (Said::Disagrees { .. }, Some(checksum)) => {
                    format!("{described}; S3's own {} is not these bytes' either", checksum.algorithm)
                }
                _ => described,
            }
        }
        Some(Err(failure)) => cut(&failure.message),
        None => entry.kind.as_str().to_owned(),
    }
}

/// `blake3:HEX, N bytes`; another kind than an object is named before.
fn describe(
    kind: EntryKind,
    size: u64,
    blake3: Option<crate::model::digest::Digest32>,
    sha256: Option<crate::model::digest::Digest32>,
) -> String {
    if kind == EntryKind::DeleteMarker {
        return kind.as_str().to_owned();
    }
    let kind = if kind == EntryKind::Object { String::new() } else { format!("{} ", kind.as_str()) };
    let digest = match (blake3, sha256) {
        (Some(digest), _) => format!("blake3:{digest}"),
        (None, Some(digest)) => format!("sha256:{digest}"),
        (None, None) => "no digest".to_owned(),
    };
    if size == UNKNOWN_SIZE { format!("{kind}{digest}") } else { format!("{kind}{digest}, {size} bytes") }
}

fn cut(reason: &str) -> String {
    reason.chars().take(REASON_CHARS).collect()
}
