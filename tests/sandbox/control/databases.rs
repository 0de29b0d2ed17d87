//! Database servers: what a snapshot holds, what damage in it does, what a restore gives.

use attestore::engines::installed::EngineKind;
use attestore::sandbox::control::backup::points::PointDamage;
use attestore::sandbox::control::faults::RestoreFault;
use sqlx::Connection;

use crate::clients::{Clients, start};
use crate::engines::engine;

/// Runs SQL as the master user.
pub async fn run(kind: EngineKind, port: u16, password: &str, sql: &'static str) {
    match kind {
        EngineKind::Postgres => {
            let url = format!("postgres://keeper:{password}@127.0.0.1:{port}/crm");
            let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        }
        EngineKind::MariaDb | EngineKind::MySql => {
            let url = format!("mysql://keeper:{password}@127.0.0.1:{port}/crm");
            let mut connection = sqlx::MySqlConnection::connect(&url).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        }
    }
}

/// The rows of table `t`.
pub async fn rows(kind: EngineKind, port: u16) -> Vec<(i32, String)> {
    let sql = "SELECT id, v FROM t ORDER BY id";
    match kind {
        EngineKind::Postgres => {
            let url = format!("postgres://keeper:first-secret@127.0.0.1:{port}/crm");
            let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
            sqlx::query_as(sql).fetch_all(&mut connection).await.unwrap()
        }
        EngineKind::MariaDb | EngineKind::MySql => {
            let url = format!("mysql://keeper:first-secret@127.0.0.1:{port}/crm");
            let mut connection = sqlx::MySqlConnection::connect(&url).await.unwrap();
            sqlx::query_as(sql).fetch_all(&mut connection).await.unwrap()
        }
    }
}

async fn there_and_back(kind: EngineKind, name: &str) {
    if !engine(kind) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (running, clients) = start(dir.path()).await;
    let port = clients.instance("crm", name).await;
    run(
        kind,
        port,
        "first-secret",
        "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(10)); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')",
    )
    .await;
    clients.vault("vault").await;
    let point = clients.back_up("vault", "arn:aws:rds:eu-west-2:111122223333:db:crm").await;
    let text = "UPDATE t SET v = 'x' WHERE id = 1; DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (4, 'd');";
    let damage = PointDamage::Sql { database: None, text: text.into() };
    running.control().backup().damage(&point, &damage).await.unwrap();
    let bad = PointDamage::Sql { database: None, text: "UPDATE nothing SET v = 1;".into() };
    assert!(running.control().backup().damage(&point, &bad).await.is_err());

    let job = clients.start_restore(&point, &[("DBInstanceIdentifier", "restored")]).await;
    let (status, made, message) = clients.end_of_restore(&job).await;
    assert_eq!((status.as_str(), made.as_deref()), ("COMPLETED", Some("arn:aws:rds:eu-west-2:111122223333:db:restored")), "{message:?}");
    let text = |rows: &[(i32, &str)]| rows.iter().map(|(id, v)| (*id, (*v).to_owned())).collect::<Vec<_>>();
    assert_eq!(rows(kind, clients.available("restored").await).await, text(&[(1, "x"), (3, "c"), (4, "d")]));
    assert_eq!(rows(kind, port).await, text(&[(1, "a"), (2, "b"), (3, "c")]));
    clients.drop_instance("restored").await;
    hollow(&running, &clients, &point).await;
    running.control().purge().await.unwrap();
    running.stop().await.unwrap();
}

/// COMPLETED, and the instance has nothing in it.
async fn hollow(running: &attestore::sandbox::server::Running, clients: &Clients, point: &str) {
    running.control().faults().on_restore(point, RestoreFault::CompletesEmpty).unwrap();
    let job = clients.start_restore(point, &[("DBInstanceIdentifier", "hollow")]).await;
    assert_eq!(clients.end_of_restore(&job).await.0, "COMPLETED");
    let modify = clients.rds.modify_db_instance().db_instance_identifier("hollow").master_user_password("drill-secret");
    modify.send().await.unwrap();
    let port = clients.available("hollow").await;
    let kind = running.control().rds().instance("hollow").unwrap().kind;
    run(kind, port, "drill-secret", "CREATE TABLE t (id INT)").await;
}

#[tokio::test]
async fn postgres_there_and_back() {
    there_and_back(EngineKind::Postgres, "postgres").await;
}

#[tokio::test]
async fn mariadb_there_and_back() {
    there_and_back(EngineKind::MariaDb, "mariadb").await;
}

#[tokio::test]
async fn a_snapshot_under_load_is_of_one_instant() {
    if !engine(EngineKind::Postgres) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (running, clients) = start(dir.path()).await;
    let port = clients.instance("crm", "postgres").await;
    run(
        EngineKind::Postgres,
        port,
        "first-secret",
        "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(10)); CREATE TABLE twin (id INT PRIMARY KEY)",
    )
    .await;
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let writer = tokio::spawn(async move {
        let url = format!("postgres://keeper:first-secret@127.0.0.1:{port}/crm");
        let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
        let mut id = 0;
        // The connection lives through the snapshot.
        while stopped.try_recv().is_err() {
            let mut transaction = connection.begin().await.unwrap();
            sqlx::query("INSERT INTO t VALUES ($1, 'a')").bind(id).execute(&mut *transaction).await.unwrap();
            sqlx::query("INSERT INTO twin VALUES ($1)").bind(id).execute(&mut *transaction).await.unwrap();
            transaction.commit().await.unwrap();
            id += 1;
        }
        id
    });
    clients.vault("vault").await;
    let point = clients.back_up("vault", "arn:aws:rds:eu-west-2:111122223333:db:crm").await;
    stop.send(()).unwrap();
    let written = writer.await.unwrap();
    let job = clients.start_restore(&point, &[("DBInstanceIdentifier", "restored")]).await;
    assert_eq!(clients.end_of_restore(&job).await.0, "COMPLETED");
    let url = format!("postgres://keeper:first-secret@127.0.0.1:{}/crm", clients.available("restored").await);
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    let sql = "SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM twin), (SELECT coalesce(max(id), -1) FROM t)";
    let (rows, twins, last): (i64, i64, i32) = sqlx::query_as(sql).fetch_one(&mut connection).await.unwrap();
    assert_eq!((rows, twins), (i64::from(last) + 1, i64::from(last) + 1));
    assert!(rows <= i64::from(written));
    drop(connection);
    running.control().purge().await.unwrap();
    running.stop().await.unwrap();
}
