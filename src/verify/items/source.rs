//! What an item source can do: tell its keys and be scanned in segments.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use crate::model::capture::CaptureMode;
use crate::model::clock::Timestamp;
use crate::model::failure::Failure;
use crate::model::ids::PointId;
use crate::verify::items::item::KeySchema;
use crate::verify::items::pace::Pacer;
use crate::verify::items::page::Page;

/// A part of a table that is read by itself.
#[derive(Clone, Debug)]
pub struct Part {
    /// From 0.
    pub segment: u32,
    /// How many there are.
    pub total: u32,
    /// Where to go on, as a page of the same source said.
    pub after: Option<String>,
    /// Only these attributes, the primary key's among them.
    pub projection: Option<Vec<String>>,
    /// Says how large a page may be.
    pub pacer: Arc<Pacer>,
}

/// The moment that a source shows, where it is one.
#[derive(Clone, PartialEq, Debug)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// The capture mode that this earns.
    pub mode: CaptureMode,
    /// The point in time that it is the state of.
    pub point: PointId,
    /// For the manifest's `position`.
    pub position: serde_json::Value,
}

/// A table that can be scanned.
#[async_trait]
pub trait ItemSource: Send + Sync {
    /// The source URL.
    fn url(&self) -> String;

    /// The table's name.
    fn table(&self) -> String {
        let url = self.url();
        url.strip_prefix("dynamodb:").unwrap_or(&url).to_owned()
    }

    /// What tells this table from another of its name: its ARN and id. A scan goes on only in the same one.
    fn identity(&self) -> String {
        self.url()
    }

    /// The table's primary key.
    async fn key_schema(&self) -> Result<KeySchema, Failure>;

    /// The attribute that says when an item ends, where the table has time to live; nothing where it has none or nobody says.
    async fn time_to_live(&self) -> Result<Option<String>, Failure> {
        Ok(None)
    }

    /// The moment that it shows; nothing for a table that lives.
    fn moment(&self) -> Option<Moment> {
        None
    }

    /// True where reading costs no read capacity.
    fn is_free(&self) -> bool {
        false
    }

    /// Pages of one part, strongly consistent, one request for each poll. An error ends the stream: what follows is unread.
    fn scan(&self, part: &Part) -> BoxStream<'static, Result<Page, Failure>>;
}
