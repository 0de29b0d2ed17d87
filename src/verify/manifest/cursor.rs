//! Walking the objects of a manifest without making a row of each: what a merge compares, and nothing else, is decoded, a page at a time, on
//! a thread of its own.
//!
//! Parts are held to their digests before the first line, rows to their order; the root is not computed again, because the header that
//! names it names the parts' digests too. Whoever relies on the root (proofs, captures) reads rows.

use std::cmp::Ordering;
use std::fs::File;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

use crate::model::failure::Failure;
use crate::verify::manifest::columns::{ColumnKind, ColumnSpec};
use crate::verify::manifest::header::Part;
use crate::verify::manifest::object_batch::{BadLine, ObjectBatch, ObjectLine};
use crate::verify::manifest::part_file::{PartFile, bad, open_checked};
use crate::verify::manifest::reader::Manifest;

const fn column(name: &'static str, kind: ColumnKind, optional: bool) -> ColumnSpec {
    ColumnSpec { name, kind, optional }
}

/// The columns of a batch, in its order.
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

/// Batches that wait to be merged; each is a page's lines, some 2 MB.
const WAITING: usize = 2;

/// The objects of one manifest, batch after batch. After an error there is nothing more.
pub struct ObjectCursor {
    parts: std::vec::IntoIter<(Part, PathBuf, File)>,
    open: Option<PartFile>,
    /// The place of the line before the batch, for the order.
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
        Ok(Self { parts: parts.into_iter(), open: None, before: None })
    }

    /// The next objects; nothing at the end.
    pub fn next_batch(&mut self) -> Result<Option<ObjectBatch>, Failure> {
        let (part, block) = loop {
            match &mut self.open {
                Some(part) => match part.block()? {
                    Some(block) => break (part, block),
                    None => self.open = None,
                },
                None => match self.parts.next() {
                    Some((part, path, file)) => self.open = Some(PartFile::of_checked(path, file, &part, COLUMNS)?),
                    None => return Ok(None),
                },
            }
        };
        let first = block.first;
        let failed = |BadLine { line, said }| bad(part.path(), format!("row {}: {said}", first + line as u64));
        let batch = ObjectBatch::of(block).map_err(failed)?;
        let before = self.before.as_ref().map(|(key, escaped, seq)| (key.as_str(), *escaped, *seq));
        if let Some((key, said)) = out_of_order(before, &batch) {
            return Err(bad(part.path(), format!("`{}` {said}", key.escape_default())));
        }
        let (key, escaped, seq) = batch.place(batch.len() - 1);
        self.before = Some((key.to_owned(), escaped, seq));
        Ok(Some(batch))
    }

    /// The same objects line by line, read on a thread of `scope`, some batches ahead.
    pub fn ahead<'scope>(mut self, scope: &'scope Scope<'scope, '_>) -> ObjectLines {
        let (sender, batches) = sync_channel(WAITING);
        scope.spawn(move || self.send_all(&sender));
        ObjectLines { batches, batch: None, line: 0 }
    }

    /// Ends after the end, after an error, and where nobody listens any more.
    fn send_all(&mut self, to: &SyncSender<Read>) {
        loop {
            let next = self.next_batch();
            let is_last = !matches!(next, Ok(Some(_)));
            if to.send(next).is_err() || is_last {
                return;
            }
        }
    }
}

/// The first line that does not come after the one before it, and what is wrong with it.
fn out_of_order<'a>(before: Option<(&'a str, bool, u32)>, batch: &'a ObjectBatch) -> Option<(&'a str, &'static str)> {
    let mut before = before;
    for place in (0..batch.len()).map(|line| batch.place(line)) {
        let order = before.map_or(Ordering::Less, |before| {
            before.0.as_bytes().cmp(place.0.as_bytes()).then((before.1, before.2).cmp(&(place.1, place.2)))
        });
        match order {
            Ordering::Less => before = Some(place),
            Ordering::Equal => return Some((place.0, "occurs twice")),
            Ordering::Greater => return Some((place.0, "is out of order")),
        }
    }
    None
}

/// What the reading thread gives: objects, the end, or why there are no more.
type Read = Result<Option<ObjectBatch>, Failure>;

/// The objects of one manifest, line after line; not to be asked again after the end or an error.
pub struct ObjectLines {
    batches: Receiver<Read>,
    batch: Option<ObjectBatch>,
    line: usize,
}

impl ObjectLines {
    /// To the next object; nothing at the end. A reader that ended without saying so is a failure, not the end.
    #[inline]
    pub fn next_line(&mut self) -> Result<Option<ObjectLine<'_>>, Failure> {
        self.line += 1;
        if self.batch.as_ref().is_none_or(|batch| self.line >= batch.len()) {
            self.batch = self.batches.recv().unwrap_or_else(|_| Err(Failure::invalid("reading a manifest ended abnormally")))?;
            self.line = 0;
        }
        Ok(self.batch.as_ref().map(|batch| batch.line(self.line)))
    }
}
