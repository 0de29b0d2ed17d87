//! One column of a part, value after value: a page is decoded at a time into memory that is used again.
//!
//! Not here: what a column means. Encodings that our writer does not use go through the `parquet` crate's own reader, value by value.

use bytes::Bytes;
use parquet::basic::{Encoding, Type as Physical};
use parquet::column::page::{Page, PageReader};
use parquet::column::reader::ColumnReader;
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::errors::ParquetError;
use parquet::file::reader::RowGroupReader;

use crate::verify::manifest::decoders::{self, MOST_VALUES, Texts};

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

/// Decoded values, without nulls.
#[derive(Debug)]
enum Values {
    Texts(Texts),
    Ints(Vec<i64>),
    Bools(Vec<bool>),
    /// So many bytes each, in the page as it is.
    Fixed(Bytes, usize),
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
    optional: bool,
    /// Which lines of the page have a value; used where the column is optional.
    there: Vec<bool>,
    values: Values,
    /// Lines of the page at hand.
    lines: usize,
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
        Self { source, optional, there: Vec::new(), values, lines: 0, line: 0, value: 0, scratch: [Vec::new(), Vec::new()] }
    }

    /// To the next line; gives the index of its value on the page at hand, or nothing where it is null.
    pub fn step(&mut self) -> Result<Option<usize>, String> {
        if self.line == self.lines {
            match &self.source {
                Source::Absent => return Ok(None),
                Source::Pages(_) => self.next_page()?,
                Source::Typed(_) => self.next_typed()?,
            }
        }
        let line = self.line;
        self.line += 1;
        if self.optional && !self.there[line] {
            return Ok(None);
        }
        self.value += 1;
        Ok(Some(self.value - 1))
    }

    fn next_page(&mut self) -> Result<(), String> {
        let Source::Pages(pages) = &mut self.source else { return Ok(()) };
        let (buf, count, encoding, second) = match decoded(|| pages.get_next_page())? {
            Some(Page::DataPage { buf, num_values, encoding, .. }) if num_values > 0 => (buf, num_values as usize, encoding, None),
            // Other writers' pages of version 2 have their levels, as many bytes as it says, before the values.
            Some(Page::DataPageV2 { buf, num_values, encoding, def_levels_byte_len, rep_levels_byte_len: 0, .. }) if num_values > 0 => {
                (buf, num_values as usize, encoding, Some(def_levels_byte_len as usize))
            }
            Some(_) => return Err("a page that holds no rows".into()),
            None => return Err("more lines were expected in a column".into()),
        };
        if count > MOST_VALUES {
            return Err(format!("expected at most {MOST_VALUES} values in a page, found {count}"));
        }
        (self.lines, self.line, self.value) = (count, 0, 0);
        let mut values = count;
        let mut skipped = 0;
        match second {
            Some(length) => {
                let runs = buf.get(..length).ok_or("levels beyond the page's end")?;
                skipped = length;
                if self.optional {
                    values = decoders::run_levels(runs, count, &mut self.there)?;
                }
            }
            None if self.optional => {
                let (there, rest) = decoders::levels(&buf, count, &mut self.there)?;
                (values, skipped) = (there, buf.len() - rest.len());
            }
            None => {}
        }
        self.decode(buf.slice(skipped..), values, encoding)
    }

    fn decode(&mut self, page: Bytes, count: usize, encoding: Encoding) -> Result<(), String> {
        let found = match (&mut self.values, encoding) {
            // A page of nulls alone may hold nothing, not even the header of its encoding.
            _ if count == 0 => 0,
            (Values::Texts(texts), Encoding::PLAIN) => {
                decoders::plain_texts(&page, count, texts)?;
                texts.len()
            }
            (Values::Texts(texts), Encoding::DELTA_BYTE_ARRAY) => {
                decoders::delta_texts(&page, texts, &mut self.scratch)?;
                texts.len()
            }
            (Values::Ints(ints), Encoding::DELTA_BINARY_PACKED) => {
                decoders::delta_ints(&page, ints)?;
                ints.len()
            }
            (Values::Ints(ints), Encoding::PLAIN) => {
                decoders::plain_ints(&page, count, ints)?;
                ints.len()
            }
            (Values::Bools(bools), Encoding::PLAIN) => {
                decoders::plain_bools(&page, count, bools)?;
                bools.len()
            }
            (Values::Fixed(bytes, width), Encoding::PLAIN) => {
                *bytes = page;
                bytes.len() / (*width).max(1)
            }
            (_, encoding) => return Err(format!("the encoding {encoding}")),
        };
        if found < count { Err(format!("expected {count} values in a page, found {found}")) } else { Ok(()) }
    }

    /// The same by way of the `parquet` crate's reader.
    fn next_typed(&mut self) -> Result<(), String> {
        let Source::Typed(reader) = &mut self.source else { return Ok(()) };
        let mut levels: Vec<i16> = Vec::new();
        let levels_of = self.optional.then_some(&mut levels);
        let mut texts: Vec<ByteArray> = Vec::new();
        let mut fixed: Vec<FixedLenByteArray> = Vec::new();
        let (lines, _, _) = decoded(|| match (&mut self.values, reader.as_mut()) {
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
        match &mut self.values {
            Values::Texts(own) => {
                own.clear();
                for text in &texts {
                    own.push(std::str::from_utf8(text.data()).map_err(|_| "text that is not UTF-8")?);
                }
            }
            Values::Fixed(bytes, _) => *bytes = fixed.iter().flat_map(|value| value.data().iter().copied()).collect::<Vec<u8>>().into(),
            Values::Ints(_) | Values::Bools(_) => {}
        }
        self.there.clear();
        self.there.extend(levels.iter().map(|level| *level > 0));
        if self.optional && self.there.len() != lines {
            return Err("as many levels as lines were expected".into());
        }
        (self.lines, self.line, self.value) = (lines, 0, 0);
        Ok(())
    }

    /// The text with the index that [`PageColumn::step`] gave.
    pub fn text(&self, index: usize) -> Result<&str, String> {
        let Values::Texts(texts) = &self.values else { return Err("not a text column".into()) };
        texts.get(index).ok_or_else(|| "a value is lacking".to_owned())
    }

    /// The integer.
    pub fn int(&self, index: usize) -> Result<i64, String> {
        let Values::Ints(ints) = &self.values else { return Err("not an integer column".into()) };
        ints.get(index).copied().ok_or_else(|| "a value is lacking".to_owned())
    }

    /// The boolean.
    pub fn bool(&self, index: usize) -> Result<bool, String> {
        let Values::Bools(bools) = &self.values else { return Err("not a boolean column".into()) };
        bools.get(index).copied().ok_or_else(|| "a value is lacking".to_owned())
    }

    /// The bytes of a digest.
    pub fn fixed(&self, index: usize) -> Result<&[u8], String> {
        let Values::Fixed(bytes, width) = &self.values else { return Err("not a column of digests".into()) };
        let range = index.checked_mul(*width).and_then(|start| Some(start..start.checked_add(*width)?));
        range.and_then(|range| bytes.get(range)).ok_or_else(|| "a value is lacking".to_owned())
    }
}
