//! Scan for the many: signed and sent without the SDK's orchestration and without its values, which cost several times what reading a page does.
//!
//! Where DynamoDB is reached and how requests are signed is learnt from the DescribeTable that the SDK itself sends; credentials come from the
//! same provider, the connection is of the same kind. Only a whole answer that holds is taken from here. Everything else (throttled, refused,
//! broken off, expired, a clock that is wrong) is asked again of the SDK, which has its own words, retries and corrections for it; where that
//! comes too often in a row, the SDK is asked at once. A body that does not have its CRC32 is the one thing that the SDK would not see: it is asked
//! for again here, and then a failure. Not here: what the answer says (`verify::items::answer`).

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;

use crate::aws::errors::kind_of_code;
use crate::aws::seen::{Headers, Seen};
use crate::aws::session::Session;
use crate::aws::signature::SigningKey;
use crate::model::failure::FailureKind;

/// As the session's own.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// No answer, or no more of it, for so long: it is given up.
const STALLED: Duration = Duration::from_secs(30);

/// Credentials are asked for again so long before they end.
const BEFORE_EXPIRY: Duration = Duration::from_secs(60);

/// An answer of Scan has at most 1 MB of items, which JSON makes larger.
const LARGEST_ANSWER: usize = 64 << 20;

/// Refused so often in a row, and the SDK was not: it alone is asked from then on.
const MOST_REFUSALS: u32 = 3;

/// Why an answer was not taken.
#[derive(Clone, Debug)]
pub enum Declined {
    /// Asked to slow down, or an error of the service's own: the SDK's turn after a pause.
    Busy,
    /// Anything else: the SDK's turn.
    Refused,
    /// The body that came does not have the CRC32 that came with it.
    Damaged(String),
}

/// Scans with one identity in one Region; clones share what is known.
#[derive(Clone, Debug)]
pub struct Direct {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    connector: Connector,
    /// Nothing where DynamoDB is not reached in a way that can be done here.
    known: Option<(Place, SharedCredentialsProvider)>,
    signing: Mutex<Option<Arc<Signing>>>,
    /// Refusals in a row.
    refusals: AtomicU32,
}

/// How the SDK reaches DynamoDB.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Place {
    /// Scheme, authority and `/`.
    url: String,
    /// What `Host` says.
    host: String,
    region: String,
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
    /// By what the SDK was seen to send.
    pub fn new(session: &Session, seen: &Seen) -> Self {
        let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).build();
        let connector = Connector::builder().connector_settings(settings).tls_provider(Provider::Rustls(CryptoMode::Ring)).build();
        let seen = seen.take();
        let known = seen.and_then(|(uri, headers)| Place::of(&uri, &headers)).zip(session.config().credentials_provider());
        Self { shared: Arc::new(Shared { connector, known, signing: Mutex::new(None), refusals: AtomicU32::new(0) }) }
    }

    /// Whether to ask here first.
    pub fn is_ready(&self) -> bool {
        self.shared.known.is_some() && self.shared.refusals.load(Ordering::Relaxed) < MOST_REFUSALS
    }

    /// The body of the answer to the Scan `body`.
    pub async fn scan(&self, body: &[u8]) -> Result<Vec<u8>, Declined> {
        let answered = self.answer(body).await;
        match &answered {
            Ok(_) => self.shared.refusals.store(0, Ordering::Relaxed),
            Err(Declined::Refused) => self.refused(),
            Err(Declined::Busy | Declined::Damaged(_)) => {}
        }
        answered
    }

    /// What came was no use: neither are the credentials, until they are looked for again.
    pub fn refused(&self) {
        self.shared.refusals.fetch_add(1, Ordering::Relaxed);
        self.shared.signing.lock().map(|mut known| *known = None).ok();
    }

    async fn answer(&self, body: &[u8]) -> Result<Vec<u8>, Declined> {
        let (place, provider) = self.shared.known.as_ref().ok_or(Declined::Refused)?;
        let now = SystemTime::now();
        let time = chrono::DateTime::<chrono::Utc>::from(now).format("%Y%m%dT%H%M%SZ").to_string();
        let signing = self.signing(place, provider, now, &time[..8]).await?;
        let request = request(place, &signing, body, &time).map_err(|_| Declined::Refused)?;
        let sent = tokio::time::timeout(STALLED, self.shared.connector.call(request));
        let answer = sent.await.map_err(|_| Declined::Refused)?.map_err(|_| Declined::Refused)?;
        let status = answer.status().as_u16();
        let crc32 = answer.headers().get("x-amz-crc32").map(|value| value.trim().to_owned());
        let bytes = whole(answer).await?;
        match (status, crc32) {
            (200, None) => Ok(bytes),
            (200, Some(stated)) => {
                let found = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, &bytes).to_string();
                if found == stated {
                    Ok(bytes)
                } else {
                    Err(Declined::Damaged(format!("the CRC32 {found} where the answer states {stated}")))
                }
            }
            _ if status >= 500 || is_throttled(&bytes) => Err(Declined::Busy),
            _ => Err(Declined::Refused),
        }
    }

    /// The signing key of today, of credentials that are still good.
    async fn signing(
        &self,
        place: &Place,
        provider: &SharedCredentialsProvider,
        now: SystemTime,
        day: &str,
    ) -> Result<Arc<Signing>, Declined> {
        let known = self.shared.signing.lock().ok().and_then(|known| known.clone());
        if let Some(known) = known.filter(|known| known.day == day && known.until.is_none_or(|until| until > now + BEFORE_EXPIRY)) {
            return Ok(known);
        }
        // The SDK asks the provider itself, and tells what it says.
        let credentials = provider.provide_credentials().await.map_err(|_| Declined::Refused)?;
        let signing = Arc::new(Signing {
            key: SigningKey::new(&credentials, day, &place.region, "dynamodb"),
            day: day.to_owned(),
            token: credentials.session_token().map(str::to_owned),
            until: credentials.expiry(),
        });
        if let Ok(mut known) = self.shared.signing.lock() {
            *known = Some(signing.clone());
        }
        Ok(signing)
    }
}

impl Place {
    /// Out of a request that the SDK signed; nothing where it is not one that could be made here.
    fn of(uri: &str, headers: &[(String, String)]) -> Option<Self> {
        let header = |wanted: &str| headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.as_str());
        let (scheme, rest) = uri.split_once("://")?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let default_port = match scheme {
            "http" => ":80",
            "https" => ":443",
            _ => return None,
        };
        if !path.is_empty() || authority.contains(['@', '?']) {
            return None;
        }
        let scope = header("authorization")?.strip_prefix("AWS4-HMAC-SHA256 Credential=")?.split(',').next()?;
        let mut scope = scope.rsplit('/');
        let (kind, service, region) = (scope.next()?, scope.next()?, scope.next()?);
        if kind != "aws4_request" || service != "dynamodb" {
            return None;
        }
        let agent = ["user-agent", "x-amz-user-agent"].into_iter();
        Some(Self {
            url: format!("{scheme}://{authority}/"),
            host: authority.strip_suffix(default_port).unwrap_or(authority).to_owned(),
            region: region.to_owned(),
            agent: agent.filter_map(|name| Some((name.to_owned(), header(name)?.to_owned()))).collect(),
        })
    }
}

/// The signed request.
fn request(place: &Place, signing: &Signing, body: &[u8], time: &str) -> Result<HttpRequest, BoxError> {
    let mut headers: Vec<(&'static str, &str)> =
        vec![("content-type", "application/x-amz-json-1.0"), ("host", &place.host), ("x-amz-date", time)];
    headers.extend(signing.token.as_deref().map(|token| ("x-amz-security-token", token)));
    headers.push(("x-amz-target", "DynamoDB_20120810.Scan"));
    let authorization = signing.key.authorize_post(time, &headers, body);
    let mut request = HttpRequest::new(SdkBody::from(body.to_vec()));
    request.set_method("POST")?;
    request.set_uri(place.url.as_str())?;
    // `host` is the connection's to say.
    for (name, value) in headers.into_iter().filter(|(name, _)| *name != "host") {
        request.headers_mut().try_insert(name, value.to_owned())?;
    }
    for (name, value) in &place.agent {
        request.headers_mut().try_insert(name.clone(), value.clone())?;
    }
    request.headers_mut().try_insert("authorization", authorization)?;
    Ok(request)
}

/// The whole body; one that breaks off, stalls or does not end is none.
async fn whole(mut answer: HttpResponse) -> Result<Vec<u8>, Declined> {
    let length = answer.headers().get("content-length").and_then(|length| length.parse::<usize>().ok());
    let mut body = ByteStream::new(answer.take_body());
    let mut bytes = Vec::with_capacity(length.unwrap_or_default().min(LARGEST_ANSWER));
    loop {
        let piece = tokio::time::timeout(STALLED, body.next()).await.map_err(|_| Declined::Refused)?;
        match piece {
            Some(Ok(piece)) => bytes.extend_from_slice(&piece),
            Some(Err(_)) => return Err(Declined::Refused),
            None => break,
        }
        if bytes.len() > LARGEST_ANSWER {
            return Err(Declined::Refused);
        }
    }
    // What does not say its length ends where the connection says so.
    if length.is_none_or(|length| length == bytes.len()) { Ok(bytes) } else { Err(Declined::Refused) }
}

/// Whether an error's body has the code of a throttled request (`__type`, after its namespace).
fn is_throttled(body: &[u8]) -> bool {
    let said: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let code = said.as_ref().and_then(|said| said.get("__type")?.as_str()).unwrap_or_default();
    kind_of_code(code.rsplit('#').next().unwrap_or_default()) == FailureKind::Throttled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(scope: &str) -> Headers {
        let authorization = format!("AWS4-HMAC-SHA256 Credential=ID/20261121/{scope}, SignedHeaders=host, Signature=00");
        vec![("authorization".into(), authorization), ("user-agent".into(), "aws-sdk-rust".into())]
    }

    #[test]
    fn a_place_is_learnt_from_what_the_sdk_sent() {
        let scope = signed("eu-west-2/dynamodb/aws4_request");
        for uri in ["https://dynamodb.eu-west-2.amazonaws.com/", "https://dynamodb.eu-west-2.amazonaws.com"] {
            let place = Place::of(uri, &scope).unwrap();
            assert_eq!(
                (place.url.as_str(), place.host.as_str()),
                ("https://dynamodb.eu-west-2.amazonaws.com/", "dynamodb.eu-west-2.amazonaws.com")
            );
            assert_eq!((place.region.as_str(), place.agent.len()), ("eu-west-2", 1));
        }
        assert_eq!(Place::of("http://127.0.0.1:80/", &scope).unwrap().host, "127.0.0.1");
        assert_eq!(Place::of("http://127.0.0.1:8000/", &scope).unwrap().host, "127.0.0.1:8000");
    }

    #[test]
    fn what_is_reached_otherwise_is_left_to_the_sdk() {
        let uri = "https://dynamodb.eu-west-2.amazonaws.com/";
        assert_eq!(Place::of(uri, &[]), None, "unsigned");
        assert_eq!(Place::of(uri, &signed("eu-west-2/dax/aws4_request")), None);
        assert_eq!(Place::of("https://proxy.example/dynamodb/", &signed("eu-west-2/dynamodb/aws4_request")), None, "below a path");
        assert_eq!(Place::of("ftp://a/", &signed("eu-west-2/dynamodb/aws4_request")), None);
    }

    /// Gives credentials that end after so long, and counts.
    #[derive(Debug)]
    struct Counting(Duration, AtomicU32);

    impl ProvideCredentials for Counting {
        fn provide_credentials<'a>(&'a self) -> aws_credential_types::provider::future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let n = self.1.fetch_add(1, Ordering::Relaxed);
            let until = SystemTime::now() + self.0;
            let credentials = aws_credential_types::Credentials::new(format!("ID{n}"), "secret", Some("token".into()), Some(until), "test");
            aws_credential_types::provider::future::ProvideCredentials::ready(Ok(credentials))
        }
    }

    #[tokio::test]
    async fn credentials_are_asked_for_again_before_they_end_and_once_they_were_refused() {
        let place = Place::of("http://127.0.0.1:9/", &signed("eu-west-2/dynamodb/aws4_request")).unwrap();
        for (lasts_s, expected) in [(3600, ["ID0", "ID0", "ID1", "ID2"]), (30, ["ID0", "ID1", "ID2", "ID3"])] {
            let provider = SharedCredentialsProvider::new(Counting(Duration::from_secs(lasts_s), AtomicU32::new(0)));
            let shared = Shared {
                connector: Connector::builder().build_http(),
                known: Some((place.clone(), provider.clone())),
                signing: Mutex::new(None),
                refusals: AtomicU32::new(0),
            };
            let direct = Direct { shared: Arc::new(shared) };
            let mut found = Vec::new();
            for (at, day) in ["20261121", "20261121", "20261121", "20261122"].iter().enumerate() {
                if at == 2 {
                    direct.refused();
                }
                let signing = direct.signing(&place, &provider, SystemTime::now(), day).await.unwrap();
                let request = request(&place, &signing, b"{}", &format!("{day}T000000Z")).unwrap();
                let authorization = request.headers().get("authorization").unwrap();
                assert_eq!(request.headers().get("x-amz-security-token"), Some("token"));
                assert!(authorization.contains("SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target,"));
                found.push(authorization.split(['=', '/']).nth(1).unwrap().to_owned());
            }
            assert_eq!(found, expected, "credentials for {lasts_s} s");
        }
    }

    #[test]
    fn throttling_is_told_by_its_code() {
        assert!(is_throttled(br#"{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"}"#));
        assert!(is_throttled(br#"{"__type":"ThrottlingException","message":"slow"}"#));
        assert!(!is_throttled(br#"{"__type":"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException"}"#));
        assert!(!is_throttled(b"<html>"));
    }
}
