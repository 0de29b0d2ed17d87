//! Rows of a catalogue, held whole: what is asked once and small.
//!
//! Not here: rows of tables, which stream (`rows`).

/// One row of an answer: the bytes of its values in the binary protocol.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Answer(pub Vec<Option<Vec<u8>>>);

impl Answer {
    /// A text, whichever character set the metadata claims; nothing for NULL and where there is no such column.
    pub fn text(&self, at: usize) -> Option<String> {
        self.0.get(at)?.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// A `BIGINT UNSIGNED`.
    pub fn unsigned(&self, at: usize) -> Option<u64> {
        self.0.get(at)?.as_ref().and_then(|bytes| bytes.as_slice().try_into().ok()).map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_nothing_are_no_text() {
        let answer = Answer(vec![Some(b"a\xff".to_vec()), None, Some(vec![7, 0, 0, 0, 0, 0, 0, 0])]);
        assert_eq!((answer.text(0), answer.text(1), answer.text(3)), (Some("a\u{fffd}".into()), None, None));
        assert_eq!((answer.unsigned(2), answer.unsigned(0), answer.unsigned(1)), (Some(7), None, None));
    }
}
