//! DynamoDB's own on-demand backups, to a table of a new name (RestoreTableFromBackup: no tags, no token).

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::model::failure::{Failure, FailureKind};
use crate::model::source_url::SourceUrl;
use crate::restore::driver::{Accepted, Driver, Opened, Progress};
use crate::restore::drivers::backup_jobs::names;
use crate::restore::order::{Clouds, Order};
use crate::restore::permit::Permit;
use crate::restore::records::TargetKind;
use crate::restore::targets::{self, Detail, Found};

/// The driver.
pub struct DynamodbBackup;

#[async_trait]
impl Driver for DynamodbBackup {
    fn mechanism(&self) -> &'static str {
        "dynamodb:RestoreTableFromBackup"
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
        let key = order.isolation.as_ref().and_then(|demands| demands.kms_key_arn.as_deref());
        let created_arn = clouds.tables(target.region.as_deref())?.restore(&order.point.handle, &target.name, key).await?;
        Ok(Accepted { job_id: None, created_arn })
    }

    async fn poll(&self, order: &Order, clouds: &Clouds, accepted: &Accepted) -> Result<Progress, Failure> {
        let target = order.target(TargetKind::Table);
        let Some(found) = targets::find(clouds, &order.work, &target).await? else {
            return Ok(Progress::Failed {
                status: "ABSENT".into(),
                message: format!("table {} was accepted and does not exist", target.name),
                raw: json!({"accepted": accepted.created_arn}),
            });
        };
        let raw = found.raw();
        ready(order, clouds, &found, status_of(&found), found.arn.clone(), raw).await
    }

    async fn open(&self, order: &Order, _clouds: &Clouds) -> Result<Option<Opened>, Failure> {
        Ok(Some(opened(order)))
    }
}

/// A table is ready when it is ACTIVE and no restore goes on; it is then tagged, since no restoring call takes tags.
pub async fn ready(
    order: &Order,
    clouds: &Clouds,
    found: &Found,
    status: String,
    created_arn: String,
    raw: Value,
) -> Result<Progress, Failure> {
    let Detail::Table(table) = &found.detail else {
        return Err(Failure::new(FailureKind::Remote, format!("{created_arn} is not a table")));
    };
    match table.status.as_str() {
        "ACTIVE" if table.restore_in_progress => Ok(Progress::Waiting { status: "ACTIVE, restore in progress".into() }),
        "ACTIVE" if !names(&found.arn, TargetKind::Table, &table.name) => {
            Ok(Progress::Failed { status, message: format!("{} is not the table {}", found.arn, table.name), raw })
        }
        "ACTIVE" => {
            let region = order.target(TargetKind::Table).region;
            clouds.tables(region.as_deref())?.tag(&found.arn, &order.tags()).await?;
            Ok(Progress::Ready { status, created_arn, raw })
        }
        "CREATING" | "UPDATING" => Ok(Progress::Waiting { status: table.status.clone() }),
        other => Ok(Progress::Failed { status: other.to_owned(), message: format!("table {} is {other}", table.name), raw }),
    }
}

/// Where a restored table is read.
pub fn opened(order: &Order) -> Opened {
    let target = order.target(TargetKind::Table);
    Opened { url: SourceUrl::Dynamodb { table: target.name }, region: target.region, login: None, unreadable: None }
}

fn status_of(found: &Found) -> String {
    match &found.detail {
        Detail::Table(table) => table.status.clone(),
        _ => String::new(),
    }
}
