//! Lays the estate: the bucket, the databases, the table and the local vault, with their recovery points, while everything is still whole.

use std::path::Path;
use std::time::Duration;

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::engines::installed::EngineKind;
use crate::engines::master::Master;
use crate::model::clock::Timestamp;
use crate::model::failure::{Failure, FailureKind};
use crate::model::ids::{PointId, ResourceId};
use crate::monitor::{Event, Monitor};
use crate::sandbox::control::backup::jobs::Backup;
use crate::sandbox::control::rds::state::Settings;
use crate::sandbox::demo::calls::{self, refused};
use crate::sandbox::demo::{data, vault};
use crate::sandbox::identity::{ACCOUNT_ID, REGION};
use crate::sandbox::server::Running;

/// The file vault's bucket.
pub const BUCKET: &str = "bv-tna-backup-vault";
/// The audit log's table.
pub const TABLE: &str = "audit-logs";
/// The AWS Backup vault of the archive.
pub const ARCHIVE_VAULT: &str = "tna-archive";
/// The AWS Backup vault of the bank.
pub const BANK_VAULT: &str = "banking-buddy";
/// The subnet group that restored instances have to be in.
pub const SUBNET_GROUP: &str = "restore-isolated";
/// The user of the laid databases.
pub const DATABASE_USER: &str = "estate_owner";
/// How many daily copies the local vault holds.
pub const DAILY_COPIES: usize = 20;

/// One resource of the estate as it was laid, with what a manifest needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Laid {
    /// Recovery points that are to be damaged or restored, by a name of the demo's own.
    pub points: Vec<LaidPoint>,
    /// The password of [`DATABASE_USER`].
    pub password: String,
    /// Engines that were found, by resource.
    pub databases: Vec<LaidDatabase>,
}

/// One recovery point, taken while the data was known good.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LaidPoint {
    /// Its resource.
    pub resource: ResourceId,
    /// Its role in the demo, such as `whole`, `damaged`, `fails`, `hollow`.
    pub role: String,
    /// Its identity.
    pub id: PointId,
    /// The source URL that a manifest for it is captured from; without credentials.
    pub source: String,
}

/// One database server of the estate.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LaidDatabase {
    /// Its resource, which is the instance's identifier too.
    pub resource: ResourceId,
    /// `rds-mysql` or `rds-postgres`.
    pub kind: String,
    /// The database in it.
    pub database: String,
    /// Where it listens on 127.0.0.1.
    pub port: u16,
}

impl Laid {
    /// The point of `resource` with this role, if it was taken.
    pub fn point(&self, resource: &str, role: &str) -> Option<&LaidPoint> {
        self.points.iter().find(|point| point.resource.0 == resource && point.role == role)
    }
}

/// Lays everything; `dir` is the demo's folder, `now` the moment that the data is told from.
pub async fn lay(sandbox: &Running, dir: &Path, now: Timestamp, monitor: &dyn Monitor) -> Result<Laid, Failure> {
    let control = sandbox.control();
    let mut laid = Laid { points: Vec::new(), password: crate::sandbox::control::answer::random_hex(12), databases: Vec::new() };
    for name in [ARCHIVE_VAULT, BANK_VAULT] {
        calls::backup(control.backup(), Method::PUT, &format!("/backup-vaults/{name}"), &json!({})).await?;
        let lock = json!({"MinRetentionDays": 1, "MaxRetentionDays": 400});
        calls::backup(control.backup(), Method::PUT, &format!("/backup-vaults/{name}/vault-lock"), &lock).await?;
    }
    control.rds().lay_subnet_group(SUBNET_GROUP, "vpc-0restore")?;
    lay_vault(sandbox, &mut laid, monitor).await?;
    stop_if_asked(monitor)?;
    lay_databases(sandbox, &mut laid, now, monitor).await?;
    stop_if_asked(monitor)?;
    lay_table(sandbox, &mut laid, now).await?;
    stop_if_asked(monitor)?;
    lay_local(dir, &mut laid, now)?;
    Ok(laid)
}

/// Stops a preparation between two of its parts, where the user asks for it.
pub fn stop_if_asked(monitor: &dyn Monitor) -> Result<(), Failure> {
    if monitor.stop_requested() {
        return Err(Failure::new(FailureKind::Interrupted, "stopped before the estate was ready").hint("the same command starts anew"));
    }
    Ok(())
}

async fn lay_vault(sandbox: &Running, laid: &mut Laid, monitor: &dyn Monitor) -> Result<(), Failure> {
    vault::lay(sandbox.s3(), BUCKET, &data::vault_keys(), monitor)?;
    for role in ["whole", "damaged", "fails"] {
        let id = back_up(sandbox.control().backup(), ARCHIVE_VAULT, &format!("arn:aws:s3:::{BUCKET}")).await?;
        laid.points.push(LaidPoint { resource: "file-vault".into(), role: role.into(), id, source: format!("s3://{BUCKET}") });
    }
    Ok(())
}

/// The state of a recovery point that cannot be made or restored here, in words that go into the log.
const UNTESTED: &str = "untested: no database server (PostgreSQL or MariaDB) is installed on this machine";

/// One database server to lay: its instance, its engine, its database, how many customers or consignments, and its points.
struct Plan {
    instance: &'static str,
    engine: EngineKind,
    database: &'static str,
    statements: Vec<String>,
}

async fn lay_databases(sandbox: &Running, laid: &mut Laid, now: Timestamp, monitor: &dyn Monitor) -> Result<(), Failure> {
    let engines = crate::sandbox::control::plane::engines_available();
    let mut plans = Vec::new();
    // The bank's database is MySQL in its owners' documents; PostgreSQL stands in where only that is installed.
    if let Some(engine) = [EngineKind::MariaDb, EngineKind::Postgres].into_iter().find(|kind| engines.contains(kind)) {
        let statements = data::bank_statements(2_000, now);
        plans.push(Plan { instance: "crm-transactions", engine, database: "crm_transactions", statements });
    }
    if engines.contains(&EngineKind::Postgres) {
        let statements = data::processing_statements(4_000, now);
        plans.push(Plan { instance: "file-processing", engine: EngineKind::Postgres, database: "processing", statements });
    }
    if plans.is_empty() {
        monitor.event(Event::Note("neither PostgreSQL nor MariaDB is installed here: the recovery points of RDS stay untested"));
        lay_unmade(sandbox)?;
    }
    for plan in plans {
        lay_database(sandbox, laid, plan).await?;
    }
    Ok(())
}

/// A recovery point that this machine cannot make, so that it is in the catalogue, left out with its reason, and nowhere passed over.
fn lay_unmade(sandbox: &Running) -> Result<(), Failure> {
    let (rds, name) = (sandbox.control().rds(), "crm-transactions");
    let instance = rds.unmade(name, "mariadb", DATABASE_USER, "crm_transactions").map_err(refused(name))?;
    rds.unmade_snapshot(instance, &format!("{name}-nightly"), UNTESTED).map_err(refused(name))?;
    Ok(())
}

async fn lay_database(sandbox: &Running, laid: &mut Laid, plan: Plan) -> Result<(), Failure> {
    let rds = sandbox.control().rds();
    let (name, scheme, kind) = match plan.engine {
        EngineKind::MariaDb => ("mariadb", "mysql", "rds-mysql"),
        EngineKind::MySql => ("mysql", "mysql", "rds-mysql"),
        EngineKind::Postgres => ("postgres", "postgres", "rds-postgres"),
    };
    let master = Master { user: DATABASE_USER.into(), password: laid.password.clone(), database: Some(plan.database.into()) };
    // No automated backups: the demo's points are snapshots, and its servers stand still while they are captured.
    let settings = Settings { encrypted: Some(true), storage: Some(20), retention: Some(0), ..Settings::default() };
    rds.create(plan.instance, name, master, settings).map_err(refused(plan.instance))?;
    let instance = loop {
        tokio::time::sleep(Duration::from_millis(40)).await;
        match rds.instance(plan.instance) {
            Some(instance) if instance.status == "available" => break instance,
            Some(instance) if instance.status == "failed" => {
                let trouble = instance.trouble.unwrap_or_default();
                return Err(Failure::of_program(format!("the demo's database {} did not start: {trouble}", plan.instance)));
            }
            _ => {}
        }
    };
    // The owner's tables, as an application's are: made under the role that reads them back.
    let text = match plan.engine {
        // An extension is made by an administrator, as RDS has one for that: the structural checks look through it, where it is installed.
        EngineKind::Postgres => format!(
            "DO $do$ BEGIN CREATE EXTENSION amcheck; EXCEPTION WHEN OTHERS THEN NULL; END $do$;\nGRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO {DATABASE_USER};\nSET ROLE {DATABASE_USER};\n{};\n",
            plan.statements.join(";\n")
        ),
        EngineKind::MariaDb | EngineKind::MySql => format!("{};\n", plan.statements.join(";\n")),
    };
    rds.servers().sql(plan.engine, &instance.home, instance.port, plan.database, &text).await?;
    laid.databases.push(LaidDatabase {
        resource: plan.instance.into(),
        kind: kind.into(),
        database: plan.database.into(),
        port: instance.port,
    });
    let source = format!("{scheme}://{DATABASE_USER}@127.0.0.1:{}/{}", instance.port, plan.database);
    let mut add = |role: &str, id: PointId| {
        laid.points.push(LaidPoint { resource: plan.instance.into(), role: role.into(), id, source: source.clone() });
    };
    add("damaged", back_up(sandbox.control().backup(), BANK_VAULT, &instance.arn()).await?);
    let snapshot = format!("{}-nightly", plan.instance);
    rds.begin_snapshot(plan.instance, &snapshot, "manual", None).map_err(refused(&snapshot))?;
    add("whole", PointId::arn(&rds.take_snapshot(&snapshot).await?.arn()));
    Ok(())
}

async fn lay_table(sandbox: &Running, laid: &mut Laid, now: Timestamp) -> Result<(), Failure> {
    let tables = sandbox.control().dynamodb();
    let attribute = |name: &str, kind: &str| json!({"AttributeName": name, "AttributeType": kind});
    let key = |name: &str, kind: &str| json!({"AttributeName": name, "KeyType": kind});
    let table = json!({
        "TableName": TABLE, "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [attribute("actor", "S"), attribute("seq", "N")],
        "KeySchema": [key("actor", "HASH"), key("seq", "RANGE")],
    });
    calls::dynamodb(tables, "CreateTable", &table).await?;
    let items: Vec<Value> = (0..3_000).map(|index| json!({"PutRequest": {"Item": data::audit_item(index, now)}})).collect();
    for chunk in items.chunks(25) {
        let answer = calls::dynamodb(tables, "BatchWriteItem", &json!({"RequestItems": {TABLE: chunk}})).await?;
        if answer["UnprocessedItems"].as_object().is_some_and(|rest| !rest.is_empty()) {
            return Err(Failure::new(FailureKind::Remote, "the demo's table did not take every item"));
        }
    }
    let source = format!("dynamodb:{TABLE}");
    let whole = tables.take_backup(TABLE, "nightly", "USER").await.map_err(refused("CreateBackup"))?;
    laid.points.push(LaidPoint { resource: TABLE.into(), role: "whole".into(), id: PointId::arn(&whole.arn), source: source.clone() });
    let arn = format!("arn:aws:dynamodb:{REGION}:{ACCOUNT_ID}:table/{TABLE}");
    for role in ["damaged", "hollow"] {
        let id = back_up(sandbox.control().backup(), BANK_VAULT, &arn).await?;
        laid.points.push(LaidPoint { resource: TABLE.into(), role: role.into(), id, source: source.clone() });
    }
    Ok(())
}

/// The local vault: daily copies of the artist directory, each a little larger than the one before, and two off-site ones.
fn lay_local(dir: &Path, laid: &mut Laid, now: Timestamp) -> Result<(), Failure> {
    let days = i64::try_from(DAILY_COPIES).unwrap_or(i64::MAX);
    for day in 0..days {
        let at = now.plus_secs(-86_400 * (days - 1 - day) - 3_600);
        let artists = 300 + u64::try_from(day).unwrap_or(0) * 3;
        lay_copy(dir, laid, "artist-directory", "daily", &format!("copy-{day}"), artists, at)?;
    }
    for (role, week) in [("whole", 2), ("damaged", 1)] {
        lay_copy(dir, laid, "artist-directory-offsite", "offsite", role, 320, now.plus_secs(-86_400 * 7 * week))?;
    }
    Ok(())
}

fn lay_copy(dir: &Path, laid: &mut Laid, resource: &str, vault: &str, role: &str, artists: u64, at: Timestamp) -> Result<(), Failure> {
    let name = format!("directory-{}.db", at.to_chrono().format("%Y-%m-%d"));
    let folder = dir.join("vault").join(vault);
    let path = folder.join(&name);
    let failed = |error: String| Failure::new(FailureKind::Disk, format!("cannot lay {}: {error}", path.display()));
    std::fs::create_dir_all(&folder).map_err(|error| failed(error.to_string()))?;
    let connection = rusqlite::Connection::open(&path).map_err(|error| failed(error.to_string()))?;
    connection.execute_batch(&data::directory_statements(artists, at)).map_err(|error| failed(error.to_string()))?;
    connection.close().map_err(|(_, error)| failed(error.to_string()))?;
    set_modified(&path, at).map_err(|error| failed(error.to_string()))?;
    let resource = ResourceId::from(resource);
    let id = PointId::local(&resource, &name);
    laid.points.push(LaidPoint { resource, role: role.into(), id, source: format!("sqlite:{}", path.display()) });
    Ok(())
}

/// Gives a file the age that its copy would have.
pub fn set_modified(path: &Path, at: Timestamp) -> std::io::Result<()> {
    std::fs::File::options().write(true).open(path)?.set_modified(at.to_chrono().into())
}

/// Takes one recovery point with AWS Backup and waits until it is COMPLETED.
async fn back_up(service: &Backup, vault: &str, resource: &str) -> Result<PointId, Failure> {
    let request = json!({
        "BackupVaultName": vault, "ResourceArn": resource, "IamRoleArn": format!("arn:aws:iam::{ACCOUNT_ID}:role/backup"),
        "Lifecycle": {"DeleteAfterDays": 35},
    });
    let started = calls::backup(service, Method::PUT, "/backup-jobs", &request).await?;
    let id = started["BackupJobId"].as_str().unwrap_or_default().to_owned();
    loop {
        tokio::time::sleep(Duration::from_millis(30)).await;
        let job = calls::backup(service, Method::GET, &format!("/backup-jobs/{id}"), &Value::Null).await?;
        match (job["State"].as_str(), job["RecoveryPointArn"].as_str()) {
            (Some("COMPLETED"), Some(arn)) => return Ok(PointId::arn(arn)),
            (Some("FAILED" | "ABORTED" | "EXPIRED"), _) => {
                return Err(Failure::of_program(format!("the demo's backup of {resource} failed: {}", job["StatusMessage"])));
            }
            _ => {}
        }
    }
}
