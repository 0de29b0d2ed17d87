//! A population against the raw listings that it was made from, where the evidence has them: what a service listed of the drill's resources is in
//! the population, or excluded with its reason. A point that nobody mentions is one that nobody drills.
//!
//! Not here: whether the listings are true, and what makes a point eligible (`model::recovery_point`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::model::arn;
use crate::model::capture::CaptureMode;
use crate::model::clock::Timestamp;
use crate::model::exclusion;
use crate::model::ids::PointId;
use crate::model::resource::{PointSource, ResourceKind};
use crate::testing_log::body::{DrillPlanned, Excluded, PopulationCommitted};
use crate::testing_log::entry::Body;
use crate::testing_log::result_version::RESULT_VERSION;
use crate::testing_log::store::LogDir;
use crate::testing_log::verify::demands::{Demands, PointsDemanded};
use crate::testing_log::verify::drills::Drill;
use crate::testing_log::verify::fault::{Faults, Rule};
use crate::testing_log::verify::known::Known;
use crate::testing_log::verify::listing::{
    AUTOMATED, BACKUPS, CONTINUOUS, CONTINUOUS_POINT, Found, INSTANCE, LOCAL, Listing, SNAPSHOTS, VAULT, VERSIONING,
};
use crate::testing_log::verify::reading::Reading;
use crate::testing_log::verify::{engines, excluded, made, named_twice, seconds_asked, stated_of_points, unlisted};

/// Checks the population of a drill whose plan promises that what it writes states all; `demands` are those of its configuration.
pub fn check(dir: &LogDir, reading: &Reading, drill: &Drill<'_>, demands: Option<&Demands>, faults: &mut Faults) {
    let plan = drill.plans.first().map(|plan| plan.body);
    let Some(population) = drill.populations.first().filter(|_| plan.is_some_and(DrillPlanned::promises_all)) else { return };
    let (body, answers) = (population.body, plan.is_some_and(DrillPlanned::answers_for_unlisted));
    // A configuration without resources is none that a drill was held under.
    let demands = demands.filter(|demands| !demands.resources.is_empty());
    let (listings, withheld) = at_hand(dir, population.leaf, body, faults);
    match demands {
        Some(demands) => unlisted::check((population.leaf, body), demands, &listings, answers, faults),
        None => faults
            .unheld(population.leaf, "its configuration is withheld, or names no resource: whether all of them were listed is not known"),
    }
    let known = Known { demands, listings: &listings, withheld: &withheld, labels: &body.listings };
    excluded::check(population, &known, faults);
    if answers {
        stated_of_points::check(drill, &known, faults);
        seconds_asked::check(population, reading, &known, faults);
        drill.results.iter().for_each(|result| engines::check(dir, result, faults));
        made::check(dir, drill, &listings, faults);
    }
    if let Some(plan) = plan.filter(|plan| plan.answers_for_shared()) {
        named_twice::check((population.leaf, body), !plan.knows_twins(), &known, faults);
    }
    if let Some(version) = plan.and_then(|plan| plan.result_version).filter(|version| *version < RESULT_VERSION) {
        faults.unheld(
            population.leaf,
            format!("its plan promises what version {version} of results states, of {RESULT_VERSION}: it is held to no more than that"),
        );
    }
    let registered = reading.entries.iter().take_while(|(leaf, _)| *leaf < population.leaf).filter_map(|(_, entry)| match &entry.body {
        Body::ManifestRegistered(body) if body.mode != CaptureMode::FirstRestore => body.recovery_point_id.as_ref(),
        _ => None,
    });
    let seen = Seen { ids: named_in(body), body, answers, listings, demands, registered: registered.collect() };
    for listing in &seen.listings {
        for lacking in seen.lacking(listing) {
            let label = listing.label;
            let message = format!("`{lacking}` is in the listing `{label}`, and neither in the population nor excluded with a reason");
            faults.at(Rule::PopulationLacksListed, population.leaf, message);
        }
    }
}

/// The listings that are what they are called, and the names of those that are withheld, which is said.
fn at_hand<'a>(dir: &LogDir, leaf: u64, body: &'a PopulationCommitted, faults: &mut Faults) -> (Vec<Listing<'a>>, Vec<&'a str>) {
    let (mut listings, mut withheld) = (Vec::new(), Vec::new());
    for (label, digest) in &body.listings {
        match Listing::read(dir, label, digest) {
            Found::There(listing) => listings.push(listing),
            Found::Withheld => {
                faults.unheld(leaf, format!("the listing `{label}` is withheld: the population could not be held to it"));
                withheld.push(label.as_str());
            }
            Found::Another(what) => faults.at(Rule::ListingDiffers, leaf, format!("the evidence of the listing `{label}` is {what}")),
        }
    }
    (listings, withheld)
}

fn named_in(body: &PopulationCommitted) -> BTreeSet<&str> {
    let excluded = body.excluded.iter().map(|one| one.id.as_str());
    body.population.iter().map(|item| item.id.0.as_str()).chain(excluded).collect()
}

/// What the population says, and what is known beside it.
struct Seen<'a> {
    ids: BTreeSet<&'a str>,
    body: &'a PopulationCommitted,
    /// Whether what a listing has is owed whatever is said of its source.
    answers: bool,
    listings: Vec<Listing<'a>>,
    demands: Option<&'a Demands>,
    /// Points that manifests named before the population was committed.
    registered: Vec<&'a PointId>,
}

impl Seen<'_> {
    /// What a listing has and nobody mentions.
    fn lacking(&self, listing: &Listing<'_>) -> Vec<String> {
        let arns = |skip: &'static str| -> Vec<String> {
            let kept = listing.items().filter(move |item| item["kind"] != skip || !self.is_through_aws_backup(&listing.of));
            let arns = kept.filter_map(|item| item["arn"].as_str()).filter(|arn| !self.ids.contains(*arn));
            arns.map(|arn| PointId::arn(arn).0).filter(|id| !self.ids.contains(id.as_str())).collect()
        };
        match listing.call.as_str() {
            LOCAL => {
                let mut files: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
                for (id, file) in
                    listing.items().filter_map(|item| Some((item["id"].as_str()?, item["handle"].as_str().unwrap_or_default())))
                {
                    files.entry(id).or_default().insert(file);
                }
                let lacking = files.into_iter().filter(|(id, files)| !self.ids.contains(id) && !self.are_named_twice(id, files));
                lacking.map(|(id, _)| id.to_owned()).collect()
            }
            SNAPSHOTS => arns("awsbackup"),
            BACKUPS => arns("AWS_BACKUP"),
            VAULT => listing.items().flat_map(|item| self.of_vault(listing, item)).collect(),
            INSTANCE => {
                let arn = listing.answer["arn"].as_str().filter(|_| self.has_window(&listing.of, listing.region()));
                arn.map_or_else(Vec::new, |arn| self.seconds_of(arn, listing, PointSource::RdsPitr, None))
            }
            CONTINUOUS => {
                let time = |name: &str| listing.answer[name].as_str()?.parse::<Timestamp>().ok();
                let window = time("earliest").zip(time("latest"));
                let arn = listing.answer["table_arn"].as_str().filter(|_| window.is_some());
                arn.map_or_else(Vec::new, |arn| self.seconds_of(arn, listing, PointSource::DynamodbPitr, window))
            }
            VERSIONING if !listing.answer.is_null() => {
                self.seconds_of(&format!("arn:aws:s3:::{}", listing.of), listing, PointSource::S3Versions, None)
            }
            _ => Vec::new(),
        }
    }

    /// Files of one name are left out by where they lie, each of them.
    fn are_named_twice(&self, id: &str, files: &BTreeSet<&str>) -> bool {
        let id = PointId(id.to_owned());
        files.len() > 1 && files.iter().all(|file| self.ids.contains(exclusion::beside(&id, file).as_str()))
    }

    /// Resources that a service knows by this name, with their points from there.
    fn resources(&self, name: &str, from: PointSource) -> impl Iterator<Item = (&str, &PointsDemanded)> {
        let all = self.demands.into_iter().flat_map(|demands| &demands.resources);
        let named = all.filter(move |(_, resource)| arn::service_name(&resource.source) == name);
        named.flat_map(move |(id, resource)| {
            let points = resource.points.iter().filter(move |points| points.from == from.as_str());
            points.map(move |points| (id.as_str(), points))
        })
    }

    /// What AWS Backup made is listed by the service as well, and is the vault's where a vault is configured; unless it is known that none is.
    fn is_through_aws_backup(&self, name: &str) -> bool {
        self.demands.is_none() || self.resources(name, PointSource::AwsBackup).next().is_some()
    }

    /// Whether a resource was left out of this source as a whole, which stands among the exclusions: nobody restores it from there, or listing it
    /// failed.
    fn is_left_out(&self, id: &str, from: PointSource) -> bool {
        self.is_without_driver(id, from) || self.is_said(id, |one| is_unlisted(one, from))
    }

    fn is_without_driver(&self, id: &str, from: PointSource) -> bool {
        self.is_said(id, |one| is_without_driver(one, from))
    }

    fn is_said(&self, id: &str, what: impl Fn(&Excluded) -> bool) -> bool {
        let whole = exclusion::whole(id);
        self.body.excluded.iter().any(|one| one.id == whole && what(one))
    }

    /// What a vault lists of a resource: the point, or of a continuous one its seconds.
    fn of_vault(&self, listing: &Listing<'_>, item: &Value) -> Vec<String> {
        let (Some(point), Some(of)) = (item["arn"].as_str(), item["resource_arn"].as_str()) else { return Vec::new() };
        if !self.is_ours(listing, of) {
            return Vec::new();
        }
        let is_window = point.contains(CONTINUOUS_POINT) && !of.starts_with("arn:aws:dynamodb:");
        let id = PointId::arn(point).0;
        // A drill that answers for it leaves the point itself out then, with the reason.
        let has_none = || !self.answers && of.split(':').nth(2) == Some("rds") && !self.has_window(arn::service_name(of), listing.region());
        match is_window {
            _ if self.ids.contains(id.as_str()) => Vec::new(),
            true if self.has_seconds(&id) || has_none() => Vec::new(),
            true => vec![format!("{id}@…")],
            false => vec![id],
        }
    }

    /// Whether a resource of the drill has its points in this vault; without its configuration, whether another point of it is mentioned.
    fn is_ours(&self, listing: &Listing<'_>, of: &str) -> bool {
        let Some(demands) = self.demands else {
            let is_mentioned = |item: &Value| {
                let point = item["arn"].as_str().map(|arn| PointId::arn(arn).0);
                item["resource_arn"] == of && point.is_some_and(|id| self.ids.contains(id.as_str()) || self.has_seconds(&id))
            };
            let is_owed = self.answers || !self.body.excluded.iter().any(|one| of_source(one, PointSource::AwsBackup));
            return is_owed && listing.items().any(is_mentioned);
        };
        demands.resources.iter().any(|(id, resource)| {
            let kind = ResourceKind::ALL.iter().find(|kind| kind.as_str() == resource.kind);
            let here = |points: &PointsDemanded| {
                let is_vault = points.vault.as_deref() == Some(&listing.of) && points.region.as_deref() == listing.region();
                points.from == PointSource::AwsBackup.as_str() && is_vault
            };
            let is_its = kind.is_some_and(|kind| arn::is_of(*kind, &resource.source, of));
            let is_left_out = if self.answers { Self::is_without_driver } else { Self::is_left_out };
            is_its && resource.points.iter().any(here) && !is_left_out(self, id, PointSource::AwsBackup)
        })
    }

    /// Whether a second of a window is mentioned.
    fn has_seconds(&self, window: &str) -> bool {
        let prefix = format!("{window}@");
        self.ids.range(prefix.as_str()..).next().is_some_and(|id| id.starts_with(&prefix))
    }

    /// Whether an instance was listed with a window of times.
    fn has_window(&self, name: &str, region: Option<&str>) -> bool {
        let of_it = |one: &&Listing<'_>| one.call == AUTOMATED && one.of == name && one.region() == region;
        self.listings.iter().find(of_it).is_some_and(|one| !one.answer.is_null())
    }

    /// What nobody mentions of what a service restores to any second of a window: one second at least, those that the configuration names, and
    /// of a table those of its window that registered manifests name.
    fn seconds_of(&self, arn: &str, listing: &Listing<'_>, from: PointSource, window: Option<(Timestamp, Timestamp)>) -> Vec<String> {
        let asked: Vec<_> = self.resources(arn::service_name(arn), from).collect();
        // What one of them was refused another was given: somebody has listed what is at hand.
        let is_everybodys = self.answers && asked.iter().all(|(id, _)| self.is_left_out(id, from));
        let is_out = |id: &str| if is_everybodys { self.is_without_driver(id, from) } else { self.is_left_out(id, from) };
        let (out, here): (Vec<_>, Vec<_>) = asked.into_iter().partition(|(id, _)| is_out(id));
        let nobody_knows = self.demands.is_none() && self.body.excluded.iter().any(|one| of_source(one, from));
        if nobody_knows || !out.is_empty() && here.is_empty() {
            return Vec::new();
        }
        let whole = PointId::arn(arn).0;
        let here = here.iter().filter(|(_, points)| points.region.as_deref() == listing.region());
        let configured = here.flat_map(|(_, points)| &points.at).filter_map(|at| at.parse::<Timestamp>().ok());
        let named = self.registered.iter().filter(|id| window.is_some_and(|window| is_in(id, arn, window)));
        let wanted: BTreeSet<String> = configured.map(|at| PointId::at(arn, at).0).chain(named.map(|id| id.0.clone())).collect();
        let mut lacking: Vec<String> = wanted.into_iter().filter(|id| !self.ids.contains(id.as_str())).collect();
        if !self.has_seconds(&whole) {
            lacking.push(format!("{whole}@…"));
        }
        lacking
    }
}

/// Whether a manifest's point is a second of that window.
fn is_in(id: &PointId, arn: &str, (earliest, latest): (Timestamp, Timestamp)) -> bool {
    id.second_of(arn).is_some_and(|at| (earliest..=latest).contains(&at))
}

/// Whether an exclusion is of a whole resource as far as it comes from there.
fn of_source(one: &Excluded, from: PointSource) -> bool {
    one.id.starts_with("resource:") && (is_unlisted(one, from) || is_without_driver(one, from))
}

fn is_unlisted(one: &Excluded, from: PointSource) -> bool {
    let place = one.reason.strip_prefix("could not be listed in ");
    place.is_some_and(|rest| rest.split([' ', ':']).next() == Some(from.as_str()))
}

fn is_without_driver(one: &Excluded, from: PointSource) -> bool {
    one.reason.starts_with("untested: driver_absent") && one.reason.ends_with(from.as_str())
}
