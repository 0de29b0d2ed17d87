//! Ed25519 keys (RFC 8032) and their files: PKCS#8 **v1** PEM for the secret one (OpenSSL 3 refuses v2), SPKI PEM for the public one.
//!
//! One raw Ed25519 primitive serves everything that is signed here: notes, checkpoints and SSHSIG.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::Signer as _;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _, KeypairBytes};
use sha2::Digest as _;

use crate::model::failure::{Failure, FailureKind};
use crate::signing::key_file;

/// The algorithm byte of Ed25519 in C2SP signed notes.
const NOTE_ED25519: u8 = 1;

/// A secret Ed25519 key. Never printed; its memory is cleared when it is dropped.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

/// A public Ed25519 key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct VerifyingKey(ed25519_dalek::VerifyingKey);

impl SigningKey {
    /// A new key from the system's random source, written to `path` (0600, PKCS#8 v1 PEM). Refuses to overwrite.
    pub fn generate(path: &Path) -> Result<Self, Failure> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)
            .map_err(|error| Failure::new(FailureKind::Disk, format!("the system's random source does not answer: {error}")))?;
        let key = Self::from_seed(&seed);
        key_file::create_secret(path, "signing key", key.to_pem().as_bytes())?;
        Ok(key)
    }

    /// Reads a PKCS#8 PEM file that only its owner may read. Any mistake is [`FailureKind::Invalid`].
    pub fn load(path: &Path) -> Result<Self, Failure> {
        let text = key_file::read_secret(path, "signing key")?;
        Self::from_pem(&text).map_err(|error| {
            Failure::invalid(format!("signing key {}: expected an Ed25519 private key as PKCS#8 PEM, found {error}", path.display()))
                .hint("`attestore init` makes one; so does `openssl genpkey -algorithm ed25519`")
        })
    }

    /// From the 32 bytes of RFC 8032's private key.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// Parses PKCS#8 PEM, v1 or v2.
    pub fn from_pem(text: &str) -> Result<Self, BadKey> {
        expect_label(text, "PRIVATE KEY")?;
        ed25519_dalek::SigningKey::from_pkcs8_pem(text.trim_start()).map(Self).map_err(|error| BadKey::Content(error.to_string()))
    }

    /// PKCS#8 v1 PEM: without the public key, which v2 would add.
    pub fn to_pem(&self) -> String {
        let pair = KeypairBytes { secret_key: self.0.to_bytes(), public_key: None };
        pair.to_pkcs8_pem(LineEnding::LF).expect("32 bytes always have a PKCS#8 form").as_str().to_owned()
    }

    /// The public half.
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(self.0.verifying_key())
    }

    /// The 64 bytes of the Ed25519 signature over `message` (deterministic).
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(secret of {:?})", self.verifying_key())
    }
}

impl VerifyingKey {
    /// Reads an SPKI PEM file. Any mistake is [`FailureKind::Invalid`].
    pub fn load_pem(path: &Path) -> Result<Self, Failure> {
        let text = key_file::read_public(path, "public key")?;
        Self::from_pem(&text).map_err(|error| {
            Failure::invalid(format!("public key {}: expected an Ed25519 public key as SPKI PEM, found {error}", path.display()))
                .hint("take the .pem that was handed over with the engagement; `openssl pkey -in KEY -pubout` makes one from a private key")
        })
    }

    /// Parses SPKI PEM.
    pub fn from_pem(text: &str) -> Result<Self, BadKey> {
        expect_label(text, "PUBLIC KEY")?;
        let key =
            ed25519_dalek::VerifyingKey::from_public_key_pem(text.trim_start()).map_err(|error| BadKey::Content(error.to_string()))?;
        Self::strong(key)
    }

    /// From the 32 bytes of RFC 8032's public key.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, BadKey> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|error| BadKey::Content(error.to_string()))?;
        Self::strong(key)
    }

    // Under a key of small order, one signature verifies for many messages.
    fn strong(key: ed25519_dalek::VerifyingKey) -> Result<Self, BadKey> {
        if key.is_weak() { Err(BadKey::Content("a key of small order".into())) } else { Ok(Self(key)) }
    }

    /// SPKI PEM.
    pub fn to_pem(&self) -> String {
        self.0.to_public_key_pem(LineEnding::LF).expect("32 bytes always have an SPKI form")
    }

    /// The 32 bytes of RFC 8032.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// True when `signature` over `message` is this key's; malleable and small-order signatures are refused.
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.0.verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature)).is_ok()
    }

    /// The note key id: `SHA256(name ‖ "\n" ‖ 0x01 ‖ public key)[:4]` (C2SP signed-note).
    pub fn key_id(&self, name: &str) -> [u8; 4] {
        let hash = sha2::Sha256::new().chain_update(name).chain_update([b'\n', NOTE_ED25519]).chain_update(self.to_bytes()).finalize();
        [hash[0], hash[1], hash[2], hash[3]]
    }

    /// The verifier key line of the note format: `NAME+KEYID+BASE64(0x01 ‖ public key)`.
    pub fn to_vkey(&self, name: &str) -> String {
        let mut raw = vec![NOTE_ED25519];
        raw.extend_from_slice(&self.to_bytes());
        format!("{name}+{}+{}", hex::encode(self.key_id(name)), STANDARD.encode(raw))
    }

    /// Parses a verifier key line; the name and the key.
    pub fn from_vkey(text: &str) -> Result<(String, Self), BadKey> {
        let wrong = |what: &str| BadKey::Content(format!("a verifier key {what}"));
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(wrong("that is not NAME+KEYID+BASE64"));
        };
        let raw = STANDARD.decode(key).map_err(|_| wrong("whose last part is not base64"))?;
        let bytes: [u8; 32] = match raw.split_first() {
            Some((&NOTE_ED25519, rest)) => rest.try_into().map_err(|_| wrong("of another length"))?,
            _ => return Err(wrong("of another algorithm than Ed25519")),
        };
        let key = Self::from_bytes(&bytes)?;
        if hex::encode(key.key_id(name)) != id {
            return Err(wrong("whose key id does not belong to it"));
        }
        Ok((name.to_owned(), key))
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.to_bytes()))
    }
}

impl FromStr for VerifyingKey {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        Self::from_pem(text)
    }
}

/// Why a text is not the key that was asked for; reads after "found".
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// No PEM at all.
    #[error("no PEM block")]
    NoPem,
    /// PEM with another label, such as an encrypted or an OpenSSH key.
    #[error("a PEM block `{0}`")]
    Label(String),
    /// The label is right and the content is not.
    #[error("{0}")]
    Content(String),
}

/// The first thing that goes wrong in practice is the wrong file; the label says which it is.
fn expect_label(text: &str, wanted: &str) -> Result<(), BadKey> {
    let first = text.trim_start().lines().next().unwrap_or_default().trim_end();
    let label = first.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----")).ok_or(BadKey::NoPem)?;
    if label == wanted { Ok(()) } else { Err(BadKey::Label(label.chars().take(40).collect())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_generated_key_loads_again_and_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("attestore.key");
        let key = SigningKey::generate(&path).unwrap();
        assert_eq!(SigningKey::load(&path).unwrap().verifying_key(), key.verifying_key());
        let again = SigningKey::generate(&path).unwrap_err();
        assert_eq!(again.kind, FailureKind::Invalid);
        assert!(again.message.contains("never overwritten"), "{again}");
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_refused_with_what_to_do() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("attestore.key");
        SigningKey::generate(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let failure = SigningKey::load(&path).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Invalid);
        assert!(failure.message.contains("0640") && failure.hint.unwrap().starts_with("chmod 600"));
    }

    #[test]
    fn missing_files_directories_and_other_keys_are_usage_errors() {
        let dir = tempfile::tempdir().unwrap();
        let public = dir.path().join("key.pub.pem");
        std::fs::write(&public, SigningKey::from_seed(&[7; 32]).verifying_key().to_pem()).unwrap();
        let openssh = dir.path().join("id_ed25519");
        key_file::create_secret(&openssh, "key", b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blbg==\n-----END OPENSSH PRIVATE KEY-----\n")
            .unwrap();
        // SPKI of an X25519 key: the right label and another algorithm.
        let other = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VuAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
        assert!(matches!(VerifyingKey::from_pem(other), Err(BadKey::Content(_))));
        for failure in [
            SigningKey::load(&dir.path().join("none")).unwrap_err(),
            SigningKey::load(dir.path()).unwrap_err(),
            SigningKey::load(&openssh).unwrap_err(),
            VerifyingKey::load_pem(&openssh).unwrap_err(),
            VerifyingKey::load_pem(&dir.path().join("none")).unwrap_err(),
        ] {
            assert_eq!(failure.kind, FailureKind::Invalid, "{failure}");
        }
        assert!(VerifyingKey::load_pem(&public).is_ok());
    }

    #[test]
    fn the_secret_pem_is_pkcs8_v1_as_in_rfc_8410() {
        let pem = SigningKey::from_seed(&[0; 32]).to_pem();
        let der = STANDARD.decode(pem.lines().nth(1).unwrap()).unwrap();
        // RFC 8410 §7: version 0, id-Ed25519, an octet string in an octet string, and nothing after it.
        assert_eq!(hex::encode(&der[..16]), "302e020100300506032b657004220420");
        assert_eq!(der.len(), 48);
    }

    #[test]
    fn a_key_of_small_order_is_refused() {
        let mut identity = [0; 32];
        identity[0] = 1;
        assert!(VerifyingKey::from_bytes(&identity).is_err());
    }

    proptest! {
        #[test]
        fn keys_round_trip_and_foreign_text_never_panics(seed in any::<[u8; 32]>(), noise in ".{0,200}", name in "[a-z./]{1,20}") {
            let key = SigningKey::from_seed(&seed);
            let public = key.verifying_key();
            prop_assert_eq!(SigningKey::from_pem(&key.to_pem()).unwrap().verifying_key(), public);
            prop_assert_eq!(VerifyingKey::from_pem(&public.to_pem()).unwrap(), public);
            prop_assert_eq!(VerifyingKey::from_vkey(&public.to_vkey(&name)).unwrap(), (name, public));
            let _ = (SigningKey::from_pem(&noise), VerifyingKey::from_pem(&noise), VerifyingKey::from_vkey(&noise));
            let framed = format!("-----BEGIN PUBLIC KEY-----\n{noise}\n-----END PUBLIC KEY-----\n");
            let _ = VerifyingKey::from_pem(&framed);
        }
    }
}
