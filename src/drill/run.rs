//! The whole drill: open, commit, draw, run the cases, close. Safe to kill at any moment and to go on with.

use std::collections::BTreeMap;

use futures_util::StreamExt;

use crate::drill::abandon;
use crate::drill::case::{Case, Tried};
use crate::drill::context::{Context, Setup};
use crate::drill::draw::{self, Drawn};
use crate::drill::{reading, standing};
use crate::estate::policy;
use crate::model::clock::Timestamp;
use crate::model::digest::Digest32;
use crate::model::failure::{Failure, FailureKind};
use crate::model::ids::{DrillId, PointId, ResourceId};
use crate::model::outcome::Outcome;
use crate::model::recovery_point::RecoveryPoint;
use crate::monitor::Event;
use crate::restore::order;
use crate::restore::records::{DrillOpened, Record};
use crate::restore::steps::DrillFacts;
use crate::restore::teardown::PATIENCE_S;
use crate::testing_log::body::{DrillClosed, Excluded, PlannedCase, Trigger};
use crate::testing_log::entry::Body;
use crate::testing_log::point_result::PointResult;
use crate::testing_log::verify::reference::DEADLINE_S;
use crate::testing_log::verify::rpo;
use crate::testing_log::{drill_outcome, sample};

/// A clock that is further off than this is told: it shows in the times of the log and in every age.
const CLOCK_WORTH_TELLING_MS: i64 = 60_000;

/// How long one restore may take, where nothing else is asked for.
pub const CASE_PATIENCE_S: u64 = 12 * 3600;

/// How many cases run at once, where nothing else is asked for.
pub const AT_ONCE: usize = 2;

/// Whether a drill begins or goes on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Begin {
    /// A new drill.
    New,
    /// The unfinished drill, or the one of this id.
    Resume(Option<DrillId>),
    /// The unfinished drill where there is one, else a new one.
    Either,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// New or resumed.
    pub begin: Begin,
    /// Why it is held.
    pub trigger: Trigger,
    /// For people.
    pub title: Option<String>,
    /// Cases at once.
    pub at_once: usize,
    /// How long one restore may take.
    pub case_patience_s: u64,
    /// How long one deletion may take.
    pub teardown_patience_s: u64,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            begin: Begin::New,
            trigger: Trigger::Manual,
            title: None,
            at_once: AT_ONCE,
            case_patience_s: CASE_PATIENCE_S,
            teardown_patience_s: PATIENCE_S,
        }
    }
}

/// A drill that is closed.
#[derive(Debug)]
pub struct Report {
    /// The drill.
    pub drill: DrillId,
    /// For people.
    pub title: String,
    /// Results in the order of the plan, as they are in the log.
    pub results: Vec<PointResult>,
    /// The totals, as they are in the log.
    pub closed: DrillClosed,
    /// What was left out, with reasons.
    pub excluded: Vec<Excluded>,
    /// Sources that could not be listed.
    pub failures: Vec<(ResourceId, Failure)>,
    /// Size of the log after its last checkpoint.
    pub log_size: u64,
    /// Root of the log at its last checkpoint.
    pub log_root: Digest32,
}

/// Runs a drill from the beginning, or goes on with an unfinished one.
///
/// # Errors
/// [`FailureKind::Interrupted`] when a stop was asked for, or when an unfinished drill stands in the way of a new one.
pub async fn run(setup: Setup, request: &Request) -> Result<Report, Failure> {
    reading::check_credentials(&setup.loaded.config)?;
    let context = Context::open(setup).await?;
    let (drill, closed) = begin(&context, request)?;
    if closed {
        context.note(&format!("drill {} is closed already; this is its result", drill.drill));
    }
    // What a killed process left a moment ago may still look young; it goes at the end, then.
    standing::clear_unfinished(&context);
    match hold(&context, &drill, request).await {
        Ok(report) => {
            standing::clear_unfinished(&context);
            Ok(report)
        }
        Err(failure) => Err(standing::told(&context, &drill.drill, how_to_resume(failure, &drill.drill)).await),
    }
}

async fn hold(context: &Context, drill: &DrillOpened, request: &Request) -> Result<Report, Failure> {
    let drawn = draw::ensure(context, drill).await?;
    let cases = drawn.plan.cases.len();
    context.note(&format!("drill {}: {} points in the population, {cases} cases", drill.drill, drawn.population.population.len()));
    let results = run_cases(context, drill, &drawn, request).await?;
    close(context, drill, drawn, results)
}

/// The drill, and whether it is closed already: going on with a finished drill gives its result again, so that a script that was
/// killed at the very last step ends as it would have.
fn begin(context: &Context, request: &Request) -> Result<(DrillOpened, bool), Failure> {
    let state = context.journal.state();
    let unfinished = state.unfinished();
    if let (true, Begin::New | Begin::Either, Some((id, _))) = (unfinished.is_empty(), &request.begin, abandon::strangers(context)?.first())
    {
        let what = format!("drill {id} of the testing log is not finished, and {} knows nothing of it", context.journal.path().display());
        return Err(Failure::new(FailureKind::Interrupted, what).hint(format!(
            "put the journal that it was held with back and go on with --resume; where that is lost, end it: `attestore drill --abandon {id}`"
        )));
    }
    match &request.begin {
        Begin::Either if unfinished.is_empty() => Ok((open(context, request)?, false)),
        Begin::New => match unfinished.first() {
            None => Ok((open(context, request)?, false)),
            Some(drill) => {
                let id = &drill.opened.drill;
                Err(Failure::new(FailureKind::Interrupted, format!("drill {id} is not finished"))
                    .hint(format!("go on with it: `attestore drill --resume {id}`")))
            }
        },
        Begin::Resume(_) | Begin::Either => {
            let wanted = match &request.begin {
                Begin::Resume(wanted) => wanted.clone(),
                _ => None,
            };
            let is_wanted = |drill: &&DrillFacts| wanted.as_ref().is_none_or(|wanted| drill.opened.drill == *wanted);
            let open = unfinished.into_iter().find(is_wanted);
            let drill = open.or_else(|| state.drills.values().rev().find(is_wanted)).ok_or_else(|| {
                let named = wanted.as_ref().map_or_else(|| "no drill".to_owned(), |id| format!("no drill {id}"));
                Failure::invalid(format!("{named} is in {}", context.journal.path().display()))
                    .hint("begin one with `attestore drill`; the journal lies beside the configuration")
            })?;
            if drill.closed {
                let id = &drill.opened.drill;
                if context.entries.iter().any(|entry| matches!(&entry.body, Body::DrillAborted(body) if body.drill_id == *id)) {
                    return Err(Failure::new(FailureKind::Interrupted, format!("drill {id} was given up, and cannot be gone on with"))
                        .hint("begin another with `attestore drill`; what the log says of this one stays"));
                }
                return Ok((drill.opened.clone(), true));
            }
            if drill.opened.config != context.loaded.digest {
                let (was, is) = (drill.opened.config, context.loaded.digest);
                return Err(Failure::invalid(format!("drill {} began under configuration {was}, found {is}", drill.opened.drill)).hint(
                    "put that configuration back to finish the drill (its bytes are in the log's evidence), or give it up with --abandon",
                ));
            }
            Ok((drill.opened.clone(), false))
        }
    }
}

fn open(context: &Context, request: &Request) -> Result<DrillOpened, Failure> {
    let began_at = Timestamp::now();
    let nonce = order::nonce()?;
    let stamp = began_at.to_chrono().format("%Y%m%d-%H%M%S");
    let drill = DrillId(format!("d{stamp}-{}", &nonce[..4]));
    let populations = context.entries.iter().filter(|entry| matches!(entry.body, Body::PopulationCommitted(_))).count() as u64;
    let opened = DrillOpened {
        seq: populations + 1,
        began_at,
        service_ahead_ms: context.service_ahead_ms,
        deadline_at: began_at.plus_secs(DEADLINE_S),
        title: request.title.clone().unwrap_or_else(|| format!("Restore drill {}", populations + 1)),
        trigger: request.trigger,
        config: context.loaded.digest,
        nonce,
        drill: drill.clone(),
    };
    if let Some(ahead_ms) = context.service_ahead_ms.filter(|ahead_ms| ahead_ms.abs() > CLOCK_WORTH_TELLING_MS) {
        let (seconds, word) = (ahead_ms.abs() / 1000, if ahead_ms < 0 { "ahead of" } else { "behind" });
        context.note(&format!(
            "the clock of this machine is {seconds} s {word} AWS's: times in the log are by this machine's, ages of what AWS dates by AWS's"
        ));
    }
    context.journal.record(&drill, Record::DrillOpened { drill: opened.clone() })?;
    Ok(opened)
}

async fn run_cases(context: &Context, drill: &DrillOpened, drawn: &Drawn, request: &Request) -> Result<Vec<PointResult>, Failure> {
    let catalogue = context.journal.drill(&drill.drill).and_then(|facts| facts.catalogue).unwrap_or_default();
    let points: BTreeMap<&PointId, &RecoveryPoint> = catalogue.iter().map(|point| (&point.id, point)).collect();
    let policies = draw::classes(context);
    let recorded = context.ledger.results_of(&drill.drill)?;
    let task = format!("drill {}", drill.drill);
    let case_of = |planned| {
        let planned: &PlannedCase = planned;
        let (resource, class) = context.resource(&planned.resource)?;
        let point = points.get(&planned.point).ok_or_else(|| {
            Failure::new(FailureKind::BadEvidence, format!("the journal does not know the recovery point {}", planned.point))
        })?;
        let policy = policies.get(&planned.class).ok_or_else(|| Failure::invalid(format!("there is no [class.{}]", planned.class)))?;
        let (patience_s, teardown_patience_s) = (request.case_patience_s, request.teardown_patience_s);
        let recorded = recorded.get(&planned.case);
        Ok(Case { context, drill, planned, point, resource, class, policy, recorded, patience_s, teardown_patience_s })
    };
    let cases: Vec<Case<'_>> = drawn.plan.cases.iter().map(case_of).collect::<Result<_, Failure>>()?;
    context.monitor.event(Event::Started { task: &task, unit: "cases", total: Some(cases.len() as u64) });
    let one = |(index, case)| {
        let (case, task): (&Case<'_>, &str) = (case, &task);
        async move {
            if context.monitor.stop_requested() {
                return Err(Failure::new(FailureKind::Interrupted, "stopped before the next case"));
            }
            let tried = case.run().await?;
            context.monitor.event(Event::Advanced { task, by: 1, bytes: 0 });
            Ok((index, tried))
        }
    };
    let mut running = futures_util::stream::iter(cases.iter().enumerate()).map(one).buffered(request.at_once.max(1));
    let mut open: BTreeMap<&ResourceId, Vec<(usize, Tried)>> = BTreeMap::new();
    let (mut results, mut stopped) = (BTreeMap::new(), None);
    while let Some(ended) = running.next().await {
        // The others go on to their own ends, and what they have shown is kept.
        let (index, tried): (usize, Tried) = match ended {
            Ok(tried) => tried,
            Err(failure) => {
                stopped = stopped.or(Some(failure));
                continue;
            }
        };
        let resource = &cases[index].planned.resource;
        let tried_of = open.entry(resource).or_default();
        tried_of.push((index, tried));
        // The achieved RPO of a resource is known only when all its cases are.
        if tried_of.len() == cases.iter().filter(|case| case.planned.resource == *resource).count() {
            let group = open.remove(resource).unwrap_or_default();
            settle(&cases, group, drawn, &mut results)?;
        }
    }
    context.monitor.event(Event::Finished { task: &task });
    match stopped {
        Some(failure) => Err(failure),
        None => Ok(results.into_values().collect()),
    }
}

/// Writes the results of all cases of one resource.
fn settle(
    cases: &[Case<'_>],
    group: Vec<(usize, Tried)>,
    drawn: &Drawn,
    results: &mut BTreeMap<usize, PointResult>,
) -> Result<(), Failure> {
    let Some(resource) = group.first().map(|(index, _)| &cases[*index].planned.resource) else { return Ok(()) };
    let shown = group.iter().map(|(index, tried)| (&cases[*index].planned.point, (&tried.result, Some(cases[*index].policy))));
    let listed = drawn.population.population.iter().filter(|item| item.resource == *resource);
    let points = rpo::points(listed, &shown.collect());
    // As it was committed: the log is verified by that.
    let service_ahead_ms = drawn.population.service_ahead_ms;
    for (index, tried) in group {
        let reference = rpo::Reference { at: cases[index].drill.began_at, service_ahead_ms };
        results.insert(index, cases[index].settle(tried, reference, &points)?);
    }
    Ok(())
}

fn close(context: &Context, drill: &DrillOpened, drawn: Drawn, results: Vec<PointResult>) -> Result<Report, Failure> {
    let already = context.ledger.entries()?.into_iter().find_map(|entry| match entry.body {
        Body::DrillClosed(closed) if closed.drill_id == drill.drill => Some(closed),
        _ => None,
    });
    let closed = match already {
        Some(closed) => closed,
        None => {
            let closed = totals(context, drill, &drawn, &results);
            context.ledger.append(&drill.drill, Body::DrillClosed(closed.clone()))?;
            closed
        }
    };
    let checkpoint = context.ledger.checkpoint()?;
    if context.journal.drill(&drill.drill).is_some_and(|facts| !facts.closed) {
        context.journal.record(&drill.drill, Record::DrillClosed {})?;
    }
    Ok(Report {
        drill: drill.drill.clone(),
        title: drill.title.clone(),
        results,
        closed,
        excluded: drawn.population.excluded,
        failures: drawn.failures,
        log_size: checkpoint.size,
        log_root: checkpoint.root,
    })
}

fn totals(context: &Context, drill: &DrillOpened, drawn: &Drawn, results: &[PointResult]) -> DrillClosed {
    let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
    for result in results {
        *outcomes.entry(result.outcome.as_str().to_owned()).or_default() += 1;
    }
    let of: BTreeMap<&PointId, Outcome> = results.iter().map(|result| (&result.rp.id, result.outcome)).collect();
    let population = &drawn.population;
    let confidences = policy::confidences(&context.config().class);
    let selected = &drawn.plan.sample.selected;
    DrillClosed {
        drill_id: drill.drill.clone(),
        drill_seq: drill.seq,
        planned: drawn.plan.cases.len() as u64,
        outcomes,
        leftover_count: results.iter().map(|result| result.teardown.leftover_count).sum(),
        inference: sample::inference(&population.population, &population.strata, selected, &confidences, &|id| of.get(id).copied()),
        outcome: drill_outcome::of(&drawn.plan, population, results.iter().map(|result| result.outcome)),
    }
}

fn how_to_resume(failure: Failure, drill: &DrillId) -> Failure {
    if failure.kind == FailureKind::Interrupted && failure.hint.is_none() {
        return failure
            .hint(format!("nothing is lost: `attestore drill --resume {drill}` goes on, and what was restored stands until then"));
    }
    failure
}
