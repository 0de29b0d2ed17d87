//! What people did with the results: reviews, remedies, corrections.

use std::collections::BTreeMap;

use crate::model::clock::Timestamp;
use crate::model::ids::DrillId;
use crate::report::gather::{Step, Story};
use crate::report::model::{CorrectionRow, FollowUp, RemediationRow, SignOffRow};

/// Reviews of the drill that is shown; remedies and corrections of the whole log.
pub fn follow_up(story: &Story<'_>, as_of: Timestamp, shown: Option<&DrillId>) -> FollowUp {
    let of_drill = story.sign_offs.iter().filter(|said| Some(&said.body.drill_id) == shown);
    FollowUp {
        sign_offs: of_drill
            .map(|said| SignOffRow {
                leaf: said.leaf,
                at: said.at,
                reviewer: said.body.reviewer.clone(),
                statement: said.body.statement.clone(),
            })
            .collect(),
        remediations: remediations(story, as_of),
        corrections: story
            .corrections
            .iter()
            .map(|said| CorrectionRow { at_leaf: said.leaf, leaf: said.body.leaf, at: said.at, text: said.body.text.clone() })
            .collect(),
    }
}

fn remediations(story: &Story<'_>, as_of: Timestamp) -> Vec<RemediationRow> {
    let mut rows: BTreeMap<&str, RemediationRow> = BTreeMap::new();
    for (step, said) in &story.remediations {
        let body = said.body;
        let row = rows.entry(&body.id).or_insert_with(|| RemediationRow {
            id: body.id.clone(),
            about_leaf: body.about_leaf,
            owner: String::new(),
            text: String::new(),
            opened_at: None,
            due_at: None,
            closed_at: None,
            state: "open",
        });
        row.owner.clone_from(&body.owner);
        row.text.clone_from(&body.text);
        row.due_at = body.due_at.or(row.due_at);
        match step {
            Step::Opened => {
                row.opened_at = Some(said.at);
                row.closed_at = None;
            }
            Step::Updated => {}
            Step::Closed => row.closed_at = Some(said.at),
        }
    }
    let mut rows: Vec<RemediationRow> = rows.into_values().collect();
    for row in &mut rows {
        row.state = match (row.closed_at, row.due_at) {
            (Some(_), _) => "closed",
            (None, Some(due)) if due < as_of => "overdue",
            _ => "open",
        };
    }
    rows.sort_by_key(|row| match row.state {
        "overdue" => 0,
        "open" => 1,
        _ => 2,
    });
    rows
}
