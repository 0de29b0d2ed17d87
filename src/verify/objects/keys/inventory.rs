//! S3 Inventory on disk: `manifest.json` held to the MD5 in `manifest.checksum`, and each of its files to the MD5 that it states.
//!
//! The layout is that of the destination bucket (S3 user guide, "Locating your inventory list"): the files lie at their own keys, which
//! are looked for below the directories above `manifest.json`, then beside it.
//!
//! Not here: what is in the files (`inventory_rows`).

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use md5::Digest as _;
use serde::Deserialize;

use crate::model::clock::Timestamp;
use crate::model::failure::{Failure, FailureKind};

/// A manifest of an inventory is never larger.
const MANIFEST_LIMIT_BYTES: u64 = 64 << 20;

/// The formats that inventories come in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// CSV, gzipped.
    Csv,
    /// Apache Parquet.
    Parquet,
}

/// An inventory whose manifest holds.
#[derive(Clone, Debug)]
pub struct Inventory {
    /// The bucket that was listed.
    pub bucket: String,
    /// When the listing was begun.
    pub created_at: Option<Timestamp>,
    /// What the files are.
    pub format: Format,
    /// The columns of CSV files, in their order.
    pub columns: Vec<String>,
    /// Whether it lists every version, and says which is the latest.
    pub has_versions: bool,
    /// The files.
    pub files: Vec<InventoryFile>,
}

/// One file of an inventory.
#[derive(Clone, Debug)]
pub struct InventoryFile {
    /// Its key in the destination bucket.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// MD5 in lower-case hex.
    pub md5: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stated {
    source_bucket: String,
    #[serde(default)]
    creation_timestamp: Option<String>,
    file_format: String,
    file_schema: String,
    files: Vec<StatedFile>,
}

#[derive(Deserialize)]
struct StatedFile {
    key: String,
    size: u64,
    #[serde(rename = "MD5checksum")]
    md5: String,
}

impl Inventory {
    /// Reads the manifest at `path`; `manifest.checksum` beside it must be there and agree.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let cannot = |error| Failure::invalid(format!("cannot read the inventory {shown}: {error}"));
        if std::fs::metadata(path).map_err(cannot)?.len() > MANIFEST_LIMIT_BYTES {
            return Err(Failure::invalid(format!("the inventory {shown}: expected at most {MANIFEST_LIMIT_BYTES} bytes")));
        }
        let bytes = std::fs::read(path).map_err(cannot)?;
        let checksum = path.with_extension("checksum");
        let stated = std::fs::read_to_string(&checksum).map_err(|error| {
            Failure::invalid(format!("cannot read {}: {error}", checksum.display()))
                .hint("S3 puts manifest.checksum beside manifest.json when the inventory is complete: fetch it too")
        })?;
        let found = hex::encode(md5::Md5::digest(&bytes));
        if !stated.trim().eq_ignore_ascii_case(&found) {
            let stated: String = stated.trim().chars().take(40).flat_map(char::escape_default).collect();
            return Err(bad(format!("the inventory {shown}: manifest.checksum says {stated}, the manifest's MD5 is {found}")));
        }
        Self::parse(&bytes).map_err(|said| Failure::invalid(format!("the inventory {shown}: {said}")))
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let stated: Stated = serde_json::from_slice(bytes).map_err(|error| format!("not an inventory's manifest: {error}"))?;
        let format = match stated.file_format.as_str() {
            "CSV" => Format::Csv,
            "Parquet" => Format::Parquet,
            other => return Err(format!("expected files in CSV or Parquet, found {}", other.escape_default())),
        };
        let schema = stated.file_schema.to_lowercase().replace('_', "");
        let columns = match format {
            Format::Csv => stated.file_schema.split(',').map(|name| name.trim().to_owned()).collect(),
            // The files have their schema with them.
            Format::Parquet => Vec::new(),
        };
        let millis = stated.creation_timestamp.and_then(|text| text.parse::<i64>().ok());
        let files = stated.files.into_iter().map(|file| InventoryFile { key: file.key, size: file.size, md5: file.md5.to_lowercase() });
        Ok(Self {
            bucket: stated.source_bucket,
            created_at: millis.and_then(|millis| millis.checked_mul(1000)).map(Timestamp),
            format,
            columns,
            has_versions: schema.contains("versionid") && schema.contains("islatest"),
            files: files.collect(),
        })
    }
}

impl InventoryFile {
    /// Where the file is on disk, held to its size and its MD5.
    pub fn find(&self, manifest: &Path) -> Result<PathBuf, Failure> {
        let path = self.path(manifest)?;
        let cannot = |error| Failure::io(format!("cannot read {}", path.display()), error);
        let mut file = File::open(&path).map_err(cannot)?;
        let length = file.metadata().map_err(cannot)?.len();
        if length != self.size {
            return Err(bad(format!("{}: the inventory states {} bytes, the file has {length}", path.display(), self.size)));
        }
        let mut digest = md5::Md5::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = file.read(&mut buffer).map_err(cannot)?;
            if read == 0 {
                break;
            }
            digest.update(&buffer[..read]);
        }
        let found = hex::encode(digest.finalize());
        if found != self.md5 {
            return Err(bad(format!("{}: the inventory states the MD5 {}, the file's is {found}", path.display(), self.md5)));
        }
        Ok(path)
    }

    fn path(&self, manifest: &Path) -> Result<PathBuf, Failure> {
        let parts: Vec<&str> = self.key.split('/').filter(|part| !part.is_empty()).collect();
        // A hostile manifest must not lead elsewhere.
        let plain = !parts.is_empty() && parts.iter().all(|part| !matches!(*part, "." | "..") && !part.contains('\0'));
        let name = parts.last().filter(|_| plain).ok_or_else(|| {
            Failure::invalid(format!("the inventory names a file `{}`, which cannot be a path", self.key.escape_default()))
        })?;
        let above = manifest.ancestors().skip(1);
        let whole = above.clone().map(|directory| parts.iter().fold(directory.to_owned(), |path, part| path.join(part)));
        let beside = above.take(2).flat_map(|directory| [directory.join(name), directory.join("data").join(name)]);
        let found = whole.chain(beside).find(|path| path.is_file());
        found.ok_or_else(|| {
            Failure::new(FailureKind::Absent, format!("the inventory's file {} is not below {}", self.key, manifest.display()))
                .hint("fetch the inventory with its data: `aws s3 sync s3://DESTINATION/PREFIX DIR`")
        })
    }
}

fn bad(said: String) -> Failure {
    Failure::new(FailureKind::BadEvidence, said).hint("fetch it again from the destination bucket")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MANIFEST: &str = r#"{"sourceBucket":"vault","destinationBucket":"arn:aws:s3:::lists","version":"2016-11-30",
        "creationTimestamp":"1514944800000","fileFormat":"CSV","fileSchema":"Bucket, Key, Size",
        "files":[{"key":"p/vault/id/data/x.csv.gz","size":3,"MD5checksum":"900150983CD24FB0D6963F7D28E17F72"}]}"#;

    fn written(dir: &Path, manifest: &str, checksum: &str) -> PathBuf {
        let below = dir.join("p/vault/id/2026-01-31T00-00Z");
        std::fs::create_dir_all(&below).unwrap();
        std::fs::create_dir_all(dir.join("p/vault/id/data")).unwrap();
        std::fs::write(below.join("manifest.json"), manifest).unwrap();
        std::fs::write(below.join("manifest.checksum"), checksum).unwrap();
        below.join("manifest.json")
    }

    #[test]
    fn a_manifest_and_its_files_are_held_to_their_md5() {
        let dir = tempfile::tempdir().unwrap();
        let md5 = hex::encode(md5::Md5::digest(MANIFEST));
        let path = written(dir.path(), MANIFEST, &format!("{md5}\n"));
        let inventory = Inventory::open(&path).unwrap();
        assert_eq!((inventory.bucket.as_str(), inventory.format, inventory.columns.len()), ("vault", Format::Csv, 3));
        assert_eq!((inventory.created_at, inventory.has_versions), (Some(Timestamp::from_secs(1_514_944_800)), false));
        let file = &inventory.files[0];
        assert_eq!(file.find(&path).unwrap_err().kind, FailureKind::Absent);
        let data = dir.path().join("p/vault/id/data/x.csv.gz");
        std::fs::write(&data, "abc").unwrap();
        assert_eq!(file.find(&path).unwrap(), data);
        std::fs::write(&data, "abd").unwrap();
        assert_eq!(file.find(&path).unwrap_err().kind, FailureKind::BadEvidence);
        std::fs::write(&data, "abcd").unwrap();
        assert!(file.find(&path).unwrap_err().message.contains("states 3 bytes"));
        let path = written(dir.path(), MANIFEST, "0");
        assert_eq!(Inventory::open(&path).unwrap_err().kind, FailureKind::BadEvidence);
        std::fs::remove_file(path.with_extension("checksum")).unwrap();
        assert!(Inventory::open(&path).unwrap_err().hint.unwrap().contains("manifest.checksum"));
    }

    #[test]
    fn a_hostile_file_name_leads_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        for key in ["../../etc/passwd", "", "/", "a/../b"] {
            let file = InventoryFile { key: key.into(), size: 0, md5: String::new() };
            assert!(file.find(&dir.path().join("manifest.json")).unwrap_err().message.contains("cannot be a path"), "{key}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_manifest_or_a_mistake(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Inventory::parse(&bytes);
        }
    }
}
