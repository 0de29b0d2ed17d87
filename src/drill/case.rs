//! One case: manifest, restore, comparison, SQL checks, teardown; then, with the others of its resource, verdict and record. Its errors
//! never stop the others.
//!
//! What is journalled as concluded is neither restored nor read again; what is in the log is not written again.

use std::collections::BTreeMap;

use crate::drill::bring_back::{BringBack, InPhase, Seen};
use crate::drill::context::Context;
use crate::drill::manifests::{self, Chosen};
use crate::drill::sink::Sink;
use crate::drill::{first_restore, live, objectives, outcome, reading, record};
use crate::estate::config::{Authentication, Class, Resource, WhenNoManifest};
use crate::model::check::CheckResult;
use crate::model::clock::Timestamp;
use crate::model::failure::{Failure, FailureKind};
use crate::model::not_compared::{AS_FILES, CHECKS};
use crate::model::outcome::Outcome;
use crate::model::recovery_point::RecoveryPoint;
use crate::model::source_url::SourceUrl;
use crate::monitor::{Event, Monitor};
use crate::restore::driver::{Driver, Opened};
use crate::restore::drivers::choose::driver_by;
use crate::restore::order::{Order, reading_state};
use crate::restore::records::{DrillOpened, Phase, Record, TargetKind};
use crate::restore::teardown::Undoing;
use crate::testing_log::body::{ClassPolicy, PlannedCase};
use crate::testing_log::entry::Body;
use crate::testing_log::point_result::{PointResult, Teardown};
use crate::testing_log::restore_facts::ChecklistLine;
use crate::testing_log::verify::{corroborated, rpo, second, unchecked, undemanded};
use crate::verify::sql::checks::demands::CheckDemands;
use crate::verify::sql::definitions::kinds::{DEFAULT, Definitions};

/// One case of a drill.
pub struct Case<'a> {
    /// The drill's context.
    pub context: &'a Context,
    /// The drill.
    pub drill: &'a DrillOpened,
    /// As planned.
    pub planned: &'a PlannedCase,
    /// As listed.
    pub point: &'a RecoveryPoint,
    /// Its resource.
    pub resource: &'a Resource,
    /// Its class.
    pub class: &'a Class,
    /// The demands on it.
    pub policy: &'a ClassPolicy,
    /// Its result, where it is in the log already.
    pub recorded: Option<&'a PointResult>,
    /// How long the restore may take.
    pub patience_s: u64,
    /// How long each deletion may take.
    pub teardown_patience_s: u64,
}

/// Encoding and collation of the database that a manifest is of, where it notes them.
fn default_of(chosen: &Chosen) -> BTreeMap<String, String> {
    let position = chosen.manifest.header().position.as_ref();
    let definitions = position.map(|position| Definitions::of_value(&position["definitions"]));
    definitions.and_then(|definitions| definitions.of_kind(DEFAULT).cloned()).unwrap_or_default()
}

/// Of a class that is judged by SQL checks alone, where none of them is for what was restored.
const NOTHING_EXAMINED: &str = "nothing was examined: there is no manifest, and no SQL check of the class was run on what was restored";

/// What a point is judged by.
enum Basis {
    Manifest(Box<Chosen>),
    FirstRestore,
    Invariants,
}

/// A case that has been tried, and is not in the log before all cases of its resource have: its RPO rests on theirs.
#[derive(Debug)]
pub struct Tried {
    /// As far as the case itself goes: without RPO, outcome and teardown, unless it is in the log already.
    pub result: PointResult,
    /// What became of what it created; nothing where the result is in the log already.
    teardown: Option<Teardown>,
}

impl Case<'_> {
    /// Tries the point, or goes on with it, and takes down what it created.
    ///
    /// # Errors
    /// [`FailureKind::Interrupted`] when a stop was asked for; else only where the journal or the log cannot be written.
    pub async fn run(&self) -> Result<Tried, Failure> {
        let (drill, case) = (&self.drill.drill, &self.planned.case);
        let journal = &self.context.journal;
        if let Some(result) = self.recorded {
            let drill_is_open = journal.drill(drill).is_some_and(|facts| !facts.closed);
            if drill_is_open && !journal.case(drill, case).closed {
                self.record(Record::CaseOpened { case: case.clone() })?;
                self.record(Record::CaseClosed { case: case.clone() })?;
            }
            return Ok(Tried { result: result.clone(), teardown: None });
        }
        self.record(Record::CaseOpened { case: case.clone() })?;
        let result = match journal.case(drill, case).result {
            Some(concluded) => serde_json::from_value(concluded).map_err(|error| {
                Failure::new(FailureKind::BadEvidence, format!("journal: the result of {case} cannot be read: {error}")).caused_by(error)
            })?,
            None => self.conclude().await?,
        };
        let context = self.context;
        let mut undoing = Undoing::new(journal, &context.clouds, &context.work, self.drill, context.monitor.as_ref());
        undoing.patience_s = self.teardown_patience_s;
        let teardown = undoing.undo(case).await?;
        if teardown.leftover_count == 0 {
            self.phase(Phase::TornDown, Timestamp::now())?;
        }
        Ok(Tried { result, teardown: Some(teardown) })
    }

    /// Gives a tried case its RPO and its verdict and writes them into the log; `points` are all listed points of its resource, whose ages
    /// are counted from `reference`.
    pub fn settle(&self, tried: Tried, reference: rpo::Reference, points: &[rpo::Point]) -> Result<PointResult, Failure> {
        let Tried { mut result, teardown: Some(teardown) } = tried else { return Ok(tried.result) };
        result.rpo = rpo::achieved(self.policy.rpo_s, reference, points);
        result.rpo.basis += &corroborated::stated(&result);
        outcome::decide(&mut result, self.policy);
        if result.outcome == Outcome::Inconclusive && result.verify.is_none() {
            self.explain_basis(&mut result);
        }
        result.teardown = teardown;
        self.tell_leftovers(&mut result);
        self.context.ledger.append(&self.drill.drill, Body::PointResult(Box::new(result.clone())))?;
        self.record(Record::CaseClosed { case: self.planned.case.clone() })?;
        Ok(result)
    }

    /// Restores and reads; what was seen is in the journal when this returns.
    async fn conclude(&self) -> Result<PointResult, Failure> {
        let mut result = self.blank();
        if let Some(reason) = self.examine(&mut result).await? {
            (result.outcome, result.outcome_reasons) = (Outcome::Untested, vec![reason]);
        }
        let facts = self.context.journal.case(&self.drill.drill, &self.planned.case);
        let at = |phase: Phase| facts.phases.get(&phase).copied();
        result.rto = match self.driver().is_none_or(Driver::restores) {
            true => objectives::rto(self.policy.rto_s, at(Phase::Requested), at(Phase::Verified)),
            false => objectives::no_rto(self.policy.rto_s),
        };
        let value = serde_json::to_value(&result)
            .map_err(|error| Failure::invalid(format!("result of {}: {error}", self.planned.case)).caused_by(error))?;
        self.record(Record::Concluded { case: self.planned.case.clone(), result: value })?;
        Ok(result)
    }

    /// Everything up to the verdict; gives the reason where the point is not tested at all.
    async fn examine(&self, result: &mut PointResult) -> Result<Option<String>, Failure> {
        let basis = match self.basis() {
            Ok(Some(basis)) => basis,
            Ok(None) => return Ok(Some("untested: no manifest fits the point, and its class wants none restored without".into())),
            Err(failure) => {
                self.absorb(result, "manifest", failure)?;
                return Ok(None);
            }
        };
        let Some(driver) = self.driver() else {
            return Ok(Some(format!("untested: driver_absent: no driver restores {} from {}", self.point.kind, self.point.from)));
        };
        let order = self.order(driver.target_kind(), &basis);
        let mut seen = Seen::default();
        let patience_s = driver.longest_s().map_or(self.patience_s, |longest| longest.min(self.patience_s));
        let bringing = BringBack { context: self.context, order: &order, driver, patience_s };
        let opened = bringing.run(&mut seen).await;
        result.isolation = seen.isolation.take();
        match opened {
            Ok(opened) => {
                let opened = match &basis {
                    Basis::Manifest(chosen) => reading::as_of(opened, chosen.manifest.header().kind),
                    _ => opened,
                };
                let mut read = self.read(result, &basis, &opened).await;
                if let Err((phase, failure)) = read {
                    read = Err((phase, bringing.what_became(failure).await));
                }
                if read.is_ok() {
                    seen.isolation = result.isolation.take();
                    read = bringing.look_again(&mut seen).await;
                    result.isolation = seen.isolation.take();
                }
                if matches!(basis, Basis::FirstRestore) {
                    read = self.keep_or_drop(read);
                }
                self.restore_facts(result, driver, &order, &seen)?;
                self.witness(result, &opened);
                if let Err((phase, failure)) = read {
                    self.absorb(result, phase, failure)?;
                }
            }
            Err((phase, failure)) => {
                self.restore_facts(result, driver, &order, &seen)?;
                self.absorb(result, phase, failure)?;
            }
        }
        Ok(None)
    }

    /// What the data itself says of the second that was asked for, and what was demanded of the session that read it.
    fn witness(&self, result: &mut PointResult, opened: &Opened) {
        if opened.proof.is_some()
            && let Some(isolation) = &mut result.isolation
        {
            // A comparison was made only where the session's demands held.
            if result.verify.is_some() && self.resource.tls_ca.is_some() {
                isolation.probes.push(undemanded::certified());
            }
            isolation.undemanded = undemanded::of_instance(&isolation.probes, self.resource.tls_ca.is_none());
        }
        let shown = second::shown(result, Some(self.policy)).map(|second| second.is_shown());
        if let Some(restore) = &mut result.restore {
            restore.second_shown = shown;
        }
    }

    async fn read(&self, result: &mut PointResult, basis: &Basis, opened: &Opened) -> InPhase<()> {
        let context = self.context;
        let begun = Timestamp::now();
        if let (Some(why), Basis::FirstRestore | Basis::Invariants) = (&opened.unreadable, basis) {
            return Err(("restore", Failure::new(FailureKind::Remote, format!("the backup cannot be read: {why}"))));
        }
        reading::prove(opened, self.resource, self.patience_s, context.monitor.as_ref()).await.map_err(|failure| ("guard", failure))?;
        // A database's comparison has its own evidence of what may have changed: the change stamps.
        let undecided = matches!(basis, Basis::Manifest(chosen) if chosen.downgraded) && !reading::is_database(opened);
        let (case, resource) = (&self.planned.case, &self.resource.id);
        let sink = Sink::new(context.monitor.clone(), case, resource, undecided, &context.hash_key).map_err(|f| ("verify", f))?;
        let sink = called_as_in_manifest(sink, basis, opened);
        let mut demands = CheckDemands { of_a_restore: matches!(basis, Basis::FirstRestore), ..CheckDemands::default() };
        let packs = context.packs.get(&self.resource.class).map(Vec::as_slice).unwrap_or_default();
        let items_table = reading::items_table(opened, self.resource, &context.clouds, packs).await;
        let mut items_table = items_table.map_err(|failure| ("checks", failure))?;
        match basis {
            Basis::Manifest(chosen) => {
                demands = CheckDemands::of_manifest(chosen.manifest.header());
                let compared = reading::compare(
                    opened,
                    self.resource,
                    &context.clouds,
                    (chosen, &context.hash_key, &reading_state(&context.work, case), self.patience_s),
                    self.point,
                    items_table.as_mut(),
                    &sink,
                )
                .await;
                let mut verification = compared.map_err(|failure| ("verify", failure))?;
                if let Some(failure) = verification.cut_short.take_if(|failure| failure.kind == FailureKind::Interrupted) {
                    return Err(("verify", failure));
                }
                if verification.expired > 0 {
                    let n = verification.expired;
                    context.note(&format!("{case}: {n} items were gone after the end of their time to live, which is no loss"));
                }
                for said in &verification.left_out {
                    context.note(&format!("{case}: left out: {said}"));
                }
                self.keep_comparison(result, (chosen, undecided), &verification, sink, begun).map_err(|failure| ("verify", failure))?;
                if let Some(failure) = verification.cut_short.take() {
                    return Err(("verify", failure));
                }
            }
            Basis::FirstRestore => {
                let taken = first_restore::take(context, case, self.resource, &self.point.id, opened, &sink).await;
                taken.map_err(|failure| ("restore", failure))?;
            }
            Basis::Invariants => {}
        }
        if let (Some(table), false) = (&mut items_table, matches!(basis, Basis::Manifest(_))) {
            let filled = reading::fill(opened, &context.clouds, table, &context.hash_key, context.monitor.as_ref()).await;
            filled.map_err(|failure| ("checks", failure))?;
        }
        let monitor: &dyn Monitor = context.monitor.as_ref();
        // A point in time promises its second; a snapshot's time is that of the call, and its data may be a little younger.
        let written_until = self.point.is_in_time().then_some(self.point.created_at);
        let hash_key = Some(context.hash_key.clone());
        let demands = CheckDemands { written_until, hash_key, ..demands };
        let checked = reading::check(opened, self.resource, &context.clouds, packs, demands, items_table, monitor).await;
        result.sql_checks = checked.map_err(|failure| ("checks", failure))?;
        // A time to the end of a reading that did not reach its end would be no recovery time.
        if result.verify.as_ref().is_none_or(|facts| facts.unread.is_empty()) {
            self.phase(Phase::Verified, Timestamp::now()).map_err(|failure| ("verify", failure))?;
        }
        // What the running source takes to answer, or not to, is no time of the restore.
        if let Basis::Manifest(chosen) = basis {
            let stamps = live::stamps((opened, self.resource, &context.clouds), &chosen.manifest, self.point, monitor).await;
            result.verify.iter_mut().for_each(|facts| facts.source_stamps = stamps);
        }
        Ok(())
    }

    /// The baseline of a first restore counts once everything was read and the last look at what was restored held.
    fn keep_or_drop(&self, read: InPhase<()>) -> InPhase<()> {
        let case = &self.planned.case;
        match &read {
            Ok(()) => first_restore::register(self.context, (&self.drill.drill, case), self.resource, &self.point.id),
            // A run that goes on finds what it has taken.
            Err((_, failure)) if failure.kind == FailureKind::Interrupted => Ok(()),
            Err(_) => first_restore::drop_unregistered(self.resource, case),
        }
        .map_err(|failure| ("verify", failure))?;
        read
    }

    fn keep_comparison(
        &self,
        result: &mut PointResult,
        (chosen, undecided): (&Chosen, bool),
        verification: &crate::model::verification::Verification,
        sink: Sink,
        begun: Timestamp,
    ) -> Result<(), Failure> {
        let after = |span: std::time::Duration| Timestamp(begun.0 + i64::try_from(span.as_millis()).unwrap_or(i64::MAX / 2000) * 1000);
        if let Some(first) = verification.first_read_after {
            self.phase(Phase::FirstRead, after(first))?;
        }
        if verification.cut_short.is_none() {
            self.phase(Phase::FullyRead, Timestamp::now())?;
        }
        let mut found = sink.finish()?;
        let full = found.lines.take().map(|lines| self.context.ledger.evidence_file(lines)).transpose()?;
        let mut facts = record::verify_facts((chosen, undecided), verification, &found, full);
        if unchecked::is_unchecked(&facts, &self.resource.source, self.policy) {
            facts.not_compared.insert(CHECKS.to_owned(), AS_FILES.to_owned());
        }
        result.verify = Some(facts);
        Ok(())
    }

    /// What the point is judged by; nothing where it is not to be restored.
    fn basis(&self) -> Result<Option<Basis>, Failure> {
        let entries = manifests::before_commitment(&self.context.entries, &self.drill.drill);
        let chosen = manifests::choose(entries, self.resource, &self.point.id, self.point.created_at, &self.context.verifying_key)?;
        Ok(match (chosen, self.class.when_no_manifest) {
            (Some(chosen), _) => Some(Basis::Manifest(Box::new(chosen))),
            (None, WhenNoManifest::FirstRestore) => Some(Basis::FirstRestore),
            (None, WhenNoManifest::Invariants) => Some(Basis::Invariants),
            (None, WhenNoManifest::Untested) => None,
        })
    }

    /// Without a manifest there is no pass; the words say what was done instead.
    fn explain_basis(&self, result: &mut PointResult) {
        let words = match self.class.when_no_manifest {
            WhenNoManifest::FirstRestore => {
                "first restore: its state is the baseline of this point from now on, and was compared with nothing"
            }
            WhenNoManifest::Invariants if !result.sql_checks.iter().any(CheckResult::counts) => NOTHING_EXAMINED,
            WhenNoManifest::Invariants => "invariants only: SQL checks alone show plausibility, not that the data is what it was",
            WhenNoManifest::Untested => return,
        };
        result.outcome_reasons.insert(0, words.to_owned());
    }

    /// What brings the point back, by the policy of its class.
    fn driver(&self) -> Option<&'static dyn Driver> {
        driver_by(self.class.access, self.point, &self.resource.source)
    }

    fn order(&self, kind: TargetKind, basis: &Basis) -> Order {
        let config = self.context.config();
        // Derived and not drawn, so that a resumed case knows it; known only to who holds the hash key.
        let secret = self.context.hash_key.derive(&format!("attestore drill password v1 {} {}", self.drill.nonce, self.planned.case));
        Order {
            drill: self.drill.drill.clone(),
            began_at: self.drill.began_for(kind),
            nonce: self.drill.nonce.clone(),
            case: self.planned.case.clone(),
            point: self.point.clone(),
            source: self.resource.source.clone(),
            database: self.resource.database.clone(),
            database_default: match basis {
                Basis::Manifest(chosen) => default_of(chosen),
                _ => BTreeMap::new(),
            },
            isolation: config.isolation.clone(),
            backup_role_arn: config.aws.as_ref().map(|aws| aws.backup_role_arn.clone()),
            work: self.context.work.clone(),
            // With characters of every class, for servers that demand them.
            password: format!("Aa1-{}", hex::encode(&secret[..16])),
            iam_user: self.resource.database_user.clone().filter(|_| self.resource.authentication == Authentication::Iam),
        }
    }

    fn blank(&self) -> PointResult {
        PointResult {
            drill_id: self.drill.drill.clone(),
            case: self.planned.case.clone(),
            resource: self.resource.id.clone(),
            application: self.resource.application.clone(),
            class: self.planned.class.clone(),
            rp: record::point_facts(self.point),
            isolation: None,
            restore: None,
            rto: objectives::rto(self.policy.rto_s, None, None),
            rpo: rpo::achieved(self.policy.rpo_s, rpo::Reference { at: self.drill.began_at, service_ahead_ms: None }, &[]),
            verify: None,
            sql_checks: Vec::new(),
            teardown: Teardown { resources: Vec::new(), leftover_count: 0 },
            errors: Vec::new(),
            outcome: Outcome::Inconclusive,
            outcome_reasons: Vec::new(),
        }
    }

    fn restore_facts(&self, result: &mut PointResult, driver: &dyn Driver, order: &Order, seen: &Seen) -> Result<(), Failure> {
        self.tell_checklist(&record::checklist(seen.raw.as_ref()));
        let digest = match &seen.raw {
            Some(raw) => Some(self.context.ledger.evidence(raw.to_string().as_bytes())?),
            None => None,
        };
        let facts = self.context.journal.case(&self.drill.drill, &self.planned.case);
        let target = order.target(driver.target_kind()).name;
        result.restore = record::restore_facts(driver.mechanism(), &target, &seen.status, (digest, seen.raw.as_ref()), &facts);
        Ok(())
    }

    /// What a restore of a table leaves behind is no corruption: it is told to whoever watches, is in the entry, and its values lie in the evidence.
    fn tell_checklist(&self, checklist: &[ChecklistLine]) {
        let lost: Vec<&str> = checklist.iter().filter(|line| line.state == "lost").map(|line| line.setting.as_str()).collect();
        if !lost.is_empty() {
            self.context.note(&format!("{}: set again after a recovery: {}", self.planned.case, lost.join(", ")));
        }
    }

    /// An error of this case; a stop is not one.
    fn absorb(&self, result: &mut PointResult, phase: &str, failure: Failure) -> Result<(), Failure> {
        if failure.kind == FailureKind::Interrupted {
            return Err(failure);
        }
        let message = format!("{}: {}", self.planned.case, failure.message);
        let named = Failure { message, hint: failure.hint.clone(), ..Failure::new(failure.kind, "") };
        self.context.monitor.event(Event::Problem(&named));
        result.errors.push(record::case_error(phase, &failure));
        Ok(())
    }

    fn tell_leftovers(&self, result: &mut PointResult) {
        for resource in &result.teardown.resources {
            if resource.state != crate::testing_log::point_result::Presence::Gone {
                let failure = Failure::new(FailureKind::Remote, format!("{} is left behind: {}", resource.arn, resource.confirmed_by));
                result.errors.push(record::case_error("teardown", &failure));
            }
        }
    }

    fn phase(&self, phase: Phase, at: Timestamp) -> Result<(), Failure> {
        self.record(Record::Phase { case: self.planned.case.clone(), phase, at })
    }

    fn record(&self, record: Record) -> Result<(), Failure> {
        self.context.journal.record(&self.drill.drill, record)
    }
}

/// A restored table has a name of the drill's: what is found in it is told under the name that the manifest knows.
fn called_as_in_manifest(sink: Sink, basis: &Basis, opened: &Opened) -> Sink {
    match (basis, &opened.url) {
        (Basis::Manifest(chosen), SourceUrl::Dynamodb { table }) => {
            let source = &chosen.manifest.header().source;
            sink.renaming(table, source.strip_prefix("dynamodb:").unwrap_or(source))
        }
        _ => sink,
    }
}
