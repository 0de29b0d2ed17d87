//! Leaves that are ranges of keys, on each engine: a planted change is found in its range, rows are named by their keys, gone ones too, and
//! tables whose key has no order have buckets.

use std::path::Path;
use std::sync::Arc;

use crate::servers::{Kind, own, shared};
use crate::support::{Db, access, key, places, until_quiet};
use attestore::model::capture::CaptureMode;
use attestore::model::failure::FailureKind;
use attestore::model::finding::{Class, Finding};
use attestore::model::source_url::SourceUrl;
use attestore::model::verification::Verification;
use attestore::monitor::Collected;
use attestore::verify::manifest::diff::diff;
use attestore::verify::manifest::reader::Manifest;
use attestore::verify::manifest::request::{CaptureRequest, Leaves};
use attestore::verify::manifest::row::{LeafKind, LeafRow};
use attestore::verify::sql::capture::capture;
use attestore::verify::sql::compare::database::compare;
use attestore::verify::sql::connect::access::Access;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

/// Rows of the large table: two ranges.
const ROWS: i64 = 66_000;

async fn captured(url: &SourceUrl, access: &Access, out: &Path, (leaves, sidecar_max_rows): (Leaves, u64)) -> Vec<LeafRow> {
    let mut request = CaptureRequest::new(out, CaptureMode::FirstRestore);
    request.tables.leaves = leaves;
    request.sidecar_max_rows = sidecar_max_rows;
    capture(url, access, &request, &key(), None, &Collected::default()).await.unwrap();
    Manifest::open(out).unwrap().leaves().map(Result::unwrap).collect()
}

async fn compared(url: &SourceUrl, access: &Access, manifest: &Path) -> (Verification, Vec<Finding>) {
    let seen = Collected::default();
    let result = compare(url, access, &Manifest::open(manifest).unwrap(), &key(), &seen).await.unwrap();
    (result, seen.findings())
}

fn kinds_of(leaves: &[LeafRow], table: &str) -> Vec<LeafKind> {
    leaves.iter().filter(|leaf| leaf.key.ends_with(table) && leaf.kind != LeafKind::Schema).map(|leaf| leaf.kind).collect()
}

/// What every engine has to say; `change` is run between capture and comparison.
async fn ranges_on(url: &SourceUrl, access: &Access, change: impl AsyncFn(&str)) {
    let dir = tempfile::tempdir().unwrap();
    let (named, unnamed) = (dir.path().join("named"), dir.path().join("unnamed"));
    let leaves = captured(url, access, &named, (Leaves::Ranges, 1 << 20)).await;
    captured(url, access, &unnamed, (Leaves::Ranges, 0)).await;
    assert_eq!(kinds_of(&leaves, "ledger"), [LeafKind::Range; 2]);
    assert_eq!(kinds_of(&leaves, "named"), [LeafKind::Bucket], "a key of text");
    assert_eq!(kinds_of(&leaves, "loose"), [LeafKind::Bucket], "no key");
    for manifest in [&named, &unnamed] {
        let (result, findings) = compared(url, access, manifest).await;
        assert!(findings.is_empty() && result.rows.unwrap().matched == ROWS as u64 + 4, "{findings:?}");
    }

    // The first range: keys 1 to 65,536.
    change("UPDATE ledger SET note = 'y' WHERE id = 60000").await;
    change("DELETE FROM ledger WHERE id = 60001").await;
    let (result, findings) = compared(url, access, &named).await;
    let rows = result.rows.unwrap();
    assert_eq!((rows.matched, rows.mismatch, rows.missing), (ROWS as u64 + 2, 1, 1));
    let found = places(&findings);
    assert!(found[0].0 == Class::Mismatch && found[0].1.ends_with("ledger id=60000"), "{found:?}");
    assert!(found[1].0 == Class::Missing && found[1].1.ends_with("ledger id=60001"), "{found:?}");
    let (result, findings) = compared(url, access, &unnamed).await;
    let found = places(&findings);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].1.ends_with("ledger range 1/2: before id=65537"), "{found:?}");
    let rows = result.rows.unwrap();
    // One is gone at least; of the others in its range nothing is known.
    assert_eq!((rows.matched, rows.mismatch, rows.missing, rows.indeterminate), (ROWS as u64 + 4 - 65_536, 0, 1, 65_535));

    // Rows beyond the last key are of the last range.
    change("INSERT INTO ledger VALUES (900000, 'new')").await;
    let (_, findings) = compared(url, access, &unnamed).await;
    let found = places(&findings);
    assert!(found.len() == 2 && found[1].1.ends_with("ledger range 2/2: from id=65537 on"), "{found:?}");

    let sums = captured(url, access, &dir.path().join("sums"), (Leaves::Sums, 1 << 20)).await;
    assert!(kinds_of(&sums, "loose") == [LeafKind::Sum] && kinds_of(&sums, "ledger").iter().all(|kind| *kind == LeafKind::Sum));
    let (_, findings) = compared(url, access, &dir.path().join("sums")).await;
    assert!(findings.is_empty(), "{findings:?}");
}

const SMALL: &str = "CREATE TABLE named (id VARCHAR(20) PRIMARY KEY); INSERT INTO named VALUES ('a'), ('B');
    CREATE TABLE loose (v INT); INSERT INTO loose VALUES (1), (1)";

#[tokio::test(flavor = "multi_thread")]
async fn ranges_on_postgres() {
    let Some(server) = shared(Kind::Postgres) else { return };
    let sql = format!(
        "CREATE TABLE ledger (id BIGINT PRIMARY KEY, note TEXT); INSERT INTO ledger SELECT n, 'x' FROM generate_series(1, {ROWS}) n; {SMALL}"
    );
    let db = Db::new(&server, Kind::Postgres, "ranges", &sql).await;
    ranges_on(&db.url(), &access(), async |sql: &str| db.run(sql).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_on_mariadb() {
    let Some(server) = own(Kind::Mariadb).map(Arc::new) else { return };
    let sql = format!(
        "CREATE TABLE ledger (id BIGINT UNSIGNED PRIMARY KEY, note TEXT); INSERT INTO ledger SELECT seq, 'x' FROM seq_1_to_{ROWS}; {SMALL}"
    );
    let db = Db::new(&server, Kind::Mariadb, "ranges", &sql).await;
    until_quiet(&server).await;
    ranges_on(&db.url(), &access(), async |sql: &str| {
        db.run(sql).await;
        until_quiet(&server).await;
    })
    .await;
}

async fn sqlite(path: &Path, sql: &str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    connection.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_on_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("app.db");
    let rows =
        format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS}) INSERT INTO ledger SELECT i, 'x' FROM n");
    sqlite(&file, &format!("CREATE TABLE ledger (id INTEGER PRIMARY KEY, note TEXT); {rows}; {SMALL}")).await;
    let url = SourceUrl::Sqlite { path: file.clone() };
    ranges_on(&url, &Access::default(), async |sql: &str| sqlite(&file, sql).await).await;
}

/// SQLite lets a key be NULL, and text where whole numbers are declared: these have no place in the order, stand first, and are compared
/// all the same.
#[tokio::test]
async fn values_without_a_place_are_compared_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (file, out) = (dir.path().join("odd.db"), dir.path().join("manifest"));
    let sql = "CREATE TABLE t (id INT PRIMARY KEY, v TEXT); INSERT INTO t VALUES (NULL, 'a'), (NULL, 'b'), ('x', 'c'), (-5, 'd'), (7, 'e')";
    sqlite(&file, sql).await;
    let url = SourceUrl::Sqlite { path: file.clone() };
    assert_eq!(kinds_of(&captured(&url, &Access::default(), &out, (Leaves::Ranges, 100)).await, "t"), [LeafKind::Range]);
    assert!(compared(&url, &Access::default(), &out).await.1.is_empty());
    sqlite(&file, "UPDATE t SET v = 'changed' WHERE v = 'b'; UPDATE t SET v = 'changed' WHERE id = 7").await;
    let (result, findings) = compared(&url, &Access::default(), &out).await;
    let rows = result.rows.unwrap();
    assert_eq!((rows.matched, rows.mismatch, findings.len()), (3, 2, 2), "{findings:?}");
    assert!(places(&findings).iter().any(|(_, place)| place == "t id=7"), "{findings:?}");
}

/// A key of two columns, in the order that the key has and not in that of names; the date is shown as one.
#[tokio::test]
async fn keys_of_several_columns_have_ranges_too() {
    let Some(server) = shared(Kind::Postgres) else { return };
    let sql = "CREATE TABLE t (tenant INT, day DATE, v TEXT, PRIMARY KEY (tenant, day));
        INSERT INTO t SELECT n, DATE '2026-01-01' + m, 'x' FROM generate_series(-2, 3) n, generate_series(0, 9) m";
    let db = Db::new(&server, Kind::Postgres, "ranges_of_two", sql).await;
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("m");
    assert_eq!(kinds_of(&captured(&db.url(), &access(), &out, (Leaves::Ranges, 100)).await, "t"), [LeafKind::Range]);
    db.run("DELETE FROM t WHERE tenant = -1 AND day = DATE '2026-01-04'").await;
    let found = places(&compared(&db.url(), &access(), &out).await.1);
    assert!(found.len() == 1 && found[0].0 == Class::Missing && found[0].1.ends_with("t tenant=-1 day=2026-01-04"), "{found:?}");
}

/// Leaves of two kinds say nothing of one another: that is said, and not told as rows that differ.
#[tokio::test]
async fn manifests_with_leaves_of_two_kinds_are_not_compared() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("app.db");
    sqlite(&file, "CREATE TABLE a (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO a VALUES (1, 'x'), (2, 'y'); CREATE TABLE none (id INTEGER PRIMARY KEY); CREATE TABLE t (v TEXT); INSERT INTO t VALUES ('z')").await;
    let url = SourceUrl::Sqlite { path: file.clone() };
    let forms = [("buckets", (Leaves::default(), 100)), ("ranges", (Leaves::Ranges, 100)), ("sums", (Leaves::default(), 0))];
    for (name, form) in forms {
        captured(&url, &Access::default(), &dir.path().join(name), form).await;
        captured(&url, &Access::default(), &dir.path().join(format!("{name}-again")), form).await;
    }
    let differ = |left: &str, right: &str| {
        let open = |name: &str| Manifest::open(&dir.path().join(name)).unwrap();
        let seen = Collected::default();
        diff(&open(left), &open(right), &seen).map(|found| (found, seen.findings()))
    };
    for (left, _) in forms {
        let (found, findings) = differ(left, &format!("{left}-again")).unwrap();
        assert_eq!((findings, found.tables.unwrap().matched), (vec![], 3), "{left}");
        for (right, _) in forms.iter().filter(|(right, _)| *right != left) {
            let refused = differ(left, right).unwrap_err();
            assert_eq!(refused.kind, FailureKind::Invalid);
            assert!(refused.message.contains("leaves of two kinds") && refused.hint.unwrap().contains("--leaves"), "{left} {right}");
        }
    }
    // Of another number of rows, a table is another whatever its leaves are; what has leaves of one kind is compared.
    sqlite(&file, "INSERT INTO a VALUES (3, 'z'); INSERT INTO none VALUES (1)").await;
    captured(&url, &Access::default(), &dir.path().join("later"), (Leaves::Ranges, 100)).await;
    let (found, findings) = differ("buckets", "later").unwrap();
    assert_eq!(places(&findings), [(Class::Mismatch, "a".into()), (Class::Mismatch, "none".into())]);
    let tables = found.tables.unwrap();
    assert_eq!((tables.matched, tables.mismatch, found.counts.missing, found.counts.extra), (1, 2, 0, 0));
}

/// What has no place among the keys is named all the same: infinite stamps, and those that 64 bits from 1970 on do not reach.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stamps_at_the_ends_of_the_calendar_are_named() {
    let Some(server) = shared(Kind::Postgres) else { return };
    let sql = "CREATE TABLE t (at timestamp PRIMARY KEY, v int); CREATE TABLE d (k date PRIMARY KEY, v int);
        INSERT INTO t SELECT x::timestamp, 1 FROM unnest(ARRAY['-infinity', '4713-11-24 BC', '2026-01-01', '294276-12-31 23:59:59.999999', 'infinity']) x;
        INSERT INTO d SELECT x::date, 1 FROM unnest(ARRAY['-infinity', '2026-01-01', '5874897-12-31', 'infinity']) x";
    let db = Db::new(&server, Kind::Postgres, "ends", sql).await;
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("m");
    assert_eq!(kinds_of(&captured(&db.url(), &access(), &out, (Leaves::Ranges, 100)).await, "t"), [LeafKind::Range]);
    db.run("DELETE FROM t WHERE at IN ('-infinity', '294276-12-31 23:59:59.999999'); UPDATE t SET v = 2; DELETE FROM d").await;
    let found: Vec<String> = places(&compared(&db.url(), &access(), &out).await.1).into_iter().map(|(_, place)| place).collect();
    for name in [
        "t at=-infinity",
        "t at=-4712-11-24T00:00:00",
        "t at=2026-01-01T00:00:00",
        "t at=294276-12-31T23:59:59.999999",
        "t at=infinity",
        "d k=-infinity",
        "d k=2026-01-01",
        "d k=5874897-12-31",
        "d k=infinity",
    ] {
        assert!(found.iter().any(|place| place == name), "{name} in {found:?}");
    }
    assert_eq!(found.len(), 9, "{found:?}");
}
