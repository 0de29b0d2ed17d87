//! One object: put, get, ranges, conditions, checksums, odd keys, errors.

use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, MetadataDirective, ObjectAttributes, StorageClass, Tag, Tagging};

use crate::s3::help::{bytes, code, get, put, start, with_bucket};

#[tokio::test]
async fn buckets_are_made_listed_and_removed() {
    let sandbox = start().await;
    let client = &sandbox.client;
    client.create_bucket().bucket("vault").send().await.unwrap();
    assert_eq!(code(client.create_bucket().bucket("vault").send().await), "BucketAlreadyOwnedByYou");
    assert_eq!(client.head_bucket().bucket("vault").send().await.unwrap().bucket_region(), Some("eu-west-2"));
    assert!(client.head_bucket().bucket("absent").send().await.unwrap_err().into_service_error().is_not_found());
    let location = client.get_bucket_location().bucket("vault").send().await.unwrap();
    assert_eq!(location.location_constraint().unwrap().as_str(), "eu-west-2");
    let listed = client.list_buckets().send().await.unwrap();
    assert_eq!(listed.buckets().iter().map(|bucket| bucket.name().unwrap()).collect::<Vec<_>>(), ["vault"]);
    put(client, "a", b"a").await;
    assert_eq!(code(client.delete_bucket().bucket("vault").send().await), "BucketNotEmpty");
    client.delete_object().bucket("vault").key("a").send().await.unwrap();
    client.delete_bucket().bucket("vault").send().await.unwrap();
    assert_eq!(code(client.list_objects_v2().bucket("vault").send().await), "NoSuchBucket");
    assert_eq!(code(client.put_object().bucket("vault").key("a").send().await), "NoSuchBucket");
}

#[tokio::test]
async fn bytes_and_metadata_come_back_as_they_were_put() {
    let sandbox = with_bucket(false).await;
    let client = &sandbox.client;
    // Below and above the size from which contents are files, and nothing at all.
    for (key, length) in [("empty", 0), ("small", 100), ("limit", 32 << 10), ("file", (32 << 10) + 1), ("large", 3 << 20)] {
        let body = bytes(length, key);
        put(client, key, &body).await;
        assert_eq!(get(client, key, None).await, body, "{key}");
        let head = client.head_object().bucket("vault").key(key).send().await.unwrap();
        assert_eq!(head.content_length(), Some(length as i64));
        assert_eq!(head.version_id(), None, "a bucket that never had versioning tells no version ids");
    }
    let request = client.put_object().bucket("vault").key("described").body(ByteStream::from_static(b"x"));
    let request = request.content_type("text/plain").metadata("Colour", "blue").cache_control("no-cache").tagging("team=a&cost%20centre=7");
    request.storage_class(StorageClass::StandardIa).send().await.unwrap();
    let got = client.get_object().bucket("vault").key("described").send().await.unwrap();
    assert_eq!(got.content_type(), Some("text/plain"));
    assert_eq!(got.metadata().unwrap()["colour"], "blue");
    assert_eq!(got.cache_control(), Some("no-cache"));
    assert_eq!(got.tag_count(), Some(2));
    assert_eq!(got.storage_class(), Some(&StorageClass::StandardIa));
    assert_eq!(got.e_tag(), Some("\"9dd4e461268c8034f5c8564e155c67a6\""));
    let tags = client.get_object_tagging().bucket("vault").key("described").send().await.unwrap();
    assert!(tags.tag_set().iter().any(|tag| tag.key() == "cost centre" && tag.value() == "7"));
}

#[tokio::test]
async fn any_key_of_utf8_survives_put_get_list_and_delete() {
    let sandbox = with_bucket(true).await;
    let client = &sandbox.client;
    let long = "k".repeat(1024);
    let keys = [
        "plain",
        "a b",
        "a+b",
        "a%2Bb",
        "a/../b",
        "../up",
        "/leading",
        "//two",
        "new\nline",
        "tab\t",
        "ünï/çødé/日本",
        "q?x=1&y#z",
        "trailing/",
        "'\"<&>",
        "~!*()",
        "\u{7f}",
        long.as_str(),
    ];
    for key in keys {
        put(client, key, key.as_bytes()).await;
    }
    for key in keys {
        assert_eq!(get(client, key, None).await, key.as_bytes(), "{key:?}");
    }
    let mut sorted: Vec<&str> = keys.to_vec();
    sorted.sort_unstable();
    let listed = client.list_objects_v2().bucket("vault").send().await.unwrap();
    let found: Vec<&str> = listed.contents().iter().map(|object| object.key().unwrap()).collect();
    assert_eq!(found, sorted);
    let listed = client.list_object_versions().bucket("vault").send().await.unwrap();
    let found: Vec<&str> = listed.versions().iter().map(|object| object.key().unwrap()).collect();
    assert_eq!(found, sorted);
    for key in keys {
        let source = format!("vault/{}", percent_encoding::utf8_percent_encode(key, percent_encoding::NON_ALPHANUMERIC));
        client.copy_object().bucket("vault").key("copy").copy_source(source).send().await.unwrap();
        assert_eq!(get(client, "copy", None).await, key.as_bytes(), "{key:?}");
        client.delete_object().bucket("vault").key(key).send().await.unwrap();
        assert_eq!(code(client.get_object().bucket("vault").key(key).send().await), "NoSuchKey");
    }
    let too_long = "k".repeat(1025);
    assert_eq!(code(client.put_object().bucket("vault").key(too_long).send().await), "KeyTooLongError");
}

#[tokio::test]
async fn ranges_are_those_of_rfc_9110() {
    let sandbox = with_bucket(false).await;
    let client = &sandbox.client;
    let body = bytes(600 << 10, "ranges");
    put(client, "k", &body).await;
    let size = body.len();
    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=262100-262200", 262_100, 262_201),
        ("bytes=614399-", size - 1, size),
        ("bytes=-5", size - 5, size),
        ("bytes=-9999999", 0, size),
        ("bytes=5-9999999", 5, size),
    ] {
        let got = client.get_object().bucket("vault").key("k").range(range).send().await.unwrap();
        assert_eq!(got.content_range(), Some(format!("bytes {from}-{}/{size}", to - 1).as_str()), "{range}");
        assert_eq!(got.body.collect().await.unwrap().to_vec(), &body[from..to], "{range}");
    }
    assert_eq!(code(client.get_object().bucket("vault").key("k").range("bytes=614400-").send().await), "InvalidRange");
    put(client, "empty", b"").await;
    assert_eq!(code(client.get_object().bucket("vault").key("empty").range("bytes=-1").send().await), "InvalidRange");
}

#[tokio::test]
async fn conditions_hold_on_reads_and_writes() {
    let sandbox = with_bucket(false).await;
    let client = &sandbox.client;
    let put_if = || client.put_object().bucket("vault").key("k").body(ByteStream::from_static(b"one"));
    assert_eq!(code(put_if().if_match("\"00\"").send().await), "NoSuchKey");
    let etag = put_if().if_none_match("*").send().await.unwrap().e_tag.unwrap();
    assert_eq!(code(put_if().if_none_match("*").send().await), "PreconditionFailed");
    assert_eq!(code(put_if().if_match("\"00\"").send().await), "PreconditionFailed");
    put_if().if_match(&etag).send().await.unwrap();
    let get_if = || client.get_object().bucket("vault").key("k");
    get_if().if_match(&etag).send().await.unwrap();
    assert_eq!(code(get_if().if_match("\"00\"").send().await), "PreconditionFailed");
    let unchanged = get_if().if_none_match(&etag).send().await.unwrap_err();
    assert_eq!(unchanged.raw_response().unwrap().status().as_u16(), 304);
    let later = DateTime::from_secs(4_000_000_000);
    let unchanged = get_if().if_modified_since(later).send().await.unwrap_err();
    assert_eq!(unchanged.raw_response().unwrap().status().as_u16(), 304);
    let earlier = DateTime::from_secs(1_000_000_000);
    get_if().if_modified_since(earlier).send().await.unwrap();
    assert_eq!(code(get_if().if_unmodified_since(earlier).send().await), "PreconditionFailed");
    get_if().if_match(&etag).if_unmodified_since(earlier).send().await.unwrap();
    assert!(client.head_object().bucket("vault").key("k").if_match("\"00\"").send().await.is_err());
}

#[tokio::test]
async fn checksums_are_checked_kept_and_told() {
    let sandbox = with_bucket(false).await;
    let client = &sandbox.client;
    let body = b"123456789";
    for (algorithm, expected) in [
        (ChecksumAlgorithm::Crc32, "y/Q5Jg=="),
        (ChecksumAlgorithm::Crc32C, "4waSgw=="),
        (ChecksumAlgorithm::Crc64Nvme, "rosUhgp5mIg="),
        (ChecksumAlgorithm::Sha1, "98O8HYCOBHMq32eZZczDTKeuNEE="),
        (ChecksumAlgorithm::Sha256, "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
    ] {
        let put = client.put_object().bucket("vault").key("k").checksum_algorithm(algorithm.clone());
        put.body(ByteStream::from_static(body)).send().await.unwrap();
        let got = client.head_object().bucket("vault").key("k").checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
        let told = [got.checksum_crc32(), got.checksum_crc32_c(), got.checksum_crc64_nvme(), got.checksum_sha1(), got.checksum_sha256()];
        assert_eq!(told.into_iter().flatten().collect::<Vec<_>>(), [expected], "{algorithm:?}");
        assert_eq!(got.checksum_type().unwrap().as_str(), "FULL_OBJECT");
        let attributes = client.get_object_attributes().bucket("vault").key("k");
        let attributes = attributes.object_attributes(ObjectAttributes::Checksum).object_attributes(ObjectAttributes::ObjectSize);
        let attributes = attributes.object_attributes(ObjectAttributes::Etag).send().await.unwrap();
        assert_eq!(attributes.object_size(), Some(9));
        // AWS leaves the quotes out here and s3s writes them: clients have to take both.
        assert_eq!(attributes.e_tag().unwrap().trim_matches('"'), "25f9e794323b453885f5181f1b624d0b");
        let sums = attributes.checksum().unwrap();
        let told =
            [sums.checksum_crc32(), sums.checksum_crc32_c(), sums.checksum_crc64_nvme(), sums.checksum_sha1(), sums.checksum_sha256()];
        assert_eq!(told.into_iter().flatten().collect::<Vec<_>>(), [expected]);
    }
    let wrong = || client.put_object().bucket("vault").key("bad").body(ByteStream::from_static(body));
    assert_eq!(code(wrong().checksum_crc32("AAAAAA==").send().await), "BadDigest");
    assert_eq!(code(wrong().checksum_sha256("short").send().await), "InvalidRequest");
    assert_eq!(code(wrong().content_md5("AAAAAAAAAAAAAAAAAAAAAA==").send().await), "BadDigest");
    assert_eq!(code(wrong().content_md5("no").send().await), "InvalidDigest");
    assert_eq!(code(client.get_object().bucket("vault").key("bad").send().await), "NoSuchKey");
}

#[tokio::test]
async fn a_body_of_unknown_length_travels_in_chunks_with_a_trailer() {
    let sandbox = with_bucket(false).await;
    let path = sandbox.dir.path().join("upload");
    let body = bytes(2 << 20, "trailer");
    std::fs::write(&path, &body).unwrap();
    let stream = ByteStream::from_path(&path).await.unwrap();
    sandbox.client.put_object().bucket("vault").key("k").body(stream).send().await.unwrap();
    assert_eq!(get(&sandbox.client, "k", None).await, body);
}

#[tokio::test]
async fn copies_take_or_replace_what_they_should() {
    let sandbox = with_bucket(true).await;
    let client = &sandbox.client;
    let put = client.put_object().bucket("vault").key("from").body(ByteStream::from_static(b"one")).metadata("a", "1").tagging("t=1");
    let first = put.send().await.unwrap().version_id.unwrap();
    crate::s3::help::put(client, "from", b"two").await;
    let copy = || client.copy_object().bucket("vault").key("to");
    let copied = copy().copy_source(format!("vault/from?versionId={first}")).send().await.unwrap();
    assert_eq!(copied.copy_source_version_id(), Some(first.as_str()));
    let got = client.get_object().bucket("vault").key("to").send().await.unwrap();
    assert_eq!((got.metadata().unwrap()["a"].as_str(), got.tag_count()), ("1", Some(1)));
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"one");
    copy().copy_source("vault/from").metadata_directive(MetadataDirective::Replace).metadata("b", "2").send().await.unwrap();
    let got = client.head_object().bucket("vault").key("to").send().await.unwrap();
    assert_eq!(got.metadata().unwrap().get("a"), None);
    assert_eq!(got.metadata().unwrap()["b"], "2");
    assert_eq!(code(copy().copy_source("vault/to").send().await), "InvalidRequest");
    assert_eq!(code(copy().copy_source("vault/absent").send().await), "NoSuchKey");
    assert_eq!(code(copy().copy_source("vault/from").copy_source_if_match("\"00\"").send().await), "PreconditionFailed");
}

#[tokio::test]
async fn tags_and_bucket_settings_are_kept() {
    let sandbox = with_bucket(false).await;
    let client = &sandbox.client;
    put(client, "k", b"x").await;
    let tagging = |value: &str| Tagging::builder().tag_set(Tag::builder().key("drill").value(value).build().unwrap()).build().unwrap();
    client.put_object_tagging().bucket("vault").key("k").tagging(tagging("1")).send().await.unwrap();
    let tags = client.get_object_tagging().bucket("vault").key("k").send().await.unwrap();
    assert_eq!(tags.tag_set()[0].value(), "1");
    client.delete_object_tagging().bucket("vault").key("k").send().await.unwrap();
    assert!(client.get_object_tagging().bucket("vault").key("k").send().await.unwrap().tag_set().is_empty());
    assert_eq!(code(client.get_bucket_tagging().bucket("vault").send().await), "NoSuchTagSet");
    client.put_bucket_tagging().bucket("vault").tagging(tagging("2")).send().await.unwrap();
    assert_eq!(client.get_bucket_tagging().bucket("vault").send().await.unwrap().tag_set()[0].value(), "2");
    let block = client.get_public_access_block().bucket("vault").send().await.unwrap();
    assert_eq!(block.public_access_block_configuration().unwrap().block_public_acls(), Some(true));
    let encryption = client.get_bucket_encryption().bucket("vault").send().await.unwrap();
    let rules = encryption.server_side_encryption_configuration().unwrap().rules();
    assert_eq!(rules[0].apply_server_side_encryption_by_default().unwrap().sse_algorithm().as_str(), "AES256");
    assert_eq!(code(client.get_bucket_policy().bucket("vault").send().await), "NoSuchBucketPolicy");
}
