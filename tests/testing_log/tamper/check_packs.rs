//! SQL checks that vanish from a drill although the configuration names them, and checks that are said to be others than their files say.

use std::collections::BTreeMap;

use attestore::model::capture::CaptureMode;
use attestore::model::check::{CheckOutcome, CheckResult, Severity};
use attestore::model::digest::Sha256Digest;
use attestore::testing_log::body::PolicySet;
use attestore::testing_log::entry::Body;
use attestore::testing_log::packs::Packs;
use attestore::testing_log::point_result::PointResult;
use attestore::testing_log::verify::fault::Rule;
use serde_json::Value;

use crate::promised::{INSTANCE, SECOND, promised};
use crate::support::*;
use crate::tamper::How::{BigLie, Owed, Story as Told};
use crate::tamper::{Tamper, all_end_in_their_fault};

/// A configuration with the classes of the story, and the packs of one of them.
fn config(packs: &str) -> Vec<u8> {
    let class = |name: &str, rto: &str, rpo: &str, more: &str| {
        format!("[class.{name}]\nrto = \"{rto}\"\nrpo = \"{rpo}\"\ntest_period = \"90d\"\nindeterminate_budget = 2\n{more}")
    };
    let (files, bank) = (class("files", "4h", "24h", ""), class("bank", "1h", "not_required", &format!("checks = [{packs}]\n")));
    format!("version = 1\n{files}{bank}").into_bytes()
}

/// Changes the policy of an honest drill, and every result of its databases.
fn changing(story: &mut Story, policy: fn(&mut PolicySet), result: fn(&mut PointResult)) {
    let mut honest = promised();
    story.edit = Box::new(move |body, nth| {
        honest(body, nth);
        match body {
            Body::PolicySet(set) => policy(set),
            Body::PointResult(body) if !body.sql_checks.is_empty() => result(body),
            _ => {}
        }
    });
}

/// Keeps other check files, and says so.
fn keeping(story: &mut Story, change: fn(&mut Packs)) {
    story.edit = promised();
    change(&mut story.packs);
    let digest = Sha256Digest::of(&story.packs.to_bytes().unwrap());
    let mut honest = promised();
    story.edit = Box::new(move |body, nth| {
        honest(body, nth);
        if let Body::PolicySet(set) = body {
            set.packs = Some(digest);
        }
    });
}

fn each(result: &mut PointResult, change: fn(&mut CheckResult)) {
    result.sql_checks.iter_mut().for_each(change);
}

/// Which check there is of the bank, in the files.
fn pack(packs: &mut Packs) -> &mut BTreeMap<String, Sha256Digest> {
    &mut packs.classes.get_mut("bank").unwrap()[0]
}

pub fn check_packs() -> Vec<Tamper> {
    use Rule::{CheckDiffers, ChecksDiffer, FactMissing};
    vec![
        (
            "hold a class to none of the checks that its configuration names",
            ChecksDiffer,
            Told(|story| {
                changing(
                    story,
                    |set| set.classes.get_mut("bank").unwrap().checks.clear(),
                    |result| {
                        result.sql_checks.clear();
                        result.rpo.basis = "age".into();
                    },
                );
                story.config = config("\"bank\"");
            }),
        ),
        (
            "hold a class to checks that nobody named",
            ChecksDiffer,
            Told(|story| {
                story.edit = promised();
                story.config = config("");
            }),
        ),
        (
            "leave a pack out of the check files",
            ChecksDiffer,
            Told(|story| {
                story.edit = promised();
                story.config = config("\"bank\", \"structure-postgres\"");
            }),
        ),
        ("keep no check files", FactMissing, Told(|story| changing(story, |set| set.packs = None, |_| {}))),
        (
            "keep others under the digest of check files",
            ChecksDiffer,
            Told(|story| changing(story, |set| set.packs = Some(set.config), |_| {})),
        ),
        (
            "keep fewer checks than the policy has",
            ChecksDiffer,
            Told(|story| {
                keeping(story, |packs| {
                    let _ = pack(packs).remove("bank.names");
                })
            }),
        ),
        (
            "keep a file under another digest",
            ChecksDiffer,
            Told(|story| keeping(story, |packs| packs.files.values_mut().for_each(|text| *text = text.replace("critical", "minor")))),
        ),
        (
            "keep a file under another id",
            ChecksDiffer,
            Told(|story| {
                keeping(story, |packs| {
                    let digest = pack(packs)["bank.names"];
                    pack(packs).insert("bank.ledger-balances".into(), digest);
                });
            }),
        ),
        ("say that other check files were in force", ChecksDiffer, Told(|story| changing(story, |set| set.check_set = set.config, |_| {}))),
        ("call a critical check a minor one", CheckDiffers, Owed(INSTANCE, |r| each(r, |check| check.severity = Severity::Minor))),
        ("hold a check to less", CheckDiffers, Owed(SECOND, |r| each(r, |check| check.op = "> 100".into()))),
        ("count less than nothing", CheckDiffers, Owed(INSTANCE, |r| each(r, |check| check.actual = Some("-5".into())))),
        (
            "call critical checks minor ones everywhere",
            CheckDiffers,
            Told(|story| changing(story, |_| {}, |result| each(result, |check| check.severity = Severity::Minor))),
        ),
        (
            "hold checks to less everywhere",
            CheckDiffers,
            Told(|story| changing(story, |_| {}, |result| each(result, |check| check.op = "> 100".into()))),
        ),
        (
            "run checks of one's own",
            CheckDiffers,
            Told(|story| changing(story, |_| {}, |result| each(result, |check| check.sql_digest = Sha256Digest::of(b"SELECT 1")))),
        ),
        (
            "run a check on an engine that it is not for",
            CheckDiffers,
            Told(|story| changing(story, |_| {}, |result| each(result, |check| check.engine = "sqlite".into()))),
        ),
        (
            "call checks of one case others, in a drill that promises nothing",
            CheckDiffers,
            BigLie(|body, nth| {
                if let Body::PointResult(result) = body
                    && nth % 2 == 0
                {
                    each(result, |check| check.severity = Severity::Minor);
                }
            }),
        ),
    ]
}

#[test]
fn checks_that_vanish_or_are_others_end_in_their_named_fault() {
    all_end_in_their_fault(check_packs());
}

/// What is not applicable where its file says that there are such databases is none of the checks; elsewhere it is a way out.
#[test]
fn a_check_does_not_apply_only_where_its_file_says_that_it_may_not() {
    let said = |looks_at: bool| {
        let mut kept = packs();
        if !looks_at {
            let plain: BTreeMap<String, String> =
                CHECKS.iter().map(|(id, severity)| ((*id).to_owned(), check_file(id, *severity).replace("looks_at", "title"))).collect();
            let digests: BTreeMap<_, _> = plain.iter().map(|(id, text)| (id.clone(), Sha256Digest::of(text.as_bytes()))).collect();
            kept.files = plain.into_values().map(|text| (Sha256Digest::of(text.as_bytes()), text)).collect();
            kept.classes.insert("bank".into(), vec![digests]);
        }
        let (mut honest, of_bank) = (promised(), kept.classes["bank"][0].clone());
        let (check_set, digest) = (kept.check_set().unwrap(), Sha256Digest::of(&kept.to_bytes().unwrap()));
        let edit = Box::new(move |body: &mut Body, nth| {
            honest(body, nth);
            match body {
                Body::PolicySet(set) => (set.check_set, set.packs) = (check_set, Some(digest)),
                Body::PointResult(result) => {
                    for check in &mut result.sql_checks {
                        check.sql_digest = of_bank[&check.id];
                        (check.result, check.not_applicable, check.actual) = (CheckOutcome::Untested, true, None);
                    }
                }
                _ => {}
            }
        });
        build(Story { edit, packs: kept, ..Story::default() }).names()
    };
    assert_eq!(said(true), [] as [&str; 0]);
    assert_eq!(said(false), [Rule::CheckDiffers.as_str()]);
}

/// A drill whose check of names is held against a baseline of this name, beside a manifest that has these.
fn beside(name: &str, baselines: Value, [expected, actual]: [Option<&'static str>; 2], config: &[u8]) -> World {
    let header = serde_json::json!({
        "mode": "snapshot-exact", "recovery_point_id": SECOND, "captured_end": captured_end(), "baselines": baselines,
        "root": manifest("crm", CaptureMode::SnapshotExact).root,
    });
    let bytes = serde_json::to_vec(&header).unwrap();
    let digest = Sha256Digest::of(&bytes);
    let mut kept = packs();
    let text = check_file("bank.names", Severity::Minor).replace("violations", "baseline-scalar");
    let text = text.replace("\nSELECT", &format!("\n--! baseline = \"{name}\"\nSELECT"));
    let of_names = Sha256Digest::of(text.as_bytes());
    pack(&mut kept).insert("bank.names".into(), of_names);
    kept.files.insert(of_names, text);
    let (check_set, of_packs) = (kept.check_set().unwrap(), Sha256Digest::of(&kept.to_bytes().unwrap()));
    let mut honest = promised();
    let edit = Box::new(move |body: &mut Body, nth| {
        honest(body, nth);
        match body {
            Body::PolicySet(set) => (set.check_set, set.packs) = (check_set, Some(of_packs)),
            Body::ManifestRegistered(registered) if registered.resource.0 == "crm" => registered.manifest = digest,
            Body::PointResult(result) if result.resource.0 == "crm" => {
                result.verify.as_mut().unwrap().manifest = digest;
                for check in result.sql_checks.iter_mut().filter(|check| check.id == "bank.names") {
                    (check.sql_digest, check.kind, check.op) = (of_names, "baseline-scalar".into(), "!= baseline".into());
                    (check.expected, check.actual) = (expected.map(str::to_owned), actual.map(str::to_owned));
                }
            }
            _ => {}
        }
    });
    let world = build(Story { edit, packs: kept, config: config.to_vec(), ..Story::default() });
    world.log().put_evidence(&bytes[..]).unwrap();
    world
}

/// What a check is held against is what the manifest has.
#[test]
fn a_baseline_is_that_of_the_manifest() {
    for (expected, actual, is_a_lie) in [(Some("7"), "7", false), (Some("8"), "8", true), (None, "0", true)] {
        let world = beside("bank.names", serde_json::json!({"bank.names": "7"}), [expected, Some(actual)], b"version = 1\n");
        let lie: &[&str] = if is_a_lie { &[Rule::CheckDiffers.as_str()] } else { &[] };
        assert_eq!(world.names(), lie, "{expected:?} {actual}");
    }
}

/// The number of a table's rows is the manifest's under the name that the configuration gives the table; where that is withheld, it is that of one
/// of the manifest's tables.
#[test]
fn a_number_of_rows_is_that_of_the_manifest() {
    let crm = "version = 1\n[[resource]]\nid = \"crm\"\nkind = \"rds-postgres\"\n";
    let mapped = format!("{crm}names = {{ accounts = \"acct\" }}\n");
    let (mapped, withheld, nothing) = (mapped.as_str(), "version = 1\n", None);
    for (config, expected, is_a_lie) in [
        (mapped, Some("4"), false),
        (mapped, Some("9"), true),
        (mapped, Some("5"), true),
        (mapped, nothing, true),
        (crm, Some("9"), false),
        (crm, Some("4"), true),
        (withheld, Some("9"), false),
        (withheld, Some("4"), false),
        (withheld, Some("3"), true),
        (withheld, nothing, true),
    ] {
        let has = serde_json::json!({"rows.acct": "4", "rows.accounts": "9", "rows.other": "5", "bank.total": "3"});
        let verdict = beside("rows.accounts", has, [expected, expected.or(Some("0"))], config.as_bytes()).verdict(&Default::default());
        let is_seen = verdict.faults.iter().any(|fault| fault.rule == Rule::CheckDiffers);
        assert_eq!(is_seen, is_a_lie, "{config}: {expected:?}: {:?}", verdict.faults);
        // Such a resource lacks what other rules hold its points to.
        assert!(config != withheld || verdict.faults.iter().all(|fault| fault.rule == Rule::CheckDiffers), "{:?}", verdict.faults);
    }
}

/// What is withheld is no fault, and is said.
#[test]
fn check_files_that_are_withheld_are_told() {
    let world = build(Story { edit: promised(), ..Story::default() });
    std::fs::remove_file(world.log().evidence_path(&Sha256Digest::of(&packs().to_bytes().unwrap()))).unwrap();
    let verdict = world.verdict(&Default::default());
    assert_eq!(verdict.faults, []);
    assert!(verdict.unheld.iter().any(|unheld| unheld.message.contains("check files")), "{:?}", verdict.unheld);
}
