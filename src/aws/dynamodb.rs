//! DynamoDB: a table as an item source, by DescribeTable and segmented, strongly consistent Scan.
//!
//! Pages come without the SDK where they can (`dynamodb_direct`), and by the SDK where anything stands against it.
//!
//! Not here: backups and restores of tables, and what is made of the items.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, KeyType, ReturnConsumedCapacity, TimeToLiveDescription, TimeToLiveStatus};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream::{self, BoxStream, StreamExt};
use serde_json::json;

use crate::aws::dynamodb_direct::{Declined, Direct};
use crate::aws::errors::classify;
use crate::aws::seen::Seen;
use crate::aws::session::Session;
use crate::model::failure::{Failure, FailureKind};
use crate::verify::items::answer;
use crate::verify::items::item::{Attribute, Item, KeySchema};
use crate::verify::items::json as items_json;
use crate::verify::items::page::{Next, Page, Records};
use crate::verify::items::reader::Reader;
use crate::verify::items::source::{ItemSource, Part};

/// A table that can be scanned.
#[derive(Clone, Debug)]
pub struct TableSource {
    client: Client,
    table: String,
    schema: KeySchema,
    identity: String,
    direct: Direct,
}

impl TableSource {
    /// Looks the table up.
    ///
    /// # Errors
    /// [`FailureKind::Absent`] where there is no such table, [`FailureKind::Refused`] where it is not ready to be read.
    pub async fn open(session: &Session, table: &str) -> Result<Self, Failure> {
        let client = Client::new(session.config());
        let what = format!("dynamodb:DescribeTable {table}");
        let seen = Seen::default();
        let request = client.describe_table().table_name(table).customize().interceptor(seen.clone());
        let answer = request.send().await.map_err(|error| {
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
        let arn = description.table_arn.unwrap_or_default();
        let identity = format!("{arn} {}", description.table_id.unwrap_or_default());
        let schema = KeySchema(keys.into_iter().map(|(_, name)| name).collect());
        Ok(Self { client, table: table.to_owned(), schema, identity, direct: Direct::new(session, &seen) })
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

    fn identity(&self) -> String {
        self.identity.clone()
    }

    async fn key_schema(&self) -> Result<KeySchema, Failure> {
        Ok(self.schema.clone())
    }

    async fn time_to_live(&self) -> Result<Option<String>, Failure> {
        let what = format!("dynamodb:DescribeTimeToLive {}", self.table);
        let answer = self.client.describe_time_to_live().table_name(&self.table).send().await.map_err(|error| classify(&what, error))?;
        let said = answer.time_to_live_description;
        let on = |said: &TimeToLiveDescription| {
            matches!(said.time_to_live_status(), Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling | TimeToLiveStatus::Disabling))
        };
        Ok(said.filter(on).and_then(|said| said.attribute_name))
    }

    fn scan(&self, part: &Part) -> BoxStream<'static, Result<Page, Failure>> {
        let what = format!("dynamodb:Scan {} segment {} of {}", self.table, part.segment, part.total);
        if let Some(Err(failure)) = part.after.as_deref().map(|position| start_key(position, &what)) {
            return stream::once(async { Err(failure) }).boxed();
        }
        let from = part.after.clone();
        let start = Some(Box::new(Segment { source: self.clone(), part: part.clone(), what, from }));
        stream::unfold(start, |segment| async move {
            let mut segment = segment?;
            match segment.page().await {
                Ok(page) => Some((Ok(page), segment.from.is_some().then_some(segment))),
                Err(failure) => Some((Err(failure), None)),
            }
        })
        .boxed()
    }
}

/// One segment's scan, before its next page.
struct Segment {
    source: TableSource,
    part: Part,
    what: String,
    /// A position, as pages say it.
    from: Option<String>,
}

/// So often a page is asked for whose bytes do not have their checksum.
const DAMAGED_ATTEMPTS: u32 = 3;
/// The longest pause before a service that was busy is asked again, as the SDK's first one has it.
const BUSY_PAUSE_MS: u64 = 1000;

impl Segment {
    /// The next page; `from` is where the one after it begins.
    async fn page(&mut self) -> Result<Page, Failure> {
        let page = match self.direct_page().await? {
            Some(page) => page,
            None => self.sdk_page().await?,
        };
        self.from = match &page.next {
            Next::After(position) => Some(position.clone()),
            Next::Onward | Next::End => None,
        };
        Ok(page)
    }

    /// The page without the SDK; nothing where that has to be asked.
    async fn direct_page(&self) -> Result<Option<Page>, Failure> {
        let direct = &self.source.direct;
        let mut damaged = 0;
        while direct.is_ready() {
            match direct.scan(&self.request()?).await {
                Ok(body) => match answer::page(body) {
                    Ok(page) => return Ok(Some(page)),
                    Err(_) => direct.refused(),
                },
                Err(Declined::Refused) => {}
                Err(Declined::Busy) => pause(BUSY_PAUSE_MS).await,
                Err(Declined::Damaged(found)) => {
                    damaged += 1;
                    if damaged == DAMAGED_ATTEMPTS {
                        let message = format!("{}: expected an answer that has its checksum, found {found}, {damaged} times", self.what);
                        return Err(Failure::new(FailureKind::Network, message).hint("check the network, a proxy, or AWS_ENDPOINT_URL"));
                    }
                    pause(BUSY_PAUSE_MS / 10).await;
                    continue;
                }
            }
            return Ok(None);
        }
        Ok(None)
    }

    /// The request as JSON.
    fn request(&self) -> Result<Vec<u8>, Failure> {
        let mut request = json!({"TableName": self.source.table, "ConsistentRead": true, "ReturnConsumedCapacity": "TOTAL",
            "Segment": self.number(self.part.segment)?, "TotalSegments": self.number(self.part.total)?});
        if let Some(limit) = self.limit() {
            request["Limit"] = json!(limit);
        }
        if let Some(from) = &self.from {
            request["ExclusiveStartKey"] = serde_json::from_str(from).map_err(|_| not_a_position(from, &self.what))?;
        }
        if let Some((expression, names)) = self.projection() {
            request["ProjectionExpression"] = json!(expression);
            request["ExpressionAttributeNames"] = json!(names);
        }
        Ok(request.to_string().into_bytes())
    }

    fn number(&self, n: u32) -> Result<i32, Failure> {
        i32::try_from(n).map_err(|_| Failure::invalid(format!("{}: at most 1,000,000 segments", self.what)))
    }

    fn limit(&self) -> Option<i32> {
        self.part.pacer.limit().and_then(|limit| i32::try_from(limit).ok())
    }

    /// By placeholders: a name may be a reserved word or hold a dot.
    fn projection(&self) -> Option<(String, HashMap<String, String>)> {
        let names = self.part.projection.as_ref()?;
        let places: Vec<String> = (0..names.len()).map(|at| format!("#a{at}")).collect();
        Some((places.join(", "), places.into_iter().zip(names.iter().cloned()).collect()))
    }

    /// The page by the SDK.
    async fn sdk_page(&self) -> Result<Page, Failure> {
        let what = &self.what;
        let mut request = self
            .source
            .client
            .scan()
            .table_name(&self.source.table)
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .segment(self.number(self.part.segment)?)
            .total_segments(self.number(self.part.total)?)
            .set_limit(self.limit())
            .set_exclusive_start_key(self.from.as_deref().map(|from| start_key(from, what)).transpose()?);
        if let Some((expression, names)) = self.projection() {
            request = request.projection_expression(expression).set_expression_attribute_names(Some(names));
        }
        let answer = request.send().await.map_err(|error| classify(what, error))?;
        let consumed_rcu = answer.consumed_capacity().and_then(|capacity| capacity.capacity_units());
        // Zero where it is not said.
        let (count, found) = (usize::try_from(answer.count()).unwrap_or_default(), answer.items().len());
        if count != 0 && count != found {
            let message = format!("{what}: expected a page of {count} items, as its Count says, found {found}");
            return Err(Failure::new(FailureKind::Network, message));
        }
        let mut items = Vec::with_capacity(found);
        for attributes in answer.items.unwrap_or_default() {
            items.push(item(attributes, what)?);
        }
        // An empty LastEvaluatedKey is no key: going on from it would begin again.
        let next = match answer.last_evaluated_key.filter(|key| !key.is_empty()) {
            Some(key) => Next::After(position(&key, what)?),
            None => Next::End,
        };
        Ok(Page { records: Records::Items(items), next, consumed_rcu })
    }
}

/// Sleeps for up to `most_ms`, each time otherwise: segments must not come back together.
async fn pause(most_ms: u64) {
    let mut random = [0; 8];
    let _ = getrandom::fill(&mut random);
    tokio::time::sleep(Duration::from_millis(most_ms / 10 + u64::from_le_bytes(random) % most_ms)).await;
}

fn not_a_position(position: &str, what: &str) -> Failure {
    Failure::new(FailureKind::BadEvidence, format!("{what}: `{position}` is no position of a scan"))
}

/// A key as text that can be kept: an object of DynamoDB JSON.
fn position(key: &HashMap<String, AttributeValue>, what: &str) -> Result<String, Failure> {
    let each = |(name, value): (&String, &AttributeValue)| {
        let value = match value {
            AttributeValue::S(text) => json!({"S": text}),
            AttributeValue::N(text) => json!({"N": text}),
            AttributeValue::B(bytes) => json!({"B": STANDARD.encode(bytes)}),
            _ => return Err(Failure::new(FailureKind::Remote, format!("{what}: LastEvaluatedKey has a value that no key can have"))),
        };
        Ok((name.clone(), value))
    };
    let object: serde_json::Map<String, serde_json::Value> = key.iter().map(each).collect::<Result<_, _>>()?;
    Ok(serde_json::Value::Object(object).to_string())
}

fn start_key(position: &str, what: &str) -> Result<HashMap<String, AttributeValue>, Failure> {
    let wrong = || not_a_position(position, what);
    let item = items_json::item(&mut Reader::new(position)).map_err(|_| wrong())?;
    item.into_iter()
        .map(|(name, value)| match value {
            Attribute::String(text) => Ok((name, AttributeValue::S(text))),
            Attribute::Number(text) => Ok((name, AttributeValue::N(text))),
            Attribute::Binary(bytes) => Ok((name, AttributeValue::B(Blob::new(bytes)))),
            _ => Err(wrong()),
        })
        .collect()
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
    fn a_position_leads_back_to_its_key() {
        let key = HashMap::from([
            ("pk".to_owned(), AttributeValue::S("a \"b\" é".into())),
            ("sk".to_owned(), AttributeValue::B(Blob::new([0, 255]))),
            ("n".to_owned(), AttributeValue::N("-1.50".into())),
        ]);
        assert_eq!(start_key(&position(&key, "t").unwrap(), "t").unwrap(), key);
        for bad in ["", "{", "{\"a\":{\"L\":[]}}", "[]"] {
            assert_eq!(start_key(bad, "t").unwrap_err().kind, FailureKind::BadEvidence, "{bad}");
        }
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
