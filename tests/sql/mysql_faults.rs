//! MariaDB and MySQL: the wrong answers of other tools, damage in real InnoDB pages, and what can go wrong while tables are read.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::servers::{self, Kind};
use crate::support::{self, Db, Meanwhile, When, access, as_user, places, run_aside, until_quiet};
use attestore::model::capture::CaptureMode;
use attestore::model::check::CheckOutcome;
use attestore::model::failure::FailureKind;
use attestore::model::finding::{Class, Finding};
use attestore::model::outcome::Outcome;
use attestore::model::verification::Verification;
use attestore::monitor::Silent;
use attestore::verify::manifest::request::CaptureRequest;
use attestore::verify::sql::capture::capture;
use attestore::verify::sql::checks::pack::Pack;
use attestore::verify::sql::checks::runner;
use attestore::verify::sql::compare::dual;
use attestore::verify::sql::connect::access::Access;
use attestore::verify::sql::reading::Limits;
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, Row};

/// What a statement that other tools send answers, as text.
async fn peer(db: &Db, expression: &str) -> String {
    let mut connection = MySqlConnection::connect(&db.server.full_url(&db.name)).await.unwrap();
    let row = sqlx::raw_sql(AssertSqlSafe(format!("SELECT CAST({expression} AS CHAR) FROM t"))).fetch_one(&mut connection).await.unwrap();
    let answer: Option<String> = row.try_get_unchecked(0).unwrap();
    connection.close().await.unwrap();
    answer.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_other_tools_call_equal_is_told_apart() {
    let Some(server) = servers::shared(Kind::Mariadb) else { return };
    let dir = tempfile::tempdir().unwrap();
    let columns = "a VARCHAR(20), b VARCHAR(20), n BIGINT, f FLOAT, at DATETIME(6), bl BLOB, d DATE";
    let db = Db::new(&server, Kind::Mariadb, "wrong", &format!("CREATE TABLE t ({columns})")).await;
    // What differs, the rows before and after, and an expression of a kind in use that answers the same for both.
    let cases = [
        ("no separators", "('x0','y',1,0,NULL,'',NULL)", "('x','0y',1,0,NULL,'',NULL)", "SUM(CRC32(CONCAT(a, b)))"),
        (
            "NULL as a word",
            "(NULL,'y',1,0,NULL,'',NULL)",
            "('NULL','y',1,0,NULL,'',NULL)",
            "SUM(CRC32(CONCAT_WS('#', COALESCE(a, 'NULL'), b)))",
        ),
        ("NULL in another column", "(NULL,'y',1,0,NULL,'',NULL)", "('y',NULL,1,0,NULL,'',NULL)", "SUM(CRC32(CONCAT_WS('#', a, b)))"),
        (
            "equal pairs under XOR",
            "('a','a',1,0,NULL,'',NULL),('a','a',1,0,NULL,'',NULL)",
            "('b','b',1,0,NULL,'',NULL),('b','b',1,0,NULL,'',NULL)",
            "BIT_XOR(CRC32(CONCAT_WS('#', a, b)))",
        ),
        (
            "{1,1,2} and {2,3,3}",
            "('','',1,0,NULL,'',NULL),('','',1,0,NULL,'',NULL),('','',2,0,NULL,'',NULL)",
            "('','',2,0,NULL,'',NULL),('','',3,0,NULL,'',NULL),('','',3,0,NULL,'',NULL)",
            "CONCAT(COUNT(*), BIT_XOR(CAST(CONV(LEFT(MD5(n), 16), 16, 10) AS UNSIGNED)))",
        ),
        ("case", "('a','y',1,0,NULL,'',NULL)", "('A','y',1,0,NULL,'',NULL)", "SUM(a = 'a')"),
        ("trailing spaces", "('a','y',1,0,NULL,'',NULL)", "('a ','y',1,0,NULL,'',NULL)", "SUM(a = 'a')"),
        (
            "milliseconds",
            "('','',1,0,'2026-01-01 00:00:00.000001','',NULL)",
            "('','',1,0,'2026-01-01 00:00:00.000002','',NULL)",
            "SUM(CRC32(LEFT(at, 23)))",
        ),
        (
            "a shift that XOR does not see",
            "('','',1,0,NULL,'',NULL),('','',2,0,NULL,'',NULL)",
            "('','',9,0,NULL,'',NULL),('','',10,0,NULL,'',NULL)",
            "BIT_XOR(n)",
        ),
        ("columns of bytes left out", "('','',1,0,NULL,'x',NULL)", "('','',1,0,NULL,'y',NULL)", "SUM(CRC32(CONCAT_WS('#', a, b, n, f)))"),
        ("floats as text", "('','',1,16777217.5,NULL,'',NULL)", "('','',1,16777216,NULL,'',NULL)", "SUM(CRC32(CONCAT_WS('#', f)))"),
        ("zero dates", "('','',1,0,NULL,'','0000-00-00')", "('','',1,0,NULL,'',NULL)", "COALESCE(SUM(YEAR(NULLIF(d, 0))), 0)"),
        (
            "order of sums",
            "('','',1,0,NULL,'',NULL),('','',4,0,NULL,'',NULL)",
            "('','',2,0,NULL,'',NULL),('','',3,0,NULL,'',NULL)",
            "SUM(n)",
        ),
    ];
    for (at, (name, before, after, expression)) in cases.iter().enumerate() {
        let manifest = dir.path().join(at.to_string());
        db.run(&format!("SET sql_mode = ''; TRUNCATE t; INSERT INTO t VALUES {before}")).await;
        let answered = peer(&db, expression).await;
        db.capture(&manifest).await.unwrap();
        assert_eq!(db.compare(&manifest).await.1, [], "{name}: equal before the change");
        db.run(&format!("SET sql_mode = ''; TRUNCATE t; INSERT INTO t VALUES {after}")).await;
        assert_eq!(peer(&db, expression).await, answered, "{name}: the other tool sees no difference");
        let (result, findings) = db.compare(&manifest).await;
        assert!(!findings.is_empty() && result.outcome(0).0 == Outcome::Fail, "{name}");
    }
}

/// CRC-32C, bit by bit: what `full_crc32` keeps in the last four bytes of a page.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes
        .iter()
        .fold(!0u32, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 }))
}

const PAGE: usize = 16_384;

/// The checksum of a page, and where it stands: `full_crc32` of MariaDB in the last four bytes; that of MySQL over all but the header's part
/// that is not known before the page is written, first and before the last four bytes.
fn checksum(kind: Kind, page: &[u8]) -> (u32, &'static [usize]) {
    match kind {
        Kind::Mysql => (crc32c(&page[4..26]) ^ crc32c(&page[38..PAGE - 8]), &[0, PAGE - 8]),
        _ => (crc32c(&page[..PAGE - 4]), &[PAGE - 4]),
    }
}

/// Changes one byte of a table's file while the server is down, with the page's checksum made to fit or not.
fn damage(db: &Db, table: &str, needle: &[u8], bit: u8, fitting: bool) {
    db.server.stop();
    let path = db.server.data().join(&db.name).join(format!("{table}.ibd"));
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(needle.len()).position(|window| window == needle).unwrap();
    let page = &mut bytes[at / PAGE * PAGE..][..PAGE];
    let (sum, places) = checksum(db.kind, page);
    let holds = |place: &usize| page[*place..place + 4] == sum.to_be_bytes();
    assert!(places.iter().all(holds), "the page is of the form that is expected here");
    page[at % PAGE] ^= bit;
    if fitting {
        let (sum, places) = checksum(db.kind, page);
        places.iter().for_each(|place| page[*place..place + 4].copy_from_slice(&sum.to_be_bytes()));
    }
    std::fs::write(&path, bytes).unwrap();
    db.server.start();
}

/// The golden case: what was already wrong in memory when the page was written, so that its checksum fits.
async fn a_byte_passes_the_engine_alone(db: &Db, manifest: &Path) {
    damage(db, "m", b"plain-1717-end", 1, true);
    let results = runner::run(&db.url(), &access(), &[Pack::load("structure-mysql").unwrap()], &Default::default(), &Silent).await.unwrap();
    let check = results.iter().find(|result| result.id == "structure.mysql-check-table").unwrap();
    assert_eq!(check.result, CheckOutcome::Pass, "CHECK TABLE EXTENDED: {check:?}");
    assert_eq!(places(&db.compare(manifest).await.1), [(Class::Mismatch, "m id=1717".into())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_byte_in_an_innodb_page_passes_the_engine_and_not_the_fingerprint() {
    let Some(server) = servers::own(Kind::Mariadb).map(Arc::new) else { return };
    let dir = tempfile::tempdir().unwrap();
    let sql = "CREATE TABLE a (id INT PRIMARY KEY); INSERT INTO a VALUES (1); CREATE TABLE z (id INT PRIMARY KEY); INSERT INTO z VALUES (1); \
               CREATE TABLE m (id INT PRIMARY KEY, v VARCHAR(200)); INSERT INTO m SELECT seq, CONCAT('plain-', seq, '-end-', REPEAT('x', 100)) FROM seq_1_to_20000";
    let db = Db::new(&server, Kind::Mariadb, "golden", sql).await;
    let manifest = dir.path().join("m");
    db.capture(&manifest).await.unwrap();
    a_byte_passes_the_engine_alone(&db, &manifest).await;
    // Text that is no text any more: a mismatch too, not an accident.
    damage(&db, "m", b"plain-1818-end", 0x80, true);
    let expected = [(Class::Mismatch, "m id=1717".into()), (Class::Mismatch, "m id=1818".into())];
    assert_eq!(places(&db.compare(&manifest).await.1), expected);
    // What was damaged on the disk: the page cannot be read, and so the table.
    damage(&db, "m", b"plain-9000-end", 1, false);
    let (result, findings) = db.compare(&manifest).await;
    only_m(&findings, &result, "", None);
    assert!(db.capture(&dir.path().join("again")).await.unwrap_err().message.contains("table m"));
}

/// Starts a server again whenever it has ended by itself, as services do, until it is told to stop; counts how often.
struct Restarting {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<usize>,
}

impl Restarting {
    fn begin(server: &Arc<servers::Server>) -> Self {
        let (stop, server) = (Arc::new(AtomicBool::new(false)), server.clone());
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut restarts = 0;
            while !stopped.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(20));
                if server.has_ended() {
                    server.start();
                    restarts += 1;
                }
            }
            restarts
        });
        Self { stop, thread }
    }

    fn end(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// MySQL ends its whole server at a page that fails its checksum. Where it is started again, that table alone cannot be read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_page_of_mysql_is_told_of_its_table_and_the_others_are_read() {
    let Some(server) = servers::own(Kind::Mysql).map(Arc::new) else { return };
    let dir = tempfile::tempdir().unwrap();
    let sql = "SET cte_max_recursion_depth = 20000; CREATE TABLE a (id INT PRIMARY KEY); INSERT INTO a VALUES (1); CREATE TABLE z (id INT PRIMARY KEY); INSERT INTO z VALUES (1); \
               CREATE TABLE m (id INT PRIMARY KEY, v VARCHAR(200)) STATS_PERSISTENT = 1 STATS_AUTO_RECALC = 0; \
               INSERT INTO m WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 20000) SELECT n, CONCAT('plain-', n, '-end-', REPEAT('x', 100)) FROM s";
    let db = Db::new(&server, Kind::Mysql, "golden", sql).await;
    let manifest = dir.path().join("m");
    db.capture(&manifest).await.unwrap();
    a_byte_passes_the_engine_alone(&db, &manifest).await;
    // What was damaged on the disk. The server takes its time: it tries a hundred times, and writes the page down each time.
    damage(&db, "m", b"plain-9000-end", 1, false);
    let patient =
        Access { limits: Limits { comeback: Duration::from_secs(60), silence: Duration::from_secs(60), ..support::hasty() }, ..access() };
    let restarting = Restarting::begin(&server);
    let (result, findings) = db.compare_as(&patient, &manifest).await.unwrap();
    assert_eq!(restarting.end(), 3, "{findings:?}");
    only_m(&findings, &result, "the server ends whenever rows after id=", None);
    assert!(findings[0].actual.as_deref().unwrap().contains("are read (3 times), and was back each time"), "{findings:?}");
}

/// Whoever started a server again may have started it over other data: what was read before and after is then of no one state.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_back_with_other_data_is_no_pass() {
    let Some(server) = servers::own(Kind::Mariadb).map(Arc::new) else { return };
    let dir = tempfile::tempdir().unwrap();
    let sql = "CREATE TABLE a (id INT PRIMARY KEY); INSERT INTO a VALUES (1); CREATE TABLE m (id INT PRIMARY KEY, v TEXT); \
               INSERT INTO m SELECT seq, REPEAT(seq, 100) FROM seq_1_to_100000; CREATE TABLE z (id INT PRIMARY KEY); INSERT INTO z VALUES (1)";
    let db = Db::new(&server, Kind::Mariadb, "swapped", sql).await;
    let same = Db::new(&servers::shared(Kind::Mariadb).unwrap(), Kind::Mariadb, "same_as_swapped", sql).await;
    let manifest = dir.path().join("m");
    db.capture(&manifest).await.unwrap();
    let patient = Access { limits: Limits { comeback: Duration::from_secs(30), ..support::unhurried() }, ..access() };
    // The table that has been read is another one afterwards, and the other way round the next time.
    let swap = || {
        server.kill();
        server.start();
        run_aside(&server, Kind::Mariadb, "swapped", "UPDATE a SET id = 1 - id");
    };
    let restore = || async { db.run("UPDATE a SET id = 1").await };
    let said = "started again while it was read";
    let doubtful = |result: &Verification, findings: &[Finding]| {
        assert_eq!((findings.len(), result.tables.unwrap().matched), (0, 3), "{findings:?}");
        assert!(result.outcome(0).0 == Outcome::Inconclusive && result.outcome(0).1.join(" ").contains(said), "{:?}", result.outcome(0));
    };
    let monitor = Meanwhile::new(When::FirstRows("m"), swap);
    doubtful(&db.compare_with(&patient, &manifest, &monitor).await, &monitor.seen.findings());
    restore().await;
    let monitor = Meanwhile::new(When::FirstRows("m"), swap);
    let side = |db: &Db, access| (db.url(), access);
    let (checked, baseline) = (side(&db, patient.clone()), side(&same, access()));
    let sides = [&checked, &baseline].map(|(url, access)| dual::Side { url, access });
    let [checked, baseline] = sides;
    doubtful(&dual::against(checked, baseline, &support::key(), None, &monitor).await.unwrap(), &monitor.seen.findings());
    for (mode, is_taken) in [(CaptureMode::SnapshotExact, false), (CaptureMode::Sealed, false), (CaptureMode::PositionBounded, true)] {
        restore().await;
        let monitor = Meanwhile::new(When::FirstRows("m"), swap);
        let request = CaptureRequest::new(dir.path().join(mode.as_str()), mode);
        let taken = capture(&db.url(), &patient, &request, &support::key(), None, &monitor).await;
        assert_eq!(taken.is_ok(), is_taken, "{mode}");
        if let Err(failure) = taken {
            assert!(failure.kind == FailureKind::Refused && failure.message.contains(said), "{mode}: {failure}");
        }
    }
}

/// The middle table is unreadable and says `said`; the others match. `outside` is the reason where the data is not to blame.
fn only_m(findings: &[Finding], result: &Verification, said: &str, outside: Option<FailureKind>) {
    assert_eq!(places(findings), [(Class::Unreadable, "m".into())], "{findings:?}");
    let found = findings[0].actual.as_deref().unwrap();
    assert!(found.contains(said), "expected `{said}` in `{found}`");
    let (tables, rows) = (result.tables.unwrap(), result.rows.unwrap());
    assert_eq!((tables.matched, tables.unreadable, rows.matched, rows.unreadable), (2, 1, 2, 20_000));
    assert_eq!((rows.mismatch, rows.missing, rows.extra), (0, 0, 0));
    assert_eq!(result.unread.keys().copied().collect::<Vec<_>>(), Vec::from_iter(outside), "{said}");
    assert_eq!(result.outcome(0).0, if outside.is_some() { Outcome::Inconclusive } else { Outcome::Fail });
}

const FILL: &str = "INSERT INTO m SELECT seq, REPEAT(seq, 40) FROM seq_1_to_20000";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_are_locked_dropped_emptied_or_altered_meanwhile() {
    let Some(server) = servers::shared(Kind::Mariadb) else { return };
    let dir = tempfile::tempdir().unwrap();
    let three = format!(
        "CREATE TABLE a (id INT PRIMARY KEY); INSERT INTO a VALUES (1); CREATE TABLE m (id INT PRIMARY KEY, v TEXT); {FILL}; \
         CREATE TABLE z (id INT PRIMARY KEY); INSERT INTO z VALUES (1)"
    );
    let db = Db::new(&server, Kind::Mariadb, "meanwhile", &three).await;
    let manifest = dir.path().join("m");
    db.capture(&manifest).await.unwrap();
    let mut holder = MySqlConnection::connect(&server.full_url("meanwhile")).await.unwrap();
    sqlx::raw_sql("LOCK TABLES m WRITE").execute(&mut holder).await.unwrap();
    let (result, findings) = db.compare(&manifest).await;
    only_m(&findings, &result, "Lock wait timeout", Some(FailureKind::Busy));
    holder.close().await.unwrap();
    for (change, said, undo) in [
        ("DROP TABLE m", "doesn't exist", "CREATE TABLE m (id INT PRIMARY KEY, v TEXT)"),
        ("TRUNCATE m", "definition has changed", "SELECT 1"),
        ("ALTER TABLE m MODIFY id BIGINT", "definition has changed", "ALTER TABLE m MODIFY id INT"),
        ("ALTER TABLE m DROP COLUMN v", "Unknown column", "ALTER TABLE m ADD COLUMN v TEXT"),
    ] {
        db.run(&format!("TRUNCATE m; {FILL}")).await;
        assert_eq!(db.compare(&manifest).await.1, [], "before {change}");
        let monitor = Meanwhile::new(When::Begins("a"), || run_aside(&server, Kind::Mariadb, "meanwhile", change));
        let result = db.compare_with(&access(), &manifest, &monitor).await;
        only_m(&monitor.seen.findings(), &result, said, Some(FailureKind::Busy));
        db.run(undo).await;
    }
    // A statement that the server refuses leaves its session the snapshot that it had: what is deleted behind it is still there.
    db.run(&format!("TRUNCATE m; {FILL}")).await;
    let monitor = Meanwhile::new(When::Begins("a"), || run_aside(&server, Kind::Mariadb, "meanwhile", "TRUNCATE m; DELETE FROM z"));
    let result = db.compare_with(&access(), &manifest, &monitor).await;
    only_m(&monitor.seen.findings(), &result, "definition has changed", Some(FailureKind::Busy));
    db.run("INSERT INTO z VALUES (1)").await;
    // Two tables change their names: neither is what its name says. Times of files have whole seconds.
    db.run("TRUNCATE m; CREATE TABLE n (id INT PRIMARY KEY, v TEXT); INSERT INTO n VALUES (1, 'other')").await;
    let both = dir.path().join("both");
    db.capture(&both).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let swap = "RENAME TABLE m TO t, n TO m, t TO n";
    let monitor = Meanwhile::new(When::Begins("a"), || run_aside(&server, Kind::Mariadb, "meanwhile", swap));
    let result = db.compare_with(&access(), &both, &monitor).await;
    assert_eq!(places(&monitor.seen.findings()), [(Class::Unreadable, "m".into()), (Class::Unreadable, "n".into())]);
    assert_eq!((result.outcome(0).0, result.tables.unwrap().matched), (Outcome::Inconclusive, 2));
}

/// Where one of two lanes is cut off, the other one still shows what both did: what is read later is of the same moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_that_is_cut_off_costs_its_table_and_no_snapshot() {
    let Some(server) = servers::own(Kind::Mariadb).map(Arc::new) else { return };
    let dir = tempfile::tempdir().unwrap();
    let sql = "CREATE TABLE m (id INT PRIMARY KEY, v TEXT) STATS_AUTO_RECALC = 0; INSERT INTO m SELECT seq, REPEAT(seq, 50) FROM seq_1_to_200000; \
               ANALYZE TABLE m; CREATE TABLE z (id INT PRIMARY KEY) STATS_AUTO_RECALC = 0; INSERT INTO z VALUES (1), (2)";
    let db = Db::new(&server, Kind::Mariadb, "cut_off", sql).await;
    let (manifest, mut lanes) = (dir.path().join("m"), access());
    lanes.limits.lanes = 2;
    db.capture(&manifest).await.unwrap();
    let both = "FROM information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT `id`%cut_off%'";
    let begun = format!("BEGIN NOT ATOMIC FOR i IN 1..1000 DO IF (SELECT COUNT(*) {both}) < 2 THEN DO SLEEP(0.01); END IF; END FOR; END");
    let kill = format!("BEGIN NOT ATOMIC FOR p IN (SELECT id {both} LIMIT 1) DO EXECUTE IMMEDIATE CONCAT('KILL ', p.id); END FOR; END");
    until_quiet(&server).await;
    let monitor = Meanwhile::new(When::FirstRows("m"), || {
        for sql in [&begun, "DELETE FROM z WHERE id = 2", &kill] {
            run_aside(&server, Kind::Mariadb, "cut_off", sql);
        }
    });
    let result = db.compare_with(&lanes, &manifest, &monitor).await;
    assert_eq!(places(&monitor.seen.findings()), [(Class::Unreadable, "m".into())], "{:?}", result.unread);
    assert_eq!((result.rows.unwrap().matched, result.outcome(0).0), (2, Outcome::Inconclusive));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_statement_and_a_lost_session() {
    let Some(server) = servers::own(Kind::Mariadb).map(Arc::new) else { return };
    let dir = tempfile::tempdir().unwrap();
    // More than the buffers between both sides hold: the statement is still running when its first rows have arrived.
    let sql = "CREATE TABLE a (id INT PRIMARY KEY) STATS_AUTO_RECALC = 0; INSERT INTO a VALUES (1); CREATE TABLE m (id INT PRIMARY KEY, v TEXT) STATS_AUTO_RECALC = 0; \
               INSERT INTO m SELECT seq, REPEAT(seq, 100) FROM seq_1_to_100000; CREATE TABLE z (id INT PRIMARY KEY) STATS_AUTO_RECALC = 0; INSERT INTO z VALUES (1)";
    let db = Db::new(&server, Kind::Mariadb, "killed", sql).await;
    let manifest = dir.path().join("m");
    db.capture(&manifest).await.unwrap();
    // Another session shows the same rows where the source stands still, and takes the place of one that was killed.
    let unreadable = vec![(Class::Unreadable, "m".to_owned())];
    for (kill, and, expected, counts) in [
        ("KILL QUERY", "", &unreadable, (2, 2, 100_000)),
        ("KILL", "INSERT INTO z VALUES (2); DELETE FROM z WHERE id = 2", &unreadable, (2, 2, 100_000)),
        ("KILL", "", &Vec::new(), (3, 100_002, 0)),
    ] {
        let find = format!(
            "BEGIN NOT ATOMIC FOR p IN (SELECT id FROM information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT `id`%killed%') DO \
             EXECUTE IMMEDIATE CONCAT('{kill} ', p.id); END FOR; END"
        );
        // InnoDB may write to its log by itself whenever it likes, and the source has moved then: that is unreadable, and another turn tells.
        for turn in 1.. {
            until_quiet(&server).await;
            let monitor = Meanwhile::new(When::FirstRows("m"), || {
                if !and.is_empty() {
                    run_aside(&server, Kind::Mariadb, "killed", and);
                }
                run_aside(&server, Kind::Mariadb, "killed", &find);
            });
            let result = db.compare_with(&access(), &manifest, &monitor).await;
            let findings = monitor.seen.findings();
            let moved_by_itself = expected.is_empty() && places(&findings) == unreadable && turn < 5;
            let (expected, counts) = if moved_by_itself { (&unreadable, (2, 2, 100_000)) } else { (expected, counts) };
            assert_eq!(places(&findings), *expected, "{kill} {and}: {:?}", result.unread);
            let (tables, rows) = (result.tables.as_ref().unwrap(), result.rows.as_ref().unwrap());
            assert_eq!((tables.matched, rows.matched, rows.unreadable), counts, "{kill} {and}");
            let outcome = if expected.is_empty() { Outcome::Pass } else { Outcome::Inconclusive };
            assert_eq!(result.outcome(0).0, outcome, "{kill} {and}: {:?}", result.unread);
            if !moved_by_itself {
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_refuses_to_talk_is_told_apart() {
    let Some(server) = servers::shared(Kind::Mariadb) else { return };
    let dir = tempfile::tempdir().unwrap();
    let db = Db::new(&server, Kind::Mariadb, "talk", "CREATE TABLE a (id INT PRIMARY KEY); INSERT INTO a VALUES (1)").await;
    let manifest = dir.path().join("m");
    db.capture(&manifest).await.unwrap();
    let compare = async |url: String, access: Access| {
        let manifest = attestore::verify::manifest::reader::Manifest::open(&manifest).unwrap();
        let url = url.parse().unwrap();
        attestore::verify::sql::compare::database::compare(&url, &access, &manifest, &support::key(), &Silent).await
    };
    let error = compare(format!("{}?ssl-mode=REQUIRED", server.url("talk")), access()).await.unwrap_err();
    assert!(error.kind == FailureKind::Network && error.message.contains("TLS"), "{error}");
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let hurried = Access { limits: support::hasty(), ..access() };
    let error = compare(format!("mysql://u@{}/d", mute.local_addr().unwrap()), hurried).await.unwrap_err();
    assert!(error.kind == FailureKind::Network && error.message.contains("no answer"), "{error}");
    // As many sessions as the account may have.
    db.run("CREATE USER full IDENTIFIED BY 'f' WITH MAX_USER_CONNECTIONS 1; GRANT SELECT ON talk.* TO full").await;
    let held = server.url("talk").replace("tester@", "full:f@");
    let holder = MySqlConnection::connect(&held).await.unwrap();
    let error = db.compare_as(&as_user("full", "f"), &manifest).await.unwrap_err();
    assert_eq!((error.kind, error.kind.exit_code().code()), (FailureKind::Throttled, 5), "{error}");
    holder.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_without_a_snapshot_are_not_called_snapshot_exact() {
    let Some(server) = servers::shared(Kind::Mariadb) else { return };
    let dir = tempfile::tempdir().unwrap();
    let db =
        Db::new(&server, Kind::Mariadb, "plain_files", "CREATE TABLE a (id INT PRIMARY KEY) ENGINE = MyISAM; INSERT INTO a VALUES (1)")
            .await;
    let error = db.capture(&dir.path().join("m")).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Refused);
    assert!(error.message.contains("a (MyISAM)") && error.hint.unwrap().contains("sealed"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written() {
    let Some(server) = servers::own(Kind::Mariadb).map(Arc::new) else { return };
    let dir = tempfile::tempdir().unwrap();
    let db = Db::new(&server, Kind::Mariadb, "quiet", "CREATE TABLE a (id INT PRIMARY KEY); INSERT INTO a VALUES (1)").await;
    let manifest = dir.path().join("m");
    db.capture(&manifest).await.unwrap();
    server.stop();
    server.start();
    let before = support::state_of(&server.data().join("quiet"));
    assert_eq!(db.compare(&manifest).await.1, []);
    assert_eq!(support::state_of(&server.data().join("quiet")), before);
}
