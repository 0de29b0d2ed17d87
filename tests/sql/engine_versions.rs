//! One data set in two versions of an engine: the same vectors, the same roots, and a manifest of one compared with the other.
//!
//! The older version is the one that is installed; the newer one is laid beside it (`tests/foreign/engines.sh`).

use std::path::Path;
use std::sync::{Arc, Mutex};

use attestore::model::capture::CaptureMode;
use attestore::model::finding::{Class, Finding};
use attestore::model::verification::Verification;
use attestore::monitor::{Collected, Event, Monitor, Silent};
use attestore::verify::manifest::header::Header;
use attestore::verify::manifest::request::CaptureRequest;
use attestore::verify::sql::capture::capture;
use attestore::verify::sql::compare::dual::{self, Side};

use crate::definitions::mysql_family::MARIADB;
use crate::definitions::postgres::POSTGRES;
use crate::engine_values::hold_on;
use crate::mysql::ALL_TYPES;
use crate::servers::{self, Kind, Server};
use crate::support::{Db, POSTGRES_TYPES, access, key, places};

/// Findings, and whether it was said that versions differ.
#[derive(Default)]
struct Heard {
    findings: Collected,
    versions: Mutex<Vec<String>>,
}

impl Monitor for Heard {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Note(said) if said.contains("compared with") => self.versions.lock().unwrap().push(said.to_owned()),
            other => self.findings.event(other),
        }
    }
}

/// A server of the version that is installed, and one of a newer version.
struct Two {
    kind: Kind,
    older: Arc<Server>,
    newer: Arc<Server>,
}

impl Two {
    fn begun(kind: Kind) -> Option<Self> {
        let (older, newer) = (servers::shared(kind)?, Arc::new(servers::newer(kind)?));
        assert!(older.version() <= newer.version(), "{:?} {:?}", older.version(), newer.version());
        Some(Self { kind, older, newer })
    }

    /// The same statements on both; what is found between the two by a manifest of either and by both live databases, each time alike, and
    /// where nothing is found the roots are the same. Gives it with the number of rows, all of which are equal.
    async fn compared(&self, name: &str, sql: &str) -> (Vec<(Class, String)>, u64) {
        let dir = tempfile::tempdir().unwrap();
        let one = Db::new(&self.older, self.kind, name, sql).await;
        let other = Db::new(&self.newer, self.kind, name, sql).await;
        let (first, second) = (dir.path().join("one"), dir.path().join("other"));
        let (before, after) = (captured(&one, &first).await, captured(&other, &second).await);
        let (found, result) = self.found(&other, &first).await;
        assert_eq!(result.rows.unwrap().matched, before.counts["rows"], "{found:?}");
        assert_eq!(self.found(&one, &second).await.0, found);
        assert_eq!((before.counts["tables"], before.root), (after.counts["tables"], after.root), "{found:?}");
        let (heard, access) = (Heard::default(), access());
        let (checked, baseline) = (other.url(), one.url());
        let side = |url| Side { url, access: &access };
        dual::against(side(&checked), side(&baseline), &key(), None, &heard).await.unwrap();
        assert_eq!(self.told(&heard), found);
        (found, before.counts["rows"])
    }

    async fn found(&self, db: &Db, manifest: &Path) -> (Vec<(Class, String)>, Verification) {
        let heard = Heard::default();
        let result = db.compare_with(&access(), manifest, &heard).await;
        (self.told(&heard), result)
    }

    fn told(&self, heard: &Heard) -> Vec<(Class, String)> {
        let numbers = if self.kind == Kind::Postgres { 1 } else { 2 };
        let differs = self.older.version()[..numbers] != self.newer.version()[..numbers];
        assert_eq!(heard.versions.lock().unwrap().len(), usize::from(differs), "{:?}", heard.versions);
        let findings: Vec<Finding> = heard.findings.findings();
        places(&findings)
    }
}

async fn captured(db: &Db, out: &Path) -> Header {
    capture(&db.url(), &access(), &CaptureRequest::new(out, CaptureMode::FirstRestore), &key(), None, &Silent).await.unwrap()
}

async fn differences(db: &Db, manifest: &Path) -> Vec<(Class, String)> {
    places(&db.compare(manifest).await.1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_versions_of_postgresql_are_one() {
    let Some(two) = Two::begun(Kind::Postgres) else { return };
    Box::pin(hold_on(&two.newer, Kind::Postgres)).await;
    assert_eq!(Box::pin(two.compared("versions_rows", POSTGRES_TYPES)).await, (vec![], 4));
    let (found, _) = Box::pin(two.compared("versions_defined", &POSTGRES.replace("definitions_", "versions_"))).await;
    // Columns of views are printed with their table until 15.
    let views = ["view public.mv", "view public.vo", "view public.vv"].map(|view| (Class::SchemaChanged, view.to_owned()));
    let printed_otherwise = two.older.version()[0] < 16 && two.newer.version()[0] >= 16;
    assert_eq!(found, if printed_otherwise { views.to_vec() } else { vec![] });
    if two.newer.version()[0] >= 18 {
        Box::pin(since_18(&two.newer)).await;
    }
}

/// Columns that are computed when they are read, and rows that nobody has checked for NULL.
async fn since_18(server: &Arc<Server>) {
    let table = "CREATE TABLE n (id int PRIMARY KEY, a int, v int GENERATED ALWAYS AS (a * 2)); INSERT INTO n VALUES (1, 1); ALTER TABLE n ADD CONSTRAINT filled NOT NULL a";
    let checked = Db::new(server, Kind::Postgres, "checked", table).await;
    let unchecked = Db::new(server, Kind::Postgres, "unchecked", &format!("{table} NOT VALID")).await;
    let dir = tempfile::tempdir().unwrap();
    let (whole, later) = (dir.path().join("whole"), dir.path().join("later"));
    let header = captured(&checked, &whole).await;
    assert_eq!(header.position.unwrap()["tables"]["n"]["left_out"][0], "v: virtual generated column");
    captured(&unchecked, &later).await;
    assert_eq!(differences(&unchecked, &later).await, []);
    assert_eq!(differences(&unchecked, &whole).await, [(Class::SchemaChanged, "unvalidated not null public.n.a".to_owned())]);
    unchecked.run("ALTER TABLE n VALIDATE CONSTRAINT filled").await;
    assert_eq!(differences(&unchecked, &whole).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_versions_of_mariadb_are_one() {
    let Some(two) = Two::begun(Kind::Mariadb) else { return };
    Box::pin(hold_on(&two.newer, Kind::Mariadb)).await;
    // What a version takes where nothing is said: a collation, and how an address of the one kind becomes one of the other.
    let said = |sql: &str| {
        let sql = sql.replace("'10.0.0.1'", "'::ffff:10.0.0.1'");
        format!("SET NAMES utf8mb4 COLLATE utf8mb4_general_ci; ALTER DATABASE CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci; {sql}")
    };
    assert_eq!(Box::pin(two.compared("versions_rows", &said(ALL_TYPES))).await, (vec![], 4));
    assert_eq!(Box::pin(two.compared("versions_defined", &said(MARIADB))).await, (vec![], 3));
    // A row that is valid ends at the end of time, which is another one from 11.5 on.
    let versioned = "SET timestamp = 1767225600; CREATE TABLE plain (id INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING; INSERT INTO plain VALUES (1, 1), (2, 2); \
         CREATE TABLE named (id INT PRIMARY KEY, v INT, since TIMESTAMP(6) GENERATED ALWAYS AS ROW START, until TIMESTAMP(6) GENERATED ALWAYS AS ROW END, \
          PERIOD FOR SYSTEM_TIME (since, until)) WITH SYSTEM VERSIONING; INSERT INTO named (id, v) VALUES (1, 1); \
         SET timestamp = 1767225601; UPDATE plain SET v = 9 WHERE id = 1; DELETE FROM plain WHERE id = 2; UPDATE named SET v = 2";
    assert_eq!(Box::pin(two.compared("versions_of_rows", &said(versioned))).await, (vec![], 1 + 3 + 1 + 2), "of today and of all times");
}
