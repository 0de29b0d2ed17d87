//! Every check of the domain packs, on each engine, with data on which it passes and data on which it fails; other names; bounded stamps.
//! The structural packs have theirs beside the engines (`sql_postgres.rs`, `sql_mysql.rs`, `sql_sqlite.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::servers::{self, Kind};
use crate::support::{self, Db};
use attestore::model::capture::CaptureMode;
use attestore::model::check::{CheckOutcome, CheckResult};
use attestore::model::clock::Timestamp;
use attestore::model::source_url::SourceUrl;
use attestore::monitor::Silent;
use attestore::signing::hash_key::HashKey;
use attestore::verify::sql::checks::demands::CheckDemands;
use attestore::verify::sql::checks::pack::Pack;
use attestore::verify::sql::checks::{recording, runner};
use attestore::verify::sql::connect::access::Access;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};

/// A pack, the good data, and for each check what spoils it: only the checks named beside it may then fail.
struct Fixture {
    pack: &'static str,
    good: &'static str,
    baselines: &'static [(&'static str, &'static str)],
    spoilt: &'static [(&'static str, &'static str)],
}

const FIXTURES: &[Fixture] = &[
    Fixture {
        pack: "bank",
        good: "CREATE TABLE customers (id INTEGER, name TEXT);
            CREATE TABLE accounts (id INTEGER, customer_id INT, balance_minor INT);
            CREATE TABLE transactions (id INTEGER, account_id INT, amount_minor INT, kind VARCHAR(20), booked_at VARCHAR(40));
            INSERT INTO customers VALUES (1, 'a'); INSERT INTO accounts VALUES (10, 1, 70), (11, 1, 0);
            INSERT INTO transactions VALUES (1, 10, 100, 'credit', NOW-1H), (2, 10, -30, 'debit', NOW-2H)",
        baselines: &[("rows.customers", "1"), ("rows.accounts", "2"), ("rows.transactions", "2")],
        spoilt: &[
            ("bank.ledger-balances", "UPDATE accounts SET balance_minor = 71 WHERE id = 10"),
            ("bank.ledger-balances", "UPDATE accounts SET balance_minor = NULL WHERE id = 10"),
            ("bank.ledger-balances", "UPDATE accounts SET balance_minor = NULL WHERE id = 11"),
            ("bank.ledger-balances", "UPDATE transactions SET amount_minor = NULL WHERE id = 2; UPDATE accounts SET balance_minor = 100 WHERE id = 10"),
            ("bank.orphan-accounts", "UPDATE accounts SET customer_id = 9 WHERE id = 11"),
            ("bank.orphan-accounts", "UPDATE accounts SET customer_id = NULL WHERE id = 11"),
            ("bank.orphan-transactions", "UPDATE transactions SET account_id = 99 WHERE id = 1; UPDATE accounts SET balance_minor = -30 WHERE id = 10"),
            ("bank.orphan-transactions", "UPDATE transactions SET account_id = NULL WHERE id = 1; UPDATE accounts SET balance_minor = -30 WHERE id = 10"),
            ("bank.transaction-kinds", "UPDATE transactions SET kind = 'gift' WHERE id = 1"),
            ("bank.transaction-kinds", "UPDATE transactions SET kind = NULL WHERE id = 1"),
            ("bank.transaction-kinds", "UPDATE transactions SET kind = 'cRedit' WHERE id = 1"),
            ("bank.transaction-kinds", "UPDATE transactions SET kind = 'credit ' WHERE id = 1"),
            ("bank.transaction-kinds", "UPDATE transactions SET kind = 'crédit' WHERE id = 1"),
            ("bank.transaction-kinds", "UPDATE transactions SET amount_minor = NULL WHERE id = 1"),
            ("bank.whole-amounts", "UPDATE transactions SET amount_minor = 'abc' WHERE id = 1"),
            ("bank.whole-amounts", "UPDATE accounts SET balance_minor = 0.5 WHERE id = 11"),
            ("bank.freshness", "UPDATE transactions SET booked_at = NOW-49H"),
            ("bank.freshness", "UPDATE transactions SET booked_at = '2999-01-01 00:00:00' WHERE id = 1"),
            ("bank.customers-not-fewer", "DELETE FROM customers; DELETE FROM accounts; DELETE FROM transactions"),
            ("bank.accounts-not-fewer", "DELETE FROM accounts WHERE id = 11"),
            ("bank.transactions-not-fewer", "DELETE FROM transactions WHERE id = 2; UPDATE accounts SET balance_minor = 100 WHERE id = 10"),
            ("bank.transactions-not-fewer", "UPDATE transactions SET id = 1"),
        ],
    },
    Fixture {
        pack: "baseline",
        good: "CREATE TABLE ledger (id INTEGER, amount BIGINT, note VARCHAR(20)); CREATE TABLE tags (id INTEGER);
            INSERT INTO ledger VALUES (1, 9000000000000000000, 'a'), (2, -70, 'b'); INSERT INTO tags VALUES (5)",
        baselines: &[
            ("rows.ledger", "2"),
            ("rows.tags", "1"),
            ("sums.ledger.amount", "8999999999999999930"),
            ("sums.ledger.id", "3"),
            ("sums.tags.id", "5"),
        ],
        spoilt: &[
            ("baseline.row-counts", "INSERT INTO ledger VALUES (0, NULL, 'c')"),
            ("baseline.row-counts", "DELETE FROM tags"),
            ("baseline.row-counts", "DROP TABLE tags"),
            ("baseline.sums", "UPDATE ledger SET amount = -71 WHERE id = 2"),
            ("baseline.sums", "UPDATE ledger SET amount = NULL WHERE id = 2"),
            ("baseline.sums", "ALTER TABLE ledger DROP COLUMN amount"),
            ("baseline.sums", "DROP TABLE tags"),
        ],
    },
    Fixture {
        pack: "directory-app",
        good: "CREATE TABLE artists (id INTEGER, name VARCHAR(40), city VARCHAR(40));
            CREATE TABLE bookings (id INTEGER, artist_id INT, starts_at VARCHAR(40), status VARCHAR(20), price_minor INT);
            INSERT INTO artists VALUES (1, 'Ada', 'Cork'), (2, 'Bo', 'Kiel');
            INSERT INTO bookings VALUES (1, 1, NOW+72H, 'confirmed', 5), (2, 2, NOW-200H, 'completed', 0)",
        baselines: &[("rows.artists", "2"), ("rows.bookings", "2")],
        spoilt: &[
            ("directory.orphan-bookings", "UPDATE bookings SET artist_id = 7 WHERE id = 1"),
            ("directory.orphan-bookings", "UPDATE bookings SET artist_id = NULL WHERE id = 1"),
            ("directory.booking-values", "UPDATE bookings SET status = 'maybe' WHERE id = 1"),
            ("directory.booking-values", "UPDATE bookings SET status = NULL WHERE id = 1"),
            ("directory.booking-values", "UPDATE bookings SET status = 'confiRmed' WHERE id = 1"),
            ("directory.booking-values", "UPDATE bookings SET price_minor = NULL WHERE id = 1"),
            ("directory.booking-values", "UPDATE bookings SET starts_at = NULL WHERE id = 1"),
            ("directory.booking-types", "UPDATE bookings SET starts_at = 'soon' WHERE id = 1"),
            ("directory.booking-types", "UPDATE bookings SET price_minor = 1.5 WHERE id = 1"),
            ("directory.artist-names", "UPDATE artists SET name = ' ' WHERE id = 1"),
            ("directory.artist-names", "UPDATE artists SET name = NULL WHERE id = 1"),
            ("directory.artist-names", "UPDATE artists SET city = NULL WHERE id = 1"),
            ("directory.freshness", "UPDATE bookings SET starts_at = NOW-1464H"),
            ("directory.freshness", "UPDATE bookings SET starts_at = '2999-01-01 00:00:00' WHERE id = 1"),
            ("directory.artists-not-fewer", "DELETE FROM bookings WHERE id = 2; DELETE FROM artists WHERE id = 2"),
            ("directory.artists-not-fewer", "UPDATE artists SET id = 1"),
            ("directory.bookings-not-fewer", "DELETE FROM bookings WHERE id = 2"),
        ],
    },
    Fixture {
        pack: "audit-log",
        good: "CREATE TABLE events (id INTEGER, at VARCHAR(40), actor VARCHAR(40), action VARCHAR(40));
            INSERT INTO events VALUES (5, NOW-4H, 'ada', 'login'), (6, NOW-3H, 'bo', 'read'), (7, NOW-2H, 'ada', 'logout'), (8, NOW-1H, 'bo', 'read')",
        baselines: &[("rows.events", "4")],
        spoilt: &[
            ("audit.complete-events", "UPDATE events SET actor = '' WHERE id = 6"),
            ("audit.complete-events", "UPDATE events SET actor = NULL WHERE id = 6"),
            ("audit.complete-events", "UPDATE events SET action = '  ' WHERE id = 6"),
            ("audit.complete-events", "UPDATE events SET at = '' WHERE id = 5"),
            ("audit.complete-events", "UPDATE events SET id = NULL WHERE id = 5"),
            ("audit.no-gaps", "DELETE FROM events WHERE id = 6; INSERT INTO events VALUES (9, NOW-0H, 'x', 'y')"),
            ("audit.no-gaps", "UPDATE events SET id = 7 WHERE id = 6"),
            ("audit.no-gaps", "UPDATE events SET id = 7 WHERE id = 6; UPDATE events SET id = 9 WHERE id = 8; INSERT INTO events VALUES (9, NOW-0H, 'x', 'y')"),
            ("audit.no-gaps", "UPDATE events SET id = NULL WHERE id = 8"),
            ("audit.in-order", "UPDATE events SET at = NOW-9H WHERE id = 6"),
            ("audit.in-order", "UPDATE events SET at = NULL WHERE id = 6; UPDATE events SET at = NOW-9H WHERE id = 7"),
            ("audit.freshness", "UPDATE events SET at = NOW-60H"),
            ("audit.freshness", "UPDATE events SET at = '2999-01-01 00:00:00' WHERE id = 8"),
            ("audit.events-not-fewer", "DELETE FROM events WHERE id = 7"),
            ("audit.events-not-fewer", "UPDATE events SET id = 7 WHERE id = 8"),
        ],
    },
    Fixture {
        pack: "file-vault",
        good: "CREATE TABLE files (id INTEGER, path VARCHAR(200), size_bytes INT, sha256 VARCHAR(100), stored_at VARCHAR(40));
            INSERT INTO files VALUES (1, '/a/Bild.JPG', 0, 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', NOW-72H),
            (2, '/a/bild.jpg', 1, 'ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb', NOW-48H),
            (3, '/a/bíld.jpg', 1, 'ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb', NOW-48H),
            (4, '/a/bild.jpg ', 1, 'ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb', NOW-48H), (5, ' ', 0, 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', NOW-48H)",
        baselines: &[("rows.files", "5")],
        spoilt: &[
            ("vault.digests", "UPDATE files SET sha256 = upper(sha256) WHERE id = 2"),
            ("vault.digests", "UPDATE files SET sha256 = NULL WHERE id = 2"),
            ("vault.paths", "UPDATE files SET path = '/a'"),
            ("vault.paths", "UPDATE files SET path = NULL WHERE id = 1"),
            ("vault.paths", "UPDATE files SET path = '' WHERE id = 1"),
            ("vault.sizes", "UPDATE files SET size_bytes = 4 WHERE id = 1"),
            ("vault.sizes", "UPDATE files SET size_bytes = 0 WHERE id = 2"),
            ("vault.sizes", "UPDATE files SET size_bytes = NULL WHERE id = 2"),
            ("vault.whole-sizes", "UPDATE files SET size_bytes = 'large' WHERE id = 2"),
            ("vault.freshness", "UPDATE files SET stored_at = NOW-192H"),
            ("vault.freshness", "UPDATE files SET stored_at = '2999-01-01 00:00:00' WHERE id = 2"),
            ("vault.files-not-fewer", "DELETE FROM files WHERE id = 1"),
            ("vault.files-not-fewer", "UPDATE files SET id = 2 WHERE id = 1"),
        ],
    },
];

/// `NOW-3H`, the stamp of three hours ago, as the engine says it.
fn timed(sql: &str, engine: &str) -> String {
    let mut parts = sql.split("NOW");
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        let (hours, rest) = part.split_once('H').unwrap();
        out += &match engine {
            "postgres" => format!("now() AT TIME ZONE 'UTC' + interval '{hours} hours'"),
            "mariadb" | "mysql" => format!("UTC_TIMESTAMP() + INTERVAL {hours} HOUR"),
            _ => format!("datetime('now', '{hours} hours')"),
        };
        out += rest;
    }
    out
}

pub async fn database(dir: &Path, name: &str, sql: &str) -> SourceUrl {
    let path: PathBuf = dir.join(name);
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true).foreign_keys(false);
    let mut connection = options.connect().await.unwrap();
    connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.unwrap();
    connection.close().await.unwrap();
    SourceUrl::Sqlite { path }
}

pub async fn run(url: &SourceUrl, packs: &[Pack], demands: &CheckDemands) -> BTreeMap<String, CheckResult> {
    let results = runner::run_with(url, &Access::default(), packs, demands, &Silent).await.unwrap();
    results.into_iter().map(|result| (result.id.clone(), result)).collect()
}

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[tokio::test]
async fn every_domain_check_passes_on_good_data_and_fails_on_its_own_damage() {
    let dir = tempfile::tempdir().unwrap();
    for fixture in FIXTURES {
        let packs = [Pack::load(fixture.pack).unwrap()];
        let demands = CheckDemands { baselines: texts(fixture.baselines), ..CheckDemands::default() };
        let good = timed(fixture.good, "sqlite");
        let results = run(&database(dir.path(), &format!("{}.db", fixture.pack), &good).await, &packs, &demands).await;
        for (id, result) in &results {
            assert_eq!(result.result, CheckOutcome::Pass, "{id}: {result:?}");
        }
        // Whatever the columns take for equal, the checks compare bytes.
        let folding = good.replace("VARCHAR(200)", "TEXT COLLATE NOCASE").replace("VARCHAR(20)", "TEXT COLLATE NOCASE");
        for (id, result) in run(&database(dir.path(), &format!("{}-folding.db", fixture.pack), &folding).await, &packs, &demands).await {
            assert_eq!(result.result, CheckOutcome::Pass, "{id}: {result:?}");
        }
        let covered: BTreeSet<&str> = fixture.spoilt.iter().map(|(id, _)| *id).collect();
        let shipped: BTreeSet<&str> = results.keys().map(String::as_str).collect();
        assert_eq!(covered, shipped, "each check of {} needs data on which it fails", fixture.pack);
        for (n, (id, damage)) in fixture.spoilt.iter().enumerate() {
            let sql = format!("{folding}; {}", timed(damage, "sqlite"));
            let results = run(&database(dir.path(), &format!("{id}-{n}.db"), &sql).await, &packs, &demands).await;
            assert_eq!(results[*id].result, CheckOutcome::Fail, "{damage}: {:?}", results[*id]);
        }
    }
}

async fn on_a_server(kind: Kind, engine: &str) {
    let Some(server) = servers::shared(kind) else { return };
    for (at, fixture) in FIXTURES.iter().enumerate() {
        let db = Db::new(&server, kind, &format!("domain_{at}"), "SELECT 1").await;
        let packs = [Pack::load(fixture.pack).unwrap()];
        let required = packs[0].checks.iter().flat_map(|check| check.requires.iter().map(String::as_str));
        let counted = fixture.baselines.iter().filter_map(|(name, _)| name.strip_prefix("rows."));
        let tables: BTreeSet<&str> = required.chain(counted).collect();
        let drop = format!("DROP TABLE IF EXISTS {}", tables.into_iter().collect::<Vec<_>>().join(", "));
        let good = timed(fixture.good, engine);
        db.run(&good).await;
        let results = db.check(&packs, fixture.baselines).await;
        assert!(results.len() >= 2 && results.values().all(|result| result.result == CheckOutcome::Pass), "{results:?}");
        for (id, damage) in fixture.spoilt.iter().filter(|(id, _)| results.contains_key(*id)) {
            db.run(&format!("{drop}; {good}; {}", timed(damage, engine))).await;
            let results = db.check(&packs, fixture.baselines).await;
            assert_eq!(results[*id].result, CheckOutcome::Fail, "{damage}: {:?}", results[*id]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_on_postgres() {
    on_a_server(Kind::Postgres, "postgres").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_on_mariadb_whose_collation_folds_case_and_accents() {
    on_a_server(Kind::Mariadb, "mariadb").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_on_mysql() {
    on_a_server(Kind::Mysql, "mysql").await;
}

#[tokio::test]
async fn every_domain_pack_runs_under_other_names() {
    let dir = tempfile::tempdir().unwrap();
    for fixture in FIXTURES.iter().filter(|fixture| fixture.pack != "baseline") {
        let packs = [Pack::load(fixture.pack).unwrap()];
        let columns: BTreeSet<(String, String)> = packs[0].checks.iter().flat_map(|check| check.columns.clone()).collect();
        // The whole schema under other names, as another application would have it.
        let mut names = BTreeMap::new();
        let mut renaming = String::new();
        for (table, column) in &columns {
            names.insert(format!("{table}.{column}"), format!("{column}_no"));
            renaming += &format!("; ALTER TABLE {table} RENAME COLUMN {column} TO {column}_no");
        }
        let tables: BTreeSet<&String> = columns.iter().map(|(table, _)| table).collect();
        for table in &tables {
            names.insert((*table).clone(), format!("app_{table}"));
            renaming += &format!("; ALTER TABLE {table} RENAME TO app_{table}");
        }
        let baselines = fixture.baselines.iter().map(|(name, n)| (name.replace("rows.", "rows.app_"), (*n).to_owned())).collect();
        let demands = CheckDemands { baselines, names: names.clone(), ..CheckDemands::default() };
        let text = timed(fixture.good, "sqlite");
        let good = database(dir.path(), &format!("{}.db", fixture.pack), &format!("{text}{renaming}")).await;
        for (id, result) in run(&good, &packs, &demands).await {
            assert_eq!(result.result, CheckOutcome::Pass, "{id}: {result:?}");
        }
        let plain = CheckDemands::default();
        assert!(run(&good, &packs, &plain).await.values().all(|result| result.result == CheckOutcome::Error), "its own names are absent");
        for (n, (id, damage)) in fixture.spoilt.iter().enumerate() {
            let sql = format!("{text}; {}{renaming}", timed(damage, "sqlite"));
            let spoilt = database(dir.path(), &format!("{id}-{n}.db"), &sql).await;
            assert_eq!(run(&spoilt, &packs, &demands).await[*id].result, CheckOutcome::Fail, "{damage}");
        }
        // Only a column has another name: the table expression is named like the table that it reads.
        let (table, column) = columns.first().unwrap();
        let sql = format!("{text}; ALTER TABLE {table} RENAME COLUMN {column} TO other");
        let one = database(dir.path(), &format!("{}-column.db", fixture.pack), &sql).await;
        let names = BTreeMap::from([(format!("{table}.{column}"), "other".to_owned())]);
        let demands = CheckDemands { baselines: texts(fixture.baselines), names, ..CheckDemands::default() };
        for (id, result) in run(&one, &packs, &demands).await {
            assert_eq!(result.result, CheckOutcome::Pass, "{id}: {result:?}");
        }
    }
}

/// One table is called what the check calls another: an expression of that name must not stand in its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_may_be_called_what_the_check_calls_another() {
    let packs = [Pack::load("bank").unwrap()];
    let demands = CheckDemands { names: texts(&[("customers", "accounts"), ("accounts", "ledgers")]), ..CheckDemands::default() };
    let sql = "CREATE TABLE accounts (id INTEGER, name TEXT); CREATE TABLE ledgers (id INTEGER, customer_id INT, balance_minor INT); \
               INSERT INTO accounts VALUES (1, 'a'); INSERT INTO ledgers VALUES (10, 1, 70)";
    for kind in [Kind::Postgres, Kind::Mariadb, Kind::Mysql] {
        let Some(server) = servers::shared(kind) else { continue };
        let db = Db::new(&server, kind, "swapped_names", sql).await;
        for (customer, expected) in [(1, CheckOutcome::Pass), (10, CheckOutcome::Fail)] {
            db.run(&format!("UPDATE ledgers SET customer_id = {customer}")).await;
            let results = runner::run_with(&db.url(), &support::access(), &packs, &demands, &Silent).await.unwrap();
            let result = results.iter().find(|result| result.id == "bank.orphan-accounts").unwrap();
            assert_eq!(result.result, expected, "{kind:?}: {result:?}");
        }
    }
}

/// A schema that is called like the reader is the reader's, also while a statement has the rights of reading alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_of_the_readers_own_comes_first() {
    let Some(server) = servers::shared(Kind::Postgres) else { return };
    let sql = "CREATE ROLE owns_schema LOGIN PASSWORD 'reader' IN ROLE pg_read_all_data; \
               CREATE ROLE acts_as LOGIN PASSWORD 'reader' IN ROLE owns_schema; ALTER ROLE acts_as SET role = owns_schema; CREATE SCHEMA owns_schema AUTHORIZATION owns_schema; \
               CREATE TABLE owns_schema.accounts (id int, customer_id int); INSERT INTO owns_schema.accounts VALUES (1, 9); \
               CREATE TABLE public.accounts (id int, customer_id int); INSERT INTO public.accounts VALUES (1, 1); \
               CREATE SCHEMA \"App$user\"; CREATE TABLE \"App$user\".accounts (id int, customer_id int); INSERT INTO \"App$user\".accounts VALUES (1, 9); \
               CREATE TABLE customers (id int); INSERT INTO customers VALUES (1)";
    let db = Db::new(&server, Kind::Postgres, "own_schema", sql).await;
    let packs = [Pack::load("bank").unwrap()];
    // As a server's file may have it, with quotes and without; and a schema that has it in its name is that schema.
    let default = "\"$user\", public";
    for (reader, path) in [
        ("owns_schema", default),
        ("acts_as", default),
        ("owns_schema", "$user,public"),
        ("owns_schema", "$USER , public"),
        ("owns_schema", "\"App$user\", \"$user\", public"),
        ("owns_schema", "\"App$user\",public"),
    ] {
        let set = format!(
            "SELECT set_config('search_path', '{path}', false); DO $$ BEGIN \
             EXECUTE format('ALTER DATABASE %I SET search_path FROM CURRENT', current_database()); END $$"
        );
        db.run(&set).await;
        let access = support::as_user(reader, "reader");
        let results = runner::run_with(&db.url(), &access, &packs, &CheckDemands::default(), &Silent).await.unwrap();
        let result = results.iter().find(|result| result.id == "bank.orphan-accounts").unwrap();
        assert_eq!(result.result, CheckOutcome::Fail, "{reader} {path}: {result:?}");
    }
}

/// What a check looks at first has the names of its database too.
#[tokio::test]
async fn what_a_check_looks_at_may_have_another_name() {
    let dir = tempfile::tempdir().unwrap();
    let header = "--! kind = \"violations\"\n--! requires = [\"accounts\"]\n--! columns = [\"accounts.id\", \"accounts.balance\"]\n\
                  --! looks_at = \"SELECT COUNT(*) FROM accounts\"";
    let packs = own(dir.path(), header, "SELECT id FROM accounts WHERE balance < 0");
    let sql = "CREATE TABLE acct (id INT, bal INT); INSERT INTO acct VALUES (1, -5); CREATE TABLE accounts (x INT)";
    let url = database(dir.path(), "named.db", sql).await;
    let demands = CheckDemands { names: texts(&[("accounts", "acct"), ("accounts.balance", "bal")]), ..CheckDemands::default() };
    assert_eq!(run(&url, &packs, &demands).await["own"].result, CheckOutcome::Fail);
}

/// A server of MariaDB ends a recursion after a thousand steps and says nothing, one of MySQL with an error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_statement_asks_for_comes_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gaps.sql");
    let header = "--! id = \"gaps\"\n--! engines = [\"mysql\", \"mariadb\"]\n--! severity = \"critical\"\n--! kind = \"violations\"";
    let steps = "WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 3000)";
    std::fs::write(&path, format!("{header}\n{steps} SELECT n FROM s WHERE n NOT IN (SELECT id FROM events)\n")).unwrap();
    let packs = vec![Pack::load(path.to_str().unwrap()).unwrap()];
    for kind in [Kind::Mariadb, Kind::Mysql] {
        let Some(server) = servers::shared(kind) else { continue };
        let ids: Vec<String> = (1..=3000).filter(|id| *id != 2500).map(|id| format!("({id})")).collect();
        let sql = format!("CREATE TABLE events (id INT PRIMARY KEY); INSERT INTO events VALUES {}", ids.join(","));
        let db = Db::new(&server, kind, "recursion", &sql).await;
        let results = runner::run_with(&db.url(), &support::access(), &packs, &CheckDemands::default(), &Silent).await.unwrap();
        assert_eq!((results[0].result, results[0].actual.as_deref()), (CheckOutcome::Fail, Some("1")), "{kind:?}: {results:?}");
        // Nor is a number cut to the digits that text has of it, or a text to what a server gives of a group.
        db.run("CREATE TABLE numbers (f FLOAT); INSERT INTO numbers VALUES (16777218), (0.00123456789)").await;
        for (sql, actual) in [
            ("SELECT MAX(f) FROM numbers", "16777218"),
            // More digits than a number of a check has.
            ("SELECT MIN(f) FROM numbers", "0.00123457"),
            ("SELECT LENGTH(GROUP_CONCAT(id)) FROM events", "13887"),
        ] {
            let header = header.replace("violations", "scalar") + "\n--! error_if = \"> 0.001\"";
            std::fs::write(&path, format!("{header}\n{sql}\n")).unwrap();
            let packs = [Pack::load(path.to_str().unwrap()).unwrap()];
            let results = runner::run_with(&db.url(), &support::access(), &packs, &CheckDemands::default(), &Silent).await.unwrap();
            assert_eq!((results[0].result, results[0].actual.as_deref()), (CheckOutcome::Fail, Some(actual)), "{kind:?}: {results:?}");
        }
    }
}

pub fn own(dir: &Path, header: &str, sql: &str) -> Vec<Pack> {
    let path = dir.join("own.sql");
    let text = format!("--! id = \"own\"\n--! engines = [\"sqlite\"]\n--! severity = \"critical\"\n{header}\n{sql}\n");
    std::fs::write(&path, text).unwrap();
    vec![Pack::load(path.to_str().unwrap()).unwrap()]
}

#[tokio::test]
async fn a_stamp_from_after_the_time_that_was_restored_to_fails_a_bounded_check() {
    let dir = tempfile::tempdir().unwrap();
    let url =
        database(dir.path(), "t.db", "CREATE TABLE t (at TEXT); INSERT INTO t VALUES ('2026-01-31 02:00:00'), ('2026-01-31 02:00:05')")
            .await;
    let sql = "SELECT MAX(at) FROM t";
    let at = |text: &str| -> Timestamp { text.parse().unwrap() };
    let demands = |until: &str| CheckDemands {
        written_until: Some(at(until)),
        reference: Some(at("2026-01-31T02:10:00Z")),
        ..CheckDemands::default()
    };
    let bounded = own(dir.path(), "--! kind = \"freshness\"\n--! error_if = \"> 1h\"\n--! bounded = true", sql);
    let result = run(&url, &bounded, &demands("2026-01-31T02:00:04Z")).await.remove("own").unwrap();
    assert_eq!(result.result, CheckOutcome::Fail);
    assert!(result.reason.unwrap().contains("1 s after"));
    assert_eq!(run(&url, &bounded, &demands("2026-01-31T02:00:05Z")).await["own"].result, CheckOutcome::Pass);
    let open = own(dir.path(), "--! kind = \"freshness\"\n--! error_if = \"> 1h\"", sql);
    assert_eq!(run(&url, &open, &demands("2026-01-31T02:00:04Z")).await["own"].result, CheckOutcome::Pass);
}

/// What a capture records is what the check finds, and what differs is told with the numbers of rows and without sums.
async fn recorded(url: &SourceUrl, access: &Access, change: impl AsyncFnOnce()) {
    let packs = [Pack::load("baseline").unwrap()];
    let key = HashKey::from_bytes([7; 32]);
    let mut baselines =
        recording::baselines(url, access, &packs, &BTreeMap::new(), (&key, CaptureMode::SnapshotExact), &Silent).await.unwrap();
    assert_eq!(baselines["sums.t.n"], "1000000000000000000000.75");
    assert!(baselines.keys().all(|name| name.starts_with("sums.")), "{baselines:?}");
    baselines.insert("rows.t".to_owned(), "2".to_owned());
    let run = async |baselines: &BTreeMap<String, String>| {
        let demands = CheckDemands { baselines: baselines.clone(), ..CheckDemands::default() };
        let results = runner::run_with(url, access, &packs, &demands, &Silent).await.unwrap();
        results.into_iter().map(|result| (result.id.clone(), result)).collect::<BTreeMap<String, CheckResult>>()
    };
    assert!(run(&baselines).await.values().all(|result| result.result == CheckOutcome::Pass));
    assert!(run(&BTreeMap::new()).await.values().all(|result| result.result == CheckOutcome::Untested && !result.not_applicable));
    change().await;
    let results = run(&baselines).await;
    let told = |id: &str| (results[id].result, results[id].actual.clone().unwrap(), results[id].rows.clone());
    let cell = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let counts = vec![vec![cell("name", "t"), cell("expected", "2"), cell("found", "3")]];
    assert_eq!(told("baseline.row-counts"), (CheckOutcome::Fail, "1".into(), counts));
    let sums = vec![vec![cell("name", "t.n"), cell("expected", "(redacted)"), cell("found", "(redacted)")]];
    assert_eq!(told("baseline.sums"), (CheckOutcome::Fail, "1".into(), sums));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sums_are_recorded_and_compared_to_the_last_digit() {
    for kind in [Kind::Postgres, Kind::Mariadb] {
        let Some(server) = servers::shared(kind) else { continue };
        let sql = "CREATE TABLE t (id INT, n DECIMAL(30, 2), f DOUBLE PRECISION); INSERT INTO t VALUES (1, 1000000000000000000000.5, 0.1), (2, 0.25, 0.2)";
        let db = Db::new(&server, kind, "sums", sql).await;
        recorded(&db.url(), &support::access(), async || db.run("INSERT INTO t VALUES (0, 0.01, 0.3)").await).await;
    }
}
