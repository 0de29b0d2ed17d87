//! The one writer of a log: appends entries, seals them with checkpoints, keeps evidence.
//!
//! What a crash leaves behind, step by step: after `before_write` and the signed intent, nothing in the log; after the entry, an unsealed
//! tail that the next writer recognises as its own and seals; after the SSH signature, one that is early; after the checkpoint, a whole
//! log. Nothing is ever overwritten. Not here: whether entries agree with each other; `verify` looks at that.

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
    _lock: File,
}

impl LogWriter {
    /// Makes a log at `path`, which must not exist or be an empty directory: genesis entry and first checkpoint. It appears whole or not
    /// at all. `origin` names the log and its signer: no spaces, no `+`.
    pub fn create(path: &Path, origin: &str, key: &SigningKey, tool: Tool) -> Result<Self, Failure> {
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
        let mut writer =
            Self { dir, key: key.clone(), tree: Tree::new(), last: None, last_at: Timestamp(i64::MIN), tail: Vec::new(), _lock: lock };
        let genesis = Genesis { verifier_key: key.verifying_key().to_vkey(origin), tool };
        writer.append(Body::Genesis(genesis), Actor::tool("attestore init"), &mut |_, _| Ok(()))?;
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
        let mut writer = Self { dir, key, tree: Tree::new(), last: None, last_at: Timestamp(i64::MIN), tail: Vec::new(), _lock: lock };
        let mut current = *writer.dir.genesis_key();
        for index in 0..size {
            let entry = writer.dir.entry(index)?;
            if entry.seq != index || entry.origin != writer.dir.origin() {
                return Err(bad(format!("entry {index} says that it is number {} of `{}`", entry.seq, entry.origin)));
            }
            if let (Body::KeyRotated(rotated), true) = (&entry.body, index < sealed) {
                current = rotated_key(rotated).map_err(&bad)?;
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
        if at < self.last_at {
            return Err(Failure::invalid(format!("an entry dated {at} cannot follow one dated {}", self.last_at)));
        }
        let index = self.tree.size();
        let head = self.last.as_ref().map(|last| Head { size: last.size, root: last.root });
        let entry = Entry::new(index, self.dir.origin(), at, head, actor, body).map_err(|error| {
            let failure = Failure::invalid(format!("entry {index} of the testing log cannot be written: {error}"));
            match error {
                EntryError::TooLong(_) => {
                    failure.hint("bulk belongs into evidence, with its digest in the entry; split the estate into smaller drills")
                }
                _ => failure,
            }
        })?;
        before_write(index, entry.hash)?;
        intents::record(&self.dir, &self.key, index, &entry.hash)?;
        self.dir.put_entry(index, &entry.bytes)?;
        self.tree.push_hash(entry.hash);
        self.last_at = at;
        let leaf = Leaf { index, hash: entry.hash };
        self.tail.push(leaf);
        Ok(leaf)
    }

    /// Seals everything written so far; gives the last checkpoint again when nothing was written since.
    pub fn checkpoint(&mut self) -> Result<Checkpoint, Failure> {
        self.seal(None)
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

    /// From here on `new` signs. The checkpoint that follows at once carries both signatures.
    pub fn rotate(&mut self, new: SigningKey, reason: &str, actor: Actor) -> Result<Checkpoint, Failure> {
        self.checkpoint()?;
        let verifier_key = new.verifying_key().to_vkey(self.dir.origin());
        self.dir.publish_key(&new.verifying_key())?;
        let body = Body::KeyRotated(KeyRotated { verifier_key, reason: reason.to_owned() });
        self.append(body, actor, &mut |_, _| Ok(()))?;
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

fn rotated_key(rotated: &KeyRotated) -> Result<VerifyingKey, String> {
    VerifyingKey::from_vkey(&rotated.verifier_key).map(|(_, key)| key).map_err(|error| format!("a rotation names {error}"))
}
