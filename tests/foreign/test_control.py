"""boto3 against the sandbox's control planes, operation by operation: STS, DynamoDB, AWS Backup, RDS.

Endpoint, keys and Region come from the environment that `attestore sandbox serve` prints. The databases are asked with their own clients.
"""

import os
import shutil
import subprocess
import time
import unittest
from decimal import Decimal

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ONCE = Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"})
S3 = boto3.client("s3", config=ONCE)
STS = boto3.client("sts", config=ONCE)
DYNAMODB = boto3.client("dynamodb", config=ONCE)
BACKUP = boto3.client("backup", config=ONCE)
RDS = boto3.client("rds", config=ONCE)
ACCOUNT = "111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/backup"
HASH_ONLY = {
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}


def code(call, **arguments):
    """The error code that a call ends with."""
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"]
    raise AssertionError("the call went well")


def until(look, wanted, patience=60):
    """Asks until the answer is the wanted one; the answers that were different from the one before."""
    seen, end = [], time.monotonic() + patience
    while time.monotonic() < end:
        now = look()
        if not seen or seen[-1] != now:
            seen.append(now)
        if now == wanted:
            return seen
        time.sleep(0.01)
    raise AssertionError(f"expected {wanted}, saw {seen}")


def table_status(name):
    return lambda: DYNAMODB.describe_table(TableName=name)["Table"]["TableStatus"]


def back_up(vault, arn, **more):
    """A recovery point of a resource; its ARN."""
    job = BACKUP.start_backup_job(BackupVaultName=vault, ResourceArn=arn, IamRoleArn=ROLE, **more)
    look = lambda: BACKUP.describe_backup_job(BackupJobId=job["BackupJobId"])
    until(lambda: look()["State"], "COMPLETED")
    return look()["RecoveryPointArn"]


def restore(point, metadata, **more):
    """A restore job that was waited for: its states and its last description."""
    job = BACKUP.start_restore_job(RecoveryPointArn=point, Metadata=metadata, IamRoleArn=ROLE, **more)["RestoreJobId"]
    states = until(lambda: BACKUP.describe_restore_job(RestoreJobId=job)["Status"], "COMPLETED")
    return states, BACKUP.describe_restore_job(RestoreJobId=job)


class Sts(unittest.TestCase):
    def test_get_caller_identity(self):
        said = STS.get_caller_identity()
        self.assertEqual(said["Account"], ACCOUNT)
        self.assertTrue(said["Arn"].startswith(f"arn:aws:iam::{ACCOUNT}:"))

    def test_unknown_operation(self):
        self.assertEqual(code(STS.get_session_token), "InvalidAction")

    def test_wrong_credentials(self):
        stranger = boto3.client("sts", aws_access_key_id="NOBODY", aws_secret_access_key="x", config=ONCE)
        self.assertEqual(code(stranger.get_caller_identity), "InvalidClientTokenId")
        liar = boto3.client("sts", aws_access_key_id=os.environ["AWS_ACCESS_KEY_ID"], aws_secret_access_key="x", config=ONCE)
        self.assertEqual(code(liar.get_caller_identity), "SignatureDoesNotMatch")


class DynamoDb(unittest.TestCase):
    count = 0

    def setUp(self):
        DynamoDb.count += 1
        self.table = f"table-{DynamoDb.count:03}"
        DYNAMODB.create_table(TableName=self.table, **HASH_ONLY)
        DYNAMODB.get_waiter("table_exists").wait(TableName=self.table)

    def put(self, count):
        with boto3.resource("dynamodb").Table(self.table).batch_writer() as batch:
            for number in range(count):
                batch.put_item(Item={"id": f"i{number:04}", "n": Decimal("1.50"), "tags": {"a", "b"}, "raw": b"\x00\xff"})

    def items(self, table):
        pages = DYNAMODB.get_paginator("scan").paginate(TableName=table)
        return {item["id"]["S"]: item for page in pages for item in page["Items"]}

    def test_arns_name_region_and_account(self):
        described = DYNAMODB.describe_table(TableName=self.table)["Table"]
        self.assertEqual(described["TableArn"], f"arn:aws:dynamodb:eu-west-2:{ACCOUNT}:table/{self.table}")
        self.assertEqual(DYNAMODB.describe_table(TableName=described["TableArn"])["Table"]["TableName"], self.table)
        self.assertIn(self.table, DYNAMODB.list_tables()["TableNames"])

    def test_items_pass_through(self):
        text = "arn:aws:dynamodb:dynoxide:000000000000:" + "x" * 390_000
        DYNAMODB.put_item(TableName=self.table, Item={"id": {"S": "big"}, "text": {"S": text}})
        got = DYNAMODB.get_item(TableName=self.table, Key={"id": {"S": "big"}}, ConsistentRead=True)
        self.assertEqual(got["Item"]["text"]["S"], text)
        too_big = {"id": {"S": "bigger"}, "text": {"S": "x" * 410_000}}
        self.assertEqual(code(DYNAMODB.put_item, TableName=self.table, Item=too_big), "ValidationException")

    def test_segmented_scan_and_query(self):
        self.put(100)
        seen = []
        for segment in range(4):
            pages = DYNAMODB.get_paginator("scan").paginate(TableName=self.table, Segment=segment, TotalSegments=4, PaginationConfig={"PageSize": 7})
            seen += [item["id"]["S"] for page in pages for item in page["Items"]]
        self.assertEqual(sorted(seen), [f"i{number:04}" for number in range(100)])
        found = DYNAMODB.query(TableName=self.table, KeyConditionExpression="id = :i", ExpressionAttributeValues={":i": {"S": "i0007"}})
        self.assertEqual(found["Count"], 1)

    def test_tags(self):
        arn = f"arn:aws:dynamodb:eu-west-2:{ACCOUNT}:table/{self.table}"
        DYNAMODB.tag_resource(ResourceArn=arn, Tags=[{"Key": "attestore:drill", "Value": "d-1"}])
        self.assertEqual(DYNAMODB.list_tags_of_resource(ResourceArn=arn)["Tags"], [{"Key": "attestore:drill", "Value": "d-1"}])
        DYNAMODB.untag_resource(ResourceArn=arn, TagKeys=["attestore:drill"])
        self.assertEqual(DYNAMODB.list_tags_of_resource(ResourceArn=arn)["Tags"], [])

    def test_errors(self):
        self.assertEqual(code(DYNAMODB.describe_table, TableName="absent"), "ResourceNotFoundException")
        self.assertEqual(code(DYNAMODB.create_table, TableName=self.table, **HASH_ONLY), "ResourceInUseException")
        self.assertEqual(code(DYNAMODB.describe_backup, BackupArn="arn:aws:dynamodb:eu-west-2:1:table/x/backup/0"), "BackupNotFoundException")
        self.assertEqual(code(DYNAMODB.create_backup, TableName="absent", BackupName="abc"), "TableNotFoundException")
        self.assertEqual(code(DYNAMODB.describe_continuous_backups, TableName="absent"), "TableNotFoundException")

    def test_continuous_backups_are_without_points_in_time(self):
        said = DYNAMODB.describe_continuous_backups(TableName=self.table)["ContinuousBackupsDescription"]
        self.assertEqual(said["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"], "DISABLED")

    def test_backup_and_restore(self):
        self.put(60)
        DYNAMODB.update_time_to_live(TableName=self.table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "ends"})
        taken = DYNAMODB.create_backup(TableName=self.table, BackupName="nightly")["BackupDetails"]
        before = self.items(self.table)
        DYNAMODB.delete_item(TableName=self.table, Key={"id": {"S": "i0000"}})
        described = DYNAMODB.describe_backup(BackupArn=taken["BackupArn"])["BackupDescription"]
        self.assertEqual(described["BackupDetails"]["BackupStatus"], "AVAILABLE")
        self.assertEqual(described["SourceTableDetails"]["ItemCount"], 60)
        listed = DYNAMODB.list_backups(TableName=self.table)["BackupSummaries"]
        self.assertEqual([backup["BackupArn"] for backup in listed], [taken["BackupArn"]])
        self.assertEqual(code(DYNAMODB.restore_table_from_backup, TargetTableName=self.table, BackupArn=taken["BackupArn"]), "TableAlreadyExistsException")

        target = f"{self.table}-restored"
        begun = DYNAMODB.restore_table_from_backup(TargetTableName=target, BackupArn=taken["BackupArn"])["TableDescription"]
        self.assertEqual(begun["TableStatus"], "CREATING")
        self.assertTrue(begun["RestoreSummary"]["RestoreInProgress"])
        self.assertEqual(code(DYNAMODB.scan, TableName=target), "ResourceNotFoundException")
        self.assertEqual(until(table_status(target), "ACTIVE"), ["CREATING", "ACTIVE"])
        self.assertEqual(self.items(target), before)
        ttl = DYNAMODB.describe_time_to_live(TableName=target)["TimeToLiveDescription"]
        self.assertEqual(ttl["TimeToLiveStatus"], "DISABLED")
        self.assertFalse(DYNAMODB.describe_table(TableName=target)["Table"]["RestoreSummary"]["RestoreInProgress"])
        DYNAMODB.delete_table(TableName=target)
        self.assertEqual(DYNAMODB.delete_backup(BackupArn=taken["BackupArn"])["BackupDescription"]["BackupDetails"]["BackupStatus"], "DELETED")
        self.assertEqual(code(DYNAMODB.describe_backup, BackupArn=taken["BackupArn"]), "BackupNotFoundException")

    def test_a_restore_keeps_indexes(self):
        name = f"{self.table}-indexed"
        DYNAMODB.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "at", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": part, "AttributeType": kind} for part, kind in (("id", "S"), ("at", "N"), ("who", "S"))],
            GlobalSecondaryIndexes=[{
                "IndexName": "by-who",
                "KeySchema": [{"AttributeName": "who", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
                "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
            }],
            LocalSecondaryIndexes=[{
                "IndexName": "by-id-who",
                "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "who", "KeyType": "RANGE"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }],
            ProvisionedThroughput={"ReadCapacityUnits": 3, "WriteCapacityUnits": 2},
        )
        DYNAMODB.put_item(TableName=name, Item={"id": {"S": "a"}, "at": {"N": "1"}, "who": {"S": "w"}})
        arn = DYNAMODB.create_backup(TableName=name, BackupName="with-indexes")["BackupDetails"]["BackupArn"]
        DYNAMODB.restore_table_from_backup(TargetTableName=f"{name}-2", BackupArn=arn)
        until(table_status(f"{name}-2"), "ACTIVE")
        found = DYNAMODB.query(TableName=f"{name}-2", IndexName="by-who", KeyConditionExpression="who = :w", ExpressionAttributeValues={":w": {"S": "w"}})
        self.assertEqual(found["Count"], 1)
        described = DYNAMODB.describe_table(TableName=f"{name}-2")["Table"]
        self.assertEqual(described["ProvisionedThroughput"]["ReadCapacityUnits"], 3)
        self.assertEqual([index["IndexName"] for index in described["LocalSecondaryIndexes"]], ["by-id-who"])


class Vaults(unittest.TestCase):
    def test_vaults(self):
        made = BACKUP.create_backup_vault(BackupVaultName="vault-a", BackupVaultTags={"k": "v"})
        self.assertEqual(made["BackupVaultArn"], f"arn:aws:backup:eu-west-2:{ACCOUNT}:backup-vault:vault-a")
        self.assertEqual(code(BACKUP.create_backup_vault, BackupVaultName="vault-a"), "AlreadyExistsException")
        self.assertEqual(code(BACKUP.describe_backup_vault, BackupVaultName="absent"), "ResourceNotFoundException")
        self.assertIn("vault-a", [vault["BackupVaultName"] for vault in BACKUP.list_backup_vaults()["BackupVaultList"]])
        self.assertEqual(BACKUP.list_tags(ResourceArn=made["BackupVaultArn"])["Tags"], {"k": "v"})
        BACKUP.tag_resource(ResourceArn=made["BackupVaultArn"], Tags={"l": "w"})
        BACKUP.untag_resource(ResourceArn=made["BackupVaultArn"], TagKeyList=["k"])
        self.assertEqual(BACKUP.list_tags(ResourceArn=made["BackupVaultArn"])["Tags"], {"l": "w"})
        BACKUP.put_backup_vault_lock_configuration(BackupVaultName="vault-a", MinRetentionDays=7, MaxRetentionDays=90, ChangeableForDays=3)
        locked = BACKUP.describe_backup_vault(BackupVaultName="vault-a")
        self.assertTrue(locked["Locked"])
        self.assertEqual((locked["MinRetentionDays"], locked["MaxRetentionDays"]), (7, 90))
        self.assertIn("LockDate", locked)
        BACKUP.delete_backup_vault(BackupVaultName="vault-a")

    def test_what_a_guard_looks_at(self):
        self.assertEqual(BACKUP.list_backup_plans()["BackupPlansList"], [])
        self.assertEqual(code(BACKUP.list_backup_selections, BackupPlanId="p"), "ResourceNotFoundException")
        self.assertEqual(set(BACKUP.get_supported_resource_types()["ResourceTypes"]), {"S3", "RDS", "DynamoDB"})

    def test_bad_requests(self):
        BACKUP.create_backup_vault(BackupVaultName="vault-b")
        bad = {"BackupVaultName": "vault-b", "IamRoleArn": ROLE}
        self.assertEqual(code(BACKUP.start_backup_job, ResourceArn="arn:aws:s3:::absent", **bad), "InvalidParameterValueException")
        self.assertEqual(code(BACKUP.start_backup_job, ResourceArn="arn:aws:ec2:eu-west-2:1:volume/v", **bad), "InvalidParameterValueException")
        self.assertEqual(code(BACKUP.start_restore_job, RecoveryPointArn="arn:x", Metadata={}, IamRoleArn=ROLE), "ResourceNotFoundException")
        self.assertEqual(code(BACKUP.describe_restore_job, RestoreJobId="absent"), "ResourceNotFoundException")
        self.assertEqual(code(BACKUP.describe_backup_job, BackupJobId="absent"), "ResourceNotFoundException")
        self.assertEqual(code(BACKUP.describe_protected_resource, ResourceArn="arn:aws:s3:::absent"), "ResourceNotFoundException")


class Buckets(unittest.TestCase):
    def test_a_bucket_there_and_back(self):
        S3.create_bucket(Bucket="source", CreateBucketConfiguration={"LocationConstraint": "eu-west-2"})
        S3.put_bucket_versioning(Bucket="source", VersioningConfiguration={"Status": "Enabled"})
        for body in (b"one", b"two", b"three"):
            S3.put_object(Bucket="source", Key="a/b c+d", Body=body)
        BACKUP.create_backup_vault(BackupVaultName="buckets")
        arns = [back_up("buckets", "arn:aws:s3:::source", Lifecycle={"DeleteAfterDays": 35}) for _ in range(3)]
        S3.delete_object(Bucket="source", Key="a/b c+d")

        listed, token = [], None
        while True:
            page = BACKUP.list_recovery_points_by_backup_vault(BackupVaultName="buckets", MaxResults=2, **({"NextToken": token} if token else {}))
            listed += [point["RecoveryPointArn"] for point in page["RecoveryPoints"]]
            token = page.get("NextToken")
            if not token:
                break
        self.assertEqual(sorted(listed), sorted(arns))
        by_resource = BACKUP.list_recovery_points_by_resource(ResourceArn="arn:aws:s3:::source")["RecoveryPoints"]
        self.assertEqual(sorted(point["RecoveryPointArn"] for point in by_resource), sorted(arns))
        self.assertIn("arn:aws:s3:::source", [found["ResourceArn"] for found in BACKUP.list_protected_resources()["Results"]])
        self.assertEqual(BACKUP.describe_protected_resource(ResourceArn="arn:aws:s3:::source")["ResourceType"], "S3")
        point = BACKUP.describe_recovery_point(BackupVaultName="buckets", RecoveryPointArn=arns[0])
        self.assertEqual((point["Status"], point["ResourceType"], point["BackupSizeInBytes"]), ("COMPLETED", "S3", 11))
        self.assertEqual((point["CalculatedLifecycle"]["DeleteAt"] - point["CreationDate"]).days, 35)
        self.assertTrue(point["IsEncrypted"] and point["EncryptionKeyArn"])
        metadata = BACKUP.get_recovery_point_restore_metadata(BackupVaultName="buckets", RecoveryPointArn=arns[0])
        self.assertEqual(metadata["RestoreMetadata"]["BucketName"], "source")

        for bucket in ("all-of-it", "two-of-it"):
            S3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-2"})
            S3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        wanted = {"DestinationBucketName": "all-of-it", "NewBucket": "false", "RestoreLatestVersionsUpTo": "all"}
        states, job = restore(arns[0], wanted, IdempotencyToken="t-1")
        self.assertEqual(states, ["PENDING", "RUNNING", "COMPLETED"])
        self.assertEqual(job["CreatedResourceArn"], "arn:aws:s3:::all-of-it")
        again = BACKUP.start_restore_job(RecoveryPointArn=arns[0], Metadata=wanted, IamRoleArn=ROLE, IdempotencyToken="t-1")
        self.assertEqual(again["RestoreJobId"], job["RestoreJobId"])
        self.assertEqual(len(S3.list_object_versions(Bucket="all-of-it")["Versions"]), 3)
        self.assertEqual(S3.get_object(Bucket="all-of-it", Key="a/b c+d")["Body"].read(), b"three")
        restore(arns[0], {"DestinationBucketName": "two-of-it", "RestoreLatestVersionsUpTo": "2"})
        self.assertEqual(len(S3.list_object_versions(Bucket="two-of-it")["Versions"]), 2)
        restore(arns[0], {"DestinationBucketName": "made-for-it", "NewBucket": "true"})
        self.assertEqual(len(S3.list_object_versions(Bucket="made-for-it")["Versions"]), 1)
        jobs = BACKUP.list_restore_jobs(ByResourceType="S3", ByStatus="COMPLETED")["RestoreJobs"]
        self.assertEqual(len(jobs), 3)
        BACKUP.put_restore_validation_result(RestoreJobId=job["RestoreJobId"], ValidationStatus="SUCCESSFUL")
        self.assertEqual(BACKUP.describe_restore_job(RestoreJobId=job["RestoreJobId"])["ValidationStatus"], "SUCCESSFUL")

        self.assertEqual(code(BACKUP.start_restore_job, RecoveryPointArn=arns[0], Metadata={}, IamRoleArn=ROLE), "InvalidParameterValueException")
        BACKUP.delete_recovery_point(BackupVaultName="buckets", RecoveryPointArn=arns[1])
        self.assertEqual(code(BACKUP.describe_recovery_point, BackupVaultName="buckets", RecoveryPointArn=arns[1]), "ResourceNotFoundException")
        BACKUP.put_backup_vault_lock_configuration(BackupVaultName="buckets", MinRetentionDays=1)
        self.assertEqual(code(BACKUP.delete_recovery_point, BackupVaultName="buckets", RecoveryPointArn=arns[2]), "InvalidRequestException")


class Tables(unittest.TestCase):
    def test_a_table_there_and_back(self):
        DYNAMODB.create_table(TableName="audit-logs", **HASH_ONLY)
        DYNAMODB.put_item(TableName="audit-logs", Item={"id": {"S": "a"}})
        BACKUP.create_backup_vault(BackupVaultName="tables")
        arn = back_up("tables", f"arn:aws:dynamodb:eu-west-2:{ACCOUNT}:table/audit-logs")
        self.assertTrue(arn.startswith(f"arn:aws:dynamodb:eu-west-2:{ACCOUNT}:table/audit-logs/backup/"))
        self.assertEqual(BACKUP.describe_recovery_point(BackupVaultName="tables", RecoveryPointArn=arn)["ResourceType"], "DynamoDB")
        self.assertEqual(DYNAMODB.describe_backup(BackupArn=arn)["BackupDescription"]["BackupDetails"]["BackupType"], "AWS_BACKUP")
        _, job = restore(arn, {"targetTableName": "audit-restored"})
        self.assertEqual(job["CreatedResourceArn"], f"arn:aws:dynamodb:eu-west-2:{ACCOUNT}:table/audit-restored")
        self.assertEqual(DYNAMODB.scan(TableName="audit-restored")["Count"], 1)
        failed = BACKUP.start_restore_job(RecoveryPointArn=arn, Metadata={"targetTableName": "audit-logs"}, IamRoleArn=ROLE)["RestoreJobId"]
        until(lambda: BACKUP.describe_restore_job(RestoreJobId=failed)["Status"], "FAILED")
        self.assertIn("already exists", BACKUP.describe_restore_job(RestoreJobId=failed)["StatusMessage"])
        BACKUP.delete_recovery_point(BackupVaultName="tables", RecoveryPointArn=arn)
        self.assertEqual(code(DYNAMODB.describe_backup, BackupArn=arn), "BackupNotFoundException")


class Databases:
    """The same for each engine."""

    client, engine, database_class = "", "", "db.t4g.micro"

    def ask(self, endpoint, password, sql):
        raise NotImplementedError

    def instance(self, name):
        return RDS.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]

    def status(self, name):
        return lambda: self.instance(name)["DBInstanceStatus"]

    def gone(self, name):
        return lambda: code(RDS.describe_db_instances, DBInstanceIdentifier=name) if not self.there(name) else "there"

    def there(self, name):
        listed = RDS.describe_db_instances()["DBInstances"]
        return name in [instance["DBInstanceIdentifier"] for instance in listed]

    def test_an_instance_there_and_back(self):
        name = f"crm-{self.engine}"
        arguments = {
            "DBInstanceIdentifier": name, "Engine": self.engine, "DBInstanceClass": self.database_class, "MasterUsername": "keeper",
            "MasterUserPassword": "first-secret", "DBName": "crm", "AllocatedStorage": 20, "PubliclyAccessible": False,
            "VpcSecurityGroupIds": ["sg-1", "sg-2"], "Tags": [{"Key": "env", "Value": "prod"}], "CopyTagsToSnapshot": True,
            "KmsKeyId": f"arn:aws:kms:eu-west-2:{ACCOUNT}:key/k", "DeletionProtection": True,
        }
        try:
            made = RDS.create_db_instance(**arguments)["DBInstance"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "InsufficientDBInstanceCapacity":
                self.skipTest(error.response["Error"]["Message"])
            raise
        self.assertEqual(made["DBInstanceStatus"], "creating")
        self.assertNotIn("Endpoint", made)
        self.assertEqual(code(RDS.create_db_instance, **arguments), "DBInstanceAlreadyExists")
        self.assertEqual(code(RDS.delete_db_instance, DBInstanceIdentifier=name, SkipFinalSnapshot=True), "InvalidParameterCombination")
        self.assertEqual(until(self.status(name), "available"), ["creating", "available"])
        found = self.instance(name)
        self.assertEqual(found["Endpoint"]["Address"], "127.0.0.1")
        self.assertEqual([group["VpcSecurityGroupId"] for group in found["VpcSecurityGroups"]], ["sg-1", "sg-2"])
        self.assertTrue(found["StorageEncrypted"] and found["DeletionProtection"] and not found["PubliclyAccessible"])
        self.assertEqual(found["DBSubnetGroup"]["DBSubnetGroupName"], "default")
        self.ask(found["Endpoint"], "first-secret", "create table t (id int primary key, v varchar(10)); insert into t values (1, 'a'), (2, 'b')")
        with self.assertRaises(AssertionError):
            self.ask(found["Endpoint"], "wrong-secret", "select 1")

        RDS.create_db_snapshot(DBSnapshotIdentifier=f"{name}-1", DBInstanceIdentifier=name)
        look = lambda: RDS.describe_db_snapshots(DBSnapshotIdentifier=f"{name}-1")["DBSnapshots"][0]
        until(lambda: look()["Status"], "available")
        self.ask(found["Endpoint"], "first-secret", "delete from t where id = 2")
        snapshot = look()
        self.assertEqual(snapshot["TagList"], [{"Key": "env", "Value": "prod"}])
        self.assertEqual(code(RDS.create_db_snapshot, DBSnapshotIdentifier=f"{name}-1", DBInstanceIdentifier=name), "DBSnapshotAlreadyExists")

        restored = f"{name}-restored"
        tags = [{"Key": "attestore:drill", "Value": "d-1"}]
        RDS.restore_db_instance_from_db_snapshot(DBInstanceIdentifier=restored, DBSnapshotIdentifier=f"{name}-1", Tags=tags, DeletionProtection=False)
        until(self.status(restored), "available")
        RDS.modify_db_instance(DBInstanceIdentifier=restored, MasterUserPassword="drill-secret", BackupRetentionPeriod=0, ApplyImmediately=True)
        until(self.status(restored), "available")
        found = self.instance(restored)
        self.assertEqual(found["BackupRetentionPeriod"], 0)
        self.assertEqual(found["TagList"], tags)
        with self.assertRaises(AssertionError):
            self.ask(found["Endpoint"], "first-secret", "select 1")
        self.assertEqual(self.ask(found["Endpoint"], "drill-secret", "select count(*) from t").split(), ["2"])
        RDS.add_tags_to_resource(ResourceName=found["DBInstanceArn"], Tags=[{"Key": "k", "Value": "v"}])
        self.assertIn({"Key": "k", "Value": "v"}, RDS.list_tags_for_resource(ResourceName=found["DBInstanceArn"])["TagList"])
        RDS.delete_db_instance(DBInstanceIdentifier=restored, SkipFinalSnapshot=True, DeleteAutomatedBackups=True)
        until(lambda: self.there(restored), False)
        with self.assertRaises(AssertionError):
            self.ask(found["Endpoint"], "drill-secret", "select 1")

        vault = f"databases-{self.engine}"
        BACKUP.create_backup_vault(BackupVaultName=vault)
        point = back_up(vault, self.instance(name)["DBInstanceArn"])
        self.assertIn(":snapshot:awsbackup:job-", point)
        metadata = BACKUP.get_recovery_point_restore_metadata(BackupVaultName=vault, RecoveryPointArn=point)["RestoreMetadata"]
        self.assertEqual(metadata["Engine"], self.engine)
        _, job = restore(point, {**metadata, "DBInstanceIdentifier": restored, "DeletionProtection": "false"})
        found = self.instance(restored)
        self.assertEqual(job["CreatedResourceArn"], found["DBInstanceArn"])
        self.assertEqual(found["TagList"], [])
        self.assertEqual(self.ask(found["Endpoint"], "first-secret", "select count(*) from t").split(), ["1"])
        RDS.delete_db_instance(DBInstanceIdentifier=restored, SkipFinalSnapshot=True)
        until(lambda: self.there(restored), False)

        RDS.modify_db_instance(DBInstanceIdentifier=name, DeletionProtection=False)
        RDS.delete_db_instance(DBInstanceIdentifier=name, FinalDBSnapshotIdentifier=f"{name}-last")
        until(lambda: self.there(name), False)
        self.assertEqual(RDS.describe_db_snapshots(DBSnapshotIdentifier=f"{name}-last")["DBSnapshots"][0]["Status"], "available")
        RDS.delete_db_snapshot(DBSnapshotIdentifier=f"{name}-last")
        self.assertEqual(code(RDS.describe_db_snapshots, DBSnapshotIdentifier=f"{name}-last"), "DBSnapshotNotFound")


class Postgres(Databases, unittest.TestCase):
    engine = "postgres"

    def ask(self, endpoint, password, sql):
        command = [shutil.which("psql"), "-X", "-A", "-t", "-h", endpoint["Address"], "-p", str(endpoint["Port"]), "-U", "keeper", "-d", "crm", "-c", sql]
        done = subprocess.run(command, env={**os.environ, "PGPASSWORD": password}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


class MariaDb(Databases, unittest.TestCase):
    engine = "mariadb"

    def ask(self, endpoint, password, sql):
        client = shutil.which("mariadb") or shutil.which("mysql")
        command = [client, "--no-defaults", "--batch", "--skip-column-names", "-h", endpoint["Address"], "-P", str(endpoint["Port"]), "-u", "keeper", "-e", sql, "crm"]
        done = subprocess.run(command, env={**os.environ, "MYSQL_PWD": password}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


class RdsRefusals(unittest.TestCase):
    def test_what_is_not_there(self):
        self.assertEqual(code(RDS.describe_db_instances, DBInstanceIdentifier="absent"), "DBInstanceNotFound")
        self.assertEqual(code(RDS.describe_db_snapshots, DBSnapshotIdentifier="absent"), "DBSnapshotNotFound")
        self.assertEqual(code(RDS.delete_db_instance, DBInstanceIdentifier="absent", SkipFinalSnapshot=True), "DBInstanceNotFound")
        self.assertEqual(code(RDS.restore_db_instance_from_db_snapshot, DBInstanceIdentifier="x", DBSnapshotIdentifier="absent"), "DBSnapshotNotFound")
        self.assertEqual(code(RDS.describe_db_subnet_groups, DBSubnetGroupName="absent"), "DBSubnetGroupNotFoundFault")
        self.assertEqual(code(RDS.describe_db_clusters), "InvalidAction")

    def test_bad_parameters(self):
        good = {"DBInstanceIdentifier": "x", "Engine": "postgres", "DBInstanceClass": "db.t4g.micro", "MasterUsername": "keeper", "MasterUserPassword": "long-enough"}
        self.assertEqual(code(RDS.create_db_instance, **{**good, "Engine": "db2"}), "InvalidParameterValue")
        self.assertIn(code(RDS.create_db_instance, **{**good, "DBInstanceIdentifier": "1-x"}), ("InvalidParameterValue", "InsufficientDBInstanceCapacity"))
        self.assertEqual(code(RDS.create_db_instance, **{**good, "MasterUserPassword": "short"}), "InvalidParameterValue")
        self.assertEqual(code(RDS.create_db_instance, **{**good, "MasterUsername": "rdsadmin"}), "InvalidParameterValue")

    def test_groups(self):
        groups = RDS.describe_db_subnet_groups()["DBSubnetGroups"]
        self.assertEqual(groups[0]["DBSubnetGroupName"], "default")
        self.assertTrue(groups[0]["Subnets"])
        self.assertTrue(RDS.describe_db_parameter_groups()["DBParameterGroups"])


if __name__ == "__main__":
    unittest.main()
