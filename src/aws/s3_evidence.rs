//! What S3 says of an object beside its bytes, out of the headers of GetObject and HeadObject; and the few calls that headers leave
//! open: tags, and whether an absent header means *none* or *not allowed to see*.
//!
//! S3 leaves lock headers and the count of tags out for an identity without the permission (API reference, GetObject). One call a run
//! and kind of evidence tells which it is, at the first object that has none.

use std::collections::BTreeMap;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use tokio::sync::OnceCell;

use crate::aws::times::timestamp;
use crate::model::digest::Digest32;
use crate::verify::objects::evidence::{Evidence, NO_LOCK, metadata_digest, tags_digest};
use crate::verify::objects::source::S3Checksum;

/// One version of one object.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The client that reads it.
    pub client: &'a Client,
    /// Its bucket.
    pub bucket: &'a str,
    /// Its key.
    pub key: &'a str,
    /// Its version, where it has one.
    pub version_id: Option<&'a str>,
}

/// What the headers say, and how many tags they count.
#[derive(Debug)]
pub struct Told {
    evidence: Evidence,
    tag_count: Option<i32>,
}

macro_rules! told {
    ($answer:expr) => {{
        let answer = $answer;
        let text = |value: Option<&str>| value.map(str::to_owned);
        let system: BTreeMap<&str, String> = [
            ("cache-control", answer.cache_control()),
            ("content-disposition", answer.content_disposition()),
            ("content-encoding", answer.content_encoding()),
            ("content-language", answer.content_language()),
            ("content-type", answer.content_type()),
            ("expires", answer.expires_string()),
            ("website-redirect-location", answer.website_redirect_location()),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?.to_owned())))
        .collect();
        let user: BTreeMap<String, String> = answer
            .metadata()
            .map(|user| user.iter().map(|(name, value)| (name.to_lowercase(), value.clone())).collect())
            .unwrap_or_default();
        // Values that do not fit into headers are left out and counted: what is left then is not the whole.
        let whole = answer.missing_meta().unwrap_or(0) == 0;
        let customer = answer.sse_customer_algorithm().map(|_| "SSE-C".to_owned());
        Told {
            evidence: Evidence {
                etag: text(answer.e_tag()),
                storage_class: Some(answer.storage_class().map_or("STANDARD", |class| class.as_str()).to_owned()),
                metadata: whole.then(|| metadata_digest(&system, &user)),
                tags: None,
                lock_mode: text(answer.object_lock_mode().map(|mode| mode.as_str())),
                lock_until: answer.object_lock_retain_until_date().map(timestamp),
                legal_hold: answer.object_lock_legal_hold_status().map(|status| status.as_str() == "ON"),
                encryption: customer.or_else(|| text(answer.server_side_encryption().map(|mode| mode.as_str()))),
                encryption_key: text(answer.sse_customer_key_md5().or(answer.ssekms_key_id())),
                replication: text(answer.replication_status().map(|status| status.as_str())),
            },
            tag_count: answer.tag_count(),
        }
    }};
}

/// What the headers of GetObject say.
pub fn of_get(answer: &GetObjectOutput) -> Told {
    told!(answer)
}

/// What the headers of HeadObject say; `tag_count` is among them too.
pub fn of_head(answer: &HeadObjectOutput) -> Told {
    told!(answer)
}

macro_rules! strongest {
    ($answer:expr) => {{
        let answer = $answer;
        let kinds = [
            ("SHA512", answer.checksum_sha512()),
            ("SHA256", answer.checksum_sha256()),
            ("SHA1", answer.checksum_sha1()),
            ("CRC64NVME", answer.checksum_crc64_nvme()),
            ("CRC32C", answer.checksum_crc32_c()),
            ("CRC32", answer.checksum_crc32()),
        ];
        let found = kinds.into_iter().find_map(|(name, value)| Some((name, value?)));
        found.map(|(algorithm, value)| {
            // Answers before `x-amz-checksum-type` existed tell a composite one by its number of parts.
            let guess = if value.contains('-') { "COMPOSITE" } else { "FULL_OBJECT" };
            let kind = answer.checksum_type().map_or(guess, |kind| kind.as_str()).to_owned();
            S3Checksum { algorithm: algorithm.to_owned(), kind, value: value.to_owned() }
        })
    }};
}

/// The checksum of an answer to GetObject; of several, the strongest.
pub fn checksum(answer: &GetObjectOutput) -> Option<S3Checksum> {
    strongest!(answer)
}

/// The same of an answer to HeadObject.
pub fn checksum_of_head(answer: &HeadObjectOutput) -> Option<S3Checksum> {
    strongest!(answer)
}

/// What this identity may see of a bucket, asked once each.
#[derive(Debug, Default)]
pub struct Sight {
    tags: OnceCell<bool>,
    retention: OnceCell<bool>,
    hold: OnceCell<bool>,
}

/// Codes by which S3 says that there is no lock, and not that it may not be seen.
const NO_LOCK_CODES: [&str; 4] =
    ["NoSuchObjectLockConfiguration", "ObjectLockConfigurationNotFoundError", "InvalidRequest", "NotImplemented"];

impl Sight {
    /// Completes what the headers said. Whatever cannot be found out stays unknown: it is never a reason not to read the object.
    pub async fn complete(&self, place: Place<'_>, told: Told) -> Evidence {
        let Told { mut evidence, tag_count } = told;
        evidence.tags = if tag_count.unwrap_or(0) > 0 {
            tags_of(place).await.ok()
        } else {
            let sees = self.tags.get_or_try_init(|| async {
                match tags_of(place).await {
                    Ok(_) => Ok(true),
                    Err(denied) if denied => Ok(false),
                    Err(_) => Err(()),
                }
            });
            sees.await.is_ok_and(|sees| *sees).then(|| tags_digest(&BTreeMap::new()))
        };
        if evidence.lock_mode.is_none() && self.sees_retention(place).await {
            evidence.lock_mode = Some(NO_LOCK.to_owned());
        }
        if evidence.legal_hold.is_none() && self.sees_hold(place).await {
            evidence.legal_hold = Some(false);
        }
        evidence
    }

    async fn sees_retention(&self, place: Place<'_>) -> bool {
        let call =
            place.client.get_object_retention().bucket(place.bucket).key(place.key).set_version_id(place.version_id.map(str::to_owned));
        let asked = self.retention.get_or_try_init(|| async { sees_none(call.send().await.err().map(|error| code_of(&error))) });
        asked.await.is_ok_and(|sees| *sees)
    }

    async fn sees_hold(&self, place: Place<'_>) -> bool {
        let call =
            place.client.get_object_legal_hold().bucket(place.bucket).key(place.key).set_version_id(place.version_id.map(str::to_owned));
        let asked = self.hold.get_or_try_init(|| async { sees_none(call.send().await.err().map(|error| code_of(&error))) });
        asked.await.is_ok_and(|sees| *sees)
    }
}

/// Whether an answer about an object without lock headers means that there is no lock; an error where it says neither.
fn sees_none(error: Option<String>) -> Result<bool, ()> {
    match error.as_deref() {
        // A lock beside headers without one: the two calls have different permissions, so headers tell nothing.
        None => Ok(false),
        Some(code) if NO_LOCK_CODES.contains(&code) => Ok(true),
        Some("AccessDenied") => Ok(false),
        Some(_) => Err(()),
    }
}

fn code_of(error: &impl ProvideErrorMetadata) -> String {
    error.code().unwrap_or_default().to_owned()
}

/// GetObjectTagging; the error tells whether the call was denied.
async fn tags_of(place: Place<'_>) -> Result<Digest32, bool> {
    let call = place.client.get_object_tagging().bucket(place.bucket).key(place.key).set_version_id(place.version_id.map(str::to_owned));
    let answer = call.send().await.map_err(|error| code_of(&error) == "AccessDenied")?;
    let tags = answer.tag_set.into_iter().map(|tag| (tag.key, tag.value)).collect();
    Ok(tags_digest(&tags))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_lock_is_believed_only_where_it_would_be_seen() {
        assert_eq!(sees_none(Some("NoSuchObjectLockConfiguration".into())), Ok(true));
        assert_eq!(sees_none(Some("AccessDenied".into())), Ok(false));
        assert_eq!(sees_none(None), Ok(false));
        assert_eq!(sees_none(Some("SlowDown".into())), Err(()));
    }
}
