//! The engine `dynoxide` in process, and the way to its HTTP handler.
//!
//! The handler checks types and words errors as DynamoDB does, and is reachable only as a server: it listens on a loopback port of its own,
//! and only this file knows it. ARNs are written with the engine's own Region and account; here they become the sandbox's.

use std::net::Ipv4Addr;
use std::path::Path;

use bytes::Bytes;
use dynoxide::Database;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::model::failure::{Failure, FailureKind};
use crate::sandbox::control::answer::Refused;
use crate::sandbox::control::dynamodb::state::arn_prefix;

/// How the engine begins its ARNs.
const ENGINE_PREFIX: &str = "arn:aws:dynamodb:dynoxide:000000000000:";

/// The engine over one file.
pub struct Engine {
    database: Database,
    client: Client<HttpConnector, Full<Bytes>>,
    address: String,
    // Dropping it ends the handler.
    _stop: oneshot::Sender<()>,
}

impl Engine {
    /// Opens the file and starts the handler.
    pub async fn open(file: &Path) -> Result<Self, Failure> {
        let path = file.to_str().ok_or_else(|| Failure::invalid(format!("the path {} is not UTF-8", file.display())))?;
        let database = Database::new(path).map_err(|error| broken(&error))?;
        let failed = |error| Failure::io("cannot listen on 127.0.0.1", error);
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?.to_string();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = database.clone();
        tokio::spawn(async move {
            let _ = dynoxide::server::serve_with_shutdown(listener, served, async { drop(stopped.await) }).await;
        });
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Ok(Self { database, client: Client::builder(TokioExecutor::new()).build(connector), address, _stop: stop })
    }

    /// Hands a request to the engine as it came. With `arns`, ARNs are translated on both ways.
    pub async fn forward(&self, headers: &HeaderMap, body: Bytes, arns: bool) -> Result<Response<Bytes>, Refused> {
        let body = if arns { translate(body, &arn_prefix(), ENGINE_PREFIX) } else { body };
        let mut request = Request::post(format!("http://{}/", self.address));
        for name in ["content-type", "x-amz-target", "authorization", "x-amz-date"] {
            if let Some(value) = headers.get(name) {
                request = request.header(name, value);
            }
        }
        let request = request.body(Full::new(body)).map_err(|error| unreachable(&error))?;
        let response = self.client.request(request).await.map_err(|error| unreachable(&error))?;
        let (mut parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| unreachable(&error))?.to_bytes();
        let body = if arns { translate(body, ENGINE_PREFIX, &arn_prefix()) } else { body };
        // The body may have changed: its length is written anew and its checksum left out, which clients then do not check.
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.remove("x-amz-crc32");
        Ok(Response::from_parts(parts, body))
    }

    /// What DescribeTable says, with the sandbox's ARNs; `None` where there is no such table.
    pub fn describe(&self, table: &str) -> Result<Option<Value>, Failure> {
        if self.database.get_table_metadata(table).map_err(|error| broken(&error))?.is_none() {
            return Ok(None);
        }
        let said = self.database.describe_table(read(json!({"TableName": table}))?).map_err(|error| broken(&error))?;
        let mut said = write(&said)?;
        Ok(Some(translated(said["Table"].take())?))
    }

    /// What DescribeTimeToLive says.
    pub fn time_to_live(&self, table: &str) -> Result<Value, Failure> {
        let said = self.database.describe_time_to_live(read(json!({"TableName": table}))?).map_err(|error| broken(&error))?;
        Ok(write(&said)?["TimeToLiveDescription"].take())
    }

    /// The item with this key, where there is one.
    pub fn get(&self, table: &str, key: &Value) -> Result<Option<Value>, Failure> {
        let request = json!({"TableName": table, "Key": key, "ConsistentRead": true});
        let mut said = write(&self.database.get_item(read(request)?).map_err(|error| broken(&error))?)?;
        Ok(said.get_mut("Item").map(Value::take).filter(Value::is_object))
    }

    /// Creates a table from a CreateTable request.
    pub fn create(&self, request: Value) -> Result<(), Failure> {
        self.database.create_table(read(request)?).map(drop).map_err(|error| broken(&error))
    }

    /// A page of items, and where the next begins. Blocks.
    pub fn scan(&self, table: &str, start: Option<&Value>) -> Result<(Vec<Value>, Option<Value>), Failure> {
        let mut request = json!({"TableName": table, "ConsistentRead": true});
        if let Some(start) = start {
            request["ExclusiveStartKey"] = start.clone();
        }
        let mut said = write(&self.database.scan(read(request)?).map_err(|error| broken(&error))?)?;
        let items = match said["Items"].take() {
            Value::Array(items) => items,
            _ => Vec::new(),
        };
        Ok((items, said.get_mut("LastEvaluatedKey").map(Value::take).filter(Value::is_object)))
    }

    /// Puts items, indexes included; those already there are replaced. Blocks.
    pub fn import(&self, table: &str, items: Vec<Value>) -> Result<(), Failure> {
        let items = items.into_iter().map(read).collect::<Result<Vec<dynoxide::types::Item>, Failure>>()?;
        let imported = self.database.import_items(table, items, dynoxide::ImportOptions::default());
        imported.map(drop).map_err(|error| broken(&error))
    }
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, Failure> {
    serde_json::from_value(value).map_err(|error| Failure::invalid(format!("DynamoDB's engine does not take this: {error}")))
}

fn write(value: &impl serde::Serialize) -> Result<Value, Failure> {
    serde_json::to_value(value).map_err(|error| Failure::invalid(format!("DynamoDB's engine answers no JSON: {error}")))
}

fn translated(value: Value) -> Result<Value, Failure> {
    let text = value.to_string().replace(ENGINE_PREFIX, &arn_prefix());
    serde_json::from_str(&text).map_err(|error| Failure::invalid(format!("DynamoDB's engine answers no JSON: {error}")))
}

fn translate(body: Bytes, from: &str, to: &str) -> Bytes {
    match std::str::from_utf8(&body) {
        Ok(text) if text.contains(from) => text.replace(from, to).into(),
        _ => body,
    }
}

fn broken(error: &dynoxide::DynoxideError) -> Failure {
    Failure::new(FailureKind::Disk, format!("DynamoDB's engine: {error}"))
}

fn unreachable(error: &dyn std::fmt::Display) -> Refused {
    Refused {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        ..Refused::new("InternalServerError", format!("the engine does not answer: {error}"))
    }
}
