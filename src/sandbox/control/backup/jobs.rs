//! Backup jobs: a recovery point of a bucket, a table or an instance.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::model::failure::{Failure, FailureKind};
use crate::sandbox::control::answer::{Refused, epoch, now, random_hex};
use crate::sandbox::control::backup::refusals::{invalid, needed};
use crate::sandbox::control::backup::state::{BackupJob, Held, Point, State};
use crate::sandbox::control::dynamodb::backups::DynamoDb;
use crate::sandbox::control::dynamodb::state::table_in;
use crate::sandbox::control::faults::Faults;
use crate::sandbox::control::kept::Kept;
use crate::sandbox::control::rds::lifecycle::Rds;
use crate::sandbox::control::rds::state::{id_in, snapshot_arn};
use crate::sandbox::identity::{ACCOUNT_ID, REGION};
use crate::sandbox::s3::store::S3Store;
use crate::sandbox::wire;

/// How long a job stays in a state at least.
pub const STEP: Duration = Duration::from_millis(60);

/// The AWS Backup of the sandbox.
pub struct Backup {
    pub(super) state: Kept<State>,
    pub(super) faults: Arc<Faults>,
    pub(super) buckets: S3Store,
    pub(super) tables: Arc<DynamoDb>,
    pub(super) databases: Arc<Rds>,
    tasks: Mutex<JoinSet<()>>,
    me: Weak<Self>,
}

impl Backup {
    /// Opens the state in `dir` and goes on with the restore jobs in it.
    pub fn open(
        dir: &std::path::Path,
        faults: Arc<Faults>,
        buckets: S3Store,
        tables: Arc<DynamoDb>,
        databases: Arc<Rds>,
    ) -> Result<Arc<Self>, Failure> {
        let state: Kept<State> = Kept::open(&dir.join("backup.json"))?;
        let backup = Arc::new_cyclic(|me| Self { state, faults, buckets, tables, databases, tasks: Mutex::default(), me: me.clone() });
        backup.state.change(|state| {
            for job in state.backup_jobs.values_mut().filter(|job| job.completed.is_none()) {
                // The instant that it was to show has passed.
                job.state = "FAILED".into();
                job.message = Some("The job was interrupted.".into());
                job.completed = Some(now());
            }
        })?;
        let open: Vec<String> = backup
            .state
            .read(|state| state.restore_jobs.values().filter(|job| job.completed.is_none()).map(|job| job.id.clone()).collect());
        for id in open {
            backup.spawn(|backup| async move { backup.run_restore(&id).await });
        }
        backup.resume_access_points();
        Ok(backup)
    }

    pub(super) fn spawn<F: Future<Output = Result<(), Failure>> + Send + 'static>(&self, work: impl FnOnce(Arc<Self>) -> F) {
        let Some(me) = self.me.upgrade() else { return };
        let work = work(me);
        let mut tasks = self.tasks.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        while tasks.try_join_next().is_some() {}
        // How it went is in the job.
        tasks.spawn(async move { drop(work.await) });
    }

    /// Ends the background work; restore jobs go on at the next start.
    pub async fn stop(&self) {
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
        tasks.shutdown().await;
    }

    pub(super) fn start_backup(&self, input: &Value) -> Result<Value, Refused> {
        let vault = needed(input, "BackupVaultName")?;
        self.vault(vault)?;
        needed(input, "IamRoleArn")?;
        let resource = needed(input, "ResourceArn")?.to_owned();
        let token = input["IdempotencyToken"].as_str();
        let before = token.and_then(|token| {
            self.state.read(|state| state.backup_jobs.values().find(|job| job.request["IdempotencyToken"] == token).cloned())
        });
        if let Some(before) = before {
            return Ok(started(&before));
        }
        let id = wire::request_id().to_ascii_uppercase();
        let created = now();
        let (resource_type, name) = self.resource(&resource)?;
        let point = match resource_type {
            "RDS" => snapshot_arn(&format!("awsbackup:job-{}", id.to_ascii_lowercase())),
            // Known once the backup is taken: the table's own service names it.
            "DynamoDB" => String::new(),
            _ => format!("arn:aws:backup:{REGION}:{ACCOUNT_ID}:recovery-point:{name}-{}-{}", created.format("%Y%m%d%H%M%S"), random_hex(4)),
        };
        let job = BackupJob {
            id: id.clone(),
            request: input.clone(),
            point,
            resource_type: resource_type.into(),
            created,
            completed: None,
            state: "CREATED".into(),
            message: None,
            size: 0,
        };
        self.state.change(|state| state.backup_jobs.insert(id.clone(), job.clone()))?;
        self.spawn(|backup| async move { backup.run_backup(&id).await });
        Ok(started(&job))
    }

    /// The type and the name of a resource that is there.
    fn resource<'a>(&self, arn: &'a str) -> Result<(&'static str, &'a str), Refused> {
        let absent = |what: &str| invalid(format!("{what} does not exist: {arn}"));
        if let Some(bucket) = arn.strip_prefix("arn:aws:s3:::") {
            return if self.buckets.has_bucket(bucket)? { Ok(("S3", bucket)) } else { Err(absent("The bucket")) };
        }
        let table = table_in(arn);
        if table != arn {
            return self.tables.is_active(table)?.map(|_| ("DynamoDB", table)).ok_or_else(|| absent("The table"));
        }
        let instance = id_in("db", arn);
        if instance != arn {
            return self.databases.instance(instance).map(|_| ("RDS", instance)).ok_or_else(|| absent("The DB instance"));
        }
        Err(invalid(format!("Unsupported resource type: {arn}. The sandbox backs up S3, DynamoDB and RDS.")))
    }

    async fn run_backup(&self, id: &str) -> Result<(), Failure> {
        tokio::time::sleep(STEP).await;
        let job = self.state.change(|state| {
            state.backup_jobs.get_mut(id).map(|job| {
                job.state = "RUNNING".into();
                job.clone()
            })
        })?;
        let Some(job) = job else { return Ok(()) };
        let (taken, ()) = tokio::join!(self.take(&job), tokio::time::sleep(STEP));
        self.state.change(|state| {
            let Some(job) = state.backup_jobs.get_mut(id) else { return };
            job.completed = Some(now());
            match taken {
                Ok(point) => {
                    job.state = "COMPLETED".into();
                    job.size = point.size;
                    job.point.clone_from(&point.arn);
                    state.points.insert(point.arn.clone(), Point { completed: now(), ..point });
                }
                Err(failure) => {
                    job.state = "FAILED".into();
                    job.message = Some(failure.message);
                }
            }
        })
    }

    async fn take(&self, job: &BackupJob) -> Result<Point, Failure> {
        let said = |refused: Refused| Failure::new(FailureKind::Remote, format!("{}: {}", refused.code, refused.message));
        let resource = job.request["ResourceArn"].as_str().unwrap_or_default();
        let tags: BTreeMap<String, String> = serde_json::from_value(job.request["RecoveryPointTags"].clone()).unwrap_or_default();
        let (resource_type, name) = self.resource(resource).map_err(said)?;
        let (arn, held, size, metadata) = match resource_type {
            "S3" => {
                let (store, bucket) = (self.buckets.clone(), name.to_owned());
                let (snapshot, size) = blocking(move || {
                    let snapshot = store.snapshot(&bucket)?;
                    let size = store.snapshot_size(&snapshot)?.bytes;
                    Ok((snapshot, size))
                })
                .await?;
                (job.point.clone(), Held::Bucket { snapshot, bucket: name.into() }, size, vec![("BucketName", name.to_owned())])
            }
            "DynamoDB" => {
                let backup = self.tables.take_backup(name, &format!("awsbackup-{}", job.id), "AWS_BACKUP").await.map_err(said)?;
                let metadata = vec![("originalTableName", name.to_owned()), ("encryptionType", "Default".to_owned())];
                (backup.arn, Held::Table { table: name.into() }, backup.size, metadata)
            }
            _ => {
                let id = id_in("snapshot", &job.point);
                self.databases.begin_snapshot(name, id, "awsbackup", Some(tags.clone())).map_err(said)?;
                let taken = self.databases.take_snapshot(id).await?;
                let was = &taken.instance;
                let metadata = vec![
                    ("DBInstanceIdentifier", was.id.clone()),
                    ("DBInstanceClass", was.settings.class.clone().unwrap_or_default()),
                    ("Engine", was.engine.clone()),
                    ("EngineVersion", was.engine_version.clone()),
                    ("DBSubnetGroupName", was.settings.subnet_group.clone().unwrap_or_default()),
                    ("VpcSecurityGroupIds", json!(was.settings.security_groups.clone().unwrap_or_default()).to_string()),
                    ("PubliclyAccessible", was.settings.public.unwrap_or(false).to_string()),
                    ("MultiAZ", was.settings.multi_az.unwrap_or(false).to_string()),
                    ("StorageType", "gp3".to_owned()),
                ];
                (job.point.clone(), Held::Instance { snapshot: id.into() }, taken.size, metadata)
            }
        };
        Ok(Point {
            arn,
            vault: job.request["BackupVaultName"].as_str().unwrap_or_default().into(),
            resource: resource.into(),
            resource_type: resource_type.into(),
            resource_name: name.into(),
            created: job.created,
            completed: now(),
            size,
            status: "COMPLETED".into(),
            lifecycle: job.request["Lifecycle"].clone(),
            role: job.request["IamRoleArn"].as_str().unwrap_or_default().into(),
            held,
            metadata: metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
            tags,
            restored: None,
        })
    }
}

fn started(job: &BackupJob) -> Value {
    let mut said = json!({"BackupJobId": job.id, "CreationDate": epoch(job.created), "IsParent": false});
    if !job.point.is_empty() {
        said["RecoveryPointArn"] = job.point.clone().into();
    }
    said
}

/// Runs work that blocks.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Failure::new(FailureKind::Remote, "the work was cut short").caused_by(error))?
}
