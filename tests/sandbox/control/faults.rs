//! Faults of the control planes: what a drill must not believe.

use std::time::Duration;

use attestore::aws::errors::classify;
use attestore::model::failure::FailureKind;
use attestore::sandbox::control::backup::points::PointDamage;
use attestore::sandbox::control::faults::RestoreFault;
use attestore::sandbox::s3::snapshot::Damage;
use aws_sdk_s3::primitives::ByteStream;

use crate::clients::{Clients, start};

/// A recovery point of a bucket with one object, and an empty bucket to restore into.
async fn point(clients: &Clients) -> String {
    clients.bucket("source").await;
    clients.bucket("target").await;
    clients.s3.put_object().bucket("source").key("k").body(ByteStream::from_static(b"abc")).send().await.unwrap();
    clients.vault("vault").await;
    clients.back_up("vault", "arn:aws:s3:::source").await
}

const TARGET: &[(&str, &str)] = &[("DestinationBucketName", "target"), ("RestoreLatestVersionsUpTo", "all")];

async fn objects(clients: &Clients) -> i32 {
    clients.s3.list_objects_v2().bucket("target").send().await.unwrap().key_count.unwrap()
}

#[tokio::test]
async fn restores_lie_fail_and_hang_as_planted() {
    let dir = tempfile::tempdir().unwrap();
    let (running, clients) = start(dir.path()).await;
    let point = point(&clients).await;
    let bucket = Some("arn:aws:s3:::target".to_owned());
    let ends = [
        (RestoreFault::CompletesEmpty, "COMPLETED", bucket.clone(), None),
        (RestoreFault::CompletesWithoutResource, "COMPLETED", None, None),
        (RestoreFault::Fails { message: "planted".into() }, "FAILED", None, Some("planted".to_owned())),
    ];
    for (fault, status, made, message) in ends {
        running.control().faults().on_restore(&point, fault.clone()).unwrap();
        let job = clients.start_restore(&point, TARGET).await;
        assert_eq!(clients.end_of_restore(&job).await, (status.to_owned(), made, message), "{fault:?}");
        assert_eq!(objects(&clients).await, 0, "{fault:?}");
    }
    running.control().faults().on_restore(&point, RestoreFault::WrongType).unwrap();
    let job = clients.start_restore(&point, TARGET).await;
    assert!(clients.end_of_restore(&job).await.1.unwrap().contains(":volume/"));

    running.control().faults().on_restore(&point, RestoreFault::Hangs).unwrap();
    let job = clients.start_restore(&point, TARGET).await;
    let status = async |clients: &Clients| {
        clients.backup.describe_restore_job().restore_job_id(&job).send().await.unwrap().status.unwrap().as_str().to_owned()
    };
    let mut seen = Vec::new();
    for _ in 0..20 {
        seen.push(status(&clients).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    seen.dedup();
    assert_eq!(seen, ["PENDING", "RUNNING"]);
    running.stop().await.unwrap();
    // What was planted is kept: the job hangs on.
    let (running, clients) = start(dir.path()).await;
    assert_eq!(status(&clients).await, "RUNNING");
    running.control().faults().clear().unwrap();
    let job = clients.start_restore(&point, TARGET).await;
    assert_eq!(clients.end_of_restore(&job).await, ("COMPLETED".into(), bucket, None));
    assert_eq!(objects(&clients).await, 1);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn damage_in_a_bucket_point_is_restored_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let (running, clients) = start(dir.path()).await;
    let point = point(&clients).await;
    let damage = PointDamage::Object(Damage::FlipByte { key: "k".into(), seq: 0, offset: 1 });
    running.control().backup().damage(&point, &damage).await.unwrap();
    let wrong = PointDamage::Sql { database: None, text: "select 1".into() };
    assert!(running.control().backup().damage(&point, &wrong).await.is_err());
    let job = clients.start_restore(&point, TARGET).await;
    clients.end_of_restore(&job).await;
    // The SDK compares the body with the checksum that the object still carries.
    let read = clients.s3.get_object().bucket("target").key("k").send().await.unwrap().body.collect().await;
    assert!(read.is_err(), "the damaged byte is read");
    let source = clients.s3.get_object().bucket("source").key("k").send().await.unwrap().body.collect().await.unwrap().into_bytes();
    assert_eq!(source, "abc");
    running.stop().await.unwrap();
}

#[tokio::test]
async fn throttling_is_retried_and_expired_credentials_are_denied() {
    let dir = tempfile::tempdir().unwrap();
    let (running, clients) = start(dir.path()).await;
    let faults = running.control().faults();
    for service in ["sts", "backup", "rds", "dynamodb"] {
        faults.throttle(service, 1).unwrap();
    }
    clients.sts.get_caller_identity().send().await.unwrap();
    clients.backup.list_backup_vaults().send().await.unwrap();
    clients.rds.describe_db_instances().send().await.unwrap();
    clients.dynamodb.list_tables().send().await.unwrap();

    for service in ["sts", "backup", "rds", "dynamodb"] {
        faults.expire(service, 1).unwrap();
    }
    let failures = [
        classify("sts", clients.sts.get_caller_identity().send().await.unwrap_err()),
        classify("backup", clients.backup.list_backup_vaults().send().await.unwrap_err()),
        classify("rds", clients.rds.describe_db_instances().send().await.unwrap_err()),
        classify("dynamodb", clients.dynamodb.list_tables().send().await.unwrap_err()),
    ];
    for failure in failures {
        assert_eq!(failure.kind, FailureKind::Denied, "{failure}");
    }
    running.stop().await.unwrap();
}
