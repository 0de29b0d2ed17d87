//! ExportTableToPointInTime: real files in a bucket of the sandbox, in the layout that DynamoDB writes (developer guide, "DynamoDB table
//! export output format"). Full exports have a folder of their own for their data, incremental ones share one.

use std::collections::BTreeMap;
use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};
use md5::{Digest, Md5};
use serde_json::{Value, json};

use crate::model::failure::Failure;
use crate::sandbox::control::answer::{Refused, epoch, now, random_hex};
use crate::sandbox::control::dynamodb::backups::{DynamoDb, blocking};
use crate::sandbox::control::dynamodb::history::time_of;
use crate::sandbox::control::dynamodb::state::{Exported, table_arn, table_in};
use crate::sandbox::s3::blobs::Incoming;
use crate::sandbox::s3::digests::DEFAULT_ALGORITHM;
use crate::sandbox::s3::ops::write;
use crate::sandbox::s3::record::{Checksum, Content, Meta};
use crate::sandbox::s3::store::S3Store;
use crate::sandbox::s3::versions::Conditions;

/// Data files of an export: several, so that readers have something to spread.
const DATA_FILES: usize = 3;

impl Exported {
    fn id(&self) -> &str {
        self.arn.rsplit('/').next().unwrap_or_default()
    }

    fn folder(&self) -> String {
        let base = self.prefix.as_deref().map(|prefix| format!("{prefix}/")).unwrap_or_default();
        format!("{base}AWSDynamoDB")
    }

    fn described(&self) -> Value {
        let mut said = json!({
            "ExportArn": self.arn, "ExportStatus": "COMPLETED", "TableArn": table_arn(&self.table), "S3Bucket": self.bucket,
            "StartTime": epoch(self.started), "EndTime": epoch(self.started), "ExportFormat": "DYNAMODB_JSON", "ItemCount": self.items,
            "ExportManifest": format!("{}/{}/manifest-summary.json", self.folder(), self.id()), "BilledSizeBytes": 0,
            "ExportType": if self.from.is_some() { "INCREMENTAL_EXPORT" } else { "FULL_EXPORT" },
        });
        match self.from {
            Some(from) => {
                said["IncrementalExportSpecification"] =
                    json!({"ExportFromTime": epoch(from), "ExportToTime": epoch(self.to), "ExportViewType": "NEW_AND_OLD_IMAGES"});
            }
            None => said["ExportTime"] = epoch(self.to),
        }
        if let Some(prefix) = &self.prefix {
            said["S3Prefix"] = prefix.clone().into();
        }
        said
    }
}

impl DynamoDb {
    pub(super) async fn export_table(&self, input: &Value) -> Result<Value, Refused> {
        let table = table_in(input["TableArn"].as_str().unwrap_or_default()).to_owned();
        let token = input["ClientToken"].as_str().map(str::to_owned);
        let before = self.state.read(|state| state.exports.values().find(|one| token.is_some() && one.token == token).cloned());
        if let Some(before) = before {
            return Ok(json!({"ExportDescription": before.described()}));
        }
        if self.engine.describe(&table)?.is_none() {
            return Err(Refused::new("TableNotFoundException", format!("Table not found: {table}")));
        }
        let since = self.recoverable_since(&table).ok_or_else(|| {
            Refused::new("PointInTimeRecoveryUnavailableException", format!("Point in time recovery is not enabled for table '{table}'"))
        })?;
        if input["ExportFormat"].as_str().is_some_and(|format| format != "DYNAMODB_JSON") {
            return Err(Refused::new("ValidationException", "the sandbox exports DYNAMODB_JSON only"));
        }
        let latest = now();
        let at = |value: &Value| value.as_f64().and_then(time_of);
        let window = &input["IncrementalExportSpecification"];
        let incremental = input["ExportType"] == "INCREMENTAL_EXPORT";
        let to = at(if incremental { &window["ExportToTime"] } else { &input["ExportTime"] }).unwrap_or(latest);
        let from = incremental.then(|| at(&window["ExportFromTime"])).flatten();
        if to < since || to > latest || (incremental && from.is_none_or(|from| from < since || from >= to)) {
            return Err(Refused::new("InvalidExportTimeException", format!("The times of an export must be between {since} and {latest}")));
        }
        let bucket = input["S3Bucket"].as_str().unwrap_or_default().to_owned();
        if !self.buckets.has_bucket(&bucket)? {
            return Err(Refused::new("ValidationException", format!("The bucket {bucket} does not exist")));
        }
        let id = format!("{:014}-{}", latest.timestamp_millis(), random_hex(4));
        let prefix = input["S3Prefix"].as_str().map(|prefix| prefix.trim_end_matches('/').to_owned()).filter(|prefix| !prefix.is_empty());
        let arn = format!("{}/export/{id}", table_arn(&table));
        let mut export = Exported { arn, table, bucket, prefix, started: latest, to, from, token, items: 0 };
        let lines = match from {
            None => self.state_at(&export.table, to)?.into_values().map(|(_, item)| json!({"Item": item}).to_string()).collect(),
            Some(from) => self.change_lines(&export.table, from, to)?,
        };
        export.items = lines.len() as u64;
        let (store, of) = (self.buckets.clone(), export.clone());
        let table_id = self.engine.describe(&export.table)?.unwrap_or_default()["TableId"].clone();
        blocking(move || write_files(&store, &of, &lines, &table_id)).await?;
        self.state.change(|state| state.exports.insert(export.arn.clone(), export.clone()))?;
        // A client that waits for COMPLETED has to ask, as with AWS.
        let mut said = export.described();
        said["ExportStatus"] = "IN_PROGRESS".into();
        Ok(json!({"ExportDescription": said}))
    }

    /// The keys written from `from` (included) to `to` (not), each once, with its images before and after.
    fn change_lines(&self, table: &str, from: DateTime<Utc>, to: DateTime<Utc>) -> Result<Vec<String>, Failure> {
        let mut last: BTreeMap<String, (DateTime<Utc>, Value)> = BTreeMap::new();
        let mut after: BTreeMap<String, Value> = BTreeMap::new();
        let mut old: BTreeMap<String, Value> = BTreeMap::new();
        for change in self.changes(table)? {
            let key = change.keys.to_string();
            if change.at < from {
                match change.item {
                    Some(item) => drop(old.insert(key, item)),
                    None => drop(old.remove(&key)),
                }
            } else if change.at < to {
                match change.item {
                    Some(item) => drop(after.insert(key.clone(), item)),
                    None => drop(after.remove(&key)),
                }
                last.insert(key, (change.at, change.keys));
            }
        }
        let line = |(key, (at, keys)): (String, (DateTime<Utc>, Value))| {
            let mut line = json!({"Metadata": {"WriteTimestampMicros": {"N": at.timestamp_micros().to_string()}}, "Keys": keys});
            if let Some(item) = old.get(&key) {
                line["OldImage"] = item.clone();
            }
            if let Some(item) = after.get(&key) {
                line["NewImage"] = item.clone();
            }
            line.to_string()
        };
        Ok(last.into_iter().map(line).collect())
    }

    pub(super) fn describe_export(&self, input: &Value) -> Result<Value, Refused> {
        let arn = input["ExportArn"].as_str().unwrap_or_default();
        let export = self.state.read(|state| state.exports.get(arn).cloned());
        let export = export.ok_or_else(|| Refused::new("ExportNotFoundException", format!("Export not found: {arn}")))?;
        Ok(json!({"ExportDescription": export.described()}))
    }

    pub(super) fn list_exports(&self, input: &Value) -> Value {
        let of = input["TableArn"].as_str().map(table_in);
        let all: Vec<Value> = self.state.read(|state| {
            let ours = state.exports.values().filter(|export| of.is_none_or(|table| table == export.table));
            ours.map(|export| {
                let said = export.described();
                json!({"ExportArn": said["ExportArn"], "ExportStatus": said["ExportStatus"], "ExportType": said["ExportType"]})
            })
            .collect()
        });
        json!({"ExportSummaries": all})
    }
}

fn write_files(store: &S3Store, export: &Exported, lines: &[String], table_id: &Value) -> Result<(), Failure> {
    let (folder, id) = (export.folder(), export.id());
    let data = if export.from.is_some() { format!("{folder}/data") } else { format!("{folder}/{id}/data") };
    put(store, &export.bucket, &format!("{folder}/{id}/_started"), b"")?;
    let mut list = String::new();
    for file in 0..DATA_FILES {
        let own: Vec<&String> = lines.iter().skip(file).step_by(DATA_FILES).collect();
        let failed = |error| Failure::io("cannot pack an export", error);
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        for line in &own {
            writeln!(packer, "{line}").map_err(failed)?;
        }
        let packed = packer.finish().map_err(failed)?;
        let key = format!("{data}/{}.json.gz", random_hex(13));
        let md5 = Md5::digest(&packed);
        let line = json!({
            "itemCount": own.len(), "md5Checksum": STANDARD.encode(md5), "etag": format!("{}-1", hex::encode(md5)), "dataFileS3Key": key,
        });
        list += &format!("{line}\n");
        put(store, &export.bucket, &key, &packed)?;
    }
    let files_key = format!("{folder}/{id}/manifest-files.json");
    let spelled = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Millis, true);
    let mut summary = json!({
        "version": "2023-08-01", "exportArn": export.arn, "startTime": spelled(export.started), "endTime": spelled(now()),
        "tableArn": table_arn(&export.table), "tableId": table_id, "s3Bucket": export.bucket, "s3Prefix": export.prefix,
        "s3SseAlgorithm": "AES256", "s3SseKmsKeyId": null, "manifestFilesS3Key": files_key, "billedSizeBytes": 0,
        "itemCount": lines.len(), "outputFormat": "DYNAMODB_JSON",
        "exportType": if export.from.is_some() { "INCREMENTAL_EXPORT" } else { "FULL_EXPORT" },
    });
    match export.from {
        Some(from) => {
            summary["exportFromTime"] = spelled(from).into();
            summary["exportToTime"] = spelled(export.to).into();
            summary["outputView"] = "NEW_AND_OLD_IMAGES".into();
        }
        None => summary["exportTime"] = spelled(export.to).into(),
    }
    for (name, text) in [("manifest-files", list), ("manifest-summary", summary.to_string())] {
        put(store, &export.bucket, &format!("{folder}/{id}/{name}.json"), text.as_bytes())?;
        put(store, &export.bucket, &format!("{folder}/{id}/{name}.checksum"), hex::encode(Md5::digest(text.as_bytes())).as_bytes())?;
    }
    Ok(())
}

fn put(store: &S3Store, bucket: &str, key: &str, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |error| Failure::io(format!("cannot write {key}"), error);
    let mut incoming = Incoming::new(store, DEFAULT_ALGORITHM);
    incoming.write(bytes).map_err(failed)?;
    let (digested, segments) = incoming.finish().map_err(failed)?;
    let checksum = Checksum { algorithm: DEFAULT_ALGORITHM.into(), kind: "FULL_OBJECT".into(), value: digested.checksum.clone() };
    let meta = Meta { checksum: Some(checksum), content_type: Some("binary/octet-stream".into()), ..Meta::default() };
    let content = Content { size: digested.size, etag: hex::encode(digested.md5), segments, meta };
    let conditions = Conditions { if_match: None, if_none_match: None };
    write::commit(store, bucket, key, content, &conditions)
        .map(drop)
        .map_err(|error| Failure::invalid(format!("cannot write {bucket}/{key}: {error}")))
}
