//! What the two drivers of RDS share: when an instance is ready, its drill-only password, and where it is read.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::aws::rds::Instance;
use crate::model::failure::{Failure, FailureKind};
use crate::model::source_url::SourceUrl;
use crate::restore::driver::{Opened, Progress};
use crate::restore::drivers::backup_jobs::names;
use crate::restore::order::{Clouds, Order};
use crate::restore::permit::Permit;
use crate::restore::records::TargetKind;
use crate::restore::targets::{Detail, Found};

/// An instance is ready when it is available and has an endpoint.
pub fn ready(found: &Found, status: Option<String>, raw: Value) -> Result<Progress, Failure> {
    let instance = instance_of(found)?;
    Ok(match instance.status.as_str() {
        "available" if !names(&found.arn, TargetKind::DbInstance, &instance.id) => {
            Progress::Failed { status: instance.status.clone(), message: format!("{} is not the instance {}", found.arn, instance.id), raw }
        }
        "available" if instance.endpoint.is_some() => {
            Progress::Ready { status: status.unwrap_or_else(|| instance.status.clone()), created_arn: found.arn.clone(), raw }
        }
        "failed"
        | "incompatible-restore"
        | "incompatible-network"
        | "incompatible-parameters"
        | "incompatible-option-group"
        | "storage-full"
        | "deleting"
        | "inaccessible-encryption-credentials"
        | "restore-error" => {
            Progress::Failed { status: instance.status.clone(), message: format!("instance {} is {}", instance.id, instance.status), raw }
        }
        other => Progress::Waiting { status: other.to_owned() },
    })
}

/// ModifyDBInstance with a password of the drill's own: the source's passwords open nothing of the drill's.
pub async fn set_password(order: &Order, clouds: &Clouds, permit: &Permit) -> Result<(), Failure> {
    let target = permit.target();
    clouds.rds(target.region.as_deref())?.set_password(&target.name, &order.password).await
}

/// The URL of the instance's database; nothing while a change of the password is still pending.
pub async fn open(order: &Order, clouds: &Clouds) -> Result<Option<Opened>, Failure> {
    let target = order.target(TargetKind::DbInstance);
    let Some(instance) = clouds.rds(target.region.as_deref())?.instance(&target.name).await? else {
        return Err(Failure::new(FailureKind::Absent, format!("instance {} is gone", target.name)));
    };
    if instance.status != "available" || instance.pending_password {
        return Ok(None);
    }
    let (Some((host, port)), Some(user)) = (instance.endpoint, instance.master_user) else {
        return Err(Failure::new(FailureKind::Remote, format!("instance {} states no endpoint or no master user", target.name)));
    };
    let database = order.database.clone().or(instance.database).ok_or_else(|| {
        Failure::invalid(format!("{}: the database within the instance is not known", order.point.resource))
            .hint("set `database` of the resource in attestore.toml")
    })?;
    let database = utf8_percent_encode(&database, NON_ALPHANUMERIC).to_string().replace("%5F", "_").replace("%2D", "-");
    let user_in_url = utf8_percent_encode(&user, NON_ALPHANUMERIC);
    let url = match instance.engine.as_str() {
        engine if engine.starts_with("postgres") => {
            SourceUrl::Postgres { url: format!("postgres://{user_in_url}@{host}:{port}/{database}") }
        }
        "mysql" | "mariadb" => SourceUrl::Mysql { url: format!("mysql://{user_in_url}@{host}:{port}/{database}") },
        other => return Err(Failure::invalid(format!("instance {}: engine {other} cannot be read", target.name))),
    };
    Ok(Some(Opened { url, region: target.region, login: Some((user, order.password.clone())) }))
}

/// The instance in a description.
pub fn instance_of(found: &Found) -> Result<&Instance, Failure> {
    match &found.detail {
        Detail::Instance(instance) => Ok(instance),
        _ => Err(Failure::new(FailureKind::Remote, format!("{} is not a database instance", found.arn))),
    }
}
