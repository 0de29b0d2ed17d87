//! Sixteen inputs at once in the lanes of AVX-512.
//!
//! Not here: which inputs go together (`digests`), and the rounds themselves (`rounds`).

use std::arch::x86_64::*;

use crate::verify::wide_blake3::rounds::{BLOCK, CHUNK_END, CHUNK_START, IV, KEYED_HASH, ROOT, quarter, seven_rounds};

/// The digests of sixteen inputs that have equally many blocks, at most those of a chunk.
///
/// # Safety
/// The processor has AVX-512 (foundation).
#[target_feature(enable = "avx512f")]
pub fn sixteen(key: &[u32; 8], inputs: &[&[u8]; 16]) -> [[u8; 32]; 16] {
    let count = inputs[0].len().div_ceil(BLOCK).max(1);
    let splat = |word: u32| _mm512_set1_epi32(word as i32);
    let [k0, k1, k2, k3, k4, k5, k6, k7] = *key;
    let mut h = [splat(k0), splat(k1), splat(k2), splat(k3), splat(k4), splat(k5), splat(k6), splat(k7)];
    let mut padded = [[0; BLOCK]; 16];
    for block in 0..count {
        let is_last = block + 1 == count;
        let mut length = [BLOCK as i32; 16];
        if is_last {
            for (lane, input) in inputs.iter().enumerate() {
                let rest = &input[block * BLOCK..];
                padded[lane][..rest.len()].copy_from_slice(rest);
                length[lane] = rest.len() as i32;
            }
        }
        let mut m = [splat(0); 16];
        for (lane, row) in m.iter_mut().enumerate() {
            let whole = inputs[lane].get(block * BLOCK..).and_then(|rest| rest.first_chunk::<BLOCK>()).filter(|_| !is_last);
            *row = load(whole.unwrap_or(&padded[lane]));
        }
        let m = turn(m);
        let start = if block == 0 { CHUNK_START } else { 0 };
        let end = if is_last { CHUNK_END | ROOT } else { 0 };
        let [h0, h1, h2, h3, h4, h5, h6, h7] = h;
        let [l0, l1, l2, l3, l4, l5, l6, l7, l8, l9, la, lb, lc, ld, le, lf] = length;
        let length = _mm512_set_epi32(lf, le, ld, lc, lb, la, l9, l8, l7, l6, l5, l4, l3, l2, l1, l0);
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

/// The words of one block.
#[inline]
#[target_feature(enable = "avx512f")]
fn load(block: &[u8; BLOCK]) -> __m512i {
    let at = |at: usize| quarter(block, at);
    _mm512_set_epi64(at(7), at(6), at(5), at(4), at(3), at(2), at(1), at(0))
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
