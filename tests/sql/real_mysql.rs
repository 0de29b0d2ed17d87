//! MySQL for real: every type, logins, large rows, definitions, and what a reader of it needs. Skipped visibly where none is installed,
//! unless `ATTESTORE_REQUIRE` names `mysql`.

use crate::servers::{self, Kind};
use crate::support::{Db, access, as_user, key, places};
use attestore::model::capture::CaptureMode;
use attestore::model::failure::FailureKind;
use attestore::model::finding::Class;
use attestore::model::outcome::Outcome;
use attestore::monitor::Silent;
use attestore::verify::manifest::request::CaptureRequest;
use attestore::verify::sql::capture::capture;

const ALL_TYPES: &str = r#"
SET sql_mode = ''; SET time_zone = '+05:00';
CREATE TABLE all_types (
  id INT PRIMARY KEY, t1 TINYINT, u1 TINYINT UNSIGNED, b1 TINYINT(1), s2 SMALLINT, m3 MEDIUMINT, i8 BIGINT, u8 BIGINT UNSIGNED, f FLOAT, d DOUBLE, n DECIMAL(38, 10), n0 DECIMAL(65, 0),
  c CHAR(5), v VARCHAR(20), l1 VARCHAR(20) CHARACTER SET latin1, k VARCHAR(20) COLLATE utf8mb4_ja_0900_as_cs, tx TEXT, lt LONGTEXT, bi BINARY(4), vb VARBINARY(9), bl BLOB, da DATE, dt DATETIME(6),
  ts TIMESTAMP(6) NULL, ti TIME(6), y YEAR, bt BIT(5), b64 BIT(64), e ENUM('a', 'b'), st SET('x', 'y', 'z'), j JSON, g GEOMETRY, p POINT SRID 4326, gs INT AS (id + 1) STORED, gv INT AS (id + 2) VIRTUAL,
  unseen INT INVISIBLE DEFAULT 5);
INSERT INTO all_types (id) VALUES (1);
INSERT INTO all_types (id, t1, u1, b1, s2, m3, i8, u8, f, d, n, n0, c, v, l1, k, tx, lt, bi, vb, bl, da, dt, ts, ti, y, bt, b64, e, st, j, g, p) VALUES
 (2, -128, 255, 1, -32768, -8388608, -9223372036854775808, 18446744073709551615, 16777217.5, -0e0, -1234567890123456789012345678.0123456789, 99999999999999999999999999999999999999999999999999999999999999999,
  'ab', 'x ', 'é', 'ア', '😀', REPEAT('y', 100000), 'a', x'00ff', x'', '0000-00-00', '0000-00-00 00:00:00', '2026-01-01 05:00:00.000001', '-838:59:59.000000', 2155, b'10101', b'1', 'b', 'x,z',
  '{"b": 18446744073709551615, "a": [1, 2.50, 1e100, "x\\n\\u00e9", null, true, -9223372036854775808]}', ST_GeomFromText('POINT(1 2)', 4326), ST_GeomFromText('POINT(10 20)', 4326)),
 (3, 127, 0, 0, 32767, 8388607, 9223372036854775807, 0, 3.4e38, 1.7976931348623157e308, 0.0000000001, 0, '', '', '', '', '', '', '', '', NULL, '2026-02-00', '2026-00-00 01:02:03.5', NULL, '838:59:59', 0, b'0',
  b'1111111111111111111111111111111111111111111111111111111111111111', 'a', '', '[]', NULL, NULL),
 (4, 0, 1, 2, 0, 0, 0, 1, -0.0, 5e-324, 1.00, 1, 'NULL', 'A', 'a', 'あ', 'a ', 'z', 'abcd', 'abc', x'00', '9999-12-31', '9999-12-31 23:59:59.999999', '2038-01-19 08:14:07', '00:00:00.000001', 1901, b'11111', b'10', NULL, NULL,
  'null', ST_GeomFromText('LINESTRING(0 0, 1 1)'), NULL);
SET sql_generate_invisible_primary_key = ON; CREATE TABLE keyless (a INT); INSERT INTO keyless VALUES (5), (6), (5);
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_type_of_mysql_is_read_and_one_value_counts() {
    let Some(server) = servers::shared(Kind::Mysql) else { return };
    let dir = tempfile::tempdir().unwrap();
    let one = Db::new(&server, Kind::Mysql, "types_one", ALL_TYPES).await;
    let first = one.capture(&dir.path().join("a")).await.unwrap();
    assert_eq!(one.capture(&dir.path().join("b")).await.unwrap().root, first.root);
    assert_eq!((first.counts["tables"], first.counts["rows"]), (2, 7));
    let other = ALL_TYPES.replace("+05:00", "+00:00").replace("05:00:00.000001", "00:00:00.000001").replace("08:14:07", "03:14:07");
    let other = Db::new(&server, Kind::Mysql, "types_other", &other).await;
    let (result, findings) = other.compare(&dir.path().join("a")).await;
    assert_eq!((findings, result.rows.unwrap().matched), (vec![], 7), "the session's time zone shows nowhere");
    // Values that a driver that decodes would call equal, and those of types that only MySQL has so.
    for change in [
        "da = NULL",
        "da = '2026-01-00'",
        "d = 0e0",
        "u8 = 18446744073709551614",
        "v = 'x'",
        "k = 'あ'",
        "j = JSON_SET(j, '$.b', 18446744073709551614)",
        "j = JSON_SET(j, '$.a[1]', 2.5e0 + 1e-15)",
        "j = JSON_SET(j, '$.a[4]', 'null')",
        "j = NULL",
        "g = ST_GeomFromText('POINT(1 2)', 0)",
        "p = ST_GeomFromText('POINT(10.000000001 20)', 4326)",
        "unseen = 6",
        "ts = '2026-01-01 00:00:00.000002'",
    ] {
        other.run(&format!("SET sql_mode = ''; UPDATE all_types SET {change} WHERE id = 2")).await;
        let (result, findings) = other.compare(&dir.path().join("a")).await;
        assert_eq!((result.rows.unwrap().mismatch, findings.len()), (1, 1), "{change}: {findings:?}");
        other.run("DELETE FROM all_types WHERE id = 2").await;
        let columns = "id, t1, u1, b1, s2, m3, i8, u8, f, d, n, n0, c, v, l1, k, tx, lt, bi, vb, bl, da, dt, ts, ti, y, bt, b64, e, st, j, g, p, unseen";
        let back = format!("SET sql_mode = ''; INSERT INTO all_types ({columns}) SELECT {columns} FROM types_one.all_types WHERE id = 2");
        other.run(&back).await;
    }
    assert_eq!(other.compare(&dir.path().join("a")).await.1, []);
    other.run("UPDATE keyless SET a = 7 LIMIT 1").await;
    assert_eq!(other.compare(&dir.path().join("a")).await.0.rows.unwrap().mismatch, 1, "by the key that the server made");
}

/// Vectors are from 9.0 on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vectors_of_mysql_are_read_to_the_last_bit() {
    let Some(server) = servers::shared(Kind::Mysql).filter(|_| servers::version(Kind::Mysql) >= vec![9, 0]) else { return };
    let dir = tempfile::tempdir().unwrap();
    let sql = "CREATE TABLE v (id INT PRIMARY KEY, e VECTOR(4)); INSERT INTO v VALUES (1, STRING_TO_VECTOR('[1,2,3,4.5]')), (2, NULL)";
    let db = Db::new(&server, Kind::Mysql, "vectors", sql).await;
    db.capture(&dir.path().join("m")).await.unwrap();
    assert_eq!(db.compare(&dir.path().join("m")).await.0.outcome(0).0, Outcome::Pass);
    db.run("UPDATE v SET e = STRING_TO_VECTOR('[1,2,3,4.5000005]') WHERE id = 1").await;
    assert_eq!(db.compare(&dir.path().join("m")).await.0.rows.unwrap().mismatch, 1);
}

/// Values beyond the 16 MiB of one packet, and beyond what the server would send to a client that asks for less.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_rows_of_mysql_are_read_whole() {
    let Some(server) = servers::shared(Kind::Mysql) else { return };
    let dir = tempfile::tempdir().unwrap();
    let sql = "CREATE TABLE big (id INT PRIMARY KEY, b LONGBLOB, t LONGTEXT); \
        INSERT INTO big VALUES (1, REPEAT('x', 16777215), 'a'), (2, REPEAT('y', 20971520), REPEAT('ä', 9000000)), (3, '', NULL)";
    let db = Db::new(&server, Kind::Mysql, "large_rows", sql).await;
    let header = db.capture(&dir.path().join("m")).await.unwrap();
    assert_eq!(header.counts["rows"], 3);
    assert_eq!(db.compare(&dir.path().join("m")).await.0.outcome(0).0, Outcome::Pass);
    db.run("UPDATE big SET b = CONCAT(LEFT(b, 20971519), 'z') WHERE id = 2").await;
    let (result, findings) = db.compare(&dir.path().join("m")).await;
    assert_eq!((result.rows.unwrap().mismatch, result.rows.unwrap().matched, findings.len()), (1, 2, 1), "{findings:?}");
}

/// The password itself is asked for once, in TLS; after that the server knows its hash. A wrong one is told as that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_of_mysql_by_both_paths_and_the_ways_they_fail() {
    let Some(server) = servers::shared(Kind::Mysql) else { return };
    let dir = tempfile::tempdir().unwrap();
    let sql = "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1); CREATE USER fresh@'%' IDENTIFIED WITH caching_sha2_password BY 'pä\\'ss'; \
        GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON logins.* TO fresh@'%'; CREATE USER in_tls@'%' IDENTIFIED BY 'r' REQUIRE SSL; \
        GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON logins.* TO in_tls@'%'; CREATE USER locked@'%' IDENTIFIED BY 'r' ACCOUNT LOCK; \
        CREATE USER expired@'%' IDENTIFIED BY 'r' PASSWORD EXPIRE; GRANT SELECT ON logins.* TO expired@'%'";
    let db = Db::new(&server, Kind::Mysql, "logins", sql).await;
    let plain = format!("{}?ssl-mode=disabled", server.url("logins"));
    let out = |name: &str| CaptureRequest::new(dir.path().join(name), CaptureMode::SnapshotExact);
    let by = async |url: &str, user: &str, password: &str, name: &str| {
        capture(&url.parse().unwrap(), &as_user(user, password), &out(name), &key(), None, &Silent).await
    };
    let (url, said) = (server.url("logins"), "it asks for it in TLS");
    let unknown = by(&plain, "fresh", "pä'ss", "unknown").await.unwrap_err();
    assert!(unknown.to_string().contains(said), "{unknown}");
    by(&url, "fresh", "pä'ss", "full").await.unwrap();
    by(&url, "fresh", "pä'ss", "fast").await.unwrap();
    by(&plain, "fresh", "pä'ss", "fast_plain").await.unwrap();
    let wrong = by(&url, "fresh", "pass", "wrong").await.unwrap_err();
    assert_eq!(wrong.kind, FailureKind::Denied, "{wrong}");
    by(&url, "in_tls", "r", "in_tls").await.unwrap();
    for (url, user) in [(&plain, "in_tls"), (&url, "locked"), (&url, "expired"), (&url, "nobody")] {
        let refused = by(url, user, "r", &format!("refused_{user}")).await.unwrap_err();
        assert_eq!(refused.kind, FailureKind::Denied, "{user}: {refused}");
        assert!(!refused.to_string().contains("'r'"), "{refused}");
    }
    // A certificate that the server made itself proves nothing to whoever asks for proof.
    let proof = by(&format!("{url}?ssl-mode=VERIFY_IDENTITY"), "fresh", "pä'ss", "proof").await.unwrap_err();
    assert!(proof.to_string().to_lowercase().contains("certificate"), "{proof}");
    drop(db);
}

/// What the program prints that a reader needs is enough, and all that is compared is in its sight but others' grants.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_printed_for_this_mysql_database_is_enough() {
    let Some(server) = servers::shared(Kind::Mysql) else { return };
    let dir = tempfile::tempdir().unwrap();
    let sql = "CREATE TABLE a (id INT PRIMARY KEY); INSERT INTO a VALUES (1); CREATE VIEW w AS SELECT id FROM a; CREATE PROCEDURE p(x INT) SELECT x; \
        CREATE TRIGGER tr BEFORE INSERT ON a FOR EACH ROW SET NEW.id = 1; CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1; \
        CREATE ROLE shop_reading; CREATE USER granted@'%' IDENTIFIED BY 'r', by_role@'%' IDENTIFIED BY 'r'";
    let db = Db::new(&server, Kind::Mysql, "sh_op", sql).await;
    let neighbour = Db::new(&server, Kind::Mysql, "shxop", "CREATE TABLE a (id INT PRIMARY KEY)").await;
    for account in ["granted@%", "shop_reading@%"] {
        let grants = attestore::verify::sql::grants::needed(&db.url(), &access(), account).await.unwrap();
        for statement in grants.statements.iter().filter(|line| !line.starts_with("--")) {
            db.run(statement).await;
        }
    }
    // A role of today counts as soon as it is active by itself.
    db.run("GRANT shop_reading TO by_role@'%'; SET DEFAULT ROLE ALL TO by_role@'%'").await;
    for user in ["granted", "by_role"] {
        let manifest = dir.path().join(user);
        let header = db.capture_as(&as_user(user, "r"), &manifest).await.unwrap();
        let hidden = header.position.as_ref().unwrap()["definitions"]["not shown"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(hidden, ["grant"], "{user}");
        assert_eq!(db.compare_as(&as_user(user, "r"), &manifest).await.unwrap().0.outcome(0).0, Outcome::Pass, "{user}");
        assert_eq!(neighbour.capture_as(&as_user(user, "r"), &dir.path().join("n")).await.unwrap_err().kind, FailureKind::Denied, "{user}");
    }
    db.run("DROP PROCEDURE p; CREATE PROCEDURE p(x INT) SELECT x + 1").await;
    let (_, findings) = db.compare_as(&as_user("by_role", "r"), &dir.path().join("by_role")).await.unwrap();
    assert_eq!(places(&findings), [(Class::SchemaChanged, "routine PROCEDURE p".into())]);
}
