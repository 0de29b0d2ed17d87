//! From a BagIt bag (RFC 8493) to a manifest: the bag must be complete, its tag files intact and its oxum right. The payload's bytes
//! are not read: the manifest holds the digests that the bag states, and the sizes that its files have.

use std::io::Read;
use std::path::Path;

use futures_util::StreamExt;
use sha2::Digest as _;

use crate::model::digest::Digest32;
use crate::model::failure::{Failure, FailureKind};
use crate::monitor::Monitor;
use crate::signing::keys::SigningKey;
use crate::verify::manifest::exchange::bag_files::{self, Version};
use crate::verify::manifest::exchange::import::{self, EVIDENCE, Held, ImportRequest, ListFile, Writing};
use crate::verify::manifest::exchange::paths;
use crate::verify::manifest::exchange::sorted::{RUN_BYTES, RowSorter};
use crate::verify::manifest::header::{Header, Imported};
use crate::verify::manifest::request::DigestSet;
use crate::verify::manifest::row::{ObjectRow, Row, UNKNOWN_SIZE};
use crate::verify::manifest::writer::refuse_existing;
use crate::verify::objects::dir::DirSource;
use crate::verify::objects::groups::{Broken, Group, groups};
use crate::verify::objects::source::{EntryKind, ObjectSource};

/// Tag files that are read whole may be so large.
const TEXT_LIMIT: u64 = 1 << 20;

/// Imports the bag in the directory `request.file`. Keys are paths below `data/`, as `dir:BAG/data` lists them.
pub async fn import_bag(request: &ImportRequest, signer: Option<(&str, &SigningKey)>, monitor: &dyn Monitor) -> Result<Header, Failure> {
    refuse_existing(&request.out)?;
    let bag = &request.file;
    let version = bag_files::declaration(&text(&bag.join(bag_files::DECLARATION))?)
        .map_err(|said| bad(bag, &format!("{}: {said}", bag_files::DECLARATION)))?;
    if bag.join(bag_files::FETCH).exists() {
        return Err(bad(bag, "it has a fetch.txt: part of its payload is elsewhere")
            .hint("fetch the files into data/, remove fetch.txt and the line for it in the tag manifests, and import again"));
    }
    check_tags(bag, version)?;
    let (sorter, changed, sha256) = payload_list(request, version, monitor)?;
    let imported =
        Imported { format: "bagit".to_owned(), file: bag_files::PAYLOAD_MANIFEST.to_owned(), sha256, evidence: EVIDENCE.to_owned() };
    let mut writing = Writing::begin(request, imported, changed, Held::Digests(DigestSet::SHA256))?;
    let rows = import::unrepeated(sorter.finish()?, &bag.join(bag_files::PAYLOAD_MANIFEST));
    let entries = DirSource::open(&bag.join("data"))?.list();
    let mut merged = groups(futures_util::stream::iter(rows).boxed(), entries);
    let (mut bytes, mut files) = (0u64, 0u64);
    while let Some(group) = merged.next().await {
        let row = complete(group.map_err(|broken| match broken {
            Broken::Manifest(failure) | Broken::Listing(failure) => failure,
        })?)
        .map_err(|said| bad(bag, &said))?;
        bytes += row.size;
        files += 1;
        writing.push(&row)?;
    }
    check_oxum(bag, bytes, files)?;
    writing.finish(signer)
}

fn bad(bag: &Path, said: &str) -> Failure {
    Failure::new(FailureKind::BadEvidence, format!("bag {}: {said}", bag.display()))
}

/// A tag file's text.
fn text(path: &Path) -> Result<String, Failure> {
    let cannot = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => Failure::invalid(format!("{} is not there", path.display()))
            .hint("a BagIt bag is a directory with bagit.txt, a manifest and data/"),
        _ => Failure::io(format!("cannot read {}", path.display()), error),
    };
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(cannot)?.take(TEXT_LIMIT + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > TEXT_LIMIT {
        return Err(Failure::invalid(format!("{}: expected at most {TEXT_LIMIT} bytes", path.display())));
    }
    String::from_utf8(bytes).map_err(|_| Failure::invalid(format!("{}: expected UTF-8", path.display())))
}

/// Holds every file that the tag manifest names to its digest. A bag need not have one.
fn check_tags(bag: &Path, version: Version) -> Result<(), Failure> {
    let path = bag.join(bag_files::TAG_MANIFEST);
    if !path.exists() {
        return Ok(());
    }
    let mut list = ListFile::open(&path)?;
    while let Some((number, line)) = list.next_line()? {
        let Some((name, expected)) = bag_files::manifest_line(line, version).map_err(|said| import::at_line(&path, number, &said))? else {
            continue;
        };
        if let Some(said) = paths::unsafe_below(&name) {
            return Err(import::at_line(&path, number, &format!("the path `{}` cannot be used: {said}", name.escape_ascii())));
        }
        let file = bag.join(std::ffi::OsString::from(String::from_utf8_lossy(&name).into_owned()));
        let found = file_digest(&file).map_err(|error| bad(bag, &format!("tag file {}: {error}", name.escape_ascii())))?;
        if found != expected {
            return Err(bad(bag, &format!("tag file {}: expected SHA-256 {expected}, found {found}", name.escape_ascii())));
        }
    }
    Ok(())
}

fn file_digest(path: &Path) -> std::io::Result<Digest32> {
    if !std::fs::symlink_metadata(path)?.is_file() {
        return Err(std::io::Error::other("it is no regular file"));
    }
    let mut digest = sha2::Sha256::new();
    let mut file = std::fs::File::open(path)?;
    let mut block = vec![0; 1 << 16];
    loop {
        match file.read(&mut block)? {
            0 => return Ok(Digest32(digest.finalize().into())),
            n => digest.update(&block[..n]),
        }
    }
}

/// The payload manifest, its rows on the way to being sorted.
fn payload_list(
    request: &ImportRequest,
    version: Version,
    monitor: &dyn Monitor,
) -> Result<(RowSorter, crate::model::clock::Timestamp, Digest32), Failure> {
    let bag = &request.file;
    let path = bag.join(bag_files::PAYLOAD_MANIFEST);
    if !path.exists() {
        let others = std::fs::read_dir(bag).map_err(|error| Failure::io(format!("cannot list {}", bag.display()), error))?;
        let mut names: Vec<String> = others.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.retain(|name| name.starts_with("manifest-"));
        names.sort();
        let said = format!(
            "expected {}, found {}",
            bag_files::PAYLOAD_MANIFEST,
            if names.is_empty() { "no manifest".into() } else { names.join(", ") }
        );
        return Err(Failure::invalid(format!("bag {}: {said}", bag.display())).hint(format!(
            "a manifest holds SHA-256 or BLAKE3: read the payload with `attestore manifest create dir:{}/data`",
            bag.display()
        )));
    }
    let mut list = ListFile::open(&path)?;
    let mut sorter = RowSorter::new(ObjectRow::order, RUN_BYTES);
    while let Some((number, line)) = list.next_line()? {
        let place = |said: &str| import::at_line(&path, number, said);
        let Some((name, digest)) = bag_files::manifest_line(line, version).map_err(|said| place(&said))? else { continue };
        let below = name.strip_prefix(b"data/").ok_or_else(|| place("expected a path below data/"))?;
        if let Some(said) = paths::unsafe_below(below) {
            return Err(place(&format!("the path `{}` cannot be used: {said}", name.escape_ascii())));
        }
        let (key, _) = paths::key_of(below);
        sorter.push(ObjectRow { sha256: Some(digest), ..ObjectRow::object(key, UNKNOWN_SIZE) })?;
        if number % 4096 == 0 && monitor.stop_requested() {
            return Err(Failure::new(FailureKind::Interrupted, "the import was stopped; nothing was written"));
        }
    }
    let changed = list.changed;
    Ok((sorter, changed, list.finish()))
}

/// The row of one path, with its file's size: listed once, there once, and a regular file.
fn complete(group: Group) -> Result<ObjectRow, String> {
    match (group.rows.into_iter().next(), group.entries.first()) {
        (Some(row), None) => Err(format!("it is not complete: data/{} is listed and not there", row.key.escape_debug())),
        (None, Some(entry)) => Err(format!("data/{} is there and not listed", entry.key.escape_debug())),
        (Some(row), Some(entry)) => match &entry.problem {
            Some(problem) => Err(format!("data/{}: {problem}", entry.key.escape_debug())),
            None if entry.kind != EntryKind::Object => Err(format!("data/{} is a {}", entry.key.escape_debug(), entry.kind.as_str())),
            None => Ok(ObjectRow { size: entry.size, ..row }),
        },
        (None, None) => Err("a path without a name".into()),
    }
}

fn check_oxum(bag: &Path, bytes: u64, files: u64) -> Result<(), Failure> {
    let path = bag.join(bag_files::INFO);
    if !path.exists() {
        return Ok(());
    }
    match bag_files::oxum(&text(&path)?).map_err(|said| bad(bag, &format!("{}: {said}", bag_files::INFO)))? {
        Some(expected) if expected != (bytes, files) => {
            let (b, f) = expected;
            Err(bad(bag, &format!("expected a payload of {b} bytes in {f} files (Payload-Oxum), found {bytes} bytes in {files} files")))
        }
        _ => Ok(()),
    }
}
