//! Column chunks that are encoded apart from their file and appended to it as they stand: keys that repeat from row group to row group, and
//! digests, which need no encoding at all.
//!
//! Not here: which columns there are (`columns`), and where chunks go (`parts`).

use bytes::Bytes;
use parquet::basic::{Compression, Encoding};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::{ColumnCloseResult, get_column_writer};
use parquet::errors::Result;
use parquet::file::metadata::{ColumnChunkMetaData, OffsetIndexBuilder};
use parquet::file::properties::WriterPropertiesPtr;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use crate::verify::manifest::columns::Buffer;

/// Values of a page of digests.
const PAGE_VALUES: usize = 20_000;

/// A column chunk as it stands in a file.
pub struct Chunk {
    /// Its pages.
    pub bytes: Bytes,
    /// What the file's footer says of it, with offsets into `bytes`.
    pub about: ColumnCloseResult,
}

/// The chunk of a column of keys, and the key that it has so many times.
pub struct Keys {
    text: Bytes,
    times: usize,
    /// The chunk.
    pub chunk: Chunk,
}

impl Keys {
    /// Encodes `keys` and empties them.
    pub fn encode(keys: &mut Buffer, descriptor: ColumnDescPtr, properties: WriterPropertiesPtr) -> Result<Self> {
        let (text, times) = keys.repeated().map(|(text, times)| (text.clone(), times)).unwrap_or_default();
        let mut file = TrackedWrite::new(Vec::new());
        let mut column = get_column_writer(descriptor, properties, Box::new(SerializedPageWriter::new(&mut file)));
        keys.write(&mut column)?;
        let about = column.close()?;
        Ok(Self { text, times, chunk: Chunk { bytes: Bytes::from(file.into_inner()?), about } })
    }

    /// Whether `keys` are the same ones.
    pub fn are(&self, keys: &Buffer) -> bool {
        keys.repeated() == Some((&self.text, self.times))
    }
}

/// The chunk of a required column of digests of `length` bytes that stand one after another in `digests`: PLAIN and uncompressed, so that
/// its pages are the digests themselves (Parquet format, "Data Pages" and "Plain").
pub fn of_digests(digests: Bytes, length: usize, descriptor: ColumnDescPtr) -> Result<Chunk> {
    let mut file = TrackedWrite::new(Vec::with_capacity(digests.len() + 1024));
    let mut index = OffsetIndexBuilder::new();
    let (values, mut start) = (digests.len() / length, 0);
    {
        let mut pages = SerializedPageWriter::new(&mut file);
        while start < values {
            let end = (start + PAGE_VALUES).min(values);
            let buf = digests.slice(start * length..end * length);
            let bytes = buf.len();
            let page = Page::DataPage {
                buf,
                num_values: (end - start) as u32,
                encoding: Encoding::PLAIN,
                def_level_encoding: Encoding::RLE,
                rep_level_encoding: Encoding::RLE,
                statistics: None,
            };
            let written = pages.write_page(CompressedPage::new(page, bytes))?;
            index.append_offset_and_size(written.offset as i64, written.compressed_size as i32);
            index.append_row_count((end - start) as i64);
            start = end;
        }
        pages.close()?;
    }
    let bytes = Bytes::from(file.into_inner()?);
    let metadata = ColumnChunkMetaData::builder(descriptor)
        .set_encodings(vec![Encoding::PLAIN, Encoding::RLE])
        .set_compression(Compression::UNCOMPRESSED)
        .set_num_values(values as i64)
        .set_total_compressed_size(bytes.len() as i64)
        .set_total_uncompressed_size(bytes.len() as i64)
        .set_data_page_offset(0)
        .build()?;
    let about = ColumnCloseResult {
        bytes_written: bytes.len() as u64,
        rows_written: values as u64,
        metadata,
        bloom_filter: None,
        column_index: None,
        offset_index: Some(index.build()),
    };
    Ok(Chunk { bytes, about })
}
