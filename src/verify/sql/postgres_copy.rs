//! The framing of `COPY … TO STDOUT (FORMAT binary)` (PostgreSQL documentation, COPY, "Binary Format"), decoded as chunks arrive.
//!
//! Not here: what the fields mean (`postgres_decode`).

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";

/// Where a field begins and ends.
type Span = (usize, usize);
/// The end of a field that is NULL: beyond any stream.
const NULL: usize = usize::MAX;

/// The fields of one tuple.
#[derive(Clone, Copy, Debug)]
pub struct Tuple<'a> {
    bytes: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Tuple<'a> {
    /// How many there are.
    pub fn len(self) -> usize {
        self.spans.len()
    }

    /// True of a row without columns.
    pub fn is_empty(self) -> bool {
        self.spans.is_empty()
    }

    /// Each field; nothing for NULL.
    pub fn fields(self) -> impl Iterator<Item = Option<&'a [u8]>> {
        self.spans.iter().map(move |(start, end)| self.bytes.get(*start..*end))
    }
}

/// Gets one tuple; false when it has had enough, an error when it cannot be read.
pub type TupleSink<'a> = &'a mut dyn FnMut(Tuple<'_>) -> Result<bool, String>;

/// Cuts a COPY stream into tuples, whatever the chunks are. A stream that ends without its trailer has been cut short.
#[derive(Default)]
pub struct CopyDecoder {
    pending: Vec<u8>,
    /// Where the fields of the tuple at hand are; kept for its room.
    spans: Vec<Span>,
    started: bool,
    ended: bool,
}

impl CopyDecoder {
    /// Feeds the next chunk; `tuple` gets the fields of each complete tuple and says whether to go on.
    pub fn feed(&mut self, chunk: &[u8], tuple: TupleSink<'_>) -> Result<bool, String> {
        let joined;
        let mut rest = if self.pending.is_empty() {
            chunk
        } else {
            self.pending.extend_from_slice(chunk);
            joined = std::mem::take(&mut self.pending);
            &joined[..]
        };
        let mut go_on = true;
        if !self.started {
            match header_length(rest)? {
                Some(length) => rest = &rest[length..],
                None => {
                    self.pending = rest.to_vec();
                    return Ok(true);
                }
            }
            self.started = true;
        }
        let mut spans = std::mem::take(&mut self.spans);
        while go_on && !rest.is_empty() {
            if self.ended {
                return Err("bytes after the end of the stream".into());
            }
            let Some(count) = rest.first_chunk::<2>().map(|n| i16::from_be_bytes(*n)) else { break };
            if count == -1 {
                self.ended = true;
                rest = &rest[2..];
                continue;
            }
            let fields = usize::try_from(count).map_err(|_| format!("tuple of {count} fields"))?;
            let Some(end) = cut(rest, fields, &mut spans)? else { break };
            go_on = tuple(Tuple { bytes: rest, spans: &spans })?;
            rest = &rest[end..];
        }
        self.pending = rest.to_vec();
        self.spans = spans;
        Ok(go_on)
    }

    /// Ends the stream: an error unless the trailer has been seen and nothing is left over.
    pub fn finish(self) -> Result<(), String> {
        if self.ended && self.pending.is_empty() { Ok(()) } else { Err("the stream ended without its trailer".into()) }
    }
}

/// Where the fields of the tuple at the start of `bytes` are, and where it ends; nothing while it is not whole.
fn cut(bytes: &[u8], fields: usize, spans: &mut Vec<Span>) -> Result<Option<usize>, String> {
    spans.clear();
    let mut at = 2;
    for _ in 0..fields {
        let Some(length) = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()) else { return Ok(None) };
        let length = i32::from_be_bytes(*length);
        at += 4;
        if length == -1 {
            spans.push((0, NULL));
            continue;
        }
        let end = at + usize::try_from(length).map_err(|_| format!("field of {length} bytes"))?;
        if end > bytes.len() {
            return Ok(None);
        }
        spans.push((at, end));
        at = end;
    }
    Ok(Some(at))
}

/// The length of the file header, once it is there.
fn header_length(bytes: &[u8]) -> Result<Option<usize>, String> {
    if !SIGNATURE.starts_with(&bytes[..bytes.len().min(11)]) {
        return Err("not a binary COPY stream".into());
    }
    let Some(length) = bytes.get(15..19) else { return Ok(None) };
    let flags = u32::from_be_bytes(bytes[11..15].try_into().expect("4 bytes"));
    // Bits 16 to 31 are critical (COPY, "File Header"); none is known.
    if flags >> 16 != 0 {
        return Err(format!("COPY stream with flags {flags:#x}"));
    }
    let length = u32::from_be_bytes(length.try_into().expect("4 bytes")) as usize;
    if length > 1 << 20 {
        return Err(format!("COPY stream with a header of {length} bytes"));
    }
    Ok((bytes.len() >= 19 + length).then_some(19 + length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stream(tuples: &[Vec<Option<Vec<u8>>>]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([0; 8]);
        for tuple in tuples {
            bytes.extend((tuple.len() as i16).to_be_bytes());
            for field in tuple {
                match field {
                    None => bytes.extend((-1i32).to_be_bytes()),
                    Some(value) => {
                        bytes.extend((value.len() as i32).to_be_bytes());
                        bytes.extend(value);
                    }
                }
            }
        }
        bytes.extend((-1i16).to_be_bytes());
        bytes
    }

    fn decoded(chunks: &[&[u8]]) -> Result<Vec<Vec<Option<Vec<u8>>>>, String> {
        let (mut decoder, mut tuples) = (CopyDecoder::default(), Vec::new());
        for chunk in chunks {
            decoder.feed(chunk, &mut |tuple| {
                tuples.push(tuple.fields().map(|field| field.map(<[u8]>::to_vec)).collect());
                Ok(true)
            })?;
        }
        decoder.finish().map(|()| tuples)
    }

    #[test]
    fn a_stream_cut_anywhere_is_an_error() {
        let whole = stream(&[vec![Some(b"ab".to_vec()), None], vec![Some(vec![]), Some(vec![1])]]);
        assert_eq!(decoded(&[&whole]).unwrap().len(), 2);
        for cut in 0..whole.len() {
            assert!(decoded(&[&whole[..cut]]).is_err(), "cut at {cut}");
        }
        assert!(decoded(&[&whole, b"x"]).is_err());
    }

    proptest! {
        #[test]
        fn chunks_do_not_show(tuples in prop::collection::vec(prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..20)), 0..4), 0..10), size in 1usize..40) {
            let whole = stream(&tuples);
            let chunks: Vec<&[u8]> = whole.chunks(size).collect();
            prop_assert_eq!(decoded(&chunks).unwrap(), tuples);
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = decoded(&[&bytes]);
            let mut after_a_header = SIGNATURE.to_vec();
            after_a_header.extend([0; 8]);
            let _ = decoded(&[&after_a_header, &bytes]);
        }
    }
}
