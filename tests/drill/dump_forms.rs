//! Databases with what people have in them, dumped in the ways that people dump them: right copies pass, hostile ones do nothing, and what
//! cannot be told is an error and no verdict. Skipped visibly where no server is installed, unless `ATTESTORE_REQUIRE` names it.

use std::path::Path;

use crate::drill_estate::Estate;
use crate::dump_vault::{Source, begin, drill, edit, lay, result, texts_under};
use crate::engines::engine;
use attestore::engines::installed::EngineKind;
use attestore::model::outcome::Outcome;

/// Beside the tables of every source: extensions in a schema of their own, objects of several owners, and what only an administrator makes.
const POSTGRES: &str = r#"
CREATE ROLE one; CREATE ROLE app; CREATE ROLE "Keeper
Two"; CREATE ROLE blobs;
CREATE SCHEMA ext; CREATE EXTENSION hstore SCHEMA ext; CREATE EXTENSION pg_trgm; CREATE EXTENSION citext; CREATE EXTENSION btree_gist;
CREATE EXTENSION "uuid-ossp"; CREATE EXTENSION postgres_fdw; CREATE EXTENSION cube; CREATE EXTENSION earthdistance;
CREATE SCHEMA s; GRANT CREATE, USAGE ON SCHEMA s TO app; ALTER SCHEMA s OWNER TO one; GRANT USAGE ON SCHEMA ext TO PUBLIC;
CREATE DOMAIN s.positive AS int CHECK (VALUE > 0);
CREATE TYPE s.mood AS ENUM ('sad', 'ok');
CREATE TYPE s.pair AS (a int, b text);
CREATE COLLATION s.german (provider = icu, locale = 'de-DE');
CREATE TABLE s.t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tags ext.hstore, name citext, p s.positive, m s.mood, c s.pair, g text COLLATE s.german,
    twice int GENERATED ALWAYS AS (p * 2) STORED, during tsrange, EXCLUDE USING gist (id WITH =, during WITH &&));
ALTER TABLE s.t OWNER TO app; REVOKE CREATE ON SCHEMA s FROM app;
INSERT INTO s.t (tags, name, p, m, c, g, during) VALUES ('a=>1', 'Ada', 1, 'ok', (1, 'x'), 'ä', '[2026-01-01,2026-01-02)'), (NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE INDEX trigrams ON s.t USING gin (g gin_trgm_ops);
CREATE TABLE "ta;ble -- x
\! id" ("co;l
\q" text); INSERT INTO "ta;ble -- x
\! id" VALUES (E'x\n\\server\\share\n'), ('C:\dir\'), (E'\n\\.\n'), ('$$ ''; /*');
COMMENT ON TABLE "ta;ble -- x
\! id" IS E'a\n\\! id\nb';
COMMENT ON DATABASE crm IS E'two\nlines; of it';
CREATE FUNCTION lines() RETURNS text LANGUAGE sql AS $f$ SELECT '
\! id
'::text $f$;
CREATE FUNCTION atomic(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC; SELECT CASE WHEN a > 1 THEN 1 END; SELECT 2; END;
CREATE TABLE log (at int, said text); CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (1, 'row'); RETURN NEW; END $$;
CREATE TABLE part (id int, v text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE part_a PARTITION OF part FOR VALUES FROM (0) TO (10); CREATE TABLE part_z PARTITION OF part DEFAULT;
INSERT INTO part SELECT i, 'v' || i FROM generate_series(1, 20) i;
CREATE TRIGGER noted AFTER INSERT ON part FOR EACH ROW EXECUTE FUNCTION note();
CREATE TABLE wide (v text); INSERT INTO wide VALUES (repeat(E'ä\\\n', 1000000)), ('x');
CREATE TABLE parent (id int PRIMARY KEY, other int); CREATE TABLE child (x int) INHERITS (parent); INSERT INTO child VALUES (1, 2, 3);
CREATE TABLE a (id int PRIMARY KEY, b int); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a DEFERRABLE INITIALLY DEFERRED);
ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b DEFERRABLE INITIALLY DEFERRED; BEGIN; INSERT INTO a VALUES (1, 1); INSERT INTO b VALUES (1, 1); COMMIT;
CREATE UNLOGGED TABLE fleeting (id int); INSERT INTO fleeting VALUES (1);
CREATE SEQUENCE counting AS smallint INCREMENT -3 MAXVALUE 77 MINVALUE -77 START 77 CYCLE; SELECT nextval('counting'), nextval('counting');
CREATE VIEW v1 AS SELECT 1 AS x; CREATE VIEW v2 AS SELECT x FROM v1; CREATE OR REPLACE VIEW v1 AS SELECT 2 AS x;
CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM part; CREATE MATERIALIZED VIEW empty AS SELECT 1 AS x WITH NO DATA;
CREATE TABLE hidden (id int PRIMARY KEY, owner text); ALTER TABLE hidden ENABLE ROW LEVEL SECURITY; ALTER TABLE hidden FORCE ROW LEVEL SECURITY;
CREATE POLICY mine ON hidden FOR SELECT TO app, "Keeper
Two" USING (owner = current_user); INSERT INTO hidden VALUES (1, 'nobody');
ALTER TABLE hidden OWNER TO "Keeper
Two";
CREATE FUNCTION audit() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (2, tg_tag); END $$;
CREATE PUBLICATION everything FOR ALL TABLES; CREATE PUBLICATION part_of_it FOR TABLE part; CREATE PUBLICATION of_s FOR TABLES IN SCHEMA s;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '1');
CREATE USER MAPPING FOR app SERVER elsewhere OPTIONS (user 'x', password 'y'); CREATE FOREIGN TABLE far (id int) SERVER elsewhere;
CREATE AGGREGATE total (int) (SFUNC = int4pl, STYPE = int); CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq);
CREATE STATISTICS joint ON id, v FROM part; CREATE TEXT SEARCH CONFIGURATION mine (COPY = simple);
CREATE RULE nothing AS ON DELETE TO parent DO INSTEAD NOTHING;
ALTER DEFAULT PRIVILEGES FOR ROLE one IN SCHEMA s GRANT SELECT ON TABLES TO app;
GRANT SELECT (id) ON part TO app WITH GRANT OPTION; REVOKE EXECUTE ON FUNCTION lines() FROM PUBLIC; GRANT USAGE ON SCHEMA s TO app;
SELECT lo_from_bytea(4242, 'large'); ALTER LARGE OBJECT 4242 OWNER TO blobs;
REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC; GRANT USAGE ON LANGUAGE plpgsql TO app;
ALTER DATABASE crm SET search_path = ''; ALTER ROLE app SET work_mem = '8MB';
CREATE EVENT TRIGGER audited ON ddl_command_end EXECUTE FUNCTION audit();
"#;

/// The result of a point that was compared, in words where it did not pass. What the source's administrator is shown of the rights of others,
/// and who reads what was loaded is not, is an exception.
fn passes(estate: &Estate, point: &str) -> Result<(), String> {
    let result = result(estate, point);
    let of_grants = result.outcome_reasons.iter().all(|reason| reason.starts_with("grants: not compared: "));
    if result.outcome == Outcome::Pass || result.outcome == Outcome::PassWithException && of_grants {
        return Ok(());
    }
    Err(format!("{point}: {:?} {:?} {:?}", result.outcome, result.outcome_reasons, result.errors))
}

/// The findings of all points, for the reader of a failed test.
pub fn findings(estate: &Estate) -> String {
    texts_under(&estate.path("log/evidence")).into_iter().filter(|text| text.contains("\"class\"")).collect::<Vec<_>>().join("\n")
}

pub fn all_pass(estate: &Estate, points: &[&str]) {
    let failed: Vec<String> = points.iter().filter_map(|point| passes(estate, point).err()).collect();
    assert!(failed.is_empty(), "{failed:#?}\n{}", findings(estate));
}

/// An error that says `why`, and no verdict.
pub fn untold(estate: &Estate, point: &str, why: &str) {
    let result = result(estate, point);
    assert_eq!((result.outcome, result.verify.is_none()), (Outcome::Error, true), "{point}: {:?}", result.outcome_reasons);
    assert!(result.errors[0].message.contains(why), "{point}: {:?}", result.errors);
}

fn dump(source: &Source, vault: &Path, name: &str, arguments: &[&str]) {
    source.pg_dump_with(arguments, &vault.join(name));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_have_in_postgres_comes_back_from_every_form_of_dump() {
    if !engine(EngineKind::Postgres) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let source = Source::start(&folder.path().join("source"), EngineKind::Postgres).await;
    source.administer(POSTGRES).await;
    let vault = folder.path().join("vault/db");
    std::fs::create_dir_all(&vault).unwrap();
    let good: [(&str, &[&str]); 8] = [
        ("custom", &["-Fc"]),
        ("folder", &["-Fd"]),
        ("tar", &["-Ft"]),
        ("inserts.sql", &["-Fp", "--column-inserts", "--quote-all-identifiers"]),
        ("clean.sql", &["-Fp", "-c", "--if-exists"]),
        ("harsh.sql", &["-Fp", "--clean"]),
        ("both.sql", &["-Fp", "-C", "-c"]),
        ("packed.sql.gz", &["-Fp", "-Z6"]),
    ];
    for (name, arguments) in good {
        dump(&source, &vault, name, arguments);
    }
    dump(&source, &vault, "data-only.sql", &["-a"]);
    dump(&source, &vault, "data-only.dump", &["-a", "-Fc"]);
    let names: Vec<&str> = good.iter().map(|(name, _)| *name).collect();
    let points = [&names[..], &["data-only.sql", "data-only.dump"]].concat();
    let estate = lay(folder.path(), &source, &points).await;
    drill(&estate, 3);
    all_pass(&estate, &names);
    for point in ["data-only.sql", "data-only.dump"] {
        untold(&estate, point, "a dump of data alone");
    }
    source.servers.purge().await.unwrap();
}

/// What a dump may hold that wants to reach outside of the server that it is loaded into.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_postgres_dumps_reach_nothing() {
    let Some((folder, source, vault)) = begin(EngineKind::Postgres).await else { return };
    dump(&source, &vault, "good.sql", &["-Fp"]);
    let marks = tempfile::Builder::new().permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777)).tempdir().unwrap();
    let run = |mark: &str| format!("COPY (SELECT 1) TO PROGRAM 'touch {}/{mark}';", marks.path().display());
    let touch = |mark: &str| format!("\\! touch {}/{mark}", marks.path().display());
    let hostile = [
        ("command", format!("SELECT 1; {}", touch("command"))),
        ("after-comment", format!("-- x\r{}", touch("after-comment"))),
        ("after-copy", format!("COPY customer (name) FROM stdin;\n\\.\r\n{}", touch("after-copy"))),
        // Strings that the server takes for others than a reader of the text does.
        (
            "unstandard",
            format!(
                "DO $$ BEGIN EXECUTE 'SET standard_' || 'conforming_strings = off'; END $$;\nSELECT '\\'; --';\n{}\n-- \\'';",
                touch("unstandard")
            ),
        ),
        ("program", run("program")),
        ("owner", format!("CREATE TABLE x (a int);\nALTER TABLE x OWNER TO rdsadmin;\nSET ROLE rdsadmin;\n{}", run("owner"))),
        (
            "member",
            format!(
                "CREATE TABLE x (a int);\nALTER TABLE x OWNER TO pg_execute_server_program;\nSET ROLE pg_execute_server_program;\n{}",
                run("member")
            ),
        ),
        ("granted", format!("GRANT pg_execute_server_program TO attestore_drill;\n{}", run("granted"))),
        ("elsewhere", "CREATE EXTENSION IF NOT EXISTS dblink;\nSELECT public.dblink_connect('host=127.0.0.1 port=1');".to_owned()),
        ("made", format!("CREATE ROLE boss SUPERUSER LOGIN;\nSET ROLE boss;\n{}", run("made"))),
        ("name", format!("GRANT SELECT ON customer TO \"x$do$; ALTER ROLE attestore_drill SUPERUSER; --\";\n{}", run("name"))),
        (
            "event",
            format!(
                "CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS $f$ BEGIN {} END $f$;\nCREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f();\n\
                 ALTER EVENT TRIGGER e ENABLE ALWAYS;\nCREATE PUBLICATION p FOR ALL TABLES;",
                run("event")
            ),
        ),
        // What the administrator says afterwards must not find operators and types of the dump.
        (
            "operator",
            format!(
                "CREATE OR REPLACE FUNCTION public.f(oid, regclass) RETURNS boolean LANGUAGE plpgsql AS $f$ BEGIN BEGIN {} EXCEPTION WHEN OTHERS THEN NULL; END; \
                 RETURN $1 OPERATOR(pg_catalog.=) $2::oid; END $f$;\nDO $$ BEGIN CREATE OPERATOR public.= (LEFTARG = oid, RIGHTARG = regclass, FUNCTION = public.f); \
                 EXCEPTION WHEN duplicate_function THEN NULL; END $$;",
                run("operator")
            ),
        ),
        (
            "filter",
            format!(
                "DROP SCHEMA IF EXISTS s CASCADE;\nCREATE SCHEMA s;\nCREATE FUNCTION s.f(int) RETURNS boolean LANGUAGE plpgsql AS $f$ BEGIN BEGIN {} EXCEPTION WHEN OTHERS THEN NULL; END; \
                 RETURN true; END $f$;\nCREATE DOMAIN s.d AS int CHECK (s.f(VALUE));\nCREATE TYPE s.pair AS (a s.d);\nCREATE TABLE s.t (p s.pair);\n\
                 CREATE PUBLICATION p FOR TABLES IN SCHEMA public, TABLE s.t WHERE (p = '(1)');",
                run("filter")
            ),
        ),
    ];
    let far = format!("host=127.0.0.1 port={} dbname=crm user=keeper password=first-secret", source.booted.port);
    let hostile = hostile.into_iter().chain([
        ("link", format!("CREATE EXTENSION dblink;\nDO $f$ BEGIN PERFORM public.dblink_exec('{far}', 'INSERT INTO customer VALUES (98, ''x'')'); END $f$;")),
        (
            "wrapper",
            format!(
                "CREATE EXTENSION postgres_fdw;\nCREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '{}', dbname 'crm');\n\
                 CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (user 'keeper', password 'first-secret');\n\
                 CREATE FOREIGN TABLE public.there (id int, name text) SERVER far OPTIONS (schema_name 'public', table_name 'customer');\nINSERT INTO public.there VALUES (99, 'x');",
                source.booted.port
            ),
        ),
        ("flood", "DO $f$ BEGIN FOR i IN 1..200 LOOP RAISE WARNING '%', repeat('x', 100000); END LOOP; RAISE 'a value'; END $f$;".to_owned()),
    ]);
    let hostile: Vec<(&str, String)> = hostile.collect();
    // A folder whose table of contents names a file beside it.
    let (folder_of, secret) = (vault.join("astray"), b"1\tkept to itself\t\n");
    dump(&source, &vault, "astray", &["-Fd", "-Z0"]);
    std::fs::write(vault.join("x.dat"), secret).unwrap();
    let mut toc = std::fs::read(folder_of.join("toc.dat")).unwrap();
    let at = toc.windows(4).position(|window| window == b".dat").unwrap();
    toc[at - 4..at].copy_from_slice(b"../x");
    std::fs::write(folder_of.join("toc.dat"), toc).unwrap();
    let outside = folder.path().join("outside.sql");
    std::fs::copy(vault.join("good.sql"), &outside).unwrap();
    std::os::unix::fs::symlink(&outside, vault.join("linked.sql")).unwrap();
    std::os::unix::fs::symlink("good.sql", vault.join("latest.sql")).unwrap();
    // Its values have no ends of lines in them.
    edit(&vault.join("good.sql"), &vault.join("windows.sql"), |dump| dump.replace('\n', "\r\n"));
    rustix::fs::mknodat(rustix::fs::CWD, vault.join("pipe.sql"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    let points: Vec<&str> = hostile.iter().map(|(name, _)| *name).collect();
    for (name, text) in &hostile {
        edit(&vault.join("good.sql"), &vault.join(name), |dump| dump.replace("\nALTER TABLE ONLY", &format!("\n{text}\nALTER TABLE ONLY")));
    }
    let estate = lay(
        folder.path(),
        &source,
        &[&points[..], &["good.sql", "latest.sql", "windows.sql", "astray", "linked.sql", "pipe.sql"]].concat(),
    )
    .await;
    std::fs::remove_file(vault.join("x.dat")).unwrap();
    let output = estate.run(&["drill", "--at-once", "2"], None);
    assert_ne!(output.status.code(), Some(0));
    all_pass(&estate, &["good.sql", "latest.sql", "windows.sql"]);
    for point in &points {
        assert!(!marks.path().join(point).exists(), "{point} ran a program");
        assert_ne!(result(&estate, point).outcome, Outcome::Pass, "{point}");
    }
    let customers =
        source.servers.sql(EngineKind::Postgres, "src", source.booted.port, "crm", "SELECT count(*) FROM customer").await.unwrap();
    assert_eq!(customers.trim(), "4", "a dump wrote into another server");
    let flood = result(&estate, "flood");
    assert!(!format!("{flood:?}").contains("a value"), "{flood:?}");
    for (point, why) in [
        ("command", "which no dump needs"),
        ("program", "rights that are withheld"),
        ("granted", "rights that are withheld"),
        ("link", "rights that are withheld"),
        ("wrapper", "reads from another server, or writes to it"),
        ("astray", "data in a file outside of it"),
        ("linked.sql", "which is outside of the vault"),
    ] {
        untold(&estate, point, why);
    }
    source.servers.purge().await.unwrap();
}

const MARIADB: &str = r#"
CREATE TABLE german (id INT PRIMARY KEY, v VARCHAR(20), FULLTEXT (v)) DEFAULT CHARSET latin1; INSERT INTO german VALUES (1, 'Zoë'), (2, '\\! touch x\n\\q');
CREATE TABLE old (v VARCHAR(20) CHARACTER SET utf8mb3, d DATE, t TIMESTAMP NULL, b BIT(9), j JSON, e ENUM('', 'a;b', 'x''y'), g POINT NOT NULL, SPATIAL (g));
SET sql_mode = ''; INSERT INTO old VALUES ('ä', '0000-00-00', '2026-01-01 00:00:00', b'101', '{"a": 1}', 'a;b', POINT(1, 2)); SET sql_mode = DEFAULT;
CREATE TABLE versioned (id INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING; INSERT INTO versioned VALUES (1, 1);
CREATE TABLE made (id INT AUTO_INCREMENT PRIMARY KEY, a INT CHECK (a > 0), b INT AS (a * 2) STORED, c INT AS (a + 1) VIRTUAL, u UUID, i INET6, h INT INVISIBLE DEFAULT 7) AUTO_INCREMENT = 50;
INSERT INTO made (a, u, i) VALUES (3, UUID(), '::1'); CREATE TABLE packed (id INT PRIMARY KEY, t TEXT) ROW_FORMAT = COMPRESSED; INSERT INTO packed VALUES (1, REPEAT('x', 9000));
CREATE TABLE egg (id INT PRIMARY KEY, hen INT); CREATE TABLE hen (id INT PRIMARY KEY, egg INT, FOREIGN KEY (egg) REFERENCES egg (id));
ALTER TABLE egg ADD FOREIGN KEY (hen) REFERENCES hen (id); SET foreign_key_checks = 0; INSERT INTO egg VALUES (1, 1); INSERT INTO hen VALUES (1, 1); SET foreign_key_checks = 1;
CREATE TABLE parts (id INT PRIMARY KEY) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE); INSERT INTO parts VALUES (1), (11);
CREATE TABLE isam (id INT PRIMARY KEY) ENGINE = MyISAM; INSERT INTO isam VALUES (1); CREATE TABLE `we``ird; -- t` (`c\n;` INT PRIMARY KEY); INSERT INTO `we``ird; -- t` VALUES (1);
CREATE SEQUENCE counting START 7 INCREMENT 3; SELECT NEXTVAL(counting);
CREATE USER 'gone'@'nowhere'; GRANT ALL ON crm.* TO 'gone'@'nowhere'; CREATE VIEW seen AS SELECT id FROM german; CREATE VIEW seen_twice AS SELECT id FROM seen; ALTER DEFINER = 'gone'@'nowhere' SQL SECURITY DEFINER VIEW seen AS SELECT id FROM german;
CREATE TABLE big (id INT PRIMARY KEY, b LONGBLOB); INSERT INTO big VALUES (1, REPEAT(CHAR(0, 39, 92, 10, 13, 26, 255), 100000));
DELIMITER //
CREATE DEFINER = 'gone'@'nowhere' TRIGGER counted BEFORE INSERT ON isam FOR EACH ROW BEGIN SET NEW.id = NEW.id + 0; END//
CREATE PROCEDURE p() BEGIN SELECT 1; SELECT '\\! id
\\! id'; END//
CREATE FUNCTION f(a INT) RETURNS INT DETERMINISTIC RETURN a + 1//
CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO BEGIN SET @x = 1; SET @y = 2; END//
DELIMITER ;
SET time_zone = 'Asia/Tokyo'; CREATE EVENT there ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' DO DO 1; SET time_zone = DEFAULT;
"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_people_have_in_mariadb_comes_back_and_hostile_dumps_reach_nothing() {
    if !engine(EngineKind::MariaDb) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let source = Source::start(&folder.path().join("source"), EngineKind::MariaDb).await;
    crate::mysql_dumps::know_zones(&source).await;
    source.administer(MARIADB).await;
    let vault = folder.path().join("vault/db");
    std::fs::create_dir_all(&vault).unwrap();
    let all = ["--routines", "--events", "--triggers", "--dump-history"];
    let good: [(&str, &[&str]); 5] = [
        // The server's own databases and the place in its log stay out.
        ("whole.sql", &["--all-databases"]),
        ("full.sql", &["--single-transaction", "crm"]),
        ("databases.sql", &["--databases", "crm", "--add-drop-database"]),
        ("plainest.sql", &["--skip-opt", "--create-options", "--complete-insert", "--hex-blob", "--skip-tz-utc", "crm"]),
        ("ordered.sql", &["--order-by-primary", "--skip-extended-insert", "--skip-dump-date", "crm"]),
    ];
    for (name, arguments) in good {
        source.mysql_dump_with(&[&all[..], arguments].concat(), &vault.join(name));
    }
    source.mysql_dump_with(&[&all[..], &["--compact", "crm"]].concat(), &vault.join("compact.sql"));
    std::os::unix::fs::symlink("/etc/hostname", vault.join("link.sql")).unwrap();
    source.mysql_dump_with(&[&all[..3], &["crm"]].concat(), &vault.join("forgetful.sql"));
    let marks = tempfile::Builder::new().permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777)).tempdir().unwrap();
    let at = |mark: &str| marks.path().join(mark).display().to_string();
    let hostile = [
        ("command", format!("\\! touch {}", at("command"))),
        ("system", format!("system touch {}", at("system"))),
        ("outfile", format!("SELECT 1 INTO OUTFILE '{}';", at("outfile"))),
        ("log", format!("SET GLOBAL general_log_file = '{}'; SET GLOBAL general_log = 1;", at("log"))),
        (
            "definer",
            format!(
                "DELIMITER ;;\nCREATE DEFINER = rdsadmin@localhost PROCEDURE evil() SQL SECURITY DEFINER BEGIN SET GLOBAL general_log_file = '{}'; \
                 SET GLOBAL general_log = 1; END;;\nDELIMITER ;\nCALL evil();",
                at("definer")
            ),
        ),
        ("plugin", "INSTALL SONAME 'ha_federated';".to_owned()),
        ("account", "CREATE USER evil@'%';".to_owned()),
        (
            "privileges",
            "INSERT INTO mysql.global_priv (Host, User, Priv) VALUES ('%', 'evil', '{\"access\": 18446744073709551615}');".to_owned(),
        ),
        ("primary", "CHANGE MASTER TO master_host = '127.0.0.1', master_port = 1;".to_owned()),
        ("everywhere", "SET GLOBAL init_connect = 'SELECT 1';".to_owned()),
        ("lacking", "CREATE TABLE x (v TEXT COLLATE utf8mb4_0900_as_ci);".to_owned()),
    ];
    for (name, text) in &hostile {
        edit(&vault.join("plainest.sql"), &vault.join(name), |dump| dump.replacen("\nCREATE TABLE", &format!("\n{text}\nCREATE TABLE"), 1));
    }
    let names: Vec<&str> = good.iter().map(|(name, _)| *name).collect();
    let bad: Vec<&str> = hostile.iter().map(|(name, _)| *name).collect();
    let estate = lay(folder.path(), &source, &[&names[..], &bad, &["compact.sql", "forgetful.sql", "link.sql"]].concat()).await;
    let output = estate.run(&["drill", "--at-once", "2"], None);
    assert_ne!(output.status.code(), Some(0));
    for point in &bad {
        assert!(!marks.path().join(point).exists(), "{point} reached a file");
        assert_ne!(result(&estate, point).outcome, Outcome::Pass, "{point}");
    }
    for point in ["outfile", "log", "definer", "plugin", "account", "privileges", "primary", "everywhere"] {
        untold(&estate, point, "rights that are withheld");
    }
    untold(&estate, "lacking", "the server here lacks");
    untold(&estate, "compact.sql", "without comments");
    untold(&estate, "link.sql", "outside of the vault");
    all_pass(&estate, &names);
    // Since when a row of a system-versioned table holds is not in a dump without its history.
    let forgetful = result(&estate, "forgetful.sql");
    assert_eq!((forgetful.outcome, forgetful.verify.unwrap().rows.unwrap().mismatch), (Outcome::Fail, 1));
    source.servers.purge().await.unwrap();
}
