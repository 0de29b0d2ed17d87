//! What listings state of the points of a population, where the evidence has them: that there is such a point, that it can be restored, when its
//! data is from, and which engine wrote it. A point that is made older or younger than it is changes what is due, and how old a restore's data
//! was; so does one that cannot be restored.
//!
//! Not here: whether all that was listed is there (`listed`), and whether the listings are true.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::arn;
use crate::model::clock::Timestamp;
use crate::model::ids::PointId;
use crate::testing_log::body::PopulationCommitted;
use crate::testing_log::point_result::PointResult;
use crate::testing_log::verify::drills::{Drill, Placed};
use crate::testing_log::verify::fault::{Faults, Rule};
use crate::testing_log::verify::known::Known;
use crate::testing_log::verify::listing::{
    Asked, BACKUPS, CONTINUOUS, CONTINUOUS_POINT, INSTANCE, LOCAL, Listing, SNAPSHOTS, VAULT, VERSIONING,
};
use crate::testing_log::verify::{listed_facts, unfit};

/// What a listing states of a point.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Stated<'a> {
    created_at: Timestamp,
    engine: Option<String>,
    /// The whole of it, and the vault that it is in.
    item: &'a Value,
    vault: Option<&'a str>,
    /// Why it belongs into no population.
    unfit: Option<String>,
}

/// Checks the points of a drill's population, and the engines of its results.
pub fn check(drill: &Drill<'_>, known: &Known<'_>, faults: &mut Faults) {
    let Some(population) = drill.populations.first() else { return };
    let (listings, mut own) = (Indexed::of(known), BTreeMap::new());
    let mut results: BTreeMap<&PointId, Vec<&Placed<'_, PointResult>>> = BTreeMap::new();
    for result in &drill.results {
        results.entry(&result.body.rp.id).or_default().push(result);
    }
    for item in &population.body.population {
        let resource = item.resource.0.as_str();
        let Some(own) = own.entry(resource).or_insert_with(|| Own::of(resource, known)) else { continue };
        let stated = own.stated(&item.id, &listings);
        faults.demand(own.is_withheld(known) || !stated.is_empty(), Rule::PopulationNotListed, population.leaf, || {
            let labels = own.labels.join("`, `");
            format!("`{}` is in the population, and no listing has it as a point of the resource {resource}: `{labels}`", item.id)
        });
        let Some(first) = stated.first() else { continue };
        // Two listings may have it, of which one is behind.
        faults.demand(stated.iter().any(|one| one.unfit.is_none()), Rule::PopulationNotListed, population.leaf, || {
            let why = first.unfit.as_deref().unwrap_or_default();
            format!("`{}` is in the population, and is listed as one that cannot be restored: {why}", item.id)
        });
        faults.demand(stated.iter().any(|one| one.created_at == item.created_at), Rule::PointTimeDiffers, population.leaf, || {
            format!("`{}` is listed as of {}, and is in the population as of {}", item.id, first.created_at, item.created_at)
        });
        for result in results.get(&item.id).into_iter().flatten() {
            check_lock(result, known, faults);
            check_engine(result, &stated, faults);
            check_facts(result, &stated, faults);
        }
    }
}

/// The engine that wrote a backup is the one that its listing states.
fn check_engine(result: &Placed<'_, PointResult>, stated: &[Stated<'_>], faults: &mut Faults) {
    let versions = result.body.restore.as_ref().and_then(|restore| restore.engine_versions.as_ref());
    let said = versions.and_then(|versions| versions.source_engine.as_deref());
    let listed: Vec<&str> = stated.iter().filter_map(|one| one.engine.as_deref()).collect();
    let is_so = listed.is_empty() || said.is_none_or(|said| listed.contains(&said));
    faults.demand(is_so, Rule::FactDiffers, result.leaf, || {
        format!("`{}` is listed as of {}, and is said to be of {}", result.body.rp.id, listed.join(", "), said.unwrap_or_default())
    });
}

/// What else its listing states of a point is so: two listings may have it.
fn check_facts(result: &Placed<'_, PointResult>, stated: &[Stated<'_>], faults: &mut Faults) {
    let differences: Option<Vec<String>> =
        stated.iter().map(|one| listed_facts::difference(one.item, one.vault, &result.body.rp)).collect();
    if let Some(why) = differences.and_then(|differences| differences.into_iter().next()) {
        faults.at(Rule::FactDiffers, result.leaf, format!("`{}`: its {why}", result.body.rp.id));
    }
}

/// Whether a point of the population is in a listing of this resource; so it may be where one is withheld, or the configuration is.
pub fn are_of(resource: &str, population: &PopulationCommitted, known: &Known<'_>) -> bool {
    let Some(own) = Own::of(resource, known) else { return true };
    let listings = Indexed::of(known);
    own.is_withheld(known) || population.population.iter().any(|item| !own.stated(&item.id, &listings).is_empty())
}

/// Whether its vault is locked is what its description says, where that was had.
fn check_lock(result: &Placed<'_, PointResult>, known: &Known<'_>, faults: &mut Faults) {
    let point = &result.body.rp;
    let resource = known.demands.and_then(|demands| demands.resources.get(&result.body.resource.0));
    let asked = resource.into_iter().flat_map(|resource| Asked::of(&result.body.resource.0, resource));
    let vault = |asked: &Asked<'_>| asked.from.as_str() == point.from && asked.points.vault.is_some() && asked.points.vault == point.vault;
    let labels: Vec<String> = asked.filter(vault).filter_map(|asked| asked.about_vault()).collect();
    if labels.is_empty() || labels.iter().any(|label| known.withheld.contains(&label.as_str())) {
        return;
    }
    let listed = |label: &String| known.listings.iter().find(|one| one.label == label).and_then(|one| one.answer["locked"].as_bool());
    faults.demand(labels.iter().any(|label| listed(label) == point.vault_locked), Rule::FactDiffers, result.leaf, || {
        let said = |locked: Option<bool>| locked.map_or("not stated", |locked| if locked { "locked" } else { "not locked" });
        let listed = labels.iter().find_map(listed);
        format!("`{}`: its vault is listed as {}, and said to be {}", point.id, said(listed), said(point.vault_locked))
    });
}

/// A resource as its configuration asks for its points.
struct Own<'a> {
    asked: Vec<Asked<'a>>,
    labels: Vec<String>,
}

impl<'a> Own<'a> {
    /// Nothing where its configuration is withheld, or of a later version.
    fn of(id: &'a str, known: &Known<'a>) -> Option<Self> {
        let resource = known.demands?.resources.get(id)?;
        let asked: Vec<Asked<'_>> = Asked::of(id, resource).collect();
        let labels = asked.iter().flat_map(Asked::labels_of_points).collect();
        (asked.len() == resource.points.len()).then_some(Self { asked, labels })
    }

    fn is_withheld(&self, known: &Known<'_>) -> bool {
        known.withheld.iter().any(|label| self.labels.iter().any(|own| own == label))
    }

    /// What the listings state of a point as one of this resource; a vault's are of others too.
    fn stated<'l>(&self, id: &PointId, listings: &'l Indexed<'l>) -> Vec<Stated<'l>> {
        let is_its = |of: &str| self.asked.iter().any(|asked| arn::is_of(asked.kind, asked.source, of));
        let own = self.labels.iter().filter_map(|label| listings.0.get(label.as_str()));
        own.flat_map(|listing| listing.stated(id)).filter(|(_, of)| of.is_none_or(is_its)).map(|(stated, _)| stated).collect()
    }
}

/// The listings at hand by their labels.
struct Indexed<'a>(BTreeMap<&'a str, Points<'a>>);

impl<'a> Indexed<'a> {
    fn of(known: &Known<'a>) -> Self {
        Self(known.listings.iter().map(|one| (one.label, Points::of(one))).collect())
    }
}

/// The points of one listing by their identities: those that it has one by one, and those of which any second is one.
struct Points<'a> {
    listing: &'a Listing<'a>,
    single: BTreeMap<String, Vec<&'a Value>>,
    in_time: BTreeMap<String, Vec<&'a Value>>,
    /// Of a vault, each is of the resource that it names.
    is_vault: bool,
}

impl<'a> Points<'a> {
    fn of(listing: &'a Listing<'a>) -> Self {
        let (single, in_time) = (BTreeMap::new(), BTreeMap::new());
        let mut points = Self { listing, single, in_time, is_vault: listing.call == VAULT };
        let answer = &listing.answer;
        match listing.call.as_str() {
            LOCAL | SNAPSHOTS | BACKUPS | VAULT => {
                for item in answer.as_array().into_iter().flatten() {
                    let arn = item["arn"].as_str();
                    let id = item["id"].as_str().filter(|_| listing.call == LOCAL).map(str::to_owned);
                    let Some(id) = id.or_else(|| arn.map(|arn| PointId::arn(arn).0)) else { continue };
                    if points.is_vault && id.contains(CONTINUOUS_POINT) {
                        points.in_time.entry(id.clone()).or_default().push(item);
                    }
                    let of_id = points.single.entry(id).or_default();
                    // Of files of one name the first is the point.
                    if of_id.is_empty() || listing.call != LOCAL {
                        of_id.push(item);
                    }
                }
            }
            INSTANCE | CONTINUOUS => {
                let arn = answer["arn"].as_str().or_else(|| answer["table_arn"].as_str());
                points.in_time.extend(arn.map(|arn| (PointId::arn(arn).0, vec![answer])));
            }
            VERSIONING => {
                points.in_time.insert(format!("arn:aws:s3:::{}", listing.of), vec![answer]);
            }
            _ => {}
        }
        points
    }

    /// What it states of a point, and of which resource that is where it says so.
    fn stated(&self, id: &PointId) -> Vec<(Stated<'a>, Option<&'a str>)> {
        let of = |item: &'a Value| if self.is_vault { Some(item["resource_arn"].as_str().unwrap_or_default()) } else { None };
        let engine = |item: &Value| item["engine"].as_str().map(str::to_owned);
        let vault = self.is_vault.then_some(self.listing.of.as_str());
        // Points without a date are in no population.
        let created_at = |item: &Value| item["created_at"].as_str().and_then(|at| at.parse().ok()).unwrap_or(Timestamp(0));
        let stated = |item: &'a Value, at: Timestamp| Stated {
            created_at: at,
            engine: engine(item),
            item,
            vault,
            unfit: unfit::why(self.listing, item),
        };
        let single = self.single.get(&id.0).into_iter().flatten();
        let dated = single.map(|item| (stated(item, created_at(item)), of(item)));
        let second = id.0.rsplit_once('@').and_then(|(whole, at)| Some((self.in_time.get(whole)?, at.parse::<Timestamp>().ok()?)));
        let in_time = second.into_iter().flat_map(|(items, at)| items.iter().map(move |item| (*item, at)));
        dated.chain(in_time.map(|(item, at)| (stated(item, at), of(item)))).collect()
    }
}
