//! What a SQLite database defines: every change is found and named.

use std::path::Path;

use crate::definitions::support::{against_database, against_manifest, unlike};
use crate::support::{access, key};
use attestore::model::capture::CaptureMode;
use attestore::model::source_url::SourceUrl;
use attestore::monitor::Silent;
use attestore::verify::manifest::request::CaptureRequest;
use attestore::verify::sql::capture::capture;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

const SQLITE: &str = "
CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT DEFAULT 'x' CHECK (a <> ''), b TEXT COLLATE NOCASE, g INT AS (id * 2) STORED);
INSERT INTO t (a) VALUES ('one'), ('two'); DELETE FROM t WHERE id = 2;
CREATE VIEW v AS SELECT a FROM t; CREATE INDEX i ON t (a); PRAGMA user_version = 7; PRAGMA application_id = 9;
";

const SQLITE_CHANGES: &[(&str, &[&str])] = &[
    ("UPDATE sqlite_sequence SET seq = 1", &["sequence position t"]),
    ("UPDATE sqlite_sequence SET seq = 9", &[]),
    ("DELETE FROM sqlite_sequence", &["sequence position t"]),
    ("DELETE FROM sqlite_sequence; DROP TABLE t", &["t", "index i"]),
    ("PRAGMA user_version = 8", &["pragma user_version"]),
    ("PRAGMA application_id = 8", &["pragma application_id"]),
    ("DROP VIEW v", &["view v"]),
    ("DROP INDEX i; CREATE INDEX i ON t (a DESC)", &["index i"]),
    ("PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, 'NOCASE', 'RTRIM') WHERE name = 't'", &["table t"]),
    ("PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, '''x''', '''y''') WHERE name = 't'", &["table t"]),
    ("PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, 'CHECK (a <> '''')', '') WHERE name = 't'", &["table t"]),
];

async fn sqlite(path: &Path, sql: &str) -> SourceUrl {
    let mut connection = SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    connection.close().await.unwrap();
    SourceUrl::Sqlite { path: path.to_owned() }
}

#[tokio::test]
async fn every_definition_of_sqlite_counts() {
    let dir = tempfile::tempdir().unwrap();
    let (file, manifest) = (dir.path().join("before.db"), dir.path().join("m"));
    let before = sqlite(&file, SQLITE).await;
    capture(&before, &access(), &CaptureRequest::new(&manifest, CaptureMode::Sealed), &key(), None, &Silent).await.unwrap();
    let mut wrong: Vec<String> = Vec::new();
    for (at, (statement, expected)) in SQLITE_CHANGES.iter().enumerate() {
        let copy = dir.path().join(format!("{at}.db"));
        std::fs::copy(&file, &copy).unwrap();
        let changed = sqlite(&copy, statement).await;
        wrong.extend(unlike(&against_manifest(&changed, &manifest).await, expected, statement));
        wrong.extend(unlike(&against_database(&changed, &before).await, expected, statement));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
