//! DeleteObject and DeleteObjects.

use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Result};

use crate::sandbox::s3::buckets;
use crate::sandbox::s3::errors::internal;
use crate::sandbox::s3::ops::{convert, replication};
use crate::sandbox::s3::store::S3Store;
use crate::sandbox::s3::versions::{self, Conditions};

/// DeleteObject.
pub fn delete_object(store: &S3Store, input: DeleteObjectInput) -> S3Result<DeleteObjectOutput> {
    let connection = store.connection();
    let bucket = buckets::find(&connection, &input.bucket)?;
    let transaction = connection.unchecked_transaction().map_err(internal)?;
    if input.if_match.is_some() {
        let conditions = Conditions { if_match: input.if_match.clone(), if_none_match: None };
        conditions.check(versions::latest(&transaction, &bucket, &input.key)?.as_ref())?;
    }
    let bypass = input.bypass_governance_retention.unwrap_or(false);
    let now = convert::now();
    let deleted = versions::delete(&transaction, &bucket, &input.key, input.version_id.as_deref(), bypass, now)?;
    if input.version_id.is_none() {
        replication::after_marker(&transaction, &bucket, &input.key, &deleted, now)?;
    }
    transaction.commit().map_err(internal)?;
    Ok(DeleteObjectOutput { delete_marker: deleted.delete_marker.then_some(true), version_id: deleted.version_id, ..Default::default() })
}

/// DeleteObjects: each on its own, and what fails is told beside what went well.
pub fn delete_objects(store: &S3Store, input: DeleteObjectsInput) -> S3Result<DeleteObjectsOutput> {
    let asked = input.delete.objects;
    if asked.is_empty() || asked.len() > 1000 {
        let message = "The XML you provided was not well-formed or did not validate against our published schema";
        return Err(S3Error::with_message(S3ErrorCode::MalformedXML, message));
    }
    let connection = store.connection();
    let bucket = buckets::find(&connection, &input.bucket)?;
    let bypass = input.bypass_governance_retention.unwrap_or(false);
    let quiet = input.delete.quiet.unwrap_or(false);
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    let transaction = connection.unchecked_transaction().map_err(internal)?;
    let now = convert::now();
    for object in asked {
        match versions::delete(&transaction, &bucket, &object.key, object.version_id.as_deref(), bypass, now) {
            Ok(done) => {
                if object.version_id.is_none() {
                    replication::after_marker(&transaction, &bucket, &object.key, &done, now)?;
                }
                if quiet {
                    continue;
                }
                deleted.push(DeletedObject {
                    delete_marker: done.delete_marker.then_some(true),
                    delete_marker_version_id: done.version_id.clone().filter(|_| done.delete_marker),
                    key: Some(object.key),
                    version_id: object.version_id,
                });
            }
            Err(error) => errors.push(Error {
                code: Some(error.code().as_str().to_owned()),
                key: Some(object.key),
                message: error.message().map(str::to_owned),
                version_id: object.version_id,
            }),
        }
    }
    transaction.commit().map_err(internal)?;
    Ok(DeleteObjectsOutput { deleted: Some(deleted), errors: (!errors.is_empty()).then_some(errors), ..Default::default() })
}
