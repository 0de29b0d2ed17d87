//! Canaries: values planted in the source before a backup, known afterwards by their keyed digest alone.
//!
//! The value itself is never recorded: whoever reads a manifest or a log must not be able to plant it again.

use crate::signing::hash_key::HashKey;

/// The purpose that the hash key is derived for.
const CONTEXT: &str = "attestore canary v1";

/// The baseline that stands for a planted value.
pub fn digest(key: &HashKey, value: &str) -> String {
    format!("blake3-keyed:{}", blake3::keyed_hash(&key.derive(CONTEXT), value.as_bytes()).to_hex())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_keyed_and_hides_the_value() {
        let (one, other) = (HashKey::from_bytes([1; 32]), HashKey::from_bytes([2; 32]));
        assert_eq!(digest(&one, "nightingale"), digest(&one, "nightingale"));
        assert_ne!(digest(&one, "nightingale"), digest(&other, "nightingale"));
        assert_ne!(digest(&one, "nightingale"), digest(&one, "nightingale "));
        assert!(!digest(&one, "nightingale").contains("nightingale"));
    }
}
