//! What the records of the journal add up to: an intent log, replayed into a state, with illegal transitions as typed errors.
//!
//! Pure: nothing here writes. A step that creates something goes `intended -> done | failed`, its undo
//! `intended -> done | failed`; an intent may be written again after a crash (the attempt is counted), because the call
//! that followed it may or may not have happened, and the target is described before it is made again.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::clock::Timestamp;
use crate::model::digest::Digest32;
use crate::model::ids::{CaseId, DrillId};
use crate::model::recovery_point::RecoveryPoint;
use crate::restore::looks;
use crate::restore::records::{DrillOpened, Phase, Record, Step, Target};
use crate::testing_log::point_result::Isolation;

/// Where a step stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StepState {
    /// The call may or may not have happened.
    Intended,
    /// It happened.
    Done,
    /// It was refused.
    Failed,
}

/// Where the undoing of a step stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UndoState {
    /// Not begun.
    None,
    /// The deletion may or may not have happened.
    Intended,
    /// Gone.
    Done {
        /// The call that says so.
        confirmed_by: String,
        /// When.
        at: Timestamp,
    },
    /// Not known to be gone.
    Failed {
        /// Why.
        message: String,
    },
}

/// One step as the journal knows it.
#[derive(Clone, PartialEq, Debug)]
pub struct StepFacts {
    /// Where it stands.
    pub state: StepState,
    /// What it creates.
    pub target: Option<Target>,
    /// The idempotency token.
    pub token: String,
    /// How often it was intended.
    pub attempts: u64,
    /// When it was first intended.
    pub intended_at: Timestamp,
    /// Whether the guard had looked for its target before that, within the drill, and it was not there: what bears the name since was created
    /// after the drill began, whatever any clock says.
    pub was_absent: bool,
    /// The service's id of the job.
    pub job_id: Option<String>,
    /// The ARN that the service names as created.
    pub created_arn: Option<String>,
    /// What was found under the target's name when its undoing began, and when that was created.
    pub found: Option<(String, Timestamp)>,
    /// Where its undoing stands.
    pub undo: UndoState,
}

/// One case as the journal knows it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct CaseFacts {
    /// Its steps.
    pub steps: BTreeMap<Step, StepFacts>,
    /// The phases reached.
    pub phases: BTreeMap<Phase, Timestamp>,
    /// What the guard saw.
    pub isolation: Option<Isolation>,
    /// Its verdict.
    pub result: Option<serde_json::Value>,
    /// Whether its result is in the testing log.
    pub closed: bool,
}

impl CaseFacts {
    /// Steps that created, or may have created, something that is not known to be gone; the latest first.
    pub fn standing(&self) -> Vec<(Step, &StepFacts)> {
        self.steps
            .iter()
            .rev()
            .filter(|(_, facts)| facts.target.is_some() && !matches!(facts.undo, UndoState::Done { .. }))
            .map(|(step, facts)| (*step, facts))
            .collect()
    }
}

/// One drill as the journal knows it.
#[derive(Clone, PartialEq, Debug)]
pub struct DrillFacts {
    /// As it opened.
    pub opened: DrillOpened,
    /// The eligible points, once listed.
    pub catalogue: Option<Vec<RecoveryPoint>>,
    /// Its cases.
    pub cases: BTreeMap<CaseId, CaseFacts>,
    /// Whether it is closed.
    pub closed: bool,
}

/// Everything that the journal says.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct State {
    /// Drills, in the order of their ids, which is that of their beginning.
    pub drills: BTreeMap<DrillId, DrillFacts>,
    /// Every leaf that we ever meant to write.
    pub leaves: BTreeSet<(u64, Digest32)>,
}

/// A record that cannot follow what came before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IllegalTransition {
    /// A second opening.
    #[error("drill {0} is already open")]
    AlreadyOpen(DrillId),
    /// A record of a drill that was never opened.
    #[error("drill {0} was never opened")]
    NotOpen(DrillId),
    /// A record of a drill that is closed (only undoing goes on after that).
    #[error("drill {0} is closed, and `{1}` cannot follow")]
    Closed(DrillId, &'static str),
    /// A record of a case that never began.
    #[error("case {0} never began, and `{1}` cannot be its first record")]
    NoCase(CaseId, &'static str),
    /// A step in the wrong state.
    #[error("case {case}, step {step:?}: `{record}` cannot follow {state}")]
    Step {
        /// The case.
        case: CaseId,
        /// The step.
        step: Step,
        /// The record that was refused.
        record: &'static str,
        /// Where the step stood.
        state: String,
    },
    /// A case that already has its verdict.
    #[error("case {0} already has its verdict")]
    AlreadyConcluded(CaseId),
}

impl State {
    /// Takes `record` of `drill`, written at `at`, in; an illegal one changes nothing.
    pub fn apply(&mut self, drill: &DrillId, at: Timestamp, record: &Record) -> Result<(), IllegalTransition> {
        if let Record::LeafIntended { index, hash } = record {
            self.leaves.insert((*index, *hash));
            return Ok(());
        }
        if let Record::DrillOpened { drill: opened } = record {
            if self.drills.contains_key(drill) {
                return Err(IllegalTransition::AlreadyOpen(drill.clone()));
            }
            let facts = DrillFacts { opened: opened.clone(), catalogue: None, cases: BTreeMap::new(), closed: false };
            self.drills.insert(drill.clone(), facts);
            return Ok(());
        }
        let facts = self.drills.get_mut(drill).ok_or_else(|| IllegalTransition::NotOpen(drill.clone()))?;
        let is_undo = matches!(record, Record::UndoIntended { .. } | Record::UndoDone { .. } | Record::UndoFailed { .. });
        if facts.closed && !is_undo {
            return Err(IllegalTransition::Closed(drill.clone(), record.name()));
        }
        match record {
            Record::Catalogued { points } => facts.catalogue = Some(points.clone()),
            Record::DrillClosed {} => facts.closed = true,
            Record::CaseOpened { case } => {
                facts.cases.entry(case.clone()).or_default();
            }
            _ => {
                let Some(case) = record.case() else { return Ok(()) };
                let known = facts.cases.get_mut(case).ok_or_else(|| IllegalTransition::NoCase(case.clone(), record.name()))?;
                known.apply(case, at, record)?;
            }
        }
        Ok(())
    }

    /// Drills that were opened and are not closed.
    pub fn unfinished(&self) -> Vec<&DrillFacts> {
        self.drills.values().filter(|drill| !drill.closed).collect()
    }
}

impl CaseFacts {
    fn apply(&mut self, case: &CaseId, at: Timestamp, record: &Record) -> Result<(), IllegalTransition> {
        match record {
            Record::Phase { phase, at, .. } => {
                // The first time counts: a phase reached again after a resume was reached before.
                self.phases.entry(*phase).or_insert(*at);
            }
            Record::Isolation { isolation, .. } => self.isolation = Some(isolation.clone()),
            Record::Concluded { result, .. } => {
                if self.result.is_some() {
                    return Err(IllegalTransition::AlreadyConcluded(case.clone()));
                }
                self.result = Some(result.clone());
            }
            Record::CaseClosed { .. } => self.closed = true,
            Record::Intended { step, target, token, .. } => return self.intend(case, at, *step, target, token),
            Record::Done { step, .. }
            | Record::Failed { step, .. }
            | Record::UndoIntended { step, .. }
            | Record::UndoDone { step, .. }
            | Record::UndoFailed { step, .. } => {
                let wrong = |state: String| IllegalTransition::Step { case: case.clone(), step: *step, record: record.name(), state };
                let facts = self.steps.get_mut(step).ok_or_else(|| wrong("nothing".into()))?;
                return facts.apply(at, record).map_err(wrong);
            }
            _ => {}
        }
        Ok(())
    }

    fn intend(&mut self, case: &CaseId, at: Timestamp, step: Step, target: &Option<Target>, token: &str) -> Result<(), IllegalTransition> {
        let wrong = |state: String| IllegalTransition::Step { case: case.clone(), step, record: "intended", state };
        if self.result.is_some() {
            return Err(IllegalTransition::AlreadyConcluded(case.clone()));
        }
        match self.steps.get_mut(&step) {
            None => {
                let facts = StepFacts {
                    state: StepState::Intended,
                    target: target.clone(),
                    token: token.to_owned(),
                    attempts: 1,
                    intended_at: at,
                    was_absent: self.isolation.as_ref().is_some_and(looks::saw_nothing),
                    job_id: None,
                    created_arn: None,
                    found: None,
                    undo: UndoState::None,
                };
                self.steps.insert(step, facts);
                Ok(())
            }
            Some(facts) if facts.undo != UndoState::None => Err(wrong("its own undoing".into())),
            Some(facts) if facts.state == StepState::Done => Err(wrong("done".into())),
            Some(facts) if facts.target != *target => Err(wrong("an intent for another target".into())),
            Some(facts) => {
                facts.state = StepState::Intended;
                facts.attempts += 1;
                Ok(())
            }
        }
    }
}

impl StepFacts {
    fn apply(&mut self, at: Timestamp, record: &Record) -> Result<(), String> {
        let state = match (&self.state, &self.undo) {
            (StepState::Intended, UndoState::None) => "intended",
            (StepState::Done, UndoState::None) => "done",
            (StepState::Failed, UndoState::None) => "failed",
            (_, UndoState::Intended) => "undo-intended",
            (_, UndoState::Done { .. }) => "undo-done",
            (_, UndoState::Failed { .. }) => "undo-failed",
        };
        match (state, record) {
            ("intended", Record::Done { job_id, created_arn, .. }) => {
                self.state = StepState::Done;
                self.job_id.clone_from(job_id);
                self.created_arn.clone_from(created_arn);
            }
            // The job's id is known first, what it created only later.
            ("done", Record::Done { job_id, created_arn, .. }) if self.job_id == *job_id && self.created_arn.is_none() => {
                self.created_arn.clone_from(created_arn);
            }
            ("intended", Record::Failed { .. }) => self.state = StepState::Failed,
            ("intended" | "done" | "failed" | "undo-failed" | "undo-intended", Record::UndoIntended { found, .. })
                if self.target.is_some() =>
            {
                self.undo = UndoState::Intended;
                // What an earlier attempt saw stays known when a later one finds nothing any more.
                self.found = found.clone().or(self.found.take());
            }
            ("undo-intended", Record::UndoDone { confirmed_by, .. }) => {
                self.undo = UndoState::Done { confirmed_by: confirmed_by.clone(), at };
            }
            ("undo-intended", Record::UndoFailed { message, .. }) => self.undo = UndoState::Failed { message: message.clone() },
            _ => return Err(state.to_owned()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Sha256Digest;
    use crate::restore::looks::ABSENT;
    use crate::restore::records::TargetKind;
    use crate::testing_log::body::Trigger;
    use crate::testing_log::point_result::Probe;
    use crate::testing_log::probes::TARGET_ABSENT;

    fn opened(drill: &str) -> Record {
        Record::DrillOpened {
            drill: DrillOpened {
                drill: drill.into(),
                seq: 1,
                began_at: Timestamp(0),
                service_ahead_ms: None,
                deadline_at: Timestamp(1),
                title: String::new(),
                trigger: Trigger::Manual,
                config: Sha256Digest::of(b""),
                nonce: "00".into(),
            },
        }
    }

    fn intended(target: Option<Target>) -> Record {
        Record::Intended { case: "c".into(), step: Step::Restore, target, token: "t".into() }
    }

    fn done() -> Record {
        Record::Done { case: "c".into(), step: Step::Restore, job_id: None, created_arn: None }
    }

    fn bucket() -> Option<Target> {
        Some(Target { kind: TargetKind::Bucket, name: "b".into(), region: None })
    }

    fn after(records: &[Record]) -> Result<State, IllegalTransition> {
        let mut state = State::default();
        let drill = DrillId::from("d");
        for record in records {
            state.apply(&drill, Timestamp(7), record)?;
        }
        Ok(state)
    }

    #[test]
    fn steps_and_their_undoing_follow_the_intent() {
        let case = CaseId::from("c");
        let begin = [opened("d"), Record::CaseOpened { case: case.clone() }];
        let undo = Record::UndoIntended { case: case.clone(), step: Step::Restore, found: None };
        let gone = Record::UndoDone { case: case.clone(), step: Step::Restore, confirmed_by: "x".into() };
        let stuck = Record::UndoFailed { case: case.clone(), step: Step::Restore, message: "x".into() };
        let run = |more: &[Record]| after(&[&begin[..], more].concat());

        let state =
            run(&[intended(bucket()), intended(bucket()), done(), undo.clone(), stuck.clone(), undo.clone(), gone.clone()]).unwrap();
        let facts = &state.drills[&DrillId::from("d")].cases[&case];
        assert_eq!(facts.steps[&Step::Restore].attempts, 2);
        assert!(facts.standing().is_empty());
        assert_eq!(run(&[intended(bucket())]).unwrap().drills[&DrillId::from("d")].cases[&case].standing().len(), 1);

        for illegal in [
            vec![done()],
            vec![intended(bucket()), done(), intended(bucket())],
            vec![intended(bucket()), intended(None)],
            vec![intended(bucket()), gone.clone()],
            vec![intended(bucket()), undo.clone(), intended(bucket())],
            vec![intended(None), undo.clone()],
            vec![intended(bucket()), undo.clone(), gone.clone(), undo.clone()],
            vec![intended(bucket()), undo.clone(), done()],
        ] {
            assert!(matches!(run(&illegal), Err(IllegalTransition::Step { .. })), "{illegal:?}");
        }
    }

    #[test]
    fn a_step_knows_whether_its_target_was_seen_to_be_absent_before_it() {
        let case = CaseId::from("c");
        let looked = |found: &str| {
            let probe = Probe { name: TARGET_ABSENT.into(), expected: ABSENT.into(), found: found.into(), held: true };
            let isolation = Isolation { account_id: "1".into(), probes: vec![probe], proved: true, undemanded: Vec::new() };
            Record::Isolation { case: case.clone(), isolation }
        };
        let known = |records: &[Record]| {
            let begin = [opened("d"), Record::CaseOpened { case: case.clone() }];
            after(&[&begin[..], records].concat()).unwrap().drills[&DrillId::from("d")].cases[&case].steps[&Step::Restore].was_absent
        };
        assert!(known(&[looked(ABSENT), intended(bucket())]));
        assert!(known(&[looked(ABSENT), intended(bucket()), looked("present"), intended(bucket())]), "a resumed case finds its own");
        assert!(!known(&[intended(bucket()), looked(ABSENT), intended(bucket())]), "looked too late");
    }

    #[test]
    fn drills_and_cases_begin_before_anything_of_theirs() {
        assert!(matches!(after(&[Record::CaseOpened { case: "c".into() }]), Err(IllegalTransition::NotOpen(_))));
        assert!(matches!(after(&[opened("d"), opened("d")]), Err(IllegalTransition::AlreadyOpen(_))));
        assert!(matches!(after(&[opened("d"), intended(None)]), Err(IllegalTransition::NoCase(..))));
        let closed = after(&[opened("d"), Record::DrillClosed {}, Record::CaseOpened { case: "c".into() }]);
        assert!(matches!(closed, Err(IllegalTransition::Closed(..))));
        let concluded = Record::Concluded { case: "c".into(), result: serde_json::json!({}) };
        let twice = after(&[opened("d"), Record::CaseOpened { case: "c".into() }, concluded.clone(), concluded]);
        assert!(matches!(twice, Err(IllegalTransition::AlreadyConcluded(_))));
    }
}
