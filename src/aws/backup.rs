//! AWS Backup: recovery points, vault locks, restore jobs, and the selections of backup plans.

use std::collections::BTreeMap;

use aws_sdk_backup::Client;
use serde::Serialize;

use crate::aws::errors::classify;
use crate::aws::pages::Pages;
use crate::aws::session::Session;
use crate::aws::times::timestamp;
use crate::model::clock::Timestamp;
use crate::model::failure::{Failure, FailureKind};

/// A recovery point as ListRecoveryPointsByBackupVault states it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct VaultPoint {
    /// The recovery point's ARN.
    pub arn: String,
    /// The ARN of the resource that it was taken from.
    pub resource_arn: String,
    /// `S3`, `DynamoDB`, `RDS`, …
    pub resource_type: String,
    /// `COMPLETED`, `PARTIAL`, `EXPIRED`, …
    pub status: String,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// Its size.
    pub size_bytes: Option<u64>,
    /// Encrypted at rest.
    pub encrypted: bool,
    /// Its key.
    pub kms_key_arn: Option<String>,
    /// When its lifecycle deletes it.
    pub retain_until: Option<Timestamp>,
}

/// What DescribeBackupVault says of the lock.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Vault {
    /// The vault's ARN.
    pub arn: Option<String>,
    /// Whether it is locked.
    pub locked: Option<bool>,
}

/// A restore job as DescribeRestoreJob states it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct RestoreJob {
    /// The job's id.
    pub id: String,
    /// `PENDING`, `RUNNING`, `COMPLETED`, `ABORTED`, `FAILED`.
    pub status: String,
    /// In the service's words.
    pub message: Option<String>,
    /// Such as `42.00%`.
    pub percent_done: Option<String>,
    /// What it created.
    pub created_arn: Option<String>,
    /// The kind of what it created.
    pub resource_type: Option<String>,
    /// When it was asked for.
    pub created_at: Option<Timestamp>,
    /// When it was complete.
    pub completed_at: Option<Timestamp>,
}

/// One condition on a tag: key and value, either may hold `*` where the operator says so.
pub type TagCondition = (String, String);

/// A selection of a backup plan: what the plan backs up.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Selection {
    /// The plan's name.
    pub plan: String,
    /// The selection's name.
    pub name: String,
    /// ARNs, with `*`.
    pub resources: Vec<String>,
    /// ARNs, with `*`, that are left out.
    pub not_resources: Vec<String>,
    /// Any of these tags selects.
    pub list_of_tags: Vec<TagCondition>,
    /// All of these must hold.
    pub string_equals: Vec<TagCondition>,
    /// All of these must hold.
    pub string_like: Vec<TagCondition>,
    /// None of these may hold.
    pub string_not_equals: Vec<TagCondition>,
    /// None of these may hold.
    pub string_not_like: Vec<TagCondition>,
}

/// The AWS Backup service in one Region.
#[derive(Clone, Debug)]
pub struct Backup {
    client: Client,
}

impl Backup {
    /// A client of `session`'s Region and identity.
    pub fn new(session: &Session) -> Self {
        Self { client: Client::new(session.config()) }
    }

    /// Every recovery point of `vault`, of `resource_arn` alone where that is given.
    pub async fn points(&self, vault: &str, resource_arn: Option<&str>) -> Result<Vec<VaultPoint>, Failure> {
        let mut pages = Pages::of(format!("backup:ListRecoveryPointsByBackupVault {vault}"));
        let (mut points, mut token) = (Vec::new(), None);
        loop {
            let call = self.client.list_recovery_points_by_backup_vault().backup_vault_name(vault).set_next_token(token);
            let page = call.set_by_resource_arn(resource_arn.map(ToOwned::to_owned)).send().await;
            let page = page.map_err(|error| classify(pages.call(), error))?;
            let before = points.len();
            for point in page.recovery_points.unwrap_or_default() {
                let Some(arn) = point.recovery_point_arn else { continue };
                points.push(VaultPoint {
                    arn,
                    resource_arn: point.resource_arn.unwrap_or_default(),
                    resource_type: point.resource_type.unwrap_or_default(),
                    status: point.status.map(|status| status.as_str().to_owned()).unwrap_or_default(),
                    created_at: point.creation_date.as_ref().map(timestamp),
                    size_bytes: point.backup_size_in_bytes.and_then(|size| u64::try_from(size).ok()),
                    encrypted: point.is_encrypted,
                    kms_key_arn: point.encryption_key_arn,
                    retain_until: point.calculated_lifecycle.and_then(|cycle| cycle.delete_at.as_ref().map(timestamp)),
                });
            }
            token = pages.next(page.next_token, points[before..].iter().map(|point| &point.arn))?;
            if token.is_none() {
                return Ok(points);
            }
        }
    }

    /// DescribeBackupVault.
    pub async fn vault(&self, vault: &str) -> Result<Vault, Failure> {
        let answer = self.client.describe_backup_vault().backup_vault_name(vault).send().await;
        let answer = answer.map_err(|error| classify(&format!("backup:DescribeBackupVault {vault}"), error))?;
        Ok(Vault { arn: answer.backup_vault_arn, locked: answer.locked })
    }

    /// DescribeRecoveryPoint: its state now.
    pub async fn point_status(&self, vault: &str, arn: &str) -> Result<String, Failure> {
        let answer = self.client.describe_recovery_point().backup_vault_name(vault).recovery_point_arn(arn).send().await;
        let answer = answer.map_err(|error| classify(&format!("backup:DescribeRecoveryPoint {arn}"), error))?;
        Ok(answer.status.map(|status| status.as_str().to_owned()).unwrap_or_default())
    }

    /// GetRecoveryPointRestoreMetadata: the settings that the resource was backed up with.
    pub async fn restore_metadata(&self, vault: &str, arn: &str) -> Result<BTreeMap<String, String>, Failure> {
        let answer = self.client.get_recovery_point_restore_metadata().backup_vault_name(vault).recovery_point_arn(arn).send().await;
        let answer = answer.map_err(|error| classify(&format!("backup:GetRecoveryPointRestoreMetadata {arn}"), error))?;
        Ok(answer.restore_metadata.unwrap_or_default().into_iter().collect())
    }

    /// StartRestoreJob; the answer is the job's id. Source tags are never copied to what is restored.
    pub async fn start_restore(
        &self,
        arn: &str,
        role_arn: &str,
        resource_type: &str,
        metadata: BTreeMap<String, String>,
        token: &str,
    ) -> Result<String, Failure> {
        let answer = self
            .client
            .start_restore_job()
            .recovery_point_arn(arn)
            .iam_role_arn(role_arn)
            .resource_type(resource_type)
            .set_metadata(Some(metadata.into_iter().collect()))
            .idempotency_token(token)
            .copy_source_tags_to_restored_resource(false)
            .send()
            .await
            .map_err(|error| classify(&format!("backup:StartRestoreJob {arn}"), error))?;
        answer.restore_job_id.ok_or_else(|| Failure::new(FailureKind::Remote, "backup:StartRestoreJob answered without a job id"))
    }

    /// DescribeRestoreJob.
    pub async fn restore_job(&self, id: &str) -> Result<RestoreJob, Failure> {
        let answer = self.client.describe_restore_job().restore_job_id(id).send().await;
        let answer = answer.map_err(|error| classify(&format!("backup:DescribeRestoreJob {id}"), error))?;
        Ok(RestoreJob {
            id: id.to_owned(),
            status: answer.status.map(|status| status.as_str().to_owned()).unwrap_or_default(),
            message: answer.status_message,
            percent_done: answer.percent_done,
            created_arn: answer.created_resource_arn,
            resource_type: answer.resource_type,
            created_at: answer.creation_date.as_ref().map(timestamp),
            completed_at: answer.completion_date.as_ref().map(timestamp),
        })
    }

    /// Jobs since `since` that are not over, for the recovery points that `of` accepts (ListRestoreJobs).
    pub async fn unfinished_jobs(&self, since: Timestamp, of: &(dyn Fn(&str) -> bool + Sync)) -> Result<Vec<String>, Failure> {
        let after = aws_smithy_types::DateTime::from_secs(since.as_secs());
        let mut pages = Pages::of("backup:ListRestoreJobs");
        let (mut ids, mut token) = (Vec::new(), None);
        loop {
            let call = self.client.list_restore_jobs().by_created_after(after).set_next_token(token);
            let page = call.send().await.map_err(|error| classify(pages.call(), error))?;
            let jobs = page.restore_jobs.unwrap_or_default();
            token = pages.next(page.next_token, jobs.iter().map(|job| job.restore_job_id.as_deref().unwrap_or_default()))?;
            for job in jobs {
                let open = job.status.as_ref().is_some_and(|status| matches!(status.as_str(), "PENDING" | "RUNNING"));
                if open && job.recovery_point_arn.as_deref().is_some_and(of) {
                    ids.extend(job.restore_job_id);
                }
            }
            if token.is_none() {
                return Ok(ids);
            }
        }
    }

    /// Every selection of every backup plan.
    pub async fn selections(&self) -> Result<Vec<Selection>, Failure> {
        let mut pages = Pages::of("backup:ListBackupPlans");
        let (mut selections, mut token) = (Vec::new(), None);
        loop {
            let page = self.client.list_backup_plans().set_next_token(token).send().await.map_err(|error| classify(pages.call(), error))?;
            let plans = page.backup_plans_list.unwrap_or_default();
            token = pages.next(page.next_token, plans.iter().map(|plan| plan.backup_plan_id.as_deref().unwrap_or_default()))?;
            for plan in plans {
                let Some(id) = plan.backup_plan_id else { continue };
                let name = plan.backup_plan_name.unwrap_or_else(|| id.clone());
                self.selections_of(&id, &name, &mut selections).await?;
            }
            if token.is_none() {
                return Ok(selections);
            }
        }
    }

    async fn selections_of(&self, plan_id: &str, plan: &str, into: &mut Vec<Selection>) -> Result<(), Failure> {
        let mut pages = Pages::of(format!("backup:ListBackupSelections {plan}"));
        let mut token = None;
        loop {
            let call = self.client.list_backup_selections().backup_plan_id(plan_id).set_next_token(token);
            let page = call.send().await.map_err(|error| classify(pages.call(), error))?;
            let members = page.backup_selections_list.unwrap_or_default();
            token = pages.next(page.next_token, members.iter().map(|member| member.selection_id.as_deref().unwrap_or_default()))?;
            for member in members {
                let Some(id) = member.selection_id else { continue };
                let answer = self.client.get_backup_selection().backup_plan_id(plan_id).selection_id(&id).send().await;
                let answer = answer.map_err(|error| classify(&format!("backup:GetBackupSelection {plan} {id}"), error))?;
                let Some(selection) = answer.backup_selection else {
                    return Err(Failure::new(
                        FailureKind::Remote,
                        format!("backup:GetBackupSelection {plan} {id} answered without a selection"),
                    ));
                };
                into.push(selection_of(plan, selection));
            }
            if token.is_none() {
                return Ok(());
            }
        }
    }
}

fn selection_of(plan: &str, from: aws_sdk_backup::types::BackupSelection) -> Selection {
    use aws_sdk_backup::types::ConditionParameter;
    let pairs = |list: Option<Vec<ConditionParameter>>| -> Vec<TagCondition> {
        let strip = |key: String| key.strip_prefix("aws:ResourceTag/").map(ToOwned::to_owned).unwrap_or(key);
        list.unwrap_or_default().into_iter().filter_map(|one| Some((strip(one.condition_key?), one.condition_value?))).collect()
    };
    let conditions = from.conditions;
    let (equals, like, not_equals, not_like) = match conditions {
        Some(c) => (c.string_equals, c.string_like, c.string_not_equals, c.string_not_like),
        None => (None, None, None, None),
    };
    Selection {
        plan: plan.to_owned(),
        name: from.selection_name,
        resources: from.resources.unwrap_or_default(),
        not_resources: from.not_resources.unwrap_or_default(),
        list_of_tags: from.list_of_tags.unwrap_or_default().into_iter().map(|one| (one.condition_key, one.condition_value)).collect(),
        string_equals: pairs(equals),
        string_like: pairs(like),
        string_not_equals: pairs(not_equals),
        string_not_like: pairs(not_like),
    }
}
