//! A permit to create something: it exists only where the guard has cleared exactly that target and the journal holds the intent.
//!
//! Every call of a driver that creates consumes one; there is no other way to come by it.

use crate::model::failure::{Failure, FailureKind};
use crate::model::ids::{CaseId, DrillId};
use crate::restore::guard::Cleared;
use crate::restore::journal::Journal;
use crate::restore::records::{Record, Step, Target};

/// Allows one creating call, for one target, in one step.
#[derive(Debug)]
pub struct Permit {
    step: Step,
    target: Target,
    token: String,
}

impl Permit {
    /// Writes the intent, then gives the permit. `creates` is false for a step that only fills what an earlier one made: its intent
    /// then names no target of its own, so that the target is undone once.
    pub fn mint(
        cleared: &Cleared,
        journal: &Journal,
        (drill, case): (&DrillId, &CaseId),
        step: Step,
        creates: bool,
        token: String,
    ) -> Result<Self, Failure> {
        let target = cleared.target().clone();
        if !cleared.isolation().proved {
            return Err(Failure::new(FailureKind::Refused, format!("{}: isolation is not proved", target.name)));
        }
        let intent = Record::Intended { case: case.clone(), step, target: creates.then(|| target.clone()), token: token.clone() };
        journal.record(drill, intent)?;
        Ok(Self { step, target, token })
    }

    /// The step that it is for.
    pub fn step(&self) -> Step {
        self.step
    }

    /// The target that it is for.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The idempotency token of the call.
    pub fn token(&self) -> &str {
        &self.token
    }
}
