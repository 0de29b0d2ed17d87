//! Instances that are not what they are said to be: another server's endpoint, a group that is not in force, an exposure that comes later,
//! another engine version; and baselines of a first restore.

use std::collections::BTreeSet;

use attestore::engines::installed::EngineKind;
use attestore::model::ids::DrillId;
use attestore::model::outcome::Outcome;
use attestore::sandbox::control::faults::{Lie, RestoreFault};
use attestore::testing_log::entry::Body;
use attestore::testing_log::point_result::PointResult;
use sqlx::Connection;

use crate::aws::estate::{Laying, leftovers};
use crate::clients::start;
use crate::drill_estate::Estate;
use crate::engines::engine;

/// What instances of a drill are described as.
pub async fn told(estate: &Estate, member: &str, says: Option<&str>, once_modified: bool) {
    let (running, _) = start(&estate.path("sandbox")).await;
    running.control().faults().clear().unwrap();
    let lie = Lie { of: "attestore-drill-".into(), member: member.into(), says: says.map(str::to_owned), once_modified };
    running.control().faults().on_description(lie).unwrap();
    running.stop().await.unwrap();
}

/// A drill, its exit code, and the results that it added to the log.
pub fn drilled(estate: &Estate, patience: &str) -> (Option<i32>, Vec<PointResult>, String) {
    let before: BTreeSet<DrillId> = estate.results().into_iter().map(|result| result.drill_id).collect();
    let output = estate.run(&["drill", "--case-deadline", patience], None);
    let said = String::from_utf8_lossy(&[&output.stderr[..], &output.stdout[..]].concat()).into_owned();
    let fresh = estate.results().into_iter().filter(|result| !before.contains(&result.drill_id)).collect();
    (output.status.code(), fresh, said)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_service_says_later_is_held_to_the_same() {
    if !engine(EngineKind::Postgres) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    laying.parameter_group("quiet-pg", "postgres15").await;
    laying.isolation = "[isolation.parameter_groups]\npostgres = \"quiet-pg\"\n".into();
    laying.database(EngineKind::Postgres).await;
    let estate = laying.end().await;

    let (code, results, said) = drilled(&estate, "40s");
    assert_eq!((code, results.len()), (Some(0), 2), "{said}");
    for result in &results {
        let isolation = result.isolation.as_ref().unwrap();
        let groups: Vec<_> = isolation.probes.iter().filter(|probe| probe.name == "parameter-group").collect();
        assert!(isolation.proved && groups.len() == 1 && groups[0].held, "both ways, and told once: {:?}", isolation.probes);
        let versions = result.restore.as_ref().unwrap().engine_versions.clone().unwrap();
        assert!(versions.wrote_the_data && versions.source.is_some() && versions.source == versions.restored, "{versions:?}");
    }

    for (member, says, once_modified, probe) in [
        ("PubliclyAccessible", Some("true"), true, "not-public"),
        ("ParameterApplyStatus", Some("pending-reboot"), false, "parameter-group"),
        ("ParameterApplyStatus", None, true, "parameter-group"),
    ] {
        told(&estate, member, says, once_modified).await;
        let (code, results, said) = drilled(&estate, "40s");
        assert_eq!(code, Some(4), "{member}: {said}");
        for result in results {
            let isolation = result.isolation.unwrap();
            let missed: Vec<_> = isolation.probes.iter().filter(|probe| !probe.held).map(|probe| probe.name.as_str()).collect();
            assert_eq!((result.outcome, isolation.proved, missed), (Outcome::Error, false, vec![probe]), "{member}");
            assert!(result.verify.is_none(), "nothing was read");
        }
    }

    for (says, words) in [(Some("99.1"), "restored into 99.1"), (None, "states no engine version")] {
        told(&estate, "EngineVersion", says, false).await;
        let (code, results, said) = drilled(&estate, "40s");
        assert_eq!(code, Some(0), "{said}");
        for result in results {
            assert_eq!(result.outcome, Outcome::PassWithException);
            assert!(result.outcome_reasons.iter().any(|why| why.contains(words)), "{:?}", result.outcome_reasons);
        }
    }
    // Without a network that anybody demanded, what is proved is less.
    let text = std::fs::read_to_string(estate.path("attestore.toml")).unwrap();
    let demanded = "subnet_group = \"default\"\nsecurity_group_ids = [\"sg-0a1b2c3d4e5f60718\"]\n";
    assert!(text.contains(demanded));
    std::fs::write(estate.path("attestore.toml"), text.replace(demanded, "")).unwrap();
    told(&estate, "AvailabilityZone", Some("eu-west-2a"), false).await;
    let (code, results, said) = drilled(&estate, "40s");
    assert_eq!(code, Some(0), "{said}");
    for result in results {
        assert_eq!(result.outcome, Outcome::PassWithException);
        assert_eq!(result.isolation.unwrap().undemanded.len(), 2, "{:?}", result.outcome_reasons);
    }
    assert!(estate.verdict().holds(), "{:?}", estate.verdict().faults);
    assert_eq!(leftovers(&estate).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_servers_endpoint_is_found_out_and_gets_nobodys_password() {
    let Some(server) = crate::servers::shared(crate::servers::Kind::Postgres).filter(|_| engine(EngineKind::Postgres)) else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    // The reader of the source is in every restore of it, and there, as in the source, her password is good.
    laying.database_with_reader().await;
    let estate = laying.end().await;
    let (code, results, said) = drilled(&estate, "40s");
    assert_eq!(code, Some(0), "{said}");
    for result in &results {
        assert_eq!((result.outcome, result.verify.as_ref().unwrap().rows.unwrap().matched), (Outcome::PassWithException, 30));
        assert!(result.outcome_reasons[0].contains("certificate"), "{:?}", result.outcome_reasons);
    }

    told(&estate, "Port", Some(&server.port().to_string()), false).await;
    let (code, results, said) = drilled(&estate, "15s");
    assert_eq!((code, results.len()), (Some(4), 2), "{said}");
    for result in results {
        assert_eq!((result.outcome, result.verify.is_none()), (Outcome::Error, true));
        assert!(result.outcome_reasons[0].contains("may not be what was restored"), "{:?}", result.outcome_reasons);
    }
    assert_eq!(leftovers(&estate).await, Vec::<String>::new());
}

/// Who lets in whoever asks has proved nothing by taking a password.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_for_no_password_is_not_taken_for_what_was_restored() {
    if !engine(EngineKind::Postgres) {
        return;
    }
    let Some(open) = crate::servers::own_with(crate::servers::Kind::Postgres, &["--auth-host=trust"]) else { return };
    for (database, statements) in [
        ("postgres", &["CREATE ROLE keeper LOGIN", "CREATE ROLE reader LOGIN", "GRANT pg_read_all_data, pg_monitor TO reader"][..]),
        ("postgres", &["CREATE DATABASE crm OWNER keeper"]),
        (
            "crm",
            &[
                "CREATE TABLE customer (id INT PRIMARY KEY, name VARCHAR(20) NOT NULL)",
                "INSERT INTO customer SELECT id, 'customer ' || id FROM generate_series(0, 29) id",
                "ALTER TABLE customer OWNER TO keeper",
            ],
        ),
    ] {
        let mut administrator = sqlx::PgConnection::connect(&open.full_url(database)).await.unwrap();
        for statement in statements {
            sqlx::raw_sql(*statement).execute(&mut administrator).await.unwrap();
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    laying.database_with_reader().await;
    let estate = laying.end().await;
    told(&estate, "Port", Some(&open.port().to_string()), false).await;
    let (code, results, said) = drilled(&estate, "15s");
    assert_eq!((code, results.len()), (Some(4), 2), "{said}");
    for result in results {
        assert_eq!((result.outcome, result.verify.is_none()), (Outcome::Error, true), "{:?}", result.outcome_reasons);
        assert!(result.outcome_reasons[0].contains("takes any password"), "{:?}", result.outcome_reasons);
    }
    assert_eq!(leftovers(&estate).await, Vec::<String>::new());
}

/// What became of an instance after it was available ends the wait for it: it is not waited for until the deadline.
#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_fails_after_it_was_available_is_told_at_once() {
    if !engine(EngineKind::Postgres) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    laying.database(EngineKind::Postgres).await;
    let estate = laying.end().await;
    told(&estate, "DBInstanceStatus", Some("storage-full"), true).await;
    let (code, results, said) = drilled(&estate, "2m");
    assert_eq!((code, results.len()), (Some(3), 2), "{said}");
    for result in &results {
        let why = &result.outcome_reasons[0];
        assert!(result.outcome == Outcome::Error && result.verify.is_none() && why.contains("is storage-full"), "{why}");
        assert!(!why.contains("deadline"), "{why}");
    }
    // From the first change of a password on, every instance is described so: the other one may not have been available before.
    assert!(results.iter().any(|result| result.outcome_reasons[0].contains("was available and is storage-full now")), "{said}");
    assert_eq!(leftovers(&estate).await, Vec::<String>::new());
    assert!(estate.verdict().holds(), "{:?}", estate.verdict().faults);
}

/// A restore that brought nothing is no baseline, and the honest one after it is not held against it.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_first_restore_is_an_error_and_no_baseline() {
    if !engine(EngineKind::Postgres) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    for point in laying.database(EngineKind::Postgres).await {
        laying.running.control().faults().on_restore(&point, RestoreFault::CompletesEmpty).unwrap();
    }
    let estate = laying.end().await;
    let text = std::fs::read_to_string(estate.path("attestore.toml")).unwrap();
    let text = text.replace("manifests = \"manifests/pg\"", "manifests = \"manifests/bare\"").replace("id = \"pg\"", "id = \"bare\"");
    std::fs::write(estate.path("attestore.toml"), text.replace("test_period", "when_no_manifest = \"first-restore\"\ntest_period"))
        .unwrap();
    std::fs::create_dir_all(estate.path("manifests/bare")).unwrap();
    let baselines = |estate: &Estate| {
        let is_one = |body: &Body| matches!(body, Body::ManifestRegistered(manifest) if manifest.resource.0 == "bare");
        let kept = std::fs::read_dir(estate.path("manifests/bare")).unwrap().count();
        (estate.verdict().entries.iter().filter(|entry| is_one(&entry.body)).count(), kept)
    };
    let (code, results, said) = drilled(&estate, "40s");
    assert_eq!((code, results.len(), baselines(&estate)), (Some(3), 2, (0, 0)), "{said}");
    for result in results {
        assert_eq!(result.outcome, Outcome::Error);
        assert!(result.outcome_reasons[0].contains("not one table"), "{:?}", result.outcome_reasons);
    }
    let (running, _) = start(&estate.path("sandbox")).await;
    running.control().faults().clear().unwrap();
    running.stop().await.unwrap();
    for outcome in [Outcome::Inconclusive, Outcome::Pass] {
        let (_, results, said) = drilled(&estate, "40s");
        assert!(results.iter().all(|result| result.outcome == outcome), "{said}");
        assert_eq!(baselines(&estate), (2, 2));
    }
    assert!(estate.verdict().holds(), "{:?}", estate.verdict().faults);
    assert_eq!(leftovers(&estate).await, Vec::<String>::new());
}

/// An instance that is deleted while it is read: the case asks the service again, and says that it is gone instead of that nobody answers.
#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_was_deleted_meanwhile_is_told_as_gone() {
    if !engine(EngineKind::Postgres) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    laying.database(EngineKind::Postgres).await;
    let estate = laying.end().await;
    // The stand-in runs here, so that somebody else can delete what the drill restores.
    let (running, clients) = start(&estate.path("sandbox")).await;
    let text = std::fs::read_to_string(estate.path("attestore.toml")).unwrap();
    let text = text.replace("[sandbox]\ndir = \"sandbox\"\n", "");
    let points = format!("[[resource.points]]\nfrom = \"aws-backup\"\nvault = \"{}\"", crate::aws::estate::VAULT);
    let text = text.replace(&points, "").replace("[aws]\n", &format!("[aws]\nendpoint = \"{}\"\n", running.endpoint()));
    std::fs::write(estate.path("attestore.toml"), text).unwrap();
    let (id, secret) = running.session_options().static_credentials.unwrap();
    let mut drill = std::process::Command::new(env!("CARGO_BIN_EXE_attestore"));
    drill.args(["drill", "--case-deadline", "2m"]).current_dir(&estate.folder).env_remove("AWS_PROFILE");
    drill.env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", secret).stdout(std::process::Stdio::null());
    let drill = drill.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let rds = running.control().rds();
    let asked_for = async || {
        let found = clients.rds.describe_db_instances().send().await.unwrap().db_instances.unwrap_or_default();
        found.into_iter().filter_map(|one| one.db_instance_identifier).find(|id| id.starts_with("attestore-drill-"))
    };
    let name = crate::clients::until("it is asked for", asked_for).await;
    // The drill stands still from before there is anything to read until the lock is there, which whoever reads waits for.
    let id = drill.id().to_string();
    let signal = |name: &str| assert!(std::process::Command::new("kill").args([name, &id]).status().unwrap().success(), "{name}");
    signal("-STOP");
    let restored = async || rds.instance(&name).filter(|instance| instance.process.is_some()).map(|one| (one.home, one.port));
    let (home, port) = crate::clients::until("it is restored", restored).await;
    let ask = async |sql: &str| rds.servers().sql(EngineKind::Postgres, &home, port, "crm", sql).await;
    crate::clients::until("it answers", async || ask("SELECT 1").await.ok()).await;
    let lock = ask("BEGIN; LOCK TABLE customer IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(100); COMMIT");
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LOCK TABLE ONLY%' AND wait_event_type = 'Lock'";
    let held = "SELECT count(*) FROM pg_locks WHERE relation = 'customer'::regclass AND mode = 'AccessExclusiveLock' AND granted";
    let delete = async {
        crate::clients::until("the table is locked", async || {
            ask(held).await.ok().filter(|said| said.lines().any(|line| line.trim() == "1"))
        })
        .await;
        signal("-CONT");
        crate::clients::until("the drill waits for the lock", async || {
            ask(waits).await.ok().filter(|said| said.lines().any(|line| line.trim() == "1"))
        })
        .await;
        clients.drop_instance(&name).await;
    };
    let (locked, ()) = tokio::join!(lock, delete);
    let output = tokio::task::spawn_blocking(move || drill.wait_with_output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&[&output.stderr[..], &output.stdout[..]].concat()).into_owned();
    running.stop().await.unwrap();
    let is_of_it =
        |result: &attestore::testing_log::point_result::PointResult| result.errors.iter().any(|error| error.message.contains(&name));
    let result = estate.results().into_iter().find(is_of_it).unwrap_or_else(|| panic!("{said}"));
    assert_eq!(result.outcome, Outcome::Error, "nothing is said of the backup: {:?}: {locked:?}: {said}", result.outcome_reasons);
    let error = result.errors.iter().find(|error| error.message.contains(&name)).unwrap_or_else(|| panic!("{:?}", result.errors));
    let gone = format!("instance {name} no longer exists (DBInstanceNotFound): it was deleted before it was read to its end");
    // Asked at once, the service may still be at it.
    let going = format!("instance {name} is `deleting`, as RDS says, and is not reached");
    let is_gone = error.message.starts_with(&gone);
    assert!(is_gone || error.message.starts_with(&going), "{error:?}");
    assert_eq!((error.code.as_str(), error.retryable), if is_gone { ("absent", false) } else { ("network", true) });
    let facts = result.verify.as_ref().unwrap();
    assert_eq!((facts.rows.unwrap().expected, facts.rows.unwrap().unreadable, facts.coverage_ppm), (30, 30, 0), "{facts:?}");
    assert!(estate.verdict().holds(), "{:?}", estate.verdict().faults);
}

/// An instance that is said to be there and takes no connections.
#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_does_not_listen_is_told_with_what_its_service_says() {
    if !engine(EngineKind::Postgres) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut laying = Laying::begin(folder.path()).await;
    laying.database(EngineKind::Postgres).await;
    let estate = laying.end().await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    told(&estate, "Port", Some(&nobody.to_string()), false).await;
    let (code, results, said) = drilled(&estate, "15s");
    assert_eq!((code, results.len()), (Some(5), 2), "{said}");
    for result in results {
        assert_eq!((result.outcome, result.verify.is_none()), (Outcome::Error, true));
        let why = &result.outcome_reasons[0];
        assert!(why.contains("is `available`, as RDS says, and is not reached") && why.contains(&format!("127.0.0.1:{nobody}")), "{why}");
    }
    assert_eq!(leftovers(&estate).await, Vec::<String>::new());
}
