//! Every check of the domain packs with data on which it passes and data on which it fails; canaries; other names; bounded stamps.
//! The structural packs have theirs beside the engines (`sql_postgres.rs`, `sql_mysql.rs`, `sql_sqlite.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use attestore::model::check::{CheckOutcome, CheckResult};
use attestore::model::clock::Timestamp;
use attestore::model::source_url::SourceUrl;
use attestore::monitor::Silent;
use attestore::signing::hash_key::HashKey;
use attestore::verify::sql::access::Access;
use attestore::verify::sql::checks::demands::CheckDemands;
use attestore::verify::sql::checks::pack::Pack;
use attestore::verify::sql::checks::{recording, runner};
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
        good: "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT);
            CREATE TABLE accounts (id INTEGER PRIMARY KEY, customer_id INT, balance_minor INT);
            CREATE TABLE transactions (id INTEGER PRIMARY KEY, account_id INT, amount_minor INT, kind TEXT, booked_at TEXT);
            INSERT INTO customers VALUES (1, 'a'); INSERT INTO accounts VALUES (10, 1, 70), (11, 1, 0);
            INSERT INTO transactions VALUES (1, 10, 100, 'credit', datetime('now', '-1 hour')), (2, 10, -30, 'debit', datetime('now', '-2 hours'))",
        baselines: &[("rows.customers", "1"), ("rows.accounts", "2"), ("rows.transactions", "2")],
        spoilt: &[
            ("bank.ledger-balances", "UPDATE accounts SET balance_minor = 71 WHERE id = 10"),
            ("bank.orphan-accounts", "UPDATE accounts SET customer_id = 9 WHERE id = 11"),
            ("bank.orphan-transactions", "UPDATE transactions SET account_id = 99 WHERE id = 1; UPDATE accounts SET balance_minor = -30 WHERE id = 10"),
            ("bank.transaction-kinds", "UPDATE transactions SET kind = 'gift' WHERE id = 1"),
            ("bank.freshness", "UPDATE transactions SET booked_at = datetime('now', '-49 hours')"),
            ("bank.customers-not-fewer", "DELETE FROM customers WHERE id = 1; INSERT INTO customers SELECT 1, 'a' WHERE false; DELETE FROM accounts; DELETE FROM transactions"),
            ("bank.accounts-not-fewer", "DELETE FROM accounts WHERE id = 11"),
            ("bank.transactions-not-fewer", "DELETE FROM transactions WHERE id = 2; UPDATE accounts SET balance_minor = 100 WHERE id = 10"),
        ],
    },
    Fixture {
        pack: "directory-app",
        good: "CREATE TABLE artists (id INTEGER PRIMARY KEY, name TEXT, city TEXT);
            CREATE TABLE bookings (id INTEGER PRIMARY KEY, artist_id INT, starts_at TEXT, status TEXT, price_minor INT);
            INSERT INTO artists VALUES (1, 'Ada', 'Cork'), (2, 'Bo', 'Kiel');
            INSERT INTO bookings VALUES (1, 1, datetime('now', '+3 days'), 'confirmed', 5), (2, 2, datetime('now', '-9 days'), 'completed', 0)",
        baselines: &[("rows.artists", "2"), ("rows.bookings", "2")],
        spoilt: &[
            ("directory.orphan-bookings", "UPDATE bookings SET artist_id = 7 WHERE id = 1"),
            ("directory.booking-values", "UPDATE bookings SET status = 'maybe' WHERE id = 1"),
            ("directory.artist-names", "UPDATE artists SET name = ' ' WHERE id = 1"),
            ("directory.freshness", "UPDATE bookings SET starts_at = datetime('now', '-61 days')"),
            ("directory.artists-not-fewer", "DELETE FROM bookings WHERE id = 2; INSERT INTO bookings SELECT 3, 1, starts_at, status, 1 FROM bookings; DELETE FROM artists WHERE id = 2"),
            ("directory.bookings-not-fewer", "DELETE FROM bookings WHERE id = 2"),
        ],
    },
    Fixture {
        pack: "audit-log",
        good: "CREATE TABLE events (id INTEGER PRIMARY KEY, at TEXT, actor TEXT, action TEXT);
            INSERT INTO events VALUES (5, datetime('now', '-3 hours'), 'ada', 'login'), (6, datetime('now', '-2 hours'), 'bo', 'read'), (7, datetime('now', '-1 hours'), 'ada', 'logout')",
        baselines: &[("rows.events", "3")],
        spoilt: &[
            ("audit.complete-events", "UPDATE events SET actor = '' WHERE id = 6"),
            ("audit.no-gaps", "DELETE FROM events WHERE id = 6; INSERT INTO events VALUES (9, datetime('now'), 'x', 'y')"),
            ("audit.in-order", "UPDATE events SET at = datetime('now', '-9 hours') WHERE id = 6"),
            ("audit.freshness", "UPDATE events SET at = datetime(at, '-60 hours')"),
            ("audit.events-not-fewer", "DELETE FROM events WHERE id = 7"),
        ],
    },
    Fixture {
        pack: "file-vault",
        good: "CREATE TABLE files (id INTEGER PRIMARY KEY, path TEXT, size_bytes INT, sha256 TEXT, stored_at TEXT);
            INSERT INTO files VALUES (1, '/a', 0, 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', datetime('now', '-3 days')),
            (2, '/b', 1, 'ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb', datetime('now', '-2 days'))",
        baselines: &[("rows.files", "2")],
        spoilt: &[
            ("vault.digests", "UPDATE files SET sha256 = upper(sha256) WHERE id = 2"),
            ("vault.paths", "UPDATE files SET path = '/a'"),
            ("vault.sizes", "UPDATE files SET size_bytes = 4 WHERE id = 1"),
            ("vault.freshness", "UPDATE files SET stored_at = datetime('now', '-8 days')"),
            ("vault.files-not-fewer", "DELETE FROM files WHERE id = 1"),
        ],
    },
];

async fn database(dir: &Path, name: &str, sql: &str) -> SourceUrl {
    let path: PathBuf = dir.join(name);
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true).foreign_keys(false);
    let mut connection = options.connect().await.unwrap();
    connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.unwrap();
    connection.close().await.unwrap();
    SourceUrl::Sqlite { path }
}

async fn run(url: &SourceUrl, packs: &[Pack], demands: &CheckDemands) -> BTreeMap<String, CheckResult> {
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
        let good = run(&database(dir.path(), &format!("{}.db", fixture.pack), fixture.good).await, &packs, &demands).await;
        for (id, result) in &good {
            assert_eq!(result.result, CheckOutcome::Pass, "{id}: {result:?}");
        }
        let covered: BTreeSet<&str> = fixture.spoilt.iter().map(|(id, _)| *id).collect();
        let shipped: BTreeSet<&str> = good.keys().map(String::as_str).collect();
        assert_eq!(covered, shipped, "each check of {} needs data on which it fails", fixture.pack);
        for (id, damage) in fixture.spoilt {
            let spoilt = database(dir.path(), &format!("{id}.db"), &format!("{}; {damage}", fixture.good)).await;
            let results = run(&spoilt, &packs, &demands).await;
            assert_eq!(results[*id].result, CheckOutcome::Fail, "{id}: {:?}", results[*id]);
        }
    }
}

#[tokio::test]
async fn every_domain_pack_runs_under_other_names() {
    let dir = tempfile::tempdir().unwrap();
    for fixture in FIXTURES {
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
        let good = database(dir.path(), &format!("{}.db", fixture.pack), &format!("{}{renaming}", fixture.good)).await;
        for (id, result) in run(&good, &packs, &demands).await {
            assert_eq!(result.result, CheckOutcome::Pass, "{id}: {result:?}");
        }
        let plain = CheckDemands::default();
        assert!(run(&good, &packs, &plain).await.values().all(|result| result.result == CheckOutcome::Error), "its own names are absent");
        for (id, damage) in fixture.spoilt {
            let spoilt = database(dir.path(), &format!("{id}.db"), &format!("{}; {damage}{renaming}", fixture.good)).await;
            assert_eq!(run(&spoilt, &packs, &demands).await[*id].result, CheckOutcome::Fail, "{id}");
        }
        // Only a column has another name: the table expression is named like the table that it reads.
        let (table, column) = columns.first().unwrap();
        let sql = format!("{}; ALTER TABLE {table} RENAME COLUMN {column} TO other", fixture.good);
        let one = database(dir.path(), &format!("{}-column.db", fixture.pack), &sql).await;
        let names = BTreeMap::from([(format!("{table}.{column}"), "other".to_owned())]);
        let demands = CheckDemands { baselines: texts(fixture.baselines), names, ..CheckDemands::default() };
        for (id, result) in run(&one, &packs, &demands).await {
            assert_eq!(result.result, CheckOutcome::Pass, "{id}: {result:?}");
        }
    }
}

fn own(dir: &Path, header: &str, sql: &str) -> Vec<Pack> {
    let path = dir.join("own.sql");
    let text = format!("--! id = \"own\"\n--! engines = [\"sqlite\"]\n--! severity = \"critical\"\n{header}\n{sql}\n");
    std::fs::write(&path, text).unwrap();
    vec![Pack::load(path.to_str().unwrap()).unwrap()]
}

#[tokio::test]
async fn a_canary_comes_back_byte_for_byte_or_fails_and_its_value_is_never_told() {
    let dir = tempfile::tempdir().unwrap();
    let packs = own(dir.path(), "--! kind = \"canary\"", "SELECT value FROM canary WHERE id = 1");
    let value = "nightingale  4711 ";
    let plant = |value: &str| format!("CREATE TABLE canary (id INTEGER PRIMARY KEY, value TEXT); INSERT INTO canary VALUES (1, '{value}')");
    let key = HashKey::from_bytes([7; 32]);
    let source = database(dir.path(), "source.db", &plant(value)).await;
    let names = BTreeMap::new();
    let baselines = recording::baselines(&source, &Access::default(), &packs, &names, &key, &Silent).await.unwrap();
    assert_eq!(baselines.len(), 1);
    let demands = CheckDemands { baselines, hash_key: Some(key.clone()), ..CheckDemands::default() };
    let told = |result: &CheckResult| serde_json::to_string(result).unwrap() + &format!("{result:?}");
    let result = run(&source, &packs, &demands).await.remove("own").unwrap();
    assert_eq!(result.result, CheckOutcome::Pass, "{result:?}");
    assert!(!told(&result).contains("nightingale") && result.actual == result.expected && result.actual.is_some());
    assert!(!format!("{:?}", demands.baselines).contains("nightingale"));
    for (name, sql) in [
        ("trimmed", plant("nightingale  4711")),
        ("case", plant("Nightingale  4711 ")),
        ("gone", "CREATE TABLE canary (id INTEGER PRIMARY KEY, value TEXT)".to_owned()),
        ("null", "CREATE TABLE canary (id INTEGER PRIMARY KEY, value TEXT); INSERT INTO canary VALUES (1, NULL)".to_owned()),
    ] {
        let result = run(&database(dir.path(), name, &sql).await, &packs, &demands).await.remove("own").unwrap();
        assert_eq!(result.result, CheckOutcome::Fail, "{name}: {result:?}");
        assert!(!told(&result).to_ascii_lowercase().contains("nightingale"), "{name}");
    }
    let untested = |demands: CheckDemands| {
        let (source, packs) = (source.clone(), packs.clone());
        async move { run(&source, &packs, &demands).await.remove("own").unwrap().result }
    };
    assert_eq!(untested(CheckDemands { hash_key: None, ..demands.clone() }).await, CheckOutcome::Untested);
    assert_eq!(untested(CheckDemands { baselines: BTreeMap::new(), ..demands.clone() }).await, CheckOutcome::Untested);
    let gone = database(dir.path(), "nothing.db", "CREATE TABLE canary (id INTEGER PRIMARY KEY, value TEXT)").await;
    let refused = recording::baselines(&gone, &Access::default(), &packs, &names, &key, &Silent).await.unwrap_err();
    assert!(refused.message.contains("own"), "{refused}");
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
