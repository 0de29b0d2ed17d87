//! SQLite for real: fingerprints, comparison, checks, damaged files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::support;
use attestore::model::capture::CaptureMode;
use attestore::model::check::{CheckOutcome, CheckResult};
use attestore::model::failure::{Failure, FailureKind};
use attestore::model::finding::{Class, Finding};
use attestore::model::outcome::Outcome;
use attestore::model::source_url::SourceUrl;
use attestore::model::verification::Verification;
use attestore::monitor::{Collected, Event, Monitor, Silent};
use attestore::signing::hash_key::HashKey;
use attestore::verify::manifest::header::Header;
use attestore::verify::manifest::reader::Manifest;
use attestore::verify::manifest::request::CaptureRequest;
use attestore::verify::sql::capture::capture;
use attestore::verify::sql::checks::pack::Pack;
use attestore::verify::sql::checks::runner;
use attestore::verify::sql::compare::database::compare;
use attestore::verify::sql::connect::access::Access;
use attestore::verify::sql::database::Database;
use attestore::verify::sql::rows::canon::Row;
use attestore::verify::sql::rows::row_keys::RowKeys;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqliteConnection};

fn key() -> HashKey {
    HashKey::from_bytes([7; 32])
}

struct Db {
    dir: tempfile::TempDir,
}

impl Db {
    async fn new(sql: &str) -> Self {
        let db = Self { dir: tempfile::tempdir().unwrap() };
        db.run(sql).await;
        db
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("app.db")
    }

    async fn connect(&self) -> SqliteConnection {
        SqliteConnectOptions::new().filename(self.file()).create_if_missing(true).foreign_keys(false).connect().await.unwrap()
    }

    async fn run(&self, sql: &str) {
        let mut connection = self.connect().await;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        connection.close().await.unwrap();
    }

    fn url(&self) -> SourceUrl {
        SourceUrl::Sqlite { path: self.file() }
    }

    fn out(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    async fn capture(&self, name: &str) -> Header {
        let request = CaptureRequest::new(self.out(name), CaptureMode::Sealed);
        capture(&self.url(), &Access::default(), &request, &key(), None, &Silent).await.unwrap()
    }

    async fn compare(&self, name: &str) -> (Verification, Vec<Finding>) {
        compared(&self.url(), &self.out(name)).await.unwrap()
    }

    async fn check(&self, packs: &[&str], baselines: &[(&str, &str)]) -> BTreeMap<String, CheckResult> {
        let packs: Vec<Pack> = packs.iter().map(|name| Pack::load(name).unwrap()).collect();
        let baselines = baselines.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let results = runner::run(&self.url(), &Access::default(), &packs, &baselines, &Silent).await.unwrap();
        results.into_iter().map(|result| (result.id.clone(), result)).collect()
    }

    /// One check of one's own.
    async fn own(&self, header: &str, sql: &str) -> CheckResult {
        let path = self.out("own.sql");
        std::fs::write(&path, format!("--! id = \"own\"\n--! engines = [\"sqlite\"]\n--! severity = \"minor\"\n{header}\n{sql}\n"))
            .unwrap();
        self.check(&[path.to_str().unwrap()], &[]).await.remove("own").unwrap()
    }
}

async fn compared(url: &SourceUrl, manifest: &Path) -> Result<(Verification, Vec<Finding>), Failure> {
    let monitor = Collected::default();
    let result = compare(url, &Access::default(), &Manifest::open(manifest)?, &key(), &monitor).await?;
    Ok((result, monitor.findings()))
}

fn places(findings: &[Finding]) -> Vec<(Class, String)> {
    let mut all: Vec<_> = findings.iter().map(|finding| (finding.class, finding.place.parts().1.to_owned())).collect();
    all.sort();
    all
}

#[tokio::test]
async fn storage_classes_differ_and_rows_are_named() {
    let db = Db::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 1), (2, 2.5), (3, 'x '), (4, x'00'), (5, NULL), (6, 'NULL'), (7, 9223372036854775807); \
         CREATE TABLE wr (a TEXT, b TEXT, PRIMARY KEY (b, a)) WITHOUT ROWID; INSERT INTO wr VALUES ('two words', 'k'); \
         CREATE TABLE g (id INTEGER PRIMARY KEY, s AS (id + 1) STORED, w AS (id + 2) VIRTUAL); INSERT INTO g VALUES (1); \
         CREATE TABLE e (id INTEGER PRIMARY KEY); CREATE VIEW vw AS SELECT 1; CREATE TABLE dup (x); INSERT INTO dup VALUES (1), (1), (2)",
    )
    .await;
    let header = db.capture("m").await;
    assert_eq!((header.counts["tables"], header.counts["rows"]), (5, 12));
    assert_eq!((header.baselines["rows.e"].as_str(), header.baselines["rows.t"].as_str()), ("0", "7"));
    assert_eq!(db.compare("m").await.1, []);
    db.run("VACUUM").await;
    assert_eq!(db.compare("m").await.1, []);
    db.run("UPDATE t SET v = 1.0 WHERE id = 1; UPDATE t SET v = 'x' WHERE id = 3; UPDATE t SET v = 'NULL' WHERE id = 5; DELETE FROM t WHERE id = 7; INSERT INTO t VALUES (8, '1'); DELETE FROM dup; INSERT INTO dup VALUES (2), (2), (1)").await;
    let (result, findings) = db.compare("m").await;
    let places = places(&findings);
    for expected in [(Class::Mismatch, "t id=1"), (Class::Mismatch, "t id=3"), (Class::Mismatch, "t id=5"), (Class::Extra, "t id=8")] {
        assert!(places.contains(&(expected.0, expected.1.into())), "{expected:?} in {places:?}");
    }
    let rows = result.rows.unwrap();
    assert_eq!((rows.matched, rows.mismatch, rows.missing, rows.extra), (7, 3, 2, 2));
    assert_eq!(result.outcome(0).0, Outcome::Fail);
}

#[tokio::test]
async fn nothing_is_written_and_hot_copies_open() {
    let db = Db::new("PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)").await;
    // Writer still connected: its WAL holds a row that the file does not.
    let mut writer = db.connect().await;
    sqlx::raw_sql("PRAGMA wal_autocheckpoint = 0; INSERT INTO t VALUES (2)").execute(&mut writer).await.unwrap();
    let cold = tempfile::tempdir().unwrap();
    std::fs::copy(db.file(), cold.path().join("app.db")).unwrap();
    std::fs::copy(db.out("app.db-wal"), cold.path().join("app.db-wal")).unwrap();
    db.capture("live").await;
    let url = SourceUrl::Sqlite { path: cold.path().join("app.db") };
    let (result, findings) = compared(&url, &db.out("live")).await.unwrap();
    assert_eq!((findings, result.rows.unwrap().matched), (vec![], 2));
    let mut names: Vec<_> = std::fs::read_dir(cold.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["app.db", "app.db-wal"]);
    writer.close().await.unwrap();
    // A file in WAL mode alone, in a directory that nobody may write to.
    let (result, _) = db.compare("live").await;
    assert_eq!(result.rows.unwrap().matched, 2);
    assert!(!db.out("app.db-shm").exists());
}

/// A rollback journal with one page of the database as it was, which ends with the name of a super-journal (sqlite.org/fileformat2.html).
fn journal_of_several(database: &Path, super_journal: &Path) -> Vec<u8> {
    const MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    let bytes = std::fs::read(database).unwrap();
    let page_size = usize::from(u16::from_be_bytes([bytes[16], bytes[17]]));
    let (page, name) = (&bytes[..page_size], super_journal.as_os_str().as_encoded_bytes());
    let sum = |bytes: &mut dyn Iterator<Item = u8>| bytes.fold(0u32, |sum, byte| sum.wrapping_add(byte.into())).to_be_bytes();
    let pages = u32::try_from(bytes.len() / page_size).unwrap();
    let mut journal = MAGIC.to_vec();
    for number in [1, 0, pages, 512, u32::try_from(page_size).unwrap()] {
        journal.extend(number.to_be_bytes());
    }
    journal.resize(512, 0);
    journal.extend(1u32.to_be_bytes());
    journal.extend(page);
    journal.extend(sum(&mut (1..page_size).rev().filter(|at| (page_size - at) % 200 == 0).map(|at| page[at])));
    // The page that is never written holds the record.
    journal.extend(u32::try_from(0x4000_0000 / page_size + 1).unwrap().to_be_bytes());
    journal.extend(name);
    journal.extend(u32::try_from(name.len()).unwrap().to_be_bytes());
    journal.extend(sum(&mut name.iter().copied()));
    journal.extend(MAGIC);
    journal
}

#[tokio::test]
async fn a_journal_that_names_another_file_is_not_played_back() {
    let db = Db::new("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)").await;
    db.capture("m").await;
    let other = db.out("a file of somebody else");
    std::fs::write(&other, "precious").unwrap();
    std::fs::write(db.out("app.db-journal"), journal_of_several(&db.file(), &other)).unwrap();
    // What decides is not at hand: no verdict on the file.
    let refused = compared(&db.url(), &db.out("m")).await.unwrap_err();
    assert_eq!(refused.kind, FailureKind::Refused);
    for said in ["transaction over several databases", "a file of somebody else"] {
        assert!(refused.message.contains(said), "{refused}");
    }
    assert_eq!(std::fs::read_to_string(&other).unwrap(), "precious");
    // By the driver that runs checks, too.
    assert!(attestore::verify::sql::sqlite::file::options(&db.file()).is_err());
    assert!(other.exists());
    // A journal without that is played back as ever, on a copy.
    let mut plain = journal_of_several(&db.file(), &other);
    plain.truncate(plain.len() - 8);
    std::fs::write(db.out("app.db-journal"), &plain).unwrap();
    let (result, findings) = db.compare("m").await;
    assert_eq!((findings, result.rows.unwrap().matched), (vec![], 1));
    assert!(other.exists() && db.out("app.db-journal").exists());
}

/// Drafts digested some values otherwise: what they say of these rows is no verdict on them.
#[tokio::test]
async fn a_manifest_of_another_encoding_is_refused() {
    let db = Db::new("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)").await;
    db.capture("m").await;
    let (manifest, path) = (db.dir.path().join("m"), db.dir.path().join("m/manifest.json"));
    let text = std::fs::read_to_string(&path).unwrap();
    for (now, draft) in [("attestore/rows/v1", "attestore/rows/v1-draft"), ("attestore/rows/v1", "attestore/rows-logical/v1-draft")] {
        std::fs::write(&path, text.replacen(&format!("\"{now}\""), &format!("\"{draft}\""), 1)).unwrap();
        let refused = compared(&db.url(), &manifest).await.unwrap_err();
        let said = refused.to_string();
        assert!(said.contains(&format!("encoded as `{draft}`, this version reads `{now}`")), "{said}");
        assert_eq!((refused.kind, refused.hint.unwrap().contains("capture the source again")), (FailureKind::Invalid, true));
    }
}

#[tokio::test]
async fn damage_is_unreadable_and_what_is_not_there_is_absent() {
    let db = Db::new("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 3000) INSERT INTO t SELECT i, printf('%0100d', i) FROM n").await;
    db.capture("m").await;
    let whole = std::fs::read(db.file()).unwrap();
    // One flipped byte inside a value: SQLite's own check passes, the fingerprint does not.
    let at = whole.windows(100).position(|window| window == format!("{:0100}", 1500).as_bytes()).unwrap();
    let mut flipped = whole.clone();
    flipped[at] ^= 1;
    std::fs::write(db.file(), &flipped).unwrap();
    assert_eq!(db.check(&["structure-sqlite"], &[]).await["structure.sqlite-integrity"].result, CheckOutcome::Pass);
    assert_eq!(places(&db.compare("m").await.1), [(Class::Mismatch, "t id=1500".into())]);
    // A page of zeros in the middle of the table.
    let mut torn = whole.clone();
    torn[40 * 4096..41 * 4096].fill(0);
    std::fs::write(db.file(), &torn).unwrap();
    let (result, findings) = db.compare("m").await;
    assert!(matches!(&findings[..], [finding] if finding.class == Class::Unreadable), "{findings:?}");
    assert_eq!(result.rows.unwrap().unreadable, 3000);
    assert_eq!(db.check(&["structure-sqlite"], &[]).await["structure.sqlite-integrity"].result, CheckOutcome::Fail);
    // No database at all: the tables are unreadable.
    std::fs::write(db.file(), b"not a database, and long enough to have a header").unwrap();
    assert_eq!(places(&db.compare("m").await.1), [(Class::Unreadable, "t".into())]);
    std::fs::remove_file(db.file()).unwrap();
    assert_eq!(compared(&db.url(), &db.out("m")).await.unwrap_err().kind, FailureKind::Absent);
}

#[tokio::test]
async fn utf_16_files_compare_with_utf_8_ones() {
    let rows = "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'zü😀')";
    let eight = Db::new(rows).await;
    let sixteen = Db::new(&format!("PRAGMA encoding = 'UTF-16le'; {rows}")).await;
    assert_eq!(eight.capture("m").await.root, sixteen.capture("m").await.root);
}

/// The rows of `t` with its columns `id` and `v`, in canonical form and sorted.
async fn rows_of(db: &Db) -> Vec<Vec<u8>> {
    let mut open = Database::open(&db.url(), &Access::default()).await.unwrap();
    let table = open.tables().await.unwrap().remove(0);
    let columns: Vec<usize> = (0..table.columns.len()).filter(|at| matches!(table.columns[*at].name.as_str(), "id" | "v")).collect();
    let mut rows = Vec::new();
    let each = &mut |row: &Row| {
        rows.push(row.bytes().to_vec());
        Ok(true)
    };
    open.read(&table, &columns, Row::new(&RowKeys::new(&key())), each).await.unwrap();
    open.close().await;
    rows.sort();
    rows
}

#[tokio::test]
async fn large_values_are_the_same_however_they_are_read() {
    let rows = "INSERT INTO t (id, v) VALUES (1, printf('%.*c', 8388607, 'é')), (2, printf('%.*c', 8388609, 'a')), (3, zeroblob(8388608)), (4, zeroblob(8388609)), \
                (5, CAST(zeroblob(9000000) AS TEXT)), (6, CAST(zeroblob(8999999) || x'c3' AS TEXT)), (7, -8070450532247928833), (8, NULL), (9, 'x'), \
                (10, replace(hex(zeroblob(1500000)), '0', '€𐍈')), (11, -8070450532247928832)";
    let pieces = Db::new(&format!("CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB); {rows}")).await;
    let read = rows_of(&pieces).await;
    assert_eq!(read.len(), 11);
    // Without a rowid; a type that is not meant for text; a generated column; every name of the rowid taken, and all but one.
    for table in [
        "(id INTEGER PRIMARY KEY, v BLOB) WITHOUT ROWID",
        "(id INTEGER PRIMARY KEY, v NUMERIC)",
        "(id INTEGER PRIMARY KEY, v BLOB, g AS (id) VIRTUAL)",
        "(id INTEGER PRIMARY KEY, v BLOB, rowid TEXT, oid TEXT, _rowid_ TEXT)",
        "(id INTEGER PRIMARY KEY, v BLOB, rowid TEXT, Oid TEXT)",
    ] {
        assert!(rows_of(&Db::new(&format!("CREATE TABLE t {table}; {rows}")).await).await == read, "{table}");
    }
    pieces.capture("m").await;
    pieces.run("UPDATE t SET v = CAST(zeroblob(8388600) || x'00000000000000ff00' AS BLOB) WHERE id = 4").await;
    let (_, findings) = pieces.compare("m").await;
    assert_eq!(places(&findings), [(Class::Mismatch, "t id=4".into())]);
}

#[tokio::test]
async fn values_of_300_mib_take_little_memory() {
    let db = Db::new(
        "CREATE TABLE lob (id INTEGER PRIMARY KEY, v); INSERT INTO lob VALUES (1, zeroblob(314572800)), (2, CAST(zeroblob(314572800) AS TEXT))",
    )
    .await;
    let peak = support::peak_of_capture(&db.url().to_string(), &db.out("m"));
    assert!(peak < 120 * 1024, "two values of 300 MiB took {peak} KiB");
    assert_eq!(db.compare("m").await.1, []);
}

#[tokio::test]
async fn a_moving_file_is_no_sealed_source_and_wrong_modes_are_refused() {
    let db = Db::new("CREATE TABLE t (id INTEGER PRIMARY KEY)").await;
    let request = CaptureRequest::new(db.out("m"), CaptureMode::VersionExact);
    let error = capture(&db.url(), &Access::default(), &request, &key(), None, &Silent).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Invalid);
    assert!(!db.out("m").exists());
}

const DIRECTORY: &str = "CREATE TABLE artists (id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT NOT NULL, styles TEXT NOT NULL, created_at TEXT NOT NULL); \
     CREATE TABLE bookings (id INTEGER PRIMARY KEY, artist_id INTEGER NOT NULL REFERENCES artists (id), starts_at TEXT NOT NULL, status TEXT NOT NULL, price_minor INTEGER NOT NULL); \
     INSERT INTO artists VALUES (1, 'Mei', 'Leeds', 'blackwork', '2026-01-01 00:00:00'); INSERT INTO bookings VALUES (1, 1, datetime('now'), 'confirmed', 5000);";

#[tokio::test]
async fn each_shipped_check_passes_and_fails() {
    let packs = ["structure-sqlite", "directory-app"];
    let baselines = [("rows.artists", "1"), ("rows.bookings", "1")];
    let good = Db::new(DIRECTORY).await.check(&packs, &baselines).await;
    assert_eq!(good.len(), 9);
    assert!(good.values().all(|result| result.result == CheckOutcome::Pass), "{good:?}");
    let bad = Db::new(&format!(
        "{DIRECTORY} UPDATE bookings SET artist_id = 9, starts_at = '2020-01-01 00:00:00', price_minor = -1.5; UPDATE artists SET name = ' '"
    ))
    .await;
    let more = [("rows.artists", "2"), ("rows.bookings", "2")];
    let mut failed = bad.check(&packs, &more).await;
    // A file that integrity_check finds something in is made in `damage_is_unreadable_and_what_is_not_there_is_absent`.
    assert_eq!(failed.remove("structure.sqlite-integrity").unwrap().result, CheckOutcome::Pass);
    assert!(failed.values().all(|result| result.result == CheckOutcome::Fail), "{failed:?}");
    let row = &failed["directory.booking-values"].rows[0];
    assert!(
        row.contains(&("booking_id".into(), "1".into()))
            && row.contains(&("price_minor".into(), attestore::verify::sql::checks::redact::REDACTED.into())),
        "{row:?}"
    );
}

#[tokio::test]
async fn the_bank_pack_passes_and_fails_here_too() {
    let sql = "CREATE TABLE customers (id INTEGER PRIMARY KEY, name, email, created_at); CREATE TABLE accounts (id INTEGER PRIMARY KEY, customer_id, currency, balance_minor, updated_at); \
         CREATE TABLE transactions (id INTEGER PRIMARY KEY, account_id, amount_minor, kind, booked_at, reference); INSERT INTO customers VALUES (1, 'A', 'a@example.com', '2026-01-01'); \
         INSERT INTO accounts VALUES (10, 1, 'SGD', 50, datetime('now')); INSERT INTO transactions VALUES (1, 10, 80, 'credit', datetime('now'), NULL), (2, 10, -30, 'debit', datetime('now'), 'x');";
    let baselines = [("rows.customers", "1"), ("rows.accounts", "1"), ("rows.transactions", "2")];
    let good = Db::new(sql).await;
    assert!(good.check(&["bank"], &baselines).await.values().all(|result| result.result == CheckOutcome::Pass));
    // Without a manifest the baselines are missing: untested, not passed.
    assert_eq!(good.check(&["bank"], &[]).await["bank.accounts-not-fewer"].result, CheckOutcome::Untested);
    let bad = Db::new(&format!(
        "{sql} UPDATE accounts SET customer_id = 2; UPDATE transactions SET booked_at = '2020-01-01 00:00:00'; UPDATE transactions SET account_id = 11, kind = 'odd', amount_minor = 'much' WHERE id = 2"
    ))
    .await;
    let more = [("rows.customers", "2"), ("rows.accounts", "2"), ("rows.transactions", "3")];
    assert!(bad.check(&["bank"], &more).await.values().all(|result| result.result == CheckOutcome::Fail));
    // An empty ledger: what would pass is vacuous, what fails fails.
    let empty = Db::new(&format!("{sql} DELETE FROM transactions")).await.check(&["bank"], &baselines).await;
    assert_eq!(empty["bank.orphan-transactions"].result, CheckOutcome::Vacuous);
    assert_eq!(empty["bank.freshness"].result, CheckOutcome::Vacuous);
    assert_eq!(empty["bank.ledger-balances"].result, CheckOutcome::Fail);
    let absent = Db::new("CREATE TABLE accounts (id)").await.check(&["bank"], &[]).await;
    assert_eq!(absent["bank.ledger-balances"].result, CheckOutcome::Error);
    assert!(absent["bank.ledger-balances"].reason.as_ref().unwrap().contains("transactions is absent"));
}

#[tokio::test]
async fn kinds_thresholds_limits_and_timeouts() {
    let db = Db::new("CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')").await;
    let warned = db.own("--! kind = \"scalar\"\n--! error_if = \"> 5\"\n--! warn_if = \"> 2\"", "SELECT COUNT(*) FROM t").await;
    assert_eq!((warned.result, warned.actual.as_deref()), (CheckOutcome::Warn, Some("3")));
    let limited = db.own("--! kind = \"violations\"\n--! limit = 2\n--! show = [\"ID\"]", "SELECT id, s FROM t").await;
    assert_eq!((limited.result, limited.actual.as_deref(), limited.rows.len()), (CheckOutcome::Fail, Some("3"), 2));
    assert_eq!(
        limited.rows[0],
        [("id".to_owned(), "1".to_owned()), ("s".to_owned(), attestore::verify::sql::checks::redact::REDACTED.to_owned())]
    );
    let two = db.own("--! kind = \"scalar\"\n--! error_if = \"> 5\"", "SELECT id FROM t").await;
    assert_eq!(two.result, CheckOutcome::Error);
    let endless = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n";
    let stopped = db.own("--! kind = \"scalar\"\n--! error_if = \"> 5\"\n--! timeout = \"1s\"", endless).await;
    assert_eq!(stopped.result, CheckOutcome::Error, "{stopped:?}");
    assert_eq!(stopped.reason.as_deref(), Some("stopped at its timeout of 1 s"));
    // So is the look whether what it requires has rows.
    let db =
        Db::new("CREATE VIEW none AS WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 0").await;
    let header = "--! kind = \"scalar\"\n--! error_if = \"> 5\"\n--! timeout = \"1s\"\n--! requires = [\"none\"]";
    let stopped = db.own(header, "SELECT 1").await;
    assert_eq!((stopped.result, stopped.reason.as_deref()), (CheckOutcome::Error, Some("stopped at its timeout of 1 s")));
}

#[tokio::test]
async fn one_value_is_one_and_no_value_is_told() {
    let db = Db::new("CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT); INSERT INTO t VALUES (1, 'a sekret')").await;
    for (kind, sql) in [
        ("scalar\"\n--! error_if = \"> 5", "SELECT 1, 2"),
        ("freshness\"\n--! error_if = \"> 1h", "SELECT datetime('now'), 2"),
        ("scalar\"\n--! error_if = \"> 5", "SELECT s FROM t"),
        ("freshness\"\n--! error_if = \"> 1h", "SELECT s FROM t"),
        ("violations", "SELECT json_extract('{}', s) FROM t"),
        ("canary", "SELECT id, s FROM t"),
    ] {
        let result = db.own(&format!("--! kind = \"{kind}\""), sql).await;
        let expected = if kind == "canary" { CheckOutcome::Untested } else { CheckOutcome::Error };
        assert_eq!(result.result, expected, "{sql}: {result:?}");
        let told = format!("{}{}{result:?}", serde_json::to_string(&result).unwrap(), runner::line(&result));
        assert!(!told.contains("sekret"), "{told}");
    }
    let two = db.own("--! kind = \"scalar\"\n--! error_if = \"> 5\"", "SELECT 1, 2").await;
    assert!(two.reason.unwrap().contains("2 columns"));
    let text = db.own("--! kind = \"scalar\"\n--! error_if = \"> 5\"", "SELECT s FROM t").await;
    assert_eq!(text.actual.as_deref(), Some("(redacted)"));
}

#[tokio::test]
async fn a_stamp_from_the_future_fails_beyond_a_small_skew() {
    let db = Db::new("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)").await;
    let at = |ahead: &'static str, more: &'static str| {
        let header = format!("--! kind = \"freshness\"\n--! error_if = \"> 1d\"{more}");
        let db = &db;
        async move { db.own(&header, &format!("SELECT datetime('now', '{ahead}')")).await }
    };
    let far = at("+7 minutes", "").await;
    assert_eq!(far.result, CheckOutcome::Fail, "{far:?}");
    assert!(far.reason.unwrap().starts_with("future: "));
    assert_eq!(at("+2 minutes", "").await.result, CheckOutcome::Pass);
    assert_eq!(at("+7 minutes", "\n--! ahead = \"1h\"").await.result, CheckOutcome::Pass);
    assert_eq!(at("+999 years", "\n--! ahead = \"1h\"").await.result, CheckOutcome::Fail);
    assert_eq!(at("-25 hours", "").await.result, CheckOutcome::Fail);
}

#[tokio::test]
async fn an_empty_database_proves_nothing_and_what_is_not_there_does_not_apply() {
    for sql in ["PRAGMA user_version = 0", "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p INT REFERENCES p (id))"] {
        let results = Db::new(sql).await.check(&["structure-sqlite"], &[]).await;
        assert!(results.values().all(|result| result.result == CheckOutcome::Vacuous && !result.not_applicable), "{sql}: {results:?}");
    }
    let db = Db::new("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)").await;
    let results = db.check(&["structure-sqlite"], &[]).await;
    assert_eq!(results["structure.sqlite-integrity"].result, CheckOutcome::Pass);
    let keys = &results["structure.sqlite-foreign-keys"];
    assert!(keys.result == CheckOutcome::Untested && keys.not_applicable && !keys.counts(), "{keys:?}");
    assert!(runner::line(keys).contains("n/a") && keys.reason.as_ref().unwrap().contains("not applicable"), "{keys:?}");
    assert!(serde_json::to_string(keys).unwrap().contains("\"not_applicable\":true"));
    assert!(!serde_json::to_string(&results["structure.sqlite-integrity"]).unwrap().contains("not_applicable"));
    // One's own checks name their tables, or look at the database as a whole.
    let empty = Db::new("CREATE TABLE t (id INTEGER PRIMARY KEY)").await;
    let own = empty.own("--! kind = \"scalar\"\n--! error_if = \"> 0\"", "SELECT COUNT(*) FROM t").await;
    assert_eq!((own.result, own.reason.as_deref()), (CheckOutcome::Vacuous, Some("every table is empty")));
}

#[tokio::test]
async fn even_a_statement_that_got_past_the_first_fence_writes_nothing() {
    let db = Db::new("CREATE TABLE t (id INTEGER PRIMARY KEY)").await;
    let mut pack = Pack::load("structure-sqlite").unwrap();
    pack.checks.truncate(1);
    pack.checks[0].looks_at = None;
    for sql in ["INSERT INTO t VALUES (1)", "DROP TABLE t", "CREATE TABLE x (id)"] {
        pack.checks[0].sql = sql.into();
        let results = runner::run(&db.url(), &Access::default(), &[pack.clone()], &BTreeMap::new(), &Silent).await.unwrap();
        assert_eq!(results[0].result, CheckOutcome::Error, "{sql}: {results:?}");
    }
}

/// A capture of a file in rollback mode holds its lock: that is said before it begins, and of a file in WAL mode it is not so.
#[tokio::test]
async fn a_file_that_is_locked_while_it_is_read_is_said_to_be() {
    let db = Db::new("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)").await;
    let said = async |out: &str| {
        let monitor = Notes::default();
        let request = CaptureRequest::new(db.out(out), CaptureMode::Sealed);
        capture(&db.url(), &Access::default(), &request, &key(), None, &monitor).await.unwrap();
        monitor.0.into_inner().unwrap().iter().any(|note| note.contains("rollback-journal mode"))
    };
    assert!(said("a").await);
    let session = Database::open(&db.url(), &Access::default()).await.unwrap();
    assert!(session.caution().unwrap().contains("journal_mode = WAL"));
    session.close().await;
    db.run("PRAGMA journal_mode = WAL").await;
    assert!(!said("b").await);
}

#[derive(Default)]
struct Notes(std::sync::Mutex<Vec<String>>);

impl Monitor for Notes {
    fn event(&self, event: Event<'_>) {
        if let Event::Note(said) = event {
            self.0.lock().unwrap().push(said.to_owned());
        }
    }
}

#[tokio::test]
async fn a_table_beyond_the_sidecars_limit_has_sums_for_leaves() {
    let db = Db::new(
        "CREATE TABLE large (id INTEGER PRIMARY KEY, v TEXT); WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 40000) \
         INSERT INTO large SELECT i, 'row ' || i FROM s; CREATE TABLE pairs (v INT); INSERT INTO pairs VALUES (1), (1), (2), (2); \
         CREATE TABLE small (id INTEGER PRIMARY KEY); INSERT INTO small VALUES (1)",
    )
    .await;
    let mut request = CaptureRequest::new(db.out("m"), CaptureMode::Sealed);
    request.sidecar_max_rows = 3;
    capture(&db.url(), &Access::default(), &request, &key(), None, &Silent).await.unwrap();
    let manifest = Manifest::open(&db.out("m")).unwrap();
    let kinds = |table: &str| -> Vec<&str> {
        let rows = manifest.leaves().map(Result::unwrap).filter(|row| row.key == table);
        rows.map(|row| row.kind.as_str()).collect()
    };
    assert_eq!(kinds("large"), ["sum", "sum", "sum", "sum", "schema"]);
    assert_eq!((kinds("pairs"), kinds("small")), (vec!["sum", "schema"], vec!["bucket", "schema"]));
    assert_eq!(manifest.sidecar().count(), 1);
    let (result, findings) = db.compare("m").await;
    assert_eq!((findings.len(), result.rows.unwrap().matched), (0, 40_005));
    // One row changed; a pair of equal rows for another pair, which an exclusive or would not see.
    db.run("UPDATE large SET v = 'other' WHERE id = 7; UPDATE pairs SET v = 3 WHERE v = 2").await;
    let (result, findings) = db.compare("m").await;
    let places: Vec<(Class, &str)> = findings.iter().map(|finding| (finding.class, finding.place.parts().1)).collect();
    assert!(matches!(places[..], [(Class::Mismatch, large), (Class::Mismatch, "pairs 0/1")] if large.starts_with("large ")), "{places:?}");
    let (tables, rows) = (result.tables.unwrap(), result.rows.unwrap());
    assert_eq!((tables.mismatch, tables.matched), (2, 1));
    // In each of the two buckets one row at least is another; of the rest nothing is known, and nothing is called equal.
    assert_eq!((rows.mismatch, rows.missing, rows.extra), (2, 0, 0));
    assert!(rows.indeterminate > 9_000 && rows.matched > 29_000 && rows.adds_up(), "{rows:?}");
    assert_eq!(result.outcome(0).0, Outcome::Fail);
}
