//! Reading what was restored: the source that fits its URL, compared with the manifest; and the SQL checks of its class.

use crate::aws::s3::S3Source;
use crate::drill::items;
use crate::estate::config::Resource;
use crate::model::check::CheckResult;
use crate::model::clock::Timestamp;
use crate::model::failure::{Failure, FailureKind};
use crate::model::source_url::{SourceUrl, View};
use crate::model::verification::Verification;
use crate::monitor::Monitor;
use crate::restore::driver::Opened;
use crate::restore::order::Clouds;
use crate::restore::pace::Pace;
use crate::signing::hash_key::HashKey;
use crate::verify::manifest::header::ManifestKind;
use crate::verify::manifest::reader::Manifest;
use crate::verify::manifest::request::ReadOptions;
use crate::verify::objects;
use crate::verify::objects::dir::DirSource;
use crate::verify::sql;
use crate::verify::sql::access::Access;
use crate::verify::sql::checks::demands::CheckDemands;
use crate::verify::sql::checks::pack::Pack;

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

/// Compares what was restored with the manifest; differences go to the monitor. `point_at` is the moment that the point is of.
pub async fn compare(
    opened: &Opened,
    resource: &Resource,
    clouds: &Clouds,
    manifest: &Manifest,
    hash_key: &HashKey,
    point_at: Timestamp,
    monitor: &dyn Monitor,
) -> Result<Verification, Failure> {
    if let Some(why) = &opened.unreadable {
        return sql::compare::unreadable(manifest, hash_key, why, monitor);
    }
    match &opened.url {
        SourceUrl::S3 { bucket, prefix } => {
            let view = view_of(manifest);
            let session = clouds.session(opened.region.as_deref())?;
            let source = S3Source::open(&session, bucket, prefix, view).await?;
            let options = ReadOptions { view, ..ReadOptions::default() };
            objects::compare::compare(&source, manifest, &options, monitor).await
        }
        SourceUrl::Dir { path } => {
            let source = DirSource::open(path)?;
            objects::compare::compare(&source, manifest, &ReadOptions::default(), monitor).await
        }
        SourceUrl::Dynamodb { table } => {
            let session = clouds.session(opened.region.as_deref())?;
            items::compare(&session, table, manifest, Some(point_at), hash_key, None, monitor).await
        }
        SourceUrl::DynamodbExport { .. } => Err(Failure::invalid(format!("{}: no driver restores into an export", opened.url))),
        SourceUrl::Postgres { .. } | SourceUrl::Mysql { .. } | SourceUrl::Sqlite { .. } => {
            let access = access(opened, resource)?;
            let mut pace = Pace::new(format!("the drill's password on {}", opened.url), PASSWORD_PATIENCE_S);
            loop {
                match sql::compare::compare(&opened.url, &access, manifest, hash_key, monitor).await {
                    Err(failure) if failure.kind == FailureKind::Denied && opened.login.is_some() => {
                        pace.pause(monitor).await.map_err(|late| if late.kind == FailureKind::Interrupted { late } else { failure })?;
                    }
                    ended => return ended,
                }
            }
        }
    }
}

/// Runs the SQL checks of the class; of a source that is no database, none apply.
pub async fn check(
    opened: &Opened,
    resource: &Resource,
    packs: &[Pack],
    demands: CheckDemands,
    monitor: &dyn Monitor,
) -> Result<Vec<CheckResult>, Failure> {
    let is_database = matches!(opened.url, SourceUrl::Postgres { .. } | SourceUrl::Mysql { .. } | SourceUrl::Sqlite { .. });
    if !is_database || packs.is_empty() || opened.unreadable.is_some() {
        return Ok(Vec::new());
    }
    let demands = CheckDemands { names: resource.names.clone(), ..demands };
    sql::checks::runner::run_with(&opened.url, &access(opened, resource)?, packs, &demands, monitor).await
}

/// How a restored database is reached: with the credentials that are configured for it, else with the drill's own.
pub fn access(opened: &Opened, resource: &Resource) -> Result<Access, Failure> {
    let mut access = Access { tls_ca: resource.tls_ca.clone(), ..Access::default() };
    let Some((master, password)) = &opened.login else { return Ok(access) };
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
