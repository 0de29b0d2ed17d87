//! The keys that an incremental export names as written in its window: evidence of what may have changed between two moments.
//!
//! A window is compacted: each key comes once, with its last write. So a key written at or after the moment that matters may have been
//! written at that moment too, and one whose last write lies before it was not. Deletions, those of TTL included, are in it.

use std::collections::HashSet;

use futures_util::StreamExt;

use crate::model::clock::Timestamp;
use crate::model::failure::{Failure, FailureKind};
use crate::model::finding::Class;
use crate::verify::items::canonical::BadItem;
use crate::verify::items::digest::ItemHasher;
use crate::verify::items::export::Extent;
use crate::verify::items::export_files::Export;
use crate::verify::items::json;
use crate::verify::items::page::text_of;
use crate::verify::items::reader::{BadLine, Reader};
use crate::verify::items::scan::short;

/// Half the width of the window of an on-demand backup, in seconds (documented as consistent "within a minute").
pub const BACKUP_WINDOW_S: i64 = 60;
/// Half the width of the instant at which an export and a restore to the same second may cut differently.
pub const SECOND_WINDOW_S: i64 = 1;

/// What a touched key is evidence of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Evidence {
    /// It changed between two moments that are known to differ.
    Between,
    /// It was written within the second that both sides claim to show.
    SameSecond,
}

/// Keys that were touched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Touched {
    keys: HashSet<[u8; 8]>,
    evidence: Evidence,
    /// The window that is known.
    pub window: (Timestamp, Timestamp),
}

impl Touched {
    /// Reads an incremental export; keys last written before `since` are not touched.
    ///
    /// # Errors
    /// [`FailureKind::Invalid`] for a full export or one whose window does not reach from `since` to `until`.
    pub async fn load(
        export: &Export,
        hasher: &mut ItemHasher,
        evidence: Evidence,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Self, Failure> {
        let Extent::Incremental { from, to } = export.summary.extent else {
            return Err(Failure::invalid(format!("{}: expected an incremental export, found a full one", export.url)));
        };
        if from > since || to < until {
            return Err(Failure::invalid(format!(
                "{}: expected the changes from {since} to {until}, found those from {from} to {to}",
                export.url
            ))
            .hint("export the changes of a window that holds both moments"));
        }
        let mut keys = HashSet::new();
        for at in 0..export.data.len() {
            let mut pages = export.lines(at);
            while let Some(page) = pages.next().await {
                for line in page?.iter() {
                    let change = Change::parse(line).map_err(|bad| bad.failure(&format!("{}: {}", export.url, export.data[at].key)))?;
                    let hash = hasher.key_hash(&change.keys).ok_or_else(|| {
                        Failure::new(FailureKind::BadEvidence, format!("{}: a change without the table's primary key", export.url))
                    })?;
                    if change.written.is_none_or(|written| written >= since) {
                        keys.insert(short(&hash));
                    }
                }
            }
        }
        Ok(Self { keys, evidence, window: (from, to) })
    }

    /// Touched keys by their hashes, as tests and other logs give them.
    pub fn of(keys: impl IntoIterator<Item = [u8; 8]>, evidence: Evidence, window: (Timestamp, Timestamp)) -> Self {
        Self { keys: keys.into_iter().collect(), evidence, window }
    }

    /// The class of a difference once it is known whether its key was touched.
    pub fn class(&self, class: Class, key_hash: &[u8; 8]) -> Class {
        if !self.keys.contains(key_hash) {
            return class;
        }
        match (class, self.evidence) {
            (Class::Mismatch, Evidence::Between) => Class::ChangedBetween,
            (Class::Missing, Evidence::Between) => Class::DeletedBetween,
            (Class::Extra, Evidence::Between) => Class::AddedBetween,
            (Class::Mismatch | Class::Missing | Class::Extra, Evidence::SameSecond) => Class::Indeterminate,
            (other, _) => other,
        }
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.keys.len()
    }
}

/// One line of an incremental export.
#[derive(Clone, PartialEq, Debug)]
pub struct Change {
    /// The primary key.
    pub keys: crate::verify::items::item::Item,
    /// When the key was last written, where it is said.
    pub written: Option<Timestamp>,
}

impl Change {
    /// Reads a line; images are passed over.
    pub fn parse(line: &[u8]) -> Result<Self, BadLine> {
        let mut reader = Reader::new(text_of(line)?);
        let (mut keys, mut written) = (None, None);
        reader.members(|name, reader| {
            match name {
                "Keys" => keys = Some(json::item(reader)?),
                "Metadata" => written = stamp(reader.skip()?)?,
                _ => drop(reader.skip()?),
            }
            Ok(())
        })?;
        reader.end()?;
        let keys = keys.ok_or_else(|| BadItem::NoKey("Keys".into()))?;
        Ok(Self { keys, written })
    }
}

/// `WriteTimestampMicros`: `{"N": "…"}` as documented, or a bare number.
fn stamp(metadata: &str) -> Result<Option<Timestamp>, BadLine> {
    let mut stamp = None;
    Reader::new(metadata).members(|name, reader| {
        let text = reader.skip()?;
        if name == "WriteTimestampMicros" {
            // Only whole microseconds spelled out: what an exponent would do to them is not guessed.
            if text.contains(['e', 'E']) {
                return Err(BadItem::NotANumber(text.chars().take(60).collect()).into());
            }
            let digits: String = text.chars().filter(char::is_ascii_digit).collect();
            stamp = Some(Timestamp(digits.parse().map_err(|_| BadItem::NotANumber(text.chars().take(60).collect()))?));
        }
        Ok(())
    })?;
    Ok(stamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_a_stamp_are_read() {
        let documented = br#"{"Metadata":{"WriteTimestampMicros":{"N":"1680109764000000"}},"Keys":{"pk":{"S":"a"}},"NewImage":{"pk":{"S":"a"},"x":{"NULL":true}}}"#;
        let seen = br#"{"Keys":{"pk":{"S":"a"}},"Metadata":{"WriteTimestampMicros":1680109764000000}}"#;
        let (one, other) = (Change::parse(documented).unwrap(), Change::parse(seen).unwrap());
        assert_eq!(one, other);
        assert_eq!(one.written, Some(Timestamp(1_680_109_764_000_000)));
        assert!(Change::parse(br#"{"NewImage":{}}"#).is_err());
        assert!(Change::parse(br#"{"Keys":{},"Metadata":{"WriteTimestampMicros":{"N":"x"}}}"#).is_err());
    }

    #[test]
    fn only_touched_keys_are_excused_and_only_as_the_evidence_allows() {
        let window = (Timestamp(0), Timestamp(1));
        let between = Touched::of([[1; 8]], Evidence::Between, window);
        let second = Touched::of([[1; 8]], Evidence::SameSecond, window);
        for (class, one, other) in [
            (Class::Mismatch, Class::ChangedBetween, Class::Indeterminate),
            (Class::Missing, Class::DeletedBetween, Class::Indeterminate),
            (Class::Extra, Class::AddedBetween, Class::Indeterminate),
            (Class::Match, Class::Match, Class::Match),
            (Class::Unreadable, Class::Unreadable, Class::Unreadable),
        ] {
            assert_eq!((between.class(class, &[1; 8]), second.class(class, &[1; 8])), (one, other));
            assert_eq!((between.class(class, &[2; 8]), second.class(class, &[2; 8])), (class, class));
        }
    }
}
