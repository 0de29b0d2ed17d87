//! What is stated of a case, and can only be a lie by what else is stated of it: one row a lie. The lists of `owed` are of what is left out.

use attestore::model::check::{CheckOutcome, CheckResult};
use attestore::model::finding::Class;
use attestore::model::outcome::Outcome;
use attestore::testing_log::body::*;
use attestore::testing_log::entry::Body;
use attestore::testing_log::point_result::*;
use attestore::testing_log::result_version::RESULT_VERSION;
use attestore::testing_log::verify::fault::Rule;
use attestore::testing_log::verify::verdict::VerifyOptions;

use crate::promised::{INSTANCE, SECOND, TABLE, promised};
use crate::support::*;
use crate::tamper::How::{BigLie, Lie, Owed};
use crate::tamper::owed::VAULT;
use crate::tamper::{Tamper, all_end_in_their_fault, facts, passing, population};

/// The look of this name.
fn look<'a>(result: &'a mut PointResult, name: &str) -> &'a mut Probe {
    let isolation = result.isolation.as_mut().unwrap();
    isolation.probes.iter_mut().find(|probe| probe.name == name).unwrap()
}

fn without_looks(result: &mut PointResult, names: &[&str]) {
    result.isolation.as_mut().unwrap().probes.retain(|probe| !names.contains(&probe.name.as_str()));
}

/// Says beside the RPO what the data then says, as a liar who knows the rules would.
fn corroborate(result: &mut PointResult) {
    result.rpo.basis = format!("age{}", attestore::testing_log::verify::corroborated::words(result));
}

/// The first SQL check, found to be so.
fn finds(result: &mut PointResult, change: impl FnOnce(&mut CheckResult)) {
    change(&mut result.sql_checks[0]);
}

/// Calls the failing case something else, with a reason.
fn call(body: &mut Body, nth: usize, outcome: Outcome) {
    if let (Body::PointResult(result), 0) = (body, nth) {
        (result.outcome, result.outcome_reasons) = (outcome, vec!["environment".into()]);
    }
}

fn error(phase: &str) -> CaseError {
    CaseError {
        at: captured_end(),
        phase: phase.into(),
        code: "refused".into(),
        message: "isolation guard: not-public: expected false, found true".into(),
        retryable: false,
    }
}

pub fn derived() -> Vec<Tamper> {
    let mut all = verdicts();
    all.extend(points());
    all.extend(looks_taken());
    all.extend(checks());
    all.extend(restores());
    all
}

fn verdicts() -> Vec<Tamper> {
    use Rule::{PassWithErrors, ResultOutcomeDiffers};
    vec![
        ("call a failure inconclusive", ResultOutcomeDiffers, Lie(|body, nth| call(body, nth, Outcome::Inconclusive))),
        ("call a failure an error", ResultOutcomeDiffers, Lie(|body, nth| call(body, nth, Outcome::Error))),
        ("call a failure untested", ResultOutcomeDiffers, Lie(|body, nth| call(body, nth, Outcome::Untested))),
        (
            "call a failed critical check inconclusive",
            ResultOutcomeDiffers,
            Owed(SECOND, |r| {
                finds(r, |check| (check.actual, check.result) = (Some("17".into()), CheckOutcome::Fail));
                (r.outcome, r.outcome_reasons) = (Outcome::Inconclusive, vec!["it is said".into()]);
            }),
        ),
        (
            "call a missed objective an error",
            ResultOutcomeDiffers,
            Lie(|body, _| {
                passing(body, |r| {
                    if r.class == "files" {
                        (r.rpo.achieved_ms, r.rpo.met) = (Some(100_000_000), Some(false));
                        r.errors.push(error("checks"));
                        (r.outcome, r.outcome_reasons) = (Outcome::Error, vec!["it is said".into()]);
                    }
                })
            }),
        ),
        (
            "call an error what had none",
            ResultOutcomeDiffers,
            Lie(|body, _| passing(body, |r| (r.outcome, r.outcome_reasons) = (Outcome::Error, vec!["it is said".into()]))),
        ),
        (
            "call what passed inconclusive",
            ResultOutcomeDiffers,
            Owed(VAULT, |r| (r.outcome, r.outcome_reasons) = (Outcome::Inconclusive, vec!["it is said".into()])),
        ),
        (
            "call an error inconclusive",
            ResultOutcomeDiffers,
            Owed(INSTANCE, |r| {
                r.errors.push(error("checks"));
                (r.outcome, r.outcome_reasons) = (Outcome::Inconclusive, vec!["it is said".into()]);
            }),
        ),
        (
            "call a point untested whose manifest is registered",
            ResultOutcomeDiffers,
            Owed(VAULT, |r| {
                (r.restore, r.verify, r.isolation) = (None, None, None);
                r.sql_checks.clear();
                r.teardown = Teardown { resources: Vec::new(), leftover_count: 0 };
                (r.rto.achieved_ms, r.rto.met) = (None, None);
                (r.outcome, r.outcome_reasons) = (Outcome::Untested, vec!["untested: no manifest fits the point".into()]);
            }),
        ),
        ("pass what the guard refused", PassWithErrors, Lie(|body, _| passing(body, |r| r.errors.push(error("guard"))))),
    ]
}

fn points() -> Vec<Tamper> {
    use Rule::{FactDiffers, RpoDiffers};
    vec![
        ("count an age from another instant", RpoDiffers, Owed(TABLE, |r| r.rpo.reference_at = Some(captured_end().plus_secs(5 * 3600)))),
        (
            "count every age from before its point",
            RpoDiffers,
            BigLie(|body, _| {
                passing(body, |r| {
                    let newest = "arn:aws:backup:eu-west-2:111122223333:recovery-point:vault-4";
                    r.rpo.reference_at = Some(captured_end());
                    if r.class == "files" {
                        (r.rpo.achieved_ms, r.rpo.point) = (Some(0), Some(newest.into()));
                    }
                })
            }),
        ),
        (
            "count every age from after the population",
            RpoDiffers,
            BigLie(|body, _| passing(body, |r| r.rpo.reference_at = Some(r.restore.as_ref().unwrap().requested_at.plus_secs(3600)))),
        ),
        (
            "count every age from another instant than the drill's beginning",
            RpoDiffers,
            BigLie(|body, _| {
                population(body, |population| population.deadline_at = population.deadline_at.plus_secs(-40_000));
                passing(body, |r| r.rpo.reference_at = Some(captured_end().plus_secs(6 * 3600)));
            }),
        ),
        (
            "date a point as no population does",
            FactDiffers,
            Lie(|body, _| passing(body, |r| r.rp.created_at = r.rp.created_at.plus_secs(60))),
        ),
        ("take a point in AWS from beside it", FactDiffers, Lie(|body, _| passing(body, |r| r.rp.from = "local".into()))),
        (
            "call a table's backup an instance",
            FactDiffers,
            BigLie(|body, _| {
                if let Body::PointResult(result) = body {
                    result.rp.id = "arn:aws:dynamodb:eu-west-2:111122223333:table/crm/backup/2".into();
                }
            }),
        ),
    ]
}

fn looks_taken() -> Vec<Tamper> {
    use Rule::IsolationDiffers;
    vec![
        ("never look at an instance that came up", IsolationDiffers, Owed(INSTANCE, |r| without_looks(r, &["not-public"]))),
        ("never look at a bucket", IsolationDiffers, Owed(VAULT, |r| without_looks(r, &["public-access-blocked"]))),
        ("never look at a table", IsolationDiffers, Owed(TABLE, |r| without_looks(r, &["no-deletion-protection"]))),
        ("never look who restores", IsolationDiffers, Owed(SECOND, |r| without_looks(r, &["restoring-account"]))),
        ("never look at backup plans", IsolationDiffers, Owed(TABLE, |r| without_looks(r, &["no-backup-selection"]))),
        ("never look at tags", IsolationDiffers, Owed(SECOND, |r| without_looks(r, &["tagged"]))),
        ("hold an instance in everybody's reach", IsolationDiffers, Owed(INSTANCE, |r| look(r, "not-public").found = "true".into())),
        ("hold another's account", IsolationDiffers, Owed(SECOND, |r| look(r, "restoring-account").found = "999999999999".into())),
        ("demand another account", IsolationDiffers, Owed(TABLE, |r| look(r, "account").expected = "999999999999".into())),
        ("hold another network", IsolationDiffers, Owed(INSTANCE, |r| look(r, "subnet-group").found = "default".into())),
        ("hold what was there", IsolationDiffers, Owed(VAULT, |r| look(r, "target-absent").found = "present".into())),
        ("hold what a plan backs up", IsolationDiffers, Owed(TABLE, |r| look(r, "no-backup-selection").found = "selection all".into())),
        (
            "clear a production name",
            IsolationDiffers,
            BigLie(|body, _| passing(body, |r| look(r, "name-prefix").found = "crm-transactions".into())),
        ),
        (
            "look in another account than the drill's",
            IsolationDiffers,
            BigLie(|body, _| {
                if let Body::DrillPlanned(plan) = body {
                    let arn = "arn:aws:iam::999999999999:user/drill".into();
                    plan.runner = Some(Runner { account_id: "999999999999".into(), region: "eu-west-2".into(), arn });
                }
            }),
        ),
    ]
}

fn checks() -> Vec<Tamper> {
    use Rule::{CheckDiffers, FactMissing};
    vec![
        ("pass a check that found violations", CheckDiffers, Owed(SECOND, |r| finds(r, |check| check.actual = Some("17".into())))),
        ("pass a check that found nothing", CheckDiffers, Owed(SECOND, |r| finds(r, |check| check.actual = None))),
        (
            "call a check that found violations not applicable",
            CheckDiffers,
            Owed(SECOND, |r| {
                finds(r, |check| {
                    (check.actual, check.result, check.not_applicable) = (Some("17".into()), CheckOutcome::Untested, true);
                })
            }),
        ),
        (
            "pass a check below its baseline",
            CheckDiffers,
            Owed(INSTANCE, |r| {
                finds(r, |check| {
                    (check.kind, check.op) = ("baseline-scalar".into(), "< baseline".into());
                    (check.expected, check.actual) = (Some("2000".into()), Some("3".into()));
                })
            }),
        ),
        (
            "pass tables beyond their baselines",
            CheckDiffers,
            Owed(INSTANCE, |r| {
                finds(r, |check| {
                    (check.kind, check.op, check.actual) = ("baseline-scalar".into(), "!= baseline".into(), Some("1".into()));
                })
            }),
        ),
        (
            "pass what was never planted",
            CheckDiffers,
            Owed(SECOND, |r| {
                finds(r, |check| {
                    (check.kind, check.op) = ("canary".into(), "!= baseline".into());
                    (check.expected, check.actual) = (Some("aa".into()), Some("bb".into()));
                });
                corroborate(r);
            }),
        ),
        (
            "pass what is too old",
            CheckDiffers,
            Owed(INSTANCE, |r| {
                finds(r, |check| {
                    (check.kind, check.op) = ("freshness".into(), "> 48h".into());
                    check.actual = Some("2020-01-01T00:00:00.000Z".into());
                });
                corroborate(r);
            }),
        ),
        (
            "leave checks out that the resource's other case has",
            FactMissing,
            BigLie(|body, _| {
                if let Body::PointResult(result) = body
                    && result.resource.0 == "crm"
                    && result.rp.id.0.ends_with("-0")
                {
                    result.sql_checks.clear();
                }
            }),
        ),
    ]
}

fn restores() -> Vec<Tamper> {
    use Rule::{FactDiffers, FactMissing, PassNotRestored};
    vec![
        ("pass a job that failed", FactDiffers, Owed(VAULT, |r| r.restore.as_mut().unwrap().status = "FAILED".into())),
        ("pass what was never asked for", PassNotRestored, Owed(VAULT, |r| r.restore.as_mut().unwrap().attempts = 0)),
        (
            "pass what never came up",
            FactMissing,
            Lie(|body, _| {
                passing(body, |r| {
                    let restore = r.restore.as_mut().unwrap();
                    (restore.available_at, restore.fully_read_at) = (None, None);
                })
            }),
        ),
        (
            "restore over production",
            FactDiffers,
            Owed(INSTANCE, |r| {
                r.restore.as_mut().unwrap().target = Some("arn:aws:rds:eu-west-2:111122223333:db:crm".into());
            }),
        ),
        (
            "take another's resource down",
            FactDiffers,
            Lie(|body, _| passing(body, |r| r.teardown.resources[0].arn = "arn:aws:rds:eu-west-2:111122223333:db:other".into())),
        ),
        ("take nothing down", FactMissing, Lie(|body, _| passing(body, |r| r.teardown.resources.clear()))),
    ]
}

#[test]
fn what_can_only_be_a_lie_ends_in_its_named_fault() {
    all_end_in_their_fault(derived());
}

/// The drill under a configuration whose bytes are in the evidence, of which `from` stands there as `to`.
fn under(from: &'static str, to: &'static str) -> Vec<&'static str> {
    const CONFIG: &str = r#"version = 1
[isolation]
account_id = "111122223333"
name_prefix = "drill-"
[class.files]
rto = "4h"
rpo = "24h"
test_period = "90d"
indeterminate_budget = 2
[class.bank]
rto = "1h"
rpo = "not_required"
test_period = "90d"
indeterminate_budget = 2
[[resource]]
id = "vault"
kind = "s3"
points = [{ from = "aws-backup" }]
"#;
    let world = build(Story { config: CONFIG.replace(from, to).into_bytes(), ..Story::default() });
    world.names()
}

#[test]
fn what_the_configuration_demands_is_what_was_looked_at() {
    assert_eq!(under("", ""), [] as [&str; 0]);
    for (from, to, rule) in [
        ("111122223333", "999999999999", Rule::IsolationDiffers),
        ("\"drill-\"", "\"attestore-\"", Rule::IsolationDiffers),
        ("name_prefix", "subnet_group = \"isolated\"\nname_prefix", Rule::IsolationDiffers),
        ("name_prefix", "vpc_id = \"vpc-1\"\nname_prefix", Rule::IsolationDiffers),
        ("name_prefix", "security_group_ids = [\"sg-1\"]\nname_prefix", Rule::IsolationDiffers),
        ("name_prefix", "kms_key_arn = \"k\"\nname_prefix", Rule::IsolationDiffers),
        ("kind = \"s3\"", "kind = \"files\"", Rule::FactDiffers),
        ("rto = \"4h\"", "rto = \"100h\"", Rule::FactDiffers),
        ("rpo = \"24h\"", "rpo = \"1h\"", Rule::FactDiffers),
        ("rto = \"1h\"", "rto = \"1h\"\nsecond_within = \"2s\"", Rule::FactDiffers),
        ("rto = \"1h\"", "rto = \"1h\"\naccess = \"backup-access-point\"", Rule::FactDiffers),
        ("[class.bank]", "[class.silver]", Rule::FactDiffers),
        ("\"aws-backup\"", "\"s3-versions\"", Rule::FactDiffers),
    ] {
        assert_eq!(under(from, to), [rule.as_str()], "{to}");
    }
}

/// What AWS dates is counted by AWS's clock, as far ahead of the drill's as the population says: an age by another clock is a lie.
#[test]
fn an_age_is_counted_by_the_clock_that_the_population_states() {
    for (ahead_ms, achieved_ms, fault) in [
        (None, 3_600_000, None),
        (Some(3_600_000), 3_600_000, Some(Rule::RpoDiffers)),
        // A `Date` is cut to whole seconds.
        (Some(3_600_000), 7_201_000, None),
        (Some(-1_800_000), 3_600_000, Some(Rule::RpoDiffers)),
        (Some(-1_800_000), 1_801_000, None),
        (Some(-700), 3_600_000, None),
    ] {
        let edit = move |body: &mut Body, _: usize| match body {
            Body::PopulationCommitted(population) => population.service_ahead_ms = ahead_ms,
            Body::PointResult(result) if result.class == "files" => {
                (result.rpo.reference_at, result.rpo.achieved_ms) = (Some(captured_end().plus_secs(6 * 3600)), Some(achieved_ms));
            }
            _ => {}
        };
        let world = build(Story { edit: Box::new(edit), ..Story::default() });
        let expected: Vec<&str> = fault.iter().map(|rule| rule.as_str()).collect();
        assert_eq!(world.names(), expected, "{ahead_ms:?}: {:?}", world.verdict(&VerifyOptions::default()).faults);
    }
}

/// Whose bytes are in the evidence says of itself what it is: a registration that says otherwise is a lie.
#[test]
fn what_is_registered_of_a_manifest_is_what_the_manifest_says() {
    for (lie, fault) in [
        (None, None),
        (Some(("mode", serde_json::json!("sealed"))), Some(Rule::ManifestDiffers)),
        (Some(("recovery_point_id", serde_json::json!("arn:of-another"))), Some(Rule::ManifestDiffers)),
        (Some(("captured_end", serde_json::json!("2025-12-31T00:00:00.000Z"))), Some(Rule::ManifestDiffers)),
        (Some(("root", serde_json::json!(attestore::model::digest::Digest32::sha256(b"another")))), Some(Rule::ManifestDiffers)),
    ] {
        // What the log says is honest, and the manifest is another one: the same contradiction.
        let registered = manifest("vault", attestore::model::capture::CaptureMode::VersionExact);
        let mut header = serde_json::to_value(&registered).unwrap();
        let stated = header.as_object_mut().unwrap();
        stated.retain(|name, _| !["manifest", "resource"].contains(&name.as_str()));
        if let Some((name, value)) = &lie {
            stated.insert((*name).to_owned(), value.clone());
        }
        let bytes = serde_json::to_vec(&header).unwrap();
        let digest = attestore::model::digest::Sha256Digest::of(&bytes);
        let edit = move |body: &mut Body, _: usize| match body {
            Body::ManifestRegistered(body) if body.resource == registered.resource => body.manifest = digest,
            Body::PointResult(result) => {
                if let Some(facts) = result.verify.as_mut().filter(|facts| facts.manifest == registered.manifest) {
                    facts.manifest = digest;
                }
            }
            _ => {}
        };
        let world = build(Story { edit: Box::new(edit), ..Story::default() });
        world.log().put_evidence(&bytes[..]).unwrap();
        let expected: Vec<&str> = fault.iter().map(|rule| rule.as_str()).collect();
        assert_eq!(world.names(), expected, "{lie:?}");
    }
}

/// A comparison with a part of a manifest proves a part.
#[test]
fn what_passes_was_held_to_all_that_its_manifest_has() {
    let differs = vec![Rule::ManifestDiffers.as_str()];
    for (version, rows, more, expected) in [
        (RESULT_VERSION, [60, 40], serde_json::json!({}), vec![]),
        (RESULT_VERSION, [60, 140], serde_json::json!({}), differs.clone()),
        (RESULT_VERSION, [60, 30], serde_json::json!({}), differs),
        (RESULT_VERSION, [60, 140], serde_json::json!({"exclude": ["tmp/*"]}), vec![]),
        (5, [60, 140], serde_json::json!({}), vec![]),
    ] {
        let registered = manifest("vault", attestore::model::capture::CaptureMode::VersionExact);
        let mut header = serde_json::to_value(&registered).unwrap();
        let stated = header.as_object_mut().unwrap();
        stated.retain(|name, _| !["manifest", "resource"].contains(&name.as_str()));
        let part = |name: &str, rows: u64| serde_json::json!({"name": name, "rows": rows});
        let parts = [part("part-00000.parquet", rows[0]), part("part-00001.parquet", rows[1]), part("sidecar-00000.parquet", 7)];
        stated.extend([("kind".to_owned(), "objects".into()), ("parts".to_owned(), parts.to_vec().into())]);
        stated.extend(more.as_object().unwrap().clone());
        let bytes = serde_json::to_vec(&header).unwrap();
        let digest = attestore::model::digest::Sha256Digest::of(&bytes);
        let mut honest = promised();
        let edit = move |body: &mut Body, nth: usize| {
            honest(body, nth);
            match body {
                Body::ManifestRegistered(body) if body.resource.0 == "vault" => body.manifest = digest,
                Body::DrillPlanned(plan) => plan.result_version = Some(version),
                Body::PointResult(result) if result.resource.0 == "vault" => facts(result).manifest = digest,
                _ => {}
            }
        };
        let world = build(Story { edit: Box::new(edit), ..Story::default() });
        world.log().put_evidence(&bytes[..]).unwrap();
        assert_eq!(world.names(), expected, "{version} {rows:?} {more}");
    }
}

#[test]
fn a_table_without_rows_of_its_own_is_held_to_no_other_cases_checks() {
    let (found, _) = crate::tamper::run(BigLie(|body, _| {
        passing(body, |r| {
            if r.resource.0 == "crm" {
                let mut unreadable = attestore::model::counts::Counts::default();
                unreadable.add(Class::Unreadable);
                facts(r).tables = Some(unreadable);
                r.sql_checks.clear();
            }
        })
    }));
    assert!(!found.contains(&Rule::FactMissing.as_str()), "{found:?}");
}
