//! What a server is set to, and how its objects are called, changes nothing of what is read, and of what a check means.
//! (Names in checks of PostgreSQL: `postgres::nothing_that_a_database_names_runs_in_a_check`.)

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::servers::{self, Kind, Server};
use crate::support::{self, Db, access, as_user, key, places};
use attestore::model::capture::CaptureMode;
use attestore::model::check::CheckOutcome;
use attestore::model::finding::Class;
use attestore::model::outcome::Outcome;
use attestore::monitor::Silent;
use attestore::verify::sql::checks::pack::Pack;
use attestore::verify::sql::checks::recording;
use attestore::verify::sql::grants;

/// Names that a database has become texts and quoted names of repeated checks, and nothing else: no file is written, no orphan is hidden.
async fn names_of_a_database(kind: Kind) {
    let Some(server) = servers::shared(kind) else { return };
    let sql = "SET sql_mode = ''; CREATE TABLE `t'x` (id INT PRIMARY KEY); INSERT INTO `t'x` VALUES (1); \
         CREATE TABLE `t{name}` (r INT, `d{table}' OR 1` DATE, CONSTRAINT `x`` c INTO OUTFILE \"planted\" -- y` FOREIGN KEY (r) REFERENCES `t'x` (id)); \
         CREATE TABLE `u{name}` (r INT, CONSTRAINT `x`` c WHERE 1=0 -- y` FOREIGN KEY (r) REFERENCES `t'x` (id)); \
         CREATE TABLE `v\\` (r INT, CONSTRAINT `\\' c WHERE 1=0 -- y` FOREIGN KEY (r) REFERENCES `t'x` (id)); \
         CREATE PROCEDURE `p{reference}'` () SELECT * FROM `t'x`; \
         INSERT INTO `t{name}` VALUES (1, '2026-01-01'); INSERT INTO `u{name}` VALUES (1); INSERT INTO `v\\` VALUES (1)";
    let db = Db::new(&server, kind, "named", sql).await;
    let pack = [Pack::load("structure-mysql").unwrap()];
    let results = db.check(&pack, &[]).await;
    for id in ["orphans", "zero-dates", "routines", "check-table"] {
        let result = &results[&format!("structure.mysql-{id}")];
        assert_eq!(result.result, CheckOutcome::Pass, "{result:?}");
    }
    db.run("SET foreign_key_checks = 0; INSERT INTO `u{name}` VALUES (999); INSERT INTO `v\\` VALUES (999); SET sql_mode = ''; UPDATE `t{name}` SET `d{table}' OR 1` = '0000-00-00'").await;
    let results = db.check(&pack, &[]).await;
    let named = |id: &str| {
        let result = &results[&format!("structure.mysql-{id}")];
        assert_eq!(result.result, CheckOutcome::Fail, "{result:?}");
        result.rows.iter().flatten().map(|(_, name)| name.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(named("orphans"), ["x` c WHERE 1=0 -- y", "' c WHERE 1=0 -- y"]);
    assert_eq!(named("zero-dates"), ["t{name}.d{table}' OR 1"]);
    for place in ["planted", "named/planted"] {
        assert!(!server.data().join(place).exists(), "a name wrote a file");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_a_database_of_mariadb_are_no_statements() {
    names_of_a_database(Kind::Mariadb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_a_database_of_mysql_are_no_statements() {
    names_of_a_database(Kind::Mysql).await;
}

fn own_check(dir: &Path, sql: &str) -> [Pack; 1] {
    let path = dir.join("own.sql");
    let header = "--! id = \"own\"\n--! engines = [\"mysql\", \"mariadb\"]\n--! kind = \"scalar\"\n--! severity = \"critical\"\n--! error_if = \"!= 2\"";
    std::fs::write(&path, format!("{header}\n{sql}\n")).unwrap();
    [Pack::load(path.to_str().unwrap()).unwrap()]
}

/// What `"` and `||` mean, and whether tables are as they are, is the server's to set, and no affair of a check.
async fn settings_of_a_server(kind: Kind) {
    let Some(server) = servers::own(kind).map(Arc::new) else { return };
    let dir = tempfile::tempdir().unwrap();
    let sql = "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(9)); INSERT INTO t VALUES (1, 'v'), (2, 'w'), (3, 'v')";
    let db = Db::new(&server, kind, "settings", sql).await;
    let check = own_check(dir.path(), "SELECT COUNT(*) FROM t WHERE v = \"v\" AND (1 || 0) = 1");
    assert_eq!(db.check(&check, &[]).await["own"].result, CheckOutcome::Pass);
    db.capture(&dir.path().join("m")).await.unwrap();
    db.run("SET GLOBAL sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES,HIGH_NOT_PRECEDENCE,IGNORE_SPACE'").await;
    assert_eq!(db.check(&check, &[]).await["own"].result, CheckOutcome::Pass);
    assert_eq!(db.compare(&dir.path().join("m")).await.0.outcome(0).0, Outcome::Pass);
    if kind == Kind::Mariadb {
        db.run("SET sql_mode = ''; CREATE TABLE h (id INT PRIMARY KEY) WITH SYSTEM VERSIONING; INSERT INTO h VALUES (1), (2); SET GLOBAL system_versioning_asof = '2001-01-01 00:00:00'").await;
        let check = own_check(dir.path(), "SELECT COUNT(*) FROM h");
        let result = &db.check(&check, &[]).await["own"];
        assert_eq!(result.result, CheckOutcome::Pass, "{result:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_of_a_server_of_mariadb_change_no_check() {
    settings_of_a_server(Kind::Mariadb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_of_a_server_of_mysql_change_no_check() {
    settings_of_a_server(Kind::Mysql).await;
}

/// With the binary log on, what is printed for a reader shows it where the log stands, under whichever name the server's version has for that.
async fn a_binary_log(kind: Kind) {
    let Some(server) = servers::own(kind) else { return };
    server.stop();
    server.start_with(&["--log-bin=logged".to_owned(), "--server-id=7".to_owned()]);
    let server: Arc<Server> = Arc::new(server);
    let dir = tempfile::tempdir().unwrap();
    let db = Db::new(&server, kind, "logged", "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)").await;
    db.run("CREATE USER rdr@'%' IDENTIFIED BY 'r'").await;
    let printed = grants::needed(&db.url(), &access(), "rdr").await.unwrap().statements;
    assert!(printed.iter().any(|line| line.starts_with("GRANT REPLICATION CLIENT ON *.*")), "{printed:?}");
    for statement in printed.iter().filter(|line| !line.starts_with("--")) {
        db.run(statement).await;
    }
    let header = db.capture_as(&as_user("rdr", "r"), &dir.path().join("m")).await.unwrap();
    let position = header.position.unwrap();
    let binlog = position["before"]["binlog"].as_str().unwrap_or_default();
    assert!(binlog.starts_with("logged.0000") && !binlog.ends_with(":0"), "{position}");
    assert_eq!(position["before"]["binlog"], position["after"]["binlog"]);
    db.run("INSERT INTO t VALUES (2)").await;
    let header = db.capture_as(&as_user("rdr", "r"), &dir.path().join("later")).await.unwrap();
    assert_ne!(header.position.unwrap()["before"]["binlog"], position["before"]["binlog"], "it moves with what is written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_binary_log_of_mariadb_is_shown_to_readers() {
    a_binary_log(Kind::Mariadb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_binary_log_of_mysql_is_shown_to_readers() {
    a_binary_log(Kind::Mysql).await;
}

const BANK: &str = "CREATE TABLE customers (id BIGINT PRIMARY KEY, name VARCHAR(80) NOT NULL); CREATE TABLE accounts (id BIGINT PRIMARY KEY, customer_id BIGINT NOT NULL, \
     FOREIGN KEY (customer_id) REFERENCES customers (id)); CREATE TABLE counter (id TINYINT PRIMARY KEY AUTO_INCREMENT); INSERT INTO counter VALUES (5); \
     CREATE VIEW seen AS SELECT id FROM customers; CREATE PROCEDURE used() SELECT COUNT(*) FROM customers; CREATE TABLE dated (d DATE, dt DATETIME); INSERT INTO dated VALUES ('2026-01-01', NULL); \
     CREATE TABLE broken (id INT PRIMARY KEY, v VARCHAR(10) CHARACTER SET latin1, KEY (v)) ENGINE = MyISAM; INSERT INTO broken VALUES (1, 'a'), (2, 'b'), (3, 'c'); \
     INSERT INTO customers VALUES (1, 'A'); INSERT INTO accounts VALUES (10, 1)";

/// The structural pack of MySQL, on MySQL (on MariaDB: `mysql::each_shipped_check_passes_and_fails`).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_structural_check_passes_and_fails_on_mysql() {
    let Some(server) = servers::shared(Kind::Mysql) else { return };
    let packs = [Pack::load("structure-mysql").unwrap()];
    let good = Db::new(&server, Kind::Mysql, "bank_good", BANK).await;
    let indexes = recording::baselines(&good.url(), &access(), &packs, &BTreeMap::new(), (&key(), CaptureMode::SnapshotExact), &Silent)
        .await
        .unwrap();
    let baselines = [("structure.mysql-indexes", indexes["structure.mysql-indexes"].as_str())];
    let results = good.check(&packs, &baselines).await;
    assert_eq!(results.len(), packs[0].checks.len());
    // MySQL lets nobody drop the index of a foreign key, whatever is set: there is none without.
    assert!(results.values().all(|result| result.result == CheckOutcome::Pass), "{results:?}");
    let bad = Db::new(&server, Kind::Mysql, "bank_bad", BANK).await;
    bad.run(
        "SET foreign_key_checks = 0; UPDATE accounts SET customer_id = 2; CREATE TABLE passing (id INT); CREATE VIEW lost AS SELECT id FROM passing; CREATE PROCEDURE lame() SELECT id FROM passing; \
         DROP TABLE passing; SET sql_mode = ''; INSERT INTO dated VALUES ('0000-00-00', '2026-00-10 01:02:03'); INSERT INTO counter VALUES (127); CREATE INDEX more ON customers (name); FLUSH TABLES",
    )
    .await;
    let file = server.data().join("bank_bad").join("broken.MYD");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let mut results = bad.check(&packs, &baselines).await;
    assert_eq!(results.remove("structure.mysql-foreign-keys-have-indexes").unwrap().result, CheckOutcome::Pass);
    assert_eq!(results["structure.mysql-zero-dates"].actual.as_deref(), Some("2"));
    assert!(results.values().all(|result| result.result == CheckOutcome::Fail), "{results:?}");
    support::run(&server, Kind::Mysql, "mysql", "DROP DATABASE bank_bad").await;
}

/// From 8.0.30 on MySQL makes keys itself where it is told to, and shows them or not as it is set to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_mysql_made_itself_are_read_whether_it_shows_them_or_not() {
    let Some(server) = servers::own(Kind::Mysql).map(Arc::new) else { return };
    let dir = tempfile::tempdir().unwrap();
    let sql = "SET sql_generate_invisible_primary_key = ON; CREATE TABLE t (v INT); INSERT INTO t VALUES (7), (7), (8)";
    let db = Db::new(&server, Kind::Mysql, "made", sql).await;
    for shown in ["ON", "OFF"] {
        db.run(&format!("SET GLOBAL show_gipk_in_create_table_and_information_schema = {shown}")).await;
        let out = dir.path().join(shown);
        let header = db.capture(&out).await.unwrap();
        assert_eq!(header.position.unwrap()["tables"]["t"]["key"], serde_json::json!(["my_row_id"]), "{shown}");
        db.run("SET GLOBAL show_gipk_in_create_table_and_information_schema = OFF").await;
        let (result, findings) = db.compare(&out).await;
        assert_eq!((findings, result.rows.unwrap().matched), (vec![], 3), "{shown}");
    }
}

/// Whether a backslash is one in a text is a database's to set; what the server prints of a default follows the reader's session.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_postgresql_prints_does_not_follow_a_databases_settings() {
    let Some(server) = servers::shared(Kind::Postgres) else { return };
    let dir = tempfile::tempdir().unwrap();
    let sql = r"CREATE TABLE t (id int PRIMARY KEY, path text DEFAULT 'a\b'); INSERT INTO t VALUES (1)";
    let db = Db::new(&server, Kind::Postgres, "backslash", sql).await;
    let out = dir.path().join("m");
    db.capture(&out).await.unwrap();
    db.run("ALTER DATABASE backslash SET standard_conforming_strings = off").await;
    // The setting is one of the database's definitions; the column is as it was.
    assert_eq!(places(&db.compare(&out).await.1), [(Class::SchemaChanged, "setting standard_conforming_strings".into())]);
}
