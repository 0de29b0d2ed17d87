//! What a drill would take, in the units that AWS charges for, without any price: bytes restored, bytes read, requests, read capacity,
//! database instances.
//!
//! Every figure is for the largest points that could be drawn. What nobody states (the size of a snapshot, the number of objects where no
//! manifest says it) is counted as unknown and never as nothing.

use crate::model::recovery_point::RecoveryPoint;
use crate::restore::driver::Driver;
use crate::restore::records::TargetKind;
use crate::verify::manifest::header::Header;

/// A strongly consistent read of 4 KiB is one read capacity unit.
const BYTES_A_UNIT: u64 = 4096;
/// Objects are read in ranges of at most this.
const BYTES_A_REQUEST: u64 = 16 << 20;
/// A page of a listing.
const KEYS_A_PAGE: u64 = 1000;

/// The figures.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Effort {
    /// Restored, as far as sizes are stated.
    pub restored_bytes: u64,
    /// Read back for the comparison.
    pub read_bytes: u64,
    /// Requests to S3 at least: listing, and content with its attributes, of the objects that manifests know.
    pub s3_requests: u64,
    /// Read capacity units of table scans, strongly consistent.
    pub read_capacity_units: u64,
    /// Database instances that run for the time of their case.
    pub instances: u64,
    /// Points whose size nobody states.
    pub unknown_sizes: u64,
    /// Points in S3 whose number of objects no manifest states.
    pub unknown_objects: u64,
}

impl Effort {
    /// Adds what `driver` takes to bring one point back, and the reading of it; `manifest` is the header of what it would be compared
    /// with, where that is known.
    pub fn add(&mut self, driver: Option<&dyn Driver>, point: &RecoveryPoint, manifest: Option<&Header>) {
        let count = |name: &str| manifest.and_then(|header| header.counts.get(name)).copied();
        let bytes = point.size_bytes.or_else(|| count("bytes"));
        self.unknown_sizes += u64::from(bytes.is_none());
        let bytes = bytes.unwrap_or(0);
        if driver.is_some_and(Driver::restores) {
            self.restored_bytes = self.restored_bytes.saturating_add(bytes);
        }
        self.read_bytes = self.read_bytes.saturating_add(count("bytes").unwrap_or(bytes));
        match driver.map(Driver::target_kind) {
            Some(TargetKind::Bucket | TargetKind::AccessPoint) => match count("objects") {
                Some(objects) => {
                    let ranges = count("bytes").unwrap_or(bytes) / BYTES_A_REQUEST;
                    self.s3_requests += objects.div_ceil(KEYS_A_PAGE) + 2 * objects + ranges;
                }
                None => self.unknown_objects += 1,
            },
            Some(TargetKind::Table) => self.read_capacity_units += bytes.div_ceil(BYTES_A_UNIT),
            Some(TargetKind::DbInstance) => self.instances += 1,
            Some(TargetKind::Path) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estate::config::Access;
    use crate::model::clock::Timestamp;
    use crate::model::ids::PointId;
    use crate::model::resource::{PointSource, ResourceKind};
    use crate::restore::drivers::choose::driver_by;

    fn point(kind: ResourceKind, from: PointSource, size_bytes: Option<u64>) -> RecoveryPoint {
        RecoveryPoint {
            id: PointId("p".into()),
            resource: "r".into(),
            kind,
            from,
            handle: "p".into(),
            source_arn: None,
            vault: None,
            created_at: Timestamp::from_secs(0),
            size_bytes,
            state: "COMPLETED".into(),
            encrypted: None,
            kms_key_arn: None,
            vault_locked: None,
            retain_until: None,
        }
    }

    fn header(counts: &[(&str, u64)]) -> Header {
        let counts: serde_json::Map<String, serde_json::Value> = counts.iter().map(|(name, n)| ((*name).to_owned(), (*n).into())).collect();
        serde_json::from_value(serde_json::json!({
            "schema": "attestore/manifest/v1", "kind": "objects", "source": "s3://vault", "captured_start": "2026-01-31T02:00:00Z",
            "captured_end": "2026-01-31T02:00:01Z", "mode": "version-exact", "encoding": "attestore/objects/v1", "digests": ["sha256"],
            "counts": counts, "root": "00".repeat(32), "baselines": {}, "parts": [],
        }))
        .unwrap()
    }

    #[test]
    fn figures_are_those_that_somebody_states() {
        let mut effort = Effort::default();
        let header = header(&[("objects", 2500), ("bytes", 40 << 20)]);
        let s3 = point(ResourceKind::S3, PointSource::AwsBackup, Some(50 << 20));
        let mut add = |access: Access, point: &RecoveryPoint, manifest: Option<&Header>| {
            effort.add(driver_by(access, point, "dir:/data"), point, manifest);
            effort
        };
        let one = add(Access::Restore, &s3, Some(&header));
        assert_eq!((one.restored_bytes, one.read_bytes, one.s3_requests), (50 << 20, 40 << 20, 3 + 5000 + 2));
        let read_in_place = add(Access::BackupAccessPoint, &s3, Some(&header));
        assert_eq!((read_in_place.restored_bytes, read_in_place.read_bytes, read_in_place.s3_requests), (50 << 20, 80 << 20, 2 * 5005));
        let without = add(Access::Restore, &point(ResourceKind::S3, PointSource::AwsBackup, Some(1)), None);
        assert_eq!((without.unknown_objects, without.s3_requests), (1, 2 * 5005));
        add(Access::Restore, &point(ResourceKind::Dynamodb, PointSource::DynamodbBackup, Some(10_000)), None);
        add(Access::Restore, &point(ResourceKind::RdsMysql, PointSource::RdsSnapshot, None), None);
        let all = add(Access::Restore, &point(ResourceKind::Files, PointSource::Local, Some(7)), None);
        assert_eq!((all.read_capacity_units, all.instances, all.unknown_sizes), (3, 1, 1));
    }
}
