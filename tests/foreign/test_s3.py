"""boto3 against the sandbox's S3, operation by operation.

Endpoint, keys and Region come from the environment that `attestore sandbox serve` prints.
"""

import base64
import hashlib
import io
import unittest
import urllib.request
from datetime import datetime, timedelta, timezone

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

S3 = boto3.client("s3", config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}))
MIB = 1 << 20


def code(call, **arguments):
    """The error code that a call ends with."""
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"]
    raise AssertionError("the call went well")


class WithBucket(unittest.TestCase):
    """A fresh bucket for each test."""

    count = 0

    def setUp(self):
        WithBucket.count += 1
        self.bucket = f"bucket-{WithBucket.count:04}"
        S3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-2"})

    def version(self, status="Enabled"):
        S3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": status})

    def put(self, key, body=b"x", **more):
        return S3.put_object(Bucket=self.bucket, Key=key, Body=body, **more)

    def get(self, key, **more):
        return S3.get_object(Bucket=self.bucket, Key=key, **more)["Body"].read()


class Buckets(WithBucket):
    def test_create_bucket(self):
        self.assertEqual(code(S3.create_bucket, Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-2"}), "BucketAlreadyOwnedByYou")
        self.assertEqual(code(S3.create_bucket, Bucket="elsewhere", CreateBucketConfiguration={"LocationConstraint": "us-west-1"}), "InvalidLocationConstraint")

    def test_head_bucket(self):
        self.assertEqual(S3.head_bucket(Bucket=self.bucket)["BucketRegion"], "eu-west-2")
        self.assertEqual(code(S3.head_bucket, Bucket="absent-bucket"), "404")

    def test_list_buckets(self):
        self.assertIn(self.bucket, [bucket["Name"] for bucket in S3.list_buckets()["Buckets"]])
        page = S3.list_buckets(Prefix=self.bucket, MaxBuckets=1)
        self.assertEqual([bucket["Name"] for bucket in page["Buckets"]], [self.bucket])

    def test_get_bucket_location(self):
        self.assertEqual(S3.get_bucket_location(Bucket=self.bucket)["LocationConstraint"], "eu-west-2")

    def test_delete_bucket(self):
        self.put("k")
        self.assertEqual(code(S3.delete_bucket, Bucket=self.bucket), "BucketNotEmpty")
        S3.delete_object(Bucket=self.bucket, Key="k")
        S3.delete_bucket(Bucket=self.bucket)
        self.assertEqual(code(S3.delete_bucket, Bucket=self.bucket), "NoSuchBucket")

    def test_bucket_versioning(self):
        self.assertNotIn("Status", S3.get_bucket_versioning(Bucket=self.bucket))
        self.version()
        self.assertEqual(S3.get_bucket_versioning(Bucket=self.bucket)["Status"], "Enabled")
        self.version("Suspended")
        self.assertEqual(S3.get_bucket_versioning(Bucket=self.bucket)["Status"], "Suspended")

    def test_bucket_tagging(self):
        self.assertEqual(code(S3.get_bucket_tagging, Bucket=self.bucket), "NoSuchTagSet")
        tags = [{"Key": "attestore:drill", "Value": "d-1"}]
        S3.put_bucket_tagging(Bucket=self.bucket, Tagging={"TagSet": tags})
        self.assertEqual(S3.get_bucket_tagging(Bucket=self.bucket)["TagSet"], tags)
        S3.delete_bucket_tagging(Bucket=self.bucket)
        self.assertEqual(code(S3.get_bucket_tagging, Bucket=self.bucket), "NoSuchTagSet")

    def test_public_access_block(self):
        self.assertTrue(S3.get_public_access_block(Bucket=self.bucket)["PublicAccessBlockConfiguration"]["BlockPublicAcls"])
        block = {"BlockPublicAcls": False, "IgnorePublicAcls": True, "BlockPublicPolicy": True, "RestrictPublicBuckets": True}
        S3.put_public_access_block(Bucket=self.bucket, PublicAccessBlockConfiguration=block)
        self.assertEqual(S3.get_public_access_block(Bucket=self.bucket)["PublicAccessBlockConfiguration"], block)
        S3.delete_public_access_block(Bucket=self.bucket)
        self.assertEqual(code(S3.get_public_access_block, Bucket=self.bucket), "NoSuchPublicAccessBlockConfiguration")

    def test_bucket_encryption(self):
        rule = S3.get_bucket_encryption(Bucket=self.bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
        self.assertEqual(rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"], "AES256")
        wanted = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/k"}, "BucketKeyEnabled": True}]}
        S3.put_bucket_encryption(Bucket=self.bucket, ServerSideEncryptionConfiguration=wanted)
        self.assertEqual(S3.get_bucket_encryption(Bucket=self.bucket)["ServerSideEncryptionConfiguration"], wanted)

    def test_bucket_policy_and_acl(self):
        self.assertEqual(code(S3.get_bucket_policy, Bucket=self.bucket), "NoSuchBucketPolicy")
        S3.put_bucket_policy(Bucket=self.bucket, Policy="{}")
        self.assertEqual(S3.get_bucket_policy(Bucket=self.bucket)["Policy"], "{}")
        self.assertEqual(S3.get_bucket_acl(Bucket=self.bucket)["Grants"][0]["Permission"], "FULL_CONTROL")


class Objects(WithBucket):
    def test_put_and_get_object(self):
        body = bytes(range(256)) * 1000
        put = self.put("k", body, Metadata={"a": "b"}, ContentType="text/plain")
        self.assertEqual(put["ETag"], f'"{hashlib.md5(body).hexdigest()}"')
        got = S3.get_object(Bucket=self.bucket, Key="k")
        self.assertEqual((got["Body"].read(), got["Metadata"], got["ContentType"]), (body, {"a": "b"}, "text/plain"))
        self.assertLess(abs(datetime.now(timezone.utc) - got["LastModified"]), timedelta(minutes=5))
        self.assertEqual(code(S3.get_object, Bucket=self.bucket, Key="absent"), "NoSuchKey")
        self.assertEqual(code(S3.get_object, Bucket="absent-bucket", Key="k"), "NoSuchBucket")

    def test_head_object(self):
        self.put("k", b"12345")
        self.assertEqual(S3.head_object(Bucket=self.bucket, Key="k")["ContentLength"], 5)
        self.assertEqual(code(S3.head_object, Bucket=self.bucket, Key="absent"), "404")

    def test_ranges(self):
        self.put("k", b"0123456789")
        self.assertEqual(self.get("k", Range="bytes=2-4"), b"234")
        self.assertEqual(self.get("k", Range="bytes=-3"), b"789")
        self.assertEqual(self.get("k", Range="bytes=8-"), b"89")
        self.assertEqual(code(S3.get_object, Bucket=self.bucket, Key="k", Range="bytes=10-"), "InvalidRange")

    def test_conditions(self):
        etag = self.put("k", IfNoneMatch="*")["ETag"]
        self.assertEqual(code(self.put, key="k", IfNoneMatch="*"), "PreconditionFailed")
        self.put("k", IfMatch=etag)
        self.assertEqual(code(S3.get_object, Bucket=self.bucket, Key="k", IfMatch='"00"'), "PreconditionFailed")
        self.assertEqual(code(S3.get_object, Bucket=self.bucket, Key="k", IfNoneMatch=etag), "304")
        self.assertEqual(code(S3.head_object, Bucket=self.bucket, Key="k", IfModifiedSince=datetime.now(timezone.utc) + timedelta(1)), "304")

    def test_checksums(self):
        for algorithm in ["CRC32", "SHA1", "SHA256"]:
            put = self.put("k", b"123456789", ChecksumAlgorithm=algorithm)
            head = S3.head_object(Bucket=self.bucket, Key="k", ChecksumMode="ENABLED")
            self.assertEqual(head[f"Checksum{algorithm}"], put[f"Checksum{algorithm}"])
            self.assertEqual(head["ChecksumType"], "FULL_OBJECT")
        right = base64.b64encode(hashlib.sha256(b"x").digest()).decode()
        self.put("k", b"x", ChecksumSHA256=right)
        self.assertEqual(code(self.put, key="k", body=b"y", ChecksumSHA256=right), "BadDigest")

    def test_a_stream_without_a_length_goes_in_chunks(self):
        # boto3 signs a stream in chunks with a trailing checksum.
        self.put("k", io.BytesIO(b"z" * (3 * MIB)))
        self.assertEqual(self.get("k"), b"z" * (3 * MIB))

    def test_odd_keys(self):
        keys = ["a b", "a+b", "a%2Bb", "a/../b", "/leading", "new\nline", "é/日本", "q?x=1&y#z", "'\"<&>"]
        for key in keys:
            self.put(key, key.encode())
        listed = S3.list_objects_v2(Bucket=self.bucket)["Contents"]
        self.assertEqual([entry["Key"] for entry in listed], sorted(keys, key=str.encode))
        for key in keys:
            self.assertEqual(self.get(key), key.encode())

    def test_copy_object(self):
        self.put("from +", b"copied", Metadata={"a": "b"})
        copied = S3.copy_object(Bucket=self.bucket, Key="to", CopySource={"Bucket": self.bucket, "Key": "from +"})
        self.assertEqual(copied["CopyObjectResult"]["ETag"], S3.head_object(Bucket=self.bucket, Key="to")["ETag"])
        self.assertEqual(self.get("to"), b"copied")
        self.assertEqual(code(S3.copy_object, Bucket=self.bucket, Key="to", CopySource={"Bucket": self.bucket, "Key": "absent"}), "NoSuchKey")

    def test_delete_object_and_objects(self):
        for key in ["a", "b", "c"]:
            self.put(key)
        S3.delete_object(Bucket=self.bucket, Key="a")
        S3.delete_object(Bucket=self.bucket, Key="a")
        deleted = S3.delete_objects(Bucket=self.bucket, Delete={"Objects": [{"Key": "b"}, {"Key": "c"}, {"Key": "absent"}]})
        self.assertEqual(len(deleted["Deleted"]), 3)
        self.assertNotIn("Contents", S3.list_objects_v2(Bucket=self.bucket))

    def test_object_tagging(self):
        self.put("k", Tagging="a=1")
        self.assertEqual(S3.get_object_tagging(Bucket=self.bucket, Key="k")["TagSet"], [{"Key": "a", "Value": "1"}])
        S3.put_object_tagging(Bucket=self.bucket, Key="k", Tagging={"TagSet": [{"Key": "b", "Value": "2"}]})
        self.assertEqual(S3.get_object(Bucket=self.bucket, Key="k")["TagCount"], 1)
        S3.delete_object_tagging(Bucket=self.bucket, Key="k")
        self.assertEqual(S3.get_object_tagging(Bucket=self.bucket, Key="k")["TagSet"], [])
        twelve = {"TagSet": [{"Key": str(n), "Value": ""} for n in range(12)]}
        self.assertEqual(code(S3.put_object_tagging, Bucket=self.bucket, Key="k", Tagging=twelve), "BadRequest")

    def test_get_object_attributes(self):
        self.put("k", b"12345", ChecksumAlgorithm="SHA256")
        found = S3.get_object_attributes(Bucket=self.bucket, Key="k", ObjectAttributes=["ETag", "Checksum", "ObjectSize", "StorageClass"])
        self.assertEqual((found["ObjectSize"], found["StorageClass"]), (5, "STANDARD"))
        self.assertEqual(found["Checksum"]["ChecksumSHA256"], base64.b64encode(hashlib.sha256(b"12345").digest()).decode())

    def test_storage_class(self):
        self.put("k", StorageClass="GLACIER")
        self.assertEqual(S3.head_object(Bucket=self.bucket, Key="k")["StorageClass"], "GLACIER")
        self.assertEqual(code(S3.get_object, Bucket=self.bucket, Key="k"), "InvalidObjectState")
        self.assertEqual(S3.list_objects_v2(Bucket=self.bucket)["Contents"][0]["StorageClass"], "GLACIER")

    def test_server_side_encryption(self):
        self.put("kms", ServerSideEncryption="aws:kms", SSEKMSKeyId="k1")
        head = S3.head_object(Bucket=self.bucket, Key="kms")
        self.assertEqual((head["ServerSideEncryption"], head["SSEKMSKeyId"].rsplit("/", 1)[-1]), ("aws:kms", "k1"))
        self.assertNotEqual(head["ETag"], f'"{hashlib.md5(b"x").hexdigest()}"')
        key = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "7" * 32}
        self.put("own", **key)
        self.assertEqual(code(S3.get_object, Bucket=self.bucket, Key="own"), "InvalidRequest")
        self.assertEqual(code(S3.get_object, Bucket=self.bucket, Key="own", **{**key, "SSECustomerKey": "8" * 32}), "AccessDenied")
        self.assertEqual(code(S3.get_object, Bucket=self.bucket, Key="kms", **key), "InvalidRequest")
        self.assertEqual(self.get("own", **key), b"x")
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "k2"}}
        S3.put_bucket_encryption(Bucket=self.bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
        self.assertIn("k2", self.put("later")["SSEKMSKeyId"])

    def test_archived_classes_and_restore_object(self):
        self.put("cold", b"ice", StorageClass="GLACIER")
        self.assertEqual(code(S3.get_object, Bucket=self.bucket, Key="cold"), "InvalidObjectState")
        request = {"Days": 1, "GlacierJobParameters": {"Tier": "Bulk"}}
        S3.restore_object(Bucket=self.bucket, Key="cold", RestoreRequest=request)
        self.assertIn('ongoing-request="true"', S3.head_object(Bucket=self.bucket, Key="cold")["Restore"])
        self.assertEqual(code(S3.restore_object, Bucket=self.bucket, Key="cold", RestoreRequest=request), "RestoreAlreadyInProgress")
        self.put("colder", b"ice", StorageClass="DEEP_ARCHIVE")
        S3.restore_object(Bucket=self.bucket, Key="colder", RestoreRequest={"Days": 1, "GlacierJobParameters": {"Tier": "Expedited"}})
        self.assertIn('ongoing-request="false"', S3.head_object(Bucket=self.bucket, Key="colder")["Restore"])
        self.assertEqual(self.get("colder"), b"ice")
        self.put("warm")
        self.assertEqual(code(S3.restore_object, Bucket=self.bucket, Key="warm", RestoreRequest=request), "InvalidObjectState")

    def test_presigned_url(self):
        self.put("a key", b"presigned")
        url = S3.generate_presigned_url("get_object", Params={"Bucket": self.bucket, "Key": "a key"})
        with urllib.request.urlopen(url) as answer:
            self.assertEqual(answer.read(), b"presigned")


class Listings(WithBucket):
    def test_list_objects_v2_pages(self):
        keys = [f"k/{number:03}" for number in range(25)]
        for key in keys:
            self.put(key)
        pages = S3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, PaginationConfig={"PageSize": 7})
        self.assertEqual([entry["Key"] for page in pages for entry in page["Contents"]], keys)
        pages = S3.get_paginator("list_objects").paginate(Bucket=self.bucket, PaginationConfig={"PageSize": 7})
        self.assertEqual([entry["Key"] for page in pages for entry in page["Contents"]], keys)

    def test_delimiter(self):
        for key in ["a/1", "a/2", "b", "c d/3"]:
            self.put(key)
        for call in [S3.list_objects_v2, S3.list_objects, S3.list_object_versions]:
            page = call(Bucket=self.bucket, Delimiter="/")
            self.assertEqual([entry["Prefix"] for entry in page["CommonPrefixes"]], ["a/", "c d/"])
        page = S3.list_objects_v2(Bucket=self.bucket, Delimiter="/", Prefix="a/")
        self.assertEqual(page["KeyCount"], 2)

    def test_list_object_versions_pages(self):
        self.version()
        expected = []
        for key in ["a", "b+", "c\n"]:
            expected += reversed([(key, self.put(key, str(number).encode())["VersionId"]) for number in range(4)])
        pages = S3.get_paginator("list_object_versions").paginate(Bucket=self.bucket, PaginationConfig={"PageSize": 3})
        self.assertEqual([(entry["Key"], entry["VersionId"]) for page in pages for entry in page["Versions"]], expected)


class Versions(WithBucket):
    def test_versions_and_markers(self):
        self.version()
        one, two = self.put("k", b"one")["VersionId"], self.put("k", b"two")["VersionId"]
        marker = S3.delete_object(Bucket=self.bucket, Key="k")
        self.assertTrue(marker["DeleteMarker"])
        self.assertEqual(code(S3.get_object, Bucket=self.bucket, Key="k"), "NoSuchKey")
        self.assertEqual(code(S3.get_object, Bucket=self.bucket, Key="k", VersionId=marker["VersionId"]), "MethodNotAllowed")
        self.assertEqual((self.get("k", VersionId=one), self.get("k", VersionId=two)), (b"one", b"two"))
        S3.delete_object(Bucket=self.bucket, Key="k", VersionId=marker["VersionId"])
        S3.delete_object(Bucket=self.bucket, Key="k", VersionId=two)
        self.assertEqual(self.get("k"), b"one")
        self.assertEqual(code(S3.get_object, Bucket=self.bucket, Key="k", VersionId=two), "NoSuchVersion")

    def test_null_versions(self):
        self.put("k", b"before")
        self.version()
        self.put("k", b"kept")
        self.version("Suspended")
        self.assertEqual(self.put("k", b"after")["VersionId"], "null")
        self.assertEqual(len(S3.list_object_versions(Bucket=self.bucket)["Versions"]), 2)
        self.assertEqual(self.get("k", VersionId="null"), b"after")

    def replicate(self, destination, prefix="", markers="Disabled"):
        rule = {"ID": "r", "Status": "Enabled", "Priority": 1, "Filter": {"Prefix": prefix}, "DeleteMarkerReplication": {"Status": markers},
                "Destination": {"Bucket": f"arn:aws:s3:::{destination}"}}
        configuration = {"Role": "arn:aws:iam::111122223333:role/r", "Rules": [rule]}
        S3.put_bucket_replication(Bucket=self.bucket, ReplicationConfiguration=configuration)
        return configuration

    def test_replication(self):
        self.assertEqual(code(S3.get_bucket_replication, Bucket=self.bucket), "ReplicationConfigurationNotFoundError")
        self.assertEqual(code(self.replicate, destination="x"), "InvalidRequest")
        self.version()
        replica = f"{self.bucket}-replica"
        S3.create_bucket(Bucket=replica, CreateBucketConfiguration={"LocationConstraint": "eu-west-2"})
        self.replicate(replica, "in/")
        self.assertEqual(S3.get_bucket_replication(Bucket=self.bucket)["ReplicationConfiguration"]["Rules"][0]["Filter"], {"Prefix": "in/"})
        self.put("in/failed")
        self.assertEqual(S3.head_object(Bucket=self.bucket, Key="in/failed")["ReplicationStatus"], "FAILED")
        S3.put_bucket_versioning(Bucket=replica, VersioningConfiguration={"Status": "Enabled"})
        put = self.put("in/a", b"one", Metadata={"a": "b"}, Tagging="t=1")
        self.put("out/b")
        self.assertEqual(S3.head_object(Bucket=self.bucket, Key="in/a")["ReplicationStatus"], "COMPLETED")
        self.assertNotIn("ReplicationStatus", S3.head_object(Bucket=self.bucket, Key="out/b"))
        copy = S3.head_object(Bucket=replica, Key="in/a")
        self.assertEqual((copy["ReplicationStatus"], copy["VersionId"], copy["Metadata"]), ("REPLICA", put["VersionId"], {"a": "b"}))
        S3.delete_object(Bucket=self.bucket, Key="in/a")
        self.assertEqual([one["Key"] for one in S3.list_objects_v2(Bucket=replica)["Contents"]], ["in/a"])
        self.replicate(replica, "in/", "Enabled")
        S3.delete_object(Bucket=self.bucket, Key="in/a")
        self.assertEqual(S3.list_objects_v2(Bucket=replica)["KeyCount"], 0)
        S3.delete_bucket_replication(Bucket=self.bucket)
        self.assertEqual(code(S3.get_bucket_replication, Bucket=self.bucket), "ReplicationConfigurationNotFoundError")

    def test_object_lock(self):
        S3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
        rule = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}}
        S3.put_object_lock_configuration(Bucket="locked", ObjectLockConfiguration=rule)
        self.assertEqual(S3.get_object_lock_configuration(Bucket="locked")["ObjectLockConfiguration"], rule)
        version = S3.put_object(Bucket="locked", Key="k")["VersionId"]
        self.assertEqual(S3.get_object_retention(Bucket="locked", Key="k")["Retention"]["Mode"], "COMPLIANCE")
        self.assertEqual(code(S3.delete_object, Bucket="locked", Key="k", VersionId=version), "AccessDenied")
        soon = {"Mode": "COMPLIANCE", "RetainUntilDate": datetime.now(timezone.utc) + timedelta(hours=1)}
        self.assertEqual(code(S3.put_object_retention, Bucket="locked", Key="k", Retention=soon), "AccessDenied")
        S3.put_object_legal_hold(Bucket="locked", Key="k", LegalHold={"Status": "ON"})
        self.assertEqual(S3.get_object_legal_hold(Bucket="locked", Key="k")["LegalHold"]["Status"], "ON")
        self.assertTrue(S3.delete_object(Bucket="locked", Key="k")["DeleteMarker"])
        self.assertEqual(code(S3.get_object_lock_configuration, Bucket=self.bucket), "ObjectLockConfigurationNotFoundError")


class Multipart(WithBucket):
    def test_upload_by_the_transfer_manager(self):
        body = bytes(range(256)) * (12 * MIB // 256)
        config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
        S3.upload_fileobj(io.BytesIO(body), self.bucket, "k", Config=config)
        self.assertTrue(S3.head_object(Bucket=self.bucket, Key="k")["ETag"].endswith('-3"'))
        got = io.BytesIO()
        S3.download_fileobj(self.bucket, "k", got, Config=config)
        self.assertEqual(got.getvalue(), body)

    def test_parts(self):
        upload = S3.create_multipart_upload(Bucket=self.bucket, Key="k", ChecksumAlgorithm="SHA256")["UploadId"]
        where = {"Bucket": self.bucket, "Key": "k", "UploadId": upload}
        self.assertEqual(S3.list_multipart_uploads(Bucket=self.bucket)["Uploads"][0]["UploadId"], upload)
        parts = []
        for number, body in [(1, b"a" * 5 * MIB), (2, b"b")]:
            put = S3.upload_part(**where, PartNumber=number, Body=body, ChecksumAlgorithm="SHA256")
            parts.append({"PartNumber": number, "ETag": put["ETag"], "ChecksumSHA256": put["ChecksumSHA256"]})
        self.assertEqual([part["Size"] for part in S3.list_parts(**where)["Parts"]], [5 * MIB, 1])
        done = S3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
        digests = b"".join(hashlib.sha256(body).digest() for body in [b"a" * 5 * MIB, b"b"])
        self.assertEqual(done["ChecksumSHA256"], base64.b64encode(hashlib.sha256(digests).digest()).decode() + "-2")
        found = S3.get_object_attributes(Bucket=self.bucket, Key="k", ObjectAttributes=["ObjectParts"])["ObjectParts"]
        self.assertEqual((found["TotalPartsCount"], found["Parts"][1]["Size"]), (2, 1))
        self.assertEqual(self.get("k", PartNumber=2), b"b")

    def test_upload_part_copy_and_abort(self):
        self.put("source", b"0123456789")
        upload = S3.create_multipart_upload(Bucket=self.bucket, Key="k")["UploadId"]
        where = {"Bucket": self.bucket, "Key": "k", "UploadId": upload}
        source = {"Bucket": self.bucket, "Key": "source"}
        copied = S3.upload_part_copy(**where, PartNumber=1, CopySource=source, CopySourceRange="bytes=2-5")["CopyPartResult"]
        self.assertEqual(copied["ETag"], f'"{hashlib.md5(b"2345").hexdigest()}"')
        S3.complete_multipart_upload(**where, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": copied["ETag"]}]})
        self.assertEqual(self.get("k"), b"2345")
        upload = S3.create_multipart_upload(Bucket=self.bucket, Key="k")["UploadId"]
        S3.abort_multipart_upload(Bucket=self.bucket, Key="k", UploadId=upload)
        self.assertEqual(code(S3.list_parts, Bucket=self.bucket, Key="k", UploadId=upload), "NoSuchUpload")


class Keys(unittest.TestCase):
    def test_wrong_keys_are_refused(self):
        wrong = boto3.client("s3", aws_secret_access_key="wrong", aws_access_key_id="ATTESTORESANDBOX")
        self.assertEqual(code(wrong.list_buckets), "SignatureDoesNotMatch")
        unknown = boto3.client("s3", aws_secret_access_key="wrong", aws_access_key_id="NOBODY")
        self.assertEqual(code(unknown.list_buckets), "InvalidAccessKeyId")


if __name__ == "__main__":
    unittest.main(verbosity=2)
