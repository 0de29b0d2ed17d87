//! RDS's own snapshots, to an instance of a new name (RestoreDBInstanceFromDBSnapshot: no token, so it is described before a retry).

use async_trait::async_trait;
use serde_json::json;

use crate::aws::rds::RestoreRequest;
use crate::model::failure::Failure;
use crate::restore::driver::{Accepted, Driver, Opened, Progress};
use crate::restore::drivers::instances;
use crate::restore::order::{Clouds, Order};
use crate::restore::permit::Permit;
use crate::restore::records::TargetKind;
use crate::restore::targets;

/// The driver.
pub struct RdsSnapshot;

#[async_trait]
impl Driver for RdsSnapshot {
    fn mechanism(&self) -> &'static str {
        "rds:RestoreDBInstanceFromDBSnapshot"
    }

    fn target_kind(&self) -> TargetKind {
        TargetKind::DbInstance
    }

    fn sets_password(&self) -> bool {
        true
    }

    async fn request(&self, order: &Order, clouds: &Clouds, permit: Permit) -> Result<Accepted, Failure> {
        let target = permit.target();
        // The guard has cleared the target: what is there by now was asked for before a crash.
        if let Some(found) = targets::find(clouds, &order.work, target).await? {
            return Ok(Accepted { job_id: None, created_arn: Some(found.arn) });
        }
        let demands = order.isolation.clone().unwrap_or_default();
        let request = RestoreRequest {
            snapshot: order.point.handle.clone(),
            instance: target.name.clone(),
            subnet_group: demands.subnet_group,
            security_groups: demands.security_group_ids,
            tags: order.tags(),
        };
        let created_arn = clouds.rds(target.region.as_deref())?.restore(&request).await?;
        Ok(Accepted { job_id: None, created_arn })
    }

    async fn poll(&self, order: &Order, clouds: &Clouds, accepted: &Accepted) -> Result<Progress, Failure> {
        let target = order.target(TargetKind::DbInstance);
        match targets::find(clouds, &order.work, &target).await? {
            Some(found) => {
                let raw = found.raw();
                instances::ready(&found, None, raw)
            }
            None => Ok(Progress::Failed {
                status: "absent".into(),
                message: format!("instance {} was accepted and does not exist", target.name),
                raw: json!({"accepted": accepted.created_arn}),
            }),
        }
    }

    async fn set_password(&self, order: &Order, clouds: &Clouds, permit: Permit) -> Result<(), Failure> {
        instances::set_password(order, clouds, &permit).await
    }

    async fn open(&self, order: &Order, clouds: &Clouds) -> Result<Option<Opened>, Failure> {
        instances::open(order, clouds).await
    }
}
