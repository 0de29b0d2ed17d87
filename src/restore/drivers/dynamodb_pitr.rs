//! DynamoDB to a second: RestoreTableToPointInTime into a table of a new name (no tags, no token). A point is `TABLE-ARN@TIME`.
//!
//! The service's word for the second that it restored to is held against what was asked for; whether the data is that second's is for the
//! comparison to say.

use async_trait::async_trait;

use crate::model::clock::Timestamp;
use crate::model::failure::{Failure, FailureKind};
use crate::restore::driver::{Accepted, Driver, Opened, Progress};
use crate::restore::drivers::asked_again;
use crate::restore::drivers::dynamodb_backup::{absent, is_a_restore, opened, patiently, ready};
use crate::restore::order::{Clouds, Order};
use crate::restore::permit::Permit;
use crate::restore::records::TargetKind;
use crate::restore::targets::{self, Detail};

/// The driver.
pub struct DynamodbPitr;

/// The table's ARN and the second, out of a point's handle.
fn taken_apart(handle: &str) -> Result<(&str, Timestamp), Failure> {
    let wrong = || Failure::invalid(format!("`{handle}` is no point in time of a table: expected `TABLE-ARN@TIME`"));
    let (arn, time) = handle.split_once('@').ok_or_else(wrong)?;
    Ok((arn, time.parse().map_err(|_| wrong())?))
}

#[async_trait]
impl Driver for DynamodbPitr {
    fn mechanism(&self) -> &'static str {
        "dynamodb:RestoreTableToPointInTime"
    }

    fn target_kind(&self) -> TargetKind {
        TargetKind::Table
    }

    async fn request(&self, order: &Order, clouds: &Clouds, permit: Permit) -> Result<Accepted, Failure> {
        let target = permit.target();
        // The guard has cleared the target: what is there by now was asked for before a crash.
        if let Some(found) = targets::find(clouds, &order.work, target).await? {
            return Ok(Accepted { job_id: None, created_arn: Some(found.arn) });
        }
        let (arn, at) = taken_apart(&order.point.handle)?;
        let key = order.isolation.as_ref().and_then(|demands| demands.kms_key_arn.as_deref());
        let tables = clouds.tables(target.region.as_deref())?;
        let answer = patiently(|| tables.restore_to_time(arn, at, &target.name, key)).await?;
        asked_again::accepted(order, clouds, target, answer, is_a_restore).await
    }

    async fn poll(&self, order: &Order, clouds: &Clouds, accepted: &Accepted) -> Result<Progress, Failure> {
        let target = order.target(TargetKind::Table);
        let (arn, at) = taken_apart(&order.point.handle)?;
        let Some(found) = targets::find(clouds, &order.work, &target).await? else {
            return Ok(absent(&target.name, accepted));
        };
        let Detail::Table(table) = &found.detail else {
            return Err(Failure::new(FailureKind::Remote, format!("{} is not a table", found.arn)));
        };
        let (status, raw) = (table.status.clone(), found.raw());
        if table.source_table_arn.as_deref().is_some_and(|source| source != arn) {
            let message =
                format!("{} was restored from {}, expected {arn}", target.name, table.source_table_arn.as_deref().unwrap_or_default());
            return Ok(Progress::Failed { status, message, raw });
        }
        // AWS restores to the second.
        if let Some(restored_to) = table.restored_to.filter(|said| said.as_secs() != at.as_secs()) {
            let message = format!("{} was restored to {restored_to}, expected {at}", target.name);
            return Ok(Progress::Failed { status, message, raw });
        }
        ready(order, clouds, &found, status, found.arn.clone(), raw).await
    }

    async fn open(&self, order: &Order, _clouds: &Clouds) -> Result<Option<Opened>, Failure> {
        Ok(Some(opened(order)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_in_time_is_a_table_and_a_time() {
        let arn = "arn:aws:dynamodb:eu-west-2:1:table/a-b";
        let handle = format!("{arn}@2026-01-31T02:00:00.000Z");
        assert_eq!(taken_apart(&handle).unwrap(), (arn, "2026-01-31T02:00:00Z".parse().unwrap()));
        assert!(taken_apart(arn).is_err() && taken_apart("x@yesterday").is_err());
    }
}
