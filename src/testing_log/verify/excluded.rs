//! Why points and resources are left out of a population: for a reason that the program has, and one that the listings bear out, as far as
//! they are at hand. "Too old" is no reason.
//!
//! Not here: whether everything that was listed is mentioned (`listed`), and which listings are owed (`unlisted`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::model::arn;
use crate::model::clock::Timestamp;
use crate::model::exclusion;
use crate::model::ids::PointId;
use crate::model::recovery_point::{eligibility_of, outside};
use crate::model::resource::{PointSource, ResourceKind};
use crate::testing_log::body::{Excluded, PopulationCommitted};
use crate::testing_log::verify::demands::Demands;
use crate::testing_log::verify::drills::Placed;
use crate::testing_log::verify::fault::{Faults, Rule};
use crate::testing_log::verify::known::Known;
use crate::testing_log::verify::listing::{
    AUTOMATED, Asked, BACKUPS, CONTINUOUS, CONTINUOUS_POINT, LOCAL, Listing, SNAPSHOTS, VAULT, VERSIONING, label,
};
use crate::testing_log::verify::unfit::reasons;
use crate::testing_log::verify::{reference, stated_of_points};

/// The latest second of a bucket is one that is over, by a drill's own clock.
pub const LATEST_IS_OVER_S: i64 = 3;

/// Checks every exclusion of a population.
pub fn check(population: &Placed<'_, PopulationCommitted>, known: &Known<'_>, faults: &mut Faults) {
    let ids: BTreeSet<&str> = population.body.population.iter().map(|item| item.id.0.as_str()).collect();
    let began = population.body.deadline_at.plus_secs(-reference::DEADLINE_S).min(population.entry.at);
    let mut listed: BTreeMap<String, Vec<(&Listing<'_>, &Value)>> = BTreeMap::new();
    for listing in known.listings.iter().filter(|one| [SNAPSHOTS, BACKUPS, VAULT].contains(&one.call.as_str())) {
        for (item, arn) in listing.items().filter_map(|item| Some((item, item["arn"].as_str()?))) {
            // A snapshot of something else is left out by its ARN as it is.
            let ids = BTreeSet::from([arn.to_owned(), PointId::arn(arn).0]);
            ids.into_iter().for_each(|id| listed.entry(id).or_default().push((listing, item)));
        }
    }
    for one in &population.body.excluded {
        let holds = match one.id.strip_prefix("resource:") {
            Some(id) if one.reason == exclusion::NONE_LEFT => is_bare(id, population.body, known.demands),
            Some(id) if one.reason == exclusion::DRILLED_ELSEWHERE => {
                is_bare(id, population.body, known.demands) && stated_of_points::are_of(id, population.body, known)
            }
            Some(id) => is_of_resource(id, &one.reason, known.demands),
            None => Point { id: &one.id, ids: &ids, known, listed: &listed, began }.is_left_out_for(&one.reason),
        };
        faults.demand(holds, Rule::ExclusionDiffers, population.leaf, || {
            let Excluded { id, reason } = one;
            format!("`{id}` is left out for `{reason}`, which is no reason that there is, or not what its listing says")
        });
    }
}

/// Of a resource without a point in the population, which has sources.
fn is_bare(id: &str, population: &PopulationCommitted, demands: Option<&Demands>) -> bool {
    let has_sources = |demands: &Demands| demands.resources.get(id).is_some_and(|resource| !resource.points.is_empty());
    demands.is_none_or(has_sources) && population.population.iter().all(|item| item.resource.0 != id)
}

/// A whole resource; without its configuration, in words that there are.
fn is_of_resource(id: &str, reason: &str, demands: Option<&Demands>) -> bool {
    let place = exclusion::place_without(reason).or_else(|| exclusion::place_unlisted(reason));
    let Some(demands) = demands else {
        let is_known = |place: &str| PointSource::ALL.iter().any(|from| place.split(' ').next() == Some(from.as_str()));
        return reason == exclusion::NO_SOURCE || place.is_some_and(is_known) || all_absent().any(|absent| absent == reason);
    };
    let Some(resource) = demands.resources.get(id) else { return false };
    if resource.points.is_empty() {
        return reason == exclusion::NO_SOURCE;
    }
    let mut asked = Asked::of(id, resource);
    match place {
        Some(place) => asked.any(|asked| asked.is_place(place)),
        None => asked.any(|asked| !asked.kind.is_restored_from(asked.from) && exclusion::driver_absent(asked.kind, asked.from) == reason),
    }
}

/// Every way of having no driver.
fn all_absent() -> impl Iterator<Item = String> {
    let all = ResourceKind::ALL.iter().flat_map(|kind| PointSource::ALL.iter().map(move |from| (*kind, *from)));
    all.filter(|(kind, from)| !kind.is_restored_from(*from)).map(|(kind, from)| exclusion::driver_absent(kind, from))
}

/// A point that is left out.
struct Point<'a> {
    id: &'a str,
    ids: &'a BTreeSet<&'a str>,
    known: &'a Known<'a>,
    /// What services list one by one, each with its listing.
    listed: &'a BTreeMap<String, Vec<(&'a Listing<'a>, &'a Value)>>,
    /// When the drill began, by its deadline, or at the latest.
    began: Timestamp,
}

impl Point<'_> {
    fn is_left_out_for(&self, reason: &str) -> bool {
        if self.id.starts_with("file:") {
            let is_listed = self.of_call(LOCAL).any(|one| one.items().any(|item| item["id"] == self.id));
            let beside = [exclusion::NOT_UTF8, exclusion::LEADS_NOWHERE].contains(&reason) || reason.starts_with(exclusion::NOT_LOOKED_AT);
            return beside && !is_listed;
        }
        match self.id.rsplit_once('@') {
            Some((whole, second)) => self.is_second_left_out(whole, second, reason),
            None => self.is_one_left_out(self.id, reason),
        }
    }

    fn of_call(&self, call: &str) -> impl Iterator<Item = &Listing<'_>> {
        self.known.listings.iter().filter(move |one| one.call == call)
    }

    fn is_withheld(&self, calls: &[&str]) -> bool {
        self.known.withheld.iter().any(|label| label.split(' ').next().is_some_and(|call| calls.contains(&call)))
    }

    /// The label of the window of a continuous backup of an instance, by each vault that lists it.
    fn windows_of(&self, id: &str) -> impl Iterator<Item = String> {
        let is_it =
            move |item: &&Value| item["arn"].as_str().is_some_and(|arn| arn.contains(CONTINUOUS_POINT) && PointId::arn(arn).0 == id);
        let listed = self.of_call(VAULT).flat_map(move |one| one.items().filter(is_it).map(move |item| (one, item)));
        let instance = |of: &Value| of.as_str().filter(|of| of.starts_with("arn:aws:rds:")).map(|of| arn::service_name(of).to_owned());
        listed.filter_map(move |(one, item)| Some(label(AUTOMATED, &instance(&item["resource_arn"])?, one.region())))
    }

    /// What a service lists one by one.
    fn is_one_left_out(&self, id: &str, reason: &str) -> bool {
        if exclusion::is_window_unlisted(reason) {
            return self
                .windows_of(id)
                .next()
                .map_or_else(|| self.is_withheld(&[VAULT]), |window| !self.known.labels.contains_key(&window));
        }
        if reason == exclusion::NO_WINDOW {
            let is_null =
                |window: &String| self.known.listings.iter().find(|one| one.label == *window).is_none_or(|one| one.answer.is_null());
            let is_none = |window: String| self.known.labels.contains_key(&window) && is_null(&window);
            return self.windows_of(id).next().map_or_else(|| self.is_withheld(&[VAULT]), is_none);
        }
        let items = || self.listed.get(id).into_iter().flatten().copied();
        if items().next().is_none() {
            // It was listed where nobody can look any more, or by nobody: then nothing is hidden.
            return is_of_state(reason) || reason == exclusion::NO_SECOND || is_of_another(reason);
        }
        items().any(|(listing, item)| reasons(listing, item).iter().any(|expected| expected == reason))
            || items().any(|(_, item)| item["status"].is_null()) && is_of_state(reason)
            || reason == exclusion::NO_SECOND && self.has_no_second(id)
    }

    /// A bucket's continuous backup of which no second is there.
    fn has_no_second(&self, id: &str) -> bool {
        let prefix = format!("{id}@");
        let has_one = self.ids.range(prefix.as_str()..).next().is_some_and(|id| id.starts_with(&prefix));
        id.contains(CONTINUOUS_POINT) && !has_one
    }

    /// One second of what is restored to any of a window.
    fn is_second_left_out(&self, whole: &str, second: &str, reason: &str) -> bool {
        if second == "latest" {
            return reason == exclusion::NO_LATEST_OF_S3 && whole.contains(CONTINUOUS_POINT);
        }
        let Ok(at) = second.parse::<Timestamp>() else { return false };
        if reason == exclusion::LAST_SECOND {
            return self.is_last(whole, at);
        }
        if let Some(rest) = reason.strip_prefix("outside the window from ") {
            return self.is_outside(whole, at, rest, reason);
        }
        if let Some(bucket) = whole.strip_prefix("arn:aws:s3:::") {
            let is_future = eligibility_of("in the future").is_err_and(|why| why == reason);
            let answers = || self.of_call(VERSIONING).filter(|one| one.of == bucket).filter_map(|one| one.answer.as_str());
            let versioned =
                |answer: &str| answer != "Enabled" && eligibility_of(&format!("versioning {answer}")).is_err_and(|why| why == reason);
            return is_future && self.is_about_now(at)
                || answers().any(versioned)
                || self.is_withheld(&[VERSIONING]) && reason.starts_with("versioning ") && is_of_state(reason);
        }
        // The state of the continuous backup that it is a second of.
        let is_listed = self.of_call(VAULT).any(|one| one.items().any(|item| item["arn"] == whole));
        if is_listed { self.is_one_left_out(whole, reason) } else { self.is_withheld(&[VAULT]) && is_of_state(reason) }
    }

    /// The end of a table's window, beside other seconds of it.
    fn is_last(&self, table: &str, at: Timestamp) -> bool {
        let of_table = self.of_call(CONTINUOUS).filter(|one| one.answer["table_arn"] == table);
        let mut latest = of_table.filter_map(|one| one.answer["latest"].as_str()?.parse::<Timestamp>().ok());
        let prefix = format!("{table}@");
        let has_others = self.ids.range(prefix.as_str()..).next().is_some_and(|id| id.starts_with(&prefix));
        (latest.any(|latest| latest.as_secs() == at.as_secs()) || self.is_withheld(&[CONTINUOUS])) && has_others
    }

    /// Outside a window that was listed; that of a bucket's continuous backup ends when it is listed.
    fn is_outside(&self, whole: &str, at: Timestamp, rest: &str, reason: &str) -> bool {
        let bounds = rest.split_once(' ').and_then(|(from, rest)| {
            let to = rest.strip_prefix("to ")?.split(": ").next()?;
            Some((from.parse::<Timestamp>().ok()?, to.parse::<Timestamp>().ok()?))
        });
        let Some((earliest, latest)) = bounds else { return false };
        let is_so = !(earliest..=latest).contains(&at) && eligibility_of(&outside(earliest, latest)).is_err_and(|why| why == reason);
        let time = |value: &Value| value.as_str()?.parse::<Timestamp>().ok();
        let window = |one: &Listing<'_>| match one.call.as_str() {
            AUTOMATED => time(&one.answer[0]).zip(time(&one.answer[1])),
            CONTINUOUS => time(&one.answer["earliest"]).zip(time(&one.answer["latest"])),
            _ => None,
        };
        let is_window = self.known.listings.iter().filter_map(window).any(|window| window == (earliest, latest));
        let is_bucket = |item: &Value| {
            item["arn"] == whole && item["resource_arn"].as_str().is_some_and(|of| of.starts_with("arn:aws:s3:")) && {
                time(&item["created_at"]).unwrap_or(Timestamp(0)) == earliest
            }
        };
        let is_of_bucket = || self.of_call(VAULT).any(|one| one.items().any(is_bucket)) && self.is_about_now(latest);
        is_so && (is_window || is_of_bucket() || self.is_withheld(&[AUTOMATED, CONTINUOUS, VAULT]))
    }

    /// No earlier than the listing: S3 states dates in whole seconds, and its latest second is one that is over.
    fn is_about_now(&self, at: Timestamp) -> bool {
        at.plus_secs(LATEST_IS_OVER_S) >= self.began
    }
}

/// Whether it is what some state is answered with.
fn is_of_state(reason: &str) -> bool {
    let ends = [": not complete yet", ": being deleted", ": not a state that can be restored"];
    let stated = ends.iter().find_map(|end| reason.strip_suffix(end)).or_else(|| reason.split(": ").next());
    stated.is_some_and(|state| eligibility_of(state).is_err_and(|why| why == reason))
}

/// Whether it is what a point of something else is left out for.
fn is_of_another(reason: &str) -> bool {
    ["RDS", "DynamoDB"]
        .iter()
        .filter_map(|service| reason.strip_prefix(service))
        .any(|rest| rest.starts_with(" says that it is of the ") || rest.starts_with(" does not say of which "))
}
