//! Describing and deleting what a drill creates, by its kind. Whether something may be deleted is not decided here: `teardown` does.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::aws::backup_access::AccessPoint;
use crate::aws::buckets::Bucket;
use crate::aws::dynamodb_backup::Table;
use crate::aws::rds::Instance;
use crate::engines::area;
use crate::engines::servers::Servers;
use crate::model::clock::Timestamp;
use crate::model::failure::Failure;
use crate::restore::order::{Clouds, DRILL_TAG};
use crate::restore::records::{Target, TargetKind};

/// The file in a local target that says whose it is.
pub const MARKER: &str = "attestore-drill.json";
/// The directory in a local target that holds what was restored.
pub const DATA: &str = "data";

/// Who made a local target, and when.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Marker {
    /// The drill.
    pub drill: String,
    /// The case.
    pub case: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A local target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LocalPath {
    /// Where it is.
    pub path: PathBuf,
    /// Its permission bits.
    pub mode: u32,
}

/// What the service says of a target, by kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Detail {
    /// An S3 bucket.
    Bucket(Bucket),
    /// A DynamoDB table.
    Table(Table),
    /// An RDS instance.
    Instance(Instance),
    /// A backup access point.
    AccessPoint(AccessPoint),
    /// A directory.
    Path(LocalPath),
}

/// A target that exists.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// Its ARN, or its path.
    pub arn: String,
    /// When it was created, as its service states it.
    pub created_at: Option<Timestamp>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Everything else.
    pub detail: Detail,
}

impl Found {
    /// The description as evidence.
    pub fn raw(&self) -> Value {
        match &self.detail {
            Detail::Bucket(bucket) => json!({"bucket": bucket}),
            Detail::Table(table) => json!({"table": table}),
            Detail::Instance(instance) => json!({"db_instance": instance}),
            Detail::AccessPoint(point) => json!({"backup_access_point": point}),
            Detail::Path(path) => json!({"path": path.path.display().to_string(), "mode": path.mode}),
        }
    }

    /// Whether it is on its way out already.
    pub fn is_deleting(&self) -> bool {
        match &self.detail {
            Detail::Table(table) => table.status == "DELETING",
            Detail::Instance(instance) => instance.status == "deleting",
            Detail::AccessPoint(point) => point.status == "DELETING",
            Detail::Bucket(_) | Detail::Path(_) => false,
        }
    }
}

/// The call by which a target is described, for the record.
pub fn described_by(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::Bucket => "s3:HeadBucket",
        TargetKind::Table => "dynamodb:DescribeTable",
        TargetKind::DbInstance => "rds:DescribeDBInstances",
        TargetKind::AccessPoint => "backup:DescribeBackupAccessPoint",
        TargetKind::Path => "stat",
    }
}

/// The call by which a target is deleted, for the record.
pub fn deleted_by(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::Bucket => "s3:DeleteBucket",
        TargetKind::Table => "dynamodb:DeleteTable",
        TargetKind::DbInstance => "rds:DeleteDBInstance",
        TargetKind::AccessPoint => "backup:DeleteBackupAccessPoint",
        TargetKind::Path => "unlink",
    }
}

/// Describes the target: nothing where there is none of exactly that name.
pub async fn find(clouds: &Clouds, work: &Path, target: &Target) -> Result<Option<Found>, Failure> {
    let region = target.region.as_deref();
    Ok(match target.kind {
        TargetKind::Bucket => clouds.buckets(region)?.bucket(&target.name).await?.map(|bucket| Found {
            arn: format!("arn:aws:s3:::{}", bucket.name),
            created_at: bucket.created_at,
            tags: bucket.tags.clone(),
            detail: Detail::Bucket(bucket),
        }),
        TargetKind::Table => clouds.tables(region)?.table(&target.name).await?.map(|table| Found {
            arn: table.arn.clone(),
            created_at: table.created_at,
            tags: table.tags.clone(),
            detail: Detail::Table(table),
        }),
        TargetKind::DbInstance => clouds.rds(region)?.instance(&target.name).await?.map(|instance| Found {
            arn: instance.arn.clone(),
            created_at: instance.created_at,
            tags: instance.tags.clone(),
            detail: Detail::Instance(instance),
        }),
        TargetKind::AccessPoint => clouds.access_points(region)?.access_point(&target.name).await?.map(|point| Found {
            arn: point.arn.clone(),
            created_at: Some(point.created_at),
            tags: point.tags.clone(),
            detail: Detail::AccessPoint(point),
        }),
        TargetKind::Path => find_path(work, &target.name)?,
    })
}

/// Deletes the target; one that is absent is no error. Returns before a service has finished.
pub async fn delete(clouds: &Clouds, work: &Path, target: &Target) -> Result<(), Failure> {
    let region = target.region.as_deref();
    match target.kind {
        TargetKind::Bucket => clouds.buckets(region)?.delete(&target.name).await,
        TargetKind::Table => clouds.tables(region)?.delete(&target.name).await,
        TargetKind::DbInstance => clouds.rds(region)?.delete(&target.name).await,
        TargetKind::AccessPoint => clouds.access_points(region)?.delete(&target.name).await,
        TargetKind::Path => {
            let path = local_path(work, &target.name)?;
            // A database server that was started for it goes first, and what it keeps elsewhere.
            if area::is_noted(&path) {
                Servers::open(&path)?.purge().await?;
            }
            let doomed = path.clone();
            let gone = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(doomed)).await;
            match gone {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
                Ok(Err(error)) => Err(Failure::io(format!("delete {}", path.display()), error)),
                Err(error) => Err(Failure::new(crate::model::failure::FailureKind::Disk, format!("delete {}: {error}", path.display()))),
            }
        }
    }
}

/// The path of a local target; a name that would leave the working directory is refused.
pub fn local_path(work: &Path, name: &str) -> Result<PathBuf, Failure> {
    let plain = !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0']);
    if plain { Ok(work.join(name)) } else { Err(Failure::invalid(format!("`{name}` is not the name of a target in {}", work.display()))) }
}

fn find_path(work: &Path, name: &str) -> Result<Option<Found>, Failure> {
    let path = local_path(work, name)?;
    let about = |error| Failure::io(format!("look at {}", path.display()), error);
    let facts = match std::fs::symlink_metadata(&path) {
        Ok(facts) => facts,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(about(error)),
    };
    // A crash can come between the directory and its marker: the file system then says when it was made, and no tag is claimed.
    let marker: Option<Marker> = std::fs::read(path.join(MARKER)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let tags = marker.iter().map(|marker| (DRILL_TAG.to_owned(), marker.drill.clone())).collect();
    Ok(Some(Found {
        arn: path.display().to_string(),
        created_at: marker.map(|marker| marker.created_at).or_else(|| {
            let made = facts.created().or_else(|_| facts.modified()).ok()?;
            let since = made.duration_since(std::time::UNIX_EPOCH).ok()?;
            i64::try_from(since.as_micros()).ok().map(Timestamp)
        }),
        tags,
        detail: Detail::Path(LocalPath { mode: facts.permissions().mode(), path }),
    }))
}

/// Whether two ARNs of one kind and name are of the same Region and account, where both state them.
pub fn same_place(one: &str, other: &str) -> bool {
    let place = |arn: &str| arn.splitn(6, ':').skip(3).take(2).map(str::to_owned).collect::<Vec<_>>();
    place(one).iter().zip(&place(other)).all(|(a, b)| a.is_empty() || b.is_empty() || a == b)
}

/// Whether an ARN is of that kind and that name.
pub fn names(arn: &str, kind: TargetKind, name: &str) -> bool {
    let mut parts = arn.splitn(6, ':');
    let service = parts.nth(2).unwrap_or_default();
    let resource = parts.nth(2).unwrap_or_default();
    match kind {
        TargetKind::Bucket => service == "s3" && resource == name,
        TargetKind::Table => service == "dynamodb" && resource.strip_prefix("table/") == Some(name),
        TargetKind::DbInstance => service == "rds" && resource.strip_prefix("db:") == Some(name),
        TargetKind::AccessPoint => service == "backup" && resource.strip_prefix("accesspoint/") == Some(name),
        TargetKind::Path => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_created_arn_must_be_of_the_right_type_and_name() {
        assert!(names("arn:aws:s3:::a-b", TargetKind::Bucket, "a-b"));
        assert!(names("arn:aws:dynamodb:eu-west-2:1:table/a-b", TargetKind::Table, "a-b"));
        assert!(names("arn:aws:rds:eu-west-2:1:db:a-b", TargetKind::DbInstance, "a-b"));
        assert!(names("arn:aws:backup:eu-west-2:1:accesspoint/a-b", TargetKind::AccessPoint, "a-b"));
        assert!(!names("arn:aws:s3:eu-west-2:1:accesspoint/a-b", TargetKind::AccessPoint, "a-b"));
        assert!(!names("arn:aws:s3:::a-b-c", TargetKind::Bucket, "a-b"));
        assert!(!names("arn:aws:dynamodb:eu-west-2:1:table/a-b", TargetKind::Bucket, "a-b"));
        assert!(!names("arn:aws:rds:eu-west-2:1:snapshot:a-b", TargetKind::DbInstance, "a-b"));
        assert!(!names("", TargetKind::Bucket, ""));
        let ours = "arn:aws:rds:eu-west-2:1:db:a-b";
        assert!(same_place(ours, ours) && same_place("arn:aws:s3:::a-b", "arn:aws:s3:::a-b") && same_place(ours, "a-b"));
        assert!(!same_place("arn:aws:rds:us-east-1:1:db:a-b", ours) && !same_place("arn:aws:rds:eu-west-2:9:db:a-b", ours));
    }
}
