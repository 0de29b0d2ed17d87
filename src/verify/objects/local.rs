//! Reading a local file that must not change meanwhile: what was listed, what was opened and what is there afterwards are the same.

use std::fs::{File, Metadata};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

use crate::model::clock::Timestamp;
use crate::model::failure::{Failure, FailureKind};
use crate::verify::hashing::{self, Cancel, Digests};
use crate::verify::manifest::request::DigestSet;
use crate::verify::objects::source::Entry;

/// A file that was found to be the one that was listed.
#[derive(Debug)]
pub struct Opened {
    file: File,
    path: PathBuf,
    before: Metadata,
    key: String,
}

/// Opens the file of `entry`, and refuses another one than was listed.
pub fn open(entry: &Entry) -> Result<Opened, Failure> {
    let path = entry.path.clone().ok_or_else(|| Failure::invalid(format!("{} is not a local file", entry.key.escape_debug())))?;
    let key = entry.key.escape_debug().to_string();
    // A link that took the file's place is not followed, and a FIFO does not hang the opening.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = File::options()
        .read(true)
        .custom_flags(flags.bits() as i32)
        .open(&path)
        .map_err(|error| Failure::new(kind(&error), format!("{key}: cannot be opened: {error}")))?;
    let before = file.metadata().map_err(|error| Failure::new(kind(&error), format!("{key}: cannot be looked at: {error}")))?;
    if !before.is_file() || before.len() != entry.size || modified(&before) != entry.modified {
        return Err(changed(&key));
    }
    Ok(Opened { file, path, before, key })
}

impl Opened {
    /// The file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Its length in bytes when it was opened.
    pub fn length(&self) -> u64 {
        self.before.len()
    }

    /// An error of reading it.
    pub fn failure(&self, error: std::io::Error) -> Failure {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => changed(&self.key),
            _ => Failure::new(kind(&error), format!("{}: reading failed: {error}", self.key)),
        }
    }

    /// Holds the file, and what its path leads to now, to what was opened.
    pub fn check_unchanged(&self) -> Result<(), Failure> {
        let stamp = |metadata: &Metadata| {
            (
                metadata.dev(),
                metadata.ino(),
                metadata.len(),
                metadata.mtime(),
                metadata.mtime_nsec(),
                metadata.ctime(),
                metadata.ctime_nsec(),
            )
        };
        let now = [self.file.metadata(), std::fs::symlink_metadata(&self.path)];
        let same = now.iter().all(|metadata| metadata.as_ref().is_ok_and(|metadata| stamp(metadata) == stamp(&self.before)));
        if same { Ok(()) } else { Err(changed(&self.key)) }
    }
}

/// The digests of the file of `entry`, blocking. Whatever stands in the way is a failure of this file alone.
pub fn digest(entry: &Entry, wanted: DigestSet, cancel: &Cancel) -> Result<Digests, Failure> {
    let opened = open(entry)?;
    let digests = hashing::digest_file(opened.file(), opened.length(), wanted, cancel).map_err(|error| opened.failure(error))?;
    opened.check_unchanged()?;
    Ok(digests)
}

/// The time of the last change in microseconds; absent where a manifest has no room for it (beyond 2^53 µs from 1970).
pub fn modified(metadata: &std::fs::Metadata) -> Option<Timestamp> {
    let micros = metadata.mtime().checked_mul(1_000_000)?.checked_add(metadata.mtime_nsec() / 1000)?;
    (micros.unsigned_abs() < 1 << 53).then_some(Timestamp(micros))
}

fn changed(key: &str) -> Failure {
    Failure::new(FailureKind::Remote, format!("{key}: changed while it was read"))
}

/// Errors of one file are never those of the network, which would ask for another attempt.
fn kind(error: &std::io::Error) -> FailureKind {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => FailureKind::Denied,
        std::io::ErrorKind::NotFound => FailureKind::Absent,
        _ => FailureKind::Disk,
    }
}
