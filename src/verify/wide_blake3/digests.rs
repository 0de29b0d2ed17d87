//! Inputs of any length into their keyed BLAKE3 digests: those that are short and of one length go side by side, as many at once as the
//! processor has lanes for; longer ones, leftovers and other processors through the `blake3` crate.
//!
//! Not here: what the inputs mean.

/// The longest input that is a single chunk, in bytes.
const CHUNK: usize = 1024;
/// Bytes of a block.
const BLOCK: usize = 64;
/// Blocks of a chunk.
const MOST_BLOCKS: usize = CHUNK / BLOCK;

/// Digests inputs that stand one after another in `bytes`, each ending where `ends` says, and appends their digests to `digests`.
pub fn keyed(key: &[u8; 32], bytes: &[u8], ends: &[usize], digests: &mut Vec<[u8; 32]>) {
    let first = digests.len();
    digests.resize(first + ends.len(), [0; 32]);
    let out = &mut digests[first..];
    let input = |at: usize| &bytes[if at == 0 { 0 } else { ends[at - 1] }..ends[at]];
    let mut by_blocks: [Vec<usize>; MOST_BLOCKS] = std::array::from_fn(|_| Vec::new());
    for (at, digest) in out.iter_mut().enumerate() {
        let length = input(at).len();
        if length <= CHUNK {
            by_blocks[length.div_ceil(BLOCK).max(1) - 1].push(at);
        } else {
            *digest = *blake3::keyed_hash(key, input(at)).as_bytes();
        }
    }
    for together in &by_blocks {
        for at in lanes::keyed(key, input, together, out) {
            out[*at] = *blake3::keyed_hash(key, input(*at)).as_bytes();
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod lanes {
    /// Nothing is digested here: all of `together` is left.
    pub fn keyed<'i, 't>(_: &[u8; 32], _: impl Fn(usize) -> &'i [u8], together: &'t [usize], _: &mut [[u8; 32]]) -> &'t [usize] {
        together
    }
}

#[cfg(target_arch = "x86_64")]
mod lanes {
    use crate::verify::wide_blake3::{eight::eight, sixteen::sixteen};

    /// Digests the inputs `together`, which have equally many blocks, as far as they fill the lanes; gives those that are left.
    pub fn keyed<'i, 't>(key: &[u8; 32], input: impl Fn(usize) -> &'i [u8], together: &'t [usize], out: &mut [[u8; 32]]) -> &'t [usize] {
        let key = std::array::from_fn(|at| u32::from_le_bytes(key[at * 4..at * 4 + 4].try_into().expect("4 bytes")));
        let mut left = together;
        if is_x86_feature_detected!("avx512f") {
            let (groups, rest) = left.as_chunks::<16>();
            for group in groups {
                let inputs = group.map(&input);
                #[allow(unsafe_code, reason = "it is for processors with AVX-512, and this one was just asked whether it has that")]
                let digests = unsafe { sixteen(&key, &inputs) };
                group.iter().zip(digests).for_each(|(at, digest)| out[*at] = digest);
            }
            left = rest;
        }
        if is_x86_feature_detected!("avx2") {
            let (groups, rest) = left.as_chunks::<8>();
            for group in groups {
                let inputs = group.map(&input);
                #[allow(unsafe_code, reason = "it is for processors with AVX2, and this one was just asked whether it has that")]
                let digests = unsafe { eight(&key, &inputs) };
                group.iter().zip(digests).for_each(|(at, digest)| out[*at] = digest);
            }
            left = rest;
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn expected(key: &[u8; 32], inputs: &[Vec<u8>]) -> Vec<[u8; 32]> {
        inputs.iter().map(|input| *blake3::keyed_hash(key, input).as_bytes()).collect()
    }

    fn found(key: &[u8; 32], inputs: &[Vec<u8>]) -> Vec<[u8; 32]> {
        let ends: Vec<usize> = inputs.iter().scan(0, |end, input| Some(std::mem::replace(end, *end + input.len()) + input.len())).collect();
        let mut digests = vec![[9; 32]];
        keyed(key, &inputs.concat(), &ends, &mut digests);
        assert_eq!(digests.remove(0), [9; 32], "what was there stays");
        digests
    }

    #[test]
    fn every_length_has_the_digest_that_the_crate_gives_it() {
        let byte = |length: usize, at: usize| (at.wrapping_mul(31) ^ length) as u8;
        let of = |length: usize| (0..length).map(|at| byte(length, at)).collect::<Vec<u8>>();
        // Enough of each length for either width, and some that are left over.
        let inputs: Vec<Vec<u8>> = (0..=CHUNK + 70).flat_map(|length| std::iter::repeat_n(of(length), 24 + length % 2)).collect();
        let key = std::array::from_fn(|at| at as u8);
        assert_eq!(found(&key, &inputs), expected(&key, &inputs));
    }

    proptest! {
        #[test]
        fn lanes_do_not_mix(
            key in prop::array::uniform32(any::<u8>()), inputs in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..200)
        ) {
            prop_assert_eq!(found(&key, &inputs), expected(&key, &inputs));
        }
    }
}
