//! Dates that services give what they make: a restore that is said to have begun later, or ended earlier, a clock that is said to be another, and
//! what is said to be created before it was asked for, or deleted before it was created.

use attestore::testing_log::entry::Body;
use attestore::testing_log::point_result::PointResult;
use attestore::testing_log::result_version::RESULT_VERSION;
use attestore::testing_log::verify::fault::Rule;
use serde_json::{Value, json};

use crate::promised::{INSTANCE, SECOND, TABLE, promised};
use crate::support::*;
use crate::tamper::How::{Owed, Story as Told};
use crate::tamper::owed::{VAULT, with};
use crate::tamper::{Tamper, all_end_in_their_fault};

/// A drill whose services date things by `raw`.
fn dated(story: &mut Story, raw: fn(&mut Value)) {
    (story.edit, story.raw) = (promised(), raw);
}

/// Puts the date at `pointer`, where there is one, so many seconds later.
fn later(raw: &mut Value, pointer: &str, seconds: i64) {
    let Some(value) = raw.pointer_mut(pointer) else { return };
    let at: attestore::model::clock::Timestamp = value.as_str().unwrap().parse().unwrap();
    *value = json!(at.plus_secs(seconds));
}

/// Dates what was taken down so many seconds after its restore was asked for, and its deletion.
fn taken_down(result: &mut PointResult, created_s: i64, deleted_s: i64) {
    let requested_at = result.restore.as_ref().unwrap().requested_at;
    let resource = &mut result.teardown.resources[0];
    (resource.created_at, resource.deleted_at) = (requested_at.plus_secs(created_s), Some(requested_at.plus_secs(deleted_s)));
}

pub fn made() -> Vec<Tamper> {
    use Rule::{FactDiffers, MadeOutsideRestore};
    vec![
        ("create a table before it was asked for", FactDiffers, Owed(TABLE, |r| taken_down(r, -360, 0))),
        ("create a bucket before the drill began", FactDiffers, Owed(VAULT, |r| taken_down(r, -360, 0))),
        ("delete an instance before it was created", FactDiffers, Owed(INSTANCE, |r| taken_down(r, 100, 30))),
        ("delete an instance before it was read", FactDiffers, Owed(SECOND, |r| taken_down(r, -50, -100))),
        ("ask for a job after it began", MadeOutsideRestore, Told(|story| dated(story, |raw| later(raw, "/restore_job/created_at", -600)))),
        ("end before the job did", MadeOutsideRestore, Told(|story| dated(story, |raw| later(raw, "/restore_job/completed_at", 600)))),
        (
            "ask for an instance after it was made",
            MadeOutsideRestore,
            Told(|story| dated(story, |raw| later(raw, "/db_instance/created_at", -600))),
        ),
        (
            "end before an instance was made",
            MadeOutsideRestore,
            Told(|story| dated(story, |raw| later(raw, "/created/db_instance/created_at", 600))),
        ),
        ("ask for a table after it was made", MadeOutsideRestore, Told(|story| dated(story, |raw| later(raw, "/table/created_at", -600)))),
        (
            "restore into a bucket of before",
            MadeOutsideRestore,
            Told(|story| dated(story, |raw| later(raw, "/created/bucket/created_at", -600))),
        ),
    ]
}

#[test]
fn a_restore_that_its_service_dates_otherwise_ends_in_its_named_fault() {
    all_end_in_their_fault(made());
    // Whole seconds, an answer's way, a clock that was set by a little.
    for seconds in [-50, 50] {
        let raw: fn(&mut Value) =
            if seconds < 0 { |raw| later(raw, "/table/created_at", -50) } else { |raw| later(raw, "/table/created_at", 50) };
        assert_eq!(build(Story { edit: promised(), raw, ..Story::default() }).names(), [] as [&str; 0], "{seconds}");
    }
}

/// Clocks are set by a little; and earlier versions promised nothing of these dates.
#[test]
fn a_teardown_is_held_to_its_dates_where_the_plan_promises_them() {
    type Change = fn(&mut PointResult);
    let changes: [(Change, u32); 3] =
        [(|r| taken_down(r, -50, -40), RESULT_VERSION), (|r| taken_down(r, 50, 0), RESULT_VERSION), (|r| taken_down(r, -360, -400), 6)];
    for (change, version) in changes {
        let mut changed = with(TABLE, change);
        let edit = Box::new(move |body: &mut Body, nth| {
            changed(body, nth);
            if let Body::DrillPlanned(plan) = body {
                plan.result_version = Some(version);
            }
        });
        assert_eq!(build(Story { edit, ..Story::default() }).names(), [] as [&str; 0], "{version}");
    }
}

/// Every date of a service that is so far ahead.
fn all_later(raw: &mut Value, seconds: i64) {
    for pointer in ["/restore_job/created_at", "/restore_job/completed_at", "/db_instance/created_at", "/created/db_instance/created_at"] {
        later(raw, pointer, seconds);
    }
    ["/table/created_at", "/created/bucket/created_at"].iter().for_each(|pointer| later(raw, pointer, seconds));
}

/// The names of what a drill breaks that tells of such a clock and counts by it.
fn told(ahead_s: Option<i64>, raw: fn(&mut Value), listed: Option<Value>) -> Vec<&'static str> {
    let mut honest = promised();
    let listing =
        listed.map(|answer| json!({"call": "rds:DescribeDBInstanceAutomatedBackups", "of": "other", "answer": answer}).to_string());
    let digest = listing.as_ref().map(|text| attestore::model::digest::Sha256Digest::of(text.as_bytes()));
    let edit = move |body: &mut Body, nth: usize| {
        honest(body, nth);
        match body {
            Body::PopulationCommitted(population) => {
                population.service_ahead_ms = ahead_s.map(|s| s * 1000);
                population.listings.extend(digest.map(|digest| ("rds:DescribeDBInstanceAutomatedBackups other".to_owned(), digest)));
            }
            Body::PointResult(result) => {
                // A `Date` is cut to whole seconds.
                let more = ahead_s.filter(|s| *s != 0).map_or(0, |s| s * 1000 + 1000);
                result.rpo.achieved_ms = result.rpo.achieved_ms.map(|ms| ms.checked_add_signed(more).unwrap());
            }
            _ => {}
        }
    };
    let world = build(Story { edit: Box::new(edit), raw, ..Story::default() });
    if let Some(text) = listing {
        world.log().put_evidence(text.as_bytes()).unwrap();
    }
    world.names()
}

#[test]
fn a_clock_that_makes_points_younger_is_one_that_their_service_goes_by() {
    const DATELESS: fn(&mut Value) = |raw| raw.as_object_mut().unwrap().retain(|name, _| name == "engine_versions");
    let (rpo, made) = ([Rule::RpoDiffers.as_str()], [Rule::MadeOutsideRestore.as_str()]);
    assert_eq!(told(Some(-1800), |raw| all_later(raw, -1800), None), [] as [&str; 0], "it is behind");
    assert_eq!(told(Some(-1800), |_| {}, None), rpo, "it is not");
    assert_eq!(told(Some(1800), |_| {}, None), [] as [&str; 0], "older than it is, by a clock that another service goes by");
    assert_eq!(told(Some(-1800), |raw| all_later(raw, -900), None), made, "neither");
    assert_eq!(told(None, |raw| all_later(raw, -1800), None), [] as [&str; 0], "nobody knows");
    assert_eq!(told(Some(-1800), DATELESS, None), [] as [&str; 0]);
    let window = |to: &str| Some(json!(["2026-01-01T00:00:00.000Z", to]));
    assert_eq!(told(Some(-1800), DATELESS, window("2026-02-01T01:30:00.000Z")), [] as [&str; 0]);
    assert_eq!(told(Some(-1800), DATELESS, window("2026-02-01T02:00:00.000Z")), rpo, "listed before it was");
}

/// Where nobody knows what the services' clock was, nothing is held to their dates, and that is said.
#[test]
fn a_clock_that_nobody_knows_is_told() {
    for (knows, said) in [(true, false), (false, true)] {
        let mut honest = promised();
        let edit = Box::new(move |body: &mut Body, nth| {
            honest(body, nth);
            if let Body::PopulationCommitted(population) = body {
                population.service_ahead_ms = population.service_ahead_ms.filter(|_| knows);
            }
        });
        let verdict = build(Story { edit, ..Story::default() }).verdict(&Default::default());
        let is_said = verdict.unheld.iter().any(|unheld| unheld.message.contains("what AWS's clock was"));
        assert_eq!((verdict.faults.len(), is_said), (0, said));
    }
}
