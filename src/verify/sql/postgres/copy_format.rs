//! What surrounds the values of `COPY … (FORMAT binary)` (PostgreSQL documentation, COPY, "Binary Format"): the header, and lengths.
//!
//! Not here: rows (`copy`), and what values mean (`rows::postgres_decode`).

/// What a stream begins with.
pub const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Bytes of the header: signature, flags, and the length of its extension.
pub const HEADER: usize = 19;

/// The value that stands first, nothing within for NULL, and what follows it; nothing where it is not whole.
#[inline]
#[allow(clippy::type_complexity, reason = "a value, and what follows it")]
pub fn first_value(bytes: &[u8]) -> Result<Option<(Option<&[u8]>, &[u8])>, String> {
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
    Ok(match length_of(*length)? {
        None => Some((None, rest)),
        Some(length) => rest.split_at_checked(length).map(|(value, rest)| (Some(value), rest)),
    })
}

/// The length of a field; nothing for NULL.
#[inline]
pub fn length_of(bytes: [u8; 4]) -> Result<Option<usize>, String> {
    match i32::from_be_bytes(bytes) {
        -1 => Ok(None),
        length => usize::try_from(length).map(Some).map_err(|_| format!("field of {length} bytes")),
    }
}

/// The length of the header's extension.
pub fn extension(header: &[u8]) -> Result<usize, String> {
    let rest = header.strip_prefix(SIGNATURE).ok_or("not a binary COPY stream")?;
    let Some(([a, b, c, d], length)) = rest.split_first_chunk::<4>() else { return Err("not a binary COPY stream".into()) };
    let flags = u32::from_be_bytes([*a, *b, *c, *d]);
    // Bits 16 to 31 are critical (COPY, "File Header"); none is known.
    if flags >> 16 != 0 {
        return Err(format!("COPY stream with flags {flags:#x}"));
    }
    let length = length.first_chunk::<4>().map_or(0, |length| u32::from_be_bytes(*length)) as usize;
    if length > 1 << 20 {
        return Err(format!("COPY stream with a header of {length} bytes"));
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_other_streams_are_refused() {
        let header = |flags: u32, length: u32| [&SIGNATURE[..], &flags.to_be_bytes(), &length.to_be_bytes()].concat();
        assert_eq!(extension(&header(0xffff, 3)), Ok(3), "bits that are not critical say nothing");
        assert!(extension(&header(1 << 16, 0)).unwrap_err().contains("flags 0x10000"));
        assert!(extension(&header(0, (1 << 20) + 1)).unwrap_err().contains("header of 1048577 bytes"));
        for cut in 0..HEADER - 4 {
            assert_eq!(extension(&header(0, 0)[..cut]).unwrap_err(), "not a binary COPY stream");
        }
    }

    #[test]
    fn values_that_are_not_whole_are_none() {
        assert_eq!(first_value(&[0, 0, 0, 2, 7, 8, 9]), Ok(Some((Some(&[7, 8][..]), &[9][..]))));
        assert_eq!(first_value(&[0xff; 5]), Ok(Some((None, &[0xff][..]))));
        assert_eq!(first_value(&[0, 0, 0, 2, 7]), Ok(None));
        assert_eq!(first_value(&[0, 0, 0]), Ok(None));
        assert_eq!(first_value(&[0xff, 0xff, 0xff, 0xfe]).unwrap_err(), "field of -2 bytes");
    }
}
