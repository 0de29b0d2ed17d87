//! What a file kept as a backup of SQLite is, by its first bytes ("Database File Format" of SQLite, section 1.3).
//!
//! Not here: reading it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::model::failure::Failure;

/// So much is looked at: a page of the usual size.
const LOOK: u64 = 4 << 10;

/// True for a file that begins as a database does.
pub fn has_header(path: &Path) -> bool {
    let mut head = [0u8; 16];
    File::open(path).and_then(|mut file| file.read_exact(&mut head)).is_ok() && head == *b"SQLite format 3\0"
}

/// A form of backup that is no database file and says nothing of what is in it, in words; nothing for a database, and for one whose
/// beginning was damaged.
pub fn other_form(path: &Path) -> Result<Option<&'static str>, Failure> {
    let about = |error| Failure::io(format!("cannot look at {}", path.display()), error);
    let mut head = Vec::new();
    File::open(path).map_err(about)?.take(LOOK).read_to_end(&mut head).map_err(about)?;
    Ok(form_of(&head))
}

fn form_of(head: &[u8]) -> Option<&'static str> {
    // The payload fractions of the header are the same in every database.
    if head.starts_with(b"SQLite format 3\0") || head.get(21..24) == Some(&[64, 32, 32]) {
        return None;
    }
    let text = head.trim_ascii_start();
    if ["PRAGMA foreign_keys=OFF;", "BEGIN TRANSACTION;", "-- "].iter().any(|start| text.starts_with(start.as_bytes())) {
        return Some("SQL text (`.dump`): load it into a database file with sqlite3, and keep that");
    }
    // Encrypted pages look like noise from the first byte on (SQLCipher keeps a salt there); zeros and text do not.
    (head.len() as u64 == LOOK && bits_a_byte(head) > 7.5)
        .then_some("a file that looks encrypted from its first byte on: keep it decrypted, or verify it where its key is")
}

/// Shannon's entropy of the bytes.
fn bits_a_byte(bytes: &[u8]) -> f64 {
    let mut counts = [0u32; 256];
    bytes.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    let total = bytes.len() as f64;
    let share = counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / total);
    -share.map(|share| share * share.log2()).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_damaged_ones_and_others_are_told_apart() {
        let mut whole = b"SQLite format 3\0\x10\0\x01\x01\0\x40\x20\x20".to_vec();
        whole.resize(4096, 0);
        let mut flipped = whole.clone();
        flipped[3] ^= 1;
        let zeros = vec![0; 4096];
        for bytes in [&whole[..], &flipped, &zeros, b"", b"hello", &b"text ".repeat(900)] {
            assert_eq!(form_of(bytes), None);
        }
        assert!(form_of(b"PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n").unwrap().contains(".dump"));
        let noise: Vec<u8> = (0u32..4096).map(|at| blake3::hash(&at.to_le_bytes()).as_bytes()[0]).collect();
        assert!(form_of(&noise).unwrap().contains("encrypted"));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_form_or_none(head in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..5000)) {
            let _ = form_of(&head);
        }
    }
}
