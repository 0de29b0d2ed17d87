//! Runs that are interrupted or bounded and go on where they were: what was read is not read again, verdicts are those of one run, and
//! the ledger tells what was done when.
//!
//! Contents: bounded runs until all is covered; ranges of a large object; passes and ages; killed runs and damaged ledgers; captures;
//! whose ledger it is; the command line.
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use attestore::aws::s3::S3Source;
use attestore::aws::session::Session;
use attestore::model::capture::CaptureMode;
use attestore::model::digest::Digest32;
use attestore::model::failure::{Failure, FailureKind};
use attestore::model::finding::Class;
use attestore::model::outcome::Outcome;
use attestore::model::source_url::View;
use attestore::model::verification::{Progress, Verification};
use attestore::monitor::Collected;
use attestore::sandbox::s3::faults::Fault;
use attestore::sandbox::server::{Running, Sandbox};
use attestore::verify::manifest::reader::Manifest;
use attestore::verify::manifest::request::{CaptureRequest, DigestSet, Effort, ReadOptions, StateDir};
use attestore::verify::objects::capture::capture;
use attestore::verify::objects::compare::compare;
use attestore::verify::objects::ledger::coverage::coverage;
use attestore::verify::objects::source::{Body, Entry, ObjectSource, Told};
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use futures_util::stream::BoxStream;
use serde_json::Value;

/// A source that notes which ranges of which keys were asked for.
struct Watched {
    inner: S3Source,
    asked: Mutex<Vec<(String, std::ops::Range<u64>)>>,
    bytes: AtomicU64,
}

impl Watched {
    fn note(&self, entry: &Entry, range: std::ops::Range<u64>) {
        self.bytes.fetch_add(range.end - range.start, Ordering::SeqCst);
        self.asked.lock().unwrap().push((entry.key.clone(), range));
    }
}

#[async_trait]
impl ObjectSource for Watched {
    fn url(&self) -> String {
        self.inner.url()
    }

    fn view(&self) -> Option<View> {
        self.inner.view()
    }

    fn has_versions(&self) -> bool {
        self.inner.has_versions()
    }

    fn list(&self) -> BoxStream<'static, Result<Entry, Failure>> {
        self.inner.list()
    }

    async fn read(&self, entry: &Entry, offset: u64) -> Result<Body, Failure> {
        self.note(entry, offset..entry.size);
        self.inner.read(entry, offset).await
    }

    fn has_ranges(&self) -> bool {
        true
    }

    async fn read_range(&self, entry: &Entry, range: std::ops::Range<u64>) -> Result<Body, Failure> {
        self.note(entry, range.clone());
        self.inner.read_range(entry, range).await
    }

    fn has_evidence(&self) -> bool {
        self.inner.has_evidence()
    }

    async fn told(&self, entry: &Entry) -> Result<Told, Failure> {
        self.inner.told(entry).await
    }

    fn request_attempts(&self) -> u32 {
        self.inner.request_attempts()
    }
}

struct Bucket {
    running: Running,
    session: Session,
    client: Client,
    dir: tempfile::TempDir,
}

impl Bucket {
    async fn with(objects: &[(String, Vec<u8>)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let running = Sandbox::start(&dir.path().join("sandbox"), None).await.unwrap();
        let session = Session::load(&running.session_options()).await;
        let client = Client::from_conf(aws_sdk_s3::config::Builder::from(session.config()).force_path_style(true).build());
        client.create_bucket().bucket("vault").send().await.unwrap();
        let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        client.put_bucket_versioning().bucket("vault").versioning_configuration(enabled).send().await.unwrap();
        let bucket = Self { running, session, client, dir };
        for (key, content) in objects {
            bucket.put(key, content).await;
        }
        bucket
    }

    async fn put(&self, key: &str, content: &[u8]) {
        self.client.put_object().bucket("vault").key(key).body(ByteStream::from(content.to_vec())).send().await.unwrap();
    }

    async fn source(&self) -> Watched {
        let inner = S3Source::open(&self.session, "vault", "", None).await.unwrap();
        Watched { inner, asked: Mutex::default(), bytes: AtomicU64::new(0) }
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    fn effort(&self) -> Effort {
        Effort { state: Some(StateDir { path: self.state(), max_age: None }), ..Effort::default() }
    }

    async fn captured(&self, name: &str, digests: DigestSet) -> Manifest {
        let request = CaptureRequest { digests, ..CaptureRequest::new(self.dir.path().join(name), CaptureMode::VersionExact) };
        capture(&self.source().await, &request, None, &Collected::default()).await.unwrap();
        Manifest::open(&request.out).unwrap()
    }

    /// One run: its result, its findings' classes and keys, and the bytes that were asked for.
    async fn run(&self, manifest: &Manifest, effort: Effort) -> (Verification, Vec<(Class, String)>, u64) {
        let source = self.source().await;
        let monitor = Collected::default();
        let options = ReadOptions { effort, ..ReadOptions::default() };
        let result = compare(&source, manifest, &options, &monitor).await.unwrap();
        assert!(result.objects.unwrap().adds_up());
        let findings = monitor.findings().iter().map(|finding| (finding.class, finding.place.parts().1.to_owned())).collect();
        (result, findings, source.bytes.load(Ordering::SeqCst))
    }

    async fn end(self) {
        self.running.stop().await.unwrap();
    }
}

fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn small_objects() -> Vec<(String, Vec<u8>)> {
    (0..40).map(|n| (format!("k{n:02}"), noise(1000 + n, n as u64))).collect()
}

fn total(objects: &[(String, Vec<u8>)]) -> u64 {
    objects.iter().map(|(_, content)| content.len() as u64).sum()
}

fn progress(result: &Verification) -> &Progress {
    result.progress.as_ref().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bounded_runs_are_repeated_until_all_is_covered_and_nothing_is_read_twice() {
    let objects = small_objects();
    let bucket = Bucket::with(&objects).await;
    let manifest = bucket.captured("m", DigestSet::BOTH).await;
    // One damaged version, found in whichever run reads it, and told by every later one.
    bucket.running.faults().on_get("vault", "k07", 1, 2, Fault::FlipByte(5));
    let (mut asked, mut runs) = (0, 0);
    loop {
        runs += 1;
        let (result, findings, bytes) = bucket.run(&manifest, Effort { max_bytes: Some(9_000), ..bucket.effort() }).await;
        asked += bytes;
        if runs > 1 {
            assert_eq!(findings, [(Class::Mismatch, "k07".to_owned())], "run {runs}");
        }
        assert_eq!(progress(&result).runs, runs);
        if progress(&result).complete {
            assert_eq!(result.objects.unwrap().checked, 40);
            assert_eq!(result.outcome(0).0, Outcome::Fail);
            break;
        }
        let cut = result.cut_short.as_ref().unwrap();
        assert_eq!(cut.kind, FailureKind::Interrupted);
        assert!(!result.outcome(0).0.is_pass(), "what is incomplete never passes");
        let (state, coverage) = coverage(&bucket.state(), &manifest).unwrap();
        assert_eq!((state.pass, state.complete, coverage.objects_expected), (1, false, 40));
        assert!(coverage.objects_covered >= runs && coverage.objects_covered < 40);
        assert!(runs < 20);
    }
    assert!(runs > 4, "{runs} runs of 9,000 bytes");
    // Each byte once, and the one that differed once more.
    assert_eq!(asked, total(&objects) + objects[7].1.len() as u64);
    let (state, coverage) = coverage(&bucket.state(), &manifest).unwrap();
    assert_eq!((coverage.objects_covered, coverage.objects_never, coverage.bytes_covered), (40, 0, total(&objects)));
    assert!(state.complete && state.runs.len() as u64 == runs && coverage.oldest <= coverage.newest);
    bucket.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranges_of_a_large_object_are_kept_and_give_the_standard_digests() {
    let content = noise((41 << 20) + 77, 1);
    let objects = vec![("a".to_owned(), content.clone()), ("z".to_owned(), b"small".to_vec())];
    let bucket = Bucket::with(&objects).await;
    for digests in [DigestSet::BLAKE3, DigestSet::SHA256, DigestSet::BOTH] {
        let name = digests.to_string();
        let path = bucket.dir.path().join(format!("state-{name}"));
        let effort = Effort { max_bytes: Some(17 << 20), state: Some(StateDir { path, max_age: None }), ..bucket.effort() };
        let out = bucket.dir.path().join(&name);
        let request = CaptureRequest { digests, effort, ..CaptureRequest::new(&out, CaptureMode::VersionExact) };
        let mut asked = Vec::new();
        for run in 1.. {
            let source = bucket.source().await;
            let captured = capture(&source, &request, None, &Collected::default()).await;
            asked.append(&mut source.asked.lock().unwrap());
            match captured {
                Ok(_) => break,
                Err(failure) => assert_eq!(failure.kind, FailureKind::Interrupted, "{failure}"),
            }
            assert!(run < 10 && !out.exists());
        }
        let manifest = Manifest::open(&out).unwrap();
        let row = manifest.objects().next().unwrap().unwrap();
        assert_eq!(row.blake3, digests.blake3.then(|| Digest32::blake3(&content)));
        assert_eq!(row.sha256, digests.sha256.then(|| Digest32::sha256(&content)));
        assert!(row.s3_checksum.is_some());
        asked.sort_by_key(|(key, range)| (key.clone(), range.start));
        let bytes: u64 = asked.iter().map(|(_, range)| range.end - range.start).sum();
        assert_eq!(bytes, total(&objects), "{digests}: each byte once: {asked:?}");
        // A run that stalls in the middle of the object: its other ranges are kept.
        bucket.running.faults().on_get("vault", "a", 4, 100, Fault::StallAfter(10));
        let effort = Effort { stall: Duration::from_millis(700), ..bucket.effort() };
        let (result, findings, _) = bucket.run(&manifest, effort).await;
        assert_eq!(findings, [(Class::Unreadable, "a".to_owned())]);
        assert!(!progress(&result).complete);
        bucket.running.faults().clear();
        let (result, findings, bytes) = bucket.run(&manifest, bucket.effort()).await;
        assert_eq!((findings, result.outcome(0).0), (vec![], Outcome::Pass));
        assert!(bytes <= content.len() as u64 - (8 << 20), "{bytes} of {} asked for again", content.len());
        assert!(progress(&result).complete && progress(&result).objects_recalled == 1);
        std::fs::remove_dir_all(bucket.state()).unwrap();
    }
    bucket.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_pass_reads_again_and_an_age_spares_what_is_young() {
    let objects = small_objects();
    let bucket = Bucket::with(&objects).await;
    let manifest = bucket.captured("m", DigestSet::BLAKE3).await;
    for pass in 1..=2 {
        let (result, _, bytes) = bucket.run(&manifest, bucket.effort()).await;
        assert_eq!((progress(&result).pass, bytes), (pass, total(&objects)), "everything is read in every pass");
    }
    let hour = Some(StateDir { path: bucket.state(), max_age: Some(Duration::from_secs(3600)) });
    let (result, _, bytes) = bucket.run(&manifest, Effort { state: hour, ..bucket.effort() }).await;
    assert_eq!((bytes, progress(&result).objects_recalled, result.outcome(0).0), (0, 40, Outcome::Pass));
    // A new version is no version that was read.
    bucket.put("k00", b"new").await;
    let hour = Some(StateDir { path: bucket.state(), max_age: Some(Duration::from_secs(3600)) });
    let (_, findings, bytes) = bucket.run(&manifest, Effort { state: hour, ..bucket.effort() }).await;
    assert_eq!((findings, bytes), (vec![(Class::Extra, "k00".to_owned())], 0));
    bucket.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_ledgers_cost_reading_again_and_never_a_verdict() {
    let objects = small_objects();
    let bucket = Bucket::with(&objects).await;
    let manifest = bucket.captured("m", DigestSet::BOTH).await;
    bucket.run(&manifest, Effort { max_bytes: Some(20_000), ..bucket.effort() }).await;
    let log = bucket.state().join("run.log");
    let whole = std::fs::read(&log).unwrap();
    // Torn at its end, as a crash leaves it; flipped in its middle; of another kind altogether.
    let mut torn = whole.clone();
    torn.truncate(whole.len() - 30);
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for damaged in [torn, flipped, b"not a ledger\n\xff\xfe".to_vec()] {
        let state = std::fs::read(bucket.state().join("state.json")).unwrap();
        std::fs::write(&log, &damaged).unwrap();
        let (result, findings, bytes) = bucket.run(&manifest, bucket.effort()).await;
        assert_eq!((findings, result.outcome(0).0), (vec![], Outcome::Pass));
        assert!(bytes > total(&objects) - 20_000);
        for file in ["run.log", "read.log", "early.log"] {
            let _ = std::fs::remove_file(bucket.state().join(file));
        }
        std::fs::write(bucket.state().join("state.json"), state).unwrap();
    }
    std::fs::write(bucket.state().join("state.json"), b"{}").unwrap();
    let options = ReadOptions { effort: bucket.effort(), ..ReadOptions::default() };
    let failure = compare(&bucket.source().await, &manifest, &options, &Collected::default()).await.unwrap_err();
    assert!(failure.kind == FailureKind::Invalid && failure.message.contains("state.json"), "{failure}");
    bucket.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_is_for_one_purpose_and_one_run_at_a_time() {
    let bucket = Bucket::with(&small_objects()).await;
    let manifest = bucket.captured("m", DigestSet::BOTH).await;
    bucket.run(&manifest, bucket.effort()).await;
    let other = bucket.captured("other", DigestSet::BLAKE3).await;
    let refused = |failure: Failure, said: &str| {
        assert!(failure.kind == FailureKind::Invalid && failure.message.contains(said) && failure.hint.is_some(), "{failure}");
    };
    let options = ReadOptions { effort: bucket.effort(), ..ReadOptions::default() };
    refused(compare(&bucket.source().await, &other, &options, &Collected::default()).await.unwrap_err(), "another manifest");
    refused(coverage(&bucket.state(), &other).unwrap_err(), "is of the manifest");
    refused(coverage(bucket.dir.path(), &manifest).unwrap_err(), "holds no reading state");
    let only = ReadOptions { digests: Some(DigestSet::BLAKE3), ..options };
    refused(compare(&bucket.source().await, &manifest, &only, &Collected::default()).await.unwrap_err(), "set of digests");
    let request = CaptureRequest { effort: bucket.effort(), ..CaptureRequest::new(bucket.dir.path().join("n"), CaptureMode::Sealed) };
    refused(capture(&bucket.source().await, &request, None, &Collected::default()).await.unwrap_err(), "another task");
    let lock = std::fs::File::open(bucket.state().join("lock")).unwrap();
    lock.lock().unwrap();
    let options = ReadOptions { effort: bucket.effort(), ..ReadOptions::default() };
    let failure = compare(&bucket.source().await, &manifest, &options, &Collected::default()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused, "{failure}");
    bucket.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_run_leaves_what_it_read_to_the_next() {
    let objects = small_objects();
    let bucket = Bucket::with(&objects).await;
    let manifest = bucket.captured("m", DigestSet::BLAKE3).await;
    // The last object never comes, so that the run is at work until it is killed.
    bucket.running.faults().on_get("vault", "k39", 1, 1, Fault::StallAfter(3));
    let options = bucket.running.session_options();
    let (id, secret) = options.static_credentials.unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_attestore"));
    command.args(["verify", "s3://vault", "--manifest"]).arg(manifest.dir()).arg("--state").arg(bucket.state());
    command.env("AWS_ENDPOINT_URL", options.endpoint.unwrap()).env("AWS_REGION", options.region.unwrap());
    command.env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", secret);
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    let read = || std::fs::read_to_string(bucket.state().join("run.log")).unwrap_or_default().matches("\"read\"").count();
    while read() < 39 {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let (state, covered) = coverage(&bucket.state(), &manifest).unwrap();
    assert_eq!((covered.objects_covered, state.runs[0].ended), (39, None));
    let (result, findings, bytes) = bucket.run(&manifest, bucket.effort()).await;
    assert_eq!((findings, result.outcome(0).0), (vec![], Outcome::Pass));
    assert_eq!((bytes, progress(&result).objects_recalled, progress(&result).runs), (objects[39].1.len() as u64, 39, 2));
    bucket.end().await;
}

fn attestore(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_attestore")).args(args).output().unwrap()
}

fn summary(output: &Output) -> Value {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[test]
fn the_command_line_repeats_bounded_runs_and_shows_the_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    for (key, content) in small_objects() {
        std::fs::write(tree.join(key), content).unwrap();
    }
    let text = |path: &Path| path.display().to_string();
    let (source, manifest) = (format!("dir:{}", tree.display()), text(&dir.path().join("m")));
    let (capturing, state) = (text(&dir.path().join("capturing")), text(&dir.path().join("state")));
    let create = ["manifest", "create", &source, "--out", &manifest, "--state", &capturing, "--max-bytes", "25kB", "--json"];
    let first = attestore(&create);
    assert_eq!(first.status.code(), Some(3), "{first:?}");
    assert!(String::from_utf8_lossy(&first.stderr).contains("run the same command again"), "{first:?}");
    let second = attestore(&create);
    assert_eq!(second.status.code(), Some(0), "{second:?}");

    let verify = ["verify", &source, "--manifest", &manifest, "--state", &state, "--json"];
    let bounded = attestore(&[&verify[..], &["--max-bytes", "25kB"]].concat());
    assert_eq!((bounded.status.code(), summary(&bounded)["outcome"].as_str()), (Some(3), Some("inconclusive")), "{bounded:?}");
    let shown = attestore(&[&verify[..], &["--coverage"]].concat());
    assert_eq!(shown.status.code(), Some(3), "{shown:?}");
    let covered = summary(&shown)["coverage"]["objects_covered"].as_u64().unwrap();
    assert!((1..40).contains(&covered));
    let rest = attestore(&verify);
    assert_eq!((rest.status.code(), summary(&rest)["outcome"].as_str()), (Some(0), Some("pass")), "{rest:?}");
    assert_eq!(summary(&rest)["progress"]["objects_recalled"].as_u64(), Some(covered));
    assert_eq!(summary(&rest)["objects"]["match"].as_u64(), Some(40));
    let shown = attestore(&[&verify[..], &["--coverage"]].concat());
    assert_eq!((shown.status.code(), summary(&shown)["runs"].as_array().unwrap().len()), (Some(0), 2), "{shown:?}");
    // What was recalled is a digest of what was there then: a change since is another file.
    std::fs::write(tree.join("k03"), b"changed").unwrap();
    let again = attestore(&[&verify[..], &["--max-age", "1h"]].concat());
    assert_eq!((again.status.code(), summary(&again)["objects"]["mismatch"].as_u64()), (Some(1), Some(1)), "{again:?}");
}
