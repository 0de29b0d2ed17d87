//! `manifest.json`: what was captured, when, how, and the digests of its parts. RFC 8785 bytes; the signature is over their digest.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::model::canonical_json;
use crate::model::capture::CaptureMode;
use crate::model::clock::Timestamp;
use crate::model::digest::{Digest32, Sha256Digest};
use crate::model::failure::Failure;
use crate::model::ids::PointId;

/// The only schema version that this reader knows.
pub const SCHEMA: &str = "attestore/manifest/v1";

/// The header's file name.
pub const HEADER_FILE: &str = "manifest.json";

/// The signature's file name.
pub const SIGNATURE_FILE: &str = "manifest.sig";

/// A header larger than this is not one of ours: a part entry takes some 2.5 KB at most, and parts hold millions of rows.
const HEADER_LIMIT_BYTES: u64 = 64 << 20;

/// What a manifest describes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ManifestKind {
    /// Objects, object versions or files.
    Objects,
    /// Tables of a database, as fingerprints.
    TableSet,
    /// The items of a DynamoDB table, as a fingerprint.
    Items,
}

impl ManifestKind {
    /// The spelling in `manifest.json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Objects => "objects",
            Self::TableSet => "table-set",
            Self::Items => "items",
        }
    }
}

/// One Parquet file of the manifest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Part {
    /// `part-NNNNN.parquet`, `sidecar-NNNNN.parquet` or `names-NNNNN.parquet`.
    pub name: String,
    /// SHA-256 of the file.
    pub sha256: Digest32,
    /// Rows in it.
    pub rows: u64,
    /// The first row's key.
    pub first: String,
    /// The last row's key.
    pub last: String,
}

impl Part {
    /// True for a part of the row sidecar, which the root does not cover.
    pub fn is_sidecar(&self) -> bool {
        self.name.starts_with("sidecar-")
    }

    /// True for a part of the rows' names, which the root does not cover either.
    pub fn is_names(&self) -> bool {
        self.name.starts_with("names-")
    }
}

/// Where the rows of an imported manifest come from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Imported {
    /// `sha256sum`, `b3sum`, `rclone`, `bagit` or `s3-inventory`.
    pub format: String,
    /// The name of the file that was imported, without its directory.
    pub file: String,
    /// SHA-256 of that file.
    pub sha256: Digest32,
    /// What the rows rest on: `listed`, for what the file states was not read from any source.
    pub evidence: String,
}

/// How an incremental capture goes on from an earlier manifest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rotation {
    /// The earlier manifest.
    pub manifest: Sha256Digest,
    /// What gives versions their places on the circle; the same for all captures that follow one another.
    pub salt: String,
    /// Where the window of this capture begins, in millionths of the circle.
    pub from_ppm: u64,
    /// Its width: the share of the earlier versions that were read again.
    pub reread_ppm: u64,
}

/// The whole of `manifest.json`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Header {
    /// [`SCHEMA`].
    pub schema: String,
    /// What the rows are.
    pub kind: ManifestKind,
    /// The source URL, without secrets.
    pub source: String,
    /// When capturing began.
    pub captured_start: Timestamp,
    /// When capturing ended.
    pub captured_end: Timestamp,
    /// How it was captured: what a match proves.
    pub mode: CaptureMode,
    /// The source's position (snapshot, GTID set, …), in the source's own terms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<serde_json::Value>,
    /// The recovery point that it was captured for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_point_id: Option<PointId>,
    /// The encoding that rows or items were digested in, such as `attestore/objects/v1-draft`.
    pub encoding: String,
    /// The hash key that keyed digests were made with: 8 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash_key_id: Option<String>,
    /// The digests that rows carry, such as `blake3`, `sha256`.
    pub digests: Vec<String>,
    /// `latest`, `versions` or `at=TIME`, where the source has versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<String>,
    /// What is compared beside the bytes of objects; absent: the defaults.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compare: Vec<String>,
    /// The tier of evidence that rows carry: absent for `content`, else `attributes` or `inventory`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// Only keys that one of these patterns matches are covered; absent: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// Keys that one of these patterns matches are not covered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// Present where the rows were imported and not captured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<Imported>,
    /// Present where versions were carried over from an earlier manifest; their rows say when they were last read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Rotation>,
    /// Totals by name, such as `objects`, `bytes`, `rows`.
    pub counts: BTreeMap<String, u64>,
    /// RFC 6962 SHA-256 root over the rows of the `part-` files.
    pub root: Digest32,
    /// Values that baseline checks compare with, by check id.
    #[serde(default)]
    pub baselines: BTreeMap<String, String>,
    /// The Parquet files, rows first, then the sidecar, then names.
    pub parts: Vec<Part>,
}

impl Header {
    /// The RFC 8785 bytes that are written, digested and signed.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Failure> {
        canonical_json::to_bytes(self).map_err(|error| Failure::invalid(format!("the manifest of {}: {error}", self.source)))
    }

    /// The header and its digest from the bytes of `manifest.json`; `what` names the file in messages.
    pub fn from_bytes(bytes: &[u8], what: &str) -> Result<(Self, Sha256Digest), Failure> {
        let value: serde_json::Value = serde_json::from_slice(bytes).map_err(|error| {
            Failure::invalid(format!("{what} is not JSON: {error}")).hint("a manifest is a directory made by `attestore manifest create`")
        })?;
        let schema = value.get("schema").and_then(|schema| schema.as_str()).unwrap_or_default();
        if schema != SCHEMA {
            let found: String = schema.chars().take(60).collect();
            return Err(Failure::invalid(format!("{what}: expected schema `{SCHEMA}`, found `{found}`"))
                .hint("read it with the version of attestore that wrote it, or capture it again"));
        }
        if !canonical_json::is_canonical(bytes) {
            return Err(crate::model::failure::Failure::new(
                crate::model::failure::FailureKind::BadEvidence,
                format!("{what} is not in canonical form (RFC 8785): it was changed after it was written"),
            ));
        }
        let header: Self = serde_json::from_value(value).map_err(|error| Failure::invalid(format!("{what}: {error}")))?;
        for part in &header.parts {
            if !is_part_name(&part.name) {
                let found: String = part.name.chars().take(60).flat_map(char::escape_default).collect();
                return Err(Failure::invalid(format!(
                    "{what} names a part `{found}`; expected part-NNNNN.parquet, sidecar-NNNNN.parquet or names-NNNNN.parquet"
                )));
            }
        }
        Ok((header, Sha256Digest::of(bytes)))
    }

    /// Reads `DIR/manifest.json`.
    pub fn load(dir: &Path) -> Result<(Self, Sha256Digest), Failure> {
        let path = dir.join(HEADER_FILE);
        let what = path.display().to_string();
        let absent = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => {
                Failure::invalid(format!("no manifest at {}: {what} is not there", dir.display()))
                    .hint("make one with `attestore manifest create SOURCE --out DIR`")
            }
            _ => Failure::invalid(format!("cannot read {what}: {error}")),
        };
        let length = std::fs::metadata(&path).map_err(absent)?.len();
        if length > HEADER_LIMIT_BYTES {
            return Err(Failure::invalid(format!("{what}: expected at most {HEADER_LIMIT_BYTES} bytes, found {length}")));
        }
        let bytes = std::fs::read(&path).map_err(absent)?;
        Self::from_bytes(&bytes, &what)
    }

    /// The row parts, in order.
    pub fn row_parts(&self) -> Vec<Part> {
        self.parts.iter().filter(|part| !part.is_sidecar() && !part.is_names()).cloned().collect()
    }

    /// The sidecar parts, in order.
    pub fn sidecar_parts(&self) -> Vec<Part> {
        self.parts.iter().filter(|part| part.is_sidecar()).cloned().collect()
    }

    /// The parts with names, in order.
    pub fn names_parts(&self) -> Vec<Part> {
        self.parts.iter().filter(|part| part.is_names()).cloned().collect()
    }
}

/// The text that `manifest.sig` signs: the schema and the digest of `manifest.json`, a line each.
pub fn signed_text(digest: &Sha256Digest) -> String {
    format!("{SCHEMA}\n{digest}\n")
}

/// Only these names are ever opened below a manifest's directory, so a hostile header cannot lead elsewhere.
pub fn is_part_name(name: &str) -> bool {
    let stem = ["part-", "sidecar-", "names-"].iter().find_map(|prefix| name.strip_prefix(prefix));
    let stem = stem.and_then(|rest| rest.strip_suffix(".parquet"));
    stem.is_some_and(|digits| (5..=9).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_names_cannot_lead_elsewhere() {
        assert!(is_part_name("part-00000.parquet") && is_part_name("sidecar-00012.parquet") && is_part_name("names-00001.parquet"));
        for bad in ["../part-00000.parquet", "part-0000/.parquet", "part-.parquet", "part-00000.parquet/..", "other", ""] {
            assert!(!is_part_name(bad), "{bad}");
        }
    }

    #[test]
    fn another_schema_is_told_with_a_hint() {
        let error = Header::from_bytes(br#"{"schema":"attestore/manifest/v9"}"#, "manifest.json").unwrap_err();
        assert!(error.message.contains("v9") && error.hint.is_some());
        assert_eq!(error.kind, crate::model::failure::FailureKind::Invalid);
    }
}
