//! Readings that did not come to their end, or had one session only: what stays expected, what was really read, and what is said of a
//! server that is gone.

use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;

use crate::servers::{self, Kind};
use crate::support::{self, Db, Meanwhile, POSTGRES_TYPES, When, access, as_user, places, run_aside};
use attestore::model::capture::CaptureMode;
use attestore::model::clock::Timestamp;
use attestore::model::coverage::coverage_ppm;
use attestore::model::failure::FailureKind;
use attestore::model::finding::Class;
use attestore::model::outcome::Outcome;
use attestore::model::source_url::SourceUrl;
use attestore::model::verification::Verification;
use attestore::monitor::{Event, Monitor, Silent};
use attestore::verify::manifest::header::Header;
use attestore::verify::manifest::reader::Manifest;
use attestore::verify::sql::compare::database::{Restored, compare_restored};
use attestore::verify::sql::connect::access::Access;

/// Three tables; what belongs to the one in the middle, and what to none of them.
fn three(kind: Kind) -> String {
    let rows = match kind {
        Kind::Postgres => "INSERT INTO m SELECT i, repeat(i::text, 40) FROM generate_series(1, 120000) i",
        Kind::Mariadb | Kind::Mysql => "INSERT INTO m SELECT seq, REPEAT(seq, 40) FROM seq_1_to_120000",
    };
    format!(
        "CREATE TABLE a (id INT PRIMARY KEY); INSERT INTO a VALUES (1); CREATE TABLE m (id INT PRIMARY KEY, v TEXT, CHECK (id > 0)); \
         CREATE INDEX of_m ON m (id); {rows}; CREATE TABLE z (id INT PRIMARY KEY); INSERT INTO z VALUES (1); CREATE VIEW w AS SELECT id FROM a"
    )
}

/// How many definitions a manifest holds.
fn defined(header: &Header) -> u64 {
    let kinds = header.position.as_ref().unwrap()["definitions"].as_object().unwrap();
    // The reader has all rights, and none of its own among the definitions.
    kinds.iter().filter(|(kind, _)| *kind != "not shown").filter_map(|(_, names)| names.as_object()).map(|names| names.len() as u64).sum()
}

/// Whatever became of it, as much is expected as the manifest holds, and coverage is what the one rule makes of the counts.
fn expects_all(result: &Verification, header: &Header) {
    let expected = |kind: &str| result.counts().find(|(name, _)| *name == kind).map(|(_, counts)| counts.expected);
    assert_eq!(expected("tables"), Some(header.counts["tables"]));
    assert_eq!(expected("rows"), Some(header.counts["rows"]));
    assert_eq!(expected("definitions"), Some(defined(header)), "{:?}", result.definitions);
    assert!(result.counts().all(|(_, counts)| counts.adds_up()));
    assert_eq!(result.coverage_ppm(), coverage_ppm(result.counts(), result.not_read(), result.cut_short.is_some()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_ends_in_the_middle_leaves_what_was_expected_as_it_was() {
    for kind in [Kind::Postgres, Kind::Mariadb] {
        let Some(server) = servers::own(kind).map(Arc::new) else { continue };
        let dir = tempfile::tempdir().unwrap();
        let db = Db::new(&server, kind, "dies", &three(kind)).await;
        let manifest = dir.path().join("m");
        let header = db.capture(&manifest).await.unwrap();
        assert!(defined(&header) > 5, "{:?}", header.position);
        let (whole, _) = db.compare(&manifest).await;
        expects_all(&whole, &header);
        assert_eq!((whole.coverage_ppm(), whole.outcome(0).0), (1_000_000, Outcome::Pass));
        assert_eq!(whole.really_read(), [("definitions", defined(&header)), ("rows", 120_002), ("tables", 3)].into());
        let monitor = Meanwhile::new(When::FirstRows("m"), || server.stop());
        let result = db.compare_with(&access(), &manifest, &monitor).await;
        expects_all(&result, &header);
        let definitions = result.definitions.unwrap();
        assert_eq!((definitions.unreadable, result.unread_definitions, definitions.matched), (defined(&header), defined(&header), 0));
        assert_eq!((result.tables.unwrap().matched, result.tables.unwrap().unreadable), (1, 2));
        assert_eq!(result.coverage_ppm(), 0, "not one definition");
        let (outcome, reasons) = result.outcome(0);
        assert_eq!(outcome, Outcome::Inconclusive, "{reasons:?}");
        assert!(reasons.contains(&format!("definitions: {} not read", defined(&header))), "{reasons:?}");
        let read = result.really_read();
        assert!(read["tables"] == 1 && read["rows"] < 120_002 && read["definitions"] == 0, "{read:?}");
        // Where it was, that it is no more, and since when.
        let at = format!("nothing listens on 127.0.0.1:{} any more; it last answered at 20", server.port());
        let cut = result.cut_short.unwrap();
        assert!(cut.kind == FailureKind::Network && cut.message.contains(&at) && cut.hint.as_ref().unwrap().contains("--state"), "{cut}");
        assert!(kind == Kind::Postgres || cut.message.ends_with("it went away while the table m was read"), "{cut}");
        // Who comes later is told that it never answered.
        let error = db.compare_as(&access(), &manifest).await.unwrap_err();
        let at = format!("nothing listens on 127.0.0.1:{}; it has not answered in this run", server.port());
        assert!(error.kind == FailureKind::Network && error.message.contains(&at), "{error}");
        let pack = attestore::verify::sql::checks::pack::Pack::load("baseline").unwrap();
        let error = attestore::verify::sql::checks::runner::run(&db.url(), &access(), &[pack], &Default::default(), &Silent).await;
        assert!(error.unwrap_err().message.contains(&at));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_belongs_to_a_table_that_was_dropped_meanwhile_stays_expected() {
    for kind in [Kind::Postgres, Kind::Mariadb] {
        let Some(server) = servers::shared(kind) else { continue };
        let dir = tempfile::tempdir().unwrap();
        let db = Db::new(&server, kind, "dropped", &three(kind)).await;
        let manifest = dir.path().join("m");
        let header = db.capture(&manifest).await.unwrap();
        let monitor = Meanwhile::new(When::Begins("a"), || run_aside(&server, kind, "dropped", "DROP TABLE m"));
        let result = db.compare_with(&access(), &manifest, &monitor).await;
        assert_eq!(places(&monitor.seen.findings()), [(Class::Unreadable, "m".into())]);
        expects_all(&result, &header);
        let definitions = result.definitions.unwrap();
        // PostgreSQL's snapshot still shows what its catalogues hold, and only what the server prints of an object is gone.
        let least = if kind == Kind::Postgres { 1 } else { 3 };
        assert!(definitions.unreadable >= least && definitions.unreadable == result.unread_definitions, "{definitions:?}");
        assert_eq!((definitions.missing, definitions.mismatch), (0, 0), "{definitions:?}");
        assert_eq!((result.outcome(0).0, result.cut_short.is_none()), (Outcome::Inconclusive, true));
        assert_eq!(result.coverage_ppm(), 2 * 1_000_000 / 120_002, "2 rows of 120,002");
        // Gone before anybody looked, it is missing with all that belongs to it.
        let (result, _) = db.compare(&manifest).await;
        expects_all(&result, &header);
        let gone = result.definitions.unwrap();
        assert!(gone.missing >= definitions.unreadable && gone.missing > 2, "{gone:?} {definitions:?}");
        assert_eq!((gone.unreadable, result.coverage_ppm()), (0, 1_000_000), "{gone:?}");
    }
}

/// The comparison of a database of another moment, in which whatever differs may have changed in between.
async fn of_another_moment(url: &SourceUrl, access: &Access, manifest: &Path) -> Verification {
    let restored =
        Restored { at: Some(Timestamp::now()), mode: Some(CaptureMode::PositionBounded), of_another_moment: true, ..Restored::default() };
    let manifest = Manifest::open(manifest).unwrap();
    compare_restored(url, access, &manifest, &support::key(), restored, &Silent).await.unwrap()
}

/// Nothing was read of it, and however much may be undecided, nothing is proved.
fn nothing_read(result: &Verification, tables: u64) {
    let read = result.really_read();
    assert_eq!((read["tables"], read["rows"]), (tables, 0), "{:?}", result.rows);
    assert_ne!(result.outcome(1_000_000).0, Outcome::Pass, "{:?}", result.outcome(1_000_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_database_that_was_emptied_nothing_was_read_in_any_engine() {
    let dir = tempfile::tempdir().unwrap();
    let two = "CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 1), (2, 2), (3, 3); CREATE TABLE u (id INT PRIMARY KEY); INSERT INTO u VALUES (1)";
    let (emptied, gone) = ("DELETE FROM t; DELETE FROM u", "DROP TABLE t; DROP TABLE u");
    for kind in [Kind::Postgres, Kind::Mariadb] {
        let Some(server) = servers::shared(kind) else { continue };
        let db = Db::new(&server, kind, "emptied", two).await;
        let manifest = dir.path().join(format!("{kind:?}"));
        db.capture(&manifest).await.unwrap();
        for (statement, tables) in [(emptied, 2), (gone, 0)] {
            db.run(statement).await;
            let (result, findings) = db.compare(&manifest).await;
            nothing_read(&result, tables);
            assert_eq!((result.outcome(0).0, result.rows.unwrap().missing), (Outcome::Fail, 4), "{findings:?}");
            nothing_read(&of_another_moment(&db.url(), &access(), &manifest).await, tables);
        }
    }
    let file = dir.path().join("app.db");
    let run = |sql: &str| rusqlite::Connection::open(&file).unwrap().execute_batch(sql).unwrap();
    run(two);
    let url = SourceUrl::Sqlite { path: file.clone() };
    let request = attestore::verify::manifest::request::CaptureRequest::new(dir.path().join("lite"), CaptureMode::Sealed);
    attestore::verify::sql::capture::capture(&url, &Access::default(), &request, &support::key(), None, &Silent).await.unwrap();
    for (change, tables) in [(Some(emptied), 2), (Some(gone), 0), (None, 0)] {
        match change {
            Some(statement) => run(statement),
            None => std::fs::write(&file, b"").unwrap(),
        }
        let notes = Notes::default();
        let manifest = Manifest::open(&request.out).unwrap();
        let exact = compare_restored(&url, &Access::default(), &manifest, &support::key(), Restored::default(), &notes).await.unwrap();
        nothing_read(&exact, tables);
        assert_eq!((exact.outcome(0).0, exact.rows.unwrap().missing, exact.rows.unwrap().checked), (Outcome::Fail, 4, 0));
        let bare = notes.said("the file is empty (0 bytes): of the 2 tables that are expected none was read");
        assert_eq!((bare, notes.said("none was read")), (change.is_none(), tables == 0));
        nothing_read(&of_another_moment(&url, &Access::default(), &request.out).await, tables);
    }
    // What is no database at all is unreadable with all that it should have defined, and is decided.
    std::fs::write(&file, b"no database").unwrap();
    let broken = of_another_moment(&url, &Access::default(), &request.out).await;
    nothing_read(&broken, 0);
    let definitions = broken.definitions.unwrap();
    assert!(definitions.unreadable > 0 && definitions.unreadable == definitions.expected, "{definitions:?}");
    assert_eq!((broken.outcome(0).0, broken.coverage_ppm()), (Outcome::Fail, 1_000_000));
}

#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Notes {
    fn said(&self, part: &str) -> bool {
        self.0.lock().unwrap().iter().any(|note| note.contains(part))
    }
}

impl Monitor for Notes {
    fn event(&self, event: Event<'_>) {
        if let Event::Note(said) = event {
            self.0.lock().unwrap().push(said.to_owned());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_session_of_postgres_is_enough_and_gives_the_same_fingerprints() {
    // Of its own: what others commit meanwhile is told, and is not what is asked here.
    let Some(server) = servers::own(Kind::Postgres).map(Arc::new) else { return };
    let dir = tempfile::tempdir().unwrap();
    let more = "CREATE TABLE big (id int PRIMARY KEY, v text, b bytea); \
                INSERT INTO big SELECT i, repeat(i::text, 30), decode(md5(i::text), 'hex') FROM generate_series(1, 9000) i; \
                INSERT INTO big VALUES (0, repeat('x', 3000000), NULL); CREATE TABLE bare (); INSERT INTO bare DEFAULT VALUES; \
                CREATE TABLE withheld (id int PRIMARY KEY); INSERT INTO withheld VALUES (1); \
                CREATE ROLE lone LOGIN PASSWORD 's' CONNECTION LIMIT 1; GRANT SELECT ON ALL TABLES IN SCHEMA public TO lone";
    let db = Db::new(&server, Kind::Postgres, "single", &format!("{POSTGRES_TYPES}; {more}")).await;
    let (many, one) = (dir.path().join("many"), dir.path().join("one"));
    let single = as_user("lone", "s");
    let (of_many, of_one) = (db.capture(&many).await.unwrap(), db.capture_as(&single, &one).await.unwrap());
    let rows = of_many.counts["rows"];
    assert!(rows > 9_000);
    assert_eq!((of_one.root, of_one.counts), (of_many.root, of_many.counts), "the same rows, digest by digest");
    let position = of_one.position.unwrap();
    assert_eq!(position["before"]["snapshot"], position["after"]["snapshot"], "that nothing was committed is told in one session too");
    let notes = Notes::default();
    let result = db.compare_with(&single, &many, &notes).await;
    assert_eq!((result.outcome(0), result.rows.unwrap().matched), ((Outcome::Pass, vec![]), rows));
    assert!(notes.said("tables are read in the session that holds the snapshot"));
    // A row that differs is named by a second pass, and a table that is withheld costs the others nothing.
    db.run("UPDATE big SET v = 'other' WHERE id = 5; REVOKE SELECT ON all_types FROM lone").await;
    let (result, findings) = db.compare_as(&single, &many).await.unwrap();
    let found = places(&findings);
    assert!(found.contains(&(Class::Mismatch, "big id=5".into())) && found.contains(&(Class::Unreadable, "all_types".into())), "{found:?}");
    let denied = findings.iter().find(|finding| finding.class == Class::Unreadable).unwrap();
    assert!(denied.actual.as_ref().unwrap().contains("permission denied"), "{denied:?}");
    assert_eq!(result.unread, [(FailureKind::Denied, 1)].into());
    // Somebody else holds the only one.
    let url = server.url("single").replace("tester@", "lone:s@");
    let holder = <sqlx::PgConnection as sqlx::Connection>::connect(&url).await.unwrap();
    let error = db.compare_as(&single, &many).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Throttled, "{error}");
    let hint = error.hint.unwrap();
    assert!(hint.contains("one session at the least") && hint.contains("--lanes 1"), "{hint}");
    sqlx::Connection::close(holder).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_session_of_mariadb_is_enough() {
    let Some(server) = servers::own(Kind::Mariadb).map(Arc::new) else { return };
    let dir = tempfile::tempdir().unwrap();
    let db = Db::new(&server, Kind::Mariadb, "single", &three(Kind::Mariadb)).await;
    // More than one range, so that a second session is asked for.
    db.run("INSERT INTO m SELECT seq, 'x' FROM seq_120001_to_260000").await;
    db.run("ANALYZE TABLE m; CREATE USER single IDENTIFIED BY 's' WITH MAX_USER_CONNECTIONS 1; GRANT SELECT, SHOW VIEW ON single.* TO single; GRANT PROCESS ON *.* TO single")
        .await;
    support::until_quiet(&server).await;
    let (many, one) = (dir.path().join("many"), dir.path().join("one"));
    let single = as_user("single", "s");
    let (of_many, of_one) = (db.capture(&many).await.unwrap(), db.capture_as(&single, &one).await.unwrap());
    assert_eq!((of_one.root, of_one.counts), (of_many.root, of_many.counts));
    let notes = Notes::default();
    let result = db.compare_with(&single, &one, &notes).await;
    assert_eq!((result.rows.unwrap().matched, result.outcome(0).0), (260_002, Outcome::PassWithException), "{:?}", result.outcome(0).1);
    assert!(notes.said("tables are read in 1 session instead of 2"), "{:?}", notes.0);
    db.run("UPDATE m SET v = 'other' WHERE id = 5").await;
    assert_eq!(places(&db.compare_as(&single, &one).await.unwrap().1), [(Class::Mismatch, "m id=5".into())]);
}
