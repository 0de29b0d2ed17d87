//! Reading foreign bytes from front to back; nothing where there are too few.
//!
//! Formats: "Integer Types" and "String Types" of the MySQL client/server protocol documentation. Pure.

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a>(pub &'a [u8]);

impl<'a> Cursor<'a> {
    /// So many bytes.
    #[inline]
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    /// So many bytes as an array.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    /// One byte.
    #[inline]
    pub fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Two bytes, little end first.
    #[inline]
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// Four bytes, little end first.
    #[inline]
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// A length-encoded integer.
    #[inline]
    pub fn integer(&mut self) -> Option<u64> {
        match self.u8()? {
            small @ 0..=0xfa => Some(small.into()),
            0xfc => self.u16().map(u64::from),
            0xfd => self.array::<3>().map(|[a, b, c]| u32::from_le_bytes([a, b, c, 0]).into()),
            0xfe => self.array().map(u64::from_le_bytes),
            _ => None,
        }
    }

    /// Bytes behind their length.
    #[inline]
    pub fn sized(&mut self) -> Option<&'a [u8]> {
        let length = self.integer()?;
        self.take(usize::try_from(length).ok()?)
    }

    /// Bytes up to a NUL, which is skipped.
    pub fn until_nul(&mut self) -> Option<&'a [u8]> {
        let end = memchr::memchr(0, self.0)?;
        let text = self.take(end)?;
        self.0 = &self.0[1..];
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn integers_have_four_lengths_and_two_bytes_that_begin_none() {
        for (bytes, value) in [
            (&[0xfa][..], Some(0xfa)),
            (&[0xfc, 1, 2], Some(0x201)),
            (&[0xfd, 1, 2, 3], Some(0x3_0201)),
            (&[0xfe, 1, 0, 0, 0, 0, 0, 0, 0x80], Some(0x8000_0000_0000_0001)),
            (&[0xfb], None),
            (&[0xff], None),
            (&[0xfc, 1], None),
            (&[], None),
        ] {
            assert_eq!(Cursor(bytes).integer(), value, "{bytes:?}");
        }
        assert_eq!(Cursor(&[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]).sized(), None, "a length beyond all bounds");
        assert_eq!(Cursor(b"ab\0c").until_nul(), Some(&b"ab"[..]));
        assert_eq!(Cursor(b"ab").until_nul(), None);
    }

    proptest! {
        #[test]
        fn nothing_is_read_beyond_the_end(bytes in prop::collection::vec(any::<u8>(), 0..40), count in 0usize..60) {
            let mut cursor = Cursor(&bytes);
            if let Some(taken) = cursor.take(count) {
                prop_assert_eq!((taken.len(), cursor.0.len()), (count, bytes.len() - count));
            }
            let sized = Cursor(&bytes).sized().map_or(0, <[u8]>::len);
            prop_assert!(sized < bytes.len().max(1));
            let _ = (Cursor(&bytes).until_nul(), Cursor(&bytes).u32(), Cursor(&bytes).u16());
        }
    }
}
