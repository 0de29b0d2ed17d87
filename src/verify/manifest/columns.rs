//! Columns of parts: their Parquet types and encodings, and cells going in and out of column buffers.
//!
//! Not here: what a column means (rows) and where files are (parts).

use std::sync::Arc;

use parquet::basic::{Compression, Encoding, LogicalType, Repetition, Type as PhysicalType, ZstdLevel};
use parquet::column::reader::ColumnReader;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::{ColumnPath, Type, TypePtr};

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

/// Values of one column and where they are null.
#[derive(Debug)]
pub struct Buffer {
    values: Values,
    levels: Vec<i16>,
    optional: bool,
}

#[derive(Debug)]
enum Values {
    Text(Vec<ByteArray>),
    Int(Vec<i64>),
    Bool(Vec<bool>),
    Fixed(Vec<FixedLenByteArray>),
    /// The file has no such column: every cell is null.
    Absent,
}

impl Buffer {
    /// An empty buffer for a column of `kind`.
    pub fn new(kind: ColumnKind, optional: bool) -> Self {
        let values = match kind {
            ColumnKind::Key | ColumnKind::Text => Values::Text(Vec::new()),
            ColumnKind::Int => Values::Int(Vec::new()),
            ColumnKind::Bool => Values::Bool(Vec::new()),
            ColumnKind::Fixed(_) => Values::Fixed(Vec::new()),
        };
        Self { values, levels: Vec::new(), optional }
    }

    /// A column that the file does not have.
    pub fn absent() -> Self {
        Self { values: Values::Absent, levels: Vec::new(), optional: true }
    }

    /// Adds `cell`; gives the bytes that it holds on to.
    pub fn push(&mut self, cell: Cell<'_>) -> usize {
        if self.optional {
            self.levels.push(i16::from(!matches!(cell, Cell::Null)));
        }
        match (&mut self.values, cell) {
            (Values::Text(values), Cell::Text(text)) => {
                values.push(ByteArray::from(text));
                text.len() + size_of::<ByteArray>()
            }
            (Values::Int(values), Cell::Int(value)) => {
                values.push(value);
                size_of::<i64>()
            }
            (Values::Bool(values), Cell::Bool(value)) => {
                values.push(value);
                1
            }
            (Values::Fixed(values), Cell::Fixed(bytes)) => {
                values.push(FixedLenByteArray::from(bytes.to_vec()));
                bytes.len() + size_of::<FixedLenByteArray>()
            }
            (_, Cell::Null) if self.optional => 0,
            (values, cell) => unreachable!("a row puts {cell:?} into a column of {values:?}"),
        }
    }

    /// Writes what it holds as one column chunk and is empty again.
    pub fn write(&mut self, writer: &mut ColumnWriter<'_>) -> Result<()> {
        let levels = self.optional.then_some(self.levels.as_slice());
        match (&mut self.values, writer) {
            (Values::Text(values), ColumnWriter::ByteArrayColumnWriter(writer)) => {
                writer.write_batch(values, levels, None)?;
                values.clear();
            }
            (Values::Int(values), ColumnWriter::Int64ColumnWriter(writer)) => {
                writer.write_batch(values, levels, None)?;
                values.clear();
            }
            (Values::Bool(values), ColumnWriter::BoolColumnWriter(writer)) => {
                writer.write_batch(values, levels, None)?;
                values.clear();
            }
            (Values::Fixed(values), ColumnWriter::FixedLenByteArrayColumnWriter(writer)) => {
                writer.write_batch(values, levels, None)?;
                values.clear();
            }
            _ => return Err(ParquetError::General("a column of another type than its schema".into())),
        }
        self.levels.clear();
        Ok(())
    }

    /// Replaces what it holds by the next `rows` lines of the file; fewer are an error.
    pub fn fill(&mut self, reader: Option<&mut ColumnReader>, rows: usize) -> Result<()> {
        self.levels.clear();
        let Some(reader) = reader else { return Ok(()) };
        let levels = Some(&mut self.levels);
        let (read, _, _) = match (&mut self.values, reader) {
            (Values::Text(values), ColumnReader::ByteArrayColumnReader(reader)) => {
                values.clear();
                reader.read_records(rows, levels, None, values)?
            }
            (Values::Int(values), ColumnReader::Int64ColumnReader(reader)) => {
                values.clear();
                reader.read_records(rows, levels, None, values)?
            }
            (Values::Bool(values), ColumnReader::BoolColumnReader(reader)) => {
                values.clear();
                reader.read_records(rows, levels, None, values)?
            }
            (Values::Fixed(values), ColumnReader::FixedLenByteArrayColumnReader(reader)) => {
                values.clear();
                reader.read_records(rows, levels, None, values)?
            }
            _ => return Err(ParquetError::General("a column of another type than its name has".into())),
        };
        if read != rows {
            return Err(ParquetError::General(format!("expected {rows} more lines in a column, found {read}")));
        }
        Ok(())
    }
}

/// The cells of a batch, line by line: every column is asked once a line, in order.
pub struct Cells<'a> {
    buffers: &'a [Buffer],
    /// How many values of each column are used up.
    used: Vec<usize>,
    line: usize,
    column: usize,
}

impl<'a> Cells<'a> {
    /// At the first line of `buffers`.
    pub fn new(buffers: &'a [Buffer]) -> Self {
        Self { buffers, used: vec![0; buffers.len()], line: 0, column: 0 }
    }

    /// To the next line.
    pub fn next_line(&mut self) {
        self.line += 1;
        self.column = 0;
    }

    /// The buffer of the next column and the index of its value, unless it is null.
    fn next(&mut self) -> Result<Option<(&'a Values, usize)>, String> {
        let column = self.column;
        self.column += 1;
        let buffer = self.buffers.get(column).ok_or("too few columns")?;
        let null = match &buffer.values {
            Values::Absent => true,
            _ => buffer.optional && buffer.levels.get(self.line).is_none_or(|level| *level == 0),
        };
        if null {
            return Ok(None);
        }
        let index = self.used[column];
        self.used[column] += 1;
        Ok(Some((&buffer.values, index)))
    }

    /// Text.
    pub fn text(&mut self) -> Result<Option<String>, String> {
        let Some((values, index)) = self.next()? else { return Ok(None) };
        let Values::Text(values) = values else { return Err("not a text column".into()) };
        let bytes = values.get(index).ok_or("a value is lacking")?.data();
        String::from_utf8(bytes.to_vec()).map(Some).map_err(|_| "text that is not UTF-8".into())
    }

    /// An integer.
    pub fn int(&mut self) -> Result<Option<i64>, String> {
        let Some((values, index)) = self.next()? else { return Ok(None) };
        let Values::Int(values) = values else { return Err("not an integer column".into()) };
        Ok(Some(*values.get(index).ok_or("a value is lacking")?))
    }

    /// A boolean.
    pub fn bool(&mut self) -> Result<Option<bool>, String> {
        let Some((values, index)) = self.next()? else { return Ok(None) };
        let Values::Bool(values) = values else { return Err("not a boolean column".into()) };
        Ok(Some(*values.get(index).ok_or("a value is lacking")?))
    }

    /// `N` bytes.
    pub fn fixed<const N: usize>(&mut self) -> Result<Option<[u8; N]>, String> {
        let Some((values, index)) = self.next()? else { return Ok(None) };
        let Values::Fixed(values) = values else { return Err("not a column of digests".into()) };
        let bytes = values.get(index).ok_or("a value is lacking")?.data();
        bytes.try_into().map(Some).map_err(|_| format!("expected {N} bytes, found {}", bytes.len()))
    }
}
