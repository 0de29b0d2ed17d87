//! What S3 says of an object beside its bytes, out of the headers of GetObject and HeadObject; and the few calls that headers leave
//! open: tags, and whether an absent header means *none* or *not allowed to see*.
//!
//! S3 leaves lock headers and the count of tags out for an identity without the permission (API reference, GetObject). One call a run
//! and kind of evidence tells which it is, at the first object that has none.

use std::cell::RefCell;
use std::collections::BTreeMap;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
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
    /// Absent: none, or none that may be seen; `asked_apart` where it says nothing at all.
    tag_count: Option<i32>,
    asked_apart: bool,
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
            asked_apart: false,
        }
    }};
}

impl Told {
    /// What was read out of the headers of an answer to GetObject, with the count of its tags.
    pub fn of_headers(evidence: Evidence, tag_count: Option<i32>) -> Self {
        Self { evidence, tag_count, asked_apart: false }
    }
}

/// The metadata of an object that was looked at last, and its digest: most objects of a bucket have the same.
type LastMetadata = (Vec<(&'static str, String)>, Vec<(String, String)>, Digest32);

thread_local! {
    static LAST_METADATA: RefCell<Option<LastMetadata>> = const { RefCell::new(None) };
}

/// [`metadata_digest`] of borrowed values.
pub fn metadata_of(system: &BTreeMap<&'static str, &str>, user: &BTreeMap<&str, &str>) -> Digest32 {
    LAST_METADATA.with_borrow_mut(|last| {
        if let Some((known_system, known_user, digest)) = last
            && known_system.iter().map(|(name, value)| (*name, value.as_str())).eq(system.iter().map(|(name, value)| (*name, *value)))
            && known_user.iter().map(|(name, value)| (name.as_str(), value.as_str())).eq(user.iter().map(|(name, value)| (*name, *value)))
        {
            return *digest;
        }
        let system: BTreeMap<&'static str, String> = system.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let user: BTreeMap<String, String> = user.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let digest = metadata_digest(&system, &user);
        *last = Some((system.into_iter().collect(), user.into_iter().collect(), digest));
        digest
    })
}

/// What the headers of GetObject say.
pub fn of_get(answer: &GetObjectOutput) -> Told {
    told!(answer)
}

/// What the headers of HeadObject say. Not every server counts the tags there: where the count is absent, they are asked for.
pub fn of_head(answer: &HeadObjectOutput) -> Told {
    let told: Told = told!(answer);
    Told { asked_apart: told.tag_count.is_none(), ..told }
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
            let kind = answer.checksum_type().map_or(kind_of(value), |kind| kind.as_str()).to_owned();
            S3Checksum { algorithm: algorithm.to_owned(), kind, value: value.to_owned() }
        })
    }};
}

/// Answers before `x-amz-checksum-type` existed tell a composite checksum by its number of parts.
pub fn kind_of(value: &str) -> &'static str {
    if value.contains('-') { "COMPOSITE" } else { "FULL_OBJECT" }
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
        let Told { mut evidence, tag_count, asked_apart } = told;
        evidence.tags = if asked_apart || tag_count.unwrap_or(0) > 0 {
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
        let asked = self.retention.get_or_try_init(|| async {
            let error = call.customize().config_override(few_attempts()).send().await.err();
            sees_none(error.map(|error| (code_of(&error), answered(error.raw_response()))))
        });
        asked.await.is_ok_and(|sees| *sees)
    }

    async fn sees_hold(&self, place: Place<'_>) -> bool {
        let call =
            place.client.get_object_legal_hold().bucket(place.bucket).key(place.key).set_version_id(place.version_id.map(str::to_owned));
        let asked = self.hold.get_or_try_init(|| async {
            let error = call.customize().config_override(few_attempts()).send().await.err();
            sees_none(error.map(|error| (code_of(&error), answered(error.raw_response()))))
        });
        asked.await.is_ok_and(|sees| *sees)
    }
}

/// These calls only tell what an absent header means: not worth minutes of asking again.
fn few_attempts() -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::config::Builder::default().retry_config(RetryConfig::standard().with_max_attempts(2))
}

/// The status of an answer; nothing where none came.
fn answered(response: Option<&HttpResponse>) -> Option<u16> {
    response.map(|response| response.status().as_u16())
}

/// Whether an answer about an object without lock headers means that there is no lock; an error where it says neither, and may say so
/// another time.
fn sees_none(error: Option<(String, Option<u16>)>) -> Result<bool, ()> {
    let Some((code, status)) = error else {
        // A lock beside headers without one: the two calls have different permissions, so headers tell nothing.
        return Ok(false);
    };
    match (code.as_str(), status) {
        (code, _) if NO_LOCK_CODES.contains(&code) => Ok(true),
        ("AccessDenied", _) => Ok(false),
        // A server that cannot answer this at all will not at the next object either.
        (_, Some(500)) => Ok(false),
        _ => Err(()),
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
        let said = |code: &str, status| sees_none(Some((code.to_owned(), status)));
        assert_eq!(said("NoSuchObjectLockConfiguration", Some(404)), Ok(true));
        assert_eq!(said("AccessDenied", Some(403)), Ok(false));
        assert_eq!(sees_none(None), Ok(false));
        assert_eq!(said("", Some(500)), Ok(false));
        assert_eq!((said("SlowDown", Some(503)), said("", None)), (Err(()), Err(())));
    }
}
