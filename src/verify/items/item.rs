//! An item as values: DynamoDB's types, and what makes up a primary key.

use std::collections::BTreeMap;

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
