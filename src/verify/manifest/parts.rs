//! Part files: one sorted Parquet file of rows, written group by group and read row by row.
//!
//! Not here: which parts a manifest has, and its root.

use std::cmp::Ordering;
use std::fs::File;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::errors::ParquetError;
use parquet::file::metadata::SortingColumn;
use parquet::file::writer::SerializedFileWriter;

use crate::model::failure::{Failure, FailureKind};
use crate::verify::manifest::chunks::{self, Keys};
use crate::verify::manifest::columns::{self, Buffer, Cell, ColumnSpec};
use crate::verify::manifest::hashing_file::HashingFile;
use crate::verify::manifest::header::Part;
use crate::verify::manifest::part_file::PartFile;
use crate::verify::manifest::row::{Row, SidecarRow, SidecarRun};

/// Rows of a row group at most.
const GROUP_ROWS: u64 = 128 * 1024;

/// A row group is closed when its rows hold this much memory, however few they are: keys may have 1,024 bytes.
const GROUP_BYTES: usize = 24 << 20;

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

/// One part on its way to disk.
pub struct PartWriter<R: Row> {
    name: String,
    path: PathBuf,
    writer: SerializedFileWriter<HashingFile>,
    buffers: Vec<Buffer>,
    buffered_rows: u64,
    buffered_bytes: usize,
    rows: u64,
    first: String,
    /// The keys of the last row group where they repeat: those of the next one are mostly the same.
    keys: Option<Keys>,
    row: PhantomData<R>,
}

impl<R: Row> PartWriter<R> {
    /// Creates `dir/PREFIX-INDEX.parquet`.
    pub fn create(dir: &Path, index: usize) -> Result<Self, Failure> {
        let name = format!("{}-{index:05}.parquet", R::PREFIX);
        let path = dir.join(&name);
        let file = File::create_new(&path).map_err(|error| Failure::io(format!("cannot create {}", path.display()), error))?;
        let sink = HashingFile::new(file);
        let sorting = sorting_columns(R::COLUMNS);
        let make = || -> Result<_, ParquetError> {
            let properties = Arc::new(columns::properties(R::COLUMNS, sorting)?);
            SerializedFileWriter::new(sink, columns::schema(R::COLUMNS)?, properties)
        };
        let writer = make().map_err(|error| cannot_write(&path, error))?;
        let mut buffers: Vec<Buffer> = R::COLUMNS.iter().map(|spec| Buffer::new(spec.kind, spec.optional)).collect();
        if let (true, Some(key)) = (R::KEYS_REPEAT, buffers.first_mut()) {
            *key = Buffer::of_runs();
        }
        let first = String::new();
        Ok(Self { name, path, writer, buffers, buffered_rows: 0, buffered_bytes: 0, rows: 0, first, keys: None, row: PhantomData })
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

    /// Rows that the next row group and the next part have room for.
    fn room(&self, limits: &PartLimits) -> u64 {
        (GROUP_ROWS - self.buffered_rows).min(limits.rows.saturating_sub(self.rows))
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
            let (schema, properties) = (self.writer.schema_descr().clone(), self.writer.properties().clone());
            let mut group = self.writer.next_row_group()?;
            let mut buffers = self.buffers.iter_mut().enumerate();
            if R::KEYS_REPEAT
                && let Some((_, keys)) = buffers.next()
            {
                let encoded = match self.keys.take() {
                    Some(encoded) if encoded.are(keys) => encoded,
                    _ => Keys::encode(keys, schema.column(0), properties)?,
                };
                keys.clear_runs();
                group.append_column(&encoded.chunk.bytes, encoded.chunk.about.clone())?;
                self.keys = Some(encoded);
            }
            for (at, buffer) in buffers {
                if let Some((digests, length)) = buffer.take_digests() {
                    let chunk = chunks::of_digests(digests, length, schema.column(at))?;
                    group.append_column(&chunk.bytes, chunk.about)?;
                    continue;
                }
                let mut column = group.next_column()?.ok_or_else(|| ParquetError::General("too few columns".into()))?;
                buffer.write(column.untyped())?;
                column.close()?;
            }
            group.close()?;
            Ok(())
        };
        write().map_err(|error| cannot_write(&self.path, error))?;
        self.buffered_rows = 0;
        self.buffered_bytes = 0;
        Ok(())
    }

    /// Ends the file, forces it to disk, and describes it; `last` is the key of its last row.
    pub fn finish(mut self, last: &str) -> Result<Part, Failure> {
        self.flush_group()?;
        let Self { name, path, writer, rows, first, .. } = self;
        let file = writer.into_inner().map_err(|error| cannot_write(&path, error))?;
        let sha256 = file.finish().map_err(|error| Failure::io(format!("cannot write {}", path.display()), error))?;
        Ok(Part { name, sha256, rows, first, last: last.to_owned() })
    }
}

impl PartWriter<SidecarRow> {
    /// Adds as many rows of `run` as there is room for, at least one, which the caller has found to be next in order; gives the others.
    pub fn push_run<'a>(&mut self, run: SidecarRun<'a>, limits: &PartLimits) -> Result<SidecarRun<'a>, Failure> {
        let rows = usize::try_from(self.room(limits)).unwrap_or(usize::MAX).clamp(1, run.key_hashes.len().max(1));
        let (now, later) = run.split_at(rows);
        if self.rows == 0 {
            self.first = run.key.to_owned();
        }
        if let [key, key_hash, row_hash, expires] = &mut self.buffers[..] {
            self.buffered_bytes += key.push_times(Cell::Text(now.key), rows)
                + key_hash.push_digests(now.key_hashes.as_flattened())
                + row_hash.push_digests(now.row_hashes.as_flattened())
                + expires.push_times(Cell::Null, rows);
        }
        self.buffered_rows += rows as u64;
        self.rows += rows as u64;
        if self.buffered_rows >= GROUP_ROWS || self.buffered_bytes >= GROUP_BYTES {
            self.flush_group()?;
        }
        Ok(later)
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
fn cannot_write(path: &Path, error: ParquetError) -> Failure {
    let what = format!("cannot write {}", path.display());
    match error {
        ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
            Ok(error) => Failure::io(what, *error),
            Err(inner) => Failure::new(FailureKind::Disk, format!("{what}: {inner}")),
        },
        error => Failure::new(FailureKind::Disk, format!("{what}: {error}")).caused_by(error),
    }
}

/// Rows of one part, in order, in constant memory. After an error there is nothing more.
pub struct PartReader<R: Row> {
    file: PartFile,
    done: bool,
    row: PhantomData<R>,
}

impl<R: Row> PartReader<R> {
    /// Opens `part` below `dir`; its digest is checked first, so that the decoder sees only what was signed for.
    pub fn open(dir: &Path, part: &Part) -> Result<Self, Failure> {
        Ok(Self { file: PartFile::open(dir, part, R::COLUMNS)?, done: false, row: PhantomData })
    }

    /// The file, for messages.
    pub fn path(&self) -> &Path {
        self.file.path()
    }
}

impl<R: Row> Iterator for PartReader<R> {
    type Item = Result<R, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let next = self.file.read_line(R::key, R::read).transpose();
        self.done = !matches!(next, Some(Ok(_)));
        next
    }
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
