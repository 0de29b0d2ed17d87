//! Taking down what a case created: deleting it, and describing it until it is gone.
//!
//! What may be deleted is not decided here (`may_delete`); whatever may not stands, and is reported.

use std::collections::BTreeSet;
use std::path::Path;

use crate::model::failure::{Failure, FailureKind};
use crate::model::ids::CaseId;
use crate::monitor::{Event, Monitor};
use crate::restore::journal::Journal;
use crate::restore::late::{is_told_late, seen_at_last};
use crate::restore::may_delete::{Refusal, may_delete, may_delete_unseen};
use crate::restore::order::{self, Clouds};
use crate::restore::pace::Pace;
use crate::restore::records::{DrillOpened, Record, Step, Target, TargetKind};
use crate::restore::steps::{CaseFacts, StepFacts, StepState, UndoState};
use crate::restore::targets::{self, Found};
use crate::testing_log::point_result::{CreatedResource, Presence, Teardown};

/// How long the deletion of one resource, or the end of one job, is waited for.
pub const PATIENCE_S: u64 = 3600;

/// Everything that undoing works with.
pub struct Undoing<'a> {
    /// The journal.
    pub journal: &'a Journal,
    /// AWS.
    pub clouds: &'a Clouds,
    /// The drill's working directory.
    pub work: &'a Path,
    /// The drill.
    pub drill: &'a DrillOpened,
    /// Who watches.
    pub monitor: &'a dyn Monitor,
    /// How long each deletion, and the end of each job, is waited for.
    pub patience_s: u64,
}

impl<'a> Undoing<'a> {
    /// With the usual patience.
    pub fn new(journal: &'a Journal, clouds: &'a Clouds, work: &'a Path, drill: &'a DrillOpened, monitor: &'a dyn Monitor) -> Self {
        Self { journal, clouds, work, drill, monitor, patience_s: PATIENCE_S }
    }

    /// Takes down everything that the case created, the latest first; what cannot be taken down is recorded and stands.
    ///
    /// # Errors
    /// Only where the journal cannot be written, or a stop was asked for.
    pub async fn undo(&self, case: &CaseId) -> Result<Teardown, Failure> {
        let facts = self.journal.case(&self.drill.drill, case);
        if !facts.standing().is_empty() {
            let settled = self.settle(&facts).await;
            for (step, standing) in facts.standing() {
                match &settled {
                    Ok(()) => self.undo_step(case, step, standing).await?,
                    Err(failure) if failure.kind == FailureKind::Interrupted => return Err(clone_of(failure)),
                    Err(failure) => {
                        self.record(Record::UndoIntended { case: case.clone(), step, found: None })?;
                        self.record(Record::UndoFailed { case: case.clone(), step, message: failure.to_string() })?;
                    }
                }
            }
        }
        let kept = order::reading_state(self.work, case);
        if let Err(error) = std::fs::remove_dir_all(&kept)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            self.monitor.event(Event::Problem(&Failure::io(format!("remove {}", kept.display()), error)));
        }
        Ok(outcome(&self.journal.case(&self.drill.drill, case)))
    }

    /// A restore job cannot be called off: one that is still under way would create its target after we had looked.
    async fn settle(&self, facts: &CaseFacts) -> Result<(), Failure> {
        let mut waiting: Option<(Pace, String)> = None;
        while let Some(job) = self.job_under_way(facts).await? {
            let (pace, task) = waiting.get_or_insert_with(|| {
                self.monitor.event(Event::Note(&format!(
                    "{job}; it is waited for, at most {} s: what it makes is taken down then",
                    self.patience_s
                )));
                let task = format!("waiting for {job}");
                self.monitor.event(Event::Started { task: &task, unit: "looks", total: None });
                (Pace::new(format!("{job}: its end"), self.patience_s), task)
            });
            self.monitor.event(Event::Advanced { task, by: 1, bytes: 0 });
            if let Err(late) = pace.pause(self.monitor).await {
                self.monitor.event(Event::Finished { task });
                return Err(late);
            }
        }
        if let Some((_, task)) = &waiting {
            self.monitor.event(Event::Finished { task });
        }
        Ok(())
    }

    /// In words, the restore job that the case has asked for and that has not ended; nothing where there is none.
    pub async fn job_under_way(&self, facts: &CaseFacts) -> Result<Option<String>, Failure> {
        let Some(restore) = facts.steps.get(&Step::Restore) else { return Ok(None) };
        // A bucket of our own that is gone cannot come back: a job that still runs fails for want of it.
        let Some(target) = restore.target.as_ref().filter(|_| self.clouds.has_aws()) else { return Ok(None) };
        let region = target.region.as_deref();
        match (&restore.state, &restore.job_id) {
            (StepState::Done, Some(job)) => {
                let status = self.clouds.backup(region)?.restore_job(job).await?.status;
                let is_under_way = matches!(status.as_str(), "PENDING" | "RUNNING");
                Ok(is_under_way.then(|| format!("restore job {job} for {} is {status}", target.name)))
            }
            // The call may have gone out, and its answer was lost.
            (StepState::Intended, _) if !matches!(target.kind, TargetKind::Path | TargetKind::AccessPoint) => {
                let points: BTreeSet<String> = self
                    .journal
                    .drill(&self.drill.drill)
                    .and_then(|drill| drill.catalogue)
                    .into_iter()
                    .flatten()
                    .filter(|point| point.from == crate::model::resource::PointSource::AwsBackup)
                    .map(|point| point.handle)
                    .collect();
                if points.is_empty() {
                    return Ok(None);
                }
                // By whichever clock is behind: one job too many is looked at, never one too few.
                let since = self.drill.as_service(restore.intended_at).min(restore.intended_at).plus_secs(-60);
                let jobs = self.clouds.backup(region)?.unfinished_jobs(since, &|arn| points.contains(arn)).await?;
                Ok((!jobs.is_empty()).then(|| format!("a restore job that may be for {} is under way", target.name)))
            }
            _ => Ok(None),
        }
    }

    async fn undo_step(&self, case: &CaseId, step: Step, facts: &StepFacts) -> Result<(), Failure> {
        let Some(target) = &facts.target else { return Ok(()) };
        let first = targets::find(self.clouds, self.work, target).await;
        let seen =
            first.as_ref().ok().and_then(Option::as_ref).map(|found| (found.arn.clone(), found.created_at.unwrap_or(facts.intended_at)));
        self.record(Record::UndoIntended { case: case.clone(), step, found: seen })?;
        let gone = match first {
            Ok(found) => self.until_gone(facts, found).await,
            Err(failure) => Err(failure),
        };
        match gone {
            Ok(confirmed_by) => self.record(Record::UndoDone { case: case.clone(), step, confirmed_by }),
            Err(failure) if failure.kind == FailureKind::Interrupted => Err(failure),
            Err(failure) => {
                self.monitor.event(Event::Problem(&failure));
                self.record(Record::UndoFailed { case: case.clone(), step, message: failure.to_string() })
            }
        }
    }

    /// Takes down what was found, as far as the teardown rule allows, and waits until it is gone; gives the calls that say so.
    ///
    /// "Not found" alone does not: what was accepted, or stood a moment ago, may be seen again a moment later. It is looked for again, and
    /// then deleted by its name, so that two calls say that it is gone.
    pub(super) async fn until_gone(&self, facts: &StepFacts, mut found: Option<Found>) -> Result<String, Failure> {
        let Some(target) = &facts.target else { return Ok(String::new()) };
        let mut confirmed_by = targets::described_by(target.kind).to_owned();
        let mut pace = Pace::new(format!("{} to be gone", target.name), self.patience_s);
        let mut last: Option<Failure> = None;
        // Whether its end was seen: a deletion was answered or is under way, or there never was anything.
        let mut is_over = found.is_none() && !came_up(facts);
        loop {
            let Some(there) = &found else {
                if is_over || !is_told_late(target.kind) {
                    return Ok(confirmed_by);
                }
                found = seen_at_last(self.clouds, self.work, target).await?;
                if found.is_none() {
                    self.delete_unseen(facts, target, &mut pace).await?;
                    is_over = true;
                    confirmed_by = format!("{} and {confirmed_by}", targets::deleted_by(target.kind));
                    found = targets::find(self.clouds, self.work, target).await?;
                }
                continue;
            };
            is_over |= there.is_deleting();
            if !there.is_deleting() {
                match may_delete(self.drill, Some(facts), there) {
                    Ok(_) => match targets::delete(self.clouds, self.work, target).await {
                        Ok(()) => is_over = true,
                        Err(failure) if is_final(&failure) => return Err(failure),
                        // A table or an instance that is still being created cannot be deleted yet.
                        Err(failure) => last = Some(failure),
                    },
                    // A service may state the creation only when the resource is up.
                    Err(Refusal::Older { .. }) if there.created_at.is_none() => {}
                    Err(refusal) => {
                        return Err(Failure::new(FailureKind::Refused, format!("teardown rule: {refusal}"))
                            .hint("look at it by hand: it is not ours to delete")
                            .caused_by(refusal));
                    }
                }
            }
            found = targets::find(self.clouds, self.work, target).await?;
            if found.is_some() {
                pace.pause(self.monitor).await.map_err(|failure| match &last {
                    Some(last) if failure.kind == FailureKind::Remote => failure.context(last),
                    _ => failure,
                })?;
            }
        }
    }

    /// Deletes by its name what is not described. Where the journal does not show that the name was free before, nobody knows whose it is.
    async fn delete_unseen(&self, facts: &StepFacts, target: &Target, pace: &mut Pace) -> Result<(), Failure> {
        if !may_delete_unseen(facts) {
            let message = format!("{} is not described any more, and nobody saw it deleted", target.name);
            return Err(Failure::new(FailureKind::Remote, message).hint("`attestore sweep` looks for it again"));
        }
        loop {
            match targets::delete(self.clouds, self.work, target).await {
                Ok(()) => return Ok(()),
                Err(failure) if is_final(&failure) => return Err(failure),
                Err(failure) => pace.pause(self.monitor).await.map_err(|late| late.context(failure))?,
            }
        }
    }

    fn record(&self, record: Record) -> Result<(), Failure> {
        self.journal.record(&self.drill.drill, record)
    }
}

/// Whether what the step creates came up, by the service's word or our own eyes.
fn came_up(facts: &StepFacts) -> bool {
    let named = |target: &Target| facts.created_arn.as_deref().is_some_and(|arn| targets::names(arn, target.kind, &target.name));
    let is_accepted = facts.state == StepState::Done && (facts.job_id.is_none() || facts.target.as_ref().is_some_and(named));
    is_accepted || facts.found.is_some()
}

fn is_final(failure: &Failure) -> bool {
    // RDS's word for an instance that is being created, changed or backed up: that passes.
    let passes = failure.message.contains("InvalidDBInstanceState");
    !passes && matches!(failure.kind, FailureKind::Denied | FailureKind::Refused | FailureKind::Invalid | FailureKind::Disk)
}

fn clone_of(failure: &Failure) -> Failure {
    Failure { kind: failure.kind, message: failure.message.clone(), hint: failure.hint.clone(), source: None }
}

/// What the journal says became of everything that the case created; a pure function of it.
pub fn outcome(facts: &CaseFacts) -> Teardown {
    let mut resources = Vec::new();
    for step in facts.steps.values() {
        let Some(target) = &step.target else { continue };
        // What was never there is not listed: a refused call, a crash before it, or a job that ended without naming what it created.
        let is_empty_job = step.job_id.is_some() && step.created_arn.is_none();
        let existed = step.found.is_some() || (step.state == StepState::Done && !is_empty_job);
        let is_elsewhere = |arn: &str| {
            let lies_elsewhere = |(found, _): &(String, crate::model::clock::Timestamp)| !targets::same_place(arn, found);
            !targets::names(arn, target.kind, &target.name) || step.found.as_ref().is_some_and(lies_elsewhere)
        };
        if let Some(arn) = step.created_arn.as_ref().filter(|arn| step.job_id.is_some() && is_elsewhere(arn)) {
            // Another's name is no licence to delete: it is told, counts as left behind, and stands.
            let confirmed_by = "named by the restore job, and not the target that was asked for: look at it by hand".to_owned();
            let (created_at, state) = (step.intended_at, Presence::Unknown);
            resources.push(CreatedResource { arn: arn.clone(), created_at, deleted_at: None, state, confirmed_by });
        }
        let (deleted_at, state, confirmed_by) = match &step.undo {
            UndoState::Done { .. } if !existed => continue,
            UndoState::Done { confirmed_by, at } => (Some(*at), Presence::Gone, confirmed_by.clone()),
            UndoState::Failed { message } if step.found.is_some() => (None, Presence::Present, message.clone()),
            UndoState::Failed { message } => (None, Presence::Unknown, message.clone()),
            UndoState::None | UndoState::Intended => (None, Presence::Unknown, "not looked at yet".to_owned()),
        };
        let (arn, created_at) = match &step.found {
            Some((arn, created_at)) => (arn.clone(), *created_at),
            None => {
                let ours = step.created_arn.clone().filter(|arn| step.job_id.is_none() || targets::names(arn, target.kind, &target.name));
                (ours.unwrap_or_else(|| target.name.clone()), step.intended_at)
            }
        };
        resources.push(CreatedResource { arn, created_at, deleted_at, state, confirmed_by });
    }
    let leftover_count = resources.iter().filter(|resource| resource.state != Presence::Gone).count() as u64;
    Teardown { resources, leftover_count }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock::Timestamp;

    const BEGAN: Timestamp = Timestamp(1_700_000_000_500_000);

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

    #[test]
    fn a_job_that_named_nothing_lists_nothing_and_one_that_named_another_leaves_it_behind() {
        let gone = UndoState::Done { confirmed_by: "x".into(), at: BEGAN };
        let job = |created_arn: Option<&str>| {
            let mut facts = CaseFacts::default();
            let step = StepFacts { job_id: Some("job".into()), state: StepState::Done, undo: gone.clone(), ..step(created_arn) };
            facts.steps.insert(Step::Restore, step);
            outcome(&facts)
        };
        assert_eq!(job(None), Teardown { resources: Vec::new(), leftover_count: 0 });
        let ours = job(Some("arn:aws:dynamodb:eu-west-2:1:table/p-d1-c01-0a1b"));
        assert_eq!((ours.resources.len(), ours.leftover_count), (1, 0));
        let other = job(Some("arn:aws:dynamodb:eu-west-2:1:table/production"));
        assert_eq!((other.leftover_count, other.resources[0].state), (1, Presence::Unknown));
        assert_eq!(other.resources[0].arn, "arn:aws:dynamodb:eu-west-2:1:table/production");
    }

    #[test]
    fn what_never_was_is_not_listed_and_what_stands_is_a_leftover() {
        let mut facts = CaseFacts::default();
        facts.steps.insert(Step::Restore, StepFacts { undo: UndoState::Done { confirmed_by: "x".into(), at: BEGAN }, ..step(None) });
        assert_eq!(outcome(&facts), Teardown { resources: Vec::new(), leftover_count: 0 });
        facts.steps.insert(
            Step::Restore,
            StepFacts { found: Some(("a".into(), BEGAN)), undo: UndoState::Failed { message: "denied".into() }, ..step(None) },
        );
        let teardown = outcome(&facts);
        assert_eq!((teardown.leftover_count, teardown.resources[0].state), (1, Presence::Present));
    }
}
