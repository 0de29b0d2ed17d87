//! Population, draw and plan: committed, sealed, and only then drawn. Each entry is written once, whatever a resume finds.

use std::collections::BTreeMap;

use crate::drill::context::Context;
use crate::estate::catalogue::{Catalogue, Sources, catalogue};
use crate::estate::policy;
use crate::model::canonical_json::NotCanonical;
use crate::model::digest::Sha256Digest;
use crate::model::failure::{Failure, FailureKind};
use crate::model::ids::{CaseId, DrillId, PointId, ResourceId};
use crate::monitor::{Event, Monitor};
use crate::restore::drivers::choose::driver_for;
use crate::restore::order::Clouds;
use crate::restore::pace::unless_stopped;
use crate::restore::records::{DrillOpened, Record};
use crate::testing_log::body::{
    ClassPolicy, DrillPlanned, DrillStarted, PlannedCase, PolicySet, PopulationCommitted, PopulationItem, Sample, Selected, Strength,
};
use crate::testing_log::check_list::CheckList;
use crate::testing_log::entry::{Body, Entry};
use crate::testing_log::packs::Packs;
use crate::testing_log::result_version::RESULT_VERSION;
use crate::testing_log::sample;
use crate::verify::sql::checks::pack::Pack;

/// A drill as drawn.
pub struct Drawn {
    /// The population as committed.
    pub population: PopulationCommitted,
    /// The plan.
    pub plan: DrillPlanned,
    /// Sources that could not be listed in this run.
    pub failures: Vec<(ResourceId, Failure)>,
}

/// Lists every source; what `plan` shows and `drill` commits.
///
/// # Errors
/// [`FailureKind::Interrupted`] when a stop was asked for: half a listing is none.
pub async fn list(context: &ListContext<'_>) -> Result<Catalogue, Failure> {
    let named = policy::named_points(context.entries);
    let has_driver = |kind, from| driver_for(kind, from).is_some();
    // Without a session every source in AWS is a listing that failed, and is recorded as one.
    let session = context.clouds.vault_session(None).ok();
    let sources = Sources { session: session.as_ref(), has_driver: &has_driver, named: &named };
    let listed = unless_stopped(context.monitor, "what there is", catalogue(context.config, &sources)).await?;
    listed.unknown.iter().for_each(|failure| context.monitor.event(Event::Problem(failure)));
    Ok(listed)
}

/// What listing needs of a context.
pub struct ListContext<'a> {
    /// The configuration.
    pub config: &'a crate::estate::config::Config,
    /// AWS.
    pub clouds: &'a Clouds,
    /// The verified entries of the log.
    pub entries: &'a [Entry],
    /// Who may ask to stop.
    pub monitor: &'a dyn Monitor,
}

/// Brings the drill to the point where its cases may begin.
pub async fn ensure(context: &Context, drill: &DrillOpened) -> Result<Drawn, Failure> {
    let ledger = &context.ledger;
    if let Written { population: Some((_, population)), plan: Some((_, plan)), started: true } = find(&ledger.entries()?, &drill.drill) {
        same_checks(context, drill, &plan)?;
        return Ok(Drawn { population, plan, failures: Vec::new() });
    }
    let policy_leaf = ensure_policy(context, &drill.drill)?;
    let mut failures = Vec::new();
    if find(&ledger.entries()?, &drill.drill).population.is_none() {
        failures = commit(context, drill).await?;
    }
    // A crash may have come between the entry and its seal.
    let written = find(&ledger.entries()?, &drill.drill);
    let (population_leaf, population) = written.population.ok_or_else(|| lost(drill, "population"))?;
    if written.plan.is_none() {
        ledger.checkpoint()?;
        let plan = plan(context, drill, policy_leaf, &population, population_leaf);
        ledger.append(&drill.drill, Body::DrillPlanned(plan))?;
    }
    let written = find(&ledger.entries()?, &drill.drill);
    let (planned_leaf, plan) = written.plan.ok_or_else(|| lost(drill, "plan"))?;
    same_checks(context, drill, &plan)?;
    if !written.started {
        ledger.checkpoint()?;
        ledger.append(&drill.drill, Body::DrillStarted(DrillStarted { drill_id: drill.drill.clone(), planned_leaf: planned_leaf.seq }))?;
    }
    Ok(Drawn { population, plan, failures })
}

/// Where an entry lies.
#[derive(Clone, Copy)]
struct Place {
    seq: u64,
    hash: crate::model::digest::Digest32,
}

#[derive(Default)]
struct Written {
    population: Option<(Place, PopulationCommitted)>,
    plan: Option<(Place, DrillPlanned)>,
    started: bool,
}

fn find(entries: &[Entry], drill: &DrillId) -> Written {
    let mut written = Written::default();
    for entry in entries {
        let place = Place { seq: entry.seq, hash: entry.hash };
        match &entry.body {
            Body::PopulationCommitted(body) if body.drill_id == *drill => written.population = Some((place, body.clone())),
            Body::DrillPlanned(body) if body.drill_id == *drill => written.plan = Some((place, body.clone())),
            Body::DrillStarted(body) if body.drill_id == *drill => written.started = true,
            _ => {}
        }
    }
    written
}

fn lost(drill: &DrillOpened, what: &str) -> Failure {
    Failure::new(FailureKind::BadEvidence, format!("the {what} of drill {} is not in the testing log", drill.drill))
}

/// `policy.set`, where the configuration or the checks are not those in force.
fn ensure_policy(context: &Context, drill: &DrillId) -> Result<u64, Failure> {
    let (packs, check_set) = packs(context)?;
    let kept = Some(Sha256Digest::of(&packs));
    let wanted = PolicySet { config: context.loaded.digest, classes: classes(context), check_set, packs: kept };
    let in_force = context.ledger.entries()?.into_iter().rev().find_map(|entry| match entry.body {
        Body::PolicySet(body) => Some((entry.seq, body)),
        _ => None,
    });
    if let Some((leaf, body)) = in_force
        && body == wanted
    {
        return Ok(leaf);
    }
    context.ledger.evidence(&context.loaded.bytes)?;
    context.ledger.evidence(&packs)?;
    Ok(context.ledger.append(drill, Body::PolicySet(wanted))?.index)
}

/// The demands of every class, the checks that its databases are held to among them.
pub fn classes(context: &Context) -> BTreeMap<String, ClassPolicy> {
    let mut classes = policy::class_policies(context.config());
    for (name, class) in &mut classes {
        let packs = context.packs.get(name).map(Vec::as_slice).unwrap_or_default();
        let mut ids: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for check in packs.iter().flat_map(|pack| &pack.checks) {
            for engine in &check.engines {
                ids.entry(engine).or_default().push(&check.id);
            }
        }
        class.checks = ids.into_iter().map(|(engine, ids)| (engine.to_owned(), CheckList::of(ids))).collect();
    }
    classes
}

/// That a drill which goes on runs the checks that its plan was made under: what it would record could not be verified.
fn same_checks(context: &Context, drill: &DrillOpened, plan: &DrillPlanned) -> Result<(), Failure> {
    let policy = context.entries.iter().find(|entry| entry.seq == plan.policy_leaf).map(|entry| &entry.body);
    let Some(Body::PolicySet(policy)) = policy.filter(|_| plan.promises_all()) else { return Ok(()) };
    let now = classes(context);
    match policy.classes.iter().find(|(name, class)| now.get(*name).is_none_or(|now| now.checks != class.checks)) {
        None if plan.keeps_checks() && policy.check_set != packs(context)?.1 => {
            Err(Failure::invalid(format!("drill {} began with other check files than are there now", drill.drill))
                .hint("put the check files back to finish the drill, or give it up with --abandon"))
        }
        None => Ok(()),
        Some((name, _)) => {
            Err(Failure::invalid(format!("drill {} began with other checks of class `{name}` than are there now", drill.drill))
                .hint("put the check files back to finish the drill, or give it up with --abandon"))
        }
    }
}

/// The checks in force with their files, as evidence, and the digest over them.
fn packs(context: &Context) -> Result<(Vec<u8>, Sha256Digest), Failure> {
    let mut packs = Packs::default();
    for (class, of_class) in &context.packs {
        let one = |pack: &Pack| pack.checks.iter().map(|check| (check.id.clone(), check.digest)).collect();
        packs.classes.insert(class.clone(), of_class.iter().map(one).collect());
        packs.files.extend(of_class.iter().flat_map(|pack| &pack.checks).map(|check| (check.digest, check.file.clone())));
    }
    let failed = |error: NotCanonical| Failure::invalid(format!("check set: {error}")).caused_by(error);
    Ok((packs.to_bytes().map_err(failed)?, packs.check_set().map_err(failed)?))
}

/// Catalogue, then `population.committed`.
async fn commit(context: &Context, drill: &DrillOpened) -> Result<Vec<(ResourceId, Failure)>, Failure> {
    let config = context.config();
    let monitor = context.monitor.as_ref();
    let listed = list(&ListContext { config, clouds: &context.clouds, entries: &context.entries, monitor }).await?;
    for (resource, failure) in &listed.failures {
        let named = Failure::new(failure.kind, format!("resource `{resource}` could not be listed: {failure}"));
        context.monitor.event(Event::Problem(&named));
    }
    context.journal.record(&drill.drill, Record::Catalogued { points: listed.eligible.clone() })?;
    let mut listings: BTreeMap<String, Sha256Digest> = BTreeMap::new();
    for (call, bytes) in &listed.listings {
        listings.insert(call.clone(), context.ledger.evidence(bytes)?);
    }
    let population = policy::population(config, &listed.eligible)?;
    let body = PopulationCommitted {
        drill_id: drill.drill.clone(),
        drill_seq: drill.seq,
        deadline_at: drill.deadline_at,
        service_ahead_ms: drill.service_ahead_ms,
        strata: policy::strata(&population, &config.class),
        targeted: policy::targeted(config, &population, &context.entries, drill.began_at),
        population,
        excluded: listed.excluded,
        beacon: sample::checkpoint_beacon(&context.ledger.last_checkpoint()),
        listings,
    };
    context.ledger.append(&drill.drill, Body::PopulationCommitted(body))?;
    context.ledger.checkpoint()?;
    Ok(listed.failures)
}

fn plan(context: &Context, drill: &DrillOpened, policy_leaf: u64, population: &PopulationCommitted, at: Place) -> DrillPlanned {
    let seed = sample::seed(&context.ledger.origin(), &at.hash, &population.beacon);
    let selected = sample::select(&seed, &population.population, &population.strata);
    DrillPlanned {
        drill_id: drill.drill.clone(),
        drill_seq: drill.seq,
        title: drill.title.clone(),
        trigger: drill.trigger,
        deadline_at: population.deadline_at,
        tool: crate::drill::context::tool(),
        result_version: Some(RESULT_VERSION),
        runner: context.runner.clone(),
        config: context.loaded.digest,
        policy_leaf,
        cases: cases(context, &drill.drill, population, &selected),
        sample: Sample {
            population_leaf: at.seq,
            population_leaf_hash: at.hash,
            method: sample::METHOD.to_owned(),
            seed,
            beacon: population.beacon.clone(),
            strength: Strength::Weaker,
            selected,
        },
    }
}

/// The drawn points, then the targeted ones that were not drawn; each once.
fn cases(context: &Context, drill: &DrillId, population: &PopulationCommitted, selected: &[Selected]) -> Vec<PlannedCase> {
    let items: BTreeMap<&PointId, &PopulationItem> = population.population.iter().map(|item| (&item.id, item)).collect();
    let mut points: Vec<&PointId> = selected.iter().map(|one| &one.id).collect();
    for targeted in &population.targeted {
        if !points.contains(&&targeted.id) {
            points.push(&targeted.id);
        }
    }
    let planned = points.into_iter().filter_map(|id| items.get(id)).enumerate();
    planned
        .map(|(index, item)| PlannedCase {
            case: CaseId::of(drill, index + 1),
            point: item.id.clone(),
            resource: item.resource.clone(),
            class: item.stratum.clone(),
            asks_source: context.resource(&item.resource).is_ok_and(|(resource, _)| resource.live.is_some()),
        })
        .collect()
}
