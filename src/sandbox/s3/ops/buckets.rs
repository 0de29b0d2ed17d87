//! Operations on buckets themselves.

use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Result};

use crate::sandbox::identity;
use crate::sandbox::s3::access_points;
use crate::sandbox::s3::buckets;
use crate::sandbox::s3::ops::convert;
use crate::sandbox::s3::store::S3Store;

/// CreateBucket.
pub fn create(store: &S3Store, input: CreateBucketInput) -> S3Result<CreateBucketOutput> {
    let constraint = input.create_bucket_configuration.as_ref().and_then(|config| config.location_constraint.as_ref());
    if constraint.is_some_and(|constraint| constraint.as_str() != identity::REGION) {
        let message = "The specified location-constraint is not valid";
        return Err(S3Error::with_message(S3ErrorCode::InvalidLocationConstraint, message));
    }
    if input.bucket.ends_with(access_points::SUFFIX) {
        return Err(S3Error::with_message(S3ErrorCode::InvalidBucketName, "The specified bucket is not valid."));
    }
    let object_lock = input.object_lock_enabled_for_bucket.unwrap_or(false);
    buckets::create(&store.connection(), &input.bucket, convert::now(), object_lock)?;
    Ok(CreateBucketOutput { location: Some(format!("/{}", input.bucket)) })
}

/// DeleteBucket.
pub fn delete(store: &S3Store, input: DeleteBucketInput) -> S3Result<DeleteBucketOutput> {
    buckets::delete(&store.connection(), &input.bucket)?;
    Ok(DeleteBucketOutput {})
}

/// HeadBucket.
pub fn head(store: &S3Store, input: HeadBucketInput) -> S3Result<HeadBucketOutput> {
    buckets::find(&store.connection(), &input.bucket)?;
    Ok(HeadBucketOutput { bucket_region: Some(identity::REGION.into()), ..Default::default() })
}

/// ListBuckets: by name, in pages where the client asks for them.
pub fn list(store: &S3Store, input: ListBucketsInput) -> S3Result<ListBucketsOutput> {
    let after = input.continuation_token.clone().unwrap_or_default();
    let prefix = input.prefix.clone().unwrap_or_default();
    let most = input.max_buckets.and_then(|most| usize::try_from(most).ok()).unwrap_or(10_000);
    let wrong_region = input.bucket_region.as_ref().is_some_and(|region| region.as_str() != identity::REGION);
    let mut found = buckets::all(&store.connection())?;
    found.retain(|bucket| {
        !wrong_region && !bucket.name.ends_with(access_points::SUFFIX) && bucket.name > after && bucket.name.starts_with(&prefix)
    });
    let more = found.len() > most;
    found.truncate(most);
    let continuation_token = more.then(|| found.last().map(|bucket| bucket.name.clone())).flatten();
    let told = found.into_iter().map(|bucket| Bucket {
        bucket_region: Some(identity::REGION.into()),
        creation_date: Some(convert::timestamp(bucket.created)),
        name: Some(bucket.name),
    });
    Ok(ListBucketsOutput { buckets: Some(told.collect()), continuation_token, owner: Some(convert::owner()), prefix: input.prefix })
}

/// GetBucketLocation.
pub fn location(store: &S3Store, input: GetBucketLocationInput) -> S3Result<GetBucketLocationOutput> {
    buckets::find(&store.connection(), &input.bucket)?;
    Ok(GetBucketLocationOutput { location_constraint: Some(BucketLocationConstraint::from(identity::REGION.to_owned())) })
}

/// GetBucketVersioning.
pub fn versioning(store: &S3Store, input: GetBucketVersioningInput) -> S3Result<GetBucketVersioningOutput> {
    let bucket = buckets::find(&store.connection(), &input.bucket)?;
    Ok(GetBucketVersioningOutput { status: bucket.versioning.map(BucketVersioningStatus::from), ..Default::default() })
}

/// PutBucketVersioning.
pub fn set_versioning(store: &S3Store, input: PutBucketVersioningInput) -> S3Result<PutBucketVersioningOutput> {
    let connection = store.connection();
    let bucket = buckets::find(&connection, &input.bucket)?;
    let status = input.versioning_configuration.status.as_ref().map(BucketVersioningStatus::as_str);
    match status {
        Some(status @ ("Enabled" | "Suspended")) => buckets::set_versioning(&connection, &bucket, status)?,
        _ => {
            let message = "The XML you provided was not well-formed or did not validate against our published schema";
            return Err(S3Error::with_message(S3ErrorCode::MalformedXML, message));
        }
    }
    Ok(PutBucketVersioningOutput {})
}

/// GetBucketAcl: the owner alone, always.
pub fn acl(store: &S3Store, input: GetBucketAclInput) -> S3Result<GetBucketAclOutput> {
    buckets::find(&store.connection(), &input.bucket)?;
    let owner = convert::owner();
    let grantee = Grantee {
        display_name: owner.display_name.clone(),
        id: owner.id.clone(),
        type_: Type::from_static(Type::CANONICAL_USER),
        email_address: None,
        uri: None,
    };
    let grant = Grant { grantee: Some(grantee), permission: Some(Permission::from_static(Permission::FULL_CONTROL)) };
    Ok(GetBucketAclOutput { grants: Some(vec![grant]), owner: Some(owner) })
}
