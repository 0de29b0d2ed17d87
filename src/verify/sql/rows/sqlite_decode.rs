//! SQLite values into canonical fields: the storage class is the tag, so that 1, 1.0 and '1' differ.

use rusqlite::types::ValueRef;

use crate::verify::sql::rows::canon::Row;
use crate::verify::sql::rows::tag;

/// How the file stores text (`PRAGMA encoding`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TextEncoding {
    /// UTF-8
    Utf8,
    /// UTF-16, little-endian.
    Utf16Le,
    /// UTF-16, big-endian.
    Utf16Be,
}

/// Writes one value of a file whose text is UTF-8, or one that is no text.
#[inline]
pub fn field(value: ValueRef<'_>, row: &mut Row) {
    match value {
        ValueRef::Null => row.null(),
        ValueRef::Integer(number) => row.signed(number),
        ValueRef::Real(number) => row.f64(number),
        ValueRef::Text(bytes) => row.text(bytes),
        ValueRef::Blob(bytes) => row.blob(bytes),
    }
}

/// Text is compared as UTF-8, whatever the file's encoding; what does not convert keeps its bytes and the tag that says so.
pub fn text(encoding: TextEncoding, bytes: &[u8], row: &mut Row) {
    let units = |from: fn([u8; 2]) -> u16| -> Option<String> {
        let whole = bytes.len().is_multiple_of(2);
        whole.then(|| String::from_utf16(&bytes.chunks_exact(2).map(|pair| from([pair[0], pair[1]])).collect::<Vec<_>>()).ok())?
    };
    let converted = match encoding {
        TextEncoding::Utf8 => None,
        TextEncoding::Utf16Le => units(u16::from_le_bytes),
        TextEncoding::Utf16Be => units(u16::from_be_bytes),
    };
    match converted {
        Some(text) => row.text(text.as_bytes()),
        None if encoding == TextEncoding::Utf8 => row.text(bytes),
        None => row.bytes_as(tag::TEXT_INVALID, bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::hash_key::HashKey;
    use crate::verify::sql::rows::row_keys::RowKeys;

    #[test]
    fn text_that_does_not_convert_is_no_text_that_does() {
        let of = |encoding, bytes: &[u8]| {
            let mut row = Row::new(&RowKeys::new(&HashKey::from_bytes([7; 32])));
            row.begin(1);
            text(encoding, bytes, &mut row);
            row.field(0).to_vec()
        };
        // Half a surrogate pair, whose bytes are UTF-8; and the text that these bytes are in UTF-8.
        let half = of(TextEncoding::Utf16Le, &[0x61, 0x00, 0x00, 0xd8, 0x61, 0x00]);
        assert_eq!(half[0], tag::TEXT_INVALID);
        let odd = of(TextEncoding::Utf16Be, b"a");
        assert_eq!(odd[0], tag::TEXT_INVALID);
        let twin = of(TextEncoding::Utf8, b"a");
        assert!(twin[0] == tag::TEXT && twin[1..] == odd[1..]);
        assert_eq!(of(TextEncoding::Utf16Le, b"a\0"), twin);
        assert_eq!(of(TextEncoding::Utf8, &[0xff])[0], tag::TEXT_INVALID);
    }
}
