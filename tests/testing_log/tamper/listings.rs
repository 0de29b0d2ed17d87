//! Populations that leave out what the listings in their evidence have, and results that leave out what their class wants tried.

use attestore::model::digest::Sha256Digest;
use attestore::model::outcome::Outcome;
use attestore::testing_log::body::*;
use attestore::testing_log::entry::Body;
use attestore::testing_log::verify::fault::Rule;
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
    ]
}

#[test]
fn what_was_listed_is_drilled_or_excluded() {
    all_end_in_their_fault(listings());
}

const LEDGER: &str = "arn:aws:rds:eu-west-2:111122223333:db:ledger";

/// Whether the honest population lacks something that these listings have, under the configuration `config`.
fn lacks(listed: &[(&str, &str, Value)], excluded: Option<&'static str>, config: &str) -> bool {
    let kept = listed.iter().map(|(call, of, answer)| {
        (format!("{call} {of}"), serde_json::to_vec(&json!({"call": call, "of": of, "answer": answer})).unwrap())
    });
    let kept: Vec<(String, Vec<u8>)> = kept.collect();
    let digests: Vec<_> = kept.iter().map(|(label, bytes)| (label.clone(), Sha256Digest::of(bytes))).collect();
    let edit = committing(move |population| {
        population.listings.extend(digests.clone());
        population.excluded.extend(excluded.map(|reason| Excluded { id: "resource:ledger".into(), reason: reason.into() }));
    });
    let world = build(Story { edit, config: format!("version = 1\n{config}").into_bytes(), ..Story::default() });
    for (_, bytes) in &kept {
        world.log().put_evidence(&bytes[..]).unwrap();
    }
    let names = world.names();
    assert!(names.iter().all(|name| *name == Rule::PopulationLacksListed.as_str()), "{names:?}");
    !names.is_empty()
}

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
    let ledger =
        |points: &str| format!("[[resource]]\nid = \"ledger\"\nkind = \"rds-postgres\"\nsource = \"ledger\"\npoints = [{points}]\n");
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
        assert_eq!(lacks(&listed, excluded, config), expected, "{listed:?} {excluded:?} {config}");
    }
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
