//! Columns of parts: their Parquet types and encodings, and cells going in and out of column buffers.
//!
//! Not here: what a column means (rows) and where files are (parts).

use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, LogicalType, Repetition, Type as PhysicalType, ZstdLevel};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::{ColumnPath, Type, TypePtr};

use crate::verify::manifest::pages::PageColumn;

/// The type of a column, which decides its encoding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ColumnKind {
    /// UTF-8 in sorted order: DELTA_BYTE_ARRAY, zstd.
    Key,
    /// UTF-8: PLAIN, zstd.
    Text,
    /// 64-bit integers: DELTA_BINARY_PACKED, zstd.
    Int,
    /// Booleans: RLE, zstd.
    Bool,
    /// Digests of so many bytes: PLAIN, uncompressed, for there is nothing to compress.
    Fixed(usize),
}

/// One column of a kind of row.
#[derive(Clone, Copy, Debug)]
pub struct ColumnSpec {
    /// The column's name.
    pub name: &'static str,
    /// Its type.
    pub kind: ColumnKind,
    /// Whether it may be null.
    pub optional: bool,
}

/// One value on its way into a column.
#[derive(Clone, Copy, Debug)]
pub enum Cell<'a> {
    /// Nothing; only in an optional column.
    Null,
    /// Text.
    Text(&'a str),
    /// An integer.
    Int(i64),
    /// A boolean.
    Bool(bool),
    /// A digest.
    Fixed(&'a [u8]),
}

impl<'a> Cell<'a> {
    /// Text, or null.
    pub fn text(value: Option<&'a str>) -> Self {
        value.map_or(Self::Null, Self::Text)
    }

    /// A digest, or null.
    pub fn fixed(value: Option<&'a [u8]>) -> Self {
        value.map_or(Self::Null, Self::Fixed)
    }
}

/// The Parquet schema of `specs`.
pub fn schema(specs: &[ColumnSpec]) -> Result<TypePtr> {
    let mut fields = Vec::with_capacity(specs.len());
    for spec in specs {
        let (physical, logical, length) = match spec.kind {
            ColumnKind::Key | ColumnKind::Text => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String), -1),
            ColumnKind::Int => (PhysicalType::INT64, None, -1),
            ColumnKind::Bool => (PhysicalType::BOOLEAN, None, -1),
            ColumnKind::Fixed(length) => (PhysicalType::FIXED_LEN_BYTE_ARRAY, None, length as i32),
        };
        let repetition = if spec.optional { Repetition::OPTIONAL } else { Repetition::REQUIRED };
        let field =
            Type::primitive_type_builder(spec.name, physical).with_repetition(repetition).with_logical_type(logical).with_length(length);
        fields.push(Arc::new(field.build()?));
    }
    Ok(Arc::new(Type::group_type_builder("manifest").with_fields(fields).build()?))
}

/// Encodings, compression and statistics of `specs`. Dictionaries are off: keys and digests repeat too little to pay for them.
pub fn properties(specs: &[ColumnSpec], sorting: Vec<parquet::file::metadata::SortingColumn>) -> Result<WriterProperties> {
    let zstd = Compression::ZSTD(ZstdLevel::try_new(1)?);
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("attestore ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_dictionary_enabled(false)
        .set_compression(zstd)
        .set_sorting_columns(Some(sorting))
        .set_statistics_enabled(EnabledStatistics::None);
    for spec in specs {
        let path = ColumnPath::from(spec.name);
        builder = match spec.kind {
            // Only the key's page index lets an engine skip; statistics of digests say nothing.
            ColumnKind::Key => builder
                .set_column_statistics_enabled(path.clone(), EnabledStatistics::Page)
                .set_column_encoding(path, Encoding::DELTA_BYTE_ARRAY),
            ColumnKind::Text => builder.set_column_encoding(path, Encoding::PLAIN),
            ColumnKind::Int => builder.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED),
            ColumnKind::Bool => builder.set_column_encoding(path, Encoding::PLAIN),
            ColumnKind::Fixed(_) => {
                builder.set_column_encoding(path.clone(), Encoding::PLAIN).set_column_compression(path, Compression::UNCOMPRESSED)
            }
        };
    }
    Ok(builder.build())
}

/// Values of one column on their way into a file, and where they are null.
#[derive(Debug)]
pub struct Buffer {
    values: Values,
    levels: Vec<i16>,
    optional: bool,
}

#[derive(Debug)]
enum Values {
    /// Texts one after another, and where each ends: no allocation for each of them.
    Text(Vec<u8>, Vec<usize>),
    /// Texts that come so many times in a row.
    Runs(Vec<(Bytes, usize)>),
    Int(Vec<i64>),
    Bool(Vec<bool>),
    /// So many bytes each.
    Fixed(Vec<u8>, usize),
}

/// Values that are handed to the writer at a time.
const WRITTEN_AT_ONCE: usize = 4096;

impl Buffer {
    /// An empty buffer for a column of `kind`.
    pub fn new(kind: ColumnKind, optional: bool) -> Self {
        let values = match kind {
            ColumnKind::Key | ColumnKind::Text => Values::Text(Vec::new(), Vec::new()),
            ColumnKind::Int => Values::Int(Vec::new()),
            ColumnKind::Bool => Values::Bool(Vec::new()),
            ColumnKind::Fixed(length) => Values::Fixed(Vec::new(), length),
        };
        Self { values, levels: Vec::new(), optional }
    }

    /// A buffer for texts that come many times in a row.
    pub fn of_runs() -> Self {
        Self { values: Values::Runs(Vec::new()), levels: Vec::new(), optional: false }
    }

    /// Adds `text` so many times; only where texts are kept as runs.
    fn push_run(runs: &mut Vec<(Bytes, usize)>, text: &str, times: usize) {
        match runs.last_mut() {
            Some((last, already)) if *last == text.as_bytes() => *already += times,
            _ => runs.push((Bytes::copy_from_slice(text.as_bytes()), times)),
        }
    }

    /// The text, where it is the only one and there so many times.
    pub fn repeated(&self) -> Option<(&Bytes, usize)> {
        match &self.values {
            Values::Runs(runs) => runs.first().filter(|_| runs.len() == 1).map(|(text, times)| (text, *times)),
            _ => None,
        }
    }

    /// Forgets what it holds.
    pub fn clear_runs(&mut self) {
        if let Values::Runs(runs) = &mut self.values {
            runs.clear();
        }
    }

    /// The digests one after another and their length, where there is one in every row; they are taken out.
    pub fn take_digests(&mut self) -> Option<(Bytes, usize)> {
        match &mut self.values {
            Values::Fixed(bytes, length) if !self.optional && *length > 0 => Some((Bytes::from(std::mem::take(bytes)), *length)),
            _ => None,
        }
    }

    /// Adds the same cell so many times; gives the bytes that it holds on to.
    pub fn push_times(&mut self, cell: Cell<'_>, times: usize) -> usize {
        match (&mut self.values, cell) {
            (Values::Runs(runs), Cell::Text(text)) => {
                Self::push_run(runs, text, times);
                0
            }
            (_, Cell::Null) if self.optional => {
                self.levels.resize(self.levels.len() + times, 0);
                0
            }
            _ => (0..times).map(|_| self.push(cell)).sum(),
        }
    }

    /// Adds digests that stand one after another; gives the bytes that it holds on to.
    pub fn push_digests(&mut self, digests: &[u8]) -> usize {
        match &mut self.values {
            Values::Fixed(bytes, length) if !self.optional && digests.len().is_multiple_of(*length) => {
                bytes.extend_from_slice(digests);
                digests.len()
            }
            values => unreachable!("a row puts {} bytes of digests into a column of {values:?}", digests.len()),
        }
    }

    /// Adds `cell`; gives the bytes that it holds on to.
    pub fn push(&mut self, cell: Cell<'_>) -> usize {
        if self.optional {
            self.levels.push(i16::from(!matches!(cell, Cell::Null)));
        }
        match (&mut self.values, cell) {
            (Values::Text(bytes, ends), Cell::Text(text)) => {
                bytes.extend_from_slice(text.as_bytes());
                ends.push(bytes.len());
                text.len() + size_of::<usize>()
            }
            (Values::Runs(runs), Cell::Text(text)) => {
                Self::push_run(runs, text, 1);
                0
            }
            (Values::Int(values), Cell::Int(value)) => {
                values.push(value);
                size_of::<i64>()
            }
            (Values::Bool(values), Cell::Bool(value)) => {
                values.push(value);
                1
            }
            (Values::Fixed(bytes, length), Cell::Fixed(value)) if value.len() == *length => {
                bytes.extend_from_slice(value);
                *length
            }
            (_, Cell::Null) if self.optional => 0,
            (values, cell) => unreachable!("a row puts {cell:?} into a column of {values:?}"),
        }
    }

    /// Writes what it holds as one column chunk and is empty again.
    pub fn write(&mut self, writer: &mut ColumnWriter<'_>) -> Result<()> {
        let levels = self.optional.then_some(self.levels.as_slice());
        match (&mut self.values, writer) {
            (Values::Text(bytes, ends), ColumnWriter::ByteArrayColumnWriter(writer)) => {
                let values = Bytes::from(std::mem::take(bytes));
                let mut start = 0;
                let mut slices = ends.drain(..).map(|end| ByteArray::from(values.slice(std::mem::replace(&mut start, end)..end)));
                in_pieces(levels, &mut slices, |values, levels| writer.write_batch(values, levels, None))?;
            }
            (Values::Runs(runs), ColumnWriter::ByteArrayColumnWriter(writer)) => {
                for (text, times) in runs.drain(..) {
                    let piece = vec![ByteArray::from(text); times.min(WRITTEN_AT_ONCE)];
                    let mut left = times;
                    while left > 0 {
                        let some = left.min(piece.len());
                        writer.write_batch(&piece[..some], None, None)?;
                        left -= some;
                    }
                }
            }
            (Values::Int(values), ColumnWriter::Int64ColumnWriter(writer)) => {
                writer.write_batch(values, levels, None)?;
                values.clear();
            }
            (Values::Bool(values), ColumnWriter::BoolColumnWriter(writer)) => {
                writer.write_batch(values, levels, None)?;
                values.clear();
            }
            (Values::Fixed(bytes, length), ColumnWriter::FixedLenByteArrayColumnWriter(writer)) => {
                let values = Bytes::from(std::mem::take(bytes));
                let length = (*length).max(1);
                let starts = (0..values.len()).step_by(length);
                let mut slices = starts.map(|start| FixedLenByteArray::from(ByteArray::from(values.slice(start..start + length))));
                in_pieces(levels, &mut slices, |values, levels| writer.write_batch(values, levels, None))?;
            }
            _ => return Err(ParquetError::General("a column of another type than its schema".into())),
        }
        self.levels.clear();
        Ok(())
    }
}

/// Hands `values`, one for each level above 0 (or for each line where there are no levels), to `write` in pieces.
fn in_pieces<T>(
    levels: Option<&[i16]>,
    values: &mut dyn Iterator<Item = T>,
    mut write: impl FnMut(&[T], Option<&[i16]>) -> Result<usize>,
) -> Result<()> {
    let mut piece = Vec::with_capacity(WRITTEN_AT_ONCE);
    match levels {
        Some(levels) => {
            for levels in levels.chunks(WRITTEN_AT_ONCE) {
                piece.clear();
                piece.extend(values.take(levels.iter().filter(|level| **level > 0).count()));
                write(&piece, Some(levels))?;
            }
        }
        None => loop {
            piece.clear();
            piece.extend(values.take(WRITTEN_AT_ONCE));
            if piece.is_empty() {
                break;
            }
            write(&piece, None)?;
        },
    }
    Ok(())
}

/// The cells of one line: every column is asked once, in order.
pub struct Cells<'a> {
    columns: std::slice::IterMut<'a, PageColumn>,
}

impl<'a> Cells<'a> {
    /// The next line of `columns`.
    pub fn new(columns: &'a mut [PageColumn]) -> Self {
        Self { columns: columns.iter_mut() }
    }

    /// The next column and the index of its value, unless it is null.
    fn next(&mut self) -> Result<Option<(&'a PageColumn, usize)>, String> {
        let column = self.columns.next().ok_or("too few columns")?;
        let index = column.step()?;
        Ok(index.map(|index| (&*column, index)))
    }

    /// Text.
    pub fn text(&mut self) -> Result<Option<String>, String> {
        Ok(self.text_ref()?.map(str::to_owned))
    }

    /// Text that lives as long as the line.
    pub fn text_ref(&mut self) -> Result<Option<&'a str>, String> {
        self.next()?.map(|(column, index)| column.page().text_at(index)).transpose()
    }

    /// An integer.
    pub fn int(&mut self) -> Result<Option<i64>, String> {
        self.next()?.map(|(column, index)| column.page().int_at(index)).transpose()
    }

    /// A boolean.
    pub fn bool(&mut self) -> Result<Option<bool>, String> {
        self.next()?.map(|(column, index)| column.page().bool_at(index)).transpose()
    }

    /// `N` bytes.
    pub fn fixed<const N: usize>(&mut self) -> Result<Option<[u8; N]>, String> {
        let Some((column, index)) = self.next()? else { return Ok(None) };
        let bytes = column.page().fixed_at(index)?;
        bytes.try_into().map(Some).map_err(|_| format!("expected {N} bytes, found {}", bytes.len()))
    }
}
