//! Keyed BLAKE3 of many short messages at once: the same digests as one by one, with the processor's lanes filled across messages.
//!
//! BLAKE3 fills its lanes with the chunks of one message, and an item has one chunk (1,024 bytes) at most times: hashed alone it uses one lane
//! of sixteen. So messages with equally many whole blocks go side by side up to their last block, which is a compression of its own
//! (BLAKE3 specification, section 2.2; a message of one chunk is its own root). Longer messages are hashed alone.
//!
//! The crate's `platform` is its own interface to its lanes, and not one that it promises to keep: its version is pinned for that,
//! and the tests hold every length against `keyed_hash`. Not here: what the messages are.

use blake3::IncrementCounter;
use blake3::platform::{Platform, le_bytes_from_words_32, words_from_le_bytes_32};
use blake3::{BLOCK_LEN, CHUNK_LEN, KEY_LEN, OUT_LEN};

/// Flags of the compression function (BLAKE3 specification, table 3).
const CHUNK_START: u8 = 1 << 0;
const CHUNK_END: u8 = 1 << 1;
const ROOT: u8 = 1 << 3;
const KEYED_HASH: u8 = 1 << 4;

/// Messages side by side; no processor has more lanes.
const LANES: usize = 16;
/// Blocks of a chunk.
const BLOCKS: usize = CHUNK_LEN / BLOCK_LEN;

/// Where a message lies in the bytes of all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// Its first byte.
    pub start: usize,
    /// After its last byte.
    pub end: usize,
}

/// Hashes with one key.
pub struct Keyed {
    key: [u8; KEY_LEN],
    words: [u32; 8],
    platform: Platform,
    /// The messages by the whole blocks before their last one; kept between calls for their room.
    classes: [Vec<usize>; BLOCKS],
}

impl Keyed {
    /// With this key.
    pub fn new(key: [u8; KEY_LEN]) -> Self {
        Self { key, words: words_from_le_bytes_32(&key), platform: Platform::detect(), classes: Default::default() }
    }

    /// One message.
    pub fn one(&self, message: &[u8]) -> [u8; OUT_LEN] {
        *blake3::keyed_hash(&self.key, message).as_bytes()
    }

    /// The digests of `messages`, which lie in `bytes`, one after the other into `digests`.
    pub fn all(&mut self, bytes: &[u8], messages: &[Span], digests: &mut Vec<[u8; OUT_LEN]>) {
        digests.clear();
        digests.resize(messages.len(), [0; OUT_LEN]);
        let mut classes = std::mem::take(&mut self.classes);
        for (at, message) in messages.iter().enumerate() {
            let length = message.end - message.start;
            if length > CHUNK_LEN {
                digests[at] = self.one(&bytes[message.start..message.end]);
            } else {
                classes[length.saturating_sub(1) / BLOCK_LEN].push(at);
            }
        }
        for (blocks, class) in classes.iter_mut().enumerate() {
            for some in class.chunks(LANES) {
                self.some(blocks, bytes, messages, some, digests);
            }
            class.clear();
        }
        self.classes = classes;
    }

    /// At most [`LANES`] messages with `blocks` whole blocks before their last one.
    fn some(&self, blocks: usize, bytes: &[u8], messages: &[Span], some: &[usize], digests: &mut [[u8; OUT_LEN]]) {
        let mut values = [0; LANES * OUT_LEN];
        let out = &mut values[..some.len() * OUT_LEN];
        match blocks {
            0 => {}
            1 => self.whole_blocks::<64>(bytes, messages, some, out),
            2 => self.whole_blocks::<128>(bytes, messages, some, out),
            3 => self.whole_blocks::<192>(bytes, messages, some, out),
            4 => self.whole_blocks::<256>(bytes, messages, some, out),
            5 => self.whole_blocks::<320>(bytes, messages, some, out),
            6 => self.whole_blocks::<384>(bytes, messages, some, out),
            7 => self.whole_blocks::<448>(bytes, messages, some, out),
            8 => self.whole_blocks::<512>(bytes, messages, some, out),
            9 => self.whole_blocks::<576>(bytes, messages, some, out),
            10 => self.whole_blocks::<640>(bytes, messages, some, out),
            11 => self.whole_blocks::<704>(bytes, messages, some, out),
            12 => self.whole_blocks::<768>(bytes, messages, some, out),
            13 => self.whole_blocks::<832>(bytes, messages, some, out),
            14 => self.whole_blocks::<896>(bytes, messages, some, out),
            _ => self.whole_blocks::<960>(bytes, messages, some, out),
        }
        let (values, _) = values.as_chunks::<OUT_LEN>();
        for (at, value) in some.iter().zip(values) {
            let message = messages[*at];
            let last = &bytes[message.start + blocks * BLOCK_LEN..message.end];
            let mut block = [0; BLOCK_LEN];
            block[..last.len()].copy_from_slice(last);
            let (mut state, start) = if blocks == 0 { (self.words, CHUNK_START) } else { (words_from_le_bytes_32(value), 0) };
            let flags = KEYED_HASH | CHUNK_END | ROOT | start;
            #[allow(clippy::cast_possible_truncation)]
            self.platform.compress_in_place(&mut state, &block, last.len() as u8, 0, flags);
            digests[*at] = le_bytes_from_words_32(&state);
        }
    }

    /// The chaining values after the first `N` bytes of some messages.
    fn whole_blocks<const N: usize>(&self, bytes: &[u8], messages: &[Span], some: &[usize], out: &mut [u8]) {
        let Some(first) = some.first() else { return };
        let head = |at: usize| bytes[messages[at].start..].first_chunk::<N>().expect("a message of this class is longer");
        let mut inputs = [head(*first); LANES];
        inputs.iter_mut().zip(some).for_each(|(input, at)| *input = head(*at));
        let inputs = &inputs[..some.len()];
        self.platform.hash_many(inputs, &self.words, 0, IncrementCounter::No, KEYED_HASH, CHUNK_START, 0, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn digests(key: [u8; 32], messages: &[&[u8]]) -> Vec<[u8; 32]> {
        let (mut bytes, mut spans, mut found) = (b"before".to_vec(), Vec::new(), vec![[1; 32]; 3]);
        for message in messages {
            spans.push(Span { start: bytes.len(), end: bytes.len() + message.len() });
            bytes.extend_from_slice(message);
        }
        let mut keyed = Keyed::new(key);
        // Twice: nothing is left over from a call before.
        keyed.all(&bytes, &spans[..spans.len() / 2], &mut found);
        keyed.all(&bytes, &spans, &mut found);
        found
    }

    #[test]
    fn every_length_has_the_digest_that_it_has_alone() {
        let text: Vec<u8> = (0..40_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let messages: Vec<&[u8]> = (0..=2100).map(|length| &text[length * 7..length * 8]).collect();
        // Every length once, and each of the first thirty lengths in its turn often enough to fill all lanes more than once.
        let mut all = messages.clone();
        all.extend((0..30).flat_map(|n| std::iter::repeat_n(messages[n * 37], 40)));
        for (message, digest) in all.iter().zip(digests([9; 32], &all)) {
            assert_eq!(digest, *blake3::keyed_hash(&[9; 32], message).as_bytes(), "{} bytes", message.len());
        }
    }

    proptest! {
        #[test]
        fn any_messages_have_the_digests_that_they_have_alone(key in any::<[u8; 32]>(), messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..1500), 0..60)) {
            let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
            let expected: Vec<[u8; 32]> = messages.iter().map(|message| *blake3::keyed_hash(&key, message).as_bytes()).collect();
            prop_assert_eq!(digests(key, &messages), expected);
        }
    }
}
