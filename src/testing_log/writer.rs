//! The one writer of a log: appends entries, seals them with checkpoints, keeps evidence.
//!
//! What a crash leaves behind, step by step: after `before_write` and the signed intent, nothing in the log; after the entry, an unsealed
//! tail that the next writer recognises as its own and seals; after the SSH signature, one that is early; after the checkpoint, a whole
//! log. Nothing is ever overwritten. Not here: whether entries agree with each other; `verify` looks at that.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use crate::model::clock::Timestamp;
use crate::model::digest::{Digest32, Sha256Digest};
use crate::model::failure::{Failure, FailureKind};
use crate::signing::checkpoint::Checkpoint;
use crate::signing::keys::{SigningKey, VerifyingKey};
use crate::signing::merkle::Tree;
use crate::signing::note;
use crate::signing::sshsig;
use crate::testing_log::body::{Genesis, KeyRotated, Tool};
use crate::testing_log::entry::{Actor, Body, Entry, EntryError, Head};
use crate::testing_log::intents;
use crate::testing_log::pages;
use crate::testing_log::store::LogDir;

/// Is told the number and the leaf hash of an entry before it is written, so that a journal knows it after a crash.
pub type BeforeWrite<'a> = &'a mut dyn FnMut(u64, Digest32) -> Result<(), Failure>;

/// One leaf of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leaf {
    /// Its number, counted from 0.
    pub index: u64,
    /// Its leaf hash.
    pub hash: Digest32,
}

/// A log that is open for writing; holds its advisory lock.
#[derive(Debug)]
pub struct LogWriter {
    dir: LogDir,
    key: SigningKey,
    tree: Tree,
    last: Option<Checkpoint>,
    last_at: Timestamp,
    tail: Vec<Leaf>,
    /// The tail ends with a rotation to this key, which a crash kept from being sealed.
    rotating_to: Option<VerifyingKey>,
    _lock: File,
}

impl LogWriter {
    /// Makes a log at `path`, which must not exist or be an empty directory: genesis entry and first checkpoint. It appears whole or not
    /// at all. `origin` names the log and its signer: no spaces, no `+`.
    pub fn create(path: &Path, origin: &str, key: &SigningKey, tool: Tool) -> Result<Self, Failure> {
        Self::create_at(path, origin, key, tool, Timestamp::now())
    }

    /// The same with a genesis entry that is dated `at`, for imports and tests.
    pub fn create_at(path: &Path, origin: &str, key: &SigningKey, tool: Tool, at: Timestamp) -> Result<Self, Failure> {
        let shown = path.display();
        note::check_name(origin).map_err(|error| {
            Failure::invalid(format!("testing log {shown}: {error}")).hint("an origin looks like `example.com/restore-tests`")
        })?;
        if path.exists() && path.read_dir().map_or(true, |mut found| found.next().is_some()) {
            return Err(Failure::invalid(format!(
                "testing log {shown}: expected no such directory, or an empty one; found something in it"
            ))
            .hint("a log is never made over another; choose another path"));
        }
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let failed = |error| Failure::io(format!("cannot create the testing log {shown}"), error);
        let draft = tempfile::Builder::new().prefix(".attestore-log-").tempdir_in(parent).map_err(failed)?;
        let dir = LogDir::lay(draft.path(), origin, &key.verifying_key())?;
        let lock = dir.lock()?;
        let mut writer = Self {
            dir,
            key: key.clone(),
            tree: Tree::new(),
            last: None,
            last_at: Timestamp(i64::MIN),
            tail: Vec::new(),
            rotating_to: None,
            _lock: lock,
        };
        let genesis = Genesis { verifier_key: key.verifying_key().to_vkey(origin), tool };
        writer.append_at(at, Body::Genesis(genesis), Actor::tool("attestore init"), &mut |_, _| Ok(()))?;
        writer.checkpoint()?;
        drop(writer);
        #[cfg(unix)]
        std::fs::set_permissions(draft.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).map_err(failed)?;
        std::fs::rename(draft.path(), path).map_err(failed)?;
        // The directory has another name now: there is nothing left to remove.
        let _ = draft.keep();
        File::open(parent).and_then(|parent| parent.sync_all()).map_err(failed)?;
        Self::open(path, key.clone())
    }

    /// Opens a log for writing. Refuses when another process writes, when `key` is not the log's, when the last checkpoint does not hold,
    /// or when an entry after it is not vouched for by `key`: an honest writer must never seal a stranger's entry.
    pub fn open(path: &Path, key: SigningKey) -> Result<Self, Failure> {
        let dir = LogDir::open(path)?;
        let lock = dir.lock()?;
        dir.remove_leftovers()?;
        let bad = |what: String| {
            Failure::new(FailureKind::BadEvidence, format!("testing log {}: {what}", path.display()))
                .hint("run `attestore log verify` on it; nothing was written")
        };
        let listing = dir.listing()?;
        let size = listing.entries.len() as u64;
        if size == 0 || listing.entries.last() != Some(&(size - 1)) {
            return Err(bad(format!("expected entries from 0 on without a gap, found {size} of them with one missing")));
        }
        let Some(&sealed) = listing.checkpoints.last() else {
            return Err(bad("expected a checkpoint, found none".into()));
        };
        let public = key.verifying_key();
        let vouched = intents::vouched(&dir, &public)?;
        let mut writer = Self {
            dir,
            key,
            tree: Tree::new(),
            last: None,
            last_at: Timestamp(i64::MIN),
            tail: Vec::new(),
            rotating_to: None,
            _lock: lock,
        };
        let mut current = *writer.dir.genesis_key();
        for index in 0..size {
            let entry = writer.dir.entry(index)?;
            if entry.seq != index || entry.origin != writer.dir.origin() {
                return Err(bad(format!("entry {index} says that it is number {} of `{}`", entry.seq, entry.origin)));
            }
            match &entry.body {
                Body::KeyRotated(rotated) if index < sealed => current = rotated_key(rotated).map_err(&bad)?,
                Body::KeyRotated(rotated) => writer.rotating_to = Some(rotated_key(rotated).map_err(&bad)?),
                _ => {}
            }
            writer.tree.push_hash(entry.hash);
            writer.last_at = entry.at;
            if index >= sealed {
                if !vouched.contains(&(index, entry.hash)) {
                    return Err(bad(format!("entry {index} lies after the last checkpoint and this key has not written it")));
                }
                writer.tail.push(Leaf { index, hash: entry.hash });
            }
            if index + 1 == sealed {
                writer.last = Some(writer.check_last(sealed, &current).map_err(&bad)?);
            }
        }
        if current != public {
            return Err(Failure::invalid(format!(
                "testing log {}: expected the signing key with id {}, found one with id {}",
                path.display(),
                hex::encode(current.key_id(writer.dir.origin())),
                hex::encode(public.key_id(writer.dir.origin())),
            ))
            .hint("`signing` in attestore.toml must name the key that the log was made with"));
        }
        if writer.last.is_none() {
            return Err(bad(format!("the last checkpoint is of {sealed} entries, found only {size}: it was cut short")));
        }
        Ok(writer)
    }

    fn check_last(&self, size: u64, key: &VerifyingKey) -> Result<Checkpoint, String> {
        let text = self.dir.checkpoint_text(size).map_err(|failure| failure.to_string())?;
        let checkpoint = Checkpoint::verify(&text, key).map_err(|error| format!("checkpoint {size}: {error}"))?;
        if checkpoint.origin != self.dir.origin() || checkpoint.size != size || checkpoint.root != self.tree.root() {
            return Err(format!("checkpoint {size} does not belong to the entries before it"));
        }
        Ok(checkpoint)
    }

    /// Appends an entry dated now. `before_write` is told its number and leaf hash first; its failure writes nothing.
    pub fn append(&mut self, body: Body, actor: Actor, before_write: BeforeWrite<'_>) -> Result<Leaf, Failure> {
        let now = Timestamp::now();
        // Small steps back are what clock synchronisation does; a large one would date everything after it wrongly.
        if self.last_at.0.saturating_sub(now.0) > 60_000_000 {
            return Err(Failure::invalid(format!("the clock says {now}, and the last entry of the testing log is dated {}", self.last_at))
                .hint("set the clock right; entries are never dated before those that they follow"));
        }
        self.append_at(now.max(self.last_at), body, actor, before_write)
    }

    /// Appends an entry dated `at`, for imports and tests; not before the entry that it follows.
    pub fn append_at(&mut self, at: Timestamp, body: Body, actor: Actor, before_write: BeforeWrite<'_>) -> Result<Leaf, Failure> {
        self.not_rotating()?;
        if at < self.last_at {
            return Err(Failure::invalid(format!("an entry dated {at} cannot follow one dated {}", self.last_at)));
        }
        let (head, seq) = (self.head(), self.tree.size());
        match Entry::new(seq, self.dir.origin(), at, head, actor.clone(), body.clone()) {
            Ok(entry) => self.put(&entry, before_write),
            Err(EntryError::TooLong(_)) => self.append_paged(at, body, actor, before_write),
            Err(error) => Err(unwritable(seq, &error)),
        }
    }

    /// Lists that are too long for one entry go into pages before it. A crash in between leaves pages that no entry names.
    fn append_paged(&mut self, at: Timestamp, body: Body, actor: Actor, before_write: BeforeWrite<'_>) -> Result<Leaf, Failure> {
        let mut paged: BTreeMap<String, Vec<Digest32>> = BTreeMap::new();
        let split = pages::split(&body).map_err(|error| unwritable(self.tree.size(), &error))?;
        for page in split.pages {
            let (list, seq) = (page.list.clone(), self.tree.size());
            let entry = Entry::new(seq, self.dir.origin(), at, self.head(), actor.clone(), Body::ListPage(page))
                .map_err(|error| unwritable(seq, &error))?;
            paged.entry(list).or_default().push(self.put(&entry, before_write)?.hash);
        }
        let seq = self.tree.size();
        let entry = Entry::paged((seq, at), self.dir.origin(), self.head(), actor, body, split.rest, paged)
            .map_err(|error| unwritable(seq, &error))?;
        self.put(&entry, before_write)
    }

    fn head(&self) -> Option<Head> {
        self.last.as_ref().map(|last| Head { size: last.size, root: last.root })
    }

    fn put(&mut self, entry: &Entry, before_write: BeforeWrite<'_>) -> Result<Leaf, Failure> {
        before_write(entry.seq, entry.hash)?;
        intents::record(&self.dir, &self.key, entry.seq, &entry.hash)?;
        self.dir.put_entry(entry.seq, &entry.bytes)?;
        self.tree.push_hash(entry.hash);
        self.last_at = entry.at;
        let leaf = Leaf { index: entry.seq, hash: entry.hash };
        self.tail.push(leaf);
        Ok(leaf)
    }

    /// Seals everything written so far; gives the last checkpoint again when nothing was written since.
    pub fn checkpoint(&mut self) -> Result<Checkpoint, Failure> {
        self.not_rotating()?;
        self.seal(None)
    }

    /// Between a rotation and its checkpoint nothing else may happen: that checkpoint carries both signatures.
    fn not_rotating(&self) -> Result<(), Failure> {
        match self.rotating_to {
            None => Ok(()),
            Some(key) => Err(Failure::invalid(format!(
                "testing log {}: a rotation to the key with id {} was cut short",
                self.dir.path().display(),
                hex::encode(key.key_id(self.dir.origin()))
            ))
            .hint("run the rotation again with the same new key")),
        }
    }

    fn seal(&mut self, outgoing: Option<&SigningKey>) -> Result<Checkpoint, Failure> {
        if let (Some(last), true) = (&self.last, self.tail.is_empty()) {
            return Ok(last.clone());
        }
        let checkpoint = Checkpoint { origin: self.dir.origin().to_owned(), size: self.tree.size(), root: self.tree.root() };
        let body = checkpoint.body();
        let mut text = checkpoint.sign(&self.key);
        if let Some(outgoing) = outgoing {
            text += &note::signature_line(self.dir.origin(), outgoing, &body);
        }
        let ssh = sshsig::sign(&self.key, sshsig::CHECKPOINT_NAMESPACE, body.as_bytes());
        self.dir.put_checkpoint(checkpoint.size, &text, &ssh)?;
        self.last = Some(checkpoint.clone());
        self.tail.clear();
        intents::clear(&self.dir)?;
        Ok(checkpoint)
    }

    /// From here on `new` signs. The checkpoint that follows at once carries both signatures. After a crash in between, the same call
    /// goes on where it stopped.
    pub fn rotate(&mut self, new: SigningKey, reason: &str, actor: Actor) -> Result<Checkpoint, Failure> {
        if self.rotating_to != Some(new.verifying_key()) {
            self.checkpoint()?;
            let verifier_key = new.verifying_key().to_vkey(self.dir.origin());
            let body = Body::KeyRotated(KeyRotated { verifier_key, reason: reason.to_owned() });
            self.append(body, actor, &mut |_, _| Ok(()))?;
        }
        self.dir.publish_key(&new.verifying_key())?;
        self.rotating_to = None;
        let outgoing = std::mem::replace(&mut self.key, new);
        self.seal(Some(&outgoing))
    }

    /// Keeps `clear` as evidence and gives the digest to be put into an entry.
    pub fn evidence(&self, clear: &[u8]) -> Result<Sha256Digest, Failure> {
        self.dir.put_evidence(clear)
    }

    /// Leaves after the last checkpoint, all written with this key.
    pub fn tail(&self) -> &[Leaf] {
        &self.tail
    }

    /// The last checkpoint: the beacon of a population that is committed next is `checkpoint:SIZE:ROOTHEX` of it.
    pub fn last_checkpoint(&self) -> &Checkpoint {
        self.last.as_ref().expect("an open log has a checkpoint: `create` makes it and `open` demands it")
    }

    /// How many entries there are.
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The directory, for reading.
    pub fn dir(&self) -> &LogDir {
        &self.dir
    }
}

fn unwritable(seq: u64, error: &EntryError) -> Failure {
    let failure = Failure::invalid(format!("entry {seq} of the testing log cannot be written: {error}"));
    match error {
        EntryError::TooLong(_) => failure.hint("bulk belongs into evidence, with its digest in the entry"),
        _ => failure,
    }
}

fn rotated_key(rotated: &KeyRotated) -> Result<VerifyingKey, String> {
    VerifyingKey::from_vkey(&rotated.verifier_key).map(|(_, key)| key).map_err(|error| format!("a rotation names {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing_log::body::Heartbeat;

    fn tool() -> Tool {
        Tool { name: "attestore".into(), version: "0.0.0".into(), git_commit: None, binary_sha256: None }
    }

    fn beat() -> Body {
        Body::Heartbeat(Heartbeat { note: None })
    }

    fn fresh() -> (tempfile::TempDir, std::path::PathBuf, SigningKey) {
        let dir = tempfile::tempdir().unwrap();
        let (path, key) = (dir.path().join("log"), SigningKey::from_seed(&[5; 32]));
        drop(LogWriter::create(&path, "example.com/log", &key, tool()).unwrap());
        (dir, path, key)
    }

    fn append(writer: &mut LogWriter) -> Leaf {
        writer.append(beat(), Actor::tool("t"), &mut |_, _| Ok(())).unwrap()
    }

    #[test]
    fn a_log_is_made_once_and_never_silently() {
        let (dir, path, key) = fresh();
        assert_eq!(LogWriter::create(&path, "example.com/log", &key, tool()).unwrap_err().kind, FailureKind::Invalid);
        assert_eq!(LogWriter::open(&dir.path().join("none"), key.clone()).unwrap_err().kind, FailureKind::Invalid);
        assert_eq!(LogWriter::create(&dir.path().join("x"), "a b", &key, tool()).unwrap_err().kind, FailureKind::Invalid);
        let names: Vec<_> = dir.path().read_dir().unwrap().map(|found| found.unwrap().file_name()).collect();
        assert_eq!(names, ["log"], "nothing else is left beside it");
        let empty = dir.path().join("empty");
        std::fs::create_dir(&empty).unwrap();
        assert_eq!(LogWriter::create(&empty, "example.com/log", &key, tool()).unwrap().size(), 1);
    }

    #[test]
    fn the_hook_sees_number_and_hash_before_anything_is_written_and_can_say_no() {
        let (_dir, path, key) = fresh();
        let mut writer = LogWriter::open(&path, key).unwrap();
        let entry = writer.dir().entry_path(1);
        let mut seen = None;
        let leaf = writer
            .append(beat(), Actor::tool("t"), &mut |index, hash| {
                assert!(!entry.exists());
                seen = Some(Leaf { index, hash });
                Ok(())
            })
            .unwrap();
        assert_eq!((Some(leaf), writer.tail()), (seen, [leaf].as_slice()));
        let refused = writer.append(beat(), Actor::tool("t"), &mut |_, _| Err(Failure::invalid("no")));
        assert!(refused.is_err() && !writer.dir().entry_path(2).exists() && writer.size() == 2);
    }

    #[test]
    fn a_tail_of_ones_own_is_taken_up_again_and_sealed() {
        let (_dir, path, key) = fresh();
        let mut writer = LogWriter::open(&path, key.clone()).unwrap();
        let (one, two) = (append(&mut writer), append(&mut writer));
        drop(writer);
        let mut writer = LogWriter::open(&path, key.clone()).unwrap();
        assert_eq!(writer.tail(), [one, two]);
        let sealed = writer.checkpoint().unwrap();
        assert_eq!((sealed.size, writer.checkpoint().unwrap()), (3, sealed.clone()));
        drop(writer);
        assert_eq!(*LogWriter::open(&path, key).unwrap().last_checkpoint(), sealed);
    }

    #[test]
    fn a_strangers_entry_is_never_sealed() {
        let (_dir, path, key) = fresh();
        let entry = Entry::new(1, "example.com/log", Timestamp::now(), None, Actor::tool("stranger"), beat()).unwrap();
        std::fs::write(path.join("entries/00000001.json"), &entry.bytes).unwrap();
        let failure = LogWriter::open(&path, key).unwrap_err();
        assert_eq!(failure.kind, FailureKind::BadEvidence);
        assert!(failure.message.contains("has not written it"), "{failure}");
    }

    #[test]
    fn another_key_a_changed_entry_a_gap_and_a_cut_are_refused() {
        let (_dir, path, key) = fresh();
        assert_eq!(LogWriter::open(&path, SigningKey::from_seed(&[6; 32])).unwrap_err().kind, FailureKind::Invalid);
        let mut writer = LogWriter::open(&path, key.clone()).unwrap();
        append(&mut writer);
        writer.checkpoint().unwrap();
        drop(writer);
        let entry = path.join("entries/00000001.json");
        let bytes = std::fs::read(&entry).unwrap();
        let refuse = |what: &str| {
            let failure = LogWriter::open(&path, key.clone()).unwrap_err();
            assert_eq!(failure.kind, FailureKind::BadEvidence, "{what}");
        };
        std::fs::write(&entry, String::from_utf8(bytes.clone()).unwrap().replace("\"t\"", "\"u\"")).unwrap();
        refuse("changed");
        std::fs::remove_file(&entry).unwrap();
        refuse("cut");
        std::fs::write(path.join("entries/00000002.json"), &bytes).unwrap();
        refuse("gap");
        std::fs::remove_file(path.join("entries/00000002.json")).unwrap();
        std::fs::write(&entry, &bytes).unwrap();
        assert!(LogWriter::open(&path, key.clone()).is_ok());
    }

    #[test]
    fn what_crashed_writers_leave_is_tidied_and_a_second_writer_waits_its_turn() {
        let (_dir, path, key) = fresh();
        std::fs::write(path.join("entries/.new-x"), "half an ent").unwrap();
        std::fs::write(path.join(".intents"), "7 torn").unwrap();
        let mut writer = LogWriter::open(&path, key.clone()).unwrap();
        assert!(!path.join("entries/.new-x").exists());
        assert_eq!(LogWriter::open(&path, key.clone()).unwrap_err().kind, FailureKind::Interrupted);
        let leaf = append(&mut writer);
        drop(writer);
        assert_eq!(LogWriter::open(&path, key).unwrap().tail(), [leaf], "a torn line does not swallow the next");
    }

    #[test]
    fn entries_are_not_dated_before_those_they_follow() {
        let (_dir, path, key) = fresh();
        let mut writer = LogWriter::open(&path, key).unwrap();
        let back = writer.append_at(Timestamp::from_secs(0), beat(), Actor::tool("t"), &mut |_, _| Ok(()));
        assert_eq!(back.unwrap_err().kind, FailureKind::Invalid);
        let later = Timestamp::now().plus_secs(3600);
        writer.append_at(later, beat(), Actor::tool("t"), &mut |_, _| Ok(())).unwrap();
        let failure = writer.append(beat(), Actor::tool("t"), &mut |_, _| Ok(())).unwrap_err();
        assert!(failure.message.starts_with("the clock says"), "{failure}");
    }

    #[test]
    fn after_a_rotation_the_new_key_writes_and_a_rotation_cut_short_goes_on() {
        let (_dir, path, key) = fresh();
        let new = SigningKey::from_seed(&[6; 32]);
        let mut writer = LogWriter::open(&path, key.clone()).unwrap();
        let rotated = KeyRotated { verifier_key: new.verifying_key().to_vkey("example.com/log"), reason: "yearly".into() };
        writer.append(Body::KeyRotated(rotated), Actor::human("o"), &mut |_, _| Ok(())).unwrap();
        drop(writer);
        let mut writer = LogWriter::open(&path, key.clone()).unwrap();
        assert!(writer.checkpoint().is_err());
        assert_eq!(writer.rotate(new.clone(), "yearly", Actor::human("o")).unwrap().size, 2);
        append(&mut writer);
        writer.checkpoint().unwrap();
        drop(writer);
        assert!(LogWriter::open(&path, key).is_err());
        assert_eq!(LogWriter::open(&path, new).unwrap().size(), 3);
    }
}
