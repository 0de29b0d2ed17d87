//! What of that which stands may be deleted: one rule, and nothing that deletes.
//!
//! The rule (`contracts.md`): in the journal, created after the drill began, **and** carrying the drill's tag, or the created ARN of
//! the journalled job, or the exact random name journalled before the call.
//!
//! That it was created after the drill began is shown by the journal, where the guard had looked for exactly this name within the drill and
//! found nothing; no clock is asked then. Else by its date: what a service dates is held against that service's clock at the drill's
//! beginning, and not against this machine's.

use crate::model::clock::Timestamp;
use crate::restore::order::DRILL_TAG;
use crate::restore::records::{DrillOpened, TargetKind};
use crate::restore::steps::StepFacts;
use crate::restore::targets::Found;

/// Why something may be deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ground {
    /// It carries the drill's tag.
    Tag,
    /// It is the created ARN of the journalled job.
    CreatedArn,
    /// Its exact random name was journalled before the call.
    ExactName,
}

/// Why something may not be deleted.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// The journal holds no intent to create it.
    #[error("the journal holds no intent to create {0}")]
    NotJournalled(String),
    /// It was there before the drill, or nobody says when it was created.
    #[error("{arn} was created {created}, and the drill began {began}")]
    Older {
        /// The resource.
        arn: String,
        /// When it was created, in words.
        created: String,
        /// When the drill began.
        began: Timestamp,
    },
    /// It carries the tag of another drill.
    #[error("{arn} carries the tag of drill {tag}")]
    OtherDrill {
        /// The resource.
        arn: String,
        /// The tag's value.
        tag: String,
    },
    /// Neither tag, nor created ARN, nor name fit.
    #[error("{0} carries no tag of the drill, and is neither the job's created resource nor of the journalled name")]
    NoGround(String),
}

/// Whether `found` may be deleted as what `step` of `drill` created.
pub fn may_delete(drill: &DrillOpened, step: Option<&StepFacts>, found: &Found) -> Result<Ground, Refusal> {
    let target = step.and_then(|step| step.target.as_ref()).ok_or_else(|| Refusal::NotJournalled(found.arn.clone()))?;
    let name = crate::model::arn::resource_of_arn(&found.arn).rsplit(['/', ':']).next().unwrap_or_default();
    let was_absent = name == target.name && step.is_some_and(|step| step.was_absent);
    let began = began(drill, target.kind, step);
    // Services state creation in whole seconds, cut and not rounded.
    if !was_absent && found.created_at.is_none_or(|at| at.as_secs() < began.as_secs()) {
        let created = found.created_at.map_or_else(|| "at an unknown time".to_owned(), |at| at.to_string());
        return Err(Refusal::Older { arn: found.arn.clone(), created, began });
    }
    match found.tags.get(DRILL_TAG) {
        Some(tag) if *tag == drill.drill.0 => return Ok(Ground::Tag),
        Some(tag) => return Err(Refusal::OtherDrill { arn: found.arn.clone(), tag: tag.clone() }),
        None => {}
    }
    if step.and_then(|step| step.created_arn.as_deref()) == Some(found.arn.as_str()) {
        return Ok(Ground::CreatedArn);
    }
    if name == target.name { Ok(Ground::ExactName) } else { Err(Refusal::NoGround(found.arn.clone())) }
}

/// Whether what `step` created may be deleted by its name without a description: that was free before the call, is random, and was journalled.
pub fn may_delete_unseen(step: &StepFacts) -> bool {
    step.target.is_some() && step.was_absent
}

/// When the drill began by the clock that dates targets of `kind`.
fn began(drill: &DrillOpened, kind: TargetKind, step: Option<&StepFacts>) -> Timestamp {
    let began = drill.began_for(kind);
    match step {
        // The journal is in order whatever the clock says: an intent that is dated before the drill shows that this machine's clock was set
        // back in between, and what was made after it was made after the drill began.
        Some(step) if kind == TargetKind::Path => began.min(step.intended_at),
        _ => began,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::digest::Sha256Digest;
    use crate::restore::records::Target;
    use crate::restore::steps::{StepState, UndoState};
    use crate::restore::targets::{Detail, LocalPath};
    use crate::testing_log::body::Trigger;

    const BEGAN: Timestamp = Timestamp(1_700_000_000_500_000);

    fn drill() -> DrillOpened {
        DrillOpened {
            drill: "d1".into(),
            seq: 1,
            began_at: BEGAN,
            service_ahead_ms: None,
            deadline_at: BEGAN.plus_secs(10),
            title: String::new(),
            trigger: Trigger::Manual,
            config: Sha256Digest::of(b""),
            nonce: String::new(),
        }
    }

    fn step(created_arn: Option<&str>) -> StepFacts {
        StepFacts {
            state: StepState::Intended,
            target: Some(Target { kind: TargetKind::Table, name: "p-d1-c01-0a1b".into(), region: None }),
            token: String::new(),
            attempts: 1,
            intended_at: BEGAN,
            was_absent: false,
            job_id: None,
            created_arn: created_arn.map(ToOwned::to_owned),
            found: None,
            undo: UndoState::None,
        }
    }

    fn found(arn: &str, created_at: Option<Timestamp>, tag: Option<&str>) -> Found {
        Found {
            arn: arn.to_owned(),
            created_at,
            tags: tag.map(|tag| BTreeMap::from([(DRILL_TAG.to_owned(), tag.to_owned())])).unwrap_or_default(),
            detail: Detail::Path(LocalPath { path: arn.into(), mode: 0 }),
        }
    }

    #[test]
    fn the_rule_as_a_matrix() {
        let ours = "arn:aws:dynamodb:eu-west-2:1:table/p-d1-c01-0a1b";
        let other = "arn:aws:dynamodb:eu-west-2:1:table/p-d1-c01-0a1b-prod";
        let after = Some(BEGAN.plus_secs(5));
        // The same second, cut by the service, is not before.
        let cut = Some(Timestamp::from_secs(BEGAN.as_secs()));
        let before = Some(BEGAN.plus_secs(-1));
        let cases = [
            (Some(step(None)), found(ours, after, Some("d1")), Ok(Ground::Tag)),
            (Some(step(None)), found(other, after, Some("d1")), Ok(Ground::Tag)),
            (Some(step(Some(other))), found(other, after, None), Ok(Ground::CreatedArn)),
            (Some(step(None)), found(ours, after, None), Ok(Ground::ExactName)),
            (Some(step(None)), found(ours, cut, None), Ok(Ground::ExactName)),
        ];
        for (step, found, expected) in cases {
            assert_eq!(may_delete(&drill(), step.as_ref(), &found), expected, "{found:?}");
        }
        let refused = [
            (None, found(ours, after, Some("d1"))),
            (Some(StepFacts { target: None, ..step(Some(ours)) }), found(ours, after, Some("d1"))),
            (Some(step(Some(ours))), found(ours, before, Some("d1"))),
            (Some(step(Some(ours))), found(ours, None, Some("d1"))),
            (Some(step(Some(ours))), found(ours, after, Some("d2"))),
            (Some(step(None)), found(other, after, None)),
            (Some(step(Some(ours))), found(other, after, None)),
        ];
        for (step, found) in refused {
            assert!(may_delete(&drill(), step.as_ref(), &found).is_err(), "{found:?}");
        }
    }

    /// What a service creates `after_s` seconds after the drill began, both by the service's own clock, which is `ahead_s` ahead.
    fn made(ahead_s: i64, after_s: i64) -> Found {
        let ours = "arn:aws:dynamodb:eu-west-2:1:table/p-d1-c01-0a1b";
        found(ours, Some(BEGAN.plus_secs(ahead_s + after_s)), Some("d1"))
    }

    #[test]
    fn a_clock_that_is_wrong_neither_leaves_things_behind_nor_deletes_older_ones() {
        for ahead_s in [-86_400, -600, -1, 0, 1, 600, 86_400] {
            let drill = DrillOpened { service_ahead_ms: Some(ahead_s * 1000), ..drill() };
            for (after_s, allowed) in [(-3600, false), (-5, false), (-3, false), (0, true), (5, true), (3600, true)] {
                let verdict = may_delete(&drill, Some(&step(None)), &made(ahead_s, after_s));
                assert_eq!(verdict.is_ok(), allowed, "{ahead_s} s ahead, created {after_s} s after: {verdict:?}");
            }
        }
        // Without the service's clock: what this machine's says.
        assert!(may_delete(&drill(), Some(&step(None)), &made(-600, 5)).is_err());
        assert!(may_delete(&drill(), Some(&step(None)), &made(600, 5)).is_ok());
    }

    #[test]
    fn what_was_seen_to_be_absent_needs_no_clock() {
        let ours = "arn:aws:dynamodb:eu-west-2:1:table/p-d1-c01-0a1b";
        let seen = StepFacts { was_absent: true, ..step(None) };
        // The `Date` of one service is ahead of, or behind, the clock of the one that creates, and of ours.
        for told_ahead_s in [-86_400, -600, 0, 600, 86_400] {
            let drill = DrillOpened { service_ahead_ms: Some(told_ahead_s * 1000), ..drill() };
            for really_ahead_s in [-86_400, -600, 0, 600, 86_400] {
                let verdict = may_delete(&drill, Some(&seen), &made(really_ahead_s, 5));
                assert_eq!(verdict, Ok(Ground::Tag), "told {told_ahead_s} s ahead, {really_ahead_s} s in truth");
            }
        }
        let undated = found(ours, None, Some("d1"));
        assert_eq!(may_delete(&drill(), Some(&seen), &undated), Ok(Ground::Tag));
        // Everything else of the rule stands: it must be ours by tag, ARN or name, and of that very name to need no date.
        let other = "arn:aws:dynamodb:eu-west-2:1:table/p-d1-c01-0a1b-prod";
        assert!(may_delete(&drill(), Some(&seen), &found(other, Some(BEGAN.plus_secs(-600)), Some("d1"))).is_err());
        assert!(may_delete(&drill(), Some(&seen), &found(ours, None, Some("d2"))).is_err());
        assert!(may_delete(&drill(), Some(&StepFacts { target: None, ..seen }), &found(ours, None, Some("d1"))).is_err());
    }

    #[test]
    fn a_clock_that_is_set_back_during_a_drill_leaves_no_directory_behind() {
        let target = Some(Target { kind: TargetKind::Path, name: "p-d1-c01-0a1b".into(), region: None });
        let drill = DrillOpened { service_ahead_ms: Some(-600_000), ..drill() };
        let local = |at: i64| found("/srv/p-d1-c01-0a1b", Some(BEGAN.plus_secs(at)), Some("d1"));
        let in_order = StepFacts { target: target.clone(), ..step(None) };
        assert!(may_delete(&drill, Some(&in_order), &local(1)).is_ok());
        assert!(may_delete(&drill, Some(&in_order), &local(-5)).is_err(), "AWS's clock is none of a directory's");
        let set_back = StepFacts { target, intended_at: BEGAN.plus_secs(-3600), ..step(None) };
        assert!(may_delete(&drill, Some(&set_back), &local(-3599)).is_ok());
        assert!(may_delete(&drill, Some(&set_back), &local(-3605)).is_err());
    }
}
