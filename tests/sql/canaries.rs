//! Canaries: what was planted before a backup comes back byte for byte, or the check fails; and its value is never told.

use std::collections::BTreeMap;

use crate::check_packs::{database, own, run};
use crate::servers::{self, Kind};
use crate::support::{self, Db};
use attestore::model::capture::CaptureMode;
use attestore::model::check::{CheckOutcome, CheckResult};
use attestore::monitor::Silent;
use attestore::signing::hash_key::HashKey;
use attestore::verify::sql::checks::demands::CheckDemands;
use attestore::verify::sql::checks::pack::Pack;
use attestore::verify::sql::checks::{recording, runner};
use attestore::verify::sql::connect::access::Access;

#[tokio::test]
async fn a_canary_comes_back_byte_for_byte_or_fails_and_its_value_is_never_told() {
    let dir = tempfile::tempdir().unwrap();
    let packs = own(dir.path(), "--! kind = \"canary\"", "SELECT value FROM canary WHERE id = 1");
    let value = "nightingale  4711 ";
    let plant = |value: &str| format!("CREATE TABLE canary (id INTEGER PRIMARY KEY, value TEXT); INSERT INTO canary VALUES (1, '{value}')");
    let key = HashKey::from_bytes([7; 32]);
    let source = database(dir.path(), "source.db", &plant(value)).await;
    let names = BTreeMap::new();
    let baselines =
        recording::baselines(&source, &Access::default(), &packs, &names, (&key, CaptureMode::SnapshotExact), &Silent).await.unwrap();
    assert_eq!(baselines.len(), 1);
    let demands = CheckDemands { baselines, hash_key: Some(key.clone()), ..CheckDemands::default() };
    let told = |result: &CheckResult| serde_json::to_string(result).unwrap() + &format!("{result:?}");
    let result = run(&source, &packs, &demands).await.remove("own").unwrap();
    assert_eq!(result.result, CheckOutcome::Pass, "{result:?}");
    assert!(!told(&result).contains("nightingale") && result.actual == result.expected && result.actual.is_some());
    assert!(!format!("{:?}", demands.baselines).contains("nightingale"));
    for (name, sql) in [
        ("trimmed", plant("nightingale  4711")),
        ("case", plant("Nightingale  4711 ")),
        ("gone", "CREATE TABLE canary (id INTEGER PRIMARY KEY, value TEXT)".to_owned()),
        ("null", "CREATE TABLE canary (id INTEGER PRIMARY KEY, value TEXT); INSERT INTO canary VALUES (1, NULL)".to_owned()),
    ] {
        let result = run(&database(dir.path(), name, &sql).await, &packs, &demands).await.remove("own").unwrap();
        assert_eq!(result.result, CheckOutcome::Fail, "{name}: {result:?}");
        assert!(!told(&result).to_ascii_lowercase().contains("nightingale"), "{name}");
    }
    let untested = |demands: CheckDemands| {
        let (source, packs) = (source.clone(), packs.clone());
        async move { run(&source, &packs, &demands).await.remove("own").unwrap().result }
    };
    assert_eq!(untested(CheckDemands { hash_key: None, ..demands.clone() }).await, CheckOutcome::Untested);
    assert_eq!(untested(CheckDemands { baselines: BTreeMap::new(), ..demands.clone() }).await, CheckOutcome::Untested);
    // What a restored copy has may never have been planted.
    assert_eq!(untested(CheckDemands { of_a_restore: true, ..demands.clone() }).await, CheckOutcome::Untested);
    let of_a_restore = (&key, CaptureMode::FirstRestore);
    let recorded = recording::baselines(&source, &Access::default(), &packs, &names, of_a_restore, &Silent).await.unwrap();
    assert_eq!(recorded, BTreeMap::new());
    // Of bytes that are no text earlier versions kept what is left of them as text.
    let bytes = "CREATE TABLE canary (id INTEGER PRIMARY KEY, value TEXT); INSERT INTO canary VALUES (1, CAST(x'ff01' AS TEXT))";
    let bytes = database(dir.path(), "bytes.db", bytes).await;
    let earlier = [("own".to_owned(), attestore::verify::sql::checks::canary::earlier(&key, "\u{fffd}\u{1}"))];
    let demands = CheckDemands { baselines: earlier.into(), ..demands };
    let result = run(&bytes, &packs, &demands).await.remove("own").unwrap();
    assert!(result.result == CheckOutcome::Untested && result.reason.as_ref().unwrap().contains("earlier version"), "{result:?}");
    let gone = database(dir.path(), "nothing.db", "CREATE TABLE canary (id INTEGER PRIMARY KEY, value TEXT)").await;
    let refused =
        recording::baselines(&gone, &Access::default(), &packs, &names, (&key, CaptureMode::SnapshotExact), &Silent).await.unwrap_err();
    assert!(refused.message.contains("own"), "{refused}");
}

/// What is planted in column `v` by these statements, and what it becomes by others: `v` comes back as it was, and everything else fails, be it
/// shown by the same text.
async fn only_what_was_planted_comes_back(kind: Kind, planted: &[(&str, &[&str], &[&str])]) {
    let Some(server) = servers::shared(kind) else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("planted.sql");
    let header =
        "--! id = \"planted\"\n--! engines = [\"postgres\", \"mariadb\", \"mysql\"]\n--! severity = \"critical\"\n--! kind = \"canary\"";
    std::fs::write(&path, format!("{header}\nSELECT v FROM planted\n")).unwrap();
    let packs = vec![Pack::load(path.to_str().unwrap()).unwrap()];
    let (key, names) = (support::key(), BTreeMap::new());
    let means = (&key, CaptureMode::SnapshotExact);
    for (at, (sql, same, others)) in planted.iter().enumerate() {
        let db = Db::new(&server, kind, &format!("planted{at}"), sql).await;
        let baselines = recording::baselines(&db.url(), &support::access(), &packs, &names, means, &Silent).await.unwrap();
        let demands = CheckDemands { baselines, hash_key: Some(key.clone()), ..CheckDemands::default() };
        let same = same.iter().map(|sql| (*sql, CheckOutcome::Pass));
        for (sql, expected) in same.chain(others.iter().map(|sql| (*sql, CheckOutcome::Fail))) {
            db.run(sql).await;
            let results = runner::run_with(&db.url(), &support::access(), &packs, &demands, &Silent).await.unwrap();
            assert_eq!(results[0].result, expected, "{sql}: {results:?}");
        }
    }
}

const OF_MYSQL: &[(&str, &[&str], &[&str])] = &[
    (
        "CREATE TABLE planted (v VARBINARY(20)); INSERT INTO planted VALUES (x'FF0102030480')",
        &["UPDATE planted SET v = x'FF0102030480'"],
        &[
            "UPDATE planted SET v = x'8001020304FF'",
            "UPDATE planted SET v = '0xff0102030480'",
            "UPDATE planted SET v = 'abc'; ALTER TABLE planted MODIFY v VARCHAR(20)",
        ],
    ),
    (
        "CREATE TABLE planted (v VARCHAR(20) COLLATE utf8mb4_bin); INSERT INTO planted VALUES ('1')",
        &["ALTER TABLE planted MODIFY v TEXT"],
        &["ALTER TABLE planted MODIFY v BLOB", "ALTER TABLE planted MODIFY v TEXT; ALTER TABLE planted MODIFY v INT"],
    ),
    (
        "CREATE TABLE planted (v FLOAT); INSERT INTO planted VALUES (16777216)",
        &["UPDATE planted SET v = 16777216.0"],
        &["UPDATE planted SET v = 16777218", "UPDATE planted SET v = 16777216; ALTER TABLE planted MODIFY v DOUBLE"],
    ),
    (
        // MariaDB's type of that name is a text, and a dump of MySQL may go into it.
        "CREATE TABLE planted (v JSON); INSERT INTO planted VALUES ('{\"a\": 1}')",
        &["ALTER TABLE planted MODIFY v LONGTEXT CHARACTER SET utf8mb4"],
        &["UPDATE planted SET v = '{\"a\": 2}'", "ALTER TABLE planted MODIFY v LONGBLOB"],
    ),
    (
        "CREATE TABLE planted (v DOUBLE); INSERT INTO planted VALUES (0.1)",
        &["UPDATE planted SET v = 1e-1"],
        &["UPDATE planted SET v = 0.10000000000000002"],
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_was_planted_comes_back_from_mariadb() {
    only_what_was_planted_comes_back(Kind::Mariadb, OF_MYSQL).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_was_planted_comes_back_from_mysql() {
    only_what_was_planted_comes_back(Kind::Mysql, OF_MYSQL).await;
}

/// MariaDB has no type for JSON, and has what a dump of MySQL writes of it as text.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_of_mysql_comes_back_in_mariadb() {
    let (Some(mysql), Some(mariadb)) = (servers::shared(Kind::Mysql), servers::shared(Kind::Mariadb)) else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("planted.sql");
    let header = "--! id = \"planted\"\n--! engines = [\"mariadb\", \"mysql\"]\n--! severity = \"critical\"\n--! kind = \"canary\"";
    std::fs::write(&path, format!("{header}\nSELECT v FROM planted\n")).unwrap();
    let packs = vec![Pack::load(path.to_str().unwrap()).unwrap()];
    let (key, names) = (support::key(), BTreeMap::new());
    let planted = |text: &str| format!("CREATE TABLE planted (v JSON); INSERT INTO planted VALUES ('{text}')");
    // As MySQL shows it and mysqldump writes it, whatever was inserted.
    let shown = "{\"a\": [1, \"ä\"], \"bb\": null}";
    let source = Db::new(&mysql, Kind::Mysql, "planted_json", &planted("{\"bb\":null,\"a\":[1,\"ä\"]}")).await;
    let means = (&key, CaptureMode::SnapshotExact);
    let baselines = recording::baselines(&source.url(), &support::access(), &packs, &names, means, &Silent).await.unwrap();
    let demands = CheckDemands { baselines, hash_key: Some(key.clone()), ..CheckDemands::default() };
    for (at, (text, expected)) in
        [(shown, CheckOutcome::Pass), ("{\"a\": [1, \"a\"], \"bb\": null}", CheckOutcome::Fail)].into_iter().enumerate()
    {
        let restored = Db::new(&mariadb, Kind::Mariadb, &format!("planted_json{at}"), &planted(text)).await;
        let results = runner::run_with(&restored.url(), &support::access(), &packs, &demands, &Silent).await.unwrap();
        assert_eq!(results[0].result, expected, "{text}: {results:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_was_planted_comes_back_from_postgresql_however_it_is_set() {
    let reset = |set: &str| format!("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET {set}', current_database()); END $$");
    let (escaped, iso) = (reset("bytea_output = escape"), reset("IntervalStyle = iso_8601"));
    only_what_was_planted_comes_back(
        Kind::Postgres,
        &[
            (
                "CREATE TABLE planted (v bytea); INSERT INTO planted VALUES ('\\xff01')",
                &[&escaped, "SELECT 1"],
                &["UPDATE planted SET v = '\\xff02'", "ALTER TABLE planted ALTER v TYPE text USING '\\xff01'"],
            ),
            (
                "CREATE TABLE planted (v interval); INSERT INTO planted VALUES ('1 mon 2 days')",
                &[&iso],
                &["UPDATE planted SET v = '2 days'"],
            ),
            (
                "CREATE TABLE planted (v real); INSERT INTO planted VALUES (0.1)",
                &["SELECT 1"],
                &["UPDATE planted SET v = 0.10000001", "ALTER TABLE planted ALTER v TYPE float8 USING 0.1"],
            ),
        ],
    )
    .await;
}
