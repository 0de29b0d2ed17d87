//! What listings state of the points of a population, where the evidence has them: that there is such a point, when its data is from, and which
//! engine wrote it. A point that is made older or younger than it is changes what is due, and how old a restore's data was.
//!
//! Not here: whether all that was listed is there (`listed`), and whether the listings are true.

use serde_json::Value;

use crate::model::arn;
use crate::model::clock::Timestamp;
use crate::model::ids::PointId;
use crate::testing_log::body::{PointResult, PopulationCommitted, PopulationItem};
use crate::testing_log::verify::drills::{Drill, Placed};
use crate::testing_log::verify::fault::{Faults, Rule};
use crate::testing_log::verify::known::Known;
use crate::testing_log::verify::listing::{
    Asked, BACKUPS, CONTINUOUS, CONTINUOUS_POINT, INSTANCE, LOCAL, Listing, SNAPSHOTS, VAULT, VERSIONING,
};

/// What a listing states of a point.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Stated {
    created_at: Timestamp,
    engine: Option<String>,
}

/// Checks the points of a drill's population, and the engines of its results.
pub fn check(drill: &Drill<'_>, known: &Known<'_>, faults: &mut Faults) {
    let Some(population) = drill.populations.first() else { return };
    for item in &population.body.population {
        let Some(stated) = stated_of(item, known, population.leaf, faults) else { continue };
        faults.demand(stated.iter().any(|one| one.created_at == item.created_at), Rule::PointTimeDiffers, population.leaf, || {
            let listed = stated.first().map_or_else(String::new, |one| one.created_at.to_string());
            format!("`{}` is listed as of {listed}, and is in the population as of {}", item.id, item.created_at)
        });
        for result in drill.results.iter().filter(|result| result.body.rp.id == item.id) {
            check_lock(result, known, faults);
            let versions = result.body.restore.as_ref().and_then(|restore| restore.engine_versions.as_ref());
            let said = versions.and_then(|versions| versions.source_engine.as_ref());
            let mut listed = stated.iter().filter_map(|one| one.engine.as_ref()).peekable();
            let is_so = said.is_none() || listed.peek().is_none() || listed.any(|engine| Some(engine) == said);
            faults.demand(is_so, Rule::FactDiffers, result.leaf, || {
                let listed: Vec<&str> = stated.iter().filter_map(|one| one.engine.as_deref()).collect();
                format!("`{}` is listed as of {}, and is said to be of {}", item.id, listed.join(", "), said.map_or("", String::as_str))
            });
        }
    }
}

/// Whether a point of the population is in a listing of this resource; so it may be where one is withheld, or the configuration is.
pub fn are_of(resource: &str, population: &PopulationCommitted, known: &Known<'_>) -> bool {
    let Some(own) = Own::of(resource, known) else { return true };
    own.is_withheld(known) || population.population.iter().any(|item| !own.stated(&item.id, known).is_empty())
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
    fn stated(&self, id: &PointId, known: &Known<'_>) -> Vec<Stated> {
        let is_its = |of: &str| self.asked.iter().any(|asked| arn::is_of(asked.kind, asked.source, of));
        let listings = known.listings.iter().filter(|one| self.labels.iter().any(|label| label == one.label));
        listings.flat_map(|one| stated_in(one, id, &is_its)).collect()
    }
}

/// What the listings of its resource state of a point; nothing where one that may is withheld, or the configuration is.
fn stated_of(item: &PopulationItem, known: &Known<'_>, leaf: u64, faults: &mut Faults) -> Option<Vec<Stated>> {
    let own = Own::of(&item.resource.0, known)?;
    let stated = own.stated(&item.id, known);
    faults.demand(own.is_withheld(known) || !stated.is_empty(), Rule::PopulationNotListed, leaf, || {
        let labels = own.labels.join("`, `");
        format!("`{}` is in the population, and no listing has it as a point of the resource {}: `{labels}`", item.id, item.resource)
    });
    (!stated.is_empty()).then_some(stated)
}

fn stated_in(listing: &Listing<'_>, id: &PointId, is_its: &dyn Fn(&str) -> bool) -> Vec<Stated> {
    let engine = |item: &Value| item["engine"].as_str().map(str::to_owned);
    // Points without a date are in no population.
    let dated = |item: &Value| {
        let created_at = item["created_at"].as_str().and_then(|at| at.parse().ok()).unwrap_or(Timestamp(0));
        Stated { created_at, engine: engine(item) }
    };
    let is_it = |item: &Value| item["arn"].as_str().is_some_and(|arn| PointId::arn(arn) == *id);
    let second = |arn: Option<&str>| {
        let whole = PointId::arn(arn?).0;
        id.0.strip_prefix(whole.as_str())?.strip_prefix('@')?.parse::<Timestamp>().ok()
    };
    let in_time = |arn: Option<&str>, of: &Value| second(arn).map(|created_at| Stated { created_at, engine: engine(of) });
    match listing.call.as_str() {
        LOCAL => listing.items().filter(|item| item["id"] == id.0.as_str()).map(dated).collect(),
        SNAPSHOTS | BACKUPS => listing.items().filter(|item| is_it(item)).map(dated).collect(),
        VAULT => {
            let own = || listing.items().filter(|item| item["resource_arn"].as_str().is_some_and(is_its));
            let continuous = |item: &&Value| item["arn"].as_str().is_some_and(|arn| arn.contains(CONTINUOUS_POINT));
            let seconds = own().filter(continuous).filter_map(|item| in_time(item["arn"].as_str(), item));
            own().filter(|item| is_it(item)).map(dated).chain(seconds).collect()
        }
        INSTANCE => in_time(listing.answer["arn"].as_str(), &listing.answer).into_iter().collect(),
        CONTINUOUS => in_time(listing.answer["table_arn"].as_str(), &listing.answer).into_iter().collect(),
        VERSIONING => in_time(Some(&format!("arn:aws:s3:::{}", listing.of)), &Value::Null).into_iter().collect(),
        _ => Vec::new(),
    }
}
