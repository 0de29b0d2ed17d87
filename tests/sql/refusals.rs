//! What a database server refuses, each as a clear result of its own class: TLS, certificates, passwords, connection limits. Servers are
//! started for the test and speak TLS with a certificate of the sandbox's throw-away CA. Skipped visibly where none is installed, unless
//! `ATTESTORE_REQUIRE` names `postgres` or `mariadb`.

use std::path::{Path, PathBuf};

use crate::engines::engine;
use attestore::engines::installed::EngineKind;
use attestore::engines::master::Master;
use attestore::engines::servers::{Booted, Servers};
use attestore::model::failure::{Failure, FailureKind};
use attestore::model::source_url::SourceUrl;
use attestore::monitor::Silent;
use attestore::sandbox::control::rds::tls;
use attestore::verify::sql::checks::pack::Pack;
use attestore::verify::sql::checks::runner;
use attestore::verify::sql::connect::access::Access;
use attestore::verify::sql::database::Database;

const USER: &str = "keeper";
const PASSWORD: &str = "first-secret";

struct Server {
    servers: Servers,
    kind: EngineKind,
    booted: Booted,
}

impl Server {
    /// With TLS where `with_tls` says so.
    async fn start(folder: &Path, kind: EngineKind, with_tls: bool) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let servers = Servers::open(folder).unwrap();
        if with_tls {
            tls::lay(folder, servers.area()).unwrap();
        }
        servers.make_empty(kind, "db").await.unwrap();
        let booted = servers.boot(kind, "db", None).await.unwrap();
        let master = Master { user: USER.into(), password: PASSWORD.into(), database: Some("crm".into()) };
        servers.create_master(kind, "db", booted.port, &master).await.unwrap();
        Self { servers, kind, booted }
    }

    async fn sql(&self, text: &str) {
        self.servers.sql(self.kind, "db", self.booted.port, "crm", text).await.unwrap();
    }

    fn url(&self, host: &str) -> SourceUrl {
        let at = format!("{USER}@{host}:{}/crm", self.booted.port);
        match self.kind {
            EngineKind::Postgres => SourceUrl::Postgres { url: format!("postgres://{at}") },
            EngineKind::MariaDb | EngineKind::MySql => SourceUrl::Mysql { url: format!("mysql://{at}") },
        }
    }

    /// Opens it as the fingerprints do and as the checks do; both have to say the same.
    async fn open(&self, host: &str, ca: Option<PathBuf>, password: &str) -> Result<(), Failure> {
        let access = Access { user: Some(USER.into()), password: Some(password.into()), tls_ca: ca, ..Access::default() };
        let pack = [Pack::load("bank").unwrap()];
        let checks = runner::run(&self.url(host), &access, &pack, &Default::default(), &Silent).await.map(drop);
        let read = match Database::open(&self.url(host), &access).await {
            Ok(mut db) => {
                let tables = db.tables().await.map(drop);
                db.close().await;
                tables
            }
            Err(failure) => Err(failure),
        };
        assert_eq!(checks.as_ref().err().map(|failure| failure.kind), read.as_ref().err().map(|failure| failure.kind));
        read
    }

    async fn refused(&self, host: &str, ca: Option<PathBuf>, password: &str) -> Failure {
        self.open(host, ca, password).await.expect_err("it was let in")
    }
}

async fn refusals(kind: EngineKind) {
    if !engine(kind) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (closed, plain, other) = (dir.path().join("tls"), dir.path().join("plain"), dir.path().join("other"));
    let server = Server::start(&closed, kind, true).await;
    let ca = closed.join(tls::CA_BUNDLE);
    server.open("127.0.0.1", Some(ca.clone()), PASSWORD).await.unwrap();
    server.open("localhost", Some(ca.clone()), PASSWORD).await.unwrap();

    // Another CA: the very certificate that is shown leads nowhere.
    std::fs::create_dir_all(&other).unwrap();
    tls::lay(&other, Servers::open(&other).unwrap().area()).unwrap();
    let failure = server.refused("127.0.0.1", Some(other.join(tls::CA_BUNDLE)), PASSWORD).await;
    assert_eq!(failure.kind, FailureKind::Network, "{failure}");
    assert!(failure.message.contains("certificate") && failure.hint.as_deref().unwrap().contains("tls_ca"), "{failure} {:?}", failure.hint);
    // A name that the certificate does not hold: verify-full, not merely a chain.
    let failure = server.refused("127.0.0.2", Some(ca.clone()), PASSWORD).await;
    assert_eq!(failure.kind, FailureKind::Network, "{failure}");
    // Text that is no bundle, and a file that is not there.
    let text = dir.path().join("ca.txt");
    std::fs::write(&text, "no certificate").unwrap();
    server.refused("127.0.0.1", Some(text), PASSWORD).await;
    let failure = server.refused("127.0.0.1", Some(dir.path().join("absent.pem")), PASSWORD).await;
    assert!(failure.kind == FailureKind::Invalid && failure.message.contains("absent.pem"), "{failure}");

    let failure = server.refused("127.0.0.1", Some(ca.clone()), "wrong-secret").await;
    assert!(failure.kind == FailureKind::Denied && !format!("{failure:?}").contains("wrong-secret"), "{failure}");

    // A server without TLS, where TLS is demanded.
    let unsafe_server = Server::start(&plain, kind, false).await;
    let failure = unsafe_server.refused("127.0.0.1", Some(ca), PASSWORD).await;
    assert_eq!(failure.kind, FailureKind::Network, "{failure}");
    assert!(failure.message.to_lowercase().contains("tls") && failure.hint.as_deref().unwrap().contains("speaks TLS"), "{failure}");

    // The one connection that the user may have is taken.
    unsafe_server
        .sql(match kind {
            EngineKind::Postgres => "ALTER ROLE keeper CONNECTION LIMIT 0;",
            EngineKind::MariaDb | EngineKind::MySql => "GRANT USAGE ON *.* TO keeper@'%' WITH MAX_USER_CONNECTIONS 1;",
        })
        .await;
    let held = match kind {
        EngineKind::Postgres => None,
        EngineKind::MariaDb | EngineKind::MySql => {
            use sqlx::Connection;
            let url = format!("mysql://{USER}:{PASSWORD}@127.0.0.1:{}/crm", unsafe_server.booted.port);
            Some(sqlx::MySqlConnection::connect(&url).await.unwrap())
        }
    };
    let failure = unsafe_server.refused("127.0.0.1", None, PASSWORD).await;
    assert!(failure.kind == FailureKind::Throttled && failure.kind.is_retryable(), "{failure}");
    drop(held);
    server.servers.purge().await.unwrap();
    unsafe_server.servers.purge().await.unwrap();
    Servers::open(&other).unwrap().purge().await.unwrap();
}

#[tokio::test]
async fn postgres_refusals_are_told_apart() {
    refusals(EngineKind::Postgres).await;
}

#[tokio::test]
async fn mariadb_refusals_are_told_apart() {
    refusals(EngineKind::MariaDb).await;
}
