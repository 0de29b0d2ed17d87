//! What a comparison says that it read, and what it says that it did not compare at all. What a database defines beside its tables is counted,
//! or left out for a reason that there is, where that reason can hold; and nothing matches that was not read.
//!
//! Due where the plan promises it. Not here: what else a result owes (`owed`), and how counts add up (`results`).

use crate::model::counts::Counts;
use crate::model::not_compared::{
    AS_FILES, BEHIND, BY_MEANING, CHECKS, DEFINITIONS, GRANTS, HIDDEN_DEFINITIONS, NOT_SHOWN, NOT_SHOWN_THEN, NOT_SHOWN_TO_ONE,
    NOT_SPOKEN_OF, OF_ANOTHER_ENGINE, OTHER_TABLES, POSITIONS,
};
use crate::testing_log::body::DrillPlanned;
use crate::testing_log::point_result::{PointResult, VerifyFacts};
use crate::testing_log::verify::drills::Placed;
use crate::testing_log::verify::fault::{Faults, Rule};
use crate::testing_log::verify::pass;
use crate::testing_log::verify::stated::Baseline;

/// Checks the comparison of a result; `baseline` is what its manifest says of itself, where the evidence has it.
pub fn check(result: &Placed<'_, PointResult>, plan: Option<&DrillPlanned>, baseline: Option<&Baseline>, faults: &mut Faults) {
    let Some(facts) = result.body.verify.as_ref().filter(|_| plan.is_some_and(DrillPlanned::promises_all)) else { return };
    read(result.leaf, facts, faults);
    not_compared(result, facts, baseline, faults);
    if facts.rows.is_some() {
        definitions(result, facts, baseline, faults);
        if plan.is_some_and(DrillPlanned::knows_exceptions) {
            exceptions(result.leaf, facts, baseline, faults);
        }
    }
}

/// What its manifest says nothing of, by its own words, stands in the result; but where nothing was read at all, of which earlier versions said no
/// more than that.
fn exceptions(leaf: u64, facts: &VerifyFacts, baseline: Option<&Baseline>, faults: &mut Faults) {
    let Some(baseline) = baseline else { return };
    let is_read = |counts: &Counts| counts.unreadable < counts.expected || counts.expected == 0;
    let hidden = baseline.hides_definitions && facts.definitions.as_ref().is_some_and(is_read);
    let other = baseline.leaves_tables_out && facts.tables.as_ref().is_none_or(is_read);
    for (is_due, kind) in [(hidden, HIDDEN_DEFINITIONS), (other, OTHER_TABLES)] {
        faults.demand(!is_due || facts.not_compared.contains_key(kind), Rule::FactMissing, leaf, || {
            format!("the manifest {} says nothing of some {kind}, and the result does not say so", facts.manifest)
        });
    }
}

/// Of each kind that is counted it is stated how many were read, and no less than are equal.
fn read(leaf: u64, facts: &VerifyFacts, faults: &mut Faults) {
    for (name, counts) in pass::counts(facts) {
        match facts.read.get(name) {
            None => faults.at(Rule::FactMissing, leaf, format!("{name} were compared, and how many of them were read is not stated")),
            Some(n) => faults.demand(*n >= counts.matched, Rule::FactDiffers, leaf, || {
                format!("{name}: {n} are said to have been read, and {} to be equal", counts.matched)
            }),
        }
    }
    for name in facts.read.keys().filter(|name| !pass::counts(facts).any(|(counted, _)| counted == *name)) {
        faults.at(Rule::FactDiffers, leaf, format!("{name} are said to have been read, and none are counted"));
    }
}

/// Only of databases is anything ever left out, for reasons that there are.
fn not_compared(result: &Placed<'_, PointResult>, facts: &VerifyFacts, baseline: Option<&Baseline>, faults: &mut Faults) {
    let leaf = result.leaf;
    for (kind, why) in &facts.not_compared {
        let holds = match (kind.as_str(), why.as_str()) {
            // Whether it is one, its configuration says (`unchecked`).
            (CHECKS, AS_FILES) => Some(facts.objects.is_some()),
            _ if facts.rows.is_none() => Some(false),
            (DEFINITIONS, BY_MEANING) => baseline.map(|baseline| baseline.is_logical),
            (DEFINITIONS, OF_ANOTHER_ENGINE) if are_of_two_engines(result.body, baseline) => Some(true),
            (DEFINITIONS, OF_ANOTHER_ENGINE) => baseline.map(|_| false),
            (GRANTS, NOT_SHOWN | NOT_SHOWN_TO_ONE) => Some(facts.definitions.is_some()),
            (HIDDEN_DEFINITIONS, NOT_SHOWN_THEN) => baseline.map(|baseline| baseline.hides_definitions),
            (POSITIONS, BEHIND) => Some(facts.definitions.is_some() && result.body.rp.created_at <= facts.manifest_captured_end),
            (OTHER_TABLES, NOT_SPOKEN_OF) => baseline.map(|baseline| baseline.is_of_prefix),
            _ => Some(false),
        };
        match holds {
            Some(holds) => faults.demand(holds, Rule::FactDiffers, leaf, || {
                format!("`{kind}` is said not to be compared: {why}; that is no reason that there is, or none that holds here")
            }),
            None => faults.unheld(
                leaf,
                format!("the manifest {} is withheld: that {kind} had not to be compared could not be held to it", facts.manifest),
            ),
        }
    }
}

/// What is defined beside tables is counted, or said not to be compared.
fn definitions(result: &Placed<'_, PointResult>, facts: &VerifyFacts, baseline: Option<&Baseline>, faults: &mut Faults) {
    // Where nothing of it was expected, and the reading did not come to it, there is nothing to count.
    let is_due = result.body.outcome.is_pass() || baseline.is_some_and(|baseline| baseline.has_definitions);
    // Manifests of earlier versions say nothing of it; and versions that knew these two reasons did not state them in their first results.
    let is_excused = baseline.is_some_and(|baseline| !baseline.tells_definitions || baseline.is_logical);
    let is_told = facts.definitions.is_some() || facts.not_compared.contains_key(DEFINITIONS);
    let holds = is_told || !is_due || is_excused || are_of_two_engines(result.body, baseline);
    faults.demand(holds, Rule::FactMissing, result.leaf, || {
        "a database was compared, and neither what is defined beside its tables is counted, nor why that was not compared".to_owned()
    });
    faults.demand(facts.unread_definitions.is_some(), Rule::FactMissing, result.leaf, || {
        "a database was compared, and how many of its definitions were not read is not stated".to_owned()
    });
}

/// Whether the manifest is of another engine than the data was restored into. Where it is withheld, whether the data was written by another.
fn are_of_two_engines(body: &PointResult, baseline: Option<&Baseline>) -> bool {
    let Some(restore) = &body.restore else { return false };
    let versions = restore.engine_versions.as_ref();
    let pairs = [
        versions.map(|versions| (versions.source_engine.as_deref(), versions.restored_engine.as_deref())),
        restore.engines.as_ref().map(|engines| (Some(engines.wrote.as_str()), Some(engines.restored.as_str()))),
    ];
    let restored = pairs.iter().flatten().find_map(|(_, restored)| *restored);
    if let Some((manifest, restored)) = baseline.and_then(|baseline| baseline.engine.as_deref()).zip(restored) {
        return manifest != restored;
    }
    pairs.into_iter().flatten().any(|(one, other)| one.zip(other).is_some_and(|(one, other)| one != other))
}
