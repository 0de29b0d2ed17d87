//! From a manifest to the list that an S3 Batch Operations job works through: `Bucket,Key,VersionId` in CSV, keys URL-encoded.
//!
//! The form is that of the S3 user guide, "Specifying a manifest"; the job that fits is *Compute checksum*, whose completion report
//! `manifest observe` reads. Either all lines have a version id or none has. Delete markers have no content and no line.

use std::io::Write;

use crate::model::failure::Failure;
use crate::model::source_url::SourceUrl;
use crate::verify::manifest::exchange::export::Exported;
use crate::verify::manifest::reader::Manifest;
use crate::verify::objects::source::EntryKind;

/// Everything but what a URL keeps; `/` stays readable, as S3's own inventories have it.
const ENCODED: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Writes the list of `manifest`'s objects, of all versions where it has their ids, to `out`.
///
/// # Errors
/// [`crate::model::failure::FailureKind::Invalid`] where the manifest is of no bucket.
pub fn export_batch(manifest: &Manifest, out: &mut dyn Write) -> Result<Exported, Failure> {
    let header = manifest.header();
    let Ok(SourceUrl::S3 { bucket, .. }) = header.source.parse() else {
        let said = format!("manifest {} is of {}, and a batch job works on a bucket", manifest.dir().display(), header.source);
        return Err(Failure::invalid(said).hint("export the manifest of an s3:// source"));
    };
    let mut exported = Exported::default();
    let mut with_ids: Option<bool> = None;
    for row in manifest.objects() {
        let row = row?;
        match row.kind {
            EntryKind::DeleteMarker => exported.delete_markers += 1,
            EntryKind::Symlink => exported.symlinks += 1,
            EntryKind::Object => {
                let has_id = row.version_id.is_some();
                if *with_ids.get_or_insert(has_id) != has_id {
                    let said = format!("`{}`: some rows have a version id and some have none", row.key.escape_debug());
                    return Err(Failure::invalid(said).hint("capture the bucket again with one view"));
                }
                let key = percent_encoding::utf8_percent_encode(&row.key, ENCODED);
                let line = match &row.version_id {
                    Some(id) => writeln!(out, "{bucket},{key},{id}"),
                    None => writeln!(out, "{bucket},{key}"),
                };
                line.map_err(|error| Failure::io("cannot write the list", error))?;
                exported.lines += 1;
            }
        }
    }
    out.flush().map_err(|error| Failure::io("cannot write the list", error))?;
    Ok(exported)
}
