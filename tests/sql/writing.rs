//! A manifest that cannot be written: told, and nothing of it is left, whichever table was under way.

use std::path::Path;
use std::process::{Command, Output};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};

/// Rows enough that they are written while the next table is read.
const MANY: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150000) SELECT i, i * 7 FROM n";

/// `attestore manifest create` with files limited to so many blocks of 512 bytes, as on a disk that fills up: writing beyond fails.
fn create(folder: &Path, blocks: &str) -> Output {
    let script = format!("ulimit -f {blocks}; exec \"$0\" \"$@\"");
    let args = ["manifest", "create", "sqlite:app.db", "--out", "m", "--hash-key", "hashkey", "--json"];
    Command::new("sh").args(["-c", &script, env!("CARGO_BIN_EXE_attestore")]).args(args).current_dir(folder).output().unwrap()
}

#[tokio::test]
async fn a_disk_that_is_full_is_told_and_nothing_half_written_is_left() {
    for (tables, named) in [(["a", "b", "c"], "sidecar-00000.parquet"), (["b", "c", "z"], "sidecar-00000.parquet")] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("app.db");
        let mut connection = SqliteConnectOptions::new().filename(&file).create_if_missing(true).connect().await.unwrap();
        for table in tables {
            // The large one comes first, or last.
            let rows = if matches!(table, "a" | "z") { MANY } else { "SELECT 1, 2" };
            let sql = format!("CREATE TABLE {table} (id INTEGER PRIMARY KEY, v); INSERT INTO {table} {rows}");
            connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap();
        }
        connection.close().await.unwrap();
        std::fs::write(dir.path().join("hashkey"), format!("{}\n", "07".repeat(32))).unwrap();
        Command::new("chmod").arg("600").arg(dir.path().join("hashkey")).status().unwrap();
        let output = create(dir.path(), "1000");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(5), "{said}");
        assert!(said.contains(named) && said.contains("make room") && !said.contains("panicked"), "{said}");
        let mut left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["app.db", "hashkey"]);
        let output = create(dir.path(), "unlimited");
        assert!(
            output.status.success() && dir.path().join("m/sidecar-00000.parquet").exists(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
