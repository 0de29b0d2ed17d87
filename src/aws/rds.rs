//! RDS: snapshots, restoring one to an instance of our own, and taking that down again.

use std::collections::BTreeMap;

use aws_sdk_rds::Client;
use aws_sdk_rds::types::Tag;
use serde::Serialize;

use crate::aws::errors::classify;
use crate::aws::pages::Pages;
use crate::aws::restoring::Restoring;
use crate::aws::session::Session;
use crate::aws::times::timestamp;
use crate::model::clock::Timestamp;
use crate::model::failure::{Failure, FailureKind};

/// A snapshot as DescribeDBSnapshots states it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Snapshot {
    /// Its identifier.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// The instance that it was taken from.
    pub instance: String,
    /// `mysql`, `mariadb`, `postgres`, …
    pub engine: String,
    /// Such as `15.8`.
    pub engine_version: Option<String>,
    /// `available`, `creating`, `failed`, …
    pub status: String,
    /// `manual`, `automated`, `awsbackup`, …
    pub kind: String,
    /// When it was taken: for a copy, when the original was.
    pub created_at: Option<Timestamp>,
    /// Allocated storage.
    pub size_bytes: Option<u64>,
    /// Encrypted at rest.
    pub encrypted: Option<bool>,
    /// Its key.
    pub kms_key_arn: Option<String>,
}

/// An instance as DescribeDBInstances states it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Instance {
    /// Its identifier.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// `available`, `creating`, `deleting`, …
    pub status: String,
    /// `mysql`, `mariadb`, `postgres`, …
    pub engine: String,
    /// Such as `15.8`.
    pub engine_version: Option<String>,
    /// Its parameter groups; one that is not in force yet with its state, such as `quiet (pending-reboot)`.
    pub parameter_groups: Vec<String>,
    /// The latest time that it can be restored to, where its automated backups are on.
    pub latest_restorable: Option<Timestamp>,
    /// The master user.
    pub master_user: Option<String>,
    /// The database that was named when it was made.
    pub database: Option<String>,
    /// Host and port, once there are any.
    pub endpoint: Option<(String, u16)>,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// Reachable from outside of its VPC.
    pub public: Option<bool>,
    /// Its subnet group.
    pub subnet_group: Option<String>,
    /// Its VPC.
    pub vpc: Option<String>,
    /// Its security groups.
    pub security_groups: Vec<String>,
    /// Its key.
    pub kms_key_arn: Option<String>,
    /// Days of automated backups.
    pub backup_retention_days: Option<i32>,
    /// Protected from deletion.
    pub deletion_protection: Option<bool>,
    /// Whether a change is waiting to be applied.
    pub pending_password: bool,
    /// Whether tokens of IAM open its databases.
    pub iam: Option<bool>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// What an instance is restored from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RestoreFrom {
    /// A snapshot, by its identifier or ARN.
    Snapshot(String),
    /// An instance as it was at a time.
    Time {
        /// The instance's identifier.
        instance: String,
        /// The time, in whole seconds.
        at: Timestamp,
    },
}

/// What a restored instance must look like.
#[derive(Clone, Debug)]
pub struct RestoreRequest {
    /// What it is restored from.
    pub from: RestoreFrom,
    /// The new instance's identifier.
    pub instance: String,
    /// Its parameter group; the engine's default one where none is named.
    pub parameter_group: Option<String>,
    /// Its subnet group.
    pub subnet_group: Option<String>,
    /// Its security groups.
    pub security_groups: Vec<String>,
    /// Its tags: passed always, so that none are inherited.
    pub tags: BTreeMap<String, String>,
    /// Whether tokens of IAM open its databases.
    pub iam: bool,
}

/// Asks for an instance as a request wants it. The SDK has a builder and an answer of its own for each of the two calls, with the same members.
macro_rules! restored {
    ($name:literal, $call:expr, $request:expr) => {{
        let request: &RestoreRequest = $request;
        let answer = $call
            .set_db_subnet_group_name(request.subnet_group.clone())
            .set_db_parameter_group_name(request.parameter_group.clone())
            .set_vpc_security_group_ids(some_of(&request.security_groups))
            .publicly_accessible(false)
            .multi_az(false)
            .auto_minor_version_upgrade(false)
            .deletion_protection(false)
            .copy_tags_to_snapshot(false)
            .set_enable_iam_database_authentication(request.iam.then_some(true))
            .set_tags(Some(tags_of(&request.tags)))
            .send()
            .await;
        match answer {
            Ok(answer) => Ok(Restoring::Accepted(answer.db_instance.and_then(|instance| instance.db_instance_arn))),
            Err(error) if error.as_service_error().is_some_and(|error| error.is_db_instance_already_exists_fault()) => {
                Ok(Restoring::NameIsTaken)
            }
            Err(error) => Err(classify(&format!("{} {}", $name, request.instance), error)),
        }
    }};
}

/// The RDS service in one Region.
#[derive(Clone, Debug)]
pub struct Rds {
    client: Client,
}

impl Rds {
    /// A client of `session`'s Region and identity.
    pub fn new(session: &Session) -> Self {
        Self { client: Client::new(session.config()) }
    }

    /// Every snapshot of the instance, own ones of all kinds.
    pub async fn snapshots(&self, instance: &str) -> Result<Vec<Snapshot>, Failure> {
        let mut pages = Pages::of(format!("rds:DescribeDBSnapshots {instance}"));
        let (mut snapshots, mut marker) = (Vec::new(), None);
        loop {
            let call = self.client.describe_db_snapshots().db_instance_identifier(instance).set_marker(marker);
            let page = call.send().await.map_err(|error| classify(pages.call(), error))?;
            let listed: Vec<Snapshot> = page.db_snapshots.unwrap_or_default().into_iter().filter_map(snapshot_of).collect();
            marker = pages.next(page.marker, listed.iter().map(|one| &one.arn))?;
            snapshots.extend(listed);
            if marker.is_none() {
                return Ok(snapshots);
            }
        }
    }

    /// The instance, or nothing where there is none of that name.
    pub async fn instance(&self, id: &str) -> Result<Option<Instance>, Failure> {
        match self.client.describe_db_instances().db_instance_identifier(id).send().await {
            Ok(answer) => {
                let all: Vec<Instance> = answer.db_instances.unwrap_or_default().into_iter().map(instance_of).collect();
                only_asked(all, |one| (&one.id, &one.arn), "rds:DescribeDBInstances", id)
            }
            Err(error) => absent_is_none(classify(&format!("rds:DescribeDBInstances {id}"), error)),
        }
    }

    /// Every instance.
    pub async fn instances(&self) -> Result<Vec<Instance>, Failure> {
        let mut pages = Pages::of("rds:DescribeDBInstances");
        let (mut instances, mut marker) = (Vec::new(), None);
        loop {
            let call = self.client.describe_db_instances().set_marker(marker);
            let page = call.send().await.map_err(|error| classify(pages.call(), error))?;
            let listed: Vec<Instance> = page.db_instances.unwrap_or_default().into_iter().map(instance_of).collect();
            marker = pages.next(page.marker, listed.iter().map(|one| &one.id))?;
            instances.extend(listed);
            if marker.is_none() {
                return Ok(instances);
            }
        }
    }

    /// The earliest and the latest time that the instance can be restored to; nothing where its automated backups are off.
    pub async fn restore_window(&self, instance: &str) -> Result<Option<(Timestamp, Timestamp)>, Failure> {
        let call = self.client.describe_db_instance_automated_backups().db_instance_identifier(instance);
        let answer = call.send().await.map_err(|error| classify(&format!("rds:DescribeDBInstanceAutomatedBackups {instance}"), error));
        let backups = match answer {
            Ok(answer) => answer.db_instance_automated_backups.unwrap_or_default(),
            Err(failure) => return absent_is_none(failure),
        };
        let of_it = |name: Option<&str>| name.is_some_and(|name| name.eq_ignore_ascii_case(instance));
        let own = backups.into_iter().filter(|backup| of_it(backup.db_instance_identifier.as_deref()));
        // One that is retained of an instance that was deleted has another status and no latest time that moves.
        let active = own.filter(|backup| backup.status.as_deref() == Some("active"));
        let windows = active.filter_map(|backup| {
            let window = backup.restore_window?;
            Some((timestamp(&window.earliest_time?), timestamp(&window.latest_time?)))
        });
        Ok(windows.max_by_key(|(_, latest)| *latest))
    }

    /// The snapshot of this identifier or ARN; nothing where it is gone.
    pub async fn snapshot(&self, id: &str) -> Result<Option<Snapshot>, Failure> {
        match self.client.describe_db_snapshots().db_snapshot_identifier(id).send().await {
            Ok(answer) => {
                let all: Vec<Snapshot> = answer.db_snapshots.unwrap_or_default().into_iter().filter_map(snapshot_of).collect();
                only_asked(all, |one| (&one.id, &one.arn), "rds:DescribeDBSnapshots", id)
            }
            Err(error) => absent_is_none(classify(&format!("rds:DescribeDBSnapshots {id}"), error)),
        }
    }

    /// RestoreDBInstanceFromDBSnapshot or RestoreDBInstanceToPointInTime: not public, in one zone, without deletion protection.
    pub async fn restore(&self, request: &RestoreRequest) -> Result<Restoring, Failure> {
        match &request.from {
            RestoreFrom::Snapshot(snapshot) => self.restore_snapshot(request, snapshot).await,
            RestoreFrom::Time { instance, at } => self.restore_time(request, instance, *at).await,
        }
    }

    async fn restore_snapshot(&self, request: &RestoreRequest, snapshot: &str) -> Result<Restoring, Failure> {
        let call = self.client.restore_db_instance_from_db_snapshot().db_instance_identifier(&request.instance);
        restored!("rds:RestoreDBInstanceFromDBSnapshot", call.db_snapshot_identifier(snapshot), request)
    }

    async fn restore_time(&self, request: &RestoreRequest, source: &str, at: Timestamp) -> Result<Restoring, Failure> {
        let call = self.client.restore_db_instance_to_point_in_time().target_db_instance_identifier(&request.instance);
        let call = call.source_db_instance_identifier(source).restore_time(aws_smithy_types::DateTime::from_secs(at.as_secs()));
        restored!("rds:RestoreDBInstanceToPointInTime", call, request)
    }

    /// ModifyDBInstance: a password of the drill's own, no automated backups, no deletion protection, tokens of IAM or none; at once.
    pub async fn set_password(&self, id: &str, password: &str, iam: bool) -> Result<(), Failure> {
        self.client
            .modify_db_instance()
            .db_instance_identifier(id)
            .master_user_password(password)
            .backup_retention_period(0)
            .deletion_protection(false)
            .set_enable_iam_database_authentication(iam.then_some(true))
            .apply_immediately(true)
            .send()
            .await
            .map(|_| ())
            .map_err(|error| classify(&format!("rds:ModifyDBInstance {id}"), error))
    }

    /// AddTagsToResource.
    pub async fn tag(&self, arn: &str, tags: &BTreeMap<String, String>) -> Result<(), Failure> {
        let call = self.client.add_tags_to_resource().resource_name(arn).set_tags(Some(tags_of(tags)));
        call.send().await.map(|_| ()).map_err(|error| classify(&format!("rds:AddTagsToResource {arn}"), error))
    }

    /// DeleteDBInstance without a final snapshot, automated backups with it. An absent instance is no error.
    pub async fn delete(&self, id: &str) -> Result<(), Failure> {
        let call = self.client.delete_db_instance().db_instance_identifier(id).skip_final_snapshot(true).delete_automated_backups(true);
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error) => absent_is_none::<()>(classify(&format!("rds:DeleteDBInstance {id}"), error)).map(|_| ()),
        }
    }
}

/// The one that was asked for, by its identifier or its ARN. What a service says of another one is not believed of this.
fn only_asked<T>(all: Vec<T>, names: impl Fn(&T) -> (&str, &str), call: &str, asked: &str) -> Result<Option<T>, Failure> {
    let others: Vec<String> = all.iter().map(|one| names(one).0.to_owned()).collect();
    let found = all.into_iter().find(|one| {
        let (id, arn) = names(one);
        id.eq_ignore_ascii_case(asked) || arn == asked
    });
    match (found, others.first()) {
        (None, Some(other)) => {
            let message = format!("{call}: expected {asked}, and the answer describes {other}");
            Err(Failure::new(FailureKind::Remote, message).hint("whatever answers there does not filter by identifier as RDS does"))
        }
        (found, _) => Ok(found),
    }
}

fn absent_is_none<T>(failure: Failure) -> Result<Option<T>, Failure> {
    if failure.kind == FailureKind::Absent { Ok(None) } else { Err(failure) }
}

fn some_of(list: &[String]) -> Option<Vec<String>> {
    (!list.is_empty()).then(|| list.to_vec())
}

fn tags_of(tags: &BTreeMap<String, String>) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

fn snapshot_of(from: aws_sdk_rds::types::DbSnapshot) -> Option<Snapshot> {
    Some(Snapshot {
        id: from.db_snapshot_identifier?,
        arn: from.db_snapshot_arn?,
        instance: from.db_instance_identifier.unwrap_or_default(),
        engine: from.engine.unwrap_or_default(),
        engine_version: from.engine_version,
        status: from.status.unwrap_or_default(),
        kind: from.snapshot_type.unwrap_or_default(),
        // A copy's own creation says nothing of its data.
        created_at: from.original_snapshot_create_time.or(from.snapshot_create_time).as_ref().map(timestamp),
        size_bytes: from.allocated_storage.and_then(|gib| u64::try_from(gib).ok()).map(|gib| gib << 30),
        encrypted: from.encrypted,
        kms_key_arn: from.kms_key_id,
    })
}

fn parameter_group_of(from: aws_sdk_rds::types::DbParameterGroupStatus) -> Option<String> {
    let name = from.db_parameter_group_name?;
    Some(match from.parameter_apply_status.as_deref() {
        Some("in-sync") => name,
        state => format!("{name} ({})", state.unwrap_or("its state is not stated")),
    })
}

fn instance_of(from: aws_sdk_rds::types::DbInstance) -> Instance {
    let endpoint = from.endpoint.and_then(|endpoint| Some((endpoint.address?, u16::try_from(endpoint.port?).ok()?)));
    let group = from.db_subnet_group;
    Instance {
        id: from.db_instance_identifier.unwrap_or_default(),
        arn: from.db_instance_arn.unwrap_or_default(),
        status: from.db_instance_status.unwrap_or_default(),
        engine: from.engine.unwrap_or_default(),
        engine_version: from.engine_version,
        parameter_groups: from.db_parameter_groups.unwrap_or_default().into_iter().filter_map(parameter_group_of).collect(),
        latest_restorable: from.latest_restorable_time.as_ref().map(timestamp),
        master_user: from.master_username,
        database: from.db_name,
        endpoint,
        created_at: from.instance_create_time.as_ref().map(timestamp),
        public: from.publicly_accessible,
        vpc: group.as_ref().and_then(|group| group.vpc_id.clone()),
        subnet_group: group.and_then(|group| group.db_subnet_group_name),
        security_groups: from.vpc_security_groups.unwrap_or_default().into_iter().filter_map(|one| one.vpc_security_group_id).collect(),
        kms_key_arn: from.kms_key_id,
        backup_retention_days: from.backup_retention_period,
        deletion_protection: from.deletion_protection,
        iam: from.iam_database_authentication_enabled,
        pending_password: from.pending_modified_values.is_some_and(|pending| pending.master_user_password.is_some()),
        tags: from.tag_list.unwrap_or_default().into_iter().filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_for_is_an_answer() {
        let arn = |id: &str| format!("arn:aws:rds:eu-west-2:1:db:{id}");
        let asked = |asked: &str, answered: &[&str]| {
            let all = answered.iter().map(|id| ((*id).to_owned(), arn(id))).collect();
            only_asked(all, |(id, arn): &(String, String)| (id, arn), "rds:Describe", asked).map(|found| found.map(|(id, _)| id))
        };
        assert_eq!(asked("a", &["b", "a"]).unwrap().as_deref(), Some("a"));
        assert_eq!(asked(&arn("a"), &["b", "a"]).unwrap().as_deref(), Some("a"));
        // RDS keeps identifiers in lower case, and takes them in any.
        assert_eq!(asked("A", &["a"]).unwrap().as_deref(), Some("a"));
        assert_eq!(asked("a", &[]).unwrap(), None);
        for others in [&["b"][..], &["aa", "b"], &[""]] {
            let failure = asked("a", others).unwrap_err();
            assert!(failure.kind == FailureKind::Remote && failure.message.contains("expected a"), "{failure}");
        }
    }
}
