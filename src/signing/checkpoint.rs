//! A checkpoint: the signed head of a Merkle tree (<https://c2sp.org/tlog-checkpoint>). Its body is exactly three lines:
//! origin, size in decimal, root in base64. Extension lines are not written, and not accepted.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::model::digest::Digest32;
use crate::signing::keys::{SigningKey, VerifyingKey};
use crate::signing::note::{self, NoteError};

/// The head of a tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    /// The log's name, which is its signer's name too.
    pub origin: String,
    /// Leaves.
    pub size: u64,
    /// The RFC 6962 root over them.
    pub root: Digest32,
}

/// Why a text is no checkpoint.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not a note, or not signed by the key.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// A note, and its text is not the three lines.
    #[error("not a checkpoint: {0}")]
    Malformed(&'static str),
}

impl Checkpoint {
    /// The three lines, each with its newline: what is signed.
    pub fn body(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root.0))
    }

    /// The signed note.
    pub fn sign(&self, key: &SigningKey) -> String {
        note::sign(&self.origin, key, &self.body())
    }

    /// Parses the three lines, strictly: what parses prints as it was.
    pub fn parse_body(text: &str) -> Result<Self, CheckpointError> {
        let wrong = CheckpointError::Malformed;
        let mut lines = text.strip_suffix('\n').ok_or(wrong("no newline at its end"))?.split('\n');
        let (Some(origin), Some(size), Some(root), None) = (lines.next(), lines.next(), lines.next(), lines.next()) else {
            return Err(wrong("expected exactly the three lines origin, size and root"));
        };
        note::check_name(origin)?;
        let digits = size.bytes().all(|b| b.is_ascii_digit()) && (size == "0" || !size.starts_with('0'));
        let size = match size.parse() {
            Ok(size) if digits => size,
            _ => return Err(wrong("the size is not a plain decimal number")),
        };
        let root = STANDARD.decode(root).ok().and_then(|raw| <[u8; 32]>::try_from(raw).ok());
        let root = Digest32(root.ok_or(wrong("the root is not the base64 of 32 bytes"))?);
        Ok(Self { origin: origin.to_owned(), size, root })
    }

    /// Parses a note whose signatures are not looked at.
    pub fn parse_unverified(text: &str) -> Result<Self, CheckpointError> {
        Self::parse_body(&note::parse(text)?.text)
    }

    /// Parses a note that `key` has signed under the checkpoint's own origin.
    pub fn verify(text: &str, key: &VerifyingKey) -> Result<Self, CheckpointError> {
        let checkpoint = Self::parse_unverified(text)?;
        note::verify(text, &checkpoint.origin, key)?;
        Ok(checkpoint)
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} size {} root {}", self.origin, self.size, self.root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_published_example_parses() {
        let text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";
        let checkpoint = Checkpoint::parse_unverified(text).unwrap();
        assert_eq!((checkpoint.origin.as_str(), checkpoint.size), ("example.com/behind-the-sofa", 20_852_163));
        let key = SigningKey::from_seed(&[1; 32]);
        assert!(Checkpoint::verify(text, &key.verifying_key()).is_err());
    }

    #[test]
    fn one_spelling_only() {
        let good = Checkpoint { origin: "log".into(), size: 10, root: Digest32([3; 32]) };
        let body = good.body();
        assert_eq!(Checkpoint::parse_body(&body), Ok(good));
        for bad in [
            body.replace("10", "010"),
            body.replace("10", "+10"),
            body.replace("10", "1 0"),
            format!("{body}more\n"),
            body.replace("log", ""),
            body.replace('=', ""),
        ] {
            assert!(Checkpoint::parse_body(&bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn round_trips(size in any::<u64>(), root in any::<[u8; 32]>(), seed in any::<[u8; 32]>(), origin in "[a-z./-]{1,30}") {
            let checkpoint = Checkpoint { origin, size, root: Digest32(root) };
            let key = SigningKey::from_seed(&seed);
            prop_assert_eq!(Checkpoint::verify(&checkpoint.sign(&key), &key.verifying_key()).unwrap(), checkpoint);
        }

        #[test]
        fn what_parses_prints_as_it_was(text in "[a-z]{0,5}\n[0-9+ ]{0,22}\n[A-Za-z0-9+/=]{0,48}\n?") {
            if let Ok(checkpoint) = Checkpoint::parse_body(&text) {
                prop_assert_eq!(checkpoint.body(), text);
            }
        }

        #[test]
        fn foreign_text_never_panics(text in ".{0,300}") {
            let _ = (Checkpoint::parse_body(&text), Checkpoint::parse_unverified(&text));
        }
    }
}
