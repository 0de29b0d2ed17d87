//! What DynamoDB remembers beside its tables: backups, restores under way, and which backup a table came from.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::sandbox::identity::{ACCOUNT_ID, REGION};

/// Everything.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct State {
    /// By ARN.
    pub backups: BTreeMap<String, Backup>,
    /// By target table.
    pub restores: BTreeMap<String, Restore>,
    /// By table: since when its changes are kept.
    #[serde(default)]
    pub recovery: BTreeMap<String, DateTime<Utc>>,
    /// By ARN.
    #[serde(default)]
    pub exports: BTreeMap<String, Exported>,
    /// By table: its Region, where that is not the sandbox's own.
    #[serde(default)]
    pub regions: BTreeMap<String, String>,
}

/// An on-demand backup. Its items are a file of JSON lines named after it.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Backup {
    /// ARN: that of the table, then `/backup/ID`.
    pub arn: String,
    /// Name, which need not be unique.
    pub name: String,
    /// `USER` or `AWS_BACKUP`.
    pub kind: String,
    /// The table.
    pub table: String,
    /// What DescribeTable said when it was taken.
    pub description: Value,
    /// The instant of the data.
    pub created: DateTime<Utc>,
    /// Items.
    pub items: u64,
    /// Bytes of the items as JSON.
    pub size: u64,
    /// What DescribeTimeToLive said; a restored table does not have it.
    pub time_to_live: Value,
}

impl Backup {
    /// The last part of the ARN, which names its file.
    pub fn id(&self) -> &str {
        self.arn.rsplit('/').next().unwrap_or_default()
    }
}

/// A restore of a backup into a table.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Restore {
    /// The backup's ARN; empty for a restore to a point in time.
    pub backup: String,
    /// The ARN of the table that the backup was taken of, as the service says.
    pub source: String,
    /// The table whose items it brings instead (a planted fault).
    #[serde(default)]
    pub instead: Option<String>,
    /// When it was asked for.
    pub at: DateTime<Utc>,
    /// The point in time that is really restored.
    #[serde(default)]
    pub until: Option<DateTime<Utc>>,
    /// The point in time that was asked for.
    #[serde(default)]
    pub said: Option<DateTime<Utc>>,
    /// Until every item is there.
    pub in_progress: bool,
    /// Brings no item (a planted fault).
    pub hollow: bool,
    /// The CreateTable request of the target.
    pub request: Value,
}

/// An export.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Exported {
    /// Its ARN.
    pub arn: String,
    /// The table.
    pub table: String,
    /// The bucket.
    pub bucket: String,
    /// The prefix, without a `/` at its end.
    pub prefix: Option<String>,
    /// When it was asked for.
    pub started: DateTime<Utc>,
    /// The moment of a full export, the end of an incremental one.
    pub to: DateTime<Utc>,
    /// The start of an incremental one.
    pub from: Option<DateTime<Utc>>,
    /// The token of the request.
    pub token: Option<String>,
    /// Items.
    pub items: u64,
}

/// The ARN of a table.
pub fn table_arn(table: &str) -> String {
    format!("{}table/{table}", arn_prefix())
}

/// What the ARNs of this account's tables begin with.
pub fn arn_prefix() -> String {
    format!("arn:aws:dynamodb:{REGION}:{ACCOUNT_ID}:")
}

/// The table in a name or an ARN.
pub fn table_in(text: &str) -> &str {
    let rest = text.strip_prefix(&arn_prefix()).and_then(|rest| rest.strip_prefix("table/"));
    rest.map_or(text, |rest| rest.split('/').next().unwrap_or(rest))
}
