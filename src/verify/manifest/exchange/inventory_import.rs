//! From an S3 Inventory to a manifest of the tier `inventory`: what S3 listed, at the time of the inventory, without a request.
//!
//! Every file is held to the MD5 that the inventory states, and that statement to `manifest.checksum`: S3's own words, which S3 can be
//! compared with later. Not here: reading the files (`verify::objects::keys`), and reading contents by an inventory's keys, which is
//! `manifest create --keys-from`.

use crate::model::digest::Digest32;
use crate::model::failure::{Failure, FailureKind};
use crate::model::source_url::{SourceUrl, View};
use crate::monitor::Monitor;
use crate::signing::keys::SigningKey;
use crate::verify::manifest::exchange::import::{self, EVIDENCE, Held, ImportRequest, Writing};
use crate::verify::manifest::header::{Header, Imported};
use crate::verify::manifest::row::ObjectRow;
use crate::verify::manifest::writer::refuse_existing;
use crate::verify::objects::keys::inventory::Inventory;
use crate::verify::objects::keys::listed::rows_of_inventory;

/// Rows between two looks at whether it should stop.
const STOP_ROWS: u64 = 65_536;

/// Imports the inventory whose `manifest.json` is `request.file`. The source must be the bucket that it lists; below a prefix, only
/// the keys that begin with it are taken.
pub fn import_inventory(request: &ImportRequest, signer: Option<(&str, &SigningKey)>, monitor: &dyn Monitor) -> Result<Header, Failure> {
    refuse_existing(&request.out)?;
    let inventory = Inventory::open(&request.file)?;
    let prefix = prefix_of(request, &inventory)?;
    let bytes = std::fs::read(&request.file).map_err(|error| Failure::io(format!("cannot read {}", request.file.display()), error))?;
    let imported = Imported {
        format: "s3-inventory".to_owned(),
        file: import::file_name(&request.file),
        sha256: Digest32::sha256(&bytes),
        evidence: EVIDENCE.to_owned(),
    };
    let created = inventory.created_at.or(request.captured).ok_or_else(|| {
        Failure::invalid(format!("the inventory {} does not say when it was made", request.file.display()))
            .hint("say it with --captured TIME")
    })?;
    let versions = inventory.has_versions;
    let view = if versions { View::Versions } else { View::Latest };
    let rows = rows_of_inventory(&request.file, &inventory, &prefix, versions)?;
    let mut writing = Writing::begin(request, imported, created, Held::Listing(view))?;
    for (number, row) in (0u64..).zip(rows) {
        let row = row?;
        // As a capture of the latest versions has it: by its ETag, without a version id.
        let version_id = row.version_id.clone().filter(|_| versions);
        writing.push(&ObjectRow { version_id, ..row })?;
        if number % STOP_ROWS == 0 && monitor.stop_requested() {
            return Err(Failure::new(FailureKind::Interrupted, "the import was stopped; nothing was written"));
        }
    }
    writing.finish(signer)
}

/// The source that an inventory describes, where nobody says otherwise.
pub fn source_of(inventory: &Inventory) -> SourceUrl {
    SourceUrl::S3 { bucket: inventory.bucket.clone(), prefix: String::new() }
}

fn prefix_of(request: &ImportRequest, inventory: &Inventory) -> Result<String, Failure> {
    match request.source.parse() {
        Ok(SourceUrl::S3 { bucket, prefix }) if bucket == inventory.bucket => Ok(prefix),
        _ => Err(Failure::invalid(format!(
            "the inventory {} is of bucket {}, and the source is {}",
            request.file.display(),
            inventory.bucket,
            request.source
        ))
        .hint("leave --source out, or name that bucket, below a prefix if you like")),
    }
}
