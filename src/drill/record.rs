//! From what happened to what the log says: blank results, facts of points and restores, comparisons, errors.

use serde_json::Value;

use crate::drill::manifests::Chosen;
use crate::drill::sink::Found;
use crate::model::capture::CaptureMode;
use crate::model::clock::Timestamp;
use crate::model::counts::Counts;
use crate::model::digest::Sha256Digest;
use crate::model::failure::{Failure, FailureKind};
use crate::model::finding::Class;
use crate::model::recovery_point::RecoveryPoint;
use crate::model::verification::Verification;
use crate::restore::records::{Phase, Step};
use crate::restore::steps::CaseFacts;
use crate::testing_log::point_result::{CaseError, FindingSet, RpFacts, VerifyFacts};
use crate::testing_log::restore_facts::{ChecklistLine, RestoreFacts};
use crate::testing_log::verify::claim;

/// The longest message that an entry carries, in characters.
const LONGEST_MESSAGE: usize = 600;

/// A point as the service states it.
pub fn point_facts(point: &RecoveryPoint) -> RpFacts {
    RpFacts {
        id: point.id.clone(),
        kind: point.kind.to_string(),
        from: point.from.to_string(),
        source_resource_arn: point.source_arn.clone(),
        vault: point.vault.clone(),
        created_at: point.created_at,
        size_bytes: point.size_bytes,
        encrypted: point.encrypted,
        kms_key_arn: point.kms_key_arn.clone(),
        vault_locked: point.vault_locked,
        retain_until: point.retain_until,
    }
}

/// What went wrong, shortened.
pub fn case_error(phase: &str, failure: &Failure) -> CaseError {
    CaseError {
        at: Timestamp::now(),
        phase: phase.to_owned(),
        code: failure.kind.as_str().to_owned(),
        message: failure.message.chars().take(LONGEST_MESSAGE).collect(),
        retryable: failure.kind.is_retryable(),
    }
}

/// The kind of failure that an error's code spells, where it is one of ours.
pub fn kind_of(error: &CaseError) -> Option<FailureKind> {
    serde_json::from_value(serde_json::Value::String(error.code.clone())).ok()
}

/// The restore as the journal knows it; nothing where none was asked for.
pub fn restore_facts(
    mechanism: &str,
    target: &str,
    status: &str,
    (digest, raw): (Option<Sha256Digest>, Option<&Value>),
    facts: &CaseFacts,
) -> Option<RestoreFacts> {
    let restore = facts.steps.get(&Step::Restore)?;
    let at = |phase: Phase| facts.phases.get(&phase).copied();
    Some(RestoreFacts {
        mechanism: mechanism.to_owned(),
        job_id: restore.job_id.clone(),
        target: Some(restore.created_arn.clone().unwrap_or_else(|| target.to_owned())),
        requested_at: at(Phase::Requested).unwrap_or(restore.intended_at),
        accepted_at: at(Phase::Accepted),
        available_at: at(Phase::Available),
        first_read_at: at(Phase::FirstRead),
        fully_read_at: at(Phase::FullyRead),
        verified_at: at(Phase::Verified),
        status: status.to_owned(),
        attempts: restore.attempts,
        raw_describe: digest,
        second_shown: None,
        engines: raw.and_then(|raw| serde_json::from_value(raw["engines"].clone()).ok()),
        engine_versions: raw.and_then(|raw| serde_json::from_value(raw["engine_versions"].clone()).ok()),
        recovery_checklist: checklist(raw),
    })
}

/// The settings that a restore leaves behind, out of the raw description, without what they are set to: tags and names may be personal.
pub fn checklist(raw: Option<&Value>) -> Vec<ChecklistLine> {
    let lines = raw.and_then(|raw| raw["recovery_checklist"].as_array()).into_iter().flatten();
    let text = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
    lines.map(|line| ChecklistLine { setting: text(line, "setting"), state: text(line, "state") }).collect()
}

/// The comparison with a manifest; `is_undecided` says that differences may be changes and nothing has told them apart.
pub fn verify_facts(
    (chosen, is_undecided): (&Chosen, bool),
    verification: &Verification,
    found: &Found,
    full: Option<Sha256Digest>,
) -> VerifyFacts {
    let counts = |counts: &Option<Counts>| counts.map(|counts| if is_undecided { undecided(&counts) } else { counts });
    // A restore that does not show the manifest's position has earned less than the manifest claims.
    let mode = if chosen.mode == CaptureMode::SnapshotExact { verification.mode } else { chosen.mode };
    let captured = chosen.manifest.header().mode;
    VerifyFacts {
        manifest_leaf: chosen.leaf,
        manifest: chosen.manifest.digest(),
        manifest_captured_end: chosen.manifest.header().captured_end,
        capture_mode: captured,
        mode,
        lesser_claim: claim::lesser(!chosen.downgraded, captured, mode).map(str::to_owned),
        newest_stamp: verification.newest_stamp,
        unstamped_tables: verification.unstamped,
        source_stamps: None,
        coverage_ppm: verification.coverage_ppm(),
        not_compared: verification.not_compared.iter().map(|(kind, why)| ((*kind).to_owned(), (*why).to_owned())).collect(),
        objects: counts(&verification.objects),
        tables: counts(&verification.tables),
        rows: counts(&verification.rows),
        definitions: counts(&verification.definitions),
        items: counts(&verification.items),
        unread: verification.unread.iter().map(|(kind, n)| (kind.as_str().to_owned(), *n)).collect(),
        unread_definitions: verification.tables.map(|_| verification.unread_definitions),
        read: verification.really_read().into_iter().map(|(kind, n)| (kind.to_owned(), n)).collect(),
        expired: (verification.expired > 0).then_some(verification.expired),
        protection: counts(&verification.protection),
        tier: verification.lesser_tier.as_ref().map(|tier| tier.name.to_owned()),
        bytes_checked: verification.bytes_checked,
        duration_ms: u64::try_from(verification.duration.as_millis()).unwrap_or(u64::MAX >> 11),
        findings: FindingSet { total: found.total, inline: found.inline.clone(), full },
    }
}

/// Differences from a manifest of another moment may be changes in between: without a stamp or a log that names the key they are
/// indeterminate, and the policy's budget decides.
fn undecided(counts: &Counts) -> Counts {
    let mut out = Counts::default();
    for (class, n) in counts.by_class() {
        let class = match class {
            Class::Mismatch | Class::Missing | Class::Extra => Class::Indeterminate,
            other => other,
        };
        out.add_many(class, n);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_of_a_downgraded_comparison_are_undecided_and_add_up() {
        let mut counts = Counts::default();
        for class in [Class::Match, Class::Mismatch, Class::Missing, Class::Extra, Class::Unreadable] {
            counts.add(class);
        }
        let out = undecided(&counts);
        assert!(out.adds_up());
        assert_eq!((out.matched, out.indeterminate, out.unreadable, out.mismatch + out.missing + out.extra), (1, 3, 1, 0));
    }

    #[test]
    fn codes_are_read_back_as_kinds() {
        let error = case_error("wait", &Failure::new(FailureKind::BadEvidence, "x".repeat(2000)));
        assert_eq!((kind_of(&error), error.message.len()), (Some(FailureKind::BadEvidence), LONGEST_MESSAGE));
    }
}
