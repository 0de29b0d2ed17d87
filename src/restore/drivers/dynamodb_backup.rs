//! DynamoDB's own on-demand backups, to a table of a new name (RestoreTableFromBackup: no tags, no token).

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::aws::dynamodb_backup::Table;
use crate::aws::dynamodb_settings;
use crate::aws::times::region_of_arn;
use crate::model::failure::{Failure, FailureKind};
use crate::model::resource::PointSource;
use crate::model::source_url::SourceUrl;
use crate::restore::driver::{Accepted, Driver, Opened, Progress};
use crate::restore::drivers::asked_again;
use crate::restore::order::{Clouds, Order};
use crate::restore::permit::Permit;
use crate::restore::records::TargetKind;
use crate::restore::targets::{self, Detail, Found};

/// How long a restore waits for others to end, where the service allows no more of them at once.
const BUSY_PATIENCE: Duration = Duration::from_secs(1800);

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
        let tables = clouds.tables(target.region.as_deref())?;
        let answer = patiently(|| tables.restore(&order.point.handle, &target.name, key)).await?;
        asked_again::accepted(order, clouds, target, answer, is_a_restore).await
    }

    async fn poll(&self, order: &Order, clouds: &Clouds, accepted: &Accepted) -> Result<Progress, Failure> {
        let target = order.target(TargetKind::Table);
        let Some(found) = targets::find(clouds, &order.work, &target).await? else {
            return Ok(absent(&target.name, accepted));
        };
        let raw = found.raw();
        ready(order, clouds, &found, status_of(&found), found.arn.clone(), raw).await
    }

    async fn open(&self, order: &Order, _clouds: &Clouds) -> Result<Option<Opened>, Failure> {
        Ok(Some(opened(order)))
    }
}

/// Whether a table was restored: of what, is held to the point when it is ready.
pub fn is_a_restore(found: &Found) -> bool {
    matches!(&found.detail, Detail::Table(table) if table.source_table_arn.is_some() || table.restored_from.is_some())
}

/// A restore that was accepted, and whose table is not there.
pub fn absent(table: &str, accepted: &Accepted) -> Progress {
    let message = format!("table {table} was accepted and does not exist");
    Progress::Failed { status: "ABSENT".into(), message, raw: json!({"accepted": accepted.created_arn}) }
}

/// Asks again while the service has as many restores under way as it allows (50 at a time), for half an hour.
pub async fn patiently<T, F: Future<Output = Result<T, Failure>>>(mut ask: impl FnMut() -> F) -> Result<T, Failure> {
    let until = tokio::time::Instant::now() + BUSY_PATIENCE;
    let mut pause = Duration::from_millis(200);
    loop {
        match ask().await {
            Err(failure) if failure.kind == FailureKind::Throttled && tokio::time::Instant::now() + pause < until => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(30));
            }
            other => return other,
        }
    }
}

/// A table is ready when it is ACTIVE with all its indexes and no restore goes on; it is then tagged, since no restoring call takes tags,
/// and its settings are held against the source's: what a restore leaves behind goes into the evidence, for whoever recovers.
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
    if table.status == "ACTIVE"
        && let Some(message) = of_another(order, table)
    {
        return Ok(Progress::Failed { status, message, raw });
    }
    match table.status.as_str() {
        "ACTIVE" if table.restore_in_progress => Ok(Progress::Waiting { status: "ACTIVE, restore in progress".into() }),
        "ACTIVE" if !targets::names(&found.arn, TargetKind::Table, &table.name) => {
            Ok(Progress::Failed { status, message: format!("{} is not the table {}", found.arn, table.name), raw })
        }
        "ACTIVE" if !table.indexes_waiting.is_empty() => {
            Ok(Progress::Waiting { status: format!("ACTIVE, indexes being built: {}", table.indexes_waiting.join(", ")) })
        }
        "ACTIVE" => {
            let mut raw = raw;
            raw["recovery_checklist"] = checklist(order, clouds, table).await?;
            let region = order.target(TargetKind::Table).region;
            clouds.tables(region.as_deref())?.tag(&found.arn, &order.tags()).await?;
            Ok(Progress::Ready { status, created_arn, raw })
        }
        "CREATING" | "UPDATING" => Ok(Progress::Waiting { status: table.status.clone() }),
        other => Ok(Progress::Failed { status: other.to_owned(), message: format!("table {} is {other}", table.name), raw }),
    }
}

/// What the service itself says of the restore's source, where that is another than the point's: an answer for another table proves nothing of this one.
fn of_another(order: &Order, table: &Table) -> Option<String> {
    let source = table.source_table_arn.as_deref().zip(order.point.source_arn.as_deref());
    let backup = table.restored_from.as_deref().map(|backup| (backup, order.point.handle.as_str()));
    // Through AWS Backup the point is the vault's, and the backup that the table names may be one of DynamoDB's own.
    let backup = backup.filter(|_| order.point.from == PointSource::DynamodbBackup);
    let (said, expected) = [source, backup].into_iter().flatten().find(|(said, expected)| said != expected)?;
    Some(format!("{} was restored from {said}, expected {expected}", table.name))
}

/// The settings of the restored table against those of the table that the point is of.
async fn checklist(order: &Order, clouds: &Clouds, table: &Table) -> Result<Value, Failure> {
    let source = table.source_table_arn.as_deref().or(order.point.source_arn.as_deref()).unwrap_or_default();
    let name = source.rsplit_once("table/").map_or("", |(_, name)| name);
    let region = region_of_arn(source);
    let restored = clouds.session(order.target(TargetKind::Table).region.as_deref())?;
    let lines = dynamodb_settings::checklist((&clouds.vault_session(region.as_deref())?, name), (&restored, &table.name)).await?;
    serde_json::to_value(lines).map_err(|error| Failure::invalid(format!("the recovery checklist of {}: {error}", table.name)))
}

/// Where a restored table is read.
pub fn opened(order: &Order) -> Opened {
    let target = order.target(TargetKind::Table);
    Opened {
        url: SourceUrl::Dynamodb { table: target.name },
        region: target.region,
        login: None,
        proof: None,
        unreadable: None,
        keeper: None,
    }
}

fn status_of(found: &Found) -> String {
    match &found.detail {
        Detail::Table(table) => table.status.clone(),
        _ => String::new(),
    }
}
