//! Whole drills over the stand-in.

use attestore::engines::installed::EngineKind;
use attestore::model::outcome::Outcome;
use attestore::sandbox::control::backup::points::PointDamage;
use attestore::sandbox::control::dynamodb::backups::ItemDamage;
use attestore::sandbox::control::faults::RestoreFault;
use attestore::sandbox::s3::snapshot::Damage;
use attestore::testing_log::point_result::PointResult;
use attestore::verify::objects::tier::Tier;
use serde_json::json;

use crate::aws::estate::{Laying, leftovers};
use crate::drill_estate::Estate;
use crate::engines::engine;

fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&[&output.stderr[..], &output.stdout[..]].concat()).into_owned()
}

fn of(estate: &Estate, point: &str) -> PointResult {
    estate.results().into_iter().find(|result| result.rp.id.0 == point).unwrap_or_else(|| panic!("no result of {point}"))
}

async fn holds_and_leaves_nothing(estate: &Estate) {
    let verdict = estate.verdict();
    assert!(verdict.holds(), "{:?}", verdict.faults);
    assert_eq!(leftovers(estate).await, Vec::<String>::new());
    for result in estate.results() {
        assert_eq!(result.teardown.leftover_count, 0, "{:?}", result.teardown);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_with_all_its_versions_comes_back_and_damage_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    let points = laying.bucket(3).await;
    let backup = laying.running.control().backup();
    backup.damage(&points[1], &PointDamage::Object(Damage::FlipByte { key: "a.txt".into(), seq: 0, offset: 7 })).await.unwrap();
    backup.damage(&points[1], &PointDamage::Object(Damage::AddObject { key: "new".into(), bytes: vec![1] })).await.unwrap();
    backup.damage(&points[2], &PointDamage::Object(Damage::RemoveVersion { key: "a.txt".into(), seq: 1 })).await.unwrap();
    let estate = laying.end().await;
    let output = estate.run(&["drill", "--json"], None);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let good = of(&estate, &points[0]);
    assert_eq!(good.outcome, Outcome::Pass, "{:?} {:?}", good.outcome_reasons, good.errors);
    let objects = good.verify.unwrap().objects.unwrap();
    assert_eq!((objects.expected, objects.matched), (5, 5), "two versions, one, and one under a delete marker");
    let flipped = of(&estate, &points[1]).verify.unwrap().objects.unwrap();
    // The stand-in goes on stating the checksum of the whole object: which of the two is told first is not the drill's affair.
    assert_eq!((flipped.mismatch + flipped.unreadable, flipped.extra, flipped.missing), (1, 1, 0), "{flipped:?}");
    let lost = of(&estate, &points[2]).verify.unwrap().objects.unwrap();
    assert_eq!((lost.missing, lost.mismatch, lost.extra), (1, 0, 0));
    let restore = good.restore.unwrap();
    assert!(restore.job_id.is_some() && restore.verified_at > restore.available_at && restore.available_at > Some(restore.requested_at));
    let probes: Vec<String> = good.isolation.unwrap().probes.into_iter().map(|probe| probe.name).collect();
    for name in ["account", "name-prefix", "target-absent", "no-backup-selection", "public-access-blocked", "versioned", "empty", "tagged"]
    {
        assert!(probes.iter().any(|probe| probe == name), "{name}: {probes:?}");
    }
    holds_and_leaves_nothing(&estate).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_rolled_back_beside_itself_and_what_came_later_is_not_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    let point = laying.rolled_back().await;
    let estate = laying.end().await;
    let output = estate.run(&["drill", "--json"], None);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let result = of(&estate, &point);
    assert_eq!(result.outcome, Outcome::Pass, "{:?} {:?}", result.outcome_reasons, result.errors);
    let objects = result.verify.unwrap().objects.unwrap();
    assert_eq!((objects.expected, objects.matched, objects.extra), (2, 2, 0), "what was deleted before is not expected");
    holds_and_leaves_nothing(&estate).await;
}

/// A manifest that no byte was read for proves no byte: what is damaged within an object passes its tier, and so that is never a plain pass.
#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_of_a_lesser_tier_is_never_a_plain_pass() {
    for (tier, word) in [(Tier::Inventory, "inventory"), (Tier::Attributes, "attributes")] {
        let folder = tempfile::tempdir().unwrap();
        let mut laying = Laying::begin(folder.path()).await;
        let point = laying.bucket_at(tier).await;
        let flip = PointDamage::Object(Damage::FlipByte { key: "a.txt".into(), seq: 0, offset: 7 });
        laying.running.control().backup().damage(&point, &flip).await.unwrap();
        let estate = laying.end().await;
        let output = estate.run(&["drill"], None);
        let result = of(&estate, &point);
        assert_eq!(result.outcome, Outcome::PassWithException, "{:?} {:?} {}", result.outcome_reasons, result.errors, said(&output));
        assert!(result.outcome_reasons.iter().any(|why| why.contains(&format!("tier {word}"))), "{:?}", result.outcome_reasons);
        let facts = result.verify.clone().unwrap();
        assert_eq!((facts.tier.as_deref(), facts.objects.unwrap().matched, facts.bytes_checked), (Some(word), 2, 0));
        // Nor does a log hold that calls it one.
        let told = PointResult { outcome: Outcome::Pass, outcome_reasons: Vec::new(), ..result };
        let objections = attestore::testing_log::verify::pass::objections(&told, None, Outcome::Pass);
        assert!(objections.iter().any(|(_, why)| why.contains("less than every byte")), "{objections:?}");
        holds_and_leaves_nothing(&estate).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_comes_back_both_ways_and_damage_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    let [through, own] = laying.table().await;
    let damage = ItemDamage::Change { key: json!({"id": {"S": "i007"}}), set: json!({"n": {"N": "9999"}}) };
    laying.running.control().dynamodb().damage_backup(&own, &damage).unwrap();
    let estate = laying.end().await;
    let output = estate.run(&["drill"], None);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let good = of(&estate, &through);
    assert_eq!(good.outcome, Outcome::Pass, "{:?} {:?}", good.outcome_reasons, good.errors);
    assert_eq!(good.verify.unwrap().items.unwrap().matched, 40);
    let bad = of(&estate, &own);
    assert_eq!((bad.outcome, bad.verify.unwrap().items.unwrap().mismatch), (Outcome::Fail, 1));
    holds_and_leaves_nothing(&estate).await;
}

/// MySQL where it is installed or required, and MariaDB elsewhere.
pub fn mysql_or_mariadb() -> EngineKind {
    if engine(EngineKind::MySql) { EngineKind::MySql } else { EngineKind::MariaDb }
}

async fn database(kind: EngineKind) {
    if !engine(kind) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    let [own, through] = laying.database(kind).await;
    let text = "UPDATE customer SET name = 'nobody' WHERE id = 3; DELETE FROM customer WHERE id = 4;";
    let damage = PointDamage::Sql { database: Some("crm".into()), text: text.into() };
    laying.running.control().backup().damage(&through, &damage).await.unwrap();
    let estate = laying.end().await;
    let output = estate.run(&["drill", "--at-once", "1"], None);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let good = of(&estate, &own);
    assert_eq!(good.outcome, Outcome::Pass, "{:?} {:?}", good.outcome_reasons, good.errors);
    assert_eq!(good.verify.unwrap().rows.unwrap().matched, 30);
    let bad = of(&estate, &through);
    let rows = bad.verify.unwrap().rows.unwrap();
    assert_eq!((bad.outcome, rows.mismatch, rows.missing), (Outcome::Fail, 1, 1), "{:?}", bad.outcome_reasons);
    holds_and_leaves_nothing(&estate).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_instance_comes_back_both_ways_and_damage_is_found() {
    database(EngineKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mysql_instance_comes_back_both_ways_and_damage_is_found() {
    database(mysql_or_mariadb()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn completed_is_not_believed_and_one_failing_job_stops_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    let points = laying.bucket(6).await;
    let faults = [
        RestoreFault::CompletesEmpty,
        RestoreFault::CompletesWithoutResource,
        RestoreFault::Fails { message: "planted".into() },
        RestoreFault::WrongType,
        RestoreFault::Hangs,
    ];
    for (point, fault) in points.iter().zip(&faults) {
        laying.running.control().faults().on_restore(point, fault.clone()).unwrap();
    }
    laying.running.control().faults().throttle("backup", 3).unwrap();
    let estate = laying.end().await;
    let output = estate.run(&["drill", "--case-deadline", "4s", "--at-once", "4", "--teardown-deadline", "3s"], None);
    let outcomes: Vec<Outcome> = points.iter().map(|point| of(&estate, point).outcome).collect();
    use Outcome::{Error, Fail, Pass};
    assert_eq!(outcomes, [Fail, Error, Error, Error, Error, Pass], "{}", said(&output));
    let empty = of(&estate, &points[0]).verify.unwrap().objects.unwrap();
    // Delete markers stay undecided until a restore of AWS itself was observed.
    assert_eq!((empty.missing, empty.indeterminate, empty.expected), (4, 1, 5));
    assert!(of(&estate, &points[2]).outcome_reasons[0].contains("planted"));
    assert!(of(&estate, &points[3]).outcome_reasons[0].contains("names"));
    // The job that hangs has no bucket to write into any more.
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    holds_and_leaves_nothing(&estate).await;
}

/// What services say is foreign text: on the terminal it neither draws, nor hides, nor buries what else is said.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_service_says_is_shown_escaped_and_in_part() {
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    let point = laying.bucket(1).await.remove(0);
    let message = format!("quota\u{1b}[2J\u{202e}\n{}the end", "x".repeat(100_000));
    laying.running.control().faults().on_restore(&point, RestoreFault::Fails { message }).unwrap();
    let estate = laying.end().await;
    let output = estate.run(&["drill"], None);
    assert_eq!(of(&estate, &point).outcome, Outcome::Error);
    let said = said(&output);
    assert!(!said.contains(['\u{1b}', '\u{202e}']) && said.contains("quota\\u{1b}[2J\\u{202e}\\n"), "{said}");
    let longest = said.lines().map(|line| line.chars().count()).max().unwrap();
    assert!(longest < 3000 && said.lines().any(|line| line.starts_with("problem: ") && line.contains("the end")), "{longest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_account_or_an_absent_vault_is_a_refusal_and_not_a_pass() {
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    laying.bucket(1).await;
    let estate = laying.end().await;
    let text = std::fs::read_to_string(estate.path("attestore.toml")).unwrap();
    std::fs::write(estate.path("attestore.toml"), text.replace("account_id = \"111122223333\"", "account_id = \"444455556666\"")).unwrap();
    let output = estate.run(&["drill"], None);
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    let result = estate.results().remove(0);
    assert_eq!((result.outcome, result.restore.is_none()), (Outcome::Error, true));
    let isolation = result.isolation.unwrap();
    assert!(!isolation.proved && isolation.probes.iter().any(|probe| probe.name == "account" && !probe.held));
    std::fs::write(estate.path("attestore.toml"), text.replace("vault = \"vault\"", "vault = \"absent\"")).unwrap();
    let output = estate.run(&["drill"], None);
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    let verdict = estate.verdict();
    assert!(verdict.holds(), "{:?}", verdict.faults);
    assert_eq!(leftovers(&estate).await, Vec::<String>::new());
}
