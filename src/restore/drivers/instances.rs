//! What the drivers of RDS share: asking for an instance, when it is ready, its drill-only password, and where it is read.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::aws::rds::{Instance, Rds, RestoreFrom, RestoreRequest};
use crate::model::failure::{Failure, FailureKind};
use crate::model::source_url::SourceUrl;
use crate::restore::driver::{Accepted, Opened, Progress, Proof};
use crate::restore::drivers::asked_again;
use crate::restore::late::seen_at_last;
use crate::restore::order::{Clouds, DRILL_TAG, Order};
use crate::restore::permit::Permit;
use crate::restore::records::TargetKind;
use crate::restore::targets::{self, Detail, Found};

/// States that an instance does not leave by itself: it will not be ready.
const FAILED: &[&str] = &[
    "failed",
    "incompatible-restore",
    "incompatible-network",
    "incompatible-parameters",
    "incompatible-option-group",
    "storage-full",
    "deleting",
    "inaccessible-encryption-credentials",
    "restore-error",
];
/// States of one that was available, which somebody else has brought about.
const TAKEN_AWAY: &[&str] = &["stopping", "stopped", "deleted"];

/// Asks RDS itself for an instance under the target's name; one that is there was asked for before a crash.
pub async fn request(order: &Order, clouds: &Clouds, permit: Permit, from: RestoreFrom) -> Result<Accepted, Failure> {
    let target = permit.target();
    // The guard has cleared the target: what is there by now is ours.
    if let Some(found) = targets::find(clouds, &order.work, target).await? {
        return Ok(Accepted { job_id: None, created_arn: Some(found.arn) });
    }
    let demands = order.isolation.clone().unwrap_or_default();
    let rds = clouds.rds(target.region.as_deref())?;
    let engine = match demands.parameter_groups.is_empty() {
        true => None,
        false => source_engine(order, &rds).await?,
    };
    let request = RestoreRequest {
        from,
        instance: target.name.clone(),
        parameter_group: engine.and_then(|engine| demands.parameter_groups.get(&engine).cloned()),
        subnet_group: demands.subnet_group,
        security_groups: demands.security_group_ids,
        tags: order.tags(),
        iam: order.iam_user.is_some(),
    };
    let answer = rds.restore(&request).await?;
    // The call tags what it makes.
    let is_ours = |found: &Found| found.tags.get(DRILL_TAG) == Some(&order.drill.0);
    asked_again::accepted(order, clouds, target, answer, is_ours).await
}

/// The engine that the data was written with: a snapshot states it. An instance states what it runs now, which may have been upgraded since.
pub async fn source_version(order: &Order, clouds: &Clouds, region: Option<&str>) -> Result<SourceVersion, Failure> {
    let rds = clouds.rds(region)?;
    if order.point.handle.contains(":snapshot:") {
        let snapshot = rds.snapshot(&order.point.handle).await?;
        let (engine, version) = snapshot.map(|snapshot| (snapshot.engine, snapshot.engine_version)).unzip();
        return Ok(SourceVersion { engine, version: version.flatten(), binding: true });
    }
    let instance = match order.point.source_arn.as_deref().and_then(|arn| arn.rsplit(':').next()) {
        Some(name) => rds.instance(name).await?,
        None => None,
    };
    let (engine, version) = instance.map(|instance| (instance.engine, instance.engine_version)).unzip();
    Ok(SourceVersion { engine, version: version.flatten(), binding: false })
}

/// What is known of the engine that wrote the data.
#[derive(Clone, Debug, Default)]
pub struct SourceVersion {
    /// Such as `mariadb`.
    pub engine: Option<String>,
    /// Such as `15.8`.
    pub version: Option<String>,
    /// Whether it is the version of the very data that is restored.
    pub binding: bool,
}

/// The engine of the point, as RDS names it.
async fn source_engine(order: &Order, rds: &Rds) -> Result<Option<String>, Failure> {
    let handle = order.point.handle.as_str();
    if handle.contains(":snapshot:") {
        return Ok(rds.snapshot(handle).await?.map(|snapshot| snapshot.engine));
    }
    Ok(rds.instance(source_name(order)).await?.map(|instance| instance.engine))
}

/// The identifier of the instance that a point in time belongs to.
pub fn source_name(order: &Order) -> &str {
    order.point.handle.rsplit(':').next().unwrap_or(&order.point.handle)
}

/// How far an instance is that RDS itself restores.
pub async fn poll(order: &Order, clouds: &Clouds, accepted: &Accepted) -> Result<Progress, Failure> {
    let target = order.target(TargetKind::DbInstance);
    let Some(found) = seen_at_last(clouds, &order.work, &target).await? else {
        return Ok(Progress::Failed {
            status: "absent".into(),
            message: format!("instance {} was accepted and does not exist", target.name),
            raw: json!({"accepted": accepted.created_arn}),
        });
    };
    let raw = found.raw();
    match ready(&found, None, raw)? {
        Progress::Ready { status, created_arn, raw } => {
            let source = source_version(order, clouds, target.region.as_deref()).await?;
            Ok(as_new_as(source, instance_of(&found)?, Progress::Ready { status, created_arn, raw }))
        }
        other => Ok(other),
    }
}

/// The same progress with both engines in its evidence; failed where the restored one is another, or older than the one that wrote the data.
pub fn as_new_as(source: SourceVersion, instance: &Instance, ready: Progress) -> Progress {
    let Progress::Ready { status, created_arn, mut raw } = ready else { return ready };
    let SourceVersion { engine, version: source, binding } = source;
    let (restored, runs) = (instance.engine_version.clone(), instance.engine.as_str());
    let older = binding && source.as_deref().zip(restored.as_deref()).is_some_and(|(source, restored)| version(restored) < version(source));
    if let Value::Object(members) = &mut raw {
        let mut versions = json!({"source": source, "restored": restored, "wrote_the_data": binding, "restored_engine": runs});
        if let Some(engine) = &engine {
            versions["source_engine"] = json!(engine);
        }
        members.insert("engine_versions".into(), versions);
    }
    if let Some(engine) = engine.filter(|engine| engine != runs) {
        let message = format!("{created_arn} is said to run {runs}, and what it was restored from is of {engine}");
        return Progress::Failed { status, message, raw };
    }
    if older {
        let (source, restored) = (source.unwrap_or_default(), restored.unwrap_or_default());
        let message = format!("{created_arn} runs version {restored}, older than the {source} that wrote the data");
        return Progress::Failed { status, message, raw };
    }
    Progress::Ready { status, created_arn, raw }
}

/// The numbers of a version such as `10.11.8-rds`.
fn version(text: &str) -> Vec<u32> {
    text.split(['.', '-']).map_while(|part| part.parse().ok()).collect()
}

/// An instance is ready when it is available and has an endpoint.
pub fn ready(found: &Found, status: Option<String>, raw: Value) -> Result<Progress, Failure> {
    let instance = instance_of(found)?;
    Ok(match instance.status.as_str() {
        "available" if !targets::names(&found.arn, TargetKind::DbInstance, &instance.id) => {
            Progress::Failed { status: instance.status.clone(), message: format!("{} is not the instance {}", found.arn, instance.id), raw }
        }
        "available" if instance.endpoint.is_some() => {
            Progress::Ready { status: status.unwrap_or_else(|| instance.status.clone()), created_arn: found.arn.clone(), raw }
        }
        status if FAILED.contains(&status) => {
            Progress::Failed { status: status.to_owned(), message: format!("instance {} is {status}", instance.id), raw }
        }
        other => Progress::Waiting { status: other.to_owned() },
    })
}

/// ModifyDBInstance with a password of the drill's own: that it opens what is read proves that it is what was restored.
pub async fn set_password(order: &Order, clouds: &Clouds, permit: &Permit) -> Result<(), Failure> {
    let target = permit.target();
    clouds.rds(target.region.as_deref())?.set_password(&target.name, &order.password, order.iam_user.is_some()).await
}

/// The URL of the instance's database; nothing while a change of the password is still pending.
pub async fn open(order: &Order, clouds: &Clouds) -> Result<Option<Opened>, Failure> {
    let target = order.target(TargetKind::DbInstance);
    let Some(instance) = clouds.rds(target.region.as_deref())?.instance(&target.name).await? else {
        return Err(Failure::new(FailureKind::Absent, format!("instance {} is gone", target.name)));
    };
    let status = instance.status.as_str();
    if FAILED.contains(&status) || TAKEN_AWAY.contains(&status) {
        return Err(Failure::new(FailureKind::Remote, format!("instance {} was available and is {status} now", target.name))
            .hint("find out what became of it in the events of RDS and in CloudTrail, and drill the point again"));
    }
    // A change of how it is logged in to takes its time after the call that asks for it.
    let awaited = order.iam_user.is_some() && instance.iam != Some(true);
    if instance.status != "available" || instance.pending_password || awaited {
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
    let encoded = |user: &str| utf8_percent_encode(user, NON_ALPHANUMERIC).to_string();
    // The token is for the user of the URL.
    let reader = encoded(order.iam_user.as_ref().unwrap_or(&user));
    let query = match (&order.iam_user, &target.region) {
        (None, _) => String::new(),
        (Some(_), None) => "?authentication=iam".to_owned(),
        (Some(_), Some(region)) => format!("?authentication=iam&region={region}"),
    };
    let url = |reader: &str, query: &str| match instance.engine.as_str() {
        engine if engine.starts_with("postgres") => {
            Ok(SourceUrl::Postgres { url: format!("postgres://{reader}@{host}:{port}/{database}{query}") })
        }
        "mysql" | "mariadb" => Ok(SourceUrl::Mysql { url: format!("mysql://{reader}@{host}:{port}/{database}{query}") }),
        other => Err(Failure::invalid(format!("instance {}: engine {other} cannot be read", target.name))),
    };
    let proof = Proof { url: url(&encoded(&user), "")?, user: user.clone(), password: order.password.clone() };
    let login = order.iam_user.is_none().then(|| (user, order.password.clone()));
    Ok(Some(Opened { url: url(&reader, &query)?, region: target.region, login, proof: Some(proof), unreadable: None, keeper: None }))
}

/// The instance in a description.
pub fn instance_of(found: &Found) -> Result<&Instance, Failure> {
    match &found.detail {
        Detail::Instance(instance) => Ok(instance),
        _ => Err(Failure::new(FailureKind::Remote, format!("{} is not a database instance", found.arn))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing_log::restore_facts::EngineVersions;

    #[test]
    fn an_older_engine_than_that_of_the_source_is_no_restore() {
        let ready = || Progress::Ready { status: "available".into(), created_arn: "arn".into(), raw: json!({}) };
        let wrote = |version: &str, binding| SourceVersion { engine: Some("postgres".into()), version: Some(version.into()), binding };
        let runs =
            |engine: &str, version: &str| Instance { engine: engine.into(), engine_version: Some(version.into()), ..Instance::default() };
        let of = |source: &str, restored: &str| as_new_as(wrote(source, true), &runs("postgres", restored), ready());
        assert!(matches!(of("15.8", "15.8"), Progress::Ready { .. }));
        assert!(matches!(of("10.11.8-rds.1", "10.11.10"), Progress::Ready { .. }), "numbers, not text");
        assert!(matches!(of("15.8", "16.1"), Progress::Ready { .. }));
        let Progress::Failed { message, raw, .. } = of("16.1", "15.8") else { panic!("an older engine was accepted") };
        assert!(message.contains("16.1") && message.contains("15.8"), "{message}");
        assert_eq!(raw["engine_versions"]["restored"], "15.8");
        let unstated = as_new_as(SourceVersion::default(), &runs("postgres", "1"), ready());
        assert!(matches!(unstated, Progress::Ready { .. }), "what is not stated is not older");
        let exception = |progress: Progress| {
            let Progress::Ready { raw, .. } = progress else { panic!("refused") };
            serde_json::from_value::<EngineVersions>(raw["engine_versions"].clone()).unwrap().exception()
        };
        assert!(exception(unstated).unwrap().contains("compared with nothing"));
        // What the source runs now binds nobody, since it may have been upgraded since; that it is another is said.
        assert_eq!(exception(as_new_as(wrote("16.1", false), &runs("postgres", "16.1"), ready())), None);
        for restored in ["15.8", "99.1"] {
            let said = exception(as_new_as(wrote("16.1", false), &runs("postgres", restored), ready())).unwrap();
            assert!(said.contains(restored) && said.contains("the source runs 16.1"), "{said}");
        }
        for binding in [true, false] {
            let Progress::Failed { message, .. } = as_new_as(wrote("16.1", binding), &runs("mysql", "16.1"), ready()) else { panic!() };
            assert!(message.contains("mysql") && message.contains("postgres"), "{message}");
        }
    }
}
