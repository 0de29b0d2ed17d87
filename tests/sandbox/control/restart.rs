//! A kill at any time, then a start and a stop: everything goes on, and no database server is left.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use attestore::aws::session::SessionOptions;
use attestore::engines::installed::EngineKind;
use attestore::engines::process::{ProcessMark, servers_under};
use attestore::sandbox::identity;

use crate::clients::{Clients, start};
use crate::engines::engine;

/// `attestore sandbox serve`, to be killed.
struct Served {
    child: Child,
    endpoint: String,
}

impl Served {
    fn start(dir: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_attestore"));
        command.args(["sandbox", "serve", "--dir"]).arg(dir).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let endpoint = line.trim().strip_prefix("export AWS_ENDPOINT_URL=").unwrap().to_owned();
        Self { child, endpoint }
    }

    async fn clients(&self) -> Clients {
        let options = SessionOptions {
            region: Some(identity::REGION.into()),
            endpoint: Some(self.endpoint.clone()),
            static_credentials: Some((identity::ACCESS_KEY_ID.into(), identity::SECRET_ACCESS_KEY.into())),
            ..SessionOptions::default()
        };
        Clients::of(&options).await
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The servers of the sandbox in `dir`.
fn servers(dir: &Path) -> Vec<ProcessMark> {
    let area = std::fs::read_to_string(dir.join("control/engines.path")).unwrap();
    servers_under(&PathBuf::from(area))
}

#[tokio::test]
async fn killed_with_servers_running_and_a_restore_under_way() {
    let (kind, name) = match (engine(EngineKind::Postgres), engine(EngineKind::MariaDb)) {
        (true, _) => (EngineKind::Postgres, "postgres"),
        (false, true) => (EngineKind::MariaDb, "mariadb"),
        (false, false) => return,
    };
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(dir.path());
    let clients = served.clients().await;
    let port = clients.instance("crm", name).await;
    clients.vault("vault").await;
    let point = clients.back_up("vault", "arn:aws:rds:eu-west-2:111122223333:db:crm").await;
    let before = servers(dir.path());
    assert_eq!(before.len(), 1);
    let job = clients.start_restore(&point, &[("DBInstanceIdentifier", "restored")]).await;
    served.kill();
    // The owner is gone, its server is not.
    assert!(before[0].is_alive());

    let (running, clients) = start(dir.path()).await;
    assert_eq!(clients.available("crm").await, port, "the server was adopted");
    assert!(before[0].is_alive());
    assert_eq!(running.control().rds().instance("crm").unwrap().process, Some(before[0]));
    let (status, made, message) = clients.end_of_restore(&job).await;
    assert_eq!((status.as_str(), made.as_deref()), ("COMPLETED", Some("arn:aws:rds:eu-west-2:111122223333:db:restored")), "{message:?}");
    assert_eq!(servers(dir.path()).len(), 2);
    running.stop().await.unwrap();
    assert_eq!(servers(dir.path()), []);

    // Stopped in order, the servers start again with the sandbox.
    let (running, clients) = start(dir.path()).await;
    clients.available("crm").await;
    clients.available("restored").await;
    assert_eq!(servers(dir.path()).len(), 2);
    assert_eq!(running.control().rds().instance("crm").unwrap().kind, kind);
    running.control().purge().await.unwrap();
    assert_eq!(servers_under(running.control().rds().servers().area().root()), []);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn killed_while_an_instance_is_made_and_while_one_is_deleted() {
    if !engine(EngineKind::Postgres) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(dir.path());
    let clients = served.clients().await;
    clients.instance("going", "postgres").await;
    clients.rds.delete_db_instance().db_instance_identifier("going").skip_final_snapshot(true).send().await.unwrap();
    let create = clients.rds.create_db_instance().db_instance_identifier("coming").engine("postgres").db_instance_class("db.t4g.micro");
    create.master_username("keeper").master_user_password("first-secret").send().await.unwrap();
    served.kill();

    let (running, clients) = start(dir.path()).await;
    clients.available("coming").await;
    crate::clients::until("the other is gone", async || running.control().rds().instance("going").is_none().then_some(())).await;
    assert_eq!(servers(dir.path()).len(), 1);
    running.control().purge().await.unwrap();
    running.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_being_made_can_be_purged_at_any_moment() {
    if !engine(EngineKind::Postgres) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(dir.path());
    let clients = served.clients().await;
    clients.instance("crm", "postgres").await;
    clients.rds.create_db_snapshot().db_instance_identifier("crm").db_snapshot_identifier("full").send().await.unwrap();
    crate::clients::until("the snapshot is there", async || {
        let found = clients.rds.describe_db_snapshots().db_snapshot_identifier("full").send().await.unwrap();
        (found.db_snapshots.unwrap().remove(0).status.as_deref() == Some("available")).then_some(())
    })
    .await;
    for name in ["one", "two", "three"] {
        let restore = clients.rds.restore_db_instance_from_db_snapshot().db_instance_identifier(name).db_snapshot_identifier("full");
        restore.send().await.unwrap();
    }
    served.kill();

    // All three are copied on from where the kill left them; their copies are on threads that no task can abort.
    let (running, _) = start(dir.path()).await;
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    running.control().purge().await.unwrap();
    let area = running.control().rds().servers().area().root().to_owned();
    running.stop().await.unwrap();
    assert!(!area.exists() && servers_under(&area).is_empty());
}

#[tokio::test]
async fn what_a_sandbox_without_its_folder_left_is_swept_by_the_next() {
    if !engine(EngineKind::Postgres) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // Closed to the servers' user: under root the data directories then lie among the temporary files.
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let served = Served::start(dir.path());
    served.clients().await.instance("crm", "postgres").await;
    let area = PathBuf::from(std::fs::read_to_string(dir.path().join("control/engines.path")).unwrap());
    let server = servers_under(&area)[0];
    served.kill();
    let inside = area.starts_with(dir.path().canonicalize().unwrap());
    assert_eq!(inside, !rustix::process::geteuid().is_root());
    drop(dir);
    if inside {
        // The data directories went with the folder; the server is ended here, for nobody else can know it.
        assert!(server.end(&[rustix::process::Signal::KILL], std::time::Duration::from_secs(10)).await);
        return;
    }
    let next = tempfile::tempdir().unwrap();
    let (running, _) = start(next.path()).await;
    assert!(!server.is_alive());
    assert!(!area.exists());
    running.control().purge().await.unwrap();
    running.stop().await.unwrap();
}
