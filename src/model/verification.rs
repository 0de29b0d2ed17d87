//! The result of reading a source and comparing it with a manifest.

use std::time::Duration;

use crate::model::capture::CaptureMode;
use crate::model::counts::Counts;
use crate::model::failure::Failure;
use crate::model::outcome::Outcome;

/// What is known of the manifest's signature.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignatureState {
    /// Signed by the key that was given.
    Verified,
    /// Signed, and no key was given to check it with.
    Unverified,
    /// Not signed.
    Absent,
    /// The signature does not hold, or is another key's.
    Bad,
}

impl SignatureState {
    /// The spelling of `manifest_signature` in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Unverified => "unverified",
            Self::Absent => "absent",
            Self::Bad => "bad",
        }
    }
}

/// What was read and how it compares. The findings themselves went to the monitor as they were found.
#[derive(Debug)]
pub struct Verification {
    /// The manifest's capture mode: what a match proves.
    pub mode: CaptureMode,
    /// Objects and object versions.
    pub objects: Option<Counts>,
    /// Tables: equal, different, absent, surplus.
    pub tables: Option<Counts>,
    /// Rows of all tables together.
    pub rows: Option<Counts>,
    /// DynamoDB items.
    pub items: Option<Counts>,
    /// Bytes of content that were read and hashed.
    pub bytes_checked: u64,
    /// From the first byte asked for to the last compared.
    pub duration: Duration,
    /// From the start of the comparison to the first byte read.
    pub first_read_after: Option<Duration>,
    /// Why reading stopped before its end; what was not looked at is then neither match nor missing.
    pub cut_short: Option<Failure>,
}

impl Verification {
    /// Nothing read yet.
    pub fn empty(mode: CaptureMode) -> Self {
        Self {
            mode,
            objects: None,
            tables: None,
            rows: None,
            items: None,
            bytes_checked: 0,
            duration: Duration::ZERO,
            first_read_after: None,
            cut_short: None,
        }
    }

    /// The counts that are present, with their names in JSON.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, &Counts)> {
        [("objects", &self.objects), ("tables", &self.tables), ("rows", &self.rows), ("items", &self.items)]
            .into_iter()
            .filter_map(|(name, counts)| counts.as_ref().map(|counts| (name, counts)))
    }

    /// The verdict on the data alone, and why it is not a pass. `indeterminate_budget` is how many may stay undecided.
    pub fn outcome(&self, indeterminate_budget: u64) -> (Outcome, Vec<String>) {
        let mut reasons = Vec::new();
        let mut outcome = Outcome::Pass;
        let mut fail = |reason: String| {
            reasons.push(reason);
        };
        for (name, counts) in self.counts() {
            for (class, n) in counts.by_class() {
                use crate::model::finding::Class;
                if n > 0 && matches!(class, Class::Mismatch | Class::Missing | Class::Extra | Class::Unreadable | Class::Future) {
                    fail(format!("{name}: {n} {class}"));
                    outcome = Outcome::Fail;
                }
            }
            if counts.indeterminate > indeterminate_budget {
                fail(format!("{name}: {} indeterminate, {indeterminate_budget} allowed", counts.indeterminate));
                outcome = Outcome::Fail;
            }
        }
        if let Some(failure) = &self.cut_short {
            reasons.push(format!("reading stopped: {failure}"));
            if outcome == Outcome::Pass {
                outcome = Outcome::Inconclusive;
            }
        }
        // Tables without a single row are structure, not data.
        let data = |name: &str| name != "tables" || self.rows.is_none();
        if outcome == Outcome::Pass && !self.counts().any(|(name, counts)| data(name) && counts.expected > 0) {
            reasons.push("nothing was expected, so nothing is proved".into());
            outcome = Outcome::Inconclusive;
        }
        (outcome, reasons)
    }

    /// Share of what was expected that was read and decided, in millionths, over all kinds; 0 when nothing was expected.
    /// What is known to be missing has been looked for, and counts as covered.
    pub fn coverage_ppm(&self) -> u64 {
        if self.cut_short.is_some() {
            // What was not reached is unknown here; a caller that knows the denominator says so itself.
            return 0;
        }
        if self.counts().any(|(_, counts)| counts.expected > 0) { 1_000_000 } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::Class;

    #[test]
    fn an_empty_comparison_is_inconclusive_and_an_extra_fails() {
        let mut result = Verification::empty(CaptureMode::Sealed);
        assert_eq!(result.outcome(0).0, Outcome::Inconclusive);
        let mut counts = Counts::default();
        counts.add(Class::Match);
        result.objects = Some(counts);
        assert_eq!(result.outcome(0).0, Outcome::Pass);
        counts.add(Class::Extra);
        result.objects = Some(counts);
        assert_eq!(result.outcome(0).0, Outcome::Fail);
        let mut tables = Counts::default();
        tables.add(Class::Match);
        let empty = Verification { tables: Some(tables), rows: Some(Counts::default()), ..Verification::empty(CaptureMode::Sealed) };
        assert_eq!(empty.outcome(0).0, Outcome::Inconclusive, "a table without rows");
    }

    #[test]
    fn a_reading_cut_short_is_never_a_pass() {
        let mut counts = Counts::default();
        counts.add(Class::Match);
        let mut result = Verification::empty(CaptureMode::Sealed);
        result.objects = Some(counts);
        result.cut_short = Some(Failure::new(crate::model::failure::FailureKind::Network, "gone"));
        assert_eq!(result.outcome(0).0, Outcome::Inconclusive);
        assert_eq!(result.coverage_ppm(), 0);
    }
}
