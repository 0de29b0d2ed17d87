//! Between the store's plain types and s3s's.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use s3s::S3Result;
use s3s::dto::{ETag, Owner, Tag, Timestamp, TimestampFormat};

use crate::model::clock;
use crate::sandbox::identity;
use crate::sandbox::s3::errors::{custom, invalid_argument};
use crate::sandbox::s3::record::Checksum;

/// Now, in whole seconds since the epoch.
pub fn now() -> i64 {
    clock::Timestamp::now().as_secs()
}

/// Seconds since the epoch as s3s has them; instants before it are the epoch.
pub fn timestamp(seconds: i64) -> Timestamp {
    (SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0))).into()
}

/// Whole seconds since the epoch.
pub fn seconds(timestamp: &Timestamp) -> i64 {
    let mut text = Vec::new();
    let written = timestamp.format(TimestampFormat::EpochSeconds, &mut text);
    let text = String::from_utf8_lossy(&text);
    let whole = text.split('.').next().unwrap_or("0");
    written.ok().and_then(|()| whole.parse().ok()).unwrap_or(0)
}

/// An ETag for answers.
pub fn etag(text: &str) -> Option<ETag> {
    Some(ETag::Strong(text.to_owned()))
}

/// A size for answers.
pub fn length(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// The account as owner.
pub fn owner() -> Owner {
    Owner { display_name: Some("sandbox".into()), id: Some(identity::ACCOUNT_ID.into()) }
}

/// Tags for answers.
pub fn tag_set(tags: &BTreeMap<String, String>) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag { key: Some(key.clone()), value: Some(value.clone()) }).collect()
}

/// Tags of a request, within S3's limits: 10 of them, keys of 128 and values of 256 characters, each key once.
pub fn tags(set: &[Tag]) -> S3Result<BTreeMap<String, String>> {
    let pairs = set.iter().map(|tag| (tag.key.clone().unwrap_or_default(), tag.value.clone().unwrap_or_default()));
    checked_tags(pairs, 10)
}

/// Tags out of the header `x-amz-tagging`, which is spelled like a query.
pub fn tags_of_header(header: Option<&str>) -> S3Result<BTreeMap<String, String>> {
    checked_tags(form_urlencoded::parse(header.unwrap_or("").as_bytes()).into_owned(), 10)
}

/// Tags within S3's limits, `most` of them.
pub fn checked_tags(pairs: impl Iterator<Item = (String, String)>, most: usize) -> S3Result<BTreeMap<String, String>> {
    let invalid = |message| custom("InvalidTag", http::StatusCode::BAD_REQUEST, message);
    let mut tags = BTreeMap::new();
    for (key, value) in pairs {
        if key.is_empty() || key.chars().count() > 128 {
            return Err(invalid("The TagKey you have provided is invalid"));
        }
        if value.chars().count() > 256 {
            return Err(invalid("The TagValue you have provided is invalid"));
        }
        if tags.insert(key, value).is_some() {
            return Err(invalid("Cannot provide multiple Tags with the same key"));
        }
    }
    if tags.len() > most {
        return Err(custom("BadRequest", http::StatusCode::BAD_REQUEST, "Object tags cannot be greater than 10"));
    }
    Ok(tags)
}

/// A key or prefix of a listing: URL-encoded where the client asked for it, as S3 does (a space is `+`, slashes stay).
pub fn encoded(text: &str, encode: bool) -> String {
    const KEPT: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'*').remove(b'/').remove(b' ');
    if !encode {
        return text.to_owned();
    }
    percent_encoding::utf8_percent_encode(text, KEPT).to_string().replace(' ', "+")
}

/// The page size asked for: S3 caps it at 1,000.
pub fn page_size(asked: Option<i32>) -> S3Result<usize> {
    let asked = usize::try_from(asked.unwrap_or(1000))
        .map_err(|_| invalid_argument("Argument maxKeys must be an integer between 0 and 2147483647"))?;
    Ok(asked.min(1000))
}

/// Whether a listing's keys shall be URL-encoded.
pub fn wants_encoding(encoding: Option<&s3s::dto::EncodingType>) -> bool {
    encoding.is_some_and(|encoding| encoding.as_str() == "url")
}

/// One optional header value out of a checksum, when it is of that algorithm.
pub fn checksum_value(checksum: Option<&Checksum>, algorithm: &str) -> Option<String> {
    checksum.filter(|checksum| checksum.algorithm == algorithm).map(|checksum| checksum.value.clone())
}

/// Fills the five checksum fields of an s3s output from an `Option<&Checksum>`.
macro_rules! set_checksums {
    ($output:expr, $checksum:expr) => {{
        let checksum: Option<&crate::sandbox::s3::record::Checksum> = $checksum;
        $output.checksum_crc32 = crate::sandbox::s3::ops::convert::checksum_value(checksum, "CRC32");
        $output.checksum_crc32c = crate::sandbox::s3::ops::convert::checksum_value(checksum, "CRC32C");
        $output.checksum_crc64nvme = crate::sandbox::s3::ops::convert::checksum_value(checksum, "CRC64NVME");
        $output.checksum_sha1 = crate::sandbox::s3::ops::convert::checksum_value(checksum, "SHA1");
        $output.checksum_sha256 = crate::sandbox::s3::ops::convert::checksum_value(checksum, "SHA256");
    }};
}
pub(super) use set_checksums;

/// The checksums that an s3s input brings: algorithm and value.
macro_rules! given_checksums {
    ($input:expr) => {
        [
            ("CRC32", $input.checksum_crc32.clone()),
            ("CRC32C", $input.checksum_crc32c.clone()),
            ("CRC64NVME", $input.checksum_crc64nvme.clone()),
            ("SHA1", $input.checksum_sha1.clone()),
            ("SHA256", $input.checksum_sha256.clone()),
        ]
    };
}
pub(super) use given_checksums;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_the_conversion() {
        assert_eq!(seconds(&timestamp(1_767_225_600)), 1_767_225_600);
        assert_eq!(seconds(&timestamp(0)), 0);
    }

    #[test]
    fn listings_encode_as_s3_does() {
        assert_eq!(encoded("a b+c/d\n(3).png", true), "a+b%2Bc/d%0A%283%29.png");
        assert_eq!(encoded("a b", false), "a b");
    }

    #[test]
    fn tags_have_limits() {
        assert_eq!(tags_of_header(Some("a=1&b=x%20y")).unwrap()["b"], "x y");
        assert!(tags_of_header(Some("a=1&a=2")).is_err());
        let eleven: Vec<String> = (0..11).map(|n| format!("k{n}=v")).collect();
        assert!(tags_of_header(Some(&eleven.join("&"))).is_err());
    }
}
