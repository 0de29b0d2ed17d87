//! A source whose keys are told by a list made elsewhere, instead of by listing it.
//!
//! The list is sorted in flat memory on its way. Of an inventory sizes, versions and ETags are taken, as of the moment of the inventory;
//! for the other forms each key is looked for in the source, which costs a request an object.

use std::cmp::Ordering;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};

use crate::model::failure::{Failure, FailureKind};
use crate::model::source_url::View;
use crate::verify::hashing;
use crate::verify::manifest::exchange::sorted::{RUN_BYTES, RowSorter};
use crate::verify::manifest::row::{ObjectRow, Row};
use crate::verify::objects::keys::inventory::Inventory;
use crate::verify::objects::keys::inventory_rows::{self, Listed};
use crate::verify::objects::keys::text::{self, Form};
use crate::verify::objects::source::{Body, Entry, EntryKind, ObjectSource, Told};

/// Keys that are looked for at a time.
const LOOKED_FOR: usize = 32;

/// The list.
#[derive(Clone, Debug)]
enum List {
    /// Paths below the prefix.
    Paths(PathBuf, Form),
    /// An inventory, its manifest held to its checksum already.
    Inventory(PathBuf, Inventory),
}

/// The source, and the list of its keys.
pub struct ListedSource {
    inner: Arc<dyn ObjectSource>,
    list: List,
    /// What the source's keys start with, and the list's do not.
    prefix: String,
    /// Where the list lies, where it was fetched for this.
    fetched: Option<Arc<tempfile::TempDir>>,
}

impl ListedSource {
    /// The keys of `inner`, which is the bucket `bucket` below `prefix`, out of the list at `path`.
    pub fn open(inner: Arc<dyn ObjectSource>, bucket: &str, prefix: &str, path: &Path, form: Option<Form>) -> Result<Self, Failure> {
        let mut beginning = Vec::new();
        let cannot = |error| Failure::invalid(format!("cannot read the list of keys {}: {error}", path.display()));
        File::open(path).and_then(|file| file.take(4096).read_to_end(&mut beginning)).map_err(cannot)?;
        let list = match form.unwrap_or_else(|| Form::of_beginning(&beginning)) {
            Form::Inventory => {
                let inventory = Inventory::open(path)?;
                if inventory.bucket != bucket {
                    return Err(Failure::invalid(format!(
                        "the inventory {} is of bucket {}, and the source is {bucket}",
                        path.display(),
                        inventory.bucket
                    )));
                }
                List::Inventory(path.to_owned(), inventory)
            }
            form if inner.view() == Some(View::Latest) || inner.view().is_none() => List::Paths(path.to_owned(), form),
            _ => {
                return Err(Failure::invalid(format!("{} names keys and no versions", path.display()))
                    .hint("read the latest versions with `--view latest`, or name an S3 Inventory of all versions"));
            }
        };
        if let (Some(View::At(_)), List::Inventory(..)) = (inner.view(), &list) {
            return Err(Failure::invalid("an inventory is of one moment: leave `--view at=…` out"));
        }
        // rclone's paths are relative to a directory.
        let prefix = if prefix.is_empty() || prefix.ends_with('/') { prefix.to_owned() } else { format!("{prefix}/") };
        Ok(Self { inner, list, prefix, fetched: None })
    }

    /// The same, with the directory that the list was fetched into, which goes when nobody reads the list any more.
    #[must_use]
    pub fn holding(self, fetched: Option<tempfile::TempDir>) -> Self {
        Self { fetched: fetched.map(Arc::new), ..self }
    }

    fn versions(&self) -> bool {
        self.inner.view() == Some(View::Versions)
    }
}

#[async_trait]
impl ObjectSource for ListedSource {
    fn url(&self) -> String {
        self.inner.url()
    }

    fn view(&self) -> Option<View> {
        self.inner.view()
    }

    fn has_versions(&self) -> bool {
        self.inner.has_versions()
    }

    fn has_evidence(&self) -> bool {
        self.inner.has_evidence()
    }

    fn list(&self) -> BoxStream<'static, Result<Entry, Failure>> {
        let (list, prefix, versions) = (self.list.clone(), self.prefix.clone(), self.versions());
        let held = self.fetched.clone();
        let entries = hashing::blocking_stream(4, move |put| {
            let _held = held;
            let ended = match &list {
                List::Paths(path, form) => of_paths(path, *form, &prefix, put),
                List::Inventory(path, inventory) => of_inventory(path, inventory, &prefix, versions, put),
            };
            if let Err(failure) = ended {
                put(Err(failure));
            }
        });
        if matches!(self.list, List::Inventory(..)) {
            return entries;
        }
        let inner = Arc::clone(&self.inner);
        let looked_for = entries.map(move |entry| {
            let inner = Arc::clone(&inner);
            async move {
                let entry = entry?;
                let found = inner.find(&entry.key).await?;
                Ok(found.unwrap_or_else(|| Entry { problem: Some("the list of keys names it, and the source has none".into()), ..entry }))
            }
            .boxed()
        });
        looked_for.buffered(LOOKED_FOR).boxed()
    }

    async fn find(&self, key: &str) -> Result<Option<Entry>, Failure> {
        self.inner.find(key).await
    }

    async fn read(&self, entry: &Entry, offset: u64) -> Result<Body, Failure> {
        self.inner.read(entry, offset).await
    }

    fn has_ranges(&self) -> bool {
        self.inner.has_ranges()
    }

    async fn read_range(&self, entry: &Entry, range: Range<u64>) -> Result<Body, Failure> {
        self.inner.read_range(entry, range).await
    }

    async fn told(&self, entry: &Entry) -> Result<Told, Failure> {
        self.inner.told(entry).await
    }

    fn request_attempts(&self) -> u32 {
        self.inner.request_attempts()
    }
}

type Put<'a> = &'a mut dyn FnMut(Result<Entry, Failure>) -> bool;

/// The paths of a list, as keys, in order; a path that is named twice is one key.
fn of_paths(path: &Path, form: Form, prefix: &str, put: Put<'_>) -> Result<(), Failure> {
    let about = |said: String| Failure::invalid(format!("the list of keys {}: {said}", path.display()));
    let file = File::open(path).map_err(|error| about(error.to_string()))?;
    let mut sorter = RowSorter::new(ObjectRow::order, RUN_BYTES);
    let mut broken = None;
    let ended = text::paths(form, file, &mut |path| {
        let key = format!("{prefix}{}", path.strip_prefix('/').unwrap_or(&path));
        sorter.push(ObjectRow::object(key, 0)).map_err(|failure| {
            let said = failure.message.clone();
            broken = Some(failure);
            said
        })
    });
    if let Some(failure) = broken {
        return Err(failure);
    }
    ended.map_err(about)?;
    let mut before: Option<String> = None;
    for row in sorter.finish()? {
        let row = row?;
        if before.as_deref() != Some(row.key.as_str()) && !put(Ok(Entry::object(row.key.clone(), 0))) {
            return Ok(());
        }
        before = Some(row.key);
    }
    Ok(())
}

/// The order of an inventory's versions: S3 states their dates in whole seconds, and which is the latest, which `seq` holds meanwhile.
fn by_age(a: &ObjectRow, b: &ObjectRow) -> Ordering {
    a.key.as_bytes().cmp(b.key.as_bytes()).then(a.modified.cmp(&b.modified)).then(a.seq.cmp(&b.seq))
}

/// The versions of an inventory, or the latest of them, as entries.
fn of_inventory(manifest: &Path, inventory: &Inventory, prefix: &str, versions: bool, put: Put<'_>) -> Result<(), Failure> {
    for row in rows_of_inventory(manifest, inventory, prefix, versions)? {
        if !put(Ok(entry_of(&row?, versions))) {
            return Ok(());
        }
    }
    Ok(())
}

/// The rows of the inventory whose `manifest.json` lies at `manifest`, below `prefix`, in the order of manifests: every version, or the
/// latest ones that are objects. Sorted in flat memory; a version that is named twice is a failure.
pub fn rows_of_inventory(
    manifest: &Path,
    inventory: &Inventory,
    prefix: &str,
    versions: bool,
) -> Result<impl Iterator<Item = Result<ObjectRow, Failure>>, Failure> {
    let mut sorter = RowSorter::new(by_age, RUN_BYTES);
    for file in &inventory.files {
        let path = file.find(manifest)?;
        inventory_rows::read(inventory, &path, &mut |Listed { row, is_latest }| {
            let wanted = row.key.starts_with(prefix) && (versions || (is_latest && row.kind == EntryKind::Object));
            if wanted { sorter.push(ObjectRow { seq: u32::from(is_latest), ..row }) } else { Ok(()) }
        })?;
    }
    let mut before: Option<(String, Option<String>, u32)> = None;
    let shown = manifest.display().to_string();
    Ok(sorter.finish()?.map(move |row| {
        let mut row = row?;
        let same = before.as_ref().filter(|(key, ..)| *key == row.key);
        if let Some((_, version_id, _)) = same
            && (!versions || *version_id == row.version_id)
        {
            let said = format!("the inventory {shown} names `{}` twice", row.key.escape_debug());
            return Err(Failure::new(FailureKind::BadEvidence, said));
        }
        row.seq = same.map_or(0, |(_, _, seq)| seq + 1);
        before = Some((row.key.clone(), row.version_id.clone(), row.seq));
        Ok(row)
    }))
}

fn entry_of(row: &ObjectRow, versions: bool) -> Entry {
    let listed = row.evidence.as_deref();
    Entry {
        seq: row.seq,
        // The latest version is read by its ETag: its id is not always in the inventory.
        version_id: row.version_id.clone().filter(|_| versions),
        kind: row.kind,
        modified: row.modified,
        etag: listed.and_then(|listed| listed.etag.clone()),
        storage_class: listed.and_then(|listed| listed.storage_class.clone()),
        ..Entry::object(row.key.clone(), row.size)
    }
}
