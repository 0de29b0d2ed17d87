//! Backup access points of the stand-in: states, what they refuse, what their alias answers, and the recovery point that they hold.

use aws_sdk_backup::error::ProvideErrorMetadata;
use aws_sdk_backup::types::AccessPointStatus;
use aws_sdk_s3::primitives::ByteStream;

use crate::clients::{Clients, start, until};

async fn available(clients: &Clients, arn: &str) -> String {
    until("the access point is available", async || {
        let found = clients.backup.describe_backup_access_point().access_point_arn(arn).send().await.unwrap();
        assert!(matches!(found.status, AccessPointStatus::Creating | AccessPointStatus::Available), "{:?}", found.status_message);
        found.access_point_metadata.unwrap().remove("S3AccessPointAlias")
    })
    .await
}

async fn create(clients: &Clients, name: &str, point: &str) -> Result<String, String> {
    let made = clients.backup.create_backup_access_point().name(name).recovery_point_arn(point).tags("a", "b");
    // The SDK takes a limit for throttling and asks again for half a minute.
    let once = aws_sdk_backup::config::Builder::default().retry_config(aws_sdk_backup::config::retry::RetryConfig::disabled());
    let made = made.customize().config_override(once).send().await;
    made.map(|made| made.access_point_arn).map_err(|error| error.code().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_can_be_read_and_nothing_else_and_goes_with_its_access_point() {
    let folder = tempfile::tempdir().unwrap();
    let (running, clients) = start(folder.path()).await;
    clients.vault("vault").await;
    clients.bucket("files").await;
    let put = async |text: &str| {
        let body = ByteStream::from(text.as_bytes().to_vec());
        clients.s3.put_object().bucket("files").key("a b+").body(body).send().await.unwrap();
    };
    put("one").await;
    let point = clients.back_up("vault", "arn:aws:s3:::files").await;
    put("two").await;
    assert_eq!(create(&clients, "Upper", &point).await, Err("InvalidParameterValueException".into()));
    let arn = create(&clients, "reads-it", &point).await.unwrap();
    assert_eq!(create(&clients, "reads-it", &point).await, Err("AlreadyExistsException".into()));
    let alias = available(&clients, &arn).await;
    let read = clients.s3.get_object().bucket(&alias).key("a b+").send().await.unwrap();
    assert_eq!(read.body.collect().await.unwrap().to_vec(), b"one", "as it was backed up, whatever came later");
    assert_eq!(clients.s3.list_object_versions().bucket(&alias).send().await.unwrap().versions().len(), 1);
    let status = |raw: Option<u16>| assert_eq!(raw, Some(405));
    let refused = clients.s3.put_object().bucket(&alias).key("x").send().await.unwrap_err();
    status(refused.raw_response().map(|raw| raw.status().as_u16()));
    let refused = clients.s3.get_bucket_versioning().bucket(&alias).send().await.unwrap_err();
    status(refused.raw_response().map(|raw| raw.status().as_u16()));
    let refused = clients.s3.delete_bucket().bucket(&alias).send().await.unwrap_err();
    status(refused.raw_response().map(|raw| raw.status().as_u16()));
    let buckets = clients.s3.list_buckets().send().await.unwrap();
    assert_eq!(buckets.buckets().len(), 1, "an alias is no bucket");
    let tags = clients.backup.list_tags().resource_arn(&arn).send().await.unwrap().tags.unwrap();
    assert_eq!(tags["a"], "b");
    for n in 1..5 {
        create(&clients, &format!("reads-it-{n}"), &point).await.unwrap();
    }
    assert_eq!(create(&clients, "one-too-many", &point).await, Err("LimitExceededException".into()));
    let listed = clients.backup.list_backup_access_points_by_recovery_point().recovery_point_arn(&point).max_results(2);
    let listed: Result<Vec<_>, _> = listed.into_paginator().items().send().collect().await;
    assert_eq!(listed.unwrap().len(), 5);
    let held = clients.backup.delete_recovery_point().backup_vault_name("vault").recovery_point_arn(&point).send().await;
    assert_eq!(held.unwrap_err().code(), Some("InvalidRequestException"), "it is held while one exists");
    running.stop().await.unwrap();

    // What was on its way goes on at the next start, and deletion ends with nothing left.
    let (running, clients) = start(folder.path()).await;
    let all = clients.backup.list_backup_access_points_by_resource().resource_arn("arn:aws:s3:::files").send().await.unwrap();
    for one in &all.backup_access_points {
        available(&clients, &one.access_point_arn).await;
        clients.backup.delete_backup_access_point().access_point_arn(&one.access_point_arn).send().await.unwrap();
    }
    until("they are gone", async || {
        let left = clients.backup.list_backup_access_points().send().await.unwrap().backup_access_points;
        left.is_empty().then_some(())
    })
    .await;
    let gone = clients.s3.get_object().bucket(&alias).key("a b+").send().await.unwrap_err();
    assert_eq!(gone.code(), Some("NoSuchBucket"));
    clients.backup.delete_recovery_point().backup_vault_name("vault").recovery_point_arn(&point).send().await.unwrap();
    running.stop().await.unwrap();
}
