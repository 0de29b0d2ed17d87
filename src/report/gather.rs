//! From entries in the log's order to the story of each drill. Nothing is judged here.

use std::collections::BTreeMap;

use crate::model::clock::Timestamp;
use crate::model::ids::DrillId;
use crate::testing_log::body::{
    Correction, DrillAborted, DrillClosed, DrillPlanned, DrillStarted, ManifestRegistered, PolicySet, PopulationCommitted, Remediation,
    SignOff,
};
use crate::testing_log::entry::{Body, Entry};
use crate::testing_log::point_result::PointResult;

/// One entry's body with where and when it was said.
#[derive(Debug)]
pub struct Said<'a, T> {
    /// Its leaf index, which is its file's number.
    pub leaf: u64,
    /// When it was written.
    pub at: Timestamp,
    /// What it says.
    pub body: &'a T,
}

impl<T> Clone for Said<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Said<'_, T> {}

/// Everything that the log says of one drill.
#[derive(Clone, Debug)]
pub struct DrillStory<'a> {
    /// The drill.
    pub id: &'a DrillId,
    /// Its number, as its first entry gives it.
    pub seq: u64,
    /// `population.committed`
    pub population: Option<Said<'a, PopulationCommitted>>,
    /// `drill.planned`
    pub planned: Option<Said<'a, DrillPlanned>>,
    /// `drill.started`
    pub started: Option<Said<'a, DrillStarted>>,
    /// `rp.result`, in order
    pub results: Vec<Said<'a, PointResult>>,
    /// `drill.closed`
    pub closed: Option<Said<'a, DrillClosed>>,
    /// `drill.aborted`
    pub aborted: Option<Said<'a, DrillAborted>>,
}

/// Which of the three kinds a remediation entry is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// `remediation.opened`
    Opened,
    /// `remediation.updated`
    Updated,
    /// `remediation.closed`
    Closed,
}

/// Everything that the log says.
#[derive(Clone, Debug, Default)]
pub struct Story<'a> {
    /// `policy.set`, in order
    pub policies: Vec<Said<'a, PolicySet>>,
    /// `manifest.registered`, in order
    pub manifests: Vec<Said<'a, ManifestRegistered>>,
    /// `signoff`, in order
    pub sign_offs: Vec<Said<'a, SignOff>>,
    /// `remediation.…`, in order
    pub remediations: Vec<(Step, Said<'a, Remediation>)>,
    /// `correction`, in order
    pub corrections: Vec<Said<'a, Correction>>,
    /// Drills in the order of their numbers.
    pub drills: Vec<DrillStory<'a>>,
}

impl<'a> Story<'a> {
    /// Gathers `entries`, which are in the log's order.
    pub fn gather(entries: &'a [Entry]) -> Self {
        let mut story = Self::default();
        let mut drills: BTreeMap<&DrillId, DrillStory> = BTreeMap::new();
        for entry in entries {
            let (leaf, at) = (entry.seq, entry.at);
            let drills = &mut drills;
            match &entry.body {
                Body::Genesis(_) => {}
                Body::PolicySet(body) => story.policies.push(Said { leaf, at, body }),
                Body::ManifestRegistered(body) => story.manifests.push(Said { leaf, at, body }),
                Body::PopulationCommitted(body) => {
                    drill_of(drills, &body.drill_id, body.drill_seq).population = Some(Said { leaf, at, body })
                }
                Body::DrillPlanned(body) => drill_of(drills, &body.drill_id, body.drill_seq).planned = Some(Said { leaf, at, body }),
                Body::DrillStarted(body) => drill_of(drills, &body.drill_id, 0).started = Some(Said { leaf, at, body }),
                Body::PointResult(body) => drill_of(drills, &body.drill_id, 0).results.push(Said { leaf, at, body }),
                Body::DrillClosed(body) => drill_of(drills, &body.drill_id, body.drill_seq).closed = Some(Said { leaf, at, body }),
                Body::DrillAborted(body) => drill_of(drills, &body.drill_id, body.drill_seq).aborted = Some(Said { leaf, at, body }),
                Body::SignOff(body) => story.sign_offs.push(Said { leaf, at, body }),
                Body::RemediationOpened(body) => story.remediations.push((Step::Opened, Said { leaf, at, body })),
                Body::RemediationUpdated(body) => story.remediations.push((Step::Updated, Said { leaf, at, body })),
                Body::RemediationClosed(body) => story.remediations.push((Step::Closed, Said { leaf, at, body })),
                Body::Correction(body) => story.corrections.push(Said { leaf, at, body }),
                Body::ListPage(_) | Body::KeyRotated(_) | Body::Heartbeat(_) | Body::Unknown { .. } => {}
            }
        }
        story.drills = drills.into_values().collect();
        story.drills.sort_by_key(|drill| drill.seq);
        story
    }

    /// The drill to show: the one that is asked for, else the one with the highest number.
    pub fn pick(&self, wanted: Option<&DrillId>) -> Option<&DrillStory<'a>> {
        match wanted {
            Some(id) => self.drills.iter().find(|drill| drill.id == id),
            None => self.drills.last(),
        }
    }

    /// The policy at `leaf`, else the last one set before `leaf`.
    pub fn policy_at(&self, leaf: u64) -> Option<Said<'a, PolicySet>> {
        self.policies.iter().rev().find(|policy| policy.leaf <= leaf).copied()
    }
}

fn drill_of<'a, 'm>(drills: &'m mut BTreeMap<&'a DrillId, DrillStory<'a>>, id: &'a DrillId, seq: u64) -> &'m mut DrillStory<'a> {
    let drill = drills.entry(id).or_insert_with(|| DrillStory {
        id,
        seq,
        population: None,
        planned: None,
        started: None,
        results: Vec::new(),
        closed: None,
        aborted: None,
    });
    // Entries that do not carry the number are told apart by 0, which no drill has.
    if drill.seq == 0 {
        drill.seq = seq;
    }
    drill
}
