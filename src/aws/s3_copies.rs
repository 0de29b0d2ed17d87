//! A bucket as it was at an instant, copied into another bucket without the bytes passing through here: CopyObject for each key's
//! version, by parts beyond 5 GiB.
//!
//! What is copied already stays: after a crash the copying goes on behind it.

use std::cmp::Ordering;
use std::pin::pin;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use futures_util::{StreamExt, TryStreamExt};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::aws::errors::classify;
use crate::aws::s3::S3Source;
use crate::aws::session::Session;
use crate::model::clock::Timestamp;
use crate::model::failure::{Failure, FailureKind};
use crate::model::source_url::View;
use crate::verify::objects::source::{Entry, ObjectSource};

/// CopyObject takes no more (S3 API reference).
pub const COPY_LIMIT_BYTES: u64 = 5 << 30;

/// Bytes of a part of a larger copy.
const PART_BYTES: u64 = 1 << 30;

/// Copies under way at a time.
const CONCURRENCY: usize = 16;

/// The characters of a key that the header `x-amz-copy-source` takes as they are.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Copies what `bucket` held below `prefix` at `at` into `target`; gives how many keys that were. Objects of more than `limit` bytes go
/// by parts. A key of which it cannot be told what it was is copied as it may have been: the comparison says so.
pub async fn copy_as_of(
    session: &Session,
    (bucket, prefix): (&str, &str),
    at: Timestamp,
    target: &str,
    limit: u64,
) -> Result<u64, Failure> {
    let config = aws_sdk_s3::config::Builder::from(session.config()).force_path_style(session.has_custom_endpoint()).build();
    let client = Client::from_conf(config);
    let source = S3Source::open(session, bucket, prefix, Some(View::At(at))).await?;
    let there = S3Source::open(session, target, "", Some(View::Latest)).await?.list();
    let wanted = lacking(source.list(), there);
    let copied = wanted.map(|entry| {
        let client = client.clone();
        async move {
            let (entry, is_there) = entry?;
            if !is_there {
                copy(&client, bucket, &entry, target, limit).await?;
            }
            Ok::<u64, Failure>(1)
        }
    });
    copied.buffer_unordered(CONCURRENCY).try_fold(0, |sum, one| async move { Ok(sum + one) }).await
}

type Listing = futures_util::stream::BoxStream<'static, Result<Entry, Failure>>;

/// Each entry of `wanted`, and whether `there` has its key with its size already. Both are in the order of keys.
fn lacking(wanted: Listing, there: Listing) -> futures_util::stream::BoxStream<'static, Result<(Entry, bool), Failure>> {
    let there = Box::pin(there.peekable());
    futures_util::stream::try_unfold((wanted, there), |(mut wanted, mut there)| async move {
        let Some(entry) = wanted.next().await.transpose()? else { return Ok(None) };
        loop {
            let order = match there.as_mut().peek().await {
                None => Ordering::Greater,
                Some(Ok(found)) => found.key.as_bytes().cmp(entry.key.as_bytes()),
                // Taken below, where the failure is given out.
                Some(Err(_)) => Ordering::Less,
            };
            match order {
                Ordering::Less => drop(there.next().await.transpose()?),
                Ordering::Equal => {
                    let same = there.next().await.transpose()?.is_some_and(|found| found.size == entry.size);
                    return Ok(Some(((entry, same), (wanted, there))));
                }
                Ordering::Greater => return Ok(Some(((entry, false), (wanted, there)))),
            }
        }
    })
    .boxed()
}

async fn copy(client: &Client, bucket: &str, entry: &Entry, target: &str, limit: u64) -> Result<(), Failure> {
    let version = entry.version_id.as_ref().map(|id| format!("?versionId={id}")).unwrap_or_default();
    let from = format!("{bucket}/{}{version}", utf8_percent_encode(&entry.key, PLAIN));
    let what = format!("s3:CopyObject {bucket}/{} to {target}", entry.key.escape_debug());
    if entry.size > limit {
        return copy_parts(client, bucket, entry, target, &from, limit).await.map_err(|failure| failure.context(what));
    }
    let call = client.copy_object().copy_source(from).bucket(target).key(&entry.key);
    call.send().await.map_err(|error| classify(&what, error))?;
    Ok(())
}

/// The copy of a large object; metadata and tags, which a copy of parts leaves behind, are given to it.
async fn copy_parts(client: &Client, bucket: &str, entry: &Entry, target: &str, from: &str, limit: u64) -> Result<(), Failure> {
    let of_source = client.head_object().bucket(bucket).key(&entry.key).set_version_id(entry.version_id.clone());
    let head = of_source.send().await.map_err(|error| classify("s3:HeadObject", error))?;
    let tags = client.get_object_tagging().bucket(bucket).key(&entry.key).set_version_id(entry.version_id.clone());
    let tags = tags.send().await.map_err(|error| classify("s3:GetObjectTagging", error))?.tag_set;
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let tagging: Vec<String> = tags.iter().map(|tag| format!("{}={}", encode(tag.key()), encode(tag.value()))).collect();
    let begin = client.create_multipart_upload().bucket(target).key(&entry.key).set_metadata(head.metadata().cloned());
    let begin = begin
        .set_content_type(head.content_type().map(str::to_owned))
        .set_content_encoding(head.content_encoding().map(str::to_owned))
        .set_content_language(head.content_language().map(str::to_owned))
        .set_content_disposition(head.content_disposition().map(str::to_owned))
        .set_cache_control(head.cache_control().map(str::to_owned))
        .set_expires(head.expires_string().and_then(|text| DateTime::from_str(text, DateTimeFormat::HttpDate).ok()))
        .set_website_redirect_location(head.website_redirect_location().map(str::to_owned))
        .set_tagging((!tagging.is_empty()).then(|| tagging.join("&")));
    let begun = begin.send().await.map_err(|error| classify("s3:CreateMultipartUpload", error))?;
    let upload = begun.upload_id.ok_or_else(|| Failure::new(FailureKind::Remote, "an upload without an id"))?;
    let part_bytes = PART_BYTES.min(limit.max(1));
    let mut parts = Vec::new();
    let mut at = 0;
    while at < entry.size {
        let end = (at + part_bytes).min(entry.size);
        let number = i32::try_from(parts.len() + 1).unwrap_or(i32::MAX);
        let call = client.upload_part_copy().bucket(target).key(&entry.key).upload_id(&upload).part_number(number);
        let call = call.copy_source(from).copy_source_range(format!("bytes={at}-{}", end - 1));
        let answer = match call.send().await {
            Ok(answer) => answer,
            Err(error) => {
                // What was begun would be paid for until somebody finds it.
                let abort = client.abort_multipart_upload().bucket(target).key(&entry.key).upload_id(&upload).send();
                let _ = pin!(abort).await;
                return Err(classify("s3:UploadPartCopy", error));
            }
        };
        let etag = answer.copy_part_result.and_then(|result| result.e_tag);
        parts.push(CompletedPart::builder().part_number(number).set_e_tag(etag).build());
        at = end;
    }
    let whole = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    let end = client.complete_multipart_upload().bucket(target).key(&entry.key).upload_id(&upload).multipart_upload(whole);
    end.send().await.map_err(|error| classify("s3:CompleteMultipartUpload", error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_there_with_its_size_is_not_copied_again() {
        let list = |entries: Vec<(&str, u64)>| -> Listing {
            let entries: Vec<_> = entries.into_iter().map(|(key, size)| Ok(Entry::object(key, size))).collect();
            futures_util::stream::iter(entries).boxed()
        };
        let told = lacking(list(vec![("a", 1), ("b", 2), ("c", 3)]), list(vec![("0", 1), ("a", 1), ("b", 9), ("d", 1)]));
        let told: Vec<(String, bool)> = told.map(|one| one.map(|(entry, there)| (entry.key, there)).unwrap()).collect().await;
        assert_eq!(told, [("a", true), ("b", false), ("c", false)].map(|(key, there)| (key.to_owned(), there)));
        let broken: Listing = futures_util::stream::iter([Err(Failure::invalid("broken"))]).boxed();
        let told: Vec<_> = lacking(list(vec![("a", 1)]), broken).collect().await;
        assert!(told[0].is_err() && told.len() == 1);
    }
}
