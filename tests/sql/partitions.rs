//! Tables in partitions: closed ones hold while the open one grows, and a prefix holds while partitions are added.

use crate::prefixes::{captured, compared};
use crate::servers::{self, Kind};
use crate::support::{Db, places};
use attestore::model::capture::CaptureMode;
use attestore::model::failure::FailureKind;
use attestore::model::finding::Class;
use attestore::model::outcome::Outcome;
use attestore::verify::manifest::request::{Sidecar, TableRequest};

/// Of a ledger in partitions by year those that are over are exact; the year at hand may grow, and years may be added.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closed_partitions_hold_while_the_open_one_grows() {
    let (Some(postgres), Some(mariadb)) = (servers::shared(Kind::Postgres), servers::shared(Kind::Mariadb)) else { return };
    let dir = tempfile::tempdir().unwrap();
    let rows = "INSERT INTO ledger VALUES (1, 2024, 'a'), (2, 2025, 'b'), (3, 2026, 'c')";
    let in_postgres = format!(
        "CREATE TABLE ledger (id int, year int, v varchar(20), PRIMARY KEY (id, year)) PARTITION BY RANGE (year); \
         CREATE TABLE ledger_2024 PARTITION OF ledger FOR VALUES FROM (2024) TO (2025); \
         CREATE TABLE ledger_2025 PARTITION OF ledger FOR VALUES FROM (2025) TO (2026); \
         CREATE TABLE ledger_2026 PARTITION OF ledger FOR VALUES FROM (2026) TO (2027); {rows}"
    );
    let in_mariadb = format!(
        "CREATE TABLE ledger (id int, year int, v varchar(20), PRIMARY KEY (id, year)) PARTITION BY RANGE (year) \
         (PARTITION p2024 VALUES LESS THAN (2025), PARTITION p2025 VALUES LESS THAN (2026), PARTITION p2026 VALUES LESS THAN (2027)); {rows}"
    );
    let cases = [
        (Db::new(&postgres, Kind::Postgres, "closed", &in_postgres).await, ["ledger_2024", "ledger_2025"]),
        (Db::new(&mariadb, Kind::Mariadb, "closed", &in_mariadb).await, ["ledger.p2024", "ledger.p2025"]),
    ];
    for (db, closed) in &cases {
        let (url, manifest) = (db.url(), dir.path().join(format!("{:?}", db.kind)));
        let of = |names: &[&str]| TableRequest { closed: names.iter().map(|name| (*name).to_owned()).collect(), ..TableRequest::default() };
        let error = captured(&url, manifest.clone(), CaptureMode::AppendPrefix, of(&["ledgers.p1"])).await.unwrap_err();
        assert!(error.message.contains("ledgers.p1"), "{error}");
        let error = captured(&url, manifest.clone(), CaptureMode::SnapshotExact, of(closed)).await.unwrap_err();
        assert!(error.kind == FailureKind::Invalid && error.hint.unwrap().contains("append-prefix"));
        let both = TableRequest { watermark: Some("id".into()), ..of(closed) };
        assert!(captured(&url, manifest.clone(), CaptureMode::AppendPrefix, both).await.unwrap_err().message.contains("two ways"));
        let header = captured(&url, manifest.clone(), CaptureMode::AppendPrefix, of(closed)).await.unwrap();
        assert_eq!(header.counts["rows"], 2);
        db.run("INSERT INTO ledger VALUES (4, 2026, 'd')").await;
        let (result, findings) = compared(&url, &manifest).await;
        assert_eq!((findings, result.rows.unwrap().matched, result.outcome(0).0), (vec![], 2, Outcome::Pass), "{url}");
        db.run("CREATE TABLE unspoken (id int PRIMARY KEY)").await;
        let (result, _) = compared(&url, &manifest).await;
        assert_eq!((result.outcome(0).0, result.not_compared.contains_key("other tables")), (Outcome::PassWithException, true), "{url}");
        db.run("DROP TABLE unspoken").await;
        db.run("UPDATE ledger SET v = 'B' WHERE year = 2025; INSERT INTO ledger VALUES (9, 2024, 'late')").await;
        let places = places(&compared(&url, &manifest).await.1);
        assert_eq!(places.iter().map(|(class, _)| *class).collect::<Vec<_>>(), [Class::Mismatch, Class::Extra], "{places:?}");
        assert!(places[0].1.ends_with("id=2 year=2025") && places[1].1.ends_with("id=9 year=2024"), "{places:?}");
    }
}

/// A table by month gets a partition each month: it grows as its rows do, and what the manifest says nothing of makes no plain pass.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prefix_holds_while_partitions_are_added() {
    let (Some(postgres), Some(mariadb)) = (servers::shared(Kind::Postgres), servers::shared(Kind::Mariadb)) else { return };
    let dir = tempfile::tempdir().unwrap();
    let rows = "INSERT INTO ev VALUES (1, '2026-01-05', 'x'), (2, '2026-02-01', 'x')";
    let in_postgres = format!(
        "CREATE TABLE ev (id int, at date, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at); \
         CREATE INDEX by_at ON ev (at); CREATE TABLE ev1 PARTITION OF ev FOR VALUES FROM ('2026-01-01') TO ('2026-02-01'); \
         CREATE TABLE ev2 PARTITION OF ev FOR VALUES FROM ('2026-02-01') TO ('2026-03-01'); {rows}"
    );
    let in_mariadb = format!(
        "CREATE TABLE ev (id int, at date, v varchar(9), PRIMARY KEY (id, at)) PARTITION BY RANGE COLUMNS (at) \
         (PARTITION p1 VALUES LESS THAN ('2026-02-01'), PARTITION p2 VALUES LESS THAN ('2026-03-01')); {rows}"
    );
    let cases = [
        (
            Db::new(&postgres, Kind::Postgres, "grown", &in_postgres).await,
            "CREATE TABLE ev3 PARTITION OF ev FOR VALUES FROM ('2026-03-01') TO ('2026-04-01') PARTITION BY HASH (id); \
             CREATE TABLE ev3a PARTITION OF ev3 FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
            "CREATE TABLE surplus (id int PRIMARY KEY, at date)",
        ),
        (
            Db::new(&mariadb, Kind::Mariadb, "grown", &in_mariadb).await,
            "ALTER TABLE ev ADD PARTITION (PARTITION p3 VALUES LESS THAN ('2026-04-01'))",
            "CREATE TABLE surplus (id int PRIMARY KEY, at date) PARTITION BY HASH (id) PARTITIONS 2",
        ),
    ];
    for (db, grown, surplus) in &cases {
        let (url, manifest) = (db.url(), dir.path().join(format!("{:?}", db.kind)));
        let tables = TableRequest { watermark: Some("at".into()), sidecar: Sidecar::Keys, ..TableRequest::default() };
        captured(&url, manifest.clone(), CaptureMode::AppendPrefix, tables).await.unwrap();
        db.run(grown).await;
        db.run("INSERT INTO ev VALUES (3, '2026-03-05', 'later')").await;
        let (result, findings) = compared(&url, &manifest).await;
        assert_eq!((findings, result.rows.unwrap().matched), (vec![], 2), "{url}");
        assert_eq!((result.outcome(0).0, result.not_compared.contains_key("other tables")), (Outcome::PassWithException, true), "{url}");
        // Another table is surplus, and what is damaged in the prefix is told.
        db.run(surplus).await;
        db.run("UPDATE ev SET v = 'damaged' WHERE id = 1").await;
        let places = places(&compared(&url, &manifest).await.1);
        let of_rows = places.iter().filter(|(class, _)| *class == Class::Mismatch).count();
        assert!(of_rows == 1 && places.contains(&(Class::Extra, "surplus".into())), "{places:?}");
    }
}

/// A later partition may be called as it likes, and bring what has names of its own; what others lose or get is still told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_later_partitions_bring_is_theirs() {
    let Some(postgres) = servers::shared(Kind::Postgres) else { return };
    let dir = tempfile::tempdir().unwrap();
    let source = "CREATE SCHEMA \"s.x\"; CREATE TABLE \"s.x\".m (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at); \
         CREATE TABLE \"s.x\".\"m.1\" PARTITION OF \"s.x\".m FOR VALUES FROM ('2026-01-01') TO ('2026-02-01'); \
         CREATE INDEX \"by.at\" ON \"s.x\".m (at); CREATE STATISTICS \"s.x\".st ON id, at FROM \"s.x\".m; CREATE SEQUENCE numbers; \
         CREATE TABLE \"public.m3_id_seq.x\" (at date); CREATE TABLE late2 (at date); CREATE STATISTICS other ON id, at FROM \"s.x\".\"m.1\"; \
         INSERT INTO \"s.x\".m VALUES (1, '2026-01-05')";
    let db = Db::new(&postgres, Kind::Postgres, "grown_by_names", source).await;
    let (url, manifest) = (db.url(), dir.path().join("m"));
    let tables = TableRequest { watermark: Some("at".into()), sidecar: Sidecar::Keys, ..TableRequest::default() };
    captured(&url, manifest.clone(), CaptureMode::AppendPrefix, tables).await.unwrap();
    db.run(
        "CREATE TABLE \"s.x\".\"m.2\" PARTITION OF \"s.x\".m FOR VALUES FROM ('2026-02-01') TO ('2026-03-01'); \
         CREATE TABLE \"public.m3\" (id serial, at date NOT NULL, PRIMARY KEY (id, at)); \
         ALTER TABLE \"s.x\".m ATTACH PARTITION \"public.m3\" FOR VALUES FROM ('2026-03-01') TO ('2026-04-01'); \
         CREATE TABLE \"a\"\"b\" (LIKE \"s.x\".m INCLUDING ALL); GRANT SELECT ON \"a\"\"b\" TO PUBLIC; \
         ALTER TABLE \"s.x\".m ATTACH PARTITION \"a\"\"b\" FOR VALUES FROM ('2026-04-01') TO ('2026-05-01'); \
         CREATE STATISTICS late2 ON id, at FROM \"a\"\"b\"; INSERT INTO \"s.x\".m VALUES (3, '2026-02-05'), (4, '2026-03-05')",
    )
    .await;
    let (result, findings) = compared(&url, &manifest).await;
    assert_eq!((findings, result.rows.unwrap().matched), (vec![], 1));
    assert_eq!((result.outcome(0).0, result.not_compared.contains_key("other tables")), (Outcome::PassWithException, true));

    db.run(
        "DROP STATISTICS other; DROP SEQUENCE numbers; CREATE SEQUENCE more OWNED BY late2.at; CREATE STATISTICS another ON id, at \
         FROM \"s.x\".\"m.1\"; ALTER TABLE late2 ADD more int; CREATE TABLE \"p.q\" (id int)",
    )
    .await;
    let told: Vec<String> = places(&compared(&url, &manifest).await.1).into_iter().map(|(_, place)| place).collect();
    for expected in
        ["statistics public.other", "statistics public.another", "sequence public.numbers", "sequence public.more", "late2", "\"p.q\""]
    {
        assert_eq!(told.iter().filter(|place| place.contains(expected)).count(), 1, "{expected}: {told:?}");
    }
    assert!(!told.iter().any(|place| place.contains("public.p.q")), "told with its table: {told:?}");
}
