//! The RDS query API: one action a request.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};

use crate::engines::master::Master;
use crate::sandbox::control::answer::{Protocol, Refused, Xml, now, page, refuse, xml};
use crate::sandbox::control::rds::form::{Form, invalid};
use crate::sandbox::control::rds::lifecycle::Rds;
use crate::sandbox::control::rds::render;
use crate::sandbox::control::rds::snapshots::{absent_instance, absent_snapshot};
use crate::sandbox::control::rds::state::{Instance, Settings, id_in};
use crate::sandbox::wire::Service;

const NAMESPACE: &str = "http://rds.amazonaws.com/doc/2014-10-31/";

#[async_trait]
impl Service for Rds {
    async fn call(&self, request: Request<Bytes>) -> Response<Bytes> {
        let form = Form::parse(request.body());
        let action = form.get("Action").unwrap_or_default().to_owned();
        match self.act(&action, &form).await {
            Ok(inner) => xml(&action, NAMESPACE, &inner),
            Err(refused) => refuse(Protocol::Query, &refused),
        }
    }
}

impl Rds {
    async fn act(&self, action: &str, form: &Form) -> Result<Xml, Refused> {
        self.faults.meet("rds")?;
        match action {
            "CreateDBInstance" => self.create_instance(form),
            "DescribeDBInstances" => self.describe_instances(form),
            "ModifyDBInstance" => self.modify_instance(form).await,
            "DeleteDBInstance" => self.delete_instance(form).await,
            "CreateDBSnapshot" => self.create_snapshot(form),
            "DescribeDBSnapshots" => self.describe_snapshots(form),
            "DeleteDBSnapshot" => {
                let removed = self.remove_snapshot(form.need("DBSnapshotIdentifier")?).await?;
                let mut xml = Xml::default();
                xml.within("DBSnapshot", |xml| render::snapshot(xml, &removed));
                Ok(xml)
            }
            "RestoreDBInstanceFromDBSnapshot" => {
                let snapshot = id_in("snapshot", form.need("DBSnapshotIdentifier")?);
                let instance = self.restore(snapshot, form.need("DBInstanceIdentifier")?, settings(form)?)?;
                Ok(self.one_instance(&instance))
            }
            "RestoreDBInstanceToPointInTime" => self.restore_to_time(form).await,
            "DescribeDBInstanceAutomatedBackups" => self.describe_automated_backups(form),
            "AddTagsToResource" => self.change_tags(form, |tags| tags.extend(form.tags().unwrap_or_default())),
            "RemoveTagsFromResource" => {
                self.change_tags(form, |tags| form.list("TagKeys").unwrap_or_default().iter().for_each(|key| drop(tags.remove(key))))
            }
            "ListTagsForResource" => self.list_tags(form),
            "CreateDBSubnetGroup" => self.create_subnet_group(form),
            "DeleteDBSubnetGroup" => self.delete_subnet_group(form),
            "DescribeDBSubnetGroups" => self.describe_subnet_groups(form),
            "CreateDBParameterGroup" => self.create_parameter_group(form),
            "ModifyDBParameterGroup" => self.modify_parameter_group(form),
            "DescribeDBParameters" => self.describe_parameters(form),
            "DescribeDBParameterGroups" => self.describe_parameter_groups(form),
            other => Err(Refused::new("InvalidAction", format!("The sandbox's RDS does not know the action {other}."))),
        }
    }

    fn one_instance(&self, instance: &Instance) -> Xml {
        let mut xml = Xml::default();
        self.put_instance(&mut xml, instance);
        xml
    }

    fn put_instance(&self, xml: &mut Xml, instance: &Instance) {
        let vpc = self.vpc_of(instance.settings.subnet_group.as_deref());
        let mut described = Xml::default();
        render::instance(&mut described, instance, vpc.as_deref(), now());
        for lie in self.faults.lies(&instance.id) {
            described.replace(&lie.member, lie.says.as_deref());
        }
        xml.within("DBInstance", |xml| xml.append(&described));
    }

    fn create_instance(&self, form: &Form) -> Result<Xml, Refused> {
        let master = Master {
            user: form.need("MasterUsername")?.into(),
            password: form.need("MasterUserPassword")?.into(),
            database: form.get("DBName").map(check_database).transpose()?,
        };
        let engine = form.need("Engine")?;
        form.need("DBInstanceClass")?;
        let instance = self.create(form.need("DBInstanceIdentifier")?, engine, master, settings(form)?)?;
        Ok(self.one_instance(&instance))
    }

    fn describe_instances(&self, form: &Form) -> Result<Xml, Refused> {
        let wanted = form.get("DBInstanceIdentifier").map(|id| id_in("db", id).to_ascii_lowercase());
        let filters = form.filters();
        if let Some(unknown) = filters.keys().find(|name| !["db-instance-id", "engine", "dbi-resource-id"].contains(&name.as_str())) {
            return Err(invalid(format!("Unrecognized filter name: {unknown}")));
        }
        let fits = |instance: &Instance| {
            let among = |name: &str, value: &str| filters.get(name).is_none_or(|values| values.iter().any(|v| id_in("db", v) == value));
            wanted.as_ref().is_none_or(|wanted| *wanted == instance.id)
                && among("db-instance-id", &instance.id)
                && among("engine", &instance.engine)
                && among("dbi-resource-id", &instance.resource_id)
        };
        let found: Vec<Instance> = self.state.read(|state| state.instances.values().filter(|instance| fits(instance)).cloned().collect());
        if let (Some(wanted), true) = (&wanted, found.is_empty()) {
            return Err(absent_instance(wanted));
        }
        let (found, next) = page(found, |instance| instance.id.clone(), form.get("Marker"), limit(form)?);
        let mut xml = Xml::default();
        xml.within("DBInstances", |xml| found.iter().for_each(|instance| self.put_instance(xml, instance)));
        xml.put_some("Marker", next);
        Ok(xml)
    }

    async fn restore_to_time(&self, form: &Form) -> Result<Xml, Refused> {
        let source = id_in("db", form.need("SourceDBInstanceIdentifier")?).to_ascii_lowercase();
        let (at, latest) = (form.time("RestoreTime")?, form.flag("UseLatestRestorableTime")?.unwrap_or(false));
        if at.is_some() == latest {
            let said = "Exactly one of RestoreTime and UseLatestRestorableTime has to be given.";
            return Err(Refused::new("InvalidParameterCombination", said));
        }
        let instance = self.restore_to(&source, form.need("TargetDBInstanceIdentifier")?, at, settings(form)?).await?;
        Ok(self.one_instance(&instance))
    }

    fn describe_automated_backups(&self, form: &Form) -> Result<Xml, Refused> {
        let wanted = form.get("DBInstanceIdentifier").map(|id| id_in("db", id).to_ascii_lowercase());
        let instances: Vec<Instance> = self.state.read(|state| state.instances.values().cloned().collect());
        let ours = instances.iter().filter(|one| wanted.as_ref().is_none_or(|wanted| *wanted == one.id));
        let mut xml = Xml::default();
        xml.within("DBInstanceAutomatedBackups", |xml| {
            for (instance, window) in ours.filter_map(|instance| Some((instance, instance.window(now())?))) {
                xml.within("DBInstanceAutomatedBackup", |xml| render::automated_backup(xml, instance, window));
            }
        });
        Ok(xml)
    }

    async fn modify_instance(&self, form: &Form) -> Result<Xml, Refused> {
        let id = form.need("DBInstanceIdentifier")?.to_ascii_lowercase();
        let instance = self.modify(&id, form.get("MasterUserPassword"), settings(form)?).await?;
        Ok(self.one_instance(&instance))
    }

    async fn delete_instance(&self, form: &Form) -> Result<Xml, Refused> {
        let id = form.need("DBInstanceIdentifier")?.to_ascii_lowercase();
        let last = form.get("FinalDBSnapshotIdentifier");
        let skip = form.flag("SkipFinalSnapshot")?.unwrap_or(false);
        if skip == last.is_some() && self.instance(&id).is_some() {
            let said = "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified, and not allowed when it is.";
            return Err(Refused::new("InvalidParameterCombination", said));
        }
        if let Some(last) = last {
            self.begin_snapshot(&id, last, "manual", None)?;
            self.take_snapshot(last).await?;
        }
        let instance = self.delete(&id)?;
        Ok(self.one_instance(&instance))
    }

    fn create_snapshot(&self, form: &Form) -> Result<Xml, Refused> {
        let id = form.need("DBSnapshotIdentifier")?.to_ascii_lowercase();
        let instance = form.need("DBInstanceIdentifier")?.to_ascii_lowercase();
        let snapshot = self.begin_snapshot(&instance, &id, "manual", form.tags())?;
        self.spawn(|rds| async move { rds.take_snapshot(&id).await.map(drop) });
        let mut xml = Xml::default();
        xml.within("DBSnapshot", |xml| render::snapshot(xml, &snapshot));
        Ok(xml)
    }

    fn describe_snapshots(&self, form: &Form) -> Result<Xml, Refused> {
        let wanted = form.get("DBSnapshotIdentifier").map(|id| id_in("snapshot", id).to_owned());
        let filters = form.filters();
        let instance = form.get("DBInstanceIdentifier").map(|id| id_in("db", id).to_ascii_lowercase());
        let mut found: Vec<_> = self.state.read(|state| state.snapshots.values().cloned().collect());
        found.retain(|snapshot| {
            let among = |name: &str, value: &str| filters.get(name).is_none_or(|values| values.iter().any(|v| v == value));
            wanted.as_ref().is_none_or(|wanted| *wanted == snapshot.id)
                && instance.as_ref().is_none_or(|instance| *instance == snapshot.instance.id)
                && form.get("SnapshotType").is_none_or(|kind| kind == snapshot.kind)
                && among("db-instance-id", &snapshot.instance.id)
                && among("db-snapshot-id", &snapshot.id)
                && among("snapshot-type", &snapshot.kind)
                && among("engine", &snapshot.instance.engine)
        });
        if let (Some(wanted), true) = (&wanted, found.is_empty()) {
            return Err(absent_snapshot(wanted));
        }
        let (found, next) = page(found, |snapshot| snapshot.id.clone(), form.get("Marker"), limit(form)?);
        let mut xml = Xml::default();
        xml.within("DBSnapshots", |xml| {
            for snapshot in &found {
                xml.within("DBSnapshot", |xml| render::snapshot(xml, snapshot));
            }
        });
        xml.put_some("Marker", next);
        Ok(xml)
    }

    fn list_tags(&self, form: &Form) -> Result<Xml, Refused> {
        let arn = form.need("ResourceName")?;
        let (db, snapshot) = (id_in("db", arn), id_in("snapshot", arn));
        let tags = if db == arn {
            self.snapshot(snapshot).map(|snapshot| snapshot.tags).ok_or_else(|| absent_snapshot(snapshot))?
        } else {
            self.instance(db).map(|instance| instance.settings.tags.unwrap_or_default()).ok_or_else(|| absent_instance(db))?
        };
        let mut xml = Xml::default();
        render::tags(&mut xml, "TagList", &tags);
        Ok(xml)
    }

    fn change_tags(&self, form: &Form, change: impl FnOnce(&mut BTreeMap<String, String>)) -> Result<Xml, Refused> {
        let arn = form.need("ResourceName")?;
        let (db, snapshot) = (id_in("db", arn), id_in("snapshot", arn));
        if db == arn {
            self.snapshot(snapshot).ok_or_else(|| absent_snapshot(snapshot))?;
            self.set_snapshot(snapshot, |snapshot| change(&mut snapshot.tags))?;
        } else {
            self.instance(db).ok_or_else(|| absent_instance(db))?;
            self.set_instance(db, |instance| change(instance.settings.tags.get_or_insert_default()))?;
        }
        Ok(Xml::default())
    }
}

fn settings(form: &Form) -> Result<Settings, Refused> {
    let key = form.get("KmsKeyId").map(str::to_owned);
    let encrypted = form.flag("StorageEncrypted")?;
    Ok(Settings {
        class: form.get("DBInstanceClass").map(str::to_owned),
        public: form.flag("PubliclyAccessible")?,
        subnet_group: form.get("DBSubnetGroupName").map(str::to_owned),
        security_groups: form.list("VpcSecurityGroupIds"),
        parameter_group: form.get("DBParameterGroupName").map(str::to_owned),
        multi_az: form.flag("MultiAZ")?,
        retention: form.number("BackupRetentionPeriod")?,
        deletion_protection: form.flag("DeletionProtection")?,
        copy_tags_to_snapshot: form.flag("CopyTagsToSnapshot")?,
        encrypted: encrypted.or(key.is_some().then_some(true)),
        kms_key: key,
        storage: form.number("AllocatedStorage")?,
        tags: form.tags(),
        iam: form.flag("EnableIAMDatabaseAuthentication")?,
    })
}

fn check_database(name: &str) -> Result<String, Refused> {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain && name.starts_with(|first: char| first.is_ascii_alphabetic()) && name.len() <= 63 {
        return Ok(name.to_owned());
    }
    Err(invalid(format!("DBName {name} must begin with a letter and contain only letters, digits and underscores.")))
}

fn limit(form: &Form) -> Result<usize, Refused> {
    match form.number("MaxRecords")? {
        None => Ok(100),
        Some(limit @ 20..=100) => Ok(limit as usize),
        Some(limit) => Err(invalid(format!("Invalid value {limit} for MaxRecords. Must be between 20 and 100"))),
    }
}
