//! Faults that a reader of S3 meets, each with the verdict it must get: a wrong verdict is a defect, and unreadable is `unreadable`.
//!
//! Contents: bodies cut, stalled, flipped; checksums that lie; ranges; replaced and vanished objects; storms, redirects, expired
//! tokens and wrong clocks; listings that lie; keys and sizes at the edges.
use std::path::Path;
use std::time::Duration;

use attestore::aws::s3::S3Source;
use attestore::aws::session::Session;
use attestore::model::capture::CaptureMode;
use attestore::model::digest::Digest32;
use attestore::model::exit::ExitCode;
use attestore::model::failure::{Failure, FailureKind};
use attestore::model::finding::{Class, Finding};
use attestore::model::outcome::Outcome;
use attestore::model::source_url::View;
use attestore::model::verification::Verification;
use attestore::monitor::Collected;
use attestore::sandbox::s3::faults::Fault;
use attestore::sandbox::server::{Running, Sandbox};
use attestore::verify::manifest::reader::Manifest;
use attestore::verify::manifest::request::{CaptureRequest, DigestSet, Effort, ReadOptions};
use attestore::verify::objects::capture::capture;
use attestore::verify::objects::compare::compare;
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketVersioningStatus, Delete, ObjectIdentifier, VersioningConfiguration};

struct Bucket {
    running: Running,
    session: Session,
    client: Client,
    dir: tempfile::TempDir,
    captures: u32,
}

impl Bucket {
    /// A sandbox with the bucket `vault` that holds `objects`.
    async fn with(versioned: bool, objects: &[(&str, &[u8])]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let running = Sandbox::start(&dir.path().join("state"), None).await.unwrap();
        let session = Session::load(&running.session_options()).await;
        let client = Client::from_conf(aws_sdk_s3::config::Builder::from(session.config()).force_path_style(true).build());
        client.create_bucket().bucket("vault").send().await.unwrap();
        if versioned {
            let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
            client.put_bucket_versioning().bucket("vault").versioning_configuration(enabled).send().await.unwrap();
        }
        let bucket = Self { running, session, client, dir, captures: 0 };
        for (key, content) in objects {
            bucket.put(key, content).await;
        }
        bucket
    }

    async fn put(&self, key: &str, content: &[u8]) {
        self.client.put_object().bucket("vault").key(key).body(ByteStream::from(content.to_vec())).send().await.unwrap();
    }

    async fn source(&self) -> S3Source {
        S3Source::open(&self.session, "vault", "", None).await.unwrap()
    }

    fn fault(&self, key: &str, nth: u32, times: u32, fault: Fault) {
        self.running.faults().on_get("vault", key, nth, times, fault);
    }

    fn request(&mut self) -> CaptureRequest {
        self.captures += 1;
        CaptureRequest::new(self.dir.path().join(format!("m{}", self.captures)), CaptureMode::VersionExact)
    }

    /// A manifest of the bucket as it is.
    async fn captured(&mut self, digests: DigestSet) -> Manifest {
        let request = CaptureRequest { digests, ..self.request() };
        let monitor = Collected::default();
        capture(&self.source().await, &request, None, &monitor).await.unwrap();
        assert_eq!(monitor.findings(), []);
        Manifest::open(Path::new(&request.out)).unwrap()
    }

    async fn compared(&self, manifest: &Manifest) -> Compared {
        self.compared_with(manifest, Effort::default()).await
    }

    async fn compared_with(&self, manifest: &Manifest, effort: Effort) -> Compared {
        let monitor = Collected::default();
        let options = ReadOptions { effort, ..ReadOptions::default() };
        let result = compare(&self.source().await, manifest, &options, &monitor).await.unwrap();
        assert!(result.objects.unwrap().adds_up());
        Compared { result, findings: monitor.findings(), problems: monitor.problems() }
    }

    async fn end(self) {
        self.running.stop().await.unwrap();
    }
}

struct Compared {
    result: Verification,
    findings: Vec<Finding>,
    problems: Vec<String>,
}

impl Compared {
    fn places(&self) -> Vec<(Class, &str)> {
        self.findings.iter().map(|finding| (finding.class, finding.place.parts().1)).collect()
    }

    fn is_pass(&self) -> bool {
        self.findings.is_empty() && self.result.outcome(0).0 == Outcome::Pass
    }

    /// The run was cut short without a word on any object.
    fn is_cut_short_by(&self, kind: FailureKind) -> bool {
        self.findings.is_empty()
            && self.result.outcome(0).0 == Outcome::Inconclusive
            && self.result.cut_short.as_ref().is_some_and(|failure| failure.kind == kind)
    }
}

fn noise(length: usize, seed: u8) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut bytes);
    bytes
}

const MIB: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_cut_or_stalled_anywhere_are_resumed_and_ones_that_never_end_are_unreadable() {
    let content = noise(3 * MIB, 1);
    let length = content.len() as u64;
    let mut bucket = Bucket::with(true, &[("a", &content), ("b", b"other")]).await;
    let manifest = bucket.captured(DigestSet::BOTH).await;
    for at in [0, 1, 1023, 65_536, 65_537, length / 2, length - 1] {
        bucket.fault("a", 1, 1, Fault::CutAfter(at));
        assert!(bucket.compared(&manifest).await.is_pass(), "cut after {at}");
        bucket.fault("a", 1, 1, Fault::ShortLength(at));
        let short = bucket.compared(&manifest).await;
        assert_eq!(short.places(), [(Class::Unreadable, "a")], "an answer that declares {at} bytes of {length}");
    }
    bucket.fault("a", 1, 2, Fault::StallAfter(MIB as u64 + 7));
    let patient = Effort { stall: Duration::from_secs(2), ..Effort::default() };
    assert!(bucket.compared_with(&manifest, patient).await.is_pass(), "a stalled body is asked for again from where it stands");
    bucket.fault("a", 1, 100, Fault::StallAfter(0));
    let stalled = bucket.compared_with(&manifest, Effort { stall: Duration::from_millis(700), ..Effort::default() }).await;
    assert_eq!(stalled.places(), [(Class::Unreadable, "a")]);
    assert!(stalled.findings[0].actual.as_ref().unwrap().contains("stalled"), "{:?}", stalled.findings);
    bucket.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flipped_bytes_are_mismatches_whatever_the_checksum_says_and_one_flip_on_the_way_is_not() {
    let content = noise(MIB, 2);
    let mut bucket = Bucket::with(true, &[("a", &content), ("b", b"other")]).await;
    let manifest = bucket.captured(DigestSet::BLAKE3).await;
    // At rest or always on the way: the bytes that arrive differ, and S3's checksum, still the old one, says so as well.
    bucket.fault("a", 1, 100, Fault::FlipByte(77_777));
    let flipped = bucket.compared(&manifest).await;
    assert_eq!(flipped.places(), [(Class::Mismatch, "a")]);
    assert!(flipped.findings[0].actual.as_ref().unwrap().contains("is not these bytes' either"), "{:?}", flipped.findings);
    // Once on the way: the second reading brings the right bytes.
    bucket.running.faults().clear();
    bucket.fault("a", 1, 1, Fault::FlipByte(0));
    let once = bucket.compared(&manifest).await;
    assert!(once.is_pass());
    assert!(once.problems.iter().any(|said| said.contains("different bytes arrived")), "{:?}", once.problems);
    // The bytes are others, and S3 keeps the checksum of these: only the digests tell.
    bucket.running.faults().clear();
    let unversioned = Bucket::with(false, &[("a", &noise(MIB, 3)), ("b", b"other")]).await;
    let replaced = unversioned.compared(&manifest).await;
    assert_eq!(replaced.places(), [(Class::Mismatch, "a")]);
    assert!(replaced.findings[0].actual.as_ref().unwrap().contains("agrees with these bytes"), "{:?}", replaced.findings);
    unversioned.end().await;
    bucket.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_checksum_beside_right_bytes_is_a_match_and_no_baseline() {
    let mut bucket = Bucket::with(true, &[("a", b"content"), ("b", b"other")]).await;
    let manifest = bucket.captured(DigestSet::BOTH).await;
    let wrong = || Fault::Header("x-amz-checksum-crc64nvme", "AAAAAAAAAAA=".into());
    bucket.fault("a", 1, 100, wrong());
    let compared = bucket.compared(&manifest).await;
    assert!(compared.is_pass(), "the bytes are those of the manifest: {:?}", compared.findings);
    // At capture nothing else vouches for the bytes: twice the wrong ones are not believed.
    let monitor = Collected::default();
    let request = bucket.request();
    let header = capture(&bucket.source().await, &request, None, &monitor).await.unwrap();
    assert_eq!((header.counts["unreadable"], header.counts["objects"]), (1, 1));
    let finding = &monitor.findings()[0];
    assert_eq!((finding.class, finding.place.parts().1), (Class::Unreadable, "a"));
    assert!(finding.actual.as_ref().unwrap().contains("CRC64NVME AAAAAAAAAAA="), "{finding:?}");
    bucket.running.faults().clear();
    bucket.fault("a", 1, 1, Fault::FlipByte(3));
    bucket.captured(DigestSet::BLAKE3).await;
    bucket.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_objects_are_read_in_ranges_with_the_standard_digests_and_each_range_has_its_own_faults() {
    let content = noise(41 * MIB + 12_345, 4);
    let mut bucket = Bucket::with(true, &[("large", &content), ("small", b"x")]).await;
    for digests in [DigestSet::BLAKE3, DigestSet::SHA256, DigestSet::BOTH] {
        let manifest = bucket.captured(digests).await;
        let row = manifest.objects().next().unwrap().unwrap();
        assert_eq!(row.blake3, digests.blake3.then(|| Digest32::blake3(&content)));
        assert_eq!(row.sha256, digests.sha256.then(|| Digest32::sha256(&content)));
        assert!(row.s3_checksum.is_some_and(|checksum| checksum.kind == "FULL_OBJECT"));
        for budget_bytes in [1 << 20, 64 << 20] {
            let effort = Effort { budget_bytes, ..Effort::default() };
            assert!(bucket.compared_with(&manifest, effort).await.is_pass(), "{digests} in {budget_bytes} bytes");
        }
        bucket.fault("large", 2, 1, Fault::CutAfter(5_000_000));
        bucket.fault("large", 3, 1, Fault::SlowDown);
        assert!(bucket.compared(&manifest).await.is_pass());
        bucket.running.faults().clear();
        // One range in both readings, whichever is asked for then: the last one is the shortest.
        bucket.fault("large", 4, 1, Fault::FlipByte(500_000));
        bucket.fault("large", 8, 1, Fault::FlipByte(500_000));
        let flipped = bucket.compared(&manifest).await;
        assert_eq!(flipped.places(), [(Class::Mismatch, "large")]);
        bucket.running.faults().clear();
        for lie in ["bytes 0-8388607/43004953", "bytes 8388608-16777215/9", "nonsense"] {
            bucket.fault("large", 2, 100, Fault::ContentRange(lie.into()));
            assert_eq!(bucket.compared(&manifest).await.places(), [(Class::Unreadable, "large")], "{lie}");
            bucket.running.faults().clear();
        }
    }
    bucket.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_replaced_grown_or_gone_after_the_listing_are_unreadable() {
    let mut bucket = Bucket::with(false, &[("a", b"first"), ("b", b"other"), ("z", b"last")]).await;
    let manifest = bucket.captured(DigestSet::BOTH).await;
    for (fault, said) in [
        (Fault::Refusal(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"), "changed after"),
        (Fault::Refusal(404, "NoSuchKey", "The specified key does not exist."), "is gone"),
        (Fault::Refusal(403, "InvalidObjectState", "The operation is not valid for the object's storage class"), "not readable without"),
    ] {
        bucket.fault("b", 1, 100, fault);
        let compared = bucket.compared(&manifest).await;
        assert_eq!(compared.places(), [(Class::Unreadable, "b")], "{said}");
        assert!(compared.findings[0].actual.as_ref().unwrap().contains(said), "{:?}", compared.findings);
        bucket.running.faults().clear();
    }
    // Larger than the listing states, under the tag that it states. The first request asks for the versioning.
    bucket.fault("", 2, 1, Fault::Xml(listing(&[("b", "795f3202b17cb6bc3d4b771d8c6c9eaf", 4)], None)));
    let grown = bucket.compared(&manifest).await;
    assert!(grown.places().contains(&(Class::Unreadable, "b")), "{:?}", grown.findings);
    bucket.running.faults().clear();
    // In truth: the tag of what was listed is another's by then.
    let source = bucket.source().await;
    bucket.put("b", b"OTHER").await;
    let monitor = Collected::default();
    let result = compare(&source, &manifest, &ReadOptions::default(), &monitor).await.unwrap();
    assert_eq!((result.objects.unwrap().mismatch, monitor.findings().len()), (1, 1), "listed after the change, it is simply different");
    bucket.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn storms_pass_and_what_does_not_end_is_no_verdict() {
    let objects: Vec<(String, Vec<u8>)> = (0..40).map(|n| (format!("dir{}/k{n:02}", n % 3), noise(2000, n))).collect();
    let borrowed: Vec<(&str, &[u8])> = objects.iter().map(|(key, content)| (key.as_str(), content.as_slice())).collect();
    let mut bucket = Bucket::with(true, &borrowed).await;
    let manifest = bucket.captured(DigestSet::BOTH).await;
    for (times, fault) in [(3, Fault::SlowDown), (1, Fault::InternalError)] {
        for (key, _) in &objects {
            bucket.fault(key, 1, times, fault.clone());
        }
        assert!(bucket.compared(&manifest).await.is_pass(), "a storm of {fault:?} that ends");
    }
    let forever: [(Fault, FailureKind, ExitCode); 3] = [
        (Fault::ExpiredToken, FailureKind::Denied, ExitCode::Denied),
        (
            Fault::Refusal(403, "RequestTimeTooSkewed", "The difference between the request time and the server's time is too large."),
            FailureKind::Denied,
            ExitCode::Denied,
        ),
        (
            Fault::Refusal(301, "PermanentRedirect", "The bucket you are attempting to access must be addressed using another endpoint."),
            FailureKind::Invalid,
            ExitCode::Usage,
        ),
    ];
    for (fault, kind, exit) in forever {
        // From the middle of the run on, for every key: the token ran out, the clock jumped, the bucket is elsewhere.
        for (key, _) in &objects {
            bucket.fault(key, 1, 1000, fault.clone());
        }
        let compared = bucket.compared(&manifest).await;
        assert!(compared.is_cut_short_by(kind), "{fault:?}: {:?} {:?}", compared.places(), compared.result.cut_short);
        let failure: &Failure = compared.result.cut_short.as_ref().unwrap();
        assert_eq!(failure.kind.exit_code(), exit);
        assert!(failure.hint.is_some(), "{failure}");
        bucket.running.faults().clear();
    }
    bucket.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn throttling_without_end_stops_the_run_and_says_so() {
    let mut bucket = Bucket::with(true, &[("a", b"1"), ("b", b"2"), ("c", b"3")]).await;
    let manifest = bucket.captured(DigestSet::BOTH).await;
    for key in ["a", "b", "c"] {
        bucket.fault(key, 1, 1000, Fault::SlowDown);
    }
    let compared = bucket.compared(&manifest).await;
    assert!(compared.is_cut_short_by(FailureKind::Throttled), "{:?}", compared.result.cut_short);
    bucket.end().await;
}

/// A page of ListObjectsV2: keys, tags and sizes, and where the next page begins.
fn listing(entries: &[(&str, &str, u64)], token: Option<&str>) -> String {
    let entry = |(key, tag, size): &(&str, &str, u64)| {
        format!(
            "<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>\
             <ETag>\"{tag}\"</ETag><Size>{size}</Size></Contents>"
        )
    };
    let entries: String = entries.iter().map(entry).collect();
    let next = token.map(|token| format!("<NextContinuationToken>{token}</NextContinuationToken>")).unwrap_or_default();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>vault</Name>\
         <IsTruncated>{}</IsTruncated>{entries}{next}</ListBucketResult>",
        token.is_some()
    )
}

fn page(keys: &[&str], token: Option<&str>) -> Fault {
    let entries: Vec<(&str, &str, u64)> = keys.iter().map(|key| (*key, "x", 1)).collect();
    Fault::Xml(listing(&entries, token))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listings_that_circle_repeat_or_run_backwards_end_the_run_and_make_nothing_missing() {
    let mut bucket = Bucket::with(false, &[("a", b"1"), ("b", b"2")]).await;
    let manifest = bucket.captured(DigestSet::BOTH).await;
    let source = bucket.source().await;
    let plans: [(&str, Vec<Fault>); 5] = [
        ("the same token again", vec![page(&[], Some("t")); 50]),
        ("two tokens in turn", (0..50).map(|n| page(&[], Some(if n % 2 == 0 { "t" } else { "u" }))).collect()),
        ("a key twice", vec![page(&["a", "a"], None)]),
        ("a key again on the next page", vec![page(&["a"], Some("t")), page(&["a", "b"], None)]),
        ("backwards", vec![page(&["b", "a"], None)]),
    ];
    for (what, faults) in plans {
        for fault in &faults {
            bucket.fault("", 1, 1, fault.clone());
        }
        // The objects of these pages are not those of the bucket: what was read before the lie may differ.
        let monitor = Collected::default();
        let result = compare(&source, &manifest, &ReadOptions::default(), &monitor).await.unwrap();
        assert!(result.cut_short.is_some(), "{what}");
        assert_eq!(result.objects.unwrap().missing, 0, "{what}");
        assert!(!result.outcome(0).0.is_pass(), "{what}");
        bucket.running.faults().clear();
        for fault in faults {
            bucket.fault("", 1, 1, fault);
        }
        let request = bucket.request();
        assert!(capture(&source, &request, None, &Collected::default()).await.is_err(), "{what}");
        assert!(!request.out.exists(), "{what}");
        bucket.running.faults().clear();
    }
    assert!(bucket.compared(&manifest).await.is_pass());
    bucket.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn empty_objects_and_keys_with_plus_and_control_characters_are_read_as_any_other() {
    let keys = ["+", "a+b", "a b", "a%2Bb", "\u{1}", "tab\there", "new\nline", "\u{7f}", "dir/", "dir//x", "ü+ü"];
    let objects: Vec<(&str, &[u8])> = keys.iter().map(|key| (*key, if key.len() % 2 == 0 { &b""[..] } else { key.as_bytes() })).collect();
    for versioned in [false, true] {
        let mut bucket = Bucket::with(versioned, &objects).await;
        let manifest = bucket.captured(DigestSet::BOTH).await;
        let mut found: Vec<String> = manifest.objects().map(|row| row.unwrap().key).collect();
        found.sort_unstable();
        let mut expected: Vec<&str> = keys.to_vec();
        expected.sort_unstable();
        assert_eq!(found, expected);
        let compared = bucket.compared(&manifest).await;
        assert!(compared.is_pass(), "{:?}", compared.findings);
        bucket.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_delete_markers_are_counted_and_compared() {
    let mut bucket = Bucket::with(true, &[("kept", b"x")]).await;
    for thousand in 0..10 {
        let named = |n: u32| ObjectIdentifier::builder().key(format!("gone/{:05}", thousand * 1000 + n)).build().unwrap();
        let delete = Delete::builder().set_objects(Some((0..1000).map(named).collect())).build().unwrap();
        bucket.client.delete_objects().bucket("vault").delete(delete).send().await.unwrap();
    }
    let manifest = bucket.captured(DigestSet::BOTH).await;
    assert_eq!(manifest.header().counts["delete_markers"], 10_000);
    let compared = bucket.compared(&manifest).await;
    assert!(compared.is_pass(), "{:?}", compared.findings);
    assert_eq!(compared.result.objects.unwrap().matched, 10_001);
    let source = S3Source::open(&bucket.session, "vault", "", Some(View::Latest)).await.unwrap();
    let monitor = Collected::default();
    let options = ReadOptions { view: Some(View::Latest), ..ReadOptions::default() };
    let result = compare(&source, &manifest, &options, &monitor).await.unwrap();
    assert_eq!((result.objects.unwrap().matched, monitor.findings().len()), (1, 0));
    bucket.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bounded_run_is_incomplete_and_never_a_pass() {
    let objects: Vec<(String, Vec<u8>)> = (0..30).map(|n| (format!("k{n:02}"), noise(1000, n))).collect();
    let borrowed: Vec<(&str, &[u8])> = objects.iter().map(|(key, content)| (key.as_str(), content.as_slice())).collect();
    let mut bucket = Bucket::with(true, &borrowed).await;
    let manifest = bucket.captured(DigestSet::BOTH).await;
    let bounds = [
        Effort { max_bytes: Some(10_500), ..Effort::default() },
        Effort { max_bytes: Some(1), ..Effort::default() },
        Effort { time_limit: Some(Duration::from_nanos(1)), ..Effort::default() },
    ];
    for effort in bounds {
        let compared = bucket.compared_with(&manifest, effort.clone()).await;
        assert!(compared.is_cut_short_by(FailureKind::Interrupted), "{effort:?}");
        let matched = compared.result.objects.unwrap().matched;
        assert!((1..30).contains(&matched), "{matched} with {effort:?}");
        assert_eq!(compared.result.cut_short.unwrap().kind.exit_code(), ExitCode::Incomplete);
        let request = CaptureRequest { effort, ..bucket.request() };
        let failure = capture(&bucket.source().await, &request, None, &Collected::default()).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Interrupted);
        assert!(!request.out.exists());
    }
    bucket.end().await;
}
