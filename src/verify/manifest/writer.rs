//! Writing a manifest: rows in order into parts, then the header and its signature, all below a temporary sibling that takes the
//! manifest's name only when everything is on disk. A crash at any step leaves no directory of that name.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::model::capture::CaptureMode;
use crate::model::clock::Timestamp;
use crate::model::digest::Sha256Digest;
use crate::model::failure::{Failure, FailureKind};
use crate::model::ids::PointId;
use crate::signing::keys::SigningKey;
use crate::signing::merkle::Tree;
use crate::signing::note;
use crate::verify::manifest::header::{HEADER_FILE, Header, Imported, ManifestKind, Part, Rotation, SCHEMA, SIGNATURE_FILE, signed_text};
use crate::verify::manifest::names::NameRow;
use crate::verify::manifest::parts::{PartLimits, PartWriter, in_order};
use crate::verify::manifest::row::{LeafRow, ObjectRow, Row, SidecarRow, SidecarRun};
use crate::verify::manifest::workplace::Workplace;

/// What is known of a manifest before its first row.
#[derive(Clone, Debug)]
pub struct Draft {
    /// What the rows are.
    pub kind: ManifestKind,
    /// The source URL, without secrets.
    pub source: String,
    /// When capturing began.
    pub captured_start: Timestamp,
    /// How it is captured.
    pub mode: CaptureMode,
    /// The recovery point that it is for.
    pub recovery_point_id: Option<PointId>,
    /// The encoding, such as `attestore/objects/v1-draft`.
    pub encoding: String,
    /// The hash key's id where digests are keyed.
    pub hash_key_id: Option<String>,
    /// The digests that rows carry.
    pub digests: Vec<String>,
    /// `latest` or `versions`, where the source has versions.
    pub view: Option<String>,
    /// What of the source is covered, and what of it is to be compared later.
    pub choices: Choices,
}

/// What a manifest of objects covers and is compared by; empty for everything else.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Choices {
    /// What is compared beside the bytes; empty: the defaults.
    pub compare: Vec<String>,
    /// The tier of evidence; absent: `content`.
    pub tier: Option<String>,
    /// Only keys that one of these patterns matches; empty: all.
    pub include: Vec<String>,
    /// No keys that one of these patterns matches.
    pub exclude: Vec<String>,
}

/// What is known only after the last row.
#[derive(Clone, Debug, Default)]
pub struct Finish {
    /// When capturing ended; now, where it is absent.
    pub captured_end: Option<Timestamp>,
    /// Totals by name.
    pub counts: BTreeMap<String, u64>,
    /// Values that baseline checks compare with.
    pub baselines: BTreeMap<String, String>,
    /// The source's position, in its own terms.
    pub position: Option<serde_json::Value>,
}

/// Parts of one kind of row, one open at a time.
struct Rows<R: Row> {
    open: Option<PartWriter<R>>,
    before: Option<R>,
    parts: Vec<Part>,
}

impl<R: Row + Clone> Rows<R> {
    fn new() -> Self {
        Self { open: None, before: None, parts: Vec::new() }
    }

    fn push(&mut self, dir: &Path, limits: &PartLimits, row: &R) -> Result<(), Failure> {
        row.check()?;
        if let Some(before) = &self.before {
            in_order(before, row).map_err(|said| disorder(row.key(), said))?;
        }
        self.part(dir, limits)?.push(row)?;
        match &mut self.before {
            Some(before) => before.clone_from(row),
            none => *none = Some(row.clone()),
        }
        Ok(())
    }

    /// The part that the next row belongs into.
    fn part(&mut self, dir: &Path, limits: &PartLimits) -> Result<&mut PartWriter<R>, Failure> {
        if self.open.as_ref().is_some_and(|part| part.is_full(limits)) {
            self.close()?;
        }
        match &mut self.open {
            Some(part) => Ok(part),
            none => Ok(none.insert(PartWriter::create(dir, self.parts.len())?)),
        }
    }

    fn close(&mut self) -> Result<(), Failure> {
        if let (Some(part), Some(last)) = (self.open.take(), &self.before) {
            self.parts.push(part.finish(last.key())?);
        }
        Ok(())
    }
}

impl Rows<SidecarRow> {
    /// The same as pushing each row of `run`.
    fn push_run(&mut self, dir: &Path, limits: &PartLimits, mut run: SidecarRun<'_>) -> Result<(), Failure> {
        if !run.key_hashes.is_sorted() || run.key_hashes.len() != run.row_hashes.len() {
            return Err(disorder(run.key, "is out of order"));
        }
        let Some((first, last)) = run.split_at(run.key_hashes.len().min(1)).0.last().zip(run.last()) else { return Ok(()) };
        if let Some(before) = &self.before {
            in_order(before, &first).map_err(|said| disorder(run.key, said))?;
        }
        // A part is closed with the key of the last row in it.
        self.part(dir, limits)?;
        self.before = Some(first);
        while !run.key_hashes.is_empty() {
            run = self.part(dir, limits)?.push_run(run, limits)?;
        }
        self.before = Some(last);
        Ok(())
    }
}

fn disorder(key: &str, said: &str) -> Failure {
    Failure::new(FailureKind::Remote, format!("the source gave `{}` which {said}", key.escape_default()))
        .hint("a source that lists an entry twice or out of order cannot be captured: is it changing while it is read?")
}

/// Writes one manifest.
pub struct ManifestWriter {
    /// Removed with all it holds unless the manifest is finished.
    work: Workplace,
    target: PathBuf,
    draft: Draft,
    imported: Option<Imported>,
    since: Option<Rotation>,
    limits: PartLimits,
    objects: Rows<ObjectRow>,
    leaves: Rows<LeafRow>,
    sidecar: Rows<SidecarRow>,
    names: Rows<NameRow>,
    tree: Tree,
    leaf: Vec<u8>,
}

impl ManifestWriter {
    /// Begins a manifest that will be the directory `dir`, which must not exist; its parent is created.
    pub fn create(dir: &Path, draft: Draft) -> Result<Self, Failure> {
        Self::create_with_limits(dir, draft, PartLimits::default())
    }

    /// The same with parts of another size.
    pub fn create_with_limits(dir: &Path, draft: Draft, limits: PartLimits) -> Result<Self, Failure> {
        refuse_existing(dir)?;
        let parent = match dir.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let cannot = |error| Failure::io(format!("cannot create the manifest {}", dir.display()), error);
        std::fs::create_dir_all(&parent).map_err(cannot)?;
        let work = Workplace::create(&parent).map_err(cannot)?;
        Ok(Self {
            work,
            target: dir.to_owned(),
            draft,
            imported: None,
            since: None,
            limits,
            objects: Rows::new(),
            leaves: Rows::new(),
            sidecar: Rows::new(),
            names: Rows::new(),
            tree: Tree::new(),
            leaf: Vec::new(),
        })
    }

    /// Says that the rows are imported; before the manifest is finished, for what was imported may be known only at its end.
    pub fn set_imported(&mut self, imported: Imported) {
        self.imported = Some(imported);
    }

    /// Says from which manifest versions are carried over.
    pub fn set_since(&mut self, since: Rotation) {
        self.since = Some(since);
    }

    /// Adds an object; rows come in the order of `(key, seq)`.
    pub fn push_object(&mut self, row: &ObjectRow) -> Result<(), Failure> {
        self.of_kind(self.draft.kind == ManifestKind::Objects, "an object")?;
        self.objects.push(self.work.path(), &self.limits, row)?;
        row.leaf(&mut self.leaf);
        self.tree.push(&self.leaf);
        Ok(())
    }

    /// Adds a leaf of a fingerprint; rows come in the order of `(key, kind, seq)`.
    pub fn push_leaf(&mut self, row: &LeafRow) -> Result<(), Failure> {
        self.of_kind(self.draft.kind != ManifestKind::Objects, "a leaf")?;
        self.leaves.push(self.work.path(), &self.limits, row)?;
        row.leaf(&mut self.leaf);
        self.tree.push(&self.leaf);
        Ok(())
    }

    /// Adds a row of the sidecar; rows come in the order of `(key, key_hash)`, at any time between other rows.
    pub fn push_sidecar(&mut self, row: &SidecarRow) -> Result<(), Failure> {
        self.of_kind(self.draft.kind != ManifestKind::Objects, "a sidecar row")?;
        self.sidecar.push(self.work.path(), &self.limits, row)
    }

    /// Adds rows of the sidecar, as [`ManifestWriter::push_sidecar`] would one by one.
    pub fn push_sidecar_run(&mut self, run: SidecarRun<'_>) -> Result<(), Failure> {
        self.of_kind(self.draft.kind != ManifestKind::Objects, "a sidecar row")?;
        self.sidecar.push_run(self.work.path(), &self.limits, run)
    }

    /// Adds the name of a row; names come in the order of `(key, key_hash, row_hash)`, at any time between other rows.
    pub fn push_name(&mut self, row: &NameRow) -> Result<(), Failure> {
        self.of_kind(self.draft.kind == ManifestKind::TableSet, "the name of a row")?;
        self.names.push(self.work.path(), &self.limits, row)
    }

    fn of_kind(&self, fits: bool, what: &str) -> Result<(), Failure> {
        if fits {
            return Ok(());
        }
        Err(Failure::invalid(format!("a manifest of kind {} has no place for {what}", self.draft.kind.as_str())))
    }

    /// Writes the header, signs it where a signer is given, forces everything to disk and gives the directory its name.
    pub fn finish(mut self, finish: Finish, signer: Option<(&str, &SigningKey)>) -> Result<Header, Failure> {
        self.objects.close()?;
        self.leaves.close()?;
        self.sidecar.close()?;
        self.names.close()?;
        let mut parts = std::mem::take(&mut self.objects.parts);
        parts.append(&mut self.leaves.parts);
        parts.append(&mut self.sidecar.parts);
        parts.append(&mut self.names.parts);
        let draft = self.draft;
        let header = Header {
            schema: SCHEMA.to_owned(),
            kind: draft.kind,
            source: draft.source,
            captured_start: draft.captured_start,
            captured_end: finish.captured_end.unwrap_or_else(Timestamp::now),
            mode: draft.mode,
            position: finish.position,
            recovery_point_id: draft.recovery_point_id,
            encoding: draft.encoding,
            hash_key_id: draft.hash_key_id,
            digests: draft.digests,
            view: draft.view,
            compare: draft.choices.compare,
            tier: draft.choices.tier,
            include: draft.choices.include,
            exclude: draft.choices.exclude,
            imported: self.imported,
            since: self.since,
            counts: finish.counts,
            root: self.tree.root(),
            baselines: finish.baselines,
            parts,
        };
        let bytes = header.to_bytes()?;
        let work = self.work.path();
        write_synced(&work.join(HEADER_FILE), &bytes)?;
        if let Some((name, key)) = signer {
            note::check_name(name).map_err(|error| Failure::invalid(format!("the signer's name `{name}`: {error}")))?;
            let text = note::sign(name, key, &signed_text(&Sha256Digest::of(&bytes)));
            write_synced(&work.join(SIGNATURE_FILE), text.as_bytes())?;
        }
        let cannot = |error| Failure::io(format!("cannot write the manifest {}", self.target.display()), error);
        sync_directory(work).map_err(cannot)?;
        // A plain rename would silently replace an empty directory that appeared in the meantime.
        refuse_existing(&self.target)?;
        std::fs::rename(work, &self.target).map_err(cannot)?;
        // The directory has moved away, so this removes nothing.
        self.work.keep();
        if let Some(parent) = self.target.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            sync_directory(parent).map_err(cannot)?;
        }
        Ok(header)
    }
}

/// A manifest is written once: what is there already may be the only one.
pub fn refuse_existing(dir: &Path) -> Result<(), Failure> {
    match std::fs::symlink_metadata(dir) {
        Ok(_) => Err(Failure::invalid(format!("the manifest's directory {} exists already", dir.display()))
            .hint("a manifest is written once: name a new directory with --out")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Failure::io(format!("cannot look at {}", dir.display()), error)),
    }
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    use std::io::Write;
    let write = || -> std::io::Result<()> {
        let mut file = File::create_new(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|error| Failure::io(format!("cannot write {}", path.display()), error))
}

fn sync_directory(dir: &Path) -> std::io::Result<()> {
    File::open(dir)?.sync_all()
}
