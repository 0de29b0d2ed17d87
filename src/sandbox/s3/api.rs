//! The store behind s3s's trait: each operation is one call into the file of `ops` that has it.

use s3s::auth::{S3Auth, SecretKey};
use s3s::dto::*;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, S3Request, S3Response, S3Result};

use crate::sandbox::identity;
use crate::sandbox::s3::access_points;
use crate::sandbox::s3::ops::{archive, bucket_config, buckets, copy, delete, list, locks, multipart, read, replication, tags, write};
use crate::sandbox::s3::store::S3Store;

/// S3 over `store`, with signatures checked.
pub fn service(store: S3Store) -> S3Service {
    let mut builder = S3ServiceBuilder::new(Api { store });
    builder.set_auth(Keys);
    builder.set_access(access_points::Rules);
    builder.build()
}

/// The one key pair of the sandbox.
struct Keys;

#[async_trait::async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let secret = identity::secret_of(access_key);
        let unknown = || s3s::s3_error!(InvalidAccessKeyId, "The AWS Access Key Id you provided does not exist in our records.");
        secret.map(SecretKey::from).ok_or_else(unknown)
    }
}

/// The operations.
struct Api {
    store: S3Store,
}

/// Writes the trait's methods: those that stream, and those that only ask the database.
macro_rules! operations {
    (streaming { $($s_name:ident: $s_in:ty => $s_out:ty = $s_call:path;)* } plain { $($name:ident: $in:ty => $out:ty = $call:path;)* }) => {
        #[async_trait::async_trait]
        impl S3 for Api {
            $(async fn $s_name(&self, request: S3Request<$s_in>) -> S3Result<S3Response<$s_out>> {
                $s_call(&self.store, request).await.map(S3Response::new)
            })*
            $(async fn $name(&self, request: S3Request<$in>) -> S3Result<S3Response<$out>> {
                $call(&self.store, request.input).map(S3Response::new)
            })*

            async fn list_object_versions(
                &self,
                request: S3Request<ListObjectVersionsInput>,
            ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
                list::versions(&self.store, request.input)
            }
        }
    };
}

operations! {
    streaming {
        put_object: PutObjectInput => PutObjectOutput = write::put_object;
        get_object: GetObjectInput => GetObjectOutput = read::get_object;
        copy_object: CopyObjectInput => CopyObjectOutput = copy::copy_object;
        upload_part: UploadPartInput => UploadPartOutput = multipart::upload_part;
        upload_part_copy: UploadPartCopyInput => UploadPartCopyOutput = copy::upload_part_copy;
        complete_multipart_upload: CompleteMultipartUploadInput => CompleteMultipartUploadOutput = multipart::complete;
    }
    plain {
        create_bucket: CreateBucketInput => CreateBucketOutput = buckets::create;
        delete_bucket: DeleteBucketInput => DeleteBucketOutput = buckets::delete;
        head_bucket: HeadBucketInput => HeadBucketOutput = buckets::head;
        list_buckets: ListBucketsInput => ListBucketsOutput = buckets::list;
        get_bucket_location: GetBucketLocationInput => GetBucketLocationOutput = buckets::location;
        get_bucket_versioning: GetBucketVersioningInput => GetBucketVersioningOutput = buckets::versioning;
        put_bucket_versioning: PutBucketVersioningInput => PutBucketVersioningOutput = buckets::set_versioning;
        get_bucket_acl: GetBucketAclInput => GetBucketAclOutput = buckets::acl;
        get_bucket_tagging: GetBucketTaggingInput => GetBucketTaggingOutput = bucket_config::tagging;
        put_bucket_tagging: PutBucketTaggingInput => PutBucketTaggingOutput = bucket_config::set_tagging;
        delete_bucket_tagging: DeleteBucketTaggingInput => DeleteBucketTaggingOutput = bucket_config::delete_tagging;
        get_public_access_block: GetPublicAccessBlockInput => GetPublicAccessBlockOutput = bucket_config::public_access_block;
        put_public_access_block: PutPublicAccessBlockInput => PutPublicAccessBlockOutput = bucket_config::set_public_access_block;
        delete_public_access_block: DeletePublicAccessBlockInput => DeletePublicAccessBlockOutput =
            bucket_config::delete_public_access_block;
        get_bucket_encryption: GetBucketEncryptionInput => GetBucketEncryptionOutput = bucket_config::encryption;
        put_bucket_encryption: PutBucketEncryptionInput => PutBucketEncryptionOutput = bucket_config::set_encryption;
        get_bucket_policy: GetBucketPolicyInput => GetBucketPolicyOutput = bucket_config::policy;
        put_bucket_policy: PutBucketPolicyInput => PutBucketPolicyOutput = bucket_config::set_policy;
        delete_bucket_policy: DeleteBucketPolicyInput => DeleteBucketPolicyOutput = bucket_config::delete_policy;
        get_bucket_replication: GetBucketReplicationInput => GetBucketReplicationOutput = replication::configuration;
        put_bucket_replication: PutBucketReplicationInput => PutBucketReplicationOutput = replication::set_configuration;
        delete_bucket_replication: DeleteBucketReplicationInput => DeleteBucketReplicationOutput = replication::delete_configuration;
        restore_object: RestoreObjectInput => RestoreObjectOutput = archive::restore;
        head_object: HeadObjectInput => HeadObjectOutput = read::head_object;
        get_object_attributes: GetObjectAttributesInput => GetObjectAttributesOutput = read::attributes;
        delete_object: DeleteObjectInput => DeleteObjectOutput = delete::delete_object;
        delete_objects: DeleteObjectsInput => DeleteObjectsOutput = delete::delete_objects;
        list_objects: ListObjectsInput => ListObjectsOutput = list::objects_v1;
        list_objects_v2: ListObjectsV2Input => ListObjectsV2Output = list::objects_v2;
        get_object_tagging: GetObjectTaggingInput => GetObjectTaggingOutput = tags::get;
        put_object_tagging: PutObjectTaggingInput => PutObjectTaggingOutput = tags::put;
        delete_object_tagging: DeleteObjectTaggingInput => DeleteObjectTaggingOutput = tags::delete;
        get_object_lock_configuration: GetObjectLockConfigurationInput => GetObjectLockConfigurationOutput = locks::configuration;
        put_object_lock_configuration: PutObjectLockConfigurationInput => PutObjectLockConfigurationOutput = locks::set_configuration;
        get_object_retention: GetObjectRetentionInput => GetObjectRetentionOutput = locks::retention;
        put_object_retention: PutObjectRetentionInput => PutObjectRetentionOutput = locks::set_retention;
        get_object_legal_hold: GetObjectLegalHoldInput => GetObjectLegalHoldOutput = locks::legal_hold;
        put_object_legal_hold: PutObjectLegalHoldInput => PutObjectLegalHoldOutput = locks::set_legal_hold;
        create_multipart_upload: CreateMultipartUploadInput => CreateMultipartUploadOutput = multipart::create;
        abort_multipart_upload: AbortMultipartUploadInput => AbortMultipartUploadOutput = multipart::abort;
        list_parts: ListPartsInput => ListPartsOutput = multipart::list_parts;
        list_multipart_uploads: ListMultipartUploadsInput => ListMultipartUploadsOutput = multipart::list_uploads;
    }
}
