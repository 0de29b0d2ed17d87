//! What listings state of the points of a population, where the evidence has them: that there is such a point, when its data is from, and which
//! engine wrote it. A point that is made older or younger than it is changes what is due, and how old a restore's data was.
//!
//! Not here: whether all that was listed is there (`listed`), and whether the listings are true.

use serde_json::Value;

use crate::model::clock::Timestamp;
use crate::model::ids::PointId;
use crate::testing_log::body::PopulationItem;
use crate::testing_log::verify::drills::Drill;
use crate::testing_log::verify::excluded::Known;
use crate::testing_log::verify::fault::{Faults, Rule};
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

/// What the listings of its resource state of a point; nothing where one that may is withheld, or the configuration is.
fn stated_of(item: &PopulationItem, known: &Known<'_>, leaf: u64, faults: &mut Faults) -> Option<Vec<Stated>> {
    let resource = known.demands?.resources.get(&item.resource.0)?;
    let labels: Vec<String> = Asked::of(&item.resource.0, resource).flat_map(|asked| asked.labels_of_points()).collect();
    let own = known.listings.iter().filter(|one| labels.iter().any(|label| label == one.label));
    let stated: Vec<Stated> = own.flat_map(|one| stated_in(one, &item.id)).collect();
    let is_withheld = known.withheld.iter().any(|label| labels.iter().any(|own| own == label));
    faults.demand(is_withheld || !stated.is_empty(), Rule::PopulationNotListed, leaf, || {
        format!("`{}` is in the population, and in no listing of the resource {}: `{}`", item.id, item.resource, labels.join("`, `"))
    });
    (!stated.is_empty()).then_some(stated)
}

fn stated_in(listing: &Listing<'_>, id: &PointId) -> Vec<Stated> {
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
            let continuous = |item: &&Value| item["arn"].as_str().is_some_and(|arn| arn.contains(CONTINUOUS_POINT));
            let seconds = listing.items().filter(continuous).filter_map(|item| in_time(item["arn"].as_str(), item));
            listing.items().filter(|item| is_it(item)).map(dated).chain(seconds).collect()
        }
        INSTANCE => in_time(listing.answer["arn"].as_str(), &listing.answer).into_iter().collect(),
        CONTINUOUS => in_time(listing.answer["table_arn"].as_str(), &listing.answer).into_iter().collect(),
        VERSIONING => in_time(Some(&format!("arn:aws:s3:::{}", listing.of)), &Value::Null).into_iter().collect(),
        _ => Vec::new(),
    }
}
