//! A gzip stream unpacked straight into pages of whole lines: no buffer between the decoder and the page.
//!
//! Not here: what the lines say, and whether the packed bytes are the ones that were promised (`export_files`).

use flate2::{Decompress, FlushDecompress, Status};

use crate::verify::items::page::Lines;

/// Unpacked bytes that make a page.
pub const PAGE_BYTES: usize = 1 << 20;
/// No line of an export is longer: an item has at most 400 KB, which escapes and base64 make larger.
pub const LONGEST_LINE: usize = 16 << 20;
/// Room that the decoder is given at least: it is at its fastest with room for many matches.
const ROOM: usize = 64 << 10;
/// The window of gzip (RFC 1951: at most 32 KiB), and its header and checksum (RFC 1952).
const WINDOW_BITS: u8 = 15;

/// A stream of gzip members, one after the other.
pub struct Gunzip {
    inflate: Decompress,
    /// Unpacked, and not in a page yet.
    text: Vec<u8>,
    /// Up to here there is no `\n` in it.
    without_end: usize,
    in_member: bool,
}

impl Default for Gunzip {
    fn default() -> Self {
        Self { inflate: Decompress::new_gzip(WINDOW_BITS), text: Vec::new(), without_end: 0, in_member: false }
    }
}

impl Gunzip {
    /// Unpacks the next bytes of the stream; says what is wrong with them otherwise.
    pub fn write(&mut self, mut packed: &[u8]) -> Result<(), String> {
        loop {
            if self.text.capacity() - self.text.len() < ROOM {
                self.text.reserve(if self.text.is_empty() { PAGE_BYTES + 4 * ROOM } else { 4 * ROOM });
            }
            if packed.is_empty() && !self.in_member {
                return Ok(());
            }
            let (before, had) = (self.inflate.total_in(), self.text.len());
            let said = self.inflate.decompress_vec(packed, &mut self.text, FlushDecompress::None);
            let status = said.map_err(|error| format!("expected a whole gzip stream, found damage in it ({error})"))?;
            let taken = usize::try_from(self.inflate.total_in() - before).unwrap_or(usize::MAX);
            packed = packed.get(taken..).unwrap_or_default();
            self.in_member = status != Status::StreamEnd;
            if status == Status::StreamEnd {
                self.inflate = Decompress::new_gzip(WINDOW_BITS);
            } else if taken == 0 && self.text.len() == had {
                // Nothing came of it: the decoder wants more than there is.
                return if packed.is_empty() {
                    Ok(())
                } else {
                    Err("expected a whole gzip stream, found damage in it (the decoder does not go on)".to_owned())
                };
            }
        }
    }

    /// The lines that are whole, once they make a page.
    pub fn page(&mut self) -> Result<Option<Lines>, String> {
        if self.text.len() < PAGE_BYTES {
            return Ok(None);
        }
        let Some(end) = memchr::memrchr(b'\n', &self.text[self.without_end..]).map(|at| self.without_end + at) else {
            self.without_end = self.text.len();
            return if self.text.len() > LONGEST_LINE { Err(format!("a line is longer than {LONGEST_LINE} bytes")) } else { Ok(None) };
        };
        let mut rest = Vec::with_capacity(PAGE_BYTES + 4 * ROOM);
        rest.extend_from_slice(&self.text[end + 1..]);
        self.text.truncate(end + 1);
        self.without_end = rest.len();
        Ok(Some(Lines::of(std::mem::replace(&mut self.text, rest))))
    }

    /// What is left at the end of the stream.
    ///
    /// # Errors
    /// Where the stream ends within a member.
    pub fn end(&mut self) -> Result<Lines, String> {
        if self.in_member {
            return Err("the gzip stream is cut short".to_owned());
        }
        Ok(Lines::of(std::mem::take(&mut self.text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(text).unwrap();
        packer.finish().unwrap()
    }

    fn unpacked(stream: &[u8], piece: usize) -> Result<Vec<Vec<u8>>, String> {
        let (mut gunzip, mut lines) = (Gunzip::default(), Vec::new());
        for piece in stream.chunks(piece) {
            gunzip.write(piece)?;
            if let Some(page) = gunzip.page()? {
                lines.extend(page.iter().map(<[u8]>::to_vec));
            }
        }
        lines.extend(gunzip.end()?.iter().map(<[u8]>::to_vec));
        Ok(lines)
    }

    #[test]
    fn pages_have_whole_lines_whatever_the_pieces_and_members() {
        let lines: Vec<Vec<u8>> = (0..40_000u32).map(|n| format!("{n} {}", "x".repeat(n as usize % 97)).into_bytes()).collect();
        let text = lines.join(&b'\n');
        let (first, second) = text.split_at(700_001);
        let members = [packed(first), packed(b""), packed(second)].concat();
        for piece in [1 << 10, 7919, members.len()] {
            assert!(unpacked(&members, piece).unwrap() == lines, "{piece}");
        }
    }

    #[test]
    fn a_line_may_be_long_and_not_endless() {
        let long = vec![b'x'; LONGEST_LINE - PAGE_BYTES];
        assert_eq!(unpacked(&packed(&long), 1 << 16).unwrap(), [long]);
        assert!(unpacked(&packed(&vec![b'x'; LONGEST_LINE + PAGE_BYTES]), 1 << 10).unwrap_err().contains("longer"));
    }

    #[test]
    fn damage_and_a_cut_are_told() {
        let whole = packed(b"one\ntwo\n");
        assert_eq!(unpacked(b"", 1).unwrap(), Vec::<Vec<u8>>::new());
        for end in 1..whole.len() {
            assert!(unpacked(&whole[..end], 3).unwrap_err().contains("cut short"), "{end}");
        }
        let mut crc = whole.clone();
        let at = crc.len() - 6;
        crc[at] ^= 1;
        assert!(unpacked(&crc, 5).unwrap_err().contains("found damage"));
        assert!(unpacked(&[&whole[..], b"more"].concat(), 1000).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_lines_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300), flip in any::<prop::sample::Index>(), bit in 0u8..8, piece in 1usize..40) {
            let _ = unpacked(&bytes, piece);
            let mut stream = packed(&bytes);
            let at = flip.index(stream.len());
            stream[at] ^= 1 << bit;
            // Of the header some bytes mean nothing; what is unpacked is right or refused all the same.
            if let Ok(lines) = unpacked(&stream, piece) {
                prop_assert_eq!(lines, Lines::of(bytes).iter().map(<[u8]>::to_vec).collect::<Vec<_>>());
            }
        }
    }
}
