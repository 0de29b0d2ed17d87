//! Dumps and physical copies of a real MySQL: they go into a MySQL of their own, right ones pass, hostile ones do nothing, and what another
//! server or another version makes of them is said. Skipped visibly where no MySQL is installed, unless `ATTESTORE_REQUIRE` names `mysql`.

use std::path::Path;
use std::process::Command;

use crate::drill_estate::Estate;
use crate::dump_forms::{all_pass, untold};
use crate::dump_vault::{Source, add, changed, cut, drill, edit, expect_pass, expect_unreadable, lay, pack_gzip, result};
use crate::engines::engine;
use attestore::engines::installed::{ENGINES, EngineKind};
use attestore::model::outcome::Outcome;

/// The source, a folder for all of it and the vault in it; nothing where no MySQL is installed.
async fn begin() -> Option<(tempfile::TempDir, Source, std::path::PathBuf)> {
    if !engine(EngineKind::MySql) {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let source = Source::start(&folder.path().join("source"), EngineKind::MySql).await;
    let vault = folder.path().join("vault/db");
    std::fs::create_dir_all(&vault).unwrap();
    Some((folder, source, vault))
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_dumps_and_copies_come_back_and_damaged_ones_are_unreadable() {
    let Some((folder, source, vault)) = begin().await else { return };
    let plain = vault.join("plain.sql");
    source.mysql_dump(&plain);
    edit(&plain, &vault.join("changed.sql"), |text| text.replace("the-changed-one", "the-chAnged-one"));
    edit(&plain, &vault.join("unmarked.sql"), |text| text.replace("-- Dump completed", "--"));
    edit(&plain, &vault.join("broken.sql"), |text| text.replace("CREATE TABLE `customer`", "CREATE TABEL `customer`"));
    edit(&plain, &vault.join("future.sql"), |text| {
        text.replace("-- Server version\t", "-- Server version\t99.").replace("CREATE TABLE `customer`", "CREATE TABEL `customer`")
    });
    cut(&plain, &vault.join("cut.sql"), 60);
    pack_gzip(&plain, &vault.join("plain.sql.gz"));
    // What a server persists comes after what it is started with; an event that runs would change what is read.
    source
        .administer(
            "SET PERSIST_ONLY event_scheduler = ON; SET PERSIST_ONLY init_connect = 'SELECT nothing'; \
             CREATE EVENT at_once ON SCHEDULE EVERY 1 SECOND DO DELETE FROM customer WHERE id = 1;",
        )
        .await;
    let points = ["plain.sql", "changed.sql", "unmarked.sql", "broken.sql", "future.sql", "cut.sql", "plain.sql.gz"];
    let copies = ["data", "future", "damaged", "undoless", "page"];
    source.administer("DROP EVENT at_once;").await;
    let estate = lay(folder.path(), &source, &points).await;
    source.administer("CREATE EVENT at_once ON SCHEDULE EVERY 1 SECOND DO DELETE FROM customer WHERE id = 1;").await;
    add(&estate, &source, &copies).await;
    source.copy_data(&vault.join("data")).await;
    assert!(vault.join("data/mysqld-auto.cnf").is_file(), "the copy has settings of its own");
    for copy in &copies[1..] {
        let status = Command::new("cp").arg("-r").arg(vault.join("data")).arg(vault.join(copy)).status().unwrap();
        assert!(status.success());
    }
    let dictionary = |copy: &str| vault.join(copy).join("mysql.ibd");
    patch(&dictionary("future"), 8, &990_000_u32.to_be_bytes());
    patch(&dictionary("damaged"), 0, &[0xff; 300_000]);
    // A page that was damaged on the disk: its checksum does not fit.
    let file = vault.join("page/crm/customer.ibd");
    let name = b"the-changed-one";
    let at = std::fs::read(&file).unwrap().windows(name.len()).position(|window| window == name).unwrap();
    patch(&file, at as u64, b"T");
    for undo in ["undo_001", "undo_002"] {
        std::fs::remove_file(vault.join("undoless").join(undo)).unwrap();
    }
    drill(&estate, 1);
    for good in ["plain.sql", "plain.sql.gz", "data"] {
        expect_pass(&estate, good);
        assert_eq!(result(&estate, good).restore.unwrap().engine_versions, None, "{good}: the same engine");
    }
    changed(&estate, "changed.sql");
    expect_unreadable(&estate, "unmarked.sql", "ends without its line");
    expect_unreadable(&estate, "broken.sql", "syntax");
    expect_unreadable(&estate, "cut.sql", "ends without its line");
    untold(&estate, "future.sql", "written by MySQL 99.");
    untold(&estate, "future", "written by MySQL 99.0.0, which the");
    untold(&estate, "undoless", "its undo logs are kept elsewhere");
    assert_eq!(result(&estate, "damaged").outcome, Outcome::Fail, "{:?}", result(&estate, "damaged").errors);
    // The server ended, and was started again: of the other table all rows were read.
    let page = result(&estate, "page");
    let rows = page.verify.as_ref().unwrap_or_else(|| panic!("{:?} {:?}", page.outcome_reasons, page.errors)).rows.unwrap();
    let told = crate::dump_forms::findings(&estate);
    let seen = (page.outcome, rows.matched, rows.unreadable);
    assert_eq!(seen, (Outcome::Fail, 3, 4), "{:?} {:?} {told}", page.outcome_reasons, page.errors);
    assert!(told.contains("the server ends whenever its rows are read (2 times)") && told.contains("Database page corruption"), "{told}");
    source.servers.purge().await.unwrap();
}

fn patch(path: &Path, at: u64, bytes: &[u8]) {
    use std::os::unix::fs::FileExt;
    std::fs::OpenOptions::new().write(true).open(path).unwrap().write_all_at(bytes, at).unwrap();
}

/// What people have in MySQL and MariaDB does not know, or knows otherwise.
const MYSQL: &str = r#"
CREATE TABLE kinds (id BIGINT PRIMARY KEY AUTO_INCREMENT, t TINYINT, tu TINYINT UNSIGNED, s SMALLINT, m MEDIUMINT, i INT, b BIGINT UNSIGNED, f FLOAT, d DOUBLE,
    de DECIMAL(38, 10), bi BIT(17), dt DATE, ti TIME(6), dtm DATETIME(6), ts TIMESTAMP(3) NULL, y YEAR, c CHAR(10), v VARCHAR(50) CHARACTER SET latin1, x TEXT, bl LONGBLOB,
    vb VARBINARY(20), bn BINARY(8), j JSON, e ENUM('a', 'b', 'ü'), st SET('p', 'q', 'r'), g GEOMETRY, p POINT NOT NULL SRID 4326,
    gen INT GENERATED ALWAYS AS (i + 1) STORED, gv INT GENERATED ALWAYS AS (t * 2) VIRTUAL, dx JSON DEFAULT (JSON_ARRAY(1, 'x')), KEY ((t + 1)), UNIQUE KEY desc_key (id DESC, t), KEY unseen (s) INVISIBLE, SPATIAL KEY (p)) AUTO_INCREMENT = 50;
SET sql_mode = '';
INSERT INTO kinds (t, tu, s, m, i, b, f, d, de, bi, dt, ti, dtm, ts, y, c, v, x, bl, vb, bn, j, e, st, g, p) VALUES
(-12, 255, -32768, -8388608, -2147483648, 18446744073709551615, 1.5, -0.0, '1234567890123456789012345678.0123456789', b'10101', '0000-00-00', '-838:59:59.000000', '9999-12-31 23:59:59.999999', '2026-01-01 00:00:00.123', 2155, 'trail  ', 'café', '𝄞 text', REPEAT(x'00ff270a5c', 1000), x'0001', x'01', '{"b": 1, "a": [1, 2.50, "x\\n", null, true], "d": 1e100, "big": 18446744073709551615}', 'ü', 'p,r', ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))'), ST_GeomFromText('POINT(10 20)', 4326)),
(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, ST_GeomFromText('POINT(1 2)', 4326));
SET sql_mode = DEFAULT;
CREATE TABLE collated (a VARCHAR(20) COLLATE utf8mb4_0900_as_cs PRIMARY KEY, b VARCHAR(20) COLLATE utf8mb4_ja_0900_as_cs, c TEXT COLLATE utf8mb4_0900_bin); INSERT INTO collated VALUES ('Zoë', 'ア', 'x'), ('zoë', 'あ', NULL);
CREATE TABLE hidden (a INT PRIMARY KEY, unseen INT INVISIBLE DEFAULT 5, b VARCHAR(10), CONSTRAINT not_z CHECK (b <> 'z'), CONSTRAINT slack CHECK (a > 100) NOT ENFORCED); INSERT INTO hidden (a, b) VALUES (1, 'q'), (2, 'r');
SET sql_generate_invisible_primary_key = ON; CREATE TABLE keyless (a INT); INSERT INTO keyless VALUES (5), (6), (5); SET sql_generate_invisible_primary_key = OFF;
CREATE TABLE nothing_unique (a INT, b VARCHAR(20)); INSERT INTO nothing_unique VALUES (1, 'x'), (1, 'x'), (NULL, 'y');
CREATE TABLE parts (id INT, at DATE, PRIMARY KEY (id, at)) PARTITION BY RANGE (YEAR(at)) SUBPARTITION BY HASH (id) SUBPARTITIONS 2 (PARTITION p0 VALUES LESS THAN (2020), PARTITION p1 VALUES LESS THAN MAXVALUE); INSERT INTO parts VALUES (1, '2019-01-01'), (2, '2026-01-01');
CREATE TABLE spread (my VARCHAR(36) PRIMARY KEY, n INT) PARTITION BY KEY (my) PARTITIONS 4; INSERT INTO spread VALUES (UUID(), 1), (UUID(), 2);
CREATE TABLE isam (id INT PRIMARY KEY, t TEXT, FULLTEXT (t)) ENGINE = MyISAM; INSERT INTO isam VALUES (1, 'word');
CREATE TABLE egg (id INT PRIMARY KEY, hen INT); CREATE TABLE hen (id INT PRIMARY KEY, egg INT, FOREIGN KEY (egg) REFERENCES egg (id)); ALTER TABLE egg ADD FOREIGN KEY (hen) REFERENCES hen (id) ON DELETE SET NULL;
CREATE TABLE listed (id INT PRIMARY KEY, tags JSON, KEY many ((CAST(tags->'$[*]' AS UNSIGNED ARRAY)))); INSERT INTO listed VALUES (1, '[1, 2]');
CREATE TABLE `we``ird; -- t` (`c\n;` INT PRIMARY KEY) COMMENT 'a\n-- GTID state at the end of the backup\nb'; INSERT INTO `we``ird; -- t` VALUES (1);
CREATE TABLE big (id INT PRIMARY KEY, b LONGBLOB, t LONGTEXT); INSERT INTO big VALUES (1, REPEAT(CHAR(0, 39, 92, 10, 13, 26, 255), 100000), 'x'), (2, REPEAT('y', 17000000), REPEAT('ä', 9));
ANALYZE TABLE parts UPDATE HISTOGRAM ON at;
CREATE ROLE reading; CREATE USER 'gone'@'nowhere', 'app'@'10.0.0.%'; GRANT ALL ON crm.* TO 'gone'@'nowhere', 'app'@'10.0.0.%'; GRANT SELECT ON crm.* TO reading; GRANT reading TO 'app'@'10.0.0.%'; SET DEFAULT ROLE reading TO 'app'@'10.0.0.%';
CREATE DEFINER = 'gone'@'nowhere' SQL SECURITY DEFINER VIEW seen AS SELECT id, a FROM kinds JOIN hidden ON kinds.id = hidden.a; CREATE VIEW twice AS SELECT id FROM seen WITH LOCAL CHECK OPTION;
DELIMITER //
CREATE DEFINER = 'gone'@'nowhere' TRIGGER counted BEFORE INSERT ON isam FOR EACH ROW BEGIN SET NEW.id = NEW.id + 0; END//
CREATE DEFINER = 'app'@'10.0.0.%' PROCEDURE p(IN a INT, OUT b JSON) BEGIN SELECT 1; SELECT '\\! id
SET @@GLOBAL.GTID_PURGED=
-- Current Database: `mysql`
\\! id'; END//
CREATE FUNCTION f(a INT) RETURNS INT DETERMINISTIC RETURN a + 1//
CREATE EVENT e ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' DO BEGIN SET @x = 1; SET @y = 2; END//
DELIMITER ;
CREATE TABLE meeting (id INT PRIMARY KEY, at DATETIME, there DATETIME AS (CONVERT_TZ(at, 'UTC', 'Europe/Berlin')) STORED); INSERT INTO meeting (id, at) VALUES (1, '2026-07-01 12:00:00'), (2, '2026-01-01 12:00:00');
SET time_zone = 'Asia/Tokyo'; CREATE EVENT there ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' DO DO 1; SET time_zone = DEFAULT;
"#;

/// Fills the source's tables of time zones.
pub async fn know_zones(source: &Source) {
    let text = attestore::engines::time_zones::statements().unwrap();
    source.servers.sql(source.kind, "src", source.booted.port, "mysql", &text).await.unwrap();
}

/// Lets the server count transactions, which its dumps then speak of: newer ones do so by themselves.
async fn count_transactions(source: &Source) {
    let sql = async |text: &str| source.servers.sql(EngineKind::MySql, "src", source.booted.port, "crm", text).await.unwrap();
    if sql("SELECT @@GLOBAL.gtid_mode").await.trim() == "OFF" {
        let steps = ["OFF_PERMISSIVE", "ON_PERMISSIVE", "ON"].map(|step| format!("SET GLOBAL gtid_mode = {step};"));
        sql(&format!("SET GLOBAL enforce_gtid_consistency = ON; {}", steps.concat())).await;
    }
    sql("SET GLOBAL gtid_purged = '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5'").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_have_in_mysql_comes_back_and_hostile_dumps_reach_nothing() {
    let Some((folder, source, vault)) = begin().await else { return };
    know_zones(&source).await;
    source.administer(MYSQL).await;
    let all = ["--routines", "--events", "--triggers", "--max-allowed-packet=1G"];
    let counted = ["counted.sql", "all.sql"];
    let good: [(&str, &[&str]); 6] = [
        ("full.sql", &["--single-transaction", "crm"]),
        ("databases.sql", &["--databases", "crm", "--add-drop-database", "--set-gtid-purged=OFF"]),
        ("plainest.sql", &["--skip-opt", "--create-options", "--complete-insert", "--hex-blob", "--skip-tz-utc", "crm"]),
        ("histograms.sql", &["--column-statistics", "--order-by-primary", "--skip-extended-insert", "--skip-dump-date", "crm"]),
        (counted[0], &["--single-transaction", "--set-gtid-purged=AUTO", "crm"]),
        // The server's own databases and the place in its log stay out.
        (counted[1], &["--all-databases", "--set-gtid-purged=ON", "--flush-privileges"]),
    ];
    for (name, arguments) in good {
        if name == counted[0] {
            count_transactions(&source).await;
        }
        source.mysql_dump_with(&[&all[..], arguments].concat(), &vault.join(name));
    }
    for name in counted {
        assert!(read(&vault.join(name)).contains("SET @@GLOBAL.GTID_PURGED="), "{name}");
    }
    let base = folder.path().join("base.sql");
    source.mysql_dump_with(&["--skip-opt", "--create-options", "--complete-insert", "--hex-blob", "--ignore-table=crm.big", "crm"], &base);
    let marks = tempfile::Builder::new().permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777)).tempdir().unwrap();
    let at = |mark: &str| marks.path().join(mark).display().to_string();
    let body = |definer: &str, mark: &str| {
        format!(
            "DELIMITER ;;\nCREATE DEFINER = {definer} PROCEDURE evil() SQL SECURITY DEFINER BEGIN SET GLOBAL general_log_file = '{}'; \
             SET GLOBAL general_log = 1; END;;\nDELIMITER ;\nCALL evil();",
            at(mark)
        )
    };
    let withheld = [
        ("outfile", format!("SELECT 1 INTO OUTFILE '{}';", at("outfile"))),
        ("infile", "CREATE TABLE x (v TEXT); LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE x;".to_owned()),
        ("log", format!("SET GLOBAL general_log_file = '{}'; SET GLOBAL general_log = 1;", at("log"))),
        ("definer", body("rdsadmin@localhost", "definer")),
        ("session", body("`mysql.session`@localhost", "session")),
        ("plugin", "INSTALL PLUGIN federated SONAME 'ha_federated.so';".to_owned()),
        ("component", "INSTALL COMPONENT 'file://component_log_sink_json';".to_owned()),
        ("account", "CREATE USER evil@'%';".to_owned()),
        ("primary", "CHANGE REPLICATION SOURCE TO source_host = '127.0.0.1', source_port = 1;".to_owned()),
        ("persisted", "SET PERSIST init_connect = 'SELECT 1';".to_owned()),
        ("space", format!("CREATE TABLESPACE s ADD DATAFILE '{}.ibd';", at("space"))),
        (
            "built",
            format!("SET @s = CONCAT('CREATE TABLE x (a INT) DATA', ' DIRECTORY = \\'{}\\''); PREPARE s FROM @s; EXECUTE s;", at("built")),
        ),
    ];
    let others = [
        ("command", format!("\\! touch {}", at("command"))),
        ("lacking", "CREATE TABLE x (v TEXT COLLATE utf8mb4_uca1400_ai_ci);".to_owned()),
        ("directory", format!("CREATE TABLE x (a INT\n) ENGINE=InnoDB DATA DIRECTORY='{}';", at("directory"))),
    ];
    for (name, text) in withheld.iter().chain(&others) {
        edit(&base, &vault.join(name), |dump| dump.replacen("\nCREATE TABLE", &format!("\n{text}\nCREATE TABLE"), 1));
    }
    // One value in a kind that only MySQL has.
    edit(&vault.join("plainest.sql"), &vault.join("flipped.sql"), |dump| {
        dump.replacen("18446744073709551615}", "18446744073709551614}", 1)
    });
    let names: Vec<&str> = good.iter().map(|(name, _)| *name).collect();
    let bad: Vec<&str> = withheld.iter().chain(&others).map(|(name, _)| *name).collect();
    let estate = lay(folder.path(), &source, &[&names[..], &bad, &["flipped.sql", "copy"]].concat()).await;
    source.copy_data(&vault.join("copy")).await;
    let output = estate.run(&["drill", "--at-once", "2"], None);
    assert_ne!(output.status.code(), Some(0));
    all_pass(&estate, &names);
    all_pass(&estate, &["copy"]);
    assert_eq!(std::fs::read_dir(marks.path()).unwrap().count(), 0, "a dump reached a file");
    for point in &bad {
        assert_ne!(result(&estate, point).outcome, Outcome::Pass, "{point}");
    }
    for (point, _) in &withheld {
        untold(&estate, point, "rights that are withheld");
    }
    untold(&estate, "lacking", "the server here lacks");
    untold(&estate, "directory", "outside of the server's own folder");
    let flipped = result(&estate, "flipped.sql");
    assert_eq!((flipped.outcome, flipped.verify.unwrap().rows.unwrap().mismatch), (Outcome::Fail, 1));
    assert!(crate::dump_forms::findings(&estate).contains("kinds"), "the table is named");
    source.servers.purge().await.unwrap();
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()
}

/// A copy that names files outside of it: the server would open them where they lie, and write to them.
#[cfg(feature = "sandbox")]
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_mysql_with_files_elsewhere_is_not_started() {
    let Some((folder, source, vault)) = begin().await else { return };
    let Some(server) = crate::servers::own(crate::servers::Kind::Mysql) else { return };
    let apart = folder.path().join("apart");
    std::fs::create_dir(&apart).unwrap();
    server.stop();
    server.start_with(&[format!("--innodb-directories={}", apart.display())]);
    let statements = format!(
        "CREATE DATABASE crm; CREATE TABLE crm.customer (id INT PRIMARY KEY) DATA DIRECTORY = '{}'; INSERT INTO crm.customer VALUES (1);",
        apart.display()
    );
    crate::servers::run(&server, &statements);
    server.stop();
    let file = apart.join("crm/customer.ibd");
    let before = std::fs::read(&file).unwrap();
    let status = Command::new("cp").arg("-r").arg(server.data()).arg(vault.join("apart")).status().unwrap();
    assert!(status.success());
    let estate = lay(folder.path(), &source, &["apart"]).await;
    drill(&estate, 4);
    untold(&estate, "apart", &file.display().to_string());
    assert!(std::fs::read(&file).unwrap() == before, "the file is as it was");
    source.servers.purge().await.unwrap();
}

/// Runs a drill on a machine that has these engines alone.
fn drill_with(estate: &Estate, engines: &str) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attestore"));
    // It has no time zones either.
    command.current_dir(&estate.folder).env(ENGINES, engines).env("TZDIR", estate.path("nowhere"));
    let output = command.args(["drill", "--at-once", "2"]).output().unwrap();
    assert_ne!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Where only the other server is installed it is tried, and that is never a plain pass.
#[tokio::test(flavor = "multi_thread")]
async fn a_dump_in_the_other_server_is_an_exception_or_an_error_and_no_verdict() {
    if !engine(EngineKind::MariaDb) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let source = Source::start(&folder.path().join("source"), EngineKind::MariaDb).await;
    let vault = folder.path().join("vault/db");
    std::fs::create_dir_all(&vault).unwrap();
    source.mysql_dump(&vault.join("own.sql"));
    // What mysqldump of MySQL writes of tables that both know.
    let as_mysql = |text: String| {
        let from = text.find("-- MariaDB dump").unwrap();
        let rest = text[from..].split_once("-- Server version").unwrap().1.split_once('\n').unwrap().1.to_owned();
        format!("-- MySQL dump 10.13  Distrib 8.0.36, for Linux (x86_64)\n--\n-- Server version\t8.0.36\n{rest}")
    };
    edit(&vault.join("own.sql"), &vault.join("taken.sql"), as_mysql);
    edit(&vault.join("taken.sql"), &vault.join("refused.sql"), |text| {
        text.replacen(" INT ", " INT /*!50000 UNKNOWN */ ", 1).replacen("`id` int", "`id` int unknown", 1)
    });
    let zoned = "/*!50003 SET time_zone = 'Europe/Berlin' */ ;\nDROP TABLE IF EXISTS `customer`";
    edit(&vault.join("own.sql"), &vault.join("zoned.sql"), |text| text.replacen("DROP TABLE IF EXISTS `customer`", zoned, 1));
    std::fs::create_dir_all(vault.join("data/mysql")).unwrap();
    for file in ["data/ibdata1", "data/mysql.ibd"] {
        std::fs::write(vault.join(file), [0; 4096]).unwrap();
    }
    let estate = lay(folder.path(), &source, &["own.sql", "taken.sql", "refused.sql", "data", "zoned.sql"]).await;
    drill_with(&estate, "mariadb");
    expect_pass(&estate, "own.sql");
    let taken = result(&estate, "taken.sql");
    assert_eq!(taken.outcome, Outcome::PassWithException, "{:?} {:?}", taken.outcome_reasons, taken.errors);
    let said = "the data was written by mysql 8.0.36, and restored into another engine, mariadb ";
    assert!(taken.outcome_reasons.iter().any(|reason| reason.starts_with(said)), "{:?}", taken.outcome_reasons);
    untold(&estate, "refused.sql", "a dump of MySQL 8.0.36, and no MySQL server is installed here: MariaDB ");
    untold(&estate, "data", "no MySQL server is installed here");
    untold(&estate, "zoned.sql", "the dump names time zones: ");
    assert!(estate.verdict().holds(), "{:?}", estate.verdict().faults);
    source.servers.purge().await.unwrap();
}

/// A dump of MySQL as it is: its collations are not MariaDB's.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_dump_of_mysql_in_mariadb_says_whose_it_is() {
    if !engine(EngineKind::MariaDb) {
        return;
    }
    let Some((folder, source, vault)) = begin().await else { return };
    source.administer("CREATE TABLE collated (v VARCHAR(9) COLLATE utf8mb4_0900_as_cs, unseen INT INVISIBLE);").await;
    source.mysql_dump(&vault.join("plain.sql"));
    let estate = lay(folder.path(), &source, &["plain.sql"]).await;
    drill_with(&estate, "mariadb");
    let result = result(&estate, "plain.sql");
    assert_ne!(result.outcome, Outcome::Pass);
    if result.outcome == Outcome::Error {
        untold(&estate, "plain.sql", "a dump of MySQL ");
    }
    source.servers.purge().await.unwrap();
}
