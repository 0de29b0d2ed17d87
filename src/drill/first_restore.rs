//! A first restore: no manifest fits, and the class wants the restored state to become the baseline of the same point from now on.
//!
//! It proves nothing of this restore: anything wrong with it is in the baseline too. The result says so and is never a pass. A restore that
//! brought nothing is no baseline: every honest one after it would differ from it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::aws::dynamodb::TableSource;
use crate::aws::s3::S3Source;
use crate::drill::context::Context;
use crate::drill::reading;
use crate::estate::config::Resource;
use crate::model::capture::CaptureMode;
use crate::model::failure::{Failure, FailureKind};
use crate::model::ids::{CaseId, DrillId, PointId};
use crate::model::source_url::SourceUrl;
use crate::monitor::Monitor;
use crate::restore::driver::Opened;
use crate::restore::order;
use crate::testing_log::body::ManifestRegistered;
use crate::testing_log::entry::Body;
use crate::verify::items::capture::Witness;
use crate::verify::items::scan::ScanOptions;
use crate::verify::items::source::ItemSource;
use crate::verify::manifest::header::ManifestKind;
use crate::verify::manifest::reader::Manifest;
use crate::verify::manifest::request::CaptureRequest;
use crate::verify::objects::dir::DirSource;
use crate::verify::sql::checks::recording;
use crate::verify::sql::connect::access::Access;
use crate::verify::sql::items::ItemBaselines;
use crate::verify::{items, objects, sql};

/// Captures what was restored, as a baseline that is to be registered or dropped. May be repeated after a crash.
///
/// # Errors
/// [`FailureKind::Remote`] where nothing was restored that a baseline could be of.
pub async fn take(
    context: &Context,
    case: &CaseId,
    resource: &Resource,
    point: &PointId,
    opened: &Opened,
    monitor: &dyn Monitor,
) -> Result<(), Failure> {
    let out = place(resource, case)?;
    if !out.exists() {
        let directory = out.parent().unwrap_or(&out);
        std::fs::create_dir_all(directory).map_err(|error| Failure::io(format!("create {}", directory.display()), error))?;
        let mut request = CaptureRequest::new(&out, CaptureMode::FirstRestore);
        request.recovery_point_id = Some(point.clone());
        request.tables.leaves = resource.leaves.unwrap_or_default();
        request.tables.sidecar = resource.sidecar.unwrap_or_default();
        let kept = order::reading_state(&context.work, case);
        capture(context, resource, (opened, &kept), &request, monitor).await?;
    }
    let header = Manifest::open(&out)?.header().clone();
    let counted = |of: &str| header.counts.get(of).copied().unwrap_or(0);
    let (of, n) = match header.kind {
        ManifestKind::Objects => ("object", header.parts.iter().map(|part| part.rows).sum()),
        ManifestKind::TableSet => ("table", counted("tables")),
        ManifestKind::Items => ("item", counted("items")),
    };
    if n > 0 {
        return Ok(());
    }
    let said = format!("the restore is complete and brought back not one {of}: what {} should hold is not known from that", opened.url);
    Err(Failure::new(FailureKind::Remote, said)
        .hint("nothing was made a baseline; look at the source and at the recovery point, or capture a manifest of the source"))
}

/// Registers the baseline of the case for the point: from now on it is compared with that. May be repeated after a crash.
pub fn register(context: &Context, (drill, case): (&DrillId, &CaseId), resource: &Resource, point: &PointId) -> Result<(), Failure> {
    let manifest = Manifest::open(&place(resource, case)?)?;
    let header = manifest.header();
    let body = ManifestRegistered {
        manifest: manifest.digest(),
        resource: resource.id.clone(),
        recovery_point_id: Some(point.clone()),
        mode: CaptureMode::FirstRestore,
        captured_end: header.captured_end,
        root: header.root,
    };
    let known = context.ledger.entries()?.iter().any(|entry| matches!(&entry.body, Body::ManifestRegistered(known) if *known == body));
    if !known {
        context.ledger.evidence(&header.to_bytes()?)?;
        context.ledger.append(drill, Body::ManifestRegistered(body))?;
    }
    Ok(())
}

/// Takes away a baseline that was not registered: nothing proves that it is of what was restored.
pub fn drop_unregistered(resource: &Resource, case: &CaseId) -> Result<(), Failure> {
    let out = place(resource, case)?;
    match std::fs::remove_dir_all(&out) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Failure::io(format!("remove {}", out.display()), error)),
        _ => Ok(()),
    }
}

/// Where the baseline of a case lies.
fn place(resource: &Resource, case: &CaseId) -> Result<PathBuf, Failure> {
    let directory = resource
        .manifests
        .as_deref()
        .ok_or_else(|| Failure::invalid(format!("resource `{}`: `when_no_manifest = \"first-restore\"` needs `manifests`", resource.id)))?;
    Ok(directory.join(&case.0))
}

async fn capture(
    context: &Context,
    resource: &Resource,
    (opened, kept): (&Opened, &Path),
    request: &CaptureRequest,
    monitor: &dyn Monitor,
) -> Result<(), Failure> {
    let origin = context.ledger.origin();
    let signer = Some((origin.as_str(), &context.signing_key));
    // The checks of the class compare with what they find now, from the next drill on.
    let packs = context.packs.get(&resource.class).map(Vec::as_slice).unwrap_or_default();
    let header = match &opened.url {
        SourceUrl::S3 { bucket, prefix } => {
            let session = context.clouds.session(opened.region.as_deref())?;
            let source = S3Source::open(&session, bucket, prefix, None).await?;
            objects::capture::capture(&source, request, signer, monitor).await?
        }
        SourceUrl::Dir { path } => objects::capture::capture(&DirSource::open(path)?, request, signer, monitor).await?,
        SourceUrl::Dynamodb { table } => {
            let source = TableSource::open(&context.clouds.session(opened.region.as_deref())?, table).await?;
            let mut witness =
                ItemBaselines::create(source.key_schema().await?, packs, &resource.names, (&context.hash_key, request.mode)).await?;
            let witness = witness.as_mut().map(|witness| witness as &mut dyn Witness);
            let options = ScanOptions::default();
            items::capture::capture_before(Arc::new(source), request, (&options, witness), &context.hash_key, signer, monitor).await?
        }
        SourceUrl::DynamodbExport { .. } => return Err(Failure::invalid(format!("{}: no driver restores into an export", opened.url))),
        SourceUrl::Postgres { .. } | SourceUrl::Mysql { .. } | SourceUrl::Sqlite { .. } => {
            let state = Some(reading::state_in(kept, opened));
            let access = Access { state, ..reading::access(opened, resource, &context.clouds)? };
            let means = (&context.hash_key, request.mode);
            let baselines = recording::baselines(&opened.url, &access, packs, &resource.names, means, monitor).await?;
            let request = CaptureRequest { baselines, ..request.clone() };
            sql::capture::capture(&opened.url, &access, &request, &context.hash_key, signer, monitor).await?
        }
    };
    drop(header);
    Ok(())
}
