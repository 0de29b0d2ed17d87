//! One column of a part, value after value: a page is decoded at a time into memory that is used again.
//!
//! Not here: what a column means. Encodings that our writer does not use go through the `parquet` crate's own reader, value by value.

use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Encoding, Type as Physical};
use parquet::column::page::{Page as Encoded, PageReader};
use parquet::column::reader::ColumnReader;
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::errors::ParquetError;
use parquet::file::reader::RowGroupReader;

use crate::verify::manifest::decoders::{self, MOST_VALUES, Texts};
use crate::verify::manifest::page::{Page, Stretch, Values};

/// Lines that the `parquet` crate's own reader decodes at a time.
const TYPED_LINES: usize = 2048;

/// Runs one step of the Parquet decoder. It panics on some malformed files, which only whoever can rewrite the header can make
/// us decode; to us that is bad evidence like any other.
pub fn decoded<T>(step: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, String> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(step)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("the decoder gave up on it".into()),
    }
}

enum Source {
    Pages(Box<dyn PageReader>),
    Typed(Box<ColumnReader>),
    /// The file has no such column, or has no more of it: every value is null.
    Absent,
}

/// One column of a row group.
pub struct PageColumn {
    source: Source,
    /// The page at hand.
    page: Arc<Page>,
    /// Lines and values of it that were given out.
    line: usize,
    value: usize,
    scratch: [Vec<i64>; 2],
}

impl PageColumn {
    /// A column that the file does not have.
    pub fn absent() -> Self {
        Self::of(Source::Absent, true, Values::Ints(Vec::new()))
    }

    /// The column number `index` of `group`.
    pub fn open(group: &dyn RowGroupReader, index: usize) -> Result<Self, String> {
        let metadata = group.metadata().column(index);
        let descriptor = metadata.column_descr();
        let fits = |encoding: Encoding| match (encoding, descriptor.physical_type()) {
            (Encoding::PLAIN | Encoding::RLE, _) => true,
            (Encoding::DELTA_BINARY_PACKED, physical) => physical == Physical::INT64,
            (Encoding::DELTA_BYTE_ARRAY, physical) => physical == Physical::BYTE_ARRAY,
            _ => false,
        };
        let ours = metadata.dictionary_page_offset().is_none() && metadata.encodings().all(fits);
        let (optional, values) = (
            descriptor.max_def_level() > 0,
            match descriptor.physical_type() {
                Physical::BYTE_ARRAY => Values::Texts(Texts::default()),
                Physical::INT64 => Values::Ints(Vec::new()),
                Physical::BOOLEAN => Values::Bools(Vec::new()),
                Physical::FIXED_LEN_BYTE_ARRAY => Values::Fixed(Bytes::new(), usize::try_from(descriptor.type_length()).unwrap_or(0)),
                other => return Err(format!("a column of type {other}")),
            },
        );
        let source = match ours {
            true => Source::Pages(decoded(|| group.get_column_page_reader(index))?),
            false => Source::Typed(Box::new(decoded(|| group.get_column_reader(index))?)),
        };
        Ok(Self::of(source, optional, values))
    }

    fn of(source: Source, optional: bool, values: Values) -> Self {
        Self { source, page: Arc::new(Page::empty(optional, values)), line: 0, value: 0, scratch: [Vec::new(), Vec::new()] }
    }

    /// Lines that are left on the page at hand, which is the next one where nothing was left; every line of a column that the file does
    /// not have.
    pub fn at_hand(&mut self) -> Result<usize, String> {
        if self.line == self.page.lines {
            match &self.source {
                Source::Absent => return Ok(usize::MAX),
                Source::Pages(_) => self.next_page()?,
                Source::Typed(_) => self.next_typed()?,
            }
        }
        Ok(self.page.lines - self.line)
    }

    /// The next `lines` lines, at most what is at hand.
    pub fn take(&mut self, lines: usize) -> Result<Stretch, String> {
        if matches!(self.source, Source::Absent) {
            return Ok(Stretch::of_nulls(&self.page));
        }
        let (stretch, values) = Stretch::new(&self.page, (self.line, self.value), lines)?;
        (self.line, self.value) = (self.line + lines, self.value + values);
        Ok(stretch)
    }

    /// To the next line; gives the index of its value on the page at hand, or nothing where it is null.
    pub fn step(&mut self) -> Result<Option<usize>, String> {
        if self.line == self.page.lines && self.at_hand()? == usize::MAX {
            return Ok(None);
        }
        let line = self.line;
        self.line += 1;
        if self.page.there.as_ref().is_some_and(|there| !there[line]) {
            return Ok(None);
        }
        self.value += 1;
        Ok(Some(self.value - 1))
    }

    /// The page at hand, to which the indexes of [`PageColumn::step`] belong.
    pub fn page(&self) -> &Page {
        &self.page
    }

    fn next_page(&mut self) -> Result<(), String> {
        let Source::Pages(pages) = &mut self.source else { return Ok(()) };
        let (buf, count, encoding, second) = match decoded(|| pages.get_next_page())? {
            Some(Encoded::DataPage { buf, num_values, encoding, .. }) if num_values > 0 => (buf, num_values as usize, encoding, None),
            // Other writers' pages of version 2 have their levels, as many bytes as it says, before the values.
            Some(Encoded::DataPageV2 { buf, num_values, encoding, def_levels_byte_len, rep_levels_byte_len: 0, .. }) if num_values > 0 => {
                (buf, num_values as usize, encoding, Some(def_levels_byte_len as usize))
            }
            Some(_) => return Err("a page that holds no rows".into()),
            None => return Err("more lines were expected in a column".into()),
        };
        if count > MOST_VALUES {
            return Err(format!("expected at most {MOST_VALUES} values in a page, found {count}"));
        }
        let page = Page::next(&mut self.page);
        (page.lines, self.line, self.value) = (count, 0, 0);
        let mut values = count;
        let mut skipped = 0;
        match second {
            Some(length) => {
                let runs = buf.get(..length).ok_or("levels beyond the page's end")?;
                skipped = length;
                if let Some(there) = &mut page.there {
                    values = decoders::run_levels(runs, count, there)?;
                }
            }
            None => {
                if let Some(there) = &mut page.there {
                    let (found, rest) = decoders::levels(&buf, count, there)?;
                    (values, skipped) = (found, buf.len() - rest.len());
                }
            }
        }
        decode(&mut page.values, buf.slice(skipped..), (values, encoding), &mut self.scratch)
    }

    /// The same by way of the `parquet` crate's reader.
    fn next_typed(&mut self) -> Result<(), String> {
        let Source::Typed(reader) = &mut self.source else { return Ok(()) };
        let mut levels: Vec<i16> = Vec::new();
        let page = Page::next(&mut self.page);
        let levels_of = page.there.is_some().then_some(&mut levels);
        let mut texts: Vec<ByteArray> = Vec::new();
        let mut fixed: Vec<FixedLenByteArray> = Vec::new();
        let (lines, _, _) = decoded(|| match (&mut page.values, reader.as_mut()) {
            (Values::Texts(_), ColumnReader::ByteArrayColumnReader(reader)) => {
                reader.read_records(TYPED_LINES, levels_of, None, &mut texts)
            }
            (Values::Ints(ints), ColumnReader::Int64ColumnReader(reader)) => {
                ints.clear();
                reader.read_records(TYPED_LINES, levels_of, None, ints)
            }
            (Values::Bools(bools), ColumnReader::BoolColumnReader(reader)) => {
                bools.clear();
                reader.read_records(TYPED_LINES, levels_of, None, bools)
            }
            (Values::Fixed(..), ColumnReader::FixedLenByteArrayColumnReader(reader)) => {
                reader.read_records(TYPED_LINES, levels_of, None, &mut fixed)
            }
            _ => Err(ParquetError::General("a column of another type than its name has".into())),
        })?;
        if lines == 0 {
            return Err("more lines were expected in a column".into());
        }
        match &mut page.values {
            Values::Texts(own) => {
                own.clear();
                for text in &texts {
                    own.push(std::str::from_utf8(text.data()).map_err(|_| "text that is not UTF-8")?);
                }
            }
            Values::Fixed(bytes, _) => *bytes = fixed.iter().flat_map(|value| value.data().iter().copied()).collect::<Vec<u8>>().into(),
            Values::Ints(_) | Values::Bools(_) => {}
        }
        if let Some(there) = &mut page.there {
            there.clear();
            there.extend(levels.iter().map(|level| *level > 0));
            if there.len() != lines {
                return Err("as many levels as lines were expected".into());
            }
        }
        (page.lines, self.line, self.value) = (lines, 0, 0);
        Ok(())
    }
}

/// Decodes the `count` values of a page.
fn decode(values: &mut Values, page: Bytes, (count, encoding): (usize, Encoding), scratch: &mut [Vec<i64>; 2]) -> Result<(), String> {
    match (&mut *values, encoding) {
        // A page of nulls alone may hold nothing, not even the header of its encoding.
        _ if count == 0 => return Ok(()),
        (Values::Texts(texts), Encoding::PLAIN) => decoders::plain_texts(&page, count, texts)?,
        (Values::Texts(texts), Encoding::DELTA_BYTE_ARRAY) => decoders::delta_texts(&page, texts, scratch)?,
        (Values::Ints(ints), Encoding::DELTA_BINARY_PACKED) => drop(decoders::delta_ints(&page, ints)?),
        (Values::Ints(ints), Encoding::PLAIN) => decoders::plain_ints(&page, count, ints)?,
        (Values::Bools(bools), Encoding::PLAIN) => decoders::plain_bools(&page, count, bools)?,
        (Values::Fixed(bytes, _), Encoding::PLAIN) => *bytes = page,
        (_, encoding) => return Err(format!("the encoding {encoding}")),
    }
    let found = values.len();
    if found < count { Err(format!("expected {count} values in a page, found {found}")) } else { Ok(()) }
}
