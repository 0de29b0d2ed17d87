//! ListObjectVersions as S3 spells it: versions and delete markers in one order, newest first. The wire types that the answer is
//! made from have two lists, and their dates have whole seconds: without this no client could tell which of two was the later.

use std::collections::VecDeque;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, header};
use http_body_util::BodyExt;

use crate::sandbox::s3::record::Version;

/// Carries the order from the operation to the wire, and never leaves the process.
const ORDER: HeaderName = HeaderName::from_static("x-sandbox-order");

const ELEMENTS: [(char, &str, &str); 2] = [('V', "<Version>", "</Version>"), ('D', "<DeleteMarker>", "</DeleteMarker>")];

/// The header that tells the order of `versions`: a letter each.
pub fn order(versions: &[Version]) -> (HeaderName, HeaderValue) {
    let letters: String = versions.iter().map(|version| if version.delete_marker { 'D' } else { 'V' }).collect();
    (ORDER, HeaderValue::from_str(&letters).unwrap_or(HeaderValue::from_static("")))
}

/// The answer with its elements in the order that it carries; any other answer as it is.
pub async fn apply(mut response: Response<s3s::Body>) -> Response<s3s::Body> {
    let Some(order) = response.headers_mut().remove(ORDER) else { return response };
    let (mut parts, body) = response.into_parts();
    let Ok(body) = body.collect().await else { return Response::from_parts(parts, s3s::Body::empty()) };
    let body = body.to_bytes();
    let text = std::str::from_utf8(&body).ok().zip(order.to_str().ok()).map(|(xml, order)| interleave(xml, order));
    let body = text.map_or(body, Bytes::from);
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    Response::from_parts(parts, s3s::Body::from(body))
}

/// Moves the elements to the end of the document in `order`. Text in XML holds no `<`, so tags are found by their spelling.
fn interleave(xml: &str, order: &str) -> String {
    let mut queues = [VecDeque::new(), VecDeque::new()];
    let mut others = String::with_capacity(xml.len());
    let mut rest = xml;
    // The next element of either kind, as long as there is one.
    while let Some((index, start)) =
        ELEMENTS.iter().enumerate().filter_map(|(index, (_, open, _))| Some((index, rest.find(open)?))).min_by_key(|(_, start)| *start)
    {
        let close = ELEMENTS[index].2;
        let Some(length) = rest[start..].find(close) else { break };
        let end = start + length + close.len();
        others += &rest[..start];
        queues[index].push_back(&rest[start..end]);
        rest = &rest[end..];
    }
    others += rest;
    let mut elements = String::new();
    for letter in order.chars() {
        if let Some(index) = ELEMENTS.iter().position(|(name, _, _)| *name == letter) {
            elements += queues[index].pop_front().unwrap_or_default();
        }
    }
    let end = others.rfind("</").unwrap_or(others.len());
    others.insert_str(end, &elements);
    others
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_stand_in_the_order_given() {
        let xml = "<L><DeleteMarker>d</DeleteMarker><Name>b</Name><Version>1</Version><Version>2</Version></L>";
        let expected = "<L><Name>b</Name><Version>1</Version><DeleteMarker>d</DeleteMarker><Version>2</Version></L>";
        assert_eq!(interleave(xml, "VDV"), expected);
        assert_eq!(interleave("<L></L>", ""), "<L></L>");
    }
}
