//! SSHSIG: signatures that `ssh-keygen -Y verify` accepts (OpenSSH's PROTOCOL.sshsig), with `ssh-ed25519` keys and SHA-512.
//!
//! What is signed is `"SSHSIG" ‖ string namespace ‖ string "" ‖ string "sha512" ‖ string SHA512(message)`: the namespace keeps a
//! signature over a checkpoint from being taken for one over anything else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha512};

use crate::signing::keys::{SigningKey, VerifyingKey};

/// The namespace of signatures over checkpoints.
pub const CHECKPOINT_NAMESPACE: &str = "attestore-checkpoint";

const MAGIC: &[u8; 6] = b"SSHSIG";
const KEY_TYPE: &[u8] = b"ssh-ed25519";
const HASH: &[u8] = b"sha512";
const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";
const LIMIT_BYTES: usize = 65_536;

/// Why a text is not the SSH signature that was asked for.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SshSigError {
    /// Not an armoured version 1 SSH signature.
    #[error("not an SSH signature: {0}")]
    Malformed(&'static str),
    /// Made for something else.
    #[error("made for namespace `{0}`")]
    Namespace(String),
    /// Made by another key.
    #[error("made by another key")]
    OtherKey,
    /// It does not hold.
    #[error("the signature does not hold: the message or the signature was changed")]
    BadSignature,
}

/// An SSH signature in its parts. Nothing is verified yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SshSig {
    /// The signer's public key.
    pub key: [u8; 32],
    /// What it was made for.
    pub namespace: String,
    /// `sha512` or `sha256`.
    pub hash: String,
    /// Ed25519.
    pub signature: [u8; 64],
}

/// The armoured signature of `key` over `message` within `namespace`.
pub fn sign(key: &SigningKey, namespace: &str, message: &[u8]) -> String {
    let signature = key.sign(&signed_data(namespace, HASH, &Sha512::digest(message)));
    let mut blob = MAGIC.to_vec();
    blob.extend_from_slice(&1u32.to_be_bytes());
    put(&mut blob, &public_blob(&key.verifying_key()));
    put(&mut blob, namespace.as_bytes());
    put(&mut blob, b"");
    put(&mut blob, HASH);
    let mut inner = Vec::new();
    put(&mut inner, KEY_TYPE);
    put(&mut inner, &signature);
    put(&mut blob, &inner);
    let encoded = STANDARD.encode(blob);
    let lines: Vec<&str> = encoded.as_bytes().chunks(70).map(|line| std::str::from_utf8(line).expect("base64 is ASCII")).collect();
    format!("{BEGIN}\n{}\n{END}\n", lines.join("\n"))
}

/// Checks that `armoured` is the signature of `key` over `message` within `namespace`.
pub fn verify(armoured: &str, key: &VerifyingKey, namespace: &str, message: &[u8]) -> Result<(), SshSigError> {
    let sig = parse(armoured)?;
    if sig.namespace != namespace {
        return Err(SshSigError::Namespace(sig.namespace));
    }
    if sig.key != key.to_bytes() {
        return Err(SshSigError::OtherKey);
    }
    let digest = match sig.hash.as_str() {
        "sha512" => Sha512::digest(message).to_vec(),
        _ => sha2::Sha256::digest(message).to_vec(),
    };
    if key.verify(&signed_data(namespace, sig.hash.as_bytes(), &digest), &sig.signature) { Ok(()) } else { Err(SshSigError::BadSignature) }
}

/// A line of an `allowed_signers` file that lets `key` sign checkpoints as `principal`, and nothing else.
pub fn allowed_signers_line(principal: &str, key: &VerifyingKey) -> String {
    format!("{principal} namespaces=\"{CHECKPOINT_NAMESPACE}\" {}\n", public_key_line(key))
}

/// Parses a public key line, `ssh-ed25519 BASE64 [comment]`.
pub fn parse_public_key(line: &str) -> Result<VerifyingKey, SshSigError> {
    let wrong = SshSigError::Malformed;
    let mut words = line.split_ascii_whitespace();
    let (Some("ssh-ed25519"), Some(encoded)) = (words.next(), words.next()) else { return Err(wrong("not an ssh-ed25519 key line")) };
    let blob = STANDARD.decode(encoded).map_err(|_| wrong("not base64"))?;
    let rest = &mut blob.as_slice();
    let (key_type, key) = (take(rest)?, take(rest)?);
    let key: [u8; 32] = key.try_into().map_err(|_| wrong("the key is not 32 bytes long"))?;
    if key_type != KEY_TYPE || !rest.is_empty() {
        return Err(wrong("another kind of key than ssh-ed25519"));
    }
    VerifyingKey::from_bytes(&key).map_err(|_| wrong("not a point on the curve"))
}

/// The public key line, `ssh-ed25519 BASE64`.
pub fn public_key_line(key: &VerifyingKey) -> String {
    format!("ssh-ed25519 {}", STANDARD.encode(public_blob(key)))
}

/// Takes the armour off and the blob apart, strictly.
pub fn parse(armoured: &str) -> Result<SshSig, SshSigError> {
    let wrong = SshSigError::Malformed;
    if armoured.len() > LIMIT_BYTES {
        return Err(wrong("longer than 65,536 bytes"));
    }
    let text = armoured.trim().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END)).ok_or(wrong("no armour"))?;
    let encoded: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let blob = STANDARD.decode(encoded).map_err(|_| wrong("not base64"))?;
    let mut rest = blob.strip_prefix(MAGIC).and_then(|rest| rest.strip_prefix(&1u32.to_be_bytes())).ok_or(wrong("not version 1"))?;
    let rest = &mut rest;
    let mut key = take(rest)?;
    let namespace = String::from_utf8(take(rest)?.to_vec()).map_err(|_| wrong("the namespace is not UTF-8"))?;
    if !take(rest)?.is_empty() {
        return Err(wrong("the reserved field is not empty"));
    }
    let hash = match take(rest)? {
        b"sha512" => "sha512",
        b"sha256" => "sha256",
        _ => return Err(wrong("another hash than sha512 or sha256")),
    };
    let mut inner = take(rest)?;
    let (key_type, key) = (take(&mut key)?, take(&mut key)?);
    let (signature_type, signature) = (take(&mut inner)?, take(&mut inner)?);
    if key_type != KEY_TYPE || signature_type != KEY_TYPE {
        return Err(wrong("another kind of key than ssh-ed25519"));
    }
    if !rest.is_empty() || !inner.is_empty() {
        return Err(wrong("more bytes than it should have"));
    }
    let key = key.try_into().map_err(|_| wrong("the key is not 32 bytes long"))?;
    let signature = signature.try_into().map_err(|_| wrong("the signature is not 64 bytes long"))?;
    Ok(SshSig { key, namespace, hash: hash.to_owned(), signature })
}

fn public_blob(key: &VerifyingKey) -> Vec<u8> {
    let mut blob = Vec::new();
    put(&mut blob, KEY_TYPE);
    put(&mut blob, &key.to_bytes());
    blob
}

fn signed_data(namespace: &str, hash: &[u8], digest: &[u8]) -> Vec<u8> {
    let mut data = MAGIC.to_vec();
    put(&mut data, namespace.as_bytes());
    put(&mut data, b"");
    put(&mut data, hash);
    put(&mut data, digest);
    data
}

/// An SSH `string`: its length as big-endian u32, then its bytes (RFC 4251 §5).
fn put(into: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("signed names and digests are short");
    into.extend_from_slice(&length.to_be_bytes());
    into.extend_from_slice(bytes);
}

fn take<'a>(from: &mut &'a [u8]) -> Result<&'a [u8], SshSigError> {
    let short = SshSigError::Malformed("it ends too early");
    let Some((length, rest)) = from.split_first_chunk::<4>() else { return Err(short) };
    let length = u32::from_be_bytes(*length) as usize;
    if rest.len() < length {
        return Err(short);
    }
    let (bytes, rest) = rest.split_at(length);
    *from = rest;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn another_message_namespace_or_key_is_told_apart() {
        let key = SigningKey::from_seed(&[9; 32]);
        let public = key.verifying_key();
        let sig = sign(&key, CHECKPOINT_NAMESPACE, b"one\n");
        assert_eq!(verify(&sig, &public, CHECKPOINT_NAMESPACE, b"one\n"), Ok(()));
        assert_eq!(verify(&sig, &public, CHECKPOINT_NAMESPACE, b"two\n"), Err(SshSigError::BadSignature));
        assert_eq!(verify(&sig, &public, "file", b"one\n"), Err(SshSigError::Namespace(CHECKPOINT_NAMESPACE.into())));
        let other = SigningKey::from_seed(&[8; 32]).verifying_key();
        assert_eq!(verify(&sig, &other, CHECKPOINT_NAMESPACE, b"one\n"), Err(SshSigError::OtherKey));
        assert!(sig.lines().all(|line| line.len() <= 70));
    }

    proptest! {
        #[test]
        fn round_trips(seed in any::<[u8; 32]>(), message in proptest::collection::vec(any::<u8>(), 0..200), namespace in "[a-z-]{1,20}") {
            let key = SigningKey::from_seed(&seed);
            let sig = sign(&key, &namespace, &message);
            prop_assert_eq!(verify(&sig, &key.verifying_key(), &namespace, &message), Ok(()));
            prop_assert_eq!(parse_public_key(&public_key_line(&key.verifying_key())), Ok(key.verifying_key()));
        }

        #[test]
        fn foreign_bytes_never_panic(noise in proptest::collection::vec(any::<u8>(), 0..300), text in ".{0,200}") {
            let _ = (parse(&text), parse_public_key(&text), parse_public_key(&format!("ssh-ed25519 {}", STANDARD.encode(&noise))));
            let mut blob = MAGIC.to_vec();
            blob.extend_from_slice(&1u32.to_be_bytes());
            blob.extend_from_slice(&noise);
            let _ = parse(&format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode(blob)));
        }
    }
}
