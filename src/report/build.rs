//! From verified entries to the report model: a pure function of the entries, the instant that counts as now, and the evidence at hand.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::clock::Timestamp;
use crate::model::exclusion;
use crate::model::failure::Failure;
use crate::model::finding::Class;
use crate::model::ids::DrillId;
use crate::model::outcome::Outcome;
use crate::report::case::{EvidenceOf, cases, gravity};
use crate::report::gather::{DrillStory, Story};
use crate::report::model::{
    CommandBlock, Difference, DrillReport, PolicyReport, ReportModel, SampleReport, Scope, Standing, StratumRow, Tally, TrailStep,
};
use crate::report::model_case::Case;
use crate::report::words::shell_word;
use crate::report::{controls, coverage, follow_up, pivot, verdict};
use crate::testing_log::body::{DrillPlanned, Excluded, PopulationCommitted, Stratum, Strength};
use crate::testing_log::entry::Entry;

/// What a report is made from. The entries have been verified before; nothing here verifies.
pub struct Input<'a> {
    /// Every entry of the log, in order.
    pub entries: &'a [Entry],
    /// What verifying them gave.
    pub standing: Standing,
    /// Commands of public tools that verify this log.
    pub commands: Vec<CommandBlock>,
    /// Evidence by digest.
    pub evidence: EvidenceOf<'a>,
}

/// Builds the model. `wanted` picks a drill; without it the newest is shown. The one failure: a drill that the log does not know.
pub fn build(input: &Input<'_>, as_of: Timestamp, wanted: Option<&DrillId>) -> Result<ReportModel, Failure> {
    // Entries after the checkpoint are under no signature yet, and what was written after "now" is not known yet.
    let left_out = |entry: &Entry| entry.seq >= input.standing.size || entry.at > as_of;
    let signed = input.entries.iter().position(left_out).unwrap_or(input.entries.len());
    let story = Story::gather(&input.entries[..signed]);
    let picked = story.pick(wanted);
    if let (Some(id), None) = (wanted, picked) {
        let known: Vec<&str> = story.drills.iter().map(|drill| drill.id.0.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(Failure::invalid(format!("the log has no drill `{id}`; expected one of its own drills, found: {known}"))
            .hint("leave --drill out to show the newest one"));
    }
    let drill = picked.map(|drill| drill_report(drill, &story, &input.standing, as_of, input.evidence));
    let completeness = coverage::completeness(&story, as_of, picked.map(|drill| drill.id));
    Ok(ReportModel {
        schema: "attestore/report/v1",
        as_of,
        verdict: verdict::verdict(drill.as_ref(), picked.and_then(|drill| coverage::outcome(drill, as_of))),
        coverage: coverage::ledger(&story, as_of),
        controls: controls::supported(drill.as_ref(), &completeness, &input.standing),
        limits: verdict::limits(drill.as_ref(), &input.standing),
        follow_up: follow_up::follow_up(&story, as_of, picked.map(|drill| drill.id)),
        commands: input.commands.clone(),
        standing: input.standing.clone(),
        completeness,
        drill,
    })
}

fn drill_report(drill: &DrillStory<'_>, story: &Story<'_>, standing: &Standing, as_of: Timestamp, evidence: EvidenceOf<'_>) -> DrillReport {
    let population = drill.population.map(|said| said.body);
    let planned = drill.planned.map(|said| said.body);
    let leaf = planned.map(|plan| plan.policy_leaf).or(drill.population.map(|said| said.leaf));
    let policy = leaf.and_then(|leaf| story.policy_at(leaf));
    let all = cases(drill, policy.map(|said| said.body), evidence);
    let differences = differences(&all);
    let scope = scope(population, planned, drill, &all);
    let in_order: Vec<&Case> = all.iter().collect();
    let (checks, probes) = (pivot::checks(&in_order), pivot::probes(&in_order));
    let (passes, mut exceptions): (Vec<Case>, Vec<Case>) = all.into_iter().partition(|case| case.outcome == Some(Outcome::Pass));
    exceptions.sort_by_key(|case| gravity(case.outcome));
    let leftover: u64 = drill.results.iter().map(|said| said.body.teardown.leftover_count).sum();
    let policy = policy.map(|said| PolicyReport {
        leaf: said.leaf,
        config: said.body.config,
        check_set: said.body.check_set,
        classes: said.body.classes.clone(),
    });
    DrillReport {
        id: drill.id.clone(),
        seq: drill.seq,
        title: planned.map_or_else(|| drill.id.0.clone(), |plan| plan.title.clone()),
        trigger: planned.map(|plan| plan.trigger),
        state: coverage::state(drill, as_of),
        abort_reason: drill.aborted.map(|said| said.body.reason.clone()),
        deadline_at: coverage::deadline(drill),
        trail: trail(drill),
        tool: planned.map(|plan| plan.tool.clone()),
        runner: planned.and_then(|plan| plan.runner.clone()),
        service_ahead_ms: population.and_then(|population| population.service_ahead_ms),
        policy,
        scope,
        exceptions,
        passes,
        sample: planned.map(|plan| sample(plan, population, &standing.origin)),
        differences,
        checks,
        probes,
        leftover_count: leftover.max(drill.closed.map_or(0, |said| said.body.leftover_count)),
    }
}

fn differences(cases: &[Case]) -> Vec<Difference> {
    let mut sums: BTreeMap<(&'static str, Class), u64> = BTreeMap::new();
    for total in cases.iter().flat_map(|case| &case.totals) {
        for (class, n) in total.counts.by_class() {
            *sums.entry((total.name, class)).or_default() += n;
        }
    }
    sums.retain(|(_, class), n| *class != Class::Match && *n > 0);
    sums.into_iter().map(|((name, class), count)| Difference { name, class, count }).collect()
}

fn trail(drill: &DrillStory<'_>) -> Vec<TrailStep> {
    let step = |kind, leaf, at| TrailStep { kind, leaf, at };
    let steps = [
        drill.population.map(|said| step("population.committed", said.leaf, said.at)),
        drill.planned.map(|said| step("drill.planned", said.leaf, said.at)),
        drill.started.map(|said| step("drill.started", said.leaf, said.at)),
        drill.closed.map(|said| step("drill.closed", said.leaf, said.at)),
        drill.aborted.map(|said| step("drill.aborted", said.leaf, said.at)),
    ];
    let mut steps: Vec<TrailStep> = steps.into_iter().flatten().collect();
    steps.sort_by_key(|step| step.leaf);
    steps
}

fn scope(population: Option<&PopulationCommitted>, planned: Option<&DrillPlanned>, drill: &DrillStory<'_>, cases: &[Case]) -> Scope {
    let judged = |case: &&Case| case.outcome.is_some_and(|outcome| outcome.is_pass() || outcome == Outcome::Fail);
    let order = [
        Some(Outcome::Fail),
        None,
        Some(Outcome::Error),
        Some(Outcome::Inconclusive),
        Some(Outcome::Untested),
        Some(Outcome::PassWithException),
        Some(Outcome::Pass),
    ];
    let outcomes = order.map(|outcome| Tally {
        outcome: outcome.map_or("no_result", Outcome::as_str).to_owned(),
        count: cases.iter().filter(|case| case.outcome == outcome).count() as u64,
    });
    let drawn = planned.map_or(0, |plan| plan.sample.selected.len() as u64);
    let left_out = population.map(|said| said.excluded.clone()).unwrap_or_default();
    let unseen = left_out.iter().filter(|one| exclusion::is_unseen(&one.reason)).count() as u64;
    let (bare, excluded): (Vec<Excluded>, _) = left_out.into_iter().partition(|one| one.id.starts_with("resource:"));
    let strata: &[Stratum] = population.map_or(&[], |said| &said.strata);
    let answers_for_shared = planned.is_some_and(DrillPlanned::answers_for_shared);
    let empty = population.map_or(0, |said| empty(&bare, said, answers_for_shared));
    Scope {
        population: population.map_or(0, |said| said.population.len() as u64),
        planned: cases.len() as u64,
        drawn,
        targeted: (cases.len() as u64).saturating_sub(drawn),
        tested: cases.iter().filter(judged).count() as u64,
        outcomes: outcomes.into_iter().filter(|tally| tally.count > 0).collect(),
        strata: strata.iter().map(|stratum| stratum_row(stratum, drill, cases, unseen + empty)).collect(),
        empty,
        without_points: bare,
        unseen,
        excluded,
        listings: population.map(|said| said.listings.clone()).unwrap_or_default(),
    }
}

/// How many resources have no point in the population that is theirs, though every place of theirs was looked at.
fn empty(bare: &[Excluded], population: &PopulationCommitted, answers_for_shared: bool) -> u64 {
    let of = |id: &str| population.population.iter().any(|item| exclusion::whole(&item.resource.0) == id);
    let is_elsewhere = |one: &Excluded| one.reason == exclusion::DRILLED_ELSEWHERE && !answers_for_shared;
    let is_known = |one: &Excluded| !exclusion::is_unseen(&one.reason) && !is_elsewhere(one);
    let are_known = |id: &str| bare.iter().filter(|one| one.id == id).all(is_known);
    let ids: BTreeSet<&str> = bare.iter().map(|one| one.id.as_str()).filter(|id| !of(id) && are_known(id)).collect();
    ids.len() as u64
}

fn stratum_row(stratum: &Stratum, drill: &DrillStory<'_>, cases: &[Case], unseen: u64) -> StratumRow {
    let inference = drill.closed.and_then(|said| said.body.inference.iter().find(|i| i.stratum == stratum.name)).cloned();
    let here = || cases.iter().filter(|case| case.class == stratum.name);
    let passed = here().filter(|case| case.outcome.is_some_and(Outcome::is_pass)).count() as u64;
    let exceptions = here().filter(|case| case.outcome == Some(Outcome::PassWithException)).count() as u64;
    let failed = here().filter(|case| case.outcome == Some(Outcome::Fail)).count() as u64;
    StratumRow {
        name: stratum.name.clone(),
        size: stratum.size,
        drawn: stratum.sample,
        tested: passed + failed,
        passed,
        bound: verdict::bound(stratum, inference.as_ref(), exceptions, unseen > 0),
        inference,
    }
}

fn sample(plan: &DrillPlanned, population: Option<&PopulationCommitted>, origin: &str) -> SampleReport {
    let sample = &plan.sample;
    let seed_text = format!("attestore/sample/v1|{origin}|{}|{}", sample.population_leaf_hash, sample.beacon);
    let rank_command = sample.selected.first().map(|selected| {
        format!("printf %s {} |\n  openssl dgst -sha256 -mac HMAC -macopt hexkey:{} -r", shell_word(&selected.id.0), sample.seed)
    });
    SampleReport {
        strength: match sample.strength {
            Strength::Strong => "strong: the population was dated from outside before the beacon existed",
            Strength::Weaker => "weaker: the beacon was known to the operator, who could have tried several populations or times",
        },
        seed_command: format!("printf %s {} |\n  openssl dgst -sha256 -r", shell_word(&seed_text)),
        rank_command,
        targeted: population.map(|said| said.targeted.clone()).unwrap_or_default(),
        sample: sample.clone(),
    }
}
