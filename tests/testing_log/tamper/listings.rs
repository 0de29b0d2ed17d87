//! Populations that leave out what the listings in their evidence have, and results that leave out what their class wants tried.

use attestore::model::digest::Sha256Digest;
use attestore::model::outcome::Outcome;
use attestore::testing_log::body::*;
use attestore::testing_log::entry::Body;
use attestore::testing_log::point_result::*;
use attestore::testing_log::result_version::RESULT_VERSION;
use attestore::testing_log::verify::fault::Rule;
use attestore::testing_log::verify::verdict::VerifyOptions;
use serde_json::{Value, json};

use crate::promised::{INSTANCE, TABLE, promised};
use crate::support::*;
use crate::tamper::How::Story as Told;
use crate::tamper::{Tamper, all_end_in_their_fault};

/// An honest drill whose population is changed by `change`.
fn committing(change: impl Fn(&mut PopulationCommitted) + 'static) -> Edit {
    let mut honest = promised();
    Box::new(move |body, nth| {
        honest(body, nth);
        if let Body::PopulationCommitted(population) = body {
            change(population);
        }
    })
}

/// Says something else of every point of the bucket.
fn stating(story: &mut Story, change: fn(&mut RpFacts)) {
    let mut honest = promised();
    story.edit = Box::new(move |body, nth| {
        honest(body, nth);
        if let Body::PointResult(result) = body
            && result.resource.0 == "vault"
        {
            change(&mut result.rp);
        }
    });
    story.config = BUCKET.into();
}

pub fn listings() -> Vec<Tamper> {
    vec![
        (
            "leave out a point that was listed",
            Rule::PopulationLacksListed,
            Told(|story| {
                story.edit = committing(|population| {
                    population.population.retain(|item| !item.id.0.ends_with("vault-2"));
                    population.strata.iter_mut().find(|stratum| stratum.name == "files").unwrap().size -= 1;
                })
            }),
        ),
        (
            "say nothing of a point that has expired",
            Rule::PopulationLacksListed,
            Told(|story| story.edit = committing(|population| population.excluded.clear())),
        ),
        (
            "leave a listing out",
            Rule::ListingMissing,
            Told(|story| {
                story.edit = promised();
                story.config = ledger("{ from = \"rds-snapshot\" }").into_bytes();
            }),
        ),
        (
            "draw a point that nobody listed",
            Rule::PopulationNotListed,
            Told(|story| {
                let mut honest = promised();
                story.edit = Box::new(move |body, nth| {
                    if let Body::PopulationCommitted(population) = body {
                        population.population.iter_mut().for_each(|item| another(item, "vault-3"));
                    }
                    honest(body, nth);
                });
                story.config = BUCKET.into();
            }),
        ),
        (
            "call a vault locked that is not",
            Rule::FactDiffers,
            Told(|story| {
                let mut honest = promised();
                story.edit = Box::new(move |body, nth| {
                    honest(body, nth);
                    if let Body::PointResult(result) = body {
                        result.rp.vault_locked = Some(false);
                    }
                });
                story.config = BUCKET.into();
            }),
        ),
        ("call a point plain that is encrypted", Rule::FactDiffers, Told(|story| stating(story, |point| point.encrypted = Some(false)))),
        ("call a point larger than it is", Rule::FactDiffers, Told(|story| stating(story, |point| point.size_bytes = Some(1 << 30)))),
        (
            "call a point one of another bucket",
            Rule::FactDiffers,
            Told(|story| stating(story, |point| point.source_resource_arn = Some("arn:aws:s3:::photos".into()))),
        ),
        ("find a point in another vault", Rule::FactDiffers, Told(|story| stating(story, |point| point.vault = Some("weekly".into())))),
        (
            "call another resource's point one's own",
            Rule::PopulationNotListed,
            Told(|story| {
                story.edit = promised();
                story.config = BUCKET.replace("source = \"vault\"", "source = \"photos\"").into();
            }),
        ),
        (
            "make a point younger than its listing says",
            Rule::PointTimeDiffers,
            Told(|story| {
                story.edit = committing(|population| {
                    let item = population.population.iter_mut().find(|item| item.id.0.ends_with("vault-4")).unwrap();
                    item.created_at = item.created_at.plus_secs(60);
                });
                story.config = BUCKET.into();
            }),
        ),
        (
            "call one listing another",
            Rule::ListingDiffers,
            Told(|story| {
                story.edit = committing(|population| {
                    let vault = *population.listings.values().next().unwrap();
                    population.listings.insert("rds:DescribeDBSnapshots crm".into(), vault);
                })
            }),
        ),
        (
            "leave a point out for a reason of one's own",
            Rule::ExclusionDiffers,
            Told(|story| story.edit = committing(|population| population.excluded[0].reason = "too old".into())),
        ),
    ]
}

#[test]
fn what_was_listed_is_drilled_or_excluded() {
    all_end_in_their_fault(listings());
}

/// The configuration of the bucket whose listing is at hand.
const BUCKET: &str = "version = 1\n[[resource]]\nid = \"vault\"\nkind = \"s3\"\nsource = \"vault\"\n\
                      points = [{ from = \"aws-backup\", vault = \"nightly\" }]\n";

/// Gives a point whose name ends so another name, which sorts as it did.
fn another(item: &mut PopulationItem, end: &str) {
    if item.id.0.ends_with(end) {
        item.id.0.push('x');
    }
}

const LEDGER: &str = "arn:aws:rds:eu-west-2:111122223333:db:ledger";

/// A configuration of one instance.
fn ledger(points: &str) -> String {
    of_kind("rds-postgres", points)
}

fn of_kind(kind: &str, points: &str) -> String {
    format!("version = 1\n[[resource]]\nid = \"ledger\"\nkind = \"{kind}\"\nsource = \"ledger\"\npoints = [{points}]\n")
}

/// What a log breaks whose honest population has these listings and leaves these out, under the configuration `config`.
fn breaks(listed: &[(&str, &str, Value)], excluded: &[(&str, &str)], config: &str) -> Vec<&'static str> {
    breaks_of(RESULT_VERSION, listed, excluded, config)
}

/// The same of a drill of that version.
fn breaks_of(version: u32, listed: &[(&str, &str, Value)], excluded: &[(&str, &str)], config: &str) -> Vec<&'static str> {
    world(version, listed, excluded, config).names()
}

fn world(version: u32, listed: &[(&str, &str, Value)], excluded: &[(&str, &str)], config: &str) -> World {
    let kept = listed.iter().map(|(call, of, answer)| {
        (format!("{call} {of}"), serde_json::to_vec(&json!({"call": call, "of": of, "answer": answer})).unwrap())
    });
    let kept: Vec<(String, Vec<u8>)> = kept.collect();
    let digests: Vec<_> = kept.iter().map(|(label, bytes)| (label.clone(), Sha256Digest::of(bytes))).collect();
    let excluded: Vec<_> = excluded.iter().map(|(id, reason)| Excluded { id: (*id).into(), reason: (*reason).into() }).collect();
    let mut commit = committing(move |population| {
        population.listings.extend(digests.clone());
        population.excluded.extend(excluded.clone());
    });
    let edit = Box::new(move |body: &mut Body, nth| {
        commit(body, nth);
        if let Body::DrillPlanned(plan) = body {
            plan.result_version = Some(version);
        }
    });
    let config = if config.is_empty() { "version = 1\n" } else { config };
    let world = build(Story { edit, config: config.as_bytes().to_vec(), ..Story::default() });
    for (_, bytes) in &kept {
        world.log().put_evidence(&bytes[..]).unwrap();
    }
    world
}

/// Whether it lacks something that these listings have.
fn lacks(version: u32, listed: &[(&str, &str, Value)], excluded: Option<&'static str>, config: &str) -> bool {
    let excluded: Vec<_> = excluded.into_iter().map(|reason| ("resource:ledger", reason)).collect();
    breaks_of(version, listed, &excluded, config).contains(&Rule::PopulationLacksListed.as_str())
}

/// Drills of this version said only that something could not be listed.
const EARLIER: u32 = 3;

#[test]
fn each_kind_of_listing_is_held_to_the_population() {
    let (snapshots, backups) = ("rds:DescribeDBSnapshots", "dynamodb:ListBackups");
    let (instance, automated) = ("rds:DescribeDBInstances", "rds:DescribeDBInstanceAutomatedBackups");
    let snapshot =
        |kind: &str| json!([{"arn": INSTANCE, "kind": "awsbackup"}, {"arn": "arn:aws:rds:eu-west-2:1:snapshot:x", "kind": kind}]);
    let window = json!(["2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z"]);
    let of_instance = |arn: &str| json!({"arn": arn, "status": "available"});
    let of_table = |arn: &str, latest: Value| json!({"table_arn": arn, "earliest": "2026-01-01T00:00:00.000Z", "latest": latest});
    let crm = "arn:aws:rds:eu-west-2:111122223333:db:crm";
    let table = "arn:aws:dynamodb:eu-west-2:111122223333:table/orders";
    let vaulted = |arn: &str, of: &str| ("backup:ListRecoveryPointsByBackupVault", "weekly", json!([{"arn": arn, "resource_arn": of}]));
    let (own, weekly) = (ledger("{ from = \"rds-snapshot\" }"), ledger("{ from = \"aws-backup\", vault = \"weekly\" }"));
    let at = ledger("{ from = \"rds-pitr\", at = [\"2026-01-01T03:00:00Z\", \"latest\"] }");
    // The population has the first of the two.
    let [known, unknown] =
        ["01", "04"].map(|hour| at.replace("T03", &format!("T{hour}")).replace("source = \"ledger\"", "source = \"crm\""));
    let continuous = "arn:aws:backup:eu-west-2:111122223333:recovery-point:continuous:ledger-1";
    let failed = Some("could not be listed in aws-backup weekly: network");
    let not_listed = Some("could not be listed in rds-pitr: invalid");
    for (listed, excluded, config, expected) in [
        (vec![(snapshots, "crm", snapshot("manual"))], None, "", true),
        (vec![(snapshots, "crm", snapshot("awsbackup"))], None, "", false),
        (vec![(snapshots, "ledger", snapshot("awsbackup"))], None, own.as_str(), true),
        (vec![(snapshots, "ledger", snapshot("awsbackup"))], None, weekly.as_str(), false),
        (vec![(backups, "crm", json!([{"arn": TABLE, "kind": "USER"}]))], None, "", false),
        (vec![(backups, "crm", json!([{"arn": "arn:aws:dynamodb:eu-west-2:1:table/crm/backup/9", "kind": "USER"}]))], None, "", true),
        (vec![(instance, "crm", of_instance(crm)), (automated, "crm", window.clone())], None, "", false),
        (vec![(instance, "ledger", of_instance(LEDGER)), (automated, "ledger", window.clone())], None, "", true),
        (vec![(instance, "ledger", of_instance(LEDGER)), (automated, "ledger", Value::Null)], None, "", false),
        (vec![(instance, "ledger", of_instance(LEDGER)), (automated, "ledger", window.clone())], not_listed, "", false),
        (vec![(instance, "ledger", of_instance(LEDGER)), (automated, "ledger", window.clone())], not_listed, at.as_str(), false),
        (vec![(instance, "crm", of_instance(crm)), (automated, "crm", window.clone())], None, known.as_str(), false),
        (vec![(instance, "crm", of_instance(crm)), (automated, "crm", window.clone())], None, unknown.as_str(), true),
        (vec![("dynamodb:DescribeContinuousBackups", "orders", of_table(table, json!("2026-01-02T00:00:00.000Z")))], None, "", true),
        (vec![("dynamodb:DescribeContinuousBackups", "orders", of_table(table, Value::Null))], None, "", false),
        (vec![("s3:GetBucketVersioning", "photos", json!("Enabled"))], None, "", true),
        (vec![("s3:GetBucketVersioning", "photos", Value::Null)], None, "", false),
        (vec![("local:list", "vault", json!([{"id": "file:vault/a.db"}]))], None, "", true),
        (vec![vaulted("arn:aws:backup:eu-west-2:1:recovery-point:x", LEDGER)], None, "", false),
        (vec![vaulted("arn:aws:backup:eu-west-2:1:recovery-point:x", LEDGER)], None, weekly.as_str(), true),
        (vec![vaulted("arn:aws:backup:eu-west-2:1:recovery-point:x", LEDGER)], failed, weekly.as_str(), false),
        (vec![vaulted("arn:aws:backup:eu-west-2:1:recovery-point:x", LEDGER)], None, own.as_str(), false),
        (vec![vaulted(continuous, LEDGER), (automated, "ledger", window.clone())], None, weekly.as_str(), true),
        (vec![vaulted(continuous, LEDGER), (automated, "ledger", Value::Null)], None, weekly.as_str(), false),
        (vec![("sts:GetCallerIdentity", "x", json!([{"arn": "a"}]))], None, "", false),
    ] {
        assert_eq!(lacks(EARLIER, &listed, excluded, config), expected, "{listed:?} {excluded:?} {config}");
        // What is at hand is owed whatever is said of it; and of a continuous backup without a window the point itself.
        let is_continuous = listed.iter().any(|(_, _, answer)| answer.to_string().contains(":continuous:"));
        let is_owed = expected || is_continuous || excluded.is_some_and(|_| !config.is_empty());
        assert_eq!(lacks(RESULT_VERSION, &listed, excluded, config), is_owed, "{listed:?} {excluded:?} {config}");
    }
}

#[test]
fn what_the_configuration_asks_for_was_listed_or_it_is_said_why_not() {
    const WINDOW: [&str; 2] = ["2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z"];
    const UNLISTED: (&str, &str) = ("resource:ledger", "could not be listed in rds-pitr: throttled");
    let [missing, another, lacking] = [Rule::ListingMissing, Rule::ExclusionDiffers, Rule::PopulationLacksListed].map(Rule::as_str);
    let instance = || ("rds:DescribeDBInstances", "ledger", json!({"arn": LEDGER, "status": "available"}));
    let automated = |window: Value| ("rds:DescribeDBInstanceAutomatedBackups", "ledger", window);
    let vault = |name: &'static str, answer: Value| ("backup:ListRecoveryPointsByBackupVault", name, answer);
    let about = |name: &'static str| ("backup:DescribeBackupVault", name, json!({"locked": true}));
    let continuous = json!([{"arn": "arn:aws:backup:eu-west-2:1:recovery-point:continuous:l", "resource_arn": LEDGER}]);
    let (pitr, snapshots) = (ledger("{ from = \"rds-pitr\" }"), ledger("{ from = \"rds-snapshot\" }"));
    let (weekly, disk) =
        (ledger("{ from = \"aws-backup\", vault = \"weekly\" }"), of_kind("ebs", "{ from = \"aws-backup\", vault = \"v\" }"));
    let (none, in_vault) = (ledger(""), "could not be listed in aws-backup weekly: denied");
    let of = |reason: &'static str| ("resource:ledger", reason);
    for (listed, excluded, config, expected) in [
        (vec![instance(), automated(Value::Null)], vec![], &pitr, vec![]),
        (vec![instance(), automated(Value::Null)], vec![of("no recovery point in rds-pitr")], &pitr, vec![]),
        (vec![instance()], vec![], &pitr, vec![missing]),
        (vec![], vec![], &pitr, vec![missing]),
        (vec![], vec![UNLISTED], &pitr, vec![]),
        (vec![instance()], vec![UNLISTED], &pitr, vec![]),
        (vec![instance(), automated(json!(WINDOW))], vec![UNLISTED], &pitr, vec![another]),
        (vec![instance(), automated(json!(WINDOW))], vec![of("too old")], &pitr, vec![another, lacking]),
        (vec![], vec![of("could not be listed in rds-pitr: it was late")], &pitr, vec![another, missing]),
        (vec![], vec![of("could not be listed in rds-snapshot: throttled")], &pitr, vec![another, missing]),
        (vec![], vec![of("untested: driver_absent: no driver restores rds-postgres from rds-pitr")], &pitr, vec![another, missing]),
        (vec![], vec![], &snapshots, vec![missing]),
        (vec![vault("weekly", json!([])), about("weekly")], vec![], &weekly, vec![]),
        (vec![vault("weekly", json!([]))], vec![], &weekly, vec![missing]),
        (vec![vault("weekly", json!([]))], vec![of(in_vault)], &weekly, vec![]),
        (vec![vault("weekly", json!([])), about("weekly")], vec![of(in_vault)], &weekly, vec![another]),
        (vec![vault("daily", json!([])), about("daily")], vec![], &weekly, vec![missing]),
        (vec![vault("weekly", continuous.clone()), about("weekly")], vec![], &weekly, vec![missing]),
        (vec![vault("weekly", continuous), about("weekly"), automated(Value::Null)], vec![], &weekly, vec![]),
        (vec![], vec![], &disk, vec![missing]),
        (vec![], vec![of("untested: driver_absent: no driver restores ebs from aws-backup")], &disk, vec![]),
        (vec![], vec![], &none, vec![missing]),
        (vec![], vec![of("no source of recovery points is configured")], &none, vec![]),
        (vec![], vec![("resource:other", "no source of recovery points is configured")], &none, vec![another, missing]),
    ] {
        assert_eq!(breaks_of(EARLIER, &listed, &excluded, config), expected, "{listed:?} {excluded:?} {config}");
    }
}

#[test]
fn a_drill_answers_for_what_it_could_not_list() {
    const WINDOW: [&str; 2] = ["2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z"];
    const CONTINUOUS: &str = "arn:aws:backup:eu-west-2:1:recovery-point:continuous:l";
    const SNAPSHOT: &str = "arn:aws:rds:eu-west-2:1:snapshot:awsbackup:job-1";
    let [missing, another, lacking] = [Rule::ListingMissing, Rule::ExclusionDiffers, Rule::PopulationLacksListed].map(Rule::as_str);
    let vault = |answer: Value| ("backup:ListRecoveryPointsByBackupVault", "weekly", answer);
    let about = || ("backup:DescribeBackupVault", "weekly", json!({"locked": true}));
    let automated = |window: Value| ("rds:DescribeDBInstanceAutomatedBackups", "ledger", window);
    let instance = || ("rds:DescribeDBInstances", "ledger", json!({"arn": LEDGER, "status": "available"}));
    let one = |arn: &str| json!([{"arn": arn, "resource_arn": LEDGER, "status": "COMPLETED"}]);
    let expired = json!([{"arn": SNAPSHOT, "resource_arn": LEDGER, "status": "EXPIRED"}]);
    let (weekly, pitr) = (ledger("{ from = \"aws-backup\", vault = \"weekly\" }"), ledger("{ from = \"rds-pitr\" }"));
    let of = |reason: &'static str| ("resource:ledger", reason);
    let (none, unlisted) = (of("no recovery point in aws-backup weekly"), of("could not be listed in aws-backup weekly: denied"));
    let (left, past) = (of("none of its recovery points can be restored"), (SNAPSHOT, "EXPIRED: past its retention, deletion pending"));
    let windowless = (CONTINUOUS, "continuous, and its window could not be listed: denied");
    let no_window = (CONTINUOUS, "continuous, and its service states no window of times for it");
    for (listed, excluded, config, expected) in [
        (vec![vault(json!([]))], vec![none], &weekly, vec![]),
        (vec![vault(json!([]))], vec![], &weekly, vec![missing]),
        (vec![vault(json!([]))], vec![unlisted], &weekly, vec![another]),
        (vec![], vec![unlisted], &weekly, vec![]),
        (vec![about()], vec![unlisted], &weekly, vec![]),
        (vec![], vec![none], &weekly, vec![missing]),
        (vec![vault(one(SNAPSHOT))], vec![unlisted], &weekly, vec![another, lacking]),
        (vec![vault(one(SNAPSHOT)), about()], vec![none], &weekly, vec![lacking]),
        (vec![vault(expired.clone())], vec![past, left], &weekly, vec![]),
        (vec![vault(expired)], vec![past], &weekly, vec![missing]),
        (vec![vault(one(CONTINUOUS))], vec![windowless, left], &weekly, vec![]),
        (vec![vault(one(CONTINUOUS))], vec![left], &weekly, vec![lacking]),
        (vec![vault(one(CONTINUOUS)), automated(json!(WINDOW))], vec![windowless, left], &weekly, vec![another]),
        (vec![vault(one(CONTINUOUS)), automated(json!(WINDOW))], vec![left], &weekly, vec![lacking]),
        (vec![vault(one(CONTINUOUS)), automated(Value::Null)], vec![none], &weekly, vec![lacking]),
        (vec![vault(one(CONTINUOUS)), automated(Value::Null)], vec![no_window, left], &weekly, vec![]),
        (vec![vault(one(CONTINUOUS)), automated(json!(WINDOW))], vec![no_window, left], &weekly, vec![another]),
        (vec![vault(one(CONTINUOUS))], vec![no_window, left], &weekly, vec![another]),
        (vec![vault(one(SNAPSHOT))], vec![(SNAPSHOT, windowless.1), left], &weekly, vec![another]),
        (vec![instance(), automated(json!(WINDOW))], vec![of("could not be listed in rds-pitr: network")], &pitr, vec![another, lacking]),
        (vec![instance(), automated(Value::Null)], vec![of("no recovery point in rds-pitr")], &pitr, vec![]),
    ] {
        assert_eq!(breaks(&listed, &excluded, config), expected, "{listed:?} {excluded:?} {config}");
    }
    assert_eq!(breaks(&[], &[("resource:vault", left.1)], BUCKET), [another], "it has points");
    // Two resources on one vault: the points of the second are the first's.
    let elsewhere = "its recovery points are drilled as those of another resource";
    let twice = format!("{BUCKET}{}", BUCKET.replace("version = 1\n", "").replace("id = \"vault\"", "id = \"again\""));
    assert!(breaks(&[], &[("resource:again", elsewhere)], &twice).is_empty());
    assert_eq!(breaks(&[], &[], &twice), [missing]);
    assert_eq!(breaks(&[vault(json!([]))], &[of(elsewhere)], &weekly), [another], "it has none");
    assert!(breaks(&[], &[], BUCKET).is_empty());
}

#[test]
fn the_engine_that_wrote_a_backup_is_that_of_its_listing() {
    let config = of_kind("rds-postgres", "{ from = \"rds-snapshot\" }").replace("id = \"ledger\"", "id = \"crm\"");
    let listed_as = |status: &str, engine: &str, at: &str| {
        let answer =
            json!([{"arn": INSTANCE, "instance": "ledger", "kind": "manual", "status": status, "engine": engine, "created_at": at}]);
        let world = world(RESULT_VERSION, &[("rds:DescribeDBSnapshots", "ledger", answer)], &[], &config);
        let faults = world.verdict(&VerifyOptions::default()).faults;
        let is_of_points = |said: &str| said.contains("is listed as of") || said.contains("is listed as one that cannot be restored");
        faults.iter().filter(|fault| is_of_points(&fault.message)).map(|fault| fault.rule).collect::<Vec<_>>()
    };
    let listed = |engine: &str, at: &str| listed_as("available", engine, at);
    let at = captured_end().plus_secs(7200).to_string();
    assert_eq!(listed("postgres", &at), []);
    assert_eq!(listed("mysql", &at), [Rule::FactDiffers]);
    assert_eq!(listed("postgres", "2026-01-01T00:00:00.000Z"), [Rule::PointTimeDiffers]);
    assert_eq!(listed_as("creating", "postgres", &at), [Rule::PopulationNotListed]);
}

#[test]
fn a_point_is_left_out_for_what_its_listing_says_of_it() {
    let expired = "EXPIRED: past its retention, deletion pending";
    let failed = "failed: not a state that can be restored";
    let (of_other, last) =
        ("RDS says that it is of the instance `other`, and not of `ledger`", "the last second of a window in which manifests name others");
    let snapshot = |status: &str, of: &str| {
        let arn = "arn:aws:rds:eu-west-2:1:snapshot:x";
        vec![("rds:DescribeDBSnapshots", "ledger", json!([{"arn": arn, "instance": of, "kind": "manual", "status": status}]))]
    };
    let x = "arn:aws:rds:eu-west-2:1:snapshot:x";
    let window =
        || vec![("rds:DescribeDBInstanceAutomatedBackups", "ledger", json!(["2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z"]))];
    let second = "arn:aws:rds:eu-west-2:111122223333:db:ledger@2026-01-03T00:00:00Z";
    let outside = |to: &str| {
        format!("outside the window from 2026-01-01T00:00:00.000Z to 2026-01-{to}T00:00:00.000Z: not a state that can be restored")
    };
    let bucket = "arn:aws:s3:::photos@2026-01-03T00:00:00Z";
    let versioned = |answer: &str| vec![("s3:GetBucketVersioning", "photos", json!(answer))];
    for (listed, id, reason, is_borne_out) in [
        (snapshot("failed", "ledger"), x, failed, true),
        (snapshot("available", "ledger"), x, failed, false),
        (snapshot("available", "ledger"), x, expired, false),
        (snapshot("available", "ledger"), x, of_other, false),
        (snapshot("available", "other"), x, of_other, true),
        (snapshot("failed", "ledger"), x, "too old", false),
        (window(), second, outside("02").as_str(), true),
        (window(), second, outside("01").as_str(), false),
        (window(), second, outside("04").as_str(), false),
        (window(), second, expired, false),
        (window(), second, last, false),
        (vec![], "file:ledger/a.db", "a link that leads nowhere", true),
        (vec![("local:list", "ledger", json!([{"id": "file:ledger/a.db"}]))], "file:ledger/a.db", "a link that leads nowhere", false),
        (vec![], "file:ledger/a.db", expired, false),
        (versioned("Suspended"), bucket, "versioning Suspended: not a state that can be restored", true),
        (versioned("Enabled"), bucket, "versioning Suspended: not a state that can be restored", false),
        (versioned("Enabled"), bucket, "in the future: not a state that can be restored", false),
    ] {
        let broken = breaks(&listed, &[(id, reason)], "").contains(&Rule::ExclusionDiffers.as_str());
        assert_eq!(!broken, is_borne_out, "{listed:?} {id} {reason}");
    }
}

/// Files of one name in two directories are two, and neither is a point; in drills of an earlier version the first was.
#[test]
fn a_file_of_a_name_that_there_is_twice_is_left_out_by_where_it_lies() {
    let [lacking, another] = [Rule::PopulationLacksListed, Rule::ExclusionDiffers];
    let listed = json!([{"id": "file:ledger/a", "handle": "/x/a"}, {"id": "file:ledger/a", "handle": "/y/a"}, {"id": "file:ledger/b", "handle": "/y/b"}]);
    let once = json!([{"id": "file:ledger/a", "handle": "/x/a"}, {"id": "file:ledger/a", "handle": "/x/a"}]);
    let [first, twice, elsewhere] = ["file:ledger/a at /x/a", "file:ledger/a at /y/a", "file:ledger/b at /x/b"];
    for (answer, version, left_out, expected) in [
        (&listed, RESULT_VERSION, vec![first, twice], vec![]),
        (&listed, RESULT_VERSION, vec![twice], vec![lacking]),
        (&listed, RESULT_VERSION, vec![], vec![lacking, lacking]),
        (&listed, RESULT_VERSION, vec![first, twice, elsewhere], vec![another]),
        (&listed, 5, vec![twice], vec![]),
        (&listed, 5, vec![], vec![lacking]),
        (&listed, 4, vec![], vec![]),
        (&once, RESULT_VERSION, vec![], vec![]),
        (&once, RESULT_VERSION, vec![twice], vec![another]),
    ] {
        let excluded: Vec<_> = left_out.iter().map(|id| (*id, attestore::model::exclusion::NAMED_TWICE)).collect();
        let world = world(version, &[("local:list", "ledger", answer.clone())], &excluded, "");
        let faults = world.verdict(&VerifyOptions::default()).faults;
        let found: Vec<_> = faults.iter().filter(|fault| fault.message.contains("of its name")).map(|fault| fault.rule).collect();
        assert_eq!(found, expected, "{answer} {version} {left_out:?}");
    }
}

/// What is withheld is no fault, and what nobody can tell without it is said.
#[test]
fn what_could_not_be_looked_into_is_said() {
    let world = build(Story { edit: promised(), config: ledger("{ from = \"local\" }").into_bytes(), ..Story::default() });
    assert_eq!(world.names(), [Rule::ListingMissing.as_str()]);
    std::fs::remove_dir_all(world.path.join("evidence")).unwrap();
    let verdict = world.verdict(&Default::default());
    assert_eq!(verdict.faults, []);
    let said: Vec<&str> = verdict.unheld.iter().map(|unheld| unheld.message.as_str()).collect();
    assert!(said.iter().any(|said| said.starts_with("its configuration is withheld")), "{said:?}");
    assert!(said.iter().any(|said| said.starts_with("the listing `backup:ListRecoveryPointsByBackupVault nightly`")), "{said:?}");

    // That a window could not be listed of a continuous backup may be so, where nobody sees any more whether the vault has one.
    let edit = committing(|population| {
        for call in ["backup:ListRecoveryPointsByBackupVault", "backup:DescribeBackupVault"] {
            population.listings.insert(format!("{call} weekly"), Sha256Digest::of(call.as_bytes()));
        }
        let continuous = "arn:aws:backup:eu-west-2:1:recovery-point:continuous:l";
        for (id, reason) in [
            (continuous, "continuous, and its window could not be listed: throttled"),
            ("resource:ledger", "none of its recovery points can be restored"),
        ] {
            population.excluded.push(Excluded { id: id.into(), reason: reason.into() });
        }
    });
    let config = ledger("{ from = \"aws-backup\", vault = \"weekly\" }").into_bytes();
    assert_eq!(build(Story { edit, config, ..Story::default() }).names(), [] as [&str; 0]);
}

/// A failure cannot be hidden as untested where the class wants a point restored that has no manifest.
#[test]
fn a_point_without_a_manifest_is_untested_only_where_its_class_says_so() {
    for (wanted, is_a_lie) in [("untested", false), ("invariants", true), ("first-restore", true)] {
        let mut honest = promised();
        let edit: Edit = Box::new(move |body, nth| {
            honest(body, nth);
            match body {
                // Of after the points, and it names another one.
                Body::ManifestRegistered(registered) if registered.resource.0 == "crm" => {
                    registered.captured_end = registered.captured_end.plus_secs(36_000);
                }
                Body::PointResult(result) if result.rp.id.0 == TABLE => {
                    (result.restore, result.verify, result.isolation) = (None, None, None);
                    result.teardown = Teardown { resources: Vec::new(), leftover_count: 0 };
                    (result.rto.achieved_ms, result.rto.met) = (None, None);
                    (result.outcome, result.outcome_reasons) = (Outcome::Untested, vec!["untested: no manifest fits the point".into()]);
                }
                _ => {}
            }
        });
        let class = |name: &str, rto: &str, rpo: &str| {
            format!(
                "[class.{name}]\nrto = \"{rto}\"\nrpo = \"{rpo}\"\ntest_period = \"90d\"\nindeterminate_budget = 2\n\
                 when_no_manifest = \"{wanted}\"\n"
            )
        };
        let config = format!("version = 1\n{}{}", class("files", "4h", "24h"), class("bank", "1h", "not_required"));
        let world = build(Story { edit, config: config.into_bytes(), ..Story::default() });
        let faults = world.verdict(&attestore::testing_log::verify::verdict::VerifyOptions::default()).faults;
        let is_told = faults.iter().any(|fault| fault.rule == Rule::ResultOutcomeDiffers && fault.message.contains("when_no_manifest"));
        assert_eq!(is_told, is_a_lie, "{wanted}: {faults:?}");
    }
}
