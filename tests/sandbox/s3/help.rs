//! A sandbox on a folder of its own, and a client of it.

use attestore::aws::session::Session;
use attestore::sandbox::server::{Running, Sandbox};
use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};

/// A running sandbox, its client and its folder.
pub struct Box {
    pub client: Client,
    pub running: Running,
    pub dir: tempfile::TempDir,
}

/// A client by path of whatever `options` lead to.
pub async fn client(options: &attestore::aws::session::SessionOptions) -> Client {
    let session = Session::load(options).await;
    Client::from_conf(aws_sdk_s3::config::Builder::from(session.config()).force_path_style(true).build())
}

/// A fresh sandbox.
pub async fn start() -> Box {
    let dir = tempfile::tempdir().unwrap();
    let running = Sandbox::start(dir.path(), None).await.unwrap();
    Box { client: client(&running.session_options()).await, running, dir }
}

/// A fresh sandbox with one bucket `vault`, versioned or not.
pub async fn with_bucket(versioned: bool) -> Box {
    let sandbox = start().await;
    sandbox.client.create_bucket().bucket("vault").send().await.unwrap();
    if versioned {
        set_versioning(&sandbox.client, BucketVersioningStatus::Enabled).await;
    }
    sandbox
}

pub async fn set_versioning(client: &Client, status: BucketVersioningStatus) {
    let configuration = VersioningConfiguration::builder().status(status).build();
    client.put_bucket_versioning().bucket("vault").versioning_configuration(configuration).send().await.unwrap();
}

/// Puts an object and tells its version id.
pub async fn put(client: &Client, key: &str, body: &[u8]) -> Option<String> {
    let put = client.put_object().bucket("vault").key(key).body(ByteStream::from(body.to_vec())).send().await.unwrap();
    put.version_id
}

/// Reads an object.
pub async fn get(client: &Client, key: &str, version: Option<&str>) -> Vec<u8> {
    let got = client.get_object().bucket("vault").key(key).set_version_id(version.map(str::to_owned)).send().await.unwrap();
    got.body.collect().await.unwrap().to_vec()
}

/// The code of an error.
pub fn code<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug, R: std::fmt::Debug>(
    result: Result<T, aws_sdk_s3::error::SdkError<E, R>>,
) -> String {
    let error = result.unwrap_err();
    error.code().map_or_else(|| format!("{error:?}"), str::to_owned)
}

/// Bytes that do not repeat.
pub fn bytes(length: usize, seed: &str) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(seed.as_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}
