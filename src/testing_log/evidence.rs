//! Evidence of a log: bulk and clear names, kept apart from entries because it may have to be erased. Compressed, and named by the
//! digest of its clear bytes, so that what is there can be checked and what is not there can be named.
//!
//! Not here: which evidence an entry refers to; `verify` gathers that.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::PathBuf;

use crate::model::digest::{Digest32, Sha256Digest};
use crate::model::failure::{Failure, FailureKind};
use crate::testing_log::store::{self, LogDir};

/// What became of a piece of evidence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EvidenceState {
    /// There, with the bytes that its name promises.
    Present,
    /// Not there: erased or never handed over. Shown as `withheld sha256:…`.
    Withheld,
    /// There, with other bytes.
    Differs,
}

impl LogDir {
    /// The path of the evidence with `digest`.
    pub fn evidence_path(&self, digest: &Sha256Digest) -> PathBuf {
        let hex = digest.0.hex();
        self.path().join(format!("evidence/sha256/{}/{hex}", &hex[..2]))
    }

    /// Keeps `clear` as evidence, compressed, under the digest of its clear bytes. In flat memory; what is there already is not rewritten.
    pub fn put_evidence(&self, mut clear: impl Read) -> Result<Sha256Digest, Failure> {
        let root = self.path().join("evidence/sha256");
        let failed = |error| Failure::io(format!("cannot write evidence below {}", root.display()), error);
        fs::create_dir_all(&root).map_err(failed)?;
        let mut file = store::temporary(&root).map_err(failed)?;
        let mut encoder = zstd::Encoder::new(file.as_file_mut(), 3).map_err(failed)?;
        let mut hasher = <sha2::Sha256 as sha2::Digest>::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let n = clear.read(&mut buffer).map_err(failed)?;
            if n == 0 {
                break;
            }
            sha2::Digest::update(&mut hasher, &buffer[..n]);
            encoder.write_all(&buffer[..n]).map_err(failed)?;
        }
        encoder.finish().map_err(failed)?;
        let digest = Sha256Digest(Digest32(sha2::Digest::finalize(hasher).into()));
        let path = self.evidence_path(&digest);
        match self.evidence_state(&digest)? {
            EvidenceState::Present => return Ok(digest),
            EvidenceState::Withheld => {}
            EvidenceState::Differs => {
                let message = format!("evidence {}: found other bytes under the name of those to be written", path.display());
                return Err(Failure::new(FailureKind::BadEvidence, message).hint("move that file away; nothing is overwritten"));
            }
        }
        let shelf = path.parent().expect("evidence lies on a shelf");
        match fs::create_dir(shelf) {
            Ok(()) => store::sync_dir(&root).map_err(failed)?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(error)),
        }
        store::keep(file, &path).map_err(|error| Failure::io(format!("cannot write {}", path.display()), error))?;
        Ok(digest)
    }

    /// The clear bytes of the evidence with `digest`; nothing where it is withheld; [`FailureKind::BadEvidence`] where its bytes differ.
    pub fn evidence(&self, digest: &Sha256Digest) -> Result<Option<Vec<u8>>, Failure> {
        let Some(mut reader) = self.evidence_reader(digest)? else { return Ok(None) };
        let mut clear = Vec::new();
        let whole = reader.read_to_end(&mut clear).is_ok();
        if whole && Sha256Digest::of(&clear) == *digest {
            return Ok(Some(clear));
        }
        let path = self.evidence_path(digest);
        Err(Failure::new(FailureKind::BadEvidence, format!("evidence {}: its bytes are not those that its name promises", path.display())))
    }

    /// Reads the evidence with `digest` through, in flat memory.
    pub fn evidence_state(&self, digest: &Sha256Digest) -> Result<EvidenceState, Failure> {
        let Some(mut reader) = self.evidence_reader(digest)? else { return Ok(EvidenceState::Withheld) };
        let mut hasher = <sha2::Sha256 as sha2::Digest>::new();
        // A broken stream is as wrong as other bytes: the name promises the whole.
        match io::copy(&mut reader, &mut HashWriter(&mut hasher)) {
            Ok(_) if sha2::Digest::finalize(hasher).as_slice() == digest.0.0.as_slice() => Ok(EvidenceState::Present),
            _ => Ok(EvidenceState::Differs),
        }
    }

    /// The digests of all evidence that is there, by name; and names that are no digests.
    pub fn evidence_names(&self) -> Result<(BTreeSet<Sha256Digest>, Vec<String>), Failure> {
        let (mut digests, mut strange) = (BTreeSet::new(), Vec::new());
        // All of it may have been erased, and copies by git or object stores lose empty directories.
        if !self.path().join("evidence/sha256").exists() {
            return Ok((digests, strange));
        }
        for shelf in self.names("evidence/sha256")? {
            let below = format!("evidence/sha256/{shelf}");
            if !self.path().join(&below).is_dir() {
                strange.push(below);
                continue;
            }
            for name in self.names(&below)? {
                match format!("sha256:{name}").parse::<Sha256Digest>() {
                    Ok(digest) if name.starts_with(&shelf) && shelf.len() == 2 => drop(digests.insert(digest)),
                    _ => strange.push(format!("{below}/{name}")),
                }
            }
        }
        Ok((digests, strange))
    }

    fn evidence_reader(&self, digest: &Sha256Digest) -> Result<Option<impl Read + use<>>, Failure> {
        let path = self.evidence_path(digest);
        let failed = |error| Failure::io(format!("cannot read {}", path.display()), error);
        match File::open(&path) {
            Ok(file) => Ok(Some(zstd::Decoder::new(file).map_err(failed)?)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }
}

struct HashWriter<'a>(&'a mut sha2::Sha256);

impl Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        sha2::Digest::update(self.0, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
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
    fn evidence_is_kept_once_and_told_apart_when_changed_or_withheld() {
        let (_dir, log) = laid();
        let clear = vec![b'x'; 300_000];
        let digest = log.put_evidence(clear.as_slice()).unwrap();
        assert_eq!(log.put_evidence(clear.as_slice()).unwrap(), digest);
        assert_eq!(digest, Sha256Digest::of(&clear));
        assert_eq!(log.evidence(&digest).unwrap().unwrap(), clear);
        assert_eq!(log.evidence_names().unwrap(), (BTreeSet::from([digest]), vec![]));
        fs::write(log.evidence_path(&digest), zstd::encode_all(&b"other"[..], 1).unwrap()).unwrap();
        assert_eq!(log.evidence_state(&digest).unwrap(), EvidenceState::Differs);
        assert!(log.evidence(&digest).is_err());
        fs::write(log.evidence_path(&digest), b"not zstd").unwrap();
        assert_eq!(log.evidence_state(&digest).unwrap(), EvidenceState::Differs);
        fs::remove_file(log.evidence_path(&digest)).unwrap();
        assert_eq!(log.evidence_state(&digest).unwrap(), EvidenceState::Withheld);
        assert_eq!(log.evidence(&digest).unwrap(), None);
    }
}
