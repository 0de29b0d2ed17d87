//! Eight inputs at once in the lanes of AVX2.
//!
//! Not here: which inputs go together (`digests`), and the rounds themselves (`rounds`).

use std::arch::x86_64::*;

use crate::verify::wide_blake3::rounds::{BLOCK, quarter, side_by_side};

side_by_side! {
    /// Digests eight inputs, at most 1,024 bytes each.
    ///
    /// # Safety
    /// The processor has AVX2.
    eight, 8, "avx2"
}

#[inline]
#[target_feature(enable = "avx2")]
fn splat(word: u32) -> __m256i {
    _mm256_set1_epi32(word as i32)
}

#[inline]
#[target_feature(enable = "avx2")]
fn lengths(length: &[i32; 8]) -> __m256i {
    let [l0, l1, l2, l3, l4, l5, l6, l7] = *length;
    _mm256_set_epi32(l7, l6, l5, l4, l3, l2, l1, l0)
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
fn load(lanes: &[&[u8; BLOCK]; 8]) -> [__m256i; 16] {
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
