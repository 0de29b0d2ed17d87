//! The S3 object source over the wire, against the stand-in S3: listings in pages, hostile keys, versions, faults in bodies.

#![cfg(feature = "sandbox")]

use std::path::Path;

use attestore::aws::s3::S3Source;
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
