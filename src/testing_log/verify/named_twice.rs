//! Files beside AWS of one name in two directories of a resource: none is a point, and each is left out by where it lies. The listing has them under
//! one identity, so that who drops one says nothing that it would belie. Drills of an earlier version took the first for the point.
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
pub fn check((leaf, population): (u64, &PopulationCommitted), keeps_first: bool, known: &Known<'_>, faults: &mut Faults) {
    let mut first: BTreeMap<&str, &str> = BTreeMap::new();
    let mut due: BTreeSet<String> = BTreeSet::new();
    let mut twins: BTreeSet<&str> = BTreeSet::new();
    for item in known.listings.iter().filter(|one| one.call == LOCAL).flat_map(|one| one.items()) {
        let (Some(id), Some(path)) = (item["id"].as_str(), item["handle"].as_str()) else { continue };
        let first = *first.entry(id).or_insert(path);
        if first != path {
            let left_out = [path].into_iter().chain((!keeps_first).then_some(first));
            due.extend(left_out.map(|path| exclusion::beside(&PointId(id.to_owned()), path)));
            twins.extend((!keeps_first).then_some(id));
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
    for point in population.population.iter().filter(|point| twins.contains(point.id.0.as_str())) {
        let said = format!("`{}` is a point, and its listing has several files of its name", point.id);
        faults.at(Rule::PopulationNotListed, leaf, said);
    }
    let is_withheld = known.withheld.iter().any(|label| label.split(' ').next() == Some(LOCAL));
    for id in said.into_iter().filter(|id| !is_withheld && !due.contains(*id)) {
        faults.at(Rule::ExclusionDiffers, leaf, format!("`{id}` is left out as another of its name, and is not listed beside one"));
    }
}
