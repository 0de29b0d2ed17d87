//! Incremental capture: new versions alone are read, a share of the old is read again in turn, and what was not read says when it was.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use async_trait::async_trait;
use attestore::model::capture::CaptureMode;
use attestore::model::digest::Digest32;
use attestore::model::failure::{Failure, FailureKind};
use attestore::model::finding::Class;
use attestore::model::source_url::View;
use attestore::monitor::Collected;
use attestore::signing::keys::SigningKey;
use attestore::verify::manifest::header::Header;
use attestore::verify::manifest::reader::Manifest;
use attestore::verify::manifest::request::CaptureRequest;
use attestore::verify::manifest::row::ObjectRow;
use attestore::verify::objects::capture::capture;
use attestore::verify::objects::source::{Body, Entry, ObjectSource, Told};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;

/// Versions in memory by (key, number), and what was read of them.
struct Bucket {
    url: String,
    has_versions: bool,
    versions: BTreeMap<(String, u32), (String, Vec<u8>)>,
    read: Mutex<Vec<String>>,
}

impl Bucket {
    fn new(keys: u32) -> Self {
        let versions = (0..keys).map(|n| ((format!("k{n:04}"), 0), (format!("id-{n}"), format!("content {n}").into_bytes())));
        Self { url: "s3://bucket".into(), has_versions: true, versions: versions.collect(), read: Mutex::default() }
    }

    fn put(&mut self, key: &str, seq: u32, id: &str, content: &[u8]) {
        self.versions.insert((key.into(), seq), (id.into(), content.to_vec()));
    }

    /// The ids that were read since this was asked last, in order.
    fn taken(&self) -> Vec<String> {
        let mut taken = std::mem::take(&mut *self.read.lock().unwrap());
        taken.sort();
        taken
    }
}

#[async_trait]
impl ObjectSource for Bucket {
    fn url(&self) -> String {
        self.url.clone()
    }

    fn view(&self) -> Option<View> {
        self.has_versions.then_some(View::Versions)
    }

    fn has_versions(&self) -> bool {
        self.has_versions
    }

    fn list(&self) -> BoxStream<'static, Result<Entry, Failure>> {
        let entry = |((key, seq), (id, content)): (&(String, u32), &(String, Vec<u8>))| {
            Ok(Entry { seq: *seq, version_id: Some(id.clone()), ..Entry::object(key.clone(), content.len() as u64) })
        };
        futures_util::stream::iter(self.versions.iter().map(entry).collect::<Vec<_>>()).boxed()
    }

    async fn read(&self, entry: &Entry, offset: u64) -> Result<Body, Failure> {
        let (id, content) = &self.versions[&(entry.key.clone(), entry.seq)];
        self.read.lock().unwrap().push(id.clone());
        let rest = Bytes::copy_from_slice(&content[offset as usize..]);
        let declared_length = rest.len() as u64;
        Ok(Body { stream: futures_util::stream::iter([Ok(rest)]).boxed(), declared_length, told: Told::default() })
    }
}

struct Captures {
    dir: tempfile::TempDir,
    made: u32,
}

impl Captures {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), made: 0 }
    }

    /// Captures `bucket` after the manifest `since`; gives the new one and what was found.
    async fn next(
        &mut self,
        bucket: &Bucket,
        since: Option<(&Manifest, u64)>,
        key: Option<&SigningKey>,
    ) -> Result<(Manifest, Collected), Failure> {
        self.made += 1;
        let out = self.dir.path().join(format!("m{}", self.made));
        let mut request = CaptureRequest::new(&out, CaptureMode::VersionExact);
        request.since = since.map(|(manifest, ppm)| (manifest.dir().to_owned(), ppm));
        let found = Collected::default();
        capture(bucket, &request, key.map(|key| ("test.example/log", key)), &found).await?;
        Ok((Manifest::open(&out)?, found))
    }
}

fn rows(manifest: &Manifest) -> Vec<ObjectRow> {
    manifest.check_parts().unwrap();
    manifest.objects().collect::<Result<_, _>>().unwrap()
}

fn count(header: &Header, name: &str) -> u64 {
    header.counts.get(name).copied().unwrap_or(0)
}

#[tokio::test]
async fn only_new_versions_are_read_and_the_others_say_when_they_were() {
    let mut captures = Captures::new();
    let mut bucket = Bucket::new(50);
    let (first, _) = captures.next(&bucket, None, None).await.unwrap();
    assert_eq!(bucket.taken().len(), 50);
    assert!(rows(&first).iter().all(|row| row.last_read.is_none()));
    bucket.put("k0003", 1, "new-3", b"a second version");
    bucket.put("k9999", 0, "new", b"a new key");
    // The oldest version of a key expired: the number of the one that stays is another one now.
    bucket.put("k0007", 0, "id-7b", b"younger");
    let (second, found) = captures.next(&bucket, Some((&first, 0)), None).await.unwrap();
    assert_eq!(bucket.taken(), ["id-7b", "new", "new-3"]);
    assert!(found.findings().is_empty());
    let header = second.header();
    assert_eq!((count(header, "objects"), count(header, "carried_over"), count(header, "read_again")), (52, 49, 0));
    assert_eq!(header.since.as_ref().unwrap().manifest, first.digest());
    for row in rows(&second) {
        let (id, content) = &bucket.versions[&(row.key.clone(), row.seq)];
        assert_eq!((row.version_id.as_deref(), row.blake3), (Some(id.as_str()), Some(Digest32::blake3(content))));
        let is_new = ["id-7b", "new", "new-3"].contains(&id.as_str());
        assert_eq!(row.last_read, (!is_new).then_some(first.header().captured_start), "{id}");
    }
    // A third time: what was carried over before keeps the time of its reading.
    let (third, _) = captures.next(&bucket, Some((&second, 0)), None).await.unwrap();
    assert!(bucket.taken().is_empty());
    let oldest = rows(&third).into_iter().filter(|row| row.last_read == Some(first.header().captured_start)).count();
    assert_eq!((oldest, count(third.header(), "carried_over")), (49, 52));
}

#[tokio::test]
async fn a_quarter_each_time_has_read_everything_again_after_four() {
    let mut captures = Captures::new();
    let bucket = Bucket::new(80);
    let (first, _) = captures.next(&bucket, None, None).await.unwrap();
    bucket.taken();
    let mut all = Vec::new();
    let mut before = first;
    for _ in 0..4 {
        let (next, _) = captures.next(&bucket, Some((&before, 250_000)), None).await.unwrap();
        let read = bucket.taken();
        assert_eq!(count(next.header(), "read_again"), read.len() as u64);
        assert_eq!(rows(&next).iter().filter(|row| row.last_read.is_none()).count(), read.len());
        assert!(!read.is_empty() && read.len() < 80, "{} of 80", read.len());
        all.extend(read);
        before = next;
    }
    all.sort();
    let mut expected: Vec<String> = (0..80).map(|n| format!("id-{n}")).collect();
    expected.sort();
    assert_eq!(all, expected, "each version once");
}

#[tokio::test]
async fn a_version_that_is_not_what_it_was_is_a_finding() {
    let mut captures = Captures::new();
    let mut bucket = Bucket::new(10);
    let (first, _) = captures.next(&bucket, None, None).await.unwrap();
    bucket.put("k0004", 0, "id-4", b"Content 4");
    let (second, found) = captures.next(&bucket, Some((&first, 1_000_000)), None).await.unwrap();
    let found = found.findings();
    assert_eq!((found.len(), found[0].class, found[0].version_id.as_deref()), (1, Class::Mismatch, Some("id-4")));
    assert!(found[0].expected != found[0].actual);
    assert_eq!((count(second.header(), "changed_version"), count(second.header(), "read_again")), (1, 10));
    assert_eq!(rows(&second)[4].blake3, Some(Digest32::blake3(b"Content 4")), "the manifest says what was read");
}

#[tokio::test]
async fn versions_without_an_id_of_their_own_are_always_read() {
    let mut captures = Captures::new();
    let mut bucket = Bucket::new(3);
    bucket.put("k0001", 0, "null", b"written without versioning");
    let (first, _) = captures.next(&bucket, None, None).await.unwrap();
    bucket.taken();
    captures.next(&bucket, Some((&first, 0)), None).await.unwrap();
    assert_eq!(bucket.taken(), ["null"]);
}

#[tokio::test]
async fn unsigned_foreign_and_damaged_baselines_are_refused_and_nothing_is_written() {
    let (key, other) = (SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[2; 32]));
    let mut captures = Captures::new();
    let bucket = Bucket::new(5);
    let (unsigned, _) = captures.next(&bucket, None, None).await.unwrap();
    let (signed, _) = captures.next(&bucket, None, Some(&key)).await.unwrap();
    bucket.taken();
    let refused = |result: Result<(Manifest, Collected), Failure>| result.err().map(|failure| failure.kind);
    assert_eq!(refused(captures.next(&bucket, Some((&unsigned, 0)), Some(&key)).await), Some(FailureKind::BadEvidence));
    assert_eq!(refused(captures.next(&bucket, Some((&signed, 0)), Some(&other)).await), Some(FailureKind::BadEvidence));
    captures.next(&bucket, Some((&signed, 0)), Some(&key)).await.unwrap();
    assert!(bucket.taken().is_empty());

    let elsewhere = Bucket { url: "s3://other".into(), ..Bucket::new(5) };
    assert_eq!(refused(captures.next(&elsewhere, Some((&signed, 0)), None).await), Some(FailureKind::Invalid));
    let flat = Bucket { has_versions: false, ..Bucket::new(5) };
    assert_eq!(refused(captures.next(&flat, Some((&signed, 0)), None).await), Some(FailureKind::Invalid));

    let part = signed.dir().join("part-00000.parquet");
    let mut bytes = std::fs::read(&part).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&part, bytes).unwrap();
    assert_eq!(refused(captures.next(&bucket, Some((&signed, 0)), None).await), Some(FailureKind::BadEvidence));
    let last = captures.dir.path().join(format!("m{}", captures.made));
    assert!(!Path::new(&last).exists());
    assert!(bucket.taken().is_empty());
}
