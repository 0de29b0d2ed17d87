//! Proofs of a password that do not show it (`mysql_native_password` and `caching_sha2_password` of the MySQL documentation). Pure.

use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// SHA1(password) XOR SHA1(nonce, SHA1(SHA1(password))); nothing for an empty password.
pub fn native(password: &[u8], nonce: &[u8]) -> Vec<u8> {
    if password.is_empty() {
        return Vec::new();
    }
    let once = Sha1::digest(password);
    let mask = Sha1::new().chain_update(nonce).chain_update(Sha1::digest(once)).finalize();
    once.iter().zip(mask).map(|(a, b)| a ^ b).collect()
}

/// SHA256(password) XOR SHA256(SHA256(SHA256(password)), nonce); a NUL for an empty password.
pub fn caching_sha2(password: &[u8], nonce: &[u8]) -> Vec<u8> {
    if password.is_empty() {
        return vec![0];
    }
    let once = Sha256::digest(password);
    let mask = Sha256::new().chain_update(Sha256::digest(once)).chain_update(nonce).finalize();
    once.iter().zip(mask).map(|(a, b)| a ^ b).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What servers do: they keep the hash of the hash, and undo the mask.
    #[test]
    fn a_server_that_knows_the_hash_of_the_hash_is_convinced() {
        let nonce = b"0123456789abcdefghij";
        let stored = Sha1::digest(Sha1::digest(b"secret"));
        let mask = Sha1::new().chain_update(nonce).chain_update(stored).finalize();
        let shown: Vec<u8> = native(b"secret", nonce).iter().zip(mask).map(|(a, b)| a ^ b).collect();
        assert_eq!(Sha1::digest(&shown), stored);
        let stored = Sha256::digest(Sha256::digest(b"secret"));
        let mask = Sha256::new().chain_update(stored).chain_update(nonce).finalize();
        let shown: Vec<u8> = caching_sha2(b"secret", nonce).iter().zip(mask).map(|(a, b)| a ^ b).collect();
        assert_eq!(Sha256::digest(&shown), stored);
        assert!(native(b"", nonce).is_empty());
        assert_eq!(caching_sha2(b"", nonce), [0]);
    }
}
