//! Options of every command that scans a DynamoDB table.

use std::path::PathBuf;

use clap::Args;

use crate::model::failure::Failure;
use crate::model::source_url::SourceUrl;
use crate::verify::items::scan::ScanOptions;

/// How a table is scanned.
#[derive(Args, Clone, Debug, Default)]
pub struct ScanArgs {
    /// DynamoDB: segments read at the same time [default: 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub segments: Option<u32>,
    /// DynamoDB: read at most so many capacity units a second, by what the service charges
    #[arg(long, value_name = "UNITS")]
    pub max_rcu: Option<f64>,
    /// DynamoDB: keep the scan's state in this directory, and go on from it after an interruption
    #[arg(long, value_name = "DIR")]
    pub scan_state: Option<PathBuf>,
    /// What was written between capture and restore: the keys that it names are not mismatches. DynamoDB: an incremental export. Databases
    /// (verify, in mode position-bounded): a file with one change event a line, as Debezium or AWS DMS write them in JSON
    #[arg(long, value_name = "dynamodb-export:s3://…|FILE")]
    pub changes: Option<String>,
    /// DynamoDB: items end by this attribute, where neither the table nor an export can say so [default: as the table says]
    #[arg(long, value_name = "NAME")]
    pub time_to_live: Option<String>,
    /// The top-level attributes that are captured; a manifest says them itself.
    #[arg(skip)]
    pub attributes: Option<Vec<String>>,
}

impl ScanArgs {
    /// As the scan takes them.
    pub fn options(&self) -> Result<ScanOptions, Failure> {
        if self.max_rcu.is_some_and(|units| !units.is_finite() || units <= 0.0) {
            return Err(Failure::invalid("--max-rcu: expected a number of units greater than 0"));
        }
        let usual = ScanOptions::default();
        Ok(ScanOptions {
            segments: self.segments.unwrap_or(usual.segments),
            max_rcu: self.max_rcu,
            state: self.scan_state.clone(),
            projection: self.attributes.clone(),
            changes: self.export()?.as_ref().map(ToString::to_string),
            time_to_live: self.time_to_live.clone(),
            ..usual
        })
    }

    /// The incremental export that `--changes` names.
    pub fn export(&self) -> Result<Option<SourceUrl>, Failure> {
        self.changes.as_deref().map(str::parse).transpose()
    }

    /// Refuses options that mean nothing for `url`.
    pub fn refuse(&self, url: &SourceUrl) -> Result<(), Failure> {
        let given = [
            (self.segments.is_some(), "--segments"),
            (self.max_rcu.is_some(), "--max-rcu"),
            (self.scan_state.is_some(), "--scan-state"),
            (self.changes.is_some(), "--changes"),
            (self.time_to_live.is_some(), "--time-to-live"),
            (self.attributes.is_some(), "--attributes"),
        ];
        match given.into_iter().find(|(given, _)| *given) {
            Some((_, name)) => {
                Err(Failure::invalid(format!("{url} is no DynamoDB table, and {name} is about scanning one"))
                    .hint(format!("leave {name} out")))
            }
            None => Ok(()),
        }
    }
}
