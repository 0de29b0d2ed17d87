//! Answers in the three protocols of the control planes: AWS JSON 1.0, REST-JSON and the query protocol's XML.
//!
//! Shapes follow the Smithy specifications (`awsJson1_0`, `restJson1`, `awsQuery`).

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use crate::model::failure::Failure;
use crate::sandbox::wire;

/// How a service speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `application/x-amz-json-1.0`: DynamoDB.
    Json10,
    /// Paths, methods and JSON: AWS Backup.
    RestJson,
    /// Form parameters in, XML out: RDS and STS.
    Query,
}

/// An error of the service's own vocabulary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// HTTP status.
    pub status: StatusCode,
    /// The code of the published model.
    pub code: String,
    /// What it says.
    pub message: String,
}

impl Refused {
    /// HTTP 400 with this code.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: code.into(), message: message.into() }
    }

    /// The same with HTTP 404, as the query protocol answers for what is not there.
    pub fn not_found(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, ..Self::new(code, message) }
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        let hint = failure.hint.as_deref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, code: "InternalFailure".into(), message: format!("{failure}{hint}") }
    }
}

/// What a call ends with.
pub type Answer = Result<Response<Bytes>, Refused>;

/// An error in the service's protocol.
pub fn refuse(protocol: Protocol, refused: &Refused) -> Response<Bytes> {
    let mut response = match protocol {
        Protocol::Query => return wire::query_error(refused.status, &refused.code, &refused.message),
        Protocol::Json10 => {
            let name = format!("com.amazonaws.dynamodb.v20120810#{}", refused.code);
            with_body(json!({"__type": name, "message": refused.message}).to_string(), "application/x-amz-json-1.0")
        }
        Protocol::RestJson => with_body(
            json!({"Code": refused.code, "Message": refused.message, "message": refused.message, "Type": "Client"}).to_string(),
            "application/json",
        ),
    };
    *response.status_mut() = refused.status;
    if let Ok(code) = HeaderValue::from_str(&refused.code) {
        response.headers_mut().insert("x-amzn-errortype", code);
    }
    response
}

/// A JSON answer.
pub fn json(protocol: Protocol, value: &Value) -> Response<Bytes> {
    with_body(value.to_string(), if protocol == Protocol::Json10 { "application/x-amz-json-1.0" } else { "application/json" })
}

/// An answer without a body.
pub fn empty() -> Response<Bytes> {
    with_body(String::new(), "application/json")
}

/// An XML answer of the query protocol: `ActionResponse/ActionResult` with `inner` in it.
pub fn xml(action: &str, namespace: &str, inner: &Xml) -> Response<Bytes> {
    let body = format!(
        "<{action}Response xmlns=\"{namespace}\"><{action}Result>{}</{action}Result><ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></{action}Response>",
        inner.text,
        wire::request_id()
    );
    with_body(body, "text/xml")
}

fn with_body(body: String, content_type: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Ok(id) = HeaderValue::from_str(&wire::request_id()) {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    response
}

/// Seconds since 1970 with milliseconds, as the JSON protocols write times.
pub fn epoch(time: DateTime<Utc>) -> Value {
    #[allow(clippy::cast_precision_loss)] // milliseconds of this century fit in 53 bits
    let seconds = time.timestamp_millis() as f64 / 1000.0;
    json!(seconds)
}

/// The time to the millisecond: what is kept is what is answered.
pub fn now() -> DateTime<Utc> {
    let now = Utc::now();
    DateTime::from_timestamp_millis(now.timestamp_millis()).unwrap_or(now)
}

/// `bytes` random bytes in hex.
pub fn random_hex(bytes: usize) -> String {
    let mut buffer = vec![0; bytes];
    getrandom::fill(&mut buffer).expect("the system's random source answers");
    hex::encode(buffer)
}

/// A page of a list: what follows the item named `after`, at most `limit`, and the name of the last one where more follow.
pub fn page<T>(items: Vec<T>, name: impl Fn(&T) -> String, after: Option<&str>, limit: usize) -> (Vec<T>, Option<String>) {
    let start = after.and_then(|after| items.iter().position(|item| name(item) == after)).map_or(0, |at| at + 1);
    let mut rest = items.into_iter().skip(start);
    let taken: Vec<T> = rest.by_ref().take(limit.max(1)).collect();
    let next = if rest.next().is_some() { taken.last().map(name) } else { None };
    (taken, next)
}

/// XML under construction.
#[derive(Debug, Default)]
pub struct Xml {
    text: String,
}

impl Xml {
    /// `<name>value</name>`, escaped.
    pub fn put(&mut self, name: &str, value: impl std::fmt::Display) {
        self.text += &format!("<{name}>{}</{name}>", quick_xml::escape::escape(value.to_string()));
    }

    /// The same where there is a value.
    pub fn put_some(&mut self, name: &str, value: Option<impl std::fmt::Display>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    /// A time as ISO 8601 in UTC.
    pub fn put_time(&mut self, name: &str, time: DateTime<Utc>) {
        self.put(name, time.to_rfc3339_opts(SecondsFormat::Millis, true));
    }

    /// What another holds.
    pub fn append(&mut self, other: &Self) {
        self.text += &other.text;
    }

    /// Another value in the first `<name>…</name>`, or none at all.
    pub fn replace(&mut self, name: &str, value: Option<&str>) {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let Some(from) = self.text.find(&open) else { return };
        let Some(to) = self.text[from..].find(&close).map(|at| from + at + close.len()) else { return };
        let mut other = Self::default();
        other.put_some(name, value);
        self.text.replace_range(from..to, &other.text);
    }

    /// `<name>…</name>` around what `fill` writes.
    pub fn within(&mut self, name: &str, fill: impl FnOnce(&mut Self)) {
        self.text += &format!("<{name}>");
        fill(self);
        self.text += &format!("</{name}>");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_go_on_after_the_named_item() {
        let name = |item: &i32| item.to_string();
        assert_eq!(page(vec![1, 2, 3], name, None, 2), (vec![1, 2], Some("2".into())));
        assert_eq!(page(vec![1, 2, 3], name, Some("2"), 2), (vec![3], None));
        assert_eq!(page(Vec::<i32>::new(), name, None, 2), (vec![], None));
    }

    #[test]
    fn xml_escapes_what_it_holds() {
        let mut xml = Xml::default();
        xml.within("A", |xml| xml.put("B", "<&>"));
        assert_eq!(xml.text, "<A><B>&lt;&amp;&gt;</B></A>");
    }
}
