//! What a source says of an object beside its bytes: metadata, tags, storage class, locks, encryption, replication.
//!
//! Absent means *not known*: the source cannot say, or this identity may not see it. Known to be none has spellings of its own
//! (`NONE`, `false`, the digest of no tags), so that a lock that vanished is told from one that nobody was allowed to look at.
//!
//! Not here: which of it is compared (`fields`), and where it comes from (the edge).

use std::collections::BTreeMap;

use crate::model::canonical_json;
use crate::model::clock::Timestamp;
use crate::model::digest::Digest32;

/// The lock mode of a version that is known to have no retention.
pub const NO_LOCK: &str = "NONE";

/// Evidence of one object version, as the source states it at the moment of reading.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Evidence {
    /// The entity tag, quotes included.
    pub etag: Option<String>,
    /// `STANDARD`, `GLACIER`, …
    pub storage_class: Option<String>,
    /// [`metadata_digest`] of user and system metadata.
    pub metadata: Option<Digest32>,
    /// [`tags_digest`] of the tags.
    pub tags: Option<Digest32>,
    /// `GOVERNANCE`, `COMPLIANCE`, or [`NO_LOCK`].
    pub lock_mode: Option<String>,
    /// Until when it is retained.
    pub lock_until: Option<Timestamp>,
    /// Whether a legal hold is on.
    pub legal_hold: Option<bool>,
    /// `AES256`, `aws:kms`, `aws:kms:dsse`, or `SSE-C`.
    pub encryption: Option<String>,
    /// The KMS key's ARN; with SSE-C the MD5 of the customer's key, as S3 states it.
    pub encryption_key: Option<String>,
    /// `PENDING`, `COMPLETED`, `FAILED` or `REPLICA`; absent where no rule of replication applies.
    pub replication: Option<String>,
}

/// SHA-256 of the RFC 8785 JSON `{"system":{…},"user":{…}}`. System members are named like their headers in lower case
/// (`content-type`, `cache-control`, …), user members without `x-amz-meta-`.
pub fn metadata_digest(system: &BTreeMap<&str, String>, user: &BTreeMap<String, String>) -> Digest32 {
    let system: BTreeMap<String, String> = system.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    digest_of(&BTreeMap::from([("system", &system), ("user", user)]))
}

/// SHA-256 of the RFC 8785 JSON object of the tags; of no tags, of `{}`.
pub fn tags_digest(tags: &BTreeMap<String, String>) -> Digest32 {
    digest_of(tags)
}

fn digest_of(value: &impl serde::Serialize) -> Digest32 {
    Digest32::sha256(&canonical_json::to_bytes(value).expect("strings alone are canonical"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_of_canonical_json_that_anyone_can_make() {
        assert_eq!(tags_digest(&BTreeMap::new()), Digest32::sha256(b"{}"));
        let tags = BTreeMap::from([("b".to_owned(), "2".to_owned()), ("a".to_owned(), "é\n".to_owned())]);
        assert_eq!(tags_digest(&tags), Digest32::sha256("{\"a\":\"é\\n\",\"b\":\"2\"}".as_bytes()));
        let system = BTreeMap::from([("content-type", "text/plain".to_owned())]);
        let user = BTreeMap::from([("owner".to_owned(), "crm".to_owned())]);
        let json = br#"{"system":{"content-type":"text/plain"},"user":{"owner":"crm"}}"#;
        assert_eq!(metadata_digest(&system, &user), Digest32::sha256(json));
    }
}
