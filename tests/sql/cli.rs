//! `attestore check` as a person runs it, and the demo's own data under the shipped packs.

use std::path::Path;
use std::process::{Command, Output};

use crate::servers::{self, Kind, PASSWORD};
use attestore::model::clock::Timestamp;
use attestore::sandbox::demo::data::{bank_statements, directory_statements};
use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, MySqlConnection, PgConnection};

fn check(args: &[&str]) -> (Output, Vec<Value>) {
    let output = Command::new(env!("CARGO_BIN_EXE_attestore"))
        .arg("check")
        .args(args)
        .env("PGPASSWORD", PASSWORD)
        .env("MYSQL_PWD", PASSWORD)
        .output()
        .unwrap();
    let lines = String::from_utf8_lossy(&output.stdout).lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    (output, lines)
}

async fn directory(path: &Path) {
    let mut connection = SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await.unwrap();
    connection.execute(sqlx::raw_sql(AssertSqlSafe(directory_statements(40, Timestamp::now())))).await.unwrap();
    connection.close().await.unwrap();
}

/// Everything passes but the comparisons with a baseline, which no manifest gives here.
fn passes_but_baselines(lines: &[Value]) {
    let (summary, checks) = lines.split_last().unwrap();
    assert_eq!((summary["event"].as_str(), summary["command"].as_str()), (Some("summary"), Some("check")));
    assert!(checks.len() > 5);
    for check in checks {
        // The server's pages have no checksums, and nothing in the demo's data is a view, a sequence or a collation of its own.
        let expected = match check["id"].as_str().unwrap() {
            "structure.postgres-page-checksums" => "warn",
            _ if check["kind"] == "baseline-scalar" || check["not_applicable"] == true => "untested",
            _ => "pass",
        };
        assert_eq!(check["result"], expected, "{check}");
    }
    assert_eq!((summary["outcome"].as_str(), summary["exit_code"].as_u64()), (Some("untested"), Some(3)), "{summary}");
}

#[tokio::test]
async fn the_demos_directory_passes_and_a_damaged_one_exits_1() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("app.db");
    directory(&file).await;
    let url = format!("sqlite:{}", file.display());
    let (output, lines) = check(&[&url, "--pack", "structure-sqlite", "--pack", "directory-app", "--json"]);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    passes_but_baselines(&lines);
    let (output, _) = check(&[&url]);
    assert_eq!(output.status.code(), Some(0), "the structural pack alone");
    let mut connection = SqliteConnectOptions::new().filename(&file).foreign_keys(false).connect().await.unwrap();
    connection.execute("DELETE FROM artists WHERE id = 3").await.unwrap();
    connection.close().await.unwrap();
    let (output, _) = check(&[&url, "--pack", "directory-app"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("FAIL") && text.contains("directory.orphan-bookings") && text.contains("artist_id=3"), "{text}");
}

/// A critical check passes or it does not: a warning of one is no proof, as in a drill; of any other it is an exception.
#[tokio::test]
async fn a_critical_check_that_only_warned_proves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("app.db");
    directory(&file).await;
    let url = format!("sqlite:{}", file.display());
    let pack = dir.path().join("count.sql");
    for (severity, limits, outcome, code) in [
        ("critical", "--! error_if = \"> 9000\"\n--! warn_if = \"> 0\"", "inconclusive", 3),
        ("major", "--! error_if = \"> 9000\"\n--! warn_if = \"> 0\"", "pass_with_exception", 0),
        ("critical", "--! error_if = \"> 9000\"", "pass", 0),
        ("critical", "--! error_if = \"> 0\"", "fail", 1),
    ] {
        let head = "--! id = \"own.count\"\n--! title = \"count\"\n--! engines = [\"sqlite\"]\n--! requires = [\"artists\"]\n";
        let sql = format!("{head}--! kind = \"scalar\"\n--! severity = \"{severity}\"\n{limits}\nSELECT COUNT(*) FROM artists\n");
        std::fs::write(&pack, sql).unwrap();
        let (output, lines) = check(&[&url, "--pack", &pack.display().to_string(), "--json"]);
        let summary = lines.last().unwrap();
        assert_eq!((output.status.code(), summary["outcome"].as_str()), (Some(code), Some(outcome)), "{severity} {limits}: {lines:?}");
    }
}

#[test]
fn lists_explanations_and_mistakes() {
    let (output, lines) = check(&["--list", "--json"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(lines.iter().any(|line| line["id"] == "bank.ledger-balances") && lines.len() > 20);
    let (output, _) = check(&["--explain", "bank.ledger-balances"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("SUM(amount_minor)") && text.contains("critical"), "{text}");
    for (args, code, said) in [
        (&["--explain", "bank.ledger-balance"][..], 2, "did you mean `bank.ledger-balances`"),
        (&["sqlite:/nowhere/app.db"], 4, "/nowhere/app.db"),
        (&["dir:/tmp"], 2, "not a SQL database"),
        (&["sqlite:/x", "--pack", "bnak"], 2, "did you mean `bank`"),
        (&["sqlite:/x", "--pack", "bank", "--name", "nonsense=x"], 2, "accounts.balance_minor"),
        (&["sqlite:/x", "--pack", "bank", "--name", "acounts=x"], 2, "did you mean `accounts`"),
        (&[], 2, "SOURCE"),
    ] {
        let (output, _) = check(args);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
        assert!(text.contains(said), "{args:?}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demos_bank_passes_on_postgresql() {
    let Some(server) = servers::shared(Kind::Postgres) else { return };
    let mut connection = PgConnection::connect(&server.full_url("postgres")).await.unwrap();
    connection.execute("CREATE DATABASE crm_transactions").await.unwrap();
    connection.close().await.unwrap();
    let mut connection = PgConnection::connect(&server.full_url("crm_transactions")).await.unwrap();
    for statement in bank_statements(200, Timestamp::now()) {
        connection.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await.unwrap();
    }
    connection.execute("CREATE EXTENSION amcheck").await.unwrap();
    connection.close().await.unwrap();
    let (_, lines) = check(&[&server.url("crm_transactions"), "--pack", "structure-postgres", "--pack", "bank", "--json"]);
    passes_but_baselines(&lines);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demos_bank_passes_on_mariadb() {
    let Some(server) = servers::shared(Kind::Mariadb) else { return };
    let mut connection = MySqlConnection::connect(&server.full_url("mysql")).await.unwrap();
    connection.execute("CREATE DATABASE crm_transactions").await.unwrap();
    connection.close().await.unwrap();
    let mut connection = MySqlConnection::connect(&server.full_url("crm_transactions")).await.unwrap();
    for statement in bank_statements(200, Timestamp::now()) {
        connection.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await.unwrap();
    }
    connection.close().await.unwrap();
    let (_, lines) = check(&[&server.url("crm_transactions"), "--pack", "structure-mysql", "--pack", "bank", "--json"]);
    passes_but_baselines(&lines);
}

/// What `verify` claims: the rows are the same, and the server has moved on since they were captured.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_has_moved_is_compared_in_a_bounded_mode() {
    let Some(server) = servers::shared(Kind::Postgres) else { return };
    let mut connection = PgConnection::connect(&server.full_url("postgres")).await.unwrap();
    connection.execute("CREATE DATABASE moved").await.unwrap();
    connection.close().await.unwrap();
    let mut connection = PgConnection::connect(&server.full_url("moved")).await.unwrap();
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, word text)").await.unwrap();
    connection.execute("INSERT INTO t SELECT n, 'word ' || n FROM generate_series(1, 50) AS n").await.unwrap();
    connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC").await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("hashkey");
    attestore::signing::hash_key::HashKey::create(&key).unwrap();
    let (key, out) = (key.display().to_string(), dir.path().join("manifest").display().to_string());
    let url = server.url("moved");
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_attestore"));
        let output = command.args(args).args(["--hash-key", &key, "--json"]).env("PGPASSWORD", PASSWORD).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let summary: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        (output.status.code(), summary, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, summary, said) = run(&["manifest", "create", &url, "--out", &out]);
    assert_eq!((code, &summary["mode"]), (Some(0), &"snapshot-exact".into()), "{said}");
    // Nothing of the table's, and a transaction all the same.
    connection.execute("CREATE TABLE other (id int); DROP TABLE other").await.unwrap();
    let (code, summary, said) = run(&["verify", &url, "--manifest", &out]);
    assert_eq!((code, &summary["outcome"], &summary["mode"]), (Some(0), &"pass".into(), &"position-bounded".into()), "{said}");
    assert!(said.contains("does not show the position") && said.contains("snapshot "), "{said}");
    connection.execute("UPDATE t SET word = 'other' WHERE id = 7").await.unwrap();
    let (code, summary, _) = run(&["verify", &url, "--manifest", &out]);
    assert_eq!((code, &summary["rows"]["mismatch"]), (Some(1), &1.into()), "without a stamp a difference stays a mismatch");
    connection.close().await.unwrap();
}
