//! Lays the file vault: a versioned bucket with every key, version and delete marker of [`crate::sandbox::demo::data`].
//!
//! Straight into the store, because what the demo is about is reading it back over the wire.

use crate::model::clock::Timestamp;
use crate::model::failure::{Failure, FailureKind};
use crate::monitor::{Event, Monitor};
use crate::sandbox::demo::data::VaultKey;
use crate::sandbox::s3::blobs::Incoming;
use crate::sandbox::s3::buckets::{self, Bucket};
use crate::sandbox::s3::digests::DEFAULT_ALGORITHM;
use crate::sandbox::s3::record::{Content, Meta};
use crate::sandbox::s3::store::S3Store;
use crate::sandbox::s3::versions;

/// Makes `bucket`, versioned, and puts `keys` into it, each key's versions oldest first. Blocks for a second or two a hundred MiB.
pub fn lay(store: &S3Store, bucket: &str, keys: &[VaultKey], monitor: &dyn Monitor) -> Result<(), Failure> {
    let task = format!("laying s3://{bucket}");
    monitor.event(Event::Started { task: &task, unit: "objects", total: Some(keys.len() as u64) });
    let now = Timestamp::now().as_secs();
    let bucket = versioned(store, bucket, now)?;
    for chunk in keys.chunks(200) {
        // Contents are written outside the transaction: each is a file of its own that nothing names yet.
        let mut written = Vec::new();
        for key in chunk {
            for seq in 0..key.versions.len() {
                written.push((key.key.as_str(), Some(write(store, &key.content(seq))?)));
            }
            if key.deleted {
                written.push((key.key.as_str(), None));
            }
        }
        let connection = store.connection();
        let transaction = connection.unchecked_transaction().map_err(broken)?;
        for (key, content) in &written {
            versions::add_row(&transaction, &bucket, key, content.as_ref(), now).map_err(broken)?;
        }
        transaction.commit().map_err(broken)?;
        monitor.event(Event::Advanced { task: &task, by: chunk.len() as u64, bytes: 0 });
    }
    monitor.event(Event::Finished { task: &task });
    Ok(())
}

fn versioned(store: &S3Store, name: &str, now: i64) -> Result<Bucket, Failure> {
    let connection = store.connection();
    let refused = |error: s3s::S3Error| {
        Failure::new(FailureKind::Invalid, format!("cannot make the bucket `{name}`: {}", error.message().unwrap_or("no message")))
    };
    buckets::create(&connection, name, now, false).map_err(refused)?;
    let bucket = buckets::find(&connection, name).map_err(refused)?;
    buckets::set_versioning(&connection, &bucket, "Enabled").map_err(refused)?;
    buckets::find(&connection, name).map_err(refused)
}

fn write(store: &S3Store, bytes: &[u8]) -> Result<Content, Failure> {
    let failed = |error| Failure::io("cannot write an object of the demo", error);
    let mut incoming = Incoming::new(store, DEFAULT_ALGORITHM);
    incoming.write(bytes).map_err(failed)?;
    let (digested, segments) = incoming.finish().map_err(failed)?;
    // As objects that are older than S3's default checksums: only a digest of one's own can tell that a byte has changed.
    let meta = Meta { content_type: Some("application/octet-stream".into()), ..Meta::default() };
    Ok(Content { size: digested.size, etag: hex::encode(digested.md5), segments, meta })
}

fn broken(error: rusqlite::Error) -> Failure {
    crate::sandbox::s3::store::broken(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::Silent;

    #[test]
    fn every_version_and_marker_is_in_a_snapshot_of_the_bucket() {
        let folder = tempfile::tempdir().unwrap();
        let store = S3Store::open(folder.path()).unwrap();
        let key = |key: &str, versions: &[usize], deleted| VaultKey { key: key.into(), versions: versions.to_vec(), deleted };
        lay(&store, "vault", &[key("a", &[3, 5], false), key("b", &[7], true)], &Silent).unwrap();
        let snapshot = store.snapshot("vault").unwrap();
        let size = store.snapshot_size(&snapshot).unwrap();
        assert_eq!((size.versions, size.bytes), (3, 15));
        assert!(lay(&store, "vault", &[], &Silent).is_err(), "a bucket is laid once");
    }
}
