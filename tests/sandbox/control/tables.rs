//! DynamoDB and STS as the Rust SDK sees them.

use attestore::sandbox::control::backup::points::PointDamage;
use attestore::sandbox::control::dynamodb::backups::ItemDamage;
use attestore::sandbox::control::faults::RestoreFault;
use aws_sdk_dynamodb::types::TableStatus;
use serde_json::json;

use crate::clients::{start, until};

#[tokio::test]
async fn the_identity_is_the_sandboxs_account() {
    let dir = tempfile::tempdir().unwrap();
    let (running, clients) = start(dir.path()).await;
    assert_eq!(clients.sts.get_caller_identity().send().await.unwrap().account(), Some("111122223333"));
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_backup_is_of_one_instant_and_damage_stays_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let (running, clients) = start(dir.path()).await;
    clients.table("audit-logs", 20).await;
    let details =
        clients.dynamodb.create_backup().table_name("audit-logs").backup_name("one").send().await.unwrap().backup_details.unwrap();
    let arn = details.backup_arn();
    let damages = [
        ItemDamage::Change { key: json!({"id": {"S": "i003"}}), set: json!({"n": {"N": "999"}}) },
        ItemDamage::Remove { key: json!({"id": {"S": "i004"}}) },
        ItemDamage::Add { item: json!({"id": {"S": "j"}, "n": {"N": "1"}}) },
    ];
    for damage in &damages {
        running.control().dynamodb().damage_backup(arn, damage).unwrap();
    }
    let absent = ItemDamage::Remove { key: json!({"id": {"S": "i004"}}) };
    assert!(running.control().dynamodb().damage_backup(arn, &absent).is_err());

    let taken = clients.dynamodb.restore_table_from_backup().target_table_name("audit-logs").backup_arn(arn).send().await;
    assert!(taken.unwrap_err().into_service_error().is_table_already_exists_exception());
    let begun = clients.dynamodb.restore_table_from_backup().target_table_name("restored").backup_arn(arn).send().await.unwrap();
    assert_eq!(begun.table_description.unwrap().table_status, Some(TableStatus::Creating));
    until("the table is active", async || {
        let found = clients.dynamodb.describe_table().table_name("restored").send().await.unwrap().table.unwrap();
        (found.table_status == Some(TableStatus::Active)).then_some(())
    })
    .await;
    let (whole, restored) = (clients.items("audit-logs").await, clients.items("restored").await);
    assert_eq!(whole.len(), 20);
    let differing: Vec<_> = restored.iter().filter(|item| !whole.contains(item)).map(|(id, n)| (id.as_str(), n.as_str())).collect();
    assert_eq!((restored.len(), differing), (20, vec![("i003", "999"), ("j", "1")]));
    running.stop().await.unwrap();
}

#[tokio::test]
async fn tables_and_points_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (running, clients) = start(dir.path()).await;
    clients.table("audit-logs", 5).await;
    clients.vault("vault").await;
    let point = clients.back_up("vault", "arn:aws:dynamodb:eu-west-2:111122223333:table/audit-logs").await;
    let damage = PointDamage::Item(ItemDamage::Remove { key: json!({"id": {"S": "i000"}}) });
    running.control().backup().damage(&point, &damage).await.unwrap();
    // Stopped in the middle of a restore: it goes on at the next start.
    let job = clients.start_restore(&point, &[("targetTableName", "restored")]).await;
    running.stop().await.unwrap();

    let (running, clients) = start(dir.path()).await;
    let (status, made, _) = clients.end_of_restore(&job).await;
    assert_eq!((status.as_str(), made.as_deref()), ("COMPLETED", Some("arn:aws:dynamodb:eu-west-2:111122223333:table/restored")));
    assert_eq!((clients.items("audit-logs").await.len(), clients.items("restored").await.len()), (5, 4));
    running.stop().await.unwrap();
}

#[tokio::test]
async fn dynamodb_restores_of_its_own_hang_or_come_to_nothing_as_planted() {
    let dir = tempfile::tempdir().unwrap();
    let (running, clients) = start(dir.path()).await;
    clients.table("source", 5).await;
    let backup = clients.dynamodb.create_backup().table_name("source").backup_name("nightly").send().await.unwrap();
    let arn = backup.backup_details.unwrap().backup_arn;
    let restore = async |target: &str, fault: RestoreFault| {
        running.control().faults().on_restore(&arn, fault).unwrap();
        let call = clients.dynamodb.restore_table_from_backup().target_table_name(target).backup_arn(&arn);
        call.send().await.unwrap().table_description.unwrap().table_status.unwrap()
    };
    let status = async |table: &str| {
        let found = clients.dynamodb.describe_table().table_name(table).send().await;
        found.ok().map(|found| found.table.unwrap().table_status.unwrap().as_str().to_owned())
    };
    assert_eq!(restore("hangs", RestoreFault::Hangs).await.as_str(), "CREATING");
    for (name, fault) in [("fails", RestoreFault::Fails { message: "planted".into() }), ("nothing", RestoreFault::CompletesWithoutResource)]
    {
        assert_eq!(restore(name, fault).await.as_str(), "CREATING");
        assert_eq!(status(name).await, None);
    }
    restore("hollow", RestoreFault::CompletesEmpty).await;
    crate::clients::until("the hollow table is there", async || (status("hollow").await.as_deref() == Some("ACTIVE")).then_some(())).await;
    assert_eq!(clients.items("hollow").await, []);
    assert_eq!(status("hangs").await.as_deref(), Some("CREATING"), "still");
    running.stop().await.unwrap();
}
