//! A database that went on after its capture, beside a log of what was written meanwhile: rows that the log names have changed in between, and
//! a row that it does not name and that differs is damage. On real servers, and against a naive model.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use crate::servers::{self, Kind};
use crate::support::{Db, access, key, places};
use attestore::model::capture::CaptureMode;
use attestore::model::clock::Timestamp;
use attestore::model::failure::FailureKind;
use attestore::model::finding::{Class, Finding};
use attestore::model::outcome::Outcome;
use attestore::model::source_url::SourceUrl;
use attestore::model::verification::Verification;
use attestore::monitor::{Collected, Silent};
use attestore::verify::manifest::header::Header;
use attestore::verify::manifest::reader::Manifest;
use attestore::verify::manifest::request::{CaptureRequest, Leaves, TableRequest};
use attestore::verify::sql::capture::capture;
use attestore::verify::sql::compare::database::{Restored, compare_beside};
use proptest::prelude::*;
use serde_json::{Value, json};

async fn captured(url: &SourceUrl, out: &Path, tables: TableRequest) -> Header {
    let request = CaptureRequest { tables, ..CaptureRequest::new(out, CaptureMode::Sealed) };
    let mode = if matches!(url, SourceUrl::Sqlite { .. }) { CaptureMode::Sealed } else { CaptureMode::PositionBounded };
    capture(url, &access(), &CaptureRequest { mode, ..request }, &key(), None, &Silent).await.unwrap()
}

async fn beside(url: &SourceUrl, manifest: &Path, log: &Path, at: Option<Timestamp>) -> (Verification, Vec<Finding>) {
    let monitor = Collected::default();
    let restored = Restored { mode: Some(CaptureMode::PositionBounded), at, ..Restored::default() };
    let manifest = Manifest::open(manifest).unwrap();
    let result = compare_beside(url, &access(), &manifest, &key(), (restored, Some(log)), &monitor).await.unwrap();
    (result, monitor.findings())
}

/// An event as Debezium writes it.
fn event(source: &Value, op: &str, before: Value, after: Value) -> Value {
    let mut source = source.clone();
    if source.get("ts_ms").is_none() {
        source["ts_ms"] = json!(Timestamp::now().0 / 1_000);
    }
    json!({"op": op, "before": before, "after": after, "source": source, "ts_ms": 0})
}

fn log(dir: &Path, events: &[Value]) -> PathBuf {
    let path = dir.join("changes.jsonl");
    std::fs::write(&path, events.iter().map(|event| format!("{event}\n")).collect::<String>()).unwrap();
    path
}

fn classes(findings: &[Finding]) -> Vec<(Class, String)> {
    // What is gone has a hash for its name.
    places(findings).into_iter().map(|(class, place)| (class, place.split(" #").next().unwrap().to_owned())).collect()
}

const ROWS: &str = "CREATE TABLE t (id BIGINT PRIMARY KEY, v VARCHAR(20)); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd'), (5, 'e'); \
     CREATE TABLE two (a VARCHAR(20), b INT, v INT, PRIMARY KEY (b, a)); INSERT INTO two VALUES ('x', 1, 1), ('y', 1, 1), ('x', 2, 1); \
     CREATE TABLE bare (v INT); INSERT INTO bare VALUES (1); CREATE TABLE emptied (id INT PRIMARY KEY); INSERT INTO emptied VALUES (1), (2)";

const LATER: &str = "UPDATE t SET v = 'changed' WHERE id = 1; DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (100, 'new'); UPDATE t SET id = 30 WHERE id = 3; \
     UPDATE two SET v = 2 WHERE b = 1 AND a = 'y'; DELETE FROM emptied";

fn later(source: impl Fn(&str) -> Value) -> Vec<Value> {
    vec![
        event(&source("t"), "u", Value::Null, json!({"id": 1, "v": "changed"})),
        event(&source("t"), "d", json!({"id": 2, "v": null}), Value::Null),
        event(&source("t"), "c", Value::Null, json!({"id": 100, "v": "new"})),
        event(&source("t"), "u", json!({"id": 3, "v": "c"}), json!({"id": 30, "v": "c"})),
        event(&source("two"), "u", Value::Null, json!({"a": "y", "b": 1, "v": 2})),
        event(&source("emptied"), "t", Value::Null, Value::Null),
        event(&source("elsewhere"), "c", Value::Null, json!({"id": 1})),
    ]
}

fn between() -> Vec<(Class, String)> {
    let at = |class, place: &str| (class, place.to_owned());
    let mut all = vec![
        at(Class::ChangedBetween, "t id=1"),
        at(Class::DeletedBetween, "t"),
        at(Class::DeletedBetween, "t"),
        at(Class::AddedBetween, "t id=30"),
        at(Class::AddedBetween, "t id=100"),
        at(Class::ChangedBetween, "two a=y b=1"),
        at(Class::DeletedBetween, "emptied"),
        at(Class::DeletedBetween, "emptied"),
    ];
    all.sort();
    all
}

async fn on_a_server(kind: Kind, source: impl Fn(&str) -> Value) {
    let Some(server) = servers::shared(kind) else { return };
    let dir = tempfile::tempdir().unwrap();
    let db = Db::new(&server, kind, "log_of_changes", ROWS).await;
    for (n, tables) in [TableRequest::default(), TableRequest { logical: true, ..TableRequest::default() }].into_iter().enumerate() {
        let manifest = dir.path().join(format!("m{n}"));
        captured(&db.url(), &manifest, tables).await;
        db.run(LATER).await;
        let path = log(dir.path(), &later(&source));
        let (result, findings) = beside(&db.url(), &manifest, &path, None).await;
        let mut found = classes(&findings);
        found.sort();
        assert_eq!(found, between(), "{kind:?} {n}");
        let outcome = if n == 0 { Outcome::Pass } else { Outcome::PassWithException };
        assert_eq!(result.outcome(0).0, outcome, "{:?}", result.outcome(0).1);
        let rows = result.rows.unwrap();
        assert_eq!((rows.changed_between, rows.deleted_between, rows.added_between, rows.matched, rows.expected), (2, 4, 2, 5, 11));
        assert_eq!(result.tables.unwrap().changed_between, 3);
        // A flip that no event names, in a table that has changed.
        db.run("UPDATE t SET v = 'E' WHERE id = 5").await;
        let (result, findings) = beside(&db.url(), &manifest, &path, None).await;
        let damage: Vec<_> = classes(&findings).into_iter().filter(|(class, _)| *class == Class::Mismatch).collect();
        assert_eq!((damage, result.outcome(0).0), (vec![(Class::Mismatch, "t id=5".to_owned())], Outcome::Fail));
        // One that is named as written long before the capture, or after the time that was restored to, is damage all the same.
        for (stamp, at) in [(1_000, None), (Timestamp::now().0 / 1_000 + 600_000, Some(Timestamp::now()))] {
            let mut old = source("t");
            old["ts_ms"] = json!(stamp);
            let mut events = later(&source);
            events.push(event(&old, "u", Value::Null, json!({"id": 5, "v": "E"})));
            let (result, _) = beside(&db.url(), &manifest, &log(dir.path(), &events), at).await;
            assert_eq!(result.rows.unwrap().mismatch, 1, "{stamp}");
        }
        // What happened to a row, or to that of another database, says nothing of how else it differs.
        for (event_of, change, back, class) in [
            ("u", "DELETE FROM t WHERE id = 5", "INSERT INTO t VALUES (5, 'E')", Class::Missing),
            ("c", "UPDATE t SET v = 'x' WHERE id = 5", "UPDATE t SET v = 'E' WHERE id = 5", Class::Mismatch),
            ("d", "UPDATE t SET v = 'x' WHERE id = 5", "UPDATE t SET v = 'E' WHERE id = 5", Class::Mismatch),
            ("other", "UPDATE t SET v = 'x' WHERE id = 5", "UPDATE t SET v = 'E' WHERE id = 5", Class::Mismatch),
        ] {
            db.run(change).await;
            let row = json!({"id": 5, "v": "x"});
            let mut of = source("t");
            if event_of == "other" {
                of["db"] = json!("another_database");
            }
            let mut events = later(&source);
            events.push(match event_of {
                "d" => event(&of, "d", row, Value::Null),
                "other" => event(&of, "u", Value::Null, row),
                op => event(&of, op, Value::Null, row),
            });
            let (result, _) = beside(&db.url(), &manifest, &log(dir.path(), &events), None).await;
            let rows = result.rows.unwrap();
            assert_eq!(
                (rows.missing, rows.mismatch),
                (u64::from(class == Class::Missing), u64::from(class == Class::Mismatch)),
                "{event_of}"
            );
            db.run(back).await;
        }
        // Deleted long before the restore, as the log has it, and still there: what is equal to the capture is surplus. Made again, it is not.
        let restored = Timestamp::now().plus_secs(7200);
        let an_hour_on = |of: &Value| {
            let mut of = of.clone();
            of["ts_ms"] = json!(Timestamp::now().0 / 1_000 + 3_600_000);
            of
        };
        for made_again in [false, true] {
            let (of, row) = (an_hour_on(&source("t")), json!({"id": 4, "v": "d"}));
            let mut events = later(&source);
            events.push(event(&of, "d", row.clone(), Value::Null));
            events.extend(made_again.then(|| event(&of, "c", Value::Null, row)));
            let (result, findings) = beside(&db.url(), &manifest, &log(dir.path(), &events), Some(restored)).await;
            let surplus = classes(&findings).contains(&(Class::Extra, "t id=4".to_owned()));
            let (rows, n) = (result.rows.unwrap(), u64::from(!made_again));
            assert_eq!((surplus, rows.extra, rows.deleted_between, rows.expected), (!made_again, n, 4 + n, 11), "{made_again}");
        }
        // A table without a key: nothing names its row.
        db.run("UPDATE t SET v = 'e' WHERE id = 5; UPDATE bare SET v = 2").await;
        let mut events = later(&source);
        events.push(event(&source("bare"), "u", json!({"v": 1}), json!({"v": 2})));
        let (result, _) = beside(&db.url(), &manifest, &log(dir.path(), &events), None).await;
        assert_eq!((result.rows.unwrap().missing, result.rows.unwrap().extra), (1, 1));
        db.run("UPDATE bare SET v = 1; DELETE FROM t; DELETE FROM two; INSERT INTO emptied VALUES (1), (2); \
                INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd'), (5, 'e'); INSERT INTO two VALUES ('x', 1, 1), ('y', 1, 1), ('x', 2, 1)").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_excuses_what_it_names_on_postgresql() {
    on_a_server(Kind::Postgres, |table| json!({"db": "log_of_changes", "schema": "public", "table": table})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_excuses_what_it_names_on_mariadb() {
    on_a_server(Kind::Mariadb, |table| json!({"db": "log_of_changes", "table": table})).await;
}

/// Logs may name the table and not its partition; its key is theirs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_logged_of_a_partitioned_table_counts_in_its_partitions() {
    let Some(server) = servers::shared(Kind::Postgres) else { return };
    let dir = tempfile::tempdir().unwrap();
    let rows = "CREATE SCHEMA app; CREATE TABLE app.part (id int PRIMARY KEY, v int) PARTITION BY RANGE (id); \
         CREATE TABLE part_a PARTITION OF app.part FOR VALUES FROM (0) TO (10); CREATE TABLE part_b PARTITION OF app.part FOR VALUES FROM (10) TO (20); \
         INSERT INTO app.part VALUES (1, 1), (2, 1), (11, 1)";
    let db = Db::new(&server, Kind::Postgres, "partitions_logged", rows).await;
    let manifest = dir.path().join("m");
    captured(&db.url(), &manifest, TableRequest::default()).await;
    db.run("UPDATE app.part SET v = 2").await;
    let source = json!({"db": "partitions_logged", "schema": "app", "table": "part"});
    let events: Vec<Value> = [1, 11].iter().map(|id| event(&source, "u", Value::Null, json!({"id": id, "v": 2}))).collect();
    let (_, findings) = beside(&db.url(), &manifest, &log(dir.path(), &events), None).await;
    let at = |class, place: &str| (class, place.to_owned());
    let mut found = classes(&findings);
    found.sort();
    let mut expected =
        vec![at(Class::ChangedBetween, "part_a id=1"), at(Class::Mismatch, "part_a id=2"), at(Class::ChangedBetween, "part_b id=11")];
    expected.sort();
    assert_eq!(found, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_snapshot_saw_is_not_in_between() {
    let Some(server) = servers::shared(Kind::Postgres) else { return };
    let dir = tempfile::tempdir().unwrap();
    let db = Db::new(&server, Kind::Postgres, "transactions", ROWS).await;
    let manifest = dir.path().join("m");
    let header = captured(&db.url(), &manifest, TableRequest::default()).await;
    let snapshot = header.position.unwrap()["before"]["snapshot"].as_str().unwrap().to_owned();
    let next: u64 = snapshot.split(':').nth(1).unwrap().parse().unwrap();
    db.run("UPDATE t SET v = 'E' WHERE id = 5").await;
    for (transaction, mismatch) in [(next - 1, 1), (next, 0), (next + 5, 0)] {
        let source = json!({"schema": "public", "table": "t", "txId": transaction & 0xffff_ffff});
        let (result, _) = beside(&db.url(), &manifest, &log(dir.path(), &[event(&source, "u", Value::Null, json!({"id": 5}))]), None).await;
        assert_eq!(result.rows.unwrap().mismatch, mismatch, "{transaction} of {snapshot}");
    }
}

fn file(dir: &Path, sql: &str) -> SourceUrl {
    let path = dir.join("c.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch(sql).unwrap();
    format!("sqlite:{}", path.display()).parse().unwrap()
}

#[tokio::test]
async fn what_cannot_be_read_is_named_by_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let url = file(dir.path(), ROWS);
    let manifest = dir.path().join("m");
    captured(&url, &manifest, TableRequest::default()).await;
    let good = event(&json!({"table": "t"}), "u", Value::Null, json!({"id": 1})).to_string();
    let no_key = event(&json!({"table": "t"}), "u", Value::Null, json!({"v": "x"})).to_string();
    let wrong = event(&json!({"table": "t"}), "u", Value::Null, json!({"id": [1]})).to_string();
    for (lines, said) in [
        (format!("{good}\n\n{{\n"), "line 3: no JSON"),
        (format!("{no_key}\n"), "line 1: table t: no value of the key's column `id`"),
        (format!("{good}\n{wrong}"), "line 2: table t: column `id` (BIGINT): expected"),
        ("{\"id\": 1}".to_owned(), "line 1: neither"),
    ] {
        let path = dir.path().join("bad.jsonl");
        std::fs::write(&path, lines).unwrap();
        let restored = Restored { mode: Some(CaptureMode::PositionBounded), ..Restored::default() };
        let opened = Manifest::open(&manifest).unwrap();
        let failure = compare_beside(&url, &access(), &opened, &key(), (restored, Some(&path)), &Silent).await.unwrap_err();
        assert!(failure.kind == FailureKind::Invalid && failure.message.contains(said), "{failure}");
    }
    std::fs::write(dir.path().join("bad.jsonl"), b"\xff\n").unwrap();
    let opened = Manifest::open(&manifest).unwrap();
    let restored = Restored { mode: Some(CaptureMode::PositionBounded), ..Restored::default() };
    let bad = dir.path().join("bad.jsonl");
    let failure = compare_beside(&url, &access(), &opened, &key(), (restored, Some(&bad)), &Silent).await.unwrap_err();
    assert!(failure.message.contains("line 1: not UTF-8"), "{failure}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_takes_a_log_where_the_mode_lets_it() {
    // Of its own: a capture of what is sealed is refused where the server is written to meanwhile.
    let Some(server) = servers::own(Kind::Postgres).map(Arc::new) else { return };
    let dir = tempfile::tempdir().unwrap();
    let db = Db::new(&server, Kind::Postgres, "by_command", ROWS).await;
    let key = dir.path().join("key");
    std::fs::write(&key, format!("{}\n", "07".repeat(32))).unwrap();
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let run = |args: &[&str]| {
        let url = db.url().to_string();
        let args: Vec<&str> = args.iter().map(|arg| if *arg == "URL" { url.as_str() } else { *arg }).collect();
        let output = Command::new(env!("CARGO_BIN_EXE_attestore")).args(&args).env("PGPASSWORD", servers::PASSWORD).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.code().unwrap(), said)
    };
    let (key, dir_of) = (key.to_str().unwrap(), |name: &str| dir.path().join(name).display().to_string());
    let (exact, sealed) = (dir_of("exact"), dir_of("sealed"));
    assert_eq!(run(&["manifest", "create", "URL", "--out", &exact, "--hash-key", key]).0, 0);
    assert_eq!(run(&["manifest", "create", "URL", "--out", &sealed, "--hash-key", key, "--mode", "sealed"]).0, 0);
    db.run(LATER).await;
    let path = log(dir.path(), &later(|table| json!({"schema": "public", "table": table})));
    let path = path.to_str().unwrap();
    let (code, said) = run(&["verify", "URL", "--manifest", &exact, "--hash-key", key]);
    assert!(code == 1 && said.contains("mismatch"), "{said}");
    let (code, said) = run(&["verify", "URL", "--manifest", &exact, "--hash-key", key, "--changes", path]);
    assert!(code == 0 && said.contains("2 changed_between") && said.contains("7 events, 6 of them"), "{said}");
    let (code, said) =
        run(&["verify", "URL", "--manifest", &exact, "--hash-key", key, "--changes", path, "--restored-to", "2020-01-01T00:00:00Z"]);
    assert!(code == 1 && said.contains("7 events, 0 of them"), "a restore to long before holds nothing of it\n{said}");
    let (code, said) = run(&["verify", "URL", "--manifest", &sealed, "--hash-key", key, "--changes", path]);
    assert!(code == 2 && said.contains("position-bounded only"), "{said}");
    let (code, said) = run(&["verify", "URL", "--against", "URL", "--changes", path]);
    assert!(code == 2 && said.contains("--changes"), "{said}");
    let (code, said) = run(&["verify", "URL", "--manifest", &exact, "--hash-key", key, "--changes", "/nowhere/log"]);
    assert!(code != 0 && said.contains("/nowhere/log"), "{said}");
}

/// What is done to a row after the capture, and whether the log has it.
#[derive(Clone, Debug)]
struct Deed {
    id: i64,
    value: Option<u8>,
    logged: bool,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    proptest::collection::vec((0i64..12, proptest::option::of(0u8..3), any::<bool>()), 0..10)
        .prop_map(|deeds| deeds.into_iter().map(|(id, value, logged)| Deed { id, value, logged }).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn classes_are_those_of_a_naive_model(rows in proptest::collection::btree_map(0i64..12, 0u8..3, 1..12), deeds in deeds(), in_ranges in any::<bool>()) {
        let dir = tempfile::tempdir().unwrap();
        let sql = |rows: &BTreeMap<i64, u8>| rows.iter().map(|(id, value)| format!("INSERT INTO t VALUES ({id}, {value});")).collect::<String>();
        let url = file(dir.path(), &format!("CREATE TABLE t (id INTEGER PRIMARY KEY, v INT); {}", sql(&rows)));
        // What the log says happened to a row: made, changed, deleted.
        let (mut now, mut named, mut events) = (rows.clone(), BTreeMap::<i64, [bool; 3]>::new(), Vec::new());
        for deed in &deeds {
            let there = now.contains_key(&deed.id);
            match deed.value {
                Some(value) => drop(now.insert(deed.id, value)),
                None => drop(now.remove(&deed.id)),
            }
            if deed.logged {
                let (op, before, after) = match deed.value {
                    Some(value) => (if there { "u" } else { "c" }, Value::Null, json!({"id": deed.id, "v": value})),
                    None => ("d", json!({"id": deed.id}), Value::Null),
                };
                named.entry(deed.id).or_default()[["c", "u", "d"].iter().position(|known| *known == op).unwrap()] = true;
                events.push(event(&json!({"table": "t"}), op, before, after));
            }
        }
        let mut expected: BTreeMap<Class, u64> = BTreeMap::new();
        for id in 0..12 {
            let [made, changed, deleted] = named.get(&id).copied().unwrap_or_default();
            let class = match (rows.get(&id), now.get(&id)) {
                (None, None) => continue,
                (before, after) if before == after => Class::Match,
                (Some(_), Some(_)) => if changed || made && deleted { Class::ChangedBetween } else { Class::Mismatch },
                (Some(_), None) => if deleted { Class::DeletedBetween } else { Class::Missing },
                (None, Some(_)) => if made { Class::AddedBetween } else { Class::Extra },
            };
            *expected.entry(class).or_default() += 1;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let found = runtime.block_on(async {
            let manifest = dir.path().join("m");
            let leaves = if in_ranges { Leaves::Ranges } else { Leaves::default() };
            captured(&url, &manifest, TableRequest { leaves, ..TableRequest::default() }).await;
            file(dir.path(), &format!("DELETE FROM t; {}", sql(&now)));
            beside(&url, &manifest, &log(dir.path(), &events), None).await
        });
        let counted: BTreeMap<Class, u64> = found.0.rows.unwrap().by_class().into_iter().filter(|(_, n)| *n > 0).collect();
        prop_assert_eq!(counted, expected);
    }
}
