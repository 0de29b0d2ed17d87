//! Files beside AWS of one name in two directories of a resource: the first is the point, and each other is left out by where it lies. The listing
//! has both under one identity, so that who drops one says nothing that it would belie.
//!
//! Not here: every other exclusion (`excluded`).

use std::collections::{BTreeMap, BTreeSet};

use crate::model::exclusion;
use crate::model::ids::PointId;
use crate::testing_log::body::PopulationCommitted;
use crate::testing_log::verify::fault::{Faults, Rule};
use crate::testing_log::verify::known::Known;
use crate::testing_log::verify::listing::LOCAL;

/// Checks what is left out of a population by its name.
pub fn check((leaf, population): (u64, &PopulationCommitted), known: &Known<'_>, faults: &mut Faults) {
    let mut first: BTreeMap<&str, &str> = BTreeMap::new();
    let mut due: BTreeSet<String> = BTreeSet::new();
    for item in known.listings.iter().filter(|one| one.call == LOCAL).flat_map(|one| one.items()) {
        let (Some(id), Some(path)) = (item["id"].as_str(), item["handle"].as_str()) else { continue };
        if *first.entry(id).or_insert(path) != path {
            due.insert(exclusion::beside(&PointId(id.to_owned()), path));
        }
    }
    let said = population.excluded.iter().filter(|one| one.reason == exclusion::NAMED_TWICE).map(|one| one.id.as_str());
    let said: BTreeSet<&str> = said.collect();
    for lacking in due.iter().filter(|id| !said.contains(id.as_str())) {
        faults.at(
            Rule::PopulationLacksListed,
            leaf,
            format!("`{lacking}` is listed beside another of its name, and is not left out for that"),
        );
    }
    let is_withheld = known.withheld.iter().any(|label| label.split(' ').next() == Some(LOCAL));
    for id in said.into_iter().filter(|id| !is_withheld && !due.contains(*id)) {
        faults.at(Rule::ExclusionDiffers, leaf, format!("`{id}` is left out as another of its name, and is not listed beside one"));
    }
}
