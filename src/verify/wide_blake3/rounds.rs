//! The compression function over all blocks of inputs side by side, written once for vectors of any width.
//!
//! Macros, since a function over both widths would not be compiled for either. Not here: the vectors' operations (`eight`, `sixteen`).

/// The first half of the initialisation vector, which is SHA-256's.
pub const IV: [u32; 4] = [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a];
/// The block is its chunk's first.
pub const CHUNK_START: u32 = 1;
/// The block is its chunk's last.
pub const CHUNK_END: u32 = 2;
/// The chunk is all there is.
pub const ROOT: u32 = 8;
/// The hash is keyed.
pub const KEYED_HASH: u32 = 16;
/// Bytes of a block.
pub const BLOCK: usize = 64;

/// Eight of a block's bytes.
#[inline(always)]
pub fn quarter(block: &[u8; BLOCK], at: usize) -> i64 {
    i64::from_le_bytes(block[at * 8..at * 8 + 8].try_into().expect("8 bytes"))
}

/// Copies at most a block to the beginning of one: in pieces of fixed sizes, which overlap, since a call for some bytes would take longer
/// than they do.
#[inline(always)]
pub fn put(bytes: &[u8], block: &mut [u8; BLOCK]) {
    #[inline(always)]
    fn ends<const N: usize>(bytes: &[u8], block: &mut [u8; BLOCK]) {
        let last = bytes.len() - N;
        let (head, tail): ([u8; N], [u8; N]) = (*bytes.first_chunk().expect("N bytes"), *bytes.last_chunk().expect("N bytes"));
        block[..N].copy_from_slice(&head);
        block[last..last + N].copy_from_slice(&tail);
    }
    match bytes.len() {
        32.. => ends::<32>(bytes, block),
        16.. => ends::<16>(bytes, block),
        8.. => ends::<8>(bytes, block),
        4.. => ends::<4>(bytes, block),
        _ => block.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from),
    }
}

/// The quarter round over four words of the state and two of the message; `add`, `xor` and the rotations to the right are in scope.
macro_rules! quarter_round {
    ($v:ident $m:ident $a:literal $b:literal $c:literal $d:literal $x:literal $y:literal) => {
        $v[$a] = add(add($v[$a], $v[$b]), $m[$x]);
        $v[$d] = right_16(xor($v[$d], $v[$a]));
        $v[$c] = add($v[$c], $v[$d]);
        $v[$b] = right_12(xor($v[$b], $v[$c]));
        $v[$a] = add(add($v[$a], $v[$b]), $m[$y]);
        $v[$d] = right_8(xor($v[$d], $v[$a]));
        $v[$c] = add($v[$c], $v[$d]);
        $v[$b] = right_7(xor($v[$b], $v[$c]));
    };
}

/// One round: the columns of the state, then its diagonals.
macro_rules! round {
    ($v:ident $m:ident $m0:literal $m1:literal $m2:literal $m3:literal $m4:literal $m5:literal $m6:literal $m7:literal
     $m8:literal $m9:literal $ma:literal $mb:literal $mc:literal $md:literal $me:literal $mf:literal) => {
        $crate::verify::wide_blake3::rounds::quarter_round!($v $m 0 4 8 12 $m0 $m1);
        $crate::verify::wide_blake3::rounds::quarter_round!($v $m 1 5 9 13 $m2 $m3);
        $crate::verify::wide_blake3::rounds::quarter_round!($v $m 2 6 10 14 $m4 $m5);
        $crate::verify::wide_blake3::rounds::quarter_round!($v $m 3 7 11 15 $m6 $m7);
        $crate::verify::wide_blake3::rounds::quarter_round!($v $m 0 5 10 15 $m8 $m9);
        $crate::verify::wide_blake3::rounds::quarter_round!($v $m 1 6 11 12 $ma $mb);
        $crate::verify::wide_blake3::rounds::quarter_round!($v $m 2 7 8 13 $mc $md);
        $crate::verify::wide_blake3::rounds::quarter_round!($v $m 3 4 9 14 $me $mf);
    };
}

/// All seven rounds over the state `v` with the message `m`: the permutation of table 2 of the paper, applied again and again.
macro_rules! seven_rounds {
    ($v:ident, $m:ident) => {
        $crate::verify::wide_blake3::rounds::round!($v $m 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        $crate::verify::wide_blake3::rounds::round!($v $m 2 6 3 10 7 0 4 13 1 11 12 5 9 14 15 8);
        $crate::verify::wide_blake3::rounds::round!($v $m 3 4 10 12 13 2 7 14 6 5 9 0 11 15 8 1);
        $crate::verify::wide_blake3::rounds::round!($v $m 10 7 12 9 14 3 13 15 4 0 11 2 5 8 1 6);
        $crate::verify::wide_blake3::rounds::round!($v $m 12 13 9 11 15 10 14 8 7 2 5 3 0 1 6 4);
        $crate::verify::wide_blake3::rounds::round!($v $m 9 14 11 5 8 12 15 1 13 3 0 10 2 6 4 7);
        $crate::verify::wide_blake3::rounds::round!($v $m 11 15 5 0 1 9 8 6 14 10 2 12 3 4 7 13);
    };
}

/// A function that digests so many inputs at once, which have equally many blocks, at most those of a chunk. In scope are the operations of
/// vectors of that width, each compiled for the processor's feature: `splat`, `add`, `xor`, the rotations, `lengths` (a word for each lane),
/// `load` (the words of a block for each lane) and `store` (the lanes' digests). Nothing in it goes through `array::map`: that is not
/// compiled for the feature, so that every step in it would be a call.
macro_rules! side_by_side {
    ($(#[$about:meta])* $name:ident, $lanes:literal, $feature:literal) => {
        $(#[$about])*
        #[target_feature(enable = $feature)]
        pub fn $name(key: &[u32; 8], inputs: &[&[u8]; $lanes]) -> [[u8; 32]; $lanes] {
            use $crate::verify::wide_blake3::rounds::{BLOCK, CHUNK_END, CHUNK_START, IV, KEYED_HASH, ROOT, put};
            let count = inputs[0].len().div_ceil(BLOCK).max(1);
            let [k0, k1, k2, k3, k4, k5, k6, k7] = *key;
            let mut h = [splat(k0), splat(k1), splat(k2), splat(k3), splat(k4), splat(k5), splat(k6), splat(k7)];
            let mut padded = [[0; BLOCK]; $lanes];
            for block in 0..count {
                let is_last = block + 1 == count;
                let mut length = [BLOCK as i32; $lanes];
                if is_last {
                    for (lane, input) in inputs.iter().enumerate() {
                        let rest = &input[block * BLOCK..];
                        put(rest, &mut padded[lane]);
                        length[lane] = rest.len() as i32;
                    }
                }
                let mut blocks = [&padded[0]; $lanes];
                for (lane, at) in blocks.iter_mut().enumerate() {
                    let whole = inputs[lane].get(block * BLOCK..).and_then(|rest| rest.first_chunk::<BLOCK>()).filter(|_| !is_last);
                    *at = whole.unwrap_or(&padded[lane]);
                }
                let m = load(&blocks);
                let start = if block == 0 { CHUNK_START } else { 0 };
                let end = if is_last { CHUNK_END | ROOT } else { 0 };
                let flags = splat(KEYED_HASH | start | end);
                let [h0, h1, h2, h3, h4, h5, h6, h7] = h;
                let [i0, i1, i2, i3] = [splat(IV[0]), splat(IV[1]), splat(IV[2]), splat(IV[3])];
                let mut v = [h0, h1, h2, h3, h4, h5, h6, h7, i0, i1, i2, i3, splat(0), splat(0), lengths(&length), flags];
                $crate::verify::wide_blake3::rounds::seven_rounds!(v, m);
                for word in 0..8 {
                    h[word] = xor(v[word], v[word + 8]);
                }
            }
            store(h)
        }
    };
}

pub(crate) use {quarter_round, round, seven_rounds, side_by_side};
