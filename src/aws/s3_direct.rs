//! GetObject for the many: signed and sent without the SDK's orchestration, which costs several times what reading a small object does.
//!
//! Where a bucket is reached and how its requests are signed is learnt from the first request that the SDK itself makes; credentials come
//! from the same provider, the connection is of the same kind, and answers and errors are read by the SDK's own deserializer. So
//! everything behind it sees what it would have seen. Not here: buckets that are reached otherwise (another signing algorithm, S3
//! Express, keys under SSE-C), which stay the SDK's; and asking again, which is the reader's.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::{GetObject, GetObjectError, GetObjectOutput};
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings};
use aws_smithy_runtime_api::client::interceptors::context::Error;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_plugin::RuntimePlugin;
use aws_smithy_runtime_api::client::ser_de::{DeserializeResponse, SharedResponseDeserializer};
use aws_smithy_types::config_bag::{ConfigBag, FrozenLayer};
use bytes::Bytes;
use chrono::{Datelike, Timelike};
use http::Request;
use http::header::{HeaderName, HeaderValue};
use http_body_util::Empty;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::aws::connections::Connections;
use crate::aws::s3_answer::Answer;
use crate::aws::seen::{Headers, Seen};
use crate::aws::session::Session;
use crate::aws::signature::{EMPTY_PAYLOAD, SigningKey};

/// What GetObject gives, as the SDK's own `send` does.
pub type Sent = Result<Answer, SdkError<GetObjectError, HttpResponse>>;

/// What a key keeps of itself in a path (Signature Version 4, `UriEncode`).
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The same in a query.
const IN_QUERY: &AsciiSet = &IN_PATH.add(b'/');

/// Credentials are asked for again so long before they end.
const BEFORE_EXPIRY: Duration = Duration::from_secs(60);

/// So few bytes are received by whoever asks for them; more of them on a task of their own.
const FEW_BYTES: u64 = 64 << 10;

/// An error's own words are not longer than this.
const ERROR_BYTES: usize = 64 << 10;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The key.
    pub key: String,
    /// The version, where it has one.
    pub version_id: Option<String>,
    /// The tag that the object must still have.
    pub if_match: Option<String>,
    /// The value of `Range`, for a part.
    pub range: Option<String>,
    /// How many bytes that is.
    pub bytes: u64,
}

/// Asks for objects of one bucket. Clones share what was learnt.
#[derive(Clone, Debug)]
pub struct Direct {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    connector: Connector,
    connect_timeout: Duration,
    credentials: Option<SharedCredentialsProvider>,
    operation: Option<FrozenLayer>,
    /// Learnt once; nothing where this bucket is not one that can be asked from here.
    place: OnceLock<Option<Place>>,
    few: OnceLock<Option<Arc<Connections>>>,
    signing: Mutex<Option<Arc<Signing>>>,
}

/// How the SDK reaches the bucket.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Place {
    /// Scheme and authority.
    origin: String,
    /// What `Host` says.
    host: String,
    /// The path before the key.
    before_key: String,
    region: String,
    service: String,
    /// Headers that the SDK says who it is with.
    agent: Headers,
}

/// A key for one day and the credentials that it is of.
#[derive(Debug)]
struct Signing {
    day: String,
    key: SigningKey,
    token: Option<String>,
    until: Option<SystemTime>,
}

impl Direct {
    /// Nothing learnt yet.
    pub fn new(session: &Session, connect_timeout: Duration) -> Self {
        let settings = HttpConnectorSettings::builder().connect_timeout(connect_timeout).build();
        let connector = Connector::builder().connector_settings(settings).tls_provider(Provider::Rustls(CryptoMode::Ring)).build();
        let shared = Shared {
            connector,
            connect_timeout,
            credentials: session.config().credentials_provider(),
            operation: GetObject::new().config(),
            place: OnceLock::new(),
            few: OnceLock::new(),
            signing: Mutex::new(None),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Whether objects can be asked for here.
    pub fn is_ready(&self) -> bool {
        matches!(self.shared.place.get(), Some(Some(_)))
    }

    /// Whether the SDK's next request is to be looked at.
    pub fn is_curious(&self) -> bool {
        self.shared.place.get().is_none()
    }

    /// Learns from what the SDK sent for `key`.
    pub fn learn(&self, seen: &Seen, key: &str) {
        let seen = seen.take();
        if let Some((uri, headers)) = seen {
            let usable = self.shared.credentials.is_some() && self.shared.operation.is_some();
            self.shared.place.get_or_init(|| Place::of(&uri, &headers, key).filter(|_| usable));
        }
    }

    /// GetObject. Only where [`Direct::is_ready`].
    pub async fn get(&self, ask: &Ask) -> Sent {
        let Some(Some(place)) = self.shared.place.get() else {
            return Err(SdkError::construction_failure("the bucket's place is not known"));
        };
        let now = SystemTime::now();
        let time = time_of(now);
        let signing = self.signing(place, now, &time[..8]).await?;
        let asked = Asked::new(place, &signing, ask, &time);
        if let Some(few) = self.few(place).filter(|_| ask.bytes <= FEW_BYTES) {
            let answer = few.send(asked.bare().map_err(SdkError::construction_failure)?).await.map_err(SdkError::dispatch_failure)?;
            return match Answer::of_own(answer) {
                Ok(read) => Ok(read),
                Err(other) => {
                    let other = HttpResponse::try_from(other.map(SdkBody::from_body_1_x));
                    let other = other.map_err(|error| SdkError::dispatch_failure(ConnectorError::other(error.into(), None)))?;
                    self.read(other).await
                }
            };
        }
        let request = asked.request().map_err(SdkError::construction_failure)?;
        let answer = self.shared.connector.call(request).await.map_err(SdkError::dispatch_failure)?;
        self.read(answer).await
    }

    /// Connections for small answers.
    fn few(&self, place: &Place) -> Option<&Arc<Connections>> {
        let make = || Connections::new(&place.origin, self.shared.connect_timeout).map(Arc::new);
        self.shared.few.get_or_init(make).as_ref()
    }

    /// The signing key of today, of credentials that are still good.
    async fn signing(&self, place: &Place, now: SystemTime, day: &str) -> Result<Arc<Signing>, SdkError<GetObjectError, HttpResponse>> {
        let known = self.shared.signing.lock().ok().and_then(|known| known.clone());
        if let Some(known) = known.filter(|known| known.day == day && known.until.is_none_or(|until| until > now + BEFORE_EXPIRY)) {
            return Ok(known);
        }
        let Some(provider) = &self.shared.credentials else {
            return Err(SdkError::construction_failure("no credentials provider"));
        };
        let found = provider.provide_credentials().await;
        // As the SDK tells it: what the provider said is in the chain of causes.
        let credentials = found.map_err(|error| SdkError::dispatch_failure(ConnectorError::other(Box::new(error), None)))?;
        let signing = Arc::new(Signing {
            key: SigningKey::new(&credentials, day, &place.region, &place.service),
            day: day.to_owned(),
            token: credentials.session_token().map(str::to_owned),
            until: credentials.expiry(),
        });
        if let Ok(mut known) = self.shared.signing.lock() {
            *known = Some(signing.clone());
        }
        Ok(signing)
    }

    /// The answer, read as the SDK reads it; where it is a plain one, without it.
    async fn read(&self, mut answer: HttpResponse) -> Sent {
        if let Some(read) = Answer::of_response(&mut answer) {
            return Ok(read);
        }
        // What the SDK's own interceptor does before its deserializer, which refuses dates that are none.
        if let Some(expires) = answer.headers_mut().remove("expires") {
            answer.headers_mut().try_insert("ExpiresString", expires).map_err(SdkError::construction_failure)?;
        }
        let Some(deserializer) = self.shared.operation.as_ref().and_then(|layer| layer.load::<SharedResponseDeserializer>()) else {
            return Err(SdkError::response_error("no deserializer", answer));
        };
        let config = ConfigBag::base();
        let parsed = match deserializer.deserialize_streaming_with_config(&mut answer, &config) {
            Some(parsed) => parsed,
            None => {
                answer = match whole_error(answer).await {
                    Ok(answer) => answer,
                    Err(failed) => return Err(failed),
                };
                deserializer.deserialize_nonstreaming_with_config(&answer, &config)
            }
        };
        match parsed {
            Ok(output) => match output.downcast::<GetObjectOutput>() {
                Ok(output) => Ok(Answer::of_output(output)),
                Err(_) => Err(SdkError::response_error("an answer of another kind", answer)),
            },
            Err(error) => Err(self.refused(error, answer)),
        }
    }

    fn refused(&self, error: OrchestratorError<Error>, answer: HttpResponse) -> SdkError<GetObjectError, HttpResponse> {
        let mut found = None;
        let said = error.map_operation_error(|error| {
            let text = error.to_string();
            found = error.downcast::<GetObjectError>().ok();
            text
        });
        let Some(error) = found else {
            let said = said.as_operation_error().cloned().unwrap_or_else(|| "the answer cannot be read".to_owned());
            return SdkError::response_error(said, answer);
        };
        // Credentials may have been changed where they come from: they are looked for again.
        if answer.status().as_u16() == 403 || error.code().is_some_and(|code| code.contains("Expired") || code.contains("Token")) {
            self.shared.signing.lock().map(|mut known| *known = None).ok();
        }
        SdkError::service_error(error, answer)
    }
}

impl Place {
    /// Out of a request that the SDK signed for `key`; nothing where it is not one that could be made here.
    fn of(uri: &str, headers: &[(String, String)], key: &str) -> Option<Self> {
        let header = |wanted: &str| headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.as_str());
        let (scheme, rest) = uri.split_once("://")?;
        let (authority, path) = rest.split_at(rest.find('/')?);
        let path = path.split('?').next()?;
        let before_key = path.strip_suffix(&encoded(key, IN_PATH)).filter(|before| before.ends_with('/'))?;
        let default_port = match scheme {
            "http" => ":80",
            "https" => ":443",
            _ => return None,
        };
        if authority.contains('@') || header("x-amz-s3session-token").is_some() {
            return None;
        }
        let scope = header("authorization")?.strip_prefix("AWS4-HMAC-SHA256 Credential=")?.split(',').next()?;
        let mut scope = scope.rsplit('/');
        let (kind, service, region) = (scope.next()?, scope.next()?, scope.next()?);
        if kind != "aws4_request" || service != "s3" {
            return None;
        }
        let agent = ["user-agent", "x-amz-user-agent"].into_iter();
        Some(Self {
            origin: format!("{scheme}://{authority}"),
            host: authority.strip_suffix(default_port).unwrap_or(authority).to_owned(),
            before_key: before_key.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            agent: agent.filter_map(|name| Some((name.to_owned(), header(name)?.to_owned()))).collect(),
        })
    }
}

/// A request, signed.
struct Asked<'a> {
    place: &'a Place,
    /// Path and query.
    target: String,
    /// By name; the first is `host`.
    headers: Vec<(&'static str, &'a str)>,
    authorization: String,
}

impl<'a> Asked<'a> {
    fn new(place: &'a Place, signing: &'a Signing, ask: &'a Ask, time: &'a str) -> Self {
        let path = format!("{}{}", place.before_key, encoded(&ask.key, IN_PATH));
        let query = ask.version_id.as_ref().map(|id| format!("versionId={}", encoded(id, IN_QUERY))).unwrap_or_default();
        let mut headers: Vec<(&'static str, &str)> = Vec::with_capacity(8);
        headers.push(("host", &place.host));
        headers.extend(ask.if_match.as_deref().map(|tag| ("if-match", tag)));
        match &ask.range {
            Some(range) => headers.push(("range", range)),
            // Answers carry the checksum where it is asked for.
            None => headers.push(("x-amz-checksum-mode", "ENABLED")),
        }
        headers.extend([("x-amz-content-sha256", EMPTY_PAYLOAD), ("x-amz-date", time)]);
        headers.extend(signing.token.as_deref().map(|token| ("x-amz-security-token", token)));
        let authorization = signing.key.authorize(time, &path, &query, &headers);
        let target = if query.is_empty() { path } else { format!("{path}?{query}") };
        Self { place, target, headers, authorization }
    }

    /// For the SDK's connector.
    fn request(self) -> Result<HttpRequest, BoxError> {
        let mut request = HttpRequest::get(format!("{}{}", self.place.origin, self.target))?;
        // `host` is the connection's to say.
        for (name, value) in self.headers.into_iter().skip(1) {
            request.headers_mut().try_insert(name, value.to_owned())?;
        }
        for (name, value) in &self.place.agent {
            request.headers_mut().try_insert(name.clone(), value.clone())?;
        }
        request.headers_mut().try_insert("authorization", self.authorization)?;
        Ok(request)
    }

    /// For a connection of our own.
    fn bare(self) -> Result<Request<Empty<Bytes>>, BoxError> {
        let mut request = Request::get(self.target).body(Empty::new())?;
        let headers = request.headers_mut();
        headers.reserve(self.headers.len() + self.place.agent.len() + 1);
        for (name, value) in self.headers {
            headers.insert(name, HeaderValue::from_str(value)?);
        }
        for (name, value) in &self.place.agent {
            headers.insert(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_str(value)?);
        }
        headers.insert("authorization", HeaderValue::try_from(self.authorization)?);
        Ok(request)
    }
}

/// The answer with its body in memory: an error's own words.
async fn whole_error(mut answer: HttpResponse) -> Result<HttpResponse, SdkError<GetObjectError, HttpResponse>> {
    let mut body = ByteStream::new(answer.take_body());
    let mut said = Vec::new();
    while said.len() < ERROR_BYTES {
        match body.next().await {
            None => break,
            Some(Ok(bytes)) => said.extend_from_slice(&bytes),
            Some(Err(error)) => return Err(SdkError::response_error(error, answer)),
        }
    }
    *answer.body_mut() = SdkBody::from(said);
    Ok(answer)
}

fn encoded(text: &str, set: &'static AsciiSet) -> String {
    utf8_percent_encode(text, set).to_string()
}

/// `YYYYMMDDTHHMMSSZ`. Numbers, since a format that is read again for every request costs as much as its signature.
fn time_of(now: SystemTime) -> String {
    let now = chrono::DateTime::<chrono::Utc>::from(now);
    let (year, month, day) = (now.year(), now.month(), now.day());
    format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", now.hour(), now.minute(), now.second())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(scope: &str) -> Vec<(String, String)> {
        let authorization = format!("AWS4-HMAC-SHA256 Credential=ID/20261121/{scope}, SignedHeaders=host, Signature=00");
        vec![("authorization".into(), authorization), ("user-agent".into(), "aws-sdk-rust".into())]
    }

    #[test]
    fn a_place_is_learnt_from_what_the_sdk_sent() {
        let by_host =
            Place::of("https://b.s3.eu-west-2.amazonaws.com/a%20b/c?x-id=GetObject", &signed("eu-west-2/s3/aws4_request"), "a b/c");
        let by_host = by_host.expect("virtual-hosted");
        assert_eq!((by_host.host.as_str(), by_host.before_key.as_str()), ("b.s3.eu-west-2.amazonaws.com", "/"));
        assert_eq!((by_host.region.as_str(), by_host.service.as_str()), ("eu-west-2", "s3"));
        let by_path = Place::of("http://127.0.0.1:80/b//%2B", &signed("eu-west-2/s3/aws4_request"), "/+").expect("by path");
        assert_eq!((by_path.host.as_str(), by_path.before_key.as_str()), ("127.0.0.1", "/b/"));
    }

    #[test]
    fn times_are_spelt_as_signatures_have_them() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_369_353_600 + 3_661);
        assert_eq!(time_of(at), "20130524T010101Z");
    }

    #[test]
    fn what_is_reached_otherwise_is_left_to_the_sdk() {
        let uri = "https://b.s3.amazonaws.com/k";
        assert_eq!(Place::of(uri, &signed("us-east-1/s3express/aws4_request"), "k"), None);
        assert_eq!(
            Place::of(uri, &[("authorization".into(), "AWS4-ECDSA-P256-SHA256 Credential=ID/20261121/s3/aws4_request".into())], "k"),
            None
        );
        assert_eq!(Place::of(uri, &[], "k"), None, "unsigned");
        assert_eq!(Place::of(uri, &signed("us-east-1/s3/aws4_request"), "other"), None, "an encoding that is not ours");
        assert_eq!(Place::of("s3:/k", &signed("us-east-1/s3/aws4_request"), "k"), None);
    }
}
