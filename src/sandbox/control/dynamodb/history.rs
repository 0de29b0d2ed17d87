//! Point-in-time recovery: every change of a table is kept with its time, so that a restore to a second gives that second.
//!
//! DynamoDB keeps 35 days and lets one restore up to five minutes ago; here it is everything since recovery was enabled, up to now, so that a
//! test need not wait. A change at T belongs to the state at T.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::model::failure::Failure;
use crate::sandbox::control::answer::{Refused, epoch, now};
use crate::sandbox::control::dynamodb::backups::{DynamoDb, blocking, create_request, dump_items, table_name};
use crate::sandbox::control::dynamodb::state::{Restore, table_arn, table_in};
use crate::sandbox::control::faults::RestoreFault;

/// One change: what an item was from then on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// When.
    pub at: DateTime<Utc>,
    /// Its primary key, in DynamoDB JSON.
    pub keys: Value,
    /// The item; nothing where it was deleted.
    pub item: Option<Value>,
}

/// Operations that write, and where they name the keys that they write.
const WRITES: &[&str] = &[
    "PutItem",
    "DeleteItem",
    "UpdateItem",
    "BatchWriteItem",
    "TransactWriteItems",
    "ExecuteStatement",
    "ExecuteTransaction",
    "BatchExecuteStatement",
];

/// True for an operation that writes items.
pub fn writes(operation: &str) -> bool {
    WRITES.contains(&operation)
}

/// The tables and items or keys that a request writes; nothing where only the engine knows (PartiQL).
fn written(operation: &str, about: &Value) -> Option<Vec<(String, Value)>> {
    let table = |value: &Value| table_in(value["TableName"].as_str().unwrap_or_default()).to_owned();
    let of = |value: &Value, member: &str| (table(value), value[member].clone());
    Some(match operation {
        "PutItem" => vec![of(about, "Item")],
        "DeleteItem" | "UpdateItem" => vec![of(about, "Key")],
        "BatchWriteItem" => {
            let tables = about["RequestItems"].as_object().into_iter().flatten();
            let each = |(name, requests): (&String, &Value)| {
                let name = table_in(name).to_owned();
                let requests = requests.as_array().cloned().unwrap_or_default();
                requests.into_iter().map(move |one| {
                    let item =
                        if one["PutRequest"].is_object() { one["PutRequest"]["Item"].clone() } else { one["DeleteRequest"]["Key"].clone() };
                    (name.clone(), item)
                })
            };
            tables.flat_map(each).collect()
        }
        "TransactWriteItems" => {
            let items = about["TransactItems"].as_array().into_iter().flatten();
            let each = |one: &Value| {
                let (kind, inner) = one.as_object()?.iter().next()?;
                match kind.as_str() {
                    "Put" => Some(of(inner, "Item")),
                    "Update" | "Delete" => Some(of(inner, "Key")),
                    _ => None,
                }
            };
            items.filter_map(each).collect()
        }
        _ => return None,
    })
}

impl DynamoDb {
    fn history_file(&self, table: &str) -> std::path::PathBuf {
        self.folder.join(format!("history-{table}.jsonl"))
    }

    /// Since when the changes of `table` are kept.
    pub fn recoverable_since(&self, table: &str) -> Option<DateTime<Utc>> {
        self.state.read(|state| state.recovery.get(table).copied())
    }

    /// Whether the changes of any table are kept.
    pub(super) fn keeps_history(&self) -> bool {
        self.state.read(|state| !state.recovery.is_empty())
    }

    /// As if everything of a table, its backups included, had happened so many seconds earlier, and its history had begun an hour before that:
    /// windows of minutes can then be drilled without waiting for them.
    pub fn age(&self, table: &str, seconds: i64) -> Result<(), Failure> {
        let earlier = |at: DateTime<Utc>| at - chrono::Duration::seconds(seconds);
        if let Some(since) = self.recoverable_since(table) {
            let began = earlier(since) - chrono::Duration::hours(1);
            let mut changes = self.changes(table)?;
            for change in &mut changes {
                change.at = if change.at == since { began } else { earlier(change.at) };
            }
            let path = self.history_file(table);
            std::fs::remove_file(&path).map_err(|error| Failure::io(format!("cannot write {}", path.display()), error))?;
            self.append(table, &changes)?;
            self.state.change(|state| state.recovery.insert(table.to_owned(), began))?;
        }
        self.state.change(|state| {
            let ours = state.backups.values_mut().filter(|backup| backup.table == table);
            ours.for_each(|backup| backup.created = earlier(backup.created));
        })
    }

    pub(super) async fn update_continuous_backups(&self, input: &Value) -> Result<Value, Refused> {
        let table = table_name(input)?;
        let description = self.engine.describe(&table)?.ok_or_else(|| absent_table(&table))?;
        let enable = input["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] == true;
        {
            let _instant = self.gate.write().await;
            match (enable, self.recoverable_since(&table)) {
                (true, None) => {
                    let (engine, of) = (self.engine.clone(), table.clone());
                    let at = now();
                    let mut changes = Vec::new();
                    let items = blocking(move || dump_items(&engine, &of)).await?;
                    for item in items {
                        changes.push(Change { at, keys: keys_of(&item, &description), item: Some(item) });
                    }
                    let _ = std::fs::remove_file(self.history_file(&table));
                    self.append(&table, &changes)?;
                    self.state.change(|state| state.recovery.insert(table.clone(), at))?;
                }
                (false, Some(_)) => {
                    self.state.change(|state| state.recovery.remove(&table))?;
                    let _ = std::fs::remove_file(self.history_file(&table));
                }
                _ => {}
            }
        }
        self.describe_continuous_backups(input)
    }

    pub(super) fn describe_continuous_backups(&self, input: &Value) -> Result<Value, Refused> {
        let table = table_name(input)?;
        if self.engine.describe(&table)?.is_none() {
            return Err(absent_table(&table));
        }
        // Continuous backups are always on in DynamoDB; what can be off is point-in-time recovery.
        let recovery = match self.recoverable_since(&table) {
            Some(since) => json!({
                "PointInTimeRecoveryStatus": "ENABLED", "RecoveryPeriodInDays": 35,
                "EarliestRestorableDateTime": epoch(since), "LatestRestorableDateTime": epoch(now()),
            }),
            None => json!({"PointInTimeRecoveryStatus": "DISABLED"}),
        };
        Ok(json!({"ContinuousBackupsDescription": {"ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": recovery}}))
    }

    /// Keeps what a write that has just happened has made of its items. The gate is held.
    pub(super) fn record(&self, operation: &str, about: &Value) -> Result<(), Failure> {
        let at = now();
        let Some(written) = written(operation, about) else { return self.record_by_looking(at) };
        let mut changes: BTreeMap<String, Vec<Change>> = BTreeMap::new();
        for (table, item) in written {
            if self.recoverable_since(&table).is_none() {
                continue;
            }
            let Some(description) = self.engine.describe(&table)? else { continue };
            let keys = keys_of(&item, &description);
            let item = self.engine.get(&table, &keys)?;
            changes.entry(table).or_default().push(Change { at, keys, item });
        }
        changes.iter().try_for_each(|(table, changes)| self.append(table, changes))
    }

    /// PartiQL does not say what it writes: every table is held against what is known of it.
    fn record_by_looking(&self, at: DateTime<Utc>) -> Result<(), Failure> {
        let tables: Vec<String> = self.state.read(|state| state.recovery.keys().cloned().collect());
        for table in tables {
            let Some(description) = self.engine.describe(&table)? else { continue };
            let mut before = self.state_at(&table, at)?;
            let mut changes = Vec::new();
            for item in dump_items(&self.engine, &table)? {
                let keys = keys_of(&item, &description);
                if before.remove(&keys.to_string()).is_none_or(|(_, known)| known != item) {
                    changes.push(Change { at, keys, item: Some(item) });
                }
            }
            changes.extend(before.into_values().map(|(keys, _)| Change { at, keys, item: None }));
            self.append(&table, &changes)?;
        }
        Ok(())
    }

    fn append(&self, table: &str, changes: &[Change]) -> Result<(), Failure> {
        let path = self.history_file(table);
        let failed = |error| Failure::io(format!("cannot write {}", path.display()), error);
        let mut lines = String::new();
        for change in changes {
            lines += &serde_json::to_string(change).map_err(|error| Failure::invalid(error.to_string()))?;
            lines.push('\n');
        }
        let mut file = OpenOptions::new().create(true).append(true).open(&path).map_err(failed)?;
        file.write_all(lines.as_bytes()).map_err(failed)
    }

    /// Every change of a table, in order.
    pub(super) fn changes(&self, table: &str) -> Result<Vec<Change>, Failure> {
        let path = self.history_file(table);
        let failed = |error| Failure::io(format!("cannot read {}", path.display()), error);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let parse = |line: std::io::Result<String>| {
            serde_json::from_str(&line.map_err(failed)?).map_err(|error| Failure::invalid(format!("{}: {error}", path.display())))
        };
        BufReader::new(file).lines().map(parse).collect()
    }

    /// Key and item of each item of a table as it was at `at`, by the text of the key.
    pub(super) fn state_at(&self, table: &str, at: DateTime<Utc>) -> Result<BTreeMap<String, (Value, Value)>, Failure> {
        let mut items = BTreeMap::new();
        for change in self.changes(table)?.into_iter().filter(|change| change.at <= at) {
            match change.item {
                Some(item) => items.insert(change.keys.to_string(), (change.keys, item)),
                None => items.remove(&change.keys.to_string()),
            };
        }
        Ok(items)
    }

    pub(super) fn restore_to_point_in_time(&self, input: &Value, overrides: &[(&str, &Value)]) -> Result<Value, Refused> {
        let source =
            input["SourceTableName"].as_str().or_else(|| input["SourceTableArn"].as_str()).map(table_in).unwrap_or_default().to_owned();
        let target = input["TargetTableName"].as_str().unwrap_or_default();
        let description =
            self.engine.describe(&source)?.ok_or_else(|| Refused::new("TableNotFoundException", format!("Table not found: {source}")))?;
        let unavailable = || {
            Refused::new("PointInTimeRecoveryUnavailableException", format!("Point in time recovery is not enabled for table '{source}'"))
        };
        let since = self.recoverable_since(&source).ok_or_else(unavailable)?;
        let latest = now();
        let at = match input["RestoreDateTime"].as_f64() {
            Some(seconds) => time_of(seconds).ok_or_else(|| invalid_time(since, latest))?,
            None if input["UseLatestRestorableTime"] == true => latest,
            None => return Err(Refused::new("ValidationException", "One of RestoreDateTime and UseLatestRestorableTime must be given")),
        };
        if at < since || at > latest {
            return Err(invalid_time(since, latest));
        }
        let mut request = create_request(&description, target);
        for (name, value) in overrides {
            request[*name] = (*value).clone();
        }
        let fault = self.faults.of_restore(&table_arn(&source));
        let (said, instead) = self.source_of(&source, &table_arn(&source));
        let restore = Restore {
            request,
            backup: String::new(),
            source: said,
            instead,
            at: latest,
            until: Some(if fault == Some(RestoreFault::IgnoresTime) { latest } else { at }),
            said: Some(at),
            in_progress: true,
            hollow: fault == Some(RestoreFault::CompletesEmpty),
        };
        self.begin_restore(target, restore)
    }
}

/// The primary key of an item, by the description of its table.
pub fn keys_of(item: &Value, description: &Value) -> Value {
    let names = description["KeySchema"].as_array().into_iter().flatten().filter_map(|key| key["AttributeName"].as_str());
    let keys: Map<String, Value> = names.map(|name| (name.to_owned(), item[name].clone())).collect();
    Value::Object(keys)
}

/// An instant from the seconds that JSON protocols write.
pub fn time_of(seconds: f64) -> Option<DateTime<Utc>> {
    #[allow(clippy::cast_possible_truncation)]
    DateTime::from_timestamp_millis((seconds * 1000.0).round() as i64)
}

fn absent_table(table: &str) -> Refused {
    Refused::new("TableNotFoundException", format!("Table not found: {table}"))
}

fn invalid_time(since: DateTime<Utc>, latest: DateTime<Utc>) -> Refused {
    Refused::new("InvalidRestoreTimeException", format!("RestoreDateTime must be between {since} and {latest}"))
}
