//! Lanes and resumption: a reading that was cut short goes on by range where the source stands still, begins anew where it does not, and
//! lanes never show in a fingerprint.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::servers::{self, Kind, PASSWORD, Server};
use crate::support::{Db, access, hasty, key, places, until_quiet};
use attestore::model::capture::CaptureMode;
use attestore::model::failure::FailureKind;
use attestore::model::finding::Class;
use attestore::model::source_url::SourceUrl;
use attestore::monitor::{Event, Monitor, Silent};
use attestore::verify::manifest::reader::Manifest;
use attestore::verify::manifest::request::CaptureRequest;
use attestore::verify::sql::capture::capture;
use attestore::verify::sql::compare::database::compare;
use attestore::verify::sql::connect::access::Access;
use attestore::verify::sql::reading::Limits;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

const ROWS: u64 = 300_000;

/// Four ranges or more on either server.
fn statements(kind: Kind) -> String {
    match kind {
        Kind::Postgres => format!(
            "CREATE TABLE m (id int PRIMARY KEY, v text NOT NULL); ALTER TABLE m ALTER v SET STORAGE PLAIN; \
             INSERT INTO m SELECT i, repeat('v', 400) FROM generate_series(1, {ROWS}) AS s(i); CREATE TABLE z (id int PRIMARY KEY); INSERT INTO z VALUES (1); ANALYZE"
        ),
        Kind::Mariadb | Kind::Mysql => format!(
            "CREATE TABLE m (id INT PRIMARY KEY, v VARCHAR(40) NOT NULL) STATS_AUTO_RECALC = 0; INSERT INTO m SELECT seq, CONCAT('v', seq) FROM seq_1_to_{ROWS}; \
             CREATE TABLE z (id INT PRIMARY KEY) STATS_AUTO_RECALC = 0; INSERT INTO z VALUES (1); ANALYZE TABLE m"
        ),
    }
}

/// Asks to stop once so many rows have been read; keeps what was told.
#[derive(Default)]
struct Stopping {
    after: u64,
    rows: AtomicU64,
    told: std::sync::Mutex<Vec<String>>,
}

impl Stopping {
    fn after(after: u64) -> Self {
        Self { after, ..Self::default() }
    }

    fn told(&self, part: &str) -> bool {
        self.told.lock().unwrap().iter().any(|line| line.contains(part))
    }

    fn findings(&self) -> Vec<String> {
        self.told.lock().unwrap().iter().filter_map(|line| Some(line.strip_prefix("finding ")?.to_owned())).collect()
    }
}

impl Monitor for Stopping {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Advanced { by, .. } => drop(self.rows.fetch_add(by, Ordering::Relaxed)),
            Event::Note(text) => self.told.lock().unwrap().push(text.to_owned()),
            Event::Finding(finding) => {
                self.told.lock().unwrap().push(format!("finding {} {}", finding.class.as_str(), finding.place.parts().1));
            }
            _ => {}
        }
    }

    fn stop_requested(&self) -> bool {
        self.after > 0 && self.rows.load(Ordering::Relaxed) >= self.after
    }
}

/// The server's own user, in so many lanes, with readings kept in `state`.
fn keeping(state: &Path, lanes: usize) -> Access {
    Access { state: Some(state.to_owned()), limits: Limits { lanes, ..hasty() }, ..access() }
}

async fn goes_on(server: &Arc<Server>, kind: Kind) {
    let dir = tempfile::tempdir().unwrap();
    let (out, state) = (dir.path().join("m"), dir.path().join("state"));
    let db = Db::new(server, kind, "goes_on", &statements(kind)).await;
    db.capture(&out).await.unwrap();
    let manifest = Manifest::open(&out).unwrap();
    let run =
        async |lanes: usize, monitor: &Stopping| compare(&db.url(), &keeping(&state, lanes), &manifest, &key(), monitor).await.unwrap();
    let settle = async || {
        if kind == Kind::Mariadb {
            until_quiet(server).await;
        }
    };
    settle().await;
    let whole = run(1, &Stopping::default()).await;
    assert!(!state.join("rows.state").exists(), "what was read to its end is not kept");
    let cut = run(1, &Stopping::after(ROWS * 3 / 5)).await;
    assert_eq!(cut.cut_short.unwrap().kind, FailureKind::Interrupted);
    let again = Stopping::default();
    let result = run(2, &again).await;
    let rows = result.rows.unwrap();
    assert_eq!((rows.matched, rows.expected, again.findings()), (ROWS + 1, ROWS + 1, Vec::new()));
    assert!(again.told("ranges were read by an earlier run"), "{:?}", again.told);
    assert!(result.bytes_checked < whole.bytes_checked * 4 / 5, "{} of {}", result.bytes_checked, whole.bytes_checked);

    // A change in what had been read: the source has moved, everything is read again, and the change is found.
    settle().await;
    assert!(run(1, &Stopping::after(ROWS * 3 / 5)).await.cut_short.is_some());
    db.run("UPDATE m SET v = 'other' WHERE id = 1").await;
    let moved = Stopping::default();
    let result = run(1, &moved).await;
    assert!(moved.told("read from the beginning"), "{:?}", moved.told);
    assert_eq!((moved.findings(), result.rows.unwrap().mismatch), (vec!["mismatch m id=1".to_owned()], 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reading_of_postgres_goes_on_by_range() {
    let Some(server) = servers::own(Kind::Postgres).map(Arc::new) else { return };
    goes_on(&server, Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reading_of_mariadb_goes_on_by_range() {
    let Some(server) = servers::own(Kind::Mariadb).map(Arc::new) else { return };
    goes_on(&server, Kind::Mariadb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_capture_of_a_file_goes_on_by_table() {
    let dir = tempfile::tempdir().unwrap();
    let (file, state) = (dir.path().join("db"), dir.path().join("state"));
    let mut connection = SqliteConnectOptions::new().filename(&file).create_if_missing(true).connect().await.unwrap();
    for table in ["a", "b"] {
        let sql = format!(
            "CREATE TABLE {table} (id INTEGER PRIMARY KEY); WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 20000) INSERT INTO {table} SELECT i FROM s"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
    let url = SourceUrl::Sqlite { path: file };
    let take = async |out: &str, state: Option<&Path>, monitor: &Stopping| {
        let request = CaptureRequest::new(dir.path().join(out), CaptureMode::Sealed);
        let access = Access { state: state.map(Path::to_owned), ..Access::default() };
        capture(&url, &access, &request, &key(), None, monitor).await
    };
    let plain = take("plain", None, &Stopping::default()).await.unwrap();
    let cut = take("cut", Some(&state), &Stopping::after(30_000)).await.unwrap_err();
    assert_eq!(cut.kind, FailureKind::Interrupted);
    let again = Stopping::default();
    let resumed = take("resumed", Some(&state), &again).await.unwrap();
    assert_eq!(resumed.root, plain.root);
    assert!(again.told("table a: 1 of 1 ranges were read by an earlier run"), "{:?}", again.told);
}

fn verify(db: &Db, manifest: &Path, state: &Path, key: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attestore"));
    command.args(["verify", &db.url().to_string(), "--lanes", "1", "--manifest"]).arg(manifest).arg("--hash-key").arg(key);
    command.arg("--state").arg(state).env("PGPASSWORD", PASSWORD).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_goes_on_by_range() {
    let Some(server) = servers::own(Kind::Postgres).map(Arc::new) else { return };
    let dir = tempfile::tempdir().unwrap();
    let (out, state, hash_key) = (dir.path().join("m"), dir.path().join("state"), dir.path().join("hashkey"));
    std::fs::write(&hash_key, format!("{}\n", "07".repeat(32))).unwrap();
    Command::new("chmod").arg("600").arg(&hash_key).status().unwrap();
    let db = Db::new(&server, Kind::Postgres, "killed", &statements(Kind::Postgres)).await;
    db.capture(&out).await.unwrap();
    // Killed with two of its ranges of some 4.7 MB kept. On a machine that is fast enough it may end before it is killed: then once more.
    let mut said = String::new();
    for _ in 0..20 {
        let mut child = verify(&db, &out, &state, &hash_key);
        let kept = || std::fs::metadata(state.join("rows.state")).map_or(0, |meta| meta.len());
        while kept() < 12_000_000 && child.try_wait().unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.code().unwrap_or(0) == 0, "{}", String::from_utf8_lossy(&output.stderr));
        said = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            break;
        }
    }
    assert!(state.join("rows.state").exists(), "no process was killed in the middle: {said}");
    let output = verify(&db, &out, &state, &hash_key).wait_with_output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("ranges were read by an earlier run"), "{said}");
    assert!(!state.join("rows.state").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lanes_of_mariadb_do_not_show_whatever_the_key() {
    let Some(server) = servers::own(Kind::Mariadb).map(Arc::new) else { return };
    let dir = tempfile::tempdir().unwrap();
    let rows = "seq_1_to_140000";
    let sql = format!(
        "CREATE TABLE negative (id BIGINT PRIMARY KEY, v INT); INSERT INTO negative SELECT (CAST(seq AS SIGNED) - 70000) * 131, seq FROM {rows}; \
         CREATE TABLE greatest (id BIGINT UNSIGNED PRIMARY KEY, v INT); INSERT INTO greatest SELECT 18446744073709551615 - seq * 3, seq FROM {rows}; \
         CREATE TABLE bytes (id BINARY(16) PRIMARY KEY, v INT); INSERT INTO bytes SELECT UNHEX(MD5(seq)), seq FROM {rows}; \
         CREATE TABLE pair (b INT, a INT, v INT, PRIMARY KEY (b, a)); INSERT INTO pair SELECT seq DIV 3, seq MOD 3, seq FROM {rows}; \
         CREATE TABLE words (id VARCHAR(40) PRIMARY KEY, v INT); INSERT INTO words SELECT CONCAT('w', seq), seq FROM {rows}; \
         CREATE TABLE keyless (v INT); INSERT INTO keyless SELECT seq DIV 2 FROM {rows}; ANALYZE TABLE negative, greatest, bytes, pair, words, keyless"
    );
    let db = Db::new(&server, Kind::Mariadb, "lanes", &sql).await;
    until_quiet(&server).await;
    let mut roots = Vec::new();
    for lanes in [1, 3] {
        let request = CaptureRequest::new(dir.path().join(lanes.to_string()), CaptureMode::SnapshotExact);
        let access = Access { limits: Limits { lanes, ..hasty() }, ..access() };
        let header = capture(&db.url(), &access, &request, &key(), None, &Silent).await.unwrap();
        assert_eq!(header.counts["rows"], 6 * 140_000);
        roots.push(header.root);
    }
    assert_eq!(roots[0], roots[1]);
    db.run("UPDATE pair SET v = -1 WHERE b = 1000 AND a = 1; DELETE FROM greatest WHERE v = 77; INSERT INTO negative VALUES (1, 1)").await;
    let (_, findings) = db.compare(&dir.path().join("1")).await;
    let found: Vec<Class> = places(&findings).into_iter().map(|(class, _)| class).collect();
    assert_eq!(found, [Class::Mismatch, Class::Missing, Class::Extra]);
}
