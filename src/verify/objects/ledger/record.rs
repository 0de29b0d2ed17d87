//! The records of a ledger: one JSON object a line, with a checksum before it, so that a torn or damaged line is no record.

use serde::{Deserialize, Serialize};

use crate::model::clock::Timestamp;
use crate::model::digest::Digest32;
use crate::verify::checksum::{Algorithm, Crc, Said};
use crate::verify::hashing::{Digests, RangeDigest};
use crate::verify::objects::content::Content;
use crate::verify::objects::evidence::Evidence;
use crate::verify::objects::source::{Entry, S3Checksum};
use crate::verify::sha256::Midstate;

/// Hex digits of the checksum before each line's JSON.
const CHECK_DIGITS: usize = 16;

/// What makes an entry the same one in a later listing.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// As in the listing.
    pub key: String,
    /// True for a path that is spelled with `%XX`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub escaped: bool,
    /// The version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// The entity tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// When it was last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified_micros: Option<i64>,
    /// In bytes.
    pub size: u64,
}

impl Identity {
    /// Of a listed entry; nothing where the listing has nothing that would change with the content.
    pub fn of(entry: &Entry) -> Option<Self> {
        if entry.version_id.is_none() && entry.etag.is_none() && entry.modified.is_none() {
            return None;
        }
        Some(Self {
            key: entry.key.clone(),
            escaped: entry.key_escaped,
            version_id: entry.version_id.clone(),
            etag: entry.etag.clone(),
            modified_micros: entry.modified.map(|time| time.0),
            size: entry.size,
        })
    }

    /// The order of listings.
    pub fn name(&self) -> (&str, bool) {
        (&self.key, self.escaped)
    }
}

/// One record.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// An object was read to its end.
    Read(Box<Reading>),
    /// A range of a large one was.
    Range(Box<RangeRead>),
}

/// An object that was read to its end.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// Which.
    pub of: Identity,
    /// When.
    pub at: Timestamp,
    /// BLAKE3 of the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blake3: Option<Digest32>,
    /// SHA-256 of the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest32>,
    /// Bytes that arrived.
    pub bytes: u64,
    /// What S3 stated: algorithm, type, value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<(String, String, String)>,
    /// What else it stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Box<Evidence>>,
    /// Whether the bytes have that checksum, where they were held to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agrees: Option<bool>,
}

impl Reading {
    /// `content` of the entry `of`, read at `at`.
    pub fn new(of: Identity, content: &Content, at: Timestamp) -> Self {
        let checksum = content.checksum.as_ref();
        Self {
            of,
            at,
            blake3: content.digests.blake3,
            sha256: content.digests.sha256,
            bytes: content.digests.bytes,
            checksum: checksum.map(|checksum| (checksum.algorithm.clone(), checksum.kind.clone(), checksum.value.clone())),
            evidence: content.evidence.clone(),
            agrees: match &content.said {
                Said::Agrees => Some(true),
                Said::Disagrees { .. } => Some(false),
                Said::Nothing => None,
            },
        }
    }

    /// The content, marked as read then.
    pub fn content(&self) -> Content {
        let checksum = self.checksum.clone().map(|(algorithm, kind, value)| S3Checksum { algorithm, kind, value });
        let said = match self.agrees {
            Some(true) => Said::Agrees,
            Some(false) => Said::Disagrees { read: String::new() },
            None => Said::Nothing,
        };
        let digests = Digests { blake3: self.blake3, sha256: self.sha256, bytes: self.bytes };
        Content { digests, checksum, said, evidence: self.evidence.clone(), recalled: Some(self.at) }
    }
}

/// A range of a large object that was read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RangeRead {
    /// Of which object.
    pub of: Identity,
    /// Which of its ranges.
    pub index: u64,
    /// When.
    pub at: Timestamp,
    /// The chaining value of its BLAKE3 subtree.
    pub value: Digest32,
    /// Its CRC, by S3's name of the algorithm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crc: Option<(String, u64)>,
    /// The state of SHA-256 after it: words and bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<([u32; 8], u64)>,
}

/// A range that an earlier run has read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KnownRange {
    /// What it adds to the whole.
    pub digest: RangeDigest,
    /// The state of SHA-256 after it, where it was digested in order.
    pub sha256: Option<Midstate>,
}

impl RangeRead {
    /// The range `index` of the entry `of`.
    pub fn new(of: Identity, index: u64, range: KnownRange, at: Timestamp) -> Self {
        Self {
            of,
            index,
            at,
            value: Digest32(range.digest.value),
            crc: range.digest.crc.map(|crc| (crc.algorithm.name().to_owned(), crc.value)),
            sha256: range.sha256.map(|state| (state.words, state.bytes)),
        }
    }

    /// The range.
    pub fn range(&self) -> KnownRange {
        let crc = self.crc.as_ref().and_then(|(name, value)| Some(Crc { algorithm: Algorithm::named(name)?, value: *value }));
        KnownRange { digest: RangeDigest { value: self.value.0, crc }, sha256: self.sha256.map(|(words, bytes)| Midstate { words, bytes }) }
    }
}

impl Record {
    /// The line, with its end.
    pub fn to_line(&self) -> String {
        let json = serde_json::to_string(self).expect("records have no maps with other keys than texts");
        format!("{} {json}\n", check(json.as_bytes()))
    }

    /// The record of a line without its end; nothing where the line is torn or damaged.
    pub fn of_line(line: &[u8]) -> Option<Self> {
        let (told, json) = line.split_at_checked(CHECK_DIGITS)?;
        let json = json.strip_prefix(b" ")?;
        if told != check(json).as_bytes() {
            return None;
        }
        serde_json::from_slice(json).ok()
    }
}

fn check(json: &[u8]) -> String {
    Digest32::blake3(json).hex()[..CHECK_DIGITS].to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reading(key: &str) -> Record {
        let entry = Entry { etag: Some("\"x\"".into()), ..Entry::object(key, 7) };
        let digests = Digests { blake3: Some(Digest32([1; 32])), sha256: None, bytes: 7 };
        let content = Content { digests, checksum: None, said: Said::Agrees, evidence: None, recalled: None };
        Record::Read(Box::new(Reading::new(Identity::of(&entry).unwrap(), &content, Timestamp::from_secs(5))))
    }

    #[test]
    fn records_come_back_as_they_were() {
        let range = KnownRange {
            digest: RangeDigest { value: [9; 32], crc: Some(Crc { algorithm: Algorithm::Crc32c, value: 77 }) },
            sha256: Some(Midstate { words: [3; 8], bytes: 64 }),
        };
        let of = Identity::of(&Entry { version_id: Some("v".into()), ..Entry::object("k\n", 1 << 40) }).unwrap();
        let record = RangeRead::new(of, 4, range, Timestamp::from_secs(1));
        assert_eq!(record.range(), range);
        for record in [reading("a\nb"), Record::Range(Box::new(record))] {
            let line = record.to_line();
            assert_eq!(line.matches('\n').count(), 1);
            assert_eq!(Record::of_line(line.trim_end().as_bytes()), Some(record));
        }
        assert_eq!(Identity::of(&Entry::object("no stamp of any kind", 1)), None);
    }

    proptest! {
        #[test]
        fn damaged_lines_are_no_records(at in 0usize..100, bit in 0u8..8, noise in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut line = reading("key").to_line().trim_end().as_bytes().to_vec();
            let at = at % line.len();
            prop_assert_eq!(Record::of_line(&line[..at]), None);
            line[at] ^= 1 << bit;
            prop_assert_eq!(Record::of_line(&line), None);
            prop_assert_eq!(Record::of_line(&noise), None);
        }
    }
}
