//! The rounds of the compression function, written once for vectors of any width.
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

pub(crate) use {quarter_round, round, seven_rounds};
