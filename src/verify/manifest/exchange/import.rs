//! From a checksum list to a manifest: every line is read once, nothing else is; the manifest says so.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use sha2::Digest as _;

use crate::model::capture::CaptureMode;
use crate::model::clock::Timestamp;
use crate::model::digest::Digest32;
use crate::model::failure::{Failure, FailureKind};
use crate::model::finding::{Class, Finding, Kind, Place};
use crate::model::ids::PointId;
use crate::model::source_url::{SourceUrl, View};
use crate::monitor::{Event, Monitor};
use crate::signing::keys::SigningKey;
use crate::verify::manifest::exchange::lines::{self, Line, ListFormat};
use crate::verify::manifest::exchange::paths;
use crate::verify::manifest::exchange::sorted::{RUN_BYTES, RowSorter, SortedRows};
use crate::verify::manifest::header::{Header, Imported, ManifestKind};
use crate::verify::manifest::request::DigestSet;
use crate::verify::manifest::row::{ObjectRow, Row, UNKNOWN_SIZE};
use crate::verify::manifest::writer::{Choices, Draft, Finish, ManifestWriter, refuse_existing};
use crate::verify::objects::source::EntryKind;
use crate::verify::objects::tier::Tier;

/// The encoding of object rows, as captures have it.
pub const ENCODING: &str = "attestore/objects/v1-draft";

/// What rows of an imported manifest rest on.
pub const EVIDENCE: &str = "listed";

/// A line longer than this is no line of a list.
const LINE_LIMIT: u64 = 64 << 10;

/// What to import into which directory.
#[derive(Clone, Debug)]
pub struct ImportRequest {
    /// The list, or the bag's directory.
    pub file: PathBuf,
    /// The manifest's directory; must not exist yet.
    pub out: PathBuf,
    /// The source URL that the list describes, as the operator states it.
    pub source: String,
    /// How the list was made, as the operator declares.
    pub mode: CaptureMode,
    /// When it was made; absent: when the file was last changed.
    pub captured: Option<Timestamp>,
    /// Taken off the front of every name, which must have it.
    pub strip_prefix: Vec<u8>,
    /// Put before what is left of every name: a list that was made below a prefix of a bucket does not have it.
    pub add_prefix: String,
    /// The recovery point that the list was made for.
    pub recovery_point_id: Option<PointId>,
}

/// Imports the list `request.file`, whose digests are of the one kind that `digest` names. A line that states no digest is a
/// finding and a row without one; a line that cannot be read is a failure, and nothing is written.
pub fn import_list(
    request: &ImportRequest,
    format: ListFormat,
    digest: DigestSet,
    signer: Option<(&str, &SigningKey)>,
    monitor: &dyn Monitor,
) -> Result<Header, Failure> {
    refuse_existing(&request.out)?;
    let mut list = ListFile::open(&request.file)?;
    let below = prefix_of(&request.source);
    let mut sorter = RowSorter::new(ObjectRow::order, RUN_BYTES);
    while let Some((number, line)) = list.next_line()? {
        let place = |said: &str| at_line(&request.file, number, said);
        let Some(line) = lines::parse(line, format).map_err(|said| place(&said))? else { continue };
        if line.digest.is_none() {
            tell_undigested(&line, monitor);
        }
        let row = row_of(line, digest, request).map_err(|said| place(&said))?;
        if !row.key.starts_with(&below) {
            let said = format!("expected a key below `{below}`, as of {}, found `{}`", request.source, row.key.escape_debug());
            return Err(place(&said).hint(format!("names that are relative to it become keys with `--add-prefix {below}`")));
        }
        sorter.push(row)?;
        if number % 4096 == 0 && monitor.stop_requested() {
            return Err(Failure::new(FailureKind::Interrupted, "the import was stopped; nothing was written"));
        }
    }
    let changed = list.changed;
    let imported = Imported {
        format: format.as_str().to_owned(),
        file: file_name(&request.file),
        sha256: list.finish(),
        evidence: EVIDENCE.to_owned(),
    };
    let mut writing = Writing::begin(request, imported, changed, Held::Digests(digest))?;
    for row in unrepeated(sorter.finish()?, &request.file) {
        writing.push(&row?)?;
    }
    writing.finish(signer)
}

/// What imported rows hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Held {
    /// Digests of contents.
    Digests(DigestSet),
    /// What a listing says, in this view: the tier `inventory`.
    Listing(View),
}

/// A manifest of imported rows on its way to disk.
pub struct Writing {
    writer: ManifestWriter,
    held: Held,
    counts: BTreeMap<String, u64>,
    captured: Timestamp,
    file: PathBuf,
}

impl Writing {
    /// Begins the manifest that `request` asks for; the list was last `changed` then.
    pub fn begin(request: &ImportRequest, imported: Imported, changed: Timestamp, held: Held) -> Result<Self, Failure> {
        let captured = request.captured.unwrap_or(changed);
        let (digest, view) = match held {
            Held::Digests(digest) => (digest, None),
            Held::Listing(view) => (DigestSet::NONE, Some(view)),
        };
        let tier = view.map(|_| Tier::Inventory.to_string());
        let draft = Draft {
            kind: ManifestKind::Objects,
            source: request.source.clone(),
            captured_start: captured,
            mode: request.mode,
            recovery_point_id: request.recovery_point_id.clone(),
            encoding: ENCODING.to_owned(),
            hash_key_id: None,
            digests: digest.names(),
            view: view.map(|view| view.to_string()),
            choices: Choices { tier, ..Choices::default() },
        };
        let mut writer = ManifestWriter::create(&request.out, draft)?;
        writer.set_imported(imported);
        Ok(Self { writer, held, counts: BTreeMap::new(), captured, file: request.file.clone() })
    }

    /// Adds the next row in order.
    pub fn push(&mut self, row: &ObjectRow) -> Result<(), Failure> {
        let mut count = |name: &str, by: u64| *self.counts.entry(name.to_owned()).or_default() += by;
        let kind = match (row.kind, self.held) {
            (EntryKind::DeleteMarker, _) => "delete_markers",
            (_, Held::Digests(_)) if row.is_undigested() => "unreadable",
            _ => "objects",
        };
        count(kind, 1);
        match row.known_size().filter(|_| kind != "delete_markers") {
            Some(size) => count("bytes", size),
            None if kind == "delete_markers" => {}
            None => count("size_unknown", 1),
        }
        self.writer.push_object(row)
    }

    /// Ends it; without any row there is nothing to prove.
    pub fn finish(self, signer: Option<(&str, &SigningKey)>) -> Result<Header, Failure> {
        if self.counts.is_empty() {
            return Err(
                Failure::invalid(format!("{}: expected entries, found none", self.file.display())).hint("an empty list can prove nothing")
            );
        }
        self.writer.finish(Finish { captured_end: Some(self.captured), counts: self.counts, ..Finish::default() }, signer)
    }
}

fn tell_undigested(line: &Line, monitor: &dyn Monitor) {
    let finding = Finding::new(Class::Unreadable, Kind::Object, Place::Key(paths::key_of(&line.path).0));
    monitor.event(Event::Finding(&Finding { actual: Some("the list states no digest".to_owned()), ..finding }));
}

/// What the keys of `source` begin with: a bucket's prefix. They would all be missing, and all be there beside.
fn prefix_of(source: &str) -> String {
    match source.parse() {
        Ok(SourceUrl::S3 { prefix, .. }) => prefix,
        _ => String::new(),
    }
}

/// The row that a line stands for.
fn row_of(line: Line, digest: DigestSet, request: &ImportRequest) -> Result<ObjectRow, String> {
    let strip_prefix = request.strip_prefix.as_slice();
    let mut path = line.path.strip_prefix(strip_prefix).ok_or_else(|| {
        format!("expected a name that begins with `{}`, found `{}`", strip_prefix.escape_ascii(), line.path.escape_ascii())
    })?;
    // As `find . -exec sha256sum {} +` writes names.
    while let Some(rest) = path.strip_prefix(b"./") {
        path = rest;
    }
    if path.is_empty() {
        return Err("nothing is left of its name".into());
    }
    let (key, key_escaped) = paths::key_of(path);
    let row = ObjectRow { key_escaped, ..ObjectRow::object(format!("{}{key}", request.add_prefix), UNKNOWN_SIZE) };
    Ok(if digest.blake3 { ObjectRow { blake3: line.digest, ..row } } else { ObjectRow { sha256: line.digest, ..row } })
}

/// `rows` without those that only repeat the one before; the same name with another digest is a failure.
pub fn unrepeated(rows: SortedRows, file: &Path) -> Unrepeated {
    Unrepeated { rows, next: None, file: file.to_owned() }
}

/// See [`unrepeated`].
pub struct Unrepeated {
    rows: SortedRows,
    next: Option<ObjectRow>,
    file: PathBuf,
}

impl Iterator for Unrepeated {
    type Item = Result<ObjectRow, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = match self.next.take() {
            Some(row) => row,
            None => match self.rows.next()? {
                Ok(row) => row,
                Err(failure) => return Some(Err(failure)),
            },
        };
        loop {
            match self.rows.next() {
                Some(Ok(after)) if after == row => {}
                Some(Ok(after)) if after.order(&row).is_eq() => {
                    let key = row.key.escape_debug();
                    let said = format!("{}: `{key}` is listed twice, with two digests", self.file.display());
                    return Some(Err(Failure::invalid(said).hint("make the list again from a source that stands still")));
                }
                Some(Ok(after)) => {
                    self.next = Some(after);
                    return Some(Ok(row));
                }
                Some(Err(failure)) => return Some(Err(failure)),
                None => return Some(Ok(row)),
            }
        }
    }
}

/// A failure of line `number` of `file`.
pub fn at_line(file: &Path, number: u64, said: &str) -> Failure {
    Failure::invalid(format!("{} line {number}: {said}", file.display()))
        .hint("nothing was written; a list with a line that cannot be read would leave files out")
}

/// The last part of a path, for manifests: directories of a machine are nobody else's business.
pub fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// A file read line by line and digested on the way.
pub struct ListFile {
    path: PathBuf,
    reader: BufReader<File>,
    digest: sha2::Sha256,
    line: Vec<u8>,
    number: u64,
    /// When the file was last changed.
    pub changed: Timestamp,
}

impl ListFile {
    /// Opens a regular file.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let cannot = |error| Failure::io(format!("cannot read {}", path.display()), error);
        let file = File::open(path).map_err(cannot)?;
        let metadata = file.metadata().map_err(cannot)?;
        if !metadata.is_file() {
            return Err(Failure::invalid(format!("{}: expected a file, found something else", path.display())));
        }
        let changed = crate::verify::objects::local::modified(&metadata).unwrap_or_else(Timestamp::now);
        // Cut as the clock is: the time must survive its spelling in the header.
        let changed = Timestamp(changed.0.div_euclid(1000) * 1000);
        let reader = BufReader::with_capacity(1 << 18, file);
        Ok(Self { path: path.to_owned(), reader, digest: sha2::Sha256::new(), line: Vec::new(), number: 0, changed })
    }

    /// The next line's number and its bytes without the line feed.
    pub fn next_line(&mut self) -> Result<Option<(u64, &[u8])>, Failure> {
        self.line.clear();
        self.number += 1;
        let read = self.reader.by_ref().take(LINE_LIMIT).read_until(b'\n', &mut self.line);
        read.map_err(|error| Failure::io(format!("cannot read {}", self.path.display()), error))?;
        self.digest.update(&self.line);
        match self.line.strip_suffix(b"\n") {
            Some(line) => Ok(Some((self.number, line))),
            None if self.line.len() as u64 >= LINE_LIMIT => {
                Err(at_line(&self.path, self.number, &format!("expected a line of at most {LINE_LIMIT} bytes")))
            }
            None if self.line.is_empty() => Ok(None),
            None => Ok(Some((self.number, &self.line))),
        }
    }

    /// SHA-256 of the file, once every line was read.
    pub fn finish(self) -> Digest32 {
        Digest32(self.digest.finalize().into())
    }
}
