//! C2SP signed notes (<https://c2sp.org/signed-note>) with Ed25519: text, a blank line, signature lines.
//!
//! ```text
//! example.com/log
//! 7
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//!
//! — example.com/log Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
//! ```
//!
//! Not here: what the text means. A note whose signature was not verified is only text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::signing::keys::{SigningKey, VerifyingKey};

/// More signature lines than this are refused before any of them is looked at.
const LIMIT_SIGNATURES: usize = 100;
/// More bytes than this are refused.
const LIMIT_BYTES: usize = 1_000_000;
const LINE_START: &str = "\u{2014} ";

/// Why a text is not a note, or not one signed by the key that was asked for.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// The text does not have the form of a signed note.
    #[error("not a signed note: {0}")]
    Malformed(String),
    /// No line carries the name and key id that were asked for.
    #[error("no signature by `{name}` with key id {key_id}; the note has {found}")]
    NotSigned {
        /// The name asked for.
        name: String,
        /// The key id asked for.
        key_id: String,
        /// The signers that it has.
        found: String,
    },
    /// A line carries the name and the key id, and its signature does not hold.
    #[error("the signature by `{0}` does not hold: the text or the signature was changed")]
    BadSignature(String),
    /// Not a name: empty, or with a space or a plus.
    #[error("`{0}` cannot be a signer's name: it must not be empty, nor hold spaces or `+`")]
    BadName(String),
}

/// One signature line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signature {
    /// Who says to have signed.
    pub name: String,
    /// Which key; only a hint.
    pub key_id: [u8; 4],
    /// For Ed25519, 64 bytes.
    pub bytes: Vec<u8>,
}

/// A note in its parts. Nothing is verified yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    /// With its final newline, without the blank line.
    pub text: String,
    /// At least one.
    pub signatures: Vec<Signature>,
}

/// Whether `name` can be a signer's name (and so a log's origin).
pub fn check_name(name: &str) -> Result<(), NoteError> {
    let bad = name.is_empty() || name.contains('+') || name.chars().any(|c| c.is_whitespace() || c.is_control());
    if bad { Err(NoteError::BadName(name.chars().take(80).collect())) } else { Ok(()) }
}

/// One signature line, with its newline, of `key` over `text`.
pub fn signature_line(name: &str, key: &SigningKey, text: &str) -> String {
    let mut raw = key.verifying_key().key_id(name).to_vec();
    raw.extend_from_slice(&key.sign(text.as_bytes()));
    format!("{LINE_START}{name} {}\n", STANDARD.encode(raw))
}

/// `text` (which must end with a newline) signed by `key` under `name` (see [`check_name`]).
pub fn sign(name: &str, key: &SigningKey, text: &str) -> String {
    debug_assert!(text.ends_with('\n') && check_name(name).is_ok());
    format!("{text}\n{}", signature_line(name, key, text))
}

/// The text of the note, if `key` under `name` has signed it. Signatures of others are not looked at.
pub fn verify(note_text: &str, name: &str, key: &VerifyingKey) -> Result<String, NoteError> {
    let note = parse(note_text)?;
    note.signed_by(name, key)?;
    Ok(note.text)
}

impl Note {
    /// Checks that `key` under `name` has signed the text.
    pub fn signed_by(&self, name: &str, key: &VerifyingKey) -> Result<(), NoteError> {
        let key_id = key.key_id(name);
        let mut mine = self.signatures.iter().filter(|signature| signature.name == name && signature.key_id == key_id).peekable();
        if mine.peek().is_none() {
            let found: Vec<String> = self.signatures.iter().map(|s| format!("{}+{}", s.name, hex::encode(s.key_id))).collect();
            return Err(NoteError::NotSigned { name: name.to_owned(), key_id: hex::encode(key_id), found: found.join(", ") });
        }
        // One bad line in our name is a forgery even when another one holds.
        let holds = |signature: &Signature| match <&[u8; 64]>::try_from(signature.bytes.as_slice()) {
            Ok(bytes) => key.verify(self.text.as_bytes(), bytes),
            Err(_) => false,
        };
        if mine.all(holds) { Ok(()) } else { Err(NoteError::BadSignature(name.to_owned())) }
    }
}

/// Splits a note into its text and its signature lines, strictly.
pub fn parse(note: &str) -> Result<Note, NoteError> {
    let wrong = |what: &str| NoteError::Malformed(what.to_owned());
    if note.len() > LIMIT_BYTES {
        return Err(wrong("longer than a million bytes"));
    }
    if note.chars().any(|c| c < ' ' && c != '\n') {
        return Err(wrong("it holds control characters"));
    }
    let blank = note.rfind("\n\n").ok_or_else(|| wrong("no blank line before the signatures"))?;
    let (text, lines) = (&note[..=blank], &note[blank + 2..]);
    let lines = lines.strip_suffix('\n').ok_or_else(|| wrong("no newline at its end"))?;
    let mut signatures = Vec::new();
    for line in lines.split('\n') {
        if signatures.len() == LIMIT_SIGNATURES {
            return Err(wrong("more than 100 signatures"));
        }
        signatures.push(parse_line(line)?);
    }
    Ok(Note { text: text.to_owned(), signatures })
}

fn parse_line(line: &str) -> Result<Signature, NoteError> {
    let wrong = |what: &str| NoteError::Malformed(format!("a signature line {what}"));
    let rest = line.strip_prefix(LINE_START).ok_or_else(|| wrong("that does not start with an em dash and a space"))?;
    let (name, encoded) = rest.split_once(' ').ok_or_else(|| wrong("without a name and a signature"))?;
    check_name(name)?;
    let raw = STANDARD.decode(encoded).map_err(|_| wrong("whose signature is not base64"))?;
    match raw.split_first_chunk::<4>() {
        Some((key_id, bytes)) if !bytes.is_empty() => Ok(Signature { name: name.to_owned(), key_id: *key_id, bytes: bytes.to_vec() }),
        _ => Err(wrong("whose signature is too short")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The example of the format's first implementation: a key, a text, and the exact note.
    const GO_SEED: &str = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const GO_VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const GO_TEXT: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    const GO_LINE: &str =
        "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    /// The vector of the C2SP specification.
    const SPEC_VKEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    const SPEC_NOTE: &str = "This is an example message.\n\n\u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

    #[test]
    fn signs_exactly_as_the_published_example() {
        let raw = STANDARD.decode(GO_SEED).unwrap();
        let key = SigningKey::from_seed(raw[1..].try_into().unwrap());
        assert_eq!(key.verifying_key().to_vkey("PeterNeumann"), GO_VKEY);
        let note = sign("PeterNeumann", &key, GO_TEXT);
        assert_eq!(note, format!("{GO_TEXT}\n{GO_LINE}"));
        assert_eq!(verify(&note, "PeterNeumann", &key.verifying_key()).unwrap(), GO_TEXT);
    }

    #[test]
    fn verifies_the_vector_of_the_specification_and_nothing_near_it() {
        let (name, key) = VerifyingKey::from_vkey(SPEC_VKEY).unwrap();
        assert_eq!(verify(SPEC_NOTE, &name, &key).unwrap(), "This is an example message.\n");
        assert_eq!(
            verify(&SPEC_NOTE.replace("example message", "example massage"), &name, &key),
            Err(NoteError::BadSignature("example.com/foo".into()))
        );
        let (other_name, other) = VerifyingKey::from_vkey(GO_VKEY).unwrap();
        assert!(matches!(verify(SPEC_NOTE, &other_name, &other), Err(NoteError::NotSigned { .. })));
        assert!(matches!(verify(SPEC_NOTE, &name, &other), Err(NoteError::NotSigned { .. })));
    }

    #[test]
    fn a_second_signature_stands_beside_the_first_and_a_false_one_in_our_name_spoils_it() {
        let (one, two) = (SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[2; 32]));
        let note = sign("log", &one, "hello\n") + &signature_line("log", &two, "hello\n");
        assert!(verify(&note, "log", &one.verifying_key()).is_ok());
        assert!(verify(&note, "log", &two.verifying_key()).is_ok());
        let forged = note + &signature_line("log", &one, "hullo\n");
        assert_eq!(verify(&forged, "log", &one.verifying_key()), Err(NoteError::BadSignature("log".into())));
    }

    #[test]
    fn malformed_notes_are_named() {
        let good = sign("log", &SigningKey::from_seed(&[1; 32]), "hello\n");
        for bad in [
            "hello\n".to_owned(),
            "hello\n\n".to_owned(),
            good.trim_end().to_owned(),
            good.replace('\u{2014}', "-"),
            good.replace("hello", "hel\tlo"),
            good.replace('=', "!"),
            format!("{good}\n"),
            good.replace("log ", "lo+g "),
        ] {
            assert!(parse(&bad).is_err(), "{bad:?}");
        }
        assert!(check_name("a b").is_err() && check_name("").is_err() && check_name("example.com/log").is_ok());
    }

    proptest! {
        #[test]
        fn notes_round_trip(seed in any::<[u8; 32]>(), text in "[^\\x00-\\x09\\x0b-\\x1f]{0,200}", name in "[a-z./-]{1,20}") {
            let key = SigningKey::from_seed(&seed);
            let text = format!("{text}\n");
            let note = sign(&name, &key, &text);
            prop_assert_eq!(verify(&note, &name, &key.verifying_key()).unwrap(), text);
        }

        #[test]
        fn foreign_text_never_panics(noise in ".{0,300}") {
            let _ = parse(&noise);
            let _ = parse(&format!("text\n\n\u{2014} {noise}\n"));
        }
    }
}
