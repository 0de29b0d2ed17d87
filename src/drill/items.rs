//! Reading DynamoDB items for a drill: the restored table, and the export that says what changed around its moment.

use std::sync::Arc;

use crate::aws::dynamodb::TableSource;
use crate::aws::dynamodb_export;
use crate::aws::session::Session;
use crate::model::capture::CaptureMode;
use crate::model::clock::Timestamp;
use crate::model::failure::Failure;
use crate::model::source_url::SourceUrl;
use crate::model::verification::Verification;
use crate::monitor::{Event, Monitor};
use crate::signing::hash_key::HashKey;
use crate::verify::items::changes::{BACKUP_WINDOW_S, Evidence, SECOND_WINDOW_S, Touched};
use crate::verify::items::compare::{Beside, compare_with, primary_key_of};
use crate::verify::items::item::KeySchema;
use crate::verify::items::scan::{ItemTap, ScanOptions, hasher, scan};
use crate::verify::items::source::ItemSource;
use crate::verify::manifest::reader::Manifest;

/// Compares a table with a manifest. `until` is the moment that the table shows, where that is known.
pub async fn compare(
    session: &Session,
    table: &str,
    manifest: &Manifest,
    until: Option<Timestamp>,
    hash_key: &HashKey,
    tap: Option<&mut dyn ItemTap>,
    monitor: &dyn Monitor,
) -> Result<Verification, Failure> {
    let source = TableSource::open(session, table).await?;
    let schema = source.key_schema().await?;
    let touched = touched(session, None, manifest, until, &schema, hash_key, monitor).await?;
    let beside = Beside { tap, touched: touched.as_ref(), shown_at: until };
    compare_with(Arc::new(source), manifest, hash_key, &ScanOptions::default(), beside, monitor).await
}

/// The primary key of a table.
pub async fn key_schema(session: &Session, table: &str) -> Result<KeySchema, Failure> {
    TableSource::open(session, table).await?.key_schema().await
}

/// Reads a table for nothing but `tap`.
///
/// # Errors
/// Whatever kept an item from being read: checks on a part of a table would say nothing of the whole.
pub async fn fill(session: &Session, table: &str, tap: &mut dyn ItemTap, hash_key: &HashKey, monitor: &dyn Monitor) -> Result<(), Failure> {
    let source: Arc<dyn ItemSource> = Arc::new(TableSource::open(session, table).await?);
    let scanned = scan(&source, &ScanOptions::default(), hash_key, Some(tap), monitor).await?;
    scanned.cut_short.map_or(Ok(()), Err)
}

/// The keys that an incremental export names: the one of `named`, else the one that the manifest was captured with; nothing where there is neither.
///
/// # Errors
/// An export that cannot be read or whose window does not hold both moments: evidence that was promised and does not hold is not left out in silence.
pub async fn touched(
    session: &Session,
    named: Option<&SourceUrl>,
    manifest: &Manifest,
    until: Option<Timestamp>,
    schema: &KeySchema,
    hash_key: &HashKey,
    monitor: &dyn Monitor,
) -> Result<Option<Touched>, Failure> {
    let header = manifest.header();
    let url: SourceUrl = match (named, header.position.as_ref().and_then(|position| position.get("changes")).and_then(|url| url.as_str())) {
        (Some(url), _) => url.clone(),
        (None, Some(url)) => url.parse()?,
        (None, None) => return Ok(None),
    };
    let SourceUrl::DynamodbExport { bucket, prefix, .. } = &url else {
        return Err(Failure::invalid(format!("{url}: expected an incremental export, `dynamodb-export:s3://…`")));
    };
    let export = dynamodb_export::open(session, bucket, prefix, &url.to_string()).await?;
    let (evidence, before, after) = match header.mode {
        CaptureMode::ExportExact => (Evidence::SameSecond, SECOND_WINDOW_S, SECOND_WINDOW_S),
        _ => (Evidence::Between, BACKUP_WINDOW_S, BACKUP_WINDOW_S),
    };
    let since = header.captured_start.plus_secs(-before);
    let until = until.unwrap_or(header.captured_end).max(header.captured_end).plus_secs(after);
    let schema = primary_key_of(manifest).unwrap_or_else(|| schema.clone());
    let touched = Touched::load(&export, &mut hasher(hash_key, &schema), evidence, since, until).await?;
    monitor.event(Event::Note(&format!("{url}: {} keys were written since {since}", touched.count())));
    Ok(Some(touched))
}
