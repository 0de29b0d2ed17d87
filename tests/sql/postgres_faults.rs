//! What can go wrong while PostgreSQL is read: each has its own honest result, nothing hangs, nothing is written.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use crate::servers::{self, Kind};
use crate::support::{self, Db, Meanwhile, When, access, as_user, hasty, peak_of_capture, places, run_aside, signal};
use attestore::model::failure::FailureKind;
use attestore::model::finding::Class;
use attestore::model::outcome::Outcome;
use attestore::monitor::{Event, Monitor};
use attestore::verify::sql::connect::access::Access;
use attestore::verify::sql::reading::{HELD_BACK, Limits};
use sqlx::{Connection, PgConnection};

const THREE: &str = "CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1); CREATE TABLE m (id int PRIMARY KEY, v text); \
                     INSERT INTO m SELECT i, repeat(i::text, 40) FROM generate_series(1, 20000) i; CREATE TABLE z (id int PRIMARY KEY); INSERT INTO z VALUES (1)";

async fn ask(db: &Db, question: &'static str) -> String {
    let mut connection = PgConnection::connect(&db.server.full_url(&db.name)).await.unwrap();
    let answer: String = sqlx::query_scalar(question).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    answer
}

/// The middle table is unreadable and says `said`; the others match. `outside` is the reason where the data is not to blame.
fn only_m(
    findings: &[attestore::model::finding::Finding],
    result: &attestore::model::verification::Verification,
    said: &str,
    outside: Option<FailureKind>,
) {
    assert_eq!(places(findings), [(Class::Unreadable, "m".into())], "{findings:?}");
    let found = findings[0].actual.as_deref().unwrap();
    assert!(found.contains(said), "expected `{said}` in `{found}`");
    let (tables, rows) = (result.tables.unwrap(), result.rows.unwrap());
    assert_eq!((tables.matched, tables.unreadable, rows.matched, rows.unreadable), (2, 1, 2, 20_000));
    assert_eq!((rows.mismatch, rows.missing, rows.extra), (0, 0, 0));
    assert_eq!(result.unread.keys().copied().collect::<Vec<_>>(), Vec::from_iter(outside), "{said}");
    assert_eq!(result.outcome(0).0, if outside.is_some() { Outcome::Inconclusive } else { Outcome::Fail });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_whose_checksum_fails_makes_its_table_unreadable_and_no_other() {
    let Some(server) = servers::own_with(Kind::Postgres, &["--data-checksums"]).map(Arc::new) else { return };
    let dir = tempfile::tempdir().unwrap();
    let db = Db::new(&server, Kind::Postgres, "pages", THREE).await;
    let manifest = dir.path().join("m");
    db.capture(&manifest).await.unwrap();
    assert_eq!(ask(&db, "SHOW data_checksums").await, "on");
    db.run("CHECKPOINT").await;
    let file = server.data().join(ask(&db, "SELECT pg_relation_filepath('m')").await);
    server.stop();
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2 / 8192 * 8192 + 4000;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    server.start();
    let (result, findings) = db.compare(&manifest).await;
    only_m(&findings, &result, "invalid page in block", None);
    assert!(!findings[0].actual.as_deref().unwrap().starts_with("0 rows") && !findings[0].actual.as_deref().unwrap().starts_with("20000"));
    let error = db.capture(&dir.path().join("again")).await.unwrap_err();
    assert!(error.kind == FailureKind::Remote && error.message.contains("table m"), "{error}");
    assert!(!dir.path().join("again").exists(), "a manifest that knows less than it says is not written");
}

/// A length that makes no sense crashes the process that reads the row, and the server ends all others with it: it is back within the second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_at_which_the_server_crashes_makes_its_table_unreadable_and_no_other() {
    let Some(server) = servers::own(Kind::Postgres).map(Arc::new) else { return };
    let dir = tempfile::tempdir().unwrap();
    let db = Db::new(&server, Kind::Postgres, "crashes", THREE).await;
    let manifest = dir.path().join("m");
    db.capture(&manifest).await.unwrap();
    db.run("CHECKPOINT").await;
    let file = server.data().join(ask(&db, "SELECT pg_relation_filepath('m')").await);
    server.stop();
    let mut bytes = std::fs::read(&file).unwrap();
    let value = "10007".repeat(40);
    let at = bytes.windows(value.len()).position(|window| window == value.as_bytes()).unwrap();
    // The length of a value, in its first four bytes (PostgreSQL documentation, "TOAST").
    bytes[at - 4..at].copy_from_slice(&(900_000_000_u32 << 2).to_le_bytes());
    std::fs::write(&file, bytes).unwrap();
    server.start();
    let patient = Access { limits: Limits { comeback: Duration::from_secs(60), ..access().limits }, ..access() };
    let (result, findings) = db.compare_as(&patient, &manifest).await.unwrap();
    only_m(&findings, &result, "the server ends whenever rows after id=", None);
    assert_eq!(result.definitions.map(|counts| counts.unreadable), Some(0), "{result:?}");
    let error = db.capture_as(&patient, &dir.path().join("again")).await.unwrap_err();
    assert!(error.kind == FailureKind::Remote && error.message.contains("table m"), "{error}");
    assert_eq!(ask(&db, "SELECT count(*)::text FROM a").await, "1", "the server is up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_are_locked_dropped_emptied_or_altered_meanwhile() {
    let Some(server) = servers::shared(Kind::Postgres) else { return };
    let dir = tempfile::tempdir().unwrap();
    let db = Db::new(&server, Kind::Postgres, "meanwhile", THREE).await;
    let manifest = dir.path().join("m");
    db.capture(&manifest).await.unwrap();
    // Somebody holds a lock that excludes readers: the wait ends.
    let mut holder = PgConnection::connect(&server.full_url("meanwhile")).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE m IN ACCESS EXCLUSIVE MODE").execute(&mut holder).await.unwrap();
    let (result, findings) = db.compare(&manifest).await;
    only_m(&findings, &result, "lock timeout", Some(FailureKind::Busy));
    let error = db.capture(&dir.path().join("locked")).await.unwrap_err();
    assert_eq!((error.kind, error.kind.exit_code().code()), (FailureKind::Busy, 3), "{error}");
    assert!(!error.hint.unwrap().contains("drop the table"));
    holder.close().await.unwrap();
    // After the snapshot was taken and before the table is reached. Emptied and rewritten tables look empty to an old snapshot.
    for (change, said, undo) in [
        ("DROP TABLE m", "does not exist", "CREATE TABLE m (id int PRIMARY KEY, v text)"),
        ("TRUNCATE m", "rewritten or truncated", "SELECT 1"),
        ("ALTER TABLE m ALTER COLUMN id TYPE bigint", "rewritten or truncated", "ALTER TABLE m ALTER COLUMN id TYPE int"),
        ("ALTER TABLE m DROP COLUMN v", "does not exist", "ALTER TABLE m ADD COLUMN v text"),
        ("BEGIN; DROP TABLE m; CREATE TABLE m (id int PRIMARY KEY, v text); COMMIT", "another table was put in its place", "SELECT 1"),
    ] {
        db.run("TRUNCATE m; INSERT INTO m SELECT i, repeat(i::text, 40) FROM generate_series(1, 20000) i").await;
        assert_eq!(db.compare(&manifest).await.1, [], "before {change}");
        let monitor = Meanwhile::new(When::Begins("a"), || run_aside(&server, Kind::Postgres, "meanwhile", change));
        let result = db.compare_with(&access(), &manifest, &monitor).await;
        only_m(&monitor.seen.findings(), &result, said, Some(FailureKind::Busy));
        db.run(undo).await;
    }
    // Two tables that the snapshot shows change their names: neither is what its name says.
    db.run("TRUNCATE m; CREATE TABLE n (id int PRIMARY KEY, v text); INSERT INTO n VALUES (1, 'other')").await;
    let both = dir.path().join("both");
    db.capture(&both).await.unwrap();
    let swap = "BEGIN; ALTER TABLE m RENAME TO t; ALTER TABLE n RENAME TO m; ALTER TABLE t RENAME TO n; COMMIT";
    let monitor = Meanwhile::new(When::Begins("a"), || run_aside(&server, Kind::Postgres, "meanwhile", swap));
    let result = db.compare_with(&access(), &both, &monitor).await;
    assert_eq!(places(&monitor.seen.findings()), [(Class::Unreadable, "m".into()), (Class::Unreadable, "n".into())]);
    assert_eq!((result.outcome(0).0, result.tables.unwrap().matched), (Outcome::Inconclusive, 2));
}

/// A recovery empties unlogged tables and leaves no trace of it in transactions: what was read before and after is of two states.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recovery_that_empties_unlogged_tables_is_told() {
    let Some(server) = servers::own(Kind::Postgres).map(Arc::new) else { return };
    let dir = tempfile::tempdir().unwrap();
    let db = Db::new(&server, Kind::Postgres, "unlogged", THREE).await;
    let manifest = dir.path().join("logged");
    let crash = || {
        let postmaster = std::fs::read_to_string(server.data().join("postmaster.pid")).unwrap().lines().next().unwrap().to_owned();
        let children = std::fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children")).unwrap();
        let copies = |pid: &&str| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains("unlogged"));
        signal(children.split_whitespace().find(copies).unwrap(), "-KILL");
    };
    let patient = Access { limits: Limits { comeback: Duration::from_secs(60), ..access().limits }, ..access() };
    db.capture(&manifest).await.unwrap();
    let monitor = Meanwhile::new(When::FirstRows("m"), crash);
    let result = db.compare_with(&patient, &manifest, &monitor).await;
    assert_eq!((monitor.seen.findings(), result.outcome(0).0), (vec![], Outcome::Pass), "logged tables are what they were");
    db.run("CREATE UNLOGGED TABLE b (id int PRIMARY KEY); INSERT INTO b VALUES (1)").await;
    let manifest = dir.path().join("unlogged");
    db.capture(&manifest).await.unwrap();
    let monitor = Meanwhile::new(When::FirstRows("m"), crash);
    let result = db.compare_with(&patient, &manifest, &monitor).await;
    let said = result.cut_short.as_ref().unwrap();
    assert!(said.kind == FailureKind::Network && said.message.contains("empties tables that are unlogged"), "{said}");
    assert_eq!((monitor.seen.findings(), result.outcome(0).0), (vec![], Outcome::Inconclusive), "it had been read, and is empty now");
    assert_eq!(ask(&db, "SELECT count(*)::text FROM b").await, "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_statement_a_lost_session_and_a_silent_server() {
    let Some(server) = servers::own(Kind::Postgres).map(Arc::new) else { return };
    let dir = tempfile::tempdir().unwrap();
    let db = Db::new(&server, Kind::Postgres, "breaks", THREE).await;
    // Compressed where they lie: a range of few blocks is far more than a connection holds, so that its copying is under way for long.
    db.run("INSERT INTO m SELECT i, repeat(i::text, 600) FROM generate_series(20001, 50000) i").await;
    let manifest = dir.path().join("m");
    db.capture(&manifest).await.unwrap();
    let copying = "FROM pg_stat_activity WHERE query LIKE 'COPY%' AND state = 'active' AND datname = 'breaks'";
    // Cancelled by an administrator or a time limit of the role: the table is unreadable, the others are read.
    let act = || run_aside(&server, Kind::Postgres, "breaks", &format!("SELECT pg_cancel_backend(pid) {copying}"));
    let monitor = Meanwhile::new(When::FirstRows("m"), act);
    let result = db.compare_with(&access(), &manifest, &monitor).await;
    let findings = monitor.seen.findings();
    assert_eq!(places(&findings), [(Class::Unreadable, "m".into())]);
    assert!(findings[0].actual.as_deref().unwrap().contains("canceling statement"), "{findings:?}");
    assert_eq!((result.tables.unwrap().matched, result.outcome(0).0), (2, Outcome::Inconclusive));
    // A lane that loses its session reads its range again in a new one, in the same snapshot.
    let hit = format!("DO $$ BEGIN ASSERT (SELECT count(pg_terminate_backend(pid)) {copying}) > 0; END $$");
    let act = || run_aside(&server, Kind::Postgres, "breaks", &hit);
    let monitor = Meanwhile::new(When::FirstRows("m"), act);
    let result = db.compare_with(&access(), &manifest, &monitor).await;
    assert_eq!((monitor.seen.findings(), monitor.happened()), (vec![], true));
    assert_eq!(result.rows.unwrap().matched, 50_002);
    // A server that says nothing more: unreadable after the silence that is allowed, and the run ends.
    let pids = std::sync::Mutex::new(Vec::new());
    let stop = || {
        let processes = std::fs::read_to_string(server.data().join("postmaster.pid")).unwrap();
        let postmaster = processes.lines().next().unwrap().to_owned();
        let children = std::fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children")).unwrap_or_default();
        let mut stopped = pids.lock().unwrap();
        for pid in std::iter::once(postmaster.as_str()).chain(children.split_whitespace()) {
            signal(pid, "-STOP");
            stopped.push(pid.to_owned());
        }
    };
    let monitor = Meanwhile::new(When::Begins("m"), stop);
    let result = db.compare_with(&Access { limits: hasty(), ..access() }, &manifest, &monitor).await;
    pids.lock().unwrap().iter().for_each(|pid| signal(pid, "-CONT"));
    let findings = monitor.seen.findings();
    assert!(!findings.is_empty() && findings.iter().all(|finding| finding.class == Class::Unreadable), "{findings:?}");
    assert_eq!(result.outcome(0).0, Outcome::Inconclusive, "nothing was seen of the data, and nothing is said against it");
    assert_eq!((result.rows.unwrap().mismatch, result.rows.unwrap().missing), (0, 0));
    assert!(result.unread.contains_key(&FailureKind::Network), "{:?}", result.unread);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_that_is_missing_is_no_verdict_on_the_data() {
    let Some(server) = servers::shared(Kind::Postgres) else { return };
    let dir = tempfile::tempdir().unwrap();
    let db = Db::new(&server, Kind::Postgres, "denied", THREE).await;
    db.run(
        "CREATE ROLE limited LOGIN PASSWORD 'l'; GRANT SELECT ON a, z TO limited; \
         CREATE ROLE walled LOGIN PASSWORD 'w'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO walled; \
         CREATE POLICY p ON m USING (id > 5); ALTER TABLE m ENABLE ROW LEVEL SECURITY",
    )
    .await;
    let manifest = dir.path().join("m");
    db.capture(&manifest).await.unwrap();
    for (user, password, said) in [("limited", "l", "permission denied"), ("walled", "w", "row-level security")] {
        let (result, findings) = db.compare_as(&as_user(user, password), &manifest).await.unwrap();
        only_m(&findings, &result, said, Some(FailureKind::Denied));
        let error = db.capture_as(&as_user(user, password), &dir.path().join(user)).await.unwrap_err();
        assert_eq!((error.kind, error.kind.exit_code().code()), (FailureKind::Denied, 4), "{error}");
        assert!(error.message.contains("table m") && error.message.contains(said), "{error}");
        let hint = error.hint.unwrap();
        assert!(hint.contains("--show-grants") && !hint.contains("repair or drop"), "{hint}");
    }
    // A table that was dropped before anybody looked is missing, whoever looks.
    db.run("DROP TABLE m").await;
    let (result, findings) = db.compare_as(&as_user("limited", "l"), &manifest).await.unwrap();
    assert!(places(&findings).contains(&(Class::Missing, "m".into())), "{findings:?}");
    assert_eq!(result.outcome(0).0, Outcome::Fail);
}

/// Does something once so many rows have been read.
struct After<F: Fn() + Send + Sync> {
    rows: u64,
    read: AtomicU64,
    act: F,
    done: Once,
    notes: Mutex<Vec<String>>,
}

impl<F: Fn() + Send + Sync> Monitor for After<F> {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Advanced { by, .. } if self.read.fetch_add(by, Ordering::Relaxed) + by >= self.rows => {
                self.done.call_once(|| (self.act)())
            }
            Event::Note(text) => self.notes.lock().unwrap().push(text.to_owned()),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_lane_that_loses_its_session_late_reads_the_table_once_more() {
    let Some(server) = servers::own(Kind::Postgres).map(Arc::new) else { return };
    let dir = tempfile::tempdir().unwrap();
    let rows = 2 * HELD_BACK as u64;
    let sql =
        format!("CREATE TABLE m (v text, id int PRIMARY KEY); INSERT INTO m SELECT repeat('v', 120), i FROM generate_series(1, {rows}) i");
    let db = Db::new(&server, Kind::Postgres, "late", &sql).await;
    let manifest = dir.path().join("m");
    db.capture(&manifest).await.unwrap();
    let access = Access { limits: Limits { lanes: 1, ..access().limits }, ..access() };
    let undisturbed = db.compare_with(&access, &manifest, &Meanwhile::new(When::Begins("none"), || {})).await;
    assert_eq!((undisturbed.outcome(0).0, undisturbed.rows.unwrap().matched), (Outcome::Pass, rows), "lanes do not show");
    // More has been handed on than is held back: the rows that were read cannot be taken back one by one.
    let hit = "DO $$ BEGIN ASSERT (SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE query LIKE 'COPY%' AND state = 'active' AND datname = 'late') > 0; END $$";
    let act = || run_aside(&server, Kind::Postgres, "late", hit);
    let monitor = After { rows: rows / 2 + 20_000, read: AtomicU64::new(0), act, done: Once::new(), notes: Mutex::default() };
    let result = db.compare_with(&access, &manifest, &monitor).await;
    let notes = monitor.notes.lock().unwrap();
    assert!(monitor.done.is_completed() && notes.iter().any(|note| note.contains("the session that read it was lost")), "{notes:?}");
    assert_eq!((result.outcome(0).0, result.rows.unwrap().matched, result.rows.unwrap().extra), (Outcome::Pass, rows, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_ends_is_told_by_its_first_word_and_cuts_the_reading_short() {
    let Some(server) = servers::own(Kind::Postgres).map(Arc::new) else { return };
    let dir = tempfile::tempdir().unwrap();
    let db = Db::new(&server, Kind::Postgres, "ends", THREE).await;
    db.run("INSERT INTO m SELECT i, repeat(i::text, 40) FROM generate_series(20001, 120000) i").await;
    let manifest = dir.path().join("m");
    db.capture(&manifest).await.unwrap();
    // Every session is terminated, that which holds the snapshot too: no other can take it over.
    let all =
        "DO $$ BEGIN PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'ends' AND pid <> pg_backend_pid(); END $$";
    for at in [When::Begins("m"), When::FirstRows("m")] {
        let monitor = Meanwhile::new(at, || run_aside(&server, Kind::Postgres, "ends", all));
        let result = db.compare_with(&access(), &manifest, &monitor).await;
        let findings = monitor.seen.findings();
        assert_eq!(places(&findings), [(Class::Unreadable, "m".into())], "{findings:?}");
        let said = findings[0].actual.as_deref().unwrap();
        assert!(said.contains("terminating connection due to administrator command"), "{said}");
        assert!(!said.starts_with("invalid snapshot"), "{said}");
        let cut = result.cut_short.as_ref().unwrap();
        assert!(cut.kind == FailureKind::Network && cut.message.contains("the session that holds the snapshot is gone"), "{cut}");
        assert_eq!(
            (result.outcome(0).0, result.tables.unwrap().expected),
            (Outcome::Inconclusive, 3),
            "what is not reached stays expected"
        );
        assert_eq!(result.coverage_ppm(), 0);
    }
    // The same at capture: the network, and no advice to drop a table.
    let monitor = Meanwhile::new(When::FirstRows("m"), || server.kill());
    let request = attestore::verify::manifest::request::CaptureRequest::new(
        dir.path().join("again"),
        attestore::model::capture::CaptureMode::SnapshotExact,
    );
    let key = support::key();
    let error = attestore::verify::sql::capture::capture(&db.url(), &access(), &request, &key, None, &monitor).await.unwrap_err();
    assert_eq!((error.kind, error.kind.exit_code().code()), (FailureKind::Network, 5), "{error}");
    assert!(!error.hint.unwrap().contains("drop the table"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_sessions_are_no_verdict_on_the_data() {
    let Some(server) = servers::shared(Kind::Postgres) else { return };
    let dir = tempfile::tempdir().unwrap();
    let db = Db::new(&server, Kind::Postgres, "sessions", THREE).await;
    let one = "CREATE ROLE lonely LOGIN PASSWORD 'l' CONNECTION LIMIT 1; GRANT SELECT ON ALL TABLES IN SCHEMA public TO lonely; \
               CREATE ROLE nobody LOGIN PASSWORD 'n' CONNECTION LIMIT 0; CREATE ROLE pair LOGIN PASSWORD 'p' CONNECTION LIMIT 2; \
               GRANT SELECT ON ALL TABLES IN SCHEMA public TO pair";
    db.run(one).await;
    // After the grants, which are definitions like others.
    let manifest = dir.path().join("m");
    db.capture(&manifest).await.unwrap();
    let error = db.compare_as(&as_user("nobody", "n"), &manifest).await.unwrap_err();
    assert_eq!((error.kind, error.kind.exit_code().code()), (FailureKind::Throttled, 5), "{error}");
    // The session with the snapshot and no other reads itself.
    let (result, findings) = db.compare_as(&as_user("lonely", "l"), &manifest).await.unwrap();
    assert_eq!((findings, result.rows.unwrap().matched, result.outcome(0).0), (vec![], 20_002, Outcome::Pass));
    // With one more that one reads; lanes that cannot be had are done without.
    let (result, findings) = db.compare_as(&as_user("pair", "p"), &manifest).await.unwrap();
    assert_eq!((findings, result.rows.unwrap().matched), (vec![], 20_002));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_type_that_cannot_be_sent_and_text_that_is_no_text() {
    let Some(server) = servers::shared(Kind::Postgres) else { return };
    let dir = tempfile::tempdir().unwrap();
    let db = Db::new(&server, Kind::Postgres, "odd", "CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)").await;
    let manifest = dir.path().join("m");
    db.run("CREATE TABLE rights (x aclitem); INSERT INTO rights VALUES ('tester=r/tester')").await;
    let said = db.capture(&manifest).await.unwrap().position.unwrap()["opaque"].to_string();
    assert_eq!((said.as_str(), db.compare(&manifest).await.1), (r#"{"rights":["aclitem::text"]}"#, vec![]));
    db.run("UPDATE rights SET x = 'tester=w/tester'").await;
    let found = places(&db.compare(&manifest).await.1);
    assert!(matches!(&found[..], [(Class::Missing, _), (Class::Extra, _)]), "without a key a row names itself: {found:?}");
    std::fs::remove_dir_all(&manifest).unwrap();
    // A database without an encoding: bytes that are no UTF-8 are tagged, not refused and not replaced.
    support::run(&server, Kind::Postgres, "postgres", "CREATE DATABASE raw TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'").await;
    let raw = Db { server: server.clone(), kind: Kind::Postgres, name: "raw".into() };
    let value = |byte: &str| format!("INSERT INTO t VALUES (1, convert_from('\\x61{byte}'::bytea, 'SQL_ASCII'))");
    raw.run(&format!("CREATE TABLE t (id int PRIMARY KEY, v text); {}", value("ff"))).await;
    raw.capture(&manifest).await.unwrap();
    assert_eq!(raw.compare(&manifest).await.1, []);
    raw.run(&format!("DELETE FROM t; {}", value("fe"))).await;
    assert_eq!(places(&raw.compare(&manifest).await.1), [(Class::Mismatch, "t id=1".into())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_refuses_to_talk_is_told_apart() {
    let Some(server) = servers::shared(Kind::Postgres) else { return };
    let dir = tempfile::tempdir().unwrap();
    let db = Db::new(&server, Kind::Postgres, "talk", "CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)").await;
    let manifest = dir.path().join("m");
    db.capture(&manifest).await.unwrap();
    let compare = async |url: String, access: Access| {
        let manifest = attestore::verify::manifest::reader::Manifest::open(&manifest).unwrap();
        let url = url.parse().unwrap();
        attestore::verify::sql::compare::database::compare(&url, &access, &manifest, &support::key(), &attestore::monitor::Silent).await
    };
    // TLS that the server does not have, demanded by the URL or by a CA bundle: never in clear instead.
    let error = compare(format!("{}?sslmode=require", server.url("talk")), access()).await.unwrap_err();
    assert!(error.kind == FailureKind::Network && error.message.contains("TLS"), "{error}");
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n").unwrap();
    let error = compare(server.url("talk"), Access { tls_ca: Some(ca), ..access() }).await.unwrap_err();
    assert!(matches!(error.kind, FailureKind::Network | FailureKind::Invalid), "{error}");
    // Somebody who takes the connection and says nothing.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let hurried = Access { limits: hasty(), ..access() };
    let error = compare(format!("postgres://u@{}/d", mute.local_addr().unwrap()), hurried).await.unwrap_err();
    assert!(error.kind == FailureKind::Network && error.message.contains("no answer"), "{error}");
    // A server of long ago.
    let old = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = old.local_addr().unwrap();
    let speaking = std::thread::spawn(move || nine(old.accept().unwrap().0));
    let old = Access { limits: hasty(), ..Access::default() };
    let error = compare(format!("postgres://u@{address}/d?sslmode=disable"), old).await.unwrap_err();
    assert!(error.kind == FailureKind::Remote && error.message.contains("90624"), "{error}");
    speaking.join().unwrap();
}

/// As much of the protocol as it takes to be version 9.6.
fn nine(mut stream: std::net::TcpStream) {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let message = |kind: u8, body: &[u8]| [&[kind][..], &(body.len() as u32 + 4).to_be_bytes(), body].concat();
    let ready = message(b'Z', b"I");
    let mut head = [0; 4];
    stream.read_exact(&mut head).unwrap();
    let mut startup = vec![0; u32::from_be_bytes(head) as usize - 4];
    stream.read_exact(&mut startup).unwrap();
    stream.write_all(&[message(b'R', &[0; 4]), message(b'S', b"server_version\x009.6.24\0"), ready.clone()].concat()).unwrap();
    let mut kind = [0; 5];
    while stream.read_exact(&mut kind).is_ok() && kind[0] == b'Q' {
        let mut query = vec![0; u32::from_be_bytes(kind[1..].try_into().unwrap()) as usize - 4];
        stream.read_exact(&mut query).unwrap();
        let column =
            [&1u16.to_be_bytes()[..], b"v\0", &[0; 6], &25u32.to_be_bytes(), &(-1i16).to_be_bytes(), &(-1i32).to_be_bytes(), &[0; 2]]
                .concat();
        let row = [&1u16.to_be_bytes()[..], &5u32.to_be_bytes(), b"90624"].concat();
        stream.write_all(&[message(b'T', &column), message(b'D', &row), message(b'C', b"SHOW\0"), ready.clone()].concat()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written() {
    let Some(server) = servers::own(Kind::Postgres).map(Arc::new) else { return };
    let dir = tempfile::tempdir().unwrap();
    let db = Db::new(&server, Kind::Postgres, "quiet", THREE).await;
    // Hint bits and the first scan's pruning are the server's own and done before.
    db.run("VACUUM FREEZE").await;
    db.run("CHECKPOINT").await;
    let manifest = dir.path().join("m");
    let header = db.capture(&manifest).await.unwrap();
    let position = header.position.unwrap();
    assert_eq!(position["before"], position["after"], "the log did not move");
    assert_eq!(db.compare(&manifest).await.1, []);
    let written =
        ask(&db, "SELECT string_agg(relname || n_tup_ins + n_tup_upd + n_tup_del, ',' ORDER BY relname) FROM pg_stat_user_tables").await;
    assert_eq!(written, "a1,m20000,z1");
}

/// What is taken piece by piece may be of any length. What is read as a whole is held up to a limit: beyond it the table is not read, and
/// nothing is said against it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_is_too_long_to_be_held_is_no_verdict() {
    let Some(server) = servers::shared(Kind::Postgres) else { return };
    let dir = tempfile::tempdir().unwrap();
    let sql = "CREATE EXTENSION hstore; CREATE TABLE h (id int PRIMARY KEY, v hstore); INSERT INTO h VALUES (1, hstore('k', repeat('x', 104857600))); \
               CREATE TABLE many (id int PRIMARY KEY, v text[]); INSERT INTO many VALUES (1, ARRAY['short'])";
    let db = Db::new(&server, Kind::Postgres, "held", sql).await;
    let out = dir.path().join("m");
    let peak = peak_of_capture(&server.url("held"), &out);
    assert!(peak < 120 * 1024, "a value of 100 MiB took {peak} KiB");
    db.run("UPDATE many SET v = ARRAY[repeat('x', 70000000)]").await;
    let patient = Access { limits: Limits::default(), ..access() };
    let (result, findings) = db.compare_as(&patient, &out).await.unwrap();
    assert_eq!(places(&findings), [(Class::Unreadable, "many".into())], "{findings:?}");
    assert!(findings[0].actual.as_deref().unwrap().contains("column v: a value of 700000"), "{findings:?}");
    assert_eq!((result.unread.get(&FailureKind::TooLarge), result.outcome(0).0), (Some(&1), Outcome::Inconclusive));
    let refused = db.capture_as(&patient, &dir.path().join("refused")).await.unwrap_err();
    assert_eq!((refused.kind, refused.kind.exit_code().code()), (FailureKind::TooLarge, 3), "{refused}");
    assert!(refused.hint.unwrap().contains("nothing is wrong with it"));
    db.run("DROP TABLE h, many").await;
}
