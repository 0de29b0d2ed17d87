//! DynamoDB's control plane: on-demand backups, restoring one to a table of our own, and taking that down again.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{BackupTypeFilter, SseSpecification, SseType};
use serde::Serialize;

use crate::aws::errors::classify;
use crate::aws::pages::Pages;
use crate::aws::restoring::Restoring;
use crate::aws::session::Session;
use crate::aws::times::timestamp;
use crate::model::clock::Timestamp;
use crate::model::failure::{Failure, FailureKind};

/// A backup as ListBackups states it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct TableBackup {
    /// Its ARN.
    pub arn: String,
    /// The ARN of its table.
    pub table_arn: Option<String>,
    /// `AVAILABLE`, `CREATING`, `DELETED`.
    pub status: String,
    /// `USER`, `SYSTEM` or `AWS_BACKUP`.
    pub kind: String,
    /// When it was requested.
    pub created_at: Option<Timestamp>,
    /// When it expires.
    pub retain_until: Option<Timestamp>,
    /// Its size.
    pub size_bytes: Option<u64>,
}

/// A table as DescribeTable states it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// `ACTIVE`, `CREATING`, `DELETING`, …
    pub status: String,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// The backup that it was restored from.
    pub restored_from: Option<String>,
    /// The table that it was restored from.
    pub source_table_arn: Option<String>,
    /// The point in time that it was restored to.
    pub restored_to: Option<Timestamp>,
    /// Indexes that are not ACTIVE yet.
    pub indexes_waiting: Vec<String>,
    /// Whether the restore still goes on.
    pub restore_in_progress: bool,
    /// Its key.
    pub kms_key_arn: Option<String>,
    /// Protected from deletion.
    pub deletion_protection: bool,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// The window that a table can be restored to, by the second.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct RecoveryWindow {
    /// The table's ARN.
    pub table_arn: String,
    /// `ENABLED` or `DISABLED`.
    pub status: String,
    /// Its beginning.
    pub earliest: Option<Timestamp>,
    /// Its end: some minutes ago, as AWS documents it.
    pub latest: Option<Timestamp>,
}

/// The tables and backups of one Region.
#[derive(Clone, Debug)]
pub struct Tables {
    client: Client,
}

impl Tables {
    /// A client of `session`'s Region and identity.
    pub fn new(session: &Session) -> Self {
        Self { client: Client::new(session.config()) }
    }

    /// Every on-demand backup of `table`, those that AWS Backup made too.
    pub async fn backups(&self, table: &str) -> Result<Vec<TableBackup>, Failure> {
        let mut pages = Pages::of(format!("dynamodb:ListBackups {table}"));
        let (mut backups, mut start) = (Vec::new(), None);
        loop {
            let call = self.client.list_backups().table_name(table).backup_type(BackupTypeFilter::All);
            let answer = call.set_exclusive_start_backup_arn(start).send().await;
            let answer = answer.map_err(|error| classify(pages.call(), error))?;
            let before = backups.len();
            for one in answer.backup_summaries.unwrap_or_default() {
                let Some(arn) = one.backup_arn else { continue };
                backups.push(TableBackup {
                    arn,
                    table_arn: one.table_arn,
                    status: one.backup_status.map(|status| status.as_str().to_owned()).unwrap_or_default(),
                    kind: one.backup_type.map(|kind| kind.as_str().to_owned()).unwrap_or_default(),
                    created_at: one.backup_creation_date_time.as_ref().map(timestamp),
                    retain_until: one.backup_expiry_date_time.as_ref().map(timestamp),
                    size_bytes: one.backup_size_bytes.and_then(|size| u64::try_from(size).ok()),
                });
            }
            start = pages.next(answer.last_evaluated_backup_arn, backups[before..].iter().map(|one: &TableBackup| &one.arn))?;
            if start.is_none() {
                return Ok(backups);
            }
        }
    }

    /// The table with its tags, or nothing where there is none of that name.
    pub async fn table(&self, name: &str) -> Result<Option<Table>, Failure> {
        let what = format!("dynamodb:DescribeTable {name}");
        let answer = match self.client.describe_table().table_name(name).send().await {
            Ok(answer) => answer,
            Err(error) => {
                let failure = classify(&what, error);
                return if failure.kind == FailureKind::Absent { Ok(None) } else { Err(failure) };
            }
        };
        let Some(table) = answer.table else { return Err(Failure::new(FailureKind::Remote, format!("{what} answered without a table"))) };
        let arn = table.table_arn.unwrap_or_default();
        let restore = table.restore_summary;
        let indexes = table.global_secondary_indexes.unwrap_or_default();
        let waiting = indexes.into_iter().filter(|index| {
            index.backfilling == Some(true) || index.index_status.as_ref().is_some_and(|status| status.as_str() != "ACTIVE")
        });
        Ok(Some(Table {
            name: name.to_owned(),
            status: table.table_status.map(|status| status.as_str().to_owned()).unwrap_or_default(),
            created_at: table.creation_date_time.as_ref().map(timestamp),
            restore_in_progress: restore.as_ref().is_some_and(|restore| restore.restore_in_progress),
            source_table_arn: restore.as_ref().and_then(|restore| restore.source_table_arn.clone()),
            restored_to: restore.as_ref().map(|restore| timestamp(&restore.restore_date_time)),
            indexes_waiting: waiting.filter_map(|index| index.index_name).collect(),
            restored_from: restore.and_then(|restore| restore.source_backup_arn),
            kms_key_arn: table.sse_description.and_then(|sse| sse.kms_master_key_arn),
            deletion_protection: table.deletion_protection_enabled.unwrap_or(false),
            tags: self.tags(&arn).await?,
            arn,
        }))
    }

    async fn tags(&self, arn: &str) -> Result<BTreeMap<String, String>, Failure> {
        let mut pages = Pages::of(format!("dynamodb:ListTagsOfResource {arn}"));
        let (mut tags, mut next) = (BTreeMap::new(), None);
        loop {
            let answer = self.client.list_tags_of_resource().resource_arn(arn).set_next_token(next).send().await;
            let answer = match answer {
                Ok(answer) => answer,
                Err(error) => {
                    let failure = classify(pages.call(), error);
                    // A table that goes away while it is looked at has no tags any more.
                    return if failure.kind == FailureKind::Absent { Ok(tags) } else { Err(failure) };
                }
            };
            let listed = answer.tags.unwrap_or_default();
            next = pages.next(answer.next_token, listed.iter().map(|tag| &tag.key))?;
            tags.extend(listed.into_iter().map(|tag| (tag.key, tag.value)));
            if next.is_none() {
                return Ok(tags);
            }
        }
    }

    /// Names of tables that start with `prefix`.
    pub async fn names(&self, prefix: &str) -> Result<Vec<String>, Failure> {
        let mut pages = Pages::of("dynamodb:ListTables");
        let (mut names, mut start) = (Vec::new(), None);
        loop {
            let call = self.client.list_tables().set_exclusive_start_table_name(start);
            let page = call.send().await.map_err(|error| classify(pages.call(), error))?;
            let listed = page.table_names.unwrap_or_default();
            start = pages.next(page.last_evaluated_table_name, &listed)?;
            names.extend(listed.into_iter().filter(|name| name.starts_with(prefix)));
            if start.is_none() {
                return Ok(names);
            }
        }
    }

    /// RestoreTableFromBackup. The call takes neither tags nor a token.
    pub async fn restore(&self, backup_arn: &str, table: &str, kms_key_arn: Option<&str>) -> Result<Restoring, Failure> {
        let call = self.client.restore_table_from_backup().backup_arn(backup_arn).target_table_name(table);
        match call.set_sse_specification_override(encryption(kms_key_arn)).send().await {
            Ok(answer) => Ok(Restoring::Accepted(answer.table_description.and_then(|table| table.table_arn))),
            Err(error) if error.as_service_error().is_some_and(|error| error.is_table_already_exists_exception()) => {
                Ok(Restoring::NameIsTaken)
            }
            Err(error) => Err(classify(&format!("dynamodb:RestoreTableFromBackup {table}"), error)),
        }
    }

    /// DescribeContinuousBackups.
    pub async fn recovery_window(&self, table: &str) -> Result<RecoveryWindow, Failure> {
        let what = format!("dynamodb:DescribeContinuousBackups {table}");
        let answer = self.client.describe_continuous_backups().table_name(table).send().await.map_err(|error| classify(&what, error))?;
        let said = answer.continuous_backups_description.and_then(|said| said.point_in_time_recovery_description);
        let found = self.table(table).await?.ok_or_else(|| Failure::new(FailureKind::Absent, format!("{what}: there is no such table")))?;
        Ok(RecoveryWindow {
            table_arn: found.arn,
            status: said
                .as_ref()
                .and_then(|said| said.point_in_time_recovery_status.as_ref())
                .map_or("DISABLED", |status| status.as_str())
                .to_owned(),
            earliest: said.as_ref().and_then(|said| said.earliest_restorable_date_time.as_ref()).map(timestamp),
            latest: said.as_ref().and_then(|said| said.latest_restorable_date_time.as_ref()).map(timestamp),
        })
    }

    /// RestoreTableToPointInTime. The call takes neither tags nor a token. Called in the target's Region.
    pub async fn restore_to_time(
        &self,
        table_arn: &str,
        at: Timestamp,
        table: &str,
        kms_key_arn: Option<&str>,
    ) -> Result<Restoring, Failure> {
        let call = self.client.restore_table_to_point_in_time().source_table_arn(table_arn).target_table_name(table);
        let call = call.restore_date_time(aws_smithy_types::DateTime::from_millis(at.0.div_euclid(1000)));
        match call.set_sse_specification_override(encryption(kms_key_arn)).send().await {
            Ok(answer) => Ok(Restoring::Accepted(answer.table_description.and_then(|table| table.table_arn))),
            Err(error) if error.as_service_error().is_some_and(|error| error.is_table_already_exists_exception()) => {
                Ok(Restoring::NameIsTaken)
            }
            Err(error) => Err(classify(&format!("dynamodb:RestoreTableToPointInTime {table}"), error)),
        }
    }

    /// TagResource.
    pub async fn tag(&self, arn: &str, tags: &BTreeMap<String, String>) -> Result<(), Failure> {
        let what = format!("dynamodb:TagResource {arn}");
        let tags = tags
            .iter()
            .map(|(key, value)| aws_sdk_dynamodb::types::Tag::builder().key(key).value(value).build())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Failure::invalid(format!("{what}: {error}")).caused_by(error))?;
        let call = self.client.tag_resource().resource_arn(arn).set_tags(Some(tags));
        call.send().await.map(|_| ()).map_err(|error| classify(&what, error))
    }

    /// DeleteTable. An absent table is no error.
    pub async fn delete(&self, table: &str) -> Result<(), Failure> {
        match self.client.delete_table().table_name(table).send().await {
            Ok(_) => Ok(()),
            Err(error) => {
                let failure = classify(&format!("dynamodb:DeleteTable {table}"), error);
                if failure.kind == FailureKind::Absent { Ok(()) } else { Err(failure) }
            }
        }
    }
}

fn encryption(kms_key_arn: Option<&str>) -> Option<SseSpecification> {
    kms_key_arn.map(|key| SseSpecification::builder().enabled(true).sse_type(SseType::Kms).kms_master_key_id(key).build())
}
