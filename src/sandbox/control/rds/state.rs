//! What RDS remembers: instances, snapshots, subnet groups.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::engines::installed::EngineKind;
use crate::engines::master::Master;
use crate::engines::process::ProcessMark;
use crate::sandbox::identity::{ACCOUNT_ID, REGION};

/// Everything, by name.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct State {
    /// By identifier.
    pub instances: BTreeMap<String, Instance>,
    /// By identifier.
    pub snapshots: BTreeMap<String, Snapshot>,
    /// The VPC of each subnet group.
    pub subnet_groups: BTreeMap<String, String>,
    /// Parameter groups beside the default ones, by name.
    #[serde(default)]
    pub parameter_groups: BTreeMap<String, ParameterGroup>,
}

/// A DB parameter group: what was set in it. The sandbox's servers have their settings from elsewhere.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct ParameterGroup {
    /// Such as `postgres15`.
    pub family: String,
    /// For people.
    pub description: String,
    /// What was set, by name.
    pub parameters: BTreeMap<String, String>,
}

/// The copy that recovery to a point in time starts from.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Base {
    /// The home that holds it.
    pub home: String,
    /// When it was taken: the earliest restorable time.
    pub at: DateTime<Utc>,
}

impl Default for State {
    fn default() -> Self {
        let subnet_groups = BTreeMap::from([("default".to_owned(), "vpc-0default".to_owned())]);
        Self { instances: BTreeMap::new(), snapshots: BTreeMap::new(), subnet_groups, parameter_groups: BTreeMap::new() }
    }
}

/// What can be chosen for an instance when it is made.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Such as `db.t4g.micro`.
    pub class: Option<String>,
    /// Reachable from the internet, as far as the answer says; the servers listen on loopback whatever it says.
    pub public: Option<bool>,
    /// DB subnet group.
    pub subnet_group: Option<String>,
    /// VPC security groups.
    pub security_groups: Option<Vec<String>>,
    /// DB parameter group.
    pub parameter_group: Option<String>,
    /// In several availability zones.
    pub multi_az: Option<bool>,
    /// Days that automated backups are kept.
    pub retention: Option<u32>,
    /// Whether deleting is refused.
    pub deletion_protection: Option<bool>,
    /// Whether snapshots take the instance's tags.
    pub copy_tags_to_snapshot: Option<bool>,
    /// KMS key.
    pub kms_key: Option<String>,
    /// Encrypted at rest, as far as the answer says.
    pub encrypted: Option<bool>,
    /// GiB.
    pub storage: Option<u32>,
    /// Tags.
    pub tags: Option<BTreeMap<String, String>>,
    /// Whether tokens of IAM open its databases, as far as the answer says.
    pub iam: Option<bool>,
}

/// Where an instance's data comes from.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Nothing: a master user is created. Forgotten once it is.
    New(Option<Master>),
    /// A copy of the snapshot with this identifier.
    Snapshot(String),
    /// As after a restore that brought nothing (a planted fault): the master user, no data.
    Hollow(String),
    /// What an instance held at an instant, or at the end of its log.
    PointInTime {
        /// The instance.
        source: String,
        /// The home of the copy that the log is replayed over.
        base: String,
        /// The instant.
        until: Option<DateTime<Utc>>,
    },
    /// A restore that fails with this message (a planted fault).
    Doomed(String),
    /// A restore that never ends (a planted fault).
    Stuck,
}

/// A DB instance.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Instance {
    /// Identifier, lower case.
    pub id: String,
    /// `postgres`, `mariadb` or `mysql`.
    pub engine: String,
    /// The version of the server that really runs.
    pub engine_version: String,
    /// The server that really runs.
    pub kind: EngineKind,
    /// `creating`, `available`, `deleting`, `failed`, `resetting-master-credentials`.
    pub status: String,
    /// Master user.
    pub master_user: String,
    /// The first database.
    pub database: Option<String>,
    /// What was chosen.
    pub settings: Settings,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// `db-…`.
    pub resource_id: String,
    /// The home of its server.
    pub home: String,
    /// Port on 127.0.0.1; 0 before the first boot.
    pub port: u16,
    /// Its server, while one runs.
    pub process: Option<ProcessMark>,
    /// Where its data comes from.
    pub origin: Origin,
    /// Why it failed.
    pub trouble: Option<String>,
    /// Where recovery to a point in time starts, while its log is kept.
    #[serde(default)]
    pub base: Option<Base>,
}

impl Instance {
    /// Its ARN.
    pub fn arn(&self) -> String {
        instance_arn(&self.id)
    }

    /// The earliest and the latest time that it can be restored to, where its automated backups are on.
    pub fn window(&self, now: DateTime<Utc>) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let base = self.base.as_ref().filter(|_| self.settings.retention != Some(0))?;
        // Whole seconds, and never one that is not over: what is committed in it belongs to it.
        let latest = DateTime::from_timestamp(now.timestamp(), 0)?;
        Some((base.at, latest.max(base.at)))
    }
}

/// The ARN of an instance.
pub fn instance_arn(id: &str) -> String {
    format!("arn:aws:rds:{REGION}:{ACCOUNT_ID}:db:{id}")
}

/// A DB snapshot.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Snapshot {
    /// Identifier, such as `nightly-1` or `awsbackup:job-…`.
    pub id: String,
    /// The instance as it was.
    pub instance: Instance,
    /// `manual` or `awsbackup`.
    pub kind: String,
    /// `creating`, `available`, `failed`.
    pub status: String,
    /// The instant of the data.
    pub created: DateTime<Utc>,
    /// The home that holds the data.
    pub home: String,
    /// Bytes.
    pub size: u64,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

impl Snapshot {
    /// Its ARN.
    pub fn arn(&self) -> String {
        snapshot_arn(&self.id)
    }
}

/// The ARN of a snapshot.
pub fn snapshot_arn(id: &str) -> String {
    format!("arn:aws:rds:{REGION}:{ACCOUNT_ID}:snapshot:{id}")
}

/// The identifier in an ARN of type `kind` (`db`, `snapshot`), or the text itself where it is none.
pub fn id_in<'a>(kind: &str, text: &'a str) -> &'a str {
    text.strip_prefix(&format!("arn:aws:rds:{REGION}:{ACCOUNT_ID}:{kind}:")).unwrap_or(text)
}
