//! SQLite values into canonical fields: the storage class is the tag, so that 1, 1.0 and '1' differ.

use rusqlite::types::ValueRef;

use crate::verify::sql::rows::canon::Row;

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
    row.text(converted.as_deref().map_or(bytes, str::as_bytes));
}
