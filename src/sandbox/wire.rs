//! What every service of the sandbox speaks: HTTP requests signed with AWS Signature Version 4.
//!
//! Holds the trait that a service implements and the check of a request's signature (the AWS page "Create a signed AWS API request").
//! Not here: S3, whose bodies stream and whose signatures are checked as they do.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, Request, Response, StatusCode};
use sha2::{Digest, Sha256};

use crate::sandbox::identity;

/// A service whose requests and answers are small enough to hold: everything but S3.
#[async_trait]
pub trait Service: Send + Sync {
    /// Answers one request whose signature has been verified.
    async fn call(&self, request: Request<Bytes>) -> Response<Bytes>;

    /// Ends whatever the service runs (such as database servers); the state on disk stays.
    async fn shutdown(&self) {}
}

/// What a request says it was signed for: `Credential=KEY/DATE/REGION/SERVICE/aws4_request`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Access key id.
    pub access_key: String,
    /// Day, as `YYYYMMDD`.
    pub date: String,
    /// Region.
    pub region: String,
    /// Signing name of the service, such as `s3` or `dynamodb`.
    pub service: String,
}

impl Scope {
    fn parse(credential: &str) -> Option<Self> {
        // An access key id has no slash; the other four parts are the last ones.
        let mut parts = credential.rsplitn(5, '/');
        if parts.next()? != "aws4_request" {
            return None;
        }
        let (service, region, date) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self { access_key: parts.next()?.into(), date: date.into(), region: region.into(), service: service.into() })
    }

    /// The scope of a request: from its `Authorization` header, else from its presigned query.
    pub fn of(uri: &http::Uri, headers: &HeaderMap) -> Option<Self> {
        if let Some(authorization) = Authorization::of(headers) {
            return Some(authorization.scope);
        }
        let query = uri.query()?;
        let credential = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "X-Amz-Credential")?.1;
        Self::parse(&credential)
    }
}

/// The parts of an `Authorization: AWS4-HMAC-SHA256 …` header.
struct Authorization {
    scope: Scope,
    signed_headers: Vec<String>,
    signature: String,
}

impl Authorization {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get(http::header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("AWS4-HMAC-SHA256")?;
        let field = |name: &str| text.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
        Some(Self {
            scope: Scope::parse(field("Credential")?)?,
            signed_headers: field("SignedHeaders")?.split(';').map(str::to_owned).collect(),
            signature: field("Signature")?.to_owned(),
        })
    }
}

/// Why a request was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No signature at all.
    Unsigned,
    /// An access key id that does not exist.
    UnknownKey,
    /// The signature is not what the secret gives.
    WrongSignature,
}

/// Checks the signature in the `Authorization` header of a request to a service other than S3.
pub fn verify(request: &Request<Bytes>) -> Result<(), Refusal> {
    let authorization = Authorization::of(request.headers()).ok_or(Refusal::Unsigned)?;
    let scope = &authorization.scope;
    let secret = identity::secret_of(&scope.access_key).ok_or(Refusal::UnknownKey)?;
    let date = request.headers().get("x-amz-date").and_then(|value| value.to_str().ok()).ok_or(Refusal::WrongSignature)?;
    let canonical = canonical_request(request, &authorization.signed_headers).ok_or(Refusal::WrongSignature)?;
    is_signed(scope, secret, date, &canonical, &authorization.signature)
}

/// Checks a presigned GET of `/` at `host`: what its query asks for, and what it was signed for. When it was signed and for how long it
/// holds is not judged.
pub fn verify_presigned(host: &str, query: &str) -> Result<(Scope, BTreeMap<String, String>), Refusal> {
    let asked: BTreeMap<String, String> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let of = |name: &str| asked.get(name).map(String::as_str).ok_or(Refusal::Unsigned);
    let scope = Scope::parse(of("X-Amz-Credential")?).ok_or(Refusal::Unsigned)?;
    let secret = identity::secret_of(&scope.access_key).ok_or(Refusal::UnknownKey)?;
    if of("X-Amz-Algorithm")? != "AWS4-HMAC-SHA256" || of("X-Amz-SignedHeaders")? != "host" {
        return Err(Refusal::WrongSignature);
    }
    let encoded = |text: &String| uri_encode(text.as_bytes());
    let signed = asked.iter().filter(|(name, _)| *name != "X-Amz-Signature");
    let mut pairs: Vec<String> = signed.map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    pairs.sort();
    let nothing = hex::encode(Sha256::digest(b""));
    let canonical = format!("GET\n/\n{}\nhost:{host}\n\nhost\n{nothing}", pairs.join("&"));
    is_signed(&scope, secret, of("X-Amz-Date")?, &canonical, of("X-Amz-Signature")?)?;
    Ok((scope, asked))
}

fn is_signed(scope: &Scope, secret: &str, date: &str, canonical: &str, signature: &str) -> Result<(), Refusal> {
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{date}\n{}/{}/{}/aws4_request\n{}",
        scope.date,
        scope.region,
        scope.service,
        hex::encode(Sha256::digest(canonical.as_bytes()))
    );
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in [scope.date.as_str(), &scope.region, &scope.service, "aws4_request"] {
        key = hmac(&key, part.as_bytes()).finalize().into_bytes().to_vec();
    }
    let claimed = hex::decode(signature).map_err(|_| Refusal::WrongSignature)?;
    hmac(&key, to_sign.as_bytes()).verify_slice(&claimed).map_err(|_| Refusal::WrongSignature)
}

fn hmac(key: &[u8], message: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac
}

fn canonical_request(request: &Request<Bytes>, signed_headers: &[String]) -> Option<String> {
    let mut query: Vec<(String, String)> = form_urlencoded::parse(request.uri().query().unwrap_or("").as_bytes())
        .map(|(name, value)| (uri_encode(name.as_bytes()), uri_encode(value.as_bytes())))
        .collect();
    query.sort();
    let query: Vec<String> = query.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut headers = String::new();
    for name in signed_headers {
        let values: Option<Vec<&str>> = request.headers().get_all(name).iter().map(|value| value.to_str().ok()).collect();
        let values: Vec<String> = values?.iter().map(|value| value.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        if values.is_empty() {
            return None;
        }
        headers += &format!("{name}:{}\n", values.join(","));
    }
    // Every service but S3 encodes the path that is already encoded once more.
    let path: Vec<String> = request.uri().path().split('/').map(|part| uri_encode(part.as_bytes())).collect();
    let payload = hex::encode(Sha256::digest(request.body()));
    Some(format!("{}\n{}\n{}\n{headers}\n{}\n{payload}", request.method(), path.join("/"), query.join("&"), signed_headers.join(";")))
}

/// `UriEncode` of the signing specification: everything but `A-Z a-z 0-9 - . _ ~`.
fn uri_encode(bytes: &[u8]) -> String {
    const KEPT: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    percent_encoding::percent_encode(bytes, KEPT).to_string()
}

/// The answer to a refused request, in the form of the service: JSON for the JSON protocols, XML for the query protocol.
pub fn refuse(service: &str, refusal: Refusal) -> Response<Bytes> {
    let query = matches!(service, "rds" | "sts");
    let (code, message) = match refusal {
        Refusal::Unsigned => ("MissingAuthenticationToken", "Missing Authentication Token"),
        Refusal::UnknownKey if query => ("InvalidClientTokenId", "The security token included in the request is invalid."),
        Refusal::UnknownKey => ("UnrecognizedClientException", "The security token included in the request is invalid."),
        Refusal::WrongSignature if query => ("SignatureDoesNotMatch", WRONG_SIGNATURE),
        Refusal::WrongSignature => ("InvalidSignatureException", WRONG_SIGNATURE),
    };
    // DynamoDB answers 400 where the others answer 403.
    let status = if service == "dynamodb" { StatusCode::BAD_REQUEST } else { StatusCode::FORBIDDEN };
    if query {
        return query_error(status, code, message);
    }
    let body = serde_json::json!({"__type": code, "message": message}).to_string();
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/x-amz-json-1.0"));
    headers.insert("x-amzn-errortype", http::HeaderValue::from_static(code));
    response
}

const WRONG_SIGNATURE: &str =
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.";

/// An error of the AWS query protocol.
pub fn query_error(status: StatusCode, code: &str, message: &str) -> Response<Bytes> {
    let body = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{}</Code><Message>{}</Message></Error><RequestId>{}</RequestId></ErrorResponse>",
        quick_xml::escape::escape(code),
        quick_xml::escape::escape(message),
        request_id()
    );
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("text/xml"));
    response
}

/// A fresh request id: a random UUID (version 4), as AWS's are.
pub fn request_id() -> String {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).expect("the system's random source answers");
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex::encode(bytes);
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scope_names_the_service() {
        let mut headers = HeaderMap::new();
        let value = "AWS4-HMAC-SHA256 Credential=AK/20260101/eu-west-2/backup/aws4_request, SignedHeaders=host;x-amz-date, Signature=00";
        headers.insert("authorization", value.parse().unwrap());
        let scope = Scope::of(&"/".parse().unwrap(), &headers).unwrap();
        assert_eq!((scope.access_key.as_str(), scope.region.as_str(), scope.service.as_str()), ("AK", "eu-west-2", "backup"));
        let presigned = "/b/k?X-Amz-Credential=AK%2F20260101%2Feu-west-2%2Fs3%2Faws4_request&X-Amz-Signature=00".parse().unwrap();
        assert_eq!(Scope::of(&presigned, &HeaderMap::new()).unwrap().service, "s3");
        assert_eq!(Scope::of(&"/".parse().unwrap(), &HeaderMap::new()), None);
    }

    #[test]
    fn refused_without_a_signature_with_an_unknown_key_or_a_wrong_one() {
        let request = |authorization: Option<&str>| {
            let mut builder = Request::builder().uri("/").header("host", "localhost").header("x-amz-date", "20260101T000000Z");
            if let Some(value) = authorization {
                builder = builder.header("authorization", value);
            }
            builder.body(Bytes::new()).unwrap()
        };
        assert_eq!(verify(&request(None)), Err(Refusal::Unsigned));
        let signed = |key: &str| {
            format!("AWS4-HMAC-SHA256 Credential={key}/20260101/eu-west-2/sts/aws4_request, SignedHeaders=host;x-amz-date, Signature=00")
        };
        assert_eq!(verify(&request(Some(&signed("NOBODY")))), Err(Refusal::UnknownKey));
        assert_eq!(verify(&request(Some(&signed(identity::ACCESS_KEY_ID)))), Err(Refusal::WrongSignature));
    }
}
