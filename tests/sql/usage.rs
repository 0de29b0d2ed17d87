//! Mistakes in what is declared of a database, and in its address: each is a usage error that names the option, what was expected and what
//! is there, before anything is read.

use std::sync::Arc;

use crate::servers::{self, Kind, PASSWORD};
use crate::support::{Db, access, as_user, key};
use attestore::model::capture::CaptureMode;
use attestore::model::failure::{Failure, FailureKind};
use attestore::model::outcome::Outcome;
use attestore::model::source_url::SourceUrl;
use attestore::monitor::{Event, Monitor, Silent};
use attestore::verify::manifest::header::Header;
use attestore::verify::manifest::reader::Manifest;
use attestore::verify::manifest::request::{CaptureRequest, TableRequest};
use attestore::verify::sql::capture::capture;
use attestore::verify::sql::checks::pack::Pack;
use attestore::verify::sql::checks::runner;
use attestore::verify::sql::compare::database::compare;
use attestore::verify::sql::compare::dual::{self, Side};
use attestore::verify::sql::connect::access::Access;
use attestore::verify::sql::database::Database;
use attestore::verify::sql::declared;

async fn declared(url: &SourceUrl, mode: CaptureMode, tables: TableRequest) -> Result<Header, Failure> {
    let dir = tempfile::tempdir().unwrap();
    let request = CaptureRequest { tables, ..CaptureRequest::new(dir.path().join("m"), mode) };
    capture(url, &access(), &request, &key(), None, &Silent).await
}

fn watermark(value: &str) -> (CaptureMode, TableRequest) {
    (CaptureMode::AppendPrefix, TableRequest { watermark: Some(value.into()), ..TableRequest::default() })
}

fn closed(names: &[&str]) -> (CaptureMode, TableRequest) {
    let closed = names.iter().map(|name| (*name).to_owned()).collect();
    (CaptureMode::AppendPrefix, TableRequest { closed, ..TableRequest::default() })
}

fn stamp(name: &str) -> (CaptureMode, TableRequest) {
    (CaptureMode::PositionBounded, TableRequest { stamp: Some(name.into()), ..TableRequest::default() })
}

fn typed(declaration: &str) -> (CaptureMode, TableRequest) {
    let types = vec![declaration.to_owned()];
    (CaptureMode::Sealed, TableRequest { logical: true, types, ..TableRequest::default() })
}

/// Every one is refused as a mistake of usage, whose message or hint holds these words.
async fn mistakes(url: &SourceUrl, wrong: &[((CaptureMode, TableRequest), &[&str])]) {
    for ((mode, tables), words) in wrong {
        let failure = declared(url, *mode, tables.clone()).await.expect_err(&format!("{tables:?}"));
        assert_eq!((failure.kind, failure.kind.exit_code().code()), (FailureKind::Invalid, 2), "{failure}");
        let said = format!("{} {}", failure.message, failure.hint.unwrap_or_default());
        words.iter().for_each(|word| assert!(said.contains(word), "{word}: {said}"));
    }
}

async fn rows(url: &SourceUrl, (mode, tables): (CaptureMode, TableRequest)) -> u64 {
    declared(url, mode, tables.clone()).await.unwrap_or_else(|failure| panic!("{tables:?}: {failure}")).counts["rows"]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_declared_of_a_postgresql_database_has_to_be_there() {
    let Some(server) = servers::own(Kind::Postgres).map(Arc::new) else { return };
    let sql = "CREATE TABLE e (id bigint PRIMARY KEY, at timestamptz, v text, j json, told text); \
               INSERT INTO e VALUES (1, '2026-01-01', 'x', '{}', '2026-01-01 00:00:00'), (2, '2026-02-01', 'y', '{}', '2026-02-01 00:00:00'); \
               CREATE TABLE p (id int, n int) PARTITION BY LIST (id); CREATE TABLE p_a PARTITION OF p FOR VALUES IN (1); \
               CREATE SCHEMA s; CREATE TABLE s.p_b PARTITION OF p FOR VALUES IN (2); INSERT INTO p VALUES (1, 1), (2, 2), (2, 3); \
               CREATE TABLE \"new\nline\" (id int)";
    let url = Db::new(&server, Kind::Postgres, "usage_pg", sql).await.url();
    mistakes(
        &url,
        &[
            (watermark("id=abc"), &["--watermark id=abc", "table e", "bigint"]),
            (watermark("at=soon"), &["--watermark at=soon", "timestamp with time zone"]),
            (watermark("j"), &["--watermark j", "json"]),
            (watermark("j={}"), &["--watermark j", "json"]),
            (watermark("nothing"), &["nothing"]),
            (closed(&["p.nope"]), &["--closed p.nope", "TABLE.PARTITION", "new\\nline"]),
            (closed(&["q.p_a"]), &["--closed q.p_a"]),
            (stamp("v"), &["--stamp v", "table e", "text"]),
            (stamp("id"), &["--stamp id", "bigint"]),
            (stamp("nope"), &["--stamp nope"]),
            (typed("e.nope=text"), &["--type e.nope", "at, id, j"]),
            (typed("nope.x=text"), &["--type nope.x", "s.p_b"]),
        ],
    )
    .await;
    assert_eq!(rows(&url, watermark("id=1")).await, 2, "with a row of a partition");
    assert_eq!(rows(&url, watermark("at=2026-01-15")).await, 1);
    // A partition by its own name, with its schema, and with the table that it belongs to.
    for (names, expected) in [(&["p_a"][..], 1), (&["p.p_a"], 1), (&["s.p_b"], 2), (&["p.s.p_b"], 2), (&["p.p_b", "p_a"], 3)] {
        assert_eq!(rows(&url, closed(names)).await, expected, "{names:?}");
    }
    assert_eq!(rows(&url, stamp("told")).await, 5, "text that is a time");
    assert_eq!(rows(&url, typed("e.v=text")).await, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_declared_of_a_mariadb_database_has_to_be_there() {
    let Some(server) = servers::own(Kind::Mariadb).map(Arc::new) else { return };
    let sql = "CREATE TABLE e (id BIGINT PRIMARY KEY, at DATETIME, v VARCHAR(9), d DECIMAL(9, 2)); \
               INSERT INTO e VALUES (1, '2026-01-01', 'x', 1.5), (2, '2026-02-01', 'y', 2.5); \
               CREATE TABLE p (id INT, at TIME) PARTITION BY LIST (id) (PARTITION p_a VALUES IN (1), PARTITION p_b VALUES IN (2)); \
               INSERT INTO p VALUES (1, '01:00:00'), (2, '02:00:00'), (2, '03:00:00'); \
               CREATE TABLE sub (id INT) PARTITION BY RANGE (id) SUBPARTITION BY HASH (id) SUBPARTITIONS 2 (PARTITION s0 VALUES LESS THAN (10)); \
               INSERT INTO sub VALUES (1)";
    let url = Db::new(&server, Kind::Mariadb, "usage_my", sql).await.url();
    mistakes(
        &url,
        &[
            (watermark("id=abc"), &["--watermark id=abc", "table e", "bigint", "whole number"]),
            (watermark("d=1,5"), &["--watermark d=1,5", "decimal(9,2)"]),
            (watermark("at=2026-01-15"), &["--watermark at", "table p", "time"]),
            (closed(&["p.nope"]), &["--closed p.nope", "p_a, p_b"]),
            (closed(&["e.p_a"]), &["--closed e.p_a", "no partitions"]),
            (closed(&["nope"]), &["--closed nope", "TABLE.PARTITION"]),
            (stamp("v"), &["--stamp v", "varchar(9)"]),
            (stamp("d"), &["--stamp d", "decimal(9,2)"]),
            (typed("e.nope=text"), &["--type e.nope", "at, d, id, v"]),
        ],
    )
    .await;
    assert_eq!(rows(&url, watermark("id=1")).await, 3);
    assert_eq!(rows(&url, watermark("d=1.50")).await, 1);
    for (names, expected) in [(&["p.p_a"][..], 1), (&["p.P_B"], 2), (&["p.p_a", "p.p_b"], 3), (&["p"], 3), (&["sub.s0"], 1)] {
        assert_eq!(rows(&url, closed(names)).await, expected, "{names:?}");
    }
    assert_eq!(rows(&url, stamp("at")).await, 6, "of one table it is a stamp, of the other it is said to be none");
}

#[tokio::test]
async fn what_is_declared_of_a_sqlite_file_has_to_be_there() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("u.db");
    let connection = rusqlite::Connection::open(&file).unwrap();
    let sql = "CREATE TABLE e (id INTEGER PRIMARY KEY, at DATETIME, v TEXT, epoch INT); \
               INSERT INTO e VALUES (1, '2026-01-01 00:00:00', 'x', 1767225600), (2, '2026-02-01 00:00:00', 'y', 1769904000)";
    connection.execute_batch(sql).unwrap();
    drop(connection);
    let url: SourceUrl = format!("sqlite:{}", file.display()).parse().unwrap();
    mistakes(
        &url,
        &[
            (watermark("id=abc"), &["--watermark id=abc", "INTEGER", "integer"]),
            (watermark("at=5"), &["--watermark at=5", "DATETIME", "text"]),
            (closed(&["e.p"]), &["--closed e.p"]),
            (stamp("v"), &["--stamp v", "TEXT"]),
            (stamp("epoch"), &["--stamp epoch", "INT"]),
            (typed("e.nope=text"), &["--type e.nope", "at, epoch, id, v"]),
        ],
    )
    .await;
    assert_eq!((rows(&url, watermark("id=1")).await, rows(&url, watermark("at=2026-01-15")).await), (1, 1));
    assert_eq!((rows(&url, watermark("v=x")).await, rows(&url, watermark("v=5")).await), (1, 0));
    assert_eq!(rows(&url, stamp("at")).await, 2);
    // Two databases: a type that is declared for a column that neither has.
    let copy = dir.path().join("copy.db");
    std::fs::copy(&file, &copy).unwrap();
    let other: SourceUrl = format!("sqlite:{}", copy.display()).parse().unwrap();
    let access = access();
    let side = |url| Side { url, access: &access };
    let types = [declared::declaration("e.nope=text").unwrap()].into();
    let failure = dual::against(side(&url), side(&other), &key(), Some(&types), &Silent).await.unwrap_err();
    assert!(failure.kind == FailureKind::Invalid && failure.message.contains("--type e.nope"), "{failure}");
    let types = [declared::declaration("e.v=text").unwrap()].into();
    assert!(dual::against(side(&url), side(&other), &key(), Some(&types), &Silent).await.is_ok());
}

/// The comparison with a capture in this mode, and what it says that it does not speak of.
async fn spoken_of(url: &SourceUrl, (mode, tables): (CaptureMode, TableRequest)) -> (Outcome, Vec<String>, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("m");
    let request = CaptureRequest { tables, ..CaptureRequest::new(&out, mode) };
    let notes = Notes::default();
    capture(url, &access(), &request, &key(), None, &notes).await.unwrap();
    let manifest = Manifest::open(&out).unwrap();
    let result = compare(url, &access(), &manifest, &key(), &Silent).await.unwrap();
    (result.outcome(0).0, result.left_out, notes.0.into_inner().unwrap())
}

/// Keeps what is said.
#[derive(Default)]
struct Notes(std::sync::Mutex<Vec<String>>);

impl Monitor for Notes {
    fn event(&self, event: Event<'_>) {
        if let Event::Note(said) = event {
            self.0.lock().unwrap().push(said.to_owned());
        }
    }
}

fn says(all: &[String], words: &[&str]) {
    words.iter().for_each(|word| assert!(all.iter().any(|said| said.contains(word)), "{word}: {all:?}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comparison_says_again_what_its_manifest_leaves_out() {
    let Some(server) = servers::own(Kind::Postgres).map(Arc::new) else { return };
    let sql = "CREATE TABLE e (id int PRIMARY KEY); INSERT INTO e VALUES (1); CREATE TABLE other (x int); CREATE TABLE more (x int); \
               CREATE VIEW v AS SELECT 1; CREATE MATERIALIZED VIEW mv AS SELECT 1; CREATE EXTENSION file_fdw; \
               CREATE SERVER files FOREIGN DATA WRAPPER file_fdw; CREATE FOREIGN TABLE ft (x int) SERVER files OPTIONS (filename '/dev/null')";
    let url = Db::new(&server, Kind::Postgres, "left_out", sql).await.url();
    let (outcome, left_out, notes) = spoken_of(&url, watermark("id")).await;
    assert_eq!(outcome, Outcome::PassWithException);
    says(&left_out, &["without the column id", "more, other", "materialized view (mv)", "foreign table (ft)", "rows beyond"]);
    says(&notes, &["of kind view (v)", "materialized view (mv)", "more, other"]);
    let (_, left_out, _) = spoken_of(&url, closed(&["e"])).await;
    says(&left_out, &["not declared closed", "more, other"]);
    let (_, left_out, _) = spoken_of(&url, (CaptureMode::Sealed, TableRequest::default())).await;
    assert_eq!(left_out.len(), 1, "{left_out:?}");
    // A file: its view is a definition, and is compared.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("v.db");
    let connection = rusqlite::Connection::open(&file).unwrap();
    connection
        .execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, n INT GENERATED ALWAYS AS (id) VIRTUAL); INSERT INTO t VALUES (1); CREATE VIEW v AS SELECT 1")
        .unwrap();
    drop(connection);
    let url: SourceUrl = format!("sqlite:{}", file.display()).parse().unwrap();
    let (_, left_out, notes) = spoken_of(&url, (CaptureMode::Sealed, TableRequest::default())).await;
    assert_eq!(left_out, Vec::<String>::new());
    says(&notes, &["1 of kind view (v)", "t.n: virtual generated column"]);
    let shown = shown_of(&url, dir.path());
    says(
        &shown,
        &[
            "engine     sqlite 3.",
            "t.n: virtual",
            "not read   1 of kind view (v)",
            "prefix     up to id: t 1",
            "1 view",
            "the rows of 1 tables",
        ],
    );
}

/// What `manifest show` prints of an append-prefix capture of a file.
fn shown_of(url: &SourceUrl, dir: &std::path::Path) -> Vec<String> {
    let (key, out) = (dir.join("key"), dir.join("shown"));
    std::fs::write(&key, format!("{}\n", "07".repeat(32))).unwrap();
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let run = |args: &[&str]| std::process::Command::new(env!("CARGO_BIN_EXE_attestore")).args(args).output().unwrap();
    let (url, out, key) = (url.to_string(), out.display().to_string(), key.display().to_string());
    let made = run(&["manifest", "create", &url, "--out", &out, "--hash-key", &key, "--mode", "append-prefix", "--watermark", "id"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let shown = run(&["manifest", "show", &out]);
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    String::from_utf8_lossy(&shown.stdout).lines().map(str::to_owned).collect()
}

/// With the waits of earnest, so that it is seen who answers before time is up.
fn patient() -> Access {
    Access { password: Some(PASSWORD.into()), ..Access::default() }
}

/// As fingerprints open it and as checks do.
async fn both_refuse(url: &str) -> [Failure; 2] {
    let url: SourceUrl = url.parse().unwrap();
    let read = Database::open(&url, &patient()).await.map(drop).expect_err("it was opened");
    let packs = [Pack::load("bank").unwrap()];
    let checked = runner::run(&url, &patient(), &packs, &Default::default(), &Silent).await.map(drop).expect_err("it was opened");
    [read, checked]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_the_other_kind_is_told_as_that() {
    let (Some(postgres), Some(mariadb)) = (servers::shared(Kind::Postgres), servers::shared(Kind::Mariadb)) else { return };
    for (scheme, port, told) in [
        ("postgres", mariadb.port(), "is this a PostgreSQL server? A MySQL or MariaDB server answers"),
        ("mysql", postgres.port(), "is this a MySQL or MariaDB server? A PostgreSQL server answers"),
    ] {
        for failure in both_refuse(&format!("{scheme}://u@127.0.0.1:{port}/d")).await {
            assert!(failure.kind == FailureKind::Invalid && failure.message.contains(told), "{failure}");
            assert!(failure.hint.is_some_and(|hint| hint.contains("://")));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_with_one_session_is_served_and_one_without_is_told_what_it_takes() {
    let Some(server) = servers::shared(Kind::Postgres) else { return };
    let db = Db::new(&server, Kind::Postgres, "one_session", "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)").await;
    db.run("CREATE ROLE single LOGIN PASSWORD 'r' CONNECTION LIMIT 1; GRANT SELECT ON t TO single").await;
    let dir = tempfile::tempdir().unwrap();
    let one_lane = |access: Access| Access { limits: attestore::verify::sql::reading::Limits { lanes: 1, ..access.limits }, ..access };
    let reader = one_lane(as_user("single", "r"));
    assert_eq!(db.capture_as(&reader, &dir.path().join("m")).await.unwrap().counts["rows"], 1);
    db.run("ALTER ROLE single CONNECTION LIMIT 0").await;
    let failure = db.capture_as(&reader, &dir.path().join("none")).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Throttled, "{failure}");
    assert!(failure.hint.as_deref().unwrap().contains("CONNECTION LIMIT"), "{failure} {:?}", failure.hint);
    db.run("ALTER ROLE single CONNECTION LIMIT 2").await;
    assert_eq!(db.capture_as(&reader, &dir.path().join("two")).await.unwrap().counts["rows"], 1, "two do for one lane");
}
