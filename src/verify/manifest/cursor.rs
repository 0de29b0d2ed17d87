//! Walking the objects of a manifest without making a row of each: what a merge compares, and nothing else, is decoded.
//!
//! Parts are held to their digests before the first line, rows to their order; the root is not computed again, because the header that
//! names it names the parts' digests too. Whoever relies on the root (proofs, captures) reads rows.

use std::cmp::Ordering;
use std::fs::File;
use std::path::PathBuf;

use crate::model::failure::Failure;
use crate::verify::manifest::columns::{Cells, ColumnKind, ColumnSpec};
use crate::verify::manifest::header::Part;
use crate::verify::manifest::part_file::{PartFile, bad, open_checked};
use crate::verify::manifest::reader::Manifest;
use crate::verify::manifest::row::UNKNOWN_SIZE;
use crate::verify::objects::source::EntryKind;

const fn column(name: &'static str, kind: ColumnKind, optional: bool) -> ColumnSpec {
    ColumnSpec { name, kind, optional }
}

const COLUMNS: &[ColumnSpec] = &[
    column("key", ColumnKind::Key, false),
    column("key_escaped", ColumnKind::Bool, true),
    column("seq", ColumnKind::Int, false),
    column("version_id", ColumnKind::Text, true),
    column("kind", ColumnKind::Text, false),
    column("size", ColumnKind::Int, true),
    column("blake3", ColumnKind::Fixed(32), true),
    column("sha256", ColumnKind::Fixed(32), true),
];

/// What a merge compares of one object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ObjectLine<'a> {
    /// The key or path.
    pub key: &'a str,
    /// Whether the key is escaped.
    pub key_escaped: bool,
    /// 0 is the oldest version.
    pub seq: u32,
    /// The version id.
    pub version_id: Option<&'a str>,
    /// What it is.
    pub kind: EntryKind,
    /// In bytes, or [`UNKNOWN_SIZE`].
    pub size: u64,
    /// BLAKE3 of the content.
    pub blake3: Option<[u8; 32]>,
    /// SHA-256 of the content.
    pub sha256: Option<[u8; 32]>,
}

impl ObjectLine<'_> {
    /// The order of parts.
    pub fn order(&self, other: &ObjectLine<'_>) -> Ordering {
        self.key.as_bytes().cmp(other.key.as_bytes()).then(self.key_escaped.cmp(&other.key_escaped)).then(self.seq.cmp(&other.seq))
    }

    /// The size, where it was stated.
    pub fn known_size(&self) -> Option<u64> {
        (self.size != UNKNOWN_SIZE).then_some(self.size)
    }
}

/// The objects of one manifest, line after line. After an error there is nothing more.
pub struct ObjectCursor {
    parts: std::vec::IntoIter<(Part, PathBuf, File)>,
    open: Option<PartFile>,
    path: PathBuf,
    /// The place of the line before, for the order; its memory is used again.
    before: Option<(String, bool, u32)>,
}

impl ObjectCursor {
    /// Opens every part of `manifest` and holds it to its digest.
    pub fn open(manifest: &Manifest) -> Result<Self, Failure> {
        let mut parts = Vec::new();
        for part in manifest.header().row_parts() {
            let (path, file) = open_checked(manifest.dir(), &part)?;
            parts.push((part, path, file));
        }
        Ok(Self { parts: parts.into_iter(), open: None, path: PathBuf::new(), before: None })
    }

    /// The next object; nothing at the end.
    pub fn next_line(&mut self) -> Result<Option<ObjectLine<'_>>, Failure> {
        while !self.open.as_mut().map(PartFile::has_more).transpose()?.unwrap_or(false) {
            let Some((part, path, file)) = self.parts.next() else { return Ok(None) };
            self.path.clone_from(&path);
            self.open = Some(PartFile::of_checked(path, file, &part, COLUMNS)?);
        }
        let Self { open: Some(part), path, before, .. } = self else { return Ok(None) };
        let Some(line) = part.read_line(|line: &ObjectLine<'_>| line.key, read)? else { return Ok(None) };
        let Some((key, key_escaped, seq)) = before else {
            *before = Some((line.key.to_owned(), line.key_escaped, line.seq));
            return Ok(Some(line));
        };
        let said = match (key.as_bytes(), *key_escaped, *seq).cmp(&(line.key.as_bytes(), line.key_escaped, line.seq)) {
            Ordering::Less => {
                key.clear();
                key.push_str(line.key);
                (*key_escaped, *seq) = (line.key_escaped, line.seq);
                return Ok(Some(line));
            }
            Ordering::Equal => "occurs twice",
            Ordering::Greater => "is out of order",
        };
        Err(bad(path, format!("`{}` {said}", line.key.escape_default())))
    }
}

fn read<'a>(cells: &mut Cells<'a>) -> Result<ObjectLine<'a>, String> {
    let key = cells.text_ref()?.ok_or("no key")?;
    let key_escaped = cells.bool()?.unwrap_or(false);
    let seq = cells.int()?.and_then(|n| u32::try_from(n).ok()).ok_or("seq is not a version's number")?;
    let version_id = cells.text_ref()?;
    let kind = cells.text_ref()?.unwrap_or_default();
    let kind = EntryKind::of_text(kind).ok_or_else(|| format!("unknown kind `{}`", kind.escape_default()))?;
    let size = match cells.int()? {
        Some(size) => u64::try_from(size).map_err(|_| "size is not a size")?,
        None => UNKNOWN_SIZE,
    };
    let (blake3, sha256) = (cells.fixed::<32>()?, cells.fixed::<32>()?);
    Ok(ObjectLine { key, key_escaped, seq, version_id, kind, size, blake3, sha256 })
}
