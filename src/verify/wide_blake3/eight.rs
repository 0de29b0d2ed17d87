//! Eight inputs at once in the lanes of AVX2.
//!
//! Not here: which inputs go together (`digests`), and the rounds themselves (`rounds`).

use std::arch::x86_64::*;

use crate::verify::wide_blake3::rounds::{BLOCK, CHUNK_END, CHUNK_START, IV, KEYED_HASH, ROOT, quarter, seven_rounds};

/// The digests of eight inputs that have equally many blocks, at most those of a chunk. Nothing in here goes through `array::map`: it is
/// not compiled for this feature, so that every step in it would be a call.
///
/// # Safety
/// The processor has AVX2.
#[target_feature(enable = "avx2")]
pub fn eight(key: &[u32; 8], inputs: &[&[u8]; 8]) -> [[u8; 32]; 8] {
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
        let [l0, l1, l2, l3, l4, l5, l6, l7] = length;
        let [h0, h1, h2, h3, h4, h5, h6, h7] = h;
        let length = _mm256_set_epi32(l7, l6, l5, l4, l3, l2, l1, l0);
        let flags = splat(KEYED_HASH | start | end);
        let mut v =
            [h0, h1, h2, h3, h4, h5, h6, h7, splat(IV[0]), splat(IV[1]), splat(IV[2]), splat(IV[3]), splat(0), splat(0), length, flags];
        seven_rounds!(v, m);
        h = [
            xor(v[0], v[8]),
            xor(v[1], v[9]),
            xor(v[2], v[10]),
            xor(v[3], v[11]),
            xor(v[4], v[12]),
            xor(v[5], v[13]),
            xor(v[6], v[14]),
            xor(v[7], v[15]),
        ];
    }
    store(h)
}

#[inline]
#[target_feature(enable = "avx2")]
fn add(a: __m256i, b: __m256i) -> __m256i {
    _mm256_add_epi32(a, b)
}

#[inline]
#[target_feature(enable = "avx2")]
fn xor(a: __m256i, b: __m256i) -> __m256i {
    _mm256_xor_si256(a, b)
}

macro_rules! right {
    ($name:ident, $by:literal) => {
        #[inline]
        #[target_feature(enable = "avx2")]
        fn $name(x: __m256i) -> __m256i {
            _mm256_or_si256(_mm256_srli_epi32::<$by>(x), _mm256_slli_epi32::<{ 32 - $by }>(x))
        }
    };
}
right!(right_16, 16);
right!(right_12, 12);
right!(right_8, 8);
right!(right_7, 7);

/// Word `i` of every lane from the blocks of the lanes.
#[inline]
#[target_feature(enable = "avx2")]
fn load(lanes: [&[u8; BLOCK]; 8]) -> [__m256i; 16] {
    let half = |lane: usize, at: usize| {
        let block = lanes[lane];
        _mm256_set_epi64x(quarter(block, at + 3), quarter(block, at + 2), quarter(block, at + 1), quarter(block, at))
    };
    let whole = |at: usize| turn([half(0, at), half(1, at), half(2, at), half(3, at), half(4, at), half(5, at), half(6, at), half(7, at)]);
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
