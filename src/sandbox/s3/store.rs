//! The handle on the S3 store: one SQLite connection for names and versions, a folder of content-addressed files for large contents.
//!
//! Calls block for as long as SQLite and the disk take (well under a millisecond for one object); the long ones (`snapshot`, `restore`)
//! say so. Not here: S3's wire protocol.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use rusqlite::Connection;

use crate::model::failure::{Failure, FailureKind};
use crate::sandbox::s3::{garbage, schema};

/// The S3 store; clones share it.
#[derive(Clone)]
pub struct S3Store {
    inner: Arc<Inner>,
}

struct Inner {
    dir: PathBuf,
    connection: Mutex<Connection>,
}

impl S3Store {
    /// Opens the store in `dir`, which is created when absent.
    pub fn open(dir: &Path) -> Result<Self, Failure> {
        for folder in ["blobs", "incoming"] {
            let path = dir.join(folder);
            std::fs::create_dir_all(&path).map_err(|error| Failure::io(format!("cannot create {}", path.display()), error))?;
        }
        let path = dir.join("s3.sqlite");
        let open = || -> rusqlite::Result<Connection> {
            let connection = Connection::open(&path)?;
            // Without an fsync per commit a power cut may lose the last moments, a killed process nothing: right for a stand-in.
            // Small contents lie in the database: pages of their size are read by fewer calls, and mapped ones by none.
            connection.execute_batch(
                "PRAGMA page_size=16384; PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA cache_size=-16384; PRAGMA mmap_size=1073741824;",
            )?;
            connection.set_prepared_statement_cache_capacity(64);
            schema::create(&connection)?;
            garbage::collect(dir, &connection)?;
            Ok(connection)
        };
        let connection = open().map_err(|error| {
            Failure::new(FailureKind::Disk, format!("cannot open the S3 store {}: {error}", path.display())).caused_by(error)
        })?;
        Ok(Self { inner: Arc::new(Inner { dir: dir.to_owned(), connection: Mutex::new(connection) }) })
    }

    /// The connection, for as long as the guard lives.
    pub fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic while the lock was held left at most a transaction that SQLite has rolled back.
        self.inner.connection.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The folder of the store.
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// True when a bucket of that name exists.
    pub fn has_bucket(&self, bucket: &str) -> Result<bool, Failure> {
        let connection = self.connection();
        let found = connection.query_row("SELECT 1 FROM bucket WHERE name = ?1", [bucket], |_| Ok(())).map(|()| true);
        found.or_else(|error| if error == rusqlite::Error::QueryReturnedNoRows { Ok(false) } else { Err(broken(error)) })
    }

    /// The buckets by name.
    pub fn bucket_names(&self) -> Result<Vec<String>, Failure> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached("SELECT name FROM bucket ORDER BY name").map_err(broken)?;
        let names = statement.query_map([], |row| row.get(0)).map_err(broken)?.collect::<Result<_, _>>();
        names.map_err(broken)
    }
}

/// The store's own database does not do what it always does.
pub fn broken(error: rusqlite::Error) -> Failure {
    Failure::new(FailureKind::Disk, format!("the sandbox's S3 store does not answer: {error}")).caused_by(error)
}
