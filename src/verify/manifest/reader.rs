//! Reading a manifest: the header, its signature, and rows in constant memory, held to every digest, order, count and root on the way.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::model::digest::{Digest32, Sha256Digest};
use crate::model::failure::{Failure, FailureKind};
use crate::model::verification::SignatureState;
use crate::signing::keys::VerifyingKey;
use crate::signing::merkle::Tree;
use crate::signing::note;
use crate::verify::manifest::header::{Header, ManifestKind, Part, SIGNATURE_FILE, is_part_name, signed_text};
use crate::verify::manifest::names::NameRow;
use crate::verify::manifest::part_file::open_checked;
use crate::verify::manifest::parts::{PartReader, in_order};
use crate::verify::manifest::row::{LeafRow, ObjectRow, Row, SidecarRow};

/// A manifest that is there and has a header that can be read.
#[derive(Clone, Debug)]
pub struct Manifest {
    dir: PathBuf,
    header: Header,
    digest: Sha256Digest,
}

impl Manifest {
    /// Opens the manifest in `dir`; parts are not looked at yet.
    pub fn open(dir: &Path) -> Result<Self, Failure> {
        let (header, digest) = Header::load(dir)?;
        match std::fs::File::open(dir.join(SIGNATURE_FILE)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let said = format!("manifest {}: {SIGNATURE_FILE} cannot be read: {error}", dir.display());
                return Err(
                    Failure::invalid(said).hint("make it readable for this user: whether the manifest is signed is not known without it")
                );
            }
            _ => {}
        }
        Ok(Self { dir: dir.to_owned(), header, digest })
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// SHA-256 of `manifest.json`: the manifest's identity.
    pub fn digest(&self) -> Sha256Digest {
        self.digest
    }

    /// What is known of its signature; `key` is the one that it should be signed by.
    pub fn signature(&self, key: Option<&VerifyingKey>) -> SignatureState {
        let text = match std::fs::read(self.dir.join(SIGNATURE_FILE)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return SignatureState::Absent,
            // A signature that is there and cannot be read proves nothing, and must not look like one that was never made.
            Err(_) => return SignatureState::Bad,
        };
        String::from_utf8(text).map_or(SignatureState::Bad, |text| signature_of(&text, &self.digest, key))
    }

    /// Holds every part to its digest, and the directory to the parts that the header names: a surplus part would be read by
    /// whoever opens `part-*.parquet`, and nobody signed for it.
    pub fn check_parts(&self) -> Result<(), Failure> {
        self.check_names()?;
        self.header.parts.iter().try_for_each(|part| open_checked(&self.dir, part).map(drop))
    }

    /// The part of [`Manifest::check_parts`] that reads no part, for callers that read all of them anyway.
    pub fn check_names(&self) -> Result<(), Failure> {
        let mut names = HashSet::new();
        for part in &self.header.parts {
            if !names.insert(part.name.as_str()) {
                return Err(self.bad(format!("its header names {} twice", part.name)));
            }
        }
        let cannot = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::PermissionDenied => {
                Failure::invalid(format!("manifest {}: its directory cannot be listed: {error}", self.dir.display()))
                    .hint("make it readable for this user: whether parts were added to it is not known without it")
            }
            _ => Failure::io(format!("cannot list the manifest {}", self.dir.display()), error),
        };
        for entry in std::fs::read_dir(&self.dir).map_err(cannot)? {
            let name = entry.map_err(cannot)?.file_name();
            if let Some(name) = name.to_str().filter(|name| is_part_name(name) && !names.contains(name)) {
                return Err(self.bad(format!("{name} is there, and its header does not name it")));
            }
        }
        Ok(())
    }

    /// Its objects in the order of `(key, seq)`; the last item is an error where the root does not hold.
    pub fn objects(&self) -> Rows<ObjectRow> {
        self.rows(self.header.kind == ManifestKind::Objects)
    }

    /// Its leaves in the order of `(key, kind, seq)`; the last item is an error where the root does not hold.
    pub fn leaves(&self) -> Rows<LeafRow> {
        self.rows(self.header.kind != ManifestKind::Objects)
    }

    /// Its sidecar in the order of `(key, key_hash)`; the root does not cover it, part digests do.
    pub fn sidecar(&self) -> Rows<SidecarRow> {
        Rows::new(self.dir.clone(), self.header.sidecar_parts(), None, None)
    }

    /// The names of its rows in the order of `(key, key_hash, row_hash)`; part digests cover them, as they do the sidecar.
    pub fn names(&self) -> Rows<NameRow> {
        Rows::new(self.dir.clone(), self.header.names_parts(), None, None)
    }

    /// True when it names rows: their primary keys are in it in the clear.
    pub fn has_names(&self) -> bool {
        self.header.parts.iter().any(Part::is_names)
    }

    /// True when rows have a sidecar.
    pub fn has_sidecar(&self) -> bool {
        self.header.parts.iter().any(Part::is_sidecar)
    }

    fn rows<R: Row>(&self, fits: bool) -> Rows<R> {
        let wrong = (!fits).then(|| {
            Failure::invalid(format!("manifest {} is of kind {}, not what was asked for", self.dir.display(), self.header.kind.as_str()))
        });
        Rows::new(self.dir.clone(), self.header.row_parts(), Some((Tree::new(), self.header.root)), wrong)
    }

    fn bad(&self, said: String) -> Failure {
        Failure::new(FailureKind::BadEvidence, format!("manifest {}: {said}", self.dir.display()))
            .hint("the manifest was damaged or changed after it was written: fetch it again from where it is kept, or capture it again")
    }
}

/// What is known of the signature `note` over the manifest whose `manifest.json` has the digest `digest`.
pub fn signature_of(note: &str, digest: &Sha256Digest, key: Option<&VerifyingKey>) -> SignatureState {
    let Ok(signed) = note::parse(note) else { return SignatureState::Bad };
    if signed.text != signed_text(digest) {
        return SignatureState::Bad;
    }
    let Some(key) = key else { return SignatureState::Unverified };
    if signed.signatures.iter().any(|signature| signed.signed_by(&signature.name, key).is_ok()) {
        SignatureState::Verified
    } else {
        SignatureState::Bad
    }
}

/// Rows over all parts, in order, in constant memory. An error is the last item: what came before it must not be concluded from.
pub struct Rows<R: Row> {
    dir: PathBuf,
    parts: std::vec::IntoIter<Part>,
    open: Option<PartReader<R>>,
    before: Option<R>,
    /// The tree so far and the root that it must end with; a sidecar has none.
    root: Option<(Tree, Digest32)>,
    leaf: Vec<u8>,
    failed: Option<Failure>,
    done: bool,
}

impl<R: Row> Rows<R> {
    fn new(dir: PathBuf, parts: Vec<Part>, root: Option<(Tree, Digest32)>, failed: Option<Failure>) -> Self {
        Self { dir, parts: parts.into_iter(), open: None, before: None, root, leaf: Vec::new(), failed, done: false }
    }

    fn bad(&self, said: String) -> Failure {
        let path = self.open.as_ref().map_or_else(|| self.dir.clone(), |part| part.path().to_owned());
        Failure::new(FailureKind::BadEvidence, format!("manifest part {}: {said}", path.display()))
    }

    /// Gives rows to `next` and `before` in turn: the row that is given out is the one before.
    fn next_row(&mut self) -> Result<Option<R>, Failure>
    where
        R: Clone,
    {
        if let Some(failure) = self.failed.take() {
            return Err(failure);
        }
        loop {
            if let Some(row) = self.open.as_mut().and_then(Iterator::next) {
                let row = row?;
                if let Some(before) = &self.before {
                    in_order(before, &row).map_err(|said| self.bad(format!("`{}` {said}", row.key().escape_default())))?;
                }
                if let Some((tree, _)) = &mut self.root {
                    row.leaf(&mut self.leaf);
                    tree.push(&self.leaf);
                }
                self.before = Some(row.clone());
                return Ok(Some(row));
            }
            match self.parts.next() {
                Some(part) => self.open = Some(PartReader::open(&self.dir, &part)?),
                None => break,
            }
        }
        if let Some((tree, expected)) = &self.root {
            let found = tree.root();
            if found != *expected {
                let said = format!("manifest {}: expected root {expected}, its rows have {found}", self.dir.display());
                return Err(Failure::new(FailureKind::BadEvidence, said));
            }
        }
        Ok(None)
    }
}

impl<R: Row + Clone> Iterator for Rows<R> {
    type Item = Result<R, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        match self.next_row() {
            Ok(Some(row)) => Some(Ok(row)),
            end => {
                self.done = true;
                self.open = None;
                end.err().map(Err)
            }
        }
    }
}
