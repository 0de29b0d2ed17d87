//! One part file while it is read: its bytes held to the header's digest, its columns found, its lines walked in order.
//!
//! Not here: what the columns of a line mean.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::SchemaDescriptor;
use sha2::Digest as _;

use crate::model::digest::Digest32;
use crate::model::failure::{Failure, FailureKind};
use crate::verify::manifest::columns::{Cells, ColumnKind, ColumnSpec};
use crate::verify::manifest::decoders::MOST_VALUES;
use crate::verify::manifest::header::Part;
use crate::verify::manifest::page::Stretch;
use crate::verify::manifest::pages::{PageColumn, decoded};

const OTHER_FIRST: &str = "its first key is not the one that the header names";
const OTHER_LAST: &str = "its last key is not the one that the header names";

/// A failure of the part at `path`.
pub fn bad(path: &Path, said: impl std::fmt::Display) -> Failure {
    Failure::new(FailureKind::BadEvidence, format!("manifest part {}: {said}", path.display()))
        .hint("the manifest was damaged or changed after it was written: fetch it again from where it is kept, or capture it again")
}

/// A part that this user cannot read, or that is no file: the manifest is unreadable, which says nothing of any source. A disk that does not
/// answer is the environment's.
fn unreadable(path: &Path, error: std::io::Error) -> Failure {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::IsADirectory => {
            Failure::invalid(format!("manifest part {}: expected a file that can be read, found: {error}", path.display()))
                .hint("make it readable for this user, or fetch the manifest again from where it is kept")
                .caused_by(error)
        }
        _ => Failure::io(format!("cannot read manifest part {}", path.display()), error),
    }
}

/// Opens a part and holds its bytes to the digest that the header names.
pub fn open_checked(dir: &Path, part: &Part) -> Result<(PathBuf, File), Failure> {
    let path = dir.join(&part.name);
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(bad(&path, "is missing")),
        Err(error) => return Err(unreadable(&path, error)),
    };
    let mut digest = sha2::Sha256::new();
    let mut block = vec![0; 1 << 18];
    loop {
        match file.read(&mut block) {
            Ok(0) => break,
            Ok(n) => digest.update(&block[..n]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(&path, error)),
        }
    }
    let found = Digest32(digest.finalize().into());
    if found != part.sha256 {
        return Err(bad(&path, format!("expected SHA-256 {}, found {found}", part.sha256)));
    }
    Ok((path, file))
}

/// Lines of a part that lie on one page in each column.
pub struct Block {
    /// The number of the first line in its part, from 0.
    pub first: u64,
    /// How many there are; at least one.
    pub lines: usize,
    /// The columns, as the specifications name them.
    pub columns: Vec<Stretch>,
}

/// A part whose lines are walked. After an error there is nothing more to be had of it.
pub struct PartFile {
    path: PathBuf,
    expected: Part,
    file: SerializedFileReader<File>,
    specs: &'static [ColumnSpec],
    columns: Vec<Option<usize>>,
    group: usize,
    readers: Vec<PageColumn>,
    left_in_group: u64,
    read: u64,
}

impl PartFile {
    /// Opens `part` below `dir` to read the columns `specs`; its digest is checked first, so that the decoder sees only what was
    /// signed for.
    pub fn open(dir: &Path, part: &Part, specs: &'static [ColumnSpec]) -> Result<Self, Failure> {
        let (path, file) = open_checked(dir, part)?;
        Self::of_checked(path, file, part, specs)
    }

    /// The same of a file that was held to its digest already.
    pub fn of_checked(path: PathBuf, file: File, part: &Part, specs: &'static [ColumnSpec]) -> Result<Self, Failure> {
        let file = decoded(|| SerializedFileReader::new(file)).map_err(|said| bad(&path, format!("not readable as Parquet: {said}")))?;
        let columns = find_columns(file.metadata().file_metadata().schema_descr(), specs).map_err(|said| bad(&path, said))?;
        let rows: i64 = file.metadata().row_groups().iter().map(|group| group.num_rows().max(0)).fold(0, i64::saturating_add);
        if rows as u64 != part.rows {
            return Err(bad(&path, format!("expected {} rows, found {rows}", part.rows)));
        }
        let expected = part.clone();
        Ok(Self { path, expected, file, specs, columns, group: 0, readers: Vec::new(), left_in_group: 0, read: 0 })
    }

    /// Reads the next line with `read`, and holds its key to the header where it is the first or the last; nothing at the end.
    pub fn read_line<'a, T: 'a>(
        &'a mut self,
        key: impl for<'b> Fn(&'b T) -> &'b str,
        read: impl FnOnce(&mut Cells<'a>) -> Result<T, String>,
    ) -> Result<Option<T>, Failure> {
        if !self.has_more()? {
            return Ok(None);
        }
        self.left_in_group -= 1;
        self.read += 1;
        let Self { readers, path, expected, read: line, .. } = self;
        let row = read(&mut Cells::new(readers)).map_err(|said| bad(path, format!("row {}: {said}", *line - 1)))?;
        if *line == 1 && key(&row) != expected.first {
            return Err(bad(path, OTHER_FIRST));
        }
        if *line == expected.rows && key(&row) != expected.last {
            return Err(bad(path, OTHER_LAST));
        }
        Ok(Some(row))
    }

    /// As many of the next lines as can be had without a copy; nothing at the end. The first of the columns must be the key, which is held
    /// to the header where it is the first or the last.
    pub fn block(&mut self) -> Result<Option<Block>, Failure> {
        if !self.has_more()? {
            return Ok(None);
        }
        let Self { readers, specs, path, expected, read, .. } = self;
        let said = |spec: &ColumnSpec, said: String| bad(path, format!("column {}: {said}", spec.name));
        let mut lines = usize::try_from(self.left_in_group).unwrap_or(MOST_VALUES).min(MOST_VALUES);
        for (spec, column) in specs.iter().zip(readers.iter_mut()) {
            lines = lines.min(column.at_hand().map_err(|error| said(spec, error))?);
        }
        let taken = specs.iter().zip(readers).map(|(spec, column)| column.take(lines).map_err(|error| said(spec, error)));
        let columns = taken.collect::<Result<Vec<_>, _>>()?;
        let key = |line: usize| columns.first().and_then(|keys| keys.text(line));
        let first = *read;
        *read += lines as u64;
        self.left_in_group -= lines as u64;
        if first == 0 && key(0) != Some(&expected.first) {
            return Err(bad(path, OTHER_FIRST));
        }
        if *read == expected.rows && key(lines - 1) != Some(&expected.last) {
            return Err(bad(path, OTHER_LAST));
        }
        Ok(Some(Block { first, lines, columns }))
    }

    /// Whether there is a next line.
    pub fn has_more(&mut self) -> Result<bool, Failure> {
        while self.left_in_group == 0 {
            if self.group == self.file.num_row_groups() {
                return Ok(false);
            }
            self.open_group()?;
        }
        Ok(true)
    }

    fn open_group(&mut self) -> Result<(), Failure> {
        let group = decoded(|| self.file.get_row_group(self.group)).map_err(|said| bad(&self.path, said))?;
        self.readers.clear();
        for (spec, index) in self.specs.iter().zip(&self.columns) {
            let column = match index {
                Some(index) => decoded(|| Ok(PageColumn::open(group.as_ref(), *index))).and_then(|column| column),
                None => Ok(PageColumn::absent()),
            };
            self.readers.push(column.map_err(|said| bad(&self.path, format!("column {}: {said}", spec.name)))?);
        }
        self.left_in_group = u64::try_from(group.metadata().num_rows()).unwrap_or(0);
        self.group += 1;
        Ok(())
    }

    /// The file, for messages.
    pub fn path(&self) -> &Path {
        &self.path
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
