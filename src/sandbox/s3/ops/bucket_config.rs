//! The small configurations of a bucket: tags, public access block, encryption, policy.

use http::StatusCode;
use s3s::dto::*;
use s3s::{S3Error, S3Result};
use serde::de::DeserializeOwned;

use crate::sandbox::s3::buckets;
use crate::sandbox::s3::errors::{custom, internal};
use crate::sandbox::s3::ops::convert;
use crate::sandbox::s3::store::S3Store;

fn get<T: DeserializeOwned>(store: &S3Store, bucket: &str, name: &str, absent: impl FnOnce() -> S3Error) -> S3Result<T> {
    let bucket = buckets::find(&store.connection(), bucket)?;
    let value = bucket.config.get(name).cloned().ok_or_else(absent)?;
    serde_json::from_value(value).map_err(internal)
}

fn set(store: &S3Store, bucket: &str, name: &str, value: Option<&impl serde::Serialize>) -> S3Result<()> {
    let connection = store.connection();
    let bucket = buckets::find(&connection, bucket)?;
    let value = value.map(serde_json::to_value).transpose().map_err(internal)?;
    buckets::set_config(&connection, &bucket, name, value)
}

fn remove(store: &S3Store, bucket: &str, name: &str) -> S3Result<()> {
    set(store, bucket, name, None::<&()>)
}

const TAGGING: &str = "tagging";
const PUBLIC_ACCESS_BLOCK: &str = "public_access_block";
/// The name of the bucket's encryption.
pub const ENCRYPTION: &str = "encryption";
const POLICY: &str = "policy";

/// GetBucketTagging.
pub fn tagging(store: &S3Store, input: GetBucketTaggingInput) -> S3Result<GetBucketTaggingOutput> {
    let absent = || custom("NoSuchTagSet", StatusCode::NOT_FOUND, "The TagSet does not exist");
    let tags = get(store, &input.bucket, TAGGING, absent)?;
    Ok(GetBucketTaggingOutput { tag_set: convert::tag_set(&tags) })
}

/// PutBucketTagging.
pub fn set_tagging(store: &S3Store, input: PutBucketTaggingInput) -> S3Result<PutBucketTaggingOutput> {
    let pairs = input.tagging.tag_set.into_iter().map(|tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default()));
    let tags = convert::checked_tags(pairs, 50)?;
    set(store, &input.bucket, TAGGING, Some(&tags))?;
    Ok(PutBucketTaggingOutput {})
}

/// DeleteBucketTagging.
pub fn delete_tagging(store: &S3Store, input: DeleteBucketTaggingInput) -> S3Result<DeleteBucketTaggingOutput> {
    remove(store, &input.bucket, TAGGING)?;
    Ok(DeleteBucketTaggingOutput {})
}

/// GetPublicAccessBlock. Since April 2023 S3 blocks public access to every new bucket, so a bucket without a setting says so.
pub fn public_access_block(store: &S3Store, input: GetPublicAccessBlockInput) -> S3Result<GetPublicAccessBlockOutput> {
    let bucket = buckets::find(&store.connection(), &input.bucket)?;
    let configuration = match bucket.config.get(PUBLIC_ACCESS_BLOCK) {
        Some(serde_json::Value::Null) => {
            let message = "The public access block configuration was not found";
            return Err(custom("NoSuchPublicAccessBlockConfiguration", StatusCode::NOT_FOUND, message));
        }
        Some(value) => serde_json::from_value(value.clone()).map_err(internal)?,
        None => PublicAccessBlockConfiguration {
            block_public_acls: Some(true),
            block_public_policy: Some(true),
            ignore_public_acls: Some(true),
            restrict_public_buckets: Some(true),
        },
    };
    Ok(GetPublicAccessBlockOutput { public_access_block_configuration: Some(configuration) })
}

/// PutPublicAccessBlock.
pub fn set_public_access_block(store: &S3Store, input: PutPublicAccessBlockInput) -> S3Result<PutPublicAccessBlockOutput> {
    set(store, &input.bucket, PUBLIC_ACCESS_BLOCK, Some(&input.public_access_block_configuration))?;
    Ok(PutPublicAccessBlockOutput {})
}

/// DeletePublicAccessBlock: from then on there is none.
pub fn delete_public_access_block(store: &S3Store, input: DeletePublicAccessBlockInput) -> S3Result<DeletePublicAccessBlockOutput> {
    set(store, &input.bucket, PUBLIC_ACCESS_BLOCK, Some(&serde_json::Value::Null))?;
    Ok(DeletePublicAccessBlockOutput {})
}

/// GetBucketEncryption: SSE-S3 where nothing was set, as S3 has it since January 2023.
pub fn encryption(store: &S3Store, input: GetBucketEncryptionInput) -> S3Result<GetBucketEncryptionOutput> {
    let bucket = buckets::find(&store.connection(), &input.bucket)?;
    let configuration = match bucket.config.get(ENCRYPTION) {
        Some(value) => serde_json::from_value(value.clone()).map_err(internal)?,
        None => {
            let by_default = ServerSideEncryptionByDefault {
                kms_master_key_id: None,
                sse_algorithm: ServerSideEncryption::from_static(ServerSideEncryption::AES256),
            };
            let rule =
                ServerSideEncryptionRule { apply_server_side_encryption_by_default: Some(by_default), bucket_key_enabled: Some(false) };
            ServerSideEncryptionConfiguration { rules: vec![rule] }
        }
    };
    Ok(GetBucketEncryptionOutput { server_side_encryption_configuration: Some(configuration) })
}

/// PutBucketEncryption: kept and told, nothing is encrypted.
pub fn set_encryption(store: &S3Store, input: PutBucketEncryptionInput) -> S3Result<PutBucketEncryptionOutput> {
    set(store, &input.bucket, ENCRYPTION, Some(&input.server_side_encryption_configuration))?;
    Ok(PutBucketEncryptionOutput {})
}

/// GetBucketPolicy.
pub fn policy(store: &S3Store, input: GetBucketPolicyInput) -> S3Result<GetBucketPolicyOutput> {
    let absent = || custom("NoSuchBucketPolicy", StatusCode::NOT_FOUND, "The bucket policy does not exist");
    Ok(GetBucketPolicyOutput { policy: Some(get(store, &input.bucket, POLICY, absent)?) })
}

/// PutBucketPolicy: kept and told, not enforced.
pub fn set_policy(store: &S3Store, input: PutBucketPolicyInput) -> S3Result<PutBucketPolicyOutput> {
    if serde_json::from_str::<serde_json::Value>(&input.policy).is_err() {
        return Err(custom("MalformedPolicy", StatusCode::BAD_REQUEST, "Policies must be valid JSON and the first byte must be '{'"));
    }
    set(store, &input.bucket, POLICY, Some(&input.policy))?;
    Ok(PutBucketPolicyOutput {})
}

/// DeleteBucketPolicy.
pub fn delete_policy(store: &S3Store, input: DeleteBucketPolicyInput) -> S3Result<DeleteBucketPolicyOutput> {
    remove(store, &input.bucket, POLICY)?;
    Ok(DeleteBucketPolicyOutput {})
}
