//! Numbers of rows and sums beside those of a manifest, of the whole or of a part.

use std::collections::BTreeMap;

use crate::check_packs::{database, own, run};
use crate::servers::{self, Kind};
use crate::support::{self, Db};
use attestore::model::capture::CaptureMode;
use attestore::model::check::CheckOutcome;
use attestore::monitor::Silent;
use attestore::verify::manifest::request::{CaptureRequest, TableRequest};
use attestore::verify::sql::capture::capture;
use attestore::verify::sql::checks::demands::CheckDemands;
use attestore::verify::sql::checks::pack::Pack;
use attestore::verify::sql::checks::{recording, runner};
use attestore::verify::sql::connect::access::Access;

/// All rows that a system-versioned table has had are counted as such; and what a manifest has of a part of a table is no number of the whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_of_rows_are_of_what_the_manifest_counted() {
    let Some(server) = servers::shared(Kind::Mariadb) else { return };
    let dir = tempfile::tempdir().unwrap();
    let packs = [Pack::load("baseline").unwrap()];
    let sql = "CREATE TABLE v (id INT PRIMARY KEY, n INT) WITH SYSTEM VERSIONING; INSERT INTO v VALUES (1, 1), (2, 2); UPDATE v SET n = 3 WHERE id = 1; \
               CREATE TABLE part (id INT PRIMARY KEY) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (20)); \
               INSERT INTO part VALUES (1), (11)";
    let db = Db::new(&server, Kind::Mariadb, "counted", sql).await;
    let results = async |demands: CheckDemands| {
        let results = runner::run_with(&db.url(), &support::access(), &packs, &demands, &Silent).await.unwrap();
        results.into_iter().find(|result| result.id == "baseline.row-counts").unwrap()
    };
    let whole = db.capture(&dir.path().join("whole")).await.unwrap();
    assert!(whole.baselines.contains_key("rows.v (history)"));
    let result = results(CheckDemands::of_manifest(&whole)).await;
    assert_eq!((result.result, result.actual.as_deref()), (CheckOutcome::Pass, Some("0")), "{result:?}");
    db.run("UPDATE v SET n = 4 WHERE id = 1").await;
    let result = results(CheckDemands::of_manifest(&whole)).await;
    assert_eq!((result.result, &result.rows[0][0].1), (CheckOutcome::Fail, &"v (history)".to_owned()), "{result:?}");
    for (at, tables) in [
        TableRequest { watermark: Some("id=1".into()), ..TableRequest::default() },
        TableRequest { closed: vec!["part.p0".into()], ..TableRequest::default() },
    ]
    .into_iter()
    .enumerate()
    {
        let request = CaptureRequest { tables, ..CaptureRequest::new(dir.path().join(format!("part{at}")), CaptureMode::AppendPrefix) };
        let part = capture(&db.url(), &support::access(), &request, &support::key(), None, &Silent).await.unwrap();
        let demands = CheckDemands::of_manifest(&part);
        assert!(["v", "v (history)", "part", "another"].iter().all(|table| demands.has_part_of(table)));
        let result = results(demands).await;
        assert_eq!(result.result, CheckOutcome::Untested, "{result:?}");
        assert!(result.reason.as_ref().unwrap().contains("a part at most of") && result.reason.unwrap().contains("part"));
    }
}

/// A table that is closed whole is held to its sums whatever its columns are called, and one that is not is held to none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sums_of_a_closed_table_are_compared_whatever_its_columns_are_called() {
    let dir = tempfile::tempdir().unwrap();
    let packs = [Pack::load("baseline").unwrap()];
    let sql = "CREATE TABLE t (id INT PRIMARY KEY, \"c.d\" INT); INSERT INTO t VALUES (1, 5), (2, 6); \
               CREATE TABLE \"t.c\" (id INT PRIMARY KEY, n INT); INSERT INTO \"t.c\" VALUES (1, 5)";
    let url = database(dir.path(), "dotted.db", sql).await;
    let tables = TableRequest { closed: vec!["t".into()], ..TableRequest::default() };
    let means = (&support::key(), CaptureMode::AppendPrefix);
    let request = CaptureRequest { tables, ..CaptureRequest::new(dir.path().join("m"), means.1) };
    let mut header = capture(&url, &Access::default(), &request, means.0, None, &Silent).await.unwrap();
    header.baselines = recording::baselines(&url, &Access::default(), &packs, &BTreeMap::new(), means, &Silent).await.unwrap();
    assert_eq!(header.baselines.keys().filter(|name| name.starts_with("sums.t.c")).count(), 3, "{:?}", header.baselines);
    let demands = CheckDemands::of_manifest(&header);
    database(dir.path(), "dotted.db", "UPDATE \"t.c\" SET n = 6").await;
    assert_eq!(run(&url, &packs, &demands).await["baseline.sums"].result, CheckOutcome::Untested);
    database(dir.path(), "dotted.db", "UPDATE t SET \"c.d\" = 7 WHERE id = 1").await;
    let failed = &run(&url, &packs, &demands).await["baseline.sums"];
    assert_eq!((failed.result, &failed.rows[0][0].1), (CheckOutcome::Fail, &"t.c.d".to_owned()), "{failed:?}");
}

/// Rows of a table that only grows are never fewer than the manifest's part of it has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_a_part_are_never_fewer() {
    let dir = tempfile::tempdir().unwrap();
    let header = "--! kind = \"baseline-scalar\"\n--! each = \"table\"\n--! baseline = \"rows\"\n--! error_if = \"< baseline\"";
    let packs = own(dir.path(), header, "SELECT COUNT(*) FROM {table}");
    let sql = "CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3)";
    let url = database(dir.path(), "grows.db", sql).await;
    let tables = TableRequest { watermark: Some("id".into()), ..TableRequest::default() };
    let request = CaptureRequest { tables, ..CaptureRequest::new(dir.path().join("m"), CaptureMode::AppendPrefix) };
    let header = capture(&url, &Access::default(), &request, &support::key(), None, &Silent).await.unwrap();
    let demands = CheckDemands::of_manifest(&header);
    for (change, expected) in [("INSERT INTO t VALUES (4)", CheckOutcome::Pass), ("DELETE FROM t WHERE id < 3", CheckOutcome::Fail)] {
        database(dir.path(), "grows.db", change).await;
        let result = &run(&url, &packs, &demands).await["own"];
        assert_eq!(result.result, expected, "{change}: {result:?}");
    }
}
