//! Manifests of a prefix: rows up to a value of a column. Nothing of the prefix is left out, nothing beyond it counts.

use std::path::{Path, PathBuf};

use crate::servers::{self, Kind};
use crate::support::{Db, Meanwhile, When, access, key, places, run, run_aside};
use attestore::model::capture::CaptureMode;
use attestore::model::failure::{Failure, FailureKind};
use attestore::model::finding::{Class, Finding};
use attestore::model::source_url::SourceUrl;
use attestore::model::verification::Verification;
use attestore::monitor::{Collected, Silent};
use attestore::verify::manifest::header::Header;
use attestore::verify::manifest::reader::Manifest;
use attestore::verify::manifest::request::{CaptureRequest, Sidecar, TableRequest};
use attestore::verify::sql::capture::capture;
use attestore::verify::sql::compare::database::compare;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

pub async fn sqlite(path: &Path, sql: &str) -> SourceUrl {
    let mut connection = SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    connection.close().await.unwrap();
    SourceUrl::Sqlite { path: path.to_owned() }
}

pub async fn captured(url: &SourceUrl, out: PathBuf, mode: CaptureMode, tables: TableRequest) -> Result<Header, Failure> {
    let request = CaptureRequest { tables, ..CaptureRequest::new(out, mode) };
    capture(url, &access(), &request, &key(), None, &Silent).await
}

pub async fn prefix(url: &SourceUrl, out: &Path, watermark: &str, logical: bool) -> Result<Header, Failure> {
    let tables = TableRequest { watermark: Some(watermark.into()), logical, ..TableRequest::default() };
    captured(url, out.to_owned(), CaptureMode::AppendPrefix, tables).await
}

pub async fn compared(url: &SourceUrl, manifest: &Path) -> (Verification, Vec<Finding>) {
    let monitor = Collected::default();
    let manifest = Manifest::open(manifest).unwrap();
    let result = compare(url, &access(), &manifest, &key(), &monitor).await.unwrap();
    (result, monitor.findings())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prefix_holds_while_the_tail_grows() {
    let (Some(postgres), Some(mariadb)) = (servers::shared(Kind::Postgres), servers::shared(Kind::Mariadb)) else { return };
    let dir = tempfile::tempdir().unwrap();
    let sql = "CREATE TABLE ledger (id int PRIMARY KEY NOT NULL, v varchar(20)); INSERT INTO ledger VALUES (1, 'a'), (2, 'b'), (3, 'c'); \
               CREATE TABLE fresh (id int PRIMARY KEY NOT NULL); CREATE TABLE other (x int); INSERT INTO other VALUES (1)";
    let in_postgres = Db::new(&postgres, Kind::Postgres, "prefix", sql).await;
    let in_mariadb = Db::new(&mariadb, Kind::Mariadb, "prefix", sql).await;
    let file = dir.path().join("prefix.db");
    let in_sqlite = sqlite(&file, sql).await;
    let grown = "INSERT INTO ledger VALUES (4, 'd'); UPDATE other SET x = 2; INSERT INTO fresh VALUES (1)";
    let wrong = "UPDATE ledger SET v = 'B' WHERE id = 2; DELETE FROM ledger WHERE id = 1; INSERT INTO ledger VALUES (0, 'late')";
    for (at, url) in [in_postgres.url(), in_mariadb.url(), in_sqlite].into_iter().enumerate() {
        let run = async |sql: &str| match at {
            0 => in_postgres.run(sql).await,
            1 => in_mariadb.run(sql).await,
            _ => drop(sqlite(&file, sql).await),
        };
        let manifest = dir.path().join(format!("m{at}"));
        let tables = TableRequest { watermark: Some("id".into()), sidecar: Sidecar::Keys, ..TableRequest::default() };
        let error = captured(&url, manifest.clone(), CaptureMode::AppendPrefix, TableRequest::default()).await.unwrap_err();
        assert!(error.kind == FailureKind::Invalid && error.hint.unwrap().contains("--watermark"));
        let absent = TableRequest { watermark: Some("nothing".into()), ..TableRequest::default() };
        assert!(captured(&url, manifest.clone(), CaptureMode::AppendPrefix, absent).await.unwrap_err().message.contains("nothing"));
        let header = captured(&url, manifest.clone(), CaptureMode::AppendPrefix, tables).await.unwrap();
        assert_eq!((header.counts["tables"], header.counts["rows"]), (2, 3));
        run(grown).await;
        let (result, findings) = compared(&url, &manifest).await;
        assert_eq!((findings, result.rows.unwrap().matched, result.mode), (vec![], 3, CaptureMode::AppendPrefix), "{url}");
        run(wrong).await;
        let (_, findings) = compared(&url, &manifest).await;
        let places = places(&findings);
        assert!(
            places.contains(&(Class::Mismatch, "ledger id=2".into())) && places.contains(&(Class::Extra, "ledger id=0".into())),
            "{places:?}"
        );
        let missing: Vec<_> = places.iter().filter(|(class, _)| *class == Class::Missing).collect();
        assert_eq!(missing, [&(Class::Missing, "ledger id=1".into())]);
    }
}

/// A FLOAT that is printed as a text is rounded to six digits, down or up: a prefix that ends at its greatest value has all rows of then, and
/// none of those that came later.
async fn a_prefix_by_a_float(kind: Kind) {
    let Some(server) = servers::shared(kind) else { return };
    for (name, newest, more) in
        [("float_down", "16777218", "16777220"), ("float_up", "1234567", "1234569"), ("float_small", "0.1", "0.100001")]
    {
        let dir = tempfile::tempdir().unwrap();
        let sql = format!(
            "CREATE TABLE f (id INT PRIMARY KEY, at FLOAT, v INT); INSERT INTO f VALUES (1, -7.5, 1), (2, 0.05, 1), (3, {newest}, 1)"
        );
        let db = Db::new(&server, kind, name, &sql).await;
        let tables = TableRequest { watermark: Some("at".into()), ..TableRequest::default() };
        let request = CaptureRequest { tables, ..CaptureRequest::new(dir.path().join("m"), CaptureMode::AppendPrefix) };
        let header = capture(&db.url(), &access(), &request, &key(), None, &Silent).await.unwrap();
        assert_eq!(header.counts["rows"], 3, "{name}");
        db.run(&format!("INSERT INTO f VALUES (4, {more}, 1)")).await;
        let (result, findings) = db.compare(&dir.path().join("m")).await;
        assert_eq!((findings, result.rows.unwrap().matched), (vec![], 3), "{name}");
        db.run("UPDATE f SET v = 2 WHERE id = 3").await;
        assert_eq!(places(&db.compare(&dir.path().join("m")).await.1), [(Class::Mismatch, "f id=3".into())], "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prefix_by_a_float_of_mariadb_ends_where_it_ends() {
    a_prefix_by_a_float(Kind::Mariadb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prefix_by_a_float_of_mysql_ends_where_it_ends() {
    a_prefix_by_a_float(Kind::Mysql).await;
}

/// A restored database may have another collation: where a prefix of texts ends is by their bytes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prefix_by_a_text_ends_where_it_ends_whatever_the_collation() {
    let Some(server) = servers::shared(Kind::Postgres) else { return };
    let dir = tempfile::tempdir().unwrap();
    let rows = "CREATE TABLE t (k text PRIMARY KEY); INSERT INTO t VALUES ('a'), ('B'), ('c'), ('Z')";
    run(&server, Kind::Postgres, "postgres", "CREATE DATABASE in_c TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'").await;
    let by_words = "CREATE DATABASE by_words TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en'";
    run(&server, Kind::Postgres, "postgres", by_words).await;
    for name in ["in_c", "by_words"] {
        run(&server, Kind::Postgres, name, rows).await;
        let tables = TableRequest { watermark: Some("k".into()), ..TableRequest::default() };
        let request = CaptureRequest { tables, ..CaptureRequest::new(dir.path().join(name), CaptureMode::AppendPrefix) };
        let url = server.url(name).parse().unwrap();
        let header = capture(&url, &access(), &request, &key(), None, &Silent).await.unwrap();
        assert_eq!(header.counts["rows"], 4, "{name}");
    }
    for (name, other) in [("in_c", "by_words"), ("by_words", "in_c")] {
        run(&server, Kind::Postgres, other, "INSERT INTO t VALUES ('d') ON CONFLICT DO NOTHING").await;
        let manifest = Manifest::open(&dir.path().join(name)).unwrap();
        let url = server.url(other).parse().unwrap();
        let result = compare(&url, &access(), &manifest, &key(), &Silent).await.unwrap();
        let rows = result.rows.unwrap();
        assert_eq!((rows.matched, rows.missing, rows.extra), (4, 0, 0), "{name}");
    }
    // Of what ends nowhere there is no prefix.
    run(&server, Kind::Postgres, "in_c", "CREATE TABLE e (at timestamptz); INSERT INTO e VALUES ('infinity')").await;
    let tables = TableRequest { watermark: Some("at".into()), ..TableRequest::default() };
    let request = CaptureRequest { tables, ..CaptureRequest::new(dir.path().join("endless"), CaptureMode::AppendPrefix) };
    let error = capture(&server.url("in_c").parse().unwrap(), &access(), &request, &key(), None, &Silent).await.unwrap_err();
    assert!(error.kind == FailureKind::Invalid && error.message.contains("table e is infinity"), "{error}");
}

/// Of each case: a table whose column `at` is the watermark, a row after it, and a change of its last row. All rows are in the prefix, the one
/// that comes later is not, and the change is found.
async fn holds(url: &SourceUrl, out: &Path, case: &str, rows: u64, run: impl AsyncFn(&str), later: &str) {
    let header = prefix(url, out, "at", false).await.unwrap_or_else(|error| panic!("{case}: {error}"));
    assert_eq!(header.counts["rows"], rows, "{case}");
    run(later).await;
    let (result, findings) = compared(url, out).await;
    assert_eq!((findings, result.rows.unwrap().matched), (vec![], rows), "{case}");
    run("UPDATE t SET v = 'damaged' WHERE id = 3").await;
    assert_eq!(places(&compared(url, out).await.1), [(Class::Mismatch, "t id=3".into())], "{case}");
}

/// A column of SQLite holds values of any class, and text of a number has fewer digits than the number.
#[tokio::test]
async fn a_prefix_of_sqlite_ends_at_the_value_itself() {
    for (name, of, values, more) in [
        ("real", "REAL", ["1700000007.1234512", "1700000008.1234512", "1700000009.1234512"], "1700000009.1234515"),
        ("up", "REAL", ["1.5", "1700000008.1234567", "1700000009.1234567"], "1700000009.123459"),
        ("digits", "", ["'0007'", "'0008'", "'0009'"], "'0010'"),
        ("any", "", ["1.25", "2.5", "1700000009.1234567"], "1700000010.5"),
        ("blob", "BLOB", ["x'0001ff'", "x'0002ff'", "x'0003ff'"], "x'0004'"),
        ("text", "TEXT", ["'2026-01-01'", "'it''s'", "'zü'"], "'zý'"),
        ("folded", "TEXT COLLATE NOCASE", ["'A'", "'b'", "'c'"], "'d'"),
        ("number", "TEXT", ["'8'", "'9'", "'90'"], "'91'"),
        ("great", "INTEGER", ["1", "2", "9223372036854775806"], "9223372036854775807"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (file, [a, b, c]) = (dir.path().join("t.db"), values);
        let sql = format!(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, at {of}, v TEXT); INSERT INTO t VALUES (1, {a}, 'x'), (2, {b}, 'x'), (3, {c}, 'x'), (4, NULL, 'x'); \
             CREATE TABLE u (at INTEGER); INSERT INTO u VALUES (5)"
        );
        let url = sqlite(&file, &sql).await;
        let run = async |sql: &str| drop(sqlite(&file, sql).await);
        holds(&url, &dir.path().join("m"), name, 5, run, &format!("INSERT INTO t VALUES (9, {more}, 'x')")).await;
    }
}

async fn a_prefix_by_any_type(kind: Kind) {
    let Some(server) = servers::shared(kind) else { return };
    let dir = tempfile::tempdir().unwrap();
    for (name, of, values, more) in [
        ("bytes", "BINARY(16)", ["x'019a8f00'", "x'019a8f01ff'", "x'019a8fff'"], "x'019b'"),
        ("varbytes", "VARBINARY(9)", ["'a'", "'b'", "'c'"], "'ca'"),
        ("digits", "VARCHAR(9)", ["'10'", "'8'", "'9'"], "'90'"),
        ("folded", "VARCHAR(9) CHARACTER SET latin1 COLLATE latin1_swedish_ci", ["'Apple'", "'Zoe'", "'bob'"], "'bobby'"),
        ("bits", "BIT(64)", ["1", "65", "18446744073709551614"], "18446744073709551615"),
        ("amount", "DECIMAL(38, 10)", ["-1", "1", "1234567890123456789012345678.0123456789"], "1234567890123456789012345678.012345679"),
        ("double", "DOUBLE", ["0.1", "0.2", "0.30000000000000004"], "0.3000000000000001"),
        ("time", "TIMESTAMP(6) NULL", ["'2026-01-01'", "'2026-01-02'", "'2026-01-02 00:00:00.000001'"], "'2026-01-02 00:00:00.000002'"),
    ] {
        let [a, b, c] = values;
        let sql = format!(
            "CREATE TABLE t (id INT PRIMARY KEY, at {of}, v VARCHAR(20)); INSERT INTO t VALUES (1, {a}, 'x'), (2, {b}, 'x'), (3, {c}, 'x'); \
             CREATE TABLE u (at INT); INSERT INTO u VALUES (5)"
        );
        let db = Db::new(&server, kind, &format!("prefix_of_{name}"), &sql).await;
        let run = async |sql: &str| db.run(sql).await;
        holds(&db.url(), &dir.path().join(name), name, 4, run, &format!("INSERT INTO t VALUES (9, {more}, 'x')")).await;
    }
    // The end of the prefix may be named, as bytes too.
    let db =
        Db::new(&server, kind, "prefix_named", "CREATE TABLE t (at BINARY(2)); INSERT INTO t VALUES (x'00ff'), (x'01ff'), (x'02ff')").await;
    let header = prefix(&db.url(), &dir.path().join("named"), "at=0x01ff", false).await.unwrap();
    assert_eq!(header.counts["rows"], 2);
    db.run("DROP TABLE t; CREATE TABLE t (at POINT)").await;
    let refused = prefix(&db.url(), &dir.path().join("refused"), "at", false).await.unwrap_err();
    assert!(refused.kind == FailureKind::Invalid && refused.message.contains("no greatest value"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prefix_of_mariadb_ends_at_the_value_itself() {
    a_prefix_by_any_type(Kind::Mariadb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prefix_of_mysql_ends_at_the_value_itself() {
    a_prefix_by_any_type(Kind::Mysql).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prefix_of_postgresql_ends_at_the_value_itself() {
    let Some(server) = servers::shared(Kind::Postgres) else { return };
    let dir = tempfile::tempdir().unwrap();
    for (name, of, values, more) in [
        ("list", "text[]", ["'{Zoe}'", "'{apple}'", "'{bob}'"], "'{bobby}'"),
        ("real", "real", ["0.1", "0.2", "0.3"], "0.30000004"),
        ("amount", "numeric", ["-1", "1", "1e30"], "1e31"),
        (
            "moment",
            "timestamptz",
            ["'2026-01-01 00:00+03'", "'2026-01-01'", "'2026-01-01 00:00:00.000001'"],
            "'2026-01-01 00:00:00.000002'",
        ),
        ("span", "interval", ["'1 day'", "'1 mon'", "'1 year 1 us'"], "'1 year 2 us'"),
    ] {
        let [a, b, c] = values;
        let sql = format!(
            "CREATE TABLE t (id int PRIMARY KEY, at {of}, v text); INSERT INTO t VALUES (1, {a}, 'x'), (2, {b}, 'x'), (3, {c}, 'x'); \
             CREATE TABLE u (at int); INSERT INTO u VALUES (5)"
        );
        let db = Db::new(&server, Kind::Postgres, &format!("prefix_of_{name}"), &sql).await;
        let run = async |sql: &str| db.run(sql).await;
        holds(&db.url(), &dir.path().join(name), name, 4, run, &format!("INSERT INTO t VALUES (9, {more}, 'x')")).await;
    }
}

/// A word of PostgreSQL that means a moment is the moment of the capture, and one that means no end is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_named_end_of_a_prefix_is_what_it_was_when_it_was_named() {
    let Some(server) = servers::shared(Kind::Postgres) else { return };
    let dir = tempfile::tempdir().unwrap();
    let sql = "CREATE TABLE t (at timestamptz, f real); INSERT INTO t VALUES (now() - interval '1 day', 0.3), (now(), 0.5)";
    let db = Db::new(&server, Kind::Postgres, "prefix_of_now", sql).await;
    assert_eq!(prefix(&db.url(), &dir.path().join("now"), "at=now", false).await.unwrap().counts["rows"], 2);
    db.run("INSERT INTO t VALUES (now(), 1)").await;
    assert_eq!(compared(&db.url(), &dir.path().join("now")).await.1, []);
    assert_eq!(prefix(&db.url(), &dir.path().join("real"), "f=0.3", false).await.unwrap().counts["rows"], 1);
    for endless in ["at= infinity", "f= NaN "] {
        let refused = prefix(&db.url(), &dir.path().join("endless"), endless, false).await.unwrap_err();
        assert!(refused.kind == FailureKind::Invalid && refused.message.contains("everything is before that"), "{refused}");
    }
    // Its bytes are in UTF-8 in whatever encoding the database is.
    let of =
        |name: &str, encoding: &str| format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'");
    let rows = "CREATE TABLE t (at text PRIMARY KEY); INSERT INTO t VALUES ('а'), ('ю'), ('я')";
    for (name, encoding) in [("in_koi8r", "KOI8R"), ("in_utf8", "UTF8")] {
        run(&server, Kind::Postgres, "postgres", &of(name, encoding)).await;
        run(&server, Kind::Postgres, name, rows).await;
        let url = server.url(name).parse().unwrap();
        assert_eq!(prefix(&url, &dir.path().join(name), "at", true).await.unwrap().counts["rows"], 3, "{name}");
    }
    for (name, other) in [("in_koi8r", "in_utf8"), ("in_utf8", "in_koi8r")] {
        let (result, findings) = compared(&server.url(other).parse().unwrap(), &dir.path().join(name)).await;
        assert_eq!((findings, result.rows.unwrap().matched), (vec![], 3), "{name}");
    }
}

/// Of values of several classes, and of texts in UTF-16, SQLite has an order of its own.
#[tokio::test]
async fn a_prefix_that_only_one_file_orders_so_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (name, sql, said) in [
        ("mixed", "CREATE TABLE t (at); INSERT INTO t VALUES (1), ('n/a')", "several classes"),
        ("wide", "PRAGMA encoding = 'UTF-16'; CREATE TABLE t (at TEXT); INSERT INTO t VALUES ('a')", "UTF-16"),
    ] {
        let url = sqlite(&dir.path().join(name), sql).await;
        let refused = prefix(&url, &dir.path().join("m"), "at", false).await.unwrap_err();
        assert!(refused.kind == FailureKind::Invalid && refused.message.contains(said), "{name}: {refused}");
    }
}

/// Between engines a prefix is compared where both order its column alike, and refused where they do not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prefix_is_compared_across_engines_where_both_order_its_column_alike() {
    let (Some(postgres), Some(mariadb)) = (servers::shared(Kind::Postgres), servers::shared(Kind::Mariadb)) else { return };
    let dir = tempfile::tempdir().unwrap();
    let words = ["Apple", "Zoe", "bob"];
    let times = ["2026-01-01 10:00:00", "2026-01-02 10:00:00", "2026-01-02 10:00:00.5"];
    for (name, types, values, is_alike) in [
        ("words", ["text", "VARCHAR(9)", "TEXT"], words, [true, true]),
        ("numbers", ["int", "BIGINT", "INTEGER"], ["1", "2", "10"], [true, true]),
        ("singles", ["real", "FLOAT", "TEXT"], ["0.1", "0.2", "0.3"], [true, false]),
        ("times", ["timestamp", "DATETIME(6)", "DATETIME"], times, [true, false]),
        ("moments", ["timestamptz", "TIMESTAMP(6) NULL", "TIMESTAMP"], times, [true, false]),
        ("spans", ["interval", "TIME", "TEXT"], ["10:00:00", "11:00:00", "12:00:00"], [false, false]),
    ] {
        let sql = |of: &str| {
            let rows: Vec<String> = values.iter().enumerate().map(|(id, at)| format!("({id}, '{at}')")).collect();
            format!("CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, at {of}); INSERT INTO t VALUES {}", rows.join(", "))
        };
        let of = |kind, of: &str| (kind, format!("across_{name}"), sql(of));
        let [(kind, db, first), (other, _, second)] = [of(Kind::Postgres, types[0]), of(Kind::Mariadb, types[1])];
        let (one, two) = (Db::new(&postgres, kind, &db, &first).await, Db::new(&mariadb, other, &db, &second).await);
        let file = sqlite(&dir.path().join(name), &sql(types[2])).await;
        let urls = [one.url(), two.url(), file];
        for (from, to, is_alike) in
            [(0, 1, is_alike[0]), (1, 0, is_alike[0]), (0, 2, is_alike[1]), (2, 0, is_alike[1]), (1, 2, is_alike[1]), (2, 1, is_alike[1])]
        {
            let out = dir.path().join(format!("{name}-{from}-{to}"));
            prefix(&urls[from], &out, "at", true).await.unwrap();
            let monitor = Collected::default();
            let result = compare(&urls[to], &access(), &Manifest::open(&out).unwrap(), &key(), &monitor).await;
            match result {
                Ok(result) => {
                    assert_eq!((monitor.findings(), result.rows.unwrap().matched, is_alike), (vec![], 3, true), "{name} {from} {to}")
                }
                Err(error) => assert!(
                    !is_alike && error.kind == FailureKind::Invalid && error.message.contains("ordered otherwise"),
                    "{name} {from} {to}: {error}"
                ),
            }
        }
    }
}

/// A prefix that has no row of a table is one, and said; MariaDB without a binary log shows no more than that something may have moved.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_capture_cannot_vouch_for_is_said() {
    let Some(server) = servers::shared(Kind::Mariadb) else { return };
    let dir = tempfile::tempdir().unwrap();
    let sql =
        "CREATE TABLE a (id INT PRIMARY KEY); INSERT INTO a VALUES (5); CREATE TABLE b (id INT PRIMARY KEY); INSERT INTO b VALUES (1)";
    let db = Db::new(&server, Kind::Mariadb, "vouched", sql).await;
    let write = || run_aside(&server, Kind::Mariadb, "vouched", "INSERT INTO b SELECT seq FROM seq_10_to_2000");
    let monitor = Meanwhile::new(When::Begins("a"), write);
    let tables = TableRequest { watermark: Some("id=3".into()), ..TableRequest::default() };
    let request = CaptureRequest { tables, ..CaptureRequest::new(dir.path().join("m"), CaptureMode::AppendPrefix) };
    let header = capture(&db.url(), &access(), &request, &key(), None, &monitor).await.unwrap();
    let notes = monitor.seen.notes();
    assert_eq!(header.counts["rows"], 1);
    assert!(notes.iter().any(|note| note == "no row of table a is up to id = 3: the prefix has none of it"), "{notes:?}");
    assert!(monitor.happened() && notes.iter().any(|note| note.contains("may have moved while it was read: from innodb_lsn")), "{notes:?}");
}

/// SQLite keeps values of any class in a column: one that is of another is lost from the prefix, a later one no part of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prefix_in_sqlite_is_of_its_values_class() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("classes.db");
    let url = SourceUrl::Sqlite { path: file.clone() };
    sqlite(&file, "CREATE TABLE t (id INTEGER PRIMARY KEY, at BLOB, v TEXT); INSERT INTO t VALUES (1, x'01', 'a'), (2, x'02', 'b')").await;
    let of = |value: &str| TableRequest { watermark: Some(value.into()), sidecar: Sidecar::Keys, ..TableRequest::default() };
    let error = captured(&url, dir.path().join("m"), CaptureMode::AppendPrefix, of("at=abc")).await.unwrap_err();
    assert!(error.message.contains("0x and its digits"), "{error}");
    let manifest = dir.path().join("bytes");
    let header = captured(&url, manifest.clone(), CaptureMode::AppendPrefix, of("at=0x01")).await.unwrap();
    assert_eq!(header.counts["rows"], 1);
    sqlite(&file, "UPDATE t SET v = 'damaged'").await;
    assert_eq!(places(&compared(&url, &manifest).await.1), [(Class::Mismatch, "t id=1".into())]);

    sqlite(&file, "DELETE FROM t; INSERT INTO t VALUES (1, 'a', 'x'), (2, 'b', 'x')").await;
    let manifest = dir.path().join("texts");
    captured(&url, manifest.clone(), CaptureMode::AppendPrefix, of("at")).await.unwrap();
    sqlite(&file, "INSERT INTO t VALUES (3, 7, 'later')").await;
    assert_eq!(places(&compared(&url, &manifest).await.1), []);
    let mixed = captured(&url, dir.path().join("mixed"), CaptureMode::AppendPrefix, of("at=b")).await.unwrap_err();
    assert!(mixed.message.contains("values of class integer, text"), "{mixed}");
    sqlite(&file, "UPDATE t SET at = x'62' WHERE id = 2").await;
    assert_eq!(places(&compared(&url, &manifest).await.1), [(Class::Missing, "t id=2".into())]);
}

/// Rows that are gone are missing in whatever engine, and a type that orders them otherwise is refused within one family too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prefix_by_meaning_is_compared_where_its_order_holds() {
    let Some(server) = servers::shared(Kind::Mariadb) else { return };
    let dir = tempfile::tempdir().unwrap();
    let rows = "INSERT INTO t VALUES (1, 'a'), (2, 'b')";
    let source = Db::new(&server, Kind::Mariadb, "ordered", &format!("CREATE TABLE t (id int PRIMARY KEY, at varchar(20)); {rows}")).await;
    let by_meaning = || TableRequest { watermark: Some("at".into()), logical: true, sidecar: Sidecar::Keys, ..TableRequest::default() };
    let manifest = dir.path().join("texts");
    captured(&source.url(), manifest.clone(), CaptureMode::AppendPrefix, by_meaning()).await.unwrap();
    let file = dir.path().join("lost.db");
    let lost = SourceUrl::Sqlite { path: file.clone() };
    sqlite(&file, "CREATE TABLE t (id INTEGER PRIMARY KEY NOT NULL, at TEXT)").await;
    let missing = |id: u32| (Class::Missing, format!("t id={id}"));
    assert_eq!(places(&compared(&lost, &manifest).await.1), [missing(1), missing(2)]);
    sqlite(&file, &format!("{rows}; UPDATE t SET at = x'62' WHERE id = 2; INSERT INTO t VALUES (3, x'61')")).await;
    assert_eq!(places(&compared(&lost, &manifest).await.1), [missing(2)]);

    let one = "018a8f00-0000-7000-8000-000000000001";
    source.run(&format!("DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY, at uuid); INSERT INTO t VALUES (1, '{one}')")).await;
    let manifest = dir.path().join("uuids");
    captured(&source.url(), manifest.clone(), CaptureMode::AppendPrefix, by_meaning()).await.unwrap();
    assert_eq!(places(&compared(&source.url(), &manifest).await.1), []);
    source.run("ALTER TABLE t MODIFY at char(36)").await;
    let refused = compare(&source.url(), &access(), &Manifest::open(&manifest).unwrap(), &key(), &Silent).await.unwrap_err();
    assert!(refused.kind == FailureKind::Invalid && refused.message.contains("ordered otherwise"), "{refused}");
}
