//! One suite over S3 as the product reads it, run unchanged against two stand-ins: the sandbox of this crate, and `moto_server` from PyPI,
//! which others wrote.
//!
//! Where moto differs from S3 (version in `tests/foreign/requirements.txt`), this suite says so beside what it leaves out:
//!
//! - GetBucketVersioning answers with the root element `GetBucketVersioningResponse`, which no SDK reads (S3 says
//!   `VersioningConfiguration`): the suite names its view, and the default of a bucket that has versions is left to the sandbox's tests.
//! - GetObjectRetention of an object without one answers 500, GetObjectLegalHold an empty element: whether an object is locked stays
//!   unknown there, and is not compared.
//! - ListObjectVersions answers all versions before all delete markers instead of interleaving them by age. The product notices that the
//!   order contradicts the dates and goes by the dates, so within one second the order of a deletion and a write cannot be told: the suite
//!   lets a second pass between them. It ignores `encoding-type=url`, and says so by leaving the element out.
//!
//! The Python is `ATTESTORE_PYTHON`, else `python3`; without moto in it that half is skipped and says so, unless `ATTESTORE_REQUIRE` names
//! `moto`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use attestore::aws::s3::S3Source;
use attestore::aws::session::{Session, SessionOptions};
use attestore::model::capture::CaptureMode;
use attestore::model::clock::Timestamp;
use attestore::model::digest::Digest32;
use attestore::model::finding::{Class, Kind};
use attestore::model::outcome::Outcome;
use attestore::model::source_url::View;
use attestore::monitor::Collected;
use attestore::sandbox::server::Sandbox;
use attestore::verify::manifest::reader::Manifest;
use attestore::verify::manifest::request::{CaptureRequest, ReadOptions};
use attestore::verify::manifest::row::ObjectRow;
use attestore::verify::objects::capture::capture;
use attestore::verify::objects::compare::compare;
use attestore::verify::objects::evidence::tags_digest;
use attestore::verify::objects::source::{EntryKind, ObjectSource};
use attestore::verify::objects::tier::Tier;
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use futures_util::StreamExt;

/// `moto_server` on a free port, ended when it is dropped.
struct Moto {
    child: Child,
    endpoint: String,
}

impl Drop for Moto {
    fn drop(&mut self) {
        // A failed test leaves nothing behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A running moto; none is a visible skip, or a failure where it is required.
async fn moto() -> Option<Moto> {
    let python = std::env::var_os("ATTESTORE_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from);
    let found = Command::new(&python).args(["-c", "import moto.server, flask"]).stderr(Stdio::null()).status();
    if !found.is_ok_and(|status| status.success()) {
        let required = std::env::var("ATTESTORE_REQUIRE").unwrap_or_default();
        assert!(!required.split(',').any(|name| name.trim() == "moto"), "moto is required and {} has none", python.display());
        // Past the test harness, which keeps what a passing test prints to itself.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {} has no moto server (set ATTESTORE_PYTHON to one that has)", python.display());
        return None;
    }
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = Command::new(&python);
    command.args(["-B", "-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
    let moto = Moto { child: command.spawn().unwrap(), endpoint: format!("http://127.0.0.1:{port}") };
    for _ in 0..600 {
        if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return Some(moto);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("moto_server does not answer on port {port}");
}

async fn put(client: &Client, key: &str, content: &str) {
    client.put_object().bucket("vault").key(key).body(ByteStream::from(content.as_bytes().to_vec())).send().await.unwrap();
}

async fn captured(source: &dyn ObjectSource, dir: &Path, name: &str) -> (Manifest, Vec<ObjectRow>) {
    let monitor = Collected::default();
    let out = dir.join(name);
    capture(source, &CaptureRequest::new(&out, CaptureMode::VersionExact), None, &monitor).await.unwrap();
    assert_eq!(monitor.findings(), []);
    let manifest = Manifest::open(&out).unwrap();
    let rows = manifest.objects().map(Result::unwrap).collect();
    (manifest, rows)
}

async fn findings(source: &dyn ObjectSource, manifest: &Manifest, options: &ReadOptions) -> (Outcome, Vec<(Class, Kind, String)>) {
    let monitor = Collected::default();
    let result = compare(source, manifest, options, &monitor).await.unwrap();
    let found = monitor.findings();
    (result.outcome(0).0, found.iter().map(|finding| (finding.class, finding.kind, finding.place.parts().1.to_owned())).collect())
}

/// The suite.
async fn versions_are_captured_and_compared(session: &Session) {
    let dir = tempfile::tempdir().unwrap();
    let client = Client::from_conf(aws_sdk_s3::config::Builder::from(session.config()).force_path_style(true).build());
    client.create_bucket().bucket("vault").send().await.unwrap();
    let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    client.put_bucket_versioning().bucket("vault").versioning_configuration(enabled).send().await.unwrap();
    let keys = ["a b+c", "deep/é", "zero"];
    for key in keys {
        put(&client, key, if key == "zero" { "" } else { key }).await;
    }
    let tagged = client.put_object().bucket("vault").key("tagged").body(ByteStream::from_static(b"x")).metadata("owner", "crm");
    tagged.tagging("class=gold").send().await.unwrap();
    for content in ["one", "two"] {
        put(&client, "many", content).await;
    }
    // Stand-ins that give all markers together leave only dates of whole seconds to tell the order by.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    client.delete_object().bucket("vault").key("many").send().await.unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    put(&client, "many", "three").await;

    let source = S3Source::open(session, "vault", "", Some(View::Versions)).await.unwrap();
    let (manifest, rows) = captured(&source, dir.path(), "versions").await;
    let told: Vec<(&str, u32, EntryKind)> = rows.iter().map(|row| (row.key.as_str(), row.seq, row.kind)).collect();
    use EntryKind::{DeleteMarker, Object};
    let many = [("many", 0, Object), ("many", 1, Object), ("many", 2, DeleteMarker), ("many", 3, Object)];
    let expected = [&[("a b+c", 0, Object), ("deep/é", 0, Object)][..], &many, &[("tagged", 0, Object), ("zero", 0, Object)]].concat();
    assert_eq!(told, expected);
    assert_eq!(rows[2].blake3, Some(Digest32::blake3(b"one")));
    assert_eq!(rows[5].sha256, Some(Digest32::sha256(b"three")));
    let evidence = rows[6].evidence.as_deref().unwrap();
    assert_eq!(evidence.tags, Some(tags_digest(&[("class".to_owned(), "gold".to_owned())].into())));
    assert!(evidence.metadata.is_some() && evidence.etag.is_some());
    assert_eq!(findings(&source, &manifest, &ReadOptions::default()).await, (Outcome::Pass, vec![]));
    for tier in [Tier::Inventory, Tier::Attributes] {
        let options = ReadOptions { tier: Some(tier), ..ReadOptions::default() };
        assert_eq!(findings(&source, &manifest, &options).await, (Outcome::PassWithException, vec![]), "{tier}");
    }

    // The latest view, and the bucket as it is and was.
    let latest = S3Source::open(session, "vault", "deep/", Some(View::Latest)).await.unwrap();
    assert_eq!(captured(&latest, dir.path(), "latest").await.1.len(), 1);
    let (before, later) = (Timestamp::now().plus_secs(-3600), Timestamp::now().plus_secs(3600));
    for (at, keys) in [(before, 0), (later, 5)] {
        let source = S3Source::open(session, "vault", "", Some(View::At(at))).await.unwrap();
        assert_eq!(source.list().map(Result::unwrap).count().await, keys);
    }

    // A tag that changed, and a key that came.
    let tagging =
        aws_sdk_s3::types::Tagging::builder().tag_set(aws_sdk_s3::types::Tag::builder().key("class").value("tin").build().unwrap());
    client.put_object_tagging().bucket("vault").key("tagged").tagging(tagging.build().unwrap()).send().await.unwrap();
    put(&client, "new", "x").await;
    let found = findings(&source, &manifest, &ReadOptions::default()).await.1;
    let object = |class, key: &str| (class, Kind::Object, key.to_owned());
    assert_eq!(found, [object(Class::Extra, "new"), object(Class::Mismatch, "tagged")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sandbox() {
    let dir = tempfile::tempdir().unwrap();
    let running = Sandbox::start(&dir.path().join("state"), None).await.unwrap();
    versions_are_captured_and_compared(&Session::load(&running.session_options()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moto_which_others_wrote() {
    let Some(moto) = moto().await else { return };
    let options = SessionOptions {
        endpoint: Some(moto.endpoint.clone()),
        // The one in which CreateBucket takes no place.
        region: Some("us-east-1".into()),
        // Any pair does.
        static_credentials: Some(("moto".into(), "moto".into())),
        ..SessionOptions::default()
    };
    versions_are_captured_and_compared(&Session::load(&options).await).await;
}
