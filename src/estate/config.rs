//! `attestore.toml`, version 1: the types. Loading and explaining mistakes live beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Deserialize;

use crate::model::ids::ResourceId;
use crate::model::resource::{PointSource, ResourceKind};
use crate::testing_log::due::SampleSize;
use crate::verify::manifest::request::{Leaves, Sidecar};

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Must be 1.
    pub version: u32,
    /// Where the testing log is.
    pub log: Log,
    /// Key files.
    pub keys: Keys,
    /// How AWS is reached; absent for an estate of local points only.
    pub aws: Option<Aws>,
    /// What a restore must look like before any data is read.
    pub isolation: Option<IsolationDemands>,
    /// Data classes by name.
    #[serde(default)]
    pub class: BTreeMap<String, Class>,
    /// Resources.
    #[serde(default)]
    pub resource: Vec<Resource>,
    /// The stand-in AWS, for the demo.
    pub sandbox: Option<Sandbox>,
}

impl Config {
    /// The directories that manifests of resources are kept in, each once.
    pub fn manifest_directories(&self) -> Vec<PathBuf> {
        let named: BTreeSet<&PathBuf> = self.resource.iter().filter_map(|resource| resource.manifests.as_ref()).collect();
        named.into_iter().cloned().collect()
    }
}

/// `[log]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// The log's directory; relative paths start at the configuration file.
    pub path: PathBuf,
    /// The log's origin, which is its signer's name too.
    pub origin: String,
}

/// `[keys]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// Ed25519 private key, PKCS#8 PEM, 0600.
    pub signing: PathBuf,
    /// 32 random bytes that row digests and inline identifiers are keyed with.
    pub hash: PathBuf,
}

/// `[aws]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aws {
    /// The Region.
    pub region: String,
    /// A profile of the shared configuration files.
    pub profile: Option<String>,
    /// An endpoint instead of AWS's own, for every service.
    pub endpoint: Option<String>,
    /// The role that AWS Backup restores with.
    pub backup_role_arn: String,
    /// Roles to be assumed, by purpose.
    pub assume_role: Option<AssumeRoles>,
}

/// `[aws.assume_role]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssumeRoles {
    /// To list and restore recovery points.
    pub vault: Option<String>,
    /// To read and delete what was restored.
    pub isolated: Option<String>,
    /// To write evidence. A log in a directory is written with this machine's own rights: `config check` says so.
    pub evidence: Option<String>,
}

/// `[isolation]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IsolationDemands {
    /// The only account in which a restore may be made.
    pub account_id: String,
    /// The VPC of restored instances.
    pub vpc_id: Option<String>,
    /// The DB subnet group of restored instances.
    pub subnet_group: Option<String>,
    /// Security groups of restored instances.
    #[serde(default)]
    pub security_group_ids: Vec<String>,
    /// The DB parameter groups of restored instances, by engine (`postgres`, `mysql`, `mariadb`).
    #[serde(default)]
    pub parameter_groups: BTreeMap<String, String>,
    /// The key that restored resources are encrypted with.
    pub kms_key_arn: Option<String>,
    /// What the names of everything created start with.
    pub name_prefix: String,
}

/// `[class.NAME]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// Recovery time objective such as `4h`, or `not_required`.
    pub rto: Option<Span>,
    /// Recovery point objective such as `24h`, or `not_required`.
    pub rpo: Option<Span>,
    /// Each resource is drilled within this time, such as `90d`.
    pub test_period: Option<Span>,
    /// How many points are drawn; absent: every one.
    pub sample: Option<SampleSize>,
    /// How S3 recovery points of AWS Backup are read; default `restore`.
    #[serde(default)]
    pub access: Access,
    /// What to do with a point that no manifest fits; default `untested`.
    #[serde(default)]
    pub when_no_manifest: WhenNoManifest,
    /// How many undecided rows, objects or items one recovery point may have; more of them fail it.
    #[serde(default)]
    pub indeterminate_budget: u64,
    /// How near to the second that a database is restored to something in its data has to be, to show that it was reached.
    pub second_within: Option<Span>,
    /// Check packs by name or path.
    #[serde(default)]
    pub checks: Vec<String>,
}

/// A length of time in the configuration: a number and `s`, `m`, `h`, `d`, or the word `not_required`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub enum Span {
    /// Declared as not demanded.
    NotRequired,
    /// In seconds.
    Seconds(u64),
}

/// A hundred years: nothing longer is an objective.
const LONGEST_S: u64 = 36_500 * 86_400;

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "not_required" {
            return Ok(Self::NotRequired);
        }
        let wrong = || {
            format!(
                "`{text}` is not a length of time; expected a whole number and s, m, h or d (`90s`, `4h`, `35d`), at most 36500d, or \
                 `not_required`"
            )
        };
        let unit = match text.chars().last() {
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3600,
            Some('d') => 86_400,
            _ => return Err(wrong()),
        };
        let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
        number.checked_mul(unit).filter(|seconds| (1..=LONGEST_S).contains(seconds)).map(Self::Seconds).ok_or_else(wrong)
    }
}

impl Span {
    /// Seconds, or nothing where it is not required.
    pub fn seconds(self) -> Option<u64> {
        match self {
            Self::NotRequired => None,
            Self::Seconds(seconds) => Some(seconds),
        }
    }
}

/// `access`: how S3 recovery points of AWS Backup are read. Everything else is restored, whatever this says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Restored into a bucket of our own.
    #[default]
    Restore,
    /// Read where they lie, through a backup access point: no restore, no recovery time, never a plain pass.
    BackupAccessPoint,
}

impl Access {
    /// The spelling in `attestore.toml` and in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Restore => "restore",
            Self::BackupAccessPoint => "backup-access-point",
        }
    }
}

/// `authentication`: how a restored instance of RDS is logged in to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Authentication {
    /// With `credentials`, else as the master user with the drill's own password.
    #[default]
    Password,
    /// As `database_user`, with tokens of IAM, over TLS that is verified with `tls_ca`.
    Iam,
}

/// `when_no_manifest`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhenNoManifest {
    /// The point is recorded as untested.
    #[default]
    Untested,
    /// Restored, and judged by SQL checks alone.
    Invariants,
    /// Restored and read: its state becomes the baseline.
    FirstRestore,
}

/// `[[resource]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    /// Unique; letters, digits, `-`, `_`, `.`.
    pub id: ResourceId,
    /// The application that it belongs to.
    pub application: String,
    /// What it is.
    pub kind: ResourceKind,
    /// Its data class: a name of `[class.NAME]`.
    pub class: String,
    /// Its source URL, or the name or ARN that its service knows it by.
    pub source: String,
    /// Where its manifests are: a directory with one directory a manifest.
    pub manifests: Option<PathBuf>,
    /// The database within a restored instance.
    pub database: Option<String>,
    /// `env:NAME` or `file:PATH` with `USER:PASSWORD` for a restored instance.
    pub credentials: Option<String>,
    /// How a restored instance of RDS is logged in to; default `password`.
    #[serde(default)]
    pub authentication: Authentication,
    /// The database user that tokens of IAM are for; the source has it.
    pub database_user: Option<String>,
    /// A CA bundle for TLS to a restored instance.
    pub tls_ca: Option<PathBuf>,
    /// The URL of the running source, which is asked for its newest change stamps beside a restore to a second; absent: a drill never reads
    /// production.
    pub live: Option<String>,
    /// What tables and columns of check packs are called in this database: `accounts = "acct"`, `"accounts.id" = "acct_no"`.
    #[serde(default)]
    pub names: BTreeMap<String, String>,
    /// What the leaves of its tables' fingerprints are made of; default `buckets`.
    pub leaves: Option<Leaves>,
    /// What manifests keep of each row of its tables; default `hashes`.
    pub sidecar: Option<Sidecar>,
    /// A log of what was written to the database, one change event a line, which tells changes since the capture from damage.
    pub changes: Option<PathBuf>,
    /// Where its recovery points are found.
    #[serde(default)]
    pub points: Vec<Points>,
}

/// `[[resource.points]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Points {
    /// The kind of source.
    pub from: PointSource,
    /// The vault's name; for local points their directory, once loaded (there `path` and `vault` mean the same).
    pub vault: Option<String>,
    /// The directory of local points.
    pub path: Option<PathBuf>,
    /// Another Region than the configuration's.
    pub region: Option<String>,
    /// For points in time: the seconds that are drilled, as RFC 3339 times or `latest`; `latest` alone where none is named.
    #[serde(default)]
    pub at: Vec<String>,
}

/// `at = ["latest"]`: the latest restorable time when the points are listed.
pub const LATEST: &str = "latest";

/// `[sandbox]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sandbox {
    /// The state directory of the stand-in, which every command then starts by itself.
    pub dir: Option<PathBuf>,
}

/// True where an entry of `checks` is meant as a path and not as the name of a built-in pack.
pub fn is_pack_path(entry: &str) -> bool {
    entry.contains(['/', '\\']) || entry.ends_with(".sql") || entry == "." || entry == ".."
}
