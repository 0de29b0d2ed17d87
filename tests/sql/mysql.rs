//! MariaDB for real: fingerprints, comparison, faults, checks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::servers::{self, Kind};
use crate::support::{Db, KillAfter, access, key, places};
use attestore::model::capture::CaptureMode;
use attestore::model::check::CheckOutcome;
use attestore::model::failure::FailureKind;
use attestore::model::finding::Class;
use attestore::model::outcome::Outcome;
use attestore::model::source_url::SourceUrl;
use attestore::monitor::Silent;
use attestore::verify::manifest::reader::Manifest;
use attestore::verify::sql::checks::pack::Pack;
use attestore::verify::sql::checks::recording;
use attestore::verify::sql::compare::database::compare;
use attestore::verify::sql::connect::access::Access;
use sqlx::{Connection, MySqlConnection};

/// Every type that has a rule, with its extremes, zero and partial dates among them.
pub const ALL_TYPES: &str = r#"
SET sql_mode = ''; SET time_zone = '+05:00';
CREATE TABLE all_types (
  id INT PRIMARY KEY, t1 TINYINT, u1 TINYINT UNSIGNED, b1 TINYINT(1), s2 SMALLINT, m3 MEDIUMINT, i8 BIGINT, u8 BIGINT UNSIGNED, f FLOAT, d DOUBLE, n DECIMAL(38, 10), n0 DECIMAL(65, 0),
  c CHAR(5), v VARCHAR(20), l1 VARCHAR(20) CHARACTER SET latin1, tx TEXT, lt LONGTEXT, bi BINARY(4), vb VARBINARY(9), bl BLOB, da DATE, dt DATETIME(6), ts TIMESTAMP(6) NULL, ti TIME(6), y YEAR,
  bt BIT(5), b64 BIT(64), e ENUM('a', 'b'), st SET('x', 'y', 'z'), j JSON, g GEOMETRY, uu UUID, ip INET6, gs INT AS (id + 1) STORED, gv INT AS (id + 2) VIRTUAL);
INSERT INTO all_types (id) VALUES (1);
INSERT INTO all_types (id, t1, u1, b1, s2, m3, i8, u8, f, d, n, n0, c, v, l1, tx, lt, bi, vb, bl, da, dt, ts, ti, y, bt, b64, e, st, j, g, uu, ip) VALUES
 (2, -128, 255, 1, -32768, -8388608, -9223372036854775808, 18446744073709551615, 16777217.5, -0e0, -1234567890123456789012345678.0123456789, 99999999999999999999999999999999999999999999999999999999999999999,
  'ab', 'x ', 'é', '😀', REPEAT('y', 100000), 'a', x'00ff', x'', '0000-00-00', '0000-00-00 00:00:00', '2026-01-01 05:00:00.000001', '-838:59:59.999999', 2155, b'10101', b'1', 'b', 'x,z', '{"a" : 1}',
  ST_GeomFromText('POINT(1 2)', 4326), 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '::1'),
 (3, 127, 0, 0, 32767, 8388607, 9223372036854775807, 0, 3.4e38, 1.7976931348623157e308, 0.0000000001, 0, '', '', '', '', '', '', '', NULL, '2026-02-00', '2026-00-00 01:02:03.5', NULL, '838:59:59', 0, b'0',
  b'1111111111111111111111111111111111111111111111111111111111111111', 'a', '', '[]', NULL, NULL, NULL),
 (4, 0, 1, 2, 0, 0, 0, 1, -0.0, 5e-324, 1.00, 1, 'NULL', 'A', 'a', 'a ', 'z', 'abcd', 'abc', x'00', '9999-12-31', '9999-12-31 23:59:59.999999', '2038-01-19 08:14:07', '00:00:00.000001', 1901, b'11111', b'10', NULL, NULL,
  'null', ST_GeomFromText('LINESTRING(0 0, 1 1)'), NULL, '10.0.0.1');
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_data_gives_the_same_fingerprint_and_every_type_is_read() {
    let Some(server) = servers::shared(Kind::Mariadb) else { return };
    let dir = tempfile::tempdir().unwrap();
    let one = Db::new(&server, Kind::Mariadb, "types_one", ALL_TYPES).await;
    let first = one.capture(&dir.path().join("a")).await.unwrap();
    let again = one.capture(&dir.path().join("b")).await.unwrap();
    assert_eq!(first.root, again.root);
    assert_eq!((first.counts["tables"], first.counts["rows"]), (1, 4));
    let other = Db::new(
        &server,
        Kind::Mariadb,
        "types_other",
        &ALL_TYPES.replace("+05:00", "+00:00").replace("05:00:00.000001", "00:00:00.000001").replace("08:14:07", "03:14:07"),
    )
    .await;
    other.run("DELETE FROM all_types WHERE id = 1; INSERT INTO all_types (id) VALUES (1); ALTER TABLE all_types FORCE").await;
    let (result, findings) = other.compare(&dir.path().join("a")).await;
    assert_eq!((findings, result.rows.unwrap().matched), (vec![], 4), "the session's time zone shows nowhere");
    // Values that a driver that decodes would call equal: NULL, the zero date, and a partial one.
    let position = first.position.unwrap();
    assert_eq!(position["tables"]["all_types"]["left_out"][0], "gv: virtual generated column");
    for change in [
        "da = NULL WHERE id = 2",
        "da = '2026-00-00' WHERE id = 3",
        "dt = NULL WHERE id = 2",
        "f = 16777220 WHERE id = 2",
        "u8 = u8 - 1 WHERE id = 2",
        "l1 = 'É' WHERE id = 2",
    ] {
        other
            .run(&format!(
                "SET sql_mode = ''; CREATE TABLE kept AS SELECT * FROM all_types; UPDATE all_types SET {change}; DROP TABLE kept"
            ))
            .await;
        let (_, findings) = other.compare(&dir.path().join("a")).await;
        assert!(findings.iter().any(|finding| finding.class == Class::Mismatch), "{change}");
        other
            .run(&format!(
                "DROP TABLE all_types; {}",
                ALL_TYPES.replace("+05:00", "+00:00").replace("05:00:00.000001", "00:00:00.000001").replace("08:14:07", "03:14:07")
            ))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_lost_and_surplus_rows_are_named() {
    let Some(server) = servers::shared(Kind::Mariadb) else { return };
    let dir = tempfile::tempdir().unwrap();
    let db = Db::new(
        &server,
        Kind::Mariadb,
        "named",
        "CREATE TABLE t (a INT, b VARCHAR(20), v TEXT, PRIMARY KEY (b, a)); INSERT INTO t SELECT seq, CONCAT('k ', seq), 'v' FROM seq_1_to_20000; \
         CREATE TABLE nokey (x INT); INSERT INTO nokey VALUES (1), (1), (2); CREATE TABLE empty (id INT PRIMARY KEY); \
         CREATE TABLE gone (id INT PRIMARY KEY); INSERT INTO gone VALUES (1), (2); CREATE VIEW w AS SELECT 1; \
         CREATE TABLE p (id INT PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 3; INSERT INTO p VALUES (1), (2)",
    )
    .await;
    let manifest = dir.path().join("m");
    let header = db.capture(&manifest).await.unwrap();
    assert_eq!((header.counts["tables"], header.counts["rows"]), (5, 20_007));
    db.run(
        "UPDATE t SET v = 'v ' WHERE a = 17; DELETE FROM t WHERE a = 18; INSERT INTO t VALUES (0, 'new', 'v'); \
         DELETE FROM nokey; INSERT INTO nokey VALUES (1), (2), (2); DROP TABLE gone; CREATE TABLE more (id INT); INSERT INTO more VALUES (5); \
         ALTER TABLE p MODIFY id BIGINT",
    )
    .await;
    let (result, findings) = db.compare(&manifest).await;
    let places = places(&findings);
    for expected in [
        (Class::Mismatch, "t a=17 b=\"k 17\""),
        (Class::Extra, "t a=0 b=new"),
        (Class::Missing, "gone"),
        (Class::Extra, "more"),
        (Class::SchemaChanged, "p"),
    ] {
        assert!(places.contains(&(expected.0, expected.1.into())), "{expected:?} in {places:?}");
    }
    let (tables, rows) = (result.tables.unwrap(), result.rows.unwrap());
    assert_eq!((tables.matched, tables.mismatch, tables.missing, tables.extra), (1, 3, 1, 1));
    assert_eq!((rows.mismatch, rows.missing, rows.extra), (1, 4, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_reached_is_denied_or_absent() {
    let Some(server) = servers::shared(Kind::Mariadb) else { return };
    let dir = tempfile::tempdir().unwrap();
    let db = Db::new(&server, Kind::Mariadb, "reach", "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)").await;
    let manifest = dir.path().join("m");
    db.capture(&manifest).await.unwrap();
    let opened = Manifest::open(&manifest).unwrap();
    let wrong = Access { password: Some("wrong".into()), ..Access::default() };
    let error = compare(&db.url(), &wrong, &opened, &key(), &Silent).await.unwrap_err();
    assert_eq!((error.kind, error.kind.exit_code().code()), (FailureKind::Denied, 4), "{error}");
    let absent: SourceUrl = server.url("nowhere").parse().unwrap();
    let error = compare(&absent, &access(), &opened, &key(), &Silent).await.unwrap_err();
    assert_eq!((error.kind, error.kind.exit_code().code()), (FailureKind::Absent, 4), "{error}");
    let nobody: SourceUrl = "mysql://tester@127.0.0.1:1/reach".parse().unwrap();
    let error = compare(&nobody, &access(), &opened, &key(), &Silent).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Network, "{error}");
}

/// The banking schema and a little data that satisfies every check.
const BANK: &str = "CREATE TABLE customers (id BIGINT PRIMARY KEY, name VARCHAR(120) NOT NULL, email VARCHAR(160) NOT NULL, created_at TIMESTAMP NOT NULL); \
     CREATE TABLE accounts (id BIGINT PRIMARY KEY, customer_id BIGINT NOT NULL, currency CHAR(3) NOT NULL, balance_minor BIGINT NOT NULL, updated_at TIMESTAMP NOT NULL, FOREIGN KEY (customer_id) REFERENCES customers (id)); \
     CREATE TABLE transactions (id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL, amount_minor BIGINT NOT NULL, kind VARCHAR(16) NOT NULL, booked_at TIMESTAMP NOT NULL, reference VARCHAR(80), \
     FOREIGN KEY (account_id) REFERENCES accounts (id)); CREATE TABLE counter (id TINYINT PRIMARY KEY AUTO_INCREMENT); INSERT INTO counter VALUES (5); CREATE VIEW seen AS SELECT id FROM customers; CREATE PROCEDURE used() SELECT COUNT(*) FROM customers; \
     INSERT INTO customers VALUES (1, 'A', 'a@example.com', UTC_TIMESTAMP()); INSERT INTO accounts VALUES (10, 1, 'SGD', 50, UTC_TIMESTAMP()); \
     INSERT INTO transactions VALUES (1, 10, 80, 'credit', UTC_TIMESTAMP(), NULL), (2, 10, -30, 'debit', UTC_TIMESTAMP(), 'x');";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_shipped_check_passes_and_fails() {
    let Some(server) = servers::shared(Kind::Mariadb) else { return };
    let packs = [Pack::load("structure-mysql").unwrap(), Pack::load("bank").unwrap()];
    let good = Db::new(&server, Kind::Mariadb, "bank_good", BANK).await;
    let indexes = recording::baselines(&good.url(), &access(), &packs, &BTreeMap::new(), (&key(), CaptureMode::SnapshotExact), &Silent)
        .await
        .unwrap();
    let indexes = indexes["structure.mysql-indexes"].as_str();
    let baselines = [("rows.customers", "1"), ("rows.accounts", "1"), ("rows.transactions", "2"), ("structure.mysql-indexes", indexes)];
    let results = good.check(&packs, &baselines).await;
    assert_eq!(results.len(), 16);
    assert!(results.values().all(|result| result.result == CheckOutcome::Pass), "{results:?}");
    let bad = Db::new(&server, Kind::Mariadb, "bank_bad", BANK).await;
    bad.run(
        "SET foreign_key_checks = 0; UPDATE accounts SET customer_id = 2; UPDATE transactions SET booked_at = '2020-01-01'; UPDATE transactions SET account_id = 11, kind = 'odd' WHERE id = 2; \
         ALTER TABLE accounts DROP INDEX customer_id; CREATE TABLE passing (id INT); CREATE VIEW lost AS SELECT id FROM passing; CREATE PROCEDURE lame() SELECT id FROM passing; DROP TABLE passing; \
         SET sql_mode = ''; CREATE TABLE dated (d DATE); INSERT INTO dated VALUES ('0000-00-00'), ('2026-00-10'), ('2026-01-01'), (NULL); INSERT INTO counter VALUES (127); CREATE TABLE broken (id INT PRIMARY KEY, v VARCHAR(10) CHARACTER SET latin1, KEY (v)) ENGINE = MyISAM; INSERT INTO broken VALUES (1, 'a'), (2, 'b'), (3, 'c'); FLUSH TABLES",
    )
    .await;
    // MyISAM keeps rows and keys in two files: rows that vanish from one are what CHECK TABLE is for.
    let file = server.data().join("bank_bad").join("broken.MYD");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let baselines = [("rows.customers", "2"), ("rows.accounts", "2"), ("rows.transactions", "3"), ("structure.mysql-indexes", indexes)];
    let results = bad.check(&packs, &baselines).await;
    let lame = &results["structure.mysql-routines"];
    let lacking = [("routine".to_owned(), "procedure lame".to_owned()), ("lacking".to_owned(), "passing".to_owned())];
    assert_eq!(lame.rows, [lacking], "{lame:?}");
    let zero = &results["structure.mysql-zero-dates"];
    assert_eq!((zero.actual.as_deref(), zero.rows[0][0].1.as_str()), (Some("2"), "dated.d"), "{zero:?}");
    assert!(results.values().all(|result| result.result == CheckOutcome::Fail), "{results:?}");
    let none = Db::new(&server, Kind::Mariadb, "bank_none", "SELECT 1").await.check(&packs, &[]).await;
    assert_eq!(none["structure.mysql-check-table"].result, CheckOutcome::Vacuous);
    assert_eq!(none["bank.ledger-balances"].result, CheckOutcome::Error);
    let structural = |id: &&String| id.starts_with("structure.") && *id != "structure.mysql-indexes";
    assert!(none.keys().filter(structural).all(|id| none[id].result == CheckOutcome::Vacuous), "{none:?}");
    // No manifest holds its indexes, nothing refers to anything: no fault of a sound database.
    let plain = Db::new(&server, Kind::Mariadb, "bank_plain", "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)").await;
    let plain = plain.check(&packs[..1], &[]).await;
    assert!(plain.values().all(|result| result.result == CheckOutcome::Pass || !result.counts()), "{plain:?}");
    assert!(plain["structure.mysql-orphans"].not_applicable && plain["structure.mysql-indexes"].not_applicable, "{plain:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_can_neither_write_nor_run_for_ever() {
    let Some(server) = servers::shared(Kind::Mariadb) else { return };
    let db = Db::new(&server, Kind::Mariadb, "fences", "CREATE TABLE t (id INT PRIMARY KEY)").await;
    let mut pack = Pack::load("structure-mysql").unwrap();
    pack.checks.retain(|check| check.each.is_none());
    pack.checks.truncate(1);
    pack.checks[0].looks_at = None;
    for sql in ["INSERT INTO t VALUES (1)", "DROP TABLE t", "CREATE TABLE x (id INT)", "SELECT 1; DROP TABLE t", "TRUNCATE t"] {
        pack.checks[0].sql = sql.into();
        let results = db.check(&[pack.clone()], &[]).await;
        assert!(results.values().all(|result| result.result == CheckOutcome::Error), "{sql}: {results:?}");
    }
    pack.checks[0].sql = "SELECT SUM(a.seq * b.seq) FROM seq_1_to_100000 a, seq_1_to_100000 b".into();
    pack.checks[0].timeout = std::time::Duration::from_secs(1);
    let results = db.check(&[pack], &[]).await;
    let result = results.values().next().unwrap();
    assert_eq!(result.result, CheckOutcome::Error);
    assert!(result.reason.as_ref().unwrap().contains("max_statement_time"), "{result:?}");
    assert_eq!(db.capture(&tempfile::tempdir().unwrap().path().join("m")).await.unwrap().counts["tables"], 1);
}

/// MariaDB answers that a table is well where its check was interrupted, and has lines like those of damage where somebody holds a lock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_could_not_be_looked_at_is_neither_well_nor_damaged() {
    for kind in [Kind::Mariadb, Kind::Mysql] {
        let Some(server) = servers::shared(kind) else { continue };
        let db = Db::new(&server, kind, "unlooked", "CREATE TABLE t (id INT PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b')")
            .await;
        let mut pack = Pack::load("structure-mysql").unwrap();
        pack.checks.retain(|check| check.id == "structure.mysql-check-table");
        let run = async |timeout: Duration| {
            let mut pack = pack.clone();
            pack.checks[0].timeout = timeout;
            db.check(&[pack], &[]).await.remove("structure.mysql-check-table").unwrap()
        };
        assert_eq!(run(Duration::from_secs(600)).await.result, CheckOutcome::Pass);
        let cut = run(Duration::from_micros(1)).await;
        assert_eq!(cut.result, CheckOutcome::Error, "{cut:?}");
        if kind == Kind::Mysql {
            // Its own limit does not hold there: the lock would be waited for half a minute longer.
            continue;
        }
        let mut holder = MySqlConnection::connect(&server.full_url("unlooked")).await.unwrap();
        sqlx::raw_sql("LOCK TABLES t WRITE").execute(&mut holder).await.unwrap();
        let locked = run(Duration::from_secs(1)).await;
        assert_eq!((locked.result, locked.rows.len()), (CheckOutcome::Error, 0), "{locked:?}");
        holder.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copied_data_directory_is_the_same_and_a_killed_server_is_unreadable() {
    let Some(server) = servers::own(Kind::Mariadb).map(Arc::new) else { return };
    let dir = tempfile::tempdir().unwrap();
    let sql = "CREATE TABLE big (id INT PRIMARY KEY, v TEXT); INSERT INTO big SELECT seq, REPEAT(seq, 40) FROM seq_1_to_120000; CREATE TABLE other (id INT PRIMARY KEY); INSERT INTO other VALUES (1)";
    let db = Db::new(&server, Kind::Mariadb, "crm", sql).await;
    let manifest = dir.path().join("m");
    db.capture(&manifest).await.unwrap();
    server.stop();
    let copy = Arc::new(server.copy());
    let db = Db { server: copy.clone(), kind: Kind::Mariadb, name: "crm".into() };
    let (result, findings) = db.compare(&manifest).await;
    assert_eq!((findings, result.rows.unwrap().matched), (vec![], 120_001));
    let monitor = KillAfter::new(copy);
    let opened = Manifest::open(&manifest).unwrap();
    let result = compare(&db.url(), &access(), &opened, &key(), &monitor).await.unwrap();
    let findings = monitor.findings.findings();
    // Nothing more is asked of a server that is gone: what was not looked at is neither right nor wrong.
    assert!(findings.iter().all(|finding| finding.class == Class::Unreadable) && !findings.is_empty(), "{findings:?}");
    assert_eq!(findings[0].place.parts().1, "big");
    let rows = result.rows.unwrap();
    assert_eq!(
        (rows.unreadable, rows.mismatch, rows.missing, result.cut_short.is_some()),
        (120_001, 0, 0, true),
        "not reached is expected too"
    );
    assert_eq!(result.outcome(0).0, attestore::model::outcome::Outcome::Inconclusive);
}

/// Two values print as the empty text: the label that is empty, and the error value, which is no label.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_error_value_of_an_enum_is_no_empty_label() {
    let Some(server) = servers::shared(Kind::Mariadb) else { return };
    let dir = tempfile::tempdir().unwrap();
    let sql = "SET sql_mode = ''; CREATE TABLE t (id INT PRIMARY KEY, e ENUM('a', '', 'q''s') CHARACTER SET latin1, p ENUM('a'), s SET('', 'x'), k SET('a'));\
         INSERT INTO t VALUES (1, '', 'a', 1, ''), (2, 0, 0, 0, 0), (3, 'q''s', 'a', 2, 'a'), (4, NULL, NULL, NULL, NULL), (5, 'a', 'a', 3, 'a');\
         CREATE TABLE keyed (e ENUM('', 'b') PRIMARY KEY, v INT); INSERT INTO keyed VALUES (0, 1), (1, 2), (2, 3)";
    let db = Db::new(&server, Kind::Mariadb, "labels", sql).await;
    db.capture(&dir.path().join("m")).await.unwrap();
    let same = Db::new(&server, Kind::Mariadb, "labels_same", sql).await;
    assert_eq!(same.compare(&dir.path().join("m")).await.1, []);
    for (change, back) in [
        ("UPDATE t SET e = 0 WHERE id = 1", "UPDATE t SET e = '' WHERE id = 1"),
        ("UPDATE t SET e = '' WHERE id = 2", "UPDATE t SET e = 0 WHERE id = 2"),
        ("UPDATE t SET s = 0 WHERE id = 1", "UPDATE t SET s = 1 WHERE id = 1"),
        ("UPDATE t SET s = 3 WHERE id = 3", "UPDATE t SET s = 2 WHERE id = 3"),
    ] {
        db.run(&format!("SET sql_mode = ''; {change}")).await;
        let (_, findings) = db.compare(&dir.path().join("m")).await;
        assert!(matches!(places(&findings)[..], [(Class::Mismatch, _)]), "{change}: {findings:?}");
        db.run(&format!("SET sql_mode = ''; {back}")).await;
        assert_eq!(db.compare(&dir.path().join("m")).await.1, [], "{back}");
    }
}

/// What rows were before they were replaced or deleted is data of a system-versioned table. A dump leaves it out unless it is told not to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_history_of_versioned_tables_is_compared() {
    let Some(server) = servers::shared(Kind::Mariadb) else { return };
    let dir = tempfile::tempdir().unwrap();
    let sql = "CREATE TABLE plain (id INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING; INSERT INTO plain VALUES (1, 1), (2, 2); UPDATE plain SET v = 9; DELETE FROM plain WHERE id = 2;\
         CREATE TABLE named (id INT PRIMARY KEY, v INT, since TIMESTAMP(6) GENERATED ALWAYS AS ROW START, until TIMESTAMP(6) GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (since, until)) WITH SYSTEM VERSIONING;\
         INSERT INTO named (id, v) VALUES (1, 1); UPDATE named SET v = 2; CREATE TABLE keyless (v INT) WITH SYSTEM VERSIONING; INSERT INTO keyless VALUES (1), (1); DELETE FROM keyless;\
         CREATE TABLE other (id INT PRIMARY KEY)";
    let db = Db::new(&server, Kind::Mariadb, "versioned", sql).await;
    let manifest = dir.path().join("m");
    let header = db.capture(&manifest).await.unwrap();
    assert_eq!(header.baselines["rows.plain"], "1");
    assert_eq!((header.baselines["rows.plain (history)"].as_str(), header.baselines["rows.keyless (history)"].as_str()), ("4", "2"));
    // A server that shows its tables as they were: nothing of that is to be seen.
    db.run("SET GLOBAL system_versioning_asof = '2020-01-01'").await;
    let seen = db.compare(&manifest).await;
    db.run("SET GLOBAL system_versioning_asof = DEFAULT").await;
    assert_eq!((seen.1, seen.0.rows.unwrap().matched), (vec![], header.counts["rows"]));
    // The same rows of today, loaded as a dump without history loads them.
    let today = Db::new(
        &server,
        Kind::Mariadb,
        "versioned_today",
        "CREATE TABLE plain (id INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING; INSERT INTO plain VALUES (1, 9)",
    )
    .await;
    let (result, findings) = today.compare(&manifest).await;
    let of_plain: Vec<_> =
        findings.iter().filter(|finding| finding.place.parts().1.starts_with("plain")).map(|finding| finding.class).collect();
    assert_eq!(of_plain.iter().filter(|class| **class == Class::Missing).count(), 3, "{findings:?}");
    assert_eq!(result.outcome(0).0, Outcome::Fail);
    // Its history deleted, and nothing else.
    db.run("DELETE HISTORY FROM plain; DELETE HISTORY FROM keyless").await;
    let (result, findings) = db.compare(&manifest).await;
    assert_eq!(result.rows.unwrap().missing, 5, "{findings:?}");
    assert!(places(&findings).iter().all(|(class, place)| *class == Class::Missing && place.contains(" (history) ")), "{findings:?}");
    assert!(
        places(&findings).iter().any(|(_, place)| place.starts_with("plain (history) id=2 ") || place.starts_with("plain (history) #")),
        "{findings:?}"
    );
    // Versioning ended.
    db.run("ALTER TABLE plain DROP SYSTEM VERSIONING").await;
    let (_, findings) = db.compare(&manifest).await;
    assert!(places(&findings).contains(&(Class::Missing, "plain (history)".into())), "{findings:?}");
}

/// Keys in another character set, and those that are bytes, are shown as what they are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_are_no_utf_8_are_shown() {
    let Some(server) = servers::shared(Kind::Mariadb) else { return };
    let dir = tempfile::tempdir().unwrap();
    let sql = "SET NAMES utf8mb4; CREATE TABLE lat (id VARCHAR(9) CHARACTER SET latin1 PRIMARY KEY, v INT); INSERT INTO lat VALUES ('é', 1); \
         CREATE TABLE raw (id VARBINARY(9) PRIMARY KEY, v INT); INSERT INTO raw VALUES (x'00ff', 1)";
    let db = Db::new(&server, Kind::Mariadb, "shown", sql).await;
    db.capture(&dir.path().join("m")).await.unwrap();
    db.run("UPDATE lat SET v = 2; UPDATE raw SET v = 2").await;
    let (_, findings) = db.compare(&dir.path().join("m")).await;
    assert_eq!(places(&findings), [(Class::Mismatch, "lat id=x'e9'".into()), (Class::Mismatch, "raw id=x'00ff'".into())]);
}

/// A server may end every answer after some rows: what is read is everything all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_of_the_server_cuts_nothing() {
    let Some(server) = servers::own(Kind::Mariadb).map(Arc::new) else { return };
    let tables: String =
        (0..5).map(|at| format!("CREATE TABLE t{at} (id int PRIMARY KEY); INSERT INTO t{at} VALUES (1), (2), (3), (4), (5);")).collect();
    let db = Db::new(&server, Kind::Mariadb, "cut", &tables).await;
    db.run("SET GLOBAL sql_select_limit = 2; SET GLOBAL max_join_size = 3").await;
    let dir = tempfile::tempdir().unwrap();
    let header = db.capture(&dir.path().join("m")).await.unwrap();
    assert_eq!((header.counts["tables"], header.counts["rows"]), (5, 25));
    db.run("DELETE FROM t4 WHERE id > 2").await;
    let (result, _) = db.compare(&dir.path().join("m")).await;
    assert_eq!((result.tables.unwrap().matched, result.rows.unwrap().missing), (4, 3));
    let mut pack = Pack::load("structure-mysql").unwrap();
    pack.checks.retain(|check| check.each.is_none());
    pack.checks.truncate(1);
    pack.checks[0].looks_at = None;
    pack.checks[0].sql = "SELECT a.id FROM t0 a, t1 b".into();
    let results = db.check(&[pack], &[]).await;
    assert_eq!(results.values().next().unwrap().actual.as_deref(), Some("25"), "{results:?}");
}
