//! Kinds of resources and where their recovery points come from.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a resource is (`kind` in `attestore.toml`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResourceKind {
    /// An S3 bucket.
    S3,
    /// An RDS instance of MySQL or MariaDB.
    RdsMysql,
    /// An RDS instance of PostgreSQL.
    RdsPostgres,
    /// A DynamoDB table.
    Dynamodb,
    /// An EBS volume.
    Ebs,
    /// The configuration of an ECS cluster.
    EcsConfig,
    /// Files kept beside AWS: SQLite databases, dumps, object trees.
    Files,
}

impl ResourceKind {
    /// Every kind.
    pub const ALL: &[Self] = &[Self::S3, Self::RdsMysql, Self::RdsPostgres, Self::Dynamodb, Self::Ebs, Self::EcsConfig, Self::Files];

    /// The spelling in `attestore.toml`, in the log and in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::RdsMysql => "rds-mysql",
            Self::RdsPostgres => "rds-postgres",
            Self::Dynamodb => "dynamodb",
            Self::Ebs => "ebs",
            Self::EcsConfig => "ecs-config",
            Self::Files => "files",
        }
    }

    /// Whether recovery points of the kind that come from there are restored at all.
    pub fn is_restored_from(self, from: PointSource) -> bool {
        use PointSource::{AwsBackup, DynamodbBackup, DynamodbPitr, Local, RdsPitr, RdsSnapshot, S3Versions};
        match self {
            Self::S3 => matches!(from, AwsBackup | S3Versions),
            Self::RdsMysql | Self::RdsPostgres => matches!(from, AwsBackup | RdsSnapshot | RdsPitr | Local),
            Self::Dynamodb => matches!(from, AwsBackup | DynamodbBackup | DynamodbPitr),
            Self::Files => from == Local,
            Self::Ebs | Self::EcsConfig => false,
        }
    }
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where recovery points of a resource are found (`from` in `[[resource.points]]`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PointSource {
    /// An AWS Backup vault.
    AwsBackup,
    /// RDS snapshots.
    RdsSnapshot,
    /// RDS point-in-time recovery.
    RdsPitr,
    /// DynamoDB on-demand backups.
    DynamodbBackup,
    /// DynamoDB point-in-time recovery.
    DynamodbPitr,
    /// The versions of the bucket itself.
    S3Versions,
    /// A directory beside AWS.
    Local,
}

impl PointSource {
    /// Every source.
    pub const ALL: &[Self] =
        &[Self::AwsBackup, Self::RdsSnapshot, Self::RdsPitr, Self::DynamodbBackup, Self::DynamodbPitr, Self::S3Versions, Self::Local];

    /// The spelling in `attestore.toml` and in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AwsBackup => "aws-backup",
            Self::RdsSnapshot => "rds-snapshot",
            Self::RdsPitr => "rds-pitr",
            Self::DynamodbBackup => "dynamodb-backup",
            Self::DynamodbPitr => "dynamodb-pitr",
            Self::S3Versions => "s3-versions",
            Self::Local => "local",
        }
    }
}

impl fmt::Display for PointSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
