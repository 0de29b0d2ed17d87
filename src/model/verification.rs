//! The result of reading a source and comparing it with a manifest.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::capture::CaptureMode;
use crate::model::clock::Timestamp;
use crate::model::counts::Counts;
use crate::model::coverage::{Unread, coverage_ppm, is_anything_decided};
use crate::model::failure::{Failure, FailureKind};
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

/// What this run and the ones before it have read of one source, in passes of as many runs as each takes.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Progress {
    /// The pass, from 1.
    pub pass: u32,
    /// When it began: what this result says of content was read between then and now.
    pub pass_started: Timestamp,
    /// Runs of this pass, this one included.
    pub runs: u64,
    /// Objects that this run has read.
    pub objects_read: u64,
    /// Their bytes.
    pub bytes_read: u64,
    /// Objects that earlier runs had read.
    pub objects_recalled: u64,
    /// Their bytes.
    pub bytes_recalled: u64,
    /// Whether everything is read with this run.
    pub complete: bool,
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
    /// What a database defines beside the rows of its tables.
    pub definitions: Option<Counts>,
    /// DynamoDB items.
    pub items: Option<Counts>,
    /// What protects objects: retention, legal hold, encryption, replication; a verdict apart from the content.
    pub protection: Option<Counts>,
    /// Evidence beside the bytes, by field: how many objects it was compared for, and with what result.
    pub fields: BTreeMap<&'static str, FieldCounts>,
    /// Of the unreadable objects or tables, those that were not read for a reason outside the data, by reason.
    pub unread: BTreeMap<FailureKind, u64>,
    /// Of the unreadable definitions, those that were not reached or not shown: nothing is said against them.
    pub unread_definitions: u64,
    /// How many of each kind were really read, where the counts do not tell: rows that are gone may count as changed in between.
    pub read: BTreeMap<&'static str, u64>,
    /// What was not compared because it is not in the manifest's scope, and why, one sentence each.
    pub left_out: Vec<String>,
    /// Kinds of things that were not compared at all, though the baseline has them, and why: no share that was covered speaks of them.
    pub not_compared: BTreeMap<&'static str, &'static str>,
    /// Of the items deleted in between, those that were gone when their own time to live had ended: DynamoDB deletes such items by itself.
    pub expired: u64,
    /// The tier of evidence, where it is less than every byte read, and what it does not prove.
    pub lesser_tier: Option<LesserTier>,
    /// Bytes of content that were read and hashed.
    pub bytes_checked: u64,
    /// From the first byte asked for to the last compared.
    pub duration: Duration,
    /// From the start of the comparison to the first byte read.
    pub first_read_after: Option<Duration>,
    /// What this and earlier runs have read, where that is kept.
    pub progress: Option<Progress>,
    /// The newest change stamp that was found in a restore to a second, where the manifest does not see every row.
    pub newest_stamp: Option<Timestamp>,
    /// Of a restore to a second: tables in which a row of after that second could have gone unseen, having neither a change stamp nor every
    /// row compared and equal.
    pub unstamped: Option<u64>,
    /// Why reading stopped before its end; what was not looked at is then neither match nor missing.
    pub cut_short: Option<Failure>,
}

/// How one field of evidence compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct FieldCounts {
    /// Equal.
    pub equal: u64,
    /// Different.
    pub different: u64,
    /// Expected, and the source would not say.
    pub unseen: u64,
    /// The manifest does not know it: nothing was expected.
    pub not_in_manifest: u64,
}

/// A tier below reading every byte.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct LesserTier {
    /// `inventory` or `attributes`.
    pub name: &'static str,
    /// What a match does not prove, one sentence each.
    pub does_not_prove: &'static [&'static str],
}

impl Verification {
    /// Nothing read yet.
    pub fn empty(mode: CaptureMode) -> Self {
        Self {
            mode,
            objects: None,
            tables: None,
            rows: None,
            definitions: None,
            items: None,
            protection: None,
            fields: BTreeMap::new(),
            unread: BTreeMap::new(),
            unread_definitions: 0,
            read: BTreeMap::new(),
            left_out: Vec::new(),
            not_compared: BTreeMap::new(),
            expired: 0,
            lesser_tier: None,
            bytes_checked: 0,
            duration: Duration::ZERO,
            first_read_after: None,
            progress: None,
            newest_stamp: None,
            unstamped: None,
            cut_short: None,
        }
    }

    /// The counts that are present, with their names in JSON.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, &Counts)> {
        let (tables, rows, definitions) = (("tables", &self.tables), ("rows", &self.rows), ("definitions", &self.definitions));
        [("objects", &self.objects), tables, rows, definitions, ("items", &self.items)]
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
        for (name, counts) in self.counts().chain(self.protection.as_ref().map(|counts| ("protection", counts))) {
            for (class, mut n) in counts.by_class() {
                use crate::model::finding::Class;
                if class == Class::Unreadable {
                    n = self.not_read().damaged(name, n, self.tables.map(|tables| tables.unreadable));
                }
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
        for (kind, n) in &self.unread {
            let of = if self.objects.is_none() && self.tables.is_some() { "tables" } else { "objects" };
            reasons.push(format!("{of}: {n} not read: {}", kind.why_unread()));
            if outcome == Outcome::Pass {
                outcome = Outcome::Inconclusive;
            }
        }
        if self.unread_definitions > 0 {
            reasons.push(format!("definitions: {} not read", self.unread_definitions));
            if outcome == Outcome::Pass {
                outcome = Outcome::Inconclusive;
            }
        }
        // Tables without a single row are structure, not data, and so is what is defined beside them.
        let data = |name: &str| !matches!(name, "tables" | "definitions") || self.rows.is_none();
        if outcome == Outcome::Pass && !self.counts().any(|(name, counts)| data(name) && counts.expected > 0) {
            reasons.push("nothing was expected, so nothing is proved".into());
            outcome = Outcome::Inconclusive;
        }
        if outcome == Outcome::Pass && !is_anything_decided(self.counts().filter(|(name, _)| data(name)).map(|(_, counts)| counts)) {
            reasons.push("all of it may have changed in between, so nothing is proved".into());
            outcome = Outcome::Inconclusive;
        }
        for (kind, why) in &self.not_compared {
            reasons.push(format!("{kind}: not compared: {why}"));
            if outcome == Outcome::Pass {
                outcome = Outcome::PassWithException;
            }
        }
        if let Some(tier) = &self.lesser_tier {
            reasons.extend(tier.does_not_prove.iter().map(|said| format!("tier {}: {said}", tier.name)));
            if outcome == Outcome::Pass {
                outcome = Outcome::PassWithException;
            }
        }
        (outcome, reasons)
    }

    /// What was read need not be all, or not of one state: no pass. What differs in it, or cannot be read, stays what it is.
    pub fn doubt(&mut self, failure: Failure) {
        if self.outcome(u64::MAX).0 == Outcome::Fail {
            self.left_out.push(failure.message);
        } else {
            self.cut_short.get_or_insert(failure);
        }
    }

    /// The verdict on protection alone; `untested` where none of it was compared.
    pub fn protection_outcome(&self) -> Outcome {
        match &self.protection {
            Some(counts) if counts.expected == 0 => Outcome::Untested,
            Some(counts) if counts.mismatch > 0 => Outcome::Fail,
            Some(counts) if counts.indeterminate > 0 || self.cut_short.is_some() => Outcome::Inconclusive,
            Some(_) => Outcome::Pass,
            None => Outcome::Untested,
        }
    }

    /// What was not read for a reason outside the data.
    pub fn not_read(&self) -> Unread {
        Unread { things: self.unread.values().sum(), definitions: self.unread_definitions }
    }

    /// Share of what was expected that was read and decided, in millionths ([`coverage_ppm`]).
    pub fn coverage_ppm(&self) -> u64 {
        coverage_ppm(self.counts(), self.not_read(), self.cut_short.is_some())
    }

    /// How many things of each kind were really read, whatever they turned out to be.
    pub fn really_read(&self) -> BTreeMap<&'static str, u64> {
        let of = |(name, counts): (&'static str, &Counts)| {
            (name, self.read.get(name).copied().unwrap_or(counts.checked.saturating_sub(counts.unreadable)))
        };
        self.counts().map(of).collect()
    }

    /// Counts things of a kind that were read.
    pub fn was_read(&mut self, name: &'static str, n: u64) {
        *self.read.entry(name).or_default() += n;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::Class;

    #[test]
    fn tables_that_the_environment_withheld_are_no_verdict_on_the_data() {
        let (mut tables, mut rows) = (Counts::default(), Counts::default());
        tables.add_many(Class::Match, 2);
        tables.add(Class::Unreadable);
        rows.add_many(Class::Match, 5);
        rows.add_many(Class::Unreadable, 9);
        let mut result = Verification { tables: Some(tables), rows: Some(rows), ..Verification::empty(CaptureMode::Sealed) };
        assert_eq!(result.outcome(0).0, Outcome::Fail, "damage");
        result.unread = BTreeMap::from([(FailureKind::Denied, 1)]);
        assert_eq!(result.outcome(0), (Outcome::Inconclusive, vec!["tables: 1 not read: access denied".to_owned()]));
        assert_eq!(result.coverage_ppm(), 357_142, "5 of 14 rows");
        // The server died: what was not reached is counted, and the share is the same.
        result.cut_short = Some(Failure::new(FailureKind::Network, "gone"));
        assert_eq!(result.coverage_ppm(), 357_142);
        result.cut_short = None;
        // One of two is damaged: the reason of the other excuses neither it nor rows.
        result.tables.as_mut().unwrap().add(Class::Unreadable);
        let (outcome, reasons) = result.outcome(0);
        assert_eq!(outcome, Outcome::Fail);
        assert!(reasons.contains(&"tables: 1 unreadable".to_owned()), "{reasons:?}");
        result.rows.as_mut().unwrap().add(Class::Mismatch);
        result.unread = BTreeMap::from([(FailureKind::Denied, 1), (FailureKind::Network, 1)]);
        assert_eq!(result.outcome(0).0, Outcome::Fail, "what was read differs");
    }

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
    fn a_lesser_tier_archives_and_lost_protection_are_no_plain_pass() {
        let mut counts = Counts::default();
        counts.add(Class::Match);
        let mut result = Verification::empty(CaptureMode::Sealed);
        result.objects = Some(counts);
        result.lesser_tier = Some(LesserTier { name: "inventory", does_not_prove: &["bytes"] });
        assert_eq!(result.outcome(0), (Outcome::PassWithException, vec!["tier inventory: bytes".to_owned()]));
        result.lesser_tier = None;
        counts.add(Class::Unreadable);
        for kind in [FailureKind::Archived, FailureKind::Throttled] {
            (result.objects, result.unread) = (Some(counts), BTreeMap::from([(kind, 1)]));
            assert_eq!(result.outcome(0).0, Outcome::Inconclusive);
        }
        result.unread.clear();
        assert_eq!(result.outcome(0).0, Outcome::Fail);
        let mut protection = Counts::default();
        protection.add(Class::Mismatch);
        let mut result = Verification { protection: Some(protection), ..Verification::empty(CaptureMode::Sealed) };
        result.objects = Some(Counts { matched: 1, expected: 1, checked: 1, ..Counts::default() });
        assert_eq!((result.outcome(0).0, result.protection_outcome()), (Outcome::Fail, Outcome::Fail));
        assert_eq!(Verification::empty(CaptureMode::Sealed).protection_outcome(), Outcome::Untested);
    }

    #[test]
    fn of_two_states_no_pass_comes_and_what_fails_fails() {
        let doubt = || Failure::new(FailureKind::Network, "two states");
        let counts = |class| {
            let mut counts = Counts::default();
            counts.add(class);
            counts
        };
        for (class, expected) in
            [(Class::Match, Outcome::Inconclusive), (Class::Unreadable, Outcome::Fail), (Class::Mismatch, Outcome::Fail)]
        {
            let mut result = Verification { rows: Some(counts(class)), ..Verification::empty(CaptureMode::SnapshotExact) };
            result.doubt(doubt());
            assert_eq!((result.outcome(0).0, result.cut_short.is_some()), (expected, class == Class::Match), "{class}");
            assert_eq!(result.left_out.contains(&"two states".to_owned()), class != Class::Match);
        }
        let mut result = Verification { rows: Some(counts(Class::Match)), ..Verification::empty(CaptureMode::SnapshotExact) };
        assert_eq!(result.outcome(0).0, Outcome::Pass);
        result.not_compared.insert("definitions", "of another engine");
        assert_eq!(result.outcome(0), (Outcome::PassWithException, vec!["definitions: not compared: of another engine".to_owned()]));
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
