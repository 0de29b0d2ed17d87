//! On-demand backups: taking, damaging, restoring, and what a restore leaves out.
//!
//! A restored table has the keys, indexes and items of the backup; time to live, streams and tags have to be set again (DynamoDB developer
//! guide, "Restoring a DynamoDB table from a backup").

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::RwLock;
use tokio::task::JoinSet;

use crate::model::failure::{Failure, FailureKind};
use crate::sandbox::control::answer::{Refused, epoch, now, random_hex};
use crate::sandbox::control::dynamodb::engine::Engine;
use crate::sandbox::control::dynamodb::state::{Backup, Restore, State, table_arn};
use crate::sandbox::control::faults::{Faults, RestoreFault};
use crate::sandbox::control::kept::Kept;
use crate::sandbox::s3::store::S3Store;

/// How long a restored table is CREATING at least.
const VISIBLE: Duration = Duration::from_millis(120);
const BATCH: usize = 500;
/// Restores under way at the same time (DynamoDB developer guide, "Service, account, and table quotas").
const MOST_RESTORES: usize = 50;

/// One change of the items in a backup. Items and keys are in DynamoDB's JSON, such as `{"id": {"S": "a"}}`.
#[derive(Clone, Debug, PartialEq)]
pub enum ItemDamage {
    /// The item with this key gets these attributes.
    Change { key: Value, set: Value },
    /// The item with this key is gone.
    Remove { key: Value },
    /// An item that was never there.
    Add { item: Value },
}

/// The DynamoDB of the sandbox.
pub struct DynamoDb {
    pub(super) engine: Arc<Engine>,
    pub(super) state: Kept<State>,
    pub(super) faults: Arc<Faults>,
    /// Requests hold it to read, a backup to write: a backup shows one instant.
    pub(super) gate: RwLock<()>,
    pub(super) folder: PathBuf,
    pub(super) buckets: S3Store,
    tasks: Mutex<JoinSet<()>>,
    me: Weak<Self>,
}

impl DynamoDb {
    /// Opens the state in `dir` and goes on with the restores that were under way.
    pub async fn open(dir: &Path, faults: Arc<Faults>, buckets: S3Store) -> Result<Arc<Self>, Failure> {
        let folder = dir.join("dynamodb");
        std::fs::create_dir_all(&folder).map_err(|error| Failure::io(format!("cannot create {}", folder.display()), error))?;
        let engine = Arc::new(Engine::open(&folder.join("tables.sqlite")).await?);
        let state = Kept::open(&folder.join("state.json"))?;
        let dynamo = Arc::new_cyclic(|me| Self {
            engine,
            state,
            faults,
            gate: RwLock::default(),
            folder,
            buckets,
            tasks: Mutex::default(),
            me: me.clone(),
        });
        let unfinished: Vec<String> = dynamo.state.read(|state: &State| {
            state.restores.iter().filter(|(_, restore)| restore.in_progress).map(|(table, _)| table.clone()).collect()
        });
        unfinished.iter().for_each(|table| dynamo.spawn_restore(table));
        Ok(dynamo)
    }

    fn items_file(&self, backup: &Backup) -> PathBuf {
        self.folder.join(format!("{}.jsonl", backup.id()))
    }

    /// A backup.
    pub fn backup(&self, arn: &str) -> Option<Backup> {
        self.state.read(|state| state.backups.get(arn).cloned())
    }

    /// True when a table is there and no restore into it is under way; `None` when it is not there.
    pub fn is_active(&self, table: &str) -> Result<Option<bool>, Failure> {
        let restoring = self.state.read(|state| state.restores.get(table).is_some_and(|restore| restore.in_progress));
        Ok(self.engine.describe(table)?.map(|_| !restoring))
    }

    /// Takes a backup of `table`; `kind` is `USER` or `AWS_BACKUP`.
    pub async fn take_backup(&self, table: &str, name: &str, kind: &str) -> Result<Backup, Refused> {
        let absent = || Refused::new("TableNotFoundException", format!("Table not found: {table}"));
        if self.is_active(table)? == Some(false) {
            return Err(Refused::new("TableInUseException", format!("Table is being restored: {table}")));
        }
        let _instant = self.gate.write().await;
        let description = self.engine.describe(table)?.ok_or_else(absent)?;
        let created = now();
        let arn = format!("{}/backup/{:014}-{}", table_arn(table), created.timestamp_millis(), random_hex(4));
        let time_to_live = self.engine.time_to_live(table)?;
        let mut backup = Backup {
            arn,
            name: name.into(),
            kind: kind.into(),
            table: table.into(),
            description,
            created,
            items: 0,
            size: 0,
            time_to_live,
        };
        let (engine, file, table) = (self.engine.clone(), self.items_file(&backup), table.to_owned());
        (backup.items, backup.size) = match self.faults.fuzzy_seconds(&table_arn(&table)) {
            // Half of the keys are as they were so many seconds ago, which on-demand backups are documented to be free to do.
            Some(seconds) => {
                let past = self.state_at(&table, created - chrono::Duration::seconds(seconds))?;
                let present = self.state_at(&table, created)?;
                let early = |key: &str| blake3::hash(key.as_bytes()).as_bytes()[0].is_multiple_of(2);
                let items: Vec<Value> = past
                    .into_iter()
                    .filter(|(key, _)| early(key))
                    .chain(present.into_iter().filter(|(key, _)| !early(key)))
                    .map(|(_, (_, item))| item)
                    .collect();
                let lines: String = items.iter().map(|item| format!("{item}\n")).collect();
                std::fs::write(&file, &lines).map_err(|error| Failure::io(format!("cannot write {}", file.display()), error))?;
                (items.len() as u64, lines.len() as u64)
            }
            None => blocking(move || dump(&engine, &table, &file)).await?,
        };
        self.state.change(|state| state.backups.insert(backup.arn.clone(), backup.clone()))?;
        Ok(backup)
    }

    /// Forgets a backup.
    pub fn remove_backup(&self, arn: &str) -> Result<Backup, Refused> {
        let backup = self.state.change(|state| state.backups.remove(arn))?.ok_or_else(|| absent_backup(arn))?;
        let _ = std::fs::remove_file(self.items_file(&backup));
        Ok(backup)
    }

    /// Changes the items of a backup; the table it was taken of stays whole.
    pub fn damage_backup(&self, arn: &str, damage: &ItemDamage) -> Result<(), Failure> {
        let backup = self.backup(arn).ok_or_else(|| Failure::new(FailureKind::Absent, format!("there is no backup {arn}")))?;
        let file = self.items_file(&backup);
        let mut items = read_items(&file)?.collect::<Result<Vec<Value>, Failure>>()?;
        let place = |key: &Value| {
            let found =
                items.iter().position(|item| key.as_object().is_some_and(|key| key.iter().all(|(name, value)| item[name] == *value)));
            found.ok_or_else(|| Failure::new(FailureKind::Absent, format!("the backup has no item with the key {key}")))
        };
        match damage {
            ItemDamage::Change { key, set } => {
                let at = place(key)?;
                for (name, value) in set.as_object().into_iter().flatten() {
                    items[at][name] = value.clone();
                }
            }
            ItemDamage::Remove { key } => drop(items.remove(place(key)?)),
            ItemDamage::Add { item } => items.push(item.clone()),
        }
        let part = file.with_extension("part");
        let failed = |error| Failure::io(format!("cannot write {}", file.display()), error);
        let lines: String = items.iter().map(|item| format!("{item}\n")).collect();
        std::fs::write(&part, lines).map_err(failed)?;
        std::fs::rename(&part, &file).map_err(failed)
    }

    /// Begins to restore a backup into a table that must not be there; it is ACTIVE some hundred milliseconds later.
    ///
    /// `overrides` are members of CreateTable that replace those of the backup, such as `SSESpecification`.
    pub fn restore(&self, arn: &str, target: &str, overrides: &[(&str, &Value)]) -> Result<Value, Refused> {
        let backup = self.backup(arn).ok_or_else(|| absent_backup(arn))?;
        let mut request = create_request(&backup.description, target);
        for (name, value) in overrides {
            request[*name] = (*value).clone();
        }
        let (source, instead) = self.source_of(&backup.table, arn);
        let restore = Restore {
            request,
            backup: arn.into(),
            source,
            instead,
            at: now(),
            until: None,
            said: None,
            in_progress: true,
            hollow: self.faults.of_restore(arn) == Some(RestoreFault::CompletesEmpty),
        };
        self.begin_restore(target, restore)
    }

    /// The ARN that a restore of `table` says it is of, and the table whose items it brings instead; faults are planted for `arn`.
    pub(super) fn source_of(&self, table: &str, arn: &str) -> (String, Option<String>) {
        match self.faults.of_restore(arn) {
            Some(RestoreFault::AnotherTable { table: other, admitted }) => (table_arn(if admitted { &other } else { table }), Some(other)),
            _ => (table_arn(table), None),
        }
    }

    /// Notes a restore, makes its table, and begins to fill it.
    pub(super) fn begin_restore(&self, target: &str, restore: Restore) -> Result<Value, Refused> {
        if self.engine.describe(target)?.is_some() {
            return Err(Refused::new("TableAlreadyExistsException", format!("Table already exists: {target}")));
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        if !(3..=255).contains(&target.len()) || !target.bytes().all(plain) {
            return Err(Refused::new(
                "ValidationException",
                format!("TargetTableName {target} must have 3 to 255 characters of a-z, A-Z, 0-9, _, - and ."),
            ));
        }
        if self.state.read(|state| state.restores.values().filter(|restore| restore.in_progress).count()) >= MOST_RESTORES {
            let message = format!("Subscriber limit exceeded: at most {MOST_RESTORES} concurrent table restores");
            return Err(Refused::new("LimitExceededException", message));
        }
        let fault = self.faults.of_restore(restored_from(&restore));
        if matches!(fault, Some(RestoreFault::Fails { .. } | RestoreFault::CompletesWithoutResource | RestoreFault::WrongType)) {
            // Accepted, and no table ever comes of it: what DynamoDB does not make, it does not describe.
            let (arn, key) = (table_arn(target), &restore.request["KeySchema"]);
            return Ok(json!({"TableName": target, "TableArn": arn, "TableStatus": "CREATING", "KeySchema": key}));
        }
        // First the note, then the table: a table without a note would pass for whole after a kill.
        let request = restore.request.clone();
        self.state.change(|state| state.restores.insert(target.into(), restore))?;
        if let Err(failure) = self.engine.create(request) {
            self.state.change(|state| state.restores.remove(target))?;
            return Err(Refused::new("ValidationException", failure.to_string()));
        }
        self.spawn_restore(target);
        let mut description = self.engine.describe(target)?.unwrap_or_default();
        self.dress(target, &mut description);
        Ok(description)
    }

    fn spawn_restore(&self, table: &str) {
        let Some(me) = self.me.upgrade() else { return };
        let from = self.state.read(|state| state.restores.get(table).map(|restore| restored_from(restore).to_owned()));
        if from.is_some_and(|from| self.faults.of_restore(&from) == Some(RestoreFault::Hangs)) {
            return;
        }
        let table = table.to_owned();
        let mut tasks = self.tasks.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            let ((), loaded) = tokio::join!(tokio::time::sleep(VISIBLE), me.load(&table));
            // A table whose items cannot be read stays CREATING, as a restore that never ends.
            if loaded.is_ok() {
                let _ = me.state.change(|state| state.restores.get_mut(&table).map(|restore| restore.in_progress = false));
            }
        });
    }

    async fn load(&self, table: &str) -> Result<(), Failure> {
        let Some(restore) = self.state.read(|state| state.restores.get(table).cloned()) else { return Ok(()) };
        let past = match restore.until {
            _ if restore.instead.is_some() => None,
            Some(until) => {
                let source = crate::sandbox::control::dynamodb::state::table_in(&restore.source);
                Some(self.state_at(source, until)?.into_values().map(|(_, item)| Ok(item)))
            }
            None => None,
        };
        let file = match self.backup(&restore.backup) {
            Some(backup) => self.items_file(&backup),
            None if past.is_none() && restore.instead.is_none() => return Ok(()),
            None => PathBuf::new(),
        };
        let (engine, table) = (self.engine.clone(), table.to_owned());
        blocking(move || {
            if engine.describe(&table)?.is_none() {
                engine.create(restore.request)?;
            }
            if restore.hollow {
                return Ok(());
            }
            let mut batch = Vec::with_capacity(BATCH);
            let items: Box<dyn Iterator<Item = Result<Value, Failure>>> = match (past, &restore.instead) {
                (_, Some(other)) => Box::new(dump_items(&engine, other)?.into_iter().map(Ok)),
                (Some(past), None) => Box::new(past),
                (None, None) => Box::new(read_items(&file)?),
            };
            for item in items {
                batch.push(item?);
                if batch.len() == BATCH {
                    engine.import(&table, std::mem::take(&mut batch))?;
                }
            }
            engine.import(&table, batch)
        })
        .await
    }

    /// Adds to a table's description what the engine does not know: the restore it came from.
    pub(super) fn dress(&self, table: &str, description: &mut Value) {
        let Some(restore) = self.state.read(|state| state.restores.get(table).cloned()) else { return };
        if restore.in_progress {
            description["TableStatus"] = "CREATING".into();
        }
        description["RestoreSummary"] = json!({
            "SourceTableArn": restore.source,
            "RestoreDateTime": epoch(restore.said.unwrap_or(restore.at)),
            "RestoreInProgress": restore.in_progress,
        });
        if !restore.backup.is_empty() {
            description["RestoreSummary"]["SourceBackupArn"] = restore.backup.into();
        }
    }

    /// Ends the background work; restores go on at the next start.
    pub async fn stop(&self) {
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
        tasks.shutdown().await;
    }
}

/// What faults of a restore are planted for: the backup's ARN, or for a point in time that of the table.
fn restored_from(restore: &Restore) -> &str {
    if restore.backup.is_empty() { &restore.source } else { &restore.backup }
}

/// `BackupNotFoundException`.
pub fn absent_backup(arn: &str) -> Refused {
    Refused::new("BackupNotFoundException", format!("Backup not found: {arn}"))
}

/// The CreateTable request for a table like the described one: keys, indexes, billing and encryption; no streams, no tags.
pub(super) fn create_request(description: &Value, target: &str) -> Value {
    let on_demand = description["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST";
    let capacity = |from: &Value| {
        let units = |name: &str| from[name].as_u64().unwrap_or(0).max(1);
        json!({"ReadCapacityUnits": units("ReadCapacityUnits"), "WriteCapacityUnits": units("WriteCapacityUnits")})
    };
    let index = |from: &Value, global: bool| {
        let mut index = json!({"IndexName": from["IndexName"], "KeySchema": from["KeySchema"], "Projection": from["Projection"]});
        if global && !on_demand {
            index["ProvisionedThroughput"] = capacity(&from["ProvisionedThroughput"]);
        }
        index
    };
    let mut request = json!({
        "TableName": target,
        "KeySchema": description["KeySchema"],
        "AttributeDefinitions": description["AttributeDefinitions"],
        "BillingMode": if on_demand { "PAY_PER_REQUEST" } else { "PROVISIONED" },
    });
    if !on_demand {
        request["ProvisionedThroughput"] = capacity(&description["ProvisionedThroughput"]);
    }
    for (name, global) in [("GlobalSecondaryIndexes", true), ("LocalSecondaryIndexes", false)] {
        if let Some(indexes) = description[name].as_array().filter(|indexes| !indexes.is_empty()) {
            request[name] = indexes.iter().map(|from| index(from, global)).collect();
        }
    }
    request
}

/// Every item of a table.
pub(super) fn dump_items(engine: &Engine, table: &str) -> Result<Vec<Value>, Failure> {
    let (mut items, mut start) = (Vec::new(), None);
    loop {
        let (page, next) = engine.scan(table, start.as_ref())?;
        items.extend(page);
        start = next;
        if start.is_none() {
            return Ok(items);
        }
    }
}

/// The table that a request names, by name or ARN.
pub(super) fn table_name(input: &Value) -> Result<String, Refused> {
    let name = input["TableName"].as_str().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Refused::new("ValidationException", "TableName must be given"))?;
    Ok(crate::sandbox::control::dynamodb::state::table_in(name).to_owned())
}

fn dump(engine: &Engine, table: &str, file: &Path) -> Result<(u64, u64), Failure> {
    let failed = |error| Failure::io(format!("cannot write {}", file.display()), error);
    let mut out = BufWriter::new(File::create(file).map_err(failed)?);
    let (mut items, mut size, mut start) = (0, 0, None);
    loop {
        let (page, next) = engine.scan(table, start.as_ref())?;
        for item in page {
            let line = format!("{item}\n");
            items += 1;
            size += line.len() as u64;
            out.write_all(line.as_bytes()).map_err(failed)?;
        }
        start = next;
        if start.is_none() {
            break;
        }
    }
    out.flush().map_err(failed)?;
    Ok((items, size))
}

fn read_items(file: &Path) -> Result<impl Iterator<Item = Result<Value, Failure>>, Failure> {
    let name = file.display().to_string();
    let open = File::open(file).map_err(|error| Failure::io(format!("cannot read {name}"), error))?;
    Ok(BufReader::new(open).lines().map(move |line| {
        let line = line.map_err(|error| Failure::io(format!("cannot read {name}"), error))?;
        serde_json::from_str(&line).map_err(|error| Failure::invalid(format!("{name}: {error}")))
    }))
}

pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Failure::new(FailureKind::Remote, "the work was cut short").caused_by(error))?
}
