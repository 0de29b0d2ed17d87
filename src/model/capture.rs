//! Capture modes: how a manifest was made decides what a match with it proves.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! modes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, proves $proves:literal;)+) => {
        /// How a manifest was captured (`verification.md` §1 of the design; printed beside every verdict).
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum CaptureMode { $($(#[$doc])* $name,)+ }

        impl CaptureMode {
            /// Every mode, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The spelling used in manifests, on the command line and in the log.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// What a match proves, in a few words for reports.
            pub fn proves(self) -> &'static str {
                match self { $(Self::$name => $proves,)+ }
            }
        }
    };
}

modes! {
    /// S3: version ids and full-object digests.
    VersionExact = "version-exact", proves "byte for byte, per version";
    /// DynamoDB: an export at T against a restore to the same second.
    ExportExact = "export-exact", proves "the set of items at that second";
    /// SQL: one exported snapshot, and the restore shows the same position.
    SnapshotExact = "snapshot-exact", proves "the exact set of rows";
    /// The source was stopped or immutable during capture, as its operator declares.
    Sealed = "sealed", proves "byte for byte, as the operator declares that the source stood still";
    /// SQL: positions differ; a log names the keys touched between.
    PositionBounded = "position-bounded", proves "exact outside the rows touched in between";
    /// DynamoDB on-demand backups, fuzzy by a minute.
    WindowBounded = "window-bounded", proves "exact for keys untouched in the window";
    /// Rows up to a watermark.
    AppendPrefix = "append-prefix", proves "exact up to the watermark";
    /// Two restores of one recovery point against each other.
    DualPath = "dual-path", proves "two restores agree; faults common to both stay unseen";
    /// The baseline is the first restore itself.
    FirstRestore = "first-restore", proves "nothing changed since the first restore";
    /// SQL checks alone.
    Invariants = "invariants", proves "plausibility only";
}

impl CaptureMode {
    /// Modes in which change stamps may excuse a difference; in every other mode different is `mismatch`.
    pub fn is_bounded(self) -> bool {
        matches!(self, Self::PositionBounded | Self::WindowBounded | Self::AppendPrefix)
    }
}

impl fmt::Display for CaptureMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for CaptureMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.iter().copied().find(|mode| mode.as_str() == text).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|mode| mode.as_str()).collect();
            format!("unknown capture mode `{text}`; expected one of {}", known.join(", "))
        })
    }
}
