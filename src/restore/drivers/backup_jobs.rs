//! What the three drivers that go through AWS Backup share: asking for a job, and not believing its COMPLETED.

use std::collections::BTreeMap;

use serde_json::json;

use crate::model::failure::{Failure, FailureKind};
use crate::model::recovery_point::{RecoveryPoint, eligibility};
use crate::restore::driver::{Accepted, Progress};
use crate::restore::late::{is_told_late, seen_at_last};
use crate::restore::order::{Clouds, Order};
use crate::restore::permit::Permit;
use crate::restore::records::TargetKind;
use crate::restore::targets::{self, Found};

/// StartRestoreJob with the permit's token; a second call with it starts no second job within the service's window of an hour.
pub async fn start(
    order: &Order,
    clouds: &Clouds,
    permit: &Permit,
    resource_type: &str,
    metadata: BTreeMap<String, String>,
) -> Result<Accepted, Failure> {
    let region = permit.target().region.as_deref();
    still_eligible(order, clouds, region).await?;
    let backup = clouds.backup(region)?;
    let job = backup.start_restore(&order.point.handle, order.backup_role()?, resource_type, metadata, permit.token()).await?;
    Ok(Accepted { job_id: Some(job), created_arn: None })
}

/// The point was listed a while ago: one that has expired or is being deleted since then is not asked for.
pub async fn still_eligible(order: &Order, clouds: &Clouds, region: Option<&str>) -> Result<(), Failure> {
    let Some(vault) = order.point.vault.as_deref() else { return Ok(()) };
    let state = clouds.backup(region)?.point_status(vault, &order.point.handle).await?;
    eligibility(&RecoveryPoint { state, ..order.point.clone() })
        .map_err(|reason| Failure::new(FailureKind::Absent, format!("{}: {reason}", order.point.id)))
}

/// GetRecoveryPointRestoreMetadata: what the resource was backed up with.
pub async fn metadata(order: &Order, clouds: &Clouds, region: Option<&str>) -> Result<BTreeMap<String, String>, Failure> {
    let vault = order.point.vault.as_deref().ok_or_else(|| Failure::invalid(format!("{}: its vault is not known", order.point.id)))?;
    clouds.backup(region)?.restore_metadata(vault, &order.point.handle).await
}

/// Where a job stands once the service's word has been held against what is there.
pub enum Looked {
    /// Not complete.
    Not(Progress),
    /// Complete, and this is what was created.
    Created {
        /// In the service's words.
        status: String,
        /// The ARN that the job names.
        created_arn: String,
        /// The description of it.
        found: Box<Found>,
        /// Both raw.
        raw: serde_json::Value,
    },
}

/// DescribeRestoreJob, and where that says COMPLETED: the created ARN must be there, of the right type and with the expected name, and
/// what it names must exist, be it described a little later.
pub async fn look(order: &Order, clouds: &Clouds, accepted: &Accepted, kind: TargetKind) -> Result<Looked, Failure> {
    let target = order.target(kind);
    let job = accepted.job_id.as_deref().ok_or_else(|| Failure::new(FailureKind::Remote, "a restore job without an id"))?;
    let job = clouds.backup(target.region.as_deref())?.restore_job(job).await?;
    let raw = json!({"restore_job": job});
    let failed = |message: String| Ok(Looked::Not(Progress::Failed { status: job.status.clone(), message, raw: raw.clone() }));
    match job.status.as_str() {
        "PENDING" | "RUNNING" => {
            let percent = job.percent_done.as_deref().unwrap_or("0%");
            Ok(Looked::Not(Progress::Waiting { status: format!("{} {percent}", job.status) }))
        }
        "COMPLETED" => {
            let Some(arn) = job.created_arn.clone() else {
                return failed(format!("restore job {} is COMPLETED and names no created resource", job.id));
            };
            if !targets::names(&arn, kind, &target.name) {
                let message = format!("restore job {} is COMPLETED and names {arn}; expected {kind:?} {}", job.id, target.name);
                return Ok(Looked::Not(Progress::Elsewhere { status: job.status, message, created_arn: arn, raw }));
            }
            // The service that has it may tell of it later than AWS Backup does.
            let found = match is_told_late(kind) {
                true => seen_at_last(clouds, &order.work, &target).await?,
                false => targets::find(clouds, &order.work, &target).await?,
            };
            match found {
                // What it names lies elsewhere, and what is here was not what it made.
                Some(found) if !targets::same_place(&arn, &found.arn) => {
                    let message = format!("restore job {} is COMPLETED and names {arn}; expected {}", job.id, found.arn);
                    Ok(Looked::Not(Progress::Elsewhere { status: job.status, message, created_arn: arn, raw }))
                }
                Some(found) => {
                    let raw = json!({"restore_job": job, "created": found.raw()});
                    Ok(Looked::Created { status: job.status, created_arn: arn, found: Box::new(found), raw })
                }
                None => failed(format!("restore job {} is COMPLETED, and {arn} does not exist", job.id)),
            }
        }
        other => failed(format!("restore job {}: {other}: {}", job.id, job.message.as_deref().unwrap_or("no message"))),
    }
}
