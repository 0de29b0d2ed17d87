//! A body on its way in: streamed to the store, measured, and checked against what the client said of it.

use bytes::Bytes;
use futures_util::StreamExt;
use http::HeaderMap;
use s3s::dto::StreamingBlob;
use s3s::{S3Error, S3ErrorCode, S3Result, TrailingHeaders};

use crate::sandbox::s3::blobs::Incoming;
use crate::sandbox::s3::digests::{ALGORITHMS, DEFAULT_ALGORITHM, Digested, from_base64};
use crate::sandbox::s3::errors::internal;
use crate::sandbox::s3::segment::Segment;
use crate::sandbox::s3::store::S3Store;

/// The largest body of one PUT.
const LARGEST: u64 = 5 << 30;

/// What the client says of a body.
pub struct Claims<'a> {
    /// Request headers.
    pub headers: &'a HeaderMap,
    /// Trailers to come.
    pub trailers: Option<TrailingHeaders>,
    /// Content-MD5.
    pub md5: Option<&'a str>,
    /// Checksums in headers.
    pub checksums: [(&'static str, Option<String>); 5],
    /// The algorithm that the SDK says it uses.
    pub algorithm: Option<&'a str>,
    /// Bytes, where they are told.
    pub length: Option<i64>,
}

/// A body that has arrived.
pub struct Received {
    /// Its digests.
    pub digested: Digested,
    /// Where it is.
    pub segments: Vec<Segment>,
    /// The algorithm of its checksum.
    pub algorithm: String,
}

/// The algorithm that a body's checksum is of.
fn algorithm_of(claims: &Claims) -> S3Result<String> {
    let mut in_headers = claims.checksums.iter().filter(|(_, value)| value.is_some());
    if let Some((algorithm, _)) = in_headers.next() {
        if in_headers.next().is_some() {
            let message = "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.";
            return Err(S3Error::with_message(S3ErrorCode::InvalidRequest, message));
        }
        return Ok((*algorithm).to_owned());
    }
    let trailer = claims.headers.get("x-amz-trailer").and_then(|value| value.to_str().ok()).unwrap_or("");
    let in_trailer = trailer.split(',').find_map(|name| name.trim().strip_prefix("x-amz-checksum-"));
    let named = in_trailer.map(str::to_ascii_uppercase).or_else(|| claims.algorithm.map(str::to_ascii_uppercase));
    let named = named.unwrap_or_else(|| DEFAULT_ALGORITHM.to_owned());
    if !ALGORITHMS.contains(&named.as_str()) {
        let message = "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]";
        return Err(S3Error::with_message(S3ErrorCode::InvalidRequest, message));
    }
    Ok(named)
}

/// Streams a body into the store. `algorithm` overrides what the claims say where an upload has settled it.
pub async fn receive(store: &S3Store, body: Option<StreamingBlob>, claims: Claims<'_>, algorithm: Option<&str>) -> S3Result<Received> {
    let own = algorithm_of(&claims)?;
    let algorithm = algorithm.map_or(own, str::to_owned);
    if claims.length.is_some_and(|length| length.unsigned_abs() > LARGEST) {
        let message = "Your proposed upload exceeds the maximum allowed size";
        return Err(S3Error::with_message(S3ErrorCode::EntityTooLarge, message));
    }
    let mut incoming = Incoming::new(store, &algorithm);
    if let Some(mut body) = body {
        while let Some(bytes) = body.next().await {
            let bytes: Bytes = bytes.map_err(|error| broken_body(&*error))?;
            incoming.write(&bytes).map_err(internal)?;
            if incoming.size() > LARGEST {
                let message = "Your proposed upload exceeds the maximum allowed size";
                return Err(S3Error::with_message(S3ErrorCode::EntityTooLarge, message));
            }
        }
    }
    if claims.length.is_some_and(|length| u64::try_from(length).ok() != Some(incoming.size())) {
        return Err(incomplete());
    }
    let (digested, segments) = incoming.finish().map_err(internal)?;
    check(&claims, &algorithm, &digested)?;
    Ok(Received { digested, segments, algorithm })
}

fn check(claims: &Claims, algorithm: &str, digested: &Digested) -> S3Result<()> {
    if let Some(md5) = claims.md5 {
        let claimed = from_base64(md5).filter(|bytes| bytes.len() == 16);
        let invalid = || S3Error::with_message(S3ErrorCode::InvalidDigest, "The Content-MD5 you specified was invalid.");
        if claimed.ok_or_else(invalid)? != digested.md5 {
            return Err(S3Error::with_message(S3ErrorCode::BadDigest, "The Content-MD5 you specified did not match what we received."));
        }
    }
    let header = format!("x-amz-checksum-{}", algorithm.to_ascii_lowercase());
    let in_trailer = claims.trailers.as_ref().and_then(|trailers| {
        let value = trailers.read(|map| map.get(header.as_str()).and_then(|value| value.to_str().ok()).map(|text| text.trim().to_owned()));
        value.flatten()
    });
    let in_header = claims.checksums.iter().find(|(name, _)| *name == algorithm).and_then(|(_, value)| value.clone());
    let Some(claimed) = in_header.or(in_trailer) else { return Ok(()) };
    let size = from_base64(&digested.checksum).map_or(0, |bytes| bytes.len());
    if from_base64(&claimed).is_none_or(|bytes| bytes.len() != size) {
        return Err(S3Error::with_message(S3ErrorCode::InvalidRequest, format!("Value for {header} header is invalid.")));
    }
    if claimed != digested.checksum {
        let message = format!("The {algorithm} you specified did not match the calculated checksum.");
        return Err(S3Error::with_message(S3ErrorCode::BadDigest, message));
    }
    Ok(())
}

fn incomplete() -> S3Error {
    let message = "You did not provide the number of bytes specified by the Content-Length HTTP header";
    S3Error::with_message(S3ErrorCode::IncompleteBody, message)
}

/// A stream that fails says why only in words; its types are s3s's own.
fn broken_body(error: &(dyn std::error::Error + Send + Sync)) -> S3Error {
    let said = error.to_string();
    if said.contains("Sha256Mismatch") {
        let message = "The provided 'x-amz-content-sha256' header does not match what was computed.";
        return crate::sandbox::s3::errors::custom("XAmzContentSHA256Mismatch", http::StatusCode::BAD_REQUEST, message);
    }
    if said.contains("SignatureMismatch") {
        let message = "The request signature we calculated does not match the signature you provided.";
        return S3Error::with_message(S3ErrorCode::SignatureDoesNotMatch, message);
    }
    incomplete()
}
