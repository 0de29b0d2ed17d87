//! A running sandbox with clients, and small recipes over them.

#![allow(dead_code, reason = "each test binary uses its own part of this helper")]

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use attestore::aws::session::{Session, SessionOptions};
use attestore::sandbox::server::{Running, Sandbox};
use aws_sdk_backup::types::RestoreJobStatus;
use aws_sdk_dynamodb::types::{AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};

/// Role of every job.
pub const ROLE: &str = "arn:aws:iam::111122223333:role/backup";

/// Clients of one sandbox.
pub struct Clients {
    pub backup: aws_sdk_backup::Client,
    pub dynamodb: aws_sdk_dynamodb::Client,
    pub rds: aws_sdk_rds::Client,
    pub s3: aws_sdk_s3::Client,
    pub sts: aws_sdk_sts::Client,
}

impl Clients {
    pub async fn of(options: &SessionOptions) -> Self {
        let session = Session::load(options).await;
        let s3 = aws_sdk_s3::config::Builder::from(session.config()).force_path_style(true).build();
        Self {
            backup: aws_sdk_backup::Client::new(session.config()),
            dynamodb: aws_sdk_dynamodb::Client::new(session.config()),
            rds: aws_sdk_rds::Client::new(session.config()),
            s3: aws_sdk_s3::Client::from_conf(s3),
            sts: aws_sdk_sts::Client::new(session.config()),
        }
    }
}

/// A sandbox in process over `dir`.
pub async fn start(dir: &Path) -> (Running, Clients) {
    let running = Sandbox::start(dir, None).await.unwrap();
    let clients = Clients::of(&running.session_options()).await;
    (running, clients)
}

/// Asks until `look` gives something, for at most a minute.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    for _ in 0..3000 {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("waited in vain until {what}");
}

impl Clients {
    /// A vault.
    pub async fn vault(&self, name: &str) {
        self.backup.create_backup_vault().backup_vault_name(name).send().await.unwrap();
    }

    /// A recovery point of `resource` in `vault`; its ARN.
    pub async fn back_up(&self, vault: &str, resource: &str) -> String {
        let started = self.backup.start_backup_job().backup_vault_name(vault).resource_arn(resource).iam_role_arn(ROLE).send().await;
        let id = started.unwrap().backup_job_id.unwrap();
        until("the backup job ends", async || {
            let job = self.backup.describe_backup_job().backup_job_id(&id).send().await.unwrap();
            assert_ne!(job.state.as_ref().unwrap().as_str(), "FAILED", "{:?}", job.status_message);
            (job.state.unwrap().as_str() == "COMPLETED").then(|| job.recovery_point_arn.unwrap())
        })
        .await
    }

    /// Starts a restore job; its id.
    pub async fn start_restore(&self, point: &str, metadata: &[(&str, &str)]) -> String {
        let metadata: HashMap<String, String> = metadata.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let started =
            self.backup.start_restore_job().recovery_point_arn(point).iam_role_arn(ROLE).set_metadata(Some(metadata)).send().await;
        started.unwrap().restore_job_id.unwrap()
    }

    /// Waits for the end of a restore job: its status, the resource it names, its message.
    pub async fn end_of_restore(&self, id: &str) -> (String, Option<String>, Option<String>) {
        until("the restore job ends", async || {
            let job = self.backup.describe_restore_job().restore_job_id(id).send().await.unwrap();
            let status = job.status.unwrap();
            let over = !matches!(status, RestoreJobStatus::Pending | RestoreJobStatus::Running);
            over.then(|| (status.as_str().to_owned(), job.created_resource_arn, job.status_message))
        })
        .await
    }

    /// A versioned bucket.
    pub async fn bucket(&self, name: &str) {
        self.s3.create_bucket().bucket(name).send().await.unwrap();
        let versioning = aws_sdk_s3::types::VersioningConfiguration::builder().status("Enabled".into()).build();
        self.s3.put_bucket_versioning().bucket(name).versioning_configuration(versioning).send().await.unwrap();
    }

    /// A table with the key `id` and `count` items `i000…`.
    pub async fn table(&self, name: &str, count: usize) {
        let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build().unwrap();
        let id = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S).build().unwrap();
        let create = self.dynamodb.create_table().table_name(name).key_schema(key).attribute_definitions(id);
        create.billing_mode(BillingMode::PayPerRequest).send().await.unwrap();
        for number in 0..count {
            let put = self.dynamodb.put_item().table_name(name).item("id", AttributeValue::S(format!("i{number:03}")));
            put.item("n", AttributeValue::N(number.to_string())).send().await.unwrap();
        }
    }

    /// The items of a table: id and number.
    pub async fn items(&self, table: &str) -> Vec<(String, String)> {
        let found = self.dynamodb.scan().table_name(table).send().await.unwrap().items.unwrap();
        let mut items: Vec<_> = found.iter().map(|item| (item["id"].as_s().unwrap().clone(), item["n"].as_n().unwrap().clone())).collect();
        items.sort();
        items
    }

    /// The port of a DB instance that is available.
    pub async fn available(&self, instance: &str) -> u16 {
        until("the instance is available", async || {
            let found = self.rds.describe_db_instances().db_instance_identifier(instance).send().await.unwrap();
            let found = found.db_instances.unwrap().remove(0);
            assert_ne!(found.db_instance_status.as_deref(), Some("failed"), "{:?}", found.status_infos);
            let port = found.endpoint.and_then(|endpoint| endpoint.port);
            (found.db_instance_status.as_deref() == Some("available")).then(|| u16::try_from(port.unwrap()).unwrap())
        })
        .await
    }

    /// A DB instance with the user `keeper`, the password `first-secret` and the database `crm`; its port.
    pub async fn instance(&self, name: &str, engine: &str) -> u16 {
        let create = self.rds.create_db_instance().db_instance_identifier(name).engine(engine).db_instance_class("db.t4g.micro");
        create.master_username("keeper").master_user_password("first-secret").db_name("crm").send().await.unwrap();
        self.available(name).await
    }

    /// Deletes a DB instance and waits until it is gone.
    pub async fn drop_instance(&self, name: &str) {
        self.rds.delete_db_instance().db_instance_identifier(name).skip_final_snapshot(true).send().await.unwrap();
        until("the instance is gone", async || {
            let asked = self.rds.describe_db_instances().db_instance_identifier(name).send().await;
            asked.err().map(|error| assert!(error.into_service_error().is_db_instance_not_found_fault()))
        })
        .await;
    }
}
