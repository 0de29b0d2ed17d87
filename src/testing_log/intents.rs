//! Signed intents: before an entry is written, its number and leaf hash are signed and synced to `.intents` in the log's directory.
//!
//! Between two checkpoints the tail of the log carries no signature of its own. An honest writer must never seal a stranger's entry, so
//! the next writer accepts a tail entry only where its own key vouches for it here; and `log verify` tells a run that was cut short
//! from an entry that somebody added. The file is emptied by every checkpoint. Losing it costs the unsealed tail, never what is sealed.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::model::digest::Digest32;
use crate::model::failure::Failure;
use crate::signing::keys::{SigningKey, VerifyingKey};
use crate::testing_log::store::LogDir;

const NAME: &str = ".intents";

/// Signs that leaf `index` will be the entry with `hash`, and syncs it.
pub fn record(dir: &LogDir, key: &SigningKey, index: u64, hash: &Digest32) -> Result<(), Failure> {
    let signature = STANDARD.encode(key.sign(&message(dir.origin(), index, hash)));
    let path = dir.path().join(NAME);
    let write = || {
        let mut file = File::options().create(true).append(true).open(&path)?;
        // A newline in front: a line that a full disk tore must not swallow this one.
        file.write_all(format!("\n{index} {hash} {signature}\n").as_bytes())?;
        file.sync_all()?;
        // The file may be new in its directory.
        File::open(dir.path())?.sync_all()
    };
    write().map_err(|error| Failure::io(format!("cannot write {}", path.display()), error))
}

/// Every number and leaf hash that `key` vouches for. Lines that do not parse (a crash can tear the last one) or do not verify vouch for
/// nothing.
pub fn vouched(dir: &LogDir, key: &VerifyingKey) -> Result<BTreeSet<(u64, Digest32)>, Failure> {
    let path = dir.path().join(NAME);
    let text = match std::fs::read(&path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(Failure::io(format!("cannot read {}", path.display()), error)),
    };
    Ok(text.lines().filter_map(|line| parse(line, dir.origin(), key)).collect())
}

/// Empties the file: everything is sealed by a checkpoint.
pub fn clear(dir: &LogDir) -> Result<(), Failure> {
    let path = dir.path().join(NAME);
    match File::options().write(true).truncate(true).open(&path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Failure::io(format!("cannot empty {}", path.display()), error)),
    }
}

fn parse(line: &str, origin: &str, key: &VerifyingKey) -> Option<(u64, Digest32)> {
    let mut parts = line.split(' ');
    let (index, hash, signature) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?);
    let signature: [u8; 64] = STANDARD.decode(signature).ok()?.try_into().ok()?;
    key.verify(&message(origin, index, &hash), &signature).then_some((index, hash))
}

/// Four lines that begin with a word no checkpoint begins with: neither can be taken for the other.
fn message(origin: &str, index: u64, hash: &Digest32) -> Vec<u8> {
    format!("attestore/intent/v1\n{origin}\n{index}\n{hash}\n").into_bytes()
}
