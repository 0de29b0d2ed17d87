//! What a database backup in a file or a folder is, by its first bytes and its last: dumps of PostgreSQL and of MySQL and MariaDB, and
//! physical copies of their data directories.
//!
//! Not here: loading them (`loading`, `physical`).

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use crate::engines::installed::EngineKind;
use crate::engines::product::{self, Product};
use crate::model::failure::{Failure, FailureKind};

/// A backup that can be brought back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dump {
    /// `pg_dump -Fc` or `-Ft`: a file.
    PostgresArchive,
    /// `pg_dump -Fd`: a folder.
    PostgresFolder,
    /// `pg_dump` as SQL.
    PostgresPlain,
    /// A PostgreSQL data directory.
    PostgresData,
    /// A dump of a MySQL server as SQL.
    MysqlPlain,
    /// A dump of a MariaDB server as SQL.
    MariadbPlain,
    /// A MySQL data directory, cold or prepared by XtraBackup.
    MysqlData,
    /// A MariaDB data directory, cold or prepared by mariadb-backup.
    MariadbData,
}

impl Dump {
    /// The server that it was taken from, and belongs into.
    pub fn engine(self) -> EngineKind {
        match self {
            Self::PostgresArchive | Self::PostgresFolder | Self::PostgresPlain | Self::PostgresData => EngineKind::Postgres,
            Self::MysqlPlain | Self::MysqlData => EngineKind::MySql,
            Self::MariadbPlain | Self::MariadbData => EngineKind::MariaDb,
        }
    }

    /// The server that is tried where its own is not installed; a data directory is read by no other.
    pub fn stand_in(self) -> Option<EngineKind> {
        match self {
            Self::MysqlPlain => Some(EngineKind::MariaDb),
            Self::MariadbPlain => Some(EngineKind::MySql),
            _ => None,
        }
    }

    /// Whether it is a data directory, which a server is started over.
    pub fn is_data_directory(self) -> bool {
        matches!(self, Self::PostgresData | Self::MysqlData | Self::MariadbData)
    }

    /// In words.
    pub fn title(self) -> &'static str {
        match self {
            Self::PostgresArchive => "an archive of pg_dump",
            Self::PostgresFolder => "a folder of pg_dump",
            Self::PostgresPlain => "an SQL dump of pg_dump",
            Self::PostgresData => "a data directory of PostgreSQL",
            Self::MysqlPlain => "an SQL dump of MySQL",
            Self::MariadbPlain => "an SQL dump of MariaDB",
            Self::MysqlData => "a data directory of MySQL",
            Self::MariadbData => "a data directory of MariaDB",
        }
    }
}

/// Why a backup did not come back.
#[derive(Debug)]
pub enum Unloaded {
    /// The backup itself: cut short, of another format, refused by its own engine. A verdict on the backup.
    Damaged(String),
    /// Something else: the engine is not installed or of another version, the disk is full. No verdict on the backup.
    Failed(Failure),
}

impl From<Failure> for Unloaded {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Whether a data directory is one of MySQL from 8.0 on without the file that all its names are in: it has the folder of its log or its undo logs,
/// and in its own database none of the files in which servers before it, and MariaDB, keep what tables are.
fn lost_dictionary(path: &Path) -> bool {
    let is_mysql = ["#innodb_redo", "undo_001", "mysql.ibd"].iter().any(|part| path.join(part).exists());
    let own = std::fs::read_dir(path.join("mysql")).into_iter().flatten().flatten();
    is_mysql && !own.map(|entry| entry.path()).any(|file| file.extension().is_some_and(|ending| ending == "frm"))
}

/// So much of a file's beginning and end is looked at.
const LOOK: u64 = 8 << 10;

/// What lies at `path`, whole as far as its first and last bytes tell.
pub fn recognise(path: &Path) -> Result<Dump, Unloaded> {
    let about = |error| Failure::io(format!("cannot look at {}", path.display()), error);
    if path.metadata().map_err(about)?.is_dir() {
        return match () {
            () if path.join("toc.dat").is_file() => Ok(Dump::PostgresFolder),
            () if path.join("PG_VERSION").is_file() => Ok(Dump::PostgresData),
            () if path.join("ibdata1").is_file() && path.join(product::DICTIONARY).is_file() => Ok(Dump::MysqlData),
            () if path.join("ibdata1").is_file() && lost_dictionary(path) => {
                let what = format!("a data directory of MySQL that has lost its dictionary ({})", product::DICTIONARY);
                Err(Unloaded::Damaged(format!("{}: {what}", path.display())))
            }
            () if path.join("ibdata1").is_file() && path.join("mysql").is_dir() => Ok(Dump::MariadbData),
            () if path.join("ibdata1.delta").is_file() => {
                let at = path.display();
                Err(elsewhere(format!("{at}: an incremental copy: prepare it with the whole one that it goes with, and keep that")))
            }
            () => {
                let message = format!(
                    "{}: expected a folder of pg_dump (toc.dat) or a data directory (PG_VERSION, or ibdata1 and mysql), found none of them",
                    path.display()
                );
                // Something of a data directory without what it begins with, or nothing at all, is one that has lost it.
                let parts = ["global", "base", "pg_wal", "ibdata1", "mysql", "ib_logfile0"];
                let empty = std::fs::read_dir(path).map_err(about)?.next().is_none();
                let lost = empty || parts.iter().any(|part| path.join(part).exists());
                Err(if lost { Unloaded::Damaged(message) } else { elsewhere(format!("{message}: a form that is not read here")) })
            }
        };
    }
    // A pipe or a device would be waited for, or has no end.
    if !path.is_file() {
        return Err(elsewhere(format!("{}: expected a file or a folder, found neither", path.display())));
    }
    let mut file = File::open(path).map_err(about)?;
    let length = file.metadata().map_err(about)?.len();
    let head = head(path).map_err(about)?;
    let dump = format_of(&head).ok_or_else(|| {
        let expected = "expected a dump of pg_dump, mysqldump or mariadb-dump, found";
        match other_form(&head) {
            Some(form) => elsewhere(format!("{}: {expected} {form}", path.display())),
            None => Unloaded::Damaged(format!("{}: {expected} {}", path.display(), unknown(&head))),
        }
    })?;
    let marker = match dump {
        Dump::PostgresPlain => "-- PostgreSQL database dump complete",
        Dump::MysqlPlain | Dump::MariadbPlain => "-- Dump completed",
        // Archives say themselves where they end.
        _ => return Ok(dump),
    };
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(length.saturating_sub(LOOK))).map_err(about)?;
    file.take(LOOK).read_to_end(&mut tail).map_err(about)?;
    if contains(&tail, marker.as_bytes()) {
        return Ok(dump);
    }
    Err(Unloaded::Damaged(format!(
        "{}: {} that ends without its line `{marker}`: it was cut short, or written without comments and cannot be told from one that was",
        path.display(),
        dump.title()
    )))
}

/// What wrote the backup at `path`; nothing where that is not written in it, or where nothing hangs on it.
pub fn written_by(dump: Dump, path: &Path) -> Option<Product> {
    match dump {
        Dump::MysqlPlain | Dump::MariadbPlain => product::of_script(&head(path).ok()?),
        Dump::MysqlData => product::of_data(path),
        _ => None,
    }
}

/// So much of a file's beginning as is looked at.
fn head(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)?.take(LOOK).read_to_end(&mut head).map(|_| head)
}

/// The format of a file by its first bytes.
pub fn format_of(head: &[u8]) -> Option<Dump> {
    if wide(head) {
        return None;
    }
    // The first member of a tar archive of pg_dump is its table of contents.
    if head.starts_with(b"PGDMP") || (head.starts_with(b"toc.dat\0") && head.get(257..262) == Some(b"ustar")) {
        return Some(Dump::PostgresArchive);
    }
    if [&b"-- PostgreSQL database dump\n"[..], b"-- PostgreSQL database dump\r\n"].iter().any(|title| contains(head, title)) {
        return Some(Dump::PostgresPlain);
    }
    let product = product::of_script(head)?;
    Some(if product.engine == EngineKind::MariaDb { Dump::MariadbPlain } else { Dump::MysqlPlain })
}

/// A form of backup that is known and not read here: that says nothing of what is in it.
fn other_form(head: &[u8]) -> Option<&'static str> {
    match head {
        [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("a file compressed twice: unpack it once"),
        [b'B', b'Z', b'h', ..] | [0xfd, b'7', b'z', b'X', b'Z', ..] | [0x04, 0x22, 0x4d, 0x18, ..] => {
            Some("a file compressed twice: unpack it once")
        }
        [b'P', b'K', 3, 4, ..] | [b'7', b'z', 0xbc, 0xaf, ..] | [0x89, b'L', b'Z', b'O', ..] => {
            Some("a file compressed in a way that is not read here: keep it unpacked, or with gzip, Zstandard, xz, bzip2 or LZ4")
        }
        [b'X', b'B', b'S', b'T', b'C', b'K', ..] => {
            Some("a stream of mariadb-backup: unpack it with mbstream, prepare it, and name the folder")
        }
        _ if wide(head) => {
            Some("a text with a byte order mark, which an editor or a shell has put there: write it as the dump's program does, in UTF-8")
        }
        // OpenPGP's packets of encrypted keys (RFC 9580, 4.2), in the old form and the new.
        [0x84 | 0x85 | 0x8c | 0xc1 | 0xc3, ..] => Some("an encrypted file: decrypt it"),
        _ if [&b"-----BEGIN PGP MESSAGE"[..], b"age-encryption.org/", b"-----BEGIN AGE", b"Salted__"]
            .iter()
            .any(|start| head.starts_with(start)) =>
        {
            Some("an encrypted file: decrypt it")
        }
        _ if head.get(257..262) == Some(b"ustar") => Some("a tar archive: unpack it, and name the folder"),
        _ if contains(head, b"-- PostgreSQL database cluster dump") => {
            Some("a dump of a whole cluster: keep one dump a database (pg_dump)")
        }
        _ if ["-- Dump created by MySQL pump utility", "-- phpMyAdmin SQL Dump", "-- Adminer ", "-- HeidiSQL "]
            .iter()
            .any(|by| contains(head, by.as_bytes())) =>
        {
            Some("a script of another program, which does not say whether it was cut short: write it with mysqldump or mariadb-dump")
        }
        _ if head.starts_with(b"<?xml") && contains(head, b"<mysqldump") => {
            Some("a dump in XML, which is not read here: write it without --xml")
        }
        _ if [
            &b"/*M!999999"[..],
            b"/*!40101 SET",
            b"/*!40103 SET",
            b"/*!50503 SET",
            b"SET @MYSQLDUMP_TEMP_LOG_BIN",
            b"SET @@SESSION.SQL_LOG_BIN",
        ]
        .iter()
        .any(|start| head.trim_ascii_start().starts_with(start)) =>
        {
            Some(
                "a dump without comments, which cannot be told from one that was cut short: write it without --skip-comments and --compact",
            )
        }
        _ => None,
    }
}

/// Text that begins with a byte order mark (RFC 3629, section 6; RFC 2781): of UTF-8 or UTF-16.
fn wide(head: &[u8]) -> bool {
    head.starts_with(b"\xef\xbb\xbf") || head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff")
}

fn unknown(head: &[u8]) -> String {
    if head.is_empty() {
        return "an empty file".to_owned();
    }
    let start: String = head.iter().take(24).flat_map(|byte| byte.escape_ascii()).map(char::from).collect();
    format!("`{start}…`")
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// A failure of the surroundings and not of the backup.
pub fn elsewhere(message: impl Into<String>) -> Unloaded {
    Unloaded::Failed(Failure::new(FailureKind::Absent, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_known_by_their_first_bytes_and_cut_ones_by_their_last() {
        let dir = tempfile::tempdir().unwrap();
        let of = |name: &str, text: &[u8]| {
            std::fs::write(dir.path().join(name), text).unwrap();
            recognise(&dir.path().join(name))
        };
        assert_eq!(of("a", b"PGDMP\x01").unwrap(), Dump::PostgresArchive);
        let plain = "--\n-- PostgreSQL database dump\n--\n\nSELECT 1;\n--\n-- PostgreSQL database dump complete\n--\n\n";
        assert_eq!(of("b", plain.as_bytes()).unwrap(), Dump::PostgresPlain);
        let sandboxed = "/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19\n-- Dump completed on 2026-01-31\n";
        assert_eq!(of("c", sandboxed.as_bytes()).unwrap(), Dump::MariadbPlain);
        assert_eq!(of("d", b"-- MySQL dump 10.13\n-- Dump completed").unwrap(), Dump::MysqlPlain);
        let damaged: [(&str, &[u8], &str); 3] =
            [("e", &plain.as_bytes()[..50], "ends without its line"), ("f", b"", "empty file"), ("h", b"hello", "`hello")];
        for (name, text, said) in damaged {
            let Err(Unloaded::Damaged(message)) = of(name, text) else { panic!("{name} was taken for a dump") };
            assert!(message.contains(said), "{message}");
        }
        let tar = [&b"backup_label"[..], &[0; 245], b"ustar"].concat();
        assert_eq!(of("p", plain.replace('\n', "\r\n").as_bytes()).unwrap(), Dump::PostgresPlain);
        let marked = format!("\u{feff}{plain}");
        let others: [(&str, &[u8], &str); 15] = [
            ("v", b"-- Dump created by MySQL pump utility, version: 8.0.41\n", "another program"),
            ("w", b"-- phpMyAdmin SQL Dump\n-- version 5.2.1\n", "another program"),
            ("s", b"\n/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;\n", "without comments"),
            ("t", b"SET @MYSQLDUMP_TEMP_LOG_BIN = @@SESSION.SQL_LOG_BIN;\n", "without comments"),
            ("u", b"<?xml version=\"1.0\"?>\n<mysqldump xmlns:xsi=\"x\">\n", "a dump in XML"),
            ("q", marked.as_bytes(), "byte order mark"),
            ("r", b"\xff\xfe-\0-\0", "byte order mark"),
            ("g", b"BZh91AY", "compressed"),
            ("l", b"PK\x03\x04", "compressed"),
            ("m", b"Salted__12345678", "encrypted"),
            ("n", b"\x85\x02\x0c\x03", "encrypted"),
            ("o", b"XBSTCK01", "mbstream"),
            ("i", b"-- PostgreSQL database cluster dump\n", "whole cluster"),
            ("j", b"/*M!999999\\- enable the sandbox mode */\n", "without comments"),
            ("k", &tar, "tar archive"),
        ];
        for (name, text, said) in others {
            let Err(Unloaded::Failed(failure)) = of(name, text) else { panic!("{name} is called damaged") };
            assert!(failure.message.contains(said), "{failure}");
        }
        assert!(matches!(recognise(dir.path()), Err(Unloaded::Failed(_))), "a folder of something else");
        for (folder, inside) in [("empty", ""), ("headless", "global"), ("rest", "mysql")] {
            std::fs::create_dir_all(dir.path().join(folder).join(inside)).unwrap();
            assert!(matches!(recognise(&dir.path().join(folder)), Err(Unloaded::Damaged(_))), "{folder}");
        }
        assert!(matches!(recognise(&dir.path().join("absent")), Err(Unloaded::Failed(_))));
        for folder in ["lost/mysql", "lost/#innodb_redo"] {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        std::fs::write(dir.path().join("lost/ibdata1"), "x").unwrap();
        let Err(Unloaded::Damaged(said)) = recognise(&dir.path().join("lost")) else { panic!("taken for another's") };
        assert!(said.contains("MySQL that has lost its dictionary (mysql.ibd)"), "{said}");
        std::fs::write(dir.path().join("lost/mysql/db.frm"), "x").unwrap();
        assert_eq!(recognise(&dir.path().join("lost")).unwrap(), Dump::MariadbData, "MariaDB has undo logs of that name too");
        std::fs::create_dir_all(dir.path().join("incremental/mysql")).unwrap();
        std::fs::write(dir.path().join("incremental/ibdata1.delta"), "x").unwrap();
        let Err(Unloaded::Failed(failure)) = recognise(&dir.path().join("incremental")) else { panic!("a verdict") };
        assert!(failure.message.contains("an incremental copy"), "{failure}");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_format_or_none(head in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400)) {
            let _ = format_of(&head);
            proptest::prop_assert!(!unknown(&head).is_empty());
        }
    }
}
