//! Instances: laying, restoring, modifying, deleting.

use chrono::{DateTime, Utc};

use crate::engines::installed::EngineKind;
use crate::engines::master::Master;
use crate::sandbox::control::answer::{Refused, now, random_hex};
use crate::sandbox::control::faults::RestoreFault;
use crate::sandbox::control::rds::form::invalid;
use crate::sandbox::control::rds::groups::absent_parameter_group;
use crate::sandbox::control::rds::lifecycle::Rds;
use crate::sandbox::control::rds::snapshots::{absent_instance, absent_snapshot};
use crate::sandbox::control::rds::state::{Instance, Origin, Settings};

impl Rds {
    /// Begins to make an empty instance; it is `available` some hundred milliseconds later.
    pub fn create(&self, id: &str, engine: &str, master: Master, settings: Settings) -> Result<Instance, Refused> {
        let kind = EngineKind::of_rds(engine)
            .ok_or_else(|| invalid(format!("Invalid DB engine: {engine}. The sandbox has postgres, mariadb and mysql.")))?;
        check_user(&master.user)?;
        check_password(&master.password)?;
        let instance = self.fresh(id, kind, engine, &master.user.clone(), settings)?;
        self.begin(Instance { database: master.database.clone(), origin: Origin::New(Some(master)), ..instance })
    }

    /// Begins to restore a snapshot into a new instance. Without tags of its own it takes the snapshot's, as RDS does.
    pub fn restore(&self, snapshot: &str, id: &str, settings: Settings) -> Result<Instance, Refused> {
        let source = self.snapshot(snapshot).ok_or_else(|| absent_snapshot(snapshot))?;
        if source.status != "available" {
            return Err(Refused::new("InvalidDBSnapshotState", format!("The snapshot {snapshot} is {}, not available.", source.status)));
        }
        let was = &source.instance;
        let settings = Settings {
            class: settings.class.or(was.settings.class.clone()),
            encrypted: was.settings.encrypted,
            kms_key: was.settings.kms_key.clone(),
            storage: settings.storage.or(was.settings.storage),
            retention: settings.retention.or(was.settings.retention),
            tags: settings.tags.or_else(|| Some(source.tags.clone())),
            ..settings
        };
        let instance = self.fresh(id, was.kind, &was.engine, &was.master_user, settings)?;
        let origin = Origin::Snapshot(source.id.clone());
        self.begin_restore(&source.arn(), Instance { database: was.database.clone(), origin, ..instance })
    }

    /// Begins to restore an instance to an instant (to the end of its log where none is given) into a new instance.
    pub async fn restore_to(&self, source: &str, id: &str, at: Option<DateTime<Utc>>, settings: Settings) -> Result<Instance, Refused> {
        let was = self.instance(source).ok_or_else(|| absent_instance(source))?;
        let Some(((earliest, latest), base)) = was.window(now()).zip(was.base.clone()) else {
            return Err(Refused::new("PointInTimeRestoreNotEnabled", format!("Automated backups of {source} are not enabled.")));
        };
        if let Some(at) = at.filter(|at| *at < earliest || *at > latest) {
            return Err(invalid(format!("The restore time {at} of {source} is not between {earliest} and {latest}.")));
        }
        let settings = Settings {
            class: settings.class.or(was.settings.class.clone()),
            encrypted: was.settings.encrypted,
            kms_key: was.settings.kms_key.clone(),
            storage: settings.storage.or(was.settings.storage),
            retention: settings.retention.or(was.settings.retention),
            tags: settings.tags.or_else(|| was.settings.tags.clone()),
            ..settings
        };
        let instance = self.fresh(id, was.kind, &was.engine, &was.master_user, settings)?;
        // Everything before the answer can be restored: the log that it is in is closed first.
        self.servers.close_log(was.kind, &was.home, was.port).await?;
        let until = match self.faults.of_restore(&was.arn()) {
            Some(RestoreFault::IgnoresTime) => None,
            Some(RestoreFault::StopsEarly { seconds }) => at.map(|at| at - chrono::TimeDelta::seconds(seconds)),
            _ => at,
        };
        let origin = Origin::PointInTime { source: was.home.clone(), base: base.home, until };
        self.begin_restore(&was.arn(), Instance { database: was.database.clone(), origin, ..instance })
    }

    /// Begins a restore as it was planted for what it is restored from.
    fn begin_restore(&self, arn: &str, instance: Instance) -> Result<Instance, Refused> {
        let origin = match self.faults.of_restore(arn) {
            None | Some(RestoreFault::IgnoresTime | RestoreFault::StopsEarly { .. } | RestoreFault::AnotherTable { .. }) => {
                instance.origin.clone()
            }
            Some(RestoreFault::CompletesEmpty) => Origin::Hollow(instance.master_user.clone()),
            Some(RestoreFault::Fails { message }) => Origin::Doomed(message),
            Some(RestoreFault::Hangs) => Origin::Stuck,
            // Accepted, and never heard of again.
            Some(RestoreFault::CompletesWithoutResource | RestoreFault::WrongType) => return Ok(instance),
        };
        self.begin(Instance { origin, ..instance })
    }

    fn fresh(&self, id: &str, kind: EngineKind, engine: &str, user: &str, settings: Settings) -> Result<Instance, Refused> {
        check_identifier(id)?;
        let programs = self.servers.installed().programs(kind).ok_or_else(|| {
            let said = format!("The sandbox has no server for {engine}: install {} and try again.", kind.packages());
            Refused::new("InsufficientDBInstanceCapacity", said)
        })?;
        self.described(id, (kind, engine, &programs.version), user, settings)
    }

    /// An instance as it would be on a machine that has its server; it is not in the state, and nothing runs.
    pub fn unmade(&self, id: &str, engine: &str, user: &str, database: &str) -> Result<Instance, Refused> {
        let kind = EngineKind::of_rds(engine).ok_or_else(|| invalid(format!("Invalid DB engine: {engine}.")))?;
        let instance = self.described(id, (kind, engine, "unknown"), user, Settings::default())?;
        Ok(Instance { database: Some(database.into()), status: "failed".into(), ..instance })
    }

    fn described(
        &self,
        id: &str,
        (kind, engine, version): (EngineKind, &str, &str),
        user: &str,
        settings: Settings,
    ) -> Result<Instance, Refused> {
        let settings = Settings { subnet_group: settings.subnet_group.or_else(|| Some("default".into())), ..settings };
        if let Some(group) = settings.parameter_group.as_deref().filter(|group| !self.has_parameter_group(group)) {
            return Err(absent_parameter_group(group));
        }
        let group = settings.subnet_group.clone().unwrap_or_default();
        if !self.state.read(|state| state.subnet_groups.contains_key(&group)) {
            return Err(Refused::not_found("DBSubnetGroupNotFoundFault", format!("DB subnet group '{group}' does not exist.")));
        }
        Ok(Instance {
            id: id.to_ascii_lowercase(),
            engine: engine.into(),
            engine_version: version.into(),
            kind,
            status: "creating".into(),
            master_user: user.into(),
            database: None,
            settings,
            created: now(),
            resource_id: format!("db-{}", random_hex(13).to_ascii_uppercase()),
            home: format!("i-{}", random_hex(4)),
            port: 0,
            process: None,
            origin: Origin::New(None),
            trouble: None,
            base: None,
        })
    }

    fn begin(&self, instance: Instance) -> Result<Instance, Refused> {
        let taken = self.state.change(|state| {
            if state.instances.contains_key(&instance.id) {
                return false;
            }
            state.instances.insert(instance.id.clone(), instance.clone());
            true
        })?;
        if !taken {
            return Err(Refused::new("DBInstanceAlreadyExists", "DB instance already exists"));
        }
        self.spawn_creation(&instance.id);
        Ok(instance)
    }

    /// Changes an instance at once; a new master password is set in the running server.
    pub async fn modify(&self, id: &str, password: Option<&str>, settings: Settings) -> Result<Instance, Refused> {
        let instance = self.instance(id).ok_or_else(|| absent_instance(id))?;
        if instance.status != "available" && instance.status != "resetting-master-credentials" {
            return Err(Refused::new(
                "InvalidDBInstanceState",
                format!("Database instance is not in available state: {}.", instance.status),
            ));
        }
        if let Some(password) = password {
            check_password(password)?;
            self.servers.set_password(instance.kind, &instance.home, instance.port, &instance.master_user, password).await?;
        }
        self.faults.modified(id)?;
        self.set_instance(id, |instance| {
            let kept = &mut instance.settings;
            kept.class = settings.class.or(kept.class.take());
            kept.public = settings.public.or(kept.public);
            kept.security_groups = settings.security_groups.or(kept.security_groups.take());
            kept.parameter_group = settings.parameter_group.or(kept.parameter_group.take());
            kept.multi_az = settings.multi_az.or(kept.multi_az);
            kept.retention = settings.retention.or(kept.retention);
            kept.deletion_protection = settings.deletion_protection.or(kept.deletion_protection);
            kept.copy_tags_to_snapshot = settings.copy_tags_to_snapshot.or(kept.copy_tags_to_snapshot);
            kept.storage = settings.storage.or(kept.storage);
            kept.iam = settings.iam.or(kept.iam);
            if password.is_some() {
                instance.status = "resetting-master-credentials".into();
            }
        })?;
        if password.is_some() {
            self.spawn_settling(id);
        }
        self.instance(id).ok_or_else(|| absent_instance(id))
    }

    /// Begins to delete an instance; its server and its data are gone some hundred milliseconds later.
    pub fn delete(&self, id: &str) -> Result<Instance, Refused> {
        let instance = self.instance(id).ok_or_else(|| absent_instance(id))?;
        if instance.settings.deletion_protection == Some(true) {
            let said = "Cannot delete protected DB Instance, please disable deletion protection and try again.";
            return Err(Refused::new("InvalidParameterCombination", said));
        }
        let stuck = instance.origin == Origin::Stuck;
        if matches!(instance.status.as_str(), "creating" | "deleting") && !stuck {
            let said = format!("Instance {id} is already being {}.", if instance.status == "creating" { "created" } else { "deleted" });
            return Err(Refused::new("InvalidDBInstanceState", said));
        }
        self.set_instance(id, |instance| instance.status = "deleting".into())?;
        self.spawn_deletion(id);
        self.instance(id).ok_or_else(|| absent_instance(id))
    }
}

/// Letters, digits and hyphens, a letter first, no hyphen last, no two in a row, at most 63.
pub fn check_identifier(id: &str) -> Result<(), Refused> {
    let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let edges = id.starts_with(|first: char| first.is_ascii_alphabetic()) && !id.ends_with('-') && !id.contains("--");
    if plain && edges && id.len() <= 63 {
        return Ok(());
    }
    Err(invalid(format!(
        "The parameter DBInstanceIdentifier is not a valid identifier: {id}. Identifiers must begin with a letter; must contain only ASCII letters, digits, and hyphens; and must not end with a hyphen or contain two consecutive hyphens."
    )))
}

fn check_user(user: &str) -> Result<(), Refused> {
    let plain = user.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let reserved = ["rdsadmin", "postgres", "root", "mysql", "mariadb"].contains(&user.to_ascii_lowercase().as_str());
    if plain && !reserved && user.starts_with(|first: char| first.is_ascii_alphabetic()) && user.len() <= 63 {
        return Ok(());
    }
    Err(invalid(format!("MasterUsername {user} is not valid or is a reserved word.")))
}

fn check_password(password: &str) -> Result<(), Refused> {
    let printable = password.bytes().all(|byte| byte.is_ascii_graphic() && !b"/@\"".contains(&byte));
    if printable && (8..=128).contains(&password.len()) {
        return Ok(());
    }
    Err(invalid(
        "The parameter MasterUserPassword is not a valid password. Only printable ASCII characters besides '/', '@', '\"', ' ' may be used, from 8 to 128 of them.",
    ))
}
