//! Raw listings of a population's evidence: what they are called, what they say of themselves, and which of them a configured source asks for.
//!
//! Not here: whether the population has what they list (`listed`), and whether all of them are there (`unlisted`).

use serde_json::Value;

use crate::model::arn;
use crate::model::digest::Sha256Digest;
use crate::model::resource::{PointSource, ResourceKind};
use crate::testing_log::store::LogDir;
use crate::testing_log::verify::demands::{PointsDemanded, ResourceDemanded};

/// Snapshots of an instance.
pub const SNAPSHOTS: &str = "rds:DescribeDBSnapshots";
/// Backups of a table.
pub const BACKUPS: &str = "dynamodb:ListBackups";
/// Points of a vault.
pub const VAULT: &str = "backup:ListRecoveryPointsByBackupVault";
/// Whether a vault is locked.
pub const ABOUT_VAULT: &str = "backup:DescribeBackupVault";
/// An instance.
pub const INSTANCE: &str = "rds:DescribeDBInstances";
/// Its window of times.
pub const AUTOMATED: &str = "rds:DescribeDBInstanceAutomatedBackups";
/// A table's window of times.
pub const CONTINUOUS: &str = "dynamodb:DescribeContinuousBackups";
/// Whether a bucket keeps versions.
pub const VERSIONING: &str = "s3:GetBucketVersioning";
/// What lies beside AWS.
pub const LOCAL: &str = "local:list";

/// One raw listing.
pub struct Listing<'a> {
    /// Its name in the population: call, what was asked for, and the Region where that is another.
    pub label: &'a str,
    /// The call, as it says itself.
    pub call: String,
    /// What was asked for, as it says itself.
    pub of: String,
    /// What was answered.
    pub answer: Value,
}

/// What is at hand of a listing.
pub enum Found<'a> {
    /// It, which is of what its name says.
    There(Listing<'a>),
    /// Nothing; or other bytes, which is a fault of the evidence.
    Withheld,
    /// Something else than its name says.
    Another(String),
}

impl<'a> Listing<'a> {
    /// Out of the evidence under `digest`.
    pub fn read(dir: &LogDir, label: &'a str, digest: &Sha256Digest) -> Found<'a> {
        let Some(bytes) = dir.evidence(digest).ok().flatten() else { return Found::Withheld };
        let mut read: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let (Some(call), Some(of)) = (read["call"].as_str(), read["of"].as_str()) else {
            return Found::Another("no listing".to_owned());
        };
        let name = format!("{call} {of}");
        if label.strip_prefix(&name).is_none_or(|rest| !rest.is_empty() && !rest.starts_with(IN)) {
            return Found::Another(format!("the listing `{name}`"));
        }
        let (call, of) = (call.to_owned(), of.to_owned());
        Found::There(Self { label, call, of, answer: read["answer"].take() })
    }

    /// The Region, where it is another than the drill's own.
    pub fn region(&self) -> Option<&str> {
        self.label.strip_prefix(&self.call)?.strip_prefix(' ')?.strip_prefix(&self.of)?.strip_prefix(IN)
    }

    /// What is listed.
    pub fn items(&self) -> impl Iterator<Item = &Value> {
        self.answer.as_array().into_iter().flatten()
    }
}

const IN: &str = " in ";

/// What a listing is called.
pub fn label(call: &str, of: &str, region: Option<&str>) -> String {
    let region = region.map(|region| format!("{IN}{region}")).unwrap_or_default();
    format!("{call} {of}{region}")
}

/// A source of a resource of the configuration, where kind and source are ones that this version knows.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The resource.
    pub id: &'a str,
    /// Its kind.
    pub kind: ResourceKind,
    /// What it is.
    pub source: &'a str,
    /// Where its points come from.
    pub from: PointSource,
    /// The rest of what is said of it.
    pub points: &'a PointsDemanded,
}

impl<'a> Asked<'a> {
    /// The sources of a resource.
    pub fn of(id: &'a str, resource: &'a ResourceDemanded) -> impl Iterator<Item = Self> {
        let kind = ResourceKind::ALL.iter().copied().find(|kind| kind.as_str() == resource.kind);
        let known = kind.into_iter().flat_map(move |kind| resource.points.iter().map(move |points| (kind, points)));
        known.filter_map(move |(kind, points)| {
            let from = PointSource::ALL.iter().copied().find(|from| from.as_str() == points.from)?;
            Some(Self { id, kind, source: &resource.source, from, points })
        })
    }

    /// The labels of the listings that it asks for, as far as the configuration tells.
    pub fn labels(&self) -> Vec<String> {
        let name = arn::service_name(self.source);
        let of = |call: &str, of: &str| label(call, of, self.points.region.as_deref());
        match self.from {
            PointSource::AwsBackup => {
                let vault = self.points.vault.iter();
                vault.flat_map(|vault| [of(VAULT, vault), of(ABOUT_VAULT, vault)]).collect()
            }
            PointSource::RdsSnapshot => vec![of(SNAPSHOTS, name)],
            PointSource::RdsPitr => vec![of(INSTANCE, name), of(AUTOMATED, name)],
            PointSource::S3Versions => vec![of(VERSIONING, name)],
            PointSource::DynamodbBackup => vec![of(BACKUPS, name)],
            PointSource::DynamodbPitr => vec![of(CONTINUOUS, name)],
            PointSource::Local => vec![of(LOCAL, self.id)],
        }
    }

    /// The labels of those that say which points there are, as far as the configuration tells.
    pub fn labels_of_points(&self) -> Vec<String> {
        if self.from == PointSource::AwsBackup { self.vault().into_iter().collect() } else { self.labels() }
    }

    /// The label of the listing of its vault.
    pub fn vault(&self) -> Option<String> {
        let vault = self.points.vault.as_deref().filter(|_| self.from == PointSource::AwsBackup)?;
        Some(label(VAULT, vault, self.points.region.as_deref()))
    }

    /// The label of what its vault says of itself.
    pub fn about_vault(&self) -> Option<String> {
        let vault = self.points.vault.as_deref().filter(|_| self.from == PointSource::AwsBackup)?;
        Some(label(ABOUT_VAULT, vault, self.points.region.as_deref()))
    }

    /// The label of the window that it asks for where its vault lists a continuous backup of the instance.
    pub fn window(&self, listings: &[Listing<'_>]) -> Option<String> {
        let vault = self.vault().filter(|_| matches!(self.kind, ResourceKind::RdsMysql | ResourceKind::RdsPostgres))?;
        let is_its = |item: &Value| {
            let (point, of) = (item["arn"].as_str(), item["resource_arn"].as_str());
            point.is_some_and(|arn| arn.contains(CONTINUOUS_POINT)) && of.is_some_and(|of| arn::is_of(self.kind, self.source, of))
        };
        let lists_one = listings.iter().filter(|one| one.label == vault).any(|one| one.items().any(is_its));
        lists_one.then(|| label(AUTOMATED, arn::service_name(self.source), self.points.region.as_deref()))
    }

    /// Whether `place`, as an exclusion names it, is this source: the source, and the vault or the directory where it has one.
    pub fn is_place(&self, place: &str) -> bool {
        match place.strip_prefix(self.from.as_str()) {
            // Where a directory lies depends on where the configuration lay.
            Some(rest) if self.from == PointSource::Local => rest.is_empty() || rest.starts_with(' '),
            Some(rest) => rest.strip_prefix(' ').unwrap_or_default() == self.points.vault.as_deref().unwrap_or_default(),
            None => false,
        }
    }
}

/// What the ARN of a continuous recovery point has.
pub const CONTINUOUS_POINT: &str = ":recovery-point:continuous:";
