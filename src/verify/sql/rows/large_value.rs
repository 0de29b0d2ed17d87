//! A value of any length in constant memory: its payload is taken piece by piece as it arrives, and only its digest is kept.
//!
//! What comes out is, byte for byte, the field that the whole payload would give (`canon`, tag 22). Whether a text is UTF-8 is found out
//! on the way, characters that lie in two pieces included.
//!
//! Not here: where pieces come from, and values that must be parsed as a whole (arrays, composites, ranges).

use crate::verify::sql::rows::canon::{LARGE_BYTES, Row};
use crate::verify::sql::rows::tag;

/// What a payload is, once it is known to be large.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Payload<'a> {
    /// Text: under `TEXT` where it is UTF-8, `TEXT_INVALID` where it is not.
    Text,
    /// Under this tag whatever it holds: `BYTES`, `JSON`, `JSONB`, `GEOMETRY`.
    Tagged(u8),
    /// Of a type that has no rule, by its name.
    Opaque(&'a str),
}

/// A payload of more than [`LARGE_BYTES`] on its way.
#[derive(Clone)]
pub struct LargeValue {
    /// Its tag, once it is known whether text is UTF-8.
    tag: u8,
    hasher: blake3::Hasher,
    length: u64,
    text: Utf8,
}

impl LargeValue {
    /// True of a payload of which the canonical field holds the digest alone.
    #[inline]
    pub fn is_large(length: u64) -> bool {
        length > LARGE_BYTES as u64
    }

    /// Nothing taken yet of a value that is for `row`.
    pub fn new(row: &Row, payload: Payload<'_>) -> Self {
        let (tag, hasher) = match payload {
            Payload::Text => (tag::TEXT, row.large_hasher()),
            Payload::Tagged(tag) => (tag, row.large_hasher()),
            Payload::Opaque(name) => (tag::OPAQUE, row.large_hasher_of(name)),
        };
        Self { tag, hasher, length: 0, text: Utf8::default() }
    }

    /// Takes the next bytes.
    pub fn piece(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        self.hasher.update(bytes);
        if self.tag == tag::TEXT {
            self.text.take(bytes);
        }
    }

    /// Bytes taken so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Writes the field into the row; an error where the value was not large, since its field would then hold the payload itself.
    pub fn finish(self, row: &mut Row) -> Result<(), String> {
        if !Self::is_large(self.length) {
            return Err(format!("a value of {} bytes is not large: it was cut short", self.length));
        }
        let tag = if self.tag == tag::TEXT && !self.text.is_whole() { tag::TEXT_INVALID } else { self.tag };
        row.large(tag, self.length, self.hasher.finalize().as_bytes());
        Ok(())
    }
}

/// Whether bytes that arrive in pieces are UTF-8.
#[derive(Clone, Default)]
struct Utf8 {
    broken: bool,
    /// The bytes of a character that has begun and not ended.
    begun: [u8; 4],
    count: usize,
}

impl Utf8 {
    fn take(&mut self, mut bytes: &[u8]) {
        // What follows a character that was cut, one byte at a time until it ends.
        while self.count > 0 && !self.broken {
            let Some((next, rest)) = bytes.split_first() else { return };
            (self.begun[self.count], bytes) = (*next, rest);
            self.count += 1;
            match std::str::from_utf8(&self.begun[..self.count]) {
                Ok(_) => self.count = 0,
                // No character has more than four bytes: with the fourth it ends or is none.
                Err(error) => self.broken = error.error_len().is_some(),
            }
        }
        if self.broken {
            return;
        }
        if let Err(error) = std::str::from_utf8(bytes) {
            let rest = &bytes[error.valid_up_to()..];
            self.broken = error.error_len().is_some();
            if !self.broken {
                self.count = rest.len();
                self.begun[..rest.len()].copy_from_slice(rest);
            }
        }
    }

    fn is_whole(&self) -> bool {
        !self.broken && self.count == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::hash_key::HashKey;
    use crate::verify::sql::rows::row_keys::RowKeys;
    use proptest::prelude::*;

    fn row() -> Row {
        let mut row = Row::new(&RowKeys::new(&HashKey::from_bytes([7; 32])));
        row.begin(1);
        row
    }

    fn whole(payload: Payload<'_>, bytes: &[u8]) -> Vec<u8> {
        let mut row = row();
        match payload {
            Payload::Text => row.text(bytes),
            Payload::Tagged(tag::BYTES) => row.blob(bytes),
            Payload::Tagged(tag::GEOMETRY) => row.geometry(bytes),
            Payload::Opaque(name) => row.opaque(name, bytes),
            Payload::Tagged(tag) => row.bytes_as(tag, bytes),
        }
        row.field(0).to_vec()
    }

    fn in_pieces(payload: Payload<'_>, pieces: &[&[u8]]) -> Result<Vec<u8>, String> {
        let mut row = row();
        let mut value = LargeValue::new(&row, payload);
        pieces.iter().for_each(|piece| value.piece(piece));
        value.finish(&mut row)?;
        assert_eq!(row.len(), 1, "one value is one field");
        Ok(row.field(0).to_vec())
    }

    #[test]
    fn what_is_not_large_has_no_such_field() {
        let bytes = vec![b'a'; LARGE_BYTES + 1];
        assert!(in_pieces(Payload::Text, &[&bytes[1..]]).is_err() && in_pieces(Payload::Text, &[]).is_err());
        assert!(!LargeValue::is_large(LARGE_BYTES as u64) && LargeValue::is_large(LARGE_BYTES as u64 + 1));
        assert_eq!(in_pieces(Payload::Text, &[&bytes]).unwrap(), whole(Payload::Text, &bytes));
    }

    #[test]
    fn every_way_to_cut_characters_of_every_length() {
        let text = "a\u{e9}\u{20ac}\u{10348}\u{10ffff}".as_bytes();
        let known = |pieces: &[&[u8]]| {
            let mut utf8 = Utf8::default();
            pieces.iter().for_each(|piece| utf8.take(piece));
            utf8.is_whole()
        };
        for first in 0..=text.len() {
            for second in first..=text.len() {
                assert!(known(&[&text[..first], &text[first..second], &text[second..]]), "cut at {first} and {second}");
                let shorter = &text[..second];
                assert_eq!(known(&[&shorter[..first], &shorter[first..]]), std::str::from_utf8(shorter).is_ok());
            }
        }
    }

    proptest! {
        #[test]
        fn utf8_is_what_the_whole_is(pieces in prop::collection::vec(prop_oneof![
            prop::collection::vec(any::<u8>(), 0..5),
            prop::collection::vec(prop::sample::select(vec![0x61u8, 0xc3, 0xa9, 0xe2, 0x82, 0xac, 0xf0, 0x90, 0x8d, 0x88, 0xed, 0xa0]), 0..6),
            "[aé€𐍈]{0,4}".prop_map(String::into_bytes),
        ], 0..8)) {
            let mut utf8 = Utf8::default();
            pieces.iter().for_each(|piece| utf8.take(piece));
            prop_assert_eq!(utf8.is_whole(), std::str::from_utf8(&pieces.concat()).is_ok());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn pieces_of_any_size_are_the_whole(
            unit in prop_oneof![Just("a€𐍈é".as_bytes().to_vec()), prop::collection::vec(any::<u8>(), 1..9)],
            surplus in 1usize..5_000,
            sizes in prop::collection::vec(1usize..900_000, 1..40),
            kind in 0usize..6,
        ) {
            let payload = [Payload::Text, Payload::Tagged(tag::BYTES), Payload::Tagged(tag::JSON), Payload::Tagged(tag::JSONB), Payload::Tagged(tag::GEOMETRY), Payload::Opaque("seg")][kind];
            let bytes: Vec<u8> = unit.iter().copied().cycle().take(LARGE_BYTES + surplus).collect();
            let (mut pieces, mut rest, mut sizes) = (Vec::new(), &bytes[..], sizes.into_iter().cycle());
            while let Some(size) = sizes.next().filter(|_| !rest.is_empty()) {
                let (piece, after) = rest.split_at(size.min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            prop_assert_eq!(in_pieces(payload, &pieces).unwrap(), whole(payload, &bytes));
        }
    }
}
