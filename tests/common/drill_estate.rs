//! An estate of local points for the drill's tests: a database and a tree, each with a good and a damaged copy, with registered manifests.

#![allow(dead_code, reason = "each test binary uses its own part of this helper")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use attestore::model::capture::CaptureMode;
use attestore::model::ids::{PointId, ResourceId};
use attestore::model::source_url::SourceUrl;
use attestore::monitor::Silent;
use attestore::restore::late::BETWEEN;
use attestore::signing::hash_key::HashKey;
use attestore::signing::keys::SigningKey;
use attestore::testing_log::body::ManifestRegistered;
use attestore::testing_log::entry::{Actor, Body};
use attestore::testing_log::point_result::PointResult;
use attestore::testing_log::verify::run::verify;
use attestore::testing_log::verify::verdict::{Verdict, VerifyOptions};
use attestore::testing_log::writer::LogWriter;
use attestore::verify::manifest::reader::Manifest;
use attestore::verify::manifest::request::CaptureRequest;
use attestore::verify::objects::dir::DirSource;
use attestore::verify::sql::connect::access::Access;
use sqlx::{ConnectOptions, Connection};

/// The log's origin.
pub const ORIGIN: &str = "example.com/drill-tests";

/// A laid estate.
pub struct Estate {
    /// Its folder.
    pub folder: PathBuf,
}

impl Estate {
    /// Lays keys, log, vaults, manifests and configuration into `folder`.
    pub async fn lay(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let estate = Self { folder: folder.to_owned() };
        let key = SigningKey::generate(&estate.path("attestore.key")).unwrap();
        let hash_key = HashKey::create(&estate.path("attestore.hashkey")).unwrap();
        let tool = attestore::drill::context::tool();
        let mut log = LogWriter::create(&estate.path("log"), ORIGIN, &key, tool).unwrap();
        for dir in ["vault/app", "vault/files/good/deep", "manifests/app", "manifests/files"] {
            std::fs::create_dir_all(estate.path(dir)).unwrap();
        }
        database(&estate.path("vault/app/good.db"), 7).await;
        for (name, text) in [("a.txt", "alpha"), ("deep/b.txt", "beta"), ("c+ d\n.txt", "gamma")] {
            std::fs::write(estate.path("vault/files/good").join(name), text.repeat(2000)).unwrap();
        }
        // The damaged copies are other points; their manifests are captured of the good state, as if at backup time.
        for point in ["good.db", "bad.db"] {
            let url = SourceUrl::Sqlite { path: estate.path("vault/app/good.db") };
            let mut request = CaptureRequest::new(estate.path("manifests/app").join(point), CaptureMode::Sealed);
            request.recovery_point_id = Some(PointId::local(&"app".into(), point));
            let signer = Some((ORIGIN, &key));
            attestore::verify::sql::capture::capture(&url, &Access::default(), &request, &hash_key, signer, &Silent).await.unwrap();
            estate.register(&mut log, "app", &request.out);
        }
        for point in ["good", "bad"] {
            let source = DirSource::open(&estate.path("vault/files/good")).unwrap();
            let mut request = CaptureRequest::new(estate.path("manifests/files").join(point), CaptureMode::Sealed);
            request.recovery_point_id = Some(PointId::local(&"files".into(), point));
            attestore::verify::objects::capture::capture(&source, &request, Some((ORIGIN, &key)), &Silent).await.unwrap();
            estate.register(&mut log, "files", &request.out);
        }
        log.checkpoint().unwrap();
        database(&estate.path("vault/app/bad.db"), 8).await;
        let bad = estate.path("vault/files/bad");
        std::fs::create_dir_all(&bad).unwrap();
        std::fs::write(bad.join("a.txt"), "alpha".repeat(1999) + "alphb").unwrap();
        std::fs::write(bad.join("c+ d\n.txt"), "gamma".repeat(2000)).unwrap();
        std::fs::write(bad.join("extra.txt"), "x").unwrap();
        estate.configure("");
        estate
    }

    /// Writes the configuration; `more` is appended.
    pub fn configure(&self, more: &str) {
        let text = format!(
            r#"version = 1
[log]
path = "log"
origin = "{ORIGIN}"
[keys]
signing = "attestore.key"
hash = "attestore.hashkey"
[class.c]
rto = "1h"
rpo = "7d"
test_period = "90d"
[[resource]]
id = "app"
application = "bookings"
kind = "files"
class = "c"
source = "sqlite:app.db"
manifests = "manifests/app"
[[resource.points]]
from = "local"
path = "vault/app"
[[resource]]
id = "files"
application = "bookings"
kind = "files"
class = "c"
source = "dir:files"
manifests = "manifests/files"
[[resource.points]]
from = "local"
path = "vault/files"
{more}"#
        );
        std::fs::write(self.path("attestore.toml"), text).unwrap();
    }

    /// A path in the folder.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.folder.join(relative)
    }

    /// The same estate in another folder.
    pub fn copy_to(&self, folder: &Path) -> Self {
        copy(&self.folder, folder);
        Self { folder: folder.to_owned() }
    }

    /// Registers a manifest.
    pub fn register(&self, log: &mut LogWriter, resource: &str, manifest: &Path) {
        let manifest = Manifest::open(manifest).unwrap();
        let header = manifest.header();
        let body = ManifestRegistered {
            manifest: manifest.digest(),
            resource: ResourceId(resource.into()),
            recovery_point_id: header.recovery_point_id.clone(),
            mode: header.mode,
            captured_end: header.captured_end,
            root: header.root,
        };
        log.append(Body::ManifestRegistered(body), Actor::tool("test"), &mut |_, _| Ok(())).unwrap();
    }

    /// Runs the program in the estate's folder.
    pub fn run(&self, args: &[&str], kill_after: Option<u64>) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_attestore"));
        command.args(args).current_dir(&self.folder).env_remove("AWS_PROFILE").env(BETWEEN, "100");
        if let Some(n) = kill_after {
            command.env("ATTESTORE_TEST_KILL_AFTER", n.to_string());
        }
        command.output().unwrap()
    }

    /// The log's verdict.
    pub fn verdict(&self) -> Verdict {
        let key = SigningKey::load(&self.path("attestore.key")).unwrap().verifying_key();
        verify(&self.path("log"), &key, &VerifyOptions::default()).unwrap()
    }

    /// The kinds of the log's entries, as far as they can be read while it is written.
    pub fn log_kinds(&self) -> Vec<String> {
        let Ok(listing) = std::fs::read_dir(self.path("log/entries")) else { return Vec::new() };
        let kind = |path: PathBuf| {
            let entry: serde_json::Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
            Some(entry["kind"].as_str()?.to_owned())
        };
        listing.filter_map(|entry| kind(entry.ok()?.path())).collect()
    }

    /// Results in the log by point.
    pub fn results(&self) -> Vec<PointResult> {
        let mut results: Vec<PointResult> = self
            .verdict()
            .entries
            .into_iter()
            .filter_map(|entry| match entry.body {
                Body::PointResult(result) => Some(*result),
                _ => None,
            })
            .collect();
        results.sort_by(|a, b| a.rp.id.cmp(&b.rp.id));
        results
    }

    /// What stands in the working directory.
    pub fn leftovers(&self) -> Vec<String> {
        let Ok(listing) = std::fs::read_dir(self.path("attestore-work")) else { return Vec::new() };
        listing.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }
}

/// A small database; one row depends on `seats`.
pub async fn database(path: &Path, seats: i64) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    sqlx::query("CREATE TABLE booking (id INTEGER PRIMARY KEY, guest TEXT NOT NULL, seats INTEGER NOT NULL)")
        .execute(&mut connection)
        .await
        .unwrap();
    for id in 0..50_i64 {
        sqlx::query("INSERT INTO booking VALUES (?, ?, ?)")
            .bind(id)
            .bind(format!("guest {id}"))
            .bind(if id == 30 { seats } else { id })
            .execute(&mut connection)
            .await
            .unwrap();
    }
    connection.close().await.unwrap();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}
