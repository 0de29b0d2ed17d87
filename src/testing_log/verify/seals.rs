//! Checkpoints: roots, signatures, SSH signatures, the chain that entries draw through them, the unsealed tail, and the auditor's anchor.
//!
//! Every root is computed again from the same leaf bytes, so that every checkpoint that holds is a prefix of the next by construction.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::digest::Digest32;
use crate::model::failure::Failure;
use crate::signing::checkpoint::{Checkpoint, CheckpointError};
use crate::signing::keys::VerifyingKey;
use crate::signing::merkle::{self, Tree};
use crate::signing::note::NoteError;
use crate::signing::sshsig;
use crate::testing_log::entry::Body;
use crate::testing_log::intents;
use crate::testing_log::store::LogDir;
use crate::testing_log::verify::fault::{Faults, Rule};
use crate::testing_log::verify::reading::Reading;
use crate::testing_log::verify::verdict::Anchor;

/// What holds of the checkpoints.
#[derive(Debug)]
pub struct Sealing {
    /// The checkpoints that hold, by size.
    pub good: BTreeMap<u64, Checkpoint>,
    /// The root over all entries.
    pub root: Digest32,
    /// What the log is tied to.
    pub anchor: Anchor,
}

impl Sealing {
    /// True when a checkpoint that holds was made after entry `first` and before entry `second`.
    pub fn between(&self, first: u64, second: u64) -> bool {
        first < second && self.good.range(first + 1..=second).next().is_some()
    }

    /// How many entries the last good checkpoint covers.
    pub fn sealed(&self) -> u64 {
        self.good.last_key_value().map_or(0, |(size, _)| *size)
    }
}

/// Which key signs at which size.
struct Keys {
    genesis: VerifyingKey,
    /// By the leaf of the rotation.
    rotations: BTreeMap<u64, VerifyingKey>,
}

impl Keys {
    fn at(&self, size: u64) -> &VerifyingKey {
        self.rotations.range(..size).next_back().map_or(&self.genesis, |(_, key)| key)
    }

    /// The key that a checkpoint of `size` must be signed with as well, because it is the first after a rotation.
    fn outgoing(&self, size: u64, before: u64) -> Option<&VerifyingKey> {
        let (leaf, _) = self.rotations.range(before..size).next_back()?;
        Some(self.at(*leaf))
    }
}

/// Checks all checkpoints, and the log against the auditor's one.
pub fn check(dir: &LogDir, key: &VerifyingKey, reading: &Reading, auditors: Option<&str>, faults: &mut Faults) -> Result<Sealing, Failure> {
    let keys = rotations(key, reading, faults);
    let auditors = auditors.map(parse_auditors).transpose()?;
    let roots = roots(reading, auditors.as_ref().map(|(checkpoint, _)| checkpoint.size));
    let mut good = BTreeMap::new();
    let mut before = 0;
    for &size in &reading.listing.checkpoints {
        let text = dir.checkpoint_text(size)?;
        if let Some(checkpoint) = check_one(dir, &keys, size, before, &text, reading, &roots, faults) {
            good.insert(size, checkpoint);
        }
        let has_sshsig = reading.listing.sshsigs.contains(&size);
        if !has_sshsig {
            faults.whole(Rule::SshsigMissing, format!("checkpoint {size} has no .sshsig beside it"));
        }
        before = size;
    }
    for &size in &reading.listing.sshsigs {
        check_sshsig(dir, &keys, size, &roots, faults)?;
    }
    if reading.listing.checkpoints.is_empty() {
        faults.whole(Rule::CheckpointMissing, "expected a checkpoint, found none: nothing is signed");
    }
    check_chain(reading, &roots, faults);
    check_tail(dir, &keys, reading, faults)?;
    let root = roots.get(&reading.size()).copied().unwrap_or_else(|| Tree::new().root());
    let anchor = match auditors {
        Some((checkpoint, text)) => check_anchor(dir, &keys, reading, &checkpoint, &text, &root, faults),
        None => Anchor::SelfConsistent,
    };
    Ok(Sealing { good, root, anchor })
}

fn parse_auditors(text: &str) -> Result<(Checkpoint, String), Failure> {
    let checkpoint = Checkpoint::parse_unverified(text).map_err(|error| {
        Failure::invalid(format!("the checkpoint that was given: {error}"))
            .hint("give a file of the log's checkpoints/ directory as it was kept at the last audit")
    })?;
    Ok((checkpoint, text.to_owned()))
}

fn rotations(key: &VerifyingKey, reading: &Reading, faults: &mut Faults) -> Keys {
    let mut keys = Keys { genesis: *key, rotations: BTreeMap::new() };
    for (leaf, entry) in &reading.entries {
        if let Body::KeyRotated(rotated) = &entry.body {
            match VerifyingKey::from_vkey(&rotated.verifier_key) {
                Ok((_, key)) => drop(keys.rotations.insert(*leaf, key)),
                Err(error) => faults.at(Rule::RotationBad, *leaf, format!("it names {error}")),
            }
        }
    }
    keys
}

/// The root at every size that something claims one for, in one pass.
fn roots(reading: &Reading, auditors: Option<u64>) -> BTreeMap<u64, Digest32> {
    let mut wanted: BTreeSet<u64> = reading.listing.checkpoints.union(&reading.listing.sshsigs).copied().collect();
    wanted.extend(reading.entries.iter().filter_map(|(_, entry)| entry.prev_checkpoint.map(|head| head.size)));
    wanted.extend(auditors);
    wanted.insert(reading.size());
    let mut tree = Tree::new();
    let mut roots = BTreeMap::new();
    for leaf in &reading.leaves {
        tree.push_hash(*leaf);
        if wanted.contains(&tree.size()) {
            roots.insert(tree.size(), tree.root());
        }
    }
    roots
}

#[allow(clippy::too_many_arguments, reason = "one call; a struct for it would be longer than the function")]
fn check_one(
    dir: &LogDir,
    keys: &Keys,
    size: u64,
    before: u64,
    text: &str,
    reading: &Reading,
    roots: &BTreeMap<u64, Digest32>,
    faults: &mut Faults,
) -> Option<Checkpoint> {
    let faults_before = faults.0.len();
    let checkpoint = match Checkpoint::parse_unverified(text) {
        Ok(checkpoint) => checkpoint,
        Err(error) => {
            faults.whole(Rule::CheckpointUnreadable, format!("checkpoint {size}: {error}"));
            return None;
        }
    };
    if checkpoint.size != size || checkpoint.origin != dir.origin() {
        let message = format!("checkpoint {size}: it says size {} of `{}`", checkpoint.size, checkpoint.origin);
        faults.whole(Rule::CheckpointMisnamed, message);
    }
    if let Err(error) = verify_as(text, dir.origin(), keys.at(size)) {
        faults.whole(Rule::SignatureBad, format!("checkpoint {size}: {error}"));
    }
    if let Some(outgoing) = keys.outgoing(size, before)
        && let Err(error) = verify_as(text, dir.origin(), outgoing)
    {
        faults.whole(Rule::RotationBad, format!("checkpoint {size} is the first after a rotation; by the key before it: {error}"));
    }
    match roots.get(&size) {
        _ if size > reading.size() || size == 0 => {
            faults.whole(Rule::LogTruncated, format!("checkpoint {size}: expected {size} entries, found {}", reading.size()));
        }
        Some(root) if *root == checkpoint.root => {}
        _ => faults.whole(Rule::RootDiffers, format!("checkpoint {size}: the root of the entries before it is another than it says")),
    }
    (faults.0.len() == faults_before).then_some(checkpoint)
}

fn verify_as(text: &str, origin: &str, key: &VerifyingKey) -> Result<(), NoteError> {
    crate::signing::note::verify(text, origin, key).map(drop)
}

/// A signature may be there before its checkpoint (a crash lies between them), but never over another tree.
fn check_sshsig(dir: &LogDir, keys: &Keys, size: u64, roots: &BTreeMap<u64, Digest32>, faults: &mut Faults) -> Result<(), Failure> {
    let Some(root) = roots.get(&size) else {
        faults.whole(Rule::LogTruncated, format!("{size}.sshsig: expected {size} entries, found fewer"));
        return Ok(());
    };
    let body = Checkpoint { origin: dir.origin().to_owned(), size, root: *root }.body();
    if let Err(error) = sshsig::verify(&dir.sshsig_text(size)?, keys.at(size), sshsig::CHECKPOINT_NAMESPACE, body.as_bytes()) {
        faults.whole(Rule::SshsigBad, format!("{size}.sshsig: {error}"));
    }
    Ok(())
}

/// Every entry names the last checkpoint before it, so that a checkpoint taken away leaves a hole.
fn check_chain(reading: &Reading, roots: &BTreeMap<u64, Digest32>, faults: &mut Faults) {
    for (index, entry) in &reading.entries {
        let expected = reading.listing.checkpoints.range(..=*index).next_back().copied();
        match entry.prev_checkpoint {
            Some(head) if !reading.listing.checkpoints.contains(&head.size) => {
                faults.at(Rule::CheckpointMissing, *index, format!("it names checkpoint {}, which is not there", head.size));
            }
            Some(head) if Some(head.size) != expected || roots.get(&head.size) != Some(&head.root) => {
                let message = format!("expected the checkpoint before it, found size {} and root {}", head.size, head.root);
                faults.at(Rule::PrevCheckpointDiffers, *index, message);
            }
            None if *index > 0 => faults.at(Rule::PrevCheckpointDiffers, *index, "expected the checkpoint before it, found none"),
            _ => {}
        }
    }
}

/// A run that was cut short leaves entries that its key has vouched for; anything else after the last checkpoint is a stranger's.
fn check_tail(dir: &LogDir, keys: &Keys, reading: &Reading, faults: &mut Faults) -> Result<(), Failure> {
    let sealed = reading.listing.checkpoints.last().copied().unwrap_or(0);
    if reading.size() <= sealed {
        return Ok(());
    }
    let vouched = intents::vouched(dir, keys.at(sealed))?;
    for (index, hash) in reading.listing.entries.iter().zip(&reading.leaves).skip(usize::try_from(sealed).unwrap_or(usize::MAX)) {
        let known = vouched.contains(&(*index, *hash));
        faults.demand(known, Rule::TailNotVouched, *index, || {
            format!("it lies after the last checkpoint ({sealed}), and the log's key does not vouch for it")
        });
    }
    Ok(())
}

fn check_anchor(
    dir: &LogDir,
    keys: &Keys,
    reading: &Reading,
    checkpoint: &Checkpoint,
    text: &str,
    root: &Digest32,
    faults: &mut Faults,
) -> Anchor {
    let size = checkpoint.size;
    let signed = match Checkpoint::verify(text, keys.at(size)) {
        Ok(found) if found.origin == dir.origin() => Ok(()),
        Ok(found) => Err(CheckpointError::Note(NoteError::BadName(found.origin))),
        Err(error) => Err(error),
    };
    if let Err(error) = signed {
        faults.whole(Rule::AnchorSignatureBad, format!("the checkpoint that was given: {error}"));
        return Anchor::SelfConsistent;
    }
    if size > reading.size() {
        let message = format!("the checkpoint that was given is of {size} entries, found {}: the log was cut", reading.size());
        faults.whole(Rule::TruncatedSinceAnchor, message);
        return Anchor::SelfConsistent;
    }
    let proof = usize::try_from(size).ok().and_then(|size| merkle::consistency_proof(&reading.leaves, size)).unwrap_or_default();
    if !merkle::verify_consistency(size, &checkpoint.root, reading.size(), root, &proof) {
        let message = format!("the checkpoint that was given has another history in its {size} entries than this log");
        faults.whole(Rule::ForkedFromAnchor, message);
        return Anchor::SelfConsistent;
    }
    match reading.entry(size - 1) {
        Some(entry) => Anchor::AnchoredTo { size, at: entry.at },
        None => Anchor::SelfConsistent,
    }
}
