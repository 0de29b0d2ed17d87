//! What a capture is asked for, whatever the source is.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

use crate::model::capture::CaptureMode;
use crate::model::ids::PointId;
use crate::model::source_url::View;
use crate::verify::objects::fields::FieldSet;
use crate::verify::objects::filter::Filter;
use crate::verify::objects::tier::Tier;

/// Tables with more rows than this have no row sidecar unless the caller asks otherwise.
pub const DEFAULT_SIDECAR_MAX_ROWS: u64 = 50_000_000;

/// What to capture into which directory.
#[derive(Clone, Debug)]
pub struct CaptureRequest {
    /// The manifest's directory; must not exist yet.
    pub out: PathBuf,
    /// How the source is captured, as the operator declares or the source proves.
    pub mode: CaptureMode,
    /// The recovery point that the manifest is for.
    pub recovery_point_id: Option<PointId>,
    /// Digests of objects; tables and items have their own.
    pub digests: DigestSet,
    /// Baselines beside the numbers of rows: what checks will be compared with.
    pub baselines: std::collections::BTreeMap<String, String>,
    /// Tables and items: no row sidecar beyond so many rows.
    pub sidecar_max_rows: u64,
    /// Objects: how deep evidence goes.
    pub tier: Tier,
    /// Objects: what is to be compared beside the bytes; absent: the defaults, decided when it is compared.
    pub compare: Option<FieldSet>,
    /// Objects: which keys are covered.
    pub filter: Filter,
    /// Objects: how much is read at a time, and how long.
    pub effort: Effort,
    /// Objects: the earlier manifest that versions are carried over from, and the share of them that is read again.
    pub since: Option<(PathBuf, u64)>,
    /// Tables of a database: which rows, and by what meaning.
    pub tables: TableRequest,
}

/// What is asked of the tables of a database beside their rows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableRequest {
    /// Rows by their logical types, for comparison across engines.
    pub logical: bool,
    /// Logical types that differ from what columns declare: `TABLE.COLUMN=TYPE`.
    pub types: Vec<String>,
    /// `COLUMN` or `COLUMN=VALUE`: only rows up to it, of tables that have it.
    pub watermark: Option<String>,
    /// `TABLE` or `TABLE.PARTITION`: only tables and partitions that nothing is written to any more.
    pub closed: Vec<String>,
    /// The column with the time of a row's last change.
    pub stamp: Option<String>,
    /// How long a transaction may take until its stamps are seen, in seconds.
    pub longest_transaction_s: u64,
    /// What leaves are made of.
    pub leaves: Leaves,
    /// What is kept of each row beside its leaf.
    pub sidecar: Sidecar,
}

/// What a manifest keeps of each row of a table, so that a difference names rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sidecar {
    /// Hashes of key and row: a row that is there is named by the key that is read from it, one that is gone by its hash.
    #[default]
    Hashes,
    /// Primary keys too, in the clear: a row that is gone is named.
    Keys,
    /// Keys, and a short keyed hash of each column: the columns that differ are named.
    Columns,
}

impl Sidecar {
    /// Every one, as it is spelled on the command line, in the configuration and in manifests.
    pub const ALL: &[(&str, Self)] = &[("hashes", Self::Hashes), ("keys", Self::Keys), ("columns", Self::Columns)];

    /// As it is spelled.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, sidecar)| *sidecar == self).map_or("", |(name, _)| *name)
    }
}

impl FromStr for Sidecar {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(name, _)| *name == text).map(|(_, sidecar)| *sidecar);
        found.ok_or_else(|| format!("unknown sidecar `{text}`; expected hashes, keys or columns"))
    }
}

/// What the leaves of tables are made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Leaves {
    /// Buckets of sorted row digests (`SortedDigests`); beyond the sidecar's limit, sums.
    #[default]
    Buckets,
    /// Buckets as sums of row digests (`AddHash`): constant memory, no sidecar.
    Sums,
    /// Ranges of keys (`KeyRange`), of tables whose key has an order; buckets of the others.
    Ranges,
}

impl Leaves {
    /// Every one, as it is spelled on the command line and in the configuration.
    pub const ALL: &[(&str, Self)] = &[("buckets", Self::Buckets), ("sums", Self::Sums), ("ranges", Self::Ranges)];
}

impl FromStr for Leaves {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(name, _)| *name == text).map(|(_, leaves)| *leaves);
        found.ok_or_else(|| format!("unknown leaves `{text}`; expected buckets, sums or ranges"))
    }
}

impl Default for TableRequest {
    fn default() -> Self {
        Self {
            logical: false,
            types: Vec::new(),
            watermark: None,
            closed: Vec::new(),
            stamp: None,
            longest_transaction_s: 300,
            leaves: Leaves::default(),
            sidecar: Sidecar::default(),
        }
    }
}

impl CaptureRequest {
    /// A request with both digests, and no recovery point.
    pub fn new(out: impl Into<PathBuf>, mode: CaptureMode) -> Self {
        Self {
            out: out.into(),
            mode,
            recovery_point_id: None,
            digests: DigestSet::BOTH,
            baselines: Default::default(),
            sidecar_max_rows: DEFAULT_SIDECAR_MAX_ROWS,
            tier: Tier::Content,
            compare: None,
            filter: Filter::default(),
            effort: Effort::default(),
            since: None,
            tables: TableRequest::default(),
        }
    }
}

/// How much of a source is read at a time, how patiently, and for how long.
#[derive(Clone, Debug)]
pub struct Effort {
    /// Bytes of content in memory at any time, over all reads.
    pub budget_bytes: u64,
    /// Requests under way at any time; absent: found while reading.
    pub concurrency: Option<usize>,
    /// A request or a body that brings nothing for so long has stalled.
    pub stall: Duration,
    /// No read begins after so long.
    pub time_limit: Option<Duration>,
    /// No read begins after so many bytes.
    pub max_bytes: Option<u64>,
    /// Where it is kept what runs have read, so that one goes on where the last one ended.
    pub state: Option<StateDir>,
}

/// A directory for what runs have read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateDir {
    /// Created when it is absent.
    pub path: PathBuf,
    /// What was read within so long counts as read; absent: what was read since the current pass began.
    pub max_age: Option<Duration>,
}

impl Default for Effort {
    fn default() -> Self {
        Self {
            budget_bytes: crate::verify::budget::DEFAULT_BYTES,
            concurrency: None,
            stall: Duration::from_secs(30),
            time_limit: None,
            max_bytes: None,
            state: None,
        }
    }
}

/// How a source is read back.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// Only these of the manifest's digests are computed; absent: all of them.
    pub digests: Option<DigestSet>,
    /// The view that is compared; absent: everything that the source lists.
    pub view: Option<View>,
    /// The tier of evidence; absent: the manifest's.
    pub tier: Option<Tier>,
    /// What is compared beside the bytes; absent: the manifest's choice.
    pub compare: Option<FieldSet>,
    /// Which keys are compared, of those that the manifest covers.
    pub filter: Filter,
    /// How much is read at a time, and how long.
    pub effort: Effort,
}

/// Which digests of an object's bytes are wanted, in one pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DigestSet {
    /// BLAKE3, unkeyed, 256 bits.
    pub blake3: bool,
    /// SHA-256 (FIPS 180-4).
    pub sha256: bool,
}

impl DigestSet {
    /// BLAKE3 and SHA-256.
    pub const BOTH: Self = Self { blake3: true, sha256: true };
    /// Neither, at the tiers that read no content.
    pub const NONE: Self = Self { blake3: false, sha256: false };
    /// BLAKE3 alone.
    pub const BLAKE3: Self = Self { blake3: true, sha256: false };
    /// SHA-256 alone.
    pub const SHA256: Self = Self { blake3: false, sha256: true };

    /// The names, as in `manifest.json`.
    pub fn names(self) -> Vec<String> {
        [(self.blake3, "blake3"), (self.sha256, "sha256")].into_iter().filter(|(on, _)| *on).map(|(_, name)| name.to_owned()).collect()
    }

    /// The ones among `names` that this build can compute.
    pub fn among(names: &[String]) -> Self {
        let has = |wanted: &str| names.iter().any(|name| name == wanted);
        Self { blake3: has("blake3"), sha256: has("sha256") }
    }

    /// True when nothing is wanted.
    pub fn is_empty(self) -> bool {
        !self.blake3 && !self.sha256
    }
}

impl fmt::Display for DigestSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().join(","))
    }
}

impl FromStr for DigestSet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut set = Self { blake3: false, sha256: false };
        for name in text.split(',').map(str::trim) {
            match name {
                "blake3" => set.blake3 = true,
                "sha256" => set.sha256 = true,
                other => return Err(format!("unknown digest `{other}`; expected `blake3`, `sha256` or `blake3,sha256`")),
            }
        }
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_read_as_they_are_spelled() {
        assert_eq!("sha256, blake3".parse(), Ok(DigestSet::BOTH));
        assert_eq!("blake3".parse::<DigestSet>().unwrap().to_string(), "blake3");
        assert!("md5".parse::<DigestSet>().unwrap_err().contains("md5"));
        assert!("".parse::<DigestSet>().is_err());
        assert!(DigestSet::among(&["crc64".into()]).is_empty());
    }
}
