//! From a manifest and the files that it describes to a BagIt 1.0 bag (RFC 8493): every file is copied and digested on the way, and
//! a bag comes to be only where all of them are what the manifest says.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::model::clock::Timestamp;
use crate::model::digest::Digest32;
use crate::model::failure::{Failure, FailureKind};
use crate::model::finding::{Class, Finding, Kind, Place};
use crate::monitor::{Event, Monitor};
use crate::verify::hashing::{Digests, Hasher};
use crate::verify::manifest::exchange::bag_files;
use crate::verify::manifest::exchange::export;
use crate::verify::manifest::exchange::paths;
use crate::verify::manifest::reader::Manifest;
use crate::verify::manifest::request::DigestSet;
use crate::verify::manifest::row::ObjectRow;
use crate::verify::objects::source::EntryKind;

/// What came of writing a bag.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Bagged {
    /// Files of the payload.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that are missing, unreadable or differ; with any of them there is no bag.
    pub refused: u64,
    /// Versions that are not the newest of their key, and so are not in the bag.
    pub older_versions: u64,
}

/// Copies what `manifest` lists from the directory `payload` into a new bag `out`. Each file that is not what the manifest says is a
/// finding, and then nothing is left of the bag.
pub fn write_bag(manifest: &Manifest, payload: &Path, out: &Path, monitor: &dyn Monitor) -> Result<Bagged, Failure> {
    let cannot = |error| Failure::io(format!("cannot write the bag {}", out.display()), error);
    if std::fs::symlink_metadata(out).is_ok() {
        return Err(Failure::invalid(format!("{} exists already", out.display())).hint("name a new directory with --out"));
    }
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(cannot)?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    let work = tempfile::Builder::new().prefix(".bag-").permissions(mode).tempdir_in(parent).map_err(cannot)?;
    std::fs::create_dir(work.path().join("data")).map_err(cannot)?;
    let mut list = std::io::BufWriter::new(File::create_new(work.path().join(bag_files::PAYLOAD_MANIFEST)).map_err(cannot)?);
    let mut bagged = Bagged::default();
    bagged.older_versions = export::newest(manifest.objects(), |row| {
        if monitor.stop_requested() {
            return Err(Failure::new(FailureKind::Interrupted, "writing the bag was stopped; nothing is left of it"));
        }
        if row.kind == EntryKind::DeleteMarker {
            return Ok(());
        }
        match copied(row, payload, &work.path().join("data")) {
            Ok((sha256, bytes)) => {
                bagged.files += 1;
                bagged.bytes += bytes;
                writeln!(list, "{sha256}  data/{}", bag_files::encode_path(&row.key)).map_err(cannot)
            }
            Err(Refused::File(finding)) => {
                bagged.refused += 1;
                monitor.event(Event::Finding(&finding));
                Ok(())
            }
            Err(Refused::Bag(failure)) => Err(failure),
        }
    })?;
    list.flush().map_err(cannot)?;
    if bagged.refused > 0 {
        return Ok(bagged);
    }
    write_tags(work.path(), manifest, &bagged).map_err(cannot)?;
    if std::fs::symlink_metadata(out).is_ok() {
        return Err(Failure::invalid(format!("{} exists already", out.display())));
    }
    std::fs::rename(work.path(), out).map_err(cannot)?;
    // The directory has moved away, so this removes nothing.
    let _ = work.keep();
    Ok(bagged)
}

enum Refused {
    /// This file is not what the manifest says.
    File(Box<Finding>),
    /// The bag cannot be written.
    Bag(Failure),
}

/// Copies one file; gives its SHA-256 and length.
fn copied(row: &ObjectRow, payload: &Path, data: &Path) -> Result<(Digest32, u64), Refused> {
    let path = paths::path_of(&row.key, row.key_escaped);
    let refuse = |class: Class, actual: String| {
        let finding = Finding::new(class, Kind::Object, Place::Key(row.key.clone()));
        Refused::File(Box::new(Finding { actual: Some(actual), ..finding }))
    };
    if row.kind == EntryKind::Symlink {
        return Err(refuse(Class::Unreadable, "a symbolic link, which a bag has no place for".into()));
    }
    if row.key_escaped {
        return Err(refuse(Class::Unreadable, "a name that is not UTF-8, which a bag has no spelling for".into()));
    }
    if let Some(said) = paths::unsafe_below(&path) {
        return Err(refuse(Class::Unreadable, format!("no file of a bag can have this name: {said}")));
    }
    let below = PathBuf::from(std::ffi::OsStr::from_bytes(&path));
    let nofollow = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits() as i32;
    let from = File::options().read(true).custom_flags(nofollow).open(payload.join(&below));
    let from =
        from.and_then(|file| if file.metadata()?.is_file() { Ok(file) } else { Err(std::io::Error::other("it is no regular file")) });
    let mut from = from.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => refuse(Class::Missing, "not in the payload".into()),
        _ => refuse(Class::Unreadable, error.to_string()),
    })?;
    let to = data.join(&below);
    let cannot = |error| Refused::Bag(Failure::io(format!("cannot write data/{}", row.key.escape_debug()), error));
    std::fs::create_dir_all(to.parent().unwrap_or(data)).map_err(cannot)?;
    let mut to = File::create_new(&to).map_err(cannot)?;
    let mut hasher = Hasher::new(DigestSet { blake3: row.blake3.is_some(), sha256: true });
    let mut block = vec![0; 1 << 18];
    loop {
        let n = from.read(&mut block).map_err(|error| refuse(Class::Unreadable, error.to_string()))?;
        if n == 0 {
            break;
        }
        hasher.update(&block[..n]);
        to.write_all(&block[..n]).map_err(cannot)?;
    }
    let found = hasher.finish();
    if let Some(said) = differs(row, &found) {
        return Err(refuse(Class::Mismatch, said));
    }
    Ok((found.sha256.expect("SHA-256 was asked for"), found.bytes))
}

/// What differs from the row, where something does.
fn differs(row: &ObjectRow, found: &Digests) -> Option<String> {
    let pairs = [("blake3", row.blake3, found.blake3), ("sha256", row.sha256, found.sha256)];
    for (name, expected, found) in pairs {
        if let (Some(expected), Some(found)) = (expected, found)
            && expected != found
        {
            return Some(format!("{name}:{found}"));
        }
    }
    row.is_undigested().then(|| "the manifest has no digest of it: nothing shows that this is the file".to_owned())
}

/// The files beside the payload, and their digests.
fn write_tags(bag: &Path, manifest: &Manifest, bagged: &Bagged) -> std::io::Result<()> {
    let date = Timestamp::now().to_string();
    let info = format!(
        "Bag-Software-Agent: attestore {}\nBagging-Date: {}\nExternal-Identifier: {}\nPayload-Oxum: {}.{}\n",
        env!("CARGO_PKG_VERSION"),
        date.get(..10).unwrap_or(&date),
        manifest.digest(),
        bagged.bytes,
        bagged.files
    );
    std::fs::write(bag.join(bag_files::DECLARATION), bag_files::DECLARED)?;
    std::fs::write(bag.join(bag_files::INFO), info)?;
    let mut tags = String::new();
    for name in [bag_files::INFO, bag_files::DECLARATION, bag_files::PAYLOAD_MANIFEST] {
        let mut hasher = Hasher::new(DigestSet::SHA256);
        let mut file = File::open(bag.join(name))?;
        let mut block = vec![0; 1 << 16];
        loop {
            match file.read(&mut block)? {
                0 => break,
                n => hasher.update(&block[..n]),
            }
        }
        let digest = hasher.finish().sha256.expect("SHA-256 was asked for");
        tags.push_str(&format!("{digest}  {name}\n"));
    }
    std::fs::write(bag.join(bag_files::TAG_MANIFEST), tags)
}
