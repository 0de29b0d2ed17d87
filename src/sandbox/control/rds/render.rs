//! Instances and snapshots as the XML of the published model.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::sandbox::control::answer::Xml;
use crate::sandbox::control::rds::state::{Instance, Snapshot};
use crate::sandbox::identity::REGION;

/// The members of `DBInstance`.
pub fn instance(xml: &mut Xml, instance: &Instance, vpc: Option<&str>, now: DateTime<Utc>) {
    let settings = &instance.settings;
    xml.put("DBInstanceIdentifier", &instance.id);
    xml.put("DBInstanceArn", instance.arn());
    xml.put("DBInstanceClass", settings.class.as_deref().unwrap_or("db.t4g.micro"));
    xml.put("DBInstanceStatus", &instance.status);
    xml.put("DbiResourceId", &instance.resource_id);
    xml.put("Engine", &instance.engine);
    xml.put("EngineVersion", &instance.engine_version);
    xml.put("MasterUsername", &instance.master_user);
    xml.put_some("DBName", instance.database.as_deref());
    // As in RDS, there is no endpoint while the instance is being made.
    if instance.port != 0 && instance.status != "creating" {
        xml.within("Endpoint", |xml| {
            xml.put("Address", "127.0.0.1");
            xml.put("Port", instance.port);
        });
    }
    xml.put("AllocatedStorage", settings.storage.unwrap_or(20));
    xml.put_time("InstanceCreateTime", instance.created);
    xml.put("BackupRetentionPeriod", settings.retention.unwrap_or(1));
    if let Some((_, latest)) = instance.window(now).filter(|_| instance.status == "available") {
        xml.put_time("LatestRestorableTime", latest);
    }
    xml.put("PubliclyAccessible", settings.public.unwrap_or(false));
    xml.put("MultiAZ", settings.multi_az.unwrap_or(false));
    xml.put("StorageEncrypted", settings.encrypted.unwrap_or(false));
    xml.put_some("KmsKeyId", settings.kms_key.as_deref());
    xml.put("DeletionProtection", settings.deletion_protection.unwrap_or(false));
    xml.put("CopyTagsToSnapshot", settings.copy_tags_to_snapshot.unwrap_or(false));
    xml.put("IAMDatabaseAuthenticationEnabled", settings.iam.unwrap_or(false));
    xml.put("AutoMinorVersionUpgrade", false);
    xml.put("StorageType", "gp3");
    xml.put("CACertificateIdentifier", "rds-ca-ecc384-g1");
    xml.put("AvailabilityZone", format!("{REGION}a"));
    xml.within("VpcSecurityGroups", |xml| {
        for group in settings.security_groups.iter().flatten() {
            xml.within("VpcSecurityGroupMembership", |xml| {
                xml.put("VpcSecurityGroupId", group);
                xml.put("Status", "active");
            });
        }
    });
    xml.within("DBParameterGroups", |xml| {
        xml.within("DBParameterGroup", |xml| {
            xml.put("DBParameterGroupName", settings.parameter_group.clone().unwrap_or_else(|| format!("default.{}", instance.engine)));
            xml.put("ParameterApplyStatus", "in-sync");
        });
    });
    if let (Some(name), Some(vpc)) = (&settings.subnet_group, vpc) {
        xml.within("DBSubnetGroup", |xml| subnet_group(xml, name, vpc));
    }
    xml.within("PendingModifiedValues", |_| {});
    if let Some(trouble) = &instance.trouble {
        xml.within("StatusInfos", |xml| {
            xml.within("DBInstanceStatusInfo", |xml| {
                xml.put("StatusType", "instance");
                xml.put("Normal", false);
                xml.put("Status", "error");
                xml.put("Message", trouble);
            });
        });
    }
    tags(xml, "TagList", settings.tags.as_ref().unwrap_or(&BTreeMap::new()));
}

/// The members of `DBInstanceAutomatedBackup`.
pub fn automated_backup(xml: &mut Xml, instance: &Instance, (earliest, latest): (DateTime<Utc>, DateTime<Utc>)) {
    xml.put("DBInstanceArn", instance.arn());
    xml.put("DbiResourceId", &instance.resource_id);
    xml.put("Region", REGION);
    xml.put("DBInstanceIdentifier", &instance.id);
    xml.within("RestoreWindow", |xml| {
        xml.put_time("EarliestTime", earliest);
        xml.put_time("LatestTime", latest);
    });
    xml.put("Status", "active");
    xml.put("Engine", &instance.engine);
    xml.put("EngineVersion", &instance.engine_version);
    xml.put("BackupRetentionPeriod", instance.settings.retention.unwrap_or(1));
}

/// The members of `DBSubnetGroup`.
pub fn subnet_group(xml: &mut Xml, name: &str, vpc: &str) {
    xml.put("DBSubnetGroupName", name);
    xml.put("DBSubnetGroupDescription", name);
    xml.put("VpcId", vpc);
    xml.put("SubnetGroupStatus", "Complete");
    xml.within("Subnets", |xml| {
        for zone in ["a", "b"] {
            xml.within("Subnet", |xml| {
                xml.put("SubnetIdentifier", format!("subnet-{}{zone}", vpc.trim_start_matches("vpc-")));
                xml.within("SubnetAvailabilityZone", |xml| xml.put("Name", format!("{REGION}{zone}")));
                xml.put("SubnetStatus", "Active");
            });
        }
    });
}

/// The members of `DBSnapshot`.
pub fn snapshot(xml: &mut Xml, snapshot: &Snapshot) {
    let instance = &snapshot.instance;
    xml.put("DBSnapshotIdentifier", &snapshot.id);
    xml.put("DBSnapshotArn", snapshot.arn());
    xml.put("DBInstanceIdentifier", &instance.id);
    xml.put("DbiResourceId", &instance.resource_id);
    xml.put("SnapshotType", &snapshot.kind);
    xml.put("Status", &snapshot.status);
    xml.put("PercentProgress", if snapshot.status == "available" { 100 } else { 0 });
    if snapshot.status == "available" {
        xml.put_time("SnapshotCreateTime", snapshot.created);
        xml.put_time("OriginalSnapshotCreateTime", snapshot.created);
        xml.put("FullSnapshotSizeInBytes", snapshot.size);
    }
    xml.put_time("InstanceCreateTime", instance.created);
    xml.put("Engine", &instance.engine);
    xml.put("EngineVersion", &instance.engine_version);
    xml.put("MasterUsername", &instance.master_user);
    xml.put("AllocatedStorage", instance.settings.storage.unwrap_or(20));
    xml.put("Port", instance.port);
    xml.put("AvailabilityZone", format!("{REGION}a"));
    xml.put("Encrypted", instance.settings.encrypted.unwrap_or(false));
    xml.put_some("KmsKeyId", instance.settings.kms_key.as_deref());
    xml.put("StorageType", "gp3");
    xml.put("IAMDatabaseAuthenticationEnabled", false);
    tags(xml, "TagList", &snapshot.tags);
}

/// A list of tags under `name`.
pub fn tags(xml: &mut Xml, name: &str, tags: &BTreeMap<String, String>) {
    xml.within(name, |xml| {
        for (key, value) in tags {
            xml.within("Tag", |xml| {
                xml.put("Key", key);
                xml.put("Value", value);
            });
        }
    });
}
