//! Payloads of canonical fields read back; nothing where bytes are not of the form.
//!
//! Not here: how they are shown (`display`).

/// The bytes of a payload that begins with its length.
pub fn sized(payload: &[u8]) -> Option<&[u8]> {
    let (length, bytes) = payload.split_first_chunk::<8>()?;
    (u64::from_be_bytes(*length) == bytes.len() as u64).then_some(bytes)
}

/// Sign and magnitude of an integer's payload.
pub fn whole(payload: &[u8]) -> Option<(bool, u64)> {
    let (sign, magnitude) = payload.split_first()?;
    Some((*sign == 1, u64::from_be_bytes(magnitude.try_into().ok()?)))
}

/// Sign, scale and digits of a decimal's payload.
pub fn parts_of_decimal(payload: &[u8]) -> Option<(bool, i32, &[u8])> {
    let (sign, rest) = payload.split_first()?;
    let (scale, digits) = rest.split_first_chunk::<4>()?;
    Some((*sign == 1, i32::from_be_bytes(*scale), sized(digits)?))
}
