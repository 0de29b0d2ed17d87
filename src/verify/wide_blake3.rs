//! Keyed BLAKE3 of many short inputs side by side: one input in each lane of the processor's vectors.
//!
//! The `blake3` crate is fast over one long input. Rows of tables are two or three blocks each, which it can only compress one after the
//! other; eight rows at once take a fifth of the time. The digests are the same, byte for byte: inputs of up to one chunk (1,024
//! bytes) go through here, longer ones, leftovers and other processors through the crate.
//!
//! The compression function is that of the BLAKE3 paper, sections 2.2 to 2.4. Not here: what the inputs mean.

/// The longest input that is a single chunk, in bytes.
const CHUNK: usize = 1024;
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
        let left = lanes::keyed(key, input, together, out);
        for at in left {
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
    use std::arch::x86_64::*;

    use super::BLOCK;

    const IV: [u32; 4] = [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a];
    const CHUNK_START: u32 = 1;
    const CHUNK_END: u32 = 2;
    const ROOT: u32 = 8;
    const KEYED_HASH: u32 = 16;

    /// Digests the inputs `together`, which have equally many blocks, as far as they fill the lanes; gives those that are left.
    pub fn keyed<'i, 't>(key: &[u8; 32], input: impl Fn(usize) -> &'i [u8], together: &'t [usize], out: &mut [[u8; 32]]) -> &'t [usize] {
        let words = std::array::from_fn(|at| u32::from_le_bytes(key[at * 4..at * 4 + 4].try_into().expect("4 bytes")));
        if !is_x86_feature_detected!("avx2") {
            return together;
        }
        let (groups, left) = together.as_chunks::<8>();
        for &[a, b, c, d, e, f, g, h] in groups {
            let inputs = [input(a), input(b), input(c), input(d), input(e), input(f), input(g), input(h)];
            #[allow(unsafe_code, reason = "it is for processors with AVX2, and this one was just asked whether it has that")]
            let digests = unsafe { eight(&words, &inputs) };
            for (at, digest) in [a, b, c, d, e, f, g, h].into_iter().zip(digests) {
                out[at] = digest;
            }
        }
        left
    }

    #[inline(always)]
    fn quarter(block: &[u8; BLOCK], at: usize) -> i64 {
        i64::from_le_bytes(block[at * 8..at * 8 + 8].try_into().expect("8 bytes"))
    }

    /// The digests of eight inputs that have equally many blocks, at most those of a chunk. Nothing in here goes through `array::map`: it is
    /// not compiled for this feature, so that every step in it would be a call.
    #[target_feature(enable = "avx2")]
    fn eight(key: &[u32; 8], inputs: &[&[u8]; 8]) -> [[u8; 32]; 8] {
        let count = inputs[0].len().div_ceil(BLOCK).max(1);
        let splat = |word: u32| _mm256_set1_epi32(word as i32);
        let [k0, k1, k2, k3, k4, k5, k6, k7] = *key;
        let mut h = [splat(k0), splat(k1), splat(k2), splat(k3), splat(k4), splat(k5), splat(k6), splat(k7)];
        let mut padded = [[0; BLOCK]; 8];
        for block in 0..count {
            let is_last = block + 1 == count;
            let mut length = [BLOCK as i32; 8];
            if is_last {
                for (lane, input) in inputs.iter().enumerate() {
                    let rest = &input[block * BLOCK..];
                    padded[lane][..rest.len()].copy_from_slice(rest);
                    length[lane] = rest.len() as i32;
                }
            }
            let of = |lane: usize| match inputs[lane].get(block * BLOCK..).and_then(|rest| rest.first_chunk::<BLOCK>()) {
                Some(whole) if !is_last => whole,
                _ => &padded[lane],
            };
            let m = load([of(0), of(1), of(2), of(3), of(4), of(5), of(6), of(7)]);
            let start = if block == 0 { CHUNK_START } else { 0 };
            let end = if is_last { CHUNK_END | ROOT } else { 0 };
            let [mut v0, mut v1, mut v2, mut v3, mut v4, mut v5, mut v6, mut v7] = h;
            let (mut v8, mut v9, mut v10, mut v11) = (splat(IV[0]), splat(IV[1]), splat(IV[2]), splat(IV[3]));
            let (mut v12, mut v13) = (splat(0), splat(0));
            let [l0, l1, l2, l3, l4, l5, l6, l7] = length;
            let mut v14 = _mm256_set_epi32(l7, l6, l5, l4, l3, l2, l1, l0);
            let mut v15 = splat(KEYED_HASH | start | end);
            macro_rules! g {
                ($a:ident, $b:ident, $c:ident, $d:ident, $x:literal, $y:literal) => {
                    $a = _mm256_add_epi32(_mm256_add_epi32($a, $b), m[$x]);
                    $d = rotate_16(_mm256_xor_si256($d, $a));
                    $c = _mm256_add_epi32($c, $d);
                    $b = rotate_12(_mm256_xor_si256($b, $c));
                    $a = _mm256_add_epi32(_mm256_add_epi32($a, $b), m[$y]);
                    $d = rotate_8(_mm256_xor_si256($d, $a));
                    $c = _mm256_add_epi32($c, $d);
                    $b = rotate_7(_mm256_xor_si256($b, $c));
                };
            }
            macro_rules! round {
                ($m0:literal $m1:literal $m2:literal $m3:literal $m4:literal $m5:literal $m6:literal $m7:literal
                 $m8:literal $m9:literal $ma:literal $mb:literal $mc:literal $md:literal $me:literal $mf:literal) => {
                    g!(v0, v4, v8, v12, $m0, $m1);
                    g!(v1, v5, v9, v13, $m2, $m3);
                    g!(v2, v6, v10, v14, $m4, $m5);
                    g!(v3, v7, v11, v15, $m6, $m7);
                    g!(v0, v5, v10, v15, $m8, $m9);
                    g!(v1, v6, v11, v12, $ma, $mb);
                    g!(v2, v7, v8, v13, $mc, $md);
                    g!(v3, v4, v9, v14, $me, $mf);
                };
            }
            // The permutation of table 2 of the paper, applied again and again.
            round!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
            round!(2 6 3 10 7 0 4 13 1 11 12 5 9 14 15 8);
            round!(3 4 10 12 13 2 7 14 6 5 9 0 11 15 8 1);
            round!(10 7 12 9 14 3 13 15 4 0 11 2 5 8 1 6);
            round!(12 13 9 11 15 10 14 8 7 2 5 3 0 1 6 4);
            round!(9 14 11 5 8 12 15 1 13 3 0 10 2 6 4 7);
            round!(11 15 5 0 1 9 8 6 14 10 2 12 3 4 7 13);
            let xor = |a, b| _mm256_xor_si256(a, b);
            h = [xor(v0, v8), xor(v1, v9), xor(v2, v10), xor(v3, v11), xor(v4, v12), xor(v5, v13), xor(v6, v14), xor(v7, v15)];
        }
        store(h)
    }

    macro_rules! rotate {
        ($name:ident, $by:literal) => {
            #[inline]
            #[target_feature(enable = "avx2")]
            fn $name(x: __m256i) -> __m256i {
                _mm256_or_si256(_mm256_srli_epi32::<$by>(x), _mm256_slli_epi32::<{ 32 - $by }>(x))
            }
        };
    }
    rotate!(rotate_16, 16);
    rotate!(rotate_12, 12);
    rotate!(rotate_8, 8);
    rotate!(rotate_7, 7);

    /// Word `i` of every lane from the blocks of the lanes.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn load(lanes: [&[u8; BLOCK]; 8]) -> [__m256i; 16] {
        let half = |lane: usize, at: usize| {
            let block = lanes[lane];
            _mm256_set_epi64x(quarter(block, at + 3), quarter(block, at + 2), quarter(block, at + 1), quarter(block, at))
        };
        let whole =
            |at: usize| turn([half(0, at), half(1, at), half(2, at), half(3, at), half(4, at), half(5, at), half(6, at), half(7, at)]);
        let ([a, b, c, d, e, f, g, h], [i, j, k, l, m, n, o, p]) = (whole(0), whole(4));
        [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
    }

    /// The lanes' digests.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn store(h: [__m256i; 8]) -> [[u8; 32]; 8] {
        let mut digests = [[0; 32]; 8];
        for (digest, x) in digests.iter_mut().zip(turn(h)) {
            digest[..8].copy_from_slice(&_mm256_extract_epi64::<0>(x).to_le_bytes());
            digest[8..16].copy_from_slice(&_mm256_extract_epi64::<1>(x).to_le_bytes());
            digest[16..24].copy_from_slice(&_mm256_extract_epi64::<2>(x).to_le_bytes());
            digest[24..].copy_from_slice(&_mm256_extract_epi64::<3>(x).to_le_bytes());
        }
        digests
    }

    /// Eight vectors of eight words as the columns of a square become its rows.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn turn([a, b, c, d, e, f, g, h]: [__m256i; 8]) -> [__m256i; 8] {
        let (ab, ab_high) = (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
        let (cd, cd_high) = (_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
        let (ef, ef_high) = (_mm256_unpacklo_epi32(e, f), _mm256_unpackhi_epi32(e, f));
        let (gh, gh_high) = (_mm256_unpacklo_epi32(g, h), _mm256_unpackhi_epi32(g, h));
        let (p, q) = (_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
        let (r, s) = (_mm256_unpacklo_epi64(ab_high, cd_high), _mm256_unpackhi_epi64(ab_high, cd_high));
        let (t, u) = (_mm256_unpacklo_epi64(ef, gh), _mm256_unpackhi_epi64(ef, gh));
        let (v, w) = (_mm256_unpacklo_epi64(ef_high, gh_high), _mm256_unpackhi_epi64(ef_high, gh_high));
        [
            _mm256_permute2x128_si256::<0x20>(p, t),
            _mm256_permute2x128_si256::<0x20>(q, u),
            _mm256_permute2x128_si256::<0x20>(r, v),
            _mm256_permute2x128_si256::<0x20>(s, w),
            _mm256_permute2x128_si256::<0x31>(p, t),
            _mm256_permute2x128_si256::<0x31>(q, u),
            _mm256_permute2x128_si256::<0x31>(r, v),
            _mm256_permute2x128_si256::<0x31>(s, w),
        ]
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
        // Eight of each length fill the lanes; nine leave one over.
        let inputs: Vec<Vec<u8>> = (0..=CHUNK + 70).flat_map(|length| std::iter::repeat_n(of(length), 8 + length % 2)).collect();
        let key = std::array::from_fn(|at| at as u8);
        assert_eq!(found(&key, &inputs), expected(&key, &inputs));
    }

    proptest! {
        #[test]
        fn lanes_do_not_mix(
            key in prop::array::uniform32(any::<u8>()), inputs in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..60)
        ) {
            prop_assert_eq!(found(&key, &inputs), expected(&key, &inputs));
        }
    }
}
