//! S3 through AWS Backup without a restore: a backup access point on the recovery point, and its objects read where they lie.
//!
//! What this proves: the recovery point holds the objects of the manifest, byte for byte, and can be read today. What it does not: that a
//! restore of it works, or how long one takes. So it is taken only where a class opts in (`access = "backup-access-point"`), it measures no
//! recovery time, and it is never a plain pass (`testing_log::verify::pass`). Not here: the call (`aws::backup_access`).

use async_trait::async_trait;
use serde_json::json;

use crate::aws::backup_access::{AccessPoint, second};
use crate::model::clock::Timestamp;
use crate::model::failure::{Failure, FailureKind};
use crate::model::source_url::SourceUrl;
use crate::restore::driver::{Accepted, Driver, Opened, Progress};
use crate::restore::drivers::backup_jobs;
use crate::restore::order::{Clouds, Order};
use crate::restore::permit::Permit;
use crate::restore::records::TargetKind;
use crate::testing_log::point_result::ACCESS_POINT_MECHANISM;

/// An access point that is not there after this long is not waited for: it only routes, and while it exists the recovery point's lifecycle stands
/// still.
const DEADLINE_S: u64 = 3600;

/// The driver.
pub struct BackupAccessPoint;

#[async_trait]
impl Driver for BackupAccessPoint {
    fn mechanism(&self) -> &'static str {
        ACCESS_POINT_MECHANISM
    }

    fn target_kind(&self) -> TargetKind {
        TargetKind::AccessPoint
    }

    fn restores(&self) -> bool {
        false
    }

    fn longest_s(&self) -> Option<u64> {
        Some(DEADLINE_S)
    }

    async fn request(&self, order: &Order, clouds: &Clouds, permit: Permit) -> Result<Accepted, Failure> {
        let target = permit.target();
        let points = clouds.access_points(target.region.as_deref())?;
        // The guard has cleared the target: what is there by now was asked for before a crash.
        if let Some(found) = points.access_point(&target.name).await? {
            return Ok(Accepted { job_id: None, created_arn: Some(found.arn) });
        }
        backup_jobs::still_eligible(order, clouds, target.region.as_deref()).await?;
        let arn = points.create(&target.name, &order.point.handle, in_time(order), order.tags()).await?;
        Ok(Accepted { job_id: None, created_arn: Some(arn) })
    }

    async fn poll(&self, order: &Order, clouds: &Clouds, accepted: &Accepted) -> Result<Progress, Failure> {
        let target = order.target(TargetKind::AccessPoint);
        let Some(found) = clouds.access_points(target.region.as_deref())?.access_point(&target.name).await? else {
            let message = format!("backup access point {} was accepted and does not exist", target.name);
            return Ok(Progress::Failed { status: "ABSENT".into(), message, raw: json!({"accepted": accepted.created_arn}) });
        };
        Ok(progress(order, found))
    }

    async fn open(&self, order: &Order, clouds: &Clouds) -> Result<Option<Opened>, Failure> {
        let target = order.target(TargetKind::AccessPoint);
        let found = clouds.access_points(target.region.as_deref())?.access_point(&target.name).await?;
        let alias = found.and_then(|found| found.alias);
        let bucket = alias.ok_or_else(|| Failure::new(FailureKind::Remote, format!("backup access point {} has no alias", target.name)))?;
        let url = SourceUrl::S3 { bucket, prefix: String::new() };
        Ok(Some(Opened { url, region: target.region, login: None, proof: None, unreadable: None, keeper: None }))
    }
}

/// The second that is asked for, of a continuous recovery point.
fn in_time(order: &Order) -> Option<Timestamp> {
    order.point.is_in_time().then_some(order.point.created_at)
}

/// What the description says, held against what was asked for.
fn progress(order: &Order, found: AccessPoint) -> Progress {
    let raw = json!({"backup_access_point": found});
    let status = found.status.clone();
    let wrong = |message: String| Progress::Failed { status: status.clone(), message, raw: raw.clone() };
    match found.status.as_str() {
        "CREATING" => return Progress::Waiting { status },
        "AVAILABLE" => {}
        other => {
            let said = found.message.as_deref().unwrap_or("no message");
            return wrong(format!("backup access point {}: {other}: {said}", found.name));
        }
    }
    if found.recovery_point_arn != order.point.handle {
        return wrong(format!("{} reads {}, expected {}", found.name, found.recovery_point_arn, order.point.handle));
    }
    let asked = in_time(order);
    let shown = found.in_time.as_deref().and_then(|text| text.parse::<Timestamp>().ok());
    if asked.map(Timestamp::as_secs) != shown.map(Timestamp::as_secs) {
        let words = |text: Option<String>| text.unwrap_or_else(|| "no second".into());
        return wrong(format!("{} shows {}, expected {}", found.name, words(found.in_time.clone()), words(asked.map(second))));
    }
    if found.alias.is_none() {
        return wrong(format!("{} is AVAILABLE and states no alias to read it by", found.name));
    }
    Progress::Ready { status, created_arn: found.arn, raw }
}
