//! What a reader may see: the rights that are printed are enough and no more, and what a reader without them is not shown is never taken
//! for absent.

use std::path::Path;

use crate::servers::{self, Kind};
use crate::support::{self, Db, access, as_user, places};
use attestore::model::capture::CaptureMode;
use attestore::model::check::{CheckOutcome, CheckResult};
use attestore::model::failure::FailureKind;
use attestore::model::finding::Class;
use attestore::model::outcome::Outcome;
use attestore::monitor::Silent;
use attestore::verify::sql::checks::pack::Pack;
use attestore::verify::sql::checks::{recording, runner};
use attestore::verify::sql::connect::access::Access;
use attestore::verify::sql::grants;
use sqlx::Connection;

/// A user that nobody has, and every statement that is printed for it, comments left out.
async fn granted(db: &Db, user: &str) -> Access {
    let (create, account) = match db.kind {
        Kind::Postgres => (format!("CREATE ROLE \"{}\" LOGIN PASSWORD 'r'", user.replace('"', "\"\"")), user.to_owned()),
        Kind::Mariadb | Kind::Mysql => (format!("CREATE USER '{user}'@'127.0.0.%' IDENTIFIED BY 'r'"), format!("{user}@127.0.0.%")),
    };
    db.run(&create).await;
    let grants = grants::needed(&db.url(), &access(), &account).await.unwrap();
    assert!(grants.not_asked.is_none(), "{grants:?}");
    for statement in grants.statements.iter().filter(|line| !line.starts_with("--")) {
        db.run(statement).await;
    }
    as_user(user, "r")
}

async fn refused(db: &Db, reader: &Access, out: &Path) {
    let error = db.capture_as(reader, out).await.unwrap_err();
    assert_eq!((error.kind, error.kind.exit_code().code()), (FailureKind::Denied, 4), "{error}");
    assert!(error.hint.as_deref().unwrap().contains("--show-grants"), "{error}: {:?}", error.hint);
    assert!(!out.exists());
}

/// What the reader was not shown, as the manifest's header says.
fn not_shown(header: &attestore::verify::manifest::header::Header) -> Vec<String> {
    let position = header.position.as_ref().unwrap();
    position["definitions"]["not shown"].as_object().map(|kinds| kinds.keys().cloned().collect()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_printed_for_this_postgresql_database_is_enough_and_lets_nothing_be_written() {
    let Some(server) = servers::shared(Kind::Postgres) else { return };
    let dir = tempfile::tempdir().unwrap();
    let sql = "CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1); CREATE VIEW w AS SELECT 1; CREATE SEQUENCE s; \
               CREATE SCHEMA \"weird Schema\"; CREATE TABLE \"weird Schema\".\"T\"\"x\" (id int PRIMARY KEY); INSERT INTO \"weird Schema\".\"T\"\"x\" VALUES (1); \
               CREATE TABLE walled (id int PRIMARY KEY); INSERT INTO walled VALUES (1), (2); CREATE POLICY p ON walled USING (id = 1); \
               ALTER TABLE walled ENABLE ROW LEVEL SECURITY; SELECT lo_from_bytea(7777, 'hello'); SELECT nextval('s'); \
               CREATE SCHEMA bare; CREATE FUNCTION bare.f() RETURNS int LANGUAGE sql AS 'SELECT 1'";
    let db = Db::new(&server, Kind::Postgres, "rights", sql).await;
    let whole = dir.path().join("whole");
    db.capture(&whole).await.unwrap();
    db.run("CREATE ROLE bare LOGIN PASSWORD 'b'").await;
    refused(&db, &as_user("bare", "b"), &dir.path().join("bare")).await;
    let reader = granted(&db, "re\"a der").await;
    let manifest = dir.path().join("m");
    let header = db.capture_as(&reader, &manifest).await.unwrap();
    assert_eq!((header.counts["tables"], header.counts["rows"]), (5, 6), "with the page of the large object, and with the object");
    assert_eq!(not_shown(&header), Vec::<String>::new());
    // Its own rights are no change, neither here nor for those who captured without it.
    for captured in [&manifest, &whole] {
        let (result, findings) = db.compare_as(&reader, captured).await.unwrap();
        assert_eq!((findings, result.outcome(0).0), (vec![], Outcome::Pass));
    }
    let options = sqlx::postgres::PgConnectOptions::new().host("127.0.0.1").port(server.port()).database("rights");
    let mut session = sqlx::PgConnection::connect_with(&options.username("re\"a der").password("r")).await.unwrap();
    for write in ["INSERT INTO t VALUES (2, 2)", "SELECT lo_unlink(7777)", "SELECT nextval('s')", "CREATE TABLE \"weird Schema\".n (i int)"]
    {
        assert!(sqlx::raw_sql(write).execute(&mut session).await.is_err(), "{write}");
    }
    // A sequence whose position may not be seen is said, and not taken for one that stands still.
    db.run("REVOKE SELECT ON ALL SEQUENCES IN SCHEMA public FROM \"re\"\"a der\"").await;
    let (result, findings) = db.compare_as(&reader, &manifest).await.unwrap();
    assert_eq!((findings, result.outcome(0).0), (vec![], Outcome::Inconclusive));
    let cut = result.cut_short.unwrap();
    assert!(cut.kind == FailureKind::Denied && cut.message.contains("sequence position"), "{cut}");
    let header = db.capture_as(&reader, &dir.path().join("less")).await.unwrap();
    assert_eq!(not_shown(&header), ["sequence position"]);
}

const SHOP: &str = "CREATE TABLE a (id INT PRIMARY KEY); INSERT INTO a VALUES (1); CREATE TABLE b (id INT PRIMARY KEY, v INT); INSERT INTO b VALUES (1, 1), (2, 2); \
     CREATE VIEW w AS SELECT id FROM a; CREATE FUNCTION f() RETURNS INT NO SQL RETURN 1; CREATE PROCEDURE p(x INT) SELECT x; \
     CREATE TRIGGER tr BEFORE INSERT ON a FOR EACH ROW SET NEW.id = 1; CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_printed_for_this_mariadb_database_is_enough_and_reaches_no_neighbour() {
    let Some(server) = servers::shared(Kind::Mariadb) else { return };
    let dir = tempfile::tempdir().unwrap();
    let db = Db::new(&server, Kind::Mariadb, "sh_op", SHOP).await;
    let neighbour = Db::new(&server, Kind::Mariadb, "shxop", "CREATE TABLE a (id INT PRIMARY KEY)").await;
    let reader = granted(&db, "granted").await;
    let manifest = dir.path().join("m");
    let header = db.capture_as(&reader, &manifest).await.unwrap();
    assert_eq!((header.counts["tables"], header.counts["rows"]), (2, 3));
    assert_eq!(not_shown(&header), ["grant"], "all that is compared but others' grants");
    let (result, findings) = db.compare_as(&reader, &manifest).await.unwrap();
    assert_eq!((findings, result.outcome(0).0), (vec![], Outcome::Pass));
    // Who sees more finds no fault in what the reader could not see.
    assert_eq!(db.compare(&manifest).await.1, []);
    assert!(neighbour.capture_as(&reader, &dir.path().join("n")).await.unwrap_err().kind == FailureKind::Denied);
    let url = server.url("sh_op").replace("tester@", "granted:r@");
    let mut session = sqlx::MySqlConnection::connect(&url).await.unwrap();
    assert!(sqlx::raw_sql("INSERT INTO b VALUES (3, 3)").execute(&mut session).await.is_err());
    // Each of these is in the reader's sight.
    for (change, place) in [
        ("DROP FUNCTION f; CREATE FUNCTION f() RETURNS INT NO SQL RETURN 2", "routine FUNCTION f"),
        ("CREATE OR REPLACE VIEW w AS SELECT id + 0 AS id FROM a", "view w"),
        ("DROP TRIGGER tr", "trigger tr"),
        ("ALTER EVENT e DISABLE", "event e"),
    ] {
        db.run(change).await;
        let (result, findings) = db.compare_as(&reader, &manifest).await.unwrap();
        assert!(places(&findings).contains(&(Class::SchemaChanged, place.into())), "{change}: {findings:?}");
        assert_eq!(result.outcome(0).0, Outcome::Fail);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_mariadb_reader_is_not_shown_is_never_missing() {
    let Some(server) = servers::shared(Kind::Mariadb) else { return };
    let dir = tempfile::tempdir().unwrap();
    let db = Db::new(&server, Kind::Mariadb, "partly", SHOP).await;
    let copy = Db::new(&server, Kind::Mariadb, "copy_of_it", SHOP).await;
    let manifest = dir.path().join("m");
    db.capture(&manifest).await.unwrap();
    db.run(
        "CREATE USER one IDENTIFIED BY 'r'; GRANT SELECT ON partly.a TO one; \
         CREATE USER col IDENTIFIED BY 'r'; GRANT SELECT ON partly.a TO col; GRANT SELECT (id) ON partly.b TO col; \
         CREATE USER each_one IDENTIFIED BY 'r'; GRANT SELECT ON partly.a TO each_one; GRANT SELECT ON partly.b TO each_one; \
         CREATE USER idle IDENTIFIED BY 'r'; CREATE ROLE reading; GRANT SELECT, TRIGGER ON `part%`.* TO reading; GRANT reading TO idle; \
         GRANT SELECT ON partly.a TO idle; CREATE USER role_player IDENTIFIED BY 'r'; GRANT reading TO role_player; \
         SET DEFAULT ROLE reading FOR role_player",
    )
    .await;
    for (user, unreadable) in [("one", &["b"][..]), ("col", &["b"]), ("each_one", &[]), ("idle", &["b"])] {
        let reader = as_user(user, "r");
        refused(&db, &reader, &dir.path().join(user)).await;
        let (result, findings) = db.compare_as(&reader, &manifest).await.unwrap();
        let expected: Vec<_> = unreadable.iter().map(|name| (Class::Unreadable, (*name).to_owned())).collect();
        assert_eq!(places(&findings), expected, "{user}");
        assert_eq!(result.outcome(0).0, Outcome::Inconclusive, "{user}: {:?}", result.outcome(0).1);
        let cut = result.cut_short.as_ref().unwrap();
        assert!(cut.kind == FailureKind::Denied && cut.hint.as_deref().unwrap().contains("--show-grants"), "{user}: {cut}");
        assert_eq!(result.tables.unwrap().expected, 2, "the tables of the manifest");
        let sides = attestore::verify::sql::compare::dual::Side { url: &db.url(), access: &reader };
        let whole = attestore::verify::sql::compare::dual::Side { url: &copy.url(), access: &access() };
        let key = support::key();
        let error =
            attestore::verify::sql::compare::dual::against(sides, whole, &key, None, &attestore::monitor::Silent).await.unwrap_err();
        assert_eq!(error.kind, FailureKind::Denied, "{user}: {error}");
    }
    // Through a role and a pattern, the whole database is in sight; of the rest what the role shows.
    let reader = as_user("role_player", "r");
    let own = dir.path().join("own");
    let header = db.capture_as(&reader, &own).await.unwrap();
    assert_eq!(header.counts["rows"], 3);
    assert_eq!(
        not_shown(&header),
        [
            "event",
            "event character set",
            "event time zone",
            "grant",
            "routine",
            "routine character set",
            "view",
            "view algorithm",
            "view character set"
        ]
    );
    let (result, findings) = db.compare_as(&reader, &own).await.unwrap();
    assert_eq!((findings, result.outcome(0).0), (vec![], Outcome::PassWithException));
    assert!(result.not_compared.contains_key("hidden definitions") && result.left_out[0].contains("routine"), "{:?}", result.left_out);
    // A dump that does not load says the same of its manifest.
    let manifest_of_own = attestore::verify::manifest::reader::Manifest::open(&own).unwrap();
    let silent = attestore::monitor::Silent;
    let lost =
        attestore::verify::sql::compare::database::unreadable(&manifest_of_own, &support::key(), "it does not load", &silent).unwrap();
    assert!(lost.not_compared.contains_key("hidden definitions") && lost.outcome(0).0 == Outcome::Fail, "{:?}", lost.not_compared);
    // Beside another database, what this reader is not shown may differ.
    let checked = attestore::verify::sql::compare::dual::Side { url: &db.url(), access: &reader };
    let whole = attestore::verify::sql::compare::dual::Side { url: &copy.url(), access: &access() };
    let both = attestore::verify::sql::compare::dual::against(checked, whole, &support::key(), None, &attestore::monitor::Silent).await;
    let cut = both.unwrap().cut_short.unwrap();
    assert!(cut.kind == FailureKind::Denied && cut.message.contains("routine"), "{cut}");
    // What the manifest holds and this reader is not shown is not taken for equal.
    let (result, findings) = db.compare_as(&reader, &manifest).await.unwrap();
    assert_eq!((findings, result.outcome(0).0), (vec![], Outcome::Inconclusive));
    let cut = result.cut_short.unwrap();
    assert!(cut.kind == FailureKind::Denied && cut.message.contains("routine") && cut.message.contains("event"), "{cut}");
}

const USER_CHECK: &str = "--! id = \"user.positive\"\n--! engines = [\"postgres\", \"mariadb\", \"mysql\"]\n--! requires = [\"a\"]\n\
     --! kind = \"violations\"\n--! severity = \"critical\"\n--! show = [\"id\"]\nSELECT id FROM a WHERE id < 0\n";

/// What a check of a user's own and the structural pack say to this reader.
async fn checked(db: &Db, reader: &Access) -> Vec<CheckResult> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("positive.sql");
    std::fs::write(&file, USER_CHECK).unwrap();
    let structure = if db.kind == Kind::Postgres { "postgres" } else { "mysql" };
    let packs = [Pack::load(file.to_str().unwrap()).unwrap(), Pack::structure(structure).unwrap()];
    runner::run(&db.url(), reader, &packs, &Default::default(), &Silent).await.unwrap()
}

fn of<'r>(results: &'r [CheckResult], id: &str) -> (CheckOutcome, bool, &'r str) {
    let result = results.iter().find(|result| result.id == id).unwrap_or_else(|| panic!("{id}"));
    (result.result, result.denied, result.reason.as_deref().unwrap_or_default())
}

fn denied(results: &[CheckResult], id: &str, word: &str) {
    let (outcome, denied, reason) = of(results, id);
    assert!(
        outcome == CheckOutcome::Error && denied && reason.starts_with("denied: ") && reason.contains(word),
        "{id}: {outcome:?} {reason}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_of_what_a_postgresql_reader_may_not_see_is_denied() {
    let Some(server) = servers::shared(Kind::Postgres) else { return };
    let sql = "CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1), (-1); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a); \
               INSERT INTO b VALUES (1, 1); CREATE ROLE checker LOGIN PASSWORD 'r'; REVOKE ALL ON SCHEMA public FROM PUBLIC";
    let db = Db::new(&server, Kind::Postgres, "checked_pg", sql).await;
    let reader = as_user("checker", "r");
    let positive = "user.positive";
    denied(&checked(&db, &reader).await, positive, "schema public");
    db.run("GRANT USAGE ON SCHEMA public TO checker").await;
    let results = checked(&db, &reader).await;
    denied(&results, positive, "permission denied");
    denied(&results, "structure.postgres-orphans", "permission denied");
    let program = |user: &str, password: &str| {
        let url = db.url().to_string().replace("tester@", &format!("{user}@"));
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_attestore"));
        let output = program.args(["check", &url, "--json"]).env("PGPASSWORD", password).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = program("checker", "r");
    assert!(code == Some(4) && said.contains("structure.postgres-orphans") && said.contains("--show-grants"), "{code:?} {said}");
    // A capture that is to record what a check measures is not made without it, nor with a part of it.
    db.run("GRANT SELECT ON a TO checker").await;
    let (packs, names) = ([Pack::load("baseline").unwrap()], Default::default());
    let failure =
        recording::baselines(&db.url(), &reader, &packs, &names, (&support::key(), CaptureMode::SnapshotExact), &Silent).await.unwrap_err();
    assert!(failure.kind == FailureKind::Denied && failure.message.contains("baseline.sums"), "{failure}");
    db.run("GRANT SELECT ON a, b TO checker").await;
    let results = checked(&db, &reader).await;
    assert_eq!(of(&results, positive), (CheckOutcome::Fail, false, "violations > 0"));
    // Row-level security would hide the row that is wrong.
    db.run("ALTER TABLE a ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON a USING (id > 0)").await;
    denied(&checked(&db, &reader).await, positive, "row-level security");
    db.run("ALTER ROLE checker BYPASSRLS; GRANT pg_read_all_data TO checker").await;
    assert_eq!(of(&checked(&db, &reader).await, positive).0, CheckOutcome::Fail, "the right to see past it is kept");
    // What is not there at all is absent, whoever asks.
    db.run("DROP TABLE b; DROP TABLE a").await;
    let results = checked(&db, &reader).await;
    assert_eq!(of(&results, positive), (CheckOutcome::Error, false, "table a is absent"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_of_what_a_mariadb_reader_is_not_shown_is_denied() {
    let Some(server) = servers::shared(Kind::Mariadb) else { return };
    let sql = "CREATE TABLE a (id INT PRIMARY KEY); INSERT INTO a VALUES (1), (-1); CREATE TABLE b (id INT PRIMARY KEY, a INT REFERENCES a (id), d DATE); \
               INSERT INTO b VALUES (1, 1, '2026-01-01'); CREATE PROCEDURE p() SELECT * FROM gone; \
               CREATE USER checker IDENTIFIED BY 'r'; GRANT SELECT ON checked_my.b TO checker";
    let db = Db::new(&server, Kind::Mariadb, "checked_my", sql).await;
    let reader = as_user("checker", "r");
    let results = checked(&db, &reader).await;
    denied(&results, "user.positive", "denied");
    let passed: Vec<&str> = results
        .iter()
        .filter(|result| result.result == CheckOutcome::Pass || result.not_applicable)
        .map(|result| result.id.as_str())
        .collect();
    assert_eq!(passed, Vec::<&str>::new(), "of the half that is shown nothing is concluded");
    for id in ["structure.mysql-orphans", "structure.mysql-zero-dates", "structure.mysql-check-table", "structure.mysql-auto-increment"] {
        denied(&results, id, "SELECT on the whole database");
    }
    db.run("GRANT SELECT ON checked_my.* TO checker").await;
    let results = checked(&db, &reader).await;
    assert_eq!(of(&results, "user.positive"), (CheckOutcome::Fail, false, "violations > 0"));
    assert_eq!(of(&results, "structure.mysql-orphans").0, CheckOutcome::Pass);
    // Routines are shown to nobody but who may read them: their absence proves nothing.
    denied(&results, "structure.mysql-routines", "TRIGGER");
    let everything = checked(&db, &access()).await;
    assert_eq!(of(&everything, "structure.mysql-routines").0, CheckOutcome::Fail, "the procedure names a table that is gone");
    db.run("DROP TABLE b; DROP TABLE a").await;
    assert_eq!(of(&checked(&db, &reader).await, "user.positive"), (CheckOutcome::Error, false, "table a is absent"));
}
