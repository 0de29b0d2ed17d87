//! Objects read back through a fake source with faults that count down, and against a naive model.
//!
//! Contents: bodies that break, lie or change; a source that stops answering; listings that break; version alignment; views;
//! closed directories; stopping; the whole comparison against a model.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use attestore::model::capture::CaptureMode;
use attestore::model::failure::{Failure, FailureKind};
use attestore::model::finding::{Class, Finding};
use attestore::model::outcome::Outcome;
use attestore::model::source_url::View;
use attestore::model::verification::Verification;
use attestore::monitor::{Collected, Event, Monitor, Silent};
use attestore::verify::manifest::reader::Manifest;
use attestore::verify::manifest::request::{CaptureRequest, DigestSet, ReadOptions};
use attestore::verify::objects::capture::capture;
use attestore::verify::objects::compare::compare;
use attestore::verify::objects::source::{Body, Entry, EntryKind, ObjectSource, Told};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use proptest::prelude::*;

/// What happens to reads of one key, so many times; then nothing.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// The body ends after so many bytes, without an error.
    CutShort(usize),
    /// The body breaks after so many bytes.
    Breaks(usize),
    /// One byte is another.
    Flip(usize),
    /// More bytes arrive than declared.
    TooLong,
    /// The declared length is another one.
    WrongLength,
    /// The request itself fails.
    NoAnswer(FailureKind),
}

/// One version: id, content (nothing for a delete marker).
type Version = (Option<String>, Option<Vec<u8>>);

/// Objects in memory.
#[derive(Default)]
struct Fake {
    url: String,
    versions: bool,
    objects: BTreeMap<String, Vec<Version>>,
    faults: Mutex<BTreeMap<String, (Fault, u32)>>,
    /// The listing breaks after so many entries.
    list_breaks: Option<(usize, FailureKind)>,
    problem: Option<(String, String)>,
    reads: AtomicU32,
}

impl Fake {
    fn new(objects: &[(&str, &[u8])]) -> Self {
        let objects = objects.iter().map(|(key, content)| ((*key).to_owned(), vec![(None, Some(content.to_vec()))])).collect();
        Self { url: "fake:a".into(), objects, ..Self::default() }
    }

    /// Versions oldest first; `-` is a delete marker. Ids carry `prefix`.
    fn versioned(url: &str, prefix: &str, objects: &[(&str, &[&str])]) -> Self {
        let version = |(n, content): (usize, &&str)| (Some(format!("{prefix}{n}")), (*content != "-").then(|| content.as_bytes().to_vec()));
        let objects =
            objects.iter().map(|(key, versions)| ((*key).to_owned(), versions.iter().enumerate().map(version).collect())).collect();
        Self { url: url.into(), versions: true, objects, ..Self::default() }
    }

    fn fault(self, key: &str, fault: Fault, times: u32) -> Self {
        self.faults.lock().unwrap().insert(key.into(), (fault, times));
        self
    }
}

#[async_trait]
impl ObjectSource for Fake {
    fn url(&self) -> String {
        self.url.clone()
    }

    fn view(&self) -> Option<View> {
        self.versions.then_some(View::Versions)
    }

    fn has_versions(&self) -> bool {
        self.versions
    }

    fn list(&self) -> BoxStream<'static, Result<Entry, Failure>> {
        let mut entries = Vec::new();
        for (key, versions) in &self.objects {
            for (seq, (id, content)) in versions.iter().enumerate() {
                let kind = if content.is_some() { EntryKind::Object } else { EntryKind::DeleteMarker };
                let entry = Entry::object(key.clone(), content.as_ref().map_or(0, |content| content.len() as u64));
                entries.push(Ok(Entry { seq: seq as u32, version_id: id.clone(), kind, ..entry }));
            }
        }
        if let Some((key, problem)) = &self.problem {
            entries.push(Ok(Entry { problem: Some(problem.clone()), ..Entry::object(key.clone(), 0) }));
            entries.sort_by_key(|entry| entry.as_ref().map(|entry| (entry.key.clone(), entry.seq)).unwrap());
        }
        if let Some((after, kind)) = self.list_breaks {
            entries.truncate(after);
            entries.push(Err(Failure::new(kind, "the listing broke")));
        }
        futures_util::stream::iter(entries).boxed()
    }

    async fn read(&self, entry: &Entry, offset: u64) -> Result<Body, Failure> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let content = self.objects[&entry.key][entry.seq as usize].1.clone().unwrap();
        let mut rest = content[offset as usize..].to_vec();
        let mut declared_length = rest.len() as u64;
        let mut failure = None;
        let mut faults = self.faults.lock().unwrap();
        if let Some((fault, left)) = faults.get_mut(&entry.key).filter(|(_, left)| *left > 0) {
            *left -= 1;
            match *fault {
                Fault::CutShort(at) => rest.truncate(at),
                Fault::Breaks(at) => {
                    rest.truncate(at);
                    failure = Some(Failure::new(FailureKind::Network, "connection reset"));
                }
                Fault::Flip(at) => rest[at] ^= 1,
                Fault::TooLong => rest.push(0),
                Fault::WrongLength => declared_length += 1,
                Fault::NoAnswer(kind) => return Err(Failure::new(kind, "no answer")),
            }
        }
        let pieces: Vec<Result<Bytes, Failure>> =
            rest.chunks(7).map(|piece| Ok(Bytes::copy_from_slice(piece))).chain(failure.map(Err)).collect();
        Ok(Body { stream: futures_util::stream::iter(pieces).boxed(), declared_length, told: Told::default() })
    }
}

async fn captured(source: &Fake, dir: &Path) -> Manifest {
    let out = dir.join("m");
    let request = CaptureRequest::new(&out, CaptureMode::Sealed);
    capture(source, &request, None, &Collected::default()).await.unwrap();
    Manifest::open(&out).unwrap()
}

/// Classes and keys of the findings, in order, beside the result.
async fn compared(source: &Fake, manifest: &Manifest, options: &ReadOptions) -> (Verification, Vec<(Class, String)>) {
    let monitor = Collected::default();
    let result = compare(source, manifest, options, &monitor).await.unwrap();
    assert!(result.objects.unwrap().adds_up());
    (result, places(&monitor.findings()))
}

fn places(findings: &[Finding]) -> Vec<(Class, String)> {
    findings.iter().map(|finding| (finding.class, finding.place.parts().1.to_owned())).collect()
}

fn found(class: Class, key: &str) -> Vec<(Class, String)> {
    vec![(class, key.to_owned())]
}

const OBJECTS: &[(&str, &[u8])] =
    &[("a", b"first object's content"), ("b\n../ +", b"second object's content"), ("c", b""), ("d", b"last object's content")];

#[tokio::test]
async fn bodies_that_break_are_resumed_and_ones_that_keep_breaking_are_unreadable() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = captured(&Fake::new(OBJECTS), dir.path()).await;
    // Each time a few bytes on: the state of the digests is kept.
    for fault in [Fault::CutShort(5), Fault::Breaks(3), Fault::Breaks(0)] {
        let source = Fake::new(OBJECTS).fault("a", fault, 3);
        let (result, findings) = compared(&source, &manifest, &ReadOptions::default()).await;
        assert_eq!((findings, result.outcome(0).0), (vec![], Outcome::Pass), "{fault:?}");
        assert_eq!(source.reads.load(Ordering::SeqCst), 4 + 3);
    }
    for fault in [Fault::CutShort(0), Fault::Breaks(0)] {
        let source = Fake::new(OBJECTS).fault("b\n../ +", fault, u32::MAX);
        let (result, findings) = compared(&source, &manifest, &ReadOptions::default()).await;
        assert_eq!(findings, found(Class::Unreadable, "b\n../ +"), "{fault:?}");
        // Nothing was seen of it: that says nothing against the data, and is no pass.
        assert_eq!((result.outcome(0).0, result.unread[&FailureKind::Network]), (Outcome::Inconclusive, 1));
        assert_eq!(result.objects.unwrap().matched, 3, "and the work went on");
    }
}

#[tokio::test]
async fn bodies_that_lie_are_unreadable_and_flipped_bytes_are_mismatches() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = captured(&Fake::new(OBJECTS), dir.path()).await;
    for (fault, class) in [(Fault::TooLong, Class::Unreadable), (Fault::WrongLength, Class::Unreadable), (Fault::Flip(4), Class::Mismatch)]
    {
        let source = Fake::new(OBJECTS).fault("d", fault, u32::MAX);
        let (result, findings) = compared(&source, &manifest, &ReadOptions::default()).await;
        assert_eq!(findings, found(class, "d"), "{fault:?}");
        assert_eq!(result.outcome(0).0, Outcome::Fail);
    }
}

#[tokio::test]
async fn differences_are_named_each_by_its_class() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = captured(&Fake::new(OBJECTS), dir.path()).await;
    let source = Fake::new(&[("a", b"first object's contenT"), ("c", b""), ("d", b"last"), ("e", b"new")]);
    for digests in [DigestSet::BLAKE3, DigestSet::SHA256, DigestSet::BOTH] {
        let options = ReadOptions { digests: Some(digests), ..ReadOptions::default() };
        let (result, findings) = compared(&source, &manifest, &options).await;
        let expected = [(Class::Mismatch, "a"), (Class::Missing, "b\n../ +"), (Class::Mismatch, "d"), (Class::Extra, "e")]
            .map(|(c, k)| (c, k.to_owned()));
        assert_eq!(findings, expected);
        let counts = result.objects.unwrap();
        assert_eq!((counts.expected, counts.checked, counts.matched, counts.extra), (4, 3, 1, 1));
    }
}

#[tokio::test]
async fn a_source_that_stops_answering_is_no_verdict_on_the_data() {
    let dir = tempfile::tempdir().unwrap();
    let objects: Vec<(String, Vec<u8>)> = (0..30).map(|n| (format!("k{n:02}"), vec![n])).collect();
    let objects: Vec<(&str, &[u8])> = objects.iter().map(|(key, content)| (key.as_str(), content.as_slice())).collect();
    let manifest = captured(&Fake::new(&objects), dir.path()).await;
    let dead = |from: usize, kind| {
        objects[from..].iter().fold(Fake::new(&objects), |fake, (key, _)| fake.fault(key, Fault::NoAnswer(kind), u32::MAX))
    };
    for kind in [FailureKind::Network, FailureKind::Throttled, FailureKind::Denied] {
        // From the middle on, and from so near the end that no limit is reached.
        for from in [10, 27, 0] {
            let (result, findings) = compared(&dead(from, kind), &manifest, &ReadOptions::default()).await;
            assert_eq!(findings, vec![], "{kind:?} from {from}");
            assert_eq!(result.cut_short.as_ref().unwrap().kind, kind);
            assert_eq!(result.outcome(0).0, Outcome::Inconclusive);
        }
    }
    // One that is denied among others that are read is its own fault.
    let source = Fake::new(&objects).fault("k05", Fault::NoAnswer(FailureKind::Denied), u32::MAX);
    let (result, findings) = compared(&source, &manifest, &ReadOptions::default()).await;
    assert_eq!(findings, found(Class::Unreadable, "k05"));
    assert!(result.cut_short.is_none());
}

#[tokio::test]
async fn one_object_that_is_denied_is_unreadable_in_its_manifest_and_a_source_that_denies_everything_has_none() {
    let dir = tempfile::tempdir().unwrap();
    let objects: Vec<(String, Vec<u8>)> = (0..30).map(|n| (format!("k{n:02}"), vec![n])).collect();
    let objects: Vec<(&str, &[u8])> = objects.iter().map(|(key, content)| (key.as_str(), content.as_slice())).collect();
    // The first, one in the middle, the last.
    for key in ["k00", "k17", "k29"] {
        let monitor = Collected::default();
        let source = Fake::new(&objects).fault(key, Fault::NoAnswer(FailureKind::Denied), u32::MAX);
        let request = CaptureRequest::new(dir.path().join(key), CaptureMode::Sealed);
        let header = capture(&source, &request, None, &monitor).await.unwrap();
        assert_eq!((header.counts["unreadable"], header.counts["objects"]), (1, 29));
        assert_eq!(places(&monitor.findings()), found(Class::Unreadable, key));
    }
    // Silence near the end, and refusals that do not stop.
    for (kind, from) in [(FailureKind::Network, 28), (FailureKind::Denied, 20), (FailureKind::Denied, 0)] {
        let source = objects[from..].iter().fold(Fake::new(&objects), |fake, (key, _)| fake.fault(key, Fault::NoAnswer(kind), u32::MAX));
        let out = dir.path().join("never");
        let failure = capture(&source, &CaptureRequest::new(&out, CaptureMode::Sealed), None, &Silent).await.unwrap_err();
        assert_eq!((failure.kind, out.exists()), (kind, false), "from {from}");
        assert!(failure.message.contains("nothing was written"), "{failure}");
    }
}

#[tokio::test]
async fn a_listing_that_breaks_makes_nothing_missing() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = captured(&Fake::new(OBJECTS), dir.path()).await;
    let mut source = Fake::new(OBJECTS);
    source.list_breaks = Some((2, FailureKind::Network));
    let (result, findings) = compared(&source, &manifest, &ReadOptions::default()).await;
    assert_eq!(findings, vec![]);
    assert_eq!((result.outcome(0).0, result.objects.unwrap().missing), (Outcome::Inconclusive, 0));
    source.list_breaks = Some((0, FailureKind::Absent));
    let failure = compare(&source, &manifest, &ReadOptions::default(), &Collected::default()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Absent, "an absent bucket is not an empty one");
    let request = CaptureRequest::new(dir.path().join("n"), CaptureMode::Sealed);
    source.list_breaks = Some((2, FailureKind::Network));
    assert!(capture(&source, &request, None, &Collected::default()).await.is_err());
    assert!(!request.out.exists(), "half a listing is no manifest");
}

#[tokio::test]
async fn versions_match_by_id_in_their_bucket_and_by_content_in_another() {
    let dir = tempfile::tempdir().unwrap();
    let objects: &[(&str, &[&str])] = &[("a", &["one", "two", "-", "three"]), ("b", &["x", "x"])];
    let manifest = captured(&Fake::versioned("s3://v", "id", objects), dir.path()).await;
    let all = ReadOptions::default();
    let same = Fake::versioned("s3://v", "id", objects);
    assert_eq!(compared(&same, &manifest, &all).await.1, vec![]);
    let restored = Fake::versioned("s3://restored", "new", objects);
    assert_eq!(compared(&restored, &manifest, &all).await.1, vec![], "ids do not carry over, content does");

    // In the same bucket other ids are other versions, whatever they hold.
    let replaced = Fake::versioned("s3://v", "new", &[("b", &["x", "x"])]);
    let (result, _) = compared(&replaced, &manifest, &all).await;
    assert_eq!((result.objects.unwrap().missing, result.objects.unwrap().extra), (6, 2));

    for (versions, expected) in [
        (&["one", "-", "three"][..], vec![Class::Missing]),
        (&["one", "two", "three"], vec![Class::Indeterminate]),
        (&["three"], vec![Class::Missing, Class::Missing, Class::Indeterminate]),
        (&["one", "TWO", "-", "three"], vec![Class::Mismatch]),
        (&["one", "two", "-", "three", "four"], vec![Class::Extra]),
        (&[], vec![Class::Missing, Class::Missing, Class::Indeterminate, Class::Missing]),
    ] {
        let source = Fake::versioned("s3://restored", "new", &[("a", versions), ("b", &["x", "x"])]);
        let (_, findings) = compared(&source, &manifest, &all).await;
        assert_eq!(findings.iter().map(|(class, _)| *class).collect::<Vec<_>>(), expected, "{versions:?}");
    }
}

#[tokio::test]
async fn the_latest_view_compares_what_a_reader_sees() {
    let dir = tempfile::tempdir().unwrap();
    let objects: &[(&str, &[&str])] = &[("a", &["one", "two"]), ("gone", &["x", "-"]), ("z", &["z"])];
    let manifest = captured(&Fake::versioned("s3://v", "id", objects), dir.path()).await;
    let latest = ReadOptions { view: Some(View::Latest), ..ReadOptions::default() };
    let only_latest = Fake::versioned("s3://r", "n", &[("a", &["two"]), ("z", &["z"])]);
    let (result, findings) = compared(&only_latest, &manifest, &latest).await;
    assert_eq!((findings, result.objects.unwrap().expected), (vec![], 2));
    let undeleted = Fake::versioned("s3://r", "n", &[("a", &["one"]), ("gone", &["x"]), ("z", &["z"])]);
    let (_, findings) = compared(&undeleted, &manifest, &latest).await;
    assert_eq!(findings, [(Class::Mismatch, "a".to_owned()), (Class::Extra, "gone".to_owned())]);
    let (_, findings) = compared(&only_latest, &manifest, &ReadOptions::default()).await;
    assert!(findings.contains(&(Class::Missing, "a".into())), "a restore of the latest versions only lacks the others");
}

#[tokio::test]
async fn below_a_directory_that_cannot_be_listed_nothing_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = captured(&Fake::new(&[("a/x", b"1"), ("a/y", b"2"), ("a0", b"3")]), dir.path()).await;
    let mut source = Fake::new(&[("a0", b"3")]);
    source.problem = Some(("a/".into(), "permission denied".into()));
    let (result, findings) = compared(&source, &manifest, &ReadOptions::default()).await;
    assert_eq!(findings, ["a/", "a/x", "a/y"].map(|key| (Class::Unreadable, key.to_owned())));
    assert_eq!((result.objects.unwrap().matched, result.objects.unwrap().missing), (1, 0));
}

#[tokio::test]
async fn what_could_not_be_read_at_capture_is_indeterminate_ever_after() {
    let dir = tempfile::tempdir().unwrap();
    let monitor = Collected::default();
    let out = dir.path().join("m");
    let broken = Fake::new(OBJECTS).fault("a", Fault::Breaks(0), u32::MAX);
    let header = capture(&broken, &CaptureRequest::new(&out, CaptureMode::Sealed), None, &monitor).await.unwrap();
    assert_eq!((header.counts["unreadable"], header.counts["objects"]), (1, 3));
    assert_eq!(places(&monitor.findings()), found(Class::Unreadable, "a"));
    let (result, findings) = compared(&Fake::new(OBJECTS), &Manifest::open(&out).unwrap(), &ReadOptions::default()).await;
    assert_eq!(findings, found(Class::Indeterminate, "a"));
    assert!(!result.outcome(0).0.is_pass());
}

#[tokio::test]
async fn a_manifest_without_a_usable_digest_is_refused_and_an_empty_one_proves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("m");
    let request = CaptureRequest { digests: DigestSet::SHA256, ..CaptureRequest::new(&out, CaptureMode::Sealed) };
    capture(&Fake::new(&[]), &request, None, &Collected::default()).await.unwrap();
    let manifest = Manifest::open(&out).unwrap();
    let options = ReadOptions { digests: Some(DigestSet::BLAKE3), ..ReadOptions::default() };
    let failure = compare(&Fake::new(&[]), &manifest, &options, &Collected::default()).await.unwrap_err();
    assert!(failure.kind == FailureKind::Invalid && failure.hint.is_some());
    let (result, _) = compared(&Fake::new(&[]), &manifest, &ReadOptions::default()).await;
    assert_eq!(result.outcome(0).0, Outcome::Inconclusive);
}

/// Asks to stop once it has heard of the first advance.
#[derive(Default)]
struct StopsEarly(AtomicBool);

impl Monitor for StopsEarly {
    fn event(&self, event: Event<'_>) {
        if matches!(event, Event::Advanced { .. }) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    fn stop_requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn stopping_ends_the_reading_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = captured(&Fake::new(OBJECTS), dir.path()).await;
    // The last one never comes to an end by itself.
    let source = Fake::new(OBJECTS).fault("d", Fault::Breaks(0), u32::MAX);
    let result = compare(&source, &manifest, &ReadOptions::default(), &StopsEarly::default()).await.unwrap();
    assert_eq!(result.cut_short.as_ref().unwrap().kind, FailureKind::Interrupted);
    assert!(result.objects.unwrap().matched < 4);
}

#[tokio::test]
async fn damage_to_the_manifest_while_it_is_read_is_no_verdict_either() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = captured(&Fake::new(OBJECTS), dir.path()).await;
    std::fs::write(manifest.dir().join("part-00000.parquet"), b"x").unwrap();
    let failure = compare(&Fake::new(OBJECTS), &manifest, &ReadOptions::default(), &Collected::default()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::BadEvidence);
}

/// Copies of one file are called by their dates; of a tree, and of a manifest with several objects, names count.
#[tokio::test]
async fn one_file_is_compared_with_the_one_object_of_its_manifest_whatever_it_is_called() {
    use attestore::verify::objects::dir::DirSource;
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        std::fs::create_dir_all(dir.path().join(name).parent().unwrap()).unwrap();
        std::fs::write(dir.path().join(name), content).unwrap();
        DirSource::open(&dir.path().join(name)).unwrap()
    };
    let of = async |source: &DirSource, out: &str| {
        let request = CaptureRequest::new(dir.path().join(out), CaptureMode::Sealed);
        capture(source, &request, None, &Silent).await.unwrap();
        Manifest::open(&dir.path().join(out)).unwrap()
    };
    let findings = async |source: &DirSource, manifest: &Manifest| {
        let seen = Collected::default();
        let result = compare(source, manifest, &ReadOptions::default(), &seen).await.unwrap();
        (result.objects.unwrap().expected, places(&seen.findings()))
    };
    let manifest = of(&file("src/ledger.csv", "1,2"), "m").await;
    assert_eq!(findings(&file("vault/ledger-2026-11-23.csv", "1,2"), &manifest).await, (1, vec![]));
    let changed = file("vault/ledger-2026-11-24.csv", "1,3");
    assert_eq!(findings(&changed, &manifest).await, (1, vec![(Class::Mismatch, "ledger.csv".to_owned())]));
    let tree = DirSource::open(&dir.path().join("vault")).unwrap();
    assert_eq!(findings(&tree, &manifest).await.1.len(), 3, "two extra ones, and one missing");
    let of_two = of(&tree, "two").await;
    assert_eq!(findings(&file("src/other.csv", "1,2"), &of_two).await.1.len(), 3);
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..20)
}

fn tree() -> impl Strategy<Value = BTreeMap<String, Vec<u8>>> {
    prop::collection::btree_map("[a-d/\n+ ]{1,4}", content(), 0..20)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// The comparison of any two sets of objects is what comparing two maps says.
    #[test]
    fn the_merge_agrees_with_comparing_maps(expected in tree(), changed in tree(), keep in any::<u64>()) {
        let mut actual = changed;
        for (n, (key, content)) in expected.iter().enumerate() {
            if keep >> (n % 64) & 1 == 1 {
                actual.insert(key.clone(), content.clone());
            }
        }
        let fake = |map: &BTreeMap<String, Vec<u8>>| Fake::new(&map.iter().map(|(key, content)| (key.as_str(), content.as_slice())).collect::<Vec<_>>());
        let mut model: Vec<(Class, String)> = Vec::new();
        for key in expected.keys().chain(actual.keys()).collect::<std::collections::BTreeSet<_>>() {
            let class = match (expected.get(key), actual.get(key)) {
                (Some(a), Some(b)) if a == b => continue,
                (Some(_), Some(_)) => Class::Mismatch,
                (Some(_), None) => Class::Missing,
                _ => Class::Extra,
            };
            model.push((class, key.clone()));
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (source, actual) = (fake(&expected), Arc::new(fake(&actual)));
        let findings = runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let manifest = captured(&source, dir.path()).await;
            compared(&actual, &manifest, &ReadOptions::default()).await.1
        });
        prop_assert_eq!(findings, model);
    }
}
