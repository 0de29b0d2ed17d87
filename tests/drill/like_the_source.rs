//! Dumps and copies of servers that were set up otherwise than ours: what hangs on locale, encoding, room for locks, rules for passwords and
//! kinds of tables comes back all the same, and where it cannot, that is an error which says what is missing. Skipped visibly where no server is
//! installed, unless `ATTESTORE_REQUIRE` names it.

use std::path::Path;
use std::process::Command;

use attestore::engines::installed::EngineKind;
use attestore::model::outcome::Outcome;
#[cfg(feature = "sandbox")]
use attestore::{
    engines::{
        process::ProcessMark,
        servers::{Booted, Servers},
    },
    verify::manifest::reader::Manifest,
};

use crate::drill_estate::Estate;
use crate::dump_forms::{all_pass, findings, untold};
use crate::dump_vault::{
    PASSWORD, Source, USER, add, begin, drill, edit, expect_pass, expect_unreadable, lay, no_leftovers, result, texts_under,
};
use crate::engines::engine;

/// Runs statements as the master user over TCP, whatever has become of the administrator.
fn as_master(source: &Source, database: &str, text: &str) {
    let mut client = source.tool(&["psql"]);
    client.args([
        "-X",
        "-q",
        "-v",
        "ON_ERROR_STOP=1",
        "-h",
        "127.0.0.1",
        "-U",
        USER,
        "-p",
        &source.booted.port.to_string(),
        "-d",
        database,
    ]);
    let output = client.args(["-c", "SET client_encoding = 'UTF8'", "-c", text]).env("PGPASSWORD", PASSWORD).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The database of the source once more, empty and of this encoding and locale, with these statements in it.
async fn remake(source: &Source, locale: &str, text: &str) {
    let sql = format!("DROP DATABASE crm;\nCREATE DATABASE crm OWNER {USER} TEMPLATE template0 {locale};\nALTER ROLE {USER} SUPERUSER;\n");
    source.servers.sql(source.kind, "src", source.booted.port, "postgres", &sql).await.unwrap();
    as_master(source, "crm", &format!("CREATE EXTENSION amcheck; {text}"));
}

fn copy_tree(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-r").args([from, to]).status().unwrap().success());
}

/// What in it comes out otherwise in the locale C: a generated column, an index of words, a condition.
const WORDS: &str = r"CREATE TABLE g (id int PRIMARY KEY, name text, low text GENERATED ALWAYS AS (lower(name)) STORED);
    INSERT INTO g (id, name) VALUES (1, 'ÉCOLE'), (2, 'plain');
    CREATE TABLE arch (id int PRIMARY KEY, t text, d tsvector GENERATED ALWAYS AS (to_tsvector('simple', t)) STORED);
    INSERT INTO arch (id, t) VALUES (1, 'Été à la plage');";
const CONDITION: &str = r"CREATE TABLE w (x text CHECK (x ~ '^\w+$')); INSERT INTO w VALUES ('éa');";

#[tokio::test(flavor = "multi_thread")]
async fn postgres_dumps_go_into_a_database_like_the_one_that_they_are_of() {
    let Some((folder, source, vault)) = begin(EngineKind::Postgres).await else { return };
    let dump = |name: &str, arguments: &[&str]| source.pg_dump_with(arguments, &vault.join(name));
    // Of a role that is called like a word of the language; constructors of the range stay with who makes them.
    let owned =
        "CREATE ROLE \"user\"; CREATE TYPE width AS RANGE (subtype = float8, subtype_diff = float8mi); ALTER TYPE width OWNER TO \"user\";";
    remake(&source, "LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8'", &format!("{WORDS}{CONDITION}{owned}ALTER TABLE w OWNER TO \"user\";")).await;
    dump("custom", &["-Fc"]);
    dump("plain.sql", &["-Fp"]);
    dump("create.sql", &["-Fp", "-C"]);
    let without_locale = |from: &str, to: &str| {
        edit(&vault.join(from), &vault.join(to), |text| {
            assert!(text.contains("= 'C.UTF-8'"), "{text}");
            text.replace("= 'C.UTF-8'", "= 'xx_YY.UTF-8'")
        });
    };
    without_locale("create.sql", "lacking.sql");
    // Not so many locks as a table of some thousands of partitions takes.
    let end = "\n--\n-- PostgreSQL database dump complete";
    let more = |text: &str| format!("\n{text}\n{end}");
    edit(&vault.join("plain.sql"), &vault.join("locks.sql"), |text| {
        text.replace(end, &more("SELECT count(pg_advisory_xact_lock(i)) FROM generate_series(1, 40000) i;"))
    });
    let raised = "DO $$ BEGIN RAISE EXCEPTION 'invalid iban %', 'DE89370400440532013000' USING ERRCODE = 'check_violation'; END $$;";
    edit(&vault.join("plain.sql"), &vault.join("raises.sql"), |text| text.replace(end, &more(raised)));
    let estate = lay(folder.path(), &source, &["custom", "plain.sql", "create.sql", "lacking.sql", "locks.sql", "raises.sql"]).await;
    // Nothing in it hangs on the locale.
    remake(
        &source,
        "LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8'",
        "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'é');",
    )
    .await;
    dump("simple.sql", &["-Fp", "-C"]);
    without_locale("simple.sql", "stood-in.sql");
    add(&estate, &source, &["simple.sql", "stood-in.sql"]).await;
    remake(&source, "LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8'", CONDITION).await;
    // A letter is none in the locale that stands in.
    dump("condition.sql", &["-Fp", "-C"]);
    edit(&vault.join("condition.sql"), &vault.join("other-condition.sql"), |text| {
        text.replace("= 'C.UTF-8'", "= 'xx_YY.UTF-8'").replace("'^\\w+$'", "'^[[:upper:]]+$'")
    });
    add(&estate, &source, &["other-condition.sql"]).await;
    // What a letter is, apart from how texts are sorted; lines of data that look like the head of another dump.
    let look_alike = "CREATE TABLE said (line text); INSERT INTO said VALUES ('CREATE DATABASE crm WITH TEMPLATE = template0 ENCODING = ''LATIN1'' LOCALE = ''C'';'), \
         ('-- Dumped from database version 99'), ('é');";
    remake(&source, "LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'", &format!("{CONDITION}{look_alike}")).await;
    dump("classes.sql", &["-Fp"]);
    edit(&vault.join("classes.sql"), &vault.join("classes-broken.sql"), |text| {
        text.replace("CREATE TABLE public.w", "CREATE TABEL public.w")
    });
    let icu = "LOCALE_PROVIDER icu ICU_LOCALE 'de-DE' LC_COLLATE 'C' LC_CTYPE 'C'";
    add(&estate, &source, &["classes.sql", "classes-broken.sql"]).await;
    remake(&source, icu, &format!("{CONDITION}{look_alike}")).await;
    dump("icu.sql", &["-Fp", "--inserts"]);
    add(&estate, &source, &["icu.sql"]).await;
    remake(
        &source,
        "ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'",
        "SET client_encoding = 'SQL_ASCII'; CREATE TABLE a (id int PRIMARY KEY, v text); INSERT INTO a VALUES (1, E'caf\\xe9');",
    )
    .await;
    dump("ascii-copy.sql", &["-Fp"]);
    dump("ascii-inserts.sql", &["-Fp", "--inserts"]);
    add(&estate, &source, &["ascii-copy.sql", "ascii-inserts.sql"]).await;
    let latin = "CREATE ROLE \"rollé\"; CREATE TABLE \"tablé\" (\"colé\" text); ALTER TABLE \"tablé\" OWNER TO \"rollé\"; INSERT INTO \"tablé\" VALUES ('ÿ');
        CREATE SCHEMA \"schémé\" AUTHORIZATION \"rollé\"; CREATE TABLE \"schémé\".t (v text); GRANT SELECT ON \"tablé\" TO \"user\";";
    remake(&source, "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'", latin).await;
    dump("latin.sql", &["-Fp"]);
    dump("latin", &["-Fc"]);
    add(&estate, &source, &["latin.sql", "latin"]).await;
    std::fs::remove_file(vault.join("condition.sql")).unwrap();
    let output = estate.run(&["drill", "--at-once", "2"], None);
    no_leftovers(&estate);
    let good = [
        "custom",
        "plain.sql",
        "create.sql",
        "locks.sql",
        "simple.sql",
        "stood-in.sql",
        "classes.sql",
        "icu.sql",
        "ascii-copy.sql",
        "ascii-inserts.sql",
        "latin.sql",
        "latin",
    ];
    all_pass(&estate, &good);
    untold(&estate, "lacking.sql", "comes out by the locale libc xx_YY.UTF-8, which is not installed here");
    untold(&estate, "other-condition.sql", "without the locale of its source, libc xx_YY.UTF-8, which is not installed here");
    // What a dump raises itself may be a row of it, whatever code it takes.
    let broken = result(&estate, "classes-broken.sql");
    assert_eq!(broken.outcome, Outcome::Fail, "a line of data says nothing of its version: {:?}", broken.errors);
    let raises = result(&estate, "raises.sql");
    assert_eq!(raises.outcome, Outcome::Fail, "{:?}", raises.errors);
    let told = [format!("{raises:?}"), String::from_utf8_lossy(&output.stdout).into(), String::from_utf8_lossy(&output.stderr).into()];
    assert!(!told.into_iter().chain(texts_under(&estate.path("log/evidence"))).any(|text| text.contains("DE8937")), "a value is told");
    source.servers.purge().await.unwrap();
}

/// A copy of a data directory knows roles, transactions and locales of its own server.
#[tokio::test(flavor = "multi_thread")]
async fn copies_of_postgres_come_up_with_what_their_server_had() {
    let Some((folder, mut source, vault)) = begin(EngineKind::Postgres).await else { return };
    source.administer("ALTER SYSTEM SET max_prepared_transactions = 5;").await;
    let again = async |source: &mut Source| source.booted = source.servers.boot(EngineKind::Postgres, "src", None).await.unwrap();
    source.servers.end(EngineKind::Postgres, source.booted.process).await.unwrap();
    again(&mut source).await;
    let estate = lay(folder.path(), &source, &["prepared", "lost", "locale", "roles", "locales"]).await;
    as_master(&source, "crm", "BEGIN; UPDATE customer SET note = 'in doubt' WHERE id = 1; PREPARE TRANSACTION 'x1'");
    source.copy_data(&vault.join("prepared")).await;
    again(&mut source).await;
    as_master(&source, "crm", "ROLLBACK PREPARED 'x1'");
    let file = source.servers.sql(source.kind, "src", source.booted.port, "postgres", "SELECT oid FROM pg_database WHERE datname = 'crm'");
    let file = file.await.unwrap().trim().to_owned();
    let name = |of: &str, to: &str| format!("UPDATE pg_database SET datcollate = '{to}', datctype = '{to}' WHERE {of}");
    as_master(&source, "postgres", &name("datname = 'crm'", "xx_YY.UTF-8"));
    source.copy_data(&vault.join("locale")).await;
    again(&mut source).await;
    as_master(&source, "postgres", &name("datname = 'crm'", "C"));
    as_master(
        &source,
        "postgres",
        "CREATE ROLE attestore_drill CONNECTION LIMIT 0 VALID UNTIL '2001-01-01'; UPDATE pg_authid SET rolsuper = false WHERE rolname = 'rdsadmin'",
    );
    source.copy_data(&vault.join("roles")).await;
    copy_tree(&vault.join("roles"), &vault.join("lost"));
    std::fs::remove_dir_all(vault.join("lost/base").join(file)).unwrap();
    again(&mut source).await;
    as_master(&source, "postgres", &name("true", "xx_YY.UTF-8"));
    source.copy_data(&vault.join("locales")).await;
    drill(&estate, 1);
    all_pass(&estate, &["prepared", "roles"]);
    untold(&estate, "locale", "the database crm needs the locale xx_YY.UTF-8, which is not installed here");
    untold(&estate, "locales", "it needs the locale xx_YY.UTF-8, which is not installed here");
    expect_unreadable(&estate, "lost", "has lost its folder");
    source.servers.purge().await.unwrap();
}

/// Sixty columns that may be longer than a page holds of one row: what a strict server refuses to make.
fn broad() -> String {
    let columns: Vec<String> = (0..60).map(|n| format!("c{n} VARCHAR(255)")).collect();
    format!(
        "SET innodb_strict_mode = OFF; CREATE TABLE broad (id INT PRIMARY KEY, {}) DEFAULT CHARSET latin1 ROW_FORMAT = COMPACT; INSERT INTO broad (id) VALUES (1);",
        columns.join(", ")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_dumps_and_copies_bring_along_what_their_server_had() {
    let Some((folder, mut source, vault)) = begin(EngineKind::MariaDb).await else { return };
    let dump = |name: &str| source.mysql_dump(&vault.join(name));
    source.administer(&broad()).await;
    source
        .administer("CREATE ROLE viewers; GRANT SELECT ON crm.* TO viewers; CREATE DEFINER = viewers VIEW seen AS SELECT id FROM customer;")
        .await;
    dump("plain.sql");
    let end = "-- Dump completed";
    edit(&vault.join("plain.sql"), &vault.join("replica.sql"), |text| {
        let said = "-- The deferred gtid setting for slave corresponding to the master-data CHANGE-MASTER follows\n\
            -- Preferably use GTID to start replication from GTID position:\n\nSET GLOBAL gtid_slave_pos='0-7-19';\n";
        text.replace(end, &format!("{said}{end}"))
    });
    let raised = "DELIMITER ;;\nCREATE TRIGGER told BEFORE INSERT ON customer FOR EACH ROW BEGIN DECLARE said VARCHAR(99); SET said = CONCAT('bad iban ', NEW.name); \
        SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 1146, MESSAGE_TEXT = said; END;;\nDELIMITER ;\nINSERT INTO customer VALUES (99, 'FR7630006000011234567890189', '');\n";
    edit(&vault.join("plain.sql"), &vault.join("raises.sql"), |text| text.replace(end, &format!("{raised}{end}")));
    let estate = lay(folder.path(), &source, &["plain.sql", "replica.sql", "raises.sql", "prepared", "unprepared", "lost"]).await;
    source.copy_data(&vault.join("prepared")).await;
    for copy in ["unprepared", "lost"] {
        copy_tree(&vault.join("prepared"), &vault.join(copy));
    }
    // As the tools of MariaDB note it, before and after.
    for (copy, kind) in [("prepared", "log-applied"), ("unprepared", "full-backuped")] {
        std::fs::write(vault.join(copy).join("mariadb_backup_checkpoints"), format!("backup_type = {kind}\nfrom_lsn = 0\n")).unwrap();
    }
    std::fs::remove_dir_all(vault.join("lost/crm")).unwrap();
    source.booted = source.servers.boot(EngineKind::MariaDb, "src", None).await.unwrap();
    add(&estate, &source, &["policy"]).await;
    source.administer("INSTALL SONAME 'simple_password_check';").await;
    source.copy_data(&vault.join("policy")).await;
    let output = estate.run(&["drill", "--at-once", "2"], None);
    no_leftovers(&estate);
    all_pass(&estate, &["plain.sql", "replica.sql", "prepared", "policy"]);
    untold(&estate, "unprepared", "is not prepared");
    let lost = result(&estate, "lost");
    assert_eq!((lost.outcome, lost.errors.len()), (Outcome::Fail, 0), "{:?}", lost.errors);
    assert!(findings(&estate).contains("the folder of the database crm is not in the copy"), "{}", findings(&estate));
    let raises = result(&estate, "raises.sql");
    assert_eq!(raises.outcome, Outcome::Fail, "{:?}", raises.errors);
    let told = [format!("{raises:?}"), String::from_utf8_lossy(&output.stdout).into(), String::from_utf8_lossy(&output.stderr).into()];
    assert!(!told.into_iter().chain(texts_under(&estate.path("log/evidence"))).any(|text| text.contains("FR7630")), "a value is told");
    source.servers.purge().await.unwrap();
}

/// A table of the engine FEDERATED has the rows of another server, which neither a dump nor a copy holds, and which no drill asks.
#[cfg(feature = "sandbox")]
#[tokio::test(flavor = "multi_thread")]
async fn rows_of_another_server_are_not_read() {
    use crate::servers::{self, Kind};
    let Some(server) = servers::own(Kind::Mariadb) else { return };
    let folder = tempfile::tempdir().unwrap();
    let vault = folder.path().join("vault/db");
    std::fs::create_dir_all(&vault).unwrap();
    // Here of this server itself.
    let far = format!("mysql://{USER}:{PASSWORD}@127.0.0.1:{}/crm/customer", server.port());
    let columns = "id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(40) NOT NULL, note TEXT, KEY (name)";
    let statements = format!(
        "CREATE DATABASE crm; CREATE USER {USER}@'%' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON *.* TO {USER}@'%'; USE crm; {}; \
         INSTALL SONAME 'ha_federatedx'; CREATE TABLE far ({columns}) ENGINE = FEDERATED CONNECTION = '{far}';",
        crate::dump_vault::TABLES
    );
    servers::run(&server, &statements);
    let process = ProcessMark::of(i32::try_from(std::process::id()).unwrap()).unwrap();
    let booted = Booted { process, port: server.port() };
    let source = Source { servers: Servers::open(folder.path()).unwrap(), kind: EngineKind::MariaDb, booted };
    source.mysql_dump(&vault.join("dump.sql"));
    let estate = lay(folder.path(), &source, &["dump.sql", "copy"]).await;
    server.stop();
    copy_tree(&server.data(), &vault.join("copy"));
    drill(&estate, 0);
    for point in ["dump.sql", "copy"] {
        expect_pass(&estate, point);
        let manifest = Manifest::open(&estate.path("manifests/db").join(point)).unwrap();
        assert_eq!(manifest.header().position.as_ref().unwrap()["not_read"]["federated table"], serde_json::json!(["far"]), "{point}");
    }
    source.servers.purge().await.unwrap();
}

/// Runs a drill in which a program may hold so many MiB.
fn drill_within(estate: &Estate, mib: u32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attestore"));
    let output =
        command.args(["drill", "--at-once", "2"]).current_dir(&estate.folder).env("ATTESTORE_TEST_MEMORY", mib.to_string()).output();
    assert_eq!(output.as_ref().unwrap().status.code(), Some(3), "{output:?}");
    no_leftovers(estate);
}

/// What a dump wants of memory is no word of its data, and nobody else's loss.
#[tokio::test(flavor = "multi_thread")]
async fn a_dump_takes_no_more_memory_than_it_may() {
    for kind in [EngineKind::Postgres, EngineKind::MariaDb].into_iter().filter(|kind| engine(*kind)) {
        let folder = tempfile::tempdir().unwrap();
        let source = Source::start(&folder.path().join("source"), kind).await;
        let vault = folder.path().join("vault/db");
        std::fs::create_dir_all(&vault).unwrap();
        // Two GiB and more each, of the server and of its client.
        let (end, server, client) = match kind {
            EngineKind::Postgres => {
                source.pg_dump("p", &vault.join("good.sql"));
                (
                    "\n--\n-- PostgreSQL database dump complete",
                    "\nSET work_mem = '20GB'; SET hash_mem_multiplier = 1000;\nDO $f$ BEGIN PERFORM count(*) FROM \
                     (SELECT repeat(md5(i::text), 32) x, count(*) FROM generate_series(1, 2000000) i GROUP BY 1 OFFSET 0) q; END $f$;\n",
                    "\nSELECT repeat('x', 1000000) FROM generate_series(1, 2500);\n",
                )
            }
            _ => {
                source.mysql_dump(&vault.join("good.sql"));
                (
                    "-- Dump completed",
                    "SET max_heap_table_size = 20*1024*1024*1024;\nCREATE TABLE m (a CHAR(255), b CHAR(255), c CHAR(255), d CHAR(255)) ENGINE = MEMORY;\n\
                     INSERT INTO m SELECT 'x', 'x', 'x', 'x' FROM seq_1_to_600000;\nDROP TABLE m;\n",
                    "SELECT REPEAT('x', 1000000) FROM seq_1_to_2500;\n",
                )
            }
        };
        for (point, text) in [("server.sql", server), ("client.sql", client)] {
            edit(&vault.join("good.sql"), &vault.join(point), |dump| dump.replace(end, &format!("{text}{end}")));
        }
        let estate = lay(folder.path(), &source, &["good.sql", "server.sql", "client.sql"]).await;
        drill_within(&estate, 1024);
        all_pass(&estate, &["good.sql"]);
        for point in ["server.sql", "client.sql"] {
            untold(&estate, point, "memory");
        }
        source.servers.purge().await.unwrap();
    }
}
