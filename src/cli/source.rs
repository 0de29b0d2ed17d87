//! Opening what a source URL names, for the commands that read sources: one place that knows which room reads what.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::aws::dynamodb::TableSource;
use crate::aws::dynamodb_export;
use crate::aws::rds_token::RdsTokens;
use crate::aws::s3::S3Source;
use crate::aws::s3_archive::Thaw;
use crate::aws::s3_customer_keys::CustomerKeys;
use crate::aws::session::{Session, SessionOptions};
use crate::cli::keys;
use crate::cli::scan_args::ScanArgs;
use crate::drill::position;
use crate::estate::config::Config;
use crate::model::capture::CaptureMode;
use crate::model::clock::Timestamp;
use crate::model::failure::Failure;
use crate::model::source_url::{SourceUrl, View};
use crate::model::verification::Verification;
use crate::monitor::{Event, Monitor};
use crate::signing::hash_key::HashKey;
use crate::signing::keys::SigningKey;
use crate::verify::items;
use crate::verify::items::capture::Witness;
use crate::verify::items::compare::Beside;
use crate::verify::items::export_files::ExportSource;
use crate::verify::items::item::KeySchema;
use crate::verify::items::source::ItemSource;
use crate::verify::manifest::header::Header;
use crate::verify::manifest::reader::Manifest;
use crate::verify::manifest::request::{CaptureRequest, ReadOptions};
use crate::verify::objects;
use crate::verify::objects::dir::DirSource;
use crate::verify::objects::keys::text::Form;
use crate::verify::objects::source::ObjectSource;
use crate::verify::sql;
use crate::verify::sql::checks::pack::Pack;
use crate::verify::sql::checks::recording;
use crate::verify::sql::compare::database::Restored;
use crate::verify::sql::connect::access::Access;
use crate::verify::sql::items::ItemBaselines;
use crate::verify::sql::reading::Limits;

/// What reading needs besides the URL; everything may be absent.
#[derive(Debug, Default)]
pub struct Means {
    /// Which state of a bucket is read.
    pub view: Option<View>,
    /// The key that rows and items are digested with.
    pub hash_key: Option<PathBuf>,
    /// A CA bundle for TLS to a database.
    pub tls_ca: Option<PathBuf>,
    /// How long a database is waited for, and how many sessions read it at once.
    pub limits: Limits,
    /// How AWS is reached.
    pub session: SessionOptions,
    /// How tables of items are scanned.
    pub scan: ScanArgs,
    /// What is asked of archived objects.
    pub thaw: Option<Thaw>,
    /// The time that a database was restored to, where it is known.
    pub restored_to: Option<Timestamp>,
    /// Keys of objects under SSE-C.
    pub customer_keys: CustomerKeys,
    /// A list of keys, read instead of listing a bucket, and its form.
    pub keys: Option<(String, Option<Form>)>,
    /// Check packs whose baselines and canaries a capture records.
    pub packs: Vec<Pack>,
    /// What the tables and columns of checks are called in this source.
    pub names: BTreeMap<String, String>,
}

impl Means {
    /// Takes what is absent from `config`.
    pub fn complete_from(&mut self, config: &Config) {
        self.hash_key.get_or_insert_with(|| config.keys.hash.clone());
        if let Some(aws) = &config.aws {
            self.session.region.get_or_insert_with(|| aws.region.clone());
            self.session.profile = self.session.profile.take().or_else(|| aws.profile.clone());
            self.session.endpoint = self.session.endpoint.take().or_else(|| aws.endpoint.clone());
        }
    }

    /// How a database is reached.
    pub fn access(&self) -> Access {
        let tokens = Arc::new(RdsTokens::of_options(self.session.clone()));
        Access { tls_ca: self.tls_ca.clone(), limits: self.limits, tokens: Some(tokens), ..Access::default() }
    }

    fn hash_key(&self, url: &SourceUrl) -> Result<HashKey, Failure> {
        let path = self.hash_key.as_deref().ok_or_else(|| {
            Failure::invalid(format!("{url}: rows and items are digested with a hash key, and none was named"))
                .hint("name it with --hash-key FILE, or the configuration that has one with --config FILE; `attestore init` makes both")
        })?;
        HashKey::load(path)
    }
}

/// The item source that `url` names, and the session that it is read with; nothing for anything else. An export of a table that cannot be asked has the
/// primary key of its URL, else of the manifest.
pub async fn items_of(
    url: &SourceUrl,
    manifest: Option<&Manifest>,
    means: &Means,
) -> Result<Option<(Arc<dyn ItemSource>, Session)>, Failure> {
    let session = match url {
        SourceUrl::Dynamodb { .. } | SourceUrl::DynamodbExport { .. } => Session::open(&means.session).await?,
        _ => return Ok(None),
    };
    Ok(match url {
        SourceUrl::Dynamodb { table } => Some((Arc::new(TableSource::open(&session, table).await?), session)),
        SourceUrl::DynamodbExport { bucket, prefix, key } => {
            let export = dynamodb_export::open(&session, bucket, prefix, &url.to_string()).await?;
            let (schema, time_to_live) = match (&key[..], manifest.and_then(items::compare::primary_key_of)) {
                ([], Some(schema)) => (schema, None),
                ([], None) => {
                    let table = dynamodb_export::table(&session, &export).await?;
                    (table.key_schema().await?, table.time_to_live().await?)
                }
                (names, _) => (KeySchema(names.to_vec()), None),
            };
            Some((Arc::new(ExportSource::new(export, schema)?.expiring(time_to_live)), session))
        }
        _ => None,
    })
}

/// The object source that `url` names; nothing for a database or a table.
async fn objects_of(
    url: &SourceUrl,
    view: Option<View>,
    captured_from: Option<&str>,
    means: &Means,
) -> Result<Option<Box<dyn ObjectSource>>, Failure> {
    match url {
        SourceUrl::Dir { path } => {
            refuse_view(url, means.view)?;
            refuse_keys(url, means)?;
            Ok(Some(Box::new(DirSource::open(path)?)))
        }
        SourceUrl::S3 { bucket, prefix } => {
            let session = Session::open(&means.session).await?;
            // The dates of a restored copy are those of the restore: the instant then only says which versions are expected.
            let elsewhere = captured_from.is_some_and(|source| source != url.to_string());
            let view = match means.view.or(view) {
                Some(View::At(_)) if elsewhere => Some(View::Latest),
                view => view,
            };
            if let Some(View::At(time)) = view
                && time > Timestamp::now()
            {
                return Err(Failure::invalid(format!("--view at={time} lies in the future")));
            }
            let source = S3Source::open(&session, bucket, prefix, view).await?;
            let source = source.with_thaw(means.thaw.clone()).with_customer_keys(means.customer_keys.clone());
            Ok(Some(match &means.keys {
                Some((list, form)) => Box::new(keys::open(&session, Arc::new(source), (bucket, prefix), list, *form).await?),
                None => Box::new(source),
            }))
        }
        _ => {
            refuse_view(url, means.view)?;
            refuse_keys(url, means)?;
            Ok(None)
        }
    }
}

fn refuse_keys(url: &SourceUrl, means: &Means) -> Result<(), Failure> {
    if means.keys.is_none() {
        return Ok(());
    }
    Err(Failure::invalid(format!("{url} is listed by itself; a list of keys stands for the listing of a bucket"))
        .hint("leave --keys-from out"))
}

fn refuse_view(url: &SourceUrl, view: Option<View>) -> Result<(), Failure> {
    if view.is_none() {
        return Ok(());
    }
    Err(Failure::invalid(format!("{url} has no versions, and --view chooses among versions")).hint("leave --view out"))
}

/// Captures `url` into the manifest that `request` describes; without a `mode` it takes the source's usual one.
pub async fn capture(
    url: &SourceUrl,
    mode: Option<CaptureMode>,
    mut request: CaptureRequest,
    means: &Means,
    signer: Option<(&str, &SigningKey)>,
    monitor: &dyn Monitor,
) -> Result<Header, Failure> {
    if let Some(mode) = mode {
        check_mode(url, mode)?;
    }
    if let Some(source) = objects_of(url, None, None, means).await? {
        let latest = source.view() == Some(View::Latest);
        if latest && mode == Some(CaptureMode::VersionExact) {
            return Err(Failure::invalid(format!("{url}: the mode version-exact needs every version, and the view is not `versions`"))
                .hint("leave --mode out, or use `--view versions` on a bucket that has versioning"));
        }
        // A bucket is written to while it is read: without versions, what was there at one moment is known only of keys left alone meanwhile.
        let is_live_view = latest && matches!(url, SourceUrl::S3 { .. });
        request.mode = mode.unwrap_or(if is_live_view { CaptureMode::WindowBounded } else { usual_mode(url) });
        return objects::capture::capture(source.as_ref(), &request, signer, monitor).await;
    }
    let is_prefix = request.tables.watermark.is_some() || !request.tables.closed.is_empty();
    let prefix = is_prefix.then_some(CaptureMode::AppendPrefix);
    request.mode = mode.or(prefix).unwrap_or_else(|| usual_mode(url));
    let hash_key = means.hash_key(url)?;
    if let Some((source, _)) = items_of(url, None, means).await? {
        let options = means.scan.options()?;
        let mut witness = ItemBaselines::create(source.key_schema().await?, &means.packs, &means.names, (&hash_key, request.mode)).await?;
        let witness = witness.as_mut().map(|witness| witness as &mut dyn Witness);
        return items::capture::capture_before(source, &request, (&options, witness), &hash_key, signer, monitor).await;
    }
    means.scan.refuse(url)?;
    let access = Access { state: request.effort.state.clone().map(|state| state.path), ..means.access() };
    if !means.packs.is_empty() {
        request.baselines = recording::baselines(url, &access, &means.packs, &means.names, (&hash_key, request.mode), monitor).await?;
    }
    sql::capture::capture(url, &access, &request, &hash_key, signer, monitor).await
}

/// Reads `url` and compares it with `manifest`. A bucket is read in the view that its manifest was captured in, unless told otherwise.
pub async fn compare(
    url: &SourceUrl,
    manifest: &Manifest,
    means: &Means,
    mut options: ReadOptions,
    monitor: &dyn Monitor,
) -> Result<Verification, Failure> {
    let captured = manifest.header().view.as_deref().and_then(|view| view.parse().ok());
    if let Some(source) = objects_of(url, captured, Some(&manifest.header().source), means).await? {
        options.view = options.view.or(means.view);
        return objects::compare::compare(source.as_ref(), manifest, &options, monitor).await;
    }
    let hash_key = means.hash_key(url)?;
    if let Some((source, session)) = items_of(url, Some(manifest), means).await? {
        let schema = source.key_schema().await?;
        let changes = means.scan.export()?;
        let until = source.moment().map(|moment| moment.at);
        let touched = crate::drill::items::touched(&session, changes.as_ref(), manifest, until, &schema, &hash_key, monitor).await?;
        let beside = Beside { tap: None, touched: touched.as_ref(), shown_at: until };
        return items::compare::compare_with(source, manifest, &hash_key, &means.scan.options()?, beside, monitor).await;
    }
    ScanArgs { changes: None, ..means.scan.clone() }.refuse(url)?;
    let access = Access { state: options.effort.state.map(|state| state.path), ..means.access() };
    let mode = position::earned(url, &access, manifest, manifest.header().mode, monitor).await?;
    let changes = means.scan.changes.as_deref().map(|log| log_of_changes(log, mode, monitor)).transpose()?.flatten();
    let restored = Restored { mode: Some(mode), at: means.restored_to, to_the_second: means.restored_to.is_some(), ..Restored::default() };
    sql::compare::database::compare_beside(url, &access, manifest, &hash_key, (restored, changes.as_deref()), monitor).await
}

/// The log that counts in this mode: where a restore shows the very position of its manifest, nothing was written in between.
fn log_of_changes(log: &str, mode: CaptureMode, monitor: &dyn Monitor) -> Result<Option<PathBuf>, Failure> {
    match mode {
        CaptureMode::PositionBounded => Ok(Some(log.into())),
        CaptureMode::SnapshotExact => {
            monitor.event(Event::Note("the restore shows the position that the manifest was captured at: no event of --changes counts"));
            Ok(None)
        }
        other => Err(Failure::invalid(format!("--changes counts in mode position-bounded only, and the manifest is {other}"))
            .hint("leave --changes out, or capture with --mode position-bounded")),
    }
}

/// The mode of a capture that does not say: the strongest that the way of reading earns by itself.
fn usual_mode(url: &SourceUrl) -> CaptureMode {
    match url {
        SourceUrl::Dir { .. } | SourceUrl::Sqlite { .. } => CaptureMode::Sealed,
        SourceUrl::S3 { .. } => CaptureMode::VersionExact,
        SourceUrl::Dynamodb { .. } => CaptureMode::WindowBounded,
        SourceUrl::DynamodbExport { .. } => CaptureMode::ExportExact,
        SourceUrl::Postgres { .. } | SourceUrl::Mysql { .. } => CaptureMode::SnapshotExact,
    }
}

/// Refuses a mode that reading this kind of source cannot earn.
fn check_mode(url: &SourceUrl, mode: CaptureMode) -> Result<(), Failure> {
    use CaptureMode::*;
    let own: &[CaptureMode] = match url {
        SourceUrl::Dir { .. } => &[],
        SourceUrl::S3 { .. } => &[VersionExact],
        SourceUrl::Dynamodb { .. } => &[WindowBounded],
        SourceUrl::DynamodbExport { .. } => &[ExportExact, WindowBounded],
        SourceUrl::Sqlite { .. } => &[AppendPrefix],
        SourceUrl::Postgres { .. } | SourceUrl::Mysql { .. } => &[SnapshotExact, PositionBounded, AppendPrefix],
    };
    let allowed: Vec<CaptureMode> = [Sealed, DualPath, FirstRestore].into_iter().chain(own.iter().copied()).collect();
    if allowed.contains(&mode) {
        return Ok(());
    }
    let names: Vec<&str> = allowed.iter().map(|mode| mode.as_str()).collect();
    Err(Failure::invalid(format!("{url} cannot be captured in the mode {mode}; expected one of {}", names.join(", "))))
}

/// A path of the command line for messages, without control characters.
pub fn shown(path: &Path) -> String {
    path.display().to_string().escape_debug().to_string()
}
