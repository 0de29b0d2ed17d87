//! PostgreSQL for real: fingerprints, comparison, faults.

use std::sync::Arc;

use crate::servers::{self, Kind};
use crate::support::{self, Db, KillAfter, POSTGRES_TYPES, access, key, places};
use attestore::model::check::CheckOutcome;
use attestore::model::failure::FailureKind;
use attestore::model::finding::Class;
use attestore::model::source_url::SourceUrl;
use attestore::monitor::{Collected, Silent};
use attestore::signing::hash_key::HashKey;
use attestore::verify::manifest::reader::Manifest;
use attestore::verify::sql::checks::pack::Pack;
use attestore::verify::sql::compare::database::compare;
use attestore::verify::sql::connect::access::Access;
use attestore::verify::sql::database::Database;
use sqlx::{Connection, PgConnection};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_data_gives_the_same_fingerprint_and_every_type_is_read() {
    let Some(server) = servers::shared(Kind::Postgres) else { return };
    let dir = tempfile::tempdir().unwrap();
    let one = Db::new(&server, Kind::Postgres, "types_one", POSTGRES_TYPES).await;
    let first = one.capture(&dir.path().join("a")).await.unwrap();
    let again = one.capture(&dir.path().join("b")).await.unwrap();
    assert_eq!(first.root, again.root);
    assert_eq!((first.counts["tables"], first.counts["rows"]), (1, 4));
    assert_eq!(first.baselines["rows.all_types"], "4");
    // Rows in another physical order, after updates that leave holes.
    let other = Db::new(&server, Kind::Postgres, "types_other", POSTGRES_TYPES).await;
    other.run("UPDATE all_types SET t = t WHERE id < 3; DELETE FROM all_types WHERE id = 1; INSERT INTO all_types (id) VALUES (1)").await;
    other.run("VACUUM FULL all_types").await;
    let moved = other.capture(&dir.path().join("c")).await.unwrap();
    assert_eq!(first.root, moved.root);
    let (result, findings) = other.compare(&dir.path().join("a")).await;
    assert_eq!(findings, []);
    assert_eq!(result.rows.unwrap().matched, 4);
    assert_eq!(result.tables.unwrap().matched, 1);
    let position = first.position.unwrap();
    assert!(position["before"]["lsn"].is_string() && position["before"]["snapshot"].is_string(), "{position}");
    assert_eq!(position["opaque"]["all_types"], serde_json::json!(["money", "point"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_lost_and_surplus_rows_are_named() {
    let Some(server) = servers::shared(Kind::Postgres) else { return };
    let dir = tempfile::tempdir().unwrap();
    let db = Db::new(
        &server,
        Kind::Postgres,
        "named",
        "CREATE TABLE t (a int, b text, v text, PRIMARY KEY (b, a)); INSERT INTO t SELECT i, 'k ' || i, 'v' FROM generate_series(1, 20000) i; \
         CREATE TABLE nokey (x int); INSERT INTO nokey VALUES (1), (1), (2); CREATE TABLE empty (id int PRIMARY KEY); \
         CREATE TABLE gone (id int PRIMARY KEY); INSERT INTO gone VALUES (1), (2); CREATE VIEW w AS SELECT 1; \
         CREATE TABLE p (id int, at date) PARTITION BY RANGE (at); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM ('2026-01-01') TO ('2026-02-01'); INSERT INTO p VALUES (1, '2026-01-05'); \
         CREATE SCHEMA s; CREATE TABLE s.t (id int PRIMARY KEY); INSERT INTO s.t VALUES (1)",
    )
    .await;
    let manifest = dir.path().join("m");
    let header = db.capture(&manifest).await.unwrap();
    assert_eq!(header.counts["tables"], 6, "p1 by its leaf, neither p nor the view");
    assert_eq!(header.counts["rows"], 20_000 + 3 + 2 + 1 + 1);
    db.run(
        "UPDATE t SET v = 'w' WHERE a = 17; DELETE FROM t WHERE a = 18; INSERT INTO t VALUES (0, 'new', 'v'); \
         DELETE FROM nokey; INSERT INTO nokey VALUES (1), (2), (2); DROP TABLE gone; CREATE TABLE more (id int); INSERT INTO more VALUES (5); \
         ALTER TABLE s.t ALTER COLUMN id TYPE bigint",
    )
    .await;
    let (result, findings) = db.compare(&manifest).await;
    let places = places(&findings);
    assert!(places.contains(&(Class::Mismatch, "t a=17 b=\"k 17\"".into())), "{places:?}");
    assert!(places.contains(&(Class::Extra, "t a=0 b=new".into())), "{places:?}");
    assert!(places.contains(&(Class::Missing, "gone".into())) && places.contains(&(Class::Extra, "more".into())));
    assert!(places.contains(&(Class::SchemaChanged, "s.t".into())));
    let schema = findings.iter().find(|finding| finding.class == Class::SchemaChanged).unwrap();
    assert_eq!((schema.expected.as_deref(), schema.actual.as_deref()), (Some("id integer NOT NULL"), Some("id bigint NOT NULL")));
    let missing: Vec<_> = places.iter().filter(|(class, place)| *class == Class::Missing && place.starts_with("t #")).collect();
    assert_eq!(missing.len(), 1);
    // {1,1,2} against {1,2,2}: neither sums nor counts tell them apart.
    assert_eq!(places.iter().filter(|(_, place)| place.starts_with("nokey #")).count(), 2);
    let (tables, rows) = (result.tables.unwrap(), result.rows.unwrap());
    assert_eq!((tables.matched, tables.mismatch, tables.missing, tables.extra), (2, 3, 1, 1));
    assert_eq!((rows.mismatch, rows.missing, rows.extra), (1, 4, 3));
    assert!(tables.adds_up() && rows.adds_up());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wrong_answers_of_other_tools() {
    let Some(server) = servers::shared(Kind::Postgres) else { return };
    let dir = tempfile::tempdir().unwrap();
    let db = Db::new(
        &server,
        Kind::Postgres,
        "wrong",
        "CREATE TABLE t (id int PRIMARY KEY, a text, b text, f float8, at timestamptz, by bytea, n numeric)",
    )
    .await;
    // Each pair: equal to tools that concatenate, fold, round, cut or add up.
    let pairs = [
        ("separators", "(1,'x0','y')", "(1,'x','0y')"),
        ("NULL and 'NULL'", "(1,NULL,'y')", "(1,'NULL','y')"),
        ("NULL shifted", "(1,NULL,'y')", "(1,'y',NULL)"),
        ("equal pairs", "(1,'a','a'),(2,'a','a')", "(1,'b','b'),(2,'b','b')"),
        ("case", "(1,'a','y')", "(1,'A','y')"),
        ("trailing space", "(1,'a','y')", "(1,'a ','y')"),
        ("normal form", "(1,E'\\u00e9','y')", "(1,E'e\\u0301','y')"),
        ("float text", "(1,'','',16777217.5)", "(1,'','',16777217.6)"),
        ("minus zero", "(1,'','',0)", "(1,'','','-0')"),
        ("microseconds", "(1,'','',0,'2026-01-01 00:00:00.000001+00')", "(1,'','',0,'2026-01-01 00:00:00.000002+00')"),
        ("blobs skipped", "(1,'','',0,NULL,'\\x00')", "(1,'','',0,NULL,'\\x01')"),
        ("constant shift", "(1,'','',1),(2,'','',2)", "(1,'','',2),(2,'','',1)"),
        ("decimal scale", "(1,'','',0,NULL,NULL,1.0)", "(1,'','',0,NULL,NULL,1.00)"),
        (
            "38 digits",
            "(1,'','',0,NULL,NULL,99999999999999999999999999999999999998)",
            "(1,'','',0,NULL,NULL,99999999999999999999999999999999999999)",
        ),
    ];
    for (index, (name, before, after)) in pairs.iter().enumerate() {
        let manifest = dir.path().join(index.to_string());
        db.run(&format!("TRUNCATE t; INSERT INTO t VALUES {before}")).await;
        db.capture(&manifest).await.unwrap();
        assert_eq!(db.compare(&manifest).await.1, [], "{name}: equal before the change");
        db.run(&format!("TRUNCATE t; INSERT INTO t VALUES {after}")).await;
        let (result, findings) = db.compare(&manifest).await;
        assert!(
            result.rows.unwrap().mismatch > 0 && findings.iter().all(|finding| finding.class == Class::Mismatch),
            "{name}: {findings:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_reached_is_denied_or_absent() {
    let Some(server) = servers::shared(Kind::Postgres) else { return };
    let dir = tempfile::tempdir().unwrap();
    let db = Db::new(&server, Kind::Postgres, "reach", "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)").await;
    let manifest = dir.path().join("m");
    db.capture(&manifest).await.unwrap();
    let opened = Manifest::open(&manifest).unwrap();
    let wrong = Access { password: Some("wrong".into()), ..Access::default() };
    let error = compare(&db.url(), &wrong, &opened, &key(), &Silent).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Denied, "{error}");
    assert_eq!(error.kind.exit_code().code(), 4);
    let absent: SourceUrl = server.url("nowhere").parse().unwrap();
    let error = compare(&absent, &access(), &opened, &key(), &Silent).await.unwrap_err();
    assert_eq!((error.kind, error.kind.exit_code().code()), (FailureKind::Absent, 4), "{error}");
    let nobody: SourceUrl = "postgres://tester@127.0.0.1:1/reach".parse().unwrap();
    let error = compare(&nobody, &access(), &opened, &key(), &Silent).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Network, "{error}");
    let error = compare(&db.url(), &access(), &opened, &HashKey::from_bytes([8; 32]), &Silent).await.unwrap_err();
    assert_eq!((error.kind, error.kind.exit_code().code()), (FailureKind::Invalid, 2), "{error}");
    // A table that the reader may not see is unreadable, never skipped: row-level security and grants alike.
    db.run("CREATE ROLE reader LOGIN PASSWORD 'r'; ALTER TABLE t ENABLE ROW LEVEL SECURITY; GRANT SELECT ON t TO reader").await;
    let reader = Access { user: Some("reader".into()), password: Some("r".into()), ..Access::default() };
    let monitor = Collected::default();
    let result = compare(&db.url(), &reader, &opened, &key(), &monitor).await.unwrap();
    assert_eq!(result.tables.unwrap().unreadable, 1, "{:?}", monitor.findings());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_without_tables_proves_nothing_and_an_empty_table_is_fine() {
    let Some(server) = servers::shared(Kind::Postgres) else { return };
    let dir = tempfile::tempdir().unwrap();
    let db = Db::new(&server, Kind::Postgres, "nothing", "SELECT 1").await;
    db.capture(&dir.path().join("none")).await.unwrap();
    let (result, _) = db.compare(&dir.path().join("none")).await;
    assert_eq!(result.outcome(0).0, attestore::model::outcome::Outcome::Inconclusive);
    db.run("CREATE TABLE e (id int PRIMARY KEY); CREATE TABLE bare ()").await;
    db.run("INSERT INTO bare DEFAULT VALUES").await;
    let header = db.capture(&dir.path().join("empty")).await.unwrap();
    assert_eq!((header.counts["tables"], header.counts["rows"]), (2, 1));
    let (result, findings) = db.compare(&dir.path().join("empty")).await;
    assert_eq!((result.outcome(0).0, findings), (attestore::model::outcome::Outcome::Pass, vec![]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copied_data_directory_is_the_same_and_a_killed_server_is_unreadable() {
    let Some(server) = servers::own(Kind::Postgres).map(Arc::new) else { return };
    let dir = tempfile::tempdir().unwrap();
    let sql = "CREATE TABLE big (id int PRIMARY KEY, v text); INSERT INTO big SELECT i, repeat(i::text, 40) FROM generate_series(1, 120000) i; \
               CREATE TABLE other (id int PRIMARY KEY); INSERT INTO other VALUES (1)";
    let db = Db::new(&server, Kind::Postgres, "crm", sql).await;
    let manifest = dir.path().join("m");
    db.capture(&manifest).await.unwrap();
    server.stop();
    let copy = Arc::new(server.copy());
    let db = Db { server: copy.clone(), kind: Kind::Postgres, name: "crm".into() };
    let (result, findings) = db.compare(&manifest).await;
    assert_eq!((findings, result.rows.unwrap().matched), (vec![], 120_001));
    // Killed in the middle of the big table: both tables are unreadable, nothing is a mismatch or missing.
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
    assert!(!findings[0].actual.as_ref().unwrap().starts_with("120000 rows"));
}

/// The banking schema and a little data that satisfies every check.
const BANK: &str = "CREATE TABLE customers (id BIGINT PRIMARY KEY, name VARCHAR(120) NOT NULL, email VARCHAR(160) NOT NULL, created_at TIMESTAMP NOT NULL); \
     CREATE TABLE accounts (id BIGINT PRIMARY KEY, customer_id BIGINT NOT NULL, currency CHAR(3) NOT NULL, balance_minor BIGINT NOT NULL, updated_at TIMESTAMP NOT NULL, FOREIGN KEY (customer_id) REFERENCES customers (id)); \
     CREATE TABLE transactions (id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL, amount_minor BIGINT NOT NULL, kind VARCHAR(16) NOT NULL, booked_at TIMESTAMP NOT NULL, reference VARCHAR(80), \
     FOREIGN KEY (account_id) REFERENCES accounts (id)); CREATE SEQUENCE s MAXVALUE 3; SELECT nextval('s'); CREATE EXTENSION amcheck; \
     CREATE TABLE served (id SERIAL PRIMARY KEY, n BIGINT GENERATED ALWAYS AS IDENTITY, other BIGINT DEFAULT nextval('s')); INSERT INTO served VALUES (DEFAULT, DEFAULT, 1); \
     INSERT INTO customers VALUES (1, 'A', 'a@example.com', now() AT TIME ZONE 'UTC'); INSERT INTO accounts VALUES (10, 1, 'SGD', 50, now() AT TIME ZONE 'UTC'); \
     INSERT INTO transactions VALUES (1, 10, 80, 'credit', now() AT TIME ZONE 'UTC', NULL), (2, 10, -30, 'debit', now() AT TIME ZONE 'UTC', 'x');";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_shipped_check_passes_and_fails() {
    let Some(server) = servers::shared(Kind::Postgres) else { return };
    let packs = [Pack::load("structure-postgres").unwrap(), Pack::load("bank").unwrap()];
    let good = Db::new(&server, Kind::Postgres, "bank_good", BANK).await;
    let results = good.check(&packs, &[("rows.customers", "1"), ("rows.accounts", "1"), ("rows.transactions", "2")]).await;
    assert_eq!(results.len(), 18);
    // The server has no page checksums; a database of the locale C has no version of its collation.
    let apart =
        [("structure.postgres-page-checksums", CheckOutcome::Warn), ("structure.postgres-database-collation", CheckOutcome::Untested)];
    for (id, result) in &results {
        let expected = apart.iter().find(|(apart, _)| apart == id).map_or(CheckOutcome::Pass, |(_, outcome)| *outcome);
        assert_eq!(result.result, expected, "{result:?}");
    }
    let bad = Db::new(&server, Kind::Postgres, "bank_bad", BANK).await;
    bad.run("SET session_replication_role = replica; UPDATE accounts SET customer_id = 2; UPDATE transactions SET booked_at = '2020-01-01'; UPDATE transactions SET account_id = 11, kind = 'odd' WHERE id = 2").await;
    bad.run("ALTER SEQUENCE served_n_seq RESTART WITH 1; CREATE COLLATION elder (provider = icu, locale = 'en', version = '0.1'); CREATE TABLE sorted (w text COLLATE elder)").await;
    bad.run("SELECT nextval('s'), nextval('s'); ALTER TABLE customers ADD CONSTRAINT named CHECK (name <> 'A') NOT VALID; CREATE TABLE twice (x int); INSERT INTO twice VALUES (1), (1)").await;
    let mut connection = PgConnection::connect(&server.full_url("bank_bad")).await.unwrap();
    assert!(sqlx::raw_sql("CREATE UNIQUE INDEX CONCURRENTLY unfinished ON twice (x)").execute(&mut connection).await.is_err());
    connection.close().await.unwrap();
    let mut results = bad.check(&packs, &[("rows.customers", "2"), ("rows.accounts", "2"), ("rows.transactions", "3")]).await;
    // Damaged heaps and trees are made in `a_flipped_byte_passes_the_engine_and_not_the_fingerprint`.
    assert_eq!(results.remove("structure.postgres-heap").unwrap().result, CheckOutcome::Pass);
    assert_eq!(results.remove("structure.postgres-btree").unwrap().result, CheckOutcome::Pass);
    let behind = &results["structure.postgres-sequences-behind"];
    assert_eq!(behind.rows, [[("sequence".to_owned(), "public.served_n_seq".to_owned())]], "{behind:?}");
    for (id, outcome) in apart {
        assert_eq!(results.remove(id).unwrap().result, outcome);
    }
    assert!(results.values().all(|result| result.result == CheckOutcome::Fail), "{results:?}");
    bad.run("DROP EXTENSION amcheck").await;
    assert_eq!(bad.check(&packs, &[]).await["structure.postgres-heap"].result, CheckOutcome::Error);
}

/// Whoever may make functions in a schema, and name tables, has no say in what a check runs, nor in what it finds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_a_database_names_runs_in_a_check() {
    let Some(server) = servers::shared(Kind::Postgres) else { return };
    let planted = "CREATE FUNCTION planted() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a planted function ran'; END $$; \
        CREATE FUNCTION bt_index_parent_check(oid, boolean) RETURNS void LANGUAGE sql AS 'SELECT planted()'; \
        CREATE FUNCTION verify_heapam(oid, OUT blkno bigint, OUT offnum int, OUT attnum int, OUT msg text) LANGUAGE sql AS 'SELECT 1::bigint, 1, 1, planted()::text'; \
        CREATE FUNCTION verify_heapam(regclass, OUT blkno bigint, OUT offnum int, OUT attnum int, OUT msg text) LANGUAGE sql AS 'SELECT 1::bigint, 1, 1, planted()::text'; \
        CREATE FUNCTION equal(oid, oid) RETURNS boolean LANGUAGE sql AS 'SELECT planted() = 1'; CREATE OPERATOR = (leftarg = oid, rightarg = oid, function = equal); \
        CREATE TABLE \"t'\" (id int PRIMARY KEY); INSERT INTO \"t'\" VALUES (1); CREATE SEQUENCE \"s{column}\"; \
        CREATE TABLE \"t{name}\" (r int, CONSTRAINT \"\"\" c, public.planted()--\" FOREIGN KEY (r) REFERENCES \"t'\" (id)); \
        CREATE TABLE \"u{name}\" (r int, CONSTRAINT \"\"\" c WHERE false--\" FOREIGN KEY (r) REFERENCES \"t'\" (id)); \
        CREATE TABLE pairs (a int, b int, UNIQUE (a, b)); \
        CREATE TABLE whole (a int, b int, FOREIGN KEY (a, b) REFERENCES pairs (a, b) MATCH FULL); CREATE TABLE parts (a int, b int, FOREIGN KEY (a, b) REFERENCES pairs (a, b)); \
        INSERT INTO \"t{name}\" VALUES (1); INSERT INTO \"u{name}\" VALUES (1); INSERT INTO pairs VALUES (1, 1); INSERT INTO whole VALUES (1, 1); INSERT INTO parts VALUES (1, 1);";
    let db = Db::new(&server, Kind::Postgres, "planted", planted).await;
    db.run("ALTER DATABASE planted SET search_path = public, pg_catalog").await;
    let pack = [Pack::load("structure-postgres").unwrap()];
    let results = db.check(&pack, &[]).await;
    for id in ["structure.postgres-btree", "structure.postgres-heap"] {
        assert_eq!(results[id].result, CheckOutcome::Error, "{:?}", results[id]);
        assert!(results[id].reason.as_ref().unwrap().contains("its extension is not installed"), "{:?}", results[id]);
    }
    assert_eq!(results["structure.postgres-orphans"].result, CheckOutcome::Pass, "{results:?}");
    db.run("CREATE EXTENSION amcheck; SET session_replication_role = replica; INSERT INTO \"u{name}\" VALUES (999); INSERT INTO whole VALUES (NULL, 1); INSERT INTO parts VALUES (NULL, 1)").await;
    let results = db.check(&pack, &[]).await;
    for id in ["structure.postgres-btree", "structure.postgres-heap"] {
        assert_eq!(results[id].result, CheckOutcome::Pass, "{:?}", results[id]);
    }
    let orphans = &results["structure.postgres-orphans"];
    let names: Vec<&str> = orphans.rows.iter().flatten().map(|(_, name)| name.as_str()).collect();
    assert_eq!((orphans.result, names), (CheckOutcome::Fail, vec!["\" c WHERE false--", "whole_a_b_fkey"]), "{orphans:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_whose_collation_sorts_otherwise_fails_and_page_checksums_pass() {
    let Some(server) = servers::own_with(Kind::Postgres, &["--data-checksums"]).map(Arc::new) else { return };
    let of_icu = "CREATE DATABASE sorted TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en' LOCALE 'C'";
    support::run(&server, Kind::Postgres, "postgres", of_icu).await;
    let db = Db { server: server.clone(), kind: Kind::Postgres, name: "sorted".into() };
    let pack = [Pack::load("structure-postgres").unwrap()];
    let empty = db.check(&pack, &[]).await;
    assert!(empty.values().all(|result| !matches!(result.result, CheckOutcome::Pass | CheckOutcome::Warn)), "{empty:?}");
    db.run("CREATE EXTENSION amcheck; CREATE TABLE t (id int); INSERT INTO t VALUES (1)").await;
    let sound = db.check(&pack, &[]).await;
    assert_eq!(sound["structure.postgres-page-checksums"].result, CheckOutcome::Pass);
    assert_eq!(sound["structure.postgres-database-collation"].result, CheckOutcome::Pass);
    // Without references, sequences and the like: nothing is the matter with it, and nothing of that kind was looked at.
    let apart: Vec<&str> = sound.values().filter(|result| !result.counts()).map(|result| result.id.as_str()).collect();
    assert!(apart.contains(&"structure.postgres-orphans") && apart.contains(&"structure.postgres-sequences"), "{sound:?}");
    assert!(sound.values().all(|result| result.result == CheckOutcome::Pass || !result.counts()), "{sound:?}");
    db.run("UPDATE pg_database SET datcollversion = '0.1' WHERE datname = 'sorted'").await;
    assert_eq!(db.check(&pack, &[]).await["structure.postgres-database-collation"].result, CheckOutcome::Fail);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_inheriting_tables_are_no_orphans_and_no_value_is_told() {
    let Some(server) = servers::shared(Kind::Postgres) else { return };
    let sql = "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (p int REFERENCES p); CREATE TABLE c_more () INHERITS (c); \
        CREATE FUNCTION told(t text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the value is %', t USING ERRCODE = '22000'; END $$; \
        CREATE TABLE w (s text); INSERT INTO p VALUES (1); INSERT INTO c VALUES (1); INSERT INTO c_more VALUES (9); INSERT INTO w VALUES ('a sekret'), (E'\"b\"\nsekret')";
    let db = Db::new(&server, Kind::Postgres, "inherited", sql).await;
    let mut pack = Pack::load("structure-postgres").unwrap();
    let orphans = &db.check(std::slice::from_ref(&pack), &[]).await["structure.postgres-orphans"];
    assert_eq!(orphans.result, CheckOutcome::Pass, "{orphans:?}");
    pack.checks.retain(|check| check.id == "structure.postgres-invalid-indexes");
    for (sql, said) in [
        ("SELECT s::int FROM w", "invalid input syntax for type integer: (redacted) (22P02)"),
        ("SELECT s::int FROM w ORDER BY s DESC", "invalid input syntax for type integer: (redacted) (22P02)"),
        ("SELECT s::regclass FROM w WHERE s LIKE 'a%'", "(42"),
        ("SELECT told(s) FROM w", "raised by a function of the database: (redacted) (22000)"),
        ("SELECT nowhere FROM w", "\"nowhere\" does not exist (42703)"),
    ] {
        pack.checks[0].sql = sql.into();
        let results = db.check(std::slice::from_ref(&pack), &[]).await;
        let result = results.values().next().unwrap();
        assert_eq!(result.result, CheckOutcome::Error, "{result:?}");
        let reason = result.reason.as_ref().unwrap();
        assert!(reason.contains(said) && !reason.contains("sekret"), "{reason}");
    }
    db.run("CREATE SEQUENCE hidden; CREATE ROLE looker LOGIN PASSWORD 'looker'; GRANT pg_read_all_data TO looker; REVOKE pg_read_all_data FROM looker").await;
    let pack = [Pack::load("structure-postgres").unwrap()];
    let access = support::as_user("looker", "looker");
    let results = attestore::verify::sql::checks::runner::run(&db.url(), &access, &pack, &Default::default(), &Silent).await.unwrap();
    let sequences = results.iter().find(|result| result.id == "structure.postgres-sequences").unwrap();
    assert_eq!(sequences.result, CheckOutcome::Error, "what may not be read has not passed: {sequences:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_can_neither_write_nor_run_for_ever() {
    let Some(server) = servers::shared(Kind::Postgres) else { return };
    let db = Db::new(
        &server,
        Kind::Postgres,
        "fences",
        "CREATE TABLE t (id int PRIMARY KEY); CREATE FUNCTION sneak() RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES (1) RETURNING id'",
    )
    .await;
    let mut pack = Pack::load("structure-postgres").unwrap();
    pack.checks.truncate(1);
    for privileged in [true, false] {
        pack.checks[0].privileged = privileged;
        pack.checks[0].requires_functions.clear();
        for sql in [
            "INSERT INTO t VALUES (1)",
            "DROP TABLE t",
            "SELECT sneak()",
            "SELECT 1; COMMIT; DROP TABLE t",
            "SELECT set_config('transaction_read_only', 'off', true), sneak()",
        ] {
            pack.checks[0].sql = sql.into();
            let results = db.check(&[pack.clone()], &[]).await;
            assert!(results.values().all(|result| result.result == CheckOutcome::Error), "{sql}: {results:?}");
        }
    }
    pack.checks[0].sql = "SELECT pg_sleep(600)".into();
    pack.checks[0].timeout = std::time::Duration::from_secs(1);
    let results = db.check(&[pack], &[]).await;
    let result = results.values().next().unwrap();
    assert_eq!(result.result, CheckOutcome::Error);
    assert!(result.reason.as_ref().unwrap().contains("statement timeout"), "{result:?}");
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(db.capture(&dir.path().join("m")).await.unwrap().counts["rows"], 0);
}

/// Changes bytes of a table's file while the server is down.
async fn damage(db: &Db, relation: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut connection = PgConnection::connect(&db.server.full_url(&db.name)).await.unwrap();
    let path: String =
        sqlx::query_scalar("SELECT pg_relation_filepath($1::regclass)").bind(relation).fetch_one(&mut connection).await.unwrap();
    sqlx::raw_sql("CHECKPOINT").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    db.server.stop();
    let path = db.server.data().join(path);
    let mut bytes = std::fs::read(&path).unwrap();
    change(&mut bytes);
    std::fs::write(&path, bytes).unwrap();
    db.server.start();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_byte_passes_the_engine_and_not_the_fingerprint() {
    let Some(server) = servers::own(Kind::Postgres).map(Arc::new) else { return };
    let dir = tempfile::tempdir().unwrap();
    let sql = "CREATE EXTENSION amcheck; CREATE TABLE t (id int PRIMARY KEY, a text, b text); CREATE INDEX ON t (a); INSERT INTO t SELECT i, 'indexed-' || i, 'plain-' || i || '-end' FROM generate_series(1, 50) i; \
               CREATE TABLE h (id int PRIMARY KEY); INSERT INTO h VALUES (1)";
    let db = Db::new(&server, Kind::Postgres, "golden", sql).await;
    let manifest = dir.path().join("m");
    db.capture(&manifest).await.unwrap();
    let pack = [Pack::load("structure-postgres").unwrap()];
    let flip = |needle: &'static str| {
        move |bytes: &mut Vec<u8>| {
            let at = bytes.windows(needle.len()).position(|window| window == needle.as_bytes()).unwrap();
            bytes[at] ^= 1;
        }
    };
    damage(&db, "t", flip("plain-17-end")).await;
    let results = db.check(&pack, &[]).await;
    assert_eq!(results["structure.postgres-heap"].result, CheckOutcome::Pass, "{results:?}");
    assert_eq!(results["structure.postgres-btree"].result, CheckOutcome::Pass, "{results:?}");
    let (_, findings) = db.compare(&manifest).await;
    assert_eq!(places(&findings), [(Class::Mismatch, "t id=17".into())]);
    // In an indexed column the index tells on it.
    damage(&db, "t", flip("indexed-23")).await;
    let results = db.check(&pack, &[]).await;
    assert_eq!(results["structure.postgres-btree"].result, CheckOutcome::Fail, "{results:?}");
    assert_eq!(results["structure.postgres-heap"].result, CheckOutcome::Pass, "{results:?}");
    // A line pointer that points nowhere.
    damage(&db, "h", |bytes| bytes[24] |= 3).await;
    let results = db.check(&pack, &[]).await;
    assert_eq!(results["structure.postgres-heap"].result, CheckOutcome::Fail, "{results:?}");
}

/// The server's own records move its log: that is no change, and a commit is one.
#[tokio::test]
async fn a_log_that_moves_alone_is_no_moving_source() {
    let Some(server) = servers::own(Kind::Postgres).map(Arc::new) else { return };
    let db = Db::new(&server, Kind::Postgres, "still", "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)").await;
    let mut session = Database::open(&db.url(), &access()).await.unwrap();
    let before = session.position().await;
    db.run("CHECKPOINT").await;
    assert_ne!(session.position().await["lsn"], before["lsn"]);
    assert_eq!(session.moved_since(&before).await, None);
    db.run("INSERT INTO t VALUES (2)").await;
    let after = session.moved_since(&before).await.unwrap();
    assert!(after["lsn"].is_string() && after != before);
    session.close().await;
}

/// Types that the server cannot send in binary, in every place where a type can stand, and those whose binary form is a number of the catalogue.
const PRINTED: &str = "CREATE EXTENSION isn; CREATE EXTENSION seg; CREATE EXTENSION intarray; CREATE SCHEMA app; CREATE TABLE app.aimed (id int); CREATE ROLE printed_role; \
     CREATE FUNCTION app.f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE FUNCTION app.f(text) RETURNS int LANGUAGE sql AS 'SELECT 1'; \
     CREATE DOMAIN book AS isbn13; CREATE TYPE held AS (n int, s seg); \
     CREATE TABLE printed (id isbn13 PRIMARY KEY, s seg, q query_int, a aclitem, many seg[], b book, h held, hs held[]); \
     INSERT INTO printed VALUES ('978-0-393-04002-9', '1.50 .. 2', '1&!2', 'printed_role=r/printed_role', '{1..2,NULL}', '978-0-393-04002-9', '(1,3)', NULL); \
     CREATE TYPE pointer AS (n int, c regclass, r regrole); CREATE TABLE aims (id int PRIMARY KEY, pt pointer, pts pointer[], c regclass, p regproc, ps regproc[], pr regprocedure, t regtype, r regrole, n regnamespace, o oid); \
     INSERT INTO aims VALUES (1, ROW(1, 'app.aimed', 'printed_role'), ARRAY[ROW(2, 'app.aimed', NULL)::pointer], 'app.aimed', (SELECT oid FROM pg_proc WHERE oid = 'app.f(int)'::regprocedure), NULL, 'app.f(text)', 'held', 'printed_role', 'app', 7), (2, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn types_without_a_binary_form_and_names_of_objects_are_compared_as_the_server_prints_them() {
    let Some(server) = servers::shared(Kind::Postgres) else { return };
    let dir = tempfile::tempdir().unwrap();
    let db = Db::new(&server, Kind::Postgres, "printed", PRINTED).await;
    let header = db.capture(&dir.path().join("m")).await.unwrap();
    let said = header.position.unwrap()["opaque"].clone();
    assert_eq!(
        said["printed"],
        serde_json::json!(["aclitem::text", "held::text", "held[]::text", "isbn13::text", "query_int::text", "seg::text", "seg[]::text"])
    );
    assert!(said["aims"].to_string().contains("regproc[]::text"), "{said}");
    // Made again, as a dump does it: every object has another number.
    let others = PRINTED
        .replace("CREATE ROLE printed_role; ", "CREATE TABLE between (); DROP TABLE between; ")
        .replace("CREATE TABLE app.aimed (id int);", "");
    let others = others.replace("CREATE TYPE pointer", "CREATE TABLE app.aimed (id int); CREATE TYPE pointer");
    let again = Db::new(&server, Kind::Postgres, "printed_again", &others).await;
    again.run("ALTER DATABASE printed_again SET search_path = app, public; ALTER DATABASE printed_again SET extra_float_digits = 3").await;
    let (result, findings) = again.compare(&dir.path().join("m")).await;
    // Values are read the same under any settings; that there are some is told by itself.
    let settings = ["setting extra_float_digits", "setting search_path"].map(|name| (Class::SchemaChanged, name.to_owned()));
    assert_eq!((places(&findings), result.rows.unwrap().matched), (settings.to_vec(), 3));
    again.run("ALTER DATABASE printed_again RESET ALL").await;
    for (change, row) in [
        ("UPDATE printed SET s = '1.5 .. 2'", "printed id=978-0-393-04002-9"),
        ("UPDATE printed SET many = '{1..2}'", "printed id=978-0-393-04002-9"),
        ("UPDATE printed SET h = '(1,4)'", "printed id=978-0-393-04002-9"),
        // Another function of the same name.
        ("UPDATE aims SET p = (SELECT oid FROM pg_proc WHERE oid = 'app.f(text)'::regprocedure) WHERE id = 1", "aims id=1"),
        ("UPDATE aims SET c = 'app.second' WHERE id = 1", "aims id=1"),
        ("UPDATE aims SET pt = ROW(1, 'app.second', 'printed_role') WHERE id = 1", "aims id=1"),
        ("UPDATE aims SET pts = ARRAY[ROW(2, 'app.second', NULL)::pointer] WHERE id = 1", "aims id=1"),
        ("UPDATE aims SET o = 8 WHERE id = 1", "aims id=1"),
    ] {
        let aside = "CREATE TABLE app.second (); CREATE TABLE kept_p AS SELECT * FROM printed; CREATE TABLE kept_a AS SELECT * FROM aims";
        db.run(&format!("{aside}; {change}")).await;
        let (_, findings) = db.compare(&dir.path().join("m")).await;
        assert!(places(&findings).contains(&(Class::Mismatch, row.into())), "{change}: {findings:?}");
        db.run("DELETE FROM printed; INSERT INTO printed SELECT * FROM kept_p; DELETE FROM aims; INSERT INTO aims SELECT * FROM kept_a; DROP TABLE kept_p, kept_a, app.second").await;
    }
}
