//! The journal: every intent on disk before its call. SQLite in WAL mode with `synchronous=FULL`, one append-only table.
//!
//! A record is fsynced when [`Journal::record`] returns. What the records add up to is `steps`; nothing is ever updated or
//! deleted. SQLite is driven from a thread of its own, so that records can be written from synchronous places too (the testing
//! log asks before it writes a leaf).

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, mpsc};

use sqlx::Row;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};

use crate::model::clock::Timestamp;
use crate::model::failure::{Failure, FailureKind};
use crate::model::ids::{CaseId, DrillId};
use crate::restore::records::Record;
use crate::restore::steps::{CaseFacts, DrillFacts, State};

/// The file's name, beside the configuration.
pub const FILE_NAME: &str = "attestore.journal";

/// Test hook, only with the feature `sandbox`: the process kills itself (SIGKILL) right after so many records of its own.
#[cfg(feature = "sandbox")]
pub const KILL_AFTER: &str = "ATTESTORE_TEST_KILL_AFTER";

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS record (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at_micros INTEGER NOT NULL,
    drill TEXT NOT NULL,
    case_id TEXT,
    name TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT";

/// The journal of one estate.
pub struct Journal {
    path: PathBuf,
    // Locked for the whole of a record, so that records land in the order in which they were judged.
    inner: Mutex<Inner>,
    writer: Option<std::thread::JoinHandle<()>>,
}

struct Inner {
    state: State,
    /// Set when a write failed: memory is then ahead of the file, and nothing more may follow.
    broken: bool,
    /// Nothing once the journal is being dropped.
    to_writer: Option<mpsc::Sender<Request>>,
}

struct Request {
    at: Timestamp,
    drill: String,
    case: Option<String>,
    name: &'static str,
    body: String,
    answer: mpsc::Sender<Result<(), sqlx::Error>>,
}

type Rows = Vec<(i64, i64, String, String)>;

impl Journal {
    /// Opens the journal at `path`, creating an empty one, and replays it.
    ///
    /// # Errors
    /// [`FailureKind::Invalid`] where the file is something else, [`FailureKind::Disk`] where it cannot be opened or written,
    /// [`FailureKind::BadEvidence`] where its records make no sense.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let (to_writer, requests) = mpsc::channel();
        let (opened, answer) = mpsc::channel();
        let file = path.to_owned();
        let writer = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || serve(&file, &opened, &requests))
            .map_err(|error| Failure::io(format!("journal {}", path.display()), error))?;
        let rows = answer.recv().map_err(|_| gone(path))?.map_err(|error| strange(path, error))?;
        let mut state = State::default();
        for (seq, at, drill, body) in rows {
            let bad = |error: &dyn std::fmt::Display| {
                Failure::new(FailureKind::BadEvidence, format!("journal {}: record {seq}: {error}", path.display()))
                    .hint("the journal was changed by hand or written by another version; keep it, and look at what stands with `attestore sweep`")
            };
            let record: Record = serde_json::from_str(&body).map_err(|error| bad(&error))?;
            state.apply(&DrillId(drill), Timestamp(at), &record).map_err(|error| bad(&error))?;
        }
        let inner = Mutex::new(Inner { state, broken: false, to_writer: Some(to_writer) });
        Ok(Self { path: path.to_owned(), inner, writer: Some(writer) })
    }

    /// Writes one record; it is on disk when this returns.
    pub fn record(&self, drill: &DrillId, record: Record) -> Result<(), Failure> {
        self.record_at(drill, Timestamp::now(), record)
    }

    /// As [`Self::record`], at a stated time.
    pub fn record_at(&self, drill: &DrillId, at: Timestamp, record: Record) -> Result<(), Failure> {
        let mut inner = self.lock();
        if inner.broken {
            return Err(Failure::new(
                FailureKind::Disk,
                format!("journal {}: an earlier record could not be written", self.path.display()),
            ));
        }
        inner.state.apply(drill, at, &record).map_err(|error| {
            Failure::new(FailureKind::BadEvidence, format!("journal {}: {error}", self.path.display())).caused_by(error)
        })?;
        inner.broken = true;
        let body = serde_json::to_string(&record)
            .map_err(|error| Failure::invalid(format!("journal: record `{}`: {error}", record.name())).caused_by(error))?;
        let (answer, answered) = mpsc::channel();
        let case = record.case().map(|case| case.0.clone());
        let request = Request { at, drill: drill.0.clone(), case, name: record.name(), body, answer };
        inner.to_writer.as_ref().ok_or_else(|| gone(&self.path))?.send(request).map_err(|_| gone(&self.path))?;
        answered.recv().map_err(|_| gone(&self.path))?.map_err(|error| broken(&self.path, error))?;
        inner.broken = false;
        Ok(())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A copy of everything that it says.
    pub fn state(&self) -> State {
        self.lock().state.clone()
    }

    /// One drill.
    pub fn drill(&self, drill: &DrillId) -> Option<DrillFacts> {
        self.lock().state.drills.get(drill).cloned()
    }

    /// One case; of a case that never began, nothing.
    pub fn case(&self, drill: &DrillId, case: &CaseId) -> CaseFacts {
        self.lock().state.drills.get(drill).and_then(|drill| drill.cases.get(case)).cloned().unwrap_or_default()
    }

    /// Whether we ever meant to write this leaf: a leaf that nobody here intended is a stranger's.
    pub fn knows_leaf(&self, index: u64, hash: crate::model::digest::Digest32) -> bool {
        self.lock().state.leaves.contains(&(index, hash))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no panic while held")
    }
}

impl Drop for Journal {
    /// Waits until the file is closed in order: whoever copies the journal then copies all of it.
    fn drop(&mut self) {
        if let Ok(inner) = self.inner.get_mut() {
            inner.to_writer = None;
        }
        if let Some(writer) = self.writer.take() {
            // A panic of the writer was told as a failed record.
            let _ = writer.join();
        }
    }
}

fn gone(path: &Path) -> Failure {
    Failure::new(FailureKind::Disk, format!("journal {}: its writer has ended", path.display()))
}

fn broken(path: &Path, error: sqlx::Error) -> Failure {
    Failure::new(FailureKind::Disk, format!("journal {}: {error}", path.display()))
        .hint("the journal must be writable and its disk must have room: nothing is created without it")
        .caused_by(error)
}

/// A file that opens and is no journal is a mistake of whoever put it there; anything else is the disk's.
fn strange(path: &Path, error: sqlx::Error) -> Failure {
    let code = error.as_database_error().and_then(|error| error.code()).and_then(|code| code.parse::<i64>().ok());
    // The primary result codes of SQLite: 26 no database, 11 malformed, 1 a table of other columns.
    let found = match code.map(|code| code & 0xff) {
        Some(26) => "no SQLite database",
        Some(11) => "a SQLite database that is damaged",
        Some(1) => "a SQLite database of something else",
        _ => return broken(path, error),
    };
    Failure::invalid(format!("journal {}: expected the journal of the drills of this configuration, found {found}", path.display()))
        .hint(
            "put the journal back that lies beside the configuration; where it is lost, move this file away: a drill that it did not \
             finish is then ended with `attestore drill --abandon ID`, and `attestore sweep` shows what stands",
        )
        .caused_by(error)
}

/// The writer's thread: opens, hands the rows over, then writes until the journal is dropped.
fn serve(path: &Path, opened: &mpsc::Sender<Result<Rows, sqlx::Error>>, requests: &mpsc::Receiver<Request>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = opened.send(Err(sqlx::Error::Io(error)));
            return;
        }
    };
    runtime.block_on(async {
        let mut connection = match open(path).await {
            Ok((connection, rows)) => {
                let _ = opened.send(Ok(rows));
                connection
            }
            Err(error) => {
                let _ = opened.send(Err(error));
                return;
            }
        };
        let mut written: u64 = 0;
        while let Ok(request) = requests.recv() {
            let done = insert(&mut connection, &request).await;
            if done.is_ok() {
                written += 1;
                kill_for_tests(written);
            }
            let _ = request.answer.send(done);
        }
        // A connection that is closed in order leaves no WAL file behind.
        let _ = connection.close().await;
    });
}

async fn open(path: &Path) -> Result<(SqliteConnection, Rows), sqlx::Error> {
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(std::time::Duration::from_secs(10))
        .connect()
        .await?;
    sqlx::query(SCHEMA).execute(&mut connection).await?;
    let rows = sqlx::query("SELECT seq, at_micros, drill, body FROM record ORDER BY seq").fetch_all(&mut connection).await?;
    let rows = rows
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?)))
        .collect::<Result<Rows, sqlx::Error>>()?;
    Ok((connection, rows))
}

async fn insert(connection: &mut SqliteConnection, request: &Request) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO record (at_micros, drill, case_id, name, body) VALUES (?, ?, ?, ?, ?)")
        .bind(request.at.0)
        .bind(&request.drill)
        .bind(&request.case)
        .bind(request.name)
        .bind(&request.body)
        .execute(connection)
        .await
        .map(|_| ())
}

#[cfg(feature = "sandbox")]
fn kill_for_tests(written: u64) {
    let after = std::env::var(KILL_AFTER).ok().and_then(|text| text.parse::<u64>().ok());
    if after == Some(written) {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

#[cfg(not(feature = "sandbox"))]
fn kill_for_tests(_written: u64) {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::{Digest32, Sha256Digest};
    use crate::restore::records::DrillOpened;
    use crate::testing_log::body::Trigger;

    #[test]
    fn records_survive_and_illegal_ones_are_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        let drill = DrillId::from("d1");
        let opened = Record::DrillOpened {
            drill: DrillOpened {
                drill: drill.clone(),
                seq: 1,
                began_at: Timestamp::now(),
                service_ahead_ms: None,
                deadline_at: Timestamp::now(),
                title: "t".into(),
                trigger: Trigger::Manual,
                config: Sha256Digest::of(b"x"),
                nonce: "ab".into(),
            },
        };
        let leaf = Digest32::sha256(b"leaf");
        {
            let journal = Journal::open(&path).unwrap();
            journal.record(&drill, opened.clone()).unwrap();
            journal.record(&drill, Record::LeafIntended { index: 4, hash: leaf }).unwrap();
            let twice = journal.record(&drill, opened).unwrap_err();
            assert_eq!(twice.kind, FailureKind::BadEvidence);
        }
        let journal = Journal::open(&path).unwrap();
        assert_eq!(journal.state().unfinished().len(), 1);
        assert!(journal.knows_leaf(4, leaf) && !journal.knows_leaf(5, leaf));
        journal.record(&drill, Record::DrillClosed {}).unwrap();
        assert!(journal.state().unfinished().is_empty());
    }

    #[test]
    fn a_file_that_is_no_journal_is_named_as_a_mistake() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        std::fs::write(&path, "# notes of somebody\n".repeat(100)).unwrap();
        let before = std::fs::read(&path).unwrap();
        let failure = Journal::open(&path).err().unwrap();
        assert_eq!((failure.kind, failure.kind.exit_code().code()), (FailureKind::Invalid, 2), "{failure}");
        assert!(failure.message.contains(FILE_NAME) && failure.message.contains("no SQLite database"), "{failure}");
        assert_eq!(std::fs::read(&path).unwrap(), before, "not touched");
        let other = folder.path().join("other.db");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut other = SqliteConnectOptions::new().filename(&other).create_if_missing(true).connect().await.unwrap();
            sqlx::query("CREATE TABLE record (title TEXT)").execute(&mut other).await.unwrap();
            other.close().await.unwrap();
        });
        let failure = Journal::open(&other).err().unwrap();
        assert_eq!(failure.kind, FailureKind::Invalid, "{failure}");
        assert!(failure.message.contains("something else"), "{failure}");
    }

    #[test]
    fn a_journal_that_cannot_be_opened_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let error = Journal::open(&folder.path().join("absent/attestore.journal")).err().unwrap();
        assert_eq!(error.kind, FailureKind::Disk);
    }
}
