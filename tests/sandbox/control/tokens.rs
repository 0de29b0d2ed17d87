//! Tokens of IAM at a real PostgreSQL, which asks the sandbox whether their signature holds: who gets in, and who does not.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use attestore::aws::rds_token::RdsTokens;
use attestore::aws::session::SessionOptions;
use attestore::engines::installed::EngineKind;
use attestore::model::failure::{Failure, FailureKind};
use attestore::model::source_url::SourceUrl;
use attestore::sandbox::control::rds::tls::CA_BUNDLE;
use attestore::sandbox::server::Running;
use attestore::verify::sql::connect::access::Access;
use attestore::verify::sql::connect::login::{Place, Tokens};
use attestore::verify::sql::database::Database;
use sqlx::Connection;

use crate::clients::start;
use crate::engines::engine;

/// Tokens for somebody else.
struct OfAnother(RdsTokens);

#[async_trait]
impl Tokens for OfAnother {
    async fn token(&self, place: &Place) -> Result<String, Failure> {
        self.0.token(&Place { user: "keeper".into(), ..place.clone() }).await
    }
}

/// Opens the database as `reader` and lists its tables.
async fn tables(port: u16, dir: &Path, tokens: impl Tokens + 'static) -> Result<usize, Failure> {
    let url = SourceUrl::Postgres { url: format!("postgres://reader@127.0.0.1:{port}/crm?authentication=iam") };
    let ca = dir.join("control").join(CA_BUNDLE);
    let access = Access { tls_ca: Some(ca), tokens: Some(Arc::new(tokens)), ..Access::default() };
    let mut db = Database::open(&url, &access).await?;
    let tables = db.tables().await;
    db.close().await;
    tables.map(|tables| tables.len())
}

fn signed_with(running: &Running, secret: &str) -> RdsTokens {
    let options = running.session_options();
    let id = options.static_credentials.clone().unwrap().0;
    RdsTokens::of_options(SessionOptions { static_credentials: Some((id, secret.to_owned())), ..options })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_postgres_by_its_signature_alone() {
    if !engine(EngineKind::Postgres) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (running, clients) = start(dir.path()).await;
    let port = clients.instance("crm", "postgres").await;
    let sql = "CREATE TABLE t (id INT PRIMARY KEY);\nCREATE ROLE reader LOGIN PASSWORD 'plain-secret';\nGRANT rds_iam, pg_read_all_data TO reader;\n";
    let rds = running.control().rds();
    let home = rds.instance("crm").unwrap().home;
    rds.servers().sql(EngineKind::Postgres, &home, port, "crm", sql).await.unwrap();
    let good = |running: &Running| RdsTokens::of_options(running.session_options());

    let failure = tables(port, dir.path(), good(&running)).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Denied, "the instance takes no tokens: {failure}");
    let modify = clients.rds.modify_db_instance().db_instance_identifier("crm").enable_iam_database_authentication(true);
    modify.apply_immediately(true).send().await.unwrap();
    let described = clients.rds.describe_db_instances().db_instance_identifier("crm").send().await.unwrap().db_instances.unwrap().remove(0);
    assert_eq!(described.iam_database_authentication_enabled, Some(true));
    assert_eq!(tables(port, dir.path(), good(&running)).await.unwrap(), 1);

    let failure = tables(port, dir.path(), signed_with(&running, "another secret")).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Denied, "{failure}");
    assert!(!format!("{failure:?}").contains("X-Amz-Signature"), "a token is never shown: {failure:?}");
    let failure = tables(port, dir.path(), OfAnother(good(&running))).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Denied, "{failure}");

    // Neither a password in a token's place, nor a token without TLS.
    let place = Place { host: "127.0.0.1".into(), port, user: "reader".into(), region: None };
    let token = good(&running).token(&place).await.unwrap();
    for (password, mode) in [("plain-secret", "require"), (token.as_str(), "disable")] {
        let options: sqlx::postgres::PgConnectOptions = format!("postgres://127.0.0.1:{port}/crm?sslmode={mode}").parse().unwrap();
        let refused = sqlx::PgConnection::connect_with(&options.username("reader").password(password)).await;
        let error = refused.expect_err("it was let in");
        assert!(error.as_database_error().is_some_and(|error| error.code().unwrap_or_default().starts_with("28")), "{error}");
    }
    crate::control::databases::run(EngineKind::Postgres, port, "first-secret", "SELECT 1").await;

    // The next sandbox has another gate, and its servers ask that one.
    running.stop().await.unwrap();
    let (running, clients) = start(dir.path()).await;
    let port = clients.available("crm").await;
    assert_eq!(tables(port, dir.path(), good(&running)).await.unwrap(), 1);
    running.control().purge().await.unwrap();
    running.stop().await.unwrap();
}
