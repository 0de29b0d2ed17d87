//! Snapshots, restores, planted damage.

use attestore::sandbox::s3::snapshot::{Damage, RestoreStats, Versions};

use crate::s3::help::{Box, bytes, get, put, with_bucket};

/// A bucket with two versions of `a`, a deleted `b` and a larger `c`.
async fn vault() -> Box {
    let sandbox = with_bucket(true).await;
    let client = &sandbox.client;
    put(client, "a", b"a0").await;
    put(client, "a", b"a1").await;
    put(client, "b", b"b0").await;
    client.delete_object().bucket("vault").key("b").send().await.unwrap();
    put(client, "c", &bytes(100 << 10, "c")).await;
    client.create_bucket().bucket("restored").send().await.unwrap();
    let configuration =
        aws_sdk_s3::types::VersioningConfiguration::builder().status(aws_sdk_s3::types::BucketVersioningStatus::Enabled).build();
    client.put_bucket_versioning().bucket("restored").versioning_configuration(configuration).send().await.unwrap();
    sandbox
}

/// Contents of every version in `restored`, oldest first within a key; a marker is nothing.
async fn restored(sandbox: &Box) -> Vec<(String, Option<Vec<u8>>)> {
    let listed = sandbox.client.list_object_versions().bucket("restored").send().await.unwrap();
    let mut found = Vec::new();
    for marker in listed.delete_markers() {
        found.push((marker.key().unwrap().to_owned(), None));
    }
    for version in listed.versions().iter().rev() {
        let got = sandbox.client.get_object().bucket("restored").key(version.key().unwrap()).version_id(version.version_id().unwrap());
        // A damaged body would not pass the client's own check of its checksum.
        let got = got.send().await.unwrap();
        let body = got.body.collect().await;
        found.push((version.key().unwrap().to_owned(), Some(body.map(|body| body.to_vec()).unwrap_or_else(|_| b"damaged".to_vec()))));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

#[tokio::test]
async fn a_restore_brings_back_what_the_snapshot_saw() {
    let sandbox = vault().await;
    let store = sandbox.running.s3();
    let snapshot = store.snapshot("vault").unwrap();
    let size = store.snapshot_size(&snapshot).unwrap();
    assert_eq!((size.versions, size.bytes), (4, 6 + (100 << 10)));
    put(&sandbox.client, "a", b"after the snapshot").await;
    let stats = store.restore(&snapshot, "restored", Versions::All).unwrap();
    assert_eq!(stats, RestoreStats { versions: 4, delete_markers: 1, bytes: 6 + (100 << 10) });
    let found = restored(&sandbox).await;
    let expected = [
        ("a", Some(b"a0".to_vec())),
        ("a", Some(b"a1".to_vec())),
        ("b", None),
        ("b", Some(b"b0".to_vec())),
        ("c", Some(bytes(100 << 10, "c"))),
    ];
    assert_eq!(found, expected.map(|(key, body)| (key.to_owned(), body)));
    store.delete_snapshot(&snapshot).unwrap();
    assert!(store.restore(&snapshot, "restored", Versions::All).is_err());
}

#[tokio::test]
async fn a_restore_may_bring_back_fewer_versions() {
    let sandbox = vault().await;
    let store = sandbox.running.s3();
    let snapshot = store.snapshot("vault").unwrap();
    let latest = store.restore(&snapshot, "restored", Versions::Latest).unwrap();
    assert_eq!((latest.versions, latest.delete_markers), (2, 0));
    let one = store.restore(&snapshot, "restored", Versions::UpTo(1)).unwrap();
    assert_eq!((one.versions, one.delete_markers), (2, 1));
}

#[tokio::test]
async fn planted_damage_shows_in_the_restore_and_nowhere_else() {
    let sandbox = vault().await;
    let store = sandbox.running.s3();
    let snapshot = store.snapshot("vault").unwrap();
    for damage in [
        Damage::FlipByte { key: "c".into(), seq: 0, offset: 70_000 },
        Damage::RemoveVersion { key: "a".into(), seq: 0 },
        Damage::RemoveKey { key: "b".into() },
        Damage::AddObject { key: "extra".into(), bytes: b"surplus".to_vec() },
    ] {
        store.plant(&snapshot, &damage).unwrap();
        let json = serde_json::to_string(&damage).unwrap();
        assert_eq!(serde_json::from_str::<Damage>(&json).unwrap(), damage);
    }
    assert!(store.plant(&snapshot, &Damage::RemoveKey { key: "b".into() }).is_err());
    store.restore(&snapshot, "restored", Versions::All).unwrap();
    let found = restored(&sandbox).await;
    assert_eq!(found.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["a", "c", "extra"]);
    assert_eq!(found[0].1.as_deref(), Some(b"a1".as_slice()));
    assert_eq!(found[1].1.as_deref(), Some(b"damaged".as_slice()), "the checksum of the whole is told with other bytes");
    assert_eq!(get(&sandbox.client, "c", None).await, bytes(100 << 10, "c"));
    let etag = |bucket: &str| sandbox.client.head_object().bucket(bucket).key("c").send();
    assert_eq!(etag("vault").await.unwrap().e_tag, etag("restored").await.unwrap().e_tag, "the damaged copy lies about its ETag");
    store.plant(&snapshot, &Damage::Truncate { key: "c".into(), seq: 0, length: 10 }).unwrap();
    store.restore(&snapshot, "restored", Versions::All).unwrap();
    assert_eq!(etag("restored").await.unwrap().content_length(), Some(10));
}
