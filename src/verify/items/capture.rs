//! Capturing a table's items into a manifest: one schema leaf, the bucket leaves, and the sidecar.
//!
//! Not here: how the table was made to stand still; the capture mode says what its operator declares.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;

use crate::model::clock::Timestamp;
use crate::model::failure::Failure;
use crate::monitor::{Event, Monitor};
use crate::signing::hash_key::HashKey;
use crate::signing::keys::SigningKey;
use crate::verify::fingerprint::Fingerprint;
use crate::verify::items::canonical::ENCODING;
use crate::verify::items::digest::schema_digest;
use crate::verify::items::scan::{ItemTap, ScanOptions, Scanned, end_in, scan};
use crate::verify::items::source::ItemSource;
use crate::verify::manifest::header::{Header, ManifestKind};
use crate::verify::manifest::request::CaptureRequest;
use crate::verify::manifest::row::{LeafKind, LeafRow, SidecarRow};
use crate::verify::manifest::writer::{Draft, Finish, ManifestWriter};

/// The key of every row of a manifest of items: a table that was restored under another name has the same root.
pub const ROW_KEY: &str = "items";

/// Sees every item of a capture, and says at its end what checks will be compared with.
#[async_trait]
pub trait Witness: ItemTap {
    /// For the manifest's `baselines`.
    async fn baselines(&mut self, monitor: &dyn Monitor) -> Result<BTreeMap<String, String>, Failure>;
}

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
    capture_before(source, request, (options, None), hash_key, signer, monitor).await
}

/// The same before a witness; a scan that is witnessed keeps no state.
pub async fn capture_before(
    source: Arc<dyn ItemSource>,
    request: &CaptureRequest,
    (options, mut witness): (&ScanOptions, Option<&mut dyn Witness>),
    hash_key: &HashKey,
    signer: Option<(&str, &SigningKey)>,
    monitor: &dyn Monitor,
) -> Result<Header, Failure> {
    let url = source.url();
    let moment = source.moment();
    let mode = moment.as_ref().map_or(request.mode, |moment| if request.mode.is_bounded() { request.mode } else { moment.mode });
    let draft = Draft {
        kind: ManifestKind::Items,
        source: format!("dynamodb:{}", source.table()),
        captured_start: moment.as_ref().map_or_else(Timestamp::now, |moment| moment.at),
        mode,
        recovery_point_id: request.recovery_point_id.clone().or_else(|| moment.as_ref().map(|moment| moment.point.clone())),
        encoding: ENCODING.to_owned(),
        hash_key_id: Some(hash_key.id()),
        digests: vec!["blake3".to_owned()],
        view: None,
        choices: Default::default(),
    };
    // Before the first read: a directory that cannot be written is found out for nothing.
    let mut writer = ManifestWriter::create(&request.out, draft)?;
    let time_to_live = match &options.time_to_live {
        Some(named) => Some(named.clone()),
        None => source.time_to_live().await.unwrap_or_else(|failure| {
            monitor
                .event(Event::Note(&format!("{url}: {failure}; when items expire is not recorded, and one that is gone later is missing")));
            None
        }),
    };
    let options = &ScanOptions { time_to_live, ..options.clone() };
    let tap = witness.as_deref_mut().map(|witness| witness as &mut dyn ItemTap);
    let mut scanned = scan(&source, options, hash_key, tap, monitor).await?;
    let captured_end = moment.as_ref().map_or_else(Timestamp::now, |moment| moment.at);
    if let Some(failure) = scanned.cut_short.take() {
        return Err(failure.context(format!("{url} was not captured")));
    }
    if !scanned.unreadable.is_empty() {
        let unreadable = scanned.unreadable.swap_remove(0);
        return Err(unreadable.failure.context(format!("{url} was not captured: {} is unreadable", unreadable.name)));
    }
    write_rows(&mut writer, &scanned, request.sidecar_max_rows)?;
    let counts =
        BTreeMap::from([("bytes".to_owned(), scanned.bytes), ("items".to_owned(), scanned.fingerprint.rows()), ("tables".to_owned(), 1)]);
    let mut position = match moment {
        Some(moment) => moment.position,
        None => json!({}),
    };
    position["primary_key"] = json!(scanned.schema.0);
    position["read_from"] = json!(url);
    if let Some(name) = &options.time_to_live {
        position["time_to_live"] = json!(name);
    }
    if let Some(names) = &scanned.projection {
        position["projection"] = json!(names);
    }
    if let Some(began_at) = scanned.began_at {
        // Gone on with: what was read first is as old as that.
        position["began_at"] = json!(began_at);
    }
    if let Some(changes) = &options.changes {
        position["changes"] = json!(changes);
    }
    let baselines = match witness {
        Some(witness) => witness.baselines(monitor).await?,
        None => BTreeMap::new(),
    };
    writer.finish(Finish { captured_end: Some(captured_end), counts, position: Some(position), baselines }, signer)
}

fn write_rows(writer: &mut ManifestWriter, scanned: &Scanned, sidecar_max_rows: u64) -> Result<(), Failure> {
    let key = ROW_KEY.to_owned();
    for leaf in scanned.fingerprint.leaves() {
        let leaf = leaf?;
        let row =
            LeafRow { key: key.clone(), kind: LeafKind::Bucket, seq: leaf.index, rows: leaf.rows, digest: leaf.digest, bits: leaf.bits };
        writer.push_leaf(&row)?;
    }
    let digest = schema_digest(&scanned.schema);
    writer.push_leaf(&LeafRow { key: key.clone(), kind: LeafKind::Schema, seq: 0, rows: 0, digest, bits: 0 })?;
    if scanned.fingerprint.rows() <= sidecar_max_rows {
        let mut ends = scanned.ends.iter().flat_map(Fingerprint::sidecar).peekable();
        for pair in scanned.fingerprint.sidecar() {
            let (key_hash, row_hash) = pair?;
            // Both lists are in the order of their key hashes, and each key comes once.
            let end = ends.next_if(|end| end.as_ref().map_or(true, |(of, _)| *of == key_hash)).transpose()?;
            writer.push_sidecar(&SidecarRow { key: key.clone(), key_hash, row_hash, expires_s: end.map(end_in) })?;
        }
    }
    Ok(())
}
