//! An item as values: DynamoDB's types, and what makes up a primary key.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

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

/// An item as DynamoDB JSON.
pub fn to_json(item: &Item) -> Value {
    Value::Object(item.iter().map(|(name, value)| (name.clone(), value_to_json(value))).collect())
}

fn value_to_json(value: &Attribute) -> Value {
    let base64 = |bytes: &Vec<u8>| STANDARD.encode(bytes);
    match value {
        Attribute::String(text) => json!({"S": text}),
        Attribute::Number(text) => json!({"N": text}),
        Attribute::Binary(bytes) => json!({"B": base64(bytes)}),
        Attribute::Bool(value) => json!({"BOOL": value}),
        Attribute::Null => json!({"NULL": true}),
        Attribute::StringSet(set) => json!({"SS": set}),
        Attribute::NumberSet(set) => json!({"NS": set}),
        Attribute::BinarySet(set) => json!({"BS": set.iter().map(base64).collect::<Vec<_>>()}),
        Attribute::List(list) => json!({"L": list.iter().map(value_to_json).collect::<Vec<_>>()}),
        Attribute::Map(map) => json!({"M": to_json(map)}),
    }
}
