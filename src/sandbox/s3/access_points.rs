//! What an access point on a recovery point of AWS Backup answers: a bucket under its alias that can only be read, and is no bucket to anybody else.
//!
//! Which calls there are is the table of the AWS Backup developer guide, "Access points", Supported S3 operations; S3 answers the others with 405.
//! Not here: making one and taking it away, which is AWS Backup's.

use s3s::access::{S3Access, S3AccessContext};
use s3s::path::S3Path;
use s3s::{S3Error, S3ErrorCode, S3Result};

use crate::model::failure::{Failure, FailureKind};
use crate::sandbox::s3::buckets;
use crate::sandbox::s3::snapshot::{SnapshotId, Versions};
use crate::sandbox::s3::store::{S3Store, broken};

/// What aliases end with; no bucket may have such a name.
pub const SUFFIX: &str = "-ext-s3alias";

const OPERATIONS: &[&str] = &[
    "GetObject",
    "HeadObject",
    "GetObjectAttributes",
    "GetObjectTagging",
    "GetBucketLocation",
    "ListObjects",
    "ListObjectsV2",
    "ListObjectVersions",
];

/// Who may do what: signed requests everything, of aliases only reading.
pub struct Rules;

#[async_trait::async_trait]
impl S3Access for Rules {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        if context.credentials().is_none() {
            return Err(S3Error::with_message(S3ErrorCode::AccessDenied, "Signature is required"));
        }
        let (S3Path::Bucket { bucket } | S3Path::Object { bucket, .. }) = context.s3_path() else { return Ok(()) };
        if !bucket.ends_with(SUFFIX) || OPERATIONS.contains(&context.s3_op().name()) {
            return Ok(());
        }
        Err(S3Error::with_message(S3ErrorCode::MethodNotAllowed, "The specified method is not allowed against this resource."))
    }
}

impl S3Store {
    /// Shows what a snapshot holds under `alias`, as it was when the second `until` was over. Once more after a crash is no error.
    pub fn show(&self, snapshot: &SnapshotId, alias: &str, until: i64) -> Result<(), Failure> {
        self.hide(alias)?;
        let said = |error: S3Error| Failure::new(FailureKind::Remote, format!("cannot show {alias}: {error}"));
        {
            let connection = self.connection();
            buckets::create(&connection, alias, crate::sandbox::control::answer::now().timestamp(), false).map_err(said)?;
            let made = buckets::find(&connection, alias).map_err(said)?;
            buckets::set_versioning(&connection, &made, "Enabled").map_err(said)?;
        }
        self.restore_until(snapshot, alias, Versions::All, until).map(drop)
    }

    /// Takes an alias away, with what it shows; one that is not there is no error.
    pub fn hide(&self, alias: &str) -> Result<(), Failure> {
        let connection = self.connection();
        let hide = || -> rusqlite::Result<()> {
            let transaction = connection.unchecked_transaction()?;
            transaction.execute("DELETE FROM version WHERE bucket IN (SELECT id FROM bucket WHERE name = ?1)", [alias])?;
            transaction.execute("DELETE FROM bucket WHERE name = ?1", [alias])?;
            transaction.commit()
        };
        hide().map_err(broken)
    }
}
