//! Replication to another bucket: what is written under an enabled rule is copied at once, version id, metadata and tags with it.
//!
//! A destination that is absent or keeps no versions makes the status `FAILED`, as in S3 ("Getting replication status information",
//! S3 user guide). Delete markers are replicated where the rule says so; deletions of versions never are.

use http::StatusCode;
use rusqlite::Connection;
use s3s::S3Result;
use s3s::dto::*;

use crate::sandbox::s3::buckets::{self, Bucket};
use crate::sandbox::s3::errors::{custom, internal};
use crate::sandbox::s3::record::Content;
use crate::sandbox::s3::store::S3Store;
use crate::sandbox::s3::versions::{self, Deleted};

const CONFIG: &str = "replication";

/// GetBucketReplication.
pub fn configuration(store: &S3Store, input: GetBucketReplicationInput) -> S3Result<GetBucketReplicationOutput> {
    let bucket = buckets::find(&store.connection(), &input.bucket)?;
    let absent = || custom("ReplicationConfigurationNotFoundError", StatusCode::NOT_FOUND, "The replication configuration was not found");
    let value = bucket.config.get(CONFIG).cloned().ok_or_else(absent)?;
    Ok(GetBucketReplicationOutput { replication_configuration: Some(serde_json::from_value(value).map_err(internal)?) })
}

/// PutBucketReplication.
pub fn set_configuration(store: &S3Store, input: PutBucketReplicationInput) -> S3Result<PutBucketReplicationOutput> {
    let connection = store.connection();
    let bucket = buckets::find(&connection, &input.bucket)?;
    if !bucket.versions_are_kept() {
        let message = "Versioning must be 'Enabled' on the bucket to apply a replication configuration";
        return Err(custom("InvalidRequest", StatusCode::BAD_REQUEST, message));
    }
    let value = serde_json::to_value(&input.replication_configuration).map_err(internal)?;
    buckets::set_config(&connection, &bucket, CONFIG, Some(value))?;
    Ok(PutBucketReplicationOutput::default())
}

/// DeleteBucketReplication.
pub fn delete_configuration(store: &S3Store, input: DeleteBucketReplicationInput) -> S3Result<DeleteBucketReplicationOutput> {
    let connection = store.connection();
    let bucket = buckets::find(&connection, &input.bucket)?;
    buckets::set_config(&connection, &bucket, CONFIG, None)?;
    Ok(DeleteBucketReplicationOutput::default())
}

/// The enabled rule that a key falls under.
fn rule(bucket: &Bucket, key: &str) -> Option<ReplicationRule> {
    let configuration: ReplicationConfiguration = serde_json::from_value(bucket.config.get(CONFIG)?.clone()).ok()?;
    configuration.rules.into_iter().find(|rule| {
        let filtered = rule.filter.as_ref().and_then(|filter| filter.prefix.as_deref());
        let prefix = rule.prefix.as_deref().or(filtered).unwrap_or_default();
        rule.status.as_str() == "Enabled" && key.starts_with(prefix)
    })
}

/// What becomes of a write under the bucket's rules.
pub struct Replica {
    destination: Option<Bucket>,
    markers: bool,
}

/// Looks for the rule of `key`; sets the content's status where there is one.
pub fn prepare(connection: &Connection, bucket: &Bucket, key: &str, content: Option<&mut Content>) -> Option<Replica> {
    let rule = rule(bucket, key)?;
    let name = rule.destination.bucket.rsplit(':').next().unwrap_or_default();
    let destination = buckets::find(connection, name).ok().filter(Bucket::versions_are_kept);
    if let Some(content) = content {
        content.meta.replication = Some(if destination.is_some() { "COMPLETED" } else { "FAILED" }.into());
    }
    let markers = rule.delete_marker_replication.and_then(|markers| markers.status).is_some_and(|status| status.as_str() == "Enabled");
    Some(Replica { destination, markers })
}

/// Replicates the delete marker that a deletion added, where the rule says so.
pub fn after_marker(connection: &Connection, bucket: &Bucket, key: &str, deleted: &Deleted, now: i64) -> S3Result<()> {
    let Some(marker) = deleted.version_id.as_deref().filter(|_| deleted.delete_marker) else { return Ok(()) };
    match prepare(connection, bucket, key, None) {
        Some(replica) => replica.write(connection, key, marker, None, now),
        None => Ok(()),
    }
}

impl Replica {
    /// Writes the copy under the version id of the original.
    pub fn write(&self, connection: &Connection, key: &str, version_id: &str, content: Option<&Content>, modified: i64) -> S3Result<()> {
        let Some(destination) = self.destination.as_ref().filter(|_| content.is_some() || self.markers) else { return Ok(()) };
        let mut copy = content.cloned();
        if let Some(copy) = &mut copy {
            copy.meta.replication = Some("REPLICA".into());
        }
        let own = versions::add(connection, destination, key, copy.as_ref(), modified)?;
        let rename = "UPDATE version SET version_id = ?1 WHERE bucket = ?2 AND key = ?3 AND version_id = ?4";
        connection.execute(rename, (version_id, destination.id, key.as_bytes(), own)).map_err(internal)?;
        Ok(())
    }
}
