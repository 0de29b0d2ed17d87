//! Copies of SQLite databases through a drill: the online backup, a plain copy with its write-ahead log, one whose log was lost or cut; and
//! a database compared with a manifest of an earlier moment, where change stamps tell what may have changed from what may not.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::drill_estate::{Estate, ORIGIN};
use attestore::model::capture::CaptureMode;
use attestore::model::finding::Class;
use attestore::model::ids::PointId;
use attestore::model::outcome::Outcome;
use attestore::model::source_url::SourceUrl;
use attestore::monitor::Silent;
use attestore::signing::hash_key::HashKey;
use attestore::signing::keys::SigningKey;
use attestore::testing_log::point_result::PointResult;
use attestore::testing_log::writer::LogWriter;
use attestore::verify::manifest::request::{CaptureRequest, Sidecar, TableRequest};
use attestore::verify::sql::connect::access::Access;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

/// An estate of one resource, `db`, whose points are the files in `vault/db`.
fn lay(folder: &Path) -> (Estate, LogWriter, SigningKey, HashKey) {
    let estate = Estate { folder: folder.to_owned() };
    let key = SigningKey::generate(&estate.path("attestore.key")).unwrap();
    let hash_key = HashKey::create(&estate.path("attestore.hashkey")).unwrap();
    let log = LogWriter::create(&estate.path("log"), ORIGIN, &key, attestore::drill::context::tool()).unwrap();
    for dir in ["vault/db", "manifests/db"] {
        std::fs::create_dir_all(estate.path(dir)).unwrap();
    }
    let text = format!(
        "version = 1\n[log]\npath = \"log\"\norigin = \"{ORIGIN}\"\n[keys]\nsigning = \"attestore.key\"\nhash = \"attestore.hashkey\"\n\
         [class.c]\nrto = \"1h\"\nrpo = \"7d\"\ntest_period = \"90d\"\n[[resource]]\nid = \"db\"\napplication = \"a\"\nkind = \"files\"\n\
         class = \"c\"\nsource = \"sqlite:db\"\nmanifests = \"manifests/db\"\n[[resource.points]]\nfrom = \"local\"\npath = \"vault/db\"\n"
    );
    std::fs::write(estate.path("attestore.toml"), text).unwrap();
    (estate, log, key, hash_key)
}

async fn capture(estate: &Estate, from: &Path, key: &SigningKey, hash_key: &HashKey, request: &CaptureRequest, log: &mut LogWriter) {
    let url = SourceUrl::Sqlite { path: from.to_owned() };
    let signer = Some((ORIGIN, key));
    attestore::verify::sql::capture::capture(&url, &Access::default(), request, hash_key, signer, &Silent).await.unwrap();
    estate.register(log, "db", &request.out);
}

async fn run(connection: &mut SqliteConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.unwrap();
}

fn result(estate: &Estate, point: &str) -> PointResult {
    let id = PointId::local(&"db".into(), point);
    estate.results().into_iter().find(|result| result.rp.id == id).unwrap_or_else(|| panic!("no result of {point}"))
}

/// Killed in the middle of its reading, a drill goes on with the table that it was at: what was read to its end is not read again.
#[tokio::test(flavor = "multi_thread")]
async fn a_drill_that_was_killed_while_it_read_goes_on_by_table() {
    let folder = tempfile::tempdir().unwrap();
    let (estate, mut log, key, hash_key) = lay(folder.path());
    let good = estate.path("vault/db/good.db");
    let mut connection = SqliteConnectOptions::new().filename(&good).create_if_missing(true).connect().await.unwrap();
    for table in 0..6 {
        run(&mut connection, &format!("CREATE TABLE t{table} (id INTEGER PRIMARY KEY, v TEXT); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) INSERT INTO t{table} SELECT i, 'value ' || i FROM n")).await;
    }
    connection.close().await.unwrap();
    let mut request = CaptureRequest::new(estate.path("manifests/db/good"), CaptureMode::Sealed);
    request.recovery_point_id = Some(PointId::local(&"db".into(), "good.db"));
    capture(&estate, &good, &key, &hash_key, &request, &mut log).await;
    log.checkpoint().unwrap();
    drop(log);

    let mut drill = Command::new(env!("CARGO_BIN_EXE_attestore"));
    let mut drill = drill.arg("drill").current_dir(&estate.folder).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    // Two tables and a part of the third.
    let enough = 2 * 20_000 * 40 + 100_000;
    while written_below(&estate.path("attestore-work"), "rows.state") < enough {
        if drill.try_wait().unwrap().is_some() {
            let mut said = String::new();
            std::io::Read::read_to_string(&mut drill.stderr.take().unwrap(), &mut said).unwrap();
            panic!("the drill ended before it had read enough: {said}");
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    drill.kill().unwrap();
    drill.wait().unwrap();
    let resumed = estate.run(&["drill", "--resume"], None);
    let said = String::from_utf8_lossy(&[&resumed.stderr[..], &resumed.stdout[..]].concat()).into_owned();
    assert_eq!(resumed.status.code(), Some(0), "{said}");
    for table in ["table t0", "table t1"] {
        assert!(said.contains(&format!("{table}: 1 of 1 ranges were read by an earlier run")), "{said}");
    }
    assert!(!said.contains("table t5: 1 of 1"), "{said}");
    let result = result(&estate, "good.db");
    assert_eq!((result.outcome, result.verify.unwrap().rows.unwrap().matched), (Outcome::Pass, 6 * 20_000));
    assert_eq!(estate.leftovers(), Vec::<String>::new());
}

/// Bytes in the files of this name below a folder.
fn written_below(folder: &Path, name: &str) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let bytes = |path: std::path::PathBuf| match path.is_dir() {
        true => written_below(&path, name),
        false if path.ends_with(name) => path.metadata().map_or(0, |meta| meta.len()),
        false => 0,
    };
    entries.map(bytes).sum()
}

/// The online backup API of SQLite, as Python's `sqlite3` offers it; false where there is no Python.
fn online_backup(from: &Path, to: &Path) -> bool {
    let script = "import sqlite3,sys\nsqlite3.connect(sys.argv[1]).backup(sqlite3.connect(sys.argv[2]), pages=3)";
    let status = Command::new("python3").args(["-c", script]).arg(from).arg(to).stdin(Stdio::null()).status();
    let done = status.is_ok_and(|status| status.success());
    let required = std::env::var("ATTESTORE_REQUIRE").unwrap_or_default();
    assert!(done || !required.split(',').any(|name| name.trim() == "boto3"), "python3 is required and took no backup");
    if !done {
        eprintln!("SKIPPED: no python3 that takes an online backup");
    }
    done
}

#[tokio::test(flavor = "multi_thread")]
async fn online_backups_and_plain_copies_with_their_log_come_back_and_a_lost_log_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let (estate, mut log, key, hash_key) = lay(folder.path());
    let live = folder.path().join("live.db");
    let options = SqliteConnectOptions::new().filename(&live).create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
    let mut connection = options.connect().await.unwrap();
    run(&mut connection, "PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)").await;
    run(
        &mut connection,
        "WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 200) INSERT INTO t SELECT i, 'row ' || i FROM s",
    )
    .await;
    run(&mut connection, "PRAGMA wal_checkpoint(TRUNCATE)").await;
    // From here on only the write-ahead log knows: 30 rows more, one changed.
    run(
        &mut connection,
        "WITH RECURSIVE s(i) AS (SELECT 201 UNION ALL SELECT i + 1 FROM s WHERE i < 230) INSERT INTO t SELECT i, 'row ' || i FROM s",
    )
    .await;
    run(&mut connection, "UPDATE t SET v = 'changed' WHERE id = 7").await;
    let vault = |name: &str| estate.path("vault/db").join(name);
    let wal = folder.path().join("live.db-wal");
    let has_backup = online_backup(&live, &vault("online.db"));
    for name in ["plain.db", "lost.db", "cut.db"] {
        std::fs::copy(&live, vault(name)).unwrap();
    }
    std::fs::copy(&wal, vault("plain.db-wal")).unwrap();
    let bytes = std::fs::read(&wal).unwrap();
    // The last commit's frames are gone: the change of row 7.
    std::fs::write(vault("cut.db-wal"), &bytes[..bytes.len() - 100]).unwrap();
    let points: Vec<&str> =
        ["online.db", "plain.db", "lost.db", "cut.db"].into_iter().filter(|name| has_backup || *name != "online.db").collect();
    for point in &points {
        let mut request = CaptureRequest::new(estate.path("manifests/db").join(point), CaptureMode::Sealed);
        request.recovery_point_id = Some(PointId::local(&"db".into(), point));
        request.tables.logical = *point == "plain.db";
        request.tables.sidecar = Sidecar::Columns;
        capture(&estate, &live, &key, &hash_key, &request, &mut log).await;
    }
    log.checkpoint().unwrap();
    drop(log);
    connection.close().await.unwrap();

    let output = estate.run(&["drill", "--json"], None);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    // The manifest alone names what is gone, and which column differs.
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<serde_json::Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let has = |class: &str, row: &str, columns: &serde_json::Value| {
        lines.iter().any(|line| line["event"] == "finding" && line["class"] == class && line["row"] == row && line["columns"] == *columns)
    };
    assert!(has("mismatch", "t id=7", &serde_json::json!(["v"])) && has("missing", "t id=230", &serde_json::Value::Null), "{told}");
    for point in &points {
        let facts = result(&estate, point).verify.unwrap();
        let apart = (facts.not_compared.contains_key("definitions"), facts.definitions.is_none());
        assert_eq!(apart, (*point == "plain.db", *point == "plain.db"), "{point}");
        assert_eq!(facts.coverage_ppm, 1_000_000);
    }
    for point in points.iter().filter(|name| !["lost.db", "cut.db"].contains(name)) {
        let good = result(&estate, point);
        let rows = good.verify.as_ref().unwrap().rows.unwrap();
        let outcome = if *point == "plain.db" { Outcome::PassWithException } else { Outcome::Pass };
        assert_eq!((good.outcome, rows.matched), (outcome, 230), "{point}: {:?}", good.outcome_reasons);
    }
    let lost = result(&estate, "lost.db");
    let rows = lost.verify.unwrap().rows.unwrap();
    assert_eq!((lost.outcome, rows.matched, rows.mismatch, rows.missing), (Outcome::Fail, 199, 1, 30));
    let cut = result(&estate, "cut.db");
    let rows = cut.verify.unwrap().rows.unwrap();
    assert_eq!((cut.outcome, rows.matched, rows.mismatch, rows.missing), (Outcome::Fail, 229, 1, 0));
    assert_eq!(estate.results().len(), points.len(), "a log beside a database is no point of its own");
    assert_eq!(estate.leftovers(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_an_earlier_manifest_stamps_tell_what_may_have_changed_from_what_may_not() {
    let folder = tempfile::tempdir().unwrap();
    let (estate, mut log, key, hash_key) = lay(folder.path());
    let path = estate.path("vault/db/later.db");
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    run(&mut connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, v INT, at TEXT); CREATE TABLE plain (id INTEGER PRIMARY KEY, v INT)")
        .await;
    run(&mut connection, "WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 9) INSERT INTO t SELECT i, i, '2026-01-01 00:00:00' FROM s").await;
    run(&mut connection, "INSERT INTO plain VALUES (1, 1), (2, 2)").await;
    connection.close().await.unwrap();
    let mut request = CaptureRequest::new(estate.path("manifests/db/m"), CaptureMode::Sealed);
    request.tables = TableRequest { stamp: Some("at".into()), longest_transaction_s: 0, ..TableRequest::default() };
    capture(&estate, &path, &key, &hash_key, &request, &mut log).await;
    log.checkpoint().unwrap();
    drop(log);
    let mut connection = options.connect().await.unwrap();
    let now = "strftime('%Y-%m-%d %H:%M:%f', 'now', '+0.001 seconds')";
    // Changed and added with today's stamp; changed and added under an old one; deleted; changed where there is no stamp.
    run(&mut connection, &format!("UPDATE t SET v = 90, at = {now} WHERE id = 1; INSERT INTO t VALUES (20, 20, {now})")).await;
    run(
        &mut connection,
        "UPDATE t SET v = 90 WHERE id = 2; INSERT INTO t VALUES (21, 21, '2026-01-01 00:00:00'); DELETE FROM t WHERE id = 3",
    )
    .await;
    run(&mut connection, "UPDATE plain SET v = 9 WHERE id = 1").await;
    connection.close().await.unwrap();

    let output = estate.run(&["drill", "--json"], None);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let bad = result(&estate, "later.db");
    let facts = bad.verify.unwrap();
    assert_eq!(facts.mode, CaptureMode::PositionBounded);
    let rows = facts.rows.unwrap();
    assert_eq!((rows.matched, rows.mismatch, rows.extra, rows.indeterminate, rows.missing), (7, 1, 1, 4, 0), "{said}");
    assert!(rows.adds_up());
    let tables = facts.tables.unwrap();
    assert_eq!((tables.mismatch, tables.indeterminate), (1, 1));
    let of = |class: Class| -> Vec<String> {
        let lines: Vec<serde_json::Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let found = lines.iter().filter(|line| line["event"] == "finding" && line["class"] == class.as_str());
        let mut rows: Vec<String> = found.map(|line| line["row"].as_str().unwrap_or_default().to_owned()).collect();
        rows.sort();
        rows
    };
    assert_eq!(of(Class::Mismatch), ["t id=2"]);
    assert_eq!(of(Class::Extra), ["t id=21"]);
    let undecided = of(Class::Indeterminate);
    assert_eq!(undecided.len(), 4, "{undecided:?}");
    assert!(["plain id=1", "t id=1", "t id=20"].iter().all(|row| undecided.iter().any(|known| known == row)), "{undecided:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_databases_come_back_and_what_is_no_database_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (estate, mut log, key, hash_key) = lay(folder.path());
    let live = folder.path().join("live.db");
    let mut connection = SqliteConnectOptions::new().filename(&live).create_if_missing(true).connect().await.unwrap();
    run(&mut connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'one'), (2, 'two')").await;
    connection.close().await.unwrap();
    let bytes = std::fs::read(&live).unwrap();
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut packer, &bytes).unwrap();
    let gzip = packer.finish().unwrap();
    let zstd = zstd::encode_all(&bytes[..], 3).unwrap();
    let mut changed = bytes.clone();
    let at = changed.windows(3).rposition(|window| window == b"two").unwrap();
    changed[at] = b'T';
    let noise: Vec<u8> = (0u32..8192).map(|at| blake3::hash(&at.to_le_bytes()).as_bytes()[0]).collect();
    let mut headless = bytes.clone();
    headless[..16].fill(0xff);
    let points: [(&str, &[u8]); 8] = [
        ("a.db.gz", &gzip),
        ("b.db.zst", &zstd),
        ("cut.db.gz", &gzip[..gzip.len() / 2]),
        ("changed.db.zst", &zstd::encode_all(&changed[..], 3).unwrap()),
        ("headless.db", &headless),
        ("dump.sql", b"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);\nCOMMIT;\n"),
        ("dump.sql.zst", &zstd::encode_all(&b"BEGIN TRANSACTION;\nCOMMIT;\n"[..], 3).unwrap()),
        ("secret.db", &noise),
    ];
    for (name, bytes) in points {
        std::fs::write(estate.path("vault/db").join(name), bytes).unwrap();
        let mut request = CaptureRequest::new(estate.path("manifests/db").join(name), CaptureMode::Sealed);
        request.recovery_point_id = Some(PointId::local(&"db".into(), name));
        capture(&estate, &live, &key, &hash_key, &request, &mut log).await;
    }
    log.checkpoint().unwrap();
    drop(log);
    let output = estate.run(&["drill"], None);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    for point in ["a.db.gz", "b.db.zst"] {
        let good = result(&estate, point);
        assert_eq!((good.outcome, good.verify.unwrap().rows.unwrap().matched), (Outcome::Pass, 2), "{point}: {:?}", good.outcome_reasons);
    }
    for point in ["cut.db.gz", "headless.db"] {
        let bad = result(&estate, point);
        assert_eq!((bad.outcome, bad.verify.unwrap().rows.unwrap().unreadable), (Outcome::Fail, 2), "{point}: {:?}", bad.errors);
    }
    let changed = result(&estate, "changed.db.zst");
    assert_eq!((changed.outcome, changed.verify.unwrap().rows.unwrap().mismatch), (Outcome::Fail, 1));
    for (point, said) in [("dump.sql", ".dump"), ("dump.sql.zst", ".dump"), ("secret.db", "encrypted")] {
        let untold = result(&estate, point);
        assert_eq!((untold.outcome, untold.verify.is_none()), (Outcome::Error, true), "{point}: {:?}", untold.outcome_reasons);
        assert!(untold.errors[0].message.contains(said), "{point}: {:?}", untold.errors);
    }
    assert_eq!(estate.leftovers(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_log_of_changes_what_it_names_has_changed_and_what_it_does_not_is_damage() {
    for damaged in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let (estate, mut log, key, hash_key) = lay(folder.path());
        let config = estate.path("attestore.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, text.replace("[[resource.points]]", "changes = \"changes.jsonl\"\n[[resource.points]]")).unwrap();
        let path = estate.path("vault/db/later.db");
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut connection = options.connect().await.unwrap();
        run(&mut connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 1), (2, 2), (3, 3), (4, 4)").await;
        connection.close().await.unwrap();
        let request = CaptureRequest::new(estate.path("manifests/db/m"), CaptureMode::Sealed);
        capture(&estate, &path, &key, &hash_key, &request, &mut log).await;
        log.checkpoint().unwrap();
        drop(log);
        let mut connection = options.connect().await.unwrap();
        run(&mut connection, "UPDATE t SET v = 9 WHERE id = 1; DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (5, 5)").await;
        if damaged {
            run(&mut connection, "UPDATE t SET v = 9 WHERE id = 4").await;
        }
        connection.close().await.unwrap();
        let at = attestore::model::clock::Timestamp::now().0 / 1_000;
        let event = |op: &str, images: &str| format!("{{\"op\": \"{op}\", {images}, \"source\": {{\"table\": \"t\", \"ts_ms\": {at}}}}}\n");
        let events = [event("u", "\"after\": {\"id\": 1}"), event("d", "\"before\": {\"id\": 2}"), event("c", "\"after\": {\"id\": 5}")];
        std::fs::write(estate.path("changes.jsonl"), events.concat()).unwrap();
        let output = estate.run(&["drill", "--json"], None);
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let facts = result(&estate, "later.db").verify.unwrap();
        let rows = facts.rows.unwrap();
        assert_eq!((rows.changed_between, rows.deleted_between, rows.added_between, rows.indeterminate), (1, 1, 1, 0), "{said}");
        assert_eq!((facts.mode, rows.mismatch), (CaptureMode::PositionBounded, u64::from(damaged)));
        assert_eq!(output.status.code(), Some(i32::from(damaged)), "{said}");
    }
}

/// Of a copy that is empty, or holds nothing any more, nothing was read, whether its manifest names it or is of another moment; and what the
/// scorecard, the log and the machine-readable line say of it is that.
#[tokio::test(flavor = "multi_thread")]
async fn of_an_emptied_copy_nothing_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let (estate, mut log, key, hash_key) = lay(folder.path());
    let live = folder.path().join("live.db");
    let mut connection = SqliteConnectOptions::new().filename(&live).create_if_missing(true).connect().await.unwrap();
    run(&mut connection, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); CREATE INDEX i ON t (v); CREATE TABLE u (id INTEGER PRIMARY KEY); INSERT INTO u VALUES (1)").await;
    let rows = "WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 199) INSERT INTO t SELECT i, 'row ' || i FROM s";
    run(&mut connection, rows).await;
    connection.close().await.unwrap();
    let request = CaptureRequest::new(estate.path("manifests/db/unnamed"), CaptureMode::Sealed);
    capture(&estate, &live, &key, &hash_key, &request, &mut log).await;
    let good = std::fs::read(&live).unwrap();
    let copy = async |name: &str, sql: &str| {
        let path = estate.path("vault/db").join(name);
        std::fs::write(&path, &good).unwrap();
        let mut connection = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
        run(&mut connection, sql).await;
        connection.close().await.unwrap();
    };
    for (name, is_named) in
        [("bare", true), ("gone", true), ("emptied", true), ("bare-later", false), ("gone-later", false), ("emptied-later", false)]
    {
        match name.trim_end_matches("-later") {
            "bare" => std::fs::write(estate.path("vault/db").join(name), b"").unwrap(),
            "gone" => copy(name, "DROP TABLE t; DROP TABLE u").await,
            _ => copy(name, "DELETE FROM t; DELETE FROM u").await,
        }
        if is_named {
            let mut request = CaptureRequest::new(estate.path("manifests/db").join(name), CaptureMode::Sealed);
            request.recovery_point_id = Some(PointId::local(&"db".into(), name));
            capture(&estate, &live, &key, &hash_key, &request, &mut log).await;
        }
    }
    log.checkpoint().unwrap();
    drop(log);
    let output = estate.run(&["drill", "--json"], None);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}{}", String::from_utf8_lossy(&output.stderr));
    for name in ["bare", "gone", "emptied", "bare-later", "gone-later", "emptied-later"] {
        let result = result(&estate, name);
        let facts = result.verify.as_ref().unwrap_or_else(|| panic!("{name}: {:?}", result.errors));
        assert_eq!((facts.read["rows"], facts.rows.unwrap().matched, result.outcome), (0, 0, Outcome::Fail), "{name}: {facts:?}");
        assert_eq!(facts.read["tables"], if name.starts_with("emptied") { 2 } else { 0 }, "{name}");
        assert_eq!(facts.rows.unwrap().missing, if name.ends_with("-later") { 0 } else { 200 }, "{name}: {:?}", facts.rows);
        let line = attestore::cli::scorecard::lines(std::slice::from_ref(&result), 400).join("\n");
        assert!(line.contains("0 of 200 rows"), "{line}");
    }
    assert!(estate.verdict().holds(), "{:?}", estate.verdict().faults);
}
