//! Backup access points: reading an S3 recovery point of AWS Backup where it lies, through an S3 access point, without a restore.
//!
//! After the AWS Backup developer guide, "Access points" (docs.aws.amazon.com/aws-backup/latest/devguide/backup-access-points.html): the name is
//! of the account's S3 access points too; `CREATING` becomes `AVAILABLE` or `FAILED`; an available one states `S3AccessPointAlias`, which stands
//! for a bucket in reading calls; while one exists, the recovery point is neither deleted nor moved by its lifecycle, and five are all that one
//! recovery point may have, failed and expired ones counted. So each is deleted, and described until it is gone. Not here: reading (`s3`), and
//! whether one may be made (`restore::permit`).

use std::collections::BTreeMap;

use aws_sdk_backup::Client;
use aws_sdk_backup::error::ProvideErrorMetadata;
use aws_sdk_backup::operation::describe_backup_access_point::DescribeBackupAccessPointOutput;
use serde::Serialize;

use crate::aws::errors::classify;
use crate::aws::pages::Pages;
use crate::aws::session::Session;
use crate::aws::sts;
use crate::aws::times::timestamp;
use crate::model::clock::Timestamp;
use crate::model::failure::{Failure, FailureKind};

/// Names are not longer than those of S3 access points.
pub const LONGEST_NAME: usize = 50;

const ALIAS: &str = "S3AccessPointAlias";
const S3_ARN: &str = "S3AccessPointArn";
const IN_TIME: &str = "AccessPointInTime";

/// A backup access point as DescribeBackupAccessPoint states it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct AccessPoint {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// `CREATING`, `AVAILABLE`, `DELETING`, `FAILED`, `EXPIRED`, `DISASSOCIATING`, `DISASSOCIATED`.
    pub status: String,
    /// Why, in the service's words.
    pub message: Option<String>,
    /// The recovery point that it reads.
    pub recovery_point_arn: String,
    /// What that was taken of.
    pub resource_arn: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// What stands for the bucket in reading calls, once it is available.
    pub alias: Option<String>,
    /// The S3 access point, once it is available.
    pub s3_arn: Option<String>,
    /// Of a continuous recovery point: the second whose content it shows, as the service spells it.
    pub in_time: Option<String>,
    /// Its tags, where they may be listed.
    pub tags: BTreeMap<String, String>,
}

/// The backup access points of one account and Region.
#[derive(Clone, Debug)]
pub struct AccessPoints {
    client: Client,
    session: Session,
}

impl AccessPoints {
    /// Those of `session`'s Region and account.
    pub fn new(session: &Session) -> Self {
        Self { client: Client::new(session.config()), session: session.clone() }
    }

    /// CreateBackupAccessPoint; the answer is its ARN. `in_time` is needed for a continuous recovery point, and refused for another. No policy is
    /// set: who may read it is then said by the callers' own permissions.
    ///
    /// # Errors
    /// [`FailureKind::Invalid`] where the name is taken, [`FailureKind::Refused`] where the point has five already.
    pub async fn create(
        &self,
        name: &str,
        recovery_point_arn: &str,
        in_time: Option<Timestamp>,
        tags: BTreeMap<String, String>,
    ) -> Result<String, Failure> {
        let metadata = in_time.map(|at| [(IN_TIME.to_owned(), second(at))].into_iter().collect());
        let answer = self
            .client
            .create_backup_access_point()
            .name(name)
            .recovery_point_arn(recovery_point_arn)
            .set_access_point_metadata(metadata)
            .set_tags(Some(tags.into_iter().collect()))
            .send()
            .await
            .map_err(|error| {
                let is_full = error.code() == Some("LimitExceededException");
                let failure = classify(&format!("backup:CreateBackupAccessPoint {name}"), error);
                match is_full {
                    // The SDK takes the code for throttling, and has asked in vain for a while.
                    true => Failure { kind: FailureKind::Refused, ..failure }.hint(
                        "a recovery point has five access points at most, failed and expired ones counted: delete those that nobody needs",
                    ),
                    false => failure,
                }
            })?;
        Ok(answer.access_point_arn)
    }

    /// DescribeBackupAccessPoint of the account's access point of this name; nothing where there is none.
    pub async fn access_point(&self, name: &str) -> Result<Option<AccessPoint>, Failure> {
        let arn = self.arn(name).await?;
        let answer = self.client.describe_backup_access_point().access_point_arn(&arn).send().await;
        match answer.map_err(|error| classify(&format!("backup:DescribeBackupAccessPoint {name}"), error)) {
            Ok(answer) => {
                let tags = self.tags(&arn).await?;
                Ok(Some(described(answer, tags)))
            }
            Err(failure) if failure.kind == FailureKind::Absent => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// DeleteBackupAccessPoint; one that is absent is no error. Returns before it is gone.
    ///
    /// # Errors
    /// [`FailureKind::Remote`] where it cannot be deleted yet, since it is still being made.
    pub async fn delete(&self, name: &str) -> Result<(), Failure> {
        let arn = self.arn(name).await?;
        let answer = self.client.delete_backup_access_point().access_point_arn(&arn).send().await;
        match answer.map_err(|error| classify(&format!("backup:DeleteBackupAccessPoint {name}"), error)) {
            Ok(_) => Ok(()),
            Err(failure) if failure.kind == FailureKind::Absent => Ok(()),
            Err(failure) if failure.kind == FailureKind::Invalid => {
                let making = self.access_point(name).await?.is_some_and(|found| found.status == "CREATING");
                Err(if making { Failure { kind: FailureKind::Remote, ..failure } } else { failure })
            }
            Err(failure) => Err(failure),
        }
    }

    /// The names that start with `prefix` (ListBackupAccessPoints).
    pub async fn names(&self, prefix: &str) -> Result<Vec<String>, Failure> {
        let mut pages = Pages::of("backup:ListBackupAccessPoints");
        let (mut names, mut token) = (Vec::new(), None);
        loop {
            let call = self.client.list_backup_access_points().set_next_token(token);
            let page = call.send().await.map_err(|error| classify(pages.call(), error))?;
            token = pages.next(page.next_token, page.backup_access_points.iter().map(|one| &one.name))?;
            names.extend(page.backup_access_points.into_iter().map(|one| one.name).filter(|name| name.starts_with(prefix)));
            if token.is_none() {
                return Ok(names);
            }
        }
    }

    /// The ARN that the account's access point of this name has.
    async fn arn(&self, name: &str) -> Result<String, Failure> {
        let caller = sts::caller(&self.session).await?;
        let partition = caller.arn.split(':').nth(1).unwrap_or("aws");
        let region = self.session.region().ok_or_else(|| Failure::invalid("a backup access point without a Region"))?;
        Ok(format!("arn:{partition}:backup:{region}:{}:accesspoint/{name}", caller.account_id))
    }

    /// ListTags; where the service or the role does not allow it, none: its exact name says whose it is.
    async fn tags(&self, arn: &str) -> Result<BTreeMap<String, String>, Failure> {
        let mut pages = Pages::of(format!("backup:ListTags {arn}"));
        let (mut tags, mut token) = (BTreeMap::new(), None);
        loop {
            let page = self.client.list_tags().resource_arn(arn).set_next_token(token).send().await;
            match page.map_err(|error| classify(pages.call(), error)) {
                Ok(page) => {
                    let listed = page.tags.unwrap_or_default();
                    token = pages.next(page.next_token, listed.keys())?;
                    tags.extend(listed);
                }
                Err(failure) if matches!(failure.kind, FailureKind::Absent | FailureKind::Denied | FailureKind::Invalid) => {
                    return Ok(tags);
                }
                Err(failure) => return Err(failure),
            }
            if token.is_none() {
                return Ok(tags);
            }
        }
    }
}

/// As AWS Backup writes seconds: `2021-11-27T03:30:27Z`.
pub fn second(at: Timestamp) -> String {
    at.to_chrono().format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn described(answer: DescribeBackupAccessPointOutput, tags: BTreeMap<String, String>) -> AccessPoint {
    let mut metadata = answer.access_point_metadata.unwrap_or_default();
    let mut text = |name: &str| metadata.remove(name).filter(|value| !value.is_empty());
    AccessPoint {
        alias: text(ALIAS),
        s3_arn: text(S3_ARN),
        in_time: text(IN_TIME),
        arn: answer.access_point_arn,
        name: answer.name,
        status: answer.status.as_str().to_owned(),
        message: answer.status_message,
        recovery_point_arn: answer.recovery_point_arn,
        resource_arn: answer.resource_arn,
        created_at: timestamp(&answer.creation_time),
        tags,
    }
}
