//! What the log says of one restore: who brought the point back, when it reached which phase, and between which engines.
//!
//! Not here: the result that it stands in (`body`), and how it is judged (`verify`).

use serde::{Deserialize, Serialize};

use crate::model::clock::Timestamp;
use crate::model::digest::Sha256Digest;

/// How the point was brought back. Instants are absent where that phase was not reached.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RestoreFacts {
    /// `aws-backup:StartRestoreJob`, `rds:RestoreDBInstanceFromDBSnapshot`, `local:copy`, …
    pub mechanism: String,
    /// The service's id of the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// What was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The call was made.
    pub requested_at: Timestamp,
    /// The service accepted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<Timestamp>,
    /// The service says that it is complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_at: Option<Timestamp>,
    /// The first byte was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_read_at: Option<Timestamp>,
    /// The last byte was read: the restore is hydrated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fully_read_at: Option<Timestamp>,
    /// Compared and checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<Timestamp>,
    /// The job's last state in the service's words.
    pub status: String,
    /// How many times it was requested.
    pub attempts: u64,
    /// Digest of the last raw describe answer, which is evidence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_describe: Option<Sha256Digest>,
    /// Of a database instance: the engine that wrote the data and the one that was restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_versions: Option<EngineVersions>,
    /// Of a dump or a copy of a database beside AWS: the engine that wrote it, and the one that it was read in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engines: Option<Engines>,
    /// Of a database restored to a second: whether the data shows that the second was honoured, neither passed nor missed
    /// (`verify::second`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_shown: Option<bool>,
    /// Settings of the source that a restore of its kind leaves behind, as a checklist for whoever recovers; no verdict on the data. What they are set to
    /// is in the evidence of `raw_describe`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recovery_checklist: Vec<ChecklistLine>,
}

/// The engines on both sides of a restore, such as `mysql` and `mariadb`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Engines {
    /// The one that wrote the backup.
    pub wrote: String,
    /// The one that it was read in.
    pub restored: String,
}

/// Engine versions on both sides of a restore, as the service states them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EngineVersions {
    /// The version that wrote the data, where a snapshot states it; else what the source runs now, which may have been upgraded since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The version of the restored instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restored: Option<String>,
    /// Whether `source` is the version of the very data.
    pub wrote_the_data: bool,
    /// The engine itself on the side of `source`, such as `mariadb`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_engine: Option<String>,
    /// The engine of the restored instance. Absent in entries of versions that compared a version only with that of a snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_engine: Option<String>,
}

impl EngineVersions {
    /// What speaks against a plain pass: that the engines differ, or that it is not stated which they are.
    pub fn exception(&self) -> Option<String> {
        if let (Some(wrote), Some(runs), Some(restored)) = (&self.source_engine, &self.restored_engine, &self.restored)
            && wrote != runs
        {
            let version = self.source.as_deref().unwrap_or("of a version that is not stated");
            return Some(format!(
                "the data was written by {wrote} {version}, and restored into another engine, {runs} {restored}: what is defined beside tables is not compared between engines"
            ));
        }
        match (&self.source, &self.restored) {
            (_, None) => Some("the restored instance states no engine version".to_owned()),
            (None, Some(_)) if self.wrote_the_data => Some("the engine version that wrote the data is not stated".to_owned()),
            (Some(source), Some(restored)) if self.wrote_the_data && source != restored => {
                Some(format!("the data was written by engine version {source}, and restored into {restored}"))
            }
            (None, Some(_)) if self.restored_engine.is_some() => {
                Some("what engine version the source runs is not stated: that of the restore was compared with nothing".to_owned())
            }
            (Some(source), Some(restored)) if self.restored_engine.is_some() && source != restored => Some(format!(
                "restored into engine version {restored}, and the source runs {source}: an instance is upgraded, never put back"
            )),
            _ => None,
        }
    }
}

/// The newest change stamps up to a second, in the running source and in what was restored, table by table.
///
/// The source is asked later than the second: rows that were changed or deleted since are not there as they were, so that what it still has is
/// evidence of what a restore lacks, and what it has no more is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SourceStamps {
    /// The newest of the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest: Option<Timestamp>,
    /// Tables with a change stamp that both answered for.
    pub asked: u64,
    /// Of these, tables in which the source has a newer one than the restore: rows that were lost, or committed after the second.
    pub behind: u64,
    /// Of these, tables in which the source's own newest row is gone, or was changed since.
    pub gone: u64,
    /// Tables with a change stamp that the source gave no answer for.
    pub unasked: u64,
}

/// One setting of the checklist.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ChecklistLine {
    /// Such as `time to live`.
    pub setting: String,
    /// `same`, `lost`, `different`, or `not looked at`.
    pub state: String,
}
