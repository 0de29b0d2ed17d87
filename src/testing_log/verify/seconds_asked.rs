//! Seconds of what is restored to any of a window: each is within the window that its listing states, and one that the configuration, a registered
//! manifest or the end of the window names. A second of one's own choice would be as young as one likes.
//!
//! Not here: whether what was restored is of that second (`second`), and which seconds are owed (`listed`).

use std::collections::BTreeSet;

use serde_json::Value;

use crate::model::arn;
use crate::model::capture::CaptureMode;
use crate::model::clock::Timestamp;
use crate::model::ids::PointId;
use crate::model::resource::{PointSource, ResourceKind};
use crate::testing_log::body::{PopulationCommitted, PopulationItem};
use crate::testing_log::entry::Body;
use crate::testing_log::verify::drills::Placed;
use crate::testing_log::verify::excluded::LATEST_IS_OVER_S;
use crate::testing_log::verify::fault::{Faults, Rule};
use crate::testing_log::verify::known::Known;
use crate::testing_log::verify::listing::{AUTOMATED, Asked, CONTINUOUS, CONTINUOUS_POINT, label};
use crate::testing_log::verify::reading::Reading;
use crate::testing_log::verify::reference;

/// What a configuration calls the last second of a window.
const LATEST: &str = "latest";

/// Checks the seconds of a population; nothing where its configuration is withheld.
pub fn check(population: &Placed<'_, PopulationCommitted>, reading: &Reading, known: &Known<'_>, faults: &mut Faults) {
    let before = reading.entries.iter().take_while(|(leaf, _)| *leaf < population.leaf);
    let named: BTreeSet<&PointId> = before
        .filter_map(|(_, entry)| match &entry.body {
            Body::ManifestRegistered(body) if body.mode != CaptureMode::FirstRestore => body.recovery_point_id.as_ref(),
            _ => None,
        })
        .collect();
    let began = population.body.deadline_at.plus_secs(-reference::DEADLINE_S).min(population.entry.at);
    let listing = Moment { from: began.plus_secs(-LATEST_IS_OVER_S), to: population.entry.at };
    for item in population.body.population.iter().filter(|item| !item.id.0.starts_with("file:")) {
        let Some(at) = item.id.0.rsplit_once('@').and_then(|(_, at)| at.parse::<Timestamp>().ok()) else { continue };
        let Some(sources) = sources(item, known) else { continue };
        let whole = item.id.0.rsplit_once('@').map_or("", |(whole, _)| whole);
        let names_one = |asked: &Asked<'_>| {
            let mut seconds = named.iter().filter_map(|id| id.second_of(whole));
            seconds.any(|second| is_within(asked, second, known))
        };
        let is_asked = |asked: &&Asked<'_>| {
            let is_named = || named.contains(&item.id) && is_within(asked, at, known);
            is_configured(asked, at, known) || is_named() || is_last(asked, at, known, &listing, &|| names_one(asked))
        };
        // Of a bucket no listing states an end: it is the moment of listing.
        let is_future = sources.iter().any(|asked| asked.kind == ResourceKind::S3) && at > listing.to;
        let mut of_seconds = sources.iter().filter(|asked| has_seconds(asked.from, whole));
        faults.demand(!is_future && of_seconds.any(|asked| is_asked(&asked)), Rule::PopulationNotListed, population.leaf, || {
            format!(
                "`{}`: neither the configuration nor a manifest nor a listing names this second, or it is outside of its window",
                item.id
            )
        });
    }
}

/// Where the points of its resource come from; nothing where that is not known, or of a later version.
fn sources<'a>(item: &'a PopulationItem, known: &Known<'a>) -> Option<Vec<Asked<'a>>> {
    let resource = known.demands?.resources.get(&item.resource.0)?;
    let asked: Vec<Asked<'_>> = Asked::of(&item.resource.0, resource).collect();
    (asked.len() == resource.points.len()).then_some(asked)
}

/// Whether a source gives seconds of what is named so: a vault those of its own continuous backups, the others those of the resource itself.
fn has_seconds(from: PointSource, whole: &str) -> bool {
    match from {
        PointSource::AwsBackup => whole.contains(CONTINUOUS_POINT),
        PointSource::RdsPitr | PointSource::DynamodbPitr | PointSource::S3Versions => !whole.contains(CONTINUOUS_POINT),
        _ => false,
    }
}

/// When a population was listed, by its drill's own clock: no earlier, and no later.
struct Moment {
    from: Timestamp,
    to: Timestamp,
}

fn whole(at: Timestamp) -> Timestamp {
    Timestamp::from_secs(at.as_secs())
}

/// A second of the window that the configuration names.
fn is_configured(asked: &Asked<'_>, at: Timestamp, known: &Known<'_>) -> bool {
    let mut configured = asked.points.at.iter().filter_map(|at| at.parse::<Timestamp>().ok());
    configured.any(|one| whole(one) == whole(at)) && is_within(asked, at, known)
}

/// The last second of the window, where the configuration wants it or names none; of a table, where no manifest names one either.
fn is_last(asked: &Asked<'_>, at: Timestamp, known: &Known<'_>, listing: &Moment, names_one: &dyn Fn() -> bool) -> bool {
    let is_wanted = asked.points.at.iter().any(|at| at == LATEST);
    if !is_wanted && (!asked.points.at.is_empty() || asked.from == PointSource::DynamodbPitr && names_one()) {
        return false;
    }
    match window(asked, known) {
        Window::Known(_, latest) => whole(latest) == whole(at),
        Window::Withheld => true,
        // Of a bucket it is about the moment of listing, which no listing states.
        Window::None => asked.from == PointSource::S3Versions && (listing.from..=listing.to).contains(&at),
    }
}

fn is_within(asked: &Asked<'_>, at: Timestamp, known: &Known<'_>) -> bool {
    match window(asked, known) {
        Window::Known(earliest, latest) => (earliest..=latest).contains(&at),
        Window::Withheld => true,
        Window::None => asked.kind == ResourceKind::S3,
    }
}

/// The times that a source can be restored to, as its listing states them.
enum Window {
    Known(Timestamp, Timestamp),
    Withheld,
    None,
}

fn window(asked: &Asked<'_>, known: &Known<'_>) -> Window {
    let call = match asked.kind {
        ResourceKind::Dynamodb => CONTINUOUS,
        ResourceKind::RdsMysql | ResourceKind::RdsPostgres => AUTOMATED,
        // An instance may have the name of a bucket.
        _ => return Window::None,
    };
    let name = label(call, arn::service_name(asked.source), asked.points.region.as_deref());
    if known.withheld.contains(&name.as_str()) {
        return Window::Withheld;
    }
    let time = |value: &Value| value.as_str()?.parse::<Timestamp>().ok();
    let bounds = |answer: &Value| match call {
        CONTINUOUS => time(&answer["earliest"]).zip(time(&answer["latest"])),
        _ => time(&answer[0]).zip(time(&answer[1])),
    };
    let listed = known.listings.iter().find(|one| one.label == name).and_then(|one| bounds(&one.answer));
    listed.map_or(Window::None, |(earliest, latest)| Window::Known(earliest, latest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing_log::verify::demands::{PointsDemanded, ResourceDemanded};
    use crate::testing_log::verify::listing::Listing;

    fn asks(kind: &str, from: &str, configured: &[&str], listed: &[Listing<'_>], withheld: &[&str], at: &str) -> bool {
        let at_of = configured.iter().map(|at| (*at).to_owned()).collect();
        let points = PointsDemanded { from: from.into(), at: at_of, ..PointsDemanded::default() };
        let resource = ResourceDemanded { kind: kind.into(), source: "crm".into(), points: vec![points], ..Default::default() };
        let labels = std::collections::BTreeMap::new();
        let known = Known { demands: None, listings: listed, withheld, labels: &labels };
        let at: Timestamp = at.parse().unwrap();
        let noon: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let listing = Moment { from: noon.plus_secs(-3), to: noon.plus_secs(3) };
        let is_last = |asked: &Asked<'_>| is_last(asked, at, &known, &listing, &|| false);
        Asked::of("crm", &resource).any(|asked| is_configured(&asked, at, &known) || is_last(&asked))
    }

    #[test]
    fn a_second_is_one_that_was_asked_for() {
        let (label, table) = (format!("{AUTOMATED} crm"), format!("{CONTINUOUS} crm"));
        let answer = serde_json::json!(["2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.500Z"]);
        let of_table = serde_json::json!({"earliest": "2026-01-01T00:00:00.000Z", "latest": "2026-01-02T00:00:00.500Z"});
        let listing = |label, answer| [Listing { label, call: String::new(), of: "crm".into(), answer }];
        let listed = listing(label.as_str(), answer);
        let (noon, last, after) = ("2026-01-01T12:00:00Z", "2026-01-02T00:00:00Z", "2026-01-02T00:00:01Z");
        for from in ["rds-pitr", "aws-backup"] {
            let asks = |configured: &[&str], at| asks("rds-postgres", from, configured, &listed, &[], at);
            assert!(asks(&[], last) && asks(&["latest"], last) && asks(&[noon], noon));
            assert!(!asks(&[], noon) && !asks(&[], after) && !asks(&[after], after));
            assert!(!asks(&[noon], last) && asks(&[noon, "latest"], last), "nobody wants the last one");
        }
        assert!(!asks("rds-postgres", "rds-pitr", &[noon], &[], &[], noon), "no window was listed");
        assert!(asks("rds-postgres", "rds-pitr", &[], &[], &[&label], noon), "withheld");
        let listed = listing(table.as_str(), of_table);
        assert!(
            asks("dynamodb", "dynamodb-pitr", &[noon], &listed, &[], noon) && !asks("dynamodb", "dynamodb-pitr", &[], &listed, &[], noon)
        );
        let of_instance = serde_json::json!(["2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.500Z"]);
        assert!(asks("s3", "s3-versions", &[], &listing(label.as_str(), of_instance), &[], noon), "about the moment of listing");
        assert!(!asks("s3", "s3-versions", &[], &[], &[], last) && !asks("s3", "s3-versions", &[last], &[], &[], noon));
        assert!(asks("s3", "s3-versions", &[last, "latest"], &[], &[], noon) && asks("s3", "s3-versions", &[last], &[], &[], last));
        assert!(asks("s3", "aws-backup", &[noon], &[], &[], noon) && !asks("s3", "aws-backup", &[], &[], &[], noon));
    }

    #[test]
    fn only_sources_of_seconds_give_them_and_of_their_own_points() {
        let (continuous, instance) = ("arn:aws:backup:eu-west-2:1:recovery-point:continuous:x", "arn:aws:rds:eu-west-2:1:db:crm");
        for from in PointSource::ALL {
            let expected = match from {
                PointSource::AwsBackup => (true, false),
                PointSource::RdsPitr | PointSource::DynamodbPitr | PointSource::S3Versions => (false, true),
                PointSource::RdsSnapshot | PointSource::DynamodbBackup | PointSource::Local => (false, false),
            };
            assert_eq!((has_seconds(*from, continuous), has_seconds(*from, instance)), expected, "{from}");
        }
    }
}
