//! One point brought back: guard, permit, request, wait, guard again, open. Every step is in the journal before it is taken, and a
//! resumed case goes on from there: a restore that was accepted is followed, never asked for again.

use std::time::Instant;

use crate::drill::context::Context;
use crate::model::clock::Timestamp;
use crate::model::failure::{Failure, FailureKind};
use crate::model::ids::{CaseId, DrillId};
use crate::monitor::Event;
use crate::restore::driver::{Accepted, Driver, Opened, Progress};
use crate::restore::drivers::instances;
use crate::restore::guard::{self, Cleared, Ours};
use crate::restore::order::Order;
use crate::restore::pace::Pace;
use crate::restore::permit::Permit;
use crate::restore::records::{Phase, Record, Step, Target, TargetKind};
use crate::restore::steps::{StepState, UndoState};
use crate::restore::targets;
use crate::testing_log::point_result::{Isolation, Probe};

/// A restore that is waited for says so again after as many seconds, be its state the same.
const WORD_EVERY_S: u64 = 60;

/// A failure with the phase that it happened in.
pub type InPhase<T> = Result<T, (&'static str, Failure)>;

/// What came of bringing back.
#[derive(Default)]
pub struct Seen {
    /// The probes so far.
    pub isolation: Option<Isolation>,
    /// The job's last state in the service's words.
    pub status: String,
    /// The last raw description.
    pub raw: Option<serde_json::Value>,
}

/// Brings one point back.
pub struct BringBack<'a> {
    /// The drill's context.
    pub context: &'a Context,
    /// What is restored, and where to.
    pub order: &'a Order,
    /// How.
    pub driver: &'a dyn Driver,
    /// How long the restore may take.
    pub patience_s: u64,
}

impl BringBack<'_> {
    /// From the guard's first look to the URL that is read. What was seen on the way is in `seen`, whatever came of it.
    pub async fn run(&self, seen: &mut Seen) -> InPhase<Opened> {
        let target = self.order.target(self.driver.target_kind());
        let facts = self.facts();
        if facts.steps.values().any(|step| step.undo != UndoState::None) {
            let message = format!("{} was taken down before it was verified", target.name);
            return Err(("restore", Failure::new(FailureKind::Refused, message)));
        }
        let cleared = self.guard_before(&target, seen).await?;
        if self.driver.makes_container() {
            self.container(&target, &cleared, seen).await?;
        }
        let accepted = self.request(&cleared, seen).await?;
        self.wait(&accepted, seen).await?;
        self.guard_after(&target, seen).await?;
        if self.driver.sets_password() {
            self.password(&cleared).await?;
        }
        let opened = self.open().await?;
        // What says where it is read is held to the same as before: a description may have changed since.
        self.look_again(seen).await?;
        Ok(opened)
    }

    /// Looks once more at what was created; what is seen for the first time is added to the probes.
    pub async fn look_again(&self, seen: &mut Seen) -> InPhase<()> {
        self.guard_after(&self.order.target(self.driver.target_kind()), seen).await
    }

    /// Why what was restored could not be read: where it cannot be reached, its service is asked what became of it. Who refuses a connection
    /// does not say whether the instance was deleted or stopped meanwhile, or whether only the way to it is closed.
    pub async fn what_became(&self, failure: Failure) -> Failure {
        if failure.kind != FailureKind::Network || self.driver.target_kind() != TargetKind::DbInstance {
            return failure;
        }
        let target = self.order.target(TargetKind::DbInstance);
        let name = &target.name;
        match targets::find(&self.context.clouds, &self.order.work, &target).await {
            Ok(None) => Failure::new(
                FailureKind::Absent,
                format!("instance {name} no longer exists (DBInstanceNotFound): it was deleted before it was read to its end; {failure}"),
            )
            .hint("find out in CloudTrail who deleted it, and drill the point again: nothing is said of the backup"),
            Ok(Some(found)) => {
                let status = instances::instance_of(&found).map_or("of another kind", |instance| instance.status.as_str());
                let failure = failure.context(format!("instance {name} is `{status}`, as RDS says, and is not reached"));
                failure.hint(if status == "available" {
                    "check its security group and the way to it from here, and drill the point again: nothing is said of the backup"
                } else {
                    "somebody stops, restarts or deletes it: find out who, and drill the point again; nothing is said of the backup"
                })
            }
            Err(asked) => failure.context(format!("instance {name} is not reached, and RDS does not say what became of it ({asked})")),
        }
    }

    async fn guard_before(&self, target: &Target, seen: &mut Seen) -> InPhase<Cleared> {
        let ours = Ours::of(&self.facts(), target);
        let (isolation, verdict) = guard::before(self.order, target, &self.context.clouds, ours).await;
        self.keep_isolation(isolation, seen).map_err(|failure| ("guard", failure))?;
        verdict.map_err(|failure| ("guard", failure))
    }

    async fn guard_after(&self, target: &Target, seen: &mut Seen) -> InPhase<()> {
        let before = seen.isolation.clone().unwrap_or_else(|| Isolation {
            account_id: String::new(),
            probes: Vec::new(),
            proved: false,
            undemanded: Vec::new(),
        });
        let (isolation, verdict) = guard::after(self.order, target, &self.context.clouds, &before).await;
        self.keep_isolation(isolation, seen).map_err(|failure| ("guard", failure))?;
        verdict.map_err(|failure| ("guard", failure))
    }

    /// The bucket of our own: made, furnished, and looked at before anything is restored into it.
    async fn container(&self, target: &Target, cleared: &Cleared, seen: &mut Seen) -> InPhase<()> {
        let in_restore = |failure| ("restore", failure);
        let facts = self.facts();
        if facts.steps.get(&Step::CreateBucket).map(|step| step.state) != Some(StepState::Done) {
            let permit = self.permit(cleared, Step::CreateBucket, true).map_err(in_restore)?;
            let made = self.driver.make_container(self.order, &self.context.clouds, permit).await;
            self.settle(Step::CreateBucket, made.map(|()| Accepted::default())).map_err(in_restore)?;
        }
        let found = targets::find(&self.context.clouds, &self.order.work, target).await.map_err(|failure| ("guard", failure))?;
        let probes = match &found {
            // Once the job has been asked for, the bucket fills.
            Some(found) => guard::bucket_ready(self.order, found, !facts.steps.contains_key(&Step::Restore)),
            None => vec![Probe { name: "bucket".into(), expected: target.name.clone(), found: "absent".into(), held: false }],
        };
        let mut isolation = seen.isolation.clone().unwrap_or_else(|| cleared.isolation().clone());
        isolation.probes.extend(probes);
        isolation.proved = isolation.probes.iter().all(|probe| probe.held);
        let held = guard::held(&isolation);
        self.keep_isolation(isolation, seen).map_err(in_restore)?;
        held.map_err(|failure| ("guard", failure))
    }

    async fn request(&self, cleared: &Cleared, seen: &mut Seen) -> InPhase<Accepted> {
        let in_restore = |failure| ("restore", failure);
        if let Some(step) = self.facts().steps.get(&Step::Restore)
            && step.state == StepState::Done
        {
            return Ok(Accepted { job_id: step.job_id.clone(), created_arn: step.created_arn.clone() });
        }
        self.phase(Phase::Requested, Timestamp::now()).map_err(in_restore)?;
        let permit = self.permit(cleared, Step::Restore, !self.driver.makes_container()).map_err(in_restore)?;
        seen.status = "requested".into();
        let restores_itself = self.driver.restores_itself();
        if restores_itself {
            self.phase(Phase::Accepted, Timestamp::now()).map_err(in_restore)?;
        }
        let answer = self.driver.request(self.order, &self.context.clouds, permit);
        let answer = if self.driver.restores_in_request() { self.while_restoring(answer, seen).await } else { answer.await };
        let accepted = self.settle(Step::Restore, answer).map_err(in_restore)?;
        if !restores_itself {
            self.phase(Phase::Accepted, Timestamp::now()).map_err(in_restore)?;
        }
        seen.status = "accepted".into();
        Ok(accepted)
    }

    /// The answer of a request that restores before it answers: within the case's time, with a word of it every so often.
    async fn while_restoring(
        &self,
        request: impl Future<Output = Result<Accepted, Failure>>,
        seen: &mut Seen,
    ) -> Result<Accepted, Failure> {
        let mut request = Box::pin(request);
        let (began, mut told) = (Instant::now(), Instant::now());
        let mut pace = Pace::new(format!("{} to restore {}", self.driver.mechanism(), self.order.point.id), self.patience_s);
        let given_up = loop {
            let paused = tokio::select! {
                answer = &mut request => return answer,
                paused = pace.pause(self.context.monitor.as_ref()) => paused,
            };
            if let Err(failure) = paused {
                break failure;
            }
            if told.elapsed().as_secs() >= WORD_EVERY_S {
                told = Instant::now();
                let waited = began.elapsed().as_secs();
                self.context.note(&format!("{}: {}, {waited} s of at most {}", self.order.case, seen.status, self.patience_s));
            }
        };
        drop(request);
        self.driver.cut_short(self.order).await?;
        Err(given_up)
    }

    async fn wait(&self, accepted: &Accepted, seen: &mut Seen) -> InPhase<()> {
        let task = format!("restoring {}", self.order.case);
        let monitor = self.context.monitor.as_ref();
        monitor.event(Event::Started { task: &task, unit: "looks", total: None });
        let ended = self.wait_until_ready(accepted, &task, seen).await;
        monitor.event(Event::Finished { task: &task });
        ended.map_err(|failure| ("wait", failure))
    }

    async fn wait_until_ready(&self, accepted: &Accepted, task: &str, seen: &mut Seen) -> Result<(), Failure> {
        let monitor = self.context.monitor.as_ref();
        let (began, mut told) = (Instant::now(), Instant::now());
        let mut pace = Pace::new(format!("{} to restore {}", self.driver.mechanism(), self.order.point.id), self.patience_s);
        loop {
            match self.driver.poll(self.order, &self.context.clouds, accepted).await {
                Ok(Progress::Ready { status, created_arn, raw }) => {
                    (seen.status, seen.raw) = (status, Some(raw));
                    self.name_created(accepted, created_arn)?;
                    return self.phase(Phase::Available, Timestamp::now());
                }
                Ok(Progress::Elsewhere { status, message, created_arn, raw }) => {
                    (seen.status, seen.raw) = (status, Some(raw));
                    // In the journal, so that teardown tells of it: whatever that is, somebody has to look at it.
                    self.name_created(accepted, created_arn)?;
                    return Err(Failure::new(FailureKind::Remote, message));
                }
                Ok(Progress::Failed { status, message, raw }) => {
                    (seen.status, seen.raw) = (status, Some(raw));
                    return Err(Failure::new(FailureKind::Remote, message));
                }
                Ok(Progress::Waiting { status }) => {
                    let is_new = status != seen.status;
                    seen.status = status;
                    if is_new || told.elapsed().as_secs() >= WORD_EVERY_S {
                        told = Instant::now();
                        let waited = began.elapsed().as_secs();
                        self.context.note(&format!("{}: {}, {waited} s of at most {}", self.order.case, seen.status, self.patience_s));
                    }
                }
                // A look that failed for the moment is looked again, until the deadline.
                Err(failure) if failure.kind.is_retryable() => monitor.event(Event::Problem(&failure)),
                Err(failure) => return Err(failure),
            }
            monitor.event(Event::Advanced { task, by: 1, bytes: 0 });
            pace.pause(monitor).await.map_err(|failure| failure.context(format!("last state {}", seen.status)))?;
        }
    }

    /// What the job created, once; a resumed case may know it already.
    fn name_created(&self, accepted: &Accepted, created_arn: String) -> Result<(), Failure> {
        let known = self.facts().steps.get(&Step::Restore).and_then(|step| step.created_arn.clone());
        if known.is_some() { Ok(()) } else { self.done(Step::Restore, accepted.job_id.clone(), Some(created_arn)) }
    }

    async fn password(&self, cleared: &Cleared) -> InPhase<()> {
        let in_restore = |failure| ("restore", failure);
        if self.facts().steps.get(&Step::SetPassword).map(|step| step.state) == Some(StepState::Done) {
            return Ok(());
        }
        let permit = self.permit(cleared, Step::SetPassword, false).map_err(in_restore)?;
        let set = self.driver.set_password(self.order, &self.context.clouds, permit).await;
        self.settle(Step::SetPassword, set.map(|()| Accepted::default())).map_err(in_restore)?;
        Ok(())
    }

    async fn open(&self) -> InPhase<Opened> {
        let mut pace = Pace::new(format!("{} to be readable", self.order.point.id), self.patience_s);
        loop {
            match self.driver.open(self.order, &self.context.clouds).await {
                Ok(Some(opened)) => return Ok(opened),
                Ok(None) => {}
                Err(failure) if failure.kind.is_retryable() => self.context.monitor.event(Event::Problem(&failure)),
                Err(failure) => return Err(("restore", failure)),
            }
            pace.pause(self.context.monitor.as_ref()).await.map_err(|failure| ("wait", failure))?;
        }
    }

    fn permit(&self, cleared: &Cleared, step: Step, creates: bool) -> Result<Permit, Failure> {
        let names: (&DrillId, &CaseId) = (&self.order.drill, &self.order.case);
        Permit::mint(cleared, &self.context.journal, names, step, creates, self.order.token(step))
    }

    /// The answer of a step. Only an answer that says that nothing came of it is `failed`; after any other the call may have happened.
    fn settle(&self, step: Step, answer: Result<Accepted, Failure>) -> Result<Accepted, Failure> {
        match answer {
            Ok(accepted) => {
                self.done(step, accepted.job_id.clone(), accepted.created_arn.clone())?;
                Ok(accepted)
            }
            Err(failure) => {
                let refused =
                    matches!(failure.kind, FailureKind::Denied | FailureKind::Invalid | FailureKind::Refused | FailureKind::Absent);
                if refused {
                    let case = self.order.case.clone();
                    self.record(Record::Failed { case, step, message: failure.message.clone() })?;
                }
                Err(failure)
            }
        }
    }

    fn done(&self, step: Step, job_id: Option<String>, created_arn: Option<String>) -> Result<(), Failure> {
        self.record(Record::Done { case: self.order.case.clone(), step, job_id, created_arn })
    }

    fn phase(&self, phase: Phase, at: Timestamp) -> Result<(), Failure> {
        self.record(Record::Phase { case: self.order.case.clone(), phase, at })
    }

    fn keep_isolation(&self, isolation: Isolation, seen: &mut Seen) -> Result<(), Failure> {
        // A second look that saw the same is the first one's record.
        if self.facts().isolation.as_ref() == Some(&isolation) {
            seen.isolation = Some(isolation);
            return Ok(());
        }
        seen.isolation = Some(isolation.clone());
        self.record(Record::Isolation { case: self.order.case.clone(), isolation })
    }

    fn record(&self, record: Record) -> Result<(), Failure> {
        self.context.journal.record(&self.order.drill, record)
    }

    fn facts(&self) -> crate::restore::steps::CaseFacts {
        self.context.journal.case(&self.order.drill, &self.order.case)
    }
}
