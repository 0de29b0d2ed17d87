//! What an item source can do: tell its keys and be scanned in segments.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use crate::model::failure::Failure;

/// An attribute value (DynamoDB API Reference, AttributeValue). Numbers stay the strings that were sent.
#[derive(Clone, PartialEq, Debug)]
pub enum Attribute {
    /// `S`
    String(String),
    /// `N`: up to 38 significant digits, as sent.
    Number(String),
    /// `B`, decoded.
    Binary(Vec<u8>),
    /// `BOOL`
    Bool(bool),
    /// `NULL`
    Null,
    /// `SS`, in no order.
    StringSet(Vec<String>),
    /// `NS`, in no order.
    NumberSet(Vec<String>),
    /// `BS`, in no order.
    BinarySet(Vec<Vec<u8>>),
    /// `L`, in order.
    List(Vec<Attribute>),
    /// `M`
    Map(BTreeMap<String, Attribute>),
}

/// One item: its attributes by name.
pub type Item = BTreeMap<String, Attribute>;

/// The attributes that make up the primary key: the partition key, then the sort key where there is one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeySchema(pub Vec<String>);

/// A table that can be scanned.
#[async_trait]
pub trait ItemSource: Send + Sync {
    /// The source URL.
    fn url(&self) -> String;

    /// The table's primary key.
    async fn key_schema(&self) -> Result<KeySchema, Failure>;

    /// Items of one segment of `total`, page by page, strongly consistent. An error ends the segment: what follows is unread.
    fn scan(&self, segment: u32, total: u32) -> BoxStream<'static, Result<Vec<Item>, Failure>>;
}
