//! Versioning, delete markers, listings in pages, Object Lock.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{BucketVersioningStatus, Delete, ObjectIdentifier, ObjectLockLegalHold, ObjectLockLegalHoldStatus, ObjectLockMode};

use crate::s3::help::{code, get, put, set_versioning, start, with_bucket};

#[tokio::test]
async fn every_write_adds_a_version_and_a_delete_adds_a_marker() {
    let sandbox = with_bucket(true).await;
    let client = &sandbox.client;
    let one = put(client, "k", b"one").await.unwrap();
    let two = put(client, "k", b"two").await.unwrap();
    let marker = client.delete_object().bucket("vault").key("k").send().await.unwrap();
    assert_eq!(marker.delete_marker(), Some(true));
    let marker = marker.version_id.unwrap();
    assert_eq!(code(client.get_object().bucket("vault").key("k").send().await), "NoSuchKey");
    assert_eq!(get(client, "k", Some(&one)).await, b"one");
    assert_eq!(get(client, "k", Some(&two)).await, b"two");
    let of_marker = client.get_object().bucket("vault").key("k").version_id(&marker).send().await;
    assert_eq!(code(of_marker), "MethodNotAllowed");
    let listed = client.list_object_versions().bucket("vault").send().await.unwrap();
    assert_eq!(listed.delete_markers()[0].version_id(), Some(marker.as_str()));
    assert_eq!(listed.delete_markers()[0].is_latest(), Some(true));
    let versions: Vec<_> = listed.versions().iter().map(|version| version.version_id().unwrap()).collect();
    assert_eq!(versions, [two.as_str(), one.as_str()]);
    assert!(client.list_objects_v2().bucket("vault").send().await.unwrap().contents().is_empty());
    let removed = client.delete_object().bucket("vault").key("k").version_id(&marker).send().await.unwrap();
    assert_eq!(removed.delete_marker(), Some(true));
    assert_eq!(get(client, "k", None).await, b"two");
    client.delete_object().bucket("vault").key("k").version_id(&two).send().await.unwrap();
    assert_eq!(get(client, "k", None).await, b"one");
    assert_eq!(code(client.get_object().bucket("vault").key("k").version_id(&two).send().await), "NoSuchVersion");
    assert_eq!(code(client.get_object().bucket("vault").key("k").version_id("nonsense").send().await), "InvalidArgument");
}

#[tokio::test]
async fn suspended_versioning_replaces_only_the_null_version() {
    let sandbox = with_bucket(false).await;
    let client = &sandbox.client;
    put(client, "k", b"before").await;
    set_versioning(client, BucketVersioningStatus::Enabled).await;
    let kept = put(client, "k", b"kept").await.unwrap();
    set_versioning(client, BucketVersioningStatus::Suspended).await;
    assert_eq!(get(client, "k", Some("null")).await, b"before");
    assert_eq!(put(client, "k", b"after").await.as_deref(), Some("null"));
    assert_eq!(get(client, "k", Some("null")).await, b"after");
    assert_eq!(get(client, "k", Some(&kept)).await, b"kept");
    let marker = client.delete_object().bucket("vault").key("k").send().await.unwrap();
    assert_eq!((marker.version_id(), marker.delete_marker()), (Some("null"), Some(true)));
    assert_eq!(get(client, "k", Some(&kept)).await, b"kept");
    let listed = client.list_object_versions().bucket("vault").send().await.unwrap();
    assert_eq!((listed.versions().len(), listed.delete_markers().len()), (1, 1));
}

/// All pages of versions and markers, as `key@version`.
async fn all_versions(client: &Client, page: i32) -> Vec<String> {
    let mut found = Vec::new();
    let (mut key, mut version) = (None, None);
    loop {
        let request = client.list_object_versions().bucket("vault").max_keys(page).set_key_marker(key).set_version_id_marker(version);
        let listed = request.send().await.unwrap();
        assert!(listed.versions().len() + listed.delete_markers().len() <= page as usize);
        for version in listed.versions() {
            found.push(format!("{}@{}", version.key().unwrap(), version.version_id().unwrap()));
        }
        for marker in listed.delete_markers() {
            found.push(format!("{}@{}", marker.key().unwrap(), marker.version_id().unwrap()));
        }
        if listed.is_truncated() != Some(true) {
            found.sort();
            return found;
        }
        (key, version) = (listed.next_key_marker, listed.next_version_id_marker);
    }
}

#[tokio::test]
async fn pages_of_any_size_show_every_version_once() {
    let sandbox = with_bucket(true).await;
    let client = &sandbox.client;
    let mut expected = Vec::new();
    for key in ["a", "a+b", "b\nc", "d d", "é"] {
        for body in ["1", "2", "3"] {
            expected.push(format!("{key}@{}", put(client, key, body.as_bytes()).await.unwrap()));
        }
    }
    let marker = client.delete_object().bucket("vault").key("a").send().await.unwrap().version_id.unwrap();
    expected.push(format!("a@{marker}"));
    expected.sort();
    for page in [1, 2, 3, 7, 1000] {
        assert_eq!(all_versions(client, page).await, expected, "pages of {page}");
    }
}

#[tokio::test]
async fn a_bucket_can_be_emptied_page_by_page() {
    let sandbox = with_bucket(true).await;
    let client = &sandbox.client;
    for round in 0..3 {
        for key in 0..5 {
            put(client, &format!("k{key}"), format!("{round}").as_bytes()).await;
        }
    }
    let (mut key, mut version) = (None, None);
    loop {
        let listed = client.list_object_versions().bucket("vault").max_keys(4).set_key_marker(key).set_version_id_marker(version);
        let listed = listed.send().await.unwrap();
        let objects = listed.versions().iter().map(|version| {
            ObjectIdentifier::builder().key(version.key().unwrap()).version_id(version.version_id().unwrap()).build().unwrap()
        });
        let delete = Delete::builder().set_objects(Some(objects.collect())).build().unwrap();
        let deleted = client.delete_objects().bucket("vault").delete(delete).send().await.unwrap();
        assert!(deleted.errors().is_empty());
        if listed.is_truncated() != Some(true) {
            break;
        }
        (key, version) = (listed.next_key_marker, listed.next_version_id_marker);
    }
    client.delete_bucket().bucket("vault").send().await.unwrap();
}

#[tokio::test]
async fn prefixes_roll_up_at_the_delimiter() {
    let sandbox = with_bucket(false).await;
    let client = &sandbox.client;
    for key in ["a/1", "a/2", "a/b/3", "b", "c/4", "c/5", "d"] {
        put(client, key, b"x").await;
    }
    let mut seen = Vec::new();
    let mut token = None;
    loop {
        let listed =
            client.list_objects_v2().bucket("vault").delimiter("/").max_keys(1).set_continuation_token(token).send().await.unwrap();
        seen.extend(listed.common_prefixes().iter().map(|prefix| prefix.prefix().unwrap().to_owned()));
        seen.extend(listed.contents().iter().map(|object| object.key().unwrap().to_owned()));
        token = listed.next_continuation_token;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["a/", "b", "c/", "d"]);
    let listed = client.list_objects_v2().bucket("vault").delimiter("/").prefix("a/").send().await.unwrap();
    assert_eq!(listed.common_prefixes()[0].prefix(), Some("a/b/"));
    assert_eq!(listed.contents().len(), 2);
    let listed = client.list_objects_v2().bucket("vault").start_after("b").send().await.unwrap();
    assert_eq!(listed.contents()[0].key(), Some("c/4"));
    let listed = client.list_objects().bucket("vault").delimiter("/").max_keys(1).send().await.unwrap();
    assert_eq!(listed.next_marker(), Some("a/"));
    let listed = client.list_objects().bucket("vault").delimiter("/").marker("a/").max_keys(1).send().await.unwrap();
    assert_eq!(listed.contents()[0].key(), Some("b"));
    let listed = client.list_object_versions().bucket("vault").delimiter("/").key_marker("a/").send().await.unwrap();
    assert_eq!(listed.common_prefixes().iter().map(|prefix| prefix.prefix().unwrap()).collect::<Vec<_>>(), ["c/"]);
    let listed = client.list_objects_v2().bucket("vault").max_keys(0).send().await.unwrap();
    assert_eq!((listed.key_count(), listed.is_truncated()), (Some(0), Some(false)));
}

#[tokio::test]
async fn locked_versions_stay() {
    let sandbox = start().await;
    let client = &sandbox.client;
    client.create_bucket().bucket("vault").object_lock_enabled_for_bucket(true).send().await.unwrap();
    let until = DateTime::from_secs(4_000_000_000);
    let locked = client.put_object().bucket("vault").key("k").object_lock_mode(ObjectLockMode::Governance);
    let locked = locked.object_lock_retain_until_date(until).send().await.unwrap().version_id.unwrap();
    let delete = || client.delete_object().bucket("vault").key("k").version_id(&locked);
    assert_eq!(code(delete().send().await), "AccessDenied");
    let hold = |status| ObjectLockLegalHold::builder().status(status).build();
    let set_hold = |status| client.put_object_legal_hold().bucket("vault").key("k").legal_hold(hold(status)).send();
    set_hold(ObjectLockLegalHoldStatus::On).await.unwrap();
    assert_eq!(code(delete().bypass_governance_retention(true).send().await), "AccessDenied");
    set_hold(ObjectLockLegalHoldStatus::Off).await.unwrap();
    let got = client.get_object_retention().bucket("vault").key("k").send().await.unwrap();
    assert_eq!(got.retention().unwrap().retain_until_date().unwrap().secs(), 4_000_000_000);
    delete().bypass_governance_retention(true).send().await.unwrap();
    client.delete_bucket().bucket("vault").send().await.unwrap();
}
