//! What a restore to a second shows of that second: services that stop before it or go beyond it where no row says so, engines that are not
//! the source's, and stamps that are no times in UTC.

use attestore::engines::installed::EngineKind;
use attestore::model::capture::CaptureMode;
use attestore::model::clock::Timestamp;
use attestore::model::outcome::Outcome;
use attestore::sandbox::control::faults::RestoreFault;

use crate::aws::estate::{ACCOUNT, Laying, as_keeper, called, execute, leftovers, over};
use crate::aws::instances::{drilled, told};
use crate::clients::start;
use crate::drill_estate::Estate;
use crate::engines::engine;

/// A growing table with stamps, and what `more` creates beside it: captured up to a watermark, written to in a later second, the last before
/// the point, and after it in the tables of `after`. The ARN of the instance.
async fn grown(laying: &mut Laying, kind: EngineKind, more: &[&str], after: &[&str]) -> String {
    let (engine, name, resource_kind) = called(kind);
    let port = laying.clients.instance(name, engine).await;
    let rows = |ids: std::ops::Range<i32>| {
        let at = chrono::Utc::now().format("%Y-%m-%d %H:%M:%S");
        format!("INSERT INTO event VALUES {}", ids.map(|id| format!("({id}, '{at}')")).collect::<Vec<_>>().join(", "))
    };
    execute(kind, port, "CREATE TABLE event (id INT PRIMARY KEY, written_at TIMESTAMP NOT NULL)").await;
    execute(kind, port, &rows(0..20)).await;
    for sql in more {
        execute(kind, port, sql).await;
    }
    let (url, access) = as_keeper(kind, port);
    let mut request = laying.request(name, 0, CaptureMode::AppendPrefix, "");
    request.tables.watermark = Some("id".into());
    request.tables.stamp = Some("written_at".into());
    laying.capture(&url, &access, &request).await;
    laying.estate.register(&mut laying.log, name, &request.out);
    over(chrono::Utc::now().timestamp() + 3).await;
    execute(kind, port, &rows(100..105)).await;
    let second = chrono::Utc::now().timestamp() + 1;
    over(second).await;
    for sql in after {
        execute(kind, port, sql).await;
    }
    over(chrono::Utc::now().timestamp()).await;
    let at = chrono::DateTime::from_timestamp(second, 0).unwrap().format("%Y-%m-%dT%H:%M:%SZ");
    let of = "database = \"crm\"\ntls_ca = \"sandbox/control/rds-ca.pem\"\n";
    laying.resource(name, resource_kind, name, of, &format!("from = \"rds-pitr\"\nat = [\"{at}\"]"));
    laying.checks = "second_within = \"2s\"\n".into();
    format!("arn:aws:rds:eu-west-2:{ACCOUNT}:db:{name}")
}

async fn planted(estate: &Estate, arn: &str, fault: RestoreFault) {
    let (running, _) = start(&estate.path("sandbox")).await;
    running.control().faults().clear().unwrap();
    running.control().faults().on_restore(arn, fault).unwrap();
    running.stop().await.unwrap();
}

async fn ends(estate: &Estate) {
    assert!(estate.verdict().holds(), "{:?}", estate.verdict().faults);
    assert_eq!(leftovers(estate).await, Vec::<String>::new());
    let (running, _) = start(&estate.path("sandbox")).await;
    running.control().purge().await.unwrap();
    running.stop().await.unwrap();
}

async fn stopped_early(kind: EngineKind) {
    if !engine(kind) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    let arn = grown(&mut laying, kind, &[], &[]).await;
    let estate = laying.end().await;
    let (code, results, said) = drilled(&estate, "40s");
    let restore = results[0].restore.as_ref().unwrap();
    assert_eq!((code, results[0].outcome, restore.second_shown), (Some(0), Outcome::Pass, Some(true)), "{said}");
    let engines = restore.engine_versions.clone().unwrap();
    assert!(!engines.wrote_the_data && engines.source.is_some() && engines.source == engines.restored, "{engines:?}");
    assert!(engines.source_engine.is_some() && engines.source_engine == engines.restored_engine, "{engines:?}");

    // The five rows of the last second before the point are not there, and no manifest knows of them.
    planted(&estate, &arn, RestoreFault::StopsEarly { seconds: 3 }).await;
    let (code, results, said) = drilled(&estate, "40s");
    let (result, why) = (&results[0], results[0].outcome_reasons.join("; "));
    assert_eq!((code, result.outcome), (Some(0), Outcome::PassWithException), "{said}");
    assert_eq!(result.restore.as_ref().unwrap().second_shown, Some(false));
    assert!(why.contains("not later than") && why.contains("reached: shown up to the newest stamp"), "{why}");

    for (member, says, outcome, words) in [
        ("EngineVersion", "9.6.1", Outcome::PassWithException, "restored into engine version 9.6.1"),
        ("Engine", "sqlserver-ex", Outcome::Error, "is said to run sqlserver-ex"),
    ] {
        told(&estate, member, Some(says), false).await;
        let (_, results, said) = drilled(&estate, "40s");
        assert_eq!(results[0].outcome, outcome, "{said}");
        assert!(results[0].outcome_reasons.iter().any(|why| why.contains(words)), "{:?}", results[0].outcome_reasons);
    }
    ends(&estate).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_of_postgres_that_stopped_early_or_runs_another_engine() {
    stopped_early(EngineKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_of_mariadb_that_stopped_early_or_runs_another_engine() {
    stopped_early(EngineKind::MariaDb).await;
}

/// A restore that stops early within what counts as reached: nothing tells but the running source, where it may be asked.
async fn source_is_asked(kind: EngineKind) {
    if !engine(kind) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    let arn = grown(&mut laying, kind, &[], &[]).await;
    let (_, name, _) = called(kind);
    let port = laying.running.control().rds().instance(name).unwrap().port;
    laying.checks = "second_within = \"60s\"\n".into();
    let estate = laying.end().await;
    let config = std::fs::read_to_string(estate.path("attestore.toml")).unwrap();
    std::fs::write(estate.path("keeper"), "keeper:first-secret\n").unwrap();
    let scheme = if kind == EngineKind::Postgres { "postgres" } else { "mysql" };
    let asking = |port: u16| {
        let live = format!("credentials = \"file:keeper\"\nlive = \"{scheme}://127.0.0.1:{port}/crm\"\ntls_ca");
        std::fs::write(estate.path("attestore.toml"), config.replace("tls_ca", &live)).unwrap();
    };
    planted(&estate, &arn, RestoreFault::StopsEarly { seconds: 3 }).await;
    let (_, results, said) = drilled(&estate, "40s");
    let facts = results[0].verify.clone().unwrap();
    assert_eq!((results[0].outcome, facts.source_stamps), (Outcome::Pass, None), "production is not read by itself: {said}");
    assert!(said.contains("left out: rows beyond the manifest's last"), "{said}");

    asking(port);
    let (code, results, said) = drilled(&estate, "40s");
    let (result, why) = (&results[0], results[0].outcome_reasons.join("; "));
    let source = result.verify.as_ref().unwrap().source_stamps.unwrap();
    assert_eq!((code, result.outcome, source.asked, source.behind), (Some(0), Outcome::PassWithException, 1, 1), "{source:?} {said}");
    assert!(source.newest > result.verify.as_ref().unwrap().newest_stamp, "{source:?}");
    assert_eq!(result.restore.as_ref().unwrap().second_shown, Some(false));
    assert!(why.contains("newer rows of up to then are missing"), "{why}");

    let (running, _) = start(&estate.path("sandbox")).await;
    running.control().faults().clear().unwrap();
    running.stop().await.unwrap();
    let (_, results, said) = drilled(&estate, "40s");
    let source = results[0].verify.as_ref().unwrap().source_stamps.unwrap();
    assert_eq!((results[0].outcome, source.asked, source.behind, source.unasked), (Outcome::Pass, 1, 0, 0), "{source:?} {said}");
    assert_eq!(source.newest, results[0].verify.as_ref().unwrap().newest_stamp);

    // One that does not answer is told, and accuses nobody; it is asked when the recovery time has been taken.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    asking(nobody.local_addr().unwrap().port());
    let asked_at = std::thread::spawn(move || nobody.accept().map(|_| Timestamp::now()).unwrap());
    let (_, results, said) = drilled(&estate, "40s");
    let verified_at = results[0].restore.as_ref().unwrap().verified_at.unwrap();
    let asked_at = asked_at.join().unwrap();
    assert!(verified_at <= asked_at, "verified at {verified_at}, after the source was asked at {asked_at}");
    let source = results[0].verify.as_ref().unwrap().source_stamps.unwrap();
    assert_eq!((results[0].outcome, source.asked, source.unasked), (Outcome::Pass, 0, 1), "{source:?} {said}");
    assert!(said.contains("was not asked"), "{said}");
    ends(&estate).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_of_postgres_that_lacks_what_its_running_source_has_is_no_plain_pass() {
    source_is_asked(EngineKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_of_mariadb_that_lacks_what_its_running_source_has_is_no_plain_pass() {
    source_is_asked(EngineKind::MariaDb).await;
}

/// A table without stamps hides what came after the second; a table whose stamps are those of a zone accuses nobody.
async fn unseen(kind: EngineKind) {
    if !engine(kind) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    let an_hour_ahead = (chrono::Utc::now() + chrono::TimeDelta::hours(1)).format("%Y-%m-%d %H:%M:%S");
    let local = match kind {
        EngineKind::Postgres => "CREATE TABLE stay (id INT PRIMARY KEY, written_at TIMESTAMP NOT NULL)",
        EngineKind::MariaDb | EngineKind::MySql => "CREATE TABLE stay (id INT PRIMARY KEY, written_at DATETIME NOT NULL)",
    };
    let rows = format!("INSERT INTO stay VALUES (1, '{an_hour_ahead}'), (2, '{an_hour_ahead}')");
    let more = ["CREATE TABLE account (id INT PRIMARY KEY)", "INSERT INTO account VALUES (1), (2)", local, &rows];
    let arn = grown(&mut laying, kind, &more, &["INSERT INTO account VALUES (100), (101)"]).await;
    let estate = laying.end().await;
    let exception = |estate: &Estate| {
        let (code, results, said) = drilled(estate, "40s");
        let (result, why) = (&results[0], results[0].outcome_reasons.join("; "));
        assert_eq!((code, result.outcome), (Some(0), Outcome::PassWithException), "{said}");
        let facts = result.verify.as_ref().unwrap();
        assert_eq!((facts.rows.unwrap().future, facts.rows.unwrap().matched, facts.unstamped_tables), (0, 24, Some(2)));
        assert_eq!(result.restore.as_ref().unwrap().second_shown, Some(false));
        assert!(why.contains("not shown of 2 tables"), "{why}");
    };
    exception(&estate);
    planted(&estate, &arn, RestoreFault::IgnoresTime).await;
    exception(&estate);
    ends(&estate).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_stamp_of_postgres_shows_is_no_plain_pass_and_no_failure() {
    unseen(EngineKind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_stamp_of_mariadb_shows_is_no_plain_pass_and_no_failure() {
    unseen(EngineKind::MariaDb).await;
}
