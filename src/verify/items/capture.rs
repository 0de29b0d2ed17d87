//! Capturing a table's items into a manifest: one schema leaf, the bucket leaves, and the sidecar.
//!
//! Not here: how the table was made to stand still; the capture mode says what its operator declares.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::clock::Timestamp;
use crate::model::failure::Failure;
use crate::monitor::Monitor;
use crate::signing::hash_key::HashKey;
use crate::signing::keys::SigningKey;
use crate::verify::items::canonical::ENCODING;
use crate::verify::items::digest::schema_digest;
use crate::verify::items::scan::{ScanOptions, Scanned, scan, table_of};
use crate::verify::items::source::ItemSource;
use crate::verify::manifest::header::{Header, ManifestKind};
use crate::verify::manifest::request::CaptureRequest;
use crate::verify::manifest::row::{LeafKind, LeafRow, SidecarRow};
use crate::verify::manifest::writer::{Draft, Finish, ManifestWriter};

/// Captures the table with the usual number of segments.
///
/// # Errors
/// Whatever kept an item from being read: a manifest of a part of a table would prove nothing.
pub async fn capture(
    source: Arc<dyn ItemSource>,
    request: &CaptureRequest,
    hash_key: &HashKey,
    signer: Option<(&str, &SigningKey)>,
    monitor: &dyn Monitor,
) -> Result<Header, Failure> {
    capture_with(source, request, &ScanOptions::default(), hash_key, signer, monitor).await
}

/// The same with scan options of the caller's.
pub async fn capture_with(
    source: Arc<dyn ItemSource>,
    request: &CaptureRequest,
    options: &ScanOptions,
    hash_key: &HashKey,
    signer: Option<(&str, &SigningKey)>,
    monitor: &dyn Monitor,
) -> Result<Header, Failure> {
    let url = source.url();
    let draft = Draft {
        kind: ManifestKind::Items,
        source: url.clone(),
        captured_start: Timestamp::now(),
        mode: request.mode,
        recovery_point_id: request.recovery_point_id.clone(),
        encoding: ENCODING.to_owned(),
        hash_key_id: Some(hash_key.id()),
        digests: vec!["blake3".to_owned()],
        view: None,
        choices: Default::default(),
    };
    // Before the first read: a directory that cannot be written is found out for nothing.
    let mut writer = ManifestWriter::create(&request.out, draft)?;
    let mut scanned = scan(&source, options, hash_key, monitor).await?;
    let captured_end = Timestamp::now();
    if let Some(failure) = scanned.cut_short.take() {
        return Err(failure.context(format!("{url} was not captured")));
    }
    if !scanned.unreadable.is_empty() {
        let (_, name, failure) = scanned.unreadable.swap_remove(0);
        return Err(failure.context(format!("{url} was not captured: {name} is unreadable")));
    }
    write_rows(&mut writer, table_of(&url), &scanned, request.sidecar_max_rows)?;
    let counts =
        BTreeMap::from([("bytes".to_owned(), scanned.bytes), ("items".to_owned(), scanned.fingerprint.rows()), ("tables".to_owned(), 1)]);
    writer.finish(Finish { captured_end: Some(captured_end), counts, ..Finish::default() }, signer)
}

fn write_rows(writer: &mut ManifestWriter, table: &str, scanned: &Scanned, sidecar_max_rows: u64) -> Result<(), Failure> {
    let key = table.to_owned();
    for leaf in scanned.fingerprint.leaves() {
        let leaf = leaf?;
        let row =
            LeafRow { key: key.clone(), kind: LeafKind::Bucket, seq: leaf.index, rows: leaf.rows, digest: leaf.digest, bits: leaf.bits };
        writer.push_leaf(&row)?;
    }
    let digest = schema_digest(&scanned.schema);
    writer.push_leaf(&LeafRow { key: key.clone(), kind: LeafKind::Schema, seq: 0, rows: 0, digest, bits: 0 })?;
    if scanned.fingerprint.rows() <= sidecar_max_rows {
        for pair in scanned.fingerprint.sidecar() {
            let (key_hash, row_hash) = pair?;
            writer.push_sidecar(&SidecarRow { key: key.clone(), key_hash, row_hash })?;
        }
    }
    Ok(())
}
