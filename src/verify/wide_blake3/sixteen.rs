//! Sixteen inputs at once in the lanes of AVX-512.
//!
//! Not here: which inputs go together (`digests`), and the rounds themselves (`rounds`).

use std::arch::x86_64::*;

use crate::verify::wide_blake3::rounds::{BLOCK, quarter, side_by_side};

side_by_side! {
    /// Digests sixteen inputs, at most 1,024 bytes each.
    ///
    /// # Safety
    /// The processor has AVX-512 (foundation).
    sixteen, 16, "avx512f"
}

#[inline]
#[target_feature(enable = "avx512f")]
fn splat(word: u32) -> __m512i {
    _mm512_set1_epi32(word as i32)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn lengths(length: &[i32; 16]) -> __m512i {
    let [l0, l1, l2, l3, l4, l5, l6, l7, l8, l9, la, lb, lc, ld, le, lf] = *length;
    _mm512_set_epi32(lf, le, ld, lc, lb, la, l9, l8, l7, l6, l5, l4, l3, l2, l1, l0)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn add(a: __m512i, b: __m512i) -> __m512i {
    _mm512_add_epi32(a, b)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn xor(a: __m512i, b: __m512i) -> __m512i {
    _mm512_xor_si512(a, b)
}

macro_rules! right {
    ($name:ident, $by:literal) => {
        #[inline]
        #[target_feature(enable = "avx512f")]
        fn $name(x: __m512i) -> __m512i {
            _mm512_ror_epi32::<$by>(x)
        }
    };
}
right!(right_16, 16);
right!(right_12, 12);
right!(right_8, 8);
right!(right_7, 7);

/// Word `i` of every lane from the blocks of the lanes.
#[inline]
#[target_feature(enable = "avx512f")]
fn load(lanes: &[&[u8; BLOCK]; 16]) -> [__m512i; 16] {
    let mut rows = [splat(0); 16];
    for (row, block) in rows.iter_mut().zip(lanes) {
        let at = |at: usize| quarter(block, at);
        *row = _mm512_set_epi64(at(7), at(6), at(5), at(4), at(3), at(2), at(1), at(0));
    }
    turn(rows)
}

/// The lanes' digests.
#[inline]
#[target_feature(enable = "avx512f")]
fn store(h: [__m512i; 8]) -> [[u8; 32]; 16] {
    let [a, b, c, d, e, f, g, i] = h;
    let none = _mm512_setzero_si512();
    let rows = turn([a, b, c, d, e, f, g, i, none, none, none, none, none, none, none, none]);
    let mut digests = [[0; 32]; 16];
    for (digest, row) in digests.iter_mut().zip(rows) {
        let x = _mm512_castsi512_si256(row);
        digest[..8].copy_from_slice(&_mm256_extract_epi64::<0>(x).to_le_bytes());
        digest[8..16].copy_from_slice(&_mm256_extract_epi64::<1>(x).to_le_bytes());
        digest[16..24].copy_from_slice(&_mm256_extract_epi64::<2>(x).to_le_bytes());
        digest[24..].copy_from_slice(&_mm256_extract_epi64::<3>(x).to_le_bytes());
    }
    digests
}

/// Sixteen vectors of sixteen words as the columns of a square become its rows.
#[inline]
#[target_feature(enable = "avx512f")]
fn turn(rows: [__m512i; 16]) -> [__m512i; 16] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = rows;
    // In each quarter of the results: word 4 × quarter + (0, 1, 2, 3) of four rows.
    let (first, second, third, fourth) = (turn_four(a, b, c, d), turn_four(e, f, g, h), turn_four(i, j, k, l), turn_four(m, n, o, p));
    let mut turned = [a; 16];
    for word in 0..4 {
        let [w0, w4, w8, w12] = turn_quarters(first[word], second[word], third[word], fourth[word]);
        (turned[word], turned[word + 4], turned[word + 8], turned[word + 12]) = (w0, w4, w8, w12);
    }
    turned
}

#[inline]
#[target_feature(enable = "avx512f")]
fn turn_four(a: __m512i, b: __m512i, c: __m512i, d: __m512i) -> [__m512i; 4] {
    let (ab, ab_high) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let (cd, cd_high) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    [
        _mm512_unpacklo_epi64(ab, cd),
        _mm512_unpackhi_epi64(ab, cd),
        _mm512_unpacklo_epi64(ab_high, cd_high),
        _mm512_unpackhi_epi64(ab_high, cd_high),
    ]
}

/// The same of whole quarters.
#[inline]
#[target_feature(enable = "avx512f")]
fn turn_quarters(a: __m512i, b: __m512i, c: __m512i, d: __m512i) -> [__m512i; 4] {
    let (ab_even, ab_odd) = (_mm512_shuffle_i32x4::<0x88>(a, b), _mm512_shuffle_i32x4::<0xdd>(a, b));
    let (cd_even, cd_odd) = (_mm512_shuffle_i32x4::<0x88>(c, d), _mm512_shuffle_i32x4::<0xdd>(c, d));
    [
        _mm512_shuffle_i32x4::<0x88>(ab_even, cd_even),
        _mm512_shuffle_i32x4::<0x88>(ab_odd, cd_odd),
        _mm512_shuffle_i32x4::<0xdd>(ab_even, cd_even),
        _mm512_shuffle_i32x4::<0xdd>(ab_odd, cd_odd),
    ]
}
