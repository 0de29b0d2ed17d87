//! The kinds of SQL checks: what a statement returns, and so what its number or value means.

use serde::Deserialize;

/// What the statement returns.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckKind {
    /// The offending rows; their number is compared with the threshold.
    Violations,
    /// One row with one number.
    Scalar,
    /// One row with the newest stamp; its age is compared with the threshold.
    Freshness,
    /// One row with one number, compared with the manifest's baseline.
    BaselineScalar,
    /// One row with one value that was planted in the source before the backup: its keyed digest is compared with the manifest's.
    Canary,
}

impl CheckKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Violations, Self::Scalar, Self::Freshness, Self::BaselineScalar, Self::Canary];

    /// The kind of this spelling.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Beyond what it fails where nothing else is said; nothing where that has to be said.
    pub fn usual_threshold(self) -> Option<&'static str> {
        match self {
            Self::Violations => Some("> 0"),
            Self::BaselineScalar | Self::Canary => Some("!= baseline"),
            Self::Scalar | Self::Freshness => None,
        }
    }

    /// The spelling in headers and results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Violations => "violations",
            Self::Scalar => "scalar",
            Self::Freshness => "freshness",
            Self::BaselineScalar => "baseline-scalar",
            Self::Canary => "canary",
        }
    }
}
