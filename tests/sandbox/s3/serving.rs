//! Signatures, planted faults, state across restarts, the lock on the folder.

use std::sync::Arc;
use std::time::Duration;

use attestore::aws::session::{Session, SessionOptions};
use attestore::model::failure::FailureKind;
use attestore::sandbox::listener::{Listener, Router};
use attestore::sandbox::s3::api;
use attestore::sandbox::s3::faults::{Fault, Faults};
use attestore::sandbox::s3::store::S3Store;
use attestore::sandbox::server::Sandbox;
use attestore::sandbox::wire::Service;
use aws_sdk_s3::presigning::PresigningConfig;

use crate::s3::help::{client, code, get, put, with_bucket};

#[tokio::test]
async fn only_the_right_signature_opens() {
    let sandbox = with_bucket(false).await;
    let right = sandbox.running.session_options();
    let with = |id: &str, secret: &str| SessionOptions { static_credentials: Some((id.into(), secret.into())), ..right.clone() };
    let wrong = client(&with("ATTESTORESANDBOX", "wrong")).await;
    assert_eq!(code(wrong.list_buckets().send().await), "SignatureDoesNotMatch");
    let unknown = client(&with("NOBODY", "wrong")).await;
    assert_eq!(code(unknown.list_buckets().send().await), "InvalidAccessKeyId");
    let answer = raw(&sandbox.running.endpoint(), "GET /vault HTTP/1.1").await;
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("<Code>AccessDenied</Code>"), "{answer}");
}

/// Answers every request with its path, as JSON.
struct Echo;

#[async_trait::async_trait]
impl Service for Echo {
    async fn call(&self, request: http::Request<bytes::Bytes>) -> http::Response<bytes::Bytes> {
        let body = serde_json::json!({"BackupVaultName": request.uri().path()});
        http::Response::new(body.to_string().into())
    }
}

#[tokio::test]
async fn other_services_are_found_by_the_scope_and_their_signatures_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Arc::new(Faults::default());
    let services = std::collections::HashMap::from([("backup", Arc::new(Echo) as Arc<dyn Service>)]);
    let router = Router { s3: api::service(S3Store::open(dir.path()).unwrap()), faults, services };
    let listener = Listener::start(None, router).await.unwrap();
    let options = |secret: &str| SessionOptions {
        region: Some("eu-west-2".into()),
        endpoint: Some(format!("http://{}", listener.address())),
        static_credentials: Some(("ATTESTORESANDBOX".into(), secret.into())),
        ..Default::default()
    };
    let backup = |session: Session| aws_sdk_backup::Client::new(session.config());
    let right = Session::load(&options(attestore::sandbox::identity::SECRET_ACCESS_KEY)).await;
    // A name with a colon and a slash: the path is encoded twice in what is signed.
    let answer = backup(right.clone()).describe_backup_vault().backup_vault_name("a:b/c d").send().await.unwrap();
    assert_eq!(answer.backup_vault_name(), Some("/backup-vaults/a%3Ab%2Fc%20d"));
    let listed = backup(right.clone()).list_backup_jobs().by_resource_arn("arn:aws:s3:::b").max_results(2).send().await;
    assert!(listed.is_ok(), "a query is signed, too: {listed:?}");
    let wrong = Session::load(&options("wrong")).await;
    assert_eq!(code(backup(wrong).describe_backup_vault().backup_vault_name("v").send().await), "InvalidSignatureException");
    let absent = aws_sdk_sts::Client::new(right.config()).get_caller_identity().send().await;
    assert_eq!(code(absent), "UnknownService");
    listener.stop().await;
}

#[tokio::test]
async fn who_was_refused_before_sending_its_body_is_not_served_on() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let sandbox = with_bucket(false).await;
    let endpoint = sandbox.running.endpoint();
    let address = endpoint.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let refused = format!("PUT /vault/k HTTP/1.1\r\nHost: {address}\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n");
    stream.write_all(refused.as_bytes()).await.unwrap();
    // The connection ends, so that nobody's next request loses its first byte to a body that never came.
    let mut answer = Vec::new();
    tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    let answer = String::from_utf8_lossy(&answer).to_lowercase();
    assert!(answer.starts_with("http/1.1 403") && answer.contains("connection: close"), "{answer}");
}

/// A request without a signature, spoken by hand.
async fn raw(endpoint: &str, first_line: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let address = endpoint.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("{first_line}\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_presigned_request_needs_no_header() {
    let sandbox = with_bucket(false).await;
    put(&sandbox.client, "a key", b"presigned").await;
    let config = PresigningConfig::expires_in(Duration::from_secs(60)).unwrap();
    let request = sandbox.client.get_object().bucket("vault").key("a key").presigned(config).await.unwrap();
    let path = request.uri().strip_prefix(&sandbox.running.endpoint()).unwrap();
    let answer = raw(&sandbox.running.endpoint(), &format!("GET {path} HTTP/1.1")).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("presigned"), "{answer}");
    let changed = path.replace("a%20key", "other");
    let answer = raw(&sandbox.running.endpoint(), &format!("GET {changed} HTTP/1.1")).await;
    assert!(answer.contains("SignatureDoesNotMatch"), "{answer}");
}

#[tokio::test]
async fn faults_come_when_they_were_planted() {
    let sandbox = with_bucket(false).await;
    let body = vec![7; 500_000];
    put(&sandbox.client, "k", &body).await;
    let faults = sandbox.running.faults();
    let request = || sandbox.client.get_object().bucket("vault").key("k");
    faults.on_get("vault", "k", 2, 1, Fault::CutAfter(1000));
    assert_eq!(get(&sandbox.client, "k", None).await, body);
    let cut = request().send().await.unwrap();
    let cut = cut.body.collect().await.map(|body| body.to_vec().len());
    assert!(cut.is_err(), "the connection breaks in the body: {cut:?} bytes came");
    assert_eq!(get(&sandbox.client, "k", None).await, body);
    faults.on_get("vault", "k", 1, 1, Fault::FlipByte(300_000));
    let flipped = request().send().await.unwrap();
    assert!(flipped.body.collect().await.is_err(), "the client's own checksum tells");
    faults.on_get("vault", "k", 1, 1, Fault::ShortLength(10));
    assert_eq!(request().send().await.unwrap().content_length(), Some(10));
    faults.on_get("vault", "k", 1, 1, Fault::ContentRange("bytes 5-6/7".into()));
    assert_eq!(request().range("bytes=0-1").send().await.unwrap().content_range(), Some("bytes 5-6/7"));
    faults.on_get("vault", "k", 1, 1, Fault::AccessDenied);
    assert_eq!(code(request().send().await), "AccessDenied");
    // The SDK retries: two slow-downs are passed over.
    faults.on_next(2, Fault::SlowDown);
    assert_eq!(get(&sandbox.client, "k", None).await, body);
}

#[tokio::test]
async fn state_outlives_the_server_and_two_servers_do_not_share_it() {
    let sandbox = with_bucket(true).await;
    let version = put(&sandbox.client, "k", &vec![1; 100_000]).await.unwrap();
    let snapshot = sandbox.running.s3().snapshot("vault").unwrap();
    let refused = Sandbox::start(sandbox.dir.path(), None).await.err().unwrap();
    assert_eq!(refused.kind, FailureKind::Refused);
    assert!(refused.message.contains("another sandbox is running"), "{refused}");
    sandbox.running.stop().await.unwrap();
    let again = Sandbox::start(sandbox.dir.path(), None).await.unwrap();
    let client = client(&again.session_options()).await;
    assert_eq!(get(&client, "k", Some(&version)).await, vec![1; 100_000]);
    assert_eq!(again.s3().snapshot_size(&snapshot).unwrap().versions, 1);
    // What nothing names any more is gone after the next start; what a snapshot names is not.
    client.delete_object().bucket("vault").key("k").version_id(&version).send().await.unwrap();
    again.stop().await.unwrap();
    let blobs = || walk(&sandbox.dir.path().join("s3").join("blobs"));
    let third = Sandbox::start(sandbox.dir.path(), None).await.unwrap();
    assert_eq!(blobs(), 1);
    third.s3().delete_snapshot(&snapshot).unwrap();
    third.stop().await.unwrap();
    Sandbox::start(sandbox.dir.path(), None).await.unwrap().stop().await.unwrap();
    assert_eq!(blobs(), 0);
}

fn walk(dir: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
    entries.map(|entry| if entry.path().is_dir() { walk(&entry.path()) } else { 1 }).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_at_once_are_all_answered() {
    let sandbox = with_bucket(true).await;
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..16 {
        let client = sandbox.client.clone();
        tasks.spawn(async move {
            for index in 0..25 {
                let key = format!("{worker:02}/{index:03}");
                put(&client, &key, key.as_bytes()).await;
                assert_eq!(get(&client, &key, None).await, key.as_bytes());
                put(&client, "shared", key.as_bytes()).await;
            }
        });
    }
    tasks.join_all().await;
    let listed = sandbox.client.list_objects_v2().bucket("vault").send().await.unwrap();
    assert_eq!(listed.key_count(), Some(401));
    let versions = sandbox.client.list_object_versions().bucket("vault").prefix("shared").send().await.unwrap();
    assert_eq!(versions.versions().len(), 400);
    assert_eq!(versions.versions().iter().filter(|version| version.is_latest() == Some(true)).count(), 1);
}
