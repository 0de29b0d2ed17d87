//! SQLite files: read only, nothing written beside them, and a copy with a hot journal or WAL still opens.
//!
//! | Beside the file | How it is opened |
//! |---|---|
//! | nothing, rollback mode | `mode=ro`: takes shared locks as any reader does, writes nothing |
//! | nothing, WAL mode | `immutable=1`: a reader would have to create the shared-memory file |
//! | WAL and shared memory | `mode=ro`: someone has it open |
//! | WAL without shared memory, or a rollback journal | a temporary copy, recovered there (sqlite.org/wal.html, /lockingv3.html) |

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;

use crate::model::failure::{Failure, FailureKind};
use crate::verify::sql::connect::errors;
use crate::verify::sql::definitions::kinds::Definitions;
use crate::verify::sql::definitions::sqlite as definitions;
use crate::verify::sql::last_value::{Form, Last};
use crate::verify::sql::reading::{Delivery, Engine, ReadError};
use crate::verify::sql::rows::sqlite_decode::TextEncoding;
use crate::verify::sql::rows::table::{Column, Table, Wire, double_quoted};
use crate::verify::sql::sqlite::rows::{self, locked};

/// An open file.
pub struct SqliteSession {
    shown: String,
    path: PathBuf,
    /// One connection, so that everything is read in one snapshot; whoever reads has it.
    connection: Arc<Mutex<Connection>>,
    encoding: TextEncoding,
    engine: Engine,
    /// Whether a writer has to wait for as long as it is read.
    locks_out_writers: bool,
    /// Where the recovered copy lives; removed with the session.
    _copy: Option<tempfile::TempDir>,
}

impl SqliteSession {
    /// Opens the file; `shown` is its URL.
    pub async fn open(shown: &str, path: &Path) -> Result<Self, Failure> {
        let way = Way::to(path)?;
        let failed = |error| errors::sqlite_failure(shown, error);
        let connection = way.connection().map_err(failed)?;
        for statement in ["PRAGMA query_only = on", "PRAGMA trusted_schema = off", "PRAGMA cell_size_check = on", "BEGIN"] {
            connection.execute_batch(statement).map_err(failed)?;
        }
        let version = connection.query_row("SELECT sqlite_version()", [], |row| row.get(0)).map_err(failed)?;
        // The first look into the file: a file that is no database says so here.
        let encoding: String = connection.query_row("PRAGMA encoding", [], |row| row.get(0)).map_err(failed)?;
        let encoding = match encoding.as_str() {
            "UTF-16le" => TextEncoding::Utf16Le,
            "UTF-16be" => TextEncoding::Utf16Be,
            _ => TextEncoding::Utf8,
        };
        let engine = Engine { name: "sqlite", version };
        let locks_out_writers = way.locks_out_writers();
        let connection = Arc::new(Mutex::new(connection));
        Ok(Self { shown: shown.to_owned(), path: path.to_owned(), connection, encoding, engine, locks_out_writers, _copy: way.copy })
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Its tables, shadow tables of virtual ones included (there the content is), virtual tables and views not.
    pub async fn tables(&mut self) -> Result<Vec<Table>, Failure> {
        catalogue(&locked(&self.connection)).map_err(|error| errors::sqlite_failure(&self.shown, error))
    }

    /// What it defines beside tables.
    pub async fn definitions(&mut self) -> Result<Definitions, Failure> {
        definitions::definitions(&locked(&self.connection)).map_err(|error| errors::sqlite_failure(&self.shown, error))
    }

    /// What it takes to read it.
    pub fn grants(&self) -> Vec<String> {
        let path = self.path.display().to_string();
        let mut lines = vec![format!("-- read permission on {} and its -wal file; nothing is written", path.escape_debug())];
        lines.extend(self.caution().map(|said| format!("-- {}", said.escape_debug())));
        lines
    }

    /// What whoever writes to the file should know before all of it is read.
    pub fn caution(&self) -> Option<String> {
        let said = "it is in rollback-journal mode: as long as it is read, its shared lock is held, and whoever writes to it waits or is told \
                    `database is locked`; read a copy, or set journal_mode = WAL";
        self.locks_out_writers.then(|| format!("{}: {said}", self.shown))
    }

    /// The rows of a small question whose columns are texts.
    pub async fn ask(&mut self, question: &str) -> Result<Vec<Vec<String>>, Failure> {
        let connection = locked(&self.connection);
        let failed = |error| errors::sqlite_failure(&self.shown, error);
        let mut statement = connection.prepare(question).map_err(failed)?;
        let columns = statement.column_count();
        let text = |row: &rusqlite::Row<'_>, at| {
            Ok(match row.get_ref(at)? {
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                _ => String::new(),
            })
        };
        let rows = statement.query_map([], |row| (0..columns).map(|at| text(row, at)).collect());
        rows.map_err(failed)?.collect::<Result<_, _>>().map_err(failed)
    }

    /// The greatest value of a column.
    pub async fn greatest(&mut self, table: &Table, column: &str) -> Result<Option<Last>, Failure> {
        // As text a real has 15 digits, and 17 tell every one of them from its neighbours.
        let question = format!(
            "SELECT typeof(last), CASE typeof(last) WHEN 'real' THEN printf('%!.17g', last) WHEN 'blob' THEN hex(last) ELSE CAST(last AS TEXT) END \
             FROM (SELECT max({} COLLATE BINARY) AS last FROM {}{})",
            double_quoted(column),
            table.sql_name,
            table.conditions(&[])
        );
        let asked =
            locked(&self.connection).query_row(&question, [], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?)));
        let (class, text) = asked.map_err(|error| errors::sqlite_failure(&self.shown, error))?;
        let form = match class.as_str() {
            "integer" | "real" => Form::Number,
            "blob" => Form::Bytes,
            _ => Form::Text,
        };
        Ok(text.map(|text| Last { text, form: Some(form) }))
    }

    /// The file's change counter (bytes 24 to 27 of its header), its length and the WAL's.
    pub async fn position(&mut self) -> Value {
        let mut counter = [0; 4];
        let read = std::fs::File::open(&self.path).and_then(|file| std::os::unix::fs::FileExt::read_exact_at(&file, &mut counter, 24));
        let length = |path: &Path| std::fs::metadata(path).map_or(0, |meta| meta.len());
        let wal = length(&beside(&self.path, "-wal"));
        json!({"change_counter": read.map_or(0, |()| u32::from_be_bytes(counter)), "bytes": length(&self.path), "wal_bytes": wal})
    }

    /// Which file it is.
    pub fn identity(&self) -> Option<Value> {
        let meta = std::fs::metadata(&self.path).ok()?;
        Some(json!([meta.dev(), meta.ino()]))
    }

    /// Which file it is and when it, and what lies beside it, was last written. The time of the last change of its inode is part of it: whoever
    /// puts the time of writing back changes that one (POSIX, `utimensat`).
    pub fn standing(&self) -> Option<Value> {
        let of = |path: &Path| {
            let meta = std::fs::metadata(path).ok()?;
            Some(json!([meta.dev(), meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()]))
        };
        let beside: Vec<Option<Value>> = ["-wal", "-journal"].into_iter().map(|suffix| of(&beside(&self.path, suffix))).collect();
        Some(json!({"file": of(&self.path)?, "beside": beside}))
    }

    /// Streams a table.
    pub async fn read(&mut self, table: &Table, columns: &[usize], delivery: Delivery<'_>) -> Result<u64, ReadError> {
        rows::read(&self.connection, self.encoding, table, columns, delivery).await
    }

    /// Closes the file.
    pub async fn close(self) {
        drop(self);
    }
}

fn catalogue(connection: &Connection) -> Result<Vec<Table>, rusqlite::Error> {
    const TABLES: &str = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'shadow') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    let mut statement = connection.prepare(TABLES)?;
    let names: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    names.into_iter().map(|name| table(connection, name)).collect()
}

fn table(connection: &Connection, name: String) -> Result<Table, rusqlite::Error> {
    let (mut columns, mut left_out, mut key) = (Vec::new(), Vec::new(), Vec::new());
    let mut statement = connection.prepare_cached("SELECT name, type, \"notnull\", pk, hidden FROM pragma_table_xinfo(?)")?;
    let mut rows = statement.query([&name])?;
    while let Some(row) = rows.next()? {
        let (column, declared): (String, String) = (row.get(0)?, row.get(1)?);
        let (not_null, place, hidden): (i64, i64, i64) = (row.get(2)?, row.get(3)?, row.get(4)?);
        // 2: virtual generated; 3: stored generated; 1: hidden column of a virtual table.
        if hidden == 2 {
            left_out.push(format!("{column}: virtual generated column"));
            continue;
        }
        if place > 0 {
            key.push((place, column.clone()));
        }
        columns.push(Column { name: column, type_text: declared, nullable: not_null == 0, generated: hidden == 3, wire: Wire::Sqlite });
    }
    key.sort();
    let key: Vec<String> = key.into_iter().map(|(_, name)| name).collect();
    let mut table = Table::new(name.clone(), double_quoted(&name), columns, &key);
    table.left_out = left_out;
    table.constraints = constraints(connection, &name)?;
    Ok(table)
}

fn constraints(connection: &Connection, table: &str) -> Result<Vec<String>, rusqlite::Error> {
    const UNIQUE: &str = "SELECT l.name, group_concat(i.name, ', ') FROM pragma_index_list(?) l, pragma_index_info(l.name) i WHERE l.\"unique\" = 1 GROUP BY l.name";
    const REFERENCES: &str = "SELECT \"table\", group_concat(\"from\", ', '), group_concat(coalesce(\"to\", ''), ', ') FROM pragma_foreign_key_list(?) GROUP BY id, \"table\"";
    let mut lines = Vec::new();
    let mut statement = connection.prepare_cached(UNIQUE)?;
    let mut rows = statement.query([table])?;
    while let Some(row) = rows.next()? {
        let columns: Option<String> = row.get(1)?;
        lines.push(format!("UNIQUE ({})", columns.unwrap_or_default()));
    }
    let mut statement = connection.prepare_cached(REFERENCES)?;
    let mut rows = statement.query([table])?;
    while let Some(row) = rows.next()? {
        let (to, from, at): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        lines.push(format!("FOREIGN KEY ({from}) REFERENCES {to} ({at})"));
    }
    Ok(lines)
}

/// How a file is opened without writing beside it.
struct Way {
    path: PathBuf,
    read_only: bool,
    /// Nobody writes to it: no locks, and no shared memory beside it.
    immutable: bool,
    /// It is in WAL mode.
    wal: bool,
    /// The copy where one was needed.
    copy: Option<tempfile::TempDir>,
}

/// The same for the driver, which runs SQL checks, and the copy where one was needed.
pub fn options(path: &Path) -> Result<(SqliteConnectOptions, Option<tempfile::TempDir>), Failure> {
    let way = Way::to(path)?;
    let options = SqliteConnectOptions::new().filename(&way.path).create_if_missing(false);
    Ok((if way.read_only { options.read_only(true).immutable(way.immutable) } else { options }, way.copy))
}

impl Way {
    fn connection(&self) -> Result<Connection, rusqlite::Error> {
        let access = if self.read_only { OpenFlags::SQLITE_OPEN_READ_ONLY } else { OpenFlags::SQLITE_OPEN_READ_WRITE };
        let flags = access | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let name = percent_encode(std::os::unix::ffi::OsStrExt::as_bytes(self.path.as_os_str()), NON_ALPHANUMERIC);
        let immutable = if self.immutable { "?immutable=1" } else { "" };
        Connection::open_with_flags(format!("file:{name}{immutable}"), flags)
    }

    /// In rollback mode, and the file itself: what reads a WAL or a copy of its own is in nobody's way.
    fn locks_out_writers(&self) -> bool {
        self.read_only && !self.immutable && !self.wal
    }

    fn to(path: &Path) -> Result<Self, Failure> {
        let what = || format!("sqlite:{}", path.display());
        let meta = std::fs::metadata(path).map_err(|error| Failure::io(what(), error).hint("check the path of the database file"))?;
        if !meta.is_file() {
            return Err(Failure::invalid(format!("{}: expected a database file, found a directory", what())));
        }
        let mut head = [0; 20];
        let file = std::fs::File::open(path).map_err(|error| Failure::io(what(), error))?;
        let read = std::os::unix::fs::FileExt::read_exact_at(&file, &mut head, 0);
        if meta.len() > 0 && (read.is_err() || !head.starts_with(b"SQLite format 3\0")) {
            return Err(Failure::new(FailureKind::Remote, format!("{}: the file is not a SQLite database", what()))
                .hint("expected a file that begins with `SQLite format 3`"));
        }
        // SQLite would wait for whoever writes into a pipe.
        let is_odd = |suffix: &&&str| std::fs::metadata(beside(path, suffix)).is_ok_and(|meta| !meta.is_file());
        if let Some(suffix) = ["-wal", "-shm", "-journal"].iter().find(is_odd) {
            let said =
                format!("{}: expected a file beside it, found something else under the name {}", what(), beside(path, suffix).display());
            return Err(Failure::invalid(said).hint("take it away, or copy the database once more with what belongs to it"));
        }
        let holds = |suffix: &str| std::fs::metadata(beside(path, suffix)).is_ok_and(|meta| meta.len() > 0);
        let (wal, shared, journal) = (holds("-wal"), holds("-shm"), holds("-journal"));
        if journal && let Some(several) = names_super_journal(&beside(path, "-journal")).map_err(|error| Failure::io(what(), error))? {
            let said =
                format!("{}: its rollback journal belongs to a transaction over several databases, which `{several}` decides", what());
            // Nothing is wrong with the file: what decides it is elsewhere.
            return Err(Failure::new(FailureKind::Refused, said).hint(
                "whether that transaction was committed is not told by the copy, and playing it back would remove that file; \
                 copy with `VACUUM INTO` or the online backup API, or when nothing is written",
            ));
        }
        if (wal && !shared) || journal {
            let copy = copy_with(path, &["-wal", "-journal"]).map_err(|error| Failure::io(format!("{}: cannot copy it", what()), error))?;
            return Ok(Self { path: copy.path().join("database"), read_only: false, immutable: false, wal: false, copy: Some(copy) });
        }
        let wal_mode = head[18] == 2;
        Ok(Self { path: path.to_owned(), read_only: true, immutable: wal_mode && !wal, wal: wal_mode, copy: None })
    }
}

/// The super-journal that a rollback journal names at its end: the name, its length, a checksum and the magic (sqlite.org/fileformat2.html,
/// "The Rollback Journal"; sqlite.org/atomiccommit.html, 5.5). SQLite looks that file up wherever it is, and deletes it once it has played
/// the journal back.
fn names_super_journal(journal: &Path) -> std::io::Result<Option<String>> {
    const MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    const TAIL: u64 = 16;
    let file = std::fs::File::open(journal)?;
    let size = file.metadata()?.len();
    let Some(name_end) = size.checked_sub(TAIL) else { return Ok(None) };
    let mut tail = [0; TAIL as usize];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut tail, name_end)?;
    if tail[8..] != MAGIC {
        return Ok(None);
    }
    let length = u64::from(u32::from_be_bytes([tail[0], tail[1], tail[2], tail[3]])).min(name_end).min(4096);
    let mut name = vec![0; length as usize];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut name, name_end - length)?;
    Ok(Some(String::from_utf8_lossy(&name).escape_debug().to_string()))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn copy_with(path: &Path, suffixes: &[&str]) -> std::io::Result<tempfile::TempDir> {
    let dir = tempfile::tempdir()?;
    std::fs::copy(path, dir.path().join("database"))?;
    for suffix in suffixes {
        let from = beside(path, suffix);
        if from.exists() {
            std::fs::copy(from, dir.path().join(format!("database{suffix}")))?;
        }
    }
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_lies_beside_a_database_and_is_no_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
        for suffix in ["-wal", "-shm", "-journal"] {
            std::fs::create_dir(beside(&path, suffix)).unwrap();
            let failure = SqliteSession::open("sqlite:a.db", &path).await.err().unwrap();
            assert!(failure.kind == FailureKind::Invalid && failure.message.contains(suffix), "{failure}");
            std::fs::remove_dir(beside(&path, suffix)).unwrap();
        }
        assert!(SqliteSession::open("sqlite:a.db", &path).await.is_ok());
    }

    #[tokio::test]
    async fn a_file_that_was_written_to_stands_elsewhere_whatever_its_time_says() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (1)").unwrap();
        let session = SqliteSession::open("sqlite:a.db", &path).await.unwrap();
        let (before, meta) = (session.standing(), std::fs::metadata(&path).unwrap());
        assert!(before.is_some());
        assert_eq!(session.standing(), before);
        let bytes = std::fs::read(&path).unwrap();
        // A clock of files may take some milliseconds to its next step.
        loop {
            std::fs::write(&path, &bytes).unwrap();
            std::fs::File::options().write(true).open(&path).unwrap().set_modified(meta.modified().unwrap()).unwrap();
            let now = std::fs::metadata(&path).unwrap();
            assert_eq!((now.mtime(), now.mtime_nsec(), now.len()), (meta.mtime(), meta.mtime_nsec(), meta.len()));
            if (now.ctime(), now.ctime_nsec()) != (meta.ctime(), meta.ctime_nsec()) {
                break;
            }
        }
        assert_ne!(session.standing(), before);
    }
}
