//! Servers that end between two tables, when all rows of one have arrived: that is no damage of either.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::servers::{self, Kind};
use crate::support::{Db, Meanwhile, When, access};
use attestore::model::failure::FailureKind;
use attestore::model::finding::Finding;
use attestore::model::outcome::Outcome;
use attestore::monitor::{Collected, Event, Monitor};
use attestore::verify::sql::connect::access::Access;
use attestore::verify::sql::reading::Limits;

/// A server that dies when a table has been read is the network's affair for this one and the next, whatever sessions were left over from before;
/// one that comes back is asked anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dies_between_two_tables_is_not_told_as_damage() {
    // What is told at once, and what two lanes are opened for.
    const TOLD: u64 = 4_096;
    const MANY: u64 = 65_536;
    let dir = tempfile::tempdir().unwrap();
    for kind in [Kind::Mariadb, Kind::Mysql, Kind::Postgres] {
        let Some(server) = servers::own(kind).map(Arc::new) else { continue };
        let rows = match kind {
            Kind::Mariadb => format!("SELECT seq, REPEAT(seq, 20) FROM seq_1_to_{MANY}"),
            Kind::Mysql => format!(
                "WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {MANY}) \
                 SELECT /*+ SET_VAR(cte_max_recursion_depth = {MANY}) */ n, REPEAT(n, 20) FROM s"
            ),
            _ => format!("SELECT n, repeat(n::text, 20) FROM generate_series(1, {MANY}) n"),
        };
        let sql = format!(
            "CREATE TABLE k (id INT PRIMARY KEY, v TEXT); INSERT INTO k {rows}; CREATE TABLE m (id INT PRIMARY KEY, v TEXT); \
             INSERT INTO m SELECT * FROM k WHERE id <= {TOLD}; CREATE TABLE z (id INT PRIMARY KEY); INSERT INTO z VALUES (1)"
        );
        let db = Db::new(&server, kind, "dies_between", &sql).await;
        let manifest = dir.path().join(format!("{kind:?}"));
        db.capture(&manifest).await.unwrap();
        let access =
            |comeback| Access { limits: Limits { lanes: 2, comeback: Duration::from_secs(comeback), ..access().limits }, ..access() };
        let blames = |findings: &[Finding]| {
            let told: Vec<String> = findings.iter().filter_map(|finding| finding.actual.clone()).collect();
            told.iter().any(|actual| actual.contains("protocol"))
        };
        let again = || {
            server.kill();
            server.start();
        };
        let monitor = Meanwhile::new(When::Rows("m", TOLD), again);
        let result = db.compare_with(&access(30), &manifest, &monitor).await;
        assert!(monitor.happened() && !blames(&monitor.seen.findings()), "{kind:?}: {:?}", monitor.seen.findings());
        let (outcome, rows) = (result.outcome(0).0, result.rows.unwrap());
        assert!(outcome == Outcome::Inconclusive && rows.mismatch + rows.missing + rows.extra == 0, "{kind:?}: {result:?}");
        assert!(kind == Kind::Postgres || rows.unreadable == 0, "{kind:?}: it came back, and was asked anew: {result:?}");
        for at in [When::Rows("m", TOLD), When::Ends("m")] {
            db.run("UPDATE m SET v = 'x' WHERE id = 1").await;
            let monitor = Meanwhile::new(at, || server.kill());
            let result = db.compare_with(&access(1), &manifest, &monitor).await;
            let findings = monitor.seen.findings();
            assert!(monitor.happened() && !blames(&findings), "{kind:?}: {findings:?}");
            assert!(result.unread.keys().all(|why| *why == FailureKind::Network) && !result.unread.is_empty(), "{kind:?}: {result:?}");
            assert!(result.tables.unwrap().unreadable >= 1, "{kind:?}: {result:?}");
            server.start();
        }
    }
}

/// Ends a server and starts it again whenever all rows of `m` have been read.
struct EndsAfter<'a> {
    server: &'a servers::Server,
    rows: AtomicU64,
    seen: Collected,
}

impl Monitor for EndsAfter<'_> {
    fn event(&self, event: Event<'_>) {
        if let Event::Advanced { task: "reading m", by: by @ 1.., .. } = event
            && (self.rows.fetch_add(by, Ordering::Relaxed) + by).is_multiple_of(4_096)
        {
            self.server.kill();
            self.server.start();
        }
        self.seen.event(event);
    }
}

/// A server that ends again and again does not end for a row where all of them have been read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_ends_after_the_last_row_is_no_damage_of_the_table() {
    let dir = tempfile::tempdir().unwrap();
    let Some(server) = servers::own(Kind::Mariadb).map(Arc::new) else { return };
    let sql = "CREATE TABLE m (id INT PRIMARY KEY); INSERT INTO m SELECT seq FROM seq_1_to_4096; \
               CREATE TABLE z (id INT PRIMARY KEY); INSERT INTO z VALUES (1)";
    let db = Db::new(&server, Kind::Mariadb, "ends_after", sql).await;
    let manifest = dir.path().join("m");
    db.capture(&manifest).await.unwrap();
    let patient = Access { limits: Limits { comeback: Duration::from_secs(30), ..access().limits }, ..access() };
    // A life is told from the next one by its seconds.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let monitor = EndsAfter { server: &server, rows: Default::default(), seen: Collected::default() };
    let result = db.compare_with(&patient, &manifest, &monitor).await;
    let rows = monitor.rows.load(Ordering::Relaxed);
    assert!(rows >= 2 * 4_096 && result.outcome(0).0 == Outcome::Inconclusive, "{rows} {result:?} {:?}", monitor.seen.findings());
    assert!(result.unread.keys().all(|why| *why == FailureKind::Network), "{result:?}");
}
