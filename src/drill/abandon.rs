//! Giving an unfinished drill up: everything that it created is taken down, and the log says that it was aborted, which counts as failed.

use std::collections::BTreeMap;

use crate::drill::context::{Context, Setup};
use crate::model::failure::Failure;
use crate::model::ids::DrillId;
use crate::restore::records::Record;
use crate::restore::teardown::Undoing;
use crate::testing_log::body::DrillAborted;
use crate::testing_log::entry::Body;
use crate::testing_log::point_result::{CreatedResource, Presence};

/// A drill that was given up.
#[derive(Debug)]
pub struct Abandoned {
    /// The drill.
    pub drill: DrillId,
    /// What is not known to be gone.
    pub standing: Vec<CreatedResource>,
    /// Whether its journal was there, which alone knows what it created.
    pub was_known: bool,
}

/// The drills of the log that are not ended and of which the journal knows nothing: it was lost, or is another machine's.
pub fn strangers(context: &Context) -> Result<Vec<(DrillId, u64)>, Failure> {
    let known = context.journal.state().drills;
    let mut open = BTreeMap::new();
    for entry in context.ledger.entries()? {
        match entry.body {
            Body::PopulationCommitted(body) => drop(open.insert(body.drill_id, body.drill_seq)),
            Body::DrillClosed(body) => drop(open.remove(&body.drill_id)),
            Body::DrillAborted(body) => drop(open.remove(&body.drill_id)),
            _ => {}
        }
    }
    Ok(open.into_iter().filter(|(drill, _)| !known.contains_key(drill)).collect())
}

/// Gives up the unfinished drill, or the one of this id. The configuration need not be the one that it began under.
pub async fn abandon(setup: Setup, wanted: Option<&DrillId>, reason: &str) -> Result<Abandoned, Failure> {
    let context = Context::open(setup).await?;
    let state = context.journal.state();
    let is_wanted = |id: &DrillId| wanted.is_none_or(|wanted| wanted == id);
    let Some(facts) = state.unfinished().into_iter().find(|facts| is_wanted(&facts.opened.drill)) else {
        let stranger = strangers(&context)?.into_iter().find(|(drill, _)| is_wanted(drill));
        let (drill, drill_seq) = stranger.ok_or_else(|| {
            let named = wanted.map_or_else(|| "no drill is".to_owned(), |id| format!("drill {id} is not"));
            Failure::invalid(format!("{named} unfinished in {}", context.journal.path().display()))
                .hint("there is nothing to give up; `attestore log show` lists the drills")
        })?;
        let reason = format!("{reason}; its journal was lost, so that what it created is not known");
        context.ledger.append(&drill, Body::DrillAborted(DrillAborted { drill_id: drill.clone(), drill_seq, reason }))?;
        context.ledger.checkpoint()?;
        return Ok(Abandoned { drill, standing: Vec::new(), was_known: false });
    };
    let drill = &facts.opened;
    let undoing = Undoing::new(&context.journal, &context.clouds, &context.work, drill, context.monitor.as_ref());
    let mut standing = Vec::new();
    for case in facts.cases.keys() {
        let teardown = undoing.undo(case).await?;
        standing.extend(teardown.resources.into_iter().filter(|resource| resource.state != Presence::Gone));
    }
    let entries = context.ledger.entries()?;
    let is_committed = entries.iter().any(|entry| matches!(&entry.body, Body::PopulationCommitted(body) if body.drill_id == drill.drill));
    let is_ended = entries.iter().any(|entry| match &entry.body {
        Body::DrillAborted(body) => body.drill_id == drill.drill,
        Body::DrillClosed(body) => body.drill_id == drill.drill,
        _ => false,
    });
    // A drill that never committed a population is not in the log, and its number is free.
    if is_committed && !is_ended {
        let aborted = DrillAborted { drill_id: drill.drill.clone(), drill_seq: drill.seq, reason: reason.to_owned() };
        context.ledger.append(&drill.drill, Body::DrillAborted(aborted))?;
    }
    context.ledger.checkpoint()?;
    context.journal.record(&drill.drill, Record::DrillClosed {})?;
    Ok(Abandoned { drill: drill.drill.clone(), standing, was_known: true })
}
