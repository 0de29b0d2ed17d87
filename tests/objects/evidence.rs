//! What S3 says of objects beside their bytes, against the stand-in S3: captured in one pass, compared as chosen; buckets as they were at
//! an instant, tiers of evidence, archived objects, keys of one's own.

use std::io::Write;
use std::path::Path;

use attestore::aws::s3::S3Source;
use attestore::aws::s3_archive::Thaw;
use attestore::aws::s3_customer_keys::CustomerKeys;
use attestore::aws::session::Session;
use attestore::model::capture::CaptureMode;
use attestore::model::clock::Timestamp;
use attestore::model::finding::{Class, Kind};
use attestore::model::outcome::Outcome;
use attestore::model::source_url::View;
use attestore::model::verification::Verification;
use attestore::monitor::Collected;
use attestore::sandbox::s3::faults::Fault;
use attestore::sandbox::server::{Running, Sandbox};
use attestore::verify::manifest::reader::Manifest;
use attestore::verify::manifest::request::{CaptureRequest, ReadOptions};
use attestore::verify::manifest::row::ObjectRow;
use attestore::verify::objects::capture::capture;
use attestore::verify::objects::compare::compare;
use attestore::verify::objects::evidence::{NO_LOCK, tags_digest};
use attestore::verify::objects::filter::Filter;
use attestore::verify::objects::source::ObjectSource;
use attestore::verify::objects::tier::Tier;
use aws_sdk_s3::Client;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{
    BucketVersioningStatus, ObjectLockLegalHold, ObjectLockLegalHoldStatus, ObjectLockMode, ServerSideEncryption, StorageClass, Tag,
    Tagging, VersioningConfiguration,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use md5::Digest as _;

struct Bench {
    running: Running,
    session: Session,
    client: Client,
    dir: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let running = Sandbox::start(&dir.path().join("state"), None).await.unwrap();
        let session = Session::load(&running.session_options()).await;
        let client = Client::from_conf(aws_sdk_s3::config::Builder::from(session.config()).force_path_style(true).build());
        Self { running, session, client, dir }
    }

    async fn bucket(&self, name: &str) {
        self.client.create_bucket().bucket(name).object_lock_enabled_for_bucket(true).send().await.unwrap();
    }

    async fn plain_bucket(&self, name: &str) {
        self.client.create_bucket().bucket(name).send().await.unwrap();
        let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        self.client.put_bucket_versioning().bucket(name).versioning_configuration(enabled).send().await.unwrap();
    }

    fn put(&self, bucket: &str, key: &str, content: &str) -> PutObjectFluentBuilder {
        self.client.put_object().bucket(bucket).key(key).body(ByteStream::from(content.as_bytes().to_vec()))
    }

    async fn tag(&self, bucket: &str, key: &str, value: &str) {
        let tagging = Tagging::builder().tag_set(Tag::builder().key("class").value(value).build().unwrap()).build().unwrap();
        self.client.put_object_tagging().bucket(bucket).key(key).tagging(tagging).send().await.unwrap();
    }

    async fn source(&self, bucket: &str, view: Option<View>) -> S3Source {
        S3Source::open(&self.session, bucket, "", view).await.unwrap()
    }

    async fn captured(&self, source: &dyn ObjectSource, name: &str, change: impl FnOnce(&mut CaptureRequest)) -> (Manifest, Collected) {
        let out = self.dir.path().join(name);
        let monitor = Collected::default();
        let mut request = CaptureRequest::new(&out, CaptureMode::VersionExact);
        change(&mut request);
        capture(source, &request, None, &monitor).await.unwrap();
        (Manifest::open(Path::new(&out)).unwrap(), monitor)
    }
}

fn rows(manifest: &Manifest) -> Vec<ObjectRow> {
    manifest.objects().map(Result::unwrap).collect()
}

/// The result, and `class kind key` of each finding.
async fn compared(source: &dyn ObjectSource, manifest: &Manifest, options: &ReadOptions) -> (Verification, Vec<(Class, Kind, String)>) {
    let monitor = Collected::default();
    let result = compare(source, manifest, options, &monitor).await.unwrap();
    let found = monitor.findings();
    (result, found.iter().map(|finding| (finding.class, finding.kind, finding.place.parts().1.to_owned())).collect())
}

/// The first object is asked for by the SDK, those after it without: what is said of them is the same, dates that are none included.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_is_the_same_whichever_way_an_object_was_asked_for() {
    let bench = Bench::new().await;
    bench.plain_bucket("files").await;
    for key in ["a", "b", "c"] {
        let put = bench.put("files", key, key).cache_control("no-cache, max-age=0").metadata("owner", "crm");
        put.expires(DateTime::from_secs(1_900_000_000)).send().await.unwrap();
    }
    let source = bench.source("files", None).await;
    let (manifest, _) = bench.captured(&source, "kept", |request| request.effort.concurrency = Some(1)).await;
    let digest = |row: ObjectRow| row.evidence.and_then(|evidence| evidence.metadata).expect("seen");
    let digests: Vec<_> = rows(&manifest).into_iter().map(digest).collect();
    assert_eq!(digests, [digests[0]; 3]);
    // Read once more from the second on, which the SDK then asks for.
    let source = S3Source::open(&bench.session, "files", "b", None).await.unwrap();
    let (alone, _) = bench.captured(&source, "alone", |_| ()).await;
    assert_eq!(digest(rows(&alone).remove(0)), digests[0]);
    bench.running.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evidence_is_captured_with_the_bytes_and_protection_is_a_verdict_apart() {
    let bench = Bench::new().await;
    bench.bucket("vault").await;
    let until = DateTime::from_secs(Timestamp::now().as_secs() + 86_400);
    let put = bench.put("vault", "a", "one").metadata("Owner", "crm").content_type("text/plain").tagging("class=gold");
    let put = put.object_lock_mode(ObjectLockMode::Governance).object_lock_retain_until_date(until);
    let put = put.object_lock_legal_hold_status(ObjectLockLegalHoldStatus::On);
    put.server_side_encryption(ServerSideEncryption::AwsKms).ssekms_key_id("k1").send().await.unwrap();
    bench.put("vault", "b", "two").send().await.unwrap();
    let source = bench.source("vault", None).await;
    let (manifest, monitor) = bench.captured(&source, "m", |_| {}).await;
    assert_eq!(monitor.findings(), []);
    let rows = rows(&manifest);
    let a = rows[0].evidence.as_deref().unwrap();
    assert_eq!(a.tags, Some(tags_digest(&[("class".to_owned(), "gold".to_owned())].into())));
    assert_eq!((a.lock_mode.as_deref(), a.legal_hold), (Some("GOVERNANCE"), Some(true)));
    assert_eq!(a.lock_until, Some(Timestamp::from_secs(until.secs())));
    assert_eq!(a.encryption.as_deref(), Some("aws:kms"));
    assert!(a.encryption_key.as_deref().unwrap().ends_with("key/k1") && a.metadata.is_some() && a.etag.is_some());
    let b = rows[1].evidence.as_deref().unwrap();
    // Known to have none, which is not the same as not known.
    assert_eq!((b.tags, b.lock_mode.as_deref(), b.legal_hold), (Some(tags_digest(&Default::default())), Some(NO_LOCK), Some(false)));
    assert_eq!((b.encryption.as_deref(), b.storage_class.as_deref()), (Some("AES256"), Some("STANDARD")));
    assert_ne!(a.metadata, b.metadata);

    let (result, found) = compared(&source, &manifest, &ReadOptions::default()).await;
    assert_eq!(found, []);
    assert_eq!((result.outcome(0).0, result.protection_outcome()), (Outcome::Pass, Outcome::Pass));
    assert_eq!((result.fields["tags"].equal, result.fields["lock"].equal, result.protection.unwrap().matched), (2, 2, 2));

    // A hold that was lifted leaves the content as it was.
    let off = ObjectLockLegalHold::builder().status(ObjectLockLegalHoldStatus::Off).build();
    bench.client.put_object_legal_hold().bucket("vault").key("a").legal_hold(off).send().await.unwrap();
    bench.tag("vault", "b", "silver").await;
    let (result, found) = compared(&source, &manifest, &ReadOptions::default()).await;
    assert_eq!(
        found,
        [(Class::Mismatch, Kind::Protection, "a".to_owned()), (Class::Mismatch, Kind::Object, "b".to_owned())],
        "tags belong to the object, a hold protects it"
    );
    assert_eq!((result.objects.unwrap().matched, result.protection_outcome()), (1, Outcome::Fail));
    // Whoever wants bytes alone gets bytes alone.
    let bytes = ReadOptions { compare: Some("none".parse().unwrap()), ..ReadOptions::default() };
    let (result, found) = compared(&source, &manifest, &bytes).await;
    assert_eq!((found.len(), result.outcome(0).0, result.protection_outcome()), (0, Outcome::Pass, Outcome::Untested));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_copy_is_held_to_metadata_and_tags_and_to_protection_only_where_the_manifest_says_so() {
    let bench = Bench::new().await;
    bench.bucket("vault").await;
    let hold = ObjectLockLegalHoldStatus::On;
    bench.put("vault", "a", "one").metadata("owner", "crm").object_lock_legal_hold_status(hold).send().await.unwrap();
    bench.put("vault", "b", "two").tagging("x=1").send().await.unwrap();
    let source = bench.source("vault", None).await;
    let (usual, _) = bench.captured(&source, "usual", |_| {}).await;
    let (strict, _) = bench.captured(&source, "strict", |request| request.compare = Some("metadata,hold".parse().unwrap())).await;
    assert_eq!(strict.header().compare, ["metadata", "hold"]);
    bench.plain_bucket("restored").await;
    bench.put("restored", "a", "one").metadata("owner", "other").send().await.unwrap();
    bench.put("restored", "b", "two").send().await.unwrap();
    let restored = bench.source("restored", None).await;
    let (result, found) = compared(&restored, &usual, &ReadOptions::default()).await;
    let object = |key: &str| (Class::Mismatch, Kind::Object, key.to_owned());
    assert_eq!((found, result.protection_outcome()), (vec![object("a"), object("b")], Outcome::Untested));
    let (result, found) = compared(&restored, &strict, &ReadOptions::default()).await;
    assert_eq!(found, [(Class::Mismatch, Kind::Protection, "a".to_owned()), object("a")]);
    assert_eq!(result.protection_outcome(), Outcome::Fail);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_this_identity_may_not_see_is_unknown_and_never_equal() {
    let bench = Bench::new().await;
    bench.bucket("vault").await;
    bench.put("vault", "a", "one").send().await.unwrap();
    let source = bench.source("vault", None).await;
    let (manifest, _) = bench.captured(&source, "m", |_| {}).await;
    // A source of its own asks again what it may see; this one is denied the tags.
    let blind = bench.source("vault", None).await;
    bench.running.faults().on_get("vault", "a?tagging", 1, 1, Fault::AccessDenied);
    let (result, found) = compared(&blind, &manifest, &ReadOptions::default()).await;
    assert_eq!(found, [(Class::Indeterminate, Kind::Object, "a".to_owned())]);
    assert_eq!((result.fields["tags"].unseen, result.outcome(0).0), (1, Outcome::Fail));
}

/// Writes versions straight into the store with dates of their own.
fn write_dated(bench: &Bench, bucket: &str, versions: &[(&str, i64, bool)]) {
    use attestore::sandbox::s3::{buckets, versions};
    let store = bench.running.s3();
    let connection = store.connection();
    let bucket = buckets::find(&connection, bucket).unwrap();
    for (key, seconds, deleted) in versions {
        let content = attestore::sandbox::s3::record::Content { etag: "0".repeat(32), ..Default::default() };
        versions::add(&connection, &bucket, key, (!deleted).then_some(&content), *seconds).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_is_read_as_it_was_and_ties_of_the_second_are_undecided() {
    let bench = Bench::new().await;
    bench.plain_bucket("vault").await;
    let versions = [
        ("deleted", 100, false),
        ("deleted", 200, true),
        ("kept", 100, false),
        ("kept", 300, false),
        ("later", 300, false),
        ("tie", 100, false),
        ("tie", 250, false),
    ];
    write_dated(&bench, "vault", &versions);
    let listed = async |seconds| -> Vec<(String, Option<i64>, bool)> {
        let source = bench.source("vault", Some(View::At(Timestamp::from_secs(seconds)))).await;
        let entries: Vec<_> = source.list().map(Result::unwrap).collect().await;
        entries.iter().map(|entry| (entry.key.clone(), entry.modified.map(Timestamp::as_secs), entry.undecided.is_some())).collect()
    };
    let was = |key: &str, seconds, undecided| (key.to_owned(), Some(seconds), undecided);
    assert_eq!(listed(150).await, [was("deleted", 100, false), was("kept", 100, false), was("tie", 100, false)]);
    assert_eq!(listed(250).await, [was("kept", 100, false), was("tie", 250, true)]);
    assert_eq!(listed(301).await, [was("kept", 300, false), was("later", 300, false), was("tie", 250, false)]);
    assert_eq!(listed(50).await, []);

    // A manifest of such a state says so, and what was undecided proves nothing.
    let at = View::At(Timestamp::from_secs(250));
    let source = bench.source("vault", Some(at)).await;
    let (manifest, monitor) = bench.captured(&source, "at", |_| {}).await;
    assert_eq!(manifest.header().view.as_deref(), Some("at=1970-01-01T00:04:10.000Z"));
    assert_eq!(monitor.findings().iter().map(|finding| finding.class).collect::<Vec<_>>(), [Class::Indeterminate]);
    let (result, found) = compared(&source, &manifest, &ReadOptions::default()).await;
    assert_eq!(found, [(Class::Indeterminate, Kind::Object, "tie".to_owned())]);
    assert_eq!((result.objects.unwrap().matched, result.outcome(0).0, result.outcome(1).0), (1, Outcome::Fail, Outcome::Pass));

    // A copy restored to an instant has dates of its own: there the instant chooses among the manifest's versions.
    let every = bench.source("vault", None).await;
    let (manifest, _) = bench.captured(&every, "every", |_| {}).await;
    bench.plain_bucket("restored").await;
    write_dated(&bench, "restored", &[("deleted", 900, false), ("kept", 900, false), ("tie", 900, false)]);
    let restored = bench.source("restored", Some(View::Latest)).await;
    let options = |seconds| ReadOptions { view: Some(View::At(Timestamp::from_secs(seconds))), ..ReadOptions::default() };
    assert_eq!(compared(&restored, &manifest, &options(150)).await.1, []);
    let found = compared(&restored, &manifest, &options(250)).await.1;
    let object = |class, key: &str| (class, Kind::Object, key.to_owned());
    assert_eq!(found, [object(Class::Extra, "deleted"), object(Class::Indeterminate, "tie")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_delete_markers_hide_what_lies_below_them() {
    let bench = Bench::new().await;
    bench.plain_bucket("vault").await;
    let markers: Vec<String> = (0..10_000).map(|n| format!("k{:04}", n % 100)).collect();
    let mut versions: Vec<(&str, i64, bool)> = markers.iter().map(|key| (key.as_str(), 200, true)).collect();
    versions.insert(0, ("k0007", 100, false));
    versions.push(("z", 300, false));
    write_dated(&bench, "vault", &versions);
    let count = async |view| bench.source("vault", Some(view)).await.list().map(Result::unwrap).count().await;
    assert_eq!(count(View::Versions).await, 10_002);
    assert_eq!(count(View::Latest).await, 1);
    assert_eq!(count(View::At(Timestamp::from_secs(150))).await, 1);
    assert_eq!(count(View::At(Timestamp::from_secs(250))).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_bound_both_sides_and_a_manifest_keeps_its_own() {
    let bench = Bench::new().await;
    bench.plain_bucket("vault").await;
    for key in ["in/a.pdf", "in/b.tmp", "in/deep/c.pdf", "out/d.pdf", "in/é\n.pdf"] {
        bench.put("vault", key, key).send().await.unwrap();
    }
    let source = bench.source("vault", None).await;
    let filter = |include: &str, exclude: &str| Filter::new(&[include.to_owned()], &[exclude.to_owned()]).unwrap();
    let (manifest, _) = bench.captured(&source, "m", |request| request.filter = filter("in/**", "**.tmp")).await;
    let keys: Vec<String> = rows(&manifest).into_iter().map(|row| row.key).collect();
    assert_eq!(keys, ["in/a.pdf", "in/deep/c.pdf", "in/é\n.pdf"]);
    assert_eq!(
        (manifest.header().include.as_slice(), manifest.header().exclude.as_slice()),
        (&["in/**".to_owned()][..], &["**.tmp".to_owned()][..])
    );
    // What the manifest never covered is nothing surplus.
    assert_eq!(compared(&source, &manifest, &ReadOptions::default()).await.1, []);
    bench.put("vault", "in/new.pdf", "x").send().await.unwrap();
    assert_eq!(compared(&source, &manifest, &ReadOptions::default()).await.1.len(), 1);
    let narrow = ReadOptions { filter: filter("in/deep/*", "x"), ..ReadOptions::default() };
    let (result, found) = compared(&source, &manifest, &narrow).await;
    assert_eq!((found.len(), result.objects.unwrap().expected), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lesser_tiers_read_no_content_and_say_what_they_do_not_prove() {
    let bench = Bench::new().await;
    bench.plain_bucket("vault").await;
    bench.put("vault", "a", "one").metadata("owner", "crm").send().await.unwrap();
    let source = bench.source("vault", None).await;
    let (manifest, _) = bench.captured(&source, "m", |_| {}).await;
    // Reading the content would meet this.
    bench.running.faults().on_get("vault", "a", 1, 100, Fault::AccessDenied);
    for tier in [Tier::Inventory, Tier::Attributes] {
        let options = ReadOptions { tier: Some(tier), ..ReadOptions::default() };
        let (result, found) = compared(&source, &manifest, &options).await;
        assert_eq!((found.len(), result.bytes_checked), (0, 0), "{tier}");
        let (outcome, reasons) = result.outcome(0);
        assert_eq!(outcome, Outcome::PassWithException);
        assert!(reasons.iter().any(|reason| reason.contains("no byte of content was read")), "{reasons:?}");
        assert_eq!(result.fields.contains_key("metadata"), tier == Tier::Attributes);
    }
    // Such a manifest holds no digest, and cannot be compared at a tier that it says nothing for.
    let (shallow, _) = bench.captured(&source, "shallow", |request| request.tier = Tier::Attributes).await;
    assert_eq!((shallow.header().tier.as_deref(), shallow.header().digests.len()), (Some("attributes"), 0));
    assert!(rows(&shallow)[0].is_undigested() && rows(&shallow)[0].s3_checksum.is_some());
    let (result, _) = compared(&source, &shallow, &ReadOptions::default()).await;
    assert_eq!(result.outcome(0).0, Outcome::PassWithException);
    let deep = ReadOptions { tier: Some(Tier::Content), ..ReadOptions::default() };
    assert!(compare(&source, &shallow, &deep, &Collected::default()).await.unwrap_err().message.contains("tier attributes"));
    bench.running.faults().clear();
    // A longer object is another object at every tier.
    bench.client.delete_object().bucket("vault").key("a").send().await.unwrap();
    bench.plain_bucket("restored").await;
    bench.put("restored", "a", "longer").send().await.unwrap();
    let restored = bench.source("restored", None).await;
    for tier in [Tier::Inventory, Tier::Attributes] {
        let found = compared(&restored, &manifest, &ReadOptions { tier: Some(tier), ..ReadOptions::default() }).await.1;
        assert_eq!(found, [(Class::Mismatch, Kind::Object, "a".to_owned())], "{tier}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn archived_objects_are_not_readable_until_a_copy_was_asked_for() {
    let bench = Bench::new().await;
    bench.plain_bucket("vault").await;
    bench.put("vault", "cold", "ice").storage_class(StorageClass::Glacier).send().await.unwrap();
    bench.put("vault", "warm", "tea").send().await.unwrap();
    bench.plain_bucket("copy").await;
    bench.put("copy", "cold", "ice").send().await.unwrap();
    bench.put("copy", "warm", "tea").send().await.unwrap();
    let copy = bench.source("copy", None).await;
    let (manifest, _) = bench.captured(&copy, "m", |_| {}).await;
    let thaw = |speed: &str| Some(Thaw { days: 2, speed: speed.into() });
    // What cannot be read is kept with what its listing says of it.
    let (unread, _) = bench.captured(&bench.source("vault", None).await, "unread", |_| {}).await;
    let cold = unread.objects().map(Result::unwrap).find(|row| row.key == "cold").unwrap();
    assert!(cold.is_undigested());
    let evidence = cold.evidence.expect("of the listing");
    assert_eq!((evidence.storage_class.as_deref(), evidence.etag.is_some()), (Some("GLACIER"), true));

    let monitor = Collected::default();
    let source = bench.source("vault", None).await;
    let result = compare(&source, &manifest, &ReadOptions::default(), &monitor).await.unwrap();
    let finding = &monitor.findings()[0];
    assert_eq!(
        (finding.class, result.unread[&attestore::model::failure::FailureKind::Archived], result.outcome(0).0),
        (Class::Unreadable, 1, Outcome::Inconclusive)
    );
    assert!(finding.actual.as_deref().unwrap().contains("in GLACIER, not readable without a restore"), "{finding:?}");

    for (speed, said) in [("Bulk", "asked for now"), ("Bulk", "under way")] {
        let monitor = Collected::default();
        let source = bench.source("vault", None).await.with_thaw(thaw(speed));
        compare(&source, &manifest, &ReadOptions::default(), &monitor).await.unwrap();
        assert!(monitor.findings()[0].actual.as_deref().unwrap().contains(said), "{:?}", monitor.findings());
    }
    // A second object, whose copy is there at once.
    bench.put("vault", "cold", "ice").storage_class(StorageClass::DeepArchive).send().await.unwrap();
    let latest = ReadOptions { view: Some(View::Latest), ..ReadOptions::default() };
    let source = bench.source("vault", Some(View::Latest)).await.with_thaw(thaw("Expedited"));
    let (result, _) = compared(&source, &manifest, &latest).await;
    assert_eq!(result.unread[&attestore::model::failure::FailureKind::Archived], 1);
    let (result, found) = compared(&source, &manifest, &latest).await;
    assert_eq!((result.outcome(0).0, found.len()), (Outcome::Pass, 0), "the run after it reads the copy");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_under_a_key_of_ones_own_are_read_with_it_and_others_without() {
    let bench = Bench::new().await;
    bench.plain_bucket("vault").await;
    let key = [7_u8; 32];
    let (text, digest) = (STANDARD.encode(key), STANDARD.encode(md5::Md5::digest(key)));
    let put = bench.put("vault", "own", "mine").sse_customer_algorithm("AES256").sse_customer_key(&text).sse_customer_key_md5(&digest);
    put.send().await.unwrap();
    bench.put("vault", "plain", "yours").send().await.unwrap();
    let without = bench.source("vault", None).await;
    let (_, monitor) = bench.captured(&without, "without", |_| {}).await;
    let finding = &monitor.findings()[0];
    assert_eq!((finding.class, finding.place.parts().1), (Class::Unreadable, "own"));
    assert!(finding.actual.as_deref().unwrap().contains("SSE-C"), "{finding:?}");

    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "# of the vault\n{}", hex::encode(key)).unwrap();
    let keys = CustomerKeys::load(file.path()).unwrap();
    let with = bench.source("vault", None).await.with_customer_keys(keys);
    let (manifest, monitor) = bench.captured(&with, "with", |_| {}).await;
    assert_eq!(monitor.findings(), []);
    let rows = rows(&manifest);
    let own = rows[0].evidence.as_deref().unwrap();
    assert_eq!((own.encryption.as_deref(), own.encryption_key.as_ref()), (Some("SSE-C"), Some(&digest)));
    for tier in [Tier::Content, Tier::Attributes] {
        let (result, found) = compared(&with, &manifest, &ReadOptions { tier: Some(tier), ..ReadOptions::default() }).await;
        assert_eq!((found.len(), result.objects.unwrap().matched), (0, 2), "{tier}");
    }
    // Another key is refused, which is no mismatch.
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "{} own", STANDARD.encode([8_u8; 32])).unwrap();
    let wrong = bench.source("vault", None).await.with_customer_keys(CustomerKeys::load(file.path()).unwrap());
    assert_eq!(compared(&wrong, &manifest, &ReadOptions::default()).await.1, [(Class::Unreadable, Kind::Object, "own".to_owned())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_of_our_own_is_emptied_and_what_is_locked_is_named() {
    use attestore::aws::buckets::Buckets;
    let bench = Bench::new().await;
    let buckets = Buckets::new(&bench.session);
    bench.plain_bucket("plain").await;
    write_dated(&bench, "plain", &(0..1500).map(|n| ("k", 100, n % 2 == 1)).collect::<Vec<_>>());
    buckets.delete("plain").await.unwrap();
    assert!(buckets.bucket("plain").await.unwrap().is_none());

    bench.bucket("locked").await;
    write_dated(&bench, "locked", &(0..1200).map(|_| ("a", 100, false)).collect::<Vec<_>>());
    let until = DateTime::from_secs(Timestamp::now().as_secs() + 86_400);
    let put = bench.put("locked", "b", "x").object_lock_mode(ObjectLockMode::Compliance).object_lock_retain_until_date(until);
    put.send().await.unwrap();
    bench.put("locked", "c", "x").object_lock_legal_hold_status(ObjectLockLegalHoldStatus::On).send().await.unwrap();
    write_dated(&bench, "locked", &(0..1200).map(|_| ("d", 100, false)).collect::<Vec<_>>());
    let failure = buckets.delete("locked").await.unwrap_err();
    assert!(failure.message.contains("2 versions could not be deleted"), "{failure}");
    assert!(failure.message.contains("COMPLIANCE until") && failure.message.contains("legal hold"), "{failure}");
    let left = bench.source("locked", Some(View::Versions)).await.list().map(Result::unwrap).count().await;
    assert_eq!(left, 2, "all that may go is gone");
}

mod replicas {
    use attestore::verify::objects::replica::{self, Lag, ReplicaOptions};
    use aws_sdk_s3::types::{
        DeleteMarkerReplication, DeleteMarkerReplicationStatus, Destination, ReplicationConfiguration, ReplicationRule,
        ReplicationRuleFilter, ReplicationRuleStatus,
    };

    use super::*;

    fn options(tier: Tier) -> ReplicaOptions {
        ReplicaOptions { tier, fields: None, filter: Filter::default(), without_markers: false, tolerance_s: 0, effort: Default::default() }
    }

    async fn replicate(bench: &Bench, status: ReplicationRuleStatus) {
        let markers = DeleteMarkerReplication::builder().status(DeleteMarkerReplicationStatus::Enabled).build();
        let destination = Destination::builder().bucket("arn:aws:s3:::replica").build().unwrap();
        let rule = ReplicationRule::builder().status(status).priority(1).filter(ReplicationRuleFilter::builder().prefix("").build());
        let rule = rule.destination(destination).delete_marker_replication(markers).build().unwrap();
        let configuration = ReplicationConfiguration::builder().role("arn:aws:iam::111122223333:role/r").rules(rule).build().unwrap();
        bench.client.put_bucket_replication().bucket("vault").replication_configuration(configuration).send().await.unwrap();
    }

    async fn compared(bench: &Bench, options: &ReplicaOptions) -> (Verification, Lag, Vec<(Class, String)>) {
        let (source, replica) = (bench.source("vault", None).await, bench.source("replica", None).await);
        let monitor = Collected::default();
        let (result, lag) = replica::compare(&source, &replica, options, &monitor).await.unwrap();
        let found = monitor.findings();
        (result, lag, found.iter().map(|finding| (finding.class, finding.place.parts().1.to_owned())).collect())
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_replica_is_compared_version_by_version_with_its_lag() {
        let bench = Bench::new().await;
        bench.plain_bucket("vault").await;
        bench.plain_bucket("replica").await;
        replicate(&bench, ReplicationRuleStatus::Enabled).await;
        for content in ["one", "two"] {
            bench.put("vault", "a", content).metadata("owner", "crm").send().await.unwrap();
        }
        bench.client.delete_object().bucket("vault").key("a").send().await.unwrap();
        bench.put("vault", "b", "bee").send().await.unwrap();
        for tier in [Tier::Content, Tier::Attributes, Tier::Inventory] {
            let (result, lag, found) = compared(&bench, &options(tier)).await;
            assert_eq!((found, lag.replicated, lag.not_replicated), (vec![], 4, 0), "{tier}");
            let expected = if tier == Tier::Content { Outcome::Pass } else { Outcome::PassWithException };
            assert_eq!((result.outcome(0).0, result.objects.unwrap().matched), (expected, 4), "{tier}");
        }
        // From here on nothing is replicated.
        replicate(&bench, ReplicationRuleStatus::Disabled).await;
        bench.put("vault", "late", "x").send().await.unwrap();
        let (result, lag, found) = compared(&bench, &options(Tier::Content)).await;
        assert_eq!((found, result.outcome(0).0), (vec![(Class::Missing, "late".to_owned())], Outcome::Fail));
        assert_eq!((lag.not_replicated, lag.statuses["none"]), (1, 1));
        assert!(lag.oldest_not_replicated.is_some() && lag.oldest_not_replicated == lag.newest_not_replicated);
        let patient = ReplicaOptions { tolerance_s: 3600, ..options(Tier::Content) };
        assert_eq!(compared(&bench, &patient).await.2, [(Class::Indeterminate, "late".to_owned())]);
        // Deleted for good at the source, and still in the replica; changed tags in the replica alone.
        let versions = bench.source("vault", None).await.list().map(Result::unwrap).collect::<Vec<_>>().await;
        let oldest = versions[0].version_id.clone().unwrap();
        bench.client.delete_object().bucket("vault").key("a").version_id(oldest).send().await.unwrap();
        bench.tag("replica", "b", "silver").await;
        let narrow = ReplicaOptions { filter: Filter::new(&[], &["late".into()]).unwrap(), ..options(Tier::Content) };
        let found = compared(&bench, &narrow).await.2;
        assert_eq!(found, [(Class::Extra, "a".to_owned()), (Class::Mismatch, "b".to_owned())]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn damage_in_a_replica_shows_only_where_bytes_are_read() {
        let bench = Bench::new().await;
        bench.plain_bucket("vault").await;
        bench.plain_bucket("replica").await;
        replicate(&bench, ReplicationRuleStatus::Enabled).await;
        bench.put("vault", "a", "content").send().await.unwrap();
        // The store lies the way a damaged copy does: every header is as it was.
        bench.running.faults().on_get("replica", "a", 1, 100, Fault::FlipByte(3));
        assert_eq!(compared(&bench, &options(Tier::Attributes)).await.2, []);
        assert_eq!(compared(&bench, &options(Tier::Content)).await.2, [(Class::Mismatch, "a".to_owned())]);
        bench.client.create_bucket().bucket("bare").send().await.unwrap();
        let (bare, source) = (bench.source("bare", None).await, bench.source("vault", None).await);
        let refused = replica::compare(&source, &bare, &options(Tier::Content), &Collected::default()).await.unwrap_err();
        assert!(refused.message.contains("version by version"), "{refused}");
    }
}

mod key_lists {
    use std::sync::Arc;

    use attestore::model::failure::FailureKind;
    use attestore::verify::manifest::exchange::batch::export_batch;
    use attestore::verify::manifest::exchange::import::ImportRequest;
    use attestore::verify::manifest::exchange::inventory_import::import_inventory;
    use attestore::verify::objects::keys::listed::ListedSource;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_list_of_keys_stands_for_the_listing() {
        let bench = Bench::new().await;
        bench.plain_bucket("vault").await;
        for key in ["in/b c+", "in/a", "in/deep/é", "out"] {
            bench.put("vault", key, key).send().await.unwrap();
        }
        let mut list = tempfile::NamedTempFile::new().unwrap();
        writeln!(list, "deep/é\nb c+\na\ndeep/\na\ngone").unwrap();
        let inner: Arc<dyn ObjectSource> = Arc::new(bench.source("vault", Some(View::Latest)).await);
        let listed = ListedSource::open(Arc::clone(&inner), "vault", "in", list.path(), None).unwrap();
        let (manifest, monitor) = bench.captured(&listed, "m", |_| {}).await;
        let told: Vec<(String, bool)> = rows(&manifest).into_iter().map(|row| (row.key.clone(), row.is_undigested())).collect();
        let expected = [("in/a", false), ("in/b c+", false), ("in/deep/é", false), ("in/gone", true)];
        assert_eq!(told, expected.map(|(key, unread)| (key.to_owned(), unread)));
        assert_eq!(monitor.findings()[0].class, Class::Unreadable, "named by the list, and not there");
        let versions: Arc<dyn ObjectSource> = Arc::new(bench.source("vault", Some(View::Versions)).await);
        assert!(ListedSource::open(versions, "vault", "", list.path(), None).err().unwrap().message.contains("no versions"));
    }

    /// An inventory of every version of `vault`, as S3 would write it; rows in the reverse order, since S3 promises none.
    async fn inventory(bench: &Bench, dir: &Path) -> std::path::PathBuf {
        let entries: Vec<_> = bench.source("vault", Some(View::Versions)).await.list().map(Result::unwrap).collect().await;
        let mut csv = String::new();
        for (index, entry) in entries.iter().enumerate().rev() {
            let latest = entries.get(index + 1).is_none_or(|next| next.key != entry.key);
            let key = percent_encoding::utf8_percent_encode(&entry.key, percent_encoding::NON_ALPHANUMERIC);
            let etag = entry.etag.as_deref().unwrap_or_default().trim_matches('"');
            let marker = entry.kind == attestore::verify::objects::source::EntryKind::DeleteMarker;
            let (id, modified) = (entry.version_id.as_deref().unwrap(), entry.modified.unwrap());
            csv += &format!("\"vault\",\"{key}\",\"{id}\",\"{latest}\",\"{marker}\",\"{}\",\"{modified}\",\"{etag}\"\n", entry.size);
        }
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(csv.as_bytes()).unwrap();
        let data = gz.finish().unwrap();
        let file =
            serde_json::json!({"key": "vault/all/data/x.csv.gz", "size": data.len(), "MD5checksum": hex::encode(md5::Md5::digest(&data))});
        let schema = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag";
        let manifest = serde_json::json!({"sourceBucket": "vault", "fileFormat": "CSV", "fileSchema": schema, "files": [file]}).to_string();
        std::fs::create_dir_all(dir.join("data")).unwrap();
        std::fs::write(dir.join("data/x.csv.gz"), data).unwrap();
        std::fs::write(dir.join("manifest.checksum"), hex::encode(md5::Md5::digest(&manifest))).unwrap();
        std::fs::write(dir.join("manifest.json"), manifest).unwrap();
        dir.join("manifest.json")
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_inventory_gives_the_same_manifest_as_the_listing() {
        let bench = Bench::new().await;
        bench.plain_bucket("vault").await;
        for key in ["a b+", "é\n", "z"] {
            for content in ["one", "two"] {
                bench.put("vault", key, content).send().await.unwrap();
            }
        }
        bench.client.delete_object().bucket("vault").key("z").send().await.unwrap();
        // Dates of S3 are whole seconds: within one, an inventory tells only which version is the latest.
        for (nth, entry) in bench.source("vault", Some(View::Versions)).await.list().enumerate().collect::<Vec<_>>().await {
            let sql = "UPDATE version SET modified = ?1 WHERE version_id = ?2";
            bench.running.s3().connection().execute(sql, (nth as i64, entry.unwrap().version_id)).unwrap();
        }
        let path = inventory(&bench, &bench.dir.path().join("inventory")).await;
        for view in [View::Versions, View::Latest] {
            let source = bench.source("vault", Some(view)).await;
            let (direct, _) = bench.captured(&source, &format!("direct-{view}"), |_| {}).await;
            let listed = ListedSource::open(Arc::new(source), "vault", "", &path, None).unwrap();
            let (through, monitor) = bench.captured(&listed, &format!("through-{view}"), |_| {}).await;
            assert_eq!(monitor.findings(), []);
            assert_eq!(rows(&through), rows(&direct), "{view}");
        }
        // One byte of the data changed: nothing is read with it.
        let data = path.with_file_name("data").join("x.csv.gz");
        let mut bytes = std::fs::read(&data).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&data, bytes).unwrap();
        let source: Arc<dyn ObjectSource> = Arc::new(bench.source("vault", Some(View::Versions)).await);
        let listed = ListedSource::open(Arc::clone(&source), "vault", "", &path, None).unwrap();
        let request = CaptureRequest::new(bench.dir.path().join("never"), CaptureMode::VersionExact);
        let failure = capture(&listed, &request, None, &Collected::default()).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::BadEvidence);
        assert!(ListedSource::open(source, "other", "", &path, None).err().unwrap().message.contains("of bucket vault"));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_inventory_becomes_a_manifest_that_the_bucket_is_compared_with() {
        let bench = Bench::new().await;
        bench.plain_bucket("vault").await;
        for (key, content) in [("a b+", "one"), ("a b+", "two"), ("in/é", "three"), ("z", "four")] {
            bench.put("vault", key, content).send().await.unwrap();
        }
        bench.client.delete_object().bucket("vault").key("z").send().await.unwrap();
        for (nth, entry) in bench.source("vault", Some(View::Versions)).await.list().enumerate().collect::<Vec<_>>().await {
            let sql = "UPDATE version SET modified = ?1 WHERE version_id = ?2";
            bench.running.s3().connection().execute(sql, (nth as i64, entry.unwrap().version_id)).unwrap();
        }
        let path = inventory(&bench, &bench.dir.path().join("inventory")).await;
        let request = |source: &str, out: &str| ImportRequest {
            file: path.clone(),
            out: bench.dir.path().join(out),
            source: source.to_owned(),
            mode: CaptureMode::Sealed,
            captured: Some("2026-01-31T00:00:00Z".parse().unwrap()),
            strip_prefix: Vec::new(),
            add_prefix: String::new(),
            recovery_point_id: None,
        };
        let imported = import_inventory(&request("s3://vault", "m"), None, &Collected::default()).unwrap();
        assert_eq!((imported.tier.as_deref(), imported.view.as_deref(), imported.digests.len()), (Some("inventory"), Some("versions"), 0));
        assert_eq!(imported.imported.as_ref().map(|imported| imported.format.as_str()), Some("s3-inventory"));
        let counts: Vec<_> = imported.counts.iter().map(|(name, n)| (name.as_str(), *n)).collect();
        assert_eq!(counts, [("bytes", 15), ("delete_markers", 1), ("objects", 4)]);
        let manifest = Manifest::open(&bench.dir.path().join("m")).unwrap();
        let source = bench.source("vault", Some(View::Versions)).await;
        let (options, monitor) = (ReadOptions::default(), Collected::default());
        let verified = compare(&source, &manifest, &options, &monitor).await.unwrap();
        assert!(verified.lesser_tier.is_some(), "a listing held to a listing proves no content");
        assert!(monitor.findings().is_empty() && verified.cut_short.is_none());
        let undecided = attestore::verify::manifest::diff::diff(&manifest, &manifest, &Collected::default()).unwrap_err();
        assert!(undecided.message.ends_with("none (tier inventory) and none (tier inventory)"), "{undecided}");
        // What a batch job would work through.
        let mut list = Vec::new();
        let exported = export_batch(&manifest, &mut list).unwrap();
        let list = String::from_utf8(list).unwrap();
        assert_eq!((exported.lines, exported.delete_markers, list.lines().count()), (4, 1, 4));
        assert!(list.starts_with("vault,a%20b%2B,") && list.contains("\nvault,in/%C3%A9,"), "{list}");
        // Below a prefix; of another bucket; a version that is gone.
        let below = import_inventory(&request("s3://vault/in/", "below"), None, &Collected::default()).unwrap();
        assert_eq!(below.counts.get("objects"), Some(&1));
        let other = import_inventory(&request("s3://other", "other"), None, &Collected::default()).unwrap_err();
        assert!(other.message.contains("of bucket vault"), "{other}");
        let first = source.list().next().await.unwrap().unwrap();
        bench.client.delete_object().bucket("vault").key(&first.key).set_version_id(first.version_id).send().await.unwrap();
        compare(&source, &manifest, &options, &monitor).await.unwrap();
        assert_eq!(monitor.findings()[0].class, Class::Missing);
    }
}
