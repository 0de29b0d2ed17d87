//! An answer to GetObject, as far as it is read here: out of the SDK's output, or straight out of the headers.
//!
//! The SDK's own deserializer builds a value of sixty members for each object, which costs more than a small object's bytes. So what is asked for
//! directly is read directly; an answer with anything in it that is not as plain as S3 writes it is left to the SDK's deserializer, whose word
//! then counts. A test holds the two to each other.

use std::collections::BTreeMap;
use std::pin::Pin;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::{ByteStream, DateTime, DateTimeFormat};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use bytes::Bytes;
use http::Response;
use http_body::Body as _;

use crate::aws::connections::Arriving;
use crate::aws::s3_evidence::{self, Told};
use crate::aws::times::timestamp;
use crate::verify::objects::evidence::Evidence;
use crate::verify::objects::source::S3Checksum;

/// What GetObject answered.
#[derive(Debug)]
pub struct Answer {
    /// The bytes.
    pub body: Pieces,
    /// How many the service says there are.
    pub content_length: Option<i64>,
    /// Which of the object's bytes they are, where not all.
    pub content_range: Option<String>,
    /// The version that was read, where the bucket has versions.
    pub version_id: Option<String>,
    /// The checksum that S3 keeps; of several, the strongest.
    pub checksum: Option<S3Checksum>,
    /// What else the headers say.
    pub told: Told,
}

/// The bytes as they arrive.
#[derive(Debug)]
pub enum Pieces {
    /// As the SDK reads them.
    Sdk(ByteStream),
    /// On a connection of our own.
    Own(Box<Arriving>),
}

impl Pieces {
    /// The next ones; nothing at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes, BoxError>> {
        match self {
            Self::Sdk(body) => body.next().await.map(|bytes| bytes.map_err(Into::into)),
            Self::Own(body) => loop {
                let frame = std::future::poll_fn(|cx| Pin::new(&mut **body).poll_frame(cx)).await?;
                match frame.map(|frame| frame.into_data()) {
                    Ok(Ok(bytes)) => return Some(Ok(bytes)),
                    // Trailers are no bytes.
                    Ok(Err(_)) => {}
                    Err(error) => return Some(Err(error.into())),
                }
            },
        }
    }
}

/// Values by the names of their headers, each at most once.
#[derive(Debug, Default, PartialEq)]
pub struct Headers<'a> {
    /// Of the metadata that S3 itself knows, by header name.
    pub system: BTreeMap<&'static str, &'a str>,
    /// Of the user's, without `x-amz-meta-`.
    pub user: BTreeMap<&'a str, &'a str>,
    /// Everything else that is read.
    others: [Option<&'a str>; OTHERS.len()],
}

/// The metadata that S3 itself knows.
const SYSTEM: [(&str, &str); 7] = [
    ("cache-control", "cache-control"),
    ("content-disposition", "content-disposition"),
    ("content-encoding", "content-encoding"),
    ("content-language", "content-language"),
    ("content-type", "content-type"),
    ("expires", "expires"),
    ("x-amz-website-redirect-location", "website-redirect-location"),
];

const CHECKSUMS: [(&str, &str); 6] = [
    ("SHA512", "x-amz-checksum-sha512"),
    ("SHA256", "x-amz-checksum-sha256"),
    ("SHA1", "x-amz-checksum-sha1"),
    ("CRC64NVME", "x-amz-checksum-crc64nvme"),
    ("CRC32C", "x-amz-checksum-crc32c"),
    ("CRC32", "x-amz-checksum-crc32"),
];

const OTHERS: [&str; 22] = [
    "content-length",
    "content-range",
    "etag",
    "x-amz-version-id",
    "x-amz-missing-meta",
    "x-amz-tagging-count",
    "x-amz-storage-class",
    "x-amz-object-lock-mode",
    "x-amz-object-lock-retain-until-date",
    "x-amz-object-lock-legal-hold",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-server-side-encryption-customer-key-md5",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-replication-status",
    "x-amz-checksum-type",
    "x-amz-checksum-sha512",
    "x-amz-checksum-sha256",
    "x-amz-checksum-sha1",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc32",
];

impl Answer {
    /// Out of what the SDK read.
    pub fn of_output(output: GetObjectOutput) -> Self {
        Self {
            content_length: output.content_length(),
            content_range: output.content_range().map(str::to_owned),
            version_id: output.version_id().map(str::to_owned),
            checksum: s3_evidence::checksum(&output),
            told: s3_evidence::of_get(&output),
            body: Pieces::Sdk(output.body),
        }
    }

    /// Out of an answer itself; nothing, and the answer untouched, where the SDK is to read it.
    pub fn of_response(response: &mut HttpResponse) -> Option<Self> {
        if !matches!(response.status().as_u16(), 200 | 206) {
            return None;
        }
        let nothing = Pieces::Sdk(ByteStream::default());
        let read = Self::of_headers(&Headers::of(response.headers().iter_bytes())?, nothing)?;
        Some(Self { body: Pieces::Sdk(ByteStream::new(response.take_body())), ..read })
    }

    /// The same of an answer on a connection of our own, which comes back where the SDK is to read it.
    pub fn of_own(response: Response<Arriving>) -> Result<Self, Box<Response<Arriving>>> {
        let pairs = response.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let headers = Some(pairs).filter(|_| matches!(response.status().as_u16(), 200 | 206)).and_then(Headers::of);
        let read = headers.and_then(|headers| Self::of_headers(&headers, Pieces::Sdk(ByteStream::default())));
        match read {
            Some(read) => Ok(Self { body: Pieces::Own(Box::new(response.into_body())), ..read }),
            None => Err(Box::new(response)),
        }
    }

    fn of_headers(headers: &Headers<'_>, body: Pieces) -> Option<Self> {
        let (content_length, told) = headers.read()?;
        let (content_range, version_id) = (headers.other("content-range"), headers.other("x-amz-version-id"));
        Some(Self {
            body,
            content_length,
            content_range: content_range.map(str::to_owned),
            version_id: version_id.map(str::to_owned),
            checksum: headers.checksum(),
            told,
        })
    }
}

impl<'a> Headers<'a> {
    /// Nothing where a value that is read is no UTF-8, empty, or there twice.
    pub fn of(pairs: impl Iterator<Item = (&'a str, &'a [u8])>) -> Option<Self> {
        let mut headers = Self::default();
        for (name, value) in pairs {
            if let Some(name) = name.strip_prefix("x-amz-meta-") {
                if headers.user.insert(name, plain(value)?).is_some() {
                    return None;
                }
            } else if let Some((_, told)) = SYSTEM.iter().find(|(known, _)| *known == name) {
                if headers.system.insert(told, plain(value)?).is_some() {
                    return None;
                }
            } else if let Some(at) = OTHERS.iter().position(|known| *known == name)
                && headers.others[at].replace(plain(value)?).is_some()
            {
                return None;
            }
        }
        Some(headers)
    }

    fn other(&self, name: &str) -> Option<&'a str> {
        OTHERS.iter().position(|known| *known == name).and_then(|at| self.others[at])
    }

    /// Length and evidence; nothing where a number or a date is none.
    fn read(&self) -> Option<(Option<i64>, Told)> {
        let number = |name: &str| self.other(name).map(|text| text.parse::<i64>().ok()).map_or(Some(None), |read| read.map(Some));
        let small = |name: &str| self.other(name).map(|text| text.parse::<i32>().ok()).map_or(Some(None), |read| read.map(Some));
        let until = self.other("x-amz-object-lock-retain-until-date");
        let until = until.map(|text| DateTime::from_str(text, DateTimeFormat::DateTimeWithOffset).ok());
        let until = until.map_or(Some(None), |read| read.map(Some))?;
        let text = |name: &str| self.other(name).map(str::to_owned);
        let customer = self.other("x-amz-server-side-encryption-customer-algorithm").map(|_| "SSE-C".to_owned());
        let evidence = Evidence {
            etag: text("etag"),
            storage_class: Some(text("x-amz-storage-class").unwrap_or_else(|| "STANDARD".to_owned())),
            // Values that do not fit into headers are left out and counted: what is left then is not the whole.
            metadata: (small("x-amz-missing-meta")?.unwrap_or(0) == 0).then(|| s3_evidence::metadata_of(&self.system, &self.user)),
            tags: None,
            lock_mode: text("x-amz-object-lock-mode"),
            lock_until: until.as_ref().map(timestamp),
            legal_hold: self.other("x-amz-object-lock-legal-hold").map(|status| status == "ON"),
            encryption: customer.or_else(|| text("x-amz-server-side-encryption")),
            encryption_key: text("x-amz-server-side-encryption-customer-key-md5")
                .or_else(|| text("x-amz-server-side-encryption-aws-kms-key-id")),
            replication: text("x-amz-replication-status"),
        };
        Some((number("content-length")?, Told::of_headers(evidence, small("x-amz-tagging-count")?)))
    }

    fn checksum(&self) -> Option<S3Checksum> {
        let (algorithm, value) = CHECKSUMS.into_iter().find_map(|(algorithm, name)| Some((algorithm, self.other(name)?)))?;
        let kind = self.other("x-amz-checksum-type").unwrap_or_else(|| s3_evidence::kind_of(value));
        Some(S3Checksum { algorithm: algorithm.to_owned(), kind: kind.to_owned(), value: value.to_owned() })
    }
}

/// A value that needs no rules: text without quotes' or spaces' meaning at its ends.
fn plain(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().filter(|text| !text.is_empty() && text.trim() == *text)
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::operation::get_object::GetObject;
    use aws_smithy_runtime_api::client::runtime_plugin::RuntimePlugin;
    use aws_smithy_runtime_api::client::ser_de::{DeserializeResponse, SharedResponseDeserializer};
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::config_bag::ConfigBag;
    use proptest::prelude::*;

    use super::*;

    fn response(headers: &[(String, String)]) -> HttpResponse {
        let mut response = HttpResponse::new(200.try_into().unwrap(), SdkBody::empty());
        for (name, value) in headers {
            response.headers_mut().append(name.clone(), value.clone());
        }
        response
    }

    /// As the SDK reads it, its interceptor for `Expires` included.
    fn by_the_sdk(headers: &[(String, String)]) -> Option<Answer> {
        let mut response = response(headers);
        if let Some(expires) = response.headers_mut().remove("expires") {
            response.headers_mut().insert("ExpiresString", expires);
        }
        let layer = GetObject::new().config().unwrap();
        let deserializer = layer.load::<SharedResponseDeserializer>().unwrap();
        let parsed = deserializer.deserialize_streaming_with_config(&mut response, &ConfigBag::base())?;
        parsed.ok()?.downcast::<GetObjectOutput>().ok().map(Answer::of_output)
    }

    fn same(own: &Answer, other: &Answer) {
        assert_eq!(
            (own.content_length, &own.content_range, &own.version_id),
            (other.content_length, &other.content_range, &other.version_id)
        );
        assert_eq!(own.checksum, other.checksum);
        assert_eq!(format!("{:?}", own.told), format!("{:?}", other.told));
    }

    fn named(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn everything_that_s3_says_is_read_as_the_sdk_reads_it() {
        let full = named(&[
            ("content-length", "16384"),
            ("content-range", "bytes 0-1/2"),
            ("etag", "\"0123\""),
            ("last-modified", "Wed, 21 Oct 2026 07:28:00 GMT"),
            ("x-amz-version-id", "v.1"),
            ("x-amz-tagging-count", "2"),
            ("x-amz-storage-class", "GLACIER_IR"),
            ("x-amz-object-lock-mode", "COMPLIANCE"),
            ("x-amz-object-lock-retain-until-date", "2030-01-31T02:00:00.123Z"),
            ("x-amz-object-lock-legal-hold", "ON"),
            ("x-amz-server-side-encryption", "aws:kms"),
            ("x-amz-server-side-encryption-aws-kms-key-id", "arn:aws:kms:eu-west-2:1:key/k"),
            ("x-amz-replication-status", "COMPLETED"),
            ("x-amz-checksum-crc32", "AAAAAA==-3"),
            ("x-amz-checksum-sha256", "abc="),
            ("content-type", "text/plain; charset=utf-8"),
            ("cache-control", "no-cache, max-age=0"),
            ("content-language", "de, en"),
            ("expires", "tomorrow, or so"),
            ("x-amz-website-redirect-location", "/elsewhere"),
            ("x-amz-meta-owner", "crm, \"billing\""),
            ("x-amz-meta-note", "x"),
        ]);
        let own = Answer::of_response(&mut response(&full)).expect("plain");
        assert_eq!(own.checksum.as_ref().unwrap().algorithm, "SHA256");
        assert!(format!("{:?}", own.told).contains("COMPLIANCE"));
        same(&own, &by_the_sdk(&full).unwrap());
        // Without the last header it is another metadata, and the digest that was kept is not given again.
        let other = Answer::of_response(&mut response(&full[..full.len() - 1])).expect("plain");
        assert_ne!(format!("{:?}", own.told), format!("{:?}", other.told));
    }

    #[test]
    fn what_is_not_plain_is_left_to_the_sdk() {
        for odd in [
            vec![("etag", "\"a\""), ("etag", "\"b\"")],
            vec![("x-amz-meta-a", "1"), ("x-amz-meta-a", "2")],
            vec![("content-length", "many")],
            vec![("x-amz-tagging-count", "99999999999")],
            vec![("x-amz-object-lock-retain-until-date", "soon")],
            vec![("cache-control", " padded ")],
            vec![("x-amz-meta-a", "")],
        ] {
            assert!(Answer::of_response(&mut response(&named(&odd))).is_none(), "{odd:?}");
        }
        let not_text = Headers::of([("etag", b"\xff".as_slice())].into_iter());
        assert_eq!(not_text, None);
        let refused = &mut HttpResponse::new(404.try_into().unwrap(), SdkBody::empty());
        assert!(Answer::of_response(refused).is_none());
    }

    proptest! {
        #[test]
        fn whatever_is_read_here_is_what_the_sdk_reads(
            pairs in proptest::collection::vec((0usize..OTHERS.len() + SYSTEM.len() + 2, "[ -~]{0,12}|[0-9]{1,6}|\"[a-z, ]{0,6}\""), 0..12)
        ) {
            let name = |at: usize| match at {
                at if at < OTHERS.len() => OTHERS[at].to_owned(),
                at if at < OTHERS.len() + SYSTEM.len() => SYSTEM[at - OTHERS.len()].0.to_owned(),
                at => format!("x-amz-meta-{at}"),
            };
            let headers: Vec<(String, String)> = pairs.into_iter().map(|(at, value)| (name(at), value)).collect();
            if let Some(own) = Answer::of_response(&mut response(&headers)) {
                let other = by_the_sdk(&headers);
                prop_assert!(other.is_some(), "{headers:?}");
                same(&own, &other.unwrap());
            }
        }
    }
}
