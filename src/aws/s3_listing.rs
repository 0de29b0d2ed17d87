//! Listing a bucket: every version, or the latest ones, in the order of `(key bytes, oldest first)`.
//!
//! Keys are asked for URL-encoded (`encoding-type=url`), since XML 1.0 has no place for most control characters that keys may hold.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use aws_sdk_s3::types::EncodingType;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;

use crate::aws::errors::classify;
use crate::aws::times::timestamp;
use crate::model::failure::{Failure, FailureKind};
use crate::verify::objects::source::{Entry, EntryKind};

/// One page of a listing and where the next begins.
struct Page<M> {
    entries: Vec<Entry>,
    next: Option<M>,
}

/// The latest versions (ListObjectsV2).
pub fn latest(client: Client, bucket: String, prefix: String) -> BoxStream<'static, Result<Entry, Failure>> {
    let what = format!("s3:ListObjectsV2 {bucket}");
    pages(what.clone(), move |token: Option<String>| {
        let request = client.list_objects_v2().bucket(&bucket).prefix(&prefix).encoding_type(EncodingType::Url);
        let request = request.set_continuation_token(token);
        let what = what.clone();
        async move {
            let page = request.send().await.map_err(|error| classify(&what, error))?;
            let encoded = page.encoding_type() == Some(&EncodingType::Url);
            let mut entries = Vec::with_capacity(page.contents().len());
            for object in page.contents() {
                let entry = Entry::object(key_of(object.key(), encoded, &what)?, size_of(object.size(), &what)?);
                let storage_class = object.storage_class().map(|class| class.as_str().to_owned());
                let etag = object.e_tag().map(str::to_owned);
                entries.push(Entry { modified: object.last_modified().map(timestamp), etag, storage_class, ..entry });
            }
            let next = page.is_truncated().unwrap_or(false).then(|| page.next_continuation_token().map(str::to_owned));
            Ok(Page { entries, next: more(next, &what)? })
        }
    })
}

/// Every version and every delete marker (ListObjectVersions).
pub fn versions(client: Client, bucket: String, prefix: String) -> BoxStream<'static, Result<Entry, Failure>> {
    let what = format!("s3:ListObjectVersions {bucket}");
    let newest_first = pages(what.clone(), move |marker: Option<(String, Option<String>)>| {
        let (key, version) = marker.unzip();
        let request = client.list_object_versions().bucket(&bucket).prefix(&prefix).encoding_type(EncodingType::Url);
        let request = request.set_key_marker(key).set_version_id_marker(version.flatten());
        let what = what.clone();
        async move {
            let order = Order::default();
            let page = request.customize().interceptor(order.clone()).send().await.map_err(|error| classify(&what, error))?;
            let entries = page_of_versions(&page, &order, &what)?;
            let next = if page.is_truncated().unwrap_or(false) {
                let encoded = page.encoding_type() == Some(&EncodingType::Url);
                let key = page.next_key_marker().map(|key| key_of(Some(key), encoded, &what)).transpose()?;
                more(Some(key.map(|key| (key, page.next_version_id_marker().map(str::to_owned)))), &what)?
            } else {
                None
            };
            Ok(Page { entries, next })
        }
    });
    oldest_first(newest_first)
}

/// A page that says that there is more must say where.
fn more<M>(next: Option<Option<M>>, what: &str) -> Result<Option<M>, Failure> {
    match next {
        None => Ok(None),
        Some(Some(marker)) => Ok(Some(marker)),
        Some(None) => Err(Failure::new(FailureKind::Remote, format!("{what}: the listing goes on and does not say where"))),
    }
}

/// All pages' entries. Pages that lead back to an earlier one would be listed for ever: each is compared with one that is kept, which
/// is exchanged after 1, 2, 4, 8 … pages, so that a circle of any length is found in constant memory (Brent, 1980).
fn pages<M, F, A>(what: String, ask: F) -> BoxStream<'static, Result<Entry, Failure>>
where
    M: Clone + PartialEq + Send + 'static,
    F: Fn(Option<M>) -> A + Send + Sync + 'static,
    A: Future<Output = Result<Page<M>, Failure>> + Send,
{
    struct State<M, F> {
        ask: F,
        what: String,
        ready: VecDeque<Entry>,
        marker: Option<M>,
        ended: bool,
        kept: Option<M>,
        pages: u64,
        /// The last key of the pages before.
        last: Option<String>,
    }
    let state = State { ask, what, ready: VecDeque::new(), marker: None, ended: false, kept: None, pages: 0, last: None };
    futures_util::stream::unfold(Some(state), |state| async move {
        let mut state = state?;
        loop {
            if let Some(entry) = state.ready.pop_front() {
                return Some((Ok(entry), Some(state)));
            }
            if state.ended {
                return None;
            }
            match (state.ask)(state.marker.clone()).await {
                Ok(page) => {
                    if page.next.is_some() && page.next == state.kept {
                        let said = format!("{}: the listing leads to the same page again", state.what);
                        return Some((Err(Failure::new(FailureKind::Remote, said)), None));
                    }
                    state.pages += 1;
                    if state.pages.is_power_of_two() {
                        state.kept = page.next.clone();
                    }
                    // Before any entry of the page is taken for what is there: a key that comes late would have been called missing.
                    let keys = state.last.iter().chain(page.entries.iter().map(|entry| &entry.key));
                    if let Err(failure) = in_order(keys, &state.what) {
                        return Some((Err(failure), None));
                    }
                    state.last = page.entries.last().map(|entry| entry.key.clone()).or(state.last);
                    state.ended = page.next.is_none();
                    state.marker = page.next;
                    state.ready = page.entries.into();
                }
                Err(failure) => return Some((Err(failure), None)),
            }
        }
    })
    .boxed()
}

/// Keys must ascend, within a page and from each page to the next.
fn in_order<'a>(keys: impl Iterator<Item = &'a String>, what: &str) -> Result<(), Failure> {
    let mut before: Option<&String> = None;
    for key in keys {
        if let Some(before) = before.filter(|before| *before > key) {
            let (late, after) = (key.escape_debug(), before.escape_debug());
            let said = format!("{what}: `{late}` is listed after `{after}`; expected the keys in the order of their bytes");
            let failure = Failure::new(FailureKind::Remote, said);
            return Err(failure.hint("directory buckets list in no order and cannot be compared in this way"));
        }
        before = Some(key);
    }
    Ok(())
}

/// Turns each key's versions round and numbers them, 0 the oldest. Versions of one key are in memory together.
fn oldest_first(newest_first: BoxStream<'static, Result<Entry, Failure>>) -> BoxStream<'static, Result<Entry, Failure>> {
    struct State {
        entries: BoxStream<'static, Result<Entry, Failure>>,
        ahead: Option<Entry>,
        ready: Vec<Entry>,
    }
    let state = State { entries: newest_first.fuse().boxed(), ahead: None, ready: Vec::new() };
    futures_util::stream::unfold(Some(state), |state| async move {
        let mut state = state?;
        if state.ready.is_empty() {
            let mut versions: Vec<Entry> = state.ahead.take().into_iter().collect();
            while let Some(next) = state.entries.next().await {
                match next {
                    Ok(entry) if versions.first().is_none_or(|first| first.key == entry.key) => versions.push(entry),
                    Ok(entry) => {
                        state.ahead = Some(entry);
                        break;
                    }
                    Err(failure) => return Some((Err(failure), None)),
                }
            }
            let last = versions.len().saturating_sub(1);
            for (index, entry) in versions.iter_mut().enumerate() {
                entry.seq = u32::try_from(last - index).unwrap_or(u32::MAX);
            }
            // Newest first, so that the oldest is taken from the end.
            state.ready = versions;
        }
        let entry = state.ready.pop()?;
        Some((Ok(entry), Some(state)))
    })
    .boxed()
}

/// One listed version as the answer states it.
struct Listed {
    entry: Entry,
    is_latest: bool,
}

/// Puts a page's versions and delete markers, which the SDK gives as two lists, back into one order, newest first. S3 interleaves
/// them in its XML, and that order is taken: dates have whole seconds and cannot tell. Servers that give all markers before all
/// versions exist; their order contradicts their dates, and then the dates are all there is.
fn page_of_versions(page: &ListObjectVersionsOutput, order: &Order, what: &str) -> Result<Vec<Entry>, Failure> {
    let encoded = page.encoding_type() == Some(&EncodingType::Url);
    let mut versions = Vec::with_capacity(page.versions().len());
    for version in page.versions() {
        let entry = Entry::object(key_of(version.key(), encoded, what)?, size_of(version.size(), what)?);
        let modified = version.last_modified().map(timestamp);
        let etag = version.e_tag().map(str::to_owned);
        let storage_class = version.storage_class().map(|class| class.as_str().to_owned());
        let entry = Entry { version_id: version.version_id().map(str::to_owned), modified, etag, storage_class, ..entry };
        versions.push(Listed { entry, is_latest: version.is_latest().unwrap_or(false) });
    }
    let mut markers = Vec::with_capacity(page.delete_markers().len());
    for marker in page.delete_markers() {
        let entry = Entry::object(key_of(marker.key(), encoded, what)?, 0);
        let modified = marker.last_modified().map(timestamp);
        let entry = Entry { kind: EntryKind::DeleteMarker, version_id: marker.version_id().map(str::to_owned), modified, ..entry };
        markers.push(Listed { entry, is_latest: marker.is_latest().unwrap_or(false) });
    }
    let order = order.take();
    let markers_said = order.iter().filter(|kind| **kind == EntryKind::DeleteMarker).count();
    if order.len() != versions.len() + markers.len() || markers_said != markers.len() {
        return Err(Failure::new(FailureKind::Remote, format!("{what}: the order of versions in the answer could not be told")));
    }
    let (mut versions, mut markers) = (versions.into_iter(), markers.into_iter());
    let mut listed: Vec<Listed> =
        order.iter().filter_map(|kind| if *kind == EntryKind::DeleteMarker { markers.next() } else { versions.next() }).collect();
    if !is_newest_first(&listed) {
        // Of one instant a deletion is the later: it came after what it hides.
        listed.sort_by(|a, b| {
            let newer = (b.is_latest, b.entry.modified, b.entry.kind).cmp(&(a.is_latest, a.entry.modified, a.entry.kind));
            a.entry.key.cmp(&b.entry.key).then(newer)
        });
    }
    Ok(listed.into_iter().map(|listed| listed.entry).collect())
}

/// Keys ascending; within a key no version is newer than the one before it, and only the first may be the latest.
fn is_newest_first(listed: &[Listed]) -> bool {
    listed.windows(2).all(|pair| match pair[0].entry.key.cmp(&pair[1].entry.key) {
        std::cmp::Ordering::Less => true,
        std::cmp::Ordering::Equal => pair[0].entry.modified >= pair[1].entry.modified && !pair[1].is_latest,
        std::cmp::Ordering::Greater => false,
    })
}

fn size_of(size: Option<i64>, what: &str) -> Result<u64, Failure> {
    size.and_then(|size| u64::try_from(size).ok())
        .ok_or_else(|| Failure::new(FailureKind::Remote, format!("{what}: an entry of the answer has no size")))
}

/// A key as it is; URL-encoded ones have `+` for a space.
fn key_of(key: Option<&str>, encoded: bool, what: &str) -> Result<String, Failure> {
    let key = key.ok_or_else(|| Failure::new(FailureKind::Remote, format!("{what}: an entry of the answer has no key")))?;
    if !encoded {
        return Ok(key.to_owned());
    }
    let spaced = key.replace('+', " ");
    let decoded = percent_encoding::percent_decode_str(&spaced).decode_utf8();
    let decoded = decoded.map_err(|_| Failure::new(FailureKind::Remote, format!("{what}: the key {key} is not URL-encoded UTF-8")))?;
    Ok(decoded.into_owned())
}

/// Which of an answer's elements are versions and which delete markers, in the order of the XML.
#[derive(Clone, Debug, Default)]
struct Order(Arc<Mutex<Vec<EntryKind>>>);

impl Order {
    fn take(&self) -> Vec<EntryKind> {
        std::mem::take(&mut *self.0.lock().expect("no panic while held"))
    }
}

impl Intercept for Order {
    fn name(&self) -> &'static str {
        "OrderOfVersions"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), aws_sdk_s3::error::BoxError> {
        if let Some(body) = context.response().body().bytes() {
            *self.0.lock().expect("no panic while held") = order_of(body);
        }
        Ok(())
    }
}

/// Text cannot hold `<`, so these tags are elements wherever they stand; attributes they have none, a namespace prefix neither.
fn order_of(xml: &[u8]) -> Vec<EntryKind> {
    let mut order = Vec::new();
    let mut rest = xml;
    while let Some(at) = rest.iter().position(|&byte| byte == b'<') {
        rest = &rest[at + 1..];
        if rest.starts_with(b"Version>") {
            order.push(EntryKind::Object);
        } else if rest.starts_with(b"DeleteMarker>") {
            order.push(EntryKind::DeleteMarker);
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_the_xml_is_kept() {
        let xml = b"<ListVersionsResult><Name>b</Name><Version><Key>&lt;DeleteMarker&gt;</Key></Version><DeleteMarker><Key>a</Key></DeleteMarker><Version></Version></ListVersionsResult>";
        assert_eq!(order_of(xml), [EntryKind::Object, EntryKind::DeleteMarker, EntryKind::Object]);
    }

    #[test]
    fn keys_are_decoded_as_s3_encodes_them() {
        assert_eq!(key_of(Some("a+b%2Bc%0A%C3%A9/.."), true, "x").unwrap(), "a b+c\né/..");
        assert_eq!(key_of(Some("a+b%2B"), false, "x").unwrap(), "a+b%2B");
        assert!(key_of(Some("%FF"), true, "x").is_err());
        assert!(key_of(None, true, "x").is_err());
    }

    fn entry(key: &str) -> Entry {
        Entry::object(key, 0)
    }

    #[tokio::test]
    async fn versions_are_numbered_from_the_oldest_across_pages() {
        let listed = ["a", "a", "a", "b", "c", "c"].map(|key| Ok(entry(key)));
        let numbered: Vec<(String, u32)> =
            oldest_first(futures_util::stream::iter(listed).boxed()).map(|entry| entry.map(|e| (e.key, e.seq)).unwrap()).collect().await;
        let expected = [("a", 0), ("a", 1), ("a", 2), ("b", 0), ("c", 0), ("c", 1)].map(|(key, seq)| (key.to_owned(), seq));
        assert_eq!(numbered, expected);
    }

    #[tokio::test]
    async fn keys_out_of_order_are_told_within_a_page_and_across_pages() {
        let listing = |pages_of: &'static [&'static [&'static str]]| {
            let ask = move |at: Option<usize>| async move {
                let at = at.unwrap_or(0);
                let entries = pages_of[at].iter().map(|key| entry(key)).collect();
                Ok(Page { entries, next: (at + 1 < pages_of.len()).then_some(at + 1) })
            };
            pages("s3:List b".into(), ask).collect::<Vec<_>>()
        };
        assert!(listing(&[&["a", "b"], &[], &["b", "c"]]).await.iter().all(Result::is_ok), "versions of one key span pages");
        const LATE: [(&[&[&str]], usize); 3] = [(&[&["a", "c"], &["b"]], 2), (&[&["a"], &["c", "b"]], 1), (&[&["c"], &[], &["b"]], 1)];
        for (pages_of, taken) in LATE {
            let listed = listing(pages_of).await;
            let failure = listed.last().unwrap().as_ref().unwrap_err();
            assert!(failure.message.contains("`b` is listed after `c`"), "{failure}");
            assert_eq!(listed.len(), taken + 1, "no entry of the late page is taken for what is there");
        }
    }

    #[tokio::test]
    async fn a_listing_that_leads_in_a_circle_ends_with_an_error() {
        let circle = pages("s3:List b".into(), |_: Option<u8>| async { Ok(Page { entries: vec![entry("a")], next: Some(7) }) });
        let listed: Vec<_> = circle.collect().await;
        assert_eq!(listed.last().unwrap().as_ref().unwrap_err().kind, FailureKind::Remote);
        assert!(listed.len() < 4);
        // Pages without entries, so that their order tells nothing, and some before the circle begins.
        for length in [2, 3, 7] {
            let next = move |at: Option<u8>| async move {
                let at = at.unwrap_or(0);
                Ok(Page { entries: vec![], next: Some(if at + 1 == 20 + length { 20 } else { at + 1 }) })
            };
            let listed: Vec<_> = pages("s3:List b".into(), next).collect().await;
            assert!(listed.len() == 1 && listed[0].is_err());
        }
        let straight = pages("s3:List b".into(), |at: Option<u8>| async move {
            let at = at.unwrap_or(0);
            Ok(Page { entries: vec![entry("a")], next: (at < 200).then_some(at + 1) })
        });
        assert_eq!(straight.filter(|entry| std::future::ready(entry.is_ok())).count().await, 201);
    }
}
