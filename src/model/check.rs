//! Results of SQL checks, as they are logged and reported.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::digest::Sha256Digest;

/// What a check that does not pass means.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// No pass without it.
    Critical,
    /// Reported as an exception.
    Major,
    /// Reported.
    Minor,
}

/// How one check ended. Only `Pass` passes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckOutcome {
    /// Run, on data, within its threshold.
    Pass,
    /// Beyond its warning threshold only.
    Warn,
    /// Beyond its error threshold.
    Fail,
    /// Could not be run: a table is absent, the statement failed or ran out of time.
    Error,
    /// Its tables are empty: it has proved nothing.
    Vacuous,
    /// Not run: its baseline is missing, or it does not apply (`not_applicable`).
    Untested,
}

impl CheckOutcome {
    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Error => "error",
            Self::Vacuous => "vacuous",
            Self::Untested => "untested",
        }
    }
}

/// One check as run once.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CheckResult {
    /// Such as `bank.ledger-balances`.
    pub id: String,
    /// Digest of the check's file.
    pub sql_digest: Sha256Digest,
    /// `postgres`, `mysql`, `mariadb` or `sqlite`.
    pub engine: String,
    /// As the server states it.
    pub engine_version: String,
    /// What a failure means.
    pub severity: Severity,
    /// `violations`, `scalar`, `freshness` or `baseline-scalar`.
    pub kind: String,
    /// The threshold as written, such as `> 0`.
    pub op: String,
    /// The value demanded, where the kind has one (`baseline-scalar`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The number of violations, or the scalar; absent when it could not be run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual: Option<String>,
    /// How it ended.
    pub result: CheckOutcome,
    /// True where the database holds nothing of the kind that the check looks at, such as references to follow: then it was not run, its
    /// result is `untested`, and it is none of the checks that a pass needs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not_applicable: bool,
    /// True where the reader lacks a right that the check needs: then it is an `error`, and nothing is said of the data.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub denied: bool,
    /// Why, where it is not `pass`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Offending rows: only the columns of `show`, at most `limit`. Clear values: they belong into evidence, not into an entry.
    #[serde(skip)]
    pub rows: Vec<Vec<(String, String)>>,
    /// What was measured of each table or column, by its name among baselines: for a manifest, no part of an entry.
    #[serde(skip)]
    pub measured: BTreeMap<String, String>,
    /// Wall time.
    pub duration_ms: u64,
}

impl CheckResult {
    /// Whether a verdict has to reckon with it: what does not apply is none of the checks of this database.
    pub fn counts(&self) -> bool {
        !(self.not_applicable && self.result == CheckOutcome::Untested)
    }
}
