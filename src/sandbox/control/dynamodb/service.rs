//! DynamoDB's operations: ours are answered here, the engine's are handed on.

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};

use crate::model::failure::Failure;
use crate::sandbox::control::answer::{self, Answer, Protocol, Refused, epoch, page, refuse};
use crate::sandbox::control::dynamodb::backups::{DynamoDb, absent_backup};
use crate::sandbox::control::dynamodb::history;
use crate::sandbox::control::dynamodb::regions;
use crate::sandbox::control::dynamodb::state::{Backup, table_arn, table_in};
use crate::sandbox::wire::Service;

/// Operations that carry items: nothing in them is translated, since an item may hold anything.
const ITEM_OPERATIONS: &[&str] = &[
    "PutItem",
    "GetItem",
    "DeleteItem",
    "UpdateItem",
    "Query",
    "Scan",
    "BatchGetItem",
    "BatchWriteItem",
    "TransactWriteItems",
    "TransactGetItems",
    "ExecuteStatement",
    "ExecuteTransaction",
    "BatchExecuteStatement",
];

#[async_trait]
impl Service for DynamoDb {
    async fn call(&self, request: Request<Bytes>) -> Response<Bytes> {
        let target = request.headers().get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let operation = target.split_once('.').map_or("", |(_, operation)| operation).to_owned();
        let region = regions::of(&request);
        let answer = match self.enter(&region, &operation, request) {
            Ok(request) => self.act(&operation, request).await,
            Err(refused) => Err(refused),
        };
        let answer = answer.unwrap_or_else(|refused| refuse(Protocol::Json10, &refused));
        self.leave(&region, &operation, ITEM_OPERATIONS.contains(&operation.as_str()), answer)
    }

    async fn shutdown(&self) {
        self.stop().await;
    }
}

impl DynamoDb {
    async fn act(&self, operation: &str, request: Request<Bytes>) -> Answer {
        self.faults.meet("dynamodb")?;
        let ours = match operation {
            "CreateBackup" => self.create_backup(&input(&request)?).await?,
            "DescribeBackup" => self.describe_backup(&input(&request)?)?,
            "ListBackups" => self.list_backups(&input(&request)?)?,
            "DeleteBackup" => {
                let removed = self.remove_backup(text(&input(&request)?, "BackupArn")?)?;
                let mut said = described(&removed);
                said["BackupDetails"]["BackupStatus"] = "DELETED".into();
                json!({"BackupDescription": said})
            }
            "RestoreTableFromBackup" => {
                let input = input(&request)?;
                json!({"TableDescription": self.restore(text(&input, "BackupArn")?, text(&input, "TargetTableName")?, &overrides(&input))?})
            }
            "RestoreTableToPointInTime" => {
                let input = input(&request)?;
                text(&input, "TargetTableName")?;
                json!({"TableDescription": self.restore_to_point_in_time(&input, &overrides(&input))?})
            }
            "DescribeContinuousBackups" => self.describe_continuous_backups(&input(&request)?)?,
            "UpdateContinuousBackups" => self.update_continuous_backups(&input(&request)?).await?,
            "ExportTableToPointInTime" => self.export_table(&input(&request)?).await?,
            "DescribeExport" => self.describe_export(&input(&request)?)?,
            "ListExports" => self.list_exports(&input(&request)?),
            _ => return self.hand_on(operation, request).await,
        };
        Ok(answer::json(Protocol::Json10, &ours))
    }

    async fn hand_on(&self, operation: &str, request: Request<Bytes>) -> Answer {
        let (parts, mut body) = request.into_parts();
        let mut about: Value = serde_json::from_slice(&body).unwrap_or_default();
        // Since 2024 an ARN may stand for a table's name; the engine knows names only.
        if let Some(name) = about["TableName"].as_str().filter(|name| table_in(name) != *name).map(|name| table_in(name).to_owned()) {
            about["TableName"] = name.into();
            body = about.to_string().into();
        }
        let items = ITEM_OPERATIONS.contains(&operation);
        self.check_restoring(operation, items, &about)?;
        let table = about["TableName"].as_str().map(|name| table_in(name).to_owned());
        let open = self.gate.read().await;
        // Under the gate: nobody begins to keep a history while this is decided.
        let mut response = if history::writes(operation) && self.keeps_history() {
            drop(open);
            // Alone, so that what is read back is what this request has written.
            let _alone = self.gate.write().await;
            let response = self.engine.forward(&parts.headers, body, !items).await?;
            if response.status().is_success() {
                self.record(operation, &about)?;
            }
            response
        } else {
            self.engine.forward(&parts.headers, body, !items).await?
        };
        if let Some(table) = table.filter(|_| response.status().is_success()) {
            match operation {
                "DescribeTable" => {
                    let mut said: Value = serde_json::from_slice(response.body()).unwrap_or_default();
                    self.dress(&table, &mut said["Table"]);
                    *response.body_mut() = said.to_string().into();
                }
                "DeleteTable" => {
                    self.state.change(|state| {
                        state.restores.remove(&table);
                        state.recovery.remove(&table);
                    })?;
                    self.forget_region(&table)?;
                }
                _ => {}
            }
        }
        Ok(response)
    }

    /// A table that is being restored cannot be used yet.
    fn check_restoring(&self, operation: &str, items: bool, about: &Value) -> Result<(), Refused> {
        if !items && operation != "DeleteTable" && operation != "UpdateTable" {
            return Ok(());
        }
        let one = about["TableName"].as_str().into_iter();
        let many = about["RequestItems"].as_object().into_iter().flat_map(|tables| tables.keys().map(String::as_str));
        let restoring = one
            .chain(many)
            .map(table_in)
            .find(|table| self.state.read(|state| state.restores.get(*table).is_some_and(|restore| restore.in_progress)));
        match restoring {
            None => Ok(()),
            Some(table) if !items => Err(Refused::new("ResourceInUseException", format!("Table is being created: {table}"))),
            Some(_) => Err(Refused::new("ResourceNotFoundException", "Requested resource not found")),
        }
    }

    async fn create_backup(&self, input: &Value) -> Result<Value, Refused> {
        let (table, name) = (table_in(text(input, "TableName")?), text(input, "BackupName")?);
        let backup = self.take_backup(table, name, "USER").await?;
        Ok(json!({"BackupDetails": details(&backup)}))
    }

    fn describe_backup(&self, input: &Value) -> Result<Value, Refused> {
        let arn = text(input, "BackupArn")?;
        let backup = self.backup(arn).ok_or_else(|| absent_backup(arn))?;
        Ok(json!({"BackupDescription": described(&backup)}))
    }

    fn list_backups(&self, input: &Value) -> Result<Value, Refused> {
        let table = input["TableName"].as_str().map(table_in);
        let kind = input["BackupType"].as_str().unwrap_or("USER");
        let (from, to) = (input["TimeRangeLowerBound"].as_f64(), input["TimeRangeUpperBound"].as_f64());
        let mut found: Vec<Backup> = self.state.read(|state| state.backups.values().cloned().collect());
        found.retain(|backup| {
            let at = epoch(backup.created).as_f64().unwrap_or_default();
            table.is_none_or(|table| table == backup.table)
                && (kind == "ALL" || kind == backup.kind)
                && from.is_none_or(|from| at >= from)
                && to.is_none_or(|to| at < to)
        });
        let limit = input["Limit"].as_u64().and_then(|limit| usize::try_from(limit).ok()).unwrap_or(100);
        let after = input["ExclusiveStartBackupArn"].as_str();
        let (found, next) = page(found, |backup| backup.arn.clone(), after, limit);
        let summaries: Vec<Value> = found
            .iter()
            .map(|backup| {
                let mut summary = details(backup);
                summary["TableName"] = backup.table.clone().into();
                summary["TableArn"] = table_arn(&backup.table).into();
                summary["TableId"] = backup.description["TableId"].clone();
                summary
            })
            .collect();
        let mut said = json!({"BackupSummaries": summaries});
        if let Some(next) = next {
            said["LastEvaluatedBackupArn"] = next.into();
        }
        Ok(said)
    }
}

/// Members of CreateTable that a restore replaces.
fn overrides(input: &Value) -> Vec<(&'static str, &Value)> {
    let names = [
        ("BillingMode", "BillingModeOverride"),
        ("ProvisionedThroughput", "ProvisionedThroughputOverride"),
        ("SSESpecification", "SSESpecificationOverride"),
        ("GlobalSecondaryIndexes", "GlobalSecondaryIndexOverride"),
        ("LocalSecondaryIndexes", "LocalSecondaryIndexOverride"),
    ];
    names.iter().filter_map(|(name, given)| Some((*name, input.get(*given)?))).collect()
}

fn input(request: &Request<Bytes>) -> Result<Value, Refused> {
    serde_json::from_slice(request.body())
        .map_err(|error| Refused::new("SerializationException", Failure::invalid(error.to_string()).to_string()))
}

fn text<'a>(input: &'a Value, name: &str) -> Result<&'a str, Refused> {
    let said = || {
        Refused::new(
            "ValidationException",
            format!("1 validation error detected: Value null at '{name}' failed to satisfy constraint: Member must not be null"),
        )
    };
    input[name].as_str().filter(|value| !value.is_empty()).ok_or_else(said)
}

fn details(backup: &Backup) -> Value {
    json!({
        "BackupArn": backup.arn,
        "BackupName": backup.name,
        "BackupSizeBytes": backup.size,
        "BackupStatus": "AVAILABLE",
        "BackupType": backup.kind,
        "BackupCreationDateTime": epoch(backup.created),
    })
}

fn described(backup: &Backup) -> Value {
    let table = &backup.description;
    let on_demand = table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST";
    let throughput = &table["ProvisionedThroughput"];
    let units = |name: &str| throughput[name].as_u64().unwrap_or(0);
    let indexes = |name: &str| -> Vec<Value> {
        let all = table[name].as_array().into_iter().flatten();
        all.map(|index| json!({"IndexName": index["IndexName"], "KeySchema": index["KeySchema"], "Projection": index["Projection"]}))
            .collect()
    };
    json!({
        "BackupDetails": details(backup),
        "SourceTableDetails": {
            "TableName": backup.table,
            "TableId": table["TableId"],
            "TableArn": table_arn(&backup.table),
            "TableSizeBytes": backup.size,
            "KeySchema": table["KeySchema"],
            "TableCreationDateTime": table["CreationDateTime"],
            "ProvisionedThroughput": {"ReadCapacityUnits": units("ReadCapacityUnits"), "WriteCapacityUnits": units("WriteCapacityUnits")},
            "ItemCount": backup.items,
            "BillingMode": if on_demand { "PAY_PER_REQUEST" } else { "PROVISIONED" },
        },
        "SourceTableFeatureDetails": {
            "GlobalSecondaryIndexes": indexes("GlobalSecondaryIndexes"),
            "LocalSecondaryIndexes": indexes("LocalSecondaryIndexes"),
            "TimeToLiveDescription": backup.time_to_live,
        },
    })
}
