//! DynamoDB at its edges: fuzzy backups with an export that names what was written around them, answers for another table, another Region, items that
//! expire, checks and canaries over items, and what a restore leaves behind.

use std::process::{Command, Output};
use std::sync::Arc;

use attestore::aws::dynamodb::TableSource;
use attestore::aws::dynamodb_export;
use attestore::aws::session::SessionOptions;
use attestore::model::capture::CaptureMode;
use attestore::model::check::CheckOutcome;
use attestore::model::outcome::Outcome;
use attestore::model::source_url::SourceUrl;
use attestore::monitor::Silent;
use attestore::sandbox::control::dynamodb::backups::ItemDamage;
use attestore::sandbox::control::faults::RestoreFault;
use attestore::sandbox::identity::{ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY};
use attestore::testing_log::point_result::PointResult;
use attestore::verify::items::capture::capture_with;
use attestore::verify::items::export_files::ExportSource;
use attestore::verify::items::scan::ScanOptions;
use attestore::verify::items::source::ItemSource;
use aws_sdk_dynamodb::types::{AttributeValue, StreamSpecification, StreamViewType, Tag, TimeToLiveSpecification};
use serde_json::{Value, json};

use crate::aws::estate::{ACCOUNT, Laying, leftovers};
use crate::aws::tables::{arn, exported, next_second, put, recoverable};
use crate::clients::Clients;
use crate::drill_estate::{Estate, ORIGIN};

const TABLE: &str = "audit-logs";

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn result_of(estate: &Estate, point: &str) -> PointResult {
    estate.results().into_iter().rev().find(|result| result.rp.id.0 == point).unwrap_or_else(|| panic!("no result of {point}"))
}

impl Laying {
    /// Captures the table, or an export of it, and registers that.
    async fn manifest(&mut self, at: usize, url: Option<&str>, mode: CaptureMode, point: &str, changes: Option<String>) {
        let table = TableSource::open(&self.session, TABLE).await.unwrap();
        let source: Arc<dyn ItemSource> = match url {
            None => Arc::new(table),
            Some(url) => {
                let SourceUrl::DynamodbExport { bucket, prefix, .. } = url.parse().unwrap() else { panic!("{url}") };
                let export = dynamodb_export::open(&self.session, &bucket, &prefix, url).await.unwrap();
                Arc::new(ExportSource::new(export, table.key_schema().await.unwrap()).unwrap())
            }
        };
        let request = self.request(TABLE, at, mode, point);
        let options = ScanOptions { changes, ..ScanOptions::default() };
        capture_with(source, &request, &options, &self.hash_key, Some((ORIGIN, &self.key)), &Silent).await.unwrap();
        self.estate.register(&mut self.log, TABLE, &request.out);
    }

    async fn backup(&self, name: &str) -> String {
        let made = self.clients.dynamodb.create_backup().table_name(TABLE).backup_name(name).send().await.unwrap();
        made.backup_details.unwrap().backup_arn
    }

    fn backups(&mut self) {
        self.resource(TABLE, "dynamodb", "dynamodb:audit-logs", "", "from = \"dynamodb-backup\"");
    }

    /// The program beside the running stand-in.
    async fn attestore(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_attestore"));
        command.args(args).env("AWS_ENDPOINT_URL", self.running.endpoint()).env("AWS_REGION", REGION);
        command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID).env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY);
        command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }
}

fn summary(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(text.lines().last().unwrap_or_else(|| panic!("{}", said(output)))).unwrap()
}

async fn delete(clients: &Clients, id: &str) {
    clients.dynamodb.delete_item().table_name(TABLE).key("id", AttributeValue::S(id.into())).send().await.unwrap();
}

/// A backup that mixes the states of two seconds, held against an export of one moment: exact but for the keys that an incremental export names.
#[tokio::test(flavor = "multi_thread")]
async fn a_fuzzy_backup_is_exact_outside_of_the_keys_that_were_written_around_it() {
    for (with_changes, damaged) in [(true, false), (true, true), (false, false)] {
        let folder = tempfile::tempdir().unwrap();
        let mut laying = Laying::begin(folder.path()).await;
        laying.clients.bucket("exports").await;
        laying.clients.table(TABLE, 60).await;
        recoverable(&laying.clients).await;
        laying.running.control().faults().fuzzy_backups(&arn(), 2).unwrap();
        for _ in 0..3 {
            next_second().await;
        }
        for n in 0..10 {
            put(&laying.clients, &format!("i{n:03}"), 900 + n).await;
            put(&laying.clients, &format!("new{n}"), n).await;
            delete(&laying.clients, &format!("i{:03}", 10 + n)).await;
        }
        let point = laying.backup("fuzzy").await;
        let tables = laying.running.control().dynamodb();
        if damaged {
            let damage = ItemDamage::Change { key: json!({"id": {"S": "i050"}}), set: json!({"n": {"N": "9999"}}) };
            tables.damage_backup(&point, &damage).unwrap();
        }
        // The windows of a minute on both sides are over.
        tables.age(TABLE, 300).unwrap();
        let at = tables.backup(&point).unwrap().created.timestamp() + 1;
        let full = exported(&laying.clients, None, at).await;
        let changes = exported(&laying.clients, Some(at - 61), at + 62).await;
        laying.manifest(0, Some(&full), CaptureMode::WindowBounded, &point, with_changes.then_some(changes)).await;
        laying.backups();
        let estate = laying.end().await;
        let output = estate.run(&["drill"], None);
        let result = result_of(&estate, &point);
        let items = result.verify.as_ref().unwrap().items.unwrap();
        assert!(items.adds_up() && items.matched >= 40, "{items:?}");
        let between = items.changed_between + items.added_between + items.deleted_between;
        let different = items.mismatch + items.missing + items.extra;
        match (with_changes, damaged) {
            (true, false) => {
                assert_eq!((result.outcome, different), (Outcome::Pass, 0), "{items:?} {}", said(&output));
                assert!(items.changed_between > 0 && between > 3, "{items:?}");
                assert_eq!(result.verify.unwrap().mode, CaptureMode::WindowBounded);
            }
            (true, true) => assert_eq!((result.outcome, items.mismatch, different), (Outcome::Fail, 1, 1), "{items:?}"),
            _ => assert!(result.outcome == Outcome::Fail && between == 0 && different > 3, "{items:?}"),
        }
        assert!(estate.verdict().holds(), "{:?}", estate.verdict().faults);
        assert_eq!(leftovers(&estate).await, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_for_another_table_is_never_a_pass() {
    for admitted in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let mut laying = Laying::begin(folder.path()).await;
        let [through, own] = laying.table().await;
        laying.clients.table("others", 40).await;
        let fault = RestoreFault::AnotherTable { table: "others".into(), admitted };
        laying.clients.dynamodb.delete_item().table_name("others").key("id", AttributeValue::S("i001".into())).send().await.unwrap();
        for point in [&through, &own] {
            laying.running.control().faults().on_restore(point, fault.clone()).unwrap();
        }
        let estate = laying.end().await;
        let output = estate.run(&["drill"], None);
        assert_ne!(output.status.code(), Some(0), "{}", said(&output));
        for point in [&through, &own] {
            let result = result_of(&estate, point);
            if admitted {
                assert_eq!((result.outcome, result.verify.is_none()), (Outcome::Error, true), "{result:?}");
                assert!(result.outcome_reasons[0].contains("was restored from") && result.outcome_reasons[0].contains("others"));
            } else {
                assert_eq!((result.outcome, result.verify.unwrap().items.unwrap().missing), (Outcome::Fail, 1));
            }
        }
        assert!(estate.verdict().holds(), "{:?}", estate.verdict().faults);
        assert_eq!(leftovers(&estate).await, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_comes_back_in_another_region_and_is_taken_down_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    laying.clients.table(TABLE, 20).await;
    recoverable(&laying.clients).await;
    let backup = laying.backup("nightly").await;
    laying.manifest(0, None, CaptureMode::Sealed, &backup, None).await;
    let at = next_second().await;
    next_second().await;
    let time = chrono::DateTime::from_timestamp(at, 0).unwrap().format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let second = format!("{}@{time}", arn());
    laying.manifest(1, None, CaptureMode::Sealed, &second, None).await;
    laying.isolation = format!("kms_key_arn = \"arn:aws:kms:eu-west-1:{ACCOUNT}:key/0\"\n");
    laying.resource(
        TABLE,
        "dynamodb",
        "dynamodb:audit-logs",
        "",
        "from = \"dynamodb-backup\"\n[[resource.points]]\nfrom = \"dynamodb-pitr\"",
    );
    let estate = laying.end().await;
    let output = estate.run(&["drill"], None);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    for point in [&backup, &second] {
        let result = result_of(&estate, point);
        assert_eq!((result.outcome, result.verify.unwrap().items.unwrap().matched), (Outcome::Pass, 20));
        let target = result.restore.unwrap().target.unwrap();
        assert!(target.starts_with(&format!("arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/attestore-drill-")), "{target}");
        assert!(result.teardown.leftover_count == 0 && result.teardown.resources[0].arn == target, "{:?}", result.teardown);
        let key = result.isolation.unwrap().probes.into_iter().find(|probe| probe.name == "kms-key").unwrap();
        assert!(key.held && key.expected.contains("eu-west-1"), "{key:?}");
    }
    assert_eq!(leftovers(&estate).await, Vec::<String>::new());
    let (running, _) = crate::clients::start(&estate.path("sandbox")).await;
    let there = Clients::of(&SessionOptions { region: Some("eu-west-1".into()), ..running.session_options() }).await;
    assert_eq!(there.dynamodb.list_tables().send().await.unwrap().table_names(), Vec::<String>::new().as_slice());
    running.stop().await.unwrap();
}

/// Event `n` of an audit log: four actors, ten days up to today.
async fn event(clients: &Clients, n: u32) {
    let day = chrono::Utc::now().date_naive() - chrono::Duration::days(i64::from(9 - n / 4));
    let text = |text: String| AttributeValue::S(text);
    let put = clients.dynamodb.put_item().table_name(TABLE).item("id", text(format!("event {n:02}")));
    let put = put.item("actor", text(format!("actor {}", n % 4))).item("action", text("read".into()));
    let put = put.item("at", text(format!("{day}T00:00:{:02}Z", n % 4))).item("seq", AttributeValue::N((n / 4).to_string()));
    put.send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_and_a_canary_run_over_the_items_of_a_restored_table_and_at_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    laying.clients.table(TABLE, 0).await;
    for n in 0..40 {
        event(&laying.clients, n).await;
    }
    // A known write: its value is planted before the backup, and is nowhere but in the table.
    let planted = laying.clients.dynamodb.update_item().table_name(TABLE).key("id", AttributeValue::S("event 39".into()));
    let planted = planted.update_expression("SET note = :n").expression_attribute_values(":n", AttributeValue::S("nightingale".into()));
    planted.send().await.unwrap();
    let canary = "--! id = \"probe.known-write\"\n--! title = \"The planted value is back\"\n--! engines = [\"dynamodb\"]\n--! requires = [\"items\"]\n\
                  --! columns = [\"items.note\"]\n--! kind = \"canary\"\n--! severity = \"critical\"\n\
                  SELECT note FROM items WHERE pk = 'event 39'\n";
    let pack = laying.estate.path("probe.sql");
    std::fs::write(&pack, canary).unwrap();
    let good = laying.backup("good").await;
    let bad = laying.backup("bad").await;
    let (key, hash) = (laying.estate.path("attestore.key"), laying.estate.path("attestore.hashkey"));
    for (at, point) in [&good, &bad].into_iter().enumerate() {
        let out = laying.request(TABLE, at, CaptureMode::Sealed, point).out;
        let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
        let (key, hash, out_text, pack) = (path(&key), path(&hash), path(&out), path(&pack));
        let mut args = vec!["manifest", "create", "dynamodb:audit-logs", "--mode", "sealed", "--out", &out_text, "--pack", &pack];
        args.extend(["--sign-key", &key, "--signer", ORIGIN, "--hash-key", &hash, "--recovery-point", point, "--json"]);
        let output = laying.attestore(&args).await;
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        let header = std::fs::read_to_string(out.join("manifest.json")).unwrap();
        assert!(header.contains("probe.known-write") && header.contains("blake3-keyed-v2:") && !header.contains("nightingale"), "{header}");
        laying.estate.register(&mut laying.log, TABLE, &out);
    }
    let output = laying.attestore(&["check", "dynamodb:audit-logs", "--pack", "audit-log-items", "--json"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(summary(&output)["checks"]["pass"], 5);
    let tables = laying.running.control().dynamodb();
    tables.damage_backup(&bad, &ItemDamage::Remove { key: json!({"id": {"S": "event 20"}}) }).unwrap();
    let forged = json!({"note": {"S": "nightjar"}});
    tables.damage_backup(&bad, &ItemDamage::Change { key: json!({"id": {"S": "event 39"}}), set: forged }).unwrap();
    laying.checks = "checks = [\"audit-log-items\", \"./probe.sql\"]\n".into();
    laying.backups();
    delete(&laying.clients, "event 20").await;
    let output = laying.attestore(&["check", "dynamodb:audit-logs", "--pack", "audit-log-items", "--json"]).await;
    assert_eq!((output.status.code(), &summary(&output)["checks"]["fail"]), (Some(1), &json!(1)), "{}", said(&output));
    let estate = laying.end().await;
    let output = estate.run(&["drill"], None);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let result = result_of(&estate, &good);
    assert_eq!((result.outcome, result.sql_checks.len()), (Outcome::Pass, 6), "{:?} {:?}", result.outcome_reasons, result.errors);
    // The pack asks for the newest item, which is said beside the achieved RPO.
    assert!(result.rpo.basis.contains("newest stamp in the data"), "{}", result.rpo.basis);
    let result = result_of(&estate, &bad);
    let failed: Vec<&str> =
        result.sql_checks.iter().filter(|check| check.result == CheckOutcome::Fail).map(|check| check.id.as_str()).collect();
    assert!(failed.contains(&"audit-items.in-order") && failed.contains(&"probe.known-write"), "{failed:?}");
    assert_eq!(result.outcome, Outcome::Fail);
    let log: String = std::fs::read_dir(estate.path("log/entries"))
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    assert!(!log.contains("nightingale") && !log.contains("nightjar"));
    assert!(estate.verdict().holds(), "{:?}", estate.verdict().faults);
}

/// A table that expires, that streams, and that is tagged: what has expired by itself is no loss, what has not is; and what a restore does not bring
/// back is a checklist, not corruption.
#[tokio::test(flavor = "multi_thread")]
async fn items_that_have_expired_are_no_loss_and_lost_settings_are_a_checklist() {
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    laying.clients.table(TABLE, 0).await;
    let dynamodb = laying.clients.dynamodb.clone();
    let expiry = TimeToLiveSpecification::builder().attribute_name("ends").enabled(true).build().unwrap();
    dynamodb.update_time_to_live().table_name(TABLE).time_to_live_specification(expiry).send().await.unwrap();
    let stream = StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::NewImage).build().unwrap();
    dynamodb.update_table().table_name(TABLE).stream_specification(stream).send().await.unwrap();
    let tag = Tag::builder().key("team").value("ledger").build().unwrap();
    dynamodb.tag_resource().resource_arn(arn()).tags(tag).send().await.unwrap();
    let now = chrono::Utc::now().timestamp();
    for n in 0..20 {
        let put = dynamodb.put_item().table_name(TABLE).item("id", AttributeValue::S(format!("i{n:03}")));
        // Ten that end at once, five in a year, five never.
        let put = match n {
            0..10 => put.item("ends", AttributeValue::N((now + 1).to_string())),
            10..15 => put.item("ends", AttributeValue::N((now + 31_000_000).to_string())),
            _ => put,
        };
        put.send().await.unwrap();
    }
    let manifest = laying.request(TABLE, 0, CaptureMode::Sealed, "").out;
    laying.manifest(0, None, CaptureMode::Sealed, "", None).await;
    for _ in 0..3 {
        next_second().await;
    }
    for n in 0..4 {
        delete(&laying.clients, &format!("i{n:03}")).await;
    }
    let (manifest, hash) = (manifest.to_str().unwrap().to_owned(), laying.estate.path("attestore.hashkey").to_str().unwrap().to_owned());
    let verify = ["verify", "dynamodb:audit-logs", "--manifest", &manifest, "--hash-key", &hash, "--json"];
    let output = laying.attestore(&verify).await;
    let told = summary(&output);
    assert_eq!((output.status.code(), &told["expired"], &told["items"]["deleted_between"]), (Some(0), &json!(4), &json!(4)), "{told}");
    let first = laying.backup("expired").await;
    delete(&laying.clients, "i012").await;
    delete(&laying.clients, "i018").await;
    let output = laying.attestore(&verify).await;
    let told = summary(&output);
    assert_eq!((output.status.code(), &told["items"]["missing"], &told["expired"]), (Some(1), &json!(2), &json!(4)), "{told}");
    let second = laying.backup("lost").await;
    laying.checks = "indeterminate_budget = 1\n".into();
    laying.backups();
    let estate = laying.end().await;
    let output = estate.run(&["drill"], None);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let result = result_of(&estate, &first);
    let verify = result.verify.unwrap();
    assert_eq!(
        (result.outcome, verify.expired, verify.items.unwrap().matched),
        (Outcome::Pass, Some(4), 16),
        "{:?}",
        result.outcome_reasons
    );
    let lines = result.restore.unwrap().recovery_checklist;
    let state = |setting: &str| lines.iter().find(|line| line.setting == setting).map(|line| line.state.as_str());
    for lost in ["time to live", "stream", "tags"] {
        assert_eq!(state(lost), Some("lost"), "{lost}: {lines:?}");
    }
    assert_eq!(state("CloudWatch alarms"), Some("not looked at"));
    // The manifest is of another moment: two of its items may have been deleted since, and one was allowed.
    let result = result_of(&estate, &second);
    assert_eq!((result.outcome, result.verify.unwrap().items.unwrap().indeterminate), (Outcome::Fail, 2));
    assert!(result.outcome_reasons[0].contains("2 indeterminate, 1 allowed"), "{:?}", result.outcome_reasons);
    assert!(estate.verdict().holds(), "{:?}", estate.verdict().faults);

    let text = std::fs::read_to_string(estate.path("attestore.toml")).unwrap();
    std::fs::write(estate.path("attestore.toml"), text.replace("indeterminate_budget = 1", "indeterminate_budget = 2")).unwrap();
    let output = estate.run(&["drill"], None);
    assert_eq!((output.status.code(), result_of(&estate, &second).outcome), (Some(0), Outcome::Pass), "{}", said(&output));
    let (log, key, page) = (estate.path("log"), estate.path("log/keys"), estate.path("report.html"));
    let key = std::fs::read_dir(key).unwrap().map(|entry| entry.unwrap().path()).find(|path| path.extension().is_some_and(|e| e == "pem"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_attestore"));
    command.arg("report").arg("--log").arg(&log).arg("--key").arg(key.unwrap()).arg("--out").arg(&page);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let page = std::fs::read_to_string(page).unwrap();
    let checklist = &page[page.find("Recovery checklist").expect("a checklist")..];
    assert!(checklist.contains("time to live, stream, tags") && checklist.contains("CloudWatch alarms"), "{}", &checklist[..1500]);
    assert!(page.contains("4 gone after the end of their time to live"));
}
