//! Which driver restores a point: by the resource's kind and where the point was found.

use crate::estate::config::Access;
use crate::model::recovery_point::RecoveryPoint;
use crate::model::resource::{PointSource, ResourceKind};
use crate::model::source_url::SourceUrl;
use crate::restore::driver::Driver;
use crate::restore::drivers::{
    backup_access_point, backup_dynamodb, backup_rds, backup_s3, dynamodb_backup, dynamodb_pitr, local, local_database, rds_pitr,
    rds_snapshot, s3_versions,
};

/// The driver, or nothing: the point is then excluded as `untested: driver_absent`.
pub fn driver_for(kind: ResourceKind, from: PointSource) -> Option<&'static dyn Driver> {
    Some(match (kind, from) {
        (ResourceKind::S3, PointSource::AwsBackup) => &backup_s3::BackupS3,
        (ResourceKind::S3, PointSource::S3Versions) => &s3_versions::S3Versions,
        (ResourceKind::Dynamodb, PointSource::AwsBackup) => &backup_dynamodb::BackupDynamodb,
        (ResourceKind::Dynamodb, PointSource::DynamodbBackup) => &dynamodb_backup::DynamodbBackup,
        (ResourceKind::Dynamodb, PointSource::DynamodbPitr) => &dynamodb_pitr::DynamodbPitr,
        (ResourceKind::RdsMysql | ResourceKind::RdsPostgres, PointSource::AwsBackup) => &backup_rds::BackupRds,
        (ResourceKind::RdsMysql | ResourceKind::RdsPostgres, PointSource::RdsSnapshot) => &rds_snapshot::RdsSnapshot,
        (ResourceKind::RdsMysql | ResourceKind::RdsPostgres, PointSource::RdsPitr) => &rds_pitr::RdsPitr,
        (ResourceKind::RdsMysql | ResourceKind::RdsPostgres, PointSource::Local) => &local_database::LocalDatabase,
        (ResourceKind::Files, PointSource::Local) => &local::Local,
        _ => return None,
    })
}

/// The driver that a class's policy asks for: S3 recovery points of AWS Backup are read where they lie where the class opts in, everything else is
/// restored. Copies beside AWS are loaded into a server where the resource's `source` is the database of one.
pub fn driver_by(access: Access, point: &RecoveryPoint, source: &str) -> Option<&'static dyn Driver> {
    match (access, point.kind, point.from) {
        (Access::BackupAccessPoint, ResourceKind::S3, PointSource::AwsBackup) => Some(&backup_access_point::BackupAccessPoint),
        (_, ResourceKind::Files, PointSource::Local) if is_of_a_server(source) => Some(&local_database::LocalDatabase),
        _ => driver_for(point.kind, point.from),
    }
}

fn is_of_a_server(source: &str) -> bool {
    source.parse::<SourceUrl>().is_ok_and(|url| url.server_database().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `log verify` takes "no driver restores it" only where that is so.
    #[test]
    fn what_is_said_to_be_restored_has_a_driver_and_nothing_else_has() {
        for (kind, from) in ResourceKind::ALL.iter().flat_map(|kind| PointSource::ALL.iter().map(move |from| (*kind, *from))) {
            assert_eq!(driver_for(kind, from).is_some(), kind.is_restored_from(from), "{kind} from {from}");
        }
    }
}
