//! The S3 object source over the wire, against the stand-in S3: listings in pages, hostile keys, versions, faults in bodies; copies of
//! an earlier moment by parts; captures that go on from an earlier one, by the command line.

use std::path::Path;

use attestore::aws::s3::S3Source;
use attestore::aws::s3_copies::copy_as_of;
use attestore::aws::session::Session;
use attestore::model::capture::CaptureMode;
use attestore::model::failure::FailureKind;
use attestore::model::finding::Class;
use attestore::model::source_url::View;
use attestore::monitor::Collected;
use attestore::sandbox::s3::faults::Fault;
use attestore::sandbox::server::{Running, Sandbox};
use attestore::verify::manifest::reader::Manifest;
use attestore::verify::manifest::request::{CaptureRequest, ReadOptions};
use attestore::verify::manifest::row::ObjectRow;
use attestore::verify::objects::capture::capture;
use attestore::verify::objects::compare::compare;
use attestore::verify::objects::source::{EntryKind, ObjectSource};
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};

struct Bucket {
    running: Running,
    session: Session,
    client: Client,
    dir: tempfile::TempDir,
}

impl Bucket {
    /// A sandbox with the bucket `vault`.
    async fn new(versioned: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let running = Sandbox::start(&dir.path().join("state"), None).await.unwrap();
        let session = Session::load(&running.session_options()).await;
        let client = Client::from_conf(aws_sdk_s3::config::Builder::from(session.config()).force_path_style(true).build());
        let bucket = Self { running, session, client, dir };
        bucket.make("vault", versioned).await;
        bucket
    }

    async fn make(&self, name: &str, versioned: bool) {
        self.client.create_bucket().bucket(name).send().await.unwrap();
        if versioned {
            let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
            self.client.put_bucket_versioning().bucket(name).versioning_configuration(enabled).send().await.unwrap();
        }
    }

    async fn put(&self, bucket: &str, key: &str, content: &[u8]) {
        self.client.put_object().bucket(bucket).key(key).body(ByteStream::from(content.to_vec())).send().await.unwrap();
    }

    async fn delete(&self, bucket: &str, key: &str) {
        self.client.delete_object().bucket(bucket).key(key).send().await.unwrap();
    }

    async fn source(&self, bucket: &str, prefix: &str, view: Option<View>) -> S3Source {
        S3Source::open(&self.session, bucket, prefix, view).await.unwrap()
    }

    async fn capture(&self, source: &dyn ObjectSource, name: &str) -> Manifest {
        let out = self.dir.path().join(name);
        let monitor = Collected::default();
        capture(source, &CaptureRequest::new(&out, CaptureMode::VersionExact), None, &monitor).await.unwrap();
        assert_eq!(monitor.findings(), []);
        Manifest::open(Path::new(&out)).unwrap()
    }
}

fn rows(manifest: &Manifest) -> Vec<ObjectRow> {
    manifest.objects().map(Result::unwrap).collect()
}

/// Classes and keys of the differences.
async fn compared(source: &dyn ObjectSource, manifest: &Manifest) -> Vec<(Class, String)> {
    let monitor = Collected::default();
    let result = compare(source, manifest, &ReadOptions::default(), &monitor).await.unwrap();
    assert!(result.cut_short.is_none(), "{:?}", result.cut_short);
    monitor.findings().iter().map(|finding| (finding.class, finding.place.parts().1.to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_keys_and_interleaved_delete_markers_survive() {
    let bucket = Bucket::new(true).await;
    let long = "k".repeat(1024);
    let keys = ["new\nline", "a b", "a+b", "a%2Bb", "../../etc", "/leading", "\u{1}control", "é\u{10ffff}", "<Version>&amp;", &long];
    for key in keys {
        bucket.put("vault", key, key.as_bytes()).await;
    }
    // All within a second or so: only the order in the answer tells them apart.
    for content in ["one", "two"] {
        bucket.put("vault", "many", content.as_bytes()).await;
        bucket.delete("vault", "many").await;
    }
    bucket.put("vault", "many", b"three").await;
    let source = bucket.source("vault", "", None).await;
    assert_eq!(source.view(), Some(View::Versions));
    let manifest = bucket.capture(&source, "m").await;
    assert_eq!(manifest.header().view.as_deref(), Some("versions"));
    let rows = rows(&manifest);
    for key in keys {
        assert!(rows.iter().any(|row| row.key == key && row.size == key.len() as u64), "{key:?}");
    }
    let many: Vec<(u32, EntryKind, u64)> = rows.iter().filter(|row| row.key == "many").map(|row| (row.seq, row.kind, row.size)).collect();
    use EntryKind::{DeleteMarker, Object};
    assert_eq!(many, [(0, Object, 3), (1, DeleteMarker, 0), (2, Object, 3), (3, DeleteMarker, 0), (4, Object, 5)]);
    assert!(rows.iter().filter(|row| row.kind == Object).all(|row| row.s3_checksum.is_some() && row.version_id.is_some()));
    assert_eq!(compared(&source, &manifest).await, []);

    // The same versions under new ids in another bucket are the same.
    bucket.make("restored", true).await;
    for key in keys {
        bucket.put("restored", key, key.as_bytes()).await;
    }
    for content in ["one", "two"] {
        bucket.put("restored", "many", content.as_bytes()).await;
        bucket.delete("restored", "many").await;
    }
    bucket.put("restored", "many", b"three").await;
    let restored = bucket.source("restored", "", None).await;
    assert_eq!(compared(&restored, &manifest).await, []);
    bucket.put("restored", "a+b", b"later").await;
    assert_eq!(compared(&restored, &manifest).await, [(Class::Extra, "a+b".to_owned())]);
    bucket.running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listings_go_over_many_pages_and_prefixes_hold() {
    let bucket = Bucket::new(true).await;
    // More versions of one key than a page has, so that a key's versions lie on two pages.
    for n in 0..1100u32 {
        bucket.put("vault", if n < 1050 { "p/key" } else { "q" }, &n.to_le_bytes()).await;
    }
    let source = bucket.source("vault", "p/", None).await;
    let manifest = bucket.capture(&source, "m").await;
    let rows = rows(&manifest);
    assert_eq!(rows.len(), 1050);
    assert!(rows.iter().enumerate().all(|(n, row)| row.key == "p/key" && row.seq == n as u32));
    let oldest = attestore::model::digest::Digest32::blake3(&0u32.to_le_bytes());
    assert_eq!(rows[0].blake3, Some(oldest), "0 is the oldest");
    assert_eq!(compared(&source, &manifest).await, []);
    let latest = bucket.source("vault", "", Some(View::Latest)).await;
    let manifest = bucket.capture(&latest, "latest").await;
    assert_eq!((manifest.header().parts[0].rows, manifest.header().view.as_deref()), (2, Some("latest")));
    bucket.running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_bodies_are_resumed_and_damaged_ones_are_told() {
    let bucket = Bucket::new(true).await;
    let large: Vec<u8> = (0..3_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    bucket.put("vault", "large", &large).await;
    bucket.put("vault", "small", b"content").await;
    let source = bucket.source("vault", "", None).await;
    let manifest = bucket.capture(&source, "m").await;
    let faults = bucket.running.faults();
    faults.on_get("vault", "large", 1, 2, Fault::CutAfter(1_000_000));
    assert_eq!(compared(&source, &manifest).await, [], "resumed from where it broke");
    faults.on_get("vault", "large", 1, 100, Fault::CutAfter(0));
    assert_eq!(compared(&source, &manifest).await, [(Class::Unreadable, "large".to_owned())]);
    faults.clear();
    // The SDK holds the body to the checksum in the answer: told as unreadable, and never as a match.
    faults.on_get("vault", "large", 1, 100, Fault::FlipByte(2_000_000));
    let found = compared(&source, &manifest).await;
    assert!(found == [(Class::Unreadable, "large".to_owned())] || found == [(Class::Mismatch, "large".to_owned())], "{found:?}");
    faults.clear();
    faults.on_get("vault", "small", 1, 100, Fault::ShortLength(3));
    assert_eq!(compared(&source, &manifest).await, [(Class::Unreadable, "small".to_owned())]);
    faults.clear();
    faults.on_get("vault", "large", 1, 1, Fault::CutAfter(1_000_000));
    faults.on_get("vault", "large", 2, 100, Fault::ContentRange("bytes 5-2999999/3000000".into()));
    assert_eq!(compared(&source, &manifest).await, [(Class::Unreadable, "large".to_owned())], "another range than asked for");
    faults.clear();
    faults.on_get("vault", "large", 1, 100, Fault::AccessDenied);
    assert_eq!(compared(&source, &manifest).await, [(Class::Unreadable, "large".to_owned())]);
    bucket.running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn buckets_without_versions_are_read_as_they_stand_and_absent_ones_are_absent() {
    let bucket = Bucket::new(false).await;
    bucket.put("vault", "a", b"one").await;
    let source = bucket.source("vault", "", None).await;
    assert_eq!(source.view(), Some(View::Latest));
    let manifest = bucket.capture(&source, "m").await;
    assert_eq!(rows(&manifest)[0].version_id, None);
    assert_eq!(compared(&source, &manifest).await, []);
    bucket.put("vault", "a", b"two").await;
    assert_eq!(compared(&source, &manifest).await, [(Class::Mismatch, "a".to_owned())]);
    for view in [None, Some(View::Latest), Some(View::Versions)] {
        let failure = S3Source::open(&bucket.session, "nowhere", "", view).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Absent, "{failure}");
    }
    bucket.running.stop().await.unwrap();
}

/// As objects beyond 5 GiB are copied, with the limit lowered: the parts, and what a copy of parts leaves behind by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_beyond_the_limit_is_copied_by_parts_with_all_that_belongs_to_it() {
    const LIMIT: u64 = 5 << 20;
    let bucket = Bucket::new(true).await;
    bucket.make("ours", true).await;
    let large: Vec<u8> = (0..(2 * LIMIT + 12_345) as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    let put = bucket.client.put_object().bucket("vault").key("d/large é+").body(ByteStream::from(large.clone()));
    let put = put.metadata("owner", "archive").content_type("video/mp4").cache_control("no-store").tagging("case=a%26b&year=2026");
    let put = put.expires(aws_sdk_s3::primitives::DateTime::from_secs(1_900_000_000));
    put.send().await.unwrap();
    bucket.put("vault", "d/small", b"small").await;
    bucket.put("vault", "d/exact", &vec![1; LIMIT as usize]).await;
    let before = bucket.capture(&bucket.source("vault", "", Some(View::Latest)).await, "before").await;
    // The moment is over, and then everything is written over.
    bucket.running.s3().connection().execute("UPDATE version SET modified = modified - 10", []).unwrap();
    let at = attestore::model::clock::Timestamp::from_secs(attestore::model::clock::Timestamp::now().as_secs() - 5);
    bucket.put("vault", "d/large é+", b"written over").await;
    bucket.delete("vault", "d/small").await;
    assert_eq!(copy_as_of(&bucket.session, ("vault", ""), at, "ours", LIMIT).await.unwrap(), 3);
    let ours = bucket.source("ours", "", Some(View::Latest)).await;
    assert_eq!(compared(&ours, &before).await, [], "content, metadata and tags");
    let head = bucket.client.head_object().bucket("ours").key("d/large é+").send().await.unwrap();
    assert!(head.e_tag().unwrap().ends_with("-3\""), "three parts: {:?}", head.e_tag());
    // Again, after a crash: what is there is not copied again.
    assert_eq!(copy_as_of(&bucket.session, ("vault", ""), at, "ours", LIMIT).await.unwrap(), 3);
    let versions = bucket.client.list_object_versions().bucket("ours").send().await.unwrap();
    assert_eq!(versions.versions().len(), 3);
}

/// Through an access point, such as that of a recovery point, a bucket does not say whether it has versions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_does_not_tell_its_versioning_is_read_in_the_view_that_was_chosen() {
    let bucket = Bucket::new(true).await;
    bucket.put("vault", "a", b"one").await;
    bucket.put("vault", "a", b"two").await;
    let untold = || Fault::Refusal(405, "MethodNotAllowed", "The specified method is not allowed against this resource.");
    bucket.running.faults().on_next(1, untold());
    let refused = S3Source::open(&bucket.session, "vault", "", None).await.unwrap_err();
    assert!(refused.hint.unwrap().contains("--view versions"));
    for (view, listed) in [(View::Versions, 2), (View::Latest, 1)] {
        bucket.running.faults().on_next(1, untold());
        let source = bucket.source("vault", "", Some(view)).await;
        let manifest = bucket.capture(&source, &format!("through-{view}")).await;
        assert_eq!(rows(&manifest).len(), listed);
        assert_eq!(compared(&source, &manifest).await, []);
    }
}

mod command_line {
    use std::process::{Command, Output};

    use attestore::signing::keys::SigningKey;
    use serde_json::Value;

    use super::*;

    async fn create(bucket: &Bucket, out: &str, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_attestore"));
        let options = bucket.running.session_options();
        let (id, secret) = options.static_credentials.unwrap();
        command.env("AWS_REGION", options.region.unwrap()).env("AWS_ENDPOINT_URL", options.endpoint.unwrap());
        command.env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", secret).current_dir(bucket.dir.path());
        command.args(["manifest", "create", "s3://vault", "--out", out, "--json"]).args(more);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    fn summary(output: &Output) -> Value {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        serde_json::from_str(text.lines().last().unwrap_or_else(|| panic!("{}", said(output)))).unwrap()
    }

    fn said(output: &Output) -> String {
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn since_reads_what_is_new_and_the_share_that_was_asked_for() {
        let bucket = Bucket::new(true).await;
        for n in 0..40 {
            bucket.put("vault", &format!("k{n:02}"), format!("content {n}").as_bytes()).await;
        }
        SigningKey::generate(&bucket.dir.path().join("key.pem")).unwrap();
        let signed = ["--sign-key", "key.pem"];
        let first = create(&bucket, "first", &signed).await;
        assert_eq!(first.status.code(), Some(0), "{}", said(&first));
        bucket.put("vault", "k00", b"a second version").await;
        bucket.put("vault", "new", b"new").await;
        bucket.delete("vault", "k01").await;
        let none = create(&bucket, "none", &[&signed[..], &["--since", "first", "--reread", "0%"]].concat()).await;
        assert_eq!(none.status.code(), Some(0), "{}", said(&none));
        let counts = &summary(&none)["counts"];
        assert_eq!((&counts["objects"], &counts["carried_over"], &counts["delete_markers"]), (&42.into(), &40.into(), &1.into()));
        let all = create(&bucket, "all", &[&signed[..], &["--since", "none", "--reread", "100%"]].concat()).await;
        assert_eq!((all.status.code(), &summary(&all)["counts"]["read_again"]), (Some(0), &42.into()), "{}", said(&all));
        // What stands in the bucket is what the incremental captures say.
        let source = bucket.source("vault", "", None).await;
        for name in ["none", "all"] {
            assert_eq!(compared(&source, &Manifest::open(&bucket.dir.path().join(name)).unwrap()).await, [], "{name}");
        }
        // Mistakes of use.
        for (more, code, expected) in [
            (vec!["--since", "absent"], 2, "absent"),
            (vec!["--since", "first", "--reread", "101%"], 2, "reread"),
            (vec!["--reread", "5%"], 2, "--since"),
            (vec!["--since", "first", "--tier", "attributes"], 2, "leave --since out"),
        ] {
            let refused = create(&bucket, "never", &more).await;
            assert_eq!(refused.status.code(), Some(code), "{more:?}: {}", said(&refused));
            assert!(said(&refused).contains(expected), "{more:?}: {}", said(&refused));
        }
        assert!(!bucket.dir.path().join("never").exists());
    }
}
