//! Reading what was restored: the source that fits its URL, compared with the manifest; and the SQL checks of its class.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::aws::rds_token::RdsTokens;
use crate::aws::s3::S3Source;
use crate::drill::items;
use crate::drill::manifests::Chosen;
use crate::drill::position;
use crate::estate::config::{Authentication, Config, Resource};
use crate::model::capture::CaptureMode;
use crate::model::check::CheckResult;
use crate::model::digest::Digest32;
use crate::model::failure::{Failure, FailureKind};
use crate::model::recovery_point::RecoveryPoint;
use crate::model::resource::PointSource;
use crate::model::source_url::{SourceUrl, View};
use crate::model::verification::Verification;
use crate::monitor::Monitor;
use crate::restore::driver::Opened;
use crate::restore::order::Clouds;
use crate::restore::pace::Pace;
use crate::signing::hash_key::HashKey;
use crate::verify::items::scan::ItemTap;
use crate::verify::manifest::header::ManifestKind;
use crate::verify::manifest::reader::Manifest;
use crate::verify::manifest::request::ReadOptions;
use crate::verify::objects;
use crate::verify::objects::dir::DirSource;
use crate::verify::sql;
use crate::verify::sql::checks::demands::CheckDemands;
use crate::verify::sql::checks::pack::Pack;
use crate::verify::sql::compare::database::Restored;
use crate::verify::sql::connect::access::Access;
use crate::verify::sql::database::Database;
use crate::verify::sql::items::{ItemsTable, MOST_BYTES, wants_items};

/// A password that was just set may take this long to be in force everywhere.
const PASSWORD_PATIENCE_S: u64 = 120;

/// The view that a manifest was captured in.
pub fn view_of(manifest: &Manifest) -> Option<View> {
    manifest.header().view.as_deref().and_then(|view| view.parse().ok())
}

/// The same data under the URL that fits what it is compared with: a file beside AWS is a database where its manifest has tables.
pub fn as_of(mut opened: Opened, kind: ManifestKind) -> Opened {
    opened.url = match (opened.url, kind) {
        (SourceUrl::Dir { path }, ManifestKind::TableSet) => SourceUrl::Sqlite { path },
        (SourceUrl::Sqlite { path }, ManifestKind::Objects) => SourceUrl::Dir { path },
        (url, _) => url,
    };
    opened
}

/// Opens what was restored with the drill's own password before anything is read of it: a service that names another server, the live source
/// say, is found out, and nobody's password goes there. A wrong one goes first: whoever lets in whoever asks proves nothing by letting us in.
pub async fn prove(opened: &Opened, resource: &Resource, patience_s: u64, monitor: &dyn Monitor) -> Result<(), Failure> {
    let Some(proof) = &opened.proof else { return Ok(()) };
    let (user, password) = (Some(proof.user.clone()), Some(proof.password.clone()));
    let access = Access { tls_ca: resource.tls_ca.clone(), user, password, ..Access::default() };
    let wrong = Access { password: Some(format!("not-{}", proof.password.chars().rev().collect::<String>())), ..access.clone() };
    match Database::open(&proof.url, &wrong).await {
        Ok(db) => {
            db.close().await;
            let said =
                format!("{} takes any password, or asks for none: that it took the drill's does not show what was restored", proof.url);
            return Err(Failure::new(FailureKind::Refused, said)
                .hint("find out what answers there: a restored instance asks for the password that the drill has set"));
        }
        Err(denied) if denied.kind == FailureKind::Denied => {}
        Err(other) => return Err(other),
    }
    let mut pace = Pace::new(format!("the drill's password on {}", proof.url), PASSWORD_PATIENCE_S.min(patience_s));
    loop {
        match Database::open(&proof.url, &access).await {
            Ok(db) => {
                db.close().await;
                return Ok(());
            }
            Err(denied) if denied.kind == FailureKind::Denied => {
                let said =
                    format!("{} does not take the password that the drill set: it may not be what was restored: {denied}", proof.url);
                let refused = Failure::new(FailureKind::Refused, said);
                pace.pause(monitor).await.map_err(|late| if late.kind == FailureKind::Interrupted { late } else { refused })?;
            }
            Err(other) => return Err(other),
        }
    }
}

/// Whether it is read as a SQL database. Its comparison weighs change stamps itself.
pub fn is_database(opened: &Opened) -> bool {
    matches!(opened.url, SourceUrl::Postgres { .. } | SourceUrl::Mysql { .. } | SourceUrl::Sqlite { .. })
}

/// Compares what was restored with the manifest; differences go to the monitor. `point.created_at` is the moment that the point is of, `kept`
/// where what was read of a database is kept; a login that is not in force yet is waited for `patience_s` seconds at most.
pub async fn compare(
    opened: &Opened,
    resource: &Resource,
    clouds: &Clouds,
    (chosen, hash_key, kept, patience_s): (&Chosen, &HashKey, &Path, u64),
    point: &RecoveryPoint,
    items_table: Option<&mut ItemsTable>,
    monitor: &dyn Monitor,
) -> Result<Verification, Failure> {
    let manifest = &chosen.manifest;
    if let Some(why) = &opened.unreadable {
        return sql::compare::database::unreadable(manifest, hash_key, why, monitor);
    }
    match &opened.url {
        SourceUrl::S3 { bucket, prefix } => {
            // Of a bucket's own versions those of the point's second were copied: the manifest is held to the same second. So is one that was captured
            // after the second of a continuous backup: it may know of later versions.
            let later = manifest.header().captured_end.as_secs() > point.created_at.as_secs();
            let is_cut = point.from == PointSource::S3Versions || (point.is_in_time() && later);
            let as_of = is_cut.then_some(View::At(point.created_at));
            // A restored bucket has the dates of its restore: whatever moment is meant, what it holds now is read.
            let view = match view_of(manifest) {
                Some(View::At(_)) => Some(View::Latest),
                _ if as_of.is_some() => Some(View::Latest),
                // What an access point stands for does not tell whether it has versions.
                None if is_access_point(bucket) => Some(View::Latest),
                view => view,
            };
            let session = clouds.session(opened.region.as_deref())?;
            let source = S3Source::open(&session, bucket, prefix, view).await?;
            let options = ReadOptions { view: as_of.or(view), ..ReadOptions::default() };
            objects::compare::compare(&source, manifest, &options, monitor).await
        }
        SourceUrl::Dir { path } => {
            let source = DirSource::open(path)?;
            objects::compare::compare(&source, manifest, &ReadOptions::default(), monitor).await
        }
        SourceUrl::Dynamodb { table } => {
            let session = clouds.session(opened.region.as_deref())?;
            let tap = items_table.map(|table| table as &mut dyn ItemTap);
            items::compare(&session, table, manifest, Some(point.created_at), hash_key, tap, monitor).await
        }
        SourceUrl::DynamodbExport { .. } => Err(Failure::invalid(format!("{}: no driver restores into an export", opened.url))),
        SourceUrl::Postgres { .. } | SourceUrl::Mysql { .. } | SourceUrl::Sqlite { .. } => {
            let access = Access { state: Some(state_in(kept, opened)), ..access(opened, resource, clouds)? };
            // Only what the drill itself has asked for may not be in force yet: its password, and logging in with tokens. That a reader of the
            // source has no right to something is final.
            let ours = opened.login.as_ref().is_some_and(|(master, _)| access.user.as_ref() == Some(master)) || access.tokens.is_some();
            let mut pace = Pace::new(format!("the drill's login on {}", opened.url), PASSWORD_PATIENCE_S.min(patience_s));
            loop {
                match compare_database((&opened.url, &access), (chosen, hash_key), (point, resource.changes.as_deref()), monitor).await {
                    Err(failure) if failure.kind == FailureKind::Denied && ours && !is_final(&failure) => {
                        pace.pause(monitor).await.map_err(|late| if late.kind == FailureKind::Interrupted { late } else { failure })?;
                    }
                    ended => return ended,
                }
            }
        }
    }
}

/// Whether a server knows who is there and refuses: a right that nobody is about to grant.
fn is_final(denied: &Failure) -> bool {
    ["to database", "permission denied"].iter().any(|said| denied.message.contains(said))
}

/// What is kept is of one URL: a server that came back on another port is read from the beginning.
pub fn state_in(kept: &Path, opened: &Opened) -> PathBuf {
    kept.join(&Digest32::sha256(opened.url.to_string().as_bytes()).hex()[..16])
}

/// Whether a bucket's name is the alias of a backup access point, as AWS Backup makes them.
fn is_access_point(bucket: &str) -> bool {
    bucket.ends_with("-ext-s3alias")
}

/// A database as the manifest allows: with the claim that its position earns.
async fn compare_database(
    (url, access): (&SourceUrl, &Access),
    (chosen, hash_key): (&Chosen, &HashKey),
    (point, changes): (&RecoveryPoint, Option<&Path>),
    monitor: &dyn Monitor,
) -> Result<Verification, Failure> {
    let manifest = &chosen.manifest;
    let mode = position::earned(url, access, manifest, chosen.mode, monitor).await?;
    let restored = Restored {
        at: Some(point.created_at),
        // A directory beside AWS is dated by the manifest that names it.
        is_undated: !chosen.downgraded && point.from == PointSource::Local && Path::new(&point.handle).is_dir(),
        to_the_second: point.is_in_time(),
        mode: Some(mode),
        of_another_moment: chosen.downgraded,
    };
    // Where a restore shows the very position of its manifest, or a mode says that nothing may have changed, no log excuses anything.
    let changes = changes.filter(|_| mode == CaptureMode::PositionBounded);
    sql::compare::database::compare_beside(url, access, manifest, hash_key, (restored, changes), monitor).await
}

/// A table in SQLite for the items of a DynamoDB table, where a check of its class wants one.
pub async fn items_table(opened: &Opened, resource: &Resource, clouds: &Clouds, packs: &[Pack]) -> Result<Option<ItemsTable>, Failure> {
    let SourceUrl::Dynamodb { table } = &opened.url else { return Ok(None) };
    if !wants_items(packs) {
        return Ok(None);
    }
    let schema = items::key_schema(&clouds.session(opened.region.as_deref())?, table).await?;
    ItemsTable::create(schema, packs, &resource.names, MOST_BYTES).await.map(Some)
}

/// Fills a table of items that no comparison has filled.
pub async fn fill(
    opened: &Opened,
    clouds: &Clouds,
    table: &mut ItemsTable,
    hash_key: &HashKey,
    monitor: &dyn Monitor,
) -> Result<(), Failure> {
    let SourceUrl::Dynamodb { table: name } = &opened.url else { return Ok(()) };
    items::fill(&clouds.session(opened.region.as_deref())?, name, table, hash_key, monitor).await
}

/// Runs the SQL checks of the class; of a source that is no database, none apply.
pub async fn check(
    opened: &Opened,
    resource: &Resource,
    clouds: &Clouds,
    packs: &[Pack],
    demands: CheckDemands,
    items_table: Option<ItemsTable>,
    monitor: &dyn Monitor,
) -> Result<Vec<CheckResult>, Failure> {
    if let Some(table) = items_table {
        return table.check(packs, &CheckDemands { names: resource.names.clone(), ..demands }, monitor).await;
    }
    if !is_database(opened) || packs.is_empty() || opened.unreadable.is_some() {
        return Ok(Vec::new());
    }
    let demands = CheckDemands { names: resource.names.clone(), ..demands };
    sql::checks::runner::run_with(&opened.url, &access(opened, resource, clouds)?, packs, &demands, monitor).await
}

/// How a restored database is read: with tokens where its URL asks for them, as the user of the configured credentials (who is in the restore
/// as in the source), else as the master user. Always after [`prove`].
pub fn access(opened: &Opened, resource: &Resource, clouds: &Clouds) -> Result<Access, Failure> {
    let mut access = Access { tls_ca: resource.tls_ca.clone(), keeper: opened.keeper.clone(), ..Access::default() };
    let Some((master, password)) = &opened.login else {
        if resource.authentication == Authentication::Iam && opened.region.is_some() {
            access.tokens = Some(Arc::new(RdsTokens::of_session(clouds.session(opened.region.as_deref())?)));
        }
        return Ok(access);
    };
    (access.user, access.password) = (Some(master.clone()), Some(password.clone()));
    if opened.region.is_none() {
        // Beside AWS the server is one of our own on loopback: it has neither the source's users nor its certificate.
        access.tls_ca = None;
        return Ok(access);
    }
    if let Some(reference) = &resource.credentials {
        let (user, secret) = credentials(&resource.id.0, reference)?;
        // The master's own password is the drill's by now, whatever the file says.
        if user != *master {
            (access.user, access.password) = (Some(user), Some(secret));
        }
    }
    Ok(access)
}

/// That every resource's credentials are there, before anything is restored that they are to read. Beside AWS none are used.
pub fn check_credentials(config: &Config) -> Result<(), Failure> {
    for resource in config.resource.iter().filter(|resource| resource.points.iter().any(|points| points.from != PointSource::Local)) {
        if let Some(reference) = &resource.credentials {
            credentials(&resource.id.0, reference)?;
        }
    }
    Ok(())
}

/// `env:NAME` or `file:PATH` with `USER:PASSWORD`.
pub fn credentials(resource: &str, reference: &str) -> Result<(String, String), Failure> {
    let wrong = |what: String| Failure::invalid(format!("resource `{resource}`: credentials: {what}"));
    let text = match reference.split_once(':') {
        Some(("env", name)) => std::env::var(name).map_err(|_| wrong(format!("the variable {name} is not set")))?,
        Some(("file", path)) => std::fs::read_to_string(path).map_err(|error| wrong(format!("{path}: {error}")))?,
        _ => return Err(wrong("expected `env:NAME` or `file:PATH`".into())),
    };
    let pair = text.trim_end_matches(['\r', '\n']).split_once(':');
    pair.map(|(user, password)| (user.to_owned(), password.to_owned())).ok_or_else(|| wrong("expected `USER:PASSWORD` in it".into()))
}
