//! What a database of MariaDB or MySQL defines: every change is found and named; grants where there are some; numbers handed out ahead.

use std::sync::Arc;

use crate::definitions::support::{against_database, against_manifest, beside_each_other, done, left_out, tool, unlike};
use crate::servers::{self, Kind};
use crate::support::{Db, access, key, run};
use attestore::model::capture::CaptureMode;
use attestore::model::outcome::Outcome;
use attestore::monitor::Silent;
use attestore::verify::manifest::request::CaptureRequest;
use attestore::verify::sql::capture::capture;

pub const MARIADB: &str = "
CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (1);
CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, a int DEFAULT 42, b varchar(20), doc longtext CHECK (json_valid(doc)), v int AS (a + 1) VIRTUAL,
 s int AS (a * 2) STORED, at timestamp DEFAULT current_timestamp ON UPDATE current_timestamp, p int,
 CONSTRAINT fk FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE, KEY b_first (b(3)), CONSTRAINT positive CHECK (a > 0));
INSERT INTO t (a, b, at, p) VALUES (1, 'x', '2026-01-01', 1);
CREATE TABLE part (id int PRIMARY KEY) PARTITION BY RANGE (id) (PARTITION low VALUES LESS THAN (10), PARTITION high VALUES LESS THAN (20));
CREATE VIEW vv AS SELECT a FROM t; CREATE SEQUENCE sq START WITH 500 NOCACHE; SELECT NEXT VALUE FOR sq;
CREATE PROCEDURE pr(IN x int) SELECT x; CREATE FUNCTION f(x int) RETURNS int DETERMINISTIC RETURN x;
CREATE TABLE counted (id int AUTO_INCREMENT PRIMARY KEY, b text, c int UNIQUE, KEY ignorable (c)); INSERT INTO counted VALUES (300, 'x', 1), (5000, 'y', 2); DELETE FROM counted WHERE id = 5000;
CREATE TABLE places (id int PRIMARY KEY, p point REF_SYSTEM_ID = 4326); CREATE ALGORITHM = MERGE VIEW merged AS SELECT a FROM t;
CREATE TRIGGER tr BEFORE INSERT ON parent FOR EACH ROW SET NEW.id = NEW.id; CREATE EVENT ev ON SCHEDULE EVERY 1 YEAR STARTS '2026-01-01' DO SELECT 1;
";

const MARIADB_CHANGES: &[(&str, &[&str])] = &[
    ("ALTER TABLE t ADD CONSTRAINT more CHECK (a < 100)", &["check t.more"]),
    ("ALTER TABLE t DROP CONSTRAINT positive", &["check t.positive"]),
    ("ALTER TABLE t MODIFY doc longtext", &["check t.doc"]),
    ("CREATE INDEX more ON t (a)", &["index t.more"]),
    ("DROP INDEX b_first ON t", &["index t.b_first"]),
    ("DROP INDEX b_first ON t; CREATE INDEX b_first ON t (b(4))", &["index t.b_first"]),
    ("ALTER TABLE part REMOVE PARTITIONING", &["partition part.high", "partition part.low", "table part"]),
    ("ALTER TABLE part REORGANIZE PARTITION high INTO (PARTITION high VALUES LESS THAN (30))", &["partition part.high"]),
    ("ALTER TABLE part ENGINE = Aria", &["table part"]),
    ("ALTER TABLE t ALTER a SET DEFAULT 43", &["column t.a"]),
    ("ALTER TABLE t MODIFY at timestamp DEFAULT current_timestamp", &["column t.at"]),
    ("ALTER TABLE t MODIFY b varchar(20) INVISIBLE", &["column t.b"]),
    ("ALTER TABLE t MODIFY v int AS (a + 2) VIRTUAL", &["column t.v"]),
    ("ALTER TABLE t DROP FOREIGN KEY fk; ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (p) REFERENCES parent (id)", &["foreign key t.fk"]),
    ("ALTER SQL SECURITY INVOKER VIEW vv AS SELECT a FROM t", &["view vv"]),
    ("ALTER EVENT ev DISABLE", &["event ev"]),
    ("DROP SEQUENCE sq", &["sequence sq"]),
    ("ALTER SEQUENCE sq RESTART 100", &["sequence position sq"]),
    ("ALTER SEQUENCE sq CACHE 5", &["sequence cache sq"]),
    ("SET NAMES latin1; CREATE OR REPLACE VIEW vv AS SELECT a FROM t", &["view character set vv"]),
    ("SET collation_connection = utf8mb4_bin; CREATE OR REPLACE PROCEDURE pr(IN x int) SELECT x", &["routine character set PROCEDURE pr"]),
    ("SET NAMES latin1; CREATE OR REPLACE EVENT ev ON SCHEDULE EVERY 1 YEAR STARTS '2026-01-01' DO SELECT 1", &["event character set ev"]),
    (
        "ALTER DATABASE CHARACTER SET latin1; CREATE OR REPLACE TRIGGER tr BEFORE INSERT ON parent FOR EACH ROW SET NEW.id = NEW.id; \
      ALTER DATABASE CHARACTER SET utf8mb4",
        &["trigger character set tr"],
    ),
    ("DROP PROCEDURE pr; CREATE PROCEDURE pr(IN x bigint) SELECT x", &["routine PROCEDURE pr"]),
    (
        "DROP FUNCTION f; CREATE DEFINER = 'nobody'@'localhost' FUNCTION f(x int) RETURNS int DETERMINISTIC RETURN x",
        &["routine FUNCTION f"],
    ),
    ("DROP TRIGGER tr", &["trigger tr"]),
    ("SELECT NEXT VALUE FOR sq", &[]),
    ("ALTER TABLE t ADD more int DEFAULT 5", &["t"]),
    ("ALTER TABLE counted AUTO_INCREMENT = 301", &["auto_increment counted"]),
    ("ALTER TABLE counted AUTO_INCREMENT = 9000", &[]),
    ("ALTER TABLE counted MODIFY b text FIRST", &["column order counted"]),
    ("ALTER TABLE counted DROP INDEX c; ALTER TABLE counted ADD UNIQUE c (c DESC)", &["descending key counted.c"]),
    ("ALTER TABLE counted ALTER INDEX ignorable IGNORED", &["ignored index counted.ignorable"]),
    (
        "ALTER TABLE t DROP FOREIGN KEY fk; ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (p) REFERENCES defined_before.parent (id) ON DELETE CASCADE",
        &["reference to another database t.fk"],
    ),
    ("SET time_zone = '+05:00'; ALTER EVENT ev ON SCHEDULE EVERY 1 YEAR STARTS '2026-01-01'", &["event time zone ev"]),
    ("ALTER ALGORITHM = TEMPTABLE VIEW merged AS SELECT a FROM t", &["view algorithm merged"]),
    ("ALTER TABLE places MODIFY p point REF_SYSTEM_ID = 101", &["reference system places.p"]),
    // What a dump of one database does not carry is said, and is no failure.
    ("ALTER TABLE places MODIFY p point", &[]),
    ("ALTER DATABASE CHARACTER SET latin1 COLLATE latin1_bin", &[]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_definition_of_mariadb_counts() {
    let Some(server) = servers::shared(Kind::Mariadb) else { return };
    let dir = tempfile::tempdir().unwrap();
    let manifest = dir.path().join("m");
    let before = Db::new(&server, Kind::Mariadb, "defined_before", MARIADB).await;
    let request = CaptureRequest::new(&manifest, CaptureMode::FirstRestore);
    capture(&before.url(), &access(), &request, &key(), None, &Silent).await.unwrap();
    let (server, before, manifest) = (&server, &before, &manifest);
    let cases = MARIADB_CHANGES.iter().enumerate().map(|(at, (statement, expected))| async move {
        let mut wrong: Vec<String> = Vec::new();
        let changed = Db::new(server, Kind::Mariadb, &format!("defined_{at}"), MARIADB).await;
        if at == 0 {
            wrong.extend(unlike(&against_manifest(&changed.url(), manifest).await, &[], "the same under another name"));
        }
        changed.run(statement).await;
        wrong.extend(unlike(&against_manifest(&changed.url(), manifest).await, expected, statement));
        // Two live databases are compared by the same lines: some of the changes will do.
        if at % 6 == 0 {
            wrong.extend(unlike(&against_database(&changed.url(), &before.url()).await, expected, statement));
        }
        run(server, Kind::Mariadb, "mysql", &format!("DROP DATABASE defined_{at}")).await;
        wrong
    });
    let wrong = beside_each_other(cases).await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}

const MYSQL: &str = "
CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (1);
CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, a int DEFAULT 42, b varchar(20), doc json DEFAULT (json_array()), v int AS (a + 1) VIRTUAL, s int AS (a * 2) STORED,
 at timestamp DEFAULT current_timestamp ON UPDATE current_timestamp, p int, place point NOT NULL SRID 4326, CONSTRAINT fk FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE,
 KEY b_first (b(3)), KEY twice ((a * 2)), UNIQUE KEY sum ((a + p), b), KEY many ((CAST(doc->'$[*]' AS unsigned ARRAY))), KEY seen (a), CONSTRAINT positive CHECK (a > 0), CONSTRAINT slack CHECK (a > 5) NOT ENFORCED);
INSERT INTO t (a, b, at, p, place) VALUES (1, 'x', '2026-01-01', 1, ST_GeomFromText('POINT(1 2)', 4326));
CREATE TABLE part (id int PRIMARY KEY) PARTITION BY RANGE (id) (PARTITION low VALUES LESS THAN (10), PARTITION high VALUES LESS THAN (20));
CREATE VIEW vv AS SELECT a FROM t; CREATE PROCEDURE pr(IN x int) SELECT x; CREATE FUNCTION f(x int) RETURNS int DETERMINISTIC RETURN x;
CREATE TABLE counted (id int AUTO_INCREMENT PRIMARY KEY, b text, c int UNIQUE); INSERT INTO counted VALUES (300, 'x', 1), (5000, 'y', 2); DELETE FROM counted WHERE id = 5000;
SET sql_generate_invisible_primary_key = ON; CREATE TABLE keyless (a int); SET sql_generate_invisible_primary_key = OFF;
CREATE TABLE words (id int PRIMARY KEY, w text, FULLTEXT KEY plain (w), FULLTEXT KEY grams (w) WITH PARSER ngram);
/*!90200 CREATE LIBRARY lib LANGUAGE JAVASCRIPT AS 'export function f() { return 1 }' */;
CREATE TRIGGER tr BEFORE INSERT ON parent FOR EACH ROW SET NEW.id = NEW.id; CREATE EVENT ev ON SCHEDULE EVERY 1 YEAR STARTS '2026-01-01' DO SELECT 1;
";

const MYSQL_CHANGES: &[(&str, &[&str])] = &[
    ("ALTER TABLE t ADD CONSTRAINT more CHECK (a < 100)", &["check t.more"]),
    ("ALTER TABLE t DROP CONSTRAINT positive", &["check t.positive"]),
    ("ALTER TABLE t ALTER CHECK positive NOT ENFORCED", &["check t.positive"]),
    ("ALTER TABLE t DROP CHECK slack; ALTER TABLE t ADD CONSTRAINT slack CHECK (a > 6) NOT ENFORCED", &["check t.slack"]),
    ("DROP INDEX b_first ON t; CREATE INDEX b_first ON t (b(4))", &["index t.b_first"]),
    ("DROP INDEX seen ON t; CREATE INDEX seen ON t (a DESC)", &["index t.seen"]),
    ("ALTER TABLE t ALTER INDEX seen INVISIBLE", &["ignored index t.seen"]),
    ("DROP INDEX twice ON t; CREATE INDEX twice ON t ((a * 3))", &["index expression t.twice"]),
    ("DROP INDEX sum ON t; CREATE UNIQUE INDEX sum ON t ((a - p), b)", &["index expression t.sum"]),
    ("DROP INDEX many ON t; CREATE INDEX many ON t ((CAST(doc->'$.a[*]' AS unsigned ARRAY)))", &["index expression t.many"]),
    ("DROP INDEX grams ON words; CREATE FULLTEXT INDEX grams ON words (w)", &["full-text parser words.grams"]),
    ("DROP INDEX plain ON words; CREATE FULLTEXT INDEX plain ON words (w) WITH PARSER ngram", &["full-text parser words.plain"]),
    ("SET NAMES latin1; DROP VIEW vv; CREATE VIEW vv AS SELECT a FROM t", &["view character set vv"]),
    ("SET NAMES latin1; DROP PROCEDURE pr; CREATE PROCEDURE pr(IN x int) SELECT x", &["routine character set PROCEDURE pr"]),
    (
        "SET collation_connection = utf8mb4_bin; DROP EVENT ev; CREATE EVENT ev ON SCHEDULE EVERY 1 YEAR STARTS '2026-01-01' DO SELECT 1",
        &["event character set ev"],
    ),
    (
        "ALTER DATABASE CHARACTER SET latin1; DROP TRIGGER tr; CREATE TRIGGER tr BEFORE INSERT ON parent FOR EACH ROW SET NEW.id = NEW.id; \
      ALTER DATABASE CHARACTER SET utf8mb4",
        &["trigger character set tr"],
    ),
    ("ALTER TABLE part REMOVE PARTITIONING", &["partition part.high", "partition part.low", "table part"]),
    ("ALTER TABLE t ALTER a SET DEFAULT 43", &["column t.a"]),
    ("ALTER TABLE t ALTER doc SET DEFAULT (json_object())", &["column t.doc"]),
    ("ALTER TABLE t ALTER COLUMN b SET INVISIBLE", &["column t.b"]),
    ("ALTER TABLE keyless ALTER COLUMN my_row_id SET VISIBLE", &["column keyless.my_row_id"]),
    ("ALTER TABLE t MODIFY v int AS (a + 2) VIRTUAL", &["column t.v"]),
    ("ALTER TABLE t MODIFY place point NOT NULL", &["column of a reference system t.place"]),
    ("ALTER TABLE t DROP FOREIGN KEY fk; ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (p) REFERENCES parent (id)", &["foreign key t.fk"]),
    ("ALTER SQL SECURITY INVOKER VIEW vv AS SELECT a FROM t", &["view vv"]),
    ("ALTER EVENT ev DISABLE", &["event ev"]),
    ("DROP PROCEDURE pr; CREATE PROCEDURE pr(IN x bigint) SELECT x", &["routine PROCEDURE pr"]),
    ("DROP TRIGGER tr", &["trigger tr"]),
    ("ALTER TABLE counted AUTO_INCREMENT = 301", &["auto_increment counted"]),
    ("ALTER TABLE counted AUTO_INCREMENT = 9000", &[]),
    ("ALTER TABLE counted MODIFY b text FIRST", &["column order counted"]),
    ("ALTER TABLE counted DROP INDEX c; ALTER TABLE counted ADD UNIQUE c (c DESC)", &["descending key counted.c"]),
    // Statistics are no definition.
    ("ANALYZE TABLE t UPDATE HISTOGRAM ON a, b", &[]),
    ("ALTER DATABASE CHARACTER SET latin1 COLLATE latin1_bin", &[]),
];

/// From 9.2 on.
const MYSQL_LIBRARIES: &[(&str, &[&str])] = &[
    ("DROP LIBRARY lib", &["library lib"]),
    ("DROP LIBRARY lib; CREATE LIBRARY lib LANGUAGE JAVASCRIPT AS 'export function f() { return 2 }'", &["library lib"]),
    ("CREATE LIBRARY more LANGUAGE JAVASCRIPT AS 'export function f() { return 1 }'", &["library more"]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_definition_of_mysql_counts() {
    let Some(server) = servers::shared(Kind::Mysql) else { return };
    let dir = tempfile::tempdir().unwrap();
    let manifest = dir.path().join("m");
    let before = Db::new(&server, Kind::Mysql, "defined_before", MYSQL).await;
    before.capture(&manifest).await.unwrap();
    let mut wrong: Vec<String> = Vec::new();
    let libraries = if servers::version(Kind::Mysql) >= vec![9, 2] { MYSQL_LIBRARIES } else { &[] };
    for (at, (statement, expected)) in MYSQL_CHANGES.iter().chain(libraries).enumerate() {
        let name = format!("defined_{at}");
        let changed = Db::new(&server, Kind::Mysql, &name, MYSQL).await;
        if at == 0 {
            wrong.extend(unlike(&against_manifest(&changed.url(), &manifest).await, &[], "the same under another name"));
        }
        changed.run(statement).await;
        wrong.extend(unlike(&against_manifest(&changed.url(), &manifest).await, expected, statement));
        run(&server, Kind::Mysql, "mysql", &format!("DROP DATABASE {name}")).await;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grants_of_mariadb_are_compared_where_there_are_some() {
    let Some(server) = servers::shared(Kind::Mariadb) else { return };
    let dir = tempfile::tempdir().unwrap();
    let manifest = dir.path().join("m");
    let table = "CREATE TABLE t (a int, b int); CREATE USER IF NOT EXISTS definitions_app; CREATE USER IF NOT EXISTS definitions_more";
    let before = Db::new(&server, Kind::Mariadb, "rights_before", table).await;
    before.run("GRANT SELECT ON rights_before.* TO definitions_app; GRANT INSERT (a) ON rights_before.t TO definitions_app").await;
    let request = CaptureRequest::new(&manifest, CaptureMode::FirstRestore);
    capture(&before.url(), &access(), &request, &key(), None, &Silent).await.unwrap();
    let after = Db::new(&server, Kind::Mariadb, "rights_after", table).await;
    assert!(against_manifest(&after.url(), &manifest).await.1.is_empty(), "a dump of one database holds no grants");
    after.run("GRANT SELECT, UPDATE ON rights_after.* TO definitions_app; GRANT INSERT (b) ON rights_after.t TO definitions_more").await;
    let found = against_manifest(&after.url(), &manifest).await.1;
    let places: Vec<String> = found.iter().map(|finding| finding.place.parts().1.to_owned()).collect();
    let expected = ["grant * to 'definitions_app'@'%'", "grant t.a to 'definitions_app'@'%'", "grant t.b to 'definitions_more'@'%'"];
    assert_eq!(places, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grants_on_routines_of_mariadb_are_compared_where_there_are_grants() {
    let Some(server) = servers::shared(Kind::Mariadb) else { return };
    let dir = tempfile::tempdir().unwrap();
    let manifest = dir.path().join("m");
    let text =
        "CREATE TABLE t (a int); INSERT INTO t VALUES (1); CREATE PROCEDURE pr() SELECT 1; CREATE USER IF NOT EXISTS definitions_runs";
    let before = Db::new(&server, Kind::Mariadb, "runs_before", text).await;
    before.run("GRANT EXECUTE ON PROCEDURE runs_before.pr TO definitions_runs; GRANT SELECT ON runs_before.* TO definitions_runs").await;
    let request = CaptureRequest::new(&manifest, CaptureMode::FirstRestore);
    capture(&before.url(), &access(), &request, &key(), None, &Silent).await.unwrap();
    let after = Db::new(&server, Kind::Mariadb, "runs_after", text).await;
    assert_eq!(unlike(&against_manifest(&after.url(), &manifest).await, &[], "a dump of one database holds no grants"), None);
    after.run("GRANT SELECT ON runs_after.* TO definitions_runs").await;
    let expected = ["grant on PROCEDURE pr to 'definitions_runs'@'%'"];
    assert_eq!(unlike(&against_manifest(&after.url(), &manifest).await, &expected, "without that of the routine"), None);
    after.run("GRANT EXECUTE ON PROCEDURE runs_after.pr TO definitions_runs").await;
    assert_eq!(unlike(&against_manifest(&after.url(), &manifest).await, &[], "with both"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_of_mariadb_that_is_loaded_defines_the_same() {
    let Some(server) = servers::shared(Kind::Mariadb) else { return };
    let dir = tempfile::tempdir().unwrap();
    let (manifest, file) = (dir.path().join("m"), dir.path().join("dump"));
    let db = Db::new(&server, Kind::Mariadb, "dumped", MARIADB).await;
    let request = CaptureRequest::new(&manifest, CaptureMode::FirstRestore);
    capture(&db.url(), &access(), &request, &key(), None, &Silent).await.unwrap();
    std::fs::write(&file, done(tool(&server, "mariadb-dump").args(["--routines", "--events", "dumped"]))).unwrap();
    run(&server, Kind::Mariadb, "mysql", "CREATE DATABASE loaded CHARACTER SET latin1").await;
    done(tool(&server, "mariadb").arg("loaded").stdin(std::fs::File::open(&file).unwrap()));
    let loaded = Db { server: server.clone(), kind: Kind::Mariadb, name: "loaded".into() };
    assert_eq!(unlike(&against_manifest(&loaded.url(), &manifest).await, &[], "a dump"), None);
    let (outcome, said) = left_out(&loaded.url(), &manifest).await;
    assert!(outcome == Outcome::Pass && said.contains("has none: places.p") && said.contains("own collation (utf8mb4"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_killed_goes_on_after_the_last_number_of_a_row() {
    let Some(server) = servers::own(Kind::Mariadb) else { return };
    let server = Arc::new(server);
    let dir = tempfile::tempdir().unwrap();
    let manifest = dir.path().join("m");
    let text = "CREATE TABLE five (v int); INSERT INTO five VALUES (1), (2), (3), (4), (5); \
                CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, v int); INSERT INTO t (v) SELECT v FROM five";
    let db = Db::new(&server, Kind::Mariadb, "reserved", text).await;
    db.run("SET GLOBAL innodb_flush_log_at_trx_commit = 1; CREATE TABLE last_one (a int); INSERT INTO last_one VALUES (1)").await;
    let request = CaptureRequest::new(&manifest, CaptureMode::FirstRestore);
    capture(&db.url(), &access(), &request, &key(), None, &Silent).await.unwrap();
    server.kill();
    server.start();
    assert_eq!(unlike(&against_manifest(&db.url(), &manifest).await, &[], "the same files"), None);
    let (_, said) = left_out(&db.url(), &manifest).await;
    assert!(said.contains("the next number of t (8 when it was captured, 6 here)"), "{said}");
}
