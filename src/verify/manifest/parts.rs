//! Part files: one sorted Parquet file of rows, written group by group and read batch by batch.
//!
//! Not here: which parts a manifest has, and its root.

use std::cmp::Ordering;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::column::reader::ColumnReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::SortingColumn;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::SchemaDescriptor;
use sha2::Digest as _;

use crate::model::digest::Digest32;
use crate::model::failure::{Failure, FailureKind};
use crate::verify::manifest::columns::{self, Buffer, Cells, ColumnKind, ColumnSpec};
use crate::verify::manifest::header::Part;
use crate::verify::manifest::row::Row;

/// Rows of a row group at most.
const GROUP_ROWS: u64 = 128 * 1024;

/// A row group is closed when its rows hold this much memory, however few they are: keys may have 1,024 bytes.
const GROUP_BYTES: usize = 24 << 20;

/// Lines that are decoded at a time.
const BATCH_LINES: usize = 2048;

/// When a part is closed and the next begun.
#[derive(Clone, Copy, Debug)]
pub struct PartLimits {
    /// Rows at most.
    pub rows: u64,
    /// Bytes of the file, checked after each row group.
    pub bytes: u64,
}

impl Default for PartLimits {
    fn default() -> Self {
        Self { rows: 4 << 20, bytes: 192 << 20 }
    }
}

/// Writes through to a file and digests what it writes.
struct HashingFile {
    file: BufWriter<File>,
    digest: sha2::Sha256,
}

impl Write for HashingFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.digest.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// One part on its way to disk.
pub struct PartWriter<R: Row> {
    name: String,
    writer: SerializedFileWriter<HashingFile>,
    buffers: Vec<Buffer>,
    buffered_rows: u64,
    buffered_bytes: usize,
    rows: u64,
    first: String,
    row: PhantomData<R>,
}

impl<R: Row> PartWriter<R> {
    /// Creates `dir/PREFIX-INDEX.parquet`.
    pub fn create(dir: &Path, index: usize) -> Result<Self, Failure> {
        let name = format!("{}-{index:05}.parquet", R::PREFIX);
        let path = dir.join(&name);
        let file = File::create_new(&path).map_err(|error| Failure::io(format!("cannot create {}", path.display()), error))?;
        let sink = HashingFile { file: BufWriter::with_capacity(1 << 20, file), digest: sha2::Sha256::new() };
        let sorting = sorting_columns(R::COLUMNS);
        let make = || -> Result<_, ParquetError> {
            let properties = Arc::new(columns::properties(R::COLUMNS, sorting)?);
            SerializedFileWriter::new(sink, columns::schema(R::COLUMNS)?, properties)
        };
        let writer = make().map_err(|error| cannot_write(&name, error))?;
        let buffers = R::COLUMNS.iter().map(|spec| Buffer::new(spec.kind, spec.optional)).collect();
        Ok(Self { name, writer, buffers, buffered_rows: 0, buffered_bytes: 0, rows: 0, first: String::new(), row: PhantomData })
    }

    /// Adds `row`, which the caller has found to be next in order.
    pub fn push(&mut self, row: &R) -> Result<(), Failure> {
        if self.rows == 0 {
            self.first = row.key().to_owned();
        }
        let mut buffers = self.buffers.iter_mut();
        let mut bytes = 0;
        row.write(&mut |cell| bytes += buffers.next().map_or(0, |buffer| buffer.push(cell)));
        self.buffered_bytes += bytes;
        self.buffered_rows += 1;
        self.rows += 1;
        if self.buffered_rows >= GROUP_ROWS || self.buffered_bytes >= GROUP_BYTES {
            self.flush_group()?;
        }
        Ok(())
    }

    /// True when the next row belongs into the next part.
    pub fn is_full(&self, limits: &PartLimits) -> bool {
        self.rows >= limits.rows || self.writer.bytes_written() as u64 >= limits.bytes
    }

    fn flush_group(&mut self) -> Result<(), Failure> {
        if self.buffered_rows == 0 {
            return Ok(());
        }
        let mut write = || -> Result<(), ParquetError> {
            let mut group = self.writer.next_row_group()?;
            for buffer in &mut self.buffers {
                let mut column = group.next_column()?.ok_or_else(|| ParquetError::General("too few columns".into()))?;
                buffer.write(column.untyped())?;
                column.close()?;
            }
            group.close()?;
            Ok(())
        };
        write().map_err(|error| cannot_write(&self.name, error))?;
        self.buffered_rows = 0;
        self.buffered_bytes = 0;
        Ok(())
    }

    /// Ends the file, forces it to disk, and describes it; `last` is the key of its last row.
    pub fn finish(mut self, last: &str) -> Result<Part, Failure> {
        self.flush_group()?;
        let name = self.name;
        let mut sink = self.writer.into_inner().map_err(|error| cannot_write(&name, error))?;
        let what = || format!("cannot write {name}");
        sink.flush().map_err(|error| Failure::io(what(), error))?;
        let file = sink.file.into_inner().map_err(|error| Failure::io(what(), error.into_error()))?;
        file.sync_all().map_err(|error| Failure::io(what(), error))?;
        let sha256 = Digest32(sink.digest.finalize().into());
        Ok(Part { name, sha256, rows: self.rows, first: self.first, last: last.to_owned() })
    }
}

/// Parts are sorted by their key and by the columns that number rows below it, all ascending.
fn sorting_columns(specs: &[ColumnSpec]) -> Vec<SortingColumn> {
    let numbers = ["key", "seq", "key_hash"];
    let has_kind_before_seq = specs.iter().position(|spec| spec.name == "kind") < specs.iter().position(|spec| spec.name == "seq");
    let ordered = specs.iter().enumerate().filter(|(_, spec)| numbers.contains(&spec.name) || (has_kind_before_seq && spec.name == "kind"));
    ordered.map(|(index, _)| SortingColumn { column_idx: index as i32, descending: false, nulls_first: false }).collect()
}

/// A full disk must look like one, even from inside the Parquet writer.
fn cannot_write(name: &str, error: ParquetError) -> Failure {
    let what = format!("cannot write {name}");
    match error {
        ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
            Ok(error) => Failure::io(what, *error),
            Err(inner) => Failure::new(FailureKind::Disk, format!("{what}: {inner}")),
        },
        error => Failure::new(FailureKind::Disk, format!("{what}: {error}")).caused_by(error),
    }
}

fn bad(path: &Path, said: impl std::fmt::Display) -> Failure {
    Failure::new(FailureKind::BadEvidence, format!("manifest part {}: {said}", path.display()))
        .hint("the manifest was damaged or changed after it was written: fetch it again from where it is kept, or capture it again")
}

/// Runs one step of the Parquet decoder. It panics on some malformed files, which only whoever can rewrite the header can make
/// us decode; to us that is bad evidence like any other.
fn decoded<T>(step: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, String> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(step)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("the decoder gave up on it".into()),
    }
}

/// Opens a part and holds its bytes to the digest that the header names.
pub fn open_checked(dir: &Path, part: &Part) -> Result<(PathBuf, File), Failure> {
    let path = dir.join(&part.name);
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(bad(&path, "is missing")),
        Err(error) => return Err(Failure::io(format!("cannot read manifest part {}", path.display()), error)),
    };
    let mut digest = sha2::Sha256::new();
    let mut block = vec![0; 1 << 18];
    loop {
        match file.read(&mut block) {
            Ok(0) => break,
            Ok(n) => digest.update(&block[..n]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::io(format!("cannot read manifest part {}", path.display()), error)),
        }
    }
    let found = Digest32(digest.finalize().into());
    if found != part.sha256 {
        return Err(bad(&path, format!("expected SHA-256 {}, found {found}", part.sha256)));
    }
    Ok((path, file))
}

/// Rows of one part, in order, in constant memory. After an error there is nothing more.
pub struct PartReader<R: Row> {
    path: PathBuf,
    expected: Part,
    file: SerializedFileReader<File>,
    columns: Vec<Option<usize>>,
    group: usize,
    readers: Vec<Option<ColumnReader>>,
    left_in_group: usize,
    batch: std::vec::IntoIter<R>,
    read: u64,
    done: bool,
}

impl<R: Row> PartReader<R> {
    /// Opens `part` below `dir`; its digest is checked first, so that the decoder sees only what was signed for.
    pub fn open(dir: &Path, part: &Part) -> Result<Self, Failure> {
        let (path, file) = open_checked(dir, part)?;
        let file = decoded(|| SerializedFileReader::new(file)).map_err(|said| bad(&path, format!("not readable as Parquet: {said}")))?;
        let columns = find_columns(file.metadata().file_metadata().schema_descr(), R::COLUMNS).map_err(|said| bad(&path, said))?;
        let rows: i64 = file.metadata().row_groups().iter().map(|group| group.num_rows().max(0)).fold(0, i64::saturating_add);
        if rows as u64 != part.rows {
            return Err(bad(&path, format!("expected {} rows, found {rows}", part.rows)));
        }
        Ok(Self {
            path,
            expected: part.clone(),
            file,
            columns,
            group: 0,
            readers: Vec::new(),
            left_in_group: 0,
            batch: Vec::new().into_iter(),
            read: 0,
            done: false,
        })
    }

    fn next_row(&mut self) -> Result<Option<R>, Failure> {
        loop {
            if let Some(row) = self.batch.next() {
                if self.read == 0 && row.key() != self.expected.first {
                    return Err(bad(&self.path, "its first key is not the one that the header names"));
                }
                self.read += 1;
                if self.read == self.expected.rows && row.key() != self.expected.last {
                    return Err(bad(&self.path, "its last key is not the one that the header names"));
                }
                return Ok(Some(row));
            }
            if self.left_in_group > 0 {
                self.fill_batch()?;
            } else if self.group < self.file.num_row_groups() {
                self.open_group()?;
            } else {
                return Ok(None);
            }
        }
    }

    fn open_group(&mut self) -> Result<(), Failure> {
        let open = || -> Result<_, ParquetError> {
            let group = self.file.get_row_group(self.group)?;
            let readers = self.columns.iter().map(|index| index.map(|index| group.get_column_reader(index)).transpose());
            Ok((readers.collect::<Result<Vec<_>, _>>()?, group.metadata().num_rows()))
        };
        let (readers, rows) = decoded(open).map_err(|said| bad(&self.path, said))?;
        self.readers = readers;
        self.left_in_group = usize::try_from(rows).unwrap_or(0);
        self.group += 1;
        Ok(())
    }

    fn fill_batch(&mut self) -> Result<(), Failure> {
        let lines = self.left_in_group.min(BATCH_LINES);
        let mut buffers = Vec::with_capacity(self.readers.len());
        let schema = self.file.metadata().file_metadata().schema_descr();
        for ((spec, reader), index) in R::COLUMNS.iter().zip(&mut self.readers).zip(&self.columns) {
            let mut buffer = match index {
                Some(index) => Buffer::new(spec.kind, schema.column(*index).max_def_level() > 0),
                None => Buffer::absent(),
            };
            decoded(|| buffer.fill(reader.as_mut(), lines)).map_err(|said| bad(&self.path, format!("column {}: {said}", spec.name)))?;
            buffers.push(buffer);
        }
        let mut cells = Cells::new(&buffers);
        let mut rows = Vec::with_capacity(lines);
        for _ in 0..lines {
            rows.push(R::read(&mut cells).map_err(|said| bad(&self.path, format!("row {}: {said}", self.read + rows.len() as u64)))?);
            cells.next_line();
        }
        self.left_in_group -= lines;
        self.batch = rows.into_iter();
        Ok(())
    }

    /// The file, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl<R: Row> Iterator for PartReader<R> {
    type Item = Result<R, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        match self.next_row() {
            Ok(Some(row)) => Some(Ok(row)),
            Ok(None) => {
                self.done = true;
                None
            }
            Err(failure) => {
                self.done = true;
                Some(Err(failure))
            }
        }
    }
}

/// Where each wanted column is in the file; columns that we do not know are left alone, optional ones may be absent.
fn find_columns(schema: &SchemaDescriptor, specs: &[ColumnSpec]) -> Result<Vec<Option<usize>>, String> {
    use parquet::basic::Type as Physical;
    let mut found = Vec::with_capacity(specs.len());
    for spec in specs {
        let index = schema.columns().iter().position(|column| column.path().parts() == [spec.name]);
        let Some(index) = index else {
            if spec.optional {
                found.push(None);
                continue;
            }
            return Err(format!("column {} is missing", spec.name));
        };
        let column = schema.column(index);
        let fits = match spec.kind {
            ColumnKind::Key | ColumnKind::Text => column.physical_type() == Physical::BYTE_ARRAY,
            ColumnKind::Int => column.physical_type() == Physical::INT64,
            ColumnKind::Bool => column.physical_type() == Physical::BOOLEAN,
            ColumnKind::Fixed(length) => column.physical_type() == Physical::FIXED_LEN_BYTE_ARRAY && column.type_length() == length as i32,
        };
        if !fits || column.max_rep_level() > 0 || column.max_def_level() > 1 {
            return Err(format!("column {} has another type than schema attestore/manifest/v1 gives it", spec.name));
        }
        found.push(Some(index));
    }
    Ok(found)
}

/// Holds rows to strictly (or, with duplicates, weakly) ascending order.
pub fn in_order<R: Row>(before: &R, after: &R) -> Result<(), &'static str> {
    match before.order(after) {
        Ordering::Less => Ok(()),
        Ordering::Equal if R::DUPLICATES => Ok(()),
        Ordering::Equal => Err("occurs twice"),
        Ordering::Greater => Err("is out of order"),
    }
}
