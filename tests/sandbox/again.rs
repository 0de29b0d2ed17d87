//! A server that has ended is started again where it was.

use std::net::TcpListener;
use std::time::Duration;

use attestore::engines::installed::EngineKind;
use attestore::engines::servers::Servers;

use crate::engines::engine;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_started_again_on_its_port_as_soon_as_that_is_free() {
    for kind in [EngineKind::Postgres, EngineKind::MariaDb] {
        if !engine(kind) {
            continue;
        }
        let state = tempfile::tempdir().unwrap();
        let servers = Servers::open(state.path()).unwrap();
        servers.make_empty(kind, "one").await.unwrap();
        let booted = servers.boot(kind, "one", None).await.unwrap();
        assert!(servers.start_again(kind, "one", booted.port).await.unwrap().is_none(), "it runs");
        servers.end(kind, booted.process).await.unwrap();
        // Somebody else's connection was given the port, and ends.
        let held = TcpListener::bind(("127.0.0.1", booted.port)).unwrap();
        let ends = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(held);
        });
        assert!(servers.start_again(kind, "one", booted.port).await.unwrap().is_some(), "it is another life of the same server");
        assert!(ends.is_finished() && servers.adopt(kind, "one", booted.port).is_some());
        servers.purge().await.unwrap();
    }
}
