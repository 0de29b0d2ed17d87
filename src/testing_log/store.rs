//! The log as a directory: one file an entry, one a checkpoint, evidence beside them.
//!
//! ```text
//! log.json                       origin, genesis verifier key, schema (immutable)
//! entries/00000000.json          the exact leaf bytes
//! checkpoints/00000007           signed note; the name is the tree size        00000007.sshsig
//! evidence/sha256/ab/HEX         zstd, named by the digest of the clear bytes
//! keys/KEYID.pem  KEYID.vkey  allowed_signers
//! ```
//!
//! A file appears whole or not at all: it is written and synced under another name, then linked without overwriting, then its directory
//! is synced. A crash in between leaves a `.new-…` file that readers pass over and the next writer removes.
//! Evidence has a file of its own beside this one. Not here: what entries mean, and whether any of it holds together; `writer` and `verify` look at that.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::model::canonical_json;
use crate::model::failure::{Failure, FailureKind};
use crate::signing::keys::VerifyingKey;
use crate::signing::sshsig;
use crate::testing_log::entry::{Entry, LIMIT_BYTES};
use crate::testing_log::pages::Joiner;

/// The schema of `log.json`.
pub const SCHEMA: &str = "attestore/log/v1";

const TEMPORARY: &str = ".new-";

/// `log.json`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct About {
    /// [`SCHEMA`]
    pub schema: String,
    /// The log's name, which is its signer's name too.
    pub origin: String,
    /// The verifier key that the log began with: `NAME+KEYID+BASE64`.
    pub verifier_key: String,
}

/// An existing log.
#[derive(Clone, Debug)]
pub struct LogDir {
    path: PathBuf,
    about: About,
    genesis_key: VerifyingKey,
}

/// What lies in the directories, by name.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Numbers of entries.
    pub entries: BTreeSet<u64>,
    /// Sizes of checkpoints.
    pub checkpoints: BTreeSet<u64>,
    /// Sizes that have an SSH signature.
    pub sshsigs: BTreeSet<u64>,
    /// Files that the layout has no place for, relative to the log.
    pub strange: Vec<String>,
}

impl LogDir {
    /// Opens the log at `path`. That there is none is [`FailureKind::Invalid`]: a log is made by an explicit command, never silently.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let file = path.join("log.json");
        let bytes = read_limited(&file, LIMIT_BYTES).map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => {
                Failure::invalid(format!("testing log {shown}: expected a log with log.json in it, found none"))
                    .hint("`attestore init` makes one; a missing log is never made silently")
            }
            _ => Failure::io(format!("cannot read {}", file.display()), error),
        })?;
        let wrong = |what: String| {
            Failure::new(FailureKind::BadEvidence, format!("testing log {shown}: log.json {what}"))
                .hint("take the log from its last copy that verifies")
        };
        let about: About = serde_json::from_slice(&bytes).map_err(|error| wrong(format!("is not what it should be: {error}")))?;
        if about.schema != SCHEMA {
            return Err(wrong(format!("has schema `{}`, expected `{SCHEMA}`", about.schema)));
        }
        let (name, genesis_key) = VerifyingKey::from_vkey(&about.verifier_key).map_err(|error| wrong(format!("has {error}")))?;
        if name != about.origin {
            return Err(wrong(format!("names origin `{}` and a verifier key of `{name}`", about.origin)));
        }
        Ok(Self { path: path.to_owned(), about, genesis_key })
    }

    /// Lays an empty log into the existing directory `path`: everything but entries and checkpoints.
    pub(super) fn lay(path: &Path, origin: &str, key: &VerifyingKey) -> Result<Self, Failure> {
        let about = About { schema: SCHEMA.to_owned(), origin: origin.to_owned(), verifier_key: key.to_vkey(origin) };
        let dir = Self { path: path.to_owned(), about, genesis_key: *key };
        for part in ["entries", "checkpoints", "evidence", "evidence/sha256", "keys"] {
            let part = path.join(part);
            fs::create_dir(&part).map_err(|error| Failure::io(format!("cannot create {}", part.display()), error))?;
        }
        let about = canonical_json::to_bytes(&dir.about).expect("three strings are canonical");
        put_new(&path.join("log.json"), &about)?;
        dir.publish_key(key)?;
        Ok(dir)
    }

    /// Puts a public key beside the log, for convenience only: whoever verifies brings their own copy.
    pub(super) fn publish_key(&self, key: &VerifyingKey) -> Result<(), Failure> {
        let (keys, id) = (self.path.join("keys"), hex::encode(key.key_id(self.origin())));
        put_same(&keys.join(format!("{id}.pem")), key.to_pem().as_bytes())?;
        put_same(&keys.join(format!("{id}.vkey")), format!("{}\n", key.to_vkey(self.origin())).as_bytes())?;
        let allowed = keys.join("allowed_signers");
        let line = sshsig::allowed_signers_line(self.origin(), key);
        let mut text = fs::read_to_string(&allowed).unwrap_or_default();
        if !text.contains(&line) {
            text += &line;
            replace(&allowed, text.as_bytes())?;
        }
        Ok(())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        &self.about.origin
    }

    /// The key that the log says it began with.
    pub fn genesis_key(&self) -> &VerifyingKey {
        &self.genesis_key
    }

    /// Looks into the directories.
    pub fn listing(&self) -> Result<Listing, Failure> {
        let mut listing = Listing::default();
        for name in self.names("entries")? {
            match name.strip_suffix(".json").and_then(number) {
                Some(index) => drop(listing.entries.insert(index)),
                None => listing.strange.push(format!("entries/{name}")),
            }
        }
        for name in self.names("checkpoints")? {
            match (number(&name), name.strip_suffix(".sshsig").and_then(number)) {
                (Some(size), _) => drop(listing.checkpoints.insert(size)),
                (_, Some(size)) => drop(listing.sshsigs.insert(size)),
                _ if is_later_format(&name) => {}
                _ => listing.strange.push(format!("checkpoints/{name}")),
            }
        }
        listing.strange.sort();
        Ok(listing)
    }

    /// The path of entry `index`.
    pub fn entry_path(&self, index: u64) -> PathBuf {
        self.path.join(format!("entries/{index:08}.json"))
    }

    /// The path of the checkpoint of `size` leaves.
    pub fn checkpoint_path(&self, size: u64) -> PathBuf {
        self.path.join(format!("checkpoints/{size:08}"))
    }

    /// The path of the SSH signature over that checkpoint.
    pub fn sshsig_path(&self, size: u64) -> PathBuf {
        self.path.join(format!("checkpoints/{size:08}.sshsig"))
    }

    /// The leaf bytes of entry `index`; at most one byte more than an entry may have, so that what is too long is seen to be.
    pub fn entry_bytes(&self, index: u64) -> Result<Vec<u8>, Failure> {
        let path = self.entry_path(index);
        read_limited(&path, LIMIT_BYTES).map_err(|error| Failure::io(format!("cannot read {}", path.display()), error))
    }

    /// Entry `index`, parsed and otherwise unverified.
    pub fn entry(&self, index: u64) -> Result<Entry, Failure> {
        Entry::parse(&self.entry_bytes(index)?).map_err(|error| self.bad_entry(index, &error))
    }

    /// All entries in order, parsed, their lists whole, and otherwise unverified.
    pub fn entries(&self) -> Result<impl Iterator<Item = Result<Entry, Failure>>, Failure> {
        let indexes = self.listing()?.entries;
        let mut joiner = Joiner::default();
        Ok(indexes.into_iter().map(move |index| joiner.join(self.entry(index)?).map_err(|(_, what)| self.bad_entry(index, &what))))
    }

    fn bad_entry(&self, index: u64, what: &dyn std::fmt::Display) -> Failure {
        Failure::new(FailureKind::BadEvidence, format!("entry {index} of the testing log {}: {what}", self.path.display()))
            .hint("run `attestore log verify` on it; what was sealed is compared with the copy that its auditor keeps")
    }

    /// The text of the checkpoint of `size` leaves.
    pub fn checkpoint_text(&self, size: u64) -> Result<String, Failure> {
        read_text(&self.checkpoint_path(size))
    }

    /// The text of the SSH signature over that checkpoint.
    pub fn sshsig_text(&self, size: u64) -> Result<String, Failure> {
        read_text(&self.sshsig_path(size))
    }

    pub(super) fn put_entry(&self, index: u64, bytes: &[u8]) -> Result<(), Failure> {
        put_new(&self.entry_path(index), bytes)
    }

    /// The SSH signature goes first: a checkpoint without one would be a fault, a signature without its checkpoint is merely early.
    pub(super) fn put_checkpoint(&self, size: u64, note: &str, sshsig: &str) -> Result<(), Failure> {
        put_same(&self.sshsig_path(size), sshsig.as_bytes())?;
        put_same(&self.checkpoint_path(size), note.as_bytes())
    }

    /// Takes the advisory lock that serialises writers; held until the file is dropped.
    pub(super) fn lock(&self) -> Result<File, Failure> {
        let path = self.path.join(".lock");
        let failed = |error| Failure::io(format!("cannot lock the testing log {}", self.path.display()), error);
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        let mut patience = 50;
        loop {
            match file.try_lock() {
                // A child process that is just being started holds a copy of our files until it runs its own program.
                Err(fs::TryLockError::WouldBlock) if patience > 0 => {
                    patience -= 1;
                    std::thread::sleep(std::time::Duration::from_millis(10));
                }
                locked => break self.locked(file, locked),
            }
        }
    }

    fn locked(&self, file: File, locked: Result<(), fs::TryLockError>) -> Result<File, Failure> {
        match locked {
            Ok(()) => Ok(file),
            Err(fs::TryLockError::WouldBlock) => Err(Failure::new(
                FailureKind::Interrupted,
                format!("testing log {}: expected to be its only writer, found that another process writes to it", self.path.display()),
            )
            .hint("wait until the other attestore has ended, then run the same command again")),
            Err(fs::TryLockError::Error(error)) => Err(Failure::io(format!("cannot lock the testing log {}", self.path.display()), error)),
        }
    }

    /// Removes what crashed writers left under temporary names; only while the lock is held.
    pub(super) fn remove_leftovers(&self) -> Result<(), Failure> {
        for part in ["", "entries", "checkpoints", "keys", "evidence/sha256"] {
            let part = self.path.join(part);
            let failed = |error| Failure::io(format!("cannot tidy {}", part.display()), error);
            let listing = match fs::read_dir(&part) {
                // Evidence may be erased, its directory with it; what else is not there is told when the log is read.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                listing => listing.map_err(failed)?,
            };
            for found in listing {
                let found = found.map_err(failed)?;
                if found.file_name().to_string_lossy().starts_with(TEMPORARY) {
                    fs::remove_file(found.path()).map_err(failed)?;
                }
            }
        }
        Ok(())
    }

    /// Names in a part of the log, without those that start with a dot.
    pub(super) fn names(&self, part: &str) -> Result<Vec<String>, Failure> {
        let path = self.path.join(part);
        let failed = |error| Failure::io(format!("cannot list {}", path.display()), error);
        let mut names = Vec::new();
        for found in fs::read_dir(&path).map_err(failed)? {
            let name = found.map_err(failed)?.file_name().to_string_lossy().into_owned();
            if !name.starts_with('.') {
                names.push(name);
            }
        }
        Ok(names)
    }
}

/// Files that stand beside checkpoints in later versions: time-stamp tokens and witness cosignatures.
fn is_later_format(name: &str) -> bool {
    name.split_once('.').is_some_and(|(size, rest)| number(size).is_some() && (rest == "tsr" || rest.starts_with("w-")))
}

/// A number as file names spell it: eight digits or more, zeros in front only up to eight.
fn number(name: &str) -> Option<u64> {
    let index: u64 = name.parse().ok()?;
    (format!("{index:08}") == name).then_some(index)
}

fn read_limited(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn read_text(path: &Path) -> Result<String, Failure> {
    let failed = |error| Failure::io(format!("cannot read {}", path.display()), error);
    let bytes = read_limited(path, 1_000_000).map_err(failed)?;
    // Other bytes than text cannot verify; how they are wrong is told where they are verified.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A file under a name that readers pass over.
pub(super) fn temporary(dir: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    builder.tempfile_in(dir)
}

/// Syncs the file, gives it its name without overwriting, syncs the directory.
pub(super) fn keep(file: tempfile::NamedTempFile, path: &Path) -> io::Result<()> {
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    sync_dir(path.parent().unwrap_or(Path::new(".")))
}

/// Makes a new name in a directory last.
pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Writes a file that must not be there yet.
fn put_new(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let write = || {
        let mut file = temporary(path.parent().unwrap_or(Path::new(".")))?;
        file.write_all(bytes)?;
        keep(file, path)
    };
    write().map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Failure::new(
            FailureKind::BadEvidence,
            format!("{}: expected no such file yet, found one that this writer did not write", path.display()),
        )
        .hint("somebody else writes to this log; run `attestore log verify` on it before anything is added"),
        _ => Failure::io(format!("cannot write {}", path.display()), error),
    })
}

/// Writes a file that may be there already, with the same bytes.
fn put_same(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    match fs::read(path) {
        Ok(found) if found == bytes => Ok(()),
        _ => put_new(path, bytes),
    }
}

fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let write = || {
        let parent = path.parent().unwrap_or(Path::new("."));
        let mut file = temporary(parent)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        sync_dir(parent)
    };
    write().map_err(|error| Failure::io(format!("cannot write {}", path.display()), error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::keys::SigningKey;

    fn laid() -> (tempfile::TempDir, LogDir) {
        let dir = tempfile::tempdir().unwrap();
        let log = LogDir::lay(dir.path(), "log", &SigningKey::from_seed(&[1; 32]).verifying_key()).unwrap();
        (dir, log)
    }

    #[test]
    fn a_missing_log_is_a_usage_error_and_is_not_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        assert_eq!(LogDir::open(&path).unwrap_err().kind, FailureKind::Invalid);
        assert_eq!(LogDir::open(dir.path()).unwrap_err().kind, FailureKind::Invalid);
        assert!(!path.exists());
    }

    #[test]
    fn entries_are_never_overwritten_and_strange_files_are_named() {
        let (_dir, log) = laid();
        log.put_entry(0, b"{}").unwrap();
        assert_eq!(log.put_entry(0, b"[]").unwrap_err().kind, FailureKind::BadEvidence);
        assert_eq!(log.entry_bytes(0).unwrap(), b"{}");
        for name in ["entries/1.json", "entries/00000002.txt", "checkpoints/00000001.tsr", "checkpoints/notes", "entries/.new-abc"] {
            fs::write(log.path().join(name), b"").unwrap();
        }
        let listing = log.listing().unwrap();
        assert_eq!(listing.entries, BTreeSet::from([0]));
        assert_eq!(listing.strange, ["checkpoints/notes", "entries/00000002.txt", "entries/1.json"]);
        log.remove_leftovers().unwrap();
        assert!(!log.path().join("entries/.new-abc").exists());
    }

    #[test]
    fn one_writer_at_a_time() {
        let (_dir, log) = laid();
        let held = log.lock().unwrap();
        assert_eq!(log.lock().unwrap_err().kind, FailureKind::Interrupted);
        drop(held);
        assert!(log.lock().is_ok());
    }
}
