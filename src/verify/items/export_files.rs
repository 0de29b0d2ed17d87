//! An export in S3, read in place: its manifests held against their checksums, its data files streamed, unpacked, and held against their MD5
//! and their counts. A full export is an item source like any table.
//!
//! Not here: how an object is fetched (`aws`), and what the manifests look like (`export`).

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use md5::{Digest, Md5};
use serde_json::json;

use crate::model::capture::CaptureMode;
use crate::model::failure::{Failure, FailureKind};
use crate::model::ids::PointId;
use crate::verify::items::export::{self, DataFile, Extent, Format, Summary};
use crate::verify::items::gunzip::Gunzip;
use crate::verify::items::ion;
use crate::verify::items::item::KeySchema;
use crate::verify::items::page::{Lines, Next, Page, Records, text_of};
use crate::verify::items::source::{ItemSource, Moment, Part};

/// Manifests are smaller than this.
const LARGEST_MANIFEST: usize = 256 << 20;

/// Where an export's objects are fetched.
#[async_trait]
pub trait ExportFiles: Send + Sync {
    /// For messages: `s3://BUCKET`.
    fn place(&self) -> String;

    /// The bytes of an object.
    async fn get(&self, key: &str) -> Result<BoxStream<'static, Result<Bytes, Failure>>, Failure>;
}

/// An export whose manifests hold.
#[derive(Clone)]
pub struct Export {
    files: Arc<dyn ExportFiles>,
    /// As the source URL names it.
    pub url: String,
    prefix: String,
    /// Its summary.
    pub summary: Summary,
    /// MD5 of the summary, in hex: what identifies the export.
    pub summary_md5: String,
    /// Its data files.
    pub data: Arc<[DataFile]>,
}

impl Export {
    /// Reads the manifests below `prefix` (`…/AWSDynamoDB/EXPORT-ID`) and checks them.
    ///
    /// # Errors
    /// [`FailureKind::Absent`] for a manifest or checksum that is not there, [`FailureKind::BadEvidence`] for one that does not hold.
    pub async fn open(files: Arc<dyn ExportFiles>, url: &str, prefix: &str) -> Result<Self, Failure> {
        let prefix = prefix.trim_end_matches('/').to_owned();
        let summary_key = format!("{prefix}/{}", export::SUMMARY);
        let bytes = checked(files.as_ref(), &summary_key).await?;
        let summary = Summary::parse(&format!("{}/{summary_key}", files.place()), &bytes)?;
        let list_key = export::resolve(&prefix, &summary.files_key).ok_or_else(|| {
            Failure::new(
                FailureKind::BadEvidence,
                format!("{url}: the list of files at {} lies outside of the export", summary.files_key.escape_debug()),
            )
        })?;
        let list = checked(files.as_ref(), &list_key).await?;
        let data = export::files(&format!("{}/{list_key}", files.place()), &list, &summary)?;
        let summary_md5 = hex::encode(Md5::digest(&bytes));
        Ok(Self { files, url: url.to_owned(), prefix, summary, summary_md5, data: data.into() })
    }

    /// The lines of the data file `at`, in pages that end with whole lines.
    pub fn lines(&self, at: usize) -> BoxStream<'static, Result<Lines, Failure>> {
        let Some(file) = self.data.get(at).cloned() else { return stream::empty().boxed() };
        let what = format!("{}/{}", self.files.place(), file.key);
        let Some(key) = export::resolve(&self.prefix, &file.key) else {
            let failure = Failure::new(FailureKind::BadEvidence, format!("{what} lies outside of the export"));
            return stream::once(async { Err(failure) }).boxed();
        };
        let format = self.summary.format;
        let begin = Reading::Closed { files: self.files.clone(), key, file, what };
        stream::unfold(begin, move |state| async move {
            let mut open = match state {
                Reading::End => return None,
                Reading::Closed { files, key, file, what } => match files.get(&key).await {
                    Ok(bytes) => Box::new(Unpacking::new(bytes, file, what)),
                    Err(failure) => return Some((Err(failure), Reading::End)),
                },
                Reading::Open(open) => open,
            };
            match open.page().await {
                Ok(Some(page)) => Some((Ok(in_json(page, format)), Reading::Open(open))),
                Ok(None) => None,
                Err(failure) => Some((Err(failure), Reading::End)),
            }
        })
        .boxed()
    }
}

/// The lines in DynamoDB JSON. One that has no place in it stays a line, which no reader takes for an item: it is unreadable, not gone.
fn in_json(lines: Lines, format: Format) -> Lines {
    if format == Format::DynamodbJson {
        return lines;
    }
    let mut text = Vec::new();
    for line in lines.iter() {
        match text_of(line).and_then(ion::to_json) {
            Ok(json) => text.extend_from_slice(json.as_bytes()),
            Err(bad) => text.extend_from_slice(format!("no item in Ion: {bad}").replace('\n', " ").as_bytes()),
        }
        text.push(b'\n');
    }
    Lines::of(text)
}

/// A manifest that its checksum file confirms.
async fn checked(files: &dyn ExportFiles, key: &str) -> Result<Vec<u8>, Failure> {
    let what = format!("{}/{key}", files.place());
    let bytes = whole(files, key).await?;
    let stem = key.trim_end_matches(".json");
    let mut checksum = Err(Failure::new(FailureKind::Absent, format!("{what}: expected its checksum beside it, found none")));
    for end in ["checksum", "md5"] {
        match whole(files, &format!("{stem}.{end}")).await {
            Err(failure) if failure.kind == FailureKind::Absent => {}
            other => {
                checksum = other;
                break;
            }
        }
    }
    let checksum =
        checksum.map_err(|failure| failure.hint("DynamoDB writes `.checksum` files beside its manifests: copy the export whole"))?;
    export::check(&what, &bytes, &checksum)?;
    Ok(bytes)
}

async fn whole(files: &dyn ExportFiles, key: &str) -> Result<Vec<u8>, Failure> {
    let mut stream = files.get(key).await?;
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await {
        bytes.extend_from_slice(&piece?);
        if bytes.len() > LARGEST_MANIFEST {
            return Err(Failure::new(
                FailureKind::BadEvidence,
                format!("{}/{key}: more than {LARGEST_MANIFEST} bytes are no manifest", files.place()),
            ));
        }
    }
    Ok(bytes)
}

enum Reading {
    Closed { files: Arc<dyn ExportFiles>, key: String, file: DataFile, what: String },
    Open(Box<Unpacking>),
    End,
}

/// One data file while it is read.
struct Unpacking {
    bytes: BoxStream<'static, Result<Bytes, Failure>>,
    file: DataFile,
    what: String,
    md5: Md5,
    gunzip: Gunzip,
    lines: u64,
    ended: bool,
}

impl Unpacking {
    fn new(bytes: BoxStream<'static, Result<Bytes, Failure>>, file: DataFile, what: String) -> Self {
        Self { bytes, file, what, md5: Md5::new(), gunzip: Gunzip::default(), lines: 0, ended: false }
    }

    fn bad(&self, said: impl std::fmt::Display) -> Failure {
        Failure::new(FailureKind::BadEvidence, format!("{}: {said}", self.what))
    }

    /// Whole lines, at least one; nothing at the end, once everything has held.
    async fn page(&mut self) -> Result<Option<Lines>, Failure> {
        while !self.ended {
            if let Some(page) = self.gunzip.page().map_err(|said| self.bad(said))? {
                self.lines += page.count() as u64;
                return Ok(Some(page));
            }
            match self.bytes.next().await {
                Some(piece) => {
                    let piece = piece?;
                    self.md5.update(&piece);
                    self.gunzip.write(&piece).map_err(|said| self.bad(said))?;
                }
                None => {
                    self.ended = true;
                    self.hold_md5()?;
                    // An empty object is how an empty partition may be written: no member, no line.
                    let rest = self.gunzip.end().map_err(|said| self.bad(said))?;
                    self.lines += rest.count() as u64;
                    if rest.count() > 0 {
                        return Ok(Some(rest));
                    }
                }
            }
        }
        if self.lines == self.file.item_count {
            return Ok(None);
        }
        Err(self.bad(format!("expected {} items, found {}", self.file.item_count, self.lines)))
    }

    fn hold_md5(&mut self) -> Result<(), Failure> {
        let found: [u8; 16] = std::mem::take(&mut self.md5).finalize().into();
        let expected = export::md5_of(&self.file.md5_checksum)
            .ok_or_else(|| self.bad(format!("its MD5 in the list, `{}`, is none", self.file.md5_checksum.escape_debug())))?;
        if found == expected {
            return Ok(());
        }
        Err(self.bad(format!("expected the MD5 {}, found {}", hex::encode(expected), hex::encode(found))))
    }
}

/// A full export as an item source: its segments are its data files.
pub struct ExportSource {
    export: Export,
    schema: KeySchema,
    time_to_live: Option<String>,
}

impl ExportSource {
    /// `schema` is the table's primary key, which an export does not say.
    pub fn new(export: Export, schema: KeySchema) -> Result<Self, Failure> {
        match export.summary.extent {
            Extent::Full { .. } => Ok(Self { export, schema, time_to_live: None }),
            Extent::Incremental { from, to } => {
                Err(Failure::invalid(format!("{}: expected a full export, found the changes from {from} to {to}", export.url))
                    .hint("an incremental export says what changed: name it with --changes"))
            }
        }
    }
}

impl ExportSource {
    /// Items end by this attribute, which an export does not say either.
    #[must_use]
    pub fn expiring(self, time_to_live: Option<String>) -> Self {
        Self { time_to_live, ..self }
    }
}

#[async_trait]
impl ItemSource for ExportSource {
    fn url(&self) -> String {
        self.export.url.clone()
    }

    fn table(&self) -> String {
        self.export.summary.table().to_owned()
    }

    fn identity(&self) -> String {
        format!("{} {}", self.export.summary.export_arn, self.export.summary_md5)
    }

    async fn key_schema(&self) -> Result<KeySchema, Failure> {
        Ok(self.schema.clone())
    }

    async fn time_to_live(&self) -> Result<Option<String>, Failure> {
        Ok(self.time_to_live.clone())
    }

    fn moment(&self) -> Option<Moment> {
        let Extent::Full { at } = self.export.summary.extent else { return None };
        Some(Moment {
            at,
            mode: CaptureMode::ExportExact,
            point: PointId::at(&self.export.summary.table_arn, at),
            position: json!({
                "export_arn": self.export.summary.export_arn, "export_time": at, "summary_md5": self.export.summary_md5,
                "table_arn": self.export.summary.table_arn, "table_id": self.export.summary.table_id,
            }),
        })
    }

    fn is_free(&self) -> bool {
        true
    }

    fn scan(&self, part: &Part) -> BoxStream<'static, Result<Page, Failure>> {
        let (segment, total) = (part.segment as usize, part.total.max(1) as usize);
        let wrong = || Failure::new(FailureKind::BadEvidence, "the position of an export's reader is none".to_owned());
        // A file that was read to its end is not read again; one that was not begins anew.
        let first = match part.after.as_deref().map(str::parse::<usize>) {
            None => segment,
            Some(Ok(done)) => done + total,
            Some(Err(_)) => return stream::once(async move { Err(wrong()) }).boxed(),
        };
        let export = self.export.clone();
        let indexes: Vec<usize> = (first..export.data.len()).step_by(total).collect();
        stream::iter(indexes)
            .flat_map(move |index| {
                let pages = export
                    .lines(index)
                    .map(|page| page.map(|lines| Page { records: Records::Lines(lines), next: Next::Onward, consumed_rcu: None }));
                let end = Page { records: Records::Items(Vec::new()), next: Next::After(index.to_string()), consumed_rcu: None };
                // What follows a file that failed would hide the failure's place: the error ends the stream in its reader.
                pages.chain(stream::once(async { Ok(end) }))
            })
            .boxed()
    }
}
