//! DynamoDB: a table as an item source, by DescribeTable and segmented, strongly consistent Scan.
//!
//! Not here: backups and restores of tables, and what is made of the items.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, KeyType};
use futures_util::stream::{self, BoxStream, StreamExt};

use crate::aws::errors::classify;
use crate::aws::session::Session;
use crate::model::failure::{Failure, FailureKind};
use crate::verify::items::source::{Attribute, Item, ItemSource, KeySchema};

/// A table that can be scanned.
#[derive(Clone, Debug)]
pub struct TableSource {
    client: Client,
    table: String,
    schema: KeySchema,
}

impl TableSource {
    /// Looks the table up.
    ///
    /// # Errors
    /// [`FailureKind::Absent`] where there is no such table, [`FailureKind::Refused`] where it is not ready to be read.
    pub async fn open(session: &Session, table: &str) -> Result<Self, Failure> {
        let client = Client::new(session.config());
        let what = format!("dynamodb:DescribeTable {table}");
        let answer = client.describe_table().table_name(table).send().await.map_err(|error| {
            let failure = classify(&what, error);
            if failure.kind == FailureKind::Absent { failure.hint("check the table's name, the Region and the account") } else { failure }
        })?;
        let description = answer.table.ok_or_else(|| incomplete(&what, "no description of the table"))?;
        let mut keys: Vec<(u8, String)> = Vec::new();
        for element in description.key_schema() {
            let order = match element.key_type() {
                KeyType::Hash => 0,
                KeyType::Range => 1,
                other => return Err(incomplete(&what, &format!("a key of the unknown type `{}`", other.as_str()))),
            };
            keys.push((order, element.attribute_name().to_owned()));
        }
        keys.sort();
        if keys.first().is_none_or(|(order, _)| *order != 0) {
            return Err(incomplete(&what, "a table without a partition key"));
        }
        Ok(Self { client, table: table.to_owned(), schema: KeySchema(keys.into_iter().map(|(_, name)| name).collect()) })
    }
}

fn incomplete(what: &str, found: &str) -> Failure {
    Failure::new(FailureKind::Remote, format!("{what}: expected a table's description with its key, found {found}"))
}

#[async_trait]
impl ItemSource for TableSource {
    fn url(&self) -> String {
        format!("dynamodb:{}", self.table)
    }

    async fn key_schema(&self) -> Result<KeySchema, Failure> {
        Ok(self.schema.clone())
    }

    fn scan(&self, segment: u32, total: u32) -> BoxStream<'static, Result<Vec<Item>, Failure>> {
        let start = Position::Page { source: Box::new(self.clone()), from: None };
        stream::unfold(start, move |position| async move {
            let Position::Page { source, from } = position else { return None };
            match source.page(segment, total, from).await {
                Ok((items, None)) => Some((Ok(items), Position::End)),
                Ok((items, from)) => Some((Ok(items), Position::Page { source, from })),
                Err(failure) => Some((Err(failure), Position::End)),
            }
        })
        .boxed()
    }
}

/// Where a segment's scan stands.
enum Position {
    Page { source: Box<TableSource>, from: Option<HashMap<String, AttributeValue>> },
    End,
}

type Page = (Vec<Item>, Option<HashMap<String, AttributeValue>>);

impl TableSource {
    /// One page of a segment, and the key to go on from where there is more.
    async fn page(&self, segment: u32, total: u32, from: Option<HashMap<String, AttributeValue>>) -> Result<Page, Failure> {
        let what = format!("dynamodb:Scan {} segment {segment} of {total}", self.table);
        let number = |n: u32| i32::try_from(n).map_err(|_| Failure::invalid(format!("{what}: at most 1,000,000 segments")));
        let answer = self
            .client
            .scan()
            .table_name(&self.table)
            .consistent_read(true)
            .segment(number(segment)?)
            .total_segments(number(total)?)
            .set_exclusive_start_key(from)
            .send()
            .await
            .map_err(|error| classify(&what, error))?;
        let mut items = Vec::with_capacity(answer.items().len());
        for attributes in answer.items.unwrap_or_default() {
            items.push(item(attributes, &what)?);
        }
        // An empty LastEvaluatedKey is no key: going on from it would begin again.
        Ok((items, answer.last_evaluated_key.filter(|key| !key.is_empty())))
    }
}

fn item(attributes: HashMap<String, AttributeValue>, what: &str) -> Result<Item, Failure> {
    attributes.into_iter().map(|(name, value)| attribute(value, what, 0).map(|value| (name, value))).collect()
}

/// The value in this crate's own type; numbers stay the strings that were sent.
fn attribute(value: AttributeValue, what: &str, depth: usize) -> Result<Attribute, Failure> {
    if depth > crate::verify::items::canonical::DEEPEST {
        return Err(Failure::new(FailureKind::Remote, format!("{what}: a value nested deeper than DynamoDB allows")));
    }
    let many =
        |values: Vec<AttributeValue>| values.into_iter().map(|value| attribute(value, what, depth + 1)).collect::<Result<Vec<_>, _>>();
    Ok(match value {
        AttributeValue::S(text) => Attribute::String(text),
        AttributeValue::N(text) => Attribute::Number(text),
        AttributeValue::B(bytes) => Attribute::Binary(bytes.into_inner()),
        AttributeValue::Bool(value) => Attribute::Bool(value),
        AttributeValue::Null(_) => Attribute::Null,
        AttributeValue::Ss(texts) => Attribute::StringSet(texts),
        AttributeValue::Ns(texts) => Attribute::NumberSet(texts),
        AttributeValue::Bs(blobs) => Attribute::BinarySet(blobs.into_iter().map(|blob| blob.into_inner()).collect()),
        AttributeValue::L(values) => Attribute::List(many(values)?),
        AttributeValue::M(values) => {
            let each = |(name, value)| attribute(value, what, depth + 1).map(|value| (name, value));
            Attribute::Map(values.into_iter().map(each).collect::<Result<BTreeMap<_, _>, _>>()?)
        }
        _ => return Err(Failure::new(FailureKind::Remote, format!("{what}: a value of a type that this version does not know"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_dynamodb::primitives::Blob;

    #[test]
    fn every_type_of_value_is_taken_over() {
        let value = AttributeValue::M(HashMap::from([
            ("n".to_owned(), AttributeValue::N("1.50".into())),
            ("l".to_owned(), AttributeValue::L(vec![AttributeValue::Null(true), AttributeValue::B(Blob::new([1, 2]))])),
            ("bs".to_owned(), AttributeValue::Bs(vec![Blob::new([3])])),
        ]));
        let expected = Attribute::Map(BTreeMap::from([
            ("n".to_owned(), Attribute::Number("1.50".into())),
            ("l".to_owned(), Attribute::List(vec![Attribute::Null, Attribute::Binary(vec![1, 2])])),
            ("bs".to_owned(), Attribute::BinarySet(vec![vec![3]])),
        ]));
        assert_eq!(attribute(value, "t", 0).unwrap(), expected);
    }

    #[test]
    fn depth_is_limited() {
        let mut value = AttributeValue::Null(true);
        for _ in 0..100 {
            value = AttributeValue::L(vec![value]);
        }
        assert_eq!(attribute(value, "t", 0).unwrap_err().kind, FailureKind::Remote);
    }
}
