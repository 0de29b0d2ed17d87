//! The catalogue: every recovery point that the configured sources list, included or excluded with its reason.
//!
//! A listing that fails is an error of its resource and is recorded: never a silent gap. The raw listings become evidence.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::json;

use crate::aws::backup::{Backup, VaultPoint};
use crate::aws::buckets::Buckets;
use crate::aws::dynamodb_backup::Tables;
use crate::aws::rds::Rds;
use crate::aws::session::Session;
use crate::estate::beside::Beside;
use crate::estate::config::{Config, LATEST, Points, Resource};
use crate::estate::{local_points, seconds};
use crate::model::arn;
use crate::model::clock::Timestamp;
use crate::model::exclusion;
use crate::model::failure::{Failure, FailureKind};
use crate::model::ids::{PointId, ResourceId};
use crate::model::recovery_point::{RecoveryPoint, UNDATED, eligibility, outside};
use crate::model::resource::{PointSource, ResourceKind};
use crate::testing_log::body::Excluded;

/// What the sources list.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// Points that may be drawn, byte-sorted by id, each once.
    pub eligible: Vec<RecoveryPoint>,
    /// What was seen and left out, and resources without any point.
    pub excluded: Vec<Excluded>,
    /// Sources that could not be listed.
    pub failures: Vec<(ResourceId, Failure)>,
    /// Why some of what is known of a vault is not: whether it is locked.
    pub unknown: Vec<Failure>,
    /// The raw listings by call.
    pub listings: BTreeMap<String, Vec<u8>>,
}

/// What listing works with.
pub struct Sources<'a> {
    /// The identity that lists, in its own Region; absent beside AWS.
    pub session: Option<&'a Session>,
    /// Whether a driver restores this kind from this source.
    pub has_driver: &'a (dyn Fn(ResourceKind, PointSource) -> bool + Sync),
    /// When the data of a point is consistent, where a registered manifest names the point.
    pub named: &'a BTreeMap<PointId, Timestamp>,
}

/// Lists every source of every resource.
pub async fn catalogue(config: &Config, sources: &Sources<'_>) -> Catalogue {
    let mut listing = Listing {
        sources,
        out: Catalogue::default(),
        seen: BTreeSet::new(),
        vaults: BTreeMap::new(),
        unlisted: BTreeMap::new(),
        windows: BTreeMap::new(),
        beside: Beside::default(),
        shared: BTreeSet::new(),
    };
    for resource in &config.resource {
        listing.resource(resource).await;
    }
    let mut out = listing.out;
    let has_point = |resource: &Resource| out.eligible.iter().any(|point| point.resource == resource.id);
    let is_told = |whole: &String| out.excluded.iter().any(|one| one.id == *whole);
    let bare = config.resource.iter().filter(|resource| !has_point(resource)).map(|resource| exclusion::whole(&resource.id.0));
    let untold: Vec<String> = bare.filter(|whole| !is_told(whole)).collect();
    out.excluded.extend(untold.into_iter().map(|id| {
        let reason = if listing.shared.contains(&id) { exclusion::DRILLED_ELSEWHERE } else { exclusion::NONE_LEFT };
        Excluded { id, reason: reason.to_owned() }
    }));
    out.eligible.sort_by(|a, b| a.id.0.as_bytes().cmp(b.id.0.as_bytes()));
    out.excluded.sort_by(|a, b| a.id.cmp(&b.id).then_with(|| a.reason.cmp(&b.reason)));
    out.excluded.dedup();
    out
}

/// What is known of one vault: its points and whether it is locked.
type VaultListing = (Vec<VaultPoint>, Option<bool>);

/// A vault or an instance by its name, and its Region where that is another than the drill's own.
type InRegion = (String, Option<String>);

struct Listing<'a> {
    sources: &'a Sources<'a>,
    out: Catalogue,
    seen: BTreeSet<PointId>,
    vaults: BTreeMap<InRegion, VaultListing>,
    /// Vaults that could not be listed, and why.
    unlisted: BTreeMap<InRegion, (FailureKind, String)>,
    /// The times that instances can be restored to, or why they could not be asked.
    windows: BTreeMap<InRegion, Result<Option<seconds::Window>, (FailureKind, String)>>,
    /// What lies beside AWS, in all directories of a resource.
    beside: Beside,
    /// Resources of which a point is drilled as one of another's, as exclusions name them.
    shared: BTreeSet<String>,
}

impl Listing<'_> {
    async fn resource(&mut self, resource: &Resource) {
        let whole = exclusion::whole(&resource.id.0);
        if resource.points.is_empty() {
            self.exclude(&whole, exclusion::NO_SOURCE);
            return;
        }
        for points in &resource.points {
            if !(self.sources.has_driver)(resource.kind, points.from) {
                self.exclude(&whole, exclusion::driver_absent(resource.kind, points.from));
                continue;
            }
            let left_out = self.out.excluded.len();
            match self.list(resource, points).await {
                // What a vault lists of it and is left out has its own reason.
                Ok(found) if found.is_empty() && points.from == PointSource::AwsBackup && self.out.excluded.len() > left_out => {}
                Ok(found) if found.is_empty() => self.exclude(&whole, exclusion::none_in(&place(points))),
                Ok(found) => found.into_iter().for_each(|point| self.judge(point)),
                Err(failure) => {
                    self.exclude(&whole, exclusion::unlisted(&place(points), failure.kind));
                    self.out.failures.push((resource.id.clone(), failure));
                }
            }
        }
    }

    fn judge(&mut self, point: RecoveryPoint) {
        let files = self.beside.named_alike(&point);
        if !files.is_empty() {
            self.out.eligible.retain(|one| one.id != point.id);
            return files.iter().for_each(|file| self.exclude(&exclusion::beside(&point.id, file), exclusion::NAMED_TWICE));
        }
        // Two sources may name one point: the first counts.
        if !self.seen.insert(point.id.clone()) {
            let first = self.out.eligible.iter().find(|one| one.id == point.id);
            if first.is_some_and(|first| first.resource != point.resource) {
                self.shared.insert(exclusion::whole(&point.resource.0));
            }
            return;
        }
        match eligibility(&point) {
            Ok(()) => self.out.eligible.push(point),
            Err(reason) => self.exclude(&point.id.0, reason),
        }
    }

    fn exclude(&mut self, id: &str, reason: impl Into<String>) {
        self.out.excluded.push(Excluded { id: id.to_owned(), reason: reason.into() });
    }

    async fn list(&mut self, resource: &Resource, points: &Points) -> Result<Vec<RecoveryPoint>, Failure> {
        match points.from {
            PointSource::AwsBackup => self.aws_backup(resource, points).await,
            PointSource::RdsSnapshot => self.rds_snapshots(resource, points).await,
            PointSource::RdsPitr => self.rds_times(resource, points).await,
            PointSource::S3Versions => self.s3_times(resource, points).await,
            PointSource::DynamodbBackup => self.dynamodb_backups(resource, points).await,
            PointSource::DynamodbPitr => self.dynamodb_window(resource, points).await,
            PointSource::Local => self.local(resource, points),
        }
    }

    fn session(&self, points: &Points) -> Result<Session, Failure> {
        let session = self
            .sources
            .session
            .ok_or_else(|| Failure::invalid("the configuration has no [aws]").hint("add [aws] with region and backup_role_arn"))?;
        Ok(match &points.region {
            Some(region) => session.in_region(region),
            None => session.clone(),
        })
    }

    async fn aws_backup(&mut self, resource: &Resource, points: &Points) -> Result<Vec<RecoveryPoint>, Failure> {
        let vault = points.vault.clone().ok_or_else(|| Failure::invalid(format!("{}: `vault` is not set", resource.id)))?;
        let key = (vault.clone(), points.region.clone());
        // A vault that could not be listed for one resource is not there for the next: its listing would belie what is said of the first.
        if let Some((kind, message)) = self.unlisted.get(&key) {
            return Err(Failure::new(*kind, message.clone()));
        }
        if !self.vaults.contains_key(&key)
            && let Err(failure) = self.vault(&key, points).await
        {
            self.unlisted.insert(key, (failure.kind, failure.message.clone()));
            return Err(failure);
        }
        let ((listed, locked), mut in_time) = (self.vaults[&key].clone(), Vec::new());
        for point in listed.iter().filter(|point| is_continuous(resource, point)) {
            in_time.extend(match resource.kind {
                ResourceKind::S3 => {
                    seconds::of_bucket_point(resource, points, (point, locked), self.sources.named, &mut self.out.excluded)?
                }
                // Without its window the other points of the vault are there all the same.
                _ => match self.seconds_of(resource, points, (point, locked)).await {
                    Ok(seconds) => seconds,
                    Err(failure) => {
                        self.exclude(&PointId::arn(&point.arn).0, exclusion::window_unlisted(failure.kind));
                        self.out.failures.push((resource.id.clone(), failure));
                        Vec::new()
                    }
                },
            });
        }
        let listed = listed.iter().filter(|point| !is_continuous(resource, point));
        let ours = listed.filter(|point| is_of(resource, &point.resource_arn)).map(|point| RecoveryPoint {
            id: PointId::arn(&point.arn),
            resource: resource.id.clone(),
            kind: resource.kind,
            from: points.from,
            handle: point.arn.clone(),
            source_arn: Some(point.resource_arn.clone()),
            vault: Some(vault.clone()),
            created_at: point.created_at.unwrap_or(Timestamp(0)),
            size_bytes: point.size_bytes,
            state: if point.created_at.is_some() { point.status.clone() } else { UNDATED.into() },
            encrypted: Some(point.encrypted),
            kms_key_arn: point.kms_key_arn.clone(),
            vault_locked: locked,
            retain_until: point.retain_until,
        });
        Ok(ours.chain(in_time).collect())
    }

    async fn vault(&mut self, key: &InRegion, points: &Points) -> Result<(), Failure> {
        let backup = Backup::new(&self.session(points)?);
        let listed = backup.points(&key.0, None).await?;
        self.keep("backup:ListRecoveryPointsByBackupVault", &key.0, points, &listed);
        // Points are there whether or not it is known that their vault is locked.
        let locked = match backup.vault(&key.0).await {
            Ok(about) => {
                self.keep("backup:DescribeBackupVault", &key.0, points, &about);
                about.locked
            }
            Err(failure) => {
                let message = format!("whether the vault {} is locked is not known: {}", key.0, failure.message);
                self.out.unknown.push(Failure { message, ..failure });
                None
            }
        };
        self.vaults.insert(key.clone(), (listed, locked));
        Ok(())
    }

    async fn rds_snapshots(&mut self, resource: &Resource, points: &Points) -> Result<Vec<RecoveryPoint>, Failure> {
        let instance = service_name(resource);
        let listed = Rds::new(&self.session(points)?).snapshots(&instance).await?;
        self.keep("rds:DescribeDBSnapshots", &instance, points, &listed);
        let elsewhere = through_aws_backup(resource);
        // Only what says that it is of this instance is a recovery point of it, whatever was asked for.
        let (listed, others): (Vec<_>, Vec<_>) = listed.into_iter().partition(|one| one.instance.eq_ignore_ascii_case(&instance));
        for one in others {
            self.exclude(&one.arn, exclusion::of_another("RDS", "instance", &one.instance, &instance));
        }
        let ours = listed.into_iter().filter(|one| !(elsewhere && one.kind == "awsbackup")).map(|snapshot| RecoveryPoint {
            id: PointId::arn(&snapshot.arn),
            resource: resource.id.clone(),
            kind: resource.kind,
            from: points.from,
            handle: snapshot.arn,
            source_arn: None,
            vault: None,
            created_at: snapshot.created_at.unwrap_or(Timestamp(0)),
            size_bytes: snapshot.size_bytes,
            state: snapshot.status,
            encrypted: snapshot.encrypted,
            kms_key_arn: snapshot.kms_key_arn,
            vault_locked: None,
            retain_until: None,
        });
        Ok(ours.collect())
    }

    /// The configured seconds of a continuous recovery point of RDS.
    async fn seconds_of(
        &mut self,
        resource: &Resource,
        points: &Points,
        (point, locked): (&VaultPoint, Option<bool>),
    ) -> Result<Vec<RecoveryPoint>, Failure> {
        let name = service_name(resource);
        let Some(window) = self.window(&name, points).await? else {
            self.exclude(&PointId::arn(&point.arn).0, exclusion::NO_WINDOW);
            return Ok(Vec::new());
        };
        seconds::of_continuous(resource, points, point, locked, window)
    }

    /// The times that an instance can be restored to, asked once: what one source was refused is not there for the next, whose listing would
    /// belie what is said of the first.
    async fn window(&mut self, name: &str, points: &Points) -> Result<Option<seconds::Window>, Failure> {
        let key = (name.to_owned(), points.region.clone());
        if !self.windows.contains_key(&key) {
            let asked = Rds::new(&self.session(points)?).restore_window(name).await;
            if let Ok(window) = &asked {
                self.keep("rds:DescribeDBInstanceAutomatedBackups", name, points, window);
            }
            self.windows.insert(key.clone(), asked.map_err(|failure| (failure.kind, failure.message)));
        }
        self.windows[&key].clone().map_err(|(kind, message)| Failure::new(kind, message))
    }

    /// The configured seconds of an instance with automated backups.
    async fn rds_times(&mut self, resource: &Resource, points: &Points) -> Result<Vec<RecoveryPoint>, Failure> {
        let name = service_name(resource);
        let instance = Rds::new(&self.session(points)?).instance(&name).await?;
        let window = self.window(&name, points).await?;
        self.keep("rds:DescribeDBInstances", &name, points, &instance);
        let known = instance.zip(window);
        known.map_or_else(|| Ok(Vec::new()), |(instance, window)| seconds::of_instance(resource, points, &instance, window))
    }

    /// The configured seconds of a bucket that keeps versions.
    async fn s3_times(&mut self, resource: &Resource, points: &Points) -> Result<Vec<RecoveryPoint>, Failure> {
        let name = service_name(resource);
        let bucket = Buckets::new(&self.session(points)?).versioning(&name).await?;
        self.keep("s3:GetBucketVersioning", &name, points, &bucket);
        bucket.map_or_else(|| Ok(Vec::new()), |status| seconds::of_bucket(resource, points, &name, &status))
    }

    async fn dynamodb_backups(&mut self, resource: &Resource, points: &Points) -> Result<Vec<RecoveryPoint>, Failure> {
        let table = service_name(resource);
        let listed = Tables::new(&self.session(points)?).backups(&table).await?;
        self.keep("dynamodb:ListBackups", &table, points, &listed);
        let elsewhere = through_aws_backup(resource);
        let name_of = |arn: &str| arn.rsplit_once("table/").map_or(String::new(), |(_, name)| name.to_owned());
        let told = |arn: &Option<String>| arn.as_deref().map(name_of).unwrap_or_default();
        let (listed, others): (Vec<_>, Vec<_>) = listed.into_iter().partition(|one| told(&one.table_arn) == table);
        for one in others {
            self.exclude(&one.arn, exclusion::of_another("DynamoDB", "table", &told(&one.table_arn), &table));
        }
        let ours = listed.into_iter().filter(|one| !(elsewhere && one.kind == "AWS_BACKUP")).map(|backup| RecoveryPoint {
            id: PointId::arn(&backup.arn),
            resource: resource.id.clone(),
            kind: resource.kind,
            from: points.from,
            handle: backup.arn,
            source_arn: backup.table_arn,
            vault: None,
            created_at: backup.created_at.unwrap_or(Timestamp(0)),
            size_bytes: backup.size_bytes,
            state: backup.status,
            encrypted: None,
            kms_key_arn: None,
            vault_locked: None,
            retain_until: backup.retain_until,
        });
        Ok(ours.collect())
    }

    /// A window is as many points as it has seconds: those that registered manifests name, since only they can be proved to be what they were;
    /// where none is named, its last one.
    async fn dynamodb_window(&mut self, resource: &Resource, points: &Points) -> Result<Vec<RecoveryPoint>, Failure> {
        let table = service_name(resource);
        let window = Tables::new(&self.session(points)?).recovery_window(&table).await?;
        self.keep("dynamodb:DescribeContinuousBackups", &table, points, &window);
        let (Some(earliest), Some(latest)) = (window.earliest, window.latest) else { return Ok(Vec::new()) };
        let mut times: BTreeSet<Timestamp> = self.sources.named.keys().filter_map(|id| id.second_of(&window.table_arn)).collect();
        times.retain(|at| (earliest..=latest).contains(at));
        for time in points.at.iter().filter(|time| *time != LATEST) {
            let time: Timestamp = time.parse().map_err(|error| Failure::invalid(format!("{}: {error}", resource.id)))?;
            times.insert(Timestamp::from_secs(time.as_secs()));
        }
        // To the whole second, as the service restores.
        let last = Timestamp::from_secs(latest.as_secs());
        let last_id = PointId::at(&window.table_arn, last);
        let wanted = points.at.iter().any(|time| time == LATEST);
        if (wanted || times.is_empty()) && last >= earliest {
            times.insert(last);
        } else if !times.contains(&last) {
            self.exclude(&last_id.0, exclusion::LAST_SECOND);
        }
        let point = |at: Timestamp| {
            let id = PointId::at(&window.table_arn, at);
            RecoveryPoint {
                handle: id.0.clone(),
                id,
                resource: resource.id.clone(),
                kind: resource.kind,
                from: points.from,
                source_arn: Some(window.table_arn.clone()),
                vault: None,
                created_at: at,
                size_bytes: None,
                state: if (earliest..=latest).contains(&at) { "AVAILABLE".into() } else { outside(earliest, latest) },
                encrypted: None,
                kms_key_arn: None,
                vault_locked: None,
                retain_until: None,
            }
        };
        Ok(times.into_iter().map(point).collect())
    }

    fn local(&mut self, resource: &Resource, points: &Points) -> Result<Vec<RecoveryPoint>, Failure> {
        let directory = local_directory(points).ok_or_else(|| Failure::invalid(format!("{}: `path` is not set", resource.id)))?;
        let listed = local_points::list(resource, points.from, &directory, self.sources.named)?;
        for (name, reason) in &listed.excluded {
            self.exclude(&PointId::local(&resource.id, name).0, reason);
        }
        let all = self.beside.add(&resource.id, &listed.points).to_vec();
        self.keep("local:list", &resource.id.0, points, &all);
        Ok(listed.points)
    }

    fn keep(&mut self, call: &str, of: &str, points: &Points, listed: &impl Serialize) {
        let region = points.region.as_deref().map(|region| format!(" in {region}")).unwrap_or_default();
        let bytes = serde_json::to_vec(&json!({"call": call, "of": of, "answer": listed})).unwrap_or_default();
        self.out.listings.insert(format!("{call} {of}{region}"), bytes);
    }
}

/// A continuous recovery point of a database or a bucket is not one point but a window of seconds.
fn is_continuous(resource: &Resource, point: &VaultPoint) -> bool {
    resource.kind != ResourceKind::Dynamodb && point.arn.contains(":recovery-point:continuous:") && is_of(resource, &point.resource_arn)
}

/// What AWS Backup made is listed by RDS and DynamoDB as well; where a vault of the resource is configured, it is the vault's, and
/// restored the way it would be in need.
fn through_aws_backup(resource: &Resource) -> bool {
    resource.points.iter().any(|points| points.from == PointSource::AwsBackup)
}

/// The directory of local points: `path`, or `vault`.
fn local_directory(points: &Points) -> Option<std::path::PathBuf> {
    points.path.clone().or_else(|| points.vault.as_ref().map(std::path::PathBuf::from))
}

fn place(points: &Points) -> String {
    let of = local_directory(points).map(|of| format!(" {}", of.display())).unwrap_or_default();
    format!("{}{of}", points.from)
}

fn service_name(resource: &Resource) -> String {
    arn::service_name(&resource.source).to_owned()
}

fn is_of(resource: &Resource, of: &str) -> bool {
    arn::is_of(resource.kind, &resource.source, of)
}

/// The gravest of the failures for an exit code, where there are any.
pub fn gravest(failures: &[(ResourceId, Failure)]) -> Option<FailureKind> {
    let rank = |kind: &FailureKind| match kind.exit_code() {
        crate::model::exit::ExitCode::Denied => 2,
        crate::model::exit::ExitCode::Environment => 1,
        _ => 0,
    };
    failures.iter().map(|(_, failure)| failure.kind).max_by_key(rank)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        toml::from_str(&format!(
            "version = 1\n[log]\npath = \"log\"\norigin = \"o\"\n[keys]\nsigning = \"a\"\nhash = \"b\"\n[class.c]\n{text}"
        ))
        .unwrap()
    }

    async fn list(config: &Config, named: &BTreeMap<PointId, Timestamp>) -> Catalogue {
        let has_driver = |kind, from| (kind, from) == (ResourceKind::Files, PointSource::Local);
        catalogue(config, &Sources { session: None, has_driver: &has_driver, named }).await
    }

    #[tokio::test]
    async fn local_points_follow_the_rule_and_nothing_is_silent() {
        let folder = tempfile::tempdir().unwrap();
        let vault = folder.path();
        for name in ["app.db", "app.db-wal", "app.db-shm", ".hidden", "orphan-wal"] {
            std::fs::write(vault.join(name), b"1234").unwrap();
        }
        std::fs::create_dir(vault.join("tree")).unwrap();
        std::fs::write(vault.join("tree/x"), b"12").unwrap();
        let text = format!(
            "[[resource]]\nid = \"app\"\napplication = \"a\"\nkind = \"files\"\nclass = \"c\"\nsource = \"sqlite:x\"\n\
             [[resource.points]]\nfrom = \"local\"\npath = \"{}\"\n\
             [[resource]]\nid = \"gone\"\napplication = \"a\"\nkind = \"files\"\nclass = \"c\"\nsource = \"dir:x\"\n\
             [[resource.points]]\nfrom = \"local\"\npath = \"{}/absent\"\n\
             [[resource]]\nid = \"disk\"\napplication = \"a\"\nkind = \"ebs\"\nclass = \"c\"\nsource = \"vol-1\"\n\
             [[resource.points]]\nfrom = \"aws-backup\"\nvault = \"v\"\n",
            vault.display(),
            vault.display()
        );
        let named = BTreeMap::from([(PointId("file:app/app.db".into()), Timestamp(5_000_000))]);
        let catalogue = list(&config(&text), &named).await;
        let ids: Vec<&str> = catalogue.eligible.iter().map(|point| point.id.0.as_str()).collect();
        assert_eq!(ids, ["file:app/app.db", "file:app/orphan-wal", "file:app/tree"]);
        assert_eq!(catalogue.eligible[0].created_at, Timestamp(5_000_000));
        assert_eq!(catalogue.eligible[2].size_bytes, Some(2));
        assert_eq!(catalogue.failures.len(), 1);
        let reasons: Vec<&str> = catalogue.excluded.iter().map(|one| one.reason.as_str()).collect();
        assert!(reasons.iter().any(|reason| reason.contains("driver_absent")), "{reasons:?}");
        assert!(reasons.iter().any(|reason| reason.contains("could not be listed")), "{reasons:?}");
        assert_eq!(catalogue.listings.len(), 1);
    }
}
