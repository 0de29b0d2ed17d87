//! Calls into the stand-in's own services without the wire, for laying the estate.

use bytes::Bytes;
use http::{Method, Request};
use serde_json::Value;

use crate::model::failure::{Failure, FailureKind};
use crate::sandbox::control::answer::Refused;
use crate::sandbox::control::backup::jobs::Backup;
use crate::sandbox::control::dynamodb::backups::DynamoDb;
use crate::sandbox::identity::{ACCESS_KEY_ID, REGION};
use crate::sandbox::wire::Service;

/// One REST-JSON call to AWS Backup, such as `PUT /backup-vaults/NAME`.
pub async fn backup(service: &Backup, method: Method, path: &str, input: &Value) -> Result<Value, Failure> {
    call(service, Request::builder().method(method).uri(path), input, path).await
}

/// One JSON call to DynamoDB, such as `CreateTable`.
pub async fn dynamodb(service: &DynamoDb, operation: &str, input: &Value) -> Result<Value, Failure> {
    // The engine wants to see a signature; whether it holds is for the listener, which this call does not come through.
    let scope = format!("{ACCESS_KEY_ID}/20260101/{REGION}/dynamodb/aws4_request");
    let request = Request::builder()
        .method(Method::POST)
        .uri("/")
        .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
        .header("x-amz-date", "20260101T000000Z")
        .header("authorization", format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature=0"));
    call(service, request, input, operation).await
}

/// What a refusal of the stand-in means for the demo: it cannot go on.
pub fn refused(what: &str) -> impl Fn(Refused) -> Failure {
    move |refused| Failure::new(FailureKind::Remote, format!("laying the demo's estate: {what}: {refused:?}"))
}

async fn call(service: &dyn Service, request: http::request::Builder, input: &Value, what: &str) -> Result<Value, Failure> {
    let request = request
        .header("content-type", "application/x-amz-json-1.0")
        .body(Bytes::from(input.to_string()))
        .map_err(|error| Failure::invalid(format!("laying the demo's estate: {what}: {error}")))?;
    let answer = service.call(request).await;
    let (status, body) = (answer.status(), answer.into_body());
    if !status.is_success() {
        let said = String::from_utf8_lossy(&body).into_owned();
        return Err(Failure::new(FailureKind::Remote, format!("laying the demo's estate: {what}: {status}: {said}")));
    }
    Ok(serde_json::from_slice(&body).unwrap_or(Value::Null))
}
