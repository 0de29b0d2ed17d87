//! Exports of DynamoDB tables in S3: their objects, the primary key of the table that they are of, and asking for one.
//!
//! Not here: what the files say (`verify::items::export`).

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt};

use crate::aws::dynamodb::TableSource;
use crate::aws::errors::classify;
use crate::aws::session::Session;
use crate::model::failure::{Failure, FailureKind};
use crate::verify::items::export_files::{Export, ExportFiles};
use crate::verify::items::item::KeySchema;
use crate::verify::items::source::ItemSource;

/// The bucket of an export.
pub struct ExportBucket {
    client: Client,
    bucket: String,
}

impl ExportBucket {
    /// Reads `bucket` with `session`.
    pub fn new(session: &Session, bucket: &str) -> Self {
        let config = aws_sdk_s3::config::Builder::from(session.config()).force_path_style(session.has_custom_endpoint()).build();
        Self { client: Client::from_conf(config), bucket: bucket.to_owned() }
    }
}

#[async_trait]
impl ExportFiles for ExportBucket {
    fn place(&self) -> String {
        format!("s3://{}", self.bucket)
    }

    async fn get(&self, key: &str) -> Result<BoxStream<'static, Result<Bytes, Failure>>, Failure> {
        let what = format!("s3:GetObject {}/{}", self.bucket, key.escape_debug());
        let answer = self.client.get_object().bucket(&self.bucket).key(key).send().await.map_err(|error| classify(&what, error))?;
        let pieces = futures_util::stream::unfold(Some((answer.body, what)), |state| async move {
            let (mut body, what) = state?;
            match body.next().await? {
                Ok(bytes) => Some((Ok(bytes), Some((body, what)))),
                Err(error) => Some((Err(Failure::new(FailureKind::Network, format!("{what}: the body broke off: {error}"))), None)),
            }
        });
        Ok(pieces.boxed())
    }
}

/// Opens the export below `prefix` of `bucket`; `url` is how it was named.
pub async fn open(session: &Session, bucket: &str, prefix: &str, url: &str) -> Result<Export, Failure> {
    Export::open(Arc::new(ExportBucket::new(session, bucket)), url, prefix).await
}

/// The table that an export is of, which says what the export does not: the primary key, and the attribute that items end by.
pub async fn table(session: &Session, export: &Export) -> Result<TableSource, Failure> {
    let region = crate::aws::times::region_of_arn(&export.summary.table_arn);
    let session = match region {
        Some(region) if session.region().as_deref() != Some(region.as_str()) => session.in_region(&region),
        _ => session.clone(),
    };
    TableSource::open(&session, export.summary.table()).await.map_err(|failure| {
        failure.context(format!("{}: an export does not say the primary key", export.url)).hint("name it in the URL: `?key=PARTITION,SORT`")
    })
}

/// The primary key of the table that an export is of, as its table says now.
pub async fn key_schema(session: &Session, export: &Export) -> Result<KeySchema, Failure> {
    table(session, export).await?.key_schema().await
}
