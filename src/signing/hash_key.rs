//! The hash key (`attestore.hashkey`): 32 random bytes that row digests, sidecars and inline identifiers are keyed with, so that
//! what is written for ever cannot be guessed back into names and values.
//!
//! The file is text: 64 lower-case hex digits and a newline, 0600. Text survives copying, and a wrong file is recognised at once.

use std::fmt;
use std::path::Path;

use crate::model::failure::{Failure, FailureKind};
use crate::signing::key_file;

/// 32 secret bytes. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct HashKey([u8; 32]);

impl HashKey {
    /// A new key from the system's random source, written to `path` (0600). Refuses to overwrite.
    pub fn create(path: &Path) -> Result<Self, Failure> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)
            .map_err(|error| Failure::new(FailureKind::Disk, format!("the system's random source does not answer: {error}")))?;
        key_file::create_secret(path, "hash key", format!("{}\n", hex::encode(bytes)).as_bytes())?;
        Ok(Self(bytes))
    }

    /// Reads the key; it must be readable by its owner alone. Any mistake is [`FailureKind::Invalid`].
    pub fn load(path: &Path) -> Result<Self, Failure> {
        let text = key_file::read_secret(path, "hash key")?;
        Self::from_text(&text).ok_or_else(|| {
            Failure::invalid(format!("hash key {}: expected 64 lower-case hex digits, found something else", path.display()))
                .hint("`attestore init` makes one; manifests made with another key cannot be compared with it")
        })
    }

    /// A key from its bytes, for tests and vectors.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Parses the text of the file.
    pub fn from_text(text: &str) -> Option<Self> {
        let line = text.strip_suffix('\n').unwrap_or(text);
        let mut bytes = [0; 32];
        let lower = !line.bytes().any(|b| b.is_ascii_uppercase());
        (lower && hex::decode_to_slice(line, &mut bytes).is_ok()).then_some(Self(bytes))
    }

    /// Eight hex digits that name the key in manifests (`hash_key_id`) and give nothing of it away.
    pub fn id(&self) -> String {
        hex::encode(&self.derive("attestore hash key id v1")[..4])
    }

    /// The 32 bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A key for one purpose: BLAKE3 in its key derivation mode, with `context` as the purpose (`attestore row v1`).
    pub fn derive(&self, context: &str) -> [u8; 32] {
        blake3::derive_key(context, &self.0)
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HashKey({})", self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_created_key_loads_again_and_its_id_is_stable() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("attestore.hashkey");
        let key = HashKey::create(&path).unwrap();
        assert_eq!(HashKey::load(&path).unwrap(), key);
        assert_eq!(key.id().len(), 8);
        assert!(!hex::encode(key.bytes()).contains(&key.id()), "the id is derived, not cut out");
        assert!(HashKey::create(&path).is_err());
        assert_ne!(key.derive("attestore row v1"), key.derive("attestore place v1"));
    }

    #[test]
    fn anything_but_64_lower_case_digits_is_a_usage_error() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [("short", "ab\n".to_owned()), ("upper", "AB".repeat(32)), ("more", "ab".repeat(33)), ("empty", String::new())]
        {
            let path = dir.path().join(name);
            key_file::create_secret(&path, "hash key", text.as_bytes()).unwrap();
            assert_eq!(HashKey::load(&path).unwrap_err().kind, FailureKind::Invalid, "{name}");
        }
        assert!(HashKey::load(&dir.path().join("none")).is_err());
    }
}
