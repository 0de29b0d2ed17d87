//! Signature Version 4 (AWS General Reference, "Create a signed AWS API request").
//!
//! The SDK signs whatever it sends itself; this is for the two calls that are made too often for its orchestration (`s3_direct`,
//! `dynamodb_direct`), and for what is no call at all: the tokens that open databases (`rds_token`).

use std::fmt::Write as _;

use aws_credential_types::Credentials;
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

/// SHA-256 of nothing: the payload of a GET.
pub const EMPTY_PAYLOAD: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What a query's names and values keep of themselves (`UriEncode`).
const IN_QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A key that signs for one day, Region and service.
#[derive(Clone)]
pub struct SigningKey {
    access_key_id: String,
    scope: String,
    key: [u8; 32],
}

/// Never shows the key.
impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("scope", &self.scope).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// The key of `credentials` for `day` (`YYYYMMDD`).
    pub fn new(credentials: &Credentials, day: &str, region: &str, service: &str) -> Self {
        let seed = format!("AWS4{}", credentials.secret_access_key());
        let parts = [day, region, service, "aws4_request"];
        let key = parts.into_iter().fold(seed.into_bytes(), |key, part| hmac(&key, part.as_bytes()).to_vec());
        let key = key.try_into().expect("HMAC-SHA-256 has 32 bytes");
        Self { access_key_id: credentials.access_key_id().to_owned(), scope: parts.join("/"), key }
    }

    /// The `Authorization` header of a GET at `time` (`YYYYMMDDTHHMMSSZ`). `path` and `query` are encoded as they are sent, the query
    /// sorted; `headers` are names in lower case and trimmed values, sorted by name.
    pub fn authorize(&self, time: &str, path: &str, query: &str, headers: &[(&str, &str)]) -> String {
        self.sign("GET", time, (path, query), headers, EMPTY_PAYLOAD)
    }

    /// The same of a POST to `/` without a query, with this body.
    pub fn authorize_post(&self, time: &str, headers: &[(&str, &str)], body: &[u8]) -> String {
        self.sign("POST", time, ("/", ""), headers, &hex::encode(Sha256::digest(body)))
    }

    /// The query of a presigned GET of `/` at `host`, valid for `seconds` from `time` on: `asked` as given, then what signs it. `session` is
    /// the token of credentials that last for a while only.
    pub fn presign(&self, time: &str, host: &str, asked: &[(&str, &str)], seconds: u32, session: Option<&str>) -> String {
        let encoded = |text: &str| utf8_percent_encode(text, IN_QUERY).to_string();
        let (credential, seconds) = (format!("{}/{}", self.access_key_id, self.scope), seconds.to_string());
        let signs = [
            ("X-Amz-Algorithm", ALGORITHM),
            ("X-Amz-Credential", &credential),
            ("X-Amz-Date", time),
            ("X-Amz-Expires", &seconds),
            ("X-Amz-SignedHeaders", "host"),
        ];
        let session = session.map(|token| ("X-Amz-Security-Token", token));
        let all = asked.iter().copied().chain(signs).chain(session);
        let pairs: Vec<String> = all.map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        let mut sorted = pairs.clone();
        sorted.sort();
        let signature = self.signature("GET", time, ("/", &sorted.join("&")), (&format!("host:{host}\n"), "host"), EMPTY_PAYLOAD);
        format!("{}&X-Amz-Signature={}", pairs.join("&"), hex::encode(signature))
    }

    fn sign(&self, method: &str, time: &str, (path, query): (&str, &str), headers: &[(&str, &str)], payload: &str) -> String {
        let (mut lines, mut signed) = (String::with_capacity(256), String::with_capacity(96));
        for (name, value) in headers {
            for part in [name, ":", value, "\n"] {
                lines.push_str(part);
            }
            if !signed.is_empty() {
                signed.push(';');
            }
            signed.push_str(name);
        }
        let signature = self.signature(method, time, (path, query), (&lines, &signed), payload);
        let mut header = String::with_capacity(256);
        let _ = write!(header, "{ALGORITHM} Credential={}/{}, SignedHeaders={signed}, Signature=", self.access_key_id, self.scope);
        push_hex(&mut header, &signature);
        header
    }

    /// `lines` are the canonical headers, `signed` their names.
    fn signature(&self, method: &str, time: &str, (path, query): (&str, &str), (lines, signed): (&str, &str), payload: &str) -> [u8; 32] {
        let mut canonical = Sha256::new();
        for part in [method, "\n", path, "\n", query, "\n", lines, "\n", signed, "\n", payload] {
            canonical.update(part);
        }
        let mut text = String::with_capacity(192);
        let _ = write!(text, "{ALGORITHM}\n{time}\n{}\n", self.scope);
        push_hex(&mut text, &canonical.finalize());
        hmac(&self.key, text.as_bytes())
    }
}

/// Digit by digit in one buffer: this is done for every request.
fn push_hex(text: &mut String, digest: &[u8]) {
    let mut digits = [0; 64];
    let digits = &mut digits[..2 * digest.len()];
    hex::encode_to_slice(digest, digits).expect("two digits for each byte");
    text.push_str(std::str::from_utf8(digits).expect("digits are ASCII"));
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.chain_update(message).finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example "GET Object" of the Amazon S3 API Reference, "Signature Calculations for the Authorization Header".
    #[test]
    fn the_published_example_has_its_signature() {
        let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", None, None, "test");
        let key = SigningKey::new(&credentials, "20130524", "us-east-1", "s3");
        let headers = [
            ("host", "examplebucket.s3.amazonaws.com"),
            ("range", "bytes=0-9"),
            ("x-amz-content-sha256", EMPTY_PAYLOAD),
            ("x-amz-date", "20130524T000000Z"),
        ];
        assert_eq!(
            key.authorize("20130524T000000Z", "/test.txt", "", &headers),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
             SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, \
             Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
        assert!(!format!("{key:?}").contains("key:"), "a key is never shown");
    }

    /// The cases `post-vanilla` and `post-x-www-form-urlencoded` of AWS's Signature Version 4 test suite.
    #[test]
    fn posts_have_the_signatures_of_the_test_suite() {
        let credentials = Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None, None, "test");
        let key = SigningKey::new(&credentials, "20150830", "us-east-1", "service");
        let bare = [("host", "example.amazonaws.com"), ("x-amz-date", "20150830T123600Z")];
        let authorization = key.authorize_post("20150830T123600Z", &bare, b"");
        assert!(
            authorization
                .ends_with("SignedHeaders=host;x-amz-date, Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b")
        );
        let form = [("content-type", "application/x-www-form-urlencoded"), bare[0], bare[1]];
        let authorization = key.authorize_post("20150830T123600Z", &form, b"Param1=value1");
        assert!(authorization.ends_with("Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"), "{authorization}");
    }
}
