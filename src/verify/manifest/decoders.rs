//! The encodings of pages (Parquet format, Encodings.md), decoded a page at a time without an allocation for each value.
//!
//! The `parquet` crate's own readers give every text as an allocation of its own, which is most of the time of merging manifests.
//! Whatever the bytes, these end with an error, not with a panic or an absurd allocation.

/// Values of one page at most: our writer closes a page after 20,000 rows, other writers after some megabyte.
pub const MOST_VALUES: usize = 1 << 21;

/// Bytes of text of one page at most, once decoded.
const MOST_TEXT_BYTES: usize = 256 << 20;

/// Texts one after another, and where each ends.
#[derive(Debug, Default)]
pub struct Texts {
    bytes: String,
    ends: Vec<u32>,
}

impl Texts {
    /// The text number `index`.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&str> {
        let start = if index == 0 { 0 } else { *self.ends.get(index - 1)? as usize };
        self.bytes.get(start..*self.ends.get(index)? as usize)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True without any.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// None yet, with room for as many.
    pub fn fresh(&self) -> Self {
        Self { bytes: String::with_capacity(self.bytes.len()), ends: Vec::with_capacity(self.ends.len()) }
    }

    /// Starts again, the memory kept.
    fn restart(&mut self) -> Vec<u8> {
        self.ends.clear();
        let mut bytes = std::mem::take(&mut self.bytes).into_bytes();
        bytes.clear();
        bytes
    }

    /// Takes the decoded bytes, which must be UTF-8, value by value.
    fn take(&mut self, bytes: Vec<u8>) -> Result<(), String> {
        self.bytes = String::from_utf8(bytes).map_err(|_| "text that is not UTF-8")?;
        if self.ends.iter().all(|end| self.bytes.is_char_boundary(*end as usize)) { Ok(()) } else { Err("text that is not UTF-8".into()) }
    }

    /// Adds a text from another reader.
    pub fn push(&mut self, text: &str) {
        self.bytes.push_str(text);
        self.ends.push(self.bytes.len() as u32);
    }

    /// Removes all.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// Bytes that are read from the front.
struct Front<'a>(&'a [u8]);

impl<'a> Front<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], String> {
        let (head, rest) = self.0.split_at_checked(n).ok_or("the page ends early")?;
        self.0 = rest;
        Ok(head)
    }

    fn u32(&mut self) -> Result<usize, String> {
        let bytes: [u8; 4] = self.take(4)?.try_into().map_err(|_| "the page ends early")?;
        Ok(u32::from_le_bytes(bytes) as usize)
    }

    /// An unsigned LEB128 number of at most 64 bits.
    fn varint(&mut self) -> Result<u64, String> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("a number of more than 64 bits".into())
    }

    fn zigzag(&mut self) -> Result<i64, String> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }
}

/// Definition levels of an optional column, one bit wide (RLE and bit-packed runs after their length): which of `count` values are
/// there. Gives how many are, and the rest of the page.
pub fn levels<'a>(page: &'a [u8], count: usize, out: &mut Vec<bool>) -> Result<(usize, &'a [u8]), String> {
    let mut front = Front(page);
    let length = front.u32()?;
    Ok((run_levels(front.take(length)?, count, out)?, front.0))
}

/// The same without their length, as pages of version 2 have them. Gives how many values are there.
pub fn run_levels(runs: &[u8], count: usize, out: &mut Vec<bool>) -> Result<usize, String> {
    out.clear();
    if count > MOST_VALUES {
        return Err(format!("expected at most {MOST_VALUES} values in a page, found {count}"));
    }
    let mut runs = Front(runs);
    while out.len() < count {
        let header = runs.varint()?;
        let left = count - out.len();
        if header & 1 == 0 {
            let run = usize::try_from(header >> 1).unwrap_or(usize::MAX).min(left);
            let value = runs.take(1)?[0];
            if run == 0 || value > 1 {
                return Err("a run of levels that cannot be".into());
            }
            out.resize(out.len() + run, value == 1);
        } else {
            let groups = usize::try_from(header >> 1).unwrap_or(usize::MAX);
            if groups == 0 {
                return Err("a run of levels that cannot be".into());
            }
            // The last run may be padded beyond the count, and its bytes may be cut off there.
            let bytes = runs.take(groups.min(left.div_ceil(8)))?;
            out.extend((0..left.min(bytes.len() * 8)).map(|bit| bytes[bit / 8] >> (bit % 8) & 1 == 1));
        }
    }
    Ok(out.iter().filter(|there| **there).count())
}

/// DELTA_BINARY_PACKED; gives the bytes after it.
pub fn delta_ints<'a>(page: &'a [u8], out: &mut Vec<i64>) -> Result<&'a [u8], String> {
    out.clear();
    let mut front = Front(page);
    let block = front.varint()?;
    let minis = front.varint()?;
    let total = front.varint()?;
    let mut value = front.zigzag()?;
    let sane = (1..=1 << 16).contains(&block) && (1..=1 << 9).contains(&minis) && block % minis == 0 && (block / minis) % 8 == 0;
    if !sane || total > MOST_VALUES as u64 {
        return Err(format!("a delta block of {block} values in {minis}, {total} in all"));
    }
    let (minis, per_mini, total) = (minis as usize, (block / minis) as usize, total as usize);
    if total == 0 {
        return Ok(front.0);
    }
    out.reserve(total);
    out.push(value);
    while out.len() < total {
        let least = front.zigzag()?;
        let widths = front.take(minis)?;
        for &width in widths {
            if out.len() == total {
                break;
            }
            if width > 64 {
                return Err(format!("deltas of {width} bits"));
            }
            // Numbers of versions are all alike.
            if width == 0 && least == 0 {
                out.resize(out.len() + per_mini.min(total - out.len()), value);
                continue;
            }
            let packed = front.take(usize::from(width) * per_mini / 8)?;
            let wanted = per_mini.min(total - out.len());
            unpack(packed, width, wanted, |delta| {
                value = value.wrapping_add(least).wrapping_add(delta as i64);
                out.push(value);
            });
        }
    }
    Ok(front.0)
}

/// `count` numbers of `width` bits, the lowest bit first.
fn unpack(packed: &[u8], width: u8, count: usize, mut put: impl FnMut(u64)) {
    if width == 0 {
        return (0..count).for_each(|_| put(0));
    }
    let mask = u64::MAX >> (64 - width);
    let width = usize::from(width);
    // Up to 57 bits lie within eight bytes wherever they begin; the last ones may have fewer than eight after them.
    let short = if width <= 57 { count.min((packed.len().saturating_sub(7) * 8).div_ceil(width)) } else { 0 };
    for index in 0..short {
        let (at, shift) = (index * width / 8, index * width % 8);
        let bits = packed[at..].first_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk));
        put(bits >> shift & mask);
    }
    for index in short..count {
        let (at, shift) = (index * width / 8, index * width % 8);
        let mut chunk = [0; 16];
        let rest = &packed[at..];
        let some = rest.len().min(chunk.len());
        chunk[..some].copy_from_slice(&rest[..some]);
        put((u128::from_le_bytes(chunk) >> shift) as u64 & mask);
    }
}

/// PLAIN 64-bit integers.
pub fn plain_ints(page: &[u8], count: usize, out: &mut Vec<i64>) -> Result<(), String> {
    out.clear();
    let bytes = Front(page).take(count.checked_mul(8).ok_or("a page of an absurd size")?)?;
    out.extend(bytes.chunks_exact(8).map(|bytes| i64::from_le_bytes(bytes.try_into().unwrap_or([0; 8]))));
    Ok(())
}

/// PLAIN booleans.
pub fn plain_bools(page: &[u8], count: usize, out: &mut Vec<bool>) -> Result<(), String> {
    out.clear();
    let bytes = Front(page).take(count.div_ceil(8))?;
    out.extend((0..count).map(|bit| bytes[bit / 8] >> (bit % 8) & 1 == 1));
    Ok(())
}

/// PLAIN texts.
pub fn plain_texts(page: &[u8], count: usize, out: &mut Texts) -> Result<(), String> {
    let mut bytes = out.restart();
    let mut front = Front(page);
    for _ in 0..count {
        let length = front.u32()?;
        bytes.extend_from_slice(front.take(length)?);
        out.ends.push(u32::try_from(bytes.len()).map_err(|_| "a page of an absurd size")?);
    }
    out.take(bytes)
}

/// DELTA_BYTE_ARRAY: each text begins with so many bytes of the one before. `lengths` is scratch space.
pub fn delta_texts(page: &[u8], out: &mut Texts, lengths: &mut [Vec<i64>; 2]) -> Result<(), String> {
    let mut bytes = out.restart();
    let [prefixes, suffixes] = lengths;
    let rest = delta_ints(page, prefixes)?;
    let mut front = Front(delta_ints(rest, suffixes)?);
    if prefixes.len() != suffixes.len() {
        return Err("as many prefixes as suffixes were expected".into());
    }
    let (mut start, mut before) = (0, 0);
    for (prefix, suffix) in prefixes.iter().zip(suffixes.iter()) {
        let (Ok(prefix), Ok(suffix)) = (usize::try_from(*prefix), usize::try_from(*suffix)) else {
            return Err("a text of negative length".into());
        };
        if prefix > before {
            return Err("a text that begins with more of the one before than there is".into());
        }
        let suffix = front.take(suffix)?;
        if bytes.len() + prefix + suffix.len() > MOST_TEXT_BYTES {
            return Err("a page of an absurd size".into());
        }
        let own = bytes.len();
        bytes.extend_from_within(start..start + prefix);
        bytes.extend_from_slice(suffix);
        (start, before) = (own, bytes.len() - own);
        out.ends.push(bytes.len() as u32);
    }
    out.take(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn varint(mut value: u64, out: &mut Vec<u8>) {
        while value >= 0x80 {
            out.push(value as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
    }

    proptest! {
        /// What the parquet crate writes is read in the tests of manifests; here bytes that nobody wrote.
        #[test]
        fn any_bytes_end_in_values_or_an_error(
            bytes in prop::collection::vec(any::<u8>(), 0..300), count in 0usize..3000,
            header in (prop::sample::select(&[0u64, 8, 128, 1 << 40][..]), 0u64..6, 0u64..400), headed in any::<bool>(),
        ) {
            let mut page = Vec::new();
            if headed {
                varint(header.0, &mut page);
                varint(header.1, &mut page);
                varint(header.2, &mut page);
            }
            page.extend_from_slice(&bytes);
            let (mut bools, mut ints, mut texts) = (Vec::new(), Vec::new(), Texts::default());
            if let Ok((there, _)) = levels(&page, count, &mut bools) {
                prop_assert!(bools.len() == count && there <= count);
            }
            if delta_ints(&page, &mut ints).is_ok() {
                prop_assert!(ints.len() <= MOST_VALUES);
            }
            let _ = plain_ints(&page, count, &mut ints);
            let _ = plain_bools(&page, count, &mut bools);
            for decoded in [plain_texts(&page, count.min(20), &mut texts), delta_texts(&page, &mut texts, &mut [Vec::new(), Vec::new()])] {
                if decoded.is_ok() {
                    prop_assert!((0..texts.len()).all(|index| texts.get(index).is_some()) && texts.get(texts.len()).is_none());
                }
            }
        }

        #[test]
        fn numbers_of_any_width_are_unpacked(values in prop::collection::vec(any::<u64>(), 32), width in 0u8..=64) {
            let mask = if width == 0 { 0 } else { u64::MAX >> (64 - width) };
            let mut packed = vec![0u8; values.len() / 8 * usize::from(width)];
            for (index, value) in values.iter().enumerate() {
                for bit in 0..usize::from(width) {
                    let at = index * usize::from(width) + bit;
                    packed[at / 8] |= ((value >> bit & 1) as u8) << (at % 8);
                }
            }
            let mut found = Vec::new();
            unpack(&packed, width, values.len(), |value| found.push(value));
            prop_assert_eq!(found, values.iter().map(|value| value & mask).collect::<Vec<_>>());
        }
    }

    #[test]
    fn absurd_sizes_are_refused_before_memory_is_taken() {
        let mut page = Vec::new();
        for number in [128, 4, u64::MAX >> 1, 0] {
            varint(number, &mut page);
        }
        assert!(delta_ints(&page, &mut Vec::new()).is_err());
        assert!(levels(&[0; 8], usize::MAX, &mut Vec::new()).is_err());
        assert!(plain_ints(&[0; 8], usize::MAX, &mut Vec::new()).is_err());
        assert!(plain_texts(&[255; 8], 1, &mut Texts::default()).is_err());
    }
}
