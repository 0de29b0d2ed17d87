//! Objects of a manifest, many at a time: the columns that a merge compares, checked once for all of them, and a line of them.
//!
//! Not here: where they come from (`cursor`), and what a difference is (`diff`).

use std::cmp::Ordering;

use crate::verify::manifest::page::Stretch;
use crate::verify::manifest::part_file::Block;
use crate::verify::manifest::row::UNKNOWN_SIZE;
use crate::verify::objects::source::EntryKind;

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
    pub blake3: Option<&'a [u8; 32]>,
    /// SHA-256 of the content.
    pub sha256: Option<&'a [u8; 32]>,
}

impl ObjectLine<'_> {
    /// The order of parts.
    #[inline]
    pub fn order(&self, other: &ObjectLine<'_>) -> Ordering {
        self.key.as_bytes().cmp(other.key.as_bytes()).then(self.key_escaped.cmp(&other.key_escaped)).then(self.seq.cmp(&other.seq))
    }

    /// The size, where it was stated.
    pub fn known_size(&self) -> Option<u64> {
        (self.size != UNKNOWN_SIZE).then_some(self.size)
    }
}

/// Why a batch is none, and which of its lines shows it.
#[derive(Debug)]
pub struct BadLine {
    /// The line's number in the batch.
    pub line: usize,
    /// What is wrong with it.
    pub said: String,
}

/// Some objects, in the order of their part. Every line of them is known to be well formed.
pub struct ObjectBatch {
    lines: usize,
    keys: Stretch,
    escaped: Stretch,
    seqs: Stretch,
    version_ids: Stretch,
    kinds: Vec<EntryKind>,
    sizes: Stretch,
    blake3: Stretch,
    sha256: Stretch,
}

impl ObjectBatch {
    /// The lines of `block`, whose columns are the cursor's; each line is checked.
    pub fn of(block: Block) -> Result<Self, BadLine> {
        let (lines, columns) = (block.lines, block.columns.try_into());
        let Ok([keys, escaped, seqs, version_ids, kinds, sizes, blake3, sha256]): Result<[Stretch; 8], _> = columns else {
            return Err(BadLine { line: 0, said: "too few columns".into() });
        };
        let first = |bad: &dyn Fn(usize) -> bool| (0..lines).find(|line| bad(*line));
        if let Some(line) = (!keys.is_full()).then(|| first(&|line| keys.text(line).is_none())).flatten() {
            return Err(BadLine { line, said: "no key".into() });
        }
        if let Some(line) = first(&|line| seqs.int(line).is_none_or(|seq| u32::try_from(seq).is_err())) {
            return Err(BadLine { line, said: "seq is not a version's number".into() });
        }
        if let Some(line) = first(&|line| sizes.int(line).is_some_and(|size| size < 0)) {
            return Err(BadLine { line, said: "size is not a size".into() });
        }
        let kinds = kinds_of(&kinds, lines)?;
        Ok(Self { lines, keys, escaped, seqs, version_ids, kinds, sizes, blake3, sha256 })
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.lines
    }

    /// True without any.
    pub fn is_empty(&self) -> bool {
        self.lines == 0
    }

    /// What decides the place of line `line`; it must be one of them.
    #[inline]
    pub fn place(&self, line: usize) -> (&str, bool, u32) {
        let seq = self.seqs.int(line).unwrap_or_default();
        (self.keys.text(line).unwrap_or_default(), self.escaped.bool(line).unwrap_or(false), seq as u32)
    }

    /// Line `line`; it must be one of them.
    #[inline]
    pub fn line(&self, line: usize) -> ObjectLine<'_> {
        let (key, key_escaped, seq) = self.place(line);
        ObjectLine {
            key,
            key_escaped,
            seq,
            version_id: self.version_ids.text(line),
            kind: self.kinds[line],
            size: self.sizes.int(line).map_or(UNKNOWN_SIZE, |size| size as u64),
            blake3: self.blake3.fixed(line),
            sha256: self.sha256.fixed(line),
        }
    }
}

/// The kinds of all lines. They hardly ever change from line to line: one text in a row is looked up once.
fn kinds_of(texts: &Stretch, lines: usize) -> Result<Vec<EntryKind>, BadLine> {
    let mut kinds: Vec<EntryKind> = Vec::with_capacity(lines);
    let mut before: Option<(&str, EntryKind)> = None;
    for line in 0..lines {
        let text = texts.text(line).unwrap_or_default();
        let kind = match before {
            Some((same, kind)) if same == text => kind,
            _ => EntryKind::of_text(text).ok_or_else(|| BadLine { line, said: format!("unknown kind `{}`", text.escape_default()) })?,
        };
        before = Some((text, kind));
        kinds.push(kind);
    }
    Ok(kinds)
}
