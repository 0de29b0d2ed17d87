//! Restores to a chosen second by real servers, and RDS's own restores with planted faults, over the wire.

use std::time::Duration;

use attestore::engines::installed::EngineKind;
use attestore::sandbox::control::faults::RestoreFault;
use aws_sdk_rds::primitives::DateTime;
use aws_sdk_rds::types::DbInstance;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::clients::{Clients, start, until};
use crate::control::databases::{rows, run};
use crate::engines::engine;

/// Waits until a new second has begun, and gives it.
async fn next_second() -> i64 {
    let now = || chrono::Utc::now().timestamp();
    let before = now();
    until("the next second", async || (now() > before).then(now)).await
}

async fn describe(clients: &Clients, name: &str) -> DbInstance {
    clients.rds.describe_db_instances().db_instance_identifier(name).send().await.unwrap().db_instances.unwrap().remove(0)
}

async fn to(clients: &Clients, target: &str, second: i64) {
    let call = clients.rds.restore_db_instance_to_point_in_time().source_db_instance_identifier("crm");
    call.target_db_instance_identifier(target).restore_time(DateTime::from_secs(second)).send().await.unwrap();
}

fn ids(rows: &[(i32, String)]) -> Vec<i32> {
    rows.iter().map(|(id, _)| *id).collect()
}

async fn to_the_second(kind: EngineKind, name: &str) {
    if !engine(kind) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (running, clients) = start(dir.path()).await;
    let port = clients.instance("crm", name).await;
    run(kind, port, "first-secret", "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(10)); INSERT INTO t VALUES (1, 'a')").await;
    let first = next_second().await;
    // The second itself is outside of what comes back at it, and all before it is inside.
    tokio::time::sleep(Duration::from_millis(1050)).await;
    run(kind, port, "first-secret", "INSERT INTO t VALUES (2, 'b'); UPDATE t SET v = 'x' WHERE id = 1").await;
    let second = next_second().await;
    tokio::time::sleep(Duration::from_millis(1050)).await;
    run(kind, port, "first-secret", "DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (3, 'c')").await;
    let latest = describe(&clients, "crm").await.latest_restorable_time.unwrap();
    assert!((second..=chrono::Utc::now().timestamp()).contains(&latest.secs()) && latest.subsec_nanos() == 0);

    to(&clients, "at-first", first).await;
    to(&clients, "at-second", second).await;
    let newest = clients.rds.restore_db_instance_to_point_in_time().source_db_instance_identifier("crm");
    newest.target_db_instance_identifier("at-latest").use_latest_restorable_time(true).send().await.unwrap();
    let text = |rows: &[(i32, &str)]| rows.iter().map(|(id, v)| (*id, (*v).to_owned())).collect::<Vec<_>>();
    assert_eq!(rows(kind, clients.available("at-first").await).await, text(&[(1, "a")]));
    assert_eq!(rows(kind, clients.available("at-second").await).await, text(&[(1, "x"), (2, "b")]));
    assert_eq!(rows(kind, clients.available("at-latest").await).await, text(&[(2, "b"), (3, "c")]));
    // What was restored is a server of its own.
    run(kind, clients.available("at-second").await, "first-secret", "INSERT INTO t VALUES (9, 'z')").await;
    assert_eq!(ids(&rows(kind, port).await), [2, 3]);
    assert_eq!(describe(&clients, "at-first").await.latest_restorable_time, None, "its own automated backups have not begun");

    // A stand-in that ignores the time brings everything.
    let arn = "arn:aws:rds:eu-west-2:111122223333:db:crm";
    running.control().faults().on_restore(arn, RestoreFault::IgnoresTime).unwrap();
    to(&clients, "ignored", first).await;
    assert_eq!(ids(&rows(kind, clients.available("ignored").await).await), [2, 3]);
    refusals(&clients, first).await;
    running.stop().await.unwrap();

    // The log goes on after a stop and a start.
    let (running, clients) = start(dir.path()).await;
    running.control().faults().clear().unwrap();
    let port = clients.available("crm").await;
    run(kind, port, "first-secret", "INSERT INTO t VALUES (4, 'd')").await;
    let third = next_second().await;
    to(&clients, "at-third", third).await;
    assert_eq!(ids(&rows(kind, clients.available("at-third").await).await), [2, 3, 4]);
    to(&clients, "again-first", first).await;
    assert_eq!(ids(&rows(kind, clients.available("again-first").await).await), [1]);
    running.control().purge().await.unwrap();
    running.stop().await.unwrap();
}

/// What RDS refuses, in its own codes.
async fn refusals(clients: &Clients, second: i64) {
    let ask = || clients.rds.restore_db_instance_to_point_in_time().target_db_instance_identifier("no");
    let at = DateTime::from_secs(second);
    let error = ask().source_db_instance_identifier("absent").restore_time(at).send().await.unwrap_err().into_service_error();
    assert!(error.is_db_instance_not_found_fault(), "{error:?}");
    let error = ask().source_db_instance_identifier("at-first").restore_time(at).send().await.unwrap_err().into_service_error();
    assert!(error.is_point_in_time_restore_not_enabled_fault(), "{error:?}");
    for wrong in [second - 86_400, second + 86_400] {
        let asked = ask().source_db_instance_identifier("crm").restore_time(DateTime::from_secs(wrong)).send().await;
        assert_eq!(asked.unwrap_err().into_service_error().code(), Some("InvalidParameterValue"));
    }
    let both = ask().source_db_instance_identifier("crm").restore_time(at).use_latest_restorable_time(true).send().await;
    assert_eq!(both.unwrap_err().into_service_error().code(), Some("InvalidParameterCombination"));
    let backups = clients.rds.describe_db_instance_automated_backups().db_instance_identifier("crm").send().await.unwrap();
    let window = backups.db_instance_automated_backups.unwrap().remove(0).restore_window.unwrap();
    assert!(window.earliest_time.unwrap().secs() <= second && window.latest_time.unwrap().secs() >= second);
}

#[tokio::test]
async fn postgres_to_the_second() {
    to_the_second(EngineKind::Postgres, "postgres").await;
}

#[tokio::test]
async fn mariadb_to_the_second() {
    to_the_second(EngineKind::MariaDb, "mariadb").await;
}

#[tokio::test]
async fn mysql_to_the_second() {
    to_the_second(EngineKind::MySql, "mysql").await;
}

#[tokio::test]
async fn rds_restores_of_its_own_lie_fail_and_hang_as_planted() {
    let (kind, name) = match (engine(EngineKind::MariaDb), engine(EngineKind::Postgres)) {
        (true, _) => (EngineKind::MariaDb, "mariadb"),
        (false, true) => (EngineKind::Postgres, "postgres"),
        (false, false) => return,
    };
    let dir = tempfile::tempdir().unwrap();
    let (running, clients) = start(dir.path()).await;
    clients.instance("crm", name).await;
    clients.rds.create_db_snapshot().db_instance_identifier("crm").db_snapshot_identifier("nightly").send().await.unwrap();
    let arn = until("the snapshot is there", async || {
        let found = clients.rds.describe_db_snapshots().db_snapshot_identifier("nightly").send().await.unwrap();
        let found = found.db_snapshots.unwrap().remove(0);
        (found.status.as_deref() == Some("available")).then(|| found.db_snapshot_arn.unwrap())
    })
    .await;
    let restore = async |target: &str, fault: RestoreFault| {
        running.control().faults().on_restore(&arn, fault).unwrap();
        let call = clients.rds.restore_db_instance_from_db_snapshot().db_instance_identifier(target);
        call.db_snapshot_identifier("nightly").send().await.unwrap()
    };
    restore("hollow", RestoreFault::CompletesEmpty).await;
    clients.available("hollow").await;
    restore("doomed", RestoreFault::Fails { message: "planted".into() }).await;
    let failed = until("the restore fails", async || {
        let found = describe(&clients, "doomed").await;
        (found.db_instance_status.as_deref() == Some("failed")).then_some(found)
    })
    .await;
    assert!(failed.status_infos.unwrap()[0].message.as_deref().unwrap().contains("planted"));
    restore("stuck", RestoreFault::Hangs).await;
    let answered = restore("lost", RestoreFault::CompletesWithoutResource).await;
    assert_eq!(answered.db_instance.unwrap().db_instance_identifier.as_deref(), Some("lost"));
    let absent = clients.rds.describe_db_instances().db_instance_identifier("lost").send().await.unwrap_err();
    assert!(absent.into_service_error().is_db_instance_not_found_fault());
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(describe(&clients, "stuck").await.db_instance_status.as_deref(), Some("creating"));
    clients.drop_instance("stuck").await;
    clients.drop_instance("doomed").await;
    assert_eq!(running.control().rds().instance("hollow").unwrap().kind, kind);
    running.control().purge().await.unwrap();
    running.stop().await.unwrap();
}

#[tokio::test]
async fn subnet_and_parameter_groups_are_made_over_the_wire() {
    let dir = tempfile::tempdir().unwrap();
    let (running, clients) = start(dir.path()).await;
    let make = |name: &str, subnets: &[&str]| {
        let call = clients.rds.create_db_subnet_group().db_subnet_group_name(name).db_subnet_group_description("isolated");
        call.set_subnet_ids(Some(subnets.iter().map(|subnet| (*subnet).to_owned()).collect())).send()
    };
    let made = make("isolated", &["subnet-0aaaa", "subnet-0aaab"]).await.unwrap().db_subnet_group.unwrap();
    assert_eq!((made.vpc_id.as_deref(), made.subnets.unwrap().len()), (Some("vpc-0aaa"), 2));
    let code = |error: aws_sdk_rds::error::SdkError<_>| {
        let error: aws_sdk_rds::operation::create_db_subnet_group::CreateDBSubnetGroupError = error.into_service_error();
        error.code().unwrap_or_default().to_owned()
    };
    assert_eq!(code(make("isolated", &["subnet-0aaaa", "subnet-0aaab"]).await.unwrap_err()), "DBSubnetGroupAlreadyExists");
    assert_eq!(code(make("one", &["subnet-0aaaa"]).await.unwrap_err()), "DBSubnetGroupDoesNotCoverEnoughAZs");
    assert_eq!(code(make("two", &["subnet-0aaaa", "subnet-0bbbb"]).await.unwrap_err()), "InvalidSubnet");
    let found = clients.rds.describe_db_subnet_groups().db_subnet_group_name("isolated").send().await.unwrap();
    assert_eq!(found.db_subnet_groups.unwrap()[0].vpc_id.as_deref(), Some("vpc-0aaa"));
    clients.rds.delete_db_subnet_group().db_subnet_group_name("isolated").send().await.unwrap();
    assert!(clients.rds.describe_db_subnet_groups().db_subnet_group_name("isolated").send().await.is_err());

    let create = clients.rds.create_db_parameter_group().db_parameter_group_name("drill").db_parameter_group_family("postgres15");
    create.description("quiet").send().await.unwrap();
    let parameter = aws_sdk_rds::types::Parameter::builder().parameter_name("rds.force_ssl").parameter_value("1").build();
    clients.rds.modify_db_parameter_group().db_parameter_group_name("drill").parameters(parameter).send().await.unwrap();
    let set = clients.rds.describe_db_parameters().db_parameter_group_name("drill").send().await.unwrap().parameters.unwrap();
    assert_eq!((set[0].parameter_name.as_deref(), set[0].parameter_value.as_deref()), (Some("rds.force_ssl"), Some("1")));
    if !attestore::sandbox::control::plane::engines_available().is_empty() {
        let kind = attestore::sandbox::control::plane::engines_available()[0];
        let name = if kind == EngineKind::Postgres { "postgres" } else { "mariadb" };
        let create = clients.rds.create_db_instance().db_instance_identifier("x").engine(name).db_instance_class("db.t4g.micro");
        let asked = create.master_username("keeper").master_user_password("first-secret").db_parameter_group_name("nothing").send().await;
        assert!(asked.unwrap_err().into_service_error().is_db_parameter_group_not_found_fault());
    }
    running.stop().await.unwrap();
}
