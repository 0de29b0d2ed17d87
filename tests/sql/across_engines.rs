//! One data set in PostgreSQL, MariaDB and SQLite: equal by logical types where the matrix says so; two live databases against each
//! other; stamps, definitions and rights.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::servers::{self, Kind, Server};
use crate::support::{Db, access, as_user, key, places};
use attestore::model::capture::CaptureMode;
use attestore::model::failure::{Failure, FailureKind};
use attestore::model::finding::{Class, Finding};
use attestore::model::outcome::Outcome;
use attestore::model::source_url::SourceUrl;
use attestore::model::verification::Verification;
use attestore::monitor::{Collected, Silent};
use attestore::verify::manifest::header::Header;
use attestore::verify::manifest::reader::Manifest;
use attestore::verify::manifest::request::{CaptureRequest, Sidecar, TableRequest};
use attestore::verify::sql::capture::capture;
use attestore::verify::sql::compare::database::{Restored, compare_restored};
use attestore::verify::sql::compare::dual::{self, Declared, Side};
use attestore::verify::sql::declared;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

async fn sqlite(path: &Path, sql: &str) -> SourceUrl {
    let mut connection = SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    connection.close().await.unwrap();
    SourceUrl::Sqlite { path: path.to_owned() }
}

async fn captured(url: &SourceUrl, out: PathBuf, mode: CaptureMode, tables: TableRequest) -> Result<Header, Failure> {
    let request = CaptureRequest { tables, ..CaptureRequest::new(out, mode) };
    capture(url, &access(), &request, &key(), None, &Silent).await
}

async fn compared(url: &SourceUrl, manifest: &Path, restored: Restored) -> (Verification, Vec<Finding>) {
    let monitor = Collected::default();
    let manifest = Manifest::open(manifest).unwrap();
    let result = compare_restored(url, &access(), &manifest, &key(), restored, &monitor).await.unwrap();
    (result, monitor.findings())
}

async fn against(checked: &SourceUrl, baseline: &SourceUrl, declared: Option<&Declared>) -> (Verification, Vec<Finding>) {
    let (monitor, access) = (Collected::default(), access());
    let side = |url| Side { url, access: &access };
    let result = dual::against(side(checked), side(baseline), &key(), declared, &monitor).await.unwrap();
    (result, monitor.findings())
}

/// One column of the data set in the words of each engine, with values that each engine is given.
struct ColumnOf {
    name: &'static str,
    postgres: &'static str,
    mariadb: &'static str,
    sqlite: &'static str,
    /// The value of row 1, 2, 3 for PostgreSQL, MariaDB and SQLite.
    values: [[&'static str; 3]; 3],
}

const fn column(name: &'static str, types: [&'static str; 3], values: [[&'static str; 3]; 3]) -> ColumnOf {
    ColumnOf { name, postgres: types[0], mariadb: types[1], sqlite: types[2], values }
}

/// The same literal for every engine.
const fn all(value: &'static str) -> [&'static str; 3] {
    [value, value, value]
}

const DATA: &[ColumnOf] = &[
    column("flag", ["boolean", "tinyint(1)", "boolean"], [["true", "1", "1"], ["false", "0", "0"], all("NULL")]),
    column("flag_bit", ["boolean", "bit(1)", "boolean"], [["true", "b'1'", "1"], ["false", "b'0'", "0"], all("NULL")]),
    column("i16", ["smallint", "smallint", "smallint"], [all("-32768"), all("32767"), all("0")]),
    column("i64", ["bigint", "bigint", "bigint"], [all("-9223372036854775807"), all("9223372036854775807"), all("NULL")]),
    column("u64", ["numeric(20,0)", "bigint unsigned", "integer"], [all("9223372036854775807"), all("0"), all("1")]),
    column("r32", ["real", "float", "real"], [all("16777216"), all("0.5"), all("-3.25")]),
    column("r64", ["double precision", "double", "double"], [all("1.7976931348623157e308"), all("5e-324"), all("0.1")]),
    column("amount", ["numeric(20,4)", "decimal(20,4)", "decimal(20,4)"], [all("1234567.5"), all("-0.0001"), all("100")]),
    column(
        "dec38",
        ["numeric(38,10)", "decimal(38,10)", "text"],
        [
            [
                "1234567890123456789012345678.0123456789",
                "1234567890123456789012345678.0123456789",
                "'1234567890123456789012345678.0123456789'",
            ],
            ["-0.0000000001", "-0.0000000001", "'-0.0000000001'"],
            all("NULL"),
        ],
    ),
    column("words", ["text", "text", "text"], [all("'zü 😀  '"), all("''"), all("'NULL'")]),
    column("name", ["varchar(20)", "varchar(20)", "varchar(20)"], [all("'a '"), all("'A'"), all("'a'")]),
    column("fixed", ["char(5)", "char(5)", "char(5)"], [all("'ab'"), all("''"), all("'abcde'")]),
    column("latin", ["text", "varchar(20) CHARACTER SET latin1", "text"], [all("'é'"), all("'Ã©'"), all("'Ÿ€ '")]),
    column("kana", ["text", "char(5) CHARACTER SET sjis", "text"], [all("'カナ'"), all("''"), all("NULL")]),
    column("label", ["text", "enum('schön','x') CHARACTER SET latin1", "text"], [all("'schön'"), all("'x'"), all("NULL")]),
    column("labels", ["text", "set('ä','b') CHARACTER SET latin2", "text"], [all("'ä,b'"), all("''"), all("NULL")]),
    column("raw", ["bytea", "blob", "blob"], [["'\\x00ff27'", "x'00ff27'", "x'00ff27'"], ["''", "''", "x''"], all("NULL")]),
    column("day", ["date", "date", "date"], [all("'2026-01-31'"), all("'1000-01-01'"), all("'9999-12-31'")]),
    column("hour", ["time(6)", "time(6)", "time"], [all("'12:30:00.000001'"), all("'00:00:00'"), all("'23:59:59.999999'")]),
    column(
        "wall",
        ["timestamp(6)", "datetime(6)", "datetime"],
        [all("'2026-01-31 12:30:00.000001'"), all("'1000-01-01 00:00:00'"), all("'9999-12-31 23:59:59.999999'")],
    ),
    column(
        "instant",
        ["timestamptz(6)", "timestamp(6) null", "timestamptz"],
        [
            ["'2026-01-31 14:30:00.000001+02'", "'2026-01-31 12:30:00.000001'", "'2026-01-31T12:30:00.000001Z'"],
            ["'1970-01-01 00:00:01+00'", "'1970-01-01 00:00:01'", "'1970-01-01 01:00:01+01:00'"],
            all("NULL"),
        ],
    ),
    column(
        "doc",
        ["jsonb", "json", "text"],
        [all(r#"'{"b": 1.50, "a": [true, null, "é"]}'"#), all("'12345678901234567890.10'"), all("'{}'")],
    ),
    column(
        "list",
        ["int[]", "json", "text"],
        [["'{{1,2},{3,NULL}}'", "'[[1,2],[3,null]]'", "'[[1, 2], [3, null]]'"], ["'{}'", "'[]'", "'[]'"], all("NULL")],
    ),
    column("mood", ["mood", "enum('sad','ok')", "text"], [all("'ok'"), all("'sad'"), all("NULL")]),
    column("bits", ["bit(5)", "bit(5)", "text"], [["B'10101'", "b'10101'", "'10101'"], ["B'00001'", "b'00001'", "'00001'"], all("NULL")]),
    column(
        "uid",
        ["uuid", "uuid", "uuid"],
        [all("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"), all("'00000000-0000-0000-0000-000000000000'"), all("NULL")],
    ),
    column(
        "uid_text",
        ["uuid", "char(36)", "uuid"],
        [all("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"), all("'00000000-0000-0000-0000-000000000000'"), all("NULL")],
    ),
    column("ip", ["inet", "inet6", "inet"], [all("'2001:db8::1'"), all("'::'"), all("NULL")]),
    column(
        "shape",
        ["bytea", "geometry", "blob"],
        [
            [
                "'\\xe61000000101000000000000000000f03f0000000000000040'",
                "ST_GeomFromText('POINT(1 2)', 4326)",
                "x'e61000000101000000000000000000f03f0000000000000040'",
            ],
            all("NULL"),
            all("NULL"),
        ],
    ),
];

/// The statements that lay the data set in one engine (0 PostgreSQL, 1 MariaDB, 2 SQLite), rows and columns in another order each.
fn laid(engine: usize) -> String {
    let types = |column: &ColumnOf| [column.postgres, column.mariadb, column.sqlite][engine];
    let mut columns: Vec<String> = DATA.iter().map(|column| format!("{} {}", column.name, types(column))).collect();
    columns.rotate_left(engine * 5);
    let mut sql = match engine {
        0 => "CREATE TYPE mood AS ENUM ('sad', 'ok'); ".to_owned(),
        1 => "SET time_zone = '+00:00'; ".to_owned(),
        _ => String::new(),
    };
    sql += &format!("CREATE TABLE t (id int PRIMARY KEY NOT NULL, {}); ", columns.join(", "));
    for row in if engine == 1 { [2, 0, 1] } else { [0, 1, 2] } {
        let names: Vec<&str> = DATA.iter().map(|column| column.name).collect();
        let values: Vec<&str> = DATA.iter().map(|column| column.values[row][engine]).collect();
        sql += &format!("INSERT INTO t (id, {}) VALUES ({row}, {}); ", names.join(", "), values.join(", "));
    }
    // Keys whose order differs with every collation, and a value of 20 MiB.
    let (key, blob) = [("text", "bytea"), ("varchar(40) COLLATE utf8mb4_nopad_bin", "longblob"), ("text", "blob")][engine];
    let large = [
        "convert_to(repeat('abcd', 5242880), 'UTF8')",
        "REPEAT('abcd', 5242880)",
        "CAST(replace(hex(zeroblob(5242880)), '00', 'abcd') AS BLOB)",
    ][engine];
    sql += &format!(
        "CREATE TABLE k (k {key} PRIMARY KEY NOT NULL, v int); INSERT INTO k VALUES ('b', 1), ('A', 2), ('a', 3), ('_', 4), ('é', 5), ('B', 6), ('a ', 7), ('Z', 8); "
    );
    sql + &format!("CREATE TABLE large (id int PRIMARY KEY NOT NULL, v {blob}); INSERT INTO large VALUES (1, {large}), (2, NULL)")
}

fn servers_of_both() -> Option<(Arc<Server>, Arc<Server>)> {
    Some((servers::shared(Kind::Postgres)?, servers::shared(Kind::Mariadb)?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_data_set_is_equal_in_three_engines_by_logical_types() {
    let Some((postgres, mariadb)) = servers_of_both() else { return };
    let dir = tempfile::tempdir().unwrap();
    let in_postgres = Db::new(&postgres, Kind::Postgres, "one_set", &laid(0)).await;
    let in_mariadb = Db::new(&mariadb, Kind::Mariadb, "one_set", &laid(1)).await;
    let (a, b, c) = (in_postgres.url(), in_mariadb.url(), sqlite(&dir.path().join("one.db"), &laid(2)).await);
    let declared: Declared =
        ["t.doc=json", "t.list=array", "t.shape=geometry"].into_iter().map(|text| declared::declaration(text).unwrap()).collect();
    for (checked, baseline) in [(&a, &b), (&b, &c), (&c, &a)] {
        let (result, findings) = against(checked, baseline, Some(&declared)).await;
        assert_eq!(findings, [], "{checked} against {baseline}");
        assert_eq!((result.tables.unwrap().matched, result.rows.unwrap().matched), (3, 13));
        assert_eq!((result.outcome(0).0, result.mode), (Outcome::PassWithException, CaptureMode::DualPath), "definitions are not compared");
    }
    // The same by way of a manifest.
    let manifest = dir.path().join("m");
    let sidecar = Sidecar::Columns;
    let tables = TableRequest { logical: true, types: vec!["t.shape=geometry".into()], sidecar, ..TableRequest::default() };
    let header = captured(&a, manifest.clone(), CaptureMode::SnapshotExact, tables).await.unwrap();
    assert_eq!(header.encoding, attestore::verify::sql::rows::canon::LOGICAL_ENCODING);
    for url in [&a, &b, &c] {
        assert_eq!(compared(url, &manifest, Restored::default()).await.1, [], "{url}");
    }
    // Each column counts: one changed value is found, and named with its column where both sides are at hand, or a manifest has its columns.
    for (change, column) in [
        ("flag = 0 WHERE id = 0", "flag"),
        ("dec38 = '1234567890123456789012345678.0123456788' WHERE id = 0", "dec38"),
        ("words = 'zü 😀 ' WHERE id = 0", "words"),
        ("doc = '12345678901234567890.11' WHERE id = 1", "doc"),
        ("instant = '1970-01-01 00:00:01+01:00' WHERE id = 1", "instant"),
        ("bits = '1' WHERE id = 1", "bits"),
        ("raw = x'' WHERE id = 2", "raw"),
    ] {
        let file = dir.path().join("changed.db");
        std::fs::copy(dir.path().join("one.db"), &file).unwrap();
        let changed = sqlite(&file, &format!("UPDATE t SET {change}")).await;
        let (_, findings) = against(&changed, &a, Some(&declared)).await;
        assert!(matches!(&findings[..], [one] if one.class == Class::Mismatch), "{change}: {findings:?}");
        assert!(findings[0].actual.as_deref().unwrap().ends_with(&format!("differs in {column}")), "{findings:?}");
        let by_manifest = compared(&changed, &manifest, Restored::default()).await.1;
        assert_eq!((places(&by_manifest), &by_manifest[0].columns), (places(&findings), &vec![column.to_owned()]), "{by_manifest:?}");
    }
    // Without logical types two engines have nothing in common, and that is said.
    let access = access();
    let side = |url| Side { url, access: &access };
    let error = dual::against(side(&a), side(&b), &key(), None, &Silent).await.unwrap_err();
    assert!(error.kind == FailureKind::Invalid && error.hint.unwrap().contains("--logical"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_engine_cannot_hold_is_a_mismatch_and_never_hidden() {
    let Some(server) = servers::shared(Kind::Postgres) else { return };
    let dir = tempfile::tempdir().unwrap();
    let db = Db::new(
        &server,
        Kind::Postgres,
        "limits",
        "CREATE TABLE t (id int PRIMARY KEY, f double precision, n numeric); INSERT INTO t VALUES (1, '-0', 1), (2, 'NaN', 1), \
         (3, 0, 12345678901234567890123456789012345678), (4, 0, 'NaN'), (5, 1.5, 2.50), (6, 'infinity', 0)",
    )
    .await;
    let file = sqlite(
        &dir.path().join("limits.db"),
        "CREATE TABLE t (id int PRIMARY KEY NOT NULL, f double, n numeric); INSERT INTO t VALUES (1, -0.0, 1), (2, NULL, 1), \
         (3, 0, 12345678901234567890123456789012345678), (4, 0, NULL), (5, 1.5, 2.5), (6, 9e999, 0)",
    )
    .await;
    let (result, findings) = against(&file, &db.url(), Some(&Declared::new())).await;
    let named: Vec<String> = findings
        .iter()
        .map(|finding| format!("{} {}", finding.place.parts().1, finding.actual.as_deref().unwrap().split_once(' ').unwrap().1))
        .collect();
    let mut named_sorted = named.clone();
    named_sorted.sort();
    assert_eq!(named_sorted, ["t id=1 differs in f", "t id=2 differs in f", "t id=3 differs in n", "t id=4 differs in n"]);
    assert_eq!(result.rows.unwrap().matched, 2);
}

/// Texts are compared by their characters: what is stored in another character set is brought to UTF-8, and what was taken for another one on its
/// way differs, though its bytes are the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_of_other_character_sets_are_compared_by_their_characters() {
    let Some((postgres, mariadb)) = servers_of_both() else { return };
    let dir = tempfile::tempdir().unwrap();
    let text = "CREATE TABLE t (id int PRIMARY KEY, v text, j text, m text); INSERT INTO t VALUES (1, 'é', NULL, 'a'), (2, 'é', NULL, 'a'), \
                (3, NULL, '?', 'a'), (4, NULL, 'ソ?', 'a'), (5, NULL, NULL, NULL)";
    let a = Db::new(&postgres, Kind::Postgres, "characters", text).await;
    // The same bytes as UTF-8's in the first row; what is no character in the third; no label in the last.
    let text = "SET sql_mode = ''; CREATE TABLE t (id int PRIMARY KEY, v varchar(9) CHARACTER SET latin1, j varchar(9) CHARACTER SET gbk, m enum('a') CHARACTER SET ucs2); \
                INSERT INTO t VALUES (1, 'Ã©', NULL, 'a'), (2, 'é', NULL, 'a'), (3, NULL, x'a2ab', 'a'), (4, NULL, 'ソ?', 'a'), (5, NULL, NULL, 'none')";
    let b = Db::new(&mariadb, Kind::Mariadb, "characters", text).await;
    let wrong = [1, 3, 5].map(|id| (Class::Mismatch, format!("t id={id}")));
    assert_eq!(places(&against(&b.url(), &a.url(), Some(&Declared::new())).await.1), wrong);
    assert_eq!(places(&against(&a.url(), &b.url(), Some(&Declared::new())).await.1), wrong);
    for (at, [of, other]) in [[&a, &b], [&b, &a]].into_iter().enumerate() {
        let manifest = dir.path().join(at.to_string());
        let tables = TableRequest { logical: true, ..TableRequest::default() };
        captured(&of.url(), manifest.clone(), CaptureMode::SnapshotExact, tables).await.unwrap();
        assert_eq!(compared(&of.url(), &manifest, Restored::default()).await.1, []);
        assert_eq!(places(&compared(&other.url(), &manifest, Restored::default()).await.1), wrong);
    }
    // Of one engine too, and texts that are long.
    let same = "CREATE TABLE t (id int PRIMARY KEY, v longtext CHARACTER SET latin1); INSERT INTO t VALUES (1, 'é'), (2, REPEAT('é', 3000000)), (3, NULL)";
    let c = Db::new(&mariadb, Kind::Mariadb, "characters_too", same).await;
    let d = Db::new(&mariadb, Kind::Mariadb, "characters_three", &same.replace("latin1", "utf8mb4")).await;
    let (result, findings) = against(&c.url(), &d.url(), Some(&Declared::new())).await;
    assert!(findings.is_empty() && result.rows.unwrap().matched == 3, "{findings:?}");
}

/// Rows whose keys are stored in several ways and mean the same are one row to a manifest, and have one name.
#[tokio::test]
async fn rows_of_one_meaning_have_one_name() {
    let dir = tempfile::tempdir().unwrap();
    let long = "é".repeat(60);
    let laid = format!(
        "CREATE TABLE t (a text NOT NULL, id text NOT NULL, v int, PRIMARY KEY (a, id)); \
         INSERT INTO t VALUES ('{long}', '1.0', 1), ('{long}', '1.00', 1), ('x{long}', '1.000', 1), ('x{long}', '1', 1), ('b', '2', 1)"
    );
    let url = sqlite(&dir.path().join("one.db"), &laid).await;
    for sidecar in [Sidecar::Keys, Sidecar::Columns] {
        let manifest = dir.path().join(sidecar.as_str());
        let tables = TableRequest { logical: true, types: vec!["t.id=decimal".into()], sidecar, ..TableRequest::default() };
        captured(&url, manifest.clone(), CaptureMode::Sealed, tables).await.unwrap();
        assert_eq!(compared(&url, &manifest, Restored::default()).await.1, []);
        let names: Vec<String> = Manifest::open(&manifest).unwrap().names().map(|row| row.unwrap().name).collect();
        let mut distinct = names.clone();
        distinct.sort();
        assert_eq!(distinct, ["a=b id=2".to_owned(), format!("a=x{long} id=1"), format!("a={long} id=1")], "{names:?}");
    }
}

/// What is said to have been read is what was hashed, large values included.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_of_large_values_count_as_read() {
    let Some((postgres, mariadb)) = servers_of_both() else { return };
    const BYTES: u64 = 9 << 20;
    let dir = tempfile::tempdir().unwrap();
    let of = |value: &str| format!("CREATE TABLE t (id int PRIMARY KEY, v {value}; INSERT INTO t (id) VALUES (2)");
    let repeated = of(&format!("text); INSERT INTO t VALUES (1, repeat('x', {BYTES}))"));
    let one = Db::new(&postgres, Kind::Postgres, "bytes", &repeated).await.url();
    let other = Db::new(&mariadb, Kind::Mariadb, "bytes", &repeated.replace("v text", "v longtext")).await.url();
    let file = sqlite(&dir.path().join("bytes.db"), &of(&format!("text); INSERT INTO t VALUES (1, printf('%.*c', {BYTES}, 'x'))"))).await;
    for (url, name) in [(one, "postgres"), (other, "mariadb"), (file, "sqlite")] {
        let out = dir.path().join(name);
        captured(&url, out.clone(), CaptureMode::FirstRestore, TableRequest::default()).await.unwrap();
        let (result, findings) = compared(&url, &out, Restored::default()).await;
        assert_eq!((findings, result.rows.unwrap().matched), (vec![], 2), "{name}");
        assert!(result.bytes_checked > BYTES && result.bytes_checked < BYTES + 1_000, "{name}: {}", result.bytes_checked);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_live_databases_name_their_rows_and_columns() {
    let Some((postgres, mariadb)) = servers_of_both() else { return };
    for (server, kind) in [(&postgres, Kind::Postgres), (&mariadb, Kind::Mariadb)] {
        let sql = "CREATE TABLE t (id int PRIMARY KEY, a varchar(20), b int); INSERT INTO t VALUES (1, 'x', 1), (2, 'y', 2), (3, 'z', 3); \
                   CREATE TABLE gone (id int PRIMARY KEY); INSERT INTO gone VALUES (1); CREATE TABLE bag (x int); INSERT INTO bag VALUES (1), (1), (2)";
        let whole = Db::new(server, kind, "pair_whole", sql).await;
        let other = Db::new(server, kind, "pair_other", sql).await;
        assert_eq!(against(&other.url(), &whole.url(), None).await.1, []);
        other
            .run("UPDATE t SET a = 'w', b = 9 WHERE id = 1; DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (4, 'n', 4); DROP TABLE gone; DELETE FROM bag; INSERT INTO bag VALUES (1), (2), (2)")
            .await;
        let (result, findings) = against(&other.url(), &whole.url(), None).await;
        let places = places(&findings);
        for expected in [(Class::Mismatch, "t id=1"), (Class::Missing, "t id=2"), (Class::Extra, "t id=4"), (Class::Missing, "gone")] {
            assert!(places.contains(&(expected.0, expected.1.into())), "{expected:?} in {places:?}");
        }
        assert_eq!(places.iter().filter(|(_, place)| place.starts_with("bag #")).count(), 2);
        let changed = findings.iter().find(|finding| finding.class == Class::Mismatch).unwrap();
        assert!(changed.actual.as_deref().unwrap().ends_with("differs in a, b"), "{changed:?}");
        let rows = result.rows.unwrap();
        assert_eq!((rows.matched, rows.mismatch, rows.missing, rows.extra), (3, 1, 3, 2));
        assert_eq!(result.outcome(0).0, Outcome::Fail);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stamps_excuse_late_changes_in_bounded_modes_only() {
    let Some((postgres, mariadb)) = servers_of_both() else { return };
    let dir = tempfile::tempdir().unwrap();
    for (server, kind, of) in [(&postgres, Kind::Postgres, "timestamptz"), (&mariadb, Kind::Mariadb, "datetime(6)")] {
        let sql = format!(
            "CREATE TABLE t (id int PRIMARY KEY, v int, at {of}); INSERT INTO t VALUES (1, 1, '2026-01-01 00:00:00'), (2, 2, '2026-01-01 00:00:00'), (3, 3, '2026-01-01 00:00:00')"
        );
        let db = Db::new(server, kind, "stamps", &sql).await;
        let manifest = dir.path().join(format!("{kind:?}"));
        let tables = TableRequest { stamp: Some("at".into()), longest_transaction_s: 60, ..TableRequest::default() };
        captured(&db.url(), manifest.clone(), CaptureMode::PositionBounded, tables).await.unwrap();
        // Changed and stamped so; changed without a stamp; added; added with a stamp of the far future.
        db.run("UPDATE t SET v = 9, at = '2099-01-01 00:00:00' WHERE id = 1; UPDATE t SET v = 9 WHERE id = 2; INSERT INTO t VALUES (4, 4, '2099-01-01 00:00:00'), (5, 5, '2199-01-01 00:00:00'), (6, 6, '2026-01-01 00:00:00')").await;
        let at = Some("2100-01-01T00:00:00Z".parse().unwrap());
        let (result, findings) = compared(&db.url(), &manifest, Restored { at, to_the_second: true, ..Restored::default() }).await;
        let expected = [
            (Class::Mismatch, "t id=2".to_owned()),
            (Class::Extra, "t id=6".to_owned()),
            (Class::Future, "t id=5".to_owned()),
            (Class::Indeterminate, "t id=1".to_owned()),
            (Class::Indeterminate, "t id=4".to_owned()),
        ];
        assert_eq!(places(&findings), expected);
        let rows = result.rows.unwrap();
        assert_eq!((rows.matched, rows.mismatch, rows.indeterminate, rows.extra, rows.future), (1, 1, 2, 1, 1));
        assert!(rows.adds_up());
        // The same manifest, counted in an exact mode: nothing is excused.
        let (result, _) =
            compared(&db.url(), &manifest, Restored { at, mode: Some(CaptureMode::SnapshotExact), ..Restored::default() }).await;
        let rows = result.rows.unwrap();
        assert_eq!((rows.mismatch, rows.extra, rows.indeterminate), (2, 3, 0));
        // Only what a stamp excuses: within the budget of the policy it passes, beyond it it fails.
        db.run("UPDATE t SET v = 2 WHERE id = 2; DELETE FROM t WHERE id > 3").await;
        let (result, _) = compared(&db.url(), &manifest, Restored { at, to_the_second: true, ..Restored::default() }).await;
        assert_eq!((result.outcome(0).0, result.outcome(1).0), (Outcome::Fail, Outcome::Pass));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn definitions_beside_tables_are_compared() {
    let Some((postgres, mariadb)) = servers_of_both() else { return };
    let dir = tempfile::tempdir().unwrap();
    let table = "CREATE TABLE t (id int PRIMARY KEY NOT NULL, v int); INSERT INTO t VALUES (1, 1)";
    let in_postgres = Db::new(&postgres, Kind::Postgres, "defined", &format!("{table}; CREATE VIEW w AS SELECT id FROM t; CREATE SEQUENCE s INCREMENT 2; \
        CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TYPE e AS ENUM ('a'); CREATE INDEX i ON t (v); \
        CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER r BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION g()")).await;
    let in_mariadb = Db::new(
        &mariadb,
        Kind::Mariadb,
        "defined",
        &format!(
            "{table}; CREATE VIEW w AS SELECT id FROM t; \
        CREATE FUNCTION f() RETURNS int RETURN 1; CREATE TRIGGER r BEFORE UPDATE ON t FOR EACH ROW SET NEW.v = 2"
        ),
    )
    .await;
    let file = dir.path().join("defined.db");
    let in_sqlite = sqlite(
        &file,
        &format!(
            "{table}; CREATE VIEW w AS SELECT id FROM t; CREATE INDEX i ON t (v); CREATE TRIGGER r AFTER UPDATE ON t BEGIN SELECT 1; END"
        ),
    )
    .await;
    let changes = [
        (
            in_postgres.url(),
            "CREATE OR REPLACE VIEW w AS SELECT id + 0 AS id FROM t; ALTER SEQUENCE s INCREMENT 3; CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2'; \
            ALTER TYPE e ADD VALUE 'b'; DROP INDEX i; ALTER TABLE t DISABLE TRIGGER r; GRANT SELECT ON t TO PUBLIC; CREATE VIEW more AS SELECT 1",
            &[
                "grant public.t to PUBLIC",
                "index public.i",
                "routine public.f()",
                "sequence public.s",
                "trigger public.t.r",
                "type public.e",
                "view public.more",
                "view public.w",
            ][..],
        ),
        (
            in_mariadb.url(),
            "ALTER VIEW w AS SELECT id + 0 AS id FROM t; DROP FUNCTION f; DROP TRIGGER r; CREATE TRIGGER r BEFORE UPDATE ON t FOR EACH ROW SET NEW.v = 3",
            &["routine FUNCTION f", "trigger r", "view w"][..],
        ),
        (in_sqlite, "DROP VIEW w; DROP INDEX i; DROP TRIGGER r", &["index i", "trigger r", "view w"][..]),
    ];
    for (at, (url, change, expected)) in changes.into_iter().enumerate() {
        let manifest = dir.path().join(format!("m{at}"));
        captured(&url, manifest.clone(), CaptureMode::FirstRestore, TableRequest::default()).await.unwrap();
        assert_eq!(compared(&url, &manifest, Restored::default()).await.1, [], "{url}");
        match at {
            0 => in_postgres.run(change).await,
            1 => in_mariadb.run(change).await,
            _ => drop(sqlite(&file, change).await),
        }
        let (result, findings) = compared(&url, &manifest, Restored::default()).await;
        assert!(findings.iter().all(|finding| finding.class == Class::SchemaChanged));
        assert_eq!(places(&findings).iter().map(|(_, place)| place.as_str()).collect::<Vec<_>>(), expected, "{url}");
        assert_eq!((result.rows.unwrap().matched, result.outcome(0).0), (1, Outcome::Fail));
    }
    // Of another engine nothing is compared: rows as they are stored would all differ.
    let (of_postgres, elsewhere) = (Manifest::open(&dir.path().join("m0")).unwrap(), SourceUrl::Sqlite { path: file });
    let refused = compare_restored(&elsewhere, &access(), &of_postgres, &key(), Restored::default(), &Silent).await.unwrap_err();
    assert!(refused.kind == FailureKind::Invalid && refused.message.contains("its rows are of postgres"), "{refused}");
}

/// That a database is equal to itself proves nothing, whichever way each side comes to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_database_by_two_ways_is_told() {
    let Some((postgres, mariadb)) = servers_of_both() else { return };
    let sql = "CREATE TABLE t (id int PRIMARY KEY NOT NULL); INSERT INTO t VALUES (1)";
    for (server, kind, name) in [(&postgres, Kind::Postgres, "host"), (&mariadb, Kind::Mariadb, "socket")] {
        let db = Db::new(server, kind, "two_ways", sql).await;
        let other = Db::new(server, kind, "another", sql).await;
        // A reader without special rights.
        db.run(if kind == Kind::Postgres {
            "CREATE ROLE two_ways LOGIN PASSWORD 'r'"
        } else {
            "CREATE USER two_ways@'%' IDENTIFIED BY 'r'"
        })
        .await;
        for of in [&db, &other] {
            of.run(if kind == Kind::Postgres { "GRANT SELECT ON t TO two_ways" } else { "GRANT SELECT ON *.* TO two_ways@'%'" }).await;
        }
        let reader = as_user("two_ways", "r");
        let socket = server.socket();
        let socket = if kind == Kind::Postgres { socket.parent().unwrap() } else { &socket };
        let by_socket: SourceUrl = format!("{}?{name}={}", db.url(), socket.display()).parse().unwrap();
        let side = |url| Side { url, access: &reader };
        let monitor = Collected::default();
        let (by_port, other) = (db.url(), other.url());
        for (one, same) in [(&by_port, &by_socket), (&by_socket, &by_port), (&by_socket, &by_socket)] {
            let refused = dual::against(side(one), side(same), &key(), None, &monitor).await.unwrap_err();
            assert!(refused.message.contains("are the same database"), "{refused}");
        }
        let result = dual::against(side(&other), side(&by_socket), &key(), None, &monitor).await.unwrap();
        assert_eq!(result.rows.unwrap().matched, 1, "another one of the same server");
    }
}

fn attestore(args: &[&str]) -> (Option<i32>, String, serde_json::Value) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_attestore")).args(args).arg("--json").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let last = text.lines().last().map_or(serde_json::Value::Null, |line| serde_json::from_str(line).unwrap());
    (output.status.code(), text + &String::from_utf8_lossy(&output.stderr), last)
}

#[tokio::test]
async fn the_command_line_compares_two_databases_and_prints_rights() {
    let dir = tempfile::tempdir().unwrap();
    let sql = "CREATE TABLE t (id int PRIMARY KEY NOT NULL, n numeric); INSERT INTO t VALUES (1, 1.5), (2, 2)";
    let one = sqlite(&dir.path().join("one.db"), sql).await.to_string();
    let other = sqlite(&dir.path().join("other.db"), &sql.replace("(2, 2)", "(2, 3)")).await.to_string();
    let text = sqlite(&dir.path().join("text.db"), &sql.replace("numeric", "text").replace("1.5", "'1.50'").replace("2)", "'2')"))
        .await
        .to_string();
    std::fs::copy(dir.path().join("one.db"), dir.path().join("copy.db")).unwrap();
    let copy = SourceUrl::Sqlite { path: dir.path().join("copy.db") }.to_string();
    let (code, _, summary) = attestore(&["verify", &copy, "--against", &one]);
    assert_eq!((code, &summary["mode"], &summary["outcome"]), (Some(0), &"dual-path".into(), &"pass".into()), "{summary}");
    let (code, said, summary) = attestore(&["verify", &other, "--against", &one]);
    assert_eq!((code, &summary["rows"]["mismatch"]), (Some(1), &1.into()), "{said}");
    assert!(said.contains("t id=2") && said.contains("differs in n"), "{said}");
    assert_eq!(attestore(&["verify", &text, "--against", &one, "--logical"]).0, Some(0));
    for (args, wanted) in [
        (&["verify", &one, "--against", &copy, "--logical", "--type", "t.n=colour"][..], "unknown logical type `colour`"),
        (&["verify", &one], "--manifest"),
        (&["verify", &one, "--against", &one], "are the same database"),
        (&["verify", &one, "--against", &copy, "--include", "nope/**"], "leave --include out"),
        (&["verify", &one, "--against", &copy, "--max-bytes", "1"], "leave --max-bytes out"),
        (&["manifest", "create", &one, "--tier", "inventory", "--out", "m"], "leave --tier out"),
        (&["manifest", "create", &one, "--time-limit", "2s", "--out", "m"], "leave --time-limit out"),
        (&["verify", &one, "--against", "dir:x"], "not a SQL database"),
        (&["manifest", "create", &one, "--mode", "invariants", "--out", "m"], "invariants"),
    ] {
        let (code, said, _) = attestore(args);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(wanted), "{said}");
    }
    // A server that cannot be asked: the general form, and that it is one.
    let nobody = "postgres://127.0.0.1:9/crm";
    let (code, said, summary) = attestore(&["manifest", "create", nobody, "--show-grants", "reader"]);
    assert_eq!((code, &summary["connected"], &summary["outcome"]), (Some(5), &false.into(), &"inconclusive".into()), "{said}");
    assert!(summary["grants"].as_array().unwrap().iter().any(|line| line.as_str().unwrap().contains("SELECT ON ALL TABLES")), "{summary}");
    let (code, said, summary) = attestore(&["manifest", "create", &one, "--show-grants"]);
    assert_eq!((code, &summary["connected"]), (Some(0), &true.into()), "{said}");
}
