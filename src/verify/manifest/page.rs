//! One page of a column, decoded: which of its lines have a value, and the values. A stretch is a run of lines on such a page, which it keeps
//! alive, so that lines can be looked at on another thread than the one that decodes.
//!
//! Not here: how pages are read and decoded (`pages`, `decoders`).

use std::sync::Arc;

use bytes::Bytes;

use crate::verify::manifest::decoders::Texts;

/// Decoded values, without nulls.
#[derive(Debug)]
pub enum Values {
    /// Texts.
    Texts(Texts),
    /// Integers.
    Ints(Vec<i64>),
    /// Booleans.
    Bools(Vec<bool>),
    /// So many bytes each, in the page as it is.
    Fixed(Bytes, usize),
}

impl Values {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.len(),
            Self::Ints(ints) => ints.len(),
            Self::Bools(bools) => bools.len(),
            Self::Fixed(bytes, width) => bytes.len() / (*width).max(1),
        }
    }

    /// True without any.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// None yet, of the same type, with room for as many: pages of one column are much alike.
    fn fresh(&self) -> Self {
        match self {
            Self::Texts(texts) => Self::Texts(texts.fresh()),
            Self::Ints(ints) => Self::Ints(Vec::with_capacity(ints.len())),
            Self::Bools(bools) => Self::Bools(Vec::with_capacity(bools.len())),
            Self::Fixed(_, width) => Self::Fixed(Bytes::new(), *width),
        }
    }
}

/// A decoded page.
#[derive(Debug)]
pub struct Page {
    /// Lines of the page.
    pub lines: usize,
    /// Which of them have a value; nothing where the column is not optional, and all have.
    pub there: Option<Vec<bool>>,
    /// The values.
    pub values: Values,
}

impl Page {
    /// A page without lines.
    pub fn empty(optional: bool, values: Values) -> Self {
        Self { lines: 0, there: optional.then(Vec::new), values }
    }

    /// The page to decode the next one into: the same memory, unless somebody still looks at it.
    pub fn next(page: &mut Arc<Self>) -> &mut Self {
        if Arc::get_mut(page).is_none() {
            *page = Arc::new(Self { lines: 0, there: page.there.as_ref().map(|_| Vec::new()), values: page.values.fresh() });
        }
        Arc::get_mut(page).unwrap_or_else(|| unreachable!("a page that was just made is nobody else's"))
    }

    #[inline]
    fn text(&self, index: usize) -> Option<&str> {
        if let Values::Texts(texts) = &self.values { texts.get(index) } else { None }
    }

    #[inline]
    fn int(&self, index: usize) -> Option<i64> {
        if let Values::Ints(ints) = &self.values { ints.get(index).copied() } else { None }
    }

    #[inline]
    fn bool(&self, index: usize) -> Option<bool> {
        if let Values::Bools(bools) = &self.values { bools.get(index).copied() } else { None }
    }

    #[inline]
    fn fixed(&self, index: usize) -> Option<&[u8]> {
        let Values::Fixed(bytes, width) = &self.values else { return None };
        bytes.get(index * width..(index + 1) * width)
    }

    /// The text of the value number `index`.
    pub fn text_at(&self, index: usize) -> Result<&str, String> {
        self.text(index).ok_or_else(lacking)
    }

    /// The integer.
    pub fn int_at(&self, index: usize) -> Result<i64, String> {
        self.int(index).ok_or_else(lacking)
    }

    /// The boolean.
    pub fn bool_at(&self, index: usize) -> Result<bool, String> {
        self.bool(index).ok_or_else(lacking)
    }

    /// The bytes of a digest.
    pub fn fixed_at(&self, index: usize) -> Result<&[u8], String> {
        self.fixed(index).ok_or_else(lacking)
    }
}

fn lacking() -> String {
    "a value is lacking".to_owned()
}

/// Where the values of a stretch's lines are on their page.
#[derive(Debug)]
enum Places {
    /// Every line has one; the first line's has this index.
    All(usize),
    /// No line has one.
    Nowhere,
    /// The index for each line, or [`NOTHING`].
    Each(Vec<u32>),
}

const NOTHING: u32 = u32::MAX;

/// Some lines of one column that lie on one page.
#[derive(Debug)]
pub struct Stretch {
    page: Arc<Page>,
    places: Places,
}

impl Stretch {
    /// Lines that are null, all of them.
    pub fn of_nulls(page: &Arc<Page>) -> Self {
        Self { page: page.clone(), places: Places::Nowhere }
    }

    /// `lines` lines of `page` from line `line` on, whose first value has the index `value`; also how many values they have.
    pub fn new(page: &Arc<Page>, (line, value): (usize, usize), lines: usize) -> Result<(Self, usize), String> {
        let there = page.there.as_ref().map(|there| there.get(line..line + lines).ok_or_else(lacking)).transpose()?;
        let values = there.map_or(lines, |there| there.iter().filter(|there| **there).count());
        if value + values > page.values.len() {
            return Err(lacking());
        }
        let places = match there {
            _ if values == lines => Places::All(value),
            Some(there) if values > 0 => {
                let mut next = value as u32;
                let place = |there: &bool| {
                    let own = next;
                    next += u32::from(*there);
                    if *there { own } else { NOTHING }
                };
                Places::Each(there.iter().map(place).collect())
            }
            _ => Places::Nowhere,
        };
        Ok((Self { page: page.clone(), places }, values))
    }

    #[inline]
    fn place(&self, line: usize) -> Option<usize> {
        match &self.places {
            Places::All(first) => Some(first + line),
            Places::Nowhere => None,
            Places::Each(places) => places.get(line).filter(|place| **place != NOTHING).map(|place| *place as usize),
        }
    }

    /// True where every line has a value.
    pub fn is_full(&self) -> bool {
        matches!(self.places, Places::All(_))
    }

    /// The text of line `line` of the stretch; nothing where it is null.
    #[inline]
    pub fn text(&self, line: usize) -> Option<&str> {
        self.page.text(self.place(line)?)
    }

    /// The integer.
    #[inline]
    pub fn int(&self, line: usize) -> Option<i64> {
        self.page.int(self.place(line)?)
    }

    /// The boolean.
    #[inline]
    pub fn bool(&self, line: usize) -> Option<bool> {
        self.page.bool(self.place(line)?)
    }

    /// `N` bytes; the column must be one of values of that width.
    #[inline]
    pub fn fixed<const N: usize>(&self, line: usize) -> Option<&[u8; N]> {
        self.page.fixed(self.place(line)?)?.try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_stretch_has_what_its_lines_have(
            lines in prop::collection::vec(prop::option::of(any::<i64>()), 1..60), from in 0usize..60, length in 0usize..60, some in 0u8..3,
        ) {
            // Also pages of nulls alone, and without any.
            let lines: Vec<Option<i64>> = lines.into_iter().map(|line| match some { 0 => None, 1 => line, _ => line.or(Some(0)) }).collect();
            let (from, to) = (from.min(lines.len()), (from + length).min(lines.len()));
            let values = Values::Ints(lines.iter().flatten().copied().collect());
            let page = Arc::new(Page { lines: lines.len(), there: Some(lines.iter().map(Option::is_some).collect()), values });
            let value = lines[..from].iter().flatten().count();
            let (stretch, there) = Stretch::new(&page, (from, value), to.saturating_sub(from)).unwrap();
            let wanted = &lines[from..to.max(from)];
            prop_assert_eq!(there, wanted.iter().flatten().count());
            prop_assert_eq!(wanted.iter().enumerate().map(|(line, _)| stretch.int(line)).collect::<Vec<_>>(), wanted.to_vec());
            prop_assert_eq!(stretch.is_full(), wanted.iter().all(Option::is_some));
        }
    }

    #[test]
    fn a_page_with_too_few_values_is_refused() {
        let page = Arc::new(Page { lines: 3, there: None, values: Values::Ints(vec![1, 2]) });
        assert!(Stretch::new(&page, (0, 0), 2).is_ok());
        assert!(Stretch::new(&page, (0, 0), 3).is_err() && Stretch::new(&page, (1, 1), 2).is_err());
        let page = Arc::new(Page { lines: 1, there: Some(vec![true]), values: Values::Ints(vec![1]) });
        assert!(Stretch::new(&page, (0, 0), 2).is_err(), "and lines that it has not");
    }

    #[test]
    fn memory_is_used_again_once_nobody_looks_at_it() {
        let mut page = Arc::new(Page { lines: 1, there: None, values: Values::Ints(vec![7]) });
        let (kept, _) = Stretch::new(&page, (0, 0), 1).unwrap();
        Page::next(&mut page).values = Values::Ints(vec![8]);
        assert_eq!(kept.int(0), Some(7));
        let before = Arc::as_ptr(&page);
        assert_eq!(Page::next(&mut page).values.len(), 1);
        assert_eq!(Arc::as_ptr(&page), before);
    }
}
