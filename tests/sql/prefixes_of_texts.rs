//! Prefixes that end at a text: by its bytes, in whatever encoding the database is.

use crate::prefixes::{captured, compared, prefix, sqlite};
use crate::servers::{self, Kind};
use crate::support::{Db, access, key, run};
use attestore::model::capture::CaptureMode;
use attestore::model::failure::FailureKind;
use attestore::model::finding::Class;
use attestore::monitor::Silent;
use attestore::verify::manifest::reader::Manifest;
use attestore::verify::manifest::request::TableRequest;
use attestore::verify::sql::compare::database::compare;
use attestore::verify::sql::database::Database;
use attestore::verify::sql::watermark::Watermark;
use serde_json::{Value, json};

/// A database without an encoding takes later texts that are no UTF-8, and a prefix of others ends where it ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prefix_by_texts_ends_in_a_database_without_an_encoding() {
    let Some(server) = servers::shared(Kind::Postgres) else { return };
    let dir = tempfile::tempdir().unwrap();
    run(&server, Kind::Postgres, "postgres", "CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'").await;
    let db = Db { server, kind: Kind::Postgres, name: "ascii".into() };
    db.run("CREATE TABLE t (id int PRIMARY KEY, at text); INSERT INTO t SELECT g, lpad(g::text, 4, '0') FROM generate_series(1, 5) g")
        .await;
    let (url, manifest) = (db.url(), dir.path().join("m"));
    let tables = TableRequest { watermark: Some("at".into()), ..TableRequest::default() };
    captured(&url, manifest.clone(), CaptureMode::AppendPrefix, tables).await.unwrap();
    db.run("INSERT INTO t VALUES (6, E'zz\\xff')").await;
    let (result, findings) = compared(&url, &manifest).await;
    assert_eq!((findings, result.rows.unwrap().matched), (vec![], 5));
}

/// An encoding with characters that UTF-8 lacks orders texts by its own bytes: later ones that cannot be converted are no part of a prefix.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prefix_by_texts_ends_where_later_ones_are_not_in_utf8() {
    let Some(server) = servers::shared(Kind::Postgres) else { return };
    let dir = tempfile::tempdir().unwrap();
    let rows = "CREATE TABLE t (id int PRIMARY KEY, at text); INSERT INTO t SELECT g, lpad(g::text, 4, '0') FROM generate_series(1, 5) g";
    let made = async |name: &str, encoding: &str| {
        let made = format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'");
        run(&server, Kind::Postgres, "postgres", &made).await;
        run(&server, Kind::Postgres, name, rows).await;
        Db { server: server.clone(), kind: Kind::Postgres, name: name.into() }
    };
    let (in_utf8, in_latin1) = (made("texts_in_utf8", "UTF8").await, made("texts_in_latin1", "LATIN1").await);
    for (encoding, last, later) in [("WIN1252", "'é'", "ff81"), ("EUC_JP", "'あ'", "f5a1"), ("LATIN3", "'ĉ'", "ffa5")] {
        let db = made(&format!("texts_in_{}", encoding.to_lowercase()), encoding).await;
        // Digits end it alike in all encodings.
        for (end, kept) in [("at", 5), ("at=0003", 3)] {
            let manifest = dir.path().join(format!("{encoding}{kept}"));
            assert_eq!(prefix(&db.url(), &manifest, end, false).await.unwrap().counts["rows"], kept, "{encoding}");
            for other in [&in_utf8, &in_latin1] {
                assert_eq!(compared(&other.url(), &manifest).await.1, [], "{encoding}");
            }
        }
        db.run(&format!("INSERT INTO t VALUES (6, {last})")).await;
        let manifest = dir.path().join(format!("{encoding}6"));
        let header = prefix(&db.url(), &manifest, "at", false).await.unwrap();
        let form = &header.position.unwrap()["scope"]["watermark"]["forms"]["t"];
        assert_eq!((header.counts["rows"], form), (6, &format!("text in {encoding}").into()));
        in_utf8.run(&format!("INSERT INTO t VALUES (6, {last})")).await;
        let by_meaning = dir.path().join(format!("{encoding}-meaning"));
        prefix(&db.url(), &by_meaning, "at", true).await.unwrap();
        for manifest in [&manifest, &by_meaning] {
            assert_eq!(compared(&in_utf8.url(), manifest).await.1, [], "{encoding}");
        }
        in_utf8.run("DELETE FROM t WHERE id = 6").await;
        let refused = compare(&in_latin1.url(), &access(), &Manifest::open(&manifest).unwrap(), &key(), &Silent).await.unwrap_err();
        assert!(refused.kind == FailureKind::Invalid && refused.message.contains(encoding), "{refused}");

        db.run(&format!("INSERT INTO t VALUES (7, convert_from('\\x{later}'::bytea, '{encoding}'))")).await;
        for kept in [6, 5, 3] {
            let (result, findings) = compared(&db.url(), &dir.path().join(format!("{encoding}{kept}"))).await;
            assert_eq!((findings, result.rows.unwrap().matched), (vec![], kept), "{encoding}");
        }
        db.run("UPDATE t SET at = '0002x' WHERE id = 3").await;
        let (_, findings) = compared(&db.url(), &dir.path().join(format!("{encoding}5"))).await;
        assert!(!findings.is_empty() && findings.iter().all(|finding| finding.class != Class::Unreadable), "{findings:?}");
    }
    // What UTF-8 has goes into such a database and is compared there.
    let manifest = dir.path().join("from_utf8");
    in_utf8.run("INSERT INTO t VALUES (6, 'é')").await;
    prefix(&in_utf8.url(), &manifest, "at", false).await.unwrap();
    let other = made("win1252_of_utf8", "WIN1252").await;
    other.run("INSERT INTO t VALUES (6, 'é')").await;
    assert_eq!(compared(&other.url(), &manifest).await.1, []);
}

/// Earlier versions did not state how a prefix ends at a text; PostgreSQL and SQLite went by its bytes, and other engines can.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prefix_of_an_earlier_version_that_ends_at_a_text_is_compared_in_other_engines() {
    let Some(server) = servers::shared(Kind::Mariadb) else { return };
    let dir = tempfile::tempdir().unwrap();
    let mariadb = Db::new(&server, Kind::Mariadb, "of_earlier", "CREATE TABLE t (at varchar(9)); CREATE TABLE n (at int)").await;
    let file =
        sqlite(&dir.path().join("of_earlier.db"), "CREATE TABLE t (at TEXT); CREATE TABLE n (at INT); INSERT INTO t VALUES ('b')").await;
    for (url, captured, is_known) in [
        (mariadb.url(), "postgres", true),
        (mariadb.url(), "sqlite", true),
        (file.clone(), "postgres", true),
        (file.clone(), "mariadb", false),
        (mariadb.url(), "mariadb", false),
    ] {
        let mut db = Database::open(&url, &access()).await.unwrap();
        let tables = db.tables().await.unwrap();
        let stated = json!({"column": "at", "values": {"t": "b", "n": "7"}, "left_out": []});
        let mut watermark = Watermark::of(&stated);
        watermark.complete(captured, &mut db, &tables).await.unwrap();
        let forms = &watermark.to_value()["forms"];
        assert_eq!(forms, &if is_known { json!({"t": "text"}) } else { Value::Null }, "{url} {captured}");
        db.close().await;
    }
}
