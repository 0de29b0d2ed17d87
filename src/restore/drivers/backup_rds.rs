//! RDS through AWS Backup, to an instance of a new name: the metadata of the point with everything that would expose it replaced.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::model::failure::Failure;
use crate::restore::driver::{Accepted, Driver, Opened, Progress};
use crate::restore::drivers::backup_jobs::{self, Looked};
use crate::restore::drivers::instances;
use crate::restore::order::{Clouds, Order};
use crate::restore::permit::Permit;
use crate::restore::records::TargetKind;

/// Settings that are taken over from the source: what the data needs to run, and nothing that reaches out of the instance.
const TAKEN_OVER: &[&str] = &["DBInstanceClass", "Engine", "LicenseModel", "StorageType", "Iops", "Port", "AllocatedStorage"];

/// The driver.
pub struct BackupRds;

#[async_trait]
impl Driver for BackupRds {
    fn mechanism(&self) -> &'static str {
        "aws-backup:StartRestoreJob"
    }

    fn target_kind(&self) -> TargetKind {
        TargetKind::DbInstance
    }

    fn sets_password(&self) -> bool {
        true
    }

    async fn request(&self, order: &Order, clouds: &Clouds, permit: Permit) -> Result<Accepted, Failure> {
        let target = permit.target();
        let source = backup_jobs::metadata(order, clouds, target.region.as_deref()).await?;
        let metadata = restore_metadata(order, &target.name, &source)?;
        backup_jobs::start(order, clouds, &permit, "RDS", metadata).await
    }

    async fn poll(&self, order: &Order, clouds: &Clouds, accepted: &Accepted) -> Result<Progress, Failure> {
        match backup_jobs::look(order, clouds, accepted, TargetKind::DbInstance).await? {
            Looked::Not(progress) => Ok(progress),
            Looked::Created { status, found, raw, .. } => {
                let region = order.target(TargetKind::DbInstance).region;
                if found.tags.get(crate::restore::order::DRILL_TAG) != Some(&order.drill.0) {
                    // StartRestoreJob takes no tags.
                    clouds.rds(region.as_deref())?.tag(&found.arn, &order.tags()).await?;
                }
                match instances::ready(&found, Some(status), raw)? {
                    ready @ Progress::Ready { .. } => {
                        let source = instances::source_version(order, clouds, region.as_deref()).await?;
                        Ok(instances::as_new_as(source, instances::instance_of(&found)?, ready))
                    }
                    other => Ok(other),
                }
            }
        }
    }

    async fn set_password(&self, order: &Order, clouds: &Clouds, permit: Permit) -> Result<(), Failure> {
        instances::set_password(order, clouds, &permit).await
    }

    async fn open(&self, order: &Order, clouds: &Clouds) -> Result<Option<Opened>, Failure> {
        instances::open(order, clouds).await
    }
}

/// The metadata of the job: our name, our network, not public, no protection, no automated backups.
fn restore_metadata(order: &Order, name: &str, source: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Failure> {
    let mut metadata: BTreeMap<String, String> =
        source.iter().filter(|(key, _)| TAKEN_OVER.contains(&key.as_str())).map(|(key, value)| (key.clone(), value.clone())).collect();
    let mut set = |key: &str, value: String| metadata.insert(key.to_owned(), value);
    set("DBInstanceIdentifier", name.to_owned());
    if order.point.is_in_time() {
        set("RestoreTime", order.point.created_at.to_chrono().format("%Y-%m-%dT%H:%M:%SZ").to_string());
    }
    set("PubliclyAccessible", "false".into());
    set("MultiAZ", "false".into());
    set("DeletionProtection", "false".into());
    set("AutoMinorVersionUpgrade", "false".into());
    set("CopyTagsToSnapshot", "false".into());
    if let Some(demands) = &order.isolation {
        if let Some(group) = &demands.subnet_group {
            set("DBSubnetGroupName", group.clone());
        }
        if let Some(group) = source.get("Engine").and_then(|engine| demands.parameter_groups.get(engine)) {
            set("DBParameterGroupName", group.clone());
        }
        if !demands.security_group_ids.is_empty() {
            let list = serde_json::to_string(&demands.security_group_ids)
                .map_err(|error| Failure::invalid(format!("security groups: {error}")).caused_by(error))?;
            set("VpcSecurityGroupIds", list);
        }
    }
    Ok(metadata)
}
