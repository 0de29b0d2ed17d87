//! The listings that a configuration asks for: each of them is there, or that it could not be had is said, and that only where it was not.
//! A listing that is left out takes its points along.
//!
//! Not here: what the listings say (`listed`), and why single points are left out (`excluded`).

use std::collections::BTreeMap;

use crate::model::exclusion;
use crate::testing_log::body::PopulationCommitted;
use crate::testing_log::verify::demands::Demands;
use crate::testing_log::verify::fault::{Faults, Rule};
use crate::testing_log::verify::listing::{ABOUT_VAULT, Asked, Listing, VAULT};

/// Checks the listings of a population against the demands of its configuration; `listings` are those that are at hand. `answers` is whether
/// its drill answers for what could not be listed.
pub fn check(
    (leaf, population): (u64, &PopulationCommitted),
    demands: &Demands,
    listings: &[Listing<'_>],
    answers: bool,
    faults: &mut Faults,
) {
    let all: Vec<Source<'_>> = sources(demands, listings, answers);
    let mut asks: BTreeMap<&str, u64> = BTreeMap::new();
    for label in all.iter().flat_map(|source| &source.labels) {
        *asks.entry(label).or_default() += 1;
    }
    for (id, resource) in &demands.resources {
        let said = |holds: &dyn Fn(&str) -> bool| says(population, id, holds);
        let is_told = !resource.points.is_empty() || said(&|reason| reason == exclusion::NO_SOURCE);
        faults.demand(is_told, Rule::ListingMissing, leaf, || {
            format!("resource `{id}` has no source of recovery points, and nothing is said of that")
        });
        let has_point = || population.population.iter().any(|item| item.resource.0 == *id);
        faults.demand(!answers || !is_told || has_point() || said(&|_| true), Rule::ListingMissing, leaf, || {
            format!("resource `{id}` has no recovery point in the population, and nothing is said of that")
        });
    }
    for source in &all {
        let Source { asked, labels } = source;
        let (id, from) = (asked.id, asked.from);
        if !asked.kind.is_restored_from(from) {
            let reason = exclusion::driver_absent(asked.kind, from);
            faults.demand(says(population, id, &|said| said == reason), Rule::ListingMissing, leaf, || {
                format!("`{}` is not excluded: {reason}", exclusion::whole(id))
            });
            continue;
        }
        let is_unlisted = says(population, id, &|said| exclusion::place_unlisted(said).is_some_and(|place| asked.is_place(place)));
        let absent = |label: &&String| !population.listings.contains_key(*label);
        if let Some(label) = labels.iter().find(absent) {
            faults.demand(is_unlisted, Rule::ListingMissing, leaf, || {
                format!(
                    "resource `{id}` has points in {from}, and the listing `{label}` is not there, nor is it said that it could not be had"
                )
            });
            continue;
        }
        if labels.is_empty() {
            continue;
        }
        // What one resource was refused another may have been given, but for vaults, which are asked once; and places are told by their names.
        let is_anothers = labels.iter().any(|label| asks[label.as_str()] > 1 && !is_of_vault(label));
        let is_elsewhere = || {
            let same =
                |other: &&Source<'_>| other.asked.id == id && other.asked.from == from && other.asked.points.vault == asked.points.vault;
            all.iter().filter(same).any(|other| other.labels.iter().any(|label| absent(&label)))
        };
        // Whether a window was to be listed as well, its vault's listing tells; in a drill that answers for it, the point itself is left out then.
        let is_vault_withheld = !answers && asked.vault().is_some_and(|vault| listings.iter().all(|one| one.label != vault));
        faults.demand(!is_unlisted || is_anothers || is_vault_withheld || is_elsewhere(), Rule::ExclusionDiffers, leaf, || {
            format!(
                "`{}` is said not to have been listed in {from}, and what it asks for is there: `{}`",
                exclusion::whole(id),
                labels.join("`, `")
            )
        });
    }
}

/// A source with the labels of all its listings.
struct Source<'a> {
    asked: Asked<'a>,
    labels: Vec<String>,
}

fn sources<'a>(demands: &'a Demands, listings: &[Listing<'_>], answers: bool) -> Vec<Source<'a>> {
    let asked = demands.resources.iter().flat_map(|(id, resource)| Asked::of(id, resource));
    // Points are there without what is asked for beside their listing.
    let labels = |asked: &Asked<'a>| match answers {
        true => asked.labels_of_points(),
        false => asked.labels().into_iter().chain(asked.window(listings)).collect(),
    };
    asked.map(|asked| Source { labels: labels(&asked), asked }).collect()
}

fn is_of_vault(label: &str) -> bool {
    [VAULT, ABOUT_VAULT].iter().any(|call| label.split(' ').next() == Some(*call))
}

/// Whether a whole resource is excluded with such a reason.
fn says(population: &PopulationCommitted, id: &str, holds: &dyn Fn(&str) -> bool) -> bool {
    let whole = exclusion::whole(id);
    population.excluded.iter().any(|one| one.id == whole && holds(&one.reason))
}
