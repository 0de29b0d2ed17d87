//! SHA-256 (FIPS 180-4) whose state can be kept: digesting a large object goes on where another run left off.
//!
//! Not here: the compression function, which is the `sha2` crate's.

use sha2::block_api::compress256;

use crate::model::digest::Digest32;

const BLOCK: usize = 64;

/// The state after whole blocks: eight words, and how many bytes they stand for (a multiple of 64).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Midstate {
    /// The chaining value.
    pub words: [u32; 8],
    /// Bytes so far.
    pub bytes: u64,
}

impl Midstate {
    /// Nothing digested yet (FIPS 180-4, 5.3.3).
    pub const START: Self =
        Self { words: [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19], bytes: 0 };
}

/// Digests bytes in order.
#[derive(Clone, Debug)]
pub struct Sha256 {
    state: Midstate,
    held: [u8; BLOCK],
    held_bytes: usize,
}

impl Default for Sha256 {
    fn default() -> Self {
        Self::resume(Midstate::START)
    }
}

impl Sha256 {
    /// Goes on after `state`.
    pub fn resume(state: Midstate) -> Self {
        Self { state, held: [0; BLOCK], held_bytes: 0 }
    }

    /// The state, where the bytes so far are whole blocks.
    pub fn midstate(&self) -> Option<Midstate> {
        (self.held_bytes == 0).then_some(self.state)
    }

    /// Digests `bytes` after everything before.
    pub fn update(&mut self, mut bytes: &[u8]) {
        if self.held_bytes > 0 {
            let (fits, rest) = bytes.split_at(bytes.len().min(BLOCK - self.held_bytes));
            self.held[self.held_bytes..self.held_bytes + fits.len()].copy_from_slice(fits);
            self.held_bytes += fits.len();
            bytes = rest;
            if self.held_bytes < BLOCK {
                return;
            }
            compress256(&mut self.state.words, &[self.held]);
            self.state.bytes += BLOCK as u64;
            self.held_bytes = 0;
        }
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        compress256(&mut self.state.words, blocks);
        self.state.bytes += (blocks.len() * BLOCK) as u64;
        self.held[..rest.len()].copy_from_slice(rest);
        self.held_bytes = rest.len();
    }

    /// The digest.
    pub fn finish(mut self) -> Digest32 {
        let bits = (self.state.bytes + self.held_bytes as u64).wrapping_mul(8);
        let mut last = [[0; BLOCK]; 2];
        last[0][..self.held_bytes].copy_from_slice(&self.held[..self.held_bytes]);
        last[0][self.held_bytes] = 0x80;
        let blocks = if self.held_bytes + 1 + 8 <= BLOCK { 1 } else { 2 };
        last[blocks - 1][BLOCK - 8..].copy_from_slice(&bits.to_be_bytes());
        compress256(&mut self.state.words, &last[..blocks]);
        let mut digest = [0; 32];
        for (bytes, word) in digest.chunks_exact_mut(4).zip(self.state.words) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        Digest32(digest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_pieces_have_the_standard_digest(content in prop::collection::vec(any::<u8>(), 0..700), cuts in prop::collection::vec(0usize..300, 0..6)) {
            let mut own = Sha256::default();
            let mut rest = content.as_slice();
            for cut in cuts {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                own.update(now);
                if let Some(state) = own.midstate() {
                    own = Sha256::resume(state);
                }
                rest = later;
            }
            own.update(rest);
            prop_assert_eq!(own.finish(), Digest32::sha256(&content));
        }
    }

    #[test]
    fn a_state_is_told_between_blocks_only() {
        let mut own = Sha256::default();
        assert_eq!(own.midstate(), Some(Midstate::START));
        own.update(&[0; 65]);
        assert_eq!(own.midstate(), None);
        own.update(&[0; 63]);
        assert_eq!(own.midstate().map(|state| state.bytes), Some(128));
    }
}
