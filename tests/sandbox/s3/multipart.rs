//! Uploads in parts, their ETags and checksums.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, CompletedMultipartUpload, CompletedPart, ObjectAttributes};

use crate::s3::help::{bytes, code, get, put, with_bucket};

const PART: usize = 5 << 20;

async fn upload(
    client: &Client,
    key: &str,
    parts: &[&[u8]],
    algorithm: Option<ChecksumAlgorithm>,
) -> aws_sdk_s3::operation::complete_multipart_upload::CompleteMultipartUploadOutput {
    let created = client.create_multipart_upload().bucket("vault").key(key).set_checksum_algorithm(algorithm.clone()).send().await.unwrap();
    let id = created.upload_id.unwrap();
    let mut done = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let number = index as i32 + 1;
        let request = client.upload_part().bucket("vault").key(key).upload_id(&id).part_number(number);
        let put = request.set_checksum_algorithm(algorithm.clone()).body(ByteStream::from(part.to_vec())).send().await.unwrap();
        let part = CompletedPart::builder().part_number(number).set_e_tag(put.e_tag).set_checksum_sha256(put.checksum_sha256);
        done.push(part.set_checksum_crc32(put.checksum_crc32).build());
    }
    let completed = CompletedMultipartUpload::builder().set_parts(Some(done)).build();
    client.complete_multipart_upload().bucket("vault").key(key).upload_id(&id).multipart_upload(completed).send().await.unwrap()
}

#[tokio::test]
async fn parts_become_one_object() {
    let sandbox = with_bucket(true).await;
    let client = &sandbox.client;
    let body = bytes(2 * PART + 1000, "multipart");
    let parts = [&body[..PART], &body[PART..2 * PART], &body[2 * PART..]];
    let completed = upload(client, "k", &parts, Some(ChecksumAlgorithm::Sha256)).await;
    assert!(completed.e_tag().unwrap().ends_with("-3\""));
    assert!(completed.checksum_sha256().unwrap().ends_with("-3"));
    assert!(completed.version_id().is_some());
    assert_eq!(get(client, "k", None).await, body);
    let got = client.get_object().bucket("vault").key("k").range(format!("bytes={}-{}", PART - 2, PART + 1)).send().await.unwrap();
    assert_eq!(got.body.collect().await.unwrap().to_vec(), &body[PART - 2..PART + 2]);
    let third = client.head_object().bucket("vault").key("k").part_number(3).checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
    assert_eq!((third.content_length(), third.parts_count()), (Some(1000), Some(3)));
    let attributes = client.get_object_attributes().bucket("vault").key("k").object_attributes(ObjectAttributes::ObjectParts).max_parts(2);
    let told = attributes.send().await.unwrap();
    let told = told.object_parts().unwrap();
    assert_eq!((told.total_parts_count(), told.is_truncated(), told.parts().len()), (Some(3), Some(true), 2));
    // Without an algorithm S3 keeps a CRC64NVME of the whole: the same as of the same bytes in one piece.
    let whole = client.put_object().bucket("vault").key("whole").checksum_algorithm(ChecksumAlgorithm::Crc64Nvme);
    let whole = whole.body(ByteStream::from(body.clone())).send().await.unwrap();
    let plain = upload(client, "plain", &parts, None).await;
    assert_eq!(plain.checksum_type().unwrap().as_str(), "FULL_OBJECT");
    assert_eq!(plain.checksum_crc64_nvme(), whole.checksum_crc64_nvme());
    // A copy is one body: its ETag is an MD5 again.
    let copied = client.copy_object().bucket("vault").key("copy").copy_source("vault/k").send().await.unwrap();
    assert_eq!(copied.copy_object_result().unwrap().e_tag(), whole.e_tag());
}

#[tokio::test]
async fn parts_are_listed_copied_replaced_and_aborted() {
    let sandbox = with_bucket(false).await;
    let client = &sandbox.client;
    put(client, "source", &bytes(PART + 10, "source")).await;
    let id = client.create_multipart_upload().bucket("vault").key("k").send().await.unwrap().upload_id.unwrap();
    let copy = client.upload_part_copy().bucket("vault").key("k").upload_id(&id).part_number(1).copy_source("vault/source");
    copy.copy_source_range(format!("bytes=0-{}", PART - 1)).send().await.unwrap();
    for body in [b"old".as_slice(), b"new!"] {
        client
            .upload_part()
            .bucket("vault")
            .key("k")
            .upload_id(&id)
            .part_number(2)
            .body(ByteStream::from(body.to_vec()))
            .send()
            .await
            .unwrap();
    }
    let listed = client.list_parts().bucket("vault").key("k").upload_id(&id).send().await.unwrap();
    assert_eq!(listed.parts().iter().map(|part| part.size().unwrap()).collect::<Vec<_>>(), [PART as i64, 4]);
    let page = client.list_parts().bucket("vault").key("k").upload_id(&id).max_parts(1).send().await.unwrap();
    assert_eq!((page.is_truncated(), page.next_part_number_marker()), (Some(true), Some("1")));
    let uploads = client.list_multipart_uploads().bucket("vault").send().await.unwrap();
    assert_eq!(uploads.uploads()[0].upload_id(), Some(id.as_str()));
    let complete = |parts: Vec<(i32, &str)>| {
        let parts = parts.into_iter().map(|(number, etag)| CompletedPart::builder().part_number(number).e_tag(etag).build());
        let upload = CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build();
        client.complete_multipart_upload().bucket("vault").key("k").upload_id(&id).multipart_upload(upload).send()
    };
    let etags: Vec<&str> = listed.parts().iter().map(|part| part.e_tag().unwrap()).collect();
    assert_eq!(code(complete(vec![(1, "\"00\"")]).await), "InvalidPart");
    assert_eq!(code(complete(vec![(2, etags[1]), (1, etags[0])]).await), "InvalidPartOrder");
    complete(vec![(1, etags[0]), (2, etags[1])]).await.unwrap();
    assert_eq!(code(complete(vec![(1, etags[0])]).await), "NoSuchUpload");
    assert_eq!(get(client, "k", None).await[PART..], *b"new!");
    let id = client.create_multipart_upload().bucket("vault").key("k").send().await.unwrap().upload_id.unwrap();
    client.abort_multipart_upload().bucket("vault").key("k").upload_id(&id).send().await.unwrap();
    assert_eq!(code(client.list_parts().bucket("vault").key("k").upload_id(&id).send().await), "NoSuchUpload");
    assert!(client.list_multipart_uploads().bucket("vault").send().await.unwrap().uploads().is_empty());
}

#[tokio::test]
async fn parts_but_the_last_have_a_smallest_size() {
    let sandbox = with_bucket(false).await;
    let client = &sandbox.client;
    let id = client.create_multipart_upload().bucket("vault").key("k").send().await.unwrap().upload_id.unwrap();
    let mut parts = Vec::new();
    for number in [1, 2] {
        let put = client.upload_part().bucket("vault").key("k").upload_id(&id).part_number(number).body(ByteStream::from_static(b"x"));
        parts.push(CompletedPart::builder().part_number(number).set_e_tag(put.send().await.unwrap().e_tag).build());
    }
    let upload = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    let completed = client.complete_multipart_upload().bucket("vault").key("k").upload_id(&id).multipart_upload(upload).send().await;
    assert_eq!(code(completed), "EntityTooSmall");
}
